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
from shared.handlers import declared, drift
from shared.permissions import Permission
from shared.policy import Duration
from shared.redaction import tidy
from shared.rules.declared import Names
from shared.stages import Done, End, Job, Pending, Progress, Stage

SLACK = timedelta(minutes=5)
"""By how much the clocks of the service's own servers may differ."""
UNSEEN = timedelta(minutes=10)
"""How long a run may be missing after it was started, or seen last."""
LOOKS = 3
"""How often the run of an unanswered start is looked for in vain until there is none to cancel."""
FAILED = frozenset({"Failed", "Cancelled"})


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
    within: Duration = Field(
        default=timedelta(days=1), description="How long it may take; then the run is canceled, and the step fails."
    )


# -- check ------------------------------------------------------------------------------------------------------------


def check(params: DataFactory, job: Job) -> Progress:
    """Look whether the drift that is answered goes on, and read the pipeline: whether it takes the key.

    The service's clock is noted before the first start.
    """
    arm_id = declared.factory(job, params.factory)
    drifting = drift.recheck(job)
    if isinstance(drifting, End):
        return drifting
    pipeline = job.clients.data_factory.pipeline(arm_id, params.pipeline)
    unknown = sorted(set(params.parameters) - pipeline.parameters)
    if unknown:
        raise PermanentError(
            f"pipeline {params.pipeline} has no parameter {', '.join(unknown)}",
            remedy="declare it in the pipeline and publish it, or correct the rule",
        )
    keyed = params.key_parameter in pipeline.parameters
    note = "" if keyed else f"at least once: pipeline {params.pipeline} has no parameter {params.key_parameter}"
    found = {"since": (pipeline.asked_at - SLACK).isoformat(), "keyed": keyed}
    return Done(found, "; ".join(part for part in (note, drifting) if part))


# -- run --------------------------------------------------------------------------------------------------------------


def find(params: DataFactory, job: Job) -> Progress | None:
    """Look for the run that carries this step's key, on every page since before the first start."""
    if begun := job.memory.get("run_id"):  # by a version of the app that watched it in this stage
        return _begun(begun)
    mine = _by_key(params, job)
    return _begun(mine.run_id) if mine else None


def start(params: DataFactory, job: Job) -> Progress:
    """Start the run."""
    key = {params.key_parameter: job.key} if job.result["keyed"] else {}
    arm_id = declared.factory(job, params.factory)
    return _begun(job.clients.data_factory.create_run(arm_id, params.pipeline, params.parameters | key))


def _by_key(params: DataFactory, job: Job) -> Run | None:
    """Find the run that carries this step's key; of several the oldest, and None where the pipeline takes no key."""
    if not job.result["keyed"]:
        return None
    runs = job.clients.data_factory.runs(declared.factory(job, params.factory), params.pipeline, *_window(job))
    mine = [run for run in runs if (run.parameters or {}).get(params.key_parameter) == job.key]
    return min(mine, key=_age, default=None)


def _begun(run_id: str) -> Done:
    return Done({"run_id": run_id}, note=f"run {tidy(run_id)} started")


# -- end --------------------------------------------------------------------------------------------------------------


def watch(params: DataFactory, job: Job) -> Progress:
    """Look how the run is doing."""
    arm_id, run_id = declared.factory(job, params.factory), job.result["run_id"]
    run = job.clients.data_factory.run(arm_id, run_id)
    if run is not None:
        return _progress(arm_id, run, job)
    if job.now < datetime.fromisoformat(job.memory.get("seen", job.began.isoformat())) + UNSEEN:
        raise TemporaryError(f"run {tidy(run_id)} cannot be seen yet")
    raise PermanentError(f"run {tidy(run_id)} is gone", remedy=f"see {_link(arm_id, run_id)}, then replay the event")


