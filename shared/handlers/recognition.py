"""How well an iteration of Custom Vision recognises: its metrics at a threshold, over all tags and for the worst one.

https://learn.microsoft.com/rest/api/customvision/iterations/get-performance
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, Protocol

from shared.clients.vision import Iteration, Performance, TagPerformance
from shared.errors import PermanentError, TemporaryError
from shared.handlers import bars, declared
from shared.handlers.bars import Found, Live, Measured
from shared.handlers.vision import iterations
from shared.handlers.vision.iterations import Place
from shared.permissions import Permission
from shared.redaction import tidy
from shared.rules.problems import did_you_mean
from shared.stages import Done, End, Job, Progress

METRICS = ("precision", "recall", "average_precision")
WHICH = "give the gate's step `project` and `iteration`"


class Wanted(bars.Wanted, Protocol):
    """The parameters that say which iteration is measured, how, and what is good enough."""

    project: str
    iteration: str
    threshold: float
    overlap: float
    worst_tag_at_least: float | None
    worst_tag_as_good_as: Literal["", "live"]
    better_than: Literal["", "live"]
    publish_name: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What an iteration measures, or why it measures nothing."""

    performance: Performance | None
    how: str
    """At which threshold; where there is no performance, why."""

    def overall(self, metric: str) -> Measured:
        """Give a metric over all tags."""
        return self._of(self.performance, metric)

    def worst(self, metric: str) -> tuple[str, Measured]:
        """Give the tag that has least of a metric, and how much; one that was not measured is the worst."""
        tags = self.performance.tags if self.performance else ()
        found = [(tidy(tag.name), self._of(tag, metric)) for tag in tags]
        nothing = ("", Measured(None, "no tag was measured"))
        return min(found, key=lambda one: -1.0 if one[1].value is None else one[1].value, default=nothing)

    def _of(self, measured: Performance | TagPerformance | None, metric: str) -> Measured:
        value: float | None = getattr(measured, metric, None)
        return Measured(value, self.how if value is not None or measured is None else "the service does not measure it")


def judge(params: Wanted, job: Job) -> Progress:
    """Compare an iteration's metric with the bars, and with that of the iteration that is live."""
    if params.metric not in METRICS:
        raise PermanentError(unmeasured(params.metric), remedy="correct the gate's `metric`")
    place, id = _meant(params, job)
    iteration = _read(params, place, id, job)
    if isinstance(iteration, End):
        return iteration
    seen = _look(iteration, place, params, job)
    found = bars.hold(params, iterations.label(iteration), seen.overall(params.metric))
    asks_worst = params.worst_tag_at_least is not None or params.worst_tag_as_good_as
    if isinstance(found, Found) and asks_worst:
        found = _hold_worst(params, found, *seen.worst(params.metric))
    if isinstance(found, End):
        return found
    return _compare(params, place, iteration, found, job) if params.better_than else bars.passed(found)


def unmeasured(metric: str) -> str:
    """Say of a metric that no iteration has it, and which there are.

    >>> unmeasured("recal")
    'Custom Vision does not measure "recal" (did you mean "recall"?): it measures precision, recall, average_precision'
    """
    meant = did_you_mean(metric, METRICS)
    return f'Custom Vision does not measure "{tidy(metric)}"{meant}: it measures {", ".join(METRICS)}'


def _meant(params: Wanted, job: Job) -> tuple[Place, str]:
    """Say which iteration of which project is meant; the event's, where the gate does not say."""
    told: Mapping[str, Any] = job.event().facts.get("vision", {})
    given = params.project or told.get("project")
    if not given:
        raise PermanentError("the event tells of no Custom Vision project to look at", remedy=WHICH)
    place = iterations.place(job, given)
    is_events = declared.guid(told.get("project") or "") == place.project
    iteration = params.iteration or (told.get("iteration") if is_events else None)
    if not iteration:
        raise PermanentError("the event tells of no iteration of this project to look at", remedy=WHICH)
    return place, iterations.read_id(iteration)


