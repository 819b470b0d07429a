"""What a cluster needs to be one: access rules, DNS, volumes, metrics; made of our own manifests and images."""

import asyncio
import string
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.local import containerd
from carbon_platform.local import layout as at
from carbon_platform.local.layout import Layout
from carbon_platform.local.node import PAUSE_IMAGE

FIELD_MANAGER = "carbon-cluster"
_MANIFESTS = Path(__file__).parent / "manifests"
_NOBODY = "65532:65532"
_REFERENCES = {
    "COREDNS": ("coredns", "1.12.4"),
    "LOCAL_PATH": ("local-path-provisioner", "0.0.30"),
    "METRICS_SERVER": ("metrics-server", "0.9.0"),
}
_HELPER = "localhost/carbon/volume-helper:1"
_FIRST = ("Namespace", "ServiceAccount")
"""What the other objects are in, or name."""


def _reference(name: str, version: str) -> str:
    return f"localhost/carbon/{name}:{version}"


def provide_images(layout: Layout, programs: Mapping[str, Path], busybox: Path) -> None:
    """Put the addons' images on the node, those that it does not have: each is one program and nothing else."""
    wanted: dict[str, tuple[dict[str, Path], dict[str, str], list[str], str]] = {
        PAUSE_IMAGE: ({"/pause": programs["pause"]}, {}, ["/pause"], _NOBODY),
        # It makes folders that belong to root.
        _HELPER: ({"/bin/busybox": busybox}, {f"/bin/{n}": "busybox" for n in ("sh", "mkdir", "rm")}, ["/bin/sh"], "0"),
    }
    for name, version in _REFERENCES.values():
        wanted[_reference(name, version)] = ({f"/{name}": programs[name]}, {}, [f"/{name}"], _NOBODY)
    there = containerd.images(layout.containerd_socket)
    for reference, (files, links, entrypoint, user) in wanted.items():
        if reference not in there:
            with tempfile.TemporaryDirectory(dir=layout.folder) as folder:
                archive = Path(folder) / "image.tar"
                containerd.scratch_archive(archive, reference, files, links, entrypoint, user)
                containerd.load(layout.containerd_socket, archive)


def manifests(layout: Layout) -> list[Object]:
    """The objects of the addons, for this layout; the access rules alone when no real pod runs."""
    resolv = layout.config / "resolv.conf"
    forward = resolv.is_file() and "nameserver" in resolv.read_text(encoding="utf-8")
    names: dict[str, Any] = {
        "DOMAIN": at.CLUSTER_DOMAIN,
        "DNS_IP": at.DNS_IP,
        "FORWARD": "forward . /etc/resolv.conf" if forward else "",
        "VOLUMES": layout.volumes,
        "HELPER": _HELPER,
        **{key: _reference(*value) for key, value in _REFERENCES.items()},
    }
    files = ["access", *(("dns", "storage", "metrics") if layout.real_node else ())]
    found: list[Object] = []
    for file in files:
        text = (_MANIFESTS / f"{file}.yaml").read_text(encoding="utf-8")
        found += [obj for obj in yaml.safe_load_all(string.Template(text).safe_substitute(names)) if obj]
    return found


async def apply(api: Api, objects: list[Object]) -> None:
    """Make the addons as they should be."""
    for early in (True, False):
        batch = [obj for obj in objects if (obj["kind"] in _FIRST) is early]
        await asyncio.gather(*(api.apply(obj, manager=FIELD_MANAGER) for obj in batch))
