"""Iterations of Custom Vision's projects: looked at, renamed, deleted, published.

https://learn.microsoft.com/rest/api/customvision/iterations
Not settled there, and decided here: an iteration that is trained right now is not deleted; a name is taken by one
iteration of the project; to publish what is published already, under the same or another name, needs `overwrite`.
"""

import re
import time
from typing import Any

from dev.simulators.vision.performances import Judged, judge, performance
from dev.simulators.vision.refusals import body, flag, ids, number, refuse, required, whole
from dev.simulators.vision.resource import Iteration, Project, Resource
from dev.simulators.vision.settings import Limits
from dev.simulators.vision.training import COMPLETED, TRAINING, model_of, samples, shown
from dev.simulators.wire import Answer, Request, instant, listed_until, moment, now

ACCOUNT = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.CognitiveServices/accounts/[^/]+", re.IGNORECASE
)
PUBLISH_NAME = re.compile(r"[\w.-][\w. -]*")
LONGEST = 128
Judgements = list[Judged]
UNMEASURED = {
    "precision": 0.97,
    "precisionStdDeviation": 0.0,
    "recall": 0.95,
    "recallStdDeviation": 0.0,
    "averagePrecision": 0.98,
}
"""What is said of a seeded iteration whose project has no images."""


class Iterations:
    """The iterations of every project."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._judged: dict[str, Judgements] = {}

    def forget(self) -> None:
        """Measure anew."""
        self._judged.clear()

    def list(self, request: Request) -> Answer:
        """GetIterations."""
        kept, until = self._resource.project(request).iterations.values(), listed_until(request)
        there = [one for one in kept if moment(one.wire["created"]) <= until]
        return Answer(body=[shown(one, request.parts["version"]) for one in there])

    def get(self, request: Request) -> Answer:
        """GetIteration."""
        return Answer(body=shown(self._resource.iteration(request)[1], request.parts["version"]))

    def rename(self, request: Request) -> Answer:
        """UpdateIteration: its name, and nothing else."""
        (project, iteration), given = self._resource.iteration(request), body(request)
        required(given, "name")
        name = str(given["name"])
        if not name.strip() or len(name) > LONGEST:
            raise refuse(400, "BadRequestIterationName", f"An iteration's name has 1 to {LONGEST} characters.")
        if any(one.wire["name"] == name for one in project.iterations.values() if one is not iteration):
            raise refuse(400, "BadRequestIterationNameNotUnique", f"There is an iteration '{name}' already.")
        iteration.wire.update(name=name, lastModified=instant(now()))
        return Answer(body=shown(iteration, request.parts["version"]))

    def delete(self, request: Request) -> Answer:
        """DeleteIteration: refused where it is published."""
        project, iteration = self._resource.iteration(request)
        if iteration.wire["publishName"]:
            raise refuse(400, "BadRequestIterationIsPublished", "The iteration is published. Unpublish it first.")
        if iteration.wire["status"] == TRAINING:
            raise refuse(400, "BadRequestTrainingAlreadyInProgress", "The iteration is being trained.")
        del project.iterations[iteration.id]
        return Answer(204)

    def publish(self, request: Request) -> Answer:
        """PublishIteration: with `overwrite`, the name is taken from the iteration that had it."""
        (project, iteration), query = self._resource.iteration(request), request.query
        required(query, "publishName", "predictionId")
        name, target, overwrite = query["publishName"], query["predictionId"], flag(request, "overwrite")
        if not PUBLISH_NAME.fullmatch(name) or len(name) > LONGEST:
            raise refuse(400, "BadRequestInvalidPublishName", f"'{name}' is not a valid publish name.")
        if iteration.wire["status"] != COMPLETED:
            raise refuse(400, "BadRequestIterationIsNotTrained", "The iteration is not trained.")
        known = {one.lower() for one in self._resource.settings["prediction_resources"]}
        if not ACCOUNT.fullmatch(target) or (known and target.lower() not in known):
            raise refuse(400, "BadRequestInvalidPublishTarget", "The prediction id is no prediction resource.")
        if iteration.wire["publishName"] and not overwrite:
            raise refuse(400, "BadRequestIterationIsPublished", "The iteration is published already.")
        others = (one for one in project.iterations.values() if one is not iteration)
        if before := next((one for one in others if one.wire["publishName"] == name), None):
            if not overwrite:
                raise refuse(400, "BadRequestInvalidPublishName", f"The name '{name}' is taken by another iteration.")
            before.wire.update(publishName=None, originalPublishResourceId=None)
        if iteration.wire["publishName"] not in {None, name}:
            project.serving.pop(iteration.wire["publishName"], None)
        since = time.monotonic() + float(self._resource.settings["publish_delay_seconds"])
        project.serving.setdefault(name, []).append((since, iteration.id))
        iteration.wire.update(publishName=name, originalPublishResourceId=target, lastModified=instant(now()))
        return Answer(body=True)

    def unpublish(self, request: Request) -> Answer:
        """UnpublishIteration."""
        project, iteration = self._resource.iteration(request)
        if not iteration.wire["publishName"]:
            raise refuse(400, "BadRequestIterationNotPublished", "The iteration is not published.")
        project.serving.pop(iteration.wire["publishName"], None)
        iteration.wire.update(publishName=None, originalPublishResourceId=None, lastModified=instant(now()))
        return Answer(204)

    def performance(self, request: Request) -> Answer:
        """GetIterationPerformance: measured, but for what was seeded."""
        project, iteration = self._measured(request)
        threshold, overlap = number(request, "threshold", 0.5), number(request, "overlapThreshold", 0.3)
        if not (0 <= threshold <= 1 and 0 <= overlap <= 1):
            raise refuse(400, "BadRequestInvalid", "Thresholds are between 0 and 1.")
        names = {id: tag["name"] for id, tag in project.tags_of(iteration).items()}
        judged = self._judge(project, iteration)
        found = performance(judged, names, threshold, overlap) if judged else unmeasured(names)
        return Answer(body=overridden(found, iteration.performance))

    def image_performances(self, request: Request) -> Answer:
        """GetImagePerformances: what the model says of its own training images."""
        project, iteration = self._measured(request)
        judged = self._about(request, project, iteration)
        take, skip = whole(request, "take", 50), whole(request, "skip", 0)
        tags = project.tags_of(iteration)
        told = []
        for one in judged[skip : skip + min(take, Limits.PAGE)]:
            image = project.images_of(iteration)[one.sample.id]
            self._resource.keep(project, [image])
            uri = self._resource.uri(project, image)
            guesses = [
                {"tagId": guess.tag, "tagName": tags[guess.tag]["name"], "probability": guess.probability}
                for guess in one.guesses
            ]
            told.append(
                {
                    "id": image.id,
                    "created": image.created,
                    "width": image.picture.width,
                    "height": image.picture.height,
                    **dict.fromkeys(("imageUri", "thumbnailUri"), uri),
                    "tags": [{"tagId": tag, "tagName": tags[tag]["name"]} for tag in image.tags if tag in tags],
                    "predictions": guesses,
                }
            )
        return Answer(body=told)

    def count_image_performances(self, request: Request) -> Answer:
        """GetImagePerformanceCount."""
        project, iteration = self._measured(request)
        return Answer(body=len(self._about(request, project, iteration)))

    def _about(self, request: Request, project: Project, iteration: Iteration) -> Judgements:
        tags = set(ids(request, "tagIds", most=Limits.TAGS_PER_BATCH))
        judged = self._judge(project, iteration)
        return [one for one in judged if not tags or any(tag in tags for tag, _ in one.sample.things)]

    def _measured(self, request: Request) -> tuple[Project, Iteration]:
        project, iteration = self._resource.iteration(request)
        if iteration.wire["status"] != COMPLETED:
            raise refuse(404, "NotFoundIterationPerformance", "The iteration has no performance.")
        return project, iteration

    def _judge(self, project: Project, iteration: Iteration) -> Judgements:
        if iteration.id not in self._judged:
            model = model_of(project, iteration)
            learnt = samples(project.images_of(iteration), project.tags_of(iteration), detects=project.detects)
            self._judged[iteration.id] = judge(model, learnt) if model else []
        return self._judged[iteration.id]


def unmeasured(names: dict[str, str]) -> dict[str, Any]:
    """Give the performance of an iteration that was seeded without images."""
    return {"perTagPerformance": [{"id": id, "name": name, **UNMEASURED} for id, name in names.items()], **UNMEASURED}


def overridden(found: dict[str, Any], seeded: dict[str, Any]) -> dict[str, Any]:
    """Put what was seeded over what was measured; tags are known by their names."""
    told = {one["name"]: one for one in found["perTagPerformance"]}
    for one in seeded.get("perTagPerformance", ()):
        told[one["name"]] = {"id": one.get("id"), **UNMEASURED, **told.get(one["name"], {}), **one}
    return {**found, **seeded, "perTagPerformance": [*told.values()]}
