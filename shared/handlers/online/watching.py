"""Watches a step of the traffic: how the deployment does, as Azure Monitor counts it, or by the sample.

https://learn.microsoft.com/azure/machine-learning/how-to-monitor-online-endpoints
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.clients.machine_learning.monitor import Health
from shared.clients.machine_learning.online import OnlineEndpoint as Endpoint
from shared.errors import DeniedError, PermanentError, TemporaryError
from shared.handlers import rollout
from shared.handlers.online.making import get_endpoint, sample
from shared.handlers.online.params import Check, OnlineEndpoint, milliseconds
from shared.handlers.online.shifting import OLD_FOR, changed_by_others, is_ours, next_stage
from shared.policy import read_duration
from shared.stages import Done, Job, Pending, Progress

LOOKS = 5
"""How often a step is looked at while it is watched: one that is sick is not left for the whole time."""
SOONEST, LATEST = 30.0, 300.0
"""Seconds between two looks, at least and at most."""
METRICS_WITHIN = timedelta(minutes=5)
"""How long after the wait it is tried to read metrics: a role may not have arrived yet."""
MINUTE = timedelta(minutes=1)


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
