"""Options may stand before the command or after it."""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence

import typer
from typer.core import TyperGroup, TyperOption

from carbon_platform.errors import Interrupted

Options = Mapping[str, bool]
"""Options by name, and whether a value follows."""


_ONLY_LOOK = frozenset({"plan", "drift", "status", "doctor", "incidents", "open", "list"})
"""Commands that change nothing."""


class Group(TyperGroup):
    """Commands whose options may be written anywhere; Ctrl-C in one of them is an error that says so."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        below = _below(self)
        # What ends the command at once, such as --help, belongs to where it stands.
        mine = [named for option in _options(self) if not option.is_eager for named in _names(option)]
        own = {name: takes for name, takes in mine if name not in below}
        if args and own.get(args[-1]) and "--" not in args:
            # Its value is missing, and nothing else counts: that is the error, or what a shell completes.
            args = args[-1:]
        return super().parse_args(ctx, arranged(args, own, below))

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            left = "nothing was changed" if ctx.invoked_subcommand in _ONLY_LOOK else ""
            raise Interrupted("interrupted", left, shlex.join(["carbon", *sys.argv[1:]])) from None


def arranged(arguments: Sequence[str], own: Options, below: Options) -> list[str]:
    """A command line with `own` options before the command, and options of the commands `below` after it.

    What is no option, or of whatever command it may be, stays; so does all after `--`.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    words, first, kept, last = list(arguments[:end]), list[str](), list[str](), list[str]()
    while words:
        word = words.pop(0)
        name, assigned, _ = word.partition("=")
        target = first if name in own else last if name in below and not _has_command(kept) else kept
        takes = target is not kept and not assigned and (own if name in own else below)[name]
        if takes and not words:
            target = kept  # its value is missing: told where it stands
        target += [word, words.pop(0)] if takes and words else [word]
    return [*first, *kept, *last, *arguments[end:]]


def _has_command(words: Sequence[str]) -> bool:
    return any(not word.startswith("-") for word in words)


def _options(command: object) -> list[TyperOption]:
    return [one for one in getattr(command, "params", ()) if isinstance(one, TyperOption)]


def _names(option: TyperOption) -> Iterator[tuple[str, bool]]:
    for name in (*option.opts, *option.secondary_opts):
        yield name, not option.is_flag


def _below(group: TyperGroup) -> Options:
    """Options of all commands of the group, but those that take a value in one and none in another."""
    found: dict[str, set[bool]] = {}
    todo = list(group.commands.values())
    for command in todo:
        todo += getattr(command, "commands", {}).values()
        for option in _options(command):
            for name, takes in _names(option) if not option.is_eager else ():
                found.setdefault(name, set()).add(takes)
    return {name: takes.pop() for name, takes in found.items() if len(takes) == 1}
