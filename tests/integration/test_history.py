"""What happened is found by time and by filter, and explained, on real tables."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from pydantic_core import to_json, to_jsonable_python

from shared.actions import Action, Person, Replay, Status
from shared.errors import MalformedError, TemporaryError
from shared.events import digest
from shared.history import History, RecordedEvent
from shared.history import history as reading
from shared.rules import Rules
from shared.settings import Settings
from shared.storage import TIMELINE_TABLE, prepare, timeline
from shared.storage.account import Account
from shared.storage.packing import pack
from shared.storage.records import EventRecord, OpenRow
from shared.storage.timeline import Wanted, place, time_of
from tests.integration import scripted
from tests.integration.world import Wire, World

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/fraud"
RULES = f"""
version: 1
workspaces: {{fraud: {WORKSPACE}}}
rules:
  - name: work
    on: ModelRegistered
    where: {{data.modelTags.stage: {{StringIn: [production]}}}}
    do: [scripted: {{id: one, says: {{link: x}}}}, scripted: {{id: two}}]
    on_failure: [scripted: {{id: tidy, name: "tidy-{{{{ model.name }}}}"}}]
  - name: other work
    on: ModelRegistered
    where: {{model.name: {{StringBeginsWith: [other-]}}}}
    do: [scripted]
  - name: runs
    on: RunFailed
    do: [scripted: {{name: "{{{{ run.id }}}}"}}]
"""
DAYS = count(365, 200)
"""Each test has days of its own: others' rows are in the same table."""


