"""Charts that a test writes itself, file by file."""

from collections.abc import Mapping
from typing import Any

import yaml

from carbon_platform.cluster.client import Api
from carbon_platform.inspect.plans import Planned, plans_of
from carbon_platform.release.history import revisions
from carbon_platform.session import Session
from tests.cluster.platform import Platform


def chart(platform: Platform, files: Mapping[str, str], name: str = "made", **metadata: Any) -> dict[str, str]:
    """A chart with these files, by their paths in it; how a definition names it."""
    folder = platform.folder / "made" / name
    about = {"apiVersion": "v2", "name": name, "version": "1.0.0"} | metadata
    for path, text in {"Chart.yaml": yaml.safe_dump(about), **files}.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return {"path": f"made/{name}"}


async def numbers(platform: Platform, api: Api, key: str = "app") -> list[int]:
    """The revisions that Helm has of a component's release."""
    release = platform.load().components[key].release
    assert release is not None
    return [revision.number for revision in await revisions(api, release)]


async def seen(platform: Platform, session: Session, key: str = "app") -> Planned:
    """A look at one component, without an error."""
    found = (await plans_of(platform.load(), [key], session))[key]
    assert found.error is None, found.error.told
    return found


def changes(found: Planned) -> list[str]:
    """What is planned, object by object."""
    assert found.plan is not None
    return [f"{change.action} {change.object.kind}/{change.object.name}" for change in found.plan.changes]


def fields(found: Planned) -> list[str]:
    """What is planned, field by field."""
    assert found.plan is not None
    return [str(field) for change in found.plan.changes for field in change.fields]
