"""A gate that measures an iteration of Custom Vision, over real https against the simulated service."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.actions import Status
from shared.errors import PermanentError, TemporaryError
from shared.handlers.gate import Gate, decide
from shared.rules.declared import Declared
from shared.stages import Done, End, Progress
from tests.integration.stages import Bench, clients_of, event_of

PROJECT, OURS, LIVE = (
    "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "8d8ac610-566d-4ef0-9c22-186b2a5ed793",
    "11111111-566d-4ef0-9c22-186b2a5ed793",
)
OTHER = "5e0c0de0-4f89-41d3-9a0c-0305e82c3301"
GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers"
WS = f"{GROUP}/Microsoft.MachineLearningServices/workspaces/fraud"
EVENTS = Path(__file__).parents[1] / "events"
TRAINED = (EVENTS / "vision_training_completed.json").read_text("utf-8")
OLD, NEW = "2026-01-01T08:00:00Z", "2026-02-01T08:00:00Z"
TAGS = {"lemon": {"precision": 0.96, "recall": 0.9}, "lime": {"precision": 0.7, "recall": 0.95}}
GOOD = {"precision": 0.93, "recall": 0.9, "averagePrecision": 0.95}
COMPARED_AT = f"{PROJECT}/production"


@pytest.fixture
def bench(simulators: Simulators, azurite: str) -> Bench:
    """Answer the end of a training of a declared project."""
    training = {"endpoint": simulators.vision.url, "key": KEY}
    declared = Declared.model_validate(
        {
            "workspaces": {"fraud": WS},
            "vision": {
                "fruit": {"project": PROJECT, "training": training},
                "other": {"project": OTHER, "training": training},
            },
        }
    )
    return Bench(clients_of(simulators, azurite), declared, event_of(TRAINED))


def seed(
    simulators: Simulators,
    ours: Mapping[str, Any] | None,
    live: Mapping[str, Any] | None = None,
    *,
    tags: Mapping[str, Mapping[str, float]] = TAGS,
) -> None:
    """Have an iteration that was trained now, and one that is published, each with what it measures."""
    per_tag = [{"name": name, **measured} for name, measured in tags.items()]
    iterations = []
    if live is not None:
        told = {"id": LIVE, "name": "Iteration 1", "trainedAt": OLD, "publishName": "production"}
        iterations.append({**told, "performance": GOOD, **live})
    if ours is not None:
        measured = {**GOOD, "perTagPerformance": per_tag}
        iterations.append({"id": OURS, "name": "Iteration 2", "trainedAt": NEW, "performance": measured, **ours})
    simulators.vision.seed(projects=[{"id": PROJECT, "tags": [*tags], "iterations": iterations}])


def ask(bench: Bench, **given: Any) -> Progress:
    """Decide once."""
    return decide(Gate.model_validate({"metric": "precision", **given}), bench.job())


def why(progress: Progress) -> str:
    """Give the reason of a gate that does not hold."""
    assert isinstance(progress, End)
    assert progress.status is Status.SKIPPED
    return progress.reason


# -- bars -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "bars", "holds"),
    [
        ("precision", {"at_least": 0.93}, True),
        ("precision", {"at_least": 0.94}, False),
        ("precision", {"at_most": 0.92}, False),
        ("recall", {"at_least": 0.9}, True),
        ("recall", {"at_least": 0.91}, False),
        ("average_precision", {"at_least": 0.95}, True),
        ("average_precision", {"at_least": 0.96}, False),
    ],
)
def test_an_iteration_is_held_to_its_bars(
    metric: str, bars: dict[str, float], bench: Bench, simulators: Simulators, *, holds: bool
) -> None:
    """Each metric of the event's iteration is found by its name; both bars are inclusive."""
    seed(simulators, {})
    came = ask(bench, metric=metric, reason="not good enough", **bars)
    value = {"precision": 0.93, "recall": 0.9, "average_precision": 0.95}[metric]
    found = f"{metric} of Iteration 2 is {value:g} (at a threshold of 0.5)"
    if holds:
        assert came == Done({"passed": True, "metric": value, "live": None}, note=found)
    else:
        assert why(came).startswith(f"not good enough: {found}, and ")


def test_threshold_and_overlap_reach_the_service(bench: Bench, simulators: Simulators) -> None:
    """What counts as a guess is the service's to know."""
    seed(simulators, {})
    came = ask(bench, at_least=0.9, threshold=0.75, overlap=0.4)
    assert isinstance(came, Done)
    assert came.note.endswith("(at a threshold of 0.75)")
    (asked,) = simulators.vision.seen("GET", "/performance")
    assert asked["url"].endswith("/performance?threshold=0.75&overlapThreshold=0.4")


