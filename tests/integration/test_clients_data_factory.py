"""The client of Data Factory cancels runs and tells why they failed, over real https against the simulated service."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.simulators.remote import Simulators
from shared.clients.data_factory import DataFactory
from shared.errors import PermanentError, TemporaryError
from tests.integration.stages import clients_of

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml"
FACTORY = f"{GROUP}/providers/Microsoft.DataFactory/factories/etl"
STORAGE = "UseDevelopmentStorage=true"


@pytest.fixture
def factory(simulators: Simulators) -> DataFactory:
    """Give the client of Data Factory."""
    return clients_of(simulators, STORAGE).data_factory


def seed_pipeline(simulators: Simulators, **more: Any) -> None:
    """Publish a pipeline."""
    simulators.management.seed(
        pipelines=[{"id": f"{FACTORY}/pipelines/train", "seconds": 0.2, **more}], settings={"queued_seconds": 0.05}
    )


def run_status(factory: DataFactory, run_id: str) -> str:
    """Wait until a pipeline run has ended; its status."""
    deadline = time.monotonic() + 10
    while (run := factory.run(FACTORY, run_id)) is None or run.status in {"Queued", "InProgress", "Canceling"}:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return run.status


def window() -> tuple[datetime, datetime]:
    """Give a window around now."""
    return datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)


@pytest.mark.parametrize(("recursive", "child"), [(True, "Cancelled"), (False, "Succeeded")])
def test_a_pipeline_run_is_canceled(
    factory: DataFactory, simulators: Simulators, *, recursive: bool, child: str
) -> None:
    """A cancel ends a run that goes on, and what it started where that is wanted; one that is over stays as it is."""
    simulators.management.seed(pipelines=[{"id": f"{FACTORY}/pipelines/inner", "seconds": 60 if recursive else 0.3}])
    seed_pipeline(simulators, seconds=60, activities=[{"activityName": "call", "pipeline": "inner"}])
    run_id = factory.create_run(FACTORY, "train", {})
    inner = next(run["runId"] for run in simulators.management.state()["runs"] if run["pipelineName"] == "inner")
    for _ in range(2):
        factory.cancel(FACTORY, run_id, recursive=recursive)
    assert (run_status(factory, run_id), run_status(factory, inner)) == ("Cancelled", child)
    factory.cancel(FACTORY, run_id)
    with pytest.raises(PermanentError, match="404"):
        factory.cancel(FACTORY, "00000000-0000-0000-0000-000000000000")


def test_a_cancel_whose_answer_is_lost_is_looked_after(factory: DataFactory, simulators: Simulators) -> None:
    """Where the run is being canceled after all, all is well; where it is not, it is asked for again by the caller."""
    seed_pipeline(simulators, seconds=60)
    run_id = factory.create_run(FACTORY, "train", {})
    simulators.management.fault("drop", method="POST", path="/cancel")
    with pytest.raises(TemporaryError):
        factory.cancel(FACTORY, run_id)
    simulators.management.fault("lost_reply", method="POST", path="/cancel")
    factory.cancel(FACTORY, run_id)
    assert run_status(factory, run_id) == "Cancelled"


def test_the_activity_that_failed_is_told_with_its_code(factory: DataFactory, simulators: Simulators) -> None:
    """Its name, message, code and kind of failure, from whatever page it stands on."""
    error = {"errorCode": "2108", "message": "out of memory", "failureType": "SystemError"}
    names = ({"activityName": f"copy-{number}"} for number in range(4))
    seed_pipeline(simulators, outcome="Failed", activities=[*names, {"activityName": "fit", "error": error}])
    run_id = factory.create_run(FACTORY, "train", {})
    assert run_status(factory, run_id) == "Failed"
    assert factory.first_failure(FACTORY, run_id, *window()) == "fit: out of memory (2108, SystemError)"
    assert len(simulators.management.seen("POST", "queryActivityruns")) == 3


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, "fit: no reason"),
        ({}, "fit: no reason"),
        ({"errorCode": "2108"}, "fit: no reason (2108)"),
        ({"errorCode": 2108, "message": "x", "failureType": None}, "fit: x (2108)"),
        ({"message": "sig=CANARYCANARY"}, "fit: sig=***"),
        ([], ""),
    ],
)
def test_a_failed_activity_of_any_shape_is_told(
    factory: DataFactory, simulators: Simulators, error: Any, told: str
) -> None:
    """What an activity's error says is read as far as it can be."""
    activity = {"activityName": "fit", "status": "Failed", "error": error}
    simulators.management.fault("error", status=200, body={"value": [activity]})
    assert factory.first_failure(FACTORY, "run", *window()) == told
