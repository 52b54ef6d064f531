"""run.data_factory over real https against the simulated service."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dev.simulators.remote import Simulators
from shared.actions import Status
from shared.errors import PermanentError, TemporaryError, UnansweredError
from shared.handlers import drift, run
from shared.rules.declared import Declared
from shared.stages import Done, End, Job
from tests.integration.stages import Bench, Told, clients_of, event_of

FACTORY = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/data/providers/"
    "Microsoft.DataFactory/factories/etl"
)
WORKSPACE = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers/"
    "Microsoft.MachineLearningServices/workspaces/fraud"
)
EVENTS = Path(__file__).parents[1] / "events"
MONITOR = f"{WORKSPACE}/jobs/calm_fox_7"
TAG = "azureml_modelmonitor_threshold_breached"
PARAMS = {"factory": "etl", "pipeline": "retrain"}


@pytest.fixture
def bench(simulators: Simulators, azurite: str) -> Bench:
    """Declare one factory, by a setting, and answer a monitor's breach that goes on."""
    monitor(simulators, "Failed", {TAG: "it has failed"})
    declared = Declared(workspaces={"fraud": WORKSPACE}, factories={"etl": "${ETL_FACTORY}"})
    clients, event = clients_of(simulators, azurite), event_of((EVENTS / "monitor_breach.json").read_text("utf-8"))
    return Bench(clients, declared, event, {"ETL_FACTORY": FACTORY})


def monitor(simulators: Simulators, status: str, tags: Mapping[str, str], id: str = MONITOR) -> None:
    """Let a monitor's run be as it is now."""
    simulators.management.seed(jobs=[{"id": id, "status": status, "tags": tags}])


def seed(simulators: Simulators, *parameters: str, **more: object) -> None:
    """Publish the pipeline."""
    simulators.management.seed(
        pipelines=[
            {
                "id": f"{FACTORY}/pipelines/retrain",
                "parameters": {name: {"type": "String"} for name in parameters},
                "seconds": 0.3,
                **more,
            }
        ],
        settings={"queued_seconds": 0.1, "page_size": 1},
    )


def test_a_pipeline_is_run_to_its_end(bench: Bench, simulators: Simulators) -> None:
    """The run gets the parameters and the step's key, is watched, and leaves its id and a link."""
    seed(simulators, "reactor_action", "signal")
    told = bench.run("run.data_factory", factory="etl", pipeline="retrain", parameters={"signal": "{{ drift.signal }}"})
    (made,) = simulators.management.state()["runs"]
    assert made["parameters"] == {"reactor_action": bench.key, "signal": "credit_data_drift"}
    assert told.result["run_id"] == made["runId"]
    assert told.result["status"] == "Succeeded"
    assert made["runId"] in told.result["links"]["studio"]


@pytest.mark.guarantee(3)
def test_a_lost_reply_starts_no_second_run(bench: Bench, simulators: Simulators) -> None:
    """A run whose reply was lost is found by its key, behind other runs, on a later page."""
    seed(simulators, "reactor_action")
    for _ in range(3):
        bench.clients.data_factory.create_run(FACTORY, "retrain", {"reactor_action": "of another action"})
    params = run.DataFactory(factory="etl", pipeline="retrain")
    checked = run.check(params, bench.job())
    simulators.management.fault("lost_reply", method="POST", path="createRun")
    job = bench.job(result=getattr(checked, "result", {}))
    with pytest.raises(UnansweredError):
        run.start(params, job)
    assert run.find(params, job) is not None
    assert len(simulators.management.state()["runs"]) == 4
    assert len(simulators.management.seen("POST", "createRun")) == 4


def test_a_lagging_list_does_not_show_the_run(bench: Bench, simulators: Simulators) -> None:
    """While the service's list lags, nothing is found; afterwards the run is."""
    seed(simulators, "reactor_action")
    params = run.DataFactory(factory="etl", pipeline="retrain")
    job = bench.job(result=getattr(run.check(params, bench.job()), "result", {}))
    run.start(params, job)
    simulators.management.fault("lag", path="queryPipelineRuns")
    assert run.find(params, job) is None
    assert run.find(params, job) is not None


def test_a_pipeline_without_the_key_is_at_least_once(bench: Bench, simulators: Simulators) -> None:
    """A pipeline that declares no key parameter is run without one, and the record says what that means."""
    seed(simulators)
    told = bench.run("run.data_factory", factory="etl", pipeline="retrain")
    assert told.notes[0].startswith("at least once")
    assert simulators.management.state()["runs"][0]["parameters"] == {}


