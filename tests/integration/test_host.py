"""The local host keeps the real host's promises, on a real Azurite and with a small app of its own."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from azure.storage.queue import QueueClient

from dev.process import Child

APP = Path(__file__).parent / "apps/host"
LEASE = 3
"""Seconds."""
FUNCTION_TIMEOUT = 6


@dataclass
class Host:
    """A host process that runs the small app, and what the app saw."""

    child: Child
    url: str
    queue: QueueClient
    seen_file: Path

    def seen(self, function: str, **order: Any) -> list[dict[str, Any]]:
        """Give the lines that a function wrote, for the message with this order where one is given."""
        text = self.seen_file.read_text(encoding="utf-8") if self.seen_file.exists() else ""
        lines = [json.loads(line) for line in text.splitlines()]
        return [line for line in lines if line["function"] == function and (not order or line.get("order") == order)]

    def send(self, **order: Any) -> dict[str, Any]:
        """Queue an order to `on_work`, made unlike any other."""
        order["number"] = next(numbers)
        self.queue.send_message(json.dumps(order))
        return order

    def post(self, path: str, body: Any = None, **headers: str) -> requests.Response:
        """POST JSON to the host."""
        return requests.post(f"{self.url}{path}", json=body, headers=headers, timeout=20)

    def left(self) -> int:
        """Count the messages on the queue, hidden ones included."""
        return self.queue.get_queue_properties().approximate_message_count or 0


numbers = count()


def eventually[T](look: Callable[[], T], *, seconds: float = 12) -> T:
    """Look until there is something to see."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


@contextmanager
def running(storage: str, folder: Path, queue: str, *, lease: int = LEASE) -> Iterator[Host]:
    """Run a host on a queue."""
    ready = folder / "ready.json"
    settings = {
        "AzureWebJobsStorage": storage,
        "WORK_QUEUE": queue,
        "TICK": "* * * * * *",
        "SEEN": str(folder / "seen.jsonl"),
        "PYTHON_THREADPOOL_THREAD_COUNT": "16",
    }
    ready.write_text(json.dumps({"settings": settings, "stack_pid": os.getpid()}), encoding="utf-8")
    command = [sys.executable, "-m", "dev.host", "--attach", str(ready), "--app", str(APP), "--lease", str(lease)]
    child = Child("host", command, log=folder / "host.log")
    client = QueueClient.from_connection_string(storage, queue)
    try:
        facts = child.wait_for(lambda: (facts := json.loads(ready.read_text())).get("host_pid") and facts)
        assert facts["host_pid"] == child.pid
        yield Host(child, facts["functions"], client, folder / "seen.jsonl")
    finally:
        child.stop()
        client.close()


@pytest.fixture
def queue(azurite: str) -> Iterator[QueueClient]:
    """Make a queue of this test's own."""
    with QueueClient.from_connection_string(azurite, f"work-{uuid4().hex[:8]}") as client:
        client.create_queue()
        yield client


