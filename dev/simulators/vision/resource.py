"""What one Custom Vision resource holds, and what everything it does needs: projects, settings, storage, the clock.

The messages are those of
https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
"""

import json
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from dev.simulators.later import Later
from dev.simulators.storage import Storage
from dev.simulators.vision.domains import CLASSIFICATION, DETECTION, DOMAINS, Domain
from dev.simulators.vision.models import Model
from dev.simulators.vision.pictures import Box, Picture
from dev.simulators.vision.refusals import guid, refuse
from dev.simulators.vision.settings import SETTINGS
from dev.simulators.wire import Request

WRITERS = 8
"""How many pictures are written to storage at a time."""
WRITES = frozenset({"POST", "PATCH", "DELETE"})


@dataclass(frozen=True, kw_only=True)
class Region:
    """A thing in an image."""

    id: str
    tag: str
    """Its tag's id."""
    box: Box
    created: str


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image of a project; never changed, but replaced, so that an iteration keeps the one it was trained with."""

    id: str
    name: str
    created: str
    picture: Picture
    tags: Mapping[str, str]
    """Ids of tags, and when each was given."""
    regions: tuple[Region, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


Images = dict[str, Image]


@dataclass
class Trained:
    """What an iteration was trained with, and what came of it."""

    tags: dict[str, dict[str, Any]]
    images: Images
    of: str = ""
    """The same for the same images, tags and ways to train; "" for one that was not trained here."""
    model: Model | None = None


@dataclass
class Iteration:
    """One training of a project."""

    wire: dict[str, Any]
    """What GetIteration of v3.4-preview shows."""
    trained: Trained
    exports: list[dict[str, Any]] = field(default_factory=list)
    performance: dict[str, Any] = field(default_factory=dict)
    """What was seeded of it, which goes before what is computed."""

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.wire["id"])


@dataclass
class Project:
    """One project."""

    wire: dict[str, Any]
    """What GetProject shows."""
    tags: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: Images = field(default_factory=dict)
    iterations: dict[str, Iteration] = field(default_factory=dict)
    predictions: dict[str, tuple[dict[str, Any], Picture]] = field(default_factory=dict)
    """Those that were stored, oldest first: on the wire, and of what."""
    serving: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    """For each published name: since when on the monotonic clock, which iteration answers."""
    trainings: int = 0
    """How many there were, which is what iterations are named by."""

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.wire["id"])

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the project."""
        found: dict[str, Any] = self.wire["settings"]
        return found

    @property
    def domain(self) -> Domain:
        """Its domain."""
        return DOMAINS.get(self.settings["domainId"], Domain(self.settings["domainId"], "Unknown", CLASSIFICATION))

    @property
    def detects(self) -> bool:
        """Whether things are looked for in its images."""
        return self.domain.type == DETECTION

    def tag(self, tag: str) -> dict[str, Any]:
        """Give one of its tags."""
        if (found := self.tags.get(guid(tag))) is None:
            raise refuse(404, "NotFoundTag", f"Tag not found. Tag Id: {tag}")
        return found

    def images_of(self, iteration: Iteration | None) -> Images:
        """Give the images of an iteration, or those there are now."""
        return self.images if iteration is None else iteration.trained.images

    def tags_of(self, iteration: Iteration | None) -> dict[str, dict[str, Any]]:
        """Give the tags of an iteration, or those there are now."""
        return self.tags if iteration is None else iteration.trained.tags


class Resource:
    """One training resource, and the prediction resource that goes with it."""

    def __init__(self, storage: Storage, own: Storage, lock: threading.RLock) -> None:
        self.storage = storage
        """The app's account, where projects have their queues and containers."""
        self.own = own
        """The service's account."""
        self.lock = lock
        self.later = Later()
        self.settings = dict(SETTINGS)
        self.projects: dict[str, Project] = {}
        self.sent: list[dict[str, Any]] = []
        """Every message that was put on a queue."""
        self._stored: set[str] = set()

    def clear(self) -> None:
        """Forget everything, and what was still to happen; blobs and messages stay where they are."""
        self.later.forget()
        self.projects.clear()
        self.sent.clear()
        self._stored.clear()
        self.settings.update(SETTINGS)

    def project(self, request: Request) -> Project:
        """Give the project that a path names; a project in disaster recovery, or one that is still imported, is
        not written to.
        """
        project = self.find(request.parts["project"])
        if request.method in WRITES and project.wire["drModeEnabled"]:
            raise refuse(403, "ForbiddenDRModeEnabled", "The project is read-only while disaster recovery is on.")
        if request.method in WRITES and project.wire["status"] == "Importing":
            raise refuse(400, "BadRequestOperationNotSupported", "The project is being imported.")
        return project

    def find(self, project: str) -> Project:
        """Give a project by its id."""
        kept = self.projects.get(guid(project))
        if kept is None:
            raise refuse(404, "NotFoundProject", f"Project not found. Project Id: {project}")
        return kept

    def iteration(self, request: Request) -> tuple[Project, Iteration]:
        """Give the iteration that a path names, and its project."""
        project = self.project(request)
        return project, iteration_of(project, request.parts["iteration"])

    def asked_iteration(self, request: Request, project: Project) -> Iteration | None:
        """Give the iteration that a query names, None where it names none."""
        named = request.query.get("iterationId")
        return iteration_of(project, named) if named else None

    def notify(self, project: Project, kind: str, content: Mapping[str, Any], *, queue: str | None = None) -> None:
        """Put a message on the project's queue, if it has one."""
        uri = queue or project.settings["notificationQueueUri"]
        if not uri or not self.settings["notify"]:
            return
        message = {"version": "1.0", "type": kind, "Content": dict(content)}
        name = self.storage.queue_of(uri)
        assert name is not None, f"{uri} is no queue of the app's storage account"
        self.storage.send(name, json.dumps(message), encoded=self.settings["message_encoding"] == "base64")
        self.sent.append(message)

    def keep(self, project: Project, images: Iterable[Image]) -> None:
        """Write those pictures to the service's account that are not there yet."""
        missing = {f"o-{hexed(image.id)}": image.picture for image in images if image.id not in self._stored}
        if not missing or self.settings["artifacts"]:
            return
        container = container_of(project)
        self.own.create_container(container)
        with ThreadPoolExecutor(WRITERS) as writers:
            for _ in writers.map(lambda name: self.own.write(container, name, missing[name].content), missing):
                pass
        self._stored.update(image.id for image in images)

    def uri(self, project: Project, image: Image) -> str:
        """Give where an image is: a SAS that does not last, or the path of an artifact."""
        if self.settings["artifacts"]:
            return f"images/{image.id}"
        seconds = self.settings["sas_seconds"]
        return self.own.signed(container_of(project), f"o-{hexed(image.id)}", seconds=seconds)


def iteration_of(project: Project, iteration: str) -> Iteration:
    """Give an iteration by its id."""
    kept = project.iterations.get(guid(iteration))
    if kept is None:
        raise refuse(404, "NotFoundIteration", f"Iteration not found. Iteration Id: {iteration}")
    return kept


def container_of(project: Project) -> str:
    """Name the container of a project's images in the service's own account."""
    return f"i-{hexed(project.id)}"


def hexed(id: str) -> str:
    """Spell an id without dashes."""
    return id.replace("-", "")
