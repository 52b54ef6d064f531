"""The simulated Custom Vision writes real blobs and messages, and answers and refuses as the real one."""

import base64
import io
import json
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import requests
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, QueueServiceClient

from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY

PROJECT, ITERATION = "0f6fae1c-53b6-4b9d-8f0c-111111111111", "6a1b6a3e-0a43-4a39-9c5c-222222222222"
PROJECTS = "/customvision/v3.3/Training/projects"
EXPORT = f"{PROJECTS}/{PROJECT}/iterations/{ITERATION}/export"

Call = Callable[..., requests.Response]


@pytest.fixture
def queue(azurite: str) -> QueueClient:
    """Give a queue of our own."""
    queue = QueueServiceClient.from_connection_string(azurite).create_queue(f"vision-{uuid.uuid4().hex[:8]}")
    assert isinstance(queue, QueueClient)
    return queue


@pytest.fixture
def container(azurite: str) -> str:
    """Give the URI of a container of our own."""
    name = f"exports-{uuid.uuid4().hex[:8]}"
    return str(BlobServiceClient.from_connection_string(azurite).create_container(name).url)


@pytest.fixture
def vision(simulators: Simulators, queue: QueueClient) -> Call:
    """Give a function that calls Custom Vision with its key; there is a project with a trained iteration."""
    simulators.vision.seed(
        projects=[
            {
                "id": PROJECT,
                "name": "fruit",
                "settings": {"notificationQueueUri": queue_uri(queue)},
                "iterations": [{"id": ITERATION, "exportableTo": ["ONNX", "TensorFlow"]}],
            }
        ],
        settings={"export_seconds": 0.05},
    )

    def call(method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        headers = headers or {"Training-Key": KEY}
        return requests.request(method, simulators.vision.url + path, json=body, headers=headers, timeout=60)

    return call


def queue_uri(queue: QueueClient) -> str:
    """Give a queue's URI as one writes it into a project."""
    return str(queue.url).split("?", maxsplit=1)[0]


def messages(queue: QueueClient) -> list[Any]:
    """Take everything off a queue."""
    return [json.loads(message.content) for message in queue.receive_messages()]


def exported(simulators: Simulators) -> None:
    """Wait until no export is under way."""

    def over(state: Any) -> bool:
        iterations = [one for project in state["projects"] for one in project["iterations"].values()]
        return all(export["status"] != "Exporting" for one in iterations for export in one["exports"])

    simulators.vision.until(over)


def test_an_export_is_made_and_announced(simulators: Simulators, vision: Call, queue: QueueClient) -> None:
    """Asked for, Exporting, Done: a zip behind a short-lived SAS, and a message with it on the queue."""
    asked = vision("POST", f"{EXPORT}?platform=ONNX&flavor=ONNX12").json()
    assert (asked["status"], asked["downloadUri"]) == ("Exporting", None)
    exported(simulators)
    [listed] = vision("GET", EXPORT).json()
    assert (listed["platform"], listed["flavor"], listed["status"]) == ("ONNX", "ONNX12", "Done")
    content = requests.get(listed["downloadUri"], timeout=5).content
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["labels.txt", "model.onnx"]
    [message] = messages(queue)
    model_uri = message["Content"].pop("modelUri")
    assert message == {
        "version": "1.0",
        "type": "Export",
        "Content": {"projectId": PROJECT, "iterationId": ITERATION, "exportStatus": "ExportCompleted"},
    }
    assert requests.get(model_uri, timeout=5).content == content


def test_an_export_goes_into_the_projects_container(
    simulators: Simulators, vision: Call, queue: QueueClient, container: str
) -> None:
    """With a container, the blob is there under the service's name for it, and the message says so without a SAS."""
    project = vision("GET", f"{PROJECTS}/{PROJECT}").json()
    project["settings"]["exportModelContainerUri"] = container
    assert vision("PATCH", f"{PROJECTS}/{PROJECT}", project).json()["settings"]["exportModelContainerUri"] == container
    vision("POST", f"{EXPORT}?platform=TensorFlow")
    exported(simulators)
    connected, message = messages(queue)
    assert connected == {"version": "1.0", "type": "ConnectionTest", "Content": {"projectId": PROJECT}}
    assert message["Content"]["modelUri"] == f"{container}/{PROJECT}%20-%20{ITERATION}.TensorFlow"


def test_messages_can_be_base64(simulators: Simulators, vision: Call, queue: QueueClient) -> None:
    """The queue's encoding is not documented, so both are played; any message can be sent."""
    simulators.vision.seed(settings={"message_encoding": "base64"})
    content = {"projectId": PROJECT, "iterationId": ITERATION, "trainingStatus": "TrainingCompleted"}
    simulators.vision.post("/_notify", {"type": "Training", "Content": content})
    [message] = queue.receive_messages()
    assert json.loads(base64.b64decode(message.content))["Content"] == content
    assert vision("GET", f"{PROJECTS}/{PROJECT}/iterations").json()[0]["id"] == ITERATION


def test_a_failed_export_is_announced_without_a_model(simulators: Simulators, vision: Call, queue: QueueClient) -> None:
    """ExportFailed carries ids only, and the export can be asked for again."""
    simulators.vision.seed(settings={"export_outcome": "Failed"})
    vision("POST", f"{EXPORT}?platform=ONNX")
    exported(simulators)
    [message] = messages(queue)
    assert message["Content"] == {"projectId": PROJECT, "iterationId": ITERATION, "exportStatus": "ExportFailed"}
    assert vision("GET", EXPORT).json()[0]["status"] == "Failed"
    assert vision("POST", f"{EXPORT}?platform=ONNX").status_code == 200


def test_a_seeded_export_has_its_file(simulators: Simulators, vision: Call, queue: QueueClient, container: str) -> None:
    """What is seeded as Done can be downloaded at once, in the size seeded, and nothing was announced."""
    exports = [{"platform": "ONNX", "flavor": None, "status": "Done", "bytes": 100_000}]
    settings = {"exportModelContainerUri": container, "notificationQueueUri": queue_uri(queue)}
    seeded = {"id": PROJECT, "settings": settings, "iterations": [{"id": ITERATION, "exports": exports}]}
    simulators.vision.seed(projects=[seeded])
    [listed] = vision("GET", EXPORT).json()
    assert len(requests.get(listed["downloadUri"], timeout=5).content) > 100_000
    assert messages(queue) == []
    simulators.vision.fault("lag")
    assert [len(vision("GET", EXPORT).json()) for _ in range(2)] == [0, 1]


def test_both_versions_are_served(vision: Call, queue: QueueClient) -> None:
    """v3.4-preview shows why a training failed; each version creates a project with its URIs its own way."""
    preview = PROJECTS.replace("v3.3", "v3.4-preview")
    assert "trainingErrorDetails" in vision("GET", f"{preview}/{PROJECT}/iterations/{ITERATION}").json()
    assert "trainingErrorDetails" not in vision("GET", f"{PROJECTS}/{PROJECT}/iterations/{ITERATION}").json()
    uri = queue_uri(queue)
    created = [
        vision("POST", f"{PROJECTS}?name=a&notificationQueueUri={uri}"),
        vision("POST", f"{preview}?name=b", {"notificationQueueUri": uri}),
    ]
    assert [one.json()["settings"]["notificationQueueUri"] for one in created] == [uri, uri]
    assert [message["type"] for message in messages(queue)] == ["ConnectionTest"] * 2
    assert len(vision("GET", PROJECTS).json()) == 3
    assert vision("DELETE", f"{PROJECTS}/{created[0].json()['id']}").status_code == 204
    performance = vision("GET", f"{PROJECTS}/{PROJECT}/iterations/{ITERATION}/performance?threshold=0.5").json()
    assert 0 < performance["precision"] <= 1


@pytest.mark.parametrize(
    ("method", "path", "body", "refusal"),
    [
        ("GET", f"{PROJECTS}/{uuid.UUID(int=1)}", None, (404, "NotFoundProject")),
        ("GET", f"{PROJECTS}/nonsense", None, (400, "BadRequestInvalidIds")),
        ("GET", f"{PROJECTS}/{PROJECT}/iterations/{uuid.UUID(int=1)}", None, (404, "NotFoundIteration")),
        ("PATCH", f"{PROJECTS}/{PROJECT}", {"name": "x"}, (400, "BadRequestRequiredParamIsNull")),
        ("POST", EXPORT, {}, (400, "BadRequestRequiredParamIsNull")),
        ("POST", f"{EXPORT}?platform=CoreML", {}, (400, "BadRequestExportValidationFailed")),
    ],
)
def test_refusals_are_flat(vision: Call, method: str, path: str, body: Any, refusal: tuple[int, str]) -> None:
    """The service itself says what is wrong in a flat body with its own code."""
    answer = vision(method, path, body)
    assert (answer.status_code, answer.json()["code"]) == refusal


def test_the_same_export_is_refused_twice(vision: Call) -> None:
    """A second identical export says that it is queued already."""
    vision("POST", f"{EXPORT}?platform=ONNX")
    again = vision("POST", f"{EXPORT}?platform=onnx").json()
    assert again["message"] == f"{ITERATION} is already queued for export"


@pytest.mark.parametrize("uri", ["https://elsewhere.queue.core.windows.net/q", "{account}/there-is-none"])
def test_a_uri_that_cannot_be_written_to_is_refused(vision: Call, queue: QueueClient, uri: str) -> None:
    """The service tries the queue before it keeps it."""
    account = queue_uri(queue).rsplit("/", 1)[0]
    settings = {"notificationQueueUri": uri.format(account=account)}
    answer = vision("PATCH", f"{PROJECTS}/{PROJECT}", {"name": "x", "description": "", "settings": settings})
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequestInvalidUri")


def test_who_gets_in_and_how_the_gateway_refuses(simulators: Simulators, vision: Call) -> None:
    """A wrong key and a token for another service are nested 401s; the right token, and a new key, get in."""
    wrong = vision("GET", PROJECTS, **{"Training-Key": "wrong"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "401")
    for audience, status in (("management.azure.com", 401), ("cognitiveservices.azure.com", 200)):
        token = ManagedIdentityCredential().get_token(f"https://{audience}/.default").token
        assert vision("GET", PROJECTS, Authorization=f"Bearer {token}").status_code == status
    simulators.vision.seed(keys=["rotated"])
    assert vision("GET", PROJECTS, **{"Training-Key": "rotated"}).status_code == 200


def test_throttling_says_when_only_in_its_text(simulators: Simulators, vision: Call) -> None:
    """The 429 has no Retry-After unless it is told to have one; a POST without a length is an HTML page."""
    simulators.vision.fault("throttle")
    throttled = vision("GET", EXPORT)
    assert (throttled.status_code, "Retry-After" in throttled.headers) == (429, False)
    assert "Requests to the GetExports Operation" in throttled.json()["error"]["message"]
    assert "Please retry after 1 second" in throttled.json()["error"]["message"]
