"""Which events belong together: what a limit counts by, what an event calls off, what it was expected for. Pure.

Two events belong together where they say the same under the paths of `per`, and come from the same source where both
can: a drift and its recovery of one workspace, but a training and the success of an action.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shared.events import Event, canonical, digest
from shared.rules.declared import source_key
from shared.rules.kinds import KINDS
from shared.rules.paths import MISSING, parse_path, reader
from shared.rules.paths import canonical as canonical_path

if TYPE_CHECKING:
    from shared.rules import Rule


@dataclass(frozen=True, slots=True)
class Following:
    """That an event calls off, or fulfils, what a rule began for another."""

    what: Literal["cancel", "expect"]
    rule: str
    token: str


def once(rule: Rule, event: Event) -> str:
    """Return what an event tells that a rule answers once; "" where the event itself is what it answers.

    A derived kind stays on a run: the next event which tells the same finds the action there.
    """
    heard = rule.kinds & event.kinds if event.once else None
    return event.once[min(heard)] if heard and heard <= event.once.keys() else ""


def scope(rule: Rule, event: Event) -> str:
    """Return the key of the slots that a rule's limit is decided by for an event; a dry run has its own."""
    per = rule.limit.per if rule.limit else ()
    return digest("limit", rule.name, rule.mode, canonical([_or_null(value) for value in _values(per, event)]))


def budget(rule: str, mode: str) -> str:
    """Return the key of the slots that `at_most` is decided by."""
    return digest("budget", rule, mode)


def cancel_key(rule: Rule, event: Event) -> str:
    """Return what calls off an action of a rule, "" where nothing does."""
    if rule.cancel_on is None:
        return ""
    return _token("cancel", rule, event, rule.cancel_on.on, _cancel_per(rule))


def expect_key(rule: Rule, event: Event) -> str:
    """Return what an expectation of a rule waits for, "" where it expects nothing."""
    if rule.expect is None:
        return ""
    return _token("expect", rule, event, (rule.expect.kind,), rule.expect.per)


def followed(rules: Iterable[Rule], event: Event) -> Iterator[Following]:
    """List what an event calls off, and what it was expected for.

    An event that lacks a field which should say the same says nothing about anything.
    """
    for rule in rules:
        if rule.mode == "off":
            continue
        if rule.cancel_on and event.kinds & set(rule.cancel_on.on) and _says(_cancel_per(rule), event):
            yield Following("cancel", rule.name, cancel_key(rule, event))
        if rule.expect and rule.expect.kind in event.kinds and _says(rule.expect.per, event):
            yield Following("expect", rule.name, expect_key(rule, event))


def _cancel_per(rule: Rule) -> tuple[str, ...]:
    assert rule.cancel_on is not None
    return rule.cancel_on.per or (rule.limit.per if rule.limit else ())


def _token(what: str, rule: Rule, event: Event, others: tuple[str, ...], per: tuple[str, ...]) -> str:
    families = {KINDS[kind].family for kind in (*rule.kinds, *others)}
    source = source_key(event.source) if len(families) == 1 and "own" not in families else ""
    return digest(what, rule.name, source, canonical([_or_null(value) for value in _values(per, event)]))


def _says(per: tuple[str, ...], event: Event) -> bool:
    return not any(value is MISSING or value is None for value in _values(per, event))


def _values(per: tuple[str, ...], event: Event) -> Iterator[Any]:
    for path in per:
        keys = parse_path(path)
        yield reader(canonical_path(keys))(event) if keys else MISSING


def _or_null(value: Any) -> Any:
    return None if value is MISSING else value
