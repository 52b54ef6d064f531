"""train.vision over real https against the simulated service, which really learns from the images it has."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.actions import Action, Person, Status
from shared.decisions import Caller
from shared.endings import answered_once
from shared.errors import PermanentError, TemporaryError
from shared.handlers.vision import train
from shared.handlers.vision.training import Vision
from shared.rules.declared import Declared
from shared.settings import Settings
from shared.stages import Done, End, Job, Pending
from shared.storage import prepare
from tests.integration.stages import Bench, Told, clients_of, event_of
from tests.integration.test_limits import deliver_all
from tests.integration.world import CrashAt, Wire, World

EVENTS = Path(__file__).parents[1] / "events"
CONNECTED = json.loads((EVENTS / "vision_connection_test.json").read_text("utf-8"))
COMPACT_DETECTION = "a27d5ca5-bb19-49d8-a70a-fec086c47f5b"
GENERAL_DETECTION = "da2e3a8a-40a5-4171-82f4-58522f70fbc1"
LOGO = "1d8ffafe-ec40-4fb2-8f90-72b3b6cecea4"
ADVANCED = "a8e3c40f-fb4a-466f-832a-5e457ae4a344"
"""The domain General [A1]."""
BEFORE = {"name": "Iteration 0", "created": "2026-01-01T00:00:00Z"}
LEAD = Caller(Person(id="0a", name="lead@example.com"), frozenset({"lead@example.com"}))
STRIDE = int(os.environ.get("STRIDE", "7"))
"""Every so manieth boundary is crashed at, beside each request to the service; 1 tries all."""
Make = Callable[..., Bench]


@pytest.fixture
def project() -> str:
    """Give a project's id."""
    return str(uuid4())


@pytest.fixture
def make(simulators: Simulators, azurite: str, project: str) -> Make:
    """Keep a project with images of apples and of pears, and make what answers an event of it."""

    def make(**given: Any) -> Bench:
        images = {"count": 20, "tags": ["apple", "pear"]}
        simulators.vision.seed(
            projects=[{"id": project, "name": "fruit", "images": images} | given], settings={"training_seconds": 0.2}
        )
        declared = {"fruit": {"project": project, "training": {"endpoint": simulators.vision.url, "key": "${KEY}"}}}
        event = {**CONNECTED, "Content": {"projectId": project}}
        clients = clients_of(simulators, azurite)
        declarations = Declared.model_validate({"vision": declared})
        return Bench(clients, declarations, event_of(json.dumps(event)), {"KEY": KEY})

    return make


def step(**given: Any) -> Vision:
    """Make the step's parameters, as they are once they are filled in."""
    return Vision.model_validate({"project": "fruit"} | given)


def iterations(simulators: Simulators) -> list[dict[str, Any]]:
    """Give the iterations that the service has, oldest first."""
    (project,) = simulators.vision.state()["projects"]
    return sorted(project["iterations"].values(), key=lambda one: str(one["created"]))


def asked(simulators: Simulators) -> list[str]:
    """Give the trainings that were asked for: their queries."""
    return [one["url"].partition("?")[2] for one in simulators.vision.seen("POST", "/train?")]


def checked(bench: Bench, **given: Any) -> Job:
    """Do the first stage, and tell the next."""
    done = train.check(step(**given), bench.job())
    assert isinstance(done, Done)
    return bench.job("train", done.result)


# -- what goes well ---------------------------------------------------------------------------------------------------


def test_a_project_is_trained_and_measured(make: Make, simulators: Simulators, project: str) -> None:
    """What later steps need is in the result: the iteration, what it achieves, and its worst tag."""
    told = make().run("train.vision")
    (one,) = iterations(simulators)
    assert told.result["iteration"] == one["id"]
    assert (told.result["name"], told.result["started"], told.result["minutes"]) == ("Iteration 1", True, 1)
    assert told.result["links"] == {"studio": f"https://www.customvision.ai/projects/{project}"}
    assert told.result["performance"] == {"precision": 1.0, "recall": 1.0, "average_precision": 1.0}
    assert told.result["worst_tag"]["name"] in {"apple", "pear"}
    assert told.notes[0] == "20 images of 2 tags"
    assert told.notes[-1] == "precision 1.000, recall 1.000"
    assert told.troubles == []
    assert asked(simulators) == ["trainingType=Regular"]
    for path in train.RESULTS[Vision]:
        name, _, part = path.partition(".")
        assert not part or part in told.result[name]


