"""Whatever dies while a model is rolled out: the traffic ends where it should, and the work is done once.

The reactor, its handlers and clients are the real ones, over real tables and over HTTP to the simulated service; the
clock is the test's.
"""

import json
import os
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import function_app
from dev.simulators.remote import Simulators
from shared.actions import Status
from shared.clients.identity import managed_identity
from shared.handlers.machine_learning.serving import deployment_name
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from tests.integration.world import Crash, CrashAt, Wire, World

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

WS = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml/providers/"
    "Microsoft.MachineLearningServices/workspaces/fraud"
)
EP = f"{WS}/onlineEndpoints/fraud"
RULES = f"""
version: 1
workspaces: {{fraud: {WS}}}
rules:
  - name: deploy
    on: ModelRegistered
    do:
      - deploy.online_endpoint:
          endpoint: fraud
          traffic: [10, 100]
          wait: 30s
          keep_old: 1h
          sample: {{input_data: [[1]]}}
"""


def named(version: str) -> str:
    """Name the deployment of a version."""
    return deployment_name("fraud-gbm", version, f"{WS}/models/fraud-gbm/versions/{version}")


OLD, NEW = named("11"), named("12")
STRIDE = int(os.environ.get("STRIDE", "20"))
"""Beside each write to the service, every so manieth boundary is crashed at; 1 tries all, for a quarter of an hour."""
WRITES = re.compile(r" (PUT|DELETE|POST) .*/onlineEndpoints/")


@pytest.fixture
def settings(simulators: Simulators, azurite: str) -> Settings:
    """Give the app's settings, with its tables made."""
    values = {
        "AzureWebJobsStorage": azurite,
        "REACTOR_ARM_ENDPOINT": simulators.management.url,
        "REACTOR_ML_HOSTS": "127.0.0.1",
    }
    settings = Settings.read(values)
    prepare(Account(settings.storage, managed_identity), settings.backup_container)
    return settings


@dataclass(frozen=True)
class Story:
    """What is seeded, and what must have come of the registration."""

    seed: dict[str, Any]
    status: Status
    traffic: dict[str, int]
    deployments: set[str]
    maps: list[dict[str, int]]
    """The traffic that was set, in turn, however often each."""


STORIES = {
    "rolled out": Story(
        seed={"traffic_seen": [{"deployment": NEW, "requests": 50}]},
        status=Status.SUCCEEDED,
        traffic={NEW: 100},
        deployments={NEW},
        maps=[{OLD: 90, NEW: 10}, {NEW: 100}],
    ),
    "rolled back": Story(
        seed={"traffic_seen": [{"deployment": NEW, "requests": 50, "failures": 9}]},
        status=Status.FAILED,
        traffic={OLD: 100},
        deployments={OLD},
        maps=[{OLD: 90, NEW: 10}, {OLD: 100}],
    ),
    "never ready": Story(
        seed={"provisioning": [{"name": NEW, "outcome": "Failed", "message": "no", "n": 99}]},
        status=Status.FAILED,
        traffic={OLD: 100},
        deployments={OLD},
        maps=[],
    ),
}


def begin(simulators: Simulators, story: Story) -> None:
    """Put the service where the story begins: version 11 serves."""
    simulators.reset()
    flavors: dict[str, Any] = {"python_function": {"data": {}}}
    created = {"11": "2026-01-01T00:00:00Z", "12": "2026-02-01T00:00:00Z", "13": "2026-03-01T00:00:00Z"}
    simulators.management.seed(
        settings={"provisioning_seconds": 0},
        models=[
            {"id": f"{WS}/models/fraud-gbm/versions/{version}", "flavors": flavors, "createdAt": at}
            for version, at in created.items()
        ],
        online_endpoints=[
            {
                "id": EP,
                "traffic": {OLD: 100},
                "deployments": [{"name": OLD, "model": f"{WS}/models/fraud-gbm/versions/11"}],
            }
        ],
    )
    simulators.management.seed(**story.seed)


def registered(version: str = "12") -> str:
    """Write the registration of a version, with an id of its own."""
    data = {"modelName": "fraud-gbm", "modelVersion": version, "modelTags": {}, "modelProperties": {}}
    event = {
        "id": str(uuid.uuid4()),
        "topic": WS,
        "subject": f"models/fraud-gbm:{version}",
        "eventType": "Microsoft.MachineLearningServices.ModelRegistered",
        "eventTime": "2026-11-22T08:15:04Z",
        "data": data,
        "dataVersion": "2",
        "metadataVersion": "1",
    }
    return json.dumps(event)


