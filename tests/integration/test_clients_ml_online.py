"""The client of online endpoints and of their metrics, over real https against the simulated service."""

import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.simulators.remote import Simulators
from shared import answers
from shared.clients.machine_learning import MachineLearning
from shared.clients.machine_learning.data_plane import DataPlane
from shared.clients.machine_learning.monitor import Health, Monitor
from shared.clients.machine_learning.online import Online, OnlineEndpoint, OnlineSettings, Probe
from shared.clients.machine_learning.online_scoring import Scorer
from shared.clients.machine_learning.resources import Arm
from shared.clients.rest import Rest
from shared.errors import PermanentError, ReactorError, TemporaryError
from shared.settings import Settings
from tests.integration.canned import Canned, Reply, serve
from tests.integration.stages import clients_of

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml"
WS = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/fraud"
MODEL, OTHER = f"{WS}/models/credit/versions/12", f"{WS}/models/credit/versions/11"
ENDPOINT = f"{WS}/onlineEndpoints/credit"
PYFUNC = {"python_function": {"data": {"loader_module": "mlflow.sklearn"}}}
SETTINGS = OnlineSettings(model_id=MODEL, instance_type="Standard_DS3_v2")
QUOTA = (
    'InferencingClient HttpRequest error, error detail: {"errors":{"VmSize":["Not enough quota available for '
    'Standard_F4s_v2. Current usage/limit: 0/6. Additional needed: 8"]},"type":"x"}'
)

COMPUTE_QUOTA = (
    "Operation results in exceeding approved Total Regional Cores quota. Location: westeurope, Current Limit: 10, "
    "Current Usage: 8, Additional Required: 4, (Minimum) New Limit Required: 12."
)


@pytest.fixture
def ml(simulators: Simulators, azurite: str) -> MachineLearning:
    """Give the client; an endpoint whose traffic goes to one deployment is there."""
    simulators.management.seed(
        settings={"provisioning_seconds": 0.1},
        models=[
            {"id": MODEL, "flavors": PYFUNC},
            {"id": OTHER, "flavors": PYFUNC},
            {"id": f"{WS}/models/custom/versions/1", "modelType": "custom_model"},
            {
                "id": f"{WS}/models/late/versions/1",
                "flavors": {**PYFUNC, "sklearn": {"data": {"mlflow_version": "3.4"}}},
            },
        ],
        online_endpoints=[
            {
                "id": ENDPOINT,
                "tags": {"team": "risk"},
                "traffic": {"blue": 100},
                "description": "serves credit",
                "deployments": [{"name": "blue", "model": OTHER, "createdAt": "2026-03-02T08:15:04Z", "capacity": 2}],
            }
        ],
    )
    return clients_of(simulators, azurite).machine_learning


@pytest.fixture
def canned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    """Serve canned answers whose certificate is trusted."""
    with serve(tmp_path) as (server, ca):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca)
        yield server


def online_at(canned: Canned) -> Online:
    """Make the client of a server that gives canned answers."""
    settings = Settings.read({"AzureWebJobsStorage": "x", "REACTOR_ML_HOSTS": "127.0.0.1"})
    plane = DataPlane(settings, lambda: pytest.fail("no token is asked for"))
    return Online(Arm(canned.url, Rest("Machine Learning"), "2024-10-01"), plane, Scorer("Machine Learning"))


