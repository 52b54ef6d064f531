"""What limits, cancellations and expectations remember, in one table.

    <limit>   row "slots"   everything that one limit is decided by (shared.slots.Slots), written only under its ETag
    <token>   row "mark"    that something was called off, or followed: the newest event that said so

A row is forgotten once it can decide nothing any more.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from shared.errors import PermanentError, TemporaryError
from shared.policy import LONGEST
from shared.slots import Slots
from shared.storage import LIMITS_TABLE
from shared.storage.failures import temporary
from shared.storage.packing import pack, unpack

if TYPE_CHECKING:
    from azure.data.tables import TableClient

    from shared.storage.account import Account

SLOTS, MARK = "slots", "mark"
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
        entity = self._read(key, SLOTS)
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
            entity = self._read(token, MARK)
            if entity is not None and _utc(entity["moment"]) >= moment:
                return
            row = {"PartitionKey": token, "RowKey": MARK, "moment": moment, "event": event, "until": now + KEPT}
            if self._write(row, entity.metadata["etag"] if entity is not None else ""):
                return
        raise TemporaryError(f"the mark {token} is written by too many at once")

    def read_mark(self, token: str) -> tuple[datetime, str] | None:
        """Read the newest moment of a token and the key of the event that said so; None where nothing has."""
        entity = self._read(token, MARK)
        return None if entity is None else (_utc(entity["moment"]), str(entity["event"]))

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

    def _read(self, key: str, row: str) -> Any:
        from azure.core.exceptions import ResourceNotFoundError

        with temporary(f"reading the limit {key}"):
            try:
                return self._table.get_entity(key, row)
            except ResourceNotFoundError as error:
                if error.error_code == "TableNotFound":  # type: ignore[attr-defined] # the tables SDK sets it
                    raise
                return None

    def _write(self, entity: dict[str, Any], etag: str) -> bool:
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
        from azure.data.tables import UpdateMode

        with temporary(f"writing the limit {entity['PartitionKey']}"):
            try:
                if etag:
                    self._table.update_entity(
                        entity, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                    )
                else:
                    self._table.create_entity(entity)
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
                return False
        return True


def _utc(value: Any) -> datetime:
    """Read a table's timestamp, which the SDK hands out as a datetime subclass that remembers its 100 ns."""
    return datetime.fromisoformat(value.isoformat())
