"""Looks whether a project can be brought somewhere, before anything is made there.

https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/service-limits
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from shared.clients.language import Model
from shared.counting import how_many
from shared.errors import DeniedError, PermanentError, ReactorError
from shared.handlers.language import places
from shared.handlers.language.places import Place
from shared.redaction import tidy
from shared.stages import Done, Job, Pending, Progress


def hold(place: Place, job: Job) -> Pending | None:
    """Take the lock of where the project is brought to; something to wait for where another action has it."""
    holder = job.hold(place.lock)
    if not holder:
        return None
    return Pending(note=f"waits for action {holder[:8]}, which brings the project there, or brings it back")


def check_names(place: Place, staging: str) -> None:
    """Refuse staging slots that cannot be called so, or that are deployments of their own."""
    for deployment in place.about.deployments:
        slot = places.slot(deployment, staging)
        if len(slot) > places.LONGEST_NAME:
            raise PermanentError(
                f'the staging slot "{slot}" has {len(slot)} characters, and {places.LONGEST_NAME} are allowed',
                remedy='give a shorter `staging`, or staging: "" to do without',
            )
        if slot in place.about.deployments:
            raise PermanentError(
                f'the staging slot of {deployment} would be "{slot}", which is a deployment of its own',
                remedy="give another `staging`",
            )


def check_mode(place: Place, language: str, *, multilingual: bool) -> None:
    """Refuse the standard mode for what is not English: the service would, after it was imported."""
    if place.options.mode == "standard" and (multilingual or language.lower().partition("-")[0] != "en"):
        what = "is multilingual" if multilingual else f"is in {tidy(language) or 'a language that is not said'}"
        raise PermanentError(
            f"mode: standard trains English only, and the project {what}",
            remedy="say mode: advanced in the project's `training`",
        )


def target(params: Any, job: Job) -> Progress:
    """Look at where the project is brought to: whether it trains just now, and has room for what will be made."""
    place = places.again(job)
    which, at = place.to, place.at
    if job.result["deployments"]:
        _check_config(place, job)
        _check_role(place, job)
    there = places.read_project(job, at, place.project, which)
    told: dict[str, Any] = {"exists": there is not None, "was": {}, "there": {}, "began": job.now.isoformat()}
    if there is None:
        _check_deployments(place, job, (), params.staging)
        return Done(told, note=f"the {which} has no such project yet")
    if running := places.running(job.clients.language.models.training_jobs(at, place.project)):
        what = f"model {tidy(running.model)}" if running.model else "a model"
        return Pending(note=f"waits for the training of {what} in the {which}, which somebody else began")
    models = job.clients.language.models.list(at, place.project)
    serving = places.serving(job, at, place.project)
    _check_models(place, models, serving, places.labels(job.result["deployments"]))
    _check_deployments(place, job, serving, params.staging)
    usable = {model.label: model.id for model in models if not _is_past(model.expires, job)}
    told |= {"was": serving, "there": usable}
    return Done(
        told, note=f"the {which} has {how_many(len(models), 'model')} and {how_many(len(serving), 'deployment')}"
    )


def _check_config(place: Place, job: Job) -> None:
    """Refuse a training configuration that the service has not, or no more."""
    wanted = place.options.config_version
    versions = job.clients.language.models.config_versions(place.at)
    if wanted == "latest":
        return
    found = next((one for one in versions if one.version == wanted), None)
    good = ", ".join(sorted(one.version for one in versions if not _is_past(one.expires, job))) or "none"
    if found is None:
        raise PermanentError(
            f"{place.at.host} has no training configuration {wanted}",
            remedy=f"say config_version: latest in the project's `training`, or one of: {good}",
        )
    if _is_past(found.expires, job):
        raise PermanentError(
            f"models of the training configuration {wanted} expired on {found.expires:%Y-%m-%d}",
            remedy=f"say config_version: latest in the project's `training`, or one of: {good}",
        )


def _check_role(place: Place, job: Job) -> None:
    """Find out before a training is paid for whether the identity may deploy: by deleting what is not there.

    Who may not is refused for that, whatever there is. Any other answer is none, and the deployment will show.
    https://learn.microsoft.com/azure/ai-services/language-service/concepts/role-based-access-control
    """
    if place.at.key.strip():
        return
    try:
        job.clients.language.deployments.delete(place.at, place.project, f"reactor-may-deploy-{job.key[:8]}")
    except DeniedError:
        raise
    except ReactorError:
        return


def _is_past(moment: datetime | None, job: Job) -> bool:
    return moment is not None and moment <= job.now


def _check_models(place: Place, models: list[Model], serving: Mapping[str, str], wanted: list[str]) -> None:
    labels = {model.label for model in models}
    new = [label for label in wanted if label not in labels]
    if new and len(labels) + len(new) > places.MOST_MODELS:
        idle = sorted(model.label for model in models if model.id not in serving.values())
        raise PermanentError(
            f"the {place.to} has {len(labels)} models of {places.MOST_MODELS} at most, and {', '.join(new)} would come",
            remedy=f"delete models there that nothing serves: {', '.join(idle) or 'there is none'}",
        )


def _check_deployments(place: Place, job: Job, serving: Collection[str], staging: str) -> None:
    """Count before anything is made: a project has ten deployments at most, and slots are some."""
    wanted = set(job.result["deployments"])
    slots = {places.slot(name, staging) for name in wanted} - {""}
    all_ = set(serving) | wanted | slots
    if len(all_) <= places.MOST_DEPLOYMENTS:
        return
    spare = sorted(set(serving) - wanted - slots)
    raise PermanentError(
        f"the {place.to} would have {len(all_)} deployments, and {places.MOST_DEPLOYMENTS} are allowed: "
        f"{len(serving)} are there, {len((wanted | slots) - set(serving))} would come",
        remedy=f"delete deployments there that nobody needs ({', '.join(spare) or 'there is none'}), "
        'declare fewer, or say staging: "" to do without slots',
    )
