"""Reads what happened, from the records and the timeline. It writes nothing."""

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import batched
from typing import TYPE_CHECKING

from pydantic_core import to_json

from shared.actions import Action
from shared.errors import MalformedError, PermanentError
from shared.events import digest, without_url_queries
from shared.history.explaining import explain, payload_of, read_payload
from shared.history.filters import Query, read_query
from shared.history.views import (
    ActionDetail,
    ActionPage,
    EventDetail,
    EventPage,
    RecordedEvent,
    RecordedPage,
    action_detail,
    action_summary,
    event_summary,
)
from shared.rules.declared import source_key
from shared.storage.records import EventRecord, Records
from shared.storage.timeline import Row, Rows, Timeline, What, action_row, event_row, place

if TYPE_CHECKING:
    from shared.rules import Rules

KEY_LENGTH = 32
SHORTEST_KEY = 6
KEY = re.compile(rf"[0-9a-f]{{{SHORTEST_KEY},{KEY_LENGTH}}}\Z")
OPEN_READ = 500
"""Open actions that one page reads at most: each is a record of its own."""
AT_ONCE = 4
"""Records that one page reads at the same time: the SDK keeps ten connections for the whole app."""
LARGEST_PAGE = 4 * 1024 * 1024
"""Bytes of the events of a page with payloads; a larger one stands alone."""
LONGEST_CHAIN = 50
"""Replays of replays that are shown."""


