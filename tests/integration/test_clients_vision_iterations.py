"""The client of Custom Vision against the simulated service: training, performance, publishing, exports, guesses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.clients.vision import Box, Export, Guess, Iteration, Refusal, Resource, Training, Vision
from shared.errors import PermanentError, TemporaryError, UnansweredError
from tests.integration.canned import Canned, Reply, serve
from tests.integration.stages import clients_of

TARGET = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/fruit-Prediction"
PROJECT, ITERATION, TAG = (f"00000000-0000-0000-0000-00000000000{letter}" for letter in "abc")


@pytest.fixture
def vision(simulators: Simulators, azurite: str) -> Vision:
    """Give the client."""
    return clients_of(simulators, azurite).vision


@pytest.fixture
def at(simulators: Simulators) -> Resource:
    """Give the training resource."""
    return Resource(simulators.vision.url, KEY)


@pytest.fixture
def project(simulators: Simulators) -> str:
    """Give the id of a project whose one iteration has the same id."""
    id = str(uuid4())
    seed(simulators, id)
    return id


@pytest.fixture
def canned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    """Give a service that says what a test wants."""
    with serve(tmp_path) as (server, ca):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca)
        yield server


def seed(simulators: Simulators, id: str, **iteration: Any) -> None:
    """Keep a project with one iteration."""
    simulators.vision.seed(projects=[{"id": id, "iterations": [{"id": id, **iteration}]}])


def said(canned: Canned, *replies: tuple[int, Any]) -> Resource:
    """Let a service say these, one after the other; give where it is."""
    canned.replies = [Reply(status, body) for status, body in replies]
    return Resource(canned.url, "a-key")


def refusal(code: str, message: str = "No.") -> tuple[int, dict[str, str]]:
    """Write the service's own error."""
    return 400, {"code": code, "message": message}


WIRE: dict[str, Any] = {"id": ITERATION.upper(), "name": "Iteration 1", "status": "Training", "somethingNew": {"a": 1}}


# -- reading ----------------------------------------------------------------------------------------------------------


def test_an_iteration_is_read(vision: Vision, at: Resource, simulators: Simulators) -> None:
    """Everything that others ask an iteration for is there; one that is not there is None."""
    id = str(uuid4())
    seed(simulators, id, name="First", publishName="live", originalPublishResourceId=TARGET, trainingType="Advanced")
    found = vision.iterations.read(at, id, id)
    assert isinstance(found, Iteration)
    assert (found.id, found.name, found.status, found.is_over, found.is_good) == (id, "First", "Completed", True, True)
    assert (found.publish_name, found.published_on, found.type) == ("live", TARGET, "Advanced")
    assert found.exportable
    assert "ONNX" in found.platforms
    assert found.trained_at
    assert vision.iterations.list(at, id) == [found]
    assert vision.iterations.read(at, id, str(uuid4())) is None
    with pytest.raises(PermanentError, match="NotFoundProject") as problem:
        vision.iterations.read(at, str(uuid4()), id)
    assert "this very training resource" in problem.value.remedy


def test_an_iteration_that_says_little_is_read(vision: Vision, canned: Canned) -> None:
    """Nulls, a year 1, ids without dashes and words that are not known do no harm."""
    sparse = WIRE | {"id": ITERATION.replace("-", ""), "status": "Queued", "trainedAt": "0001-01-01T00:00:00"}
    sparse |= {"exportableTo": None, "publishName": None, "created": "2026-11-22T10:00:00.1234567Z", "domainId": None}
    found = vision.iterations.read(said(canned, (200, sparse)), PROJECT, ITERATION)
    assert found
    assert (found.id, found.trained_at, found.is_over, found.platforms, found.domain) == (
        ITERATION,
        None,
        False,
        (),
        "",
    )
    assert found.created
    assert found.created.isoformat() == "2026-11-22T10:00:00.123456+00:00"


def test_the_reason_of_a_failed_training_comes_from_the_preview(
    vision: Vision, at: Resource, simulators: Simulators
) -> None:
    """Only v3.4-preview tells it; where that cannot be asked there is no reason, and no error."""
    id = str(uuid4())
    seed(simulators, id, status="Failed", trainingErrorDetails="Out of memory")
    assert vision.iterations.why_failed(at, id, id) == "Out of memory"
    found = vision.iterations.read(at, id, id)
    assert found
    assert (found.error, found.is_over, found.is_good) == ("", True, False)
    simulators.vision.fault("error", status=404, body="gone")
    assert vision.iterations.why_failed(at, id, id) == ""


