"""What takes time: every job of the service is started, looked at, and gone after a week.

https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/get-training-status
A job is over when the resource's clock says so, not when a timer does: what is due is done before anything is answered
(`Resource.settle`). Not settled in the service's pages, and decided here: a job is `notStarted` for a tenth of its
time; one that is cancelled is `cancelling` for as long as other jobs take.
"""

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dev.simulators.language.refusals import problem
from dev.simulators.wire import instant

NOT_STARTED, RUNNING, SUCCEEDED, FAILED = "notStarted", "running", "succeeded", "failed"
CANCELLED, CANCELLING, PARTIAL = "cancelled", "cancelling", "partiallyCompleted"
EXPIRED = "expired"
ENDED = frozenset({SUCCEEDED, FAILED, CANCELLED, PARTIAL})
WAITS = 0.1
"""The part of its time that a job has not started."""
EPOCH = datetime(1, 1, 1, tzinfo=UTC)


@dataclass
class Outcome:
    """What is to come of a job."""

    status: str = SUCCEEDED
    errors: list[Any] = field(default_factory=list)
    warnings: list[Any] = field(default_factory=list)
    seconds: float | None = None

    @classmethod
    def taken(cls, outcomes: dict[str, Any], kind: str) -> "Outcome":
        """Take what is told of the next job of a kind; a list is used up."""
        told = outcomes.get(kind, SUCCEEDED)
        if isinstance(told, list):
            told = told.pop(0) if told else SUCCEEDED
        outcome = cls(told) if isinstance(told, str) else cls(**told)
        if outcome.status == FAILED and not outcome.errors:
            outcome.errors = [problem("InternalServerError", f"The {kind} job failed for a reason of its own.")]
        if outcome.status == PARTIAL and not outcome.warnings:
            outcome.warnings = [{"code": "Warning", "message": f"The {kind} job did not do everything."}]
        return outcome


@dataclass
class Job:
    """One job."""

    kind: str
    project: str
    """The name of its project."""
    path: str
    """Where it is looked at, after the prefix of authoring."""
    created: datetime
    seconds: float
    days: float
    outcome: Outcome
    act: Callable[[datetime], None]
    """What is done when it succeeds; told when that is."""
    target: str = ""
    """The deployment or the label that it is about."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """More of what its GET shows, where it is no training."""
    result: Any = None
    """What an export exported."""
    id: str = field(default_factory=lambda: "")
    status: str = ""
    """How it ended; "" as long as it did not."""
    cancelling: datetime | None = None
    """When it is cancelled, where somebody asked for that."""
    stopped: float = 0.0
    """How much of it was done then."""

    def __post_init__(self) -> None:
        """Give it an id, which its path ends with."""
        ticks = int((self.created - EPOCH) / timedelta(microseconds=1)) * 10 + secrets.randbelow(10)
        self.id = f"{uuid.uuid4()}_{ticks}"
        self.path = f"{self.path}/{self.id}"

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return bool(self.status)

    @property
    def ends(self) -> datetime:
        """When it ends; never, where its outcome is none that ends one."""
        if self.cancelling:
            return self.cancelling
        if self.outcome.status not in ENDED | {EXPIRED}:
            return datetime.max.replace(tzinfo=UTC)
        return self.created + timedelta(seconds=self.seconds)

    @property
    def expires(self) -> datetime:
        """When it is gone."""
        return self.created + timedelta(days=self.days)

    def is_gone(self, at: datetime) -> bool:
        """Whether there is nothing to be seen of it any more."""
        return at >= self.expires or (self.is_over and self.outcome.status == EXPIRED)

    def finish(self) -> None:
        """Do what it was for, and end."""
        if self.cancelling:
            self.status = CANCELLED
            return
        at = self.ends
        self.status = SUCCEEDED if self.outcome.status == EXPIRED else self.outcome.status
        if self.status in {SUCCEEDED, PARTIAL}:
            self.act(at)

    def cancel(self, at: datetime, seconds: float) -> None:
        """Begin to cancel it."""
        self.stopped = self.part(at)
        self.cancelling = at + timedelta(seconds=seconds)

    def part(self, at: datetime) -> float:
        """How much of it is done, of 1."""
        if self.status in {SUCCEEDED, PARTIAL}:
            return 1.0
        if self.cancelling:
            return self.stopped
        if self.status:
            return 0.5
        return min(0.99, (at - self.created).total_seconds() / self.seconds if self.seconds else 0.99)

    def standing(self, at: datetime) -> str:
        """Say how it stands."""
        if self.status:
            return self.status
        if self.cancelling:
            return CANCELLING
        if self.part(at) < WAITS:
            return NOT_STARTED
        return self.outcome.status if self.outcome.status not in ENDED | {EXPIRED} else RUNNING

    def shown(self, at: datetime) -> dict[str, Any]:
        """Give it as its GET does, but for what only some kinds have."""
        updated = min(at, self.ends) if self.is_over else max(self.created, at)
        found: dict[str, Any] = {
            "jobId": self.id,
            "createdDateTime": instant(self.created),
            "lastUpdatedDateTime": instant(updated),
            "expirationDateTime": instant(self.expires),
            "status": self.standing(at),
        }
        if self.is_over and self.status == self.outcome.status:
            found |= {"errors": self.outcome.errors} if self.outcome.errors else {}
            found |= {"warnings": self.outcome.warnings} if self.outcome.warnings else {}
        return found
