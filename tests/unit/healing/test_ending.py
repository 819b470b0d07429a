"""Who ended an incident is what was seen: Carbon's attempt, somebody else's deed, or nobody."""

import dataclasses
import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.healing.conditions import Deployed
from carbon_platform.healing.ending import HEALED, MENDED, RECOVERED, Deed, deeds, ending, meanwhile
from carbon_platform.healing.incident import Came, Edit, Incident, Tried
from carbon_platform.healing.symptoms import Sign
from carbon_platform.healing.view import Write
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.records import Materialization, Record
from carbon_platform.release.edited import EditedField

NOW = 1_000_000.0
BASE = Tried("db-1", 1, "db", Remedy.REAPPLY, ("db",), NOW, started_at=NOW, ended_at=NOW + 5)
HELPED = dataclasses.replace(BASE, helped=True, changed=True)
FOUND_WELL = dataclasses.replace(BASE, helped=True, changed=False)
FAILED = dataclasses.replace(BASE, remedy=Remedy.RESTART, changed=True)
CUT_SHORT = dataclasses.replace(BASE, cut_short=True)
WAKE = dataclasses.replace(BASE, remedy=Remedy.WAKE, helped=True)
WRITE = Write("Deployment here/db", "kubectl-patch", "2026-01-01T12:00:00Z")
EDIT = Deed("kubectl-patch wrote Deployment here/db at 2026-01-01T12:00:00Z", object=WRITE.object)
BESIDE = Deed("kubectl-edit wrote Service here/db at 2026-01-01T12:00:00Z", mends=False, object="Service here/db")
UP = Deed("carbon up (run 9) deployed it at 2026-01-01T12:01:00Z", lost=("topic prices, made anew, empty",))
PROOF = Deed("carbon up (run 10) proved it and changed nothing at 2026-01-01T12:02:00Z", mends=False)


@pytest.mark.parametrize(
    ("attempts", "done", "outcome", "told"),
    [
        ([], [], RECOVERED, "it recovered with no attempt of Carbon's and no edit seen"),
        ([], None, RECOVERED, "it recovered with no attempt of Carbon's and whether somebody edited it is not known"),
        ([], [EDIT], MENDED, EDIT.told),
        ([], [EDIT, UP], MENDED, f"{EDIT.told}; {UP.told}"),
        ([], [EDIT, PROOF], MENDED, EDIT.told),
        ([], [PROOF], RECOVERED, f"it recovered with no attempt of Carbon's and no edit seen; {PROOF.told}"),
        (
            [],
            [BESIDE],
            RECOVERED,
            f"it recovered with no attempt of Carbon's and no edit of what was at fault seen; {BESIDE.told}",
        ),
        ([HELPED], [], HEALED, "attempt 1, re-apply, healed it"),
        ([HELPED], [EDIT], HEALED, f"attempt 1, re-apply, healed it; meanwhile {EDIT.told}"),
        ([FOUND_WELL], [EDIT], MENDED, EDIT.told),
        (
            [FOUND_WELL],
            [],
            RECOVERED,
            "it recovered with 1 attempt that found it well and changed nothing, and no edit seen",
        ),
        ([FAILED, FAILED], [], RECOVERED, "it recovered with 2 attempts that did not help, and no edit seen"),
        ([FAILED], [UP], MENDED, UP.told),
        (
            [FAILED, dataclasses.replace(FOUND_WELL, number=2)],
            [],
            HEALED,
            "attempt 1, restart, wrote what attempt 2 found well; no edit seen",
        ),
        ([FAILED, FOUND_WELL], [EDIT], MENDED, EDIT.told),
        (
            [dataclasses.replace(BASE, started_at=None), FOUND_WELL],
            [],
            RECOVERED,
            "it recovered with 1 attempt that did not help, 1 attempt that found it well and changed nothing,"
            " and no edit seen",
        ),
        (
            [FAILED, CUT_SHORT],
            [],
            RECOVERED,
            "it recovered with 1 attempt that did not help, 1 attempt cut short, and no edit seen",
        ),
        ([WAKE], [], RECOVERED, "it recovered with no attempt of Carbon's and no edit seen"),
    ],
)
def test_how_it_ended_is_told_as_it_was_seen(
    attempts: list[Tried], done: list[Deed] | None, outcome: str, told: str
) -> None:
    made = ending(attempts, done)
    assert (made.outcome, made.told) == (outcome, told)


def test_what_somebody_s_deed_has_cost_is_lost_with_the_incident() -> None:
    assert ending([], [UP]).lost == UP.lost
    assert ending([HELPED], [UP, UP]).lost == UP.lost
    assert ending([], [EDIT]).lost == ()


ATTEMPTS = st.lists(st.sampled_from([HELPED, FOUND_WELL, FAILED, CUT_SHORT, WAKE]), max_size=5)
DEEDS = st.lists(st.sampled_from([EDIT, UP, PROOF]), max_size=4)


