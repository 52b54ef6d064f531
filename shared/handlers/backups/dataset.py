"""Back up the labelled images of a Custom Vision project as a version of a dataset, so that they outlive the service.

The images are copied once and shared by all versions; the labels are kept as COCO and as AutoML's JSON lines. Where the
project changes meanwhile it is listed anew, a few times; after that what there is is kept, and the manifest says so.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/migration-options
"""

import re
import time
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.clients.vision import Project, Resource
from shared.errors import PermanentError, TemporaryError
from shared.handlers import declared
from shared.handlers.backups import annotations, collecting
from shared.handlers.backups.annotations import COCO_MIDDLE, COCO_TAIL, ML_TABLE, Kind
from shared.handlers.backups.collecting import Late, Reached, Source
from shared.permissions import Permission
from shared.policy import Duration
from shared.rules import templates
from shared.rules.declared import Names
from shared.stages import Done, Job, Pending, Progress, Stage
from shared.storage.backups import CHUNK
from shared.storage.datasets import COCO, HEAD, LINES, MIDDLE, TABLE, TAIL, DatasetManifest, File, TagCount

MOST_TURNS = 3
"""Times that a project is listed from its beginning, where it changes meanwhile."""
CHUNKS_AT_ONCE = 2
"""Hashed before a function returns: 128 MiB take a few seconds."""
DATASTORE = re.compile(
    r"azureml://subscriptions/[^/?]+/resourcegroups/[^/?]+/workspaces/[^/?]+/datastores/[^/?]+(?:/paths)?/?",
    re.IGNORECASE,
)


def _datastore(value: str) -> str:
    if value and not templates.is_open(value) and not DATASTORE.fullmatch(value):
        raise ValueError(
            "must be a datastore's URI, such as azureml://subscriptions/<id>/resourcegroups/<group>/workspaces/<name>/"
            "datastores/<name>"
        )
    return value


class VisionDataset(BaseModel):
    """Keeps the labelled images of a project in our own store."""

    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, Names("vision")] = Field(
        default="{{ vision.project }}", description="A declared project; by default the event's."
    )
    untagged: bool = Field(default=False, description="Whether images without a tag are kept as well.")
    datastore: Annotated[str, AfterValidator(_datastore)] = Field(
        default="",
        description="The URI of the Azure ML datastore that is the backup container: train.jsonl then names the images "
        "by it; left out, by their https URLs.",
    )
    within: Duration = Field(
        default=timedelta(days=2), description="How long copying the images may take; then the step fails."
    )


# -- survey -----------------------------------------------------------------------------------------------------------


def survey(params: VisionDataset, job: Job) -> Progress:
    """Look what kind of project it is, and name the version: by the time and the step's key, once."""
    project, about = declared.vision(job, params.project)
    at = Resource.of(about.training)
    found = job.clients.vision.projects.read(at, project)
    if found is None:
        raise PermanentError(
            f"the training resource has no project {project}",
            remedy="declare the project with the endpoint of the resource that it is in",
        )
    if found.status.lower() == "importing":
        raise TemporaryError("the project is still being imported")
    count = job.clients.vision.images.count(at, project, tagged=_tagged(params))
    if not count:
        what = "image" if params.untagged else "tagged image"
        raise PermanentError(f"the project has no {what}", remedy="tag its images, or keep them too: untagged: true")
    domain, kind = _domain(found, at, job)
    version = job.result.get("version") or f"{job.now:%Y%m%dT%H%M%SZ}-{job.key[:8]}"
    turn = int(job.result.get("turn", 0)) + 1
    images = collecting.folder_of_images(project)
    told = {"project": project, "name": found.name, "domain": domain, "kind": kind, "count": count, "turn": turn}
    told |= {"version": version, "folder": f"{project}/datasets/{version}"}
    told |= {"is_first": turn == 1 and not job.clients.datasets.has_any(images)}
    return Done({"began": job.now.isoformat(), **job.result, **told}, note=f"{count} images to keep")


def _tagged(params: VisionDataset) -> bool | None:
    return None if params.untagged else True


def _domain(project: Project, at: Resource, job: Job) -> tuple[str, Kind]:
    """Name the project's domain, and say how its images are labelled."""
    domain = job.clients.vision.projects.domain(at, project.domain) if project.domain else None
    detects = domain.type == "ObjectDetection" if domain else project.classification is None
    if detects:
        return domain.name if domain else "", "detection"
    return domain.name if domain else "", "multiclass" if project.classification == "Multiclass" else "multilabel"


def _source(params: VisionDataset, job: Job) -> Source:
    result = job.result
    project, about = declared.vision(job, params.project)
    folder = collecting.folder_of_images(project)
    return Source(
        at=Resource.of(about.training),
        project=project,
        folder=result["folder"],
        kind=result["kind"],
        tagged=_tagged(params),
        images=f"{_uri(params, folder, job)}/",
        is_first=result["is_first"],
        turn=result["turn"],
    )


