"""Back up Custom Vision's exports: every finished one that is not kept yet, copied server to server, hashed, listed.

The model's URL in the notification is never followed. The source is the declared container's own blob, or a fresh SAS
that GetExports gives, on one of Custom Vision's own hosts.

What is kept is never overwritten. A flavor exported again after its platform changed has another ETag and another
content; it is kept beside the first, in a folder named after that ETag.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field

from shared.clients.vision import Export, Resource
from shared.errors import PermanentError, TemporaryError
from shared.events import without_url_queries
from shared.handlers import declared
from shared.permissions import Permission
from shared.redaction import tidy
from shared.rules.declared import GUID, Names, VisionProject
from shared.stages import Done, Job, Pending, Progress, Stage
from shared.storage.backups import CHUNK, Blob, Manifest, Origin

CHUNKS_AT_ONCE = 2
"""Hashed before a function returns: 128 MiB take a few seconds."""
MOST_ATTEMPTS = 5
"""Copies of one model that storage gives up on before we do."""
SOON = 2.0
"""Seconds until a copy is looked at for the first time."""

BLOB_NAME = re.compile(
    r"(?P<project>[0-9a-fA-F-]{32,36})\s*-\s*(?P<iteration>[0-9a-fA-F-]{32,36})"
    r"\.(?P<platform>[A-Za-z]+)(?:\.(?P<flavor>(?!zip$)[A-Za-z0-9_]+))?(?:\.zip)?"
)
"""`{projectId} - {iterationId}.{platformType}`, tolerant of what the documentation leaves open."""


class VisionExport(BaseModel):
    """Keeps the exports of an iteration in our own store."""

    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, Names("vision")] = Field(
        default="{{ vision.project }}", description="A declared project; by default the event's."
    )
    iteration: str = Field(default="{{ vision.iteration }}", description="The iteration's id; by default the event's.")


@dataclass(frozen=True, slots=True)
class Item:
    """An export that is to be kept: JSON between stages."""

    platform: str
    flavor: str | None
    folder: str
    size: int
    etag: str
    md5: str
    modified: str
    source: str


@dataclass(frozen=True, slots=True)
class Target:
    """Whose exports are kept."""

    project: str
    iteration: str
    about: VisionProject


# -- list -------------------------------------------------------------------------------------------------------------


def list_exports(params: VisionExport, job: Job) -> Progress:
    """List the finished exports and pick those that are not kept yet."""
    target = _target(params, job)
    todo, kept = [], []
    for export, origin in _finished(target, job):
        source = job.clients.backups.look(origin)
        if source is None:
            raise TemporaryError(f"the exported {_name(export)} is not there yet")
        folder, is_kept = _folder(export, source, f"{target.project}/{target.iteration}", job)
        if is_kept:
            kept.append(folder)
        else:
            todo.append(asdict(_item(export, folder, source, origin)))
    note = f"{len(todo)} to copy, {len(kept)} kept already"
    return Done({"project": target.project, "iteration": target.iteration, "todo": todo, "kept": kept}, note)


def _target(params: VisionExport, job: Job) -> Target:
    project, about = declared.vision(job, params.project)
    if not GUID.fullmatch(params.iteration):
        raise PermanentError(
            f'iteration: "{tidy(params.iteration)}" is no iteration\'s id', remedy="give the id, not the name"
        )
    return Target(project, declared.guid(params.iteration), about)


def _finished(target: Target, job: Job) -> Iterator[tuple[Export, Origin]]:
    """List the finished exports, and where each can be read.

    That is the declared container's blob where its name fits one export only, else the SAS that comes with the export.
    """
    resource = Resource(target.about.training.endpoint, target.about.training.key or "")
    exports = job.clients.vision.exports(resource, target.project, target.iteration)
    finished = [export for export in exports if export.status.lower() == "done"]
    if not finished:
        raise TemporaryError(f"Custom Vision lists no finished export of iteration {target.iteration} yet")
    own = list(_own_blobs(target, job))
    for export in finished:
        fitting = (origin for match, origin in own if [one for one in finished if _fits(match, one)] == [export])
        yield export, next(fitting, None) or _by_sas(export, job)


def _own_blobs(target: Target, job: Job) -> Iterator[tuple[re.Match[str], Origin]]:
    """List what Custom Vision wrote to the declared container for this iteration."""
    ids = (target.project, target.iteration)
    for prefix in (target.project, target.project.replace("-", "")) if target.about.container else ():
        for name, origin in job.clients.backups.find_in_container(target.about.container or "", prefix):
            match = BLOB_NAME.fullmatch(unquote(name))
            if match and (declared.guid(match["project"]), declared.guid(match["iteration"])) == ids:
                yield match, origin


def _fits(match: re.Match[str], export: Export) -> bool:
    """Tell whether a blob's name may be that of an export: the flavor is not always in it."""
    flavor = match["flavor"]
    return match["platform"].lower() == export.platform.lower() and (
        flavor is None or flavor.lower() == (export.flavor or "").lower()
    )


def _by_sas(export: Export, job: Job) -> Origin:
    if not export.download_uri:
        raise TemporaryError(f"Custom Vision gives no link to {_name(export)} yet")
    return job.clients.backups.by_sas(export.download_uri)


