"""Where alerts go: mail, chat, signed webhooks, queues. Sent once, never repeated here.

A receiver can recognise a repeated message: a webhook by its `webhook-id`, a mail by its `Message-ID`; Azure
Communication Services refuses nothing, but tells what it did under the id that we gave it.
"""

import base64
import binascii
import hashlib
import hmac
import json
import smtplib
import ssl
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from shared.answers import host_of
from shared.clients.rest import Rest, Said
from shared.errors import PermanentError, TemporaryError, UnansweredError
from shared.redaction import tidy
from shared.storage.account import ONCE
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.core.credentials import TokenCredential
    from azure.storage.queue import QueueClient

    from shared.storage.account import Account

EMAIL_API_VERSION = "2023-03-31"
EMAIL_SCOPE = "https://communication.azure.com/.default"
SMTP_SECONDS = 30.0
"""One exchange with a mail server."""
LONGEST_CARD_TEXT = 8_000
"""Characters; Teams refuses messages beyond 28 KB."""
LONGEST_SLACK_TEXT = 2_900
"""Characters; Slack refuses a section beyond 3,000, and a header beyond 150."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What an alert says, whatever it travels by."""

    key: str
    """32 hex digits; the same for a repeated message."""
    title: str
    text: str
    link: str
    """An https URL, or ""."""
    severity: str
    """info, warning or error."""
    kind: str
    """What happened, such as "DriftDetected"."""
    source: str
    """Where it happened."""

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What is shown below the text."""
        return (("Kind", self.kind), ("Source", self.source), ("Severity", self.severity))


class _MailError(BaseModel):
    message: Said | None = None


class _MailOperation(BaseModel):
    status: Said = Field(min_length=1)
    error: _MailError | None = None


class Channels:
    """Sends messages by each kind of channel; every secret in the arguments is the real one."""

    def __init__(self, credential: "Callable[[], TokenCredential]", account: "Account") -> None:
        self._credential = credential
        self._account = account

    # -- chat -------------------------------------------------------------------------------------------------------

    def teams(self, url: str, message: Message) -> None:
        """Post an Adaptive Card 1.4 to a Teams Workflows webhook.

        https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
        """
        self._chat("Teams").send("POST", url, body=adaptive_card(message), effect="start")

    def slack(self, url: str, message: Message) -> None:
        """Post to a Slack incoming webhook. https://api.slack.com/messaging/webhooks"""
        self._chat("Slack").send("POST", url, body=slack_blocks(message), effect="start")

    # -- webhooks and queues ----------------------------------------------------------------------------------------

    def webhook(
        self, url: str, key: str, body: Any, *, secret: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Post JSON with an id derived from `key`; signed as Standard Webhooks says where there is a secret.

        https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
        """
        content = json.dumps(body, ensure_ascii=False).encode()
        sent = {"Content-Type": "application/json"} | dict(headers or {})
        sent |= {"webhook-id": f"msg_{key}", "webhook-timestamp": str(int(time.time()))}
        if secret:
            sent["webhook-signature"] = signature(secret, sent["webhook-id"], sent["webhook-timestamp"], content)
        self._chat("the webhook").send("POST", url, body=content, headers=sent, effect="start")

    def queue(self, url: str, body: Any) -> None:
        """Send JSON to a storage queue: by the app's own connection, by a SAS in the URL, or by its identity.

        https://learn.microsoft.com/rest/api/storageservices/put-message
        """
        with translated("the queue", "start"):
            self._queue_client(url).send_message(json.dumps(body, ensure_ascii=False), time_to_live=-1)

    def _queue_client(self, url: str) -> "QueueClient":
        from azure.storage.queue import QueueClient

        own = self._account.queues
        if (name := url.removeprefix(own.url.rstrip("/") + "/")) != url:
            return own.get_queue_client(name)
        if not url.lower().startswith("https://"):
            raise PermanentError(f"the queue at {host_of(url)} must be reached by https", remedy="use the https URL")
        return QueueClient.from_queue_url(url, None if "sig=" in url else self._credential(), **ONCE)

    # -- mail -------------------------------------------------------------------------------------------------------

    def email(self, endpoint: str, sender: str, to: Sequence[str], message: Message) -> None:
        """Hand a mail to Azure Communication Services, under an operation id derived from the message's key.

        https://learn.microsoft.com/rest/api/communication/email/email/send
        """
        operation = _operation(message.key)
        body = {
            "senderAddress": sender,
            "content": {"subject": subject(message), "plainText": plain(message), "html": html(message)},
            "recipients": {"to": [{"address": address} for address in to]},
        }
        headers = {"Operation-Id": operation, "x-ms-client-request-id": operation}
        url = f"{endpoint.rstrip('/')}/emails:send?api-version={EMAIL_API_VERSION}"
        self._mail.send("POST", url, body=body, headers=headers, effect="start")

    def email_status(self, endpoint: str, key: str) -> str:
        """Tell what became of the mail of this key: "", NotStarted, Running, Succeeded; PermanentError where it failed.

        https://learn.microsoft.com/rest/api/communication/email/email/get-send-result
        """
        url = f"{endpoint.rstrip('/')}/emails/operations/{_operation(key)}?api-version={EMAIL_API_VERSION}"
        if (answer := self._mail.find(url)) is None:
            return ""
        found = answer.read(_MailOperation)
        if found.status in {"Failed", "Canceled"}:
            reason = (found.error and found.error.message) or "no reason given"
            raise PermanentError(f"the mail could not be sent: {reason}")
        return found.status

    def smtp(
        self,
        host: str,
        port: int,
        sender: str,
        to: Sequence[str],
        message: Message,
        *,
        security: Literal["starttls", "tls", "none"] = "starttls",
        user: str = "",
        password: str = "",
    ) -> int:
        """Send a mail by SMTP and return how many recipients the server refused, fewer than all.

        A password never travels in the clear.
        """
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = subject(message), sender, ", ".join(to)
        mail["Message-ID"] = f"<{message.key}@ml-reactor>"
        mail.set_content(plain(message))
        mail.add_alternative(html(message), subtype="html")
        if user and security == "none":
            raise PermanentError("a password is never sent in the clear", remedy="set security: starttls or tls")
        with _mail_errors(), _mail_server(host, port, security) as server:
            if security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if user:
                server.login(user, password)
            return len(server.send_message(mail))

    @cached_property
    def _mail(self) -> Rest:
        return Rest("Communication Services", self._credential, EMAIL_SCOPE)

    def _chat(self, service: str) -> Rest:
        if service not in self._chats:
            self._chats[service] = Rest(service)
        return self._chats[service]

    @cached_property
    def _chats(self) -> dict[str, Rest]:
        return {}


# -- what is written --------------------------------------------------------------------------------------------------


def subject(message: Message) -> str:
    """Write a mail's subject: one line, with the kind and the short name of the source."""
    title = " ".join(message.title.split())
    parts = [part for part in (message.kind, message.source.rpartition("/")[2]) if part and part not in title]
    return " · ".join([title[:180], *parts])


def plain(message: Message) -> str:
    """Write a mail's text body."""
    facts = "\n".join(f"{name}: {value}" for name, value in message.facts)
    return "\n\n".join(part for part in (message.text, facts, message.link) if part) + "\n"


def html(message: Message) -> str:
    """Write a mail's HTML body; everything that was said is escaped."""
    paragraphs = "".join(f"<p>{escape(part)}</p>" for part in message.text.split("\n\n") if part.strip())
    rows = "".join(
        f"<tr><th align='left'>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in message.facts
    )
    link = f'<p><a href="{escape(message.link)}">{escape(message.link)}</a></p>' if _is_web(message.link) else ""
    title = escape(subject(message))
    return f"<!doctype html><html><body><h2>{title}</h2>{paragraphs}<table>{rows}</table>{link}</body></html>"


def adaptive_card(message: Message) -> dict[str, Any]:
    """Write a Teams message. https://adaptivecards.io/explorer/AdaptiveCard.html"""
    color = {"error": "Attention", "warning": "Warning"}.get(message.severity, "Default")
    body: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "text": _unlinked(subject(message)),
            "weight": "Bolder",
            "size": "Medium",
            "wrap": True,
            "color": color,
        },
        {"type": "TextBlock", "text": _unlinked(message.text[:LONGEST_CARD_TEXT]), "wrap": True},
        {"type": "FactSet", "facts": [{"title": name, "value": value} for name, value in message.facts]},
    ]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [block for block in body if block.get("text", "-")],
    }
    if _is_web(message.link):
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": message.link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def slack_blocks(message: Message) -> dict[str, Any]:
    """Write a Slack message. https://api.slack.com/reference/block-kit/blocks"""
    facts = " · ".join(f"*{name}* {_mrkdwn(value)}" for name, value in message.facts if value)
    link = f"\n<{_mrkdwn(message.link)}|Open>" if _is_web(message.link) else ""
    return {
        "text": _mrkdwn(subject(message)),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": subject(message)[:150]}},
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": _mrkdwn(message.text)[:LONGEST_SLACK_TEXT] + link or "-"},
            },
            {"type": "context", "elements": [{"type": "mrkdwn", "text": facts[:LONGEST_SLACK_TEXT]}]},
        ],
    }


