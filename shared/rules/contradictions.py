"""Whether what a rule's `where` asks for can be there at all. It is said only where that is certain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from shared.rules.clauses import AnyOf, Clause, Condition, Not, first_against, settings_in
from shared.rules.kinds import KINDS
from shared.rules.paths import MISSING, Keys, show_path
from shared.rules.problems import shorten
from shared.rules.rule import Rule

LISTS = frozenset(
    {("drift", "features"), ("deployment", "models"), ("replica", "reasons"), ("kinds",)}
    | {("action", "kinds"), ("action", "steps")}
)
"""Fields with a list: one element may satisfy one condition, and another the next."""
TEXTS = frozenset({"id", "source", "subject", "type"})
FACTS = frozenset({"model", "tagging", "run", "drift", "vision", "replica", "expiry", "action", "failure", "workspace"})
OPEN = frozenset({"tags", "properties", "set", "removed", "before"})
ONLY: Mapping[str, Callable[[Any], list[Any]]] = {
    "StringIn": list,
    "NumberIn": list,
    "BoolEquals": lambda wanted: [wanted],
    "IsNullOrUndefined": lambda _: [MISSING],
}
"""Operator to the values of which one must be there."""
PARTS = ("StringBeginsWith", "StringEndsWith")
OWN_RULE = ("action", "rule")
STATUS = ("run", "status")
STATUSES: Mapping[str, str] = {"RunFailed": "Failed", "RunCanceled": "Canceled", "RunCompleted": "Completed"}
"""Kinds whose runs have one status, always the same."""


def contradiction(rule: Rule) -> str:
    """Say which conditions of a rule no event can satisfy together; "" where there may be one."""
    groups: dict[Keys, list[Condition]] = {}
    for wanted in conjuncts(rule.where):
        if _is_single(wanted.keys) and not wanted.cased and not settings_in(wanted.wanted):
            groups.setdefault(wanted.keys, []).append(wanted)
    if STATUS in groups and rule.kinds and rule.kinds <= STATUSES.keys():
        statuses = sorted(STATUSES[kind] for kind in rule.kinds)
        if not any(all(wanted.test(status) for wanted in groups[STATUS]) for status in statuses):
            return f"the run.status of {' and '.join(sorted(rule.kinds))} is {' or '.join(statuses)}"
    for keys, wanted_all in groups.items():
        candidates = _candidates(wanted_all)
        if candidates is None:
            continue
        left = [value for value in candidates if all(wanted.test(value) for wanted in wanted_all)]
        if not left:
            together = " and ".join(f"{wanted.operator} {shorten(wanted.wanted, 60)}" for wanted in wanted_all)
            return f"no {show_path(keys)} satisfies {together}"
        if keys == OWN_RULE and left == [rule.name] and all(KINDS[kind].family == "own" for kind in rule.kinds):
            return "a rule never answers its own outcomes, and it asks for no other's"
    return ""


def is_certain(rule: Rule, name: str) -> bool:
    """Tell whether a rule answers every event of its kinds that tells of the action of a rule with this name."""
    asked = {condition.keys for clause in rule.where for condition in clause.conditions()}
    return asked <= {OWN_RULE} and first_against(rule.where, lambda _: name) is None


def conjuncts(where: Iterable[Clause]) -> Iterator[Condition]:
    """Give the conditions all of which must hold; what stands under `any` and `not` is not among them."""
    for clause in where:
        if isinstance(clause, Condition):
            yield clause
        elif not isinstance(clause, AnyOf | Not):
            yield from conjuncts(clause.clauses)


def _is_single(keys: Keys) -> bool:
    """Tell whether a field is known to hold one value, and no list of them."""
    if len(keys) == 1:
        return keys[0] in TEXTS
    if keys[0] not in FACTS or keys[:2] in LISTS:
        return False
    return len(keys) == (3 if keys[1] in OPEN else 2)


def _candidates(wanted_all: list[Condition]) -> list[Any] | None:
    """List values of which one satisfies all conditions, if any value does; None where that cannot be told."""
    if len(wanted_all) < 2 and wanted_all[0].keys != OWN_RULE:
        return None
    for wanted in wanted_all:
        if wanted.operator in ONLY:
            return ONLY[wanted.operator](wanted.wanted)
    operators = {wanted.operator for wanted in wanted_all}
    for operator in PARTS:
        if operators <= {operator, "IsNotNull"}:  # the longest of the parts that fit is a value that fits
            return [text for wanted in wanted_all if wanted.operator == operator for text in wanted.wanted]
    if any(operator.startswith("Number") and operator != "NumberNotIn" for operator in operators):
        return [MISSING, *_numbers(wanted_all)]
    return None


def _numbers(wanted_all: list[Condition]) -> Iterator[float]:
    """Give every bound, and a number on either side of it: between two bounds one is as good as another."""
    bounds = sorted(set(_bounds(wanted.wanted for wanted in wanted_all if wanted.operator.startswith("Number"))))
    for position, bound in enumerate(bounds):
        yield bound
        yield (bound + bounds[position + 1]) / 2 if position + 1 < len(bounds) else bound + 1
    if bounds:
        yield bounds[0] - 1


def _bounds(wanted: Iterable[Any]) -> Iterator[float]:
    for one in wanted:
        if isinstance(one, list):
            yield from _bounds(one)
        else:
            yield one
