"""Makes a whole copy of a project, or none: exports and imports it, counts what arrived, and deletes what is not whole.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/copy-move-projects
"""

from dataclasses import asdict

from shared.clients.vision import Project
from shared.counting import how_many
from shared.errors import PermanentError, ReactorError
from shared.handlers.vision import iterations, projects
from shared.handlers.vision.replicate import copies
from shared.handlers.vision.replicate.copies import COUNTED, Replica
from shared.handlers.vision.replicate.params import Vision
from shared.redaction import tidy
from shared.stages import Done, Job, Pending, Progress

LOOKS = 3
"""How often a copy's counts are read until they count: they may lag behind its status."""
LOOKS_IN_VAIN = 8
"""How often in a row a copy is looked for in vain until it is taken for deleted."""
LOOKS_FOR_LEFT = 2
"""How often it is looked whether an import that is to be undone comes late."""

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
    return Done(told, note=f"{how_many(len(there), 'iteration')}, {len(live)} of them published{warning}")


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
    return Done({**begun.result, "exported": counts}, note=copies.told(counts))


def _called(job: Job) -> str:
    return copies.called(job.result["after"], job.key, job.result["attempt"])


def _begun(copy: Project) -> Done:
    told = {"copy": copy.id, "name": copy.name, "links": {"studio": projects.link(copy.id)}}
    return Done(told, note="the import is under way")


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
    return copies.told(counts) if counts else "what was exported"


def _arrived(where: Replica, job: Job) -> str:
    """Say what there is of a copy that failed, as far as that can be counted."""
    try:
        images = job.clients.vision.images.count(where.at, job.result["copy"])
        tags = len(job.clients.vision.tags.list(where.at, job.result["copy"]))
    except ReactorError:
        return "nothing can be counted there"
    return f"{how_many(images, 'image')} and {how_many(tags, 'tag')} arrived"


def remove(params: Vision, job: Job) -> Progress:
    """Delete the copy whose import failed, and begin again under another name."""
    where = copies.replica(job, params.project)
    job.clients.vision.projects.delete(where.at, job.result["copy"])
    return Done({"attempt": job.result["attempt"] + 1}, next="copy")


# -- compare ----------------------------------------------------------------------------------------------------------


def compare(params: Vision, job: Job) -> Progress:
    """Count what arrived against what was exported, or against what the project has by now."""
    where = copies.replica(job, params.project)
    arrived = copies.count(job, where.at, job.result["copy"])
    wanted = job.result.get("exported") or copies.count(job, where.source.at, where.source.project)
    if arrived == wanted:
        return _whole(arrived)
    looks = job.memory.get("looks", 0) + 1
    if looks < LOOKS:
        return Pending(memory={"looks": looks}, note=f"of {copies.told(wanted)} the copy shows {copies.told(arrived)}")
    if arrived == copies.count(job, where.source.at, where.source.project):
        return _whole(arrived)
    missing = ", ".join(f"{arrived[name]:,} of {wanted[name]:,} {name}" for name in COUNTED)
    raise PermanentError(
        f"the copy is not whole: it has {missing}",
        remedy="replay the event to copy it again; back the images up by backup.vision_dataset until that succeeds",
    )


def _whole(counts: dict[str, int]) -> Done:
    return Done({**counts, "is_whole": True}, note=copies.told(counts))


# -- undo -------------------------------------------------------------------------------------------------------------


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
