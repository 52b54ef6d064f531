"""Copies of a Custom Vision project on its replica's training resource: how they are called, found and deleted.

A copy's name ends with the key of the step that made it, and one that is whole says in its description whose copy it
is, since when, and what was in it then. What lacks either, is declared, or was changed since, no other step deletes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from shared.clients.vision import Iteration, Project, Resource
from shared.clients.vision.remedies import LIMITS
from shared.counting import how_many
from shared.errors import PermanentError
from shared.handlers import declared
from shared.handlers.vision import iterations
from shared.handlers.vision.iterations import Place
from shared.rules.declared import GUID, VisionProject, VisionReplica
from shared.stages import Job

COUNTED = ("images", "tags", "regions", "iterations")
"""What is counted of a project, as its copy's results name it."""
SUFFIX = re.compile(r" \(reactor [0-9a-f]{12}(?: 2)?\)\Z")
MARK = re.compile(r"\s*\[ML Reactor's copy of (?P<of>[0-9a-f-]{36})(?:, (?P<at>[0-9: -]+) UTC: (?P<counts>[^\]]*))?\]")
WRITTEN = "%Y-%m-%d %H:%M"
MADE_READY = timedelta(days=1)
"""For so long after it was marked a copy is changed by us: it is connected, and published."""
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


def marked(description: str, project: str, counts: Mapping[str, int], now: datetime) -> str:
    """Write into a description whose copy it is of, since when, and what is in it."""
    mark = f"[ML Reactor's copy of {project}, {now.astimezone(UTC):{WRITTEN}} UTC: {told(counts)}]"
    return f"{MARK.sub('', description)} {mark}".lstrip()


def is_marked(copy: Project, project: str) -> bool:
    """Tell whether a project is a whole copy of this one, made by us."""
    mark = MARK.search(copy.description)
    return bool(SUFFIX.search(copy.name)) and mark is not None and mark["of"] == project


def in_use(job: Job, at: Resource, copy: Project) -> str:
    """Say what tells that a marked copy is used as a project of its own; "" where nothing does.

    PermanentError where a declared project's id cannot be told: it might be this one's.
    """
    for name, about in job.declared.vision.items():
        if _declared_id(job, name, about) == copy.id:
            return f'it is declared as "{name}"'
    mark = MARK.search(copy.description)
    since = _read(mark["at"]) if mark else None
    if mark is None or since is None:
        return "its mark does not say what was in it"
    if copy.modified is not None and copy.modified > since + MADE_READY:
        return f"it was changed on {copy.modified:%Y-%m-%d}, after it was made"
    has = told(count(job, at, copy.id))
    return "" if has == mark["counts"] else f"it had {mark['counts']}, and has {has}"


def _declared_id(job: Job, name: str, about: VisionProject) -> str:
    id = str(job.resolve(about.project))
    if not GUID.fullmatch(id):
        raise PermanentError(f"vision.{name}.project is no project's id", remedy="correct the setting")
    return declared.guid(id)


def _read(written: str | None) -> datetime | None:
    """Read when a copy was marked; None where a person has changed that."""
    try:
        return datetime.strptime(written or "", WRITTEN).replace(tzinfo=UTC)
    except ValueError:
        return None


def count(job: Job, at: Resource, project: str) -> dict[str, int]:
    """Count what is in a project."""
    found = asdict(job.clients.vision.projects.export(at, project))
    return {name: found[name] for name in COUNTED}


def ours(job: Job, where: Replica) -> Iterator[Project]:
    """List what this step made, in whatever attempt."""
    names = {called(job.result["after"], job.key, attempt) for attempt in ATTEMPTS}
    yield from (one for one in job.clients.vision.projects.list(where.at) if one.name in names)


def published(job: Job, at: Resource, copy: str) -> list[Iteration]:
    """List what is published of a copy."""
    return [one for one in job.clients.vision.iterations.list(at, copy) if one.publish_name]


def delete(job: Job, at: Resource, copy: str, published: Sequence[Iteration]) -> None:
    """Delete a copy, with what is published of it."""
    for one in published:
        job.clients.vision.iterations.unpublish(at, copy, one.id)
    job.clients.vision.projects.delete(at, copy)


def told(counts: Mapping[str, int]) -> str:
    """Say what there is, by its counts.

    >>> told({"images": 1_000, "tags": 2, "regions": 0, "iterations": 1})
    '1,000 images, 2 tags, 0 regions, 1 iteration'
    """
    return ", ".join(how_many(counts[name], name.removesuffix("s")) for name in COUNTED)


def crowded(projects: int) -> str:
    """Say, as the end of a note, that a resource of so many projects has room for few more copies; else "".

    Its tier is not known: the smaller one says so itself, for it is full with two.
    """
    most = LIMITS["projects"][1]
    if projects < CROWDED * most:
        return ""
    return f"; the replica has {projects} of {most} projects at most, and every copy is kept: `keep` says how many"
