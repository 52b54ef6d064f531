"""The deployments of managed online endpoints.

https://learn.microsoft.com/rest/api/azureml/online-deployments
https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.bodies import check
from dev.simulators.management.changes import Changes, checked, endpoint_of
from dev.simulators.management.online_bodies import DEPLOYMENT_DEFAULTS, DEPLOYMENT_PATCH, LOGS, ONLINE_DEPLOYMENT
from dev.simulators.management.online_checks import CRASH, MOST_INSTANCES, check_deployment, crashes, refused
from dev.simulators.management.online_keys import ENDPOINT
from dev.simulators.management.operations import Operations
from dev.simulators.management.resources import Resources
from dev.simulators.management.usages import Usages
from dev.simulators.wire import Answer, RefusedError, Request, Route

DEPLOYMENT = ENDPOINT + "/deployments/{deployment}"
LOG = """\
Instance status:
SystemSetup: Succeeded
UserContainerImagePull: Succeeded
ModelDownload: Succeeded
UserContainerStart: {state}
Container logs:
{lines}
"""
HEALTHY = "Starting AzureML Inference Server HTTP.\nListening at: http://0.0.0.0:31311"
BROKEN = f"{HEALTHY}\nWorker failed to boot.\nShutting down: Master"


class Refusals:
    """Writes that are refused although the body is right."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._refused: list[dict[str, Any]] = []
        self._unsettled: list[dict[str, Any]] = []

    def seeds(self) -> Mapping[str, Callable[[Any], None]]:
        """Give what can be seeded."""
        return {"refused": self._refused.extend, "unsettled": self._unsettled.extend}

    def clear(self) -> None:
        """Refuse nothing any more."""
        self._refused.clear()
        self._unsettled.clear()

    def unsettled(self, arm_id: str, verb: str) -> None:
        """Refuse a write while something changes, and as often as is seeded although nothing does any more."""
        self._changes.refuse_while_changing(arm_id, verb)
        endpoint = arm.name_of(endpoint_of(arm_id))
        if used_up(self._unsettled, endpoint):
            raise refused(
                f"Cannot {verb} a deployment in endpoint {endpoint} because it is in Updating provisioning state."
            )

    def seeded(self, arm_id: str) -> None:
        """Refuse a PUT as is seeded: for quota, say."""
        if one := used_up(self._refused, arm.name_of(arm_id)):
            raise RefusedError(arm.ml_error(one.get("status", 400), one.get("code", "BadRequest"), one["message"]))


