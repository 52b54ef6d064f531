"""Failover of predictions: who is asked, when, and what is told; with resources that answer as a test says."""

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clients.language import Answered, Breaker, Failover, Prediction, Resource
from shared.clients.language.failover import WITHIN
from shared.clients.language.faults import FAULTS
from shared.errors import DeniedError, PermanentError, ReactorError, TemporaryError

PRIMARY, SECONDARY = Resource("https://we.example.net", "one"), Resource("https://ne.example.net", "two")
DOWN = TemporaryError("Language answered 503")
RIGHT = Prediction("Read", 0.9)


@dataclass
class Clock:
    """Seconds, as a test says."""

    now: float = 1_000.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


@dataclass
class Regions:
    """What each region says, by its host, and who was asked."""

    says: dict[str, Any]
    asked: list[str] = field(default_factory=list)
    takes: dict[str, float] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    def guess(
        self, at: Resource, project: str, deployment: str, text: str, *, language: str = "", within: float = 0
    ) -> Prediction:
        """Answer as it is said, after as long as it takes."""
        self.times.append(within)
        self.clock.now += self.takes.get(at.host[:2], 0)
        assert (project, deployment, text, language) == ("EmailApp", "production", "Read my mail", "en-us")
        self.asked.append(at.host[:2])
        said = self.says[at.host[:2]]
        said = said.pop(0) if isinstance(said, list) else said
        if isinstance(said, Exception):
            raise said
        assert isinstance(said, Prediction)
        return said


def between(regions: Regions, clock: Clock | None = None, **breaker: Any) -> Failover:
    """Make a failover."""
    return Failover(regions, PRIMARY, SECONDARY, Breaker(**breaker), clock=clock or regions.clock)


def ask(failover: Failover) -> Answered:
    """Ask something."""
    return failover.guess("EmailApp", "production", "Read my mail", language="en-us")


# -- one call ---------------------------------------------------------------------------------------------------------


def test_the_primary_answers_where_it_can() -> None:
    """Nobody else is asked, and the answer says who made it."""
    regions = Regions({"we": RIGHT, "ne": DOWN})
    assert ask(between(regions)) == Answered(RIGHT, "primary", "we.example.net")
    assert regions.asked == ["we"]


def test_one_hiccup_is_the_primarys_own_matter() -> None:
    """It is asked once more, and answers."""
    regions = Regions({"we": [DOWN, RIGHT], "ne": RIGHT})
    answered = ask(between(regions))
    assert (answered.by, answered.tried) == ("primary", ("primary: Language answered 503",))
    assert regions.asked == ["we", "we"]


def test_the_secondary_answers_the_call_that_the_primary_failed_twice() -> None:
    """The caller gets a prediction at once, and hears what went wrong."""
    regions = Regions({"we": DOWN, "ne": RIGHT})
    answered = ask(between(regions))
    assert (answered.by, answered.host, answered.prediction) == ("secondary", "ne.example.net", RIGHT)
    assert answered.tried == ("primary: Language answered 503",) * 2
    assert regions.asked == ["we", "we", "ne"]


def test_who_asks_to_be_left_alone_is_not_asked_at_once_again() -> None:
    """A Retry-After of the primary goes straight to the secondary."""
    regions = Regions({"we": TemporaryError("Language answered 429", after=7), "ne": RIGHT})
    assert ask(between(regions)).by == "secondary"
    assert regions.asked == ["we", "ne"]


CALLERS = [code for fault, codes, _ in FAULTS if fault == "caller" for code in codes]
REGIONS = [code for fault, codes, _ in FAULTS if fault == "region" for code in codes]
EITHERS = [code for fault, codes, _ in FAULTS if fault == "either" for code in codes] + ["NobodyKnows"]


def refusal(code: str, remedy: str = "") -> PermanentError:
    """Make a refusal for good."""
    return PermanentError(f"Language answered 400 {code}: no", code=code, remedy=remedy)


