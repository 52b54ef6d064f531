"""Fixtures that every test may ask for."""

from collections.abc import Iterator

import pytest

from dev.azurite import Azurite
from dev.azurite import azurite as run_azurite
from tests.guarantees import pytest_collection_modifyitems, pytest_terminal_summary

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary"]


@pytest.fixture(scope="session")
def storage_emulator() -> Iterator[Azurite]:
    """Run one Azurite for this test process, with the app's account and the vision service's."""
    with run_azurite() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def azurite(storage_emulator: Azurite) -> str:
    """Give the connection string of the app's account; use queue, table and container names of your own."""
    return storage_emulator.app
