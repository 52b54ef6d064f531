"""From the wire to an `Event`: the only module that knows the payloads.

Three doors bring three shapes: Event Grid's events (its own schema or CloudEvents 1.0, about Azure Machine Learning),
Custom Vision's queue messages, and the reactor's own events as they were stored.
What is none of these raises `MalformedError`, which names the field; nothing else is ever raised.
A type that nobody knows is an event without kinds: it is recorded, and no rule can hear it.

Reading runs once for every event, so the usual spelling of a message is read as it lies there, without a copy.

Azure Machine Learning: https://learn.microsoft.com/azure/event-grid/event-schema-machine-learning
Custom Vision: https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
"""

from collections.abc import Callable

from shared.events import Event
from shared.parse.machine_learning import event_grid
from shared.parse.own import own
from shared.parse.vision import vision_notification
from shared.parse.waking import begun_tokens, wake_tokens

__all__ = ["PARSERS", "begun_tokens", "event_grid", "own", "vision_notification", "wake_tokens"]

PARSERS: dict[str, Callable[[str | bytes], Event]] = {
    "event_grid": event_grid,
    "vision_notification": vision_notification,
    "own": own,
}
"""The readers by the name that `Event.door` keeps, so that a stored payload can be read again."""
