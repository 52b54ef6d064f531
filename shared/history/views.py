"""The form in which events and actions are shown: the JSON of `api/events` and `api/actions`, field by field.

Times are ISO 8601 with an offset. Fields are only ever added.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from shared.actions import Action, Cancellation, Decision, Failure, Replay, Step, StepState
from shared.policy import CancelOn, Expectation, Limit, Told
from shared.storage.timeline import Row


class EventSummary(BaseModel):
    """An event as it is listed."""

    key: str
    received: datetime
    kinds: list[str]
    """The names that rules can listen to; empty for an unknown type and for what was parked."""
    source: str
    source_names: list[str]
    """What the rules file of today calls the source; empty where it does not declare it."""
    subject: str
    status: str
    """planned, unplanned, parked, refused or ignored."""
    reason: str
    """Why it was not planned; short."""
    rules: list[str]
    """The rules that answered it, in the order of the file."""


class ActionSummary(BaseModel):
    """An action as it is listed."""

    key: str
    created: datetime
    ended: datetime | None
    rule: str
    event: str
    """The key of the event that it answers."""
    kinds: list[str]
    source: str
    source_names: list[str]
    subject: str
    mode: str
    """live or dry_run."""
    status: str
    """open, succeeded, failed, skipped, canceled, rejected or expired."""
    step: str
    """The step that it is at or ended with; "" before the first."""
    reason: str
    """How things stand, or why it ended so; short."""


class RecordedEvent(EventSummary):
    """An event as it is listed, and as it came: `received` is the record's own time, to the microsecond."""

    door: str
    """event_grid, vision_notification, own, or the queue of what was parked; "" where another version wrote it."""
    payload: Any
    """The message without the queries of its URLs; a text where it is no JSON, null where another version wrote it."""


class EventPage(BaseModel):
    """Some events, newest first."""

    events: list[EventSummary]
    next: str | None
    """Ask again with this as `after`; null where there is nothing more. A page may be short, even empty, and go on."""


class RecordedPage(BaseModel):
    """Some events with their payloads, newest first."""

    events: list[RecordedEvent]
    next: str | None
    """As for events; a page also ends where its payloads become too large for one answer."""


class ActionPage(BaseModel):
    """Some actions, newest first, by when they were made."""

    actions: list[ActionSummary]
    next: str | None
    """As for events."""


class StepView(BaseModel):
    """One step of an action."""

    id: str
    action: str
    part: Literal["do", "on_failure"]
    state: Literal["succeeded", "failed", "under way", "stopped", "not begun"]
    """stopped: the action ended here for another reason than this step's success or failure."""
    stage: str = ""
    began: datetime | None = None
    """When its last stage began."""
    params: dict[str, Any] | None = None
    """As rendered when it began, `${NAME}` unresolved; before, as the rule has them."""
    result: dict[str, Any] = Field(default_factory=dict)
    note: str = ""
    trouble: str = ""
    """The last temporary error, or why it failed."""
    looks: int = 0
    attempts: int = 0


class ActionDetail(ActionSummary):
    """An action with everything that is known of it."""

    due: datetime
    """When it is looked at next, while it is open."""
    rules_hash: str
    steps: list[StepView]
    failure: Failure | None
    error: str
    """A programming error that keeps it from going on."""
    limit: Limit | None
    cancel_on: CancelOn | None
    expect: Expectation | None
    decision: Decision | None
    """Who approved or rejected it last, when and why."""
    canceled: Cancellation | None
    replay: Replay | None
    """Who had it done again, when and why; null for an action of the event's own arrival."""
    replayed_as: str
    """The key of the action that does this one again; "" where there is none."""
    digest: list[Told]
    """The events that it answers together."""
    touched: bool
    """Whether anything was started."""
    committed: bool
    """Whether something irreversible was started."""


