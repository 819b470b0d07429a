"""What a finalizer keeps while it is being deleted: neither applied again and again, nor forgotten."""

import asyncio

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.healing import decide
from carbon_platform.healing.decide import Verdict
from carbon_platform.healing.symptoms import Sign
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.session import Session
from tests.cluster.healing import healing, live
from tests.cluster.platform import Platform
from tests.cluster.waiting import until


async def test_it_is_told_with_its_finalizer_never_applied_and_put_back_when_it_is_gone(
    platform: Platform, session: Session, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "_GOING_SECONDS", 1.0)
    platform.define()
    await platform.up(session)
    name = platform.name("ConfigMap", "app")
    async with healing(platform, session) as loop:
        await loop.quiet()
        await api.patch(name, {"metadata": {"finalizers": ["carbon.test/hold"]}})
        await api.delete(name)
        try:
            seen = await loop.view(lambda view: bool(view.symptoms))
            assert [(symptom.sign, symptom.going) for symptom in seen.symptoms["app"]] == [(Sign.MISSING, True)]

            async def told() -> list[Verdict]:
                step = await asyncio.to_thread(loop.step)
                assert step.requests == ()
                return [decision.verdict for decision in step.broken]

            await until(told, [Verdict.STUCK])
            await loop.nothing(3)
            (incident,) = loop.book.incidents()
            assert "being deleted since" in incident.cause
            assert "kept by its finalizer carbon.test/hold" in incident.cause
            assert incident.attempts == ()
            assert (await live(platform, api, "ConfigMap"))["metadata"]["finalizers"] == ["carbon.test/hold"]
        finally:
            await api.patch(name, {"metadata": {"finalizers": None}})
        assert (await loop.heal()).outcome == "healed"
        assert [request.remedy for request in loop.ran] == [Remedy.REAPPLY]
        assert "deletionTimestamp" not in (await live(platform, api, "ConfigMap"))["metadata"]
