"""Makes a whole copy ready to stand in: it is marked, connected and published, and older ones make room.

https://learn.microsoft.com/rest/api/customvision/iterations/publish
"""

from datetime import datetime, timedelta

from shared.clients.vision import Iteration, Project
from shared.counting import how_many
from shared.errors import PermanentError
from shared.handlers.vision.replicate import copies
from shared.handlers.vision.replicate.copies import COUNTED, Replica
from shared.handlers.vision.replicate.params import Vision
from shared.redaction import tidy
from shared.stages import Done, Job, Pending, Progress

SHOWN_WITHIN = timedelta(minutes=10)
"""How long the replica may take to show what was published there."""


# -- mark -------------------------------------------------------------------------------------------------------------


def mark(params: Vision, job: Job) -> Progress:
    """Write into the copy's description whose copy it is: from then on it counts as one that may be pruned."""
    where = copies.replica(job, params.project)
    copy = _copy(where, job)
    if not copies.is_marked(copy, where.source.project):
        counts = {name: job.result[name] for name in COUNTED}
        description = copies.marked(copy.description, where.source.project, counts, job.now)
        job.clients.vision.projects.describe(where.at, copy.id, description)
    return Done()


def _copy(where: Replica, job: Job) -> Project:
    found = job.clients.vision.projects.read(where.at, job.result["copy"])
    if found is None:
        raise PermanentError("the copy is not there any more", remedy="find out who deleted it, then replay")
    return found


# -- connect and publish ----------------------------------------------------------------------------------------------


def connect(params: Vision, job: Job) -> Progress:
    """Tell the copy where its notifications and exports go, where that is declared."""
    where = copies.replica(job, params.project)
    wanted = {"queue": where.about.queue, "container": where.about.container}
    if not any(wanted.values()):
        return Done(note="no storage is declared for the replica")
    job.clients.vision.projects.connect(where.at, job.result["copy"], **wanted)
    return Done(note=f"connected with its {' and '.join(name for name, uri in wanted.items() if uri)}")


def publish(params: Vision, job: Job) -> Progress:
    """Publish on the replica what is published of the project, under the same names, and look until it is shown."""
    where, live = copies.replica(job, params.project), job.result["live"]
    prediction = where.about.prediction
    if not live or prediction is None:
        why = f"{', '.join(live)} not published: no prediction resource is declared for the replica" if live else ""
        return Done({"published": []}, note=why)
    there = {one.name: one for one in job.clients.vision.iterations.list(where.at, job.result["copy"])}
    if missing := [f"{name} ({iteration})" for name, iteration in live.items() if iteration not in there]:
        raise PermanentError(
            f"the copy has no iteration to publish as {tidy(', '.join(missing))}", remedy="publish another one by hand"
        )
    late = [name for name in live if not _is_shown(there[live[name]], name, prediction.resource)]
    if not late:
        return Done({"published": [*live]}, note=f"published as {tidy(', '.join(live))}")
    since = job.memory.get("since") or job.now.isoformat()  # when it was published first, which a crash may put off
    if job.now >= datetime.fromisoformat(since) + SHOWN_WITHIN:
        raise PermanentError(
            f"{tidy(', '.join(late))} was published, and is not shown as that", remedy="replay the event"
        )
    for name in late:
        iteration = there[live[name]].id
        job.clients.vision.iterations.publish(
            where.at, job.result["copy"], iteration, name, prediction.resource, overwrite=True
        )
    return Pending(memory={"since": since}, note=f"{len(live) - len(late)} of {len(live)} published")


def _is_shown(one: Iteration, name: str, resource: str) -> bool:
    return (one.publish_name, one.published_on.lower()) == (name, resource.lower())


# -- prune and undo ---------------------------------------------------------------------------------------------------


def prune(params: Vision, job: Job) -> Progress:
    """Delete the oldest whole copies of this project that are more than are kept, one at a time.

    One stays that alone has something published under a name: whoever asks for that would go without an answer. One
    that somebody uses as a project of its own stays, too: nobody could bring it back.
    """
    if not params.keep:
        return Done({"pruned": []}, note=_copied(job))
    where, pruned = copies.replica(job, params.project), list(job.memory.get("pruned", ()))
    try:
        gone, stays = _make_room(where, _older(where, job)[params.keep :], job)
    except PermanentError as problem:
        return Done({"pruned": pruned}, note=f"{_copied(job)}; an older copy was not deleted: {problem.reason}")
    if gone:
        return Pending(0, memory={"pruned": [*pruned, gone]}, note=_deleted(len(pruned) + 1))
    left = "".join(f"; {why}" for why in stays)
    return Done({"pruned": pruned}, note=f"{_copied(job)}; {_deleted(len(pruned))}{left}")


def _make_room(where: Replica, older: list[Project], job: Job) -> tuple[str, list[str]]:
    """Delete the first of some copies that may go; give its id, "" for none, and why others stay."""
    ours = {one.publish_name for one in copies.published(job, where.at, job.result["copy"])} if older else set()
    alone: set[str] = set()
    stays: list[str] = []
    for one in older:
        live = copies.published(job, where.at, one.id)
        if names := {found.publish_name for found in live} - ours:
            alone |= names
        elif why := copies.in_use(job, where.at, one):
            stays.append(f"{tidy(one.name)} stays: {tidy(why)}")
        else:
            copies.delete(job, where.at, one.id, live)
            return one.id, stays
    if alone:
        stays.append(f"what alone is published as {tidy(', '.join(sorted(alone)))} stays")
    return "", stays


def _deleted(number: int) -> str:
    return f"{how_many(number, 'older copy', 'older copies')} deleted"


def _copied(job: Job) -> str:
    """Say what came of it all: the last note is what is told of the step."""
    where = f"{tidy(job.result['name'])} ({job.result['copy']})"
    return f"{copies.told({name: job.result[name] for name in COUNTED})} copied to {where}"


def _older(where: Replica, job: Job) -> list[Project]:
    """List the whole copies that are older than ours, the newest first; one whose age is not said is left alone."""
    listed = {one.id: one for one in job.clients.vision.projects.list(where.at)}
    ours = listed.get(job.result["copy"])
    if ours is None or ours.created is None:
        return []

    def age(one: Project) -> datetime:
        assert one.created is not None
        return one.created

    of_us = (one for one in listed.values() if copies.is_marked(one, where.source.project) and one.id != ours.id)
    return sorted((one for one in of_us if one.created and one.created < ours.created), key=age, reverse=True)