def _read(params: Wanted, place: Place, id: str, job: Job) -> Iteration | End:
    """Read the iteration; one that is gone, or has failed, passes no gate."""
    found = job.clients.vision.iterations.read(place.at, place.project, id)
    if found is None:
        return bars.stop(params, f"iteration {id} is not there any more")
    if not found.is_over:
        raise TemporaryError(f"{iterations.label(found)} is {tidy(found.status)}, and cannot be measured yet")
    return found if found.is_good else bars.stop(params, f"{iterations.label(found)} is {tidy(found.status)}")


def _look(iteration: Iteration, place: Place, params: Wanted, job: Job) -> Seen:
    """Ask how well an iteration does; that it was read just now says that we may ask."""
    how = {"threshold": params.threshold, "overlap": params.overlap}
    try:
        found = job.clients.vision.iterations.performance(place.at, place.project, iteration.id, **how)
    except PermanentError as problem:
        return Seen(None, f"it cannot be measured: {problem.reason}")
    return Seen(found, f"at a threshold of {params.threshold:g}")


def _hold_worst(params: Wanted, found: Found, tag: str, worst: Measured) -> Found | End:
    """Hold the worst tag to its bar."""
    if worst.value is None:
        which = f'tag "{tag}"' if tag else "worst tag"
        return bars.stop(params, f"{found.words}, but its {which} has none: {worst.where}")
    words = f'{found.words}, and {worst.value:g} of its worst tag, "{tag}"'
    if params.worst_tag_at_least is not None and worst.value < params.worst_tag_at_least:
        return bars.stop(params, f"{words}: less than {params.worst_tag_at_least:g}")
    return Found(found.value, words, worst.value)


def _compare(params: Wanted, place: Place, ours: Iteration, found: Found, job: Job) -> Progress:
    """Compare with the iteration that is published; one that is older than that is no better one."""
    name = params.publish_name
    if not name:
        raise PermanentError(
            "better_than: live does not say under which name", remedy="give the gate's step `publish_name`"
        )
    live = iterations.live(job.clients.vision.iterations.list(place.at, place.project), name)
    if live is not None and iterations.is_newer(live, ours):
        why = f"{iterations.label(live)}, which is live as {name}, was trained later"
        return bars.stop(params, f"{found.words}, but {why}")
    at = iterations.live_at(place.project, name)
    if live is None:
        return bars.compare(params, found, None, f"as {name}", at)
    look = cache(lambda: _look(live, place, params, job))
    is_ours = live.id == ours.id
    theirs = Live(live.id, iterations.label(live), is_ours, lambda: look().overall(params.metric))
    came = bars.compare(params, found, theirs, f"as {name}", at)
    if is_ours or not params.worst_tag_as_good_as or not isinstance(came, Done) or found.worst is None:
        return came
    return _compare_worst(params, came, found.worst, *look().worst(params.metric))


def _compare_worst(params: Wanted, came: Done, ours: float, tag: str, theirs: Measured) -> Progress:
    """Compare the worst tag with the worst of what is live, which may be another one: as good is good enough."""
    if theirs.value is None:
        which = f'tag "{tag}"' if tag else "worst tag"
        return bars.stop(params, f"{came.note}, but the {which} there has none to compare with: {theirs.where}")
    words = f'{came.note}, and {theirs.value:g} of the worst tag there, "{tag}"'
    if ours < theirs.value - bars.ROUNDING:
        return bars.stop(params, f"{words}: more than {ours:g}")
    return replace(came, note=words)


_CV = "Microsoft.CognitiveServices/accounts/CustomVision/projects/iterations"
READS = (
    Permission(
        "vision",
        (f"{_CV}/read", f"{_CV}/performance/read"),
        "to measure an iteration and the one that is live, without a key",
        is_data=True,
        given="metric",
    ),
)
"""What measuring an iteration needs."""
