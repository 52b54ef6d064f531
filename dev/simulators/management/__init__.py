"""ARM: what `https://management.azure.com` answers for Machine Learning and Data Factory.

`POST /_seed` takes any of these; each is merged into what is there, and parents are made where they are missing:

    {"workspaces": [{"id": "<workspace>", "location": "westeurope"}],
     "models": [{"id": "<workspace>/models/credit/versions/12", "tags": {}, "properties": {}, "flavors": {},
                 "modelType": "mlflow_model", "createdAt": "2026-03-02T08:15:04Z"}],
     "computes": [{"id": "<workspace>/computes/cpu"}],
     "jobs": [{"id": "<workspace>/jobs/keen_owl", "status": "Running", "tags": {}, "properties": {},
               "then": [{"after": 1.5, "status": "Completed"}]}],
     "pipelines": [{"id": "<factory>/pipelines/retrain", "parameters": {"reactor_action": {"type": "String"}},
                    "seconds": 1, "outcome": "Succeeded", "message": "", "activities": [{"activityName": "train"}]}],
     "runs": [{"factory": "<factory>", "pipelineName": "retrain", "parameters": {}, "runStart": "2026-03-02T08:00Z"}],
     "provisioning": [{"name": "credit-v12", "outcome": "Failed", "code": "BadArgument", "message": "…", "seconds": 2,
                       "n": 1}],
     "forbidden": [{"path": "batchEndpoints", "n": 2}],
     "factories": [{"id": "<factory>"}],
     "taken": [{"region": "westeurope", "name": "fraud"}],
     "remove": ["<id>"],
     "settings": {"provisioning_seconds": 1, "queued_seconds": 0.2, "page_size": 2}}

`provisioning` decides what comes of the next creations whose resource name matches the expression; `forbidden` answers
403 to the next `n` requests whose path matches, as while a role assignment spreads; `taken` is an endpoint name that
somebody else has in the region. Names with `<…>` are whole ARM ids.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.assets import Assets
from dev.simulators.management.data_factory import DataFactory
from dev.simulators.management.endpoints import BatchEndpoints
from dev.simulators.management.operations import Operations
from dev.simulators.management.resources import Resources
from dev.simulators.tokens import ARM, OBJECT, Tokens
from dev.simulators.wire import Answer, Request, Route

SETTINGS = {"provisioning_seconds": 1.0, "queued_seconds": 0.2, "page_size": 2}
"""A page is small so that paging is exercised."""


class Management:
    """One ARM for every provider behind it."""

    name = "management"

    def __init__(self, tokens: Tokens) -> None:
        self.lock = threading.RLock()
        self._tokens = tokens
        self.settings: dict[str, float] = dict(SETTINGS)
        self._forbidden: list[dict[str, Any]] = []
        self._resources = Resources()
        self._operations = Operations(self.settings)
        self._assets = Assets(self._resources)
        self._endpoints = BatchEndpoints(self._resources, self._operations, self.settings)
        self._factory = DataFactory(self._resources, self.settings)
        self._providers = (self._assets, self._endpoints, self._factory)
        self._seeds: dict[str, Callable[[Any], None]] = {
            "settings": self._set,
            "forbidden": self._forbidden.extend,
            "provisioning": self._operations.plan,
            "remove": self._remove,
            **self._assets.seeds(),
            **self._endpoints.seeds(),
            **self._factory.seeds(),
        }

    def routes(self) -> Sequence[Route]:
        """Those of every provider, and those of ARM's asynchronous operations."""
        return [
            *self._operations.routes(),
            *(route for provider in self._providers for route in provider.routes()),
        ]

    def refuse(self, request: Request) -> Answer | None:
        """No token for ARM, no api-version of the provider, no permission: no further."""
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
        return {
            "resources": {
                **self._resources.state(),
                **{one["id"]: one for one in self._endpoints.state()},
            },
            "runs": self._factory.state(),
        }

    def reset(self) -> None:
        """Nothing is left, and the settings are those of the start."""
        self.settings.update(SETTINGS)
        self._forbidden.clear()
        self._operations.clear()
        self._resources.clear()
        for provider in self._providers:
            provider.clear()

    def _set(self, given: Mapping[str, Any]) -> None:
        if unknown := set(given) - set(SETTINGS):
            raise ValueError(f"settings {sorted(unknown)}: none of {sorted(SETTINGS)}")
        self.settings.update(given)

    def _remove(self, ids: Sequence[str]) -> None:
        for one in ids:
            self._resources.remove(one)
            self._endpoints.remove(one)
