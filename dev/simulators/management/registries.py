"""Registries: what is published to them from a workspace, and read from there.

https://learn.microsoft.com/azure/machine-learning/how-to-share-models-pipelines-across-workspaces-with-registries
Not settled there, and decided here: publishing a version that is there already is done at once, and changes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.arm import GROUP, WORKSPACE
from dev.simulators.management.asset_bodies import DESTINATION, KINDS, body_of
from dev.simulators.management.operations import Operation, Operations
from dev.simulators.management.registrations import no_version
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.wire import Answer, Request, Route

REGISTRY = GROUP + "/providers/Microsoft.MachineLearningServices/registries/{registry}"
ALL = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/registries"


class Registries:
    """Registries, and the versions in them, kept among all other resources; what is on its way is kept here."""

    def __init__(self, resources: Resources, operations: Operations) -> None:
        self._resources = resources
        self._operations = operations
        self._coming: list[tuple[Operation, str, Resource]] = []

    def routes(self) -> Sequence[Route]:
        """Give what can be asked and done."""
        own = [("GET", ALL, self._all), ("GET", REGISTRY, self._get)]
        return [*own, *(route for kind in KINDS for route in self._routes_of(kind))]

    def _routes_of(self, kind: str) -> Sequence[Route]:
        versions = f"{REGISTRY}/{kind}/{{name}}/versions"
        publish = f"{WORKSPACE}/{kind}/{{name}}/versions/{{version}}/publish"
        return [
            ("GET", versions, self._versions),
            ("GET", versions + "/{version}", lambda request: self._version(request, kind)),
            ("POST", publish, lambda request: self._publish(request, kind)),
        ]

    def seed(self, given: Mapping[str, Any]) -> None:
        """Have a registry."""
        self._resources.put(
            given["id"],
            {"publicNetworkAccess": "Enabled", "intellectualPropertyPublisher": None},
            location=given.get("location", "westeurope"),
            tags={},
        )

    def clear(self) -> None:
        """Nothing is on its way."""
        self._coming.clear()

    def _get(self, request: Request) -> Answer:
        return Answer(body=self._resources.get(request.path, arm.missing))

    def _all(self, request: Request) -> Answer:
        below = f"/subscriptions/{request.parts['subscription']}/".lower()
        found = [one for one in self._every() if one["id"].lower().startswith(below)]
        return Answer(body={"value": found, "nextLink": None})

    def _version(self, request: Request, kind: str) -> Answer:
        self._arrive()
        self._resources.get(arm.parent_of(request.path, "registries"), arm.missing)
        return Answer(body=self._resources.get(request.path, lambda path: no_version(path, kind)))

    def _versions(self, request: Request) -> Answer:
        self._arrive()
        self._resources.get(arm.parent_of(request.path, "registries"), arm.missing)
        return Answer(body={"value": self._resources.children(request.path)[::-1], "nextLink": None})

    def _publish(self, request: Request, kind: str) -> Answer:
        workspace = self._resources.get(arm.parent_of(request.path, "workspaces"), arm.missing)
        source_id = request.path.rstrip("/").rsplit("/", 1)[0]
        source = self._resources.get(source_id, lambda path: no_version(path, kind))
        wanted = body_of(request, DESTINATION)
        registry = self._named(wanted["registryName"])
        name = wanted.get("destinationName") or request.parts["name"]
        version = wanted.get("destinationVersion") or request.parts["version"]
        target = f"{registry['id']}/{kind}/{name}/versions/{version}"
        self._arrive()
        if self._resources.find(target):
            return Answer(200)
        operation = self._operations.begin(target, "Creating", workspace["location"])
        self._coming.append((operation, target, {**source["properties"]}))
        return Answer(202, headers=self._operations.delete_headers(operation, request))

    def _named(self, name: str) -> Resource:
        for one in self._every():
            if one["name"].lower() == name.lower():
                return one
        raise arm.refuse(404, "RegistryNotFound", f"Registry {name} was not found.")

    def _every(self) -> list[Resource]:
        kind = arm.type_of(REGISTRY)
        return [one for one in self._resources.state().values() if one["type"] == kind]

    def _arrive(self) -> None:
        """Keep what has arrived by now."""
        for operation, target, properties in self._coming:
            if operation.over and not operation.failure:
                self._resources.put(target, properties)
        self._coming = [one for one in self._coming if not one[0].over]
