"""Which rules answer an event, and why the others do not.

Most rules differ by one text: a model's name, how an experiment's name begins, a tag.
So for every set of kinds and source that comes up, an index is built once that leads from the event's own values
to the few rules whose text is there; only those are tested. A field is read once per event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.events import OWN_SOURCE, Event
from shared.rules import templates
from shared.rules.declared import Declared, source_key
from shared.rules.explanation import Explanation, Reason, RuleExplanation
from shared.rules.filters import OPERATORS, Test
from shared.rules.kinds import NAMESPACES
from shared.rules.paths import MAPPING, MISSING, Keys, Read, reader
from shared.rules.problems import Problem
from shared.rules.rule import Condition, Mode, Rule

UNREAD = object()
OWN = frozenset({OWN_SOURCE})
NOWHERE: frozenset[str] = frozenset()


# -- the index --------------------------------------------------------------------------------------------------------

INDEXED = frozenset({"id", "source", "subject", "type", *NAMESPACES}) - {"workspace"}
"""Roots of the fields that an event simply holds."""

PARTS: Mapping[str, Callable[[str], slice]] = {
    "StringIn": lambda _: slice(None),
    "StringBeginsWith": lambda text: slice(len(text)),
    "StringEndsWith": lambda text: slice(-len(text), None) if text else slice(0),
}
"""Operator to the part of a value that must be equal to its operand."""

Tests = tuple[tuple[int, Test], ...]
"""The conditions of a rule: which of the event's fields (a slot), and what it must be."""
Piece = tuple[slice, str]
"""A part of a text, and what it must be in lower case: the whole, its beginning or its end."""
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
    choices = {position: _choices(rule) for position, rule in rules}
    demand = Counter((keys, piece) for wanted in choices.values() for keys, pieces in wanted for piece in pieces)
    always: list[int] = []
    tree: dict[Keys, dict[str, dict[slice, Texts]]] = {}
    for position, wanted in choices.items():
        if not wanted:
            always.append(position)
            continue
        keys, pieces = min(wanted, key=lambda choice: sum(demand[choice[0], piece] for piece in choice[1]))
        parts = tree.setdefault(keys[:-1], {}).setdefault(keys[-1], {})
        for part, text in pieces:
            texts = parts.setdefault(part, {})
            texts[text] = (*texts.get(text, ()), position)
    return Index(
        tuple(always),
        tuple(
            (_read_parent(parent), {key: tuple(parts.items()) for key, parts in lookup.items()})
            for parent, lookup in tree.items()
        ),
    )


def _choices(rule: Rule) -> list[tuple[Keys, frozenset[Piece]]]:
    """List the fields of which a rule wants one of some pieces."""
    return [
        (wanted.keys, frozenset((PARTS[wanted.operator](text.lower()), text.lower()) for text in wanted.wanted))
        for wanted in rule.where
        if wanted.operator in PARTS and wanted.keys[0] in INDEXED and not _settings_in(wanted)
    ]


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
        slots: dict[Keys, int] = {}
        self._tests: tuple[Tests, ...] = tuple(
            tuple((slots.setdefault(wanted.keys, len(slots)), wanted.test) for wanted in rule.where) for rule in rules
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
        index = _index(
            (position, rule)
            for position, rule in enumerate(self.rules)
            if rule.mode != "off" and rule.kinds & kinds and (not rule.sources or rule.sources & names)
        )
        self._indexes[kinds, names] = index
        return index

    def explain(self, event: Event) -> Explanation:
        """Say of every rule whether it answers an event, and if not, the first thing that is against it."""
        names = self.names(event)
        return Explanation(
            event, tuple(RuleExplanation(rule, self._against(rule, event, names)) for rule in self.rules)
        )

    def _against(self, rule: Rule, event: Event, names: frozenset[str]) -> Reason | None:
        if not rule.kinds & event.kinds:
            return Reason("kinds", "StringIn", sorted(rule.kinds), sorted(event.kinds))
        if not names or (rule.sources and not rule.sources & names):
            declared = sorted(rule.sources or {*self.declared.workspaces, *self.declared.vision})
            return Reason("source", "StringIn", declared, event.source)
        if rule.mode == "off":
            return Reason("mode", "StringIn", ["live", "dry_run"], "off")
        if _is_own_outcome(rule, event):
            return Reason("action.rule", "StringNotIn", [rule.name], rule.name)
        for wanted in rule.where:
            found = reader(wanted.keys)(event)
            if not wanted.test(found):
                return Reason(wanted.path, wanted.operator, wanted.wanted, None if found is MISSING else found)
        return None


def _is_own_outcome(rule: Rule, event: Event) -> bool:
    """Tell whether an event is what came of this very rule: answering it would never end."""
    return event.door == "own" and event.facts.get("action", {}).get("rule") == rule.name


def _bound(rule: Rule, settings: Mapping[str, str], warnings: list[Problem]) -> Rule:
    """Fill in the settings in a rule's filters."""
    if not any(_settings_in(wanted) for wanted in rule.where):
        return rule
    where: list[Condition] = []
    for wanted in rule.where:
        names = _settings_in(wanted)
        unset = [name for name in names if name not in settings]
        if unset:
            text = f'rule "{rule.name}" never matches: the setting {", ".join(unset)} is not set'
            warnings.append(Problem(max(rule.line, 1), 1, text, "warning"))
            where.append(replace(wanted, test=lambda _: False))
        elif names:
            where.append(
                replace(wanted, test=OPERATORS[wanted.operator].compile(templates.resolve(wanted.wanted, settings)))
            )
        else:
            where.append(wanted)
    return replace(rule, where=tuple(where))


def _settings_in(wanted: Condition) -> list[str]:
    """List the settings that a condition's texts refer to."""
    if not isinstance(wanted.wanted, list):
        return []
    return [name for text in wanted.wanted if isinstance(text, str) for name in templates.setting_names(text)]
