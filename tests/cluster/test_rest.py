"""Whatever a chart makes, it rests once it is applied."""

import asyncio
import shutil

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbon_platform.cluster.reach import Object
from carbon_platform.drift.compare import compare
from carbon_platform.drift.drift import Verdict
from carbon_platform.session import open_session
from tests.cluster.made import changes, chart, seen
from tests.cluster.platform import Platform
from tests.manifests import manifests, texts_of


@st.composite
def _templates(draw: st.DrawFn) -> tuple[list[Object], str]:
    objects = draw(manifests())
    return objects, draw(texts_of(objects))


@settings(
    max_examples=8,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(_templates())
def test_what_is_applied_is_not_planned_again(platform: Platform, template: tuple[list[Object], str]) -> None:
    # Simulated nodes take only pods that say so.
    text = template[1].replace('"containers"', '"tolerations": [{"operator": "Exists"}], "containers"')
    shutil.rmtree(platform.folder / "made", ignore_errors=True)
    platform.define(chart=chart(platform, {"templates/all.yaml": text.replace("{{", "{ {")}), deadline="30s")

    async def rests() -> None:
        async with open_session(platform.settings()) as session:
            before = await seen(platform, session)
            assert before.plan is not None
            number = before.plan.revision.number if before.plan.revision else 0
            await platform.up(session)
            assert changes(await seen(platform, session)) == []
            again = await platform.up(session)
            assert (again.applied, again.revision) == (False, number + 1)
            (drift,) = await compare([platform.load().components["app"]], session)
            assert drift.verdict is Verdict.IN_SYNC

    try:
        asyncio.run(rests())
    finally:
        platform.run("down", "app", "--yes", "--delete-data", "app", code=None)
