"""The simulated batch endpoints are what Microsoft's own client of Machine Learning expects, and refuse as Azure."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from tests.integration import ml_sdk
from tests.integration.ml_sdk import MLClient, ml_client

pytestmark = ml_sdk.QUIET
GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/scoring"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/fraud"
MODEL = f"{WORKSPACE}/models/credit/versions/12"
COMPONENT = f"{WORKSPACE}/components/retrain/versions/4"
ENDPOINT = f"{WORKSPACE}/batchEndpoints/credit-batch"
DATASTORE = "azureml://datastores/workspaceblobstore/paths"
DATA = "https://publicdata.blob.core.windows.net/samples/credit/"
ARM, ML = "https://management.azure.com/.default", "https://ml.azure.com/.default"

Send = Callable[..., requests.Response]


@pytest.fixture
def workspace(simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> Simulators:
    """Give a workspace with all that deployments are made of."""
    ml_sdk.fast(monkeypatch)
    monkeypatch.setattr("azure.core.polling.base_polling.get_retry_after", lambda _response: 0.1)
    simulators.management.seed(
        models=[{"id": MODEL, "modelType": "custom_model"}],
        computes=[{"id": f"{WORKSPACE}/computes/cpu"}],
        codes=[{"id": f"{WORKSPACE}/codes/score/versions/1", "codeUri": "https://x.blob.core.windows.net/c/score"}],
        environments=[{"id": f"{WORKSPACE}/environments/scoring/versions/7", "image": "mcr.microsoft.com/x:1"}],
        components=[{"id": COMPONENT}],
        data=[{"id": f"{WORKSPACE}/data/clients/versions/3", "dataType": "uri_folder", "dataUri": DATA}],
        settings={"provisioning_seconds": 0.05, "queued_seconds": 0.05, "job_seconds": 0.1},
    )
    return simulators


@pytest.fixture
def client(workspace: Simulators, monkeypatch: pytest.MonkeyPatch) -> MLClient:
    """Give Microsoft's client of it, which would name the last deployment of the test before, too."""
    from azure.ai.ml.constants._endpoint import EndpointInvokeFields

    monkeypatch.setattr(EndpointInvokeFields, "DEFAULT_HEADER", {"Content-Type": "application/json"})
    return ml_client(workspace, WORKSPACE)


@pytest.fixture
def blobs(storage_emulator: Azurite) -> BlobServiceClient:
    """Give the storage behind the workspace."""
    return BlobServiceClient.from_connection_string(storage_emulator.service)


@pytest.fixture
def send(workspace: Simulators) -> Send:
    """Give a function that makes requests with a token: for ARM at paths of ARM, else for the data plane."""
    tokens = {scope: ManagedIdentityCredential().get_token(scope).token for scope in (ARM, ML)}

    def call(method: str, path: str, body: Any = None, *, scope: str = "", **headers: str) -> requests.Response:
        is_arm = path.startswith("/subscriptions")
        url = (workspace.management.url if is_arm else workspace.inference.url) + path
        query = {"api-version": "2024-10-01"} if is_arm else {}
        headers = {"Authorization": f"Bearer {tokens[scope or (ARM if is_arm else ML)]}", **headers}
        return requests.request(method, url, json=body, params=query, headers=headers, timeout=60)

    return call


