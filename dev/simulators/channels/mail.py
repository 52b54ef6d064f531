"""Communication Services e-mail, api-version 2023-03-31.

Facts: https://learn.microsoft.com/rest/api/communication/email/send and …/repeatable-requests: a repetition under the
same Repeatability-Request-Id within 5 minutes is not sent again, with another body it is a 400, later a 412.
Not settled there, and decided here: a second send under a known Operation-Id is answered as the first, and not sent.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from dev.simulators.channels.chat import Receive
from dev.simulators.wire import Answer, RefusedError, Request, now

ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
TRACKED = timedelta(minutes=5)
RECIPIENT = frozenset({"address", "displayName"})
MEMBERS: Mapping[str, Mapping[str, Any]] = {
    "": {"senderAddress": str, "content": dict, "recipients": dict, "attachments": list, "headers": dict,
         "replyTo": list, "userEngagementTrackingDisabled": bool},
    "content": {"subject": str, "plainText": str, "html": str},
    "recipients": {"to": list, "cc": list, "bcc": list},
}  # fmt: skip
REQUIRED = {"": ("senderAddress", "content", "recipients"), "content": ("subject",), "recipients": ()}


@dataclass(frozen=True)
class Sent:
    """One mail under way."""

    operation: str
    body: bytes
    seconds: float
    outcome: str
    at: datetime = field(default_factory=now)

    def status(self) -> str:
        """How it is doing."""
        return "Running" if now() < self.at + timedelta(seconds=self.seconds) else self.outcome


class Mail:
    """The mails of one resource."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._sent: dict[str, Sent] = {}
        self._repeatable: dict[str, Sent] = {}
        self.clear()

    def clear(self) -> None:
        """Forget them."""
        self._sent.clear()
        self._repeatable.clear()
        self._senders: set[str] = set()
        self._seconds, self._outcome = 0.2, "Succeeded"

    def seed(self, given: Mapping[str, Any]) -> None:
        """Which senders are verified (none given: all), how long a mail takes and what comes of it."""
        self._senders.update(one.lower() for one in given.get("senders", ()))
        self._seconds = float(given.get("mail_seconds", self._seconds))
        self._outcome = given.get("mail_outcome", self._outcome)

    def state(self) -> Any:
        """Every mail's status by its operation."""
        return {operation: sent.status() for operation, sent in self._sent.items()}

    def send(self, request: Request) -> Answer:
        """Accept a mail: 202 and where to follow it."""
        if known := self._repeated(request):
            return accepted(request, known)
        body = checked(request)
        if self._senders and body["senderAddress"].lower() not in self._senders:
            raise refuse(404, "DomainNotLinked", "The specified sender domain has not been linked.")
        operation = operation_id(request)
        sent = Sent(operation, request.body, self._seconds, self._outcome)
        self._sent[operation] = sent
        if repeatability := request.headers.get("repeatability-request-id"):
            self._repeatable[repeatability.lower()] = sent
        if self._outcome == "Succeeded":
            self._receive(
                "mail",
                sender=body["senderAddress"],
                to=[one["address"] for kind in ("to", "cc", "bcc") for one in body["recipients"].get(kind, ())],
                subject=body["content"]["subject"],
                text=body["content"].get("plainText", ""),
                html=body["content"].get("html", ""),
                body=body,
            )
        return accepted(request, sent)

    def operation(self, request: Request) -> Answer:
        """How a mail is doing."""
        sent = self._sent.get(request.parts["operation"].lower())
        if sent is None:
            raise refuse(404, "NotFound", "The operation was not found.")
        body: dict[str, Any] = {"id": sent.operation, "status": sent.status()}
        if body["status"] == "Failed":
            body["error"] = {"code": "EmailDropped", "message": "Email was dropped after several attempts to deliver."}
        return Answer(200, body, {"retry-after": "1"} if body["status"] == "Running" else {})

    def _repeated(self, request: Request) -> Sent | None:
        """Give what was sent before under the ids of this request."""
        repeatability, first = (request.headers.get(f"repeatability-{name}") for name in ("request-id", "first-sent"))
        known = self._sent.get(request.headers.get("operation-id", "").lower())
        if repeatability:
            try:
                uuid.UUID(repeatability)
                age = now() - parsedate_to_datetime(first or "")
            except ValueError as problem:
                raise refuse(400, "BadRequest", "The repeatability headers are not valid.") from problem
            if age > TRACKED:
                raise refuse(412, "PreconditionFailed", "Repeatability-First-Sent is out of the tracked duration.")
            known = self._repeatable.get(repeatability.lower(), known)
        if known and known.body != request.body:
            raise refuse(400, "BadRequest", "The request does not match the one first sent under this id.")
        return known


def accepted(request: Request, sent: Sent) -> Answer:
    """Give the 202 of a mail."""
    version = request.query["api-version"]
    return Answer(
        202,
        {"id": sent.operation, "status": sent.status(), "error": None},
        {
            "Operation-Location": f"{request.base}/emails/operations/{sent.operation}?api-version={version}",
            "Retry-After": "1",
        },
    )


def operation_id(request: Request) -> str:
    """Give the operation's id: the client's, or one of ours."""
    given = request.headers.get("operation-id")
    try:
        return str(uuid.UUID(given)) if given else str(uuid.uuid4())
    except ValueError as problem:
        raise refuse(400, "BadRequest", "Operation-Id is not a valid id.") from problem


def checked(request: Request) -> dict[str, Any]:
    """Give the body, refused where a member is unknown, missing or of a wrong type, or nobody is addressed."""
    try:
        body = request.json()
    except ValueError as problem:
        raise refuse(400, "BadRequest", "The request body is no JSON.") from problem
    for path, members in MEMBERS.items():
        part = body.get(path) if path else body
        if not isinstance(part, dict):
            raise refuse(400, "BadRequest", f"'{path}' must be an object.")
        for name, value in part.items():
            if name not in members:
                raise refuse(400, "BadRequest", f"'{f'{path}.{name}'.lstrip('.')}' is not a known member.")
            if value is not None and not isinstance(value, members[name]):
                raise refuse(400, "BadRequest", f"'{f'{path}.{name}'.lstrip('.')}' has a wrong type.")
        if absent := [name for name in REQUIRED[path] if not part.get(name)]:
            raise refuse(400, "BadRequest", f"missing: {', '.join(absent)}")
    check_content(body)
    assert isinstance(body, dict)
    return body


def check_content(body: Mapping[str, Any]) -> None:
    """Refuse a mail to nobody, or without a text."""
    everybody = [one for kind in ("to", "cc", "bcc") for one in body["recipients"].get(kind) or ()]
    if not everybody or not all(ADDRESS.fullmatch(one.get("address", "")) for one in everybody):
        raise refuse(400, "BadRequest", "Invalid format for email address, or no recipient.")
    if strangers := {name for one in everybody for name in one} - RECIPIENT:
        raise refuse(400, "BadRequest", f"{sorted(strangers)} are no members of a recipient.")
    if not (body["content"].get("plainText") or body["content"].get("html")):
        raise refuse(400, "BadRequest", "Either plainText or html must be given.")


def refuse(status: int, code: str, message: str) -> RefusedError:
    """Make an error of Communication Services, to be raised."""
    return RefusedError(Answer(status, {"error": {"code": code, "message": message}}, {"x-ms-error-code": code}))
