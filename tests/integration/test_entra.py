"""Who is signed in: tokens of a real issuer on the wire, good ones and every kind of bad one."""

import base64
import json
import random
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from dev.simulators.entra import AUDIENCE, CLIENT, LEADS, PERSON
from dev.simulators.remote import Simulators
from dev.simulators.tokens import TENANT
from shared.clients.entra import LONGEST_TOKEN, Entra
from shared.errors import SettingsError, SignInError, TemporaryError

OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SOMEBODY = "0f0f0f0f-1111-4000-8000-000000000001"


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Read it."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give a clock at 0."""
    return Clock()


@pytest.fixture
def entra(simulators: Simulators, clock: Clock) -> Entra:
    """Give the check of tokens, with the simulated tenant as the authority."""
    return Entra(f"{simulators.entra.url}/{TENANT}/v2.0", (AUDIENCE, CLIENT), clock=clock)


def token(simulators: Simulators, who: str = PERSON, scope: str = AUDIENCE) -> str:
    """Get a token as a person's client does."""
    form = {"grant_type": "password", "username": who, "scope": f"{scope}/.default"}
    url = f"{simulators.entra.url}/{TENANT}/oauth2/v2.0/token"
    answer = requests.post(url, data=form, verify=simulators.ca, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a token's header and claims."""
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def part(value: Any) -> str:
    """Write one part of a token."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def refused(entra: Entra, token: str) -> SignInError:
    """Give the error of a token, which holds nothing of it."""
    with pytest.raises(SignInError) as caught:
        entra.sign_in(f"Bearer {token}")
    told = caught.value.reason + caught.value.remedy
    assert not [piece for piece in token.split(".") if len(piece) > 20 and piece[:20] in told]
    assert told.isascii()
    assert '"' not in told
    return caught.value


# -- who it is --------------------------------------------------------------------------------------------------------


def test_a_person_is_known_by_everything_that_a_list_may_name(entra: Entra, simulators: Simulators) -> None:
    """Object id, groups, app roles and addresses, in lower case; the record gets the address."""
    person = {"address": "Ann@Example.com", "id": SOMEBODY.upper(), "groups": [LEADS], "roles": ["Approver"]}
    simulators.entra.seed(people=[person], claims={"upn": "ann.b@example.com"})
    signed_in = entra.sign_in(f"Bearer {token(simulators, 'Ann@Example.com')}")
    assert (signed_in.person.id, signed_in.person.name) == (SOMEBODY, "Ann@Example.com")
    assert signed_in.names == {SOMEBODY, LEADS, "approver", "ann@example.com", "ann.b@example.com"}
    assert not signed_in.are_groups_left_out


@pytest.mark.parametrize(("verified", "counts"), [(None, False), (False, False), (True, True), ("1", True)])
def test_an_e_mail_address_counts_where_its_domain_is_verified(
    entra: Entra,
    simulators: Simulators,
    verified: Any,
    counts: bool,  # noqa: FBT001 # a table of cases
) -> None:
    """The claim `email` alone is whatever somebody wrote into a profile."""
    simulators.entra.seed(claims={"email": "boss@example.com", "xms_edov": verified})
    assert ("boss@example.com" in entra.sign_in(f"Bearer {token(simulators)}").names) is counts


def test_names_of_groups_do_not_count(entra: Entra, simulators: Simulators) -> None:
    """Anybody may make a group that is called like somebody; an object id is taken once."""
    simulators.entra.seed(claims={"groups": ["boss@example.com", LEADS], "preferred_username": LEADS[:-1] + "0"})
    names = entra.sign_in(f"Bearer {token(simulators)}").names
    assert LEADS in names
    assert not names & {"boss@example.com", LEADS[:-1] + "0"}


@pytest.mark.parametrize(
    "claims", [{"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}}}, {"hasgroups": True}]
)
def test_groups_that_are_too_many_are_said_to_be_left_out(
    entra: Entra, simulators: Simulators, claims: dict[str, Any]
) -> None:
    """A token holds 200 groups, and none where there are more."""
    simulators.entra.seed(claims=claims | {"groups": None})
    assert entra.sign_in(f"bearer  {token(simulators)}").are_groups_left_out


# -- what proves nothing ----------------------------------------------------------------------------------------------

CLAIMED: list[tuple[str, dict[str, Any], str]] = [
    ("expired", {"exp": 1_700_000_000}, "has expired"),
    ("not yet valid", {"nbf": 9_999_999_999}, "not valid yet"),
    ("issued in the future", {"iat": 9_999_999_999}, "not valid yet"),
    ("a time beyond all time", {"nbf": 10**400}, "not valid yet"),
    ("a time that is none", {"exp": "tomorrow"}, "no JSON Web Token"),
    ("another audience", {"aud": "https://management.azure.com"}, "another audience"),
    ("no audience", {"aud": None}, "lacks one of"),
    ("odd audiences", {"aud": [{"a": 1}]}, "another audience"),
    ("another issuer", {"iss": "https://login.microsoftonline.com/other/v2.0"}, "another issuer"),
    ("version 1", {"iss": f"https://sts.windows.net/{TENANT}/"}, "another issuer"),
    ("another tenant", {"tid": SOMEBODY}, "another tenant"),
    ("no tenant", {"tid": None}, "another tenant"),
    ("no object id", {"oid": None}, "lacks one of"),
    ("an object id that is none", {"oid": "you@example.com"}, "no object id"),
    ("an object id that is a list", {"oid": [SOMEBODY]}, "no object id"),
    ("no expiry", {"exp": None}, "lacks one of"),
    ("an app", {"scp": None, "idtyp": "app"}, "an app's"),
    ("an app that does not say so", {"scp": None, "roles": ["approver"]}, "an app's"),
    ("an app with a scope", {"idtyp": "app"}, "an app's"),
    ("no subject that can be read", {"sub": 42}, "no JSON Web Token"),
]


@pytest.mark.parametrize(("claims", "reason"), [case[1:] for case in CLAIMED], ids=[case[0] for case in CLAIMED])
def test_claims_are_checked(entra: Entra, simulators: Simulators, claims: dict[str, Any], reason: str) -> None:
    """A token that the issuer signed is refused for what it says."""
    simulators.entra.seed(claims=claims)
    assert reason in refused(entra, token(simulators)).reason


def test_a_clock_may_be_two_minutes_off(entra: Entra, simulators: Simulators) -> None:
    """A token that ended a minute ago still counts, one of three minutes does not."""
    simulators.entra.seed(seconds=-60)
    assert entra.sign_in(f"Bearer {token(simulators)}").person.name == PERSON
    simulators.entra.seed(seconds=-180)
    assert "expired" in refused(entra, token(simulators)).reason


Forge = Callable[[dict[str, Any], dict[str, Any], str], str]


def signed(header: dict[str, Any], claims: dict[str, Any], key: Any, algorithm: str) -> str:
    """Sign a token with another key than the issuer's; bytes are a secret, however odd a one."""
    content = f"{part(header | {'alg': algorithm})}.{part(claims)}"
    signature = jwt.get_algorithm_by_name(algorithm).sign(content.encode(), key)
    return f"{content}.{part(signature)}"


PUBLIC = OTHER.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

FORGED: dict[str, tuple[Forge, str]] = {
    "unsigned": (lambda header, claims, _: f"{part(header | {'alg': 'none'})}.{part(claims)}.", "is not signed"),
    "unsigned, in capitals": (
        lambda header, claims, token: f"{part(header | {'alg': 'NONE'})}.{part(claims)}.{token.rpartition('.')[2]}",
        "is not signed",
    ),
    "no algorithm": (
        lambda header, claims, _: f"{part({'kid': header['kid']})}.{part(claims)}.c2ln",
        "is not signed",
    ),
    "algorithms": (
        lambda header, claims, _: f"{part(header | {'alg': ['RS256']})}.{part(claims)}.c2ln",
        "is not signed",
    ),
    "the public key as a secret": (lambda header, claims, _: signed(header, claims, PUBLIC, "HS256"), "with RS256"),
    "an empty secret": (lambda header, claims, _: signed(header, claims, b"", "HS256"), "with RS256"),
    "a longer hash": (lambda header, claims, _: signed(header, claims, OTHER, "RS512"), "with RS256"),
    "another padding": (lambda header, claims, _: signed(header, claims, OTHER, "PS256"), "with RS256"),
    "another key": (lambda header, claims, _: signed(header, claims, OTHER, "RS256"), "signature is wrong"),
    "another key, sent along": (
        lambda header, claims, _: signed(
            header | {"jwk": json.loads(RSAAlgorithm.to_jwk(OTHER.public_key())), "x5u": "https://evil.example/key"},
            claims,
            OTHER,
            "RS256",
        ),
        "signature is wrong",
    ),
    "an unknown key": (
        lambda header, claims, _: signed(header | {"kid": "nobodys"}, claims, OTHER, "RS256"),
        "key that the authority does not have",
    ),
    "no key id": (lambda _, claims, __: signed({"typ": "JWT"}, claims, OTHER, "RS256"), "which key"),
    "a key id that is a number": (
        lambda _, claims, __: signed({"typ": "JWT", "kid": 7}, claims, OTHER, "RS256"),
        "no JSON Web Token",
    ),
    "claims changed": (
        lambda _, claims, token: ".".join([token.split(".")[0], part(claims | {"oid": SOMEBODY}), token.split(".")[2]]),
        "signature is wrong",
    ),
    "the signature cut": (lambda _, __, token: token[:-42], "signature is wrong"),
    "the signature left out": (lambda _, __, token: token.rpartition(".")[0] + ".", "signature is wrong"),
    "two parts": (lambda _, __, token: token.rpartition(".")[0], "no JSON Web Token"),
    "five parts": (lambda _, __, token: f"{token}.a.b", "no JSON Web Token"),
    "garbage": (lambda _, __, ___: "a.b.c", "no JSON Web Token"),
    "not base64": (lambda _, __, ___: "!.?.*", "no JSON Web Token"),
    "not ASCII": (lambda _, __, token: f"{token}\u00e9", "no JSON Web Token"),
    "half a surrogate pair": (lambda _, __, token: f"{token}\ud800", "no JSON Web Token"),
    "a header that is a list": (lambda _, claims, __: f"{part([1])}.{part(claims)}.c2ln", "no JSON Web Token"),
    "a header without an end": (
        lambda _, claims, __: f"{part(b'[' * 5_000)}.{part(claims)}.c2ln",
        "no JSON Web Token",
    ),
    "an endless number": (
        lambda _, claims, __: f"{part(b'{' + b'1' * 5_000)}.{part(claims)}.c2ln",
        "no JSON Web Token",
    ),
    "critical headers": (
        lambda header, claims, _: signed(header | {"crit": ["exp"], "exp": 1}, claims, OTHER, "RS256"),
        "no JSON Web Token",
    ),
    "a detached payload": (
        lambda header, _, __: f"{part(header | {'b64': False, 'crit': ['b64']})}..c2ln",
        "no JSON Web Token",
    ),
    "too long": (lambda _, __, token: token + "A" * LONGEST_TOKEN, "longer than"),
    "nothing": (lambda _, __, ___: "", "Bearer <token>"),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_tokens_are_refused(entra: Entra, simulators: Simulators, name: str) -> None:
    """Whatever is wrong, the reason says what, and nothing but SignInError is raised."""
    forge, reason = FORGED[name]
    good = token(simulators)
    assert reason in refused(entra, forge(*opened(good), good)).reason
    assert entra.sign_in(f"Bearer {good}").person.name == PERSON


def test_no_changed_character_goes_unnoticed(entra: Entra, simulators: Simulators) -> None:
    """A token with one character replaced, doubled or left out proves nothing."""
    good, source = token(simulators), random.Random(3)
    for _ in range(300):
        at = source.randrange(len(good))
        changed = good[:at] + source.choice(["", "A", "_", ".", "=", "\x00", good[at] * 2]) + good[at + 1 :]
        if changed != good:
            refused(entra, changed)


@pytest.mark.parametrize(
    ("header", "reason"), [("", "no token"), ("Basic eW91OnB3", "Bearer"), ("Bearer", "Bearer"), ("Bearer  ", "Bearer")]
)
def test_a_request_without_a_token_is_refused(entra: Entra, simulators: Simulators, header: str, reason: str) -> None:
    """And the authority is not asked."""
    with pytest.raises(SignInError, match=reason):
        entra.sign_in(header)
    assert not simulators.entra.seen()


# -- the authority ----------------------------------------------------------------------------------------------------


def test_keys_are_read_once_a_day(entra: Entra, simulators: Simulators, clock: Clock) -> None:
    """Configuration and keys are asked for with the first token, and a day later again."""
    for clock.now in (0, 3_600, 86_399, 86_401, 90_000):
        entra.sign_in(f"Bearer {token(simulators)}")
    assert len(simulators.entra.seen("GET", "openid-configuration")) == len(simulators.entra.seen("GET", "keys")) == 2


def test_invented_keys_are_looked_for_every_five_minutes_at_most(
    entra: Entra, simulators: Simulators, clock: Clock
) -> None:
    """Who sends rubbish cannot make us ask the authority again and again."""
    for clock.now in range(0, 900, 10):
        forged = signed({"kid": f"invented-{clock.now}"}, {}, OTHER, "RS256")
        assert "does not have" in refused(entra, forged).reason
    assert len(simulators.entra.seen("GET", "keys")) == 3


def test_a_new_key_is_learnt(entra: Entra, simulators: Simulators, clock: Clock) -> None:
    """After the authority changed its key, tokens of the new one count within five minutes, and of the old no more."""
    old = token(simulators)
    entra.sign_in(f"Bearer {old}")
    simulators.entra.seed(rotate=True)
    new = token(simulators)
    assert "after five minutes" in refused(entra, new).remedy
    clock.now = 301
    assert entra.sign_in(f"Bearer {new}").person.name == PERSON
    assert "does not have" in refused(entra, old).reason


def test_an_authority_that_is_down_is_waited_for(entra: Entra, simulators: Simulators, clock: Clock) -> None:
    """Nobody can tell for now who it is; the authority is not asked by every request, and is asked again soon."""
    good = f"Bearer {token(simulators)}"
    simulators.entra.fault("unavailable", path="openid-configuration", n=3)
    for _ in range(3):
        with pytest.raises(TemporaryError, match="503"):
            entra.sign_in(good)
    assert len(simulators.entra.seen("GET", "openid-configuration")) == 3
    clock.now = 11
    assert entra.sign_in(good).person.name == PERSON


def test_keys_outlive_an_outage(entra: Entra, simulators: Simulators, clock: Clock) -> None:
    """What was known yesterday still counts while the authority cannot be asked."""
    good = f"Bearer {token(simulators)}"
    entra.sign_in(good)
    simulators.entra.fault("unavailable", path="openid-configuration", n=3)
    clock.now = 100_000
    assert entra.sign_in(good).person.name == PERSON


def test_an_authority_that_is_none_is_a_matter_of_settings(simulators: Simulators) -> None:
    """The reason names the setting."""
    stranger = Entra(f"{simulators.entra.url}/{SOMEBODY}/v2.0", (AUDIENCE,))
    with pytest.raises(SettingsError, match="REACTOR_AUTHORITY"):
        stranger.sign_in(f"Bearer {token(simulators)}")
    with pytest.raises(SettingsError, match="nobody can sign in"):
        Entra("", ()).sign_in(f"Bearer {token(simulators)}")


def test_nothing_of_a_token_is_logged(entra: Entra, simulators: Simulators, caplog: pytest.LogCaptureFixture) -> None:
    """Good or bad."""
    good = token(simulators)
    with caplog.at_level("DEBUG"):
        entra.sign_in(f"Bearer {good}")
        refused(entra, good[:-9])
    assert not [piece for piece in good.split(".") if piece[:30] in caplog.text]
