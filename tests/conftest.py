"""Fixtures that every test may ask for."""

import os
from collections.abc import Iterator

import pytest

from dev.azurite import Azurite, program
from dev.azurite import azurite as run_azurite
from dev.process import ChildError
from tests.guarantees import pytest_collection_modifyitems, pytest_terminal_summary

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary"]


@pytest.fixture(scope="session")
def emulator_program() -> str:
    """Find the storage emulator; where it cannot be run, one line says why, and the test run ends.

    A worker of xdist cannot end the run: there, each test that needs the emulator fails with that line.
    """
    try:
        return program()
    except ChildError as error:
        if "PYTEST_XDIST_WORKER" in os.environ:
            pytest.fail(str(error), pytrace=False)
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def storage_emulator(emulator_program: str) -> Iterator[Azurite]:
    """Run one Azurite for this test process, with the app's account and the vision service's."""
    with run_azurite() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def azurite(storage_emulator: Azurite) -> str:
    """Give the connection string of the app's account; use queue, table and container names of your own."""
    return storage_emulator.app
