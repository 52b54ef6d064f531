"""What the schedule tells of Language projects in two regions, and when: outdated replicas, and what expires. Pure.

`shared.replicas` says in what two regions differ; here is what was seen of them before, since when they differ, and
whether that is news: a state is told once, and once a day while it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared import events
from shared.events import Event, digest
from shared.replicas import Difference, Kept, Shown, Side, Wanted

OUTDATED, NEAR_EXPIRY = "ReplicaOutdated", "DeploymentNearExpiry"
TOLD_AGAIN = timedelta(days=1)
"""How long a state has to stand until it is told of again."""
TAKES = timedelta(hours=1)
"""An export that is not over after so long is begun again."""
NOT_THERE_YET = timedelta(minutes=1)
"""A job may not be found in its first moments."""
WEEK = 7
WORKING_COPY = ""
"""In place of a model's label."""


# -- what was seen ----------------------------------------------------------------------------------------------------


class Export(BaseModel):
    """An export that was started, to be read in a later look."""

    model_config = ConfigDict(frozen=True)

    url: str
    """Of its job."""
    of: str
    """What it is an export of: a model's id, or when the project was changed last."""
    started: datetime


class Content(BaseModel):
    """What an export held."""

    model_config = ConfigDict(frozen=True)

    of: str
    hash: str


class Sighting(BaseModel):
    """What was seen of a declared Language project."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    looked: datetime | None = None
    """When the last look was whole."""
    not_before: datetime | None = None
    """When it is looked at again, where a region could not be read."""
    unread: Mapping[Side, datetime] = Field(default_factory=dict)
    """Since when a region cannot be read, or exported."""
    exports: Mapping[str, Export] = Field(default_factory=dict)
    """The exports under way, by region and label: `primary/v3`, `secondary/`."""
    contents: Mapping[str, Content] = Field(default_factory=dict)
    """What such exports held."""
    since: datetime | None = None
    """Since when there is something that is not replicated; None where there is nothing."""
    replicated: datetime | None = None
    """The replication that this is since."""
    told: str = ""
    """A hash of the state that was announced last; "" where all was well since."""
    told_at: datetime | None = None
    expiries: Mapping[str, str] = Field(default_factory=dict)
    """What was announced of each thing that expires: its date, and the weeks that were left."""


def is_due(seen: Sighting | None, every: timedelta, now: datetime) -> bool:
    """Tell whether a project is to be looked at: it is time, or an export is to be read."""
    if seen is None:
        return True
    if seen.not_before is not None and now < seen.not_before:
        return False
    return bool(seen.exports) or seen.looked is None or now >= seen.looked + every


# -- what both regions show -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Served:
    """What a region answers under a name."""

    model: str
    """The model's id."""
    label: str
    """The model's label; its id where the region has no such model any more."""
    can_export: bool
    """Whether the region can still export what the model was trained from."""
    since: datetime | None
    expires: datetime | None
    """When it answers no more."""
    model_expires: datetime | None


@dataclass(frozen=True, slots=True)
class Region:
    """What one region shows of a project."""

    side: Side
    created: datetime | None
    modified: datetime | None
    served: Mapping[str, Served]
    """By deployment, as far as they are declared."""

    @property
    def models(self) -> dict[str, str]:
        """Give the ids of the models, by deployment."""
        return {name: one.model for name, one in self.served.items()}

    @property
    def labels(self) -> dict[str, str]:
        """Give the labels of the models, by deployment."""
        return {name: one.label for name, one in self.served.items()}

    def shown(self, hashes: Mapping[str, str] | None, now: datetime) -> Shown:
        """Give what is compared of it, with what it holds as far as that was exported."""
        expired = [name for name, one in self.served.items() if one.expires is not None and one.expires <= now]
        return Shown(self.modified, self.models, hashes, self.labels, frozenset(expired))

    @classmethod
    def unread(cls, side: Side, kept: Kept | None) -> Region:
        """Take a region that cannot be read to be as it was when it was replicated: it hides nothing of the other."""
        if kept is None:
            return cls(side, None, None, {})
        is_primary = side == "primary"
        models = kept.primary_models if is_primary else kept.secondary_models
        served = {
            name: Served(id, kept.labels.get(name, id), can_export=False, since=None, expires=None, model_expires=None)
            for name, id in models.items()
        }
        return cls(side, None, kept.primary_modified if is_primary else kept.secondary_modified, served)


