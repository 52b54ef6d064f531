"""What people decide: approvals, cancellations and replays on real tables, whatever dies between."""

from contextlib import suppress
from datetime import timedelta

import pytest

from shared.actions import Action, Person, Status
from shared.decisions import Caller, DecisionError, Replayed
from shared.events import digest
from shared.storage.pauses import Pause
from shared.storage.timeline import Wanted
from tests.integration import scripted
from tests.integration.making import WORKSPACE, Make, action_of, registered, unique
from tests.integration.test_limits import actions_of, deliver_all
from tests.integration.world import Crash, CrashAt, World

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

ME = Caller(
    person=Person(id="0a0a0a0a-0000-4000-8000-000000000001", name="me@example.com"),
    names=frozenset({"0a0a0a0a-0000-4000-8000-000000000001", "me@example.com", "ml-leads"}),
)
YOU = Caller(person=Person(id="you", name="you@example.com"), names=frozenset({"you", "you@example.com"}))

ASKS = """
  - name: work
    on: ModelRegistered
    do:
      - approval: {id: lead, by: [ML-Leads], within: 2h}
      - scripted: {id: one, says: "{{ steps.lead.by }} said {{ steps.lead.reason }}"}
      - approval: {id: boss, by: [you@example.com], within: 1h}
      - scripted: {id: two}
    on_failure:
      - scripted: {id: never}
  - name: hear
    on: [ApprovalRequested, ApprovalGranted, ApprovalRejected, ApprovalExpired]
    where: {action.rule: {StringIn: [work]}}
    do: [scripted: {name: "heard-{{ action.subject }}", says: "{{ kinds | first }} {{ approval.step }}"}]
"""


def asked(make: Make, rules: str = ASKS) -> tuple[World, str]:
    """Have a model registered, and everything done that can be done without a person."""
    world, name = make(rules), unique()
    world.reactor.receive("event_grid", registered(name))
    deliver_all(world)
    return world, name


def heard(world: World, name: str) -> list[str]:
    """Give what was announced about a model's action."""
    subject = f"actions/{action_of(world, registered(name)).key}"
    days = Wanted(since=world.now - timedelta(days=2), until=world.now + timedelta(days=1), rule="hear")
    rows = [row for row in world.timeline.read("actions", days, most=10_000).rows if row.subject == subject]
    actions = [world.records.read_action(row.key) for row in rows]
    return [str(action.progress[0].result["said"]) for action in actions if action]


# -- approvals --------------------------------------------------------------------------------------------------------


def test_an_action_waits_for_people_wherever_they_are_asked(make: Make) -> None:
    """Each approval lets it go on to the next one; who approved and why can be read by later steps."""
    world, name = asked(make)
    action = action_of(world, registered(name))
    assert (action.asleep, action.progress[-1].note) == (True, "waits for ML-Leads")
    world.reactor.decisions.approve(action.key, ME, "looks fine")
    deliver_all(world)
    world.reactor.decisions.approve(action.key, YOU, "")
    world.run()
    action = action_of(world, registered(name))
    assert action.status is Status.SUCCEEDED
    assert action.progress[1].result["said"] == "me@example.com said looks fine"


def test_who_waits_for_a_person_holds_no_message(make: Make) -> None:
    """Nothing is in the queue while a person is asked; the sweep leaves it alone until its time is over."""
    world, name = asked(make)
    assert world.queue == []
    world.now += timedelta(hours=1)
    world.reactor.sweep()
    assert world.queue == []
    world.now += timedelta(hours=1, minutes=1)
    world.reactor.sweep()
    assert len(world.queue) == 1
    world.run()
    action = action_of(world, registered(name))
    assert (action.status, action.reason) == (Status.EXPIRED, "nobody decided within 2h")
    assert scripted.CALLS[name] == []


def test_a_rejection_ends_the_action(make: Make) -> None:
    """A rejected action is over with who and why; it did not fail, so on_failure is not done."""
    world, name = asked(make)
    action = action_of(world, registered(name))
    world.reactor.decisions.reject(action.key, ME, "not on a Friday")
    world.run()
    action = action_of(world, registered(name))
    assert (action.status, action.reason) == (Status.REJECTED, "rejected by me@example.com: not on a Friday")
    assert scripted.CALLS[name] == []


def test_what_is_asked_and_answered_is_announced(make: Make) -> None:
    """Each question and each answer is an event that rules can hear, once."""
    world, name = asked(make)
    key = action_of(world, registered(name)).key
    world.reactor.decisions.approve(key, ME, "")
    deliver_all(world)
    world.reactor.decisions.reject(key, YOU, "")
    world.run()
    assert sorted(heard(world, name)) == [
        "ApprovalGranted lead",
        "ApprovalRejected boss",
        "ApprovalRequested boss",
        "ApprovalRequested lead",
    ]


