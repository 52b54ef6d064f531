"""Limits, cancellations and expectations on real tables: what acts, what is skipped and why, whatever dies between."""

import json
import random
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from shared.actions import Action, Status
from shared.events import digest
from tests.integration import scripted
from tests.integration.making import WORKSPACE, Make, registered, unique
from tests.integration.world import LEASE, CrashAt, Workers, World, worth_a_crash

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""


class Models:
    """Tells of models whose registrations answer one rule, and looks what came of each."""

    def __init__(self, world: World, rule: str) -> None:
        self.world = world
        self.rule = rule
        self.group = unique()
        self.told: dict[str, str] = {}

    def tell(self, name: str, *, group: str = "", minutes: float = 0, time: str = "2026-11-22T08:15:04Z") -> str:
        """Tell of a model now, `minutes` after what was told before; return its action's key."""
        self.world.now += timedelta(minutes=minutes)
        tags = {"group": group or self.group}
        body = registered(
            f"{self.group}-{name}",
            eventTime=time,
            data={"modelName": f"{self.group}-{name}", "modelVersion": "1", "modelTags": tags, "modelProperties": {}},
        )
        self.world.reactor.receive("event_grid", body)
        self.told[name] = digest("action", self.world.event_key(body), self.rule)
        return self.told[name]

    def action(self, name: str) -> Action:
        """Read what came of a model."""
        action = self.world.records.read_action(self.told[name])
        assert action is not None
        return action

    def acted(self) -> list[str]:
        """List the models that were acted on, in order of their beginning."""
        done = [name for name in self.told if self.action(name).status is Status.SUCCEEDED]
        return sorted(done, key=lambda name: self.action(name).progress[0].began or self.world.now)

    def skipped(self) -> dict[str, str]:
        """Give why the others were skipped."""
        actions = {name: self.action(name) for name in self.told}
        return {name: action.reason for name, action in actions.items() if action.status is Status.SKIPPED}

    def starts(self, name: str) -> int:
        """Count how often the work for a model was started."""
        return scripted.CALLS[f"{self.group}-{name}"].count("start")


def limited(make: Make, limit: str, do: str = "scripted", more: str = "") -> Models:
    """Make a world whose rule has a limit; it has a name of its own, since limits outlive a test."""
    rule = unique()
    return Models(make(f"\n  - {{name: {rule}, on: ModelRegistered, limit: {limit}, do: [{do}]{more}}}"), rule)


# -- each limit -------------------------------------------------------------------------------------------------------


def test_a_cooldown_counts_for_each_value_of_its_path(make: Make) -> None:
    """Within its cooldown a rule acts once for each value of `per`; what is suppressed says why."""
    models = limited(make, "{cooldown: 1h, per: data.modelTags.group}")
    models.tell("a")
    models.world.run()
    models.tell("b", minutes=30)
    models.tell("c", group=unique())
    models.world.run()
    models.tell("d", minutes=31)
    models.world.run()
    assert models.acted() == ["a", "c", "d"]
    assert models.skipped()["b"].startswith(f"cooldown of 1h since action {models.told['a']} at ")


def test_at_most_counts_for_the_whole_rule(make: Make) -> None:
    """A rule's budget is one for all values of `per`, and is there again as time goes by."""
    models = limited(make, "{cooldown: 1m, per: data.modelTags.group, at_most: 2 per hour}")
    for name in "abc":
        models.tell(name, group=unique(), minutes=10)
        models.world.run()
    models.tell("d", group=unique(), minutes=45)
    models.world.run()
    assert models.acted() == ["a", "b", "d"]
    assert models.skipped()["c"].startswith("at most 2 within 1h; the next may begin at ")


def test_a_refused_budget_gives_the_cooldown_back(make: Make) -> None:
    """An action that its budget refuses leaves no cooldown behind."""
    models = limited(make, "{cooldown: 12h, per: data.modelTags.group, at_most: 1 per hour}")
    models.tell("a", group=unique())
    models.tell("b")
    models.world.run()
    models.tell("c", minutes=90)
    models.world.run()
    assert models.acted() == ["a", "c"]


