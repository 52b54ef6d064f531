"""Publishing an iteration of Custom Vision, over real https against the simulated service."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY, PREDICTION_KEY
from dev.simulators.vision.domains import DOMAINS
from shared.actions import Status
from shared.clients.vision import Box, Guess, Resource
from shared.errors import PermanentError, UnansweredError
from shared.handlers.vision import prune
from shared.handlers.vision.publish.params import Vision
from shared.handlers.vision.publish.samples import Sample, judge
from shared.handlers.vision.publish.taking import check, start, undo, watch
from shared.rules.declared import Declared
from shared.stages import Done, End, Pending
from shared.storage import LIMITS_TABLE
from tests.integration.stages import ENDED, Bench, Told, clients_of, event_of

PROJECT, OURS, LIVE = (
    "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "8d8ac610-566d-4ef0-9c22-186b2a5ed793",
    "11111111-566d-4ef0-9c22-186b2a5ed793",
)
THIRD = "33333333-566d-4ef0-9c22-186b2a5ed793"
ACCOUNTS = "/subscriptions/1/resourceGroups/r/providers/Microsoft.CognitiveServices/accounts"
RIGHT, WRONG = f"{ACCOUNTS}/fruit-Prediction", f"{ACCOUNTS}/veg-Prediction"
TRAINED = (Path(__file__).parents[1] / "events/vision_training_completed.json").read_text("utf-8")
OLD, NEW = "2026-01-01T08:00:00Z", "2026-02-01T08:00:00Z"
LOCK = f"vision:{PROJECT}"
DETECTS = next(domain.id for domain in DOMAINS.values() if domain.type != "Classification")


@pytest.fixture
def bench(simulators: Simulators, azurite: str) -> Iterator[Bench]:
    """Answer the end of a training of a declared project."""
    simulators.vision.seed(settings={"prediction_resources": [RIGHT, WRONG]})
    clients = clients_of(simulators, azurite)
    clients.account.tables.create_table_if_not_exists(LIMITS_TABLE)
    bench = Bench(clients, declared(simulators), event_of(TRAINED))
    yield bench
    ENDED.add(bench.key)  # one stage alone keeps what it holds


def declared(simulators: Simulators, **prediction: str | None) -> Declared:
    """Declare the project; its prediction resource may be told otherwise."""
    url = simulators.vision.url
    told = {"resource": RIGHT, "endpoint": url, "key": PREDICTION_KEY, **prediction}
    project = {"project": PROJECT, "training": {"endpoint": url, "key": KEY}, "prediction": told}
    return Declared.model_validate({"vision": {"fruit": project}})


def seed(simulators: Simulators, *others: Mapping[str, Any], **project: Any) -> None:
    """Have a project of two tags, whose newest iteration is Iteration 2; others are told, oldest first."""
    defaults = {"id": PROJECT, "images": {"count": 10, "tags": ["lemon", "plum"]}}
    ours = {"id": OURS, "name": "Iteration 2", "trainedAt": NEW}
    simulators.vision.seed(projects=[{**defaults, "iterations": [*others, ours], **project}])


def live(**told: Any) -> dict[str, Any]:
    """Tell of an older iteration that is published."""
    older = {"id": LIVE, "name": "Iteration 1", "trainedAt": OLD, "publishName": "production"}
    return {**older, "originalPublishResourceId": RIGHT, **told}


def names(simulators: Simulators) -> dict[str, tuple[str, str]]:
    """Read who has which name, and on which resource."""
    (project,) = simulators.vision.state()["projects"]
    told = project["iterations"].values()
    return {one["publishName"]: (one["id"], one["originalPublishResourceId"]) for one in told if one["publishName"]}


def publish(bench: Bench, **given: Any) -> Told:
    """Publish it as production."""
    return bench.run("publish.vision", **{"name": "production", "within": "1s", **given})


def fails(bench: Bench, **given: Any) -> PermanentError:
    """Publish what cannot be, and give what it says."""
    with pytest.raises(PermanentError) as caught:
        publish(bench, **given)
    return caught.value


def before(stage: str, act: Callable[[], object]) -> Callable[[str], None]:
    """Do something just before a stage is performed, once."""
    left = [act]

    def hook(name: str) -> None:
        if name == stage and left:
            left.pop()()

    return hook


def by_hand(bench: Bench, id: str, **told: Any) -> None:
    """Publish an iteration as somebody else would."""
    at = Resource.of(bench.declared.vision["fruit"].training)
    given = {"name": "production", "resource_id": RIGHT, "overwrite": True, **told}
    bench.clients.vision.iterations.publish(at, PROJECT, id, **given)


# -- it goes well -----------------------------------------------------------------------------------------------------


def test_the_first_publishing(bench: Bench, simulators: Simulators) -> None:
    """The iteration is shown images of each tag, published, and asked for a prediction."""
    seed(simulators)
    told = publish(bench)
    found = {name: told.result[name] for name in ("name", "iteration", "previous", "resource", "project", "asked")}
    assert found == {
        "name": "production",
        "iteration": OURS,
        "previous": "",
        "resource": RIGHT,
        "project": PROJECT,
        "asked": True,
    }
    assert told.result["tag"] in {"lemon", "plum"}
    assert 0.5 <= told.result["probability"] <= 1
    assert names(simulators) == {"production": (OURS, RIGHT)}
    assert told.notes[0] == "nothing is published as production yet"
    assert told.notes[-1] == "Iteration 2 is published as production, and answers"
    listed = [one["url"].partition("tagIds=")[2] for one in simulators.vision.seen("GET", "/images?")]
    assert len({one.partition("&")[0] for one in listed[:3]}) == 2, "each tag has its turn"
    assert [one.partition("skip=")[2] for one in listed[:3]] == ["0", "0", "1"]
    assert len(simulators.vision.seen("POST", "/quicktest/image?iterationId=" + OURS)) == 3
    (asked,) = simulators.vision.seen("POST", "/prediction/")
    assert asked["url"].endswith(f"/{PROJECT}/classify/iterations/production/image/nostore")


def test_the_name_is_taken_from_an_older_iteration(bench: Bench, simulators: Simulators) -> None:
    """What was published before is in the results; other names stay."""
    seed(simulators, {"id": THIRD, "publishName": "staging", "originalPublishResourceId": RIGHT}, live())
    told = publish(bench, iteration=OURS.upper().replace("-", ""), project="fruit", samples=1)
    assert told.result["previous"] == LIVE
    assert told.notes[0] == "Iteration 1 is published as production"
    assert names(simulators) == {"production": (OURS, RIGHT), "staging": (THIRD, RIGHT)}
    assert len(simulators.vision.seen("POST", "/quicktest/")) == 1


def test_a_sample_of_the_rule_is_shown(bench: Bench, simulators: Simulators) -> None:
    """By its URL, which a setting may hold: nothing of it comes into the results or the notes."""
    seed(simulators)
    at = Resource.of(bench.declared.vision["fruit"].training)
    image = bench.clients.vision.images.page(at, PROJECT, skip=0, take=1)[0]
    bench.values = {"SAMPLE": image.url}
    told = publish(bench, sample="${SAMPLE}", expects=image.tags[0].name)
    assert told.result["tag"] == image.tags[0].name
    assert len(simulators.vision.seen("POST", "/quicktest/url")) == 1
    assert len(simulators.vision.seen("POST", "/iterations/production/url/nostore")) == 1
    assert "sig=" not in f"{told}"
    assert "127.0.0.1" not in f"{told}"


def test_a_project_that_detects_objects(bench: Bench, simulators: Simulators) -> None:
    """Boxes are guessed, and the prediction resource is asked to detect."""
    images = {"count": 30, "tags": ["lemon", "plum"], "size": [64, 64]}
    seed(simulators, settings={"domainId": DETECTS}, images=images)
    told = publish(bench)
    assert told.result["asked"] is True
    (asked,) = simulators.vision.seen("POST", "/prediction/")
    assert f"/{PROJECT}/detect/iterations/production/image/nostore" in asked["url"]


def test_a_resource_without_an_endpoint_is_not_asked(bench: Bench, simulators: Simulators) -> None:
    """Its ARM id is all that publishing needs; the note says what was not done."""
    seed(simulators)
    bench.declared = declared(simulators, endpoint=None, key=None)
    told = publish(bench)
    assert told.result["asked"] is False
    assert told.notes[-1].endswith("the prediction resource was not asked: its endpoint is not declared")
    assert names(simulators) == {"production": (OURS, RIGHT)}
    assert simulators.vision.seen("POST", "/prediction/") == []


@pytest.mark.guarantee(3)
def test_what_is_published_already_is_not_published_again(bench: Bench, simulators: Simulators) -> None:
    """A replay looks whether it answers, and changes nothing."""
    seed(simulators)
    publish(bench)
    bench.key = uuid4().hex
    told = publish(bench)
    assert told.result["previous"] == OURS
    assert told.result["asked"] is True
    assert len(simulators.vision.seen("POST", "/publish?")) == 1


def test_an_iteration_moves_to_the_declared_resource(bench: Bench, simulators: Simulators) -> None:
    """It was published under this name, but on another prediction resource."""
    seed(simulators)
    by_hand(bench, OURS, resource_id=WRONG)
    assert publish(bench).result["previous"] == OURS
    assert names(simulators) == {"production": (OURS, RIGHT)}


def test_images_that_are_too_large_are_passed_over(bench: Bench, simulators: Simulators) -> None:
    """Images to train with may be larger than those that are shown."""
    seed(simulators, images=[{"tags": [tag], "size": [64, 64]} for tag in ("lemon", "plum") for _ in range(5)])
    read = bench.clients.vision.images.read
    large: list[str] = []

    def padded(at: Resource, project: str, image: Any) -> bytes:
        content = read(at, project, image)
        if len(large) < 2:
            large.append(image.id)
            return content + bytes(4 << 20)
        return content

    bench.clients.vision.images.read = padded  # type: ignore[method-assign] # only its answer grows
    publish(bench, samples=1)
    assert len(set(large)) == 2
    assert len(simulators.vision.seen("POST", "/quicktest/")) == 1


# -- what it waits for ------------------------------------------------------------------------------------------------


def test_a_training_that_is_not_over_is_waited_for(bench: Bench, simulators: Simulators) -> None:
    """The end of the training wakes the action."""
    seed(simulators)
    simulators.vision.seed(projects=[{"id": PROJECT, "iterations": [{"id": OURS, "status": "Training"}]}])
    found = check(Vision(project="fruit", iteration=OURS, name="production"), bench.job())
    assert isinstance(found, Pending)
    assert found.wake_on == f"training:{PROJECT}/{OURS}"
    assert others_may_publish(bench)


def test_a_training_that_is_seen_as_not_over_under_the_lock_is_waited_for_without(
    bench: Bench, simulators: Simulators
) -> None:
    """It was over a moment ago: an answer that lags behind holds nobody up."""
    seed(simulators)
    lagging = '[{"id": "' + OURS + '", "name": "Iteration 2", "status": "Training"}]'
    simulators.vision.fault("error", n=1, skip=1, method="GET", path="/iterations", status=200, body=lagging)
    found = check(Vision(project="fruit", iteration=OURS, name="production"), bench.job())
    assert isinstance(found, Pending)
    assert found.note == "Iteration 2 is Training"
    assert others_may_publish(bench)


def others_may_publish(bench: Bench) -> bool:
    """Tell whether nobody has the lock of the project's names."""
    other = uuid4().hex
    ENDED.add(other)
    return bench.locks.hold(LOCK, other, bench.job().now, ENDED.__contains__) == ""


