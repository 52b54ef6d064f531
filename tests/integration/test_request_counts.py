"""What actions ask of Azure: counted over whole actions, with Azure's own timing, and told in docs/performance.md.

The reactor, its clients and handlers are the real ones, over HTTPS to the simulated services, whose clock here is the
test's own: what lasts an hour there lasts an hour here.
"""

import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, Self

import pytest

import function_app
from dev.simulators import later, wire
from dev.simulators.channels import SECRET
from dev.simulators.language import KEY as LANGUAGE_KEY
from dev.simulators.language.samples import exported
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY, PREDICTION_KEY
from shared.actions import Status
from shared.clients.identity import managed_identity
from shared.handlers.machine_learning.serving import deployment_name
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from tests.integration.language_stories import UNCOUNTED, keep_version
from tests.integration.making import action_of
from tests.integration.world import Delivery, Wire, World

PAGE = Path(__file__).parents[2] / "docs/performance.md"
HEADING = "## Requests to Azure"
GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml/providers"
WORKSPACE = f"{GROUP}/Microsoft.MachineLearningServices/workspaces/fraud"
PROJECT, ITERATION = str(uuid.uuid4()), str(uuid.uuid4())
PREDICTION = f"{GROUP}/Microsoft.CognitiveServices/accounts/fruit-Prediction"
FACTORY = f"{GROUP}/Microsoft.DataFactory/factories/etl"
MAIL, VERSION = f"Email{uuid.uuid4().hex[:8]}", "20260101T020000Z-1a2b3c4d"
BREACH = {"azureml_modelmonitor_threshold_breached": "The signal 'credit_data_drift' has failed due to …"}
OLD, NEW = (deployment_name("gbm", version, f"{WORKSPACE}/models/gbm/versions/{version}") for version in ("1", "2"))
HOUR = 3600
PIPELINE = {"id": f"{FACTORY}/pipelines/retrain", "parameters": {"reactor_action": {"type": "String"}}, "seconds": 0}
SPEC = {"type": "pipeline", "outputs": {"model": {"type": "mlflow_model"}}}
KINDS = {"registered": "ModelRegistered", "failed": "RunStatusChanged"}
Make = Callable[[str], World]


@dataclass(frozen=True)
class Count:
    """Requests of an action, as a row of the table has them."""

    get: int = 0
    put: int = 0
    post: int = 0
    delete: int = 0
    """Those to Resource Manager."""
    others: int = 0
    """Those to the workspace's and the endpoints' own hosts, to Custom Vision, to Language, and to channels.

    Not those for tokens, and not those to storage.
    """

    @classmethod
    def of(cls, simulators: Simulators) -> Self:
        """Count what was seen."""
        arm = Counter(str(one["method"]).lower() for one in simulators.management.seen())
        vision, language = simulators.vision_replica, simulators.language_replica
        others = (simulators.inference, simulators.vision, vision, simulators.language, language, simulators.channels)
        return cls(**arm, others=sum(len(service.seen()) for service in others))


@dataclass(frozen=True)
class Story:
    """One action."""

    steps: str
    asks: Count
    hour: int = 0
    """How many requests more where it takes an hour longer."""
    asked: Literal["get", "others"] = "get"
    """Which requests those are."""
    event: str = "registered"
    slow: Mapping[str, Any] = field(default_factory=dict)
    """Seeds that make it take an hour; for Custom Vision and Language, their settings, at both resources."""


def slow(what: str) -> Mapping[str, Any]:
    """Have Custom Vision take an hour over something."""
    return {"vision": {f"{what}_seconds": HOUR}}


