"""Event Grid custom topics (Basic tier), through azure-eventgrid.

https://learn.microsoft.com/azure/event-grid/post-to-custom-topic
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.errors import PermanentError
from shared.storage.account import ONCE
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """An event in the CloudEvents 1.0 schema. Receivers recognise a repeated one by `source` and `id`.

    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
    """

    id: str
    source: str
    type: str
    subject: str = ""
    time: datetime | None = None
    data: Any = None
    extensions: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """Write it in the JSON event format."""
        attributes = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": self.time.isoformat().replace("+00:00", "Z") if self.time else "",
            "datacontenttype": "application/json",
        }
        return (
            {name: value for name, value in attributes.items() if value} | dict(self.extensions) | {"data": self.data}
        )


class EventGrid:
    """Sends to custom topics."""

    def __init__(self, credential: "Callable[[], TokenCredential]") -> None:
        self._credential = credential

    def send(self, endpoint: str, key: str, event: CloudEvent) -> None:
        """Send one event to the topic at `endpoint`, the full URL with /api/events; with a token where `key` is "".

        The topic's input schema must be CloudEvents 1.0. Raises UnansweredError where the event may have arrived.
        """
        from azure.core.credentials import AzureKeyCredential
        from azure.core.messaging import CloudEvent as Sendable
        from azure.eventgrid import EventGridPublisherClient

        if not endpoint.lower().startswith("https://"):
            raise PermanentError("Event Grid: the topic's endpoint must be https", remedy="use the https URL")
        # It warns that a call's own options are no attributes of an event.
        logging.getLogger("azure.eventgrid._legacy._generated._serialization").setLevel(logging.ERROR)
        credential = AzureKeyCredential(key) if key else self._credential()
        with (
            translated("Event Grid", "start"),
            EventGridPublisherClient(endpoint.rstrip("/"), credential) as client,
        ):
            # The client drops its own options for Basic topics, but heeds a call's.
            client.send(Sendable.from_dict(event.json()), **ONCE)
