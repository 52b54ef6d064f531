"""Whatever dies, comes late or comes twice while an iteration is published: the newest that passes has the name.

The reactor, its handlers and clients are the real ones, over real tables and over HTTP to the simulated service; the
clock is the test's.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY, PREDICTION_KEY
from shared.actions import Action, Status
from shared.clients.identity import managed_identity
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from tests.integration.test_decisions import ME
from tests.integration.world import CrashAt, Delivery, Wire, World

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

ACCOUNTS = "/subscriptions/1/resourceGroups/r/providers/Microsoft.CognitiveServices/accounts"
RIGHT, WRONG = f"{ACCOUNTS}/fruit-Prediction", f"{ACCOUNTS}/veg-Prediction"
STRIDE = int(os.environ.get("STRIDE", "10"))
"""Beside each write to the service, every so manieth boundary is crashed at; 1 tries all."""
WRITES = re.compile(r" (POST|DELETE) .*/publish")
RULES = """
version: 1
vision:
  fruit:
    project: {project}
    training: {{endpoint: "${{VISION}}", key: "${{VISION_KEY}}"}}
    prediction: {{resource: {resource}, endpoint: "${{VISION}}", key: "${{PREDICTION_KEY}}"}}
rules:
  - name: publish
    on: TrainingCompleted
    from: [fruit]
    do:
      - gate: {{metric: precision, at_least: 0.5, better_than: live}}
      - publish.vision: {{name: production, samples: 2, within: 1m}}
"""
GATE = "      - gate: {{metric: precision, at_least: 0.5, better_than: live}}\n"


@dataclass
class Story:
    """A project with two new iterations beside the one that is published, and the world that hears of them."""

    world: World
    simulators: Simulators
    project: str
    old: str
    new: str
    newer: str

    def say(self, iteration: str) -> str:
        """Tell the reactor that an iteration was trained; give the key of the action."""
        content = {"projectId": self.project, "iterationId": iteration, "trainingStatus": "TrainingCompleted"}
        body = json.dumps({"version": "1.0", "type": "Training", "Content": content})
        before = {row.key for row in self.world.records.list_open() if row.what == "action"}
        self.world.reactor.receive("vision_notification", body)
        (key,) = {row.key for row in self.world.records.list_open() if row.what == "action"} - before
        return key

    def action(self, key: str) -> Action:
        """Read an action."""
        found = self.world.records.read_action(key)
        assert found is not None
        return found

    def names(self) -> dict[str, str]:
        """Read which iteration has which name."""
        (project,) = self.simulators.vision.state()["projects"]
        return {one["publishName"]: id for id, one in project["iterations"].items() if one["publishName"]}

    def published(self) -> list[str]:
        """List which iterations were published, in turn: what the service has carried out."""
        asked = self.simulators.vision.seen("POST", "/publish?")
        return [one["url"].split("/iterations/")[1].partition("/")[0] for one in asked if one["status"] == 200]

    def deliver(self, message: Delivery, until: str) -> None:
        """Deliver a message and those that follow from it, until its action is at a stage."""
        key = json.loads(message.body)["action"]
        while self.action(key).progress[-1:] == [] or self.action(key).progress[-1].stage != until:
            (message,) = [one for one in self.world.queue if json.loads(one.body)["action"] == key]
            self.world.now = max(self.world.now, message.visible)
            self.world.deliver(message)


Begin = Callable[..., Story]


@pytest.fixture
def begin(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Give what begins stories, all over one wire."""
    wire = Wire()
    wire.install(monkeypatch)
    yield partial(begun, simulators, azurite, wire, monkeypatch)
    wire.boundary = lambda _where: None


