"""The reactor on real tables: what is recorded, what is retried, what ends, and what follows from it."""

import json
import uuid
from datetime import timedelta

import pytest

from shared.actions import Status
from shared.errors import PermanentError
from shared.events import digest
from tests.integration import scripted
from tests.integration.making import RULES, WORKSPACE, Make, action_of, exported, registered, told, training, unique
from tests.integration.world import LEASE, Crash, Delivery, queue_message

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

# -- what ends well ---------------------------------------------------------------------------------------------------


def test_steps_follow_one_another_and_use_results(make: Make) -> None:
    """A step begins when the one before it succeeded, and its templates read what that one found out."""
    world, name = (
        make(
            """
  - name: work
    on: ModelRegistered
    do:
      - scripted: {id: one, says: {link: "https://x.invalid/1"}, start: [pending], watch: [pending, done]}
      - scripted: {id: two, name: "{{ model.name }}-two", says: "{{ steps.one.said.link }} of {{ model.name }}"}
"""
        ),
        unique(),
    )
    action = told(world, registered(name))
    assert action.status is Status.SUCCEEDED
    assert [(state.id, state.outcome) for state in action.progress] == [("one", "succeeded"), ("two", "succeeded")]
    assert action.progress[1].result["said"] == f"https://x.invalid/1 of {name}"
    assert scripted.CALLS[name] == ["find", "start", "watch", "watch"]


def test_stages_follow_one_another(make: Make) -> None:
    """A step's stages are performed in order, each in a perform of its own."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [two]}"), unique()
    action = told(world, registered(name))
    assert action.status is Status.SUCCEEDED
    assert action.seq == 2
    assert scripted.CALLS[name] == ["start", "start"]


def test_dry_run_touches_nothing(make: Make) -> None:
    """In dry_run the parameters are rendered and recorded, and nothing is asked of any service."""
    world, name = make("\n  - {name: work, on: ModelRegistered, mode: dry_run, do: [scripted]}"), unique()
    action = told(world, registered(name))
    assert action.status is Status.SUCCEEDED
    assert action.progress[0].params == {"name": name}
    assert action.progress[0].note == "dry run: nothing was touched"
    assert name not in scripted.CALLS


# -- what is tried again ----------------------------------------------------------------------------------------------


def test_a_temporary_error_is_tried_again_when_the_service_said(make: Make) -> None:
    """A busy service is asked again no sooner than it said, and the action then goes on."""
    world, name = (
        make("\n  - {name: work, on: ModelRegistered, do: [scripted: {start: [temporary, done], after: 900}]}"),
        unique(),
    )
    began = world.now
    action = told(world, registered(name))
    assert action.status is Status.SUCCEEDED
    assert world.now >= began + timedelta(seconds=900)
    assert scripted.CALLS[name].count("start") == 2


@pytest.mark.guarantee(2)
def test_what_never_works_is_given_up_at_its_deadline(make: Make) -> None:
    """After the deadline of a stage the step fails, and the reason names the last error."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [scripted: {start: [temporary]}]}"), unique()
    action = told(world, registered(name))
    assert action.status is Status.FAILED
    assert action.reason == "gave up after 24 hours: it is busy"
    assert 20 < scripted.CALLS[name].count("start") < 400


@pytest.mark.guarantee(3)
def test_an_unanswered_start_is_looked_for_twice(make: Make) -> None:
    """A job that the service names is started again only after two empty finds, minutes apart."""
    rule = "\n  - {name: work, on: ModelRegistered, do: [unnamed: {start: [unanswered, done]}]}"
    world, name = make(rule), unique()
    began = world.now
    assert told(world, registered(name)).status is Status.SUCCEEDED
    assert scripted.CALLS[name] == ["find", "start", "find", "find", "start"]
    assert world.now - began >= 2 * world.timing.patience


