"""The labels of a Custom Vision project, written as COCO and as JSON lines for Azure ML's AutoML. Pure.

Custom Vision's regions are shares of the image's width and height, from its upper left corner.

COCO. Detection: a box is [left, top, width, height] in pixels. Classification: one annotation per image and tag,
without a box, which means the whole image. A category's number is its place among the project's tags, from 1.
https://cocodataset.org/#format-data
https://learn.microsoft.com/azure/ai-services/computer-vision/concept-model-customization

AutoML. `label` is a name, a list of names, or a list of boxes by their corners, from 0 to 1. It is required, so an
image without one has no line.
https://learn.microsoft.com/azure/machine-learning/reference-automl-images-schema
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from shared.clients.vision.images import Image, Region
from shared.handlers.backups.pictures import Picture

Kind = Literal["multiclass", "multilabel", "detection"]
"""What an image's labels are: one tag, some tags, or boxes."""
AUTOML_FORMATS = frozenset({"jpg", "png", "bmp"})
"""Formats that `image_details.format` may name; the key is optional."""
PLACES = 9
"""Digits of a share of an image; Custom Vision gives no more that mean anything."""
PIXEL_PLACES = 4


@dataclass(frozen=True, slots=True)
class Labelled:
    """An image that is kept, and what it shows."""

    image: Image
    picture: Picture
    path: str
    """Of the image in the backup container."""

    @property
    def file(self) -> str:
        """The file's name, without a folder."""
        return self.path.rpartition("/")[2]


# -- COCO -------------------------------------------------------------------------------------------------------------


def coco_image(labelled: Labelled, number: int, url: str) -> dict[str, Any]:
    """Write an image; `file_name` is relative to the project's folder of images."""
    created = labelled.image.created
    return {
        "id": number,
        "file_name": labelled.file,
        "width": labelled.picture.width,
        "height": labelled.picture.height,
        "date_captured": created.isoformat() if created else "",
        "coco_url": url,
    }


def coco_annotations(
    labelled: Labelled, kind: Kind, number: int, first: int, categories: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Write what image `number` shows; the annotations are numbered from `first`, a tag's category is by its id."""
    image, picture = labelled.image, labelled.picture
    found: list[dict[str, Any]] = []
    if kind == "detection":
        for region in image.regions:
            box = _pixels(region, picture)
            told = {"bbox": box, "area": round(box[2] * box[3], PIXEL_PLACES), "segmentation": []}
            found.append({"category_id": categories[region.tag_id], **told})
    else:
        found = [{"category_id": categories[tag.id]} for tag in image.tags]
    return [{"id": first + at, "image_id": number, "iscrowd": 0, **one} for at, one in enumerate(found)]


def _pixels(region: Region, picture: Picture) -> list[float]:
    left, top, right, bottom = corners(region)
    sizes = (picture.width, picture.height, picture.width, picture.height)
    shares = (left, top, right - left, bottom - top)
    return [round(share * size, PIXEL_PLACES) for share, size in zip(shares, sizes, strict=True)]


def corners(region: Region) -> tuple[float, float, float, float]:
    """Give a region's left, top, right and bottom, none of them outside the image."""
    ends = (region.left, region.top, region.left + region.width, region.top + region.height)
    left, top, right, bottom = (round(min(1.0, max(0.0, end)), PLACES) for end in ends)
    return left, top, right, bottom


def coco_head(info: Mapping[str, Any], names: Sequence[str]) -> str:
    """Write what comes before the images: of whom this is, and the categories in order of their numbers."""
    categories = [{"id": at, "name": name, "supercategory": ""} for at, name in enumerate(names, start=1)]
    return f'{{"info":{json.dumps(info)},\n"licenses":[],\n"categories":{json.dumps(categories)},\n"images":['


COCO_MIDDLE = '\n],\n"annotations":['
COCO_TAIL = "\n]}\n"


def coco_info(name: str, version: str, at: datetime) -> dict[str, Any]:
    """Say of whom a file is."""
    return {
        "description": f"Custom Vision project {name}",
        "version": version,
        "year": at.year,
        "contributor": "ml-reactor",
        "date_created": at.isoformat(),
    }


# -- AutoML -----------------------------------------------------------------------------------------------------------


def label(image: Image, kind: Kind) -> Any:
    """Give an image's `label`; None where it has none."""
    if kind == "detection":
        return [_box(region) for region in image.regions] or None
    names = [tag.name for tag in image.tags]
    if not names:
        return None
    return names[0] if kind == "multiclass" else names


def _box(region: Region) -> dict[str, Any]:
    left, top, right, bottom = corners(region)
    return {"label": region.tag, "topX": left, "topY": top, "bottomX": right, "bottomY": bottom, "isCrowd": 0}


def line(labelled: Labelled, kind: Kind, url: str) -> dict[str, Any] | None:
    """Write an image's line; None where it has no label."""
    picture, told = labelled.picture, label(labelled.image, kind)
    if told is None:
        return None
    details: dict[str, Any] = {"width": picture.width, "height": picture.height}
    if picture.extension in AUTOML_FORMATS:
        details = {"format": picture.extension, **details}
    return {"image_url": url, "image_details": details, "label": told}


ML_TABLE = """\
paths:
  - file: ./train.jsonl
transformations:
  - read_json_lines:
      encoding: utf8
      invalid_lines: error
      include_path_column: false
  - convert_column_types:
      - columns: image_url
        column_type: stream_info
"""
"""Makes the folder a table that AutoML takes as its training data.

https://learn.microsoft.com/azure/machine-learning/how-to-prepare-datasets-for-automl-images
"""


# -- in pieces --------------------------------------------------------------------------------------------------------


def members(values: Sequence[Any], before: int) -> str:
    """Write more members of a JSON array that has `before` already."""
    begin = "," if before else ""
    return begin + ",".join(f"\n{json.dumps(value)}" for value in values) if values else ""
