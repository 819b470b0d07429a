import pytest

from carbon_platform import expressions
from carbon_platform.expressions import NoValue, WrongExpression


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("answer.status ==", "Syntax error"),
        ("unknown > 1", "undeclared reference to 'unknown'"),
        ("secret.other", "undeclared reference to 'secret.other'"),
        ("answer.foo()", "undeclared reference to 'foo'"),
        ("'a' + 1", "no matching overload"),
        ("answer.x.exists(y, y == z)", "undeclared reference to 'z'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_before_anything_is_asked(source: str, told: str) -> None:
    with pytest.raises(WrongExpression, match=told) as wrong:
        expressions.check(source, {"answer", "secret.token"})
    assert "character " in str(wrong.value)
    assert source in str(wrong.value)


def test_a_condition_is_true_or_false() -> None:
    expressions.check("answer.ok", {"answer"}, condition=True)
    with pytest.raises(WrongExpression, match="must be true or false"):
        expressions.check("1 + 1", (), condition=True)
    with pytest.raises(NoValue, match="neither true nor false"):
        expressions.holds("answer.ok", {"answer": {"ok": 1}})


def test_what_is_not_there_has_no_value() -> None:
    with pytest.raises(NoValue, match="missing"):
        expressions.evaluate("answer.missing == 1", {"answer": {}})
    with pytest.raises(NoValue):
        expressions.evaluate("answer.a.b", {"answer": {"a": None}})
    assert expressions.evaluate("has(answer.missing)", {"answer": {}}) is False


def test_values_are_plain_python_and_numbers_are_compared_whatever_they_are() -> None:
    answer = {"items": [{"n": 1, "x": [1.5, None, True]}], "big": 9007199254740993, "d": 3.0}
    assert expressions.evaluate("answer.items.map(i, i.x)", {"answer": answer}) == [[1.5, None, True]]
    assert expressions.holds("answer.big == 9007199254740993 && answer.d == 3", {"answer": answer})


def test_a_text_takes_values_in_and_one_alone_keeps_its_type() -> None:
    values = {"n": 3, "ok": True, "name": "a/b", "secret.token": "t"}
    assert expressions.fill("n is ${n}, ${ok}, ${secret.token}", values) == "n is 3, true, t"
    assert expressions.fill("/x/${name}", values, lambda text: text.replace("/", "%2F")) == "/x/a%2Fb"
    assert expressions.fill_all({"a": ["${n}", "n=${n}"], "b": 1}, values) == {"a": [3, "n=3"], "b": 1}
