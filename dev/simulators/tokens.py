"""Bearer tokens that carry their audience, so that a simulator can refuse one meant for another service."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Collection
from typing import Any

TENANT = "72f988bf-0000-4000-8000-2d7cd011db47"
OBJECT = "11111111-aaaa-4bbb-8ccc-222222222222"
"""The object id of the identity whose tokens these are."""

ARM = frozenset({"https://management.azure.com", "https://management.core.windows.net"})
COGNITIVE = frozenset({"https://cognitiveservices.azure.com"})
COMMUNICATION = frozenset({"https://communication.azure.com"})
MACHINE_LEARNING = frozenset({"https://ml.azure.com"})
"""The data plane of Machine Learning; Resource Manager answers for the rest of it."""
EVENT_GRID = frozenset({"https://eventgrid.azure.net"})


class Tokens:
    """Issues and reads tokens, signed with a key that lives as long as the process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self, audience: str, *, seconds: int = 86_400, client: str = "") -> tuple[str, int]:
        """Give a token for an audience, and when it expires (seconds since 1970)."""
        expires = int(time.time()) + seconds
        claims = {"aud": audience, "exp": expires, "oid": OBJECT, "tid": TENANT, "appid": client}
        content = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded(claims)}"
        return f"{content}.{self._signature(content)}", expires

    def problem(self, authorization: str, audiences: Collection[str]) -> str:
        """Why an Authorization header does not do: "missing", "invalid", "expired", "audience"; "" where it does."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "missing"
        content, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature, self._signature(content)):
            return "invalid"
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(content.split(".")[1] + "=="))
        if claims["exp"] < time.time():
            return "expired"
        return "" if claims["aud"].rstrip("/") in audiences else "audience"

    def _signature(self, content: str) -> str:
        digest = hmac.digest(self._key, content.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def encoded(value: dict[str, Any]) -> str:
    """One part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
