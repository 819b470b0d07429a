"""The one family of foreseeable failures. Each is told to a person as what failed, why, and what to do."""

import enum
import traceback
from collections.abc import Sequence
from pathlib import Path


class ExitCode(enum.IntEnum):
    """How a command ends; docs/commands.md says what that means of each command."""

    DONE = 0
    FAILED = 1
    """Something failed, or what a command looked at is not as it should be."""
    USAGE = 2
    """What a person wrote is wrong; nothing was changed."""
    INTERRUPTED = 130
    """Ctrl-C: 128 and the number of SIGINT, as a shell tells it."""
    UNREAD = 141
    """Whoever read what it prints stopped: 128 and the number of SIGPIPE."""


_CAUSE, _FIX, _EVIDENCE = "cause: ", "fix: ", "  | "


class CarbonError(Exception):
    """A foreseeable failure.

    `summary` names the object and what failed; `cause` says why in one sentence;
    `fix` says what would help. `evidence` is raw material (an event, last log lines), shown below.
    Exit code of the command line for it: `exit_code`.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, summary: str, cause: str = "", fix: str = "", evidence: Sequence[str] = ()) -> None:
        super().__init__(summary)
        self.summary = summary
        self.cause = cause
        self.fix = fix
        self.evidence = tuple(evidence)

    def __str__(self) -> str:
        lines = [self.summary]
        if self.cause:
            lines.append(_CAUSE + self.cause)
        if self.fix:
            lines.append(_FIX + self.fix)
        lines.extend(f"{_EVIDENCE}{line}" for line in self.evidence)
        return "\n".join(lines)

    @property
    def told(self) -> str:
        """What failed and why, in one line."""
        return f"{self.summary}: {self.cause}" if self.cause else self.summary

    @classmethod
    def read(cls, text: str) -> "CarbonError":
        """One from what `str` made of it, whatever its kind was."""
        lines = text.splitlines()
        found = {name: next((x.removeprefix(name) for x in lines if x.startswith(name)), "") for name in (_CAUSE, _FIX)}
        evidence = [line.removeprefix(_EVIDENCE) for line in lines if line.startswith(_EVIDENCE)]
        return cls(lines[0] if lines else "", found[_CAUSE], found[_FIX], evidence)


class ConfigurationError(CarbonError):
    """What a person wrote is wrong: a file, a setting, an argument."""

    exit_code = ExitCode.USAGE


class Interrupted(CarbonError):
    """A person pressed Ctrl-C: what that left, and the command that goes on."""

    exit_code = ExitCode.INTERRUPTED


class Unreachable(CarbonError):
    """The API server, or something behind it, does not answer."""


class PermissionDenied(CarbonError):
    """The API server refused: the summary names the verb and the resource."""


class Conflict(CarbonError):
    """Another writer holds the lease, or the object changed under us."""


class Overtaken(Conflict):
    """What was to be healed has had another writer since: the decision was about how it was before."""


class DataAtRisk(CarbonError):
    """The plan would touch data; the fix is the exact confirmation to give. `lost`: what is gone already."""

    def __init__(
        self, summary: str, cause: str = "", fix: str = "", evidence: Sequence[str] = (), *, lost: Sequence[str] = ()
    ) -> None:
        super().__init__(summary, cause, fix, evidence)
        self.lost = tuple(lost)


class NotReady(CarbonError):
    """What was applied did not become ready: with the cause, before or at the deadline."""


class CheckFailed(CarbonError):
    """A functional check found that the component does not work."""


class Blocked(CarbonError):
    """A need, an image or a program is missing; nothing was changed."""


class Crash(CarbonError):
    """What nobody foresaw: a defect of Carbon, or of a check or a content type. It is about one thing only."""


_PACKAGE = Path(__file__).parent
_PLACES = 3


def foreseen(error: Exception, what: str) -> CarbonError:
    """The error itself, where somebody foresaw it; else a Crash that says what failed and where in the code.

    One component's crash is told where it is met, so that it never ends what is done for the others.
    """
    if isinstance(error, CarbonError):
        return error
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(_PACKAGE)
    ]
    places = [f"{Path(f.filename).relative_to(_PACKAGE.parent)}:{f.lineno} in {f.name}" for f in frames[-_PLACES:]]
    told = f"{type(error).__name__}: {error}".removesuffix(": ")
    return Crash(what, told, "this is a mistake in the code: report it with these lines", places)