def test_a_threshold_acts_on_the_nth(make: Make) -> None:
    """It acts on the Nth event within its time, counts anew, and forgets those that are too old."""
    models = limited(make, "{threshold: 3 within 1h}")
    for number, minutes in enumerate((0, 50, 20, 5, 5, 5)):
        models.tell(str(number), minutes=minutes)
        models.world.run()
    assert models.acted() == ["3"]
    assert models.skipped() == {
        "0": "1 of 3 within 1h",
        "1": "2 of 3 within 1h",
        "2": "2 of 3 within 1h",
        "4": "1 of 3 within 1h",
        "5": "2 of 3 within 1h",
    }


def test_a_debounce_acts_once_on_the_newest(make: Make) -> None:
    """While events keep coming nothing is done; once they stop, the newest is acted on, and the others say so."""
    models = limited(make, "{debounce: 10m, per: data.modelTags.group}")
    for name in "abc":
        models.tell(name, minutes=5)
    models.world.run()
    models.tell("d", minutes=30)
    models.world.run()
    assert models.acted() == ["c", "d"]
    assert set(models.skipped()) == {"a", "b"}
    assert models.skipped()["a"] == "a newer event came before it was quiet for 10m"


def test_concurrency_skip(make: Make) -> None:
    """While one is under way the next is skipped, and after its end the one after that is not."""
    models = limited(make, "{concurrency: skip, per: data.modelTags.group}", SLOW)
    models.tell("a")
    deliver_all(models.world)
    models.tell("b")
    models.world.run()
    models.tell("c")
    models.world.run()
    assert models.acted() == ["a", "c"]
    assert models.skipped() == {"b": f"action {models.told['a']} is still under way"}


def test_concurrency_queue(make: Make) -> None:
    """They act one after the other, in the order they came, and each is woken by the end of the one before it."""
    models = limited(make, "{concurrency: queue, per: data.modelTags.group}", SLOW)
    for name in "abcd":
        models.tell(name, minutes=0.1)
        deliver_all(models.world)
    assert [models.action(name).asleep for name in "abcd"] == [False, True, True, True]
    models.world.run()
    assert models.acted() == ["a", "b", "c", "d"]
    spans = [(models.action(name).progress[0].began, models.action(name).ended) for name in "abcd"]
    assert all(before[1] <= after[0] for before, after in pairwise(spans) if before[1] and after[0])


def test_concurrency_replace_waits_for_what_cannot_be_undone(make: Make) -> None:
    """What has begun goes on to its end; of those that wait for it only the newest acts."""
    models = limited(make, "{concurrency: replace, per: data.modelTags.group}", SLOW)
    for name in "abc":
        models.tell(name, minutes=0.1)
        deliver_all(models.world)
    models.world.run()
    assert models.acted() == ["a", "c"]
    assert models.skipped() == {"b": "a newer event took its place"}


def test_concurrency_replace_calls_off_what_has_not_begun(make: Make) -> None:
    """An action that waits for a person is called off by the next one."""
    models = limited(make, "{concurrency: replace, per: data.modelTags.group}", "approval: {by: [me@example.com]}")
    models.tell("a")
    deliver_all(models.world)
    models.tell("b", minutes=1)
    deliver_all(models.world)
    assert models.action("a").status is Status.CANCELED
    assert "a newer event took its place" in models.action("a").reason
    models.world.run()
    assert models.action("b").status is Status.EXPIRED