def test_the_worst_tag_is_that_of_the_least_average_precision(make: Make, simulators: Simulators) -> None:
    """Where nobody says it, the lesser of precision and recall counts."""
    bench = make()

    def tag(name: str, *measures: float | None) -> dict[str, Any]:
        precision, recall, average = measures
        return {"name": name, "precision": precision, "recall": recall, "averagePrecision": average}

    reached = {"precision": 0.8, "recall": 0.7, "averagePrecision": 0.75}
    tags = [tag("apple", 0.1, 0.1, 0.9), tag("pear", 0.9, 0.9, 0.6)]
    simulators.vision.seed(settings={"performance": reached | {"perTagPerformance": tags}})
    told = bench.run("train.vision")
    assert told.result["performance"] == {"precision": 0.8, "recall": 0.7, "average_precision": 0.75}
    assert told.result["worst_tag"] == {"name": "pear", "precision": 0.9, "recall": 0.9, "average_precision": 0.6}
    tags = [tag("apple", 0.9, 0.3, None), tag("pear", 0.5, 0.9, None)]
    simulators.vision.seed(settings={"performance": reached | {"perTagPerformance": tags}})
    assert bench.run("train.vision", force=True).result["worst_tag"]["name"] == "apple"


def test_all_that_a_training_can_be_told_is_told(make: Make, simulators: Simulators) -> None:
    """Type, budget, tags by their names, force, and whom the service writes to."""
    bench = make(settings={"domainId": ADVANCED}, images={"count": 30, "tags": ["apple", "pear", "fig"]})
    bench.run("train.vision", type="advanced", budget="2h", force=True, tags=["fig", "apple"], email="ada@example.com")
    (query,) = asked(simulators)
    assert query == (
        "trainingType=Advanced&reservedBudgetInHours=2&forceTrain=true&notificationEmailAddress=ada%40example.com"
    )
    (project,) = simulators.vision.state()["projects"]
    ids = {tag["name"]: tag["id"] for tag in project["tags"]}
    (request,) = simulators.vision.seen("POST", "/train?")
    assert json.loads(request["body"]) == {"selectedTags": [ids["fig"], ids["apple"]]}
    (one,) = iterations(simulators)
    assert (one["trainingType"], one["reservedBudgetInHours"], one["images"]) == ("Advanced", 2, 20)


def test_a_project_that_finds_things_is_trained(make: Make) -> None:
    """With fifteen images of each tag."""
    images = {"count": 30, "tags": ["apple", "pear"]}
    told = make(settings={"domainId": COMPACT_DETECTION}, images=images).run("train.vision")
    assert told.result["performance"]["average_precision"] is not None


# -- what is no error -------------------------------------------------------------------------------------------------


def test_that_nothing_has_changed_is_an_outcome(make: Make, simulators: Simulators) -> None:
    """The action ends as skipped and says so; with `force` it trains."""
    bench = make()
    bench.run("train.vision")
    told = bench.run("train.vision")
    assert told.end is not None
    assert told.end.status is Status.SKIPPED
    assert told.end.reason.startswith("nothing has changed since the last training, so none is needed: ")
    assert told.undone == ""
    assert len(iterations(simulators)) == 1
    assert bench.run("train.vision", force=True).result["name"] == "Iteration 2"


def test_a_training_that_is_under_way_may_be_followed(make: Make, simulators: Simulators) -> None:
    """Its end is ours, and the result says that it was not ours to begin."""
    bench = make()
    somebody_trains(bench, simulators, 0.4)
    told = bench.run("train.vision", under_way="follow")
    assert (told.result["started"], told.result["name"]) == (False, "Iteration 1")
    assert told.result["performance"]["precision"] == 1.0
    assert len(asked(simulators)) == 1


