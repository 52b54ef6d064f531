"""The clients of jobs and of runs, over real https against the simulated services."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from azure.identity import ManagedIdentityCredential

from dev.simulators.remote import Simulators
from shared.clients import Clients
from shared.clients.machine_learning.jobs import ENDED, Job, Jobs, PipelineSettings
from shared.clients.machine_learning.runs import RunError, Runs
from shared.errors import PermanentError, ReactorError, TemporaryError
from tests.integration.stages import clients_of

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/fraud"
COMPONENT = f"{WORKSPACE}/components/retrain/versions/4"
STORAGE = "UseDevelopmentStorage=true"
SPEC = {
    "name": "retrain",
    "version": "4",
    "type": "pipeline",
    "inputs": {"data": {"type": "uri_folder"}, "lr": {"type": "number", "default": "0.1"}},
    "outputs": {"model": {"type": "mlflow_model"}},
    "jobs": {"prepare": {"type": "command"}, "train": {"type": "command"}},
}
SETTINGS = PipelineSettings(
    component_id=COMPONENT,
    experiment="retraining",
    display_name="Retrain",
    inputs={
        "data": {"jobInputType": "uri_folder", "uri": "azureml://datastores/workspaceblobstore/paths/train/"},
        "lr": {"jobInputType": "literal", "value": "0.2"},
    },
    outputs={"model": {"jobOutputType": "mlflow_model", "assetName": "credit"}},
    compute=f"{WORKSPACE}/computes/cpu",
    tags={"reactor-action": "k"},
    properties={"why": "drift"},
)
HTML = {"body": "<html><body>Bad Gateway</body></html>", "headers": {"Content-Type": "text/html"}}


@pytest.fixture
def clients(simulators: Simulators) -> Clients:
    """Give the app's clients of a workspace with a registered pipeline component."""
    simulators.management.seed(
        workspaces=[{"id": WORKSPACE}],
        computes=[{"id": f"{WORKSPACE}/computes/cpu"}],
        settings={"provisioning_seconds": 0.1, "queued_seconds": 0.05, "job_seconds": 0.1},
    )
    arm = ManagedIdentityCredential().get_token("https://management.azure.com/.default").token
    url, headers = f"{simulators.management.url}{COMPONENT}?api-version=2024-10-01", {"Authorization": f"Bearer {arm}"}
    assert requests.put(url, json={"properties": {"componentSpec": SPEC}}, headers=headers, timeout=60).ok
    return clients_of(simulators, STORAGE)


@pytest.fixture
def jobs(clients: Clients) -> Jobs:
    """Give the client of jobs."""
    return clients.machine_learning.jobs


@pytest.fixture
def runs(clients: Clients) -> Runs:
    """Give the client of runs."""
    return clients.machine_learning.runs


def ended(jobs: Jobs, name: str) -> Job:
    """Wait until a job has ended, and give it."""
    deadline = time.monotonic() + 10
    while (job := jobs.read(WORKSPACE, name)) is None or job.status not in ENDED:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return job


def test_jobs_are_listed_newest_first_back_to_a_moment(jobs: Jobs, simulators: Simulators) -> None:
    """Pages are read until one job is older; a workspace of thousands is not read to its end."""
    for number in range(5):
        jobs.put_pipeline(WORKSPACE, f"job-{number}", SETTINGS)
    everything = list(jobs.since(WORKSPACE, datetime.min.replace(tzinfo=UTC)))
    assert [one.name for one in everything] == [f"job-{number}" for number in (4, 3, 2, 1, 0)]
    start = everything[0].created_at
    assert start is not None
    before = len(simulators.management.seen("GET", "/jobs"))
    assert [one.name for one in jobs.since(WORKSPACE, start)] == ["job-4"]
    assert len(simulators.management.seen("GET", "/jobs")) == before + 1


# -- jobs -------------------------------------------------------------------------------------------------------------


