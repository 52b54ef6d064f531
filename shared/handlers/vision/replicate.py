"""Replicate: copy a Custom Vision project to a second training resource, and put its storage and published names there.

The token that an export of a project gives is a secret and lasts a day: it is made and used in one look, and never
kept. An import says nothing of why it failed, so that what came of it is counted.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/copy-move-projects
"""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from shared.clients.vision import Iteration, Project
from shared.errors import PermanentError, ReactorError
from shared.handlers.vision import copies, iterations, projects
from shared.handlers.vision.copies import Replica
from shared.permissions import Permission
from shared.policy import Duration
from shared.redaction import tidy
from shared.rules.declared import Names
from shared.stages import Done, Job, Pending, Progress, Stage

COUNTED = ("images", "tags", "regions", "iterations")
LOOKS = 3
"""How often a copy's counts are read until they count: they may lag behind its status."""
LOOKS_IN_VAIN = 8
"""How often in a row a copy is looked for in vain until it is taken for deleted."""
SHOWN_WITHIN = timedelta(minutes=10)
"""How long the replica may take to show what was published there."""
LOOKS_FOR_LEFT = 2
"""How often it is looked whether an import that is to be undone comes late."""


class Vision(BaseModel):
    """Copies a Custom Vision project to its declared replica, and follows the copy until it is whole and published."""

    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, Names("vision", has="replica")] = Field(
        default="{{ vision.project }}", description="A declared project with a replica; by default the event's."
    )
    name: str = Field(
        default="",
        description="What the copy is called; by default as the project. This step's key is put after it.",
        max_length=copies.LONGEST,
    )
    keep: int = Field(
        default=0,
        ge=0,
        description="How many older copies that this step made are kept beside the new one; 0 keeps all.",
    )
    within: Duration = Field(
        default=timedelta(hours=24), description="How long the import may take; then the step fails."
    )


# -- check ------------------------------------------------------------------------------------------------------------


def check(params: Vision, job: Job) -> Progress:
    """Look whether the project can be copied now, and the replica be reached; and what is published of it."""
    where = copies.replica(job, params.project)
    source = where.source
    if holder := job.hold(f"vision:{where.at.endpoint}/{source.project}"):
        return Pending(note=f"action {holder[:8]} is copying the project")
    project = projects.read_project(source, job)
    name = tidy(project.name)
    if project.dr_mode:
        raise PermanentError(
            f"project {name} is a copy for disaster recovery itself, which is read-only", remedy="copy the first one"
        )
    if project.status == "Importing":
        return Pending(note=f"project {name} is being imported")
    there = job.clients.vision.iterations.list(source.at, source.project)
    if running := projects.under_way(there):
        wake_on = f"training:{source.project}/{running.id}"
        return Pending(note=f"waits for {iterations.label(running)}, which is being trained", wake_on=wake_on)
    others = len(job.clients.vision.projects.list(where.at))  # who cannot read the replica need not begin
    live = {one.publish_name: one.name for one in there if one.publish_name}
    told = {"project": source.project, "after": params.name or copies.plain(project.name), "attempt": 1, "live": live}
    warning = "" if params.keep else copies.crowded(others)
    return Done(told, note=f"{len(there)} iterations, {len(live)} of them published{warning}")


# -- copy -------------------------------------------------------------------------------------------------------------


def find(params: Vision, job: Job) -> Progress | None:
    """Look for the copy of an import that was not answered: it is called after this step."""
    where, name = copies.replica(job, params.project), _called(job)
    found = next((one for one in job.clients.vision.projects.list(where.at) if one.name == name), None)
    return _begun(found) if found else None


def start(params: Vision, job: Job) -> Progress:
    """Export the project and import it, in one go: the token is a secret that is nowhere kept."""
    where = copies.replica(job, params.project)
    exported = job.clients.vision.projects.export(where.source.at, where.source.project)
    begun = _begun(job.clients.vision.projects.import_(where.at, exported.token, _called(job)))
    counts = {name: asdict(exported)[name] for name in COUNTED}
    return Done({**begun.result, "exported": counts}, note=_told(counts))


def _called(job: Job) -> str:
    return copies.called(job.result["after"], job.key, job.result["attempt"])


def _begun(copy: Project) -> Done:
    told = {"copy": copy.id, "name": copy.name, "links": {"studio": projects.link(copy.id)}}
    return Done(told, note="the import is under way")


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts[name]:,} {name}" for name in COUNTED)


# -- import -----------------------------------------------------------------------------------------------------------


def watch(params: Vision, job: Job) -> Progress:
    """Look how the import is doing; one that failed is made once more."""
    where, id = copies.replica(job, params.project), job.result["copy"]
    copy = job.clients.vision.projects.read(where.at, id)
    if copy is None:
        missed = job.memory.get("missed", 0) + 1
        if missed < LOOKS_IN_VAIN:
            return Pending(memory={"missed": missed}, note="the copy is not shown yet")
        raise PermanentError(f"the copy {id} is not there any more", remedy="find out who deleted it, then replay")
    if copy.status == "Succeeded":
        return Done(next="compare", note="the import has succeeded")
    if copy.status != "Failed":
        return Pending(memory={"missed": 0}, note=f"the copy is {tidy(copy.status)}")
    if job.result["attempt"] < copies.ATTEMPTS[-1]:
        return Done(note="the import has failed, and is made once more")
    raise PermanentError(
        f"the import has failed twice, and Custom Vision does not say why; of {_exported(job)} {_arrived(where, job)}",
        remedy="look whether the replica's tier has room for that many (F0: 5,000 images, 50 tags), then replay",
    )


def _exported(job: Job) -> str:
    counts = job.result.get("exported")
    return _told(counts) if counts else "what was exported"


