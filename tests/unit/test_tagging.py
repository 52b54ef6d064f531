"""What is announced of tags, and which models are looked at for it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from shared import parse, tagging
from shared.clients.machine_learning.models import Model
from shared.events import Event, canonical
from shared.rules import load
from shared.rules.wanted import wanted
from shared.tagging import Look, Sighting
from tests.unit.rules_samples import SPENDING

WS = "/subscriptions/s/resourceGroups/r/providers/Microsoft.MachineLearningServices/workspaces"
FRAUD, CREDIT = f"{WS}/Fraud", f"{WS}/credit"
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LONG_AGO, LATELY = NOW - timedelta(days=30), NOW - timedelta(minutes=3)
MINUTE = timedelta(minutes=1)

Tags = Mapping[str, str | None]


def version(number: str, tags: Tags, *, created: datetime = LONG_AGO, modified: datetime | None = LONG_AGO) -> Model:
    """Make a version as the service lists it."""
    return Model(
        id=f"{FRAUD}/models/gbm/versions/{number}",
        name="gbm",
        version=number,
        type="mlflow_model",
        uri="",
        tags=tags,
        properties={"auc": "0.94"},
        flavors={},
        job="",
        archived=False,
        created_at=created,
        modified_at=modified,
        created_by="",
    )


def look(*listed: Model, before: Sighting | None, began: datetime = NOW) -> Look:
    """Look at a model now."""
    return tagging.look(FRAUD, "gbm", listed, before, began=began, now=NOW)


def seen(**tags: Tags) -> Sighting:
    """Make what was seen five minutes ago: of versions named v1, v2 and so on."""
    by_version = {name.removeprefix("v"): dict(each) for name, each in tags.items()}
    return Sighting(since=NOW - 5 * MINUTE, tags=by_version)


def test_the_first_look_remembers_and_announces_nothing() -> None:
    """What was tagged before anybody looked is nobody's news, however lately."""
    found = look(version("1", {"stage": "a"}, created=LATELY, modified=LATELY + MINUTE), before=None)
    assert found.events == ()
    assert found.after == Sighting(since=NOW, tags={"1": {"stage": "a"}})


def test_a_tag_that_was_set_is_announced_in_the_shape_of_a_registration() -> None:
    """The event names workspace, model and version as ModelRegistered does, and says what became of the tags."""
    (event,) = look(version("1", {"stage": "b", "new": "x"}, modified=LATELY), before=seen(v1={"stage": "a"})).events
    assert event.kinds == {"ModelTagged"}
    assert (event.source, event.subject, event.time) == (FRAUD, "models/gbm:1", LATELY)
    assert event.data == {
        "modelName": "gbm",
        "modelVersion": "1",
        "modelTags": {"stage": "b", "new": "x"},
        "modelProperties": {"auc": "0.94"},
    }
    assert event.facts["model"]["id"] == f"{FRAUD}/models/gbm/versions/1"
    assert event.facts["tagging"] == {"set": {"stage": "b", "new": "x"}, "removed": {}, "before": {"stage": "a"}}
    assert parse.own(canonical(event.payload)) == event


def test_a_tag_that_was_taken_away_is_announced_while_there_are_others() -> None:
    """Without any tag there is nothing that a rule could ask for."""
    (event,) = look(version("1", {"a": "1"}), before=seen(v1={"a": "1", "b": "2"})).events
    assert event.facts["tagging"] == {"set": {}, "removed": {"b": "2"}, "before": {"a": "1", "b": "2"}}
    found = look(version("1", {}), before=seen(v1={"a": "1"}))
    assert found.events == ()
    assert found.after == Sighting(since=NOW, tags={"1": {}})


def test_what_did_not_change_is_not_written_again_but_once_a_month() -> None:
    """A look that finds nothing new costs no write, until what is remembered would be forgotten."""
    assert look(version("1", {"a": "1"}), before=seen(v1={"a": "1"})) == Look()
    old = Sighting(since=NOW - timedelta(days=31), tags={"1": {"a": "1"}})
    assert look(version("1", {"a": "1"}), before=old) == Look((), Sighting(since=NOW, tags=old.tags))


@pytest.mark.parametrize(
    ("created", "modified", "is_told"),
    [
        (LATELY, LATELY + MINUTE, True),  # tagged between its registration and the first look at it
        (LATELY, LATELY + timedelta(seconds=1), False),  # ModelRegistered has told
        (LATELY, None, False),
        (LONG_AGO, LATELY, False),  # an old one that is among the newest again, or no longer archived
    ],
)
def test_a_version_that_was_never_seen_is_announced_where_it_is_new(
    created: datetime, modified: datetime | None, *, is_told: bool
) -> None:
    """It must have been made since the last look, and changed after that."""
    one = version("2", {"stage": "a"}, created=created, modified=modified)
    for found in (look(one, before=seen(v1={})), look(one, before=None, began=NOW - 5 * MINUTE)):
        assert bool(found.events) == is_told
        assert found.after == Sighting(since=NOW, tags={"2": {"stage": "a"}})


def only(tags: Tags, modified: datetime | None, before: Sighting) -> Event:
    """Give the one event that a look announces."""
    (event,) = look(version("1", tags, modified=modified), before=before).events
    return event


@pytest.mark.guarantee(3)
def test_the_same_tagging_is_the_same_event() -> None:
    """Found twice, because the process died before it remembered, or by two schedules, it has one key."""
    before = seen(v1={"stage": "a"})
    once, again = (only({"stage": "b", "x": "1"}, LATELY, before) for _ in range(2))
    assert once.key == again.key
    assert only({"stage": "b", "x": "2"}, LATELY, before).key != once.key