class Past:
    """A world, its timeline and its history, on days of its own so that other tests' rows are not in the way."""

    def __init__(self, azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = Settings.read({"AzureWebJobsStorage": azurite})
        self.account = Account(settings.storage, lambda _client: pytest.fail("a connection string needs no credential"))
        prepare(self.account, settings.backup_container)
        start = datetime(1975, 1, 1, 12, tzinfo=UTC) + timedelta(days=next(DAYS))
        self.world = World(settings, RULES, Wire(), scripted.ACTIONS, now=start)
        self.world.install(monkeypatch)
        self.timeline = self.world.timeline
        self.kept: dict[str, Rules] = {}
        self.history = History(
            self.world.records,
            self.timeline,
            rules_by_hash=self.kept.get,
            rules_now=lambda: self.world.rules,
            clock=lambda: self.world.now,
        )

    def receive(self, name: str, *, run: bool = True, **changes: Any) -> str:
        """Bring the registration of a model to its door, let what follows happen, and return the event's key."""
        event = registered(name, **changes)
        self.world.reactor.receive("event_grid", event, self.world.now)
        key = self.world.event_key(event)
        if run:
            self.world.run()
        return key

    def keys(self, **params: str) -> list[str]:
        """List the keys of events."""
        return [event.key for event in self.history.events(params).events]


@pytest.fixture
def past(azurite: str, monkeypatch: pytest.MonkeyPatch) -> Past:
    """Give a past in which nothing has happened."""
    return Past(azurite, monkeypatch)


def unique(prefix: str = "m") -> str:
    """Name a model nobody has named."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def registered(name: str, stage: str = "production", topic: str = WORKSPACE) -> str:
    """Write the registration of a model."""
    return json.dumps(
        {
            "id": name,
            "topic": topic,
            "subject": f"models/{name}:1",
            "eventType": "Microsoft.MachineLearningServices.ModelRegistered",
            "eventTime": "2026-11-22T08:15:04Z",
            "data": {
                "modelName": name,
                "modelVersion": "1",
                "modelTags": {"stage": stage},
                "modelProperties": {"at": "https://x.invalid/a?sig=secret"},
            },
        }
    )


def action_key(event: str, rule: str = "work") -> str:
    """Return the key of a rule's action."""
    return digest("action", event, rule)


# -- with payloads ----------------------------------------------------------------------------------------------------


def test_payloads_come_with_the_page(past: Past) -> None:
    """Each event as it is listed and as its record has it: the door, the message, and the very time when it came."""
    names = [unique() for _ in range(3)]
    keys = []
    for name in names:
        past.world.now += timedelta(microseconds=1_234_567)
        keys.append(past.receive(name, run=False))
    page = past.history.events({"payload": "true", "most": "2"})
    assert [event.key for event in page.events] == [keys[2], keys[1]]
    rest = past.history.events({"payload": "true", "after": page.next or ""})
    assert ([event.key for event in rest.events], rest.next) == ([keys[0]], None)
    for event, name in zip(page.events + rest.events, reversed(names), strict=True):
        assert isinstance(event, RecordedEvent)
        record = past.world.records.read_event(event.key)
        assert record is not None
        assert (event.received, event.door) == (record.received, "event_grid")
        assert event.payload["data"]["modelName"] == name
        assert event.payload["data"]["modelProperties"] == {"at": "https://x.invalid/a"}
    assert json.loads(page.model_dump_json())["events"][0]["payload"]["data"]["modelName"] == names[2]
    assert not hasattr(past.history.events({"payload": "false"}).events[0], "payload")


def test_a_page_with_payloads_is_never_too_large(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends before the answer would grow over its bound, and goes on there; what is larger than that stands alone."""
    sizes = [10, 10, 3_300, 10, 4_000, 10]
    keys = []
    for number, size in enumerate(sizes):
        past.world.now += timedelta(seconds=1)
        keys.append(past.receive(unique(f"m{number}"), run=False, stage="사" * size))
    monkeypatch.setattr(reading, "LARGEST_PAGE", 12_000)
    pages: list[list[str]] = []
    after: str | None = ""
    while after is not None:
        page = past.history.events({"payload": "true", "after": after})
        pages.append([event.key for event in page.events])
        after = page.next
    assert pages == [[keys[5]], [keys[4]], [keys[3], keys[2]], [keys[1], keys[0]]]


def test_what_was_parked_is_given_as_it_can_be_written(past: Past) -> None:
    """JSON where it is, else the text: also of what is nested too deep, or holds half a letter."""
    bodies = ['{"eventType": "x", "a": 1}', "hello", "[" * 300 + "]" * 300, '{"a": "\\ud800"}', "{" * 99_999]
    for body in bodies:
        past.world.now += timedelta(seconds=1)
        past.world.reactor.receive("event_grid", body, past.world.now)
    found = past.history.events({"payload": "true", "status": "parked"})
    shown = [event["payload"] for event in to_jsonable_python(found)["events"]]
    assert shown == [json.loads(bodies[0]), *bodies[1:]][::-1]
    assert to_json([past.history.event(event.key) for event in found.events])


def test_a_record_that_is_gone_or_of_another_version_is_in_nobodys_way(past: Past) -> None:
    """The first is left out; of the second the listing is all that is known."""
    keys = [past.receive(unique(), run=False) for _ in range(3)]
    events = past.account.table("reactorevents")
    events.delete_entity(keys[0], "record")
    newer = pack("record", '{"version": 99}') or {}
    events.update_entity({"PartitionKey": keys[1], "RowKey": "record", **newer})
    found = {event.key: event for event in past.history.events({"payload": "true"}).events}
    assert found.keys() == set(keys[1:])
    assert isinstance(found[keys[1]], RecordedEvent)
    assert to_jsonable_python(found[keys[1]])["payload"] is None
    assert to_jsonable_python(found[keys[2]])["payload"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"payload": "yes"}, "payload"),
        ({"payload": "true", "most": "101"}, "most"),
        ({"payloads": "true"}, '"payloads"'),
    ],
)
def test_payloads_are_asked_for_in_so_many_words(past: Past, params: dict[str, str], field: str) -> None:
    """True or false, and no more than a hundred; actions have none."""
    with pytest.raises(MalformedError) as problem:
        past.history.events(params)
    assert problem.value.field == field
    with pytest.raises(MalformedError, match="there is no such filter"):
        past.history.actions({"payload": "true"})


# -- the timeline -----------------------------------------------------------------------------------------------------


def test_the_newest_comes_first_over_days(past: Past) -> None:
    """Events are listed by when they were received, also where midnight lies between them."""
    first = past.receive(unique())
    past.world.now += timedelta(days=2)
    second = past.receive(unique())
    past.world.now += timedelta(milliseconds=1)
    third = past.receive(unique())
    assert past.keys() == [third, second, first]
    assert past.keys(since="24h") == [third, second]


def test_a_duplicate_changes_nothing(past: Past) -> None:
    """An event that comes again stays where it first came; one whose row was lost gets it then."""
    name = unique()
    key = past.receive(name)
    past.world.now += timedelta(hours=1)
    assert past.receive(name) == key
    (listed,) = past.history.events({}).events
    assert listed.received < past.world.now - timedelta(minutes=59)
    assert past.timeline.sweep(past.world.now + timedelta(days=1)) > 0
    assert past.keys() == []
    past.receive(name)
    assert past.keys() == [key]


def test_a_listing_goes_on_where_it_stopped(past: Past) -> None:
    """Pages that are put together are the whole, without a gap and without a repetition."""
    keys = []
    for _ in range(5):
        past.world.now += timedelta(hours=11)
        keys.append(past.receive(unique()))
    found: list[str] = []
    after = ""
    while True:
        page = past.history.events({"most": "2", "after": after})
        found += [event.key for event in page.events]
        if page.next is None:
            break
        after = page.next
    assert found == keys[::-1]


def test_a_listing_that_looked_long_enough_answers(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that fits hardly anything gives an empty page and a cursor, and in the end what there is."""
    monkeypatch.setattr(timeline, "LOOKED_AT", 2)
    wanted = past.receive(unique(), topic=WORKSPACE.replace("fraud", "elsewhere"))
    for _ in range(4):
        past.world.now += timedelta(minutes=1)
        past.receive(unique())
    page = past.history.events({"source": "ELSEWHERE"})
    pages = 1
    while page.next and not page.events:
        page = past.history.events({"source": "ELSEWHERE", "after": page.next})
        pages += 1
    assert [event.key for event in page.events] == [wanted]
    assert pages == 3


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"kind": "modelregistered"}, "abcd"),
        ({"kind": "RunFailed"}, ""),
        ({"status": "planned"}, "acd"),
        ({"status": "refused"}, "b"),
        ({"rule": "work"}, "ad"),
        ({"rule": "other work"}, "d"),
        ({"source": "fraud"}, "acd"),
        ({"source": "resourcegroups/G/"}, "abcd"),
        ({"source": "fraud-2"}, "b"),
        ({"source": "fraud", "rule": "work", "status": "planned", "kind": "ModelRegistered"}, "ad"),
    ],
)
def test_events_are_filtered(past: Past, params: dict[str, str], expected: str) -> None:
    """By kind, status, rule and source: a declared name is exactly that source, other text is a part of one."""
    keys = {
        "a": past.receive(unique()),
        "b": past.receive(unique(), topic=f"{WORKSPACE}-2"),
        "c": past.receive(unique(), stage="staging"),
        "d": past.receive(unique("other")),
    }
    listed = past.keys(**params)
    assert {name for name, key in keys.items() if key in listed} == set(expected)


