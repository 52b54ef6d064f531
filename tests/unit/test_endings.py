"""What ended without a notification: comparing what is shown with what was seen, and what was heard."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared import endings, parse
from shared.endings import Ending, Sighting, look, missed, settled, unheard

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GRACE = timedelta(minutes=10)
PROJECT, ITERATION = "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "8d8ac610-566d-4ef0-9c22-186b2a5ed793"
TRAINED = Ending("training", ITERATION, "Completed")


def export(platform: str, flavor: str = "", status: str = "Completed") -> Ending:
    """Show an export of the iteration."""
    return Ending("export", ITERATION, status, platform, flavor)


def facts(status: str, platform: str | None = None, flavor: str | None = None) -> dict[str, Any]:
    """Tell what a notification of the iteration says."""
    return {"project": PROJECT, "iteration": ITERATION, "status": status, "platform": platform, "flavor": flavor}


def seen(*shown: Ending, at: datetime = NOW, before: Sighting | None = None) -> Sighting:
    """Look once, and give what is remembered."""
    return look(shown, before, grace=GRACE, now=at).after


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
    one = export("ONNX")
    ended = settled(seen(one, before=seen()), [one])
    assert look((one,), ended, grace=GRACE, now=NOW + GRACE).due == ()
    again = seen(export("ONNX", status=""), before=ended)
    done = seen(one, before=again)
    assert look((one,), done, grace=GRACE, now=NOW + GRACE).due == (one,)


def test_who_has_not_looked_for_a_day_begins_anew() -> None:
    """What ended while nobody looked for so long is nobody's news; after a shorter gap it is."""
    before = seen(Ending("training", ITERATION, ""))
    late = seen(TRAINED, at=NOW + timedelta(days=1), before=before)
    assert look((TRAINED,), late, grace=GRACE, now=NOW + timedelta(days=1) + GRACE).due == (TRAINED,)
    later = seen(TRAINED, at=NOW + timedelta(days=1, seconds=1), before=before)
    assert look((TRAINED,), later, grace=GRACE, now=NOW + timedelta(days=1, seconds=1) + GRACE).due == ()


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