def test_a_tag_that_is_set_removed_and_set_again_is_three_events() -> None:
    """Each has its own time, or its own look where the service tells no time."""
    with_it, without = {"a": "1", "stage": "b"}, {"a": "1"}
    times = [LATELY, LATELY + MINUTE, LATELY + 2 * MINUTE]
    each = [
        only(tags, at, seen(v1=before))
        for tags, before, at in zip([with_it, without, with_it], [without, with_it, without], times, strict=True)
    ]
    assert len({event.key for event in each}) == 3
    first = only(with_it, None, Sighting(since=NOW - MINUTE, tags={"1": without}))
    assert only(with_it, None, Sighting(since=NOW - 2 * MINUTE, tags={"1": without})).key != first.key


# -- which models -----------------------------------------------------------------------------------------------------

HEAD = f"version: 1\nworkspaces: {{fraud: {FRAUD}, credit: {CREDIT}, later: '${{LATER}}'}}\nrules:\n"
MODELS = ("fraud-gbm", "fraud-net", "credit")


def asked(*rules: str, settings: Mapping[str, str] | None = None) -> dict[str, tuple[list[str], list[str]]]:
    """Say by workspace which models are asked for by name, and which of MODELS where all are listed."""
    text = HEAD + "".join(f"  - {{name: r{at}, do: [nothing], {rule}}}\n" for at, rule in enumerate(rules))
    found = wanted(load(text, SPENDING, "rules.yaml").bind(settings or {}))
    return {
        each.workspace.rpartition("/")[2]: (sorted(each.names), [name for name in MODELS if each.wants(name)])
        for each in found
    }


EVERY = list(MODELS)


@pytest.mark.parametrize(
    ("rule", "names", "listed"),
    [
        ("on: ModelTagged", [], EVERY),
        ("on: [RunFailed, ModelTagged], where: {model.tags.stage: {StringIn: [x]}}", [], EVERY),
        ("on: ModelTagged, where: {model.name: {StringIn: [fraud-gbm, b]}}", ["b", "fraud-gbm"], []),
        ("on: ModelTagged, where: {data.modelName: {StringIn: [a]}}", ["a"], []),
        (
            "on: ModelTagged, where: {model.name: {StringIn: [fraud-gbm, b], StringBeginsWith: [fraud-]}}",
            ["fraud-gbm"],
            [],
        ),
        ("on: ModelTagged, where: {model.name: {StringBeginsWith: [FRAUD-]}}", [], EVERY[:2]),
        ("on: ModelTagged, where: {not: {model.name: {StringEndsWith: [net]}}}", [], ["fraud-gbm", "credit"]),
        (
            "on: ModelTagged, where: {any: [{model.name: {StringIn: [credit]}}, {model.name: {StringContains: [g]}}]}",
            [],
            ["fraud-gbm", "credit"],
        ),
        ("on: ModelTagged, where: {any: [{model.name: {StringIn: [a]}}, {model.tags.x: {StringIn: [b]}}]}", [], EVERY),
        ('on: ModelTagged, where: {model.name: {StringIn: ["${MODEL}"]}}', [], ["credit"]),
        ("on: ModelTagged, where: {subjectBeginsWith: 'models/fraud-'}", [], EVERY[:2]),
        ("on: ModelTagged, where: {subject: {StringBeginsWith: ['models/credit:1']}}", [], ["credit"]),
        (
            "on: ModelRegistered, expect: {kind: ModelTagged, within: 1h}, where: {model.name: {StringIn: [a]}}",
            [],
            EVERY,
        ),
        ("on: ModelRegistered, cancel_on: ModelTagged", [], EVERY),
    ],
)
def test_the_models_that_a_rule_wants_are_found_in_its_conditions(
    rule: str, names: list[str], listed: list[str]
) -> None:
    """Conditions on the name alone narrow what is looked at; exact names need no list."""
    assert asked(rule, settings={"MODEL": "credit"}) == {"Fraud": (names, listed), "credit": (names, listed)}


@pytest.mark.parametrize("rule", ["on: ModelRegistered", "on: ModelTagged, mode: off", "on: RunFailed"])
def test_a_rule_that_does_not_listen_wants_nothing(rule: str) -> None:
    """Where no rule hears of tags, nothing is looked at."""
    assert asked(rule) == {}


def test_only_the_workspaces_that_rules_name_are_looked_at() -> None:
    """`from` says which; one whose setting is not set is left out, and what several rules want is put together."""
    exact = "where: {model.name: {StringIn: [a]}}"
    rules = (
        f"on: ModelTagged, from: fraud, {exact}",
        f"on: ModelTagged, from: [fraud, later], {exact.replace('a]', 'b]')}",
    )
    assert asked(*rules) == {"Fraud": (["a", "b"], [])}
    assert asked(*rules, settings={"LATER": CREDIT}) == {"Fraud": (["a", "b"], []), "credit": (["b"], [])}


@pytest.mark.parametrize(
    ("rule", "is_doubted"),
    [
        ("on: ModelTagged, from: fraud", True),
        ("on: ModelTagged, where: {model.tags.stage: {StringIn: [x]}}", True),
        ("on: ModelRegistered, cancel_on: ModelTagged", True),
        ("on: ModelTagged, where: {model.name: {StringIn: [a]}}", False),
        ("on: ModelTagged, where: {model.name: {StringBeginsWith: [a]}}", False),
        ("on: ModelRegistered", False),
    ],
)
def test_a_rule_that_wants_every_model_is_told_what_that_costs(rule: str, *, is_doubted: bool) -> None:
    """One request a model at each run of the schedule."""
    warnings = load(f"{HEAD}  - {{name: r, do: [nothing], {rule}}}\n", SPENDING, "rules.yaml").warnings
    assert any("one request for each model" in warning.message for warning in warnings) == is_doubted
