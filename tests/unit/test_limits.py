"""What a limit says, by what is remembered of it: pure, so that any order of events can be tried."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.limits import MOST_TOLD, Admission, Asking, decide, decide_budget
from shared.policy import Limit, Told, read_duration, show_duration
from shared.slots import Slots, next_queued, release

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
MINUTES = st.lists(st.integers(0, 90), min_size=1, max_size=40)
"""Minutes from one event to the next."""


def limit(**given: str) -> Limit:
    """Read a limit as a rules file has it."""
    return Limit.model_validate(given)


def asking(name: str, at: datetime) -> Asking:
    """Ask for an action whose event came then."""
    return Asking(
        key=name,
        holder=name,
        at=at,
        event=Told(key=f"event-{name}", kind="RunFailed", subject=name, source="s", time=at),
    )


def nobody(_key: str, _since: datetime) -> bool:
    """Say that no action is over whose end was not written."""
    return False


class Story:
    """Asks for one action after the other, and lets each end at once."""

    def __init__(self, rule: Limit) -> None:
        self.rule = rule
        self.slots = Slots()
        self.went: list[datetime] = []

    def ask(self, name: str, at: datetime, now: datetime) -> Admission:
        """Ask once, and once more as after a crash: the answer is the same."""
        answer = decide(self.rule, self.slots, asking(name, at), now, nobody)
        again = decide(self.rule, answer.slots, asking(name, at), now, nobody)
        assert (again.verdict, again.until, again.reason) == (answer.verdict, answer.until, answer.reason)
        self.slots = again.slots
        if answer.verdict == "go":
            self.went.append(now)
        return answer

    def end(self, name: str, *, gives_back: bool = False) -> None:
        """Let an action end."""
        self.slots = release(self.slots, name, name, gives_back=gives_back, succeeded=not gives_back)


@given(MINUTES)
def test_a_cooldown_keeps_its_distance(minutes: list[int]) -> None:
    """However events come, two actions are never closer than the cooldown, and none is refused beyond it."""
    story, now = Story(limit(cooldown="1h")), NOW
    for number, gap in enumerate(minutes):
        now += timedelta(minutes=gap)
        before = story.went[-1] if story.went else None
        answer = story.ask(str(number), now, now)
        assert (answer.verdict == "go") is (before is None or now - before >= timedelta(hours=1))
        story.end(str(number))


@given(MINUTES, st.integers(1, 5))
def test_a_budget_is_never_exceeded(minutes: list[int], most: int) -> None:
    """In no period are there more than so many actions, and none is refused with fewer."""
    rate, slots, now = limit(at_most=f"{most} per hour").at_most, Slots(), NOW
    went: list[datetime] = []
    assert rate is not None
    for number, gap in enumerate(minutes):
        now += timedelta(minutes=gap)
        recent = [then for then in went if then > now - timedelta(hours=1)]
        answer = decide_budget(rate, slots, asking(str(number), now), now)
        assert decide_budget(rate, answer.slots, asking(str(number), now), now).verdict == answer.verdict
        assert (answer.verdict == "go") is (len(recent) < most)
        slots = answer.slots
        went += [now] if answer.verdict == "go" else []


@given(MINUTES, st.integers(2, 4))
def test_a_threshold_counts_anew(minutes: list[int], count: int) -> None:
    """It acts exactly where so many came within the time since it acted last."""
    story, now, counted = Story(limit(threshold=f"{count} within 1h")), NOW, list[datetime]()
    for number, gap in enumerate(minutes):
        now += timedelta(minutes=gap)
        counted = [*(then for then in counted if then > now - timedelta(hours=1)), now]
        answer = story.ask(str(number), now, now)
        assert (answer.verdict == "go") is (len(counted) == count)
        counted = [] if answer.verdict == "go" else counted
        story.end(str(number), gives_back=answer.verdict == "skip")


@given(MINUTES)
def test_a_debounce_acts_on_the_newest(minutes: list[int]) -> None:
    """Whoever waits is the newest there is; those before it are skipped once they ask again."""
    story, now = Story(limit(debounce="10m")), NOW
    asked: list[tuple[str, datetime]] = []
    for number, gap in enumerate(minutes):
        now += timedelta(minutes=gap)
        for name, at in [*asked]:
            answer = story.ask(name, at, now)
            if answer.verdict != "wait":
                asked.remove((name, at))
                story.end(name)
            assert answer.verdict != "go" or (name, at) == max([(name, at), *asked], key=lambda one: (one[1], one[0]))
        asked.append((f"{number:03}", now))
        assert story.ask(f"{number:03}", now, now).verdict == "wait"
    assert sum(slot.state == "quiet" for slot in story.slots.slots) == 1


def in_turn(rule: Limit) -> Callable[[str, int], Admission]:
    """Ask for actions that do not end by themselves."""
    story = Story(rule)
    return lambda name, minute: story.ask(name, NOW + timedelta(minutes=minute), NOW + timedelta(minutes=minute))


def test_a_queue_keeps_its_order() -> None:
    """Who came first goes first, also where a later one asks before it."""
    story = Story(limit(concurrency="queue"))
    assert story.ask("a", NOW, NOW).verdict == "go"
    assert story.ask("c", NOW + timedelta(minutes=2), NOW).verdict == "wait"
    assert story.ask("b", NOW + timedelta(minutes=1), NOW).verdict == "wait"
    story.end("a")
    waiting = next_queued(story.slots)
    assert waiting
    assert waiting.key == "b"
    assert story.ask("c", NOW + timedelta(minutes=2), NOW).reason == "waits for those before it"
    assert story.ask("b", NOW + timedelta(minutes=1), NOW).verdict == "go"


def test_an_end_that_was_not_written_is_found() -> None:
    """Where the action that runs has ended and nobody wrote so, the next one goes on."""
    slots = decide(limit(concurrency="skip"), Slots(), asking("a", NOW), NOW, nobody).slots
    assert decide(limit(concurrency="skip"), slots, asking("b", NOW), NOW, nobody).verdict == "skip"
    assert (
        decide(limit(concurrency="skip"), slots, asking("b", NOW), NOW, lambda key, _since: key == "a").verdict == "go"
    )


def test_replace_names_who_should_go() -> None:
    """The one that runs is named, and of those that wait only the newest stays."""
    ask = in_turn(limit(concurrency="replace"))
    assert ask("a", 0).verdict == "go"
    assert ask("b", 1).replaces == ("a",)
    assert ask("c", 2).replaces == ("a",)
    assert ask("b", 1).verdict == "skip"


@given(st.integers(1, 30), st.integers(0, 3))
def test_every_event_of_a_digest_is_told_once(count: int, repeated: int) -> None:
    """Its action gets every event that came in time, once, also where some come again."""
    story = Story(limit(digest="15m"))
    names = [f"{number:03}" for number in range(count)]
    for minute, name in enumerate([*names, *names[:repeated]]):
        at = NOW + timedelta(seconds=20 * minute)
        assert story.ask(name, at, at).verdict == ("wait" if name == "000" else "skip")
    answer = story.ask("000", NOW, NOW + timedelta(minutes=15))
    assert answer.verdict == "go"
    assert answer.digest is not None
    assert [told.subject for told in answer.digest.events] == names
    story.end("000")
    late = story.ask(names[-1], NOW, NOW + timedelta(minutes=20))
    assert (late.verdict, late.reason) == ("skip", "it was told in a digest") if count > 1 else ("go", "")


def test_a_cooldown_begins_no_digest() -> None:
    """Within a cooldown nothing is gathered: nobody would see it."""
    story = Story(limit(digest="15m", cooldown="1h"))
    assert story.ask("a", NOW, NOW).verdict == "wait"
    assert story.ask("a", NOW, NOW + timedelta(minutes=15)).verdict == "go"
    story.end("a")
    soon = NOW + timedelta(minutes=30)
    assert story.ask("b", soon, soon).reason.startswith("cooldown of 1h")
    later = NOW + timedelta(minutes=80)
    assert story.ask("c", later, later).verdict == "wait"


def test_what_nobody_was_told_can_be_told() -> None:
    """Where a digest's action gave its slot back, its events may be told by a replay."""
    story = Story(limit(digest="15m"))
    story.ask("a", NOW, NOW)
    assert story.ask("b", NOW, NOW).verdict == "skip"
    story.end("a", gives_back=True)
    assert story.ask("b", NOW, NOW + timedelta(minutes=20)).verdict == "wait"


def test_a_digest_is_bounded() -> None:
    """Beyond so many events they are only counted."""
    story = Story(limit(digest="1h"))
    for number in range(MOST_TOLD + 5):
        slots = decide(story.rule, story.slots, asking(f"{number:04}", NOW), NOW, nobody).slots
        story.slots = slots
    digest = story.slots.digest_of("0000")
    assert digest is not None
    assert (len(digest.events), digest.more) == (MOST_TOLD, 5)


@given(st.integers(1, 366 * 24 * 3600))
def test_a_duration_is_written_as_it_is_read(seconds: int) -> None:
    """What is shown of a duration means the same in a rules file."""
    duration = timedelta(seconds=seconds)
    if seconds < 1_000_000 or seconds % 60 == 0:
        assert read_duration(show_duration(duration)) == duration
