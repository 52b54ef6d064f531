"""Which Custom Vision and Language projects some rule wants to hear of. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.rules import templates
from shared.rules.kinds import KINDS

if TYPE_CHECKING:
    from shared.rules.declared import Declared
    from shared.rules.match import Rules
    from shared.rules.rule import Rule

ENDS = frozenset(kind for kind, about in KINDS.items() if about.family == "vision") - {"ConnectionTested"}
"""The kinds that tell how a training or an export ended, or that nothing told of it."""
OUTDATED, NEAR_EXPIRY = "ReplicaOutdated", "DeploymentNearExpiry"
REPLICATE = "replicate.language"


def heard(rules: Rules) -> tuple[str, ...]:
    """Name the declared projects whose trainings and exports mean anything to a rule."""
    listening = [rule for rule in rules.rules if rule.mode != "off" and listens(rule)]
    return tuple(
        name for name in rules.declared.vision if any(not rule.sources or name in rule.sources for rule in listening)
    )


def listens(rule: Rule) -> bool:
    """Tell whether the end of a training or an export means anything to a rule."""
    return bool(ENDS & _kinds(rule))


@dataclass(frozen=True, slots=True)
class Replicated:
    """A declared Language project that is to be looked at."""

    name: str
    compare: bool
    """Whether its secondary is compared with its primary."""
    expiries: bool
    """Whether it is looked at for what expires."""


def replicated(rules: Rules) -> tuple[Replicated, ...]:
    """Say which Language projects are to be looked at, and for what.

    Compared are those that a rule hears ReplicaOutdated of, or that a rule replicates, whatever sets it off.
    """
    on = [rule for rule in rules.rules if rule.mode != "off"]
    compared = {name for rule in on for name in compares(rule, rules.declared)}
    expiring = {name for rule in on for name in _heard(rule, NEAR_EXPIRY, rules.declared)}
    return tuple(
        Replicated(name, name in compared, name in expiring)
        for name in rules.declared.language
        if name in compared | expiring
    )


def looks_at(rule: Rule, declared: Declared) -> frozenset[str]:
    """Name the Language projects that the schedule looks at for a rule."""
    return compares(rule, declared) | {*_heard(rule, NEAR_EXPIRY, declared)}


def compares(rule: Rule, declared: Declared) -> frozenset[str]:
    """Name those whose regions are compared for a rule."""
    return frozenset((*_heard(rule, OUTDATED, declared), *_replicates(rule, declared)))


def _heard(rule: Rule, kind: str, declared: Declared) -> Iterator[str]:
    """Name the projects of which a rule hears a kind."""
    if kind in _kinds(rule):
        yield from (name for name in declared.language if not rule.sources or name in rule.sources)


def _replicates(rule: Rule, declared: Declared) -> Iterator[str]:
    """Name the projects that a rule's steps say they replicate; the only one where they say none."""
    for step in rule.do:
        if step.action != REPLICATE:
            continue
        said = str(step.params.get("project", ""))
        named = [name for name, project in declared.language.items() if said in (name, project.project)]
        if not named and len(declared.language) == 1 and (not said or templates.is_open(said)):
            named = [*declared.language]
        yield from named[:1]


def _kinds(rule: Rule) -> frozenset[str]:
    """List the kinds that a rule answers, or follows once it has answered."""
    followed = {*(rule.cancel_on.on if rule.cancel_on else ()), *([rule.expect.kind] if rule.expect else [])}
    return rule.kinds | followed
