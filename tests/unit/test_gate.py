"""What a gate may ask, and what it is told by the steps that follow it."""

from typing import Any

import pytest

from shared.handlers import ACTIONS
from shared.handlers.bars import Measured, hold
from shared.handlers.gate import Gate
from shared.rules import Rules, RulesError, load

PROJECT = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
HEAD = f"""
version: 1
workspaces: {{fraud: /subscriptions/a/resourceGroups/b/providers/Microsoft.MachineLearningServices/workspaces/fraud}}
vision:
  fruit:
    project: {PROJECT}
    training: {{endpoint: "https://fruit.cognitiveservices.azure.com", key: "${{KEY}}"}}
    prediction: /subscriptions/a/resourceGroups/b/providers/Microsoft.CognitiveServices/accounts/fruit-Prediction
rules:
  - name: publish
    on: TrainingCompleted
    do:
"""
COMPARES = "gate: {metric: precision, better_than: live}"


def read(*steps: str) -> Rules:
    """Read a rules file whose rule has these steps."""
    return load(HEAD + "".join(f"      - {step}\n" for step in steps), ACTIONS, "rules.yaml")


def test_a_gate_knows_the_name_of_the_publishing_after_it() -> None:
    """What it compares with is what the next publishing replaces, so the name need not be said twice."""
    rules = read(COMPARES, 'publish.vision: {name: "{{ vision.status }}"}')
    assert rules.rules[0].do[0].params["publish_name"] == "{{ vision.status }}"
    assert "endpoint" not in rules.rules[0].do[0].params
    assert not any("publish_name" in str(warning) for warning in rules.warnings)


def test_a_gate_that_says_its_name_is_believed() -> None:
    """What a rule says itself is not replaced, and a difference is pointed out."""
    said = "gate: {metric: precision, better_than: live, publish_name: staging}"
    rules = read(said, "publish.vision: {name: production}")
    assert rules.rules[0].do[0].params["publish_name"] == "staging"
    assert any("publish_name of gate" in str(warning) for warning in rules.warnings)
    assert read(said, "approval: {by: [a@b.c]}").rules


def test_a_gate_that_compares_needs_one_of_both() -> None:
    """Where neither a deployment nor a publishing follows, the error says both ways."""
    with pytest.raises(RulesError) as caught:
        read(COMPARES, "approval: {by: [a@b.c]}")
    assert "needs endpoint: say it, or let deploy.online_endpoint or deploy.batch_endpoint follow; or publish_name" in (
        str(caught.value)
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metric": "auc", "at_least": 1, "project": "fruit"}, "must have precision, recall or average_precision"),
        ({"metric": "auc", "worst_tag_at_least": 0.5}, "must have precision, recall or average_precision"),
        ({"metric": "recall", "at_least": 1, "project": "fruit", "model": "m"}, "must be about a model .model. or"),
        ({"metric": "recall", "threshold": 0.9, "at_least": 1, "model_id": "/m"}, "or about an iteration .threshold."),
        ({"metric": "recall", "at_least": 1, "threshold": 1.1}, "less than or equal to 1"),
        ({"metric": "recall", "at_least": 1, "overlap": -0.1}, "greater than or equal to 0"),
        ({"metric": "recall", "worst_tag_at_least": float("nan")}, "finite"),
        ({"worst_tag_at_least": 0.5}, "must name the metric"),
        (
            {"metric": "recall", "at_least": 0.5, "worst_tag_as_good_as": "live"},
            "better_than: live where it has worst_tag",
        ),
        ({"metric": "auc", "better_than": "live", "worst_tag_as_good_as": "live"}, "must have precision, recall or"),
        ({"metric": "recall", "threshold": 0.9}, "must compare the metric with something"),
    ],
)
def test_a_gate_asks_about_one_thing(given: dict[str, Any], said: str) -> None:
    """What belongs to a model and what belongs to an iteration are not mixed up."""
    with pytest.raises(ValueError, match=said):
        Gate.model_validate(given)


@pytest.mark.parametrize(
    "given",
    [
        {"metric": "recall", "worst_tag_at_least": 0.0},
        {"metric": "{{ steps.a.metric }}", "at_least": 1, "project": "fruit"},
        {"metric": "auc", "at_least": 1, "threshold": 0.5, "overlap": 0.3, "model": "m"},
        {"metric": "auc", "better_than": "live", "model": "m", "endpoint": "e", "publish_name": "filled in"},
    ],
)
def test_what_a_gate_may_ask(given: dict[str, Any]) -> None:
    """What says nothing else than where it is left out is no contradiction, nor is what the loader filled in."""
    assert Gate.model_validate(given)


@pytest.mark.parametrize(("value", "holds"), [(0.8, True), (0.79, False), (0.9, True), (0.91, False), (None, False)])
def test_a_number_is_held_to_both_bars(value: float | None, *, holds: bool) -> None:
    """Both are inclusive, and what is missing keeps none."""
    gate = Gate(metric="recall", at_least=0.8, at_most=0.9)
    assert hasattr(hold(gate, "it", Measured(value, "there")), "words") is holds
