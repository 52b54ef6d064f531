"""READ FIRST: what happens to an event, from the door to the outcome.

    receive   a body from a door: parse it, or park it
    plan      an event: match the rules, record the plan, hand its actions over
    perform   a message of the actions queue: claim the action, do one stage, settle, send the next message
    announce  an action that ended: its outcome is an event, and is planned like any other
    sweep     on a schedule: wake what is overdue, finish what was left half done

The action's record is the truth and its ETag decides; messages only wake it, and any of them may come twice, late or
never. The order of the writes and sends below was explored by a model (docs/protocol.md): do not change it without one.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared import events, parse
from shared.actions import Action, Claim, Done, Job, Message, Pending, Status, StepState
from shared.errors import MalformedError, PermanentError, ReactorError, TemporaryError, UnansweredError
from shared.events import Event, canonical, digest, without_url_queries
from shared.rules import templates
from shared.settle import Timing, Verdict, current_state, settle
from shared.stages import NotStarted, find_handler, perform_stage
from shared.storage import ACTIONS_QUEUE
from shared.storage.records import EventRecord, OpenRow, Records

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.rules import Rule, Rules

log = logging.getLogger("reactor")

DEEPEST = 5
"""An event this many outcomes away from the wire starts nothing more: rules that answer each other end here."""
REPEAT_WINDOW = timedelta(minutes=10)
"""Equal content that carries no id of its own is the same event for this long."""
TRIES = 8
"""How often a conditional write is tried against others who write the same record."""
KINDS = {
    Status.SUCCEEDED: "ActionSucceeded",
    Status.FAILED: "ActionFailed",
    Status.SKIPPED: "ActionSkipped",
    Status.CANCELED: "ActionCanceled",
    Status.REJECTED: "ApprovalRejected",
    Status.EXPIRED: "ApprovalExpired",
}
"""What an action's end is called as an event."""


class ClaimLostError(Exception):
    """Somebody else performs the action now; what we know of it is out of date."""


