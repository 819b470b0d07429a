"""What healing may write: never data, and nothing beyond its remedy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import Blocked, CarbonError, Conflict, DataAtRisk, Overtaken
from carbon_platform.materialization.apply_remedy import IDEMPOTENT, may_run_again
from carbon_platform.materialization.remedy import Remedy, check_touches, check_volumes, check_wanted
from carbon_platform.records import Record
from carbon_platform.release.history import Revision
from carbon_platform.release.plan import Action, Change, Plan
from carbon_platform.release.volumes import end_pod, lost_volumes, volumes_of
from tests.definitions import Definitions
from tests.objects import obj, version_of, workload

DATA = ["PersistentVolumeClaim", "PersistentVolume", "Namespace"]
WORKLOADS = ["Deployment", "StatefulSet", "DaemonSet", "CronJob"]
KINDS = [*DATA, *WORKLOADS, "Job", "Service", "ConfigMap", "Secret", "CustomResourceDefinition"]
CHANGES = st.builds(lambda a, k: change(a, k), st.sampled_from(Action), st.sampled_from(KINDS))


def change(action: Action, kind: str) -> Change:
    return Change(action, ObjectName(version_of(kind), kind, "here", "db"), reason="field is immutable")


def refusal(remedy: Remedy, *changes: Change) -> CarbonError | None:
    try:
        check_touches(remedy, Plan("db", "digest", changes, None))
    except CarbonError as error:
        return error
    return None


@pytest.mark.parametrize("remedy", Remedy)
@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("action", [Action.CREATE, Action.UPDATE, Action.DELETE, Action.REFUSED])
def test_no_remedy_writes_what_holds_data(remedy: Remedy, kind: str, action: Action) -> None:
    refused = refusal(remedy, change(action, kind))
    assert isinstance(refused, DataAtRisk)
    assert f"{kind} here/db" in refused.cause
    assert "nothing was changed" in refused.summary


@given(st.sampled_from(Remedy), st.lists(CHANGES, max_size=4))
def test_no_remedy_deletes_anything_or_makes_a_workload_anew(remedy: Remedy, changes: list[Change]) -> None:
    bad = [
        c for c in changes if c.action is Action.DELETE or (c.action is Action.REFUSED and c.object.kind in WORKLOADS)
    ]
    refused = refusal(remedy, *changes)
    if bad:
        assert isinstance(refused, DataAtRisk)
        assert str(bad[0].object) in refused.cause


ALLOWED = {
    Remedy.VERIFY: [],
    Remedy.WAKE: [],
    Remedy.REPOINT: ["Service"],
    Remedy.RESTART: ["Deployment", "StatefulSet", "DaemonSet"],
    Remedy.RECOPY: ["Secret", "Deployment", "StatefulSet", "DaemonSet"],
    Remedy.RERUN_JOB: ["Job"],
    Remedy.REAPPLY: sorted(set(KINDS) - set(DATA)),
}


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(DATA)))
@pytest.mark.parametrize("remedy", ALLOWED)
def test_a_remedy_writes_what_it_is_for_and_for_more_the_decision_is_made_anew(remedy: Remedy, kind: str) -> None:
    """Not one that could cost data: another look will find the right remedy."""
    for action in (Action.CREATE, Action.UPDATE):
        refused = refusal(remedy, change(action, kind))
        assert (refused is None) is (kind in ALLOWED[remedy])
        assert refused is None or (isinstance(refused, Conflict) and f"{action} {kind} here/db" in refused.cause)


def test_a_job_may_be_made_anew_and_what_waits_for_its_kind_is_no_write() -> None:
    assert refusal(Remedy.REAPPLY, change(Action.REFUSED, "Job")) is None
    assert refusal(Remedy.VERIFY, change(Action.DEFERRED, "ConfigMap")) is None


def test_a_job_runs_twice_only_when_its_chart_says_so() -> None:
    assert may_run_again(workload("Job", annotations={IDEMPOTENT: "true"}))
    assert not may_run_again(workload("Job", annotations={IDEMPOTENT: "false"}))
    assert not may_run_again(workload("Job", annotations=None))
    assert not may_run_again(workload("Job"))


class StubClaims:
    """Stands in for the API server where only claims are read."""

    def __init__(self, *claims: Object) -> None:
        self._claims = claims
        self.deleted: list[str] = []

    async def get(self, name: ObjectName) -> Object | None:
        return next((claim for claim in self._claims if ObjectName.of(claim) == name), None)

    async def list(self, api_version: str, kind: str, namespace: str) -> list[Object]:
        return [claim for claim in self._claims if claim["metadata"]["namespace"] == namespace]

    async def delete(self, name: ObjectName) -> None:
        self.deleted.append(str(name))


def claim(name: str, **metadata: object) -> Object:
    return obj("PersistentVolumeClaim", name, uid=f"uid-{name}", **metadata)


def pod(*claims: str) -> Object:
    volumes = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims]
    return obj("Pod", spec={"volumes": [*volumes, {"name": "config", "configMap": {"name": "x"}}]})


async def test_the_volumes_of_a_component_are_those_that_its_pods_mount() -> None:
    api = StubClaims(claim("data-0"), claim("data-1"), claim("another"))
    found = await volumes_of([pod("data-0"), pod("data-1"), obj("Pod", spec={})], api)  # type: ignore[arg-type]
    assert found == {"here/data-0": "uid-data-0", "here/data-1": "uid-data-1"}


async def test_a_volume_is_lost_when_its_claim_is_gone_or_goes_with_its_pod() -> None:
    had = {"here/data-0": "uid-data-0", "here/data-1": "uid-data-1", "here/data-2": "uid-data-2"}
    api = StubClaims(claim("data-0"), claim("data-1", deletionTimestamp="2026-01-01T00:00:00Z"))
    assert [name.name for name in await lost_volumes(had, api)] == ["data-1", "data-2"]  # type: ignore[arg-type]


async def test_a_pod_is_ended_only_when_no_volume_goes_with_it() -> None:
    api = StubClaims(claim("data-0"), claim("data-1", deletionTimestamp="2026-01-01T00:00:00Z"))
    for doomed in ("data-1", "data-2"):
        with pytest.raises(DataAtRisk, match="so it was left") as refused:
            await end_pod(pod("data-0", doomed), api)  # type: ignore[arg-type]
        assert doomed in refused.value.cause
        assert "data-0" not in refused.value.cause
    assert api.deleted == []
    await end_pod(pod("data-0"), api)  # type: ignore[arg-type]
    assert len(api.deleted) == 1


def test_nothing_is_restarted_whose_volume_goes_when_its_pod_ends(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("db")
    component = definitions.load().components["db"]
    lost = [ObjectName("v1", "PersistentVolumeClaim", "here", "data-0")]
    for remedy in Remedy:
        check_volumes(component, remedy, [])
    for remedy in (Remedy.RESTART, Remedy.RECOPY, Remedy.ROLL_BACK):
        with pytest.raises(DataAtRisk, match="nothing was changed") as refused:
            check_volumes(component, remedy, lost)
        assert "data-0" in refused.value.cause
    check_volumes(component, Remedy.VERIFY, lost)


def stored(status: str) -> Revision:
    return Revision(1, status, {})


def test_healing_brings_back_nothing_that_somebody_took_down(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("db")
    component = definitions.load().components["db"]
    verified, deployed = Record("db", verified_at="2026-01-01T00:00:00+00:00"), stored("deployed")
    check_wanted(component, None, Record("db"), [None])
    for remedy in Remedy:
        check_wanted(component, remedy, verified, [deployed, stored("failed")])
        with pytest.raises(Overtaken, match="it was taken down"):
            check_wanted(component, remedy, Record("db"), [deployed])
        for revision in (None, stored("uninstalled"), stored("uninstalling")):
            with pytest.raises(Blocked, match="was uninstalled, so healing leaves it"):
                check_wanted(component, remedy, verified, [deployed, revision])
