"""Brings what a model was trained from to where it is to serve, and sees that just that has arrived.

An import replaces the project's content, and touches neither its models nor what is deployed. Right before it, and
right before a training, it is looked at what is there: what somebody edits meanwhile is neither lost nor trained from.
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/fail-over
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.errors import PermanentError
from shared.handlers.language import following, keeping, places
from shared.handlers.language.pieces import unlike
from shared.handlers.language.places import Place
from shared.language_content import fingerprint, sizes
from shared.redaction import tidy
from shared.stages import Done, Job, Pending, Progress

TRIES = 2
"""How often an import is made where nothing came of the one before."""
SLACK = timedelta(minutes=2)
"""How far the service's clock may be from ours."""


def next_label(job: Job) -> str:
    """Name the model that is brought next."""
    return str(job.result["todo"][0])


def serves_on(place: Place) -> str:
    """Say that nothing has happened to what serves."""
    return f"the {place.to} serves what it served"


# -- ready ------------------------------------------------------------------------------------------------------------


def is_ready(_params: Any, job: Job) -> Progress:
    """Wait until nothing is trained there, and look whether what is replaced is what was compared, or imported."""
    place = places.again(job)
    if waits := unchanged(place, job):
        return waits
    return Done(note=f"nobody edited the {place.to} meanwhile")


def unchanged(place: Place, job: Job) -> Pending | None:
    """Export once more what is there; None where it is what was seen last, PermanentError where it is not.

    Its times do not tell: a training may count as a change of the project.
    """
    if not job.memory.get("url"):
        if job.clients.language.projects.read(place.at, place.project) is None:
            return None  # there is nothing to lose
        if running := places.running(job.clients.language.models.training_jobs(place.at, place.project)):
            return Pending(following.wait(running, job.now), note=f"waits for the training of {tidy(running.model)}")
        url = job.clients.language.projects.export(place.at, place.project)
        return following.begun(job, url, "looks whether anybody edits there meanwhile")
    found = following.look(job, place.at, f"the export of the {place.to}")
    if isinstance(found, Pending):
        return found
    if found is None:
        gone = int(job.memory.get("gone", 0)) + 1
        if gone >= following.MOST_GONE:
            raise PermanentError(
                f"the export of the {place.to} is gone again and again", remedy="replay the event later"
            )
        return Pending(memory={"url": "", "gone": gone}, note="the export is gone, and is made again")
    if not found.is_good:
        raise PermanentError(
            f"the export of the {place.to} at {place.at.host} ended as {found.status}: {found.why}",
            remedy=f"replay the event; {serves_on(place)}",
        )
    if fingerprint(job.clients.language.projects.exported(place.at, job.memory["url"])) != job.result["held"]:
        raise PermanentError(
            f"somebody edited the project in the {place.to} at {place.at.host} meanwhile, and that is nowhere kept",
            remedy="replay the event once nobody works there: it says what to do with edits, and bills no training "
            f"that is done; {serves_on(place)}",
        )
    return None


# -- import -----------------------------------------------------------------------------------------------------------


def find_import(_params: Any, job: Job) -> Progress | None:
    """After an import that was not answered, look whether the project has changed since."""
    if job.starting_at is None:
        return None
    place = places.again(job)
    project = job.clients.language.projects.read(place.at, place.project)
    has_changed = project is not None and project.modified is not None and project.modified > job.starting_at - SLACK
    told = {"is_imported": False, "import_why": ""}
    return Done(told, note="the project was imported, as it seems") if has_changed else None


def start_import(_params: Any, job: Job) -> Progress:
    """Import what the next model was trained from."""
    place, label = places.again(job), next_label(job)
    content = keeping.content(place, job, label)
    url = job.clients.language.projects.import_(place.at, place.project, content)
    what = f"what {tidy(label)} was trained from" if label else keeping.what("")
    return following.begun(job, url, f"{what} is being imported")


def watch_import(_params: Any, job: Job) -> Progress:
    """Look how the import is doing; whether all of it arrived is looked at next, whatever it says itself."""
    place = places.again(job)
    found = following.look(job, place.at, "the import")
    if isinstance(found, Pending):
        return found
    if found is not None and found.status in ("failed", "cancelled"):
        raise PermanentError(
            f"the import into {place.at.host} ended as {found.status}: {found.why}",
            remedy="correct the project in the region that it comes from, then replay",
        )
    why = found.why if found is not None and not found.is_good else ""
    told = {"import_why": why, "is_imported": found is not None and found.is_good}
    return Done(told, note=f"the import ended as {found.status}" if found else "the import's job is gone")


# -- verify -----------------------------------------------------------------------------------------------------------


def start_verify(_params: Any, job: Job) -> Progress:
    """Have exported what arrived."""
    place = places.again(job)
    if job.clients.language.projects.read(place.at, place.project) is None:
        return _import_again(place, job, "there is no such project")
    url = job.clients.language.projects.export(place.at, place.project)
    return following.begun(job, url, "what arrived is being exported")


def watch_verify(_params: Any, job: Job) -> Progress:
    """Compare what arrived with what was sent.

    What lacks is imported once more, and so is what an import says itself that it did in part, where it left out
    something. What nobody sent is not replaced: an import leaves nothing else.
    """
    place, label = places.again(job), next_label(job)
    found = following.look(job, place.at, "the export of what arrived")
    if isinstance(found, Pending):
        return found
    if found is None:
        more = following.once_more(job, "the export of what arrived")
        return Done(more, next="verify", note="the export is gone, and is made again")
    if not found.is_good:
        raise PermanentError(f"what arrived cannot be exported: {found.why}", remedy="replay the event")
    arrived = job.clients.language.projects.exported(place.at, job.memory["url"])
    sent = keeping.content(place, job, label)
    holds, other = fingerprint(arrived), unlike(sent, arrived)
    if other.foreign and not (other.is_less and job.result.get("import_why")):
        if not job.result["is_imported"] and holds == job.result["held"]:
            return _import_again(place, job, "the project is what it was before")
        raise PermanentError(
            f"the project in the {place.to} at {place.at.host} is not what was imported: it has {tidy(other.foreign)}"
            f"{_said_itself(job)}",
            remedy="look who edits there, and say overwrite_edits: true where it may be replaced: it is kept first; "
            "nothing was trained from it. Where nobody edits, the service changes what it imports: report it",
        )
    job.clients.replicas.note_import(*place.key, holds)
    if other.lacking:
        problem = f"of {sizes(sent)} there are {sizes(arrived)}; it lacks {tidy(other.lacking)}"
        return _import_again(place, job, problem, {"held": holds})
    told: dict[str, Any] = {"imports": 0, "import_why": "", "held": holds, "verified": job.now.isoformat()}
    added = f"; the service added {tidy(other.added)}" if other.added else ""
    if label in job.result["trained"]:
        return Done(told | {"todo": []}, note=f"{sizes(arrived)} arrived{added}; nothing is to be trained", next="plan")
    return Done(told, note=f"{sizes(arrived)} arrived{added}")


def _import_again(place: Place, job: Job, problem: str, told: Mapping[str, Any] | None = None) -> Progress:
    tries = job.result.get("imports", 0) + 1
    if tries < TRIES:
        return Done({**(told or {}), "imports": tries}, next="ready", note=f"{problem}: it is imported once more")
    raise PermanentError(
        f"the import into {place.at.host} is not whole: {problem}{_said_itself(job)}",
        remedy="look whether the project keeps the service's limits, then replay",
    )


def _said_itself(job: Job) -> str:
    """Give what the last import said of itself, where it was not done in whole."""
    return f" ({job.result['import_why']})" if job.result.get("import_why") else ""