def test_a_prediction_resource_may_take_a_while(bench: Bench, simulators: Simulators) -> None:
    """Until the name has got through it does not answer, and is asked again."""
    seed(simulators)
    simulators.vision.seed(settings={"publish_delay_seconds": 1.0})
    told = publish(bench, within="20s")
    assert any("does not answer as production yet: Custom Vision answered 404" in note for note in told.notes)
    assert told.result["asked"] is True


def test_a_publishing_may_take_a_while_to_be_shown(bench: Bench, simulators: Simulators) -> None:
    """What was asked for is looked for, for ten minutes from then, and not asked for again."""
    seed(simulators)
    result = {"project": PROJECT, "iteration": OURS, "name": "production", "label": "Iteration 2", "was": {}}
    result |= {"resource": RIGHT, "previous": ""}
    params = Vision(project="fruit", iteration=OURS, name="production")
    listed = '[{"id": "' + OURS + '", "name": "Iteration 2", "status": "Completed"}]'
    simulators.vision.fault("error", n=1, skip=1, method="GET", path="/iterations", status=200, body=listed)
    job = bench.job("publish", result, began=bench.job().now - timedelta(hours=1))
    asked = start(params, job)
    assert isinstance(asked, Pending)
    simulators.vision.fault("error", n=2, method="GET", path="/iterations", status=200, body=listed)
    later = replace(job, memory=asked.memory, now=job.now + timedelta(minutes=9))
    assert isinstance(watch(params, later), Pending)
    with pytest.raises(PermanentError, match="is not shown as that"):
        watch(params, replace(later, now=job.now + timedelta(minutes=11)))
    assert watch(params, later) == Done({"taking": False}, note="Iteration 2 is published as production")
    assert len(simulators.vision.seen("POST", "/publish?")) == 1


