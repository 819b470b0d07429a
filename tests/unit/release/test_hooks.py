"""Which live object is the hook that Helm runs now."""

from types import SimpleNamespace
from typing import Any

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.release.hooks import _Watching, when


def hook(**metadata: Any) -> Object:
    about = {"name": "migrate", "namespace": "here", "annotations": {"helm.sh/hook": "pre-install"}} | metadata
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": {}}


def watching(live: Object | None) -> _Watching:
    mirror: Any = SimpleNamespace(get=lambda namespace, name: live, objects=list)
    kinds = [("batch/v1", "Job"), ("v1", "Pod"), ("v1", "Event")]
    opened = {(version, kind, "here"): mirror for version, kind in kinds}
    return _Watching([hook()], {"old"}, opened, lambda text: None)


@pytest.mark.parametrize(
    ("live", "seen"),
    [
        (None, False),
        (hook(uid="old", creationTimestamp="2099-01-01T00:00:00Z"), False),
        (hook(uid="new", creationTimestamp="1999-01-01T00:00:00Z"), True),
        (hook(uid="new", deletionTimestamp="2026-01-01T00:00:00Z"), False),
    ],
    ids=["none yet", "that of the time before", "a new one, by a clock that is wrong", "one that goes"],
)
def test_a_hook_is_seen_when_it_is_a_new_object(live: Object | None, seen: bool) -> None:
    assert watching(live)._live(hook()) == (live if seen else None)


def test_a_hook_tells_when_it_runs() -> None:
    assert when(hook()) == "pre-install"
