"""Images come in: as files in a form, as JSON, by their URLs, or out of stored predictions.

https://learn.microsoft.com/rest/api/customvision/images/create-from-files
Each image of a batch has a status of its own. With any that is not OK the answer is 207 (or, set so, 200 as older
servers gave it). Not settled there, and decided here: an image that is there already, by its content, is
`OKDuplicate`, stays as it is, and makes the batch not successful.
"""

import base64
import binascii
import re
import ssl
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dev.simulators.vision import regions
from dev.simulators.vision.images import metadata, shown
from dev.simulators.vision.pictures import Picture, PictureError, read
from dev.simulators.vision.refusals import body, entries, guid, ids, refuse
from dev.simulators.vision.resource import Image, Project, Resource
from dev.simulators.vision.settings import Limits
from dev.simulators.wire import Answer, Request, instant, now

OK, DUPLICATE = "OK", "OKDuplicate"
UNVERIFIED = ssl._create_unverified_context()  # noqa: SLF001  # what a URL names may be another simulator


@dataclass(frozen=True, kw_only=True)
class Coming:
    """One image of a batch."""

    name: str
    """What the answer calls it."""
    content: Callable[[], bytes]
    """Reads it; PictureError where that fails."""
    tags: tuple[str, ...] = ()
    regions: tuple[Mapping[str, Any], ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


class Uploads:
    """New images of every project."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._said: dict[str, int] = {}

    def forget(self) -> None:
        """Begin again with the statuses that are to be answered in turn."""
        self._said.clear()

    def from_data(self, request: Request) -> Answer:
        """CreateImagesFromData: a form with up to 64 files, or one file that is the body."""
        tags = tuple(ids(request, "tagIds", most=Limits.TAGS_PER_BATCH))
        files = form(request) or [("", request.body)]
        if len(files) > Limits.BATCH:
            raise refuse(400, "BadRequestExceededBatchSize", f"{len(files)} files are more than {Limits.BATCH}.")
        coming = [Coming(name=f'"{name}"', content=returning(content), tags=tags) for name, content in files]
        return self._take(request, coming)

    def from_files(self, request: Request) -> Answer:
        """CreateImagesFromFiles: base64 in JSON."""
        return self._batch(request, lambda one: (str(one.get("name") or ""), decoding(one.get("contents"))))

    def from_urls(self, request: Request) -> Answer:
        """CreateImagesFromUrls: fetched by the service."""
        return self._batch(request, lambda one: (str(one.get("url") or ""), fetching(one.get("url"))))

    def from_predictions(self, request: Request) -> Answer:
        """CreateImagesFromPredictions: what was stored with a prediction."""
        project = self._resource.project(request)

        def content(one: Mapping[str, Any]) -> tuple[str, Callable[[], bytes]]:
            kept = project.predictions.get(guid(one.get("id") or ""))
            return str(one["id"]), returning(kept[1].content if kept else b"")

        return self._batch(request, content)

    def _batch(
        self, request: Request, content: Callable[[Mapping[str, Any]], tuple[str, Callable[[], bytes]]]
    ) -> Answer:
        given = body(request)
        images = entries(given, "images", most=Limits.BATCH)
        shared = given.get("tagIds") or []
        if len({*shared, *(tag for one in images for tag in one.get("tagIds") or ())}) > Limits.TAGS_PER_BATCH:
            message = f"A batch has at most {Limits.TAGS_PER_BATCH} tags."
            raise refuse(400, "BadRequestExceededBatchSize", message)
        described, coming = metadata(given.get("metadata")), []
        for one in images:
            name, reading = content(one)
            things = tuple(one.get("regions") or ())
            tags = tuple(guid(tag) for tag in (*shared, *(one.get("tagIds") or ())))
            coming.append(Coming(name=name, content=reading, tags=tags, regions=things, metadata=described))
        return self._take(request, coming)

    def _take(self, request: Request, coming: Iterable[Coming]) -> Answer:
        project = self._resource.project(request)
        there = {image.picture.key: image for image in project.images.values()}
        told: list[tuple[str, str, Image | None]] = []
        for one, drawn in [(one, regions.new(project, one.regions)) for one in coming]:
            status, image = self._one(project, one, drawn, there)
            if image is not None and status == OK:
                project.images[image.id] = there[image.picture.key] = image
            told.append((one.name, status, image))
        self._resource.keep(project, [image for _, _, image in told if image])
        successful = all(status == OK for _, status, _ in told)
        results = [
            {"sourceUrl": name, "status": status, "image": shown(self._resource, project, image) if image else None}
            for name, status, image in told
        ]
        code = 200 if successful else int(self._resource.settings["status_code_of_partial"])
        return Answer(code, {"isBatchSuccessful": successful, "images": results})

    def _one(
        self, project: Project, one: Coming, drawn: regions.Drawn, there: Mapping[str, Image]
    ) -> tuple[str, Image | None]:
        status = self._set(one.name.strip('"'))
        if status not in {OK, DUPLICATE}:
            return status, None
        try:
            picture = read(one.content())
        except PictureError as problem:
            return problem.status, None
        if (before := there.get(picture.key)) is not None:
            return DUPLICATE, before
        status, found = drawn
        status = status if status != OK else self._tagged(project, one.tags)
        if status != OK:
            return status, None
        return OK, new_image(picture, one, (*one.tags, *(region.tag for region in found)), found)

    def _tagged(self, project: Project, tags: tuple[str, ...]) -> str:
        """Say whether an image may have these tags, and whether the project may have another image."""
        if any(tag not in project.tags for tag in tags):
            return "ErrorInvalidTag"
        types = {project.tags[tag]["type"] for tag in tags}
        if "Negative" in types and len(set(tags)) > 1:
            return "ErrorNegativeAndRegularTagOnSameImage"
        several = project.detects or project.settings["classificationType"] == "Multilabel"
        if len(set(tags)) > (Limits.TAGS_PER_IMAGE if several else 1):
            return "ErrorTagLimitExceed"
        full = len(project.images) >= Limits.IMAGES[self._resource.settings["tier"]]
        return "ErrorLimitExceed" if full else OK

    def _set(self, name: str) -> str:
        """Give the status that was set for images of such a name: one, or one after the other."""
        for pattern, statuses in self._resource.settings["image_status"].items():
            if re.search(pattern, name):
                said = self._said[name] = self._said.get(name, 0) + 1
                given = [statuses] if isinstance(statuses, str) else [*statuses, OK]
                return str(given[min(said, len(given)) - 1])
        return OK


def new_image(picture: Picture, one: Coming, tags: Iterable[str], found: Iterable[Any]) -> Image:
    """Give an image as it is kept."""
    at = instant(now())
    return Image(
        id=str(uuid.uuid4()),
        name=one.name.strip('"'),
        created=at,
        picture=picture,
        tags=dict.fromkeys(tags, at),
        regions=tuple(found),
        metadata=one.metadata,
    )


def form(request: Request) -> list[tuple[str, bytes]]:
    """Give the files of a multipart form; [] where the body is none."""
    kind = request.headers.get("content-type", "")
    found = re.search(r'multipart/form-data;.*boundary="?([^";]+)', kind, re.IGNORECASE)
    if found is None:
        return []
    files = []
    for part in request.body.split(b"--" + found[1].encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'filename="?([^";\r\n]*)', head)
        files.append((name[1].decode("utf-8", "replace") if name else "", content.removesuffix(b"\r\n")))
    return files


def returning(content: bytes) -> Callable[[], bytes]:
    """Read what is there already."""
    return lambda: content


def decoding(text: Any) -> Callable[[], bytes]:
    """Read base64."""

    def decode() -> bytes:
        try:
            return base64.b64decode(text or "", validate=True)
        except (binascii.Error, TypeError) as problem:
            raise PictureError("ErrorImageFormat") from problem

    return decode


def fetching(url: Any) -> Callable[[], bytes]:
    """Read what a URL names, but no more than an upload may have."""

    def fetch() -> bytes:
        try:
            if not str(url).startswith(("http://", "https://")):
                raise PictureError("ErrorSource")
            handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=UNVERIFIED)
            with urllib.request.build_opener(*handlers).open(str(url), timeout=5) as answer:
                found: bytes = answer.read(Limits.TRAINING_BYTES + 1)
                return found
        except (OSError, ValueError) as problem:
            raise PictureError("ErrorSource") from problem

    return fetch
