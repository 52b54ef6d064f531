"""Batch endpoints at work: invoked, and their jobs found again.

The service names a job and has no key of ours to know it by, so an invocation is a start: it is never repeated, and
ours is found among the endpoint's jobs by where its output goes.
https://learn.microsoft.com/azure/machine-learning/how-to-access-data-batch-endpoints-jobs
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from shared.clients.machine_learning.data_plane import DataPlane
from shared.clients.machine_learning.online_scoring import DEPLOYMENT
from shared.clients.machine_learning.pages import Page, follow
from shared.clients.machine_learning.resources import Read, Resource, duration, given
from shared.clients.machine_learning.workspaces import Workspaces
from shared.clients.rest import Answer, Said, segment

DataType = Literal["UriFolder", "UriFile", "MLFlowModel", "CustomModel", "TritonModel"]
"""An invocation's words; a job of the workspace says "uri_folder", and so on."""
_LISTING = "2020-09-01-dataplanepreview"
"""The one version that lists the jobs of an endpoint; azure-ai-ml uses it, and no document tells of it."""


@dataclass(frozen=True, slots=True)
class Input:
    """Data to be read, or a literal."""

    type: DataType | Literal["Literal"]
    uri: str = ""
    """An https URL of blob storage, azureml://datastores/<store>/paths/<path>, or a data asset's ARM id."""
    value: str = ""
    """A literal's, as text: "0.3", "true"."""

    def body(self) -> dict[str, str]:
        """Write it."""
        said = {"value": self.value} if self.type == "Literal" else {"uri": self.uri}
        return {"jobInputType": self.type, **said}


@dataclass(frozen=True, slots=True)
class Output:
    """Where data is to be written: on a datastore of blob storage, where nothing may be yet."""

    type: DataType
    """A model's deployment writes a "UriFile"."""
    uri: str

    def body(self) -> dict[str, str]:
        """Write it."""
        return {"jobOutputType": self.type, "uri": self.uri}


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What a batch endpoint is asked for. What is empty is as the deployment has it.

    A deployment of a model takes exactly one input, which is data, and one output, which is a file; one of a pipeline
    component takes what the component declares.
    """

    inputs: Mapping[str, Input] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    experiment: str = ""
    """Only heeded by deployments of pipeline components."""
    name: str = ""
    """For people; the service names the job."""
    mini_batch_size: int | None = None
    error_threshold: int | None = None
    max_retries: int | None = None
    retry_timeout: timedelta | None = None
    output_file: str = ""
    """The name of the file, where `outputs` says nothing."""

    def body(self) -> dict[str, Any]:
        """Write it."""
        properties = given(
            inputData={name: one.body() for name, one in self.inputs.items()},
            outputData={name: one.body() for name, one in self.outputs.items()},
            name=self.name,
            miniBatchSize=self.mini_batch_size,
            errorThreshold=self.error_threshold,
            retrySettings=given(maxRetries=self.max_retries, timeout=duration(self.retry_timeout)),
            outputFileName=self.output_file,
            properties=given(experimentName=self.experiment),
        )
        return {"properties": properties}


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A job that an invocation has started."""

    name: str
    """Of the workspace's job too: `jobs.read(workspace, name)`."""
    id: str
    """Under the deployment that runs it."""
    status: str
    outputs: Mapping[str, str]
    """Where each output goes. The service may write what it was told another way, but for the path."""
    created_at: datetime | None


class _Output(Read):
    uri: str | None = None


class _Properties(Read):
    status: Said = "Unknown"
    output_data: dict[str, _Output | None] | None = None


class _Job(Resource[_Properties]):
    name: str = Field(min_length=1)

    def told(self) -> BatchJob:
        """Give what others are told of it."""
        outputs = (self.properties.output_data or {}).items()
        return BatchJob(
            name=self.name,
            id=self.id,
            status=self.properties.status,
            outputs={name: one.uri for name, one in outputs if one and one.uri},
            created_at=self.system_data.created_at,
        )


class Scoring:
    """Invokes batch endpoints and lists what they run."""

    def __init__(self, data_plane: DataPlane, workspaces: Workspaces) -> None:
        self._data_plane = data_plane
        self._workspaces = workspaces

    def invoke(self, scoring_uri: str, invocation: Invocation, deployment: str = "") -> BatchJob:
        """Start a job at `deployment`, or at the endpoint's default.

        Raises UnansweredError where a job may have been started and nobody knows: look for it with `jobs`.
        https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-model-deployments
        """
        url = self._data_plane.checked(scoring_uri)
        headers = {DEPLOYMENT: deployment} if deployment else {}
        rest = self._data_plane.scoring
        return rest.send("POST", url, body=invocation.body(), headers=headers, effect="start").read(_Job).told()

    def jobs(self, workspace: str, endpoint: str) -> Iterator[BatchJob]:
        """Read the jobs of an endpoint, page after page, newest first. A young one may not be listed yet."""
        path = f"/mferp/managementfrontend{workspace}/batchEndpoints/{segment(endpoint)}/jobs"
        url = f"{self._workspaces.read(workspace).api}{path}?api-version={_LISTING}"
        return (found.told() for found in follow(self._page, url, Page[_Job]))

    def _page(self, url: str) -> Answer:
        return self._data_plane.scoring.get(self._data_plane.checked(url))