def test_an_answer_of_the_iteration_before_counts_for_nothing(bench: Bench, simulators: Simulators) -> None:
    """The name has not got through yet, so that the one that had it goes on answering: ours is waited for."""
    seed(simulators, live())
    simulators.vision.seed(settings={"publish_delay_seconds": 1.0})
    told = publish(bench, within="20s")
    assert any(f"yet: iteration {LIVE} answers in its place" in note for note in told.notes)
    assert told.result["asked"] is True


@pytest.mark.guarantee(4)
def test_what_lost_its_name_is_not_pruned_before_the_new_one_answers(bench: Bench, simulators: Simulators) -> None:
    """The iteration that was live is there to be given the name back: pruning waits until the publishing is over."""
    seed(simulators, live())
    other = replace(bench, key=uuid4().hex)

    def pruning() -> None:
        told = prune.choose(prune.Vision(project="fruit", keep=1), other.job())
        assert isinstance(told, Pending)
        assert told.note == f"waits for action {bench.key}, which publishes an iteration of the project"
        simulators.vision.fault(
            "error", method="POST", path="/prediction/", n=99, status=400, body={"code": "BadRequest"}
        )

    bench.before_stage = before("smoke", pruning)
    with pytest.raises(PermanentError):
        publish(bench)
    assert names(simulators) == {"production": (LIVE, RIGHT)}


