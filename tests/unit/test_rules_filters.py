"""Filters mean what Event Grid's documentation says, on every kind of value."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rules.filters import OPERATORS
from shared.rules.paths import MISSING

CASES: list[tuple[str, Any, Any, bool, str]] = [
    ("StringIn", ["production"], "Production", True, "texts are compared ignoring case"),
    ("StringIn", ["a", "b"], "b", True, "values are OR-ed"),
    ("StringIn", ["a"], "ab", False, "the whole text counts"),
    ("StringIn", ["12"], 12, False, "another type does not match"),
    ("StringNotIn", ["a", "b"], "b", False, "none may match"),
    ("StringNotIn", ["a"], "c", True, "none matches"),
    ("StringNotIn", ["12"], 12, False, "another type does not match"),
    ("StringContains", ["rau", "x"], "FRAUD", True, "a part is enough"),
    ("StringContains", ["z", "y"], "fraud", False, "no part of it"),
    ("StringNotContains", ["rau"], "fraud", False, "a part is too much"),
    ("StringNotContains", ["z"], "fraud", True, "no part of it"),
    ("StringBeginsWith", ["FR"], "fraud", True, "prefix ignoring case"),
    ("StringNotBeginsWith", ["fr"], "Fraud", False, "prefix"),
    ("StringEndsWith", ["_drift"], "credit_data_DRIFT", True, "suffix"),
    ("StringNotEndsWith", ["_drift"], "credit", True, "no such suffix"),
    ("NumberIn", [1, 2], 2.0, True, "numbers are compared by value"),
    ("NumberIn", [1], True, False, "a boolean is no number"),
    ("NumberIn", [1], "1", False, "a text is no number"),
    ("NumberNotIn", [1], 2, True, "none matches"),
    ("NumberLessThan", 5, 4.9, True, "less"),
    ("NumberLessThan", 5, 5, False, "not less"),
    ("NumberLessThanOrEquals", 5, 5, True, "equal"),
    ("NumberGreaterThan", 5, 5, False, "not greater"),
    ("NumberGreaterThan", 5, True, False, "a boolean is no number"),
    ("NumberGreaterThanOrEquals", 5, 5, True, "equal"),
    ("NumberInRange", [[0, 1], [5, 6]], 6, True, "both ends belong to a range"),
    ("NumberInRange", [[0, 1]], 2, False, "outside"),
    ("NumberNotInRange", [[0, 1]], 2, True, "outside"),
    ("NumberNotInRange", [[0, 1]], 1, False, "inside"),
    ("BoolEquals", True, True, True, "the same"),
    ("BoolEquals", False, True, False, "the other"),
    ("BoolEquals", True, 1, False, "a number is no boolean"),
    ("BoolEquals", True, "true", False, "a text is no boolean"),
    ("IsNotNull", True, "", True, "an empty text is something"),
    ("IsNullOrUndefined", True, 0, False, "zero is something"),
]

MISSING_HOLDS = {"NumberNotIn", "StringNotIn", "IsNullOrUndefined"}
"""https://learn.microsoft.com/azure/event-grid/event-filtering says these of a key that is not there."""

ARRAYS: list[tuple[str, Any, Any, bool, str]] = [
    ("StringIn", ["b"], ["a", "B"], True, "one element is enough"),
    ("StringNotIn", ["b"], ["a", "b"], False, "one element is too much"),
    ("StringNotIn", ["b"], ["a", "c"], True, "no element matches"),
    ("StringContains", ["x"], [1, None, "xy"], True, "elements of another type are skipped"),
    ("NumberGreaterThan", 3, [1, 4], True, "one element is enough"),
    ("NumberIn", [1], ["1", [1]], False, "arrays in arrays are skipped"),
    ("StringIn", ["a"], [], False, "nothing in it matches"),
    ("StringNotContains", ["a"], [], True, "nothing in it matches"),
    ("BoolEquals", True, [False, True], True, "one element is enough"),
]

OPERANDS: dict[str, Any] = {
    operator: 1
    if operator.startswith(("NumberLess", "NumberGreater"))
    else [[0, 1]]
    if "Range" in operator
    else [1]
    if operator.startswith("Number")
    else ["a"]
    if operator.startswith("String")
    else True
    for operator in OPERATORS
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(("operator", "operand", "value", "holds", "reason"), CASES + ARRAYS)
def test_a_condition_holds_as_documented(operator: str, operand: Any, value: Any, holds: bool, reason: str) -> None:  # noqa: FBT001
    """Each documented case comes out as it is documented."""
    assert OPERATORS[operator].accepts(operand)
    assert OPERATORS[operator].compile(operand)(value) is holds, reason


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("value", [MISSING, None])
def test_only_three_operators_hold_where_there_is_nothing(operator: str, value: Any) -> None:
    """A missing key, and JSON null, satisfy NumberNotIn, StringNotIn and IsNullOrUndefined, and nothing else."""
    assert OPERATORS[operator].compile(OPERANDS[operator])(value) is (operator in MISSING_HOLDS)


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_refuses_an_operand_of_the_wrong_shape(operator: str) -> None:
    """A list where one value belongs, one value where a list belongs, and what is neither are refused."""
    accepts = OPERATORS[operator].accepts
    assert accepts(OPERANDS[operator])
    wrong: Any
    for wrong in (None, [], {}, [[]], [[1]], [[2, 1]], [None], "text"):
        assert not accepts(wrong)


@given(st.sampled_from(sorted(OPERATORS)), json_values)
def test_a_condition_answers_for_any_json(operator: str, value: Any) -> None:
    """Whatever JSON an event brings, a condition holds or does not: it never raises."""
    assert OPERATORS[operator].compile(OPERANDS[operator])(value) in {True, False}


@given(
    st.sampled_from(
        ["StringIn", "StringContains", "StringBeginsWith", "StringEndsWith", "NumberIn", "NumberInRange"],
    ),
    json_values,
)
def test_an_operator_and_its_negation_never_both_hold(operator: str, value: Any) -> None:
    """`StringIn` and `StringNotIn`, and their like, contradict each other on every value."""
    negation = operator.replace("String", "StringNot").replace("Number", "NumberNot")
    operand = OPERANDS[operator]
    assert not (OPERATORS[operator].compile(operand)(value) and OPERATORS[negation].compile(operand)(value))
