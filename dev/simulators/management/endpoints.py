"""Batch endpoints and their deployments.

Facts: reference §1.6 to §1.9, §1.14, §7. Not settled there, and decided here: a write while the endpoint or one of its
deployments is changing is a 400 that names the state, a write to the very thing that is changing a 409.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.arm import WORKSPACE
from dev.simulators.management.bodies import BATCH_DEPLOYMENT, BATCH_ENDPOINT, check, invalid
from dev.simulators.management.operations import Operation, Operations
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.wire import Answer, Request, Route, listed_until, moment

ENDPOINT = WORKSPACE + "/batchEndpoints/{endpoint}"
DEPLOYMENT = ENDPOINT + "/deployments/{deployment}"
NAME = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9])*")
CREATE_ONLY = ("codeConfiguration",)


class BatchEndpoints:
    """The endpoints of every workspace, and who has which name in which region."""

    def __init__(self, resources: Resources, operations: Operations, settings: Mapping[str, float]) -> None:
        self._resources = resources
        """Models, computes and workspaces; the endpoints are kept apart, as they change by themselves."""
        self._operations = operations
        self._settings = settings
        self._own = Resources()
        self._doing: dict[str, Operation] = {}
        self._taken: set[tuple[str, str]] = set()

    def routes(self) -> Sequence[Route]:
        """Give what can be asked and done."""
        return [
            ("GET", WORKSPACE + "/batchEndpoints", self._list),
            ("GET", ENDPOINT, self._get),
            ("PUT", ENDPOINT, self._put_endpoint),
            ("DELETE", ENDPOINT, self._delete),
            ("GET", ENDPOINT + "/deployments", self._list),
            ("GET", DEPLOYMENT, self._get),
            ("PUT", DEPLOYMENT, self._put_deployment),
            ("DELETE", DEPLOYMENT, self._delete),
        ]

    def seeds(self) -> Mapping[str, Callable[[Any], None]]:
        """Names that others have."""
        return {"taken": lambda given: self._taken.update((one["region"], one["name"].lower()) for one in given)}

    def state(self) -> list[Resource]:
        """Every endpoint and deployment as a GET would answer it."""
        return [shown for one in self._own.state().values() if (shown := self._now(one["id"]))]

    def clear(self) -> None:
        """Nothing is left."""
        self._own.clear()
        self._doing.clear()
        self._taken.clear()

    def remove(self, arm_id: str) -> None:
        """Forget an endpoint or deployment at once, as when somebody deletes it under our feet."""
        self._own.remove(arm_id)

    def _now(self, arm_id: str) -> Resource | None:
        """Give a resource as it is at this moment: changing, settled, or gone."""
        kept = self._own.find(arm_id)
        if kept is None:
            return None
        doing = self._doing[kept["id"].lower()]
        if doing.state == "Deleting" and doing.over:
            self._own.remove(arm_id)
            return None
        return {**kept, "properties": {**kept["properties"], "provisioningState": doing.provisioning}}

    def _existing(self, arm_id: str) -> Resource:
        self._workspace(arm_id)
        found = self._now(arm_id)
        if found is None:
            kind = "Deployment" if "/deployments/" in arm_id.lower() else "Endpoint"
            raise arm.refuse(404, "ResourceNotFound", f"{kind} '{arm.name_of(arm_id)}' was not found.")
        return found

    def _workspace(self, arm_id: str) -> Resource:
        return self._resources.get(arm.parent_of(arm_id, "workspaces"), arm.missing)

    def _get(self, request: Request) -> Answer:
        return Answer(body=self._existing(request.path))

    def _list(self, request: Request) -> Answer:
        if request.path.lower().rstrip("/").endswith("deployments"):
            self._existing(request.path.rstrip("/").rsplit("/", 1)[0])
        self._workspace(request.path)
        until = listed_until(request)
        there = [shown for one in self._own.children(request.path) if (shown := self._now(one["id"]))]
        there = [one for one in there if moment(one["systemData"]["createdAt"]) <= until]
        skip, size = int(request.query.get("$skip", "0")), int(self._settings["page_size"])
        body: dict[str, Any] = {"value": there[skip : skip + size], "nextLink": None}
        if len(there) > skip + size:
            version = request.query["api-version"]
            body["nextLink"] = f"{request.base}{request.path}?api-version={version}&$skip={skip + size}"
        return Answer(body=body)

    def _put_endpoint(self, request: Request) -> Answer:
        workspace, body = self._workspace(request.path), checked(request, BATCH_ENDPOINT)
        region, name = workspace["location"], arm.name_of(request.path)
        before = self._now(request.path)
        self._refuse_while_changing(request.path, "update")
        if before is None and self._name_is_taken(region, name):
            raise arm.refuse(
                400,
                "BadRequest",
                "There is already an endpoint with this name, Endpoint name needs to be unique within a region",
            )
        if (identity := body.get("identity") or {}) and "UserAssigned" in identity["type"]:
            raise arm.refuse(
                400, "CannotSetResourceIdentity", "Cannot set resource identity: supported types are 'SystemAssigned'."
            )
        properties = body["properties"]
        default = (properties.get("defaults") or {}).get("deploymentName")
        if default and self._now(f"{request.path}/deployments/{default}") is None:
            raise arm.refuse(400, "BadRequest", f"Deployment '{default}' does not exist in endpoint '{name}'.")
        kept = {
            "authMode": "AADToken",
            "description": properties.get("description"),
            "defaults": {"deploymentName": default} if default else None,
            "properties": properties.get("properties") or {},
            "scoringUri": f"https://{name}.{region}.inference.ml.azure.com/jobs",
            "swaggerUri": None,
        }
        return self._change(request, body, kept, region, before, identity={"type": "SystemAssigned", **identity})

    def _put_deployment(self, request: Request) -> Answer:
        endpoint_id = arm.parent_of(request.path, "batchEndpoints")
        self._existing(endpoint_id)
        body = checked(request, BATCH_DEPLOYMENT)
        before = self._now(request.path)
        self._refuse_while_changing(request.path, "create")
        properties = body["properties"]
        self._refuse_strangers(request.path, properties)
        for member in CREATE_ONLY:
            if before and properties.get(member) != before["properties"].get(member):
                raise arm.refuse(400, "BadRequest", f"'{member}' of a deployment cannot be changed after it was made.")
        region = self._workspace(request.path)["location"]
        return self._change(request, body, {**DEPLOYMENT_DEFAULTS, **properties}, region, before)

    def _change(
        self, request: Request, body: Resource, properties: Resource, region: str, before: Resource | None, **top: Any
    ) -> Answer:
        """Keep what was put, begin to provision it, and answer as a PUT is answered."""
        operation = self._operations.begin(request.path, "Updating" if before else "Creating", region)
        bag = {**(properties.get("properties") or {})}
        bag["AzureAsyncOperationUri"] = self._operations.status_url(operation, request)
        self._doing[request.path.lower()] = operation
        kept = self._own.put(
            before["id"] if before else request.path,
            {**properties, "properties": bag},
            location=body["location"],
            tags=body.get("tags", {}),
            **top,
        )
        headers = self._operations.put_headers(operation, request)
        return Answer(200 if before else 201, self._now(kept["id"]), headers)

    def _delete(self, request: Request) -> Answer:
        self._workspace(request.path)
        if self._now(request.path) is None:
            return Answer(204)
        self._refuse_while_changing(request.path, "delete")
        region = self._workspace(request.path)["location"]
        operation = self._operations.begin(request.path, "Deleting", region)
        self._doing[request.path.lower()] = operation
        return Answer(202, headers=self._operations.delete_headers(operation, request))

    def _refuse_while_changing(self, arm_id: str, verb: str) -> None:
        endpoint = arm.parent_of(arm_id, "batchEndpoints")
        around = [endpoint, *(one["id"] for one in self._own.children(endpoint + "/deployments"))]
        changing = [(one, self._doing[one.lower()]) for one in around if one.lower() in self._doing and self._now(one)]
        for one, doing in changing:
            if doing.over:
                continue
            if one.lower() == arm_id.lower():
                raise arm.refuse(
                    409, "Conflict", "Conflict of operation, another operation on same entity is already running."
                )
            raise arm.refuse(
                400,
                "BadRequest",
                f"Cannot {verb} a deployment in endpoint {arm.name_of(endpoint)} because it is in {doing.state} "
                "provisioning state.",
            )

    def _refuse_strangers(self, arm_id: str, properties: Resource) -> None:
        """Refuse a deployment whose model or compute is not there."""
        pipeline = (properties.get("deploymentConfiguration") or {}).get("deploymentConfigurationType")
        if str(pipeline).lower() == "pipelinecomponent":
            return
        model, compute = properties.get("model"), properties.get("compute")
        if not model or not compute:
            raise arm.refuse(400, "ValidationError", f"The {'Compute' if model else 'Model'} field is required.")
        asset = model.get("assetId") or ""
        if asset.startswith("/") and self._resources.find(asset) is None:
            raise arm.refuse(400, "BadRequest", f"Model '{asset}' was not found.")
        workspace = self._workspace(arm_id)["id"]
        whole = compute if compute.startswith("/") else f"{workspace}/computes/{compute}"
        if self._resources.find(whole) is None:
            raise arm.refuse(400, "BadRequest", f"Compute '{compute}' was not found.")

    def _name_is_taken(self, region: str, name: str) -> bool:
        others = (one for one in self._own.state().values() if "/deployments/" not in one["id"].lower())
        return (region, name.lower()) in self._taken or any(
            one["name"].lower() == name.lower() and self._workspace(one["id"])["location"] == region for one in others
        )


DEPLOYMENT_DEFAULTS = {
    "errorThreshold": -1,
    "maxConcurrencyPerInstance": 1,
    "miniBatchSize": 10,
    "outputAction": "AppendRow",
    "outputFileName": "predictions.csv",
    "loggingLevel": "Info",
    "retrySettings": {"maxRetries": 3, "timeout": "PT30S"},
}


def checked(request: Request, shape: Any) -> Resource:
    """Give the body of a PUT, refused where its shape or the name in the path is wrong."""
    name = arm.name_of(request.path)
    if not (3 <= len(name) <= 32 and NAME.fullmatch(name)):
        raise arm.refuse(
            400,
            "BadArgument",
            f"'{name}' is no name: 3 to 32 letters, digits and single dashes, a letter first.",
        )
    try:
        body = request.json()
    except ValueError as problem:
        raise invalid(f"The request body is no JSON: {problem}") from problem
    check(body, shape)
    assert isinstance(body, dict)
    return body