@pytest.mark.parametrize(
    ("metric", "least", "said"),
    [
        ("precision", 0.7, ""),
        ("precision", 0.71, ', and 0.7 of its worst tag, "lime": less than 0.71'),
        ("recall", 0.95, ', and 0.9 of its worst tag, "lemon": less than 0.95'),
    ],
)
def test_the_worst_tag_has_a_bar_of_its_own(
    metric: str, least: float, said: str, bench: Bench, simulators: Simulators
) -> None:
    """The tag that has least of the metric is named with what it has."""
    seed(simulators, {})
    came = ask(bench, metric=metric, worst_tag_at_least=least)
    if said:
        assert why(came).endswith(said)
    else:
        assert isinstance(came, Done)
        assert came.note.endswith(', and 0.7 of its worst tag, "lime"')


def test_the_whole_is_looked_at_before_the_worst_tag(bench: Bench, simulators: Simulators) -> None:
    """A gate may ask for both, and says the first that does not hold."""
    seed(simulators, {})
    assert why(ask(bench, at_least=0.95, worst_tag_at_least=0.9)).endswith("and less than 0.95")
    assert why(ask(bench, at_least=0.9, worst_tag_at_least=0.9)).endswith("less than 0.9")


@pytest.mark.parametrize(
    ("ours", "given", "said"),
    [
        ({"performance": {**GOOD, "averagePrecision": None}}, {"at_least": 0.1}, "the service does not measure it"),
        (
            {
                "performance": {
                    **GOOD,
                    "perTagPerformance": [
                        {"name": "lemon", "averagePrecision": 0.2},
                        {"name": "lime", "averagePrecision": None},
                    ],
                }
            },
            {"worst_tag_at_least": 0.1},
            'but its tag "lime" has none: the service does not measure it',
        ),
    ],
)
def test_a_metric_that_is_missing_stops(
    ours: dict[str, Any], given: dict[str, float], said: str, bench: Bench, simulators: Simulators
) -> None:
    """What was not measured is not good enough, over all tags and for one."""
    seed(simulators, ours, tags={"lemon": {}, "lime": {}})
    assert why(ask(bench, metric="average_precision", **given)).endswith(said)


def test_an_iteration_without_tags_has_no_worst_one(bench: Bench, simulators: Simulators) -> None:
    """A bar for the worst tag is not kept by none."""
    seed(simulators, {}, tags={})
    assert why(ask(bench, worst_tag_at_least=0.1)).endswith("its worst tag has none: no tag was measured")


def test_an_iteration_without_a_performance_does_not_pass(bench: Bench, simulators: Simulators) -> None:
    """The service may have thrown away how well it did."""
    seed(simulators, {})
    body = '{"code": "NotFoundIterationPerformance", "message": "The iteration has no performance."}'
    simulators.vision.fault("error", path="/performance", status=404, body=body)
    reason = why(ask(bench, at_least=0.1))
    assert reason.startswith("Iteration 2 has no precision: it cannot be measured: ")
    assert "NotFoundIterationPerformance" in reason


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (None, f"iteration {OURS} is not there any more"),
        ({"status": "Failed"}, "Iteration 2 is Failed"),
    ],
)
def test_an_iteration_that_is_gone_or_failed_does_not_pass(
    ours: dict[str, Any] | None, said: str, bench: Bench, simulators: Simulators
) -> None:
    """What was trained may have been deleted since."""
    seed(simulators, ours)
    assert why(ask(bench, at_least=0.1)) == said


def test_an_iteration_that_is_trained_still_is_waited_for(bench: Bench, simulators: Simulators) -> None:
    """The notification may be there before the service shows it."""
    seed(simulators, {"status": "Training"})
    with pytest.raises(TemporaryError, match="Iteration 2 is Training"):
        ask(bench, at_least=0.1)


@pytest.mark.parametrize("body", ["[]", "no JSON", '{"precision": "good"}', '{"precision": 7, "recall": 1}'])
def test_a_performance_that_is_nonsense_decides_nothing(body: str, bench: Bench, simulators: Simulators) -> None:
    """It is asked again later; it never passes."""
    seed(simulators, {})
    simulators.vision.fault("error", n=9, path="/performance", status=200, body=body)
    with pytest.raises(TemporaryError):
        ask(bench, at_least=0.1)


def test_a_key_that_was_rotated_is_a_failure(bench: Bench, simulators: Simulators) -> None:
    """That we may not look says nothing about the iteration: the action is not skipped for that."""
    seed(simulators, {})
    told = bench.declared.model_dump()
    told["vision"]["fruit"]["training"]["key"] = "the-old-key-of-last-year"
    bench.declared = Declared.model_validate(told)
    with pytest.raises(PermanentError) as caught:
        ask(bench, at_least=0.1)
    assert "key" in caught.value.remedy
    assert "the-old-key" not in f"{caught.value} {caught.value.remedy}"