def _arrived(where: Replica, job: Job) -> str:
    """Say what there is of a copy that failed, as far as that can be counted."""
    try:
        images = job.clients.vision.images.count(where.at, job.result["copy"])
        tags = len(job.clients.vision.tags.list(where.at, job.result["copy"]))
    except ReactorError:
        return "nothing can be counted there"
    return f"{images:,} images and {tags:,} tags arrived"


def remove(params: Vision, job: Job) -> Progress:
    """Delete the copy whose import failed, and begin again under another name."""
    where = copies.replica(job, params.project)
    job.clients.vision.projects.delete(where.at, job.result["copy"])
    return Done({"attempt": job.result["attempt"] + 1}, next="copy")


# -- compare ----------------------------------------------------------------------------------------------------------


def compare(params: Vision, job: Job) -> Progress:
    """Count what arrived against what was exported, or against what the project has by now."""
    where = copies.replica(job, params.project)
    arrived = _count(where.at, job.result["copy"], job)
    wanted = job.result.get("exported") or _count(where.source.at, where.source.project, job)
    if arrived == wanted:
        return _whole(arrived)
    looks = job.memory.get("looks", 0) + 1
    if looks < LOOKS:
        return Pending(memory={"looks": looks}, note=f"of {_told(wanted)} the copy shows {_told(arrived)}")
    if arrived == _count(where.source.at, where.source.project, job):
        return _whole(arrived)
    missing = ", ".join(f"{arrived[name]:,} of {wanted[name]:,} {name}" for name in COUNTED)
    raise PermanentError(
        f"the copy is not whole: it has {missing}",
        remedy="replay the event to copy it again; back the images up by backup.vision_dataset until that succeeds",
    )


def _count(at: Any, project: str, job: Job) -> dict[str, int]:
    found = asdict(job.clients.vision.projects.export(at, project))
    return {name: found[name] for name in COUNTED}


def _whole(counts: dict[str, int]) -> Done:
    return Done({**counts, "is_whole": True}, note=_told(counts))


def mark(params: Vision, job: Job) -> Progress:
    """Write into the copy's description whose copy it is: from then on it counts as one that may be pruned."""
    where = copies.replica(job, params.project)
    copy = _copy(where, job)
    if not copies.is_marked(copy, where.source.project):
        description = copies.marked(copy.description, where.source.project)
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
    """Delete the oldest whole copies of this project that are more than are kept, one at a time."""
    if not params.keep:
        return Done({"pruned": []}, note=_copied(job))
    where, pruned = copies.replica(job, params.project), list(job.memory.get("pruned", ()))
    for one in _older(where, job)[params.keep :]:
        try:
            copies.delete(job, where.at, one.id)
        except PermanentError as problem:
            return Done({"pruned": pruned}, note=f"{_copied(job)}; an older copy was not deleted: {problem.reason}")
        return Pending(0, memory={"pruned": [*pruned, one.id]}, note=f"{len(pruned) + 1} older copies deleted")
    return Done({"pruned": pruned}, note=f"{_copied(job)}; {len(pruned)} older copies deleted")


def _copied(job: Job) -> str:
    """Say what came of it all: the last note is what is told of the step."""
    where = f"{tidy(job.result['name'])} ({job.result['copy']})"
    return f"{_told({name: job.result[name] for name in COUNTED})} copied to {where}"


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


def undo(params: Vision, job: Job) -> Progress:
    """Delete a copy that is not whole, also one that comes late; a whole one is kept."""
    if job.result.get("is_whole"):
        return Done(note=f"the copy {job.result['copy']} is whole, and kept")
    where = copies.replica(job, params.project)
    left = list(copies.ours(job, where))
    for one in left:
        job.clients.vision.projects.delete(where.at, one.id)
    looks = job.memory.get("looks", 0) + 1
    if left or looks >= LOOKS_FOR_LEFT:
        return Done(note="the copy that is not whole is deleted" if left else "no copy is left")
    return Pending(memory={"looks": looks}, note="looking for a copy that comes late")


_CV = "Microsoft.CognitiveServices/accounts/CustomVision/projects"
PERMISSIONS = {
    Vision: (
        Permission(
            "vision",
            (f"{_CV}/read", f"{_CV}/iterations/read", f"{_CV}/export/read"),
            "to export the project, without a key",
            is_data=True,
        ),
        Permission(
            "vision_replica",
            (
                *(f"{_CV}/{what}" for what in ("read", "write", "delete", "import/action", "export/read")),
                *(f"{_CV}/{what}" for what in ("iterations/read", "images/*/read", "tags/read")),
                *(f"{_CV}/iterations/publish/{what}" for what in ("action", "delete")),
            ),
            "to make, compare, connect, publish and prune copies, without a key",
            is_data=True,
        ),
    )
}
RESULTS = {Vision: ("project", "copy", "name", *COUNTED, "published", "pruned", "links.studio")}
STAGES = {
    Vision: (
        Stage[Vision]("check", start=check, watch=check, effect="reads", within=lambda params: params.within),
        Stage[Vision]("copy", find=find, start=start, named_by="service"),
        Stage[Vision]("import", start=watch, watch=watch, effect="reads", within=lambda params: params.within),
        Stage[Vision]("again", start=remove),
        Stage[Vision]("compare", start=compare, watch=compare, effect="reads"),
        Stage[Vision]("mark", start=mark),
        Stage[Vision]("connect", start=connect),
        Stage[Vision]("publish", start=publish, watch=publish),
        Stage[Vision]("prune", start=prune, watch=prune),
        Stage[Vision]("undo", start=undo, watch=undo, effect="undoes"),
    )
}
