"""The event catalogue: every kind, what it tells, its fields, and a sample of it in each envelope."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cli.rules.catalogue import FIELDS, KINDS, About
from cli.samples import SAMPLES, body, message
from dev.reference import code, table
from shared.events import Event
from shared.parse import PARSERS
from shared.rules import kinds
from shared.rules.paths import MISSING, canonical, parse_path, reader

LONGEST = 60
"""Characters of an example value."""
IN_EVERY_TABLE = ("subject", "type", "kinds")
COMMON = ("id", "source", "time", *(f"workspace.{name}" for name in ("id", "name", "resource_group", "subscription")))


def parts() -> Mapping[str, Callable[[], str]]:
    """Give the page's parts by the names of their marks."""
    return {"list": _list, "common fields": _common, "catalogue": lambda: "\n\n".join(_every_kind())}


def _list() -> str:
    rows = [(f"[`{kind}`](#{kind.lower()})", about.by, about.when) for kind, about in KINDS.items()]
    return table("kind | announced by | when", rows)


def _common() -> str:
    return _fields(_event("RunFailed"), COMMON)


def _every_kind() -> Iterator[str]:
    for kind, about in KINDS.items():
        yield f"## {kind}"
        yield "\n".join(_said(about))
        yield _fields(_event(kind), _paths(kind))
        yield from _samples(kind)


def _said(about: About) -> Iterator[str]:
    yield f"{about.when[0].upper()}{about.when[1:]}."
    yield f"Derived from {about.derived_from}." if about.derived_from else f"Announced by {about.by}."
    yield from about.notes


def _samples(kind: str) -> Iterator[str]:
    match SAMPLES[kind].door:
        case "event_grid":
            yield "In Event Grid's schema:"
            yield _block(message(kind).wire("eventgrid"))
            yield "As a CloudEvent:"
            yield _block(message(kind).wire("cloudevents"))
        case "vision_notification":
            yield "As the queue has it:"
            yield _block(message(kind).wire())
        case "own":
            yield "As it is kept, and as `reactor rules explain --event` takes it:"
            yield _block(message(kind).wire())


def _block(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


def _event(kind: str) -> Event:
    """Read a kind's sample as the app does."""
    return PARSERS[SAMPLES[kind].door](body(message(kind)))


def _paths(kind: str) -> list[str]:
    """List what an event of a kind can have: what the rules know of, and of our own events what there is."""
    event, about = _event(kind), kinds.KINDS[kind]
    spaces = about.fields or {name: frozenset(values) for name, values in event.facts.items()}
    every = {f"{space}.{name}" for space, names in spaces.items() for name in names}
    return [*IN_EVERY_TABLE, *(path for path in FIELDS if path in every)]


def _fields(event: Event, paths: tuple[str, ...] | list[str]) -> str:
    rows = [(code(path), FIELDS[path].type, _example(event, path), FIELDS[path].what) for path in paths]
    return table("field | type | example | what it is", rows)


def _example(event: Event, path: str) -> str:
    value = reader(canonical(parse_path(path) or ()))(event)
    if value is MISSING:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return code(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")
