"""`carbon drift` against `helm get manifest | kubectl diff`, over the same releases on the same cluster.

Both compare the same deployed releases: first as they were deployed, then after the same things were done to them by
hand. The two take turns, round by round. A time is that of the whole process (for the peer: of one shell that goes
from release to release), from its start to its end, with nothing warmed up but the files of the machine. After the
hand work, the objects that each side reports are compared with each other and with what was done.

    python benchmarks/drift.py [--rounds 5] [--json]
"""

import asyncio
import dataclasses
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.against_peer import (
    Result,
    Timings,
    circumstances,
    command,
    medians,
    no_timings,
    ratios,
    report,
    report_timing,
)
from benchmarks.measure import Failed, Timing, measure
from benchmarks.simulated import Release, environment, releases, simulated_cluster, write_definitions
from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.local import programs
from carbon_platform.local.cluster import LocalCluster
from carbon_platform.settings import settings

PHASES = ("in_sync", "drifted")
_PATIENCE = 30.0
_COMPARED = re.compile(r"^diff -u -N \S*/(LIVE-\d+/(\S+)) ", re.MULTILINE)
_PLURALS = {"ConfigMap": "v1.ConfigMap", "Service": "v1.Service", "Deployment": "apps.v1.Deployment"}


@dataclasses.dataclass(frozen=True)
class Deed:
    """Something done by hand to one object."""

    what: str
    kind: str
    seen_by_peer: bool = True
    """False for what `kubectl diff` can't see: a field that no manifest names."""


DEEDS = (
    Deed("a Service deleted", "Service"),
    Deed("a Deployment scaled", "Deployment"),
    Deed("an image edited", "Deployment"),
    Deed("a ConfigMap's value edited", "ConfigMap"),
    Deed("a ConfigMap deleted", "ConfigMap"),
    Deed("a selector's value edited", "Service"),
    Deed("a key added to a ConfigMap", "ConfigMap", seen_by_peer=False),
    Deed("a label added", "Deployment", seen_by_peer=False),
    Deed("a variable added to a container", "Deployment", seen_by_peer=False),
)


async def do(deed: Deed, release: Release, api: Api) -> None:
    """Do it, as `kubectl` would."""
    name = ObjectName(_api_version(deed.kind), deed.kind, release.namespace, release.name)
    if deed.what.endswith("deleted"):
        await api.delete(name)
        return
    live = await api.get(name)
    if live is None:
        raise Failed(f"{name} is not there", "it was not deployed", "deploy it first")
    if deed.what.endswith("scaled"):
        path = (await api.resource(name.api_version, name.kind)).path(name.namespace, name.name)
        kind = "application/merge-patch+json"
        await api.request(
            "PATCH",
            f"{path}/scale",
            params={"fieldManager": "kubectl"},
            body={"spec": {"replicas": 3}},
            content_type=kind,
        )
        return
    _edit(deed, live)
    await api.replace(live, manager="kubectl-edit")


def _api_version(kind: str) -> str:
    return "apps/v1" if kind == "Deployment" else "v1"


def _edit(deed: Deed, live: Object) -> None:
    if deed.what == "an image edited":
        live["spec"]["template"]["spec"]["containers"][0]["image"] = "example.invalid/other:1"
    elif deed.what == "a ConfigMap's value edited":
        live["data"]["message"] = "edited"
    elif deed.what == "a selector's value edited":
        live["spec"]["selector"] = dict.fromkeys(live["spec"]["selector"], "other")
    elif deed.what == "a key added to a ConfigMap":
        live["data"]["more"] = "1"
    elif deed.what == "a label added":
        live["metadata"].setdefault("labels", {})["team"] = "a"
    elif deed.what == "a variable added to a container":
        live["spec"]["template"]["spec"]["containers"][0].setdefault("env", []).append({"name": "MORE", "value": "1"})
    else:
        raise Failed(f"nobody knows how to do {deed.what!r}", "it has no branch here", "add one")


Reported = frozenset[tuple[str, str, str]]
"""Objects, each as kind, namespace and name."""


class Bench:
    """The releases, deployed once, and the two commands that compare them."""

    def __init__(
        self, folder: Path, chosen: Sequence[Release], cluster: LocalCluster, have: Mapping[str, Path]
    ) -> None:
        self.folder, self.chosen, self.cluster = folder, chosen, cluster
        definitions = write_definitions(folder, chosen)
        self._environment = {
            **environment(folder, definitions, cluster, have["helm"]),
            "KUBECONFIG": str(cluster.layout.kubeconfig),
        }
        carbon = Path(sys.executable).with_name("carbon")
        self._up: list[str | Path] = [carbon, "up"]
        self._commands: dict[str, list[str | Path]] = {
            "ours": [carbon, "drift", "--json"],
            "peer": ["sh", "-c", _script(chosen, have["helm"], have["kubectl"])],
        }

    def deploy(self) -> None:
        """Deploy all of them."""
        measure(self._up, self._environment, self.folder / "up.log")

    def compare(self, name: str) -> tuple[Timing, Reported]:
        """One side's comparison: what it took, and the objects it reports."""
        log = self.folder / f"{name}.log"
        # Both exit with 1 when they have found something.
        timing = measure(self._commands[name], self._environment, log, allowed=(0, 1))
        text = log.read_text(encoding="utf-8")
        return timing, reported_by_carbon(text) if name == "ours" else reported_by_kubectl(text)


