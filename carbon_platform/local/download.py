"""A program's official build, its checksum verified; tried once, and quickly."""

import hashlib
import re
import tarfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from carbon_platform.errors import CarbonError
from carbon_platform.local.catalogue import Source, architecture
from carbon_platform.local.packages import Report

if TYPE_CHECKING:
    import httpx2

_CONNECT_SECONDS = 3.0
_READ_SECONDS = 30.0
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_refused = threading.Event()
"""Set once the network said no: nothing is tried again in this process."""


def fetch(source: Source, target: Path, report: Report) -> bool:
    """Put the official build at `target`; False where it can't be had.

    Raises CarbonError when something else is offered under its name.
    """
    if not source.download or _refused.is_set():
        return False
    import httpx2

    url, sums = (text.format(arch=architecture()) for text in (source.download, source.checksum))
    archive = target.with_suffix(".download")
    try:
        timeout = httpx2.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
        with httpx2.Client(timeout=timeout, follow_redirects=True) as client:
            answer = client.get(sums)
            answer.raise_for_status()
            wanted = checksum(answer.text, url.rpartition("/")[2])
            if wanted is None:
                return False
            report(f"downloading {source.name} {source.version}")
            found = _save(client, url, archive)
    except httpx2.HTTPError as error:
        # A missing file says nothing about the others; any other refusal does.
        if not (isinstance(error, httpx2.HTTPStatusError) and error.response.status_code == 404):
            _refused.set()
        return False
    if found != wanted:
        raise CarbonError(
            f"{source.name} {source.version} was downloaded with a wrong checksum",
            f"{url} is not what {sums} says",
            "try again; if it stays so, somebody changes what you download",
        )
    if url.endswith((".tar.gz", ".tgz")):
        _unpack(archive, source.name, target)
    else:
        archive.replace(target)
    return True


def checksum(text: str, file: str) -> str | None:
    """The SHA-256 of `file` in a published list of sums, or in one that is of this file alone.

    None when it is no such list: a page of a proxy, say.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    named = [words[0] for words in lines if len(words) > 1 and words[-1].lstrip("*./").endswith(file)]
    bare = [words[0] for words in lines if len(words) == 1]
    found = (named or bare or [""])[0].lower()
    return found if _SHA256.match(found) else None


def _save(client: "httpx2.Client", url: str, target: Path) -> str:
    digest = hashlib.sha256()
    with client.stream("GET", url) as answer, target.open("wb") as file:
        answer.raise_for_status()
        for block in answer.iter_bytes():
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _unpack(archive: Path, name: str, target: Path) -> None:
    with tarfile.open(archive) as content:
        for member in content:
            found = content.extractfile(member) if member.isfile() and Path(member.name).name == name else None
            if found is not None:
                with target.open("wb") as file:
                    while block := found.read(1 << 20):
                        file.write(block)
                return
    raise CarbonError(f"the archive of {name} does not hold it", "its layout changed", "report this")