def test_until_ends_a_listing(past: Past) -> None:
    """What came after `until` is left out; a time without a zone is UTC."""
    early = past.receive(unique())
    border = past.world.now + timedelta(minutes=1)
    past.world.now += timedelta(minutes=2)
    late = past.receive(unique())
    assert past.keys(until=border.isoformat()) == [early]
    assert past.keys(since=border.replace(tzinfo=None).isoformat()) == [late]
    assert past.keys(until="1m") == [early]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kind": "RunFaild"}, 'kind: unknown kind "RunFaild" (did you mean "RunFailed"?)'),
        ({"status": "open"}, 'status: unknown status "open"; one of planned, unplanned, parked, refused, ignored'),
        ({"status": "parkd"}, '(did you mean "parked"?)'),
        ({"since": "yesterday"}, 'since: "yesterday" is no time; give a time such as'),
        ({"until": "0h"}, "until: "),
        ({"since": "1h", "until": "2h"}, "since: "),
        ({"since": "1970-01-01"}, "since: at most 400 days before until"),
        ({"most": "0"}, 'most: "0" is no number from 1 to 1000'),
        ({"most": "many"}, "most: "),
        ({"after": "x"}, "after: "),
        ({"knd": "RunFailed"}, 'there is no such filter (did you mean "kind"?)'),
    ],
)
def test_a_wrong_filter_is_named(past: Past, params: dict[str, str], message: str) -> None:
    """The error says which filter is wrong and what it may be."""
    with pytest.raises(MalformedError) as refused:
        past.history.events(params)
    assert message in refused.value.reason


