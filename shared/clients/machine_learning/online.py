"""Managed online endpoints and their deployments.

The service has no ETag for them: who writes to an endpoint must be the only one who does.
https://learn.microsoft.com/azure/machine-learning/concept-endpoints-online
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.clients.machine_learning.data_plane import DataPlane
from shared.clients.machine_learning.endpoints import Places
from shared.clients.machine_learning.online_answers import (
    DeploymentRead,
    EndpointRead,
    Keys,
    Logs,
    OnlineDeployment,
    OnlineEndpoint,
    Token,
    Traffic,
    WholeEndpoint,
    weights,
)
from shared.clients.machine_learning.online_scoring import DEPLOYMENT, Scored, Scorer
from shared.clients.machine_learning.online_settings import OnlineSettings, Probe
from shared.clients.machine_learning.pages import Page, every
from shared.clients.machine_learning.resources import Arm
from shared.errors import PermanentError, TemporaryError
from shared.redaction import redacted

__all__ = ["Online", "OnlineDeployment", "OnlineEndpoint", "OnlineSettings", "Probe", "Scored", "Traffic"]

LONGEST_LOG = 1_000
"""Characters of a deployment's log that are kept, from its end."""
SETTLING = 5.0
"""Seconds until an endpoint that changed meanwhile, or shows old weights, is looked at again."""


