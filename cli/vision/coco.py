"""Images and their labels from a COCO file: what is on an image, and where.

https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, StringConstraints, ValidationError

from cli.documents import read
from cli.errors import UsageError
from cli.vision.images import Head
from cli.vision.labelled import Bad, Box, Collected, MislabelledError, Show, named, one_form, readable

MOST_REGIONS = 300
SMALLEST = 1e-4
"""Of an image's side: what is left of a box that lies outside."""
OVER = 0.01
"""Of an image's side: how far a box may reach over the edge until that is told; less is rounding."""
TURNED = 0.01
"""How much the shape of an image may differ from what the file says of it."""
MENDED = "mend the COCO file"


def _key(value: object) -> str:
    """Write an id: programs write the same one as a number, a text, or a number with a point.

    >>> _key(1), _key(1.0), _key("1")
    ('1', '1', '1')
    """
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


Key = Annotated[str, BeforeValidator(_key)]


class _Image(BaseModel):
    id: Key
    file_name: str
    width: float = 0
    height: float = 0


class _Category(BaseModel):
    id: Key
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Annotation(BaseModel):
    image_id: Key
    category_id: Key
    bbox: list[float] = []


class _File(BaseModel):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


def read_coco(folder: Path, file: Path, show: Show, *, detects: bool, one_tag: str = "") -> Collected:
    """Read the images of a folder that a COCO file tells of: their regions, or only their tags.

    `one_tag` names the project where each image has one tag there; UsageError where the file is of another kind.
    """
    coco, collected = _load(file), Collected()
    _refuse_another_kind(coco, file.name, detects=detects, one_tag=one_tag)
    names = {category.id: one_form(category.name) for category in coco.categories}
    told: dict[str, list[_Annotation]] = {image.id: [] for image in coco.images}
    missing: dict[str, int] = {}
    for one in coco.annotations:
        if one.image_id not in told:
            missing[one.image_id] = missing.get(one.image_id, 0) + 1
        else:
            told[one.image_id].append(one)
    for image_id, number in missing.items():
        why = f"{number} of the annotations are of it, and {file.name} has no such image"
        collected.bad.append(Bad(f"image {image_id}", why, MENDED))
    plain: list[str] = []
    over: list[str] = []
    for number, image in enumerate(coco.images, 1):
        annotations = told[image.id]
        plain += [] if annotations else [readable(image.file_name)]
        if annotations and (path := _inside(folder, image, len(annotations), collected)):
            labels = _Labels(image, annotations, names, detects=detects)
            collected.take(path, one_form(image.file_name), labels.of)
            over += [readable(image.file_name)] if labels.reach_over else []
        show(number, len(coco.images))
    if plain:
        collected.notes.append(f"without annotations, and left aside: {named(plain)}")
    if over:
        collected.notes.append(f"boxes reach over the edge of the image, and are cut off there: {named(over)}")
    return collected


def _refuse_another_kind(coco: _File, name: str, *, detects: bool, one_tag: str) -> None:
    """Refuse a file that is about something else than the project, instead of each of its images."""
    has_boxes = any(one.bbox for one in coco.annotations)
    if detects and coco.annotations and not has_boxes:
        raise UsageError(f"{name} has no boxes, and the project detects objects: it suits one that classifies")
    tags: dict[str, set[str]] = {}
    for one in coco.annotations:
        tags.setdefault(one.image_id, set()).add(one.category_id)
    several = sum(len(some) > 1 for some in tags.values())
    if one_tag and several * 2 > len(tags):
        what = "has boxes, and several tags an image" if has_boxes else "has several tags an image"
        suited = "--type detection" if has_boxes else "--classification-type multilabel"
        raise UsageError(
            f"{one_tag} tells images apart, one tag each, and {name} {what}: it suits another project, made with "
            f"`reactor vision create NAME {suited}`"
        )


