"""The simulated online endpoints behave like the real ones, as seen by azure-ai-ml and by plain requests."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential

from dev.simulators.remote import Simulators
from tests.integration import ml_sdk
from tests.integration.ml_sdk import ml_client

pytestmark = ml_sdk.QUIET

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/fraud"
MODEL = f"{WORKSPACE}/models/credit/versions/12"
ENDPOINT = f"{WORKSPACE}/onlineEndpoints/credit"
ML, MONITOR = "2024-10-01", "2024-02-01"
PYFUNC = {"python_function": {"data": {"loader_module": "mlflow.sklearn"}}}
ENDPOINT_BODY = {
    "location": "westeurope",
    "identity": {"type": "SystemAssigned"},
    "properties": {"authMode": "AADToken", "traffic": {}},
}
DEPLOYMENT_BODY = {
    "location": "westeurope",
    "sku": {"name": "Default", "capacity": 1},
    "properties": {"endpointComputeType": "Managed", "instanceType": "Standard_DS3_v2", "model": MODEL},
}

Call = Callable[..., requests.Response]


@pytest.fixture
def arm(simulators: Simulators) -> Call:
    """Give a function that calls ARM, or another URL, with a token for it; two models are there."""
    simulators.management.seed(
        models=[
            {"id": MODEL, "flavors": PYFUNC},
            {"id": f"{WORKSPACE}/models/plain/versions/1", "flavors": {"sklearn": {}}},
        ],
        settings={"provisioning_seconds": 0.1},
    )
    tokens = {
        audience: ManagedIdentityCredential().get_token(f"{audience}/.default").token
        for audience in ("https://management.azure.com", "https://ml.azure.com")
    }

    def call(
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str = ML,
        audience: str = "management.azure",
        **headers: str,
    ) -> requests.Response:
        url = path if path.startswith("https:") else f"{simulators.management.url}{path}"
        params = {} if "api-version" in url or not version else {"api-version": version}
        headers = {"Authorization": f"Bearer {tokens[f'https://{audience}.com']}", **headers}
        return requests.request(method, url, json=body, params=params, headers=headers, timeout=60)

    return call


def error(answer: requests.Response) -> tuple[int, str, str]:
    """Give a refusal's status, its most telling code and its message."""
    told = answer.json()["error"]
    return answer.status_code, (told.get("details") or [told])[0]["code"], told["message"]


def settled(arm: Call, path: str) -> str:
    """Wait until a resource does not change any more; its state."""
    deadline = time.monotonic() + 10
    while (state := arm("GET", path).json()["properties"]["provisioningState"]) in {"Creating", "Updating"}:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return str(state)


def make(arm: Call, *deployments: str, **properties: Any) -> None:
    """Make the endpoint and its deployments, each with its share of the traffic: "blue=90"."""
    body = {**ENDPOINT_BODY, "properties": {"authMode": "AADToken", **properties}}
    arm("PUT", ENDPOINT, body)
    settled(arm, ENDPOINT)
    shares = dict(one.split("=") for one in deployments)
    for name in shares:
        assert arm("PUT", f"{ENDPOINT}/deployments/{name}", DEPLOYMENT_BODY).status_code == 201
        settled(arm, f"{ENDPOINT}/deployments/{name}")
    give(arm, {name: int(share) for name, share in shares.items()}, **properties)


def give(arm: Call, traffic: dict[str, int], **properties: Any) -> requests.Response:
    """Give the deployments traffic."""
    put = arm(
        "PUT", ENDPOINT, {**ENDPOINT_BODY, "properties": {"authMode": "AADToken", **properties, "traffic": traffic}}
    )
    settled(arm, ENDPOINT)
    return put


def score(arm: Call, uri: str, **headers: str) -> requests.Response:
    """Ask for a prediction, with a token for the data plane."""
    return arm("POST", uri, {"input_data": [[1]]}, version="", audience="ml.azure", **headers)


# -- with Microsoft's own client --------------------------------------------------------------------------------------


