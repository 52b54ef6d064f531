"""What comes to the doors of a running stack is taken, parked or refused, and never sent back for what is in it."""

import argparse
import base64
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from cli.app import add_options, add_person, connect
from cli.errors import UsageError
from dev.demo.ledger import Entry
from dev.demo.stage import Stage, stage
from dev.demo.stories import STRANGER
from dev.demo.story import RUN_STATUS_CHANGED, WORKSPACE, event_id, machine_learning
from dev.stack import WEBHOOK
from shared.storage import ML_EVENTS_QUEUE, VISION_QUEUE


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run a stack with the demo's rules."""
    with stage(tmp_path_factory.mktemp("doors")) as running:
        yield running


def eventually(on: Stage, wanted: Callable[[Entry], bool], *, seconds: float = 30) -> Entry:
    """Wait for an entry that is over and is the wanted one."""
    deadline = time.monotonic() + seconds
    while True:
        entries = on.ledger.news()
        for entry in entries:
            if entry.over and wanted(entry):
                return entry
        assert time.monotonic() < deadline, [(entry.event.id, entry.event.status) for entry in entries]
        time.sleep(0.2)


def failed_run(number: int, *, of: str = WORKSPACE, **data: Any) -> dict[str, Any]:
    """Write an event of a failed run that the rule tell-of-failed-runs answers, with an id of its own."""
    told = {"runId": f"run_{number}", "experimentName": f"fraud-{number}", "runStatus": "Failed"} | data
    return dict(machine_learning(number, RUN_STATUS_CHANGED, f"runs/run_{number}", told, of=of).event)


def post(on: Stage, body: Any, **headers: str) -> int:
    """Deliver to the webhook as Event Grid does; the status of the answer."""
    headers = {"aeg-event-type": "Notification", "Content-Type": "application/json"} | headers
    return requests.post(on.functions + WEBHOOK, json=body, headers=headers, timeout=30).status_code


def is_told(on: Stage, number: int) -> bool:
    """Whether the fraud team got its one mail about a run."""
    subjects = [mail["subject"] for mail in on.simulators.channels.inbox(channel="mail")]
    return [subject.startswith(f"fraud-{number} failed") for subject in subjects].count(True) == 1