@pytest.mark.guarantee(3)
def test_an_unanswered_start_that_worked_is_found(make: Make) -> None:
    """A start whose reply got lost is found, adopted and watched, never repeated."""
    world, name = (
        make("\n  - {name: work, on: ModelRegistered, do: [unnamed: {start: ['started, unanswered'], watch: [done]}]}"),
        unique(),
    )
    assert told(world, registered(name)).status is Status.SUCCEEDED
    assert scripted.CALLS[name] == ["find", "start", "find", "watch"]


@pytest.mark.guarantee(3)
def test_a_refused_start_is_repeated_without_waiting_for_finds(make: Make) -> None:
    """A start that was refused for now was certainly not made: it is tried again as soon as may be."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [unnamed: {start: [temporary, done]}]}"), unique()
    began = world.now
    assert told(world, registered(name)).status is Status.SUCCEEDED
    assert scripted.CALLS[name] == ["find", "start", "find", "start"]
    assert world.now - began < world.timing.patience


@pytest.mark.guarantee(3)
def test_nothing_is_started_under_an_old_claim(make: Make) -> None:
    """Where looking took longer than a start may wait, the start is left to the next claim."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}"), unique()
    world.reactor.receive("event_grid", registered(name))

    def slow(where: str) -> None:
        if "merge" in where.lower() or where.startswith("after PUT"):  # the claim was just written
            world.now += timedelta(minutes=4)
            world.wire.boundary = lambda _where: None

    world.wire.boundary = slow
    world.deliver(world.queue[0])
    assert scripted.CALLS[name] == ["find"]
    world.run()
    assert scripted.CALLS[name] == ["find", "find", "start"]


# -- what fails -------------------------------------------------------------------------------------------------------


@pytest.mark.guarantee(2)
def test_a_failure_is_answered_and_announced(make: Make) -> None:
    """`on_failure` runs with the failure in its templates, and the failure is an event that other rules hear."""
    world, name = (
        make(
            """
  - name: work
    on: ModelRegistered
    do: [scripted: {id: first, start: [permanent]}, scripted: {id: never, name: never}]
    on_failure:
      - scripted: {id: after, name: "{{ model.name }}-after", says: "{{ failure.step }}: {{ failure.reason }}"}
  - name: hear
    on: ActionFailed
    do: [scripted: {name: "{{ action.rule }}-heard", says: "{{ failure.remedy }}"}]
"""
        ),
        unique(),
    )
    scripted.CALLS.pop("work-heard", None)
    action = told(world, registered(name))
    assert action.status is Status.FAILED
    assert action.failure
    assert (action.failure.step, action.failure.reason, action.failure.remedy) == ("first", "it is broken", "mend it")
    assert [state.id for state in action.progress] == ["first", "after"]
    assert action.progress[1].result["said"] == "first: it is broken"
    assert scripted.CALLS["work-heard"] == ["find", "start"]
    assert "never" not in scripted.CALLS


@pytest.mark.guarantee(2)
def test_a_field_that_the_event_lacks_stops_the_action(make: Make) -> None:
    """A template that reads a missing field fails its step with the parameter's and the field's name."""
    world, name = (
        make("\n  - {name: work, on: ModelRegistered, do: [scripted: {says: '{{ data.modelTags.owner }}'}]}"),
        unique(),
    )
    action = told(world, registered(name))
    assert action.status is Status.FAILED
    assert action.reason == "says: the event has no data.modelTags.owner"
    assert name not in scripted.CALLS


