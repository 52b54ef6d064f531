"""Reads a filter: the `where` of a rule, and that of a gate, which is compiled again when its templates are filled.

A filter maps paths to operators, all of which must hold; `any: [filter, …]`, `all: [filter, …]` and `not: filter` nest
at any depth, and Event Grid's own words about the subject and about arrays stand at the top only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from shared.errors import PermanentError
from shared.rules import hints, templates
from shared.rules.clauses import AllOf, AnyOf, Clause, Condition, Not, Reason, condition, first_against
from shared.rules.filters import OPERATORS, SUBJECT_WORDS
from shared.rules.hints import Written
from shared.rules.paths import ROOTS, Keys, canonical, parse_path, walk
from shared.rules.problems import did_you_mean, shorten
from shared.rules.reading import Entries, Reading, Text
from shared.rules.scope import Scope, check_field, check_result

ALL, ANY, NOT = "all", "any", "not"
CASED, ARRAYS = "isSubjectCaseSensitive", "enableAdvancedFilteringOnArrays"
SWITCHES = {CASED: False, ARRAYS: True}
"""Event Grid's switches and what they are where nothing is said; Event Grid's own default for arrays is false."""
TOP = (*SUBJECT_WORDS, *SWITCHES)
WORDS = (ALL, ANY, NOT, *TOP)
ELSEWHERE = {"and": ALL, "allof": ALL, "or": ANY, "anyof": ANY, "oneof": ANY, "none": NOT, "noneof": NOT, "nor": NOT}
ELSEWHERE |= {"subjectstartswith": "subjectBeginsWith", "subjectprefix": "subjectBeginsWith"}
ELSEWHERE |= {"subjectsuffix": "subjectEndsWith", "arrays": ARRAYS}
"""What other languages call these words."""
SUBJECT: Keys = ("subject",)
LIVE = {"model": ("name", "version", "id", "type", "tags", "archived", "created")}
"""What a gate can read of the service as it is now, and the fields of that."""
NOT_A_PATH = "is not a path, such as data.modelTags['team.owner']"
LISTED = "a list of conditions, such as [{model.name: {StringIn: [a]}}, {…}]"


# -- from plain data --------------------------------------------------------------------------------------------------


def compile_where(data: Any) -> tuple[Clause, ...]:
    """Compile a filter as it is written, its templates filled; PermanentError names the path and operator."""
    switches = _Switches(data) if isinstance(data, Mapping) else None
    return tuple(_clauses(data, switches, top=True))


def against(data: Any, context: Mapping[str, Any]) -> Reason | None:
    """Say why a filter does not hold of what templates can read, or nothing; PermanentError where it is malformed."""
    return first_against(compile_where(data), lambda keys: walk(context, keys))


class _Switches:
    def __init__(self, data: Mapping[str, Any]) -> None:
        self.arrays, self.cased = (data.get(name, SWITCHES[name]) for name in (ARRAYS, CASED))


def _clauses(data: Any, switches: Any, *, top: bool = False) -> Iterator[Clause]:
    if not isinstance(data, Mapping):
        raise _malformed(f"a filter must be a mapping, not {shorten(data)}")
    for word, value in data.items():
        if word == NOT:
            yield Not(tuple(_clauses(value, switches)), value)
        elif word in {ALL, ANY}:
            if not isinstance(value, list):
                raise _malformed(f"{word} wants {LISTED}, not {shorten(value)}")
            alternatives = [tuple(_clauses(each, switches)) for each in value]
            if word == ANY:
                yield AnyOf(tuple(each[0] if len(each) == 1 else AllOf(each) for each in alternatives), value)
            else:
                yield from (clause for each in alternatives for clause in each)
        elif word in TOP:
            wants = bool if word in SWITCHES else str
            if not top or not isinstance(value, wants):
                raise _malformed(_misplaced(word) if not top else _not_the(word, value))
            if word in SUBJECT_WORDS:
                yield condition("subject", SUBJECT, word, value, cased=switches.cased)
        else:
            yield from _conditions(word, value, arrays=switches.arrays)


def _conditions(path: str, operators: Any, *, arrays: bool) -> Iterator[Condition]:
    parsed = parse_path(path)
    if parsed is None:
        raise _malformed(f"{shorten(path)} {NOT_A_PATH}")
    if not isinstance(operators, Mapping):
        raise _malformed(f"{path} needs an operator, such as {{StringIn: [...]}}, not {shorten(operators)}")
    for operator, wanted in operators.items():
        if operator not in OPERATORS:
            raise _malformed(f'{path}: unknown operator "{operator}"{did_you_mean(operator, OPERATORS)}')
        if not OPERATORS[operator].accepts(wanted):
            raise _malformed(f"{path}: {operator} wants {OPERATORS[operator].wants}, not {shorten(wanted)}")
        yield condition(path, canonical(parsed), operator, wanted, arrays=arrays)


def _malformed(message: str) -> PermanentError:
    return PermanentError(message, remedy="correct the filter in the rules file")


def _misplaced(word: str) -> str:
    return f"{word} is about the whole filter, and can stand only at its top"


def _not_the(word: str, value: Any) -> str:
    return f"{word} wants {'true or false' if word in SWITCHES else 'one text'}, not {shorten(value)}"


# -- from a rules file ------------------------------------------------------------------------------------------------


def read_where(reading: Reading, keys: Entries, kinds: frozenset[str]) -> tuple[Clause, ...]:
    """Read the `where` among a rule's keys, if there is one; what is wrong or doubtful about it is noted."""
    if "where" not in keys:
        hints.about_rule(reading, keys, kinds, [])
        return ()
    place = keys["where"][1]
    where = Where(reading, kinds)
    clauses = where.read(place)
    hints.about_rule(reading, keys, kinds, where.written)
    return clauses


