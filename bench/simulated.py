"""The simulated services in a process of their own, for what is measured against them."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from dev.azurite import Azurite
from dev.process import Child


@dataclass(frozen=True)
class Simulated:
    """Where the training service is."""

    vision: str
    ca: str
    log: Path
    """One line of JSON for each request."""

    def seed(self, **given: Any) -> None:
        """Have it hold projects, or behave in some way."""
        requests.post(f"{self.vision}/_seed", json=given, verify=self.ca, timeout=60).raise_for_status()


@contextmanager
def simulators(storage: Azurite) -> Iterator[Simulated]:
    """Run them for as long as the context lasts."""
    with TemporaryDirectory(prefix="bench-") as folder:
        ready, log = Path(folder) / "ready.json", Path(folder) / "requests.jsonl"
        command = [sys.executable, "-m", "dev.simulators", "--ready", str(ready), "--log", str(log)]
        command += ["--storage", storage.app, "--service-storage", storage.service]
        child = Child("simulators", command, log=Path(folder) / "simulators.log")
        try:
            child.wait_for(lambda: ready.exists() or None)
            facts = json.loads(ready.read_text("utf-8"))
            yield Simulated(facts["vision"], facts["ca"], log)
        finally:
            child.stop()