def test_a_pipeline_is_started_and_read_to_its_end(jobs: Jobs, simulators: Simulators) -> None:
    """What was asked for is in the job, with where its output is, who made it, and its page of the studio."""
    assert jobs.read(WORKSPACE, "reactor-1") is None
    made = jobs.put_pipeline(WORKSPACE, "reactor-1", SETTINGS)
    assert (made.name, made.status, made.type, made.experiment) == ("reactor-1", "NotStarted", "Pipeline", "retraining")
    job = ended(jobs, "reactor-1")
    assert (job.status, job.display_name, job.created_by) == ("Completed", "Retrain", "ml-reactor")
    assert (job.tags, job.properties) == ({"reactor-action": "k"}, {"why": "drift"})
    assert job.outputs == {"model": "azureml://datastores/workspaceblobstore/paths/azureml/reactor-1/model/"}
    assert job.studio.startswith("https://ml.azure.com/runs/reactor-1")
    assert job.created_at is not None
    put = simulators.management.seen("PUT", "/jobs/reactor-1")[0]
    assert "x-azureml-token" in {name.lower() for name in put["headers"]}
    assert f"{WORKSPACE}/models/credit/versions/1" in simulators.management.state()["resources"]


def test_the_same_name_is_started_once(jobs: Jobs, simulators: Simulators) -> None:
    """A second PUT, with the same definition or another one, gives the job that is there."""
    first = jobs.put_pipeline(WORKSPACE, "reactor-1", SETTINGS)
    same = jobs.put_pipeline(WORKSPACE, "reactor-1", SETTINGS)
    other = jobs.put_pipeline(
        WORKSPACE, "reactor-1", PipelineSettings(component_id=COMPONENT, experiment="e", inputs=SETTINGS.inputs)
    )
    assert {job.created_at for job in (first, same, other)} == {first.created_at}
    assert other.experiment == "retraining"
    assert [one["status"] for one in simulators.management.seen("PUT", "/jobs/")] == [201, 200, 400]


def test_a_lost_reply_hides_a_job_that_is_there(jobs: Jobs, simulators: Simulators) -> None:
    """After a PUT whose answer is lost, the job is found by its name."""
    simulators.management.fault("lost_reply", method="PUT", path="/jobs/")
    with pytest.raises(TemporaryError):
        jobs.put_pipeline(WORKSPACE, "reactor-1", SETTINGS)
    assert jobs.read(WORKSPACE, "reactor-1") is not None
    assert len(simulators.management.seen("PUT", "/jobs/")) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "error", "status": 201, **HTML}, TemporaryError),
        ({"kind": "error", "status": 201, "body": {"id": "x", "properties": None}}, TemporaryError),
        ({"kind": "error", "status": 401, "n": 2, "body": ""}, TemporaryError),
        ({"kind": "throttle", "retry_after": 30}, TemporaryError),
        ({"kind": "error", "status": 400, "body": "A job with this name already exists."}, PermanentError),
    ],
)
def test_an_answer_to_a_start_that_is_none(
    jobs: Jobs, simulators: Simulators, fault: dict[str, Any], error: type[ReactorError]
) -> None:
    """A start is repeated by who calls, never here; a refusal of the name alone is no job."""
    simulators.management.fault(method="PUT", path="/jobs/", **fault)
    with pytest.raises(error):
        jobs.put_pipeline(WORKSPACE, "reactor-1", SETTINGS)
    assert jobs.read(WORKSPACE, "reactor-1") is None


def test_a_job_of_what_is_not_there_is_refused(jobs: Jobs) -> None:
    """An unknown component, a missing input, an unknown compute: permanent, and in the service's words."""
    for settings, told in (
        (PipelineSettings(component_id=f"{COMPONENT}0", experiment="e"), "versions/40' was not found"),
        (PipelineSettings(component_id=COMPONENT, experiment="e"), "Required inputs are not provided: data"),
        (
            PipelineSettings(component_id=COMPONENT, experiment="e", inputs=SETTINGS.inputs, compute="gpu"),
            "Compute 'gpu'",
        ),
    ):
        with pytest.raises(PermanentError, match=told):
            jobs.put_pipeline(WORKSPACE, "reactor-1", settings)
    assert jobs.read(WORKSPACE, "reactor-1") is None


