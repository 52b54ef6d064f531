"""What online endpoints are asked with: keys, or tokens of their own.

https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from dev.simulators.management.arm import WORKSPACE
from dev.simulators.management.bodies import check
from dev.simulators.management.changes import Changes
from dev.simulators.management.online_bodies import REGENERATE
from dev.simulators.management.online_checks import refused
from dev.simulators.management.resources import Resource
from dev.simulators.wire import Answer, Request, Route, now

ENDPOINT = WORKSPACE + "/onlineEndpoints/{endpoint}"
LIFETIME = timedelta(hours=12)


class OnlineKeys:
    """The keys and tokens of every endpoint."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._keys: dict[str, dict[str, str]] = {}
        self._tokens: dict[str, str] = {}

    def routes(self) -> Sequence[Route]:
        """Give what can be asked."""
        return [
            ("POST", ENDPOINT + "/listKeys", self._list),
            ("POST", ENDPOINT + "/token", self._token),
            ("POST", ENDPOINT + "/regenerateKeys", self._regenerate),
        ]

    def clear(self) -> None:
        """Forget them."""
        self._keys.clear()
        self._tokens.clear()

    def accepts(self, endpoint: Resource, given: str) -> bool:
        """Tell whether a key or token is one of the endpoint's."""
        arm_id: str = endpoint["id"].lower()
        if endpoint["properties"]["authMode"].lower() == "key":
            return given in self._of(endpoint).values()
        return self._tokens.get(given) == arm_id

    def _list(self, request: Request) -> Answer:
        return Answer(body=self._of(self._endpoint(request, "Key")))

    def _token(self, request: Request) -> Answer:
        endpoint = self._endpoint(request, "AMLToken")
        token, at = f"aml.{secrets.token_urlsafe(24)}", now()
        self._tokens[token] = endpoint["id"].lower()
        return Answer(
            body={
                "accessToken": token,
                "expiryTimeUtc": int((at + LIFETIME).timestamp()),
                "refreshAfterTimeUtc": int((at + LIFETIME / 2).timestamp()),
                "tokenType": "Bearer",
            }
        )

    def _regenerate(self, request: Request) -> Answer:
        body = request.json()
        check(body, REGENERATE)
        endpoint = self._endpoint(request, "Key")
        name = f"{body['keyType'].lower()}Key"
        self._of(endpoint)[name] = body.get("keyValue") or secrets.token_urlsafe(24)
        return self._changes.patch(replace(request, path=endpoint["id"]), {})

    def _endpoint(self, request: Request, mode: str) -> Resource:
        endpoint = self._changes.existing(request.path.rstrip("/").rpartition("/")[0])
        if endpoint["properties"]["authMode"].lower() != mode.lower():
            raise refused(f"Endpoint '{endpoint['name']}' does not use authentication mode '{mode}'.")
        return endpoint

    def _of(self, endpoint: Resource) -> dict[str, str]:
        fresh = {name: secrets.token_urlsafe(24) for name in ("primaryKey", "secondaryKey")}
        return self._keys.setdefault(endpoint["id"].lower(), fresh)