def read_gate(reading: Reading, node: Node, scope: Scope) -> None:
    """Check the `where` of a gate, which may ask for steps' results and for `live`, and may hold templates.

    Its templates are checked with those of every other parameter; `against` compiles it once they are filled.
    """
    Where(reading, scope.kinds, scope).read(node)


@dataclass(slots=True)
class Where:
    """One reading of a filter."""

    reading: Reading
    kinds: frozenset[str]
    gate: Scope | None = None
    """What a gate can read beside the event; None for the `where` of a rule."""
    arrays: bool = True
    cased: bool = False
    written: list[Written] = field(default_factory=list)
    """The conditions found, and where they stand."""

    def read(self, node: Node) -> tuple[Clause, ...]:
        """Read the whole."""
        entries = self.reading.mapping(node, "where")
        for switch in SWITCHES:
            if switch in entries:
                value = self.reading.value(entries[switch][1])
                if not isinstance(value, bool):
                    self.reading.error(entries[switch][1], _not_the(switch, value))
        self.arrays, self.cased = (
            self.reading.value(entries[switch][1]) is True if switch in entries else SWITCHES[switch]
            for switch in (ARRAYS, CASED)
        )
        if CASED in entries and not SUBJECT_WORDS.keys() & entries.keys():
            self.reading.warn(entries[CASED][0], f"{CASED} is only about {' and '.join(SUBJECT_WORDS)}")
        return tuple(self._clauses(entries, ""))

    def _clauses(self, entries: Entries, under: str) -> Iterator[Clause]:
        for word, (key, value) in entries.items():
            if word == NOT:
                yield Not(self._inner(value, NOT), self.reading.value(value))
            elif word in {ALL, ANY}:
                yield from self._listed(word, key, value, under)
            elif word in TOP:
                if under:
                    self.reading.error(key, _misplaced(word))
                elif word in SUBJECT_WORDS:
                    yield from self._subject(word, key, value)
            elif (meant := self._nearly(word, value)) is not None:
                self.reading.error(key, f'unknown key "{word}" in where{meant}')
            else:
                yield from self._conditions(word, key, value, under)

    def _inner(self, node: Node, under: str) -> tuple[Clause, ...]:
        entries = self.reading.mapping(node, under)
        if isinstance(node, MappingNode) and not node.value:
            self.reading.warn(node, f"an empty filter under {under} always holds")
        return tuple(self._clauses(entries, under))

    def _listed(self, word: str, key: ScalarNode, node: Node, under: str) -> Iterator[Clause]:
        if not isinstance(node, SequenceNode):
            self.reading.error(node, f"{word} wants {LISTED}, not {shorten(self.reading.value(node))}")
            return
        if not node.value:
            self.reading.warn(key, f"{word} is empty, and so it {'always' if word == ALL else 'never'} holds")
        if word == ALL:
            for item in node.value:
                yield from self._inner(item, under or ALL)
        else:
            alternatives = [self._inner(item, under if under == NOT else ANY) for item in node.value]
            clauses = tuple(each[0] if len(each) == 1 else AllOf(each) for each in alternatives)
            yield AnyOf(clauses, self.reading.value(node))

    def _subject(self, word: str, key: ScalarNode, node: Node) -> Iterator[Clause]:
        texts: list[Text] = []
        wanted = self.reading.value(node, texts)
        self._check_texts(texts)
        if not isinstance(wanted, str):
            self.reading.error(node, _not_the(word, wanted))
            return
        made = condition("subject", SUBJECT, word, wanted, cased=self.cased)
        self._note(Written(made, key, key, node, ""))
        yield made

    def _conditions(self, path: str, key: ScalarNode, node: Node, under: str) -> Iterator[Clause]:
        parsed = parse_path(path)
        if parsed is None:
            self.reading.error(key, f"{shorten(path)} {NOT_A_PATH}")
            return
        keys = canonical(parsed)
        self._check_path(key, keys)
        if not isinstance(node, MappingNode):
            value = self.reading.value(node)
            such = f"{{StringIn: {shorten(value)}}}" if isinstance(value, list) and value else "{StringIn: [...]}"
            self.reading.error(node, f"{path} needs an operator, such as {such}, not {shorten(value)}")
            return
        if not node.value:
            self.reading.warn(node, f"{path} has no operator, so nothing is asked of it")
        for operator, (name, operand) in self.reading.mapping(node, path).items():
            if operator not in OPERATORS:
                self.reading.error(name, f'unknown operator "{operator}"{did_you_mean(operator, OPERATORS)}')
                continue
            texts: list[Text] = []
            wanted = self.reading.value(operand, texts)
            self._check_texts(texts)
            if OPERATORS[operator].accepts(wanted):
                made = condition(path, keys, operator, wanted, arrays=self.arrays)
                self._note(Written(made, key, name, operand, under))
                yield made
            elif self.gate is None or not _accepts_once_filled(operator, wanted):
                hints.refuse_operand(self.reading, operator, operand, wanted)

    def _note(self, one: Written) -> None:
        self.written.append(one)
        hints.about_condition(self.reading, one, self.kinds)
        if self.gate is None:
            hints.about_subscription(self.reading, one, self.kinds)

    def _check_texts(self, texts: list[Text]) -> None:
        for place, text in texts:
            if self.gate is None and templates.is_template(text):
                self.reading.error(place, f"{shorten(text)}: a filter cannot have a template")
            self.reading.setting(place, text)

    def _check_path(self, key: Node, keys: Keys) -> None:
        root, *rest = keys
        if self.gate is None:
            check_field(self.reading, key, keys, self.kinds)
        elif root == "steps":
            check_result(self.reading, key, keys, self.gate)
        elif root == "live":
            if rest and rest[0] not in LIVE:
                self.reading.error(key, f"live has no {rest[0]}{did_you_mean(rest[0], LIVE)}: only {', '.join(LIVE)}")
            elif len(rest) > 1 and rest[1] not in LIVE[rest[0]]:
                known = LIVE[rest[0]]
                meant = did_you_mean(rest[1], known) or f": it has {', '.join(known)}"
                self.reading.error(key, f"live.{rest[0]} has no {rest[1]}{meant}")
        elif root != "action" and not (root == "failure" and self.gate.after_failure):
            check_field(self.reading, key, keys, self.kinds)

    def _nearly(self, word: str, node: Node) -> str | None:
        """Suggest the word of this language that a key which leads nowhere was probably meant to be."""
        if "." in word or "[" in word or word.lower() in ROOTS or (self.gate and word in {"steps", "live"}):
            return None
        if isinstance(node, MappingNode) and node.value and all(key.value in OPERATORS for key, _ in node.value):
            return None
        meant = ELSEWHERE.get(word.lower().replace("_", ""))
        suggestion = f' (did you mean "{meant}"?)' if meant else did_you_mean(word, WORDS)
        return suggestion or None


def _accepts_once_filled(operator: str, wanted: Any) -> bool:
    """Tell whether an operand may be right once its templates are filled."""
    if isinstance(wanted, str):
        return templates.is_template(wanted)
    if not isinstance(wanted, list):
        return False
    left = [item for item in wanted if not _has_template(item)]
    return len(left) < len(wanted) and (not left or OPERATORS[operator].accepts(left))


def _has_template(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_template, value))
    return isinstance(value, str) and templates.is_template(value)