def somebody_trains(bench: Bench, simulators: Simulators, seconds: float = 60) -> None:
    """Have somebody else begin to train it."""
    simulators.vision.seed(settings={"training_seconds": seconds})
    params = step(force=True)
    assert isinstance(train.start(params, bench.job(result={"tags": [], "known": []})), Done)


def test_a_training_that_begins_meanwhile_may_be_followed(make: Make, simulators: Simulators) -> None:
    """Somebody was quicker: the service refuses a second one, and that is no error."""
    bench = make()
    job = checked(bench)
    somebody_trains(bench, simulators)
    assert train.find(step(under_way="follow"), job) is None
    done = train.start(step(under_way="follow"), job)
    assert isinstance(done, Done)
    assert done.result == {"iteration": iterations(simulators)[0]["id"], "name": "Iteration 1", "started": False}
    assert done.note == "Iteration 1 was being trained already, and is followed"


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_training_under_way_is_waited_for(when: str, make: Make, simulators: Simulators) -> None:
    """Its notification brings the next look forward; then ours begins, with what is new since."""
    bench = make()
    job = checked(bench)
    somebody_trains(bench, simulators, 0.3)
    if when == "meanwhile":
        done = train.start(step(), job)
        assert isinstance(done, Done)
        assert done.next == "check"
    pending = train.check(step(), job)
    assert isinstance(pending, Pending)
    (one,) = iterations(simulators)
    assert pending.wake_on == f"training:{one['projectId']}/{one['id']}"
    told = bench.run("train.vision", force=True)
    assert told.notes[0] == "waits for Iteration 1, which is being trained"
    assert (told.result["started"], told.result["name"]) == (True, "Iteration 2")


def test_a_training_that_had_it_all_is_waited_for_and_was_enough(make: Make, simulators: Simulators) -> None:
    """Where nothing is new since, the action ends as skipped, as it does right after a training."""
    bench = make()
    somebody_trains(bench, simulators, 0.3)
    told = bench.run("train.vision")
    assert told.end is not None
    assert told.end.reason.startswith("nothing has changed since the last training")
    assert len(iterations(simulators)) == 1


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_training_under_way_may_be_enough(when: str, make: Make, simulators: Simulators) -> None:
    """Then the action ends as skipped."""
    bench = make()
    job = checked(bench)
    somebody_trains(bench, simulators)
    params = step(under_way="skip")
    end = train.check(params, job) if when == "before" else train.start(params, job)
    assert end == End(Status.SKIPPED, "Iteration 1 is being trained already")


def test_a_training_that_is_not_listed_yet_is_looked_for_again(make: Make, simulators: Simulators) -> None:
    """The service refuses a second one, and its listing lags behind."""
    bench = make()
    job = checked(bench)
    somebody_trains(bench, simulators)
    simulators.vision.fault("lag", method="GET", path="/iterations$")
    with pytest.raises(TemporaryError, match="not listed yet"):
        train.start(step(), job)


# -- lost replies, and other trouble ----------------------------------------------------------------------------------


@pytest.mark.guarantee(3)
def test_a_lost_reply_trains_once(make: Make, simulators: Simulators) -> None:
    """The iteration is found by being new since then, and is ours."""
    bench = make(iterations=[BEFORE])
    simulators.vision.fault("lost_reply", method="POST", path="/train$")
    told = bench.run("train.vision")
    assert [one["name"] for one in iterations(simulators)] == ["Iteration 0", "Iteration 2"]
    assert len(asked(simulators)) == 1
    assert told.result["started"] is True
    assert told.result["iteration"] == iterations(simulators)[1]["id"]


@pytest.mark.guarantee(3)
def test_what_is_found_is_new_since_the_start(make: Make, simulators: Simulators) -> None:
    """An older one that the listing did not show at first is not taken for ours; of two new ones ours is the first."""
    now = datetime.now(UTC)
    ids = [str(uuid4()) for _ in range(3)]
    created = [now - timedelta(seconds=ago) for ago in (3600, 5, 20)]
    there = [{"id": id_, "created": at.isoformat()} for id_, at in zip(ids, created, strict=True)]
    bench = make(iterations=there)
    job = replace(bench.job(result={"known": []}), starting_at=now - timedelta(seconds=30))
    found = train.find(step(), job)
    assert isinstance(found, Done)
    assert (found.result["iteration"], found.result["started"]) == (ids[2], True)
    assert train.find(step(), replace(job, result={"known": ids[1:]})) is None
    assert train.find(step(), replace(job, starting_at=None)) is None