@given(ATTEMPTS, DEEDS)
def test_nobody_gets_the_credit_for_what_he_did_not_do_and_no_deed_is_kept_back(
    attempts: list[Tried], done: list[Deed]
) -> None:
    made = ending(attempts, done)
    mended = [deed.told for deed in done if deed.mends]
    kinds = "".join("hwfc "[[HELPED, FOUND_WELL, FAILED, CUT_SHORT, WAKE].index(one)] for one in attempts)
    proven = re.search("[fc] *w", kinds) is not None
    assert (made.outcome == HEALED) is (HELPED in attempts or (proven and not mended))
    assert (made.outcome == MENDED) is (bool(mended) and HELPED not in attempts)
    assert all(told in made.told for told in mended)
    assert ("no edit seen" in made.told) is (not mended and HELPED not in attempts)
    if made.outcome == RECOVERED:
        own = [one for one in attempts if one is not WAKE]
        assert ("no attempt" in made.told) is (not own)
        number = sum(one is FAILED for one in own)
        assert (f"{number} attempt{'s' if number > 1 else ''} that did not help" in made.told) is bool(number)


def test_what_others_did_is_known_from_writes_revisions_and_records() -> None:
    failed = Materialization("2026-01-01T12:02:00Z", "a run in Dagster", "r2", True, "no node takes it")
    record = Record(
        "db",
        revision=3,
        materialized=(
            Materialization("2026-01-01T12:01:00Z", "carbon up", "r1", True, lost=("a topic",)),
            failed,
            Materialization("2026-01-01T12:03:00Z", "carbon up", "r3"),
        ),
    )
    foreign = Deployed(4, False, "by helm at 2026-01-01T12:00:30Z")
    assert deeds(record, [WRITE], foreign) == (
        EDIT,
        Deed("revision 4 was made by helm at 2026-01-01T12:00:30Z, and not by Carbon"),
        Deed("carbon up (run r1) deployed it at 2026-01-01T12:01:00Z", True, lost=("a topic",)),
        Deed("a run in Dagster (run r2) deployed it and was not verified at 2026-01-01T12:02:00Z", True),
        Deed("carbon up (run r3) proved it and changed nothing at 2026-01-01T12:03:00Z", False),
    )
    for ours in (None, Deployed(4, True, "by helm at noon"), Deployed(3, False, "by helm, before Carbon wrote labels")):
        assert deeds(Record("db", revision=3), (), ours) == ()


def incident(sign: Sign = Sign.UNREADY, before: Iterable[Deed] | None = (), edited: str = "") -> Incident:
    told = None if before is None else tuple(deed.told for deed in before)
    edits = (Edit(edited, EditedField("spec", "a", "b")),) if edited else ()
    return Incident("db-1", "db", sign.value, WRITE.object, "", "", NOW, before=told, edits=edits)


@given(st.lists(st.sampled_from([EDIT, UP, PROOF]), unique=True), st.lists(st.sampled_from([EDIT, UP, PROOF])))
def test_what_was_done_before_it_broke_did_not_mend_it(before: list[Deed], now: list[Deed]) -> None:
    found = meanwhile(incident(before=before), now)
    assert found == tuple(deed for deed in now if deed not in before)
    assert meanwhile(incident(before=None), now) is None


@pytest.mark.parametrize(
    ("about", "mends"),
    [
        (incident(Sign.UNREADY), False),
        (incident(Sign.UNREADY, edited=BESIDE.object), True),
        (incident(Sign.CHECK), True),
        (incident(Sign.CONTENT), True),
    ],
)
def test_a_write_to_another_object_than_what_is_at_fault_is_told_and_did_not_mend_it(
    about: Incident, mends: bool
) -> None:
    beside = dataclasses.replace(BESIDE, mends=True)
    assert meanwhile(about, [EDIT, beside, PROOF]) == (EDIT, dataclasses.replace(beside, mends=mends), PROOF)


@pytest.mark.parametrize(
    ("attempt", "came"),
    [
        (dataclasses.replace(BASE, ended_at=None), Came.RUNS),
        (HELPED, Came.HELPED),
        (FOUND_WELL, Came.FOUND_WELL),
        (FAILED, Came.DID_NOT_HELP),
        (CUT_SHORT, Came.CUT_SHORT),
        (dataclasses.replace(CUT_SHORT, helped=True), Came.CUT_SHORT),
        (WAKE, Came.HELPED),
        (dataclasses.replace(BASE, helped=True), Came.HELPED),
        (dataclasses.replace(BASE, helped=True, remedy=Remedy.VERIFY), Came.FOUND_WELL),
    ],
)
def test_an_attempt_helped_only_where_it_changed_something(attempt: Tried, came: Came) -> None:
    """Where nobody wrote down whether it did, its remedy tells."""
    assert attempt.came is came
