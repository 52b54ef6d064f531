"""Projects and domains, and the move of a project from one resource to another.

https://learn.microsoft.com/rest/api/customvision/projects
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

from pydantic import Field

from shared.clients.rest import Answer, Said, segment
from shared.clients.vision.remedies import ROLES, tier_limits
from shared.clients.vision.resource import Resource
from shared.clients.vision.service import PREVIEW, Guid, Instant, MaybeGuid, Number, Read, Service, Text, comma, cover
from shared.counting import how_many
from shared.errors import DeniedError, PermanentError, ReactorError

Classification = Literal["Multiclass", "Multilabel"]
READ_ONLY = frozenset({"id", "created", "lastModified", "thumbnailUri", "drModeEnabled"})
READ_ONLY_SETTINGS = frozenset({"useNegativeSet", "detectionParameters"})


@dataclass(frozen=True, slots=True)
class Project:
    """A project as it is."""

    id: str
    name: str
    description: str
    domain: str
    """The domain's id."""
    classification: Classification | None
    """None where it detects objects."""
    platforms: tuple[str, ...]
    """The platforms that it is meant to be exported to; nothing is refused by them."""
    status: str
    """"Succeeded", "Importing" or "Failed"."""
    dr_mode: bool
    """Whether it is a read-only copy for disaster recovery."""
    queue: str = field(repr=False)
    """Where notifications go, "" for nowhere."""
    container: str = field(repr=False)
    """Where exports are written, "" for nowhere."""
    created: datetime | None
    modified: datetime | None


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project as it is wanted; what is empty is left to the service."""

    name: str
    description: str = ""
    domain: str = ""
    classification: Classification | Literal[""] = ""
    platforms: tuple[str, ...] = ()
    container: str = field(default="", repr=False)
    queue: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Domain:
    """What a project's models are good at; only those that are exportable leave the service."""

    id: str
    name: str
    type: str
    """"Classification" or "ObjectDetection"."""
    exportable: bool
    enabled: bool
    platforms: tuple[str, ...]
    """Platforms to export to; empty where the service does not say."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What is in a project, and the token by which another resource can import it."""

    images: int
    tags: int
    regions: int
    iterations: int
    token: str = field(repr=False)
    """Whoever has it can copy the project: it must never be kept. It lasts about a day."""


class _Settings(Read):
    domain_id: MaybeGuid = ""
    classification_type: Said | None = None
    target_export_platforms: tuple[Said, ...] | None = None
    export_model_container_uri: Text = Field(default="", repr=False)
    notification_queue_uri: Text = Field(default="", repr=False)


class _Project(Read):
    id: Guid
    name: Text
    description: Text = ""
    settings: _Settings
    status: Said | None = None
    dr_mode_enabled: bool | None = None
    created: Instant = None
    last_modified: Instant = None

    def told(self) -> Project:
        kind = self.settings.classification_type
        return Project(
            id=self.id,
            name=self.name,
            description=self.description,
            domain=self.settings.domain_id,
            classification=cast("Classification", kind) if kind in ("Multiclass", "Multilabel") else None,
            platforms=self.settings.target_export_platforms or (),
            status=self.status or "Succeeded",
            dr_mode=bool(self.dr_mode_enabled),
            queue=self.settings.notification_queue_uri,
            container=self.settings.export_model_container_uri,
            created=self.created,
            modified=self.last_modified,
        )


class _Domain(Read):
    id: Guid
    name: Text
    type: Said = "Classification"
    exportable: bool = False
    enabled: bool = True
    exportable_platforms: tuple[Said, ...] | None = None

    def told(self) -> Domain:
        platforms = self.exportable_platforms or ()
        return Domain(self.id, self.name, self.type, self.exportable, self.enabled, platforms)


class _Exported(Read):
    image_count: Number
    tag_count: Number
    region_count: Number
    iteration_count: Number
    token: str = Field(min_length=1, repr=False)


