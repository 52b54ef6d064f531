"""Who a person is: an access token of Microsoft Entra ID, checked for this app.

Signed with RS256 by a key of the one tenant's issuer, meant for this app, not expired, and a person's: an app's token
has no `scp`, and says `idtyp: app` where that optional claim is configured. Everything else is a SignInError whose
words hold nothing of the token.
https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-tokens
https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from shared.actions import Person
from shared.clients.rest import Rest
from shared.errors import PermanentError, ReactorError, SettingsError, SignInError
from shared.redaction import tidy

if TYPE_CHECKING:
    from jwt import PyJWK

log = logging.getLogger("reactor")

LONGEST_TOKEN = 16 * 1024
"""Characters. Entra's own limits keep a token well below: 200 groups are some 8,000."""
LEEWAY_SECONDS = 120.0
FRESH_SECONDS = 24 * 3600.0
"""How long keys are trusted: the vendor asks to look once a day."""
PAUSE_SECONDS = 300.0
"""Between two looks for a key that is unknown: anybody can invent one."""
RETRY_SECONDS = 10.0
"""Between two looks where the authority did not answer."""

AGAIN = "sign in again"
OBJECT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
WRONG: Mapping[str, tuple[str, str]] = {
    "ExpiredSignatureError": ("the token has expired", AGAIN),
    "ImmatureSignatureError": ("the token is not valid yet", "compare the clocks"),
    "InvalidAudienceError": ("the token is for another audience", "ask for one of {audience}"),
    "InvalidIssuerError": (
        "the token is of another issuer",
        "sign in to the tenant of REACTOR_AUTHORITY; its registration must ask for tokens of version 2",
    ),
    "InvalidAlgorithmError": ("the token is not signed with RS256", AGAIN),
    "InvalidSignatureError": ("the token's signature is wrong", AGAIN),
    "MissingRequiredClaimError": ("the token lacks one of exp, nbf, iss, aud, oid", AGAIN),
    "PyJWTError": ("the token is no JSON Web Token that can be read", AGAIN),
}
"""PyJWT's exceptions by name, and what each means: the first of an exception's own classes counts."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person, and everything that a list of people may name them by."""

    person: Person
    names: frozenset[str]
    """In lower case: object id, group ids, app roles, addresses."""
    are_groups_left_out: bool
    """Whether there are more groups than a token holds, so that none is in it."""


