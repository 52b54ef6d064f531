"""Which rules answer an event, and why the others do not.

Most rules differ by one text: a model's name, how an experiment's name begins, a tag.
So for every set of kinds and source that comes up, an index is built once that leads from the event's own values
to the few rules whose text is there; only those are tested. A field is read once per event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.events import OWN_SOURCE, Event
from shared.rules.clauses import AnyOf, Clause, Condition, Not, Reason, first_against, settings_in
from shared.rules.declared import Declared, source_key
from shared.rules.explanation import REFUSED, UNDECLARED, Explanation, RuleExplanation
from shared.rules.filters import Test
from shared.rules.kinds import NAMESPACES
from shared.rules.paths import MAPPING, Keys, Read, reader
from shared.rules.problems import Problem
from shared.rules.rule import Mode, Rule

UNREAD = object()
WHOLE: Keys = ()
"""The path of the event itself, which is what an `any` or a `not` is tested over."""
OWN = frozenset({OWN_SOURCE})
NOWHERE: frozenset[str] = frozenset()


# -- the index --------------------------------------------------------------------------------------------------------

INDEXED = frozenset({"id", "source", "subject", "type", *NAMESPACES}) - {"workspace"}
"""Roots of the fields that an event simply holds."""

PARTS: dict[str, Callable[[str], slice]] = {
    "StringIn": lambda _: slice(None),
    "StringBeginsWith": lambda text: slice(len(text)),
    "StringEndsWith": lambda text: slice(-len(text), None) if text else slice(0),
}
PARTS |= {"subjectBeginsWith": PARTS["StringBeginsWith"], "subjectEndsWith": PARTS["StringEndsWith"]}
"""Operator to the part of a value that must be equal to its operand."""

Tests = tuple[tuple[int, Test], ...]
"""The conditions of a rule: which of the event's fields (a slot), and what it must be."""
Piece = tuple[slice, str]
"""A part of a text, and what it must be in lower case: the whole, its beginning or its end."""
Entry = tuple[Keys, Piece]
"""A piece of the text of one field."""
Texts = dict[str, tuple[int, ...]]
"""What a part may be, to the positions of the rules that want it."""
Lookup = dict[str, tuple[tuple[slice, Texts], ...]]
"""Under one parent: last key to the parts of its text that lead to rules."""


@dataclass(frozen=True, slots=True)
class Index:
    """The rules that can answer events of certain kinds from a certain source, by position in the file."""

    always: tuple[int, ...]
    """Those that no text leads to: tested every time."""
    lookups: tuple[tuple[Read, Lookup], ...]
    """For each parent of the fields that are compared: how to read it, and whom its values lead to."""

    def candidates(self, event: Event) -> Sequence[int]:
        """Give the positions of the rules worth testing, in order."""
        found: tuple[int, ...] = ()
        for read, lookup in self.lookups:
            parent = read(event)
            if not isinstance(parent, MAPPING):
                continue
            for key in parent if len(parent) < len(lookup) else lookup:
                value, parts = parent.get(key), lookup.get(key)
                if parts is None or value is None:
                    continue
                for text in value if isinstance(value, list) else (value,):
                    if type(text) is str:
                        lower = text.lower()
                        for part, texts in parts:
                            found += texts.get(lower[part], ())
        return sorted({*found, *self.always}) if found else self.always


def _envelope(event: Event) -> Mapping[str, str]:
    return {"id": event.id, "source": event.source, "subject": event.subject, "type": event.type}


def _read_parent(keys: Keys) -> Read:
    """Read what holds the last key of a path."""
    if not keys:
        return _envelope
    return (lambda event: event.data) if keys == ("data",) else reader(keys)


