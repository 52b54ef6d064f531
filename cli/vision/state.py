"""How a Custom Vision project stands: its connection, its iterations, what is published, exported and backed up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.vision.project import Here
    from cli.vision.proof import Heard
    from shared.clients.vision import Iteration, Project
    from shared.storage.backups import Backup

CAP = 20
"""Iterations that a project may have.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/limits-and-quotas
"""
NEWEST = 3
"""Iterations whose exports are looked at where many projects are."""
RETIRES = date(2028, 9, 25)
"""From then on every call fails.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/overview
"""


@dataclass(frozen=True)
class ExportState:
    """An export, without the link to it."""

    platform: str
    flavor: str
    status: str


@dataclass
class IterationState:
    """A version of the model."""

    id: str
    name: str
    status: str
    trained: datetime | None
    """When its training ended; where it has not, when it was made."""
    published: str
    is_good: bool = False
    """Whether it is a model."""
    exportable: bool = False
    precision: float | None = None
    recall: float | None = None
    error: str = ""
    exports: list[ExportState] = field(default_factory=list)
    backed_up: datetime | None = None
    """When the newest whole backup of it was finished."""


@dataclass
class State:
    """A project."""

    name: str
    project: str = ""
    called: str = ""
    """What the service calls it."""
    queue: str = ""
    container: str = ""
    hears: str = ""
    """Whether the app hears of it: "yes", "no", "elsewhere" (another queue), "unknown" where the app's is not known."""
    tested: datetime | None = None
    """The last ConnectionTested that the app recorded."""
    iterations: list[IterationState] = field(default_factory=list)
    """Newest first."""
    published: list[str] = field(default_factory=list)
    backed_up: datetime | None = None
    """When the newest whole backup of a model was finished."""
    images: int | None = None
    """Images that the project has; None where that cannot be read."""
    tags: dict[str, int] = field(default_factory=dict)
    """How many images each tag has, where it was looked closely."""
    images_kept: int | None = None
    """Those of them that the newest whole data set has; None where that cannot be known here."""
    images_left: int | None = None
    """Images of the project that are not kept; None where that cannot be known here."""
    data_set: datetime | None = None
    """When the newest whole data set was finished; None for none."""
    knows_backups: bool = False
    """Whether it can be seen from here what is backed up."""
    again: str = ""
    """How it is named to another command."""
    unread: str = ""
    """Why it could not be read, and what helps."""
    unread_parts: list[str] = field(default_factory=list)
    """What could not be read of it besides."""

    @property
    def last(self) -> IterationState | None:
        """The newest iteration."""
        return self.iterations[0] if self.iterations else None

    @property
    def models_left(self) -> list[IterationState]:
        """List what is published and not backed up; where nothing is published, the newest model if it is not."""
        models = [one for one in self.iterations if one.is_good]
        wanted = [one for one in models if one.published] or models[:1]
        return [one for one in wanted if self.knows_backups and one.backed_up is None]


def read_state(here: Here, tests: list[Heard], *, is_close: bool) -> State:
    """Read how a project stands; what is in the way of that is told in it.

    Looked at closely, the measures and the exports of every iteration are read, else those of the newest few and of
    what is published.
    """
    from cli.errors import UsageError
    from shared.errors import PermanentError, ReactorError

    state = State(here.name, again=here.words)
    try:
        state.project = here.project
        project = here.vision.projects.read(here.at, here.project)
        if project is None:
            state.unread = f"its training resource has no project {here.project}: is the endpoint that of another one?"
            return state
        _connection(state, here, project, tests)
        _iterations(state, here, is_close=is_close)
        _images(state, here, is_close=is_close)
    except PermanentError as problem:
        state.unread = "; ".join(text for text in (problem.reason, problem.remedy) if text)
    except (ReactorError, UsageError) as problem:
        state.unread = str(problem)
    return state


def _connection(state: State, here: Here, project: Project, tests: list[Heard]) -> None:
    from cli.vision.places import same
    from shared.storage import VISION_QUEUE

    state.called, state.queue, state.container = project.name, project.queue, project.container
    state.hears = "no" if not project.queue else "unknown"
    if project.queue and here.account is not None:
        own = here.around.places.queue_url(VISION_QUEUE)
        state.hears = "yes" if same(own, project.queue) else "elsewhere"
    state.tested = next((one.at for one in tests if one.is_of(here.project)), None)


def _iterations(state: State, here: Here, *, is_close: bool) -> None:
    kept = _backups(state, here)
    found = here.vision.iterations.list(here.at, here.project)
    found.sort(key=lambda one: one.trained_at or one.created or datetime.now(UTC), reverse=True)
    state.published = [one.publish_name for one in found if one.publish_name]
    for number, one in enumerate(found):
        made = IterationState(one.id, one.name, one.status, one.trained_at or one.created, one.publish_name)
        made.is_good, made.exportable = one.is_good, one.exportable
        made.backed_up = max((backup.changed for backup in kept.get(one.id, ())), default=None)
        if is_close or number < NEWEST or one.publish_name:
            state.unread_parts += _closer(made, here, one)
        state.iterations.append(made)


def _closer(made: IterationState, here: Here, one: Iteration) -> Iterator[str]:
    """Read how good an iteration is and what it was exported to; for a failed one, why. Gives what cannot be read."""
    from shared.errors import ReactorError

    def measures() -> None:
        found = here.vision.iterations.performance(here.at, here.project, one.id)
        made.precision, made.recall = found.precision, found.recall

    def exports() -> None:
        found = here.vision.iterations.exports(here.at, here.project, one.id) if one.exportable else ()
        made.exports = [ExportState(export.platform, export.flavor or "", export.status) for export in found]

    def failure() -> None:
        made.error = here.vision.iterations.why_failed(here.at, here.project, one.id)

    for read in (measures, exports) if one.is_good else (failure,) if one.is_over else ():
        try:
            read()
        except ReactorError as problem:
            yield f"the {read.__name__} of {one.name}: {problem.reason}"


def _backups(state: State, here: Here) -> Mapping[str, list[Backup]]:
    """List the whole backups by iteration; what hinders that hides nothing else."""
    from cli.vision.kept import read_models
    from shared.errors import ReactorError

    kept: dict[str, list[Backup]] = {}
    if here.account is None:
        told = "the app's storage is not known here: set AzureWebJobsStorage or AzureWebJobsStorage__accountName"
        state.unread_parts.append(f"backups: {told}")
        return kept
    try:
        for backup in read_models(here):
            kept.setdefault(backup.iteration, []).append(backup)
        state.knows_backups = True
    except ReactorError as problem:
        state.unread_parts.append(f"backups: {problem.reason}")
    state.backed_up = max((backup.changed for some in kept.values() for backup in some), default=None)
    return kept


def _images(state: State, here: Here, *, is_close: bool) -> None:
    """Count the images, and those that are kept; what hinders that hides nothing else."""
    from cli.vision.kept import read_kept
    from shared.errors import ReactorError

    try:
        state.images = here.vision.images.count(here.at, here.project, tagged=None)
        if is_close:
            state.tags = {one.name: one.images for one in here.vision.tags.list(here.at, here.project)}
        if here.account is not None:
            kept = read_kept(here, state.images)
            state.images_kept, state.images_left, state.data_set = kept.kept, kept.left, kept.written
    except ReactorError as problem:
        state.unread_parts.append(f"images: {problem.reason}")
