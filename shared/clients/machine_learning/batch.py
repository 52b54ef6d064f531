"""Batch endpoints and their deployments.

https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-model-deployments
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from shared.clients.machine_learning.endpoints import Places, Whole
from shared.clients.machine_learning.pages import Page, every
from shared.clients.machine_learning.resources import Arm, Read, Resource, duration, given
from shared.clients.rest import Said
from shared.errors import TemporaryError


class _Asset(Read):
    asset_id: str = ""


class _Defaults(Read):
    deployment_name: Said | None = None


class _EndpointProperties(Read):
    provisioning_state: Said = "Unknown"
    scoring_uri: str | None = None
    defaults: _Defaults | None = None


class _Endpoint(Resource[_EndpointProperties]):
    def told(self) -> "BatchEndpoint":
        """Give what others are told of it."""
        defaults = self.properties.defaults
        return BatchEndpoint(
            id=self.id,
            name=self.called,
            state=self.properties.provisioning_state,
            scoring_uri=self.properties.scoring_uri or "",
            default=(defaults and defaults.deployment_name) or "",
            location=self.location or "",
            tags=self.tags or {},
        )


class _Configuration(Read):
    component_id: _Asset | None = None


class _Resources(Read):
    instance_count: int | None = None


class _DeploymentProperties(Read):
    provisioning_state: Said = "Unknown"
    model: _Asset | None = None
    compute: str | None = None
    resources: _Resources | None = None
    deployment_configuration: _Configuration | None = None


class _Deployment(Resource[_DeploymentProperties]):
    def told(self) -> "BatchDeployment":
        """Give what others are told of it."""
        properties = self.properties
        configured = properties.deployment_configuration
        return BatchDeployment(
            id=self.id,
            name=self.called,
            state=properties.provisioning_state,
            model_id=properties.model.asset_id if properties.model else "",
            component_id=configured.component_id.asset_id if configured and configured.component_id else "",
            compute_id=properties.compute or "",
            instance_count=(properties.resources and properties.resources.instance_count) or 1,
            tags=self.tags or {},
            created_at=self.system_data.created_at,
        )


class _WholeProperties(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    defaults: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BatchEndpoint:
    """A batch endpoint."""

    id: str
    name: str
    state: str
    """Creating, Deleting, Succeeded, Failed, Updating or Canceled."""
    scoring_uri: str
    """Where it is invoked, and to be checked before that: see `DataPlane`."""
    default: str
    """The deployment that answers where a caller names none; "" for none."""
    location: str
    tags: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class BatchDeployment:
    """A deployment of a batch endpoint: of a model, or of a pipeline component."""

    id: str
    name: str
    state: str
    """As an endpoint's, and Scaling."""
    model_id: str
    """"" where it runs a pipeline component."""
    component_id: str
    """"" where it runs a model."""
    compute_id: str
    instance_count: int
    tags: Mapping[str, str | None]
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """What a new batch deployment is made of: a model or a component. What is empty is left to the service.

    A model that is no MLflow model needs code, a scoring script and an environment.
    https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-batch
    """

    model_id: str = ""
    component_id: str = ""
    """A pipeline component's id, which is run instead of a model; then only the compute and the tags count."""
    compute_id: str = ""
    instance_count: int = 1
    environment_id: str = ""
    code_id: str = ""
    scoring_script: str = ""
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    mini_batch_size: int | None = None
    """Files that one call of the scoring script gets; the service's default is 10."""
    error_threshold: int | None = None
    """Files that may fail before the job does; -1, the service's default: any number."""
    output_action: Literal["", "AppendRow", "SummaryOnly"] = ""
    output_file: str = ""
    """The name of the file that rows are appended to; the service's default is "predictions.csv"."""
    max_retries: int | None = None
    """How often a mini-batch is tried again; the service's default is 3."""
    retry_timeout: timedelta | None = None
    """How long one mini-batch may take; the service's default is 30 s."""
    concurrency: int | None = None
    """Mini-batches at the same time on one instance; the service's default is 1."""
    logging_level: Literal["", "Info", "Warning", "Debug"] = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def body(self, location: str) -> dict[str, Any]:
        """Write it."""
        properties = self._component() if self.component_id else self._model()
        return {"location": location, "tags": dict(self.tags), "properties": properties}

    def _model(self) -> dict[str, Any]:
        code = {"codeId": self.code_id, "scoringScript": self.scoring_script} if self.code_id else None
        return given(
            model={"referenceType": "Id", "assetId": self.model_id} if self.model_id else None,
            compute=self.compute_id,
            resources={"instanceCount": self.instance_count},
            environmentId=self.environment_id,
            codeConfiguration=code,
            environmentVariables=dict(self.environment_variables),
            miniBatchSize=self.mini_batch_size,
            errorThreshold=self.error_threshold,
            outputAction=self.output_action,
            outputFileName=self.output_file,
            retrySettings=given(maxRetries=self.max_retries, timeout=duration(self.retry_timeout)),
            maxConcurrencyPerInstance=self.concurrency,
            loggingLevel=self.logging_level,
            description=self.description,
        )

    def _component(self) -> dict[str, Any]:
        settings = {"continue_on_step_failure": "false", "force_rerun": "true"}
        configuration = {
            "deploymentConfigurationType": "PipelineComponent",
            "componentId": {"referenceType": "Id", "assetId": self.component_id},
            "settings": settings | given(default_compute=self.compute_id),
        }
        return given(deploymentConfiguration=configuration, description=self.description)


