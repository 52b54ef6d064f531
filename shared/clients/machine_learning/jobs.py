"""Jobs: a pipeline is started under a name of ours, which the service takes only once, then looked at and canceled.

https://learn.microsoft.com/azure/machine-learning/how-to-train-model
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.clients.machine_learning.pages import Page, every
from shared.clients.machine_learning.resources import Arm, Read, Resource
from shared.clients.machine_learning.runs import Run, Runs
from shared.clients.rest import Said, segment
from shared.errors import PermanentError, ReactorError
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

ENDED = frozenset({"Completed", "Failed", "Canceled", "NotResponding", "Paused"})
"""The statuses in which a job stays. The last two are ends to the service's own tools."""
OVER = "CancelRequested", "Finalizing"
"""Not ended, and yet there is nothing that could be canceled."""
NAME_IS_TAKEN = "JobPropertyImmutable", "already exists"
"""Words of the refusal of another definition under a name that is used."""


class _Output(Read):
    uri: str | None = None


class _Service(Read):
    endpoint: str | None = None


class _Properties(Read):
    status: Said = "Unknown"
    job_type: Said = ""
    experiment_name: Said | None = None
    display_name: Said | None = None
    tags: dict[str, str | None] | None = None
    properties: dict[str, str | None] | None = None
    outputs: dict[str, _Output | None] | None = None
    services: dict[str, _Service | None] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job, or a step of one."""

    id: str
    name: str
    """Also its run's id."""
    status: str
    """NotStarted, Preparing, Queued, Running, Finalizing, CancelRequested, … or one of ENDED; "Unknown" is one, too."""
    type: str
    """"Pipeline", "Command", …; "" for a step."""
    experiment: str
    display_name: str
    tags: Mapping[str, str | None]
    properties: Mapping[str, str | None]
    outputs: Mapping[str, str]
    """Each output's URI by its name, "" where the service does not say where it is."""
    studio: str
    """Its page of the studio."""
    created_by: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """What a pipeline job is made of. Empty values are left to the service.

    Inputs and outputs are as on the wire: {"jobInputType": "literal", "value": "0.1"},
    {"jobInputType": "uri_folder", "uri": "azureml://…"}, {"jobOutputType": "mlflow_model", "assetName": "credit"}.
    """

    component_id: str
    """Of a registered pipeline component, in the workspace or (azureml://registries/…) in a registry."""
    experiment: str
    display_name: str = ""
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    compute: str = ""
    """The ARM id of the steps' default compute."""
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


class Jobs:
    """Starts, reads and cancels jobs. `scope` is that of Machine Learning's own tokens."""

    def __init__(self, arm: Arm, runs: Runs, credential: "Callable[[], TokenCredential]", scope: str) -> None:
        self._arm = arm
        self._runs = runs
        self._credential = credential
        self._scope = scope

    def read(self, workspace: str, name: str) -> Job | None:
        """Read a job; None where there is none.

        A pipeline's step is no job to Resource Manager, which answers it without properties: it is read in the run
        history instead.
        https://learn.microsoft.com/rest/api/azureml/jobs/get
        """
        if (answer := self._arm.rest.find(self._url(workspace, name))) is None:
            return None
        found = answer.read(Resource[_Properties | None])
        if found.properties is None:
            return _of_run(found.id, self._runs.read(workspace, name))
        return _of_job(found, found.properties)

    def since(self, workspace: str, start: datetime) -> Iterator[Job]:
        """Read the pipeline jobs that are not older than `start`, page after page, newest first; steps are none.

        https://learn.microsoft.com/rest/api/azureml/jobs/list
        """
        url = self._arm.url(workspace, "/jobs", jobType="Pipeline", listViewType="All")
        for found in every(self._arm, url, Page[Resource[_Properties | None]], what="jobs"):
            if found.system_data.created_at and found.system_data.created_at < start:
                return
            if found.properties is not None:
                yield _of_job(found, found.properties)

    def put_pipeline(self, workspace: str, name: str, settings: PipelineSettings) -> Job:
        """Start a pipeline job; the one that has the name already is as good, whatever its definition.

        The service refuses another definition under the same name, so that a name is started once.
        The header is for steps that act as the user; the service's own client sends it with every pipeline.
        https://learn.microsoft.com/rest/api/azureml/jobs/create-or-update
        """
        with translated("Machine Learning"):
            token = self._credential().get_token(self._scope).token
        url, headers = self._url(workspace, name), {"x-azureml-token": token}
        try:
            answer = self._arm.rest.send("PUT", url, body=_body(settings), headers=headers, effect="same")
        except PermanentError as problem:
            there = any(word in problem.reason for word in NAME_IS_TAKEN) and self.read(workspace, name)
            if not there:
                raise
            return there
        found = answer.read(Resource[_Properties])
        return _of_job(found, found.properties)

    def cancel(self, workspace: str, name: str) -> None:
        """Ask for a job to be canceled; nothing happens to one that has ended, or is ending.

        https://learn.microsoft.com/rest/api/azureml/jobs/cancel
        """
        try:
            self._arm.rest.send("POST", self._url(workspace, name, "/cancel"), effect="same")
        except ReactorError:
            job = self.read(workspace, name)
            if job is None or job.status not in ENDED.union(OVER):
                raise

    def _url(self, workspace: str, name: str, path: str = "") -> str:
        return self._arm.url(workspace, f"/jobs/{segment(name)}{path}")


def _body(settings: PipelineSettings) -> dict[str, Any]:
    """Write the job, with the settings that the service's own client writes."""
    return {
        "properties": {
            "jobType": "Pipeline",
            "componentId": settings.component_id,
            "experimentName": settings.experiment,
            **({"displayName": settings.display_name} if settings.display_name else {}),
            "inputs": {name: dict(given) for name, given in settings.inputs.items()},
            "outputs": {name: dict(given) for name, given in settings.outputs.items()},
            "settings": {
                "_source": "REMOTE.WORKSPACE.JOB",
                **({"default_compute": settings.compute} if settings.compute else {}),
            },
            "tags": dict(settings.tags),
            "properties": dict(settings.properties),
        }
    }


def _of_job(found: Resource[Any], properties: _Properties) -> Job:
    studio = (properties.services or {}).get("Studio")
    return Job(
        id=found.id,
        name=found.name,
        status=properties.status,
        type=properties.job_type,
        experiment=properties.experiment_name or "",
        display_name=properties.display_name or "",
        tags=properties.tags or {},
        properties=properties.properties or {},
        outputs={name: (output and output.uri) or "" for name, output in (properties.outputs or {}).items()},
        studio=(studio and studio.endpoint) or "",
        created_by=found.system_data.created_by or "",
        created_at=found.system_data.created_at,
    )


def _of_run(arm_id: str, run: Run) -> Job:
    return Job(
        id=arm_id,
        name=run.id,
        status=run.status,
        type="",
        experiment="",
        display_name=run.name,
        tags=run.tags,
        properties=run.properties,
        outputs={},
        studio="",
        created_by=run.created_by,
        created_at=run.created_at,
    )
