"""What an action tells as an event: its end, and on the way that a person is asked and what the person said. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared import events
from shared.actions import Action, Status, StepState
from shared.events import Event, digest
from shared.policy import show_duration

KINDS = {
    Status.SUCCEEDED: "ActionSucceeded",
    Status.FAILED: "ActionFailed",
    Status.SKIPPED: "ActionSkipped",
    Status.CANCELED: "ActionCanceled",
    Status.REJECTED: "ApprovalRejected",
    Status.EXPIRED: "ApprovalExpired",
}
"""What an action's end is called as an event."""
ASKING: Mapping[str, str] = {"approval": "", "deploy.online_endpoint": "approval"}
"""Steps that wait for a person, and the parameter that says for whom; "" where the parameters themselves do."""
ASKING_STAGES = frozenset({"ask", "wait"})
"""The stages of such a step that do."""


def outcome(action: Action) -> Event | None:
    """Say what came of an action; None of an expectation that was met or called off, of what was put off and went
    well, nor where a limit held back an answer to another outcome.
    """
    if action.depth and action.status is Status.SKIPPED and not action.progress:
        return None  # a limit's own words about an outcome would multiply with the rules that hear them
    if action.follows and action.status is not Status.FAILED:
        return None  # the end of the action that put it off was told already
    if action.expect and action.status is not Status.FAILED:
        return _missed(action) if action.status is Status.EXPIRED else None
    facts: dict[str, Mapping[str, Any]] = {"action": _action(action)}
    if action.failure:
        facts["failure"] = action.failure.model_dump()
    if action.progress and asked(action.progress[-1]) is not None:
        facts["approval"] = _approval(action, action.progress[-1])
    return _announced(action, KINDS[action.status], action.status.value, action.ended or action.due, facts)


def asked(state: StepState) -> Mapping[str, Any] | None:
    """Return the parameters of what a step asks a person: `by`, `within`; None where it asks nobody."""
    stage = state.undoing.stage if state.undoing else state.stage
    if state.action not in ASKING or stage not in ASKING_STAGES:
        return None
    name, params = ASKING[state.action], state.params or {}
    return (params.get(name) or {}) if name else params


def on_the_way(action: Action, state: StepState, kind: str, result: Mapping[str, Any], now: datetime) -> Event:
    """Say what a step announces before the action has ended."""
    facts = {"action": _action(action), "approval": _approval(action, state, result)}
    return _announced(action, kind, f"{state.id}/{kind}", now, facts)


def _missed(action: Action) -> Event:
    assert action.expect
    facts: dict[str, Mapping[str, Any]] = {
        "action": _action(action),
        "expectation": {
            "rule": action.rule,
            "kind": action.expect.kind,
            "within": show_duration(action.expect.within),
            "event": action.event,
            "subject": action.subject,
            "source": action.source,
        },
    }
    return _announced(action, "ExpectationMissed", action.status.value, action.ended or action.due, facts)


def _announced(action: Action, kind: str, what: str, time: datetime, facts: Mapping[str, Mapping[str, Any]]) -> Event:
    return events.announce(
        kind,
        id=digest(action.key, what),
        subject=f"actions/{action.key}",
        facts=facts,
        time=time,
        depth=action.depth + 1,
    )


def _action(action: Action) -> dict[str, Any]:
    return {
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


def _approval(action: Action, state: StepState, result: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Say what is asked, of whom, and what was said, if anything was."""
    params, told = asked(state) or {}, {**state.result, **(result or {})}
    decision = action.decision if action.decision and action.decision.step == state.id else None
    return {
        "step": state.id,
        "by": params.get("by", []),
        "within": params.get("within", ""),
        "expires": told.get("expires"),
        "decided_by": str(decision.by) if decision else None,
        "decided_at": decision.at.isoformat() if decision else None,
        "reason": decision.reason if decision else action.reason,
    }
