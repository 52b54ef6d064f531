"""The simulated ARM behaves like the real one, as seen by Microsoft's own clients and by plain requests."""

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.identity import ManagedIdentityCredential

from dev.simulators.remote import Simulators

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/fraud"
FACTORY = f"{GROUP}/providers/Microsoft.DataFactory/factories/etl"
MODEL = f"{WORKSPACE}/models/credit/versions/12"
ENDPOINT = f"{WORKSPACE}/batchEndpoints/credit-batch"
ML, ADF = "2024-10-01", "2018-06-01"
ENDPOINT_BODY = {"location": "westeurope", "properties": {"authMode": "AADToken"}}
DEPLOYMENT_BODY = {
    "location": "westeurope",
    "properties": {
        "model": {"referenceType": "Id", "assetId": MODEL},
        "compute": f"{WORKSPACE}/computes/cpu",
        "miniBatchSize": "10",
    },
}

Call = Callable[..., requests.Response]


@pytest.fixture
def arm(simulators: Simulators) -> Call:
    """Give a function that calls ARM with a token for it, for resources that are there."""
    simulators.management.seed(
        models=[{"id": MODEL, "tags": {"stage": "production"}, "createdAt": "2026-03-02T08:15:04Z"}],
        computes=[{"id": f"{WORKSPACE}/computes/cpu"}],
        pipelines=[{"id": f"{FACTORY}/pipelines/retrain", "parameters": {"reactor_action": {"type": "String"}}}],
        settings={"provisioning_seconds": 0.2, "queued_seconds": 0.05},
    )
    token = ManagedIdentityCredential().get_token("https://management.azure.com/.default").token

    def call(method: str, path: str, body: Any = None, *, version: str = ML, **headers: str) -> requests.Response:
        url = path if path.startswith("https:") else f"{simulators.management.url}{path}"
        params = {} if "api-version" in url or not version else {"api-version": version}
        headers = {"Authorization": f"Bearer {token}", **headers}
        return requests.request(method, url, json=body, params=params, headers=headers, timeout=60)

    return call


def error(answer: requests.Response) -> tuple[int, str]:
    """Give a refusal's status and its most telling code."""
    told = answer.json()["error"]
    return answer.status_code, (told.get("details") or [told])[0]["code"]


def settled(arm: Call, path: str) -> str:
    """Wait until a resource does not change any more; its state."""
    deadline = time.monotonic() + 10
    while (state := arm("GET", path).json()["properties"]["provisioningState"]) in {"Creating", "Updating"}:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return str(state)


def test_a_batch_deployment_is_provisioned_and_made_the_default(simulators: Simulators, arm: Call) -> None:
    """Endpoint, deployment, default: each takes its time and says where it is followed."""
    made = arm("PUT", ENDPOINT, ENDPOINT_BODY)
    assert (made.status_code, made.json()["properties"]["provisioningState"]) == (201, "Creating")
    assert arm("GET", made.headers["Azure-AsyncOperation"]).json()["status"] == "InProgress"
    assert settled(arm, ENDPOINT) == "Succeeded"
    assert arm("GET", made.headers["Azure-AsyncOperation"]).json()["status"] == "Succeeded"
    deployment = f"{ENDPOINT}/deployments/credit-v12-abc123"
    assert arm("PUT", deployment, DEPLOYMENT_BODY).status_code == 201
    assert settled(arm, deployment) == "Succeeded"
    defaults = {
        "location": "westeurope",
        "properties": {"authMode": "AADToken", "defaults": {"deploymentName": "credit-v12-abc123"}},
    }
    assert arm("PUT", ENDPOINT, defaults).status_code == 200
    assert settled(arm, ENDPOINT) == "Succeeded"
    read = arm("GET", ENDPOINT.lower()).json()["properties"]
    assert read["defaults"] == {"deploymentName": "credit-v12-abc123"}
    assert read["scoringUri"] == f"{simulators.inference.url}/westeurope/credit-batch/jobs"
    assert arm("GET", deployment).json()["properties"]["model"]["assetId"] == MODEL


