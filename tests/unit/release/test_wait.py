from carbon_platform.cluster.resources import ObjectName
from carbon_platform.health.cause import Cause, Kind, root


def cause(kind: Kind) -> Cause:
    return Cause(kind, ObjectName("apps/v1", "Deployment", "here", "app"), "it is so", "mend it")


def test_a_stuck_rollout_is_told_only_when_nothing_explains_it() -> None:
    stuck, image, crash = cause(Kind.ROLLOUT), cause(Kind.IMAGE), cause(Kind.CRASH_LOOP)
    assert root([stuck]) is stuck
    assert root([stuck, image]) is image
    assert root([crash, stuck, image]) is crash
