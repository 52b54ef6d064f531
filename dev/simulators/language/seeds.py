"""Projects that were there before a test began, what is done to them by hand, and what a state shows.

The top of this package says what a seed may hold.
"""

import copy
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from dev.simulators.language.assets import CONVERSATION, exported, imported, turned, wrong_assets
from dev.simulators.language.classifier import NONE
from dev.simulators.language.refusals import name_of
from dev.simulators.language.resource import Deployment, Model, Project, Resource
from dev.simulators.language.settings import NEWEST
from dev.simulators.language.texts import UTF16
from dev.simulators.language.training import Asked, Trainings, evaluation_options, trained, training
from dev.simulators.wire import RefusedError, moment

OF_PROJECT = {
    "name", "language", "multilingual", "description", "threshold", "intents", "entities", "utterances", "models",
    "deployments", "created", "modified", "exported",
}  # fmt: skip
OF_MODEL = {"label", "id", "expires", "evaluationOptions", "trained", "snapshot", "evaluation"}
OF_EDIT = {"project", "utterances", "forget", "intents", "entities", "description"}
AGE = timedelta(minutes=5)
"""How long before the seed a seeded project was made."""


def project_of(resource: Resource, given: Mapping[str, Any]) -> Project:
    """Give a project as a seed tells of it, over defaults; ValueError where it would be no project."""
    known(given, OF_PROJECT)
    made = resource.clock() - AGE
    whole = given.get("exported") or {
        "projectFileVersion": NEWEST,
        "stringIndexType": UTF16,
        "metadata": {
            "projectKind": CONVERSATION,
            "projectName": given["name"],
            "language": given.get("language", "en-us"),
            "multilingual": given.get("multilingual", False),
            "description": given.get("description", ""),
            "settings": {"confidenceThreshold": given.get("threshold", 0.0)},
        },
        "assets": completed({"projectKind": CONVERSATION, **{kind: [*given.get(kind, ())] for kind in KINDS}}),
    }
    try:
        copied = imported(name_of(whole["metadata"]["projectName"], "projectName"), NEWEST, whole)
    except RefusedError as refused:
        raise ValueError(refused.answer.body["error"]["message"]) from refused
    created = moment(given["created"]) if "created" in given else made
    project = Project(*copied, created, moment(given["modified"]) if "modified" in given else created)
    for one in given.get("models", ()):
        model = model_of(resource, project, {"label": one} if isinstance(one, str) else one)
        project.models[model.label] = model
        project.trained = model.trained
    for name, label in given.get("deployments", {}).items():
        deploy(resource, project, {"name": name, "model": label})
    return project


KINDS = ("intents", "entities", "utterances")


def completed(assets: dict[str, Any]) -> dict[str, Any]:
    """Give assets with the intents and entities that the utterances name, each as an object."""
    for kind in ("intents", "entities"):
        assets[kind] = [{"category": one} if isinstance(one, str) else dict(one) for one in assets[kind]]
    for one in assets["utterances"]:
        add(assets["intents"], one["intent"])
        for entity in one.get("entities", ()):
            add(assets["entities"], entity["category"])
    return assets


def add(held: list[dict[str, Any]], name: str) -> None:
    """Add a category where it is not there."""
    if name != NONE and all(one["category"] != name for one in held):
        held.append({"category": name})


def model_of(resource: Resource, project: Project, given: Mapping[str, Any]) -> Model:
    """Train a model of a project, and give it what is told of it."""
    known(given, OF_MODEL)
    at = moment(given["trained"]) if "trained" in given else project.created
    config, options = Trainings(resource).configs()[-1], evaluation_options(given.get("evaluationOptions"))
    model = trained(project.copied(), Asked(given["label"], options, config, given.get("evaluation") or {}), at)
    model.id = given.get("id", model.id)
    model.expires = given.get("expires", model.expires)
    if not given.get("snapshot", True):
        model.snapshot = None
    return model


def deploy(resource: Resource, project: Project, given: Mapping[str, Any]) -> None:
    """Deploy a model of a project, at once."""
    known(given, {"project", "name", "model", "expires"})
    at = max(project.models[given["model"]].trained, project.created)
    expires = given.get("expires") or resource.day_in(resource.settings["deployment_days"])
    deployment = Deployment(given["name"], project.models[given["model"]], at, expires)
    project.deployments[deployment.name] = deployment
    project.deployed = at


def edit(resource: Resource, given: Mapping[str, Any]) -> None:
    """Change the working copy of a project by hand."""
    known(given, OF_EDIT)
    project = resource.projects[given["project"]]
    assets = exported(*project.copied(), NEWEST, UTF16, shuffled=False)["assets"]
    forgotten = set(given.get("forget", ()))
    if missing := forgotten - {one["text"] for one in assets["utterances"]}:
        raise ValueError(f"{sorted(missing)}: no such utterances")
    assets["utterances"] = [one for one in assets["utterances"] if one["text"] not in forgotten]
    for kind in KINDS:
        assets[kind] += copy.deepcopy([*given.get(kind, ())])
    completed(assets)
    if wrong := wrong_assets(assets, UTF16):
        raise ValueError(f"{wrong[0][0]}: {wrong[0][1]}")
    project.assets = turned(assets, UTF16)
    project.metadata["description"] = given.get("description", project.metadata.get("description", ""))
    project.modified = resource.clock()


def known(given: Mapping[str, Any], names: set[str]) -> None:
    """Refuse a member that is none."""
    if unknown := set(given) - names:
        raise ValueError(f"{sorted(unknown)}: none of {sorted(names)}")


def state_of(resource: Resource) -> dict[str, Any]:
    """Give the state of a resource."""
    at: datetime = resource.clock()
    return {
        "projects": [
            {
                **project.shown(),
                "exported": exported(*project.copied(), NEWEST, UTF16, shuffled=False),
                "models": {model.label: model.shown() for model in project.models.values()},
                "deployments": {one.name: one.shown(NEWEST) for one in project.deployments.values()},
            }
            for project in resource.projects.values()
        ],
        "jobs": [
            {"kind": job.kind, "project": job.project, "target": job.target}
            | (training(job, at) if job.kind == "train" else job.shown(at))
            for job in resource.jobs.values()
        ],
    }
