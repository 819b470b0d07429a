"""The documentation as a test reads it: pages, tables, code blocks, and the texts that the code tells people."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from carbon_platform import expressions

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"


def every() -> list[Path]:
    """All pages of the repository: the documentation, and what stands beside the code."""
    beside = [*ROOT.glob("*.md"), *(ROOT / "images").glob("*.md"), *(ROOT / "charts").glob("*/*.md")]
    return [*DOCS.rglob("*.md"), *beside]


def page(name: str) -> str:
    """The text of a page."""
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of the same or a higher level."""
    level = heading.split()[0]
    body = text.split(f"\n{heading}\n", 1)[1]
    return re.split(rf"^#{{1,{len(level)}}} ", body, maxsplit=1, flags=re.MULTILINE)[0]


def tables(text: str) -> list[list[str]]:
    """For each table, the first cell of each of its rows, head and rule left out."""
    found = re.findall(r"^\|.*\n\|---.*\n((?:\|.*\n?)*)", text, flags=re.MULTILINE)
    return [[re.split(r"(?<!\\)\|", row)[1].strip() for row in rows.splitlines()] for rows in found]


def first_column(text: str) -> list[str]:
    """The first cell of every row of every table."""
    return [cell for table in tables(text) for cell in table]


def code(text: str) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    fenced = re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)
    return [body for of, body in fenced if of == language]


def command_lines(text: str) -> list[str]:
    """The calls of `carbon`: in backticks, and in fenced blocks of no language or of a shell."""
    lines = [line for language in ("", "sh") for block in blocks(text, language) for line in block.splitlines()]
    return [line.strip() for line in [*code(text), *lines] if _CALL.match(line.strip())]


_CALL = re.compile(r"(?:[A-Z_]+=\S+ )?(?:\.venv/bin/)?carbon\s")


def links(text: str) -> list[str]:
    """Where the links of a page lead, those to the web left out."""
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]


def anchors(text: str) -> set[str]:
    """The names under which a page's headings can be linked to, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {anchor(heading) for heading in headings}


def anchor(heading: str) -> str:
    """The name under which a heading can be linked to."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


PLACEHOLDER = "…"


@functools.cache
def told_texts() -> tuple[str, ...]:
    """Every text in the code but its docstrings, with a placeholder for each part that differs from time to time."""
    files = (ROOT / "carbon_platform").rglob("*.py")
    code = (text for file in files for text in _texts(ast.parse(file.read_text(encoding="utf-8"))))
    return (*code, *_declared())


_INSERTED = re.compile(r"\$\{[^}]*\}|\{\{.*?\}\}")


def _declared() -> Iterator[str]:
    """The texts of the shipped definitions: checks that are declared there tell causes and fixes."""
    for file in (ROOT / "carbon_platform" / "defs").rglob("defs.yaml"):
        for text in expressions.texts(yaml.safe_load(file.read_text(encoding="utf-8"))):
            yield _INSERTED.sub(PLACEHOLDER, text)


def _texts(tree: ast.AST) -> Iterator[str]:
    nodes = list(ast.walk(tree))
    docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else PLACEHOLDER for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node.value


def is_told(text: str) -> bool:
    """Whether the code has these words, in this order; a placeholder stands for anything."""
    parts = [part for part in re.split(PLACEHOLDER, text) if part.strip(" :")]
    wanted = re.compile(".*?".join(map(re.escape, parts)), re.DOTALL)
    return bool(parts) and any(wanted.search(one) for one in told_texts())
