"""What guards data is read as it was written, by this version of Carbon and by another, and never shrinks by itself."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.release.ledger import Ledger, decode, encode
from carbon_platform.release.versions import Versions

TEXT = st.text(max_size=8)
NAMES = st.sets(TEXT, max_size=3).map(lambda found: tuple(sorted(found)))
MADE_OF = st.builds(Versions, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=2))
LEDGERS = st.builds(
    Ledger,
    volumes=st.dictionaries(TEXT, TEXT, max_size=3),
    generated=NAMES,
    content=NAMES,
    revision=st.none() | st.integers(1, 99),
    versions=MADE_OF,
    unknown=st.dictionaries(st.sampled_from(["replicas", "backup"]), TEXT | st.integers(), max_size=2),
)


@given(LEDGERS)
def test_it_is_read_as_it_was_written(ledger: Ledger) -> None:
    assert decode(encode(ledger)) == ledger


@given(LEDGERS)
def test_what_was_seen_again_changes_nothing(ledger: Ledger) -> None:
    assert encode(ledger.after(ledger)) == encode(ledger)
    assert encode(ledger.after(Ledger())) == encode(ledger)


@given(LEDGERS, LEDGERS)
def test_what_was_generated_or_there_once_stays_known(known: Ledger, seen: Ledger) -> None:
    after = known.after(seen)
    assert {*after.generated} == {*known.generated, *seen.generated}
    assert {*after.content} == {*known.content, *seen.content}
    assert after.guards == (known.guards or seen.guards)


def test_the_volumes_of_the_later_look_count_where_it_could_tell() -> None:
    known = Ledger({"here/data-0": "1", "here/data-1": "2"}, revision=3, versions=Versions("1.0"))
    assert known.after(Ledger({"here/data-0": "9"}, revision=4)).volumes == {"here/data-0": "9"}
    without_pods = known.after(Ledger(generated=("here/login/password",)))
    assert (without_pods.volumes, without_pods.revision, without_pods.versions) == (known.volumes, 3, Versions("1.0"))


def test_what_another_version_of_carbon_wrote_is_kept() -> None:
    body = {"volumes": {"here/data": "1"}, "snapshots": ["s1"], "versions": {"chart": "1.0", "schema": "7"}}
    ledger = decode(json.dumps(body))
    assert ledger == Ledger({"here/data": "1"}, versions=Versions("1.0"), unknown={"snapshots": ["s1"]})
    assert json.loads(encode(ledger.after(Ledger(content=("topic a",)))))["snapshots"] == ["s1"]


@pytest.mark.parametrize("text", ["", "[]", "{", "7", '"text"'])
def test_what_is_no_ledger_is_not_taken_for_an_empty_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text)
