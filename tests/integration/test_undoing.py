"""What a step began is undone where it fails; stages come again; locks are free once their action has ended."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.actions import Action, Decision, Person, Status
from shared.decisions import DecisionError
from shared.events import digest
from shared.storage import ACTIONS_TABLE
from shared.storage.pauses import Pause
from tests.integration import scripted
from tests.integration.making import Make, action_of, registered, told, unique
from tests.integration.test_decisions import ME
from tests.integration.world import Crash, CrashAt, World

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""


def undoable(params: str = "", more: str = "") -> str:
    """Write a rule with a step that can be undone, and a step for its failure."""
    return f"""
  - name: work
    on: ModelRegistered
    {more}
    do: [undoable: {{id: it, {params}}}]
    on_failure: [scripted: {{name: "after-{{{{ model.name }}}}"}}]
"""


SLOW = "start: [pending], watch: [pending]"


def begin(world: World, name: str) -> Action:
    """Bring a model, and let its action come to where it waits."""
    world.reactor.receive("event_grid", registered(name))
    for _ in range(3):
        message = min(world.queue, key=lambda waiting: waiting.visible)
        world.now = max(world.now, message.visible)
        world.deliver(message)
    return action_of(world, registered(name))


def survive(world: World, crash: CrashAt, name: str) -> None:
    """Bring a model until it is acknowledged, with a crash somewhere on the way, and let everything follow."""
    world.wire.boundary = crash
    for _ in range(5):
        try:
            with world.wire.watched():
                world.reactor.receive("event_grid", registered(name))
        except Crash:
            continue
        break
    world.run()
    world.wire.boundary = lambda _where: None


# -- failing ----------------------------------------------------------------------------------------------------------


def test_a_failure_undoes_what_the_step_began(make: Make) -> None:
    """A later stage fails: what was begun is undone before the rule's on_failure, and the reason tells both."""
    world, name = make(undoable("then: [permanent]")), unique()
    action = told(world, registered(name))
    assert (action.status, action.reason) == (Status.FAILED, "it is broken; it is as it was")
    assert [call for call in scripted.CALLS[name] if call != "find"] == ["start", "then", "undo"]
    assert scripted.CALLS[f"after-{name}"].count("start") == 1
    assert action.failure is not None
    assert action.failure.remedy == "mend it"


def test_what_was_never_begun_is_not_undone(make: Make) -> None:
    """A stage that fails before anything was begun has nothing to undo."""
    world, name = make(undoable("start: [temporary, permanent]")), unique()
    world.clients.machine_learning  # noqa: B018 # what is never used is never connected to
    action = told(world, registered(name))
    assert action.status is Status.FAILED
    assert scripted.CALLS[name].count("undo") == 1, "a start that failed for good may have left something behind"


def test_a_step_that_ends_its_action_is_undone_first(make: Make) -> None:
    """A rejection puts things back, and then ends the action as rejected, not as failed."""
    world, name = make(undoable("then: [rejected]")), unique()
    action = told(world, registered(name))
    assert (action.status, action.reason) == (Status.REJECTED, "somebody said no; it is as it was")
    assert scripted.CALLS[f"after-{name}"] == []


def test_what_cannot_be_undone_says_so(make: Make) -> None:
    """Where undoing fails as well, the action fails and both reasons stand in it."""
    world, name = make(undoable("then: [rejected], undo: [pending, temporary, permanent]")), unique()
    action = told(world, registered(name))
    assert action.status is Status.FAILED
    assert action.reason == "somebody said no; and that could not be undone: it is broken"
    assert scripted.CALLS[name].count("undo") == 3


def test_a_programming_error_undoes_too(make: Make) -> None:
    """What the host gives up on is undone before the action fails."""
    world, name = make(undoable("then: [broken]")), unique()
    action = told(world, registered(name))
    assert action.status is Status.FAILED
    assert "KeyError" in action.reason
    assert action.reason.endswith("it is as it was")


def test_a_stage_has_its_own_deadline(make: Make) -> None:
    """A stage that says how long it may take fails then, and not at the app's deadline."""
    world, name = make(undoable("then: [pending]")), unique()
    action = told(world, registered(name))
    assert action.reason.startswith("gave up after 2 hours")
    assert action.ended is not None
    assert action.ended - action.created < timedelta(hours=3)


