"""From a body at a door to the actions it leads to: parse, match, record the plan once, hand over."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared import correlation, parse
from shared.actions import Action, Cancellation
from shared.errors import MalformedError
from shared.events import OWN_SOURCE, Event, canonical, digest, without_url_queries
from shared.ledger import Ledger
from shared.plans import open_row, plan
from shared.settle import Timing
from shared.storage.records import EventRecord, Mark, OpenRow, Records
from shared.storage.slots import SlotsTable
from shared.storage.timeline import Timeline

if TYPE_CHECKING:
    from shared.rules import Rules

log = logging.getLogger("reactor")

DEEPEST = 5
"""An event this many outcomes away from the wire starts nothing more: rules that answer each other end here."""
MOST_REASONS = 50
"""Rules of which an event keeps why they did not match; the rest is worked out again when somebody asks."""
REPEAT_WINDOW = timedelta(minutes=10)
"""Equal content that carries no id of its own is the same event for this long."""


class Planner:
    """Decides, once for each event, what is to be done about it."""

    def __init__(
        self,
        *,
        records: Records,
        ledger: Ledger,
        timeline: Timeline,
        slots: SlotsTable,
        rules: "Callable[[], Rules | None]",
        clock: Callable[[], datetime],
        timing: Timing,
    ) -> None:
        self._records = records
        self._ledger = ledger
        self._timeline = timeline
        self._slots = slots
        self._rules = rules
        self._clock = clock
        self._timing = timing

    def receive(self, door: str, body: str | bytes, at: datetime, *, is_poisoned: bool = False) -> None:
        """Plan the event that a body tells of; park what tells of none."""
        try:
            event = parse.PARSERS[door](body)
        except MalformedError as error:
            self.park(door, body, error.reason, at)
        else:
            self.plan(event, at, is_poisoned=is_poisoned)

    def park(self, door: str, body: str | bytes, reason: str, at: datetime) -> None:
        """Keep a body that nothing can be done with, and say why. The same body is parked once."""
        text = body.decode("utf-8", "backslashreplace") if isinstance(body, bytes) else body
        text = without_url_queries(text)
        key = digest("parked", door, text)
        parked = EventRecord(
            key=key, door=door, status="parked", reason=reason, received=at, payload=text, handed_over=True
        )
        if not self._records.insert_event(parked):
            parked = self._records.read_event(key) or parked
        self._timeline.note_event(parked)
        log.warning("event=%s door=%s outcome=parked reason=%s", key, door, reason)

    def plan(self, event: Event, at: datetime, *, is_poisoned: bool = False) -> None:
        """Decide what an event leads to, record that once, and hand it over.

        An event that is recorded already follows its stored plan, never today's rules.
        """
        key = self._occurrence(event, at, is_poisoned=is_poisoned) if event.repeatable else event.key
        record = self._judge(event, key, at)
        if event.source == OWN_SOURCE and not _leads_anywhere(record) and self._records.read_event(key) is None:
            return  # an outcome that no rule hears is not stored
        if self._records.insert_event(record):
            self._timeline.note_event(record)
            _log_plan(record)
        else:
            stored = self._records.read_event(key)
            if stored is None:
                return
            self._timeline.note_event(stored)
            if stored.handed_over:
                log.info("event=%s kinds=%s outcome=duplicate", key, " ".join(record.kinds))
                return
            record = stored
        if not record.handed_over:
            self._records.open(OpenRow(what="event", key=key, since=at))
        if record.status == "planned":
            self._hand_over(record)
        for token in parse.wake_tokens(event) if record.status != "refused" else ():
            for waiting in self._records.list_waiting(token):
                self._ledger.wake(waiting)

    def hears(self, event: Event) -> bool:
        """Tell whether an event of our own leads to anything by the rules of the moment."""
        rules = self._rules()
        return rules is None or bool(rules.match(event)) or any(correlation.followed(rules.following, event))

    def _occurrence(self, event: Event, at: datetime, *, is_poisoned: bool) -> str:
        """Return the key of an event whose wire carries no id.

        A poisoned copy comes late and has lost when it was first sent: it belongs to an occurrence left unfinished.
        """
        last = self._records.last_occurrence(event.key) if is_poisoned else None
        if last is not None:
            stored = self._records.read_event(last)
            if stored is None or not stored.handed_over:
                return last
        return self._records.occurrence(event.key, at, REPEAT_WINDOW)

    def _judge(self, event: Event, key: str, at: datetime) -> EventRecord:
        """Match an event against the rules of the moment; nothing is written."""
        for token in parse.begun_tokens(event):
            event = replace(event, depth=max(event.depth, self._slots.read_depth(token)))
        record = EventRecord(
            key=key,
            door=event.door,
            status="unplanned",
            type=event.type,
            kinds=sorted(event.kinds),
            id=event.id,
            source=event.source,
            subject=event.subject,
            time=event.time,
            received=at,
            depth=event.depth,
            payload=canonical(without_url_queries(event.payload)),
        )
        rules = self._rules()
        if rules is None:
            record.reason = "there is no valid rules file"
            return record
        record.rules_hash = rules.hash
        if not event.kinds:
            record.status, record.reason = "ignored", f"no rule can listen to {event.type}"
        elif not rules.declares(event):
            record.status, record.reason = "refused", f"the rules file does not declare {event.source}"
        elif event.depth >= DEEPEST:
            record.status, record.reason = "ignored", f"{event.depth} outcomes led here: rules answer each other"
        else:
            record.status = "planned"
            record.plan = plan(event, key, rules, at)
            record.marks = [
                Mark(what=following.what, rule=following.rule, token=following.token)
                for following in correlation.followed(rules.following, event)
            ]
            record.because = rules.against(event, most=MOST_REASONS)
        record.handed_over = not record.plan and not record.marks
        return record

    def _hand_over(self, record: EventRecord) -> None:
        """Put every planned action on its way, then mark the event: from now on it is a duplicate."""
        for mark in record.marks:
            self._follow(mark, record)
        for action in record.plan:
            if not self._records.insert_action(action):
                stored = self._records.read_action(action.key)
                if stored is None or stored.seq > 0 or not stored.is_open:
                    log.info("action=%s rule=%s outcome=there_already", action.key, action.rule)
                    continue
            self.start(action)
        if record.plan or record.marks:
            self._records.mark_handed_over(record.key)
            self._records.close("event", record.key)

    def start(self, action: Action) -> None:
        """Put an action that was inserted on its way."""
        self._records.open(open_row(action))
        self._ledger.send(action)

    def put_off(self, action: Action) -> None:
        """Keep an action that begins by itself once it is due: the sweep wakes it."""
        if self._records.insert_action(action):
            log.info("action=%s rule=%s outcome=put_off until=%s", action.key, action.rule, action.due.isoformat())
        self._records.open(open_row(action))

    def _follow(self, mark: Mark, record: EventRecord) -> None:
        """Call off, or fulfil, what a rule began for another event; what begins only now finds the mark."""
        moment = record.time or record.received
        self._slots.mark(mark.token, moment, record.key, self._clock())
        by = Cancellation(by=f"event {record.key}", at=self._clock(), reason=", ".join(record.kinds))
        is_met = mark.what == "expect"
        list_waiting = self._records.list_waiting if is_met else self._records.list_canceled_by
        for key in list_waiting(mark.token):
            action = self._ledger.read(key)
            if action is None or action.moment > moment or action.event == record.key:
                continue
            if not is_met:
                self._ledger.call_off(key, by)
            elif action.expect and moment <= action.moment + action.expect.within:
                self._ledger.wake(key, met=record.key)

    def sweep(self, row: OpenRow) -> None:
        """Finish an event that was left half done, or that came while there was no valid rules file."""
        record = self._records.read_event(row.key)
        if record is None or record.handed_over:
            self._records.close("event", row.key)
        elif record.status == "unplanned":
            self._plan_at_last(record)
        elif row.since + self._timing.overdue <= self._clock():
            self._hand_over(record)

    def _plan_at_last(self, record: EventRecord) -> None:
        try:
            planned = self._judge(parse.PARSERS[record.door](record.payload), record.key, record.received)
        except MalformedError as error:  # it was read once; this version of the app reads it no more
            planned = record.model_copy(update={"status": "parked", "reason": error.reason, "handed_over": True})
        planned.etag = record.etag
        if planned.status == "unplanned" or not self._records.replace_event(planned):
            return
        self._timeline.note_event(planned)
        _log_plan(planned)
        self._hand_over(planned)
        self._records.close("event", record.key)


def _leads_anywhere(record: EventRecord) -> bool:
    return bool(record.plan) or bool(record.marks) or record.status == "unplanned"


def _log_plan(record: EventRecord) -> None:
    """Write the one line about what an event leads to."""
    line = "event=%s kinds=%s outcome=%s actions=%d reason=%s"
    level = logging.WARNING if record.reason else logging.INFO
    log.log(level, line, record.key, " ".join(record.kinds), record.status, len(record.plan), record.reason)
