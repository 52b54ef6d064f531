"""Retrain: train a Custom Vision project, and follow the training to its end.

The service chooses the iteration's id, so that of an unanswered start is known by being new. That nothing has changed,
and that a training is under way already, are outcomes and no errors. Nobody can cancel a training.
https://learn.microsoft.com/rest/api/customvision/projects/train
"""

from datetime import timedelta

from shared import endings
from shared.actions import Status
from shared.clients.vision import Iteration, Performance, Refusal, TagPerformance
from shared.errors import PermanentError, ReactorError, TemporaryError
from shared.handlers.vision import iterations, projects, training
from shared.handlers.vision.iterations import Place
from shared.handlers.vision.training import Vision
from shared.permissions import Permission
from shared.redaction import tidy
from shared.stages import Done, End, Job, Pending, Progress, Stage

SLACK = timedelta(minutes=5)
"""By how much our clock and the service's may differ."""
LOOKS = 3
"""How often in a row an iteration is looked for in vain until it is taken for deleted."""
UNREAD = timedelta(minutes=10)
"""How long a performance that cannot be read is asked for again."""
MOST_IN_A_ROW = 3
"""Trainings that rules begin, each for the end of the one before: every one is paid for."""
FOR_EVER = (
    "{} outcomes led to this training, those that rules began before it among them, and it would go on for ever: "
    "give the rules a `limit`, and train by hand meanwhile"
)
THRESHOLD = 0.5
"""The probability from which on a prediction counts, in what is told of the performance."""


# -- check ------------------------------------------------------------------------------------------------------------


def check(params: Vision, job: Job) -> Progress:
    """Look whether the project can be trained now, and with what; and which iterations are there before."""
    if job.depth >= MOST_IN_A_ROW and "vision" in job.event().facts:
        return End(Status.SKIPPED, FOR_EVER.format(job.depth))
    place = iterations.place(job, params.project)
    project = projects.read_project(place, job)
    name = tidy(project.name)
    if project.dr_mode:
        raise PermanentError(
            f"project {name} is a copy for disaster recovery, which is read-only", remedy="train the first one"
        )
    if project.status == "Importing":
        return Pending(note=f"project {name} is being imported")
    found = {"project": place.project, "links": {"studio": projects.link(place.project)}}
    listed = job.clients.vision.iterations.list(place.at, place.project)
    if running := projects.under_way(listed):
        beside = _beside(params, running, place)
        return Done({**found, **beside.result}, beside.note, next=beside.next) if isinstance(beside, Done) else beside
    if sum(one.status != "New" for one in listed) >= projects.CAP:
        raise PermanentError(
            f"project {name} has {projects.CAP} iterations, which is all it may have",
            remedy="delete some: a prune.vision step before this one does so, and keeps what is published",
        )
    tags = training.chosen(params, job.clients.vision.tags.list(place.at, place.project), name)
    empty = training.without_images(params, tags)
    tags = [tag for tag in tags if tag not in empty]
    training.refuse_too_few(tags, "detection" if project.classification is None else "classification", empty)
    is_all = not params.tags and not empty
    found |= {"tags": [] if is_all else [tag.id for tag in tags], "known": [one.id for one in listed]}
    return Done(found, note=training.told(tags, empty))


def _beside(params: Vision, running: Iteration, place: Place) -> Progress:
    """Say what follows where a training is under way that is not ours."""
    name = iterations.label(running)
    if params.under_way == "skip":
        return End(Status.SKIPPED, f"{name} is being trained already")
    if params.under_way == "wait":
        return Pending(note=f"waits for {name}, which is being trained", wake_on=_token(place, running.id))
    return _begun(running, started=False)


# -- train ------------------------------------------------------------------------------------------------------------


def find(params: Vision, job: Job) -> Progress | None:
    """Look for the iteration of a start that was not answered: the first that is new since then."""
    if job.starting_at is None:
        return None
    place = iterations.place(job, params.project)
    since = job.starting_at - SLACK
    listed = job.clients.vision.iterations.list(place.at, place.project)
    new = [one for one in listed if one.id not in job.result["known"] and (one.created is None or one.created >= since)]
    return _begun(min(new, key=projects.age), started=True) if new else None


def start(params: Vision, job: Job) -> Progress:
    """Start the training; that it is not needed, or that there is one already, ends or changes what follows."""
    place = iterations.place(job, params.project)
    answer = job.clients.vision.iterations.train(place.at, place.project, training.wanted(params, job.result["tags"]))
    if not isinstance(answer, Refusal):
        return _begun(answer, started=True)
    if answer.kind == "not_needed":
        return End(Status.SKIPPED, f"nothing has changed since the last training, so none is needed: {answer.said}")
    return _instead(params, place, job)


def _instead(params: Vision, place: Place, job: Job) -> Progress:
    """Turn to the training that is under way, which may be ours where an earlier start was not answered."""
    running = projects.under_way(job.clients.vision.iterations.list(place.at, place.project))
    if running is None:
        raise TemporaryError("a training is under way that is not listed yet, or is just over")
    if job.starting_at is not None and running.id not in job.result["known"]:
        return _begun(running, started=True)
    beside = _beside(params, running, place)
    return Done(note=beside.note, next="check") if isinstance(beside, Pending) else beside


