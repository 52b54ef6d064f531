"""Iterations: trained, measured, published, exported.

https://learn.microsoft.com/rest/api/customvision/iterations
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from shared.clients.rest import Said, segment
from shared.clients.vision.exports import Export
from shared.clients.vision.guesses import Guess, guesses
from shared.clients.vision.performance import Performance, PerformanceRead
from shared.clients.vision.resource import Resource
from shared.clients.vision.service import (
    PREVIEW,
    Guid,
    Instant,
    MaybeGuid,
    Number,
    Read,
    Service,
    Text,
    multipart,
)
from shared.errors import PermanentError, ReactorError

NOT_NEEDED = frozenset({"BadRequestTrainingNotNeeded", "BadRequestTrainingNotNeededButTrainingPipelineUpdated"})
IN_PROGRESS = frozenset({"BadRequestTrainingAlreadyInProgress"})
QUEUED = "already queued for export"
"""How a second identical export is refused; its code is not documented.

https://github.com/Azure/azure-sdk-for-python/issues/23922
"""


@dataclass(frozen=True, slots=True)
class Iteration:
    """One version of a project's model."""

    ENDED: ClassVar[frozenset[str]] = frozenset({"completed", "failed"})

    id: str
    name: str
    status: str
    """"Training", "Completed" or "Failed"; the service may know more words for "not over yet"."""
    created: datetime | None
    trained_at: datetime | None
    exportable: bool
    platforms: tuple[str, ...]
    """The platforms it can be exported to."""
    domain: str
    """The domain's id."""
    type: str
    """"Regular" or "Advanced"."""
    budget: int
    """Hours that an advanced training may take."""
    minutes: int
    """How long its training took."""
    publish_name: str = ""
    published_on: str = ""
    """The ARM id of the prediction resource."""
    error: str = ""
    """Why its training failed, where the service says so."""

    @property
    def is_over(self) -> bool:
        """Whether its training has ended, well or not."""
        return self.status.lower() in self.ENDED

    @property
    def is_good(self) -> bool:
        """Whether its training has ended well."""
        return self.status.lower() == "completed"


@dataclass(frozen=True, slots=True)
class Training:
    """A training as it is wanted."""

    type: Literal["Regular", "Advanced"] = "Regular"
    budget: int = 0
    """Hours of an advanced one."""
    force: bool = False
    """Whether to train where nothing changed."""
    tags: tuple[str, ...] = ()
    """The ids of the tags to train with; all where empty."""
    email: str = ""
    """Whom the service tells by mail."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not started that is no error: it is there already, or on its way."""

    kind: Literal["not_needed", "in_progress", "queued"]
    said: str
    """The service's words."""


class _Iteration(Read):
    id: Guid
    name: Text
    status: Said
    created: Instant = None
    trained_at: Instant = None
    exportable: bool | None = None
    exportable_to: tuple[Said, ...] | None = None
    domain_id: MaybeGuid = ""
    training_type: Said | None = None
    reserved_budget_in_hours: Number = 0
    training_time_in_minutes: Number = 0
    publish_name: Text = ""
    original_publish_resource_id: Text = ""
    training_error_details: Said | None = None

    def told(self) -> Iteration:
        return Iteration(
            id=self.id,
            name=self.name,
            status=self.status,
            created=self.created,
            trained_at=self.trained_at,
            exportable=bool(self.exportable),
            platforms=self.exportable_to or (),
            domain=self.domain_id,
            type=self.training_type or "Regular",
            budget=self.reserved_budget_in_hours,
            minutes=self.training_time_in_minutes,
            publish_name=self.publish_name,
            published_on=self.original_publish_resource_id,
            error=self.training_error_details or "",
        )