def deploy(client: MLClient, name: str = "first", **settings: Any) -> None:
    """Make the endpoint and a deployment that is its default."""
    from azure.ai.ml.constants import BatchDeploymentOutputAction
    from azure.ai.ml.entities import (
        BatchEndpoint,
        BatchRetrySettings,
        CodeConfiguration,
        ModelBatchDeployment,
        ModelBatchDeploymentSettings,
        ResourceConfiguration,
    )

    client.batch_endpoints.begin_create_or_update(BatchEndpoint(name="credit-batch", tags={"team": "risk"})).result()
    deployment = ModelBatchDeployment(
        name=name,
        endpoint_name="credit-batch",
        description="every setting",
        model=MODEL,
        code_configuration=CodeConfiguration(f"{WORKSPACE}/codes/score/versions/1", "score.py"),
        environment=f"{WORKSPACE}/environments/scoring/versions/7",
        compute=f"{WORKSPACE}/computes/cpu",
        resources=ResourceConfiguration(instance_count=2),
        tags={"stage": "production"},
        settings=ModelBatchDeploymentSettings(
            mini_batch_size=5,
            max_concurrency_per_instance=3,
            error_threshold=7,
            output_action=BatchDeploymentOutputAction.APPEND_ROW,
            output_file_name="scores.csv",
            retry_settings=BatchRetrySettings(max_retries=2, timeout=90),
            logging_level="debug",
            environment_variables={"THRESHOLD": "0.5"},
            **settings,
        ),
    )
    client.batch_deployments.begin_create_or_update(deployment).result()
    endpoint = client.batch_endpoints.get("credit-batch")
    endpoint.defaults = {"deployment_name": name}
    client.batch_endpoints.begin_create_or_update(endpoint).result()


def deploy_pipeline(client: MLClient) -> None:
    """Make the endpoint and a deployment of a pipeline component."""
    from azure.ai.ml.entities import BatchEndpoint, PipelineComponentBatchDeployment

    client.batch_endpoints.begin_create_or_update(BatchEndpoint(name="credit-batch")).result()
    deployment = PipelineComponentBatchDeployment(
        name="pipeline",
        endpoint_name="credit-batch",
        component=COMPONENT,
        settings={"default_compute": "cpu", "continue_on_step_failure": "false"},
    )
    client.batch_deployments.begin_create_or_update(deployment).result()


def ended(client: MLClient, name: str) -> str:
    """Follow a job of the workspace to its end; its status."""
    deadline = time.monotonic() + 10
    while (status := client.jobs.get(name).status) not in {"Completed", "Failed", "Canceled"}:
        assert time.monotonic() < deadline, status
        time.sleep(0.05)
    return str.__str__(status)


def test_the_sdk_makes_an_endpoint_and_a_deployment_with_every_setting(client: MLClient) -> None:
    """All that a deployment can be told is taken over, and read back by the SDK; the default is set."""
    deploy(client)
    endpoint, made = client.batch_endpoints.get("credit-batch"), client.batch_deployments.get("first", "credit-batch")
    assert (endpoint.defaults.deployment_name, endpoint.tags, endpoint.auth_mode) == (
        "first",
        {"team": "risk"},
        "aad_token",
    )
    assert (made.mini_batch_size, made.max_concurrency_per_instance, made.error_threshold) == (5, 3, 7)
    assert (made.output_action, made.output_file_name, made.logging_level) == ("append_row", "scores.csv", "debug")
    assert (made.retry_settings.max_retries, made.retry_settings.timeout, made.instance_count) == (2, 90, 2)
    assert made.environment_variables == {"THRESHOLD": "0.5"}
    assert (made.provisioning_state, made.tags) == ("Succeeded", {"stage": "production"})
    assert [one.name for one in client.batch_endpoints.list()] == ["credit-batch"]
    assert [one.name for one in client.batch_deployments.list("credit-batch")] == ["first"]


