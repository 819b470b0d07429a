"""The order that needs give."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.errors import ConfigurationError
from carbon_platform.source import nearest
from carbon_platform.spec import graph

KEYS = [f"c{i}" for i in range(8)]
Needs = dict[str, list[str]]

ANY = st.dictionaries(st.sampled_from(KEYS), st.lists(st.sampled_from(KEYS), max_size=4), max_size=8)


@st.composite
def acyclic(draw: st.DrawFn) -> Needs:
    """Each component needs only ones before it, in an order that its name does not tell."""
    keys = draw(st.permutations(KEYS))[: draw(st.integers(1, len(KEYS)))]
    return {
        key: draw(st.lists(st.sampled_from(keys[:i]), unique=True, max_size=4)) if i else []
        for i, key in enumerate(keys)
    }


def reaches_itself(needs: Needs, key: str) -> bool:
    return any(key in graph.closure(needs, [need]) for need in needs.get(key, ()) if need in needs)


@given(acyclic())
def test_everything_comes_once_and_after_what_it_needs(needs: Needs) -> None:
    order = graph.in_order(needs)
    assert sorted(order) == sorted(needs)
    assert all(order.index(need) < order.index(key) for key, wanted in needs.items() for need in wanted)


@given(acyclic())
def test_the_order_does_not_depend_on_how_it_was_written(needs: Needs) -> None:
    assert graph.in_order(dict(reversed(needs.items()))) == graph.in_order(needs)


@given(ANY)
def test_a_cycle_is_found_if_and_only_if_there_is_one(needs: Needs) -> None:
    cycle = graph.find_cycle(needs)
    assert (cycle is not None) == any(reaches_itself(needs, key) for key in needs)
    if cycle is not None:
        assert cycle[0] == cycle[-1]
        assert all(after in needs[before] for before, after in itertools.pairwise(cycle))


@given(acyclic(), st.sampled_from(KEYS), st.sampled_from(KEYS))
def test_closure_and_dependents_are_two_views_of_one_relation(needs: Needs, one: str, other: str) -> None:
    assert (one in graph.closure(needs, [other])) == (other in graph.dependents(needs, [one]))


@given(acyclic(), st.sets(st.sampled_from(KEYS)))
def test_a_closure_is_closed(needs: Needs, keys: set[str]) -> None:
    for grow in (graph.closure, graph.dependents):
        found = grow(needs, keys)
        assert keys <= found
        assert grow(needs, found) == found


def test_a_chain_of_thousands_has_an_order() -> None:
    needs = {f"c{i:04}": [f"c{i - 1:04}"] if i else [] for i in range(3000)}
    assert graph.find_cycle(needs) is None
    assert graph.in_order(needs) == sorted(needs)
    needs["c0000"] = ["c2999"]
    assert len(graph.find_cycle(needs) or ()) == 3001


def test_nothing_named_means_everything_in_order() -> None:
    assert graph.select({"b": ["c"], "c": [], "a": []}, []) == ["a", "c", "b"]


PLATFORM = ["datahub", "dolphinscheduler", "dolphinscheduler_etl_workflow", "iceberg_rest", "iceberg_tables"]
PLATFORM += ["kafka", "kafka_topics", "kuberay_operator", "object_store", "postgres", "ray_cluster", "redis", "trino"]
PLATFORM += ["zookeeper"]
SQL_KEYS = ["deadline", "expect", "name", "port", "service", "service_namespace", "sql", "type", "user"]


def suggested(name: str, known: list[str]) -> str | None:
    _, suggests, end = nearest(name, known).partition("; did you mean ")
    return end.removesuffix("?").strip("'") if suggests else None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("postgre", "postgres"),
        ("postgresql", "postgres"),
        ("kafak", "kafka"),
        ("kafka-topic", "kafka_topics"),
        ("trino_", "trino"),
        ("objectstore", "object_store"),
        ("zoo_keeper", "zookeeper"),
        ("iceberg", "iceberg_rest"),
        ("dolphin", "dolphinscheduler"),
        ("ray", "ray_cluster"),
    ],
)
def test_a_typo_or_a_beginning_is_helped(name: str, meant: str) -> None:
    assert suggested(name, PLATFORM) == meant


def test_a_typo_in_a_short_word_is_helped() -> None:
    assert suggested("qsl", SQL_KEYS) == "sql"


OTHERS = [
    "nonsens",
    "nonsense",
    "store",
    "table",
    "minio",
    "grafana",
    "operator",
    "register",
    "restart",
    "rest",
    "rust",
]
OTHERS += ["project", "catalogue", "radio", "postman", "airflow", "taking", "option", "mysql", "results", "r", "_", ""]


@pytest.mark.parametrize("name", OTHERS)
def test_another_word_is_not_taken_for_a_typo(name: str) -> None:
    assert suggested(name, PLATFORM) is None


@st.composite
def typos(draw: st.DrawFn) -> tuple[str, str]:
    """A name of the platform, and what becomes of it by one slip: a letter left out, added, or two of them swapped."""
    name = draw(st.sampled_from(PLATFORM))
    at = draw(st.integers(0, len(name) - 2))
    slips = [
        name[:at] + name[at + 1 :],
        f"{name[:at]}x{name[at:]}",
        name[:at] + name[at + 1] + name[at] + name[at + 2 :],
    ]
    return name, draw(st.sampled_from(slips))


@given(typos())
def test_one_slip_leads_back_to_the_name(typo: tuple[str, str]) -> None:
    name, slipped = typo
    assert slipped in PLATFORM or suggested(slipped, PLATFORM) == name


@given(st.text("bfgjlmqvwxy", min_size=1))
def test_what_shares_few_letters_with_every_name_is_not_helped(name: str) -> None:
    assert suggested(name, PLATFORM) is None


@pytest.mark.parametrize(("name", "end"), [("postgers", "; did you mean 'postgres'?"), ("xyz", ".")])
def test_a_name_that_is_near_one_is_suggested_and_no_other(name: str, end: str) -> None:
    assert nearest(name, ["postgres", "redis"]) == end
    with pytest.raises(ConfigurationError) as caught:
        graph.select({"postgres": [], "redis": []}, [name])
    assert caught.value.cause == f"{name!r} is not a folder of the platform{end}"