def settled(ml: MachineLearning, name: str = "", endpoint: str = "credit") -> str:
    """Wait until an endpoint, or a deployment of it, does not change any more; its state."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        found = ml.online.deployment(WS, endpoint, name) if name else ml.online.endpoint(WS, endpoint)
        if found is None or found.state not in {"Creating", "Updating", "Deleting"}:
            return found.state if found else "gone"
        time.sleep(0.02)
    raise AssertionError("it never settles")


def there(ml: MachineLearning, name: str = "credit") -> OnlineEndpoint:
    """Read an endpoint that is there."""
    found = ml.online.endpoint(WS, name)
    assert found is not None
    return found


def deploy(ml: MachineLearning, name: str = "green", settings: OnlineSettings = SETTINGS) -> str:
    """Make a deployment and wait for it; its state."""
    ml.online.put_deployment(WS, "credit", name, "westeurope", settings)
    return settled(ml, name)


# -- endpoints --------------------------------------------------------------------------------------------------------


def test_an_endpoint_is_made_once(ml: MachineLearning) -> None:
    """It is not there, then it is made without traffic, and a second PUT, which would take the traffic, is not sent."""
    assert ml.online.endpoint(WS, "new-one") is None
    operation = ml.online.put_endpoint(WS, "new-one", "westeurope", "Key", {"team": "risk"})
    assert "mfeOperationsStatus" in operation
    assert settled(ml, endpoint="new-one") == "Succeeded"
    made = there(ml, "new-one")
    assert (made.auth_mode, made.traffic, made.mirror, made.tags) == ("Key", {}, {}, {"team": "risk"})
    assert made.scoring_uri.endswith("/westeurope/new-one/score")
    with pytest.raises(TemporaryError, match="there already"):
        ml.online.put_endpoint(WS, "new-one", "westeurope")


def test_a_name_that_somebody_has_is_told(ml: MachineLearning, simulators: Simulators) -> None:
    """A name is unique in a region: nothing helps but another one."""
    simulators.management.seed(taken=[{"region": "westeurope", "name": "fraud"}])
    with pytest.raises(PermanentError, match="unique within a region") as caught:
        ml.online.put_endpoint(WS, "fraud", "westeurope")
    assert "choose another name" in caught.value.remedy


def test_traffic_is_set_and_nothing_else_changes(ml: MachineLearning) -> None:
    """Description, identity and tags stay, given tags are added, names are written in lower case, zeros left out."""
    deploy(ml)
    ml.online.set_traffic(
        WS,
        "credit",
        {"Blue": 90, "GREEN": 10, "old": 0},
        instead_of={"blue": 100, "green": 0},
        tags={"prev": "blue=100"},
    )
    assert settled(ml) == "Succeeded"
    found = ml.arm.rest.get(ml.arm.url(ENDPOINT)).read(dict[str, Any])
    assert found["properties"]["traffic"] == {"blue": 90, "green": 10}
    assert found["properties"]["description"] == "serves credit"
    assert found["tags"] == {"team": "risk", "prev": "blue=100"}
    assert found["identity"]["type"] == "SystemAssigned"


@pytest.mark.guarantee(4)
def test_traffic_that_somebody_else_changed_is_left_alone(ml: MachineLearning, simulators: Simulators) -> None:
    """The map is compared with what it should be before anything is written."""
    deploy(ml)
    before = len(simulators.management.seen("PUT"))
    with pytest.raises(TemporaryError, match=r"the traffic of credit is blue 100 % and not blue 50 %, green 50 %"):
        ml.online.set_traffic(WS, "credit", {"green": 100}, instead_of={"blue": 50, "green": 50})
    assert len(simulators.management.seen("PUT")) == before


def test_old_traffic_that_is_read_for_a_while_is_not_trusted(ml: MachineLearning, simulators: Simulators) -> None:
    """After a change has succeeded a GET may still show the weights from before: the next change waits for the new."""
    deploy(ml)
    simulators.management.seed(settings={"stale_seconds": 0.6})
    ml.online.set_traffic(WS, "credit", {"blue": 90, "green": 10}, instead_of={"blue": 100})
    assert settled(ml) == "Succeeded"
    assert there(ml).traffic == {"blue": 100}
    with pytest.raises(TemporaryError):
        ml.online.set_traffic(WS, "credit", {"green": 100}, instead_of={"blue": 90, "green": 10})
    time.sleep(0.7)
    assert there(ml).traffic == {"blue": 90, "green": 10}
    ml.online.set_traffic(WS, "credit", {"green": 100}, instead_of={"blue": 90, "green": 10})
    ml.online.endpoint(WS, "credit")


def test_what_is_wanted_already_may_be_put_again(ml: MachineLearning) -> None:
    """A reply that was lost does no harm: the same traffic once more is the same."""
    ml.online.set_traffic(WS, "credit", {"blue": 100}, instead_of={"green": 100})
    assert settled(ml) == "Succeeded"
    assert there(ml).traffic == {"blue": 100}


def test_mirrored_traffic_ends_where_live_traffic_begins(canned: Canned) -> None:
    """A deployment cannot have both, and what this client does not know is put back as it was read."""
    read = {
        "id": ENDPOINT,
        "location": "westeurope",
        "tags": None,
        "identity": {
            "type": "SystemAssigned,UserAssigned",
            "principalId": "p",
            "userAssignedIdentities": {f"{GROUP}/x": {"clientId": "c"}},
        },
        "futureMember": {"a": 1},
        "properties": {
            "authMode": "Key",
            "scoringUri": "https://x",
            "provisioningState": "Succeeded",
            "traffic": {"blue": 100},
            "mirrorTraffic": {"green": 10},
            "futureSetting": [1, 2],
        },
    }
    canned.replies = [Reply(200, read), Reply(200, read)]
    online_at(canned).set_traffic(WS, "credit", {"green": 100}, instead_of={"blue": 100}, tags={"a": "b"})
    put = canned.asked[1]
    assert put.method == "PUT"
    assert json.loads(put.body) == {
        "location": "westeurope",
        "tags": {"a": "b"},
        "identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {f"{GROUP}/x": {}}},
        "futureMember": {"a": 1},
        "properties": {"authMode": "Key", "traffic": {"green": 100}, "mirrorTraffic": {}, "futureSetting": [1, 2]},
    }


@pytest.mark.parametrize("traffic", [{"blue": 90}, {"blue": 60, "green": 60}, {"blue": 110, "green": -10}])
def test_traffic_that_does_not_add_up_is_not_sent(
    ml: MachineLearning, simulators: Simulators, traffic: dict[str, int]
) -> None:
    """Shares add up to 0 or to 100, and none is below 0."""
    before = len(simulators.management.seen())
    with pytest.raises(PermanentError, match="does not add up to 100"):
        ml.online.set_traffic(WS, "credit", traffic, instead_of={"blue": 100})
    assert len(simulators.management.seen()) == before


def test_traffic_to_what_is_not_there_is_refused(ml: MachineLearning) -> None:
    """A deployment that was deleted under our feet gets no traffic, and what served goes on serving."""
    with pytest.raises(PermanentError, match="green"):
        ml.online.set_traffic(WS, "credit", {"green": 100}, instead_of={"blue": 100})
    assert there(ml).traffic == {"blue": 100}


# -- deployments ------------------------------------------------------------------------------------------------------


def test_a_deployment_is_made_of_its_settings(ml: MachineLearning, simulators: Simulators) -> None:
    """Every setting reaches the service in its spelling, and what is left out is left to it."""
    settings = OnlineSettings(
        model_id=MODEL,
        instance_type="Standard_DS3_v2",
        instance_count=3,
        environment_variables={"WORKERS": "2"},
        request_timeout=timedelta(seconds=90),
        max_concurrent=4,
        liveness=Probe(initial_delay=timedelta(minutes=10), failure_threshold=30),
        readiness=Probe(period=timedelta(seconds=0.5)),
        app_insights=True,
        tags={"action": "abc"},
    )
    assert deploy(ml, settings=settings) == "Succeeded"
    made = ml.arm.rest.get(ml.arm.url(ENDPOINT, "/deployments/green")).read(dict[str, Any])
    properties = made["properties"]
    assert properties["requestSettings"] == {"requestTimeout": "PT90S", "maxConcurrentRequestsPerInstance": 4}
    assert properties["livenessProbe"] == {"initialDelay": "PT600S", "failureThreshold": 30}
    assert properties["readinessProbe"] == {"period": "PT0.5S"}
    assert (properties["environmentVariables"], properties["appInsightsEnabled"]) == ({"WORKERS": "2"}, True)
    read = ml.online.deployment(WS, "credit", "green")
    assert read is not None
    assert (read.model_id, read.instance_type, read.instance_count) == (MODEL, "Standard_DS3_v2", 3)
    assert read.tags == {"action": "abc"}
    assert there(ml).traffic == {"blue": 100}


def test_all_deployments_are_listed(ml: MachineLearning) -> None:
    """They come in pages, with their age, their model and their size."""
    for name in ("green", "grey"):
        deploy(ml, name)
    found = {one.name: one for one in ml.online.deployments(WS, "credit")}
    assert set(found) == {"blue", "green", "grey"}
    assert found["blue"].created_at == datetime(2026, 3, 2, 8, 15, 4, tzinfo=UTC)
    assert (found["blue"].model_id, found["blue"].instance_count) == (OTHER, 2)


@pytest.mark.guarantee(7)
def test_a_list_does_not_lead_elsewhere(canned: Canned) -> None:
    """The next page of another host is not asked for: our token would go there."""
    canned.replies = [Reply(200, {"value": [], "nextLink": "https://elsewhere.example/x"})]
    with pytest.raises(PermanentError, match="another host"):
        list(online_at(canned).deployments(WS, "credit"))


def test_a_deployment_with_traffic_is_not_deleted(ml: MachineLearning) -> None:
    """The service keeps what is served; what is not goes, and may be gone already."""
    with pytest.raises(PermanentError, match="has traffic"):
        ml.online.delete_deployment(WS, "credit", "blue")
    deploy(ml)
    ml.online.delete_deployment(WS, "credit", "green")
    assert settled(ml, "green") == "gone"
    ml.online.delete_deployment(WS, "credit", "green")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (OnlineSettings(model_id=f"{WS}/models/credit/versions/99", instance_type="x"), "ModelNotFound"),
        (OnlineSettings(model_id=f"{WS}/models/custom/versions/1", instance_type="x"), "needs an environment"),
        (OnlineSettings(model_id=MODEL, instance_type=""), "InstanceType"),
        (OnlineSettings(model_id=MODEL, instance_type="x", instance_count=0), "between 1 and 50"),
        (
            OnlineSettings(model_id=MODEL, instance_type="x", environment_id=f"{WS}/environments/none/versions/1"),
            "EnvironmentNotFound",
        ),
    ],
    ids=["a deleted model", "a model that needs code", "no size", "no instances", "a deleted environment"],
)
def test_what_cannot_be_deployed_is_refused(ml: MachineLearning, settings: OnlineSettings, says: str) -> None:
    """The refusal says why, doing it again does not help, and the traffic stays as it is."""
    with pytest.raises(PermanentError, match=says):
        ml.online.put_deployment(WS, "credit", "green", "westeurope", settings)
    assert there(ml).traffic == {"blue": 100}


def test_a_quota_that_does_not_suffice_is_told_in_words(ml: MachineLearning, simulators: Simulators) -> None:
    """The JSON inside the message is opened, and the remedy says how many cores are missing."""
    simulators.management.seed(refused=[{"name": "green", "message": QUOTA}])
    with pytest.raises(PermanentError, match="Not enough quota available for Standard_F4s_v2") as caught:
        ml.online.put_deployment(WS, "credit", "green", "westeurope", SETTINGS)
    assert "{" not in caught.value.reason
    assert "Standard_F4s_v2 needs 8 more cores, and 0 of 6 are used" in caught.value.remedy


def test_an_endpoint_that_is_still_busy_is_asked_again(ml: MachineLearning, simulators: Simulators) -> None:
    """A write is refused while a deployment is made, and for a moment after all has succeeded: again helps."""
    simulators.management.seed(settings={"provisioning_seconds": 1})
    ml.online.put_deployment(WS, "credit", "green", "westeurope", SETTINGS)
    with pytest.raises(TemporaryError, match="Creating provisioning state"):
        ml.online.set_traffic(WS, "credit", {"blue": 90, "green": 10}, instead_of={"blue": 100})
    with pytest.raises(TemporaryError, match="another operation on same entity"):
        ml.online.put_deployment(WS, "credit", "green", "westeurope", SETTINGS)
    settled(ml, "green")
    simulators.management.seed(unsettled=[{"name": "credit"}])
    with pytest.raises(TemporaryError, match="Updating provisioning state"):
        ml.online.set_traffic(WS, "credit", {"blue": 90, "green": 10}, instead_of={"blue": 100})
    ml.online.set_traffic(WS, "credit", {"blue": 90, "green": 10}, instead_of={"blue": 100})


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ImageBuildFailure", "Image build failed: conda solve failed"),
        ("OutOfQuota", QUOTA),
        ("ResourceNotReady", "User container has crashed or terminated"),
        ("InternalServerError", "An internal server error occurred."),
    ],
)
def test_a_deployment_that_fails_says_why(ml: MachineLearning, simulators: Simulators, code: str, message: str) -> None:
    """The operation tells the cause, in plain words."""
    simulators.management.seed(provisioning=[{"name": "green", "code": code, "message": message}])
    operation = ml.online.put_deployment(WS, "credit", "green", "westeurope", SETTINGS)
    assert settled(ml, "green") == "Failed"
    why = ml.arm.operation_error(operation)
    assert code in why
    assert "{" not in why
    assert there(ml).traffic == {"blue": 100}


def test_a_container_that_crashes_leaves_its_log(ml: MachineLearning, simulators: Simulators) -> None:
    """A model of MLflow 3 cannot be served without an environment: it fails with a 502, and the log has the cause."""
    crash = "Traceback (most recent call last):\n\n  ImportError: numpy\npassword=hunter22\n"
    simulators.management.seed(logs=[{"name": "green", "content": "starting\n" * 500 + crash}])
    settings = OnlineSettings(model_id=f"{WS}/models/late/versions/1", instance_type="Standard_DS3_v2")
    operation = ml.online.put_deployment(WS, "credit", "green", "westeurope", settings)
    assert settled(ml, "green") == "Failed"
    assert "Liveness probe failed: HTTP probe failed with statuscode: 502" in ml.arm.operation_error(operation)
    logs = ml.online.logs(WS, "credit", "green")
    assert logs.endswith("starting | Traceback (most recent call last): | ImportError: numpy | password=***")
    assert len(logs) == 1000
    assert ml.online.logs(WS, "credit", "green", tail=2) == "ImportError: numpy | password=***"
    with pytest.raises(PermanentError):
        ml.online.logs(WS, "credit", "grey")


def test_a_registrys_model_is_deployed(ml: MachineLearning) -> None:
    """A model may be a registry's."""
    model = "azureml://registries/prod/models/credit/versions/12"
    assert deploy(ml, settings=OnlineSettings(model_id=model, instance_type="Standard_DS3_v2")) == "Succeeded"


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        (QUOTA, "Standard_F4s_v2 needs 8 more cores, and 0 of 6 are used"),
        (QUOTA.replace('"', '\\"'), "Standard_F4s_v2 needs 8 more cores, and 0 of 6 are used"),
        (
            COMPUTE_QUOTA,
            "Total Regional needs 4 more cores, and 8 of 10 are used",
        ),
        ("OutOfQuota", "ask for more quota, or need less"),
    ],
    ids=["online", "escaped once more", "compute", "without numbers"],
)
def test_a_quota_is_told_by_each_service_in_its_way(message: str, remedy: str) -> None:
    """Wherever the numbers stand, they are in the remedy."""
    told = answers.error("Service", 400, {}, json.dumps({"error": {"code": "BadRequest", "message": message}}))
    assert isinstance(told, PermanentError)
    assert remedy in told.remedy
    assert "{" not in told.reason


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("Cannot update a deployment in endpoint e because it is in Updating provisioning state.", TemporaryError),
        ("Cannot update a deployment in endpoint e because it is in Failed provisioning state.", PermanentError),
        ("Conflict of operation, another operation on same entity is already running.", TemporaryError),
        ("OperationCanceled: the operation was canceled, another operation has a higher priority.", TemporaryError),
        ("There is already an endpoint with this name, Endpoint name needs to be unique", PermanentError),
    ],
)
def test_a_conflict_of_states_passes(message: str, word: type[ReactorError]) -> None:
    """What another operation is in the way of is tried again; an end state and a taken name stay as they are."""
    for status in (400, 409):
        told = answers.error("Service", status, {}, json.dumps({"error": {"code": "BadRequest", "message": message}}))
        assert type(told) is (TemporaryError if status == 409 and "Failed" in message else word)