def test_a_performance_is_measured_at_a_threshold(vision: Vision, canned: Canned) -> None:
    """Threshold and overlap are asked for; shares come overall and for each tag."""
    per_tag = {"id": TAG, "name": "apple", "precision": 0.5, "recall": 0.25, "averagePrecision": None}
    body = {"precision": 1, "recall": 0.75, "averagePrecision": 0.9, "perTagPerformance": [per_tag]}
    there = said(canned, (200, body))
    found = vision.iterations.performance(there, PROJECT, ITERATION, threshold=0.75, overlap=0.5)
    assert (found.precision, found.recall, found.average_precision) == (1, 0.75, 0.9)
    assert [(one.name, one.precision, one.average_precision) for one in found.tags] == [("apple", 0.5, None)]
    assert canned.asked[0].path.endswith("/performance?threshold=0.75&overlapThreshold=0.5")


@pytest.mark.parametrize("precision", ["NaN", 1.5, -0.1, None, "much"])
def test_a_performance_that_cannot_be_is_none(vision: Vision, canned: Canned, precision: Any) -> None:
    """No gate is asked with a number that is no share."""
    there = said(canned, (200, {"precision": precision, "recall": 1}))
    with pytest.raises(TemporaryError, match="something unexpected: precision"):
        vision.iterations.performance(there, PROJECT, ITERATION)


# -- training ---------------------------------------------------------------------------------------------------------


def test_a_training_is_asked_for_as_it_is_wanted(vision: Vision, canned: Canned) -> None:
    """Type, budget, force, address and tags go out; what is not wanted does not."""
    there = said(canned, (200, WIRE))
    started = vision.iterations.train(
        there, PROJECT, Training("Advanced", 4, force=True, tags=(TAG,), email="a@example.com")
    )
    assert isinstance(started, Iteration)
    assert (started.id, started.is_over) == (ITERATION, False)
    vision.iterations.train(there, PROJECT, Training())
    first, second = canned.asked
    assert first.path.endswith(
        "/train?trainingType=Advanced&reservedBudgetInHours=4&forceTrain=true&notificationEmailAddress=a%40example.com"
    )
    assert first.body == b'{"selectedTags": ["%s"]}' % TAG.encode()
    assert second.path.endswith("/train?trainingType=Regular")
    assert (second.body, second.headers["content-length"]) == (b"", "0")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("BadRequestTrainingNotNeeded", "not_needed"),
        ("BadRequestTrainingNotNeededButTrainingPipelineUpdated", "not_needed"),
        ("BadRequestTrainingAlreadyInProgress", "in_progress"),
    ],
)
def test_a_training_that_is_not_started_is_no_error(vision: Vision, canned: Canned, code: str, kind: str) -> None:
    """Nothing changed, or one is in progress: both are outcomes, in the service's words."""
    told = vision.iterations.train(said(canned, refusal(code)), PROJECT, Training())
    assert isinstance(told, Refusal)
    assert told.kind == kind
    assert code in told.said


def test_an_unanswered_training_is_not_repeated(vision: Vision, canned: Canned) -> None:
    """A 500, a broken connection and a success that cannot be read may all have started one."""
    for reply in (Reply(500, "busy"), Reply(drop=True), Reply(200, "garbage")):
        canned.replies, canned.asked = [reply], []
        with pytest.raises(UnansweredError):
            vision.iterations.train(Resource(canned.url, "a-key"), PROJECT, Training())
        assert len(canned.asked) == 1


def test_a_training_goes_to_its_end(vision: Vision, at: Resource, simulators: Simulators) -> None:
    """A project with enough images is trained; nothing changed then, unless it is forced."""
    id = str(uuid4())
    simulators.vision.seed(projects=[{"id": id, "images": {"count": 10, "tags": ["apple", "pear"]}}])
    started = vision.iterations.train(at, id, Training())
    assert isinstance(started, Iteration)
    again = vision.iterations.train(at, id, Training())
    assert isinstance(again, Refusal)
    assert again.kind == "in_progress"
    simulators.vision.until(lambda state: "Training" not in repr(state["projects"][0]["iterations"]))
    ended = vision.iterations.read(at, id, started.id)
    assert ended
    assert ended.is_good
    again = vision.iterations.train(at, id, Training())
    assert isinstance(again, Refusal)
    assert again.kind == "not_needed"


