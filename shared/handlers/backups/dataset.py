"""Back up the labelled images of a Custom Vision project as a version of a dataset, so that they outlive the service.

The images are copied once and shared by all versions; the labels are kept as COCO and as AutoML's JSON lines. Where the
project changes meanwhile it is listed anew, a few times; after that what there is is kept, and the manifest says so.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/migration-options
"""

import re
import time
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.clients.vision import Project, Resource
from shared.errors import PermanentError, TemporaryError
from shared.handlers import declared
from shared.handlers.backups import collecting, dataset_files, second_copy, second_dataset
from shared.handlers.backups.annotations import Kind
from shared.handlers.backups.collecting import MOST_TURNS, Late, Reached, Source
from shared.permissions import Permission
from shared.policy import Duration
from shared.rules import templates
from shared.rules.addresses import ContainerUrl
from shared.rules.declared import Doubtful, Fixed, Names
from shared.stages import Done, Job, Pending, Progress, Stage

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
    second: Annotated[ContainerUrl | None, Fixed(), Doubtful(second_copy.no_secret)] = Field(
        default=None,
        description="The URL of a container, best in another region, where each version is kept a second time; "
        "with a SAS it is a setting.",
    )
    within: Duration = Field(
        default=timedelta(days=2), description="How long copying the images may take; then the step fails."
    )


# -- survey -----------------------------------------------------------------------------------------------------------


def survey(params: VisionDataset, job: Job) -> Progress:
    """Look what kind of project it is, and name the version: by the time and the step's key, once.

    The second container is looked at as well: that it is not there should not be told after hours of copying.
    """
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
    note = f"{count} images to keep{second_copy.doubts(params.second, job) if turn == 1 else ''}"
    return Done({"began": job.now.isoformat(), **job.result, **told}, note=note)


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
        images=f"{dataset_files.uri(params.datastore, folder, job)}/",
        is_first=result["is_first"],
        turn=result["turn"],
    )


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
    before = Reached.of(job.result.get("reached", {}))
    by_id = {tag.id: [tag.name, tag.type, 0] for tag in tags}
    return Reached(tags=by_id, new=before.new, damaged=before.damaged)


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


# -- the second container ---------------------------------------------------------------------------------------------


def copy_again(params: VisionDataset, job: Job) -> Progress:
    """Bring the version to the second container, too, where there is one."""
    if not params.second:
        return Done({"second": ""})
    return second_dataset.bring(params.second, job.result["folder"], job)


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
        second_copy.WRITES,
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
        "second",
    )
}
STAGES = {
    VisionDataset: (
        Stage[VisionDataset]("survey", start=survey, effect="reads"),
        Stage[VisionDataset]("copy", start=copy, watch=copy, effect="prepares", within=lambda params: params.within),
        Stage[VisionDataset](
            "compare", start=compare, watch=compare, effect="reads", within=lambda params: params.within
        ),
        Stage[VisionDataset]("write", start=dataset_files.write),
        Stage[VisionDataset]("hash", start=dataset_files.hash_files, watch=dataset_files.hash_files),
        Stage[VisionDataset]("manifest", start=dataset_files.write_manifest),
        Stage[VisionDataset]("second", start=copy_again, watch=copy_again, within=lambda params: params.within),
    )
}