# -- which iteration --------------------------------------------------------------------------------------------------


def test_another_iteration_than_the_events_can_be_asked_for(bench: Bench, simulators: Simulators) -> None:
    """Such as one that a step before has trained; by the project's name, and in any spelling of the ids."""
    seed(simulators, None, {})
    assert isinstance(ask(bench, at_least=0.1, iteration=LIVE.replace("-", "").upper()), Done)
    bench.event = event_of((EVENTS / "model_registered.json").read_text("utf-8"))
    assert isinstance(ask(bench, at_least=0.1, project="fruit", iteration=LIVE), Done)


def test_an_iteration_is_that_of_its_own_project(bench: Bench, simulators: Simulators) -> None:
    """The event's iteration is not looked for in another project."""
    seed(simulators, {})
    with pytest.raises(PermanentError, match="no iteration of this project"):
        ask(bench, at_least=0.1, project="other")
    assert isinstance(ask(bench, at_least=0.1, project=PROJECT.upper()), Done)


@pytest.mark.parametrize(
    ("event", "given", "said"),
    [
        ("model_registered", {"iteration": LIVE}, "tells of no Custom Vision project"),
        ("vision_connection_test", {}, "tells of no iteration"),
        ("run_completed", {}, "tells of no model to look at"),
        ("model_registered", {"worst_tag_at_least": 0.5}, "worst_tag_at_least is about an iteration of Custom Vision"),
        ("vision_training_completed", {"project": "veg"}, "is not declared; declared: fruit, other"),
        ("vision_training_completed", {"iteration": "Iteration 2"}, "is no iteration's id"),
        (
            "vision_training_completed",
            {"metric": "auc"},
            'Custom Vision does not measure "auc": it measures precision, recall, average_precision',
        ),
    ],
)
def test_a_gate_without_anything_to_look_at_says_what_to_give(
    event: str, given: dict[str, Any], said: str, bench: Bench
) -> None:
    """Whatever the event tells, the failure names what is missing, and the remedy."""
    bench.event = event_of((EVENTS / f"{event}.json").read_text("utf-8"))
    params = Gate.model_construct(**{**Gate(metric="precision", at_least=0.5).model_dump(), **given})
    with pytest.raises(PermanentError, match=said) as caught:
        decide(params, bench.job())
    assert caught.value.remedy


def test_an_event_of_custom_vision_can_ask_about_a_model(bench: Bench, simulators: Simulators) -> None:
    """A gate that names a model looks at that, whatever it is that happened."""
    simulators.management.seed(workspaces=[{"id": WS}])
    simulators.management.seed(models=[{"id": f"{WS}/models/fruit/versions/2", "tags": {"auc": "0.93"}}])
    given = {"metric": "auc", "at_least": 0.9, "workspace": "fraud", "model": "fruit", "version": "2"}
    assert isinstance(ask(bench, **given), Done)


def test_a_filter_and_an_iteration_must_both_hold(bench: Bench, simulators: Simulators) -> None:
    """The filter is asked first, and asks no model."""
    seed(simulators, {})
    where = {"vision.status": {"StringIn": ["TrainingCompleted"]}}
    assert isinstance(ask(bench, where=where, at_least=0.9), Done)
    assert why(ask(bench, where={"vision.status": {"StringIn": ["x"]}}, at_least=0.9)).startswith("vision.status")
    assert why(ask(bench, where=where, at_least=0.95)).startswith("precision of Iteration 2")


def test_a_dry_run_measures_what_is_known(bench: Bench, simulators: Simulators) -> None:
    """The event's iteration is measured; one that a step would have trained goes on as if it held."""
    seed(simulators, {})
    job = replace(bench.job(), is_dry_run=True)
    bar = {"metric": "precision", "at_least": 0.99}
    assert isinstance(decide(Gate.model_validate(bar), job), End)
    trained = bar | {"project": "fruit", "iteration": "{{ steps['train.vision'].iteration }}"}
    assert isinstance(decide(Gate.model_validate(trained), job), Done)


