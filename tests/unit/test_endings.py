"""What ended without a notification: comparing what is shown with what was seen, and what was heard."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import endings, parse
from shared.endings import Ending, Sighting, look, missed, settled, unheard

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GRACE = timedelta(minutes=10)
PROJECT, ITERATION = "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "8d8ac610-566d-4ef0-9c22-186b2a5ed793"
TRAINED = Ending("training", ITERATION, "Completed", at=NOW)
OLD = Ending("training", ITERATION, "Completed", at=NOW - timedelta(days=90))
MINUTES = timedelta(minutes=5)
"""How often it is looked."""


def export(platform: str, flavor: str = "", status: str = "Completed") -> Ending:
    """Show an export of the iteration."""
    return Ending("export", ITERATION, status, platform, flavor)


def facts(status: str, platform: str | None = None, flavor: str | None = None) -> dict[str, Any]:
    """Tell what a notification of the iteration says."""
    return {"project": PROJECT, "iteration": ITERATION, "status": status, "platform": platform, "flavor": flavor}


def seen(*shown: Ending, at: datetime = NOW, before: Sighting | None = None) -> Sighting:
    """Look once, and give what is remembered."""
    return look(shown, before, grace=GRACE, now=at).after


def round_of(looks: Sequence[Collection[Ending]], before: Sighting | None = None) -> tuple[list[Ending], Sighting]:
    """Look every few minutes, at the iteration's exports too where it is shown; give what was due, each time it was.

    Here as in the app, what was due is settled then.
    """
    due: list[Ending] = []
    start = NOW if before is None else before.looked
    for number, shown in enumerate(looks, 1):
        watched = [ITERATION] if any(one.what == "training" for one in shown) else []
        found = look(shown, before, grace=GRACE, now=start + number * MINUTES, exports_of=watched)
        due += found.due
        before = settled(found.after, found.due)
    assert before is not None
    return due, before


def test_what_was_over_before_anybody_looked_is_never_due() -> None:
    """The first look at a project remembers its past, and announces nothing of it, however often it comes again."""
    first = seen(TRAINED, export("ONNX"))
    later = look((TRAINED, export("ONNX")), first, grace=GRACE, now=NOW + timedelta(days=2))
    assert later.due == ()


@pytest.mark.parametrize(("minutes", "is_due"), [(0, False), (9, False), (10, True)])
def test_a_notification_has_some_time_to_come(minutes: int, is_due: bool) -> None:  # noqa: FBT001 # of a table
    """What ended since the last look is due once its notification has had its time."""
    before = seen(Ending("training", ITERATION, ""))
    ended = seen(TRAINED, at=NOW, before=before)
    again = look((TRAINED,), ended, grace=GRACE, now=NOW + timedelta(minutes=minutes))
    assert again.due == ((TRAINED,) if is_due else ())


def test_what_is_new_and_over_at_once_is_due_too() -> None:
    """A training that began and ended between two looks is no part of the past."""
    ended = seen(TRAINED, before=seen())
    assert look((TRAINED,), ended, grace=GRACE, now=NOW + GRACE).due == (TRAINED,)


def test_what_is_settled_is_never_due_again() -> None:
    """Once it was announced, by whomever, the same end is not due again; an export that is made again is."""
    one, under_way = export("ONNX"), export("ONNX", status="")
    due, before = round_of([[OLD], [OLD, one], [OLD, one], [OLD, one], *[[OLD, one]] * 5])
    assert due == [one]
    due, _ = round_of([*[[OLD, under_way]] * 2, *[[OLD, one]] * 5], before)
    assert due == [one]


@pytest.mark.parametrize("status", ["", "Failed"])
def test_what_is_over_stays_over_where_one_look_says_otherwise(status: str) -> None:
    """A part of the service that lags behind shows what was; two looks in a row are no such thing."""
    one, other = export("ONNX"), export("ONNX", status=status)
    due, before = round_of([[OLD, one]])
    lags = [[OLD, other], [OLD, one], [OLD, other], [OLD], [OLD, other], [OLD, one]]
    due, before = round_of([*lags, *[[OLD, one]] * 5], before)
    assert due == []
    due, _ = round_of([[OLD, other]] * 5, before)
    assert due == ([other] if status else [])


def test_two_looks_that_say_different_things_say_nothing() -> None:
    """Nor is what one look alone says announced, when it comes just as what was seen before is due."""
    one, under_way, failed = (export("ONNX", status=status) for status in ("Completed", "", "Failed"))
    due, _ = round_of([[OLD, one], [OLD, under_way], [OLD, failed], *[[OLD, one]] * 5])
    assert due == []
    due, _ = round_of([[OLD], [OLD, one], [OLD, one], [OLD, failed], *[[OLD, one]] * 5])
    assert due == [one]


def test_what_two_looks_say_counts_since_the_first_of_them() -> None:
    """So that it is announced as soon as what was never seen before, and its notification may have come as early."""
    _, before = round_of([[OLD, export("ONNX")]])
    failed = export("ONNX", status="Failed")
    _, after = round_of([[OLD, failed]] * 2, before)
    one = after.seen[failed.name]
    assert (one.status, one.since, one.after) == ("Failed", before.looked + MINUTES, before.looked)


def test_what_a_listing_lacks_for_a_moment_is_not_forgotten() -> None:
    """It is shown again, and no news; what an old iteration never had at any look is news all the same."""
    one, other = export("ONNX"), export("CoreML")
    due, before = round_of([[OLD, one], [OLD], [OLD, one], [], [], [OLD, one], *[[OLD, one]] * 5])
    assert due == []
    due, _ = round_of([[OLD, one, other]] * 5, before)
    assert due == [other]


def test_what_is_not_shown_for_long_is_forgotten() -> None:
    """Twelve looks in a row: what is deleted does not fill the record."""
    _, before = round_of([[OLD, export("ONNX")]])
    _, almost = round_of([[]] * 11, before)
    assert almost.seen.keys() == before.seen.keys()
    _, after = round_of([[]], almost)
    assert after.seen == {}
    _, again = round_of([[OLD, export("ONNX")], *[[]] * 11], almost)
    assert again.seen.keys() == before.seen.keys()


def test_what_ended_before_the_look_before_is_no_news_when_it_is_first_shown() -> None:
    """An import brings old iterations, and a listing may lack for long what it has: a training says when it was."""
    due, _ = round_of([[], [], *[[OLD, export("ONNX")]] * 6])
    assert due == []
    due, before = round_of([[OLD, export("ONNX")], *[[]] * 20, *[[OLD, export("ONNX")]] * 6])
    assert due == []
    unknown = Ending("training", ITERATION, "Completed")
    assert round_of([[], *[[unknown]] * 6])[0] == []
    late = Ending("training", ITERATION, "Completed", at=before.looked)
    for shown in ([late, export("ONNX")], [export("ONNX"), late]):
        assert round_of([[], *[shown] * 6])[0] == [late, export("ONNX")]


def test_a_notification_may_be_ahead_of_what_is_shown() -> None:
    """It counts from the look before the export was first seen under way, however long it is shown as that."""
    _, before = round_of([[OLD]])
    _, after = round_of([*[[OLD, export("ONNX", status="")]] * 6, [OLD, export("ONNX")]], before)
    assert after.seen[export("ONNX").name].after == before.looked


@given(
    looks=st.lists(st.lists(st.sampled_from(["as it is", "lacking", "lagging"]), min_size=3, max_size=3), max_size=11)
)
def test_what_was_settled_once_is_never_due_however_the_service_lags(looks: list[list[str]]) -> None:
    """Each of a training and two exports may be lacking, or shown as before: only two looks in a row make it new."""
    truth = [OLD, export("ONNX"), export("CoreML", status="Failed")]
    shown, lagged = [], [False] * 3
    for words in looks:
        now: list[Ending] = []
        for at, (ending, word) in enumerate(zip(truth, words, strict=True)):
            lags = word == "lagging" and not lagged[at]
            lagged[at] = lags
            if word != "lacking":
                now.append(replace(ending, status="") if lags else ending)
        shown.append(now)
    assert round_of([truth, *shown, *[truth] * 5])[0] == []


@pytest.mark.parametrize("ended_before", [False, True])
@pytest.mark.parametrize(
    ("gap", "due", "late"),
    [
        (timedelta(days=1), (TRAINED,), False),
        (timedelta(days=1, seconds=1), (TRAINED,), True),
        (timedelta(days=30), (TRAINED,), True),
    ],
)
def test_what_ended_while_nobody_looked_for_a_day_is_late(
    gap: timedelta,
    due: tuple[Ending, ...],
    late: bool,  # noqa: FBT001 # of a table
    ended_before: bool,  # noqa: FBT001 # of a table
) -> None:
    """It is due all the same, also where its end was seen right before the gap, and it is known to be old news."""
    before = seen(Ending("training", ITERATION, ""))
    before = seen(TRAINED, before=before) if ended_before else before
    back = look((TRAINED,), before, grace=GRACE, now=NOW + gap)
    assert back.due == ()
    found = look((TRAINED,), back.after, grace=GRACE, now=NOW + gap + GRACE)
    assert (found.due, found.after.seen[TRAINED.name].late) == (due, late)


def test_what_ends_after_the_gap_is_news() -> None:
    """Late is what was over at the look after the gap, and nothing else."""
    under_way = Ending("training", ITERATION, "")
    back = seen(under_way, at=NOW + timedelta(days=2), before=seen(under_way))
    ended = seen(TRAINED, at=NOW + timedelta(days=2, minutes=5), before=back)
    assert not ended.seen[TRAINED.name].late


def test_who_has_not_looked_for_a_month_begins_anew() -> None:
    """What ended while nobody looked for so long is nobody's news."""
    now = NOW + timedelta(days=30, seconds=1)
    later = seen(TRAINED, at=now, before=seen(Ending("training", ITERATION, "")))
    assert look((TRAINED,), later, grace=GRACE, now=now + GRACE).due == ()


