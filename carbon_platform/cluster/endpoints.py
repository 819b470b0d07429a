"""What stands ready behind a Service, by its EndpointSlices: the one way from a Service to its pods. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from carbon_platform.cluster.reach import Object

KIND = ("discovery.k8s.io/v1", "EndpointSlice")
OF_SERVICE = "kubernetes.io/service-name"
"""The label that says of which Service a slice is."""


def ready(slices: Iterable[Object], *, every: bool = False) -> Iterator[tuple[Object, Mapping[str, Any]]]:
    """The endpoints that are ready, each with its slice.

    One whose readiness is not said counts as ready, as the EndpointSlice API defines it. `every`: whether ready or
    not, as of a Service that publishes addresses that are not.
    """
    for one in slices:
        for endpoint in one.get("endpoints") or ():
            if every or (endpoint.get("conditions") or {}).get("ready") is not False:
                yield one, endpoint
