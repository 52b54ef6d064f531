"""A person decides in the middle of a rollout, or calls it off: the whole action, with the traffic as the judge."""

from datetime import timedelta

import pytest

from dev.simulators.remote import Simulators
from shared.actions import Action, Status
from shared.decisions import DecisionError
from shared.events import digest
from shared.settings import Settings
from tests.integration.test_crashes_online import EP, NEW, OLD, RULES, STORIES, begin, registered
from tests.integration.test_crashes_online import settings as settings  # noqa: PLC0414 # a fixture
from tests.integration.test_decisions import ME, YOU
from tests.integration.world import Wire, World

ASKING = RULES.replace(
    "          keep_old: 1h\n",
    "          keep_old: 1h\n          approval: {before: 100, by: [you@example.com], within: 8h}\n",
)


Asked = tuple[World, str]
"""A world, and the event that it answers."""


@pytest.fixture
def asked(simulators: Simulators, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Roll version 12 out, up to where somebody is asked whether it gets all of the traffic."""
    begin(simulators, STORIES["rolled out"])
    event = registered()
    world = World(settings, ASKING, Wire())
    world.install(monkeypatch)
    world.reactor.receive("event_grid", event)
    deliver(world)
    return world, event


def deliver(world: World) -> None:
    """Deliver all messages, in the order of their time, and no sweep."""
    while world.queue:
        message = min(world.queue, key=lambda waiting: waiting.visible)
        world.now = max(world.now, message.visible)
        world.deliver(message)


def read(asked: Asked) -> Action:
    """Read the rollout."""
    world, event = asked
    action = world.records.read_action(digest("action", world.event_key(event), "deploy"))
    assert action is not None
    return action


def traffic(simulators: Simulators) -> dict[str, int]:
    """Read who has the traffic."""
    shown: dict[str, int] = simulators.management.state()["resources"][EP]["properties"]["traffic"]
    return {name: share for name, share in shown.items() if share}


def test_a_rollout_waits_for_a_person(asked: Asked, simulators: Simulators) -> None:
    """With a tenth of the traffic it holds no message until somebody named approves, then goes on to all of it."""
    world, _ = asked
    assert read(asked).asleep
    assert traffic(simulators) == {OLD: 90, NEW: 10}
    with pytest.raises(DecisionError):
        world.reactor.decisions.approve(read(asked).key, ME, "not mine to say")
    world.reactor.decisions.approve(read(asked).key, YOU, "looks good")
    world.run()
    action = read(asked)
    assert action.status is Status.SUCCEEDED
    assert traffic(simulators) == {NEW: 100}
    assert action.progress[0].result["approved_by"] == "you@example.com"


@pytest.mark.guarantee(2, 4)
def test_a_rejection_puts_the_traffic_back(asked: Asked, simulators: Simulators) -> None:
    """The action ends as rejected, not as failed, and the old deployment has all of it again."""
    world, _ = asked
    world.reactor.decisions.reject(read(asked).key, YOU, "too slow")
    world.run()
    action = read(asked)
    assert action.status is Status.REJECTED
    assert "too slow" in action.reason
    assert "the traffic is as before" in action.reason
    assert traffic(simulators) == {OLD: 100}


@pytest.mark.guarantee(2, 4)
def test_nobody_decides(asked: Asked, simulators: Simulators) -> None:
    """After eight hours the traffic is put back, and the action ends as expired."""
    world, _ = asked
    world.run()
    assert read(asked).status is Status.EXPIRED
    assert traffic(simulators) == {OLD: 100}


@pytest.mark.guarantee(2, 4)
def test_an_operator_calls_a_rollout_off(asked: Asked, simulators: Simulators) -> None:
    """Calling it off while it waits puts the traffic back; approving it afterwards is a conflict."""
    world, _ = asked
    world.now += timedelta(hours=1)
    world.reactor.decisions.cancel(read(asked).key, ME, "freeze")
    with pytest.raises(DecisionError):
        world.reactor.decisions.approve(read(asked).key, YOU, "too late")
    world.run()
    action = read(asked)
    assert action.status is Status.CANCELED
    assert "freeze" in action.reason
    assert traffic(simulators) == {OLD: 100}
