"""Looks whether replicated Language projects are out of date, and what of them expires: the schedule's round.

For each declared project that a rule wants to hear of, as often as its `check` says: what both regions show is read and
compared with what is remembered of the last replication. Where only an export tells whether there is a change, one is
started, and read in a later round. What is found is announced, and only then is that remembered, so a crash announces
it again, which is the same event.

A region that cannot be read hides nothing of the other one, and is told of itself once it has been so for a day.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared import region_news, regions, replicas
from shared.errors import CrowdedError, DeniedError, PermanentError, ReactorError, TemporaryError
from shared.handlers.declared import clash, filled_in
from shared.language_pairs import Pair
from shared.regions import Ask, Comparison, Content, Export, Region, Sighting
from shared.replicas import Kept
from shared.rules import templates
from shared.rules.declared import Declared
from shared.rules.heard import Replicated, replicated
from shared.storage.locks import Locks
from shared.storage.sightings import Sightings

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.clients.language import Language
    from shared.events import Event
    from shared.replicas import Difference, Side
    from shared.rules import Rules

log = logging.getLogger("reactor")

WHILE = timedelta(seconds=30)
"""How long one round may begin requests; the projects after that have their turn first in the next one."""
TOLD_EVERY = timedelta(hours=1)
"""How often the log says that a project cannot be looked at; so long a failed export is left alone, and what may pass
by itself is waited for."""


class Look:
    """One look at one project: what there is to announce, and what is to be remembered of it."""

    def __init__(self, pair: Pair, before: Sighting, now: datetime) -> None:
        self.pair = pair
        self.now = now
        self.seen = before
        """What is to be remembered, once the events are announced."""
        self.kept: Kept | None = None
        """What the regions were compared with."""
        self.events: list[Event] = []
        self.problems: dict[Side, ReactorError] = {}
        """Why a region could not be read."""
        self._is_gone = False
        """The primary has no such project: it was read, and nothing of it can be replicated."""

    def at(self, one: Replicated, every: timedelta, expiry: timedelta) -> None:
        """Look at both regions. Where an export has to be waited for, what expires is all that is judged."""
        primary, secondary = self._shown("primary"), self._shown("secondary")
        self.kept = self.pair.kept()
        if one.expiries:
            self._count_days([region for region in (primary, secondary) if region], expiry)
        if one.compare:
            there = Region.unread("secondary", self.kept) if "secondary" in self.problems else secondary
            about = Comparison(self.kept, primary or Region.unread("primary", self.kept), there, self.pair.wanted)
            hashes = self._hashes(about)
            if hashes is None:
                return
            self._compare(about, hashes, every)
        else:
            self._note(exports={})
        unread = {side: since for side, since in self.seen.unread.items() if side in self.problems}
        again = (
            {"not_before": self.now + min(every, TOLD_EVERY)} if unread else {"not_before": None, "looked": self.now}
        )
        self._note(unread=unread, **again)

    def _note(self, **changes: Any) -> None:
        self.seen = self.seen.model_copy(update=changes)

    def _shown(self, side: "Side") -> Region | None:
        """Read what a region shows; None where it has no such project, or cannot be read, which is noted."""
        try:
            region = self.pair.shown(side)
            if region is None and side == "primary":
                self._is_gone = True
                raise self.pair.gone()
        except ReactorError as problem:
            self._cannot_be_read(side, problem)
            return None
        return region

    def _cannot_be_read(self, side: "Side", problem: ReactorError) -> None:
        """Note that a region cannot be read; where that may pass by itself, only once it has lasted for a while."""
        if isinstance(problem, CrowdedError):
            raise problem
        since = self.seen.unread.get(side, self.now)
        self._note(unread={**self.seen.unread, side: since})
        if isinstance(problem, TemporaryError) and self.now < since + TOLD_EVERY:
            raise problem
        self.problems[side] = problem

    def _hashes(self, about: Comparison) -> "dict[Side, dict[str, str]] | None":
        """Give what both regions hold, where only that tells; None while it is being exported."""
        if about.kept is None or about.secondary is None:
            self._note(exports={})
            return {}
        shown = about.primary.shown(None, self.now), about.secondary.shown(None, self.now)
        doubts = replicas.doubtful(about.kept, *shown, about.wanted) - self.problems.keys()
        asks, known = about.asks(doubts, self.seen.looked)
        if not self._are_read(asks):
            return None
        found: dict[Side, dict[str, str]] = {side: {} for side in doubts}
        if "primary" in found:
            found["primary"] |= known
        for ask in asks:
            if ask.key in self.seen.contents:
                found[ask.side][ask.label] = self.seen.contents[ask.key].hash
        if self.pair.is_imported(found.get("secondary", {}).get(regions.WORKING_COPY, "")):
            del found["secondary"]
        return found

    def _are_read(self, asks: Sequence[Ask]) -> bool:
        """Start or read the exports that are asked for; tell whether all are read that can be. Each one is noted."""
        before, waits = self.seen, False
        contents = {ask.key: before.contents[ask.key] for ask in asks if _is_of(before.contents.get(ask.key), ask)}
        exports = {ask.key: before.exports[ask.key] for ask in asks if _is_of(before.exports.get(ask.key), ask)}
        self._note(contents=contents, exports=exports)
        for ask in asks:
            if ask.key in contents:
                continue
            export = exports.get(ask.key)
            try:
                made = self.pair.read(ask, export, self.now) if export else self.pair.start(ask, self.now)
            except ReactorError as problem:
                if isinstance(problem, PermanentError):
                    exports.pop(ask.key, None)
                    self._note(exports=dict(exports))
                self._cannot_be_read(ask.side, problem)
                continue
            exports.pop(ask.key, None)
            if isinstance(made, Content):
                contents[ask.key] = made
            else:
                exports[ask.key] = made
                waits = waits or not self._takes_too_long(ask, export, made)
            self._note(contents=dict(contents), exports=dict(exports))
        return not waits

    def _takes_too_long(self, ask: Ask, export: Export | None, made: Export) -> bool:
        """Tell whether an export was begun again because it was never over: nothing else waits for that."""
        if export is None or made is export or self.now < export.started + regions.TAKES:
            return False
        problem = PermanentError(
            f"its export from the {ask.side}, {self.pair.at[ask.side].host}, was not over after an hour",
            remedy="it is begun again; look at the project's jobs in Language Studio",
        )
        self._cannot_be_read(ask.side, problem)
        return True

    def _compare(self, about: Comparison, hashes: "Mapping[Side, Mapping[str, str]]", every: timedelta) -> None:
        """Note since when the secondary is out of date, and announce it where that is news."""
        before, there = self.seen, about.secondary
        shown = about.primary.shown(hashes.get("primary"), self.now)
        other = there.shown(hashes.get("secondary"), self.now) if there else None
        is_known = about.kept is not None or "primary" not in self.problems
        found = replicas.standing(about.kept, shown, other, about.wanted) if is_known else ()
        if self._is_gone:  # where that is not there either, there is nothing to bring
            found = tuple(each for each in found if each.reason != "missing")
        differences = (*found, *self._unreadable())
        if not differences:
            self._note(since=None, replicated=None, told="", told_at=None)
            return
        since = about.since(differences, before, self.now)
        self._note(since=since, replicated=about.replicated)
        state = about.state(differences, hashes)
        if region_news.is_news(state, before, every, self.now):
            event = region_news.outdated(
                self.pair.places,
                differences,
                state=state,
                since=since,
                seen=before,
                now=self.now,
                follow=about.wanted.follow,
            )
            self.events.append(event)
            self._note(told=state, told_at=self.now)

    def _unreadable(self) -> "list[Difference]":
        """Say which regions could not be compared for so long that a rule should hear of it, or which are gone."""
        since = self.seen.unread
        found = []
        for side, problem in self.problems.items():
            if side == "primary" and self._is_gone:
                found.append(regions.unreadable(side, problem.reason))
            elif self.now >= since[side] + regions.TOLD_AGAIN:
                found.append(regions.unreadable(side, problem.reason, " for a day"))
        return found

    def _count_days(self, shown: Iterable[Region], within: timedelta) -> None:
        """Announce what expires soon, as far as that was not told yet."""
        told = {item: said for item, said in self.seen.expiries.items() if item.partition("/")[0] in self.problems}
        for each in region_news.expiring(shown, within, self.now):
            told[each.key] = region_news.told_of(each, self.now)
            if self.seen.expiries.get(each.key) != told[each.key]:
                self.events.append(region_news.near_expiry(self.pair.places, each, self.now))
        self._note(expiries=told)


def _is_of(made: Export | Content | None, ask: Ask) -> bool:
    """Tell whether something was exported, or is being, of what is asked for and not of an earlier state of it."""
    return made is not None and made.of == ask.of


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
