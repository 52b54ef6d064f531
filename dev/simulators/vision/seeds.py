"""Projects that were there before a test began, and what a state shows of them.

The top of this package says what a seed may hold.
"""

import base64
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from dev.simulators.vision.domains import COMPACT, DOMAINS
from dev.simulators.vision.exports import EXPORT
from dev.simulators.vision.pictures import GROUND, INK, Box, generated, read
from dev.simulators.vision.projects import new_project
from dev.simulators.vision.refusals import guid
from dev.simulators.vision.resource import Image, Project, Region, Trained
from dev.simulators.vision.tags import new_tag
from dev.simulators.vision.training import new_iteration
from dev.simulators.wire import instant, now

SHOWN = 300
"""How many images of a project a state shows."""
OF_ITERATION = {"id", "exports", "performance"}
APART = {"id", "settings", "iterations", "tags", "images"}
WITHIN: Sequence[Box] = ((0.1, 0.1, 0.4, 0.4), (0.4, 0.2, 0.5, 0.4), (0.2, 0.4, 0.4, 0.5), (0.3, 0.3, 0.4, 0.4))
"""Where generated things are."""


def seeded(given: Mapping[str, Any]) -> Project:
    """Give a project as a seed tells of it, over defaults."""
    settings = {"domainId": COMPACT, **given.get("settings", {})}
    if settings["domainId"] in DOMAINS and DOMAINS[settings["domainId"]].type != "Classification":
        settings["classificationType"] = None
    project = new_project(guid(given["id"]), given.get("name", "project"), settings)
    project.wire.update({name: value for name, value in given.items() if name not in APART})
    for tag in given.get("tags", ()):
        add_tag(project, tag)
    add_images(project, given.get("images", ()))
    for one in given.get("iterations", ()):
        iteration = new_iteration(project, guid(one.get("id") or str(uuid.uuid4())), trained_with(project))
        iteration.wire.update({name: value for name, value in one.items() if name not in OF_ITERATION})
        iteration.exports = [{**EXPORT, **export} for export in one.get("exports", ())]
        iteration.performance = dict(one.get("performance", {}))
        if name := iteration.wire["publishName"]:
            project.serving[name] = [(0.0, iteration.id)]
        project.iterations[iteration.id] = iteration
    return project


def trained_with(project: Project) -> Trained:
    """Give what the project holds now."""
    images = {id: image for id, image in project.images.items() if image.tags}
    return Trained({id: dict(tag) for id, tag in project.tags.items()}, images)


def add_tag(project: Project, given: Any) -> str:
    """Make a tag, or find it by its name; its id."""
    told = {"name": given} if isinstance(given, str) else dict(given)
    for id, tag in project.tags.items():
        if tag["name"] == told["name"]:
            return id
    id = guid(told.get("id") or str(uuid.uuid5(uuid.UUID(project.id), told["name"])))
    project.tags[id] = new_tag(told["name"], told.get("type", "Regular"), told.get("description", ""), id)
    return id


def add_images(project: Project, given: Any) -> None:
    """Make images: each as told, or so many of some tags in turn; the contents are made when they are looked at."""
    if isinstance(given, Mapping):
        names = [str(one) for one in given.get("tags", ())]
        untagged = int(given.get("untagged", 0))
        size = given.get("size", (32, 32))
        tagged = int(given["count"]) - untagged
        given = [
            {"size": size, **({"tags": [names[at % len(names)]]} if names and at < tagged else {})}
            for at in range(int(given["count"]))
        ]
    began = now() - timedelta(milliseconds=len(given))
    for at, one in enumerate(given):
        image = new_image(project, at, one, instant(began + timedelta(milliseconds=at)))
        project.images[image.id] = image


def new_image(project: Project, number: int, one: Mapping[str, Any], at: str) -> Image:
    """Make one image."""
    tags = [add_tag(project, tag) for tag in one.get("tags", ())]
    regions = [
        Region(
            id=str(uuid.uuid5(uuid.UUID(project.id), f"region {number} {place}")),
            tag=add_tag(project, region["tag"]),
            box=(region["left"], region["top"], region["width"], region["height"]),
            created=at,
        )
        for place, region in enumerate(one.get("regions", ()))
    ]
    if project.detects and not regions and tags:
        id = str(uuid.uuid5(uuid.UUID(project.id), f"region {number}"))
        regions = [Region(id=id, tag=tags[0], box=WITHIN[number % len(WITHIN)], created=at)]
    tags = [*dict.fromkeys([*tags, *(region.tag for region in regions)])]
    inks = {tag: INK[place % len(INK)] for place, tag in enumerate(project.tags)}
    if "content" in one:
        picture = read(base64.b64decode(one["content"]))
    else:
        fill = tuple(one["colour"]) if "colour" in one else inks[tags[0]] if tags and not regions else GROUND
        things = [(inks[region.tag], region.box) for region in regions]
        picture = generated(project.id, number, tuple(one.get("size", (32, 32))), fill, things)
    return Image(
        id=guid(one.get("id") or str(uuid.uuid5(uuid.UUID(project.id), f"image {number}"))),
        name=one.get("name", f"{number}.png"),
        created=one.get("created", at),
        picture=picture,
        tags=dict.fromkeys(tags, at),
        regions=tuple(regions),
        metadata=dict(one.get("metadata", {})),
    )


def state_of(project: Project) -> dict[str, Any]:
    """Give a project as a state shows it."""
    images = project.images.values()
    names = {id: tag["name"] for id, tag in project.tags.items()}
    return {
        **project.wire,
        "tags": [*project.tags.values()],
        "image_count": len(images),
        "tagged_count": sum(bool(image.tags) for image in images),
        "region_count": sum(len(image.regions) for image in images),
        "images": [image_state(image, names) for image in [*images][:SHOWN]],
        "iterations": {
            one.id: {
                **one.wire,
                "exports": one.exports,
                "performance": one.performance,
                "images": len(one.trained.images),
            }
            for one in project.iterations.values()
        },
        "predictions": len(project.predictions),
    }


def image_state(image: Image, names: Mapping[str, str]) -> dict[str, Any]:
    """Give an image as a state shows it."""
    return {
        "id": image.id,
        "name": image.name,
        "width": image.picture.width,
        "height": image.picture.height,
        "sha256": image.picture.key,
        "tags": [names.get(tag, tag) for tag in image.tags],
        "regions": [{"tag": names.get(region.tag, region.tag), "box": [*region.box]} for region in image.regions],
        "metadata": dict(image.metadata),
    }