def _index(rules: Iterable[tuple[int, Rule]]) -> Index:
    """Put every rule under its rarest text."""
    choices = {position: list(_choices(rule.where)) for position, rule in rules}
    demand = Counter(entry for wanted in choices.values() for entries in wanted for entry in entries)
    always: list[int] = []
    tree: dict[Keys, dict[str, dict[slice, Texts]]] = {}
    for position, wanted in choices.items():
        if not wanted:
            always.append(position)
            continue
        for keys, (part, text) in min(wanted, key=lambda entries: sum(demand[entry] for entry in entries)):
            texts = tree.setdefault(keys[:-1], {}).setdefault(keys[-1], {}).setdefault(part, {})
            texts[text] = (*texts.get(text, ()), position)
    return Index(
        tuple(always),
        tuple(
            (_read_parent(parent), {key: tuple(parts.items()) for key, parts in lookup.items()})
            for parent, lookup in tree.items()
        ),
    )


def _choices(clauses: Iterable[Clause]) -> Iterator[frozenset[Entry]]:
    """List what each of AND-ed clauses wants some pieces of, where only such pieces make it hold."""
    for clause in clauses:
        if isinstance(clause, Condition):
            if clause.operator in PARTS and clause.keys[0] in INDEXED and not settings_in(clause.wanted):
                part, keys = PARTS[clause.operator], clause.keys
                texts = clause.wanted if isinstance(clause.wanted, list) else [clause.wanted]
                yield frozenset((keys, (part(text.lower()), text.lower())) for text in texts)
        elif isinstance(clause, AnyOf):
            alternatives = [min(_choices((each,)), key=len, default=None) for each in clause.clauses]
            if alternatives and None not in alternatives:
                yield frozenset().union(*(each for each in alternatives if each))
        elif not isinstance(clause, Not):
            yield from _choices(clause.clauses)


# -- the rules --------------------------------------------------------------------------------------------------------


class Rules:
    """A rules file that is in order. Pure and immutable; what it remembers is only how to find rules faster."""

    def __init__(
        self,
        *,
        version: int,
        mode: Mode,
        hash: str,
        rules: tuple[Rule, ...],
        declared: Declared,
        warnings: tuple[Problem, ...] = (),
        origin: str = "",
    ) -> None:
        self.version = version
        self.mode = mode
        self.hash = hash
        """sha256 of the file's text, in hex."""
        self.rules = rules
        self.declared = declared
        self.warnings = warnings
        self.origin = origin
        self._sources = declared.sources()
        self._indexes: dict[tuple[frozenset[str], frozenset[str]], Index] = {}
        self._heard: dict[tuple[frozenset[str], frozenset[str]], tuple[int, ...]] = {}
        """The rules for kinds and a source by position, those that are off too."""
        slots: dict[Keys, int] = {}
        self._tests: tuple[Tests, ...] = tuple(
            tuple(
                (slots.setdefault(clause.keys, len(slots)), clause.test)
                if isinstance(clause, Condition)
                else (slots.setdefault(WHOLE, len(slots)), clause.tester(reader))
                for clause in rule.where
            )
            for rule in rules
        )
        self._readers = tuple(reader(keys) for keys in slots)

    def bind(self, settings: Mapping[str, str]) -> Rules:
        """Fill in the settings in declared sources and in filters; what is not set is a warning and never matches.

        Everything else keeps its `${NAME}`: secrets are resolved only where they are used.
        """
        declared, missing = self.declared.bind(settings)
        warnings = [
            Problem(1, 1, f"{name} is not listened to: the setting {', '.join(unset)} is not set", "warning")
            for name, unset in missing.items()
        ]
        return Rules(
            version=self.version,
            mode=self.mode,
            hash=self.hash,
            rules=tuple(_bound(rule, settings, warnings) for rule in self.rules),
            declared=declared,
            warnings=(*self.warnings, *warnings),
            origin=self.origin,
        )

    def names(self, event: Event) -> frozenset[str]:
        """Give the declared names of an event's source; our own events are always declared."""
        if event.door == "own" and event.source == OWN_SOURCE:
            return OWN
        return self._sources.get(source_key(event.source), NOWHERE)

    def declares(self, event: Event) -> bool:
        """Tell whether the file declares the source of an event; what comes from elsewhere does nothing."""
        return bool(self.names(event))

    def match(self, event: Event) -> tuple[Rule, ...]:
        """Give the rules that answer an event, in the order of the file."""
        names = self.names(event)
        if not names or not event.kinds:
            return ()
        index = self._indexes.get((event.kinds, names)) or self._build_index(event.kinds, names)
        matched: list[Rule] = []
        values: list[Any] = [UNREAD] * len(self._readers)
        for position in index.candidates(event):
            for slot, test in self._tests[position]:
                value = values[slot]
                if value is UNREAD:
                    value = values[slot] = self._readers[slot](event)
                if not test(value):
                    break
            else:
                matched.append(self.rules[position])
        if names is OWN:
            return tuple(rule for rule in matched if not _is_own_outcome(rule, event))
        return tuple(matched)

    def _build_index(self, kinds: frozenset[str], names: frozenset[str]) -> Index:
        heard = self._heard[kinds, names] = tuple(
            position
            for position, rule in enumerate(self.rules)
            if rule.kinds & kinds and (not rule.sources or rule.sources & names)
        )
        index = _index((position, self.rules[position]) for position in heard if self.rules[position].mode != "off")
        self._indexes[kinds, names] = index
        return index

    def explain(self, event: Event) -> Explanation:
        """Say of every rule whether it answers an event, and if not, the first thing that is against it."""
        names = self.names(event)
        return Explanation(
            event,
            tuple(RuleExplanation(rule, self._first_against(rule, event, names)) for rule in self.rules),
            "" if names else REFUSED,
        )

    def against(self, event: Event, most: int = 50) -> list[dict[str, Any]]:
        """Say, of the rules for an event's kinds and source that do not answer it, the first thing against each.

        It is plain data to keep: `rule`, and what `Reason.brief` gives. There are at most `most`.
        """
        names = self.names(event)
        if not names or not event.kinds:
            return []
        if (event.kinds, names) not in self._heard:
            self._build_index(event.kinds, names)
        found: list[dict[str, Any]] = []
        for position in self._heard[event.kinds, names]:
            if len(found) >= most:
                break
            rule = self.rules[position]
            reason = _against(rule, event)
            if reason is not None:
                found.append({"rule": rule.name, **reason.brief()})
        return found

    def _first_against(self, rule: Rule, event: Event, names: frozenset[str]) -> Reason | None:
        if not rule.kinds & event.kinds:
            return Reason("on", "StringIn", sorted(rule.kinds), sorted(event.kinds))
        if not names or (rule.sources and not rule.sources & names):
            declared = sorted(rule.sources or {*self.declared.workspaces, *self.declared.vision})
            return Reason("from", "StringIn", declared, sorted(names) or None, "" if names else UNDECLARED)
        return _against(rule, event)


