"""Training in the simulated Custom Vision takes time, is refused with reasons, and learns what it was shown."""

import base64
import io
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests
from azure.storage.queue import QueueClient, QueueServiceClient
from PIL import Image

from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY

PROJECT = "0f6fae1c-53b6-4b9d-8f0c-444444444444"
BASE = f"/customvision/v3.3/training/projects/{PROJECT}"
TEN = {"count": 10, "tags": ["apple", "banana"]}
SHELVES = "3780a898-81c3-4516-81ae-3a139614e1f3"
GENERAL = "ee85a74c-405e-4adc-bb47-ffa8ca0c9f31"

Call = Callable[..., requests.Response]


@pytest.fixture
def call(simulators: Simulators) -> Call:
    """Give a function that calls Custom Vision with its key; trainings are over at once."""
    simulators.vision.seed(settings={"training_seconds": 0})

    def call(method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        headers = {"Training-Key": KEY}
        url = simulators.vision.url + (path if path.startswith("/customvision") else BASE + path)
        return requests.request(method, url, json=body, headers=headers, timeout=30, **options)

    return call


@pytest.fixture
def queue(azurite: str) -> QueueClient:
    """Give a queue of our own."""
    queue = QueueServiceClient.from_connection_string(azurite).create_queue(f"vision-{uuid.uuid4().hex[:8]}")
    assert isinstance(queue, QueueClient)
    return queue


def train(simulators: Simulators, call: Call, query: str = "", body: Any = None) -> dict[str, Any]:
    """Train, and wait until it is over."""
    asked = call("POST", f"/train{query}", body)
    assert asked.status_code == 200, asked.text
    state = simulators.vision.until(
        lambda state: all(one["status"] != "Training" for one in state["projects"][0]["iterations"].values())
    )
    found: dict[str, Any] = state["projects"][0]["iterations"][asked.json()["id"]]
    return found


def painted(red: int, green: int, blue: int, number: int) -> str:
    """Paint a picture of one colour, as base64."""
    held, image = io.BytesIO(), Image.new("RGB", (40, 40), (red, green, blue))
    image.putpixel((0, 0), (number, number, number))
    image.save(held, "PNG")
    return base64.b64encode(held.getvalue()).decode()


@pytest.mark.parametrize("encoding", ["plain", "base64"])
def test_a_training_takes_time_and_then_tells(
    simulators: Simulators, call: Call, queue: QueueClient, encoding: str
) -> None:
    """It is Training, has no performance yet, and ends with a message of ids and TrainingCompleted."""
    uri = str(queue.url).split("?", maxsplit=1)[0]
    simulators.vision.seed(
        projects=[{"id": PROJECT, "images": TEN, "settings": {"notificationQueueUri": uri}}],
        settings={"training_seconds": 0.3, "message_encoding": encoding},
    )
    begun = call("POST", "/train").json()
    assert (begun["status"], begun["trainedAt"], begun["exportable"]) == ("Training", None, False)
    assert call("GET", f"/iterations/{begun['id']}/performance").json()["code"] == "NotFoundIterationPerformance"
    assert call("POST", "/train").json()["code"] == "BadRequestTrainingAlreadyInProgress"
    busy = call("POST", f"/iterations/{begun['id']}/export?platform=ONNX").json()
    assert busy["code"] == "BadRequestExportWhileTraining"
    assert call("DELETE", f"/iterations/{begun['id']}").json()["code"] == "BadRequestTrainingAlreadyInProgress"
    simulators.vision.until(lambda state: state["sent"])
    [received] = queue.receive_messages()
    text = received.content if encoding == "plain" else base64.b64decode(received.content)
    content = {"projectId": PROJECT, "iterationId": begun["id"], "trainingStatus": "TrainingCompleted"}
    assert json.loads(text) == {"version": "1.0", "type": "Training", "Content": content}
    over = call("GET", f"/iterations/{begun['id']}").json()
    assert (over["status"], over["exportable"], over["trainingType"]) == ("Completed", True, "Regular")


def test_a_failed_training_says_why_to_the_preview_only(simulators: Simulators, call: Call, queue: QueueClient) -> None:
    """TrainingFailed has no reason, nor has v3.3; what was learnt is not there, and the same may be tried again."""
    uri = str(queue.url).split("?", maxsplit=1)[0]
    simulators.vision.seed(
        projects=[{"id": PROJECT, "images": TEN, "settings": {"notificationQueueUri": uri}}],
        settings={"training_outcome": "Failed", "training_error": "it broke"},
    )
    failed = train(simulators, call)["id"]
    assert simulators.vision.state()["sent"][0]["Content"]["trainingStatus"] == "TrainingFailed"
    assert "trainingErrorDetails" not in call("GET", f"/iterations/{failed}").json()
    preview = call("GET", BASE.replace("v3.3", "v3.4-preview") + f"/iterations/{failed}").json()
    assert (preview["status"], preview["trainingErrorDetails"]) == ("Failed", "it broke")
    quick = call("POST", f"/quicktest/image?iterationId={failed}", files={"imageData": b""})
    assert quick.status_code == 400
    assert train(simulators, call)["name"] == "Iteration 2"


@pytest.mark.parametrize(
    ("project", "query", "code"),
    [
        (
            {"images": {"count": 8, "tags": ["a", "b"]}},
            "",
            "BadRequestMultiClassClassificationTrainingValidationFailed",
        ),
        ({"images": {"count": 8, "tags": ["a"]}}, "", "BadRequestMultiClassClassificationTrainingValidationFailed"),
        (
            {"images": {"count": 8, "tags": ["a"]}, "settings": {"classificationType": "Multilabel"}},
            "",
            "BadRequestMultiLabelClassificationTrainingValidationFailed",
        ),
        (
            {"images": {"count": 14, "tags": ["a"]}, "settings": {"domainId": SHELVES}},
            "",
            "BadRequestDetectionTrainingValidationFailed",
        ),
        (
            {"tags": [{"name": "n", "type": "Negative"}], "settings": {"domainId": SHELVES}},
            "",
            "BadRequestDetectionTrainingNotAllowNegativeTag",
        ),
        (
            {"images": {"count": 15, "tags": ["a"]}, "settings": {"domainId": SHELVES}},
            "?trainingType=Advanced&reservedBudgetInHours=1",
            "BadRequestDomainNotSupportedForAdvancedTraining",
        ),
        ({"images": TEN}, "?trainingType=Advanced", "BadRequestReservedBudgetInHoursNotEnoughForAdvancedTraining"),
        ({"images": TEN}, "?trainingType=Deep", "BadRequestInvalid"),
        ({"images": TEN}, "?notificationEmailAddress=nobody", "BadRequestInvalidEmailAddress"),
        ({"images": TEN, "settings": {"domainId": GENERAL}}, "", "BadRequestRetiredDomainNotSupportedForTraining"),
        ({"images": TEN, "iterations": [{}] * 20}, "", "BadRequestExceedIterationPerProjectLimit"),
        ({"images": TEN, "drModeEnabled": True}, "", "ForbiddenDRModeEnabled"),
        ({"images": TEN, "status": "Importing"}, "", "BadRequestOperationNotSupported"),
    ],
)
def test_why_a_training_is_refused(
    simulators: Simulators, call: Call, project: dict[str, Any], query: str, code: str
) -> None:
    """Too few images or tags, an odd way to train, a domain that is not trained so, no room, no right to write."""
    simulators.vision.seed(projects=[{"id": PROJECT, **project}], settings={"retired_domains": [GENERAL]})
    refused = call("POST", f"/train{query}")
    assert (refused.json()["code"], refused.status_code) == (code, 403 if code.startswith("Forbidden") else 400)


def test_nothing_new_is_not_trained_again_unless_forced(simulators: Simulators, call: Call) -> None:
    """The same images, tags and ways to train are not needed; a tag less, another budget, or force make it so."""
    images = {"count": 15, "tags": ["apple", "banana", "orange"]}
    simulators.vision.seed(projects=[{"id": PROJECT, "images": images}])
    train(simulators, call)
    assert call("POST", "/train").json()["code"] == "BadRequestTrainingNotNeeded"
    train(simulators, call, "?forceTrain=true")
    advanced = train(simulators, call, "?trainingType=advanced&reservedBudgetInHours=2")
    assert (advanced["trainingType"], advanced["trainingTimeInMinutes"]) == ("Advanced", 120)
    vaidk = call("POST", f"/iterations/{advanced['id']}/export?platform=VAIDK").json()
    assert vaidk["code"] == "BadRequestExportPlatformNotSupportedForAdvancedTraining"
    tags = [tag["id"] for tag in call("GET", "/tags").json()[:2]]
    selected = train(simulators, call, body={"selectedTags": tags})
    assert selected["images"] == 10
    assert {tag["name"] for tag in call("GET", f"/tags?iterationId={selected['id']}").json()} == {"apple", "banana"}
    assert call("POST", "/train", {"selectedTags": tags}).json()["code"] == "BadRequestTrainingNotNeeded"
    assert call("DELETE", f"/tags/{tags[0]}").status_code == 204
    assert train(simulators, call)["images"] == 10
    assert len(call("GET", "/iterations").json()) == 5


def test_performance_is_that_of_what_was_uploaded(simulators: Simulators, call: Call) -> None:
    """Colours far apart are told apart; where some are labelled wrong or alike, figures fall with the threshold."""
    good = [{"tags": ["red"], "content": painted(200, at, 0, at)} for at in range(5)]
    good += [{"tags": ["blue"], "content": painted(0, at, 200, at)} for at in range(5)]
    wrong = [{"tags": ["blue"], "content": painted(199, at, 9, at)} for at in range(2)]
    murky = [{"tags": ["red"], "content": painted(155, 0, 65, 1)}]
    simulators.vision.seed(projects=[{"id": PROJECT, "images": good}])
    clean = train(simulators, call)["id"]
    measured = call("GET", f"/iterations/{clean}/performance").json()
    assert (measured["precision"], measured["recall"], measured["averagePrecision"]) == (1.0, 1.0, 1.0)
    simulators.vision.seed(projects=[{"id": PROJECT, "images": good + wrong + murky}])
    mixed = train(simulators, call)["id"]
    low, high = (
        call("GET", f"/iterations/{mixed}/performance?threshold={threshold}").json() for threshold in (0.5, 0.95)
    )
    per_tag = {one["name"]: one for one in low["perTagPerformance"]}
    assert per_tag["red"]["recall"] == 1.0
    assert per_tag["red"]["precision"] == pytest.approx(6 / 8)
    assert per_tag["blue"]["recall"] == pytest.approx(5 / 7)
    assert high["recall"] < low["recall"] < 1.0
    assert call("GET", f"/iterations/{mixed}/performance?threshold=2").json()["code"] == "BadRequestInvalid"
    told = call("GET", f"/iterations/{mixed}/performance/images?take=3").json()
    assert [len(one["predictions"]) for one in told] == [2, 2, 2]
    assert call("GET", f"/iterations/{mixed}/performance/images/count").json() == 13


def test_performance_can_be_said_instead(simulators: Simulators, call: Call) -> None:
    """What is seeded goes before what is measured: of a seeded iteration, or of all trainings to come."""
    said = {"precision": 0.4, "perTagPerformance": [{"name": "apple", "recall": 0.1}]}
    simulators.vision.seed(
        projects=[{"id": PROJECT, "images": TEN, "iterations": [{"id": PROJECT, "performance": said}]}],
        settings={"performance": {"recall": 0.3}},
    )
    seeded = call("GET", f"/iterations/{PROJECT}/performance").json()
    per_tag = {one["name"]: one for one in seeded["perTagPerformance"]}
    assert (seeded["precision"], seeded["recall"]) == (0.4, 1.0)
    assert (per_tag["apple"]["recall"], per_tag["banana"]["recall"]) == (0.1, 1.0)
    assert per_tag["apple"]["id"] == call("GET", "/tags").json()[0]["id"]
    iteration = train(simulators, call)["id"]
    assert call("GET", f"/iterations/{iteration}/performance").json()["recall"] == 0.3


def test_iterations_are_renamed_and_deleted(simulators: Simulators, call: Call) -> None:
    """A name is taken once; deleting makes room for another; a project that is gone hears of no end of its training."""
    simulators.vision.seed(projects=[{"id": PROJECT, "images": TEN, "iterations": [{} for _ in range(20)]}])
    first, second = (one["id"] for one in call("GET", "/iterations").json()[:2])
    assert call("PATCH", f"/iterations/{first}", {"name": "best"}).json()["name"] == "best"
    taken = call("PATCH", f"/iterations/{second}", {"name": "best"}).json()
    assert taken["code"] == "BadRequestIterationNameNotUnique"
    assert call("PATCH", f"/iterations/{second}", {"name": " "}).json()["code"] == "BadRequestIterationName"
    assert call("POST", "/train").status_code == 400
    assert call("DELETE", f"/iterations/{second}").status_code == 204
    assert train(simulators, call)["name"] == "Iteration 21"
    assert call("GET", f"/iterations/{second}").json()["code"] == "NotFoundIteration"
