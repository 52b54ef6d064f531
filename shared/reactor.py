"""READ FIRST: what happens to an event, from the door to the outcome.

    receive   a body from a door is parsed, or parked with the reason; an event is planned: matched against the rules,
              its plan recorded once, its actions handed over to the actions queue              (planner.py)
    perform   a message of the actions queue: the action is claimed, one stage of it is done (stages.py), what came of
              it is settled into its record (settle.py), and the next message is sent         (performer.py, ledger.py)
    announce  an action that ended: its outcome is an event, and is planned like any other    (performer.py)
    sweep     on a schedule: what is overdue is woken, what was left half done is finished

The action's record is the truth and its ETag decides; messages only wake it, and any of them may come twice, late or
never. docs/protocol.md tells why nothing gets lost and nothing happens twice.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared import events
from shared.actions import Message
from shared.errors import TemporaryError
from shared.events import digest
from shared.ledger import Ledger, Send
from shared.performer import Performer
from shared.planner import Planner
from shared.settle import Timing
from shared.storage import ACTIONS_QUEUE
from shared.storage.records import Records

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.rules import Rules

log = logging.getLogger("reactor")

OUTAGE_LEASES = 144
"""An action that storage keeps from being performed is tried for this many leases: a day."""
RETRY_LEASES = 6
"""And it is tried again after this many: an hour."""
FORGET_AT = 3
"""The hour, UTC, whose first sweep deletes old records."""


class Reactor:
    """What the doors call, with everything it depends on as an argument."""

    def __init__(
        self,
        *,
        records: Records,
        send: Send,
        rules: "Callable[[], Rules | None]",
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
        self._planner = Planner(records, self._ledger, rules, clock, timing)
        self._performer = Performer(
            records,
            self._ledger,
            self._planner,
            rules=rules,
            handlers=handlers,
            clients=clients,
            values=values,
            clock=clock,
            timing=timing,
        )

    def receive(self, door: str, body: str | bytes, at: datetime | None = None) -> None:
        """Take a body from a door: an event is planned, anything else is parked.

        `at` is when the message was sent, where its door knows. Raises TemporaryError only, when storage fails.
        """
        self._planner.receive(door, body, at or self._clock())

    def perform(self, body: str | bytes, message_id: str) -> None:
        """Do one stage of the action that a message names, and send the message for the next."""
        message = self._read(body)
        if message is not None:
            self._performer.perform(message, message_id)

    def sweep(self) -> None:
        """Wake every action that is overdue, and finish every event that was left half done; at night, forget."""
        for row in self._records.list_open():
            sweep = self._performer.sweep if row.what == "action" else self._planner.sweep
            sweep(row)
        now = self._clock()
        if timedelta() <= now - now.replace(hour=FORGET_AT, minute=0, second=0, microsecond=0) < self._timing.overdue:
            self.forget()

    def forget(self) -> None:
        """Delete what has been over for longer than records are kept."""
        count = self._records.sweep_old(self._clock() - self._keep)
        log.info("outcome=swept records=%d", count)

    def receive_poisoned(self, door: str, queue: str, body: str | bytes, at: datetime | None = None) -> None:
        """Take a notification that the host gave up on: once more, else park it and announce that.

        While storage fails it goes back to its queue for an hour.
        """
        try:
            self.receive(door, body, at)
        except TemporaryError:
            text = body.decode("utf-8", "backslashreplace") if isinstance(body, bytes) else body
            self._send(queue, text, self._timing.lease * RETRY_LEASES)
        except Exception as error:
            log.exception("door=%s outcome=programming_error", door)
            now = self._clock()
            reason = f"{type(error).__name__}: {error}"
            self._planner.park(door, body, reason, at or now)
            failure = {"step": "plan", "reason": reason, "remedy": "see the parked event"}
            facts = {"action": {"rule": "", "status": "failed"}, "failure": failure}
            self._planner.plan(events.announce("ActionFailed", id=digest(door, str(body)), time=now, facts=facts), now)

    def perform_poisoned(self, body: str | bytes, message_id: str) -> None:
        """Take an action that the host gave up on: a recorded cause ends it, an outage is waited out for a day."""
        message = self._read(body)
        action = self._ledger.read(message.action) if message else None
        if message is None or action is None or not action.is_open:
            return
        if not action.error and self._clock() < action.due + self._timing.lease * OUTAGE_LEASES:
            self._send(ACTIONS_QUEUE, message.model_dump_json(), self._timing.lease * RETRY_LEASES)
            return
        current = Message(action=action.key, seq=action.seq)
        self._performer.fail(current, message_id, action.error or "storage failed for a day")

    def _read(self, body: str | bytes) -> Message | None:
        """Read a message of the actions queue; park what is none."""
        try:
            return Message.model_validate_json(body)
        except ValueError:
            self._planner.park("actions", body, "not a message of the actions queue", self._clock())
            return None
