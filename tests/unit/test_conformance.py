"""The conformance suite: what every filter makes of every event, by the index, by testing and by explanation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared import parse
from shared.events import Event
from shared.rules import Rules, filters, load, templates, where
from shared.rules.filters import OPERATORS, SUBJECT_WORDS, Operator, Test
from shared.rules.paths import MISSING, canonical, parse_path, walk
from tests.unit.rules_samples import ACTIONS, PROJECT, WORKSPACE

SUITE = Path(__file__).parents[1] / "conformance"
KEYS = {"id", "event", "filter", "expected", "reason"}
SOURCE = "customvision/"


@dataclass(frozen=True)
class Case:
    """One case of the suite."""

    file: str
    id: str
    event: dict[str, Any]
    filter: dict[str, Any]
    expected: bool
    reason: str
    documented: bool = True

    def happened(self) -> Event:
        """Read the event: a whole message, or only the fields that are read of it."""
        if self.event.keys() & {"eventType", "specversion"}:
            return parse.event_grid(json.dumps(self.event))
        if "Content" in self.event:
            return parse.vision_notification(json.dumps(self.event))
        return Event(
            door="event_grid",
            type="Microsoft.MachineLearningServices.ModelRegistered",
            kinds=frozenset({"ModelRegistered"}),
            id=self.event.get("id", "e1"),
            source=WORKSPACE,
            subject=self.event.get("subject", "models/fraud:12"),
            time=datetime(2026, 3, 2, tzinfo=UTC),
            data=self.event["data"],
            facts={},
            payload={},
        )


def read_suite() -> list[Case]:
    """Read every file of the suite."""
    return [
        Case(file=file.stem, **case)
        for file in sorted(SUITE.glob("*.yaml"))
        for case in yaml.safe_load(file.read_text("utf-8"))
    ]


CASES = read_suite()


def holds(case: Case, happened: Event) -> bool:
    """Judge a case by compiling its filter at run time, over the names that a template can read."""
    return where.against(case.filter, templates.context(happened)) is None


def rules_of(case: Case, happened: Event) -> Rules:
    """Write the case's filter into a rules file with one rule that listens to the event."""
    source = happened.source
    declared = (
        {"vision": {"v": {"project": PROJECT, "training": {"endpoint": "https://v.example"}}}}
        if source.startswith(SOURCE)
        else {"workspaces": {"w": source}}
    )
    rule = {"name": "a", "on": sorted(happened.kinds), "where": case.filter, "do": ["nothing"]}
    return load(json.dumps({"version": 1, **declared, "rules": [rule]}, ensure_ascii=False), ACTIONS, "rules.yaml")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file}:{case.id}")
def test_a_filter_holds_as_the_suite_says(case: Case) -> None:
    """A rule matches, its explanation agrees, and so does the same filter compiled at run time, as in a gate."""
    happened = case.happened()
    rules = rules_of(case, happened)
    (explained,) = rules.explain(happened).rules
    assert bool(rules.match(happened)) is case.expected, case.reason
    assert (explained.because is None) is case.expected, case.reason
    assert bool(rules.against(happened)) is not case.expected, case.reason
    assert holds(case, happened) is case.expected, case.reason
    if explained.because is not None:
        assert explained.because.show()
        assert json.loads(json.dumps(explained.because.json()))["wanted"] is not None


def test_every_case_says_what_it_is_about() -> None:
    """Keys are those that the README names, ids are unique within a file, and a reason is one sentence."""
    for file in SUITE.glob("*.yaml"):
        written = yaml.safe_load(file.read_text("utf-8"))
        assert len({case["id"] for case in written}) == len(written), file.name
        for case in written:
            assert case.keys() - {"documented"} == KEYS, case["id"]
            assert case["reason"].endswith("."), case["id"]
            assert case.get("documented", False) is False, f"{case['id']}: documented is what a case is by itself"


def test_the_suite_is_explained() -> None:
    """Each file is in the README, with the number of its cases."""
    readme = (SUITE / "README.md").read_text("utf-8")
    for file in SUITE.glob("*.yaml"):
        number = sum(case.file == file.stem for case in CASES)
        assert f"| [{file.name}]({file.name}) | {number} |" in readme