@pytest.mark.guarantee(4)
def test_two_at_once_take_turns(bench: Bench, simulators: Simulators) -> None:
    """Whoever comes second waits for the name, and looks anew once the first has ended: it may be the older one."""
    seed(simulators, {"id": LIVE, "name": "Iteration 1", "trainedAt": OLD})
    newer = uuid4().hex
    assert bench.locks.hold(LOCK, newer, bench.job().now, ENDED.__contains__) == ""
    found = check(Vision(project="fruit", iteration=LIVE, name="production"), bench.job())
    assert isinstance(found, Pending)
    assert found.note == f"waits for action {newer}, which publishes an iteration of the project, or deletes some"
    by_hand(bench, OURS)
    ENDED.add(newer)
    told = publish(bench, iteration=LIVE)
    assert told.end == End(Status.SKIPPED, why_newer())
    assert names(simulators) == {"production": (OURS, RIGHT)}


def why_newer() -> str:
    """Say why the older iteration is not published."""
    newer = "Iteration 2, which was trained later than Iteration 1, is published as production"
    return f"a newer iteration is live: {newer}"


# -- older and newer --------------------------------------------------------------------------------------------------


@pytest.mark.guarantee(4)
def test_an_older_iteration_does_not_take_the_name_of_a_newer_one(bench: Bench, simulators: Simulators) -> None:
    """In whatever order they come: nothing is tried, nothing is touched."""
    seed(simulators, {"id": LIVE, "name": "Iteration 1", "trainedAt": OLD})
    publish(bench, samples=1)
    bench.key = uuid4().hex
    before_that = len(simulators.vision.seen("POST"))
    told = publish(bench, iteration=LIVE)
    assert told.end == End(Status.SKIPPED, why_newer())
    assert len(simulators.vision.seen("POST")) == before_that


@pytest.mark.guarantee(4)
@pytest.mark.parametrize("stage", ["test", "claim", "publish"])
def test_a_newer_one_that_comes_meanwhile_stays(stage: str, bench: Bench, simulators: Simulators) -> None:
    """Somebody publishes it by hand while ours is tried out: it is looked anew right before ours would be published."""
    third = {"id": THIRD, "name": "Iteration 3", "trainedAt": "2026-03-01T08:00:00Z"}
    seed(simulators, live(), third)
    bench.before_stage = before(stage, lambda: by_hand(bench, THIRD))
    told = publish(bench, samples=1)
    assert told.end is not None
    assert told.end.status is Status.SKIPPED
    assert "a newer iteration is live: Iteration 3" in told.end.reason
    left = "Iteration 3 is left, which somebody else has published as production"
    assert told.undone == (left if stage == "publish" else "")
    assert names(simulators) == {"production": (THIRD, RIGHT)}


def test_an_older_one_that_comes_meanwhile_is_replaced(bench: Bench, simulators: Simulators) -> None:
    """It is what is given back where ours fails: what was published is looked anew."""
    seed(simulators, {"id": THIRD, "name": "Iteration 0", "trainedAt": OLD})
    bench.before_stage = before("publish", lambda: by_hand(bench, THIRD))
    told = publish(bench, samples=1)
    assert told.result["previous"] == THIRD
    assert names(simulators) == {"production": (OURS, RIGHT)}


