"""The simulated Event Grid delivers with the real headers and rules, and its topic serves the official publisher."""

import base64
import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from dev.simulators.event_grid import KEY
from dev.simulators.remote import Simulators

EVENT = {
    "id": "7b0f6a0e-2c35-4f0a-9a55-0d9c0b6d5a11",
    "topic": "/subscriptions/1/resourceGroups/ml/providers/Microsoft.MachineLearningServices/workspaces/fraud",
    "subject": "models/fraud-gbm:12",
    "eventType": "Microsoft.MachineLearningServices.ModelRegistered",
    "eventTime": "2026-03-02T08:15:04.1184021Z",
    "data": {"ModelName": "fraud-gbm", "ModelVersion": "12"},
    "dataVersion": "2",
    "metadataVersion": "1",
}


class Endpoint:
    """A subscriber that answers as it is told and remembers what it got."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], Any]] = []
        self.answers: list[int] = []
        """Statuses of the next answers; 200 after them."""
        self.consents = True
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.headers["aeg-event-type"] == "SubscriptionValidation":
                    code = body[0]["data"]["validationCode"] if endpoint.consents else "?"
                    self.reply(200, json.dumps({"validationResponse": code}).encode())
                    return
                endpoint.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.reply(endpoint.answers.pop(0) if endpoint.answers else 200, b"")

            def do_OPTIONS(self) -> None:
                self.reply(200, b"", **{"WebHook-Allowed-Origin": "eventgrid.azure.net" if endpoint.consents else "x"})

            def reply(self, status: int, body: bytes, **headers: str) -> None:
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/runtime/webhooks/EventGrid?functionName=on_ml_event"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Give a subscriber."""
    endpoint = Endpoint()
    yield endpoint
    endpoint.server.shutdown()
    endpoint.server.server_close()


def delivered(simulators: Simulators) -> list[dict[str, Any]]:
    """Wait until nothing is on its way any more; the deliveries."""
    found: list[dict[str, Any]] = simulators.event_grid.until(
        lambda deliveries: deliveries and all(one["state"] != "open" for one in deliveries), of="/_deliveries"
    )
    return found


def test_an_event_is_delivered_in_an_array_with_the_real_headers(simulators: Simulators, endpoint: Endpoint) -> None:
    """What arrives is the event in an array, as a notification for the subscription."""
    simulators.event_grid.post("/_subscriptions", {"name": "es1", "endpoint": endpoint.url})
    simulators.event_grid.post("/_publish", EVENT)
    assert delivered(simulators)[0]["state"] == "delivered"
    [(headers, body)] = endpoint.got
    assert body == [EVENT]
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert (headers["aeg-event-type"], headers["aeg-subscription-name"]) == ("Notification", "ES1")
    assert (headers["aeg-delivery-count"], headers["aeg-data-version"], headers["aeg-metadata-version"]) == (
        "0",
        "2",
        "1",
    )


def test_a_subscription_can_want_cloud_events(simulators: Simulators, endpoint: Endpoint) -> None:
    """The same event comes as one CloudEvent, and the endpoint was asked by OPTIONS."""
    subscription = {"name": "ce", "kind": "WebHook", "endpoint": endpoint.url, "schema": "CloudEventSchemaV1_0"}
    simulators.event_grid.post("/_subscriptions", subscription)
    simulators.event_grid.post("/_publish", [EVENT])
    delivered(simulators)
    [(headers, body)] = endpoint.got
    assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert (body["specversion"], body["source"], body["type"]) == ("1.0", EVENT["topic"], EVENT["eventType"])
    assert (body["time"], body["data"]) == (EVENT["eventTime"], EVENT["data"])


@pytest.mark.parametrize("schema", ["EventGridSchema", "CloudEventSchemaV1_0"])
def test_a_webhook_must_consent(simulators: Simulators, endpoint: Endpoint, schema: str) -> None:
    """Without the code, or the origin, there is no subscription."""
    endpoint.consents = False
    body = {"name": "no", "kind": "WebHook", "endpoint": endpoint.url, "schema": schema}
    answer = requests.post(f"{simulators.event_grid.url}/_subscriptions", json=body, timeout=5)
    assert answer.status_code == 400
    assert simulators.event_grid.state()["subscriptions"] == []


def test_only_included_types_are_delivered(simulators: Simulators, endpoint: Endpoint) -> None:
    """A subscription gets the types it names."""
    simulators.event_grid.post("/_subscriptions", {"name": "a", "endpoint": endpoint.url, "types": ["Other"]})
    assert simulators.event_grid.post("/_publish", EVENT) == {"deliveries": []}


