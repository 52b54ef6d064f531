"""Whatever dies, comes twice, comes late or is never answered: every action ends, and does its work once.

The doors, the reactor, its clients and handlers are the real ones, as are the tables and blobs (Azurite) and the
HTTP of the simulated services. A crash is a BaseException at the wire.
"""

import hashlib
import json
import os
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import requests
from azure.storage.blob import BlobServiceClient

import function_app
from dev.azurite import Azurite
from dev.simulators.channels import SECRET
from dev.simulators.start import Running, start
from shared.errors import TemporaryError
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from tests.integration import ml_stories
from tests.integration.world import (
    LEASE,
    Crash,
    CrashAt,
    Delivery,
    Wire,
    Workers,
    World,
    queue_message,
    worth_a_crash,
)

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml/providers"
WORKSPACE = f"{SUBSCRIPTION}/Microsoft.MachineLearningServices/workspaces/fraud"
FACTORY = f"{SUBSCRIPTION}/Microsoft.DataFactory/factories/etl"

RULES = """
version: 1
workspaces: {{fraud: {workspace}}}
factories: {{etl: {factory}}}
vision:
  fruit:
    project: {project}
    training: {{endpoint: "{vision}", key: "${{VISION_KEY}}"}}
channels:
  hook: {{kind: webhook, url: "{channels}/hooks/ops", secret: "${{HOOK_SECRET}}"}}
rules:
  - name: retrain
    on: DriftDetected
    do:
      - run.data_factory: {{factory: etl, pipeline: retrain, parameters: {{signal: "{{{{ drift.signal }}}}"}}}}
      - alert: {{channel: hook, title: "retrained after {{{{ drift.signal }}}}"}}
  - name: deploy
    on: ModelRegistered
    where: {{data.modelTags.stage: {{StringIn: [production]}}}}
    do: [deploy.batch_endpoint: {{endpoint: fraud-batch, compute: cpu}}]
  - name: back-up
    on: ExportCompleted
    do: [backup.vision_export]
  - name: fail
    on: ModelRegistered
    where: {{data.modelTags.stage: {{StringIn: [broken]}}}}
    do: [deploy.batch_endpoint: {{endpoint: broken-batch, compute: cpu}}]
    on_failure: [alert: {{channel: hook, title: "could not deploy: {{{{ failure.step }}}}"}}]
  - name: tell
    on: [ActionSucceeded, ActionFailed]
    where:
      action.rule: {{StringIn: [retrain, deploy, back-up, fail, go-live, train, score]}}
      action.steps.retire: {{IsNullOrUndefined: true}}
    do: [alert: {{channel: hook, title: "{{{{ action.rule }}}} {{{{ action.status }}}}"}}]
"""


@dataclass(frozen=True)
class Place:
    """The services of one test run, and how to look at what was done to them."""

    ready: dict[str, str]
    app_storage: str
    settings: Settings
    rules: str
    project: str

    def get(self, simulator: str, page: str) -> Any:
        """Read a simulator's state."""
        return requests.get(f"{self.ready[simulator]}/{page}", verify=self.ready["ca"], timeout=60).json()

    def post(self, simulator: str, page: str, body: Any = None) -> None:
        """Seed a simulator."""
        answer = requests.post(f"{self.ready[simulator]}/{page}", json=body or {}, verify=self.ready["ca"], timeout=60)
        assert answer.ok, answer.text

    def begin(self) -> None:
        """Put the simulators where every story begins."""
        for simulator in ("management", "inference", "vision", "channels"):
            self.post(simulator, "_reset")
        self.post(
            "management",
            "_seed",
            {
                "settings": {"provisioning_seconds": 0, "queued_seconds": 0},
                "workspaces": [{"id": WORKSPACE, "location": "westeurope"}],
                "models": [
                    {"id": f"{WORKSPACE}/models/fraud-gbm/versions/12", "tags": {"stage": "production"}},
                    {"id": f"{WORKSPACE}/models/broken/versions/1", "tags": {"stage": "broken"}},
                ],
                "provisioning": [  # however often it is asked for
                    {"name": "broken-v1", "outcome": "Failed", "code": "BadArgument", "message": "no", "n": 99}
                ],
                "computes": [{"id": f"{WORKSPACE}/computes/cpu"}],
                "pipelines": [
                    {
                        "id": f"{FACTORY}/pipelines/retrain",
                        "seconds": 0,
                        "parameters": {"reactor_action": {"type": "String"}, "signal": {"type": "String"}},
                    }
                ],
            },
        )
        self.post("management", "_seed", ml_stories.MANAGEMENT)
        self.post("inference", "_seed", ml_stories.INFERENCE)