STORIES = {
    "`run.job`": Story(
        'run.job: {component: "retrain:3", outputs: {model: {type: mlflow_model}}}',
        Count(get=3, put=1, others=3),
        hour=63,
        slow={"settings": {"job_seconds": HOUR}},
    ),
    "`invoke.batch_endpoint`": Story(
        'invoke.batch_endpoint: {endpoint: nightly, inputs: {data: {folder: "https://a.blob.core.windows.net/c/d"}}}',
        Count(get=4, others=1),
        hour=63,
        slow={"settings": {"job_seconds": HOUR}},
    ),
    "`run.data_factory`": Story(
        "run.data_factory: {factory: etl, pipeline: retrain}",
        Count(get=2, post=2),
        hour=63,
        slow={"pipelines": [PIPELINE | {"seconds": HOUR}]},
    ),
    "`deploy.batch_endpoint`": Story(
        "deploy.batch_endpoint: {endpoint: weekly, compute: cpu}",
        Count(get=12, put=3),
        hour=62,
        slow={"provisioning": [{"name": NEW, "outcome": "Succeeded", "seconds": HOUR}]},
    ),
    "`deploy.online_endpoint`, one step": Story(
        "deploy.online_endpoint: {endpoint: gbm, sample: {input_data: [[1]]}}",
        Count(get=39, put=2, delete=1, others=1),
        hour=62,
        slow={"provisioning": [{"name": NEW, "outcome": "Succeeded", "seconds": HOUR}]},
    ),
    "the same, `traffic: [10, 100]`": Story(
        "deploy.online_endpoint: {endpoint: gbm, traffic: [10, 100], sample: {input_data: [[1]]}}",
        Count(get=58, put=3, delete=1, others=1),
        hour=62,
        slow={"provisioning": [{"name": NEW, "outcome": "Succeeded", "seconds": HOUR}]},
    ),
    "`register.model` from a job": Story(
        'register.model: {name: new, version: "1", from: {job: trainer, output: model}}',
        Count(get=2, put=1, others=1),
        event="failed",
    ),
    "`gate` on a property of the model": Story("gate: {metric: auc, at_least: 0.8}", Count(get=1)),
    "`gate` with `better_than: live`": Story("gate: {metric: auc, better_than: live, endpoint: gbm}", Count(get=4)),
    "`train.vision`": Story(
        "train.vision: {project: fruit}", Count(others=6), hour=63, asked="others", slow=slow("training")
    ),
    "`publish.vision`, three images": Story(
        f"publish.vision: {{project: fruit, iteration: {ITERATION}, name: live}}", Count(others=16)
    ),
    "`export.vision` to one platform": Story(
        f"export.vision: {{project: fruit, iteration: {ITERATION}, platforms: [CoreML]}}",
        Count(others=6),
        hour=62,
        asked="others",
        slow=slow("export"),
    ),
    "`prune.vision` of two iterations": Story("prune.vision: {project: fruit, keep: 1}", Count(others=6)),
    "`backup.vision_export` of one export": Story(
        f"backup.vision_export: {{project: fruit, iteration: {ITERATION}}}", Count(others=7)
    ),
    "`backup.vision_dataset` of 40 images": Story("backup.vision_dataset: {project: fruit}", Count(others=9)),
    "`replicate.vision`": Story(
        "replicate.vision: {project: fruit}", Count(others=11), hour=63, asked="others", slow=slow("import")
    ),
    "`backup.language` of one model": Story("backup.language: {project: mail-bot}", Count(others=12)),
    "`replicate.language` of one model": Story(
        "replicate.language: {project: mail-bot, overwrite_edits: true}",
        Count(others=80),
        hour=6,
        asked="others",
        slow={"language": {"train_seconds": HOUR}},
    ),
    "`restore.language` of one model": Story(
        f"restore.language: {{project: mail-bot, version: {VERSION}, overwrite_edits: true}}",
        Count(others=52),
        hour=6,
        asked="others",
        slow={"language": {"train_seconds": HOUR}},
    ),
    "`gate` on an iteration": Story(
        f"gate: {{metric: recall, at_least: 0.1, project: fruit, iteration: {ITERATION}}}", Count(others=2)
    ),
    "`alert` that tells the `error`": Story(
        'alert: {channel: hook, title: "{{ failed_step }}: {{ error }}"}', Count(get=2, others=2), event="failed"
    ),
}


