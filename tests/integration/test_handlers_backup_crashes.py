"""Whatever dies while a backup is made, kept a second time, and an old one is deleted: it ends as if nothing had died.

The reactor, its handlers and clients are the real ones, over real storage of two accounts and HTTP to the simulated
service; the clock is the test's.
"""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.storage.blob import ContainerClient

import function_app
from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.actions import Status
from shared.clients.identity import managed_identity
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from tests.integration.keeping import COMPLETED, second_container, several
from tests.integration.world import Crash, CrashAt, Delivery, Wire, World, queue_message

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

RULES = """
version: 1
vision:
  fruit:
    project: {project}
    training: {{endpoint: "{vision}", key: "${{VISION_KEY}}"}}
rules:
  - name: keep
    on: ExportCompleted
    do:
      - backup.vision_export: {{second: "${{SECOND}}"}}
      - prune.backups: {{keep: 1, second: "${{SECOND}}"}}
"""
STRIDE = int(os.environ.get("STRIDE", "20"))
"""Beside each write to the stores, every so manieth boundary is crashed at; 1 tries all, for some minutes."""
WRITES = re.compile(r" (PUT|DELETE) .*/(backups|second)-")
SENT = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)


class Place:
    """A project with an old backup of one iteration, and an export of another that is announced."""

    def __init__(self, simulators: Simulators, emulator: Azurite) -> None:
        self.project, self.old, self.new = (str(uuid4()) for _ in range(3))
        simulators.reset()
        several(simulators, self.project, [{"id": self.new}])
        self.container, url = second_container(emulator)
        values = {
            "AzureWebJobsStorage": emulator.app,
            "REACTOR_BACKUP_CONTAINER": f"backups-{uuid4().hex}",
            "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1",
            "VISION_KEY": KEY,
            "SECOND": url,
        }
        self.settings = Settings.read(values)
        account = Account(self.settings.storage, managed_identity)
        prepare(account, self.settings.backup_container)
        self.own = account.blobs.get_container_client(self.settings.backup_container)
        self.rules = RULES.format(project=self.project, vision=simulators.vision.url)
        for store in (self.own, self.container):
            for name in ("model.zip", "manifest.json"):
                store.upload_blob(f"{self.project}/{self.old}/ONNX/default/{name}", b"old")

    def event(self) -> str:
        """Write the notification."""
        event = json.loads(json.dumps(COMPLETED))
        event["Content"] |= {"projectId": self.project, "iterationId": self.new}
        return json.dumps(event)

    def check(self, world: World) -> None:
        """See that the new backup is whole in both stores, the old one gone from both, and nothing left to be done."""
        assert list(world.records.list_open()) == []
        assert world.poisoned == 0
        (key,) = self.actions
        action = world.records.read_action(key)
        assert action is not None
        assert action.status is Status.SUCCEEDED, action.reason
        folder = f"{self.project}/{self.new}/ONNX/default"
        for store in (self.own, self.container):
            assert names(store) == {f"{folder}/model.zip", f"{folder}/manifest.json"}
        for name in ("model.zip", "manifest.json"):
            mine, theirs = (one.download_blob(f"{folder}/{name}").readall() for one in (self.own, self.container))
            assert mine == theirs
            assert mine

    def play(self, world: World) -> None:
        """Bring the event until it is acknowledged, then let everything follow from it."""
        for _ in range(10):
            try:
                with world.wire.watched():
                    function_app.on_vision_notification(
                        queue_message(Delivery("v1", self.event(), visible=SENT, sent=SENT))
                    )
            except Crash:
                world.now += timedelta(seconds=30)
                continue
            break
        self.actions = {row.key for row in world.records.list_open() if row.what == "action"}
        world.run()


def names(store: ContainerClient) -> set[str]:
    """Name what is in a store."""
    return set(store.list_blob_names())


@pytest.mark.guarantee(2, 3)
@pytest.mark.timeout(600)
def test_a_crash_at_any_boundary(
    simulators: Simulators, storage_emulator: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash before or after a request of a backup, of its second copy and of its pruning is survived."""
    wire = Wire()

    def crashing_at(number: int) -> list[str]:
        place = Place(simulators, storage_emulator)
        world = World(place.settings, place.rules, wire)
        world.install(monkeypatch)
        crash = CrashAt(number)
        world.wire.boundary = crash
        place.play(world)
        world.wire.boundary = lambda _where: None
        try:
            place.check(world)
        except AssertionError as error:
            where = crash.seen[number - 1] if number else "no crash"
            raise AssertionError(f"crash at {number}, {where}: {error}") from error
        return crash.seen

    boundaries = crashing_at(0)
    chosen = [at for at, where in enumerate(boundaries, 1) if at % STRIDE == 0 or WRITES.search(where)]
    assert len(chosen) > 20
    for number in chosen:
        crashing_at(number)
