"""Event Grid's filter words with Event Grid's meaning.

Facts: https://learn.microsoft.com/azure/event-grid/event-filtering#advanced-filtering.
Strings are compared ignoring case. Values under one operator are OR-ed; under a negative one none may match.
A value of another JSON type does not match. An array counts by its elements, and elements of another type are skipped,
as with `enableAdvancedFilteringOnArrays`; `without_arrays` is what holds when that is off.
What a missing key (or JSON null) means differs by operator: only NumberNotIn, StringNotIn and IsNullOrUndefined hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.rules.paths import MISSING

Test = Callable[[Any], bool]
"""Whether a value that was read from an event satisfies a condition; MISSING where there was none."""

STRING = frozenset({str})
NUMBER = frozenset({int, float})
BOOL = frozenset({bool})


@dataclass(frozen=True, slots=True)
class Operator:
    """What an operator's operand must look like, and how the two become a test."""

    wants: str
    accepts: Callable[[Any], bool]
    compile: Callable[[Any], Test]
    is_about_null: bool = False
    """Whether it asks only if there is a value, so that an array is one like any other."""


def any_of(types: frozenset[type], hit: Test) -> Test:
    """Hold where the value, or an element of it, is of the type and hit."""

    def test(value: Any) -> bool:
        if type(value) in types:
            return hit(value)
        return isinstance(value, list) and any(type(element) in types and hit(element) for element in value)

    return test


def none_of(types: frozenset[type], hit: Test, *, missing: bool) -> Test:
    """Hold where the value is of the type, or an array, and nothing in it is hit."""

    def test(value: Any) -> bool:
        if type(value) in types:
            return not hit(value)
        if isinstance(value, list):
            return not any(type(element) in types and hit(element) for element in value)
        return missing and (value is MISSING or value is None)

    return test


def without_arrays(test: Test) -> Test:
    """Take an array for a value of another type, as Event Grid does unless it is told otherwise."""
    return lambda value: not isinstance(value, list) and test(value)


# -- what one value must be to be hit ---------------------------------------------------------------------------------


def _equal_text(wanted: list[str]) -> Test:
    texts = frozenset(text.lower() for text in wanted)
    return lambda value: value.lower() in texts


def _contains(wanted: list[str]) -> Test:
    texts = tuple(text.lower() for text in wanted)
    if len(texts) == 1:
        (only,) = texts
        return lambda value: only in value.lower()

    def hit(value: str) -> bool:
        lower = value.lower()
        return any(text in lower for text in texts)

    return hit


def _begins(wanted: list[str]) -> Test:
    texts = tuple(text.lower() for text in wanted)
    return lambda value: value.lower().startswith(texts)


def _ends(wanted: list[str]) -> Test:
    texts = tuple(text.lower() for text in wanted)
    return lambda value: value.lower().endswith(texts)


def _equal_number(wanted: list[float]) -> Test:
    numbers = frozenset(wanted)
    return lambda value: value in numbers


def _in_range(wanted: list[list[float]]) -> Test:
    ranges = tuple((low, high) for low, high in wanted)
    return lambda value: any(low <= value <= high for low, high in ranges)


# -- what an operand may be -------------------------------------------------------------------------------------------


def _is_number(operand: Any) -> bool:
    return type(operand) in NUMBER


def _is_range(operand: Any) -> bool:
    return (
        isinstance(operand, list) and len(operand) == 2 and all(map(_is_number, operand)) and operand[0] <= operand[1]
    )


def _list_of(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda operand: isinstance(operand, list) and bool(operand) and all(map(accepts, operand))


def _strings(compile_: Callable[[Any], Test]) -> Operator:
    return Operator('a list of texts, such as ["a", "b"]', _list_of(lambda operand: isinstance(operand, str)), compile_)


def _numbers(compile_: Callable[[Any], Test]) -> Operator:
    return Operator("a list of numbers, such as [1, 2]", _list_of(_is_number), compile_)


def _ranges(compile_: Callable[[Any], Test]) -> Operator:
    return Operator("a list of [low, high] pairs, such as [[0, 10]]", _list_of(_is_range), compile_)


def _number(hit: Callable[[Any], Test]) -> Operator:
    return Operator("one number", _is_number, lambda limit: any_of(NUMBER, hit(limit)))


def _word_true(test: Test) -> Operator:
    return Operator("the word true", lambda operand: operand is True, lambda _: test, is_about_null=True)


OPERATORS: dict[str, Operator] = {
    "StringIn": _strings(lambda wanted: any_of(STRING, _equal_text(wanted))),
    "StringNotIn": _strings(lambda wanted: none_of(STRING, _equal_text(wanted), missing=True)),
    "StringContains": _strings(lambda wanted: any_of(STRING, _contains(wanted))),
    "StringNotContains": _strings(lambda wanted: none_of(STRING, _contains(wanted), missing=False)),
    "StringBeginsWith": _strings(lambda wanted: any_of(STRING, _begins(wanted))),
    "StringNotBeginsWith": _strings(lambda wanted: none_of(STRING, _begins(wanted), missing=False)),
    "StringEndsWith": _strings(lambda wanted: any_of(STRING, _ends(wanted))),
    "StringNotEndsWith": _strings(lambda wanted: none_of(STRING, _ends(wanted), missing=False)),
    "NumberIn": _numbers(lambda wanted: any_of(NUMBER, _equal_number(wanted))),
    "NumberNotIn": _numbers(lambda wanted: none_of(NUMBER, _equal_number(wanted), missing=True)),
    "NumberLessThan": _number(lambda limit: lambda value: value < limit),
    "NumberLessThanOrEquals": _number(lambda limit: lambda value: value <= limit),
    "NumberGreaterThan": _number(lambda limit: lambda value: value > limit),
    "NumberGreaterThanOrEquals": _number(lambda limit: lambda value: value >= limit),
    "NumberInRange": _ranges(lambda wanted: any_of(NUMBER, _in_range(wanted))),
    "NumberNotInRange": _ranges(lambda wanted: none_of(NUMBER, _in_range(wanted), missing=False)),
    "BoolEquals": Operator(
        "true or false",
        lambda operand: isinstance(operand, bool),
        lambda wanted: any_of(BOOL, lambda value: value is wanted),
    ),
    "IsNullOrUndefined": _word_true(lambda value: value is MISSING or value is None),
    "IsNotNull": _word_true(lambda value: value is not MISSING and value is not None),
}


# -- Event Grid's own words about the subject -------------------------------------------------------------------------


def _subject(holds: Callable[[str, str], bool]) -> Callable[[str, bool], Test]:
    def compile_(wanted: str, cased: bool) -> Test:  # noqa: FBT001 # it is passed on from a table
        if cased:
            return lambda value: isinstance(value, str) and holds(value, wanted)
        lower = wanted.lower()
        return lambda value: isinstance(value, str) and holds(value.lower(), lower)

    return compile_


SUBJECT_WORDS: dict[str, Callable[[str, bool], Test]] = {
    "subjectBeginsWith": _subject(str.startswith),
    "subjectEndsWith": _subject(str.endswith),
}
"""Word to how its one text, and whether casing counts, become a test of the subject."""
