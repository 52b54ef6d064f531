"""Turns what came of a stage into the action's next record. Pure: the clock is an argument.

This is the only place that decides whether something is tried again, goes on, or ends.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.actions import Action, Failure, Status, StepState, Undoing
from shared.errors import DeniedError, PermanentError, TemporaryError, UnansweredError
from shared.events import digest
from shared.stages import Done, End, NotStarted, Pending, Waiting

Verdict = Done | Pending | Waiting | End | NotStarted | TemporaryError | PermanentError
"""What came of a stage."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things may take; all but the deadline scales with the lease."""

    lease: timedelta
    poll: timedelta
    deadline: timedelta

    @property
    def patience(self) -> timedelta:
        """Between two looks for a job whose start was never answered: two minutes of a ten-minute lease."""
        return self.lease / 5

    @property
    def start_within(self) -> timedelta:
        """No start is made later than this after the claim: three minutes of a ten-minute lease."""
        return self.lease * 0.3

    @property
    def overdue(self) -> timedelta:
        """How late an action may be before a sweep wakes it: five minutes of a ten-minute lease."""
        return self.lease / 2

    @property
    def recheck(self) -> timedelta:
        """How often the rules, and what is paused, are looked at anew: every minute of a ten-minute lease."""
        return self.lease / 10

    @property
    def spread(self) -> timedelta:
        """How long a role may take to reach a service: an hour of a ten-minute lease."""
        return self.lease * 6

    def look_again(self, state: StepState) -> timedelta:
        """When to look at a pending job again: the usual interval, slowly growing to its double."""
        return self.poll * min(2.0, 1 + state.looks / 10)

    def try_again(self, action: Action, state: StepState) -> timedelta:
        """When to try again after a temporary error: doubling from a sixth of the poll, at most a lease, ±20 %."""
        delay = min(self.poll / 6 * 2.0 ** min(state.attempts, 30), self.lease)
        jitter = int(digest(action.key, str(action.seq))[:4], 16) / 0xFFFF
        return delay * (0.8 + 0.4 * jitter)


def current_state(action: Action, now: datetime) -> StepState:
    """Return the state of the step to be performed, beginning it where the one before it is over."""
    if not action.progress or action.progress[-1].outcome:
        step = action.todo[action.position]
        action.progress.append(StepState(id=step.id, action=step.action, began=now))
    return action.progress[-1]


def settle(
    action: Action,
    verdict: Verdict,
    next_stage: str,
    now: datetime,
    timing: Timing,
    *,
    undoes: str = "",
    within: timedelta | None = None,
) -> Action:
    """Return the record that follows from `verdict` on the current stage.

    `next_stage` names the stage after the current one, "" where it is the step's last. `undoes` names the stage that
    undoes what the step began, "" where none does. `within` is the stage's own deadline, where it has one.
    """
    moved = action.model_copy(deep=True, update={"error": "", "due": now, "asleep": False})
    state = current_state(moved, now)
    deadline = within or timing.deadline
    if not isinstance(verdict, Waiting | End):
        verdict = _unless_too_late(state, _unless_denied(state, verdict, now, timing), now, deadline)
    if isinstance(verdict, PermanentError | End) and undoes and state.committed and state.undoing is None:
        _begin_to_undo(state, verdict, undoes, now)
        return moved
    if isinstance(verdict, Waiting | End):
        return _leave(moved, state, verdict, now)
    _follow(moved, state, verdict, next_stage=next_stage, now=now, timing=timing)
    if state.began is not None and not state.outcome:
        moved.due = min(moved.due, state.began + deadline + timedelta(seconds=1))  # whatever a service asks for
    return moved


def _follow(
    action: Action,
    state: StepState,
    verdict: Done | Pending | NotStarted | TemporaryError | PermanentError,
    *,
    next_stage: str,
    now: datetime,
    timing: Timing,
) -> None:
    """Write what follows from a verdict into the record."""
    match verdict:
        case Done():
            _go_on(action, state, verdict, next_stage, now)
        case Pending():
            state.started = True
            state.starting_at = state.empty_find = None
            state.memory |= verdict.memory
            state.wake_on = verdict.wake_on
            state.note = verdict.note
            _forget_trouble(state)
            usual = timing.look_again(state) if verdict.after is None else timedelta(seconds=verdict.after)
            action.due = now + max(usual, timedelta(seconds=verdict.no_sooner))
            state.looks += 1
        case NotStarted():
            state.note = verdict.note
            if verdict.looked_in_vain:
                state.empty_find = state.empty_find or now
                action.due = state.empty_find + timing.patience
        case TemporaryError():
            action.due = now + _delay(action, state, verdict, timing)
            state.trouble, state.troubled = verdict.reason, state.troubled or now
            state.attempts += 1
        case PermanentError():
            _fail_step(action, state, _as_undone(state, verdict), now)


def _go_on(action: Action, state: StepState, done: Done, next_stage: str, now: datetime) -> None:
    """Turn to what comes after a stage that is done."""
    state.result |= done.result
    if state.undoing:
        _conclude(action, state, done.note, now)
    elif following := done.next or next_stage:
        begin_stage(state, following, done.note, now)
    else:
        _finish_step(action, state, done.note, now)


