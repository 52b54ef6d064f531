"""Why an event led to what it led to: what was written down when it came, and the rest from its stored payload."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from shared import parse
from shared.errors import MalformedError
from shared.events import Event
from shared.history.views import Because, Explanation, Verdict
from shared.parse.wire import read_message
from shared.storage.records import EventRecord

if TYPE_CHECKING:
    from shared.rules import Rules

GONE = "the rules file that it was judged by is not kept any more: this is what today's rules make of it"
NEVER = "it was not judged by any rules file: this is what today's rules make of it"
NO_RULES = "there is no rules file to ask"
NO_EVENT = "no event could be read from it"
NO_KIND = "no rule can listen to its type"


def read_payload(record: EventRecord) -> Event | None:
    """Read the event from its record; None where this version of the app finds none in it."""
    if record.door not in parse.PARSERS or record.status == "parked":
        return None
    try:
        return parse.PARSERS[record.door](record.payload)
    except MalformedError:
        return None


def payload_of(record: EventRecord) -> Any:
    """Give the payload as JSON, or as the text that it is: JSON that was parked may be too deep to be written again."""
    try:
        if record.status == "parked":
            read_message(record.payload)
        return json.loads(record.payload)
    except (ValueError, RecursionError, MalformedError):
        return record.payload.encode("utf-8", "replace").decode()


def explain(
    record: EventRecord,
    event: Event | None,
    rules_by_hash: "Callable[[str], Rules | None]",
    rules_now: "Callable[[], Rules | None]",
) -> Explanation:
    """Say of every rule whether it answered, and the first thing that was against it."""
    stored = {one["rule"]: Because.model_validate(one) for one in record.because}
    answered = [action.rule for action in record.plan]
    then = rules_by_hash(record.rules_hash) if record.rules_hash else None
    rules = then or rules_now()
    if event is None or rules is None:
        note = NO_EVENT if event is None else NO_RULES
        return Explanation(rules_hash="", rules="none", note=note, verdicts=_recorded(answered, stored))
    explained = rules.explain(event)
    found = {
        one.rule.name: Because.model_validate(one.because.json()) if one.because else None for one in explained.rules
    }
    return Explanation(
        rules_hash=rules.hash,
        rules="then" if then else "now",
        note=_note(record, event, is_then=then is not None)
        or (explained.refused if record.status != "refused" else ""),
        verdicts=[
            *(_verdict(name, because, answered, stored) for name, because in found.items()),
            *(one for one in _recorded(answered, stored) if one.rule not in found),
        ],
    )


def _note(record: EventRecord, event: Event, *, is_then: bool) -> str:
    if not event.kinds:
        return NO_KIND
    if is_then:
        return ""
    return GONE if record.rules_hash else NEVER


def _verdict(name: str, because: Because | None, answered: list[str], stored: Mapping[str, Because]) -> Verdict:
    if name in answered:
        return Verdict(rule=name, answered=True, because=None, known="recorded")
    if name in stored:
        return Verdict(rule=name, answered=False, because=stored[name], known="recorded")
    return Verdict(rule=name, answered=False, because=because, known="recomputed")


def _recorded(answered: list[str], stored: Mapping[str, Because]) -> list[Verdict]:
    """Say what was written down."""
    names = dict.fromkeys([*answered, *stored])
    return [_verdict(name, None, answered, stored) for name in names]
