"""alert and forward over the wire: every kind of channel, against the simulated services."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from azure.storage.queue import QueueServiceClient

from dev.simulators.channels import SECRET
from dev.simulators.event_grid import KEY
from dev.simulators.remote import Simulators
from shared.clients.channels import Message, adaptive_card, html, signature, slack_blocks, subject
from shared.errors import PermanentError, TemporaryError, UnansweredError
from shared.handlers import alert
from shared.rules.declared import Declared, Smtp
from tests.integration.stages import Bench, clients_of, event_of

EVENTS = Path(__file__).parents[1] / "events"
WORKSPACE = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers/"
    "Microsoft.MachineLearningServices/workspaces/fraud"
)
SAYS = {
    "title": "Drift <b>",
    "text": "Retrain & check\n\nsoon",
    "link": "https://ml.azure.com/?a=1&b=2",
    "severity": "error",
}


@pytest.fixture
def make(simulators: Simulators, azurite: str) -> Callable[..., Bench]:
    """Declare every kind of channel, secrets as settings, and answer a monitor's breach."""
    base, (host, port) = simulators.channels.url, simulators.smtp.split(":")
    queues = QueueServiceClient.from_connection_string(azurite)
    channels: dict[str, Any] = {
        "mail": {
            "kind": "email",
            "to": ["a@example.com", "b@example.com"],
            "endpoint": base,
            "sender": "r@example.com",
        },
        "smtp": {
            "kind": "smtp",
            "to": ["a@example.com"],
            "host": host,
            "port": port,
            "sender": "r@example.com",
            "security": "none",
        },
        "teams": {"kind": "teams", "url": "${TEAMS_URL}"},
        "slack": {"kind": "slack", "url": f"{base}/services/T0/B0/secret"},
        "hook": {"kind": "webhook", "url": f"{base}/hooks/a", "secret": "${HOOK_SECRET}"},
        "topic": {"kind": "event_grid", "endpoint": f"{simulators.event_grid.url}/api/events", "key": KEY},
        "topic-by-identity": {"kind": "event_grid", "endpoint": f"{simulators.event_grid.url}/api/events"},
        "queue": {"kind": "queue", "url": f"{queues.url.rstrip('/')}/forwarded"},
        "owners": {"kind": "route", "by": "run.experiment", "begins_with": {"Cred": "slack"}, "otherwise": "smtp"},
        "strict": {"kind": "route", "by": "model.name", "begins_with": {"credit": "slack"}},
        "loop": {"kind": "route", "by": "subject", "begins_with": {"e": "loop"}},
    }
    values = {"TEAMS_URL": f"{base}/workflows/w/triggers/manual/paths/invoke?sig=secret", "HOOK_SECRET": SECRET}

    def make(event: str = "monitor_breach.json") -> Bench:
        text = (EVENTS / event).read_text("utf-8")
        declared = Declared.model_validate({"channels": channels})
        return Bench(clients_of(simulators, azurite), declared, event_of(text), values)

    return make


def test_mail_by_communication_services(make: Callable[..., Bench], simulators: Simulators) -> None:
    """Recipients, a subject with kind and source, text and HTML with the link; it is watched until it went out."""
    simulators.channels.seed(mail_seconds=0.3)
    told = make().run("alert", channel="mail", **SAYS)
    (mail,) = simulators.channels.inbox(channel="mail")
    assert mail["to"] == ["a@example.com", "b@example.com"]
    assert "DriftDetected" in mail["subject"]
    assert "fraud" in mail["subject"]
    assert SAYS["link"] in mail["text"]
    assert 'href="https://ml.azure.com/?a=1&amp;b=2"' in mail["html"]
    assert "Drift &lt;b&gt;" in mail["html"]
    assert "Retrain &amp; check" in mail["html"]
    assert told.notes[0] == "mail is Running"
    assert told.notes[-1] == "sent by email"


@pytest.mark.guarantee(3)
def test_a_mail_whose_reply_was_lost_is_not_sent_twice(make: Callable[..., Bench], simulators: Simulators) -> None:
    """Its operation is found under the id that we gave it."""
    simulators.channels.fault("lost_reply", method="POST", path="emails:send")
    told = make().run("alert", channel="mail", **SAYS)
    assert len(simulators.channels.inbox(channel="mail")) == 1
    assert "may have been started" in told.troubles[0]


def test_a_mail_that_is_dropped_fails(make: Callable[..., Bench], simulators: Simulators) -> None:
    """A mail that the service gives up on is a permanent failure, in its words."""
    simulators.channels.seed(mail_seconds=0, mail_outcome="Failed")
    with pytest.raises(PermanentError, match="dropped"):
        make().run("alert", channel="mail", **SAYS)