class Iterations:
    """The iterations of projects."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def read(self, at: Resource, project: str, id: str) -> Iteration | None:
        """Read an iteration; None where the project has none of that id.

        https://learn.microsoft.com/rest/api/customvision/iterations/get
        """
        return self._read(at, project, id)

    def train(self, at: Resource, project: str, wanted: Training) -> Iteration | Refusal:
        """Start a training; the service names the iteration.

        A Refusal where nothing changed since the last one, or one is in progress: a project trains once at a time.
        https://learn.microsoft.com/rest/api/customvision/projects/train
        """
        query = {
            "trainingType": wanted.type,
            "reservedBudgetInHours": str(wanted.budget) if wanted.budget else "",
            "forceTrain": "true" if wanted.force else "",
            "notificationEmailAddress": wanted.email,
        }
        body = {"selectedTags": list(wanted.tags)} if wanted.tags else None
        path = f"projects/{segment(project)}/train"
        try:
            answer = self._service.training(at, "POST", path, query=query, body=body, effect="start")
        except PermanentError as problem:
            if problem.code in NOT_NEEDED:
                return Refusal("not_needed", problem.reason)
            if problem.code in IN_PROGRESS:
                return Refusal("in_progress", problem.reason)
            raise
        return answer.read(_Iteration).told()

    def why_failed(self, at: Resource, project: str, id: str) -> str:
        """Say why a training failed, which only the preview tells; "" where it does not say, or cannot be asked.

        https://learn.microsoft.com/python/api/azure-cognitiveservices-vision-customvision/
        """
        try:
            found = self._read(at, project, id, version=PREVIEW)
        except ReactorError:
            return ""
        return found.error if found else ""

    def performance(
        self, at: Resource, project: str, id: str, *, threshold: float = 0.5, overlap: float = 0.3
    ) -> Performance:
        """Measure an iteration: guesses count from `threshold` on, and boxes where they overlap by `overlap`.

        https://learn.microsoft.com/rest/api/customvision/iterations/get-performance
        """
        query = {"threshold": f"{threshold:g}", "overlapThreshold": f"{overlap:g}"}
        answer = self._service.training(at, "GET", f"{_path(project, id)}/performance", query=query)
        return answer.read(PerformanceRead).told()

    def rename(self, at: Resource, project: str, id: str, name: str) -> Iteration:
        """Give an iteration another name."""
        answer = self._service.training(at, "PATCH", _path(project, id), body={"name": name}, effect="same")
        return answer.read(_Iteration).told()

    def delete(self, at: Resource, project: str, id: str) -> None:
        """Delete an iteration; one that is gone is fine, one that is published is refused."""
        self._away(at, _path(project, id), unless="NotFoundIteration")

    def publish(
        self, at: Resource, project: str, id: str, name: str, resource_id: str, *, overwrite: bool = False
    ) -> None:
        """Publish an iteration under a name on a prediction resource, by its ARM id; as it is already is fine.

        With `overwrite` the name is taken from the iteration that has it.
        https://learn.microsoft.com/rest/api/customvision/iterations/publish
        """
        query = {"publishName": name, "predictionId": resource_id, "overwrite": "true" if overwrite else ""}
        try:
            self._service.training(at, "POST", f"{_path(project, id)}/publish", query=query, effect="same")
        except PermanentError:
            found = self._read(at, project, id)
            if not found or (found.publish_name, found.published_on.lower()) != (name, resource_id.lower()):
                raise

    def unpublish(self, at: Resource, project: str, id: str) -> None:
        """Publish an iteration no more; one that is not published is fine."""
        self._away(at, f"{_path(project, id)}/publish", unless="BadRequestIterationNotPublished")

    def exports(self, at: Resource, project: str, id: str) -> list[Export]:
        """List the exports of an iteration, whatever came of them; there is only ever one page.

        https://learn.microsoft.com/rest/api/customvision/iterations/get-exports
        """
        return self._service.training(at, "GET", f"{_path(project, id)}/export").read(list[Export])

    def export(self, at: Resource, project: str, id: str, platform: str, flavor: str | None = None) -> Export | Refusal:
        """Start an export; a Refusal where the same one is there or on its way: `exports` tells of it.

        https://learn.microsoft.com/azure/ai-services/custom-vision-service/export-programmatically
        """
        query = {"platform": platform, "flavor": flavor or ""}
        try:
            answer = self._service.training(at, "POST", f"{_path(project, id)}/export", query=query, effect="same")
        except PermanentError as problem:
            if problem.code == "BadRequestExportAlreadyInProgress" or QUEUED in problem.reason:
                return Refusal("queued", problem.reason)
            raise
        return answer.read(Export)

    def test(self, at: Resource, project: str, id: str, *, url: str = "", content: bytes = b"") -> list[Guess]:
        """Ask an iteration, published or not, what is in an image; nothing is stored.

        https://learn.microsoft.com/rest/api/customvision/predictions/quick-test-image
        """
        body, headers = ({"url": url}, {}) if url else multipart(content)
        path = f"projects/{segment(project)}/quicktest/{'url' if url else 'image'}"
        query = {"iterationId": id, "store": "false"}
        return guesses(self._service.training(at, "POST", path, query=query, body=body, headers=headers))

    def _read(self, at: Resource, project: str, id: str, version: str = "") -> Iteration | None:
        try:
            answer = self._service.training(at, "GET", _path(project, id), version=version)
        except PermanentError as problem:
            if problem.code == "NotFoundIteration":
                return None
            raise
        return answer.read(_Iteration).told()

    def _away(self, at: Resource, path: str, *, unless: str) -> None:
        """Take something away; the service's code `unless` says that it is away already."""
        try:
            self._service.training(at, "DELETE", path, effect="same")
        except PermanentError as problem:
            if problem.code != unless:
                raise

    def list(self, at: Resource, project: str) -> list[Iteration]:
        """List the iterations of a project; there is only ever one page.

        https://learn.microsoft.com/rest/api/customvision/iterations/list
        """
        answer = self._service.training(at, "GET", f"projects/{segment(project)}/iterations")
        return [one.told() for one in answer.read(list[_Iteration])]


def _path(project: str, id: str) -> str:
    return f"projects/{segment(project)}/iterations/{segment(id)}"
