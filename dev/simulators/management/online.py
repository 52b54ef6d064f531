"""Managed online endpoints and their deployments.

https://learn.microsoft.com/rest/api/azureml/online-endpoints
https://learn.microsoft.com/rest/api/azureml/online-deployments
https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints
Not settled there, and decided here: a PUT without `traffic` takes all of it away; new traffic is served at once, while
a GET shows the old one until the operation is over and then for `stale_seconds`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.arm import WORKSPACE
from dev.simulators.management.assets import each
from dev.simulators.management.changes import Changes, checked
from dev.simulators.management.online_bodies import DEPLOYMENT_DEFAULTS, ENDPOINT_PATCH, ONLINE_ENDPOINT
from dev.simulators.management.online_checks import check_traffic, weights
from dev.simulators.management.online_deployments import OnlineDeployments, Refusals, without_wait
from dev.simulators.management.online_keys import ENDPOINT, OnlineKeys
from dev.simulators.management.operations import Operations
from dev.simulators.management.places import Places
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.management.usages import Usages
from dev.simulators.tokens import OBJECT, TENANT
from dev.simulators.wire import Answer, Request, Route, now


class OnlineEndpoints:
    """What Resource Manager says about them."""

    def __init__(
        self,
        *,
        resources: Resources,
        operations: Operations,
        changes: Changes,
        places: Places,
        usages: Usages,
        settings: Mapping[str, float],
        make_workspace: Callable[[str], None],
    ) -> None:
        self._resources = resources
        self._operations = operations
        self._changes = changes
        self._places = places
        self._settings = settings
        self._make_workspace = make_workspace
        self._refusals = Refusals(changes)
        self._deployments = OnlineDeployments(
            resources, operations, changes, self._refusals, usages=usages, settings=settings
        )
        self.keys = OnlineKeys(changes)
        self._old: dict[str, tuple[dict[str, int], datetime]] = {}
        """The traffic that is still shown, and until when."""

    def routes(self) -> Sequence[Route]:
        """Give what can be asked and done."""
        return [
            ("GET", WORKSPACE + "/onlineEndpoints", self._listed),
            ("GET", ENDPOINT, self._get),
            ("PUT", ENDPOINT, self._put),
            ("PATCH", ENDPOINT, self._patch),
            ("DELETE", ENDPOINT, self._changes.delete),
            *self._deployments.routes(),
            *self.keys.routes(),
        ]

    def seeds(self) -> Mapping[str, Callable[[Any], None]]:
        """Give what can be seeded."""
        return {
            "online_endpoints": each(self._seed),
            **self._deployments.seeds(),
            **self._refusals.seeds(),
        }

    def clear(self) -> None:
        """Nothing is left."""
        self._old.clear()
        for part in (self._deployments, self._refusals, self.keys):
            part.clear()

    def find(self, region: str, name: str) -> Resource | None:
        """Give the endpoint that a host stands for, with the traffic that is served."""
        return next(
            (
                one
                for one in self._changes.state()
                if "/onlineendpoints/" in one["id"].lower()
                and "/deployments/" not in one["id"].lower()
                and one["name"].lower() == name.lower()
                and self._changes.region(one["id"]).lower() == region.lower()
            ),
            None,
        )

    # -- endpoints ----------------------------------------------------------------------------------------------------

    def _get(self, request: Request) -> Answer:
        return Answer(body=self._shown(self._changes.existing(request.path)))

    def _listed(self, request: Request) -> Answer:
        answer = self._changes.listed(request)
        return replace(answer, body={**answer.body, "value": [self._shown(one) for one in answer.body["value"]]})

    def _shown(self, endpoint: Resource) -> Resource:
        """Show an endpoint as a GET does: with the traffic from before, for a while."""
        traffic, until = self._old.get(endpoint["id"].lower(), ({}, now()))
        if now() >= until:
            return endpoint
        return {**endpoint, "properties": {**endpoint["properties"], "traffic": traffic}}

    def _put(self, request: Request) -> Answer:
        body = checked(request, ONLINE_ENDPOINT)
        self._changes.refuse_taken(request.path)
        self._refusals.unsettled(request.path, "update")
        self._refusals.seeded(request.path)
        before, properties = self._changes.now(request.path), body["properties"]
        there = [one["name"] for one in self._changes.under(request.path.rstrip("/") + "/deployments")]
        name, region = arm.name_of(request.path), self._changes.region(request.path)
        check_traffic(properties, there, name)
        self._keep_old(request.path, before)
        kept = {
            "description": None,
            "publicNetworkAccess": "Enabled",
            **{member: value for member, value in properties.items() if member not in {"keys", "endpoint"}},
            "traffic": weights(properties.get("traffic"), "traffic"),
            "mirrorTraffic": weights(properties.get("mirrorTraffic"), "mirrorTraffic"),
            "properties": {
                **(before["properties"]["properties"] if before else {}),
                **(properties.get("properties") or {}),
            },
            "scoringUri": self._places.scoring(region, name, "score"),
            "swaggerUri": self._places.scoring(region, name, "swagger.json"),
        }
        answer = self._changes.put(request, body, kept, kind="Managed", identity=identified(body["identity"]))
        return without_wait(replace(answer, body=self._shown(answer.body)))

    def _keep_old(self, arm_id: str, before: Resource | None) -> None:
        if before:
            seconds = self._settings["provisioning_seconds"] + self._settings["stale_seconds"]
            shown = self._shown(before)["properties"]["traffic"]
            self._old[before["id"].lower()] = (dict(shown), now() + timedelta(seconds=seconds))
        else:
            self._old.pop(arm_id.lower(), None)

    def _patch(self, request: Request) -> Answer:
        body = checked(request, ENDPOINT_PATCH)
        self._refusals.unsettled(request.path, "update")
        top = {name: body[name] for name in ("tags",) if body.get(name) is not None}
        if body.get("identity"):
            top["identity"] = identified(body["identity"])
        return self._changes.patch(request, {}, **top)

    # -- seeds --------------------------------------------------------------------------------------------------------

    def _seed(self, given: Mapping[str, Any]) -> None:
        """Put an endpoint and its deployments there as if they always had been."""
        if self._resources.find(workspace := arm.parent_of(given["id"], "workspaces")) is None:
            self._make_workspace(workspace)
        region = self._changes.region(given["id"])
        members = {name: given[name] for name in ("traffic", "mirrorTraffic", "description") if name in given}
        properties = {"authMode": given.get("authMode", "AADToken"), "properties": {}, **members}
        name = arm.name_of(given["id"])
        properties |= {
            "traffic": weights(given.get("traffic"), "traffic"),
            "mirrorTraffic": weights(given.get("mirrorTraffic"), "mirrorTraffic"),
            "scoringUri": self._places.scoring(region, name, "score"),
        }
        identity = identified({"type": "SystemAssigned"})
        self._changes.there(given, given["id"], properties, kind="Managed", identity=identity)
        for one in given.get("deployments", []):
            held = {
                **DEPLOYMENT_DEFAULTS,
                "endpointComputeType": "Managed",
                "instanceType": one.get("instanceType", "Standard_DS3_v2"),
                "model": one["model"],
            }
            sku = {"name": "Default", "tier": "Standard", "capacity": one.get("capacity", 1)}
            self._changes.there(one, f"{given['id']}/deployments/{one['name']}", held, kind="Managed", sku=sku)


def identified(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give an identity as it is read: with its ids."""
    assigned = {name: {"principalId": OBJECT, "clientId": OBJECT} for name in given.get("userAssignedIdentities") or {}}
    system = {"principalId": OBJECT, "tenantId": TENANT} if "SystemAssigned" in given["type"] else {}
    return {"type": given["type"], **system, **({"userAssignedIdentities": assigned} if assigned else {})}
