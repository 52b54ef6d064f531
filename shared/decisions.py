"""What people decide: approve, reject, cancel, replay. Each is written down with who and why, once.

A decision only sets a flag in the action's record, under its ETag, and wakes the action: whoever performs it reads the
flag. So deciding never races with performing, and a decision that was made stays made.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from shared import parse
from shared.actions import Action, Cancellation, Decision, Person, Replay, Status, StepState
from shared.errors import MalformedError, PermanentError, TemporaryError
from shared.events import Event
from shared.ledger import TRIES, Ledger, replay_key
from shared.outcomes import asked
from shared.planner import Planner
from shared.plans import open_row, plan
from shared.rules import templates
from shared.storage.records import EventRecord, Records

if TYPE_CHECKING:
    from shared.rules import Rules

log = logging.getLogger("reactor")

Kind = Literal["unknown", "forbidden", "conflict", "invalid"]


class DecisionError(PermanentError):
    """A decision that cannot be taken; `kind` says what is in its way."""

    def __init__(self, kind: Kind, reason: str, *, remedy: str = "") -> None:
        super().__init__(reason, remedy=remedy)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in person."""

    person: Person
    names: frozenset[str]
    """Everything they can be named by, in lower case: object id, addresses, groups, roles."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay made of one rule."""

    rule: str
    action: str
    """The key of the action that is under way, or that was before."""
    outcome: Literal["started", "under_way", "succeeded_before"]
    reason: str = ""


