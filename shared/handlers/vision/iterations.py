"""An iteration of a Custom Vision project, as steps look at it: which one is meant, which one is live, which is newer.

What is published under a name is live: an iteration has one such name at most, and a name is one iteration's.
https://learn.microsoft.com/rest/api/customvision/iterations
"""

from collections.abc import Iterable
from dataclasses import dataclass

from shared.clients.vision import Iteration, Resource
from shared.errors import PermanentError
from shared.handlers import declared
from shared.redaction import tidy
from shared.rules.declared import GUID, VisionProject
from shared.stages import Job


@dataclass(frozen=True, slots=True)
class Place:
    """A declared project, and the training resource that it is in."""

    project: str
    """Its id."""
    at: Resource
    about: VisionProject


def place(job: Job, given: str, *, needs: str = "") -> Place:
    """Find a declared project, by its name or its id, with its `prediction` or its `replica` where that is needed."""
    project, about = declared.vision(job, given, needs=needs)
    return Place(project, Resource.of(about.training), about)


def read_id(given: str) -> str:
    """Spell an iteration's id as the service does; PermanentError where it is none."""
    if not GUID.fullmatch(given):
        raise PermanentError(f'iteration: "{tidy(given)}" is no iteration\'s id', remedy="give the id, not the name")
    return declared.guid(given)


def pick(there: Iterable[Iteration], id: str) -> Iteration | None:
    """Pick an iteration by its id; None where it is gone."""
    return next((one for one in there if one.id == id), None)


def live(there: Iterable[Iteration], name: str) -> Iteration | None:
    """Pick the iteration that is published under a name; None where none is."""
    return next((one for one in there if one.publish_name == name), None)


def live_at(project: str, name: str) -> str:
    """Name where an iteration is live, so that it is nothing else's name: a gate tells it, and publishing hears it."""
    return f"{project}/{name}"


def is_newer(one: Iteration, than: Iteration) -> bool:
    """Tell whether an iteration was trained later than another; where nobody knows, it was not."""
    mine, theirs = one.trained_at or one.created, than.trained_at or than.created
    return mine is not None and theirs is not None and mine > theirs


def names_lock(project: str) -> str:
    """Name the lock of who publishes: what just lost its name may get it back, and must not be deleted meanwhile."""
    return f"vision:{project}"


def label(iteration: Iteration) -> str:
    """Name an iteration for people."""
    return tidy(iteration.name) or f"iteration {iteration.id}"
