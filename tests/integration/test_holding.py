"""Who holds a slot, who is called off too late, who decides at the last moment: where two of these meet."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from shared import planner, plans
from shared.actions import Action, Message, Status
from shared.decisions import DecisionError
from shared.errors import PermanentError
from shared.events import Event, digest
from shared.storage import ACTIONS_TABLE
from shared.storage.packing import pack
from tests.integration import scripted
from tests.integration.making import Make, action_of, registered, unique
from tests.integration.test_decisions import ME, asked
from tests.integration.test_limits import EXPECTS, SLOW, Models, actions_of, completed, deliver_all, limited, run_event
from tests.integration.world import LEASE, Crash, Delivery, World, queue_message

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""


def again(models: Models, name: str) -> Action:
    """Replay what answered a model, by the plan of then."""
    world = models.world
    world.reactor.decisions.replay(models.action(name).event, ME, reason="once more", rules="then", again=True)
    action = world.reactor._ledger.latest(models.told[name])
    assert action is not None
    return action


def read(world: World, key: str) -> Action:
    """Read an action that is there."""
    action = world.records.read_action(key)
    assert action is not None
    return action


def at_write(world: World, number: int, what: Callable[[], object]) -> None:
    """Do something just before the action's record is written for the `number`th time."""
    seen = 0

    def boundary(where: str) -> None:
        nonlocal seen
        if where.startswith("before PUT") and ACTIONS_TABLE in where:
            seen += 1
            if seen == number:
                world.wire.boundary = lambda _where: None
                what()

    world.wire.boundary = boundary


def break_record(world: World, key: str) -> None:
    """Have a record be one that only a newer version of the app can read."""
    table = world.records._table(ACTIONS_TABLE)
    table.update_entity({"PartitionKey": key, "RowKey": "record", **pack("record", '{"version": 2}')})  # type: ignore[dict-item] # bytes


# -- slots and replays ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["{cooldown: 24h}", "{at_most: 1 per day}"])
def test_a_canceled_replay_frees_nothing(make: Make, limit: str) -> None:
    """The slot of an action that acted stays taken, whatever becomes of a replay of it."""
    models = limited(make, limit)
    models.tell("a")
    models.world.run()
    replayed = again(models, "a")
    models.world.reactor.decisions.cancel(replayed.key, ME, "a mistake")
    models.world.run()
    models.tell("b", minutes=6)
    models.world.run()
    assert read(models.world, replayed.key).status is Status.CANCELED
    assert models.action("b").status is Status.SKIPPED


def test_a_replay_has_a_cooldown_of_its_own(make: Make) -> None:
    """What was done again counts from when it was done again."""
    models = limited(make, "{cooldown: 24h}")
    models.tell("a")
    models.world.run()
    models.world.now += timedelta(hours=23, minutes=59)
    again(models, "a")
    models.world.run()
    models.tell("b", minutes=2)
    models.world.run()
    assert models.action("b").status is Status.SKIPPED


@pytest.mark.guarantee(3)
def test_a_late_release_frees_only_what_it_held(make: Make) -> None:
    """An end that is announced late does not free the slot that a replay holds by now."""
    do = "scripted: {start: [permanent, pending], watch: [pending, pending, pending, done]}"
    models = limited(make, "{concurrency: skip}", do)
    models.tell("a")

    def die(where: str) -> None:
        if where.startswith("after PUT") and ACTIONS_TABLE in where and not models.action("a").is_open:
            raise Crash

    models.world.wire.boundary = die
    models.world.deliver(models.world.queue[0])
    models.world.wire.boundary = lambda _where: None
    assert (models.action("a").status, models.action("a").announced) == (Status.FAILED, False)
    models.world.queue.clear()
    replayed = again(models, "a")
    deliver_all(models.world)
    models.world.now += LEASE
    waiting, models.world.queue = models.world.queue, []
    models.world.reactor.sweep()
    deliver_all(models.world)
    assert models.action("a").announced
    models.world.queue += waiting
    models.tell("b")
    models.world.deliver(models.world.queue[-1])
    assert models.action("b").reason == f"action {models.told['a']} is still under way"
    models.world.run()
    assert read(models.world, replayed.key).status is Status.SUCCEEDED


def test_a_replay_waits_for_who_is_under_way(make: Make) -> None:
    """The slot it has keeps nobody else from acting, nor it from waiting."""
    models = limited(make, "{concurrency: queue}", SLOW)
    models.tell("a")
    models.world.run()
    models.tell("b")
    deliver_all(models.world)
    replayed = again(models, "a")
    deliver_all(models.world)
    assert read(models.world, replayed.key).note == f"waits for the end of action {models.told['b']}"
    models.world.run()
    assert read(models.world, replayed.key).status is Status.SUCCEEDED


SUBJECTS = "{{ digest | map(attribute='subject') | join(' ') }}"