@pytest.mark.guarantee(3)
def test_a_lost_reply_and_a_listing_that_lags_train_once(make: Make, simulators: Simulators) -> None:
    """It was looked for in vain, and is asked for again: the service refuses that, and the training is ours."""
    bench = make()
    job = checked(bench)
    somebody_trains(bench, simulators)
    done = train.start(step(), replace(job, starting_at=datetime.now(UTC)))
    assert isinstance(done, Done)
    assert done.result["started"] is True


def test_a_service_that_is_busy_is_asked_again(make: Make, simulators: Simulators) -> None:
    """A throttled answer is no start, so it costs time and nothing else."""
    bench = make()
    simulators.vision.fault("throttle", method="POST", path="/train$")
    simulators.vision.fault("throttle", method="GET", path="/performance$", retry_after=9)
    told = bench.run("train.vision")
    assert len(told.troubles) == 2
    assert "retry after 1 second" in told.troubles[0]
    assert len(iterations(simulators)) == 1
    assert told.result["performance"]["recall"] == 1.0


def test_a_performance_that_cannot_be_read_fails_nothing(make: Make, simulators: Simulators) -> None:
    """The iteration is trained; what is not known is None, and the note says why."""
    bench = make()
    simulators.vision.fault("error", n=9, method="GET", path="/performance$", status=400, body={"code": "x"})
    told = bench.run("train.vision")
    assert told.notes[-1].startswith("its performance could not be read: ")
    assert told.result["performance"] == dict.fromkeys(("precision", "recall", "average_precision"))
    assert told.result["worst_tag"]["name"] is None
    simulators.vision.fault("unavailable", n=9, method="GET", path="/performance$")
    late = replace(bench.job("performance", told.result), began=datetime.now(UTC) - timedelta(minutes=11))
    assert isinstance(train.measure(step(), late), Done)


# -- how it ends otherwise --------------------------------------------------------------------------------------------


def failure(bench: Bench, **params: Any) -> PermanentError:
    """Have the step fail, and give why."""
    with pytest.raises(PermanentError) as failed:
        bench.run("train.vision", **params)
    return failed.value


def test_a_training_that_fails_says_why(make: Make, simulators: Simulators, project: str) -> None:
    """In the service's words, where it has any."""
    bench = make()
    simulators.vision.seed(settings={"training_outcome": "Failed", "training_error": "the images are all the same"})
    failed = failure(bench)
    assert failed.reason == "the training of Iteration 1 failed: the images are all the same"
    assert f"https://www.customvision.ai/projects/{project}" in failed.remedy
    assert bench.told.undone == ""
    simulators.vision.seed(settings={"training_error": None})
    assert failure(bench, force=True).reason == "the training of Iteration 2 failed"


def test_an_iteration_that_is_deleted_under_our_feet_is_told(make: Make, simulators: Simulators) -> None:
    """After a few looks in vain, since a new one may not be seen everywhere at once."""
    bench = make()
    simulators.vision.seed(settings={"training_seconds": 60})
    bench.before_stage = lambda name: forget(simulators) if name == "watch" else None
    failed = failure(bench)
    assert failed.reason == "Iteration 1 is gone: somebody deleted it while it was trained"
    assert bench.told.notes[-3:-1] == ["Iteration 1 cannot be seen"] * 2


def forget(simulators: Simulators) -> None:
    """Have all iterations deleted."""
    (one,) = simulators.vision.state()["projects"]
    simulators.vision.seed(projects=[{"id": one["id"], "name": "fruit"}])


