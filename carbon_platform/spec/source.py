"""A YAML file with the line of everything in it."""

import dataclasses
from pathlib import Path
from typing import Any

import yaml

_Fastest: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Fastest):  # type: ignore[misc]
    """Tells the line of a value that has no meaning, such as a date in the thirteenth month."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error


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

    def holds(self, path: tuple[str | int, ...]) -> bool:
        """True when something stands at this very path, not only at a parent of it."""
        found = self.data
        for part in path:
            try:
                found = found[part]
            except (LookupError, TypeError):
                return False
        return True

    def problem(self, path: tuple[str | int, ...], text: str) -> Problem:
        """A problem at `path`."""
        return Problem(self.file, self.line(path), text)


def read(file: Path) -> Source | Problem:
    """The file's one YAML document, or why it can't be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Problem(file, 1, f"can't be read: {error}")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return Problem(file, min(line, len(text.splitlines())), f"not valid YAML: {error.problem}")
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        return Problem(file, line, f"not valid YAML: {error.reason}")
    return Source(file, data, node)
