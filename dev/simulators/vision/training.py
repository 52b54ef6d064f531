"""Training: asked for, checked, under way for a while, over, announced.

https://learn.microsoft.com/rest/api/customvision/train-project and
https://learn.microsoft.com/azure/ai-services/custom-vision-service/limits-and-quotas
Codes are those of the service's own list. Not settled there, and decided here: failed iterations count for the cap;
negative tags need no five images and make no second tag; nothing is new where images, tags, domain, type, budget and
selected tags are those of an iteration that is Completed.
"""

import hashlib
import json
import math
import re
import uuid
from collections import Counter
from collections.abc import Collection
from typing import Any

from dev.simulators.vision.models import Model, Sample, learn
from dev.simulators.vision.refusals import body, flag, guid, refuse, whole
from dev.simulators.vision.resource import Images, Iteration, Project, Resource, Trained, iteration_of
from dev.simulators.vision.settings import Limits
from dev.simulators.wire import Answer, Request, instant, now

TRAINING, COMPLETED, FAILED = "Training", "Completed", "Failed"
REGULAR, ADVANCED = "Regular", "Advanced"
PREVIEW = frozenset({"customBaseModelInfo", "trainingErrorDetails"})
"""Members that only v3.4-preview shows."""
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
VALIDATIONS = {
    "Multiclass": "BadRequestMultiClassClassificationTrainingValidationFailed",
    "Multilabel": "BadRequestMultiLabelClassificationTrainingValidationFailed",
    None: "BadRequestDetectionTrainingValidationFailed",
}


