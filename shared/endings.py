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
"""What ended while nobody looked for longer is late: it is told, and no rule for trainings and exports acts on it."""
OLDEST = timedelta(days=30)
"""Who has not looked for so long begins anew: what ended meanwhile is nobody's news."""
FORGOTTEN = 12
"""At so many looks in a row something must not be shown to be forgotten: one listing may lack what the next one has."""

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
    at: datetime | None = None
    """When it ended, or began, where the service says so: it does of trainings, and of exports never."""

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
    """When the look before that was, or before it was first seen under way: a notification of it came later."""
    settled: bool = False
    """Whether it was announced, by the service or by us, or ended before anybody looked."""
    late: bool = False
    """Whether it was over before a look that came very long after the one before."""
    missing: int = 0
    """At how many looks in a row it was not shown."""
    instead: Seen | None = None
    """Where it is over: another status, which the last look alone has shown, and which may be an old answer."""


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
    if before is not None and now > before.looked + OLDEST:
        before = None
    gap = now - before.looked if before is not None else timedelta()
    gapped, is_late = gap > grace, gap > LONGEST_GAP
    is_too_soon = gapped and before is not None and not before.gapped
    known = before.seen if before is not None else {}
    after = before.looked if before is not None else now
    seen: dict[str, Seen] = {}
    due = []
    for ending in sorted(shown, key=lambda one: one.what == "export"):  # news of a training make news of its exports
        one = Seen(status=ending.status, since=now, after=after, late=is_late and bool(ending.status))
        if ending.name in known:
            one = _gone_on(known[ending.name], one)
        elif ending.status and not _is_news(ending, before, seen, now):
            one = one.model_copy(update={"settled": True})
        seen[ending.name] = one
        is_shown = bool(ending.status) and one.status == ending.status
        if is_shown and not one.settled and now >= one.since + grace and not is_too_soon:
            due.append(ending)
    for name in known.keys() - seen.keys():
        if known[name].missing + 1 < FORGOTTEN:
            seen[name] = known[name].model_copy(update={"missing": known[name].missing + 1, "instead": None})
    return Look(Sighting(looked=now, gapped=gapped, exports_of=frozenset(exports_of), seen=seen), tuple(due))


def _gone_on(one: Seen, now: Seen) -> Seen:
    """Say how it stands with what was seen before; what was over stays over until two looks in a row say otherwise."""
    if one.status == now.status:
        return one.model_copy(update={"missing": 0, "instead": None, "late": one.late or now.late})
    if not one.status:
        return now.model_copy(update={"after": one.after})
    if one.instead is not None and one.instead.status == now.status:
        return _gone_on(one.instead, now)
    return one.model_copy(update={"missing": 0, "instead": now})


def _is_news(ending: Ending, before: Sighting | None, seen: Mapping[str, Seen], now: datetime) -> bool:
    """Tell whether something that is over, and was never seen, was not so at the look before.

    A training says when it was; exports are new where the iteration's were looked at, or its training ended just now.
    """
    if before is None:
        return False
    if ending.what == "training":
        return ending.at is not None and ending.at >= before.looked - SLACK
    trained = seen.get(Ending("training", ending.iteration, "").name)
    is_new = trained is not None and bool(trained.status) and trained.since == now and not trained.settled
    return is_new or ending.iteration in before.exports_of


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


def missed(project: str, ending: Ending, since: datetime, *, late: bool = False) -> Event:
    """Make the event that an ending was not announced, which also tells what the notification would have told.

    It is the same event where it is announced again: `since` is when the ending was first seen. What is late is of its
    own kind alone: who hears of trainings and exports would do today what was to be done days ago.
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
    also = () if late else (ending.kind,)
    token = answered_once(project, ending.iteration) if ending.what == "training" else ""
    return events.announce(
        KIND,
        also=also,
        id=digest("missed", project, ending.name, ending.status, since.isoformat()),
        time=since,
        source=f"customvision/{project}",
        subject=f"projects/{project}/iterations/{ending.iteration}",
        data=data,
        facts={"vision": facts},
        once=dict.fromkeys((KIND, *also), token) if token else None,
    )


def answered_once(project: str, iteration: str) -> str:
    """Return what a rule answers once of a training: it ends once, however often and by whomever that is told."""
    return digest("training", project, iteration)
