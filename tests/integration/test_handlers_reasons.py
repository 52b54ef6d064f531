"""What an alert may tell of the event's cause: read from the service when it is sent, over real https."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dev.simulators.channels import SECRET
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.clients.machine_learning.batch import BatchSettings
from shared.errors import TemporaryError
from shared.events import announce
from shared.handlers import alert, reasons
from shared.rules.declared import Declared
from shared.settings import Settings
from shared.storage import prepare
from tests.integration.stages import Bench, clients_of, event_of
from tests.integration.world import Wire, World

EVENTS = Path(__file__).parents[1] / "events"
WORKSPACE = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers/"
    "Microsoft.MachineLearningServices/workspaces/fraud"
)
PROJECT, ITERATION = "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "8d8ac610-566d-4ef0-9c22-186b2a5ed793"
PAGE = f"https://www.customvision.ai/projects/{PROJECT}"
FAILED = f"{WORKSPACE}/jobs/keen_owl_x1"
CHILD = {
    "name": "train",
    "status": "Failed",
    "error": {"code": "UserError", "message": "no rows at https://a.blob.core.windows.net/c/b?sv=1&sig=CANARY"},
}
ASKS = {"channel": "hook", "title": "{{ failed_step }} of {{ run.id }}", "text": "{{ error }}, by {{ created_by }}"}


@pytest.fixture
def make(simulators: Simulators, azurite: str) -> Callable[..., Bench]:
    """Declare a webhook, the workspace and the project, and answer an event by its file's name."""
    hook = {"kind": "webhook", "url": f"{simulators.channels.url}/hooks/a", "secret": "${HOOK_SECRET}"}
    fruit = {"project": PROJECT, "training": {"endpoint": simulators.vision.url, "key": "${VISION_KEY}"}}
    declared = Declared.model_validate(
        {"workspaces": {"fraud": WORKSPACE}, "vision": {"fruit": fruit}, "channels": {"hook": hook}}
    )

    def make(event: str = "monitor_breach.json") -> Bench:
        text = (EVENTS / event).read_text("utf-8")
        return Bench(
            clients_of(simulators, azurite), declared, event_of(text), {"HOOK_SECRET": SECRET, "VISION_KEY": KEY}
        )

    return make


def failed(simulators: Simulators, **given: Any) -> None:
    """Let the run that the event is about have failed."""
    simulators.management.seed(jobs=[{"id": FAILED, "status": "Failed", "createdBy": "Ada", **given}])


def seen(bench: Bench, *, patient: bool = False) -> Mapping[str, Any]:
    """Look up what an alert may tell."""
    return reasons.look(bench.job(), patient)


@pytest.mark.guarantee(6)
def test_an_alert_may_say_why_a_run_failed(make: Callable[..., Bench], simulators: Simulators) -> None:
    """The step that failed, its error without secrets, who started it, and where to look."""
    failed(simulators, children=[{"name": "prepare"}, CHILD])
    found = seen(make("run_failed.json"))
    assert found["failed_step"] == "train"
    assert found["error"] == "UserError: no rows at https://a.blob.core.windows.net/c/b"
    assert found["created_by"] == "Ada"
    assert found["links"]["studio"].startswith("https://ml.azure.com/runs/keen_owl_x1")
    assert found["links"]["portal"] == f"https://portal.azure.com/#@/resource{WORKSPACE}"
    assert found["unread"] == ""


def test_a_run_without_steps_says_why_itself(make: Callable[..., Bench], simulators: Simulators) -> None:
    """A single command has an error and no step; a step of a pipeline is told by the whole pipeline."""
    failed(simulators, jobType="Command", error={"code": "UserError", "message": "exit 1"})
    found = seen(make("run_failed.json"))
    assert (found["failed_step"], found["error"]) == ("", "UserError: exit 1")
    failed(simulators, children=[CHILD | {"error": {"code": "X", "message": "y"}}])
    assert seen(make("run_step_failed.json"))["error"] == "X: y"


def test_a_run_that_completed_has_no_error(make: Callable[..., Bench], simulators: Simulators) -> None:
    """Nothing more is asked for."""
    failed(simulators, status="Completed")
    found = seen(make("run_failed.json"))
    assert (found["error"], found["failed_step"], found["unread"]) == ("", "", "")
    assert simulators.inference.seen() == []