def test_the_sdk_invokes_with_a_folder_a_file_and_a_data_asset(client: MLClient, blobs: BlobServiceClient) -> None:
    """Each is scored by a job of the workspace, which is listed, and writes where it was told."""
    from azure.ai.ml import Input, Output

    deploy(client)
    target = f"{DATASTORE}/out/{time.time_ns()}.csv"
    named = Output(type="uri_file", path=target)
    jobs = [
        client.batch_endpoints.invoke(
            "credit-batch", inputs={"data": Input(type="uri_folder", path=DATA)}, outputs={"score": named}
        ),
        client.batch_endpoints.invoke("credit-batch", input=Input(type="uri_file", path=f"{DATA}a.csv")),
        client.batch_endpoints.invoke(
            "credit-batch", inputs={"data": Input(type="uri_folder", path="azureml:clients:3")}, deployment_name="first"
        ),
    ]
    assert all(job.name.startswith("batchjob-") for job in jobs)
    assert f"{ENDPOINT}/deployments/first/jobs/{jobs[0].name}" == jobs[0].id
    assert {ended(client, job.name) for job in jobs} == {"Completed"}
    listed = [job.name for job in client.batch_endpoints.list_jobs("credit-batch")]
    assert listed == [job.name for job in reversed(jobs)]
    assert [job.name for job in client.batch_deployments.list_jobs("credit-batch", name="first")] == listed
    (container,) = [one.name for one in blobs.list_containers() if container_has(blobs, one.name, target)]
    written = blobs.get_blob_client(container, target.split("/paths/")[1]).download_blob().readall()
    assert written.startswith(b"credit,0.")
    assert container_has(blobs, container, f"/paths/azureml/{jobs[1].name}/score/scores.csv")


def container_has(blobs: BlobServiceClient, container: str, uri: str) -> bool:
    """Whether the blob at the path of a URI is in a container."""
    return bool(blobs.get_blob_client(container, uri.split("/paths/")[1]).exists())


def test_the_sdk_invokes_a_pipeline_with_literals(client: MLClient, workspace: Simulators) -> None:
    """A pipeline component takes literals beside data, and an experiment's name; the job shows both."""
    from azure.ai.ml import Input

    deploy_pipeline(client)
    inputs = {
        "data": Input(type="uri_folder", path=DATA),
        "rate": Input(type="number", default=0.1),
        "why": Input(type="string", default="drift"),
    }
    job = client.batch_endpoints.invoke(
        "credit-batch", inputs=inputs, deployment_name="pipeline", experiment_name="retrain-on-drift"
    )
    assert job.name.startswith("pipelinejob-")
    shown = workspace.management.state()["resources"][f"{WORKSPACE}/jobs/{job.name}"]["properties"]
    assert shown["inputs"]["rate"] == {"jobInputType": "literal", "value": 0.1}
    assert (shown["experimentName"], shown["componentId"]) == ("retrain-on-drift", COMPONENT)
    assert ended(client, job.name) == "Completed"


def test_the_sdk_is_told_what_is_wrong(client: MLClient) -> None:
    """A deployment that is not there, an output that is a folder, an asset that is missing."""
    from azure.ai.ml import Input, Output
    from azure.ai.ml.exceptions import ValidationException

    deploy(client)
    data = {"data": Input(type="uri_folder", path=DATA)}
    with pytest.raises(ValidationException, match="none not found"):
        client.batch_endpoints.invoke("credit-batch", inputs=data, deployment_name="none")
    folder = {"score": Output(type="uri_folder", path=f"{DATASTORE}/out/")}
    with pytest.raises(HttpResponseError, match="Job output type must be 'uri_file'"):
        client.batch_endpoints.invoke("credit-batch", inputs=data, outputs=folder)
    with pytest.raises(HttpResponseError, match="Exactly one input"):
        client.batch_endpoints.invoke("credit-batch", inputs={**data, "more": data["data"]})


def test_the_sdk_hears_of_a_refused_token_in_plain_text(client: MLClient, workspace: Simulators) -> None:
    """The refusal is no JSON, and says what to read."""
    from azure.ai.ml import Input
    from azure.ai.ml.exceptions import MlException

    deploy(client)
    workspace.inference.seed(denied=[{"path": "/jobs"}])
    with pytest.raises(MlException, match="Microsoft Entra Token denied by policy"):
        client.batch_endpoints.invoke("credit-batch", inputs={"data": Input(type="uri_folder", path=DATA)})


