"""Real events through a real storage emulator: how fast against a bare loop, how many transactions, and their price."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import requests
from azure.storage.queue import QueueClient

from bench import samples
from bench.measure import WALL, Spread, Work, ratio, rounds
from bench.receiver import receiving
from bench.table import Report, microseconds
from bench.tape import Call, Player, Tape
from dev.azurite import azurite
from dev.demo.costs import ASSUMED, PRICES
from shared import wiring
from shared.clients import Clients
from shared.clients.identity import managed_identity
from shared.events import digest
from shared.handlers import ACTIONS
from shared.ledger import Send
from shared.reactor import Reactor
from shared.rules import load
from shared.settings import Settings
from shared.settle import Timing
from shared.storage import ACTIONS_QUEUE, ACTIONS_TABLE, EVENTS_TABLE, prepare
from shared.storage.account import Account
from shared.storage.locks import Locks
from shared.storage.queues import Queues
from shared.storage.records import Records
from shared.storage.slots import SlotsTable
from shared.storage.timeline import Timeline

REPOSITORY = Path(__file__).parents[1]
ROUNDS = 10
A_ROUND = 30
"""Events; all rounds together are the 300 of the bar."""
WARM_UP = 1
STARTS = 5
LEASE = 600
SERVICES = ("table", "queue", "blob")

FIRST_EVENT = """
import sys, function_app
function_app.on_ml_event(sys.stdin.read())
"""
WAITING = f"""version: 1
workspaces: {{fraud: {samples.WORKSPACE}}}
rules: [{{name: wait, on: RunFailed, do: [wait]}}]
"""
WAIT = {"wait": "bench.waiting:Wait"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is measured: an emulator, and a receiver of what is sent."""

    values: Mapping[str, str]
    """The app's environment."""

    @property
    def settings(self) -> Settings:
        """Give the app's settings."""
        return Settings.read(self.values)

    def account(self) -> Account:
        """Make clients of the storage account."""
        return Account(self.settings.storage, managed_identity)

    def tape(self) -> Tape:
        """Make a tape that knows the emulator's ports."""
        account = self.account()
        urls = {"table": account.tables.url, "queue": account.queues.url, "blob": account.blobs.url}
        return Tape({urlsplit(urls[name]).port or 0: name for name in SERVICES})


@contextmanager
def place() -> Iterator[Place]:
    """Run an emulator and a receiver, and write 100 rules of which one is for a failed run."""
    with azurite() as emulator, receiving() as (url, ca), TemporaryDirectory(prefix="bench-") as folder:
        rules = Path(folder) / "rules.yaml"
        rules.write_text(samples.write(samples.mixed(100)), "utf-8")
        os.environ["REQUESTS_CA_BUNDLE"] = str(ca)
        here = Place({"AzureWebJobsStorage": emulator.app, "REACTOR_RULES": str(rules), "SLACK_URL": url})
        prepare(here.account(), "backups")
        yield here


def measure(report: Report) -> None:
    """Measure everything that needs storage."""
    with place() as here:
        report.fact("process start to first event handed over", first_event(here))
        throughput(report, here)
        transactions(report, here)


NUMBERS = count()
HEARD, NOBODYS = "fraud-train", "nobodys"
"""An experiment that a rule is about, and one that none is."""


def body(experiment: str = HEARD) -> str:
    """Give a run that failed and was not told of before."""
    (event,) = json.loads(samples.events()[samples.TYPICAL])
    event["id"] = event["data"]["runId"] = f"bench_{next(NUMBERS):08}"
    event["data"]["experimentName"] = experiment
    return json.dumps([event])


# -- the first event of a process -------------------------------------------------------------------------------------


def first_event(here: Place) -> str:
    """Time a process from its start to the end of its first event; the message it sent is taken off the queue."""
    queue = here.account().queues.get_queue_client(ACTIONS_QUEUE)
    took: list[float] = []
    for _ in range(STARTS):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", FIRST_EVENT],
            input=body(),
            env={**os.environ, **here.values},
            cwd=REPOSITORY,
            text=True,
            check=True,
        )
        took.append(time.perf_counter() - start)
        message = queue.receive_message()
        assert message is not None, "nothing was handed over"
        queue.delete_message(message)
    spread = Spread.of(took)
    return f"{microseconds(spread.middle)} ({microseconds(spread.low)} to {microseconds(spread.high)})"


# -- door to settled --------------------------------------------------------------------------------------------------


class Host:
    """What the Functions host does: takes each message off the queue, and deletes it when its function is done."""

    def __init__(self, queue: QueueClient) -> None:
        self.queue = queue

    def deliver(self, perform: Callable[[str, str], None]) -> None:
        """Deliver the one message that is there."""
        message = self.queue.receive_message(visibility_timeout=LEASE)
        assert message is not None
        perform(message.content, message.id)
        self.queue.delete_message(message)


