"""A custom topic's `/api/events`.

https://learn.microsoft.com/azure/event-grid/post-to-custom-topic
The content type says which schema the events are in.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dev.simulators.wire import Answer, RefusedError, Request, instant, moment, now

KEY = "simulated-topic-key"
LARGEST = 1024 * 1024
MOST = 5000
SCHEMAS: Mapping[str, str] = {
    "application/json": "EventGridSchema",
    "application/cloudevents+json": "CloudEventSchemaV1_0",
    "application/cloudevents-batch+json": "CloudEventSchemaV1_0",
}
REQUIRED: Mapping[str, Sequence[str]] = {
    "EventGridSchema": ("id", "subject", "eventType", "eventTime", "dataVersion"),
    "CloudEventSchemaV1_0": ("id", "source", "type", "specversion"),
}


class Topic:
    """What was published to it."""

    def __init__(self) -> None:
        self.inbox: list[dict[str, Any]] = []
        self.keys = {KEY}
        self._schema: str | None = None

    def seed(self, given: Mapping[str, Any]) -> None:
        """More keys, or the one schema that it takes."""
        if unknown := set(given) - {"keys", "input_schema"}:
            raise ValueError(f"{sorted(unknown)}: none of keys, input_schema")
        self.keys.update(given.get("keys", ()))
        self._schema = given.get("input_schema", self._schema)

    def clear(self) -> None:
        """As at the start."""
        self.inbox.clear()
        self.keys = {KEY}
        self._schema = None

    def publish(self, request: Request) -> Answer:
        """Take events: 200 without a body; all of them or none."""
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        schema = SCHEMAS.get(content_type)
        if schema is None:
            raise refuse(415, "UnsupportedMediaType", f"'{content_type}' is none of {', '.join(SCHEMAS)}.")
        if self._schema not in {None, schema}:
            raise refuse(400, "InputJsonInvalid", f"This topic takes {self._schema}; the request has {schema}.")
        if len(request.body) > LARGEST:
            raise refuse(413, "PayloadTooLarge", f"The maximum size of a request is {LARGEST} bytes.")
        try:
            given = request.json()
        except ValueError as problem:
            raise refuse(
                400, "InputJsonInvalid", "This resource is configured for JSON, and this is none."
            ) from problem
        events = [given] if content_type == "application/cloudevents+json" else given
        if not isinstance(events, list) or len(events) > MOST:
            raise refuse(400, "InputJsonInvalid", f"The body must be an array of at most {MOST} events.")
        for index, event in enumerate(events):
            check(event, schema, index)
        self.inbox.extend({"schema": schema, "time": instant(now()), "event": event} for event in events)
        return Answer(200)


def check(event: Any, schema: str, index: int) -> None:
    """Refuse an event that lacks what its schema requires."""
    if not isinstance(event, dict):
        raise refuse(400, "InputJsonInvalid", f"[{index}] is no object.")
    for name in REQUIRED[schema]:
        if not isinstance(event.get(name), str) or (not event[name] and name != "dataVersion"):
            raise refuse(400, "InputJsonInvalid", f"[{index}].{name} is missing or no text.")
    if event.get("specversion", "1.0") != "1.0":
        raise refuse(400, "InputJsonInvalid", f"[{index}].specversion must be 1.0.")
    when = event.get("eventTime") or event.get("time")
    try:
        if when is not None:
            moment(when)
    except (TypeError, ValueError) as problem:
        raise refuse(400, "InputJsonInvalid", f"[{index}] has a time that is none: {when!r}.") from problem


def topic_error(status: int, code: str, message: str) -> Answer:
    """Event Grid's error: the code stands in the details too."""
    return Answer(
        status,
        {"error": {"code": code, "message": message, "details": [{"code": code, "message": message}]}},
    )


def refuse(status: int, code: str, message: str) -> RefusedError:
    """Make an error of the topic, to be raised."""
    return RefusedError(topic_error(status, code, message))