def test_a_failed_run_says_why(bench: Bench, simulators: Simulators) -> None:
    """A failed run is permanent, with its message, and the first activity that failed with its code and words."""
    failed = {"activityName": "train", "status": "Failed", "error": {"errorCode": "2108", "message": "out of memory"}}
    seed(simulators, "reactor_action", outcome="Failed", message="Operation failed", activities=[failed])
    with pytest.raises(PermanentError, match=r"Operation failed; train: out of memory \(2108, UserError\)"):
        bench.run("run.data_factory", factory="etl", pipeline="retrain")


def test_an_unknown_pipeline_and_an_unknown_parameter_start_nothing(bench: Bench, simulators: Simulators) -> None:
    """What cannot work is said before anything is started."""
    seed(simulators, "reactor_action")
    with pytest.raises(PermanentError, match="404"):
        bench.run("run.data_factory", factory="etl", pipeline="nothing")
    with pytest.raises(PermanentError, match="has no parameter lr"):
        bench.run("run.data_factory", factory="etl", pipeline="retrain", parameters={"lr": 1})
    assert simulators.management.state()["runs"] == []


def test_a_declaration_whose_setting_is_missing_hides_no_other(bench: Bench, simulators: Simulators) -> None:
    """A factory is found by its id behind one whose setting is not set; that one fails by its name alone."""
    seed(simulators)
    bench.declared = Declared(
        workspaces={"fraud": WORKSPACE}, factories={"unset": "${NOT_SET}", "etl": "${ETL_FACTORY}"}
    )
    assert bench.run("run.data_factory", factory=FACTORY, pipeline="retrain").result["status"] == "Succeeded"
    with pytest.raises(PermanentError, match="NOT_SET"):
        bench.run("run.data_factory", factory="unset", pipeline="retrain")


@pytest.mark.guarantee(7)
def test_a_factory_that_is_not_declared_sees_no_token(bench: Bench, simulators: Simulators) -> None:
    """Only declared factories are spoken to."""
    with pytest.raises(PermanentError, match="not declared"):
        bench.run("run.data_factory", factory=FACTORY.replace("etl", "other"), pipeline="retrain")
    assert simulators.management.seen() == []


@pytest.mark.guarantee(6)
def test_a_failed_run_tells_no_secret(bench: Bench, simulators: Simulators) -> None:
    """What the run and its activities say is cut and cleaned before it is told."""
    said = "cannot read https://a.blob.core.windows.net/c/b?sv=1&sig=CANARY with AccountKey=CANARY==; " + "x" * 9999
    failed = {"activityName": "sig=CANARY", "status": "Failed", "error": {"errorCode": "2108", "message": said}}
    seed(simulators, "reactor_action", outcome="Failed", message=said, activities=[failed])
    with pytest.raises(PermanentError, match="cannot read") as caught:
        bench.run("run.data_factory", factory="etl", pipeline="retrain")
    assert "CANARY" not in caught.value.reason
    assert len(caught.value.reason) < 1000


@pytest.mark.parametrize("body", ["[]", '{"value": [7]}', '{"value": [{"error": "x"}]}', "no JSON"])
def test_a_failed_run_is_told_without_its_activities(body: str, bench: Bench, simulators: Simulators) -> None:
    """Which activity failed is told where it can be read, and never keeps the failure from being told."""
    seed(simulators, "reactor_action", outcome="Failed", message="Operation failed")
    simulators.management.fault("error", path="queryActivityruns", status=200, body=body)
    with pytest.raises(PermanentError, match=r"Operation failed$"):
        bench.run("run.data_factory", factory="etl", pipeline="retrain")


def test_a_new_run_may_not_be_seen_yet(bench: Bench, simulators: Simulators) -> None:
    """A run that is missing right after its start is waited for, and is gone where it stays missing."""
    seed(simulators, "reactor_action")
    params = run.DataFactory(factory="etl", pipeline="retrain")
    job = begun(bench, params)
    simulators.management.fault("error", n=3, method="GET", path="pipelineruns/", status=404, body="")
    with pytest.raises(TemporaryError, match="cannot be seen yet"):
        run.watch(params, job)
    with pytest.raises(TemporaryError, match="cannot be seen yet"):
        run.watch(params, replace(job, now=job.now + timedelta(minutes=9)))
    with pytest.raises(PermanentError, match="is gone"):
        run.watch(params, replace(job, now=job.now + timedelta(minutes=11)))
    assert run.watch(params, job)


@pytest.mark.guarantee(7)
def test_a_setting_that_is_no_factory_sees_no_token(bench: Bench, simulators: Simulators) -> None:
    """What a setting makes of a declaration is checked before it is used, and its value is not repeated."""
    bench.values = {"ETL_FACTORY": ".example.com/CANARY"}
    with pytest.raises(PermanentError, match=r"setting does not fit.*factories\.etl") as caught:
        bench.run("run.data_factory", factory="etl", pipeline="retrain")
    assert "CANARY" not in caught.value.reason
    assert simulators.management.seen() == []