# -- publishing -------------------------------------------------------------------------------------------------------


def test_publishing_says_where(vision: Vision, canned: Canned) -> None:
    """Name, prediction resource and whether the name may be taken from another iteration."""
    vision.iterations.publish(said(canned, (200, True)), PROJECT, ITERATION, "live", TARGET, overwrite=True)
    assert canned.asked[0].path.endswith(
        f"/iterations/{ITERATION}/publish?publishName=live&predictionId={TARGET.replace('/', '%2F')}&overwrite=true"
    )


def test_what_is_published_so_already_is_fine(vision: Vision, canned: Canned) -> None:
    """A repeated publication is refused, which is no error where it is the same one."""
    published = WIRE | {"publishName": "live", "originalPublishResourceId": TARGET.upper()}
    replies = (refusal("BadRequestIterationIsPublished"), (200, published))
    vision.iterations.publish(said(canned, *replies), PROJECT, ITERATION, "live", TARGET)
    for other in (published | {"publishName": "other"}, published | {"originalPublishResourceId": TARGET + "2"}):
        there = said(canned, refusal("BadRequestIterationIsPublished"), (200, other))
        with pytest.raises(PermanentError, match="IterationIsPublished"):
            vision.iterations.publish(there, PROJECT, ITERATION, "live", TARGET)


def test_taking_away_what_is_away_is_fine(vision: Vision, at: Resource, simulators: Simulators, project: str) -> None:
    """Unpublishing and deleting can be repeated; other refusals are errors with a remedy."""
    for status, code in ((400, "BadRequestIterationNotPublished"), (404, "NotFoundIteration")):
        simulators.vision.fault("error", status=status, body={"code": code, "message": "."}, method="DELETE")
    vision.iterations.unpublish(at, project, project)
    vision.iterations.delete(at, project, project)
    published = refusal("BadRequestIterationIsPublished")
    simulators.vision.fault("error", status=published[0], body=published[1], method="DELETE")
    with pytest.raises(PermanentError) as problem:
        vision.iterations.delete(at, project, project)
    assert "unpublish it first" in problem.value.remedy


def test_an_iteration_lives(vision: Vision, at: Resource, project: str) -> None:
    """Named anew, published, unpublished, deleted."""
    assert vision.iterations.rename(at, project, project, "Best").name == "Best"
    vision.iterations.publish(at, project, project, "live", TARGET)
    vision.iterations.publish(at, project, project, "live", TARGET)
    found = vision.iterations.read(at, project, project)
    assert found
    assert (found.publish_name, found.published_on) == ("live", TARGET)
    with pytest.raises(PermanentError, match="published"):
        vision.iterations.delete(at, project, project)
    vision.iterations.unpublish(at, project, project)
    vision.iterations.unpublish(at, project, project)
    vision.iterations.delete(at, project, project)
    vision.iterations.delete(at, project, project)
    assert vision.iterations.list(at, project) == []


# -- exports ----------------------------------------------------------------------------------------------------------


def test_an_export_is_started_once(vision: Vision, at: Resource, simulators: Simulators, project: str) -> None:
    """The same one again is on its way, which is no error; then it is there, with a link that nobody sees."""
    started = vision.iterations.export(at, project, project, "TensorFlow", "TensorFlowLite")
    assert isinstance(started, Export)
    again = vision.iterations.export(at, project, project, "TensorFlow", "TensorFlowLite")
    assert isinstance(again, Refusal)
    assert again.kind == "queued"
    simulators.vision.until(lambda _state: vision.iterations.exports(at, project, project)[0].status == "Done")
    found = vision.iterations.exports(at, project, project)[0]
    assert found.is_of("tensorflow", "tensorflowlite")
    assert not found.is_of("TensorFlow", None)
    assert found.download_uri
    assert "sig=" not in repr(found)