def test_old_days_are_forgotten(past: Past) -> None:
    """A sweep deletes the days before a time, as many rows as it may, and nothing younger."""
    day = datetime(1971, 5, 4, 3, tzinfo=UTC)
    for number in range(230):
        record = EventRecord(key=digest(str(number)), door="own", status="parked", received=day)
        past.timeline.note_event(record)
    young = EventRecord(key=digest("young"), door="own", status="parked", received=day + timedelta(days=1))
    past.timeline.note_event(young)
    before = day + timedelta(days=1, hours=1)
    assert past.timeline.sweep(before, most=150) == 150
    assert past.timeline.sweep(before, most=150) == 80
    assert past.timeline.sweep(before) == 0
    everything = Wanted(since=day - timedelta(days=1), until=before)
    assert [row.key for row in past.timeline.read("events", everything, most=10).rows] == [young.key]
    assert past.timeline.sweep(before + timedelta(days=1)) == 1


def test_a_place_tells_its_time() -> None:
    """Places sort by time, newest first, and know it to the millisecond."""
    at = datetime(2026, 11, 22, 8, 15, 4, 123_000, tzinfo=UTC)
    assert time_of(place(at, "k")) == at
    assert place(at + timedelta(milliseconds=1), "k") < place(at, "k")


def test_storage_that_fails_is_temporary(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is not there is told in the reactor's own words."""
    monkeypatch.setattr(timeline, "TIMELINE_TABLE", f"{TIMELINE_TABLE}gone")
    with pytest.raises(TemporaryError, match="listing events"):
        past.history.events({})


# -- one event --------------------------------------------------------------------------------------------------------


def test_an_event_is_shown_with_what_became_of_it(past: Past) -> None:
    """Its facts, its payload without secrets, its actions step by step, and why the other rules did not answer."""
    assert past.world.rules
    past.kept[past.world.rules.hash] = past.world.rules
    name = unique()
    key = past.receive(name)
    event = past.history.event(key)
    assert event is not None
    assert (event.status, event.rules, event.source_names) == ("planned", ["work"], ["fraud"])
    assert event.facts["model"]["name"] == name
    assert event.payload["data"]["modelProperties"] == {"at": "https://x.invalid/a"}
    assert "sig" not in event.model_dump_json()
    (action,) = event.actions
    assert (action.rule, action.status, action.event) == ("work", "succeeded", key)
    assert [(step.id, step.state, step.part) for step in action.steps] == [
        ("one", "succeeded", "do"),
        ("two", "succeeded", "do"),
    ]
    assert action.steps[0].result == {"said": {"link": "x"}}
    explained = event.explanation
    assert (explained.rules, explained.rules_hash, explained.note) == ("then", past.world.rules.hash, "")
    found = {one.rule: one for one in explained.verdicts}
    assert list(found) == ["work", "other work", "runs"]
    assert found["work"].answered
    because = found["other work"].because
    assert because is not None
    assert (because.path, because.operator, because.wanted) == ("model.name", "StringBeginsWith", ["other-"])
    assert because.found == name
    assert found["runs"].because is not None
    assert found["runs"].because.path == "on"


def test_what_was_written_down_counts_more_than_what_is_found_now(past: Past) -> None:
    """A condition that was recorded when the event came is told as recorded, also of a rule that is gone."""
    key = past.receive(unique())
    record = past.world.records.read_event(key)
    assert record is not None
    stored = {"path": "model.name", "operator": "StringIn", "wanted": ["x"], "found": "then"}
    record.because = [stored | {"rule": "other work"}, stored | {"rule": "gone"}]
    assert past.world.records.replace_event(record)
    event = past.history.event(key)
    assert event is not None
    found = {one.rule: one for one in event.explanation.verdicts}
    for rule in ("other work", "gone"):
        because = found[rule].because
        assert because is not None
        assert (because.found, found[rule].known) == ("then", "recorded")
    assert found["runs"].known == "recomputed"


def test_where_the_rules_are_gone_today_s_explain(past: Past) -> None:
    """It is said that they are others; what the event led to stays as it was."""
    key = past.receive(unique())
    past.world.rules = past.world.load(RULES.replace("name: work", "name: renamed"))
    event = past.history.event(key)
    assert event is not None
    assert event.explanation.rules == "now"
    assert "not kept any more" in event.explanation.note
    found = {one.rule: one for one in event.explanation.verdicts}
    assert found["work"].answered
    assert not found["renamed"].answered
    assert found["renamed"].because is None
    past.world.rules = None
    event = past.history.event(key)
    assert event is not None
    assert event.explanation.rules == "none"
    assert [(one.rule, one.known) for one in event.explanation.verdicts] == [
        ("work", "recorded"),
        ("other work", "recorded"),
    ]


def test_what_was_parked_is_shown_as_it_came(past: Past) -> None:
    """There is no event in it, so nothing is explained, and the reason is there."""
    body = f"not an event {unique()}"
    past.world.reactor.receive("event_grid", body, past.world.now)
    key = digest("parked", "event_grid", body)
    assert past.keys(status="parked") == [key]
    event = past.history.event(key)
    assert event is not None
    assert event.payload == body
    assert (event.actions, event.facts, event.explanation.rules) == ([], {}, "none")
    assert "neither JSON" in event.reason


def test_a_failed_action_tells_its_steps(past: Past) -> None:
    """Which step failed and why, what `on_failure` did, and what was never begun."""
    text = RULES.replace("id: two", 'id: two, name: "two-{{ model.name }}", start: [permanent]')
    past.world.rules = past.world.load(text)
    key = past.receive(unique())
    action = past.history.action(action_key(key))
    assert action is not None
    assert action.status == "failed"
    assert [(step.id, step.state, step.part) for step in action.steps] == [
        ("one", "succeeded", "do"),
        ("two", "failed", "do"),
        ("tidy", "succeeded", "on_failure"),
    ]
    assert action.failure is not None
    assert (action.step, action.reason) == ("two", action.failure.reason)
    (listed,) = past.history.actions({"status": "failed"}).actions
    assert (listed.key, listed.step) == (action.key, "two")


def test_replays_are_among_the_actions(past: Past) -> None:
    """An action that does another again follows it, and those of replays by other rules come last."""
    key = past.receive(unique())
    planned = past.world.records.read_action(action_key(key))
    assert planned is not None
    replay = Replay(of=planned.key, by=Person(id="1", name="ann"), at=past.world.now, reason="once more", rules="then")
    again = planned.model_copy(update={"key": digest("replay", planned.key), "replay": replay})
    more = planned.model_copy(update={"key": digest("replay", again.key)})
    other = planned.model_copy(update={"key": digest(key, "other"), "rule": "other work"})
    for action in (again, more, other):
        assert past.world.records.insert_action(action)
    record = past.world.records.read_event(key)
    assert record is not None
    record.replayed = [other.key, again.key]
    assert past.world.records.replace_event(record)
    event = past.history.event(key)
    assert event is not None
    assert [action.key for action in event.actions] == [planned.key, again.key, more.key, other.key]
    assert [action.replayed_as for action in event.actions] == [again.key, more.key, "", ""]
    assert event.actions[1].replay == replay


def test_the_actions_of_one_event(past: Past) -> None:
    """They are listed whenever it came, by its key or the beginning of it, and filtered like all others."""
    first, second = past.receive(unique("other")), past.receive(unique())
    past.world.now += timedelta(days=100)
    keys = {action_key(first), action_key(first, "other work")}
    assert {action.key for action in past.history.actions({"event": first[:12]}).actions} == keys
    page = past.history.actions({"event": first, "most": "1"})
    assert page.next is not None
    rest = past.history.actions({"event": first, "most": "1", "after": page.next})
    assert {action.key for action in (*page.actions, *rest.actions)} == keys
    assert rest.next is None
    (found,) = past.history.actions({"event": first, "rule": "other work"}).actions
    assert found.key == action_key(first, "other work")
    assert past.history.actions({"event": first, "since": "1h"}).actions == []
    assert [action.key for action in past.history.actions({"event": second}).actions] == [action_key(second)]
    assert past.history.actions({"event": digest("nobody")}).actions == []
    with pytest.raises(MalformedError, match="event: a key is 32 hex digits"):
        past.history.actions({"event": "x"})
    with pytest.raises(MalformedError, match="no such filter"):
        past.history.events({"event": first})


def test_an_action_not_yet_inserted_is_shown_as_planned(past: Past) -> None:
    """Between the event's record and its actions', the plan says what is to come."""
    key = past.receive(unique())
    record = past.world.records.read_event(key)
    assert record is not None
    (action,) = record.plan
    record.plan = [action.model_copy(update={"key": digest(key, "not there")})]
    assert past.world.records.replace_event(record)
    event = past.history.event(key)
    assert event is not None
    (shown,) = event.actions
    assert (shown.status, {step.state for step in shown.steps}) == ("open", {"not begun"})


def test_a_key_may_be_shortened(past: Past) -> None:
    """Six digits are enough where they are one key's alone; a key of nothing is None."""
    key = past.receive(unique())
    for length in (10, 31, 32):
        event = past.history.event(key[:length].upper())
        assert event is not None
        assert event.key == key
    action = past.history.action(action_key(key)[:12])
    assert action is not None
    assert past.history.event(digest(unique())) is None
    assert past.history.action(digest(unique())[:20]) is None
    for wrong in ("", "12345", "not-hex", key + "0", "a' or 'b"):
        with pytest.raises(MalformedError, match="key: a key is 32 hex digits"):
            past.history.event(wrong)


def test_a_key_of_several_names_them(past: Past) -> None:
    """A beginning that several keys have is refused with some of them."""
    beginning = uuid.uuid4().hex[:26]
    keys = [f"{beginning}{number:06d}" for number in range(3)]
    for key in keys:
        past.world.records.insert_event(EventRecord(key=key, door="own", status="parked", received=past.world.now))
    with pytest.raises(MalformedError, match=f"several: {', '.join(keys)}; give more of it"):
        past.history.find("events", beginning)


# -- actions ----------------------------------------------------------------------------------------------------------


def put_action(past: Past, **changes: Any) -> Action:
    """Write an action as if an event had led to it now."""
    key = past.receive(unique(), run=False)
    while past.world.queue:
        past.world.queue.pop()
    action = past.world.records.read_action(action_key(key))
    assert action is not None
    written = action.model_copy(update=changes)
    assert past.world.records.write_action(written)
    if not written.is_open:
        past.timeline.note_action(written)
        past.world.records.close("action", written.key)
    return written


def test_open_and_ended_actions_are_one_list(past: Past) -> None:
    """By when they were made, page by page, whichever of them has ended."""
    made: list[Action] = []
    for number in range(7):
        past.world.now += timedelta(hours=5)
        ended = {"status": Status.SUCCEEDED, "ended": past.world.now} if number % 3 else {}
        made.append(put_action(past, **ended))
    found: list[str] = []
    after, pages = "", 0
    while True:
        page = past.history.actions({"most": "2", "after": after})
        found += [action.key for action in page.actions]
        pages += 1
        if page.next is None:
            break
        after = page.next
    assert found == [action.key for action in reversed(made)]
    assert pages <= 5
    still_open = [action.key for action in past.history.actions({"status": "open"}).actions]
    assert still_open == [action.key for action in reversed(made) if action.is_open]
    assert len(past.history.actions({"status": "succeeded", "rule": "work"}).actions) == 4
    assert past.history.actions({"rule": "other work"}).actions == []


def test_an_action_that_just_ended_is_listed_once(past: Past) -> None:
    """Where it is noted as ended and not closed yet, its end counts."""
    action = put_action(past, status=Status.SUCCEEDED, ended=past.world.now)
    past.world.records.open(OpenRow(what="action", key=action.key, since=action.created))
    (listed,) = past.history.actions({}).actions
    assert listed.status == "succeeded"


def test_many_open_actions_are_read_page_by_page(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """One page reads a bounded number of records, and says where to go on."""
    monkeypatch.setattr(reading, "OPEN_READ", 2)
    made = []
    for _ in range(5):
        past.world.now += timedelta(seconds=1)
        made.append(put_action(past).key)
    found: list[str] = []
    after = ""
    while True:
        page = past.history.actions({"after": after})
        found += [action.key for action in page.actions]
        if page.next is None:
            break
        after = page.next
    assert found == made[::-1]


def test_an_open_action_says_where_it_stands(past: Past) -> None:
    """Its current step, and what that waits for."""
    text = RULES.replace("id: one,", "id: one, start: [pending], watch: [pending],")
    past.world.rules = past.world.load(text)
    key = past.receive(unique(), run=False)
    past.world.deliver(past.world.queue[0])
    (listed,) = past.history.actions({"status": "open"}).actions
    assert (listed.key, listed.step, listed.reason) == (action_key(key), "one", "it is running")
    assert (listed.source_names, listed.mode) == (["fraud"], "live")
    shown = past.history.action(listed.key)
    assert shown is not None
    assert [(step.id, step.state) for step in shown.steps] == [("one", "under way"), ("two", "not begun")]
    past.world.queue.clear()
