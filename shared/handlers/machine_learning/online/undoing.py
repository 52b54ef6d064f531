"""Puts back what a deployment that is not to go live has changed: the traffic first, then the deployment itself.

The endpoint stays, and so does what somebody else did to it meanwhile.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.clients.machine_learning.online import OnlineDeployment
from shared.clients.machine_learning.online import OnlineEndpoint as Endpoint
from shared.errors import PermanentError, ReactorError
from shared.handlers.machine_learning import rollout, serving
from shared.handlers.machine_learning.online.making import OWN_TAG, endpoint_id
from shared.handlers.machine_learning.online.params import OnlineEndpoint
from shared.handlers.machine_learning.online.shifting import OLD_FOR, is_ours
from shared.stages import Done, Job, Pending, Progress


def undo(params: OnlineEndpoint, job: Job) -> Progress:
    """Put the traffic back, keep the end of the log, delete what was made, and let go of the endpoint.

    The endpoint is the one that this action began with, whatever the rule's settings say by now.
    """
    params = params.model_copy(update={"endpoint": job.result.get("endpoint", params.endpoint)})
    endpoint = job.clients.machine_learning.online.endpoint(job.result["workspace"], params.endpoint)
    if endpoint is None:
        job.let_go(endpoint_id(params, job))
        return Done(note=f"endpoint {params.endpoint} is gone")
    if "traffic" not in job.memory:
        return _put_back(params, job, endpoint)
    if "log" not in job.memory:
        return Pending(0, memory={"log": job.shown(_log(params, job))}, note=job.memory["traffic"])
    left = _delete(params, job, endpoint)
    if isinstance(left, Pending):
        return left
    job.let_go(endpoint_id(params, job))
    log = f"its log ends: {job.memory['log']}" if job.memory["log"] else ""
    return Done(note="; ".join(part for part in (job.memory["traffic"], left, log) if part))


# -- traffic ----------------------------------------------------------------------------------------------------------


def _put_back(params: OnlineEndpoint, job: Job, endpoint: Endpoint) -> Pending:
    """Give the traffic back to who had it, and remember in words what came of it.

    What an endpoint shows may be old, so that it is put back even where it seems to be back already.
    """
    if not _has_shifted(job.result):
        return _settled("")
    previous, is_shown = job.result["previous"], endpoint.traffic == job.result["previous"]
    if not is_ours(endpoint.traffic, job.result):
        return _settled(f"the traffic is left as somebody else set it: {rollout.show(endpoint.traffic)}")
    put = job.memory.get("put")
    if put is None or (not is_shown and job.now > datetime.fromisoformat(put) + OLD_FOR):
        operation = job.clients.machine_learning.online.set_traffic(
            job.result["workspace"],
            params.endpoint,
            previous,
            instead_of=endpoint.traffic,
            tags=job.result.get("told", {}),
            mirror=job.result.get("mirror", {}),
        )
        return Pending(
            memory={"operation": operation, "put": job.now.isoformat()}, note="the traffic is being put back"
        )
    if pending := serving.ready("endpoint", endpoint.state, job):
        return pending
    if is_shown:
        return _settled(f"the traffic is as before: {rollout.show(previous)}")
    return Pending(note=f"the traffic is shown as {rollout.show(endpoint.traffic)} still")


def _has_shifted(result: Mapping[str, Any]) -> bool:
    """Tell whether traffic may have been moved: not before there was a plan, nor before the first step was approved."""
    waited = "expires" in result and "approved_by" not in result
    return "previous" in result and "steps" in result and not (waited and result["at"] == 0)


def _settled(words: str) -> Pending:
    return Pending(0, memory={"traffic": words}, note=words)


# -- deployment -------------------------------------------------------------------------------------------------------


def _log(params: OnlineEndpoint, job: Job) -> str:
    """Read the end of the deployment's log, which is gone with it; "" where it cannot be read, or was no reason."""
    if "expires" in job.result and "approved_by" not in job.result:
        return ""
    try:
        online = job.clients.machine_learning.online
        return online.logs(job.result["workspace"], params.endpoint, job.result["deployment"])
    except ReactorError:
        return ""


def _delete(params: OnlineEndpoint, job: Job, endpoint: Endpoint) -> Pending | str:
    """Delete the deployment where this action made it; else say why it is left."""
    client, workspace, name = job.clients.machine_learning.online, job.result["workspace"], job.result["deployment"]
    found = client.deployment(workspace, params.endpoint, name)
    if found is None:
        return f"deployment {name} is deleted" if job.memory.get("deleting") else f"deployment {name} is not there"
    if why := _why_left(found, params, job, endpoint):
        return why
    deleting = Pending(memory={"deleting": True}, note=f"deployment {name} is being deleted")
    if found.state == "Deleting":
        return deleting
    if name in endpoint.traffic:
        return Pending(note=f"the traffic is shown as {rollout.show(endpoint.traffic)} still")
    try:
        client.delete_deployment(workspace, params.endpoint, name)
    except PermanentError as refused:
        return f"deployment {name} could not be deleted: {refused.reason}"
    return deleting


def _why_left(found: OnlineDeployment, params: OnlineEndpoint, job: Job, endpoint: Endpoint) -> str:
    """Say why a deployment is not deleted; "" where it is to be."""
    if found.tags.get(OWN_TAG) != job.key:
        return f"deployment {found.name} is left: it was there before"
    if params.keep_failed:
        return f"deployment {found.name} is kept to be looked at, and costs as long as it is"
    share = {**endpoint.mirror, **endpoint.traffic}.get(found.name.lower())
    is_old = (
        _has_shifted(job.result) and found.name not in job.result["previous"] and is_ours(endpoint.traffic, job.result)
    )
    return f"deployment {found.name} is left: it has {share} % of the traffic" if share and not is_old else ""
