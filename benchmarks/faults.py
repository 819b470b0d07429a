"""Faults on the real local platform, healed by Carbon alone: steady state → inject → observe → verdict.

The platform must be up. `carbon ui` is started when it does not run. Before each fault entries are written to
PostgreSQL, Kafka and the object store, and after it they must be there, as must every volume claim. A fault is over
when every component that was verified before is verified again and no incident is open. Times are in seconds:
`detected_s` and `run_started_s` since the fault could be seen in the API, `verified_s` since it was injected.

    python benchmarks/faults.py [--rounds 3] [--only NAME …] [--json]
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import tenacity
from rich.console import Console
from rich.table import Table

from benchmarks.injections import FAULTS, Fault, Scene, daemons
from benchmarks.ledger import Ledger
from carbon_platform.errors import CarbonError
from carbon_platform.healing.incident import Incident
from carbon_platform.healing.incidents import book_of
from carbon_platform.health.state import State
from carbon_platform.inspect.status import statuses
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.session import Session, open_session
from carbon_platform.settings import settings
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.platform import Platform

_CARBON = Path(sys.executable).with_name("carbon")
_STEADY_SECONDS = 300.0
_HEALED_SECONDS = 420.0
_LOOK_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Result:
    """One fault, once."""

    fault: str
    round: int
    healed: bool
    incidents: int
    healed_components: int
    """How many components something was done to: one, the root, if all is well."""
    remedies: tuple[str, ...]
    outcome: str
    detected_s: float | None
    run_started_s: float | None
    verified_s: float | None
    bystanders_restarted: int
    data_lost: int
    unanswered: int
    """How often a store did not answer after it, and was asked again."""


class Bench:
    """The platform under test."""

    def __init__(self, platform: Platform, session: Session, console: Console) -> None:
        self.platform, self.session, self.console = platform, session, console
        self.book = book_of(settings(), session.cluster_id)
        self.scene = Scene(platform, session)
        self.expected: set[str] = set()

    async def verified(self) -> set[str]:
        """The components that are proven to work now."""
        seen, _ = await statuses(self.platform, self.platform.order, settings())
        return {one.component.key for one in seen if one.state is State.VERIFIED}

    async def calm(self) -> bool:
        """True when all that can be is verified, and nothing is being healed."""
        with contextlib.suppress(CarbonError):
            return self.expected <= await self.verified() and not self.book.incidents(only_open=True)
        return False

    async def until_calm(self, seconds: float) -> bool:
        """Whether it got calm within so many seconds."""
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_result(lambda calm: not calm),
            stop=tenacity.stop_after_delay(seconds),
            wait=tenacity.wait_fixed(_LOOK_SECONDS),
            retry_error_callback=lambda _: False,
        )
        return bool(await retrying(self.calm))

    async def restarts(self) -> dict[str, int]:
        """Of each pod that is not a Job's, by name and UID, how often a container of it was restarted."""
        return {
            f"{pod['metadata']['namespace']}/{pod['metadata']['name']} {pod['metadata']['uid']}": sum(
                status.get("restartCount", 0) for status in pod.get("status", {}).get("containerStatuses") or ()
            )
            for pod in await self.session.api.list("v1", "Pod")
            if pod.get("status", {}).get("phase") == "Running"
        }

    async def volumes(self) -> set[str]:
        """The UID of every volume claim: another one in its place is an empty one."""
        return {claim["metadata"]["uid"] for claim in await self.session.api.list("v1", "PersistentVolumeClaim")}

    async def bystanders_restarted(self, before: dict[str, int], fault: Fault) -> int:
        """Pods of other components than the fault's that are not what they were."""
        after = await self.restarts()
        mine = fault.pods
        others = {name: count for name, count in before.items() if not any(part in name for part in mine)}
        return sum(after.get(name) != count for name, count in others.items())

    async def run(self, fault: Fault, number: int, ledger: Ledger) -> Result:
        """Inject it, watch, judge."""
        if not await self.until_calm(_STEADY_SECONDS):
            raise CarbonError(f"no steady state before {fault.name}", "see carbon status and carbon incidents")
        await ledger.write()
        before, known = await self.restarts(), {incident.id for incident in self.book.incidents()}
        volumes = await self.volumes()
        injected = time.time()
        visible = await fault.inject(dataclasses.replace(self.scene, round=number))
        told = f"{fault.name} ({number}): injected"
        self.console.print(told, style="dim")
        reacted = await self._reacted(fault, known)
        healed = await self.until_calm(_HEALED_SECONDS) and (reacted or not fault.needs_healing)
        ended = time.time()
        new = [incident for incident in self.book.incidents() if incident.id not in known]
        mine = [incident for incident in new if incident.component == fault.component]
        unanswered = ledger.unanswered
        lost = sum((await ledger.lost()).values()) + len(volumes - await self.volumes())
        unanswered = ledger.unanswered - unanswered
        restarted = await self.bystanders_restarted(before, fault)
        return self._result(fault, number, new, mine, visible, injected, ended, healed, restarted, lost, unanswered)

    async def _reacted(self, fault: Fault, known: set[str]) -> bool:
        """Wait until Carbon has opened an incident for it: before that, all may still look calm."""
        if not fault.needs_healing:
            return False
        ends = time.time() + _HEALED_SECONDS
        while time.time() < ends:
            if any(i.id not in known and i.component == fault.component for i in self.book.incidents(most=20)):
                return True
            await asyncio.sleep(0.1)
        return False

    @staticmethod
    def _result(
        fault: Fault, number: int, new: Sequence[Incident], mine: Sequence[Incident], visible: float, injected: float,
        ended: float, healed: bool, restarted: int, lost: int, unanswered: int,
    ) -> Result:  # fmt: skip
        first = mine[-1] if mine else None
        started = next((a.started_at for a in first.attempts if a.started_at), None) if first else None
        closed = max((i.closed_at or ended for i in mine), default=ended)
        return Result(
            fault=fault.name,
            round=number,
            healed=healed,
            incidents=len(new),
            healed_components=len({i.component for i in new if any(a.remedy is not Remedy.WAKE for a in i.attempts)}),
            remedies=tuple(a.remedy.value for i in mine for a in i.attempts),
            outcome=first.outcome if first else "nothing had to be healed",
            detected_s=round(first.opened_at - visible, 2) if first else None,
            run_started_s=round(started - visible, 2) if started else None,
            verified_s=round(closed - injected, 2) if healed else None,
            bystanders_restarted=restarted,
            data_lost=lost,
            unanswered=unanswered,
        )