class Decisions:
    """Takes people's decisions."""

    def __init__(
        self,
        *,
        records: Records,
        ledger: Ledger,
        planner: Planner,
        rules: "Callable[[], Rules | None]",
        values: Mapping[str, str],
        clock: Callable[[], datetime],
    ) -> None:
        self._records = records
        self._ledger = ledger
        self._planner = planner
        self._rules = rules
        self._values = values
        self._clock = clock

    # -- about an action ----------------------------------------------------------------------------------------------

    def approve(self, key: str, caller: Caller, reason: str) -> Action:
        """Let an action go on that waits for a person; DecisionError where it does not, or for somebody else."""
        return self._decide(key, caller, "approved", reason)

    def reject(self, key: str, caller: Caller, reason: str) -> Action:
        """End an action that waits for a person; DecisionError where it does not, or for somebody else."""
        return self._decide(key, caller, "rejected", reason)

    def cancel(self, key: str, caller: Caller, reason: str) -> Action:
        """Call off what an action has not begun; DecisionError where a step that cannot be undone is under way."""
        canceled = Cancellation(by=str(caller.person), at=self._clock(), reason=reason, is_by_person=True)

        def set_flag(action: Action) -> Mapping[str, Any]:
            _refuse_ended(action)
            if action.canceled and action.canceled.is_by_person:
                raise DecisionError("conflict", f"it was called off already, by {action.canceled}")
            at = action.progress[-1] if action.progress else None
            if at and at.undoing:
                raise DecisionError("conflict", f'its step "{at.id}" is being undone already: {at.undoing.reason}')
            if at and at.committed and not at.outcome and not at.can_be_undone:
                raise DecisionError(
                    "conflict",
                    f'its step "{at.id}" has begun what cannot be undone ({at.note or at.stage})',
                    remedy="cancel the job where it runs; the action then ends by itself",
                )
            return {"canceled": canceled}

        return self._set(key, set_flag, "canceled", caller)

    def _decide(self, key: str, caller: Caller, verdict: Literal["approved", "rejected"], reason: str) -> Action:
        now = self._clock()

        def set_flag(action: Action) -> Mapping[str, Any]:
            state = self._waiting(action, now)
            if not caller.names & self._approvers(state):
                raise DecisionError(
                    "forbidden",
                    f"{caller.person} may not decide this: it is for {', '.join((asked(state) or {}).get('by', []))}",
                )
            return {"decision": Decision(verdict=verdict, step=state.id, by=caller.person, at=now, reason=reason)}

        return self._set(key, set_flag, verdict, caller)

    def _waiting(self, action: Action, now: datetime) -> StepState:
        """Return the approval step that waits; DecisionError where none does, or where it is over."""
        if action.decision and (not action.is_open or action.decision.step == _current(action)):
            decision = action.decision
            raise DecisionError(
                "conflict", f"it was {decision.verdict} already, by {decision.by} at {decision.at:%Y-%m-%d %H:%M:%S}Z"
            )
        _refuse_ended(action)
        state = action.progress[-1] if action.progress else None
        if state is None or state.outcome or state.undoing or asked(state) is None:
            before = action.decision
            said = f"it was {before.verdict} already, by {before.by}, and" if before else "it"
            raise DecisionError("conflict", f"{said} waits for nobody's approval: {_where(action)}")
        if action.canceled and (action.canceled.is_by_person or not action.is_irrevocable):
            raise DecisionError("conflict", f"it was called off, by {action.canceled}")
        expires = state.result.get("expires")
        until = datetime.fromisoformat(expires) if expires else None
        if until and now >= until:
            raise DecisionError("conflict", f"it could be decided until {until:%Y-%m-%d %H:%M:%S}Z")
        return state

    def _approvers(self, state: StepState) -> set[str]:
        by = templates.resolve((asked(state) or {}).get("by", []), self._values)
        return {str(name).strip().lower() for name in by}

    def _set(self, key: str, flags: Callable[[Action], Mapping[str, Any]], what: str, caller: Caller) -> Action:
        action = self._ledger.update(key, flags)
        if action is None:
            raise DecisionError("unknown", f"there is no action {key}")
        log.info("action=%s rule=%s outcome=%s by=%s", key, action.rule, what, caller.person.id)
        return action

    # -- about an event -----------------------------------------------------------------------------------------------

    def replay(
        self,
        key: str,
        caller: Caller,
        *,
        reason: str,
        rules: Literal["then", "now"],
        rule: str = "",
        again: bool = False,
    ) -> list[Replayed]:
        """Answer an event anew, by the plan that was made then or by the rules of now; return what came of each rule.

        What is under way stays alone, and so does what succeeded, unless `again`. Asking twice is asking once: the
        action that does another again has a key made from that one's.
        """
        record = self._records.read_event(key)
        if record is None:
            raise DecisionError("unknown", f"there is no event {key}")
        actions = self._then(record) if rules == "then" else self._now(record)
        actions = [action for action in actions if not action.expect and rule in ("", action.rule)]
        if rule and not actions:
            raise DecisionError("invalid", f'no rule "{rule}" answers this event by the rules of {rules}')
        replay = Replay(of="", by=caller.person, at=self._clock(), reason=reason, rules=rules)
        return [self._replay(action, record, replay, again=again) for action in actions]

    def _then(self, record: EventRecord) -> list[Action]:
        if record.status != "planned":
            raise DecisionError(
                "invalid",
                f"no plan was made for it then: it was {record.status}, {record.reason}",
                remedy="replay it by the rules of now",
            )
        return record.plan

    def _now(self, record: EventRecord) -> list[Action]:
        """Plan the event by the rules of now; nothing is written."""
        rules = self._rules()
        if rules is None:
            raise TemporaryError("there is no valid rules file")
        event = _parsed(record)
        if not rules.declares(event):
            raise DecisionError(
                "invalid", f"the rules file does not declare {event.source}", remedy="declare it, and replay it again"
            )
        return plan(event, event.key if record.status == "parked" else record.key, rules, self._clock())

    def _replay(self, planned: Action, record: EventRecord, replay: Replay, *, again: bool) -> Replayed:
        latest = self._ledger.latest(planned.key)
        if latest and latest.is_open:
            if latest.seq == 0:
                self._planner.start(latest)  # whoever asked before may have died before doing so
            return Replayed(planned.rule, latest.key, "under_way")
        if latest and latest.status is Status.SUCCEEDED and not again and not _was_only_tried(latest, planned):
            return Replayed(planned.rule, latest.key, "succeeded_before", "it is done; again does it once more")
        key, of, origin = planned.key, "", ""
        if latest:
            key, of, origin = replay_key(latest.key), latest.key, latest.slot_key
        changes: dict[str, Any] = {"key": key, "origin": origin, "replay": replay.model_copy(update={"of": of})}
        if latest:
            changes |= {"digest": latest.digest, "more": latest.more}
        made = planned.model_copy(update={**changes, "created": replay.at, "due": replay.at, "event": record.key})
        if not latest:
            self._remember(record.key, key)
        self._records.open(open_row(made))  # first: where nobody goes on from here, the sweep does
        if not self._records.insert_action(made):
            return Replayed(planned.rule, key, "under_way")
        self._planner.start(made)
        log.info("action=%s rule=%s outcome=replayed of=%s by=%s", key, made.rule, of or "nothing", replay.by.id)
        return Replayed(planned.rule, key, "started")

    def _remember(self, event: str, key: str) -> None:
        """Write an action that no plan names beside the event, before it is made."""
        for _ in range(TRIES):
            record = self._records.read_event(event)
            if record is None or key in record.replayed or any(action.key == key for action in record.plan):
                return
            record.replayed.append(key)
            if self._records.replace_event(record):
                return
        raise TemporaryError(f"event {event} is written by too many at once")


def _parsed(record: EventRecord) -> Event:
    try:
        return parse.PARSERS[record.door](record.payload)
    except (KeyError, MalformedError) as error:
        reason = error.reason if isinstance(error, MalformedError) else f"it came to the queue {record.door}"
        raise DecisionError("invalid", f"it still cannot be read as an event: {reason}") from None


def _was_only_tried(latest: Action, planned: Action) -> bool:
    """Tell whether an action was a dry run, and would not be one now."""
    return latest.mode == "dry_run" and planned.mode == "live"


def _refuse_ended(action: Action) -> None:
    if not action.is_open:
        raise DecisionError("conflict", f"it has ended: {action.status.value}{_because(action.reason)}")


def _because(reason: str) -> str:
    return f", {reason}" if reason else ""


def _current(action: Action) -> str:
    return action.progress[-1].id if action.progress else ""


def _where(action: Action) -> str:
    """Say where an action stands."""
    if not action.progress:
        return action.note or "it has not begun"
    state = action.progress[-1]
    return f'its step "{state.id}" {state.outcome or "is under way"}{_because(state.note)}'