def begun(
    simulators: Simulators,
    azurite: str,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    *,
    resource: str = RIGHT,
    rules: str = RULES,
) -> Story:
    """Put the service where a story begins: one iteration is published, and two newer ones are trained."""
    simulators.reset()
    project, old, new, newer = (str(uuid4()) for _ in range(4))
    measured = {old: 0.8, new: 0.9, newer: 0.95}
    iterations: list[dict[str, Any]] = [
        {
            "id": id,
            "name": f"Iteration {at}",
            "trainedAt": f"2026-0{at}-01T08:00:00Z",
            "performance": {"precision": good},
        }
        for at, (id, good) in enumerate(measured.items(), 1)
    ]
    iterations[0] |= {"publishName": "production", "originalPublishResourceId": RIGHT}
    images = {"count": 10, "tags": ["lemon", "plum"]}
    simulators.vision.seed(
        projects=[{"id": project, "images": images, "iterations": iterations}],
        settings={"prediction_resources": [RIGHT, WRONG]},
    )
    values = {
        "AzureWebJobsStorage": azurite,
        "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1",
        "VISION": simulators.vision.url,
        "VISION_KEY": KEY,
        "PREDICTION_KEY": PREDICTION_KEY,
    }
    settings = Settings.read(values)
    prepare(Account(settings.storage, managed_identity), settings.backup_container)
    world = World(settings, rules.format(project=project, resource=resource), wire)
    world.install(monkeypatch)
    return Story(world, simulators, project, old, new, newer)


@pytest.fixture
def story(begin: Begin) -> Story:
    """Begin one story."""
    return begin()


def test_a_training_is_measured_and_published(story: Story) -> None:
    """The gate compares with what is published under the name of the step after it, which then takes it."""
    key = story.say(story.new)
    story.world.run()
    action = story.action(key)
    assert (action.status, action.reason) == (Status.SUCCEEDED, "")
    gate, publish = action.progress
    assert gate.result["compared_with"] == story.old
    assert gate.result["live"] == 0.8
    assert publish.result["previous"] == story.old
    assert story.names() == {"production": story.new}
    written = f"{action.model_dump()}"
    assert KEY not in written
    assert PREDICTION_KEY not in written
    assert "sig=" not in written


@pytest.mark.guarantee(4)
@pytest.mark.parametrize("order", [("new", "newer"), ("newer", "new")])
@pytest.mark.parametrize("is_gated", [True, False])
def test_two_trainings_in_either_order(
    order: tuple[str, str],
    begin: Begin,
    *,
    is_gated: bool,
) -> None:
    """One after the other, whichever is heard of first: the newer one has the name in the end."""
    rules = RULES if is_gated else RULES.replace(GATE, "")
    story = begin(rules=rules)
    keys = {}
    for which in order:
        keys[which] = story.say(getattr(story, which))
        story.world.run()
    assert story.names() == {"production": story.newer}
    ended = {which: story.action(key).status for which, key in keys.items()}
    assert ended == {"newer": Status.SUCCEEDED, "new": Status.SUCCEEDED if order[0] == "new" else Status.SKIPPED}
    if order[0] == "newer":
        why = story.action(keys["new"]).reason
        assert "was trained later" in why


@pytest.mark.guarantee(4)
@pytest.mark.parametrize("first", ["new", "newer"])
def test_two_trainings_at_once(first: str, story: Story) -> None:
    """Both pass the gate, and one has the name's lock: the other waits, looks again, and says what is live by now."""
    keys = {which: story.say(getattr(story, which)) for which in ("new", "newer")}
    second = {"new": "newer", "newer": "new"}[first]
    messages = dict(zip(keys, story.world.queue, strict=True))
    story.deliver(messages[first], "publish")
    story.deliver(messages[second], "check")
    story.world.deliver(next(one for one in story.world.queue if json.loads(one.body)["action"] == keys[second]))
    assert (
        story.action(keys[second]).progress[-1].note
        == f"waits for action {keys[first]}, which publishes an iteration of the project, or deletes some"
    )
    story.world.run()
    ended = {which: story.action(key) for which, key in keys.items()}
    assert ended[first].status is Status.SUCCEEDED
    assert ended[second].status is Status.SKIPPED
    said = "with which no gate has compared it" if second == "newer" else "a newer iteration is live"
    assert said in ended[second].reason
    assert story.names() == {"production": getattr(story, first)}


