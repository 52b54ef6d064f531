"""Machine Learning's workspaces, model versions, computes and jobs: seeded, and read.

Facts: reference §3, §4d. A job may change its status by the clock (seed "then").
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.arm import WORKSPACE
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.wire import Answer, RefusedError, Request, Route, instant, moment, now

MODEL = WORKSPACE + "/models/{model}"
REGION = "westeurope"


class Assets:
    """What a workspace holds beside its endpoints."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def routes(self) -> Sequence[Route]:
        """Give what can be asked."""
        return [
            ("GET", WORKSPACE, lambda request: Answer(body=self._resources.get(request.path, arm.missing))),
            ("GET", MODEL, self._model),
            ("GET", MODEL + "/versions", self._versions),
            ("GET", MODEL + "/versions/{version}", self._version),
            ("GET", WORKSPACE + "/computes/{name}", self._compute),
            ("GET", WORKSPACE + "/jobs/{name}", self._job),
        ]

    def seeds(self) -> Mapping[str, Callable[[Sequence[Mapping[str, Any]]], None]]:
        """Give what can be seeded."""
        return {
            "workspaces": each(self._seed_workspace),
            "models": each(self._seed_model),
            "computes": each(self._seed_compute),
            "jobs": each(self._seed_job),
        }

    def clear(self) -> None:
        """Nothing is kept here."""

    def _child(self, request: Request, absent: Callable[[str], RefusedError]) -> Resource:
        self._resources.get(arm.parent_of(request.path, "workspaces"), arm.missing)
        return self._resources.get(request.path, absent)

    def _version(self, request: Request) -> Answer:
        return Answer(body=self._child(request, no_model))

    def _versions(self, request: Request) -> Answer:
        self._resources.get(arm.parent_of(request.path, "workspaces"), arm.missing)
        wanted = [tag.partition("=")[::2] for tag in request.query.get("tags", "").split(",") if tag]
        found = [
            one
            for one in reversed(self._resources.children(request.path))
            if all(
                (tags := one["properties"]["tags"]).get(name) == (value or tags.get(name, "")) for name, value in wanted
            )
        ]
        return Answer(body={"value": found[: int(request.query.get("$top", "100"))], "nextLink": None})

    def _model(self, request: Request) -> Answer:
        versions = self._resources.children(request.path + "/versions")
        if not versions:
            raise no_model(request.path)
        latest = max(versions, key=lambda one: str(one["systemData"]["createdAt"]))["name"]
        properties = {"latestVersion": latest, "tags": {}, "properties": {}, "isArchived": False}
        return Answer(body={"id": request.path, "name": arm.name_of(request.path), "properties": properties})

    def _compute(self, request: Request) -> Answer:
        return Answer(body=self._child(request, lambda path: not_found("Compute", path)))

    def _job(self, request: Request) -> Answer:
        job = self._child(request, lambda path: not_found("Job", path))
        shown = {name: value for name, value in job["properties"].items() if name not in {"then", "seeded"}}
        passed = now() - moment(job["properties"]["seeded"])
        for change in job["properties"]["then"]:
            if passed >= timedelta(seconds=change["after"]):
                shown["status"] = change["status"]
        return Answer(body={**job, "properties": shown})

    def _seed_workspace(self, given: Mapping[str, Any]) -> None:
        region = given.get("location", REGION)
        properties = {
            "workspaceId": "00000000-0000-4000-8000-000000000001",
            "discoveryUrl": f"https://{region}.api.azureml.ms/discovery",
            "provisioningState": "Succeeded",
        }
        self._resources.put(given["id"], properties, location=region, tags={}, identity={"type": "SystemAssigned"})

    def _parent(self, given: Mapping[str, Any]) -> None:
        workspace = arm.parent_of(given["id"], "workspaces")
        if self._resources.find(workspace) is None:
            self._seed_workspace({"id": workspace})

    def _seed_model(self, given: Mapping[str, Any]) -> None:
        self._parent(given)
        properties = {
            "description": given.get("description"),
            "tags": given.get("tags", {}),
            "properties": given.get("properties", {}),
            "isArchived": False,
            "isAnonymous": False,
            "flavors": given.get("flavors", {}),
            "modelType": given.get("modelType", "mlflow_model"),
            "modelUri": given.get("modelUri", "azureml://jobs/train/outputs/artifacts/paths/model"),
            "jobName": given.get("jobName"),
            "provisioningState": "Succeeded",
            "stage": given.get("stage"),
        }
        self._resources.put(given["id"], properties, created=given.get("createdAt", ""))

    def _seed_compute(self, given: Mapping[str, Any]) -> None:
        self._parent(given)
        properties = {"computeType": "AmlCompute", "provisioningState": given.get("provisioningState", "Succeeded")}
        self._resources.put(given["id"], properties, location=REGION)

    def _seed_job(self, given: Mapping[str, Any]) -> None:
        self._parent(given)
        self._resources.put(
            given["id"],
            {
                "jobType": given.get("jobType", "Pipeline"),
                "status": given.get("status", "Running"),
                "displayName": given.get("displayName"),
                "experimentName": given.get("experimentName", "Default"),
                "tags": given.get("tags", {}),
                "properties": given.get("properties", {}),
                "services": {"Studio": {"endpoint": f"https://ml.azure.com/runs/{arm.name_of(given['id'])}"}},
                "outputs": given.get("outputs", {}),
                "then": given.get("then", []),
                "seeded": instant(now()),
            },
        )


def each(seed: Callable[[Mapping[str, Any]], None]) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """Seed a list by seeding each of it."""

    def all_of(given: Sequence[Mapping[str, Any]]) -> None:
        for one in given:
            seed(one)

    return all_of


def no_model(path: str) -> RefusedError:
    """Give a model version that is not, or no longer, registered."""
    name, version = arm.parent_of(path, "models"), arm.name_of(path)
    return arm.refuse(404, "ModelNotFound", f"Model {arm.name_of(name)} with version {version} is not found.")


def not_found(kind: str, path: str) -> RefusedError:
    """Anything else that is not there."""
    return arm.refuse(404, "NotFound", f"{kind} {arm.name_of(path)} was not found.")
