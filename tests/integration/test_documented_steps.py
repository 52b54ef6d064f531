"""Every example of a step in docs/rules.md does what it says, and no parameter of any step is without one.

The reactor, its clients and handlers are the real ones, over real tables and over HTTP to the simulated services; the
clock is the test's.
"""

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from azure.storage.blob import BlobServiceClient

from cli.sample_data import PROJECT, WORKSPACE
from cli.samples import Message, body, message
from dev.azurite import Azurite
from dev.reference.step_parameters import ANY_NAME, of_step
from dev.simulators.channels import SECRET
from dev.simulators.language import KEY as LANGUAGE_KEY
from dev.simulators.language.samples import exported
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY, PREDICTION_KEY
from dev.simulators.vision.pictures import INK, generated
from shared.actions import Action, Person, Status
from shared.clients.machine_learning.batch import BatchSettings
from shared.decisions import Caller
from shared.handlers import ACTIONS
from shared.rules.parameters import parameters
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from tests.integration.keeping import second_container
from tests.integration.language_stories import EDIT, UNCOUNTED, keep_version
from tests.integration.test_limits import deliver_all
from tests.integration.world import Wire, World

PAGE = Path(__file__).parents[2] / "docs/rules.md"
FACTORY = WORKSPACE.partition("/providers/")[0] + "/providers/Microsoft.DataFactory/factories/etl"
REGISTRY = WORKSPACE.partition("/workspaces/")[0] + "/registries/prod"
PREDICTION = f"{WORKSPACE.partition('/providers/')[0]}/providers/Microsoft.CognitiveServices/accounts/fruit-Prediction"
MAIL = "EmailApp"
LEAD = Caller(Person(id="0a", name="ml-leads@example.com"), frozenset({"ml-leads@example.com"}))
RULES = f"""
version: 1
workspaces: {{fraud: {WORKSPACE}}}
factories: {{etl: {FACTORY}}}
vision:
  fruit:
    project: {PROJECT}
    training: {{endpoint: "${{VISION}}", key: "${{VISION_KEY}}"}}
    prediction: {{resource: {PREDICTION}, endpoint: "${{VISION}}", key: "${{PREDICTION_KEY}}"}}
    replica:
      training: {{endpoint: "${{VISION_REPLICA}}", key: "${{VISION_KEY}}"}}
      prediction: {PREDICTION}
language:
  mail-bot:
    project: EmailApp
    primary: {{endpoint: "${{LANGUAGE}}", key: "${{LANGUAGE_KEY}}"}}
    secondary: {{endpoint: "${{LANGUAGE_REPLICA}}", key: "${{LANGUAGE_KEY}}"}}
    deployments: [production]
channels:
  oncall: {{kind: teams, url: "${{CHANNELS}}/workflows/w/triggers/manual/paths/invoke?sig=a"}}
  mirror: {{kind: webhook, url: "${{CHANNELS}}/hooks/mirror", secret: "${{HOOK_SECRET}}"}}
rules:
"""
"""What the page's fragments of a rule refer to."""


@dataclass(frozen=True)
class Example:
    """One block of YAML below a step's heading: a part of a rule."""

    step: str
    number: int
    text: str

    @property
    def rule(self) -> dict[str, Any]:
        """The part of a rule, read."""
        rule: dict[str, Any] = yaml.safe_load(self.text.replace("on:", "'on':", 1))
        return rule

    @property
    def kinds(self) -> list[str]:
        """The kinds of events that it answers."""
        on = self.rule["on"]
        return on if isinstance(on, list) else [on]


