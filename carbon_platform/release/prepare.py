"""What must exist before a release: its namespaces and Secrets. Made once, never changed, never removed."""

import base64
import secrets
import string

import tenacity

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import Blocked, Conflict, Unreachable
from carbon_platform.spec.component import SecretKey, SecretSpec
from carbon_platform.spec.platform import Component

_ALPHABET = string.ascii_letters + string.digits
_ATTEMPTS = 6
_LABELS = {"app.kubernetes.io/managed-by": "carbon"}


def namespaces(component: Component) -> list[str]:
    """The namespaces a component's objects live in."""
    return list(component.release.namespaces if component.release else (component.namespace,))


async def missing(component: Component, api: Api) -> list[ObjectName]:
    """Namespaces and Secrets (or keys of them) that preparing would make. Reads only."""
    absent = []
    for namespace in namespaces(component):
        name = ObjectName("v1", "Namespace", "", namespace)
        if await api.get(name) is None:
            absent.append(name)
    for spec in component.secrets:
        name = _name(spec, component)
        live = await api.get(name)
        if live is None or set(spec.keys) - set(live.get("data") or {}):
            absent.append(name)
    return absent


async def prepare(component: Component, api: Api) -> list[str]:
    """Make what is missing; what was made. Raises Blocked when the source of a copied value is not there."""
    # Another component's writer may be a moment faster, or the answer get lost: what is there then is looked at anew.
    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type((Conflict, Unreachable)),
        wait=tenacity.wait_random_exponential(multiplier=0.05, max=1),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )
    made: list[str] = []
    for namespace in namespaces(component):
        if await retrying(_namespace, namespace, api):
            made.append(f"Namespace {namespace}")
    for spec in component.secrets:
        if await retrying(_complete, spec, component, api):
            made.append(str(_name(spec, component)))
    return made


def _name(spec: SecretSpec, component: Component) -> ObjectName:
    return ObjectName("v1", "Secret", spec.namespace or component.namespace, spec.name)


async def _namespace(name: str, api: Api) -> bool:
    if await api.get(ObjectName("v1", "Namespace", "", name)) is not None:
        return False
    body: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": _LABELS}}
    await api.create(body)
    return True


async def _complete(spec: SecretSpec, component: Component, api: Api) -> bool:
    """Add the keys that the Secret does not have. True when something was added."""
    name = _name(spec, component)
    live = await api.get(name)
    have = (live or {}).get("data") or {}
    values = {key: await _value(source, name, api) for key, source in spec.keys.items() if key not in have}
    if not values:
        return False
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    if live is None:
        metadata = {"name": name.name, "namespace": name.namespace, "labels": _LABELS}
        await api.create({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data})
    else:
        await api.replace({**live, "data": {**have, **data}})
    return True


async def _value(source: SecretKey, target: ObjectName, api: Api) -> str:
    if source.generate is not None:
        return "".join(secrets.choice(_ALPHABET) for _ in range(source.generate))
    if source.literal is not None:
        return source.literal
    assert source.value_from is not None, "one source is given: SecretKey checks it"
    origin = ObjectName("v1", "Secret", source.value_from.namespace or target.namespace, source.value_from.secret)
    found = ((await api.get(origin) or {}).get("data") or {}).get(source.value_from.key)
    if found is None:
        raise Blocked(
            f"{target} can't be made",
            f"its value comes from key {source.value_from.key!r} of {origin}, which is not there",
            "deploy the component that makes it first",
        )
    return base64.b64decode(found).decode()
