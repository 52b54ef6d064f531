"""What happened, by time: one row for each event, and for each action that ended, so that a listing is no scan.

The partitions of `reactortimeline` are days, `events-20261122` and `actions-20261122`, of when an event was received
and of when an action was made (UTC). In each, the newest row comes first. A row only repeats what the records say; it
is written again and again without harm, and may be there a moment late.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import batched, groupby
from typing import TYPE_CHECKING, Any, Literal

from shared.actions import Action, Status, Step
from shared.redaction import tidy
from shared.storage import ACTIONS_TABLE, EVENTS_TABLE, TIMELINE_TABLE, entities
from shared.storage.failures import temporary
from shared.storage.records import ROW, EventRecord

if TYPE_CHECKING:
    from azure.data.tables import TableClient

    from shared.storage.account import Account

What = Literal["events", "actions"]

LAST_MILLISECOND = 10**14 - 1
"""In the year 5138: what is left until then grows as time is earlier, and 14 digits of it sort as text."""
LOOKED_AT = 10_000
"""Rows that one call reads at most: a filter that hardly anything fits answers with a cursor instead of a timeout."""
FOUND = 5
"""Keys with the same beginning that are worth naming."""
BATCH = 100
"""Entities of one partition that a transaction may hold."""
LONGEST_TEXT = 1_000
APART = "\n"
"""Between the names of rules, which may hold spaces."""
KEPT_IN = {"events": EVENTS_TABLE, "actions": ACTIONS_TABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One event, or one action, as it is listed."""

    place: str
    """Where it stands: the later, the smaller. Also the cursor that goes on behind it."""
    key: str
    at: datetime
    kinds: tuple[str, ...]
    source: str
    subject: str
    status: str
    reason: str
    rules: tuple[str, ...]
    """The rules that answered an event; the one rule of an action."""
    event: str = ""
    """The key of the event that an action answers."""
    mode: str = ""
    step: str = ""
    """The step that an action is at, or ended with."""
    ended: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows are asked for; what is empty is not asked."""

    since: datetime
    until: datetime
    kind: str = ""
    source: str = ""
    """A part of the source, ignoring case."""
    is_source: Callable[[str], bool] | None = field(default=None, compare=False)
    """In place of that: whether a source is the one."""
    rule: str = ""
    status: str = ""

    def fits(self, row: Row) -> bool:
        """Tell whether a row is asked for, its time aside."""
        return (
            (not self.status or self.status == row.status)
            and (not self.kind or self.kind in row.kinds)
            and (not self.rule or self.rule in row.rules)
            and (self.is_source(row.source) if self.is_source else self.source.lower() in row.source.lower())
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows, newest first, and the cursor that goes on behind them: "" where there is nothing more."""

    rows: tuple[Row, ...]
    next: str = ""


def place(at: datetime, key: str) -> str:
    """Say where something stands in the timeline: the later, the smaller."""
    return f"{_left(at)}-{key}"