def test_an_odd_wait_is_no_wait() -> None:
    """A header with a control character in it is read as the number that it is."""
    assert answers.retry_after({"retry-after": "7\x1f"}) == 7


# -- predictions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["AADToken", "Key", "AMLToken"])
def test_an_endpoint_is_asked_as_it_wants_to_be(ml: MachineLearning, simulators: Simulators, mode: str) -> None:
    """With our own token, with its key, or with a token of its own."""
    endpoint = f"{WS}/onlineEndpoints/asked"
    deployments = [{"name": "blue", "model": MODEL}]
    simulators.management.seed(
        online_endpoints=[{"id": endpoint, "authMode": mode, "traffic": {"blue": 100}, "deployments": deployments}]
    )
    scored = ml.online.score(there(ml, "asked"), {"input_data": [[1], [2]]})
    assert (scored.status, scored.deployment, scored.body, scored.problem) == (200, "blue", "[0.5, 0.5]", "")
    assert 0 < scored.seconds < 5


def test_a_deployment_is_asked_before_it_has_traffic(ml: MachineLearning, caplog: pytest.LogCaptureFixture) -> None:
    """Naming it in a header reaches it, and no body is ever logged."""
    caplog.set_level(logging.DEBUG)
    deploy(ml)
    scored = ml.online.score(there(ml), b'{"input_data": [["Mrs. Private"]]}', "green")
    assert (scored.deployment, scored.problem) == ("green", "")
    assert "Private" not in caplog.text


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (408, "upstream request timeout", "took longer than the deployment's request timeout (408)"),
        (424, {"error": {"code": "X", "message": "KeyError: age"}}, "model or its container failed (424)"),
        (500, "api_key=verysecret", "the deployment failed (500)"),
        (502, "<html><h1>Bad Gateway</h1></html>", "container does not answer (502)"),
        (503, "", "not available (503)"),
    ],
)
def test_a_deployments_failure_is_an_answer(
    ml: MachineLearning, simulators: Simulators, status: int, body: Any, says: str
) -> None:
    """What the deployment itself does wrong is told in words and never raised, and it is asked once."""
    simulators.inference.seed(scoring=[{"deployment": "blue", "status": status, "body": body}])
    scored = ml.online.score(there(ml), {"input_data": []})
    assert (scored.status, scored.deployment) == (status, "blue")
    assert scored.problem.endswith(says)
    assert "verysecret" not in scored.body
    assert len(simulators.inference.seen("POST")) == 1


