"""Delete deployments of an online endpoint that nobody needs any more: what had the traffic before a newer model.

What has traffic again, live or mirrored, stays. No endpoint is ever deleted.
https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.actions import Status
from shared.clients.machine_learning.online import OnlineEndpoint as Endpoint
from shared.handlers import declared
from shared.handlers.machine_learning import rollout, serving
from shared.permissions import Permission
from shared.rules.declared import Names
from shared.stages import Done, End, Job, Pending, Progress, Stage

WAITS_FOR_LOCK = timedelta(days=7)
BUSY = "has traffic again"
LATER = "had traffic again: a later rollout took it, and sees to it"
GONE = "is gone"


class OnlineDeployment(BaseModel):
    """Deletes deployments of an online endpoint that have no traffic."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    workspace: Annotated[str, Names("workspaces")] = Field(
        default="{{ source }}", description="A declared workspace; by default where the event comes from."
    )
    endpoint: str = Field(description="The endpoint.", min_length=1)
    deployments: list[str] = Field(description="The deployments to delete; those with traffic stay.", min_length=1)
    emptied_by: str = Field(
        default="",
        description="The rollout that took their traffic, where one did; what a later one took it from stays, too.",
    )


def take_lock(params: OnlineDeployment, job: Job) -> Progress:
    """Take the endpoint: only one action at a time writes to it."""
    workspace = declared.workspace(job, params.workspace)
    if holder := job.hold(_lock(workspace, params)):
        return Pending(note=f"waits for action {holder}, which writes to {params.endpoint}")
    return Done({"workspace": workspace})


def choose(params: OnlineDeployment, job: Job) -> Progress:
    """Look which of them are there and have no traffic; the action ends as skipped where none is."""
    workspace = job.result["workspace"]
    client = job.clients.machine_learning.online
    endpoint = client.endpoint(workspace, params.endpoint)
    if endpoint is None:
        return _end(f"endpoint {params.endpoint} is gone", params, job)
    if pending := serving.ready("endpoint", endpoint.state, job, remedy=("see the studio", "")):
        return pending
    if not endpoint.traffic:
        return _end(f"nothing has the traffic of {params.endpoint}, so that nothing is deleted", params, job)
    kept = _kept(endpoint, params)
    idle = [name for name in dict.fromkeys(params.deployments) if name not in kept]
    if not idle:
        return _end(_words(kept, params), params, job)
    there = {one.name.lower() for one in client.deployments(workspace, params.endpoint)}
    gone = [name for name in idle if name.lower() not in there]
    found = {"retired": [name for name in idle if name not in gone], "kept": list(kept)}
    return Done(found, note=_words({**kept, **dict.fromkeys(gone, GONE)}, params))


def find(params: OnlineDeployment, job: Job) -> Progress | None:
    """Look whether all of them are gone; None while one is there that nobody deletes yet."""
    left = [one for one in _left(params, job) if one[1] != "Deleting"]
    return None if left else watch(params, job)


def delete(params: OnlineDeployment, job: Job) -> Progress:
    """Begin to delete those that have no traffic; the service refuses to delete what has some."""
    client, workspace = job.clients.machine_learning.online, job.result["workspace"]
    endpoint = client.endpoint(workspace, params.endpoint)
    kept = _kept(endpoint, params) if endpoint else {}
    for name, state in _left(params, job):
        if name not in kept and state != "Deleting":
            client.delete_deployment(workspace, params.endpoint, name)
            return Pending(1, note=f"deployment {name} is being deleted")  # one at a time: the service takes no two
    return _stopped(kept, params, job)


def watch(params: OnlineDeployment, job: Job) -> Progress:
    """Look whether they are gone, and go on with the next."""
    left = _left(params, job)
    if deleting := [name for name, state in left if state == "Deleting"]:
        return Pending(note=f"{', '.join(deleting)} is being deleted")
    if left:
        return delete(params, job)
    job.let_go(_lock(job.result["workspace"], params))
    return Done(note=f"{', '.join(job.result['retired']) or 'nothing'} is deleted")


def _stopped(kept: Mapping[str, str], params: OnlineDeployment, job: Job) -> Progress:
    """Stop where what is left is to stay by now."""
    done = [name for name in job.result["retired"] if name not in kept]
    if not done:
        return _end(_words(kept, params), params, job)
    job.let_go(_lock(job.result["workspace"], params))
    return Done({"retired": done, "kept": list(kept)}, note=_words(kept, params))


def _left(params: OnlineDeployment, job: Job) -> list[tuple[str, str]]:
    """List those to delete that are still there, each with its state."""
    client, workspace = job.clients.machine_learning.online, job.result["workspace"]
    there = {one.name.lower(): one.state for one in client.deployments(workspace, params.endpoint)}
    return [(name, there[name.lower()]) for name in job.result["retired"] if name.lower() in there]


def _kept(endpoint: Endpoint, params: OnlineDeployment) -> dict[str, str]:
    """Say of each deployment that stays why: it has traffic, live or mirrored, or had some until a later rollout."""
    has = {name.lower() for name in (*endpoint.traffic, *endpoint.mirror)}
    emptied = rollout.read_emptied(endpoint.tags.get(rollout.EMPTIED_TAG)) if params.emptied_by else {}
    why = {name: BUSY for name in params.deployments if name.lower() in has}
    ours = params.emptied_by
    later = {name: LATER for name in params.deployments if emptied.get(name.lower(), ours) != ours}
    return later | why


def _words(kept: Mapping[str, str], params: OnlineDeployment) -> str:
    """Say what stays, and why."""
    reasons = dict.fromkeys(kept.values())
    return "; ".join(
        f"{', '.join(name for name in kept if kept[name] == why)} of {params.endpoint} {why}" for why in reasons
    )


def _end(reason: str, params: OnlineDeployment, job: Job) -> End:
    job.let_go(_lock(job.result["workspace"], params))
    return End(Status.SKIPPED, reason)


def _lock(workspace: str, params: OnlineDeployment) -> str:
    return f"{workspace}/onlineEndpoints/{params.endpoint}"


_WS = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
RESULTS = {OnlineDeployment: ("retired", "kept", "workspace")}
STAGES = {
    OnlineDeployment: (
        Stage[OnlineDeployment](
            "lock", start=take_lock, watch=take_lock, effect="reads", within=lambda _: WAITS_FOR_LOCK
        ),
        Stage[OnlineDeployment]("choose", start=choose, watch=choose, effect="reads"),
        Stage[OnlineDeployment]("delete", find=find, start=delete, watch=watch),
    )
}
PERMISSIONS: Mapping[type, tuple[Permission, ...]] = {
    OnlineDeployment: (
        Permission(
            scope="workspace",
            actions=(f"{_WS}/read", f"{_WS}/deployments/read", f"{_WS}/deployments/delete"),
            why="to delete deployments that have no traffic",
        ),
    )
}
