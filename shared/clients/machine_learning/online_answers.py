"""What the service says about online endpoints and their deployments.

https://learn.microsoft.com/rest/api/azureml/online-endpoints/get
https://learn.microsoft.com/rest/api/azureml/online-deployments/get
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.clients.machine_learning.endpoints import Whole
from shared.clients.machine_learning.resources import Read, Resource
from shared.clients.rest import Said

type Traffic = Mapping[str, int]
"""Percent by deployment. Names are in lower case, and what has none is left out."""


def weights(traffic: Traffic | None) -> dict[str, int]:
    """Write traffic in the one way that can be compared, which is how Microsoft's own client writes it."""
    return {name.lower(): share for name, share in (traffic or {}).items() if share}


@dataclass(frozen=True, slots=True)
class OnlineEndpoint:
    """An online endpoint."""

    id: str
    name: str
    state: str
    """Creating, Deleting, Succeeded, Failed, Updating or Canceled."""
    scoring_uri: str
    auth_mode: str
    """AADToken, Key or AMLToken."""
    traffic: Traffic
    mirror: Traffic
    """The share of live requests that is repeated to a deployment whose answers nobody sees."""
    tags: Mapping[str, str | None]
    location: str


@dataclass(frozen=True, slots=True)
class OnlineDeployment:
    """A deployment of an online endpoint."""

    id: str
    name: str
    state: str
    """As an endpoint's, and Scaling."""
    model_id: str
    created_at: datetime | None
    instance_type: str
    instance_count: int
    tags: Mapping[str, str | None]


class _EndpointProperties(Read):
    provisioning_state: Said = "Unknown"
    scoring_uri: str | None = None
    auth_mode: Said = "AADToken"
    traffic: dict[str, int] | None = None
    mirror_traffic: dict[str, int] | None = None


class EndpointRead(Resource[_EndpointProperties]):
    """An endpoint as it is read."""

    def told(self) -> OnlineEndpoint:
        """Give what others are told of it."""
        return OnlineEndpoint(
            id=self.id,
            name=self.called,
            state=self.properties.provisioning_state,
            scoring_uri=self.properties.scoring_uri or "",
            auth_mode=self.properties.auth_mode,
            traffic=weights(self.properties.traffic),
            mirror=weights(self.properties.mirror_traffic),
            tags=self.tags or {},
            location=self.location or "",
        )


class _DeploymentProperties(Read):
    provisioning_state: Said = "Unknown"
    model: str | None = None
    instance_type: str | None = None


class _Sku(Read):
    capacity: int | None = None


class DeploymentRead(Resource[_DeploymentProperties]):
    """A deployment as it is read."""

    sku: _Sku | None = None

    def told(self) -> OnlineDeployment:
        """Give what others are told of it."""
        return OnlineDeployment(
            id=self.id,
            name=self.called,
            state=self.properties.provisioning_state,
            model_id=self.properties.model or "",
            created_at=self.system_data.created_at,
            instance_type=self.properties.instance_type or "",
            instance_count=(self.sku and self.sku.capacity) or 0,
            tags=self.tags or {},
        )


class _WholeProperties(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    traffic: dict[str, int] | None = None
    mirrorTraffic: dict[str, int] | None = None  # noqa: N815  # it is written back as it was read


class WholeEndpoint(Whole[_WholeProperties]):
    """An endpoint as it is put back."""

    @property
    def traffic(self) -> dict[str, int]:
        """Its live traffic."""
        return weights(self.properties.traffic)

    def shared(self, traffic: Traffic, tags: Mapping[str, str], mirror: Traffic) -> dict[str, Any]:
        """Write it with other traffic, more tags and more mirrored; what gets live requests gets no mirrored ones."""
        mirrored = {**weights(self.properties.mirrorTraffic), **weights(mirror)}
        left = {name: share for name, share in mirrored.items() if name not in traffic}
        return self.body({"traffic": dict(traffic), "mirrorTraffic": left}, tags)


class Keys(Read):
    """What an endpoint with keys is asked with."""

    primary_key: str


class Token(Read):
    """What an endpoint with tokens of its own is asked with."""

    access_token: str


class Logs(Read):
    """The end of a container's log."""

    content: str | None = None