def test_each_code_is_told_once_with_a_sentence() -> None:
    """The table is whole: no code has two faults, and each row says why."""
    codes = [code.lower() for _, codes, _ in FAULTS for code in codes]
    assert len(codes) == len(set(codes))
    assert all(why.endswith(".") for _, _, why in FAULTS)
    assert {"invaliddocument", "emptyrequest", "unsupportedlanguagecode"} <= {code.lower() for code in CALLERS}


@pytest.mark.parametrize("code", [*CALLERS, "invalidDocument"])
def test_the_callers_own_fault_is_raised(code: str) -> None:
    """A text that is too long is no better elsewhere, and tells nothing of the region."""
    regions = Regions({"we": refusal(code), "ne": RIGHT})
    failover = between(regions, failures=1)
    with pytest.raises(PermanentError, match=code):
        ask(failover)
    assert regions.asked == ["we"]
    assert failover.breaker == Breaker(failures=1)


@pytest.mark.parametrize("code", [*REGIONS, *EITHERS])
def test_what_may_be_the_regions_own_trouble_is_failed_over(code: str) -> None:
    """It is not asked twice, the secondary answers, and calls that the primary failed so are counted."""
    regions = Regions({"we": refusal(code), "ne": RIGHT})
    failover = between(regions)
    assert [ask(failover).by for _ in range(3)] == ["secondary"] * 3
    assert regions.asked == ["we", "ne"] * 3
    assert failover.breaker.state(1_000) == "open"


@pytest.mark.parametrize("code", EITHERS)
@pytest.mark.parametrize("is_open", [False, True])
def test_what_both_refuse_in_the_same_way_is_the_callers_fault(code: str, is_open: bool) -> None:  # noqa: FBT001 # of a table
    """The primary's refusal is raised as it is, and nothing is counted for it or against it."""
    regions = Regions({"we": DOWN, "ne": RIGHT})
    failover = between(regions)
    for _ in range(3 if is_open else 2):
        ask(failover)
    before = failover.breaker
    ours = refusal(code, "look at we")
    regions.says |= {"we": ours, "ne": refusal(code, "look at ne")}
    with pytest.raises(PermanentError) as caught:
        ask(failover)
    assert caught.value is ours
    assert failover.breaker == before


def test_regions_that_refuse_in_different_ways_are_both_told() -> None:
    """Nobody knows whose fault it is; the code is the primary's."""
    regions = Regions({"we": refusal("ProjectNotFound", "one"), "ne": refusal("InvalidRequest", "two")})
    with pytest.raises(PermanentError, match=r"neither region.*primary: .*ProjectNotFound.*secondary: .*Request") as it:
        ask(between(regions))
    assert (it.value.code, it.value.remedy) == ("ProjectNotFound", "one; two")


@pytest.mark.parametrize(
    ("words", "by"), [("The specified deployment is unknown", "secondary"), ("'xx' is no language", None)]
)
def test_a_value_that_is_about_what_a_region_has_is_asked_of_the_other(words: str, by: str | None) -> None:
    """The service has one code for both: its words tell."""
    problem = PermanentError(f"Language answered 400 InvalidParameterValue: {words}", code="InvalidParameterValue")
    failover = between(Regions({"we": problem, "ne": RIGHT}))
    if by:
        assert ask(failover).by == by
    else:
        with pytest.raises(PermanentError, match="no language"):
            ask(failover)


def test_a_project_that_is_gone_while_the_secondary_is_down_may_come_back() -> None:
    """Nobody knows yet whether it is the caller's fault."""
    failover = between(Regions({"we": refusal("ProjectNotFound"), "ne": DOWN}), failures=1)
    with pytest.raises(TemporaryError, match=r"primary: .*ProjectNotFound.*secondary: .*503"):
        ask(failover)
    assert failover.breaker.state(1_000) == "closed"


# -- how long ---------------------------------------------------------------------------------------------------------