def time_of(place: str) -> datetime:
    """Read from a place when it was, to the millisecond."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=LAST_MILLISECOND - int(place.partition("-")[0]))


def event_row(record: EventRecord) -> Row:
    """Say of an event what its listing shows."""
    return Row(
        place=place(record.received, record.key),
        key=record.key,
        at=record.received,
        kinds=tuple(record.kinds),
        source=record.source,
        subject=record.subject,
        status=record.status,
        reason=tidy(record.reason),
        rules=tuple(action.rule for action in record.plan),
    )


def action_row(action: Action) -> Row:
    """Say of an action what its listing shows: where it stands, or how it ended and why."""
    state = action.progress[-1] if action.progress else None
    step = state.id if state else ""
    reason = action.reason
    if action.failure and not action.is_open:
        step, reason = action.failure.step, action.reason or action.failure.reason
    elif action.is_open:
        current = _current_step(action)
        step = current.id if current else step
        under_way = state if state is not None and not state.outcome else None
        reason = action.error or (under_way.trouble or under_way.note if under_way else action.note)
    return Row(
        place=place(action.created, action.key),
        key=action.key,
        at=action.created,
        kinds=tuple(action.kinds),
        source=action.source,
        subject=action.subject,
        status=action.status.value,
        reason=tidy(reason),
        rules=(action.rule,),
        event=action.event,
        mode=action.mode,
        step=step,
        ended=action.ended,
    )


def _current_step(action: Action) -> Step | None:
    """Return the step that is being performed, or comes next."""
    return action.todo[action.position] if action.position < len(action.todo) else None


class Timeline:
    """Writes and reads the rows."""

    def __init__(self, account: "Account") -> None:
        self._account = account

    # -- writing ------------------------------------------------------------------------------------------------------

    def note_event(self, record: EventRecord) -> None:
        """Put an event where it was received; it must be the record as stored, since that says when."""
        self._write("events", event_row(record))

    def note_action(self, action: Action) -> None:
        """Put an action that ended where it was made; while it is open, its open row says that it is there."""
        assert action.status is not Status.OPEN
        self._write("actions", action_row(action))

    def _write(self, what: What, row: Row) -> None:
        from azure.data.tables import UpdateMode

        entity: dict[str, Any] = {
            "PartitionKey": _partition(what, row.at.astimezone(UTC).date()),
            "RowKey": row.place,
            "at": row.at,
            "kinds": _text(" ".join(row.kinds)),
            "source": _text(row.source),
            "subject": _text(row.subject),
            "status": row.status,
            "reason": row.reason,
            "rules": _text(APART.join(row.rules), LONGEST_TEXT * 10),
        }
        if what == "actions":
            entity |= {"event": row.event, "mode": row.mode, "step": _text(row.step)}
        if row.ended:
            entity["ended"] = row.ended
        with temporary(f"noting {what} {row.key}"):
            self._table(TIMELINE_TABLE).upsert_entity(entity, mode=UpdateMode.REPLACE)

    # -- reading ------------------------------------------------------------------------------------------------------

    def read(self, what: What, wanted: Wanted, *, most: int, after: str = "") -> Rows:
        """List what is wanted, newest first, behind the place `after`.

        It may be fewer than `most` although there is more: then so many rows were looked at that it is time to answer.
        """
        found: list[Row] = []
        looked_at = 0
        with temporary(f"listing {what}"):
            for row in self._rows(what, wanted, after):
                looked_at += 1
                if wanted.fits(row):
                    if len(found) == most:
                        return Rows(tuple(found), found[-1].place)
                    found.append(row)
                if looked_at == LOOKED_AT:
                    return Rows(tuple(found), row.place)
        return Rows(tuple(found))

    def _rows(self, what: What, wanted: Wanted, after: str) -> Iterator[Row]:
        """Read day by day, since a table gives the days of a range in the wrong order."""
        newest = min(wanted.until, time_of(after)) if after else wanted.until
        conditions = "PartitionKey eq @day and RowKey ge @first and RowKey le @last and RowKey gt @after"
        if wanted.status:
            conditions += " and status eq @status"
        values = {"first": _left(wanted.until), "last": f"{_left(wanted.since)}~", "after": after}
        day, oldest = newest.astimezone(UTC).date(), wanted.since.astimezone(UTC).date()
        while day >= oldest:
            values |= {"day": _partition(what, day), "status": wanted.status}
            for entity in self._table(TIMELINE_TABLE).query_entities(conditions, parameters=values):
                yield _row(entity)
            day -= timedelta(days=1)

    def find(self, what: What, beginning: str) -> list[str]:
        """List the first few keys of records that begin so: a range of partitions, so nothing else is read."""
        condition = "PartitionKey ge @first and PartitionKey lt @last and RowKey eq @row"
        values = {"first": beginning, "last": f"{beginning}~", "row": ROW}
        keys: list[str] = []
        with temporary(f"looking for {what} {beginning}"):
            table = self._table(KEPT_IN[what])
            for entity in table.query_entities(condition, parameters=values, select=["PartitionKey"]):
                keys.append(entity["PartitionKey"])
                if len(keys) == FOUND:
                    break
        return keys

    # -- retention ----------------------------------------------------------------------------------------------------

    def sweep(self, before: datetime, *, most: int = 1_000) -> int:
        """Delete at most `most` rows of the days that were over before `before`; return how many."""
        count = 0
        table = self._table(TIMELINE_TABLE)
        for what in KEPT_IN:
            condition = "PartitionKey ge @first and PartitionKey lt @last"
            values = {"first": f"{what}-", "last": _partition(what, before.astimezone(UTC).date())}
            with temporary(f"sweeping the timeline of {what}"):
                old = table.query_entities(condition, parameters=values, select=["PartitionKey", "RowKey"])
                for _day, rows in groupby(old, key=lambda row: row["PartitionKey"]):
                    for batch in batched(rows, BATCH, strict=False):
                        if count >= most:
                            return count
                        table.submit_transaction([("delete", row) for row in batch[: most - count]])
                        count += len(batch[: most - count])
        return count

    def _table(self, name: str) -> "TableClient":
        return self._account.table(name)


def _left(at: datetime) -> str:
    """Say how many milliseconds are left after a time."""
    passed = (at - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
    return f"{LAST_MILLISECOND - passed:014d}"


def _partition(what: str, day: date) -> str:
    return f"{what}-{day:%Y%m%d}"


def _text(text: str, longest: int = LONGEST_TEXT) -> str:
    """Make a text fit for a column: writable, and not too long."""
    return text[:longest].encode("utf-8", "replace").decode()


def _row(entity: Any) -> Row:
    ended = entity.get("ended")
    return Row(
        place=entity["RowKey"],
        key=entity["RowKey"].partition("-")[2],
        at=entities.utc(entity["at"]),
        kinds=tuple(entity["kinds"].split()),
        source=entity["source"],
        subject=entity["subject"],
        status=entity["status"],
        reason=entity["reason"],
        rules=tuple(entity["rules"].split(APART)) if entity["rules"] else (),
        event=entity.get("event", ""),
        mode=entity.get("mode", ""),
        step=entity.get("step", ""),
        ended=entities.utc(ended) if ended else None,
    )