class History:
    """Gives events and actions, listed or one by one."""

    def __init__(
        self,
        records: Records,
        timeline: Timeline,
        *,
        rules_by_hash: "Callable[[str], Rules | None]",
        rules_now: "Callable[[], Rules | None]",
        clock: Callable[[], datetime],
    ) -> None:
        self._records = records
        self._timeline = timeline
        self._rules_by_hash = rules_by_hash
        self._rules_now = rules_now
        self._clock = clock

    # -- listings -----------------------------------------------------------------------------------------------------

    def events(self, params: Mapping[str, str]) -> EventPage | RecordedPage:
        """List events, newest first; MalformedError names the filter that is wrong."""
        query = self._query("events", params)
        found = self._timeline.read("events", query.wanted, most=query.most, after=query.after)
        if query.has_payload:
            return self._recorded(found)
        names = self._naming()
        return EventPage(events=[event_summary(row, names(row.source)) for row in found.rows], next=found.next or None)

    def _recorded(self, found: Rows) -> RecordedPage:
        """Add the payload to each event, as far as one answer holds them; one that is swept by now is left out."""
        names = self._naming()
        shown: list[RecordedEvent] = []
        size, last = 0, ""
        with ThreadPoolExecutor(AT_ONCE) as readers:
            for some in batched(found.rows, AT_ONCE, strict=False):
                read = readers.map(lambda row: self._read_recorded(row, names(row.source)), some)
                for row, event in zip(some, read, strict=True):
                    size += len(to_json(event)) if event else 0
                    if size > LARGEST_PAGE and shown:
                        return RecordedPage(events=shown, next=last)
                    shown += [event] if event else []
                    last = row.place
        return RecordedPage(events=shown, next=found.next or None)

    def actions(self, params: Mapping[str, str]) -> ActionPage:
        """List actions, newest first; MalformedError names the filter that is wrong."""
        query = self._query("actions", params)
        found = self._answering(query) if query.event else self._all_actions(query)
        names = self._naming()
        shown = [action_summary(row, names(row.source)) for row in found.rows]
        return ActionPage(actions=shown, next=found.next or None)

    def _all_actions(self, query: Query) -> Rows:
        """List actions by time: those that ended as the timeline has them, beside those that are open."""
        status, ended, still_open = query.wanted.status, Rows(()), Rows(())
        if status != "open":
            ended = self._timeline.read("actions", query.wanted, most=query.most, after=query.after)
        if status in ("", "open"):
            still_open = self._open(query)
        return _merged(ended, still_open, query.most)

    def _answering(self, query: Query) -> Rows:
        """List the actions of one event, from its record."""
        key = self.find("events", query.event, field="event")
        record = self._records.read_event(key) if key else None
        rows = [action_row(action) for action in self._actions_of(record)] if record else []
        wanted = query.wanted
        found = [
            row
            for row in sorted(rows, key=lambda row: row.place)
            if row.place > query.after and wanted.since <= row.at <= wanted.until and wanted.fits(row)
        ]
        return Rows(tuple(found[: query.most]), found[query.most - 1].place if len(found) > query.most else "")

    def _query(self, what: What, params: Mapping[str, str]) -> Query:
        return read_query(what, params, self._clock(), self._rules_now())

    def _open(self, query: Query) -> Rows:
        """List the actions that have not ended, as the timeline lists the others."""
        wanted = query.wanted
        waiting = sorted(
            (place(row.since, row.key), row.key)
            for row in self._records.list_open()
            if row.what == "action" and wanted.since <= row.since <= wanted.until
        )
        waiting = [(at, key) for at, key in waiting if at > query.after]
        found: list[Row] = []
        for at, key in waiting[:OPEN_READ]:
            action = self._read_action(key)
            if action is not None and action.is_open and wanted.fits(row := action_row(action)):
                found.append(row)
                if len(found) == query.most:
                    return Rows(tuple(found), at if at != waiting[-1][0] else "")
        return Rows(tuple(found), waiting[OPEN_READ - 1][0] if len(waiting) > OPEN_READ else "")

    def _naming(self) -> Callable[[str], list[str]]:
        """Give what today's rules call a source."""
        rules = self._rules_now()
        sources = rules.declared.sources() if rules else {}
        return lambda source: sorted(sources.get(source_key(source), ()))

    # -- one by one ---------------------------------------------------------------------------------------------------

    def find(self, what: What, key: str, *, field: str = "key") -> str | None:
        """Complete a key that is given by its beginning; None where there is nothing, MalformedError where it is many.

        A whole key is returned as it is, whether or not there is something.
        """
        key = key.strip().lower()
        if not KEY.match(key):
            raise MalformedError(f"a key is {KEY_LENGTH} hex digits, or at least its first {SHORTEST_KEY}", field=field)
        if len(key) == KEY_LENGTH:
            return key
        found = self._timeline.find(what, key)
        if len(found) > 1:
            raise MalformedError(f"{key} is the beginning of several: {', '.join(found)}; give more of it", field=field)
        return found[0] if found else None

    def event(self, key: str) -> EventDetail | None:
        """Show an event, what became of it, and why; None where there is none."""
        found = self.find("events", key)
        record = self._records.read_event(found) if found else None
        if record is None:
            return None
        event = read_payload(record)
        summary = event_summary(event_row(record), self._naming()(record.source))
        kept = {name: getattr(record, name) for name in ("id", "type", "time", "door", "depth", "rules_hash")}
        return EventDetail(
            **summary.model_dump() | kept | {"reason": record.reason},
            handed_over=record.handed_over,
            facts=without_url_queries(event.facts) if event else {},
            payload=payload_of(record),
            actions=[self._detail(action) for action in self._actions_of(record)],
            explanation=explain(record, event, self._rules_by_hash, self._rules_now),
        )

    def action(self, key: str) -> ActionDetail | None:
        """Show an action; None where there is none."""
        found = self.find("actions", key)
        action = self._records.read_action(found) if found else None
        return self._detail(action) if action else None

    def _detail(self, action: Action) -> ActionDetail:
        summary = action_summary(action_row(action), self._naming()(action.source))
        replayed_as = digest("replay", action.key)
        there = self._read_action(replayed_as) is not None
        return action_detail(action, summary, replayed_as if there else "")

    def _actions_of(self, record: EventRecord) -> Iterator[Action]:
        """Read the actions of an event: as planned, those that do them again, and those of replays by other rules."""
        seen: set[str] = set()
        planned = {action.key: action for action in record.plan}
        for key in dict.fromkeys([*planned, *record.replayed]):
            following = key
            for _ in range(LONGEST_CHAIN):
                if following in seen:
                    break
                action = self._read_action(following) or planned.get(following)
                if action is None:
                    break
                seen.add(following)
                yield action
                following = digest("replay", following)

    def _read_recorded(self, row: Row, names: list[str]) -> RecordedEvent | None:
        """Read the payload of an event that is listed; None where its record is gone."""
        listed = event_summary(row, names).model_dump()
        try:
            record = self._records.read_event(row.key)
        except PermanentError:  # another version wrote it
            return RecordedEvent(**listed, door="", payload=None)
        if record is None:
            return None
        return RecordedEvent(**listed | {"received": record.received}, door=record.door, payload=payload_of(record))

    def _read_action(self, key: str) -> Action | None:
        """Read an action for a list: one that only another version can read is left out."""
        try:
            return self._records.read_action(key)
        except PermanentError:
            return None


def _merged(ended: Rows, still_open: Rows, most: int) -> Rows:
    """Put two listings into one, up to where both are known."""
    known_to = min((rows.next for rows in (ended, still_open) if rows.next), default="")
    by_key = {row.key: row for row in (*still_open.rows, *ended.rows)}  # one that ended meanwhile has ended
    rows = sorted((row for row in by_key.values() if not known_to or row.place <= known_to), key=lambda row: row.place)
    if len(rows) > most:
        return Rows(tuple(rows[:most]), rows[most - 1].place)
    return Rows(tuple(rows), known_to)
