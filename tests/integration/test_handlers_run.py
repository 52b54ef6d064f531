"""run.data_factory over real https against the simulated service."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dev.simulators.remote import Simulators
from shared.errors import PermanentError, TemporaryError, UnansweredError
from shared.handlers import run
from shared.rules.declared import Declared
from shared.stages import Pending
from tests.integration.stages import Bench, clients_of, event_of

FACTORY = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/data/providers/"
    "Microsoft.DataFactory/factories/etl"
)
BREACH = (Path(__file__).parents[1] / "events/monitor_breach.json").read_text("utf-8")


@pytest.fixture
def bench(simulators: Simulators, azurite: str) -> Bench:
    """Declare one factory, by a setting, and answer a monitor's breach."""
    declared = Declared(factories={"etl": "${ETL_FACTORY}"})
    return Bench(clients_of(simulators, azurite), declared, event_of(BREACH), {"ETL_FACTORY": FACTORY})


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
    """A failed run is permanent, with its message and the first activity that failed."""
    failed = {"activityName": "train", "status": "Failed", "error": {"errorCode": "2108", "message": "out of memory"}}
    seed(simulators, "reactor_action", outcome="Failed", message="Operation failed", activities=[failed])
    with pytest.raises(PermanentError, match="Operation failed; train: out of memory"):
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
    bench.declared = Declared(factories={"unset": "${NOT_SET}", "etl": "${ETL_FACTORY}"})
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
    checked = run.check(params, bench.job())
    started = run.start(params, bench.job(result=getattr(checked, "result", {})))
    assert isinstance(started, Pending)
    simulators.management.fault("error", n=3, method="GET", path="pipelineruns/", status=404, body="")
    job = bench.job(memory=dict(started.memory))
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
    assert simulators.management.seen() == []
