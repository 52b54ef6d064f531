"""The simulated managed-identity endpoint serves azure-identity, and nobody without the header."""

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential

from dev.simulators.remote import Simulators

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
