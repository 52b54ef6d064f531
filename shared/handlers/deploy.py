"""Deploy a registered model behind a batch endpoint: the model, the endpoint, the deployment, the default deployment.

Each is looked for before it is made, and watched until the service says Succeeded. The deployment's name is made of
the model it holds, so a second action for the same model finds the first one's work.
https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-model-deployments
"""

import hashlib
import re
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.clients.machine_learning.batch import BatchDeployment, BatchSettings
from shared.clients.machine_learning.batch import BatchEndpoint as Endpoint
from shared.clients.machine_learning.models import Model
from shared.clients.machine_learning.resources import asset_id, studio_link
from shared.errors import PermanentError, TemporaryError
from shared.handlers import declared
from shared.redaction import tidy
from shared.rules.declared import Names
from shared.stages import Done, Job, Pending, Progress, Stage

NO_CODE = "mlflow_model"
ENDED_BADLY = frozenset({"Failed", "Canceled"})


class BatchEndpoint(BaseModel):
    """Deploys a model to a batch endpoint, and makes it the endpoint's default."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, protected_namespaces=())

    workspace: Annotated[str, Names("workspaces")] = Field(
        default="{{ source }}", description="A declared workspace; by default where the event comes from."
    )
    model: str = Field(default="{{ model.name }}", description="The model's name.", min_length=1)
    version: str = Field(default="{{ model.version }}", description="The model's version.", min_length=1)
    endpoint: str = Field(
        description="The endpoint, made where it is missing; its name is unique in the region.",
        pattern=r"^[A-Za-z](?:-?[A-Za-z0-9])*$",
        min_length=3,
        max_length=32,
    )
    compute: str = Field(description="The compute cluster that scores: a name, or an ARM id.", min_length=1)
    instance_count: int = Field(default=1, ge=1, description="Nodes for one scoring job.")
    environment: str = Field(default="", description='"name:version" or an id; not needed for MLflow models.')
    code: str = Field(
        default="", description='"name:version" or an id of registered code; not needed for MLflow models.'
    )
    scoring_script: str = Field(default="", description="The file in `code` that scores.")


# -- model ------------------------------------------------------------------------------------------------------------


def read_model(params: BatchEndpoint, job: Job) -> Progress:
    """Read the model again: an event tells what was, and its tags may have changed since."""
    workspace, client = declared.workspace(job, params.workspace), job.clients.machine_learning
    model = client.models.read(workspace, params.model, params.version)
    if model is None:
        raise PermanentError(f"model {params.model}:{params.version} is not there any more")
    if model.archived:
        raise PermanentError(f"model {params.model}:{params.version} is archived", remedy="restore it, then replay")
    if model.type != NO_CODE and not (params.environment and params.code and params.scoring_script):
        raise PermanentError(
            f"{model.type} {params.model}:{params.version} does not say how it scores",
            remedy="give environment, code and scoring_script, or register it as an MLflow model",
        )
    found = {
        "workspace": workspace,
        "location": client.workspaces.location(workspace),
        "model_id": model.id,
        "tags": dict(model.tags),
        "created": model.created_at.isoformat() if model.created_at else "",
        "endpoint": params.endpoint,
        "deployment": deployment_name(params.model, params.version, model.id),
    }
    return Done(found, _tags_note(model, job))


def _tags_note(model: Model, job: Job) -> str:
    told = job.event().data.get("modelTags")
    changed = isinstance(told, dict) and told != dict(model.tags)
    return "the model's tags have changed since the event" if changed else ""


def deployment_name(model: str, version: str, model_id: str) -> str:
    """Name a deployment by the model it holds: at most 29 characters of the 32 that the service allows.

    >>> deployment_name("Credit Default", "12", "/subscriptions/…/models/Credit Default/versions/12")[:16]
    'credit-defau-v12'
    """
    slug = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    slug = (slug if slug[:1].isalpha() else f"m-{slug}")[:12].strip("-")
    short = re.sub(r"[^a-z0-9]+", "-", version.lower()).strip("-")[:8].strip("-")
    return f"{slug}-v{short}-{hashlib.sha256(model_id.lower().encode()).hexdigest()[:6]}"


# -- endpoint ---------------------------------------------------------------------------------------------------------


def find_endpoint(params: BatchEndpoint, job: Job) -> Progress | None:
    """Look for the endpoint."""
    endpoint = job.clients.machine_learning.batch.endpoint(job.result["workspace"], params.endpoint)
    return _endpoint_progress(endpoint, job) if endpoint else None


def start_endpoint(params: BatchEndpoint, job: Job) -> Progress:
    """Make the endpoint."""
    result = job.result
    operation = job.clients.machine_learning.batch.put_endpoint(
        result["workspace"], params.endpoint, result["location"]
    )
    return Pending(memory={"operation": operation}, note="endpoint is being made")


def watch_endpoint(params: BatchEndpoint, job: Job) -> Progress:
    """Look whether the endpoint is ready."""
    return find_endpoint(params, job) or _not_visible("endpoint")


def _endpoint_progress(endpoint: Endpoint, job: Job) -> Progress:
    return _ready("endpoint", endpoint.state, job) or Done({"scoring_uri": endpoint.scoring_uri})


# -- deployment -------------------------------------------------------------------------------------------------------


def find_deployment(params: BatchEndpoint, job: Job) -> Progress | None:
    """Look for the deployment, and whether it holds our model."""
    result = job.result
    found = job.clients.machine_learning.batch.deployment(result["workspace"], params.endpoint, result["deployment"])
    return _deployment_progress(found, params, job) if found else None


def start_deployment(params: BatchEndpoint, job: Job) -> Progress:
    """Make the deployment."""
    result, workspace = job.result, job.result["workspace"]
    settings = BatchSettings(
        model_id=result["model_id"],
        compute_id=asset_id(workspace, "computes", params.compute),
        instance_count=params.instance_count,
        environment_id=params.environment and asset_id(workspace, "environments", params.environment),
        code_id=params.code and asset_id(workspace, "codes", params.code),
        scoring_script=params.scoring_script,
        tags={"reactor-action": job.key},
    )
    operation = job.clients.machine_learning.batch.put_deployment(
        workspace, params.endpoint, result["deployment"], result["location"], settings
    )
    return Pending(
        memory={"operation": operation},
        note=f"deployment {result['deployment']} is being made",
        wake_on=_wake_on(params, job),
    )


def watch_deployment(params: BatchEndpoint, job: Job) -> Progress:
    """Look whether the deployment is ready."""
    return find_deployment(params, job) or _not_visible(f"deployment {job.result['deployment']}")


def _deployment_progress(found: BatchDeployment, params: BatchEndpoint, job: Job) -> Progress:
    name = job.result["deployment"]
    if found.model_id.lower() != job.result["model_id"].lower():
        raise PermanentError(
            f"deployment {name} of {params.endpoint} holds another model: {tidy(found.model_id)}",
            remedy="delete that deployment, or use another endpoint",
        )
    return _ready(f"deployment {name}", found.state, job, _wake_on(params, job)) or Done()


# -- default deployment -----------------------------------------------------------------------------------------------


def find_default(params: BatchEndpoint, job: Job) -> Progress | None:
    """Look whether ours is the default, or what is the default is newer: an older model never replaces a newer one."""
    return _decided(_endpoint(params, job), params, job)


def start_default(params: BatchEndpoint, job: Job) -> Progress:
    """Make ours the default, unless that has been decided meanwhile."""
    endpoint, name = _endpoint(params, job), job.result["deployment"]
    if decided := _decided(endpoint, params, job):
        return decided
    operation = job.clients.machine_learning.batch.set_default(
        job.result["workspace"], params.endpoint, name, instead_of=endpoint.default
    )
    return Pending(memory={"operation": operation}, note=f"{name} becomes the default")


def watch_default(params: BatchEndpoint, job: Job) -> Progress:
    """Look whether the endpoint shows ours as its default: it may do so a while after it says Succeeded."""
    endpoint = _endpoint(params, job)
    waiting = Pending(note=f'the default is "{endpoint.default}" still')
    return _ready("endpoint", endpoint.state, job) or _decided(endpoint, params, job) or waiting


def _decided(endpoint: Endpoint, params: BatchEndpoint, job: Job) -> Progress | None:
    name, workspace = job.result["deployment"], job.result["workspace"]
    link = {"links": {"studio": studio_link(workspace, f"endpoints/batch/{params.endpoint}")}}
    if endpoint.default == name:
        return _ready("endpoint", endpoint.state, job) or Done(link | {"live": name})
    if endpoint.default and _is_newer(endpoint.default, params, job):
        return Done(link | {"live": endpoint.default}, note=f"a newer model is live: {endpoint.default}")
    return None


def _is_newer(live: str, params: BatchEndpoint, job: Job) -> bool:
    """Tell whether a live deployment holds a newer version of our model, by when the versions were made.

    Where the live version is gone, the deployment's own age stands for it: it cannot be older than its model.
    """
    client = job.clients.machine_learning
    deployment = client.batch.deployment(job.result["workspace"], params.endpoint, live)
    if deployment is None or _without_version(deployment.model_id) != _without_version(job.result["model_id"]):
        return False
    model = client.models.by_id(deployment.model_id)
    theirs = model.created_at if model else deployment.created_at
    ours = datetime.fromisoformat(job.result["created"]) if job.result["created"] else None
    return ours is not None and theirs is not None and theirs > ours


def _without_version(model_id: str) -> str:
    return model_id.lower().rpartition("/versions/")[0]


# -- what they share --------------------------------------------------------------------------------------------------


def _endpoint(params: BatchEndpoint, job: Job) -> Endpoint:
    endpoint = job.clients.machine_learning.batch.endpoint(job.result["workspace"], params.endpoint)
    if endpoint is None:
        raise PermanentError(f"endpoint {params.endpoint} was deleted meanwhile", remedy="replay the event")
    return endpoint


def _ready(what: str, state: str, job: Job, wake_on: str = "") -> Pending | None:
    """Return None for what is ready, Pending for what is not yet; PermanentError where it never will be."""
    if state == "Succeeded":
        return None
    if state in ENDED_BADLY:
        operation = job.memory.get("operation", "")
        why = job.clients.machine_learning.arm.operation_error(operation) if operation else ""
        raise PermanentError(
            f"{what} is {state}" + (f": {why}" if why else ""),
            remedy="see the studio, delete it, then replay the event",
        )
    return Pending(note=f"{what} is {state}", wake_on=wake_on)


def _not_visible(what: str) -> Progress:
    raise TemporaryError(f"{what} cannot be seen yet")


def _wake_on(params: BatchEndpoint, job: Job) -> str:
    return f"deployed:{job.result['workspace'].lower()}/{params.endpoint.lower()}"


RESULTS = {
    BatchEndpoint: (
        *("live", "deployment", "endpoint", "scoring_uri", "model_id", "workspace", "location", "tags", "created"),
        "links.studio",
    )
}
STAGES = {
    BatchEndpoint: (
        Stage[BatchEndpoint]("model", start=read_model, effect="reads"),
        Stage[BatchEndpoint](
            "endpoint", find=find_endpoint, start=start_endpoint, watch=watch_endpoint, effect="prepares"
        ),
        Stage[BatchEndpoint]("deployment", find=find_deployment, start=start_deployment, watch=watch_deployment),
        Stage[BatchEndpoint]("default", find=find_default, start=start_default, watch=watch_default),
    )
}
