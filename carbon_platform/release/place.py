"""Where the objects of a manifest go: in which namespace, or in none. The API server says which kinds have one."""

from collections.abc import Iterable, Sequence

from carbon_platform.cluster.client import Api, MissingKind
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import group_kind

_DEFINITION = "CustomResourceDefinition.apiextensions.k8s.io"


async def place(objects: Sequence[Object], namespace: str, api: Api) -> list[Object]:
    """The objects as the API server keeps them: `namespace` where one is needed and none written, none elsewhere.

    Of a kind that the API server does not have yet, its CRD among the objects says whether it has namespaces; of one
    that nobody knows, what is written is kept, and nothing written means `namespace`.
    """
    coming = _defined(objects)
    scoped: dict[tuple[str, str], bool | None] = {}
    for version, kind in {(obj["apiVersion"], obj["kind"]): None for obj in objects}:
        try:
            scoped[version, kind] = (await api.resource(version, kind)).namespaced
        except MissingKind:
            scoped[version, kind] = coming.get(group_kind({"apiVersion": version, "kind": kind}))
    return [_placed(obj, namespace, scoped[obj["apiVersion"], obj["kind"]]) for obj in objects]


def _defined(objects: Iterable[Object]) -> dict[str, bool]:
    """Whether each kind that is defined among the objects has namespaces, by its group and kind."""
    found = {}
    for obj in objects:
        spec = obj.get("spec")
        if group_kind(obj) == _DEFINITION and isinstance(spec, dict):
            names = spec.get("names")
            kind = names.get("kind") if isinstance(names, dict) else None
            found[f"{kind}.{spec.get('group')}"] = spec.get("scope") != "Cluster"
    return found


def _placed(obj: Object, namespace: str, namespaced: bool | None) -> Object:
    """`namespaced` is None where nobody knows."""
    written = obj["metadata"].get("namespace")
    if namespaced is False:
        metadata = {key: value for key, value in obj["metadata"].items() if key != "namespace"}
        return {**obj, "metadata": metadata}
    return obj if written else {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}
