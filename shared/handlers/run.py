"""Retrain: run an Azure Data Factory pipeline and watch it to its end.

createRun lets nobody choose the run's id, so the step's key travels as a pipeline parameter, by which the run of an
unanswered start is found again. A pipeline that does not declare that parameter is run at least once.
https://learn.microsoft.com/azure/data-factory/concepts-pipeline-execution-triggers
"""

from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from shared.clients.data_factory import Run
from shared.errors import PermanentError, TemporaryError
from shared.handlers import declared
from shared.redaction import tidy
from shared.rules.declared import Names
from shared.stages import Done, Job, Pending, Progress, Stage

SLACK = timedelta(minutes=5)
"""By how much the clocks of the service's own servers may differ."""
UNSEEN = timedelta(minutes=10)
"""How long a run may be missing after it was started, or seen last."""


class DataFactory(BaseModel):
    """Runs a pipeline of a declared factory."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    factory: Annotated[str, Names("factories")] = Field(description="A declared factory.")
    pipeline: str = Field(description="A published pipeline of it.", min_length=1)
    parameters: dict[str, Any] = Field(default_factory=dict, description="The pipeline's own parameters.")
    key_parameter: str = Field(
        default="reactor_action",
        description="The pipeline parameter that carries this step's key; a pipeline without it is run at least once.",
    )


def check(params: DataFactory, job: Job) -> Progress:
    """Read the pipeline: whether it takes the key, and what the service's clock says before the first start."""
    pipeline = job.clients.data_factory.pipeline(declared.factory(job, params.factory), params.pipeline)
    unknown = sorted(set(params.parameters) - pipeline.parameters)
    if unknown:
        raise PermanentError(
            f"pipeline {params.pipeline} has no parameter {', '.join(unknown)}",
            remedy="declare it in the pipeline and publish it, or correct the rule",
        )
    keyed = params.key_parameter in pipeline.parameters
    note = "" if keyed else f"at least once: pipeline {params.pipeline} has no parameter {params.key_parameter}"
    return Done({"since": (pipeline.asked_at - SLACK).isoformat(), "keyed": keyed}, note)


def find(params: DataFactory, job: Job) -> Progress | None:
    """Look for the run that carries this step's key, on every page since before the first start."""
    if not job.result["keyed"]:
        return None
    arm_id = declared.factory(job, params.factory)
    runs = job.clients.data_factory.runs(arm_id, params.pipeline, *_window(job))
    mine = [run for run in runs if (run.parameters or {}).get(params.key_parameter) == job.key]
    return _progress(arm_id, min(mine, key=_age), job) if mine else None


def start(params: DataFactory, job: Job) -> Progress:
    """Start the run."""
    arm_id = declared.factory(job, params.factory)
    key = {params.key_parameter: job.key} if job.result["keyed"] else {}
    run_id = job.clients.data_factory.create_run(arm_id, params.pipeline, params.parameters | key)
    return Pending(memory=_seen(run_id, job), note=f"run {tidy(run_id)} started")


def watch(params: DataFactory, job: Job) -> Progress:
    """Look how the run is doing."""
    arm_id, run_id = declared.factory(job, params.factory), job.memory["run_id"]
    run = job.clients.data_factory.run(arm_id, run_id)
    if run is not None:
        return _progress(arm_id, run, job)
    if job.now < datetime.fromisoformat(job.memory["seen"]) + UNSEEN:
        raise TemporaryError(f"run {run_id} cannot be seen yet")
    raise PermanentError(f"run {run_id} is gone", remedy=f"see {_link(arm_id, run_id)}, then replay the event")


def _progress(arm_id: str, run: Run, job: Job) -> Progress:
    if run.status == "Succeeded":
        return Done({"run_id": run.run_id, "status": run.status, "links": {"studio": _link(arm_id, run.run_id)}})
    if run.status not in {"Failed", "Cancelled"}:
        return Pending(memory=_seen(run.run_id, job), note=f"run {run.run_id} is {run.status}")
    why = [run.message or "", job.clients.data_factory.first_failure(arm_id, run.run_id, *_window(job))]
    said = "; ".join(part for part in why if part)
    raise PermanentError(
        f"run {run.run_id} is {run.status}" + (f": {said}" if said else ""), remedy=f"see {_link(arm_id, run.run_id)}"
    )


def _seen(run_id: str, job: Job) -> dict[str, str]:
    return {"run_id": run_id, "seen": job.now.isoformat()}


def _window(job: Job) -> tuple[datetime, datetime]:
    """From before the first start, by the service's clock, to beyond any clock's now."""
    return datetime.fromisoformat(job.result["since"]), job.now + timedelta(days=1)


def _age(run: Run) -> float:
    return run.run_start.timestamp() if run.run_start else float("inf")


def _link(arm_id: str, run_id: str) -> str:
    return f"https://adf.azure.com/en/monitoring/pipelineruns/{run_id}?factory={quote(arm_id, safe='')}"


RESULTS = {DataFactory: ("run_id", "status", "links.studio")}
STAGES = {
    DataFactory: (
        Stage[DataFactory]("check", start=check, effect="reads"),
        Stage[DataFactory]("run", find=find, start=start, watch=watch, named_by="service"),
    )
}