def test_a_step_that_ends_early_says_that_its_training_goes_on(make: Make, simulators: Simulators) -> None:
    """Nobody can cancel it, so nobody tries; whose state cannot be read is said to go on."""
    bench = make()
    simulators.vision.seed(settings={"training_seconds": 60})

    def before_stage(name: str) -> None:
        if name == "watch":
            raise PermanentError("called off")

    bench.before_stage = before_stage
    failure(bench)
    goes_on = "the training of Iteration 1 goes on: Custom Vision cancels none"
    assert bench.told.undone == goes_on
    assert [one["method"] for one in simulators.vision.seen() if one["method"] not in {"GET", "POST"}] == []
    unanswered = train.leave(step(), bench.job("leave", {"known": []}))
    assert isinstance(unanswered, Done)
    assert unanswered.note == goes_on
    other = train.leave(step(), bench.job("leave", {"iteration": str(uuid4())}))
    assert other == Done()
    simulators.vision.fault("unavailable", n=9, method="GET", path="/iterations$")
    unread = train.leave(step(), bench.job("leave", {"iteration": "x"}))
    assert unread == Done(note="a training that was begun goes on: Custom Vision cancels none")
    assert train.leave(step(), bench.job("leave", {})) == Done()


def test_a_budget_is_given_beside_the_time_it_may_take() -> None:
    """An advanced training of two days is not given up after one."""
    (watch,) = (stage for stage in train.STAGES[Vision] if stage.name == "watch")
    assert watch.within is not None
    assert watch.within(step(type="advanced", budget="48h")) == timedelta(days=3)
    assert watch.within(step(within="2h")) == timedelta(hours=2)


# -- what is refused before the service is asked ----------------------------------------------------------------------


def test_a_tag_of_too_few_images_is_named(make: Make, simulators: Simulators) -> None:
    """With how many it has; the others can be trained without it."""
    few = [{"tags": ["fig"]}] * 4 + [{"tags": ["nothing"]}] * 2
    plenty = [{"tags": [name]} for name in ("apple", "pear") for _ in range(5)]
    bench = make(images=[*plenty, *few], tags=["kiwi", {"name": "nothing", "type": "Negative"}])
    failed = failure(bench)
    assert failed.reason == 'classification needs 5 images of each tag: "fig" has 4'
    assert "upload more images" in failed.remedy
    assert failure(bench, tags=["kiwi", "apple"]).reason.endswith('of each tag: "kiwi" has 0')
    assert asked(simulators) == []
    assert bench.run("train.vision", tags=["apple", "pear"]).result["started"] is True


def test_tags_without_images_are_left_out(make: Make, simulators: Simulators) -> None:
    """The others are trained by their ids, and the note says so; what is on purpose without a tag is not left out."""
    plenty = [{"tags": [name]} for name in ("apple", "pear") for _ in range(5)]
    empty = [f"kiwi{number:02}" for number in range(11)]
    bench = make(images=plenty, tags=[*empty, {"name": "nothing", "type": "Negative"}])
    told = bench.run("train.vision")
    assert told.result["name"] == "Iteration 1"
    assert told.notes[0] == (f"10 images of 3 tags; without images, and left out: {', '.join(empty[:10])} and 1 more")
    (project,) = simulators.vision.state()["projects"]
    (request,) = simulators.vision.seen("POST", "/train?")
    chosen = [tag["id"] for tag in project["tags"] if tag["name"] not in empty]
    assert sorted(json.loads(request["body"])["selectedTags"]) == sorted(chosen)


@pytest.mark.parametrize(
    ("domain", "images", "said"),
    [
        (None, 5, "classification needs 2 or more tags with images, and there are none of kiwi"),
        (None, 0, "classification needs 2 or more tags with images, and there are none of apple, kiwi"),
        (GENERAL_DETECTION, 0, "detection needs 1 or more tags with images, and there are none of apple, kiwi"),
    ],
)
def test_too_few_tags_with_images_are_refused(
    domain: str | None, images: int, said: str, make: Make, simulators: Simulators
) -> None:
    """There would be nothing to tell apart, and the service does not say what is missing."""
    settings = {"settings": {"domainId": domain}} if domain else {}
    bench = make(images=[{"tags": ["apple"]}] * images, tags=["kiwi"] if images else ["apple", "kiwi"], **settings)
    failed = failure(bench)
    assert failed.reason == said
    assert failed.remedy == "upload images that have these tags"
    assert asked(simulators) == []


