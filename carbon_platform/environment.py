"""Environments: a cluster, the overlays that hold for it, its domain and where its state is kept, under one name.

A file names them; `local` is built in and needs none.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, WrapValidator, field_validator

from carbon_platform.errors import ConfigurationError
from carbon_platform.source import Problem, Source, Strict, nearest, read, refused, validate

FILE = "environments.yaml"
LOCAL: Literal["local"] = "local"
"""The environment that is built in, and the cluster that it means."""
IN_CLUSTER: Literal["in-cluster"] = "in-cluster"
LOCAL_CONTEXT = "carbon-local"
"""The kubeconfig context of a local cluster, which belongs to the environment `local`."""
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
SHIPPED = Path(__file__).parent / "defs"
"""The platform that comes with Carbon: `shipped` in a list of definitions."""

Name = Annotated[str, StringConstraints(pattern=DNS_LABEL, max_length=63)]
"""Of an environment or an overlay."""


class Context(Strict):
    """A cluster by its context in a kubeconfig."""

    context: str = Field(min_length=1)
    kubeconfig: Path | None = Field(None, description="Kubeconfig that holds it; kubectl's own rule by default.")

    def __str__(self) -> str:
        return self.context


Cluster = Context | Literal["local", "in-cluster"]


def _cluster(value: Any, _: Callable[[Any], Any]) -> Cluster:
    if value == LOCAL:
        return LOCAL
    if value == IN_CLUSTER:
        return IN_CLUSTER
    if isinstance(value, str):
        raise ValueError(f"{value!r} is no cluster; write {LOCAL}, {IN_CLUSTER} or {{context: NAME}}")  # noqa: TRY004
    return Context.model_validate(value)


class EnvironmentSpec(Strict):
    """An environment as a person writes it."""

    cluster: Annotated[Cluster, WrapValidator(_cluster)] | None = Field(
        None, description="`local`, `in-cluster`, or `context` and, if need be, `kubeconfig`."
    )
    overlays: list[Name] | None = Field(None, description="Overlays of the definitions; a later one wins.")
    domain: str = Field("254carbon.com", pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
    state: str | None = Field(None, description="Folder of records, incidents and Dagster's storage.")
    confirm: bool = Field(False, description="Ask before anything is written to it.")

    @field_validator("state")
    @classmethod
    def _a_folder(cls, value: str | None) -> str | None:
        if value is not None and "://" in value:
            raise ValueError(f"{value.partition('://')[0]}://… can't keep state yet; write a folder")
        return value


class EnvironmentsFile(Strict):
    """A whole environments.yaml."""

    definitions: list[str] | None = Field(None, min_length=1, description="Folders of definitions, or `shipped`.")
    environments: dict[Name, EnvironmentSpec] = Field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Environment:
    """One environment, with every path made whole."""

    name: str
    cluster: Cluster = LOCAL
    overlays: tuple[str, ...] = ()
    domain: str = EnvironmentSpec.model_fields["domain"].default
    state: Path | None = None
    confirm: bool = False
    source: Source | None = dataclasses.field(default=None, repr=False, compare=False)
    """The file that says so; None for what is built in."""


@dataclasses.dataclass(frozen=True)
class Environments:
    """All there are, and what holds for each of them."""

    file: Path | None
    by_name: Mapping[str, Environment]
    definitions: tuple[Path, ...] | None = None
    """None when the file does not say."""


_ALL = "in the environments"
_BUILT_IN = Environment(LOCAL, overlays=(LOCAL,))


def find(definitions: Sequence[Path]) -> Path | None:
    """The environments.yaml of the current directory, else the nearest above one of these folders."""
    places = [Path.cwd(), *(parent for folder in definitions for parent in folder.absolute().parents)]
    return next((place / FILE for place in places if (place / FILE).is_file()), None)


def folders(written: Iterable[str], below: Path) -> tuple[Path, ...]:
    """Folders of definitions, each once; a relative one is below `below`."""
    found: dict[Path, Path] = {}
    for one in written:
        folder = SHIPPED if one == "shipped" else below / Path(one).expanduser()
        found.setdefault(folder.resolve(), SHIPPED if folder.resolve() == SHIPPED.resolve() else folder)
    return tuple(found.values())


def read_environments(file: Path | None) -> Environments:
    """What the file names, and `local`. Raises ConfigurationError listing every problem with file and line."""
    if file is None:
        return Environments(None, {LOCAL: _BUILT_IN})
    source = read(file)
    if isinstance(source, Problem):
        raise refused([source], _ALL)
    written = validate(EnvironmentsFile, source.data, source, ())
    if isinstance(written, list):
        raise refused(written, _ALL)
    problems = [problem for name, one in written.environments.items() for problem in _misplaced(name, one, source)]
    if problems:
        raise refused(problems, _ALL)
    below = file.absolute().parent
    named = {name: _resolve(name, one, source, below) for name, one in written.environments.items()}
    definitions = folders(written.definitions, below) if written.definitions else None
    return Environments(file, {LOCAL: _BUILT_IN} | named, definitions)


def _misplaced(name: str, one: EnvironmentSpec, source: Source) -> Iterator[Problem]:
    """Problems with its cluster."""
    at = ("environments", name, "cluster")
    there = one.cluster in {LOCAL, None} or (isinstance(one.cluster, Context) and one.cluster.context == LOCAL_CONTEXT)
    if name == LOCAL and not there:
        yield source.problem(at, f"{LOCAL} is the local cluster's environment; give this one another name")
    elif name != LOCAL and one.cluster is None:
        yield source.problem(at, f"{'.'.join(at)!r} is missing")
    elif name != LOCAL and isinstance(one.cluster, Context) and there:
        yield source.problem(at, f"{LOCAL_CONTEXT} is the cluster of {LOCAL}; write `cluster: {LOCAL}` if it is meant")


def _resolve(name: str, one: EnvironmentSpec, source: Source, below: Path) -> Environment:
    cluster = one.cluster or LOCAL
    if isinstance(cluster, Context) and cluster.kubeconfig:
        cluster = cluster.model_copy(update={"kubeconfig": below / cluster.kubeconfig.expanduser()})
    overlays = one.overlays if one.overlays is not None else _BUILT_IN.overlays if name == LOCAL else ()
    state = below / Path(one.state).expanduser() if one.state else None
    return Environment(name, cluster, tuple(overlays), one.domain, state, one.confirm, source)


def choose(known: Environments, asked: str | None, *, in_pod: bool) -> Environment:
    """The environment that is asked for; `local` when none is, or inside a pod the one of the cluster around it.

    Raises ConfigurationError naming those that there are.
    """
    if asked:
        if asked in known.by_name:
            return known.by_name[asked]
        raise ConfigurationError(
            f"no environment is called {asked!r}",
            f"{known.file} names none of that name{nearest(asked, known.by_name)}"
            if known.file
            else f"only {LOCAL} is built in, and there is no {FILE} here or above the definitions",
            f"choose one of: {', '.join(sorted(known.by_name))}",
        )
    if not in_pod:
        return known.by_name[LOCAL]
    inside = [one for one in known.by_name.values() if one.cluster == IN_CLUSTER]
    if len(inside) == 1:
        return inside[0]
    told = f"{' and '.join(one.name for one in inside)} are" if inside else "no environment is"
    raise ConfigurationError(
        "this process runs in a pod, and nobody said which environment that is",
        f"{told} `cluster: {IN_CLUSTER}` in {known.file or FILE}",
        f"set CARBON_ENV to one of: {', '.join(sorted(known.by_name))}",
    )
