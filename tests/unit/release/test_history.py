"""What Helm remembers of a release."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.release.helm import decode_release, encode_release
from carbon_platform.release.history import Revision
from carbon_platform.release.inputs import LABEL, Inputs

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def stored(release: dict[str, Any], status: str = "deployed") -> Revision:
    return Revision(3, status, {"metadata": {"namespace": "here"}, "data": {"release": encode_release(release)}})


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_a_release_is_read_as_it_was_stored(release: dict[str, Any]) -> None:
    assert decode_release({"data": {"release": encode_release(release)}}) == release


def test_the_objects_of_a_manifest_are_known_by_name() -> None:
    objects = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "b", "namespace": "there"}},
    ]
    manifest = "---\n# Source: a comment\n---\n" + yaml.safe_dump_all(objects)
    revision = stored({"manifest": manifest, "chart": {"metadata": {"version": "1.2.3"}}})
    assert revision.objects() == [
        ObjectName("v1", "ConfigMap", "", "a"),
        ObjectName("apps/v1", "Deployment", "there", "b"),
    ]
    assert revision.versions().chart == "1.2.3"


@pytest.mark.parametrize(
    ("status", "pending"),
    [
        ("deployed", False),
        ("failed", False),
        ("superseded", False),
        ("pending-install", True),
        ("pending-upgrade", True),
        ("pending-rollback", True),
        ("uninstalling", True),
    ],
)
def test_a_revision_in_the_middle_of_something_is_pending(status: str, pending: bool) -> None:
    assert stored({}, status).pending is pending


def made_by(label: str, *managers: str) -> Revision:
    fields = [{"manager": manager} for manager in managers]
    metadata = {"labels": {LABEL: label}, "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": fields}
    return Revision(3, "deployed", {"metadata": metadata})


OURS = Inputs("0" * 16, "0" * 8)


def test_a_revision_is_ours_by_its_label_with_its_number_or_by_the_records() -> None:
    assert not made_by(OURS.label(3)).by_somebody_else(None)
    assert made_by(OURS.label(2)).by_somebody_else(2)
    assert not made_by(OURS.label(2)).by_somebody_else(3)
    assert made_by("").by_somebody_else(None)


def test_a_revision_tells_the_program_that_made_it_and_when() -> None:
    assert made_by("", "helm-controller", "carbon").made == "by helm-controller at 2026-01-01T00:00:00Z"
    assert made_by("").made == "by Helm at 2026-01-01T00:00:00Z"


def test_its_hooks_are_known_as_objects() -> None:
    hook = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a", "annotations": {"helm.sh/hook": "test"}}}
    assert stored({"hooks": [{"manifest": yaml.safe_dump(hook)}]}).hooks == (hook,)
    assert stored({"hooks": None}).hooks == ()
