"""Machine Learning's workspaces and what they hold beside jobs and endpoints.

registrations.py  versions of models, code, environments, data, components
computes.py       clusters
datastores.py     datastores, and the storage behind them
registries.py     what is published from a workspace
usages.py         quotas and sizes of machines
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.arm import WORKSPACE
from dev.simulators.management.asset_bodies import KINDS
from dev.simulators.management.computes import Computes
from dev.simulators.management.datastores import Datastores
from dev.simulators.management.operations import Operations
from dev.simulators.management.places import Places
from dev.simulators.management.registrations import Registrations
from dev.simulators.management.registries import Registries
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.management.usages import Usages
from dev.simulators.storage import Storage
from dev.simulators.wire import Answer, Request, Route

REGION = "westeurope"
Seed = Callable[[Sequence[Mapping[str, Any]]], None]


class Assets:
    """Workspaces, and all of the above."""

    def __init__(
        self,
        resources: Resources,
        operations: Operations,
        settings: Mapping[str, float],
        places: Places,
        storage: Storage | None,
        *,
        has_job: Callable[[str], bool],
    ) -> None:
        self._resources = resources
        self._places = places
        self.datastores = Datastores(resources, storage)
        self.registrations = Registrations(resources, settings, self.datastores.pending_upload, has_job)
        self.computes = Computes(resources, operations, settings)
        self.registries = Registries(resources, operations)
        self.usages = Usages(settings)

    def routes(self) -> Sequence[Route]:
        """Give what can be asked and done."""
        parts = (self.datastores, self.registrations, self.computes, self.registries, self.usages)
        return [("GET", WORKSPACE, self._workspace), *(route for part in parts for route in part.routes())]

    def seeds(self) -> Mapping[str, Seed]:
        """Give what can be seeded."""
        return {
            "workspaces": each(self._seed_workspace),
            "computes": each(self._seed_compute),
            "datastores": each(self._seed_datastore),
            "registries": each(self.registries.seed),
            "quotas": each(self.usages.seed),
            **{kind: each(seeding(self, kind)) for kind in KINDS},
        }

    def state(self) -> list[Resource]:
        """Give what is not as it is kept."""
        return self.computes.state()

    def clear(self) -> None:
        """Nothing is being done, and quotas are as at the start."""
        self.computes.clear()
        self.registries.clear()
        self.usages.clear()

    def seed_version(self, kind: str, given: Mapping[str, Any]) -> None:
        """Have a version that nobody registered here, in a workspace or in a registry; what was there is replaced."""
        if "/registries/" in given["id"]:
            registry = arm.parent_of(given["id"], "registries")
            if self._resources.find(registry) is None:
                self.registries.seed({"id": registry})
        else:
            self._parent(given)
        before = self._resources.find(given["id"])
        created = given.get("createdAt") or (before["systemData"]["createdAt"] if before else "")
        members = {name: value for name, value in given.items() if name not in {"id", "createdAt"}}
        self._resources.remove(given["id"])
        self.registrations.register(given["id"], kind, {**SEEDED.get(kind, {}), **members}, created=created)

    def _workspace(self, request: Request) -> Answer:
        found = self._resources.get(request.path, arm.missing)
        discovery = found["properties"].get("discoveryUrl") or self._places.discovery
        return Answer(body={**found, "properties": {**found["properties"], "discoveryUrl": discovery}})

    def _seed_workspace(self, given: Mapping[str, Any]) -> None:
        region = given.get("location", REGION)
        guid = str(uuid.uuid5(uuid.NAMESPACE_URL, given["id"].lower()))
        properties = {
            "workspaceId": guid,
            "friendlyName": arm.name_of(given["id"]),
            "discoveryUrl": given.get("discoveryUrl"),
            "mlFlowTrackingUri": f"azureml://{region}.api.azureml.ms/mlflow/v1.0{given['id']}",
            "publicNetworkAccess": "Enabled",
            "provisioningState": "Succeeded",
        }
        self._resources.put(given["id"], properties, location=region, tags={}, identity={"type": "SystemAssigned"})

    def _parent(self, given: Mapping[str, Any]) -> str:
        workspace = arm.parent_of(given["id"], "workspaces")
        found = self._resources.find(workspace)
        if found is None:
            self._seed_workspace({"id": workspace})
        return str(found["location"]) if found else REGION

    def _seed_compute(self, given: Mapping[str, Any]) -> None:
        self.computes.seed(given, self._parent(given))

    def _seed_datastore(self, given: Mapping[str, Any]) -> None:
        self._parent(given)
        self.datastores.seed(given)


SEEDED: Mapping[str, Mapping[str, Any]] = {
    "models": {"modelType": "mlflow_model", "modelUri": "azureml://jobs/train/outputs/artifacts/paths/model"}
}
"""What a seeded version has where the seed does not say."""


def seeding(assets: Assets, kind: str) -> Callable[[Mapping[str, Any]], None]:
    """Give what seeds one version of a kind."""
    return lambda given: assets.seed_version(kind, given)


def each(seed: Callable[[Mapping[str, Any]], None]) -> Seed:
    """Seed a list by seeding each of it."""

    def all_of(given: Sequence[Mapping[str, Any]]) -> None:
        for one in given:
            seed(one)

    return all_of