class Trainings:
    """The trainings of every project."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def start(self, request: Request) -> Answer:
        """TrainProject."""
        project, given = self._resource.project(request), body(request)
        kind, budget = asked(request)
        if any(one.wire["status"] == TRAINING for one in project.iterations.values()):
            message = "A training is already in progress for this project."
            raise refuse(400, "BadRequestTrainingAlreadyInProgress", message)
        if len(project.iterations) >= Limits.ITERATIONS:
            message = f"Exceeded iteration limit: a project has at most {Limits.ITERATIONS} iterations."
            raise refuse(400, "BadRequestExceedIterationPerProjectLimit", message)
        self._check_domain(project, kind)
        base = check_base(project, given.get("customBaseModelInfo"))
        selected = {project.tag(str(tag))["id"] for tag in given.get("selectedTags") or ()}
        trained = subject(project, selected, (kind, budget))
        validate(project, trained)
        before = [one.trained.of for one in project.iterations.values() if one.wire["status"] == COMPLETED]
        if not flag(request, "forceTrain") and trained.of in before:
            raise refuse(400, "BadRequestTrainingNotNeeded", "Nothing changed since the last training.")
        iteration = new_iteration(project, str(uuid.uuid4()), trained, status=TRAINING)
        iteration.wire.update(trainingType=kind, reservedBudgetInHours=budget, customBaseModelInfo=base)
        project.iterations[iteration.id] = iteration
        self._resource.later.do(self._resource.settings["training_seconds"], lambda: self._finish(project, iteration))
        return Answer(body=shown(iteration, request.parts["version"]))

    def _check_domain(self, project: Project, kind: str) -> None:
        if project.domain.id in self._resource.settings["retired_domains"]:
            message = f"The domain {project.domain.name} is retired and not supported for training."
            raise refuse(400, "BadRequestRetiredDomainNotSupportedForTraining", message)
        if kind == ADVANCED and not project.domain.advanced:
            message = f"The domain {project.domain.name} is not supported for advanced training."
            raise refuse(400, "BadRequestDomainNotSupportedForAdvancedTraining", message)

    def _finish(self, project: Project, iteration: Iteration) -> None:
        settings = self._resource.settings
        with self._resource.lock:
            if iteration.id not in project.iterations or project.id not in self._resource.projects:
                return
            outcome, at = settings["training_outcome"], instant(now())
            iteration.wire.update(status=outcome, lastModified=at)
            if outcome == COMPLETED:
                minutes = max(1, iteration.wire["reservedBudgetInHours"] * 60)
                platforms = [*project.domain.platforms]
                iteration.wire.update(trainedAt=at, trainingTimeInMinutes=minutes)
                iteration.wire.update(exportable=bool(platforms), exportableTo=platforms)
                iteration.performance = dict(settings["performance"] or {})
            else:
                iteration.wire["trainingErrorDetails"] = settings["training_error"]
            content = {"projectId": project.id, "iterationId": iteration.id, "trainingStatus": f"Training{outcome}"}
            self._resource.notify(project, "Training", content)


def asked(request: Request) -> tuple[str, int]:
    """Read how it is to be trained, and for how many hours."""
    kind = request.query.get("trainingType", REGULAR).capitalize()
    budget = whole(request, "reservedBudgetInHours", 0)
    if kind not in {REGULAR, ADVANCED}:
        raise refuse(400, "BadRequestInvalid", f"'{kind}' is no training type.")
    if kind == ADVANCED and budget < 1:
        message = "Advanced training needs a reserved budget of at least an hour."
        raise refuse(400, "BadRequestReservedBudgetInHoursNotEnoughForAdvancedTraining", message)
    email = request.query.get("notificationEmailAddress")
    if email and not EMAIL.fullmatch(email):
        raise refuse(400, "BadRequestInvalidEmailAddress", f"'{email}' is no e-mail address.")
    return kind, budget if kind == ADVANCED else 0


def subject(project: Project, selected: Collection[str], way: tuple[str, int]) -> Trained:
    """Say what a training is of: the tags that are selected, or all, and the images that have them."""
    tags = {id: dict(tag) for id, tag in project.tags.items() if not selected or id in selected}
    images = {id: image for id, image in project.images.items() if not tags.keys().isdisjoint(image.tags)}
    said = [
        [project.settings["domainId"], project.settings["classificationType"], *way],
        sorted((tag["id"], tag["type"]) for tag in tags.values()),
        sorted(
            (id, sorted(image.tags), [[region.tag, region.box] for region in image.regions])
            for id, image in images.items()
        ),
    ]
    return Trained(tags, images, hashlib.sha256(json.dumps(said).encode()).hexdigest())


def validate(project: Project, trained: Trained) -> None:
    """Refuse where there are too few tags, or too few images of one."""
    has = [
        {region.tag for region in image.regions} if project.detects else image.tags for image in trained.images.values()
    ]
    counts = Counter(tag for tags in has for tag in tags)
    code = VALIDATIONS[project.settings["classificationType"]]
    if project.detects and any(tag["type"] == "Negative" for tag in trained.tags.values()):
        message = "Negative tags are not allowed in object detection."
        raise refuse(400, "BadRequestDetectionTrainingNotAllowNegativeTag", message)
    regular = [tag for tag in trained.tags.values() if tag["type"] != "Negative"]
    least = Limits.IMAGES_PER_TAG[project.domain.type]
    if len(regular) < (1 if project.detects else 2):
        raise refuse(400, code, "Not enough tags for training: there must be at least two.")
    if few := [tag["name"] for tag in regular if counts[tag["id"]] < least]:
        raise refuse(400, code, f"Not enough images for training: {', '.join(few)} has fewer than {least}.")


def check_base(project: Project, given: Any) -> dict[str, Any] | None:
    """Read the base model that a training is to begin with."""
    if not given:
        return None
    base = iteration_of(project, given.get("iterationId") or "")
    if base.wire["status"] != COMPLETED:
        message = "The iteration of the base model is not completed."
        raise refuse(400, "BadRequestCustomBaseModelIterationStatusNotCompleted", message)
    return {"projectId": guid(given.get("projectId") or ""), "iterationId": base.id}


def samples(images: Images, tags: Collection[str], *, detects: bool) -> list[Sample]:
    """Give what a model learns of some images."""
    found = []
    for image in images.values():
        regions = [(region.tag, region.box) for region in image.regions]
        things = regions if detects else [(tag, None) for tag in image.tags]
        found.append(Sample(image.id, image.picture, tuple((tag, box) for tag, box in things if tag in tags)))
    return [sample for sample in found if sample.things]


def model_of(project: Project, iteration: Iteration) -> Model | None:
    """Give what an iteration has learnt, made when it is first asked for; None where it had nothing to learn from."""
    trained = iteration.trained
    if trained.model is None:
        several = project.settings["classificationType"] == "Multilabel"
        learnt = samples(trained.images, trained.tags, detects=project.detects)
        few = learnt if not project.detects else spread(learnt, MOST)
        trained.model = learn(few, detects=project.detects, several=several)
    return trained.model


MOST = 300
"""From how many images, evenly spread, things are learnt."""


def spread(found: list[Sample], most: int) -> list[Sample]:
    """Give at most so many of them, evenly spread."""
    return found[:: max(1, math.ceil(len(found) / most))]


def new_iteration(project: Project, id: str, trained: Trained, *, status: str = COMPLETED) -> Iteration:
    """Give an iteration as it begins."""
    project.trainings += 1
    at = instant(now())
    over = status == COMPLETED
    return Iteration(
        {
            "id": id,
            "name": f"Iteration {project.trainings}",
            "status": status,
            "created": at,
            "lastModified": at,
            "trainedAt": at if over else None,
            "projectId": project.id,
            "exportable": over and bool(project.domain.platforms),
            "exportableTo": [*project.domain.platforms] if over else [],
            "domainId": project.settings["domainId"],
            "classificationType": project.settings["classificationType"],
            "trainingType": REGULAR,
            "reservedBudgetInHours": 0,
            "trainingTimeInMinutes": 1 if over else 0,
            "publishName": None,
            "originalPublishResourceId": None,
            "customBaseModelInfo": None,
            "trainingErrorDetails": None,
        },
        trained,
    )


def shown(iteration: Iteration, version: str) -> dict[str, Any]:
    """Give an iteration on the wire of a version."""
    if version.lower() == "v3.4-preview":
        return iteration.wire
    return {name: value for name, value in iteration.wire.items() if name not in PREVIEW}
