"""run.job over real https against the simulated service."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.simulators.remote import Simulators
from shared import parse
from shared.actions import Status
from shared.errors import PermanentError, TemporaryError
from shared.handlers.machine_learning import jobs
from shared.handlers.machine_learning.pipelines import PipelineJob
from shared.rules.declared import Declared
from shared.stages import Done, End, Job, Pending
from tests.integration.stages import Bench, Told, clients_of, event_of

WS = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers/"
    "Microsoft.MachineLearningServices/workspaces/fraud"
)
EVENTS = Path(__file__).parents[1] / "events"
TAGS = {"azureml_modelmonitor_threshold_breached": "it has failed"}
SPEC = {
    "type": "pipeline",
    "inputs": {
        "lr": {"type": "number", "default": "0.1"},
        "epochs": {"type": "integer", "optional": "true"},
        "warm": {"type": "boolean", "optional": "true"},
        "signal": {"type": "string", "optional": "true"},
        "data": {"type": "uri_folder", "optional": "true"},
        "base": {"type": "mlflow_model", "optional": "true"},
    },
    "outputs": {"model": {"type": "mlflow_model"}, "report": {"type": "uri_file"}},
    "jobs": {"prepare": {}, "train": {}},
}
COMPONENT = "azureml:retrain_fraud:4"


@pytest.fixture
def bench(simulators: Simulators, azurite: str) -> Bench:
    """Answer a monitor's breach that goes on, with a component that retrains."""
    simulators.management.seed(
        jobs=[{"id": f"{WS}/jobs/calm_fox_7", "status": "Failed", "tags": TAGS}],
        components=[
            {"id": f"{WS}/components/retrain_fraud/versions/4", "componentSpec": SPEC},
            {"id": f"{WS}/components/train/versions/1", "componentSpec": {"type": "command"}},
        ],
        computes=[{"id": f"{WS}/computes/cpu"}],
        settings={"queued_seconds": 0.1, "job_seconds": 0.4, "provisioning_seconds": 0.2},
    )
    declared = Declared(workspaces={"fraud": WS})
    return Bench(clients_of(simulators, azurite), declared, event_of((EVENTS / "monitor_breach.json").read_text()))


def params(**given: Any) -> PipelineJob:
    """Fill in the parameters that a rule would leave out."""
    return PipelineJob.model_validate({"workspace": WS, "component": COMPONENT, **given})


def checked(bench: Bench, **given: Any) -> Job:
    """Check, and tell the next stage what came of it."""
    done = jobs.check(params(**given), bench.job())
    assert isinstance(done, Done)
    return bench.job(result=done.result)


def made(simulators: Simulators, bench: Bench) -> Mapping[str, Any]:
    """Give the one job that was made, as the service has it."""
    told = simulators.management.state()["resources"]
    (one,) = (job for name, job in told.items() if name.lower().startswith(f"{WS.lower()}/jobs/reactor-"))
    assert one["name"] == f"reactor-{bench.key}"
    properties: Mapping[str, Any] = one["properties"]
    return properties


def put_bodies(simulators: Simulators) -> list[Any]:
    """List the bodies of the jobs that were asked for."""
    return [json.loads(one["body"]) for one in simulators.management.seen("PUT", "/jobs/")]


def test_a_job_is_run_to_its_end(bench: Bench, simulators: Simulators) -> None:
    """Its name is made of the key; inputs keep their types, lineage is in its tags; it leaves outputs and metrics."""
    simulators.management.seed(job_outcomes=[{"metrics": {"auc": 0.93}}])
    told = bench.run(
        "run.job",
        component=COMPONENT,
        inputs={
            "lr": 0.05,
            "epochs": 3,
            "warm": True,
            "signal": "{{ drift.signal }}",
            "data": {"folder": "azureml://datastores/workspaceblobstore/paths/train/"},
            "base": {"mlflow_model": "fraud-gbm:12"},
        },
        outputs={"model": {"type": "mlflow_model", "model": "fraud-gbm"}, "report": {"type": "file"}},
        experiment="retrain",
        compute="cpu",
        tags={"team": "risk"},
    )
    job = made(simulators, bench)
    assert job["experimentName"] == "retrain"
    assert job["displayName"] == "rule"
    assert job["settings"]["default_compute"] == f"{WS}/computes/cpu"
    assert {name: one.get("value") or one["uri"] for name, one in job["inputs"].items()} == {
        "lr": "0.05",
        "epochs": "3",
        "warm": "True",
        "signal": "credit_data_drift",
        "data": "azureml://datastores/workspaceblobstore/paths/train/",
        "base": f"{WS}/models/fraud-gbm/versions/12",
    }
    assert job["inputs"]["data"]["jobInputType"] == "uri_folder"
    assert job["outputs"]["report"]["jobOutputType"] == "uri_file"
    assert job["tags"] == {
        "team": "risk",
        "reactor-action": bench.key,
        "reactor-rule": "rule",
        "reactor-event": bench.event.key,
        "reactor-depth": "0",
        "reactor-run": "calm_fox_7",
    }
    name = f"reactor-{bench.key}"
    assert told.result["job"] == name
    assert told.result["status"] == "Completed"
    assert told.result["outputs"]["model"].endswith(f"/azureml/{name}/model/")
    assert name in told.result["links"]["studio"]
    assert set(told.wake_on) == {f"run:{WS.lower()}/{name}"}


