"""The cluster's own containerd: which images it has, and giving it more."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from carbon_platform.errors import CarbonError
from carbon_platform.local.catalogue import architecture

NAMESPACE = "k8s.io"
"""Where the kubelet looks for images."""


def ctr(socket: Path, *arguments: str, seconds: float = 600) -> str:
    """Output of a ctr command. Raises CarbonError with containerd's own words."""
    command = ["ctr", "--address", str(socket), "--namespace", NAMESPACE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    if done.returncode:
        tail = done.stderr.strip().splitlines()[-3:]
        raise CarbonError(f"containerd: ctr {' '.join(arguments[:2])} failed", "; ".join(tail), "carbon cluster status")
    return done.stdout


def images(socket: Path) -> set[str]:
    """References of the images on the node."""
    return set(ctr(socket, "images", "list", "--quiet").split())


def load(socket: Path, archive: Path) -> None:
    """Put the images of an archive on the node."""
    ctr(socket, "images", "import", str(archive))


def scratch_archive(
    target: Path, reference: str, files: Mapping[str, Path], links: Mapping[str, str], entrypoint: list[str], user: str
) -> None:
    """An image that is nothing but these files, in the format of `docker save`: no engine is needed to make it."""
    layer = target.with_suffix(".layer")
    with tarfile.open(layer, mode="w") as tar:
        for name, file in files.items():
            info = tarfile.TarInfo(name.lstrip("/"))
            info.size, info.mode = file.stat().st_size, 0o755
            with file.open("rb") as program:
                tar.addfile(info, program)
        for name, to in links.items():
            info = tarfile.TarInfo(name.lstrip("/"))
            info.type, info.linkname = tarfile.SYMTYPE, to
            tar.addfile(info)
        for folder, mode in (("tmp", 0o1777), ("etc", 0o755)):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, mode
            tar.addfile(info)
    with layer.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    config = json.dumps(
        {
            "architecture": architecture(),
            "os": "linux",
            "config": {"Entrypoint": entrypoint, "User": user, "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]).encode()
    with tarfile.open(target, mode="w") as tar:
        for path, text in ((name, config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(path)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
        tar.add(layer, f"{digest}/layer.tar")
    layer.unlink()
