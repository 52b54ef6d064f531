"""Projects of Custom Vision: made, changed, connected to the storage of their users.

https://learn.microsoft.com/rest/api/customvision/projects and
https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
Not settled there, and decided here: a URI that the service cannot write to is a 400 BadRequestInvalidUri; a URI that is
null in a PATCH is taken out of the project, and one that is left out stays; names are at most 100 characters long, and
unique unless set otherwise.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import AzureError

from dev.simulators.vision.domains import DEFAULT, DOMAINS, PLATFORMS, Domain
from dev.simulators.vision.refusals import body, guid, refuse, required
from dev.simulators.vision.resource import Project, Resource
from dev.simulators.vision.settings import Limits
from dev.simulators.wire import Answer, Request, instant, listed_until, moment, now

URIS = ("exportModelContainerUri", "notificationQueueUri")
CLASSIFIERS = ("Multiclass", "Multilabel")
TEST_BLOB = "CustomVision-TestPermission"
LONGEST = 100


class Projects:
    """The projects of one resource."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def list(self, request: Request) -> Answer:
        """GetProjects."""
        until = listed_until(request)
        kept = self._resource.projects.values()
        return Answer(body=[project.wire for project in kept if moment(project.wire["created"]) <= until])

    def get(self, request: Request) -> Answer:
        """GetProject."""
        return Answer(body=self._resource.find(request.parts["project"]).wire)

    def create(self, request: Request) -> Answer:
        """CreateProject: the URIs come in the query (v3.3) or in the body (v3.4-preview)."""
        query = request.query
        required(query, "name")
        domain = domain_of(query.get("domainId") or DEFAULT)
        tier = self._resource.settings["tier"]
        if len(self._resource.projects) >= Limits.PROJECTS[tier]:
            message = f"Exceeded project limit: {Limits.PROJECTS[tier]} projects are allowed in tier {tier}."
            raise refuse(400, "BadRequestExceedProjectLimit", message)
        given = query if request.parts["version"].lower() == "v3.3" else body(request)
        settings = {
            "domainId": domain.id,
            "classificationType": classifier(domain, query.get("classificationType")),
            "targetExportPlatforms": platforms(domain, query.get("targetExportPlatforms", "").split(",")),
            **{uri: given.get(uri) or None for uri in URIS},
        }
        project = new_project(str(uuid.uuid4()), self._named(query["name"], None), settings)
        project.wire["description"] = query.get("description", "")
        self._connect(project, project.settings)
        self._resource.projects[project.id] = project
        return Answer(body=project.wire)

    def update(self, request: Request) -> Answer:
        """UpdateProject: name, description and settings are required; new URIs are tested before they are kept."""
        project, given = self._resource.project(request), body(request)
        required(given, "name", "description", "settings")
        name, settings = self._named(given["name"], project), given["settings"]
        domain = domain_of(settings.get("domainId") or project.settings["domainId"])
        if domain.type != project.domain.type:
            message = "The type of a project's domain cannot be changed."
            raise refuse(400, "BadRequestProjectUnsupportedDomainTypeChange", message)
        new = {uri: settings.get(uri, project.settings[uri]) or None for uri in URIS}
        if new != {uri: project.settings[uri] for uri in URIS}:
            self._connect(project, new)
        project.settings.update(
            {
                "domainId": domain.id,
                "classificationType": classifier(
                    domain, settings.get("classificationType") or project.settings["classificationType"]
                ),
                "targetExportPlatforms": platforms(domain, settings.get("targetExportPlatforms") or ()),
                "imageProcessingSettings": settings.get("imageProcessingSettings")
                or project.settings["imageProcessingSettings"],
                **new,
            }
        )
        project.wire.update(name=name, description=given["description"], lastModified=instant(now()))
        return Answer(body=project.wire)

    def delete(self, request: Request) -> Answer:
        """DeleteProject: refused where an iteration is published."""
        project = self._resource.find(request.parts["project"])
        if project.wire["drModeEnabled"]:
            self._resource.project(request)
        if any(iteration.wire["publishName"] for iteration in project.iterations.values()):
            message = "The project has published iterations. Unpublish them first."
            raise refuse(400, "BadRequestIterationIsPublished", message)
        del self._resource.projects[project.id]
        return Answer(204)

    def _named(self, name: Any, of: Project | None) -> str:
        if not isinstance(name, str) or not name.strip() or len(name) > LONGEST:
            raise refuse(400, "BadRequestProjectName", f"A project's name has 1 to {LONGEST} characters.")
        others = (one.wire["name"].lower() for one in self._resource.projects.values() if one is not of)
        if self._resource.settings["unique_names"] and name.lower() in others:
            raise refuse(400, "BadRequestProjectNameNotUnique", f"There is a project of the name '{name}' already.")
        return name

    def _connect(self, project: Project, uris: Mapping[str, Any]) -> None:
        """Write a test blob and a test message, as the service does when its URIs change."""
        storage, settings = self._resource.storage, self._resource.settings
        if settings["multi_service"] and any(uris.get(uri) for uri in URIS):
            message = "Storage integration is not supported for multi-service resources."
            raise refuse(400, "BadRequestOperationNotSupported", message)
        if container_uri := uris.get("exportModelContainerUri"):
            container = storage.container_of(container_uri)
            try:
                if container is None or "container" in settings["roles_missing"]:
                    raise unreachable(container_uri)
                name = f"{TEST_BLOB}/{uuid.uuid4()}"
                if (seconds := float(settings["test_blob_seconds"])) >= 0:
                    storage.write(container, name, b"")
                if seconds > 0:
                    self._resource.later.do(seconds, lambda: storage.delete(container, name))
                elif seconds == 0:
                    storage.delete(container, name)
            except AzureError as problem:
                raise unreachable(container_uri) from problem
        if queue_uri := uris.get("notificationQueueUri"):
            queue = storage.queue_of(queue_uri)
            if queue is None or "queue" in settings["roles_missing"] or not storage.has(queue=queue):
                raise unreachable(queue_uri)
            self._resource.notify(project, "ConnectionTest", {"projectId": project.id}, queue=queue_uri)


