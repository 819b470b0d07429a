"""What a plan would do, on a stand-in for the API server that keeps what it is given."""

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.client import Api, MissingKind
from carbon_platform.cluster.errors import Rejected
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import BUILT_IN, ObjectName, Resource, is_custom
from carbon_platform.materialization.preflight import unchangeable
from carbon_platform.release.desired import Desired, Rendered
from carbon_platform.release.guard import risks
from carbon_platform.release.helm import encode_release
from carbon_platform.release.history import newest
from carbon_platform.release.inputs import Inputs
from carbon_platform.release.manifest import load_objects
from carbon_platform.release.place import place
from carbon_platform.release.plan import Action, Plan, plan
from carbon_platform.spec.component import ChartRef, DriftSpec
from carbon_platform.spec.platform import Chart, Component, Release
from carbon_platform.spec.rules import NO_RULES, Rules
from tests.manifests import manifests, texts_of
from tests.objects import obj, workload


class ServerOfObjects:
    """Stands in for the API server: keeps objects, and takes an apply for what the object then is."""

    def __init__(self, *live: Object, frozen: Sequence[str] = ()) -> None:
        self.live = {ObjectName.of(one): self._kept(one) for one in live}
        self.secrets: list[Object] = []
        self.frozen = frozen
        """Kinds that it refuses to change."""

    def _kept(self, one: Object) -> Object:
        more = {"uid": str(ObjectName.of(one)) + one["apiVersion"], "resourceVersion": "1"}
        return {**copy.deepcopy(one), "metadata": {**one["metadata"], **more}}

    async def resource(self, api_version: str, kind: str) -> Resource:
        """As Api's own."""
        if (api_version, kind) in BUILT_IN:
            return BUILT_IN[api_version, kind]
        if not is_custom(api_version, kind):
            raise MissingKind(f"no kind {kind}", "no CRD")
        return Resource(api_version, kind, f"{kind.lower()}s", namespaced=True)

    async def get(self, name: ObjectName) -> Object | None:
        """As Api's own; every namespace is there."""
        if name.kind == "Namespace":
            return self.live.get(name, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name.name}})
        return self.live.get(name)

    find = get

    async def list(self, *_: Any, **__: Any) -> Sequence[Object]:
        """As Api's own, of Helm's storage alone."""
        return self.secrets

    async def create(self, one: Object, **_: Any) -> Object:
        """As Api's own, of a dry run."""
        return self._kept(one)

    async def replace(self, one: Object, **_: Any) -> Object:
        """As Api's own, of a dry run."""
        return one

    async def apply(self, one: Object, **_: Any) -> Object:
        """As Api's own, of a dry run."""
        live = self.live.get(ObjectName.of(one), {})
        changed = live and any(live.get(part) != one.get(part) for part in ("spec", "roleRef", "value"))
        if changed and one["kind"] in self.frozen:
            told = f'{one["kind"]} "a" is invalid: field is immutable'
            raise Rejected(f"apply {ObjectName.of(one)}", told, immutable=True)
        return self._kept(one)

    def deployed(self, manifest: str, **more: Any) -> None:
        """A revision of Helm with this manifest, applied."""
        content = {"manifest": manifest, "chart": {"metadata": {"version": "1.0.0"}, "files": []}, **more}
        labels = {"version": "1", "status": "deployed", "name": "app"}
        metadata = {"namespace": "here", "labels": labels}
        self.secrets = [{"metadata": metadata, "data": {"release": encode_release(content)}}]


RELEASE = Release("app", "here", ("here",), Chart(ChartRef(path="app"), None), {}, stateful=False)
NOBODY_ELSE = DriftSpec()


@dataclasses.dataclass(frozen=True)
class Planned:
    """As much of a component as planning reads: one release in namespace `here`."""

    release: Release = RELEASE
    key: str = "app"
    digest: str = "digest"
    drift: DriftSpec = NOBODY_ELSE
    rules: Rules = NO_RULES


async def planned(server: ServerOfObjects, *desired: Object) -> Plan:
    """What a new render that makes these would change."""
    api, revision = cast(Api, server), newest(server.secrets)
    rendered = Rendered("", Inputs("", ""))
    objects = tuple(await place(desired, "here", api))
    return await plan(cast(Component, Planned()), Desired((), objects, revision, rendered), api)


def told(found: Plan) -> list[str]:
    return [f"{change.action} {change.object.api_version} {change.object}" for change in found.changes]


@given(manifests(), manifests(), st.data())
async def test_nothing_is_deleted_that_the_same_plan_makes(
    before: list[Object], after: list[Object], data: st.DataObject
) -> None:
    text = data.draw(texts_of(before))
    api = ServerOfObjects()
    api.live = ServerOfObjects(*await place(load_objects(text), "here", cast(Api, api))).live
    api.deployed(text)
    found = await planned(api, *after)
    made = {ObjectName.of(one) for one in await place(after, "here", cast(Api, api))}
    gone = {change.object for change in found.changes if change.action is Action.DELETE}
    assert not gone & made
    assert gone == set(api.live) - made


