"""What is asked for: the filters of a listing, from the words of a query to what the timeline is searched by."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.actions import Status
from shared.errors import MalformedError
from shared.policy import read_duration
from shared.rules.declared import source_key
from shared.rules.kinds import KINDS
from shared.rules.problems import did_you_mean, shorten
from shared.storage.timeline import Wanted, What

if TYPE_CHECKING:
    from shared.rules import Rules

FILTERS: Mapping[What, tuple[str, ...]] = {
    "events": ("kind", "source", "rule", "status", "since", "until"),
    "actions": ("kind", "source", "rule", "status", "event", "since", "until"),
}
PAGING: Mapping[What, tuple[str, ...]] = {"events": ("most", "after", "payload"), "actions": ("most", "after")}
STATUSES: Mapping[What, tuple[str, ...]] = {
    "events": ("planned", "unplanned", "parked", "refused", "ignored"),
    "actions": tuple(status.value for status in Status),
}
LAST = timedelta(days=7)
"""How far back a listing goes that does not say."""
FURTHEST = timedelta(days=400)
"""A listing looks at each day by itself."""
AHEAD = timedelta(minutes=1)
"""Clocks differ: what came just now is listed even where another clock said so."""
DEFAULT_MOST, GREATEST_MOST = 50, 1_000
GREATEST_WITH_PAYLOAD = 100
"""Each payload is a record of its own."""
CURSOR = re.compile(r"\d{14}-[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Query:
    """One page of a listing: what is wanted, how much of it, behind which place."""

    wanted: Wanted
    most: int
    after: str
    event: str
    """The key of the event whose actions are wanted, as it was given; "" for those of all."""
    has_payload: bool
    """Whether each event is wanted with its payload."""


def read_query(what: What, params: Mapping[str, str], now: datetime, rules: "Rules | None") -> Query:
    """Read the filters of a listing; MalformedError names the one that is wrong, and what it may be."""
    for name in params:
        if name not in (*FILTERS[what], *PAGING[what]):
            known = f"filter by {', '.join(FILTERS[what])}"
            meant = did_you_mean(name, (*FILTERS[what], *PAGING[what]))
            raise MalformedError(f"there is no such filter{meant}; {known}", field=shorten(name))
    given = {name: value.strip() for name, value in params.items() if value.strip()}
    until = _time("until", given["until"], now) if "until" in given else now + AHEAD
    last = FURTHEST if "event" in given else LAST
    since = _time("since", given["since"], now) if "since" in given else min(until, now) - last
    if since > until:
        raise MalformedError(f"{since:%Y-%m-%d %H:%M:%S} is later than until, {until:%Y-%m-%d %H:%M:%S}", field="since")
    if until - since > FURTHEST + AHEAD:
        raise MalformedError(f"at most {FURTHEST.days} days before until", field="since")
    wanted = Wanted(
        since=since,
        until=until,
        kind=_choice("kind", given.get("kind", ""), KINDS),
        source=given.get("source", ""),
        is_source=_declared(given.get("source", ""), rules),
        rule=given.get("rule", ""),
        status=_choice("status", given.get("status", ""), STATUSES[what]),
    )
    has_payload = _choice("payload", given.get("payload", ""), ("true", "false")) == "true"
    most = _most(given.get("most", ""), GREATEST_WITH_PAYLOAD if has_payload else GREATEST_MOST)
    return Query(wanted, most, _after(given.get("after", "")), given.get("event", ""), has_payload)


def _choice(field: str, value: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """Take one of some words, in whatever case."""
    found = {word.lower(): word for word in known}.get(value.lower(), "")
    if value and not found:
        listed = f"; one of {', '.join(known)}" if len(known) < 10 else ""
        raise MalformedError(f"unknown {field} {shorten(value)}{did_you_mean(value, known)}{listed}", field=field)
    return found


def _time(field: str, value: str, now: datetime) -> datetime:
    """Read a time, or how long ago it was."""
    try:
        return now - read_duration(value)
    except ValueError:
        pass
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        wanted = "a time such as 2026-11-22T08:15:00Z, or how long ago it was: 90m, 24h, 7d"
        raise MalformedError(f"{shorten(value)} is no time; give {wanted}", field=field) from None


def _declared(value: str, rules: "Rules | None") -> Callable[[str], bool] | None:
    """Take a name that the rules declare as exactly that source; anything else is a part of a source."""
    if rules is None or not value:
        return None
    keys = {key for key, names in rules.declared.sources().items() if value in names}
    return (lambda source: source_key(source) in keys) if keys else None


def _most(value: str, greatest: int) -> int:
    if not value:
        return DEFAULT_MOST
    if not value.isdecimal() or not 1 <= int(value[:9]) <= greatest:
        raise MalformedError(f"{shorten(value)} is no number from 1 to {greatest}", field="most")
    return int(value)


def _after(value: str) -> str:
    if value and not CURSOR.match(value):
        raise MalformedError(f"{shorten(value)} is no place to go on from; take it from next", field="after")
    return value
