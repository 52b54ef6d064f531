"""Delete old backups of a project's models: all but the newest iterations, and never one that is published now.

What goes is decided once, from the store and from what Custom Vision says is published. Where that cannot be read,
nothing is deleted.
"""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.clients.vision import Resource
from shared.errors import DeniedError, PermanentError, ReactorError, TemporaryError
from shared.handlers import declared
from shared.handlers.backups import second_copy
from shared.permissions import Permission
from shared.policy import Duration
from shared.rules.addresses import ContainerUrl
from shared.rules.declared import Doubtful, Fixed, Names
from shared.stages import Done, Job, Pending, Progress, Stage
from shared.storage.backups import Backup, Store

AT_ONCE = 20
"""Backups that are deleted before a function returns."""
READERS = 8
"""Manifests that are read at once: there may be thousands."""
SLICE = 8 * READERS
"""Manifests that are read between two glances at the clock."""
SECONDS = 20.0
"""A look begins no further slice later than this."""
LEFTOVER = timedelta(days=7)
"""How long what is not whole is left alone: the action that was copying it may be replayed."""


class Backups(BaseModel):
    """Deletes old backups of a project."""

    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, Names("vision")] = Field(
        default="{{ vision.project }}", description="A declared project; by default the event's."
    )
    keep: int = Field(default=10, ge=1, description="How many iterations stay, those that were backed up last.")
    older_than: Duration | None = Field(
        default=None, description="Of the others, only those go that were backed up longer ago."
    )
    second: Annotated[ContainerUrl | None, Fixed(), Doubtful(second_copy.no_secret)] = Field(
        default=None, description="The URL of the second container, where the same is done; with a SAS it is a setting."
    )
    if_gone: Literal["keep", "prune"] = Field(
        default="keep",
        description="What becomes of the backups of a project that Custom Vision does not have any more.",
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup, and when it was made."""

    backup: Backup
    written: datetime


# -- list -------------------------------------------------------------------------------------------------------------


def list_backups(params: Backups, job: Job) -> Progress:
    """Read when each backup was made, some at a time; then decide what goes."""
    project, about = declared.vision(job, params.project)
    published = _published(Resource.of(about.training), project, job)
    written = {place: dict(times) for place, times in job.memory.get("written", {}).items()}
    listed: dict[str, list[Backup]] = {}
    until = time.monotonic() + SECONDS
    for place, store in _stores(params, job).items():
        listed[place] = list(store.list(project))
        if left := _read(listed[place], store, written.setdefault(place, {}), until):
            return Pending(0, memory={"written": written}, note=f"{left} manifests to read")
    told: dict[str, Any] = {"project": project}
    notes = []
    for place, backups in listed.items():
        found = [_kept(one, written[place]) for one in backups]
        is_left = published is None and params.if_gone == "keep"
        goes = set() if is_left else old(found, published or frozenset(), params, job.now)
        folders = [one.backup.folder for one in found]
        told[place] = {
            "deleted": [folder for folder in folders if folder in goes],
            "kept": [folder for folder in folders if folder not in goes],
        }
        where = "" if place == "own" else " in the second container"
        notes.append(f"{len(goes)} to delete, {len(found) - len(goes)} stay{where}")
    if published is None:
        notes.append(f"Custom Vision has no such project any more, and if_gone is {params.if_gone}")
    return Done(told, "; ".join(notes))


def _published(at: Resource, project: str, job: Job) -> frozenset[str] | None:
    """Read which iterations are published now; None where there is no such project any more."""
    vision = job.clients.vision
    try:
        if vision.projects.read(at, project) is None:
            return None
        return frozenset(one.id for one in vision.iterations.list(at, project) if one.publish_name)
    except ReactorError as problem:
        raise _blind(problem) from None


def _blind(problem: ReactorError) -> ReactorError:
    """Say what a problem means here; it is as temporary as it was."""
    reason = f"nothing is deleted, for what is published cannot be read: {problem.reason}"
    if isinstance(problem, DeniedError):
        return DeniedError(reason, after=problem.after, remedy=problem.remedy)
    if isinstance(problem, TemporaryError):
        return TemporaryError(reason, after=problem.after)
    return PermanentError(reason, remedy=problem.remedy if isinstance(problem, PermanentError) else "")


def _stores(params: Backups, job: Job) -> dict[str, Store]:
    """Give the app's own store, and the second one where there is one, by the name of their results."""
    backups = job.clients.backups
    return {"own": backups.own} | ({"second": backups.elsewhere(params.second)} if params.second else {})


def _read(backups: Iterable[Backup], store: Store, written: dict[str, str], until: float) -> int:
    """Read when backups were made, by their folders, until it has taken long; return how many are left."""
    todo = [one.folder for one in backups if one.is_whole and one.folder not in written]
    done = 0
    with ThreadPoolExecutor(READERS) as readers:
        for some in batched(todo, SLICE, strict=False):
            written |= zip(some, readers.map(lambda folder: _written(folder, store), some), strict=True)
            done += len(some)
            if time.monotonic() > until:
                break
    return len(todo) - done


def _written(folder: str, store: Store) -> str:
    """Say when a backup was made, as its manifest does; "" where that cannot be read."""
    try:
        manifest = store.manifest(folder)
    except PermanentError:
        return ""
    return manifest.written.isoformat() if manifest else ""


def _kept(backup: Backup, written: Mapping[str, str]) -> Kept:
    """Say when a backup was made: its manifest knows, also where it was brought to another container since."""
    told = written.get(backup.folder)
    return Kept(backup, datetime.fromisoformat(told) if told else backup.changed)


def old(found: Iterable[Kept], published: frozenset[str], params: Backups, now: datetime) -> set[str]:
    """Choose the folders that go. Pure.

    An iteration is as new as its last backup. What was never whole goes once it is older than all that stays.
    """
    found = list(found)
    newest: dict[str, datetime] = {}
    for one in found:
        if one.backup.is_whole:
            newest[one.backup.iteration] = max(newest.get(one.backup.iteration, one.written), one.written)
    stay = set(sorted(newest, key=lambda iteration: (newest[iteration], iteration), reverse=True)[: params.keep])
    latest = now - params.older_than if params.older_than else now
    oldest = min((newest[iteration] for iteration in stay), default=None)
    goes = set()
    for one in found:
        iteration = one.backup.iteration
        if iteration in stay or iteration in published:
            continue
        if iteration in newest:
            is_old = newest[iteration] < latest
        else:
            is_old = oldest is not None and one.written < min(oldest, latest, now - LEFTOVER)
        goes |= {one.backup.folder} if is_old else set()
    return goes


# -- delete -----------------------------------------------------------------------------------------------------------


def delete(params: Backups, job: Job) -> Progress:
    """Delete some of it, unless it was published since, or is being backed up right now."""
    places: Mapping[str, Mapping[str, list[str]]] = {place: job.result[place] for place in _stores(params, job)}
    done = set(job.memory.get("done", ()))
    spared = set(job.memory.get("spared", ()))
    todo = [(place, one) for place, told in places.items() for one in told["deleted"] if f"{place} {one}" not in done]
    if todo:
        now = todo[:AT_ONCE]
        spared |= _delete(now, params, job)
        done |= {f"{place} {folder}" for place, folder in now}
    if len(todo) > AT_ONCE:
        memory = {"done": sorted(done), "spared": sorted(spared)}
        return Pending(0, memory=memory, note=f"{len(todo) - AT_ONCE} more to delete")
    return _told(places, spared)


def _delete(todo: list[tuple[str, str]], params: Backups, job: Job) -> set[str]:
    """Delete backups, and give the folders that were spared."""
    project, about = declared.vision(job, params.project)
    published = _published(Resource.of(about.training), project, job)
    is_gone = published is None and params.if_gone == "keep"  # since this was decided
    stores = _stores(params, job)
    spared = set()
    for place, folder in todo:
        base, iteration = "/".join(folder.split("/")[:2]), folder.split("/")[1]
        if is_gone or iteration in (published or ()) or job.hold(second_copy.lock(base)):
            spared.add(folder)
            continue
        stores[place].delete(folder)
        job.let_go(second_copy.lock(base))
    return spared


def _told(places: Mapping[str, Mapping[str, list[str]]], spared: set[str]) -> Done:
    results = {
        place: {
            "deleted": [folder for folder in told["deleted"] if folder not in spared],
            "kept": sorted({*told["kept"], *(folder for folder in told["deleted"] if folder in spared)}),
        }
        for place, told in places.items()
    }
    own, second = results["own"], results.get("second", {"deleted": [], "kept": []})
    number = len(own["deleted"]) + len(second["deleted"])
    note = f"{number} deleted, {len(own['kept']) + len(second['kept'])} stay"
    return Done({**own, "second": second}, note=note)


PERMISSIONS = {
    Backups: (
        Permission(
            "vision",
            (
                "Microsoft.CognitiveServices/accounts/CustomVision/projects/read",
                "Microsoft.CognitiveServices/accounts/CustomVision/projects/iterations/read",
            ),
            "to see what is published, without a key",
            is_data=True,
        ),
        Permission(
            "second_storage",
            (
                "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
                "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
            ),
            "to delete what is old there, too",
            is_data=True,
            given="second",
        ),
    )
}
RESULTS = {Backups: ("deleted", "kept", "second.deleted", "second.kept", "project")}
STAGES = {
    Backups: (
        Stage[Backups]("list", start=list_backups, watch=list_backups, effect="reads"),
        Stage[Backups]("delete", start=delete, watch=delete),
    )
}
