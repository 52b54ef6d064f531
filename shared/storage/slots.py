"""What limits, cancellations and expectations remember, in one table.

    <limit>   row "slots"   everything that one limit is decided by (shared.slots.Slots), written only under its ETag
    <token>   row "mark"    that something was called off, or followed: the newest event that said so
    <token>   row "depth"   how many outcomes led to what an action began, and a service tells of

A row is forgotten once it can decide nothing any more.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from shared.errors import PermanentError, TemporaryError
from shared.policy import LONGEST
from shared.slots import Slots
from shared.storage import LIMITS_TABLE, entities
from shared.storage.failures import temporary
from shared.storage.packing import pack, unpack

if TYPE_CHECKING:
    from azure.data.tables import TableClient

    from shared.storage.account import Account

SLOTS, MARK, DEPTH = "slots", "mark", "depth"
KEPT = LONGEST + timedelta(days=30)
"""How long a row is kept after it was last written: no limit looks back further."""
TRIES = 8


class SlotsTable:
    """Reads and writes slots and marks."""

    def __init__(self, account: "Account") -> None:
        self._account = account

    def read(self, key: str) -> tuple[Slots, str]:
        """Read a limit's slots and their ETag, "" where there are none yet.

        PermanentError: another version of the app wrote them.
        """
        entity = entities.read(self._table, key, SLOTS)
        text = unpack(SLOTS, entity) if entity else None
        if entity is None or text is None:
            return Slots(), ""
        try:
            return Slots.model_validate_json(text), entity.metadata["etag"]
        except ValidationError:
            raise PermanentError(
                f"the limit {key} cannot be read by this version of the app", remedy="run a newer version"
            ) from None

    def write(self, key: str, slots: Slots, etag: str, now: datetime) -> bool:
        """Write slots where nobody has since they were read; False where somebody has.

        UnansweredError: they may have been written; read again.
        """
        packed = pack(SLOTS, slots.model_dump_json(exclude_defaults=True))
        if packed is None:
            raise TemporaryError(f"the limit {key} has too many actions to remember")
        return self._write({"PartitionKey": key, "RowKey": SLOTS, "until": now + KEPT, **packed}, etag)

    def mark(self, token: str, moment: datetime, event: str, now: datetime) -> None:
        """Remember the newest moment at which an event said something; an older one changes nothing."""
        for _ in range(TRIES):
            entity = entities.read(self._table, token, MARK)
            if entity is not None and entities.utc(entity["moment"]) >= moment:
                return
            row = {"PartitionKey": token, "RowKey": MARK, "moment": moment, "event": event, "until": now + KEPT}
            if self._write(row, entity.metadata["etag"] if entity is not None else ""):
                return
        raise TemporaryError(f"the mark {token} is written by too many at once")

    def read_mark(self, token: str) -> tuple[datetime, str] | None:
        """Read the newest moment of a token and the key of the event that said so; None where nothing has."""
        entity = entities.read(self._table, token, MARK)
        return None if entity is None else (entities.utc(entity["moment"]), str(entity["event"]))

    def note_depth(self, token: str, depth: int, now: datetime) -> None:
        """Remember how many outcomes led to what a token names; what was said first stays."""
        entities.insert(self._table, {"PartitionKey": token, "RowKey": DEPTH, "depth": depth, "until": now + KEPT})

    def read_depth(self, token: str) -> int:
        """Read how many outcomes led to what a token names; 0 where nobody said."""
        entity = entities.read(self._table, token, DEPTH)
        return 0 if entity is None else int(entity["depth"])

    def sweep(self, now: datetime, *, most: int) -> int:
        """Delete at most `most` rows that can decide nothing any more; return how many."""
        count = 0
        with temporary("sweeping old limits"):
            old = self._table.query_entities(
                "until lt @now", parameters={"now": now}, select=["PartitionKey", "RowKey"], results_per_page=most
            )
            for entity in old:
                if count == most:
                    break
                self._table.delete_entity(entity["PartitionKey"], entity["RowKey"])
                count += 1
        return count

    @property
    def _table(self) -> "TableClient":
        return self._account.table(LIMITS_TABLE)

    def _write(self, entity: dict[str, Any], etag: str) -> bool:
        if etag:
            return entities.replace(self._table, entity, etag) is not None
        return entities.insert(self._table, entity)