@pytest.fixture(scope="module")
def host(azurite: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Run one host for the tests that leave it alive; its queue appears after it has started."""
    with running(azurite, tmp_path_factory.mktemp("host"), f"work-{uuid4().hex[:8]}") as host:
        host.queue.create_queue()
        yield host


# -- queues ------------------------------------------------------------------------------------------------------------


def test_a_message_that_succeeds_is_deleted(host: Host) -> None:
    """One attempt, and the message is gone."""
    order = host.send()
    eventually(lambda: host.seen("worked", **order))
    eventually(lambda: host.left() == 0)
    assert [line["attempt"] for line in host.seen("on_work", **order)] == [1]


def test_a_message_that_fails_is_tried_again(host: Host) -> None:
    """Its attempts are counted, until one succeeds."""
    order = host.send(fail=2)
    eventually(lambda: host.seen("worked", **order))
    assert [line["attempt"] for line in host.seen("on_work", **order)] == [1, 2, 3]


def test_after_five_attempts_the_body_goes_to_the_poison_queue(host: Host) -> None:
    """The body and nothing else of the message: it counts from one again."""
    order = host.send(fail=9, why="for the poison test")
    poisoned = eventually(lambda: [each for each in host.seen("on_poisoned_work") if json.loads(each["body"]) == order])
    assert [line["attempt"] for line in host.seen("on_work", **order)] == [1, 2, 3, 4, 5]
    assert poisoned[0]["attempt"] == 1


def test_a_poison_queue_has_no_poison_queue(azurite: str, host: Host) -> None:
    """What fails there stays leased, and comes back only when the lease lapses."""
    body = json.dumps("poison door fails")
    with QueueClient.from_connection_string(azurite, f"{host.queue.queue_name}-poison") as poison:
        if not host.seen("on_poisoned_work"):
            poison.create_queue()
        poison.send_message(body)
        seen = eventually(lambda: [each for each in host.seen("on_poisoned_work") if each["body"] == body])
        time.sleep(LEASE / 2)
        assert len([each for each in host.seen("on_poisoned_work") if each["body"] == body]) == len(seen) == 1
        poison.clear_messages()


def test_a_long_invocation_keeps_its_lease(host: Host) -> None:
    """It runs longer than the lease and is not delivered again meanwhile."""
    order = host.send(sleep=LEASE * 1.5)
    eventually(lambda: host.seen("worked", **order))
    eventually(lambda: host.left() == 0)
    assert len(host.seen("on_work", **order)) == 1


def test_no_more_run_at_once_than_batch_and_threshold(host: Host) -> None:
    """Four of a batch and two below the threshold of the next."""
    orders = [host.send(sleep=0.3) for _ in range(15)]
    eventually(lambda: all(host.seen("worked", **order) for order in orders))
    begins = [(host.seen("on_work", **order)[0]["at"], 1) for order in orders]
    ends = [(host.seen("worked", **order)[0]["at"], -1) for order in orders]
    at_once, most = 0, 0
    for _, step in sorted(begins + ends):
        at_once += step
        most = max(most, at_once)
    assert 2 <= most <= 6


def test_a_killed_host_loses_nothing(azurite: str, tmp_path: Path, queue: QueueClient) -> None:
    """What it had in hand comes back when the lease lapses, and the attempt was counted."""
    with running(azurite, tmp_path, queue.queue_name, lease=4) as first:
        order = first.send(sleep=1)
        eventually(lambda: first.seen("on_work", **order))
        first.child.process.kill()
    with running(azurite, tmp_path, queue.queue_name) as second:
        eventually(lambda: second.seen("worked", **order))
        eventually(lambda: second.left() == 0)
        attempts = second.seen("on_work", **order)
    assert [line["attempt"] for line in attempts] == [1, 2]
    assert attempts[0]["pid"] != attempts[1]["pid"]
    assert attempts[1]["at"] > attempts[0]["at"] + 4 - 1, "the lease was waited for; Azurite counts in whole seconds"


def test_a_message_that_crashed_five_hosts_is_poisoned_unseen(azurite: str, tmp_path: Path, queue: QueueClient) -> None:
    """More attempts than allowed on arrival: the function is not called."""
    order = {"worn": "out"}
    queue.send_message(json.dumps(order))
    for _ in range(5):
        message = queue.receive_message()
        assert message
        queue.update_message(message.id, message.pop_receipt, visibility_timeout=0)
    with running(azurite, tmp_path, queue.queue_name) as host:
        poisoned = eventually(lambda: host.seen("on_poisoned_work"))
        assert json.loads(poisoned[0]["body"]) == order
        assert not host.seen("on_work")


def test_sigterm_lets_invocations_end(azurite: str, tmp_path: Path, queue: QueueClient) -> None:
    """What runs is finished and settled, what waits stays on the queue, and the host ends well."""
    with running(azurite, tmp_path, queue.queue_name) as host:
        order = host.send(sleep=1)
        eventually(lambda: host.seen("on_work", **order))
        host.child.process.send_signal(signal.SIGTERM)
        assert host.child.process.wait(8) == 0
        assert host.seen("worked", **order)
        assert host.left() == 0


# -- Event Grid --------------------------------------------------------------------------------------------------------

HOOK = "/runtime/webhooks/EventGrid?functionName=on_event"
VALIDATION = [{"id": "1", "data": {"validationCode": "c0de", "validationUrl": "https://x"}}]


def event(**data: Any) -> dict[str, Any]:
    """Make an event that no other test sends."""
    return {"id": f"e{next(numbers)}", "data": data}


@pytest.mark.parametrize(
    ("path", "kind", "body", "status", "answer"),
    [
        (HOOK, "Notification", [event()], 202, ""),
        (HOOK, "Notification", event(), 202, ""),
        (HOOK.lower().replace("functionname", "functionName"), "Notification", event(), 202, ""),
        (
            HOOK,
            "Notification",
            [event(), event(fail="it broke")],
            500,
            "Exception while executing function: Functions.on_event",
        ),
        (HOOK, "SubscriptionValidation", VALIDATION, 200, '{"validationResponse": "c0de"}'),
        (HOOK, "SubscriptionValidation", VALIDATION[0], 200, '{"validationResponse": "c0de"}'),
        (
            HOOK,
            "SubscriptionValidation",
            {"data": json.dumps(VALIDATION[0]["data"])},
            200,
            '{"validationResponse": "c0de"}',
        ),
        (HOOK, "Unsubscribe", None, 202, ""),
        (HOOK, "SubscriptionDeletion", None, 400, ""),
        (HOOK, "", [event()], 400, ""),
        (HOOK.replace("on_event", "on_nothing"), "Notification", [event()], 404, "cannot find function: 'on_nothing'"),
        (HOOK.replace("on_event", "on_work"), "Notification", [event()], 404, "cannot find function: 'on_work'"),
        ("/runtime/webhooks/EventGrid", "Notification", [event()], 404, "cannot find function: ''"),
        ("/runtime/webhooks/Other?functionName=on_event", "Notification", [event()], 404, ""),
    ],
)
def test_the_webhook_answers_as_the_extension_does(  # noqa: PLR0917 - one row
    host: Host, path: str, kind: str, body: Any, status: int, answer: str
) -> None:
    """Each kind of request gets the status and the body of the real one."""
    headers = {"aeg-event-type": kind} if kind else {}
    answered = host.post(path, body, **headers)
    assert (answered.status_code, answered.text) == (status, answer)


def test_what_the_webhook_refuses_is_logged(host: Host) -> None:
    """The answer is empty, as in Azure, so a line says what was missing."""
    assert host.post(HOOK, [event()]).status_code == 400
    assert "the header aeg-event-type is '' and must be Notification" in host.child.tail()


def test_a_body_that_is_no_json_is_a_server_error(host: Host) -> None:
    """As in the real extension, which parses before it invokes."""
    answered = requests.post(f"{host.url}{HOOK}", data=b"[{", headers={"aeg-event-type": "Notification"}, timeout=20)
    assert answered.status_code == 500


def test_every_event_of_a_batch_is_one_invocation(host: Host) -> None:
    """The good ones run although a neighbour fails, and each arrives as it was sent."""
    batch = [event(word="café"), event(fail="x"), event(n=1.0)]
    assert host.post(HOOK, batch, **{"aeg-event-type": "Notification"}).status_code == 500
    seen = [json.loads(line["event"]) for line in host.seen("on_event")]
    assert sorted(each["id"] for each in seen if each in batch) == sorted(each["id"] for each in batch)


def test_events_run_in_parallel(host: Host) -> None:
    """Four that take half a second each are answered in less than the sum."""
    began = time.monotonic()
    answered = host.post(HOOK, [event(sleep=0.5) for _ in range(4)], **{"aeg-event-type": "Notification"})
    assert answered.status_code == 202
    assert time.monotonic() - began < 1.6


def test_an_async_function_takes_the_librarys_own_type(host: Host) -> None:
    """The worker's own converter and event loop are used."""
    sent = event(word="hello")
    path = HOOK.replace("on_event", "on_event_async")
    assert host.post(path, sent, **{"aeg-event-type": "Notification"}).status_code == 202
    assert {"id": sent["id"], "data": sent["data"]}.items() <= host.seen("on_event_async")[-1].items()


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("eventgrid.azure.us", "eventgrid.azure.us"), ("example.com", "eventgrid.azure.net")],
)
def test_the_cloud_events_handshake(host: Host, origin: str, allowed: str) -> None:
    """OPTIONS names an origin of Event Grid's, whoever asks."""
    answered = requests.options(f"{host.url}{HOOK}", headers={"WebHook-Request-Origin": origin}, timeout=20)
    assert (answered.status_code, answered.headers["WebHook-Allowed-Origin"]) == (200, allowed)


