"""What goes wrong at the simulator of Language: jobs, roles, regions, rates, and a region that is cut off.

https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/service-limits
"""

from typing import Any

import pytest
import requests

from dev.simulators.language import KEY
from dev.simulators.remote import Simulators
from tests.integration.language_wire import PROJECT, TRAINING, Wire

AT = "/projects/EmailApp"
EXPORT = ("POST", AT + "/:export")
UNIT = {"stringIndexType": "Utf16CodeUnit"}
SERVED = {**PROJECT, "models": ["v1"], "deployments": {"production": "v1"}}
NAMES = {"firstDeploymentName": "production", "secondDeploymentName": "next"}


@pytest.fixture
def wire(simulators: Simulators) -> Wire:
    """Give a resource with a project that is served, and whose jobs take no time."""
    simulators.language.seed(projects=[SERVED], settings={"job_seconds": 0.0, "train_seconds": 0.0})
    return Wire(simulators.language)


def token(simulators: Simulators, audience: str = "https://cognitiveservices.azure.com") -> str:
    """Give what a managed identity has."""
    answer = requests.get(
        simulators.identity.url,
        params={"resource": audience, "api-version": "2019-08-01"},
        headers={"X-Identity-Header": simulators.identity_header},
        timeout=10,
    )
    return f"Bearer {answer.json()['access_token']}"


def test_a_job_tells_how_far_it_is(wire: Wire) -> None:
    """Not started, running with a percentage and an estimated end, succeeded with both ends; and Retry-After if set."""
    wire.at.seed(settings={"train_seconds": 1000, "retry_after": 7})
    response = wire.call("POST", AT + "/:train", TRAINING)
    assert response.headers["Retry-After"] == "7"
    url = response.headers["operation-location"]
    seen = []
    for ahead in (0, 330, 830, 1001):
        wire.at.seed(settings={"clock_seconds": ahead})
        answer = wire.call("GET", url)
        assert answer.headers.get("Retry-After") == ("7" if ahead < 1000 else None)
        job = answer.json()
        result = job["result"]
        seen.append([job["status"], *(
            (result[one]["status"], result[one]["percentComplete"]) for one in ("trainingStatus", "evaluationStatus")
        )])  # fmt: skip
        assert ("estimatedEndDateTime" in result) is (ahead < 1000)
    assert seen == [
        ["notStarted", ("notStarted", 0), ("notStarted", 0)],
        ["running", ("running", 50), ("notStarted", 0)],
        ["running", ("succeeded", 100), ("running", 50)],
        ["succeeded", ("succeeded", 100), ("succeeded", 100)],
    ]


@pytest.mark.parametrize(("status", "code", "said"), [(400, "InvalidRequest", "already"), (409, "Conflict", "already")])
def test_one_training_at_a_time(wire: Wire, status: int, code: str, said: str) -> None:
    """A second one is refused until the first is over or cancelled; another project is not in the way."""
    wire.at.seed(projects=[{**PROJECT, "name": "Other"}], settings={"train_seconds": 1000, "busy_status": status})
    url = wire.begin("POST", AT + "/:train", {**TRAINING, "modelLabel": "v2"})
    error = wire.refused(status, "POST", AT + "/:train", TRAINING)
    assert error["code"] == code
    assert said in error["message"]
    assert wire.begin("POST", "/projects/Other/:train", TRAINING)
    path = url.split("analyze-conversations")[1].split("?")[0]
    wire.at.seed(settings={"job_seconds": 0.1})
    assert wire.begin("POST", path + "/:cancel") == url
    assert wire.get(url)["status"] == "cancelling"
    wire.at.until(lambda state: state["jobs"][0]["status"] == "cancelled")
    wire.refused(400, "POST", path + "/:cancel")
    assert [one["label"] for one in wire.get(AT + "/models")["value"]] == ["v1"]
    assert wire.begin("POST", AT + "/:train", TRAINING)
    assert [one["result"]["modelLabel"] for one in wire.get(AT + "/train/jobs")["value"]] == ["v1", "v2"]


@pytest.mark.parametrize("status", ["failed", "cancelled", "partiallyCompleted", "expired", "succeeded"])
def test_what_comes_of_a_training(wire: Wire, status: str) -> None:
    """Each outcome: whether there is a model, what the job says, and that the next one succeeds again."""
    wire.at.seed(settings={"outcomes": {"train": [status]}})
    url = wire.begin("POST", AT + "/:train", {**TRAINING, "modelLabel": "v2"})
    response = wire.call("GET", url)
    if status == "expired":
        assert response.json()["error"]["code"] == "OperationNotFound"
        assert wire.get(AT + "/train/jobs")["value"] == []
    else:
        job = response.json()
        assert (job["status"], "errors" in job, "warnings" in job) == (
            status, status == "failed", status == "partiallyCompleted"
        )  # fmt: skip
    labels = [one["label"] for one in wire.get(AT + "/models")["value"]]
    assert ("v2" in labels) is (status in {"partiallyCompleted", "expired", "succeeded"})
    assert wire.done("POST", AT + "/:train", {**TRAINING, "modelLabel": "v3"})["status"] == "succeeded"


