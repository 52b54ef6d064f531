"""The reactor's own events, as they were stored."""

from typing import Any

from shared.errors import MalformedError
from shared.events import OWN_TYPE, Event
from shared.parse.wire import read_message, refuse, take_needed, take_object, take_text, take_time


def own(body: str | bytes) -> Event:
    """Read an event that `events.announce` made, as its payload was stored: the same event again."""
    message = read_message(body)
    if type(message) is not dict:
        refuse(message, "an event", "")
    type_ = take_needed(message, "type", under="")
    kind = type_.removeprefix(OWN_TYPE)
    if kind in {type_, ""}:
        raise MalformedError(f"not {OWN_TYPE} and a kind", field="type")
    also = message.get("also", [])
    if type(also) is not list or not all(type(each) is str for each in also):
        refuse(also, "a list of kinds", "also")
    facts, once = (take_object(message.get(name), name) for name in ("facts", "once"))
    return Event(
        door="own",
        type=type_,
        kinds=frozenset({kind, *also}),
        id=take_needed(message, "id", under=""),
        source=take_needed(message, "source", under=""),
        subject=take_text(message, "subject", under="") or "",
        time=take_time(message, "time"),
        data=take_object(message.get("data"), "data"),
        facts={name: take_object(value, f"facts.{name}") for name, value in facts.items()},
        payload=message,
        once={name: take_needed(once, name, "once.") for name in once},
        depth=_depth(message.get("depth", 0)),
    )


def _depth(value: Any) -> int:
    return value if type(value) is int and value >= 0 else refuse(value, "a count", "depth")