def play(world: World, event: str) -> None:
    """Bring the event until it is acknowledged, then let everything follow from it."""
    for _ in range(10):
        try:
            with world.wire.watched():
                function_app.on_ml_event(event)
        except Crash:
            world.now += timedelta(seconds=30)
            continue
        break
    world.run()


def check(world: World, simulators: Simulators, story: Story, event: str) -> None:
    """See that every action ended as it should, and what is served and there is what should be."""
    assert list(world.records.list_open()) == []
    assert world.poisoned == 0
    record = world.records.read_event(world.event_key(event))
    assert record is not None
    action = world.records.read_action(record.plan[0].key)
    assert action is not None
    assert action.status is story.status, action.reason
    resources: dict[str, Any] = simulators.management.state()["resources"]
    (endpoint,) = [one for name, one in resources.items() if name.lower() == EP.lower()]
    assert endpoint["properties"]["traffic"] == story.traffic
    assert {one["name"] for name, one in resources.items() if f"{EP}/deployments/".lower() in name.lower()} == (
        story.deployments
    )
    puts = simulators.management.seen("PUT", "/onlineEndpoints/fraud?")
    maps = [json.loads(put["body"])["properties"]["traffic"] for put in puts if put["status"] < 300]
    assert [one for at, one in enumerate(maps) if one not in maps[:at]] == story.maps


@pytest.mark.guarantee(2, 3)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", STORIES)
def test_a_crash_at_any_boundary(
    name: str, simulators: Simulators, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash before or after a request of a rollout is survived: it ends as if there had been none."""
    story, wire = STORIES[name], Wire()

    def crashing_at(number: int) -> list[str]:
        begin(simulators, story)
        world = World(settings, RULES, wire, now=datetime.now(UTC) - timedelta(days=2))
        world.install(monkeypatch)
        event, crash = registered(), CrashAt(number)
        world.wire.boundary = crash
        play(world, event)
        world.wire.boundary = lambda _where: None
        try:
            check(world, simulators, story, event)
        except AssertionError as error:
            raise AssertionError(f"crash at {number}, {crash.seen[number - 1]}: {error}") from error
        return crash.seen

    boundaries = crashing_at(0)
    chosen = [at for at, where in enumerate(boundaries, 1) if at % STRIDE == 0 or WRITES.search(where)]
    assert len(chosen) > 10
    for number in chosen:
        crashing_at(number)


def test_what_a_rollout_asks_of_the_service(
    simulators: Simulators, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps, each looked at twice, and the retirement: 33 that read, beside quotas, and four that write."""
    begin(simulators, STORIES["rolled out"])
    world = World(settings, RULES, Wire(), now=datetime.now(UTC) - timedelta(days=2))
    world.install(monkeypatch)
    play(world, registered())
    asked = simulators.management.seen()
    assert len([one for one in asked if one["method"] == "GET" and "/usages?" not in one["url"]]) == 33
    assert [one["method"] for one in asked if one["method"] != "GET"] == ["PUT", "PUT", "PUT", "DELETE"]
    assert len(simulators.inference.seen()) == 1


@pytest.mark.guarantee(4)
@pytest.mark.parametrize("order", [("12", "13"), ("13", "12")])
def test_two_versions_at_once(
    order: tuple[str, str], simulators: Simulators, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has the endpoint, the other waits until it has ended; whoever comes first, the newer one is live."""
    begin(simulators, STORIES["rolled out"])
    world = World(settings, RULES, Wire(), now=datetime.now(UTC) - timedelta(days=2))
    world.install(monkeypatch)
    events = [registered(version) for version in order]
    for event in events:
        function_app.on_ml_event(event)
    world.run()
    records = [world.records.read_event(world.event_key(event)) for event in events]
    actions = [world.records.read_action(record.plan[0].key) for record in records if record]
    ended = [action.status if action else None for action in actions]
    older_comes_later = order == ("13", "12")
    assert ended == [Status.SUCCEEDED, Status.SKIPPED if older_comes_later else Status.SUCCEEDED]
    resources: dict[str, Any] = simulators.management.state()["resources"]
    (endpoint,) = [one for name, one in resources.items() if name.lower() == EP.lower()]
    assert endpoint["properties"]["traffic"] == {named("13"): 100}
    puts = simulators.management.seen("PUT", "/onlineEndpoints/fraud?")
    maps = [json.loads(put["body"])["properties"]["traffic"] for put in puts]
    steps = [{OLD: 90, named("13"): 10}, {named("13"): 100}]
    first = [{OLD: 90, NEW: 10}, {NEW: 100}]
    assert maps == (steps if older_comes_later else [*first, {NEW: 90, named("13"): 10}, {named("13"): 100}])