def test_what_is_not_the_deployments_doing_is_an_error(ml: MachineLearning, simulators: Simulators) -> None:
    """Too many requests and a missing permission pass; an endpoint without traffic does not."""
    simulators.inference.fault("throttle", retry_after=7)
    with pytest.raises(TemporaryError, match="429") as caught:
        ml.online.score(there(ml), {})
    assert caught.value.after == 7
    simulators.inference.seed(denied=[{"path": "/score"}])
    with pytest.raises(TemporaryError, match="denied by policy"):
        ml.online.score(there(ml), {})
    simulators.inference.fault("drop")
    with pytest.raises(TemporaryError, match="did not answer"):
        ml.online.score(there(ml), {})
    with pytest.raises(PermanentError, match="green was not found"):
        ml.online.score(there(ml), {}, "green")
    ml.online.set_traffic(WS, "credit", {}, instead_of={"blue": 100})
    settled(ml)
    with pytest.raises(PermanentError, match="No valid deployments") as lost:
        ml.online.score(there(ml), {})
    assert "give one of the endpoint's deployments traffic" in lost.value.remedy


@pytest.mark.guarantee(7)
def test_a_host_that_is_not_allowed_is_not_asked(simulators: Simulators, azurite: str, ml: MachineLearning) -> None:
    """Neither a token nor a key goes to a host that the settings do not name."""
    strict = clients_of(simulators, azurite, REACTOR_ML_HOSTS="*.inference.ml.azure.com").machine_learning
    with pytest.raises(PermanentError, match="no token of ours is sent"):
        strict.online.score(there(ml), {})
    assert simulators.inference.seen() == []


