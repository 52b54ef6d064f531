"""The simulated managed-identity endpoint serves azure-identity, and nobody without the header.

The simulated tenant serves MSAL and PyJWT's own reader of keys.
"""

import ssl

import jwt
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential
from msal.oauth2cli import Client  # type: ignore[import-untyped] # the package has no types

from dev.simulators.entra import AUDIENCE, CLIENT, LEADS, PERSON
from dev.simulators.remote import Simulators
from dev.simulators.tokens import TENANT

QUERY = {"api-version": "2019-08-01", "resource": "https://management.azure.com"}


def test_the_official_credential_gets_a_token(simulators: Simulators) -> None:
    """ManagedIdentityCredential gets a token that lasts as long as seeded, for system and user-assigned identities."""
    simulators.identity.seed(seconds=3600)
    token = ManagedIdentityCredential(client_id="0000-client").get_token("https://communication.azure.com/.default")
    [asked] = simulators.identity.seen()
    assert token.token.count(".") == 2
    assert "resource=https://communication.azure.com" in asked["url"]
    assert "client_id=0000-client" in asked["url"]
    assert asked["headers"]["x-identity-header"] == "(secret)"


@pytest.mark.parametrize(
    ("query", "header", "status"),
    [(QUERY, "", 200), (QUERY, "wrong", 401), (QUERY | {"api-version": "2017-09-01"}, "", 400), ({}, "", 400)],
)
def test_the_protocol_is_checked(simulators: Simulators, query: dict[str, str], header: str, status: int) -> None:
    """The header, the version and the resource must be right."""
    headers = {"X-IDENTITY-HEADER": header or simulators.identity_header}
    assert requests.get(simulators.identity.url, params=query, headers=headers, timeout=5).status_code == status


def test_an_identity_that_is_refused_is_an_authentication_error(
    simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the credential raises is what it raises in Azure."""
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    with pytest.raises(ClientAuthenticationError):
        ManagedIdentityCredential().get_token("https://vault.azure.net/.default")


def test_an_expired_token_is_refused(simulators: Simulators) -> None:
    """A token is good for as long as it says."""
    simulators.identity.seed(seconds=-1)
    headers = {"X-IDENTITY-HEADER": simulators.identity_header}
    token = requests.get(simulators.identity.url, params=QUERY, headers=headers, timeout=5).json()["access_token"]
    answer = requests.get(
        f"{simulators.management.url}/subscriptions/s", headers={"Authorization": f"Bearer {token}"}, timeout=5
    )
    assert answer.json()["error"]["code"] == "ExpiredAuthenticationToken"


# -- the tenant -------------------------------------------------------------------------------------------------------


def signed_in(simulators: Simulators, who: str, scope: str = f"{AUDIENCE}/.default") -> dict[str, str]:
    """Have Microsoft's own client sign somebody in; gives what it answers."""
    where = f"{simulators.entra.url}/{TENANT}/v2.0/.well-known/openid-configuration"
    configuration = requests.get(where, verify=simulators.ca, timeout=5).json()
    client = Client(configuration, "cli")
    answer: dict[str, str] = client.obtain_token_by_username_password(who, "no password", scope=[scope])
    return answer


def test_the_official_client_signs_people_in(simulators: Simulators) -> None:
    """MSAL gets a token whose signature PyJWT's own reader of keys finds the key for."""
    token = signed_in(simulators, PERSON)["access_token"]
    context = ssl.create_default_context(cafile=simulators.ca)
    keys = jwt.PyJWKClient(f"{simulators.entra.url}/{TENANT}/discovery/v2.0/keys", ssl_context=context)
    claims = jwt.decode(token, keys.get_signing_key_from_jwt(token), algorithms=["RS256"], audience=CLIENT)
    assert (claims["preferred_username"], claims["groups"], claims["tid"]) == (PERSON, [LEADS], TENANT)
    assert claims["iss"] == f"{simulators.entra.url}/{TENANT}/v2.0"


def test_a_stranger_is_not_signed_in(simulators: Simulators) -> None:
    """The error is in OAuth's shape, and says who there is."""
    answer = signed_in(simulators, "stranger@example.com")
    assert answer["error"] == "invalid_grant"
    assert PERSON in answer["error_description"]


def test_people_and_claims_are_seeded_and_forgotten(simulators: Simulators) -> None:
    """Somebody new, claims laid over everybody's, a new key; a reset takes all of it back."""
    before = simulators.entra.state()
    simulators.entra.seed(
        people=[{"address": "new@example.com"}], claims={"ver": None, "x": 1}, seconds=60, rotate=True
    )
    token = signed_in(simulators, "new@example.com", scope="https://other.example/.default")["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["aud"], claims["x"], claims["exp"] - claims["iat"]) == ("https://other.example", 1, 60)
    assert "ver" not in claims
    assert jwt.get_unverified_header(token)["kid"] == simulators.entra.state()["kid"] != before["kid"]
    simulators.entra.reset()
    assert simulators.entra.state() == before


@pytest.mark.parametrize(
    ("path", "form", "error"),
    [
        (f"{TENANT}/oauth2/v2.0/token", {"grant_type": "client_credentials"}, "unsupported_grant_type"),
        (f"{TENANT}/oauth2/v2.0/token", {"grant_type": "password", "username": PERSON}, "invalid_request"),
        ("another/oauth2/v2.0/token", {}, "invalid_tenant"),
    ],
)
def test_what_the_tenant_does_not_know_is_refused(
    simulators: Simulators, path: str, form: dict[str, str], error: str
) -> None:
    """In OAuth's shape."""
    answer = requests.post(f"{simulators.entra.url}/{path}", data=form, verify=simulators.ca, timeout=5)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
