"""Pauses: seen within a minute, kept while storage fails, and on the safe side where they cannot be read."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
import requests
from azure.storage.blob import BlobServiceClient

from shared.errors import TemporaryError
from shared.settings import Settings
from shared.storage import PAYLOADS_CONTAINER
from shared.storage.account import Account
from shared.storage.pauses import EVERYTHING, LARGEST, PAUSES, Pause, Pauses
from tests.integration.world import Wire

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

PAUSE = Pause(by="alice", at=datetime(2026, 11, 22, tzinfo=UTC), reason="too many alerts ✓")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Read it."""
        return self.now


@pytest.fixture
def account(azurite: str) -> Account:
    """Give storage in which nothing is paused."""
    with BlobServiceClient.from_connection_string(azurite) as service:
        container = service.get_container_client(PAYLOADS_CONTAINER)
        if not container.exists():
            container.create_container()
        blob = container.get_blob_client(PAUSES)
        if blob.exists():
            blob.delete_blob()
    return Account(Settings.read({"AzureWebJobsStorage": azurite}).storage, lambda _id: pytest.fail("not needed"))


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


@pytest.fixture
def app(account: Account, clock: Clock) -> Pauses:
    """Give what an instance of the app looks at."""
    return Pauses(account, clock)


@pytest.fixture
def operator(account: Account) -> Pauses:
    """Give what an operator's command changes."""
    return Pauses(account, Clock())


@contextmanager
def unreachable(wire: Wire) -> Iterator[None]:
    """Break every request."""

    def cut(where: str) -> None:
        raise requests.ConnectionError(where)

    wire.boundary = cut
    with wire.watched():
        yield
    wire.boundary = lambda _where: None


def write(account: Account, content: str | bytes) -> None:
    """Write the blob by hand."""
    account.blobs.get_blob_client(PAYLOADS_CONTAINER, PAUSES).upload_blob(content, overwrite=True)


def test_nothing_is_paused_at_first(app: Pauses, operator: Pauses) -> None:
    """Without a blob every rule goes on, and there is nothing to resume."""
    assert app.of("retrain") is None
    assert operator.resume("retrain") == operator.resume() == operator.read() == {}


def test_a_pause_is_seen_within_a_minute(app: Pauses, operator: Pauses, clock: Clock) -> None:
    """An instance that looked just before sees it a minute later, and its end likewise; other rules go on."""
    assert app.of("retrain") is None
    assert operator.pause("retrain", PAUSE) is None
    clock.now += timedelta(seconds=59)
    assert app.of("retrain") is None
    clock.now += timedelta(seconds=1)
    assert app.of("retrain") == PAUSE
    assert app.of("other") is None
    assert operator.resume("retrain") == {"retrain": PAUSE}
    assert app.of("retrain") == PAUSE
    clock.now += timedelta(minutes=1)
    assert app.of("retrain") is None


def test_everything_can_be_paused(app: Pauses, operator: Pauses, clock: Clock) -> None:
    """A pause of everything holds each rule, and leaves the pauses of single rules when it ends."""
    operator.pause(EVERYTHING, PAUSE)
    operator.pause("retrain", own := PAUSE.model_copy(update={"reason": "its own"}))
    assert (app.of("retrain"), app.of("other")) == (own, PAUSE)
    assert operator.resume(EVERYTHING) == {EVERYTHING: PAUSE}
    clock.now += timedelta(minutes=1)
    assert (app.of("retrain"), app.of("other")) == (own, None)
    operator.pause(EVERYTHING, PAUSE)
    assert operator.resume() == {"retrain": own, EVERYTHING: PAUSE}
    assert operator.read() == {}


def test_pausing_twice_is_pausing_once(operator: Pauses) -> None:
    """The first pause stays, with who and why; so does what was resumed already."""
    assert operator.pause("retrain", PAUSE) is None
    assert operator.pause("retrain", Pause(by="bob", reason="me too")) == PAUSE
    assert operator.read() == {"retrain": PAUSE}
    assert operator.resume("retrain") == {"retrain": PAUSE}
    assert operator.resume("retrain") == {}


def test_the_blob_is_looked_at_once_a_minute(app: Pauses, wire: Wire, clock: Clock) -> None:
    """However many steps ask, it is one request a minute."""
    seen: list[str] = []
    wire.boundary = seen.append
    with wire.watched():
        for _ in range(100):
            app.of("retrain")
        assert len(seen) == 2, "before and after one request"
        clock.now += timedelta(minutes=1)
        app.of("retrain")
    assert len(seen) == 4


def test_failing_storage_keeps_what_was_known(app: Pauses, operator: Pauses, clock: Clock, wire: Wire) -> None:
    """What was paused stays so, and what was not goes on; where nothing is known yet, the step is tried later."""
    with unreachable(wire), pytest.raises(TemporaryError, match="storage"):
        app.of("retrain")
    operator.pause("retrain", PAUSE)
    assert app.of("retrain") == PAUSE
    clock.now += timedelta(minutes=1)
    with unreachable(wire):
        assert app.of("retrain") == PAUSE
        assert app.of("other") is None
    operator.resume("retrain")
    clock.now += timedelta(minutes=1)
    assert app.of("retrain") is None


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '"retrain"', b"\xff\xfe", "[" * 100_000, f'{{"a": "{"x" * LARGEST}"}}'],
    ids=["empty", "cut", "list", "null", "text", "binary", "deep", "huge"],
)
def test_what_cannot_be_read_pauses_everything(
    account: Account, app: Pauses, clock: Clock, content: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """On each instance alike, whatever it knew; the log and the pause say so, and resuming mends it."""
    assert app.of("retrain") is None
    write(account, content)
    clock.now += timedelta(minutes=1)
    for instance in (app, Pauses(account, clock)):
        found = instance.of("retrain")
        assert found is not None
        assert "reactor resume" in found.reason
    assert "pauses=pauses.json outcome=unreadable" in caplog.text
    assert list(Pauses(account, clock).resume(EVERYTHING)) == [EVERYTHING]
    clock.now += timedelta(minutes=1)
    assert app.of("retrain") is None


def test_an_entry_that_cannot_be_read_pauses_its_rule(account: Account, app: Pauses) -> None:
    """What was written by hand may leave out who and when, or be wrong: the rule that it names is held."""
    write(account, json.dumps({"a": {}, "b": True, "c": {"at": "yesterday"}, "d": {"reason": "why", "until": 5}}))
    assert app.of("a") == Pause()
    assert app.of("d") == Pause(reason="why")
    for rule in ("b", "c"):
        found = app.of(rule)
        assert found is not None
        assert "cannot be read" in found.reason
    assert app.of("e") is None


def test_many_operators_at_once(account: Account, operator: Pauses) -> None:
    """No pause of one is lost to another's."""
    threads = [Thread(target=Pauses(account, Clock()).pause, args=(f"rule-{number}", PAUSE)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(operator.read()) == {f"rule-{number}" for number in range(6)}


@pytest.mark.parametrize("moment", ["before PUT", "after PUT"])
def test_a_crash_leaves_the_one_or_the_other(operator: Pauses, wire: Wire, moment: str) -> None:
    """Whoever dies while pausing has paused it, or has not; doing it again makes it so."""
    with wire.dying(moment, PAUSES):
        operator.pause("retrain", PAUSE)
    assert bool(operator.read()) == (moment == "after PUT")
    operator.pause("retrain", PAUSE)
    assert operator.read() == {"retrain": PAUSE}