@pytest.fixture(scope="module")
def running(storage_emulator: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run the simulators in this process."""
    folder = tmp_path_factory.mktemp("simulators")
    simulators = start(
        storage=storage_emulator.app,
        service_storage=storage_emulator.service,
        log=folder / "requests.jsonl",
        ca=folder / "ca.pem",
    )
    yield simulators
    simulators.stop()


@pytest.fixture
def place(running: Running, storage_emulator: Azurite, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Give the services, seeded, and the environment that the app is to find them by."""
    ready, project = running.ready, str(uuid.uuid4())
    values = {
        "AzureWebJobsStorage": storage_emulator.app,
        "REACTOR_ARM_ENDPOINT": ready["management"],
        "REACTOR_ML_HOSTS": "127.0.0.1",
        "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1",
        "VISION_KEY": "simulated-training-key",
        "HOOK_SECRET": SECRET,
    }
    monkeypatch.setenv("IDENTITY_ENDPOINT", ready["identity"])
    monkeypatch.setenv("IDENTITY_HEADER", ready["identity_header"])
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ready["ca"])
    settings = Settings.read(values)
    prepare(Account(settings.storage, lambda _client: None), settings.backup_container)  # type: ignore[arg-type,return-value] # a connection string needs no credential
    rules = (RULES + ml_stories.RULES).format(
        workspace=WORKSPACE, factory=FACTORY, project=project, vision=ready["vision"], channels=ready["channels"]
    )
    place = Place(ready, storage_emulator.app, settings, rules, project)
    place.begin()
    return place


# -- the stories ------------------------------------------------------------------------------------------------------


BREACH = {
    "azureml_modelmonitor_threshold_breached": "The signal 'credit_data_drift' has failed due to one or more features "
    "violating metric thresholds."
}


def drift_event(place: Place) -> str:
    """Seed a monitor's run that found a breach, and write the event of it."""
    run = uuid.uuid4().hex
    seeded = {"id": f"{WORKSPACE}/jobs/{run}", "status": "Failed", "tags": BREACH}
    place.post("management", "_seed", {"jobs": [seeded]})
    return run_event("fraud-monitor", "Failed", BREACH, run)


def run_event(experiment: str, status: str, tags: dict[str, str], run: str) -> str:
    """Write that a run's status changed."""
    data = {
        "experimentId": "e",
        "experimentName": experiment,
        "runId": run,
        "runType": "azureml.PipelineRun",
        "runTags": tags,
        "runProperties": {},
        "runStatus": status,
    }
    return event_grid("RunStatusChanged", "experiments/e/runs/r", data)


def completed(experiment: str) -> Callable[[Place], str]:
    """Make what writes that a run of an experiment is over."""
    return lambda _place: run_event(experiment, "Completed", {}, uuid.uuid4().hex[:12])


def live_event(name: str) -> Callable[[Place], str]:
    """Make what writes the registration of a model that is to go live."""
    return lambda _place: registered(name, "2", "live")


def model_event(_place: Place) -> str:
    """Write the registration of a model that is to be deployed."""
    return registered("fraud-gbm", "12", "production")


def broken_event(_place: Place) -> str:
    """Write the registration of a model whose deployment fails."""
    return registered("broken", "1", "broken")


def registered(name: str, version: str, stage: str) -> str:
    """Write the registration of a model."""
    data = {"modelName": name, "modelVersion": version, "modelTags": {"stage": stage}, "modelProperties": {}}
    return event_grid("ModelRegistered", f"models/{name}:{version}", data)


def event_grid(kind: str, subject: str, data: dict[str, Any]) -> str:
    """Write an event in Event Grid's schema, with an id of its own."""
    event = {
        "id": str(uuid.uuid4()),
        "topic": WORKSPACE,
        "subject": subject,
        "eventType": f"Microsoft.MachineLearningServices.{kind}",
        "eventTime": "2026-11-22T08:15:04.1184021Z",
        "data": data,
        "dataVersion": "2",
        "metadataVersion": "1",
    }
    return json.dumps(event)


