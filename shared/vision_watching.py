"""Looks for trainings and exports whose notification never came: the schedule's round of the projects rules hear of.

For each project: its iterations and their exports are listed, compared with what was seen before (endings.py), and what
is over for a while without a notification is announced as NotificationMissed. Only then is that remembered, so a crash
announces it again, which is the same event.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared import endings, parse
from shared.endings import Ending
from shared.errors import MalformedError, ReactorError
from shared.handlers.declared import core, filled_in, guid
from shared.rules import templates
from shared.rules.declared import VisionProject, source_key
from shared.rules.heard import heard
from shared.storage.records import Records
from shared.storage.sightings import Sightings
from shared.storage.timeline import Timeline, Wanted

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.clients.vision import Resource
    from shared.events import Event
    from shared.rules import Rules

log = logging.getLogger("reactor")

WHILE = timedelta(seconds=30)
"""How long one round may take; the projects after that have their turn first in the next one."""
TOLD_EVERY = timedelta(hours=1)
"""How often the log says that a project cannot be looked at."""
NEWEST = 3
"""Iterations whose exports are looked at, besides those that are published, and those with an export under way."""
MOST_HEARD = 1_000
"""Notifications that are compared with."""
OVER = {"completed": "Completed", "failed": "Failed", "done": "Completed"}
"""Status of an iteration or an export, where it is over, to the word of the notification."""


class VisionWatch:
    """Looks at projects, and announces what nothing else announced."""

    def __init__(
        self,
        *,
        clients: "Clients",
        records: Records,
        timeline: Timeline,
        rules: "Callable[[], Rules | None]",
        values: Mapping[str, str],
        announce: "Callable[[Event, datetime], None]",
        clock: Callable[[], datetime],
        grace: timedelta,
    ) -> None:
        self._clients = clients
        self._records = records
        self._timeline = timeline
        self._rules = rules
        self._values = values
        self._announce = announce
        self._clock = clock
        self._grace = grace
        self._told: dict[str, datetime] = {}
        self._next = 0

    @cached_property
    def _sightings(self) -> Sightings:
        return Sightings(self._clients.account)

    def look(self) -> None:
        """Look at every project that a rule hears of, as far as time allows; what cannot be looked at is in the log."""
        rules = self._rules()
        names = heard(rules) if rules is not None else ()
        if rules is None or not names:
            return
        begin, missed = self._clock(), 0
        first, self._next = self._next % len(names), 0
        for at, name in enumerate((*names[first:], *names[:first]), start=first):
            try:
                missed += self._look_at(name, rules.declared.vision[name])
            except ReactorError as error:
                self._tell(name, error)
            if self._clock() >= begin + WHILE:
                self._next = at + 1
                break
        log.info("projects=%d missed=%d outcome=looked", len(names), missed)

    def _look_at(self, name: str, declared: VisionProject) -> int:
        """Look at one project; return how many notifications were missed."""
        from shared.clients.vision import Resource

        filled = filled_in(core(declared), lambda value: templates.resolve(value, self._values), "vision", name)
        project, at = guid(filled.project), Resource.of(filled.training)
        before, etag = self._sightings.read_project(project)
        now = self._clock()
        looked_at: list[str] = []
        shown = list(self._shown(at, project, before, looked_at))
        look = endings.look(shown, before, grace=self._grace, now=now, exports_of=looked_at)
        after = look.after
        missed = endings.unheard(look.due, self._heard(project, look)) if look.due else ()
        for ending in missed:
            seen = after.seen[ending.name]
            self._announce(endings.missed(project, ending, seen.since, late=seen.late), now)
        self._sightings.write_project(project, endings.settled(after, look.due), etag, now)
        return len(missed)

    def _shown(
        self, at: "Resource", project: str, before: endings.Sighting | None, looked_at: list[str]
    ) -> Iterator[Ending]:
        """List the trainings of a project, and the exports of those iterations that may have news of them.

        The iterations whose exports are listed are added to `looked_at`.
        """
        iterations = self._clients.vision.iterations.list(at, project)
        iterations.sort(key=lambda one: one.trained_at or one.created or self._clock(), reverse=True)
        known = before.seen if before is not None else {}
        open_ = {name.split("/")[1] for name, seen in known.items() if not seen.status or seen.instead is not None}
        exportable = 0
        for one in iterations:
            yield Ending("training", one.id, OVER.get(one.status.lower(), ""), at=one.trained_at or one.created)
            if not one.exportable or one.status.lower() != "completed":
                continue
            exportable += 1
            if exportable <= NEWEST or one.publish_name or one.id in open_:
                looked_at.append(one.id)
                for export in self._clients.vision.iterations.exports(at, project, one.id):
                    status = OVER.get(export.status.lower(), "")
                    yield Ending("export", one.id, status, export.platform, export.flavor or "")
            else:
                yield from (_remembered(name, seen) for name, seen in known.items() if _is_export(name, one.id))

    def _heard(self, project: str, look: endings.Look) -> Iterator[Mapping[str, Any]]:
        """Read what the notifications of a project told, since the last look at which none of what is due was over."""
        since = min(look.after.seen[ending.name].after for ending in look.due) - endings.SLACK
        source = source_key(f"customvision/{project}")
        wanted = Wanted(since=since, until=self._clock(), is_source=lambda found: source_key(found) == source)
        for row in self._timeline.read("events", wanted, most=MOST_HEARD).rows:
            record = self._records.read_event(row.key)
            if record is None or record.door != "vision_notification":
                continue
            try:
                yield parse.vision_notification(record.payload).facts["vision"]
            except MalformedError:
                continue

    def _tell(self, name: str, error: ReactorError) -> None:
        """Write a line about a project that cannot be looked at, once an hour."""
        now = self._clock()
        if name not in self._told or now >= self._told[name] + TOLD_EVERY:
            self._told[name] = now
            log.error("project=%s outcome=not_looked reason=%s", name, error.reason)


def _is_export(name: str, iteration: str) -> bool:
    return name.startswith(f"export/{iteration}/")


def _remembered(name: str, seen: endings.Seen) -> Ending:
    what, iteration, platform, flavor = name.split("/", 3)
    assert what == "export"
    return Ending("export", iteration, seen.status, platform, flavor)
