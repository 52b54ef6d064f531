"""Azure Machine Learning behind Resource Manager: models, batch endpoints and their deployments.

`workspace` is always the workspace's ARM id. After a PUT the resource itself is polled, never the operation's own URL:
that one is at subscription scope, where the app's identity usually may not look.
https://learn.microsoft.com/rest/api/azureml/
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared import answers
from shared.clients.management import management
from shared.clients.rest import Said, segment
from shared.errors import PermanentError, ReactorError, TemporaryError
from shared.redaction import tidy

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

API_VERSION = "2024-10-01"

ARM_ID = re.compile(r"/subscriptions(?:/(?!\.\.?(?:/|\Z))[^/\\?#]+)+")
READ_ONLY = {"id", "name", "type", "systemData"}
READ_ONLY_PROPERTIES = {"scoringUri", "swaggerUri", "provisioningState"}


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class _Workspace(_Read):
    location: Said


class _SystemData(_Read):
    created_at: datetime | None = None


class _Asset(_Read):
    asset_id: str = ""


class _Defaults(_Read):
    deployment_name: Said | None = None


class _ModelProperties(_Read):
    model_type: str | None = None
    tags: dict[str, str | None] | None = None
    is_archived: bool = False


class _EndpointProperties(_Read):
    provisioning_state: Said = "Unknown"
    scoring_uri: str | None = None
    defaults: _Defaults | None = None


class _DeploymentProperties(_Read):
    provisioning_state: Said = "Unknown"
    model: _Asset | None = None


class _WholeProperties(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    defaults: dict[str, Any] | None = None


class _Identity(_Read):
    type: str = "SystemAssigned"
    user_assigned_identities: dict[str, Any] | None = None


class _Whole(BaseModel):
    """An endpoint with everything that it has, known here or not, to be put back."""

    model_config = ConfigDict(frozen=True, extra="allow")

    properties: _WholeProperties
    identity: _Identity | None = None


class _Resource[P](_Read):
    id: str
    name: str = ""
    properties: P
    system_data: _SystemData = Field(default_factory=_SystemData)


@dataclass(frozen=True, slots=True)
class Model:
    """One version of a registered model."""

    id: str
    type: str
    """"mlflow_model", "custom_model" or "triton_model"."""
    tags: Mapping[str, str | None]
    archived: bool
    created_at: datetime | None


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


class MachineLearning:
    """The calls that a batch deployment needs."""

    def __init__(self, endpoint: str, credential: "Callable[[], TokenCredential]") -> None:
        self._endpoint = endpoint
        self._rest = management("Machine Learning", endpoint, credential)

    def location(self, workspace: str) -> str:
        """Read the region of a workspace. https://learn.microsoft.com/rest/api/azureml/workspaces/get"""
        return self._rest.get(self._url(workspace, "")).read(_Workspace).location

    def model(self, workspace: str, name: str, version: str) -> Model | None:
        """Read a model version; None where it is gone.

        https://learn.microsoft.com/rest/api/azureml/model-versions/get
        """
        path = f"/models/{segment(name)}/versions/{segment(version)}"
        return self.model_by_id(f"{workspace}{path}")

    def model_by_id(self, model_id: str) -> Model | None:
        """Read a model version by its ARM id; None where it is gone, PermanentError where that is no ARM id."""
        if not ARM_ID.fullmatch(model_id):
            raise PermanentError(f"{tidy(model_id)} is no model's ARM id", remedy="see the deployment in the studio")
        if (answer := self._rest.find(self._url(model_id, ""))) is None:
            return None
        found = answer.read(_Resource[_ModelProperties])
        return Model(
            id=found.id,
            type=found.properties.model_type or "custom_model",
            tags=found.properties.tags or {},
            archived=found.properties.is_archived,
            created_at=found.system_data.created_at,
        )

    def batch_endpoint(self, workspace: str, name: str) -> BatchEndpoint | None:
        """Read a batch endpoint; None where there is none.

        https://learn.microsoft.com/rest/api/azureml/batch-endpoints/get
        """
        if (answer := self._rest.find(self._endpoint_url(workspace, name))) is None:
            return None
        found = answer.read(_Resource[_EndpointProperties])
        defaults = found.properties.defaults
        return BatchEndpoint(
            id=found.id,
            state=found.properties.provisioning_state,
            scoring_uri=found.properties.scoring_uri or "",
            default=(defaults and defaults.deployment_name) or "",
        )

    def put_batch_endpoint(self, workspace: str, name: str, location: str) -> str:
        """Create a batch endpoint and return the URL of the operation, for `operation_error`.

        https://learn.microsoft.com/rest/api/azureml/batch-endpoints/create-or-update
        """
        body = {
            "location": location,
            "identity": {"type": "SystemAssigned"},
            "properties": {"authMode": "AADToken"},
        }
        return self._put(self._endpoint_url(workspace, name), body)

    def batch_deployment(self, workspace: str, endpoint: str, name: str) -> BatchDeployment | None:
        """Read a batch deployment; None where there is none.

        https://learn.microsoft.com/rest/api/azureml/batch-deployments/get
        """
        answer = self._rest.find(self._deployment_url(workspace, endpoint, name))
        if answer is None:
            return None
        found = answer.read(_Resource[_DeploymentProperties])
        return BatchDeployment(
            id=found.id,
            state=found.properties.provisioning_state,
            model_id=found.properties.model.asset_id if found.properties.model else "",
            created_at=found.system_data.created_at,
        )

    def put_batch_deployment(
        self, workspace: str, endpoint: str, name: str, location: str, settings: BatchSettings
    ) -> str:
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
        return self._put(self._deployment_url(workspace, endpoint, name), body, awaited=True)

    def set_default(self, workspace: str, endpoint: str, deployment: str, *, instead_of: str) -> str:
        """Make `deployment` the endpoint's default and return the URL of the operation.

        PATCH cannot do it, and there is no ETag: the whole endpoint is read, changed and put back.
        Raises TemporaryError where the default is no longer `instead_of`: somebody else was quicker.
        """
        url = self._endpoint_url(workspace, endpoint)
        found = self._rest.get(url).read(_Whole)
        defaults = found.properties.defaults or {}
        if (defaults.get("deploymentName") or "") != instead_of:
            raise TemporaryError(f"the default deployment of {endpoint} changed meanwhile", after=1)
        changed = {"defaults": defaults | {"deploymentName": deployment}}
        properties = found.properties.model_dump(exclude=READ_ONLY_PROPERTIES) | changed
        body = {name: value for name, value in found.model_dump(exclude=READ_ONLY).items() if value is not None}
        return self._put(url, body | {"identity": _identity(found.identity), "properties": properties})

    def operation_error(self, url: str) -> str:
        """Say why an operation failed, as far as we may look; "" where we may not, or it does not say."""
        if not url.startswith(f"{self._endpoint}/"):
            return ""
        try:
            answer = self._rest.get(url)
        except ReactorError:
            return ""
        return answers.complaint(answer.body.decode("utf-8", "replace")).text if b'"error"' in answer.body else ""

    def _put(self, url: str, body: Mapping[str, Any], *, awaited: bool = False) -> str:
        answer = self._rest.send("PUT", url, body=body, effect="same", awaited=awaited)
        return answer.headers.get("azure-asyncoperation", "")

    def _endpoint_url(self, workspace: str, name: str) -> str:
        return self._url(workspace, f"/batchEndpoints/{segment(name)}")

    def _deployment_url(self, workspace: str, endpoint: str, name: str) -> str:
        return self._url(workspace, f"/batchEndpoints/{segment(endpoint)}/deployments/{segment(name)}")

    def _url(self, resource: str, path: str) -> str:
        return f"{self._endpoint}{resource}{path}?api-version={API_VERSION}"


def asset_id(workspace: str, kind: str, given: str) -> str:
    """Make the ARM id of an asset or a compute: from a full id as it is, from "name" or "name:version" in `workspace`.

    Registry assets (azureml://registries/…) stay as they are.
    """
    if given.startswith(("/subscriptions/", "azureml://")):
        return given
    name, _, version = given.removeprefix("azureml:").partition(":")
    return f"{workspace}/{kind}/{name}" + (f"/versions/{version}" if version else "")


def studio_link(workspace: str, path: str) -> str:
    """Link to a page of the studio."""
    return f"https://ml.azure.com/{path}?wsid={quote(workspace)}"


def _identity(found: _Identity | None) -> dict[str, Any]:
    """Keep what may be written of an identity: its kind, and the identities that the user assigned."""
    identity = found or _Identity()
    assigned: dict[str, Any] = {name: {} for name in identity.user_assigned_identities or {}}
    return {"type": identity.type} | ({"userAssignedIdentities": assigned} if assigned else {})
