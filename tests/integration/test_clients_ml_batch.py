"""The clients of batch endpoints and of the data plane, over real https against the simulated service."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from dev.simulators.remote import Simulators
from shared.clients.machine_learning import MachineLearning
from shared.clients.machine_learning.batch import BatchSettings
from shared.clients.machine_learning.data_plane import DataPlane
from shared.clients.machine_learning.scoring import BatchJob, Input, Invocation, Output
from shared.errors import DeniedError, PermanentError, ReactorError, TemporaryError, UnansweredError
from shared.settings import Settings
from tests.integration.canned import Canned, Reply, serve
from tests.integration.stages import clients_of

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml"
WS = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/batch"
MODEL, COMPONENT = f"{WS}/models/credit/versions/12", f"{WS}/components/retrain/versions/4"
ENDPOINT = f"{WS}/batchEndpoints/credit"
STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
DATA = Input("UriFolder", "https://publicdata.blob.core.windows.net/samples/credit/")
SETTINGS = BatchSettings(model_id=MODEL, compute_id=f"{WS}/computes/cpu", tags={"reactor-action": "k"})
EVERYTHING = replace(
    SETTINGS,
    instance_count=2,
    environment_id=f"{WS}/environments/scoring/versions/7",
    code_id=f"{WS}/codes/score/versions/1",
    scoring_script="score.py",
    environment_variables={"THRESHOLD": "0.5"},
    mini_batch_size=5,
    error_threshold=0,
    output_action="SummaryOnly",
    output_file="scores.csv",
    max_retries=0,
    retry_timeout=timedelta(minutes=2),
    concurrency=3,
    logging_level="Debug",
    description="words",
)


@pytest.fixture
def ml(simulators: Simulators, azurite: str) -> MachineLearning:
    """Give the client, in a workspace with all that deployments are made of."""
    simulators.management.seed(
        models=[{"id": MODEL}],
        computes=[{"id": f"{WS}/computes/cpu"}],
        codes=[{"id": f"{WS}/codes/score/versions/1", "codeUri": "https://x.blob.core.windows.net/c/score"}],
        environments=[{"id": f"{WS}/environments/scoring/versions/7", "image": "mcr.microsoft.com/x:1"}],
        components=[{"id": COMPONENT}],
        settings={"provisioning_seconds": 0.02, "queued_seconds": 0.02, "job_seconds": 0.05},
    )
    return clients_of(simulators, azurite).machine_learning


def settle(ml: MachineLearning, name: str = "") -> str:
    """Wait until the endpoint, or a deployment of it, is changing no more; its state."""
    deadline = time.monotonic() + 10
    while True:
        found = ml.batch.deployment(WS, "credit", name) if name else ml.batch.endpoint(WS, "credit")
        if (state := found.state if found else "gone") not in {"Creating", "Updating", "Deleting"}:
            return state
        assert time.monotonic() < deadline
        time.sleep(0.02)


def deploy(ml: MachineLearning, settings: BatchSettings = SETTINGS, name: str = "first") -> str:
    """Make the endpoint and a deployment that is its default; the scoring URI."""
    ml.batch.put_endpoint(WS, "credit", "westeurope")
    settle(ml)
    ml.batch.put_deployment(WS, "credit", name, "westeurope", settings)
    assert settle(ml, name) == "Succeeded"
    ml.batch.set_default(WS, "credit", name, instead_of="")
    settle(ml)
    endpoint = ml.batch.endpoint(WS, "credit")
    assert endpoint
    assert endpoint.default == name
    return endpoint.scoring_uri


def to(path: str) -> dict[str, Output]:
    """Say where a model's deployment is to write."""
    return {"score": Output("UriFile", f"azureml://datastores/workspaceblobstore/paths/{path}")}


# -- endpoints and deployments ----------------------------------------------------------------------------------------


