"""Which declared Language projects would be in each other's way: each has a secondary of its own, and none leads back.

Two that write into the same project make each other's replicas outdated for ever, and each round is a billed training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.rules import templates

if TYPE_CHECKING:
    from shared.rules.declared import LanguageProject

Place = tuple[str, int, str]
"""Host, port and project."""


@dataclass(frozen=True, slots=True)
class Pair:
    """From where to where a declared project is replicated."""

    name: str
    primary: Place
    secondary: Place


def pair(name: str, declared: LanguageProject, fill: Callable[[str], str] = str) -> Pair | None:
    """Say from where to where; None where a setting that says it is not known. `fill` fills settings in.

    Without that a setting stands for itself: two that name the same one mean the same.
    """
    project = fill(declared.project)
    first, second = (_at(fill(one.endpoint)) for one in (declared.primary, declared.secondary))
    if not (project and first[0] and second[0]):
        return None
    return Pair(name, (*first, project), (*second, project))


def _at(endpoint: str) -> tuple[str, int]:
    from shared.rules.addresses import host_and_port

    return (endpoint, 0) if templates.is_open(endpoint) else host_and_port(endpoint)


def clashes(pairs: Iterable[Pair]) -> Iterator[tuple[str, str]]:
    """Give each project that is in the way of one before it, and how, with what to do about it."""
    known: list[Pair] = []
    for one in pairs:
        if one.primary == one.secondary:
            yield one.name, f'both regions of "{one.name}" are one and the same resource: declare a second one'
            continue
        for other in known:
            if words := _clash(one, other):
                yield one.name, words
                break
        else:
            if _leads_back(one, known):
                yield one.name, f'"{one.name}" leads back to where it comes from, by way of others: leave one out'
        known.append(one)


def _clash(one: Pair, other: Pair) -> str:
    if one.primary == other.secondary and one.secondary == other.primary:
        return (
            f'"{one.name}" replicates back what "{other.name}" replicates: declare the direction in which it is '
            "labelled, and leave the other one out"
        )
    if one.secondary != other.secondary:
        return ""
    if one.primary == other.primary:
        return (
            f'"{one.name}" replicates the same project from and to the same resources as "{other.name}": say all of '
            "its `deployments` in one of them, and leave the other one out"
        )
    return (
        f'"{one.name}" and "{other.name}" replicate into the same project of the same resource, and would replace each '
        "other's work: give one of them another secondary"
    )


def _leads_back(one: Pair, known: Iterable[Pair]) -> bool:
    """Tell whether what is replicated comes back to its primary, over one pair after another."""
    left, reached = list(known), {one.secondary}
    while found := [each for each in left if each.primary in reached]:
        left = [each for each in left if each not in found]
        reached |= {each.secondary for each in found}
    return one.primary in reached
