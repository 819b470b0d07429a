"""A hook is seen while Helm runs it; one that can't end well is told with its cause, long before its time is up."""

import time

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.errors import NotReady
from carbon_platform.materialization.progress import Event, listening
from carbon_platform.session import Session
from tests.cluster.made import changes, chart, numbers, seen
from tests.cluster.platform import Platform

HOOK = """
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-delete-policy: {{ .Values.policy | default "before-hook-creation" }}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      serviceAccountName: {{ .Values.account | default "default" }}
      {{- with .Values.node }}
      nodeSelector: {test/node: {{ . }}}
      {{- end }}
      tolerations: [{key: kwok.x-k8s.io/node, operator: Exists}]
      containers: [{name: main, image: {{ .Values.image | default "example.invalid/migrate:1" }}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {message: {{ .Values.message | default "hello" | quote }}}
"""
DEADLINE = 120


def define(platform: Platform, **values: str) -> None:
    platform.define(chart=chart(platform, {"templates/all.yaml": HOOK}), values=values, deadline=f"{DEADLINE}s")


@pytest.mark.parametrize(
    ("broken", "why"),
    [({"node": "nowhere"}, "node"), ({"account": "nobody"}, 'serviceaccount "nobody" not found')],
    ids=["no node takes its pod", "its account is missing"],
)
async def test_a_hook_that_can_not_end_well_is_told_with_its_cause_at_once(
    platform: Platform, session: Session, api: Api, broken: dict[str, str], why: str
) -> None:
    define(platform, **broken)
    began = time.monotonic()
    with pytest.raises(NotReady) as caught:
        await platform.up(session)
    assert time.monotonic() - began < DEADLINE / 2
    assert "Job" in caught.value.summary
    assert "app-migrate (pre-install,pre-upgrade) can't end well" in caught.value.summary
    assert why in caught.value.cause
    assert "example.invalid/migrate:1" in caught.value.cause
    assert await api.get(platform.name("ConfigMap", "app")) is None

    define(platform)
    assert (await platform.up(session)).verified
    assert await api.get(platform.name("ConfigMap", "app")) is not None


async def test_a_hook_is_told_while_it_runs_and_leaves_nothing_to_do(
    platform: Platform, session: Session, api: Api
) -> None:
    define(platform)
    told: list[Event] = []
    with listening(told.append):
        assert (await platform.up(session)).verified
    texts = [event.text for event in told if event.text.startswith("hook Job app-migrate (pre-install,pre-upgrade): ")]
    assert texts
    assert await api.get(platform.name("Job", "app-migrate")) is not None
    assert changes(await seen(platform, session)) == []
    assert (await platform.up(session)).revision == 1


async def test_a_hook_that_is_deleted_when_it_has_succeeded_is_not_missed(
    platform: Platform, session: Session, api: Api
) -> None:
    define(platform, policy="hook-succeeded")
    assert (await platform.up(session)).verified
    live = await api.get(platform.name("Job", "app-migrate"))
    assert live is None or "deletionTimestamp" in live["metadata"]
    assert changes(await seen(platform, session)) == []
    define(platform, policy="hook-succeeded", message="new")
    assert (await platform.up(session)).verified
    assert await numbers(platform, api) == [1, 2]


async def test_a_hook_that_changed_is_run(platform: Platform, session: Session, api: Api) -> None:
    define(platform)
    await platform.up(session)
    before = await api.get(platform.name("Job", "app-migrate"))
    define(platform, image="example.invalid/migrate:2")
    assert (await platform.up(session)).revision == 2
    after = await api.get(platform.name("Job", "app-migrate"))
    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] != after["metadata"]["uid"]
    assert (await platform.up(session)).revision == 2
