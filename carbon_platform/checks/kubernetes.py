"""Declared checks of what the API server has, of who acts on it, and of what it refuses."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from carbon_platform import expressions
from carbon_platform.checks.step import Answer, Expected, Probe, Session, Step, shortened
from carbon_platform.checks.steps import StepsCheck
from carbon_platform.cluster.errors import Rejected
from carbon_platform.cluster.reach import Object, Reach
from carbon_platform.errors import CarbonError, CheckFailed, PermissionDenied, Unreachable
from carbon_platform.source import Place


class _Ask(Step):
    """A request of the API server about one kind."""

    api_version: str = Field(description="Such as `v1`, or `apps/v1`.")
    kind: str
    namespace: str | None = Field(None, description="Where it is; the component's namespace by default.")


class Look(_Ask):
    """A look at one object (`answer.object`), or at all that have these labels (`answer.objects`)."""

    object: str | None = Field(None, description="Its name; all of the kind if unsaid.")
    labels: dict[str, str] = Field(default_factory=dict, description="Of those that are looked at.")

    @property
    def title(self) -> str:
        """Kind and name."""
        return f"{self.kind} {self.object}" if self.object else f"each {self.kind}"

    def requests(self) -> Iterator[tuple[Place, Any]]:
        """Name and labels."""
        yield ("object",), self.object
        yield ("labels",), self.labels


class _Write(_Ask):
    """One of the requests that are made of a manifest."""

    verb: Literal["create", "delete", "refuse"]
    manifest: dict[str, Any]

    @property
    def title(self) -> str:
        """What is done, and to what."""
        return f"{self.verb} {self.kind} {self.manifest['metadata']['name']}"

    def requests(self) -> Iterator[tuple[Place, Any]]:
        """The manifest; of a removal only what it is called."""
        yield ("object",), self.manifest["metadata"]["name"] if self.verb == "delete" else self.manifest


class _Api:
    """A conversation with the API server."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def ask(self, step: Step, values: Mapping[str, Any]) -> Answer:
        """One request. What is not there is an answer too: `object` is null."""
        try:
            if isinstance(step, Look):
                return await self._look(step, values)
            assert isinstance(step, _Write)
            return await self._write(step, values)
        except (Rejected, PermissionDenied) as error:
            raise CheckFailed(f"{step.title}: refused", error.told, error.fix) from error

    async def _look(self, step: Look, values: Mapping[str, Any]) -> Answer:
        if step.object is None:
            labels = expressions.fill_all(step.labels, values)
            objects = await self._reach.list(step.api_version, step.kind, step.namespace, labels)
            names = ", ".join(one["metadata"]["name"] for one in objects)
            return Answer({"objects": objects}, f"{len(objects)}: {shortened(names)}" if objects else "there is none")
        name = expressions.fill(step.object, values)
        found = await self._reach.get(step.api_version, step.kind, name, step.namespace)
        return Answer({"object": found}, _told(found))

    async def _write(self, step: _Write, values: Mapping[str, Any]) -> Answer:
        if step.verb == "delete":
            name = expressions.fill(step.manifest["metadata"]["name"], values)
            await self._reach.delete(step.api_version, step.kind, name, step.namespace)
            return Answer({}, "deleted")
        manifest = expressions.fill_all(step.manifest, values)
        if step.verb == "create":
            return Answer({"object": await self._reach.create(manifest)}, "created")
        try:
            await self._reach.create(manifest, dry_run=True)
        except Unreachable:
            raise
        except CarbonError as error:
            return Answer({"denied": True, "message": error.told}, shortened(error.told))
        return Answer({"denied": False, "message": ""}, "the API server would take it")


def _told(found: Object | None) -> str:
    """What an object says of its state, in a line."""
    if found is None:
        return "it is not there"
    status = found.get("status") or {}
    said = [f"{one.get('type')} {one.get('status')}" for one in status.get("conditions") or ()]
    rest = {key: value for key, value in status.items() if key != "conditions"}
    said += [json.dumps(rest)] if rest else []
    return shortened(", ".join(said)) or "it is there, and says nothing of its state"


