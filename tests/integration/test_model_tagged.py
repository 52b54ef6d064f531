"""A tag that is set after a model was registered raises no event: the schedule finds it, once."""

import logging
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from dev.simulators.remote import Simulators
from shared import tagging, watching
from shared.actions import Action
from shared.defects import DefectError
from shared.events import Event
from shared.rules.declared import Declared
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from shared.watching import Watch
from tests.integration import scripted
from tests.integration.stages import Bench, clients_of
from tests.integration.world import Wire, World

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

STEP = """scripted: {says: "{{ source }} {{ subject }} {{ tagging.set.stage | default('') }}"}"""
LONG_AGO = "2026-03-02T08:15:04Z"
Make = Callable[..., World]


class Place:
    """A workspace of its own, and a model in it."""

    def __init__(self, simulators: Simulators) -> None:
        self.simulators = simulators
        self.workspace = self.another()
        self.name = f"gbm-{uuid.uuid4().hex[:8]}"

    @staticmethod
    def another() -> str:
        """Name a workspace nobody has named."""
        provider = "/subscriptions/s/resourceGroups/G/providers/Microsoft.MachineLearningServices"
        return f"{provider}/workspaces/Fraud-{uuid.uuid4().hex[:8]}"

    def register(self, version: str, *, name: str = "", created: str = "", **tags: str) -> None:
        """Register a version, now unless it is said when."""
        id_ = f"{self.workspace}/models/{name or self.name}/versions/{version}"
        self.simulators.management.seed(models=[{"id": id_, "tags": tags, "createdAt": created}])

    def looks(self, name: str = "") -> int:
        """Count the requests about a model."""
        return len(self.simulators.management.seen("GET", f"/models/{name or self.name}/versions?"))


@pytest.fixture
def place(simulators: Simulators) -> Place:
    """Give a workspace without models."""
    return Place(simulators)