@pytest.mark.guarantee(2)
def test_a_programming_error_is_recorded_and_poisoned(make: Make) -> None:
    """A programming error is raised to the host each time; the poison door ends the action with it."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [scripted: {start: [no such word]}]}"), unique()
    action = told(world, registered(name))
    assert world.poisoned == 1
    assert scripted.CALLS[name].count("start") == 5
    assert action.status is Status.FAILED
    assert action.reason == "KeyError: 'no such word'"


@pytest.mark.guarantee(2)
def test_a_poisoned_message_waits_for_whoever_has_the_action(make: Make) -> None:
    """A poison copy is another message than the one it was made of: it is put back while a claim of that one lives."""
    rule = "\n  - {name: work, on: ModelRegistered, do: [scripted: {start: [pending], watch: [done]}]}"
    world, name = make(rule), unique()
    world.reactor.receive("event_grid", registered(name))
    message = world.queue.pop()

    def die(where: str) -> None:
        if where.startswith("before PUT") and scripted.CALLS[name]:
            raise Crash(where)

    world.wire.boundary = die
    with pytest.raises(Crash), world.wire.watched():
        world.reactor.perform(message.body, message.id)
    world.wire.boundary = lambda _where: None
    world.reactor.perform_poisoned(message.body, "a copy")
    (put_back,) = world.queue
    assert put_back.visible == world.now + LEASE
    world.run()
    assert action_of(world, registered(name)).status is Status.SUCCEEDED


@pytest.mark.guarantee(2)
def test_what_cannot_be_recorded_fails_for_that_reason(make: Make) -> None:
    """A result that cannot be written ends the action with that reason after five tries, and not after a day."""
    rule = "\n  - {name: work, on: ModelRegistered, do: [unwritable]}"
    world, name = make(rule), unique()
    action = told(world, registered(name))
    assert action.status is Status.FAILED
    assert "surrogates not allowed" in action.reason
    assert scripted.CALLS[name].count("start") == 5


@pytest.mark.guarantee(1, 2)
def test_one_bad_record_does_not_stop_the_sweep(make: Make) -> None:
    """A record of another version is told of and left alone; every other action is woken."""
    world, names = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}"), [unique(), unique()]
    for name in names:
        world.reactor.receive("event_grid", registered(name))
    world.queue.clear()
    bad = min((action_of(world, registered(name)) for name in names), key=lambda action: action.key)
    newer = bad.model_copy(update={"version": 2})
    assert world.records.write_action(newer)
    world.now += LEASE
    with pytest.raises(PermanentError, match="cannot be read by this version of the app: version"):
        world.reactor.sweep()
    assert len(world.queue) == 1
    world.deliver(world.queue[0])
    world.reactor.perform(json.dumps({"v": 1, "action": bad.key, "seq": 0}), "m")
    world.reactor.perform_poisoned(json.dumps({"v": 1, "action": bad.key, "seq": 0}), "p")
    world.records.close("action", bad.key)


@pytest.mark.guarantee(1)
def test_an_outcome_follows_its_stored_plan_too(make: Make) -> None:
    """A rule that is removed between a crash and the redelivery still answers the outcome it was planned for."""
    hear = "\n  - {name: hear, on: ActionSucceeded, do: [scripted: {name: '{{ action.key }}'}]}"
    work = "\n  - {name: work, on: ModelRegistered, do: [scripted]}"
    world, name = make(work + hear), unique()
    world.reactor.receive("event_grid", registered(name))
    (message,) = world.queue
    with world.wire.dying("after POST", "reactorevents"):
        world.reactor.perform(message.body, message.id)
    world.rules = world.load(RULES + work)
    world.run()
    assert scripted.CALLS[action_of(world, registered(name)).key].count("start") == 1


@pytest.mark.guarantee(3)
def test_a_late_poison_copy_belongs_to_the_unfinished_occurrence(make: Make) -> None:
    """A notification poisoned while its event was half handed over does not become a second event."""
    world = make("\n  - {name: work, on: TrainingCompleted, do: [scripted: {name: '{{ vision.iteration }}'}]}")
    body, iteration = training()
    with world.wire.dying("before POST", "reactoractions"):
        world.reactor.receive("vision_notification", body, world.now)
    world.now += timedelta(hours=1)
    world.reactor.receive_poisoned("vision_notification", "vision-notifications", body, world.now)
    world.run()
    assert scripted.CALLS[iteration].count("start") == 1


def test_a_token_may_be_as_long_as_a_run_id(make: Make) -> None:
    """Content never makes a door raise: a run whose id fills a page is looked for like any other."""
    world = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}")
    data = {"experimentId": "e", "experimentName": "x", "runId": "r" * 40_000, "runTags": {}, "runProperties": {}}
    kind = "Microsoft.MachineLearningServices.RunCompleted"
    event = registered(unique(), eventType=kind, data=data, subject="experiments/e/runs/r")
    world.reactor.receive("event_grid", event)
    record = world.records.read_event(world.event_key(event))
    assert record
    assert record.status == "planned"


@pytest.mark.guarantee(6)
def test_a_programming_error_tells_no_secret(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """What a programming error's text holds of a SAS reaches neither the record, nor the log, nor the host."""
    url = "https://acct.blob.core.windows.net/c/b?sv=1&sig=c2VjcmV0"
    rule = f"\n  - {{name: work, on: ModelRegistered, do: [scripted: {{start: ['{url}']}}]}}"
    world, name = make(rule), unique()
    world.reactor.receive("event_grid", registered(name))
    with pytest.raises(Exception, match=r"KeyError: 'https://acct\.blob\.core\.windows\.net/c/b'") as caught:
        world.reactor.perform(world.queue[0].body, "m1")
    told = str(caught.value) + caplog.text + action_of(world, registered(name)).error
    assert "programming_error" in caplog.text
    assert "c2VjcmV0" not in told
    world.run()