def test_the_sdk_deletes_an_endpoint_with_its_deployments(client: MLClient) -> None:
    """A deployment is deleted by itself, an endpoint with all that is under it."""
    deploy(client)
    deploy_pipeline(client)
    client.batch_deployments.begin_delete("pipeline", "credit-batch").wait()
    assert [one.name for one in client.batch_deployments.list("credit-batch")] == ["first"]
    client.batch_endpoints.begin_delete("credit-batch").wait()
    with pytest.raises(ResourceNotFoundError):
        client.batch_endpoints.get("credit-batch")
    with pytest.raises(ResourceNotFoundError):
        client.batch_deployments.get("first", "credit-batch")


# -- what the SDK does not get to see ---------------------------------------------------------------------------------


def wait(send: Send, path: str, gone: bool = False) -> None:  # noqa: FBT001, FBT002  # a test's own
    """Wait until a resource is settled, or gone."""
    deadline = time.monotonic() + 10
    while (answer := send("GET", path)).status_code != 404:
        if not gone and answer.json()["properties"]["provisioningState"] == "Succeeded":
            return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def put(send: Send, path: str, **properties: Any) -> requests.Response:
    """Put a resource and wait until it is settled, where it is accepted."""
    answer = send("PUT", path, {"location": "westeurope", "properties": properties})
    if answer.ok:
        wait(send, path)
    return answer


MODEL_SETTINGS = {
    "model": {"referenceType": "Id", "assetId": MODEL},
    "compute": f"{WORKSPACE}/computes/cpu",
    "codeConfiguration": {"codeId": f"{WORKSPACE}/codes/score/versions/1", "scoringScript": "score.py"},
    "environmentId": f"{WORKSPACE}/environments/scoring/versions/7",
}


@pytest.fixture
def endpoint(send: Send) -> str:
    """Give an endpoint with a default deployment; what it is invoked at."""
    put(send, ENDPOINT, authMode="AADToken")
    put(send, f"{ENDPOINT}/deployments/first", **MODEL_SETTINGS)
    put(send, ENDPOINT, authMode="AADToken", defaults={"deploymentName": "first"})
    return "/westeurope/credit-batch/jobs"


def asked(uri: str = "") -> dict[str, Any]:
    """Write an invocation as the documents do, with keys in Pascal case."""
    output = {"OutputData": {"score": {"JobOutputType": "UriFile", "Uri": uri}}} if uri else {}
    return {"Properties": {"InputData": {"x": {"JobInputType": "UriFolder", "Uri": DATA}}, **output}}


def over(send: Send, url: str) -> dict[str, Any]:
    """Follow a job on the data plane to its end; its properties."""
    deadline = time.monotonic() + 10
    while (job := send("GET", url).json()["properties"])["status"] not in {"Completed", "Failed", "Canceled"}:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return dict(job)


def message(answer: requests.Response) -> str:
    """Give the words of a refusal."""
    return str(answer.json()["error"]["message"])


def test_only_a_token_for_machine_learning_gets_in(send: Send, endpoint: str) -> None:
    """Without one, and with one for Resource Manager, the refusal is plain text; below /studio both kinds do."""
    missing, wrong = send("POST", endpoint, {}, Authorization=""), send("POST", endpoint, {}, scope=ARM)
    assert (missing.status_code, missing.text) == (401, "Unauthorized: the Microsoft Entra token is missing.")
    assert (wrong.status_code, wrong.text.split(", ")[0]) == (403, "Microsoft Entra Token denied by policy")
    assert {one.headers["Content-Type"] for one in (missing, wrong)} == {"text/plain; charset=utf-8"}
    listing = f"/studio/mferp/managementfrontend{ENDPOINT}/jobs?api-version=2020-09-01-dataplanepreview"
    assert [send("GET", listing, scope=scope).status_code for scope in (ARM, ML)] == [200, 200]
    assert send("GET", listing, Authorization="").status_code == 401
    assert send("GET", "/studio/discovery", Authorization="").json()["api"].endswith("/studio")