def test_each_region_has_its_time() -> None:
    """A primary that takes all of it is not asked again, and the secondary has as much."""
    regions = Regions({"we": DOWN, "ne": RIGHT}, takes={"we": 5.0})
    assert ask(between(regions)).by == "secondary"
    assert (regions.asked, regions.times) == (["we", "ne"], [WITHIN, WITHIN])
    assert WITHIN == 5


def test_a_second_try_has_what_is_left() -> None:
    """Both tries are within the primary's time, and one that took more than half of it was the only one."""
    regions = Regions({"we": DOWN, "ne": RIGHT}, takes={"we": 2.0})
    ask(between(regions))
    assert regions.times == [5, 3, 5]
    regions = Regions({"we": DOWN, "ne": RIGHT}, takes={"we": 2.6})
    ask(between(regions))
    assert regions.times == [5, 5]


def test_how_long_is_up_to_who_asks() -> None:
    """It is said once, for each call."""
    regions = Regions({"we": DOWN, "ne": RIGHT})
    ask(Failover(regions, PRIMARY, SECONDARY, within=1.5, clock=regions.clock))
    assert regions.times == [1.5, 1.5, 1.5]


# -- who may ----------------------------------------------------------------------------------------------------------


def test_a_role_that_is_missing_is_failed_over() -> None:
    """It may come, but not in this call."""
    regions = Regions({"we": DeniedError("no role"), "ne": RIGHT})
    assert ask(between(regions)).by == "secondary"
    assert regions.asked == ["we", "ne"]


def test_a_role_that_is_missing_in_both_regions_has_its_remedies() -> None:
    """Both are told, and it may come."""
    regions = {name: DeniedError("no role", remedy=f"a role on {name}") for name in ("we", "ne")}
    with pytest.raises(DeniedError, match="neither region") as caught:
        ask(between(Regions(regions)))
    assert caught.value.remedy == "a role on we; a role on ne"


def test_where_neither_answers_both_are_told() -> None:
    """The error says what each said, and when to ask again."""
    regions = Regions({"we": DOWN, "ne": TemporaryError("Language answered 429", after=9)})
    with pytest.raises(TemporaryError, match=r"neither region.*primary: .*503; secondary: .*429") as caught:
        ask(between(regions))
    assert caught.value.after == 9


def test_where_both_refuse_for_good_waiting_is_no_remedy() -> None:
    """Two wrong keys are permanent, with both remedies."""
    refusals = {
        name: PermanentError("wrong key", code="Unauthorized", remedy=f"change {name}") for name in ("we", "ne")
    }
    with pytest.raises(PermanentError, match="neither region") as caught:
        ask(between(Regions(refusals)))
    assert caught.value.remedy == "change we; change ne"


def test_a_secondary_without_the_project_does_not_make_an_outage_permanent() -> None:
    """The primary may come back: the whole is temporary, and says what the secondary lacks."""
    regions = Regions({"we": DOWN, "ne": PermanentError("ProjectNotFound", code="ProjectNotFound")})
    with pytest.raises(TemporaryError, match="secondary: ProjectNotFound"):
        ask(between(regions))


@pytest.mark.parametrize("is_open", [False, True])
def test_what_any_region_refuses_is_no_outage(is_open: bool) -> None:  # noqa: FBT001 # of a table
    """A text that the secondary finds too long is the caller's fault, whoever failed before."""
    regions = Regions({"we": DOWN, "ne": RIGHT})
    failover = between(regions)
    for _ in range(3 if is_open else 0):
        ask(failover)
    regions.says["ne"] = PermanentError("too long", code="InvalidDocument")
    with pytest.raises(PermanentError, match="too long"):
        ask(failover)


# -- the breaker ------------------------------------------------------------------------------------------------------


def test_after_failures_in_a_row_nobody_waits_for_the_primary() -> None:
    """The third failed call opens the breaker: then the secondary is asked first, and only it."""
    regions = Regions({"we": DOWN, "ne": RIGHT})
    failover = between(regions)
    for _ in range(3):
        ask(failover)
    regions.asked.clear()
    assert ask(failover).by == "secondary"
    assert regions.asked == ["ne"]
    assert failover.breaker.state(1_000) == "open"


