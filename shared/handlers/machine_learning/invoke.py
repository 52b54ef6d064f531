"""Score in batch: invoke a batch endpoint, and follow the job that the service starts to its end.

The service names the job, so the step's key is part of where the job writes, by which the job of an unanswered start is
found again. A pipeline component without outputs writes nowhere: it is run at least once.
https://learn.microsoft.com/azure/machine-learning/how-to-access-data-batch-endpoints-jobs
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from shared.clients.machine_learning.batch import BatchEndpoint as Endpoint
from shared.clients.machine_learning.jobs import ENDED
from shared.clients.machine_learning.jobs import Job as Run
from shared.clients.machine_learning.resources import studio_link
from shared.clients.machine_learning.scoring import BatchJob, DataType
from shared.errors import PermanentError, ReactorError, TemporaryError
from shared.handlers import declared
from shared.handlers.machine_learning import serving
from shared.handlers.machine_learning.invocation import BatchEndpoint, check_component, check_model, invocation
from shared.permissions import Permission
from shared.redaction import tidy
from shared.stages import Done, Job, Pending, Progress, Stage

SLACK = timedelta(minutes=10)
"""By how much the service's clock may differ from ours."""
UNSEEN = timedelta(minutes=10)
"""How long a job may be missing after it was started, or seen last."""
LOOKS = 3
"""How often the job of a start that may have happened is looked for in vain until it is taken for never started."""


# -- check ------------------------------------------------------------------------------------------------------------


def check(params: BatchEndpoint, job: Job) -> Progress:
    """Look whether the endpoint can be invoked, and whether what it answers with takes what it is given."""
    workspace, client = declared.workspace(job, params.workspace), job.clients.machine_learning
    endpoint = client.batch.endpoint(workspace, params.endpoint)
    if endpoint is None:
        raise PermanentError(f"batch endpoint {params.endpoint} is not there", remedy="deploy to it first")
    name = params.deployment or endpoint.default
    if not name:
        raise PermanentError(
            f"batch endpoint {params.endpoint} has no default deployment", remedy="set one, or name a deployment"
        )
    deployment = client.batch.deployment(workspace, params.endpoint, name)
    if deployment is None:
        raise PermanentError(
            f"batch endpoint {params.endpoint} has no deployment {tidy(name)}", remedy="deploy it, or name another one"
        )
    if deployment.state in serving.ENDED_BADLY:
        raise PermanentError(
            f"deployment {tidy(name)} of {params.endpoint} is {deployment.state}", remedy="deploy it again"
        )
    types: dict[str, DataType] = {}
    if deployment.component_id:
        types = check_component(params, deployment.component_id, job)
    else:
        check_model(params)
    is_keyed = bool(types) or not deployment.component_id
    datastore = params.output.datastore
    if is_keyed and not datastore:
        datastore = client.workspaces.default_datastore(workspace).name
    found = {
        "workspace": workspace,
        "endpoint": params.endpoint,
        "deployment": name,
        "scoring_uri": _scoring_uri(endpoint, params, job),
        "datastore": datastore,
        "is_model": not deployment.component_id,
        "types": types,
        "keyed": is_keyed,
        "since": (job.now - SLACK).isoformat(),
    }
    return Done(found, "" if is_keyed else f"at least once: the component of {tidy(name)} has no output")


def _scoring_uri(endpoint: Endpoint, params: BatchEndpoint, job: Job) -> str:
    if not endpoint.scoring_uri:
        raise TemporaryError(f"batch endpoint {params.endpoint} has no scoring URI yet")
    return job.clients.machine_learning.data_plane.checked(endpoint.scoring_uri)


# -- invoke -----------------------------------------------------------------------------------------------------------


def find(_params: BatchEndpoint, job: Job) -> Progress | None:
    """Look for the job of a start that was not answered: the one that writes where this step's key says.

    Before the first start nothing can be there, so that a listing that cannot be read holds back no invocation.
    """
    found = _find(job) if job.starting_at is not None else None
    return _started(found) if found else None


def invoke(params: BatchEndpoint, job: Job) -> Progress:
    """Start the job."""
    scoring, result = job.clients.machine_learning.scoring, job.result
    return _started(scoring.invoke(result["scoring_uri"], invocation(params, job), deployment=result["deployment"]))


def _find(job: Job) -> BatchJob | Run | None:
    """Look among all jobs of the endpoint; where these cannot be listed, among the latest of the workspace."""
    if not job.result["keyed"]:
        return None
    client, workspace = job.clients.machine_learning, job.result["workspace"]
    try:
        return _mine(client.scoring.jobs(workspace, job.result["endpoint"]), job)
    except ReactorError:  # no document tells of that listing
        return _mine(client.jobs.since(workspace, datetime.fromisoformat(job.result["since"])), job)


def _mine(jobs: Iterable[BatchJob | Run], job: Job) -> BatchJob | Run | None:
    mine = None
    for one in jobs:
        if any(f"/{job.key}/" in uri for uri in one.outputs.values()):
            mine = one  # the oldest, where there should be one
    return mine


def _started(found: BatchJob | Run) -> Done:
    return Done({"job": found.name}, note=f"job {tidy(found.name)} started")


# -- run --------------------------------------------------------------------------------------------------------------