def new_project(project: str, name: str, settings: Mapping[str, Any]) -> Project:
    """Give a project as it begins."""
    at = instant(now())
    return Project(
        {
            "id": project,
            "name": name,
            "description": "",
            "settings": {
                "domainId": DEFAULT,
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
        }
    )


def domain_of(id: str) -> Domain:
    """Give a domain that a project may have."""
    if (domain := DOMAINS.get(guid(id))) is None:
        raise refuse(400, "BadRequestProjectUnknownDomain", f"Unknown domain '{id}'.")
    return domain


def classifier(domain: Domain, given: str | None) -> str | None:
    """Give whether an image has one tag or several; None for a project that looks for things."""
    if domain.type != "Classification":
        return None
    found = next((one for one in CLASSIFIERS if one.lower() == (given or CLASSIFIERS[0]).lower()), None)
    if found is None:
        raise refuse(400, "BadRequestProjectUnknownClassification", f"Unknown classification type '{given}'.")
    return found


def platforms(domain: Domain, given: Any) -> list[str]:
    """Give the platforms that are meant to be exported to; all of them known to the domain."""
    wanted = [one.strip() for one in given if one.strip()]
    spelled = {platform.lower(): platform for platform in domain.platforms or PLATFORMS}
    if unknown := [one for one in wanted if one.lower() not in spelled]:
        message = f"Unsupported export platform '{unknown[0]}'."
        raise refuse(400, "BadRequestProjectUnsupportedExportPlatform", message)
    return [spelled[one.lower()] for one in wanted]


def unreachable(uri: str) -> Exception:
    """Say that the service cannot write where it is told to."""
    return refuse(
        400, "BadRequestInvalidUri", f"The uri {uri.split('?', maxsplit=1)[0]} is invalid or cannot be accessed."
    )
