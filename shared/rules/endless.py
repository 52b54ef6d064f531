"""Rules that Custom Vision would keep going by itself: what one begins ends as the event that begins it anew. Pure.

An iteration carries no tags that say who trained it, so a rule hears its own trainings and exports.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from shared.actions import Step
from shared.policy import Limit
from shared.rules import templates
from shared.rules.rule import Rule

TRAINED = frozenset({"TrainingCompleted", "TrainingFailed", "NotificationMissed"})
"""Kinds by which a training may tell that it is over."""
EXPORTED = frozenset({"ExportCompleted", "ExportFailed"})
EXPORTS, TRAINS = "export.vision", "train.vision"
SELDOM = timedelta(hours=1)
"""How far apart a limit has to keep actions to be one for these."""
ONE_BY_ONE = frozenset({"id", "subject", "vision.iteration", "data.iterationId"})
"""What each training has another one of, so that a cooldown for each of them keeps nothing apart."""
OR_LIMIT = "say a `limit` such as {at_most: 1 per day}"


def doubts(rule: Rule, rules: Sequence[Rule]) -> Iterator[str]:
    """Say which of a rule's steps come back to it for ever, by themselves or by the exports of other rules."""
    if rule.mode == "off" or _is_seldom(rule.limit):
        return
    trains = [step for step in rule.do if step.action == TRAINS and _hears(rule, step, rule)]
    forced = [step for step in trains if step.params.get("force") is True]
    if forced and (heard := rule.kinds & TRAINED):
        yield f"{_every(heard)} begins another training, which ends as the next one: leave `force` out, or {OR_LIMIT}"
    elif trains and "TrainingFailed" in rule.kinds:
        yield f"every TrainingFailed begins another training, which may fail as this one: {OR_LIMIT}"
    elif forced and (heard := rule.kinds & EXPORTED) and (by := _exporter(rule, forced, rules)):
        which = "this rule" if by is rule else f'"{by.name}" on line {by.line}'
        yield (
            f"{_every(heard)} begins another training, and what {which} exports of it ends as the next one: "
            f"leave `force` out, or {OR_LIMIT}"
        )
    if "ExportFailed" in rule.kinds and any(step.action == EXPORTS and _hears(rule, step, rule) for step in rule.do):
        yield f"every ExportFailed asks for the export again, which may fail as this one: {OR_LIMIT}"


def _every(kinds: frozenset[str]) -> str:
    return f"every {' and '.join(sorted(kinds))}"


def _is_seldom(limit: Limit | None) -> bool:
    """Tell whether a limit keeps actions so far apart that somebody would see it in time."""
    if limit is None:
        return False
    is_apart = limit.cooldown is not None and limit.cooldown >= SELDOM and ONE_BY_ONE.isdisjoint(limit.per)
    return is_apart or (limit.at_most is not None and limit.at_most.within / limit.at_most.count >= SELDOM)


def _exporter(rule: Rule, trains: Sequence[Step], rules: Sequence[Rule]) -> Rule | None:
    """Find a rule that exports what these steps train."""
    if any(step.action == EXPORTS for step in rule.do):
        return rule
    for other in rules:
        exports = any(step.action == EXPORTS for step in other.do)
        if not exports or other.mode == "off" or _is_seldom(other.limit) or not other.kinds & TRAINED:
            continue
        if any(_hears(other, step, rule) for step in trains):
            return other
    return None


def _hears(rule: Rule, step: Step, of: Rule) -> bool:
    """Tell whether a rule hears of the project that a step of another one, or of its own, is about."""
    project = step.params.get("project", "")
    if not rule.sources:
        return True
    if project and not templates.is_open(project):
        return project in rule.sources
    return not of.sources or bool(rule.sources & of.sources)
