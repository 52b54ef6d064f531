"""The simulated jobs and runs are what Microsoft's own client of Machine Learning expects."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential

from dev.simulators.remote import Simulators
from tests.integration import ml_sdk
from tests.integration.ml_sdk import MLClient, ml_client

pytestmark = ml_sdk.QUIET
GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/fraud"
RETRAIN = f"{WORKSPACE}/components/retrain/versions/4"
SPEC = {
    "name": "retrain",
    "version": "4",
    "type": "pipeline",
    "inputs": {
        "data": {"type": "uri_folder"},
        "lr": {"type": "number", "default": "0.1"},
        "why": {"type": "string", "optional": True},
    },
    "outputs": {"model": {"type": "mlflow_model"}},
    "jobs": {"prepare": {"type": "command"}, "train": {"type": "command"}},
}
DATA = "azureml://datastores/workspaceblobstore/paths/train/"
PROPERTIES: dict[str, Any] = {
    "jobType": "Pipeline",
    "componentId": RETRAIN,
    "experimentName": "retraining",
    "inputs": {"data": {"jobInputType": "uri_folder", "uri": DATA}},
    "outputs": {"model": {"jobOutputType": "mlflow_model", "assetName": "credit"}},
    "tags": {"a": "b"},
    "properties": {},
}

Call = Callable[..., requests.Response]


@pytest.fixture
def client(simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> MLClient:
    """Give Microsoft's client of a workspace with a registered pipeline component and a compute."""
    ml_sdk.fast(monkeypatch)
    simulators.management.seed(
        workspaces=[{"id": WORKSPACE}],
        computes=[{"id": f"{WORKSPACE}/computes/cpu"}],
        settings={"provisioning_seconds": 0.1, "queued_seconds": 0.1, "job_seconds": 0.2},
    )
    arm = token("https://management.azure.com")
    url = f"{simulators.management.url}{RETRAIN}?api-version=2024-10-01"
    body = {"properties": {"componentSpec": SPEC}}
    assert requests.put(url, json=body, headers={"Authorization": f"Bearer {arm}"}, timeout=60).ok
    return ml_client(simulators, WORKSPACE)


