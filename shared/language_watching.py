"""Looks whether replicated Language projects are out of date, and what of them expires: the schedule's round.

For each declared project that a rule wants to hear of, as often as its `check` says: what both regions show is read and
compared with what is remembered of the last replication. Where only an export tells whether there is a change, one is
started, and read in a later round. What is found is announced, and only then is that remembered, so a crash announces
it again, which is the same event.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from shared import regions
from shared.errors import CrowdedError, DeniedError, PermanentError, ReactorError, TemporaryError
from shared.handlers.declared import clash, filled_in
from shared.language_looks import Look
from shared.language_pairs import Pair
from shared.regions import Sighting
from shared.rules import templates
from shared.rules.declared import Declared
from shared.rules.heard import Replicated, replicated
from shared.storage.locks import Locks
from shared.storage.sightings import Sightings

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.clients.language import Language
    from shared.events import Event
    from shared.rules import Rules

log = logging.getLogger("reactor")

WHILE = timedelta(seconds=30)
"""How long one round may begin requests; the projects after that have their turn first in the next one."""
TOLD_EVERY = timedelta(hours=1)
"""How often the log says that a project cannot be looked at."""


class LanguageWatch:
    """Looks at projects, and announces what is out of date, and what expires."""

    def __init__(
        self,
        *,
        clients: "Clients",
        locks: Locks,
        is_over: Callable[[str], bool],
        rules: "Callable[[], Rules | None]",
        values: Mapping[str, str],
        announce: "Callable[[Event, datetime], None]",
        clock: Callable[[], datetime],
    ) -> None:
        self._clients = clients
        self._locks = locks
        self._is_over = is_over
        self._rules = rules
        self._values = values
        self._announce = announce
        self._clock = clock
        self._told: dict[str, datetime] = {}
        self._next = 0

    @cached_property
    def _sightings(self) -> Sightings:
        return Sightings(self._clients.account)

    def look(self) -> None:
        """Look at every project whose turn it is, as far as time allows; what cannot be looked at is in the log."""
        rules = self._rules()
        wanted = replicated(rules) if rules is not None else ()
        if rules is None or not wanted:
            return
        begin, found = self._clock(), 0
        first, self._next = self._next % len(wanted), 0
        for at, one in enumerate((*wanted[first:], *wanted[:first]), start=first):
            was_cut = False
            try:
                found += self._look_at(one, rules.declared, begin + WHILE)
            except CrowdedError as error:
                was_cut = True
                log.info("language_project=%s outcome=later reason=%s", one.name, error.reason)
            except ReactorError as error:
                self._tell(one.name, error)
            if self._clock() >= begin + WHILE:
                self._next = at if was_cut else at + 1
                break
        log.info("language_projects=%d announced=%d outcome=looked", len(wanted), found)

    def _look_at(self, one: Replicated, all_: Declared, until: datetime) -> int:
        """Look at one project, if it is time; return how much was announced."""
        declared, now = all_.language[one.name], self._clock()
        filled = filled_in(declared, lambda value: templates.resolve(value, self._values), "language", one.name)
        if problem := clash(all_, one.name, self._filled):
            raise PermanentError(problem, remedy="correct the rules file, or the settings that its endpoints name")
        pair = Pair(self._clients, one.name, filled, self._language, lambda: self._in_time(now, until))
        before, etag = self._sightings.read_regions(pair.places.pair)
        if not regions.is_due(before, filled.check, now) or self._is_replicating(pair):
            return 0
        look = Look(pair, before or Sighting(), now)
        try:
            look.at(one, filled.check, filled.expiry)
        except ReactorError:
            self._remember(look, before, etag)
            raise
        if look.events and (self._is_replicating(pair) or pair.kept() != look.kept):
            return 0  # what it saw was half of a replication
        for event in look.events:
            self._announce(event, now)
        self._remember(look, before, etag)
        for error in look.problems.values():
            self._tell(one.name, error)
        return len(look.events)

    def _in_time(self, began: datetime, until: datetime) -> None:
        """Refuse a request once the round is over: by turns where little was left of it, else the regions are slow."""
        if self._clock() < until:
            return
        if until - began < WHILE / 2:
            raise CrowdedError("the round was over, and it is looked at first in the next one")
        raise TemporaryError(f"its regions take longer than {WHILE.seconds} s to say what they have")

    def _filled(self, value: str) -> str:
        """Fill settings in; "" where one is not set."""
        try:
            return str(templates.resolve(value, self._values))
        except PermanentError:
            return ""

    @cached_property
    def _language(self) -> "Language":
        """Give a client that leaves enough of the requests that a resource takes to those who perform something."""
        return self._clients.language.sparing()

    def _remember(self, look: Look, before: Sighting | None, etag: str) -> None:
        """Write what was seen; where somebody else has meanwhile, that look counts."""
        if look.seen != before:
            self._sightings.write_regions(look.pair.places.pair, look.seen, etag, look.now)

    def _is_replicating(self, pair: Pair) -> bool:
        return bool(self._locks.holder(pair.lock, self._clock(), self._is_over))

    def _tell(self, name: str, error: ReactorError) -> None:
        """Write a line about a project that cannot be looked at, once an hour."""
        now = self._clock()
        if name not in self._told or now >= self._told[name] + TOLD_EVERY:
            self._told[name] = now
            remedy = error.remedy if isinstance(error, PermanentError | DeniedError) else ""
            log.error("language_project=%s outcome=not_looked reason=%s remedy=%s", name, error.reason, remedy)