@pytest.mark.parametrize(
    ("event", "kind", "said"),
    [
        ("model_registered.json", "models", "model/fraud-gbm:12/details"),
        ("model_deployed.json", "online_endpoints", "endpoints/realtime/fraud-aks"),
    ],
)
def test_an_alert_may_link_to_a_model_or_an_endpoint(
    event: str, kind: str, said: str, make: Callable[..., Bench], simulators: Simulators
) -> None:
    """What the event is about has a page of the studio."""
    seeds: dict[str, Any] = {
        "models": {"id": f"{WORKSPACE}/models/fraud-gbm/versions/12"},
        "online_endpoints": {"id": f"{WORKSPACE}/onlineEndpoints/fraud-aks", "deployments": []},
    }
    simulators.management.seed(**{kind: [seeds[kind]]})
    found = seen(make(event))
    assert said in found["links"]["studio"]
    assert (found["error"], found["unread"]) == ("", "")
    assert bool(found["created_by"]) is (kind == "models")


def test_an_endpoint_names_the_deployment_that_failed(make: Callable[..., Bench], simulators: Simulators) -> None:
    """Online or batch, it is the deployment that is Failed."""
    simulators.management.seed(
        models=[{"id": f"{WORKSPACE}/models/fraud-gbm/versions/12"}],
        computes=[{"id": f"{WORKSPACE}/computes/cpu"}],
        provisioning=[{"name": "bad"}],
        settings={"provisioning_seconds": 0},
    )
    bench = make("model_deployed.json")
    batch = bench.clients.machine_learning.batch
    batch.put_endpoint(WORKSPACE, "fraud-aks", "westeurope")
    held = BatchSettings(model_id=f"{WORKSPACE}/models/fraud-gbm/versions/12", compute_id=f"{WORKSPACE}/computes/cpu")
    for name in ("good", "bad"):
        batch.put_deployment(WORKSPACE, "fraud-aks", name, "westeurope", held)
    found = seen(bench)
    assert (found["failed_step"], found["error"]) == ("bad", "deployment bad is Failed")
    assert "endpoints/batch/fraud-aks" in found["links"]["studio"]


@pytest.mark.parametrize("event", ["run_failed.json", "model_registered.json", "model_deployed.json"])
def test_what_is_gone_is_said_to_be(event: str, make: Callable[..., Bench], simulators: Simulators) -> None:
    """A run, a model or an endpoint that was deleted since: the alert goes out and says so."""
    simulators.management.seed(workspaces=[{"id": WORKSPACE}])
    found = seen(make(event))
    assert found["unread"].endswith(": it is not there any more")
    assert found["error"] == ""


@pytest.mark.parametrize("event", ["run_failed.json", "model_registered.json", "model_deployed.json"])
def test_what_may_not_be_read_is_waited_for_and_then_left_out(
    event: str, make: Callable[..., Bench], simulators: Simulators
) -> None:
    """While there is patience a role may still spread; then the reason why is told instead."""
    failed(simulators)
    simulators.management.seed(forbidden=[{"path": "/(jobs|models|onlineEndpoints|batchEndpoints)/", "n": 99}])
    simulators.inference.fault("error", n=99, path="/history/", status=403, body="denied by policy")
    bench = make(event)
    with pytest.raises(TemporaryError, match="role"):
        seen(bench, patient=True)
    found = seen(bench)
    assert "could not be read: Machine Learning answered 403 AuthorizationFailed" in found["unread"]
    assert (found["failed_step"], found["created_by"]) == ("", "")
    assert found["links"]["portal"]


@pytest.mark.parametrize("body", ["[]", "no JSON", '{"value": [7]}', '{"value": "x"}', '{"error": 7}'])
def test_a_history_that_talks_nonsense_is_left_out(
    body: str, make: Callable[..., Bench], simulators: Simulators
) -> None:
    """What was read of the job itself stays."""
    failed(simulators, children=[CHILD])
    simulators.inference.fault("error", n=99, path="/history/", status=200, body=body)
    found = seen(make("run_failed.json"))
    assert (found["error"], found["created_by"]) == ("", "Ada")


