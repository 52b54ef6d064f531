"""The simulators run as a process of their own, as the stack starts them."""

import json
import sys
from pathlib import Path

import pytest

from dev.azurite import Azurite
from dev.process import Child
from dev.simulators.remote import Simulators


@pytest.fixture
def command(storage_emulator: Azurite, tmp_path: Path) -> list[str]:
    """Give the command line that the stack uses."""
    return [
        *(sys.executable, "-m", "dev.simulators", "--storage", storage_emulator.app),
        *("--service-storage", storage_emulator.service, "--log", str(tmp_path / "requests.jsonl")),
        *("--ready", str(tmp_path / "ready.json"), "--functions", "http://127.0.0.1:9"),
    ]


def test_they_start_say_where_they_are_and_end_on_sigterm(command: list[str], tmp_path: Path) -> None:
    """The ready file holds every address, Event Grid delivers to the app, and SIGTERM ends with 0."""
    ready = tmp_path / "ready.json"
    child = Child("simulators", command, log=tmp_path / "simulators.log")
    try:
        child.wait_for(lambda: ready.exists() or None)
        facts = json.loads(ready.read_text())
        simulators = Simulators.read(ready)
        assert set(facts) == {
            *("management", "inference", "vision", "vision_replica", "language", "language_replica"),
            *("channels", "event_grid", "identity", "entra"),
            *("identity_header", "smtp", "ca"),
        }
        [subscription] = simulators.event_grid.state()["subscriptions"]
        simulators.reset()
        assert simulators.event_grid.state()["subscriptions"] == [subscription]
        assert subscription["endpoint"].startswith("http://127.0.0.1:9/runtime/webhooks/EventGrid")
    finally:
        child.stop()
    assert child.process.returncode == 0, child.tail()
    assert child.tail() == ""