def test_a_project_that_finds_things_needs_more_of_them(make: Make) -> None:
    """Fifteen of each; of many tags not all are named."""
    names = [f"tag{number:02}" for number in range(12)]
    bench = make(settings={"domainId": GENERAL_DETECTION}, images={"count": 168, "tags": names})
    reason = failure(bench).reason
    assert reason.startswith('detection needs 15 images of each tag: "tag00" has 14, ')
    assert reason.endswith("and 2 more have too few")


def test_a_project_without_tags_is_told(make: Make) -> None:
    """There is nothing to learn."""
    assert failure(make(images=[])).reason == "project fruit has no tags"


def test_a_tag_that_there_is_none_of_is_named(make: Make, simulators: Simulators) -> None:
    """Beside those that there are."""
    failed = failure(make(), tags=["apple", "Pear", "plum"])
    assert failed.reason == 'tags: project fruit has no tag "Pear", "plum"; it has apple, pear'
    assert "case" in failed.remedy
    assert asked(simulators) == []


def test_a_project_that_is_full_is_told(make: Make, simulators: Simulators) -> None:
    """Twenty iterations are all it may have; the remedy is a step of ours."""
    bench = make(iterations=[{"name": f"Iteration {number}"} for number in range(20)])
    failed = failure(bench)
    assert failed.reason == "project fruit has 20 iterations, which is all it may have"
    assert "prune.vision" in failed.remedy
    assert asked(simulators) == []
    make(iterations=[{"name": f"Iteration {number}"} for number in range(19)])
    assert bench.run("train.vision").result["started"] is True


def test_a_copy_for_disaster_recovery_is_not_trained(make: Make, simulators: Simulators) -> None:
    """It is read-only."""
    assert "disaster recovery" in failure(make(drModeEnabled=True)).reason
    assert asked(simulators) == []


def test_a_project_that_is_imported_is_waited_for(make: Make) -> None:
    """One whose import failed is not."""
    pending = train.check(step(), make(status="Importing").job())
    assert isinstance(pending, Pending)
    assert pending.note == "project fruit is being imported"
    assert "not imported whole" in failure(make(status="Failed")).reason


def test_what_the_service_refuses_has_a_remedy(make: Make) -> None:
    """A domain that cannot be trained for long says so in the service's words."""
    bench = make(settings={"domainId": LOGO}, images={"count": 30, "tags": ["apple", "pear"]})
    failed = failure(bench, type="advanced", budget="1h")
    assert "BadRequestDomainNotSupportedForAdvancedTraining" in failed.reason
    assert failed.remedy


def test_a_project_of_another_resource_is_told(make: Make, simulators: Simulators, project: str) -> None:
    """The remedy names the resource and the id."""
    bench = make()
    simulators.vision.reset()
    failed = failure(bench)
    assert failed.reason == f"the training resource at 127.0.0.1 has no project {project}"
    assert "training resource" in failed.remedy


@pytest.mark.guarantee(6)
def test_a_key_that_was_rotated_is_told(make: Make) -> None:
    """The key is not."""
    bench = make()
    bench.values = {"KEY": "an-older-key"}
    failed = failure(bench)
    assert "401" in failed.reason
    assert "current key" in failed.remedy
    assert "an-older-key" not in failed.reason + failed.remedy


@pytest.mark.guarantee(7)
def test_a_project_that_is_not_declared_is_not_asked_for(make: Make, simulators: Simulators) -> None:
    """No request leaves."""
    bench = make()
    with pytest.raises(PermanentError, match="is not declared"):
        bench.run("train.vision", project=str(uuid4()))
    assert simulators.vision.seen() == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"type": "advanced"}, "must have a budget"),
        ({"budget": "2h"}, "must have type: advanced"),
        ({"type": "advanced", "budget": "90m"}, "whole hours"),
        ({"email": "ada"}, "email"),
        ({"under_way": "again"}, "under_way"),
    ],
)
def test_parameters_are_checked(given: dict[str, Any], said: str) -> None:
    """Each error names the field, or says what is missing."""
    with pytest.raises(ValueError, match=said):
        step(**given)


