"""What follows from what came of a stage, with the clock as an argument."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.actions import Action, Status, Step
from shared.errors import DeniedError, PermanentError, TemporaryError, UnansweredError
from shared.settle import Timing, Verdict, current_state, settle
from shared.stages import Done, End, NotStarted, Pending, Waiting

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
TIMING = Timing(lease=timedelta(minutes=10), poll=timedelta(seconds=30), deadline=timedelta(hours=24))


def action(*, steps: int = 1, on_failure: int = 0) -> Action:
    """Make an action whose first step has begun."""
    made = Action(
        key="k",
        rule="r",
        rules_hash="h",
        event="e",
        kinds=["ModelRegistered"],
        source="s",
        subject="u",
        mode="live",
        depth=0,
        created=NOW,
        due=NOW,
        steps=[Step(id=f"step{number}", action="x") for number in range(steps)],
        on_failure=[Step(id=f"after{number}", action="x") for number in range(on_failure)],
    )
    current_state(made, NOW)
    return made


def after(made: Action, *verdicts: Verdict, next_stage: str = "", now: datetime = NOW) -> Action:
    """Settle one verdict after the other."""
    for verdict in verdicts:
        made = settle(made, verdict, next_stage, now, TIMING)
    return made


def test_settling_leaves_the_record_it_was_given() -> None:
    """A new record is returned; the old one is what was read."""
    made = action()
    before = made.model_dump()
    after(made, Pending(memory={"a": 1}))
    assert made.model_dump() == before


def test_the_last_step_ends_the_action() -> None:
    """Done in the last stage of the last step is success."""
    moved = after(action(), Done({"a": 1}))
    assert (moved.status, moved.ended) == (Status.SUCCEEDED, NOW)
    assert moved.progress[0].result == {"a": 1}


def test_a_stage_forgets_what_the_one_before_remembered() -> None:
    """Results are kept through a step, a stage's memory is not."""
    moved = after(action(), Pending(memory={"run": "1"}), Done({"found": 2}), next_stage="second")
    state = moved.progress[0]
    assert (state.stage, state.memory, state.result, state.started) == ("second", {}, {"found": 2}, False)


def test_looks_grow_rarer() -> None:
    """A pending job is looked at in the usual interval, and slowly less often, at most twice as rarely."""
    moved, waits = action(), []
    for _ in range(15):
        moved = after(moved, Pending())
        waits.append((moved.due - NOW).total_seconds())
    assert waits[0] == 30
    assert waits == sorted(waits)
    assert waits[-1] == 60


def test_tries_back_off_within_bounds() -> None:
    """Temporary errors double the wait, jittered by a fifth, up to a lease; a service's own wish is the least."""
    moved, waits = action(), []
    for _ in range(12):
        moved = after(moved, TemporaryError("busy"))
        moved.seq += 1
        waits.append((moved.due - NOW).total_seconds())
    assert 4 <= waits[0] <= 6
    assert 480 <= waits[-1] <= 720
    assert after(action(), TemporaryError("busy", after=300)).due == NOW + timedelta(seconds=300)


def test_success_forgives() -> None:
    """A look that works starts the counting of errors anew."""
    moved = after(action(), TemporaryError("busy"), TemporaryError("busy"), Pending())
    assert (moved.progress[0].attempts, moved.progress[0].trouble) == (0, "")


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Pending(note="endpoint is Creating"), "gave up after 24 hours: endpoint is Creating"),
        (Pending(), "gave up after 24 hours: still pending"),
        (TemporaryError("busy"), "gave up after 24 hours: busy"),
        (NotStarted("waiting"), "gave up after 24 hours: waiting"),
    ],
)
@pytest.mark.guarantee(2)
def test_a_stage_has_its_time(verdict: Verdict, reason: str) -> None:
    """What only waits becomes a failure after the deadline, and the reason says what it waited for."""
    late = NOW + timedelta(hours=24, seconds=1)
    assert after(action(), verdict, now=late).reason == reason
    assert after(action(), Done(), now=late).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("verdict", "seconds"),
    [
        (Pending(no_sooner=1), 30),
        (Pending(no_sooner=90), 90),
        (Pending(after=5, no_sooner=1), 5),
        (Pending(after=0, no_sooner=1), 1),
    ],
)
def test_a_service_is_left_alone_as_long_as_it_asks(verdict: Verdict, seconds: float) -> None:
    """The longer of the two counts: what the service asks for never makes a look come sooner."""
    assert after(action(), verdict).due == NOW + timedelta(seconds=seconds)