def _uri(params: VisionDataset, path: str, job: Job) -> str:
    """Give the URI of something in the backup container, in the datastore where one is given."""
    if not params.datastore:
        return job.clients.datasets.url(path)
    return f"{params.datastore.rstrip('/').removesuffix('/paths')}/paths/{path}"


# -- copy, and compare ------------------------------------------------------------------------------------------------


def copy(params: VisionDataset, job: Job) -> Progress:
    """Keep the next images and what the files say of them."""
    source = _source(params, job)
    reached = Reached.of(job.memory) if job.memory else _begin(source, job)
    held_up = collecting.collect(source, reached, job)
    note = f"{reached.skip} of {job.result['count']} images"
    if isinstance(held_up, Late):
        return Pending(held_up.after, memory=reached.told(), note=f"{note}: {held_up.reason}")
    if not held_up:
        return Pending(0, memory=reached.told(), note=note)
    if reached.missing and not reached.images:
        raise PermanentError(f"not one image can be kept: {reached.why}", remedy=reached.remedy)
    return Done({"reached": reached.told()}, note=note)


def _begin(source: Source, job: Job) -> Reached:
    tags = job.clients.vision.tags.list(source.at, source.project)
    return Reached(tags={tag.id: [tag.name, tag.type, 0] for tag in tags})


def compare(params: VisionDataset, job: Job) -> Progress:
    """List everything once more, without the images: what changed meanwhile has the project listed anew."""
    source, reached = _source(params, job), Reached.of(job.result["reached"])
    seen, print_ = int(job.memory.get("seen", 0)), str(job.memory.get("print", "0"))
    until = time.monotonic() + collecting.SECONDS
    while listed := collecting.page(source, seen, job):
        seen, print_ = seen + len(listed), collecting.printed(print_, listed)
        if time.monotonic() > until:
            note = f"{seen} of {reached.skip} images compared"
            return Pending(0, memory={"seen": seen, "print": print_}, note=note)
    if (seen, print_) != (reached.skip, reached.print):
        return _anew("images or labels changed while they were being kept", job)
    count = job.clients.vision.images.count(source.at, source.project, tagged=source.tagged)
    if count != seen:
        return _anew(f"Custom Vision counts {count} images, and lists {seen}", job)
    return Done({"changed": ""}, note="nothing changed meanwhile")


def _anew(why: str, job: Job) -> Progress:
    if job.result["turn"] < MOST_TURNS:
        return Done(next="survey", note=f"{why}: listed anew")
    return Done({"changed": why}, note=f"{why}: kept as it was listed last")


# -- write ------------------------------------------------------------------------------------------------------------


def write(_params: VisionDataset, job: Job) -> Progress:
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


def hash_files(_params: VisionDataset, job: Job) -> Progress:
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


def write_manifest(params: VisionDataset, job: Job) -> Progress:
    """Write the manifest: from then on the version is whole."""
    store, result, reached = job.clients.datasets, job.result, Reached.of(job.result["reached"])
    folder = result["folder"]
    if store.manifest(folder) is None:
        missing = reached.names("missing", result["turn"])
        if not store.write_manifest(folder, _manifest(params, reached, job), missing):
            return _dropped(job)
    told: dict[str, Any] = {"images": reached.images, "annotations": reached.annotations, "labelled": reached.lines}
    told |= {"missing": reached.missing, "uri": _uri(params, folder, job)}
    told |= {"coco": _uri(params, f"{folder}/{COCO}", job), "jsonl": _uri(params, f"{folder}/{LINES}", job)}
    note = f"{reached.images} images are kept"
    note += f", {reached.missing} are missing: {reached.why}" if reached.missing else ""
    return Done(told, note=note + (f"; {result['changed']}" if result["changed"] else ""))


def _manifest(params: VisionDataset, reached: Reached, job: Job) -> DatasetManifest:
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


_CV = "Microsoft.CognitiveServices/accounts/CustomVision"
PERMISSIONS = {
    VisionDataset: (
        Permission(
            "vision",
            (
                f"{_CV}/domains/read",
                *(f"{_CV}/projects/{what}/read" for what in ("tags", "images/*", "artifacts")),
                f"{_CV}/projects/read",
            ),
            "to list and read the images of a project, without a key",
            is_data=True,
        ),
    )
}
RESULTS = {
    VisionDataset: (
        "project",
        "version",
        "folder",
        "kind",
        "images",
        "annotations",
        "labelled",
        "missing",
        "changed",
        "uri",
        "coco",
        "jsonl",
    )
}
STAGES = {
    VisionDataset: (
        Stage[VisionDataset]("survey", start=survey, effect="reads"),
        Stage[VisionDataset]("copy", start=copy, watch=copy, effect="prepares", within=lambda params: params.within),
        Stage[VisionDataset](
            "compare", start=compare, watch=compare, effect="reads", within=lambda params: params.within
        ),
        Stage[VisionDataset]("write", start=write),
        Stage[VisionDataset]("hash", start=hash_files, watch=hash_files),
        Stage[VisionDataset]("manifest", start=write_manifest),
    )
}