def test_late_news_are_of_their_own_kind_alone() -> None:
    """Who hears of trainings or exports has nothing to do with them, and answers the notification if it still comes."""
    event = missed(PROJECT, TRAINED, NOW, late=True)
    assert event.kinds == {"NotificationMissed"}
    assert event.facts["vision"]["status"] == "TrainingCompleted"
    assert set(event.once) == {"NotificationMissed"}
    read = parse.own(json.dumps(event.payload))
    assert (read.kinds, read.once, read.key) == (event.kinds, event.once, event.key)


def test_after_a_gap_the_queue_is_given_its_time() -> None:
    """Nothing is due at the first look after a while without looks: its message may not have been taken yet."""
    ended = seen(TRAINED, before=seen(Ending("training", ITERATION, "")))
    back = look((TRAINED,), ended, grace=GRACE, now=NOW + timedelta(hours=1))
    assert back.due == ()
    assert look((TRAINED,), back.after, grace=GRACE, now=NOW + timedelta(hours=1, minutes=5)).due == (TRAINED,)


@pytest.mark.parametrize("minutes", [5, 10, 10.1, 30, 600])
def test_however_rarely_it_is_looked_at_it_is_due_some_time(minutes: float) -> None:
    """A slow schedule sees the end at one look, and announces it at a later one."""
    every, sighting, due = timedelta(minutes=minutes), seen(), list[Ending]()
    for number in range(1, 5):
        found = look((TRAINED,), sighting, grace=GRACE, now=NOW + number * every)
        sighting, due = found.after, [*due, *found.due]
    assert TRAINED in due


