from typing import Any

import pytest
from pydantic import ValidationError

from carbon_platform.content.dolphinscheduler import WorkflowContent
from carbon_platform.settings import Settings
from carbon_platform.spec.load import load_platform
from tests.stand_ins.dolphinscheduler.world import World

EXTRACT = {"name": "extract", "script": "echo one"}
LOAD = {"name": "load", "script": "echo two", "after": ["extract"], "retries": 2}
DAILY = {"cron": "0 15 6 * * ? *", "timezone": "UTC"}
NAME = "workflow etl/daily"

both_generations = pytest.mark.parametrize("thing", ["workflow", "process"])


def declared(**workflow: Any) -> WorkflowContent:
    least = {"name": "daily", "description": "Prices", "tasks": [EXTRACT, LOAD], "schedule": DAILY}
    return WorkflowContent.model_validate(
        {"type": "dolphinscheduler.workflow", "project": "etl", "workflow": least | workflow}
    )


async def steps(content: WorkflowContent, world: World) -> list[str]:
    with world.reached() as reach:
        return [change.change for change in await content.plan(reach)]


async def apply(content: WorkflowContent, world: World) -> None:
    with world.reached() as reach:
        await content.apply(reach)


@both_generations
async def test_what_is_planned_is_applied_and_then_there_is_nothing_to_plan(thing: str) -> None:
    world = World(thing)
    with world.reached() as reach:
        assert [(c.object, c.change) for c in await declared().plan(reach)] == [
            ("project etl", "create"),
            (NAME, "create with 2 tasks"),
            (NAME, "release: → online"),
            (NAME, "schedule: create 0 15 6 * * ? * (UTC)"),
        ]
        await declared().apply(reach)
        assert await declared().plan(reach) == []
    (schedule,) = world.state.all("schedule")
    assert (schedule["releaseState"], schedule["crontab"]) == ("ONLINE", DAILY["cron"])


@both_generations
async def test_applying_what_is_there_writes_nothing(thing: str) -> None:
    world = World(thing)
    await apply(declared(), world)
    world.requests.clear()
    await apply(declared(), world)
    assert world.written() == []


async def test_planning_changes_nothing() -> None:
    world = World()
    await steps(declared(), world)
    assert world.written() == []


CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({"description": "Other"}, ["description: 'Prices' → 'Other'"]),
    ({"tasks": [EXTRACT, LOAD | {"script": "echo 3"}]}, ["task load: script: 'echo two' → 'echo 3'"]),
    ({"tasks": [EXTRACT, LOAD | {"retries": 3}]}, ["task load: retries: 2 → 3"]),
    ({"tasks": [EXTRACT, LOAD | {"after": []}]}, ["task load: after: ['extract'] → []"]),
    ({"tasks": [EXTRACT, LOAD | {"timeout_minutes": 5}]}, ["task load: timeout_minutes: 0 → 5"]),
    ({"tasks": [EXTRACT]}, ["task load: remove"]),
    ({"tasks": [EXTRACT, LOAD, {"name": "report", "script": "echo"}]}, ["task report: create"]),
    ({"schedule": DAILY | {"cron": "0 0 7 * * ?"}}, ["schedule: cron: 0 15 6 * * ? * → 0 0 7 * * ?"]),
    ({"schedule": DAILY | {"timezone": "Europe/Berlin"}}, ["schedule: timezone: UTC → Europe/Berlin"]),
    ({"schedule": None}, ["schedule: online → offline"]),
    (
        {"prelude": "set -e"},
        ["task extract: script: 'echo one' → 'set -e'", "task load: script: 'echo two' → 'set -e'"],
    ),
]


@both_generations
@pytest.mark.parametrize(("change", "told"), CHANGES, ids=[told[0][:40] for _, told in CHANGES])
async def test_each_field_is_told_and_changed_in_place(thing: str, change: dict[str, Any], told: list[str]) -> None:
    world = World(thing)
    await apply(declared(), world)
    before = world.definitions()["daily"]
    assert await steps(declared(**change), world) == told
    await apply(declared(**change), world)
    assert await steps(declared(**change), world) == []
    after = world.definitions()["daily"]
    assert after["code"] == before["code"]
    codes = {task["name"]: task["code"] for task in before["tasks"]}
    assert all(codes.get(task["name"], task["code"]) == task["code"] for task in after["tasks"])


async def test_what_a_person_changed_by_hand_is_seen_and_corrected() -> None:
    world = World()
    await apply(declared(), world)
    definition = world.definitions()["daily"]
    definition["tasks"][0]["taskParams"]["rawScript"] = "exit 1"
    world.state.put("definition", definition["code"], {**definition, "releaseState": "OFFLINE"})
    assert await steps(declared(), world) == [
        "task extract: script: 'exit 1' → 'echo one'",
        "release: offline → online",
    ]
    await apply(declared(), world)
    assert await steps(declared(), world) == []


async def test_a_schedule_that_was_switched_off_is_switched_on_again() -> None:
    world = World()
    await apply(declared(), world)
    (schedule,) = world.state.all("schedule")
    world.state.put("schedule", schedule["id"], {**schedule, "releaseState": "OFFLINE"})
    assert await steps(declared(), world) == ["schedule: offline → online"]
    await apply(declared(), world)
    assert world.state.all("schedule")[0]["releaseState"] == "ONLINE"


async def test_other_workflows_of_the_project_are_left_alone() -> None:
    world = World()
    await apply(declared(name="daily-too"), world)
    other = world.definitions()["daily-too"]
    await apply(declared(), world)
    await apply(declared(description="Other"), world)
    assert world.definitions()["daily-too"] == other


@pytest.mark.parametrize(
    ("workflow", "said"),
    [
        ({"tasks": [EXTRACT, EXTRACT]}, "declared twice: extract"),
        ({"tasks": [LOAD]}, "not declared: extract"),
        ({"tasks": [EXTRACT | {"after": ["load"]}, LOAD]}, "wait for each other"),
        ({"tasks": []}, "at least 1 item"),
        ({"schedule": {"cron": "15 6 * * *"}}, "is no schedule"),
    ],
)
def test_a_declaration_that_can_not_be_is_refused(workflow: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        declared(**workflow)


async def test_the_platforms_own_workflow_can_be_applied_and_compared() -> None:
    content = load_platform(Settings()).components["dolphinscheduler_etl_workflow"].content
    assert isinstance(content, WorkflowContent)
    world = World()
    await apply(content, world)
    assert await steps(content, world) == []
    tasks = world.definitions()["daily-prices"]["tasks"]
    assert [task["name"] for task in tasks] == ["ingest", "quality-check", "report"]
    assert not [task["name"] for task in tasks if "${" in task["taskParams"]["rawScript"]]