@pytest.mark.guarantee(7)
def test_a_pipeline_that_is_no_name_is_not_asked_for(bench: Bench, simulators: Simulators) -> None:
    """A pipeline's name is one segment of a URL, or nothing is asked."""
    with pytest.raises(PermanentError, match="no name"):
        bench.run("run.data_factory", factory="etl", pipeline="..")
    assert simulators.management.seen(path="factories") == []


def test_a_run_that_an_older_version_began_is_not_begun_again(bench: Bench, simulators: Simulators) -> None:
    """Before an upgrade the run was watched in the stage that started it."""
    seed(simulators)
    job = bench.job(result={"since": "2026-03-02T08:15:04+00:00", "keyed": False}, memory={"run_id": "r1", "seen": ""})
    found = run.find(run.DataFactory(factory="etl", pipeline="retrain"), job)
    assert found == Done({"run_id": "r1"}, note="run r1 started")


# -- cancel -----------------------------------------------------------------------------------------------------------


def begun(bench: Bench, params: run.DataFactory) -> Job:
    """Start the run, and tell the next stage of it."""
    checked = run.check(params, bench.job())
    assert isinstance(checked, Done)
    started = run.start(params, bench.job(result=checked.result))
    assert isinstance(started, Done)
    return bench.job(result={**checked.result, **started.result})


def undo(bench: Bench, params: run.DataFactory, job: Job) -> str:
    """Perform the stage that undoes the run, and give what it notes."""
    told = Told(result=dict(job.result))
    stage = next(stage for stage in run.STAGES[run.DataFactory] if stage.effect == "undoes")
    bench.perform(stage, params, told)
    return told.notes[-1]


def test_a_run_is_canceled_with_what_it_started(bench: Bench, simulators: Simulators) -> None:
    """A run that goes on is canceled, recursively, and its end is waited for."""
    seed(simulators, "reactor_action", seconds=60)
    params = run.DataFactory(factory="etl", pipeline="retrain")
    job = begun(bench, params)
    assert undo(bench, params, job) == f"run {job.result['run_id']} was canceled"
    assert simulators.management.state()["runs"][0]["status"] == "Cancelled"
    (asked,) = simulators.management.seen("POST", "/cancel")
    assert "isRecursive=true" in asked["url"]


def test_a_run_that_has_ended_is_not_canceled(bench: Bench, simulators: Simulators) -> None:
    """What ended by itself stays as it is, be it just before it was to be canceled."""
    seed(simulators, "reactor_action", seconds=0)
    simulators.management.seed(settings={"queued_seconds": 0})
    params = run.DataFactory(factory="etl", pipeline="retrain")
    job = begun(bench, params)
    assert undo(bench, params, job) == f"run {job.result['run_id']} had succeeded"
    assert simulators.management.seen("POST", "/cancel") == []
    old = {"runId": job.result["run_id"], "status": "InProgress"}
    simulators.management.fault("error", method="GET", path="pipelineruns/", status=200, body=old)
    assert undo(bench, params, job) == f"run {job.result['run_id']} had succeeded"
    assert len(simulators.management.seen("POST", "/cancel")) == 1


def test_a_run_that_cannot_be_canceled_says_so(bench: Bench, simulators: Simulators) -> None:
    """A refusal that is not about its end is a failure."""
    seed(simulators, "reactor_action", seconds=60)
    params = run.DataFactory(factory="etl", pipeline="retrain")
    job = begun(bench, params)
    simulators.management.fault("error", path="/cancel", status=400, body={"error": {"code": "No", "message": "no"}})
    with pytest.raises(PermanentError, match="400 No: no"):
        undo(bench, params, job)


@pytest.mark.guarantee(3)
def test_the_run_of_an_unanswered_start_is_canceled(bench: Bench, simulators: Simulators) -> None:
    """A run whose reply was lost is found by its key to be canceled, though the list does not show it at once."""
    seed(simulators, "reactor_action", seconds=60)
    params = run.DataFactory(factory="etl", pipeline="retrain")
    checked = run.check(params, bench.job())
    assert isinstance(checked, Done)
    job = bench.job(result=checked.result)
    simulators.management.fault("lost_reply", method="POST", path="createRun")
    with pytest.raises(UnansweredError):
        run.start(params, job)
    simulators.management.fault("lag", path="queryPipelineRuns", n=2)
    assert undo(bench, params, job).endswith("was canceled")
    assert [made["status"] for made in simulators.management.state()["runs"]] == ["Cancelled"]


