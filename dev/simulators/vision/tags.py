"""Tags of Custom Vision's projects.

https://learn.microsoft.com/rest/api/customvision/tags
Not settled there, and decided here: a name has 1 to 128 characters.
"""

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dev.simulators.vision.refusals import body, refuse, required
from dev.simulators.vision.resource import Image, Images, Iteration, Project, Resource
from dev.simulators.vision.settings import Limits
from dev.simulators.wire import Answer, Request

TYPES = ("Regular", "Negative", "GeneralProduct")
ONE_ONLY = {"Negative": "BadRequestMultipleNegativeTag", "GeneralProduct": "BadRequestMultipleGeneralProductTag"}
LONGEST = 128


class Tags:
    """The tags of every project."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def list(self, request: Request) -> Answer:
        """GetTags, of an iteration as they were then."""
        project = self._resource.project(request)
        iteration = self._resource.asked_iteration(request, project)
        return Answer(body=shown_tags(project, iteration))

    def get(self, request: Request) -> Answer:
        """GetTag."""
        project = self._resource.project(request)
        return Answer(body=shown(project.tag(request.parts["tag"]), project.images))

    def create(self, request: Request) -> Answer:
        """CreateTag."""
        project, query = self._resource.project(request), request.query
        required(query, "name")
        tier = self._resource.settings["tier"]
        if len(project.tags) >= Limits.TAGS[tier]:
            message = f"Exceeded tag limit: {Limits.TAGS[tier]} tags are allowed in a project of tier {tier}."
            raise refuse(400, "BadRequestExceedTagPerProjectLimit", message)
        tag = new_tag(query["name"], query.get("type", "Regular"), query.get("description", ""))
        check(project, tag)
        project.tags[tag["id"]] = tag
        return Answer(body=shown(tag, project.images))

    def update(self, request: Request) -> Answer:
        """UpdateTag."""
        project, given = self._resource.project(request), body(request)
        tag = project.tag(request.parts["tag"])
        required(given, "name", "description", "type")
        new = tag | {name: given[name] for name in ("name", "description", "type")}
        check(project, new)
        tag.update(new)
        return Answer(body=shown(tag, project.images))

    def delete(self, request: Request) -> Answer:
        """DeleteTag: the images that had it have it no more."""
        project = self._resource.project(request)
        tag = project.tag(request.parts["tag"])["id"]
        del project.tags[tag]
        for image in [image for image in project.images.values() if tag in image.tags]:
            project.images[image.id] = untagged(image, {tag})
        return Answer(204)


def new_tag(name: str, type: str = "Regular", description: str = "", id: str = "") -> dict[str, Any]:
    """Give a tag as it is kept."""
    return {"id": id or str(uuid.uuid4()), "name": name, "description": description, "type": type}


def check(project: Project, tag: Mapping[str, Any]) -> None:
    """Refuse a tag that the project cannot have."""
    others = [one for one in project.tags.values() if one["id"] != tag["id"]]
    if not str(tag["name"]).strip() or len(tag["name"]) > LONGEST:
        raise refuse(400, "BadRequestTagName", f"A tag's name has 1 to {LONGEST} characters.")
    if tag["type"] not in TYPES:
        raise refuse(400, "BadRequestTagType", f"'{tag['type']}' is no type of tags.")
    if str(tag["name"]).lower() in {one["name"].lower() for one in others}:
        raise refuse(400, "BadRequestTagNameNotUnique", f"There is a tag of the name '{tag['name']}' already.")
    if tag["type"] in ONE_ONLY and tag["type"] in {one["type"] for one in others}:
        raise refuse(400, ONE_ONLY[tag["type"]], f"There is a {tag['type']} tag already.")


def shown_tags(project: Project, iteration: Iteration | None) -> list[dict[str, Any]]:
    """Give the tags of a project, or of an iteration, on the wire."""
    counts = Counter(tag for image in project.images_of(iteration).values() for tag in image.tags)
    return [tag | {"imageCount": counts[tag["id"]]} for tag in project.tags_of(iteration).values()]


def shown(tag: Mapping[str, Any], images: Images) -> dict[str, Any]:
    """Give a tag on the wire."""
    return {**tag, "imageCount": sum(tag["id"] in image.tags for image in images.values())}


def untagged(image: Image, tags: set[str]) -> Image:
    """Give an image without some tags, and without the things that had them."""
    return replace(
        image,
        tags={tag: at for tag, at in image.tags.items() if tag not in tags},
        regions=tuple(region for region in image.regions if region.tag not in tags),
    )
