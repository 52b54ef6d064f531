"""A reactor whose world a test decides: the clock, every delivery of a message, and what happens at each request.

The tables, blobs and simulated services are real and spoken to over HTTP. The clock is virtual. The actions queue is a
list with the host's rules (lease, visibility after a failure, poison after five), so that a test can reorder, repeat
and withhold what it delivers.
"""

import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func
import pytest
import requests
from azure.core.pipeline.transport import RequestsTransport
from azure.functions.queue import QueueMessage
from azure.storage.blob._shared.base_client import TransportWrapper
from requests.adapters import HTTPAdapter

import function_app
from shared import parse, wiring
from shared.clients import Clients
from shared.clients.identity import managed_identity
from shared.handlers import ACTIONS
from shared.reactor import Reactor
from shared.rules import Rules, load
from shared.settings import Settings
from shared.settle import Timing
from shared.storage import ACTIONS_QUEUE
from shared.storage.account import Account
from shared.storage.locks import Locks
from shared.storage.pauses import Pause
from shared.storage.records import Records
from shared.storage.slots import SlotsTable
from shared.storage.timeline import Timeline

LEASE = timedelta(minutes=10)
VISIBILITY = timedelta(seconds=30)
MAX_DEQUEUE = 5


class Crash(BaseException):  # it stands for the process's death, which nothing in the app may catch
    """The process dies here."""


