"""The files of a version of a data set: put together of their blocks, hashed as they are stored, the manifest last."""

from typing import Any, Protocol

from shared.errors import PermanentError
from shared.handlers.backups import annotations
from shared.handlers.backups.annotations import COCO_MIDDLE, COCO_TAIL, ML_TABLE
from shared.handlers.backups.collecting import MOST_TURNS, Reached
from shared.stages import Done, Job, Pending, Progress
from shared.storage.backups import CHUNK
from shared.storage.datasets import COCO, HEAD, LINES, MIDDLE, TABLE, TAIL, DatasetManifest, File, TagCount

CHUNKS_AT_ONCE = 2
"""Hashed before a function returns: 128 MiB take a few seconds."""


class Wanted(Protocol):
    """What the step was told of its files."""

    untagged: bool
    datastore: str


def uri(datastore: str, path: str, job: Job) -> str:
    """Give the URI of something in the backup container, in the datastore where one is given."""
    if not datastore:
        return job.clients.datasets.url(path)
    return f"{datastore.rstrip('/').removesuffix('/paths')}/paths/{path}"


def write(_params: Wanted, job: Job) -> Progress:
    """Put the files together of their blocks; where storage has dropped some, the project is listed anew."""
    store, result, reached = job.clients.datasets, job.result, Reached.of(job.result["reached"])
    folder, turn = result["folder"], result["turn"]
    info = annotations.coco_info(result["name"], result["version"], job.now)
    names = [str(name) for name, _type, _count in reached.tags.values()]
    fixed = {HEAD: annotations.coco_head(info, names), MIDDLE: COCO_MIDDLE, TAIL: COCO_TAIL}
    for block, text in fixed.items():
        store.stage(f"{folder}/{COCO}", block, text)
    coco = [HEAD, *reached.names("images", turn), MIDDLE, *reached.names("annotations", turn), TAIL]
    sizes = {
        COCO: store.commit(f"{folder}/{COCO}", coco, "application/json"),
        LINES: store.commit(f"{folder}/{LINES}", reached.names("lines", turn), "application/jsonl"),
    }
    if None in sizes.values():
        return _dropped(job)
    store.keep(f"{folder}/{TABLE}", ML_TABLE.encode(), "application/yaml")
    return Done({"sizes": sizes})


def _dropped(job: Job) -> Progress:
    why = "storage does not keep what waits for more than a week"
    if job.result["turn"] < MOST_TURNS:
        return Done(next="survey", note=f"{why}: listed anew")
    raise PermanentError(why, remedy="replay the event: the images are kept, so it takes less time")


def hash_files(_params: Wanted, job: Job) -> Progress:
    """Hash the next chunks of the files as they are stored; an empty file has none."""
    hashes = {name: list(chunks) for name, chunks in job.memory.get("hashes", {}).items()}
    sizes: dict[str, int] = job.result["sizes"]
    wanted = [(name, chunk) for name, size in sizes.items() for chunk in range(-(-size // CHUNK))]
    missing = [(name, chunk) for name, chunk in wanted if chunk >= len(hashes.get(name, ()))]
    for name, chunk in missing[:CHUNKS_AT_ONCE]:
        hashes.setdefault(name, []).append(job.clients.datasets.sha256(f"{job.result['folder']}/{name}", chunk))
    if len(missing) > CHUNKS_AT_ONCE:
        left = len(missing) - CHUNKS_AT_ONCE
        return Pending(0, memory={"hashes": hashes}, note=f"{left} chunks of {CHUNK >> 20} MiB to hash")
    return Done({"hashes": hashes})


def write_manifest(params: Wanted, job: Job) -> Progress:
    """Write the manifest: from then on the version is whole."""
    store, result, reached = job.clients.datasets, job.result, Reached.of(job.result["reached"])
    folder = result["folder"]
    if store.manifest(folder) is None:
        missing = reached.names("missing", result["turn"])
        if not store.write_manifest(folder, _manifest(params, reached, job), missing):
            return _dropped(job)
    told: dict[str, Any] = {"images": reached.images, "annotations": reached.annotations, "labelled": reached.lines}
    told |= {"missing": reached.missing, "uri": uri(params.datastore, folder, job)}
    told |= {
        "coco": uri(params.datastore, f"{folder}/{COCO}", job),
        "jsonl": uri(params.datastore, f"{folder}/{LINES}", job),
    }
    note = f"{reached.images} images are kept{_told(reached)}"
    note += f", {reached.missing} are missing: {reached.why}" if reached.missing else ""
    return Done(told, note=note + (f"; {result['changed']}" if result["changed"] else ""))


def _told(reached: Reached) -> str:
    """Say how many were new, and how many were damaged; "" where all were new."""
    before = max(reached.images - reached.new - reached.damaged, 0)
    if not (before or reached.damaged):
        return ""
    damaged = f", {reached.damaged} damaged, copied again" if reached.damaged else ""
    return f" ({reached.new} new, {before} kept already{damaged})"


def _manifest(params: Wanted, reached: Reached, job: Job) -> DatasetManifest:
    result, tags = job.result, reached.tags.items()
    return DatasetManifest(
        project=result["project"],
        name=result["name"],
        dataset=result["version"],
        domain=result["domain"],
        kind=result["kind"],
        with_untagged=params.untagged,
        images=reached.images,
        annotations=reached.annotations,
        labelled=reached.lines,
        lost=reached.missing,
        tags=tuple(TagCount(id=id, name=name, type=type_, annotations=count) for id, (name, type_, count) in tags),
        changed=result["changed"],
        files={
            name: File(size=result["sizes"][name], sha256=tuple(result["hashes"].get(name, ())))
            for name in (COCO, LINES)
        },
        began=result["began"],
        written=job.now,
    )