def test_keys_are_read_in_any_casing_and_the_job_is_read_where_it_was_started(send: Send, endpoint: str) -> None:
    """The documents' Pascal case does; the answer is the job, which can be asked for, and says where it writes."""
    made = send("POST", endpoint, asked(f"{DATASTORE}/out/{time.time_ns()}.csv"))
    assert made.status_code == 201
    job = made.json()
    assert job["type"] == "Microsoft.MachineLearningServices/workspaces/batchEndpoints/deployments/jobs"
    assert job["properties"]["interactionEndpoints"]["Studio"]["endpoint"].startswith("https://ml.azure.com/runs/")
    read = over(send, f"{endpoint}/{job['name']}")
    assert read["status"] == "Completed"
    assert read["outputData"]["score"]["uri"].startswith(f"{WORKSPACE}/datastores/workspaceblobstore/paths/out/")
    assert send("GET", f"{endpoint}/other").status_code == 404


def test_nothing_is_written_over(send: Send, endpoint: str) -> None:
    """A job whose output is there already fails, and its run says why."""
    place = f"{DATASTORE}/out/{time.time_ns()}.csv"
    first, second = (over(send, f"{endpoint}/{send('POST', endpoint, asked(place)).json()['name']}") for _ in range(2))
    assert (first["status"], second["status"]) == ("Completed", "Failed")
    runs = f"/studio/history/v1.0{WORKSPACE}/runs/"
    error = send("GET", f"{runs}{second['name']}/details").json()["error"]
    assert "The path already exists" in str(error)


def test_a_canceled_job_writes_nothing(
    workspace: Simulators, send: Send, endpoint: str, blobs: BlobServiceClient
) -> None:
    """A job is canceled at Resource Manager, and never ends well afterwards."""
    workspace.management.seed(settings={"job_seconds": 0.5})
    name = send("POST", endpoint, asked()).json()["name"]
    assert send("POST", f"{WORKSPACE}/jobs/{name}/cancel").status_code == 202
    assert over(send, f"{endpoint}/{name}")["status"] == "Canceled"
    time.sleep(0.6)
    assert over(send, f"{endpoint}/{name}")["status"] == "Canceled"
    path = f"/paths/azureml/{name}/score/predictions.csv"
    assert not [one.name for one in blobs.list_containers() if container_has(blobs, one.name, path)]


def test_a_job_comes_to_what_was_seeded(
    workspace: Simulators, send: Send, endpoint: str, blobs: BlobServiceClient
) -> None:
    """A failure and the words of the predictions are decided by seeds."""
    workspace.management.seed(job_outcomes=[{"experiment": "^credit-batch$", "outcome": "Failed"}])
    assert over(send, f"{endpoint}/{send('POST', endpoint, asked()).json()['name']}")["status"] == "Failed"
    workspace.inference.seed(predictions=[{"endpoint": "credit-batch", "content": "a.csv,0.5"}])
    name = send("POST", endpoint, asked()).json()["name"]
    assert over(send, f"{endpoint}/{name}")["status"] == "Completed"
    path = f"azureml/{name}/score/predictions.csv"
    (container,) = [one.name for one in blobs.list_containers() if container_has(blobs, one.name, f"/paths/{path}")]
    assert blobs.get_blob_client(container, path).download_blob().readall() == b"a.csv,0.5"


