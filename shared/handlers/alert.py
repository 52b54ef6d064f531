"""Tell people: one message to one declared channel; a digest's message lists all its events.

Its templates may ask for more than the event tells, such as `error`: that is read when the step begins, and the message
goes out without it where it cannot be read.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.handlers import reasons, telling
from shared.permissions import CHANNELS
from shared.rules import templates
from shared.rules.addresses import is_url
from shared.rules.declared import Doubtful, Names
from shared.rules.problems import shorten
from shared.stages import Job, Progress, Stage


def _no_link(value: Any) -> str:
    is_fine = isinstance(value, str) and (not value or templates.is_open(value) or is_url(value))
    return "" if is_fine else f"{shorten(value)} is no URL: a link begins with https:// and a host"


class Alert(BaseModel):
    """Sends a message to a declared channel."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    channel: Annotated[str, Names("channels")] = Field(description="A declared channel; a route picks another one.")
    title: str = Field(default="{{ kinds | join(', ') }}: {{ subject }}", description="One line.", min_length=1)
    text: str = Field(default="{{ subject }} of {{ source }}", description="Plain text, as long as need be.")
    link: Annotated[str, Doubtful(_no_link)] = Field(default="", description="A URL where to look further.")
    severity: Literal["info", "warning", "error"] = Field(default="info", description="How bad it is.")


def find(params: Alert, job: Job) -> Progress | None:
    """Look whether a mail of this step is on its way already."""
    return telling.find(params.channel, job)


def send(params: Alert, job: Job) -> Progress:
    """Send the message."""
    unread = f"({job.memory['unread']})" if job.memory.get("unread") else ""
    text = "\n\n".join(part for part in (params.text, unread, listed(job) if job.digest else "") if part)
    return telling.send(params.channel, job, title=params.title, text=text, link=params.link, severity=params.severity)


def watch(params: Alert, job: Job) -> Progress:
    """Look whether the mail went out."""
    return telling.watch(params.channel, job)


def listed(job: Job) -> str:
    """List the events that are answered together, a line each."""
    count = len(job.digest) + job.more
    lines = [f"{count} event{'' if count == 1 else 's'}:"]
    for told in job.digest:
        time = f"{told.time:%Y-%m-%d %H:%M:%SZ} " if told.time else ""
        lines.append(f"- {time}{told.kind} {told.subject}".rstrip())
    if job.more:
        lines.append(f"- and {job.more} more")
    return "\n".join(lines)


NAMES = {Alert: reasons.NAMES}
LOOK = {Alert: reasons.look}
PERMISSIONS = {Alert: (*reasons.READS, *CHANNELS.values())}
RESULTS = {Alert: ("channel",)}
STAGES = {
    Alert: (Stage[Alert]("send", find=find, start=send, watch=watch, named_by="nobody", effect="tells"),),
}
