"""Projects carried from one resource to another: exported as a token, imported with it.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/copy-move-projects
The token is a signed URL, and whoever has it has the project; sent in a query without being percent-encoded, it comes
through cut off. Not settled there, and decided here: everything that is copied has new ids, trained iterations are
copied without the names they are published by, and the storage URIs of the project are not copied.
"""

import copy
import threading
import uuid
from dataclasses import dataclass, replace

from dev.simulators.vision.projects import LONGEST, new_project
from dev.simulators.vision.refusals import refuse, required
from dev.simulators.vision.resource import Images, Iteration, Project, Resource, Trained, hexed
from dev.simulators.vision.settings import Limits
from dev.simulators.vision.training import COMPLETED
from dev.simulators.wire import Answer, Request, instant, moment, now


@dataclass(frozen=True)
class Exported:
    """A project as it was when its token was made."""

    project: Project
    until: str


class Tokens:
    """The tokens of every resource of this process; one resource imports what another exported."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.given: dict[str, Exported] = {}


class Copies:
    """ExportProject and ImportProject of one resource."""

    def __init__(self, resource: Resource, tokens: Tokens) -> None:
        self._resource = resource
        self._tokens = tokens
        self._ours: set[str] = set()

    def forget(self) -> None:
        """Take back what was exported here."""
        with self._tokens.lock:
            for token in self._ours:
                self._tokens.given.pop(token, None)
            self._ours.clear()

    def export(self, request: Request) -> Answer:
        """ExportProject: what it holds, and the token."""
        project, seconds = self._resource.project(request), float(self._resource.settings["token_seconds"])
        own = self._resource.own
        token = own.signed(f"prjexp-{hexed(str(uuid.uuid4()))}", "project-export-info", seconds=seconds)
        held = Project(copy.deepcopy(project.wire), copy.deepcopy(project.tags), dict(project.images))
        done = {id: one for id, one in project.iterations.items() if one.wire["status"] == COMPLETED}
        held.iterations = {id: Iteration(dict(one.wire), one.trained) for id, one in done.items()}
        until = instant(now().fromtimestamp(now().timestamp() + seconds, now().tzinfo))
        with self._tokens.lock:
            self._tokens.given[token] = Exported(held, until)
            self._ours.add(token)
        counts = {
            "iterationCount": len(done),
            "imageCount": len(project.images),
            "tagCount": len(project.tags),
            "regionCount": sum(len(image.regions) for image in project.images.values()),
        }
        took = round(1000 * float(self._resource.settings["import_seconds"]))
        return Answer(body={**counts, "estimatedImportTimeInMS": took, "token": token})

    def start(self, request: Request) -> Answer:
        """ImportProject: the project is there at once, Importing, and empty."""
        required(request.query, "token")
        with self._tokens.lock:
            exported = self._tokens.given.get(request.query["token"])
        if exported is None or moment(exported.until) < now():
            raise refuse(400, "BadRequestInvalidImportToken", "The import token is invalid or has expired.")
        tier = self._resource.settings["tier"]
        if len(self._resource.projects) >= Limits.PROJECTS[tier]:
            message = f"Exceeded project limit: {Limits.PROJECTS[tier]} projects are allowed in tier {tier}."
            raise refuse(400, "BadRequestExceedProjectLimit", message)
        source = exported.project
        name = request.query.get("name") or f"{source.wire['name']} {instant(now())[:19]}"
        if len(name) > LONGEST:
            raise refuse(400, "BadRequestProjectName", f"A project's name has 1 to {LONGEST} characters.")
        lost = {"exportModelContainerUri": None, "notificationQueueUri": None}
        project = new_project(str(uuid.uuid4()), name, {**copy.deepcopy(source.settings), **lost})
        project.wire.update(description=source.wire["description"], status="Importing")
        self._resource.projects[project.id] = project
        seconds = self._resource.settings["import_seconds"]
        self._resource.later.do(seconds, lambda: self._finish(project, source))
        return Answer(body=dict(project.wire))

    def _finish(self, project: Project, source: Project) -> None:
        settings = self._resource.settings
        with self._resource.lock:
            if project.id not in self._resource.projects:
                return
            outcome, lost = settings["import_outcome"], int(settings["lose_images"])
            if outcome == "Failed":
                lost = max(lost, -(-len(source.images) // 2))
            fill(project, source, lose=lost)
            if outcome == "Failed":
                project.iterations.clear()
            project.wire.update(status=outcome, lastModified=instant(now()))


def fill(project: Project, source: Project, *, lose: int) -> None:
    """Copy what a project holds, all under new ids, but for so many of its images."""
    tags = dict(source.tags)
    for iteration in source.iterations.values():
        tags |= iteration.trained.tags
    new = {id: str(uuid.uuid4()) for id in tags}
    project.tags = {new[id]: {**tag, "id": new[id]} for id, tag in source.tags.items()}
    kept = dict([*source.images.items()][: len(source.images) - lose if lose else None])
    renamed: dict[str, str] = {}
    project.images = copied(kept, new, renamed)
    for one in source.iterations.values():
        id = str(uuid.uuid4())
        wire = {**one.wire, "id": id, "projectId": project.id, "publishName": None, "originalPublishResourceId": None}
        held = {new[tag]: {**told, "id": new[tag]} for tag, told in one.trained.tags.items()}
        project.iterations[id] = Iteration(wire, Trained(held, copied(one.trained.images, new, renamed)))
        project.trainings += 1


def copied(images: Images, tags: dict[str, str], renamed: dict[str, str]) -> Images:
    """Copy images, the same one under the same new id wherever it is."""
    found: Images = {}
    for image in images.values():
        id = renamed.setdefault(image.id, str(uuid.uuid4()))
        there = [region for region in image.regions if region.tag in tags]
        regions = tuple(replace(region, id=str(uuid.uuid4()), tag=tags[region.tag]) for region in there)
        given = {tags[tag]: at for tag, at in image.tags.items() if tag in tags}
        found[id] = replace(image, id=id, tags=given, regions=regions)
    return found
