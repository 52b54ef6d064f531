"""Watches the deployment: how it answers the sample, and how it does with a step of the traffic, by Azure Monitor.

https://learn.microsoft.com/azure/machine-learning/how-to-monitor-online-endpoints
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.clients.machine_learning.monitor import Health
from shared.clients.machine_learning.online import OnlineEndpoint as Endpoint
from shared.clients.machine_learning.online import Scored
from shared.errors import DeniedError, PermanentError, TemporaryError
from shared.handlers.machine_learning import rollout
from shared.handlers.machine_learning.online.making import get_endpoint
from shared.handlers.machine_learning.online.params import Check, OnlineEndpoint, milliseconds
from shared.handlers.machine_learning.online.shifting import OLD_FOR, changed_by_others, is_ours, next_stage
from shared.policy import read_duration
from shared.redaction import tidy
from shared.stages import Done, Job, Pending, Progress

LOOKS = 5
"""How often a step is looked at while it is watched: one that is sick is not left for the whole time."""
SOONEST, LATEST = 30.0, 300.0
"""Seconds between two looks, at least and at most."""
METRICS_WITHIN = timedelta(minutes=5)
"""How long after the wait it is tried to read metrics: a role may not have arrived yet."""
MINUTE = timedelta(minutes=1)
SAMPLE_WITHIN = timedelta(minutes=10)
"""How long a deployment may be busy, or refuse a role that has not arrived yet, before the sample counts as failed."""
TRIES = 3


# -- sample -----------------------------------------------------------------------------------------------------------


def send_sample(params: OnlineEndpoint, job: Job) -> Progress:
    """Have the deployment answer the sample, before it gets any traffic."""
    if params.sample is None:
        return Done(note="not tried out: the rule gives no sample")
    again = {"retried": "tries" in job.memory}
    return sample(params, job, get_endpoint(params, job)) or Done(again, note="the sample was answered")


def sample(params: OnlineEndpoint, job: Job, endpoint: Endpoint) -> Pending | None:
    """Have the deployment answer the sample: None where it does, Pending where it is asked once more.

    PermanentError where it fails `TRIES` times: the first requests may find a model that is still being loaded.
    """
    name, tries = job.result["deployment"], job.memory.get("tries", 0) + 1
    try:
        problem = _problem(job.clients.machine_learning.online.score(endpoint, params.sample, name), params, name)
    except TemporaryError as trouble:
        since = datetime.fromisoformat(job.memory.get("busy") or job.now.isoformat())
        if job.now < since + SAMPLE_WITHIN:
            memory = {"busy": since.isoformat()}
            return Pending(trouble.after, memory=memory, note=f"the sample, once more: {trouble.reason}")
        problem, tries = trouble.reason, TRIES
    if not problem:
        return None
    if tries < TRIES:
        return Pending(memory={"tries": tries}, note=f"the sample, once more: {problem}")
    raise PermanentError(f"{name} failed the sample: {problem}", remedy="see what its log says, or correct the sample")


def _problem(scored: Scored, params: OnlineEndpoint, name: str) -> str:
    if scored.problem:
        return scored.problem
    if scored.deployment and scored.deployment.lower() != name.lower():
        return f"{scored.deployment} answered in its place"
    wanted = params.sample_expects.contains
    return "" if wanted in scored.body else f'the answer has no "{tidy(wanted)}"'


# -- a step of the traffic --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to know of how a deployment does."""

    health: Health | None = None
    """None where nothing was counted (yet)."""
    refused: str = ""
    """Why it cannot be read; "" where it can."""

    @property
    def requests(self) -> int:
        """How many were counted."""
        return self.health.requests if self.health else 0

    def __str__(self) -> str:
        if self.health is None:
            return self.refused or "no requests were seen"
        latency = self.health.latency_p95_ms
        took = f", 95 % of them took up to {latency:.0f} ms" if latency else ""
        return f"{self.health.failures} of {self.health.requests} requests failed{took}"