def test_a_dry_run_goes_on_without_results(make: Make) -> None:
    """In a dry run a parameter that reads an earlier step's result is recorded as it is written."""
    world, name = (
        make(
            """
  - name: work
    on: ModelRegistered
    mode: dry_run
    do: [scripted: {id: one}, scripted: {id: two, says: "{{ steps.one.said }} of {{ model.name }}"}]
"""
        ),
        unique(),
    )
    action = told(world, registered(name))
    assert action.status is Status.SUCCEEDED
    assert action.progress[1].params
    assert action.progress[1].params["says"] == "{{ steps.one.said }} of {{ model.name }}"


@pytest.mark.guarantee(1, 2)
def test_an_outage_is_waited_out_for_a_day(make: Make) -> None:
    """A poisoned message without a recorded cause is sent again every hour, and after a day the action fails."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}"), unique()
    world.reactor.receive("event_grid", registered(name))
    body = world.queue.pop().body
    for _ in range(24):
        world.reactor.perform_poisoned(body, "poisoned")
        again = world.queue.pop()
        assert again.visible - world.now == timedelta(hours=1)
        world.now = again.visible
    world.now += timedelta(hours=1)
    world.reactor.perform_poisoned(body, "poisoned")
    action = action_of(world, registered(name))
    assert (action.status, action.reason) == (Status.FAILED, "it was interrupted again and again for a day")


@pytest.mark.guarantee(2)
def test_a_stage_that_an_upgrade_took_away_ends_the_action(make: Make) -> None:
    """An action that stands in a stage this version does not have fails with that reason."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [scripted: {start: [pending]}]}"), unique()
    world.reactor.receive("event_grid", registered(name))
    world.deliver(world.queue[0])
    action = action_of(world, registered(name))
    action.progress[-1].stage = "gone"
    assert world.records.write_action(action)
    world.run()
    assert action_of(world, registered(name)).reason == 'this version of the app has no stage "gone"'


@pytest.mark.guarantee(2)
def test_rules_that_answer_each_other_come_to_an_end(make: Make) -> None:
    """Two rules that hear each other's outcome stop after a few turns."""
    world, name = (
        make(
            """
  - {name: work, on: [ModelRegistered, ActionSucceeded], do: [scripted: {name: ping}]}
  - {name: other, on: ActionSucceeded, do: [scripted: {name: ping}]}
"""
        ),
        unique(),
    )
    scripted.CALLS.pop("ping", None)
    told(world, registered(name))
    assert 3 <= scripted.CALLS["ping"].count("start") <= 6
    assert list(world.records.list_open()) == []


