"""Trainings and exports that ended without a notification: found by looking. Pure.

What Custom Vision shows of a project is compared with what was seen of it before. What has ended since then is given
some time to be announced; what was not announced by then is announced by us, in the words of the notification.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared import events
from shared.events import Event, digest

KIND = "NotificationMissed"
SLACK = timedelta(minutes=5)
"""How far the clocks of queues and of looks may be apart."""
LONGEST_GAP = timedelta(days=1)
"""Who has not looked for so long begins anew: what ended meanwhile is nobody's news."""

What = Literal["training", "export"]


@dataclass(frozen=True, slots=True)
class Ending:
    """A training or an export, as the service shows it now."""

    what: What
    iteration: str
    status: str
    """ "Completed" or "Failed" where it is over, "" where it is not."""
    platform: str = ""
    flavor: str = ""

    @property
    def name(self) -> str:
        """Tell it from the others of its project."""
        return f"{self.what}/{self.iteration}/{self.platform}/{self.flavor}".lower()

    @property
    def kind(self) -> str:
        """The kind of the notification that tells of it."""
        return f"{self.what.title()}{self.status}"


class Seen(BaseModel):
    """What was seen of one training or export."""

    model_config = ConfigDict(frozen=True)

    status: str
    since: datetime
    """When it was first seen in this status."""
    after: datetime
    """When the look before that was: a notification of it came later."""
    settled: bool = False
    """Whether it was announced, by the service or by us, or ended before anybody looked."""


class Sighting(BaseModel):
    """What was seen of a project."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    looked: datetime
    gapped: bool = False
    """Whether that look came long after the one before, so that messages may have waited in the queue meanwhile."""
    exports_of: frozenset[str] = frozenset()
    """The iterations whose exports were looked at."""
    seen: dict[str, Seen] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """What came of looking at a project."""

    after: Sighting
    due: tuple[Ending, ...]
    """What is over for so long that its notification must have come, and is not settled yet."""


def look(
    shown: Iterable[Ending],
    before: Sighting | None,
    *,
    grace: timedelta,
    now: datetime,
    exports_of: Collection[str] = (),
) -> Look:
    """Compare what a project shows with what was seen before; `exports_of` are the iterations whose exports are shown.

    What was over when the project was first looked at, or an iteration's exports were, is nobody's news. Nothing is due
    at the first look after a gap; where every look comes after one, that is how often it is looked at.
    """
    if before is not None and now > before.looked + LONGEST_GAP:
        before = None
    gapped = before is not None and now > before.looked + grace
    is_too_soon = gapped and before is not None and not before.gapped
    seen: dict[str, Seen] = {}
    due = []
    for ending in shown:
        one = before.seen.get(ending.name) if before else None
        if one is None or one.status != ending.status:
            is_past = bool(ending.status) and _is_past(ending, before)
            one = Seen(status=ending.status, since=now, after=before.looked if before else now, settled=is_past)
        seen[ending.name] = one
        if ending.status and not one.settled and now >= one.since + grace and not is_too_soon:
            due.append(ending)
    return Look(Sighting(looked=now, gapped=gapped, exports_of=frozenset(exports_of), seen=seen), tuple(due))


def _is_past(ending: Ending, before: Sighting | None) -> bool:
    """Tell whether something may have been over for long: nobody looked."""
    if before is None:
        return True
    trained = before.seen.get(Ending("training", ending.iteration, "").name)
    was_over = trained is not None and bool(trained.status)
    return ending.what == "export" and was_over and ending.iteration not in before.exports_of


def unheard(due: Iterable[Ending], heard: Iterable[Mapping[str, Any]]) -> tuple[Ending, ...]:
    """Give those that no notification told of; `heard` are the `vision.*` facts of the notifications there were.

    A notification of an export need not say of which platform and flavor it is: it is then taken for any one.
    """
    told = [dict(facts) for facts in heard]
    missed = []
    for ending in due:
        fitting = sorted((facts for facts in told if _fits(facts, ending)), key=_says)
        if not fitting:
            missed.append(ending)
        elif ending.what == "export":
            told.remove(fitting[-1])
    return tuple(missed)


def _fits(facts: Mapping[str, Any], ending: Ending) -> bool:
    if facts.get("iteration") != ending.iteration or facts.get("status") != ending.kind:
        return False
    platform, flavor = facts.get("platform"), facts.get("flavor")
    return (platform is None or str(platform).lower() == ending.platform.lower()) and (
        flavor is None or str(flavor).lower() == ending.flavor.lower()
    )


def _says(facts: Mapping[str, Any]) -> int:
    """Count what a notification says of which export it is."""
    return sum(facts.get(name) is not None for name in ("platform", "flavor"))


def settled(sighting: Sighting, endings: Iterable[Ending]) -> Sighting:
    """Remember that these were announced."""
    names = {ending.name for ending in endings}
    seen = {
        name: one.model_copy(update={"settled": True}) if name in names else one for name, one in sighting.seen.items()
    }
    return sighting.model_copy(update={"seen": seen})


def missed(project: str, ending: Ending, since: datetime) -> Event:
    """Make the event that an ending was not announced, which also tells what the notification would have told.

    It is the same event where it is announced again: `since` is when the ending was first seen.
    """
    status = f"{ending.what}Status"
    data = {"projectId": project, "iterationId": ending.iteration, status: ending.kind}
    facts = {
        "project": project,
        "iteration": ending.iteration,
        "platform": ending.platform or None,
        "flavor": ending.flavor or None,
        "status": ending.kind,
    }
    kinds = (KIND, ending.kind)
    token = answered_once(project, ending.iteration) if ending.what == "training" else ""
    return events.announce(
        KIND,
        also=(ending.kind,),
        id=digest("missed", project, ending.name, ending.status, since.isoformat()),
        time=since,
        source=f"customvision/{project}",
        subject=f"projects/{project}/iterations/{ending.iteration}",
        data=data,
        facts={"vision": facts},
        once=dict.fromkeys(kinds, token) if token else None,
    )


def answered_once(project: str, iteration: str) -> str:
    """Return what a rule answers once of a training: it ends once, however often and by whomever that is told."""
    return digest("training", project, iteration)
