"""What the documentation says is what the code does."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main

from carbon_platform.checks import base
from carbon_platform.cli.main import app
from carbon_platform.environment import EnvironmentsFile, EnvironmentSpec, read_environments
from carbon_platform.health.state import State
from carbon_platform.local.catalogue import SOURCES
from carbon_platform.local.images.recipes import default_folder, load_recipes
from carbon_platform.local.packages import CLUSTER
from carbon_platform.settings import Settings
from carbon_platform.spec import component
from carbon_platform.spec.load import load_platform
from carbon_platform.spec.rules import ReadyRule
from tests.definitions import Definitions
from tests.unit.docs import pages


def test_every_link_leads_somewhere() -> None:
    lost = []
    for file in pages.every():
        for link in pages.links(file.read_text(encoding="utf-8")):
            name, _, anchor = link.partition("#")
            target = (file.parent / name) if name else file
            if not target.exists() or (anchor and anchor not in pages.anchors(target.read_text(encoding="utf-8"))):
                lost.append(f"{file.name}: {link}")
    assert lost == []


def test_the_index_has_every_page() -> None:
    index = set(pages.links(pages.page("README.md")))
    assert {file.name for file in pages.DOCS.glob("*.md")} - {"README.md"} <= index


def test_every_setting_is_told_with_its_default() -> None:
    rows = [line for line in pages.page("commands.md").splitlines() if line.startswith("| `CARBON_")]
    told = {pages.code(row)[0]: row for row in rows}
    assert set(told) == {f"CARBON_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if field.default_factory is None:
            default = "none" if field.default is None else f"`{field.default}`"
            assert f"| {default} |" in told[f"CARBON_{name.upper()}"]


def _commands(command: Any, path: str = "carbon") -> dict[str, Any]:
    inner = getattr(command, "commands", None)
    if inner is None:
        return {path: command}
    return {found: one for name in inner for found, one in _commands(inner[name], f"{path} {name}").items()}


def test_every_command_is_told_with_its_options() -> None:
    text = pages.page("commands.md")
    headings = re.findall(r"^### (carbon .+?)(?: \[?COMPONENT.*)?$", text, flags=re.MULTILINE)
    commands = _commands(typer.main.get_command(app))
    assert set(headings) == set(commands)
    for path, command in commands.items():
        heading = next(line for line in text.splitlines() if re.match(rf"### {path}( \[?COMPONENT.*)?$", line))
        told = {word for one in pages.code(pages.section(text, heading)) for word in one.split()}
        options = {o for p in command.params for o in [*p.opts, *p.secondary_opts] if o.startswith("-")}
        assert options - {"--json", "--help", "-h"} <= told, path


def _is_call(line: str) -> bool:
    """Whether there is such a command with these options; which components and values it is given is left open."""
    found: Any = typer.main.get_command(app)
    words = [*line.split("#")[0].split("…")[0].partition("carbon ")[2].split()]
    known = {"--help", "-h", "--json"}
    while words and (words[0] in {"--env"} or words[0] in getattr(found, "commands", {})):
        if words[0] == "--env":
            words = words[2:]
        else:
            found = found.commands[words.pop(0)]
    known |= {o for p in found.params for o in [*p.opts, *p.secondary_opts]} | {"--env"}
    takes_names = any(p.param_type_name == "argument" for p in found.params)
    given = [word.partition("=")[0] for word in words if word.startswith("-")]
    values = {words[i + 1] for i, word in enumerate(words[:-1]) if word.startswith("--") and "=" not in word}
    rest = [word for word in words if not word.startswith("-") and word not in values]
    return set(given) <= known and (takes_names or not rest)


def test_every_command_that_a_page_names_is_one() -> None:
    wrong = []
    for file in set(pages.every()) - {pages.ROOT / "CHANGELOG.md"}:
        lines = pages.command_lines(file.read_text(encoding="utf-8"))
        wrong += [f"{file.name}: {line}" for line in lines if not _is_call(line)]
    assert wrong == []


def test_every_state_is_told_and_no_other() -> None:
    table = pages.section(pages.page("commands.md"), "## States")
    assert {pages.code(cell)[0] for cell in pages.first_column(table)} == {state.value for state in State}


_MODELS = {
    "### Attributes of every type": component.AssetAttributes,
    "## Endpoints": component.EndpointSpec,
    "## Heal": component.HealSpec,
    "## Drift": component.DriftSpec,
    "## Chart": component.ChartRef,
    "## Overlays": component.Overlay,
    "## Manifests": component.ManifestsOverlay,
    "## Custom resources": ReadyRule,
    "## Secrets": component.SecretSpec,
}


@pytest.mark.parametrize("heading", _MODELS)
def test_every_key_of_a_component_is_told_and_no_other(heading: str) -> None:
    table = pages.tables(pages.section(pages.page("components.md"), heading))[0]
    assert {key for cell in table for key in pages.code(cell)} == set(_MODELS[heading].model_fields)


def test_the_keys_of_releases_and_content_are_told() -> None:
    text, installed = pages.page("components.md"), component.InstalledAttributes
    for heading, model, shared in (
        ("a HelmRelease and of Manifests", installed, component.AssetAttributes),
        ("a HelmRelease", component.ReleaseAttributes, installed),
        ("Manifests", component.ManifestsAttributes, installed),
        ("Content", component.ContentAttributes, component.AssetAttributes),
    ):
        rows = pages.first_column(pages.section(text, f"### Attributes of {heading}"))
        assert {pages.code(cell)[0] for cell in rows} == set(model.model_fields) - set(shared.model_fields)


def test_the_sources_of_a_secret_are_told() -> None:
    rows = pages.first_column(pages.section(pages.page("components.md"), "## Secrets"))
    told = {pages.code(cell)[0].partition(":")[0] for cell in rows}
    assert set(component.SecretKey.model_fields) <= told


def test_the_keys_of_every_check_are_told() -> None:
    table = pages.section(pages.page("checks.md"), "## How a check runs")
    told = {code for cell in pages.first_column(table) for code in pages.code(cell)[:1]}
    assert set(base.Check.model_fields) <= told


def test_the_keys_of_environments_are_told_and_their_example_is_right(tmp_path: Path) -> None:
    text = pages.page("environments.md")
    file, one = pages.tables(pages.section(text, "## The file"))
    for table, model in ((file, EnvironmentsFile), (one, EnvironmentSpec)):
        assert {key for cell in table for key in pages.code(cell)} == set(model.model_fields)
    example = tmp_path / "environments.yaml"
    example.write_text(pages.blocks(text, "yaml")[0], encoding="utf-8")
    assert set(read_environments(example).by_name) == {"local", "staging", "production"}
    for block in pages.blocks(pages.page("getting-started.md"), "yaml"):
        example.write_text(block, encoding="utf-8")
        assert set(read_environments(example).by_name) == {"local", "production"}


def test_the_groups_that_are_told_are_those_of_the_shipped_platform() -> None:
    told = next(row for row in pages.page("components.md").splitlines() if row.startswith("| `group` |"))
    _, _, shipped = told.partition("The shipped ones have")
    groups = {component.group for component in load_platform(Settings()).components.values()}
    assert set(pages.code(shipped)) - {"data"} == groups - {"data"}


POLICY = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed}\nspec: {podSelector: {}}\n"


@pytest.mark.parametrize("environment", ["local", "production"])
def test_the_examples_of_components_load(definitions: Definitions, environment: str) -> None:
    definitions.chart("price-api")
    definitions.chart()
    for need in ("postgres", "kafka", "postgres_operator"):
        definitions.release(need)
    for number, example in enumerate(pages.blocks(pages.page("components.md"), "yaml")):
        file = definitions.write(f"example_{number}", example)
        (file.parent / "policies").mkdir()
        (file.parent / "policies" / "one.yaml").write_text(POLICY, encoding="utf-8")
    loaded = definitions.load(environment)
    assert {"example_0", "example_1", "example_2"} <= set(loaded.components)
    assert loaded.components["example_0"].endpoints[0].host == "prices.254carbon.com"


def test_every_symptom_is_told_by_the_code_in_these_words() -> None:
    symptoms = [text for cell in pages.first_column(pages.page("troubleshooting.md")) for text in pages.code(cell)]
    assert len(symptoms) > 60
    assert [symptom for symptom in symptoms if not pages.is_told(symptom)] == []


_ENTRY_LINES = 8


def test_an_entry_of_the_runbook_is_short_listed_and_in_the_words_of_the_code() -> None:
    text = pages.page("runbook.md")
    listed = {link.removeprefix("#") for link in pages.links(pages.section(text, "## By symptom"))}
    entries = re.findall(r"^### .+$", text, flags=re.MULTILINE)
    assert {pages.anchor(entry.removeprefix("### ")) for entry in entries} == listed
    for entry in entries:
        lines = [line for line in pages.section(text, entry).splitlines() if line.strip()]
        assert len(lines) <= _ENTRY_LINES, entry
        seen = lines[0].removeprefix("- **You see:** ")
        assert seen != lines[0], entry
        untold = [one for one in pages.code(seen) if not pages.is_told(one) and one not in pages.command_lines(seen)]
        assert untold == [], entry


def _project() -> dict[str, Any]:
    return dict(tomllib.loads((pages.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def test_every_dependency_is_told_with_its_licence() -> None:
    names = {name for cell in pages.first_column(pages.page("third-party.md")) for name in cell.split(", ")}
    project = _project()
    wanted = [*project["dependencies"], *(d for group in project["optional-dependencies"].values() for d in group)]
    assert {re.split(r"[\[<>=]", dependency)[0] for dependency in wanted} <= names
    assert set(load_recipes(default_folder())) <= names
    assert set(CLUSTER.values()) <= names
    assert set(SOURCES) - {"pause"} <= names


def test_the_programs_of_the_cluster_are_told_with_their_versions() -> None:
    rows = pages.section(pages.page("third-party.md"), "## Programs of the local cluster").splitlines()
    for source in SOURCES.values():
        if source.name != "pause":
            row = next(row for row in rows if re.search(rf"\b{source.name}\b", row))
            assert f"| {source.version.lstrip('v')} |" in row


def test_the_licence_is_the_one_that_the_package_names() -> None:
    text = (pages.ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert _project()["license"] == "Apache-2.0"
