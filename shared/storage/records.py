"""The records: what is kept about events and actions, in three tables.

    reactorevents    one entity an event: its payload, the plan made for it, and how it was judged
    reactoractions   one entity an action: the truth about it, written only under its ETag
    reactoropen      one row for each event not handed over and each action not ended: what the sweep looks at

Writes are conditional and answer whether they were done; a lost reply is settled by reading again.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.actions import Action
from shared.errors import PermanentError
from shared.events import digest
from shared.storage import ACTIONS_TABLE, EVENTS_TABLE, OPEN_TABLE, PAYLOADS_CONTAINER, entities
from shared.storage.failures import temporary
from shared.storage.packing import compress, expand, pack, unpack

if TYPE_CHECKING:
    from azure.data.tables import TableClient

    from shared.storage.account import Account

ROW, OCCURRENCE = "record", "occurrence"
EDM_STRING_LIMIT = 16_000
"""Characters kept of a text that is only there to be read by people."""


class Mark(BaseModel):
    """That an event calls off, or fulfils, what a rule began for another."""

    model_config = ConfigDict(frozen=True)

    what: Literal["cancel", "expect"]
    rule: str
    token: str


class EventRecord(BaseModel):
    """What is kept about one event."""

    version: Literal[1] = 1
    key: str
    door: str
    status: Literal["planned", "unplanned", "parked", "refused", "ignored"]
    reason: str = ""
    """Why it was parked, refused, ignored or could not be planned yet."""
    type: str = ""
    kinds: list[str] = Field(default_factory=list)
    id: str = ""
    source: str = ""
    subject: str = ""
    time: datetime | None = None
    received: datetime
    rules_hash: str = ""
    """The rules file it was judged by."""
    depth: int = 0
    plan: list[Action] = Field(default_factory=list)
    """The actions as planned, once: a redelivery follows this, never today's rules."""
    marks: list[Mark] = Field(default_factory=list)
    """What it calls off or fulfils."""
    because: list[dict[str, Any]] = Field(default_factory=list)
    """For rules of its kind and source that did not match: the first condition that did not hold, and the value."""
    replayed: list[str] = Field(default_factory=list)
    """The keys of actions that a replay made where there was none before."""
    handed_over: bool = False
    payload: str = ""
    """The message, redacted, as JSON; what was parked, as it came."""

    etag: str = Field(default="", exclude=True)


class OpenRow(BaseModel):
    """An event or an action that is not finished."""

    model_config = ConfigDict(frozen=True)

    what: Literal["event", "action"]
    key: str
    since: datetime
    event: str = ""
    """The key of the event that an action answers: it is kept as long."""
    wake_on: str = ""
    """The token an action waits for, of `Pending.wake_on`; kept hashed, since a token may hold anything."""
    cancel_on: str = ""
    """What calls the action off (`Action.cancel_key`)."""


