"""How often a resource may be asked, counted over all instances in real tables, and alone without storage."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UnansweredError
from shared.settings import Storage
from shared.storage import LIMITS_TABLE, entities, prepare
from shared.storage.account import Account
from shared.storage.rates import LIMITS, MOST, WINDOW, Rates, granted
from shared.storage.slots import SlotsTable


@dataclass
class Clock:
    """Seconds since 1970, as a test says."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


@pytest.fixture
def host() -> str:
    """Give a host that nobody else asks."""
    return f"{uuid4().hex}.cognitiveservices.azure.com"


@pytest.fixture
def account(azurite: str) -> Account:
    """Give the app's storage."""
    made = maker(azurite)()
    prepare(made, "backups")
    return made


def maker(azurite: str) -> Callable[[], Account]:
    """Make storage as another instance has it, with connections of its own."""

    def no_credential(_: str) -> None:
        raise AssertionError

    return lambda: Account(Storage(connection_string=azurite), no_credential)  # type: ignore[arg-type] # none is needed


@given(st.lists(st.floats(0, 30, allow_nan=False), max_size=80), st.integers(1, 12))
def test_never_more_than_the_limit_in_any_minute(pauses: list[float], limit: int) -> None:
    """Whenever it is asked: of what is let go, no window of a minute holds more; and a wait is never too short."""
    now, times, let_go = 0.0, list[float](), list[float]()
    for pause in pauses:
        now += pause
        wait, times = granted(times, limit, now)
        if wait == 0:
            let_go.append(now)
        else:
            assert 0 < wait <= WINDOW
            assert granted(times, limit, now + wait + 1e-6)[0] == 0
    for begin in let_go:
        assert sum(begin <= one < begin + 60 for one in let_go) <= limit


def test_a_clock_that_is_ahead_keeps_nobody_out_for_long() -> None:
    """What was let go "tomorrow" counts as now."""
    wait, times = granted([90_000.0, 90_001.0], 2, 100.0)
    assert (wait, times) == (WINDOW, [100.0, 100.0])


@pytest.mark.parametrize("kind", ["POST", "GET"])
def test_two_instances_share_one_limit(kind: str, account: Account, azurite: str, host: str) -> None:
    """As many as the service lets through, whoever asks; then both are told the same wait, and go on after it."""
    clock = Clock()
    first, second = Rates(account, clock=clock), Rates(maker(azurite)(), clock=clock)
    for number in range(LIMITS[kind]):
        assert (first, second)[number % 2].take(host if number % 3 else host.upper(), kind) == 0
    clock.now += 11
    assert first.take(host, kind) == second.take(host, kind) == pytest.approx(WINDOW - 11)
    clock.now += WINDOW - 11
    assert second.take(host, kind) == 0


def test_kinds_and_hosts_are_counted_each_by_itself(account: Account, host: str) -> None:
    """Reading is not kept from going on by writing, nor another resource by this one."""
    rates = Rates(account, clock=Clock())
    assert [rates.take(host, "POST") for _ in range(11)][-1] > 0
    assert rates.take(host, "GET") == 0
    assert rates.take(f"other-{host}", "POST") == 0
    assert rates.take(host, "POST") > 0


def test_many_at_once_are_never_too_many(account: Account, azurite: str, host: str) -> None:
    """Instances that collide let no more through than one would; whoever cannot tell waits a moment."""
    make, waits = maker(azurite), list[float]()

    def instance() -> None:
        rates = Rates(make(), clock=Clock())
        waits.extend(rates.take(host, "POST") for _ in range(4))

    threads = [threading.Thread(target=instance) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(waits) == 24
    assert 1 <= waits.count(0) <= LIMITS["POST"]


def test_a_write_that_nobody_answered_counts(account: Account, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is let go by a count that is known to be written; one that may be is counted again."""
    rates = Rates(account, clock=Clock())
    insert, lost = entities.insert, list[bool]()

    def lose_one(*given: object) -> bool:
        done = insert(*given)  # type: ignore[arg-type] # as it is called
        if not lost:
            lost.append(done)
            raise UnansweredError("no answer")
        return done

    monkeypatch.setattr(entities, "insert", lose_one)
    assert [rates.take(host, "POST") == 0 for _ in range(10)] == [True] * 9 + [False]


def test_what_another_version_wrote_is_written_over(account: Account, host: str) -> None:
    """An entity that cannot be read counts as nothing."""
    rates = Rates(account, clock=Clock())
    assert rates.take(host, "POST") == 0
    table = account.table(LIMITS_TABLE)
    (row,) = table.query_entities("host eq @host", parameters={"host": host})
    table.update_entity({**row, "POST": "what?", "GET": "{}"})
    assert [rates.take(host, "POST") == 0 for _ in range(11)] == [True] * 10 + [False]


def test_a_resource_without_such_a_limit_is_not_counted(account: Account, host: str) -> None:
    """Nothing is written where more is allowed than an entity can hold."""
    rates = Rates(account, {"GET": MOST + 1, "POST": MOST})
    assert [rates.take(host, "GET") for _ in range(3)] == [0, 0, 0]
    table = account.table(LIMITS_TABLE)
    assert list(table.query_entities("host eq @host", parameters={"host": host})) == []


def test_as_many_as_can_be_counted_fit_into_an_entity(account: Account, host: str) -> None:
    """The largest limits that are kept are kept whole."""
    clock = Clock()
    rates = Rates(account, {"GET": MOST, "POST": MOST}, clock=clock)
    assert rates.take(host, "GET") == 0
    table = account.table(LIMITS_TABLE)
    (row,) = table.query_entities("host eq @host", parameters={"host": host})
    full = json.dumps([round(clock.now + number / 1000, 3) for number in range(MOST - 1)])
    table.update_entity({**row, "GET": full, "POST": full})
    assert rates.take(host, "POST") == 0
    assert rates.take(host, "POST") > 0


def test_a_host_that_is_not_asked_any_more_is_forgotten(account: Account, host: str) -> None:
    """The sweep of old limits takes it, not before a day has passed."""
    clock = Clock((datetime.now(UTC) - timedelta(days=3)).timestamp())
    Rates(account, clock=clock).take(host, "GET")
    table = account.table(LIMITS_TABLE)
    assert len(list(table.query_entities("host eq @host", parameters={"host": host}))) == 1
    SlotsTable(account).sweep(datetime.fromtimestamp(clock.now, UTC) + timedelta(hours=23), most=1000)
    assert len(list(table.query_entities("host eq @host", parameters={"host": host}))) == 1
    SlotsTable(account).sweep(datetime.fromtimestamp(clock.now, UTC) + timedelta(hours=25), most=1000)
    assert list(table.query_entities("host eq @host", parameters={"host": host})) == []


def test_without_storage_it_counts_for_itself(host: str) -> None:
    """A command on a laptop keeps to the limits all the same."""
    clock = Clock()
    rates = Rates(clock=clock)
    assert [rates.take(host, "POST") for _ in range(11)] == [0.0] * 10 + [pytest.approx(WINDOW)]
    assert rates.take(host, "GET") == 0
    clock.now += WINDOW
    assert rates.take(host, "POST") == 0