def test_a_row_is_written_for_each_file(send: Send, endpoint: str, blobs: BlobServiceClient) -> None:
    """Where the data is in the workspace's own storage, its files are scored, but not those of folders in it."""
    store = send("GET", f"{WORKSPACE}/datastores/workspaceblobstore").json()["properties"]["containerName"]
    folder = f"data/{time.time_ns()}"
    for name in ("a.csv", "b.csv", "deeper/c.csv"):
        blobs.get_blob_client(store, f"{folder}/{name}").upload_blob(b"x")
    body = model_input(uri=f"{DATASTORE}/{folder}/")
    name = send("POST", endpoint, body).json()["name"]
    over(send, f"{endpoint}/{name}")
    rows = blobs.get_blob_client(store, f"azureml/{name}/score/predictions.csv").download_blob().readall().decode()
    assert [row.split(",")[0] for row in rows.splitlines()] == ["a.csv", "b.csv"]


def test_the_listing_has_pages_and_lags(workspace: Simulators, send: Send, endpoint: str) -> None:
    """Five jobs come in three pages, newest first; a listing that lags shows none of them."""
    names = [send("POST", endpoint, asked()).json()["name"] for _ in range(5)]
    path = f"/studio/mferp/managementfrontend{ENDPOINT}/jobs?api-version=2020-09-01-dataplanepreview"
    url, pages = path, []
    while url:
        pages.append(send("GET", url.removeprefix(workspace.inference.url)).json())
        url = pages[-1]["nextLink"]
    assert ([one["name"] for page in pages for one in page["value"]], len(pages)) == (names[::-1], 3)
    workspace.inference.fault("lag", path="/mferp/")
    assert [len(send("GET", path).json()["value"]) for _ in range(2)] == [0, 2]


def model_input(**changes: str) -> dict[str, Any]:
    """Write an invocation with one input."""
    return {"properties": {"inputData": {"x": {"jobInputType": "UriFolder", "uri": DATA} | changes}}}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"properties": {}}, "Exactly one input"),
        (model_input(jobInputType="Literal", value="1"), "Literal inputs are not supported"),
        (model_input(jobInputType="MLTable"), "'MLTable' to a type of data"),
        (model_input(uri="ftp://somewhere"), "is no URI of data"),
        (model_input(uri=f"{WORKSPACE}/data/clients/versions/9"), "Data asset"),
        (asked("https://x.blob.core.windows.net/c/p.csv"), "is no place on a datastore"),
        (asked("azureml://datastores/other/paths/p.csv"), "Could not find datastore: other"),
        ({"properties": {"dataset": {"dataInputType": "DataUrl"}}}, "V1 datasets are not supported"),
        ([], "to an object"),
    ],
)
def test_an_invocation_is_refused(send: Send, endpoint: str, body: Any, told: str) -> None:
    """What a deployment of a model cannot do, and what is not there, is said."""
    answer = send("POST", endpoint, body)
    assert answer.status_code in {400, 404}
    assert told in message(answer)


def test_somebody_must_answer(send: Send, endpoint: str) -> None:
    """No default deployment, no such deployment, no such endpoint."""
    put(send, ENDPOINT, authMode="AADToken")
    assert "no default deployment" in message(send("POST", endpoint, asked()))
    named = {"azureml-model-deployment": "none"}
    assert "Deployment 'none' was not found" in message(send("POST", endpoint, asked(), **named))
    assert send("POST", endpoint, asked(), **{"azureml-model-deployment": "first"}).status_code == 201
    assert send("POST", "/westeurope/other/jobs", asked()).status_code == 404


