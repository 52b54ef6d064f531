"""Batch endpoints and their deployments.

https://learn.microsoft.com/rest/api/azureml/batch-endpoints
https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-batch
Not settled there, and decided here: what a deployment refers to must be there when it is put; a model that is no
MLflow model needs code and an environment; the default deployment may be deleted, and then none answers by default.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.arm import WORKSPACE
from dev.simulators.management.assets import each
from dev.simulators.management.bodies import (
    BATCH_DEPLOYMENT,
    BATCH_DEPLOYMENT_PATCH,
    BATCH_ENDPOINT,
    BATCH_ENDPOINT_PATCH,
)
from dev.simulators.management.changes import Changes, checked
from dev.simulators.management.places import Places
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.wire import Answer, Request, Route

ENDPOINT = WORKSPACE + "/batchEndpoints/{endpoint}"
DEPLOYMENT = ENDPOINT + "/deployments/{deployment}"
CREATE_ONLY = ("codeConfiguration",)
DEPLOYMENT_DEFAULTS = {
    "errorThreshold": -1,
    "maxConcurrencyPerInstance": 1,
    "miniBatchSize": 10,
    "outputAction": "AppendRow",
    "outputFileName": "predictions.csv",
    "loggingLevel": "Info",
    "retrySettings": {"maxRetries": 3, "timeout": "PT30S"},
}
BY_PIPELINE = "pipelinecomponent"


class BatchEndpoints:
    """What Resource Manager says about them."""

    def __init__(self, resources: Resources, changes: Changes, places: Places) -> None:
        self._resources = resources
        self._changes = changes
        self._places = places

    def routes(self) -> Sequence[Route]:
        """Give what can be asked and done."""
        return [
            ("GET", WORKSPACE + "/batchEndpoints", self._changes.listed),
            ("GET", ENDPOINT, self._changes.get),
            ("PUT", ENDPOINT, self._put_endpoint),
            ("PATCH", ENDPOINT, self._patch_endpoint),
            ("DELETE", ENDPOINT, self._changes.delete),
            ("GET", ENDPOINT + "/deployments", self._changes.listed),
            ("GET", DEPLOYMENT, self._changes.get),
            ("PUT", DEPLOYMENT, self._put_deployment),
            ("PATCH", DEPLOYMENT, self._patch_deployment),
            ("DELETE", DEPLOYMENT, self._changes.delete),
        ]

    def seeds(self) -> Mapping[str, Callable[[Any], None]]:
        """Give what can be seeded: endpoints with their deployments."""
        return {"batch_endpoints": each(self._seed)}

    def clear(self) -> None:
        """Nothing is kept here."""

    def _seed(self, given: Mapping[str, Any]) -> None:
        """Put an endpoint and its deployments there as if they always had been."""
        name, region = arm.name_of(given["id"]), self._changes.region(given["id"])
        properties = {
            "authMode": "AADToken",
            "defaults": {"deploymentName": given["default"]} if given.get("default") else None,
            "properties": {},
            "scoringUri": self._places.scoring(region, name, "jobs"),
        }
        self._changes.there(given, given["id"], properties, identity={"type": "SystemAssigned"})
        for one in given.get("deployments", []):
            held = {"model": {"referenceType": "Id", "assetId": one["model"]}, "compute": one["compute"]}
            self._changes.there(one, f"{given['id']}/deployments/{one['name']}", {**DEPLOYMENT_DEFAULTS, **held})

    def _put_endpoint(self, request: Request) -> Answer:
        region, name = self._changes.region(request.path), arm.name_of(request.path)
        body = checked(request, BATCH_ENDPOINT)
        self._changes.refuse_while_changing(request.path, "update")
        self._changes.refuse_taken(request.path)
        properties = body["properties"]
        if properties["authMode"].lower() != "aadtoken":
            raise arm.refuse(400, "BadRequest", "AuthMode must be 'AADToken' for batch endpoints.")
        if (identity := body.get("identity") or {}) and "UserAssigned" in identity["type"]:
            raise arm.refuse(
                400, "CannotSetResourceIdentity", "Cannot set resource identity: supported types are 'SystemAssigned'."
            )
        default = (properties.get("defaults") or {}).get("deploymentName")
        if default and self._changes.now(f"{request.path}/deployments/{default}") is None:
            raise arm.refuse(400, "BadRequest", f"Deployment '{default}' does not exist in endpoint '{name}'.")
        kept = {
            "authMode": "AADToken",
            "description": properties.get("description"),
            "defaults": {"deploymentName": default} if default else None,
            "properties": properties.get("properties") or {},
            "scoringUri": self._places.scoring(region, name, "jobs"),
            "swaggerUri": None,
        }
        return self._changes.put(request, body, kept, identity={"type": "SystemAssigned", **identity})

    def _patch_endpoint(self, request: Request) -> Answer:
        self._changes.existing(request.path)
        body = checked(request, BATCH_ENDPOINT_PATCH)
        self._changes.refuse_while_changing(request.path, "update")
        return self._changes.patch(request, {}, **({"tags": body["tags"]} if "tags" in body else {}))

    def _put_deployment(self, request: Request) -> Answer:
        self._changes.existing(arm.parent_of(request.path, "batchEndpoints"))
        body = checked(request, BATCH_DEPLOYMENT)
        before = self._changes.now(request.path)
        self._changes.refuse_while_changing(request.path, "create")
        self._changes.refuse_full(request.path)
        properties = {name: value for name, value in body["properties"].items() if value is not None}
        properties.pop("provisioningState", None)
        if is_by_pipeline(properties):
            component = properties["deploymentConfiguration"].get("componentId")
            if component is None:
                raise arm.refuse(400, "ValidationError", "The ComponentId field is required.")
            self._refuse_absent("Component", component["assetId"])
        else:
            self._refuse_strangers(request.path, properties)
        for member in CREATE_ONLY:
            if before and properties.get(member) != before["properties"].get(member):
                raise arm.refuse(400, "BadRequest", f"'{member}' of a deployment cannot be changed after it was made.")
        return self._changes.put(request, body, {**DEPLOYMENT_DEFAULTS, **properties})

    def _patch_deployment(self, request: Request) -> Answer:
        self._changes.existing(request.path)
        body = checked(request, BATCH_DEPLOYMENT_PATCH)
        self._changes.refuse_while_changing(request.path, "update")
        tags = {"tags": body["tags"]} if "tags" in body else {}
        return self._changes.patch(request, body.get("properties") or {}, **tags)

    def _refuse_strangers(self, arm_id: str, properties: Resource) -> None:
        """Refuse a deployment whose model, compute, code or environment is missing or not there."""
        model, compute = properties.get("model"), properties.get("compute")
        if not model or not compute:
            raise arm.refuse(400, "ValidationError", f"The {'Compute' if model else 'Model'} field is required.")
        if model["referenceType"].lower() == "id" and not model.get("assetId"):
            raise arm.refuse(400, "ValidationError", "The AssetId field is required.")
        workspace = self._changes.workspace(arm_id)["id"]
        self._refuse_absent("Model", model.get("assetId"))
        self._refuse_absent("Compute", compute, compute if "/" in compute else f"{workspace}/computes/{compute}")
        code, environment = properties.get("codeConfiguration") or {}, properties.get("environmentId")
        self._refuse_absent("Code", code.get("codeId"))
        self._refuse_absent("Environment", environment)
        found = self._resources.find(model.get("assetId") or "")
        if found and found["properties"].get("modelType") != "mlflow_model" and not (code and environment):
            raise arm.refuse(
                400, "BadRequest", f"Model '{found['id']}' is no MLflow model: code and an environment are required."
            )

    def _refuse_absent(self, kind: str, given: str | None, whole: str = "") -> None:
        """Refuse what is not there, as far as that can be known: a registry's assets are elsewhere."""
        whole = whole or given or ""
        if whole.startswith("/") and self._resources.find(whole) is None:
            raise arm.refuse(400, "BadRequest", f"{kind} '{given}' was not found.")


def is_by_pipeline(properties: Resource) -> bool:
    """Whether a deployment runs a pipeline component, and no model."""
    configuration = properties.get("deploymentConfiguration") or {}
    return str(configuration.get("deploymentConfigurationType")).lower() == BY_PIPELINE