def test_deleting_takes_its_time_too(arm: Call) -> None:
    """A DELETE answers 202 and a Location that says 202 until it is done; a second one finds nothing."""
    arm("PUT", ENDPOINT, ENDPOINT_BODY)
    settled(arm, ENDPOINT)
    gone = arm("DELETE", ENDPOINT)
    assert gone.status_code == 202
    assert arm("GET", gone.headers["Location"]).status_code == 202
    assert arm("GET", ENDPOINT).json()["properties"]["provisioningState"] == "Deleting"
    time.sleep(0.25)
    assert arm("GET", gone.headers["Location"]).status_code == 200
    assert arm("GET", ENDPOINT).status_code == 404
    assert arm("DELETE", ENDPOINT).status_code == 204


def test_a_deployment_fails_as_seeded(simulators: Simulators, arm: Call) -> None:
    """The resource says Failed, and only the operation says why."""
    simulators.management.seed(
        provisioning=[{"name": "^bad", "outcome": "Failed", "code": "OutOfQuota", "message": "Not enough quota"}]
    )
    arm("PUT", ENDPOINT, ENDPOINT_BODY)
    settled(arm, ENDPOINT)
    put = arm("PUT", f"{ENDPOINT}/deployments/bad-one", DEPLOYMENT_BODY)
    assert settled(arm, f"{ENDPOINT}/deployments/bad-one") == "Failed"
    assert arm("GET", put.headers["Azure-AsyncOperation"]).json()["error"]["code"] == "OutOfQuota"


@pytest.mark.parametrize(
    ("path", "body", "refusal"),
    [
        (
            ENDPOINT,
            {"location": "w", "properties": {"authMode": "AADToken", "auth": 1}},
            (400, "Could not find member 'auth'"),
        ),
        (ENDPOINT, {"location": "w", "properties": {}}, (400, "AuthMode field is required")),
        (ENDPOINT, {"properties": {"authMode": "AADToken"}}, (400, "Location field is required")),
        (ENDPOINT, {**ENDPOINT_BODY, "tags": None}, (400, "'tags'")),
        (
            ENDPOINT,
            {**ENDPOINT_BODY, "identity": {"type": "UserAssigned"}},
            (400, "supported types are 'SystemAssigned'"),
        ),
        (
            ENDPOINT,
            {"location": "w", "properties": {"authMode": "AADToken", "defaults": {"deployment_name": "x"}}},
            (400, "Could not find member 'deployment_name' on object of type 'BatchEndpointDefaults'"),
        ),
        (
            ENDPOINT,
            {"location": "w", "properties": {"authMode": "AADToken", "defaults": {"deploymentName": "none"}}},
            (400, "'none' does not exist"),
        ),
        (f"{WORKSPACE}/batchEndpoints/1-bad", ENDPOINT_BODY, (400, "a letter first")),
        (f"{WORKSPACE}/batchEndpoints/taken", ENDPOINT_BODY, (400, "unique within a region")),
        (f"{WORKSPACE}x/batchEndpoints/some", ENDPOINT_BODY, (404, "was not found")),
        (f"{ENDPOINT}/deployments/first", DEPLOYMENT_BODY, (404, "'credit-batch' was not found")),
    ],
)
def test_an_endpoint_is_refused(
    simulators: Simulators, arm: Call, path: str, body: dict[str, Any], refusal: tuple[int, str]
) -> None:
    """Each body or name that the service refuses is refused, in its error shape, and changes nothing."""
    simulators.management.seed(taken=[{"region": "westeurope", "name": "taken"}])
    answer = arm("PUT", path, body)
    assert answer.status_code == refusal[0]
    assert refusal[1] in answer.json()["error"]["message"]
    assert not [one for one in simulators.management.state()["resources"] if "batchEndpoints" in one]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"compute": None}, "Compute field is required"),
        ({"model": None}, "Model field is required"),
        ({"model": {"referenceType": "Id", "assetId": f"{WORKSPACE}/models/credit/versions/99"}}, "was not found"),
        ({"compute": "gpu"}, "Compute 'gpu' was not found"),
        ({"outputAction": "Append"}, "outputAction"),
        ({"miniBatchSize": "ten"}, "miniBatchSize"),
    ],
)
def test_a_deployment_is_refused(arm: Call, change: dict[str, Any], told: str) -> None:
    """A deployment needs a model and a compute that are there, and values of the right types."""
    arm("PUT", ENDPOINT, ENDPOINT_BODY)
    settled(arm, ENDPOINT)
    properties = DEPLOYMENT_BODY["properties"] | change  # type: ignore[operator]
    answer = arm("PUT", f"{ENDPOINT}/deployments/first", {"location": "westeurope", "properties": properties})
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]