def test_an_invocation_over_the_function_timeout_fails(host: Host) -> None:
    """It is answered when the time is up, and the message says why."""
    answered = host.post(HOOK, event(sleep=FUNCTION_TIMEOUT + 1), **{"aeg-event-type": "Notification"})
    assert (answered.status_code, answered.text) == (500, "Timeout value of 0:00:06 was exceeded by function: on_event")


# -- HTTP, admin, timers -----------------------------------------------------------------------------------------------


def test_an_http_function_gets_all_of_the_request(host: Host) -> None:
    """Route and query parameters, headers and body go in; status, headers and body come out."""
    answered = requests.post(
        f"{host.url}/api/Things/7?color=red", data="body", headers={"X-Test": "header"}, timeout=20
    )
    assert (answered.status_code, answered.headers["x-was"]) == (201, "here")
    assert answered.json() == {"id": "7", "params": {"color": "red"}, "header": "header", "body": "body"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/things/7?fail=1", 500),
        ("DELETE", "/api/things/7", 404),
        ("GET", "/api/things", 404),
        ("GET", "/admin/host/status", 200),
        ("POST", "/admin/functions/unknown", 404),
        ("POST", "/admin/functions/things", 404),
    ],
)
def test_other_requests(host: Host, method: str, path: str, status: int) -> None:
    """A function that raises is a 500; a route or a method that is not there is a 404."""
    answered = requests.request(method, f"{host.url}{path}", json={}, timeout=20)
    assert answered.status_code == status


def test_any_function_can_be_started_by_hand(host: Host) -> None:
    """The admin API takes the message as text and answers at once."""
    order = {"number": next(numbers)}
    assert host.post("/admin/functions/on_work", {"input": json.dumps(order)}).status_code == 202
    eventually(lambda: host.seen("worked", **order))


def test_a_timer_fires_on_its_schedule(host: Host) -> None:
    """Once every second here."""
    ticks = eventually(lambda: (ticks := host.seen("on_tick"))[2:] and ticks)
    assert all(0.4 < later["at"] - earlier["at"] < 2.6 for earlier, later in pairwise(ticks))


def test_every_invocation_is_one_line_of_the_log(host: Host) -> None:
    """Function, message, what came of it, how long it took."""
    order = host.send(fail=1, why="for the log")
    message = eventually(lambda: host.seen("worked", **order))[0]["id"]
    lines = [line.partition("host: ")[2] for line in host.child.tail(lines=500).splitlines() if message in line]
    assert [line.rpartition(",")[0] for line in lines] == [
        f"on_work message {message} attempt 1 failed: ValueError('for the log')",
        f"on_work message {message} attempt 2 ok",
    ]