def test_a_decision_counts_once(make: Make) -> None:
    """A second answer is refused with who gave the first, also once the action has gone on."""
    world, name = asked(make)
    key = action_of(world, registered(name)).key
    world.reactor.decisions.approve(key, ME, "")
    for _ in range(2):
        with pytest.raises(DecisionError, match=r"approved already, by me@example\.com") as refused:
            world.reactor.decisions.reject(key, ME, "")
        assert refused.value.kind == "conflict"
    deliver_all(world)
    with pytest.raises(DecisionError, match=r"you@example\.com") as refused:
        world.reactor.decisions.approve(key, ME, "")
    assert refused.value.kind == "forbidden"


def test_only_those_who_are_named_decide(make: Make) -> None:
    """Somebody else is refused, and the refusal says who it is for."""
    world, name = asked(make)
    key = action_of(world, registered(name)).key
    with pytest.raises(DecisionError, match=r"you@example\.com may not decide this: it is for ML-Leads") as refused:
        world.reactor.decisions.approve(key, YOU, "")
    assert refused.value.kind == "forbidden"
    assert action_of(world, registered(name)).decision is None


def test_what_has_expired_cannot_be_approved(make: Make) -> None:
    """After its time a decision is refused, also before the sweep has seen it."""
    world, name = asked(make)
    world.now += timedelta(hours=2)
    with pytest.raises(DecisionError, match="it could be decided until"):
        world.reactor.decisions.approve(action_of(world, registered(name)).key, ME, "")


@pytest.mark.parametrize("key", ["0" * 32, "no-key"])
def test_an_unknown_action_is_said(make: Make, key: str) -> None:
    """A key of nothing is unknown."""
    with pytest.raises(DecisionError) as refused:
        make(ASKS).reactor.decisions.cancel(key, ME, "")
    assert refused.value.kind == "unknown"


@pytest.mark.guarantee(1, 2)
def test_a_decision_survives_whatever_dies(make: Make) -> None:
    """Whatever request dies while an approval is written or acted on: who is told it was taken finds it taken."""
    number = 0
    while True:
        number += 1
        world, name = asked(make, ASKS.replace("      - approval: {id: boss, by: [you@example.com], within: 1h}\n", ""))
        key = action_of(world, registered(name)).key
        crash = CrashAt(number)
        world.wire.boundary = crash
        try:
            with world.wire.watched():
                world.reactor.decisions.approve(key, ME, "yes")
        except Crash:  # the person asks again
            world.wire.boundary = lambda _where: None
            with suppress(DecisionError):  # it was taken, or is now
                world.reactor.decisions.approve(key, ME, "yes")
        world.run()
        world.wire.boundary = lambda _where: None
        action = action_of(world, registered(name))
        assert action.status is Status.SUCCEEDED, (number, crash.seen)
        if len(crash.seen) < number:
            return


# -- canceling --------------------------------------------------------------------------------------------------------


def test_a_person_cancels_what_has_not_begun(make: Make) -> None:
    """A canceled action ends with who and why, and does nothing more."""
    world, name = asked(make)
    key = action_of(world, registered(name)).key
    world.reactor.decisions.cancel(key, ME, "wrong model")
    with pytest.raises(DecisionError, match=r"called off already, by me@example\.com: wrong model"):
        world.reactor.decisions.cancel(key, ME, "")
    world.run()
    action = action_of(world, registered(name))
    assert (action.status, action.reason) == (Status.CANCELED, "called off by me@example.com: wrong model")
    with pytest.raises(DecisionError, match="it has ended: canceled"):
        world.reactor.decisions.cancel(key, ME, "")
    assert scripted.CALLS[name] == []


def test_what_runs_is_not_canceled(make: Make) -> None:
    """Once a job was started a cancellation is refused, and says which step and what helps."""
    world, name = (
        make("\n  - {name: work, on: ModelRegistered, do: [scripted: {start: [pending], watch: [pending, done]}]}"),
        unique(),
    )
    world.reactor.receive("event_grid", registered(name))
    deliver_all(world)
    with pytest.raises(DecisionError, match='"scripted" has begun what cannot be undone') as refused:
        world.reactor.decisions.cancel(action_of(world, registered(name)).key, ME, "")
    assert refused.value.kind == "conflict"
    world.run()
    assert action_of(world, registered(name)).status is Status.SUCCEEDED


# -- gates ------------------------------------------------------------------------------------------------------------


