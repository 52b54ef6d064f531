"""ARM: what `https://management.azure.com` answers for Machine Learning and Data Factory.

`POST /_seed` takes any of these; each is merged into what is there, and parents are made where they are missing:

    {"workspaces": [{"id": "<workspace>", "location": "westeurope"}],
     "models": [{"id": "<workspace>/models/credit/versions/12", "tags": {}, "properties": {}, "flavors": {},
                 "modelType": "mlflow_model", "createdAt": "2026-03-02T08:15:04Z"}],
     "codes": [{"id": "<workspace>/codes/score/versions/1", "codeUri": "https://…"}], and the same for "environments"
     (image, condaFile), "data" (dataType, dataUri) and "components" (componentSpec); a model or component may be in a
     "<registry>" too,
     "computes": [{"id": "<workspace>/computes/cpu", "vmSize": "STANDARD_DS3_V2", "minNodeCount": 0, "maxNodeCount": 4,
                   "provisioningState": "Succeeded"}],
     "datastores": [{"id": "<workspace>/datastores/lake", "accountName": "…", "containerName": "…",
                     "credentials": {"credentialsType": "None"}}],
     "registries": [{"id": "/subscriptions/…/registries/prodreg"}],
     "quotas": [{"region": "westeurope", "family": "standardDSv2Family", "used": 20, "limit": 24}],
     "jobs": [{"id": "<workspace>/jobs/keen_owl", "status": "Running", "tags": {}, "properties": {},
               "then": [{"after": 1.5, "status": "Completed"}], "error": {"code": "UserError", "message": "…"},
               "metrics": {"auc": 0.9}, "createdBy": "Ada",
               "children": [{"name": "train", "status": "Failed", "error": {}, "metrics": {}}]}],
     "job_outcomes": [{"job": "^reactor-", "component": "retrain", "experiment": "", "outcome": "Failed", "n": 1,
                       "seconds": 2, "steps": ["prepare", "train"], "step": "train", "warnings": ["…"],
                       "error": {"code": "UserError", "message": "…"}, "metrics": {"auc": 0.9}, "flavors": {}}],
     "pipelines": [{"id": "<factory>/pipelines/retrain", "parameters": {"reactor_action": {"type": "String"}},
                    "seconds": 1, "outcome": "Succeeded", "message": "", "activities": [{"activityName": "train"}]}],
     "runs": [{"factory": "<factory>", "pipelineName": "retrain", "parameters": {}, "runStart": "2026-03-02T08:00Z"}],
     "provisioning": [{"name": "credit-v12", "outcome": "Failed", "code": "BadArgument", "message": "…", "seconds": 2,
                       "n": 1}],
     "forbidden": [{"path": "batchEndpoints", "n": 2}],
     "factories": [{"id": "<factory>"}],
     "taken": [{"region": "westeurope", "name": "fraud"}],
     "online_endpoints": [{"id": "<workspace>/onlineEndpoints/fraud", "traffic": {"blue": 100}, "authMode": "AADToken",
                           "deployments": [{"name": "blue", "model": "<id>", "createdAt": "2026-03-02T08:15:04Z"}]}],
     "batch_endpoints": [{"id": "<workspace>/batchEndpoints/nightly", "default": "first",
                          "deployments": [{"name": "first", "model": "<id>", "compute": "<id>"}]}],
     "unsettled": [{"name": "fraud", "n": 2}],
     "refused": [{"name": "credit-v12", "code": "BadRequest", "message": "…", "n": 1}],
     "logs": [{"name": "credit-v12", "content": "Traceback…", "containerType": "InferenceServer"}],
     "traffic_seen": [{"deployment": "credit-v12", "requests": 60, "failures": 3, "status": 500, "latency_ms": 80,
                       "endpoint": "<id>", "at": "2026-03-02T08:15:04Z"}],
     "remove": ["<id>"],
     "settings": {"provisioning_seconds": 1, "stale_seconds": 0, "mlflow3_crashes": 1, "queued_seconds": 0.2,
                  "job_seconds": 1, "page_size": 2, "retry_after": 1}}

`provisioning` decides what comes of the next creations whose resource name matches the expression; `forbidden` answers
403 to the next `n` requests whose path matches, as while a role assignment spreads; `taken` is an endpoint name that
somebody else has in the region. `unsettled` refuses the next `n` writes to an online endpoint as if it were still
updating, `refused` the next PUTs of an online endpoint or deployment; `traffic_seen` is what Azure Monitor counted in
the minute of `at`, or in every minute for deployments with live traffic; `stale_seconds` is how long a changed endpoint
shows the traffic from before; `mlflow3_crashes` 0 lets models of MLflow 3 be served. `job_outcomes` decides what comes
of the next jobs whose name, component's id and experiment match the expressions; what is left out matches all, and is
as the service does it. Names with `<…>` are whole ARM ids.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.assets import Assets
from dev.simulators.management.changes import Changes
from dev.simulators.management.cloud import PATH as CLOUD
from dev.simulators.management.cloud import Cloud
from dev.simulators.management.data_factory import DataFactory
from dev.simulators.management.endpoints import BatchEndpoints
from dev.simulators.management.jobs import Jobs
from dev.simulators.management.monitor import Monitor
from dev.simulators.management.online import OnlineEndpoints
from dev.simulators.management.operations import Operations
from dev.simulators.management.places import Places
from dev.simulators.management.resources import Resources
from dev.simulators.storage import Storage
from dev.simulators.tokens import ARM, OBJECT, Tokens
from dev.simulators.wire import Answer, Request, Route

SETTINGS = {
    "provisioning_seconds": 1.0,
    "stale_seconds": 0.0,
    "mlflow3_crashes": 1.0,
    "queued_seconds": 0.2,
    "job_seconds": 1.0,
    "page_size": 2,
    "retry_after": 1.0,
}
"""A page is small so that paging is exercised."""


class Management:
    """One ARM for every provider behind it."""

    name = "management"

    def __init__(self, tokens: Tokens, storage: Storage | None = None) -> None:
        self.lock = threading.RLock()
        self._tokens = tokens
        self.settings: dict[str, float] = dict(SETTINGS)
        self._forbidden: list[dict[str, Any]] = []
        self.places = Places()
        self.resources = Resources()
        self._operations = Operations(self.settings)
        self._cloud = Cloud()
        self.assets = Assets(
            self.resources, self._operations, self.settings, self.places, storage, has_job=self._has_job
        )
        self.jobs = Jobs(self.resources, self._operations, self.settings, tokens, self._make_workspace)
        self.changes = Changes(self.resources, self._operations, self.settings)
        self._endpoints = BatchEndpoints(self.resources, self.changes, self.places)
        self.online = OnlineEndpoints(
            resources=self.resources,
            operations=self._operations,
            changes=self.changes,
            places=self.places,
            usages=self.assets.usages,
            settings=self.settings,
            make_workspace=self._make_workspace,
        )
        self.monitor = Monitor(self.changes)
        self._factory = DataFactory(self.resources, self.settings)
        self._providers = (self.assets, self.jobs, self._endpoints, self.online, self.monitor, self._factory)
        self._seeds: dict[str, Callable[[Any], None]] = {
            "settings": self._set,
            "forbidden": self._forbidden.extend,
            "provisioning": self._operations.plan,
            "remove": self._remove,
            **self.assets.seeds(),
            **self.jobs.seeds(),
            **self.changes.seeds(),
            **self._endpoints.seeds(),
            **self.online.seeds(),
            **self.monitor.seeds(),
            **self._factory.seeds(),
        }

    def routes(self) -> Sequence[Route]:
        """Those of every provider, and those of ARM's asynchronous operations."""
        return [
            *self._cloud.routes(),
            *self._operations.routes(),
            *(route for provider in self._providers for route in provider.routes()),
        ]

    def refuse(self, request: Request) -> Answer | None:
        """No token for ARM, no api-version of the provider, no permission: no further."""
        self.jobs.settle()
        if request.path.rstrip("/").lower() == CLOUD:
            return None
        if problem := self._tokens.problem(request.headers.get("authorization", ""), ARM):
            return arm.unauthenticated(problem)
        if refused := arm.version_problem(request.path, request.query.get("api-version", "")):
            return refused
        for rule in self._forbidden:
            if re.search(rule["path"], request.path, re.IGNORECASE):
                rule["n"] = rule.get("n", 1) - 1
                if rule["n"] <= 0:
                    self._forbidden.remove(rule)
                return arm.forbidden(request, OBJECT)
        return None

    def error(self, status: int, code: str, message: str) -> Answer:
        """ARM's nested error."""
        return arm.error(status, code, message)

    def throttled(self, request: Request, after: float | None) -> Answer:
        """ARM's token bucket is empty."""
        kind = "read" if request.method == "GET" else "write"
        wait = f" Please try again after '{after:g}' seconds." if after is not None else ""
        return arm.error(
            429,
            "TooManyRequests",
            f"The request is being throttled as the limit has been reached for operation type - {kind}.{wait}",
        )

    def seed(self, given: Mapping[str, Any]) -> None:
        """See the top of this module."""
        if unknown := set(given) - set(self._seeds):
            raise ValueError(f"{sorted(unknown)}: none of {sorted(self._seeds)}")
        for name, value in given.items():
            self._seeds[name](value)

    def state(self) -> Any:
        """Every resource by its id as a GET would answer it, and every pipeline run."""
        self.jobs.settle()
        return {
            "resources": {
                **self.resources.state(),
                **{one["id"]: one for one in self.assets.state()},
                **{one["id"]: one for one in self.changes.state()},
                **{one["id"]: one for one in self.jobs.state()},
            },
            "runs": self._factory.state(),
        }

    def reset(self) -> None:
        """Nothing is left, and the settings are those of the start."""
        self.settings.update(SETTINGS)
        self._forbidden.clear()
        self._operations.clear()
        self.resources.clear()
        self.changes.clear()
        for provider in self._providers:
            provider.clear()

    def _has_job(self, arm_id: str) -> bool:
        return self.jobs.find(arm_id) is not None

    def _make_workspace(self, arm_id: str) -> None:
        self._seeds["workspaces"]([{"id": arm_id}])

    def _set(self, given: Mapping[str, Any]) -> None:
        if unknown := set(given) - set(SETTINGS):
            raise ValueError(f"settings {sorted(unknown)}: none of {sorted(SETTINGS)}")
        self.settings.update(given)

    def _remove(self, ids: Sequence[str]) -> None:
        for one in ids:
            self.resources.remove(one)
            self.changes.remove(one)
            self.jobs.remove(one)
