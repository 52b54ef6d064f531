"""Where alerts go: Teams, Slack, a signed webhook, Communication Services mail, and SMTP on a port of its own.

    POST /workflows/{name}/triggers/manual/paths/invoke?…&sig=…   a Teams Workflows webhook
    POST /services/{team}/{bot}/{secret}                          a Slack incoming webhook
    POST /hooks/{name}                                            a webhook that verifies Standard Webhooks signatures
    POST /emails:send, GET /emails/operations/{id}                Communication Services, with a token for it

`GET /_inbox` shows what was received, oldest first: {"channel": "teams"|"slack"|"webhook"|"mail"|"smtp", "time", …}.
`POST /_seed` takes {"secrets": {"<hook>": "whsec_…"}, "senders": ["DoNotReply@…"], "mail_seconds": 0.2,
"mail_outcome": "Succeeded"}. Without a secret of its own a hook's is `SECRET`.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from dev.simulators.channels import chat
from dev.simulators.channels.mail import Mail
from dev.simulators.channels.webhook import SECRET, Webhook
from dev.simulators.tokens import COMMUNICATION, Tokens
from dev.simulators.wire import Answer, Request, Route, instant, now

__all__ = ["SECRET", "Channels"]


class Channels:
    """Every channel, and the inbox that they share."""

    name = "channels"

    def __init__(self, tokens: Tokens) -> None:
        self.lock = threading.RLock()
        self._tokens = tokens
        self._inbox: list[dict[str, Any]] = []
        self._mail = Mail(self.receive)
        self._webhook = Webhook(self.receive)

    def routes(self) -> Sequence[Route]:
        """Give the channels and their inbox."""
        return [
            (
                "POST",
                "/workflows/{name}/triggers/manual/paths/invoke",
                lambda request: chat.teams(request, self.receive),
            ),
            ("POST", "/services/{team}/{bot}/{secret}", lambda request: chat.slack(request, self.receive)),
            ("POST", "/hooks/{name}", self._webhook.post),
            ("POST", "/emails:send", self._mail.send),
            ("GET", "/emails/operations/{operation}", self._mail.operation),
            ("GET", "/_inbox", lambda _request: Answer(body=list(self._inbox))),
        ]

    def receive(self, channel: str, **what: Any) -> None:
        """Put something into the inbox."""
        self._inbox.append({"channel": channel, "time": instant(now()), **what})

    def refuse(self, request: Request) -> Answer | None:
        """Mail needs a token for Communication Services; the other channels' secrets stand in their URLs."""
        if not request.path.lower().startswith("/emails"):
            return None
        if self._tokens.problem(request.headers.get("authorization", ""), COMMUNICATION):
            return self.error(401, "Denied", "Denied by the resource provider.")
        if not request.query.get("api-version"):
            return self.error(400, "MissingApiVersionParameter", "The api-version query parameter is required.")
        return None

    def error(self, status: int, code: str, message: str) -> Answer:
        """Give the nested error of Communication Services; chat answers in plain text of its own."""
        return Answer(status, {"error": {"code": code, "message": message}}, {"x-ms-error-code": code})

    def throttled(self, request: Request, after: float | None) -> Answer:
        """Each in its own words."""
        del after
        if request.path.lower().startswith("/services/"):
            return Answer(429, "rate_limited")
        return self.error(429, "TooManyRequests", "The request rate is too high. Please try again later.")

    def seed(self, given: Mapping[str, Any]) -> None:
        """See the top of this package."""
        if unknown := set(given) - {"secrets", "senders", "mail_seconds", "mail_outcome"}:
            raise ValueError(f"{sorted(unknown)}: none of secrets, senders, mail_seconds, mail_outcome")
        self._webhook.secrets.update(given.get("secrets", {}))
        self._mail.seed(given)

    def state(self) -> Any:
        """Give the inbox, and the mails under way."""
        return {"inbox": list(self._inbox), "mails": self._mail.state()}

    def reset(self) -> None:
        """Empty the inbox."""
        self._inbox.clear()
        self._mail.clear()
        self._webhook.secrets.clear()
