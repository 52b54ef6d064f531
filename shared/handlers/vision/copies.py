"""Copies of a Custom Vision project on its replica's training resource: how they are called, found and deleted.

A copy's name ends with the key of the step that made it, and one that is whole says in its description whose copy it
is. Nothing that lacks either is ever deleted by another step.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.clients.vision import Project, Resource
from shared.clients.vision.remedies import LIMITS
from shared.errors import PermanentError
from shared.handlers.vision import iterations
from shared.handlers.vision.iterations import Place
from shared.rules.declared import VisionReplica
from shared.stages import Job

SUFFIX = re.compile(r" \(reactor [0-9a-f]{12}(?: 2)?\)\Z")
MARK = re.compile(r"\s*\[ML Reactor's copy of [0-9a-f-]{36}\]")
ATTEMPTS = (1, 2)
CROWDED = 0.9
"""Of the projects that a resource may have: so many are worth a word where all copies are kept."""
LONGEST = 75
"""Characters of a name that a copy is called after: with its suffix it has 100 at most."""


@dataclass(frozen=True, slots=True)
class Replica:
    """Where a project is copied from, and where to."""

    source: Place
    at: Resource
    about: VisionReplica


def replica(job: Job, given: str) -> Replica:
    """Find a declared project and its replica; PermanentError where that is none."""
    source = iterations.place(job, given, needs="replica")
    about = source.about.replica
    if about is None:
        raise PermanentError(
            f'the project "{given}" is declared without a replica',
            remedy="give it `replica`: the training resource, best in another region, that copies go to",
        )
    at = Resource.of(about.training)
    if at.has(source.at.endpoint):
        raise PermanentError(
            f'the replica of "{given}" is its own training resource', remedy="declare another training resource"
        )
    return Replica(source, at, about)


def plain(name: str) -> str:
    """Give the name that copies are called after: that of a copy is its first one's."""
    return SUFFIX.sub("", name)[:LONGEST].rstrip()


def called(name: str, key: str, attempt: int) -> str:
    """Name the copy of an attempt: whoever repeats it finds what is there."""
    return f"{name} (reactor {key[:12]}{f' {attempt}' if attempt > 1 else ''})"


def marked(description: str, project: str) -> str:
    """Write into a description whose copy it is of."""
    return f"{MARK.sub('', description)} {_mark(project)}".lstrip()


def is_marked(copy: Project, project: str) -> bool:
    """Tell whether a project is a whole copy of this one, made by us."""
    return bool(SUFFIX.search(copy.name)) and _mark(project) in copy.description


def ours(job: Job, where: Replica) -> Iterator[Project]:
    """List what this step made, in whatever attempt."""
    names = {called(job.result["after"], job.key, attempt) for attempt in ATTEMPTS}
    yield from (one for one in job.clients.vision.projects.list(where.at) if one.name in names)


def delete(job: Job, at: Resource, copy: str) -> None:
    """Delete a copy, with what is published of it."""
    for one in job.clients.vision.iterations.list(at, copy):
        if one.publish_name:
            job.clients.vision.iterations.unpublish(at, copy, one.id)
    job.clients.vision.projects.delete(at, copy)


def crowded(projects: int) -> str:
    """Say, as the end of a note, that a resource of so many projects has room for few more copies; else "".

    Its tier is not known: the smaller one says so itself, for it is full with two.
    """
    most = LIMITS["projects"][1]
    if projects < CROWDED * most:
        return ""
    return f"; the replica has {projects} of {most} projects at most, and every copy is kept: `keep` says how many"


def _mark(project: str) -> str:
    return f"[ML Reactor's copy of {project}]"
