"""Looks whether a project can be brought somewhere, before anything is made there."""

from datetime import datetime
from typing import Any

from shared.counting import how_many
from shared.errors import CrowdedError, DeniedError, PermanentError, ReactorError
from shared.handlers.language import places, room, slots
from shared.handlers.language.places import Place
from shared.redaction import tidy
from shared.stages import Done, Job, Pending, Progress

LIFECYCLE = "https://learn.microsoft.com/azure/ai-services/language-service/concepts/model-lifecycle"


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
    """Look at where the project is brought to: whether it trains just now, and has room for what will be made.

    Whether the identity may deploy is looked at last of all, for that is asked by a write.
    """
    place = places.again(job)
    which, at = place.to, place.at
    if job.result["deployments"]:
        _check_config(place, job)
    there = places.read_project(job, at, place.project, which)
    told: dict[str, Any] = {"exists": there is not None, "was": {}, "there": {}, "began": job.now.isoformat()}
    if there is None:
        room.check_deployments(place, job, (), params.staging)
        _check_role(place, job)
        return Done(told, note=f"the {which} has no such project yet")
    if running := places.running(job.clients.language.models.training_jobs(at, place.project)):
        what = f"model {tidy(running.model)}" if running.model else "a model"
        return Pending(note=f"waits for the training of {what} in the {which}, which somebody else began")
    models = job.clients.language.models.list(at, place.project)
    serving = places.serving(job, at, place.project)
    gone = room.check_models(place, job, models, serving, places.labels(job.result["deployments"]))
    room.check_deployments(place, job, serving, params.staging)
    wanted = [slot for name in job.result["deployments"] if (slot := places.slot(name, params.staging))]
    over = slots.check(place, job, wanted, serving, may_overwrite=params.overwrite_edits)
    usable = {model.label: model.id for model in models if not _is_past(model.expires, job)}
    told |= {"was": serving, "there": usable}
    _check_role(place, job)
    words = [f"the {which} has {how_many(len(models), 'model')} and {how_many(len(serving), 'deployment')}"]
    words += [f"{tidy(', '.join(model.label for model in gone))} will be deleted for room"] if gone else []
    words += [over] if over else []
    return Done(told, note="; ".join(words))


def _check_config(place: Place, job: Job) -> None:
    """Refuse a training configuration that the service has not, or no more."""
    wanted = place.options.config_version
    versions = job.clients.language.models.config_versions(place.at)
    good = sorted(one.version for one in versions if not _is_past(one.expires, job))
    if versions and not good:
        last = max(one.expires for one in versions if one.expires is not None)
        raise PermanentError(
            f"each training configuration that {place.at.host} lists has expired, the last one on {last:%Y-%m-%d}: "
            "what is trained with it answers nothing",
            remedy=f"nothing is trained until the service lists a newer one there ({LIFECYCLE}); where another region "
            "has one, declare a resource of that region",
        )
    if wanted == "latest":
        return
    found = next((one for one in versions if one.version == wanted), None)
    remedy = f"say config_version: latest in the project's `training`, or one of: {', '.join(good) or 'none'}"
    if found is None:
        raise PermanentError(f"{place.at.host} has no training configuration {wanted}", remedy=remedy)
    if _is_past(found.expires, job):
        raise PermanentError(
            f"models of the training configuration {wanted} expired on {found.expires:%Y-%m-%d}", remedy=remedy
        )


def _check_role(place: Place, job: Job) -> None:
    """Find out before a training is paid for whether the identity may deploy: by deleting what is not there.

    Who may not is refused for that, whatever there is. Where we ourselves have asked too much just now, it is asked
    later. Any other answer is none, and the deployment will show.
    https://learn.microsoft.com/azure/ai-services/language-service/concepts/role-based-access-control
    """
    if not job.result["deployments"] or place.at.key.strip():
        return
    try:
        job.clients.language.deployments.delete(place.at, place.project, f"reactor-may-deploy-{job.key[:8]}")
    except (DeniedError, CrowdedError):
        raise
    except ReactorError:
        return


def _is_past(moment: datetime | None, job: Job) -> bool:
    return moment is not None and moment <= job.now
