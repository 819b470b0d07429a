"""Completion as a shell asks for it: the names of components and environments, quickly, and never an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.definitions import Definitions, environments

CARBON = Path(sys.executable).with_name("carbon")


@pytest.fixture
def shell(definitions: Definitions) -> dict[str, str]:
    """What a shell has in its environment, with a platform of three components and two environments."""
    definitions.chart()
    for key in ("kafka", "kafka_topics"):
        definitions.release(key)
    definitions.release("redis", checks=[{"type": "redis.info"}, {"type": "redis.roundtrip"}])
    environments(definitions.folder, {"production": {"cluster": {"context": "prod"}}})
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARBON_")}
    return kept | {
        "CARBON_DEFS": str(definitions.defs),
        "CARBON_ENVIRONMENTS": str(definitions.folder / "environments.yaml"),
        "CARBON_HOME": str(definitions.folder / "home"),
    }


def completed(shell: dict[str, str], line: str) -> list[str]:
    """What bash would offer at the end of the line."""
    words = line.split()
    at = len(words) if line.endswith(" ") else len(words) - 1
    asked = {"_CARBON_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(at)}
    done = subprocess.run([CARBON], env=shell | asked, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


LINES = {
    "carbon up ": ["kafka", "kafka_topics", "redis"],
    "carbon up k": ["kafka", "kafka_topics"],
    "carbon up kafka k": ["kafka_topics"],
    "carbon plan r": ["redis"],
    "carbon drift r": ["redis"],
    "carbon status r": ["redis"],
    "carbon verify r": ["redis"],
    "carbon doctor r": ["redis"],
    "carbon incidents r": ["redis"],
    "carbon down r": ["redis"],
    "carbon open r": ["redis"],
    "carbon check r": ["redis"],
    "carbon check redis redis_": ["redis_info", "redis_roundtrip"],
    "carbon check redis redis_info r": ["redis_roundtrip"],
    "carbon check nothing r": [],
    "carbon down redis --delete-data r": ["redis"],
    "carbon --json plan r": ["redis"],
    "carbon --env production plan r": ["redis"],
    "carbon --env p": ["production"],
    "carbon plan --env p": ["production"],
    "carbon --json sta": ["status"],
    "carbon nothing r": [],
}


@pytest.mark.parametrize("line", LINES)
def test_names_are_offered(line: str, shell: dict[str, str]) -> None:
    assert completed(shell, line) == LINES[line]


def test_wrong_files_and_settings_are_no_error_while_a_line_is_written(
    shell: dict[str, str], definitions: Definitions
) -> None:
    (definitions.folder / "environments.yaml").write_text("environments: [", encoding="utf-8")
    assert completed(shell, "carbon --env p") == []
    assert completed(shell, "carbon up r") == ["redis"]
    definitions.write("redis", "type: [")
    assert completed(shell, "carbon up r") == ["redis"], "its name is known, whatever is wrong in it"
    assert completed(shell | {"CARBON_API_PORT": "none"}, "carbon up r") == []


def test_completing_loads_neither_dagster_nor_a_kubernetes_client(shell: dict[str, str]) -> None:
    code = (
        "import sys; from carbon_platform.cli import completion, main;"
        " assert completion.components('r') == ['redis'] and completion.environments('p') == ['production'];"
        " print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=shell, capture_output=True, text=True, check=True)
    assert not [name for name in ("'dagster'", "'kubernetes'", "'lightkube'", "'httpx2'") if name in done.stdout]