@pytest.mark.guarantee(2, 4)
def test_an_operator_calls_a_publishing_off(begin: Begin) -> None:
    """While the prediction resource is still asked, the name goes back to the iteration that had it."""
    story = begin()
    key = story.say(story.new)
    story.deliver(story.world.queue[0], "smoke")
    assert story.names() == {"production": story.new}
    story.world.reactor.decisions.cancel(key, ME, "freeze")
    story.world.run()
    action = story.action(key)
    assert action.status is Status.CANCELED
    assert "freeze" in action.reason
    assert "Iteration 1 is published as production as before" in action.reason
    assert story.names() == {"production": story.old}


@pytest.mark.guarantee(2, 3)
def test_a_publishing_that_fails_gives_the_name_back_once(begin: Begin) -> None:
    """The prediction resource does not answer for a minute: the failure says why, and what is published now."""
    story = begin(resource=WRONG)
    key, began = story.say(story.new), story.world.now
    story.world.run()
    action = story.action(key)
    assert action.status is Status.FAILED
    assert "Invalid iteration" in action.reason
    assert action.reason.endswith("; Iteration 1 is published as production as before")
    assert action.failure is not None
    assert WRONG in action.failure.remedy
    assert story.published() == [story.new, story.old]
    assert action.ended is not None
    assert timedelta(minutes=1) <= action.ended - began < timedelta(minutes=10)


@pytest.mark.guarantee(3)
@pytest.mark.parametrize("kind", ["lost_reply", "drop", "unavailable"])
def test_a_publishing_that_is_not_answered(kind: str, story: Story) -> None:
    """Whether it was carried out is looked up, and it is done once."""
    story.simulators.vision.fault(kind, n=1, method="POST", path="/publish")
    key = story.say(story.new)
    story.world.run()
    assert story.action(key).status is Status.SUCCEEDED
    assert len(story.simulators.vision.seen("POST", "/publish?")) == (1 if kind == "lost_reply" else 2)
    assert story.names() == {"production": story.new}


@pytest.mark.guarantee(2)
def test_a_name_that_cannot_be_given_back_is_said(begin: Begin) -> None:
    """The training key is rotated in the middle: the failure has what went wrong, and that it could not be undone."""
    story = begin(resource=WRONG)
    key = story.say(story.new)
    story.deliver(story.world.queue[0], "undo")
    story.simulators.vision.seed(revoked_keys=[KEY])
    story.world.run()
    action = story.action(key)
    assert action.status is Status.FAILED
    assert "Invalid iteration" in action.reason
    assert "and that could not be undone: Custom Vision answered 401" in action.reason


@pytest.mark.guarantee(2, 3, 4)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("resource", "status"), [(RIGHT, Status.SUCCEEDED), (WRONG, Status.FAILED)], ids=["published", "given back"]
)
def test_a_crash_at_any_boundary(
    resource: str,
    status: Status,
    begin: Begin,
) -> None:
    """A crash before or after a request is survived: it is published once, and given back once where that failed."""

    def crashing_at(number: int) -> list[str]:
        story = begin(resource=resource)
        key, crash = story.say(story.new), CrashAt(number)
        story.world.wire.boundary = crash
        story.world.run()
        story.world.wire.boundary = lambda _where: None
        action = story.action(key)
        assert action.status is status, (crash.seen[number - 1], action.reason)
        good = resource == RIGHT
        assert story.names() == {"production": story.new if good else story.old}, crash.seen[number - 1]
        assert story.published() == ([story.new] if good else [story.new, story.old]), crash.seen[number - 1]
        assert story.world.poisoned == 0
        return crash.seen

    boundaries = crashing_at(0)
    chosen = [at for at, where in enumerate(boundaries, 1) if at % STRIDE == 0 or WRITES.search(where)]
    assert len(chosen) > 10
    for number in chosen:
        crashing_at(number)