@pytest.mark.parametrize(("parameters", "note"), [(["reactor_action"], ""), ([], "carries no key")])
def test_a_run_that_was_never_started_needs_no_cancel(
    parameters: list[str], note: str, bench: Bench, simulators: Simulators
) -> None:
    """It is looked for a few times; without a key nobody can look, and the record says so."""
    seed(simulators, *parameters)
    params = run.DataFactory(factory="etl", pipeline="retrain")
    checked = run.check(params, bench.job())
    assert isinstance(checked, Done)
    assert note in undo(bench, params, bench.job(result=checked.result))
    assert len(simulators.management.seen("POST", "queryPipelineRuns")) == (0 if note else run.LOOKS)
    assert simulators.management.seen("POST", "/cancel") == []


def test_a_step_says_how_long_it_may_take() -> None:
    """The run has a deadline of its own, and starting it does not."""
    params = run.DataFactory.model_validate({**PARAMS, "within": "2h"})
    assert [stage.within and stage.within(params) for stage in run.STAGES[run.DataFactory]] == [
        *(None, None, timedelta(hours=2), None)
    ]


# -- is it still drifting? --------------------------------------------------------------------------------------------


@pytest.mark.guarantee(4)
@pytest.mark.parametrize(
    ("status", "tags", "why"),
    [
        ("Completed", {TAG: "it has failed"}, "is Completed"),
        ("Failed", {}, "is Failed, without a breach"),
        ("Failed", {TAG: "  "}, "is Failed, without a breach"),
    ],
)
def test_a_drift_that_is_over_is_not_answered(
    status: str, tags: dict[str, str], why: str, bench: Bench, simulators: Simulators
) -> None:
    """The monitor's run is read again: without the breach the action ends as skipped, and nothing is started."""
    seed(simulators, "reactor_action")
    monitor(simulators, status, tags)
    ended = run.check(run.DataFactory(factory="etl", pipeline="retrain"), bench.job())
    assert ended == End(Status.SKIPPED, f"credit_data_drift has recovered: the monitor's run calm_fox_7 {why}")
    assert simulators.management.seen(path="factories") == []


def test_a_drift_whose_run_is_gone_is_not_answered(bench: Bench, simulators: Simulators) -> None:
    """A monitor's run that was deleted proves no drift."""
    simulators.management.seed(remove=[MONITOR])
    ended = drift.recheck(bench.job())
    assert ended == End(Status.SKIPPED, "credit_data_drift: the monitor's run calm_fox_7 is not there any more")


def test_a_breach_may_be_told_by_a_step_of_the_monitor(bench: Bench, simulators: Simulators) -> None:
    """Where the root has no tag, the step that the event is about is asked; where the root has one, that is enough."""
    bench.event = event_of((EVENTS / "monitor_breach_step.json").read_text("utf-8"))
    told = bench.event.facts["run"]
    assert told["root_id"] != told["id"]
    for name, tags in ((told["root_id"], {}), (told["id"], {TAG.upper(): "it has failed"})):
        monitor(simulators, "Failed", tags, f"{WORKSPACE}/jobs/{name}")
    assert drift.recheck(bench.job()) == ""
    monitor(simulators, "Failed", {}, f"{WORKSPACE}/jobs/{told['id']}")
    assert isinstance(drift.recheck(bench.job()), End)
    monitor(simulators, "Failed", {TAG: "it has failed"}, f"{WORKSPACE}/jobs/{told['root_id']}")
    before = len(simulators.management.seen("GET", "/jobs/"))
    assert drift.recheck(bench.job()) == ""
    assert len(simulators.management.seen("GET", "/jobs/")) == before + 1


def test_a_monitor_that_may_not_be_read_holds_nothing_up_for_long(bench: Bench, simulators: Simulators) -> None:
    """A role may still spread; then the drift is taken for real, and the record says so."""
    simulators.management.seed(forbidden=[{"path": "/jobs/", "n": 99}])
    job = bench.job()
    with pytest.raises(TemporaryError, match="role"):
        drift.recheck(job)
    note = drift.recheck(replace(job, now=job.began + drift.PATIENCE))
    assert isinstance(note, str)
    assert note.startswith("the monitor's run could not be read again, so the drift is taken for real: ")
    bench.declared = Declared()
    assert "not declared" in str(drift.recheck(bench.job()))


def test_a_drift_of_the_first_generation_is_answered(bench: Bench, simulators: Simulators) -> None:
    """Its run has no tag, and need not be one that the service still knows."""
    bench.event = event_of((EVENTS / "dataset_drift.json").read_text("utf-8"))
    assert "it is not there" in str(drift.recheck(bench.job()))
    monitor(simulators, "Completed", {}, f"{WORKSPACE}/jobs/{bench.event.facts['run']['id']}")
    assert drift.recheck(bench.job()) == ""


def test_what_is_no_drift_needs_no_look(bench: Bench, simulators: Simulators) -> None:
    """Any other event is answered as it is."""
    bench.event = event_of((EVENTS / "run_failed.json").read_text("utf-8"))
    assert drift.recheck(bench.job()) == ""
    assert simulators.management.seen() == []