@pytest.mark.parametrize(
    ("kind", "method", "path", "body"),
    [
        ("export", "POST", AT + "/:export?stringIndexType=Utf16CodeUnit&api-version=2023-04-01", None),
        ("deploy", "PUT", AT + "/deployments/production", {"trainedModelLabel": "v1"}),
        ("swap", "POST", AT + "/deployments/:swap", NAMES),
        ("delete_deployment", "DELETE", AT + "/deployments/next", None),
        ("load_snapshot", "POST", AT + "/models/v1/:load-snapshot", None),
        ("delete_project", "DELETE", AT, None),
    ],
)
def test_every_kind_of_job_may_fail_and_then_nothing_was_done(
    wire: Wire, kind: str, method: str, path: str, body: Any
) -> None:
    """A seeded error is in the job, whose GET is a 200; the project is as it was."""
    wire.at.seed(deployments=[{"project": "EmailApp", "name": "next", "model": "v1"}])
    before = wire.at.state()["projects"]
    errors = [{"code": "Timeout", "message": "It took too long."}]
    wire.at.seed(settings={"outcomes": {kind: {"status": "failed", "errors": errors}}})
    job = wire.done(method, path, body)
    assert (job["status"], job["errors"]) == ("failed", errors)
    assert "resultUrl" not in job
    assert wire.at.state()["projects"] == before


def test_a_status_that_nobody_knows_stays(wire: Wire) -> None:
    """A job may be said to be something else for ever, and is not over then."""
    wire.at.seed(settings={"outcomes": {"export": "paused"}, "job_seconds": 10})
    url = wire.begin(*EXPORT, **UNIT)
    wire.at.seed(settings={"clock_seconds": 3600})
    assert wire.get(url)["status"] == "paused"


def test_a_job_is_gone_after_a_week_with_what_it_exported(wire: Wire) -> None:
    """Neither the job nor its result is there; models, and the project, stay."""
    job = wire.done(*EXPORT, **UNIT)
    path = job["resultUrl"]
    assert wire.get(path)["metadata"]["projectName"] == "EmailApp"
    wire.at.seed(settings={"clock_seconds": 7 * 86_400 + 60})
    assert wire.refused(404, "GET", path)["code"] == "OperationNotFound"
    assert wire.refused(404, "GET", path.replace("/result", ""))["code"] == "OperationNotFound"
    assert wire.get(AT + "/models/v1")["label"] == "v1"


def test_a_job_may_be_hidden_at_first(wire: Wire) -> None:
    """Its URL is a 404 until it is seen, as happens right after the 202."""
    wire.at.seed(settings={"job_hidden_seconds": 60})
    url = wire.begin(*EXPORT, **UNIT)
    wire.refused(404, "GET", url)
    wire.at.seed(settings={"clock_seconds": 61})
    assert wire.get(url)["status"] == "succeeded"


def test_ten_writes_and_a_hundred_reads_a_minute(wire: Wire) -> None:
    """One more is a 429 that says when to come back; predictions are counted apart; a minute later it goes on."""
    wire.at.seed(settings={"rate_limited": True})
    for _ in range(10):
        wire.begin(*EXPORT, **UNIT)
    refused = wire.call(*EXPORT, **UNIT)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "TooManyRequests")
    assert 50 <= int(refused.headers["Retry-After"]) <= 60
    assert wire.call("DELETE", AT + "/models/v1").status_code == 429
    for _ in range(100):
        wire.get(AT)
    assert wire.call("GET", AT).status_code == 429
    assert wire.ask("read mail").status_code == 200
    wire.at.seed(settings={"clock_seconds": 61})
    wire.begin(*EXPORT, **UNIT)
    wire.get(AT)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("none", []),
        ("reader", ["read", "export", "predict"]),
        ("writer", ["read", "export", "predict", "train", "import"]),
        ("owner", ["read", "export", "predict", "train", "import", "deploy", "swap", "delete"]),
    ],
)
@pytest.mark.parametrize("status", [401, 403])
def test_each_role_may_do_what_its_page_says(
    simulators: Simulators, wire: Wire, role: str, allowed: list[str], status: int
) -> None:
    """A reader exports and predicts, a writer trains and imports, an owner deploys and deletes."""
    wire.at.seed(settings={"token_role": role, "denied_status": status})
    wire.at.seed(deployments=[{"project": "EmailApp", "name": "next", "model": "v1"}])
    bearer = Wire(wire.at, Authorization=token(simulators))
    content = wire.get(wire.done(*EXPORT, **UNIT)["resultUrl"])
    attempts = {
        "read": bearer.call("GET", AT),
        "export": bearer.call(*EXPORT, **UNIT),
        "predict": bearer.ask("read mail"),
        "train": bearer.call("POST", AT + "/:train", TRAINING),
        "import": bearer.call("POST", AT + "/:import", content),
        "deploy": bearer.call("PUT", AT + "/deployments/production", {"trainedModelLabel": "v1"}),
        "swap": bearer.call("POST", AT + "/deployments/:swap", NAMES),
        "delete": bearer.call("DELETE", AT),
    }
    assert [name for name, answer in attempts.items() if answer.ok] == allowed
    refused = {(answer.status_code, answer.json()["error"]["code"]) for answer in attempts.values() if not answer.ok}
    assert refused <= {(status, "PermissionDenied" if status == 401 else "Forbidden")}