def examples() -> Iterator[Example]:
    """Find the examples of every step's section."""
    text = PAGE.read_text("utf-8").partition("\n## Each step\n")[2].partition("\n## ")[0]
    for part in text.split("\n### ")[1:]:
        found = re.findall(r"^```yaml[^\n]*\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
        for number, block in enumerate(found, 1):
            yield Example(part.split("`")[1], number, block)


EXAMPLES = [(example, kind) for example in examples() for kind in example.kinds]

# -- what is there ----------------------------------------------------------------------------------------------------

SPEC = {
    "type": "pipeline",
    "inputs": {
        "drift_run": {"type": "string", "optional": "true"},
        "lr": {"type": "number", "default": "0.1"},
        "warm_start": {"type": "boolean", "optional": "true"},
        "data": {"type": "uri_folder", "optional": "true"},
        "base": {"type": "mlflow_model", "optional": "true"},
    },
    "outputs": {"model": {"type": "mlflow_model"}, "report": {"type": "uri_file"}},
    "jobs": {"prepare": {}, "train": {}},
}
COMPONENT = f"{WORKSPACE}/components/retrain_fraud/versions/4"


def model(version: int, auc: float, rmse: float, made: str) -> dict[str, Any]:
    """Describe a version of the model."""
    return {
        "id": f"{WORKSPACE}/models/fraud-gbm/versions/{version}",
        "tags": {"stage": "production", "team.owner": "risk"},
        "properties": {"auc": str(auc), "rmse": str(rmse)},
        "flavors": {"python_function": {}},
        "createdAt": made,
    }


MODELS = [
    model(10, 0.91, 0.40, "2026-01-01T08:15:04Z"),
    model(11, 0.92, 0.36, "2026-02-01T08:15:04Z"),
    model(12, 0.941, 0.31, "2026-03-02T08:15:04Z"),
    model(3, 0.95, 0.30, "2026-03-01T08:15:04Z") | {"id": f"{REGISTRY}/models/fraud-gbm/versions/3"},
]
TEN, ELEVEN = (one["id"] for one in MODELS[:2])
SEED: dict[str, Any] = {
    "settings": {"provisioning_seconds": 0, "queued_seconds": 0, "job_seconds": 0},
    "models": MODELS,
    "registries": [{"id": REGISTRY}],
    "codes": [{"id": f"{WORKSPACE}/codes/score/versions/1"}],
    "environments": [{"id": f"{WORKSPACE}/environments/gbm-env/versions/7", "image": "gbm"}],
    "data": [{"id": f"{WORKSPACE}/data/days/versions/3"}],
    "computes": [{"id": f"{WORKSPACE}/computes/cpu-cluster"}],
    "components": [{"id": COMPONENT, "componentSpec": SPEC}],
    "job_outcomes": [{"metrics": {"auc": 0.93}, "n": 9}],
    "pipelines": [
        {
            "id": f"{FACTORY}/pipelines/retrain_credit",
            "parameters": {name: {"type": "String"} for name in ("reactor_action", "signal", "run")},
            "seconds": 0,
        }
    ],
    "batch_endpoints": [
        {
            "id": f"{WORKSPACE}/batchEndpoints/fraud-nightly",
            "default": "gbm",
            "deployments": [{"name": "gbm", "model": ELEVEN, "compute": f"{WORKSPACE}/computes/cpu-cluster"}],
        }
    ],
    "online_endpoints": [
        {
            "id": f"{WORKSPACE}/onlineEndpoints/fraud",
            "traffic": {"green": 100},
            "deployments": [{"name": "green", "model": ELEVEN}, {"name": "blue", "model": TEN}],
        }
    ],
    "traffic_seen": [{"deployment": ".", "requests": 60, "latency_ms": 80}],
}
STATUSES = {"RunFailed": "Failed", "DriftDetected": "Failed"}
"""How the run of an event has ended, where it has not completed."""


def seed(simulators: Simulators, told: Message) -> None:
    """Put everything there that the page's examples name, and what the event is about."""
    simulators.management.seed(**SEED)
    if run := told.data.get("runId"):
        job = {
            "id": f"{WORKSPACE}/jobs/{run}",
            "status": STATUSES.get(told.kind, "Completed"),
            "tags": told.data["runTags"],
            "error": {"code": "UserError", "message": "no rows"},
            "metrics": {"auc": 0.94},
            "createdBy": "Ada",
        }
        simulators.management.seed(jobs=[job])
    images = {"count": 40, "tags": ["apple", "banana"], "untagged": 1}
    iterations: list[dict[str, Any]] = [
        {"name": f"Iteration {n}", "created": f"2026-01-0{n}T00:00:00Z"} for n in (1, 2)
    ]
    if iteration := told.data.get("iterationId"):
        iterations.append({"id": iteration, "name": "Iteration 3", "exports": [{"platform": "ONNX", "bytes": 100}]})
    at_once = {"training_seconds": 0, "export_seconds": 0, "import_seconds": 0}
    simulators.vision.seed(projects=[{"id": PROJECT, "images": images, "iterations": iterations}], settings=at_once)
    simulators.vision_replica.seed(settings=at_once)
    mail = {"exported": exported(MAIL), "models": ["v1"], "deployments": {"production": "v1"}}
    simulators.language.seed(projects=[mail], settings={"job_seconds": 0, "train_seconds": 0})
    simulators.language_replica.seed(settings={"job_seconds": 0, "train_seconds": 0})
    if "edited" in told.sample.facts.get("replica", {}).get("reasons", ()):
        edit = EDIT | {"text": f"forward {uuid4().hex[:8]} to Kim"}  # what another example kept is no news
        simulators.language_replica.seed(projects=[mail], edits=[{"project": MAIL, "utterances": [edit]}])


def sample_image(emulator: Azurite) -> str:
    """Put a picture of an apple where Custom Vision can read it; give its URL."""
    storage = BlobServiceClient.from_connection_string(emulator.app)
    container = storage.get_container_client("samples")
    if not container.exists():
        container.create_container(public_access="blob")
    blob = container.get_blob_client("apple.png")
    blob.upload_blob(generated(PROJECT, 0, (32, 32), INK[0], ()).content, overwrite=True)
    return blob.url


def seed_training(world: World) -> None:
    """Have a batch endpoint answer with a pipeline component, which cannot be seeded."""
    batch = world.clients.machine_learning.batch
    batch.put_endpoint(WORKSPACE, "training", "westeurope")
    settings = BatchSettings(compute_id=f"{WORKSPACE}/computes/cpu-cluster", component_id=COMPONENT)
    batch.put_deployment(WORKSPACE, "training", "first", "westeurope", settings)
    batch.set_default(WORKSPACE, "training", "first", instead_of="")


def seed_backup(world: World, example: Example) -> None:
    """Have the version of a Language project that an example brings back."""
    store = world.clients.language_backups
    for params in uses(example, "restore.language"):
        version = params.get("version", "20260101T020000Z-whole")
        if "{{" not in version:  # else a step before it makes that version
            keep_version(store, MAIL, version, params.get("from_host", "127.0.0.1"))


# -- the examples -----------------------------------------------------------------------------------------------------


def make(example: Example, simulators: Simulators, emulator: Azurite, monkeypatch: pytest.MonkeyPatch) -> World:
    """Make a world whose one rule is the example, a day ago: Azure Monitor has not counted what is still to come."""
    values = {
        "AzureWebJobsStorage": emulator.app,
        "REACTOR_ARM_ENDPOINT": simulators.management.url,
        "REACTOR_ML_HOSTS": "127.0.0.1",
        "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1",
        "VISION": simulators.vision.url,
        "VISION_REPLICA": simulators.vision_replica.url,
        "VISION_KEY": KEY,
        "LANGUAGE": simulators.language.url,
        "LANGUAGE_REPLICA": simulators.language_replica.url,
        "LANGUAGE_KEY": LANGUAGE_KEY,
        **UNCOUNTED,
        "PREDICTION_KEY": PREDICTION_KEY,
        "SAMPLE_IMAGE": sample_image(emulator),
        "SECOND_BACKUPS": second_container(emulator)[1],
        "CHANNELS": simulators.channels.url,
        "HOOK_SECRET": SECRET,
    }
    settings = Settings.read(values)
    prepare(Account(settings.storage, lambda _client: None), settings.backup_container)  # type: ignore[arg-type,return-value] # a connection string needs no credential
    name = f"  - name: example {example.number} of {example.step}\n"  # whose limits count by themselves
    rules = RULES + name + textwrap.indent(example.text, "    ")
    world = World(settings, rules, Wire(), now=datetime.now(UTC) - timedelta(days=1))
    world.install(monkeypatch)
    return world


def about(told: Message, example: Example) -> Message:
    """Have a message about the simulated region, and of what the example asks for."""
    if told.sample.source:
        told.source = f"language/127.0.0.1/{MAIL}"
        (space,) = told.sample.facts
        wanted = {path.partition(".")[2]: one["StringIn"] for path, one in example.rule.get("where", {}).items()}
        told.sample = replace(told.sample, facts={space: told.sample.facts[space] | wanted})
    return told


def performed(world: World, told: Message) -> Action:
    """Have the event answered to its end; who is asked approves."""
    world.reactor.receive(told.sample.door, body(told))
    (key,) = (row.key for row in world.records.list_open() if row.what == "action")
    deliver_all(world)
    while (action := read_action(world, key)).status is Status.OPEN:
        if action.asleep:
            world.reactor.decisions.approve(key, LEAD, "it is real")
        else:
            world.now = min(waiting.visible for waiting in world.queue)
        deliver_all(world)
    return action


def read_action(world: World, key: str) -> Action:
    """Read an action that is there."""
    action = world.records.read_action(key)
    assert action is not None
    return action


ABSENT: Mapping[str, Callable[[Mapping[str, Any]], set[str]]] = {
    "deploy.batch_endpoint": lambda params: {"model_id" if params.get("component") else "component_id"},
    "gate": lambda params: {
        *(() if params.get("metric") else ("metric", "live")),
        *(() if params.get("better_than") == "live" else ("compared_with", "compared_at")),
    },
}
"""The results that the page says are there only with some parameters: which of them are not."""


@pytest.mark.parametrize(
    ("example", "kind"), EXAMPLES, ids=[f"{one.step}-{one.number}-{kind}" for one, kind in EXAMPLES]
)
def test_every_example_does_what_it_says(
    example: Example, kind: str, simulators: Simulators, storage_emulator: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answering an event of its kind, each step succeeds and gives what the page says it gives."""
    told = about(message(kind), example)
    world = make(example, simulators, storage_emulator, monkeypatch)
    told.refresh(world.now)
    seed(simulators, told)
    seed_training(world)
    seed_backup(world, example)
    action = performed(world, told)
    assert (action.status, action.reason) == (Status.SUCCEEDED, "")
    assert [state.action for state in action.progress] == [name for step in example.rule["do"] for name in step]
    for state in action.progress:
        stated = {path.partition(".")[0] for path in parameters(ACTIONS[state.action]).results or ()}
        absent = ABSENT[state.action](state.params or {}) if state.action in ABSENT else set()
        assert stated - state.result.keys() == absent, state.action
    assert "could not be read" not in json.dumps(simulators.channels.inbox())


# -- their parameters -------------------------------------------------------------------------------------------------


def is_given(path: list[str], params: Any) -> bool:
    """Tell whether there is something at a parameter's path."""
    if not path:
        return True
    name, *rest = path
    if not isinstance(params, Mapping):
        return False
    return any(is_given(rest, value) for key, value in params.items() if name in (key, ANY_NAME))


@pytest.mark.parametrize("step", ACTIONS)
def test_every_parameter_has_an_example(step: str) -> None:
    """Each parameter of a step, nested ones too, is used by some example of the step's own section."""
    given = [params or {} for example in examples() if example.step == step for params in uses(example, step)]
    assert [
        one.path
        for one in of_step(parameters(ACTIONS[step]).model)
        if not any(is_given(one.path.split("."), params) for params in given)
    ] == []


def uses(example: Example, step: str) -> Iterator[Any]:
    """Find the parameters that an example gives a step."""
    for one in [*example.rule["do"], *example.rule.get("on_failure", [])]:
        yield from (params for name, params in one.items() if name == step)
