"""No official client follows a redirect: what was declared is what is spoken to, with the key it was declared with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError

from shared.clients import Clients
from shared.clients.event_grid import CloudEvent
from shared.clients.identity import managed_identity
from shared.errors import PermanentError
from shared.settings import Settings
from shared.storage.account import Account
from tests.integration.canned import Canned, Reply, serve


@pytest.fixture
def canned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    """Serve answers that send everybody elsewhere."""
    with serve(tmp_path) as (server, ca):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca)
        yield server


def settings_of(canned: Canned) -> Settings:
    """Make the server the app's own account, and one of the hosts that models are on."""
    endpoints = ";".join(f"{service}Endpoint={canned.url}/account" for service in ("Blob", "Queue", "Table"))
    storage = f"AccountName=account;AccountKey=a2V5;{endpoints}"
    return Settings.read({"AzureWebJobsStorage": storage, "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1"})


def look(canned: Canned, clients: Clients, _account: Account) -> object:
    """Look at a blob by a SAS."""
    return clients.backups.look(clients.backups.by_sas(f"{canned.url}/other/exports/a.zip?sig=x"))


def list_container(canned: Canned, clients: Clients, _account: Account) -> object:
    """List a declared container."""
    return list(clients.backups.find_in_container(f"{canned.url}/other/exports?sig=x", "a"))


def send_to_queue(canned: Canned, clients: Clients, _account: Account) -> None:
    """Send to a declared queue."""
    clients.channels.queue(f"{canned.url}/other/queue?sig=x", {})


def send_to_topic(canned: Canned, clients: Clients, _account: Account) -> None:
    """Send to a declared topic."""
    clients.event_grid.send(f"{canned.url}/api/events", "key", CloudEvent(id="1", source="s", type="t"))


def read_own_blob(_canned: Canned, _clients: Clients, account: Account) -> object:
    """Read a blob of the app's own account."""
    return account.blobs.get_blob_client("c", "b").download_blob()


def read_own_queue(_canned: Canned, _clients: Clients, account: Account) -> object:
    """Read a queue of the app's own account."""
    return account.queue("q").get_queue_properties()


def read_own_table(_canned: Canned, _clients: Clients, account: Account) -> object:
    """Read a table of the app's own account."""
    return account.table("t").get_entity("a", "b")


CALLS = [look, list_container, send_to_queue, send_to_topic, read_own_blob, read_own_queue, read_own_table]


@pytest.mark.guarantee(7)
@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("call", CALLS)
def test_nobody_sends_us_elsewhere(
    call: Callable[[Canned, Clients, Account], object], status: int, canned: Canned
) -> None:
    """A redirect is a failure, and where it points to is never asked."""
    canned.replies = [Reply(status, "", {"Location": f"{canned.url}/elsewhere"})]
    settings = settings_of(canned)
    account = Account(settings.storage, managed_identity)
    with pytest.raises((PermanentError, HttpResponseError)):
        call(canned, Clients(settings, managed_identity, account), account)
    assert len(canned.asked) == 1
    assert "/elsewhere" not in canned.asked[0].path