def export_event(place: Place) -> str:
    """Seed a finished export, and write the notification of it."""
    iteration = str(uuid.uuid4())
    exports = [{"platform": "ONNX", "flavor": None, "status": "Done", "bytes": 4096}]
    done = {"id": iteration, "name": "Iteration 1", "status": "Completed", "exportableTo": ["ONNX"], "exports": exports}
    place.post(
        "vision", "_seed", {"projects": [{"id": place.project, "name": "fruit", "settings": {}, "iterations": [done]}]}
    )
    content = {"projectId": place.project, "iterationId": iteration, "exportStatus": "ExportCompleted"}
    return json.dumps(
        {"version": "1.0", "type": "Export", "Content": content | {"modelUri": "https://x.invalid/m.zip"}}
    )


def check_drift(place: Place, _event: str) -> None:
    """See that the pipeline ran once, and the webhook got each message under one id."""
    runs = place.get("management", "_state")["runs"]
    assert len(runs) == 1
    assert runs[0]["parameters"]["signal"] == "credit_data_drift"
    check_inbox(place, {"retrained after credit_data_drift", "retrain succeeded"})


def check_deployment(place: Place, _event: str) -> None:
    """See that the endpoint, its deployment and its default were each asked for once, and stand."""
    puts = [seen for seen in place.get("management", "_requests") if seen["method"] == "PUT" and seen["status"] < 300]
    assert len(puts) == 3, [seen["url"] for seen in puts]
    resources = place.get("management", "_state")["resources"]
    (endpoint,) = [one for id_, one in resources.items() if id_.lower().endswith("/batchendpoints/fraud-batch")]
    (deployment,) = [one for id_, one in resources.items() if "/fraud-batch/deployments/" in id_.lower()]
    assert endpoint["properties"]["defaults"]["deploymentName"] == deployment["name"]
    check_inbox(place, {"deploy succeeded"})


def check_failure(place: Place, _event: str) -> None:
    """See that the failure was answered and announced, and the endpoint left without a default."""
    resources = place.get("management", "_state")["resources"]
    (endpoint,) = [one for id_, one in resources.items() if id_.lower().endswith("/batchendpoints/broken-batch")]
    assert not (endpoint["properties"].get("defaults") or {}).get("deploymentName")
    check_inbox(place, {"could not deploy: deploy.batch_endpoint", "fail failed"})


def check_canary(place: Place, _event: str) -> None:
    """See that the new version has all traffic, that each of its shares was put once, and the old one is gone."""
    resources = place.get("management", "_state")["resources"]
    assert ml_stories.live(resources, "good") == {"2": 100}
    assert ml_stories.deployed(resources, "good") == {"2"}
    check_inbox(place, {"go-live succeeded"})


def check_rollback(place: Place, _event: str) -> None:
    """See that the old version has all traffic again, and that the new one is gone."""
    resources = place.get("management", "_state")["resources"]
    assert ml_stories.live(resources, "bad") == {"1": 100}
    assert ml_stories.deployed(resources, "bad") == {"1"}
    check_inbox(place, {"bad stays as it was", "go-live failed"})


def check_training(place: Place, event: str) -> None:
    """See that one job ran, and that its model is registered."""
    resources = place.get("management", "_state")["resources"]
    assert [one["properties"]["status"] for one in ml_stories.jobs(resources, "reactor-")] == ["Completed"]
    assert len(ml_stories.trained(resources, event)) == 1
    check_inbox(place, {"train succeeded"})


def check_scoring(place: Place, _event: str) -> None:
    """See that the endpoint was invoked once."""
    resources = place.get("management", "_state")["resources"]
    assert [one["properties"]["status"] for one in ml_stories.jobs(resources, "batchjob-")] == ["Completed"]
    check_inbox(place, {"score succeeded"})