@pytest.mark.parametrize("first", ["permanent", "done"])
def test_a_digest_that_told_nobody_is_told_by_its_replay(make: Make, first: str) -> None:
    """Where its action failed or was canceled, a replay of it tells every event, and of the others' none twice."""
    models = limited(make, "{digest: 15m}", f'scripted: {{start: [{first}, done], says: "{SUBJECTS}"}}')
    for name in "abc":
        models.tell(name, minutes=4)
        deliver_all(models.world)
    if first == "done":
        models.world.reactor.decisions.cancel(models.told["a"], ME, "not now")
    models.world.run()
    assert models.action("a").status in {Status.FAILED, Status.CANCELED}
    replayed = again(models, "a")
    other = again(models, "b")
    models.world.run()
    said = read(models.world, replayed.key).progress[0].result["said"]
    assert said == " ".join(f"models/{models.group}-{name}:1" for name in "abc")
    assert "told in" in read(models.world, other.key).reason


def test_a_replay_counts_anew(make: Make) -> None:
    """What was counted towards a threshold days ago is counted as of now."""
    models = limited(make, "{threshold: 2 within 1h}")
    models.tell("a")
    models.world.run()
    models.world.now += timedelta(days=3)
    models.tell("b")
    models.world.run()
    replayed = again(models, "a")
    models.world.run()
    assert read(models.world, replayed.key).status is Status.SUCCEEDED


def test_who_is_replaced_ends_at_once(make: Make) -> None:
    """Of those that wait only the newest stays, and the others are told so without delay."""
    models = limited(make, "{concurrency: replace, per: data.modelTags.group}", SLOW)
    for name in "abc":
        models.tell(name, minutes=0.1)
        deliver_all(models.world)
    assert (models.action("b").status, models.action("b").reason) == (Status.SKIPPED, "a newer event took its place")
    models.world.run()


# -- records of another version ---------------------------------------------------------------------------------------


def test_an_unreadable_record_holds_up_nobody_else(make: Make) -> None:
    """The one before it in the queue ends and is announced; those behind it go on once it has had its time."""
    models = limited(make, "{concurrency: queue}", SLOW)
    for name in "abc":
        models.tell(name, minutes=0.1)
        deliver_all(models.world)
    break_record(models.world, models.told["b"])
    end = models.world.now + timedelta(hours=30)
    while models.world.now < end:
        with suppress(PermanentError):  # the sweep says so, after everything else had its turn
            models.world.run(hours=1)
    assert (models.action("a").status, models.action("a").announced) == (Status.SUCCEEDED, True)
    assert models.action("c").status is Status.SUCCEEDED
    models.world.records.close("action", models.told["b"])


def test_a_digest_outlives_its_action(make: Make) -> None:
    """Where a digest's action is gone, the next event takes what was gathered over."""
    models = limited(make, "{digest: 15m}", f'scripted: {{says: "{SUBJECTS}"}}')
    models.tell("a")
    deliver_all(models.world)
    break_record(models.world, models.told["a"])
    models.world.records.close("action", models.told["a"])
    models.world.queue.clear()
    models.tell("b", minutes=60 * 24 * 3)
    models.world.run()
    assert models.action("b").progress[0].result["said"] == (f"models/{models.group}-a:1 models/{models.group}-b:1")


# -- called off, too late or just in time -----------------------------------------------------------------------------

LATER = """
  - name: work
    on: DriftDetected
    cancel_on: {on: DriftRecovered, per: drift.signal}
    do:
      - scripted: {name: "{{ run.id }}"}
      - approval: {id: boss, by: [me@example.com]}
      - scripted: {id: more, name: "more-{{ run.id }}"}
"""


def drifted(make: Make) -> tuple[World, Action, str]:
    """Have a drift be answered up to the approval, and then the recovery come."""
    world, signal = make(LATER), unique()
    world.reactor.receive("event_grid", run_event(signal, "Failed", time="2026-11-22T08:00:00Z", monitor=signal))
    deliver_all(world)
    (action,) = actions_of(world)
    recovered = run_event(f"{signal}-2", "Completed", time="2026-11-22T09:00:00Z", monitor=signal)
    world.reactor.receive("event_grid", recovered)
    deliver_all(world)
    return world, read(world, action.key), signal


def test_an_event_that_comes_too_late_is_in_nobodys_way(make: Make) -> None:
    """Once a job has run, a recovery changes nothing: people still decide about the rest."""
    world, action, signal = drifted(make)
    assert (action.committed, action.canceled) == (True, None)
    world.reactor.decisions.approve(action.key, ME, "go on")
    world.run()
    assert read(world, action.key).status is Status.SUCCEEDED
    assert scripted.CALLS[f"more-{signal}"].count("start") == 1


def test_a_person_stops_what_is_left(make: Make) -> None:
    """An operator ends an action that waits, also after a step that cannot be undone."""
    world, action, signal = drifted(make)
    world.reactor.decisions.cancel(action.key, ME, "enough")
    world.run()
    assert (read(world, action.key).status, scripted.CALLS[f"more-{signal}"]) == (Status.CANCELED, [])


