"""Why something is not ready: what the others wait for is told first."""

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.healing.explain import explain
from carbon_platform.healing.symptoms import Sign, Symptom, first_cause
from carbon_platform.health.cause import Kind
from tests.objects import conditions, obj, workload

STUCK = workload(
    "Deployment",
    uid="uid-stuck",
    spec={"replicas": 1, "selector": {"matchLabels": {"app": "a"}}},
    status=conditions(Progressing=("False", "ProgressDeadlineExceeded", "no progress")) | {"observedGeneration": 1},
)
JOB = workload(
    "Job", "schema", uid="uid-job", spec={"selector": {"matchLabels": {"job-name": "schema"}}}, status={"active": 1}
)


class StubCluster:
    """Stands in for the API server where only pods, events and replica sets are listed."""

    def __init__(self, *pods: Object) -> None:
        self._pods = pods

    async def list(self, api_version: str, kind: str, namespace: str | None) -> list[Object]:
        return [*self._pods] if kind == "Pod" else []


def pod_of_job(reason: str) -> Object:
    waiting = {"name": "main", "image": "x:1", "ready": False, "state": {"waiting": {"reason": reason}}}
    status = {"phase": "Pending", "containerStatuses": [waiting]}
    return obj("Pod", "schema-0", uid="uid-pod", labels={"job-name": "schema"}, spec={}, status=status)


def symptom(owner: Object) -> Symptom:
    return Symptom(Sign.UNREADY, str(ObjectName.of(owner)), "0/1 pods")


async def test_a_job_that_can_not_run_is_told_before_the_rollout_that_waits_for_it() -> None:
    api = StubCluster(pod_of_job("ErrImageNeverPull"))
    told = await explain([symptom(STUCK)], [STUCK, JOB], api)  # type: ignore[arg-type]
    assert [one.cause.kind for one in told if one.cause] == [Kind.IMAGE, Kind.ROLLOUT]
    assert told[0].object == str(ObjectName.of(JOB))
    assert told[0].fix
    cause = first_cause(reversed(told))
    assert cause is not None
    assert cause.kind is Kind.IMAGE


async def test_a_job_that_runs_is_no_symptom() -> None:
    told = await explain([symptom(STUCK)], [STUCK, JOB], StubCluster())  # type: ignore[arg-type]
    assert [one.object for one in told] == [str(ObjectName.of(STUCK))]


async def test_a_workload_whose_pods_are_ready_is_left_while_its_controller_may_be_behind() -> None:
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "db"}}}
    db = workload("StatefulSet", "db", spec=spec, status={"observedGeneration": 1, "updateRevision": "new"})
    labels = {"app": "db", "controller-revision-hash": "new"}
    ready = obj("Pod", "db-0", uid="uid-db", labels=labels, spec={}, status=conditions(Ready="True"))
    gone = obj("Pod", "db-0", uid="uid-db", labels=labels, spec={}, status=conditions(Ready="False"))
    for pod, behind, kinds in ((ready, "1 of 1 nodes were silent", [Kind.NODE]), (ready, "", []), (gone, "so", [])):
        told = await explain([symptom(db)], [db], StubCluster(pod), behind)  # type: ignore[arg-type]
        assert [one.cause.kind for one in told if one.cause] == kinds
