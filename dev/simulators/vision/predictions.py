"""Predictions: the quick test of any iteration, and the prediction resource, which knows published names only.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/use-prediction-api
Not settled there, and decided here: a name that no iteration answers to, or one that is published to another resource,
is a 404 NotFound "Invalid iteration"; so it is until a new name has got through (`publish_delay_seconds`).
"""

import time
import uuid
from typing import Any

from dev.simulators.vision.models import Guess
from dev.simulators.vision.pictures import Picture, PictureError, read
from dev.simulators.vision.refusals import body, flag, guid, ids, refuse
from dev.simulators.vision.resource import Iteration, Project, Resource
from dev.simulators.vision.settings import Limits
from dev.simulators.vision.training import COMPLETED, model_of
from dev.simulators.vision.uploads import fetching, form
from dev.simulators.wire import Answer, Request, instant, now

NOBODY = str(uuid.UUID(int=0))
REFUSALS = {
    "ErrorSource": ("BadRequestImageUrl", "The image cannot be read."),
    "ErrorImageSize": ("BadRequestImageSizeBytes", "The image is too large."),
    "ErrorImageDimensions": ("BadRequestImageDimensions", "The image is too wide, too high or too narrow."),
    "ErrorImageFormat": ("BadRequestImageFormat", "The image is not a valid JPEG, PNG, BMP or GIF."),
}


class Predictions:
    """What models say of images."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def quick_image(self, request: Request) -> Answer:
        """QuickTestImage."""
        return self._quick(request, picture_of(request, Limits.TRAINING_BYTES))

    def quick_url(self, request: Request) -> Answer:
        """QuickTestImageUrl."""
        return self._quick(request, picture_at(request, Limits.TRAINING_BYTES))

    def image(self, request: Request) -> Answer:
        """ClassifyImage, DetectImage, and both without storing."""
        project, iteration = self._published(request)
        return self._told(request, project, iteration, picture_of(request, Limits.PREDICTION_BYTES))

    def url(self, request: Request) -> Answer:
        """ClassifyImageUrl, DetectImageUrl, and both without storing."""
        project, iteration = self._published(request)
        return self._told(request, project, iteration, picture_at(request, Limits.PREDICTION_BYTES))

    def query(self, request: Request) -> Answer:
        """QueryPredictions: those that were stored, the newest first."""
        project, given = self._resource.project(request), body(request)
        wanted = given.get("iterationId")
        found = [told for told, _ in reversed(project.predictions.values())]
        found = [told for told in found if not wanted or told["iteration"] == guid(wanted)]
        most = int(given.get("maxCount") or Limits.BATCH)
        return Answer(body={"token": {**given, "continuation": None}, "results": found[:most]})

    def delete(self, request: Request) -> Answer:
        """DeletePrediction."""
        project = self._resource.project(request)
        for id in ids(request, "ids", most=Limits.BATCH):
            project.predictions.pop(id, None)
        return Answer(204)

    def _quick(self, request: Request, picture: Picture) -> Answer:
        project = self._resource.project(request)
        iteration = self._resource.asked_iteration(request, project)
        if iteration is None:
            over = [one for one in project.iterations.values() if one.wire["status"] == COMPLETED]
            if not over:
                raise refuse(404, "NotFoundProjectDefaultIteration", "The project has no default iteration.")
            iteration = over[-1]
        if iteration.wire["status"] != COMPLETED:
            raise refuse(400, "BadRequestIterationIsNotTrained", "The iteration is not trained.")
        stored = flag(request, "store") if "store" in request.query else True
        return Answer(body=self._say(project, iteration, picture, stored=stored))

    def _published(self, request: Request) -> tuple[Project, Iteration]:
        project = self._resource.find(request.parts["project"])
        at = time.monotonic()
        served = [id for since, id in project.serving.get(request.parts["name"], ()) if since <= at]
        iteration = project.iterations.get(served[-1]) if served else None
        ours = self._resource.settings["prediction_resources"][:1]
        published_on = str(iteration.wire["originalPublishResourceId"] or ours[:1] if iteration else "")
        if iteration is None or (ours and iteration.wire["publishName"] and published_on.lower() != ours[0].lower()):
            raise refuse(404, "NotFound", "Invalid iteration")
        if project.detects is not (request.parts["kind"].lower() == "detect"):
            raise refuse(400, "BadRequestOperationNotSupported", "Invalid project type for operation.")
        return project, iteration

    def _told(self, request: Request, project: Project, iteration: Iteration, picture: Picture) -> Answer:
        return Answer(body=self._say(project, iteration, picture, stored=not request.path.lower().endswith("/nostore")))

    def _say(self, project: Project, iteration: Iteration, picture: Picture, *, stored: bool) -> dict[str, Any]:
        id = str(uuid.uuid4())
        told = {
            "id": id,
            "project": project.id,
            "iteration": iteration.id,
            "created": instant(now()),
            "predictions": self._guesses(project, iteration, picture),
        }
        if stored:
            project.predictions[id] = (told, picture)
        return told

    def _guesses(self, project: Project, iteration: Iteration, picture: Picture) -> list[dict[str, Any]]:
        if (seeded := self._resource.settings["predictions"]) is not None:
            named = {tag["name"]: id for id, tag in project.tags_of(iteration).items()}
            return [{"tagId": named.get(one["tagName"], NOBODY), "tagType": "Regular", **one} for one in seeded]
        model = model_of(project, iteration)
        tags = project.tags_of(iteration)
        return [shown(guess, tags[guess.tag]) for guess in model.guesses(picture)] if model else []


def shown(guess: Guess, tag: dict[str, Any]) -> dict[str, Any]:
    """Give a guess on the wire."""
    told = {"probability": guess.probability, "tagId": guess.tag, "tagName": tag["name"], "tagType": tag["type"]}
    if guess.box:
        told["boundingBox"] = dict(zip(("left", "top", "width", "height"), guess.box, strict=True))
    return told


def picture_of(request: Request, most: int) -> Picture:
    """Read the picture that a request carries: in a form, or as its body."""
    files = form(request)
    return picture(files[0][1] if files else request.body, most)


def picture_at(request: Request, most: int) -> Picture:
    """Read the picture whose URL a request carries."""
    given = {name.lower(): value for name, value in body(request).items()}
    try:
        content = fetching(given.get("url"))()
    except PictureError as problem:
        raise refuse(400, "BadRequestImageUrl", "The image's URL is invalid or cannot be read.") from problem
    return picture(content, most)


def picture(content: bytes, most: int) -> Picture:
    """Read a picture, or refuse it as a prediction does."""
    try:
        return read(content, most=most)
    except PictureError as problem:
        raise refuse(400, *REFUSALS[problem.status]) from problem
