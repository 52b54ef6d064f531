"""Which models the schedule has to look at: those that some rule wants to hear of when their tags change. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.rules import templates
from shared.rules.clauses import Clause, Condition, first_against, settings_in
from shared.rules.declared import source_key
from shared.rules.rule import Rule

if TYPE_CHECKING:
    from shared.rules.match import Rules

KIND = "ModelTagged"
NAMES = frozenset({("model", "name"), ("data", "modelName")})
BEGINS = frozenset({"StringIn", "StringBeginsWith", "subjectBeginsWith"})
"""Operators that say how a subject begins."""

Fits = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The models of one workspace that some rule wants to hear of."""

    workspace: str
    """Its ARM id, as it is declared."""
    names: frozenset[str]
    """Those that are known by name."""
    fits: tuple[Fits, ...]
    """What else is wanted, by its name; where there is any, the workspace's models have to be listed."""

    def wants(self, name: str) -> bool:
        """Tell whether a model that was listed is wanted."""
        return any(fits(name) for fits in self.fits)


def wanted(rules: Rules) -> tuple[Wanted, ...]:
    """Say what is to be looked at, by workspace; those whose setting is not set are left out."""
    names: dict[str, set[str]] = {}
    fits: dict[str, list[Fits]] = {}
    spelled: dict[str, str] = {}
    for rule in rules.rules:
        if rule.mode == "off" or not listens(rule):
            continue
        exact = _exact(rule)
        for name, arm_id in rules.declared.workspaces.items():
            if templates.setting_names(arm_id) or (rule.sources and name not in rule.sources):
                continue
            key = source_key(arm_id)
            spelled.setdefault(key, arm_id)
            if exact is None:
                fits.setdefault(key, []).append(_fits(rule))
            else:
                names.setdefault(key, set()).update(exact)
    return tuple(
        Wanted(spelled[key], frozenset(names.get(key, ())), tuple(fits.get(key, ()))) for key in sorted(spelled)
    )


def listens(rule: Rule) -> bool:
    """Tell whether a change of tags means anything to a rule."""
    return KIND in rule.kinds or _follows(rule)


def is_by_name(rule: Rule) -> bool:
    """Tell whether a rule says the names of the models that it wants, so that none have to be listed."""
    return _exact(rule) is not None


def doubt(rule: Rule) -> str:
    """Say what it costs that a rule wants every model; "" where it does not."""
    if rule.mode == "off" or not listens(rule) or _narrowing(rule):
        return ""
    which = "which in `where`, by model.name" if KIND in rule.kinds else "so only where that is meant"
    return (
        f"no event tells of tags, so every model of {'these workspaces' if rule.sources else 'each workspace'} is "
        f"looked at for this rule at each run of the schedule, one request for each model: say {which}"
    )


def _follows(rule: Rule) -> bool:
    """Tell whether it calls off, or fulfils, what a rule began; for any model then, whatever the rule answers."""
    return (rule.cancel_on is not None and KIND in rule.cancel_on.on) or (
        rule.expect is not None and rule.expect.kind == KIND
    )


def _narrowing(rule: Rule) -> list[Clause]:
    """List the conditions of a rule that a model's name alone can fail."""
    if _follows(rule):
        return []
    return [
        clause
        for clause in rule.where
        if _is_about_subject(clause) or all(condition.keys in NAMES for condition in clause.conditions())
    ]


def _is_about_subject(clause: Clause) -> bool:
    return isinstance(clause, Condition) and clause.keys == ("subject",) and clause.operator in BEGINS


def _fits(rule: Rule) -> Fits:
    """Compile a rule's conditions on names to one test of a name."""
    clauses = _narrowing(rule)
    about_names = tuple(clause for clause in clauses if not _is_about_subject(clause))
    about_subjects = [clause for clause in clauses if isinstance(clause, Condition) and _is_about_subject(clause)]

    def fits(name: str) -> bool:
        return first_against(about_names, lambda _keys: name) is None and all(
            _may_begin(condition, name) for condition in about_subjects
        )

    return fits


def _may_begin(condition: Condition, name: str) -> bool:
    """Tell whether the subject of a version of this model can begin as it should."""
    if settings_in(condition.wanted):
        return True
    texts = condition.wanted if isinstance(condition.wanted, list) else [condition.wanted]
    begin = f"models/{name}:".lower()
    return any(begin.startswith(text.lower()) or text.lower().startswith(begin) for text in texts)


def _exact(rule: Rule) -> frozenset[str] | None:
    """Give the names that a rule wants; None where it does not say them, or only by a setting."""
    fits = _fits(rule)
    for clause in _narrowing(rule):
        if isinstance(clause, Condition) and clause.operator == "StringIn" and clause.keys in NAMES:
            return None if settings_in(clause.wanted) else frozenset(filter(fits, clause.wanted))
    return None
