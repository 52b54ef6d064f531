"""Proves that what Custom Vision announces arrives: by what the app recorded, else by what waits in its queue.

What Custom Vision tests with is gone soon: a message in the queue, which the app takes, and a blob in the container.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cli.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from cli.app import App
    from cli.line import Line
    from cli.surroundings import Surroundings
    from shared.storage.places import Peeked, Places

KIND = "ConnectionTested"
TEST_FOLDER = "CustomVision-TestPermission"
"""Where Custom Vision writes a blob that it deletes at once."""
FIRST_LOOK, LONGEST_LOOK, GROWTH = 0.2, 5.0, 1.4
"""Seconds between two looks, and how they grow."""
BLOB_LOOKS = 0.05
"""Seconds between two looks for the test blob."""
ONCE_IN = timedelta(minutes=10)
"""The app counts equal notifications within this time as one: the second leaves no record."""
LATELY, EVER = timedelta(hours=1), timedelta(days=30)
"""How far back tests are looked for: for one that was just made, and for the last one."""
MOST = 1_000
"""Tests, of every project, that one look reads."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A ConnectionTested that the app recorded."""

    key: str
    source: str
    at: datetime
    status: str
    """planned, unplanned or refused."""
    reason: str
    encoding: str = ""
    is_declared: bool | None = None
    """Whether the rules of now declare the project; None where no app was asked."""

    @property
    def age(self) -> timedelta:
        """How long ago that was."""
        return datetime.now(UTC) - self.at

    def is_of(self, project: str) -> bool:
        """Tell whether it is of a project, however its id is spelt."""
        return is_source(self.source, project)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A test message that waits in the queue."""

    encoding: str
    """plain text or base64."""


class Ears:
    """What the app heard of projects: asked of the app where one answers, else read where it keeps its records."""

    def __init__(self, around: Surroundings, options: Namespace) -> None:
        self._account = around.account
        self.why_not = ""
        """Why no app is asked."""
        self.app = self._find(options)

    def heard(self, project: str, back: timedelta) -> list[Heard]:
        """Give the tests of a project's connection that the app recorded lately, newest first."""
        return [one for one in self.all(back) if one.is_of(project)]

    def all(self, back: timedelta) -> list[Heard]:
        """Give those of all projects."""
        since = datetime.now(UTC) - back
        if self.app is not None:
            return [
                _told(one) for one in self.app.get("events", kind=KIND, since=since.isoformat(), most=MOST)["events"]
            ]
        return list(self._records(since)) if self._account is not None else []

    def _find(self, options: Namespace) -> App | None:
        """Find the app that answers; None says, in `why_not`, why there is none."""
        from cli.app import connect

        try:
            app = connect(options)
            app.get("events", kind=KIND, most=1)
        except UsageError as problem:
            if getattr(options, "app", None):  # who names one means it
                raise
            self.why_not = str(problem)
            return None
        return app

    def _records(self, since: datetime) -> Iterator[Heard]:
        from shared.errors import ReactorError
        from shared.storage.timeline import Timeline, Wanted

        assert self._account is not None
        wanted = Wanted(since=since, until=datetime.now(UTC) + timedelta(minutes=1), kind=KIND)
        try:
            found = Timeline(self._account).read("events", wanted, most=MOST)
        except ReactorError:  # who may not look there, or finds no table, is in the same place as without storage
            return
        for row in found.rows:
            yield Heard(row.key, row.source, row.at, row.status, row.reason)


def _is_mended(found: Heard) -> bool:
    """Tell whether a test was refused that would not be now."""
    return found.status == "refused" and found.is_declared is True


def _told(event: Mapping[str, Any]) -> Heard:
    at = datetime.fromisoformat(event["received"])
    is_declared = bool(event["source_names"])
    return Heard(event["key"], event["source"], at, event["status"], event["reason"], is_declared=is_declared)


def show_age(age: timedelta) -> str:
    """Write how long ago something was, in seconds below two minutes.

    >>> show_age(timedelta(seconds=90)), show_age(timedelta(minutes=9, seconds=59))
    ('90 s', '9 min')
    """
    seconds = max(int(age.total_seconds()), 0)
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


def is_source(source: str, project: str) -> bool:
    """Tell whether a source is a project, however its id is spelt."""
    from shared.rules.declared import VISION_SOURCE, source_key

    return source_key(source) == source_key(f"{VISION_SOURCE}{project}")


# -- waiting ----------------------------------------------------------------------------------------------------------


