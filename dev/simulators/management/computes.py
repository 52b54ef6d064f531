"""Compute clusters: made, scaled, deleted, each of which takes its time.

https://learn.microsoft.com/rest/api/azureml/compute
Not settled there, and decided here: the size and the priority of a cluster that is there cannot be changed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.arm import WORKSPACE
from dev.simulators.management.asset_bodies import COMPUTE, COMPUTE_UPDATE, body_of
from dev.simulators.management.changes import page
from dev.simulators.management.operations import Operation, Operations
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.management.usages import size
from dev.simulators.wire import Answer, RefusedError, Request, Route, instant

COMPUTE_PATH = WORKSPACE + "/computes/{compute}"
FIXED = ("vmSize", "vmPriority")
READ_ONLY = ("allocationState", "currentNodeCount", "targetNodeCount", "nodeStateCounts", "errors")


class Computes:
    """The clusters of every workspace, kept among all other resources; what they are doing is kept here."""

    def __init__(self, resources: Resources, operations: Operations, settings: Mapping[str, float]) -> None:
        self._resources = resources
        self._operations = operations
        self._settings = settings
        self._doing: dict[str, Operation] = {}

    def routes(self) -> Sequence[Route]:
        """Give what can be asked and done."""
        return [
            ("GET", WORKSPACE + "/computes", self._list),
            ("GET", COMPUTE_PATH, lambda request: Answer(body=self._existing(request.path))),
            ("PUT", COMPUTE_PATH, self._put),
            ("PATCH", COMPUTE_PATH, self._patch),
            ("DELETE", COMPUTE_PATH, self._delete),
        ]

    def seed(self, given: Mapping[str, Any], region: str) -> None:
        """Have a cluster that nobody made here."""
        cluster = {
            "osType": "Linux",
            "vmSize": given.get("vmSize", "STANDARD_DS3_V2"),
            "vmPriority": given.get("vmPriority", "Dedicated"),
            "scaleSettings": {
                "minNodeCount": given.get("minNodeCount", 0),
                "maxNodeCount": given.get("maxNodeCount", 4),
                "nodeIdleTimeBeforeScaleDown": "PT120S",
            },
        }
        properties = {"computeType": "AmlCompute", "computeLocation": region, "disableLocalAuth": False,
                      "provisioningState": given.get("provisioningState", "Succeeded"),
                      "provisioningErrors": given.get("provisioningErrors"), "properties": cluster}  # fmt: skip
        self._doing.pop(given["id"].lower(), None)
        self._resources.put(given["id"], properties, location=region, tags=given.get("tags", {}))

    def state(self) -> list[Resource]:
        """Every cluster that does something, as a GET would answer it."""
        return [shown for arm_id in list(self._doing) if (shown := self._now(arm_id))]

    def clear(self) -> None:
        """Nothing is being done."""
        self._doing.clear()

    def _now(self, arm_id: str) -> Resource | None:
        """Give a cluster as it is at this moment."""
        kept = self._resources.find(arm_id)
        doing = self._doing.get(arm_id.lower().rstrip("/"))
        if kept is None:
            return None
        if doing and doing.state == "Deleting" and doing.over:
            self._resources.remove(arm_id)
            self._doing.pop(arm_id.lower().rstrip("/"))
            return None
        properties = {**kept["properties"]}
        resizing = False
        if doing:
            properties["provisioningState"] = doing.provisioning
            resizing = not doing.over
            if doing.over and doing.failure:
                properties["provisioningErrors"] = [{"error": dict(doing.failure)}]
        least = int(properties["properties"]["scaleSettings"].get("minNodeCount") or 0)
        there = 0 if resizing or properties["provisioningState"] != "Succeeded" else least
        cluster = {
            **properties["properties"],
            "allocationState": "Resizing" if resizing else "Steady",
            "allocationStateTransitionTime": instant(doing.ends) if doing else None,
            "currentNodeCount": there,
            "targetNodeCount": least,
            "nodeStateCounts": {
                "idleNodeCount": there,
                "runningNodeCount": 0,
                "preparingNodeCount": least - there,
                "unusableNodeCount": 0,
                "leavingNodeCount": 0,
                "preemptedNodeCount": 0,
            },
            "errors": None,
        }
        return {**kept, "properties": {**properties, "properties": cluster}}

    def _existing(self, arm_id: str) -> Resource:
        self._region(arm_id)
        found = self._now(arm_id)
        if found is None:
            raise no_compute(arm_id)
        return found

    def _list(self, request: Request) -> Answer:
        self._region(request.path)
        there = [shown for one in self._resources.children(request.path) if (shown := self._now(one["id"]))]
        return page(request, there, int(self._settings["page_size"]))

    def _put(self, request: Request) -> Answer:
        region, body = self._region(request.path), body_of(request, COMPUTE)
        path, before = request.path.rstrip("/"), self._now(request.path)
        self._refuse_while_changing(path)
        cluster = {name: value for name, value in body["properties"]["properties"].items() if name not in READ_ONLY}
        cluster = {"osType": "Linux", "vmPriority": "Dedicated", **cluster}
        for member in FIXED:
            if before and cluster[member].lower() != before["properties"]["properties"][member].lower():
                raise arm.refuse(400, "BadRequest", f"'{member}' of compute '{before['name']}' cannot be changed.")
        size(cluster["vmSize"])
        if int(cluster["scaleSettings"].get("minNodeCount") or 0) > int(cluster["scaleSettings"]["maxNodeCount"]):
            raise arm.refuse(400, "BadRequest", "minNodeCount must not be larger than maxNodeCount.")
        properties = {
            "computeLocation": region,
            "disableLocalAuth": False,
            "provisioningErrors": None,
            **{name: value for name, value in body["properties"].items() if name != "provisioningState"},
            "properties": cluster,
        }
        operation = self._begin(path, "Updating" if before else "Creating", region)
        top = {"identity": body["identity"]} if body.get("identity") else {}
        self._resources.put(
            before["id"] if before else path,
            {**properties, "provisioningState": "Creating"},
            location=body["location"],
            tags=body.get("tags") or {},
            **top,
        )
        headers = self._operations.put_headers(operation, request)
        return Answer(200 if before else 201, self._now(path), headers)

    def _patch(self, request: Request) -> Answer:
        scale = body_of(request, COMPUTE_UPDATE)["properties"]["properties"]["scaleSettings"]
        before = self._existing(request.path)
        self._refuse_while_changing(request.path)
        operation = self._begin(before["id"], "Updating", self._region(request.path))
        kept = self._resources.get(before["id"], no_compute)
        kept["properties"]["properties"] = {**kept["properties"]["properties"], "scaleSettings": scale}
        return Answer(200, self._now(before["id"]), self._operations.put_headers(operation, request))

    def _delete(self, request: Request) -> Answer:
        region = self._region(request.path)
        if request.query.get("underlyingResourceAction", "").lower() not in {"delete", "detach"}:
            raise arm.refuse(400, "BadRequest", "The underlyingResourceAction query parameter is required.")
        if self._now(request.path) is None:
            return Answer(204)
        operation = self._begin(request.path, "Deleting", region)
        return Answer(202, headers=self._operations.delete_headers(operation, request))

    def _begin(self, arm_id: str, state: str, region: str) -> Operation:
        operation = self._operations.begin(arm_id.rstrip("/"), state, region)
        self._doing[arm_id.lower().rstrip("/")] = operation
        return operation

    def _refuse_while_changing(self, arm_id: str) -> None:
        doing = self._doing.get(arm_id.lower().rstrip("/"))
        if doing and not doing.over:
            raise arm.refuse(
                409, "Conflict", f"The compute '{arm.name_of(arm_id)}' is in {doing.state} provisioning state."
            )

    def _region(self, arm_id: str) -> str:
        return str(self._resources.get(arm.parent_of(arm_id, "workspaces"), arm.missing)["location"])


def no_compute(arm_id: str) -> RefusedError:
    """Give the 404 of a cluster that is not there."""
    return arm.refuse(404, "NotFound", f"Compute {arm.name_of(arm_id)} was not found.")
