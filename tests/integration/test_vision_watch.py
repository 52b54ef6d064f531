"""A training or an export whose notification never comes: the schedule finds it, and the rules for it act."""

import json
import logging
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import function_app
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.actions import Action
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from tests.integration import scripted
from tests.integration.world import Delivery, Wire, World, queue_message

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

STEP = """scripted: {name: x, says: "{{ vision.status }} {{ vision.platform or '-' }}"}"""
Make = Callable[..., World]


class Project:
    """A project of its own, whose service says nothing."""

    def __init__(self, simulators: Simulators) -> None:
        self.simulators = simulators
        self.id = str(uuid.uuid4())
        self.iteration = str(uuid.uuid4())

    def shows(self, status: str, *exports: dict[str, Any], more: tuple[dict[str, Any], ...] = ()) -> None:
        """Have the service show an iteration in a status, with its exports."""
        one = {"id": self.iteration, "status": status, "exports": list(exports)}
        self.simulators.vision.seed(
            projects=[{"id": self.id, "name": "fruit", "iterations": [one, *more]}], settings={"notify": False}
        )

    def shows_nothing(self, status: str = "Succeeded") -> None:
        """Have the service show the project without any iteration."""
        told = {"id": self.id, "name": "fruit", "status": status, "iterations": []}
        self.simulators.vision.seed(projects=[told], settings={"notify": False})

    def message(self, type: str, status: str, **more: Any) -> str:
        """Write the notification that should have come."""
        content = {"projectId": self.id, "iterationId": self.iteration, f"{type.lower()}Status": status, **more}
        return json.dumps({"version": "1.0", "type": type, "Content": content})

    def asked(self, path: str) -> int:
        """Count the requests for a path of the project."""
        return len(self.simulators.vision.seen("GET", f"/projects/{self.id}/{path}"))


@pytest.fixture
def project(simulators: Simulators) -> Project:
    """Give a project nobody has seen."""
    return Project(simulators)


