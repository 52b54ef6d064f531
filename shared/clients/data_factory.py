"""Azure Data Factory: pipelines and their runs.

https://learn.microsoft.com/rest/api/datafactory/
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.clients.management import management
from shared.clients.rest import Said, segment
from shared.errors import ReactorError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.settings import Settings

MOST_PAGES = 200
"""Pages of about 100 runs: a window of two minutes never has that many, so more is a service that repeats itself."""

NOT_TO_CANCEL = frozenset({"Succeeded", "Failed", "Cancelled", "Canceling"})


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A published pipeline."""

    parameters: frozenset[str]
    """The names it declares."""
    asked_at: datetime
    """The service's clock when it answered."""


class Run(BaseModel):
    """One run of a pipeline."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    run_id: str
    status: Said = "Queued"
    """Queued, InProgress, Succeeded, Failed, Canceling or Cancelled."""
    message: Said | None = None
    parameters: dict[str, Any] | None = None
    """As the run got them; the service answers every value as a string."""
    run_start: datetime | None = None
    duration_in_ms: int | None = None


class _Started(BaseModel):
    run_id: str = Field(alias="runId", min_length=1)


class _Runs(BaseModel):
    value: list[Run] = Field(default_factory=list)
    token: str | None = Field(default=None, alias="continuationToken")


class _Parameters(BaseModel):
    parameters: dict[str, Any] | None = None


class _Pipeline(BaseModel):
    properties: _Parameters = Field(default_factory=_Parameters)


class _Failure(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, coerce_numbers_to_str=True)

    error_code: Said | None = None
    message: Said | None = None
    failure_type: Said | None = None


class _Activity(BaseModel):
    name: Said = Field(default="", alias="activityName")
    status: str = ""
    start: str | None = Field(default=None, alias="activityRunStart")
    error: _Failure | None = None


class _Activities(BaseModel):
    value: list[_Activity] | None = None
    token: str | None = Field(default=None, alias="continuationToken")


class DataFactory:
    """The calls that running a pipeline needs. `factory` is always the factory's ARM id."""

    def __init__(self, settings: "Settings", credential: "Callable[[], TokenCredential]") -> None:
        self._endpoint = settings.arm_endpoint
        self._api_version = settings.adf_api_version
        self._rest = management("Data Factory", settings.arm_endpoint, credential)

    def pipeline(self, factory: str, name: str) -> Pipeline:
        """Read a published pipeline; PermanentError where there is none (drafts in git do not count).

        https://learn.microsoft.com/rest/api/datafactory/pipelines/get
        """
        answer = self._rest.get(self._url(factory, f"pipelines/{segment(name)}"))
        return Pipeline(frozenset(answer.read(_Pipeline).properties.parameters or {}), answer.time)

    def create_run(self, factory: str, pipeline: str, parameters: Mapping[str, Any]) -> str:
        """Start a run and return its id. The service knows no idempotency key: never repeated here.

        Raises UnansweredError where a run may have started without our learning its id.
        https://learn.microsoft.com/rest/api/datafactory/pipelines/create-run
        """
        url = self._url(factory, f"pipelines/{segment(pipeline)}/createRun")
        return self._rest.send("POST", url, body=dict(parameters), effect="start").read(_Started).run_id

    def run(self, factory: str, run_id: str) -> Run | None:
        """Read one run; None where there is none, which may be so for a while after its start.

        https://learn.microsoft.com/rest/api/datafactory/pipeline-runs/get
        """
        answer = self._rest.find(self._url(factory, f"pipelineruns/{segment(run_id)}"))
        return answer.read(Run) if answer else None

    def runs(self, factory: str, pipeline: str, since: datetime, until: datetime) -> Iterator[Run]:
        """Read all runs of a pipeline that were updated in a window, every page of them; in no order that counts.

        https://learn.microsoft.com/rest/api/datafactory/pipeline-runs/query-by-factory
        """
        body: dict[str, Any] = {
            "lastUpdatedAfter": since.isoformat(),
            "lastUpdatedBefore": until.isoformat(),
            "filters": [{"operand": "PipelineName", "operator": "Equals", "values": [pipeline]}],
        }
        for page in self._pages(self._url(factory, "queryPipelineRuns"), body, _Runs):
            yield from page.value

    def cancel(self, factory: str, run_id: str, *, recursive: bool = True) -> None:
        """Ask for a run to be canceled, and with it the runs that its own activities started.

        Nothing happens to one that has ended, or is being canceled. A missing one is a PermanentError.
        https://learn.microsoft.com/rest/api/datafactory/pipeline-runs/cancel
        """
        url = self._url(factory, f"pipelineruns/{segment(run_id)}/cancel") + f"&isRecursive={str(recursive).lower()}"
        try:
            self._rest.send("POST", url, effect="same")
        except ReactorError:
            run = self.run(factory, run_id)
            if run is None or run.status not in NOT_TO_CANCEL:
                raise

    def first_failure(self, factory: str, run_id: str, since: datetime, until: datetime) -> str:
        """Say which activity of a run failed first, and why: "train: out of memory (2108, UserError)".

        "" where none failed, or the service does not say.
        https://learn.microsoft.com/rest/api/datafactory/activity-runs/query-by-pipeline-run
        """
        body = {"lastUpdatedAfter": since.isoformat(), "lastUpdatedBefore": until.isoformat()}
        url = self._url(factory, f"pipelineruns/{segment(run_id)}/queryActivityruns")
        try:
            activities = [item for page in self._pages(url, body, _Activities) for item in page.value or []]
        except ReactorError:
            return ""
        failed = sorted((item for item in activities if item.status == "Failed"), key=lambda item: item.start or "")
        return _told(failed[0]) if failed else ""

    def _pages[P: (_Runs, _Activities)](self, url: str, body: Mapping[str, Any], shape: type[P]) -> Iterator[P]:
        """Query, every page of it."""
        for _ in range(MOST_PAGES):
            page = self._rest.send("POST", url, body=body).read(shape)
            yield page
            if not page.token:
                return
            body = {**body, "continuationToken": page.token}

    def _url(self, factory: str, path: str) -> str:
        return f"{self._endpoint}{factory}/{path}?api-version={self._api_version}"


def _told(failed: _Activity) -> str:
    error = failed.error or _Failure()
    kind = ", ".join(part for part in (error.error_code, error.failure_type) if part)
    return f"{failed.name}: {error.message or 'no reason'}" + (f" ({kind})" if kind else "")
