"""Keeps a project's images and their labels, page by page: what is remembered between two looks is where it stands.

Each look lists the page that begins where the look before ended, copies a bounded part of it, and stages what the files
say of these images as blocks. After a crash the same part is done again: an image that is kept is not copied again, and
blocks of the same names replace each other. Only blocks that are remembered become part of a file.

An image that is there is taken where its size and its MD5 are those that were noted when it was copied. One that is
damaged is replaced, by its ETag: the one case in which something that is kept is overwritten.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from itertools import batched
from typing import Any, Literal, Self

from shared.clients.vision import Resource
from shared.clients.vision.images import Image
from shared.errors import DeniedError, PermanentError, TemporaryError
from shared.handlers.backups import annotations, pictures
from shared.handlers.backups.annotations import Kind, Labelled
from shared.handlers.backups.pictures import MIME_TYPES, Picture
from shared.stages import Job
from shared.storage.backups import MANIFEST
from shared.storage.datasets import COCO, LINES, Datasets, Missing, block_name

MOST_TURNS = 3
"""Times that a project is listed from its beginning, where it changes meanwhile."""
PAGE = 256
"""Images of one listing: the service gives no more."""
AT_ONCE = 8
"""Images that are copied at once, each of 6 MB at most."""
SLICE = 4 * AT_ONCE
"""Images that are copied between two glances at the clock."""
SECONDS = 20.0
"""A look begins no further slice later than this."""
MOST_TRIES = 30
"""Looks in a row that get nowhere because of the same images; they take about half an hour."""
SPACE = 2**256

PARTS = {"images": COCO, "annotations": COCO, "lines": LINES, "missing": MANIFEST}
"""A part to the file that its blocks belong to."""


@dataclass(frozen=True, slots=True)
class Source:
    """Whose images are kept, where, and how their labels are written."""

    at: Resource
    project: str
    folder: str
    """The version's."""
    kind: Kind
    tagged: bool | None
    """True for the images with a tag, None for all."""
    images: str
    """What an image's path follows in the URLs of train.jsonl, with a slash at its end."""
    is_first: bool
    """Whether no image of the project was ever kept: none is looked for."""
    turn: int


@dataclass(slots=True)
class Reached:
    """How far it is, as JSON between two looks: bounded by the number of the project's tags, which is 500 at most."""

    skip: int = 0
    images: int = 0
    annotations: int = 0
    lines: int = 0
    missing: int = 0
    new: int = 0
    """How many were copied, in all turns; an image of a look that was repeated counts as kept before."""
    damaged: int = 0
    """How many of those that were there were not what had been copied, and were copied again; in all turns."""
    print: str = "0"
    """Of everything that was listed, in any order; hex."""
    blocks: dict[str, int] = field(default_factory=dict)
    """By part, how many were staged."""
    tags: dict[str, list[Any]] = field(default_factory=dict)
    """By id, in order of the categories: name, type, number of annotations."""
    tries: int = 0
    why: str = ""
    """What the first missing image is missing for, and what a person can do about it."""
    remedy: str = ""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Read what was told: a copy, for a look that fails half-way moves nothing."""
        return cls(**deepcopy(dict(told)))

    def told(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self)

    def names(self, part: str, turn: int) -> list[str]:
        """Name the blocks of a part."""
        return [block_name(part, turn, number) for number in range(self.blocks.get(part, 0))]


@dataclass(frozen=True, slots=True)
class Found:
    """An image that is kept, and whether that was done now."""

    labelled: Labelled
    was: Literal["new", "damaged", "kept"]


@dataclass(frozen=True, slots=True)
class Lost:
    """An image that cannot be kept."""

    image: Image
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Late:
    """An image that cannot be read at the moment."""

    image: Image
    reason: str
    after: float | None


def folder_of_images(project: str) -> str:
    """Name the folder of a project's images."""
    return f"{project}/images"


def page(source: Source, skip: int, job: Job) -> list[Image]:
    """List the images from the place `skip` on."""
    return job.clients.vision.images.page(source.at, source.project, skip=skip, take=PAGE, tagged=source.tagged)


def printed(before: str, images: Sequence[Image]) -> str:
    """Add images, their tags and regions to the print of those listed before; their order makes no difference."""
    total = int(before, 16)
    for image in images:
        regions = [(one.tag_id, one.left, one.top, one.width, one.height) for one in image.regions]
        told = [image.id, sorted((tag.id, tag.name) for tag in image.tags), sorted(regions)]
        total += int.from_bytes(hashlib.sha256(json.dumps(told).encode()).digest())
    return f"{total % SPACE:x}"


def collect(source: Source, reached: Reached, job: Job) -> bool | Late:
    """Keep the next images and move `reached` on; True where there are none any more, else what holds it up, if any."""
    listed = page(source, reached.skip, job)
    if not listed:
        return True
    if reached.tries:
        source = replace(source, is_first=False)
    kept, late = _keep_some(listed, source, job, is_last_try=reached.tries + 1 >= MOST_TRIES)
    if kept:
        reached.tries = 0
        _write(kept, source, reached, job)
    elif late:
        reached.tries += 1
        return late
    return False


def _keep_some(
    listed: Sequence[Image], source: Source, job: Job, *, is_last_try: bool
) -> tuple[list[Found | Lost], Late | None]:
    """Keep images in their order until one is late or it has taken long; on the last try what is late is lost."""
    kept: list[Found | Lost] = []
    until = time.monotonic() + SECONDS
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for some in batched(listed, SLICE, strict=False):
            found = list(pool.map(lambda image: _keep(image, source, job), some))
            late = next((one for one in found if isinstance(one, Late)), None)
            if late and (kept or not is_last_try):
                return kept, late
            kept += [Lost(one.image, one.reason) if isinstance(one, Late) else one for one in found]
            if late or time.monotonic() > until:
                break
    return kept, None


