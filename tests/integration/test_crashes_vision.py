"""Whatever dies while a Custom Vision model is trained, goes live and is kept: it happens once, and ends as it should.

The reactor, its handlers and clients are the real ones, over real tables, blobs and queues and over HTTP to the
simulated service; the clock is the test's.
"""

import os
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient

import function_app
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY, PREDICTION_KEY
from shared.actions import Action, Status
from shared.clients.identity import managed_identity
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from tests.integration.making import registered
from tests.integration.world import Crash, CrashAt, Delivery, Wire, World, queue_message

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

WS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/fraud"
PREDICTION = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/fruit-Prediction"
OLD = "11111111-1111-4111-8111-111111111111"
STRIDE = int(os.environ.get("STRIDE", "20"))
"""Beside each write to the service, every so manieth boundary is crashed at; 1 tries all."""
WRITES = re.compile(r" (PUT|DELETE|POST|PATCH) .*/customvision/")

RULES = """
version: 1
workspaces: {{fraud: {workspace}}}
vision:
  fruit:
    project: {project}
    training: {{endpoint: "{vision}", key: "${{VISION_KEY}}"}}
    prediction: {{resource: {prediction}, endpoint: "{vision}", key: "${{PREDICTION_KEY}}"}}
rules:
  - name: work
    on: ModelRegistered
    do: {do}
"""
LEARN = """
      - train.vision: {id: train, project: fruit}
      - gate:
          project: fruit
          iteration: "{{ steps.train.iteration }}"
          metric: recall
          at_least: 0.5
          better_than: live
      - publish.vision: {project: fruit, iteration: "{{ steps.train.iteration }}", name: shop}
      - export.vision: {project: fruit, iteration: "{{ steps.train.iteration }}", platforms: [ONNX]}
      - backup.vision_export: {project: fruit, iteration: "{{ steps.train.iteration }}"}
      - prune.vision: {project: fruit, keep: 1}
"""


@dataclass
class Place:
    """A project of its own, and how to look at what became of it."""

    simulators: Simulators
    storage: str
    project: str = field(default_factory=lambda: str(uuid.uuid4()))

    def rules(self, do: str) -> str:
        """Write the rules file."""
        return RULES.format(
            workspace=WS,
            project=self.project,
            vision=self.simulators.vision.url,
            prediction=PREDICTION,
            do=do,
        )

    def begin(self, **settings: Any) -> None:
        """Put the service where the story begins: an older iteration is live, and new images are there."""
        self.simulators.reset()
        old = {
            "id": OLD,
            "publishName": "shop",
            "originalPublishResourceId": PREDICTION,
            "trainedAt": "2026-01-01T00:00:00Z",
            "created": "2026-01-01T00:00:00Z",
            "performance": {"recall": 0.6, "precision": 0.6, "averagePrecision": 0.6},
        }
        project = {
            "id": self.project,
            "name": "fruit",
            "tags": ["apple", "banana"],
            "images": {"count": 20, "tags": ["apple", "banana"], "size": [32, 32]},
            "iterations": [old],
        }
        at_once = {"training_seconds": 0, "export_seconds": 0}
        self.simulators.vision.seed(projects=[project], settings=at_once | settings)

    @property
    def iterations(self) -> dict[str, dict[str, Any]]:
        """Give the iterations that there are now."""
        projects = self.simulators.vision.state()["projects"]
        (found,) = [one["iterations"] for one in projects if one["id"] == self.project]
        return {one["id"]: one for one in (found.values() if isinstance(found, dict) else found)}

    @property
    def live(self) -> list[str]:
        """List the iterations that are published as `shop`."""
        return [id for id, one in self.iterations.items() if one["publishName"] == "shop"]

    def kept(self) -> list[str]:
        """List the manifests of the project's backups."""
        container = BlobServiceClient.from_connection_string(self.storage).get_container_client("backups")
        return [
            name for name in container.list_blob_names(name_starts_with=self.project) if name.endswith("manifest.json")
        ]


Check = Callable[[Place, Action], None]


def learnt(place: Place, action: Action) -> None:
    """See that one new iteration is live, exported and kept, and the old one is gone."""
    assert action.status is Status.SUCCEEDED, action.reason
    (new,) = place.iterations
    assert new != OLD
    assert place.live == [new]
    assert [(one["platform"], one["status"]) for one in place.iterations[new]["exports"]] == [("ONNX", "Done")]
    assert len([name for name in place.kept() if new in name]) == 1
    assert [one["status"] for one in place.simulators.vision.seen("POST", f"/{place.project}/train?")].count(200) == 1


def put_back(place: Place, action: Action) -> None:
    """See that the old iteration is live again, and the new one is trained and not published."""
    assert action.status is Status.FAILED, action.reason
    assert place.live == [OLD]
    assert len(place.iterations) == 2


@dataclass(frozen=True)
class Story:
    """What a rule does, what is different about the service, and what must come of it."""

    do: str
    check: Check
    settings: dict[str, Any] = field(default_factory=dict)
    prediction_key: str = PREDICTION_KEY
    """What the app has for the key of the prediction resource."""


STORIES = {
    "learnt": Story(LEARN, learnt),
    "put back": Story(LEARN, put_back, prediction_key="an-old-key"),
}


@pytest.fixture
def place(simulators: Simulators, azurite: str) -> Place:
    """Give the services."""
    return Place(simulators, azurite)


def settings_of(place: Place, prediction_key: str) -> Settings:
    """Give the app's settings, with its tables made."""
    values = {
        "AzureWebJobsStorage": place.storage,
        "VISION_KEY": KEY,
        "PREDICTION_KEY": prediction_key,
        "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1",
    }
    settings = Settings.read(values)
    prepare(Account(settings.storage, managed_identity), settings.backup_container)
    return settings


def play(world: World, event: str) -> Action:
    """Bring the event until it is acknowledged, let everything follow from it, and give its action."""
    for _ in range(10):
        try:
            with world.wire.watched():
                function_app.on_ml_message(queue_message(Delivery("e", event, world.now, world.now)))
        except Crash:
            continue
        break
    world.run()
    record = world.records.read_event(world.event_key(event))
    assert record is not None
    action = world.records.read_action(record.plan[0].key)
    assert action is not None
    return action


@pytest.mark.guarantee(2, 3)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", STORIES)
def test_a_crash_at_any_boundary(name: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash before or after a request is survived: it ends as if there had been none."""
    story, wire = STORIES[name], Wire()
    settings = settings_of(place, story.prediction_key)

    def crashing_at(number: int) -> list[str]:
        place.project = str(uuid.uuid4())
        place.begin(**story.settings)
        world = World(settings, place.rules(story.do), wire)
        world.install(monkeypatch)
        crash = CrashAt(number)
        world.wire.boundary = crash
        action = play(world, registered(f"m-{uuid.uuid4().hex[:8]}", topic=WS))
        world.wire.boundary = lambda _where: None
        try:
            assert list(world.records.list_open()) == []
            assert world.poisoned == 0
            story.check(place, action)
        except AssertionError as error:
            raise AssertionError(f"crash at {number}, {crash.seen[number - 1]}: {error}") from error
        return crash.seen

    boundaries = crashing_at(0)
    chosen = [at for at, where in enumerate(boundaries, 1) if at % STRIDE == 0 or WRITES.search(where)]
    assert len(chosen) > 10
    for number in chosen:
        crashing_at(number)
