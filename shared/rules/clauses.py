"""What a `where` becomes: conditions, and `any` and `not` of them; tested, and explained where they do not hold.

The clauses of a `where` are AND-ed, and those of an `all` simply join them.
What is judged may be an event or the names that a template can read: a clause asks for paths and does not care.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.events import without_url_queries
from shared.rules import templates
from shared.rules.filters import OPERATORS, SUBJECT_WORDS, Test, without_arrays
from shared.rules.paths import MISSING, Keys
from shared.rules.problems import shorten

Get = Callable[[Keys], Any]
"""Reads a canonical path of what is judged; MISSING where there is nothing."""
Reader = Callable[[Keys], Callable[[Any], Any]]
"""Compiles a canonical path to a function that reads it."""

ARRAYS_DO_NOT_COUNT = "arrays do not count: enableAdvancedFilteringOnArrays is false"
CASING_COUNTS = "casing counts: isSubjectCaseSensitive is true"
LONGEST_FOUND = 200
"""Characters of a value that are kept beside an event."""
MOST_REASONS = 5
"""Alternatives of an `any` whose reasons are kept beside an event."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What did not hold, with the value found (None where there was none)."""

    path: str
    """As the rule writes it; "where" for an `any` or a `not`, "on", "from" and "mode" for the rule's other keys."""
    operator: str
    wanted: Any
    found: Any
    """For a `not`: what the fields in it are."""
    note: str = ""
    reasons: tuple[Reason, ...] = ()
    """For an `any`: what is against each of its alternatives."""

    def json(self) -> dict[str, Any]:
        """Give it as plain data, without the secrets that URLs carry."""
        return self._plain(without_url_queries(self.found), [reason.json() for reason in self.reasons])

    def brief(self, most: int = MOST_REASONS) -> dict[str, Any]:
        """Give it as plain data that is small enough to keep: long values are cut, and an `any` is one level deep."""
        plain = self._plain(cut(without_url_queries(self.found)), [reason.brief(0) for reason in self.reasons[:most]])
        return plain | {"wanted": cut(plain["wanted"])}

    def masked(self, names: Mapping[str, str]) -> Reason:
        """Put names in place of secret texts, wherever they stand in it."""
        return replace(
            self,
            wanted=_masked(self.wanted, names),
            found=_masked(self.found, names),
            reasons=tuple(reason.masked(names) for reason in self.reasons),
        )

    def _plain(self, found: Any, reasons: list[dict[str, Any]]) -> dict[str, Any]:
        wanted = without_url_queries(self.wanted)
        plain = {"path": self.path, "operator": self.operator, "wanted": wanted, "found": found}
        if self.note:
            plain["note"] = self.note
        if reasons:
            plain["reasons"] = reasons
        return plain

    def show(self) -> str:
        """Write it in one line: `run.status StringIn ["Failed"]: it is "Completed"`."""
        return f"{self.path} {self.operator} {shorten(without_url_queries(self.wanted), 100)}: {self._finding()}"

    def _finding(self) -> str:
        if self.reasons:
            return f"none of them holds ({'; '.join(reason.show() for reason in self.reasons)})"
        if self.note and self.found is None:
            return self.note
        found = shorten(without_url_queries(self.found), 100)
        finding = (
            "it is missing"
            if self.found is None
            else f"{'it holds with' if self.operator == 'not' else 'it is'} {found}"
        )
        return f"{finding} ({self.note})" if self.note else finding


