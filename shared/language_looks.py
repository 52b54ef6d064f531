"""One look at a Language project in its two regions: what there is to announce, and what is to be remembered of it.

A region that cannot be read is taken to be as it was compared last: it hides nothing of the other one, and what was
known to differ still does. It is told of itself once it has been so for a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared import region_news, regions, replicas
from shared.errors import CrowdedError, PermanentError, ReactorError, TemporaryError
from shared.language_pairs import Pair
from shared.regions import Ask, Comparison, Content, Export, LastSeen, Region, Sighting
from shared.replicas import Kept
from shared.rules.heard import Replicated

if TYPE_CHECKING:
    from shared.events import Event
    from shared.replicas import Difference, Side

AGAIN_AFTER = timedelta(hours=1)
"""So long a failed export is left alone at most, and what may pass by itself is waited for."""


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
            there = self._as_last("secondary") if "secondary" in self.problems else secondary
            first = primary or self._as_last("primary") or Region.unread("primary", self.kept)
            about = Comparison(self.kept, first, there, self.pair.wanted)
            hashes = self._hashes(about)
            if hashes is None:
                return
            self._compare(about, hashes, every)
        else:
            self._note(exports={})
        unread = {side: since for side, since in self.seen.unread.items() if side in self.problems}
        again = (
            {"not_before": self.now + min(every, AGAIN_AFTER)} if unread else {"not_before": None, "looked": self.now}
        )
        self._note(unread=unread, **again)

    def _note(self, **changes: Any) -> None:
        self.seen = self.seen.model_copy(update=changes)

    def _shown(self, side: Side) -> Region | None:
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

    def _cannot_be_read(self, side: Side, problem: ReactorError) -> None:
        """Note that a region cannot be read; where that may pass by itself, only once it has lasted for a while."""
        if isinstance(problem, CrowdedError):
            raise problem
        since = self.seen.unread.get(side, self.now)
        self._note(unread={**self.seen.unread, side: since})
        if isinstance(problem, TemporaryError) and self.now < since + AGAIN_AFTER:
            raise problem
        self.problems[side] = problem

    def _last(self, side: Side) -> LastSeen | None:
        """Give how a region was compared last, since it was replicated."""
        last = self.seen.last.get(side)
        return last if last and last.replicated == (self.kept.proven if self.kept else None) else None

    def _as_last(self, side: Side) -> Region | None:
        """Take a region that cannot be read to be as it was compared last, else as it was replicated."""
        last = self._last(side)
        return last.region if last else Region.unread(side, self.kept)

    def _hashes(self, about: Comparison) -> dict[Side, dict[str, str]] | None:
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
            if hash := self._held(ask):
                found[ask.side][ask.label] = hash
            elif ask.label == regions.WORKING_COPY:
                found.pop(ask.side, None)
        for side in self.problems.keys() - doubts:
            last = self._last(side)
            if last and last.hashes and (about.wanted.follow == "deployed" or regions.WORKING_COPY in last.hashes):
                found[side] = dict(last.hashes)
        if self.pair.is_imported(found.get("secondary", {}).get(regions.WORKING_COPY, "")):
            del found["secondary"]
        return found

    def _held(self, ask: Ask) -> str:
        """Give the hash of what a region holds; where that could not be exported, what it held last; "" for unknown."""
        if ask.key in self.seen.contents:
            return self.seen.contents[ask.key].hash
        last = self._last(ask.side)
        return (last.hashes or {}).get(ask.label, "") if last else ""

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

    def _compare(self, about: Comparison, hashes: Mapping[Side, Mapping[str, str]], every: timedelta) -> None:
        """Note since when the secondary is out of date, and announce it where that is news."""
        before, there = self.seen, about.secondary
        shown = about.primary.shown(hashes.get("primary"), self.now)
        other = there.shown(hashes.get("secondary"), self.now) if there else None
        is_known = about.kept or "primary" not in self.problems or (self._last("primary") and not self._is_gone)
        found = replicas.standing(about.kept, shown, other, about.wanted) if is_known else ()
        if self._is_gone:  # where that is not there either, there is nothing to bring
            found = tuple(each for each in found if each.reason != "missing")
        differences = (*found, *self._unreadable())
        now_seen = {
            side: LastSeen(region=region, hashes=hashes.get(side), replicated=about.replicated)
            for side, region in about.regions()
            if side not in self.problems
        }
        self._note(last={**before.last, **now_seen})
        if not differences:
            self._note(since=None, lagging=None, replicated=None, told="", told_at=None)
            return
        since, lagging = about.since(differences, before, self.now), about.lagging(differences, before, self.now)
        self._note(since=since, lagging=lagging, replicated=about.replicated)
        state = about.state(differences, hashes)
        if region_news.is_news(state, before, every, self.now):
            event = region_news.outdated(
                self.pair.places,
                differences,
                state=state,
                since=since,
                lagging=lagging,
                seen=before,
                now=self.now,
                follow=about.wanted.follow,
            )
            self.events.append(event)
            self._note(told=state, told_at=self.now)

    def _unreadable(self) -> list[Difference]:
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
