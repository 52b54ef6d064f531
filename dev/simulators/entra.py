"""Microsoft Entra ID as far as an API needs it: a tenant's OpenID configuration, its keys, and tokens of people.

Facts: https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
https://learn.microsoft.com/entra/identity-platform/v2-oauth-ropc (how a token is asked for here; nobody has a password)

POST /{tenant}/oauth2/v2.0/token   form: grant_type=password, username=ADDRESS, scope=RESOURCE/.default

Tokens are signed with RS256 by a key made at start; a token for `AUDIENCE` is for `CLIENT`, as in version 2.

Seed, all optional:
{"people": [{"address": "a@b.c", "id": GUID, "groups": [GUID], "roles": ["…"]}],   added, or in its address's place
 "seconds": 3600,              how long tokens last; below 0: expired when issued
 "claims": {"tid": "…"},       laid over the claims of every token; null leaves one out
 "rotate": true}               sign with a new key from now on, and publish it alone
"""

import json
import secrets
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from dev.simulators.tokens import TENANT
from dev.simulators.wire import Answer, Request, Route, instant, now

AUDIENCE = "api://ml-reactor"
CLIENT = "5d0c3c1e-0000-4000-8000-9a3f1c7b2e44"
"""The client id of the registration whose app id URI is `AUDIENCE`."""
PERSON = "you@example.com"
"""Who signs in on this machine where nobody else is named: an operator, and one of the leads."""
LEADS = "7b6f2f0a-0000-4000-8000-6d6c2d6c6561"
"""The object id of the group ml-leads."""
PEOPLE: Sequence[Mapping[str, Any]] = (
    {"address": PERSON, "id": "a1a1a1a1-0000-4000-8000-000000000001", "groups": [LEADS]},
    {"address": "lead@example.com", "id": "a1a1a1a1-0000-4000-8000-000000000002", "groups": [LEADS]},
    {"address": "guest@example.com", "id": "a1a1a1a1-0000-4000-8000-000000000003"},
)
LIFETIME = 3600


class Entra:
    """Signs people in to one tenant."""

    name = "entra"

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._signing = [new_key()]
        self.reset()

    def reset(self) -> None:
        """As at the start, and with the key of the start."""
        self._people = {person["address"]: dict(person) for person in PEOPLE}
        self._seconds = LIFETIME
        self._claims: dict[str, Any] = {}
        del self._signing[1:]

    def routes(self) -> Sequence[Route]:
        """Give what an API reads, and what a client asks for a token."""
        return [
            ("GET", "/{tenant}/v2.0/.well-known/openid-configuration", self.configuration),
            ("GET", "/{tenant}/discovery/v2.0/keys", self.keys),
            ("POST", "/{tenant}/oauth2/v2.0/token", self.token),
        ]

    def refuse(self, request: Request) -> Answer | None:
        """Only one tenant is there."""
        if request.path.split("/")[1].lower() != TENANT:
            return self.error(400, "invalid_tenant", "AADSTS90002: this tenant is not found.")
        return None

    def configuration(self, request: Request) -> Answer:
        """Say who issues, and where the rest is."""
        tenant = f"{request.base}/{TENANT}"
        return Answer(
            body={
                "issuer": f"{tenant}/v2.0",
                "jwks_uri": f"{tenant}/discovery/v2.0/keys",
                "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
                "token_endpoint": f"{tenant}/oauth2/v2.0/token",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    def keys(self, _request: Request) -> Answer:
        """Give the public half of the key of the moment."""
        kid, key = self._signing[-1]
        public = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
        numbers = {name: public[name] for name in ("n", "e")}
        return Answer(body={"keys": [{"kty": "RSA", "use": "sig", "kid": kid, **numbers}]})

    def token(self, request: Request) -> Answer:
        """Give a person's token."""
        form = {name: values[0] for name, values in parse_qs(request.text).items()}
        if form.get("grant_type") != "password":
            return self.error(400, "unsupported_grant_type", "AADSTS70003: only grant_type=password is simulated.")
        resource = form.get("scope", "").split(" ")[0].removesuffix("/.default")
        if not resource:
            return self.error(400, "invalid_request", "AADSTS900144: the request must contain the parameter 'scope'.")
        person = self._people.get(form.get("username", ""))
        if person is None:
            known = ", ".join(self._people)
            return self.error(400, "invalid_grant", f"AADSTS50034: the account does not exist; there are {known}.")
        kid, key = self._signing[-1]
        claims = self._person_claims(person, f"{request.base}/{TENANT}/v2.0", resource)
        return Answer(
            body={
                "token_type": "Bearer",
                "scope": f"{resource}/user_impersonation",
                "expires_in": self._seconds,
                "access_token": jwt.encode(claims, key, "RS256", headers={"kid": kid}),
            }
        )

    def _person_claims(self, person: Mapping[str, Any], issuer: str, resource: str) -> dict[str, Any]:
        issued = int(time.time())
        expires = issued + self._seconds
        claims: dict[str, Any] = {
            "aud": CLIENT if resource == AUDIENCE else resource,
            "iss": issuer,
            "iat": min(issued, expires),
            "nbf": min(issued, expires),
            "exp": expires,
            "azp": str(uuid.uuid4()),
            "name": person["address"].partition("@")[0],
            "oid": person["id"],
            "preferred_username": person["address"],
            "scp": "user_impersonation",
            "sub": secrets.token_urlsafe(32),
            "tid": TENANT,
            "uti": secrets.token_urlsafe(16),
            "ver": "2.0",
            **{name: list(person[name]) for name in ("groups", "roles") if person.get(name)},
        }
        return {name: value for name, value in (claims | self._claims).items() if value is not None}

    def error(self, status: int, code: str, message: str) -> Answer:
        """Errors are OAuth's."""
        body = {"error": code, "error_description": message, "timestamp": instant(now()), "trace_id": str(uuid.uuid4())}
        return Answer(status, body)

    def throttled(self, request: Request, after: float | None) -> Answer:
        """Too many requests."""
        del request, after
        return self.error(429, "temporarily_unavailable", "AADSTS90033: a transient error has occurred.")

    def seed(self, given: Mapping[str, Any]) -> None:
        """Change who is there, what tokens say, and which key signs them."""
        for person in given.get("people", ()):
            self._people[person["address"]] = {"id": str(uuid.uuid4())} | person
        self._seconds = int(given.get("seconds", self._seconds))
        self._claims |= given.get("claims", {})
        if given.get("rotate"):
            self._signing.append(new_key())

    def state(self) -> Any:
        """Who is there, what their tokens say, and the id of the key."""
        people = list(self._people.values())
        return {"people": people, "seconds": self._seconds, "claims": self._claims, "kid": self._signing[-1][0]}


def new_key() -> tuple[str, rsa.RSAPrivateKey]:
    """Make a key, and the id that it is known by."""
    return secrets.token_urlsafe(20), rsa.generate_private_key(public_exponent=65537, key_size=2048)
