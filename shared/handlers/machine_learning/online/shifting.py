"""Moves the traffic, one step at a time, and says at the end what became of it.

https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.actions import Step
from shared.clients.machine_learning.online import OnlineEndpoint as Endpoint
from shared.clients.machine_learning.resources import studio_link
from shared.errors import PermanentError, TemporaryError
from shared.handlers.machine_learning import rollout, serving
from shared.handlers.machine_learning.online.making import deleted_meanwhile, endpoint_id, get_endpoint
from shared.handlers.machine_learning.online.params import FOREVER, NONE_AT_ALL, OnlineEndpoint
from shared.policy import read_duration
from shared.stages import Done, Job, Later, Pending, Progress

OLD_FOR = timedelta(minutes=10)
"""How long an endpoint may show traffic from before ours: what it answers is not always the newest."""
RETIRE = "retire.online_deployment"
NOTHING = {"seen": "nothing, as it was live already", "approved_by": "", "approved_at": ""}
"""What the results say where nothing had to be done, or nobody to be asked: templates of later steps read them."""


def make_plan(params: OnlineEndpoint, job: Job) -> Progress:
    """Write down who has the traffic now, and the steps to go."""
    endpoint = get_endpoint(params, job)
    if pending := serving.ready("endpoint", endpoint.state, job):
        return pending
    before, name = rollout.plain(endpoint.traffic), job.result["deployment"]
    steps = rollout.plan(before, name, params.traffic)
    told = {tag: endpoint.tags.get(tag) or "" for tag in (rollout.PREVIOUS_TAG, rollout.EMPTIED_TAG)}
    result = {"previous": before, "steps": steps, "at": 0, "traffic": before, "told": told}
    result["mirror"] = dict(endpoint.mirror)
    alone = not before and params.traffic[0] < rollout.WHOLE
    note = "nothing else has traffic, so it gets all of it at once" if alone else ""
    return Done(result, note, next=next_stage(params, result, name))


def next_stage(params: OnlineEndpoint, result: Mapping[str, Any], name: str) -> str:
    """Name the stage that comes after a step of the traffic."""
    steps, at = result["steps"], result["at"]
    if at == len(steps):
        return "finish"
    asks = params.asks_before and steps[at][name] >= params.asks_before and not result.get("approved_by")
    return "ask" if asks else "shift"


# -- shift ------------------------------------------------------------------------------------------------------------


def find_shift(params: OnlineEndpoint, job: Job) -> Progress | None:
    """Look whether the step was made already; None where the traffic is still that of the step before."""
    endpoint = get_endpoint(params, job)
    if done := _done(endpoint, job):
        return done
    if endpoint.traffic == _before(job):
        return None
    if is_ours(endpoint.traffic, job.result) and job.now < job.began + OLD_FOR:
        raise TemporaryError("the endpoint shows traffic from before the last step")
    raise changed_by_others(endpoint)


def start_shift(params: OnlineEndpoint, job: Job) -> Progress:
    """Make the step: the others keep their proportions."""
    online, workspace, name = job.clients.machine_learning.online, job.result["workspace"], job.result["deployment"]
    try:
        operation = online.set_traffic(
            workspace, params.endpoint, _wanted(job), instead_of=_before(job), tags=_tags(job)
        )
    except PermanentError:
        if online.deployment(workspace, params.endpoint, name) is None:
            raise deleted_meanwhile(name) from None
        raise
    return Pending(
        memory={"operation": operation, "put": job.now.isoformat()},
        note=f"the traffic becomes {rollout.show(_wanted(job))}",
    )


def _tags(job: Job) -> dict[str, str]:
    """Write down the way back, and who has lost the last of their traffic to us: nobody else is to delete them."""
    previous, wanted = job.result["previous"], _wanted(job)
    tags = {rollout.PREVIOUS_TAG: rollout.tag(previous)}
    if _is_whole(wanted, job):
        emptied, before = rollout.emptied(previous, wanted), job.result.get("told", {}).get(rollout.EMPTIED_TAG)
        tags[rollout.EMPTIED_TAG] = rollout.emptied_tag(emptied, job.key[: rollout.BY], before)
    return tags


def _is_whole(traffic: rollout.Traffic, job: Job) -> bool:
    return dict(traffic) == {job.result["deployment"]: rollout.WHOLE}


def watch_shift(params: OnlineEndpoint, job: Job) -> Progress:
    """Look until the endpoint shows the step: it may show older traffic for a while after it says Succeeded."""
    endpoint = get_endpoint(params, job)
    if done := _done(endpoint, job):
        return done
    put = datetime.fromisoformat(job.memory["put"]) if "put" in job.memory else job.began
    if pending := serving.ready("endpoint", endpoint.state, job):
        return pending
    if is_ours(endpoint.traffic, job.result) and job.now < put + OLD_FOR:
        return Pending(note=f"the traffic is shown as {rollout.show(endpoint.traffic)} still")
    raise changed_by_others(endpoint)


def _done(endpoint: Endpoint, job: Job) -> Progress | None:
    wanted = _wanted(job)
    if endpoint.traffic != wanted:
        return None
    found = Done({"at": job.result["at"] + 1, "traffic": wanted}, note=f"the traffic is {rollout.show(wanted)}")
    return serving.ready("endpoint", endpoint.state, job) or found


def _wanted(job: Job) -> dict[str, int]:
    wanted: dict[str, int] = job.result["steps"][job.result["at"]]
    return wanted


def _before(job: Job) -> dict[str, int]:
    at = job.result["at"]
    before: dict[str, int] = job.result["steps"][at - 1] if at else job.result["previous"]
    return before


def is_ours(traffic: rollout.Traffic, result: Mapping[str, Any]) -> bool:
    """Tell whether traffic is as this action found it, or as one of its steps has it."""
    return dict(traffic) in [result["previous"], *result["steps"]]


def changed_by_others(endpoint: Endpoint) -> PermanentError:
    """Say that the traffic is nothing that this action set."""
    return PermanentError(
        f"the traffic of {endpoint.name} was changed by somebody else: it is {rollout.show(endpoint.traffic)}",
        remedy="replay the event, if the model is still to go live",
    )


# -- finish -----------------------------------------------------------------------------------------------------------


def finish(params: OnlineEndpoint, job: Job) -> Progress:
    """Let go of the endpoint, say what became of it, and see to what had the traffic before."""
    result = job.result
    workspace, name = result["workspace"], result["deployment"]
    job.let_go(endpoint_id(params, job))
    told = {
        **{name: text for name, text in NOTHING.items() if name not in result},
        "live": name,
        "links": {"studio": studio_link(workspace, f"endpoints/realtime/{params.endpoint}/detail")},
    }
    old = rollout.emptied(result["previous"], result["traffic"]) if _is_whole(result["traffic"], job) else []
    if not old or params.keep_old == FOREVER:
        return Done(told, note=f"the traffic is {rollout.show(result['traffic'])}")
    kept = timedelta() if params.keep_old in NONE_AT_ALL else read_duration(params.keep_old)
    values = {"workspace": workspace, "endpoint": params.endpoint, "deployments": old}
    values["emptied_by"] = job.key[: rollout.BY]
    later = Later(Step(id="retire", action=RETIRE, params=values), at=job.now + kept)
    until = f"{later.at:%Y-%m-%d %H:%M}Z"
    return Done(told, note=f"{name} has all traffic; {', '.join(old)} stays until {until}", later=later)