@pytest.mark.guarantee(4)
def test_what_no_gate_has_compared_with_is_not_replaced(bench: Bench, simulators: Simulators) -> None:
    """A gate of the same action compared with another iteration than is live by now."""
    seed(simulators, live())
    gate = {"passed": True, "compared_with": THIRD, "compared_at": f"{PROJECT}/production"}
    job = bench.job
    bench.job = lambda *args, **kw: with_steps(job(*args, **kw), {"gate": gate})  # type: ignore[method-assign] # what a record would hold
    told = publish(bench)
    assert told.end is not None
    assert told.end.reason.startswith("Iteration 1 is live by now, with which no gate has compared it")
    gate["compared_with"] = LIVE
    bench.key = uuid4().hex
    assert publish(bench).end is None


def with_steps(job: Any, steps: Mapping[str, Any]) -> Any:
    """Tell a job of results of steps before it."""
    return replace(job, steps=steps)


# -- what stops it before anything is touched -------------------------------------------------------------------------


def untouched(simulators: Simulators) -> bool:
    """Tell whether nothing was published or unpublished."""
    return not simulators.vision.seen("POST", "/publish") and not simulators.vision.seen("DELETE", "/publish")


def test_an_iteration_that_sees_something_else_is_not_published(bench: Bench, simulators: Simulators) -> None:
    """The failure has the numbers of each image."""
    seed(simulators, live())
    guesses = [{"tagName": "plum", "probability": 0.62}, {"tagName": "lemon", "probability": 0.31}]
    simulators.vision.seed(settings={"predictions": guesses})
    problem = fails(bench)
    assert problem.reason == (
        'Iteration 2 fails 2 of 3 images: "lemon" has 0.31, and not at least 0.5; on top is "plum" with 0.62; '
        '"lemon" has 0.31, and not at least 0.5; on top is "plum" with 0.62'
    )
    assert "probability" in problem.remedy
    assert untouched(simulators)
    assert bench.told.undone == ""


def test_less_can_be_asked_for(bench: Bench, simulators: Simulators) -> None:
    """An image of the project must show its tag among others; a sample of the rule must show it first."""
    seed(simulators)
    guesses = [{"tagName": "plum", "probability": 0.62}, {"tagName": "lemon", "probability": 0.31}]
    simulators.vision.seed(settings={"predictions": guesses})
    assert publish(bench, probability=0.3).result["probability"] == 0.31
    at = Resource.of(bench.declared.vision["fruit"].training)
    image = bench.clients.vision.images.page(at, PROJECT, skip=0, take=1)[0]
    problem = fails(bench, probability=0.3, sample=image.url, expects="lemon")
    assert problem.reason == 'Iteration 2 fails 1 of 1 image: on top is "plum" with 0.62'


@pytest.mark.parametrize(
    ("images", "tags"),
    [
        ([], []),
        ([], ["lemon"]),
        ([{"tags": []}], []),
        ([{"tags": ["nothing"]}], [{"name": "nothing", "type": "Negative"}]),
    ],
)
def test_a_project_without_tagged_images_needs_a_sample(
    images: list[Any], tags: list[Any], bench: Bench, simulators: Simulators
) -> None:
    """Nothing is published untried; the remedy says what to give."""
    seed(simulators, images=images, tags=tags)
    problem = fails(bench)
    assert "no tagged image" in problem.reason
    assert "sample" in problem.remedy
    assert untouched(simulators)


@pytest.mark.parametrize(
    ("ours", "given", "said"),
    [
        ({}, {"iteration": THIRD}, f"iteration {THIRD} is not there any more"),
        ({}, {"iteration": "Iteration 2"}, "is no iteration's id"),
        ({}, {"project": "veg"}, "is not declared; declared: fruit"),
        ({"status": "Failed"}, {}, "Iteration 2 is Failed, and cannot be published"),
        ({"publishName": "staging"}, {}, "Iteration 2 is published as staging, and an iteration has one name only"),
    ],
)
def test_what_cannot_be_published(
    ours: dict[str, Any], given: dict[str, str], said: str, bench: Bench, simulators: Simulators
) -> None:
    """Each is a failure that says why and what to do, before anything is touched."""
    told = {"id": OURS, "name": "Iteration 2", **ours}
    seed(simulators, iterations=[told])
    problem = fails(bench, **given)
    assert said in problem.reason
    assert problem.remedy
    assert untouched(simulators)


def test_a_project_without_a_prediction_resource(bench: Bench, simulators: Simulators) -> None:
    """Publishing needs one; the remedy says where it is declared."""
    seed(simulators)
    told = bench.declared.model_dump()
    told["vision"]["fruit"]["prediction"] = None
    bench.declared = Declared.model_validate(told)
    problem = fails(bench)
    assert "without a prediction resource" in problem.reason
    assert "`prediction`" in problem.remedy
    assert simulators.vision.seen() == []


