"""Sends a message to a declared channel: what steps that tell or ask people have in common.

Chat, webhooks and SMTP are at least once. Mail by Azure Communication Services is looked up under an id of ours before
it is sent again, and watched until the service says that it went out.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from shared.errors import PermanentError
from shared.events import Event
from shared.handlers import declared
from shared.rules.declared import Email, EventGridTopic, Queue, Slack, Smtp, Teams, Webhook
from shared.stages import Done, Job, Pending, Progress

if TYPE_CHECKING:
    from shared.clients.channels import Message
    from shared.clients.event_grid import CloudEvent

LOOK_AFTER = 2.0
"""Seconds; a mail is handed on within moments."""


def find(name: str, job: Job) -> Progress | None:
    """Look whether a mail of this step is on its way already; nothing else can be looked up."""
    channel = declared.channel(job, name)
    if not isinstance(channel, Email):
        return None
    status = job.clients.channels.email_status(channel.endpoint, job.key)
    return _mail_progress(status) if status else None


def send(name: str, job: Job, *, title: str, text: str, link: str, severity: str) -> Progress:
    """Send the message."""
    from shared.clients.channels import Message

    channel = declared.channel(job, name)
    event = job.event()
    message = Message(
        key=job.key,
        title=title,
        text=text,
        link=link,
        severity=severity,
        kind=kind_of(event),
        source=event.source,
    )
    but = SENDERS[type(channel)](channel, message, job)
    return _mail_progress("Running") if isinstance(channel, Email) else _sent(channel.kind, but or "")


def watch(name: str, job: Job) -> Progress:
    """Look whether the mail went out."""
    channel = declared.channel(job, name)
    if not isinstance(channel, Email):
        return _sent(channel.kind)
    return _mail_progress(job.clients.channels.email_status(channel.endpoint, job.key))


def kind_of(event: Event) -> str:
    """Pick the kind that people mean: a derived one before the service's own name."""
    own = event.type.rpartition(".")[2]
    return min(event.kinds, key=lambda kind: (kind == own, kind), default=own)


def _mail_progress(status: str) -> Progress:
    return _sent("email") if status == "Succeeded" else Pending(LOOK_AFTER, note=f"mail is {status or 'not known yet'}")


def _sent(kind: str, but: str = "") -> Done:
    return Done({"channel": kind}, note=f"sent by {kind}" + (f", but {but}" if but else ""))


# -- by kind of channel -----------------------------------------------------------------------------------------------


def _email(channel: Email, message: "Message", job: Job) -> None:
    job.clients.channels.email(channel.endpoint, channel.sender, channel.to, message)


def _smtp(channel: Smtp, message: "Message", job: Job) -> str:
    refused = job.clients.channels.smtp(
        channel.host,
        _port(channel.port),
        channel.sender,
        channel.to,
        message,
        security=channel.security,
        user=channel.user or "",
        password=channel.password or "",
    )
    return f"the server refused {refused} of {len(channel.to)} recipients" if refused else ""


def _teams(channel: Teams, message: "Message", job: Job) -> None:
    job.clients.channels.teams(channel.url, message)


def _slack(channel: Slack, message: "Message", job: Job) -> None:
    job.clients.channels.slack(channel.url, message)


def _webhook(channel: Webhook, message: "Message", job: Job) -> None:
    body = {"type": "reactor.alert", "timestamp": job.now.isoformat(), "data": _data(message)}
    job.clients.channels.webhook(channel.url, message.key, body, secret=channel.secret or "", headers=channel.headers)


def _event_grid(channel: EventGridTopic, message: "Message", job: Job) -> None:
    job.clients.event_grid.send(channel.endpoint, channel.key or "", _cloud_event(message, job))


def _queue(channel: Queue, message: "Message", job: Job) -> None:
    job.clients.channels.queue(channel.url, _cloud_event(message, job).json())


def _cloud_event(message: "Message", job: Job) -> "CloudEvent":
    from shared.clients.event_grid import CloudEvent

    return CloudEvent(
        id=message.key,
        source=message.source,
        type="Reactor.Alert",
        subject=job.event().subject,
        time=job.now,
        data=_data(message),
    )


def _data(message: "Message") -> dict[str, str]:
    names = ("title", "text", "link", "severity", "kind", "source")
    return {name: getattr(message, name) for name in names}


def _port(given: int | str) -> int:
    try:
        return int(given)
    except ValueError:
        raise PermanentError(f'the port "{given}" is no number', remedy="correct the channel's port") from None


SENDERS: "Mapping[type, Callable[[Any, Message, Job], str | None]]" = {
    Email: _email,
    Smtp: _smtp,
    Teams: _teams,
    Slack: _slack,
    Webhook: _webhook,
    EventGridTopic: _event_grid,
    Queue: _queue,
}
"""Each sends the message, and may say what went less than well."""