def check_backup(place: Place, event: str) -> None:
    """See that the model is stored once, whole, beside a manifest that tells its size."""
    iteration = json.loads(event)["Content"]["iterationId"]
    with BlobServiceClient.from_connection_string(place.app_storage) as service:
        container = service.get_container_client("backups")
        names = {blob.name.rsplit("/", 1)[1]: blob for blob in container.list_blobs(f"{place.project}/{iteration}/")}
        assert set(names) == {"model.zip", "manifest.json"}, names
        manifest = json.loads(container.download_blob(names["manifest.json"].name).readall())
        model = container.download_blob(names["model.zip"].name).readall()
    assert manifest["size"] == len(model) > 4096
    assert manifest["sha256"] == [hashlib.sha256(model).hexdigest()]
    check_inbox(place, {"back-up succeeded"})


def check_inbox(place: Place, titles: set[str]) -> None:
    """See that the webhook got these messages, and what came twice under one id, so that the receiver can tell."""
    received = {(one["id"], json.loads(one["body"])["data"]["title"]) for one in place.get("channels", "_inbox")}
    assert {title for _, title in received} == titles
    assert len(received) == len(titles)


@dataclass(frozen=True)
class Story:
    """An event, the door it comes through, and what must have come of it."""

    event: Callable[[Place], str]
    door: Callable[[str], None]
    check: Callable[[Place, str], None]


def vision_door(body: str) -> None:
    """Bring a notification to its queue's door."""
    function_app.on_vision_notification(queue_message(Delivery("v1", body, visible=SENT, sent=SENT)))


SENT = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
STORIES = {
    "retrain": Story(drift_event, function_app.on_ml_event, check_drift),
    "deploy": Story(model_event, function_app.on_ml_event, check_deployment),
    "back up": Story(export_event, vision_door, check_backup),
    "fail": Story(broken_event, function_app.on_ml_event, check_failure),
    "go live": Story(live_event("good"), function_app.on_ml_event, check_canary),
    "roll back": Story(live_event("bad"), function_app.on_ml_event, check_rollback),
    "train": Story(completed("train-me"), function_app.on_ml_event, check_training),
    "score": Story(completed("score-me"), function_app.on_ml_event, check_scoring),
}


ROLLOUTS = ("go live", "roll back")
"""Crashed at every boundary elsewhere (test_crashes_online.py): they have hundreds."""


def play(world: World, story: Story, event: str) -> None:
    """Bring the event until it is acknowledged, then let everything follow from it."""
    for _ in range(10):
        try:
            with world.wire.watched():
                story.door(event)
        except Crash:
            world.now += timedelta(seconds=30)
            continue
        break
    world.run()


def check_whole(world: World) -> None:
    """Nothing is left open, and every action ended well and is announced."""
    assert list(world.records.list_open()) == []
    assert world.queue == []
    assert world.poisoned == 0


# -- a crash at every boundary ----------------------------------------------------------------------------------------