class Entra:
    """One tenant, towards one app; safe to share between threads."""

    def __init__(self, authority: str, audience: Sequence[str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._audience = audience
        self._keys = Keys(authority, clock)
        self._is_open = bool(authority)

    def sign_in(self, authorization: str) -> SignedIn:
        """Read the Authorization header of a request: SignInError, SettingsError or TemporaryError where it fails."""
        import jwt

        if not self._is_open:
            raise SettingsError(
                "nobody can sign in to this app: REACTOR_AUTHORITY is not set",
                remedy="set REACTOR_AUTHORITY and REACTOR_AUDIENCE",
            )
        token = _bearer(authorization)
        try:
            kid = _key_id(jwt.get_unverified_header(token))
            issuer, key = self._keys.find(kid)
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._audience,
                issuer=issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "nbf", "iss", "aud", "oid"], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as problem:
            raise self._refused(problem) from None
        return _signed_in(claims, issuer)

    def _refused(self, problem: Exception) -> SignInError:
        reason, remedy = next(WRONG[each.__name__] for each in type(problem).__mro__ if each.__name__ in WRONG)
        return SignInError(reason, remedy=remedy.format(audience=self._audience[0] if self._audience else ""))


def _bearer(authorization: str) -> str:
    """Take the token out of the header."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if not authorization:
        raise SignInError("no token was sent", remedy="sign in, and send the token as Authorization: Bearer")
    if scheme.lower() != "bearer" or not token:
        raise SignInError("the Authorization header is not of the form Bearer <token>", remedy="send a Bearer token")
    if len(token) > LONGEST_TOKEN:
        raise SignInError(f"the token is longer than {LONGEST_TOKEN:,} characters", remedy="sign in with fewer claims")
    if not token.isascii() or token.count(".") != 2:
        raise SignInError("the token is no JSON Web Token", remedy=AGAIN)
    return token


def _key_id(header: Mapping[str, Any]) -> str:
    """Give the id of the key that a token says it is signed with; only the one way to sign is looked at any further."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm.lower() == "none":
        raise SignInError("the token is not signed", remedy=AGAIN)
    if algorithm != "RS256":
        raise SignInError("the token is not signed with RS256", remedy=AGAIN)
    if not header.get("kid"):
        raise SignInError("the token does not say which key it is signed with", remedy=AGAIN)
    return str(header["kid"])


def _signed_in(claims: Mapping[str, Any], issuer: str) -> SignedIn:
    """Read the claims of a token that is genuine."""
    tenant = OBJECT_ID.search(issuer)
    if tenant and str(claims.get("tid", "")).lower() != tenant[0].lower():
        raise SignInError("the token is of another tenant", remedy="sign in to the tenant of REACTOR_AUTHORITY")
    if not isinstance(claims["oid"], str) or not OBJECT_ID.fullmatch(claims["oid"]):
        raise SignInError("the token's oid is no object id", remedy=AGAIN)
    if claims.get("idtyp") == "app" or not isinstance(claims.get("scp"), str) or not claims["scp"]:
        raise SignInError("the token is an app's, and only people decide", remedy="sign in as a person")
    told = [claims.get("preferred_username"), claims.get("upn")]
    if str(claims.get("xms_edov")).lower() in ("true", "1"):  # else any address may have been written there
        told.append(claims.get("email"))
    addresses = [address for address in _texts(told) if "@" in address]
    groups = [group for group in _texts(claims.get("groups")) if OBJECT_ID.fullmatch(group)]
    names = (claims["oid"], *groups, *_texts(claims.get("roles")), *addresses)
    elsewhere = claims.get("_claim_names")
    name = next(iter(addresses), claims.get("name"))
    return SignedIn(
        person=Person(id=claims["oid"].lower(), name=tidy(name) if isinstance(name, str) else ""),
        names=frozenset(each.lower() for each in names),
        are_groups_left_out=bool(claims.get("hasgroups")) or (isinstance(elsewhere, dict) and "groups" in elsewhere),
    )


def _texts(value: Any) -> list[str]:
    """Take the texts of what should be a list of them."""
    return [text for text in value if isinstance(text, str) and text] if isinstance(value, list) else []


# -- the issuer's keys ------------------------------------------------------------------------------------------------


class Configuration(BaseModel):
    """What is used of an issuer's OpenID configuration."""

    issuer: str
    jwks_uri: str


class KeySet(BaseModel):
    """What is behind its `jwks_uri`."""

    keys: list[dict[str, Any]]


class Keys:
    """The keys that an authority signs with: read when first needed, once a day, and when an unknown one is met.

    https://learn.microsoft.com/entra/identity-platform/signing-key-rollover
    """

    def __init__(self, authority: str, clock: Callable[[], float]) -> None:
        self._authority = authority
        self._clock = clock
        self._rest = Rest("the authority")
        self._lock = threading.Lock()
        self._issuer = ""
        self._keys: Mapping[str, PyJWK] = {}
        self._stale_at = self._again_at = float("-inf")
        self._trouble: ReactorError | None = None

    def find(self, kid: str) -> tuple[str, "PyJWK"]:
        """Give the issuer and its key; TemporaryError or SettingsError where the authority had to be asked in vain."""
        with self._lock:
            now = self._clock()
            if now >= self._again_at and (kid not in self._keys or now >= self._stale_at):
                self._read_again(now)
            if kid in self._keys:
                return self._issuer, self._keys[kid]
            if self._trouble is not None:
                raise self._trouble.with_traceback(None)
        raise SignInError(
            "the token is signed with a key that the authority does not have",
            remedy="sign in to the tenant of REACTOR_AUTHORITY; a new key is known after five minutes",
        )

    def _read_again(self, now: float) -> None:
        """Read issuer and keys; where that fails for now, those that are known stay."""
        try:
            self._issuer, self._keys = self._read()
        except ReactorError as problem:
            log.warning("authority outcome=unreadable reason=%s", problem.reason)
            self._trouble, self._again_at = problem, now + RETRY_SECONDS
        else:
            self._trouble, self._again_at, self._stale_at = None, now + PAUSE_SECONDS, now + FRESH_SECONDS

    def _read(self) -> tuple[str, Mapping[str, "PyJWK"]]:
        try:
            configuration = self._rest.get(f"{self._authority}/.well-known/openid-configuration").read(Configuration)
            found = self._rest.get(configuration.jwks_uri).read(KeySet)
        except PermanentError as problem:
            raise SettingsError(f"REACTOR_AUTHORITY: {problem.reason}", remedy="correct REACTOR_AUTHORITY") from None
        if "{" in configuration.issuer:
            raise SettingsError("REACTOR_AUTHORITY names no tenant", remedy="name one tenant in REACTOR_AUTHORITY")
        return configuration.issuer, _usable(found.keys)


def _usable(keys: Sequence[Mapping[str, Any]]) -> Mapping[str, "PyJWK"]:
    """Take the keys that can have signed a token; the others are for something else."""
    from jwt import PyJWK, PyJWTError

    usable = {}
    for key in keys:
        if isinstance(key.get("kid"), str) and key.get("use", "sig") == "sig":
            try:
                usable[key["kid"]] = PyJWK(dict(key), "RS256")
            except PyJWTError:
                continue
    return usable
