"""Projects and iterations of Custom Vision, and the messages they send.

https://learn.microsoft.com/rest/api/customvision/projects
Not settled there, and decided here: a URI that the service
cannot write to is a 400 BadRequestInvalidUri.
"""

import copy
import json
import uuid
from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import AzureError

from dev.simulators.storage import Storage
from dev.simulators.wire import Answer, RefusedError, Request, instant, now

URIS = ("exportModelContainerUri", "notificationQueueUri")
DOMAIN = "0732100f-1a38-4e49-a514-c9b44c697ab5"
TEST_BLOB = "CustomVision-TestPermission"
HIDDEN = frozenset({"exports", "performance"})
"""Members of a kept iteration that GetIteration does not show."""
PREVIEW = frozenset({"trainingErrorDetails"})
"""Members that only v3.4-preview shows."""


class Projects:
    """The projects of one resource."""

    def __init__(self, storage: Storage, settings: Mapping[str, Any]) -> None:
        self._storage = storage
        self._settings = settings
        self._kept: dict[str, dict[str, Any]] = {}
        self.sent: list[dict[str, Any]] = []
        """Every message that was put on a queue."""

    def list(self, _request: Request) -> Answer:
        """GetProjects."""
        return Answer(body=[shown(project) for project in self._kept.values()])

    def get(self, request: Request) -> Answer:
        """GetProject."""
        return Answer(body=shown(self.find(request.parts["project"])))

    def create(self, request: Request) -> Answer:
        """CreateProject: the URIs come in the query (v3.3) or in the body (v3.4-preview)."""
        if not (name := request.query.get("name")):
            raise refuse(400, "BadRequestRequiredParamIsNull", "The required parameter 'name' is null.")
        given = request.query if request.parts["version"].lower() == "v3.3" else (request.json() or {})
        project = new_project(str(uuid.uuid4()), name, {uri: given.get(uri) for uri in URIS})
        project["description"] = request.query.get("description", "")
        self._connect(project, project["settings"])
        self._kept[project["id"]] = project
        return Answer(body=shown(project))

    def update(self, request: Request) -> Answer:
        """UpdateProject: name, description and settings are required; new URIs are tested before they are kept."""
        project, given = self.find(request.parts["project"]), request.json() or {}
        for name in ("name", "description", "settings"):
            if given.get(name) is None:
                raise refuse(400, "BadRequestRequiredParamIsNull", f"The required parameter '{name}' is null.")
        new = {name: given["settings"].get(name) for name in URIS}
        if new != {name: project["settings"].get(name) for name in URIS}:
            self._connect(project, new)
        changeable = {name: value for name, value in given["settings"].items() if name in project["settings"]}
        project["settings"].update(changeable)
        project.update(name=given["name"], description=given["description"], lastModified=instant(now()))
        return Answer(body=shown(project))

    def delete(self, request: Request) -> Answer:
        """DeleteProject."""
        del self._kept[self.find(request.parts["project"])["id"]]
        return Answer(204)

    def iterations(self, request: Request) -> Answer:
        """GetIterations."""
        version = request.parts["version"]
        kept = self.find(request.parts["project"])["iterations"].values()
        return Answer(body=[shown_iteration(one, version) for one in kept])

    def iteration(self, request: Request) -> Answer:
        """GetIteration."""
        return Answer(body=shown_iteration(self.iteration_of(request), request.parts["version"]))

    def performance(self, request: Request) -> Answer:
        """GetIterationPerformance, the same at every threshold."""
        iteration = self.iteration_of(request)
        if iteration["status"] != "Completed":
            raise refuse(404, "NotFoundIterationPerformance", "The iteration has no performance.")
        return Answer(body={**PERFORMANCE, **iteration["performance"]})

    def find(self, project: str) -> dict[str, Any]:
        """Give a project by its id."""
        kept = self._kept.get(guid(project))
        if kept is None:
            raise refuse(404, "NotFoundProject", f"Project not found. Project Id: {project}")
        return kept

    def iteration_of(self, request: Request) -> dict[str, Any]:
        """Give the iteration that a path names."""
        iterations: dict[str, dict[str, Any]] = self.find(request.parts["project"])["iterations"]
        kept = iterations.get(guid(request.parts["iteration"]))
        if kept is None:
            raise refuse(404, "NotFoundIteration", f"Iteration not found. Iteration Id: {request.parts['iteration']}")
        return kept

    def notify(self, project: Mapping[str, Any], kind: str, content: Mapping[str, Any]) -> None:
        """Put a message on the project's queue, if it has one."""
        uri = project["settings"]["notificationQueueUri"]
        if not uri or not self._settings["notify"]:
            return
        message = {"version": "1.0", "type": kind, "Content": dict(content)}
        queue = self._storage.queue_of(uri)
        assert queue is not None, f"{uri} is no queue of the app's storage account"
        self._storage.send(queue, json.dumps(message), encoded=self._settings["message_encoding"] == "base64")
        self.sent.append(message)

    def seed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a project as given, over defaults."""
        project = new_project(guid(given["id"]), given.get("name", "project"), given.get("settings", {}))
        project.update({name: value for name, value in given.items() if name not in {"id", "settings", "iterations"}})
        for number, one in enumerate(given.get("iterations", ()), start=1):
            iteration = new_iteration(project["id"], guid(one.get("id") or str(uuid.uuid4())), number)
            iteration.update({name: value for name, value in one.items() if name not in {"id", "exports"}})
            iteration["exports"] = [{**EXPORT, **export} for export in one.get("exports", ())]
            project["iterations"][iteration["id"]] = iteration
        self._kept[project["id"]] = project
        return project

    def state(self) -> Any:
        """Everything."""
        return copy.deepcopy([*self._kept.values()])

    def clear(self) -> None:
        """Forget them."""
        self._kept.clear()
        self.sent.clear()

    def _connect(self, project: Mapping[str, Any], uris: Mapping[str, Any]) -> None:
        """Write a test blob and a test message, as the service does when its URIs change."""
        if container_uri := uris.get("exportModelContainerUri"):
            container = self._storage.container_of(container_uri)
            try:
                if container is None:
                    raise unreachable(container_uri)
                self._storage.write(container, TEST_BLOB, b"")
                self._storage.delete(container, TEST_BLOB)
            except AzureError as problem:
                raise unreachable(container_uri) from problem
        if queue_uri := uris.get("notificationQueueUri"):
            queue = self._storage.queue_of(queue_uri)
            if queue is None or not self._storage.has(queue=queue):
                raise unreachable(queue_uri)
            connected = {"settings": {"notificationQueueUri": queue_uri}}
            self.notify(connected, "ConnectionTest", {"projectId": project["id"]})


EXPORT = {"platform": "ONNX", "flavor": None, "status": "Done", "newerVersionAvailable": False}
PERFORMANCE = {
    "perTagPerformance": [],
    "precision": 0.97,
    "precisionStdDeviation": 0.0,
    "recall": 0.95,
    "recallStdDeviation": 0.0,
    "averagePrecision": 0.98,
}


def new_project(project: str, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give a project as it is kept."""
    at = instant(now())
    return {
        "id": project,
        "name": name,
        "description": "",
        "settings": {
            "domainId": DOMAIN,
            "classificationType": "Multiclass",
            "targetExportPlatforms": [],
            "useNegativeSet": True,
            "detectionParameters": None,
            "imageProcessingSettings": {"augmentationMethods": {}},
            "exportModelContainerUri": None,
            "notificationQueueUri": None,
            **settings,
        },
        "created": at,
        "lastModified": at,
        "thumbnailUri": None,
        "drModeEnabled": False,
        "status": "Succeeded",
        "iterations": {},
    }


