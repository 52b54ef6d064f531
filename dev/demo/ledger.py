"""What the reactor wrote down: every event that came, and what became of it. Read beside it, never written."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from azure.data.tables import TableServiceClient

from shared.actions import Action
from shared.clients.identity import managed_identity
from shared.settings import Storage
from shared.storage import EVENTS_TABLE
from shared.storage.account import Account
from shared.storage.records import ROW, EventRecord, OpenRow, Records

MARK = {"timeout": "31"}
"""Asked for in each of our own requests, so that the storage account's log tells them from the reactor's."""


@dataclass(frozen=True)
class Entry:
    """One event and the actions it led to."""

    event: EventRecord
    actions: tuple[Action, ...]
    """In the order of the rules."""

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done about it."""
        return self.event.handed_over and all(action.announced for action in self.actions)


class Ledger:
    """The records of one storage account."""

    def __init__(self, connection: str) -> None:
        account = Account(Storage(connection_string=connection), managed_identity)
        account.tables = TableServiceClient.from_connection_string(connection, raw_request_hook=mark)
        self._events = account.tables.get_table_client(EVENTS_TABLE)
        self._records = Records(account)
        self._kept: dict[str, Entry] = {}

    def entries(self) -> list[Entry]:
        """Read every event and its actions."""
        return [entry for key in self._keys() if (entry := self._read(key))]

    def news(self) -> list[Entry]:
        """Do the same, but do not read again what was over before."""
        for key in self._keys():
            if (key not in self._kept or not self._kept[key].over) and (entry := self._read(key)):
                self._kept[key] = entry
        return list(self._kept.values())

    def open(self) -> list[OpenRow]:
        """List what is not finished."""
        return list(self._records.list_open())

    def _keys(self) -> Iterator[str]:
        for row in self._events.query_entities(f"RowKey eq '{ROW}'", select=["PartitionKey"]):
            yield row["PartitionKey"]

    def _read(self, key: str) -> Entry | None:
        event = self._records.read_event(key)
        if event is None:
            return None
        actions = [self._records.read_action(planned.key) or planned for planned in event.plan]
        return Entry(event, tuple(actions))


def mark(request: Any) -> None:
    """Mark a request as ours."""
    request.http_request.format_parameters(dict(MARK))