# -- what comes twice, late, or never ---------------------------------------------------------------------------------


@pytest.mark.guarantee(3)
def test_a_duplicate_changes_nothing(make: Make) -> None:
    """The same event by another door, in another envelope, leads to nothing more."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}"), unique()
    told(world, registered(name))
    event = json.loads(registered(name))
    cloud = {
        "specversion": "1.0",
        "source": event["topic"].upper(),
        "type": event["eventType"],
        **{field: event[field] for field in ("id", "subject", "data")},
        "time": event["eventTime"],
    }
    world.reactor.receive("event_grid", json.dumps(cloud).encode())
    world.run()
    assert scripted.CALLS[name].count("start") == 1


@pytest.mark.guarantee(1)
def test_an_emptied_queue_loses_nothing(make: Make) -> None:
    """An action whose message is gone is woken by the sweep."""
    world, name = (
        make("\n  - {name: work, on: ModelRegistered, do: [scripted: {start: [pending], watch: [done]}]}"),
        unique(),
    )
    world.reactor.receive("event_grid", registered(name))
    world.queue.clear()
    world.run()
    assert action_of(world, registered(name)).status is Status.SUCCEEDED


@pytest.mark.guarantee(1)
def test_an_event_half_handed_over_is_finished_by_the_sweep(make: Make) -> None:
    """A door that dies between recording an event and handing it over, never to be called again, loses nothing."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}"), unique()
    with world.wire.dying("before POST", "reactoractions"):
        world.reactor.receive("event_grid", registered(name))
    world.run()
    assert action_of(world, registered(name)).status is Status.SUCCEEDED


@pytest.mark.guarantee(5)
def test_events_wait_where_there_are_no_rules(make: Make) -> None:
    """Without a valid rules file an event is recorded as unplanned, and planned by the first sweep that has one."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}"), unique()
    rules, world.rules = world.rules, None
    world.reactor.receive("event_grid", registered(name))
    record = world.records.read_event(world.event_key(registered(name)))
    assert record
    assert (record.status, record.reason) == ("unplanned", "there is no valid rules file")
    world.reactor.sweep()
    assert world.queue == []
    world.rules = rules
    world.reactor.sweep()
    world.run()
    assert action_of(world, registered(name)).status is Status.SUCCEEDED


def test_a_stored_plan_is_followed_whatever_the_rules_say_today(make: Make) -> None:
    """A redelivery follows the plan that was recorded; today's rules are for new events."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}"), unique()
    with world.wire.dying("before POST", "reactoractions"):
        world.reactor.receive("event_grid", registered(name))
    world.rules = world.load(RULES + "\n  - {name: other, on: ModelRegistered, do: [scripted]}")
    assert told(world, registered(name)).status is Status.SUCCEEDED
    assert world.records.read_action(digest("action", world.event_key(registered(name)), "other")) is None


@pytest.mark.guarantee(4)
def test_an_old_number_does_nothing(make: Make) -> None:
    """A message whose number the action has left behind is dropped."""
    world, name = (
        make("\n  - {name: work, on: ModelRegistered, do: [scripted: {start: [pending], watch: [pending]}]}"),
        unique(),
    )
    world.reactor.receive("event_grid", registered(name))
    old = Delivery("old", world.queue[0].body, world.now, world.now)
    world.deliver(world.queue[0])
    before, sent = list(scripted.CALLS[name]), len(world.queue)
    world.reactor.perform(old.body, "another message")
    assert scripted.CALLS[name] == before
    assert len(world.queue) == sent