@pytest.mark.guarantee(7)
def test_a_workspace_that_is_not_declared_is_not_asked(make: Callable[..., Bench], simulators: Simulators) -> None:
    """The alert says that it is not declared."""
    bench = make("run_failed.json")
    bench.declared = bench.declared.model_copy(update={"workspaces": {}})
    assert "is not declared" in seen(bench)["unread"]
    assert simulators.management.seen() == []


def trained(simulators: Simulators, **given: Any) -> None:
    """Let the iteration that the event is about be there."""
    one = {"id": ITERATION, "name": "Iteration 3"} | given
    simulators.vision.seed(projects=[{"id": PROJECT, "name": "fruit", "iterations": [one]}])


@pytest.mark.guarantee(6)
def test_an_alert_may_say_why_a_training_failed(make: Callable[..., Bench], simulators: Simulators) -> None:
    """What Custom Vision says of it, without secrets, and where to look; or that it says nothing."""
    why = "no images at https://a.blob.core.windows.net/c/b?sv=1&sig=CANARY"
    trained(simulators, status="Failed", trainingErrorDetails=why)
    bench = make("vision_training_failed.json")
    assert seen(bench) == {
        "error": "no images at https://a.blob.core.windows.net/c/b",
        "failed_step": "training",
        "created_by": "",
        "links": {"studio": PAGE, "portal": ""},
        "unread": "",
    }
    trained(simulators, status="Failed")
    assert seen(bench)["error"] == "Iteration 3 failed, and Custom Vision does not say why"


def test_an_alert_may_say_which_export_failed(make: Callable[..., Bench], simulators: Simulators) -> None:
    """The event's own, where its model's name tells that; else all that have failed."""
    lite = {"platform": "TensorFlow", "flavor": "TensorFlowLite", "status": "Failed"}
    trained(simulators, exports=[{"platform": "ONNX"}, lite, {"platform": "CoreML", "status": "Failed"}])
    bench = make("vision_export_failed.json")
    found = seen(bench)
    assert found["failed_step"] == "TensorFlow/TensorFlowLite, CoreML"
    told = "the export to TensorFlow/TensorFlowLite, CoreML failed, and Custom Vision does not say why"
    assert (found["error"], found["links"]["studio"], found["unread"]) == (told, PAGE, "")
    facts = {"vision": {**bench.event.facts["vision"], "platform": "CoreML", "flavor": None}}
    bench.event = replace(bench.event, facts=facts)
    assert seen(bench)["failed_step"] == "CoreML"
    trained(simulators)
    assert seen(make("vision_export_failed.json"))["error"] == ""


@pytest.mark.parametrize("event", ["vision_training_completed.json", "vision_connection_test.json"])
def test_what_went_well_has_a_page_and_no_error(event: str, make: Callable[..., Bench], simulators: Simulators) -> None:
    """Nothing is asked for."""
    found = seen(make(event))
    assert (found["error"], found["failed_step"], found["unread"]) == ("", "", "")
    assert found["links"] == {"studio": PAGE, "portal": ""}
    assert simulators.vision.seen() == []


@pytest.mark.parametrize(
    ("event", "step"), [("vision_training_failed.json", "training"), ("vision_export_failed.json", "")]
)
def test_what_custom_vision_does_not_tell_is_left_out(
    event: str, step: str, make: Callable[..., Bench], simulators: Simulators
) -> None:
    """Deleted, or busy, or with another key by now: the alert goes out and says so; the key is in none of it."""
    simulators.vision.seed(projects=[{"id": PROJECT, "name": "fruit"}])
    bench = make(event)
    found = seen(bench)
    assert (found["error"], found["failed_step"], found["links"]["studio"]) == ("", step, PAGE)
    assert "could not be read: " in found["unread"]
    bench.values = {**bench.values, "VISION_KEY": "an-older-key"}
    found = seen(bench, patient=True)
    assert "could not be read: Custom Vision answered 401" in found["unread"]
    assert "an-older-key" not in repr(found)
    simulators.vision.fault("unavailable", n=99, path="/iterations/")
    with pytest.raises(TemporaryError):
        seen(bench, patient=True)
    assert "could not be read: Custom Vision answered 503" in seen(bench)["unread"]


