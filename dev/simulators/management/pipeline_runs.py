"""Pipeline runs of Data Factory and their activities, and how both are queried: window, filters, order, pages.

https://learn.microsoft.com/rest/api/datafactory/pipeline-runs
Not settled there, and decided here: a run that is canceled is Canceling for a while, and so are its activities; those
after the one that failed, or was canceled, do not exist.
"""

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
    invoked_by: str = "Manual"
    """The activity that started it, where a pipeline did."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: datetime = field(default_factory=now)
    cancelled: datetime | None = None
    """When it was asked to be."""
    canceling: float = 0.0
    """Seconds until it is."""
    children: dict[str, "Run"] = field(default_factory=dict)
    """By the activity that started each."""
    is_latest: bool = True

    @property
    def running_from(self) -> datetime:
        """When it leaves the queue."""
        return self.started + timedelta(seconds=self.queued)

    @property
    def ends(self) -> datetime:
        """When it is over."""
        if self.cancelled:
            return self.cancelled + timedelta(seconds=self.canceling)
        return self.running_from + timedelta(seconds=self.seconds)

    def status(self) -> str:
        """Its status at this moment."""
        at = now()
        if self.cancelled:
            return "Cancelled" if at >= self.ends else "Canceling"
        return "Queued" if at < self.running_from else "InProgress" if at < self.ends else self.outcome

    def last_updated(self) -> datetime:
        """When its status changed last."""
        changes = (self.started, self.running_from, self.cancelled or self.started, self.ends)
        return max(change for change in changes if change <= now())

    def cancel(self, seconds: float, *, is_recursive: bool) -> None:
        """Begin to cancel it, and with it what it started where that is wanted."""
        self.cancelled, self.canceling = now(), seconds
        for child in self.children.values() if is_recursive else ():
            if child.status() not in (*OUTCOMES, "Canceling"):
                child.cancel(seconds, is_recursive=True)

    def failing(self) -> str:
        """Name the activity that fails where the run does: the first that was given an error, or the last."""
        names = [one["activityName"] for one in self.activities]
        given = [one["activityName"] for one in self.activities if one.get("error")]
        return next(iter(given or names[-1:]), "") if self.outcome == "Failed" else ""

    def shown_activities(self) -> list[Resource]:
        """Give the runs of its activities on the wire: one after another, each with its share of the time."""
        shown = []
        each = timedelta(seconds=self.seconds / max(1, len(self.activities)))
        for index, activity in enumerate(self.activities):
            begins = self.running_from + index * each
            last = self.cancelled or self.ends
            if "status" not in activity and (begins > now() or begins > last):
                break
            ends = begins + each
            status = "Succeeded" if ends <= now() else "InProgress"
            if self.cancelled and ends > self.cancelled:
                status, ends = self.status(), self.ends
            elif status == "Succeeded" and activity["activityName"] == self.failing():
                status = "Failed"
            shown.append(self._activity(activity, activity.get("status", status), begins, ends))
            if status == "Failed":
                break
        return shown

    def _activity(self, given: Mapping[str, Any], status: str, begins: datetime, ends: datetime) -> Resource:
        name, is_over = given["activityName"], status in OUTCOMES
        child = self.children.get(name)
        error = {"errorCode": "", "message": "", "failureType": "", "target": name}
        if status == "Failed":
            error |= {"errorCode": "2200", "message": self.message, "failureType": "UserError"}
        return {
            "pipelineName": self.pipeline,
            "pipelineRunId": self.id,
            "activityRunId": str(uuid.uuid5(uuid.UUID(self.id), name)),
            "activityType": "ExecutePipeline" if child else "ExecuteDataFlow",
            "activityRunStart": instant(begins),
            "activityRunEnd": instant(ends) if is_over else None,
            "durationInMs": int((ends - begins).total_seconds() * 1000) if is_over else None,
            "input": {},
            "output": {"pipelineRunId": child.id, "pipelineName": child.pipeline} if child else {},
            "error": error,
            **{member: value for member, value in given.items() if member != "pipeline"},
            **({"error": {**error, **given["error"]} if status == "Failed" else error} if "error" in given else {}),
            "status": status,
        }

    def shown(self) -> Resource:
        """Give the run on the wire."""
        status = self.status()
        over = status in OUTCOMES
        return {
            "id": f"{self.factory}/pipelineruns/{self.id}",
            "runId": self.id,
            "runGroupId": self.group or self.id,
            "isLatest": self.is_latest,
            "pipelineName": self.pipeline,
            "parameters": self.parameters,
            "invokedBy": {
                "name": self.invoked_by,
                "id": uuid.UUID(self.id).hex,
                "invokedByType": "Manual" if self.invoked_by == "Manual" else "PipelineActivity",
            },
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
