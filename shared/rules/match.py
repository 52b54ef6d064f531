"""Which rules answer an event, and why the others do not.

For every set of kinds and source that comes up, an index is built once that leads from the event's own values to the
few rules whose text is there; only those are tested. A field is read once per event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.events import MAKER_TAG, OWN_SOURCE, Event, lineage
from shared.rules.clauses import Clause, Condition, Reason, first_against, settings_in
from shared.rules.declared import Declared, source_key
from shared.rules.explanation import REFUSED, UNDECLARED, Explanation, RuleExplanation
from shared.rules.filters import Test
from shared.rules.index import Index, build_index
from shared.rules.paths import Keys, reader
from shared.rules.problems import Problem
from shared.rules.rule import Mode, Rule

UNREAD = object()
WHOLE: Keys = ()
"""The path of the event itself, which is what an `any` or a `not` is tested over."""
OWN = frozenset({OWN_SOURCE})
NOWHERE: frozenset[str] = frozenset()


Tests = tuple[tuple[int, Test], ...]
"""The conditions of a rule: which of the event's fields (a slot), and what it must be."""


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
        self.following = tuple(rule for rule in rules if rule.cancel_on or rule.expect)
        """The rules for which an event may mean something that they do not answer."""
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
        names = self._sources.get(source_key(event.source), NOWHERE)
        return names if len(names) < 2 else (names & {_replicated_as(event)}) or names

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
        if matched and (maker := _maker(event)):
            return tuple(rule for rule in matched if rule.name != maker)
        return tuple(matched)

    def _build_index(self, kinds: frozenset[str], names: frozenset[str]) -> Index:
        heard = self._heard[kinds, names] = tuple(
            position
            for position, rule in enumerate(self.rules)
            if rule.kinds & kinds and (not rule.sources or rule.sources & names)
        )
        index = build_index(
            (position, self.rules[position]) for position in heard if self.rules[position].mode != "off"
        )
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

    def refuses(self, name: str, event: Event) -> str:
        """Say which part of a rule's filter an event does not fit; "" where it fits, or no rule has that name."""
        rule = next((rule for rule in self.rules if rule.name == name), None)
        reason = first_against(rule.where, lambda keys: reader(keys)(event)) if rule else None
        return reason.path if reason else ""

    def _first_against(self, rule: Rule, event: Event, names: frozenset[str]) -> Reason | None:
        if not rule.kinds & event.kinds:
            return Reason("on", "StringIn", sorted(rule.kinds), sorted(event.kinds))
        if not names or (rule.sources and not rule.sources & names):
            about = self.declared
            declared = sorted(rule.sources or {*about.workspaces, *about.vision, *about.language})
            return Reason("from", "StringIn", declared, sorted(names) or None, "" if names else UNDECLARED)
        return _against(rule, event)


def _against(rule: Rule, event: Event) -> Reason | None:
    """Say what is against a rule for an event of its kinds, from its sources."""
    if rule.mode == "off":
        return Reason("mode", "StringIn", ["live", "dry_run"], "off")
    if _maker(event) == rule.name:
        return Reason("action.rule" if event.door == "own" else MAKER_TAG, "StringNotIn", [rule.name], rule.name)
    return first_against(rule.where, lambda keys: reader(keys)(event))


def _replicated_as(event: Event) -> str:
    """Give the declared name that an event tells of a Language project: several may replicate the same one."""
    told = next((event.facts[space] for space in ("replica", "expiry") if space in event.facts), {})
    return str(told.get("name", ""))


def _maker(event: Event) -> str:
    """Name the rule that an event came of: it told the end of its action, or is about what that made.

    A rule never answers that: it would never end.
    """
    if event.door == "own" and "action" in event.facts:
        return str(event.facts["action"].get("rule", ""))
    return lineage(event.data, MAKER_TAG)


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