def _against(rule: Rule, event: Event) -> Reason | None:
    """Say what is against a rule for an event of its kinds, from its sources."""
    if rule.mode == "off":
        return Reason("mode", "StringIn", ["live", "dry_run"], "off")
    if _is_own_outcome(rule, event):
        return Reason("action.rule", "StringNotIn", [rule.name], rule.name)
    return first_against(rule.where, lambda keys: reader(keys)(event))


def _is_own_outcome(rule: Rule, event: Event) -> bool:
    """Tell whether an event is what came of this very rule: answering it would never end."""
    return event.door == "own" and event.facts.get("action", {}).get("rule") == rule.name


def _bound(rule: Rule, settings: Mapping[str, str], warnings: list[Problem]) -> Rule:
    """Fill in the settings in a rule's filters."""
    if not any(settings_in(condition.wanted) for clause in rule.where for condition in clause.conditions()):
        return rule
    where: list[Clause] = []
    for clause in rule.where:
        never = _never(clause, settings)
        if never is None:
            where.append(clause.bound(settings))
        else:
            text = f'rule "{rule.name}" never matches: {never.note}'
            warnings.append(Problem(max(rule.line, 1), 1, text, "warning"))
            where.append(never)
    return replace(rule, where=tuple(where))


def _never(clause: Clause, settings: Mapping[str, str]) -> Condition | None:
    """Give what takes the place of a clause with a setting that is not set: even a `not` of it must not hold."""
    for condition in clause.conditions():
        unset = [name for name in settings_in(condition.wanted) if name not in settings]
        if unset:
            note = f"the setting {', '.join(unset)} is not set"
            return replace(condition, test=lambda _: False, note=note)
    return None
