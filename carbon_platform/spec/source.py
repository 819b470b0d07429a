"""A YAML file with the line of everything in it."""

import dataclasses
from pathlib import Path
from typing import Any

import yaml

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something wrong in a file, where it stands, and what would be right."""

    file: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclasses.dataclass(frozen=True)
class Source:
    """Parsed YAML, and where each part of it stands."""

    file: Path
    data: Any
    node: yaml.Node | None

    def line(self, path: tuple[str | int, ...]) -> int:
        """1-based line of what stands at `path` (of its key, in a mapping); of the nearest parent if nothing does."""
        node, line = self.node, 1
        for part in path:
            found = None
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == str(part):
                        found, line = value, key.start_mark.line + 1
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                found = node.value[part]
                line = found.start_mark.line + 1
            if found is None:
                break
            node = found
        return line

    def problem(self, path: tuple[str | int, ...], text: str) -> Problem:
        """A problem at `path`."""
        return Problem(self.file, self.line(path), text)


def read(file: Path) -> Source | Problem:
    """The file's one YAML document, or why it can't be read."""
    try:
        loader = _Loader(file.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return Problem(file, line, f"not valid YAML: {error.problem}")
    except (OSError, UnicodeDecodeError) as error:
        return Problem(file, 1, f"can't be read: {error}")
    return Source(file, data, node)
