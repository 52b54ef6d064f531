"""Takes the name for an iteration, only from an older one and under a lock, and gives it back where that went wrong.

https://learn.microsoft.com/rest/api/customvision/iterations/publish
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from shared.actions import Status
from shared.clients.vision import Iteration
from shared.errors import PermanentError
from shared.handlers.vision import iterations
from shared.handlers.vision.iterations import Place
from shared.handlers.vision.publish.params import Vision
from shared.redaction import tidy
from shared.stages import Done, End, Job, Pending, Progress

SHOWN_WITHIN = timedelta(minutes=10)
"""How long Custom Vision may take to show what it was told to publish."""
GOES_BACK = "goes_back"
"""In the results before the first stage: a person says that a newer iteration is to be replaced. No rule can say so."""
LOOKS = 2
"""How often it is looked whether a publishing that is to be undone comes late."""


# -- check ------------------------------------------------------------------------------------------------------------


def check(params: Vision, job: Job) -> Progress:
    """Take the name once the iteration is trained, and look whether it may have it: only from an older one."""
    place = iterations.place(job, params.project, needs="prediction")
    prediction, id = place.about.prediction, iterations.read_id(params.iteration)
    if prediction is None:
        raise PermanentError(
            f'the project "{params.project}" is declared without a prediction resource',
            remedy="give it `prediction`: the ARM id of the prediction resource to publish to",
        )
    lock = iterations.names_lock(place.project)
    if waits := _trains(_trained(id, place, job)[0], place):
        return waits  # for a training, which may take days: meanwhile the name is anybody's
    if holder := job.hold(lock):
        return Pending(note=f"waits for action {holder}, which publishes an iteration of the project, or deletes some")
    ours, there = _trained(id, place, job)
    if waits := _trains(ours, place):
        job.let_go(lock)
        return waits
    live = iterations.live(there, params.name)
    if not ours.is_good:
        raise PermanentError(
            f"{iterations.label(ours)} is {tidy(ours.status)}, and cannot be published", remedy="train it again"
        )
    if why := _why_not(ours, live, place, params, job):
        return End(Status.SKIPPED, why)
    if ours.publish_name not in ("", params.name):
        raise PermanentError(
            f"{iterations.label(ours)} is published as {tidy(ours.publish_name)}, and an iteration has one name only",
            remedy=f"unpublish it there first: `reactor vision unpublish {params.project} --name "
            f"{tidy(ours.publish_name)}`; or publish it under that name",
        )
    was = {"id": live.id, "label": iterations.label(live), "resource": live.published_on} if live else {}
    told = {"project": place.project, "iteration": id, "name": params.name, "label": iterations.label(ours)}
    told |= {"resource": prediction.resource, "previous": live.id if live else ""}
    note = f"{was['label']} is published as {params.name}" if was else f"nothing is published as {params.name} yet"
    return Done({**told, "was": was, "taking": False}, note)


def _trained(id: str, place: Place, job: Job) -> tuple[Iteration, list[Iteration]]:
    """Read the iteration, and all there are; PermanentError where it was deleted."""
    there = job.clients.vision.iterations.list(place.at, place.project)
    ours = iterations.pick(there, id)
    if ours is None:
        raise _deleted(f"iteration {id}")
    return ours, there


def _trains(ours: Iteration, place: Place) -> Pending | None:
    """Wait for a training that is not over."""
    if ours.is_over:
        return None
    wake_on = f"training:{place.project}/{ours.id}"
    return Pending(note=f"{iterations.label(ours)} is {tidy(ours.status)}", wake_on=wake_on)


def _why_not(ours: Iteration, live: Iteration | None, place: Place, params: Vision, job: Job) -> str:
    """Say why the iteration is not to take the name; "" where it is."""
    if live is not None and iterations.is_newer(live, ours) and not job.result.get(GOES_BACK):
        newer = f"{iterations.label(live)}, which was trained later than {iterations.label(ours)},"
        return f"a newer iteration is live: {newer} is published as {params.name}"
    at = iterations.live_at(place.project, params.name)
    for told in job.steps.values():
        if not isinstance(told, Mapping) or told.get("compared_at") != at or live is None or live.id == ours.id:
            continue
        if told.get("compared_with") != live.id:
            return f"{iterations.label(live)} is live by now, with which no gate has compared it: replay the event"
    return ""


def _deleted(what: str) -> PermanentError:
    return PermanentError(f"{what} is not there any more", remedy="find out who deleted it; train again if need be")


# -- publish ----------------------------------------------------------------------------------------------------------


def find(params: Vision, job: Job) -> Progress | None:
    """Look whether it is published already, on the declared resource; PermanentError where it was deleted."""
    return _shown(_there(params, job), job)


def claim(params: Vision, job: Job) -> Progress:
    """Note that it is about to take the name, unless another one has that by now: then it is looked anew.

    Whoever has it now has it no more where the service takes it away, and fails before it gives it to ours.
    """
    return _by_now(_there(params, job), job) or Done({"taking": True})


def _by_now(there: list[Iteration], job: Job) -> Done | None:
    """Look anew where something else is published than when it was looked."""
    live = iterations.live(there, job.result["name"])
    if (live.id if live else "") == job.result["previous"]:
        return None
    other = iterations.label(live) if live else "nothing"
    return Done(next="check", note=f"{other} is published as {job.result['name']} by now")


def start(params: Vision, job: Job) -> Progress:
    """Publish it, unless somebody has published another one since; where none is, we may have taken the name away."""
    result, there = job.result, _there(params, job)
    is_ours = result.get("taking") and iterations.live(there, result["name"]) is None
    if not is_ours and (changed := _by_now(there, job)):
        return changed
    _publish(result["iteration"], result["resource"], params, job)
    shown = _shown(_there(params, job), job)
    return shown or Pending(
        memory={"put": job.now.isoformat()}, note=f"{result['label']} is not shown as published yet"
    )


def watch(params: Vision, job: Job) -> Progress:
    """Look until Custom Vision shows it as published."""
    if found := _shown(_there(params, job), job):
        return found
    put = datetime.fromisoformat(job.memory["put"]) if "put" in job.memory else job.began
    if job.now < put + SHOWN_WITHIN:
        return Pending(note=f"{job.result['label']} is not shown as published yet")
    raise PermanentError(
        f"{job.result['label']} was published as {job.result['name']}, and is not shown as that",
        remedy="find out whether somebody has unpublished it, then replay the event",
    )


def _shown(there: list[Iteration], job: Job) -> Done | None:
    ours = iterations.pick(there, job.result["iteration"])
    if ours is None:
        raise _deleted(job.result["label"])
    wanted = (job.result["name"], job.result["resource"].lower())
    is_shown = (ours.publish_name, ours.published_on.lower()) == wanted
    return Done({"taking": False}, note=published(job)) if is_shown else None


def _there(params: Vision, job: Job) -> list[Iteration]:
    """Read what there is by now."""
    place = iterations.place(job, params.project)
    return job.clients.vision.iterations.list(place.at, place.project)


def _publish(id: str, resource: str, params: Vision, job: Job) -> None:
    """Give the name to an iteration; doing it twice is doing it once."""
    place, name = iterations.place(job, params.project), job.result["name"]
    job.clients.vision.iterations.publish(place.at, place.project, id, name, resource, overwrite=True)


def published(job: Job) -> str:
    """Say that it is published."""
    return f"{job.result['label']} is published as {job.result['name']}"


# -- undo -------------------------------------------------------------------------------------------------------------


def undo(params: Vision, job: Job) -> Progress:
    """Give the name back to the iteration that had it, or to none; what somebody else published meanwhile stays."""
    result, there = job.result, _there(params, job)
    was, name, live = result["was"], result["name"], iterations.live(there, result["name"])
    resource = was["resource"] or result["resource"] if was and iterations.pick(there, was["id"]) else ""
    looks = job.memory.get("looks", 0) + 1
    if live is None and resource and result.get("taking"):
        _publish(was["id"], resource, params, job)  # and it is looked again: ours may still come late
        return Pending(
            memory={"looks": looks}, note=f"{name} was nobody's any more, and is given back to {was['label']}"
        )
    if live is None or live.id != result["iteration"]:
        left = _left(live, was, name)
        return Done(note=left) if looks >= LOOKS else Pending(memory={"looks": looks}, note=left)
    if resource:
        if (live.id, live.published_on.lower()) != (was["id"], resource.lower()):
            _publish(was["id"], resource, params, job)
        return Done(note=f"{was['label']} is published as {name} as before")
    place = iterations.place(job, params.project)
    job.clients.vision.iterations.unpublish(place.at, place.project, live.id)
    gone = f"{was['label']}, which was published before, was deleted meanwhile: " if was else ""
    return Done(note=f"{gone}nothing is published as {name}")


def _left(live: Iteration | None, was: Mapping[str, str], name: str) -> str:
    """Say what is live, where that is not ours."""
    if live is None:
        return f"nothing is published as {name}" + (": somebody has unpublished it" if was else "")
    if was and live.id == was["id"]:
        return f"{was['label']} is published as {name} as before"
    return f"{iterations.label(live)} is left, which somebody else has published as {name}"
