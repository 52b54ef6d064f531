"""The simulated channels take what the real ones take, and refuse what they refuse."""

import base64
import hashlib
import hmac
import json
import smtplib
import time
import uuid
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any

import pytest
import requests
from azure.communication.email import EmailClient
from azure.core.exceptions import HttpResponseError
from azure.identity import ManagedIdentityCredential

from dev.simulators.channels import SECRET
from dev.simulators.channels.smtp import PASSWORD
from dev.simulators.remote import Simulators

TEAMS = "/workflows/oncall/triggers/manual/paths/invoke?api-version=2016-06-01&sp=run&sv=1.0&sig=s3cr3t"
CARD: dict[str, Any] = {
    "type": "message",
    "attachments": [
        {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock", "text": "drift"}]},
        }
    ],
}
MAIL: dict[str, Any] = {
    "senderAddress": "DoNotReply@contoso.com",
    "recipients": {"to": [{"address": "oncall@contoso.com"}]},
    "content": {"subject": "[fraud] RunFailed", "plainText": "it failed", "html": "<p>it failed</p>"},
}


def test_teams_takes_an_adaptive_card(simulators: Simulators) -> None:
    """A card in its envelope is a 202 without a body; anything else is refused with the reason."""
    url = simulators.channels.url + TEAMS
    accepted = requests.post(url, json=CARD, timeout=5)
    assert (accepted.status_code, accepted.content) == (202, b"")
    [received] = simulators.channels.inbox(channel="teams", name="oncall")
    assert received["cards"][0]["body"][0]["text"] == "drift"
    text = {"text": "the old connector's format"}
    assert requests.post(url, json=text, timeout=5).status_code == 400
    assert requests.post(url, data="{", timeout=5).status_code == 400
    assert requests.post(url.replace("sig=", "x="), json=CARD, timeout=5).status_code == 401
    huge = {**CARD, "attachments": CARD["attachments"] * 200}
    assert requests.post(url, json=huge, timeout=5).status_code == 413


def test_slack_answers_in_plain_text(simulators: Simulators) -> None:
    """A message is "ok"; what is none is named; a throttled one has a Retry-After."""
    url = simulators.channels.url + "/services/T0/B0/secret"
    simulators.channels.fault("throttle", retry_after=3, path="/services/")
    throttled = requests.post(url, json={"text": "drift"}, timeout=5)
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "3")
    answers = [
        requests.post(url, json={"text": "drift"}, timeout=5),
        requests.post(url, data={"payload": json.dumps({"text": "form"})}, timeout=5),
        requests.post(url, data="{", timeout=5),
        requests.post(url, json={}, timeout=5),
    ]
    assert [answer.text for answer in answers] == ["ok", "ok", "invalid_payload", "no_text"]
    assert [one["text"] for one in simulators.channels.inbox(channel="slack")] == ["drift", "form"]


def signed(body: bytes, *, secret: str = SECRET, stamp: int | None = None) -> dict[str, str]:
    """Sign a body as the specification of Standard Webhooks says."""
    stamp = int(time.time()) if stamp is None else stamp
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, b"msg_1." + str(stamp).encode() + b"." + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": str(stamp), "webhook-signature": f"v1,bm90 {signature}"}


def test_the_webhook_verifies_signatures(simulators: Simulators) -> None:
    """Only the right secret, over this very body, within five minutes."""
    url, body = simulators.channels.url + "/hooks/tickets", b'{"kind": "DriftDetected"}'
    other = "whsec_" + base64.b64encode(b"another secret").decode()
    given = [signed(body), signed(b"{}"), signed(body, secret=other), signed(body, stamp=1_000_000_000), {}]
    assert [requests.post(url, data=body, headers=one, timeout=5).status_code for one in given] == [
        204,
        401,
        401,
        401,
        401,
    ]
    [received] = simulators.channels.inbox(channel="webhook")
    assert (received["id"], received["body"]) == ("msg_1", body.decode())
    simulators.channels.seed(secrets={"tickets": other})
    assert requests.post(url, data=body, headers=signed(body, secret=other), timeout=5).status_code == 204


def test_the_official_client_sends_a_mail(simulators: Simulators) -> None:
    """azure-communication-email signs in as the app does, sends, and follows the operation to its end."""
    with EmailClient(simulators.channels.url, ManagedIdentityCredential()) as client:
        result = client.begin_send(MAIL).result()
        assert result["status"] == "Succeeded"
        with pytest.raises(HttpResponseError):
            client.begin_send(MAIL | {"content": {"subject": "no text"}})
    [received] = simulators.channels.inbox(channel="mail")
    assert (received["to"], received["subject"]) == (["oncall@contoso.com"], "[fraud] RunFailed")
    assert (received["text"], received["html"]) == ("it failed", "<p>it failed</p>")