def test_a_gate_decides_by_the_event_and_by_earlier_steps(make: Make) -> None:
    """Where its filter holds the action goes on; else it is skipped, with the condition and what was found."""
    rules = """
  - name: work
    on: ModelRegistered
    do:
      - scripted: {id: one, says: {auc: 0.8}}
      - gate: {where: {model.version: {StringIn: ["1"]}, steps.one.said.auc: {NumberGreaterThan: 0.7}}}
      - gate: {reason: not good enough, where: {steps.one.said.auc: {NumberGreaterThan: 0.9}}}
      - scripted: {id: two}
  - name: tell
    on: ActionSkipped
    where: {action.rule: {StringIn: [work]}}
    do: [scripted: {name: "s-{{ action.key }}"}]
"""
    world, name = make(rules), unique()
    world.reactor.receive("event_grid", registered(name))
    world.run()
    action = action_of(world, registered(name))
    assert action.status is Status.SKIPPED
    assert action.reason == "not good enough: steps.one.said.auc NumberGreaterThan 0.9: it is 0.8"
    assert scripted.CALLS[f"s-{action.key}"].count("start") == 1


def test_a_gate_decides_in_a_dry_run_too(make: Make) -> None:
    """A dry run says what a gate would stop; what only a real result could decide goes on."""
    rules = """
  - name: work
    on: ModelRegistered
    mode: dry_run
    do:
      - gate: {where: {steps.one.said.auc: {NumberGreaterThan: 0.9}}}
      - gate: {where: {model.version: {StringIn: ["2"]}}}
""".replace("      - gate: {where: {steps", "      - scripted: {id: one}\n      - gate: {where: {steps", 1)
    world, name = make(rules), unique()
    world.reactor.receive("event_grid", registered(name))
    world.run()
    action = action_of(world, registered(name))
    assert (action.status, action.reason) == (Status.SKIPPED, 'model.version StringIn ["2"]: it is "1"')


# -- pausing ----------------------------------------------------------------------------------------------------------


