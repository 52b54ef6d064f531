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


def test_health_says_what_is_missing() -> None:
    """The health page names the settings that are missing, and is well where none is."""
    assert wiring.health({"AzureWebJobsStorage": "UseDevelopmentStorage=true"}) == {"status": "ok"}
    report = wiring.health({})
    assert report["status"] == "misconfigured"
    assert "AzureWebJobsStorage" in report["reason"]
