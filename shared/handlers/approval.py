"""Wait for a person: ask in a channel, and go on once somebody named says so.

Nothing is held meanwhile but a record. Who answers, and why, is written into it; the answer counts once.
"""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.actions import Decision
from shared.handlers import asking
from shared.handlers.asking import Question
from shared.policy import read_duration
from shared.rules import templates
from shared.rules.declared import Doubtful, Fixed, Names
from shared.rules.problems import shorten
from shared.stages import Done, Job, Progress, Stage


def _duration(given: Any) -> Any:
    if not templates.is_open(given):
        read_duration(given if isinstance(given, str) else "")
    return given


def _nobody(name: Any) -> str:
    is_fine = not isinstance(name, str) or templates.is_open(name) or NAMED.match(name.strip())
    return "" if is_fine else f"nobody can be named like {shorten(name)}: {WHO}"


NAMED = re.compile(r"[^\s@]+(@[^\s@]+)?\Z")
WHO = "an address, the object id of a person or a group, or an app role"


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
    return asking.find(_question(params, job), job)


def ask(params: Approval, job: Job) -> Progress:
    """Tell the channel what there is to decide, and how."""
    return asking.send(_question(params, job), job)


def watch(params: Approval, job: Job) -> Progress:
    """Look whether the mail that asks went out."""
    return asking.watch(_question(params, job), job)


def wait(params: Approval, job: Job) -> Progress:
    """Look what was decided."""
    heard = asking.heard(_question(params, job), job)
    if not isinstance(heard, Decision):
        return heard
    result = {"by": str(heard.by), "reason": heard.reason, "at": heard.at.isoformat()}
    return Done(result, note=f"approved {asking.said(heard)}", announces="ApprovalGranted")


def _question(params: Approval, job: Job) -> Question:
    named = ", ".join(job.written.get("by") or params.by)
    return Question(named, params.within, params.channel, params.title, params.text)


RESULTS = {Approval: ("by", "reason", "at")}
STAGES = {
    Approval: (
        Stage[Approval]("ask", find=find, start=ask, watch=watch, named_by="nobody", effect="tells"),
        Stage[Approval]("wait", start=wait, watch=wait, effect="reads"),
    )
}
