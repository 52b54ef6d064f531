"""The events that the running app has recorded, oldest first, with their payloads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from typing import Any

from cli.event_files import Recorded, Unreadable, read_record

PAGE = 1_000
AT_ONCE = 8
"""Requests under way at the same time: each payload is asked for by itself."""


def recorded(
    app: Any, since: str, kinds: frozenset[str], progress: Callable[[int, int], None]
) -> Iterator[Recorded | Unreadable]:
    """Read what came since a time and has one of these kinds, told as `progress(read, of so many)`.

    The app lists events newest first, and a limit has to see them in the order of time.
    """
    listed: list[tuple[str, str]] = []
    after = ""
    while True:
        page = app.get("events", since=since, most=PAGE, after=after)
        listed += [(one["received"], one["key"]) for one in page["events"] if kinds.intersection(one["kinds"])]
        after = page["next"]
        if not after:
            break
    listed.sort()
    with ThreadPoolExecutor(AT_ONCE) as readers:
        read = 0
        for some in batched(listed, AT_ONCE * 8, strict=False):
            for detail in readers.map(lambda one: app.get(f"events/{one[1]}"), some):
                read += 1
                progress(read, len(listed))
                kept = {name: detail.get(name) for name in ("key", "received", "door", "payload")}
                yield read_record(kept, json.dumps(kept), f"event {detail['key']}")