def _script(chosen: Sequence[Release], helm: Path, kubectl: Path) -> str:
    lines = [
        f"{shlex.quote(str(helm))} get manifest {release.name} -n {release.namespace}"
        f" | {shlex.quote(str(kubectl))} diff -n {release.namespace} -f -"
        for release in chosen
    ]
    # 1 says that something differs; only more is a failure.
    return (
        "worst=0\n"
        + "\n".join(f"{line} || {{ [ $? -le 1 ] && worst=1 || exit 2; }}" for line in lines)
        + "\nexit $worst"
    )


def reported_by_carbon(text: str) -> Reported:
    """The objects in the JSON of `carbon drift`. Raises Failed when a component could not be compared."""
    found = set()
    for component in json.loads(text)["components"]:
        if component["state"] not in {"in_sync", "drifted"}:
            raise Failed(f"{component['key']} is {component['state']}", component["reason"], "compare nothing")
        for obj in component["objects"]:
            kind, _, place = obj["object"].partition(" ")
            namespace, _, name = place.partition("/")
            found.add((kind, namespace, name))
    return frozenset(found)


def reported_by_kubectl(text: str) -> Reported:
    """The objects that `kubectl diff` shows: it names its files group.version.Kind.namespace.name."""
    kinds = {written: kind for kind, written in _PLURALS.items()}
    found = set()
    for match in _COMPARED.finditer(text):
        written = next(known for known in kinds if match[2].startswith(f"{known}."))
        namespace, _, name = match[2].removeprefix(f"{written}.").partition(".")
        found.add((kinds[written], namespace, name))
    return frozenset(found)


@dataclasses.dataclass
class Findings:
    """All that was measured."""

    timings: Timings
    disagreements: list[str]
    compared: int = 0


def run(rounds: int, count: int, folder: Path) -> Findings:
    """Compare what is as deployed, then what is not. Raises Failed when a side did not do its work."""
    found = Findings(no_timings(PHASES), [])
    have = programs.ensure(["helm", "kubectl"], settings().cache, report)
    with simulated_cluster(folder / "cluster", 2, report) as cluster:
        (folder / "bench").mkdir()
        bench = Bench(folder / "bench", releases(count, "drift"), cluster, have)
        bench.deploy()
        _rounds(bench, "in_sync", rounds, (), found)
        done = list(zip(DEEDS, bench.chosen, strict=False))
        asyncio.run(_by_hand(cluster, done))
        _rounds(bench, "drifted", rounds, done, found)
    return found


async def _by_hand(cluster: LocalCluster, done: Sequence[tuple[Deed, Release]]) -> None:
    async with cluster.api(_PATIENCE) as api:
        for deed, release in done:
            await do(deed, release, api)


def _rounds(bench: Bench, phase: str, rounds: int, done: Sequence[tuple[Deed, Release]], found: Findings) -> None:
    told = {(deed.kind, release.namespace, release.name): deed for deed, release in done}
    expected = {"ours": frozenset(told), "peer": frozenset(place for place, deed in told.items() if deed.seen_by_peer)}
    for number in range(1, rounds + 1):
        for name in ("ours", "peer") if number % 2 else ("peer", "ours"):
            timing, reported = bench.compare(name)
            found.timings[name][phase].append(timing)
            wrong = sorted(reported ^ expected[name])
            found.disagreements += [f"{name}, {phase}: {' '.join(place)}" for place in wrong]
            found.compared += len(reported | expected[name])
            report_timing(f"{phase} round {number} {name}", timing)


def summary(found: Findings, count: int) -> dict[str, Any]:
    """The medians, their ratio, and how far the two agree on what has drifted."""
    median, ratio = medians(found.timings), ratios(found.timings)
    agreement = 1 - len(found.disagreements) / found.compared if found.compared else 1.0
    return {
        **{name: median[name]["in_sync"] for name in median},
        "ratio": ratio["in_sync"],
        "agreement": round(agreement, 4),
        "disagreements": found.disagreements,
        "drifted": {name: median[name]["drifted"] for name in median},
        "drifted_ratio": ratio["drifted"],
        "deeds": [f"{deed.what}{'' if deed.seen_by_peer else ' (the peer cannot see it)'}" for deed in DEEDS],
        **circumstances(found.timings, count, ["helm"]),
    }


def _show(result: Result) -> None:
    shown = Table(title=f"{result['releases']} releases, median of {result['rounds']} rounds", title_justify="left")
    for title in ("", "carbon drift", "helm get | kubectl diff", "ratio"):
        shown.add_column(title, justify="right" if title else "left")
    rows = {"in_sync": (result["ours"], result["peer"], result["ratio"])}
    rows["drifted"] = (result["drifted"]["ours"], result["drifted"]["peer"], result["drifted_ratio"])
    for phase, (ours, peer, ratio) in rows.items():
        shown.add_row(phase, f"{ours:.2f} s", f"{peer:.2f} s", f"{ratio:.2f} ×")
    console = Console()
    console.print(shown)
    console.print(f"agreement {result['agreement']:.0%}", *result["disagreements"])


def _compare(rounds: int, count: int, folder: Path) -> dict[str, Any]:
    return summary(run(rounds, count, folder), count)


def main() -> int:
    """0 when both sides did the work in every round, and reported what was done."""
    told = command("carbon drift against helm get manifest | kubectl diff", 5, len(DEEDS), _compare, _show)
    return 0 if told and told["agreement"] == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
