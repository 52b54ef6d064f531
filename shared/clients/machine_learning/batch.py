"""Batch endpoints and their deployments.

https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-model-deployments
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.clients.machine_learning.resources import Arm, Read, Resource
from shared.clients.rest import Said, segment
from shared.errors import TemporaryError

READ_ONLY = {"id", "name", "type", "systemData"}
READ_ONLY_PROPERTIES = {"scoringUri", "swaggerUri", "provisioningState"}


class _Asset(Read):
    asset_id: str = ""


class _Defaults(Read):
    deployment_name: Said | None = None


class _EndpointProperties(Read):
    provisioning_state: Said = "Unknown"
    scoring_uri: str | None = None
    defaults: _Defaults | None = None


class _DeploymentProperties(Read):
    provisioning_state: Said = "Unknown"
    model: _Asset | None = None


class _WholeProperties(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    defaults: dict[str, Any] | None = None


class _Identity(Read):
    type: str = "SystemAssigned"
    user_assigned_identities: dict[str, Any] | None = None


class _Whole(BaseModel):
    """An endpoint with everything that it has, known here or not, to be put back."""

    model_config = ConfigDict(frozen=True, extra="allow")

    properties: _WholeProperties
    identity: _Identity | None = None


@dataclass(frozen=True, slots=True)
class BatchEndpoint:
    """A batch endpoint."""

    id: str
    state: str
    """Creating, Deleting, Succeeded, Failed, Updating or Canceled."""
    scoring_uri: str
    default: str
    """The deployment that answers where a caller names none; "" for none."""


@dataclass(frozen=True, slots=True)
class BatchDeployment:
    """A deployment of a batch endpoint."""

    id: str
    state: str
    """As an endpoint's, and Scaling."""
    model_id: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """What a new batch deployment is made of. Empty values are left to the service."""

    model_id: str
    compute_id: str
    instance_count: int = 1
    environment_id: str = ""
    code_id: str = ""
    scoring_script: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class Batch:
    """Reads and writes batch endpoints and their deployments."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm

    def endpoint(self, workspace: str, name: str) -> BatchEndpoint | None:
        """Read a batch endpoint; None where there is none.

        https://learn.microsoft.com/rest/api/azureml/batch-endpoints/get
        """
        if (answer := self._arm.rest.find(self._endpoint_url(workspace, name))) is None:
            return None
        found = answer.read(Resource[_EndpointProperties])
        defaults = found.properties.defaults
        return BatchEndpoint(
            id=found.id,
            state=found.properties.provisioning_state,
            scoring_uri=found.properties.scoring_uri or "",
            default=(defaults and defaults.deployment_name) or "",
        )

    def put_endpoint(self, workspace: str, name: str, location: str) -> str:
        """Create a batch endpoint and return the URL of the operation, for `operation_error`.

        https://learn.microsoft.com/rest/api/azureml/batch-endpoints/create-or-update
        """
        body = {
            "location": location,
            "identity": {"type": "SystemAssigned"},
            "properties": {"authMode": "AADToken"},
        }
        return self._arm.put(self._endpoint_url(workspace, name), body)

    def deployment(self, workspace: str, endpoint: str, name: str) -> BatchDeployment | None:
        """Read a batch deployment; None where there is none.

        https://learn.microsoft.com/rest/api/azureml/batch-deployments/get
        """
        answer = self._arm.rest.find(self._deployment_url(workspace, endpoint, name))
        if answer is None:
            return None
        found = answer.read(Resource[_DeploymentProperties])
        return BatchDeployment(
            id=found.id,
            state=found.properties.provisioning_state,
            model_id=found.properties.model.asset_id if found.properties.model else "",
            created_at=found.system_data.created_at,
        )

    def put_deployment(self, workspace: str, endpoint: str, name: str, location: str, settings: BatchSettings) -> str:
        """Create a batch deployment and return the URL of the operation, for `operation_error`.

        Its endpoint may have been made a moment ago, so a 404 is a TemporaryError.
        https://learn.microsoft.com/rest/api/azureml/batch-deployments/create-or-update
        """
        properties: dict[str, Any] = {
            "model": {"referenceType": "Id", "assetId": settings.model_id},
            "compute": settings.compute_id,
            "resources": {"instanceCount": settings.instance_count},
        }
        if settings.environment_id:
            properties["environmentId"] = settings.environment_id
        if settings.code_id:
            properties["codeConfiguration"] = {"codeId": settings.code_id, "scoringScript": settings.scoring_script}
        body = {"location": location, "tags": dict(settings.tags), "properties": properties}
        return self._arm.put(self._deployment_url(workspace, endpoint, name), body, awaited=True)

    def set_default(self, workspace: str, endpoint: str, deployment: str, *, instead_of: str) -> str:
        """Make `deployment` the endpoint's default and return the URL of the operation.

        PATCH cannot do it, and there is no ETag: the whole endpoint is read, changed and put back.
        Raises TemporaryError where the default is no longer `instead_of`: somebody else was quicker.
        """
        url = self._endpoint_url(workspace, endpoint)
        found = self._arm.rest.get(url).read(_Whole)
        defaults = found.properties.defaults or {}
        if (defaults.get("deploymentName") or "") != instead_of:
            raise TemporaryError(f"the default deployment of {endpoint} changed meanwhile", after=1)
        changed = {"defaults": defaults | {"deploymentName": deployment}}
        properties = found.properties.model_dump(exclude=READ_ONLY_PROPERTIES) | changed
        body = {name: value for name, value in found.model_dump(exclude=READ_ONLY).items() if value is not None}
        return self._arm.put(url, body | {"identity": _identity(found.identity), "properties": properties})

    def _endpoint_url(self, workspace: str, name: str) -> str:
        return self._arm.url(workspace, f"/batchEndpoints/{segment(name)}")

    def _deployment_url(self, workspace: str, endpoint: str, name: str) -> str:
        return self._arm.url(workspace, f"/batchEndpoints/{segment(endpoint)}/deployments/{segment(name)}")


def _identity(found: _Identity | None) -> dict[str, Any]:
    """Keep what may be written of an identity: its kind, and the identities that the user assigned."""
    identity = found or _Identity()
    assigned: dict[str, Any] = {name: {} for name in identity.user_assigned_identities or {}}
    return {"type": identity.type} | ({"userAssignedIdentities": assigned} if assigned else {})