# -- the suite is complete --------------------------------------------------------------------------------------------

TYPES: dict[str, set[type]] = {"String": {str}, "Number": {int, float}, "Bool": {bool}}
ONE_VALUE = {"missing", "null", "another type", "one that holds", "one that does not"}
ARRAYS = {
    "empty array",
    "array with one that holds",
    "array with none that does",
    "array of another type",
    "array of several types",
    "array of objects",
    "array in an array",
    "array, switched off",
    "empty array, switched off",
}
ABOUT_NULL = {"missing", "null", "a value", "array", "empty array", "array, switched off"}


def one_condition(case: Case) -> tuple[str, Any] | None:
    """Give the operator and the value of a case that asks for one thing only."""
    paths = {path: asked for path, asked in case.filter.items() if path != where.ARRAYS}
    if len(paths) != 1:
        return None
    ((path, asked),) = paths.items()
    if path in where.WORDS or len(asked) != 1:
        return None
    keys = canonical(parse_path(path) or ("?",))
    return next(iter(asked)), walk(templates.context(case.happened()), keys)


def situation(operator: str, case: Case, value: Any) -> str:
    """Name what a value is to an operator, by nothing but its type and what is expected."""
    if value is MISSING or value is None:
        return "missing" if value is MISSING else "null"
    holds_it = "one that does not" if case.expected is ("Not" in operator) else "one that holds"
    if isinstance(value, list):
        return _array(operator, case, value, holds_it)
    if OPERATORS[operator].is_about_null:
        return "a value"
    return holds_it if type(value) in types_of(operator) else "another type"


def types_of(operator: str) -> set[type]:
    """Give the types that an operator compares."""
    return next((types for prefix, types in TYPES.items() if operator.startswith(prefix)), set())


def _array(operator: str, case: Case, value: list[Any], holds_it: str) -> str:
    if not value or case.filter.get(where.ARRAYS) is False or OPERATORS[operator].is_about_null:
        off = ", switched off" if case.filter.get(where.ARRAYS) is False else ""
        return f"{'' if value else 'empty '}array{off}"
    inner = {type(element) for element in value}
    if inner in ({dict}, {list}):
        return "array of objects" if inner == {dict} else "array in an array"
    if inner <= types_of(operator):
        return f"array with {'none that does' if holds_it == 'one that does not' else holds_it}"
    return "array of several types" if inner & types_of(operator) else "array of another type"


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_suite_has_every_situation_of_every_operator(operator: str) -> None:
    """Missing, null, other types, every kind of array with and without the switch: none is left out."""
    found = set()
    for case in CASES:
        asked = one_condition(case)
        if asked is not None and asked[0] == operator:
            found.add(situation(operator, case, asked[1]))
    wanted = ABOUT_NULL if OPERATORS[operator].is_about_null else ONE_VALUE | ARRAYS
    assert wanted <= found, wanted - found


def test_the_suite_has_every_word_and_envelope() -> None:
    """Each word of the language, and each way in which an event comes, has cases that hold and cases that do not."""
    for word in (*where.WORDS, *OPERATORS):
        told = {case.expected for case in CASES if f'"{word}"' in json.dumps(case.filter)}
        assert told == {True, False}, word
    for mark in ("eventType", "specversion", "Content"):
        assert {case.expected for case in CASES if mark in case.event} == {True, False}, mark


# -- the suite would notice -------------------------------------------------------------------------------------------

Breakage = Callable[[Test], Test]
BREAKAGES: Mapping[str, Breakage] = {
    "turned around": lambda test: lambda value: not test(value),
    "always": lambda _: lambda _value: True,
    "never": lambda _: lambda _value: False,
    "missing means the other": lambda test: lambda value: test(value) is not (value is MISSING),
    "null means the other": lambda test: lambda value: test(value) is not (value is None),
    "an empty array means the other": lambda test: lambda value: test(value) is not (value == []),
    "an array is another type": lambda test: lambda value: not isinstance(value, list) and test(value),
    "an object means the other": lambda test: lambda value: test(value) is not isinstance(value, dict),
}
OF_ARRAYS = {"only the first element counts": slice(0, 1), "only the last element counts": slice(-1, None)}
OF_TYPES: Mapping[str, type] = {
    "texts are converted": str,
    "numbers are converted": int,
    "booleans are converted": bool,
}


