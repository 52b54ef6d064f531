"""Images of the simulated Custom Vision are taken, refused one by one, listed in pages and served."""

import base64
import io
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests
from PIL import Image

from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from tests.integration.vision_sdk import draw

PROJECT = "0f6fae1c-53b6-4b9d-8f0c-333333333333"
IMAGES = f"/customvision/v3.3/training/projects/{PROJECT}/images"
DETECTION = "da2e3a8a-40a5-4171-82f4-58522f70fbc1"

Call = Callable[..., requests.Response]


@pytest.fixture
def call(simulators: Simulators) -> Call:
    """Give a function that calls Custom Vision with its key; there is a project with two tags."""
    simulators.vision.seed(projects=[{"id": PROJECT, "name": "fruit", "tags": ["apple", "banana"]}])

    def call(method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        headers = {"Training-Key": KEY}
        return requests.request(method, simulators.vision.url + path, json=body, headers=headers, timeout=30, **options)

    return call


def tag_ids(simulators: Simulators) -> dict[str, str]:
    """Give the ids of the project's tags by their names."""
    [project] = simulators.vision.state()["projects"]
    return {tag["name"]: tag["id"] for tag in project["tags"]}


def sized(width: int, height: int) -> bytes:
    """Paint a picture of a size."""
    held = io.BytesIO()
    Image.new("RGB", (width, height), (9, 9, 9)).save(held, "PNG")
    return held.getvalue()


def entry(name: str, content: bytes, **more: Any) -> dict[str, Any]:
    """Give an entry of a batch of files."""
    return {"name": name, "contents": base64.b64encode(content).decode(), **more}


def statuses(answer: requests.Response) -> list[str]:
    """Give what became of each image of a batch."""
    return [one["status"] for one in answer.json()["images"]]


def test_every_image_of_a_batch_has_a_status_of_its_own(simulators: Simulators, call: Call) -> None:
    """Those that can be taken are, the others say why not, in the order they came in, and the answer is 207."""
    tags = tag_ids(simulators)
    given = [
        (draw("apple", 1), "OK"),
        (draw("apple", 2, format="BMP"), "OK"),
        (draw("apple", 3, format="GIF"), "OK"),
        (draw("apple", 1), "OKDuplicate"),
        (draw("apple", 4, format="TIFF"), "ErrorImageFormat"),
        (draw("apple", 5)[:-40], "ErrorImageFormat"),
        (b"no picture", "ErrorImageFormat"),
        (draw("apple", 6) + bytes(6 * 1024 * 1024), "ErrorImageSize"),
        (b"", "ErrorSource"),
        (sized(10_241, 2_000), "ErrorImageDimensions"),
        (sized(600, 20), "ErrorImageDimensions"),
    ]
    batch = [entry(f"{at}.png", content) for at, (content, _) in enumerate(given)]
    batch.append(entry("stranger", draw("apple", 7), tagIds=[str(uuid.UUID(int=7))]))
    answer = call("POST", f"{IMAGES}/files", {"images": batch, "tagIds": [tags["apple"]]})
    assert (answer.status_code, answer.json()["isBatchSuccessful"]) == (207, False)
    assert statuses(answer) == [*(status for _, status in given), "ErrorInvalidTag"]
    assert [one["sourceUrl"] for one in answer.json()["images"]][:2] == ["0.png", "1.png"]
    assert answer.json()["images"][3]["image"]["id"] == answer.json()["images"][0]["image"]["id"]
    assert simulators.vision.state()["projects"][0]["image_count"] == 3


@pytest.mark.parametrize("code", [200, 207])
def test_statuses_can_be_set_for_once_or_for_good(simulators: Simulators, call: Call, code: int) -> None:
    """A list of statuses is used up, one is for ever; older servers said 200 to a batch of which some was refused."""
    settings = {"image_status": {"^flaky": ["ErrorUnknown"], "^bad": "ErrorStorage"}, "status_code_of_partial": code}
    simulators.vision.seed(settings=settings)
    batch = {"images": [entry("flaky", draw("apple", 1)), entry("bad", draw("apple", 2))]}
    answers = [call("POST", f"{IMAGES}/files", batch) for _ in range(3)]
    assert [statuses(answer) for answer in answers] == [
        ["ErrorUnknown", "ErrorStorage"],
        ["OK", "ErrorStorage"],
        ["OKDuplicate", "ErrorStorage"],
    ]
    assert {(answer.status_code, answer.json()["isBatchSuccessful"]) for answer in answers} == {(code, False)}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"images": [{"name": "x"}] * 65}, "BadRequestExceededBatchSize"),
        ({"images": [], "tagIds": [str(uuid.UUID(int=n)) for n in range(21)]}, "BadRequestExceededBatchSize"),
        ({"images": "x"}, "BadRequestRequiredParamIsNull"),
        ({"images": [], "tagIds": ["x"]}, ""),
        ({"images": [{"name": "x"}], "tagIds": ["x"]}, "BadRequestInvalidIds"),
        ({"images": [], "metadata": {"k" * 129: "v"}}, "BadRequestImageMetadataKey"),
        ({"images": [], "metadata": {"k": "v" * 257}}, "BadRequestImageMetadataValue"),
        ({"images": [entry("x", b"x", regions=[{"tagId": PROJECT}])]}, "BadRequestImageRegions"),
    ],
)
def test_a_batch_that_makes_no_sense_is_refused_whole(call: Call, body: Any, code: str) -> None:
    """Too many images or tags, no ids, too much metadata, regions where nothing is detected."""
    answer = call("POST", f"{IMAGES}/files", body)
    assert answer.json().get("code", "") == code
    assert answer.status_code == (400 if code else 200)