# -- called off -------------------------------------------------------------------------------------------------------


def test_a_person_calls_off_what_can_be_undone(make: Make) -> None:
    """A job under way is stopped with its action, which ends as canceled."""
    world, name = make(undoable(SLOW)), unique()
    action = begin(world, name)
    world.reactor.decisions.cancel(action.key, ME, "enough")
    world.run()
    ended = action_of(world, registered(name))
    assert ended.status is Status.CANCELED
    assert ended.reason.endswith("it is as it was")
    assert scripted.CALLS[name].count("undo") == 1


def test_it_is_called_off_once(make: Make) -> None:
    """While it is being undone, calling it off again is a conflict that says so."""
    world, name = make(undoable(f"{SLOW}, undo: [pending]")), unique()
    action = begin(world, name)
    world.reactor.decisions.cancel(action.key, ME, "enough")
    for _ in range(2):
        world.deliver(min(world.queue, key=lambda waiting: waiting.visible))
    with pytest.raises(DecisionError):
        world.reactor.decisions.cancel(action.key, ME, "again")


def test_an_event_calls_off_what_can_be_undone(make: Make) -> None:
    """An event of cancel_on stops a running job, where the step before it left nothing that cannot be undone."""
    rule = undoable(SLOW, "cancel_on: {on: ModelDeployed, per: model.name}").replace("per: model.name", "per: source")
    world, name = make(rule), unique()
    begin(world, name)
    world.now += timedelta(minutes=1)
    deployed = registered(
        f"{name}-deployed",
        eventType="Microsoft.MachineLearningServices.ModelDeployed",
        eventTime="2026-11-22T09:15:04Z",
        data={"serviceName": "s", "modelIds": f"{name}:1", "serviceTags": {}, "serviceProperties": {}},
    )
    world.reactor.receive("event_grid", deployed)
    world.run()
    ended = action_of(world, registered(name))
    assert (ended.status, scripted.CALLS[name].count("undo")) == (Status.CANCELED, 1)


@pytest.mark.guarantee(2, 3)
@pytest.mark.timeout(600)
def test_a_crash_while_undoing(make: Make) -> None:
    """A crash before or after any request of an action that is undone changes nothing of how it ends."""
    number = 0
    while True:
        number += 1
        crash, name = CrashAt(number), unique()
        world = make(undoable("start: [pending], watch: [done], then: [permanent], undo: [pending, done]"))
        survive(world, crash, name)
        action = action_of(world, registered(name))
        assert (action.status, action.reason) == (Status.FAILED, "it is broken; it is as it was")
        assert scripted.CALLS[name].count("start") == 1
        if len(crash.seen) < number:
            break
    assert number > 30


# -- coming again, and later ------------------------------------------------------------------------------------------


def test_a_stage_may_come_again(make: Make) -> None:
    """A stage that turns to itself is done as often as it says, each time from the record."""
    world, name = make("  - {name: work, on: ModelRegistered, do: [rounds: {rounds: 4}]}"), unique()
    action = told(world, registered(name))
    assert action.status is Status.SUCCEEDED
    assert scripted.CALLS[name] == ["round"] * 4


def test_what_is_put_off_is_done_when_it_is_time(make: Make) -> None:
    """The action ends at once; what it put off is an action of its own, done once, an hour later."""
    rule = '  - {name: work, on: ModelRegistered, do: [putting_off: {what: "later-{{ model.name }}"}]}'
    world, name = make(rule), unique()
    world.reactor.receive("event_grid", registered(name))
    while world.queue:
        world.deliver(world.queue[0])
    action = action_of(world, registered(name))
    assert action.status is Status.SUCCEEDED
    assert scripted.CALLS[f"later-{name}"] == []
    world.run()
    later = world.records.read_action(digest("later", action.key, "putting_off"))
    assert later is not None
    assert later.status is Status.SUCCEEDED
    assert later.ended is not None
    assert later.ended - later.created >= timedelta(hours=1)
    assert scripted.CALLS[f"later-{name}"].count("start") == 1


def test_a_crash_does_not_lose_what_is_put_off(make: Make) -> None:
    """At whatever request the process dies, what is put off is done, and done once."""
    number = 0
    while True:
        number += 1
        crash, name = CrashAt(number), unique()
        rule = '  - {name: work, on: ModelRegistered, do: [putting_off: {what: "later-{{ model.name }}"}]}'
        world = make(rule)
        survive(world, crash, name)
        assert scripted.CALLS[f"later-{name}"].count("start") == 1
        if len(crash.seen) < number:
            break


