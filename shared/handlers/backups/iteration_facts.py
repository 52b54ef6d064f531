"""What is kept of an iteration beside its models: its domain, its tags, and how well each was recognised.

All of it is read from Custom Vision. What cannot be read is noted there: a model without its measures is still a model.
"""

from collections.abc import Callable
from datetime import timedelta

from shared.clients.vision import Resource
from shared.clients.vision.iterations import Iteration
from shared.clients.vision.performance import Performance
from shared.clients.vision.tags import Tag
from shared.errors import PermanentError, TemporaryError
from shared.redaction import tidy
from shared.stages import Job
from shared.storage.backups import About, Domain, TagMeasured

THRESHOLD = 0.5
PATIENCE = timedelta(minutes=10)
"""How long a service that does not answer is asked again before a backup goes without its facts."""


class Reading:
    """Reads one iteration, and remembers what could not be read."""

    def __init__(self, at: Resource, project: str, iteration: str, job: Job) -> None:
        self._at, self._project, self._iteration = at, project, iteration
        self._vision = job.clients.vision
        self._is_patient = job.now - job.began < PATIENCE
        self.unread: list[str] = []

    def about(self) -> About:
        """Read all there is; TemporaryError where it is worth asking again soon."""
        at, id = self._at, self._project
        project = self._read("project", lambda: self._vision.projects.read(at, id))
        iteration = self._read("iteration", lambda: self._vision.iterations.read(at, id, self._iteration))
        measured = self._read("performance", self._performance)
        tags = self._read("tags", lambda: self._vision.tags.list(at, id, iteration=self._iteration))
        domain = iteration.domain if iteration else project.domain if project else ""
        return About(
            project_name=project.name if project else None,
            classification=project.classification if project else None,
            domain=self._domain(domain) if domain else None,
            threshold=THRESHOLD,
            tags=_tags(tags or [], measured),
            unread=tuple(self.unread),
            **_measures(measured),
            **_of(iteration),
        )

    def _performance(self) -> Performance:
        return self._vision.iterations.performance(self._at, self._project, self._iteration, threshold=THRESHOLD)

    def _domain(self, id: str) -> Domain:
        found = self._read("domain", lambda: self._vision.projects.domain(self._at, id))
        return Domain(id=id, name=found.name, type=found.type) if found else Domain(id=id)

    def _read[T](self, what: str, read: Callable[[], T | None]) -> T | None:
        """Read one thing; None where that is not possible, and noted why."""
        try:
            found = read()
        except TemporaryError as trouble:
            if self._is_patient:
                raise
            self.unread.append(tidy(f"{what}: {trouble.reason}"))
            return None
        except PermanentError as problem:
            self.unread.append(tidy(f"{what}: {problem.reason}"))
            return None
        if found is None:
            self.unread.append(f"{what}: it is gone")
        return found


def _of(iteration: Iteration | None) -> dict[str, object]:
    if iteration is None:
        return {}
    return {
        "iteration_name": iteration.name,
        "training_type": iteration.type,
        "trained_at": iteration.trained_at,
        "publish_name": iteration.publish_name or None,
    }


def _measures(measured: Performance | None) -> dict[str, float | None]:
    if measured is None:
        return {}
    return {
        "precision": measured.precision,
        "recall": measured.recall,
        "average_precision": measured.average_precision,
    }


def _tags(tags: list[Tag], measured: Performance | None) -> tuple[TagMeasured, ...]:
    """Put tags and their measures together; either may be there without the other."""
    known = {tag.id: {"id": tag.id, "name": tag.name, "type": tag.type, "images": tag.images} for tag in tags}
    for one in measured.tags if measured else ():
        known[one.id] = known.get(one.id, {"id": one.id, "name": one.name}) | {
            "precision": one.precision,
            "recall": one.recall,
            "average_precision": one.average_precision,
        }
    return tuple(TagMeasured.model_validate(tag) for tag in known.values())
