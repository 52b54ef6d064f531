"""Projects of the simulated Custom Vision: their rules, their copies in another region, and the resource's limits."""

import json
import ssl
import time
import uuid
from collections.abc import Callable
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from azure.storage.blob import BlobServiceClient

from dev.simulators.remote import Remote, Simulators
from dev.simulators.vision import KEY

PROJECT = "0f6fae1c-53b6-4b9d-8f0c-666666666666"
TRAINING = "/customvision/v3.3/training"
COMPACT = "0732100f-1a38-4e49-a514-c9b44c697ab5"
DETECTION = "da2e3a8a-40a5-4171-82f4-58522f70fbc1"

Call = Callable[..., requests.Response]


@pytest.fixture
def call(simulators: Simulators) -> Call:
    """Give a function that calls Custom Vision, or its replica, with the key."""

    def call(method: str, path: str, body: Any = None, at: Remote | None = None) -> requests.Response:
        url = (at or simulators.vision).url + TRAINING + path
        return requests.request(method, url, json=body, headers={"Training-Key": KEY}, timeout=30)

    return call


def seed(simulators: Simulators, **more: Any) -> None:
    """Keep a project with images, one of which has a published iteration, and a queue that is not there."""
    settings = {"domainId": DETECTION, "notificationQueueUri": "https://elsewhere.queue.core.windows.net/q"}
    iteration = {"publishName": "live", "originalPublishResourceId": "/subscriptions/s"}
    images = {"count": 30, "tags": ["apple", "banana"]}
    project = {"id": PROJECT, "name": "fruit", "settings": settings, "images": images, "iterations": [iteration]}
    simulators.vision.seed(projects=[{**project, **more}])


def import_(call: Call, simulators: Simulators, **settings: Any) -> Any:
    """Carry the project to the other resource, and wait until it is there or failed."""
    simulators.vision_replica.seed(settings={"import_seconds": 0.2, **settings})
    token = call("GET", f"/projects/{PROJECT}/export").json()["token"]
    asked = call("POST", f"/projects/import?token={quote(token, safe='')}&name=copy", at=simulators.vision_replica)
    assert (asked.status_code, asked.json()["status"]) == (200, "Importing")
    writing = call("POST", f"/projects/{asked.json()['id']}/tags?name=x", at=simulators.vision_replica)
    assert writing.json()["code"] == "BadRequestOperationNotSupported"
    state = simulators.vision_replica.until(lambda state: state["projects"][0]["status"] != "Importing")
    return state["projects"][0]


def test_a_copy_has_everything_but_what_belongs_to_the_region(simulators: Simulators, call: Call) -> None:
    """Images, regions, tags and iterations come under new ids; storage URIs and published names do not."""
    seed(simulators)
    exported = call("GET", f"/projects/{PROJECT}/export").json()
    counts = {name: exported[name] for name in ("iterationCount", "imageCount", "tagCount", "regionCount")}
    assert counts == {"iterationCount": 1, "imageCount": 30, "tagCount": 2, "regionCount": 30}
    copied = import_(call, simulators)
    assert (copied["status"], copied["name"], copied["image_count"], copied["region_count"]) == (
        *("Succeeded", "copy", 30, 30),
    )
    assert copied["settings"]["notificationQueueUri"] is None
    assert copied["settings"]["domainId"] == DETECTION
    [iteration] = copied["iterations"].values()
    assert (iteration["publishName"], iteration["originalPublishResourceId"]) == (None, None)
    before = simulators.vision.state()["projects"][0]
    assert {one["id"] for one in copied["images"]}.isdisjoint(one["id"] for one in before["images"])
    assert [one["sha256"] for one in copied["images"]] == [one["sha256"] for one in before["images"]]
    [image] = call("GET", f"/projects/{copied['id']}/images?take=1", at=simulators.vision_replica).json()
    assert requests.get(image["originalImageUri"], timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("settings", "came"), [({"lose_images": 4}, ("Succeeded", 26)), ({"import_outcome": "Failed"}, ("Failed", 15))]
)
def test_a_copy_may_lose_images_without_a_word(
    simulators: Simulators, call: Call, settings: dict[str, Any], came: tuple[str, int]
) -> None:
    """Succeeded or Failed, only the counts tell what is missing."""
    seed(simulators)
    copied = import_(call, simulators, **settings)
    assert (copied["status"], copied["image_count"]) == came


def test_a_token_must_come_whole_and_in_time(simulators: Simulators, call: Call) -> None:
    """Not percent-encoded it is cut off, made up it is nobody's, old it is void; without a length it is HTML."""
    seed(simulators)
    token = call("GET", f"/projects/{PROJECT}/export").json()["token"]
    assert token.startswith("http")
    assert "sig=" in token
    for given in (token, "none", ""):
        assert call("POST", f"/projects/import?token={given}").json()["code"] == "BadRequestInvalidImportToken"
    assert call("POST", "/projects/import").json()["code"] == "BadRequestRequiredParamIsNull"
    assert "sig=" not in json.dumps(simulators.vision.seen()).replace("sig=(secret)", "")
    trust = ssl.create_default_context(cafile=simulators.ca)
    bare = HTTPSConnection(urlsplit(simulators.vision.url).netloc, timeout=60, context=trust)
    bare.putrequest("POST", f"{TRAINING}/projects/import?token={quote(token, safe='')}")
    bare.putheader("Training-Key", KEY)
    bare.endheaders()
    answer = bare.getresponse()
    assert (answer.status, answer.getheader("Content-Type")) == (411, "text/html; charset=us-ascii")
    assert b"Length Required" in answer.read()
    bare.close()
    simulators.vision.seed(settings={"token_seconds": 0.2})
    late = call("GET", f"/projects/{PROJECT}/export").json()["token"]
    time.sleep(0.3)
    assert (
        call("POST", f"/projects/import?token={quote(late, safe='')}").json()["code"] == "BadRequestInvalidImportToken"
    )
    assert call("POST", f"/projects/import?token={quote(token, safe='')}").json()["name"].startswith("fruit 20")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("name=%20", "BadRequestProjectName"),
        (f"name={'x' * 101}", "BadRequestProjectName"),
        ("name=FRUIT", "BadRequestProjectNameNotUnique"),
        ("", "BadRequestRequiredParamIsNull"),
        (f"name=a&domainId={PROJECT}", "BadRequestProjectUnknownDomain"),
        ("name=a&classificationType=Some", "BadRequestProjectUnknownClassification"),
        (f"name=a&domainId={COMPACT}&targetExportPlatforms=ONNX,Paper", "BadRequestProjectUnsupportedExportPlatform"),
    ],
)
def test_what_a_project_cannot_be(simulators: Simulators, call: Call, query: str, code: str) -> None:
    """Its name, its domain, its kind and its platforms are looked at before it is made."""
    seed(simulators)
    assert call("POST", f"/projects?{query}").json()["code"] == code
    assert len(call("GET", "/projects").json()) == 1