def test_a_pipeline_gets_what_it_declares(workspace: Simulators, send: Send, endpoint: str) -> None:
    """An input that the component needs is missed, and a name that is none is refused."""
    spec = {"inputs": {"data": {"type": "uri_folder"}, "rate": {"type": "number", "optional": True}}}
    workspace.management.seed(components=[{"id": COMPONENT, "componentSpec": spec}])
    component = {"deploymentConfigurationType": "PipelineComponent", "componentId": {"referenceType": "Id"}}
    component["componentId"]["assetId"] = COMPONENT  # type: ignore[index]
    assert put(send, f"{ENDPOINT}/deployments/pipeline", deploymentConfiguration=component).status_code == 201
    named = {"azureml-model-deployment": "pipeline"}
    rate = {"properties": {"inputData": {"rate": {"jobInputType": "Literal", "value": "0.1"}}}}
    assert "Required input 'data' is missing" in message(send("POST", endpoint, rate, **named))
    odd = {"properties": {"inputData": {"my-data": {"jobInputType": "UriFolder", "uri": DATA}}}}
    assert "letters, digits and underscores" in message(send("POST", endpoint, odd, **named))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"errorThreshold": -2}, "errorThreshold must be at least -1"),
        ({"miniBatchSize": 0}, "miniBatchSize must be at least 1"),
        ({"maxConcurrencyPerInstance": 0}, "maxConcurrencyPerInstance must be at least 1"),
        ({"resources": {"instanceCount": 0}}, "instanceCount must be at least 1"),
        ({"retrySettings": {"timeout": "30 s"}}, "retrySettings.timeout"),
        ({"retrySettings": {"timeout": "PT"}}, "retrySettings.timeout"),
        ({"retrySettings": {"retries": 3}}, "Could not find member 'retries' on object of type 'BatchRetrySettings'"),
        ({"outputAction": "Summary"}, "outputAction"),
        ({"loggingLevel": "Trace"}, "loggingLevel"),
        ({"environmentId": f"{WORKSPACE}/environments/scoring/versions/99"}, "Environment"),
        ({"codeConfiguration": {"codeId": f"{WORKSPACE}/codes/score/versions/9", "scoringScript": "s.py"}}, "Code"),
        ({"codeConfiguration": None}, "is no MLflow model"),
        ({"codeConfiguration": {"scoringScript": "other.py"}}, "cannot be changed"),
        ({"deploymentConfiguration": {"deploymentConfigurationType": "PipelineComponent"}}, "ComponentId field"),
    ],
)
def test_a_setting_is_refused(send: Send, endpoint: str, change: dict[str, Any], told: str) -> None:
    """Each setting that a deployment cannot have is refused by name."""
    del endpoint
    answer = put(send, f"{ENDPOINT}/deployments/first", **(MODEL_SETTINGS | change))
    assert answer.status_code == 400
    assert told in message(answer)


def test_a_patch_changes_words_and_nothing_else(send: Send, endpoint: str) -> None:
    """Tags and a deployment's description can be patched, with a Location; everything else is an unknown member."""
    del endpoint
    deployment = f"{ENDPOINT}/deployments/first"
    patched = send("PATCH", deployment, {"tags": {"a": "b"}, "properties": {"description": "words"}})
    assert (patched.status_code, "Location" in patched.headers) == (202, True)
    wait(send, deployment)
    read = send("GET", deployment).json()
    assert (read["tags"], read["properties"]["description"]) == ({"a": "b"}, "words")
    assert read["properties"]["model"] == MODEL_SETTINGS["model"]
    assert send("PATCH", ENDPOINT, {"tags": {"c": "d"}}).status_code == 202
    wait(send, ENDPOINT)
    assert send("GET", ENDPOINT).json()["properties"]["defaults"] == {"deploymentName": "first"}
    refused = send("PATCH", deployment, {"properties": {"miniBatchSize": 5}})
    assert "Could not find member 'miniBatchSize' on object of type 'PartialBatchDeployment'" in message(refused)


def test_an_endpoint_has_twenty_deployments(workspace: Simulators, send: Send, endpoint: str) -> None:
    """The twenty-first is refused; a batch endpoint that is not signed in to by Entra is, too."""
    del endpoint
    workspace.management.seed(settings={"provisioning_seconds": 0})
    codes = [put(send, f"{ENDPOINT}/deployments/dep-{n}", **MODEL_SETTINGS).status_code for n in range(20)]
    assert codes == [201] * 19 + [400]
    assert "AuthMode must be 'AADToken'" in message(put(send, f"{WORKSPACE}/batchEndpoints/other", authMode="Key"))