def test_the_official_client_rolls_a_model_out(
    simulators: Simulators, arm: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Endpoint, two deployments, 90/10, a named deployment, logs, keys, the old one deleted, and all of it."""
    from azure.ai.ml.constants._endpoint import EndpointInvokeFields
    from azure.ai.ml.entities import ManagedOnlineDeployment, ManagedOnlineEndpoint

    ml_sdk.fast(monkeypatch)
    simulators.management.seed(settings={"provisioning_seconds": 0})
    client = ml_client(simulators, WORKSPACE)
    endpoints, deployments = client.online_endpoints, client.online_deployments
    made = endpoints.begin_create_or_update(
        ManagedOnlineEndpoint(name="credit", auth_mode="key", tags={"team": "risk"})
    ).result()
    assert (made.provisioning_state, made.auth_mode, made.traffic) == ("Succeeded", "key", {})
    for name in ("blue", "green"):
        deployment = ManagedOnlineDeployment(
            name=name, endpoint_name="credit", model=MODEL, instance_type="Standard_DS3_v2", instance_count=1
        )
        assert deployments.begin_create_or_update(deployment).result().provisioning_state == "Succeeded"
    made.traffic = {"blue": 90, "green": 10}
    assert endpoints.begin_create_or_update(made).result().traffic == {"blue": 90, "green": 10}

    asked = tmp_path / "asked.json"
    asked.write_text('{"input_data": [[1], [2]]}')
    for _ in range(10):
        assert json.loads(endpoints.invoke("credit", request_file=str(asked))) == [0.5, 0.5]
    counted = metric(arm, "RequestsPerMinute", **{"$filter": "deployment eq '*'"}).json()["value"][0]["timeseries"]
    assert {
        series["metadatavalues"][0]["value"]: sum(point.get("average", 0) for point in series["data"])
        for series in counted
    } == {"blue": 9, "green": 1}
    assert json.loads(endpoints.invoke("credit", request_file=str(asked), deployment_name="green")) == [0.5, 0.5]
    EndpointInvokeFields.DEFAULT_HEADER.pop(EndpointInvokeFields.MODEL_DEPLOYMENT)  # the SDK keeps it for later calls
    assert simulators.inference.seen("POST")[-1]["headers"]["azureml-model-deployment"] == "green"

    assert "Listening at" in deployments.get_logs("green", "credit", lines=50)
    before = endpoints.get_keys("credit")
    endpoints.begin_regenerate_keys("credit", key_type="secondary").result()
    assert endpoints.get_keys("credit").primary_key == before.primary_key

    assert {one.name for one in deployments.list("credit")} == {"blue", "green"}
    with pytest.raises(HttpResponseError, match="has traffic"):
        deployments.begin_delete("blue", "credit").result()
    made.traffic = {"green": 100}
    endpoints.begin_create_or_update(made).result()
    deployments.begin_delete("blue", "credit").result()
    with pytest.raises(ResourceNotFoundError):
        deployments.get("blue", "credit")
    assert endpoints.get("credit").traffic == {"green": 100}
    assert [one.name for one in endpoints.list()] == ["credit"]
    endpoints.begin_delete("credit").result()
    with pytest.raises(ResourceNotFoundError):
        endpoints.get("credit")


def test_the_official_client_is_told_why_a_deployment_failed(
    simulators: Simulators, arm: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is seeded to go wrong goes wrong for the SDK too: when it is put, or while it is provisioned."""
    from azure.ai.ml.entities import ManagedOnlineDeployment

    ml_sdk.fast(monkeypatch)
    make(arm, "blue=100")
    simulators.management.seed(
        settings={"provisioning_seconds": 0},
        provisioning=[{"name": "green", "code": "ImageBuildFailure", "message": "conda could not solve"}],
        refused=[{"name": "grey", "code": "BadRequest", "message": "Not enough quota available for Standard_DS3_v2."}],
    )
    client = ml_client(simulators, WORKSPACE)
    for name, says in (("green", "conda could not solve"), ("grey", "Not enough quota")):
        deployment = ManagedOnlineDeployment(
            name=name, endpoint_name="credit", model=MODEL, instance_type="Standard_DS3_v2", instance_count=1
        )
        with pytest.raises(HttpResponseError, match=says):
            client.online_deployments.begin_create_or_update(deployment).result()
    assert client.online_endpoints.get("credit").traffic == {"blue": 100, "green": 0}


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"location": "westeurope", "properties": {"authMode": "Key"}}, "Identity field is required"),
        ({**ENDPOINT_BODY, "properties": {}}, "AuthMode field is required"),
        ({**ENDPOINT_BODY, "properties": {"authMode": "Basic"}}, "Error converting value 'Basic'"),
        ({**ENDPOINT_BODY, "properties": {"authMode": "Key", "defaults": {}}}, "Could not find member 'defaults'"),
        ({**ENDPOINT_BODY, "etag": 7}, "Error converting value 7"),
        ({**ENDPOINT_BODY, "location": "eastus"}, "Location 'eastus' is not that of the workspace"),
        ({**ENDPOINT_BODY, "properties": {"authMode": "Key", "traffic": {"blue": 100}}}, "created without traffic"),
        ({**ENDPOINT_BODY, "properties": {"authMode": "Key", "traffic": {"blue": "100"}}}, "Error converting value"),
        ({**ENDPOINT_BODY, "properties": {"authMode": "Key", "traffic": [1]}}, "Error converting value"),
    ],
)
def test_an_endpoint_that_the_service_refuses_is_refused(arm: Call, body: Any, says: str) -> None:
    """Identity, authentication, unknown members, and traffic before there is a deployment."""
    status, _, message = error(arm("PUT", ENDPOINT, body))
    assert (status, says in message) == (400, True), message


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"endpointComputeType": None}, "EndpointComputeType field is required"),
        ({"endpointComputeType": "Serverless"}, "Error converting value"),
        ({"instanceType": None}, "InstanceType field is required"),
        ({"model": {"referenceType": "Id", "assetId": MODEL}}, "to type 'string'"),
        ({"model": None}, "Model field is required"),
        ({"model": f"{WORKSPACE}/models/credit/versions/99"}, "was not found"),
        ({"model": f"{WORKSPACE}/models/plain/versions/1"}, "no 'python_function' flavor"),
        ({"scaleSettings": {"scaleType": "TargetUtilization"}}, "Error converting value"),
        ({"codeConfiguration": {"codeId": f"{WORKSPACE}/codes/none/versions/1", "scoringScript": "s.py"}}, "not found"),
        ({"environmentId": f"{WORKSPACE}/environments/none/versions/1"}, "was not found"),
        ({"compute": "cpu"}, "Could not find member 'compute'"),
        ({"instanceType": "Standard_Nonsense"}, "'Standard_Nonsense' is not supported"),
        ({"requestSettings": {"requestTimeout": "PT181S"}}, "180 seconds at most"),
        ({"requestSettings": {"requestTimeout": "5s"}}, "to type 'duration'"),
        ({"livenessProbe": {"period": "10"}}, "to type 'duration'"),
    ],
)
def test_a_deployment_that_the_service_refuses_is_refused(arm: Call, changes: dict[str, Any], says: str) -> None:
    """What must be there, what must be of which kind, and what must exist."""
    make(arm)
    body = {**DEPLOYMENT_BODY, "properties": {**DEPLOYMENT_BODY["properties"], **changes}}  # type: ignore[dict-item]
    status, _, message = error(arm("PUT", f"{ENDPOINT}/deployments/blue", body))
    assert (status, says in message) == (400, True), message


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"traffic": {"blue": 90}}, "sum of traffic has to be 0 or 100"),
        ({"traffic": {"blue": 50, "nobody": 50}}, "'nobody'"),
        ({"traffic": {"blue": 100}, "mirrorTraffic": {"green": 60}}, "at most 50"),
        ({"traffic": {"blue": 100}, "mirrorTraffic": {"green": 10, "blue": 10}}, "one deployment"),
        ({"traffic": {"blue": 100}, "mirrorTraffic": {"blue": 10}}, "at the same time"),
    ],
)
def test_traffic_has_rules(arm: Call, properties: dict[str, Any], says: str) -> None:
    """Shares add up and go where something is; mirrored traffic is small, for one, and not for who has live traffic."""
    make(arm, "blue=100", "green=0")
    status, _, message = error(arm("PUT", ENDPOINT, {**ENDPOINT_BODY, "properties": {"authMode": "Key", **properties}}))
    assert (status, says in message) == (400, True), message
    assert arm("GET", ENDPOINT).json()["properties"]["traffic"] == {"blue": 100}