def test_a_project_of_the_free_tier_is_full_at_five_thousand(simulators: Simulators, call: Call) -> None:
    """One more is refused, each on its own, and one that is there already is still a duplicate."""
    images = [{"content": base64.b64encode(draw("apple")).decode()}, *({} for _ in range(4_999))]
    simulators.vision.seed(projects=[{"id": PROJECT, "images": images}], settings={"tier": "F0", "artifacts": True})
    batch = [entry("more", draw("banana")), entry("again", draw("apple"))]
    assert statuses(call("POST", f"{IMAGES}/files", {"images": batch})) == ["ErrorLimitExceed", "OKDuplicate"]


def test_a_form_holds_several_files(simulators: Simulators, call: Call) -> None:
    """Each is called by its name in quotes, as the service's own example shows; one file may be the body itself."""
    files = [("imageData", (f"{at}.png", draw("apple", at))) for at in range(3)]
    answer = call("POST", IMAGES, files=files)
    assert [one["sourceUrl"] for one in answer.json()["images"]] == ['"0.png"', '"1.png"', '"2.png"']
    assert answer.json()["isBatchSuccessful"]
    assert call("POST", IMAGES, data=draw("banana", 1)).json()["images"][0]["image"]["width"] == 64
    assert call("GET", f"{IMAGES}/count").json() == 4
    simulators.vision.seed(settings={"image_status": {"^flaky": "ErrorUnknown"}})
    assert statuses(call("POST", IMAGES, files={"imageData": ("flaky", draw("apple", 9))})) == ["ErrorUnknown"]
    many = [("imageData", (f"{at}.png", b"")) for at in range(65)]
    assert call("POST", IMAGES, files=many).json()["code"] == "BadRequestExceededBatchSize"


def test_ten_thousand_images_are_seeded_at_once_and_listed_in_pages(simulators: Simulators, call: Call) -> None:
    """Pages of at most 256 by age hold each image once; their contents are made when they are looked at."""
    began = time.monotonic()
    images = {"count": 10_000, "tags": ["apple", "banana"], "untagged": 100}
    simulators.vision.seed(projects=[{"id": PROJECT, "images": images}], settings={"artifacts": True})
    assert time.monotonic() - began < 10
    assert [call("GET", f"{IMAGES}/{kind}count").json() for kind in ("", "tagged/", "untagged/")] == [
        10_000,
        9_900,
        100,
    ]
    first = [call("GET", f"{IMAGES}?take=256&skip={skip}&orderBy=Oldest").json() for skip in (0, 256, 9_984)]
    assert [len(page) for page in first] == [256, 256, 16]
    assert len({image["id"] for page in first for image in page}) == 528
    last = call("GET", f"{IMAGES}?take=1&orderBy=Newest").json()
    assert last == first[2][-1:]
    assert first[0][0]["created"] < last[0]["created"]
    apple = tag_ids(simulators)["apple"]
    few = call("GET", f"{IMAGES}?tagIds={apple}&taggingStatus=Tagged&orderBy=Oldest&take=2").json()
    assert [[tag["tagName"] for tag in image["tags"]] for image in few] == [["apple"]] * 2
    path = few[0]["originalImageUri"]
    content = call("GET", f"/customvision/v3.3/training/projects/{PROJECT}/artifacts", params={"path": path}).content
    assert Image.open(io.BytesIO(content)).size == (32, 32)
    wrong = call("GET", f"/customvision/v3.3/training/projects/{PROJECT}/artifacts?path=images/{PROJECT}")
    assert wrong.json()["code"] == "BadRequestInvalidArtifactUri"


