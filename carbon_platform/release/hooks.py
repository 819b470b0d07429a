"""The hooks of a release while Helm runs them: which runs, for how long, and why one can't end.

Helm tells of a hook only when its time is up, and then only that it was.
"""

import asyncio
import contextlib
import datetime
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import TypeVar

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind, pod_specs
from carbon_platform.cluster.watch import Mirror, Mirrors, wait_until
from carbon_platform.errors import NotReady
from carbon_platform.health.cause import Cause
from carbon_platform.health.diagnosis import diagnose, owned_pods
from carbon_platform.health.status import status
from carbon_platform.release.wait import last_words

_RUNNABLE = frozenset({("batch/v1", "Job"), ("v1", "Pod")})
_LOOK_AGAIN = 2.0
_TOLD_AGAIN_SECONDS = 30.0
_BESIDE = (("v1", "Pod"), ("v1", "Event"))
_Result = TypeVar("_Result")


async def seen(
    run: Callable[[], Awaitable[_Result]],
    hooks: Sequence[Object],
    api: Api,
    mirrors: Mirrors,
    tell: Callable[[str], None],
) -> _Result:
    """What `run` (Helm, at work on a release with these hooks) comes to; it is told of each hook meanwhile.

    `hooks`: with their namespaces. Raises NotReady with the cause as soon as a hook can't end well, and ends Helm then.
    """
    watched = [hook for hook in hooks if (hook["apiVersion"], hook["kind"]) in _RUNNABLE and not _is_test(hook)]
    if not watched:
        return await run()
    # Helm takes those of the time before away first; until then they say nothing of this time.
    found = await asyncio.gather(*(api.find(ObjectName.of(hook)) for hook in watched if hook["metadata"].get("name")))
    before = {live["metadata"]["uid"] for live in found if live}
    work = asyncio.ensure_future(run())
    watch = asyncio.create_task(_hopeless(watched, before, api, mirrors, tell))
    try:
        await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        if watch.done() and not work.done():
            raise watch.result()
        try:
            return await work
        except Exception as error:
            # Both say that it failed, at the same time; only one of them says why.
            with contextlib.suppress(TimeoutError):
                raise await asyncio.wait_for(asyncio.shield(watch), _LOOK_AGAIN) from error
            raise
    finally:
        for task in (work, watch):
            task.cancel()
        await asyncio.gather(work, watch, return_exceptions=True)


def when(hook: Object) -> str:
    """At which moments Helm runs it, as its chart says."""
    return str(hook["metadata"]["annotations"]["helm.sh/hook"])


def _is_test(hook: Object) -> bool:
    return when(hook).startswith("test")


async def _hopeless(
    hooks: Sequence[Object], before: Collection[str], api: Api, mirrors: Mirrors, tell: Callable[[str], None]
) -> NotReady:
    """Why one of the hooks can't end well, once that is plain; runs until it is ended otherwise."""
    async with contextlib.AsyncExitStack() as stack:
        wanted = {(hook["apiVersion"], hook["kind"], hook["metadata"]["namespace"]) for hook in hooks}
        wanted |= {(*kind, hook["metadata"]["namespace"]) for hook in hooks for kind in _BESIDE}
        opened = {key: await stack.enter_async_context(mirrors.of(*key)) for key in sorted(wanted)}
        watching = _Watching(hooks, before, opened, tell)
        await wait_until(opened.values(), watching.over, again=_LOOK_AGAIN)
    hook, cause = watching.found()
    words = [*cause.evidence, *await last_words(cause.object, api)]
    images = ", ".join(
        dict.fromkeys(c["image"] for spec in pod_specs(hook) for c in spec["containers"] if "image" in c)
    )
    summary = f"hook {ObjectName.of(hook)} ({when(hook)}) can't end well: {cause.kind}"
    return NotReady(summary, f"{cause.why} (image {images})" if images else cause.why, cause.fix, words)


class _Watching:
    """Tells of the hooks that run, and finds the one that can't end."""

    def __init__(
        self,
        hooks: Sequence[Object],
        before: Collection[str],
        opened: dict[tuple[str, str, str], Mirror],
        tell: Callable[[str], None],
    ) -> None:
        self._hooks, self._before, self._opened, self._tell = hooks, before, opened, tell
        self._told: dict[str, tuple[str, datetime.datetime]] = {}
        self._found: tuple[Object, Cause] | None = None

    def found(self) -> tuple[Object, Cause]:
        """The hook that can't end well, and why."""
        assert self._found is not None, "it is over"
        return self._found

    def over(self) -> bool:
        """True when one of them can't end well."""
        now = datetime.datetime.now(datetime.UTC)
        for hook in self._hooks:
            live = self._live(hook)
            if live is None:
                continue
            self._say(hook, live, now)
            pods = [live] if group_kind(live) == "Pod" else owned_pods(live, self._objects("Pod", hook))
            cause = diagnose(live, pods, self._objects("Event", hook), now)
            if cause:
                self._found = hook, cause
                return True
        return False

    def _live(self, hook: Object) -> Object | None:
        """The hook as Helm made it this time."""
        metadata = hook["metadata"]
        mirror = self._opened[(hook["apiVersion"], hook["kind"], metadata["namespace"])]
        live = mirror.get(metadata["namespace"], str(metadata.get("name")))
        gone = live is None or live["metadata"].get("deletionTimestamp") or live["metadata"]["uid"] in self._before
        return None if gone else live

    def _objects(self, kind: str, hook: Object) -> Iterable[Object]:
        return list(self._opened[("v1", kind, hook["metadata"]["namespace"])].objects())

    def _say(self, hook: Object, live: Object, now: datetime.datetime) -> None:
        name = f"hook {hook['kind']} {hook['metadata'].get('name')} ({when(hook)})"
        message = "done" if status(live).ready else status(live).message
        last = self._told.get(name)
        if last and last[0] == message and (now - last[1]).total_seconds() < _TOLD_AGAIN_SECONDS:
            return
        if last and last[0] == message == "done":
            return
        made = datetime.datetime.fromisoformat(live["metadata"]["creationTimestamp"])
        self._told[name] = (message, now)
        self._tell(f"{name}: {message}, {max(0, round((now - made).total_seconds()))} s")