@pytest.mark.guarantee(2)
@pytest.mark.parametrize("verdict", [TemporaryError("busy", after=1e9), Pending(after=1e9), Pending(no_sooner=1e9)])
def test_no_service_asks_for_more_than_the_deadline(verdict: Verdict) -> None:
    """However long a service asks to be left alone, the stage is looked at, and given up, when its time is over."""
    moved = after(action(), verdict)
    assert moved.due == NOW + timedelta(hours=24, seconds=1)
    assert after(moved, verdict, now=moved.due).status is Status.FAILED


@pytest.mark.guarantee(3)
def test_an_unanswered_start_is_given_time() -> None:
    """After a start that was never answered the first look for its job waits for patience."""
    made = action()
    made.progress[0].starting_at = NOW
    moved = after(made, UnansweredError("no answer"))
    assert moved.due == NOW + TIMING.patience
    moved = after(moved, NotStarted("looking", looked_in_vain=True), now=moved.due)
    assert moved.due == NOW + 2 * TIMING.patience
    assert moved.progress[0].empty_find == NOW + TIMING.patience


def test_a_failed_step_turns_to_on_failure() -> None:
    """The rule's `on_failure` is followed next, and the action then ends as failed for the first reason."""
    moved = after(action(steps=2, on_failure=1), PermanentError("broken", remedy="mend"))
    assert moved.is_open
    assert moved.todo[moved.position].id == "after0"
    moved = after(moved, PermanentError("broken too"))
    assert (moved.status, moved.reason) == (Status.FAILED, "broken")
    assert [state.trouble for state in moved.progress] == ["broken", "broken too"]


# -- refused, undone, turned back -------------------------------------------------------------------------------------


def test_a_missing_role_is_waited_for_an_hour() -> None:
    """A role takes up to an hour to spread; after that the step fails, with what would help."""
    denied = DeniedError("it may not", remedy="give it the role")
    waiting = after(action(), denied)
    waiting = after(waiting, denied, now=NOW + timedelta(minutes=59))
    assert waiting.is_open
    failed = after(waiting, denied, now=NOW + timedelta(minutes=61))
    assert failed.failure is not None
    assert (failed.failure.reason, failed.failure.remedy) == ("it may not", "give it the role")


def test_the_hour_begins_with_the_refusal() -> None:
    """A job that was watched for days before its role was taken away has its hour from then."""
    denied, later = DeniedError("it may not"), NOW + timedelta(hours=20)
    watched = after(action(), Pending(), now=later)
    assert after(watched, denied, now=later).is_open
    assert after(watched, denied, Pending(), denied, now=later + timedelta(hours=2)).is_open


def undoing(*verdicts: Verdict) -> Action:
    """Settle verdicts of a step that can be undone, and has begun something."""
    made = action(on_failure=1)
    made.progress[0].stage, made.progress[0].committed = "work", True
    for verdict in verdicts:
        made = settle(made, verdict, "", NOW, TIMING, undoes="undo")
    return made


def test_a_failure_turns_to_what_undoes() -> None:
    """The verdict waits in the record until the step is undone."""
    moved = undoing(PermanentError("no", remedy="yes"))
    state = moved.progress[0]
    assert (moved.is_open, state.stage, state.started, state.outcome) == (True, "undo", False, "")
    assert state.undoing is not None
    assert (state.undoing.stage, state.undoing.reason, state.undoing.remedy) == ("work", "no", "yes")
    assert undoing(PermanentError("no"), Pending(), Done(note="all is back")).reason == ""
    failure = undoing(PermanentError("no"), Pending(), Done(note="all is back")).failure
    assert failure is not None
    assert failure.reason == "no; all is back"


def test_an_end_comes_after_undoing() -> None:
    """What ended the action ends it once the step is undone, and on_failure is not done."""
    ended = undoing(End(Status.EXPIRED, "nobody decided"), Done(note="all is back"))
    assert (ended.status, ended.reason, ended.failure) == (Status.EXPIRED, "nobody decided; all is back", None)


def test_nothing_begun_is_nothing_to_undo() -> None:
    """A step that has begun nothing fails at once."""
    failed = settle(action(), PermanentError("no"), "", NOW, TIMING, undoes="undo")
    assert (failed.status, failed.progress[0].undoing) == (Status.FAILED, None)


def test_a_stage_names_the_next() -> None:
    """A stage may turn to another one than that after it, and waiting is no reason to."""
    moved = after(action(), Waiting(NOW + timedelta(hours=1)), Done(next="again"), next_stage="after")
    assert moved.progress[0].stage == "again"
