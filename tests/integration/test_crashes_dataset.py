"""Whatever dies while a data set is backed up, and kept a second time: it is whole; of a large one, little is held.

The reactor, its handlers and clients are the real ones, over real tables and blobs and over HTTP to the simulated
service; the clock is the test's.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

import function_app
from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.actions import Action
from shared.clients import Clients
from shared.clients.identity import managed_identity
from shared.handlers.backups import collecting, second_dataset
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from shared.storage.records import Records
from tests.integration.keeping import second_container
from tests.integration.labelled import DOMAINS, InTurn, Kept, Labels, service_blob
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
  - name: keep-labels
    on: TrainingCompleted
    do: [backup.vision_dataset: {{second: "${{SECOND}}"}}]
"""
STRIDE = int(os.environ.get("STRIDE", "20"))
"""Beside each write to the backups, every so manieth boundary is crashed at; 1 tries all."""
REPOSITORY = Path(__file__).parents[2]
WRITES = re.compile(r" PUT .*/(backups/|second-)")


@pytest.fixture
def second(storage_emulator: Azurite) -> tuple[ContainerClient, str]:
    """Give a second container, and its URL with a SAS."""
    return second_container(storage_emulator)


@pytest.fixture
def settings(simulators: Simulators, azurite: str, second: tuple[ContainerClient, str]) -> Settings:
    """Give the app's settings, with its tables and containers made."""
    values = {"AzureWebJobsStorage": azurite, "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1", "VISION_KEY": KEY}
    settings = Settings.read(values | {"SECOND": second[1]})
    prepare(Account(settings.storage, managed_identity), settings.backup_container)
    return settings


@dataclass
class Place:
    """A project, and a reactor that is told of its training."""

    labels: Labels
    world: World
    event: str = field(init=False)

    def __post_init__(self) -> None:
        content = {"projectId": self.labels.project, "iterationId": str(uuid4()), "trainingStatus": "TrainingCompleted"}
        self.event = json.dumps({"version": "1.0", "type": "Training", "Content": content})

    @classmethod
    def make(cls, simulators: Simulators, settings: Settings, patch: pytest.MonkeyPatch, wire: Wire) -> "Place":
        """Begin with a project of its own."""
        labels = Labels.begin(simulators, Clients(settings, managed_identity), "multilabel")
        rules = RULES.format(project=labels.project, vision=simulators.vision.url)
        world = World(settings, rules, wire, now=datetime.now(UTC) - timedelta(days=2))
        world.install(patch)
        return cls(labels, world)

    def tell(self) -> None:
        """Bring the notification until it is acknowledged."""
        message = queue_message(Delivery("v1", self.event, visible=self.world.now, sent=self.world.now))
        for _ in range(10):
            try:
                with self.world.wire.watched():
                    function_app.on_vision_notification(message)
            except Crash:
                self.world.now += timedelta(seconds=30)
                continue
            return


def versions(container: ContainerClient, project: str) -> list[Kept]:
    """Find the versions that are whole."""
    names = container.list_blob_names(name_starts_with=f"{project}/datasets/")
    ends = [str(name) for name in names if name.endswith("/manifest.json")]
    return [Kept(container, name.removesuffix("/manifest.json")) for name in ends]


