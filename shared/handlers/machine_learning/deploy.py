"""Deploy a registered model, or a pipeline component, behind a batch endpoint, and make it the endpoint's default.

Compute, endpoint, deployment and default are each looked for before they are made, and watched until the service says
Succeeded. The deployment's name is made of what it holds, so a second action for the same model finds the first one's
work. Only one action at a time writes to an endpoint: it holds the endpoint's lock.
https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-model-deployments
https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-pipeline-deployments
"""

from typing import Any

from shared.clients.machine_learning.batch import BatchDeployment
from shared.clients.machine_learning.batch import BatchEndpoint as Endpoint
from shared.clients.machine_learning.resources import asset_id, studio_link
from shared.errors import PermanentError
from shared.events import digest
from shared.handlers import declared
from shared.handlers.machine_learning import clusters, serving
from shared.handlers.machine_learning.batch_deployment import OWN_TAG, SETTINGS_TAG, BatchEndpoint, settings
from shared.permissions import Permission
from shared.redaction import tidy
from shared.stages import Done, End, Job, Pending, Progress, Stage

NO_CODE = "mlflow_model"


# -- what is deployed -------------------------------------------------------------------------------------------------


def read_what(params: BatchEndpoint, job: Job) -> Progress:
    """Read the model again: an event tells what was, and its tags may have changed since; or read the component."""
    workspace = declared.workspace(job, params.workspace)
    found, about = _component(params, job, workspace) if params.component else _model(params, job, workspace)
    if isinstance(about, End):
        return about
    location = job.clients.machine_learning.workspaces.location(workspace)
    return Done({"workspace": workspace, "location": location, "endpoint": params.endpoint} | found, about)


def _model(params: BatchEndpoint, job: Job, workspace: str) -> tuple[dict[str, Any], End | str]:
    if not (params.model_id or (params.model and params.version)):
        raise PermanentError(
            "neither the rule nor the event says which model is deployed", remedy="give model and version, or component"
        )
    model, about = serving.read_model(params, workspace, job)
    if bool(params.code) != bool(params.scoring_script):
        raise PermanentError("code and scoring_script go together", remedy="give both, or neither")
    if model and model.type != NO_CODE and not (params.environment and params.code and params.scoring_script):
        raise PermanentError(
            f"{model.type} {':'.join(serving.named(params))} does not say how it scores",
            remedy="give environment, code and scoring_script, or register it as an MLflow model",
        )
    return serving.found(params, model), about


def _component(params: BatchEndpoint, job: Job, workspace: str) -> tuple[dict[str, Any], str]:
    component_id = asset_id(workspace, "components", params.component)
    place, _, rest = component_id.partition("/components/")
    name, _, version = rest.partition("/versions/")
    if not (name and version):
        raise PermanentError(
            f'"{tidy(params.component)}" names no version of a component', remedy='write it as "name:version"'
        )
    if place.startswith("/"):  # a registry's azureml:// is left to the service
        component = job.clients.machine_learning.assets.component(place, name, version)
        if component is None:
            raise PermanentError(
                f"component {tidy(name)}:{tidy(version)} is not there", remedy="register it, or correct the rule"
            )
    found = {
        "component_id": component_id,
        "tags": {},
        "created": "",
        "deployment": serving.deployment_name(name, version, component_id),
    }
    return found, ""


# -- the endpoint's lock ----------------------------------------------------------------------------------------------


def take_turn(params: BatchEndpoint, job: Job) -> Progress:
    """Wait until no other action writes to the endpoint: the service refuses two writes at a time, or mixes them up.

    The model may have been archived, or its tags changed, meanwhile: it is read once more.
    """
    if holder := job.hold(_endpoint_id(job)):
        return Pending(note=f"action {holder[:8]} is working on the endpoint")
    read, about = serving.look_again(params, job)
    if isinstance(about, End):
        job.let_go(_endpoint_id(job))
        return about
    return Done(read)


def _endpoint_id(job: Job) -> str:
    return f"{job.result['workspace']}/batchEndpoints/{job.result['endpoint']}"


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
    return find_endpoint(params, job) or serving.not_visible("endpoint")


def _endpoint_progress(endpoint: Endpoint, job: Job) -> Progress:
    told = {"scoring_uri": endpoint.scoring_uri, "default": endpoint.default}
    return serving.ready("endpoint", endpoint.state, job) or Done(told)


# -- deployment -------------------------------------------------------------------------------------------------------


def find_deployment(params: BatchEndpoint, job: Job) -> Progress | None:
    """Look for the deployment, whether it holds what is ours, and whether its settings are.

    It is made anew where they are not, or where it failed: nobody is served by it.
    """
    name = _name(params, job)
    found = _deployment(name, params, job)
    if found is None:
        return None
    if OWN_TAG in found.tags and found.state in serving.ENDED_BADLY and name != job.result.get("default"):
        return None
    progress = _deployment_progress(found, name, params, job)
    return None if _has_other_settings(found, params, job) and isinstance(progress, Done) else progress


def start_deployment(params: BatchEndpoint, job: Job) -> Progress:
    """Make the deployment, or give it its new settings."""
    result, name = job.result, _name(params, job)
    operation = job.clients.machine_learning.batch.put_deployment(
        result["workspace"], params.endpoint, name, result["location"], settings(params, job)
    )
    return Pending(
        memory={"operation": operation, "deployment": name},
        note=f"deployment {name} is being made",
        wake_on=_wake_on(params, job),
    )


