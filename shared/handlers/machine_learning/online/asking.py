"""Asks a person before a step of the traffic, as a step `approval` does."""

from collections.abc import Iterator

from shared.actions import Decision
from shared.clients.machine_learning.resources import studio_link
from shared.errors import PermanentError
from shared.handlers import asking
from shared.handlers.asking import Question
from shared.handlers.machine_learning import rollout, serving
from shared.handlers.machine_learning.online.params import OnlineEndpoint
from shared.stages import Done, End, Job, Progress


def find(params: OnlineEndpoint, job: Job) -> Progress | None:
    """Look whether the mail that asks is on its way already."""
    return asking.find(_question(params, job), job)


def ask(params: OnlineEndpoint, job: Job) -> Progress:
    """Tell the channel what is about to happen, what was seen so far, and how to decide."""
    return asking.send(_question(params, job), job)


def watch(params: OnlineEndpoint, job: Job) -> Progress:
    """Look whether the mail that asks went out."""
    return asking.watch(_question(params, job), job)


def wait(params: OnlineEndpoint, job: Job) -> Progress:
    """Look what was decided; what was approved is read once more, as that may have taken days."""
    heard = asking.heard(_question(params, job), job)
    if not isinstance(heard, Decision):
        return heard
    read, about = serving.look_again(params, job)
    if isinstance(about, End):
        return about
    found = {**read, "approved_by": str(heard.by), "approved_at": heard.at.isoformat()}
    return Done(found, note=f"approved {asking.said(heard)}", announces="ApprovalGranted", next="shift")


def _question(params: OnlineEndpoint, job: Job) -> Question:
    if params.approval is None:
        raise PermanentError("the rule asks nobody any more", remedy="replay the event")
    result, wanted = job.result, job.result["steps"][job.result["at"]]
    lines = (
        f"{result['deployment']} holds {_model(result['model_id'])}.",
        *_measured(job),
        f"The traffic of {params.endpoint} is {rollout.show(result['traffic'])}.",
        f"It would become {rollout.show(wanted)}.",
        f"Seen so far: {result.get('seen', 'nothing')}.",
        studio_link(result["workspace"], f"endpoints/realtime/{params.endpoint}/detail"),
    )
    return Question(
        named=", ".join((job.written.get("approval") or {}).get("by") or params.approval.by),
        within=params.approval.within,
        channel=params.approval.channel,
        title=params.approval.title or f"Approve {rollout.show(wanted)} at {params.endpoint}?",
        text=params.approval.text or "\n".join(lines),
    )


def _model(model_id: str) -> str:
    """Shorten a model's id for people: its name and version."""
    return model_id.rpartition("/models/")[2].replace("/versions/", ":") or model_id


def _measured(job: Job) -> Iterator[str]:
    """Say what the gates before this step measured."""
    for id_, result in job.steps.items():
        if isinstance(result.get("metric"), int | float):
            live = result.get("live")
            yield f"{id_}: {result['metric']:g}" + (f", and {live:g} for what is live." if live is not None else ".")