def _begun(one: Iteration, *, started: bool) -> Done:
    name = iterations.label(one)
    note = f"{name} is being trained" if started else f"{name} was being trained already, and is followed"
    return Done({"iteration": one.id, "name": name, "started": started}, note, next="watch")


# -- watch ------------------------------------------------------------------------------------------------------------


def follow(params: Vision, job: Job) -> Progress:
    """Note that the training was begun here, so that what comes of it counts as led here; then look."""
    if job.result["started"]:
        place = iterations.place(job, params.project)
        job.note_begun(endings.answered_once(place.project, job.result["iteration"]))
    return watch(params, job)


def watch(params: Vision, job: Job) -> Progress:
    """Look how the training is doing."""
    place, name = iterations.place(job, params.project), job.result["name"]
    one = job.clients.vision.iterations.read(place.at, place.project, job.result["iteration"])
    if one is None:
        return _not_seen(job)
    if one.is_good:
        return Done({"name": iterations.label(one), "minutes": one.minutes}, note=f"{iterations.label(one)} is trained")
    if not one.is_over:
        return Pending(memory={"vain": 0}, note=f"{name} is {tidy(one.status)}", wake_on=_token(place, one.id))
    why = job.clients.vision.iterations.why_failed(place.at, place.project, one.id)
    raise PermanentError(
        f"the training of {name} failed" + (f": {why}" if why else ""),
        remedy=f"see {projects.link(place.project)}; where no reason is told, train once more",
    )


def _not_seen(job: Job) -> Progress:
    vain = job.memory.get("vain", 0) + 1
    if vain >= LOOKS:
        raise PermanentError(
            f"{job.result['name']} is gone: somebody deleted it while it was trained", remedy="replay the event"
        )
    return Pending(memory={"vain": vain}, note=f"{job.result['name']} cannot be seen")


def _token(place: Place, iteration: str) -> str:
    return f"training:{place.project}/{iteration}"


# -- performance ------------------------------------------------------------------------------------------------------


def measure(params: Vision, job: Job) -> Progress:
    """Read what the iteration achieves; it is trained all the same where that cannot be read."""
    place = iterations.place(job, params.project)
    try:
        found = job.clients.vision.iterations.performance(
            place.at, place.project, job.result["iteration"], threshold=THRESHOLD
        )
    except ReactorError as problem:
        if isinstance(problem, TemporaryError) and job.now < job.began + UNREAD:
            raise
        unread = {"performance": dict.fromkeys(MEASURES), "worst_tag": dict.fromkeys(("name", *MEASURES))}
        return Done(unread, note=f"its performance could not be read: {problem.reason}")
    worst = min(found.tags, key=_worth, default=None)
    told = {"name": tidy(worst.name) if worst else None} | _measures(worst)
    note = f"precision {found.precision:.3f}, recall {found.recall:.3f}"
    return Done({"performance": _measures(found), "worst_tag": told}, note)


MEASURES = ("precision", "recall", "average_precision")


def _measures(found: Performance | TagPerformance | None) -> dict[str, float | None]:
    return {name: getattr(found, name, None) for name in MEASURES}


def _worth(tag: TagPerformance) -> tuple[float, float]:
    """Say how good a tag is, to sort by: by its average precision, else by the lesser of precision and recall."""
    lesser = min(tag.precision, tag.recall)
    return (lesser if tag.average_precision is None else tag.average_precision, lesser)


# -- leave ------------------------------------------------------------------------------------------------------------


def leave(params: Vision, job: Job) -> Progress:
    """Say of a step that ends early that its training goes on, if it does: nobody can cancel one."""
    if "known" not in job.result and "iteration" not in job.result:
        return Done()
    try:
        place = iterations.place(job, params.project)
        running = projects.under_way(job.clients.vision.iterations.list(place.at, place.project))
    except ReactorError:
        return Done(note="a training that was begun goes on: Custom Vision cancels none")
    ours = job.result.get("iteration")
    if running is None or ours not in (None, running.id):
        return Done()
    return Done(note=f"the training of {iterations.label(running)} goes on: Custom Vision cancels none")


_CV = "Microsoft.CognitiveServices/accounts/CustomVision/projects"
PERMISSIONS = {
    Vision: (
        Permission(
            "vision",
            (f"{_CV}/read", f"{_CV}/iterations/read", f"{_CV}/tags/read", f"{_CV}/train/action"),
            "to train a project and watch it, without a key",
            is_data=True,
        ),
        Permission("vision", (f"{_CV}/train/advanced/action",), "to train it as advanced", is_data=True, given="type"),
        Permission(
            "vision",
            (f"{_CV}/iterations/performance/read",),
            "to tell what a training achieved",
            is_data=True,
            optional=True,
        ),
    )
}
RESULTS = {
    Vision: (
        *("project", "iteration", "name", "started", "minutes"),
        *(f"performance.{name}" for name in MEASURES),
        *(f"worst_tag.{name}" for name in ("name", *MEASURES)),
        "links.studio",
    )
}
STAGES = {
    Vision: (
        Stage[Vision]("check", start=check, watch=check, effect="reads", within=training.longest),
        Stage[Vision]("train", find=find, start=start, named_by="service"),
        Stage[Vision]("watch", start=follow, watch=watch, effect="reads", within=training.longest),
        Stage[Vision]("performance", start=measure, effect="reads"),
        Stage[Vision]("leave", start=leave, effect="undoes"),
    )
}