def test_a_job_is_canceled(jobs: Jobs, simulators: Simulators) -> None:
    """A cancel ends a job that goes on; nothing happens to one that is ending or over; a missing one is an error."""
    simulators.management.seed(settings={"job_seconds": 60})
    jobs.put_pipeline(WORKSPACE, "reactor-1", SETTINGS)
    jobs.cancel(WORKSPACE, "reactor-1")
    jobs.cancel(WORKSPACE, "reactor-1")
    assert ended(jobs, "reactor-1").status == "Canceled"
    jobs.cancel(WORKSPACE, "reactor-1")
    with pytest.raises(PermanentError, match="nobody was not found"):
        jobs.cancel(WORKSPACE, "nobody")
    simulators.management.fault("lost_reply", method="POST", path="/cancel")
    jobs.put_pipeline(WORKSPACE, "reactor-2", SETTINGS)
    jobs.cancel(WORKSPACE, "reactor-2")


def test_a_step_is_read_in_the_run_history(jobs: Jobs, simulators: Simulators) -> None:
    """The id of a step, which ARM answers without properties, gives the step as its run is."""
    simulators.management.seed(
        jobs=[
            {
                "id": f"{WORKSPACE}/jobs/owl",
                "status": "Failed",
                "createdBy": "Ada",
                "children": [{"name": "train", "id": "owl-train", "status": "Failed"}],
            }
        ]
    )
    step = jobs.read(WORKSPACE, "owl-train")
    assert step is not None
    assert (step.id, step.name, step.status, step.display_name, step.type, step.created_by) == (
        f"{WORKSPACE}/jobs/owl-train",
        "owl-train",
        "Failed",
        "train",
        "",
        "Ada",
    )


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        ({"kind": "throttle", "retry_after": 30}, TemporaryError, "429"),
        ({"kind": "unavailable", "n": 9}, TemporaryError, "503"),
        ({"kind": "error", "status": 502, "n": 9, **HTML}, TemporaryError, "Bad Gateway"),
        ({"kind": "error", "status": 403, "body": "No role."}, TemporaryError, "No role"),
        ({"kind": "error", "status": 400, "body": "no JSON"}, PermanentError, "no JSON"),
        ({"kind": "error", "status": 200, **HTML}, TemporaryError, "not JSON"),
        ({"kind": "error", "status": 200, "body": "[]"}, TemporaryError, "unexpected"),
        ({"kind": "error", "status": 200, "body": {"id": "x", "properties": {"status": 7}}}, TemporaryError, "status"),
        ({"kind": "error", "status": 200, "body": {"id": "x", "properties": {"outputs": []}}}, TemporaryError, "outp"),
        ({"kind": "drop", "n": 9}, TemporaryError, "did not answer"),
    ],
)
def test_an_answer_about_a_job_that_is_none(
    jobs: Jobs, simulators: Simulators, fault: dict[str, Any], error: type[ReactorError], told: str
) -> None:
    """Whatever is answered becomes one of the two words, with what the service said."""
    simulators.management.fault(path="/jobs/", **fault)
    with pytest.raises(error, match=told):
        jobs.read(WORKSPACE, "reactor-1")


@pytest.mark.guarantee(6)
def test_what_a_job_says_is_cleaned(jobs: Jobs, simulators: Simulators) -> None:
    """A status or name with a secret in it, or without end, is cut and cleaned."""
    properties = {"status": "sig=CANARY" + "x" * 9999, "displayName": "password=CANARY", "jobType": "Pipeline"}
    simulators.management.fault("error", status=200, body={"id": "x", "name": "x", "properties": properties})
    job = jobs.read(WORKSPACE, "reactor-1")
    assert job is not None
    assert "CANARY" not in repr(job)
    assert len(job.status) < 300


def test_a_name_that_is_none_is_not_asked_for(jobs: Jobs, simulators: Simulators) -> None:
    """A job's name is one segment of a URL, or nothing is asked."""
    before = len(simulators.management.seen())
    for name in ("..", "a/b", ""):
        with pytest.raises(PermanentError, match="no name"):
            jobs.read(WORKSPACE, name)
    assert len(simulators.management.seen()) == before


# -- runs -------------------------------------------------------------------------------------------------------------


def test_a_failed_pipeline_tells_which_step_failed_and_why(jobs: Jobs, runs: Runs, simulators: Simulators) -> None:
    """The pipeline's own error names the step; the step's error says why."""
    error = {"code": "UserError", "message": "no such column: amount", "innerError": {"code": "BadData"}}
    simulators.management.seed(
        job_outcomes=[{"job": "reactor", "outcome": "Failed", "step": "prepare", "error": error}]
    )
    jobs.put_pipeline(WORKSPACE, "reactor-1", SETTINGS)
    assert ended(jobs, "reactor-1").status == "Failed"
    told = runs.error(WORKSPACE, "reactor-1")
    assert told is not None
    assert (told.code, "Failed nodes: /prepare" in told.message) == ("PipelineHasStepJobFailed", True)
    assert runs.failed_child(WORKSPACE, "reactor-1") == ("prepare", "BadData: no such column: amount")


