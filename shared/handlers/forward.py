"""Hand the event on, untouched, as a CloudEvent: to a topic, a webhook or a queue.

At least once; a receiver recognises a repeated event by its source and id, as CloudEvents says.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from shared.clients.event_grid import CloudEvent
from shared.errors import PermanentError
from shared.events import Event
from shared.handlers import declared
from shared.permissions import CHANNELS
from shared.rules.declared import EventGridTopic, Names, Queue, Webhook
from shared.stages import Done, Job, Progress, Stage

ATTRIBUTES = frozenset(
    {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "data_base64"}
)

TAKE_EVENTS = ("event_grid", "webhook", "queue")
"""The kinds of channel that an event can be sent on to."""


class Forward(BaseModel):
    """Sends the event on to a declared channel of kind event_grid, webhook or queue."""

    model_config = ConfigDict(extra="forbid")

    to: Annotated[str, Names("channels", kinds=TAKE_EVENTS)] = Field(
        description="A declared channel: event_grid, webhook or queue."
    )


def send(params: Forward, job: Job) -> Progress:
    """Send the event on."""
    channel = declared.channel(job, params.to)
    if type(channel) not in SENDERS:
        raise PermanentError(
            f'channel "{params.to}" is of kind {channel.kind}, which takes no events',
            remedy="forward to an event_grid, webhook or queue channel",
        )
    event = cloud_event(job.event(), job.event_key)
    SENDERS[type(channel)](channel, event, job)
    return Done({"id": event.id, "channel": channel.kind}, note=f"sent by {channel.kind}")


def cloud_event(event: Event, key: str) -> CloudEvent:
    """Write an event as a CloudEvent: its data as the wire had it, its envelope translated where it was another.

    A Custom Vision notification carries no id; the key of its record stands for it, which tells a duplicate, that has
    no record, from an equal notification that came later.
    """
    payload = {name.lower(): value for name, value in event.payload.items()}
    is_cloud_event = "specversion" in payload
    return CloudEvent(
        id=event.id or key,
        source=event.source,
        type=event.type,
        subject=event.subject,
        time=event.time,
        data=payload.get("data", payload.get("content")),
        extensions={name: value for name, value in payload.items() if is_cloud_event and name not in ATTRIBUTES},
    )


# -- by kind of channel -----------------------------------------------------------------------------------------------


def _event_grid(channel: EventGridTopic, event: CloudEvent, job: Job) -> None:
    job.clients.event_grid.send(channel.endpoint, channel.key or "", event)


def _webhook(channel: Webhook, event: CloudEvent, job: Job) -> None:
    headers = {"Content-Type": "application/cloudevents+json"} | dict(channel.headers)
    job.clients.channels.webhook(channel.url, job.key, event.json(), secret=channel.secret or "", headers=headers)


def _queue(channel: Queue, event: CloudEvent, job: Job) -> None:
    job.clients.channels.queue(channel.url, event.json())


SENDERS: Mapping[type, Callable[[Any, CloudEvent, Job], None]] = {
    EventGridTopic: _event_grid,
    Webhook: _webhook,
    Queue: _queue,
}

PERMISSIONS = {Forward: (CHANNELS["event_grid"], CHANNELS["queue"])}
RESULTS = {Forward: ("id", "channel")}
STAGES = {Forward: (Stage[Forward]("send", start=send, named_by="nobody", effect="tells"),)}