def _percentile(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """What `--json` prints as `summary`."""
    told: dict[str, Any] = {
        "faults": len(results),
        "healed": sum(r.healed for r in results),
        "healed_more_than_one": sum(r.healed_components > 1 for r in results),
        "bystanders_restarted": sum(r.bystanders_restarted for r in results),
        "data_lost": sum(r.data_lost for r in results),
        "unanswered": sum(r.unanswered for r in results),
    }
    for name in ("detected_s", "run_started_s", "verified_s"):
        values = [value for r in results if (value := getattr(r, name)) is not None]
        told[name] = {
            "p50": round(statistics.median(values), 2) if values else None,
            "p95": _percentile(values, 0.95),
            "max": max(values, default=None),
        }
    return told


@contextlib.contextmanager
def _ui(console: Console) -> Iterator[None]:
    """`carbon ui`, unless somebody runs it already."""
    if daemons():
        yield
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    console.print(f"starting carbon ui on port {port}", style="dim")
    process = subprocess.Popen([_CARBON, "ui", "--port", str(port)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if "http" not in process.stdout.readline():
            raise CarbonError("carbon ui did not start", f"exit code {process.wait()}")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(180)


@contextlib.asynccontextmanager
async def _ledger(platform: Platform, session: Session) -> AsyncIterator[Ledger]:
    ledger = Ledger(platform, session)
    await ledger.open()
    try:
        yield ledger
    finally:
        await ledger.remove()


async def measure(rounds: int, only: Sequence[str], console: Console) -> list[Result]:
    """Every fault, `rounds` times."""
    platform = load_platform(settings())
    results = []
    async with open_session(settings()) as session:
        bench = Bench(platform, session, console)
        bench.expected = await bench.verified()
        console.print(f"{len(bench.expected)} of {len(platform.order)} components are verified, and must be again")
        faults = [fault for fault in FAULTS if not only or fault.name in only]
        missing = {fault.component for fault in faults} - bench.expected
        if missing:
            raise CarbonError("the platform is not up", f"not verified: {', '.join(sorted(missing))}", "carbon up")
        async with _ledger(platform, session) as ledger:
            for number in range(1, rounds + 1):
                for fault in faults:
                    result = await bench.run(fault, number, ledger)
                    _tell(result, console)
                    results.append(result)
    return results


def _tell(result: Result, console: Console) -> None:
    told = "healed" if result.healed else "NOT HEALED"
    times = f"detected {result.detected_s} s, run {result.run_started_s} s, verified {result.verified_s} s"
    cost = f"{result.incidents} incidents, {result.bystanders_restarted} bystanders, {result.data_lost} lost"
    console.print(f"{result.fault} ({result.round}): {told}; {times}; {', '.join(result.remedies)}; {cost}")


def main() -> int:
    """0 when every fault was healed by healing one component, no bystander restarted and nothing lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], choices=[fault.name for fault in FAULTS])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    console = Console(stderr=True, highlight=False)
    os.environ.setdefault("CARBON_API_SECONDS", "120")
    try:
        with _ui(console):
            results = asyncio.run(measure(given.rounds, given.only, console))
    except CarbonError as error:
        console.print(f"error: {error}")
        return error.exit_code
    told = summary(results)
    if given.json:
        print(json.dumps({"faults": [dataclasses.asdict(result) for result in results], "summary": told}, indent=2))
    else:
        table = Table("fault", "round", "healed", "detected", "run started", "verified", "remedies", box=None)
        for r in results:
            table.add_row(r.fault, str(r.round), str(r.healed), str(r.detected_s), str(r.run_started_s),
                          str(r.verified_s), ", ".join(r.remedies))  # fmt: skip
        Console().print(table)
        Console().print(told)
    bad = ("healed_more_than_one", "bystanders_restarted", "data_lost")
    return 0 if told["healed"] == len(results) and not any(told[name] for name in bad) else 1


if __name__ == "__main__":
    sys.exit(main())