# -- locks ------------------------------------------------------------------------------------------------------------

LOCKING = """
  - {name: work, on: ModelRegistered, do: [locking: {what: THE-ENDPOINT, start: [pending], watch: [pending, done]}]}
  - {name: too, on: ModelRegistered, do: [locking: {name: "too-{{ model.name }}", what: the-endpoint}]}
"""


@pytest.mark.guarantee(4)
def test_a_lock_is_held_by_one_action_and_free_once_it_ended(make: Make) -> None:
    """Whoever comes second waits, names the one that has it, and goes on once that has ended, in either spelling."""
    world, name = make(LOCKING), unique()
    world.reactor.receive("event_grid", registered(name))
    first, second = world.queue
    for _ in range(2):
        world.deliver(first)
        first = world.queue[-1]
    world.deliver(second)
    waiting = action_of(world, registered(name), "too")
    assert waiting.progress[-1].note == f"{action_of(world, registered(name)).key} has it"
    world.run()
    ended = [action_of(world, registered(name), rule) for rule in ("work", "too")]
    assert [action.status for action in ended] == [Status.SUCCEEDED] * 2
    assert ended[0].ended is not None
    assert ended[1].ended is not None
    assert ended[0].ended < ended[1].ended


def test_a_lock_can_be_given_back(make: Make) -> None:
    """What lets go of a lock leaves it to the next, and letting go twice changes nothing."""
    world, name = make(LOCKING.replace("what:", "lets_go: true, what:")), unique()
    assert told(world, registered(name)).status is Status.SUCCEEDED
    locks = world.reactor._performer._preparations._locks
    assert locks.hold("the-endpoint", "somebody", world.now, lambda _key: False) == ""
    locks.let_go("the-endpoint", "somebody else", world.now)
    assert locks.hold("the-endpoint", "another", world.now, lambda _key: False) == "somebody"
    locks.let_go("the-endpoint", "somebody", world.now)
    assert locks.hold("the-endpoint", "another", world.now, lambda _key: False) == ""
    assert locks.hold("the-endpoint", "a third", world.now, lambda _key: True) == ""


def test_a_step_that_is_over_has_no_lock(make: Make) -> None:
    """A step that failed behind its lock leaves it, though the action goes on with what its rule does about that."""
    rule = """
  - name: work
    on: ModelRegistered
    do: [locking: {what: "{{ model.name }}", start: [permanent]}]
    on_failure: [approval: {by: [you@example.com], within: 48h}]
"""
    world, name = make(rule), unique()
    world.reactor.receive("event_grid", registered(name))
    while world.queue:
        world.deliver(world.queue[0])
    assert action_of(world, registered(name)).asleep
    locks = world.reactor._performer._preparations._locks
    assert locks.hold(name, "somebody", world.now, lambda _key: False) == ""


def test_a_lock_without_a_record_has_its_time(make: Make) -> None:
    """A command on a laptop has a lock for a while, and longer where it takes it anew; then it is free."""
    locks, now = make(LOCKING).reactor._performer._preparations._locks, datetime(2026, 11, 22, tzinfo=UTC)
    minutes = [timedelta(minutes=number) for number in range(60)]
    what, lasts = unique(), minutes[15]
    assert locks.hold(what, "laptop", now, lambda _key: True, lasts) == ""
    assert locks.hold(what, "action", now + minutes[14], lambda _key: True) == "laptop"
    assert locks.hold(what, "laptop", now + minutes[10], lambda _key: True, lasts) == ""
    assert locks.hold(what, "action", now + minutes[24], lambda _key: True) == "laptop"
    assert locks.hold(what, "action", now + minutes[26], lambda _key: True) == ""
    assert locks.hold(what, "laptop", now + minutes[27], lambda _key: False, lasts) == "action"


# -- paused, and without a setting ------------------------------------------------------------------------------------