def convert(operator: str, value: Any) -> Any:
    """Make of a value what a language without types would make of it."""
    if operator.startswith("String"):
        return json.dumps(value)
    if operator.startswith("Number"):
        return float(value) if not isinstance(value, str) or value.replace(".", "", 1).isdigit() else value
    return value in {"true", 1}


def wrong(operator: str) -> int:
    """Count the cases with an operator that come out otherwise than expected."""
    concerned = [case for case in CASES if f'"{operator}"' in json.dumps(case.filter)]
    assert concerned
    return sum(holds(case, case.happened()) is not case.expected for case in concerned)


def break_operator(monkeypatch: pytest.MonkeyPatch, operator: str, breakage: Breakage) -> None:
    """Put a broken operator in the place of the right one."""
    whole = OPERATORS[operator]

    def broken(operand: Any) -> Test:
        return breakage(whole.compile(operand))

    monkeypatch.setitem(OPERATORS, operator, Operator(whole.wants, whole.accepts, broken, whole.is_about_null))


@pytest.mark.parametrize("breakage", BREAKAGES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_a_broken_operator_is_noticed(operator: str, breakage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong with an operator makes at least one case fail."""
    break_operator(monkeypatch, operator, BREAKAGES[breakage])
    assert wrong(operator) or (operator, breakage) == ("IsNullOrUndefined", "an array is another type")


JUDGING = [operator for operator, whole in OPERATORS.items() if not whole.is_about_null]


@pytest.mark.parametrize("breakage", OF_ARRAYS)
@pytest.mark.parametrize("operator", JUDGING)
def test_an_element_that_is_overlooked_is_noticed(
    operator: str, breakage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every element of an array counts."""
    part = OF_ARRAYS[breakage]
    break_operator(
        monkeypatch, operator, lambda test: lambda value: test(value[part] if isinstance(value, list) else value)
    )
    assert wrong(operator)


@pytest.mark.parametrize("breakage", OF_TYPES)
@pytest.mark.parametrize("operator", JUDGING)
def test_a_value_that_is_converted_is_noticed(operator: str, breakage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No value is taken for one of another type, other than its own type itself."""
    type_ = OF_TYPES[breakage]
    break_operator(
        monkeypatch,
        operator,
        lambda test: lambda value: test(convert(operator, value) if type(value) is type_ else value),
    )
    assert wrong(operator) or type_ in types_of(operator)


@pytest.mark.parametrize("word", SUBJECT_WORDS)
@pytest.mark.parametrize("breakage", ["casing always counts", "casing never counts", "never"])
def test_a_broken_subject_word_is_noticed(word: str, breakage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does whatever goes wrong with the two words about the subject."""
    whole = SUBJECT_WORDS[word]

    def broken(wanted: str, cased: bool) -> Test:  # noqa: FBT001 # as the table has it
        return (lambda _: False) if breakage == "never" else whole(wanted, "always" in breakage)

    monkeypatch.setitem(filters.SUBJECT_WORDS, word, broken)
    assert wrong(word)


def test_case_that_is_turned_around_fails() -> None:
    """No case passes whatever it expects: the suite's own expectation is what is compared."""
    assert not any(holds(case, case.happened()) is (not case.expected) for case in CASES)


def test_values_that_are_or_ed_are_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator that looks only at its first value, or only at its last, is noticed."""
    for operator, whole in list(OPERATORS.items()):
        for part in OF_ARRAYS.values() if whole.wants.startswith("a list") else ():

            def broken(operand: Any, whole: Operator = whole, part: slice = part) -> Test:
                return whole.compile(operand[part])

            with monkeypatch.context() as patched:
                patched.setitem(OPERATORS, operator, Operator(whole.wants, whole.accepts, broken))
                assert wrong(operator), (operator, part)