def test_a_model_that_is_the_cause_is_named(bench: Bench, simulators: Simulators) -> None:
    """What an event tells of a model is in the job's tags."""
    bench.event = event_of((EVENTS / "model_registered.json").read_text())
    bench.run("run.job", component=COMPONENT)
    tags = made(simulators, bench)["tags"]
    assert tags["reactor-model"] == "fraud-gbm:12"
    assert "reactor-run" not in tags


def test_the_end_of_a_job_of_ours_is_heard(bench: Bench) -> None:
    """The event that tells its end carries the token that the step waits for."""
    job = checked(bench)
    begun = jobs.start(params(), job)
    assert isinstance(begun, Pending)
    told = json.loads((EVENTS / "run_completed.json").read_text())
    event = told[0] if isinstance(told, list) else told
    event["data"]["runId"] = f"reactor-{bench.key}"
    assert begun.wake_on in parse.wake_tokens(event_of(json.dumps(event)))


@pytest.mark.guarantee(3)
def test_a_lost_reply_starts_no_second_job(bench: Bench, simulators: Simulators) -> None:
    """The name is taken: the job is found, or the service says that it is there."""
    simulators.management.fault("lost_reply", method="PUT", path="/jobs/")
    told = bench.run("run.job", component=COMPONENT, inputs={"lr": 0.1})
    assert told.result["status"] == "Completed"
    assert len(put_bodies(simulators)) == 1
    again = jobs.start(params(inputs={"lr": 0.2}), checked(bench))
    assert isinstance(again, Done)
    assert made(simulators, bench)["inputs"]["lr"]["value"] == "0.1"


def test_a_failed_job_names_the_step_and_why(bench: Bench, simulators: Simulators) -> None:
    """The reason is that of the step which failed, and the remedy leads to the studio."""
    simulators.management.seed(
        job_outcomes=[{"outcome": "Failed", "step": "prepare", "error": {"code": "UserError", "message": "no rows"}}]
    )
    with pytest.raises(PermanentError, match=rf"job reactor-{bench.key} is Failed: prepare: .*no rows") as caught:
        bench.run("run.job", component=COMPONENT)
    assert caught.value.remedy.startswith("see https://ml.azure.com/runs/reactor-")


@pytest.mark.parametrize("fault", [{"status": 403, "body": "denied by policy"}, {"status": 200, "body": "no JSON"}])
def test_a_failed_job_is_told_without_its_history(fault: dict[str, Any], bench: Bench, simulators: Simulators) -> None:
    """Why it failed is told where it can be read, and never keeps the failure from being told."""
    simulators.management.seed(job_outcomes=[{"outcome": "Failed"}])
    simulators.inference.fault("error", n=99, path="/history/", **fault)
    with pytest.raises(PermanentError, match=r"is Failed$"):
        bench.run("run.job", component=COMPONENT)


@pytest.mark.guarantee(6)
def test_a_failed_job_tells_no_secret(bench: Bench, simulators: Simulators) -> None:
    """What the service says is cut and cleaned before it is told."""
    said = "cannot read https://a.blob.core.windows.net/c/b?sv=1&sig=CANARY AccountKey=CANARY== " + "x" * 9999
    simulators.management.seed(job_outcomes=[{"outcome": "Failed", "error": {"code": "UserError", "message": said}}])
    with pytest.raises(PermanentError, match="cannot read") as caught:
        bench.run("run.job", component=COMPONENT)
    assert "CANARY" not in caught.value.reason
    assert len(caught.value.reason) < 1000


