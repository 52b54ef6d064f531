"""Real events through a real storage emulator: how fast, against a bare loop; how many transactions, and their price."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import requests

from bench import samples
from bench.measure import WALL, Spread, Work, ratio, rounds
from bench.receiver import receiving
from bench.samples import SampleRule
from bench.table import Report, microseconds
from bench.tape import SERVICES, Player, Tape
from dev.azurite import azurite
from dev.demo.costs import ASSUMED, PRICES
from shared import wiring
from shared.actions import Message
from shared.clients import Clients
from shared.clients.identity import managed_identity
from shared.events import digest
from shared.reactor import Reactor
from shared.rules import load
from shared.settings import Settings
from shared.settle import Timing
from shared.storage import ACTIONS_QUEUE, prepare
from shared.storage.account import Account
from shared.storage.records import Records

ROUNDS = 10
A_ROUND = 30
"""Events; all rounds together are the 300 of the bar."""
STARTS = 5

RULE = SampleRule("tell", "RunFailed", {"run.experiment": {"StringIn": ["fraud-train"]}})
HEAD = """version: 1
workspaces: {{fraud: {workspace}}}
channels: {{hook: {{kind: webhook, url: "{url}", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}}}
rules:
  - name: tell
    on: RunFailed
    from: [fraud]
    where: {{run.experiment: {{StringIn: [fraud-train]}}}}
    do: [{{alert: {{channel: hook, title: "{{{{ run.experiment }}}} failed", severity: error}}}}]
"""
FIRST_EVENT = """
import sys
import function_app
function_app.on_ml_event(sys.stdin.read())
print("handed over", flush=True)
"""
WAITING = """version: 1
workspaces: {fraud: WORKSPACE}
rules: [{name: wait, on: RunFailed, do: [wait]}]
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is measured: the emulator, the webhook, the rules."""

    values: Mapping[str, str]
    """The app's environment."""
    account: Account
    ports: Mapping[int, str]

    def reactor(self) -> Reactor:
        """Build the app as Azure would."""
        return wiring.build(Settings.read(self.values))


@contextmanager
def place() -> Iterator[Place]:
    """Run an emulator and a receiver, with 100 rules of which one is for the event that is sent."""
    with azurite() as emulator, receiving() as (url, ca), TemporaryDirectory(prefix="bench-") as folder:
        rules = Path(folder) / "rules.yaml"
        others = samples.write([rule for rule in samples.mixed(120) if "fraud-train" not in str(rule.where)][:99])
        rules.write_text(others.replace("channels:\n", f'channels:\n  hook: {{kind: webhook, url: "{url}"}}\n') + TELL, "utf-8")
        values = {"AzureWebJobsStorage": emulator.app, "REACTOR_RULES": str(rules), "REQUESTS_CA_BUNDLE": str(ca)}
        os.environ["REQUESTS_CA_BUNDLE"] = str(ca)
        account = Account(Settings.read(values).storage, managed_identity)
        prepare(account, "backups")
        urls = {"table": account.tables.url, "queue": account.queues.url, "blob": account.blobs.url}
        yield Place(values, account, {urlsplit(urls[name]).port or 0: name for name in SERVICES})