def test_an_export_that_is_queued_is_known_by_its_words(vision: Vision, canned: Canned) -> None:
    """The code is not documented, the sentence is known."""
    there = said(canned, refusal("BadRequest", f"{ITERATION} is already queued for export"))
    told = vision.iterations.export(there, PROJECT, ITERATION, "ONNX")
    assert isinstance(told, Refusal)
    with pytest.raises(PermanentError) as problem:
        vision.iterations.export(said(canned, refusal("BadRequestExportWhileTraining")), PROJECT, ITERATION, "ONNX")
    assert "wait until the training is over" in problem.value.remedy


# -- guesses ----------------------------------------------------------------------------------------------------------

SEEN = {
    "predictions": [
        {"probability": 0.1, "tagId": TAG, "tagName": "pear", "boundingBox": None},
        {"probability": 0.9, "tagName": "apple", "boundingBox": {"left": 0.1, "top": 0, "width": 0.5, "height": 1}},
    ]
}


def test_a_quick_test_sends_the_image_and_stores_nothing(vision: Vision, canned: Canned) -> None:
    """An iteration is asked by bytes in a form, or by a URL; the surest guess is first."""
    there, content = said(canned, (200, SEEN)), b"\x89PNG\r\n--boundary\x00"
    found = vision.iterations.test(there, PROJECT, ITERATION, content=content)
    assert found == [Guess("apple", 0.9, Box(0.1, 0, 0.5, 1)), Guess("pear", 0.1, None, TAG)]
    vision.iterations.test(there, PROJECT, ITERATION, url="https://example.com/a.png")
    by_bytes, by_url = canned.asked
    assert by_bytes.path.endswith(f"/quicktest/image?iterationId={ITERATION}&store=false")
    assert by_bytes.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="imageData"' in by_bytes.body
    assert b"\r\n\r\n" + content + b"\r\n--" in by_bytes.body
    assert by_url.path.endswith(f"/quicktest/url?iterationId={ITERATION}&store=false")
    assert by_url.body == b'{"url": "https://example.com/a.png"}'


def test_a_published_model_is_asked_with_its_own_key(vision: Vision, canned: Canned) -> None:
    """The prediction API has a header of its own, keeps nothing, and classifies or detects."""
    there = said(canned, (200, SEEN))
    vision.predictions.guess(there, PROJECT, "live", content=b"image")
    vision.predictions.guess(there, PROJECT, "live", url="https://example.com/a.png", detect=True)
    by_bytes, by_url = canned.asked
    base = f"/customvision/v3.1/prediction/{PROJECT}"
    assert by_bytes.path == f"{base}/classify/iterations/live/image/nostore"
    assert (by_bytes.body, by_bytes.headers["content-type"]) == (b"image", "application/octet-stream")
    assert by_bytes.headers["prediction-key"] == "a-key"
    assert "training-key" not in by_bytes.headers
    assert by_url.path == f"{base}/detect/iterations/live/url/nostore"


def test_an_invalid_iteration_names_the_usual_mistake(vision: Vision, canned: Canned) -> None:
    """Published by another resource's id is what this mostly means."""
    with pytest.raises(PermanentError, match="Invalid iteration") as problem:
        vision.predictions.guess(said(canned, refusal("NotFound", "Invalid iteration")), PROJECT, "live", content=b"x")
    assert "publish by its own ARM id" in problem.value.remedy


@pytest.mark.parametrize(("given", "read"), [(1.0000001, 1.0), (-0.0000001, 0.0), (0.9999999, 0.9999999)])
def test_what_rounding_adds_is_taken_away(vision: Vision, canned: Canned, given: float, read: float) -> None:
    """Single precision may say a little more than 1, of a guess and of a measure."""
    there = said(canned, (200, {"predictions": [{"probability": given, "tagName": "apple"}]}))
    (guess,) = vision.predictions.guess(there, PROJECT, "live", content=b"x", detect=False)
    assert guess.probability == read
    there = said(canned, (200, {"perTagPerformance": [], "precision": given, "recall": given}))
    assert vision.iterations.performance(there, PROJECT, ITERATION).recall == read


@pytest.mark.parametrize("probability", ["NaN", 2, 1.00001, -0.00001, None])
def test_a_guess_that_cannot_be_is_none(vision: Vision, canned: Canned, probability: Any) -> None:
    """A probability is a share."""
    there = said(canned, (200, {"predictions": [{"probability": probability, "tagName": "apple"}]}))
    with pytest.raises(TemporaryError, match="something unexpected"):
        vision.predictions.guess(there, PROJECT, "live", content=b"x")
