"""Images with their tags and regions.

https://learn.microsoft.com/rest/api/customvision/images
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from shared.clients.rest import Said, segment
from shared.clients.vision.blobs import Blobs
from shared.clients.vision.resource import Resource
from shared.clients.vision.service import Guid, Instant, MaybeGuid, Number, Read, Service, Text, comma
from shared.errors import PermanentError

JSON = {"Content-Type": "application/json"}
MOST_IN_A_PAGE = 256
MOST_AT_ONCE = 64
"""Images of one upload; how many bytes it may have is not said, and about 55 MB take too long."""
IDS_AT_ONCE = 64
"""Ids of one request that deletes: they stand in its URL."""
UNTOLD = "ErrorUnknown"
"""The service's word for what it cannot say: also of an image that an answer says nothing of."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tag of an image."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Region:
    """A tag of a part of an image, in shares of its width and height."""

    tag_id: str
    tag: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it is kept."""

    id: str
    created: datetime | None
    width: int
    height: int
    url: str = field(repr=False)
    """Where its bytes are: a link that carries a SAS, or a path of the resource's own; for `Images.read`."""
    tags: tuple[Tagged, ...]
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image to be uploaded."""

    name: str
    content: bytes = field(repr=False)
    tags: tuple[str, ...] = ()
    """Ids."""
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What came of an image that was sent."""

    name: str
    status: str
    """The service's word: "OK", "OKDuplicate", "ErrorImageFormat"…"""
    id: str
    """"" where it was not taken."""

    @property
    def is_kept(self) -> bool:
        """Whether the image is there now."""
        return self.status in ("OK", "OKDuplicate")


class _Tagged(Read):
    tag_id: Guid
    tag_name: Text = ""


class _Region(_Tagged):
    left: float
    top: float
    width: float
    height: float


class _Image(Read):
    id: Guid
    created: Instant = None
    width: Number = 0
    height: Number = 0
    original_image_uri: Text = Field(default="", repr=False)
    resized_image_uri: Text = Field(default="", repr=False)
    tags: tuple[_Tagged, ...] | None = None
    regions: tuple[_Region, ...] | None = None

    def told(self) -> Image:
        return Image(
            id=self.id,
            created=self.created,
            width=self.width,
            height=self.height,
            url=self.original_image_uri or self.resized_image_uri,
            tags=tuple(Tagged(one.tag_id, one.tag_name) for one in self.tags or ()),
            regions=tuple(
                Region(one.tag_id, one.tag_name, one.left, one.top, one.width, one.height) for one in self.regions or ()
            ),
        )


class _Kept(Read):
    id: MaybeGuid = ""


class _Result(Read):
    source_url: Text = Field(default="", repr=False)
    status: Said = UNTOLD
    image: _Kept | None = None


class _Summary(Read):
    images: tuple[_Result, ...] | None = None


class Images:
    """The images of projects."""

    def __init__(self, service: Service, blobs: Blobs) -> None:
        self._service = service
        self._blobs = blobs

    def count(self, at: Resource, project: str, *, tagged: bool | None = None, iteration: str = "") -> int:
        """Count the images: all, or those with or without tags.

        https://learn.microsoft.com/rest/api/customvision/images/get-image-count
        """
        query = {"taggingStatus": _status(tagged), "iterationId": iteration}
        return self._service.training(at, "GET", f"{_path(project)}/count", query=query).read(int)

    def page(
        self,
        at: Resource,
        project: str,
        *,
        skip: int,
        take: int = MOST_IN_A_PAGE,
        tagged: bool | None = True,
        tags: tuple[str, ...] = (),
        order: Literal["Oldest", "Newest"] = "Oldest",
    ) -> list[Image]:
        """List a page of images, 256 at most; none is after the last.

        https://learn.microsoft.com/rest/api/customvision/images/list
        """
        query = {
            "taggingStatus": _status(tagged),
            "tagIds": comma(tags),
            "orderBy": order,
            "take": str(take),
            "skip": str(skip),
        }
        answer = self._service.training(at, "GET", _path(project), query=query)
        return [one.told() for one in answer.read(list[_Image])]

    def read(self, at: Resource, project: str, image: Image) -> bytes:
        """Read an image's bytes: by its link, or through the resource where it is closed to the world.

        https://learn.microsoft.com/rest/api/customvision/projects/get-artifact
        """
        what = f"image {image.id}"
        if not image.url:
            raise PermanentError(f"{what} has no link to its bytes")
        if at.has(image.url):
            return self._service.own(at, image.url).body
        if _is_relative(image.url):
            path = f"projects/{segment(project)}/artifacts"
            return self._service.training(at, "GET", path, query={"path": image.url}).body
        return self._blobs.read(image.url, what)

    def upload(self, at: Resource, project: str, images: Sequence[NewImage]) -> list[Uploaded]:
        """Upload images, 64 at most; say of each what came of it, in their order.

        What is there already is a duplicate, and fine. The answer's status says nothing: its body does.
        https://learn.microsoft.com/rest/api/customvision/images/create-images-from-files
        """
        if len(images) > MOST_AT_ONCE:
            raise PermanentError(f"{len(images)} images are too many at once", remedy=f"send {MOST_AT_ONCE} at most")
        answer = self._service.training(
            at, "POST", f"{_path(project)}/files", body=_batch(images), headers=JSON, effect="same"
        )
        return _matched(images, list(answer.read(_Summary).images or ()))

    def delete(self, at: Resource, project: str, ids: Sequence[str]) -> None:
        """Delete images; those that are gone are fine.

        https://learn.microsoft.com/rest/api/customvision/images/delete
        """
        for some in batched(ids, IDS_AT_ONCE, strict=False):
            try:
                self._service.training(at, "DELETE", _path(project), query={"imageIds": comma(some)}, effect="same")
            except PermanentError as problem:
                if problem.code != "NotFoundImage":
                    raise
                for one in some if len(some) > 1 else ():  # how many of them are gone is not said
                    self.delete(at, project, [one])


def _path(project: str) -> str:
    return f"projects/{segment(project)}/images"


def _status(tagged: bool | None) -> str:  # noqa: FBT001 # it is a choice of three
    return "All" if tagged is None else "Tagged" if tagged else "Untagged"


def _is_relative(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc


def _batch(images: Sequence[NewImage]) -> bytes:
    """Write a batch; base64 needs no escaping, so nobody looks through megabytes of it for what would."""
    parts = (
        json.dumps(_wire(one))[:-1].encode() + b', "contents": "' + base64.b64encode(one.content) + b'"}'
        for one in images
    )
    return b'{"images": [' + b", ".join(parts) + b"]}"


def _wire(image: NewImage) -> dict[str, Any]:
    written: dict[str, Any] = {"name": image.name}
    if image.tags:
        written["tagIds"] = list(image.tags)
    if image.regions:
        written["regions"] = [
            {"tagId": one.tag_id, "left": one.left, "top": one.top, "width": one.width, "height": one.height}
            for one in image.regions
        ]
    return written


def _matched(images: Sequence[NewImage], results: list[_Result]) -> list[Uploaded]:
    """Put results beside what was sent: by name where each is named once, else in their order."""
    named = {one.source_url: one for one in results if one.source_url}
    names = [image.name for image in images]
    by_name = len(named) == len(results) and len(set(names)) == len(names) and named.keys() <= set(names)
    found: list[_Result | None] = (
        [named.get(name) for name in names] if by_name else [*results, *[None] * len(images)][: len(images)]
    )
    return [
        Uploaded(image.name, one.status if one else UNTOLD, one.image.id if one and one.image else "")
        for image, one in zip(images, found, strict=True)
    ]