def signature(secret: str, message_id: str, timestamp: str, content: bytes) -> str:
    """Sign as Standard Webhooks says; `secret` is base64, with or without "whsec_" before it."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        remedy = 'set it to "whsec_" and 24 to 64 random bytes in base64'
        raise PermanentError("the webhook's secret is not base64", remedy=remedy)
    signed = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + content, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def _mrkdwn(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _unlinked(text: str) -> str:
    """Take the links out of Markdown: what an event or a person wrote shows where it leads."""
    return text.replace("](", "] (")


def _is_web(link: str) -> bool:
    return link.lower().startswith(("https://", "http://"))


def _operation(key: str) -> str:
    return str(uuid.UUID(hex=key))


def _mail_server(host: str, port: int, security: str) -> smtplib.SMTP:
    """Connect; nothing has been sent where this fails."""
    try:
        if security == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=SMTP_SECONDS, context=ssl.create_default_context())
        return smtplib.SMTP(host, port, timeout=SMTP_SECONDS)
    except (OSError, smtplib.SMTPException) as problem:
        raise TemporaryError(f"the mail server cannot be reached: {type(problem).__name__}") from None


@contextmanager
def _mail_errors() -> "Iterator[None]":
    """Translate what a mail server says, and what it does not say any more."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as problem:
        raise PermanentError(
            f"the mail server refused the user: {problem.smtp_code}", remedy="check user and password"
        ) from None
    except smtplib.SMTPRecipientsRefused as problem:
        codes = {code for code, _ in problem.recipients.values()}
        words = f"the mail server refused every recipient: {', '.join(map(str, sorted(codes)))}"
        raise (TemporaryError if all(code < 500 for code in codes) else PermanentError)(words) from None
    except smtplib.SMTPResponseException as problem:
        said = problem.smtp_error.decode("utf-8", "replace") if isinstance(problem.smtp_error, bytes) else ""
        words = f"the mail server answered {problem.smtp_code} {tidy(said)}"
        raise (TemporaryError if problem.smtp_code < 500 else PermanentError)(words) from None
    except smtplib.SMTPNotSupportedError as problem:
        raise PermanentError(
            f"the mail server cannot do that: {tidy(str(problem))}", remedy="check starttls, user and port"
        ) from None
    except ssl.SSLError as problem:
        raise TemporaryError(f"no safe connection to the mail server: {tidy(str(problem.reason))}") from None
    except (OSError, smtplib.SMTPException) as problem:
        raise UnansweredError(
            f"the mail server went away ({type(problem).__name__}); the mail may have been sent"
        ) from None