def test_an_event_that_tells_the_end_wakes_who_waits(make: Make) -> None:
    """An action that waits for a run looks again at once when an event says that the run is over."""
    token = f"run:{WORKSPACE.lower()}/keen_owl"
    world, name = (
        make(
            "\n  - {name: work, on: ModelRegistered, do: [scripted: {start: [pending], after: 7200, watch: [done],"
            f" wake_on: '{token}'"
            "}]}"
        ),
        unique(),
    )
    world.reactor.receive("event_grid", registered(name))
    world.deliver(world.queue[0])
    began = world.now
    completed = {"experimentId": "e", "experimentName": "x", "runId": "keen_owl", "runTags": {}, "runProperties": {}}
    kind = "Microsoft.MachineLearningServices.RunCompleted"
    world.reactor.receive(
        "event_grid", registered(name, eventType=kind, data=completed, subject="experiments/e/runs/r")
    )
    woken = min(world.queue, key=lambda message: message.visible)
    assert woken.visible == began
    world.deliver(woken)
    assert action_of(world, registered(name)).status is Status.SUCCEEDED


@pytest.mark.guarantee(3)
def test_equal_notifications_are_one_event_for_ten_minutes(make: Make) -> None:
    """A vision notification has no id: an export's is a duplicate when repeated within ten minutes, later it is new."""
    world = make("\n  - {name: work, on: ExportCompleted, do: [scripted: {name: '{{ vision.iteration }}'}]}")
    body, iteration = exported()
    for minutes, starts in ((0, 1), (9, 1), (0.5, 1), (1, 2)):
        world.now += timedelta(minutes=minutes)
        world.reactor.receive("vision_notification", body, world.now)
        queue = list(world.queue)
        for message in queue:
            world.deliver(message)
        assert scripted.CALLS[iteration].count("start") == starts, minutes


@pytest.mark.guarantee(3)
def test_a_training_is_answered_once_however_often_it_is_told(make: Make) -> None:
    """A training ends once: its notification that comes again hours later starts nothing."""
    world = make("\n  - {name: work, on: TrainingCompleted, do: [scripted: {name: '{{ vision.iteration }}'}]}")
    body, iteration = training()
    for minutes in (0, 9, 300):
        world.now += timedelta(minutes=minutes)
        world.reactor.receive("vision_notification", body, world.now)
        for message in list(world.queue):
            world.deliver(message)
        assert scripted.CALLS[iteration].count("start") == 1, minutes


@pytest.mark.guarantee(3)
def test_a_breach_is_answered_once_for_its_run(make: Make) -> None:
    """The tag of a breach stays on the run: the next status event of the same run starts nothing new."""
    world, run = make("\n  - {name: work, on: DriftDetected, do: [scripted: {name: '{{ run.id }}'}]}"), unique()
    told_so = "The signal 'm_data_drift' has failed due to one or more features violating metric thresholds."
    data = {
        "experimentId": "e",
        "experimentName": "x",
        "runId": run,
        "runTags": {"azureml_modelmonitor_threshold_breached": told_so},
        "runProperties": {},
        "runStatus": "Failed",
    }
    for id_ in ("1", "2"):
        world.reactor.receive(
            "event_grid",
            registered(
                run,
                id=f"{run}-{id_}",
                eventType="Microsoft.MachineLearningServices.RunStatusChanged",
                subject=f"experiments/e/runs/{run}",
                data=data,
            ),
        )
        world.run()
    assert scripted.CALLS[run].count("start") == 1


# -- what is none of ours ---------------------------------------------------------------------------------------------