@dataclass
class Proof:
    """What there was before the service is told anything, and what came after it."""

    project: str
    ears: Ears
    places: Places
    queue: str
    """The URL; "" where there is none to be proven."""
    is_changed: bool = False
    """Whether the project is told of the queue only now: what the app recorded before is no proof then."""

    def __post_init__(self) -> None:
        self.last = self.ears.heard(self.project, EVER) if self.queue else []
        self._before = {one.key for one in self.last}
        self._peeked = {one.id for one in self._waiting()}

    @property
    def lately(self) -> Heard | None:
        """The record of a test within which another one leaves none; None where a new one will be recorded."""
        return next((one for one in self.last if one.age < ONCE_IN), None)

    @property
    def rest(self) -> float:
        """How many seconds an app that answers will record no other test for; 0.0 where it would."""
        return (ONCE_IN - self.lately.age).total_seconds() if self.ears.app and self.lately else 0.0

    def find(self, line: Line, seconds: float) -> Heard | Waiting | None:
        """Give what proves it: what is recorded anew, else, of a connection as it was before, what was lately."""
        known = None if self.is_changed else self.lately
        if self.rest > 0:  # nothing new will be recorded
            return known
        return self.wait(line, seconds) or known  # an app that does not answer here may have taken the message

    def look(self) -> Heard | Waiting | None:
        """Look for a record that was not there before, or, where no app answers, for a message in the queue."""
        if new := [one for one in self.ears.heard(self.project, LATELY) if one.key not in self._before]:
            return new[0]
        return find_message((one for one in self._waiting() if one.id not in self._peeked), self.project)

    def wait(self, line: Line, seconds: float) -> Heard | Waiting | None:
        """Look until there is something; None where nothing came in time."""
        from shared.errors import TemporaryError

        began, wait = time.monotonic(), FIRST_LOOK
        where = "the app's record of the test" if self.ears.app else "the test in the queue"
        while True:
            note = f"waiting for {where}"
            try:
                if found := self.look():
                    return found
            except TemporaryError as trouble:
                note = trouble.reason
            except UsageError as trouble:  # an app that starts anew does not answer for a while
                note = str(trouble)
            if time.monotonic() - began > seconds:
                return None
            line.show("test", note)
            time.sleep(wait)
            wait = min(wait * GROWTH, LONGEST_LOOK)

    def told(self, found: Heard | Waiting) -> str:
        """Say how it is known that notifications arrive."""
        if isinstance(found, Waiting):
            return "the test waits in the queue"
        if found.key not in self._before:
            return f"the app recorded {KIND}, event {found.key[:8]}"
        age = show_age(found.age)
        counts = "it counts equal messages within 10 minutes as one"
        since = "; it was refused then, and the project is declared since" if _is_mended(found) else ""
        return f"the app recorded {KIND} {age} ago, event {found.key[:8]}; {counts}{since}"

    def advice(self, found: Heard | Waiting) -> Iterator[str]:
        """Say what else has to be done so that the app acts on what it hears."""
        if isinstance(found, Waiting):
            yield f"no app answers: {self.ears.why_not}"
        elif found.is_declared is False or (found.status == "refused" and not found.is_declared):
            why = found.reason or "its rules file does not declare the project any more"
            yield f"the app does nothing with it: {why}; declare the project there"

    def _waiting(self) -> list[Peeked]:
        return self.places.peek(self.queue) if self.queue and self.ears.app is None else []


def find_message(messages: Iterable[Peeked], project: str) -> Waiting | None:
    """Find the test of a project among messages as they are in a queue, and say how it is written."""
    from shared import parse
    from shared.errors import MalformedError

    for message in messages:
        try:
            event = parse.PARSERS["vision_notification"](message.text)
        except MalformedError:
            continue
        if KIND in event.kinds and is_source(event.source, project):
            return Waiting("plain text" if message.text.lstrip("\ufeff \t\r\n").startswith("{") else "base64")
    return None


@contextmanager
def watching(places: Places, container: str) -> Iterator[Callable[[], bool]]:
    """Look for the test blob all the while; tells whether it was seen."""
    from shared.errors import ReactorError

    over, seen = threading.Event(), threading.Event()

    def look() -> None:
        before: set[Any] | None = None
        while not over.is_set() and not seen.is_set():
            try:
                found = places.written(container, TEST_FOLDER)
            except ReactorError:  # it is worth telling, and nothing depends on it
                found = set()
            before = found if before is None else before
            if found - before:
                seen.set()
            ready.set()
            over.wait(BLOB_LOOKS)

    ready = threading.Event()
    watcher = threading.Thread(target=look, name="test-blob", daemon=True)
    if container:
        watcher.start()
        ready.wait(10)  # what was there before is known then
    try:
        yield seen.is_set
    finally:
        over.set()
        if container:
            watcher.join(10)