@pytest.mark.guarantee(7)
def test_a_project_that_is_not_declared_is_not_asked(make: Callable[..., Bench], simulators: Simulators) -> None:
    """The alert says that it is not declared."""
    bench = make("vision_training_failed.json")
    bench.declared = bench.declared.model_copy(update={"vision": {}})
    assert "is not declared" in seen(bench)["unread"]
    assert simulators.vision.seen() == []


def test_an_outcome_of_ours_has_nothing_to_look_up(make: Callable[..., Bench], simulators: Simulators) -> None:
    """Names are there, and empty where it says nothing; else it knows why by itself."""
    bench = make()
    bench.event = announce("ReplicaOutdated", id="a", time=datetime.now(UTC), facts={})
    assert seen(bench) == {
        **dict.fromkeys(("error", "failed_step", "created_by", "unread"), ""),
        "links": {"studio": "", "portal": ""},
    }
    steps = {"a": {"links": {"studio": "https://ml.azure.com/runs/x"}}, "b": {}, "c": {"links": "no"}}
    facts: dict[str, Any] = {"action": {"steps": steps}, "failure": {"step": "retrain", "reason": "out of memory"}}
    bench.event = announce("ActionFailed", id="a", time=datetime.now(UTC), facts=facts)
    found = seen(bench)
    assert (found["error"], found["failed_step"]) == ("out of memory", "retrain")
    assert found["links"] == {"studio": "https://ml.azure.com/runs/x", "portal": ""}
    assert simulators.management.seen() == []


def test_a_message_says_what_could_not_be_read(make: Callable[..., Bench], simulators: Simulators) -> None:
    """It goes out all the same, with the reason below its text."""
    bench = make()
    told = replace(bench.job(), memory={"unread": "error could not be read: 403"})
    alert.send(alert.Alert(channel="hook", title="t", text="failed"), told)
    (message,) = simulators.channels.inbox(channel="webhook")
    assert json.loads(message["body"])["data"]["text"] == "failed\n\n(error could not be read: 403)"


@pytest.mark.parametrize("forbidden", [0, 999])
def test_a_rule_asks_and_is_told(
    forbidden: int,
    make: Callable[..., Bench],
    simulators: Simulators,
    azurite: str,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A whole action: what the templates ask for is read when the step begins, and what may not be is left out."""
    run = uuid4().hex
    failed(simulators, id=f"{WORKSPACE}/jobs/{run}", children=[CHILD | {"error": {"code": "X", "message": "y"}}])
    simulators.management.seed(forbidden=[{"path": "/jobs/", "n": forbidden}] if forbidden else [])
    bench = make("run_failed.json")
    settings = Settings.read(
        {
            "AzureWebJobsStorage": azurite,
            "REACTOR_ARM_ENDPOINT": simulators.management.url,
            "REACTOR_ML_HOSTS": "127.0.0.1",
            "HOOK_SECRET": SECRET,
        }
    )
    prepare(bench.clients.account, settings.backup_container)
    rules = {
        "version": 1,
        "workspaces": {"fraud": WORKSPACE},
        "channels": {
            "hook": {"kind": "webhook", "url": f"{simulators.channels.url}/hooks/a", "secret": "${HOOK_SECRET}"}
        },
        "rules": [{"name": "work", "on": "RunFailed", "do": [{"alert": ASKS}]}],
    }
    world = World(settings, json.dumps(rules), Wire())
    world.install(monkeypatch)
    event = json.loads((EVENTS / "run_failed.json").read_text("utf-8"))[0]
    event["id"] = event["data"]["runId"] = run
    world.reactor.receive("event_grid", json.dumps(event))
    world.run()
    (message,) = simulators.channels.inbox(channel="webhook")
    text = json.loads(message["body"])["data"]["text"]
    if forbidden:
        assert text.startswith("X: y, by \n\n(who created it could not be read: Machine Learning answered 403 ")
    else:
        assert text == "X: y, by Ada"