def test_health_says_ok(on: Stage) -> None:
    """Anybody may ask, and hears nothing but that."""
    answer = requests.get(f"{on.functions}/api/health", timeout=30)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_the_command_finds_the_stack_and_signs_in(on: Stage) -> None:
    """The ready file is all it needs; whoever is signed in is told what there is not, and nobody else."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    add_person(parser)
    app = connect(parser.parse_args(["--ready", str(on.ready)]), {})
    assert app.get("actions", rule="nobody's")["actions"] == []
    with pytest.raises(UsageError, match="there is no action"):
        app.post(f"actions/{'0' * 32}/approve", {"reason": "x"})
    stranger = connect(parser.parse_args(["--ready", str(on.ready), "--as", "stranger@example.com"]), {})
    with pytest.raises(UsageError, match=f"does not sign stranger@example.com in: .*{on.facts['person']}"):
        stranger.post(f"actions/{'0' * 32}/approve", {})


def test_an_event_of_900_kb_is_answered(on: Stage) -> None:
    """Event Grid allows 1 MB; what no entity of a table can hold is kept beside it."""
    properties = {"noise": base64.b64encode(random.Random(0).randbytes(700_000)).decode()}  # packed, it is still large
    event = failed_run(51, runProperties=properties)
    assert 900_000 < len(json.dumps(event)) < 1_000_000
    assert post(on, [event]) == 202
    entry = eventually(on, lambda entry: entry.event.id == event_id(51))
    assert entry.event.status == "planned"
    assert json.loads(entry.event.payload)["data"]["runProperties"] == properties
    assert is_told(on, 51)


@pytest.mark.parametrize(("number", "encoded"), [(52, True), (53, False)], ids=["base64", "plain"])
def test_a_queue_message_of_60_kb_is_answered(on: Stage, number: int, encoded: bool) -> None:  # noqa: FBT001 # a case
    """A storage queue allows 64 KiB, base64 included."""
    event = json.dumps(failed_run(number, createdBy="a" * (45_000 if encoded else 61_000)))
    message = base64.b64encode(event.encode()).decode() if encoded else event
    assert 60_000 < len(message) < 65_536
    on.queue(ML_EVENTS_QUEUE).send_message(message)
    assert eventually(on, lambda entry: entry.event.id == event_id(number)).event.status == "planned"
    assert is_told(on, number)


@pytest.mark.guarantee(7)
def test_an_event_of_an_undeclared_workspace_is_refused(on: Stage) -> None:
    """It is recorded with the reason, and nothing is done about it."""
    assert post(on, [failed_run(54, of=STRANGER)]) == 202
    entry = eventually(on, lambda entry: entry.event.id == event_id(54))
    assert entry.event.status == "refused"
    assert entry.event.reason == f"the rules file does not declare {STRANGER}"
    assert not entry.actions


PARKED: list[tuple[str, bytes, str]] = [
    ("invalid UTF-8", base64.b64encode(b'{"id": "\xff"}'), "not UTF-8: invalid start byte at byte 8"),
    ("no JSON", b"Hello <reactor> & all", "neither JSON nor base64 of JSON"),
    ("nested deeply", b'{"id": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", "nested deeper than 64 levels"),
    ("no event", b'{"hello": "world"}', "neither an Event Grid event (no eventType) nor a CloudEvent (no specversion)"),
    ("a field of a wrong type", json.dumps(failed_run(55, runId=42)).encode(), "data.runId: a number"),
    ("a field that is missing", json.dumps(failed_run(56, runStatus=None)).encode(), "data.runStatus: missing"),
    ("a time that is none", json.dumps(failed_run(57) | {"eventTime": "yesterday"}).encode(), "eventTime: not an ISO"),
]


@pytest.mark.guarantee(1)
@pytest.mark.parametrize(("body", "reason"), [case[1:] for case in PARKED], ids=[case[0] for case in PARKED])
def test_what_is_no_event_is_parked_with_the_reason(on: Stage, body: bytes, reason: str) -> None:
    """The reason names the field; the message is never tried again, and never poisons the queue."""
    on.queue(ML_EVENTS_QUEUE).send_message(body.decode())
    entry = eventually(on, lambda entry: entry.event.reason.startswith(reason))
    assert entry.event.status == "parked"
    assert entry.event.door == "event_grid"
    assert not on.waiting(f"{ML_EVENTS_QUEUE}-poison")


def test_a_notification_that_names_no_iteration_is_parked(on: Stage) -> None:
    """Custom Vision's queue has a door of its own, and its own fields."""
    message = {
        "version": "1.0",
        "type": "Export",
        "Content": {"projectId": "3f2504e0", "exportStatus": "ExportCompleted"},
    }
    on.queue(VISION_QUEUE).send_message(json.dumps(message))
    entry = eventually(on, lambda entry: entry.event.door == "vision_notification")
    assert (entry.event.status, entry.event.reason) == ("parked", "Content.iterationId: missing")


@pytest.mark.guarantee(1)
@pytest.mark.parametrize(
    "body",
    [
        [{"nonsense": 1}],
        [failed_run(58, runTags="none")],
        {"specversion": "0.3", "id": "1", "source": "x", "type": "y"},
        ["just a text"],
        [None],
    ],
    ids=["no event", "wrong type", "old CloudEvent", "text", "null"],
)
def test_the_webhook_answers_202_whatever_is_in_an_event(on: Stage, body: Any) -> None:
    """A 500 would bring a day of retries, and hold back every other event."""
    before = len(on.ledger.news())
    assert post(on, body) == 202
    assert len(on.ledger.news()) == before + 1


@pytest.mark.guarantee(1)
def test_a_bad_event_does_not_hold_back_its_neighbours(on: Stage) -> None:
    """Delivered in one array, each is judged by itself."""
    assert post(on, [failed_run(59), {"nonsense": 2}, failed_run(49)]) == 202
    for number in (59, 49):
        eventually(on, lambda entry, number=number: entry.event.id == event_id(number))  # type: ignore[misc] # bound now
        assert is_told(on, number)


def test_an_unknown_type_is_recorded_and_ignored(on: Stage) -> None:
    """The service may announce something new one day."""
    event = failed_run(48) | {"eventType": "Microsoft.MachineLearningServices.ModelArchived"}
    assert post(on, [event]) == 202
    entry = eventually(on, lambda entry: entry.event.id == event_id(48))
    assert entry.event.status == "ignored"
    assert entry.event.reason == "no rule can listen to Microsoft.MachineLearningServices.ModelArchived"