class Hours(World):
    """A world in which what the simulators do later happens by its own clock, too."""

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the simulators read this world's clock, and set their alarms by it."""
        super().install(monkeypatch)
        self.alarms = alarms = list[Any]()

        class Clock(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Self:
                return cls.fromtimestamp(world.now.timestamp(), tz)

        class Alarm:
            def __init__(self, seconds: float, act: Callable[[], None]) -> None:
                self.due, self.act = world.now + timedelta(seconds=seconds), act

            def start(self) -> None:
                alarms.append(self)

            def cancel(self) -> None:
                alarms.remove(self)

        world = self
        monkeypatch.setattr(wire, "datetime", Clock)
        monkeypatch.setattr(later, "threading", SimpleNamespace(Timer=Alarm, Lock=threading.Lock))

    def deliver(self, message: Delivery) -> None:
        """Let the alarms ring that are due by now, then deliver."""
        for alarm in [one for one in self.alarms if one.due <= self.now]:
            self.alarms.remove(alarm)
            alarm.act()
        super().deliver(message)


@pytest.fixture
def make(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a world of one rule, whose clock is that of the simulators too."""
    around = Wire()
    settings = Settings.read(
        {
            "AzureWebJobsStorage": azurite,
            "REACTOR_ARM_ENDPOINT": simulators.management.url,
            "REACTOR_ML_HOSTS": "127.0.0.1",
            "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1",
            "HOOK_SECRET": SECRET,
            "VISION_KEY": KEY,
            "PREDICTION_KEY": PREDICTION_KEY,
            "LANGUAGE_KEY": LANGUAGE_KEY,
            **UNCOUNTED,
        }
    )
    prepare(Account(settings.storage, managed_identity), settings.backup_container)

    def make(rule: str) -> World:
        text = f"""
version: 1
workspaces: {{fraud: {WORKSPACE}}}
factories: {{etl: {FACTORY}}}
vision:
  fruit:
    project: {PROJECT}
    training: {{endpoint: "{simulators.vision.url}", key: "${{VISION_KEY}}"}}
    prediction: {{resource: {PREDICTION}, endpoint: "{simulators.vision.url}", key: "${{PREDICTION_KEY}}"}}
    replica:
      training: {{endpoint: "{simulators.vision_replica.url}", key: "${{VISION_KEY}}"}}
      prediction: {PREDICTION}
language:
  mail-bot:
    project: {MAIL}
    primary: {{endpoint: "{simulators.language.url}", key: "${{LANGUAGE_KEY}}"}}
    secondary: {{endpoint: "{simulators.language_replica.url}", key: "${{LANGUAGE_KEY}}"}}
    deployments: [production]
channels: {{hook: {{kind: webhook, url: "{simulators.channels.url}/hooks/a", secret: "${{HOOK_SECRET}}"}}}}
rules:
  - {{name: work, {rule}}}"""
        world = Hours(settings, text, around)
        world.install(monkeypatch)
        return world

    return make


ASSETS = exported(MAIL)["assets"]
OLDER = exported(MAIL) | {"assets": ASSETS | {"utterances": ASSETS["utterances"][:-1]}}
"""What the second region serves before."""


def begin(simulators: Simulators, slow: Mapping[str, Any]) -> None:
    """Put the services where every story begins: nothing there takes time, but for what is to."""
    simulators.reset()
    models = [
        {
            "id": f"{WORKSPACE}/models/gbm/versions/{version}",
            "properties": {"auc": f"0.{8 + version}" if version < 2 else "0.95"},
            "flavors": {"python_function": {}},
            "createdAt": f"2026-0{version}-01T00:00:00Z",
        }
        for version in (1, 2)
    ]
    first = {"name": "first", "model": models[0]["id"], "compute": f"{WORKSPACE}/computes/cpu"}
    failed = {"name": "train", "status": "Failed", "error": {"code": "UserError", "message": "no rows"}}
    simulators.management.seed(
        settings={"provisioning_seconds": 0, "queued_seconds": 0, "job_seconds": 0, "page_size": 100},
        models=models,
        computes=[{"id": f"{WORKSPACE}/computes/cpu"}],
        components=[{"id": f"{WORKSPACE}/components/retrain/versions/3", "componentSpec": SPEC}],
        jobs=[
            {"id": f"{WORKSPACE}/jobs/keen_owl", "status": "Failed", "children": [failed]},
            {"id": f"{WORKSPACE}/jobs/trainer", "status": "Completed", "metrics": {"auc": 0.9}},
        ],
        pipelines=[PIPELINE],
        batch_endpoints=[{"id": f"{WORKSPACE}/batchEndpoints/nightly", "default": "first", "deployments": [first]}],
        online_endpoints=[
            {
                "id": f"{WORKSPACE}/onlineEndpoints/gbm",
                "traffic": {OLD: 100},
                "deployments": [{"name": OLD, "model": models[0]["id"]}],
            }
        ],
        traffic_seen=[{"deployment": NEW, "requests": 50}],
    )
    at_once = {"training_seconds": 0, "export_seconds": 0, "import_seconds": 0}
    iterations = [{"name": f"Iteration {n}", "created": f"2026-01-0{n}T00:00:00Z"} for n in (1, 2)]
    newest = {"id": ITERATION, "name": "Iteration 3", "exports": [{"platform": "ONNX", "bytes": 100}]}
    images = {"count": 40, "tags": ["apple", "banana"]}
    simulators.vision.seed(projects=[{"id": PROJECT, "images": images, "iterations": [*iterations, newest]}])
    for one in (simulators.vision, simulators.vision_replica):
        one.seed(settings={**at_once, **slow.get("vision", {})})
    for one, holds in ((simulators.language, exported(MAIL)), (simulators.language_replica, OLDER)):
        mail = {"exported": holds, "models": ["v1"], "deployments": {"production": "v1"}}
        settings = {"job_seconds": 0, "train_seconds": 0, **slow.get("language", {})}
        one.seed(projects=[mail], settings=settings)
    arm = {name: seed for name, seed in slow.items() if name not in {"vision", "language"}}
    simulators.management.seed(**arm)


def event_of(kind: str) -> str:
    """Write the event: version 2 is registered, or a run has failed."""
    told = {
        "registered": ("models/gbm:2", {"modelName": "gbm", "modelVersion": "2"}),
        "failed": ("experiments/e/runs/keen_owl", {"runId": "keen_owl", "runStatus": "Failed"}),
    }
    subject, data = told[kind]
    event = {
        "id": str(uuid.uuid4()),
        "topic": WORKSPACE,
        "subject": subject,
        "eventType": f"Microsoft.MachineLearningServices.{KINDS[kind]}",
        "eventTime": "2026-11-22T08:15:04Z",
        "data": data | {"experimentName": "e"},
    }
    return json.dumps(event)


def play(make: Make, simulators: Simulators, story: Story, slow: Mapping[str, Any]) -> Count:
    """Have the action done, with all that follows from it, and count."""
    world = make(f"on: {KINDS[story.event]}, do: [{{{story.steps}}}]")
    begin(simulators, slow)
    keep_version(world.clients.language_backups, MAIL, VERSION)
    event = event_of(story.event)
    function_app.on_ml_event(event)
    world.run()
    action = action_of(world, event)
    assert (action.status, action.reason) == (Status.SUCCEEDED, "")
    return Count.of(simulators)


@pytest.mark.parametrize("name", STORIES)
def test_an_action_asks_this_much_of_azure(name: str, make: Make, simulators: Simulators) -> None:
    """So many requests where nothing takes time, and so many more where the service takes an hour."""
    story = STORIES[name]
    assert play(make, simulators, story, {}) == story.asks
    if story.slow:
        grown = {story.asked: getattr(story.asks, story.asked) + story.hour}
        assert play(make, simulators, story, story.slow) == replace(story.asks, **grown)


def test_the_schedule_asks_once_for_each_model(make: Make, simulators: Simulators) -> None:
    """Tags are looked for every five minutes: a request for each model, and one more where the rule has no names."""
    for where, hourly in (("{model.name: {StringIn: [gbm]}}", 12), ("{model.name: {StringBeginsWith: [g]}}", 24)):
        world = make(f"on: ModelTagged, where: {where}, do: [forward: {{to: hook}}]")
        begin(simulators, {})
        for _ in range(12):
            world.now += timedelta(minutes=5)
            world.reactor.sweep()
        assert Count.of(simulators) == Count(get=hourly)


@pytest.mark.parametrize(("asked", "left_alone"), [(400, 400), (1, 30)])
def test_a_service_that_asks_for_time_is_left_alone(
    asked: float, left_alone: float, make: Make, simulators: Simulators
) -> None:
    """A PUT is answered with Retry-After: nothing is read before that, nor sooner than usual where it is short."""
    world = make(f"on: ModelRegistered, do: [deploy.batch_endpoint: {{endpoint: after-{asked}, compute: cpu}}]")
    begin(simulators, {"settings": {"retry_after": asked}})
    function_app.on_ml_event(event_of("registered"))
    while not simulators.management.seen("PUT"):
        (message,) = world.queue
        world.now = max(world.now, message.visible)
        world.deliver(message)
    (waiting,) = world.queue
    assert waiting.visible - world.now == timedelta(seconds=left_alone)


def test_the_page_tells_what_was_counted() -> None:
    """The table of docs/performance.md has these rows, with these numbers."""
    _, _, section = PAGE.read_text("utf-8").partition(HEADING)
    lines = section.partition("\n## ")[0].splitlines()
    told = [line for line in lines if line.startswith(("| `", "| the same"))]
    assert told == [row(name, story) for name, story in STORIES.items()]


def row(name: str, story: Story) -> str:
    """Write a story as the page has it."""
    hour = f"+{story.hour}" if story.slow else "-"
    return f"| {' | '.join(map(str, (name, *astuple(story.asks), hour)))} |"
