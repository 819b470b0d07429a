"""Nodes that are not there: for work at a scale that this machine does not have."""

import asyncio

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName

LABELS = {"type": "kwok"}
_PREFIX = "simulated-"
_AT_ONCE = 16


def is_simulated(node: Object) -> bool:
    """True for a node that only pretends."""
    return LABELS.items() <= (node["metadata"].get("labels") or {}).items()


def simulated_node(number: int) -> Object:
    """A node that is not there; real pods keep away from it."""
    room = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "1000"}
    name = f"{_PREFIX}{number}"
    labels = {**LABELS, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]},
        "status": {"allocatable": room, "capacity": room},
    }


async def scale(api: Api, wanted: int) -> None:
    """Have exactly so many simulated nodes."""
    there = {n["metadata"]["name"] for n in await api.list("v1", "Node") if is_simulated(n)}
    names = {f"{_PREFIX}{number}": number for number in range(wanted)}
    limit = asyncio.Semaphore(_AT_ONCE)

    async def add(number: int) -> None:
        async with limit:
            await api.create(simulated_node(number))

    async def take_away(name: str) -> None:
        async with limit:
            await api.delete(ObjectName("v1", "Node", "", name))

    async with asyncio.TaskGroup() as group:
        for name, number in names.items():
            if name not in there:
                group.create_task(add(number))
        for name in there - names.keys():
            group.create_task(take_away(name))
