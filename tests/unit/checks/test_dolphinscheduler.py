import time
from typing import Any

import pytest

from carbon_platform.checks.base import Check
from carbon_platform.checks.dolphinscheduler import Health, Login, ProbeWorkflow, RunWorkflow, Workers, living
from carbon_platform.errors import CheckFailed
from tests.stand_ins.dolphinscheduler.api import Request, Response
from tests.stand_ins.dolphinscheduler.replay import Replay
from tests.stand_ins.dolphinscheduler.server import Answer, serving
from tests.stand_ins.dolphinscheduler.work import registration, shell
from tests.stand_ins.dolphinscheduler.world import World, reach

HEALTH = Health(type="dolphinscheduler.health")
LOGIN = Login(type="dolphinscheduler.login")
WORKERS = Workers(type="dolphinscheduler.workers", masters=1, workers=2, alert_servers=1)
PROBE = ProbeWorkflow(type="dolphinscheduler.workflow", deadline=20)
RECORDED = RunWorkflow(type="dolphinscheduler.run", project="carbon-etl", workflow="carbon-etl-workflow", deadline=20)

both_generations = pytest.mark.parametrize("thing", ["workflow", "process"])


async def run(check: Check, answer: Answer, password: str = "dolphinscheduler123") -> dict[str, Any]:
    with serving(answer) as port:
        return dict((await check.run(reach(port, password))).evidence)


async def failure_of(check: Check, answer: Answer, password: str = "dolphinscheduler123") -> CheckFailed:
    with pytest.raises(CheckFailed) as failure:
        await run(check, answer, password)
    return failure.value


class TestRecordedFromARealServer:
    async def test_its_health_login_and_servers_pass(self) -> None:
        replay = Replay("success")
        assert (await run(HEALTH, replay.answer))["parts"] == 5
        assert (await run(LOGIN, replay.answer))["projects"] == 3
        one_of_each = Workers(type="dolphinscheduler.workers", masters=1, workers=1, alert_servers=1)
        counts = await run(one_of_each, replay.answer)
        assert counts == {"masters": 1, "workers": 1, "alert_servers": 1, "busy": 0}

    async def test_a_workflow_that_ran_to_success_passes(self) -> None:
        evidence = await run(RECORDED, Replay("success").answer)
        assert (evidence["instance"], evidence["tasks"]) == (4, 2)

    async def test_a_worker_without_sudo_fails_though_everything_is_up(self) -> None:
        replay = Replay("worker_without_sudo")
        await run(HEALTH, replay.answer)
        await run(LOGIN, replay.answer)
        await run(Workers(type="dolphinscheduler.workers", workers=1, alert_servers=1), replay.answer)
        failure = await failure_of(RECORDED, replay.answer)
        assert "instance 2 ended as FAILURE" in failure.cause

    async def test_a_wrong_password_is_told_in_the_servers_words(self) -> None:
        failure = await failure_of(LOGIN, Replay("success").answer, "wrong")
        assert "code 10013 user name or password error" in failure.cause
        assert "Secret" in failure.fix


class TestHealth:
    async def test_a_lost_database_is_told_with_its_reason_though_an_answer_came(self) -> None:
        world = World()
        world.state.lost = True
        failure = await failure_of(HEALTH, world.answer)
        assert failure.summary == "DolphinScheduler is DOWN"
        assert "db is DOWN (CannotGetJdbcConnectionException: connection refused)" in failure.cause

    async def test_a_part_that_is_down_fails_even_when_the_whole_claims_to_be_up(self) -> None:
        body = {"status": "UP", "components": {"db": {"status": "UP"}, "master": {"status": "DOWN"}}}
        failure = await failure_of(HEALTH, lambda request: Response(200, body))
        assert failure.cause == "master is DOWN"

    async def test_health_that_says_nothing_of_the_database_proves_nothing(self) -> None:
        body = {"status": "UP", "components": {"api": {"status": "UP"}}}
        assert "database" in (await failure_of(HEALTH, lambda request: Response(200, body))).summary

    async def test_something_else_that_listens_there_fails(self) -> None:
        failure = await failure_of(HEALTH, lambda request: Response(200, ["hello"]))
        assert "HTTP 200" in failure.cause


