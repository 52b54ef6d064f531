"""The simulated Data Factory behaves like the real one, as seen by Microsoft's own client."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.mgmt.datafactory import DataFactoryManagementClient
from azure.mgmt.datafactory.models import RunFilterParameters, RunQueryFilter

from dev.simulators.remote import Simulators

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml"
FACTORY = f"{GROUP}/providers/Microsoft.DataFactory/factories/etl"


@pytest.fixture(autouse=True)
def retrain(simulators: Simulators) -> None:
    """Publish a pipeline that takes our key."""
    simulators.management.seed(
        pipelines=[{"id": f"{FACTORY}/pipelines/retrain", "parameters": {"reactor_action": {"type": "String"}}}],
        settings={"queued_seconds": 0.05},
    )


def factory_client(simulators: Simulators) -> DataFactoryManagementClient:
    """Give Microsoft's client of Data Factory, pointed at the simulator."""
    return DataFactoryManagementClient(
        ManagedIdentityCredential(),
        "11111111-2222-3333-4444-555555555555",
        base_url=simulators.management.url,
        credential_scopes=["https://management.azure.com/.default"],
    )


def window(**more: Any) -> RunFilterParameters:
    """Give what a query asks for: all that changed around now."""
    now, hour = datetime.now(UTC), timedelta(hours=1)
    return RunFilterParameters(last_updated_after=now - hour, last_updated_before=now + hour, **more)


def run_status(client: DataFactoryManagementClient, run: str) -> str:
    """Wait until a pipeline run has ended; its status."""
    deadline = time.monotonic() + 10
    while (status := client.pipeline_runs.get("ml", "etl", run).status) in {"Queued", "InProgress", "Canceling"}:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return str(status)


def shown_activities(client: DataFactoryManagementClient, run: str) -> list[Any]:
    """Read the activities of a run, every page of them."""
    found: list[Any] = []
    asked = window()
    while True:
        page = client.activity_runs.query_by_pipeline_run("ml", "etl", run, asked)
        found += page.value
        asked.continuation_token = page.continuation_token
        if not page.continuation_token:
            return found


def test_the_official_data_factory_client_runs_a_pipeline_to_its_end(simulators: Simulators) -> None:
    """createRun, get, query and activities work as azure-mgmt-datafactory expects them."""
    simulators.management.seed(settings={"queued_seconds": 0.5})
    simulators.management.seed(
        pipelines=[
            {
                "id": f"{FACTORY}/pipelines/train",
                "parameters": {"epochs": {"type": "Int", "defaultValue": 3}, "why": {"type": "String"}},
                "seconds": 0.1,
                "outcome": "Failed",
                "message": "Operation on target fit failed",
                "activities": [{"activityName": "fit", "error": {"errorCode": "2108", "message": "out of memory"}}],
            }
        ]
    )
    with factory_client(simulators) as client:
        pipeline = client.pipelines.get("ml", "etl", "train")
        assert pipeline is not None
        assert set(pipeline.parameters or ()) == {"epochs", "why"}
        run_id = client.pipelines.create_run("ml", "etl", "train", parameters={"why": "drift"}).run_id
        seen = [client.pipeline_runs.get("ml", "etl", run_id).status]
        while seen[-1] in {"Queued", "InProgress"}:
            seen.append(client.pipeline_runs.get("ml", "etl", run_id).status)
        run = client.pipeline_runs.get("ml", "etl", run_id)
        activities = client.activity_runs.query_by_pipeline_run("ml", "etl", run_id, window()).value
    assert seen[0] == "Queued"
    assert (run.status, run.message) == ("Failed", "Operation on target fit failed")
    assert run.parameters == {"epochs": "3", "why": "drift"}
    told = {"errorCode": "2108", "message": "out of memory", "failureType": "UserError", "target": "fit"}
    assert [one.error for one in activities] == [told]


def test_a_query_of_runs_is_paged_and_filtered(simulators: Simulators) -> None:
    """Five runs come in three pages, only those of the window and the pipeline, newest first."""
    pipelines = [{"id": f"{FACTORY}/pipelines/{name}", "seconds": 60} for name in ("a", "b")]
    early = [{"factory": FACTORY, "pipelineName": "a", "runStart": "2026-01-01T00:00:00Z"}]
    runs = [{"factory": FACTORY, "pipelineName": "a"}] * 5 + [{"factory": FACTORY, "pipelineName": "b"}]
    simulators.management.seed(pipelines=pipelines)
    simulators.management.seed(runs=early + runs)
    asked = window(filters=[RunQueryFilter(operand="PipelineName", operator="Equals", values_property=["a"])])
    found: list[str | None] = []
    pages = 0
    with factory_client(simulators) as client:
        while True:
            answer = client.pipeline_runs.query_by_factory("ml", "etl", asked)
            found, pages = found + [run.run_id for run in answer.value], pages + 1
            asked.continuation_token = answer.continuation_token
            if not answer.continuation_token:
                break
    assert (len(found), len(set(found)), pages) == (5, 5, 3)


def test_a_lagging_listing_does_not_show_what_is_young(simulators: Simulators) -> None:
    """A run is there for GET at once, and for a query only when the listing has caught up."""
    simulators.management.fault("lag", path="queryPipelineRuns", n=2)
    with factory_client(simulators) as client:
        run = client.pipelines.create_run("ml", "etl", "retrain", parameters={"reactor_action": "k"}).run_id
        listed = [len(client.pipeline_runs.query_by_factory("ml", "etl", window()).value) for _ in range(3)]
        assert client.pipeline_runs.get("ml", "etl", run).run_id == run
    assert listed == [0, 0, 1]


