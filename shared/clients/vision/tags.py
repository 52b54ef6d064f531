"""Tags: what images are labelled with.

https://learn.microsoft.com/rest/api/customvision/tags
"""

from dataclasses import dataclass
from typing import Literal

from shared.clients.rest import Said, segment
from shared.clients.vision.resource import Resource
from shared.clients.vision.service import Guid, Number, Read, Service, Text
from shared.errors import PermanentError


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag, and how many images have it."""

    id: str
    name: str
    type: str
    """"Regular", "Negative" (images of nothing), or "GeneralProduct"."""
    images: int


class _Tag(Read):
    id: Guid
    name: Text
    type: Said | None = None
    image_count: Number = 0

    def told(self) -> Tag:
        return Tag(self.id, self.name, self.type or "Regular", self.image_count)


class Tags:
    """The tags of projects."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def create(
        self,
        at: Resource,
        project: str,
        name: str,
        *,
        type: Literal["Regular", "Negative", "GeneralProduct"] = "Regular",
        description: str = "",
    ) -> Tag:
        """Create a tag, or give the one of this name that is there: a name is one tag's own in a project.

        https://learn.microsoft.com/rest/api/customvision/tags/create
        """
        query = {"name": name, "type": type, "description": description}
        try:
            return self._service.training(at, "POST", _path(project), query=query, effect="same").read(_Tag).told()
        except PermanentError as problem:
            there = self.list(at, project) if problem.code == "BadRequestTagNameNotUnique" else []
            for tag in there:
                if tag.name.lower() == name.lower():
                    return tag
            raise

    def list(self, at: Resource, project: str, iteration: str = "") -> list[Tag]:
        """List the tags of a project, or those that an iteration was trained with; there is only ever one page.

        https://learn.microsoft.com/rest/api/customvision/tags/list
        """
        answer = self._service.training(at, "GET", _path(project), query={"iterationId": iteration})
        return [one.told() for one in answer.read(list[_Tag])]


def _path(project: str) -> str:
    return f"projects/{segment(project)}/tags"