def test_what_can_be_changed_later(arm: Call) -> None:
    """PATCH changes tags and the number of instances; the size and the code of a deployment stay; a PUT replaces."""
    make(arm, "blue=100")
    blue = f"{ENDPOINT}/deployments/blue"
    patched = arm("PATCH", blue, {"tags": {"a": "b"}, "sku": {"name": "Default", "capacity": 3}})
    assert patched.status_code == 202
    settled(arm, blue)
    assert arm("GET", patched.headers["Location"]).status_code == 200
    read = arm("GET", blue).json()
    assert (read["tags"], read["sku"]["capacity"]) == ({"a": "b"}, 3)
    assert error(arm("PATCH", blue, {"sku": {"capacity": 51}}))[0] == 400
    assert error(arm("PATCH", blue, {"properties": {}}))[1] == "RequestInvalid"
    other = {**DEPLOYMENT_BODY, "properties": {**DEPLOYMENT_BODY["properties"], "instanceType": "Standard_F2"}}  # type: ignore[dict-item]
    assert "cannot be changed" in error(arm("PUT", blue, other))[2]
    assert arm("PATCH", ENDPOINT, {"tags": {"c": "d"}}).status_code == 202
    settled(arm, ENDPOINT)
    read = arm("GET", ENDPOINT).json()
    assert (read["tags"], read["properties"]["traffic"], read["kind"]) == ({"c": "d"}, {"blue": 100}, "Managed")
    assert error(arm("PATCH", ENDPOINT, {"properties": {"traffic": {}}}))[1] == "RequestInvalid"
    arm("PUT", ENDPOINT, {**ENDPOINT_BODY, "properties": {"authMode": "AADToken"}})
    settled(arm, ENDPOINT)
    read = arm("GET", ENDPOINT).json()
    assert (read["tags"], read["properties"]["traffic"]) == ({}, {})