def test_who_is_not_known_gets_a_401(simulators: Simulators, wire: Wire) -> None:
    """A wrong key, a revoked one, no key, and a token for another service."""
    for headers in ({"Ocp-Apim-Subscription-Key": "wrong"}, {"X-Nothing": "1"},
                    {"Authorization": token(simulators, "https://management.azure.com")}):  # fmt: skip
        assert Wire(wire.at, **headers).refused(401, "GET", AT)["code"] == "401"
        assert Wire(wire.at, **headers).ask("read").status_code == 401
    wire.at.seed(keys=["new"], revoked_keys=[KEY])
    wire.refused(401, "GET", AT)
    assert Wire(wire.at, **{"Ocp-Apim-Subscription-Key": "new"}).get(AT)["projectName"] == "EmailApp"


def test_a_region_for_predictions_only_refuses_authoring(wire: Wire) -> None:
    """Every authoring call says so, the list of projects too; predictions are answered."""
    wire.at.seed(settings={"authoring": False})
    for method, path in (("GET", "/projects"), ("GET", AT), EXPORT):
        error = wire.refused(400, method, path, **UNIT)
        assert (error["code"], "not supported in this region" in error["message"]) == ("InvalidRequest", True)
    assert wire.guess("read mail")["topIntent"] == "Read"


def test_a_region_is_cut_off(simulators: Simulators, wire: Wire) -> None:
    """503 or no answer at all, for predictions, authoring or both; the other region answers."""
    simulators.language_replica.seed(projects=[SERVED])
    wire.at.seed(settings={"cut_off": "unavailable"})
    assert wire.ask("read mail").json()["error"]["code"] == "ServiceUnavailable"
    assert wire.get(AT)["projectName"] == "EmailApp"
    wire.at.seed(settings={"cut_off": "refused", "cut_off_of": "all"})
    with pytest.raises(requests.ConnectionError):
        wire.ask("read mail")
    with pytest.raises(requests.ConnectionError):
        wire.get(AT)
    assert Wire(simulators.language_replica).guess("read mail")["topIntent"] == "Read"
    wire.at.seed(settings={"cut_off": ""})
    assert wire.guess("read mail")["topIntent"] == "Read"


def test_expiries_are_told_and_seeded(wire: Wire) -> None:
    """A model and a deployment say the day on which they expire; an expired model is not deployed."""
    models = [{"label": "v1", "expires": "2027-01-31", "id": "v1-old"}, {"label": "v2", "expires": "2025-01-01"}]
    wire.at.seed(projects=[{**PROJECT, "models": models}])
    wire.at.seed(deployments=[{"project": "EmailApp", "name": "production", "model": "v1", "expires": "2027-12-31"}])
    model = wire.get(AT + "/models/v1")
    assert (model["modelExpirationDate"], model["modelId"]) == ("2027-01-31", "v1-old")
    deployment = wire.get(AT + "/deployments/production")
    assert (deployment["deploymentExpirationDate"], deployment["modelId"]) == ("2027-12-31", "v1-old")
    error = wire.refused(400, "PUT", AT + "/deployments/next", {"trainedModelLabel": "v2"})
    assert "has expired" in error["message"]


def test_an_unanswered_start_is_a_job_all_the_same(wire: Wire) -> None:
    """A reply that is lost leaves one job, which the list of trainings shows."""
    wire.at.seed(settings={"train_seconds": 1000})
    wire.at.fault("lost_reply", method="POST", path=":train")
    with pytest.raises(requests.ConnectionError):
        wire.call("POST", AT + "/:train", {**TRAINING, "modelLabel": "v2"})
    [job] = wire.get(AT + "/train/jobs")["value"]
    assert job["result"]["modelLabel"] == "v2"