def send(
    simulators: Simulators, body: Any, *, audience: str = "communication.azure.com", **headers: str
) -> requests.Response:
    """Send a mail by a plain request."""
    token = ManagedIdentityCredential().get_token(f"https://{audience}/.default").token
    headers = {"Authorization": f"Bearer {token}", **headers}
    url = f"{simulators.channels.url}/emails:send?api-version=2023-03-31"
    return requests.post(url, json=body, headers=headers, timeout=5)


def test_a_repeated_mail_is_sent_once(simulators: Simulators) -> None:
    """The same ids and body are answered again and not sent again; another body under them is refused."""
    operation, repeat = str(uuid.uuid4()), str(uuid.uuid4())
    now = formatdate(usegmt=True)
    by_operation = [send(simulators, MAIL, **{"Operation-Id": operation}) for _ in range(2)]
    assert [one.json()["id"] for one in by_operation] == [operation, operation]
    assert operation in by_operation[0].headers["Operation-Location"]
    ids = {"Repeatability-Request-Id": repeat, "Repeatability-First-Sent": now}
    assert [send(simulators, MAIL, **ids).status_code for _ in range(2)] == [202, 202]
    assert len(simulators.channels.inbox(channel="mail")) == 2
    assert send(simulators, MAIL | {"headers": {}}, **ids).status_code == 400
    old = ids | {"Repeatability-First-Sent": formatdate(time.time() - 600, usegmt=True)}
    assert send(simulators, MAIL, **old).status_code == 412


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "at the top"},
        {"recipients": {"to": []}},
        {"recipients": {"to": [{"address": "nobody"}]}},
        {"recipients": {"to": [{"email": "a@b.example"}]}},
        {"content": {"plainText": "no subject"}},
        {"senderAddress": None},
    ],
)
def test_a_mail_is_refused(simulators: Simulators, change: dict[str, Any]) -> None:
    """An unknown or missing member, or nobody to send it to."""
    assert send(simulators, MAIL | change).status_code == 400
    assert simulators.channels.inbox() == []


def test_mail_needs_its_own_token_and_a_known_sender(simulators: Simulators) -> None:
    """A token for ARM is refused, as is a sender whose domain is not linked."""
    assert send(simulators, MAIL, audience="management.azure.com").status_code == 401
    simulators.channels.seed(senders=["other@contoso.com"])
    assert send(simulators, MAIL).json()["error"]["code"] == "DomainNotLinked"


def mail() -> EmailMessage:
    """Write a mail in two bodies."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "reactor@contoso.com", "oncall@contoso.com", "Drift, größer"
    message.set_content("it drifted")
    message.add_alternative("<p>it drifted</p>", subtype="html")
    return message


def test_smtplib_delivers_to_the_same_inbox(simulators: Simulators) -> None:
    """A mail by SMTP, signed in or not, stands in the inbox with both bodies."""
    host, port = simulators.smtp.split(":")
    for name, password in (("", ""), ("reactor", PASSWORD)):
        with smtplib.SMTP(host, int(port), timeout=5) as server:
            if name:
                server.login(name, password)
            server.send_message(mail())
    received = simulators.channels.inbox(channel="smtp")
    assert len(received) == 2
    assert (received[0]["to"], received[0]["subject"]) == (["oncall@contoso.com"], "Drift, größer")
    assert (received[0]["text"].strip(), received[0]["html"].strip()) == ("it drifted", "<p>it drifted</p>")
    with smtplib.SMTP(host, int(port), timeout=5) as server, pytest.raises(smtplib.SMTPAuthenticationError):
        server.login("reactor", "wrong")


def test_smtp_fails_as_told(simulators: Simulators) -> None:
    """Throttled, refused for good, and a lost reply whose mail arrived all the same."""
    host, port = simulators.smtp.split(":")
    simulators.channels.fault("throttle", method="SMTP")
    simulators.channels.fault("error", method="SMTP", status=554, body="No")
    simulators.channels.fault("lost_reply", method="SMTP")
    codes = []
    for _ in range(2):
        with smtplib.SMTP(host, int(port), timeout=5) as server:
            with pytest.raises(smtplib.SMTPDataError) as refused:
                server.send_message(mail())
            codes.append(refused.value.smtp_code)
    assert codes == [451, 554]
    server = smtplib.SMTP(host, int(port), timeout=5)
    with pytest.raises(smtplib.SMTPServerDisconnected):
        server.send_message(mail())
    assert len(simulators.channels.inbox(channel="smtp")) == 1
    assert [one["fault"] for one in simulators.channels.seen("SMTP")] == ["throttle", "error", "lost_reply"]