class _KubernetesCheck(StepsCheck):
    @contextlib.asynccontextmanager
    async def session(self, reach: Reach, values: Mapping[str, str]) -> AsyncIterator[Session]:
        """The API server that Carbon speaks with."""
        yield _Api(reach)


class KubernetesObject(_KubernetesCheck):
    """Looks at objects, and what is expected of them."""

    summary: ClassVar[str] = "The objects are there, and say what is expected."

    steps: list[Look] = Field(min_length=1)

    @property
    def parts(self) -> Mapping[str, Sequence[Step]]:
        """The looks."""
        return {"steps": self.steps, "finally": [], "remove": [], "leftovers": []}


class _OfManifest(_KubernetesCheck):
    object: dict[str, Any] = Field(description="A manifest.")

    @field_validator("object")
    @classmethod
    def _complete(cls, manifest: dict[str, Any]) -> dict[str, Any]:
        metadata = manifest.get("metadata")
        named = isinstance(metadata, dict) and metadata.get("name")
        if not (named and manifest.get("apiVersion") and manifest.get("kind")):
            raise ValueError("say apiVersion, kind and metadata.name")
        return manifest

    def _write(self, verb: Literal["create", "delete", "refuse"], **more: Any) -> _Write:
        return _Write(verb=verb, manifest=self.object, **self._of(), **more)

    def _of(self) -> dict[str, Any]:
        """Of which kind it is, and where."""
        namespace = self.object["metadata"].get("namespace")
        return {"api_version": self.object["apiVersion"], "kind": self.object["kind"], "namespace": namespace}

    def at(self, part: str, position: int) -> Place:
        """It is written as one thing, not as steps."""
        return ()


class KubernetesProbe(_OfManifest):
    """An object is made, what its controller does with it is awaited, and it is deleted again."""

    summary: ClassVar[str] = "Who is in charge of such objects acts on a new one."

    probe: Probe = Field(Probe(prefix="carbon-probe-", separator="-"), description="The name that it must have.")
    until: Expected = Field(description="When enough was done; `answer.object` is the object as it is then.")
    within: float = Field(30.0, gt=0, description="Seconds for that.")
    every: float = Field(0.25, gt=0, description="Seconds between two looks.")
    capture: dict[str, str] = Field(
        default_factory=dict, description="Values for `evidence` and `detail`, in CEL, by name."
    )

    @field_validator("object")
    @classmethod
    def _named(cls, manifest: dict[str, Any]) -> dict[str, Any]:
        if manifest["metadata"]["name"] != "${probe}":
            raise ValueError("metadata.name must be ${probe}: by it a later check knows what a killed one left")
        return manifest

    @property
    def parts(self) -> Mapping[str, Sequence[Step]]:
        """Create, await; delete; and a look at those that are there."""
        of = self._of()
        acted = {"until": self.until, "within": self.within, "every": self.every, "capture": self.capture}
        return {
            "steps": [self._write("create"), Look(object="${probe}", name="acted", **of, **acted)],
            "finally": [],
            "remove": [self._write("delete")],
            "leftovers": [Look(**of, capture={"names": "answer.objects.map(one, one.metadata.name)"})],
        }


class KubernetesDenied(_OfManifest):
    """An object is not taken by the API server: a policy holds. Nothing is made."""

    summary: ClassVar[str] = "The API server refuses what it is to refuse."

    says: str = Field("", description="What the refusal must say somewhere; any refusal will do if unsaid.")
    cause: str = Field("", description="What it means that it is taken, in a sentence.")
    fix: str = Field("", description="What helps then.")

    @property
    def parts(self) -> Mapping[str, Sequence[Step]]:
        """One request, as a dry run."""
        cause = self.cause or f"the API server would take this {self.object['kind']}"
        taken = {"that": "answer.denied", "cause": cause, "fix": self.fix}
        other = {
            "that": f"answer.message.contains({json.dumps(self.says)})",
            "cause": "it is refused for another reason: ${answer.message}",
            "fix": self.fix,
        }
        return {"steps": [self._write("refuse", expect=[taken, other])], "finally": [], "remove": [], "leftovers": []}


CHECKS = {"object": KubernetesObject, "probe": KubernetesProbe, "denied": KubernetesDenied}
