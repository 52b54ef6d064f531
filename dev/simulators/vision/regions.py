"""What is on images, said by people: their tags, and where things are.

https://learn.microsoft.com/rest/api/customvision/images/create-regions
Not settled there, and decided here: a box that is not within its image is a 400 BadRequestImageRegions.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from dev.simulators.vision.images import image_of
from dev.simulators.vision.pictures import Box
from dev.simulators.vision.refusals import body, entries, guid, ids, refuse
from dev.simulators.vision.resource import Image, Project, Region, Resource
from dev.simulators.vision.settings import Limits
from dev.simulators.vision.tags import untagged
from dev.simulators.wire import Answer, Request, instant, now

SIDES = ("left", "top", "width", "height")
SLACK = 1e-4
Drawn = tuple[str, tuple[Region, ...]]
"""What becomes of the regions of one image, as an upload says it, and the regions."""


class Labels:
    """Tags on images, and regions."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def tag(self, request: Request) -> Answer:
        """CreateImageTags."""
        project, told = self._resource.project(request), told_of()
        for one in entries(body(request), "tags", most=Limits.BATCH):
            image, tag = image_of(project, one.get("imageId")), project.tag(str(one.get("tagId")))["id"]
            entry = {"imageId": image.id, "tagId": tag}
            several = project.detects or project.settings["classificationType"] == "Multilabel"
            kind = "duplicated" if tag in image.tags else "created"
            if kind == "created" and len(image.tags) >= (Limits.TAGS_PER_IMAGE if several else 1):
                kind = "exceeded"
            if kind == "created":
                check_mixed(project, {*image.tags, tag})
                project.images[image.id] = replace(image, tags={**image.tags, tag: instant(now())})
            told[kind].append(entry)
        return Answer(body=told)

    def untag(self, request: Request) -> Answer:
        """DeleteImageTags: each of the tags from each of the images."""
        project = self._resource.project(request)
        tags = set(ids(request, "tagIds", most=Limits.TAGS_PER_BATCH))
        for id in ids(request, "imageIds", most=Limits.BATCH):
            project.images[id] = untagged(image_of(project, id), tags)
        return Answer(204)

    def draw(self, request: Request) -> Answer:
        """CreateImageRegions."""
        project, told = self._resource.project(request), told_of()
        for one in entries(body(request), "regions", most=Limits.BATCH):
            image = image_of(project, one.get("imageId"))
            status, found = new(project, [one])
            if status == "ErrorInvalidTag":
                project.tag(str(one.get("tagId")))
            [region] = found
            if any((region.tag, region.box) == (before.tag, before.box) for before in image.regions):
                told["duplicated"].append(one)
            elif len(image.regions) >= Limits.REGIONS_PER_IMAGE:
                told["exceeded"].append(one)
            else:
                project.images[image.id] = with_region(image, region)
                named = {"regionId": region.id, "tagName": project.tags[region.tag]["name"], "created": region.created}
                told["created"].append(one | named)
        return Answer(207 if told["exceeded"] or told["duplicated"] else 200, told)

    def erase(self, request: Request) -> Answer:
        """DeleteImageRegions."""
        project = self._resource.project(request)
        gone = set(ids(request, "regionIds", most=Limits.BATCH))
        for image in [one for one in project.images.values() if any(region.id in gone for region in one.regions)]:
            left = tuple(region for region in image.regions if region.id not in gone)
            still = {region.tag for region in left}
            lost = {region.tag for region in image.regions if region.id in gone} - still
            tags = {tag: at for tag, at in image.tags.items() if tag not in lost}
            project.images[image.id] = replace(image, regions=left, tags=tags)
        return Answer(204)


def new(project: Project, given: Iterable[Mapping[str, Any]]) -> Drawn:
    """Read the regions of one image, with a status as an upload has it."""
    found = []
    for one in given:
        if not project.detects:
            raise refuse(400, "BadRequestImageRegions", "A classification project's images have no regions.")
        region = Region(id=str(uuid.uuid4()), tag=guid(one.get("tagId") or ""), box=box_of(one), created=instant(now()))
        found.append(region)
    if any(region.tag not in project.tags for region in found):
        return "ErrorInvalidTag", tuple(found)
    return ("ErrorRegionLimitExceed" if len(found) > Limits.REGIONS_PER_IMAGE else "OK"), tuple(found)


def box_of(given: Mapping[str, Any]) -> Box:
    """Read a box."""
    try:
        left, top, width, height = (float(given[side]) for side in SIDES)
    except (KeyError, TypeError, ValueError) as problem:
        raise refuse(400, "BadRequestImageRegions", f"A region needs {', '.join(SIDES)}.") from problem
    if min(left, top) < -SLACK or min(width, height) <= 0 or max(left + width, top + height) > 1 + SLACK:
        raise refuse(400, "BadRequestImageRegions", "A region must be within its image, in parts of its sides.")
    return left, top, width, height


def with_region(image: Image, region: Region) -> Image:
    """Give an image with one more thing in it."""
    tags = {**image.tags, region.tag: image.tags.get(region.tag, region.created)}
    return replace(image, regions=(*image.regions, region), tags=tags)


def check_mixed(project: Project, tags: Iterable[str]) -> None:
    """Refuse a negative tag beside others."""
    types = [project.tags[tag]["type"] for tag in tags if tag in project.tags]
    if "Negative" in types and len(types) > 1:
        message = "An image cannot have a negative tag and a regular one."
        raise refuse(400, "BadRequestNegativeAndRegularTagOnSameImage", message)


def told_of() -> dict[str, list[dict[str, Any]]]:
    """Begin a summary."""
    return {"created": [], "duplicated": [], "exceeded": []}