@pytest.mark.guarantee(6)
def test_a_rotated_training_key(bench: Bench, simulators: Simulators) -> None:
    """The failure says that it is the key, and nothing of the key."""
    seed(simulators)
    simulators.vision.seed(revoked_keys=[KEY])
    problem = fails(bench)
    assert "key" in problem.remedy
    assert KEY not in f"{problem.reason} {problem.remedy}"


def test_an_iteration_that_is_deleted_while_it_is_tried_out(bench: Bench, simulators: Simulators) -> None:
    """What was published before stays, and the failure says that ours is gone."""
    seed(simulators, live())
    at = Resource.of(bench.declared.vision["fruit"].training)
    bench.before_stage = before("publish", lambda: bench.clients.vision.iterations.delete(at, PROJECT, OURS))
    assert fails(bench).reason == "Iteration 2 is not there any more"
    assert names(simulators) == {"production": (LIVE, RIGHT)}
    assert bench.told.undone == "Iteration 1 is published as production as before"


# -- what fails afterwards --------------------------------------------------------------------------------------------


def test_a_wrong_prediction_resource_is_named(bench: Bench, simulators: Simulators) -> None:
    """The service takes its ARM id, and no prediction comes of it: the old one is back where it was."""
    seed(simulators, live())
    bench.declared = declared(simulators, resource=WRONG)
    problem = fails(bench)
    assert "Iteration 2 is published as production, and the prediction resource does not answer" in problem.reason
    assert "Invalid iteration" in problem.reason
    assert f"check that {WRONG} is the ARM id of the very resource behind its declared endpoint" in problem.remedy
    assert bench.told.undone == "Iteration 1 is published as production as before"
    assert names(simulators) == {"production": (LIVE, RIGHT)}


def test_a_resource_that_the_service_refuses(bench: Bench, simulators: Simulators) -> None:
    """Such as one of another region: nothing was changed, and the remedy says what it takes."""
    seed(simulators, live())
    bench.declared = declared(simulators, resource=f"{ACCOUNTS}/elsewhere")
    problem = fails(bench)
    assert "BadRequestInvalidPublishTarget" in problem.reason
    assert "ARM id" in problem.remedy
    assert names(simulators) == {"production": (LIVE, RIGHT)}


@pytest.mark.guarantee(6)
def test_a_rotated_prediction_key(bench: Bench, simulators: Simulators) -> None:
    """It is published, and nobody can ask it: the name is given back, and the remedy is about the key."""
    seed(simulators, live())
    bench.declared = declared(simulators, key="the-old-key-of-last-year")
    problem = fails(bench)
    assert "401" in problem.reason
    assert "key" in problem.remedy
    assert "the-old-key" not in f"{problem.reason} {problem.remedy} {bench.told}"
    assert names(simulators) == {"production": (LIVE, RIGHT)}


def test_where_nothing_was_published_nothing_is_again(bench: Bench, simulators: Simulators) -> None:
    """The first publishing that fails leaves no name behind."""
    seed(simulators)
    bench.declared = declared(simulators, resource=WRONG)
    fails(bench)
    assert bench.told.undone == "nothing is published as production"
    assert names(simulators) == {}


def test_what_was_published_on_another_resource_goes_back_there(bench: Bench, simulators: Simulators) -> None:
    """It is put back as it was, and not as it is declared."""
    seed(simulators, live(originalPublishResourceId=f"{ACCOUNTS}/first"))
    simulators.vision.seed(settings={"prediction_resources": [RIGHT, WRONG, f"{ACCOUNTS}/first"]})
    bench.declared = declared(simulators, resource=WRONG)
    fails(bench)
    assert names(simulators) == {"production": (LIVE, f"{ACCOUNTS}/first")}


def test_an_iteration_that_moved_goes_back_to_its_resource(bench: Bench, simulators: Simulators) -> None:
    """It had the name before, on another resource than is declared by now."""
    seed(simulators)
    by_hand(bench, OURS)
    bench.declared = declared(simulators, resource=WRONG)
    fails(bench)
    assert bench.told.undone == "Iteration 2 is published as production as before"
    assert names(simulators) == {"production": (OURS, RIGHT)}


