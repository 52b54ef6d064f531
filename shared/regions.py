"""What the schedule sees of Language projects in two regions, what it saw before, and since when they differ. Pure.

`shared.replicas` says in what two regions differ, and `shared.region_news` what is told of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared import events
from shared.events import digest
from shared.replicas import Difference, Kept, Shown, Side, Wanted

TOLD_AGAIN = timedelta(days=1)
"""How long a state has to stand until it is told of again."""
TAKES = timedelta(hours=1)
"""An export that is not over after so long is begun again."""
NOT_THERE_YET = timedelta(minutes=1)
"""A job may not be found in its first moments."""
WORKING_COPY = ""
"""In place of a model's label."""
BECAUSE = ": "
LAGS = frozenset({"missing", "never_replicated", "changed"})
"""The reasons for which the primary has something that the secondary has not."""


# -- what both regions show -------------------------------------------------------------------------------------------


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


class LastSeen(BaseModel):
    """A region as it was compared last: while it cannot be read it is taken to be so."""

    model_config = ConfigDict(frozen=True)

    region: Region | None
    """None where it had no such project."""
    hashes: Mapping[str, str] | None = None
    """What it held, by label, where that was exported."""
    replicated: datetime | None
    """When a replication had succeeded last by then; None where none had."""


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
    """Since when the regions differ; None where they do not."""
    lagging: datetime | None = None
    """Since when the primary has something that the secondary has not; None where it has nothing more."""
    replicated: datetime | None = None
    """When a replication had succeeded last by then: what differed before that does not count."""
    last: Mapping[Side, LastSeen] = Field(default_factory=dict)
    """How the regions were compared last."""
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


# -- how they are compared --------------------------------------------------------------------------------------------


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
        """Say since when there is a difference, as far as the regions tell, or was one seen since the replication."""
        return self._oldest(differences, seen.since if seen.replicated == self.replicated else None, now)

    def lagging(self, differences: Iterable[Difference], seen: Sighting, now: datetime) -> datetime | None:
        """Say since when the primary has something that the secondary has not: the recovery point; None for nothing."""
        lags = [each for each in differences if each.reason in LAGS]
        if not lags:
            return None
        return self._oldest(lags, seen.lagging if seen.replicated == self.replicated else None, now)

    def _oldest(self, differences: Iterable[Difference], before: datetime | None, now: datetime) -> datetime:
        """Give the oldest time of differences, or the one that was seen before."""
        times = [time for each in differences for time in self._times(each, now)]
        return min(time for time in (now, before, *times) if time is not None)

    @property
    def replicated(self) -> datetime | None:
        """When a replication succeeded last, also one that found all in place: nothing that was before that stands."""
        return self.kept.proven if self.kept else None

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
        models = {side: region.models if region else {} for side, region in self.regions()}
        return digest(
            *(f"{each.reason} {_lasting(each)}" for each in differences),
            self.replicated.isoformat() if self.replicated else "",
            events.canonical(models),
            events.canonical(hashes),
            self.wanted.options.model_dump_json(),
        )

    def regions(self) -> tuple[tuple[Side, Region | None], ...]:
        """Give both; None where a region has no such project."""
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


def unreadable(side: Side, why: str, lasting: str = "") -> Difference:
    """Say that a region could not be compared, and for how long it could not (" for a day")."""
    return Difference("unreadable", f"the {side} could not be compared{lasting}{BECAUSE}{why}")


def _moment(modified: datetime | None, looked: datetime | None) -> str:
    """Name the state of a project by when it was changed; where that is not said, it is another at each look."""
    return modified.isoformat() if modified else f"after {looked.isoformat() if looked else 'the first look'}"