def throughput(report: Report, here: Place) -> None:
    """Measure 300 events in turns with a bare loop that makes the same calls."""
    tape, door_calls = record(here)
    reactor = wiring.build(here.settings)
    host = Host(here.account().queues.get_queue_client(ACTIONS_QUEUE))

    def ours(event: str) -> None:
        reactor.receive("event_grid", event)
        host.deliver(reactor.perform)

    player = Player(here.account(), requests.Session())
    keys = {key_of(tape.calls, EVENTS_TABLE), key_of(tape.calls, ACTIONS_TABLE)}

    def prepared() -> Callable[[], None]:
        renamed = {key: digest(key, str(next(NUMBERS))) for key in keys}
        door = player.prepare(tape.calls[:door_calls], renamed)
        perform = player.prepare(tape.calls[door_calls:], renamed)

        def play() -> None:
            door()
            host.deliver(lambda _body, _id: perform())

        return play

    ours(body())  # now connections are made, and the rules are loaded
    events = iter([body() for _ in range((ROUNDS + WARM_UP) * A_ROUND)])
    loops = iter([prepared() for _ in range((ROUNDS + WARM_UP) * A_ROUND)])
    ours_on_wire, bare_on_wire = wire(here, lambda: ours(body())), wire(here, prepared())
    assert ours_on_wire == bare_on_wire, f"not the same requests:\n{ours_on_wire}\n{bare_on_wire}"

    def bare() -> None:
        next(loops)()

    works = {"ours": Work(lambda: ours(next(events)), A_ROUND), "bare": Work(bare, A_ROUND)}
    times = rounds(works, ROUNDS, clock=WALL, warm_up=WARM_UP)
    per_event = microseconds(Spread.of(times["ours"]).middle)
    report.bar("events", ratio(times, "bare", "ours"), f"{len(ours_on_wire)} requests, {per_event} an event")


def record(here: Place) -> tuple[Tape, int]:
    """Record what one event leads to; also say how many of the calls its door made."""
    tape, account = here.tape(), here.account()
    tape.listen(account)
    rules = Path(here.values["REACTOR_RULES"]).read_text("utf-8")
    reactor = build(here, account, rules=rules, handlers=ACTIONS, send=Queues(account).send, clock=wiring.now)
    host = Host(here.account().queues.get_queue_client(ACTIONS_QUEUE))
    with tape.running():
        reactor.receive("event_grid", body())
        door_calls = len(tape.calls)
        host.deliver(reactor.perform)
    return tape, door_calls


def build(
    here: Place,
    account: Account,
    *,
    rules: str,
    handlers: Mapping[str, str],
    send: Send,
    clock: Callable[[], datetime],
) -> Reactor:
    """Build the app as wiring does, on other rules, handlers or another clock."""
    loaded = load(rules, handlers, "bench").bind(here.values)
    settings = here.settings
    return Reactor(
        records=Records(account),
        timeline=Timeline(account),
        slots=SlotsTable(account),
        locks=Locks(account),
        send=send,
        rules=lambda: loaded,
        paused=lambda _rule: None,
        handlers=handlers,
        clients=Clients(settings, managed_identity, account),
        values=settings.values,
        clock=clock,
        timing=Timing(lease=settings.lease, poll=settings.poll, deadline=settings.deadline),
        keep=settings.keep,
    )


def key_of(calls: list[Call], table: str) -> str:
    """Find the key under which a record was made."""
    return next(
        str(call.args[0]["PartitionKey"])
        for call in calls
        if call.client == f"table {table}" and call.method == "create_entity"
    )


def wire(here: Place, work: Callable[[], None]) -> list[str]:
    """List the requests that something makes."""
    tape = here.tape()
    with tape.running():
        work()
    return tape.lines


# -- transactions -----------------------------------------------------------------------------------------------------


def transactions(report: Report, here: Place) -> None:
    """Count what reaches storage, and say what a million of it would cost."""
    reactor = wiring.build(here.settings)
    host = Host(here.account().queues.get_queue_client(ACTIONS_QUEUE))

    def settled(experiment: str) -> Counter[str]:
        with (tape := here.tape()).running():
            reactor.receive("event_grid", body(experiment))
            if experiment != NOBODYS:
                host.deliver(reactor.perform)
        return tape.transactions

    settled(HEARD)  # the rules, and what is paused, are looked at once a minute and not once an event
    alone = settled(NOBODYS)
    report.fact("storage transactions: a failed run that no rule answers", price(alone))
    report.fact("storage transactions: a one-step action, its event's left out", price(settled(HEARD) - alone))
    report.fact("storage transactions: an hour of watching one job, every 30 s at first", price(watched_hour(here)))
    report.fact("prices assumed", ASSUMED)


def watched_hour(here: Place) -> Counter[str]:
    """Count the first hour of a job that does not end, by a clock of ours.

    Messages are not waited for: each that is sent counts as three transactions, for it is taken and deleted as well.
    """
    account, sent = here.account(), list[str]()
    now = wiring.now()
    end = now + timedelta(hours=1)

    def send(_queue: str, message: str, delay: timedelta = timedelta()) -> None:
        nonlocal now
        sent.append(message)
        now += max(delay, timedelta())

    reactor = build(here, account, rules=WAITING, handlers=WAIT, send=send, clock=lambda: now)
    reactor.receive("event_grid", body())
    with (tape := here.tape()).running():
        before = len(sent)
        while now < end:
            reactor.perform(sent[-1], f"m{len(sent)}")
    return tape.transactions + Counter(queue=3 * (len(sent) - before))


def price(counted: Counter[str]) -> str:
    """Say how many transactions, of what, and what a million times that costs."""
    dollars = sum(PRICES[service] * number / 10_000 for service, number in counted.items())
    each = " + ".join(f"{number} {service}" for service, number in sorted(counted.items()))
    return f"{counted.total()} ({each}); ${dollars * 1e6:,.2f} a million"