def test_a_digest_answers_all_its_events_at_once(make: Make) -> None:
    """One action knows every event of its quarter of an hour; the others end at once and name it."""
    models = limited(make, "{digest: 15m}", "scripted: {says: \"{{ digest | map(attribute='subject') | join(' ') }}\"}")
    for name in "abc":
        models.tell(name, minutes=4)
        deliver_all(models.world)
    models.world.run()
    models.tell("d", minutes=10)
    models.world.run()
    said = models.action("a").progress[0].result["said"]
    assert said == " ".join(f"models/{models.group}-{name}:1" for name in "abc")
    assert models.skipped() == dict.fromkeys("bc", f"told in the digest of action {models.told['a']}")
    assert models.action("d").progress[0].result["said"] == f"models/{models.group}-d:1"


def test_a_dry_run_has_slots_of_its_own(make: Make) -> None:
    """A rule that was tried dry begins afresh when it goes live."""
    models = limited(make, "{cooldown: 24h, per: data.modelTags.group}", more=", mode: dry_run")
    models.tell("a")
    models.tell("b")
    models.world.run()
    assert models.acted() == ["a"]
    limit = "{cooldown: 24h, per: data.modelTags.group}"
    models.world.rules = make(
        f"\n  - {{name: {models.rule}, on: ModelRegistered, limit: {limit}, do: [scripted]}}"
    ).rules
    models.tell("c")
    models.world.run()
    assert models.acted() == ["a", "c"]


def test_a_slot_is_given_back_where_nothing_was_started(make: Make) -> None:
    """A gate that stops an action leaves no cooldown behind; a failed start does."""
    gate = "gate: {where: {data.modelTags.good: {StringIn: ['yes']}}}, scripted: {start: [permanent]}"
    models = limited(make, "{cooldown: 24h}", gate.replace("gate:", "{gate:").replace("}}}, scr", "}}}}, {scr") + "}")
    assert models.world.rules is not None
    models.tell("a")
    models.world.run()
    assert models.action("a").status is Status.SKIPPED
    assert 'data.modelTags.good StringIn ["yes"]: it is missing' in models.action("a").reason
    for name in "bc":
        body = registered(
            f"{models.group}-{name}",
            data={"modelName": name, "modelVersion": "1", "modelTags": {"good": "yes"}, "modelProperties": {}},
        )
        models.world.reactor.receive("event_grid", body)
        models.told[name] = digest("action", models.world.event_key(body), models.rule)
        models.world.run()
    assert models.action("b").status is Status.FAILED
    assert models.action("c").reason.startswith("cooldown of 24h")


SLOW = "scripted: {start: [pending], watch: [pending, pending, done]}"


def deliver_all(world: World) -> None:
    """Deliver everything that is visible now."""
    while visible := [message for message in world.queue if message.visible <= world.now]:
        world.deliver(visible[0])


# -- races and crashes ------------------------------------------------------------------------------------------------


@pytest.mark.guarantee(2, 3)
@pytest.mark.parametrize("seed", range(3))
def test_twenty_at_once_act_exactly_once(make: Make, seed: int) -> None:
    """Of twenty events on one cooldown, performed at the same time in any order, exactly one acts."""
    models, choice = limited(make, "{cooldown: 24h, per: data.modelTags.group}"), random.Random(seed)
    world = models.world
    for number in range(20):
        models.tell(str(number))
    workers = Workers(choice)
    world.wire.boundary = lambda _where: workers.boundary(world.now)
    for message in list(world.queue):
        workers.start(lambda message=message: world.deliver(message), world.now)  # type: ignore[misc] # bound now
    while workers.waiting_since:
        workers.step(choice.choice(sorted(workers.waiting_since)))
    world.wire.boundary = lambda _where: None
    world.run()
    assert len(models.acted()) == 1
    assert len(models.skipped()) == 19
    assert sum(models.starts(str(number)) for number in range(20)) == 1


LIMITS = (
    "{cooldown: 24h, per: data.modelTags.group, at_most: 4 per day}",
    "{threshold: 2 within 1h, per: data.modelTags.group}",
    "{debounce: 10m, per: data.modelTags.group}",
    "{concurrency: queue, per: data.modelTags.group}",
    "{concurrency: replace, per: data.modelTags.group}",
    "{digest: 15m, per: data.modelTags.group}",
)
ACTED = {"cooldown": 1, "threshold": 1, "debounce": 1, "queue": 2, "digest": 1}
"""How many of two act; with replace, one or both, by how far the first one got."""


