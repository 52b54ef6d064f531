"""Trainings of Custom Vision that rules begin whenever one ends: they stop by themselves, and say so.

The reactor, its handlers and clients are the real ones, over real tables and over HTTP to the simulated service.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.actions import Action, Status
from shared.clients.identity import managed_identity
from shared.handlers.vision.train import MOST_IN_A_ROW
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from tests.integration.world import Wire, World

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

PROJECT = str(uuid.uuid4())
RULES = """
version: 1
vision: {{fruit: {{project: {project}, training: {{endpoint: "{vision}", key: "${{VISION_KEY}}"}}}}}}
rules:
"""
AGAIN = "  - {name: again, on: TrainingFailed, from: fruit, do: [train.vision]}\n"
FORCED = "  - {name: forced, on: ExportCompleted, from: fruit, do: [train.vision: {force: true}]}\n"
BY_OUTCOME = """
  - {name: told, on: TrainingCompleted, from: fruit, do: [gate: {where: {vision.status: {IsNotNull: true}}}]}
  - name: forced
    on: ActionSucceeded
    where: {action.rule: {StringIn: [told]}}
    do: [train.vision: {project: fruit, force: true}]
"""
Make = Callable[..., World]


@pytest.fixture
def make(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make a world with these rules, around a project that a person has trained once."""

    def make(rules: str, **settings: Any) -> World:
        images = {"count": 20, "tags": ["apple", "pear"]}
        first = {"name": "Iteration 1", "status": settings.get("training_outcome", "Completed")}
        project = {"id": PROJECT, "name": "fruit", "images": images, "iterations": [first]}
        simulators.vision.seed(projects=[project], settings={"training_seconds": 0, "notify": False} | settings)
        values = Settings.read({"AzureWebJobsStorage": azurite, "VISION_KEY": KEY})
        prepare(Account(values.storage, managed_identity), values.backup_container)
        world = World(values, RULES.format(project=PROJECT, vision=simulators.vision.url) + rules, Wire())
        world.install(monkeypatch)
        return world

    yield make
    simulators.reset()


def tell(world: World, simulators: Simulators, *statuses: tuple[str, str]) -> list[Action]:
    """Say of each new iteration what became of it, until no new one comes; give the actions, oldest first."""
    told: set[str] = set()
    actions: list[Action] = []
    for _ in range(3 * MOST_IN_A_ROW):
        (project,) = simulators.vision.state()["projects"]
        new = set(project["iterations"]) - told
        if not new:
            return actions
        told |= new
        for iteration in new:
            for what, status in statuses:
                content = {"projectId": PROJECT, "iterationId": iteration, f"{what.lower()}Status": status}
                body = json.dumps({"version": "1.0", "type": what, "Content": content})
                world.reactor.receive("vision_notification", body, world.now)
                before = {row.key for row in world.records.list_open()}
                world.run()
                actions += [one for key in before if (one := world.records.read_action(key)) is not None]
    raise AssertionError("it goes on for ever")


def trainings(simulators: Simulators) -> int:
    """Count the trainings that were asked for."""
    return len(simulators.vision.seen("POST", "/train?"))


@pytest.mark.guarantee(4)
def test_a_training_that_fails_is_not_tried_again_for_ever(make: Make, simulators: Simulators) -> None:
    """Each failure begins the next training: three times, and then a person has to look."""
    world = make(AGAIN, training_outcome="Failed")
    actions = tell(world, simulators, ("Training", "TrainingFailed"))
    assert trainings(simulators) == MOST_IN_A_ROW
    assert [one.status for one in actions] == [Status.FAILED] * MOST_IN_A_ROW + [Status.SKIPPED]
    assert [one.depth for one in actions] == [0, 1, 2, 3]
    assert "give the rules a `limit`, and train by hand meanwhile" in actions[-1].reason


@pytest.mark.parametrize(
    ("rules", "statuses", "most"),
    [
        (FORCED, [("Training", "TrainingCompleted"), ("Export", "ExportCompleted")], MOST_IN_A_ROW),
        (BY_OUTCOME, [("Training", "TrainingCompleted")], 2),
    ],
)
def test_what_comes_of_a_training_is_counted_too(
    rules: str, statuses: list[tuple[str, str]], most: int, make: Make, simulators: Simulators
) -> None:
    """Its exports are as deep as it is, and the outcome of an action one deeper: five are too deep for all."""
    tell(make(rules), simulators, *statuses)
    assert trainings(simulators) == most


def test_a_training_by_a_person_begins_anew(make: Make, simulators: Simulators) -> None:
    """Only what an action began counts; a training that somebody else began is answered as the first was."""
    world = make(AGAIN, training_outcome="Failed")
    tell(world, simulators, ("Training", "TrainingFailed"))
    make(AGAIN, training_outcome="Failed")
    tell(world, simulators, ("Training", "TrainingFailed"))
    assert trainings(simulators) == 2 * MOST_IN_A_ROW
