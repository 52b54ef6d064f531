"""Jobs: whatever takes the service a while, followed by the URL that it gave for it.

https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/get-training-status/get-training-status
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from shared.clients.language.resource import Resource
from shared.clients.language.service import Instant, Read, Service, Text
from shared.clients.language.words import words_of
from shared.errors import PermanentError
from shared.redaction import tidy

STATUSES = ("notStarted", "running", "succeeded", "failed", "cancelled", "cancelling", "partiallyCompleted")
_CANONICAL = {status.lower(): status for status in STATUSES}
KEPT_DAYS = 7
"""After so long a job, and what it exported, is forgotten; a model that it trained is not."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is known of a job now."""

    ENDED: ClassVar[frozenset[str]] = frozenset({"succeeded", "failed", "cancelled", "partiallyCompleted"})

    url: str
    id: str
    status: str
    """One of `STATUSES`, spelt so; a word that nobody knows counts as "running"."""
    percent: int | None = None
    """How much of a training is done; None where the service does not say."""
    estimated_end: datetime | None = None
    """When a training will be over, by the service's own guess."""
    created: datetime | None = None
    modified: datetime | None = None
    expires: datetime | None = None
    """When the job, and what it exported, is forgotten."""
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    result_url: str = ""
    """Where an export is read, with the same key or token."""
    model: str = ""
    """The label of the model that is trained."""
    training_status: str = ""
    """One of `STATUSES`, "" where nothing is trained."""
    evaluation_status: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status in self.ENDED

    @property
    def is_good(self) -> bool:
        """Whether it has ended well; "partiallyCompleted" is for the caller to judge by `why`."""
        return self.status == "succeeded"

    @property
    def why(self) -> str:
        """Say why it ended as it did, for a reason: its errors, else its warnings, else that it gives none."""
        told = self.errors or self.warnings
        if told:
            return tidy("; ".join(told))
        return "" if self.status in ("succeeded", "running", "notStarted") else f"it is {self.status}, and says no more"


def status_of(word: Any) -> str:
    """Spell a status as the documentation does; what nobody knows is "running", what is nothing is "".

    >>> status_of("PARTIALLYCOMPLETED"), status_of("queued"), status_of(None)
    ('partiallyCompleted', 'running', '')
    """
    return _CANONICAL.get(str(word).strip().lower(), "running") if word else ""


def _complaints(value: Any) -> tuple[str, ...]:
    """Read a list of error objects; anything else that is there is one complaint."""
    given = value if isinstance(value, list) else [value] if value else []
    return tuple(words for one in given if (words := words_of(one)))


Status = Annotated[str, BeforeValidator(status_of)]
Complaints = Annotated[tuple[str, ...], BeforeValidator(_complaints)]
Percent = Annotated[float | None, Field(allow_inf_nan=False)]


class _Phase(Read):
    percent_complete: Percent = None
    status: Status = ""


class _Result(Read):
    model_label: Text = ""
    estimated_end_date_time: Instant = None
    training_status: _Phase | None = None
    evaluation_status: _Phase | None = None


class JobRead(Read):
    """A job on the wire."""

    job_id: Text = ""
    status: Annotated[Status, Field(min_length=1)]
    created_date_time: Instant = None
    last_updated_date_time: Instant = None
    expiration_date_time: Instant = None
    errors: Complaints = ()
    warnings: Complaints = ()
    result_url: Text = ""
    result: _Result | None = None

    def told(self, url: str) -> Job:
        """Give the job, which is at a URL."""
        result = self.result or _Result()
        training, evaluation = result.training_status or _Phase(), result.evaluation_status or _Phase()
        percent = training.percent_complete
        return Job(
            url=url,
            id=self.job_id,
            status=self.status,
            percent=None if percent is None else round(min(max(percent, 0.0), 100.0)),
            estimated_end=result.estimated_end_date_time,
            created=self.created_date_time,
            modified=self.last_updated_date_time,
            expires=self.expiration_date_time,
            errors=self.errors,
            warnings=self.warnings,
            result_url=self.result_url,
            model=result.model_label,
            training_status=training.status,
            evaluation_status=evaluation.status,
        )


class Jobs:
    """Jobs by their URLs."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def read(self, at: Resource, url: str) -> Job | None:
        """Read a job; None where it is gone: seven days after it was made, and sometimes in its first moments.

        The URL is the one that the service gave, and is followed only on the resource's own host.
        """
        return read_job(self._service, at, url)


def read_job(service: Service, at: Resource, url: str) -> Job | None:
    """Read a job by its URL; None where there is none."""
    whole = at.own(url, "a job")
    answer = service.found(at, whole)
    return answer.read(JobRead).told(whole) if answer is not None else None


def unfinished(job: Job, what: str) -> PermanentError:
    """Say that a job brought nothing."""
    return PermanentError(f"{what} ended as {job.status}: {job.why}", remedy="start it again")


def newest_first(jobs: Sequence[Job]) -> list[Job]:
    """Sort jobs by when they were made."""
    return sorted(jobs, key=lambda job: job.created.timestamp() if job.created else 0.0, reverse=True)
