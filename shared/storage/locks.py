"""Locks that actions hold on what only one of them may write at a time, such as an endpoint's traffic.

A lock names the action that has it, so it needs no expiry: it is free once that action has ended. It is one row "lock"
of the limits' table, written only under its ETag; its key is a hash of what is locked.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.errors import TemporaryError, UnansweredError
from shared.events import digest
from shared.storage import LIMITS_TABLE, entities
from shared.storage.entities import utc
from shared.storage.slots import KEPT, TRIES

if TYPE_CHECKING:
    from azure.data.tables import TableClient

    from shared.storage.account import Account

LOCK = "lock"


class Locks:
    """Takes locks for actions, and gives them back."""

    def __init__(self, account: "Account") -> None:
        self._account = account

    def hold(
        self,
        what: str,
        action: str,
        now: datetime,
        is_over: Callable[[str], bool],
        lasts: timedelta | None = None,
    ) -> str:
        """Take the lock of `what` for an action; return "" where the action has it, else the key of the one that has.

        `is_over` tells of an action's key whether it has ended. Taking a lock that one has changes nothing, but for
        whoever has no record, such as a command on a laptop: its lock `lasts` so long, and is taken anew meanwhile.
        """
        key = digest(LOCK, what.lower())
        for _ in range(TRIES):
            entity = entities.read(self._table, key, LOCK)
            holder = str(entity["action"]) if entity is not None else ""
            if holder == action and (lasts is None or utc(entity.get("expires", now)) > now + lasts / 2):
                return ""
            if holder not in ("", action) and not _is_free(entity, now, is_over):
                return holder
            row = _row(key, what, action, now, lasts)
            self._write(row, entity)  # and read again: it may be ours now, or somebody else's
        raise TemporaryError(f"the lock of {what} is asked for by too many at once")

    def holder(self, what: str, now: datetime, is_over: Callable[[str], bool]) -> str:
        """Name the action that has the lock of `what`; "" where it is free. Nothing is taken."""
        entity = entities.read(self._table, digest(LOCK, what.lower()), LOCK)
        if entity is None or not entity["action"] or _is_free(entity, now, is_over):
            return ""
        return str(entity["action"])

    def let_go(self, what: str, action: str, now: datetime) -> None:
        """Give the lock of `what` back where the action has it."""
        key = digest(LOCK, what.lower())
        for _ in range(TRIES):
            entity = entities.read(self._table, key, LOCK)
            if entity is None or entity["action"] != action:
                return
            self._write(_row(key, what, "", now), entity)
        raise TemporaryError(f"the lock of {what} is asked for by too many at once")

    def _write(self, row: dict[str, Any], before: Any) -> None:
        try:
            if before is None:
                entities.insert(self._table, row)
            else:
                entities.replace(self._table, row, before.metadata["etag"])
        except UnansweredError:
            return  # it may have been done: reading again tells

    @property
    def _table(self) -> "TableClient":
        return self._account.table(LIMITS_TABLE)


def _is_free(entity: Any, now: datetime, is_over: Callable[[str], bool]) -> bool:
    """Tell whether nobody goes on who has a lock: its time is up, or its action has ended."""
    return utc(entity["expires"]) <= now if "expires" in entity else is_over(str(entity["action"]))


def _row(key: str, what: str, action: str, now: datetime, lasts: timedelta | None = None) -> dict[str, Any]:
    row = {"PartitionKey": key, "RowKey": LOCK, "what": what, "action": action, "until": now + KEPT}
    return row | ({"expires": now + lasts} if lasts and action else {})
