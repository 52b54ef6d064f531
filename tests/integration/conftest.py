"""Fixtures of the integration tests: the simulated services, and the wire that a test can break."""

import gc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceNotFoundError

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from dev.simulators.start import start
from shared.clients.identity import managed_identity
from shared.settings import Storage
from shared.storage import LIMITS_TABLE
from shared.storage.account import Account
from shared.storage.locks import LOCK
from tests.integration.making import make
from tests.integration.world import Wire

__all__ = ["make"]


@pytest.fixture(scope="session")
def requests_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file that the simulators append every request to."""
    return tmp_path_factory.mktemp("simulators") / "requests.jsonl"


@pytest.fixture(scope="session")
def running_simulators(storage_emulator: Azurite, requests_log: Path) -> Iterator[Simulators]:
    """Run the simulators in threads of this test process, over https like those of the stack."""
    running = start(
        storage=storage_emulator.app,
        service_storage=storage_emulator.service,
        log=requests_log,
        ca=requests_log.with_name("ca.pem"),
    )
    yield Simulators.connect(running.ready)
    running.stop()


@pytest.fixture(scope="module", autouse=True)
def no_lock_of_another_module(storage_emulator: Azurite) -> None:
    """Free what actions of another module of tests still hold: nobody goes on with those, and storage outlives them."""
    table = Account(Storage(connection_string=storage_emulator.app), managed_identity).table(LIMITS_TABLE)
    with suppress(ResourceNotFoundError):
        for row in table.query_entities("RowKey eq @row", parameters={"row": LOCK}, select=["PartitionKey", "RowKey"]):
            table.delete_entity(row)


@pytest.fixture
def simulators(running_simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> Simulators:
    """Give the simulators as at the start, with an environment in which the official clients reach and trust them."""
    running_simulators.reset()
    for name, value in running_simulators.environment.items():
        monkeypatch.setenv(name, value)
    return running_simulators


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Give the place where requests can be broken."""
    wire = Wire()
    wire.install(monkeypatch)
    yield wire
    gc.collect()  # sockets of processes that seemed to die are nobody else's