def _progress(arm_id: str, run: Run, job: Job) -> Progress:
    link = {"links": {"studio": _link(arm_id, run.run_id)}}
    if run.status == "Succeeded":
        return Done(link | {"status": run.status})
    if run.status not in FAILED:
        return Pending(memory={"seen": job.now.isoformat()}, note=f"run {tidy(run.run_id)} is {run.status}")
    why = [run.message or "", job.clients.data_factory.first_failure(arm_id, run.run_id, *_window(job))]
    said = "; ".join(part for part in why if part)
    raise PermanentError(
        f"run {tidy(run.run_id)} is {run.status}" + (f": {said}" if said else ""),
        remedy=f"see {_link(arm_id, run.run_id)}",
    )


def _window(job: Job) -> tuple[datetime, datetime]:
    """From before the first start, by the service's clock, to beyond any clock's now."""
    return datetime.fromisoformat(job.result["since"]), job.now + timedelta(days=1)


def _age(run: Run) -> float:
    return run.run_start.timestamp() if run.run_start else float("inf")


def _link(arm_id: str, run_id: str) -> str:
    return f"https://adf.azure.com/en/monitoring/pipelineruns/{run_id}?factory={quote(arm_id, safe='')}"


# -- cancel -----------------------------------------------------------------------------------------------------------


def cancel(params: DataFactory, job: Job) -> Progress:
    """Cancel the run and those that it started, where it still goes on, and wait until it has ended."""
    arm_id, client = declared.factory(job, params.factory), job.clients.data_factory
    run_id = job.result.get("run_id")
    run = client.run(arm_id, run_id) if run_id else _by_key(params, job)
    if run is None:
        return _not_seen(job)
    asked = bool(job.memory.get("asked"))
    if run.status in FAILED or run.status == "Succeeded":
        ended = {
            "Cancelled": f"run {run.run_id} was canceled" if asked else "",
            "Succeeded": f"run {run.run_id} had succeeded",
        }
        return Done(note=ended.get(run.status, ""))
    if run.status != "Canceling":
        client.cancel(arm_id, run.run_id)
    return Pending(memory={"asked": True, "looks": 0}, note=f"run {tidy(run.run_id)} is being canceled")


def _not_seen(job: Job) -> Progress:
    """Look a few times, since a new run is not listed at once."""
    if not job.result.get("run_id") and not job.result.get("keyed"):
        return Done(note="a run that may have been started carries no key, so it was not looked for")
    looks = job.memory.get("looks", 0) + 1
    return Done() if looks >= LOOKS else Pending(memory={"looks": looks}, note="the run cannot be seen")


_ADF = "Microsoft.DataFactory/factories"
PERMISSIONS = {
    DataFactory: (
        *drift.READS,
        Permission(
            "factory",
            (
                f"{_ADF}/pipelines/read",
                f"{_ADF}/pipelines/createrun/action",
                f"{_ADF}/pipelineruns/read",
                f"{_ADF}/querypipelineruns/action",
                f"{_ADF}/querypipelineruns/read",
                f"{_ADF}/pipelineruns/cancel/action",
            ),
            "to run the pipeline, find its run again, watch it, and cancel it",
        ),
        Permission(
            "factory",
            (
                f"{_ADF}/pipelineruns/queryactivityruns/action",
                f"{_ADF}/pipelineruns/queryactivityruns/read",
                f"{_ADF}/pipelineruns/activityruns/read",
            ),
            "to tell which activity failed and why",
            optional=True,
        ),
    )
}
RESULTS = {DataFactory: ("run_id", "status", "links.studio")}
STAGES = {
    DataFactory: (
        Stage[DataFactory]("check", start=check, effect="reads"),
        Stage[DataFactory]("run", find=find, start=start, named_by="service"),
        Stage[DataFactory]("end", start=watch, watch=watch, effect="reads", within=lambda params: params.within),
        Stage[DataFactory]("cancel", start=cancel, watch=cancel, effect="undoes"),
    )
}
