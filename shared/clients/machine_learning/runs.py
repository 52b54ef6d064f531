"""What Resource Manager does not tell about a job: why it failed, which of its steps did, and what was measured.

The run history and MLflow's REST are on the workspace's own host. They are documented only by the clients that
Microsoft gives away, so all of this is told as well as it can be: who calls decides what to do without it.
https://learn.microsoft.com/azure/machine-learning/how-to-use-mlflow-cli-runs
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from urllib.parse import quote

from pydantic import Field

from shared import answers
from shared.clients.machine_learning.data_plane import DataPlane
from shared.clients.machine_learning.pages import Page, follow
from shared.clients.machine_learning.resources import Read
from shared.clients.machine_learning.workspaces import Workspaces
from shared.clients.rest import Answer, Said, segment
from shared.errors import ReactorError
from shared.redaction import tidy

MOST_PAGES = 50
"""Of a run's children: no pipeline of ours has that many steps, so more is a service that repeats itself."""
MOST_STEPS = 20
"""Steps whose metrics are read, one request each."""
DEEPEST = 5
"""Pipelines within pipelines that are looked into."""
A_PIPELINE = "azureml.pipelinerun"


class _Person(Read):
    user_name: Said | None = None


class _Details(Read):
    error: object = None


class _Run(Read):
    run_id: Said = ""
    status: Said = "Unknown"
    display_name: Said | None = None
    name: Said | None = None
    run_type: str | None = None
    start_time_utc: datetime | None = None
    end_time_utc: datetime | None = None
    created_utc: datetime | None = None
    created_by: _Person | None = None
    tags: dict[str, str | None] | None = None
    properties: dict[str, str | None] | None = None
    error: object = None


class _Metric(Read):
    key: str
    value: float
    timestamp: float | None = None
    step: float | None = None


class _Data(Read):
    metrics: list[_Metric] | None = None


class _Measured(Read):
    data: _Data = Field(default_factory=_Data)


class _MlflowRun(Read):
    run: _Measured


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run failed, in the service's words."""

    code: str
    """The most telling one, such as "PipelineHasStepJobFailed"."""
    message: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its history has it."""

    id: str
    name: str
    status: str
    tags: Mapping[str, str | None]
    properties: Mapping[str, str | None]
    created_by: str
    created_at: datetime | None


class Runs:
    """Reads runs. A run's id is its job's name; a missing one is a PermanentError."""

    def __init__(self, workspaces: Workspaces, data_plane: DataPlane) -> None:
        self._workspaces = workspaces
        self._data_plane = data_plane
        self._apis: dict[str, str] = {}

    def read(self, workspace: str, run_id: str) -> Run:
        """Read a run."""
        found = self._data_plane.studio.get(self._history(workspace, run_id)).read(_Run)
        return Run(
            id=found.run_id or run_id,
            name=found.display_name or found.name or "",
            status=found.status,
            tags=found.tags or {},
            properties=found.properties or {},
            created_by=(found.created_by and found.created_by.user_name) or "",
            created_at=found.created_utc,
        )

    def error(self, workspace: str, run_id: str) -> RunError | None:
        """Read why a run failed; None where it did not, or nobody says."""
        url = self._history(workspace, run_id, "/details")
        return _error(self._data_plane.studio.get(url).read(_Details).error)

    def failed_child(self, workspace: str, run_id: str) -> tuple[str, str] | None:
        """Name the step of a pipeline that failed first, and say why; None where none did.

        Steps of a pipeline within the pipeline are named with it: "prepare/clean".
        """
        names: list[str] = []
        found: _Run | None = None
        while len(names) < DEEPEST:
            failed = [run for run in self._children(workspace, found.run_id if found else run_id) if _has_failed(run)]
            if not failed:
                break
            found = min(failed, key=_ended)
            names.append(found.display_name or found.name or found.run_id)
            if not found.run_id or (found.run_type or "").lower() != A_PIPELINE:
                break
        if found is None:
            return None
        error = _error(found.error) or (self.error(workspace, found.run_id) if found.run_id else None)
        return "/".join(names), ": ".join(part for part in (error.code, error.message) if part) if error else ""

    def why(self, workspace: str, run_id: str) -> str:
        """Say why a run failed, and which of its steps, as far as the history tells; "" where it does not."""
        try:
            if child := self.failed_child(workspace, run_id):
                return ": ".join(tidy(part) for part in child if part)
            error = self.error(workspace, run_id)
        except ReactorError:
            return ""
        return ": ".join(tidy(part) for part in (error.code, error.message) if part) if error else ""

    def metrics(self, workspace: str, run_id: str) -> dict[str, float]:
        """Read the last value of each metric of a run; of a pipeline, whose own run logs none, those of its steps.

        Where steps have a metric in common, the one that began last counts. No finite number: left out.
        https://mlflow.org/docs/latest/rest-api.html#get-run
        """
        if found := self._logged(workspace, run_id):
            return found
        steps = islice((run for run in self._children(workspace, run_id) if run.run_id), MOST_STEPS)
        for step in sorted(steps, key=_began):
            found |= self._logged(workspace, step.run_id)
        return found

    def _logged(self, workspace: str, run_id: str) -> dict[str, float]:
        path = f"/mlflow/v2.0{workspace}/api/2.0/mlflow/runs/get?run_id={quote(run_id, safe='')}"
        found = self._data_plane.studio.get(self._url(workspace, path)).read(_MlflowRun).run.data.metrics or []
        found = [one for one in found if math.isfinite(one.value)]
        return {one.key: one.value for one in sorted(found, key=lambda one: (one.timestamp or 0, one.step or 0))}

    def _children(self, workspace: str, run_id: str) -> Iterator[_Run]:
        return follow(self._page, self._history(workspace, run_id, "/children"), Page[_Run], most=MOST_PAGES)

    def _page(self, url: str) -> Answer:
        return self._data_plane.studio.get(self._data_plane.checked(url))

    def _history(self, workspace: str, run_id: str, path: str = "") -> str:
        return self._url(workspace, f"/history/v1.0{workspace}/runs/{segment(run_id)}{path}")

    def _url(self, workspace: str, path: str) -> str:
        """Write a URL on the workspace's own host, which does not change and is asked for once."""
        key = workspace.lower()
        if key not in self._apis:
            self._apis[key] = self._workspaces.read(workspace).api
        return self._data_plane.checked(f"{self._apis[key]}{path}")


def _error(told: object) -> RunError | None:
    """Read the error of a run: an error body like any other, {"error": {"code", "message", "innerError"}}."""
    if not told:
        return None
    said = answers.complaint(json.dumps(told))
    return RunError(said.code, said.text.removeprefix(said.code).removeprefix(": ")) if said.text else None


def _has_failed(run: _Run) -> bool:
    return run.status == "Failed"


def _ended(run: _Run) -> float:
    return run.end_time_utc.timestamp() if run.end_time_utc else float("inf")


def _began(run: _Run) -> float:
    return run.start_time_utc.timestamp() if run.start_time_utc else 0.0