@dataclass(frozen=True, slots=True)
class Ask:
    """An export that would tell whether a region has changed."""

    side: Side
    label: str
    of: str

    @property
    def key(self) -> str:
        """Tell it from the others of a project."""
        return f"{self.side}/{self.label}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a secondary is judged by."""

    kept: Kept | None
    """What is remembered of the last replication."""
    primary: Region
    secondary: Region | None
    wanted: Wanted

    def asks(self, doubtful: Iterable[Side], looked: datetime | None) -> tuple[list[Ask], dict[str, str]]:
        """Say what is to be exported of the regions that are doubtful; and what the primary holds without that.

        The second maps labels to hashes: a model that serves as it did when it was replicated holds what it held, and
        of one that cannot be exported any more nobody knows.
        """
        found: list[Ask] = []
        known: dict[str, str] = {}
        kept, primary, secondary = self.kept, self.primary, self.secondary
        if "primary" in doubtful and self.wanted.follow == "working_copy":
            found.append(Ask("primary", WORKING_COPY, _moment(primary.modified, looked)))
        elif "primary" in doubtful:
            for name, one in primary.served.items():
                if kept and kept.primary_models.get(name) == one.model and one.label in kept.hashes:
                    known[one.label] = kept.hashes[one.label]
                elif not one.can_export:
                    known[one.label] = f"unknown of {one.model}"
                else:
                    ask = Ask("primary", one.label, one.model)
                    found += [ask] if ask not in found else []
        if "secondary" in doubtful and secondary:
            found.append(Ask("secondary", WORKING_COPY, _moment(secondary.modified, looked)))
        return found, known

    def since(self, differences: Iterable[Difference], seen: Sighting, now: datetime) -> datetime:
        """Say since when there is a difference, as far as the regions tell, or was one seen since the replication.

        For what the primary has and the secondary lacks that is the recovery point.
        """
        found = [now]
        for difference in differences:
            found += [time for time in self._times(difference, now) if time is not None]
        if seen.since is not None and seen.replicated == self.replicated:
            found.append(seen.since)
        return min(found)

    @property
    def replicated(self) -> datetime | None:
        """When it was replicated last."""
        return self.kept.replicated if self.kept else None

    def _times(self, difference: Difference, now: datetime) -> list[datetime | None]:
        """List when what a difference consists of came about, as far as a region says it."""
        kept, primary, secondary = self.kept, self.primary, self.secondary
        if difference.reason == "changed" and kept and self.wanted.follow == "deployed":
            return _other(primary, kept.primary_models)
        if difference.reason == "changed":
            return [primary.modified]
        if difference.reason == "edited":
            return [secondary.modified if secondary else None]
        if difference.reason == "deployments" and kept and secondary:
            return [*_other(secondary, kept.secondary_models), *_past(secondary, now)]
        return [primary.created] if difference.reason in {"missing", "never_replicated"} else []

    def state(self, differences: Sequence[Difference], hashes: Mapping[Side, Mapping[str, str]]) -> str:
        """Hash all that a state consists of; "" where nothing differs."""
        if not differences:
            return ""
        models = {side: region.models if region else {} for side, region in self._regions()}
        return digest(
            *(f"{each.reason} {_lasting(each)}" for each in differences),
            self.replicated.isoformat() if self.replicated else "",
            events.canonical(models),
            events.canonical(hashes),
            self.wanted.options.model_dump_json(),
        )

    def _regions(self) -> tuple[tuple[Side, Region | None], ...]:
        return ("primary", self.primary), ("secondary", self.secondary)


def _other(region: Region, before: Mapping[str, str]) -> list[datetime | None]:
    """List since when a region serves what it did not serve before."""
    return [one.since for name, one in region.served.items() if one.model != before.get(name)]


def _past(region: Region, now: datetime) -> list[datetime | None]:
    """List when what answers no more expired."""
    return [one.expires for one in region.served.values() if one.expires is not None and one.expires <= now]


def _lasting(each: Difference) -> str:
    """Leave out of what differs why a region cannot be read: that may be said in other words each time."""
    return each.details.partition(BECAUSE)[0] if each.reason == "unreadable" else each.details


def unreadable(side: Side, why: str) -> Difference:
    """Say that a region could not be compared for so long that somebody should know."""
    return Difference("unreadable", f"the {side} could not be compared for a day{BECAUSE}{why}")


BECAUSE = ": "


def _moment(modified: datetime | None, looked: datetime | None) -> str:
    """Name the state of a project by when it was changed; where that is not said, it is another at each look."""
    return modified.isoformat() if modified else f"after {looked.isoformat() if looked else 'the first look'}"


# -- a replica that is outdated ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Places:
    """Which project, and where."""

    name: str
    """As the rules file calls it."""
    project: str
    source: str
    primary: str
    secondary: str
    """The hosts."""

    @property
    def pair(self) -> str:
        """Tell it from other projects, and from other copies of this one."""
        return digest(self.name, self.source.lower(), self.secondary)


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
    seen: Sighting,
    now: datetime,
    follow: str,
) -> Event:
    """Make the event that a replica is outdated; it is the same one until it is remembered that it was told."""
    last = (seen.looked, seen.told_at)
    facts = {
        "name": places.name,
        "project": places.project,
        "primary": places.primary,
        "secondary": places.secondary,
        "reason": differences[0].reason,
        "reasons": [each.reason for each in differences],
        "details": "; ".join(each.details for each in differences),
        "lag_seconds": max(0, int((now - since).total_seconds())),
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
