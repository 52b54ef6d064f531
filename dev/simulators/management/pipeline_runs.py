"""Pipeline runs of Data Factory, and how they are queried: window, filters, order, pages."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.resources import Resource
from dev.simulators.wire import RefusedError, instant, moment, now

OUTCOMES = ("Succeeded", "Failed", "Cancelled")


@dataclass
class Run:
    """One pipeline run."""

    factory: str
    """The factory's id, lower case."""
    pipeline: str
    parameters: dict[str, str]
    queued: float
    seconds: float
    outcome: str
    message: str
    activities: Sequence[Mapping[str, Any]]
    group: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: datetime = field(default_factory=now)
    cancelled: datetime | None = None

    @property
    def running_from(self) -> datetime:
        """When it leaves the queue."""
        return self.started + timedelta(seconds=self.queued)

    @property
    def ends(self) -> datetime:
        """When it is over."""
        return self.cancelled or self.running_from + timedelta(seconds=self.seconds)

    def status(self) -> str:
        """Its status at this moment."""
        if self.cancelled:
            return "Cancelled"
        at = now()
        return "Queued" if at < self.running_from else "InProgress" if at < self.ends else self.outcome

    def last_updated(self) -> datetime:
        """When its status changed last."""
        changes = (self.started, self.running_from, self.ends)
        return max(change for change in changes if change <= now())

    def shown(self) -> Resource:
        """Give the run on the wire."""
        status = self.status()
        over = status in OUTCOMES
        return {
            "id": f"{self.factory}/pipelineruns/{self.id}",
            "runId": self.id,
            "runGroupId": self.group or self.id,
            "isLatest": True,
            "pipelineName": self.pipeline,
            "parameters": self.parameters,
            "invokedBy": {"name": "Manual", "id": uuid.UUID(self.id).hex, "invokedByType": "Manual"},
            "runStart": instant(self.started),
            "runEnd": instant(self.ends) if over else None,
            "durationInMs": int((self.ends - self.started).total_seconds() * 1000) if over else None,
            "status": status,
            "message": self.message if status == "Failed" else "",
            "lastUpdated": instant(self.last_updated()),
        }


Rows = Sequence[tuple[Resource, datetime]]
"""What a query chooses from, each with the instant that its window is about."""


class Pages:
    """Answers to queries, and what of them is still to be read."""

    def __init__(self) -> None:
        self._coming: dict[str, list[Resource]] = {}

    def query(self, asked: Mapping[str, Any], found: Rows, operands: Mapping[str, str], *, size: int) -> Resource:
        """Filter by window and filters, order, and give a page; the token stands for the pages still to come."""
        if token := asked.get("continuationToken"):
            rows = self._coming.get(token, [])
            if not rows:
                raise bad("InvalidContinuationToken", "The continuation token is not valid.")
        else:
            try:
                low, high = moment(asked["lastUpdatedAfter"]), moment(asked["lastUpdatedBefore"])
            except (KeyError, TypeError, ValueError) as problem:
                raise bad("BadRequest", "lastUpdatedAfter and lastUpdatedBefore are required instants.") from problem
            rows = [row for row, updated in found if low <= updated <= high]
            for one in asked.get("filters") or ():
                rows = [row for row in rows if matches(row, one, operands)]
            for order in reversed(asked.get("orderBy") or [{"orderBy": "RunStart", "order": "ASC"}]):
                name = operands.get(order["orderBy"], "runStart")
                rows.sort(key=lambda row: str(row.get(name) or ""), reverse=order["order"] == "DESC")
        page, rest = rows[:size], rows[size:]
        body: dict[str, Any] = {"value": page}
        if rest:
            body["continuationToken"] = str(uuid.uuid4())
            self._coming[body["continuationToken"]] = rest
        return body

    def clear(self) -> None:
        """Forget them."""
        self._coming.clear()


RUN_OPERANDS = {
    "PipelineName": "pipelineName",
    "Status": "status",
    "RunStart": "runStart",
    "RunEnd": "runEnd",
    "RunGroupId": "runGroupId",
    "LatestOnly": "isLatest",
}
ACTIVITY_OPERANDS = {
    "ActivityName": "activityName",
    "ActivityType": "activityType",
    "Status": "status",
    "ActivityRunStart": "activityRunStart",
    "ActivityRunEnd": "activityRunEnd",
}
OPERATORS: Mapping[str, Callable[[str, Sequence[str]], bool]] = {
    "Equals": lambda value, values: value in values,
    "In": lambda value, values: value in values,
    "NotEquals": lambda value, values: value not in values,
    "NotIn": lambda value, values: value not in values,
}


def matches(row: Resource, condition: Mapping[str, Any], operands: Mapping[str, str]) -> bool:
    """Whether a row satisfies one filter of a query."""
    operand, operator = condition.get("operand", ""), condition.get("operator", "")
    if operand not in operands or operator not in OPERATORS:
        raise bad("BadRequest", f"'{operand}' '{operator}' is no filter.")
    values = [str(value).lower() for value in condition.get("values", ())]
    return OPERATORS[operator](str(row.get(operands[operand])).lower(), values)


def bad(code: str, message: str) -> RefusedError:
    """Give a 400 of Data Factory."""
    return RefusedError(arm.error(400, code, message))


def not_found(kind: str, code: str, name: str) -> RefusedError:
    """Give a 404 of Data Factory."""
    return RefusedError(arm.error(404, code, f"The {kind} '{name}' was not found."))
