"""Whatever the wire brings, a parser returns an event or raises `MalformedError`, and never anything else."""

import base64
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import parse
from shared.errors import MalformedError
from shared.events import Event, announce, without_url_queries
from shared.parse.machine_learning import DATA, READERS

CORPUS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent.parent / "events").glob("*.json"))
}
JSON_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON_VALUES = st.recursive(
    JSON_LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)
OTHERS = {"unknown_type", "action_failed", "vision_lower"}
"""Notifications whose names are nobody's, ours, or in another casing already."""
DOORS = st.sampled_from(sorted(parse.PARSERS))
WORKSPACE = "/subscriptions/s/resourceGroups/r/providers/Microsoft.MachineLearningServices/workspaces/w"


def read(door: str, body: str | bytes) -> Event | None:
    """Parse a body and use what came of it as the reactor does; None where it was refused in words."""
    try:
        event = parse.PARSERS[door](body)
    except MalformedError:
        return None
    assert len(event.key) == 32
    assert all(parse.wake_tokens(event))
    assert event.once.keys() <= event.kinds or event.door == "own"
    stored = json.dumps(without_url_queries(event.payload))
    stored.encode()
    again = parse.PARSERS[event.door](stored)
    assert (again.key, again.kinds, again.once) == (event.key, event.kinds, event.once)
    return event


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the way to every value inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for name, item in items for deeper in paths(item, (*path, name)))]


def mutated(value: Any, path: tuple[Any, ...], change: Any) -> Any:
    """Copy a JSON value with what is at the end of a path changed by a function."""
    if not path:
        return change(value)
    copy = value.copy()
    copy[path[0]] = mutated(copy[path[0]], path[1:], change)
    return copy


@given(door=DOORS, body=st.binary() | st.text() | st.text(st.characters(codec=None, categories=["Cs", "L"])))
def test_arbitrary_bodies(door: str, body: str | bytes) -> None:
    """Any bytes and any text are read or refused."""
    read(door, body)


@given(door=DOORS, message=JSON_VALUES, encoded=st.booleans())
def test_arbitrary_json(door: str, message: Any, *, encoded: bool) -> None:
    """Any JSON is read or refused, NaN and infinities included, plain or in base64."""
    text = json.dumps(message)
    read(door, base64.b64encode(text.encode()) if encoded else text)


@given(
    type=st.sampled_from([*READERS, "Microsoft.EventGrid.SubscriptionValidationEvent"]),
    data=st.dictionaries(st.sampled_from(sorted(DATA.right)) | st.text(), JSON_VALUES),
    subject=st.text() | st.sampled_from(["datadrift/a/run/b", "datadrifts/a/runs/b"]),
)
def test_arbitrary_data_of_known_types(type: str, data: dict[str, Any], subject: str) -> None:
    """Whatever is in the fields of a known type, it is read or refused."""
    envelope = {"id": "1", "topic": WORKSPACE, "subject": subject, "eventType": type, "data": data}
    read("event_grid", json.dumps(envelope))


@given(data=st.data(), door=DOORS, name=st.sampled_from(sorted(CORPUS)))
def test_mutated_notifications(data: st.DataObject, door: str, name: str) -> None:
    """A real notification with any one value replaced, at any door, is read or refused."""
    message = CORPUS[name]
    path = data.draw(st.sampled_from(paths(message)), label="path")
    value = data.draw(JSON_VALUES, label="value")
    read(door, json.dumps(mutated(message, path, lambda _: value)))


@given(data=st.data(), name=st.sampled_from(sorted(CORPUS)))
def test_damaged_bodies(data: st.DataObject, name: str) -> None:
    """A real body that is cut off, or with one byte replaced, is read or refused."""
    body = json.dumps(CORPUS[name]).encode()
    place = data.draw(st.integers(0, len(body) - 1), label="place")
    byte = data.draw(st.binary(min_size=0, max_size=1), label="byte")
    for door in parse.PARSERS:
        read(door, body[:place])
        read(door, body[:place] + byte + body[place + 1 :])


@given(data=st.data(), name=st.sampled_from([name for name in sorted(CORPUS) if name not in OTHERS]))
def test_any_casing_of_platform_names(data: st.DataObject, name: str) -> None:
    """The platform's names mean the same in any casing, of envelope and data alike."""
    door = "vision_notification" if name.startswith("vision") else "event_grid"
    message = CORPUS[name][0] if isinstance(CORPUS[name], list) else CORPUS[name]
    recase = data.draw(st.sampled_from([str.lower, str.upper, str.title, str.swapcase]), label="casing")
    inner = "Content" if "Content" in message else "data"
    recased = {recase(field): value for field, value in message.items() if field != inner}
    recased[recase(inner)] = {recase(field): value for field, value in message[inner].items()}
    one, two = read(door, json.dumps(message)), read(door, json.dumps(recased))
    assert one
    assert two
    assert (two.kinds, two.facts, two.once, two.data, two.key) == (one.kinds, one.facts, one.once, one.data, one.key)


@given(
    kind=st.sampled_from(["ActionFailed", "ActionSucceeded", "ModelTagged"]),
    id=st.text("0123456789abcdef", min_size=1),
    time=st.datetimes(timezones=st.timezones()).filter(lambda time: 1 < time.year < 9999),
    facts=st.dictionaries(st.text(), st.dictionaries(st.text(), st.text() | st.integers() | st.none(), max_size=3)),
    depth=st.integers(0, 9),
)
def test_announcements_come_back(
    kind: str, id: str, time: datetime, facts: dict[str, dict[str, Any]], depth: int
) -> None:
    """An event of ours is read from its payload as it was announced."""
    announced = announce(kind, id=id, time=time, facts=facts, depth=depth)
    assert parse.own(json.dumps(announced.payload)) == announced


@given(text=st.text("ah:/?#&=.%'\" \n<", max_size=60))
def test_redaction_is_done_once(text: str) -> None:
    """Removing the queries of URLs leaves none, and doing it again changes nothing."""
    redacted = without_url_queries(text)
    assert without_url_queries(redacted) == redacted
    assert len(redacted) <= len(text)


@pytest.mark.parametrize("door", sorted(parse.PARSERS))
@pytest.mark.parametrize("opening", ['{"a":', "[", '[{"a":'])
@pytest.mark.parametrize("levels", [63, 64, 65, 1000, 200_000])
def test_any_depth(door: str, opening: str, levels: int) -> None:
    """Nesting of any depth is refused in words, closed or not."""
    closing = "".join({"{": "}", "[": "]"}.get(char, "") for char in reversed(opening))
    assert read(door, opening * levels) is None
    assert read(door, opening * levels + "1" + closing * levels) is None