# -- metrics ----------------------------------------------------------------------------------------------------------


def window() -> dict[str, datetime]:
    """Give the last minute and the next."""
    now = datetime.now(UTC)
    return {"since": now - timedelta(minutes=1), "until": now + timedelta(minutes=1)}


def test_health_is_what_was_asked_and_answered(ml: MachineLearning, simulators: Simulators) -> None:
    """Requests, the deployment's own failures and the latency; another deployment's are not counted."""
    deploy(ml)
    assert ml.monitor.health(ENDPOINT, "green", **window()) is None
    for status in (200, 200, 500, 424, 429):
        simulators.inference.seed(scoring=[{"deployment": "green", "status": status, "latency_ms": 80, "n": 1}])
        try:
            ml.online.score(there(ml), {}, "green")
        except ReactorError:
            assert status == 429
    ml.online.score(there(ml), {})
    health = ml.monitor.health(ENDPOINT, "green", **window())
    assert health == Health(requests=5, failures=2, latency_p95_ms=80)
    assert health.failed == 0.4


def test_health_covers_the_minutes_it_is_asked_for(ml: MachineLearning, simulators: Simulators) -> None:
    """What was long before is not counted, and a percentile is a mean of its minutes."""
    now = datetime.now(UTC)
    seen = [(120, 900, 100), (2, 10, 40), (1, 30, 80)]
    simulators.management.seed(
        traffic_seen=[
            {
                "endpoint": ENDPOINT,
                "deployment": "blue",
                "requests": requests,
                "failures": 1,
                "latency_ms": ms,
                "at": (now - timedelta(minutes=minutes)).isoformat(),
            }
            for minutes, requests, ms in seen
        ]
    )
    health = ml.monitor.health(ENDPOINT, "Blue", now - timedelta(minutes=5), now)
    assert health == Health(requests=40, failures=2, latency_p95_ms=60)


