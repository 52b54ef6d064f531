"""Looks for tags that were set after a model was registered: the schedule's round of the models that rules want.

For each model: what was seen before is read, its newest versions are listed by one request, what changed is announced
as ModelTagged, and only then remembered. So a crash announces it again, which is the same event.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from shared import tagging
from shared.errors import PermanentError, ReactorError
from shared.events import digest
from shared.rules.wanted import Wanted, wanted
from shared.storage.sightings import Round, Sightings

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.events import Event
    from shared.rules import Rules

log = logging.getLogger("reactor")

MOST_VERSIONS = 50
"""The newest of a model: one request."""
MOST_MODELS = 200
"""Of one workspace."""
WHILE = timedelta(seconds=30)
"""How long one round may take; the next one goes on where it stopped."""
TOLD_EVERY = timedelta(hours=1)
"""How often the log says that something cannot be looked at."""


class Watch:
    """Looks at models, and announces what became of their tags."""

    def __init__(
        self,
        *,
        clients: "Clients",
        rules: "Callable[[], Rules | None]",
        announce: "Callable[[Event, datetime], None]",
        clock: Callable[[], datetime],
    ) -> None:
        self._clients = clients
        self._rules = rules
        self._announce = announce
        self._clock = clock
        self._told: dict[tuple[str, str], datetime] = {}

    @cached_property
    def _sightings(self) -> Sightings:
        return Sightings(self._clients.account)

    def look(self) -> None:
        """Look at every model that a rule wants, as far as time allows; what cannot be looked at is in the log."""
        rules = self._rules()
        workspaces = wanted(rules) if rules is not None else ()
        if rules is None or not workspaces:
            return
        try:
            self._round(workspaces, _asked(rules.hash, workspaces))
        except ReactorError as error:
            self._tell("", "", error)

    def _round(self, workspaces: Sequence[Wanted], asked: str) -> None:
        begin = self._clock()
        stored, etag = self._sightings.read_round()
        before = stored if stored is not None and stored.asked == asked else Round(asked=asked, began=begin)
        after = before.model_copy(update={"workspace": "", "name": ""})
        refused: set[str] = set()
        looked = announced = 0
        for workspace, name in self._models(workspaces, before, begin + WHILE):
            if workspace in refused:
                continue
            try:
                announced += self._look_at(workspace, name, before.began)
            except PermanentError as error:  # what is wrong with one model is not with the others
                self._tell(workspace, name, error)
            except ReactorError as error:  # a missing role, an outage: the other workspaces go on
                self._tell(workspace, "", error)
                refused.add(workspace)
            looked += 1
            if self._clock() >= begin + WHILE:
                after = after.model_copy(update={"workspace": workspace, "name": name})
                break
        if after != stored:
            self._sightings.write_round(after, etag, begin)
        log.info("models=%d tagged=%d outcome=%s", looked, announced, "looked_in_part" if after.name else "looked")

    def _models(self, workspaces: Sequence[Wanted], before: Round, until: datetime) -> Iterator[tuple[str, str]]:
        """Give the models in turn, beginning after the one that was looked at last; each workspace has its turn."""
        start = next((at for at, one in enumerate(workspaces) if one.workspace == before.workspace), 0)
        first, *others = [*workspaces[start:], *workspaces[:start]]
        last = before.name if first.workspace == before.workspace else ""
        names = self._names(first, until)
        yield from ((first.workspace, name) for name in names if name > last)
        for each in others:
            yield from ((each.workspace, name) for name in self._names(each, until))
        yield from ((first.workspace, name) for name in names if name <= last)

    def _names(self, each: Wanted, until: datetime) -> list[str]:
        """List the models of a workspace that are wanted, in the order of their names."""
        found = dict.fromkeys(sorted(each.names))
        if each.fits:
            try:
                listed = self._clients.machine_learning.models.names(each.workspace)
                in_time = takewhile(lambda _name: self._clock() < until, listed)
                found |= dict.fromkeys(islice(filter(each.wants, in_time), MOST_MODELS + 1))
            except ReactorError as error:
                self._tell(each.workspace, "", error)
        if len(found) > MOST_MODELS:
            self._say(each.workspace, "", "too_many_models", f"only {MOST_MODELS} are looked at: name them in `where`")
        return sorted(islice(found, MOST_MODELS))

    def _look_at(self, workspace: str, name: str, began: datetime) -> int:
        """Look at one model; return how often it was tagged."""
        before, etag = self._sightings.read(workspace, name)
        listed = self._clients.machine_learning.models.versions(workspace, name, most=MOST_VERSIONS)
        now = self._clock()
        found = tagging.look(workspace, name, listed, before, began=began, now=now)
        for event in found.events:
            self._announce(event, now)
        if found.after is not None:
            self._sightings.write(workspace, name, found.after, etag, now)
        return len(found.events)

    # -- the log ------------------------------------------------------------------------------------------------------

    def _tell(self, workspace: str, name: str, error: ReactorError) -> None:
        self._say(workspace, name, "not_looked", error.reason)

    def _say(self, workspace: str, name: str, outcome: str, reason: str) -> None:
        """Write a line about what cannot be looked at, once an hour."""
        now = self._clock()
        told = self._told.get((workspace, name + outcome))
        if told is None or now >= told + TOLD_EVERY:
            self._told[workspace, name + outcome] = now
            log.error("workspace=%s model=%s outcome=%s reason=%s", workspace, name, outcome, reason)


def _asked(rules: str, workspaces: Sequence[Wanted]) -> str:
    """Say what is looked for: settings may change it while the rules stay the same."""
    return digest(rules, *(f"{each.workspace.lower()} {sorted(each.names)}" for each in workspaces))
