"""Register a model: what a job has written, or what we keep as a backup, as a version with its lineage.

Registering the same content under the same version twice is the same. The version is made of the step's key unless one
is given, since the service's next free number is another one each time that it is asked for.
https://learn.microsoft.com/azure/machine-learning/how-to-manage-models
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.clients.machine_learning.models import Model as Registered
from shared.clients.machine_learning.resources import studio_link
from shared.errors import PermanentError, ReactorError
from shared.events import DEPTH_TAG, MAKER_TAG
from shared.handlers import declared
from shared.permissions import Permission
from shared.redaction import tidy
from shared.rules import templates
from shared.rules.declared import Names
from shared.stages import Done, Job, Progress, Stage

MOST_METRICS = 50
"""Metrics of a run that become properties of its model."""


SOURCES = ({"job", "output"}, {"backup"})
"""The keys of a source that is no URI: a job's output, or a folder that `backup.vision_export` gives."""
WANTED = "must be a URI (azureml://… or https://…), {job: …, output: …} or {backup: <folder>}"


def _source(given: str | dict[str, str]) -> str | dict[str, str]:
    if isinstance(given, dict):
        if given.keys() not in SOURCES or not all(given.values()):
            raise ValueError(WANTED)
    elif not templates.is_open(given):
        if not given.lower().startswith(("azureml://", "https://")):
            raise ValueError(WANTED)
        if "?" in given:
            raise ValueError(
                "must be a URI without a query, for a SAS does not last: let the workspace read the storage"
            )
    return given