def watch_step(params: OnlineEndpoint, job: Job) -> Progress:
    """Look how the deployment does with its share, until the wait is over; then go on."""
    endpoint, name = get_endpoint(params, job), job.result["deployment"]
    if endpoint.traffic != job.result["traffic"]:
        return _odd(endpoint, job)
    seen = _look(params, job, endpoint)
    if seen.health is not None and seen.requests >= max(params.check.min_requests, 1):
        _judge(seen.health, params.check, name)
    wait = read_duration(params.wait)
    left = (job.began + wait - job.now).total_seconds()
    share = f"{name} has {endpoint.traffic[name]} %"
    if left > 0:
        after = min(left, LATEST, max(SOONEST, wait.total_seconds() / LOOKS))
        return Pending(after, memory={"odd": ""}, note=f"{share}: {seen}")
    return _decide(seen, params, job, endpoint)


def _decide(seen: Seen, params: OnlineEndpoint, job: Job, endpoint: Endpoint) -> Progress:
    """Say, now that the wait is over, whether enough was seen to go on."""
    needed = params.check.min_requests
    if needed and seen.refused:
        raise PermanentError(
            f"{seen}, and the rule wants {needed} requests to be seen",
            remedy="give the app Monitoring Reader on the workspace, or take min_requests out",
        )
    if seen.requests < needed:
        return Pending(note=f"waits for {needed} requests: {seen}")
    how = "the rule has it checked by the sample only" if params.check.source == "none" else str(seen)
    if not seen.requests and params.sample is None:
        how += "; nothing else checks it: the rule gives no sample"
    elif not seen.requests:
        if pending := sample(params, job, endpoint):
            return pending
        how += "; the sample was answered"
    return Done({"seen": how}, note=how, next=next_stage(params, job.result, job.result["deployment"]))


def _odd(endpoint: Endpoint, job: Job) -> Progress:
    """Wait for the step to be shown again; PermanentError where it is not, or where somebody changed it."""
    since = datetime.fromisoformat(job.memory.get("odd") or job.now.isoformat())
    if not is_ours(endpoint.traffic, job.result) or job.now > since + OLD_FOR:
        raise changed_by_others(endpoint)
    return Pending(memory={"odd": since.isoformat()}, note=f"the traffic is shown as {rollout.show(endpoint.traffic)}")


def _look(params: OnlineEndpoint, job: Job, endpoint: Endpoint) -> Seen:
    """Read how the deployment does since the step."""
    wait = read_duration(params.wait)
    # Whole minutes are counted: the one in which the sample was asked for may not be this step's.
    since = job.began + MINUTE if wait >= 2 * MINUTE or job.result.get("retried") else job.began
    if params.check.source == "none" or since >= job.now:
        return Seen()
    try:
        monitor = job.clients.machine_learning.monitor
        return Seen(monitor.health(endpoint.id, job.result["deployment"], since, job.now))
    except PermanentError as refused:
        return Seen(refused=f"metrics cannot be read: {refused.reason}")
    except TemporaryError as trouble:
        looks_again = isinstance(trouble, DeniedError) and job.now < job.began + wait
        if not looks_again and job.now < job.began + wait + METRICS_WITHIN:
            raise
        return Seen(refused=f"metrics cannot be read: {trouble.reason}")


def _judge(health: Health, check: Check, name: str) -> None:
    """Stop where more requests fail, or take longer, than the rule says."""
    if health.failed > check.max_failures:
        raise PermanentError(
            f"{health.failures} of {health.requests} requests to {name} failed, {health.failed:.1%}; "
            f"{check.max_failures:.1%} may",
            remedy="see the log of the deployment",
        )
    limit = milliseconds(check.max_latency) if check.max_latency else None
    if limit is not None and (health.latency_p95_ms or 0) > limit:
        raise PermanentError(
            f"95 % of the requests to {name} took up to {health.latency_p95_ms:.0f} ms; they may take {limit:g}",
            remedy="take larger or more machines, or allow more",
        )