@pytest.fixture
def make(azurite: str, simulators: Simulators, project: Project, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a world whose rule listens to the project."""
    settings = Settings.read({"AzureWebJobsStorage": azurite, "VISION_KEY": KEY})
    prepare(
        Account(settings.storage, lambda _client: pytest.fail("no credential is needed")), settings.backup_container
    )

    def make(on: str = "[TrainingCompleted, TrainingFailed, ExportCompleted, ExportFailed]", key: str = "") -> World:
        text = (
            f"version: 1\nvision:\n  fruit:\n    project: {project.id}\n    training: "
            f'{{endpoint: "{simulators.vision.url}", key: "{key or "${VISION_KEY}"}"}}\nrules:\n'
            f"  - {{name: work, on: {on}, do: [{STEP}]}}\n"
        )
        world = World(settings, text, Wire(), scripted.ACTIONS)
        world.install(monkeypatch)
        return world

    return make


def sweep(world: World, minutes: float = 5) -> list[Action]:
    """Let the schedule come again, and give the actions that it led to."""
    world.now += timedelta(minutes=minutes)
    world.reactor.sweep()
    rows = [row for row in world.records.list_open() if row.what == "action"]
    world.run()
    found = [world.records.read_action(row.key) for row in rows]
    return [action for action in found if action is not None]


def hear(world: World, message: str) -> None:
    """Deliver a notification, sent now, and let everything follow from it."""
    function_app.on_vision_notification(queue_message(Delivery("v", message, world.now, world.now)))
    world.run()


def said(actions: list[Action]) -> list[str]:
    """Give what the steps of actions said."""
    return [action.progress[0].result["said"] for action in actions]


def test_a_training_that_nobody_told_of_is_answered(make: Make, project: Project) -> None:
    """Ten minutes after it was seen to be over, the rule for it acts, and the event says that nothing told of it."""
    world = make()
    project.shows("Training")
    assert sweep(world) == []
    project.shows("Completed")
    assert sweep(world) == []
    assert sweep(world) == []
    (action,) = sweep(world)
    assert said([action]) == ["TrainingCompleted -"]
    assert action.kinds == ["NotificationMissed", "TrainingCompleted"]
    assert sweep(world) == []


def test_a_training_that_was_told_of_is_not_told_of_again(make: Make, project: Project) -> None:
    """A notification that came, however it spells the ids, is enough."""
    world = make()
    project.shows("Training")
    sweep(world)
    project.shows("Completed")
    hear(world, project.message("Training", "TrainingCompleted").replace(project.id, project.id.upper()))
    assert [action for _ in range(5) for action in sweep(world)] == []


def test_a_notification_that_comes_late_does_nothing_twice(make: Make, project: Project) -> None:
    """What the schedule found is what the late message tells: the rule has answered it."""
    world = make()
    project.shows("Training")
    sweep(world)
    project.shows("Failed")
    found = [action for _ in range(4) for action in sweep(world)]
    assert said(found) == ["TrainingFailed -"]
    before = world.sent
    hear(world, project.message("Training", "TrainingFailed"))
    assert world.sent == before


def test_the_past_of_a_project_is_nobodys_news(make: Make, project: Project) -> None:
    """What was over when the project was first looked at is not announced, and later ends are."""
    world = make()
    project.shows("Completed", {"platform": "ONNX", "status": "Done"})
    assert [action for _ in range(4) for action in sweep(world)] == []
    project.shows("Completed", {"platform": "ONNX", "status": "Done"}, {"platform": "CoreML", "status": "Exporting"})
    sweep(world)
    project.shows("Completed", {"platform": "ONNX", "status": "Done"}, {"platform": "CoreML", "status": "Failed"})
    found = [action for _ in range(4) for action in sweep(world)]
    assert said(found) == ["ExportFailed CoreML"]


def test_of_two_exports_the_one_that_was_told_of_is_not_missed(make: Make, project: Project) -> None:
    """A notification names its platform by the blob's name; the other export is the missed one."""
    world = make()
    project.shows("Completed")
    sweep(world)
    project.shows("Completed", {"platform": "ONNX", "status": "Done"}, {"platform": "CoreML", "status": "Done"})
    sweep(world)
    uri = f"https://a.blob.core.windows.net/models/{project.id}%20-%20{project.iteration}.CoreML"
    hear(world, project.message("Export", "ExportCompleted", modelUri=uri))
    found = [action for _ in range(4) for action in sweep(world)]
    assert said(found) == ["ExportCompleted ONNX"]


def missed(world: World, rounds: int = 5) -> list[str]:
    """Let the schedule come some times, and give what steps said that answered what it found."""
    return said([action for _ in range(rounds) for action in sweep(world)])


def test_what_was_told_while_nobody_could_look_is_not_missed(make: Make, project: Project) -> None:
    """A notification counts from the last look on, however long ago that was."""
    world = make()
    project.shows("Completed")
    sweep(world)
    project.shows("Completed", {"platform": "ONNX", "status": "Done"})
    uri = f"https://a.blob.core.windows.net/models/{project.id}%20-%20{project.iteration}.ONNX"
    hear(world, project.message("Export", "ExportCompleted", modelUri=uri))
    world.now += timedelta(hours=2)
    assert missed(world) == []


def test_a_rule_that_was_off_is_not_fed_what_was_told_meanwhile(make: Make, project: Project) -> None:
    """Nobody looks while no rule listens; what was recorded then was told."""
    world = make()
    project.shows("Training")
    sweep(world)
    off = make("ConnectionTested")
    project.shows("Completed")
    hear(off, project.message("Training", "TrainingCompleted"))
    for _ in range(3):
        sweep(off, 60)
    on = make()
    on.now = off.now
    assert missed(on) == []


@pytest.mark.parametrize(("on", "told"), [("NotificationMissed", ["TrainingCompleted -"]), ("TrainingCompleted", [])])
def test_what_was_lost_while_nobody_looked_for_long_is_told_and_not_acted_on(
    make: Make, project: Project, on: str, told: list[str]
) -> None:
    """The key was wrong for a weekend: an alert hears of it, and no rule does on Monday what was Saturday's."""
    world = make(on)
    project.shows("Training")
    sweep(world)
    project.shows("Completed")
    world.now += timedelta(days=3)
    assert missed(world) == told


def test_what_was_told_while_nobody_looked_for_long_is_not_missed(make: Make, project: Project) -> None:
    """The notification came, and is on record."""
    world = make("NotificationMissed")
    project.shows("Training")
    sweep(world)
    project.shows("Completed")
    hear(world, project.message("Training", "TrainingCompleted"))
    world.now += timedelta(days=3)
    assert missed(world) == []


def test_the_exports_of_an_old_iteration_are_no_news(make: Make, project: Project) -> None:
    """Newer iterations are deleted, so that the exports of older ones are looked at for the first time."""
    world = make()
    others = tuple(
        {"id": str(uuid.uuid4()), "trainedAt": f"2026-01-0{day}T00:00:00Z", "exports": [{"platform": "ONNX"}]}
        for day in range(1, 6)
    )
    project.shows("Completed", more=others)
    sweep(world)
    project.shows("Completed", more=others[:-2])
    assert missed(world) == []


def test_a_message_that_waits_in_the_queue_is_not_missed(make: Make, project: Project) -> None:
    """The app was down for an hour: the first look after that takes nothing for missed."""
    world = make()
    project.shows("Training")
    sweep(world)
    project.shows("Completed")
    sweep(world)
    world.now += timedelta(hours=1)
    assert sweep(world, 0) == []
    hear(world, project.message("Training", "TrainingCompleted"))
    assert missed(world) == []


ONNX = {"platform": "ONNX", "status": "Done"}


def test_what_a_listing_lacks_for_a_moment_is_no_news(make: Make, project: Project) -> None:
    """An export, or all iterations, that one answer leaves out: the models are months old when they are shown again."""
    world = make()
    project.shows("Completed", ONNX)
    sweep(world)
    project.shows("Completed")
    sweep(world)
    project.shows("Completed", ONNX)
    assert missed(world) == []
    project.shows_nothing()
    sweep(world)
    project.shows("Completed", ONNX)
    assert missed(world) == []


def test_what_an_import_brings_is_no_news(make: Make, project: Project) -> None:
    """A project that is declared while it is imported has no iterations yet; those that come were trained long ago."""
    world = make()
    project.shows_nothing(status="Importing")
    sweep(world)
    sweep(world)
    others = tuple(
        {"id": str(uuid.uuid4()), "trainedAt": f"2026-01-0{day}T00:00:00Z", "exports": [ONNX]} for day in range(1, 6)
    )
    project.shows("Training", more=others)
    assert missed(world) == []
    project.shows("Completed", more=others)
    assert missed(world) == ["TrainingCompleted -"]


def test_an_export_that_was_told_of_is_not_told_again_by_an_old_answer(make: Make, project: Project) -> None:
    """The service shows it as under way for one look, long after it was done."""
    world = make()
    project.shows("Completed")
    sweep(world)
    project.shows("Completed", ONNX)
    uri = f"https://a.blob.core.windows.net/models/{project.id}%20-%20{project.iteration}.ONNX"
    hear(world, project.message("Export", "ExportCompleted", modelUri=uri))
    assert missed(world) == []
    project.shows("Completed", ONNX | {"status": "Exporting"})
    sweep(world)
    project.shows("Completed", ONNX)
    assert missed(world) == []
    project.shows("Completed", ONNX | {"status": "Exporting"})
    sweep(world)
    sweep(world)
    project.shows("Completed", ONNX)
    assert missed(world) == ["ExportCompleted ONNX"]


def test_a_notification_that_is_ahead_of_the_listing_counts(make: Make, project: Project) -> None:
    """The message comes, and the service shows the export as under way for another quarter of an hour."""
    world = make()
    project.shows("Completed", ONNX | {"status": "Exporting"})
    sweep(world)
    uri = f"https://a.blob.core.windows.net/models/{project.id}%20-%20{project.iteration}.ONNX"
    hear(world, project.message("Export", "ExportCompleted", modelUri=uri))
    for _ in range(3):
        sweep(world)
    project.shows("Completed", ONNX)
    assert missed(world) == []


def test_nobody_listens_and_nothing_is_asked(make: Make, project: Project) -> None:
    """A project of which no rule hears the ends is not looked at; NotificationMissed alone is reason enough."""
    project.shows("Training")
    sweep(make("ConnectionTested"))
    assert project.asked("iterations") == 0
    world = make("NotificationMissed")
    sweep(world)
    assert project.asked("iterations") == 1
    project.shows("Completed")
    assert said([action for _ in range(4) for action in sweep(world)]) == ["TrainingCompleted -"]


def test_a_crash_before_it_is_remembered_announces_it_once(make: Make, project: Project) -> None:
    """The process dies after the event was announced: the next look announces the same event."""
    world = make()
    project.shows("Training")
    sweep(world)
    project.shows("Completed")
    sweep(world)
    world.now += timedelta(minutes=20)
    with world.wire.dying("before PUT", "')"):
        world.reactor.sweep()
    found = [action for _ in range(3) for action in sweep(world)]
    assert len({action.key for action in found}) == 1


def test_a_project_that_cannot_be_read_is_told_once_an_hour(
    make: Make, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that was rotated keeps nothing else from being looked at, and does not fill the log."""
    world = make(key="an-old-key")
    project.shows("Completed")
    with caplog.at_level(logging.ERROR, logger="reactor"):
        for _ in range(6):
            sweep(world)
    (line,) = [record.message for record in caplog.records if "not_looked" in record.message]
    assert "project=fruit" in line
    assert "an-old-key" not in line


def test_the_exports_of_what_is_published_are_looked_at(make: Make, project: Project) -> None:
    """However old it is: what is live is what is exported most."""
    world = make()
    live = {"id": str(uuid.uuid4()), "trainedAt": "2025-01-01T00:00:00Z", "publishName": "shop"}
    newer = [{"id": str(uuid.uuid4()), "trainedAt": f"2026-01-0{day}T00:00:00Z"} for day in range(1, 6)]
    project.shows("Completed", more=(live, *newer))
    sweep(world)
    project.shows("Completed", more=(live | {"exports": [{"platform": "CoreML", "status": "Failed"}]}, *newer))
    assert missed(world) == ["ExportFailed CoreML"]


def test_a_setting_that_looking_does_not_need_may_be_missing(
    project: Project, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """The keys of the prediction resource and of the replica are for others."""
    world = make()
    text = world.rules_text.replace(
        "\nrules:", '\n    replica: {training: {endpoint: "https://copy.example", key: "${NOT_SET}"}}\nrules:', 1
    )
    world.rules = world.load(text)
    project.shows("Training")
    with caplog.at_level(logging.ERROR, logger="reactor"):
        sweep(world)
    assert project.asked("iterations") == 1
    assert not caplog.records


def test_a_round_costs_few_requests(make: Make, project: Project) -> None:
    """One request for the iterations, and one for the exports of each of the three newest."""
    more = tuple({"id": str(uuid.uuid4()), "trainedAt": f"2026-01-0{day}T00:00:00Z"} for day in range(1, 9))
    world = make()
    project.shows("Completed", more=more)
    sweep(world)
    assert project.asked("iterations") == 4
    assert len(project.simulators.vision.seen("GET", "/export")) == 3
