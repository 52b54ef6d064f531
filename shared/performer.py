"""Moves one action forward by one stage, settles what came of it, and announces its end."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from shared import pace
from shared.actions import FLAGS, Action, Failure, Message, Status, StepState
from shared.admission import Admissions
from shared.defects import told
from shared.errors import DeniedError, PermanentError, ReactorError, TemporaryError
from shared.ledger import ClaimLostError, Ledger
from shared.outcomes import on_the_way, outcome
from shared.planner import Planner
from shared.plans import follow_up, open_row
from shared.preparation import Preparations, Ready, without_settings
from shared.settle import Timing, Verdict, current_state, end, settle
from shared.stages import Done, End, NotStarted, Pending, Waiting, perform_stage
from shared.storage.records import OpenRow, Records
from shared.storage.timeline import Timeline

log = logging.getLogger("reactor")


class Performer:
    """Performs actions, a stage at a time."""

    def __init__(
        self,
        *,
        records: Records,
        ledger: Ledger,
        planner: Planner,
        admissions: Admissions,
        preparations: Preparations,
        timeline: Timeline,
        clock: Callable[[], datetime],
        timing: Timing,
    ) -> None:
        self._records = records
        self._ledger = ledger
        self._planner = planner
        self._admissions = admissions
        self._preparations = preparations
        self._timeline = timeline
        self._clock = clock
        self._timing = timing

    def perform(self, message: Message, message_id: str) -> None:
        """Do one stage of the action that a message names, and send the message for the next."""
        self._under_claim(message, message_id, self._advance)

    def fail(self, message: Message, message_id: str, cause: str) -> None:
        """End the current step as failed, for a cause that no stage told."""
        error = PermanentError(cause, remedy="see the log of this action, then replay its event")
        self._under_claim(message, message_id, lambda action: self._fail(action, error))

    def _fail(self, action: Action, error: PermanentError) -> Action:
        if action.todo:
            undoes = self._preparations.undoes(action)
            return settle(action, error, "", self._clock(), self._timing, undoes=undoes)
        failure = Failure(step="expect", reason=error.reason, remedy=error.remedy)
        moved = action.model_copy(deep=True, update={"error": "", "failure": failure})
        return end(moved, Status.FAILED, error.reason, self._clock())

    def _under_claim(self, message: Message, message_id: str, move: Callable[[Action], Action]) -> None:
        """Claim the action, have it moved, write that down, and send what follows or announce the end."""
        action = self._ledger.claim(message, message_id)
        if action is None:
            return
        try:
            if not action.is_open:
                self.announce(action)
                return
            self._settle(move(action), action, message_id)
        except ClaimLostError:
            log.warning("action=%s rule=%s outcome=claim_lost", action.key, action.rule)
        except ReactorError:
            raise
        except Exception as error:  # noqa: BLE001 # the one place: recorded here, then raised to the host
            defect = told(error, f"action={action.key} rule={action.rule}")
            if action.is_open:
                self._ledger.give_up(action, str(defect))
            raise defect from None

    def _advance(self, action: Action) -> Action:
        """Perform the current stage and return the record that follows; nothing is written but what a start needs."""
        self._admissions.hear_cancellation(action)
        if action.canceled and not action.expect and not _is_undoing(action):
            ended = self._call_off(action) if action.canceled.is_by_person or not action.is_irrevocable else None
            if ended is not None:
                return ended
            action.canceled = None  # too late: it goes on
        held = self._admissions.hold(action)
        if held is not None:
            return held
        state = current_state(action, self._clock())
        verdict: Verdict
        next_stage, within = "", None
        try:
            ready = self._preparations.prepare(action, state)
            within = ready.within
            if action.mode == "dry_run" and ready.stage.effect != "decides":
                verdict = Done(note="dry run: nothing was touched")
            else:
                next_stage = ready.next_stage
                verdict = self._perform(action, state, ready)
        except (TemporaryError, PermanentError) as error:
            verdict = error
        verdict = masked(verdict, self._preparations.settings_of(state))
        log_outcome(action, state, verdict)
        if isinstance(verdict, Done) and verdict.announces:
            now = self._clock()
            self._planner.plan(on_the_way(action, state, verdict.announces, verdict.result, now), now)
        if isinstance(verdict, Done) and verdict.later:
            self._planner.put_off(follow_up(action, state, verdict.later, self._clock()))
        undoes = self._preparations.undoes(action)
        return settle(action, verdict, next_stage, self._clock(), self._timing, undoes=undoes, within=within)

    def _perform(self, action: Action, state: StepState, ready: Ready) -> Verdict:
        try:
            with pace.listening() as asked:
                progress = perform_stage(
                    ready.stage,
                    ready.params,
                    ready.job,
                    state,
                    patience=self._timing.patience,
                    may_start=lambda: self._clock() <= action.claimed_at + self._timing.start_within,
                    about_to_start=lambda: self._note_start(action, state),
                )
        finally:
            state.committed |= state.touched and ready.stage.effect == "acts"
            state.can_be_undone = bool(self._preparations.undoes(action))
            action.touched |= state.touched and ready.stage.effect in {"acts", "prepares", "tells"}
            action.committed |= state.committed
        return replace(progress, no_sooner=max(asked, default=0.0)) if isinstance(progress, Pending) else progress

    def _call_off(self, action: Action) -> Action | None:
        """End an action that was called off, undoing what its step began; None where that cannot be undone.

        What the record does not know of may have been started by somebody who died, so the remote job is looked for.
        """
        moved = action.model_copy(deep=True)
        state = current_state(moved, self._clock())
        verdict: Verdict = End(Status.CANCELED, f"called off by {action.canceled}")
        undoes = self._preparations.undoes(moved)
        try:
            ready = self._preparations.prepare(moved, state)
        except PermanentError as error:  # what cannot be prepared cannot have begun in this stage
            why = error if state.committed and not undoes else verdict
            return settle(moved, why, "", self._clock(), self._timing, undoes=undoes)
        try:
            begun = action.mode == "live" and not _is_not_there(ready, state)
        except TemporaryError as error:
            begun, verdict = False, error
        except PermanentError:
            begun = True  # it is there, and has failed
        if begun and not undoes:
            log.warning("action=%s rule=%s outcome=too_late_to_cancel", action.key, action.rule)
            return None
        state.committed |= begun
        return settle(moved, verdict, "", self._clock(), self._timing, undoes=undoes)

    def _settle(self, moved: Action, claimed: Action, message_id: str) -> None:
        """Write what follows, then send the message for it, or announce the end."""
        moved.seq, moved.moved_by, moved.claim = claimed.seq + 1, message_id, None
        if not moved.is_open:
            moved.announced = not moved.limit and not self._is_heard(moved)
        waited_for = claimed.progress[-1].wake_on if claimed.progress else ""
        written = self._ledger.write(moved, claimed, _once_more(moved, claimed, self._clock()))
        if not written.is_open:
            line = "action=%s rule=%s outcome=%s reason=%s"
            log.info(line, written.key, written.rule, written.status.value, written.reason)
            self.announce(written)
            return
        self._preparations.let_go(written)
        row = open_row(written)
        if row.wake_on != waited_for and not written.expect:
            self._records.open(row)
        if not written.asleep or written.wake:
            self._ledger.send(written)

    def _note_start(self, action: Action, state: StepState) -> bool:
        """Write down that something is about to be started that we cannot name; False where it was called off."""
        state.starting_at, state.empty_find = self._clock(), None
        written = self._ledger.write(action, action)
        action.etag, action.write = written.etag, written.write
        for flag in FLAGS:
            setattr(action, flag, getattr(written, flag))
        return action.canceled is None

    def announce(self, action: Action) -> None:
        """Plan the outcome of an action that ended, let go of what it held, and forget it as open."""
        if not action.announced:
            self._admissions.release(action)
            event = outcome(action)
            if event is not None:
                self._planner.plan(event, self._clock())
            self._ledger.change(action.key, {"announced": True})
        self._timeline.note_action(action)
        self._records.close("action", action.key)

    def _is_heard(self, action: Action) -> bool:
        """Whether the outcome leads to anything; where it does not, nothing more is written."""
        event = outcome(action)
        return event is not None and self._planner.hears(event)

    def sweep(self, row: OpenRow) -> None:
        """Wake an action that is overdue: its message was lost, or whoever had it died."""
        action = self._ledger.read(row.key)
        now = self._clock()
        late = timedelta() if action and action.asleep else self._timing.overdue
        if action is None:
            if row.since + self._timing.overdue <= now:  # else somebody may just be making it
                self._records.close("action", row.key)
        elif not action.is_open and action.announced:
            self._timeline.note_action(action)
            self._records.close("action", row.key)
        elif not action.is_claimed(now) and action.due + late <= now:
            log.info("action=%s rule=%s outcome=woken", action.key, action.rule)
            self._ledger.send(action, timedelta())


def masked(verdict: Verdict, values: Mapping[str, str]) -> Verdict:
    """Put the names of settings in place of their values, in all that a verdict says to people."""
    without = partial(without_settings, values=values)
    if not values:
        return verdict
    if isinstance(verdict, TemporaryError | PermanentError):
        verdict.reason = without(verdict.reason)
        if isinstance(verdict, PermanentError | DeniedError):
            verdict.remedy = without(verdict.remedy)
        return verdict
    if isinstance(verdict, End):
        return replace(verdict, reason=without(verdict.reason))
    return replace(verdict, note=without(verdict.note))


def _is_undoing(action: Action) -> bool:
    """Tell whether what the current step began is being undone: there is no calling that off."""
    return bool(action.progress) and action.progress[-1].undoing is not None and not action.progress[-1].outcome


def _once_more(moved: Action, claimed: Action, now: datetime) -> Action | None:
    """Say what to write in place of an end that waited too long, where somebody decided meanwhile: look again."""
    undoing = moved.progress[-1].undoing if moved.progress else None
    has_expired = undoing is not None and undoing.status is Status.EXPIRED and not _is_undoing(claimed)
    if moved.status is not Status.EXPIRED and not has_expired:
        return None
    again = {"seq": moved.seq, "moved_by": moved.moved_by, "claim": None, "due": now, "asleep": False}
    return claimed.model_copy(deep=True, update=again)


def _is_not_there(ready: Ready, state: StepState) -> bool:
    """Tell whether nothing irreversible was begun: for certain, so the remote job is looked for."""
    if ready.stage.effect != "acts":
        return True
    return not state.started and state.starting_at is None and ready.stage.find(ready.params, ready.job) is None


WORDS: dict[type, str] = {
    Done: "done",
    Pending: "pending",
    Waiting: "asleep",
    End: "ends",
    NotStarted: "waiting",
    PermanentError: "failed",
}
"""What the log calls a verdict; every other is a temporary error."""


def log_outcome(action: Action, state: StepState, verdict: Verdict) -> None:
    """Write the one line about what came of a stage."""
    word = WORDS.get(type(verdict), "temporary_error")
    note = verdict.note if isinstance(verdict, Done | Pending | Waiting | NotStarted) else verdict.reason
    line = "action=%s rule=%s seq=%d step=%s stage=%s outcome=%s note=%s"
    level = logging.WARNING if word == "failed" else logging.INFO
    log.log(level, line, action.key, action.rule, action.seq, state.id, state.stage, word, note)
