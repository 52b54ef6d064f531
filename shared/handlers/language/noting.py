"""Writes down what was replicated, last of all: whatever dies before that, the next time finds everything equal."""

from datetime import UTC, datetime
from typing import Any

from shared.errors import PermanentError, TemporaryError
from shared.handlers.language import following, keeping, places
from shared.handlers.language.places import Place
from shared.language_content import fingerprint
from shared.replicas import Kept, Proof
from shared.stages import Done, Job, Pending, Progress


def start(_params: Any, job: Job) -> Progress:
    """Have the secondary export what it has in the end; its time is read before, so that no later edit hides."""
    place = places.again(job)
    project = job.clients.language.projects.read(place.secondary, place.project)
    modified = project.modified.isoformat() if project and project.modified else ""
    url = job.clients.language.projects.export(place.secondary, place.project)
    return following.begun(job, url, "the secondary is exported for its hash", modified=modified)


def watch(_params: Any, job: Job) -> Progress:
    """Write the state down, under its ETag."""
    place = places.again(job)
    found = following.look(job, place.secondary, "the export of the secondary")
    if isinstance(found, Pending):
        return found
    if found is None:
        more = following.once_more(job, "the export of the secondary")
        return Done(more, next="note", note="the export is gone, and is made again")
    if not found.is_good:
        raise PermanentError(
            f"the secondary serves it, and cannot be exported: it is {found.status}: {found.why}",
            remedy="replay the event: nothing is trained anew",
        )
    holds = fingerprint(job.clients.language.projects.exported(place.secondary, job.memory["url"]))
    is_edited = holds != job.result["held"]
    before, etag = job.clients.replicas.read(*place.key)
    kept = _kept(place, job, before, _moment("" if is_edited else job.memory["modified"]))
    if not job.clients.replicas.write(*place.key, kept, etag):
        raise TemporaryError("what was replicated is being written by somebody else too")
    job.let_go(place.lock)
    edits = "; somebody edited the project there meanwhile, which is left as it is" * is_edited
    return Done(_told(place, job, kept), note=_note(job) + edits)


def _kept(place: Place, job: Job, before: Kept | None, modified: datetime | None) -> Kept:
    """Say what the secondary is now, and what it is a replica of.

    It holds what was brought there; where that was edited by now no time is said, and the next check tells of it.
    """
    serving = places.serving(job, place.secondary, place.project)
    result = job.result
    is_new = bool(result["slots"]) or before is None
    return Kept(
        name=place.name,
        project=place.project,
        follow=places.of_follow(result["follow"]),
        hashes={label: keeping.holds(job, label) for label in places.labels(result["deployments"])},
        working_hash=keeping.holds_working_copy(job),
        primary_modified=_moment(result["modified"]),
        primary_models=result["served"],
        labels=result["deployments"],
        secondary_modified=modified,
        secondary_models={name: serving[name] for name in result["deployments"] if name in serving},
        secondary_hash=result["held"],
        training=place.options,
        version=result["version"],
        replicated=job.now if before is None or is_new else before.replicated,
        proven=job.now,
        proof=_proof(job, before),
    )


def _proof(job: Job, before: Kept | None) -> Proof:
    asked = job.result.get("proof") or job.result["serves"]
    measured = [one for one in job.result.get("f1", []) if one["intents"] is not None]
    if not measured:
        earlier = before.proof if before else Proof()
        return earlier.model_copy(update={"asked": asked["asked"], "agreed": asked["agreed"]})
    lowest = min(measured, key=lambda one: one["intents"])
    return Proof(
        asked=asked["asked"], agreed=asked["agreed"], intents=lowest["intents"], primary_intents=lowest["primary"]
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _told(place: Place, job: Job, kept: Kept) -> dict[str, Any]:
    """Give what rules read of the step."""
    return {
        "primary": place.primary.host,
        "secondary": place.secondary.host,
        "replicated": job.result.get("done", []),
        "served": dict(kept.secondary_models),
        "agreed": kept.proof.agreed,
        "f1_intents": kept.proof.intents,
    }


def _note(job: Job) -> str:
    trained = job.result.get("done", [])
    slots = job.result.get("kept_slots", [])
    words = (
        f"{', '.join(trained)} trained, proven and deployed" if trained else "nothing had to be trained; proven again"
    )
    return f"{words}; backup {job.result['version']}" + (f"; {', '.join(slots)} keeps what served before" * bool(slots))
