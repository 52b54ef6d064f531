"""Trains what was imported where it is to serve, one distinct model after another, and judges how well it does.

https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/train-model
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.clients.language import Evaluation, Model, Resource, Training
from shared.clients.language import Job as ServiceJob
from shared.errors import PermanentError, ReactorError, TemporaryError
from shared.handlers.language import following, keeping, places
from shared.handlers.language.importing import SLACK, next_label, unchanged
from shared.handlers.language.places import Place
from shared.redaction import tidy
from shared.replicas import Trained
from shared.stages import Done, Job, Pending, Progress

TRIES = 2
"""How often a training is made where nothing came of the one before."""
SHOWN_WITHIN = timedelta(minutes=10)
"""How long a model may take to be shown, or its evaluation, once its training is over."""
NOT_THE_CONTENT = frozenset(
    word.lower()
    for word in (
        *("Unauthorized", "Forbidden", "NotFound", "ProjectNotFound", "OperationNotFound", "Conflict"),
        *("TooManyRequests", "QuotaExceeded", "InternalServerError", "ServiceUnavailable", "Timeout"),
    )
)
"""What a training fails for that has nothing to do with what it is trained from: it may do well the next time.

https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/get-training-status/get-training-status#errorcode
"""


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
    note_training(place, job, _training(place, job, label).model_copy(update={"begun": job.now}))
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
    helps = "replay the event"
    if found.status == "cancelled":
        helps = "begin it again by replaying the event"
    elif _is_for_its_content(found):
        note_training(place, job, _training(place, job, label, failed=found.why))
        helps = f"correct what is labelled where it comes from, then replay; {ONCE}, unless you say force: true"
        helps = "take another version" if job.result.get("from_backup") else helps
    raise PermanentError(
        f"the training of {tidy(label)} at {place.at.host} ended as {found.status}: {found.why}", remedy=helps
    )


def _is_for_its_content(found: ServiceJob) -> bool:
    """Tell whether a training failed for what it was to be trained from: from the same it would again."""
    codes = {error.partition(":")[0].strip().lower() for error in found.errors}
    return bool(codes) and not codes & NOT_THE_CONTENT


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
        remedy="look at the project's training jobs in Language Studio",
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
            remedy="replay the event",
        )
    noted = _training(place, job, label, model=model.id)
    note_training(place, job, noted)  # before anything else is read: whatever comes of that, it was paid for
    found = measure(place, job, noted)
    if isinstance(found, Pending):
        return found
    done = found.training
    note_training(place, job, done)  # also what did badly
    words = _judge(place, found)
    told = {
        "todo": job.result["todo"][1:],
        "trained": {**job.result["trained"], label: model.id},
        "imports": 0,
        "trainings": 0,
        "f1": [*job.result.get("f1", []), {"label": label, "intents": done.intents, "primary": done.primary_intents}],
        "done": [*job.result.get("done", []), label],
    }
    return Done(told, note=words, next="ready" if told["todo"] else "")


def _training(place: Place, job: Job, label: str, *, model: str = "", failed: str = "") -> Trained:
    """Say what was trained, of which nothing is known yet but that, or why nothing came of it."""
    holds = keeping.holds(job, label) if place.to == "secondary" else ""
    left = job.result["held"]
    return Trained(label=label, model=model, hash=holds, left=left, options=place.options, failed=failed)


def what_came_of(place: Place, job: Job, begun: Trained) -> Trained | None:
    """Find the model of a training whose end nobody saw, and note it; None where that cannot be told for sure.

    Whoever waited for it died, or went away: it was paid for all the same.
    """
    assert begun.begun is not None
    if begun.label not in job.result["there"]:
        return None
    since = begun.begun - SLACK
    models = job.clients.language.models.list(place.at, place.project)
    model = next((one for one in models if one.label == begun.label), None)
    jobs = [
        one
        for one in job.clients.language.models.training_jobs(place.at, place.project)
        if one.model == begun.label and one.created is not None and one.created >= since
    ]
    if model is None or model.trained is None or model.trained < since or len(jobs) != 1:
        return None
    if not (jobs[0].is_good or _is_trained(jobs[0])):
        return None
    done = begun.model_copy(update={"model": model.id, "begun": None})
    note_training(place, job, done)
    return done


def note_training(place: Place, job: Job, done: Trained) -> None:
    """Remember what came of a training in the secondary; what is brought back to the primary is always trained anew."""
    if place.to == "secondary":
        job.clients.replicas.note_training(*place.key, done)


@dataclass(frozen=True, slots=True)
class Measured:
    """How well a model does, as far as that can be read."""

    training: Trained
    unread: str = ""
    """Why its own evaluation cannot be read, "" where it can, or where there is none."""
    incomparable: str = ""
    """Why that of the model that it is made after cannot be read, "" where it can, or where there is none."""

    def worse(self, margin: float) -> str:
        """Say in what it does worse than the model that it is made after, "" where it does well enough."""
        why = self.training.worse(margin)
        return f"{why} ({tidy(self.unread)})" if why and self.unread and self.training.intents is None else why


def measure(place: Place, job: Job, noted: Trained) -> Measured | Pending:
    """Read how well a model does that was trained, and the one that it is made after; what to wait for, if anything.

    Nothing of it is billed. What was known before is not forgotten where it cannot be read any more.
    """
    label, is_early = noted.label, job.now < job.began + SHOWN_WITHIN
    theirs, incomparable, late = _reference(place, job, label)
    if late and is_early:
        return Pending(late.after, note=f"the evaluation of {tidy(label)} in the primary is waited for: {late}")
    try:
        ours, unread = _evaluation(job, place.at, place.project, {"label": label, "id": noted.model}), ""
    except PermanentError as problem:  # a training may be whole though its evaluation failed
        ours, unread = None, problem.reason
    if ours is None and theirs is not None and is_early:
        return Pending(note=f"the evaluation of {tidy(label)} is not shown yet{f': {unread}' * bool(unread)}")
    found: dict[str, float | None] = {}
    if ours is not None:
        found |= {"intents": ours.intents_macro_f1, "entities": ours.entities_macro_f1}
    if theirs is not None:
        found |= {"primary_intents": theirs.intents_macro_f1, "primary_entities": theirs.entities_macro_f1}
    return Measured(noted.model_copy(update=found), unread, incomparable)


def _evaluation(job: Job, at: Resource, project: str, of: Mapping[str, str]) -> Evaluation | None:
    """Read the evaluation of a model, None where it has none; PermanentError where the label has another one by now.

    It goes by label: only where that has the same model afterwards, it was of that one all the time between.
    """
    found = job.clients.language.models.evaluation(at, project, of["label"])
    models = job.clients.language.models.list(at, project)
    now = next(
        ({"label": one.label, "id": one.id, "trained": str(one.trained)} for one in models if one.label == of["label"]),
        {},
    )
    if any(now.get(name) != value for name, value in of.items()):
        raise PermanentError(f"{tidy(of['label'])} was trained again there meanwhile, or deleted")
    return found


def _reference(place: Place, job: Job, label: str) -> tuple[Evaluation | None, str, TemporaryError | None]:
    """Read how well the model does where it comes from, None where nobody says: it may be lost, or another one.

    Where it cannot be read, the second says why, and the third what may pass: who cannot be reached is why there is a
    second region.
    """
    if place.to == "primary" or job.result.get("from_backup") or not keeping.is_deployed(job, label):
        return None, "", None
    of = {"label": label, "id": job.result["models"][label], "trained": job.result["trained_at"][label]}
    try:
        return _evaluation(job, place.primary, place.project, of), "", None
    except ReactorError as problem:
        return None, problem.reason, problem if isinstance(problem, TemporaryError) else None


def _judge(place: Place, found: Measured) -> str:
    """Put into words how well a model does; PermanentError where that is not well enough."""
    label, done = tidy(found.training.label), found.training
    if why := found.worse(place.about.proof.margin):
        raise PermanentError(f"{label} does worse in the {place.to}: {why}", remedy=DID_BADLY)
    told = [
        f"{what} {mine:.3f} against {other:.3f}"
        for what, mine, other in done.measured
        if mine is not None and other is not None
    ]
    if told:
        return f"macro F1 of {label}: {', '.join(told)}"
    if found.incomparable:
        return f"{label}: not compared by evaluation, for the primary's cannot be read: {tidy(found.incomparable)}"
    return f"{label}: no evaluation to compare with" + (f": {tidy(found.unread)}" if found.unread else "")


ONCE = "it is not trained from the same once more, which would be billed"
DID_BADLY = (
    f"{ONCE}: label or split it otherwise, allow a larger `margin` in `proof` where it did badly, or say force: true "
    "to train it anew"
)


def began(job: Job) -> datetime:
    """Say since when this step may have begun trainings."""
    return datetime.fromisoformat(job.result.get("verified") or job.result["began"]) - SLACK
