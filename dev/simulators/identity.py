"""The managed-identity endpoint of App Service, over plain http as there.

Facts: https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
Seed: {"seconds": 86400} (how long a token lasts).
"""

import secrets
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from dev.simulators.tokens import Tokens
from dev.simulators.wire import Answer, Request, Route

API_VERSION = "2019-08-01"
LIFETIME = 86_400


class Identity:
    """Hands out tokens to who knows the header."""

    name = "identity"

    def __init__(self, tokens: Tokens) -> None:
        self.header = secrets.token_hex(16)
        self.lock = threading.RLock()
        self._tokens = tokens
        self._seconds = LIFETIME

    def routes(self) -> Sequence[Route]:
        """Give the endpoint itself, with and without the path that App Service gives it."""
        return [("GET", "/", self.token), ("GET", "/msi/token", self.token)]

    def refuse(self, request: Request) -> Answer | None:
        """Nobody gets a token without the header, or with another version of the protocol."""
        if request.headers.get("x-identity-header") != self.header:
            return self.error(401, "Unauthorized", "The X-IDENTITY-HEADER header is missing or wrong.")
        if request.query.get("api-version") != API_VERSION:
            return self.error(400, "BadRequest", f"The api-version must be {API_VERSION}.")
        return None

    def token(self, request: Request) -> Answer:
        """Give a token for the resource asked for."""
        resource = request.query.get("resource", "")
        if not resource.startswith("https://"):
            return self.error(400, "BadRequest", "The resource is missing or no https URL.")
        client = request.query.get("client_id", "")
        token, expires = self._tokens.issue(resource, seconds=self._seconds, client=client)
        return Answer(
            body={
                "access_token": token,
                "expires_on": str(expires),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": client,
            }
        )

    def error(self, status: int, code: str, message: str) -> Answer:
        """Errors are flat here."""
        return Answer(status, {"statusCode": status, "code": code, "message": message})

    def throttled(self, request: Request, after: float | None) -> Answer:
        """Too many token requests."""
        del request, after
        return self.error(429, "TooManyRequests", "Too many token requests.")

    def seed(self, given: Mapping[str, Any]) -> None:
        """Set how long tokens last."""
        self._seconds = int(given["seconds"])

    def state(self) -> Any:
        """How long tokens last."""
        return {"seconds": self._seconds}

    def reset(self) -> None:
        """As at the start."""
        self._seconds = LIFETIME