# -- whole actions ----------------------------------------------------------------------------------------------------


class Trained:
    """A world with one rule that trains, and the event that it answers."""

    def __init__(self, bench: Bench, simulators: Simulators, azurite: str, **rule: Any) -> None:
        project = bench.event.facts["vision"]["project"]
        settings = Settings.read({"AzureWebJobsStorage": azurite, "KEY": KEY})
        prepare(bench.clients.account, settings.backup_container)
        declared = {"fruit": {"project": project, "training": {"endpoint": simulators.vision.url, "key": "${KEY}"}}}
        given = {"name": "work", "on": "TrainingFailed", "do": ["train.vision"]} | rule
        self.world = World(settings, json.dumps({"version": 1, "vision": declared, "rules": [given]}), Wire())
        content = {"projectId": project, "iterationId": str(uuid4()), "trainingStatus": "TrainingFailed"}
        self.event = json.dumps({"version": "1.0", "type": "Training", "Content": content})

    def begin(self) -> str:
        """Have the event answered, and name the action."""
        self.world.reactor.receive("vision_notification", self.event)
        (key,) = (row.key for row in self.world.records.list_open() if row.what == "action")
        return key

    def action(self, key: str) -> Action:
        """Read the action."""
        found = self.world.records.read_action(key)
        assert found is not None
        return found


