"""Tags that are set after a model was registered: nothing announces them, so they are found by looking. Pure.

What the service lists of a model is compared with what was seen of it before: that gives the events to announce, and
what to remember once they are announced.
https://learn.microsoft.com/azure/event-grid/event-schema-machine-learning
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared import events
from shared.events import Event, canonical, digest

if TYPE_CHECKING:
    from shared.clients.machine_learning.models import Model

KIND = "ModelTagged"
AS_ONE = timedelta(seconds=2)
"""A version that was modified this soon after it was created was registered with its tags: ModelRegistered has them."""
LAG = timedelta(minutes=1)
"""How late a new version may be listed, and how far the service's clock may be from ours."""
RENEWED = timedelta(days=30)
"""What is remembered is written again after this, or it would be forgotten."""

Tags = Mapping[str, str | None]


class Sighting(BaseModel):
    """What was seen of a model."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    since: datetime
    """When this was written; as long as nothing changes, it is not written again."""
    tags: dict[str, dict[str, str | None]] = Field(default_factory=dict)
    """Those of each version that was listed, by version."""


@dataclass(frozen=True, slots=True)
class Look:
    """What came of looking at a model."""

    events: tuple[Event, ...] = ()
    after: Sighting | None = None
    """What to remember once the events are announced; None where that is remembered already."""


def look(
    workspace: str, name: str, listed: Iterable[Model], before: Sighting | None, *, began: datetime, now: datetime
) -> Look:
    """Compare the versions of a model that are listed now with what was seen before.

    `began` is since when models are looked for at all. A model that was never seen is remembered, and what was set
    before that is nobody's news; but a version of it that is newer than that came meanwhile.
    """
    versions = sorted(listed, key=lambda one: one.modified_at or one.created_at or now)
    known = before.tags if before else {}
    newborn = before.since - LAG if before else began
    since = before.since if before else began
    found = tuple(
        tagged(
            workspace,
            name,
            one.version,
            tags=one.tags,
            before=known.get(one.version, {}),
            properties=one.properties,
            id=_identity(workspace, name, one, since),
            time=one.modified_at or now,
        )
        for one in versions
        if one.tags and (_is_changed(one, known) if one.version in known else _is_tagged_since(one, newborn))
    )
    tags = {one.version: dict(one.tags) for one in versions}
    is_news = before is None or before.tags != tags or now >= before.since + RENEWED
    return Look(found, Sighting(since=now, tags=tags) if is_news else None)


def tagged(
    workspace: str,
    name: str,
    version: str,
    *,
    tags: Tags,
    before: Tags,
    properties: Tags,
    id: str,
    time: datetime,
) -> Event:
    """Make the event that tags of a model version were set, changed or taken away; `before` are those it had."""
    model = {
        "name": name,
        "version": version,
        "id": f"{workspace}/models/{name}/versions/{version}",
        "tags": dict(tags),
        "properties": dict(properties),
    }
    tagging = {
        "set": {key: value for key, value in tags.items() if key not in before or before[key] != value},
        "removed": {key: value for key, value in before.items() if key not in tags},
        "before": dict(before),
    }
    data: dict[str, Any] = {
        "modelName": name,
        "modelVersion": version,
        "modelTags": dict(tags),
        "modelProperties": dict(properties),
    }
    return events.announce(
        KIND,
        id=id,
        time=time,
        source=workspace,
        subject=f"models/{name}:{version}",
        data=data,
        facts={"model": model, "tagging": tagging},
    )


def _is_changed(one: Model, known: Mapping[str, Tags]) -> bool:
    return dict(one.tags) != known[one.version]


def _is_tagged_since(one: Model, newborn: datetime) -> bool:
    """Tell whether a version that was never seen was made since then, and tagged after that."""
    if one.created_at is None or one.modified_at is None:
        return False
    return one.created_at > newborn and one.modified_at > one.created_at + AS_ONE


def _identity(workspace: str, name: str, one: Model, since: datetime) -> str:
    """Say which tagging this is: the same where it is announced again, another where a tag comes and goes."""
    at = (one.modified_at or since).isoformat()
    return digest("tagged", workspace.lower(), name, one.version, canonical(dict(one.tags)), at)