def test_a_notification_may_have_come_since_the_look_before() -> None:
    """What is heard of is compared from the last look on at which it was not over, however long ago."""
    before = seen(Ending("training", ITERATION, ""))
    late = seen(TRAINED, at=NOW + timedelta(hours=9), before=before)
    assert late.seen[TRAINED.name].after == NOW


def test_exports_nobody_looked_at_before_are_the_past_of_an_old_iteration() -> None:
    """An old iteration whose exports are shown for the first time has no news; one that was trained since has."""
    one = export("ONNX")
    before = seen(TRAINED)
    assert before.exports_of == frozenset()
    first = look((TRAINED, one), before, grace=GRACE, now=NOW, exports_of=[ITERATION]).after
    assert first.seen[one.name].settled
    watched = look((TRAINED,), before, grace=GRACE, now=NOW, exports_of=[ITERATION]).after
    assert not seen(TRAINED, one, before=watched).seen[one.name].settled
    trained = seen(TRAINED, one, before=seen())
    assert not trained.seen[one.name].settled


@pytest.mark.parametrize(
    ("due", "heard", "left"),
    [
        ([TRAINED], [], [TRAINED]),
        ([TRAINED], [facts("TrainingCompleted")], []),
        ([TRAINED], [facts("TrainingFailed")], [TRAINED]),
        ([TRAINED], [facts("TrainingCompleted") | {"iteration": "another"}], [TRAINED]),
        ([export("ONNX")], [facts("ExportCompleted", "onnx")], []),
        ([export("ONNX")], [facts("ExportCompleted", "CoreML")], [export("ONNX")]),
        ([export("ONNX")], [facts("ExportCompleted")], []),
        ([export("ONNX"), export("CoreML")], [facts("ExportCompleted", "CoreML")], [export("ONNX")]),
        ([export("ONNX"), export("CoreML")], [facts("ExportCompleted")], [export("CoreML")]),
        ([export("TensorFlow", "TensorFlowLite")], [facts("ExportCompleted", "TensorFlow")], []),
        (
            [export("TensorFlow"), export("TensorFlow", "TensorFlowLite")],
            [facts("ExportCompleted", "TensorFlow", "TensorFlowLite")],
            [export("TensorFlow")],
        ),
        ([export("ONNX", status="Failed")], [facts("ExportCompleted", "ONNX")], [export("ONNX", status="Failed")]),
    ],
)
def test_what_no_notification_told_of(due: list[Ending], heard: list[dict[str, Any]], left: list[Ending]) -> None:
    """One notification tells of one export, of the one it names where it names one; of trainings it tells by the id."""
    assert list(unheard(due, heard)) == left