def new_iteration(project: str, iteration: str, number: int) -> dict[str, Any]:
    """Give a trained iteration as it is kept."""
    at = instant(now())
    return {
        "id": iteration,
        "name": f"Iteration {number}",
        "status": "Completed",
        "created": at,
        "lastModified": at,
        "trainedAt": at,
        "projectId": project,
        "exportable": True,
        "exportableTo": ["CoreML", "TensorFlow", "DockerFile", "ONNX", "VAIDK", "OpenVino"],
        "domainId": DOMAIN,
        "classificationType": "Multiclass",
        "trainingType": "Regular",
        "reservedBudgetInHours": 0,
        "trainingTimeInMinutes": 1,
        "publishName": None,
        "originalPublishResourceId": None,
        "trainingErrorDetails": None,
        "performance": {},
        "exports": [],
    }


def shown(project: Mapping[str, Any]) -> dict[str, Any]:
    """Give a project on the wire."""
    return {name: value for name, value in project.items() if name != "iterations"}


def shown_iteration(iteration: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Give an iteration on the wire of a version."""
    hidden = HIDDEN if version.lower() == "v3.4-preview" else HIDDEN | PREVIEW
    return {name: value for name, value in iteration.items() if name not in hidden}


def guid(text: str) -> str:
    """Give an id in its usual spelling."""
    try:
        return str(uuid.UUID(text))
    except ValueError as problem:
        raise refuse(400, "BadRequestInvalidIds", f"'{text}' is not a valid id.") from problem


def refuse(status: int, code: str, message: str) -> RefusedError:
    """Make a flat error, to be raised."""
    return RefusedError(Answer(status, {"code": code, "message": message}))


def unreachable(uri: str) -> RefusedError:
    """Say that the service cannot write where it is told to."""
    return refuse(
        400, "BadRequestInvalidUri", f"The uri {uri.split('?', maxsplit=1)[0]} is invalid or cannot be accessed."
    )