def test_of_several_failed_steps_on_several_pages_the_first_is_told(runs: Runs, simulators: Simulators) -> None:
    """All pages of the steps are read; one that completed, or has no error text, is not told."""
    children: list[dict[str, Any]] = [{"name": f"step-{number}"} for number in range(4)]
    children.append({"name": "last", "status": "Failed", "error": {"code": "UserError", "message": "out of memory"}})
    simulators.management.seed(jobs=[{"id": f"{WORKSPACE}/jobs/owl", "status": "Failed", "children": children}])
    assert runs.failed_child(WORKSPACE, "owl") == ("last", "UserError: out of memory")
    assert len(simulators.inference.seen("GET", "/children")) == 3


def test_a_pipeline_within_a_pipeline_is_looked_into(runs: Runs, simulators: Simulators) -> None:
    """The step that failed is named with the pipeline it is in; its details are read where the list has no error."""
    inner = {"runId": "inner", "displayName": "prepare", "status": "Failed", "runType": "azureml.PipelineRun"}
    leaf = {"runId": "leaf", "displayName": "clean", "status": "Failed", "runType": "azureml.StepRun"}
    details = {"runId": "leaf", "error": {"error": {"code": "UserError", "message": "no such column"}}}
    bodies: tuple[Any, ...] = ({"value": [inner]}, {"value": [leaf]}, details)
    for body in bodies:
        simulators.inference.fault("error", status=200, body=body)
    assert runs.failed_child(WORKSPACE, "owl") == ("prepare/clean", "UserError: no such column")
    bodies = ({"value": [inner]}, {"value": []}, {"runId": "inner", "error": None})
    for body in bodies:
        simulators.inference.fault("error", status=200, body=body)
    assert runs.failed_child(WORKSPACE, "owl") == ("prepare", "")
    simulators.inference.fault("error", status=200, body={"value": [{"status": "Failed"}]})
    assert runs.failed_child(WORKSPACE, "owl") == ("", "")


def test_a_run_that_has_not_failed_has_no_error(jobs: Jobs, runs: Runs) -> None:
    """A completed pipeline has neither an error nor a failed step."""
    jobs.put_pipeline(WORKSPACE, "reactor-1", SETTINGS)
    ended(jobs, "reactor-1")
    assert runs.error(WORKSPACE, "reactor-1") is None
    assert runs.failed_child(WORKSPACE, "reactor-1") is None
    assert runs.metrics(WORKSPACE, "reactor-1") == {}


def test_metrics_of_a_pipeline_are_those_of_its_steps(jobs: Jobs, runs: Runs, simulators: Simulators) -> None:
    """A run's own metrics are read; where a pipeline logged none itself, those of its steps."""
    simulators.management.seed(
        job_outcomes=[{"job": "reactor", "metrics": {"auc": 0.91, "loss": 0.2}}],
        jobs=[{"id": f"{WORKSPACE}/jobs/owl", "status": "Completed", "metrics": {"auc": 0.8}}],
    )
    jobs.put_pipeline(WORKSPACE, "reactor-1", SETTINGS)
    ended(jobs, "reactor-1")
    assert runs.metrics(WORKSPACE, "reactor-1") == {"auc": 0.91, "loss": 0.2}
    assert runs.metrics(WORKSPACE, "owl") == {"auc": 0.8}


def test_the_last_finite_value_of_a_metric_counts(runs: Runs, simulators: Simulators) -> None:
    """By time, then by step; what is no finite number is left out."""
    logged = [
        {"key": "auc", "value": 0.9, "timestamp": 2, "step": 1},
        {"key": "auc", "value": 0.7, "timestamp": 2, "step": 0},
        {"key": "auc", "value": 0.8, "timestamp": "1"},
        {"key": "loss", "value": "NaN", "timestamp": 3},
        {"key": "gain", "value": "Infinity"},
    ]
    simulators.inference.fault("error", status=200, body={"run": {"info": {}, "data": {"metrics": logged}}})
    assert runs.metrics(WORKSPACE, "owl") == {"auc": 0.9}