def test_its_notification_ends_the_waiting(
    make: Make, simulators: Simulators, azurite: str, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's own message, through the door, wakes the action that waits: no time passes."""
    bench = make()
    queue = f"q-{uuid4().hex}"
    bench.clients.account.queues.create_queue(queue)
    url = f"{bench.clients.account.queues.url.rstrip('/')}/{queue}"
    make(settings={"notificationQueueUri": url})
    simulators.vision.seed(settings={"training_seconds": 0.5})
    story = Trained(bench, simulators, azurite)
    story.world.install(monkeypatch)
    key = story.begin()
    deliver_all(story.world)
    waiting = story.action(key)
    assert (waiting.progress[-1].stage, waiting.is_open) == ("watch", True)
    assert waiting.progress[-1].wake_on.startswith(f"training:{project}/")
    (message,) = simulators.vision.until(lambda state: state["sent"])["sent"]
    story.world.reactor.receive("vision_notification", json.dumps(message))
    deliver_all(story.world)
    assert story.action(key).status is Status.SUCCEEDED


def test_the_notification_of_somebody_elses_training_ends_the_waiting_for_it(
    make: Make, simulators: Simulators, azurite: str, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time passes until ours begins; it has what was uploaded since."""
    bench = make()
    queue = f"q-{uuid4().hex}"
    bench.clients.account.queues.create_queue(queue)
    make(settings={"notificationQueueUri": f"{bench.clients.account.queues.url.rstrip('/')}/{queue}"})
    somebody_trains(bench, simulators, 0.5)
    story = Trained(bench, simulators, azurite, do=[{"train.vision": {"force": True}}])
    story.world.install(monkeypatch)
    key = story.begin()
    deliver_all(story.world)
    waiting = story.action(key).progress[-1]
    [first] = iterations(simulators)
    assert (waiting.stage, waiting.wake_on) == ("check", f"training:{project}/{first['id']}")
    assert len(asked(simulators)) == 1
    (message,) = simulators.vision.until(lambda state: state["sent"])["sent"]
    story.world.reactor.receive("vision_notification", json.dumps(message))
    deliver_all(story.world)
    waiting = story.action(key).progress[-1]
    [_, second] = iterations(simulators)
    assert (waiting.stage, waiting.wake_on) == ("watch", f"training:{project}/{second['id']}")
    assert len(asked(simulators)) == 2


def test_a_person_who_calls_it_off_is_told_that_it_goes_on(
    make: Make, simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The action ends as canceled; the service trains on."""
    bench = make()
    simulators.vision.seed(settings={"training_seconds": 60})
    story = Trained(bench, simulators, azurite)
    story.world.install(monkeypatch)
    key = story.begin()
    deliver_all(story.world)
    story.world.reactor.decisions.cancel(key, LEAD, "wrong images")
    story.world.run()
    ended = story.action(key)
    assert ended.status is Status.CANCELED
    assert ended.reason.endswith("; the training of Iteration 1 goes on: Custom Vision cancels none")


def test_a_training_that_hangs_is_given_up(
    make: Make, simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `within`; and it is said that it goes on."""
    bench = make()
    simulators.vision.seed(settings={"training_seconds": 60})
    story = Trained(bench, simulators, azurite, do=[{"train.vision": {"within": "2h"}}])
    story.world.install(monkeypatch)
    key = story.begin()
    story.world.run()
    ended = story.action(key)
    assert ended.status is Status.FAILED
    assert ended.reason.startswith(
        "gave up after 2 hours: Iteration 1 is Training; the training of Iteration 1 goes on"
    )


def test_a_dry_run_touches_nothing(
    make: Make, simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one request is made."""
    story = Trained(make(), simulators, azurite, mode="dry_run")
    story.world.install(monkeypatch)
    key = story.begin()
    story.world.run()
    assert story.action(key).status is Status.SUCCEEDED
    assert simulators.vision.seen() == []


@pytest.mark.guarantee(2, 3)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_crash_anywhere_trains_once(
    make: Make, simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever dies, the action ends as succeeded and there is one iteration."""
    calm = CrashAt(0)
    boundaries: list[str] = []
    number = 0
    while number <= len(boundaries):
        bench = make()
        simulators.vision.seed(settings={"training_seconds": 0})
        story = Trained(bench, simulators, azurite, do=[{"train.vision": {"force": True}}])
        crash = CrashAt(number) if number else calm
        story.world.wire.boundary = crash
        story.world.install(monkeypatch)
        key = story.begin()
        story.world.run()
        boundaries = boundaries or calm.seen
        where = boundaries[number - 1] if number else "nowhere"
        assert story.action(key).status is Status.SUCCEEDED, where
        assert len(iterations(simulators)) == 1, where
        left = range(number + 1, len(boundaries) + 1)
        tried = (at for at in left if at % STRIDE == 0 or ASKED.search(boundaries[at - 1]))
        number = next(tried, len(boundaries) + 1)
        simulators.vision.reset()


ASKED = re.compile("/customvision/")


def test_the_step_is_told_in_full(make: Make) -> None:
    """Nothing of what the stages hand on is secret."""
    told: Told = make().run("train.vision")
    assert KEY not in repr(told)


# -- rules that train for ever ----------------------------------------------------------------------------------------


def test_only_what_was_begun_here_is_noted_as_such(make: Make, simulators: Simulators, project: str) -> None:
    """A training that is followed was begun by somebody else, and its end leads back to them."""
    noted: list[str] = []
    bench = make()
    for started in (True, False):
        job = bench.job("watch", {"started": started, "iteration": project, "name": "one"})
        assert isinstance(train.follow(step(), replace(job, note_begun=noted.append)), Pending)
    assert noted == [answered_once(project, project)]


def test_a_training_that_trainings_led_to_is_not_begun(make: Make, simulators: Simulators, project: str) -> None:
    """What is as deep and answers no event of Custom Vision is: a chain of other outcomes is ended elsewhere."""
    bench = make()
    deep = replace(bench.job(), depth=train.MOST_IN_A_ROW)
    ended = train.check(step(), deep)
    assert isinstance(ended, End)
    assert ended.status is Status.SKIPPED
    assert ended.reason.startswith("3 outcomes led to this training")
    assert simulators.vision.seen("GET", f"/projects/{project}") == []
    assert isinstance(train.check(step(), replace(deep, depth=train.MOST_IN_A_ROW - 1)), Done)
    registered = event_of((EVENTS / "model_registered.json").read_text("utf-8"))
    assert isinstance(train.check(step(), replace(deep, event=lambda: registered)), Done)