def test_a_start_that_was_called_off_is_not_made(make: Make) -> None:
    """Where the cancellation is seen as the start is noted, nothing is started."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [unnamed]}"), unique()
    world.reactor.receive("event_grid", registered(name))
    key = action_of(world, registered(name)).key
    at_write(world, 2, lambda: world.reactor.decisions.cancel(key, ME, "stop"))
    deliver_all(world)
    world.run()
    assert action_of(world, registered(name)).status is Status.CANCELED
    assert "start" not in scripted.CALLS[name]


def test_the_refusal_names_the_step_that_runs(make: Make) -> None:
    """Who cannot cancel is told which step is under way."""
    rule = (
        "\n  - {name: work, on: ModelRegistered, do: [scripted: {id: job, start: [pending], watch: [pending, done]}]}"
    )
    world, name = make(rule), unique()
    world.reactor.receive("event_grid", registered(name))
    deliver_all(world)
    with pytest.raises(DecisionError, match='its step "job" has begun what cannot be undone'):
        world.reactor.decisions.cancel(action_of(world, registered(name)).key, ME, "x")
    world.run()


# -- at the last moment -----------------------------------------------------------------------------------------------


@pytest.mark.guarantee(1)
def test_an_approval_at_the_last_moment_counts(make: Make) -> None:
    """Who was told that it was taken finds it taken, also where another instance was just letting it expire."""
    world, name = asked(make)
    key = action_of(world, registered(name)).key
    world.now += timedelta(hours=2)
    world.reactor._ledger.send(action_of(world, registered(name)), timedelta())

    def approve() -> None:
        world.now -= timedelta(seconds=1)  # that instance's clock is behind
        world.reactor.decisions.approve(key, ME, "in time")
        world.now += timedelta(seconds=1)

    at_write(world, 2, approve)
    deliver_all(world)
    assert action_of(world, registered(name)).progress[0].outcome == "succeeded"


def test_what_follows_too_late_does_not_count(make: Make) -> None:
    """A completion after its time is no completion in time, also where nobody looked in between."""
    world, name = make(EXPECTS), unique()
    first = run_event(name, "Running", time="2026-11-22T08:00:00Z")
    world.reactor.receive("event_grid", first)
    deliver_all(world)
    world.now += timedelta(hours=9)
    world.reactor.receive("event_grid", completed(name, "2026-11-22T16:40:00Z"))
    world.run()
    assert read(world, digest("expect", world.event_key(first), "work")).status is Status.EXPIRED


# -- what is said -----------------------------------------------------------------------------------------------------


@pytest.mark.guarantee(6)
def test_a_gates_reason_holds_no_setting(make: Make) -> None:
    """A gate compares with the setting's value, and says its name."""
    rule = (
        "\n  - {name: work, on: ModelRegistered, do: [gate: {where: "
        '{any: [{data.modelTags.t: {StringIn: ["${VISION_KEY}"]}}, {model.name: {StringIn: ["x-${VISION_KEY}"]}}]}}]}'
    )
    world, name = make(rule), unique()
    world.reactor.receive("event_grid", registered(name))
    world.run()
    action = action_of(world, registered(name))
    assert action.status is Status.SKIPPED
    assert "${VISION_KEY}" in action.reason
    assert "a-secret-key" not in action.model_dump_json()


def test_what_limits_hold_back_does_not_multiply(make: Make) -> None:
    """Rules that hear of what was skipped, and are held back themselves, do not set each other off."""
    rules = "".join(
        f"\n  - {{name: {unique()}, on: ActionSkipped, limit: {{cooldown: 24h}}, do: [telling: {{name: x{number}}}]}}"
        for number in range(5)
    )
    rules += "\n  - {name: work, on: ModelRegistered, do: [gate: {where: {model.name: {StringIn: [x]}}}]}"
    world = make(rules)
    for _ in range(2):
        before = world.sent
        world.reactor.receive("event_grid", registered(unique()))
        world.run()
    assert world.sent - before <= 2 * 6


def test_a_defect_in_announcing_ends_too(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised without secrets, and after a day the end is left unannounced rather than tried for ever."""
    rules = (
        "\n  - {name: work, on: ModelRegistered, do: [scripted]}\n  - {name: hear, on: ActionSucceeded, do: [telling]}"
    )
    world, name = make(rules), unique()
    world.reactor.receive("event_grid", registered(name))
    really = plans.plan

    def broken(event: Event, *others: object) -> list[Action]:
        if event.door == "own":
            raise KeyError("https://x.invalid/?sig=supersecret")
        return really(event, *others)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(planner, "plan", broken)
    world.run(hours=30)
    action = action_of(world, registered(name))
    assert (action.status, action.announced) == (Status.SUCCEEDED, True)
    world.reactor._ledger.change(action.key, {"announced": False})
    body = Message(action=action.key, seq=action.seq).model_dump_json()
    with pytest.raises(Exception, match="KeyError") as raised:
        world.reactor.perform(queue_message(Delivery("m", body, world.now, world.now)).get_body(), "m")
    assert "supersecret" not in str(raised.value)