@pytest.mark.guarantee(7)
def test_an_undeclared_source_is_refused(make: Make) -> None:
    """An event of a workspace that the rules file does not name is recorded as refused, and does nothing."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}"), unique()
    event = registered(name, topic=WORKSPACE.replace("fraud", "other"))
    world.reactor.receive("event_grid", event)
    record = world.records.read_event(world.event_key(event))
    assert record
    assert record.status == "refused"
    assert record.reason.endswith("/workspaces/other")
    assert world.queue == []


@pytest.mark.guarantee(1)
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff\xfe not text", "not UTF-8"),
        ("{", "not JSON"),
        ('{"id": "1"}', "neither"),
        ("[" * 5000 + "]" * 5000, "nested deeper"),
        (registered("m", data={"modelName": 7, "modelVersion": "1"}), "data.modelName"),
    ],
)
def test_a_malformed_body_is_parked_with_the_reason(make: Make, body: str | bytes, reason: str) -> None:
    """What cannot be read is kept as it came, with a reason that names the field, and the door acknowledges it."""
    world = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}")
    world.reactor.receive("event_grid", body)
    text = body.decode("utf-8", "backslashreplace") if isinstance(body, bytes) else body
    record = world.records.read_event(digest("parked", "event_grid", text))
    assert record
    assert record.status == "parked"
    assert reason in record.reason
    assert record.payload == text


def test_a_large_event_is_kept_whole(make: Make) -> None:
    """A 900 KB event that does not compress is planned, and read again when its step is performed."""
    world, name = (
        make(
            "\n  - {name: work, on: ModelRegistered, do: [scripted: {says: '{{ data.modelProperties.b | length }}'}]}"
        ),
        unique(),
    )
    noise = "".join(uuid.uuid4().hex for _ in range(28_000))
    data = {"modelName": name, "modelVersion": "1", "modelTags": {}, "modelProperties": {"b": noise}}
    action = told(world, registered(name, data=data))
    assert action.progress[0].result["said"] == len(noise)


@pytest.mark.guarantee(6)
def test_no_secret_in_a_record(make: Make, azurite: str) -> None:
    """A setting that a rule refers to, and the query of a URL in an event, are in no record."""
    world, name = (
        make("\n  - {name: work, on: ModelRegistered, do: [scripted: {says: 'x ${TOLD} {{ data.modelTags.link }}'}]}"),
        unique(),
    )
    tags = {"link": "https://acct.blob.core.windows.net/c/b?sig=a-secret-signature", "sneaky": "${VISION_KEY}"}
    data = {"modelName": name, "modelVersion": "1", "modelTags": tags, "modelProperties": {}}
    event = registered(name, data=data)
    action = told(world, event)
    record = world.records.read_event(world.event_key(event))
    assert record
    assert action.status is Status.SUCCEEDED
    assert action.progress[0].params
    assert action.progress[0].params["says"].startswith("x ${TOLD} ")
    kept = record.model_dump_json() + action.model_copy(update={"progress": []}).model_dump_json()
    assert "a-secret" not in kept


def test_old_records_are_forgotten(make: Make) -> None:
    """What ended longer ago than records are kept is deleted, and what is still open stays."""
    world, name = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}"), unique()
    told(world, registered(name))
    waiting = unique()
    world.reactor.receive("event_grid", registered(waiting))
    world.now += timedelta(days=91)
    for _ in range(200):  # it forgets some at a time, and those of other tests may come first
        world.reactor.forget()
        if world.records.read_event(world.event_key(registered(name))) is None:
            break
    assert world.records.read_event(world.event_key(registered(name))) is None
    assert action_of(world, registered(waiting)).is_open


def test_a_message_that_is_none_of_ours_is_parked(make: Make) -> None:
    """A foreign message in the actions queue is kept with the reason, at either door."""
    world = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}")
    for door in (world.reactor.perform, world.reactor.perform_poisoned):
        body = json.dumps({"hello": unique()})
        door(body, "m")
        record = world.records.read_event(digest("parked", "actions", body))
        assert record
        assert record.reason == "not a message of the actions queue"


def test_the_doors_take_what_the_worker_hands_them(make: Make) -> None:
    """A queue message that comes through the decorated function reaches the reactor with its time of sending."""
    import function_app

    world, name = make("\n  - {name: work, on: ModelRegistered, do: [scripted]}"), unique()
    sent = world.now - LEASE
    function_app.on_ml_message(queue_message(Delivery("m", registered(name), visible=sent, sent=sent)))
    record = world.records.read_event(world.event_key(registered(name)))
    assert record
    assert record.received == sent
    world.run()
