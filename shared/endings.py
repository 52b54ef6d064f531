"""Trainings and exports that ended without a notification: found by looking. Pure.

What Custom Vision shows of a project is compared with what was seen of it before. What has ended since then is given
some time to be announced; what was not announced by then is announced by us, in the words of the notification.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared import events
from shared.events import Event, digest

KIND = "NotificationMissed"
RENEWED = timedelta(days=30)
"""What is remembered is written again after this, or it would be forgotten."""
LOOKS_BACK = timedelta(hours=1)
"""How long before it was seen to be over a notification of it may have come."""

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
    settled: bool = False
    """Whether it was announced, by the service or by us, or ended before anybody looked."""


class Sighting(BaseModel):
    """What was seen of a project."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    since: datetime
    """When this was written; as long as nothing changes, it is not written again."""
    seen: dict[str, Seen] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """What came of looking at a project."""

    after: Sighting
    is_news: bool
    """Whether that is to be remembered."""
    due: tuple[Ending, ...]
    """What is over for so long that its notification must have come, and is not settled yet."""


def look(shown: Iterable[Ending], before: Sighting | None, *, grace: timedelta, now: datetime) -> Look:
    """Compare what a project shows with what was seen before.

    What was over when the project was first looked at is nobody's news.
    """
    known: Mapping[str, Seen] = before.seen if before else {}
    seen: dict[str, Seen] = {}
    due = []
    for ending in shown:
        old = known.get(ending.name)
        if old is None or old.status != ending.status:
            old = Seen(status=ending.status, since=now, settled=before is None and bool(ending.status))
        seen[ending.name] = old
        if ending.status and not old.settled and now >= old.since + grace:
            due.append(ending)
    is_news = before is None or before.seen != seen or now >= before.since + RENEWED
    return Look(Sighting(since=now, seen=seen), is_news, tuple(due))


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