@pytest.fixture
def make(azurite: str, simulators: Simulators, place: Place, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a world whose rule listens to the tags of the model."""
    settings = Settings.read({"AzureWebJobsStorage": azurite, "REACTOR_ARM_ENDPOINT": simulators.management.url})
    prepare(
        Account(settings.storage, lambda _client: pytest.fail("no credential is needed")), settings.backup_container
    )

    def make(where: str = "", also: str = "") -> World:
        simulators.management.seed(workspaces=[{"id": place.workspace}])
        where = where or f"{{model.name: {{StringIn: [{place.name}]}}}}"
        text = f"version: 1\nworkspaces: {{fraud: {place.workspace}{also}}}\nrules:\n"
        world = World(
            settings,
            f"{text}  - {{name: work, on: ModelTagged, where: {where}, do: [{STEP}]}}\n",
            Wire(),
            scripted.ACTIONS,
        )
        world.install(monkeypatch)
        world.now -= timedelta(hours=1)  # the service's clock is the real one: what happens there comes after our looks
        return world

    return make


def lately() -> str:
    """Say a moment that is long enough ago for what is done now to have been done later."""
    return (datetime.now(UTC) - timedelta(seconds=30)).isoformat()


def tag(world: World, place: Place, version: str, *, name: str = "", **tags: str | None) -> None:
    """Set tags of a version, or take them away, as somebody does in the studio."""
    world.clients.machine_learning.models.set_tags(place.workspace, name or place.name, version, tags)


def sweep(world: World) -> list[Action]:
    """Let the schedule come again, and give the actions that it led to."""
    world.now += timedelta(minutes=5)
    world.reactor.sweep()
    rows = [row for row in world.records.list_open() if row.what == "action"]
    world.run()
    found = [world.records.read_action(row.key) for row in rows]
    return [action for action in found if action is not None]


def test_a_tag_set_later_is_answered_like_a_registration(make: Make, place: Place) -> None:
    """The first look remembers; the look after the tag was set announces it, with the workspace as it is declared."""
    world = make()
    place.register("12", created=LONG_AGO, stage="candidate")
    assert sweep(world) == []
    assert sweep(world) == []
    tag(world, place, "12", stage="production", owner="risk")
    (action,) = sweep(world)
    assert (action.kinds, action.source, action.subject) == (
        ["ModelTagged"],
        place.workspace,
        f"models/{place.name}:12",
    )
    assert action.progress[0].result["said"] == f"{place.workspace} models/{place.name}:12 production"
    assert sweep(world) == []


def test_a_look_costs_one_request(make: Make, place: Place) -> None:
    """However many versions a model has, it is one request; a model that is named is not searched for."""
    world = make()
    for version in range(6):
        place.register(str(version), created=LONG_AGO)
    before = len(place.simulators.management.seen())
    sweep(world)
    assert len(place.simulators.management.seen()) - before == place.looks() == 1


def test_a_version_tagged_before_it_was_ever_seen_is_not_missed(make: Make, place: Place) -> None:
    """Registered and tagged between two looks is ModelTagged; with the tags it was registered with, it is not."""
    world = make()
    place.register("1", created=LONG_AGO, stage="production")
    sweep(world)
    place.register("2", created=lately(), stage="candidate")
    tag(world, place, "2", stage="production")
    place.register("3", stage="production")
    assert [action.subject for action in sweep(world)] == [f"models/{place.name}:2"]


def test_a_new_model_is_found_by_how_its_name_begins(make: Make, place: Place) -> None:
    """Where no name is said, the workspace's models are listed; one that came meanwhile is known from its first day."""
    world = make(f"{{model.name: {{StringBeginsWith: [{place.name}-]}}}}")
    place.register("1", created=LONG_AGO)
    sweep(world)
    new = f"{place.name}-a"
    place.register("1", name=new, created=lately())
    tag(world, place, "1", name=new, stage="production")
    assert [action.subject for action in sweep(world)] == [f"models/{new}:1"]
    assert (place.looks(), place.looks(new)) == (0, 1)


@pytest.mark.guarantee(1)
@pytest.mark.guarantee(3)
@pytest.mark.parametrize("boundary", ["before", "after"])
def test_a_crash_before_it_is_remembered_announces_it_once(make: Make, place: Place, boundary: str) -> None:
    """It is announced first and remembered after, so it is announced again: the same event, and one action."""
    world = make()
    place.register("12", created=LONG_AGO)
    sweep(world)
    tag(world, place, "12", stage="production")
    with world.wire.dying(f"{boundary} PUT", "RowKey='sighting')"):
        world.reactor.sweep()
    assert len(sweep(world)) == 1
    assert scripted.CALLS[place.name].count("start") == 1


@pytest.mark.guarantee(1)
def test_a_crash_before_it_is_announced_loses_nothing(make: Make, place: Place) -> None:
    """What was not announced is not remembered either."""
    world = make()
    place.register("12", created=LONG_AGO)
    sweep(world)
    tag(world, place, "12", stage="production")
    with world.wire.dying("before POST", "/reactorevents"):
        world.reactor.sweep()
    assert len(sweep(world)) == 1


@pytest.mark.guarantee(3)
def test_two_schedules_at_once_announce_it_once(make: Make, place: Place) -> None:
    """Each has seen the same, so both announce one event; whoever remembers second changes nothing."""
    first, second = make(), make()
    place.register("12", created=LONG_AGO)
    sweep(first)
    tag(first, place, "12", stage="production")

    def boundary(where: str) -> None:
        if where.startswith("before PUT") and where.endswith("RowKey='sighting')"):
            first.wire.boundary = lambda _where: None
            second.reactor.sweep()

    first.wire.boundary = boundary
    with first.wire.watched():
        first.reactor.sweep()
    assert len(first.queue) + len(second.queue) >= 1
    first.run()
    assert scripted.CALLS[place.name].count("start") == 1
    assert sweep(first) == []


def test_a_tag_that_is_set_removed_and_set_again_is_three_events(make: Make, place: Place) -> None:
    """Each of them is answered."""
    world = make()
    place.register("12", created=LONG_AGO, owner="risk")
    sweep(world)
    subjects = []
    for stage in ("production", None, "production"):
        tag(world, place, "12", stage=stage)
        subjects += [action.subject for action in sweep(world)]
    assert subjects == [f"models/{place.name}:12"] * 3


def test_a_workspace_that_may_not_be_read_is_told_once_an_hour(
    make: Make, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are looked at all the same, the sweep does not fail, and the log says which action is missing."""
    refused = place.another()
    world = make(also=f", closed: {refused}")
    place.simulators.management.seed(forbidden=[{"path": refused, "n": 1000}])
    place.register("12", created=LONG_AGO)
    with caplog.at_level(logging.ERROR, "reactor"):
        for _ in range(3):
            sweep(world)
        assert [refused in line and "AuthorizationFailed" in line for line in caplog.messages] == [True]
        tag(world, place, "12", stage="production")
        assert len(sweep(world)) == 1
        world.now += timedelta(hours=1)
        sweep(world)
    assert len(caplog.messages) == 2


def test_a_defect_in_looking_keeps_nothing_else_waiting(make: Make, place: Place) -> None:
    """What is overdue is woken all the same; the defect is raised in the end, so that the host tells of it."""
    world = make()
    place.register("12", created=LONG_AGO)
    sweep(world)
    tag(world, place, "12", stage="production")
    world.reactor.sweep()
    world.queue.clear()

    def boundary(where: str) -> None:
        if where.startswith("before GET") and where.endswith("/versions"):
            raise ZeroDivisionError("a defect")

    world.wire.boundary = boundary
    world.now += timedelta(minutes=10)
    with world.wire.watched(), pytest.raises(DefectError, match="ZeroDivisionError"):
        world.reactor.sweep()
    assert len(world.queue) == 1


def test_a_model_is_deployed_by_its_tag(simulators: Simulators, azurite: str, place: Place) -> None:
    """The steps take the model from the event as from a registration."""
    place.register("12", created=LONG_AGO, stage="production")
    simulators.management.seed(
        computes=[{"id": f"{place.workspace}/computes/cpu"}], settings={"provisioning_seconds": 0.1}
    )
    event = tagging.tagged(
        place.workspace,
        place.name,
        "12",
        tags={"stage": "production"},
        before={},
        properties={},
        id="1",
        time=datetime.now(UTC),
    )
    bench = Bench(clients_of(simulators, azurite), Declared(workspaces={"fraud": place.workspace}), event)
    told = bench.run("deploy.batch_endpoint", endpoint=place.name, compute="cpu")
    assert told.result["model_id"].lower() == event.facts["model"]["id"].lower()


class Round:
    """Rounds of one watch, with a clock that goes on at each look at it."""

    def __init__(self, world: World, seconds: float) -> None:
        self.seconds = seconds
        self.now = world.now
        self.announced: list[Event] = []
        self.watch = Watch(
            clients=world.clients,
            rules=lambda: world.rules,
            announce=lambda event, _at: self.announced.append(event),
            clock=self.clock,
        )

    def clock(self) -> datetime:
        """Let time pass."""
        self.now += timedelta(seconds=self.seconds)
        return self.now


def test_a_round_that_takes_too_long_goes_on_next_time(make: Make, place: Place) -> None:
    """It stops after half a minute, and every model has its turn in the end."""
    names = [f"{place.name}-{letter}" for letter in "abcde"]
    world = make(f"{{model.name: {{StringIn: [{', '.join(names)}]}}}}")
    for name in names:
        place.register("1", name=name, created=LONG_AGO)
    rounds = Round(world, seconds=9)
    seen: list[int] = []
    for _ in range(3):
        rounds.watch.look()
        seen.append(sum(place.looks(name) for name in names))
    assert seen[0] < len(names)
    assert all(place.looks(name) for name in names)


def test_only_so_many_models_of_a_workspace_are_looked_at(
    make: Make, place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so, once an hour."""
    monkeypatch.setattr(watching, "MOST_MODELS", 2)
    names = [f"{place.name}-{letter}" for letter in "abc"]
    world = make(f"{{model.name: {{StringBeginsWith: [{place.name}-]}}}}")
    for name in names:
        place.register("1", name=name, created=LONG_AGO)
    rounds = Round(world, seconds=0)
    with caplog.at_level(logging.ERROR, "reactor"):
        rounds.watch.look()
        rounds.watch.look()
    assert [place.looks(name) for name in names] == [2, 2, 0]
    assert [line for line in caplog.messages if "only 2 are looked at" in line] == caplog.messages[:1]