def test_a_project_is_changed_as_a_whole(simulators: Simulators, call: Call) -> None:
    """What was read is written back; a null takes a URI out, one left out stays; the type of its domain stays."""
    seed(simulators)
    project = call("GET", f"/projects/{PROJECT}").json()
    project |= {"name": "fruit 2", "description": "more"}
    del project["settings"]["notificationQueueUri"]
    changed = call("PATCH", f"/projects/{PROJECT}", project).json()
    assert (changed["name"], changed["description"]) == ("fruit 2", "more")
    assert changed["settings"]["notificationQueueUri"].startswith("https://elsewhere")
    changed["settings"]["notificationQueueUri"] = None
    assert call("PATCH", f"/projects/{PROJECT}", changed).json()["settings"]["notificationQueueUri"] is None
    changed["settings"]["domainId"] = COMPACT
    refused = call("PATCH", f"/projects/{PROJECT}", changed)
    assert refused.json()["code"] == "BadRequestProjectUnsupportedDomainTypeChange"


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"roles_missing": ["queue"]}, "BadRequestInvalidUri"),
        ({"multi_service": True}, "BadRequestOperationNotSupported"),
    ],
)
def test_a_resource_that_may_not_write_is_not_connected(
    simulators: Simulators, call: Call, azurite: str, settings: dict[str, Any], code: str
) -> None:
    """Its identity has no role there, or it is a resource for several services, and nothing is changed."""
    seed(simulators, settings={})
    simulators.vision.seed(settings=settings)
    project = call("GET", f"/projects/{PROJECT}").json()
    project["settings"]["notificationQueueUri"] = "http://127.0.0.1/devstoreaccount1/q"
    assert call("PATCH", f"/projects/{PROJECT}", project).json()["code"] == code
    assert call("GET", f"/projects/{PROJECT}").json()["settings"]["notificationQueueUri"] is None


def test_the_free_tier_has_two_projects_and_a_slow_door(simulators: Simulators, call: Call) -> None:
    """The third project is refused; what is asked too often is a 429 that says when in its text, for each tier."""
    simulators.vision.seed(settings={"tier": "F0", "rate_limited": True})
    assert [call("POST", f"/projects?name={name}").status_code for name in "ab"] == [200, 200]
    assert call("POST", "/projects?name=c").json()["code"] == "BadRequestExceedProjectLimit"
    seed(simulators)
    answers = [call("POST", f"/projects/{PROJECT}/train") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 400, 429]
    text = answers[2].json()["error"]["message"]
    assert text.startswith("Requests to the TrainProject Operation under Custom_Vision_Training_3.3 have exceeded")
    assert "Custom_Vision.Training F0 pricing tier. Please retry after 1 second" in text
    time.sleep(1.05)
    assert call("GET", f"/projects/{PROJECT}").status_code == 200


def test_domains_say_what_they_are_good_for(simulators: Simulators, call: Call) -> None:
    """Compact ones can be exported; which platforms, only the preview says; a retired one is not enabled."""
    simulators.vision.seed(settings={"retired_domains": [COMPACT]})
    domains = {one["id"]: one for one in call("GET", "/domains").json()}
    assert (domains[COMPACT]["exportable"], domains[COMPACT]["enabled"]) == (True, False)
    assert "exportablePlatforms" not in domains[COMPACT]
    url = f"{simulators.vision.url}/customvision/v3.4-preview/training/domains/{DETECTION}"
    preview = requests.get(url, headers={"Training-Key": KEY}, timeout=60).json()
    assert (preview["type"], preview["exportablePlatforms"]) == ("ObjectDetection", [])
    assert call("GET", f"/domains/{PROJECT}").json()["code"] == "NotFoundDomain"


def test_the_blob_that_tests_a_container_can_be_made_to_stay(simulators: Simulators, call: Call, azurite: str) -> None:
    """It is in its own folder, and goes after a while."""
    container = BlobServiceClient.from_connection_string(azurite).create_container(f"tested-{uuid.uuid4().hex[:8]}")
    seed(simulators, settings={})
    simulators.vision.seed(settings={"test_blob_seconds": 0.5})
    project = call("GET", f"/projects/{PROJECT}").json()
    project["settings"]["exportModelContainerUri"] = container.url
    assert call("PATCH", f"/projects/{PROJECT}", project).status_code == 200
    [name] = container.list_blob_names()
    assert name.startswith("CustomVision-TestPermission/")
    deadline = time.monotonic() + 10
    while list(container.list_blob_names()):
        assert time.monotonic() < deadline