def _masked(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for secret, name in names.items():
            value = value.replace(secret, name)
        return value
    if isinstance(value, list):
        return [_masked(item, names) for item in value]
    if isinstance(value, Mapping):
        return {key: _masked(item, names) for key, item in value.items()}
    return value


def cut(value: Any) -> Any:
    """Shorten what is too long to keep: a text stays a text, anything else becomes one."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_FOUND else f"{value[: LONGEST_FOUND - 1]}…"
    if isinstance(value, (list, Mapping)) and len(repr(value)) > LONGEST_FOUND:
        return shorten(value, LONGEST_FOUND)
    return value


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator under one path."""

    path: str
    """As the rules file writes it."""
    keys: Keys
    """As events spell it."""
    operator: str
    """A key of OPERATORS, or of SUBJECT_WORDS."""
    wanted: Any
    test: Test = field(repr=False, compare=False)
    arrays: bool = True
    """Whether an array counts by its elements."""
    cased: bool = False
    """Whether casing counts; only for the two words about the subject."""
    note: str = ""

    def conditions(self) -> Iterator[Condition]:
        """Give the conditions in it: itself."""
        yield self

    def tester(self, reader: Reader) -> Test:
        """Compile it to a test of the whole that is judged."""
        read, test = reader(self.keys), self.test
        return lambda judged: test(read(judged))

    def against(self, get: Get) -> Reason | None:
        """Say why it does not hold, or nothing."""
        found = get(self.keys)
        return None if self.test(found) else self.reason(found)

    def reason(self, found: Any) -> Reason:
        """Say what was found in the place of what is wanted."""
        note = self.note
        if not self.arrays and isinstance(found, list):
            note = ARRAYS_DO_NOT_COUNT
        return Reason(self.path, self.operator, self.wanted, None if found is MISSING else found, note)

    def holding(self, get: Get) -> dict[str, Any]:
        """Give the value with which it holds, by path."""
        found = get(self.keys)
        return {self.path: None if found is MISSING else found} if self.test(found) else {}

    def bound(self, settings: Mapping[str, str]) -> Condition:
        """Fill in the settings in it; what is shown of it keeps their names."""
        if not settings_in(self.wanted):
            return self
        wanted = templates.resolve(self.wanted, settings)
        return replace(self, test=_test(self.operator, wanted, arrays=self.arrays, cased=self.cased))


@dataclass(frozen=True, slots=True)
class AllOf:
    """Clauses that must all hold: an alternative of an `any` that has more than one."""

    clauses: tuple[Clause, ...]

    def conditions(self) -> Iterator[Condition]:
        """Give the conditions in it."""
        return (condition for clause in self.clauses for condition in clause.conditions())

    def tester(self, reader: Reader) -> Test:
        """Compile it to a test of the whole that is judged."""
        tests = tuple(clause.tester(reader) for clause in self.clauses)
        return lambda judged: all(test(judged) for test in tests)

    def against(self, get: Get) -> Reason | None:
        """Say why the first that does not hold does not, or nothing."""
        return first_against(self.clauses, get)

    def holding(self, get: Get) -> dict[str, Any]:
        """Give the values with which it holds, by path."""
        return {path: found for clause in self.clauses for path, found in clause.holding(get).items()}

    def bound(self, settings: Mapping[str, str]) -> AllOf:
        """Fill in the settings in it."""
        return replace(self, clauses=tuple(clause.bound(settings) for clause in self.clauses))


@dataclass(frozen=True, slots=True)
class AnyOf(AllOf):
    """Clauses of which one must hold."""

    wanted: Any
    """As it is written."""

    def tester(self, reader: Reader) -> Test:
        """Compile it to a test of the whole that is judged."""
        tests = tuple(clause.tester(reader) for clause in self.clauses)
        return lambda judged: any(test(judged) for test in tests)

    def against(self, get: Get) -> Reason | None:
        """Say what is against each of its alternatives, or nothing."""
        reasons: list[Reason] = []
        for clause in self.clauses:
            reason = clause.against(get)
            if reason is None:
                return None
            reasons.append(reason)
        note = "" if reasons else "there is nothing that could hold"
        return Reason("where", "any", self.wanted, None, note, tuple(reasons))


@dataclass(frozen=True, slots=True)
class Not(AllOf):
    """Clauses that must not all hold."""

    wanted: Any
    """As it is written."""

    def tester(self, reader: Reader) -> Test:
        """Compile it to a test of the whole that is judged."""
        test = AllOf(self.clauses).tester(reader)
        return lambda judged: not test(judged)

    def against(self, get: Get) -> Reason | None:
        """Say that what must not hold does, or nothing."""
        if first_against(self.clauses, get) is not None:
            return None
        found = AllOf(self.clauses).holding(get)
        return Reason("where", "not", self.wanted, found)

    def holding(self, _get: Get) -> dict[str, Any]:
        """Give nothing: it holds by what is not there."""
        return {}


Clause = Condition | AllOf | AnyOf | Not


def first_against(clauses: tuple[Clause, ...], get: Get) -> Reason | None:
    """Say why the first of AND-ed clauses that does not hold does not, or nothing."""
    for clause in clauses:
        reason = clause.against(get)
        if reason is not None:
            return reason
    return None


def condition(
    path: str, keys: Keys, operator: str, wanted: Any, *, arrays: bool = True, cased: bool = False
) -> Condition:
    """Compile a condition, once."""
    test = _test(operator, wanted, arrays=arrays, cased=cased)
    return Condition(path, keys, operator, wanted, test, arrays, cased, CASING_COUNTS if cased else "")


def _test(operator: str, wanted: Any, *, arrays: bool, cased: bool) -> Test:
    if operator in SUBJECT_WORDS:
        return SUBJECT_WORDS[operator](wanted, cased)
    test = OPERATORS[operator].compile(wanted)
    return test if arrays or OPERATORS[operator].is_about_null else without_arrays(test)


def settings_in(wanted: Any) -> list[str]:
    """List the settings that an operand's texts refer to."""
    texts = wanted if isinstance(wanted, list) else [wanted]
    return [name for text in texts if isinstance(text, str) for name in templates.setting_names(text)]