def test_a_write_waits_for_the_one_before(simulators: Simulators, arm: Call) -> None:
    """While an endpoint or a deployment changes, writes are refused in the words that mean: come again."""
    simulators.management.seed(settings={"provisioning_seconds": 30})
    arm("PUT", ENDPOINT, ENDPOINT_BODY)
    refused = arm("PUT", f"{ENDPOINT}/deployments/first", DEPLOYMENT_BODY)
    assert refused.status_code == 400
    assert "because it is in Creating provisioning state" in refused.json()["error"]["message"]
    assert error(arm("PUT", ENDPOINT, ENDPOINT_BODY)) == (409, "Conflict")


def test_only_a_token_for_arm_gets_in(simulators: Simulators, arm: Call) -> None:
    """No token, a forged one, one for another service, no api-version, an unknown one."""
    other = ManagedIdentityCredential().get_token("https://ml.azure.com/.default").token
    refusals = [
        error(arm("GET", MODEL, Authorization="")),
        error(arm("GET", MODEL, Authorization="Bearer a.e30.c")),
        error(arm("GET", MODEL, Authorization=f"Bearer {other}")),
        error(arm("GET", MODEL, version="")),
        error(arm("GET", MODEL, version="2020-08-01")),
    ]
    assert refusals == [
        (401, "AuthenticationFailed"),
        (401, "InvalidAuthenticationToken"),
        (401, "InvalidAuthenticationTokenAudience"),
        (400, "MissingApiVersionParameter"),
        (400, "NoRegisteredProviderFound"),
    ]


