"""Training: one at a time, from a split of what is labelled; models, and the versions of the training.

https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/train-model
Not settled there, and decided here: a training is of the working copy of the moment when it was asked for; a label that
is trained again is overwritten at the end, and what a deployment serves stays what it is; a deployed model's label
cannot be deleted; evaluation takes the last third of a training.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dev.simulators.language.classifier import learn
from dev.simulators.language.evaluations import MANUAL, PERCENTAGE, detailed, evaluated, split
from dev.simulators.language.jobs import CANCELLED, FAILED, NOT_STARTED, PARTIAL, RUNNING, SUCCEEDED, Job
from dev.simulators.language.refusals import body, invalid, name_of, refuse, text_of
from dev.simulators.language.resource import Copied, Model, Project, Resource
from dev.simulators.language.settings import CONFIG_VERSION, Limits
from dev.simulators.wire import Answer, Request, instant

MODES = ("standard", "advanced")
LATEST = "latest"
TRAINED = 0.66
"""The part of a training after which the model is there, and is evaluated."""


@dataclass(frozen=True)
class Asked:
    """What a training is asked for."""

    label: str
    options: Mapping[str, Any]
    config: Mapping[str, str]
    override: Mapping[str, Any]
    """What goes before what is measured."""


def trained(copied: Copied, asked: Asked, at: datetime, seconds: float = 1.0) -> Model:
    """Train a model, and measure it."""
    metadata, assets = copied
    threshold = float((metadata.get("settings") or {}).get("confidenceThreshold", 0.0))
    train, test = split(assets["utterances"], asked.options)
    classifier = learn(assets, train, threshold)
    categories = [one["category"] for one in assets["entities"]]
    evaluation = evaluated(classifier, test, categories, asked.options)
    if evaluation:
        for name, told in asked.override.items():
            evaluation[f"{name}Evaluation"] |= told
    return Model(
        label=asked.label,
        id=f"{asked.label}-{at:%Y-%m-%dT%H-%M-%S}-{secrets.token_hex(16)}",
        classifier=classifier,
        trained=at,
        expires=asked.config["modelExpirationDate"],
        config_version=asked.config["trainingConfigVersion"],
        seconds=max(1, round(seconds)),
        snapshot=copied,
        evaluation=evaluation,
        results=detailed(classifier, test, str(metadata["language"])),
    )


class Trainings:
    """The trainings and models of projects."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def start(self, request: Request) -> Answer:
        """Train."""
        project, given = self._resource.project(request), body(request)
        label = name_of(text_of(given, "modelLabel"), "modelLabel")
        mode, version = text_of(given, "trainingMode"), str(given.get("trainingConfigVersion") or LATEST)
        check_mode(project, mode)
        config = self._config(version)
        options = evaluation_options(given.get("evaluationOptions"))
        if self._resource.running("train", project.name):
            status = int(self._resource.settings["busy_status"])
            message = "A training job is already running for this project. Wait until it is over, or cancel it."
            raise refuse(status, "Conflict" if status == 409 else "InvalidRequest", message)
        if label not in project.models and len(project.models) >= Limits.MODELS:
            message = f"Trained model limit reached: a project has at most {Limits.MODELS}. Delete one first."
            raise refuse(400, "QuotaExceeded", message, target="modelLabel")
        if not project.assets["utterances"]:
            raise invalid([("utterances", "The project has no utterances to train with.")])
        details = {"modelLabel": label, "trainingConfigVersion": config["trainingConfigVersion"], "trainingMode": mode}
        asked = Asked(label, options, config, self._resource.settings["evaluation"] or {})
        copied = project.copied()

        def act(at: datetime) -> None:
            project.models[label] = trained(copied, asked, at, job.seconds)
            project.trained = at

        path = f"/projects/{project.name}/train/jobs"
        job = self._resource.start("train", project.name, path, act, target=label, details=details)
        return self._resource.accepted(request, job)

    def jobs(self, request: Request) -> Answer:
        """ListTrainingJobs: those that are not gone, the newest first."""
        project, at = self._resource.project(request), self._resource.clock()
        found = [
            job
            for job in self._resource.jobs.values()
            if (job.kind, job.project) == ("train", project.name) and not job.is_gone(at)
        ]
        return self._resource.listing(request, [training(job, at) for job in reversed(found)])

    def job(self, request: Request) -> Answer:
        """GetTrainingStatus."""
        job = self._resource.job(request)
        headers = {} if job.is_over else self._resource.later()
        return Answer(body=training(job, self._resource.clock()), headers=headers)

    def cancel(self, request: Request) -> Answer:
        """CancelTrainingJob."""
        job = self._resource.job(request)
        if job.is_over or job.cancelling:
            message = f"The training job is {job.status or 'being cancelled'}, and cannot be cancelled."
            raise refuse(400, "InvalidRequest", message, target="jobId")
        job.cancel(self._resource.clock(), float(self._resource.settings["job_seconds"]))
        return self._resource.accepted(request, job)

    def models(self, request: Request) -> Answer:
        """ListTrainedModels."""
        project = self._resource.project(request)
        return self._resource.listing(request, [model.shown() for model in project.models.values()])

    def model(self, request: Request) -> Answer:
        """GetTrainedModel."""
        return Answer(body=self._resource.project(request).model(request.parts["label"]).shown())

    def delete(self, request: Request) -> Answer:
        """DeleteTrainedModel."""
        project = self._resource.project(request)
        model = project.model(request.parts["label"])
        if serving := [one.name for one in project.deployments.values() if one.model is model]:
            message = f"The trained model '{model.label}' is deployed to '{serving[0]}'."
            raise refuse(409, "Conflict", message, target="trainedModelLabel")
        del project.models[model.label]
        return Answer(204)

    def config_versions(self, request: Request) -> Answer:
        """ListTrainingConfigVersions."""
        return self._resource.listing(request, [dict(one) for one in self.configs()])

    def configs(self) -> list[Mapping[str, str]]:
        """Give the versions of the training, the newest last."""
        usual = {
            "trainingConfigVersion": CONFIG_VERSION,
            "modelExpirationDate": self._resource.day_in(self._resource.settings["model_days"]),
        }
        return [*self._resource.settings["config_versions"]] or [usual]

    def _config(self, version: str) -> Mapping[str, str]:
        found = self.configs()[-1:] if version == LATEST else self.configs()
        config = next((one for one in found if version in {LATEST, one["trainingConfigVersion"]}), None)
        if config is None:
            raise invalid([("trainingConfigVersion", f"'{version}' is no training configuration version.")])
        if self._resource.is_past(config["modelExpirationDate"]):
            message = f"The training configuration version '{config['trainingConfigVersion']}' has expired."
            raise invalid([("trainingConfigVersion", message)])
        return config


