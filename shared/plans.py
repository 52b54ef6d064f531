"""Makes actions: of an event and the rules it leads to, and of what a step put off. Pure."""

from datetime import datetime
from typing import TYPE_CHECKING

from shared import correlation
from shared.actions import Action, StepState
from shared.events import Event, digest
from shared.stages import Later
from shared.storage.records import OpenRow

if TYPE_CHECKING:
    from shared.rules import Rule, Rules


def plan(event: Event, key: str, rules: "Rules", at: datetime) -> list[Action]:
    """Make the actions that an event leads to by some rules: what they do, and what they expect to follow."""
    matched = rules.match(event)
    actions = [planned(event, key, rule, rules.hash, at) for rule in matched if rule.do]
    return actions + [expected(event, key, rule, rules.hash, at) for rule in matched if rule.expect]


def planned(event: Event, key: str, rule: "Rule", rules_hash: str, at: datetime) -> Action:
    """Make the action of one rule answering one event."""
    return Action(
        key=digest("action", correlation.once(rule, event) or key, rule.name),
        rule=rule.name,
        rules_hash=rules_hash,
        event=key,
        kinds=sorted(event.kinds),
        heard=_heard(event, rule),
        source=event.source,
        subject=event.subject,
        mode="dry_run" if rule.mode == "dry_run" else "live",
        depth=event.depth,
        created=at,
        due=at,
        happened=event.time,
        steps=list(rule.do),
        on_failure=list(rule.on_failure),
        limit=rule.limit,
        scope=correlation.scope(rule, event) if rule.limit else "",
        cancel_on=rule.cancel_on,
        cancel_key=correlation.cancel_key(rule, event),
    )


def expected(event: Event, key: str, rule: "Rule", rules_hash: str, at: datetime) -> Action:
    """Make the action that waits for what should follow an event."""
    waiting = planned(event, key, rule, rules_hash, at)
    return waiting.model_copy(
        update={
            "key": digest("expect", correlation.once(rule, event) or key, rule.name),
            "steps": [],
            "on_failure": [],
            "limit": None,
            "cancel_on": None,
            "cancel_key": "",
            "expect": rule.expect,
            "scope": correlation.expect_key(rule, event),
        }
    )


def follow_up(action: Action, state: StepState, later: Later, now: datetime) -> Action:
    """Make the action that does what a step put off: of the same rule and event, and with a life of its own."""
    return Action(
        key=digest("later", action.key, state.id),
        rule=action.rule,
        rules_hash=action.rules_hash,
        event=action.event,
        kinds=action.kinds,
        heard=action.heard,
        source=action.source,
        subject=action.subject,
        mode=action.mode,
        depth=action.depth,
        created=now,
        due=later.at,
        asleep=True,
        note=f"{later.step.action} at {later.at:%Y-%m-%d %H:%M}Z, put off by {action.key}",
        follows=action.key,
        happened=action.happened,
        steps=[later.step],
        on_failure=[],
    )


def open_row(action: Action) -> OpenRow:
    """Say what an open action waits for, and what calls it off."""
    under_way = action.progress[-1].wake_on if action.progress else ""
    return OpenRow(
        what="action",
        key=action.key,
        since=action.created,
        event=action.event,
        wake_on=action.scope if action.expect else under_way,
        cancel_on=action.cancel_key,
    )


def _heard(event: Event, rule: "Rule") -> str:
    """Pick the kind that a rule listens to: a derived one before the service's own name."""
    own = event.type.rpartition(".")[2]
    return min(rule.kinds & event.kinds, key=lambda kind: (kind == own, kind), default=own)