@pytest.mark.guarantee(4)
def test_a_publishing_that_comes_late_is_undone(bench: Bench, simulators: Simulators) -> None:
    """Its answer was lost, and it is carried out after it was called off: it is looked for twice."""
    seed(simulators, live())
    was = {"id": LIVE, "label": "Iteration 1", "resource": RIGHT}
    result = {"project": PROJECT, "iteration": OURS, "name": "production", "label": "Iteration 2", "was": was}
    result |= {"resource": RIGHT, "previous": LIVE}
    params = Vision(project="fruit", iteration=OURS, name="production")
    first = undo(params, bench.job("undo", result))
    assert isinstance(first, Pending)
    by_hand(bench, OURS)
    second = undo(params, bench.job("undo", result, first.memory))
    assert second == Done(note="Iteration 1 is published as production as before")
    assert names(simulators) == {"production": (LIVE, RIGHT)}


def test_a_wrong_guess_of_the_prediction_resource_gives_the_name_back(bench: Bench, simulators: Simulators) -> None:
    """What is published must see what it saw before."""
    seed(simulators, live())

    def confuse() -> None:
        guesses = [{"tagName": "pear", "probability": 0.9}]
        simulators.vision.seed(settings={"predictions": guesses})

    bench.before_stage = before("smoke", confuse)
    problem = fails(bench)
    assert 'is not seen; on top is "pear" with 0.9' in problem.reason
    assert names(simulators) == {"production": (LIVE, RIGHT)}


def test_what_somebody_else_published_meanwhile_is_left(bench: Bench, simulators: Simulators) -> None:
    """Ours fails, but the name is another's by then."""
    seed(simulators, live(), {"id": THIRD, "name": "Iteration 0", "trainedAt": OLD})
    bench.declared = declared(simulators, key="wrong")
    bench.before_stage = before("undo", lambda: by_hand(bench, THIRD))
    fails(bench)
    assert bench.told.undone == "Iteration 0 is left, which somebody else has published as production"
    assert names(simulators) == {"production": (THIRD, RIGHT)}


def test_what_somebody_has_unpublished_meanwhile_stays_so(bench: Bench, simulators: Simulators) -> None:
    """A person has taken it away after ours was published: nothing is put in its place."""
    seed(simulators, live())
    at = Resource.of(bench.declared.vision["fruit"].training)
    bench.before_stage = before("smoke", lambda: bench.clients.vision.iterations.unpublish(at, PROJECT, OURS))
    assert "Invalid iteration" in fails(bench).reason
    assert bench.told.undone == "nothing is published as production: somebody has unpublished it"
    assert names(simulators) == {}


def lose(bench: Bench) -> None:
    """Do half of what taking the name over is: take it from the iteration that has it."""
    at = Resource.of(bench.declared.vision["fruit"].training)
    bench.clients.vision.iterations.unpublish(at, PROJECT, LIVE)


@pytest.mark.guarantee(4)
@pytest.mark.parametrize("status", [400, 500])
def test_a_name_that_our_own_request_lost_is_given_back(bench: Bench, simulators: Simulators, status: int) -> None:
    """The service takes it from the old iteration, and fails before the new one has it, once or at each attempt."""
    seed(simulators, live())
    client = bench.clients.vision.iterations
    publishes = client.publish

    def half(at: Resource, project: str, id: str, *given: Any, **told: Any) -> None:
        if id != OURS:
            return publishes(at, project, id, *given, **told)
        if names(simulators):
            lose(bench)
            if status == 500:
                raise UnansweredError("it was not answered")
        raise PermanentError("it is refused")

    client.publish = half  # type: ignore[method-assign] # what the service does by one request
    assert fails(bench).reason == "it is refused"
    assert bench.told.undone == "Iteration 1 is published as production as before"
    assert names(simulators) == {"production": (LIVE, RIGHT)}


def test_what_was_deleted_meanwhile_cannot_be_published_again(bench: Bench, simulators: Simulators) -> None:
    """Ours has failed, and what was before is gone: nothing is published, and that is said."""
    seed(simulators, live())
    at = Resource.of(bench.declared.vision["fruit"].training)
    bench.declared = declared(simulators, key="wrong")
    bench.before_stage = before("smoke", lambda: bench.clients.vision.iterations.delete(at, PROJECT, LIVE))
    fails(bench)
    assert bench.told.undone.startswith("Iteration 1, which was published before, was deleted meanwhile: nothing is")
    assert names(simulators) == {}


def test_what_was_live_before_stays_live_where_it_does_not_answer(bench: Bench, simulators: Simulators) -> None:
    """A replay that cannot ask the prediction resource takes nothing away."""
    seed(simulators)
    by_hand(bench, OURS)
    bench.declared = declared(simulators, key="wrong")
    fails(bench)
    assert bench.told.undone == "Iteration 2 is published as production as before"
    assert names(simulators) == {"production": (OURS, RIGHT)}
    assert simulators.vision.seen("DELETE", "/publish") == []