def check_mode(project: Project, mode: str) -> None:
    """Refuse a mode that is none, and the one that knows English only where the project has another language."""
    if mode not in MODES:
        raise invalid([("trainingMode", f"'{mode}' is none of {', '.join(MODES)}.")])
    language = str(project.metadata["language"])
    if mode == MODES[0] and (project.metadata.get("multilingual") or not language.lower().startswith("en")):
        several = " (multilingual)" if project.metadata.get("multilingual") else ""
        message = f"Standard training supports English only; the project's language is '{language}'{several}."
        raise invalid([("trainingMode", message)])


def evaluation_options(given: Any) -> dict[str, Any]:
    """Read how the utterances are split."""
    told = dict(given or {})
    kind = told.get("kind", PERCENTAGE)
    parts = ("trainingSplitPercentage", "testingSplitPercentage")
    if kind == MANUAL:
        if any(told.get(part) is not None for part in parts):
            raise invalid([("evaluationOptions", "A manual split has no percentages.")])
        return {"kind": MANUAL}
    if kind != PERCENTAGE:
        raise invalid([("evaluationOptions.kind", f"'{kind}' is none of {PERCENTAGE}, {MANUAL}.")])
    train, test = (told.get(part, usual) for part, usual in zip(parts, (80, 20), strict=True))
    if not isinstance(train, int) or not isinstance(test, int) or train + test != 100 or train < 1 or test < 0:
        raise invalid([("evaluationOptions", f"The percentages {train} and {test} do not add up to 100.")])
    return {"kind": PERCENTAGE, parts[0]: train, parts[1]: test}


def training(job: Job, at: datetime) -> dict[str, Any]:
    """Give a training job as its GET does."""
    part, standing = job.part(at), job.standing(at)
    boundary = job.created + timedelta(seconds=job.seconds * TRAINED)
    over = job.is_over
    first = RUNNING if not over and standing != NOT_STARTED else standing
    second = NOT_STARTED
    if part >= TRAINED or standing in {SUCCEEDED, PARTIAL}:
        first, second = SUCCEEDED, RUNNING if not over else standing
    elif standing == CANCELLED:
        second = CANCELLED
    statuses = {
        "trainingStatus": sub(min(1.0, part / TRAINED), first, job.created, boundary),
        "evaluationStatus": sub(max(0.0, (part - TRAINED) / (1 - TRAINED)), second, boundary, job.ends),
    }
    result: dict[str, Any] = {**job.details, **statuses}
    if standing in {NOT_STARTED, RUNNING}:
        result["estimatedEndDateTime"] = instant(job.created + timedelta(seconds=job.seconds))
    return {**job.shown(at), "result": result}


def sub(part: float, status: str, start: datetime, end: datetime) -> dict[str, Any]:
    """Give how a half of a training stands."""
    found: dict[str, Any] = {"percentComplete": int(part * 100), "status": status}
    if status != NOT_STARTED:
        found["startDateTime"] = instant(start)
    if status in {SUCCEEDED, FAILED, CANCELLED, PARTIAL}:
        found["endDateTime"] = instant(end)
    return found
