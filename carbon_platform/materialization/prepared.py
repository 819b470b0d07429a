"""What is made before a release: never in place of what was there, but on a person's word."""

from collections.abc import Sequence

from carbon_platform.cluster.resources import ObjectName
from carbon_platform.errors import DataAtRisk
from carbon_platform.materialization.outcome import Options
from carbon_platform.materialization.session import Session
from carbon_platform.release.guard import guard_made_anew
from carbon_platform.spec.platform import Component


def guard_prepared(component: Component, unprepared: Sequence[ObjectName], session: Session, options: Options) -> None:
    """Raise DataAtRisk when namespaces or Secrets would be made that were there when this definition was deployed."""
    if options.remedy is not None and unprepared:
        raise DataAtRisk(
            f"{component.key}: healing would make {', '.join(map(str, unprepared))}, so nothing was changed",
            "it was deleted, and what is made in its place is not what it was",
            f"restore it; carbon up {component.key} makes it anew on your word",
        )
    if session.records.get(component.key).digest == component.digest:
        generated = {spec.name for spec in component.secrets if any(key.generate for key in spec.keys.values())}
        gone = [name for name in unprepared if name.kind == "Secret" and name.name in generated]
        guard_made_anew(component.key, gone, options.confirm)