@pytest.mark.guarantee(2)
def test_a_pause_does_not_hold_back_the_undoing(make: Make) -> None:
    """An emergency: the rule is paused and its action called off. What was begun is undone all the same."""
    world, name = make(undoable(SLOW)), unique()
    action = begin(world, name)
    world.paused["work"] = Pause(by="ops", at=world.now, reason="freeze")
    world.reactor.decisions.cancel(action.key, ME, "enough")
    world.run(hours=1)
    ended = action_of(world, registered(name))
    assert (ended.status, scripted.CALLS[name].count("undo")) == (Status.CANCELED, 1)


@pytest.mark.guarantee(2)
def test_a_setting_that_is_gone_does_not_keep_what_was_begun(make: Make) -> None:
    """A setting is removed while a step is under way: the step fails for that, and is undone without it."""
    world, name = make(undoable(f'{SLOW}, says: ["${{TOLD}}", "${{VISION_KEY}}"]')), unique()
    begin(world, name)
    preparations = world.reactor._performer._preparations
    preparations._values = {name: value for name, value in world.settings.values.items() if name != "TOLD"}
    world.run()
    action = action_of(world, registered(name))
    assert action.status is Status.FAILED
    assert "the setting TOLD is not set" in action.reason
    assert scripted.CALLS[name].count("undo") == 1
    assert scripted.SAID[name] == ["${TOLD}", "a-secret-key"], "the settings that are there are filled in"


def test_what_was_put_off_is_not_announced_again(make: Make) -> None:
    """The end of an action is told once: what it put off and went well tells nothing."""
    rule = """
  - {name: work, on: ModelRegistered, do: [putting_off: {what: "later-{{ model.name }}"}]}
  - name: hear
    on: [ActionSucceeded]
    where: {action.rule: {StringIn: [work]}}
    do: [scripted: {name: "heard-{{ action.event }}"}]
"""
    world, name = make(rule), unique()
    action = told(world, registered(name))
    assert scripted.CALLS[f"later-{name}"].count("start") == 1
    assert scripted.CALLS[f"heard-{action.event}"].count("start") == 1


@pytest.mark.guarantee(6)
def test_a_service_that_repeats_a_setting_does_not_get_it_into_the_record(make: Make) -> None:
    """What a step was given as `${NAME}` is shown so, also where a service's words hold its value."""
    world, name = make(undoable('says: "${TOLD}", then: [echo]')), unique()
    action = told(world, registered(name))
    assert action.status is Status.FAILED
    assert action.reason == "no such thing: ${TOLD}; it is as it was"
    assert action.failure is not None
    assert "a-secret-word" not in f"{action.failure} {[state.note for state in action.progress]}"


@pytest.mark.guarantee(1)
def test_an_approval_in_time_counts_though_it_seems_to_have_expired(make: Make) -> None:
    """A decision that comes while an expiry is being written is heard, and nothing is undone."""
    world, name = make(undoable("then: [expired, done]")), unique()
    decision = Decision(verdict="approved", step="it", by=Person(id="ada"), at=world.now)

    def decide(where: str) -> None:
        """Decide just before what follows from the expiry is written."""
        if scripted.CALLS[name].count("then") == 1 and where.startswith("before PUT") and ACTIONS_TABLE in where:
            world.wire.boundary = lambda _where: None
            world.reactor._ledger.wake(action_of(world, registered(name)).key, decision=decision)

    world.wire.boundary = decide
    action = told(world, registered(name))
    assert (action.status, scripted.CALLS[name].count("undo")) == (Status.SUCCEEDED, 0)


def test_a_paused_rule_keeps_no_lock(make: Make) -> None:
    """A rule is paused just after its action took a lock: others get it, and it begins again when it may."""
    world, name = (
        make(LOCKING.replace("THE-ENDPOINT", '"{{ model.name }}"').replace("the-endpoint", '"{{ model.name }}"')),
        unique(),
    )
    world.reactor.receive("event_grid", registered(name))
    first, second = world.queue
    world.deliver(first)
    world.paused["work"] = Pause(by="ops", at=world.now, reason="freeze")
    world.queue.remove(second)
    world.deliver(world.queue[-1])
    world.queue.append(second)
    second.visible = world.now
    world.deliver(second)
    assert action_of(world, registered(name), "too").progress[-1].stage == "work"
    world.paused.clear()
    world.run()
    ended = [action_of(world, registered(name), rule).status for rule in ("work", "too")]
    assert ended == [Status.SUCCEEDED] * 2