class TestLogin:
    async def test_an_api_that_answers_anybody_fails(self) -> None:
        world = World()

        def open_to_all(request: Request) -> Response:
            headers = {"sessionid": world.state.all("session")[0]["secret"]} if world.state.all("session") else {}
            return world.answer(Request(request.method, request.path, request.form, request.query, headers))

        await run(LOGIN, world.answer)
        assert "answers anybody" in (await failure_of(LOGIN, open_to_all)).summary

    async def test_an_error_under_http_200_is_a_failure(self) -> None:
        world = World()
        world.state.lost = True
        failure = await failure_of(LOGIN, world.answer)
        assert "code 10000" in failure.cause
        assert "connection refused" in failure.cause


class TestWorkers:
    @both_generations
    async def test_all_servers_are_counted(self, thing: str) -> None:
        evidence = await run(WORKERS, World(thing).answer)
        assert (evidence["masters"], evidence["workers"]) == (1, 2)
        assert ("alert_servers" in evidence) == (thing == "workflow")

    @both_generations
    async def test_a_worker_that_is_gone_is_noticed(self, thing: str) -> None:
        world = World(thing)
        world.workers.pop()
        assert "1 workers alive, declared are 2" in (await failure_of(WORKERS, world.answer)).cause

    def test_a_server_that_is_registered_but_silent_does_not_count(self) -> None:
        entry = registration("WORKER", "10.0.0.9")["entry"]
        assert living([entry], time.time(), 90) == [entry]
        assert living([entry], time.time() + 91, 90) == []


class TestProbe:
    @both_generations
    async def test_it_runs_to_success_and_leaves_no_instance(self, thing: str) -> None:
        world = World(thing)
        evidence = await run(PROBE, world.answer)
        assert evidence["run_ms"] > 0
        assert evidence["instances_left"] == 0
        assert world.state.all("instance") == world.state.all("task") == []
        assert list(world.definitions()) == ["carbon-probe"]

    @both_generations
    async def test_the_second_time_it_uses_the_same_definition(self, thing: str) -> None:
        world = World(thing)
        await run(PROBE, world.answer)
        first = world.definitions()
        world.requests.clear()
        await run(PROBE, world.answer)
        assert world.definitions() == first
        assert world.written()[0].endswith(world.words.start)

    async def test_tasks_that_fail_are_named_with_their_last_line_and_nothing_is_left(self) -> None:
        world = World(execute=lambda script, tenant: (False, "one\nno sudo here\n"))
        failure = await failure_of(PROBE, world.answer)
        assert "ended as FAILURE: task first FAILURE on 10.0.0.1, 'no sudo here'" in failure.cause
        assert world.state.all("instance") == []

    @pytest.mark.parametrize("missing", ["masters", "workers"])
    async def test_without_masters_or_workers_it_ends_with_the_reason(self, missing: str) -> None:
        world = World()
        getattr(world, missing).clear()
        check = ProbeWorkflow(type="dolphinscheduler.workflow", deadline=1)
        failure = await failure_of(check, world.answer)
        assert "SUBMITTED_SUCCESS" in failure.cause or "RUNNING_EXECUTION" in failure.cause

    async def test_one_that_a_person_changed_is_set_right_before_it_runs(self) -> None:
        world = World()
        await run(PROBE, world.answer)
        (definition,) = world.state.all("definition")
        definition["tasks"][0]["taskParams"]["rawScript"] = "exit 1"
        world.state.put("definition", definition["code"], {**definition, "releaseState": "OFFLINE"})
        await run(PROBE, world.answer)

    async def test_a_server_of_neither_generation_is_told_so(self) -> None:
        def neither(request: Request) -> Response | None:
            return Response(404, {"status": 404}) if "-definition" in request.path else None

        failure = await failure_of(PROBE, World(broken=neither).answer)
        assert "no known generation" in failure.summary


def test_sudo_that_is_not_there_fails_the_task_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    succeeded, log = shell({"SUDO_ENABLE": "true"})("echo never", "default")
    assert not succeeded
    assert "sudo" in log


async def test_a_declared_workflow_that_is_not_there_is_told_so() -> None:
    assert "not there" in (await failure_of(RECORDED, World().answer)).summary


@pytest.mark.parametrize("check", [LOGIN, WORKERS, PROBE])
async def test_every_check_fails_with_the_cause_when_the_database_is_lost(check: Check) -> None:
    world = World()
    world.state.lost = True
    assert "connection refused" in (await failure_of(check, world.answer)).cause