# -- better than live -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "given", "holds"),
    [
        (0.90, {}, True),
        (0.93, {}, False),
        (0.95, {}, False),
        (0.92, {"by": 0.01}, True),
        (0.92, {"by": 0.02}, False),
    ],
)
def test_an_iteration_must_be_better_than_the_one_that_is_published(
    live: float, given: dict[str, Any], bench: Bench, simulators: Simulators, *, holds: bool
) -> None:
    """Equal is not better, and `by` says by how much; both are measured at the same threshold."""
    seed(simulators, {}, {"performance": {**GOOD, "precision": live}})
    came = ask(bench, better_than="live", publish_name="production", threshold=0.6, **given)
    assert isinstance(came, Done) is holds
    if isinstance(came, Done):
        compared = {"compared_with": LIVE, "compared_at": COMPARED_AT}
        assert came.result == {"passed": True, "metric": 0.93, "live": live, **compared}
    else:
        assert f"and {live:g} of Iteration 1, which is live as production: not " in why(came)
    asked = [one["url"].partition("?")[2] for one in simulators.vision.seen("GET", "/performance")]
    assert asked == ["threshold=0.6&overlapThreshold=0.3"] * 2


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"lemon": 0.7, "lime": 0.9}, ', and 0.7 of the worst tag there, "lemon"'),
        ({"lemon": 0.6, "lime": 0.9}, ', and 0.6 of the worst tag there, "lemon"'),
        ({"lemon": 0.9, "lime": 0.71}, ', and 0.71 of the worst tag there, "lime": more than 0.7'),
        ({"lemon": 0.9, "lime": None}, ', but the tag "lime" there has none to compare with: the service does not'),
    ],
)
def test_the_worst_tag_must_be_as_good_as_that_of_what_is_published(
    tags: dict[str, float | None], said: str, bench: Bench, simulators: Simulators
) -> None:
    """Better over all tags is not enough where one is recognised worse; equal is as good; each side is read once."""
    per_tag = [{"name": name, "precision": 0.9, "recall": 0.9, "averagePrecision": one} for name, one in tags.items()]
    seed(
        simulators,
        {},
        {"performance": {**GOOD, "averagePrecision": 0.8, "perTagPerformance": per_tag}},
        tags={name: {"averagePrecision": least} for name, least in (("lemon", 0.9), ("lime", 0.7))},
    )
    given = {"metric": "average_precision", "publish_name": "production"}
    came = ask(bench, better_than="live", worst_tag_as_good_as="live", **given)
    told = why(came) if isinstance(came, End) else came.note if isinstance(came, Done) else ""
    assert said in told
    assert isinstance(came, Done) is said.endswith('"lemon"')
    assert len(simulators.vision.seen("GET", "/performance")) == 2
    assert isinstance(ask(bench, better_than="live", **given), Done)


def test_the_worst_tag_of_an_iteration_is_compared_with_that_of_another_one_only(
    bench: Bench, simulators: Simulators
) -> None:
    """Where nothing is published, and where the iteration itself is, it passes."""
    given = {"better_than": "live", "worst_tag_as_good_as": "live", "publish_name": "production"}
    seed(simulators, {})
    came = ask(bench, **given)
    assert isinstance(came, Done)
    assert came.note.endswith(', and 0.7 of its worst tag, "lime", and nothing is live as production yet')
    seed(simulators, {"publishName": "production"})
    assert isinstance(ask(bench, **given), Done)


def test_where_nothing_is_published_any_iteration_is_better(bench: Bench, simulators: Simulators) -> None:
    """That another name is taken changes nothing."""
    seed(simulators, {}, {"publishName": "staging"})
    came = ask(bench, better_than="live", publish_name="production", at_least=0.9)
    assert isinstance(came, Done)
    assert came.note.endswith("and nothing is live as production yet")
    told = {"compared_with": "", "compared_at": COMPARED_AT}
    assert came.result == {"passed": True, "metric": 0.93, "live": None, **told}


def test_an_iteration_that_is_published_already_passes(bench: Bench, simulators: Simulators) -> None:
    """It need not be better than itself: a replay goes on."""
    seed(simulators, {"publishName": "production"})
    came = ask(bench, better_than="live", publish_name="production")
    assert isinstance(came, Done)
    assert came.note.endswith("and it is live as production already")


@pytest.mark.guarantee(4)
def test_an_older_iteration_is_never_better(bench: Bench, simulators: Simulators) -> None:
    """However good it is: the newer one was chosen after it."""
    seed(simulators, {"trainedAt": "2025-01-01T08:00:00Z"}, {"performance": {**GOOD, "precision": 0.1}})
    reason = why(ask(bench, better_than="live", publish_name="production"))
    assert reason.endswith("but Iteration 1, which is live as production, was trained later")


def test_what_is_published_without_a_metric_stops(bench: Bench, simulators: Simulators) -> None:
    """Nobody knows whether ours is better."""
    seed(simulators, {}, {"performance": {**GOOD, "averagePrecision": None}})
    reason = why(ask(bench, metric="average_precision", better_than="live", publish_name="production"))
    assert "Iteration 1, has no average_precision to compare with: the service does not measure it" in reason


def test_a_gate_needs_a_name_to_compare_with(bench: Bench, simulators: Simulators) -> None:
    """An endpoint is none: where the loader could not fill it in, the failure says what to give."""
    seed(simulators, {})
    with pytest.raises(PermanentError, match="under which name") as caught:
        ask(bench, better_than="live", endpoint="scoring")
    assert "publish_name" in caught.value.remedy
