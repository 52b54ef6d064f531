"""Back up Custom Vision's exports: every finished one that is not kept yet, copied server to server, hashed, listed.

What is kept is never overwritten. Only one action at a time backs up an iteration, for each of its exports is announced
by a notification of its own.
"""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import PermanentError, TemporaryError
from shared.handlers import declared
from shared.handlers.backups import exported, second_copy
from shared.handlers.backups.exported import Item, Target
from shared.handlers.backups.iteration_facts import Reading
from shared.permissions import Permission
from shared.redaction import tidy
from shared.rules.addresses import ContainerUrl
from shared.rules.declared import GUID, Doubtful, Fixed, Names
from shared.stages import Done, Job, Pending, Progress, Stage
from shared.storage.backups import CHUNK, Manifest

CHUNKS_AT_ONCE = 2
"""Hashed before a function returns: 128 MiB take a few seconds."""
MOST_ATTEMPTS = 5
"""Copies of one model that storage gives up on before we do."""
MOST_ROUNDS = 10
"""Times that the exports are listed anew because one of them changed meanwhile."""
PATIENCE = timedelta(minutes=15)
"""How long a model is waited for that is listed and not there, before the others are kept without it."""
NO_LINK = "Custom Vision gives no link to it"
SOON = 2.0
"""Seconds until a copy is looked at for the first time."""


class VisionExport(BaseModel):
    """Keeps the exports of an iteration in our own store."""

    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, Names("vision")] = Field(
        default="{{ vision.project }}", description="A declared project; by default the event's."
    )
    iteration: str = Field(default="{{ vision.iteration }}", description="The iteration's id; by default the event's.")
    second: Annotated[ContainerUrl | None, Fixed(), Doubtful(second_copy.no_secret)] = Field(
        default=None,
        description="The URL of a container, best in another region, where each backup is kept a second time; "
        "with a SAS it is a setting.",
    )


# -- list -------------------------------------------------------------------------------------------------------------


def list_exports(params: VisionExport, job: Job) -> Progress:
    """List the finished exports and pick those that are not kept yet."""
    target = _target(params, job)
    if holder := job.hold(second_copy.lock(target.base)):
        return Pending(note=f"action {holder[:8]} is backing it up")
    todo, kept = [], []
    lost: dict[str, str] = dict(job.result.get("lost", {}))
    missing, remedy = {}, job.result.get("remedy", "")
    if not (exports := list(exported.finished(target, job))) and not lost:
        raise TemporaryError(f"Custom Vision lists no finished export of iteration {target.iteration} yet")
    for one in exports:
        lost.pop(one.name, None)
        try:
            if (origin := one.origin(job)) is None:
                missing[one.name] = NO_LINK
                continue
            if (source := job.clients.backups.look(origin)) is None:
                missing[one.name] = "Custom Vision lists it, and it is not there"
                continue
            folder, is_kept = exported.folder_of(one.export, source, target.base, job)
        except PermanentError as problem:
            lost[one.name], remedy = problem.reason, problem.remedy or remedy
            continue
        if is_kept:
            kept.append(folder)
        else:
            todo.append(asdict(exported.item_of(one.export, folder, source, origin)))
    since = datetime.fromisoformat(job.memory.get("since", job.now.isoformat()))
    if missing and job.now - since < PATIENCE:
        note = f"the exported {', '.join(missing)} is not there yet"
        return Pending(memory={"since": since.isoformat()}, note=note)
    told = {"project": target.project, "iteration": target.iteration, "todo": todo, "kept": kept}
    note = f"{len(todo)} to copy, {len(kept)} kept already"
    note += second_copy.doubts(params.second, job) if todo else ""
    return Done({**told, "lost": lost | missing, "remedy": remedy}, note)


def _target(params: VisionExport, job: Job) -> Target:
    project, about = declared.vision(job, params.project)
    if not GUID.fullmatch(params.iteration):
        raise PermanentError(
            f'iteration: "{tidy(params.iteration)}" is no iteration\'s id', remedy="give the id, not the name"
        )
    return Target(project, declared.guid(params.iteration), about)


