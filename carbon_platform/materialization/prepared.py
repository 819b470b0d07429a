"""What is made before a release: never in place of what was there, but on a person's word."""

from collections.abc import Collection

from carbon_platform.cluster.reach import Object
from carbon_platform.errors import DataAtRisk
from carbon_platform.materialization.outcome import Options
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.release.copies import Copied, readers
from carbon_platform.release.guard import generated_anew, refuse
from carbon_platform.release.ledger import Ledger
from carbon_platform.release.prepare import Preparation
from carbon_platform.spec.platform import Component


def guard_prepared(component: Component, preparation: Preparation, known: Ledger, options: Options) -> None:
    """Raise DataAtRisk when healing would make a namespace or Secret, or anybody a generated value that was there."""
    found = generated_anew(preparation.generated, known.generated)
    if options.remedy is not None and preparation.missing:
        words = " ".join(["", *(f"--confirm {risk.word}" for risk in found)])
        raise DataAtRisk(
            f"{component.key}: healing would make {', '.join(map(str, preparation.missing))}, so nothing was changed",
            "it was deleted, and what is made in its place is not what it was",
            f"restore it; carbon up {component.key}{words} makes it anew on your word",
        )
    refuse(component.key, found, options.confirm)


def to_copy(preparation: Preparation, remedy: Remedy | None) -> tuple[Copied, ...]:
    """The copied keys that this materialization copies again: a person's does, and the remedy that is for it."""
    return preparation.outdated if remedy in {None, Remedy.RECOPY} else ()


def readers_of(copies: Collection[Copied], objects: Collection[Object]) -> list[Object]:
    """The workloads to restart once these keys are copied again."""
    return readers(objects, {copied.secret for copied in copies})
