"""The history of runs, as the studio and the official clients read it: why one failed, its steps, what it measured.

Documented only by the clients (azure-ai-ml's run history, azureml-mlflow):
https://github.com/Azure/azure-sdk-for-python/tree/main/sdk/ml/azure-ai-ml
https://mlflow.org/docs/latest/rest-api.html#get-run
Runs are those of `management`'s jobs, and of their steps. Logs have addresses that end in a `sig`, as in Azure.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dev.simulators.management import Management, arm
from dev.simulators.management.arm import WORKSPACE
from dev.simulators.management.job_lives import Job, Life, Step, begun
from dev.simulators.management.resources import Resource
from dev.simulators.wire import Answer, RefusedError, Request, Route, instant

RUNS = "/studio/history/v1.0" + WORKSPACE
RUN = RUNS + "/runs/{run}"
MLFLOW = "/studio/mlflow/v2.0" + WORKSPACE + "/api/2.0/mlflow/runs/get"
KINDS = {"pipeline": "azureml.PipelineRun", "command": "azureml.scriptrun"}
LOG = "user_logs/std_log.txt"
LOGS = f"/logs{WORKSPACE}/runs/{{run}}/{LOG}"
SIGNATURE = "of-the-log"
"""What stands for a SAS: nothing else is asked of who reads a log."""


class History:
    """The runs of every workspace of `management`."""

    def __init__(self, management: Management) -> None:
        self._management = management

    def routes(self) -> Sequence[Route]:
        """Give what can be asked, and the one thing that can be changed: a run's labels."""
        return [
            ("GET", RUN, lambda request: Answer(body=self._shown(request))),
            ("GET", RUN + "/details", self._details),
            ("GET", RUN + "/children", self._children),
            ("PATCH", RUNS + "/experiments/{experiment}/runs/{run}", self._change),
            ("GET", MLFLOW, self._measured),
            ("GET", LOGS, self._log),
        ]

    def clear(self) -> None:
        """Nothing is kept here."""

    def _find(self, request: Request, run: str) -> tuple[Job, Step | None]:
        self._management.jobs.settle()
        asked = request.path[request.path.lower().index("/subscriptions/") :]
        workspace = self._management.resources.find(arm.parent_of(asked, "workspaces"))
        found = self._management.jobs.find_run(workspace["id"], run) if workspace else None
        if found is None:
            raise no_run(run)
        return found

    def _shown(self, request: Request) -> Resource:
        job, step = self._find(request, request.parts["run"])
        return step_run(job, step) if step else job_run(job)

    def _details(self, request: Request) -> Answer:
        run = self._shown(request)
        job, step = self._find(request, request.parts["run"])
        place = f"{arm.parent_of(job.id, 'workspaces')}/runs/{run['runId']}/{LOG}?sig={SIGNATURE}"
        logs = {LOG: f"{request.base}/logs{place}"} if run["endTimeUtc"] else {}
        warnings = [{"source": "UserLog", "message": one} for one in job.outcome.warnings] if step is None else []
        kept = {name: value for name, value in run.items() if name not in ("createdUtc", "displayName", "hidden")}
        return Answer(
            body={**kept, "createdTimeUtc": run["createdUtc"], "warnings": warnings, "logFiles": logs, "target": None}
        )

    def _log(self, request: Request) -> Answer:
        if request.query.get("sig") != SIGNATURE:
            return Answer(403, "Server failed to authenticate the request.")
        job, step = self._find(request, request.parts["run"])
        error = step.error if step else job.error
        return Answer(body="".join(f"{line}\n" for line in (*job.outcome.warnings, error.get("message", "Done."))))

    def _children(self, request: Request) -> Answer:
        job, step = self._find(request, request.parts["run"])
        runs = [step_run(job, one) for one in begun(job.steps)] if step is None else []
        size = int(request.query.get("$top", self._management.settings["page_size"]))
        skip = int(request.query.get("$continuationtoken", "0"))
        following = str(skip + size) if len(runs) > skip + size and "$top" not in request.query else None
        link = f"{request.base}{request.path}?$continuationtoken={following}" if following else None
        return Answer(body={"value": runs[skip : skip + size], "continuationToken": following, "nextLink": link})

    def _change(self, request: Request) -> Answer:
        job, step = self._find(request, request.parts["run"])
        try:
            given = request.json()
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise arm.refuse(400, "BadRequest", "The request body is no JSON object.")
        if step is None:
            self._management.jobs.change(job, {**given, "isArchived": given.get("hidden")})
        return Answer(body=self._shown(request))

    def _measured(self, request: Request) -> Answer:
        asked = request.query.get("run_id") or request.query.get("run_uuid") or ""
        try:
            job, step = self._find(request, asked)
        except RefusedError:
            return Answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"Run with id={asked} not found"})
        life, metrics = (step.life, step.metrics) if step else (job.life, job_metrics(job))
        at = millis(life.ended or life.begun)
        info = {
            "run_id": asked,
            "run_uuid": asked,
            "experiment_id": experiment(job),
            "status": {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}.get(life.status, "RUNNING"),
            "start_time": millis(life.begun),
            "lifecycle_stage": "active",
        }
        values = [
            {"key": name, "value": value, "timestamp": at, "step": 0}
            for name, value in (metrics.items() if life.ended else ())
        ]
        tags = [{"key": name, "value": value} for name, value in job.properties["tags"].items()]
        return Answer(body={"run": {"info": info, "data": {"metrics": values, "params": [], "tags": tags}}})


