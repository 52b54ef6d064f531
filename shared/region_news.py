"""The events that the schedule makes of Language projects in two regions, and when each of them is news. Pure.

A state is told once, and once a day while it stands; what expires is told once a week.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from shared import events
from shared.events import Event, digest
from shared.regions import TOLD_AGAIN, Places, Region, Sighting
from shared.replicas import Difference, Side

OUTDATED, NEAR_EXPIRY = "ReplicaOutdated", "DeploymentNearExpiry"
WEEK = 7

# -- a replica that is outdated ---------------------------------------------------------------------------------------


def is_news(state: str, seen: Sighting, every: timedelta, now: datetime) -> bool:
    """Tell whether a state is to be announced: it is another one than last time, or has stood for long enough."""
    if not state or state != seen.told or seen.told_at is None:
        return bool(state)
    return now >= seen.told_at + max(every, TOLD_AGAIN)


def outdated(
    places: Places,
    differences: Sequence[Difference],
    *,
    state: str,
    since: datetime,
    lagging: datetime | None,
    seen: Sighting,
    now: datetime,
    follow: str,
) -> Event:
    """Make the event that a replica is outdated; it is the same one until it is remembered that it was told.

    `since` there is any difference; `lagging` says since when the primary has something that the secondary has not.
    """
    last = (seen.looked, seen.told_at)
    facts = {
        "name": places.name,
        "project": places.project,
        "primary": places.primary,
        "secondary": places.secondary,
        "reason": differences[0].reason,
        "reasons": [each.reason for each in differences],
        "details": "; ".join(each.details for each in differences),
        "lag_seconds": max(0, int((now - lagging).total_seconds())) if lagging else 0,
        "since": since.astimezone(UTC).isoformat(),
        "follow": follow,
    }
    return events.announce(
        OUTDATED,
        id=digest(OUTDATED, places.pair, state, *(time.isoformat() if time else "" for time in last)),
        time=now,
        source=places.source,
        subject=f"projects/{places.project}",
        facts={"replica": facts},
    )


# -- what expires -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expiring:
    """A deployment, or the model that it serves, and its last day."""

    resource: Side
    what: Literal["deployment", "model"]
    item: str
    expires: datetime

    @property
    def key(self) -> str:
        """Tell it from the others of a project."""
        return f"{self.resource}/{self.what}/{self.item}"

    def days_left(self, now: datetime) -> int:
        """Count the whole days until it expires; it has, where there are less than none."""
        return (self.expires - now) // timedelta(days=1)


def expiring(regions: Iterable[Region], within: timedelta, now: datetime) -> list[Expiring]:
    """List what expires soon, or has: declared deployments, and the models that they serve."""
    found: dict[str, Expiring] = {}
    for region in regions:
        for name, one in region.served.items():
            last_days = [("deployment", name, one.expires), ("model", one.label, one.model_expires)]
            for what, item, expires in last_days:
                if expires is not None and expires <= now + within:
                    each = Expiring(region.side, "deployment" if what == "deployment" else "model", item, expires)
                    found[each.key] = each
    return list(found.values())


def told_of(each: Expiring, now: datetime) -> str:
    """Say what is told of something that expires: it is told again with another date, and with each week that goes."""
    return f"{each.expires.astimezone(UTC).isoformat()} {each.days_left(now) // WEEK}"


def near_expiry(places: Places, each: Expiring, now: datetime) -> Event:
    """Make the event that something will expire soon; it is the same one for a week."""
    facts: dict[str, Any] = {
        "name": places.name,
        "project": places.project,
        "resource": each.resource,
        "what": each.what,
        "item": each.item,
        "expires": each.expires.astimezone(UTC).isoformat(),
        "days_left": each.days_left(now),
    }
    return events.announce(
        NEAR_EXPIRY,
        id=digest(NEAR_EXPIRY, places.pair, each.key, told_of(each, now)),
        time=now,
        source=places.source,
        subject=f"projects/{places.project}/{each.what}s/{each.item}",
        facts={"expiry": facts},
    )
