"""The simulated Custom Vision publishes, answers by published names, and exports what can be exported."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from azure.identity import ManagedIdentityCredential

from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY, PREDICTION_KEY
from tests.integration.vision_sdk import draw

PROJECT, FIRST, SECOND = (f"0f6fae1c-53b6-4b9d-8f0c-55555555555{n}" for n in range(3))
BASE = f"/customvision/v3.3/training/projects/{PROJECT}"
ACCOUNTS = "/subscriptions/s/resourceGroups/r/providers/Microsoft.CognitiveServices/accounts"
GENERAL = "ee85a74c-405e-4adc-bb47-ffa8ca0c9f31"

Call = Callable[..., requests.Response]


@pytest.fixture
def call(simulators: Simulators) -> Call:
    """Give a function that calls Custom Vision with its key; there are two trained iterations."""
    images = {"count": 10, "tags": ["apple", "banana"]}
    simulators.vision.seed(projects=[{"id": PROJECT, "images": images, "iterations": [{"id": FIRST}, {"id": SECOND}]}])

    def call(method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        headers = {"Training-Key": KEY}
        return requests.request(
            method, simulators.vision.url + BASE + path, json=body, headers=headers, timeout=30, **options
        )

    return call


def publish(call: Call, iteration: str, name: str = "live", to: str = "fruit-Prediction", **more: str) -> Any:
    """Publish an iteration; its code where it is refused."""
    query = {"publishName": name, "predictionId": f"{ACCOUNTS}/{to}" if to else "key", **more}
    told = call("POST", f"/iterations/{iteration}/publish", params=query).json()
    return told if isinstance(told, bool) else told["code"]


def predict(simulators: Simulators, name: str = "live", path: str = "image/nostore", **headers: str) -> Any:
    """Classify a banana."""
    return requests.post(
        f"{simulators.vision.url}/customvision/v3.1/prediction/{PROJECT}/classify/iterations/{name}/{path}",
        data=draw("banana", 40),
        headers={"Content-Type": "application/octet-stream", **(headers or {"Prediction-Key": PREDICTION_KEY})},
        timeout=60,
    )


def answering(simulators: Simulators, name: str = "live") -> str:
    """Say which iteration answers to a name, or why none does."""
    told = predict(simulators, name).json()
    return str(told.get("iteration") or told["message"])


def test_a_name_is_one_iterations_until_it_is_moved(simulators: Simulators, call: Call) -> None:
    """Taken by one, refused to the next, moved by overwrite, and nobody's after it is unpublished."""
    assert publish(call, FIRST) is True
    assert publish(call, FIRST) == "BadRequestIterationIsPublished"
    assert publish(call, SECOND) == "BadRequestInvalidPublishName"
    assert answering(simulators) == FIRST
    assert publish(call, SECOND, overwrite="true") is True
    assert answering(simulators) == SECOND
    names = {one["id"]: one["publishName"] for one in call("GET", "/iterations").json()}
    assert names == {FIRST: None, SECOND: "live"}
    assert call("DELETE", f"/iterations/{SECOND}").json()["code"] == "BadRequestIterationIsPublished"
    assert call("DELETE", "").json()["code"] == "BadRequestIterationIsPublished"
    assert call("DELETE", f"/iterations/{SECOND}/publish").status_code == 204
    assert call("DELETE", f"/iterations/{SECOND}/publish").json()["code"] == "BadRequestIterationNotPublished"
    assert answering(simulators) == "Invalid iteration"


def test_several_are_published_at_once_and_one_moves_to_another_name(simulators: Simulators, call: Call) -> None:
    """Each name has its iteration; one that is published under a new name no longer answers to the old one."""
    assert [publish(call, FIRST, "blue"), publish(call, SECOND, "green")] == [True, True]
    assert [answering(simulators, name) for name in ("blue", "green")] == [FIRST, SECOND]
    assert publish(call, FIRST, "red", overwrite="true") is True
    assert [answering(simulators, name) for name in ("blue", "red")] == ["Invalid iteration", FIRST]


def test_only_a_prediction_resource_is_published_to(simulators: Simulators, call: Call) -> None:
    """A key is no ARM id, an unknown account no target; published to another account, it does not answer here."""
    assert publish(call, FIRST, to="") == "BadRequestInvalidPublishTarget"
    assert publish(call, FIRST, "a/b") == "BadRequestInvalidPublishName"
    known = [f"{ACCOUNTS}/here", f"{ACCOUNTS}/there"]
    simulators.vision.seed(settings={"prediction_resources": known})
    assert publish(call, FIRST, to="elsewhere") == "BadRequestInvalidPublishTarget"
    assert publish(call, FIRST, to="There") is True
    assert answering(simulators) == "Invalid iteration"
    assert publish(call, FIRST, to="here", overwrite="true") is True
    assert answering(simulators) == FIRST


def test_what_is_not_trained_is_not_published(simulators: Simulators, call: Call) -> None:
    """An iteration that failed has nothing to publish, to test or to export."""
    iterations = [{"id": FIRST, "status": "Failed"}]
    simulators.vision.seed(projects=[{"id": PROJECT, "iterations": iterations}])
    assert publish(call, FIRST) == "BadRequestIterationIsNotTrained"
    asked = call("POST", f"/iterations/{FIRST}/export?platform=ONNX")
    assert asked.json()["code"] == "BadRequestIterationIsNotTrained"
    tested = call("POST", "/quicktest/image", files={"imageData": draw("apple")})
    assert (tested.status_code, tested.json()["code"]) == (404, "NotFoundProjectDefaultIteration")