# -- copy -------------------------------------------------------------------------------------------------------------


def find_copies(_params: VisionExport, job: Job) -> Progress | None:
    """Look whether storage has copied, or is copying, everything."""
    states = [_state(item, job) for item in _todo(job)]
    if all(state == "success" for state in states):
        return Done()
    return Pending(SOON, note=_copying(states)) if all(state in {"success", "pending"} for state in states) else None


def copy(params: VisionExport, job: Job) -> Progress:
    """Start what is not being copied, each from a fresh source: a SAS does not last.

    Where a source is another blob by now, such as one that a second flavor has overwritten, all are listed anew.
    """
    attempts: dict[str, int] = dict(job.memory.get("attempts", {}))
    since, is_waiting = datetime.fromisoformat(job.memory.get("since") or job.now.isoformat()), False
    states: dict[str, str] = {}
    lost: dict[str, str] = dict(job.result["lost"])
    remedy: str = job.result.get("remedy", "")
    for item in _todo(job):
        states[item.folder] = state = _state(item, job)
        if state in {"success", "pending"}:
            continue
        if (tried := attempts.get(item.folder, 0)) >= MOST_ATTEMPTS:
            lost[item.name] = f"storage cannot copy it: {state}"
            continue
        try:
            if (one := exported.again(item, _target(params, job), job)) is None:
                lost[item.name] = "it was gone before it was copied"
                continue
            if (origin := one.origin(job)) is None:
                is_waiting = True
                lost |= {} if job.now - since < PATIENCE else {item.name: NO_LINK}
                continue
            attempts[item.folder] = tried + 1
            started = job.clients.backups.own.start_copy(item.folder, job.clients.backups.readable(origin), item.etag)
        except PermanentError as problem:
            lost[item.name], remedy = problem.reason, problem.remedy or remedy
            continue
        if started is None:
            return _again(item, {"lost": lost, "remedy": remedy}, job)
        states[item.folder] = started.state
    todo = [item for item in _todo(job) if item.name not in lost]
    if not all(states[item.folder] == "success" for item in todo):
        memory = {"attempts": attempts, "since": since.isoformat() if is_waiting else ""}
        after = None if is_waiting and "pending" not in states.values() else SOON
        return Pending(after, memory=memory, note=_copying(list(states.values())))
    return Done({"todo": [asdict(item) for item in todo], "lost": lost, "remedy": remedy})


def _again(item: Item, told: dict[str, Any], job: Job) -> Progress:
    rounds = int(job.result.get("rounds", 0)) + 1
    if rounds > MOST_ROUNDS:
        raise PermanentError(
            f"the export {item.name} was another one each of {MOST_ROUNDS} times that it was to be copied",
            remedy="replay the event once nothing exports this iteration any more",
        )
    note = f"{item.name} was exported again since it was listed"
    return Done({**told, "rounds": rounds}, note=note, next="list")


def _state(item: Item, job: Job) -> str:
    """Say how a copy is doing: success, pending, or why it has to be started (again)."""
    found = job.clients.backups.own.copy(item.folder)
    return found.doing(item.size, item.md5) if found else "missing"


def _copying(states: list[str]) -> str:
    return f"{states.count('success')} of {len(states)} models copied"


# -- hash and manifest ------------------------------------------------------------------------------------------------


def hash_chunks(_params: VisionExport, job: Job) -> Progress:
    """Hash the next chunks; what was hashed before is remembered, so a crash costs a chunk."""
    hashes = {folder: list(chunks) for folder, chunks in job.memory.get("hashes", {}).items()}
    missing = [(item, chunk) for item in _todo(job) for chunk in range(len(hashes.get(item.folder, [])), _chunks(item))]
    for item, chunk in missing[:CHUNKS_AT_ONCE]:
        hashes.setdefault(item.folder, []).append(job.clients.backups.own.sha256(item.folder, chunk, CHUNK))
    if len(missing) > CHUNKS_AT_ONCE:
        left = len(missing) - CHUNKS_AT_ONCE
        return Pending(0, memory={"hashes": hashes}, note=f"{left} chunks of {CHUNK >> 20} MiB to hash")
    return Done({"hashes": hashes})