class Wire:
    """Every request that the reactor makes passes here, before it leaves and after it was answered."""

    def __init__(self) -> None:
        self.boundary: Callable[[str], None] = lambda _where: None
        self.installed = False
        self._mine = threading.local()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count this thread's requests as the reactor's."""
        self._mine.on = True
        try:
            yield
        finally:
            self._mine.on = False

    def cross(self, where: str) -> None:
        """Cross a boundary; the test may crash here, or break the answer."""
        if getattr(self._mine, "on", False):
            self.boundary(where)

    @contextmanager
    def dying(self, begin: str, end: str) -> Iterator[None]:
        """Die at the first boundary whose name begins and ends so; the process is another one afterwards."""

        def die(where: str) -> None:
            if where.startswith(begin) and where.endswith(end):
                self.boundary = lambda _where: None
                raise Crash(where)

        self.boundary = die
        with pytest.raises(Crash), self.watched():
            yield

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put this between requests and the socket, and take the waiting out of short retries."""
        really_send, self.installed = HTTPAdapter.send, True

        def send(adapter: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
            name = f"{request.method} {(request.url or '').split('?')[0]}"
            self.cross(f"before {name}")
            response = really_send(adapter, request, *args, **kwargs)
            self.cross(f"after {name}")
            return response

        monkeypatch.setattr(HTTPAdapter, "send", send)
        for transport in (RequestsTransport, TransportWrapper):
            monkeypatch.setattr(transport, "sleep", lambda _self, _seconds: None)


@dataclass
class Delivery:
    """A message in the actions queue."""

    id: str
    body: str
    visible: datetime
    sent: datetime
    count: int = 0
    poisoned: bool = False


@dataclass
class World:
    """One reactor and everything around it."""

    settings: Settings
    rules_text: str
    wire: Wire
    handlers: Mapping[str, str] = field(default_factory=lambda: ACTIONS)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    queue: list[Delivery] = field(default_factory=list)
    poisoned: int = 0
    timing: Timing = field(
        default_factory=lambda: Timing(lease=LEASE, poll=timedelta(seconds=30), deadline=timedelta(hours=24))
    )
    sent: int = 0

    def __post_init__(self) -> None:
        account = Account(self.settings.storage, managed_identity)
        self.rules: Rules | None = self.load(self.rules_text)
        self.records = Records(account)
        self.timeline = Timeline(account)
        self.slots = SlotsTable(account)
        self.paused: dict[str, Pause] = {}
        self.clients = Clients(self.settings, managed_identity)
        self.reactor = Reactor(
            records=self.records,
            timeline=self.timeline,
            slots=self.slots,
            locks=Locks(account),
            send=self.send,
            rules=lambda: self.rules,
            paused=self.paused.get,
            handlers=self.handlers,
            clients=self.clients,
            values=self.settings.values,
            clock=lambda: self.now,
            timing=self.timing,
            keep=timedelta(days=90),
        )

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the real doors use this world's reactor, and the wire pass through the test's hand.

        What a test before it left open is closed.
        """
        for row in self.records.list_open():
            self.records.close(row.what, row.key)
        monkeypatch.setattr(wiring, "reactor", lambda: self.reactor)
        if not self.wire.installed:
            self.wire.install(monkeypatch)

    def event_key(self, body: str) -> str:
        """Return the key of an Event Grid event."""
        return parse.event_grid(body).key

    def load(self, text: str) -> Rules:
        """Load a rules file as the app does."""
        return load(text, self.handlers, "rules.yaml").bind(self.settings.values)

    # -- the queue, with the host's rules -----------------------------------------------------------------------------

    def send(self, queue: str, body: str, delay: timedelta = timedelta()) -> None:
        """Take a message, crossing the wire as a real send does."""
        assert queue == ACTIONS_QUEUE
        self.wire.cross("before send")
        self.sent += 1
        self.queue.append(Delivery(f"m{self.sent}", body, self.now + max(delay, timedelta()), self.now))
        self.wire.cross("after send")

    def deliver(self, message: Delivery) -> None:
        """Deliver a message through the real door, and do with it what the host does."""
        message.count += 1
        message.visible = self.now + LEASE
        try:
            with self.wire.watched():
                door = function_app.on_poisoned_action if message.poisoned else function_app.on_action
                door(queue_message(message))
        except Crash:
            if message.count >= MAX_DEQUEUE:
                message.visible = self.now + LEASE
                self.poison(message)
            return
        except Exception:  # noqa: BLE001 # as the host does: seen again after a while, or poisoned
            message.visible = self.now + VISIBILITY
            if message.count >= MAX_DEQUEUE:
                self.poison(message)
            return
        if message in self.queue:  # a second delivery of it may have ended first
            self.queue.remove(message)

    def poison(self, message: Delivery) -> None:
        """Copy the body, and nothing else, to the poison queue: the copy is another message."""
        if message.poisoned:
            return
        self.queue.remove(message)
        self.sent += 1
        self.poisoned += 1
        self.queue.append(Delivery(f"p{self.sent}", message.body, message.visible, self.now, poisoned=True))

    def run(self, hours: float = 48) -> None:
        """Deliver whatever is due, with a sweep whenever nothing is left, until nothing is open."""
        end = self.now + timedelta(hours=hours)
        while self.now < end:
            if self.queue:
                message = min(self.queue, key=lambda waiting: waiting.visible)
                self.now = max(self.now, message.visible)
                self.deliver(message)
            elif list(self.records.list_open()):
                self.now += LEASE / 2
                self.reactor.sweep()
            else:
                return
        raise AssertionError(f"not over after {hours} hours: {list(self.records.list_open())}")


def queue_message(message: Delivery) -> func.QueueMessage:
    """Make what the worker hands to a queue function."""
    return QueueMessage(  # type: ignore[no-untyped-call] # the library leaves its constructor untyped
        id=message.id, body=message.body, dequeue_count=message.count, insertion_time=message.sent
    )


@dataclass
class CrashAt:
    """Crashes once, at the boundary with this number."""

    number: int
    seen: list[str] = field(default_factory=list)

    def __call__(self, where: str) -> None:
        """Count the boundary, and crash at the chosen one."""
        self.seen.append(where)
        if len(self.seen) == self.number:
            raise Crash(where)


READS = ("before GET ", "after GET ", "before HEAD ", "after HEAD ")
STRIDE = int(os.environ.get("STRIDE", "20"))
"""Every so manieth boundary is crashed at, whatever it is; 1 tries all."""


def worth_a_crash(seen: Sequence[str]) -> list[int]:
    """List the boundaries at which a crash leaves a state of its own: the first one, and each one after a write.

    Whoever dies later, before the next write, leaves the same; some of those are tried all the same.
    """
    return [
        at
        for at, where in enumerate(seen, 1)
        if at == 1 or at % STRIDE == 0 or (where.startswith("after ") and not where.startswith(READS))
    ]


class Workers:
    """Runs deliveries in threads that take turns: at each boundary a seeded choice says who goes on."""

    def __init__(self, choice: random.Random) -> None:
        self.choice = choice
        self.waiting_since: dict[int, datetime] = {}
        """Each worker under way, and when it came to the boundary where it waits."""
        self._turns: dict[int, threading.Event] = {}
        self._stopped = threading.Semaphore(0)

    def start(self, work: Callable[[], None], now: datetime) -> None:
        """Begin a piece of work; it waits at its start until it is its turn."""
        turn = threading.Event()

        def body() -> None:
            turn.wait()
            try:
                work()
            finally:
                del self._turns[threading.get_ident()], self.waiting_since[threading.get_ident()]
                self._stopped.release()

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        assert thread.ident
        self._turns[thread.ident], self.waiting_since[thread.ident] = turn, now

    def step(self, worker: int) -> None:
        """Let one worker go on to its next boundary, or to its end."""
        self._turns[worker].set()
        assert self._stopped.acquire(timeout=60), "a worker hangs"

    def boundary(self, now: datetime) -> None:
        """Wait here until it is this worker's turn."""
        worker = threading.get_ident()
        self.waiting_since[worker] = now
        self._turns[worker].clear()
        self._stopped.release()
        assert self._turns[worker].wait(60), "the test has forgotten a worker"
