"""The events that the running app has recorded, oldest first, with their payloads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import batched
from typing import NamedTuple

from cli.app import App
from cli.event_files import Recorded, Unreadable, read_record
from cli.listing import Json

LISTED_AT_ONCE = 1_000
READ_AT_ONCE = 100
"""Events of a page with payloads."""
AT_ONCE = 2
"""Pages that are asked for at the same time: each is several reads of the app's."""


class Listed(NamedTuple):
    """An event as it is listed, in the order of time."""

    received: datetime
    key: str
    is_wanted: bool


def recorded(
    app: App, since: str, kinds: frozenset[str], progress: Callable[[int, int], None]
) -> Iterator[Recorded | Unreadable]:
    """Read what came since a time and has one of these kinds, told as `progress(read, of so many)`.

    The app lists events newest first, and a limit has to see them in the order of time: so all are listed, and then
    read with their payloads in short spans from the oldest on.
    """
    listed = sorted(
        Listed(_time(one), one["key"], not kinds.isdisjoint(one["kinds"]))
        for one in _pages(app, since=since, most=LISTED_AT_ONCE)
    )
    read, count = 0, sum(one.is_wanted for one in listed)
    with ThreadPoolExecutor(AT_ONCE) as readers:
        for some in batched(_spans(listed), AT_ONCE, strict=False):
            for events in readers.map(lambda span: _read(app, span), some):
                read += len(events)
                progress(read, count)
                for event in events:
                    kept = {name: event[name] for name in ("key", "received", "door", "payload")}
                    yield read_record(kept, json.dumps(kept), f"event {event['key']}")


def _spans(listed: Sequence[Listed]) -> Iterator[Sequence[Listed]]:
    """Cut what is listed into pages that begin and end with what is wanted."""
    begin = 0
    while begin < len(listed):
        span = listed[begin : begin + READ_AT_ONCE]
        wanted = [number for number, one in enumerate(span) if one.is_wanted]
        if wanted:
            yield span[wanted[0] : wanted[-1] + 1]
        begin += len(span)


def _read(app: App, span: Sequence[Listed]) -> list[Json]:
    """Read the payloads of a span; what came in the same moments and is not in it is left out."""
    wanted = {one.key for one in span if one.is_wanted}
    begin, end = (one.received.isoformat() for one in (span[0], span[-1]))
    pages = _pages(app, since=begin, until=end, most=READ_AT_ONCE, payload="true")
    return sorted((one for one in pages if one["key"] in wanted), key=lambda one: (_time(one), one["key"]))


def _time(event: Json) -> datetime:
    return datetime.fromisoformat(event["received"])


def _pages(app: App, **asked: str | int) -> Iterator[Json]:
    """List events, page after page; a page may be short, even empty, and go on."""
    after = ""
    while after is not None:
        page = app.get("events", **asked, after=after)
        yield from page["events"]
        after = page["next"]
