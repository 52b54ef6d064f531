"""Retrain: run a registered pipeline component as an Azure Machine Learning job, and watch it to its end.

The job's name is made of the step's key, so the service itself refuses a second one: at most once, without a key that
travels along.
https://learn.microsoft.com/azure/machine-learning/how-to-train-model#4-submit-the-training-job
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.clients.machine_learning.jobs import Job as Run
from shared.clients.machine_learning.resources import studio_link
from shared.errors import PermanentError, ReactorError, TemporaryError
from shared.events import DEPTH_TAG, MAKER_TAG, without_url_queries
from shared.handlers import declared, drift
from shared.handlers.machine_learning import pipelines
from shared.handlers.machine_learning.pipelines import PipelineJob
from shared.permissions import Permission
from shared.redaction import tidy
from shared.stages import Done, End, Job, Pending, Progress, Stage

UNSEEN = timedelta(minutes=10)
"""How long a job may be missing after it was started, or seen last."""
LOOKS = 3
"""How often a job of ours is looked for in vain until it is taken for never started."""
FAILED = frozenset({"Failed", "Canceled"})
"""Statuses of a job that has ended badly; one that is NotResponding or Paused may go on."""
MOST_METRICS = 100
"""Metrics of one run that a record keeps."""

# -- check ------------------------------------------------------------------------------------------------------------


def check(params: PipelineJob, job: Job) -> Progress:
    """Look whether the drift that is answered goes on, and whether the component takes what it is given."""
    workspace = declared.workspace(job, params.workspace)
    component = pipelines.component_id(workspace, params.component)
    note = drift.recheck(job)
    if isinstance(note, End):
        return note
    pipelines.check(component, params, job)
    return Done({"workspace": workspace, "component": component, "job": job_name(job)}, note)


def job_name(job: Job) -> str:
    """Name the job by the step's key, so that a second one is refused."""
    return f"reactor-{job.key}"


# -- run --------------------------------------------------------------------------------------------------------------


def find(_params: PipelineJob, job: Job) -> Progress | None:
    """Look for the job by its name."""
    run = _read(job)
    return _progress(run, job) if run else None


def start(params: PipelineJob, job: Job) -> Progress:
    """Create the job; where one of that name is there already, that is ours."""
    workspace = job.result["workspace"]
    settings = pipelines.settings(
        params, workspace, job.result["component"], display_name=params.display_name or job.rule, lineage=lineage(job)
    )
    run = job.clients.machine_learning.jobs.put_pipeline(workspace, job.result["job"], settings)
    return _progress(run, job)


def watch(_params: PipelineJob, job: Job) -> Progress:
    """Look how the job is doing."""
    run = _read(job)
    if run is not None:
        return _progress(run, job)
    name = job.result["job"]
    if job.now < datetime.fromisoformat(job.memory["seen"]) + UNSEEN:
        raise TemporaryError(f"job {name} cannot be seen yet")
    raise PermanentError(f"job {name} is gone: somebody deleted it", remedy="replay the event")


def lineage(job: Job) -> dict[str, str]:
    """Say where something that we make comes from."""
    event = job.event()
    told: Mapping[str, Any] = event.facts
    run, model = told.get("run", {}), told.get("model", {})
    tags = {
        "reactor-action": job.action,
        "reactor-event": job.event_key,
        MAKER_TAG: job.rule,
        DEPTH_TAG: str(job.depth),
    }
    if run.get("id"):
        tags["reactor-run"] = tidy(str(run["id"]))
    if model.get("name"):
        tags["reactor-model"] = tidy(f"{model['name']}:{model.get('version')}")
    return tags


def _read(job: Job) -> Run | None:
    return job.clients.machine_learning.jobs.read(job.result["workspace"], job.result["job"])


def _progress(run: Run, job: Job) -> Progress:
    if run.status not in FAILED and run.status != "Completed":
        wake_on = f"run:{job.result['workspace'].lower()}/{run.name}"
        return Pending(memory={"seen": job.now.isoformat()}, note=f"job {run.name} is {run.status}", wake_on=wake_on)
    if run.status in FAILED:
        why = job.clients.machine_learning.runs.why(job.result["workspace"], run.name)
        raise PermanentError(f"job {run.name} is {run.status}" + (f": {why}" if why else ""), remedy=_see(run, job))
    metrics, note = _metrics(run.name, job)
    told = {
        "status": run.status,
        "experiment": run.experiment,
        "outputs": {name: _output_uri(run.name, name, uri) for name, uri in run.outputs.items()},
        "metrics": metrics,
        "links": {"studio": _studio(run, job)},
    }
    return Done(told, note)


def _output_uri(job: str, name: str, uri: str) -> str:
    """Say where an output is; the service leaves its own names in the URI of one that it placed itself."""
    return str(without_url_queries(uri)) if uri and "${{" not in uri else f"azureml://jobs/{job}/outputs/{name}"


def _metrics(name: str, job: Job) -> tuple[dict[str, float], str]:
    """Read what the job measured, where that can be read: it keeps no job from having succeeded."""
    try:
        found = job.clients.machine_learning.runs.metrics(job.result["workspace"], name)
    except ReactorError as problem:
        return {}, f"its metrics could not be read: {problem.reason}"
    return dict(list(found.items())[:MOST_METRICS]), ""


def _studio(run: Run, job: Job) -> str:
    return run.studio or studio_link(job.result["workspace"], f"runs/{run.name}")


def _see(run: Run, job: Job) -> str:
    return f"see {_studio(run, job)}"


# -- cancel -----------------------------------------------------------------------------------------------------------


def cancel(_params: PipelineJob, job: Job) -> Progress:
    """Cancel the job if it still runs, and wait until it has ended."""
    name, run = job.result["job"], _read(job)
    if run is None:
        looks = job.memory.get("looks", 0) + 1
        return Done() if looks >= LOOKS else Pending(memory={"looks": looks}, note=f"job {name} cannot be seen")
    asked = bool(job.memory.get("asked"))
    if run.status == "Completed" or run.status in FAILED:
        ended = {"Canceled": f"job {name} was canceled" if asked else "", "Completed": f"job {name} had completed"}
        return Done(note=ended.get(run.status, ""))
    if run.status != "CancelRequested":
        job.clients.machine_learning.jobs.cancel(job.result["workspace"], name)
    wake_on = f"run:{job.result['workspace'].lower()}/{name}"
    return Pending(memory={"asked": True, "looks": 0}, note=f"job {name} is being canceled", wake_on=wake_on)


_ML = "Microsoft.MachineLearningServices/workspaces"
PERMISSIONS = {
    PipelineJob: (
        *drift.READS,
        Permission("workspace", (f"{_ML}/components/versions/read",), "to see whether the component is there"),
        Permission(
            "workspace",
            (f"{_ML}/jobs/read", f"{_ML}/jobs/write", f"{_ML}/jobs/cancel/action"),
            "to run the job, watch it, and cancel it",
        ),
        Permission(
            "workspace",
            (f"{_ML}/read", f"{_ML}/experiments/runs/read", f"{_ML}/experiments/read"),
            "to tell its metrics, or which of its steps failed and why",
            optional=True,
        ),
    )
}
RESULTS = {PipelineJob: ("job", "status", "outputs", "metrics", "links.studio", "workspace", "component", "experiment")}
STAGES = {
    PipelineJob: (
        Stage[PipelineJob]("check", start=check, effect="reads"),
        Stage[PipelineJob]("run", find=find, start=start, watch=watch, within=lambda params: params.within),
        Stage[PipelineJob]("cancel", start=cancel, watch=cancel, effect="undoes"),
    )
}