def watch(params: BatchEndpoint, job: Job) -> Progress:
    """Look how the job is doing."""
    name, run = job.result["job"], _read(job)
    if run is not None:
        return _progress(run, params, job)
    if job.now < _seen(job) + UNSEEN:
        raise TemporaryError(f"job {name} cannot be seen yet")
    raise PermanentError(f"job {name} is gone", remedy=f"see {_studio(None, job)}, then replay the event")


def _seen(job: Job) -> datetime:
    """Give when the job was seen last; before that, when it was first looked at."""
    return datetime.fromisoformat(job.memory["seen"]) if "seen" in job.memory else job.began


def _progress(run: Run, params: BatchEndpoint, job: Job) -> Progress:
    if run.status not in ENDED:
        return Pending(memory={"seen": job.now.isoformat()}, note=f"job {run.name} is {run.status}", wake_on=_wake(job))
    link = _studio(run, job)
    if run.status != "Completed":
        why = job.clients.machine_learning.runs.why(job.result["workspace"], run.name)
        raise PermanentError(f"job {run.name} is {run.status}" + (f": {why}" if why else ""), remedy=f"see {link}")
    asked = {name: one.uri for name, one in invocation(params, job).outputs.items()}
    outputs = {name: uri for name, uri in run.outputs.items() if uri and "${{" not in uri} | asked
    output = next(iter(asked.values()), "") or next(iter(outputs.values()), "")
    return Done({"status": run.status, "output": output, "outputs": outputs, "links": {"studio": link}})


def _read(job: Job) -> Run | None:
    return job.clients.machine_learning.jobs.read(job.result["workspace"], job.result["job"])


def _studio(run: Run | None, job: Job) -> str:
    return (run.studio if run else "") or studio_link(job.result["workspace"], f"runs/{job.result['job']}")


def _wake(job: Job) -> str:
    return f"run:{job.result['workspace'].lower()}/{job.result['job']}"


# -- cancel -----------------------------------------------------------------------------------------------------------


def cancel(_params: BatchEndpoint, job: Job) -> Progress:
    """Cancel the job if it still runs, and wait until it has ended. One whose start was not answered is looked for."""
    name = job.result.get("job") or job.memory.get("job", "")
    if not name:
        found = _find(job)
        if found is None:
            looks = job.memory.get("looks", 0) + 1
            return Done() if looks >= LOOKS else Pending(memory={"looks": looks}, note="looking for the job")
        name = found.name
    run = job.clients.machine_learning.jobs.read(job.result["workspace"], name)
    asked = bool(job.memory.get("asked"))
    if run is None:
        if job.now < job.began + UNSEEN:
            raise TemporaryError(f"job {name} cannot be seen yet")
        return Done(note=f"job {name} is gone")
    if run.status in ENDED:
        ended = {"Canceled": f"job {name} was canceled" if asked else "", "Completed": f"job {name} had completed"}
        return Done(note=ended.get(run.status, ""))
    if not asked and run.status != "CancelRequested":
        job.clients.machine_learning.jobs.cancel(job.result["workspace"], name)
    return Pending(memory={"asked": True, "job": name}, note=f"job {name} is being canceled")


_ML = "Microsoft.MachineLearningServices/workspaces"
PERMISSIONS = {
    BatchEndpoint: (
        Permission(
            "workspace",
            (
                f"{_ML}/read",
                f"{_ML}/datastores/read",
                f"{_ML}/components/versions/read",
                f"{_ML}/batchEndpoints/read",
                f"{_ML}/batchEndpoints/deployments/read",
                f"{_ML}/batchEndpoints/jobs/read",
                f"{_ML}/batchEndpoints/deployments/jobs/read",
                f"{_ML}/jobs/read",
            ),
            "looks at the endpoint, and for its jobs",
        ),
        Permission(
            "workspace",
            (
                f"{_ML}/batchEndpoints/jobs/write",
                f"{_ML}/batchEndpoints/deployments/jobs/write",
                f"{_ML}/data/versions/write",
                f"{_ML}/datasets/registered/read",
                f"{_ML}/datasets/registered/write",
                f"{_ML}/datastores/listsecrets/action",
                f"{_ML}/listStorageAccountKeys/action",
                f"{_ML}/experiments/runs/submit/action",
                f"{_ML}/experiments/runs/write",
                f"{_ML}/jobs/cancel/action",
            ),
            "invokes the endpoint as the service demands it of a caller, and cancels the job",
        ),
        Permission(
            "workspace",
            (f"{_ML}/experiments/runs/read", f"{_ML}/experiments/read"),
            "to tell why a job failed",
            optional=True,
        ),
    )
}
RESULTS = {BatchEndpoint: ("job", "status", "output", "outputs", "links.studio", "workspace", "endpoint", "deployment")}
STAGES = {
    BatchEndpoint: (
        Stage[BatchEndpoint]("check", start=check, effect="reads"),
        Stage[BatchEndpoint]("invoke", find=find, start=invoke, named_by="service"),
        Stage[BatchEndpoint]("run", start=watch, watch=watch, effect="reads", within=lambda params: params.within),
        Stage[BatchEndpoint]("cancel", start=cancel, watch=cancel, effect="undoes"),
    )
}
"""A job that failed is not started again: what it wrote so far would be in the way."""
