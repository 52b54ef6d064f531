"""The parts of the local host that need neither a queue nor a process."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from dev.azurite import WELL_KNOWN_KEY, connection_string
from dev.host.http import pattern
from dev.host.queues import QueueListener, delay
from dev.host.settings import HostJson, Queues, timing
from dev.host.timers import Timer
from dev.host.webhook import rewritten
from dev.host.worker import AppError, Function, Worker, setting

ACCOUNT = connection_string("devstoreaccount1", WELL_KNOWN_KEY, {"Queue": "http://127.0.0.1:1"})


@pytest.mark.parametrize(("empty_polls", "about"), [(1, 0.2), (2, 0.3), (3, 0.5), (4, 0.9), (5, 1.7), (9, 25.7)])
def test_polling_backs_off(empty_polls: int, about: float) -> None:
    """Each delay is twice the growth of the one before, give or take a fifth."""
    assert delay(empty_polls, 60) == pytest.approx(about, rel=0.2)


def test_polling_never_waits_longer_than_said() -> None:
    """The cap of host.json holds however long the silence."""
    assert delay(1000, 2.0) == 2.0


@pytest.mark.parametrize(
    ("lease", "sweep", "poll"),
    [
        (600, "0 */5 * * * *", "30"),
        (120, "0 */1 * * * *", "6"),
        (10, "*/5 * * * * *", "0.5"),
        (1, "*/1 * * * * *", "0.05"),
    ],
)
def test_a_lease_scales_the_other_times(lease: float, sweep: str, poll: str) -> None:
    """The sweep runs twice a lease, a remote job is looked at twenty times."""
    assert timing(lease) == {
        "REACTOR_LEASE_SECONDS": str(lease),
        "REACTOR_POLL_SECONDS": poll,
        "REACTOR_SCHEDULE": sweep,
    }


@pytest.mark.parametrize(
    ("encoding", "content", "body"),
    [("none", "plain", "plain"), ("none", "aGk=", "aGk="), ("base64", "aGk=", "hi"), ("base64", "no!", None)],
)
def test_messages_are_decoded_as_host_json_says(encoding: Any, content: str, body: str | None) -> None:
    """What is not base64 where it should be has no body: it is poisoned, and the function not called."""
    function = Function("f", "1", {"type": "queueTrigger", "queueName": "work"})
    listener = QueueListener(function, Worker(), ACCOUNT, Queues(messageEncoding=encoding), 600)
    assert listener.decoded(content) == body


@pytest.mark.parametrize(("name", "poisonable"), [("work", True), ("work-poison", False), ("w" * 57, False)])
def test_which_queues_have_a_poison_queue(name: str, *, poisonable: bool) -> None:
    """Not a poison queue itself, and none whose name would become too long."""
    function = Function("f", "1", {"type": "queueTrigger", "queueName": name})
    assert bool(QueueListener(function, Worker(), ACCOUNT, Queues(), 600).poison) is poisonable


@pytest.mark.parametrize(
    ("schedule", "after"),
    [
        ("*/5 * * * * *", datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)),
        ("0 */5 * * * *", datetime(2026, 1, 1, 0, 5, tzinfo=UTC)),
        ("0 0 3 1 * 1", datetime(2026, 6, 1, 3, tzinfo=UTC)),
    ],
)
def test_schedules_have_six_fields(schedule: str, after: datetime) -> None:
    """Seconds come first; a day of the month and one of the week must both match."""
    timer = Timer(Function("f", "1", {"type": "timerTrigger", "schedule": schedule}), Worker())
    assert timer.next_after(datetime(2026, 1, 1, tzinfo=UTC)) == after


@pytest.mark.parametrize("schedule", ["*/5 * * * *", "often", "99 * * * * *"])
def test_other_schedules_are_refused(schedule: str) -> None:
    """Five fields are not an NCRONTAB expression of the timer trigger."""
    with pytest.raises(AppError, match="NCRONTAB"):
        Timer(Function("f", "1", {"type": "timerTrigger", "schedule": schedule}), Worker())


@pytest.mark.parametrize(
    ("template", "path", "params"),
    [
        ("/api/events/{id}", "/API/Events/7", {"id": "7"}),
        ("/api/events/{id:int}", "/api/events/7/", {"id": "7"}),
        ("/api/events/{id?}", "/api/events", {"id": None}),
        ("/api/files/{*path}", "/api/files/a/b", {"path": "a/b"}),
        ("/api/events/{id}", "/api/events/7/8", None),
    ],
)
def test_routes(template: str, path: str, params: dict[str, str | None] | None) -> None:
    """Placeholders, constraints, optional ones and the rest of a path, ignoring case."""
    found = pattern(template).fullmatch(path)
    assert (found and found.groupdict()) == params


def test_settings_in_bindings(monkeypatch: pytest.MonkeyPatch) -> None:
    """%NAME% is the app's setting, and a missing one is named."""
    monkeypatch.setenv("QUEUE", "work")
    assert setting("%QUEUE%-poison") == "work-poison"
    with pytest.raises(AppError, match="NOT_THERE"):
        setting("%NOT_THERE%")


@pytest.mark.parametrize(
    "queues", [{"batchSize": 33}, {"batchSize": 0}, {"maxDequeueCount": 0}, {"maxPollingInterval": "00:00:00.05"}]
)
def test_host_json_is_checked(queues: dict[str, Any]) -> None:
    """A value that the real host refuses is refused here."""
    with pytest.raises(ValidationError):
        HostJson.model_validate({"version": "2.0", "extensions": {"queues": queues}})


def test_host_json_defaults() -> None:
    """What the real host does where nothing is said."""
    host = HostJson.model_validate({"version": "2.0"})
    assert host.extensions.queues.model_dump() == {
        "batch_size": 16,
        "new_batch_threshold": 8,
        "visibility_timeout": timedelta(),
        "max_dequeue_count": 5,
        "max_polling_interval": timedelta(minutes=1),
        "message_encoding": "base64",
    }
    assert host.timeout_seconds == 1800
    assert HostJson.model_validate({"version": "2.0", "functionTimeout": "-1"}).timeout_seconds is None


@pytest.mark.parametrize(
    ("sent", "arrived"),
    [
        ("2026-01-01T10:00:00.9584103Z", "2026-01-01T10:00:00.9584103Z"),
        ("2026-01-01T10:00:00.1000000Z", "2026-01-01T10:00:00.1Z"),
        ("2026-01-01T10:00:00.000Z", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00+09:00", "2026-01-01T01:00:00+00:00"),
        ("2026-01-01T10:00:00.50", "2026-01-01T10:00:00.5"),
        ("2026-13-01T10:00:00.50Z", "2026-13-01T10:00:00.50Z"),
        ("on 2026-01-01T10:00:00.50Z", "on 2026-01-01T10:00:00.50Z"),
    ],
)
def test_the_webhook_rewrites_dates_as_the_real_one_does(sent: str, arrived: str) -> None:
    """An event's key must survive what the host does to texts that look like dates."""
    assert rewritten({"data": [{"at": sent, "n": 1}]}) == {"data": [{"at": arrived, "n": 1}]}