def test_every_setting_arrives(ml: MachineLearning, simulators: Simulators) -> None:
    """What a deployment is told is what it has, zeros and all; what is left out is as the service has it."""
    ml.batch.put_endpoint(WS, "credit", "westeurope", description="scores", tags={"team": "risk"})
    settle(ml)
    for name, settings in (("everything", EVERYTHING), ("least", SETTINGS)):
        ml.batch.put_deployment(WS, "credit", name, "westeurope", settings)
        assert settle(ml, name) == "Succeeded"
    resources = simulators.management.state()["resources"]
    full, least = (resources[f"{ENDPOINT}/deployments/{name}"]["properties"] for name in ("everything", "least"))
    assert full["retrySettings"] == {"maxRetries": 0, "timeout": "PT120S"}
    assert (full["miniBatchSize"], full["errorThreshold"], full["maxConcurrencyPerInstance"]) == (5, 0, 3)
    assert (full["outputAction"], full["outputFileName"], full["loggingLevel"]) == (
        "SummaryOnly",
        "scores.csv",
        "Debug",
    )
    assert full["codeConfiguration"]["scoringScript"] == "score.py"
    assert (full["resources"], full["environmentVariables"]) == ({"instanceCount": 2}, {"THRESHOLD": "0.5"})
    assert (least["retrySettings"], least["outputFileName"]) == (
        {"maxRetries": 3, "timeout": "PT30S"},
        "predictions.csv",
    )
    assert {"codeConfiguration", "environmentId"}.isdisjoint(least)
    (one, two) = ml.batch.deployments(WS, "credit")
    assert (one.name, one.model_id, one.instance_count, two.instance_count) == ("everything", MODEL, 2, 1)
    assert one.tags == {"reactor-action": "k"}
    endpoint = ml.batch.endpoint(WS, "credit")
    assert endpoint
    assert (endpoint.name, endpoint.tags, endpoint.location) == ("credit", {"team": "risk"}, "westeurope")


def test_a_pipeline_component_is_deployed(ml: MachineLearning, simulators: Simulators) -> None:
    """It takes the component and the compute, and nothing that only a model has."""
    deploy(ml, BatchSettings(component_id=COMPONENT, compute_id=f"{WS}/computes/cpu"), "retrain")
    found = ml.batch.deployment(WS, "credit", "retrain")
    assert found
    assert (found.component_id, found.model_id) == (COMPONENT, "")
    put = json.loads(simulators.management.seen("PUT", "/deployments/retrain")[0]["body"])["properties"]
    assert set(put) == {"deploymentConfiguration"}
    assert put["deploymentConfiguration"]["settings"]["default_compute"] == f"{WS}/computes/cpu"


def test_deployments_come_in_pages_and_are_deleted(ml: MachineLearning) -> None:
    """All pages are read; a deployment goes alone, the endpoint with all of them; what is gone may be deleted again."""
    deploy(ml)
    for name in ("second", "third"):
        ml.batch.put_deployment(WS, "credit", name, "westeurope", SETTINGS)
        settle(ml, name)
    assert [one.name for one in ml.batch.deployments(WS, "credit")] == ["first", "second", "third"]
    ml.batch.delete_deployment(WS, "credit", "second")
    assert settle(ml, "second") == "gone"
    ml.batch.delete_deployment(WS, "credit", "second")
    ml.batch.delete_endpoint(WS, "credit")
    assert settle(ml) == "gone"
    assert list(ml.batch.deployments(WS, "credit")) == []
    ml.batch.delete_endpoint(WS, "credit")


def test_a_name_that_is_taken_in_the_region_is_permanent(ml: MachineLearning, simulators: Simulators) -> None:
    """Somebody else's endpoint has the name, and no repeating helps."""
    simulators.management.seed(taken=[{"region": "westeurope", "name": "credit"}])
    with pytest.raises(PermanentError, match="unique within a region") as refused:
        ml.batch.put_endpoint(WS, "credit", "westeurope")
    assert "choose another name" in refused.value.remedy