ASKED: list[Callable[[Runs], object]] = [
    lambda runs: runs.error(WORKSPACE, "owl"),
    lambda runs: runs.failed_child(WORKSPACE, "owl"),
    lambda runs: runs.metrics(WORKSPACE, "owl"),
    lambda runs: runs.read(WORKSPACE, "owl"),
]


@pytest.mark.parametrize("ask", ASKED, ids=("error", "failed_child", "metrics", "read"))
@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        ({}, PermanentError, "404"),
        ({"kind": "throttle", "retry_after": 30}, TemporaryError, "429"),
        ({"kind": "error", "status": 403, "body": "No role for experiments/runs/read."}, TemporaryError, "No role"),
        ({"kind": "error", "status": 401, "n": 2, "body": ""}, TemporaryError, "401"),
        ({"kind": "error", "status": 502, "n": 9, **HTML}, TemporaryError, "Bad Gateway"),
        ({"kind": "error", "status": 200, **HTML}, TemporaryError, "not JSON"),
        ({"kind": "error", "status": 200, "body": "[7]"}, TemporaryError, "unexpected"),
        ({"kind": "error", "status": 404, "body": {"Error": {"Code": "UserError", "Message": "Run gone"}}},
         PermanentError, "Run gone"),
    ],
)  # fmt: skip
def test_an_answer_about_a_run_that_is_none(
    runs: Runs,
    simulators: Simulators,
    *,
    ask: Callable[[Runs], object],
    fault: dict[str, Any],
    error: type[ReactorError],
    told: str,
) -> None:
    """A missing run, a refusal in plain text, a page of HTML: one of the two words, and who calls decides."""
    if fault:
        simulators.inference.fault(**fault)
    with pytest.raises(error, match=told):
        ask(runs)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, None),
        ({}, None),
        ({"error": None}, None),
        ("out of memory", None),
        ({"error": {"code": "UserError"}}, RunError("UserError", "")),
        ({"error": {"message": "out of memory"}}, RunError("", "out of memory")),
        ({"Error": {"Code": "UserError", "Message": "at sig=CANARYCANARY"}}, RunError("UserError", "at sig=***")),
        ({"error": {"code": 7, "message": ["x"], "innerError": "x", "details": 3}}, RunError("7", "['x']")),
    ],
)
def test_an_error_of_any_shape_is_told(runs: Runs, simulators: Simulators, error: Any, told: RunError | None) -> None:
    """What a run's error says is read as far as it can be, cleaned, and never stops who asks."""
    simulators.inference.fault("error", status=200, body={"runId": "owl", "error": error})
    assert runs.error(WORKSPACE, "owl") == told


@pytest.mark.guarantee(7)
def test_no_token_leaves_for_a_host_that_is_not_allowed(simulators: Simulators, clients: Clients) -> None:
    """A workspace that tells of a host outside the settings, or a page that leads there, gets no request."""
    del clients
    elsewhere = clients_of(simulators, STORAGE, REACTOR_ML_HOSTS="*.api.azureml.ms").machine_learning
    with pytest.raises(PermanentError, match="no token of ours") as refused:
        elsewhere.runs.error(WORKSPACE, "owl")
    assert "REACTOR_ML_HOSTS" in refused.value.remedy
    assert simulators.inference.seen() == []
    body = {"value": [], "nextLink": "https://evil.example.com/runs"}
    simulators.inference.fault("error", status=200, body=body)
    with pytest.raises(PermanentError, match=r"evil\.example\.com"):
        clients_of(simulators, STORAGE).machine_learning.runs.failed_child(WORKSPACE, "owl")


def test_pages_without_end_are_read_for_a_while(runs: Runs, simulators: Simulators) -> None:
    """A service that repeats itself is asked a bounded number of times."""
    url = f"{simulators.inference.url}/studio/history/v1.0{WORKSPACE}/runs/owl/children"
    simulators.inference.fault("error", n=999, status=200, body={"value": [], "nextLink": url})
    assert runs.failed_child(WORKSPACE, "owl") is None
    assert len(simulators.inference.seen()) == 50
