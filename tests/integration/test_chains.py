"""Drift to a registered model as one chain, whole: called off, too slow, and with a crash at every boundary.

The reactor, its clients and handlers are the real ones, as are tables and blobs (Azurite) and the HTTP of the simulated
services.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from dev.simulators.channels import SECRET
from dev.simulators.remote import Simulators
from shared.actions import Action, Person, Status
from shared.decisions import Caller
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from tests.integration.world import Crash, CrashAt, Wire, World, worth_a_crash

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml/providers"
WORKSPACE = f"{GROUP}/Microsoft.MachineLearningServices/workspaces/fraud"
FACTORY = f"{GROUP}/Microsoft.DataFactory/factories/etl"
BREACH = {"azureml_modelmonitor_threshold_breached": "The signal 'credit_data_drift' has failed due to …"}
SPEC = {"type": "pipeline", "inputs": {"signal": {"type": "string"}}, "outputs": {"model": {"type": "mlflow_model"}}}
TRAIN = """
      - run.job:
          id: retrain
          component: "azureml:retrain:4"
          inputs: {signal: "{{ drift.signal }}"}
          outputs: {model: {type: mlflow_model}}
          within: 10m
"""
CHAIN = f"""{TRAIN}
      - register.model:
          id: new
          name: credit
          from: "{{{{ steps.retrain.outputs.model }}}}"
          properties: {{auc: "0.93"}}
      - gate: {{metric: auc, at_least: 0.9, model: "{{{{ steps.new.model }}}}", version: "{{{{ steps.new.version }}}}"}}
      - alert: {{channel: hook, title: "{{{{ steps.new.model }}}} is better", link: "{{{{ steps.new.links.studio }}}}"}}
"""
PIPELINE = """
      - run.data_factory: {factory: etl, pipeline: retrain, within: 10m}
"""
ADA = Caller(Person(id="0a", name="ada@example.com"), frozenset({"ada@example.com"}))
Make = Callable[[str], World]


@pytest.fixture
def make(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a world with one rule that answers a drift, around the same wire."""
    wire = Wire()
    settings = Settings.read(
        {
            "AzureWebJobsStorage": azurite,
            "REACTOR_ARM_ENDPOINT": simulators.management.url,
            "REACTOR_ML_HOSTS": "127.0.0.1",
            "HOOK_SECRET": SECRET,
        }
    )
    prepare(Account(settings.storage, lambda _client: None), settings.backup_container)  # type: ignore[arg-type,return-value] # a connection string needs no credential

    def make(steps: str) -> World:
        rules = f"""
version: 1
workspaces: {{fraud: {WORKSPACE}}}
factories: {{etl: {FACTORY}}}
channels: {{hook: {{kind: webhook, url: "{simulators.channels.url}/hooks/a", secret: "${{HOOK_SECRET}}"}}}}
rules:
  - name: work
    on: DriftDetected
    do:{steps}"""
        world = World(settings, rules, wire)
        world.install(monkeypatch)
        return world

    return make


def begin(simulators: Simulators, *, seconds: float = 0) -> str:
    """Put the services where every story begins, and write a monitor's breach of a run of its own."""
    simulators.reset()
    run = uuid.uuid4().hex
    simulators.management.seed(
        jobs=[{"id": f"{WORKSPACE}/jobs/{run}", "status": "Failed", "tags": BREACH}],
        components=[{"id": f"{WORKSPACE}/components/retrain/versions/4", "componentSpec": SPEC}],
        pipelines=[
            {
                "id": f"{FACTORY}/pipelines/retrain",
                "parameters": {"reactor_action": {"type": "String"}},
                "seconds": seconds,
            }
        ],
        settings={"provisioning_seconds": 0, "queued_seconds": 0, "job_seconds": seconds},
    )
    event = {
        "id": str(uuid.uuid4()),
        "topic": WORKSPACE,
        "subject": f"experiments/e/runs/{run}",
        "eventType": "Microsoft.MachineLearningServices.RunStatusChanged",
        "eventTime": "2026-11-22T08:15:04.1184021Z",
        "data": {"experimentId": "e", "experimentName": "monitor", "runId": run, "runType": "azureml.PipelineRun"}
        | {"runTags": BREACH, "runProperties": {}, "runStatus": "Failed"},
    }
    return json.dumps(event)


def action_of(world: World, event: str) -> Action:
    """Read the action that answers the drift: there is one for a run and its signal."""
    found = world.records.read_event(world.event_key(event))
    assert found is not None
    (planned,) = found.plan
    action = world.records.read_action(planned.key)
    assert action is not None
    return action


def receive(world: World, event: str) -> None:
    """Bring the event until it is acknowledged."""
    with world.wire.watched():
        world.reactor.receive("event_grid", event)


def jobs_of_ours(simulators: Simulators) -> list[dict[str, Any]]:
    """List the jobs that the reactor made."""
    resources = simulators.management.state()["resources"]
    return [one for name, one in resources.items() if "/jobs/reactor-" in name.lower()]


def models(simulators: Simulators) -> list[dict[str, Any]]:
    """List the versions that were registered."""
    resources = simulators.management.state()["resources"]
    return [one for name, one in resources.items() if "/models/credit/versions/" in name.lower()]