class OnlineDeployments:
    """What Resource Manager says about them."""

    def __init__(
        self,
        resources: Resources,
        operations: Operations,
        changes: Changes,
        refusals: Refusals,
        *,
        usages: Usages,
        settings: Mapping[str, float],
    ) -> None:
        self._resources = resources
        self._operations = operations
        self._changes = changes
        self._refusals = refusals
        self._usages = usages
        self._settings = settings
        self._logs: list[Mapping[str, Any]] = []

    def routes(self) -> Sequence[Route]:
        """Give what can be asked and done."""
        return [
            ("GET", ENDPOINT + "/deployments", self._changes.listed),
            ("GET", DEPLOYMENT, self._changes.get),
            ("PUT", DEPLOYMENT, self._put),
            ("PATCH", DEPLOYMENT, self._patch),
            ("DELETE", DEPLOYMENT, self._delete),
            ("POST", DEPLOYMENT + "/getLogs", self._get_logs),
            ("GET", DEPLOYMENT + "/skus", self._skus),
        ]

    def seeds(self) -> Mapping[str, Callable[[Any], None]]:
        """Give what can be seeded."""
        return {"logs": self._logs.extend}

    def clear(self) -> None:
        """Nothing is left."""
        self._logs.clear()

    def _put(self, request: Request) -> Answer:
        self._changes.existing(endpoint_of(request.path))
        body = checked(request, ONLINE_DEPLOYMENT)
        before = self._changes.now(request.path)
        self._changes.refuse_full(request.path)
        self._refusals.unsettled(request.path, "update" if before else "create")
        self._refusals.seeded(request.path)
        check_deployment(body, before, self._resources)
        properties = {name: value for name, value in body["properties"].items() if value is not None}
        if self._settings["mlflow3_crashes"] and crashes(properties, self._resources):
            name = f"^{re.escape(arm.name_of(request.path))}$"
            self._operations.plan([{"name": name, "code": "BadArgument", "message": CRASH}])
        sku = {"name": "Default", "tier": "Standard", "capacity": 1, **(body.get("sku") or {})}
        there = int(before["sku"]["capacity"]) if before else 0
        region = self._changes.region(request.path)
        self._usages.refuse_over(region, properties["instanceType"], int(sku["capacity"]), there)
        answer = self._changes.put(
            request,
            body,
            {**DEPLOYMENT_DEFAULTS, **properties},
            kind="Managed",
            sku={**sku, "capacity": int(sku["capacity"])},
        )
        return without_wait(answer)

    def _patch(self, request: Request) -> Answer:
        body = checked(request, DEPLOYMENT_PATCH)
        before = self._changes.existing(request.path)
        self._refusals.unsettled(request.path, "update")
        top = {"tags": body["tags"]} if body.get("tags") is not None else {}
        if capacity := (body.get("sku") or {}).get("capacity"):
            if not 1 <= int(capacity) <= MOST_INSTANCES:
                raise refused(f"The instance count of a deployment has to be between 1 and {MOST_INSTANCES}.")
            vm_size, there = before["properties"]["instanceType"], int(before["sku"]["capacity"])
            self._usages.refuse_over(self._changes.region(request.path), vm_size, int(capacity), there)
            top["sku"] = {**before["sku"], "capacity": int(capacity)}
        return self._changes.patch(request, {}, **top)

    def _delete(self, request: Request) -> Answer:
        self._changes.workspace(request.path)
        endpoint, name = self._changes.now(endpoint_of(request.path)), arm.name_of(request.path).lower()
        served = endpoint["properties"] if endpoint else {"traffic": {}, "mirrorTraffic": {}}
        if name in served["traffic"] or name in served["mirrorTraffic"]:
            raise refused(f"Deployment '{name}' has traffic. Set its traffic to 0 before it is deleted.")
        self._refusals.unsettled(request.path, "delete")
        return self._changes.delete(request)

    def _get_logs(self, request: Request) -> Answer:
        body = request.json() or {}
        check(body, LOGS)
        found = self._changes.existing(request.path.rstrip("/").rpartition("/")[0])
        failed = found["properties"]["provisioningState"] == "Failed"
        healthy = LOG.format(state="Failed" if failed else "Succeeded", lines=BROKEN if failed else HEALTHY)
        kind = body.get("containerType") or "InferenceServer"
        seeded = (
            one["content"]
            for one in self._logs
            if re.search(one["name"], found["name"], re.IGNORECASE)
            and one.get("containerType", "InferenceServer") == kind
        )
        lines = next(seeded, healthy).splitlines()
        return Answer(body={"content": "\n".join(lines[-int(body.get("tail") or len(lines)) :])})

    def _skus(self, request: Request) -> Answer:
        self._changes.existing(request.path.rstrip("/").rpartition("/")[0])
        one = {
            "resourceType": "Microsoft.MachineLearning.Services/endpoints/deployments",
            "sku": {"name": "Default", "tier": "Standard"},
            "capacity": {"minimum": 1, "maximum": MOST_INSTANCES, "default": 1, "scaleType": "Manual"},
        }
        return Answer(body={"value": [one], "nextLink": None})


def used_up(seeded: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """Give the seed that is about a name, one use of it gone."""
    for one in seeded:
        if re.search(one["name"], name, re.IGNORECASE):
            one["n"] = one.get("n", 1) - 1
            if one["n"] <= 0:
                seeded.remove(one)
            return one
    return None


def without_wait(answer: Answer) -> Answer:
    """Leave out what the answer to an online PUT does not have: how long to wait."""
    return replace(answer, headers={name: value for name, value in answer.headers.items() if name != "Retry-After"})
