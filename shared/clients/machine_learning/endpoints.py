"""What batch and online endpoints have in common: where they are, and how a whole one is changed and put back.

PATCH changes little of an endpoint and there is no ETag, so all of it is read, changed and put back.
https://learn.microsoft.com/rest/api/azureml/batch-endpoints/create-or-update
https://learn.microsoft.com/rest/api/azureml/online-endpoints/create-or-update
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from shared.clients.machine_learning.resources import Arm, Read
from shared.clients.rest import segment

READ_ONLY = {"id", "name", "type", "systemData"}
READ_ONLY_PROPERTIES = {"scoringUri", "swaggerUri", "provisioningState"}


class Places:
    """The URLs of one kind of endpoint and of its deployments."""

    def __init__(self, arm: Arm, kind: Literal["batchEndpoints", "onlineEndpoints"]) -> None:
        self._arm = arm
        self._kind = kind

    def endpoint(self, workspace: str, name: str) -> str:
        """Write the URL of an endpoint."""
        return self._arm.url(workspace, f"/{self._kind}/{segment(name)}")

    def deployments(self, workspace: str, endpoint: str) -> str:
        """Write the URL of the list of an endpoint's deployments."""
        return self._arm.url(workspace, f"/{self._kind}/{segment(endpoint)}/deployments")

    def deployment(self, workspace: str, endpoint: str, name: str, path: str = "") -> str:
        """Write the URL of a deployment, or of what `path` names of it."""
        return self._arm.url(workspace, f"/{self._kind}/{segment(endpoint)}/deployments/{segment(name)}{path}")


class Identity(Read):
    """The identity that an endpoint works as."""

    type: str = "SystemAssigned"
    user_assigned_identities: dict[str, Any] | None = None

    def body(self) -> dict[str, Any]:
        """Keep what may be written of it: its kind, and the identities that the user assigned."""
        assigned: dict[str, Any] = {name: {} for name in self.user_assigned_identities or {}}
        return {"type": self.type} | ({"userAssignedIdentities": assigned} if assigned else {})


class Whole[P: BaseModel](BaseModel):
    """An endpoint with everything that it has, known here or not, to be put back; so has `P`, its properties."""

    model_config = ConfigDict(frozen=True, extra="allow")

    properties: P
    identity: Identity | None = None
    tags: dict[str, str | None] | None = None

    def body(self, changed: Mapping[str, Any], tags: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Write it with other properties and more tags."""
        kept = self.properties.model_dump(exclude=READ_ONLY_PROPERTIES, exclude_none=True)
        return self.model_dump(exclude=READ_ONLY, exclude_none=True) | {
            "identity": (self.identity or Identity()).body(),
            "tags": {name: value or "" for name, value in (self.tags or {}).items()} | dict(tags or {}),
            "properties": kept | dict(changed),
        }
