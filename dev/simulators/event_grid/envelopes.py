"""The shapes that an event is delivered in, and left in as a dead letter.

https://learn.microsoft.com/azure/event-grid/cloud-event-schema
"""

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dev.simulators.wire import now

CLOUD_NAMES = {
    "id": "id",
    "topic": "source",
    "subject": "subject",
    "eventType": "type",
    "eventTime": "time",
    "data": "data",
}


class Schema(NamedTuple):
    """How a delivery schema looks on the wire."""

    content_type: str
    convert: Callable[[Mapping[str, Any]], dict[str, Any]]
    """From the published event, which is in Event Grid's schema."""
    array: bool
    """Whether one event stands in an array."""


def cloud_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Write the same event as a CloudEvent 1.0."""
    return {"specversion": "1.0"} | {cloud: event[name] for name, cloud in CLOUD_NAMES.items() if name in event}


SCHEMAS = {
    "EventGridSchema": Schema("application/json; charset=utf-8", dict, array=True),
    "CloudEventSchemaV1_0": Schema("application/cloudevents+json; charset=utf-8", cloud_event, array=False),
}


def dead_lettered(
    event: Mapping[str, Any], *, lower_case: bool, attempts: int, outcome: str, published: str, last: str
) -> bytes:
    """Give a dead letter: an array with the event and why it is there."""
    why = {
        "deadLetterReason": "MaxDeliveryAttemptsExceeded",
        "deliveryAttempts": attempts,
        "lastDeliveryOutcome": outcome,
        "publishTime": published,
        "lastDeliveryAttemptTime": last,
    }
    return json.dumps([{**event, **({name.lower(): one for name, one in why.items()} if lower_case else why)}]).encode()


def dead_letter_name(subscription: str) -> str:
    """Where a dead letter goes in its container; the parts of the date are not padded."""
    at = now()
    return f"{subscription.upper()}/{at.year}/{at.month}/{at.day}/{at.hour}/{uuid.uuid4()}.json"