def _begin_to_undo(state: StepState, verdict: PermanentError | End, undoes: str, now: datetime) -> None:
    """Turn to the stage that undoes what the step began; the verdict comes once that is done."""
    status = verdict.status if isinstance(verdict, End) else Status.FAILED
    remedy = "" if isinstance(verdict, End) else verdict.remedy
    state.undoing = Undoing(stage=state.stage, status=status, reason=verdict.reason, remedy=remedy)
    begin_stage(state, undoes, f"to be undone: {verdict.reason}", now)


def _as_undone(state: StepState, error: PermanentError) -> PermanentError:
    """Say of a failure while undoing what was to be undone, and why."""
    if state.undoing is None:
        return error
    reason = f"{state.undoing.reason}; and that could not be undone: {error.reason}"
    return PermanentError(reason, remedy=error.remedy or state.undoing.remedy)


def _conclude(action: Action, state: StepState, note: str, now: datetime) -> None:
    """Come back to the verdict, now that what the step began is undone."""
    assert state.undoing is not None
    why = state.undoing
    reason = f"{why.reason}; {note}" if note else why.reason
    if why.status is Status.FAILED:
        _fail_step(action, state, PermanentError(reason, remedy=why.remedy), now)
    else:
        state.note = reason
        end(action, why.status, reason, now)


def _leave(action: Action, state: StepState, verdict: Waiting | End, now: datetime) -> Action:
    """Leave the stage as it is: until somebody says to go on, or for good."""
    if isinstance(verdict, End):
        state.note = verdict.reason
        return end(action, verdict.status, verdict.reason, now)
    state.started = True
    state.note = verdict.note
    _forget_trouble(state)
    return postpone(action, verdict.until, now, asleep=True)


def _delay(action: Action, state: StepState, error: TemporaryError, timing: Timing) -> timedelta:
    """Say how long to wait after a temporary error: never less than the service asks for."""
    delay = max(timing.try_again(action, state), timedelta(seconds=error.after or 0))
    if isinstance(error, UnansweredError) and state.starting_at is not None:
        return max(delay, timing.patience)
    return delay


def _unless_too_late(
    state: StepState,
    verdict: Done | Pending | NotStarted | TemporaryError | PermanentError,
    now: datetime,
    deadline: timedelta,
) -> Done | Pending | NotStarted | TemporaryError | PermanentError:
    """Turn a verdict that only waits into a failure once the stage has had its time."""
    if isinstance(verdict, (Done, PermanentError)) or now - (state.began or now) <= deadline:
        return verdict
    waited_for = verdict.reason if isinstance(verdict, TemporaryError) else verdict.note or "still pending"
    hours = deadline.total_seconds() / 3600
    return PermanentError(
        f"gave up after {hours:g} hours: {waited_for}", remedy="mend the cause, then replay the event"
    )


def _unless_denied[V](state: StepState, verdict: V, now: datetime, timing: Timing) -> V | PermanentError:
    """Turn a refusal into a failure once every role has had its time to spread."""
    if isinstance(verdict, DeniedError) and state.troubled and now - state.troubled > timing.spread:
        return PermanentError(verdict.reason, remedy=verdict.remedy)
    return verdict


def begin_stage(state: StepState, name: str, note: str, now: datetime) -> None:
    """Turn to the step's next stage; what the stage before remembered is over with it."""
    state.stage, state.note, state.began = name, note, now
    state.started, state.memory, state.starting_at, state.empty_find = False, {}, None, None
    state.touched = False
    state.looks, state.wake_on = 0, ""
    _forget_trouble(state)


def _forget_trouble(state: StepState) -> None:
    state.attempts, state.trouble, state.troubled = 0, "", None


def _finish_step(action: Action, state: StepState, note: str, now: datetime) -> None:
    """Turn to the rule's next step, or end the action after its last."""
    state.outcome, state.note, state.trouble = "succeeded", note, ""
    state.wake_on = ""
    action.position += 1
    if action.position == len(action.todo):
        _end_by_steps(action, now)


def _fail_step(action: Action, state: StepState, error: PermanentError, now: datetime) -> None:
    """Turn to the rule's `on_failure`, or end the action where there is none, or where that failed too."""
    state.outcome, state.trouble = "failed", error.reason
    if action.failure is None:
        action.failure = Failure(step=state.id, reason=error.reason, remedy=error.remedy)
        action.position = 0
        if action.on_failure:
            return
    _end_by_steps(action, now)


def _end_by_steps(action: Action, now: datetime) -> None:
    """End the action: its steps say what came of it."""
    failure = action.failure
    end(action, Status.FAILED if failure else Status.SUCCEEDED, failure.reason if failure else "", now)


def end(action: Action, status: Status, reason: str, now: datetime) -> Action:
    """End the action: what came of it is decided."""
    action.status, action.reason, action.ended = status, reason, now
    action.asleep = False
    return action


def postpone(action: Action, until: datetime, now: datetime, *, asleep: bool) -> Action:
    """Look again at `until`, or when somebody sets a flag; who is asleep holds no message meanwhile."""
    action.due, action.asleep = max(until, now), asleep
    return action
