"""What must exist before a release: its namespaces and Secrets. Made once and never removed.

Of their values Carbon changes none, but for those that are copied from another Secret: they follow their original.
"""

import base64
import dataclasses
import secrets
import string

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.release.copies import Copied, data_of, original, outdated_of, retrying, secret_name
from carbon_platform.spec.component import SecretKey, SecretSpec
from carbon_platform.spec.platform import Component

_ALPHABET = string.ascii_letters + string.digits
_LABELS = {"app.kubernetes.io/managed-by": "carbon"}


@dataclasses.dataclass(frozen=True)
class Preparation:
    """What is to do before a release can be applied."""

    missing: tuple[ObjectName, ...] = ()
    """Namespaces and Secrets that are to be made, or lack a key."""
    generated: tuple[str, ...] = ()
    """The keys that would be generated: namespace/name/key."""
    outdated: tuple[Copied, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.outdated)


def namespaces(component: Component) -> list[str]:
    """The namespaces a component's objects live in."""
    return list(component.release.namespaces if component.release else (component.namespace,))


def generated_keys(component: Component) -> tuple[str, ...]:
    """Every key that is generated for it, as namespace/name/key."""
    return tuple(
        f"{name.namespace}/{name.name}/{key}"
        for spec in component.secrets
        for name in [secret_name(spec, component)]
        for key, source in spec.keys.items()
        if source.generate is not None
    )


async def preparation(component: Component, api: Api) -> Preparation:
    """What preparing would make or copy again. Reads only; values are compared, and told to nobody."""
    absent = []
    for namespace in namespaces(component):
        name = ObjectName("v1", "Namespace", "", namespace)
        if await api.get(name) is None:
            absent.append(name)
    live = {
        name: await api.get(name) for name in dict.fromkeys(secret_name(spec, component) for spec in component.secrets)
    }
    lacking = [
        (name, key)
        for spec in component.secrets
        for name in [secret_name(spec, component)]
        for key in spec.keys
        if key not in data_of(live[name])
    ]
    absent += dict.fromkeys(name for name, _ in lacking)
    declared = set(generated_keys(component))
    places = (f"{name.namespace}/{name.name}/{key}" for name, key in lacking)
    outdated = await outdated_of(component, live, api)
    return Preparation(tuple(absent), tuple(place for place in places if place in declared), tuple(outdated))


async def prepare(component: Component, api: Api) -> list[str]:
    """Make what is missing; what was made. Raises Blocked when the source of a copied value is not there."""
    again = retrying()
    made: list[str] = []
    for namespace in namespaces(component):
        if await again(_namespace, namespace, api):
            made.append(f"Namespace {namespace}")
    for spec in component.secrets:
        if await again(_complete, spec, component, api):
            made.append(str(secret_name(spec, component)))
    return made


async def _namespace(name: str, api: Api) -> bool:
    if await api.get(ObjectName("v1", "Namespace", "", name)) is not None:
        return False
    body: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": _LABELS}}
    await api.create(body)
    return True


async def _complete(spec: SecretSpec, component: Component, api: Api) -> bool:
    """Add the keys that the Secret does not have. True when something was added."""
    name = secret_name(spec, component)
    live = await api.get(name)
    have = data_of(live)
    data = {key: await _value(source, name, api) for key, source in spec.keys.items() if key not in have}
    if not data:
        return False
    if live is None:
        metadata = {"name": name.name, "namespace": name.namespace, "labels": _LABELS}
        await api.create({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data})
    else:
        await api.replace({**live, "data": {**have, **data}})
    return True


async def _value(source: SecretKey, target: ObjectName, api: Api) -> str:
    """The value, encoded as a Secret has it."""
    if source.value_from is not None:
        return await original(source.value_from, target, api)
    if source.generate is not None:
        value = "".join(secrets.choice(_ALPHABET) for _ in range(source.generate))
    else:
        assert source.literal is not None, "one source is given: SecretKey checks it"
        value = source.literal
    return base64.b64encode(value.encode()).decode()