def test_health_of_a_moment_is_that_of_its_minute(ml: MachineLearning) -> None:
    """Monitor counts minutes, so no time is too short to be asked for."""
    ml.online.score(there(ml), {})
    now = datetime.now(UTC)
    assert ml.monitor.health(ENDPOINT, "blue", now, now) is not None


def test_metrics_that_are_late_are_not_there(ml: MachineLearning, simulators: Simulators) -> None:
    """Monitor is some minutes behind: until then nobody knows, which is not the same as good health."""
    ml.online.score(there(ml), {})
    simulators.management.fault("lag", path="Microsoft.Insights", n=2)
    assert ml.monitor.health(ENDPOINT, "blue", **window()) is None


@pytest.mark.parametrize(
    ("endpoint", "word"),
    [("nonsense", PermanentError), (f"{WS}/onlineEndpoints/none", PermanentError)],
    ids=["no id", "no endpoint"],
)
def test_health_of_nothing_is_an_error(ml: MachineLearning, endpoint: str, word: type[ReactorError]) -> None:
    """An id that is none, or of what is gone, is told so."""
    with pytest.raises(word):
        ml.monitor.health(endpoint, "blue", **window())


def test_metrics_that_we_may_not_read_are_said_to_be(ml: MachineLearning, simulators: Simulators) -> None:
    """Monitor has a role of its own, which may be missing."""
    simulators.management.seed(forbidden=[{"path": "Microsoft.Insights", "n": 9}])
    with pytest.raises(TemporaryError, match=r"Azure Monitor answered 403 .*Insights/metrics"):
        ml.monitor.health(ENDPOINT, "blue", **window())


def test_a_deployments_name_is_quoted_in_the_filter(canned: Canned) -> None:
    """A quote in a name does not end the filter, and empty answers are no health."""
    canned.replies = [Reply(200, {"value": [{"timeseries": []}]})]
    monitor = Monitor(Arm(canned.url, Rest("Azure Monitor"), "2024-02-01"))
    assert monitor.health(ENDPOINT, "o'clock", **window()) is None
    assert "deployment+eq+%27o%27%27clock%27+and" in canned.asked[0].path