def test_a_deployment_that_the_quota_has_no_room_for_is_refused(arm: Call, simulators: Simulators) -> None:
    """By the numbers that usages tell, a fifth held back for upgrades, and in JSON inside a sentence."""
    simulators.management.seed(
        quotas=[{"region": "westeurope", "family": "standardDSv2Family", "used": 84, "limit": 100}]
    )
    make(arm, "blue=100")
    green, sized = f"{ENDPOINT}/deployments/green", {**DEPLOYMENT_BODY, "sku": {"name": "Default", "capacity": 4}}
    status, _, message = error(arm("PUT", green, sized))
    detail = json.loads(message.partition("error detail: ")[2])
    assert status == 400
    assert "Current usage/limit: 84/100. Additional needed: 20" in detail["errors"]["VmSize"][0]
    assert "Not enough quota" in error(arm("PATCH", f"{ENDPOINT}/deployments/blue", {"sku": {"capacity": 6}}))[2]
    assert arm("PUT", green, {**sized, "sku": {"name": "Default", "capacity": 3}}).status_code == 201


def test_an_endpoint_has_twenty_deployments_at_most(arm: Call, simulators: Simulators) -> None:
    """The twenty-first is refused."""
    names = [f"dep-{n}" for n in range(20)]
    simulators.management.seed(
        online_endpoints=[{"id": ENDPOINT, "deployments": [{"name": name, "model": MODEL} for name in names]}]
    )
    assert "maximum number of deployments" in error(arm("PUT", f"{ENDPOINT}/deployments/one-more", DEPLOYMENT_BODY))[2]


def test_the_answers_to_writes_say_where_to_look(arm: Call) -> None:
    """A PUT names its operation and no time to wait; a DELETE has a Location."""
    put = arm("PUT", ENDPOINT, ENDPOINT_BODY)
    assert "Retry-After" not in put.headers
    assert "etag" not in {name.lower() for name in put.headers}
    assert settled(arm, ENDPOINT) == "Succeeded"
    assert arm("GET", put.headers["Azure-AsyncOperation"]).json()["status"] == "Succeeded"
    gone = arm("DELETE", ENDPOINT)
    assert (gone.status_code, arm("GET", gone.headers["Location"]).status_code) == (202, 202)


def test_new_traffic_is_shown_late(arm: Call, simulators: Simulators) -> None:
    """The operation has succeeded, requests go the new way, and a GET still shows the old one."""
    make(arm, "blue=100", "green=0")
    simulators.management.seed(settings={"stale_seconds": 0.5})
    put = give(arm, {"green": 100})
    assert arm("GET", put.headers["Azure-AsyncOperation"]).json()["status"] == "Succeeded"
    read = arm("GET", ENDPOINT).json()
    assert read["properties"]["traffic"] == {"blue": 100}
    assert score(arm, read["properties"]["scoringUri"]).headers["azureml-model-deployment"] == "green"
    time.sleep(0.6)
    assert arm("GET", ENDPOINT).json()["properties"]["traffic"] == {"green": 100}


