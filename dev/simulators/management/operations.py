"""Work that goes on after the answer: `Azure-AsyncOperation`, `Location`, and what comes of it.

Facts: reference §0.3. A PUT is followed by its status document, a DELETE by its Location: 202 while it goes on.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dev.simulators.management import arm
from dev.simulators.wire import Answer, Request, Route, instant, now

LOCATION = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"


@dataclass(frozen=True)
class Operation:
    """One change of one resource, under way or over."""

    target: str
    """The resource's id."""
    state: str
    """What the resource says meanwhile: Creating, Updating, Deleting."""
    seconds: float
    failure: Mapping[str, str] | None
    """code and message, where it is to fail."""
    region: str
    id: str = field(default_factory=lambda: f"oeidp:{uuid.uuid4()}:{uuid.uuid4()}")
    started: datetime = field(default_factory=now)

    @property
    def ends(self) -> datetime:
        """When it is over."""
        return self.started + timedelta(seconds=self.seconds)

    @property
    def over(self) -> bool:
        """Whether it is over."""
        return now() >= self.ends

    @property
    def provisioning(self) -> str:
        """The resource's provisioningState."""
        if not self.over:
            return self.state
        return "Failed" if self.failure else "Succeeded"


class Operations:
    """All operations of this ARM."""

    def __init__(self, settings: Mapping[str, float]) -> None:
        self._settings = settings
        self._plans: list[dict[str, Any]] = []
        self._known: dict[str, Operation] = {}

    def plan(self, plans: Sequence[dict[str, Any]]) -> None:
        """Decide what comes of the next operations whose resource name matches (seed "provisioning")."""
        for plan in plans:
            re.compile(plan["name"])
        self._plans.extend(plans)

    def begin(self, target: str, state: str, region: str) -> Operation:
        """Start to change a resource."""
        seconds: float = self._settings["provisioning_seconds"]
        failure = None
        for plan in self._plans if state != "Deleting" else ():
            if re.search(plan["name"], arm.name_of(target), re.IGNORECASE):
                seconds = plan.get("seconds", seconds)
                if plan.get("outcome", "Failed") == "Failed":
                    code = plan.get("code", "InternalServerError")
                    failure = {"code": code, "message": plan.get("message", "An internal server error occurred.")}
                plan["n"] = plan.get("n", 1) - 1
                if plan["n"] <= 0:
                    self._plans.remove(plan)
                break
        operation = Operation(target, state, seconds, failure, region)
        self._known[operation.id] = operation
        return operation

    def status_url(self, operation: Operation, request: Request, kind: str = "mfeOperationsStatus") -> str:
        """Where an operation is followed, at the subscription's scope as in the real service."""
        subscription = operation.target.split("/")[2]
        path = LOCATION.format(subscription=subscription, location=operation.region)
        return f"{request.base}{path}/{kind}/{operation.id}?api-version={request.query['api-version']}"

    def put_headers(self, operation: Operation, request: Request) -> dict[str, str]:
        """Give what the answer to a PUT carries."""
        return {
            "Azure-AsyncOperation": self.status_url(operation, request),
            "Retry-After": self._retry_after,
            "x-ms-async-operation-timeout": "PT1H",
        }

    def delete_headers(self, operation: Operation, request: Request) -> dict[str, str]:
        """Give what the answer to a DELETE carries."""
        return {
            "Location": self.status_url(operation, request, "mfeOperationResults"),
            "Retry-After": self._retry_after,
        }

    @property
    def _retry_after(self) -> str:
        return f"{self._settings['retry_after']:g}"

    def routes(self) -> Sequence[Route]:
        """Give the status document and the Location."""
        return [
            ("GET", LOCATION + "/mfeOperationsStatus/{operation}", self._status),
            ("GET", LOCATION + "/mfeOperationResults/{operation}", self._result),
        ]

    def clear(self) -> None:
        """Forget them."""
        self._plans.clear()
        self._known.clear()

    def _find(self, request: Request) -> Operation:
        operation = self._known.get(request.parts["operation"])
        if operation is None:
            raise arm.refuse(404, "NotFound", f"Operation '{request.parts['operation']}' was not found.")
        return operation

    def _status(self, request: Request) -> Answer:
        operation = self._find(request)
        done = {"Succeeded": "Succeeded", "Failed": "Failed"}.get(operation.provisioning, "InProgress")
        body: dict[str, Any] = {"status": done, "startTime": instant(operation.started)}
        if operation.over:
            body |= {"endTime": instant(operation.ends), "error": operation.failure}
        return Answer(200, body, {} if operation.over else {"Retry-After": self._retry_after})

    def _result(self, request: Request) -> Answer:
        operation = self._find(request)
        return Answer(200) if operation.over else Answer(202, headers=self.delete_headers(operation, request))
