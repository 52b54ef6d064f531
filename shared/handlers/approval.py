"""Wait for a person: ask in a channel, and go on once somebody named says so.

Nothing is held meanwhile but a record. Who answers, and why, is written into it; the answer counts once.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.actions import Status
from shared.handlers import telling
from shared.permissions import CHANNELS
from shared.policy import read_duration
from shared.rules import templates
from shared.rules.declared import Doubtful, Fixed, Names
from shared.rules.problems import shorten
from shared.stages import Done, End, Job, Progress, Stage, Waiting


def _duration(given: Any) -> Any:
    if not templates.is_open(given):
        read_duration(given if isinstance(given, str) else "")
    return given


def _nobody(name: Any) -> str:
    is_fine = not isinstance(name, str) or templates.is_open(name) or NAMED.match(name.strip())
    return "" if is_fine else f"nobody can be named like {shorten(name)}: {WHO}"


NAMED = re.compile(r"[^\s@]+(@[^\s@]+)?\Z")
WHO = "an address, the object id of a person or a group, or an app role"


LONGEST_TEXT = 2_000
"""Characters of what there is to decide about: how to decide comes after it, and chats cut long messages."""


class Approval(BaseModel):
    """Waits until a person approves or rejects."""

    model_config = ConfigDict(extra="forbid")

    by: Annotated[list[str], Fixed(), Doubtful(_nobody)] = Field(
        description="Who may decide: addresses, or the object ids of people and groups.", min_length=1
    )
    within: Annotated[str, BeforeValidator(_duration)] = Field(
        default="24h",
        description="How long it can be decided, such as 90m, 24h or 7d; then the action ends as expired.",
    )
    channel: Annotated[str, Names("channels")] | None = Field(
        default=None, description="The declared channel that is asked in; left out, nobody is told."
    )
    title: str = Field(default="Approve? {{ action.rule }}", description="One line.", min_length=1)
    text: str = Field(default="{{ kinds | join(', ') }}: {{ subject }}", description="What there is to decide about.")


def find(params: Approval, job: Job) -> Progress | None:
    """Look whether the mail that asks is on its way already; nothing else can be looked up."""
    sent = telling.find(params.channel, job) if params.channel else None
    return _asked(params, job) if isinstance(sent, Done) else sent


def ask(params: Approval, job: Job) -> Progress:
    """Tell the channel what there is to decide, and how."""
    if params.channel is None:
        return _asked(params, job)
    until = (job.now + read_duration(params.within)).astimezone(UTC)
    text = params.text if len(params.text) <= LONGEST_TEXT else f"{params.text[: LONGEST_TEXT - 1]}…"
    how = (
        f"Until {until:%Y-%m-%d %H:%M}Z it can be decided by {_named(params, job)}:\n"
        f"reactor actions approve {job.action} --reason …\nreactor actions reject {job.action} --reason …"
    )
    sent = telling.send(params.channel, job, title=params.title, text=f"{text}\n\n{how}", link="", severity="warning")
    return _asked(params, job) if isinstance(sent, Done) else sent


def watch(params: Approval, job: Job) -> Progress:
    """Look whether the mail that asks went out."""
    sent = telling.watch(params.channel, job) if params.channel else Done()
    return _asked(params, job) if isinstance(sent, Done) else sent


def _asked(params: Approval, job: Job) -> Done:
    """Say that somebody is asked, and until when: the time runs from now."""
    expires = job.now + read_duration(params.within)
    return Done({"expires": expires.isoformat()}, note=f"asked {_named(params, job)}", announces="ApprovalRequested")


def _named(params: Approval, job: Job) -> str:
    """Name who may decide as the rules file does: a setting's name says more than the id in it."""
    return ", ".join(job.written.get("by") or params.by)


def wait(params: Approval, job: Job) -> Progress:
    """Look what was decided."""
    decision = job.decision
    if decision is None:
        until = datetime.fromisoformat(job.result["expires"])
        if job.now >= until:
            return End(Status.EXPIRED, f"nobody decided within {params.within}")
        return Waiting(until, note=f"waits for {_named(params, job)}")
    said = f"by {decision.by}" + (f": {decision.reason}" if decision.reason else "")
    if decision.verdict == "rejected":
        return End(Status.REJECTED, f"rejected {said}")
    result = {"by": str(decision.by), "reason": decision.reason, "at": decision.at.isoformat()}
    return Done(result, note=f"approved {said}", announces="ApprovalGranted")


PERMISSIONS = {Approval: (*CHANNELS.values(),)}
RESULTS = {Approval: ("by", "reason", "at")}
STAGES = {
    Approval: (
        Stage[Approval]("ask", find=find, start=ask, watch=watch, named_by="nobody", effect="tells"),
        Stage[Approval]("wait", start=wait, watch=wait, effect="reads"),
    )
}
