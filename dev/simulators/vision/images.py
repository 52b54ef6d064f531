"""Images of Custom Vision's projects: listed, counted, read, deleted, described.

https://learn.microsoft.com/rest/api/customvision/images
Not settled there, and decided here: the three URIs of an image are one and the same; where the resource is in a virtual
network (the setting `artifacts`) they are paths such as `images/<id>` for GetArtifact.
"""

from dataclasses import replace
from typing import Any

from dev.simulators.vision.refusals import body, flag, guid, ids, refuse, whole
from dev.simulators.vision.resource import Image, Project, Resource
from dev.simulators.vision.settings import Limits
from dev.simulators.wire import Answer, Request, listed_until, moment

METADATA = {"pairs": 10, "key": 128, "value": 256}
"""What one image may have at most."""
Found = list[Image]


class Listing:
    """The images of every project."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def list(self, request: Request) -> Answer:
        """GetImages, a page at a time."""
        return self._page(request, request.query.get("taggingStatus", "All"))

    def tagged(self, request: Request) -> Answer:
        """GetTaggedImages."""
        return self._page(request, "Tagged")

    def untagged(self, request: Request) -> Answer:
        """GetUntaggedImages."""
        return self._page(request, "Untagged")

    def count(self, request: Request) -> Answer:
        """GetImageCount."""
        return Answer(body=len(self._found(request, request.query.get("taggingStatus", "All"))[1]))

    def count_tagged(self, request: Request) -> Answer:
        """GetTaggedImageCount."""
        return Answer(body=len(self._found(request, "Tagged")[1]))

    def count_untagged(self, request: Request) -> Answer:
        """GetUntaggedImageCount."""
        return Answer(body=len(self._found(request, "Untagged")[1]))

    def by_ids(self, request: Request) -> Answer:
        """GetImagesByIds: those there are."""
        project = self._resource.project(request)
        images = project.images_of(self._resource.asked_iteration(request, project))
        named = ids(request, "imageIds", most=Limits.PAGE)
        return self._shown(project, [images[one] for one in named if one in images])

    def delete(self, request: Request) -> Answer:
        """DeleteImages: some by their ids, or all; those of iterations stay, unless these are meant too."""
        project = self._resource.project(request)
        named, everything = ids(request, "imageIds", most=Limits.PAGE), flag(request, "allImages")
        if bool(named) == everything:
            raise refuse(400, "BadRequestImageBatch", "Either imageIds or allImages must be given.")
        of_iterations = flag(request, "allIterations")
        trained = [one.trained.images for one in project.iterations.values()] if of_iterations else []
        for images in (project.images, *trained):
            for image in [*images] if everything else named:
                images.pop(image, None)
        return Answer(202 if everything or of_iterations else 204)

    def describe(self, request: Request) -> Answer:
        """UpdateImageMetadata: merged into what each image has."""
        project, given = self._resource.project(request), metadata(body(request))
        told = []
        for id in ids(request, "imageIds", most=Limits.BATCH):
            image = project.images.get(id)
            merged = {**image.metadata, **given} if image else {}
            status = "OK" if image else "ErrorImageNotFound"
            if image and len(merged) > METADATA["pairs"]:
                status, merged = "ErrorLimitExceed", dict(image.metadata)
            if image and status == "OK":
                project.images[id] = replace(image, metadata=merged)
            told.append({"imageId": id, "status": status, "metadata": merged})
        whole_batch = all(one["status"] == "OK" for one in told)
        return Answer(200 if whole_batch else 207, {"isBatchSuccessful": whole_batch, "images": told})

    def artifact(self, request: Request) -> Answer:
        """GetArtifact: the bytes of an image whose URI is a path."""
        project = self._resource.project(request)
        kind, _, id = request.query.get("path", "").partition("/")
        images = [project.images, *(one.trained.images for one in project.iterations.values())]
        image = next((held[id] for held in images if id in held), None) if kind == "images" else None
        if image is None or not self._resource.settings["artifacts"]:
            raise refuse(400, "BadRequestInvalidArtifactUri", "The artifact's path is not valid.")
        return Answer(body=image.picture.content)

    def _page(self, request: Request, tagging: str) -> Answer:
        project, found = self._found(request, tagging)
        take, skip = whole(request, "take", 50), whole(request, "skip", 0)
        if not 0 <= take <= Limits.PAGE or skip < 0:
            raise refuse(400, "BadRequestInvalid", f"'take' must be between 0 and {Limits.PAGE}.")
        order = request.query.get("orderBy", "Newest").lower()
        if order not in {"newest", "oldest"}:
            raise refuse(400, "BadRequestInvalid", f"'{order}' is no value of 'orderBy'.")
        if order == "newest":
            found.reverse()
        return self._shown(project, found[skip : skip + take])

    def _found(self, request: Request, tagging: str) -> tuple[Project, Found]:
        """Give the images that a query means, the oldest first."""
        project = self._resource.project(request)
        images = project.images_of(self._resource.asked_iteration(request, project)).values()
        if request.query.get("$filter"):
            raise refuse(400, "BadRequestNotSupported", "The filter is not supported.")
        if tagging.lower() not in {"all", "tagged", "untagged"}:
            raise refuse(400, "BadRequestInvalid", f"'{tagging}' is no value of 'taggingStatus'.")
        tags, until = set(ids(request, "tagIds", most=Limits.TAGS_PER_BATCH)), listed_until(request)
        means = {"all": {True, False}, "tagged": {True}, "untagged": {False}}[tagging.lower()]
        young = request.method == "GET" and any(moment(image.created) > until for image in [*images][-1:])
        return project, [
            image
            for image in images
            if bool(image.tags) in means
            and (not tags or not tags.isdisjoint(image.tags))
            and not (young and moment(image.created) > until)
        ]

    def _shown(self, project: Project, images: Found) -> Answer:
        self._resource.keep(project, images)
        return Answer(body=[shown(self._resource, project, image) for image in images])


def shown(resource: Resource, project: Project, image: Image) -> dict[str, Any]:
    """Give an image on the wire."""
    uri = resource.uri(project, image)
    names = {tag: project.tags.get(tag, {}).get("name", "") for tag in image.tags}
    for iteration in project.iterations.values() if "" in names.values() else ():
        names |= {tag: one["name"] for tag, one in project.tags_of(iteration).items() if names.get(tag) == ""}
    return {
        "id": image.id,
        "created": image.created,
        "width": image.picture.width,
        "height": image.picture.height,
        "resizedImageUri": uri,
        "thumbnailUri": uri,
        "originalImageUri": uri,
        "tags": [{"tagId": tag, "tagName": names[tag], "created": at} for tag, at in image.tags.items()],
        "regions": [
            {
                "regionId": region.id,
                "tagName": names.get(region.tag, ""),
                "created": region.created,
                "tagId": region.tag,
                **dict(zip(("left", "top", "width", "height"), region.box, strict=True)),
            }
            for region in image.regions
        ],
        "metadata": dict(image.metadata),
    }


def metadata(given: Any) -> dict[str, str]:
    """Read the metadata of images."""
    found = given or {}
    if not isinstance(found, dict) or len(found) > METADATA["pairs"]:
        raise refuse(400, "BadRequestImageMetadataKey", f"An image has at most {METADATA['pairs']} pairs of metadata.")
    for key, value in found.items():
        if not 0 < len(key) <= METADATA["key"]:
            raise refuse(400, "BadRequestImageMetadataKey", f"A key has 1 to {METADATA['key']} characters.")
        if not isinstance(value, str) or len(value) > METADATA["value"]:
            raise refuse(400, "BadRequestImageMetadataValue", f"A value has at most {METADATA['value']} characters.")
    return found


def image_of(project: Project, id: Any) -> Image:
    """Give an image by its id."""
    if (image := project.images.get(guid(id))) is None:
        raise refuse(404, "NotFoundImage", f"Image not found. Image Id: {id}")
    return image
