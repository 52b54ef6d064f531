"""Event Grid: one that delivers (deliveries.py), and a custom topic that is published to (topic.py).

    POST /api/events      the topic: `aeg-sas-key: KEY` or a token for https://eventgrid.azure.net
    GET  /_inbox          what the topic received: {"schema", "time", "event"}
    POST /_publish        one event or a list, in Event Grid's schema, as a system topic publishes them
    POST /_subscriptions  see deliveries.Subscription; DELETE removes all; 400 where the handshake fails
    GET  /_deliveries     what came of each event for each subscription; "open" while it is tried

`POST /_seed` takes {"keys": ["another-key"], "input_schema": "EventGridSchema" | "CloudEventSchemaV1_0" | null (any)}.
Where the simulators were started with `--functions URL`, a subscription "reactor" to its function on_ml_event is there
from the start and after each reset.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from dev.simulators.event_grid.deliveries import Deliveries, Subscription
from dev.simulators.event_grid.handshake import HandshakeError
from dev.simulators.event_grid.topic import KEY, Topic, topic_error
from dev.simulators.storage import Storage
from dev.simulators.tokens import EVENT_GRID, Tokens
from dev.simulators.wire import Answer, Request, Route

__all__ = ["KEY", "EventGrid"]
WEBHOOK = "/runtime/webhooks/EventGrid?functionName=on_ml_event"


class EventGrid:
    """Both sides of Event Grid."""

    name = "event_grid"

    def __init__(self, tokens: Tokens, storage: Storage, functions: str) -> None:
        self.lock = threading.RLock()
        self._tokens = tokens
        self._functions = functions
        self._topic = Topic()
        self._deliveries = Deliveries(storage)
        self.reset()

    def routes(self) -> Sequence[Route]:
        """Give the topic, and the controls of both."""
        return [
            ("POST", "/api/events", self._topic.publish),
            ("GET", "/_inbox", lambda _request: Answer(body=list(self._topic.inbox))),
            ("POST", "/_publish", self._publish),
            ("POST", "/_subscriptions", self._subscribe),
            ("DELETE", "/_subscriptions", lambda _request: self._unsubscribe()),
            ("GET", "/_deliveries", lambda _request: Answer(body=self._deliveries.shown())),
        ]

    def refuse(self, request: Request) -> Answer | None:
        """Refuse who has neither the topic's key nor a token for Event Grid."""
        key = request.headers.get("aeg-sas-key")
        if key is not None:
            return (
                None if key in self._topic.keys else topic_error(401, "Unauthorized", "The request is not authorized.")
            )
        if problem := self._tokens.problem(request.headers.get("authorization", ""), EVENT_GRID):
            return topic_error(401, "Unauthorized", f"Request must contain a valid key or token: it is {problem}.")
        return None

    def error(self, status: int, code: str, message: str) -> Answer:
        """Give a nested error with details."""
        return topic_error(status, code, message)

    def throttled(self, request: Request, after: float | None) -> Answer:
        """Say that the topic takes no more for now."""
        del request, after
        return topic_error(429, "TooManyRequests", "The topic's publish rate is exceeded.")

    def seed(self, given: Mapping[str, Any]) -> None:
        """See the top of this package."""
        self._topic.seed(given)

    def state(self) -> Any:
        """Subscriptions, deliveries and the topic's inbox."""
        return {
            "subscriptions": self._deliveries.subscriptions(),
            "deliveries": self._deliveries.shown(),
            "inbox": list(self._topic.inbox),
        }

    def reset(self) -> None:
        """Deliver nothing any more; the first subscription is back."""
        self._topic.clear()
        self._deliveries.clear()
        if self._functions:
            first = Subscription(name="reactor", kind="AzureFunction", endpoint=self._functions.rstrip("/") + WEBHOOK)
            self._deliveries.add(first)

    def _publish(self, request: Request) -> Answer:
        given = request.json()
        events = given if isinstance(given, list) else [given]
        if not all(isinstance(event, dict) for event in events):
            return topic_error(400, "BadRequest", "An event is an object.")
        return Answer(
            202, {"deliveries": [delivery for event in events for delivery in self._deliveries.publish(event)]}
        )

    def _subscribe(self, request: Request) -> Answer:
        try:
            subscription = Subscription(**request.json())
            self._deliveries.subscribe(subscription)
        except (TypeError, ValueError) as problem:
            return topic_error(400, "BadRequest", f"subscription: {problem}")
        except HandshakeError as problem:
            return topic_error(400, "Url validation", str(problem))
        return Answer(201, vars(subscription) | {"provisioningState": "Succeeded"})

    def _unsubscribe(self) -> Answer:
        self._deliveries.clear()
        return Answer(204)
