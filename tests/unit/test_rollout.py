"""How traffic moves, and what a rule may say of it: pure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.handlers.machine_learning.online.params import OnlineEndpoint
from shared.handlers.machine_learning.rollout import emptied, plain, plan, shifted

NAMES = st.sampled_from(["blue", "red", "old-v1", "old-v2", "a-b-c"])


@st.composite
def traffic(draw: st.DrawFn) -> dict[str, int]:
    """Make a map whose shares are 100 together."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(names) - 1, max_size=len(names) - 1)))
    edges = [0, *cuts, 100]
    return {name: edges[at + 1] - edges[at] for at, name in enumerate(names)}


@given(traffic(), st.integers(1, 100))
def test_what_is_shifted_adds_up(before: dict[str, int], percent: int) -> None:
    """The new one gets what it is to get, all of them 100 together, and nobody gets more than before."""
    after = shifted(before, "green", percent)
    assert after["green"] == percent
    assert sum(after.values()) == 100
    assert all(after.get(name, 0) <= share for name, share in before.items())


@given(traffic(), st.integers(1, 100))
def test_the_others_keep_their_proportions(before: dict[str, int], percent: int) -> None:
    """Each of the others has within one percent of its share of what is left."""
    after = shifted(before, "green", percent)
    for name, share in before.items():
        assert abs(after.get(name, 0) - share * (100 - percent) / 100) < 1


@given(traffic(), st.lists(st.integers(1, 100), min_size=1, unique=True))
def test_a_plan_only_rises(before: dict[str, int], percents: list[int]) -> None:
    """Each step gives the new one more than the one before, and the last what was asked for."""
    steps = plan(before, "green", sorted(percents))
    shares = [step["green"] for step in steps]
    assert shares == sorted(set(shares))
    assert shares[-1] == max(percents)


def test_the_first_deployment_gets_everything() -> None:
    """Where nobody else has traffic there is nobody to share it with."""
    assert plan({}, "green", [10, 50]) == [{"green": 100}]
    assert plan({"blue": 0}, "green", [10, 50]) == [{"green": 100}]


def test_what_it_has_already_is_not_taken_from_it() -> None:
    """Steps below the share that it has are left out; one that has enough needs none."""
    assert plan({"green": 50, "blue": 50}, "green", [10, 50, 100]) == [{"green": 100}]
    assert plan({"green": 100}, "green", [10, 50, 100]) == []
    assert plan({"green": 30, "blue": 70}, "green", [20]) == []


def test_names_are_compared_in_lower_case() -> None:
    """The service answers them in either casing."""
    assert plain({"Blue": 60, "RED": 40, "gone": 0}) == {"blue": 60, "red": 40}
    assert emptied({"Blue": 60, "red": 40}, {"blue": 100}) == ["red"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"traffic": [50, 10]}, "must rise"),
        ({"traffic": [50, 50]}, "must rise"),
        ({"traffic": [10, 101]}, "less than or equal to 100"),
        ({"traffic": [0, 100]}, "greater than or equal to 1"),
        ({"traffic": []}, "at least 1 item"),
        ({"wait": "soon"}, "must be a duration"),
        ({"wait": 600}, "must be a duration"),
        ({"request_timeout": "4m"}, "at most 180s"),
        ({"keep_old": "never"}, "must be a duration"),
        ({"check": {"max_latency": "fast"}}, "must be a latency"),
        ({"check": {"max_failures": 5}}, "less than or equal to 1"),
        ({"check": {"bar": 5}}, "Extra inputs"),
        ({"approval": {"by": []}}, "at least 1 item"),
        ({"approval": {"by": ["a@example.com"], "before": 20}}, "no step of traffic"),
        ({"endpoint": "a_b"}, "should match pattern"),
        ({"model_id": "https://example.com/models/x/versions/1"}, "should match pattern"),
    ],
)
def test_what_cannot_be_meant_is_refused(params: dict[str, Any], words: str) -> None:
    """A rule that says it is refused, with words that say what is wrong."""
    with pytest.raises(ValidationError, match=words):
        OnlineEndpoint.model_validate({"endpoint": "fraud"} | params)


@pytest.mark.parametrize("kept", ["0h", "0s", "90m", "7d", "forever", "${KEPT}", "{{ data.kept }}"])
def test_how_long_the_old_is_kept(kept: str) -> None:
    """Nothing, a time, forever, or what is known only later."""
    assert OnlineEndpoint(endpoint="fraud", keep_old=kept).keep_old == kept


def test_who_is_asked_before_the_last_step() -> None:
    """Where the rule does not say before which step, it is the last."""
    asked = {"by": ["a@example.com"]}
    assert (
        OnlineEndpoint.model_validate({"endpoint": "fraud", "traffic": [10, 50], "approval": asked}).asks_before == 50
    )
    assert OnlineEndpoint(endpoint="fraud").asks_before == 0