def test_an_image_is_a_blob_behind_a_signature_that_does_not_last(simulators: Simulators, call: Call) -> None:
    """Uploaded or seeded, its bytes are read at its URI; without the signature, or too late, they are not."""
    simulators.vision.seed(
        projects=[{"id": PROJECT, "images": {"count": 3, "tags": ["apple"]}}], settings={"sas_seconds": 2}
    )
    content = draw("banana", 5)
    [uploaded] = call("POST", f"{IMAGES}/files", {"images": [entry("b", content)]}).json()["images"]
    assert requests.get(uploaded["image"]["originalImageUri"], timeout=5).content == content
    seeded = call("GET", f"{IMAGES}?taggingStatus=Tagged").json()
    assert {requests.get(one["originalImageUri"], timeout=5).status_code for one in seeded} == {200}
    uri = seeded[0]["originalImageUri"]
    assert requests.get(uri.partition("?")[0], timeout=5).status_code in {403, 404}
    deadline = time.monotonic() + 10
    while requests.get(uri, timeout=5).status_code != 403:
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("take=257", "BadRequestInvalid"),
        ("take=x", "BadRequestInvalid"),
        ("orderBy=Size", "BadRequestInvalid"),
        ("taggingStatus=Maybe", "BadRequestInvalid"),
        ("tagIds=x", "BadRequestInvalidIds"),
        (f"iterationId={PROJECT}", "NotFoundIteration"),
    ],
)
def test_a_listing_that_makes_no_sense_is_refused(call: Call, query: str, code: str) -> None:
    """More than a page, no order, no status, no tag, no iteration."""
    assert call("GET", f"{IMAGES}?{query}").json()["code"] == code


def test_a_tag_that_is_one_too_many_is_refused(simulators: Simulators, call: Call) -> None:
    """One tag an image where it is of one class, no negative beside another, and F0 has 50 of them."""
    tags = tag_ids(simulators)
    [image] = call("POST", f"{IMAGES}/files", {"images": [entry("a", draw("apple"))]}).json()["images"]
    pairs = [{"imageId": image["image"]["id"], "tagId": tags[name]} for name in ("apple", "apple", "banana")]
    told = call("POST", f"{IMAGES}/tags", {"tags": pairs}).json()
    assert {kind: len(found) for kind, found in told.items()} == {"created": 1, "duplicated": 1, "exceeded": 1}
    base = IMAGES.removesuffix("/images")
    assert call("POST", f"{base}/tags?name=APPLE").json()["code"] == "BadRequestTagNameNotUnique"
    assert call("POST", f"{base}/tags?name=none&type=Negative").status_code == 200
    assert call("POST", f"{base}/tags?name=nothing&type=Negative").json()["code"] == "BadRequestMultipleNegativeTag"
    simulators.vision.seed(projects=[{"id": PROJECT, "tags": [f"tag {n}" for n in range(50)]}], settings={"tier": "F0"})
    assert call("POST", f"{base}/tags?name=more").json()["code"] == "BadRequestExceedTagPerProjectLimit"


def test_a_negative_image_has_no_other_tag(simulators: Simulators, call: Call) -> None:
    """Where images have several tags, a negative one stands alone."""
    tags = ["apple", "banana", {"name": "none", "type": "Negative"}]
    settings = {"classificationType": "Multilabel"}
    simulators.vision.seed(projects=[{"id": PROJECT, "tags": tags, "settings": settings}])
    ids = tag_ids(simulators)
    batch = [
        entry("two", draw("apple", 1), tagIds=[ids["apple"], ids["banana"]]),
        entry("both", draw("apple", 2), tagIds=[ids["apple"], ids["none"]]),
        entry("stranger", draw("apple", 3), tagIds=[PROJECT]),
    ]
    answer = call("POST", f"{IMAGES}/files", {"images": batch})
    assert statuses(answer) == ["OK", "ErrorNegativeAndRegularTagOnSameImage", "ErrorInvalidTag"]


