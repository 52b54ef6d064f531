"""Asks a person in a declared channel, and hears what was decided: what steps that wait for a person have in common.

Nothing is held meanwhile but a record. Who answers, and why, is written into it; the answer counts once.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from shared.actions import Decision, Status
from shared.handlers import telling
from shared.policy import read_duration
from shared.stages import Done, End, Job, Progress, Waiting

LONGEST_TEXT = 2_000
"""Characters of what there is to decide about: how to decide comes after it, and chats cut long messages."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, of whom, and for how long."""

    named: str
    """Who may decide, as the rules file names them: a setting's name says more than the id in it."""
    within: str
    channel: str | None
    """None where nobody is told."""
    title: str
    text: str


def find(question: Question, job: Job) -> Progress | None:
    """Look whether the mail that asks is on its way already; nothing else can be looked up."""
    sent = telling.find(question.channel, job) if question.channel else None
    return _asked(question, job) if isinstance(sent, Done) else sent


def send(question: Question, job: Job) -> Progress:
    """Tell the channel what there is to decide, and how."""
    if question.channel is None:
        return _asked(question, job)
    until = (job.now + read_duration(question.within)).astimezone(UTC)
    text = question.text if len(question.text) <= LONGEST_TEXT else f"{question.text[: LONGEST_TEXT - 1]}…"
    how = (
        f"Until {until:%Y-%m-%d %H:%M}Z it can be decided by {question.named}:\n"
        f"reactor actions approve {job.action} --reason …\nreactor actions reject {job.action} --reason …"
    )
    whole = f"{text}\n\n{how}"
    sent = telling.send(question.channel, job, title=question.title, text=whole, link="", severity="warning")
    return _asked(question, job) if isinstance(sent, Done) else sent


def watch(question: Question, job: Job) -> Progress:
    """Look whether the mail that asks went out."""
    sent = telling.watch(question.channel, job) if question.channel else Done()
    return _asked(question, job) if isinstance(sent, Done) else sent


def _asked(question: Question, job: Job) -> Done:
    """Say that somebody is asked, and until when: the time runs from now."""
    expires = job.now + read_duration(question.within)
    return Done({"expires": expires.isoformat()}, note=f"asked {question.named}", announces="ApprovalRequested")


def heard(question: Question, job: Job) -> Decision | Waiting | End:
    """Look what was decided: the approval, or that it is still waited for, was rejected, or never came."""
    decision = job.decision
    if decision is None:
        until = datetime.fromisoformat(job.result["expires"])
        if job.now >= until:
            return End(Status.EXPIRED, f"nobody decided within {question.within}")
        return Waiting(until, note=f"waits for {question.named}")
    if decision.verdict == "rejected":
        return End(Status.REJECTED, f"rejected {said(decision)}")
    return decision


def said(decision: Decision) -> str:
    """Tell who decided, and why."""
    return f"by {decision.by}" + (f": {decision.reason}" if decision.reason else "")