def _chunks(item: Item) -> int:
    return -(-item.size // CHUNK)


def write_manifests(params: VisionExport, job: Job) -> Progress:
    """Write the manifests, with what is known of the iteration: from then on the backups are whole."""
    target, todo = _target(params, job), _todo(job)
    about = Reading(target.resource, target.project, target.iteration, job).about() if todo else None
    for item in todo:
        found = job.clients.backups.own.copy(item.folder)
        manifest = Manifest.model_validate(
            {
                "project": job.result["project"],
                "iteration": job.result["iteration"],
                "platform": item.platform,
                "flavor": item.flavor,
                "source": item.source,
                "source_etag": item.etag,
                "source_modified": item.modified,
                "size": item.size,
                "md5": item.md5 or None,
                "chunk": CHUNK,
                "sha256": job.result["hashes"].get(item.folder, ()),
                "about": about,
                "copied": found.finished if found else None,
                "written": job.now,
            }
        )
        job.clients.backups.own.write_manifest(item.folder, manifest)
    stored = [item.folder for item in todo]
    note = f"{len(stored)} stored, {len(job.result['kept'])} kept already"
    unread = f"; without {', '.join(one.partition(':')[0] for one in about.unread)}" if about and about.unread else ""
    return Done({"stored": stored}, note=note + unread)


def _todo(job: Job) -> list[Item]:
    todo: list[dict[str, Any]] = job.result["todo"]
    return [Item(**item) for item in todo]


# -- the second container ---------------------------------------------------------------------------------------------


def copy_again(params: VisionExport, job: Job) -> Progress:
    """Bring what is kept to the second container, too, where there is one; then say what could not be kept at all."""
    folders = [*job.result["stored"], *job.result["kept"]]
    progress = second_copy.bring(params.second, folders, job) if params.second else Done({"second": []})
    if isinstance(progress, Done) and (lost := job.result["lost"]):
        told = "; ".join(f"{name}: {why}" for name, why in lost.items())
        raise PermanentError(
            f"{len(folders)} of the exports are kept, and not {told}",
            remedy=job.result.get("remedy") or "export the iteration to that platform again, then replay the event",
        )
    return progress


PERMISSIONS = {
    VisionExport: (
        Permission(
            "vision",
            ("Microsoft.CognitiveServices/accounts/CustomVision/projects/iterations/export/read",),
            "to list the exports of an iteration, without a key",
            is_data=True,
        ),
        Permission(
            "vision",
            (
                "Microsoft.CognitiveServices/accounts/CustomVision/projects/read",
                "Microsoft.CognitiveServices/accounts/CustomVision/projects/iterations/read",
                "Microsoft.CognitiveServices/accounts/CustomVision/projects/iterations/performance/read",
                "Microsoft.CognitiveServices/accounts/CustomVision/projects/tags/read",
                "Microsoft.CognitiveServices/accounts/CustomVision/domains/read",
            ),
            "to keep beside a model what is known of it",
            is_data=True,
            optional=True,
        ),
        Permission(
            "storage",
            ("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",),
            "to read the exports in the declared container",
            is_data=True,
        ),
        Permission(
            "storage",
            ("Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",),
            "to have them copied from the declared container",
        ),
        second_copy.WRITES,
    )
}
RESULTS = {VisionExport: ("stored", "kept", "second", "project", "iteration")}
STAGES = {
    VisionExport: (
        Stage[VisionExport]("list", start=list_exports, watch=list_exports, effect="reads"),
        Stage[VisionExport]("copy", find=find_copies, start=copy, watch=copy),
        Stage[VisionExport]("hash", start=hash_chunks, watch=hash_chunks),
        Stage[VisionExport]("manifest", start=write_manifests),
        Stage[VisionExport]("second", start=copy_again, watch=copy_again),
    )
}