def test_a_role_takes_a_while_to_arrive(simulators: Simulators, arm: Call) -> None:
    """The first requests of a fresh identity are forbidden, then they are not."""
    simulators.management.seed(forbidden=[{"path": "/models/", "n": 2}])
    answers = [arm("GET", MODEL) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [403, 403, 200]
    assert "workspaces/models/versions/read" in answers[0].json()["error"]["message"]


def test_models_are_read_and_can_vanish(simulators: Simulators, arm: Call) -> None:
    """A version tells its tags and its age; a removed one is a 404."""
    read = arm("GET", MODEL).json()
    assert (read["properties"]["tags"], read["systemData"]["createdAt"]) == (
        {"stage": "production"},
        "2026-03-02T08:15:04Z",
    )
    assert arm("GET", f"{WORKSPACE}/models/credit").json()["properties"]["latestVersion"] == "12"
    tagged = arm("GET", f"{WORKSPACE}/models/credit/versions?tags=stage=production&api-version={ML}").json()["value"]
    assert [one["name"] for one in tagged] == ["12"]
    simulators.management.seed(remove=[MODEL])
    assert error(arm("GET", MODEL)) == (404, "ModelNotFound")


def test_a_job_moves_by_the_clock(simulators: Simulators, arm: Call) -> None:
    """A seeded job says what it was told to say, when."""
    then = [{"after": 0, "status": "Finalizing"}, {"after": 0.2, "status": "Completed"}]
    simulators.management.seed(jobs=[{"id": f"{WORKSPACE}/jobs/owl", "status": "Running", "then": then}])
    assert arm("GET", f"{WORKSPACE}/jobs/owl").json()["properties"]["status"] == "Finalizing"
    time.sleep(0.25)
    assert arm("GET", f"{WORKSPACE}/jobs/owl").json()["properties"]["status"] == "Completed"


def test_faults_happen_as_often_as_told_and_where_told(simulators: Simulators, arm: Call) -> None:
    """Each kind of fault does what faults.py says, to the matching requests only."""
    management = simulators.management
    management.fault("throttle", retry_after=2, path="/models/")
    management.fault("throttle", path="/models/")
    management.fault("unavailable", method="GET", path="/models/", skip=1)
    management.fault("error", status=502, body="<html>Bad Gateway</html>", headers={"Content-Type": "text/html"})
    assert arm("GET", f"{WORKSPACE}/computes/cpu").headers["Content-Type"] == "text/html"
    throttled = [arm("GET", MODEL) for _ in range(2)]
    assert [(one.status_code, one.headers.get("Retry-After")) for one in throttled] == [(429, "2"), (429, None)]
    assert [arm("GET", MODEL).status_code for _ in range(3)] == [200, 503, 200]
    assert management.get("/_faults") == []


def test_a_slow_answer_is_an_answer(simulators: Simulators, arm: Call) -> None:
    """It comes after the time told; a reset ends the waiting of those that still wait."""
    simulators.management.fault("slow", seconds=0.2)
    began = time.monotonic()
    assert arm("GET", MODEL).status_code == 200
    assert time.monotonic() - began >= 0.2
    simulators.management.fault("slow", seconds=60)
    with ThreadPoolExecutor(1) as elsewhere:
        answer = elsewhere.submit(arm, "GET", MODEL)
        simulators.management.until(lambda faults: faults == [], of="/_faults")
        simulators.management.reset()
        assert answer.result(timeout=5).status_code == 404
    assert time.monotonic() - began < 10


def test_a_fault_that_is_none_is_refused(simulators: Simulators) -> None:
    """A kind or a member that is not known is a mistake of the test, and said so."""
    for fault in ({"kind": "throttled"}, {"kind": "drop", "times": 2}):
        assert requests.post(f"{simulators.management.url}/_faults", json=fault, timeout=5).status_code == 400
    answer = requests.post(f"{simulators.management.url}/_seed", json={"model": []}, timeout=5)
    assert (answer.status_code, "['model']" in answer.text) == (400, True)


def test_a_dropped_request_does_nothing_and_a_lost_reply_hides_what_was_done(simulators: Simulators, arm: Call) -> None:
    """Both look the same to the client; only one of them started a run."""
    body = {"reactor_action": "k"}
    for kind, runs in (("drop", 0), ("lost_reply", 1)):
        simulators.management.fault(kind, method="POST", path="createRun")
        with pytest.raises(requests.ConnectionError):
            arm("POST", f"{FACTORY}/pipelines/retrain/createRun", body, version=ADF)
        assert len(simulators.management.state()["runs"]) == runs


def test_requests_are_logged_without_secrets(simulators: Simulators, arm: Call, requests_log: Path) -> None:
    """The log has each request with its body and its fate, and no token in it."""
    simulators.management.fault("drop", method="POST")
    with pytest.raises(requests.ConnectionError):
        arm("POST", f"{FACTORY}/pipelines/retrain/createRun", {"reactor_action": "k"}, version=ADF)
    arm("GET", f"{WORKSPACE}?sig=a-signature&api-version={ML}")
    lines = [json.loads(line) for line in requests_log.read_text().splitlines()][-2:]
    assert lines == simulators.management.seen()
    assert [(line["method"], line["status"], line["fault"]) for line in lines] == [
        ("POST", None, "drop"),
        ("GET", 200, None),
    ]
    assert json.loads(lines[0]["body"]) == {"reactor_action": "k"}
    assert re.search(r"eyJ[\w-]+\.[\w-]+\.", requests_log.read_text()) is None
    assert "a-signature" not in requests_log.read_text()


def test_a_reset_leaves_nothing(simulators: Simulators, arm: Call) -> None:
    """After a reset there is no resource, no run, no request and no fault."""
    arm("PUT", ENDPOINT, ENDPOINT_BODY)
    simulators.management.fault("drop")
    simulators.management.reset()
    assert simulators.management.state() == {"resources": {}, "runs": []}
    assert simulators.management.get("/_faults") == []
    assert simulators.management.seen() == []
    assert error(arm("GET", MODEL)) == (404, "ResourceNotFound")