def test_failures_that_are_not_in_a_row_open_nothing() -> None:
    """Each answer of the primary begins the count anew."""
    regions = Regions({"we": [DOWN, DOWN, DOWN, DOWN, RIGHT, DOWN, DOWN, DOWN, DOWN], "ne": RIGHT})
    failover = between(regions)
    assert [ask(failover).by for _ in range(5)] == ["secondary", "secondary", "primary", "secondary", "secondary"]
    assert failover.breaker.state(1_000) == "closed"


def test_one_call_tries_the_primary_after_a_while() -> None:
    """A probe that is answered closes the breaker."""
    clock = Clock()
    regions = Regions({"we": DOWN, "ne": RIGHT})
    failover = between(regions, clock)
    for _ in range(3):
        ask(failover)
    clock.now += 59.9
    assert ask(failover).by == "secondary"
    regions.says["we"] = RIGHT
    assert ask(failover).by == "secondary"
    clock.now += 0.1
    assert ask(failover).by == "primary"
    assert failover.breaker == Breaker()


def test_a_probe_that_fails_keeps_it_open() -> None:
    """The caller is answered by the secondary, and the time begins anew."""
    clock = Clock()
    regions = Regions({"we": DOWN, "ne": RIGHT})
    failover = between(regions, clock)
    for _ in range(3):
        ask(failover)
    clock.now += 60
    regions.asked.clear()
    assert ask(failover).by == "secondary"
    assert "we" in regions.asked
    clock.now += 59
    regions.asked.clear()
    assert ask(failover).by == "secondary"
    assert regions.asked == ["ne"]


def test_an_open_breaker_still_has_the_primary_as_its_last_hope() -> None:
    """Where the secondary fails the primary is asked after all, and has recovered by answering."""
    regions = Regions({"we": DOWN, "ne": RIGHT})
    failover = between(regions)
    for _ in range(3):
        ask(failover)
    regions.says |= {"we": RIGHT, "ne": DOWN}
    answered = ask(failover)
    assert (answered.by, answered.tried) == ("primary", ("secondary: Language answered 503",))
    assert failover.breaker.state(1_000) == "closed"


def test_a_secondary_that_lacks_the_project_does_not_hide_a_primary_that_is_back() -> None:
    """While the breaker is open, what the secondary refuses for good is asked of the primary."""
    regions = Regions({"we": DOWN, "ne": RIGHT})
    failover = between(regions)
    for _ in range(3):
        ask(failover)
    regions.says |= {"we": RIGHT, "ne": PermanentError("no project", code="ProjectNotFound")}
    assert ask(failover).by == "primary"


def test_of_many_calls_one_is_the_probe() -> None:
    """While a probe is on its way, the others are answered by the secondary at once."""
    entered, leave = threading.Event(), threading.Event()
    clock = Clock()
    regions = Regions({"we": DOWN, "ne": RIGHT})
    failover = between(regions, clock)
    for _ in range(3):
        ask(failover)
    clock.now += 60

    def slow(at: Resource, *_: Any, **__: Any) -> Prediction:
        if at == PRIMARY:
            entered.set()
            assert leave.wait(5)
        return RIGHT

    regions.guess = slow  # type: ignore[method-assign] # a region that takes its time
    answers: list[Answered] = []
    probe = threading.Thread(target=lambda: answers.append(ask(failover)))
    probe.start()
    assert entered.wait(5)
    assert ask(failover).by == "secondary"
    leave.set()
    probe.join(5)
    assert [one.by for one in answers] == ["primary"]
    assert ask(failover).by == "primary"


