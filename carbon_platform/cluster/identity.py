"""Which cluster it is, and whose: read in one request, from the namespace that no cluster can do without."""

import dataclasses

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import ConfigurationError, Conflict

OWNER = "carbon/environment"
"""The annotation that says whose cluster it is."""
_NAMESPACE = ObjectName("v1", "Namespace", "", "kube-system")
_ATTEMPTS = 5


@dataclasses.dataclass(frozen=True)
class Identity:
    """What is known of a cluster before anything else is read."""

    uid: str
    """Tells clusters apart, also ones that had the same name."""
    owner: str
    """The environment whose name it carries; empty when it carries none."""
    version: str
    """Of the namespace."""


async def identity(api: Api, *, patience: float | None = None) -> Identity:
    """Read it. Raises Unreachable after `patience` seconds."""
    path = f"/api/v1/namespaces/{_NAMESPACE.name}"
    found = await api.request("GET", path, what=f"get {_NAMESPACE}", patience=patience)
    metadata = found["metadata"]
    owner = (metadata.get("annotations") or {}).get(OWNER, "")
    return Identity(str(metadata["uid"]), str(owner), str(metadata["resourceVersion"]))


def refuse_other(owner: str, environment: str, cluster: str) -> None:
    """Raise ConfigurationError when the cluster carries the name of another environment."""
    if owner and owner != environment:
        raise ConfigurationError(
            f"{cluster} is the cluster of environment {owner!r}, not of {environment!r}; nothing of it was read",
            f"its {_NAMESPACE} carries that name in the annotation {OWNER}",
            f"carbon --env {owner} …; if it is to be that of {environment!r} from now on:"
            f" carbon env adopt --env {environment}",
        )


async def claim(api: Api, environment: str, *, over: str = "") -> None:
    """Write the environment's name into the cluster, in place of the name `over`.

    Raises ConfigurationError when it carries another name by then, PermissionDenied when that may not be written.
    """
    for attempt in range(_ATTEMPTS):
        found = await identity(api)
        if found.owner != over:
            refuse_other(found.owner, environment, str(api.target))
        if found.owner == environment:
            return
        # Of two that come at once, one gets a conflict, and then sees the other's name.
        metadata = {"annotations": {OWNER: environment}, "resourceVersion": found.version}
        try:
            await api.patch(_NAMESPACE, {"metadata": metadata})
        except Conflict:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return
