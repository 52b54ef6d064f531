"""Paths to fields of an event: `subject`, `drift.signal`, `data.modelTags['team.owner']`.

The same paths serve filters and templates.
The platform's names are met in three casings, so they are taken ignoring case; the user's own keys keep theirs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from shared.events import Event
from shared.rules.kinds import ENVELOPE, NAMESPACES, SPELLINGS

Keys = tuple[str, ...]
Read = Callable[[Event], Any]

PART = re.compile(r"""(?:^|\.)(?P<name>[^.\[\]'"\s]+)|\[(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\]""")
WORKSPACE_ID = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<resource_group>[^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/workspaces/(?P<name>[^/]+)",
    re.IGNORECASE,
)
ROOTS = {name.lower(): name for name in (*ENVELOPE, *NAMESPACES)} | {"topic": "source", "eventtype": "type"}
ROOTS |= {"eventtime": "time"}


MAPPING = (dict, Mapping)
"""For isinstance: nearly everything is a dict, and asking for that first is ten times as fast."""


class Missing:
    """The type of MISSING."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()
"""What reading a path gives where there is nothing; JSON null is None."""


@lru_cache(maxsize=4096)
def parse_path(text: str) -> Keys | None:
    """Split a path into keys, None where it is not one."""
    keys: list[str] = []
    position = 0
    for part in PART.finditer(text):
        if part.start() != position:
            return None
        keys.append(part["name"] if part["name"] is not None else part["quoted"])
        position = part.end()
    return tuple(keys) if keys and position == len(text) and "" not in keys else None


def canonical(keys: Keys) -> Keys:
    """Spell the platform's part of a path as events do."""
    root = ROOTS.get(keys[0].lower(), keys[0])
    if len(keys) == 1:
        return (root,)
    second = SPELLINGS.get(root, {}).get(keys[1].lower(), keys[1])
    return (root, second, *keys[2:])


def show_path(keys: Keys) -> str:
    """Write keys as a path again."""
    return "".join(
        f"['{key}']" if re.search(r"""[.\[\]'"\s]""", key) else f".{key}" if position else key
        for position, key in enumerate(keys)
    )


@lru_cache(maxsize=4096)
def reader(keys: Keys) -> Read:
    """Compile a canonical path to a function that reads it from an event; no path at all is the event itself."""
    if not keys:
        return _whole
    root, *rest = keys
    if root in ENVELOPE:
        return ENVELOPE_READERS[root] if not rest else _nothing
    inner = tuple(rest)
    if root == "data":
        if len(inner) == 1:
            key = inner[0]
            return lambda event: event.data.get(key, MISSING)
        return lambda event: walk(event.data, inner)
    if root == "workspace":
        return lambda event: walk(workspace(event), inner)
    return lambda event: walk(event.facts.get(root, MISSING), inner)


def walk(value: Any, keys: Keys) -> Any:
    """Follow keys into nested mappings; MISSING where one is not there."""
    for key in keys:
        if not isinstance(value, MAPPING):
            return MISSING
        value = value.get(key, MISSING)
    return value


def _nothing(_event: Event) -> Any:
    return MISSING


def _whole(event: Event) -> Any:
    return event


def workspace(event: Event) -> Mapping[str, str] | Missing:
    """Take the workspace's ARM id apart: what an operator calls it, and where it is."""
    parts = WORKSPACE_ID.fullmatch(event.source)
    return {"id": event.source, **parts.groupdict()} if parts else MISSING


def timestamp(event: Event) -> str | None:
    """Write when an event happened, in UTC, as RFC 3339."""
    return event.time.isoformat().replace("+00:00", "Z") if event.time else None


ENVELOPE_READERS: dict[str, Read] = {
    "id": lambda event: event.id,
    "source": lambda event: event.source,
    "subject": lambda event: event.subject,
    "type": lambda event: event.type,
    "time": lambda event: timestamp(event) or MISSING,
    "kinds": lambda event: sorted(event.kinds),
}