@pytest.mark.guarantee(1, 2, 3)
@pytest.mark.timeout(1800)
def test_a_crash_at_any_boundary(
    simulators: Simulators,
    settings: Settings,
    second: tuple[ContainerClient, str],
    storage_emulator: Azurite,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A crash before or after a request is survived: one version is whole in both containers, with every image."""
    wire = Wire()
    for name, value in {"SLICE": 1, "SECONDS": 0.0, "ThreadPoolExecutor": InTurn}.items():
        monkeypatch.setattr(second_dataset, name, value)
    for name, value in {"PAGE": 2, "SLICE": 1, "SECONDS": 0.0, "ThreadPoolExecutor": InTurn}.items():
        monkeypatch.setattr(collecting, name, value)

    def crashing_at(number: int) -> list[str]:
        simulators.reset()
        place = Place.make(simulators, settings, monkeypatch, wire)
        ids = place.labels.add(2, "apple", "banana") + place.labels.add(1, "banana")
        place.labels.clients.vision.images.page(place.labels.at, place.labels.project, skip=0)
        service_blob(storage_emulator, place.labels.project, ids[1]).delete_blob()
        crash = CrashAt(number)
        wire.boundary = crash
        place.tell()
        place.world.run()
        wire.boundary = lambda _where: None
        try:
            check(place, ids, (own(storage_emulator), second[0]))
        except AssertionError as error:
            raise AssertionError(f"crash at {number}, {crash.seen[number - 1]}: {error}") from error
        return crash.seen

    boundaries = crashing_at(0)
    chosen = [at for at, where in enumerate(boundaries, 1) if at % STRIDE == 0 or WRITES.search(where)]
    assert len(chosen) > 20
    for number in chosen:
        crashing_at(number)


def check(place: Place, ids: list[str], containers: tuple[ContainerClient, ...]) -> None:
    """See that the action succeeded, and that what it kept is right in both containers."""
    assert list(place.world.records.list_open()) == []
    assert place.world.poisoned == 0
    for container in containers:
        (kept,) = versions(container, place.labels.project)
        kept.check()
        assert [one["file_name"].partition(".")[0] for one in kept.coco["images"]] == [ids[0], ids[2]]
        assert [one["label"] for one in kept.lines] == [["apple", "banana"], ["banana"]]
        assert [one["id"] for one in kept.manifest["missing"]] == [ids[1]]
        assert kept.manifest["changed"] == ""


def own(emulator: Azurite) -> ContainerClient:
    """Give the app's container of backups."""
    return BlobServiceClient.from_connection_string(emulator.app).get_container_client("backups")


# -- a large project --------------------------------------------------------------------------------------------------

IMAGES = int(os.environ.get("IMAGES", "2500"))
FILES = ("coco.json", "train.jsonl", "MLTable", "manifest.json")
MIB = 1024
"""KiB."""


@pytest.mark.timeout(900)
def test_a_large_project_is_not_held_in_memory(
    simulators: Simulators,
    settings: Settings,
    second: tuple[ContainerClient, str],
    storage_emulator: Azurite,
    requests_log: Path,
) -> None:
    """Thousands of images, kept twice: neither memory nor the record grows with them; what was killed goes on."""
    project, (domain, _) = str(uuid4()), DOMAINS["detection"]
    images = {"count": IMAGES, "tags": ["apple", "banana"], "size": [32, 32]}
    simulators.vision.seed(
        projects=[{"id": project, "name": "fruit", "settings": {"domainId": domain}, "images": images}],
        settings={"artifacts": True},
    )
    content = {"projectId": project, "iterationId": str(uuid4()), "trainingStatus": "TrainingCompleted"}
    event = json.dumps({"version": "1.0", "type": "Training", "Content": content})
    rules = RULES.format(project=project, vision=simulators.vision.url)
    told = {"rules": rules, "now": datetime.now(UTC).isoformat()}
    records = World(settings, rules, Wire()).records
    for row in records.list_open():
        records.close(row.what, row.key)
    assert in_a_process(settings, told | {"event": event, "dies_after": 8, "dies_at": "/train.jsonl"}) is None

    begun, read = listings(requests_log, project)
    assert begun[-1] >= 5 * collecting.PAGE
    assert begun[-1] < read <= begun[-1] + collecting.PAGE
    assert len(json.dumps(open_action(records).progress[-1].memory)) < 1024

    held = in_a_process(settings, told)
    assert held is not None
    assert held["last"] - held["first"] < 32 * MIB, held
    begun_again, read_again = listings(requests_log, project)
    assert begun_again[len(begun)] == begun[-1]
    assert read_again <= IMAGES + collecting.PAGE

    (kept,) = versions(own(storage_emulator), project)
    coco, lines, manifest = kept.coco, kept.lines, kept.manifest
    assert len({one["file_name"] for one in coco["images"]}) == len(lines) == manifest["images"] == IMAGES
    assert (manifest["lost"], manifest["changed"], len(coco["annotations"])) == (0, "", IMAGES)
    (again,) = versions(second[0], project)
    assert [again.read(name) for name in FILES] == [kept.read(name) for name in FILES]
    assert sizes(again.container, project) == sizes(kept.container, project)


def sizes(container: ContainerClient, project: str) -> dict[str, int]:
    """Give the sizes of a project's images."""
    return {str(one.name): one.size for one in container.list_blobs(name_starts_with=f"{project}/images/")}


def listings(log: Path, project: str) -> tuple[list[int], int]:
    """Give where each listing of a project's images began, and how many images were read."""
    seen = [json.loads(line)["url"] for line in log.read_text("utf-8").splitlines() if project in line]
    begun = [parse_qs(urlsplit(url).query).get("skip") for url in seen if "/images?" in url]
    return [int(skip[0]) for skip in begun if skip], sum("/artifacts?" in url for url in seen)


def in_a_process(settings: Settings, told: dict[str, Any]) -> dict[str, int] | None:
    """Run the reactor in a process of its own; None where it died."""
    command = [sys.executable, "-m", "tests.integration.killable", json.dumps(told)]
    ended = subprocess.run(
        command, env={**os.environ, **settings.values}, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert ended.returncode in (0, 9), ended.stderr
    return None if ended.returncode else json.loads(ended.stdout)


def open_action(records: Records) -> Action:
    """Read the action that is under way."""
    (row,) = [row for row in records.list_open() if row.what == "action"]
    found = records.read_action(row.key)
    assert found is not None
    return found
