"""Where the objects of a manifest go."""

import dataclasses
from typing import cast

from hypothesis import given

from carbon_platform.cluster.client import Api, MissingKind
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import BUILT_IN, ObjectName, Resource
from carbon_platform.release.place import place
from tests.manifests import manifests
from tests.objects import obj

ROLE, CONFIG = obj("ClusterRole", namespace=""), obj("ConfigMap", namespace="")


@dataclasses.dataclass
class KnowsKinds:
    """Stands in for the API server: says which kinds there are."""

    more: tuple[Resource, ...] = ()

    async def resource(self, api_version: str, kind: str) -> Resource:
        """As Api's own."""
        known = {**BUILT_IN} | {(one.api_version, one.kind): one for one in self.more}
        if (api_version, kind) not in known:
            raise MissingKind(f"no kind {kind}", "no CRD")
        return known[api_version, kind]


async def placed(*objects: Object, more: tuple[Resource, ...] = ()) -> list[str]:
    found = await place(objects, "here", cast(Api, KnowsKinds(more)))
    return [str(ObjectName.of(one)) for one in found]


def definition(kind: str, scope: str) -> Object:
    spec = {"group": "example.com", "scope": scope, "names": {"kind": kind}}
    return obj("CustomResourceDefinition", f"{kind.lower()}s.example.com", namespace="", spec=spec)


async def test_what_has_a_namespace_gets_one_and_what_has_none_loses_it() -> None:
    elsewhere = obj("ConfigMap", "b", namespace="there")
    told = await placed(CONFIG, elsewhere, ROLE, obj("ClusterRole", "b", namespace="here"))
    assert told == ["ConfigMap here/a", "ConfigMap there/b", "ClusterRole a", "ClusterRole b"]


async def test_the_scope_of_a_kind_that_is_not_there_yet_is_what_its_definition_says() -> None:
    wide, narrow = (obj(kind, namespace="", api_version="example.com/v1") for kind in ("Wide", "Narrow"))
    told = await placed(wide | {"metadata": {"name": "a", "namespace": "x"}}, narrow, definition("Wide", "Cluster"))
    assert told[:2] == ["Wide a", "Narrow here/a"]


async def test_the_api_server_knows_better_than_a_definition() -> None:
    wide = obj("Wide", namespace="", api_version="example.com/v1")
    there = Resource("example.com/v1", "Wide", "wides", namespaced=True)
    assert (await placed(wide, definition("Wide", "Cluster"), more=(there,)))[0] == "Wide here/a"


async def test_of_a_kind_that_nobody_knows_what_is_written_is_kept() -> None:
    there = obj("Thing", namespace="there", api_version="example.com/v1")
    assert await placed(there, {**there, "metadata": {"name": "b"}}) == ["Thing there/a", "Thing here/b"]


@given(manifests())
async def test_to_place_what_is_placed_changes_nothing(objects: list[Object]) -> None:
    api = cast(Api, KnowsKinds())
    once = await place(objects, "here", api)
    assert await place(once, "here", api) == once
