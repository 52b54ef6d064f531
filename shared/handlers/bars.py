"""Holds a metric to bars, and to that of what is live: the same for a model and for an iteration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from shared.actions import Status
from shared.stages import Done, End, Progress

ROUNDING = 1e-12
"""Two numbers that differ by less are the same: 0.92 - 0.91 is a little more than 0.01."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric of a model or an iteration, or that there is none."""

    value: float | None
    where: str
    """Where it was found; where there is none, where it was looked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """A metric that keeps the bars."""

    value: float
    words: str
    """What was measured, for people."""
    worst: float | None = None
    """That of the worst tag, where that was asked for."""


@dataclass(frozen=True, slots=True)
class Live:
    """What is live, to be compared with."""

    id: str
    name: str
    """For people."""
    is_ours: bool
    """Whether it is what is measured itself."""
    look: Callable[[], Measured]
    """Looks for its metric."""


class Wanted(Protocol):
    """The parameters that say what is good enough."""

    metric: str
    at_least: float | None
    at_most: float | None
    by: float
    goal: Literal["maximize", "minimize"]
    reason: str


def stop(wanted: Wanted, why: str) -> End:
    """Say that it does not hold, after the rule's own words."""
    return End(Status.SKIPPED, f"{wanted.reason}: {why}" if wanted.reason else why)


def hold(wanted: Wanted, what: str, ours: Measured) -> Found | End:
    """Hold the metric of `what` to the bars; one that is missing keeps none."""
    if ours.value is None:
        return stop(wanted, f"{what} has no {wanted.metric}: {ours.where}")
    words = f"{wanted.metric} of {what} is {ours.value:g} ({ours.where})"
    if wanted.at_least is not None and ours.value < wanted.at_least:
        return stop(wanted, f"{words}, and less than {wanted.at_least:g}")
    if wanted.at_most is not None and ours.value > wanted.at_most:
        return stop(wanted, f"{words}, and more than {wanted.at_most:g}")
    return Found(ours.value, words)


def passed(found: Found) -> Done:
    """Say that it holds, where nothing is compared with."""
    return Done({"passed": True, "metric": found.value, "live": None}, note=found.words)


def compare(wanted: Wanted, ours: Found, live: Live | None, where: str, at: str) -> Progress:
    """Compare a metric with that of what is live; where nothing is, it is good enough.

    `where` says for people where something is live, such as "on scoring", and `at` names that for later steps.
    """
    found = ours.words
    told = {"passed": True, "metric": ours.value, "compared_with": live.id if live else "", "compared_at": at}
    if live is None:
        return Done(told | {"live": None}, note=f"{found}, and nothing is live {where} yet")
    if live.is_ours:
        return Done(told | {"live": ours.value}, note=f"{found}, and it is live {where} already")
    theirs = live.look()
    if theirs.value is None:
        why = f"what is live {where}, {live.name}, has no {wanted.metric} to compare with"
        return stop(wanted, f"{found}, but {why}: {theirs.where}")
    compared = f"{found}, and {theirs.value:g} of {live.name}, which is live {where}"
    gain = (ours.value - theirs.value) * (1 if wanted.goal == "maximize" else -1)
    if gain > 0 and gain >= wanted.by - ROUNDING:
        return Done(told | {"live": theirs.value}, note=compared)
    better = f"{wanted.by:g} better" if wanted.by else "better"
    return stop(wanted, f"{compared}: not {better} (goal: {wanted.goal})")