def test_a_write_meanwhile_is_temporary(ml: MachineLearning, simulators: Simulators) -> None:
    """While the endpoint or a deployment is changing, a write is to come again."""
    deploy(ml)
    simulators.management.seed(settings={"provisioning_seconds": 30})
    ml.batch.put_deployment(WS, "credit", "first", "westeurope", SETTINGS)
    with pytest.raises(TemporaryError, match="Conflict of operation"):
        ml.batch.put_deployment(WS, "credit", "first", "westeurope", SETTINGS)
    with pytest.raises(TemporaryError, match="in Updating provisioning state"):
        ml.batch.set_default(WS, "credit", "first", instead_of="first")
    with pytest.raises(TemporaryError, match="in Updating provisioning state"):
        ml.batch.delete_endpoint(WS, "credit")


def test_a_setting_that_cannot_be_is_permanent(ml: MachineLearning) -> None:
    """The service's own words name it."""
    ml.batch.put_endpoint(WS, "credit", "westeurope")
    settle(ml)
    for settings, words in (
        (replace(SETTINGS, error_threshold=-2), "errorThreshold must be at least -1"),
        (replace(SETTINGS, environment_id=f"{WS}/environments/none/versions/1"), "Environment"),
        (BatchSettings(component_id=f"{WS}/components/none/versions/1"), "Component"),
        (BatchSettings(compute_id=f"{WS}/computes/cpu"), "Model"),
    ):
        with pytest.raises(PermanentError, match=words):
            ml.batch.put_deployment(WS, "credit", "first", "westeurope", settings)


# -- invoking ---------------------------------------------------------------------------------------------------------


def test_a_model_is_invoked_and_its_job_found_by_where_it_writes(ml: MachineLearning, simulators: Simulators) -> None:
    """The job has the service's name and our path; other jobs have others, over all pages of the listing."""
    uri = deploy(ml)
    jobs = [
        ml.scoring.invoke(uri, Invocation(inputs={"data": DATA}, outputs=to(f"out/key-{n}/p.csv"))) for n in range(5)
    ]
    assert all(job.name.startswith("batchjob-") for job in jobs)
    found = [job for job in ml.scoring.jobs(WS, "credit") if any("/key-1/" in uri for uri in job.outputs.values())]
    assert [job.name for job in found] == [jobs[1].name]
    assert ml.jobs.read(WS, jobs[1].name)
    seen = len(simulators.inference.seen("GET", "/mferp/"))
    assert [job.name for job in islice(ml.scoring.jobs(WS, "credit"), 1)] == [jobs[4].name]
    assert len(simulators.inference.seen("GET", "/mferp/")) == seen + 1


def test_an_invocation_says_all_it_is_told(ml: MachineLearning, simulators: Simulators) -> None:
    """Overrides, literals, an experiment and a named deployment reach the service as it wants them."""
    uri = deploy(ml)
    ml.batch.put_deployment(WS, "credit", "retrain", "westeurope", BatchSettings(component_id=COMPONENT))
    settle(ml, "retrain")
    asked = Invocation(
        inputs={"data": DATA, "rate": Input("Literal", value="0.1")},
        outputs={"model": Output("UriFolder", "azureml://datastores/workspaceblobstore/paths/models/1")},
        experiment="retrain-on-drift",
        name="for people",
        mini_batch_size=4,
        error_threshold=0,
        max_retries=1,
        retry_timeout=timedelta(seconds=90),
    )
    job = ml.scoring.invoke(uri, asked, "retrain")
    assert job.name.startswith("pipelinejob-")
    sent = simulators.inference.seen("POST", "/jobs")[0]
    assert sent["headers"]["azureml-model-deployment"] == "retrain"
    assert json.loads(sent["body"])["properties"] == {
        "inputData": {
            "data": {"jobInputType": "UriFolder", "uri": DATA.uri},
            "rate": {"jobInputType": "Literal", "value": "0.1"},
        },
        "outputData": {
            "model": {"jobOutputType": "UriFolder", "uri": "azureml://datastores/workspaceblobstore/paths/models/1"}
        },
        "name": "for people",
        "miniBatchSize": 4,
        "errorThreshold": 0,
        "retrySettings": {"maxRetries": 1, "timeout": "PT90S"},
        "properties": {"experimentName": "retrain-on-drift"},
    }


