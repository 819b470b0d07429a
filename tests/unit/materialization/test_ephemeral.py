"""What went with the pods that were replaced is told, and nothing of pods that were not."""

from typing import Any

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.materialization.ephemeral import gone_with_pods
from tests.objects import obj

WORKED = "2026-01-01T12:00:00.000+00:00"


def pod(name: str, made: str, phase: str = "Running", **volumes: dict[str, Any]) -> Object:
    spec = {"volumes": [{"name": key} | volume for key, volume in volumes.items()]}
    return obj("Pod", name, spec=spec, status={"phase": phase}, creationTimestamp=made)


OLD = pod("db-0", "2026-01-01T11:00:00Z", cache={"emptyDir": {}})
NEW = pod("db-1", "2026-01-01T12:05:00Z", tmp={"emptyDir": {}}, data={"persistentVolumeClaim": {"claimName": "d"}})
PLAIN = pod("db-2", "2026-01-01T12:05:00Z")
JOB = pod("job", "2026-01-01T12:05:00Z", "Succeeded", work={"emptyDir": {}})


@pytest.mark.parametrize(
    ("pods", "since", "told"),
    [
        ([OLD, JOB], WORKED, ()),
        ([OLD, NEW], WORKED, ("what a pod that was replaced had in memory and in tmp (emptyDir)",)),
        ([NEW, PLAIN], WORKED, ("what 2 pods that were replaced had in memory and in tmp (emptyDir)",)),
        ([PLAIN], WORKED, ("what a pod that was replaced had in memory",)),
        ([NEW], "", ()),
        ([obj("Pod", "new", spec={}, status={})], WORKED, ()),
    ],
)
def test_what_went_with_replaced_pods(pods: list[Object], since: str, told: tuple[str, ...]) -> None:
    assert gone_with_pods(pods, since) == told