class Reactor:
    """The whole of it, with everything it depends on as an argument."""

    def __init__(
        self,
        *,
        records: Records,
        send: Callable[[str, str, timedelta], None],
        rules: Callable[[], "Rules | None"],
        handlers: Mapping[str, str],
        clients: "Clients",
        values: Mapping[str, str],
        clock: Callable[[], datetime],
        timing: Timing,
        keep: timedelta,
    ) -> None:
        self.records = records
        self.send = send
        self.rules = rules
        self.handlers = handlers
        self.clients = clients
        self.values = values
        self.clock = clock
        self.timing = timing
        self.keep = keep

    # -- from the door to the actions ---------------------------------------------------------------------------------

    def receive(self, door: str, body: str | bytes, at: datetime | None = None) -> None:
        """Take a body from a door: an event is planned, anything else is parked with the reason.

        `at` is when the message was sent, where its door knows. Raises TemporaryError only, when storage fails.
        """
        at = at or self.clock()
        try:
            event = parse.PARSERS[door](body)
        except MalformedError as error:
            self.park(door, body, error.reason, at)
        else:
            self.plan(event, at)

    def park(self, door: str, body: str | bytes, reason: str, at: datetime) -> None:
        """Keep a body that nothing can be done with, and say why. The same body is parked once."""
        text = body.decode("utf-8", "backslashreplace") if isinstance(body, bytes) else body
        text = without_url_queries(text)
        key = digest("parked", door, text)
        self.records.insert_event(
            EventRecord(
                key=key, door=door, status="parked", reason=reason, received=at, payload=text, handed_over=True
            )
        )
        log.warning("event=%s door=%s outcome=parked reason=%s", key, door, reason)

    def plan(self, event: Event, at: datetime) -> None:
        """Decide what an event leads to, record that once, and hand it over.

        An event that is recorded already follows its stored plan, never today's rules.
        """
        key = self.records.occurrence(event.key, at, REPEAT_WINDOW) if event.repeatable else event.key
        record = self._judge(event, key, at)
        if event.door == "own" and not record.plan and record.status != "unplanned":
            return
        if self.records.insert_event(record):
            log.info("event=%s kinds=%s outcome=%s actions=%d", key, record.kinds, record.status, len(record.plan))
        else:
            stored = self.records.read_event(key)
            if stored is None or stored.handed_over:
                log.info("event=%s kinds=%s outcome=duplicate", key, record.kinds)
                return
            record = stored
        if not record.handed_over:
            self.records.open(OpenRow(what="event", key=key, since=at))
        if record.status == "planned":
            self.hand_over(record)
        self._wake_waiting(event)

    def _judge(self, event: Event, key: str, at: datetime) -> EventRecord:
        """Match an event against the rules of the moment; nothing is written."""
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
        rules = self.rules()
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
            record.plan = [_planned(event, key, rule, rules.hash, at) for rule in rules.match(event)]
        record.handed_over = not record.plan
        return record

    def hand_over(self, record: EventRecord) -> None:
        """Put every planned action on its way, then mark the event: from now on it is a duplicate."""
        for action in record.plan:
            if not self.records.insert_action(action):
                stored = self.records.read_action(action.key)
                if stored is None or stored.seq > 0 or not stored.is_open:
                    continue
            self.records.open(OpenRow(what="action", key=action.key, since=record.received))
            self._send(action)
        if record.plan:
            self.records.mark_handed_over(record.key)
            self.records.close("event", record.key)

    def _wake_waiting(self, event: Event) -> None:
        """Bring forward the next look of the actions that wait for the end this event tells."""
        for token in parse.wake_tokens(event):
            for key in self.records.list_waiting(token):
                self.wake(key)

    # -- from the action to its outcome -------------------------------------------------------------------------------

    def perform(self, body: str | bytes, message_id: str) -> None:
        """Do one stage of the action that a message names, and send the message for the next."""
        try:
            message = Message.model_validate_json(body)
        except ValueError:
            self.park("actions", body, "not a message of the actions queue", self.clock())
            return
        action = self._claim(message, message_id)
        if action is None:
            return
        try:
            self._settle(self._advance(action), action, message_id)
        except ClaimLostError:
            log.warning("action=%s rule=%s outcome=claim_lost", action.key, action.rule)

    def _claim(self, message: Message, message_id: str) -> Action | None:
        """Make the action ours for a lease; None where this message has nothing to do."""
        write = uuid.uuid4().hex
        for _ in range(TRIES):
            now = self.clock()
            action = self.records.read_action(message.action)
            if action is None:
                log.warning("action=%s outcome=unknown", message.action)
                return None
            if action.write == write:
                return action
            if not action.is_open:
                self.announce(action)
                return None
            if message.seq < action.seq:
                if action.moved_by == message_id:
                    self._send(action)
                return None
            if action.claimed(now) and action.claim and action.claim.message != message_id:
                if message.seq > action.seq:
                    self.send(ACTIONS_QUEUE, message.model_dump_json(), self.timing.lease / 100)
                return None
            action.claim = Claim(message=message_id, write=write, since=now, until=now + self.timing.lease)
            action.write, action.wake = write, False
            try:
                etag = self.records.write_action(action)
            except UnansweredError:
                continue
            if etag is not None:
                action.etag = etag
                return action
        raise TemporaryError(f"action {message.action} is written by too many at once")

    def _advance(self, action: Action) -> Action:
        """Perform the current stage and return the record that follows; nothing is written but what a start needs."""
        now = self.clock()
        state = current_state(action, now)
        verdict: Verdict
        next_stage = ""
        try:
            handler = find_handler(self.handlers, state.action)
            stage = handler.stage(state.stage)
            state.stage = stage.name
            if state.params is None:
                state.params = self._render(action, state)
            params = handler.parse(self._resolve(state.params))
            if action.mode == "dry_run":
                verdict = Done(note="dry run: nothing was touched")
            else:
                next_stage = handler.stage_after(stage)
                verdict = perform_stage(
                    stage,
                    params,
                    self._job(action, state, now),
                    state,
                    patience=self.timing.patience,
                    may_start=lambda: self.clock() <= _since(action) + self.timing.start_within,
                    about_to_start=lambda: self._note_start(action, state),
                )
        except (TemporaryError, PermanentError) as error:
            verdict = error
        except ClaimLostError:
            raise
        except Exception as error:  # noqa: BLE001 # the one place: recorded here, then raised to the host
            self._record_error(action, error)
            raise
        moved = settle(action, verdict, next_stage, self.clock(), self.timing)
        _log_outcome(action, state, verdict)
        return moved

    def _settle(self, moved: Action, claimed: Action, message_id: str) -> None:
        """Write what follows, then send the message for it, or announce the end."""
        moved.seq, moved.moved_by, moved.claim = claimed.seq + 1, message_id, None
        if not moved.is_open:
            moved.announced = not self._is_heard(moved)
        written = self._write(moved, claimed)
        if not written.is_open:
            self.announce(written)
            return
        if written.progress[-1].wake_on != (claimed.progress[-1].wake_on if claimed.progress else ""):
            wake_on = written.progress[-1].wake_on
            self.records.open(OpenRow(what="action", key=written.key, since=written.created, wake_on=wake_on))
        self._send(written)

    def _write(self, action: Action, claimed: Action) -> Action:
        """Write a record under our claim, whatever flags others set meanwhile; ClaimLostError where it is not ours.

        After a lost reply or a refused write the record is read again: our write id says that it was written,
        our claim says that only a flag was set beside us.
        """
        assert claimed.claim is not None
        write, ours = uuid.uuid4().hex, claimed.claim.write
        action = action.model_copy(update={"write": write})
        for _ in range(TRIES):
            try:
                etag = self.records.write_action(action)
            except UnansweredError:
                etag = None
            if etag is not None:
                return action.model_copy(update={"etag": etag})
            current = self.records.read_action(action.key)
            if current is not None and current.write == write:
                return current
            if current is None or current.claim is None or current.claim.write != ours:
                raise ClaimLostError
            due = min(action.due, self.clock()) if current.wake else action.due
            action = action.model_copy(update={"wake": current.wake, "due": due, "etag": current.etag})
        raise TemporaryError(f"action {action.key} is written by too many at once")

    def _note_start(self, action: Action, state: StepState) -> None:
        """Write down that something is about to be started that we cannot name."""
        state.starting_at, state.empty_find = self.clock(), None
        written = self._write(action, action)
        action.etag, action.write, action.wake = written.etag, written.write, written.wake

    def _record_error(self, action: Action, error: Exception) -> None:
        """Write a programming error into the record, if that can be done: the host will deliver again."""
        log.exception("action=%s rule=%s outcome=programming_error", action.key, action.rule)
        action.error = without_url_queries(f"{type(error).__name__}: {error}")
        try:
            self._write(action, action)
        except (ReactorError, ClaimLostError):
            log.warning("action=%s the error could not be recorded", action.key)

    def announce(self, action: Action) -> None:
        """Plan the outcome of an action that ended, then mark it announced. What is announced is left alone."""
        if not action.announced:
            self.plan(outcome(action), self.clock())
            self._change(action.key, {"announced": True})
        self.records.close("action", action.key)

    def _is_heard(self, action: Action) -> bool:
        """Whether any rule listens to the outcome; where none does, nothing more is written."""
        rules = self.rules()
        return rules is None or bool(rules.match(outcome(action)))

    def wake(self, key: str) -> None:
        """Have an action looked at now: whoever performs it sees the flag, or else the message comes first."""
        action = self._change(key, {"wake": True})
        if action is not None:
            self.send(ACTIONS_QUEUE, _message(action), timedelta())

    def _change(self, key: str, flags: Mapping[str, Any]) -> Action | None:
        """Set flags under the ETag, trying again where somebody else wrote; None where there is no such action."""
        for _ in range(TRIES):
            action = self.records.read_action(key)
            if action is None:
                return None
            if all(getattr(action, name) == value for name, value in flags.items()):
                return action
            try:
                etag = self.records.write_action(action.model_copy(update=dict(flags)))
            except UnansweredError:
                continue
            if etag is not None:
                return action
        raise TemporaryError(f"action {key} is written by too many at once")

    def _send(self, action: Action) -> None:
        """Send the action's current number, to be seen when it is due."""
        self.send(ACTIONS_QUEUE, _message(action), action.due - self.clock())

    # -- what a step is given -----------------------------------------------------------------------------------------

    def _render(self, action: Action, state: StepState) -> dict[str, Any]:
        """Render the step's parameters from the event and the results of the steps before it."""
        step = action.todo[action.position]
        context = templates.context(
            self._read_event(action.event),
            steps={done.id: done.result for done in action.progress if done.outcome == "succeeded"},
            failure=action.failure.model_dump() if action.failure else None,
            action={"key": action.key, "rule": action.rule, "event": action.event},
        )
        rendered: dict[str, Any] = templates.render(step.params, context)
        return rendered

    def _resolve(self, value: Any) -> Any:
        return templates.resolve(value, self.values)

    def _read_event(self, key: str) -> Event:
        """Read an event again from its record."""
        record = self.records.read_event(key)
        if record is None:
            raise PermanentError(f"the record of event {key} is gone", remedy="keep records longer (REACTOR_KEEP_DAYS)")
        return parse.PARSERS[record.door](record.payload)

    def _job(self, action: Action, state: StepState, now: datetime) -> Job:
        rules = self.rules()
        if rules is None:
            raise TemporaryError("there is no valid rules file to look declared services up in")
        return Job(
            key=digest(action.key, state.id),
            step=state.id,
            now=now,
            starting_at=state.starting_at,
            memory=state.memory,
            result=state.result,
            declared=rules.declared,
            clients=self.clients,
            event=lambda: self._read_event(action.event),
            resolve=self._resolve,
        )

    # -- on a schedule, and when the host gave up ---------------------------------------------------------------------

    def sweep(self) -> None:
        """Wake every action that is overdue, and finish every event that was left half done."""
        for row in self.records.list_open():
            if row.what == "action":
                self._sweep_action(row)
            else:
                self._sweep_event(row)

    def _sweep_action(self, row: OpenRow) -> None:
        action = self.records.read_action(row.key)
        now = self.clock()
        if action is None or (not action.is_open and action.announced):
            self.records.close("action", row.key)
        elif not action.claimed(now) and action.due + self.timing.overdue <= now:
            self.send(ACTIONS_QUEUE, _message(action), timedelta())

    def _sweep_event(self, row: OpenRow) -> None:
        record = self.records.read_event(row.key)
        if record is None or record.handed_over:
            self.records.close("event", row.key)
        elif record.status == "planned":
            if row.since + self.timing.overdue <= self.clock():
                self.hand_over(record)
        else:
            self._plan_at_last(record)

    def _plan_at_last(self, record: EventRecord) -> None:
        """Plan an event that came while there was no valid rules file."""
        planned = self._judge(parse.PARSERS[record.door](record.payload), record.key, record.received)
        if planned.status == "unplanned" or not self.records.replace_event(
            planned.model_copy(update={"etag": record.etag})
        ):
            return
        log.info("event=%s kinds=%s outcome=%s actions=%d", record.key, record.kinds, planned.status, len(planned.plan))
        if planned.plan:
            self.hand_over(planned)
        else:
            self.records.close("event", record.key)

    def sweep_old(self) -> None:
        """Delete what has been over for longer than records are kept."""
        count = self.records.sweep_old(self.clock() - self.keep)
        log.info("outcome=swept records=%d", count)

    def receive_poisoned(self, door: str, queue: str, body: str | bytes, at: datetime | None = None) -> None:
        """Take a notification that the host gave up on: once more, else park it and announce that.

        While storage fails it goes back to its queue for an hour (of a ten-minute lease).
        """
        try:
            self.receive(door, body, at)
        except TemporaryError:
            text = body.decode("utf-8", "backslashreplace") if isinstance(body, bytes) else body
            self.send(queue, text, self.timing.lease * 6)
        except Exception as error:  # noqa: BLE001 # the host has given up already: recorded and announced instead
            reason = f"{type(error).__name__}: {error}"
            log.exception("door=%s outcome=programming_error", door)
            now = self.clock()
            self.park(door, body, reason, at or now)
            failure = {"step": "plan", "reason": reason, "remedy": "see the parked event"}
            facts = {"action": {"rule": "", "status": "failed"}, "failure": failure}
            self.plan(events.announce("ActionFailed", id=digest(door, str(body)), time=now, facts=facts), now)

    def perform_poisoned(self, body: str | bytes, message_id: str) -> None:
        """Take an action that the host gave up on: a recorded cause ends it, an outage is waited out for a day."""
        try:
            message = Message.model_validate_json(body)
        except ValueError:
            self.park("actions", body, "not a message of the actions queue", self.clock())
            return
        action = self.records.read_action(message.action)
        if action is None or not action.is_open:
            return
        if not action.error and self.clock() < action.due + self.timing.lease * 144:
            self.send(ACTIONS_QUEUE, message.model_dump_json(), self.timing.lease * 6)
            return
        claimed = self._claim(Message(action=action.key, seq=action.seq), message_id)
        if claimed is None:
            return
        cause = claimed.error or "storage failed for a day"
        error = PermanentError(cause, remedy="see the log of this action, then replay its event")
        try:
            self._settle(settle(claimed, error, "", self.clock(), self.timing), claimed, message_id)
        except ClaimLostError:
            log.warning("action=%s rule=%s outcome=claim_lost", action.key, action.rule)


