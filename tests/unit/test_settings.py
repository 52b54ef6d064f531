"""Settings are a function of a mapping, and say everything that is wrong at once."""

from datetime import timedelta

import pytest

from shared import wiring
from shared.errors import SettingsError
from shared.settings import Settings


def test_a_connection_string_is_enough() -> None:
    """With nothing but a connection string everything else has its default."""
    settings = Settings.read({"AzureWebJobsStorage": "UseDevelopmentStorage=true"})
    assert settings.storage.connection_string == "UseDevelopmentStorage=true"
    assert settings.lease == timedelta(minutes=10)
    assert settings.vision_blob_hosts == ("*.blob.core.windows.net",)


def test_an_identity_names_each_service() -> None:
    """Without a connection string the three service URIs and the client id are read."""
    values = {f"AzureWebJobsStorage__{name}ServiceUri": f"https://a.{name}/" for name in ("blob", "queue", "table")}
    storage = Settings.read(values | {"AzureWebJobsStorage__clientId": "id"}).storage
    assert (storage.blob_uri, storage.queue_uri, storage.table_uri) == (
        "https://a.blob",
        "https://a.queue",
        "https://a.table",
    )
    assert storage.client_id == "id"


def test_an_account_name_stands_for_the_public_cloud() -> None:
    """An account's name alone gives the public cloud's URIs."""
    storage = Settings.read({"AzureWebJobsStorage__accountName": "acct"}).storage
    assert storage.table_uri == "https://acct.table.core.windows.net"


def test_everything_wrong_is_said_at_once() -> None:
    """One message names every missing and every wrong setting."""
    with pytest.raises(SettingsError) as caught:
        Settings.read({"REACTOR_LEASE_SECONDS": "soon", "REACTOR_KEEP_DAYS": "-1"})
    for name in ("AzureWebJobsStorage__tableServiceUri", "REACTOR_LEASE_SECONDS", "REACTOR_KEEP_DAYS"):
        assert name in caught.value.reason


TENANT = "https://login.microsoftonline.com/72f988bf-0000-4000-8000-2d7cd011db47/v2.0"


def test_people_sign_in_to_one_tenant() -> None:
    """The authority is one tenant's, the audience a list, and operators are compared ignoring case."""
    values = {
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "REACTOR_AUTHORITY": f" {TENANT}/ ",
        "REACTOR_AUDIENCE": "api://ml-reactor, 5d0c3c1e",
        "REACTOR_OPERATORS": "Ann@Example.com,,7B6F ",
    }
    settings = Settings.read(values)
    assert settings.authority == TENANT
    assert settings.audience == ("api://ml-reactor", "5d0c3c1e")
    assert settings.operators == {"ann@example.com", "7b6f"}


@pytest.mark.parametrize(
    "authority",
    [
        "https://login.microsoftonline.com/organizations/v2.0",
        "https://login.microsoftonline.com/Common/v2.0",
        "https://login.microsoftonline.com",
        TENANT.replace("https", "http"),
        f"{TENANT}?p=policy",
        "https://[login/tenant",
        "https:///tenant",
        "tenant",
    ],
)
def test_an_authority_that_is_not_one_tenants_is_refused(authority: str) -> None:
    """Else anybody with an account anywhere could sign in."""
    values = {"AzureWebJobsStorage": "x", "REACTOR_AUTHORITY": authority, "REACTOR_AUDIENCE": "api://ml-reactor"}
    with pytest.raises(SettingsError, match="REACTOR_AUTHORITY must be https and name one tenant"):
        Settings.read(values)


def test_an_authority_needs_an_audience() -> None:
    """Else a token for any other app of the tenant would do."""
    with pytest.raises(SettingsError, match="REACTOR_AUDIENCE is needed"):
        Settings.read({"AzureWebJobsStorage": "x", "REACTOR_AUTHORITY": TENANT, "REACTOR_AUDIENCE": " , "})


def test_health_says_what_is_missing() -> None:
    """The health page names the settings that are missing, and is well where none is."""
    assert wiring.health({"AzureWebJobsStorage": "UseDevelopmentStorage=true"}) == {"status": "ok"}
    report = wiring.health({})
    assert report["status"] == "misconfigured"
    assert "AzureWebJobsStorage" in report["reason"]