def test_what_is_wrong_with_an_invocation_is_permanent(ml: MachineLearning) -> None:
    """An output that is a folder, a deployment and a datastore that are not there, no input: in the service's words."""
    uri = deploy(ml)
    folder = {"score": Output("UriFolder", "azureml://datastores/workspaceblobstore/paths/out/")}
    nowhere = {"score": Output("UriFile", "azureml://datastores/none/paths/p.csv")}
    for asked, deployment, words in (
        (Invocation(inputs={"data": DATA}, outputs=folder), "", "Job output type must be 'uri_file'"),
        (Invocation(inputs={"data": DATA}), "none", "Deployment 'none' was not found"),
        (Invocation(inputs={"data": DATA}, outputs=nowhere), "", "Could not find datastore"),
        (Invocation(), "", "Exactly one input"),
    ):
        with pytest.raises(PermanentError, match=words):
            ml.scoring.invoke(uri, asked, deployment)
    ml.batch.delete_deployment(WS, "credit", "first")
    assert settle(ml, "first") == "gone"
    with pytest.raises(PermanentError, match="Deployment 'first' was not found"):
        ml.scoring.invoke(uri, Invocation(inputs={"data": DATA}))
    with pytest.raises(PermanentError, match="was not found"):
        list(ml.scoring.jobs(WS, "other"))


@pytest.mark.guarantee(3)
def test_an_invocation_is_sent_once(ml: MachineLearning, simulators: Simulators) -> None:
    """Where the answer is lost, or is a failure of the service, a job may run: said so, and not sent again."""
    uri = deploy(ml)
    for kind, jobs in (("lost_reply", 1), ("drop", 1), ("unavailable", 1)):
        simulators.inference.fault(kind, method="POST", path="/jobs")
        sent = len(simulators.inference.seen("POST", "/jobs"))
        with pytest.raises(UnansweredError):
            ml.scoring.invoke(uri, Invocation(inputs={"data": DATA}))
        assert len(simulators.inference.seen("POST", "/jobs")) == sent + 1
        assert len(list(ml.scoring.jobs(WS, "credit"))) == jobs
    simulators.inference.fault("throttle", method="POST", path="/jobs", retry_after=9)
    with pytest.raises(TemporaryError) as throttled:
        ml.scoring.invoke(uri, Invocation(inputs={"data": DATA}))
    assert (throttled.value.after, type(throttled.value)) == (9, TemporaryError)


def test_a_refusal_in_plain_text_arrives(ml: MachineLearning, simulators: Simulators) -> None:
    """The endpoint's policy refuses a token in words that are no JSON; a role may be on its way, as anywhere else."""
    uri = deploy(ml)
    simulators.inference.seed(denied=[{"path": "/jobs", "n": 1}])
    with pytest.raises(TemporaryError, match=r"Entra Token denied by policy, .* role may not have propagated"):
        ml.scoring.invoke(uri, Invocation(inputs={"data": DATA}))
    assert ml.scoring.invoke(uri, Invocation(inputs={"data": DATA})).name


# -- where tokens go --------------------------------------------------------------------------------------------------


@pytest.mark.guarantee(7)
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/jobs",
        "http://credit.westeurope.inference.ml.azure.com/jobs",
        "https://credit.westeurope.inference.ml.azure.com.evil.example/jobs",
        "https://credit.westeurope.inference.ml.azure.com@evil.example/jobs",
        "https://evil.example\\.inference.ml.azure.com/jobs",
        "https://evil.example#.inference.ml.azure.com/jobs",
        "https://user:word@credit.westeurope.inference.ml.azure.com/jobs",
        "https://[::1/jobs",
        "inference.ml.azure.com",
        "",
    ],
)
def test_a_host_that_is_not_allowed_gets_no_token(url: str) -> None:
    """What Resource Manager, or somebody in its place, names as the data plane is checked before a token is made."""
    plane = DataPlane(Settings.read(STORAGE), lambda: pytest.fail("a token was asked for"))
    with pytest.raises(PermanentError) as refused:
        plane.checked(url)
    assert "REACTOR_ML_HOSTS" in refused.value.remedy