class Online:
    """Reads and writes online endpoints and their deployments, and asks them for predictions."""

    def __init__(self, arm: Arm, data_plane: DataPlane, scorer: Scorer) -> None:
        self._arm = arm
        self._places = Places(arm, "onlineEndpoints")
        self._data_plane = data_plane
        self._scorer = scorer
        """Signs in as the app."""
        self._keyed = Scorer(scorer.service)
        """Signs in with what it is given."""

    # -- endpoints ----------------------------------------------------------------------------------------------------

    def endpoint(self, workspace: str, name: str) -> OnlineEndpoint | None:
        """Read an endpoint; None where there is none. For a while after a change it may show the traffic from before.

        https://learn.microsoft.com/rest/api/azureml/online-endpoints/get
        """
        answer = self._arm.rest.find(self._places.endpoint(workspace, name))
        return None if answer is None else answer.read(EndpointRead).told()

    def put_endpoint(
        self,
        workspace: str,
        name: str,
        location: str,
        auth_mode: str = "AADToken",
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Create an endpoint and return the URL of the operation, for `operation_error`.

        Raises TemporaryError where one is there already: this would take all traffic from it.
        https://learn.microsoft.com/rest/api/azureml/online-endpoints/create-or-update
        """
        if self.endpoint(workspace, name) is not None:
            raise TemporaryError(f"the endpoint {name} is there already", after=1)
        body = {
            "location": location,
            "identity": {"type": "SystemAssigned"},
            "tags": dict(tags or {}),
            "properties": {"authMode": auth_mode, "publicNetworkAccess": "Enabled", "traffic": {}},
        }
        return self._arm.put(self._places.endpoint(workspace, name), body)

    def set_traffic(
        self,
        workspace: str,
        endpoint: str,
        traffic: Traffic,
        *,
        instead_of: Traffic,
        tags: Mapping[str, str] | None = None,
        mirror: Traffic | None = None,
    ) -> str:
        """Give live requests to deployments as `traffic` says, in percent, and return the URL of the operation.

        `tags` and `mirror` are added to what it has; a deployment that gets live requests gets no mirrored ones.
        Raises TemporaryError where the traffic is neither `instead_of` nor what is wanted: somebody else was quicker,
        or what is read is old.
        """
        wanted = _checked(traffic)
        url = self._places.endpoint(workspace, endpoint)
        found = self._arm.rest.get(url).read(WholeEndpoint)
        if found.traffic not in (before := weights(instead_of), wanted):
            raise TemporaryError(
                f"the traffic of {endpoint} is {_told(found.traffic)} and not {_told(before)} any more", after=SETTLING
            )
        return self._arm.put(url, found.shared(wanted, tags or {}, mirror or {}))

    # -- deployments --------------------------------------------------------------------------------------------------

    def deployment(self, workspace: str, endpoint: str, name: str) -> OnlineDeployment | None:
        """Read a deployment; None where there is none.

        https://learn.microsoft.com/rest/api/azureml/online-deployments/get
        """
        answer = self._arm.rest.find(self._places.deployment(workspace, endpoint, name))
        return None if answer is None else answer.read(DeploymentRead).told()

    def deployments(self, workspace: str, endpoint: str) -> Iterator[OnlineDeployment]:
        """Read all deployments of an endpoint; none where it is missing.

        https://learn.microsoft.com/rest/api/azureml/online-deployments/list
        """
        url = self._places.deployments(workspace, endpoint)
        return (found.told() for found in every(self._arm, url, Page[DeploymentRead], what="deployments"))

    def put_deployment(self, workspace: str, endpoint: str, name: str, location: str, settings: OnlineSettings) -> str:
        """Create a deployment without traffic and return the URL of the operation, for `operation_error`.

        Its endpoint may have been made a moment ago, so a 404 is a TemporaryError.
        https://learn.microsoft.com/rest/api/azureml/online-deployments/create-or-update
        """
        return self._arm.put(self._places.deployment(workspace, endpoint, name), settings.body(location), awaited=True)

    def delete_deployment(self, workspace: str, endpoint: str, name: str) -> None:
        """Begin to delete a deployment; the service refuses that while it has traffic. One that is gone is fine.

        https://learn.microsoft.com/rest/api/azureml/online-deployments/delete
        """
        self._arm.rest.send("DELETE", self._places.deployment(workspace, endpoint, name), effect="same")

    def logs(self, workspace: str, endpoint: str, name: str, tail: int = 200) -> str:
        """Read the end of a deployment's log: on one line, without secrets, `LONGEST_LOG` characters at most.

        https://learn.microsoft.com/rest/api/azureml/online-deployments/get-logs
        """
        url = self._places.deployment(workspace, endpoint, name, "/getLogs")
        body = {"containerType": "InferenceServer", "tail": tail}
        told = self._arm.rest.send("POST", url, body=body).read(Logs).content or ""
        lines = [" ".join(line.split()) for line in redacted(told).splitlines()]
        whole = " | ".join(line for line in lines if line)
        return whole if len(whole) <= LONGEST_LOG else "…" + whole[1 - LONGEST_LOG :]

    # -- predictions --------------------------------------------------------------------------------------------------

    def score(self, endpoint: OnlineEndpoint, body: Any, deployment: str = "") -> Scored:
        """Ask for a prediction: whom the traffic says, or a deployment, which may have none.

        `body` is bytes of JSON, or what JSON can write. A failure of the deployment itself is no error: `Scored`
        tells it. Within 55 s, so a model that takes longer cannot be asked from here.
        """
        url = self._data_plane.checked(endpoint.scoring_uri)
        headers = {"Content-Type": "application/json"} | ({DEPLOYMENT: deployment} if deployment else {})
        secret = self._secret(endpoint)
        if not secret:
            return self._scorer.score(url, body, headers)
        return self._keyed.score(url, body, headers | {"Authorization": f"Bearer {secret}"})

    def _secret(self, endpoint: OnlineEndpoint) -> str:
        """Fetch what the endpoint is asked with; "" where our own token does it."""
        mode = endpoint.auth_mode.lower()
        if mode == "key":
            url = self._arm.by_id(f"{endpoint.id}/listKeys", "endpoint")
            return self._arm.rest.send("POST", url).read(Keys).primary_key
        if mode == "amltoken":
            url = self._arm.by_id(f"{endpoint.id}/token", "endpoint")
            return self._arm.rest.send("POST", url).read(Token).access_token
        return ""


def _checked(traffic: Traffic) -> dict[str, int]:
    """Write traffic as the service takes it; PermanentError where it does not add up."""
    shares = weights(traffic)
    if any(share < 0 for share in shares.values()) or sum(shares.values()) not in (0, 100):
        raise PermanentError(
            f"the traffic {_told(shares)} does not add up to 100", remedy="give shares that add up to 0 or to 100"
        )
    return shares


def _told(traffic: Traffic) -> str:
    return ", ".join(f"{name} {share} %" for name, share in sorted(traffic.items())) or "none"
