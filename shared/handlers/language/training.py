"""Trains what was imported where it is to serve, one distinct model after another, and judges how well it does.

https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/train-model
"""

from datetime import datetime, timedelta
from typing import Any

from shared.clients.language import Evaluation, Model, Training
from shared.clients.language import Job as ServiceJob
from shared.errors import PermanentError, ReactorError, TemporaryError
from shared.handlers.language import following, keeping, places
from shared.handlers.language.importing import SLACK, next_label, serves_on, unchanged
from shared.handlers.language.places import Place
from shared.redaction import tidy
from shared.replicas import Trained
from shared.stages import Done, Job, Pending, Progress

TRIES = 2
"""How often a training is made where nothing came of the one before."""
SHOWN_WITHIN = timedelta(minutes=10)
"""How long a model may take to be shown, or its evaluation, once its training is over."""


# -- train ------------------------------------------------------------------------------------------------------------


def is_free(_params: Any, job: Job) -> Progress:
    """Wait until nothing is trained there, for a project trains one model at a time; what was verified is still there.

    A training takes what is there when it begins.
    """
    place = places.again(job)
    if waits := unchanged(place, job):
        return waits
    models = job.clients.language.models.list(place.at, place.project)
    before = next((model for model in models if model.label == next_label(job)), None)
    return Done({"before": _told(before)})


def _told(model: Model | None) -> list[str]:
    """Tell a model from one of the same label that is trained later."""
    return [model.id, model.trained.isoformat() if model.trained else ""] if model else []


def find_training(_params: Any, job: Job) -> Progress | None:
    """After a start that was not answered, look for a training of this label that began since."""
    if job.starting_at is None:
        return None
    place, label = places.again(job), next_label(job)
    for one in job.clients.language.models.training_jobs(place.at, place.project):
        if one.model == label and one.created is not None and one.created >= job.starting_at - SLACK:
            return following.begun(job, one.url, f"{tidy(label)} is being trained")
    return None


def start_training(_params: Any, job: Job) -> Progress:
    """Train the model. One of the same label is replaced, which touches nothing that is deployed."""
    place, label, options = places.again(job), next_label(job), places.again(job).options
    split = options.evaluation
    shares = {} if split.train is None or split.test is None else {"train": split.train, "test": split.test}
    wanted = Training(label, options.mode, options.config_version, split.kind, **shares)
    url = job.clients.language.models.train(place.at, place.project, wanted)
    billed = ", which is billed" if options.mode == "advanced" else ""
    return following.begun(job, url, f"{tidy(label)} is being trained in mode {options.mode}{billed}")


def watch_training(_params: Any, job: Job) -> Progress:
    """Look how the training is doing; it is made again only where nothing came of a job that is gone."""
    place, label = places.again(job), next_label(job)
    found = following.look(job, place.at, f"the training of {tidy(label)}")
    if isinstance(found, Pending):
        return found
    if found is None:
        return _gone(place, job, label)
    if found.is_good or _is_trained(found):
        note = f"{tidy(label)} is trained" + ("" if found.is_good else f", its evaluation is not whole: {found.why}")
        return Done(note=note)
    helps = "begin it again by replaying the event" if found.status == "cancelled" else "correct it, then replay"
    raise PermanentError(
        f"the training of {tidy(label)} at {place.at.host} ended as {found.status}: {found.why}",
        remedy=f"{helps}; {serves_on(place)}",
    )


def _is_trained(found: ServiceJob) -> bool:
    return found.status == "partiallyCompleted" and found.training_status == "succeeded"


def _gone(place: Place, job: Job, label: str) -> Progress:
    """Judge a job that the service has forgotten by the model that it made, or did not."""
    models = job.clients.language.models.list(place.at, place.project)
    now = next((model for model in models if model.label == label), None)
    if _told(now) != job.result["before"] and now is not None:
        return Done(note=f"the training's job is gone, and {tidy(label)} is trained")
    tries = job.result.get("trainings", 0) + 1
    if tries < TRIES:
        return Done({"trainings": tries}, next="free", note="the training's job is gone with nothing done: once more")
    raise PermanentError(
        f"the training of {tidy(label)} at {place.at.host} is gone, and has made no model",
        remedy=f"look at the project's training jobs in Language Studio; {serves_on(place)}",
    )