@pytest.mark.guarantee(1, 2, 3)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name in STORIES if name not in ROLLOUTS])
def test_a_crash_at_any_boundary(name: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash after any one write of a story is survived: the story ends as if there had been none."""
    story, wire = STORIES[name], Wire()

    def crashing_at(number: int) -> list[str]:
        crash = CrashAt(number)
        place.begin()
        world = World(place.settings, place.rules, wire)
        world.install(monkeypatch)
        event = story.event(place)
        world.wire.boundary = crash
        play(world, story, event)
        world.wire.boundary = lambda _where: None
        try:
            check_whole(world)
            story.check(place, event)
        except AssertionError as error:
            where = crash.seen[number - 1] if 0 < number <= len(crash.seen) else "no crash"
            raise AssertionError(f"crash at {number}, {where}: {error}") from error
        return crash.seen

    chosen = worth_a_crash(crashing_at(0))
    assert len(chosen) > 20
    for number in chosen:
        crashing_at(number)


# -- seeded schedules -------------------------------------------------------------------------------------------------

LONGEST_CALL = timedelta(seconds=60)
"""The clients' own limit: a worker waits for an answer no longer, however slow the others are."""


@dataclass
class Schedule:
    """Two workers, and whatever a seed does to them: which goes on, what dies, what is lost, what comes twice."""

    world: World
    choice: random.Random
    faults: int = 6

    def __post_init__(self) -> None:
        self.workers = Workers(self.choice)

    def boundary(self, where: str) -> None:
        """Stop for the others, then perhaps die here, or have the connection break here."""
        self.workers.boundary(self.world.now)
        if self.faults and self.choice.random() < 0.05:
            self.faults -= 1
            if self.choice.random() < 0.5 or "send" in where:
                raise Crash(where)
            raise requests.ConnectionError("Connection aborted.")

    def play(self, steps: int) -> None:
        """Do this many things, each at random; then let the workers end."""
        for _ in range(steps):
            busy = sorted(self.workers.waiting_since)
            late = [one for one in busy if self.workers.waiting_since[one] + LONGEST_CALL * 0.7 < self.world.now]
            if late:
                self.workers.step(late[0])
            elif len(busy) < 2 and self.choice.random() < 0.3:
                self._begin()
            elif busy and self.choice.random() < 0.9:
                self.workers.step(self.choice.choice(busy))
            else:
                longest = LONGEST_CALL * 0.25 if busy else LEASE
                self.world.now += longest * self.choice.random()
        while self.workers.waiting_since:
            self.workers.step(min(self.workers.waiting_since))

    def _begin(self) -> None:
        """Deliver any message that is due, in any order; sometimes one that is being worked on, or sweep."""
        world = self.world
        due = [one for one in world.queue if one.visible <= world.now or self.choice.random() < 0.05]
        if due:
            message = self.choice.choice(due)
            self.workers.start(lambda: world.deliver(message), world.now)
        elif self.choice.random() < 0.2:
            self.workers.start(self._sweep, world.now)

    def _sweep(self) -> None:
        try:
            with self.world.wire.watched():
                self.world.reactor.sweep()
        except (Crash, TemporaryError):
            return


SHORT = ("retrain", "deploy", "back up", "fail")
LONG = ("go live", "roll back", "train", "score")
"""Stories of many stages: a schedule of them takes a while."""
SEEDS = int(os.environ.get("SEEDS", "24"))


@pytest.mark.guarantee(1, 2, 3)
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("seed", "names"), [*((seed, SHORT) for seed in range(SEEDS)), *((seed, LONG) for seed in range(SEEDS))]
)
def test_a_seeded_schedule(seed: int, names: tuple[str, ...], place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers, duplicates, reorderings, lost replies and crashes, as a seed has them: each story ends done once."""
    choice = random.Random(seed)
    world = World(place.settings, place.rules, Wire())
    world.install(monkeypatch)
    requests_warm_up(world)
    told = {name: STORIES[name].event(place) for name in names}
    schedule = Schedule(world, choice)
    world.wire.boundary = schedule.boundary
    for name, event in told.items():
        for _ in range(choice.randint(1, 2)):
            schedule.workers.start(partial(arrive, world, STORIES[name], event), world.now)
    schedule.play(steps=600)
    world.wire.boundary = lambda _where: None
    for name, event in told.items():
        play(world, STORIES[name], event)
    check_whole(world)
    (check_once if names is SHORT else check_long_ones)(place)


def arrive(world: World, story: Story, event: str) -> None:
    """Bring an event to its door once, whatever comes of it: who sent it will send it again."""
    try:
        with world.wire.watched():
            story.door(event)
    except (Crash, TemporaryError):
        return


def requests_warm_up(world: World) -> None:
    """Fetch the tokens first: the credential holds a lock while it does."""
    world.clients.credential.get_token("https://management.azure.com/.default")


def check_once(place: Place) -> None:
    """See that there is one run, one deployment of each model, one backup, and no message under two ids."""
    assert len(place.get("management", "_state")["runs"]) == 1
    resources = place.get("management", "_state")["resources"]
    assert len([one for one in resources if "-batch/deployments/" in one.lower()]) == 2
    told = {"retrained after credit_data_drift", "retrain succeeded", "deploy succeeded", "back-up succeeded"}
    check_inbox(place, told | {"could not deploy: deploy.batch_endpoint", "fail failed"})


def check_long_ones(place: Place) -> None:
    """See that traffic is where it must be, that there is one job of each kind, and no message under two ids."""
    resources = place.get("management", "_state")["resources"]
    assert (ml_stories.live(resources, "good"), ml_stories.live(resources, "bad")) == ({"2": 100}, {"1": 100})
    assert len(ml_stories.jobs(resources, "reactor-")) == len(ml_stories.jobs(resources, "batchjob-")) == 1
    told = {"go-live succeeded", "go-live failed", "bad stays as it was", "train succeeded", "score succeeded"}
    check_inbox(place, told)
