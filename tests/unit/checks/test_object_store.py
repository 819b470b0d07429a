import datetime
import types
from typing import Any

import pytest

from carbon_platform.checks.object_store import compare, sweep
from carbon_platform.errors import CheckFailed


def test_equal_content_passes() -> None:
    compare(b"same", b"same")


@pytest.mark.parametrize("read", [b"", b"writte", b"Written"])
def test_content_that_is_cut_short_or_changed_fails_with_both_sizes(read: bytes) -> None:
    with pytest.raises(CheckFailed) as failure:
        compare(b"written", read)
    assert "7 bytes" in failure.value.cause
    assert f"{len(read)} bytes" in failure.value.cause


class Listing:
    """The two calls of an S3 client that sweeping needs, over a dictionary of names and ages."""

    def __init__(self, objects: dict[str, datetime.datetime]) -> None:
        self.objects = objects

    def list_objects(self, bucket: str, prefix: str) -> list[Any]:
        return [
            types.SimpleNamespace(object_name=name, last_modified=at)
            for name, at in self.objects.items()
            if name.startswith(prefix)
        ]

    def remove_object(self, bucket: str, name: str) -> None:
        del self.objects[name]


def test_only_probe_objects_older_than_the_limit_are_swept() -> None:
    noon = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
    hour = datetime.timedelta(hours=1)
    store = Listing({"probe/old": noon - hour, "probe/new": noon + hour, "kept/old": noon - hour})
    assert sweep(store, "carbon-probe", noon) == 1
    assert set(store.objects) == {"probe/new", "kept/old"}