# -- scoring ----------------------------------------------------------------------------------------------------------


def test_who_may_ask(arm: Call, simulators: Simulators) -> None:
    """A token for the data plane, a key of the endpoint, or a token of its own: what it says, and nothing else."""
    for mode in ("AADToken", "Key", "AMLToken"):
        endpoint = f"{WORKSPACE}/onlineEndpoints/ask-{mode.lower()}"
        simulators.management.seed(
            online_endpoints=[
                {
                    "id": endpoint,
                    "authMode": mode,
                    "traffic": {"blue": 100},
                    "deployments": [{"name": "blue", "model": MODEL}],
                }
            ]
        )
        uri = arm("GET", endpoint).json()["properties"]["scoringUri"]
        keys, token = arm("POST", f"{endpoint}/listKeys"), arm("POST", f"{endpoint}/token")
        assert [keys.ok, token.ok] == [mode == "Key", mode == "AMLToken"]
        ours = ManagedIdentityCredential().get_token("https://ml.azure.com/.default").token
        secrets = {
            "AADToken": ours,
            "Key": keys.json().get("secondaryKey", "none"),
            "AMLToken": token.json().get("accessToken", "none"),
        }
        for other, secret in secrets.items():
            answer = score(arm, uri, Authorization=f"Bearer {secret}")
            assert answer.status_code == (200 if other == mode else 401)
        refused = score(arm, uri, Authorization="Basic x")
        assert (refused.status_code, refused.headers["Content-Type"]) == (401, "text/plain; charset=utf-8")
        assert arm("POST", uri, {}, version="").status_code == 401


def test_a_regenerated_key_is_another(arm: Call, simulators: Simulators) -> None:
    """The old key does not do any more, the other one does."""
    endpoint = {
        "id": ENDPOINT,
        "authMode": "Key",
        "traffic": {"blue": 100},
        "deployments": [{"name": "blue", "model": MODEL}],
    }
    simulators.management.seed(online_endpoints=[endpoint])
    uri = arm("GET", ENDPOINT).json()["properties"]["scoringUri"]
    before = arm("POST", f"{ENDPOINT}/listKeys").json()
    assert arm("POST", f"{ENDPOINT}/regenerateKeys", {"keyType": "Primary"}).status_code == 202
    assert error(arm("POST", f"{ENDPOINT}/regenerateKeys", {"keyType": "Third"}))[0] == 400
    answers = [score(arm, uri, Authorization=f"Bearer {before[name]}").status_code for name in sorted(before)]
    assert answers == [401, 200]


def test_deployments_answer_as_they_are_told(arm: Call, simulators: Simulators) -> None:
    """A seeded status comes as often as is said, and a deployment without traffic answers who names it."""
    make(arm, "blue=100", "green=0")
    uri = arm("GET", ENDPOINT).json()["properties"]["scoringUri"]
    simulators.inference.seed(scoring=[{"deployment": "^blue$", "status": 424, "n": 2}])
    assert [score(arm, uri).status_code for _ in range(3)] == [424, 424, 200]
    named = {"azureml-model-deployment": "green"}
    assert score(arm, uri, **named).headers["azureml-model-deployment"] == "green"
    assert score(arm, uri, **{"azureml-model-deployment": "grey"}).status_code == 404
    give(arm, {})
    assert (score(arm, uri).status_code, score(arm, uri, **named).status_code) == (404, 200)
    assert arm("GET", f"{ENDPOINT}/deployments/green/skus").json()["value"][0]["capacity"]["maximum"] == 50


# -- metrics ----------------------------------------------------------------------------------------------------------


def metric(arm: Call, name: str, **query: str) -> requests.Response:
    """Ask Monitor for a metric of the last five minutes."""
    now = datetime.now(UTC)
    span = "/".join(
        one.strftime("%Y-%m-%dT%H:%M:%SZ") for one in (now - timedelta(minutes=5), now + timedelta(minutes=1))
    )
    asked = "&".join(f"{key}={value}" for key, value in {"metricnames": name, "timespan": span, **query}.items())
    return arm("GET", f"{ENDPOINT}/providers/Microsoft.Insights/metrics?api-version={MONITOR}&{asked}")