@given(manifests(), st.data())
async def test_what_was_applied_has_nothing_to_do_however_it_was_written(
    objects: list[Object], data: st.DataObject
) -> None:
    text = data.draw(texts_of(objects))
    api = ServerOfObjects()
    api.live = ServerOfObjects(*await place(load_objects(text), "here", cast(Api, api))).live
    api.deployed(text)
    assert told(await planned(api, *objects)) == []


OLD, NEW = (obj("Vault", api_version=f"{group}.example/v1", spec={"keys": 1}) for group in ("old", "new"))
"""The same kind and name in two API groups: two objects."""


async def test_an_object_that_moves_to_another_group_is_made_there_and_deleted_here_with_a_word() -> None:
    api = ServerOfObjects(OLD)
    api.deployed(yaml.safe_dump(OLD))
    found = await planned(api, NEW)
    assert told(found) == ["create new.example/v1 Vault here/a", "delete old.example/v1 Vault here/a"]
    assert [risk.word for risk in risks(found, True, None)] == ["delete:Vault/here/a"]


async def test_an_object_that_two_groups_serve_is_one() -> None:
    api = ServerOfObjects(OLD, NEW)
    for live in api.live.values():
        live["metadata"]["uid"] = "one"
    api.deployed(yaml.safe_dump(OLD))
    assert told(await planned(api, NEW)) == []


async def test_an_object_that_goes_on_in_another_version_is_the_same() -> None:
    newer = {**OLD, "apiVersion": "old.example/v2"}
    api = ServerOfObjects(newer)
    api.deployed(yaml.safe_dump(OLD))
    assert told(await planned(api, newer)) == []


async def test_a_cluster_wide_object_is_one_with_and_without_a_namespace() -> None:
    role = obj("ClusterRole")
    api = ServerOfObjects({**role, "metadata": {"name": "a"}})
    api.deployed(yaml.safe_dump(role))
    assert told(await planned(api, role)) == []


def job(**spec: Any) -> Object:
    return workload("Job", spec={"template": {"spec": {"containers": [{"name": "a", "image": "a"}]}}, **spec})


async def test_a_job_that_vanished_as_it_declares_has_run() -> None:
    api = ServerOfObjects()
    api.deployed(yaml.safe_dump(job(ttlSecondsAfterFinished=0)))
    assert told(await planned(api, job(ttlSecondsAfterFinished=0))) == []


async def test_a_job_that_changed_or_was_never_run_or_declares_no_end_is_made() -> None:
    api = ServerOfObjects()
    assert told(await planned(api, job(ttlSecondsAfterFinished=0))) == ["create batch/v1 Job here/a"]
    api.deployed(yaml.safe_dump(job(ttlSecondsAfterFinished=0)))
    assert told(await planned(api, job(ttlSecondsAfterFinished=9))) == ["create batch/v1 Job here/a"]
    api.deployed(yaml.safe_dump(job()))
    assert told(await planned(api, job())) == ["create batch/v1 Job here/a"]


async def test_with_anything_else_to_do_the_plan_says_that_a_vanished_job_runs_again() -> None:
    api, config = ServerOfObjects(), obj("ConfigMap")
    api.deployed(yaml.safe_dump_all([job(ttlSecondsAfterFinished=0), config]))
    found = await planned(api, job(ttlSecondsAfterFinished=0), config)
    assert told(found) == ["create batch/v1 Job here/a", "create v1 ConfigMap here/a"]


UNCHANGEABLE = {
    "RoleBinding": ({"roleRef": {"name": "x"}}, "kubectl delete rolebinding.rbac.authorization.k8s.io a -n here"),
    "PriorityClass": ({"value": 2}, "kubectl delete priorityclass.scheduling.k8s.io a"),
    "Service": ({"spec": {"clusterIP": "10.0.0.9"}}, "kubectl delete service a -n here"),
    "PersistentVolumeClaim": ({"spec": {"storageClassName": "x"}}, "save the data"),
}


@pytest.mark.parametrize("kind", UNCHANGEABLE)
async def test_what_can_not_be_changed_in_place_is_told_before_anything_is(kind: str) -> None:
    body, fix = UNCHANGEABLE[kind]
    api = ServerOfObjects(*await place([obj(kind)], "here", cast(Api, ServerOfObjects())), frozen=[kind])
    (problem,) = unchangeable(await planned(api, obj(kind) | body))
    assert kind in problem.text
    assert "field is immutable" in problem.text
    assert fix in problem.fix
    assert ("kubectl delete" in problem.fix) == (kind != "PersistentVolumeClaim")


async def test_a_workload_is_made_anew_where_it_can_not_be_changed() -> None:
    api = ServerOfObjects(job(), frozen=["Job"])
    found = await planned(api, job(completions=2))
    assert told(found) == ["refused batch/v1 Job here/a"]
    assert unchangeable(found) == []
