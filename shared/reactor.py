"""READ FIRST: what happens to an event, from the door to the outcome.

    receive   a body from a door is parsed, or parked with the reason; an event is planned: matched against the rules,
              its plan recorded once, its actions handed over to the actions queue              (planner.py)
    perform   a message of the actions queue: the action is claimed, one stage of it is done (stages.py), what came of
              it is settled into its record (settle.py), and the next message is sent         (performer.py, ledger.py)
    announce  an action that ended: its outcome is an event, and is planned like any other    (performer.py)
    sweep     on a schedule: what is overdue is woken, what was left half done is finished; and the models that rules
              want are looked at, for tags that nothing announces                             (watching.py),
              what Custom Vision finished without a word                                 (vision_watching.py),
              and whether the second regions of Language projects are up to date       (language_watching.py)

The action's record is the truth and its ETag decides; messages only wake it, and any of them may come twice, late or
never. docs/protocol.md tells why nothing gets lost and nothing happens twice.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared import events
from shared.actions import Message
from shared.admission import Admissions
from shared.decisions import Decisions
from shared.defects import told
from shared.errors import PermanentError, ReactorError, TemporaryError
from shared.events import digest
from shared.language_watching import LanguageWatch
from shared.ledger import Ledger, Send
from shared.performer import Performer
from shared.planner import Planner
from shared.preparation import Preparations
from shared.settle import Timing
from shared.storage.locks import Locks
from shared.storage.records import Records
from shared.storage.slots import SlotsTable
from shared.storage.timeline import Timeline
from shared.vision_watching import VisionWatch
from shared.watching import Watch

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.rules import Rules
    from shared.storage.pauses import Pause

log = logging.getLogger("reactor")

OUTAGE_LEASES = 144
"""An action that storage keeps from being performed is tried for this many leases: a day."""
RETRY_LEASES = 6
"""And it is tried again after this many: an hour."""
FORGET_AT = 3
"""The hour, UTC, in which each sweep deletes some old records."""
FORGET_AT_ONCE = 1_000
"""So many at most: a function has five minutes."""


class Reactor:
    """What the doors call, with everything it depends on as an argument."""

    def __init__(
        self,
        *,
        records: Records,
        timeline: Timeline,
        slots: SlotsTable,
        locks: Locks,
        send: Send,
        rules: "Callable[[], Rules | None]",
        paused: "Callable[[str], Pause | None]",
        handlers: Mapping[str, str],
        clients: "Clients",
        values: Mapping[str, str],
        clock: Callable[[], datetime],
        timing: Timing,
        keep: timedelta,
    ) -> None:
        self._records = records
        self._send = send
        self._clock = clock
        self._timing = timing
        self._keep = keep
        self._ledger = Ledger(records, send, clock, timing)
        self._timeline = timeline
        self._slots = slots
        self._planner = Planner(
            records=records,
            ledger=self._ledger,
            timeline=timeline,
            slots=slots,
            rules=rules,
            clock=clock,
            timing=timing,
        )
        self.decisions = Decisions(
            records=records, ledger=self._ledger, planner=self._planner, rules=rules, values=values, clock=clock
        )
        """What people may decide about events and actions."""
        self._watch = Watch(clients=clients, rules=rules, announce=self._planner.plan, clock=clock)
        self._vision_watch = VisionWatch(
            clients=clients,
            records=records,
            timeline=timeline,
            rules=rules,
            values=values,
            announce=self._planner.plan,
            clock=clock,
            grace=timing.lease,
        )
        preparations = Preparations(
            records, locks, slots, rules=rules, handlers=handlers, clients=clients, values=values, clock=clock
        )
        self._language_watch = LanguageWatch(
            clients=clients,
            locks=locks,
            is_over=preparations.is_over,
            rules=rules,
            values=values,
            announce=self._planner.plan,
            clock=clock,
        )
        self._performer = Performer(
            records=records,
            ledger=self._ledger,
            planner=self._planner,
            admissions=Admissions(slots, self._ledger, paused, clock, timing),
            preparations=preparations,
            timeline=timeline,
            clock=clock,
            timing=timing,
        )

    def receive(self, door: str, body: str | bytes, at: datetime | None = None) -> None:
        """Take a body from a door: an event is planned, anything else is parked.

        `at` is when the message was sent, where its door knows. Raises TemporaryError, when storage fails, and
        DefectError.
        """
        try:
            self._planner.receive(door, body, at or self._clock())
        except ReactorError:
            raise
        except Exception as error:  # noqa: BLE001 # told without secrets, and raised
            raise told(error, f"door={door}") from None

    def perform(self, body: str | bytes, message_id: str) -> None:
        """Do one stage of the action that a message names, and send the message for the next."""
        message = self._read(body)
        if message is None:
            return
        try:
            self._performer.perform(message, message_id)
        except PermanentError as error:  # the record of another version: the sweep wakes it once it can be read
            log.error("action=%s outcome=unreadable reason=%s", message.action, error.reason)  # noqa: TRY400

    def sweep(self) -> None:
        """Wake every action that is overdue, and finish every event that was left half done; at night, forget.

        Then look for tags, for notifications that never came, and at second regions. What goes wrong with one does not
        keep the others waiting; the first of it is raised in the end.
        """
        wrong: list[Exception] = []
        for row in self._records.list_open():
            sweep = self._performer.sweep if row.what == "action" else self._planner.sweep
            try:
                sweep(row)
            except Exception as error:  # noqa: BLE001 # raised below, once the others have had their turn
                wrong.append(
                    error if isinstance(error, ReactorError) else told(error, f"sweeping {row.what}={row.key}")
                )
                log.error("%s=%s outcome=not_swept reason=%s", row.what, row.key, wrong[-1])  # noqa: TRY400
        watches: tuple[tuple[str, Watch | VisionWatch | LanguageWatch], ...] = (
            ("tags", self._watch),
            ("missed notifications", self._vision_watch),
            ("second regions", self._language_watch),
        )
        for what, watch in watches:
            try:
                watch.look()
            except Exception as error:  # noqa: BLE001 # what it could not look at, it told; this is a programming error
                wrong.append(told(error, f"looking for {what}"))
        if self._clock().hour == FORGET_AT:
            self.forget()
        if wrong:
            raise wrong[0]

    def forget(self) -> None:
        """Delete some of what has been over for longer than records are kept."""
        now = self._clock()
        count = self._records.sweep_old(now - self._keep, most=FORGET_AT_ONCE)
        count += self._timeline.sweep(now - self._keep, most=10 * FORGET_AT_ONCE)
        count += self._slots.sweep(now, most=FORGET_AT_ONCE)
        log.info("outcome=forgotten records=%d", count)

    def receive_poisoned(self, door: str, queue: str, body: str | bytes, at: datetime | None = None) -> None:
        """Take a notification that the host gave up on: once more, else park it and announce that.

        While storage fails it goes back to its queue for an hour.
        """
        now = self._clock()
        try:
            self._planner.receive(door, body, at or now, is_poisoned=True)
        except TemporaryError:
            text = body.decode("utf-8", "backslashreplace") if isinstance(body, bytes) else body
            self._send(queue, text, self._timing.lease * RETRY_LEASES)
        except Exception as error:  # noqa: BLE001 # the host has given up already: kept and announced instead
            reason = str(told(error, f"door={door}"))
            self._planner.park(door, body, reason, at or now)
            failure = {"step": "plan", "reason": reason, "remedy": "see the parked event"}
            facts = {"action": {"rule": "", "status": "failed"}, "failure": failure}
            self._planner.plan(events.announce("ActionFailed", id=digest(door, str(body)), time=now, facts=facts), now)

    def perform_poisoned(self, body: str | bytes, message_id: str) -> None:
        """Take an action that the host gave up on: a recorded cause ends it, an outage is waited out for a day."""
        message = self._read(body)
        if message is None:
            return
        try:
            action = self._ledger.read(message.action)
        except PermanentError as error:
            log.error("action=%s outcome=unreadable reason=%s", message.action, error.reason)  # noqa: TRY400
            return
        now = self._clock()
        if action is None or action.announced:
            return
        if not action.is_open:
            if action.ended and now >= action.ended + self._timing.lease * OUTAGE_LEASES:
                log.error("action=%s rule=%s outcome=end_not_announced", action.key, action.rule)
                self._ledger.change(action.key, {"announced": True})
            return
        if action.is_claimed(now) and not action.is_claimed_by(message_id):
            self._ledger.send(action, self._timing.lease)  # whoever has it may still end it
        elif not action.error and now < action.due + self._timing.lease * OUTAGE_LEASES:
            self._ledger.send(action, self._timing.lease * RETRY_LEASES)
        else:
            cause = action.error or "it was interrupted again and again for a day"
            self._performer.fail(Message(action=action.key, seq=action.seq), message_id, cause)

    def _read(self, body: str | bytes) -> Message | None:
        """Read a message of the actions queue; park what is none."""
        try:
            return Message.model_validate_json(body)
        except ValueError:
            self._planner.park("actions", body, "not a message of the actions queue", self._clock())
            return None