class Because(BaseModel):
    """The first condition of a rule that did not hold."""

    path: str
    operator: str
    wanted: Any = None
    found: Any = None
    """null where there was nothing; for a `not`, what the fields in it are."""
    note: str = ""
    reasons: list["Because"] = Field(default_factory=list)
    """For an `any`: what is against each of its alternatives."""


class Verdict(BaseModel):
    """What one rule made of an event."""

    rule: str
    answered: bool
    """Whether an action was planned for it."""
    because: Because | None
    """null where it answered, and where nothing is against it."""
    known: Literal["recorded", "recomputed"]
    """Whether that was written down when the event came, or was found out now from the stored payload."""


class Explanation(BaseModel):
    """Which rules answered an event and why the others did not."""

    rules_hash: str
    """The file that was asked; "" where there was none to ask."""
    rules: Literal["then", "now", "none"]
    """then: the file that the event was judged by. now: that one is gone, so today's says what it can."""
    note: str
    verdicts: list[Verdict]
    """In the order of the file."""


class EventDetail(EventSummary):
    """An event with everything that is known of it."""

    id: str
    type: str
    time: datetime | None
    """When it happened, where the wire says."""
    door: str
    depth: int
    """How many actions led here."""
    handed_over: bool
    """Whether all of its actions are on their way."""
    rules_hash: str
    """The SHA-256 of the rules file that it was judged by; "" where there was none."""
    facts: dict[str, Any]
    """What was derived from the payload, by namespace."""
    payload: Any
    """The message without the queries of its URLs; a text where it is no JSON."""
    actions: list[ActionDetail]
    """Those of its plan in the order of the rules, each followed by its replays; then those of later replays.

    Where `event` is another key, that event told the same before, and was answered for both.
    """
    explanation: Explanation


def event_summary(row: Row, names: list[str]) -> EventSummary:
    """Show a row of the timeline."""
    return EventSummary(
        key=row.key,
        received=row.at,
        kinds=list(row.kinds),
        source=row.source,
        source_names=names,
        subject=row.subject,
        status=row.status,
        reason=row.reason,
        rules=list(row.rules),
    )


def action_summary(row: Row, names: list[str]) -> ActionSummary:
    """Show a row of the timeline, or of what is open."""
    return ActionSummary(
        key=row.key,
        created=row.at,
        ended=row.ended,
        rule=row.rules[0],
        event=row.event,
        kinds=list(row.kinds),
        source=row.source,
        source_names=names,
        subject=row.subject,
        mode=row.mode,
        status=row.status,
        step=row.step,
        reason=row.reason,
    )


def action_detail(action: Action, summary: ActionSummary, replayed_as: str) -> ActionDetail:
    """Show an action's whole record; its reason is not cut here."""
    kept = {name: getattr(action, name) for name in ActionDetail.model_fields if hasattr(action, name)}
    listed = summary.model_dump() | {"reason": action.reason or summary.reason}
    return ActionDetail(**kept | listed | {"steps": list(_steps(action)), "replayed_as": replayed_as})


def _steps(action: Action) -> Iterator[StepView]:
    """Show the steps that began, then those that did not."""
    part: Literal["do", "on_failure"] = "do"
    begun = {"do": 0, "on_failure": 0}
    for state in action.progress:
        yield _begun(action, state, part)
        begun[part] += 1
        if state.outcome == "failed":
            part = "on_failure"
    for step in (action.steps if part == "do" else action.on_failure)[begun[part] :]:
        yield StepView(id=step.id, action=step.action, part=part, state="not begun", params=step.params)


def _begun(action: Action, state: StepState, part: Literal["do", "on_failure"]) -> StepView:
    written: Step | None = next((step for step in action.steps + action.on_failure if step.id == state.id), None)
    return StepView(
        id=state.id,
        action=state.action,
        part=part,
        state=state.outcome or ("under way" if action.is_open else "stopped"),
        stage=state.stage,
        began=state.began,
        params=written.params if state.params is None and written else state.params,
        result=state.result,
        note=state.note,
        trouble=state.trouble,
        looks=state.looks,
        attempts=state.attempts,
    )
