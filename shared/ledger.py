"""Who may write an action, and how a lost reply is settled: claims, conditional writes, flags, and the wake-up call.

The order of writes and sends was explored by a model (tests/unit/protocol_model.py): do not change it without one.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.actions import FLAGS, Action, Cancellation, Claim, Message
from shared.errors import TemporaryError, UnansweredError
from shared.events import digest
from shared.settle import Timing
from shared.storage import ACTIONS_QUEUE
from shared.storage.records import Records

log = logging.getLogger("reactor")

TRIES = 8
"""How often a conditional write is tried against others who write the same record."""
DECIDED = ("decision", "met")
"""Flags that an end which came of waiting too long must not pass over."""
Send = Callable[[str, str, timedelta], None]
"""Sends a body to a queue, to be seen after a delay."""


def replay_key(key: str) -> str:
    """Return the key of the action that does another one again: asking for that twice makes one."""
    return digest("replay", key)


class ClaimLostError(Exception):
    """Somebody else performs the action now; what we know of it is out of date."""


class Ledger:
    """The actions' records, written by one at a time."""

    def __init__(self, records: Records, send: Send, clock: Callable[[], datetime], timing: Timing) -> None:
        self._records = records
        self._send_body = send
        self._clock = clock
        self._timing = timing

    def read(self, key: str) -> Action | None:
        """Read an action as it stands; None where there is none."""
        return self._records.read_action(key)

    def latest(self, key: str) -> Action | None:
        """Read the last replay of an action, or the action itself where there is none; None where it does not exist."""
        action = self._records.read_action(key)
        while action is not None and (again := self._records.read_action(replay_key(action.key))) is not None:
            action = again
        return action

    def claim(self, message: Message, message_id: str) -> Action | None:
        """Make the action ours for a lease; None where this message has nothing more to do.

        An action that ended is returned unclaimed: its end may still have to be announced.
        """
        write = uuid.uuid4().hex
        for _ in range(TRIES):
            now = self._clock()
            action = self._records.read_action(message.action)
            if action is None:
                log.warning("action=%s outcome=unknown", message.action)
                return None
            if action.write == write or not action.is_open:
                return action
            if message.seq < action.seq:
                if action.moved_by == message_id:
                    self.send(action)
                return None
            if action.is_claimed(now) and not action.is_claimed_by(message_id):
                if message.seq > action.seq:
                    self._send_body(ACTIONS_QUEUE, message.model_dump_json(), self._timing.lease / 100)
                return None
            action.claim = Claim(message=message_id, write=write, since=now, until=now + self._timing.lease)
            action.write, action.wake = write, False
            if etag := self._try_to_write(action):
                action.etag = etag
                return action
        raise TemporaryError(f"action {message.action} is written by too many at once")

    def write(self, action: Action, claimed: Action, otherwise: Action | None = None) -> Action:
        """Write a record under our claim, whatever flags others set meanwhile; ClaimLostError where it is not ours.

        After a lost reply or a refused write the record is read again: our write id says that it was written,
        our claim says that only a flag was set beside us. `otherwise` is what is written in its place where somebody
        decided something meanwhile that it does not know of.
        """
        assert claimed.claim is not None
        write, ours = uuid.uuid4().hex, claimed.claim.write
        action = action.model_copy(update={"write": write})
        for _ in range(TRIES):
            if etag := self._try_to_write(action):
                return action.model_copy(update={"etag": etag})
            current = self._records.read_action(action.key)
            if current is not None and current.write == write:
                return current
            if current is None or current.claim is None or current.claim.write != ours:
                raise ClaimLostError
            if otherwise is not None and any(getattr(current, name) != getattr(claimed, name) for name in DECIDED):
                action = otherwise.model_copy(update={"write": write})
            due = min(action.due, self._clock()) if current.wake else action.due
            flags = {name: getattr(current, name) for name in FLAGS}
            action = action.model_copy(update={**flags, "due": due, "etag": current.etag})
        raise TemporaryError(f"action {action.key} is written by too many at once")

    def give_up(self, claimed: Action, error: str) -> None:
        """Write a programming error into the record as it stands, and free the claim for the next delivery.

        Nothing of what the failed attempt made is written: that may be what cannot be. Where storage fails too, the
        claim lapses by itself.
        """
        assert claimed.claim is not None
        for _ in range(TRIES):
            try:
                current = self._records.read_action(claimed.key)
                if current is None or current.claim is None or current.claim.write != claimed.claim.write:
                    return
                if self._try_to_write(current.model_copy(update={"error": error, "claim": None})):
                    return
            except TemporaryError:
                break
        log.warning("action=%s rule=%s the error could not be recorded", claimed.key, claimed.rule)

    def change(self, key: str, flags: Mapping[str, Any]) -> None:
        """Set flags without a claim and without waking anybody, trying again where somebody else wrote."""
        for _ in range(TRIES):
            action = self._records.read_action(key)
            if action is None or all(getattr(action, name) == value for name, value in flags.items()):
                return
            if self._try_to_write(action.model_copy(update=dict(flags))):
                return
        raise TemporaryError(f"action {key} is written by too many at once")

    def wake(self, key: str, **flags: Any) -> Action | None:
        """Have an action looked at now, and set other flags; nothing happens to one that has ended."""
        return self.update(key, lambda action: flags if action.is_open else None)

    def call_off(self, key: str, by: Cancellation) -> None:
        """Call off an action that has not begun anything irreversible; nothing happens to any other."""

        def flags(action: Action) -> Mapping[str, Any] | None:
            is_too_late = not action.is_open or action.is_irrevocable or action.canceled is not None
            return None if is_too_late else {"canceled": by}

        self.update(key, flags)

    def update(self, key: str, flags: Callable[[Action], Mapping[str, Any] | None]) -> Action | None:
        """Set the flags that an action as it stands should have, and have it looked at now; None where there is none.

        `flags` gives None where nothing is to be done. Whoever performs the action sees the flags, or else a message
        comes; where that message is lost, the sweep finds the action due.
        """
        written: Mapping[str, Any] = {}
        for _ in range(TRIES):
            action = self._records.read_action(key)
            if action is None:
                return None
            if not written or any(getattr(action, name) != value for name, value in written.items()):
                wanted = flags(action)
                if wanted is None:
                    return action
                written = dict(wanted)
                changed = {**written, "wake": True, "due": min(action.due, self._clock())}
                action = action.model_copy(update=changed)
                if not self._try_to_write(action):
                    continue
            if action.is_open:
                self.send(action, timedelta())
            return action
        raise TemporaryError(f"action {key} is written by too many at once")

    def send(self, action: Action, delay: timedelta | None = None) -> None:
        """Send the action's current number, to be seen after `delay`, by default when it is due."""
        message = Message(action=action.key, seq=action.seq)
        wait = action.due - self._clock() if delay is None else delay
        self._send_body(ACTIONS_QUEUE, message.model_dump_json(), wait)

    def _try_to_write(self, action: Action) -> str | None:
        """Write conditionally; None where somebody else wrote, or nobody knows: read again."""
        try:
            return self._records.write_action(action)
        except UnansweredError:
            return None