def test_monitor_counts_what_is_asked(arm: Call, simulators: Simulators) -> None:
    """Requests by deployment and status, and latencies, in the shape of Azure Monitor."""
    make(arm, "blue=100", "green=0")
    uri = arm("GET", ENDPOINT).json()["properties"]["scoringUri"]
    simulators.inference.seed(scoring=[{"deployment": "blue", "latency_ms": 40}])
    simulators.inference.seed(scoring=[{"deployment": "blue", "status": 500, "latency_ms": 900, "n": 1}])
    for _ in range(3):
        score(arm, uri)
    body = metric(arm, "RequestsPerMinute", **{"$filter": "deployment eq 'blue' and statusCodeClass eq '*'"}).json()
    assert body["namespace"] == "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
    assert (body["interval"], body["resourceregion"]) == ("PT1M", "westeurope")
    (value,) = body["value"]
    assert value["id"] == f"{ENDPOINT}/providers/Microsoft.Insights/metrics/RequestsPerMinute"
    assert (value["type"], value["unit"], value["errorCode"]) == ("Microsoft.Insights/metrics", "Count", "Success")
    counted = {
        series["metadatavalues"][1]["value"]: sum(point.get("average", 0) for point in series["data"])
        for series in value["timeseries"]
    }
    assert counted == {"2xx": 2, "5xx": 1}
    latency = metric(arm, "RequestLatency_P95", **{"$filter": "deployment eq 'blue'"}).json()["value"][0]
    assert [point["average"] for point in latency["timeseries"][0]["data"] if "average" in point] == [900]
    assert latency["unit"] == "MilliSeconds"
    whole = metric(arm, "RequestsPerMinute,RequestLatency", aggregation="Average,Maximum", interval="PT5M").json()
    assert [one["timeseries"][0]["metadatavalues"] for one in whole["value"]] == [[], []]
    assert (
        metric(arm, "RequestsPerMinute", **{"$filter": "deployment eq 'green'"}).json()["value"][0]["timeseries"] == []
    )


def test_traffic_can_be_seen_that_nobody_sent(arm: Call, simulators: Simulators) -> None:
    """A seed without a time is seen in every minute, for the deployments that have traffic."""
    make(arm, "blue=100", "green=0")
    seen = {"deployment": ".*", "requests": 60, "failures": 6, "status": 503, "latency_ms": 70}
    simulators.management.seed(traffic_seen=[seen])
    by_status = metric(arm, "RequestsPerMinute", **{"$filter": "deployment eq '*' and statusCode ne '200'"}).json()
    (series,) = by_status["value"][0]["timeseries"]
    assert [one["value"] for one in series["metadatavalues"]] == ["blue", "503"]
    assert {point["average"] for point in series["data"][:5]} == {6}


@pytest.mark.parametrize(
    ("name", "query", "says"),
    [
        ("Requests", {}, "Valid metrics: RequestsPerMinute"),
        ("RequestLatency_P95", {"$filter": "statusCode eq '*'"}, "does not support requested dimension"),
        ("RequestsPerMinute", {"$filter": "deployment = 'blue'"}, "Invalid filter"),
        ("RequestsPerMinute", {"interval": "PT7M"}, "invalid time grain"),
        ("RequestsPerMinute", {"timespan": "yesterday"}, "Invalid timespan"),
        ("RequestsPerMinute", {"timespan": "2026-01-02T00:00:00Z/2026-01-01T00:00:00Z"}, "Invalid timespan"),
    ],
)
def test_monitor_refuses_what_it_does_not_know(arm: Call, name: str, query: dict[str, str], says: str) -> None:
    """Metric, dimension, filter, interval and time, in an error that is flat."""
    make(arm)
    answer = metric(arm, name, **query)
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    assert says in answer.json()["message"]


def test_monitor_has_its_own_versions(arm: Call) -> None:
    """Machine Learning's api-version is none of Monitor's."""
    path = f"{ENDPOINT}/providers/Microsoft.Insights/metrics?metricnames=RequestsPerMinute"
    assert error(arm("GET", path, version=ML))[1] == "NoRegisteredProviderFound"