def _folder(export: Export, source: Blob, base: str, job: Job) -> tuple[str, bool]:
    """Name the folder of an export, and say whether it is kept there already."""
    first = f"{base}/{_part(export.platform)}/{_part(export.flavor or 'default')}"
    other = f"{first}/{hashlib.sha256(source.etag.encode()).hexdigest()[:12]}"
    if (manifest := job.clients.backups.manifest(first)) is None:
        return first, False
    if manifest.source_etag == source.etag or (source.md5 and manifest.md5 == source.md5):
        return first, True
    return other, job.clients.backups.manifest(other) is not None


def _item(export: Export, folder: str, source: Blob, origin: Origin) -> Item:
    return Item(
        platform=export.platform,
        flavor=export.flavor,
        folder=folder,
        size=source.size,
        etag=source.etag,
        md5=source.md5,
        modified=source.modified.isoformat(),
        source=without_url_queries(origin.url),
    )


# -- copy -------------------------------------------------------------------------------------------------------------


def find_copies(_params: VisionExport, job: Job) -> Progress | None:
    """Look whether storage has copied, or is copying, everything."""
    states = [_state(item, job) for item in _todo(job)]
    if all(state == "success" for state in states):
        return Done()
    return Pending(SOON, note=_copying(states)) if all(state in {"success", "pending"} for state in states) else None


def copy(params: VisionExport, job: Job) -> Progress:
    """Start what is not being copied, each from a fresh source: a SAS does not last."""
    attempts: dict[str, int] = dict(job.memory.get("attempts", {}))
    states: dict[str, str] = {}
    for item in _todo(job):
        states[item.folder] = state = _state(item, job)
        if state in {"success", "pending"}:
            continue
        attempts[item.folder] = attempts.get(item.folder, 0) + 1
        if attempts[item.folder] > MOST_ATTEMPTS:
            raise PermanentError(f"storage cannot copy {item.folder}: {state}", remedy="export the iteration again")
        states[item.folder] = job.clients.backups.start_copy(item.folder, _fresh(item, params, job), item.etag).state
    if all(state == "success" for state in states.values()):
        return Done()
    return Pending(SOON, memory={"attempts": attempts}, note=_copying(list(states.values())))


def _state(item: Item, job: Job) -> str:
    """Say how a copy is doing: success, pending, or why it has to be started (again)."""
    found = job.clients.backups.copy(item.folder)
    if found is None:
        return "missing"
    if found.state == "success" and (found.size != item.size or (found.md5 and item.md5 and found.md5 != item.md5)):
        return "of other content"
    return found.state if found.state in {"success", "pending"} else f"{found.state} {found.problem}".strip()


def _copying(states: list[str]) -> str:
    return f"{states.count('success')} of {len(states)} models copied"


def _fresh(item: Item, params: VisionExport, job: Job) -> Origin:
    for export, origin in _finished(_target(params, job), job):
        if (export.platform, export.flavor) == (item.platform, item.flavor):
            return origin
    raise PermanentError(f"the export {item.platform} {item.flavor or ''} is gone", remedy="export the iteration again")


# -- hash and manifest ------------------------------------------------------------------------------------------------


def hash_chunks(_params: VisionExport, job: Job) -> Progress:
    """Hash the next chunks; what was hashed before is remembered, so a crash costs a chunk."""
    hashes = {folder: list(chunks) for folder, chunks in job.memory.get("hashes", {}).items()}
    missing = [(item, chunk) for item in _todo(job) for chunk in range(len(hashes.get(item.folder, [])), _chunks(item))]
    for item, chunk in missing[:CHUNKS_AT_ONCE]:
        hashes.setdefault(item.folder, []).append(job.clients.backups.sha256(item.folder, chunk))
    if len(missing) > CHUNKS_AT_ONCE:
        left = len(missing) - CHUNKS_AT_ONCE
        return Pending(0, memory={"hashes": hashes}, note=f"{left} chunks of {CHUNK >> 20} MiB to hash")
    return Done({"hashes": hashes})


def _chunks(item: Item) -> int:
    return -(-item.size // CHUNK)


def write_manifests(_params: VisionExport, job: Job) -> Progress:
    """Write the manifests: from then on the backups are whole."""
    for item in _todo(job):
        found = job.clients.backups.copy(item.folder)
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
                "sha256": job.result["hashes"].get(item.folder, ()),
                "copied": found.finished if found else None,
                "written": job.now,
            }
        )
        job.clients.backups.write_manifest(item.folder, manifest)
    stored = [item.folder for item in _todo(job)]
    return Done({"stored": stored}, note=f"{len(stored)} stored, {len(job.result['kept'])} kept already")


def _todo(job: Job) -> list[Item]:
    todo: list[dict[str, Any]] = job.result["todo"]
    return [Item(**item) for item in todo]


def _name(export: Export) -> str:
    return f"{export.platform} {export.flavor}" if export.flavor else export.platform


def _part(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)


PERMISSIONS = {
    VisionExport: (
        Permission(
            "vision",
            ("Microsoft.CognitiveServices/accounts/CustomVision/projects/iterations/export/read",),
            "to list the exports of an iteration, without a key",
            is_data=True,
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
    )
}
RESULTS = {VisionExport: ("stored", "kept", "project", "iteration")}
STAGES = {
    VisionExport: (
        Stage[VisionExport]("list", start=list_exports, effect="reads"),
        Stage[VisionExport]("copy", find=find_copies, start=copy, watch=copy),
        Stage[VisionExport]("hash", start=hash_chunks, watch=hash_chunks),
        Stage[VisionExport]("manifest", start=write_manifests),
    )
}