# -- evaluate ---------------------------------------------------------------------------------------------------------


def evaluate(_params: Any, job: Job) -> Progress:
    """Compare how well the model does with how well it does where it comes from."""
    place, label = places.again(job), next_label(job)
    models = job.clients.language.models.list(place.at, place.project)
    model = next((one for one in models if one.label == label), None)
    if model is None or _told(model) == job.result["before"]:
        if job.now < job.began + SHOWN_WITHIN:
            return Pending(note=f"{tidy(label)} is not shown as trained yet")
        raise PermanentError(
            f"{tidy(label)} was trained at {place.at.host}, and is not shown as that",
            remedy=f"replay the event; {serves_on(place)}",
        )
    ours = job.clients.language.models.evaluation(place.at, place.project, label)
    theirs, unread = _reference(place, job, label)
    if isinstance(unread, TemporaryError) and job.now < job.began + SHOWN_WITHIN:
        return Pending(unread.after, note=f"the evaluation of {tidy(label)} in the primary is waited for: {unread}")
    if ours is None and theirs is not None and job.now < job.began + SHOWN_WITHIN:
        return Pending(note=f"the evaluation of {tidy(label)} is not shown yet")
    done = Trained(
        label=label,
        model=model.id,
        hash=keeping.holds(job, label) if place.to == "secondary" else "",
        left=job.result["held"],
        options=place.options,
        intents=ours.intents_macro_f1 if ours else None,
        primary_intents=theirs.intents_macro_f1 if theirs else None,
        entities=ours.entities_macro_f1 if ours else None,
        primary_entities=theirs.entities_macro_f1 if theirs else None,
    )
    if place.to == "secondary":
        job.clients.replicas.note_training(*place.key, done)  # also what did badly: it was paid for
    words = _judge(place, label, done, unread.reason if unread else "")
    told = {
        "todo": job.result["todo"][1:],
        "trained": {**job.result["trained"], label: model.id},
        "imports": 0,
        "trainings": 0,
        "f1": [*job.result.get("f1", []), {"label": label, "intents": done.intents, "primary": done.primary_intents}],
        "done": [*job.result.get("done", []), label],
    }
    return Done(told, note=words, next="ready" if told["todo"] else "")


def _reference(place: Place, job: Job, label: str) -> tuple[Evaluation | None, ReactorError | None]:
    """Read how well the model does where it comes from, None where nobody says: it may be lost, or another one.

    Where it cannot be read, the second says why: who cannot be reached is why there is a second region.
    """
    if place.to == "primary" or job.result.get("from_backup") or not keeping.is_deployed(job, label):
        return None, None
    try:
        return job.clients.language.models.evaluation(place.primary, place.project, label), None
    except ReactorError as problem:
        return None, problem


def _judge(place: Place, label: str, done: Trained, unread: str) -> str:
    if why := done.worse(place.about.proof.margin):
        raise PermanentError(
            f"{tidy(label)} does worse in the {place.to}: {why}", remedy=f"{DID_BADLY}; {serves_on(place)}"
        )
    told = [
        f"{what} {mine:.3f} against {other:.3f}"
        for what, mine, other in done.measured
        if mine is not None and other is not None
    ]
    if not told and unread:
        return f"{tidy(label)}: not compared by evaluation, for the primary's cannot be read: {tidy(unread)}"
    if not told:
        return f"{tidy(label)}: no evaluation to compare with"
    return f"macro F1 of {tidy(label)}: {', '.join(told)}"


DID_BADLY = (
    "it is not trained from the same once more, which would be billed: label or split it otherwise, allow a larger "
    "`margin` in `proof`, or say force: true to train it anew"
)


def began(job: Job) -> datetime:
    """Say since when this step may have begun trainings."""
    return datetime.fromisoformat(job.result.get("verified") or job.result["began"]) - SLACK