def test_metrics_that_cannot_be_read_fail_no_job(bench: Bench, simulators: Simulators) -> None:
    """The record says that they could not be read."""
    simulators.inference.fault("error", n=99, path="mlflow", status=403, body="denied")
    told = bench.run("run.job", component=COMPONENT)
    assert told.result["metrics"] == {}
    assert told.notes[-1].startswith("its metrics could not be read: ")


def test_metrics_of_the_job_are_kept(bench: Bench, simulators: Simulators) -> None:
    """What the job itself logged is in the result."""
    name = f"reactor-{bench.key}"
    simulators.management.seed(jobs=[{"id": f"{WS}/jobs/{name}", "status": "Completed", "metrics": {"auc": 0.9}}])
    assert bench.run("run.job", component=COMPONENT).result["metrics"] == {"auc": 0.9}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"component": "retrain_fraud"}, "names no version"),
        ({"component": "retrain_fraud:5"}, "component retrain_fraud:5 is not there"),
        ({"component": f"{WS}/components/other/versions/1"}, "component other:1 is not there"),
        ({"inputs": {"rate": 1}}, "has no input rate: it has lr, epochs, warm, signal, data, base"),
        ({"outputs": {"plot": {}}}, "has no output plot: it has model, report"),
        ({"inputs": {"data": "azureml://datastores/a/paths/b"}}, "input data is a uri_folder"),
        ({"inputs": {"lr": {"file": "azureml://datastores/a/paths/b"}}}, "input lr is a number"),
        ({"component": "train:1"}, "component train:1 is a command and no pipeline"),
        ({"component": "../x:1"}, "no name that can stand in a URL|names no version|no .*ARM id"),
        ({"workspace": WS.replace("fraud", "other")}, "not declared"),
    ],
)
def test_what_cannot_work_starts_nothing(given: dict[str, Any], why: str, bench: Bench, simulators: Simulators) -> None:
    """It is said before anything is started."""
    with pytest.raises(PermanentError, match=why):
        bench.run("run.job", **{"component": COMPONENT, **given})
    assert put_bodies(simulators) == []


def test_an_input_that_is_needed_and_not_given_starts_nothing(bench: Bench, simulators: Simulators) -> None:
    """It is named before anything is started, with what helps."""
    spec = {**SPEC, "inputs": {"signal": {"type": "string"}, "lr": {"type": "number", "default": "0.1"}}}
    simulators.management.seed(components=[{"id": f"{WS}/components/strict/versions/1", "componentSpec": spec}])
    with pytest.raises(PermanentError, match="component strict:1 needs the input signal") as caught:
        bench.run("run.job", component="strict:1")
    assert "inputs" in caught.value.remedy
    assert put_bodies(simulators) == []


@pytest.mark.parametrize("given", [None, ["a"], {"folder": "a", "file": "b"}, {"dir": "a"}, {"folder": 7}])
def test_an_input_that_is_none_is_refused(given: Any) -> None:
    """A template that brings a list, or nothing, is told by the input's name."""
    with pytest.raises(ValueError, match=r"inputs\.lr|inputs"):
        params(inputs={"lr": given})


def test_what_is_no_model_is_not_registered_as_one() -> None:
    """A folder has no model's name."""
    with pytest.raises(ValueError, match="must have the type of a model"):
        params(outputs={"report": {"type": "file", "model": "fraud-gbm"}})


def test_a_component_of_a_registry_is_taken_as_it_is(bench: Bench, simulators: Simulators) -> None:
    """It is not looked up beforehand, and travels as it is written."""
    shared_one = "azureml://registries/prod/components/retrain/versions/4"
    assert bench.run("run.job", component=shared_one, compute="serverless").result["component"] == shared_one
    (body,) = put_bodies(simulators)
    assert body["properties"]["componentId"] == shared_one
    assert body["properties"]["settings"]["default_compute"] == "serverless"


def test_a_service_that_refuses_is_quoted(bench: Bench, simulators: Simulators) -> None:
    """A compute that is not there is the service's own refusal, and a permanent one."""
    with pytest.raises(PermanentError, match="ComputeNotFound"):
        bench.run("run.job", component=COMPONENT, compute="gone")


