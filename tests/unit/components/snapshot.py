"""The shape of the local platform as Dagster sees it, as a text that people read in reviews.

`python -m tests.unit.components.snapshot` writes it anew.
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from carbon_platform.definitions import defs
from carbon_platform.settings import settings

FILE = Path(__file__).parents[1] / "platform_snapshot.txt"
_HEAD = """\
# What Dagster loads in the environment local: every asset with what it needs and its checks, every schedule and job.
# Written by: python -m tests.unit.components.snapshot
"""


def snapshot() -> str:
    """The whole text. Digests are left out: they change with every chart."""
    loaded = defs()
    repository = loaded.get_repository_def()
    parts = [f"{_HEAD}\nenvironment {settings().environment.name} · executor {getattr(loaded.executor, 'name', '')}\n"]
    for key in sorted(repository.asset_graph.materializable_asset_keys):
        parts.append(_lines(_asset(loaded.resolve_assets_def(key))))
    for schedule in sorted(repository.schedule_defs, key=lambda s: s.name):
        parts.append(_lines(_schedule(schedule)))
    for sensor in sorted(repository.sensor_defs, key=lambda s: s.name):
        parts.append(f"sensor {sensor.name} ({sensor.default_status.value.lower()})\n")
    parts.append(f"jobs {', '.join(sorted(job.name for job in repository.get_all_jobs()))}\n")
    return "\n".join(parts)


def _lines(lines: Iterator[str]) -> str:
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _asset(asset: dg.AssetsDefinition) -> Iterator[str]:
    (spec,) = asset.specs
    tags = (f"{k}={v}" for k, v in sorted(spec.tags.items()) if not k.startswith("dagster/"))
    yield f"asset {spec.key.to_user_string()}"
    yield f"  {spec.description}"
    yield f"  group {spec.group_name} · pool {asset.op.pool}"
    yield f"  owners {', '.join(spec.owners)}"
    yield f"  kinds {', '.join(sorted(spec.kinds))}"
    yield f"  tags {', '.join(tags)}"
    yield f"  needs {', '.join(sorted(dep.asset_key.to_user_string() for dep in spec.deps)) or 'nothing'}"
    for check in asset.check_specs:
        yield f"  {'blocking ' if check.blocking else ''}check {check.name}: {check.description}"


def _schedule(schedule: dg.ScheduleDefinition) -> Iterator[str]:
    yield f"schedule {schedule.name} at {schedule.cron_schedule} ({schedule.default_status.value.lower()})"
    yield f"  {schedule.description}"


if __name__ == "__main__":
    FILE.write_text(snapshot(), encoding="utf-8")