def test_regions_are_within_their_image(simulators: Simulators, call: Call) -> None:
    """A box beyond the edge is refused; the same one again is said to be a duplicate; erased, its tag goes too."""
    simulators.vision.seed(projects=[{"id": PROJECT, "tags": ["apple"], "settings": {"domainId": DETECTION}}])
    apple = tag_ids(simulators)["apple"]
    box = {"tagId": apple, "left": 0.5, "top": 0.5, "width": 0.4, "height": 0.4}
    beyond = call("POST", f"{IMAGES}/files", {"images": [entry("a", draw("apple"), regions=[{**box, "width": 0.6}])]})
    assert beyond.json()["code"] == "BadRequestImageRegions"
    taken = call("POST", f"{IMAGES}/files", {"images": [entry("a", draw("apple"), regions=[box])]}).json()
    image = taken["images"][0]["image"]
    assert (image["tags"][0]["tagName"], image["regions"][0]["left"]) == ("apple", 0.5)
    again = call("POST", f"{IMAGES}/regions", {"regions": [{**box, "imageId": image["id"]}]})
    assert (again.status_code, len(again.json()["duplicated"])) == (207, 1)
    assert call("DELETE", f"{IMAGES}/regions?regionIds={image['regions'][0]['regionId']}").status_code == 204
    [left] = call("GET", IMAGES).json()
    assert (left["tags"], left["regions"]) == ([], [])


def test_an_iteration_keeps_the_images_it_was_trained_with(simulators: Simulators, call: Call) -> None:
    """Deleted, they are still its own, unless all iterations are meant; so with tags, and with counts."""
    images = {"count": 10, "tags": ["apple", "banana"]}
    simulators.vision.seed(projects=[{"id": PROJECT, "images": images}], settings={"training_seconds": 0})
    base = IMAGES.removesuffix("/images")
    iteration = call("POST", f"{base}/train").json()["id"]
    simulators.vision.until(lambda state: "Training" not in json.dumps(state["projects"]).split('"exports"')[0])
    gone = call("GET", f"{IMAGES}?take=2").json()
    named = ",".join(image["id"] for image in gone)
    assert call("DELETE", f"{IMAGES}?imageIds={named}").status_code == 204
    assert call("GET", f"{IMAGES}/count").json() == 8
    assert call("GET", f"{IMAGES}/count?iterationId={iteration}").json() == 10
    assert [tag["imageCount"] for tag in call("GET", f"{base}/tags").json()] == [4, 4]
    assert [tag["imageCount"] for tag in call("GET", f"{base}/tags?iterationId={iteration}").json()] == [5, 5]
    assert call("DELETE", f"{IMAGES}?allImages=true&allIterations=true").status_code == 202
    assert call("GET", f"{IMAGES}/count?iterationId={iteration}").json() == 0
    assert call("DELETE", IMAGES).json()["code"] == "BadRequestImageBatch"


def test_a_stored_prediction_becomes_an_image(simulators: Simulators, call: Call) -> None:
    """What was tested quickly is kept, found by a query, and taken as a training image; deleted, it is gone."""
    images = {"count": 10, "tags": ["apple", "banana"]}
    simulators.vision.seed(projects=[{"id": PROJECT, "images": images, "iterations": [{}]}])
    base = IMAGES.removesuffix("/images")
    told = call("POST", f"{base}/quicktest/image", files={"imageData": draw("apple", 70)}).json()
    assert told["predictions"][0]["tagName"] == "apple"
    call("POST", f"{base}/quicktest/image?store=false", files={"imageData": draw("apple", 71)})
    [kept] = call("POST", f"{base}/predictions/query", {}).json()["results"]
    assert kept["id"] == told["id"]
    apple = tag_ids(simulators)["apple"]
    batch = {"images": [{"id": told["id"], "tagIds": [apple]}, {"id": PROJECT}]}
    assert statuses(call("POST", f"{IMAGES}/predictions", batch)) == ["OK", "ErrorSource"]
    assert call("GET", f"{IMAGES}/count").json() == 11
    assert call("DELETE", f"{base}/predictions?ids={told['id']}").status_code == 204
    assert call("POST", f"{base}/predictions/query", {}).json()["results"] == []