def check(simulators: Simulators, action: Action) -> None:
    """See that one job was run, one version registered, and what passed the gate was told under one id."""
    assert (action.status, action.reason) == (Status.SUCCEEDED, "")
    (job,) = jobs_of_ours(simulators)
    (model,) = models(simulators)
    assert job["properties"]["status"] == "Completed"
    assert model["properties"]["properties"]["reactor-job"] == job["name"]
    assert len({one["id"] for one in simulators.channels.inbox(channel="webhook")}) == 1


def test_a_drift_becomes_a_model(make: Make, simulators: Simulators) -> None:
    """Train, register, gate and tell: each step reads what the one before it gave."""
    event, world = begin(simulators), make(CHAIN)
    receive(world, event)
    world.run()
    check(simulators, action_of(world, event))


@pytest.mark.guarantee(2, 3)
@pytest.mark.timeout(600)
def test_a_crash_at_any_boundary(make: Make, simulators: Simulators) -> None:
    """A crash after any one write is survived: one job, one version, one message."""

    def crashing_at(number: int) -> list[str]:
        event, world, crash = begin(simulators), make(CHAIN), CrashAt(number)
        world.wire.boundary = crash
        for _ in range(3):
            try:
                receive(world, event)
            except Crash:
                continue
            break
        world.run()
        world.wire.boundary = lambda _where: None
        assert list(world.records.list_open()) == []
        try:
            check(simulators, action_of(world, event))
        except AssertionError as error:
            raise AssertionError(f"crash at {number}, {crash.seen[number - 1 :][:1]}: {error}") from error
        return crash.seen

    chosen = worth_a_crash(crashing_at(0))
    assert len(chosen) > 20
    for number in chosen:
        crashing_at(number)


@pytest.mark.guarantee(2)
@pytest.mark.parametrize(("steps", "what"), [(TRAIN, "job reactor-"), (PIPELINE, "run ")])
def test_calling_it_off_cancels_what_runs(steps: str, what: str, make: Make, simulators: Simulators) -> None:
    """A person calls the action off: the job, or the pipeline run, is canceled before the action ends."""
    event, world = begin(simulators, seconds=600), make(steps)
    receive(world, event)
    for _ in range(4):
        world.deliver(min(world.queue, key=lambda waiting: waiting.visible))
    action = action_of(world, event)
    world.reactor.decisions.cancel(action.key, ADA, "wrong data")
    world.run()
    action = action_of(world, event)
    assert action.status is Status.CANCELED
    assert action.reason.startswith("called off by ada@example.com: wrong data")
    assert what in action.reason
    assert action.reason.endswith("was canceled")
    assert states(simulators) <= {"Canceled", "Cancelled"}


@pytest.mark.guarantee(2)
@pytest.mark.parametrize("steps", [TRAIN, PIPELINE])
def test_what_takes_too_long_is_canceled(steps: str, make: Make, simulators: Simulators) -> None:
    """Its time is up: it is canceled, and the action fails with both said."""
    event, world = begin(simulators, seconds=600), make(steps)
    receive(world, event)
    world.run()
    action = action_of(world, event)
    assert action.status is Status.FAILED
    assert action.reason.startswith("gave up after ")
    assert action.reason.endswith("was canceled")
    assert states(simulators) <= {"Canceled", "Cancelled"}


def states(simulators: Simulators) -> set[str]:
    """Say how what was started is now; there must be something."""
    runs = simulators.management.state()["runs"]
    found = {job["properties"]["status"] for job in jobs_of_ours(simulators)} | {run["status"] for run in runs}
    assert found
    return found


def test_a_drift_that_is_over_ends_as_skipped(make: Make, simulators: Simulators) -> None:
    """The monitor's run has lost its tag by the time the step begins: nothing is started, and nothing is undone."""
    event, world = begin(simulators), make(TRAIN)
    run = json.loads(event)["data"]["runId"]
    simulators.management.seed(jobs=[{"id": f"{WORKSPACE}/jobs/{run}", "status": "Completed", "tags": BREACH}])
    receive(world, event)
    world.run()
    action = action_of(world, event)
    assert action.status is Status.SKIPPED
    assert action.reason == f"credit_data_drift has recovered: the monitor's run {run} is Completed"
    assert jobs_of_ours(simulators) == []


def test_the_end_of_a_job_is_heard_early(make: Make, simulators: Simulators) -> None:
    """An event that tells the end of a job of ours brings the next look forward."""
    event, world = begin(simulators, seconds=600), make(TRAIN)
    receive(world, event)
    for _ in range(2):
        world.deliver(min(world.queue, key=lambda waiting: waiting.visible))
    (job,) = jobs_of_ours(simulators)
    simulators.management.seed(jobs=[{"id": job["id"], "status": "Completed", "outputs": {}}])
    told = json.loads(event)
    told["id"], told["eventType"] = str(uuid.uuid4()), "Microsoft.MachineLearningServices.RunCompleted"
    told["data"] |= {"runId": job["name"], "runTags": {}}
    before = world.now
    receive(world, json.dumps(told))
    world.run(hours=0.02)
    action = action_of(world, event)
    assert action.status is Status.SUCCEEDED
    assert action.ended is not None
    assert (action.ended - before).total_seconds() < 10