class Records:
    """Reads and writes the records."""

    def __init__(self, account: "Account") -> None:
        self._account = account

    # -- events -------------------------------------------------------------------------------------------------------

    def insert_event(self, record: EventRecord) -> bool:
        """Write an event's record for the first time; False where there is one already."""
        return entities.insert(self._table(EVENTS_TABLE), self._event_entity(record))

    def replace_event(self, record: EventRecord) -> bool:
        """Write the record of an event that is planned at last; False where somebody else just did."""
        return entities.replace(self._table(EVENTS_TABLE), self._event_entity(record), record.etag) is not None

    def read_event(self, key: str) -> EventRecord | None:
        """Read an event's record; None where there is none, PermanentError where another version wrote it."""
        entity = entities.read(self._table(EVENTS_TABLE), key, ROW)
        if entity is None:
            return None
        record = _read_as(EventRecord, self._unpack("record", entity), f"event {key}")
        record.handed_over, record.etag = bool(entity["handed_over"]), entity.metadata["etag"]
        return record

    def mark_handed_over(self, key: str) -> None:
        """Say that all of an event's actions are on their way: from now on it is a duplicate."""
        with temporary(f"marking event {key}"):
            self._table(EVENTS_TABLE).update_entity({"PartitionKey": key, "RowKey": ROW, "handed_over": True})

    def _event_entity(self, record: EventRecord) -> dict[str, Any]:
        """Write the record beside the columns that listings filter by."""
        return {
            "PartitionKey": record.key,
            "RowKey": ROW,
            "handed_over": record.handed_over,
            "status": record.status,
            "kinds": " ".join(sorted(record.kinds)),
            "source": record.source[:EDM_STRING_LIMIT],
            "received": record.received,
            **self._pack("record", record.key, record.model_dump_json(exclude={"handed_over"})),
        }

    def last_occurrence(self, content_key: str) -> str | None:
        """Return the key of the last event with this content; None where there was none."""
        entity = entities.read(self._table(EVENTS_TABLE), content_key, OCCURRENCE)
        return None if entity is None else digest(content_key, entities.utc(entity["at"]).isoformat())

    def occurrence(self, content_key: str, at: datetime, window: timedelta) -> str:
        """Tell a repeated message from a new event where the wire carries no id: return the event's key.

        Equal content within `window` of its first arrival is the same event; later it is a new one.
        """
        row = {"PartitionKey": content_key, "RowKey": OCCURRENCE}
        while True:
            entity = entities.read(self._table(EVENTS_TABLE), content_key, OCCURRENCE)
            if entity is None:
                if entities.insert(self._table(EVENTS_TABLE), {**row, "at": at}):
                    return digest(content_key, at.isoformat())
            elif abs(at - entities.utc(entity["at"])) < window or at < entities.utc(entity["at"]):
                return digest(content_key, entities.utc(entity["at"]).isoformat())
            elif entities.replace(self._table(EVENTS_TABLE), {**row, "at": at}, entity.metadata["etag"]):
                return digest(content_key, at.isoformat())

    # -- actions ------------------------------------------------------------------------------------------------------

    def insert_action(self, action: Action) -> bool:
        """Write an action for the first time; False where there is one already."""
        return entities.insert(self._table(ACTIONS_TABLE), self._action_entity(action))

    def read_action(self, key: str) -> Action | None:
        """Read an action with its ETag; None where there is none, PermanentError where another version wrote it."""
        entity = entities.read(self._table(ACTIONS_TABLE), key, ROW)
        if entity is None:
            return None
        action = _read_as(Action, self._unpack("record", entity), f"action {key}")
        action.etag = entity.metadata["etag"]
        return action

    def write_action(self, action: Action) -> str | None:
        """Write an action where nobody has since it was read; return the new ETag, None where somebody has.

        UnansweredError: it may have been written; read again, and compare `write`.
        """
        return entities.replace(self._table(ACTIONS_TABLE), self._action_entity(action), action.etag)

    def _action_entity(self, action: Action) -> dict[str, Any]:
        """Write the record beside the columns that listings filter by."""
        return {
            "PartitionKey": action.key,
            "RowKey": ROW,
            "rule": action.rule[:EDM_STRING_LIMIT],
            "event": action.event,
            "status": action.status.value,
            "created": action.created,
            **self._pack("record", action.key, action.model_dump_json()),
        }

    # -- what is open -------------------------------------------------------------------------------------------------

    def open(self, row: OpenRow) -> None:
        """Remember that an event or an action is not finished, and what it waits for."""
        with temporary(f"opening {row.what} {row.key}"):
            self._table(OPEN_TABLE).upsert_entity(
                {
                    "PartitionKey": row.what,
                    "RowKey": row.key,
                    "since": row.since,
                    "event": row.event,
                    "wake_on": _token(row.wake_on),
                    "cancel_on": row.cancel_on,
                }
            )

    def close(self, what: Literal["event", "action"], key: str) -> None:
        """Forget what is finished; nothing happens where it is forgotten already."""
        with temporary(f"closing {what} {key}"):
            self._table(OPEN_TABLE).delete_entity(what, key)

    def list_open(self) -> Iterator[OpenRow]:
        """List everything that is not finished."""
        with temporary("listing what is open"):
            for entity in self._table(OPEN_TABLE).list_entities():
                yield _open_row(entity)

    def list_waiting(self, token: str) -> list[str]:
        """List the keys of the actions that wait for `token`."""
        return self._list_open_by("wake_on", _token(token))

    def list_canceled_by(self, token: str) -> list[str]:
        """List the keys of the open actions that `token` calls off."""
        return self._list_open_by("cancel_on", token)

    def _list_open_by(self, column: str, value: str) -> list[str]:
        with temporary("listing who waits"):
            rows = self._table(OPEN_TABLE).query_entities(
                f"PartitionKey eq 'action' and {column} eq @value", parameters={"value": value}, select=["RowKey"]
            )
            return [row["RowKey"] for row in rows]

    # -- retention ----------------------------------------------------------------------------------------------------

    def sweep_old(self, before: datetime, *, most: int) -> int:
        """Delete at most `most` of the records last written before `before`, but those still open; return how many."""
        still_open = {key for row in self.list_open() for key in (row.key, row.event)}
        count = 0
        with temporary("sweeping old records"):
            for name in (EVENTS_TABLE, ACTIONS_TABLE):
                table = self._table(name)
                old = table.query_entities(
                    "Timestamp lt @before", parameters={"before": before}, select=["PartitionKey", "RowKey", "blob"]
                )
                for entity in old:
                    if entity["PartitionKey"] in still_open:
                        continue
                    if count == most:
                        return count
                    if entity.get("blob"):
                        self._delete_blobs(entity["PartitionKey"])
                    table.delete_entity(entity["PartitionKey"], entity["RowKey"])
                    count += 1
        return count

    # -- the tables ---------------------------------------------------------------------------------------------------

    def _table(self, name: str) -> "TableClient":
        return self._account.table(name)

    def _blob(self, name: str) -> Any:
        return self._account.blobs.get_blob_client(PAYLOADS_CONTAINER, name)

    def _delete_blobs(self, key: str) -> None:
        container = self._account.blobs.get_container_client(PAYLOADS_CONTAINER)
        for blob in container.list_blobs(name_starts_with=f"{key}/"):
            container.delete_blob(blob.name)

    def _pack(self, name: str, key: str, text: str) -> dict[str, Any]:
        """Keep text in the entity's own properties, or in a blob that the entity names."""
        properties = pack(name, text)
        if properties is not None:
            return dict(properties)
        packed = compress(text)
        blob = f"{key}/{digest(text)}.json.gz"
        with temporary(f"writing the payload of {key}"):
            self._blob(blob).upload_blob(packed, overwrite=True)
        return {"blob": blob}

    def _unpack(self, name: str, entity: Any) -> str:
        text = unpack(name, entity)
        if text is not None:
            return text
        with temporary("reading a payload"):
            return expand(self._blob(entity["blob"]).download_blob().readall())


def _token(token: str) -> str:
    return digest(token) if token else ""


def _read_as[T: BaseModel](shape: type[T], text: str, what: str) -> T:
    try:
        return shape.model_validate_json(text)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise PermanentError(
            f"the record of {what} cannot be read by this version of the app: {where}", remedy="run a newer version"
        ) from None


def _open_row(entity: Any) -> OpenRow:
    return OpenRow(
        what=entity["PartitionKey"],
        key=entity["RowKey"],
        since=entities.utc(entity["since"]),
        event=entity.get("event", ""),
        wake_on=entity.get("wake_on", ""),
        cancel_on=entity.get("cancel_on", ""),
    )