class Batch:
    """Reads and writes batch endpoints and their deployments."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._places = Places(arm, "batchEndpoints")

    def endpoint(self, workspace: str, name: str) -> BatchEndpoint | None:
        """Read a batch endpoint; None where there is none.

        https://learn.microsoft.com/rest/api/azureml/batch-endpoints/get
        """
        answer = self._arm.rest.find(self._places.endpoint(workspace, name))
        return None if answer is None else answer.read(_Endpoint).told()

    def put_endpoint(
        self, workspace: str, name: str, location: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> str:
        """Create a batch endpoint and return the URL of the operation, for `operation_error`.

        https://learn.microsoft.com/rest/api/azureml/batch-endpoints/create-or-update
        """
        body = {
            "location": location,
            "identity": {"type": "SystemAssigned"},
            "tags": dict(tags or {}),
            "properties": given(authMode="AADToken", description=description),
        }
        return self._arm.put(self._places.endpoint(workspace, name), body)

    def deployment(self, workspace: str, endpoint: str, name: str) -> BatchDeployment | None:
        """Read a batch deployment; None where there is none.

        https://learn.microsoft.com/rest/api/azureml/batch-deployments/get
        """
        answer = self._arm.rest.find(self._places.deployment(workspace, endpoint, name))
        return None if answer is None else answer.read(_Deployment).told()

    def deployments(self, workspace: str, endpoint: str) -> Iterator[BatchDeployment]:
        """Read all deployments of a batch endpoint; none where it is missing.

        https://learn.microsoft.com/rest/api/azureml/batch-deployments/list
        """
        url = self._places.deployments(workspace, endpoint)
        return (found.told() for found in every(self._arm, url, Page[_Deployment], what="deployments"))

    def put_deployment(self, workspace: str, endpoint: str, name: str, location: str, settings: BatchSettings) -> str:
        """Create a batch deployment and return the URL of the operation, for `operation_error`.

        Its endpoint may have been made a moment ago, so a 404 is a TemporaryError.
        https://learn.microsoft.com/rest/api/azureml/batch-deployments/create-or-update
        """
        return self._arm.put(self._places.deployment(workspace, endpoint, name), settings.body(location), awaited=True)

    def delete_endpoint(self, workspace: str, name: str) -> None:
        """Begin to delete a batch endpoint and all its deployments; one that is not there is fine.

        https://learn.microsoft.com/rest/api/azureml/batch-endpoints/delete
        """
        self._arm.rest.send("DELETE", self._places.endpoint(workspace, name), effect="same")

    def delete_deployment(self, workspace: str, endpoint: str, name: str) -> None:
        """Begin to delete a batch deployment; one that is not there is fine. The endpoint's default stays what it is.

        https://learn.microsoft.com/rest/api/azureml/batch-deployments/delete
        """
        self._arm.rest.send("DELETE", self._places.deployment(workspace, endpoint, name), effect="same")

    def set_default(self, workspace: str, endpoint: str, deployment: str, *, instead_of: str) -> str:
        """Make `deployment` the endpoint's default and return the URL of the operation.

        Raises TemporaryError where the default is no longer `instead_of`: somebody else was quicker.
        """
        url = self._places.endpoint(workspace, endpoint)
        found = self._arm.rest.get(url).read(Whole[_WholeProperties])
        defaults = found.properties.defaults or {}
        if (defaults.get("deploymentName") or "") != instead_of:
            raise TemporaryError(f"the default deployment of {endpoint} changed meanwhile", after=1)
        return self._arm.put(url, found.body({"defaults": defaults | {"deploymentName": deployment}}))