@pytest.mark.guarantee(2, 3)
@pytest.mark.parametrize("limit", LIMITS)
def test_a_crash_never_makes_a_limit_block_its_own_action(make: Make, limit: str) -> None:
    """Whatever write the process dies after, the limit decides as it would have: as many act, and none twice."""
    wanted = next((count for word, count in ACTED.items() if word in limit), None)

    def crashing_at(number: int) -> list[str]:
        models, crash = limited(make, limit, "scripted: {start: [pending], watch: [done]}"), CrashAt(number)
        models.tell("a")
        models.tell("b", minutes=0.1)
        models.world.wire.boundary = crash
        models.world.run()
        models.world.wire.boundary = lambda _where: None
        at = (number, crash.seen[number - 1 : number], models.skipped())
        assert not any(models.action(name).status in {Status.OPEN, Status.FAILED} for name in "ab"), at
        assert wanted is None or len(models.acted()) == wanted, at
        assert all(models.starts(name) <= 1 for name in "ab"), at
        assert "b" in models.acted() or "debounce" not in limit, at
        return crash.seen

    chosen = worth_a_crash(crashing_at(0))
    assert len(chosen) > 10
    for number in chosen:
        crashing_at(number)


# -- what calls off, and what should follow ---------------------------------------------------------------------------


def run_event(name: str, status: str, *, time: str, monitor: str = "", **changes: Any) -> str:
    """Write a run's change of status; with a monitor, that of a Model Monitor's breach."""
    tags = (
        {
            "azureml_modelmonitor_threshold_breached": f"The signal '{monitor}' has failed due to one or more "
            "features violating metric thresholds."
        }
        if monitor
        else {}
    )
    data = {
        "experimentId": "e",
        "experimentName": "x",
        "runId": name,
        "runType": "azureml.PipelineRun",
        "runTags": tags,
        "runProperties": {},
        "runStatus": status,
    }
    event = {
        "id": f"{name}-{status}-{time}",
        "topic": WORKSPACE,
        "subject": f"experiments/e/runs/{name}",
        "eventType": "Microsoft.MachineLearningServices.RunStatusChanged",
        "eventTime": time,
        "data": data,
    }
    return json.dumps(event | changes)


RETRAIN = """
  - name: work
    on: DriftDetected
    limit: {cooldown: 24h, per: drift.signal}
    cancel_on: DriftRecovered
    do:
      - approval: {by: [me@example.com], within: 24h}
      - scripted: {name: "{{ run.id }}", start: [pending], watch: [done]}
"""


def actions_of(world: World) -> list[Action]:
    """Read the actions that are open."""
    found = [world.records.read_action(row.key) for row in world.records.list_open() if row.what == "action"]
    return [action for action in found if action is not None]


def test_an_event_calls_off_what_has_not_begun(make: Make) -> None:
    """A recovery cancels the retraining that still waits for a person, and gives its slot back."""
    world, signal = make(RETRAIN), unique()
    world.reactor.receive("event_grid", run_event(signal, "Failed", time="2026-11-22T08:00:00Z", monitor=signal))
    deliver_all(world)
    (action,) = actions_of(world)
    later = run_event(f"{signal}-2", "Completed", time="2026-11-22T09:00:00Z", monitor=signal)
    world.reactor.receive("event_grid", later)
    world.run()
    ended = world.records.read_action(action.key)
    assert ended is not None
    assert (ended.status, signal in scripted.CALLS) == (Status.CANCELED, False)
    assert ended.reason == f"called off by event {world.event_key(later)}: DriftRecovered, RunStatusChanged"
    world.reactor.receive("event_grid", run_event(f"{signal}-3", "Failed", time="2026-11-22T10:00:00Z", monitor=signal))
    deliver_all(world)
    assert [waiting.note or waiting.progress[0].note for waiting in actions_of(world)] == ["waits for me@example.com"]


