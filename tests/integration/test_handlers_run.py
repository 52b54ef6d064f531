"""run.data_factory over real https against the simulated service."""

from pathlib import Path

import pytest

from dev.simulators.remote import Simulators
from shared.errors import PermanentError, UnansweredError
from shared.handlers import run
from shared.rules.declared import Declared
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


@pytest.mark.guarantee(7)
def test_a_factory_that_is_not_declared_sees_no_token(bench: Bench, simulators: Simulators) -> None:
    """Only declared factories are spoken to."""
    with pytest.raises(PermanentError, match="not declared"):
        bench.run("run.data_factory", factory=FACTORY.replace("etl", "other"), pipeline="retrain")
    assert simulators.management.seen() == []


def test_a_run_is_canceled(bench: Bench, simulators: Simulators) -> None:
    """The client cancels a run."""
    seed(simulators, "reactor_action", seconds=60)
    run_id = bench.clients.data_factory.create_run(FACTORY, "retrain", {"reactor_action": "k"})
    bench.clients.data_factory.cancel(FACTORY, run_id)
    assert bench.clients.data_factory.run(FACTORY, run_id).status in {"Canceling", "Cancelled"}