@pytest.fixture
def arm(simulators: Simulators, client: MLClient) -> Call:
    """Give a function that calls ARM for the same workspace."""
    del client
    bearer = token("https://management.azure.com")

    def call(method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        url = path if path.startswith("https:") else f"{simulators.management.url}{WORKSPACE}{path}"
        params = {} if "api-version" in url else {"api-version": "2024-10-01"}
        headers = {"Authorization": f"Bearer {bearer}", **headers}
        return requests.request(method, url, json=body, params=params, headers=headers, timeout=60)

    return call


def token(audience: str) -> str:
    """Give a token of the simulated identity."""
    issued: str = ManagedIdentityCredential().get_token(f"{audience}/.default").token
    return issued


def pipeline(name: str, *, lr: float = 0.2, **more: Any) -> Any:
    """Make a job of the registered component, as a user of the SDK does."""
    from azure.ai.ml import Input, Output
    from azure.ai.ml.entities import PipelineJob

    return PipelineJob(
        component=RETRAIN,
        name=name,
        experiment_name="retraining",
        inputs={"data": Input(type="uri_folder", path=DATA), "lr": lr},
        outputs={"model": Output(type="mlflow_model", name="credit")},
        **{"tags": {"a": "b"}, "compute": "cpu", **more},
    )


def ended(client: MLClient, name: str) -> Any:
    """Wait until a job has ended, and give it."""
    deadline = time.monotonic() + 10
    while (job := client.jobs.get(name)).status not in {"Completed", "Failed", "Canceled"}:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return job


def test_the_sdk_runs_a_pipeline_to_its_end(client: MLClient) -> None:
    """A job of a registered component is submitted, passes its statuses, and registers its model."""
    made = client.jobs.create_or_update(pipeline("retrain-1"))
    assert (made.name, made.status, made.experiment_name) == ("retrain-1", "NotStarted", "retraining")
    assert made.creation_context.created_by == "ml-reactor"
    assert made.studio_url.startswith("https://ml.azure.com/runs/retrain-1")
    job = ended(client, "retrain-1")
    assert (job.status, job.tags, job.component) == ("Completed", {"a": "b"}, RETRAIN)
    assert job.outputs.model.path == "azureml://datastores/workspaceblobstore/paths/azureml/retrain-1/model/"
    model = client.models.get("credit", "1")
    assert (model.type, model.path, model.job_name) == (
        "mlflow_model",
        "azureml://jobs/retrain-1/outputs/model",
        "retrain-1",
    )
    assert [one.display_name for one in client.jobs.list(parent_job_name="retrain-1")] == ["prepare", "train"]


def test_the_sdk_submits_inline_pipelines_and_commands(client: MLClient, arm: Call) -> None:
    """Jobs that name no registered pipeline: steps of their own, or one command."""
    from azure.ai.ml import Output, command
    from azure.ai.ml.entities import PipelineJob

    environment = f"{WORKSPACE}/environments/sklearn/versions/1"
    arm("PUT", "/environments/sklearn/versions/1", {"properties": {"image": "mcr.microsoft.com/a:1"}})
    arm("PUT", "/components/fit/versions/1", {"properties": {"componentSpec": {**SPEC, "name": "fit", "jobs": {}}}})
    inline = {
        "jobs": {"fit": {"type": "command", "componentId": f"{WORKSPACE}/components/fit/versions/1", "inputs": {}}}
    }
    assert arm("PUT", "/jobs/inline", {"properties": {"jobType": "Pipeline", **inline}}).status_code == 201
    assert isinstance(client.jobs.get("inline"), PipelineJob)
    single = command(
        command="python train.py --lr ${{inputs.lr}}",
        environment=environment,
        compute="cpu",
        inputs={"lr": 0.2},
        outputs={"table": Output(type="uri_folder", name="scored")},
        experiment_name="trying",
    )
    single.name = "single"
    made = client.jobs.create_or_update(single)
    assert (made.name, ended(client, "single").status) == ("single", "Completed")
    assert arm("GET", "/data/scored/versions/1").json()["properties"]["dataType"] == "uri_folder"
    assert [one.display_name for one in client.jobs.list(parent_job_name="inline")] == ["fit"]


def test_the_sdk_is_refused_another_job_of_the_same_name(client: MLClient) -> None:
    """The same definition again changes nothing; another one is refused in the service's words; labels may change."""
    client.jobs.create_or_update(pipeline("retrain-1"))
    again = client.jobs.create_or_update(pipeline("retrain-1", tags={"c": "d"}))
    assert again.tags == {"a": "b", "c": "d"}
    with pytest.raises(HttpResponseError, match="the existing job's Inputs cannot be changed") as refused:
        client.jobs.create_or_update(pipeline("retrain-1", lr=0.3))
    told: Any = refused.value.error
    inner = next(one.info["value"] for one in told.additional_info if one.type == "InnerError")
    assert (refused.value.status_code, told.code) == (400, "UserError")
    assert (inner["code"], inner["innerError"]["code"]) == ("Immutable", "JobPropertyImmutable")


def test_the_sdk_relabels_and_archives_a_job(client: MLClient) -> None:
    """Tags, names and the archive are changed in the run history, and seen in the job."""
    client.jobs.create_or_update(pipeline("retrain-1"))
    job = client.jobs.get("retrain-1")
    job.tags["seen"] = "yes"
    assert client.jobs.create_or_update(job).tags == {"a": "b", "seen": "yes"}
    assert client.jobs.update("retrain-1", display_name="Retrained").display_name == "Retrained"
    client.jobs.archive("retrain-1")
    assert list(client.jobs.list()) == []
    assert [one.name for one in client.jobs.list(list_view_type="ArchivedOnly")] == ["retrain-1"]
    client.jobs.restore("retrain-1")
    assert [one.name for one in client.jobs.list()] == ["retrain-1"]


def test_the_sdk_cancels_a_job(simulators: Simulators, client: MLClient) -> None:
    """A running job and its step are canceled in a moment; one that has ended is not canceled."""
    simulators.management.seed(settings={"queued_seconds": 0, "job_seconds": 60, "provisioning_seconds": 1})
    client.jobs.create_or_update(pipeline("retrain-1"))
    poller = client.jobs.begin_cancel("retrain-1")
    assert client.jobs.get("retrain-1").status == "CancelRequested"
    poller.wait(timeout=60)
    assert client.jobs.get("retrain-1").status == "Canceled"
    assert [one.status for one in client.jobs.list(parent_job_name="retrain-1")] == ["Canceled"]
    with pytest.raises(HttpResponseError, match="is in state Canceled and cannot be canceled"):
        client.jobs.begin_cancel("retrain-1")
    with pytest.raises(ResourceNotFoundError, match="nobody was not found"):
        client.jobs.begin_cancel("nobody")


def test_the_sdk_deletes_a_job_that_has_ended(simulators: Simulators, client: MLClient) -> None:
    """A job that goes on is not deleted; one that has ended is, and is gone."""
    simulators.management.seed(settings={"job_seconds": 60})
    client.jobs.create_or_update(pipeline("retrain-1"))
    with pytest.raises(HttpResponseError, match="cannot be deleted"):
        client.jobs.begin_delete("retrain-1")
    client.jobs.begin_cancel("retrain-1").wait(timeout=60)
    client.jobs.begin_delete("retrain-1").wait(timeout=60)
    with pytest.raises(ResourceNotFoundError):
        client.jobs.get("retrain-1")


def test_the_sdk_streams_a_failed_job(
    simulators: Simulators, client: MLClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failed pipeline says that a step failed, and shows its log; the rest of the steps never began."""
    from azure.ai.ml.exceptions import JobException
    from azure.ai.ml.operations import _job_ops_helper

    monkeypatch.setattr(_job_ops_helper, "_wait_before_polling", lambda _seconds: 0.05)
    simulators.management.seed(
        job_outcomes=[
            {
                "job": "^retrain",
                "outcome": "Failed",
                "step": "prepare",
                "error": {"code": "UserError", "message": "no such column: amount"},
                "warnings": ["The cluster is slow today."],
            }
        ]
    )
    client.jobs.create_or_update(pipeline("retrain-1"))
    with pytest.raises(JobException, match="Failed nodes: /prepare"):
        client.jobs.stream("retrain-1")
    shown = capsys.readouterr().out
    assert ("Warnings:\nThe cluster is slow today." in shown, "Failed nodes: /prepare" in shown) == (True, True)
    assert [(one.display_name, one.status) for one in client.jobs.list(parent_job_name="retrain-1")] == [
        ("prepare", "Failed")
    ]
    with pytest.raises(ResourceNotFoundError):
        client.models.get("credit", "1")


def test_a_step_is_a_job_without_properties_to_arm(client: MLClient, arm: Call) -> None:
    """The id of a step answers so that the SDK reads the step in the run history."""
    client.jobs.create_or_update(pipeline("retrain-1"))
    ended(client, "retrain-1")
    step = next(iter(client.jobs.list(parent_job_name="retrain-1")))
    assert arm("GET", f"/jobs/{step.name}").json()["properties"] is None
    assert (client.jobs.get(step.name).display_name, client.jobs.get(step.name).status) == ("prepare", "Completed")


def test_jobs_are_listed_in_pages_newest_first(client: MLClient, arm: Call) -> None:
    """Five jobs come in three pages; filters are by type, tag and property."""
    for number in range(5):
        labels = {"tags": {"odd": "1"} if number % 2 else {}, "properties": {"n": str(number)}}
        arm("PUT", f"/jobs/job-{number}", {"properties": PROPERTIES | labels})
    assert [one.name for one in client.jobs.list()] == [f"job-{number}" for number in (4, 3, 2, 1, 0)]
    listed = arm("GET", "/jobs?tag=odd&jobType=Pipeline&api-version=2024-10-01").json()
    assert ([one["name"] for one in listed["value"]], listed["nextLink"]) == (["job-3", "job-1"], None)
    assert [one["name"] for one in arm("GET", "/jobs?properties=n=2&api-version=2024-10-01").json()["value"]] == [
        "job-2"
    ]
    assert arm("GET", "/jobs?jobType=Command&api-version=2024-10-01").json()["value"] == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"component_id": RETRAIN}, "Could not find member 'component_id' on object of type 'PipelineJob'"),
        ({"jobType": None}, "JobType 'None' is not supported"),
        ({"jobType": "Sweep"}, "JobType 'Sweep' is not supported"),
        ({"componentId": f"{WORKSPACE}/components/retrain/versions/5"}, "versions/5' was not found"),
        ({"componentId": None}, "needs a component or jobs"),
        ({"computeId": "gpu"}, "Compute 'gpu' was not found"),
        ({"settings": {"default_compute": "gpu"}}, "Compute 'gpu' was not found"),
        ({"inputs": {}}, "Required inputs are not provided: data"),
        ({"inputs": {"data": {"jobInputType": "UriFolder", "uri": DATA}}}, "UriFolder"),
        ({"inputs": {"data": {"jobInputType": "uri_folder"}}}, "The Uri field of input 'data' is required"),
        ({"inputs": {"data": {"jobInputType": "literal", "value": 1}}}, "properties.inputs.data.value"),
        ({"inputs": {"data": {"job_input_type": "literal"}}}, "Could not find member 'job_input_type'"),
        ({"inputs": ["data"]}, "IDictionary"),
        ({"jobs": ["train"]}, "IDictionary"),
        ({"settings": "fast"}, "IDictionary"),
        ({"inputs": PROPERTIES["inputs"] | {"x": {"jobInputType": "literal", "value": "1"}}}, "no inputs named x"),
        ({"outputs": {"table": {"jobOutputType": "uri_folder"}}}, "no outputs named table"),
        ({"outputs": {"model": {"jobOutputType": "literal"}}}, "literal"),
        ({"tags": {"a": 1}}, "properties.tags"),
        ({"inputs": PROPERTIES["inputs"] | {"why": {"jobInputType": "Literal", "value": "x"}}}, "snake case"),
        (
            {"inputs": PROPERTIES["inputs"] | {"lr": {"jobInputType": "literal", "value": "abc"}}},
            "Input 'lr' cannot be parsed",
        ),
        ({"outputs": {"model": {"jobOutputType": "Mlflow_Model"}}}, "snake case"),
        ({"experimentName": "a/b c"}, "no name of an experiment"),
    ],
)
def test_a_job_is_refused(arm: Call, simulators: Simulators, change: dict[str, Any], told: str) -> None:
    """Each body that the service would refuse is refused in its error shape, and starts nothing."""
    answer = arm("PUT", "/jobs/refused", {"properties": PROPERTIES | change})
    assert (answer.status_code, told in answer.json()["error"]["message"]) == (400, True), answer.text
    assert f"{WORKSPACE}/jobs/refused" not in simulators.management.state()["resources"]


def test_the_users_token_is_looked_at_where_it_is_sent(arm: Call) -> None:
    """The header with the user's token must be for Machine Learning; without it the job is taken, too."""
    body = {"properties": PROPERTIES}
    wrong = arm("PUT", "/jobs/a", body, **{"x-azureml-token": token("https://management.azure.com")})
    assert (wrong.status_code, "x-azureml-token" in wrong.text) == (400, True)
    assert arm("PUT", "/jobs/a", body, **{"x-azureml-token": token("https://ml.azure.com")}).status_code == 201
    assert arm("PUT", "/jobs/b", body).status_code == 201
    assert arm("PUT", "/jobs/no name", body).status_code == 400


def test_a_model_is_registered_at_the_version_after_the_last(client: MLClient, simulators: Simulators) -> None:
    """Each completed job registers one more version of its model; a canceled one none."""
    simulators.management.seed(
        models=[{"id": f"{WORKSPACE}/models/credit/versions/7"}], job_outcomes=[{"job": "-2$", "seconds": 60}]
    )
    client.jobs.create_or_update(pipeline("retrain-1"))
    client.jobs.create_or_update(pipeline("retrain-2"))
    client.jobs.begin_cancel("retrain-2").wait(timeout=60)
    ended(client, "retrain-1")
    assert sorted(one.version for one in client.models.list("credit")) == ["7", "8"]


def test_metrics_are_those_of_the_run(client: MLClient, simulators: Simulators) -> None:
    """MLflow's REST tells what the last step of a pipeline logged, and knows no other run."""
    simulators.management.seed(job_outcomes=[{"component": "retrain", "metrics": {"auc": 0.91}}])
    client.jobs.create_or_update(pipeline("retrain-1"))
    ended(client, "retrain-1")
    train = list(client.jobs.list(parent_job_name="retrain-1"))[-1]
    headers = {"Authorization": f"Bearer {token('https://management.azure.com')}"}
    url = f"{simulators.inference.url}/studio/mlflow/v2.0{WORKSPACE}/api/2.0/mlflow/runs/get"
    answers = [
        requests.get(url, params={"run_id": one}, headers=headers, timeout=60).json()
        for one in (train.name, "retrain-1", "nobody")
    ]
    assert [one["key"] for one in answers[0]["run"]["data"]["metrics"]] == ["auc"]
    assert answers[1]["run"]["info"]["status"] == "FINISHED"
    assert answers[1]["run"]["data"]["metrics"] == []
    assert answers[2]["error_code"] == "RESOURCE_DOES_NOT_EXIST"