def _load(file: Path) -> _File:
    """Read the file; UsageError where it is none, or where an id is not that of one thing alone."""
    try:
        coco = _File.model_validate(json.loads(read(file)))
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{file} is no COCO file: {where}: {first['msg'].lower()}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{file} is no COCO file: it is not JSON") from None
    for what, ids in (("images", coco.images), ("categories", coco.categories)):
        twice = [id for id, number in Counter(one.id for one in ids).items() if number > 1]
        if twice:
            raise UsageError(f"{file}: {what}: the id {twice[0]} is there twice; {MENDED}")
    return coco


def _inside(folder: Path, image: _Image, annotations: int, collected: Collected) -> Path | None:
    """Find an image's file in the folder; what lies elsewhere is never sent."""
    name = PurePosixPath(image.file_name.replace("\\", "/"))
    path = folder / name
    shown = readable(image.file_name)
    if name.is_absolute() or ".." in name.parts:
        collected.bad.append(Bad(shown, f"it is not in {folder}", "give the folder that all images are in"))
    elif not os.path.isfile(path):  # noqa: PTH113 # any name may stand there, and this one raises at none
        why = f"it is not in {folder}, and {annotations} of the annotations are of it"
        collected.bad.append(Bad(shown, why, "put it there, or take it out of the COCO file"))
    else:
        return path
    return None


class _Labels:
    """What a COCO file says of one image; MislabelledError says all that is wrong with it."""

    def __init__(self, image: _Image, annotations: list[_Annotation], names: dict[str, str], *, detects: bool) -> None:
        self._image = image
        self._annotations = annotations
        self._names = names
        self._detects = detects
        self._wrong: list[str] = []
        self.reach_over = False
        """Whether a box does, over the edge of the image."""

    def of(self, head: Head) -> tuple[tuple[str, ...], tuple[Box, ...]]:
        tags = [tag for one in self._annotations if (tag := self._tag(one))]
        boxes = self._boxes(*self._size(head)) if self._detects else []
        if self._wrong:
            raise MislabelledError(*dict.fromkeys(self._wrong))
        return ((), tuple(dict.fromkeys(boxes))) if self._detects else (tuple(sorted(set(tags))), ())

    def _boxes(self, width: float, height: float) -> list[Box]:
        """Read all boxes, to tell of every one that is wrong."""
        if len(self._annotations) > MOST_REGIONS:
            self._wrong.append(f"it has {len(self._annotations)} regions, and {MOST_REGIONS} are the most")
        read = (self._box(one, self._names.get(one.category_id, "it"), width, height) for one in self._annotations)
        return [box for box in read if box is not None]

    def _tag(self, annotation: _Annotation) -> str:
        tag = self._names.get(annotation.category_id, "")
        if not tag:
            self._wrong.append(f"an annotation has category {annotation.category_id}, which is not there")
        return tag

    def _size(self, head: Head) -> tuple[float, float]:
        """Take the size in which the boxes were drawn: the file's, which may be another one, but no other shape."""
        width, height = self._image.width or head.width, self._image.height or head.height
        if abs(width * head.height - height * head.width) > TURNED * width * head.height:
            said = f"{width:g} × {height:g}"
            turned = f"it is {head.width} × {head.height}, and the COCO file says {said}: is it turned?"
            raise MislabelledError(*dict.fromkeys(self._wrong), turned)
        return width, height

    def _box(self, one: _Annotation, tag: str, width: float, height: float) -> Box | None:
        bbox = one.bbox
        if len(bbox) != 4:
            self._wrong.append(f"an annotation of {tag} has no bbox of four numbers")
            return None
        sides = (bbox[0] / width, bbox[1] / height, (bbox[0] + bbox[2]) / width, (bbox[1] + bbox[3]) / height)
        left, top, right, bottom = (min(max(at, 0.0), 1.0) for at in sides)
        if not (right - left > SMALLEST and bottom - top > SMALLEST):
            shown = ", ".join(f"{number:g}" for number in bbox)
            self._wrong.append(f"the bbox [{shown}] of {tag} is empty, or outside of the image")
            return None
        self.reach_over |= min(sides) < -OVER or max(sides) > 1 + OVER
        return Box(tag, left, top, right - left, bottom - top)