def _keep(image: Image, source: Source, job: Job) -> Found | Lost | Late:
    """Copy an image unless it is kept. Trouble with our own storage is raised: it is not the image's."""
    store, base = job.clients.datasets, f"{folder_of_images(source.project)}/{image.id}"
    if not source.is_first and (there := _kept_before(image, base, store)):
        return Found(there, "kept")
    try:
        content = job.clients.vision.images.read(source.at, source.project, image)
    except DeniedError:
        raise  # we may not read any
    except PermanentError as problem:
        return Lost(image, problem.reason, problem.remedy)
    except TemporaryError as problem:
        return Late(image, problem.reason, problem.after)
    picture = pictures.read(content)
    if picture is None:
        return Lost(image, f"image {image.id} is damaged, or no JPEG, PNG, BMP or GIF", "upload it again")
    path = f"{base}.{picture.extension}"
    return Found(Labelled(image, picture, path), _store(path, content, picture, store))


def _store(path: str, content: bytes, picture: Picture, store: Datasets) -> Literal["new", "damaged", "kept"]:
    """Write an image where it is not there, or where what is there has another content."""
    noted = {"width": str(picture.width), "height": str(picture.height), "size": str(len(content))}
    noted["md5"] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if store.keep(path, content, kind := MIME_TYPES[picture.extension], noted):
        return "new"
    there = store.look(path)
    if there is not None and there.is_as(noted) and there.is_as(there.noted):
        return "kept"
    if there is None or not store.keep(path, content, kind, noted, damaged=there.etag):
        raise TemporaryError(f"somebody else writes {path}")
    return "damaged"


def _kept_before(image: Image, base: str, store: Datasets) -> Labelled | None:
    """Look for an image among those kept, as it was copied; its size in pixels is noted beside it."""
    for extension in MIME_TYPES:
        there = store.look(f"{base}.{extension}")
        if there is not None and {"width", "height"} <= there.noted.keys() and there.is_as(there.noted):
            picture = Picture(extension, int(there.noted["width"]), int(there.noted["height"]))
            return Labelled(image, picture, there.path)
    return None


# -- what the files say of them ---------------------------------------------------------------------------------------


def _write(found: Sequence[Found | Lost], source: Source, reached: Reached, job: Job) -> None:
    """Stage what the files say of images, and count them."""
    kept = [one.labelled for one in found if isinstance(one, Found)]
    lost = [one for one in found if isinstance(one, Lost)]
    images = [one.labelled.image if isinstance(one, Found) else one.image for one in found]
    for image in images:
        for tag in image.tags:
            reached.tags.setdefault(tag.id, [tag.name, "Regular", 0])[0] = tag.name
        for region in image.regions:
            reached.tags.setdefault(region.tag_id, [region.tag, "Regular", 0])[0] = region.tag
    _stage("images", annotations.members(_coco_images(kept, reached, job), reached.images), source, reached, job)
    labels = _coco_annotations(kept, source, reached)
    _stage("annotations", annotations.members(labels, reached.annotations), source, reached, job)
    lines = [line for one in kept if (line := annotations.line(one, source.kind, source.images + one.file))]
    _stage("lines", "".join(f"{json.dumps(line)}\n" for line in lines), source, reached, job)
    told = [_missing(one, source).model_dump() for one in lost]
    _stage("missing", annotations.members(told, reached.missing), source, reached, job)
    if lost and not reached.missing:
        reached.why, reached.remedy = lost[0].reason, lost[0].remedy
    categories = list(reached.tags)
    for label in labels:
        reached.tags[categories[label["category_id"] - 1]][2] += 1
    reached.images += len(kept)
    reached.annotations += len(labels)
    reached.lines += len(lines)
    reached.missing += len(lost)
    reached.skip += len(found)
    reached.new += sum(isinstance(one, Found) and one.was == "new" for one in found)
    reached.damaged += sum(isinstance(one, Found) and one.was == "damaged" for one in found)
    reached.print = printed(reached.print, images)


def _coco_images(kept: Sequence[Labelled], reached: Reached, job: Job) -> list[dict[str, Any]]:
    first = reached.images + 1
    return [
        annotations.coco_image(one, number, job.clients.datasets.url(one.path))
        for number, one in enumerate(kept, start=first)
    ]


def _coco_annotations(kept: Sequence[Labelled], source: Source, reached: Reached) -> list[dict[str, Any]]:
    categories = {tag: at for at, tag in enumerate(reached.tags, start=1)}
    found: list[dict[str, Any]] = []
    for number, one in enumerate(kept, start=reached.images + 1):
        first = reached.annotations + len(found) + 1
        found += annotations.coco_annotations(one, source.kind, number, first, categories)
    return found


def _missing(lost: Lost, source: Source) -> Missing:
    return Missing(id=lost.image.id, reason=lost.reason, label=annotations.label(lost.image, source.kind))


def _stage(part: str, text: str, source: Source, reached: Reached, job: Job) -> None:
    """Stage the next block of a part, where there is anything to say: storage takes no empty block."""
    if text:
        number = reached.blocks.get(part, 0)
        path = f"{source.folder}/{PARTS[part]}"
        job.clients.datasets.stage(path, block_name(part, source.turn, number), text)
        reached.blocks[part] = number + 1