def test_a_failed_delivery_is_tried_again(simulators: Simulators, endpoint: Endpoint) -> None:
    """500 and 503 are tried again, and the count of attempts goes up."""
    endpoint.answers = [500, 503]
    simulators.event_grid.post("/_subscriptions", {"name": "es", "endpoint": endpoint.url, "scale": 0.001})
    simulators.event_grid.post("/_publish", EVENT)
    [delivery] = delivered(simulators)
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 503, 200]
    assert [headers["aeg-delivery-count"] for headers, _body in endpoint.got] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("kind", "status", "state"),
    [
        ("AzureFunction", 400, "dropped"),
        ("AzureFunction", 403, "dropped"),
        ("AzureFunction", 413, "dropped"),
        ("AzureFunction", 401, "delivered"),
        ("AzureFunction", 404, "delivered"),
        ("WebHook", 401, "dropped"),
    ],
)
def test_some_answers_are_never_tried_again(
    simulators: Simulators, endpoint: Endpoint, kind: str, status: int, state: str
) -> None:
    """400, 403 and 413 lose the event at once; 401 only to a webhook."""
    endpoint.answers = [status]
    subscription = {"name": "es", "kind": kind, "endpoint": endpoint.url, "scale": 0.0001}
    simulators.event_grid.post("/_subscriptions", subscription)
    simulators.event_grid.post("/_publish", EVENT)
    assert delivered(simulators)[0]["state"] == state


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        ("EventGridSchema", ("deadLetterReason", "deliveryAttempts", "lastDeliveryOutcome")),
        ("CloudEventSchemaV1_0", ("deadletterreason", "deliveryattempts", "lastdeliveryoutcome")),
    ],
)
def test_what_is_given_up_becomes_a_dead_letter(
    simulators: Simulators, endpoint: Endpoint, azurite: str, schema: str, names: tuple[str, str, str]
) -> None:
    """The event stands in an array in the container, with why it is there in its schema's casing."""
    container, endpoint.answers = f"dead-{uuid.uuid4().hex[:8]}", [500, 500]
    simulators.event_grid.post(
        "/_subscriptions",
        {
            "name": "es",
            "endpoint": endpoint.url,
            "schema": schema,
            "scale": 0.001,
            "max_attempts": 2,
            "dead_letter": container,
        },
    )
    simulators.event_grid.post("/_publish", EVENT)
    assert delivered(simulators)[0]["state"] == "dead-lettered"
    blobs = BlobServiceClient.from_connection_string(azurite).get_container_client(container)
    [name] = [blob.name for blob in blobs.list_blobs()]
    [letter] = json.loads(blobs.download_blob(name).readall())
    assert name.startswith("ES/2")
    assert [letter[one] for one in names] == ["MaxDeliveryAttemptsExceeded", 2, "Aborted"]
    assert letter["id"] == EVENT["id"]


def test_an_endpoint_that_is_too_slow_or_away_is_tried_again(simulators: Simulators, endpoint: Endpoint) -> None:
    """No answer in time counts as 408, no connection as none."""
    gone = {"name": "gone", "endpoint": "http://127.0.0.1:9/", "scale": 0.0001, "max_attempts": 2}
    simulators.event_grid.post("/_subscriptions", gone)
    simulators.event_grid.post("/_publish", EVENT)
    [delivery] = delivered(simulators)
    assert [attempt["status"] for attempt in delivery["attempts"]] == [None, None]


def test_a_queue_gets_one_event_in_base64(simulators: Simulators, azurite: str) -> None:
    """A queue destination is a message with one event, not an array."""
    queue = QueueServiceClient.from_connection_string(azurite).create_queue(f"ml-{uuid.uuid4().hex[:8]}")
    subscription = {"name": "q", "kind": "StorageQueue", "endpoint": queue.queue_name}
    simulators.event_grid.post("/_subscriptions", subscription)
    simulators.event_grid.post("/_publish", EVENT)
    delivered(simulators)
    [message] = queue.receive_messages()
    assert json.loads(base64.b64decode(message.content)) == EVENT


def test_the_official_publisher_reaches_the_topic(simulators: Simulators) -> None:
    """azure-eventgrid publishes CloudEvents by token and Event Grid events by key."""
    url = f"{simulators.event_grid.url}/api/events"
    with EventGridPublisherClient(url, ManagedIdentityCredential()) as client:
        client.send(CloudEvent(source="reactor", type="ActionFailed", data={"step": "retrain"}))
    with EventGridPublisherClient(url, AzureKeyCredential(KEY)) as client:
        client.send([EventGridEvent(subject="a", event_type="ActionFailed", data={}, data_version="1")])
    received = simulators.event_grid.inbox()
    assert [one["schema"] for one in received] == ["CloudEventSchemaV1_0", "EventGridSchema"]
    assert received[0]["event"]["data"] == {"step": "retrain"}


def test_the_topic_refuses(simulators: Simulators) -> None:
    """A wrong key, a token for another service, another schema than its own, an event without a type."""
    url = f"{simulators.event_grid.url}/api/events"
    event: CloudEvent[Any] = CloudEvent(source="reactor", type="ActionFailed", data={})
    with EventGridPublisherClient(url, AzureKeyCredential("wrong")) as client, pytest.raises(ClientAuthenticationError):
        client.send(event)
    token = ManagedIdentityCredential().get_token("https://management.azure.com/.default").token
    answer = requests.post(url, json=[], headers={"Authorization": f"Bearer {token}"}, timeout=5)
    assert answer.status_code == 401
    untyped = {"id": "1", "source": "reactor", "specversion": "1.0"}
    headers = {"aeg-sas-key": KEY, "Content-Type": "application/cloudevents+json"}
    assert requests.post(url, json=untyped, headers=headers, timeout=5).status_code == 400
    assert requests.post(url, data=b"x" * 1_100_000, headers=headers, timeout=5).status_code == 413
    simulators.event_grid.seed(input_schema="EventGridSchema")
    with EventGridPublisherClient(url, AzureKeyCredential(KEY)) as client, pytest.raises(HttpResponseError):
        client.send(event)
    assert simulators.event_grid.inbox() == []