def outcome(action: Action) -> Event:
    """Say as an event what came of an action."""
    facts: dict[str, Mapping[str, Any]] = {
        "action": {
            "key": action.key,
            "rule": action.rule,
            "status": action.status.value,
            "reason": action.reason,
            "event": action.event,
            "kinds": action.kinds,
            "source": action.source,
            "subject": action.subject,
            "steps": {state.id: state.result for state in action.progress},
        }
    }
    if action.failure:
        facts["failure"] = action.failure.model_dump()
    return events.announce(
        KINDS[action.status],
        id=digest(action.key, action.status.value),
        subject=f"actions/{action.key}",
        facts=facts,
        time=action.ended or action.due,
        depth=action.depth + 1,
    )


def _planned(event: Event, key: str, rule: "Rule", rules_hash: str, at: datetime) -> Action:
    """Make the action of one rule answering one event.

    A derived kind that stays on a run is answered once: the action's key then comes from that identity, so that the
    next event which tells the same finds the action there.
    """
    heard = rule.kinds & event.kinds
    identity = next((event.once[kind] for kind in sorted(heard) if heard <= event.once.keys()), key)
    return Action(
        key=digest("action", identity, rule.name),
        rule=rule.name,
        rules_hash=rules_hash,
        event=key,
        kinds=sorted(event.kinds),
        source=event.source,
        subject=event.subject,
        mode="dry_run" if rule.mode == "dry_run" else "live",
        depth=event.depth,
        created=at,
        due=at,
        steps=list(rule.do),
        on_failure=list(rule.on_failure),
    )


def _message(action: Action) -> str:
    return Message(action=action.key, seq=action.seq).model_dump_json()


def _since(action: Action) -> datetime:
    assert action.claim is not None
    return action.claim.since


def _log_outcome(action: Action, state: StepState, verdict: Verdict) -> None:
    """Write the one line about what came of a stage."""
    match verdict:
        case Done(note=note):
            word = "done"
        case Pending(note=note):
            word = "pending"
        case NotStarted(note=note):
            word = "waiting"
        case TemporaryError(reason=note):
            word = "temporary_error"
        case PermanentError(reason=note):
            word = "failed"
    log.info(
        "action=%s rule=%s seq=%d step=%s stage=%s outcome=%s note=%s",
        action.key, action.rule, action.seq, state.id, state.stage, word, note,
    )  # fmt: skip