def test_a_paused_rule_begins_nothing_and_goes_on_when_it_is_resumed(make: Make) -> None:
    """While it is paused, what is not begun waits; then it goes on as if nothing had been."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}"), unique()
    world.paused["work"] = Pause(by="me", reason="a release")
    world.reactor.receive("event_grid", registered(name))
    for _ in range(5):
        deliver_all(world)
        world.now += timedelta(hours=6)
    assert action_of(world, registered(name)).note == "paused by me: a release"
    assert scripted.CALLS[name] == []
    world.paused.clear()
    world.run()
    assert action_of(world, registered(name)).status is Status.SUCCEEDED


# -- replays ----------------------------------------------------------------------------------------------------------

FAILS = "\n  - {name: work, on: ModelRegistered, do: [scripted: {start: [permanent, done]}]}"


def replay(world: World, body: str, **wishes: object) -> list[Replayed]:
    """Replay an event; by the plan of then, where nothing else is said."""
    asked = {"reason": "an outage", "rules": "then"} | wishes
    return world.reactor.decisions.replay(world.event_key(body), ME, **asked)  # type: ignore[arg-type]


def latest(world: World, body: str) -> Action:
    """Read the last action of the rule "work" for an event."""
    action = world.reactor._ledger.latest(digest("action", world.event_key(body), "work"))
    assert action is not None
    return action


def test_a_replay_does_again_what_failed(make: Make) -> None:
    """The new action has who, when and why, and which one it does again; the old one stays as it was."""
    world, name = make(FAILS), unique()
    body = registered(name)
    world.reactor.receive("event_grid", body)
    world.run()
    (replayed,) = replay(world, body)
    assert (replayed.rule, replayed.outcome) == ("work", "started")
    world.run()
    action, first = latest(world, body), action_of(world, body)
    assert (first.status, action.status) == (Status.FAILED, Status.SUCCEEDED)
    assert action.replay
    assert (action.replay.of, str(action.replay.by), action.replay.reason) == (first.key, "me@example.com", "an outage")


@pytest.mark.guarantee(3)
def test_replaying_twice_is_replaying_once(make: Make) -> None:
    """What is under way stays alone, and so does what has succeeded, unless that is asked for."""
    world, name = make(FAILS), unique()
    body = registered(name)
    world.reactor.receive("event_grid", body)
    world.run()
    assert [replay(world, body)[0].outcome for _ in range(3)] == ["started", "under_way", "under_way"]
    world.run()
    assert scripted.CALLS[name].count("start") == 2
    assert replay(world, body)[0].outcome == "succeeded_before"
    assert [replay(world, body, again=True)[0].outcome for _ in range(2)] == ["started", "under_way"]
    world.run()
    assert scripted.CALLS[name].count("start") == 3


def test_a_replay_by_the_rules_of_now(make: Make) -> None:
    """A rule that was written since answers an event of before, once; what is gone stays gone."""
    world, name = make(FAILS), unique()
    body = registered(name)
    world.reactor.receive("event_grid", body)
    world.run()
    world.rules = make("\n  - {name: newer, on: ModelRegistered, do: [scripted]}").rules
    assert [(one.rule, one.outcome) for one in replay(world, body, rules="now")] == [("newer", "started")]
    assert [(one.rule, one.outcome) for one in replay(world, body, rules="now")] == [("newer", "under_way")]
    world.run()
    assert [(one.rule, one.outcome) for one in replay(world, body, rules="then")] == [("work", "started")]
    record = world.records.read_event(world.event_key(body))
    assert record is not None
    assert record.replayed == [digest("action", record.key, "newer")]
    with pytest.raises(DecisionError, match='no rule "other" answers'):
        replay(world, body, rules="now", rule="other")


def test_what_was_only_tried_is_done_by_a_replay(make: Make) -> None:
    """A dry run that succeeded is no reason to leave it at that once the rule is live."""
    world, name = make("\n  - {name: work, on: ModelRegistered, mode: dry_run, do: [scripted]}"), unique()
    body = registered(name)
    world.reactor.receive("event_grid", body)
    world.run()
    world.rules = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}").rules
    assert [replay(world, body, rules=rules)[0].outcome for rules in ("then", "now")] == ["succeeded_before", "started"]
    world.run()
    assert scripted.CALLS[name].count("start") == 1


def test_a_refused_event_can_be_replayed_once_it_is_declared(make: Make) -> None:
    """An event that came before its workspace was declared is answered by the rules of now."""
    world, name = make(FAILS.replace("[permanent, done]", "[done]")), unique()
    body = registered(name, topic=WORKSPACE.replace("fraud", "other"))
    world.reactor.receive("event_grid", body)
    with pytest.raises(DecisionError, match="no plan was made for it then: it was refused"):
        replay(world, body)
    with pytest.raises(DecisionError, match="does not declare"):
        replay(world, body, rules="now")
    declared = world.rules_text.replace("workspaces/fraud}", "workspaces/other}")
    world.rules = world.load(declared)
    assert replay(world, body, rules="now")[0].outcome == "started"
    world.run()
    assert scripted.CALLS[name].count("start") == 1


def test_a_replay_has_the_slots_of_what_it_does_again(make: Make) -> None:
    """A cooldown that an action took does not block doing that action again, and blocks others as before."""
    rule = unique()
    limit = "limit: {cooldown: 24h, per: subject}"
    world, name = (
        make(f"\n  - {{name: {rule}, on: ModelRegistered, {limit}, do: [scripted: {{start: [permanent, done]}}]}}"),
        unique(),
    )
    body = registered(name)
    world.reactor.receive("event_grid", body)
    world.run()
    assert replay(world, body)[0].outcome == "started"
    other = registered(name, id="another")
    world.reactor.receive("event_grid", other)
    world.run()
    action = world.reactor._ledger.latest(digest("action", world.event_key(body), rule))
    assert action is not None
    assert action.status is Status.SUCCEEDED
    assert action_of(world, other, rule).status is Status.SKIPPED


@pytest.mark.guarantee(1, 3)
def test_a_replay_survives_whatever_dies(make: Make) -> None:
    """Whatever request dies while an event is replayed, replaying it again makes no second action."""
    number = 0
    while True:
        number += 1
        world, name = make(FAILS), unique()
        body = registered(name)
        world.reactor.receive("event_grid", body)
        world.run()
        crash = CrashAt(number)
        world.wire.boundary = crash
        try:
            with world.wire.watched():
                replay(world, body)
        except Crash:  # the person asks again
            world.wire.boundary = lambda _where: None
            replay(world, body)
        world.wire.boundary = lambda _where: None
        world.run()
        assert latest(world, body).status is Status.SUCCEEDED, (number, crash.seen)
        assert scripted.CALLS[name].count("start") == 2
        if len(crash.seen) < number:
            return


def test_who_decides_is_read_from_their_names(make: Make) -> None:
    """A person may be named by object id, address or group, in any casing."""
    for name_in_rule in (ME.person.id.upper(), "Me@Example.com", "ml-LEADS"):
        world, name = asked(make, ASKS.replace("ML-Leads", name_in_rule))
        key = action_of(world, registered(name)).key
        world.reactor.decisions.approve(key, ME, "")
        assert len(actions_of(world)) >= 1