def test_of_calls_at_the_very_same_moment_one_is_the_probe() -> None:
    """Twenty threads find the breaker half-open: the primary is asked once, and everybody is answered."""
    clock = Clock()
    regions = Regions({"we": DOWN, "ne": RIGHT})
    failover = between(regions, clock)
    for _ in range(3):
        ask(failover)
    clock.now += 60
    together, done, asked = threading.Barrier(20), threading.Event(), list[str]()

    def slow(at: Resource, *_: Any, **__: Any) -> Prediction:
        asked.append(at.host[:2])
        if at == PRIMARY:
            done.wait(5)  # until all the others have their answers
        return RIGHT

    regions.guess = slow  # type: ignore[method-assign] # a region that takes its time
    answers: list[str] = []

    def call() -> None:
        together.wait(5)
        answers.append(ask(failover).by)
        if len(answers) == 19:
            done.set()

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (answers.count("primary"), answers.count("secondary"), asked.count("we")) == (1, 19, 1)
    assert failover.breaker == Breaker()


def test_calls_that_fail_at_the_same_moment_are_all_counted() -> None:
    """No failure is lost between threads, and a late one of before takes no probe away."""
    regions = Regions({"we": refusal("Forbidden"), "ne": RIGHT})
    failover = between(regions, failures=1_000)
    threads = [threading.Thread(target=lambda: [ask(failover) for _ in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert failover.breaker.failed == 200
    probing, _ = Breaker(failures=1, open_for=5).broke(0).begin(5)
    assert probing.broke(6).begin(12)[1] == "secondary"
    assert probing.over(5).begin(12)[1] == "primary"
    assert probing.over(4) == probing


@pytest.mark.parametrize("says", [refusal("InvalidDocument"), RuntimeError("a bug")])
def test_a_probe_that_tells_nothing_leaves_it_to_the_next_call(says: Exception) -> None:
    """A text that is too long, or a bug, ends the probe: the primary is neither back nor kept out for a minute."""
    clock = Clock()
    regions = Regions({"we": DOWN, "ne": RIGHT})
    failover = between(regions, clock)
    for _ in range(3):
        ask(failover)
    clock.now += 60
    regions.says["we"] = says
    with pytest.raises(type(says)):
        ask(failover)
    assert failover.breaker.state(clock.now) == "half-open"
    regions.says["we"] = RIGHT
    assert ask(failover).by == "primary"


def test_a_probe_that_was_never_heard_of_again_is_given_up() -> None:
    """A thread that died while it probed does not keep the primary out for ever, nor let two probe at once."""
    opened = Breaker(failures=1).broke(0)
    probing, first = opened.begin(60)
    assert first == "primary"
    assert probing.begin(119.9)[1] == "secondary"
    assert probing.begin(120)[1] == "primary"
    hasty, _ = Breaker(failures=1, open_for=2).broke(0).begin(2)
    assert [hasty.begin(now)[1] for now in (4, 61.9, 62)] == ["secondary", "secondary", "primary"]


@given(st.lists(st.tuples(st.sampled_from(["worked", "broke"]), st.floats(0, 100)), max_size=40), st.integers(1, 5))
def test_a_breaker_opens_for_failures_in_a_row_and_for_nothing_else(moves: list[tuple[str, float]], most: int) -> None:
    """Whatever happens: closed after any answer, open after so many failures in a row, probed once at its time."""
    breaker, now, row = Breaker(failures=most), 0.0, 0
    for move, passed in moves:
        now += passed
        breaker, first = breaker.begin(now)
        row = 0 if move == "worked" else row + 1
        breaker = (breaker.worked() if move == "worked" else breaker.broke(now)).over(now)
        assert (breaker.state(now) == "closed") == (row < most)
        assert breaker.begin(now + breaker.open_for)[1] == "primary"
        assert first in ("primary", "secondary")


@given(st.lists(st.sampled_from([RIGHT, DOWN]), min_size=60, max_size=60))
def test_where_the_secondary_works_every_call_is_answered(outcomes: list[Prediction | ReactorError]) -> None:
    """However the primary comes and goes, nobody who asks sees it."""
    clock = Clock()
    regions = Regions({"we": list(outcomes), "ne": RIGHT})
    failover = between(regions, clock)
    for _ in range(25):
        clock.now += 7
        assert ask(failover).prediction == RIGHT
