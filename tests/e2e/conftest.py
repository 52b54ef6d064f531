"""Fixtures of the end-to-end tests."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def emulator_can_run(emulator_program: str) -> None:
    """Have the stack's emulator looked for before a stack is started."""