def test_create_run_refuses_what_the_service_refuses(simulators: Simulators) -> None:
    """No such pipeline, a parameter missing, a parameter that is not declared, a window that is missing."""
    with factory_client(simulators) as client:
        with pytest.raises(ResourceNotFoundError, match="missing"):
            client.pipelines.create_run("ml", "etl", "missing")
        with pytest.raises(HttpResponseError, match="reactor_action is not provided"):
            client.pipelines.create_run("ml", "etl", "retrain")
        with pytest.raises(HttpResponseError, match="not present in the pipeline definition"):
            client.pipelines.create_run("ml", "etl", "retrain", parameters={"reactor_action": "k", "other": "x"})
        with pytest.raises(ResourceNotFoundError):
            client.pipeline_runs.get("ml", "etl", "00000000-0000-0000-0000-000000000000")


def test_a_run_is_canceled(simulators: Simulators) -> None:
    """Cancelling takes a moment, may be asked for again meanwhile, and is refused for a run that is over."""
    simulators.management.seed(settings={"queued_seconds": 1})
    with factory_client(simulators) as client:
        run = client.pipelines.create_run("ml", "etl", "retrain", parameters={"reactor_action": "k"}).run_id
        for _ in range(2):
            client.pipeline_runs.cancel("ml", "etl", run)
            assert client.pipeline_runs.get("ml", "etl", run).status == "Canceling"
        assert run_status(client, run) == "Cancelled"
        with pytest.raises(HttpResponseError, match="already Cancelled"):
            client.pipeline_runs.cancel("ml", "etl", run)
        with pytest.raises(ResourceNotFoundError):
            client.pipeline_runs.cancel("ml", "etl", "00000000-0000-0000-0000-000000000000")


@pytest.mark.parametrize(("recursive", "child"), [(True, "Cancelled"), (False, "Succeeded")])
def test_a_cancel_reaches_what_a_run_started_where_it_is_recursive(
    simulators: Simulators, *, recursive: bool, child: str
) -> None:
    """A pipeline that an activity runs has a run of its own, which a plain cancel leaves alone."""
    simulators.management.seed(pipelines=[{"id": f"{FACTORY}/pipelines/inner", "seconds": 60 if recursive else 0.3}])
    outer = {"id": f"{FACTORY}/pipelines/outer", "seconds": 60}
    activities = [{"activityName": "call", "pipeline": "inner"}, {"activityName": "after"}]
    simulators.management.seed(pipelines=[outer | {"activities": activities}])
    with factory_client(simulators) as client:
        run = client.pipelines.create_run("ml", "etl", "outer").run_id
        time.sleep(0.1)
        (activity,) = shown_activities(client, run)
        assert (activity.activity_type, activity.status) == ("ExecutePipeline", "InProgress")
        inner = activity.output["pipelineRunId"]
        by = client.pipeline_runs.get("ml", "etl", inner).invoked_by
        assert by is not None
        assert by.invoked_by_type == "PipelineActivity"
        client.pipeline_runs.cancel("ml", "etl", run, is_recursive=recursive)
        assert (run_status(client, run), run_status(client, inner)) == ("Cancelled", child)
        assert [one.status for one in shown_activities(client, run)] == ["Cancelled"]


def test_a_failed_run_is_run_again_from_the_activity_that_failed(simulators: Simulators) -> None:
    """The activities before the failed one are done, those after it do not begin; a rerun begins where one says."""
    error = {"errorCode": "2108", "message": "out of memory", "failureType": "UserError"}
    activities = [
        {"activityName": "copy"},
        {"activityName": "wait"},
        {"activityName": "fit", "error": error},
        {"activityName": "tell"},
    ]
    train = {"id": f"{FACTORY}/pipelines/train", "parameters": {"why": {}}, "activities": activities, "seconds": 0.2}
    simulators.management.seed(pipelines=[train | {"outcome": "Failed", "message": "Operation on target fit failed"}])
    with factory_client(simulators) as client:
        first = client.pipelines.create_run("ml", "etl", "train", parameters={"why": "drift"}).run_id
        assert run_status(client, first) == "Failed"
        told = [(one.activity_name, one.status) for one in shown_activities(client, first)]
        assert told == [("copy", "Succeeded"), ("wait", "Succeeded"), ("fit", "Failed")]
        assert shown_activities(client, first)[-1].error == error | {"target": "fit"}
        simulators.management.seed(pipelines=[train])
        again = client.pipelines.create_run(
            "ml", "etl", "train", reference_pipeline_run_id=first, is_recovery=True, start_from_failure=True
        ).run_id
        assert run_status(client, again) == "Succeeded"
        assert [one.activity_name for one in shown_activities(client, again)] == ["fit", "tell"]
        runs = [client.pipeline_runs.get("ml", "etl", one) for one in (first, again)]
        with pytest.raises(HttpResponseError, match="'nothing' is not in the pipeline"):
            client.pipelines.create_run(
                "ml",
                "etl",
                "train",
                reference_pipeline_run_id=first,
                is_recovery=True,
                start_activity_name="nothing",
            )
    assert [(one.run_group_id, one.is_latest, one.parameters) for one in runs] == [
        (first, False, {"why": "drift"}),
        (first, True, {"why": "drift"}),
    ]