def test_a_new_name_gets_through_after_a_while(simulators: Simulators, call: Call) -> None:
    """Until then it is invalid, or the one before it still answers."""
    simulators.vision.seed(settings={"publish_delay_seconds": 0.6})
    publish(call, FIRST)
    seen = [answering(simulators)]
    deadline = time.monotonic() + 10
    while seen[-1] != FIRST:
        assert time.monotonic() < deadline
        seen.append(answering(simulators))
    assert set(seen) == {"Invalid iteration", FIRST}
    publish(call, SECOND, overwrite="true")
    assert answering(simulators) == FIRST
    while answering(simulators) != SECOND:
        assert time.monotonic() < deadline


def test_who_may_predict(simulators: Simulators, call: Call) -> None:
    """The prediction key, an added one until it is revoked, or a token; the training key may not, nor the reverse."""
    publish(call, FIRST)
    token = ManagedIdentityCredential().get_token("https://cognitiveservices.azure.com/.default").token
    assert predict(simulators, Authorization=f"Bearer {token}").status_code == 200
    assert predict(simulators, **{"Prediction-Key": KEY}).status_code == 401
    assert predict(simulators, **{"Training-Key": KEY}).status_code == 401
    simulators.vision.seed(prediction_keys=["new"], revoked_keys=[PREDICTION_KEY, KEY])
    assert predict(simulators, **{"Prediction-Key": "new"}).status_code == 200
    assert predict(simulators).json()["error"]["code"] == "401"
    assert call("GET", "/iterations").status_code == 401


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "BadRequestImageUrl"),
        (b"none", "BadRequestImageFormat"),
        (bytes(4 * 1024 * 1024 + 1), "BadRequestImageSizeBytes"),
    ],
)
def test_what_cannot_be_predicted(simulators: Simulators, call: Call, content: bytes, code: str) -> None:
    """No picture, or one of more than 4 MB, which a quick test would still take."""
    publish(call, FIRST)
    url = f"{simulators.vision.url}/customvision/v3.1/prediction/{PROJECT}/classify/iterations/live/image"
    refused = requests.post(url, data=content, headers={"Prediction-Key": PREDICTION_KEY}, timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (400, code)
    unread = call("POST", "/quicktest/url", {"url": "https://127.0.0.1:9/none.png"})
    assert (unread.status_code, unread.json()["code"]) == (400, "BadRequestImageUrl")


def test_predictions_can_be_said_instead(simulators: Simulators, call: Call) -> None:
    """Seeded, they are answered to any image; otherwise the likeliest comes first and all add up to one."""
    publish(call, FIRST)
    told = predict(simulators).json()["predictions"]
    assert [one["tagName"] for one in told] == ["banana", "apple"]
    assert sum(one["probability"] for one in told) == pytest.approx(1)
    simulators.vision.seed(settings={"predictions": [{"tagName": "apple", "probability": 0.4}]})
    [said] = predict(simulators, path="image").json()["predictions"]
    assert (said["tagName"], said["probability"], said["tagType"]) == ("apple", 0.4, "Regular")
    assert simulators.vision.state()["projects"][0]["predictions"] == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("platform=ONNX&flavor=Linux", "BadRequestExportValidationFailed"),
        ("platform=DockerFile", "BadRequestExportValidationFailed"),
        ("platform=docker", "BadRequestExportValidationFailed"),
        ("platform=dockerfile&flavor=linux", None),
        ("platform=TensorFlow&flavor=TensorFlowLite", None),
    ],
)
def test_platforms_have_their_flavours(call: Call, query: str, code: str | None) -> None:
    """Compared ignoring case; a container needs one."""
    assert call("POST", f"/iterations/{FIRST}/export?{query}").json().get("code") == code


def test_only_compact_domains_are_exported(simulators: Simulators, call: Call) -> None:
    """Another domain's iteration is not exportable, and says so itself."""
    simulators.vision.seed(projects=[{"id": PROJECT, "settings": {"domainId": GENERAL}, "iterations": [{"id": FIRST}]}])
    assert call("GET", f"/iterations/{FIRST}").json()["exportable"] is False
    refused = call("POST", f"/iterations/{FIRST}/export?platform=ONNX")
    assert refused.json()["code"] == "BadRequestExportValidationFailed"


def test_an_export_may_be_an_artifact(simulators: Simulators, call: Call) -> None:
    """In a virtual network its URI is a path, and GetArtifact gives the file."""
    exports = [{"platform": "ONNX", "bytes": 5_000}]
    simulators.vision.seed(
        projects=[{"id": PROJECT, "iterations": [{"id": FIRST, "exports": exports}]}], settings={"artifacts": True}
    )
    [export] = call("GET", f"/iterations/{FIRST}/export").json()
    assert "://" not in export["downloadUri"]
    content = call("GET", "/artifacts", params={"path": export["downloadUri"]}).content
    assert content[:2] == b"PK"
    assert len(content) > 5_000