@pytest.mark.guarantee(4)
def test_a_recovery_that_was_overtaken_still_calls_off(make: Make) -> None:
    """Where the recovery comes before the drift that it ends, the drift's action ends as it begins."""
    world, signal = make(RETRAIN), unique()
    recovered = run_event(f"{signal}-2", "Completed", time="2026-11-22T09:00:00Z", monitor=signal)
    world.reactor.receive("event_grid", recovered)
    world.reactor.receive("event_grid", run_event(signal, "Failed", time="2026-11-22T08:00:00Z", monitor=signal))
    (action,) = actions_of(world)
    world.run()
    ended = world.records.read_action(action.key)
    assert ended is not None
    assert ended.status is Status.CANCELED


@pytest.mark.guarantee(4)
def test_an_old_recovery_calls_off_nothing_newer(make: Make) -> None:
    """A recovery from before the drift does not end the drift's action, whenever it comes."""
    world, signal = make(RETRAIN), unique()
    world.reactor.receive("event_grid", run_event(signal, "Failed", time="2026-11-22T08:00:00Z", monitor=signal))
    deliver_all(world)
    (action,) = actions_of(world)
    recovered = run_event(f"{signal}-0", "Completed", time="2026-11-22T07:00:00Z", monitor=signal)
    world.reactor.receive("event_grid", recovered)
    deliver_all(world)
    waiting = world.records.read_action(action.key)
    assert waiting is not None
    assert waiting.is_open
    assert waiting.canceled is None


def test_what_has_begun_is_not_called_off(make: Make) -> None:
    """Once a job runs, a recovery changes nothing; the alert before it would not have counted."""
    rule = """
  - name: work
    on: DriftDetected
    cancel_on: {on: DriftRecovered, per: drift.signal}
    do:
      - telling: {name: "told-{{ run.id }}"}
      - scripted: {name: "{{ run.id }}", start: [pending], watch: [pending, pending, done]}
"""
    world, signal = make(rule), unique()
    world.reactor.receive("event_grid", run_event(signal, "Failed", time="2026-11-22T08:00:00Z", monitor=signal))
    (action,) = actions_of(world)
    deliver_all(world)
    world.reactor.receive(
        "event_grid", run_event(f"{signal}-2", "Completed", time="2026-11-22T09:00:00Z", monitor=signal)
    )
    world.run()
    ended = world.records.read_action(action.key)
    assert ended is not None
    assert (ended.status, ended.committed) == (Status.SUCCEEDED, True)


@pytest.mark.parametrize("number", range(1, 60))
def test_a_cancellation_looks_before_it_says_so(make: Make, number: int) -> None:
    """Whatever request the process dies at while the job is started: it is canceled and was not started, or neither."""
    world, signal = make(RETRAIN.replace("- approval: {by: [me@example.com], within: 24h}\n      ", "")), unique()
    world.reactor.receive("event_grid", run_event(signal, "Failed", time="2026-11-22T08:00:00Z", monitor=signal))
    (action,) = actions_of(world)
    crash = CrashAt(number)
    world.wire.boundary = crash
    deliver_all(world)
    world.wire.boundary = lambda _where: None
    world.reactor.receive(
        "event_grid", run_event(f"{signal}-2", "Completed", time="2026-11-22T09:00:00Z", monitor=signal)
    )
    world.run()
    ended = world.records.read_action(action.key)
    assert ended is not None
    started = "start" in scripted.CALLS[signal]
    assert ended.status is (Status.SUCCEEDED if started else Status.CANCELED), crash.seen