class Projects:
    """The projects of training resources."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def read(self, at: Resource, id: str) -> Project | None:
        """Read a project; None where the resource has none of that id.

        https://learn.microsoft.com/rest/api/customvision/projects/get
        """
        try:
            return self._service.training(at, "GET", _path(id)).read(_Project).told()
        except PermanentError as problem:
            if problem.code == "NotFoundProject":
                return None
            raise

    def create(self, at: Resource, wanted: NewProject, form: Literal["query", "body"] = "query") -> Project:
        """Create a project; the service chooses its id, and names need not be unique.

        `form` is where its storage is said: in the query, as v3.3 is documented, or in a body, as v3.4-preview is.
        https://learn.microsoft.com/rest/api/customvision/projects/create
        """
        query = {
            "name": wanted.name,
            "description": wanted.description,
            "domainId": wanted.domain,
            "classificationType": wanted.classification,
            "targetExportPlatforms": comma(wanted.platforms),
        }
        uris = {"exportModelContainerUri": wanted.container, "notificationQueueUri": wanted.queue}
        body = {name: uri for name, uri in uris.items() if uri} if form == "body" else None
        query |= uris if form == "query" else {}
        try:
            answer = self._service.training(
                at,
                "POST",
                "projects",
                query=query,
                body=body,
                effect="start",
                version=PREVIEW if body is not None else "",
            )
        except (PermanentError, DeniedError) as problem:
            raise self._too_many(at, _storage_refused(problem, wanted.queue, wanted.container)) from None
        return answer.read(_Project).told()

    def connect(self, at: Resource, id: str, *, queue: str | None = None, container: str | None = None) -> Project:
        """Set where a project's notifications and exports go; None leaves it as it is, "" takes it away.

        There is no ETag: the project is read, these two are changed, the same is put back and read again.
        https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
        """
        wanted = {"notificationQueueUri": queue, "exportModelContainerUri": container}
        try:
            self._change(at, id, settings={name: uri or None for name, uri in wanted.items() if uri is not None})
        except (PermanentError, DeniedError) as problem:
            raise _storage_refused(problem, queue or "", container or "") from None
        after = self._service.training(at, "GET", _path(id)).read(_Project).told()
        for uri, shown, what in ((queue, after.queue, "queue"), (container, after.container, "container")):
            if uri is not None and uri.rstrip("/").lower() != shown.rstrip("/").lower():
                raise PermanentError(
                    f"Custom Vision accepted the {what} and does not show it",
                    remedy="connect it once more; a multi-service resource cannot be connected to storage",
                )
        return after

    def describe(self, at: Resource, id: str, description: str) -> Project:
        """Give a project another description; all else stays.

        https://learn.microsoft.com/rest/api/customvision/projects/update
        """
        return self._change(at, id, description=description).read(_Project).told()

    def delete(self, at: Resource, id: str) -> None:
        """Delete a project; one that is gone is fine, one with a published iteration is refused.

        https://learn.microsoft.com/rest/api/customvision/projects/delete
        """
        try:
            self._service.training(at, "DELETE", _path(id), effect="same")
        except PermanentError as problem:
            if problem.code != "NotFoundProject":
                raise

    def domains(self, at: Resource) -> list[Domain]:
        """List the domains, with their platforms where the service says them.

        https://learn.microsoft.com/rest/api/customvision/domains/list
        """
        return [one.told() for one in self._previewed(at, "domains", list[_Domain])]

    def domain(self, at: Resource, id: str) -> Domain:
        """Read a domain."""
        return self._previewed(at, f"domains/{segment(id)}", _Domain).told()

    def export(self, at: Resource, id: str) -> Exported:
        """Make a token by which another resource can import a project, and count what is in it.

        https://learn.microsoft.com/azure/ai-services/custom-vision-service/copy-move-projects
        """
        found = self._service.training(at, "GET", f"{_path(id)}/export").read(_Exported)
        return Exported(found.image_count, found.tag_count, found.region_count, found.iteration_count, found.token)

    def import_(self, at: Resource, token: str, name: str) -> Project:
        """Start to import a project under a name; nothing of an error holds the token.

        https://learn.microsoft.com/rest/api/customvision/projects/import
        """
        query = {"token": token, "name": name}
        try:
            answer = self._service.training(at, "POST", "projects/import", query=query, effect="start")
        except ReactorError as problem:
            cover(problem, token)
            if isinstance(problem, (PermanentError, DeniedError)):
                problem = self._too_many(at, problem)
            raise problem from None
        return answer.read(_Project).told()

    def _change(
        self, at: Resource, id: str, *, description: str | None = None, settings: Mapping[str, str | None] | None = None
    ) -> Answer:
        """Read a project, change a part of it and put the same back, but for what is read-only."""
        before: dict[str, Any] = self._service.training(at, "GET", _path(id)).read(dict[str, Any])
        kept = before.get("settings")
        body = {name: value for name, value in before.items() if name not in READ_ONLY}
        body["description"] = (description if description is not None else before.get("description")) or ""
        body["settings"] = {
            name: value
            for name, value in (kept if isinstance(kept, dict) else {}).items()
            if name not in READ_ONLY_SETTINGS
        } | dict(settings or {})
        return self._service.training(at, "PATCH", _path(id), body=body, effect="same")

    def _previewed[T](self, at: Resource, path: str, shape: type[T]) -> T:
        """Read what says more in the preview; as it is without it, where that version is gone."""
        try:
            return self._service.training(at, "GET", path, version=PREVIEW).read(shape)
        except PermanentError:
            return self._service.training(at, "GET", path).read(shape)

    def _too_many(self, at: Resource, problem: PermanentError | DeniedError) -> PermanentError | DeniedError:
        """Tell a full resource apart from a missing permission: it may say "Access Denied", too.

        https://github.com/Azure/azure-sdk-for-python/issues/2800
        """
        if not at.key or "denied" not in problem.reason.lower():
            return problem
        try:
            there = len(self.list(at))
        except ReactorError:
            return problem
        return PermanentError(
            f"{problem.reason}; the key is good, and the resource has {how_many(there, 'project')}",
            remedy=tier_limits("projects"),
        )

    def list(self, at: Resource) -> list[Project]:
        """List the projects of a resource; there is only ever one page.

        https://learn.microsoft.com/rest/api/customvision/projects/list
        """
        return [one.told() for one in self._service.training(at, "GET", "projects").read(list[_Project])]


def _path(project: str) -> str:
    return f"projects/{segment(project)}"


def _storage_refused(problem: PermanentError | DeniedError, queue: str, container: str) -> PermanentError | DeniedError:
    """Say what the training resource itself is not allowed, where a project's storage is refused."""
    needed = [ROLES[what] for what, uri in (("queue", queue), ("container", container)) if uri]
    if not needed or (isinstance(problem, PermanentError) and problem.remedy):
        return problem
    remedy = (
        f"switch on the training resource's system-assigned managed identity and give it {' and '.join(needed)}; give "
        "the plain URLs of a queue and a container that exist, without a SAS, and let the storage account's firewall "
        "pass the resource; a multi-service resource cannot be connected to storage"
    )
    if isinstance(problem, DeniedError):
        return DeniedError(problem.reason, after=problem.after, remedy=remedy)
    return PermanentError(problem.reason, remedy=remedy, code=problem.code)