def test_a_drift_that_is_over_retrains_nothing(bench: Bench, simulators: Simulators) -> None:
    """The monitor's run is read again before the job is started."""
    simulators.management.seed(jobs=[{"id": f"{WS}/jobs/calm_fox_7", "status": "Completed", "tags": TAGS}])
    ended = jobs.check(params(), bench.job())
    assert isinstance(ended, End)
    assert ended.status is Status.SKIPPED
    assert "has recovered" in ended.reason


def test_trouble_on_the_way_is_waited_out(bench: Bench, simulators: Simulators) -> None:
    """Throttling, an outage and a dropped connection are tried again."""
    simulators.management.fault("throttle", method="PUT", path="/jobs/", retry_after=0.1)
    simulators.management.fault("unavailable", method="PUT", path="/jobs/")
    simulators.management.fault("drop", method="PUT", path="/jobs/")
    told = bench.run("run.job", component=COMPONENT)
    assert told.result["status"] == "Completed"
    assert len(told.troubles) == 3


def test_a_job_that_is_deleted_meanwhile_is_gone(bench: Bench, simulators: Simulators) -> None:
    """A new job may not be seen at once; one that stays away was deleted."""
    job = checked(bench)
    begun = jobs.start(params(), job)
    assert isinstance(begun, Pending)
    simulators.management.seed(remove=[f"{WS}/jobs/reactor-{bench.key}"])
    job = replace(job, memory=begun.memory)
    with pytest.raises(TemporaryError, match="cannot be seen yet"):
        jobs.watch(params(), job)
    with pytest.raises(PermanentError, match="somebody deleted it"):
        jobs.watch(params(), replace(job, now=job.now + timedelta(minutes=11)))


@pytest.mark.parametrize("status", ["NotResponding", "Paused"])
def test_a_job_that_may_go_on_is_waited_for(status: str, bench: Bench, simulators: Simulators) -> None:
    """What does not respond, or is paused, has not failed."""
    name = f"reactor-{bench.key}"
    simulators.management.seed(jobs=[{"id": f"{WS}/jobs/{name}", "status": status}])
    looked = jobs.find(params(), checked(bench))
    assert isinstance(looked, Pending)
    assert looked.note == f"job {name} is {status}"


# -- cancel -----------------------------------------------------------------------------------------------------------


def undo(bench: Bench, job: Job) -> str:
    """Perform the stage that undoes the job, and give what it notes."""
    told = Told(result=dict(job.result))
    stage = next(stage for stage in jobs.STAGES[PipelineJob] if stage.effect == "undoes")
    bench.perform(stage, params(), told)
    return told.notes[-1]


def test_a_job_is_canceled(bench: Bench, simulators: Simulators) -> None:
    """A job that goes on is asked to end once, and its end is waited for."""
    simulators.management.seed(settings={"job_seconds": 60})
    job = checked(bench)
    jobs.start(params(), job)
    assert undo(bench, job) == f"job reactor-{bench.key} was canceled"
    assert made(simulators, bench)["status"] == "Canceled"
    assert len(simulators.management.seen("POST", "/cancel")) == 1


@pytest.mark.parametrize(("status", "note"), [("Completed", "had completed"), ("Failed", ""), ("Canceled", "")])
def test_a_job_that_has_ended_is_left_alone(status: str, note: str, bench: Bench, simulators: Simulators) -> None:
    """Nothing is asked of it."""
    simulators.management.seed(jobs=[{"id": f"{WS}/jobs/reactor-{bench.key}", "status": status}])
    assert undo(bench, checked(bench)).endswith(note)
    assert simulators.management.seen("POST", "/cancel") == []


def test_a_job_that_was_never_started_needs_no_cancel(bench: Bench, simulators: Simulators) -> None:
    """It is looked for a few times, since one that was started a moment ago may not be seen."""
    job = checked(bench)
    before = len(simulators.management.seen("GET", "/jobs/reactor-"))
    assert undo(bench, job) == ""
    assert len(simulators.management.seen("GET", "/jobs/reactor-")) == before + jobs.LOOKS


def test_a_step_says_how_long_it_may_take() -> None:
    """A week, unless the rule says otherwise."""
    run = next(stage for stage in jobs.STAGES[PipelineJob] if stage.name == "run")
    assert run.within is not None
    assert run.within(params()) == timedelta(days=7)
    assert run.within(params(within="90m")) == timedelta(minutes=90)
