"""Whether an action may go on now: what is called off, expected, paused or limited is held here, before its next step.

The decisions are `limits`' and `correlation`'s; here they are read from storage and written there, under the ETag of
what they rest on, so that of twenty events at once as many act as may.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared import correlation, limits
from shared.actions import Action, Cancellation, Status
from shared.errors import PermanentError, TemporaryError, UnansweredError
from shared.ledger import TRIES, Ledger
from shared.policy import Told, show_duration
from shared.settle import Timing, begin_stage, end, postpone
from shared.slots import Slots, next_queued, release
from shared.storage.slots import SlotsTable

if TYPE_CHECKING:
    from shared.storage.pauses import Pause

log = logging.getLogger("reactor")

BEHIND_ANOTHER = timedelta(minutes=30)
"""How often an action that waits for another one's end looks by itself; that end wakes it."""

GIVEN_BACK_UNLESS = {Status.CANCELED: "committed", Status.SKIPPED: "touched", Status.FAILED: "touched"}
"""An action that ended so gives its slots back, unless it did that. Whoever was asked in vain is not asked again."""


class Admissions:
    """Lets actions begin, and go on."""

    def __init__(
        self,
        slots: SlotsTable,
        ledger: Ledger,
        paused: "Callable[[str], Pause | None]",
        clock: Callable[[], datetime],
        timing: Timing,
    ) -> None:
        self._slots = slots
        self._ledger = ledger
        self._paused = paused
        self._clock = clock
        self._timing = timing

    def hear_cancellation(self, action: Action) -> None:
        """Note it where an event called the action off before it could be found."""
        if action.cancel_key and not action.admitted and not action.canceled:
            event = self._said_since(action.cancel_key, action)
            if event:
                action.canceled = Cancellation(by=f"event {event}", at=self._clock())

    def hold(self, action: Action) -> Action | None:
        """Return the record that follows where an action may not go on now, None where it may."""
        looks = (self._expect,) if action.expect else (self._pause, self._admit)
        moved = action.model_copy(deep=True, update={"error": "", "note": "", "asleep": False})
        for look in looks:
            held = look(moved)
            if held is not None:
                if held.is_open:
                    log.info("action=%s rule=%s outcome=held note=%s", held.key, held.rule, held.note)
                return held
        action.admitted, action.digest, action.more, action.note = True, moved.digest, moved.more, ""
        return None

    def release(self, action: Action) -> None:
        """Say to its limits that an action ended, and let the one begin that waited for it."""
        if not action.limit or not action.scope:
            return
        unless = GIVEN_BACK_UNLESS.get(action.status)
        gives_back = unless is not None and not getattr(action, unless)
        if action.limit.at_most:
            self._release(correlation.budget(action.rule, action.mode), action, gives_back=gives_back)
        if not action.limit.only_at_most:
            slots = self._release(action.scope, action, gives_back=gives_back)
            while (waiting := next_queued(slots)) and not self._wake(waiting.key):
                slots = slots.without(waiting.key)

    # -- what holds an action -----------------------------------------------------------------------------------------

    def _pause(self, action: Action) -> Action | None:
        """Wait while the rule is paused; a step that has begun something is finished, or undone, all the same."""
        pause = self._paused(action.rule)
        state = None if _is_between_steps(action) else action.progress[-1]
        if not pause or (state and (state.started or state.touched or state.starting_at or state.committed)):
            return None
        now = self._clock()
        if state and state.held:  # nobody else waits for what only waits itself: it begins its step again
            begin_stage(state, "", "", now)
            state.result = {}
        elif state:
            state.began = now  # a stage's time does not run meanwhile
        action.note = f"paused by {pause.by or 'somebody'}" + (f": {pause.reason}" if pause.reason else "")
        return postpone(action, now + self._timing.recheck / 2, now, asleep=False)

    def _admit(self, action: Action) -> Action | None:
        """Ask its limits whether the action may begin."""
        limit = action.limit
        if action.admitted or limit is None:
            return None
        asking = limits.Asking(
            key=action.slot_key,
            holder=action.key,
            at=action.created,
            event=_told(action),
            digest=tuple(action.digest),
            more=action.more,
        )
        if not limit.only_at_most:
            answer = self._ask(
                action.scope, lambda slots: limits.decide(limit, slots, asking, self._clock(), self._is_over)
            )
            for key in answer.replaces:
                self._replace(key, action)
            for key in answer.dropped:
                self._wake(key)
            if answer.digest:
                action.digest, action.more = list(answer.digest.events), answer.digest.more
            if answer.verdict != "go":
                return self._refused(action, answer)
        if rate := limit.at_most:
            key = correlation.budget(action.rule, action.mode)
            answer = self._ask(key, lambda slots: limits.decide_budget(rate, slots, asking, self._clock()))
            if answer.verdict != "go":
                return self._refused(action, answer)
        return None

    def _refused(self, action: Action, answer: limits.Admission) -> Action:
        """Skip an action, or have it wait."""
        now = self._clock()
        if answer.verdict == "skip":
            return end(action, Status.SKIPPED, answer.reason, now)
        action.note = answer.reason
        return postpone(action, answer.until or now + BEHIND_ANOTHER, now, asleep=answer.until is None)

    def _expect(self, action: Action) -> Action:
        """Wait for the event that should follow; say that it did, or did not."""
        assert action.expect is not None
        now, until = self._clock(), action.created + action.expect.within
        if action.canceled:
            return end(action, Status.CANCELED, f"called off by {action.canceled}", now)
        if not action.met:
            action.met = self._said_since(action.scope, action, within=action.expect.within)
        if action.met:
            return end(action, Status.SUCCEEDED, f"event {action.met} followed", now)
        if now >= until:
            words = f"no {action.expect.kind} followed within {show_duration(action.expect.within)}"
            return end(action, Status.EXPIRED, words, now)
        action.note = f"waits for {action.expect.kind}"
        return postpone(action, until, now, asleep=True)

    def _said_since(self, token: str, action: Action, within: timedelta = timedelta.max) -> str:
        """Return the key of another event that said so no earlier than the action's own happened, "" where none did."""
        mark = self._slots.read_mark(token)
        if mark is None or mark[1] == action.event:
            return ""
        return mark[1] if timedelta() <= mark[0] - action.moment <= within else ""

    # -- slots --------------------------------------------------------------------------------------------------------

    def _ask(self, key: str, decide: Callable[[Slots], limits.Admission]) -> limits.Admission:
        """Decide by what is remembered, and remember what follows; again where somebody else was faster."""
        for _ in range(TRIES * 4):
            slots, etag = self._slots.read(key)
            answer = decide(slots)
            if answer.slots == slots or self._write(key, answer.slots, etag):
                return answer
        return limits.Admission("wait", slots, "too many ask at once", until=self._clock() + self._timing.recheck / 10)

    def _release(self, key: str, action: Action, *, gives_back: bool) -> Slots:
        for _ in range(TRIES * 4):
            slots, etag = self._slots.read(key)
            released = release(
                slots,
                action.slot_key,
                action.key,
                gives_back=gives_back,
                succeeded=action.status is Status.SUCCEEDED,
            )
            if released == slots or self._write(key, released, etag):
                return released
        raise TemporaryError(f"the limit {key} is asked by too many at once")

    def _write(self, key: str, slots: Slots, etag: str) -> bool:
        try:
            return self._slots.write(key, slots, etag, self._clock())
        except UnansweredError:
            return False  # it may have been done: read again, and find it there

    def _is_over(self, key: str, since: datetime) -> bool:
        """Tell whether an action has ended, whose end may not have been written to the limit.

        One that another version of the app wrote may go on there, but not for ever.
        """
        try:
            action = self._ledger.latest(key)
        except PermanentError:
            return self._clock() > since + self._timing.deadline
        return action is None or not action.is_open

    def _replace(self, key: str, action: Action) -> None:
        """Call off the action that runs, where nothing irreversible has begun; else its end is waited for."""
        by = Cancellation(by=f"action {action.key}", at=self._clock(), reason="a newer event took its place")
        with suppress(PermanentError):  # another version of the app runs it
            if running := self._ledger.latest(key):
                self._ledger.call_off(running.key, by)

    def _wake(self, key: str) -> bool:
        """Have the action of a slot look again; False where there is none that could."""
        try:
            waiting = self._ledger.latest(key)
        except PermanentError:
            return False
        return waiting is not None and waiting.is_open and self._ledger.wake(waiting.key) is not None


def _told(action: Action) -> Told:
    """Say what event an action answers, as a digest lists it."""
    return Told(key=action.event, kind=action.heard, subject=action.subject, source=action.source, time=action.moment)


def _is_between_steps(action: Action) -> bool:
    """Tell whether no step is under way: its remote job is there, or may be."""
    return not action.progress or bool(action.progress[-1].outcome)