def watch_deployment(params: BatchEndpoint, job: Job) -> Progress:
    """Look whether the deployment is ready."""
    name = job.memory.get("deployment") or _name(params, job)
    found = _deployment(name, params, job)
    if found is None:
        serving.not_visible(f"deployment {name}")
    return _deployment_progress(found, name, params, job)


def _name(params: BatchEndpoint, job: Job) -> str:
    """Name our deployment. What is live is never changed: the same with other settings is another deployment."""
    name, live = str(job.result["deployment"]), job.result.get("default")
    wanted = settings(params, job).tags[SETTINGS_TAG]
    other = f"{name.rpartition('-')[0]}-{digest(name, wanted)[:6]}"
    if live == other:
        return other
    found = _deployment(name, params, job) if live == name else None
    return other if found and _has_other_settings(found, params, job) else name


def _has_other_settings(found: BatchDeployment, params: BatchEndpoint, job: Job) -> bool:
    """Tell whether a deployment was made by a rule that said something else."""
    wanted = settings(params, job).tags[SETTINGS_TAG]
    return found.tags.get(SETTINGS_TAG, wanted) != wanted


def _deployment(name: str, params: BatchEndpoint, job: Job) -> BatchDeployment | None:
    return job.clients.machine_learning.batch.deployment(job.result["workspace"], params.endpoint, name)


def _deployment_progress(found: BatchDeployment, name: str, params: BatchEndpoint, job: Job) -> Progress:
    held = found.component_id or found.model_id
    if not serving.is_same(held, _held(job)):
        raise PermanentError(
            f"deployment {name} of {params.endpoint} holds something else: {tidy(held) or 'nothing'}",
            remedy="delete that deployment, or use another endpoint",
        )
    return serving.ready(f"deployment {name}", found.state, job, _wake_on(params, job)) or Done({"deployment": name})


def _held(job: Job) -> str:
    """Give the id of what our deployment holds."""
    return str(job.result.get("component_id") or job.result["model_id"])


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
    return serving.ready("endpoint", endpoint.state, job) or _decided(endpoint, params, job) or waiting


def _decided(endpoint: Endpoint, params: BatchEndpoint, job: Job) -> Progress | None:
    name = job.result["deployment"]
    if endpoint.default == name:
        return serving.ready("endpoint", endpoint.state, job) or _over(name, "", params, job)
    if not params.set_default:
        return _over(endpoint.default, f"the default stays {endpoint.default or 'none'}", params, job)
    live = _deployment(endpoint.default, params, job) if endpoint.default else None
    if live and serving.is_newer(live, job.result, job):
        return _over(endpoint.default, f"a newer model is live: {endpoint.default}", params, job)
    if live and (why := serving.overtaken(live, params.endpoint, job)):
        return _over(endpoint.default, why, params, job)
    return None


def _over(live: str, note: str, params: BatchEndpoint, job: Job) -> Done:
    """Let go of the endpoint, and say what is live."""
    job.let_go(_endpoint_id(job))
    link = studio_link(job.result["workspace"], f"endpoints/batch/{params.endpoint}")
    return Done({"live": live, "links": {"studio": link}}, note)


# -- what they share --------------------------------------------------------------------------------------------------


def _endpoint(params: BatchEndpoint, job: Job) -> Endpoint:
    endpoint = job.clients.machine_learning.batch.endpoint(job.result["workspace"], params.endpoint)
    if endpoint is None:
        raise PermanentError(f"endpoint {params.endpoint} was deleted meanwhile", remedy="replay the event")
    return endpoint


def _wake_on(params: BatchEndpoint, job: Job) -> str:
    return serving.wake_token(job.result["workspace"], params.endpoint)


RESULTS = {
    BatchEndpoint: (
        *("live", "deployment", "endpoint", "scoring_uri", "model_id", "component_id", "workspace", "location"),
        *("tags", "created", "links.studio"),
    )
}
PERMISSIONS = {
    BatchEndpoint: (
        Permission(
            "workspace",
            (
                "Microsoft.MachineLearningServices/workspaces/read",
                "Microsoft.MachineLearningServices/workspaces/models/versions/read",
                "Microsoft.MachineLearningServices/workspaces/components/versions/read",
            ),
            "to read what is deployed, and where the workspace is",
        ),
        *serving.REGISTRY_READS,
        clusters.PERMISSION,
        Permission(
            "workspace",
            (
                "Microsoft.MachineLearningServices/workspaces/batchEndpoints/read",
                "Microsoft.MachineLearningServices/workspaces/batchEndpoints/write",
                "Microsoft.MachineLearningServices/workspaces/batchEndpoints/deployments/read",
                "Microsoft.MachineLearningServices/workspaces/batchEndpoints/deployments/write",
            ),
            "to make the endpoint and the deployment, and to set the default",
        ),
    )
}
STAGES = {
    BatchEndpoint: (
        Stage[BatchEndpoint]("model", start=read_what, effect="reads"),
        Stage[BatchEndpoint](
            "compute", find=clusters.find, start=clusters.start, watch=clusters.watch, effect="prepares"
        ),
        Stage[BatchEndpoint]("turn", start=take_turn, watch=take_turn, effect="reads"),
        Stage[BatchEndpoint](
            "endpoint", find=find_endpoint, start=start_endpoint, watch=watch_endpoint, effect="prepares"
        ),
        Stage[BatchEndpoint]("deployment", find=find_deployment, start=start_deployment, watch=watch_deployment),
        Stage[BatchEndpoint]("default", find=find_default, start=start_default, watch=watch_default),
    )
}
"""The lock is let go at the end of the last one; where the step fails, it is free once the action has ended."""