def job_run(job: Job) -> Resource:
    """Give the run of a job."""
    kind = KINDS.get(str(job.properties["jobType"]).lower(), "azureml.run")
    return run(job, job.name, job.life, job.properties["displayName"], job.error) | {
        "parentRunId": None,
        "runType": kind,
        "description": job.properties.get("description"),
        "hidden": bool(job.properties["isArchived"]),
        "tags": job.properties["tags"],
        "properties": {"azureml.runsource": "azureml.PipelineRun", **job.properties["properties"]},
    }


def step_run(job: Job, step: Step) -> Resource:
    """Give the run of a pipeline's step."""
    error = step.error if step.life.status == "Failed" else {}
    return run(job, step.id, step.life, step.name, error) | {
        "parentRunId": job.name,
        "runType": "azureml.StepRun",
        "hidden": False,
        "tags": {},
        "properties": {"azureml.pipelinerunid": job.name, "azureml.moduleName": step.name},
    }


def run(job: Job, run_id: str, life: Life, display_name: str | None, error: Mapping[str, Any]) -> Resource:
    """Give what every run has."""
    ended = instant(life.ended) if life.ended else None
    told = {"error": {"severity": None, "details": [], **error}, "environment": "westeurope", "location": "westeurope"}
    return {
        "runId": run_id,
        "rootRunId": job.name,
        "experimentId": experiment(job),
        "displayName": display_name or run_id,
        "status": life.status,
        "createdUtc": instant(life.begun),
        "createdBy": {"userName": job.created_by["createdBy"], "userObjectId": job.created_by.get("userObjectId")},
        "startTimeUtc": instant(life.begun),
        "endTimeUtc": ended,
        "error": told if error else None,
        "warnings": [],
        "runNumber": millis(life.begun) // 1000,
    }


def job_metrics(job: Job) -> Mapping[str, float]:
    """Give what the job's own run logged; of a pipeline it is usually a step that does."""
    logged = job.outcome.metrics
    return {} if any(step.metrics is logged for step in job.steps) else logged


def experiment(job: Job) -> str:
    """Give the id that stands for the job's experiment."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(job.properties["experimentName"])))


def millis(at: datetime) -> int:
    """Give an instant as MLflow does."""
    return int(at.timestamp() * 1000)


def no_run(run_id: str) -> RefusedError:
    """Give the 404 of a run."""
    return arm.refuse(404, "NotFound", f"Run {run_id} was not found.")