def test_the_hosts_of_the_service_are_allowed() -> None:
    """Those of endpoints and of the studio are, and what the settings add, with or without its port."""
    plane = DataPlane(Settings.read(STORAGE), lambda: pytest.fail("a token was asked for"))
    for url in ("https://credit.westeurope.inference.ml.azure.com/jobs", "https://WestEurope.api.azureml.ms/mferp"):
        assert plane.checked(url) == url
    hosts = {"REACTOR_ML_HOSTS": "127.0.0.1:8443, *.private.example"}
    other = DataPlane(Settings.read(STORAGE | hosts), lambda: pytest.fail("a token was asked for"))
    assert other.checked("https://127.0.0.1:8443/x")
    assert other.checked("https://a.private.example/x")
    with pytest.raises(PermanentError):
        other.checked("https://127.0.0.1:8444/x")


@pytest.mark.guarantee(7)
def test_nothing_is_sent_where_it_is_not_allowed(simulators: Simulators, azurite: str, ml: MachineLearning) -> None:
    """Neither an invocation nor a listing reaches a host that the settings do not name, and no token is made for it."""
    uri = deploy(ml)
    strict = clients_of(simulators, azurite, REACTOR_ML_HOSTS="*.inference.ml.azure.com").machine_learning
    simulators.identity.reset()
    with pytest.raises(PermanentError, match=r"127\.0\.0\.1"):
        strict.scoring.invoke(uri, Invocation(inputs={"data": DATA}))
    with pytest.raises(PermanentError, match=r"127\.0\.0\.1"):
        list(strict.scoring.jobs(WS, "credit"))
    assert not [one for one in simulators.identity.seen() if "ml.azure.com" in one["url"]]
    assert not simulators.inference.seen("POST")


# -- answers that no simulator gives ----------------------------------------------------------------------------------


@pytest.fixture
def canned(tmp_path: Path, simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    """Give a service that answers as told; tokens still come from the simulators."""
    del simulators
    with serve(tmp_path) as (canned, ca):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca)
        yield canned


@pytest.fixture
def invoke(simulators: Simulators, azurite: str, canned: Canned) -> Callable[[], BatchJob]:
    """Give a function that invokes the canned service."""
    scoring = clients_of(simulators, azurite).machine_learning.scoring
    return lambda: scoring.invoke(f"{canned.url}/jobs", Invocation(inputs={"data": DATA}))


@pytest.mark.parametrize(
    ("reply", "word", "says"),
    [
        (Reply(200, "<html>fine</html>"), UnansweredError, "not JSON"),
        (Reply(201, {}), UnansweredError, "id"),
        (Reply(201, {"id": "x", "name": "", "properties": {}}), UnansweredError, "name"),
        (Reply(201, []), UnansweredError, "unexpected"),
        (Reply(502, "<html>Bad Gateway</html>"), UnansweredError, "Bad Gateway"),
        (Reply(400, "no JSON at all"), PermanentError, "no JSON at all"),
        (Reply(401, "Microsoft Entra Token denied by policy, please review https://x"), TemporaryError, "denied"),
        (Reply(403, "Forbidden"), DeniedError, "role"),
        (Reply(302, "", {"Location": "https://evil.example/"}), PermanentError, "302"),
    ],
)
def test_any_answer_to_an_invocation_is_one_of_our_words(
    invoke: Callable[[], BatchJob], canned: Canned, reply: Reply, word: type[ReactorError], says: str
) -> None:
    """A success that cannot be read may have started a job; a refusal arrives in words, be they JSON or not."""
    canned.replies = [reply]
    with pytest.raises(ReactorError) as problem:
        invoke()
    assert type(problem.value) is word
    assert says in problem.value.reason
    assert len(canned.asked) == 1


def test_an_answer_may_say_more_or_less(invoke: Callable[[], BatchJob], canned: Canned) -> None:
    """What is not known is ignored, what is missing is empty."""
    job: dict[str, Any] = {
        "id": "x",
        "name": "batchjob-1",
        "more": 1,
        "properties": {"outputData": {"a": None, "b": {}}},
    }
    canned.replies = [Reply(200, job)]
    made = invoke()
    assert (made.name, made.status, made.outputs, made.created_at) == ("batchjob-1", "Unknown", {}, None)
