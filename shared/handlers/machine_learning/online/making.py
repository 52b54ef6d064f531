"""Makes the deployment, with nothing of the traffic yet: the model, the lock, the endpoint, the deployment.

https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoints
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.actions import Status
from shared.clients.machine_learning.models import Model
from shared.clients.machine_learning.online import OnlineDeployment, OnlineSettings
from shared.clients.machine_learning.online import OnlineEndpoint as Endpoint
from shared.clients.machine_learning.resources import asset_id
from shared.errors import PermanentError, TemporaryError
from shared.handlers import declared
from shared.handlers.machine_learning import rollout, serving
from shared.handlers.machine_learning.online.params import OnlineEndpoint
from shared.policy import read_duration
from shared.redaction import tidy
from shared.stages import Done, End, Job, Pending, Progress

NO_CODE = frozenset({"mlflow_model", "triton_model"})
"""Kinds of model that say themselves how they score."""
PYFUNC = "python_function"
FIRST_TO_CRASH = 3
"""The MLflow whose models have crashed in the environment that the service makes.

https://github.com/Azure/azureml-examples/pull/4051
"""
OWN_TAG = "reactor-action"
SEE_LOG = ("see what its log says", "then replay the event")
QUOTA_WITHIN = timedelta(minutes=5)
"""How long it is tried to read what the region has left: a role may not have arrived yet."""


# -- model ------------------------------------------------------------------------------------------------------------


def read_model(params: OnlineEndpoint, job: Job) -> Progress:
    """Read the model again: an event tells what was, and its tags may have changed since."""
    workspace, client = declared.workspace(job, params.workspace), job.clients.machine_learning
    if params.approval and params.approval.channel:
        declared.channel(job, params.approval.channel)  # now, and not in the middle of a rollout
    model, about = serving.read_model(params, workspace, job)
    if isinstance(about, End):
        return about
    notes = [about, *(_check_scoring(params, model) if model else ())]
    found = {
        "workspace": workspace,
        "location": client.workspaces.location(workspace),
        "endpoint": params.endpoint,
        **serving.found(params, model),
    }
    return Done(found, "; ".join(note for note in notes if note))


def _check_scoring(params: OnlineEndpoint, model: Model) -> list[str]:
    """Refuse a model that could not score, before anything is made."""
    name = ":".join(serving.named(params))
    if params.environment:
        return []
    if params.code or model.type not in NO_CODE:
        raise PermanentError(
            f"{model.type} {name} does not say how it scores",
            remedy="give environment, code and scoring_script, or register it as an MLflow model",
        )
    if model.type == "mlflow_model" and model.flavors and PYFUNC not in model.flavors:
        raise PermanentError(
            f"{name} has no {PYFUNC} flavor, which an MLflow model needs to be deployed without code; "
            f"it has {', '.join(sorted(model.flavors))}",
            remedy="log it with a pyfunc flavor, or give environment, code and scoring_script",
        )
    if model.type == "mlflow_model" and not model.flavors:
        return ["the service does not tell the model's flavors"]
    logged = str(model.flavors.get(PYFUNC, {}).get("mlflow_version") or "")
    is_new = logged.partition(".")[0].isdigit() and int(logged.partition(".")[0]) >= FIRST_TO_CRASH
    return [f"it was logged with MLflow {tidy(logged)}: without an environment of its own it may crash"] * is_new


# -- lock -------------------------------------------------------------------------------------------------------------


def take_lock(params: OnlineEndpoint, job: Job) -> Progress:
    """Take the endpoint: only one action at a time writes to it."""
    holder = job.hold(endpoint_id(params, job))
    return Pending(note=f"waits for action {holder}, which writes to {params.endpoint}") if holder else Done()


def endpoint_id(params: OnlineEndpoint, job: Job) -> str:
    """Name what is locked."""
    return f"{job.result['workspace']}/onlineEndpoints/{params.endpoint}"


# -- newer ------------------------------------------------------------------------------------------------------------


def look_for_newer(params: OnlineEndpoint, job: Job) -> Progress:
    """Stop where a newer version of the model is live, or this one was taken back; go to the end where it is live.

    It may have been archived, or its tags changed, while the action waited for the endpoint: it is read once more.
    """
    client, workspace = job.clients.machine_learning.online, job.result["workspace"]
    endpoint = client.endpoint(workspace, params.endpoint)
    if endpoint and (pending := serving.ready("endpoint", endpoint.state, job)):
        return pending
    read, about = serving.look_again(params, job)
    if isinstance(about, End):
        return _end(about, params, job)
    if endpoint is None:
        return Done(read)
    found, traffic = {**job.result, **read}, rollout.plain(endpoint.traffic)
    there = {one.name.lower(): one for one in client.deployments(workspace, params.endpoint)}
    live = {name: there[name] for name in traffic if name in there}
    if why := _why_not(live, traffic, found, params, job):
        return _end(End(Status.SKIPPED, why), params, job)
    same = {name: traffic[name] for name, one in live.items() if serving.is_same(one.model_id, found["model_id"])}
    if sum(same.values()) < params.traffic[-1]:
        taken = _taken_back(there.get(found["deployment"]), endpoint)
        return _end(End(Status.SKIPPED, taken), params, job) if taken else Done(read)
    read = {**read, "deployment": max(same, key=lambda name: same[name]), "previous": traffic, "traffic": traffic}
    return Done({**read, "scoring_uri": endpoint.scoring_uri}, note="it is live already", next="finish")


def _why_not(
    live: Mapping[str, OnlineDeployment],
    traffic: rollout.Traffic,
    found: Mapping[str, Any],
    params: OnlineEndpoint,
    job: Job,
) -> str:
    """Say why ours is not to take the place of what is live; "" where it is."""
    for name, one in live.items():
        if serving.is_newer(one, found, job):
            return f"a newer model is live: {name} has {traffic[name]} % of {params.endpoint}"
    most = live.get(rollout.most(traffic))
    return serving.overtaken(most, params.endpoint, job) if most else ""


def _taken_back(ours: OnlineDeployment | None, endpoint: Endpoint) -> str:
    """Say that a rollout gave ours all traffic, and somebody has given it back since; "" where nobody has."""
    if ours is None or ours.name.lower() in endpoint.traffic:
        return ""
    by = (ours.tags.get(OWN_TAG) or "-")[: rollout.BY]
    emptied = rollout.read_emptied(endpoint.tags.get(rollout.EMPTIED_TAG))
    back = ", ".join(name for name in endpoint.traffic if emptied.get(name) == by)
    words = f"{ours.name} had all traffic, and somebody gave it back to {back}: "
    return words + f"delete {ours.name} and replay the event, if it is to go live all the same" if back else ""


def _end(end: End, params: OnlineEndpoint, job: Job) -> End:
    job.let_go(endpoint_id(params, job))
    return end


# -- quota ------------------------------------------------------------------------------------------------------------


def check_quota(params: OnlineEndpoint, job: Job) -> Progress:
    """Compare the cores that a new deployment needs with what the region has left."""
    if not params.quota_check:
        return Done()
    client, workspace = job.clients.machine_learning, job.result["workspace"]
    if client.online.deployment(workspace, params.endpoint, job.result["deployment"]) is not None:
        return Done(note="the deployment is there already")
    try:
        short = client.usage.shortfall(workspace, job.result["location"], params.instance_type, params.instance_count)
    except PermanentError as refused:
        return Done(note=f"the quota was not read: {refused.reason}")
    except TemporaryError as trouble:
        if job.now < job.began + QUOTA_WITHIN:
            raise
        return Done(note=f"the quota was not read: {trouble.reason}")
    if short is None:
        return Done()
    raise PermanentError(
        f"{short.missing} cores of {short.family} are missing in {job.result['location']} for "
        f"{params.instance_count} x {params.instance_type}: {short.used} of {short.limit} are used",
        remedy="ask for more quota (a fifth more than is used: upgrades need it), or take fewer or other machines",
    )


# -- endpoint ---------------------------------------------------------------------------------------------------------


def find_endpoint(params: OnlineEndpoint, job: Job) -> Progress | None:
    """Look for the endpoint."""
    found = job.clients.machine_learning.online.endpoint(job.result["workspace"], params.endpoint)
    if found is None:
        return None
    return serving.ready("endpoint", found.state, job) or Done({"scoring_uri": found.scoring_uri})


def start_endpoint(params: OnlineEndpoint, job: Job) -> Progress:
    """Make the endpoint, for callers with a token of Microsoft Entra ID."""
    operation = job.clients.machine_learning.online.put_endpoint(
        job.result["workspace"], params.endpoint, job.result["location"]
    )
    return Pending(memory={"operation": operation}, note="endpoint is being made")


def watch_endpoint(params: OnlineEndpoint, job: Job) -> Progress:
    """Look whether the endpoint is ready."""
    return find_endpoint(params, job) or serving.not_visible("endpoint")


# -- deployment -------------------------------------------------------------------------------------------------------


def find_deployment(params: OnlineEndpoint, job: Job) -> Progress | None:
    """Look for the deployment, and whether it holds our model."""
    found = _deployment(params, job)
    if found is not None and found.tags.get(OWN_TAG) == job.key:
        # Of an attempt that nobody wrote down: it is watched from here, so that what has failed is undone.
        return Pending(0, memory={"seen": True}, note=f"deployment {found.name} is {found.state}")
    progress = _progress(found, params, job) if found else None
    return Done(note=_as_it_is(found, params)) if found and isinstance(progress, Done) else progress


def _as_it_is(found: OnlineDeployment, params: OnlineEndpoint) -> str:
    """Say that a deployment was there before: what it is made of is left as it is."""
    there, wanted = (found.instance_count, found.instance_type), (params.instance_count, params.instance_type)
    words = f"{found.name} was there before, and is taken as it is"
    if there[0] == wanted[0] and there[1].lower() == wanted[1].lower():
        return words
    return f"{words}: its machines are {there[0]} x {tidy(there[1])}, and not {wanted[0]} x {wanted[1]}"


def start_deployment(params: OnlineEndpoint, job: Job) -> Progress:
    """Make the deployment; nothing of the traffic goes to it."""
    result, workspace = job.result, job.result["workspace"]
    settings = OnlineSettings(
        model_id=result["model_id"],
        instance_type=params.instance_type,
        instance_count=params.instance_count,
        environment_id=params.environment and asset_id(workspace, "environments", params.environment),
        code_id=params.code and asset_id(workspace, "codes", params.code),
        scoring_script=params.scoring_script,
        environment_variables=params.environment_variables,
        request_timeout=read_duration(params.request_timeout),
        max_concurrent=params.max_concurrent,
        tags={OWN_TAG: job.key} | serving.created_tag(job),
    )
    operation = job.clients.machine_learning.online.put_deployment(
        workspace, params.endpoint, result["deployment"], result["location"], settings
    )
    return Pending(
        memory={"operation": operation},
        note=f"deployment {result['deployment']} is being made",
        wake_on=serving.wake_token(workspace, params.endpoint),
    )


def watch_deployment(params: OnlineEndpoint, job: Job) -> Progress:
    """Look whether the deployment is ready, or was deleted under our feet."""
    if found := _deployment(params, job):
        return _progress(found, params, job)
    if job.memory.get("seen"):
        raise deleted_meanwhile(job.result["deployment"])
    return serving.not_visible(f"deployment {job.result['deployment']}")


def deleted_meanwhile(name: str) -> PermanentError:
    """Say that somebody deleted the deployment under our feet."""
    return PermanentError(f"deployment {name} was deleted meanwhile", remedy="find out who did, then replay the event")


def _deployment(params: OnlineEndpoint, job: Job) -> OnlineDeployment | None:
    online = job.clients.machine_learning.online
    return online.deployment(job.result["workspace"], params.endpoint, job.result["deployment"])


def _progress(found: OnlineDeployment, params: OnlineEndpoint, job: Job) -> Progress:
    name = job.result["deployment"]
    if not serving.is_same(found.model_id, job.result["model_id"]):
        raise PermanentError(
            f"deployment {name} of {params.endpoint} holds another model: {tidy(found.model_id)}",
            remedy="delete that deployment, or use another endpoint",
        )
    token = serving.wake_token(job.result["workspace"], params.endpoint)
    remedy = SEE_LOG if found.tags.get(OWN_TAG) == job.key else serving.DELETE_IT
    pending = serving.ready(f"deployment {name}", found.state, job, token, remedy=remedy)
    return Pending(memory={"seen": True}, note=pending.note, wake_on=token) if pending else Done()


def get_endpoint(params: OnlineEndpoint, job: Job) -> Endpoint:
    """Read the endpoint; PermanentError where it is gone."""
    endpoint = job.clients.machine_learning.online.endpoint(job.result["workspace"], params.endpoint)
    if endpoint is None:
        raise PermanentError(f"endpoint {params.endpoint} was deleted meanwhile", remedy="replay the event")
    return endpoint
