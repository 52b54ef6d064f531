"""An Event Grid that delivers what is published, with the real schedule scaled down.

https://learn.microsoft.com/azure/event-grid/delivery-and-retry
Not simulated: probation, batching, filters beyond the event type, expiry of events
(the number of attempts ends them first), and the wait of five minutes before a dead letter is written.
"""

import json
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import requests
from azure.core.exceptions import AzureError

from dev.simulators.event_grid.envelopes import SCHEMAS, dead_letter_name, dead_lettered
from dev.simulators.event_grid.handshake import ask
from dev.simulators.later import Later
from dev.simulators.storage import Storage
from dev.simulators.wire import instant, now

SCHEDULE = (10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200)
"""Seconds between attempts; the last one repeats."""
AT_LEAST = {401: 300, 404: 300, 408: 120, 503: 30}
NEVER_AGAIN: Mapping[str, frozenset[int]] = {
    "WebHook": frozenset({400, 401, 403, 413}),
    "AzureFunction": frozenset({400, 403, 413}),
}
AT_ONCE = 32
"""Deliveries under way at the same time."""
OUTCOMES = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 413: "PayloadTooLarge",
            408: "TimedOut", 503: "Busy"}  # fmt: skip


@dataclass(kw_only=True)
class Subscription:
    """Where events go, as `POST /_subscriptions` takes it."""

    name: str
    kind: Literal["AzureFunction", "WebHook", "StorageQueue"] = "AzureFunction"
    """A webhook is asked for its consent first, and loses an event that it answers with 401."""
    endpoint: str = ""
    """The URL; the queue's name for a StorageQueue of the app's account."""
    schema: Literal["EventGridSchema", "CloudEventSchemaV1_0"] = "EventGridSchema"
    types: Sequence[str] = ()
    """Included event types; none: all."""
    scale: float = 0.01
    """Real seconds per second of the schedule."""
    max_attempts: int = 30
    timeout: float = 30.0
    """Seconds that an endpoint has to answer, not scaled."""
    dead_letter: str = ""
    """A container of the app's account; without one, what is given up is dropped."""

    def __post_init__(self) -> None:
        """Refuse what cannot be delivered to."""
        if self.kind not in {"AzureFunction", "WebHook", "StorageQueue"} or self.schema not in SCHEMAS:
            raise ValueError(f"kind '{self.kind}' or schema '{self.schema}' is none")
        if not self.endpoint:
            raise ValueError("'endpoint' is missing")


@dataclass
class Delivery:
    """One event on its way to one subscription."""

    event: dict[str, Any]
    subscription: Subscription
    state: Literal["open", "delivered", "dead-lettered", "dropped"] = "open"
    attempts: list[dict[str, Any]] = field(default_factory=list)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    published: str = field(default_factory=lambda: instant(now()))

    def shown(self) -> dict[str, Any]:
        """Give the delivery, readable."""
        event, subscription = self.event.get("id"), self.subscription.name
        return {
            "id": self.id,
            "event": event,
            "subscription": subscription,
            "state": self.state,
            "attempts": self.attempts,
        }


class Deliveries:
    """The subscriptions, and everything on its way to them."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._subscriptions: dict[str, Subscription] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._later = Later()
        self._at_once = threading.BoundedSemaphore(AT_ONCE)

    def add(self, subscription: Subscription) -> None:
        """Add or replace a subscription without asking its endpoint."""
        self._subscriptions[subscription.name] = subscription

    def subscribe(self, subscription: Subscription) -> None:
        """Add or replace a subscription; HandshakeError where its webhook does not consent."""
        if subscription.kind == "WebHook":
            ask(subscription.endpoint, subscription.name, subscription.schema, timeout=subscription.timeout)
        self.add(subscription)

    def publish(self, event: dict[str, Any]) -> list[str]:
        """Begin to deliver an event to all that want its type; the deliveries' ids."""
        wanted = [one for one in self._subscriptions.values() if not one.types or event.get("eventType") in one.types]
        deliveries = [Delivery(event, subscription) for subscription in wanted]
        for delivery in deliveries:
            self._deliveries[delivery.id] = delivery
            self._attempt_later(delivery, 0)
        return [delivery.id for delivery in deliveries]

    def shown(self) -> list[dict[str, Any]]:
        """All deliveries since the last reset."""
        return [delivery.shown() for delivery in list(self._deliveries.values())]

    def subscriptions(self) -> list[dict[str, Any]]:
        """All subscriptions."""
        return [vars(subscription) for subscription in self._subscriptions.values()]

    def clear(self) -> None:
        """Stop delivering, forget the subscriptions."""
        self._later.forget()
        self._subscriptions.clear()
        self._deliveries.clear()

    def _attempt_later(self, delivery: Delivery, seconds: float) -> None:
        self._later.do(seconds, lambda: self._attempt(delivery))

    def _attempt(self, delivery: Delivery) -> None:
        if delivery.id not in self._deliveries:
            return
        with self._at_once:
            status, problem = self._send(delivery)
        delivery.attempts.append(
            {"time": instant(now()), "status": status, **({"problem": problem} if problem else {})}
        )
        if status is not None and 200 <= status <= 204:
            delivery.state = "delivered"
            return
        subscription, done = delivery.subscription, len(delivery.attempts)
        if status in NEVER_AGAIN.get(subscription.kind, frozenset()) or done >= subscription.max_attempts:
            self._give_up(delivery, status)
            return
        seconds = max(SCHEDULE[min(done, len(SCHEDULE)) - 1], AT_LEAST.get(status or 0, 10))
        self._attempt_later(delivery, seconds * subscription.scale)

    def _send(self, delivery: Delivery) -> tuple[int | None, str]:
        """Send an event once: the status, or None and why there is none."""
        subscription = delivery.subscription
        schema = SCHEMAS[subscription.schema]
        event = schema.convert(delivery.event)
        if subscription.kind == "StorageQueue":
            try:
                self._storage.send(subscription.endpoint, json.dumps(event), encoded=True)
            except AzureError as problem:
                return None, str(problem)
            return 200, ""
        headers = {
            "Content-Type": schema.content_type,
            "aeg-event-type": "Notification",
            "aeg-subscription-name": subscription.name.upper(),
            "aeg-delivery-count": str(len(delivery.attempts)),
            "aeg-data-version": str(event.get("dataVersion", "")),
            "aeg-metadata-version": "1" if schema.array else "1.0",
            "aeg-output-event-id": str(uuid.uuid4()),
        }
        body = json.dumps([event] if schema.array else event)
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(subscription.endpoint, data=body, headers=headers, timeout=subscription.timeout)
        except requests.Timeout as problem:
            return 408, str(problem)
        except requests.RequestException as problem:
            return None, str(problem)
        return answer.status_code, ""

    def _give_up(self, delivery: Delivery, status: int | None) -> None:
        subscription = delivery.subscription
        if subscription.dead_letter:
            schema = SCHEMAS[subscription.schema]
            letter = dead_lettered(
                schema.convert(delivery.event),
                lower_case=not schema.array,
                attempts=len(delivery.attempts),
                outcome=OUTCOMES.get(status, "Aborted") if status else "SocketError",
                published=delivery.published,
                last=delivery.attempts[-1]["time"],
            )
            self._storage.create_container(subscription.dead_letter)
            self._storage.write(subscription.dead_letter, dead_letter_name(subscription.name), letter)
        delivery.state = "dead-lettered" if subscription.dead_letter else "dropped"