EXPECTS = """
  - name: work
    on: RunStatusChanged
    where: {run.status: {StringIn: [Running]}}
    expect: {kind: RunCompleted, within: 2h, per: run.id}
  - name: tell
    on: ExpectationMissed
    do: [scripted: {name: "{{ expectation.subject }}", says: "{{ expectation.kind }} {{ expectation.rule }}"}]
"""


def completed(name: str, time: str) -> str:
    """Write a run's completion."""
    kind = "Microsoft.MachineLearningServices.RunCompleted"
    return run_event(name, "Completed", time=time, eventType=kind)


def test_an_expectation_that_is_missed_is_announced(make: Make) -> None:
    """Where the second event does not follow in time, ExpectationMissed is; it names the first."""
    world, name = make(EXPECTS), unique()
    world.reactor.receive("event_grid", run_event(name, "Running", time="2026-11-22T08:00:00Z"))
    began = world.now
    world.run()
    assert timedelta(hours=2) <= world.now - began <= timedelta(hours=2) + 2 * LEASE
    assert scripted.CALLS[f"experiments/e/runs/{name}"].count("start") == 1


@pytest.mark.parametrize("order", ["after", "before"])
def test_an_expectation_that_is_met_is_not(make: Make, order: str) -> None:
    """Where the second event follows, nothing is announced: also where the two overtook each other on the way."""
    world, name = make(EXPECTS), unique()
    first = run_event(name, "Running", time="2026-11-22T08:00:00Z")
    second = completed(name, "2026-11-22T08:40:00Z")
    for body in (first, second) if order == "after" else (second, first):
        world.reactor.receive("event_grid", body)
        deliver_all(world)
    world.run()
    action = world.records.read_action(digest("expect", world.event_key(first), "work"))
    assert action is not None
    assert (action.status, action.met) == (Status.SUCCEEDED, world.event_key(second))
    assert f"experiments/e/runs/{name}" not in scripted.CALLS


@pytest.mark.guarantee(4)
def test_an_old_event_fulfils_nothing(make: Make) -> None:
    """A completion from before the start that is waited for is another run's end, whenever it comes."""
    world, name = make(EXPECTS), unique()
    first = run_event(name, "Running", time="2026-11-22T08:00:00Z")
    world.reactor.receive("event_grid", first)
    deliver_all(world)
    world.reactor.receive("event_grid", completed(name, "2026-11-21T08:40:00Z"))
    deliver_all(world)
    action = world.records.read_action(digest("expect", world.event_key(first), "work"))
    assert action is not None
    assert action.is_open


def test_an_event_does_not_fulfil_its_own_expectation(make: Make) -> None:
    """Where a rule expects the kind that it hears, only another event counts."""
    rule = """
  - name: work
    on: RunStatusChanged
    where: {run.status: {StringIn: [Running, Queued]}}
    expect: {kind: RunStatusChanged, within: 1h, per: run.id}
"""
    world, name = make(rule), unique()
    first = run_event(name, "Queued", time="2026-11-22T08:00:00Z")
    world.reactor.receive("event_grid", first)
    deliver_all(world)
    waiting = world.records.read_action(digest("expect", world.event_key(first), "work"))
    assert waiting is not None
    assert waiting.is_open
    world.reactor.receive("event_grid", run_event(name, "Running", time="2026-11-22T08:10:00Z"))
    deliver_all(world)
    met = world.records.read_action(waiting.key)
    assert met is not None
    assert met.status is Status.SUCCEEDED


@pytest.mark.guarantee(2)
def test_an_expectation_that_cannot_be_performed_fails(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A programming error in it is poisoned and ends it as failed, as any action."""
    world, name = make(EXPECTS), unique()
    first = run_event(name, "Running", time="2026-11-22T08:00:00Z")
    world.reactor.receive("event_grid", first)
    monkeypatch.setattr(type(world.slots), "read_mark", lambda *_: 1 / 0)
    world.run()
    action = world.records.read_action(digest("expect", world.event_key(first), "work"))
    assert action is not None
    assert (action.status, action.failure and action.failure.step) == (Status.FAILED, "expect")