def test_mail_by_smtp(make: Callable[..., Bench], simulators: Simulators) -> None:
    """The same message by a mail server, with an id by which a repeated one can be told."""
    bench = make()
    bench.run("alert", channel="smtp", **SAYS)
    (mail,) = simulators.channels.inbox(channel="smtp")
    assert mail["to"] == ["a@example.com"]
    assert "DriftDetected" in mail["subject"]
    assert SAYS["link"] in mail["text"]
    assert "Retrain &amp; check" in mail["html"]
    assert bench.key in mail["headers"]["Message-ID"]


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("throttle", TemporaryError),
        ("unavailable", TemporaryError),
        ("error", PermanentError),
        ("drop", UnansweredError),
    ],
)
def test_what_a_mail_server_says_is_translated(
    kind: str, word: type[Exception], make: Callable[..., Bench], simulators: Simulators
) -> None:
    """4xx is temporary, 5xx permanent, and a connection that breaks off may have sent the mail."""
    simulators.channels.fault(kind, method="SMTP", status=550)
    bench = make()
    with pytest.raises(word) as caught:
        bench.clients.channels.smtp(
            "127.0.0.1",
            int(simulators.smtp.split(":")[1]),
            "r@example.com",
            ["a@example.com"],
            MESSAGE,
            security="none",
        )
    assert type(caught.value) is word


def test_refused_recipients_are_told(make: Callable[..., Bench]) -> None:
    """A mail that some recipients do not get is sent, and the record says that some do not get it."""

    class Choosy:
        async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
            self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
        ) -> str:
            if address.startswith("b@"):
                return "550 No such user"
            envelope.rcpt_tos.append(address)
            return "250 OK"

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(Choosy(), hostname="127.0.0.1", port=port)
    server.start()
    try:
        bench = make()
        smtp = bench.declared.channels["smtp"]
        assert isinstance(smtp, Smtp)
        choosy = smtp.model_copy(update={"to": ["a@example.com", "b@example.com"], "port": port})
        bench.declared = Declared(channels={"smtp": choosy})
        told = bench.run("alert", channel="smtp", **SAYS)
    finally:
        server.stop()
    assert told.notes == ["sent by smtp, but the server refused 1 of 2 recipients"]


@pytest.mark.parametrize("body", ["[]", '{"status": 7}', '{"error": "x"}', "{}", "no JSON"])
def test_a_mail_status_that_cannot_be_read_is_asked_for_again(
    body: str, make: Callable[..., Bench], simulators: Simulators
) -> None:
    """A mail whose status is nonsense is not taken for one that was never sent."""
    simulators.channels.fault("error", method="GET", path="emails/operations", status=200, body=body)
    bench = make()
    with pytest.raises(TemporaryError):
        bench.clients.channels.email_status(simulators.channels.url, bench.key)


@pytest.mark.guarantee(7)
@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a/q?sig=x", "http://a.queue.core.windows.net/q", "q"])
def test_a_queue_is_reached_by_https(url: str, make: Callable[..., Bench]) -> None:
    """Nothing is sent in the clear but to the app's own account, which only in the emulator is in the clear."""
    with pytest.raises(PermanentError, match="by https"):
        make().clients.channels.queue(url, {})


def test_a_mail_server_that_is_away_is_temporary(make: Callable[..., Bench]) -> None:
    """No connection, no mail; and a password never goes out in the clear."""
    channels = make().clients.channels
    with pytest.raises(TemporaryError, match="cannot be reached"):
        channels.smtp("127.0.0.1", 1, "r@example.com", ["a@example.com"], MESSAGE, security="none")
    with pytest.raises(PermanentError, match="in the clear"):
        channels.smtp(
            "127.0.0.1", 1, "r@example.com", ["a@example.com"], MESSAGE, security="none", user="u", password="p"
        )


def test_a_teams_card(make: Callable[..., Bench], simulators: Simulators) -> None:
    """A Workflows webhook gets an Adaptive Card with a button."""
    make().run("alert", channel="teams", **SAYS)
    (message,) = simulators.channels.inbox(channel="teams")
    (card,) = message["cards"]
    assert card["version"] == "1.4"
    assert card["actions"][0]["url"] == SAYS["link"]


def test_a_slack_message(make: Callable[..., Bench], simulators: Simulators) -> None:
    """Slack gets blocks, with its three special characters escaped."""
    make().run("alert", channel="slack", **SAYS)
    (message,) = simulators.channels.inbox(channel="slack")
    assert "Drift &lt;b&gt;" in message["text"]


def test_a_signed_webhook(make: Callable[..., Bench], simulators: Simulators) -> None:
    """A webhook's signature is verified by its receiver, and its id is the step's."""
    bench = make()
    bench.run("alert", channel="hook", **SAYS)
    (message,) = simulators.channels.inbox(channel="webhook")
    assert message["id"] == f"msg_{bench.key}"
    assert json.loads(message["body"])["data"]["kind"] == "DriftDetected"


@pytest.mark.parametrize("channel", ["topic", "topic-by-identity"])
def test_an_event_grid_topic(channel: str, make: Callable[..., Bench], simulators: Simulators) -> None:
    """A custom topic gets a CloudEvent, by key or by token."""
    bench = make()
    bench.run("alert", channel=channel, **SAYS)
    (entry,) = simulators.event_grid.get("/_inbox")
    assert entry["schema"] == "CloudEventSchemaV1_0"
    assert entry["event"]["id"] == bench.key
    assert entry["event"]["data"]["title"] == SAYS["title"]