# -- broken wires -----------------------------------------------------------------------------------------------------


@pytest.mark.guarantee(3)
@pytest.mark.parametrize("kind", ["drop", "lost_reply", "throttle", "unavailable"])
@pytest.mark.parametrize("path", ["/iterations", "/tags", "/images", "/quicktest", "/publish", "/prediction"])
def test_a_request_that_goes_wrong_is_made_again(kind: str, path: str, bench: Bench, simulators: Simulators) -> None:
    """At whatever request, whether it was carried out or not: in the end it is published once."""
    seed(simulators, live())
    simulators.vision.fault(kind, path=path)
    told = publish(bench, samples=1, within="20s")
    assert told.result["previous"] == LIVE
    assert names(simulators) == {"production": (OURS, RIGHT)}


@pytest.mark.parametrize("body", ["[]", "no JSON", "{}", '{"predictions": [{"tagName": "lemon", "probability": 7}]}'])
def test_a_prediction_that_is_nonsense_counts_for_nothing(body: str, bench: Bench, simulators: Simulators) -> None:
    """It is asked again, and passes on what it says then."""
    seed(simulators)
    simulators.vision.fault("error", n=2, path="/quicktest", status=200, body=body)
    told = publish(bench, samples=1)
    assert told.troubles
    assert told.result["asked"] is True


# -- how it is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "name"),
        ({"name": ""}, "can stand in a URL"),
        ({"name": "a/b"}, "can stand in a URL"),
        ({"name": ".."}, "can stand in a URL"),
        ({"name": "a\nb"}, "can stand in a URL"),
        ({"name": "a\x00"}, "can stand in a URL"),
        ({"name": "x" * 129}, "at most 128"),
        ({"name": "a", "sample": "https://example.com/lemon.png"}, "must have `expects`"),
        ({"name": "a", "expects": "lemon"}, "must have `expects`"),
        ({"name": "a", "expects": "lemon", "sample": "lemon.png"}, "must be the URL of an image"),
        ({"name": "a", "expects": "lemon", "sample": "http://example.com/lemon.png"}, "must be https"),
        ({"name": "a", "probability": 1.1}, "less than or equal to 1"),
        ({"name": "a", "samples": 0}, "greater than or equal to 1"),
        ({"name": "a", "samples": 21}, "less than or equal to 20"),
        ({"name": "a", "within": "soon"}, "must be a duration"),
    ],
)
def test_parameters_that_are_wrong_are_refused(given: dict[str, Any], said: str) -> None:
    """Each names what is wrong with it."""
    with pytest.raises(ValueError, match=said):
        Vision.model_validate({"project": "fruit", "iteration": OURS, **given})


@pytest.mark.guarantee(6)
def test_a_sample_is_not_shown() -> None:
    """Its URL may carry a SAS, which a setting filled in."""
    url = "https://a.blob.core.windows.net/c/lemon.png?sig=a-secret"
    params = Vision.model_validate({"project": "fruit", "name": "a", "sample": url, "expects": "lemon"})
    assert "a-secret" not in f"{params!r}{Sample('lemon', url=params.sample)!r}"


@pytest.mark.parametrize(
    ("guesses", "on_top", "problem", "detects"),
    [
        ([], False, 'nothing is seen, and not "lemon"', False),
        ([Guess("lemon", 0.5)], True, "", False),
        ([Guess("lemon", 0.49)], False, '"lemon" has 0.49, and not at least 0.5; on top is "lemon" with 0.49', False),
        ([Guess("plum", 0.6), Guess("lemon", 0.55)], False, "", False),
        ([Guess("plum", 0.6), Guess("lemon", 0.55)], True, 'on top is "plum" with 0.6', False),
        ([Guess("plum", 0.6), Guess("lemon", 0.6)], True, "", False),
        ([Guess("plum", 0.6)], False, '"lemon" is not seen; on top is "plum" with 0.6', False),
        ([Guess("lemon", 0.9, Box(0, 0, 1, 1)), Guess("lemon", 0.1, Box(0, 0, 1, 1))], False, "", True),
        ([Guess("lemon", 0.1), Guess("lemon", 0.9)], True, "", False),
    ],
)
def test_what_is_seen_is_judged(guesses: list[Guess], problem: str, *, on_top: bool, detects: bool) -> None:
    """The tag must be among the guesses with its probability; on top where a single image was given for it."""
    told = judge(guesses, "lemon", 0.5, on_top=on_top)
    assert (told.problem, told.detects) == (problem, detects)