def test_the_event_tells_what_the_notification_would_have() -> None:
    """It is of both kinds, has the same fields, reads back as it was, and is the same when it is announced again."""
    event = missed(PROJECT, export("TensorFlow", "TensorFlowLite"), NOW)
    assert event.kinds == {"NotificationMissed", "ExportCompleted"}
    assert event.data == {"projectId": PROJECT, "iterationId": ITERATION, "exportStatus": "ExportCompleted"}
    assert event.facts["vision"] == facts("ExportCompleted", "TensorFlow", "TensorFlowLite")
    assert event.source == f"customvision/{PROJECT}"
    read = parse.own(json.dumps(event.payload))
    assert (read.kinds, read.facts, read.key) == (event.kinds, event.facts, event.key)
    assert missed(PROJECT, export("TensorFlow", "TensorFlowLite"), NOW).key == event.key
    assert missed(PROJECT, export("TensorFlow", "TensorFlowLite"), NOW + timedelta(hours=1)).key != event.key


def test_a_training_is_answered_once_whoever_tells_of_it() -> None:
    """The late notification and our own event say the same to a rule; exports, which come again, do not."""
    told = parse.vision_notification(
        json_of({"projectId": PROJECT.upper(), "iterationId": ITERATION, "trainingStatus": "TrainingCompleted"})
    )
    bare = {"projectId": PROJECT.replace("-", ""), "iterationId": ITERATION.replace("-", "")}
    assert parse.vision_notification(json_of({**bare, "trainingStatus": "TrainingCompleted"})).once == told.once
    ours = missed(PROJECT, TRAINED, NOW)
    assert told.once == {"TrainingCompleted": endings.answered_once(PROJECT, ITERATION)}
    assert ours.once == {**told.once, "NotificationMissed": told.once["TrainingCompleted"]}
    assert not missed(PROJECT, export("ONNX"), NOW).once
    assert parse.wake_tokens(ours) == parse.wake_tokens(told) == (f"training:{PROJECT}/{ITERATION}",)


def json_of(content: dict[str, Any]) -> str:
    """Write a notification of a training."""
    return json.dumps({"version": "1.0", "type": "Training", "Content": content})