def test_event_grid_is_asked_once(make: Callable[..., Bench], simulators: Simulators) -> None:
    """The official client repeats nothing of its own accord: a failure goes up after one request."""
    simulators.event_grid.fault("unavailable", n=9)
    with pytest.raises(UnansweredError, match="503"):
        alert.send(alert.Alert(channel="topic", title="t", text="x"), make().job())
    assert len(simulators.event_grid.seen("POST", "/api/events")) == 1


def test_a_route_picks_by_a_field(make: Callable[..., Bench], simulators: Simulators) -> None:
    """The first prefix that fits, ignoring case; where the event lacks the field, the other way."""
    make().run("alert", channel="owners", **SAYS)
    assert len(simulators.channels.inbox(channel="slack")) == 1
    make("model_registered.json").run("alert", channel="owners", **SAYS)
    assert len(simulators.channels.inbox(channel="smtp")) == 1


def test_a_route_that_leads_nowhere_fails(make: Callable[..., Bench]) -> None:
    """Without an `otherwise`, or to another route, it is a permanent failure that says which."""
    with pytest.raises(PermanentError, match=r"leads nowhere for the model\.name of this event"):
        make().run("alert", channel="strict", **SAYS)
    with pytest.raises(PermanentError, match="leads to a route"):
        make().run("alert", channel="loop", **SAYS)


def test_an_alert_without_words_names_kind_and_subject(make: Callable[..., Bench], simulators: Simulators) -> None:
    """The defaults say what happened where."""
    make("model_registered.json").run("alert", channel="slack")
    (message,) = simulators.channels.inbox(channel="slack")
    assert "ModelRegistered: models/fraud-gbm:12" in message["text"]


# -- forward ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["model_registered.json", "model_registered_cloud.json"])
def test_an_event_is_forwarded_untouched(event: str, make: Callable[..., Bench], simulators: Simulators) -> None:
    """From either envelope a topic gets a CloudEvent with the wire's own data, id, source and type."""
    make(event).run("forward", to="topic")
    (entry,) = simulators.event_grid.get("/_inbox")
    wire = json.loads((EVENTS / event).read_text("utf-8"))
    wire = wire[0] if isinstance(wire, list) else wire
    assert entry["event"]["data"] == wire["data"]
    assert entry["event"]["id"] == wire["id"]
    assert entry["event"]["type"] == "Microsoft.MachineLearningServices.ModelRegistered"
    assert entry["event"]["source"].lower() == WORKSPACE.lower()
    assert entry["event"]["subject"] == "models/fraud-gbm:12"


def test_an_event_is_forwarded_to_a_webhook_and_a_queue(
    make: Callable[..., Bench], simulators: Simulators, azurite: str
) -> None:
    """Both get the CloudEvent as JSON; the webhook's is signed."""
    queue = QueueServiceClient.from_connection_string(azurite).create_queue("forwarded")
    bench = make("vision_training_completed.json")
    for channel in ("hook", "queue"):
        bench.run("forward", to=channel)
    (message,) = simulators.channels.inbox(channel="webhook")
    assert message["content_type"] == "application/cloudevents+json"
    (queued,) = queue.receive_messages()
    received = [json.loads(message["body"]), json.loads(queued.content)]
    for event in received:
        assert event["data"] == json.loads((EVENTS / "vision_training_completed.json").read_text("utf-8"))["Content"]
        assert event["id"] == bench.event.key


def test_a_notification_that_comes_again_later_has_another_id(
    make: Callable[..., Bench], simulators: Simulators
) -> None:
    """A notification without an id is told by its record: one that counts as new is new to the receiver as well."""
    bench = make("vision_training_completed.json")
    bench.event_key = "of the second record"
    assert bench.run("forward", to="topic").result["id"] == "of the second record"
    (entry,) = simulators.event_grid.get("/_inbox")
    assert entry["event"]["id"] == "of the second record"


def test_chat_takes_no_events(make: Callable[..., Bench]) -> None:
    """An event is forwarded to machines only."""
    with pytest.raises(PermanentError, match="takes no events"):
        make().run("forward", to="slack")


# -- what is written --------------------------------------------------------------------------------------------------

MESSAGE = Message(
    key="0" * 32,
    title="a\r\nBcc: x@example.com",
    text="",
    link="javascript:alert(1)",
    severity="info",
    kind="K",
    source="/w/s",
)


def test_a_title_never_breaks_a_header() -> None:
    """A line break in a title does not make a header of its own."""
    assert subject(MESSAGE) == "a Bcc: x@example.com · K · s"


def test_a_link_that_is_no_web_address_is_not_a_link() -> None:
    """What is no http URL never becomes something to click."""
    assert "javascript" not in html(MESSAGE)
    assert "actions" not in adaptive_card(MESSAGE)
    assert "javascript" not in json.dumps(slack_blocks(MESSAGE))


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the Standard Webhooks libraries comes out the same."""
    secret, message_id = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    signed = signature(secret, message_id, "1614265330", b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    with pytest.raises(PermanentError, match="not base64"):
        signature("no base64!", message_id, "1", b"")