class Model(BaseModel):
    """Registers a version of a model."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, populate_by_name=True)

    workspace: Annotated[str, Names("workspaces")] = Field(
        default="{{ source }}", description="A declared workspace; by default where the event comes from."
    )
    name: str = Field(description="The model's name.", min_length=1, max_length=255)
    version: str = Field(
        default="",
        description="Its version; left out, 12 digits of this step's key, so that doing it twice is doing it once.",
        max_length=30,
    )
    origin: Annotated[str | dict[str, str], AfterValidator(_source)] = Field(
        alias="from",
        description="A URI, such as `steps.<id>.outputs.<name>`; {job: …, output: …}; or {backup: <folder>}.",
    )
    type: Literal["", "mlflow_model", "custom_model", "triton_model"] = Field(
        default="", description="What it is; left out, mlflow_model, and custom_model where it is a backup."
    )
    tags: dict[str, str] = Field(default_factory=dict, description="Its tags.")
    properties: dict[str, str] = Field(
        default_factory=dict,
        description="Its properties, beside lineage and the job's metrics; a gate reads metrics from them.",
    )
    description: str = Field(default="", description="What it is, for people.")


def read_source(params: Model, job: Job) -> Progress:
    """Find out what is registered, and what is known of the job that made it."""
    workspace = declared.workspace(job, params.workspace)
    uri, run = _origin(params.origin, job)
    version = params.version or job.key[:12]
    told = {"workspace": workspace, "model": params.name, "version": version, "uri": uri, "job": run}
    metrics, note = _metrics(workspace, run, job) if run else ({}, "")
    return Done(told | {"metrics": metrics}, note)


def _origin(given: str | dict[str, str], job: Job) -> tuple[str, str]:
    """Give the URI of a source, and the job that wrote it, "" where none is known."""
    if isinstance(given, str):
        return given, _job_of(given, job)
    if "backup" in given:
        return _backup_uri(given["backup"], job), ""
    return f"azureml://jobs/{quote(given['job'], safe='')}/outputs/{quote(given['output'], safe='')}", given["job"]


def _job_of(uri: str, job: Job) -> str:
    """Name the job that wrote a URI: by the URI, or as the step before that gave it."""
    if uri.startswith("azureml://jobs/"):
        return uri.removeprefix("azureml://jobs/").partition("/")[0]
    for told in job.steps.values():
        outputs = told.get("outputs") if isinstance(told, Mapping) else None
        if isinstance(outputs, Mapping) and uri in outputs.values() and told.get("job"):
            return str(told["job"])
    return ""


def _backup_uri(folder: str, job: Job) -> str:
    """Give the URL of a backup; PermanentError where it is not whole, or no folder of ours."""
    folder = folder.strip("/")
    if not folder or any(part in ("", ".", "..") for part in folder.split("/")):
        raise PermanentError(f'from: "{tidy(folder)}" is no backup', remedy="take it from backup.vision_export")
    if job.clients.backups.manifest(folder) is None:
        raise PermanentError(f"the backup {tidy(folder)} is not there, or not whole", remedy="back it up first")
    return job.clients.backups.url(folder)


def _metrics(workspace: str, run: str, job: Job) -> tuple[dict[str, float], str]:
    """Read what the job measured, where that can be read: what a gate asks for is then beside the model."""
    given = next((told.get("metrics") for told in job.steps.values() if _is_of(told, run)), None)
    if given:
        return dict(given), ""
    try:
        found = job.clients.machine_learning.runs.metrics(workspace, run)
    except ReactorError as problem:
        return {}, f"the metrics of job {tidy(run)} could not be read: {problem.reason}"
    return found, ""


def _is_of(told: Any, run: str) -> bool:
    return isinstance(told, Mapping) and told.get("job") == run and isinstance(told.get("metrics"), Mapping)


# -- register ---------------------------------------------------------------------------------------------------------


def find(_params: Model, job: Job) -> Progress | None:
    """Look for the version, whether we registered it or somebody did with the same content."""
    result = job.result
    found = job.clients.machine_learning.models.read(result["workspace"], result["model"], result["version"])
    if found is None or not (found.properties.get("reactor-action") == job.action or found.uri == result["uri"]):
        return None  # another content under this version is refused by the service, in its own words
    return _registered(found, job)


def start(params: Model, job: Job) -> Progress:
    """Register the version."""
    result = job.result
    found = job.clients.machine_learning.models.put(
        result["workspace"],
        result["model"],
        result["version"],
        uri=result["uri"],
        type=params.type or ("custom_model" if _is_backup(params) else "mlflow_model"),
        tags=params.tags,
        properties=_written_metrics(job) | params.properties | _lineage(job),
        description=params.description,
    )
    return _registered(found, job)


def _is_backup(params: Model) -> bool:
    return isinstance(params.origin, dict) and "backup" in params.origin


def _written_metrics(job: Job) -> dict[str, str]:
    return {name: f"{value:.12g}" for name, value in list(job.result["metrics"].items())[:MOST_METRICS]}


def _lineage(job: Job) -> dict[str, str]:
    told = {"reactor-action": job.action, "reactor-event": job.event_key}
    told |= {MAKER_TAG: job.rule, DEPTH_TAG: str(job.depth)}
    return told | ({"reactor-job": job.result["job"]} if job.result["job"] else {})


def _registered(found: Registered, job: Job) -> Done:
    workspace, name, version = (job.result[field] for field in ("workspace", "model", "version"))
    link = studio_link(workspace, f"model/{quote(f'{name}:{version}', safe=':')}/details")
    return Done({"id": found.id, "type": found.type, "links": {"studio": link}}, note=f"{name}:{version} is registered")


_ML = "Microsoft.MachineLearningServices/workspaces"
PERMISSIONS = {
    Model: (
        Permission(
            "workspace",
            (f"{_ML}/models/versions/read", f"{_ML}/models/versions/write"),
            "to register the model, unless it is there already",
        ),
        Permission(
            "workspace",
            (f"{_ML}/read", f"{_ML}/experiments/read", f"{_ML}/experiments/runs/read"),
            "to keep the metrics of the job that made it beside the model",
            optional=True,
        ),
    )
}
RESULTS = {Model: ("model", "version", "id", "type", "uri", "job", "metrics", "workspace", "links.studio")}
STAGES = {
    Model: (
        Stage[Model]("source", start=read_source, effect="reads"),
        Stage[Model]("register", find=find, start=start),
    )
}
