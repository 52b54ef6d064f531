"""The right rules answer, in the file's order, and the others say why they do not."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import Event
from shared.rules import Rules
from tests.unit.rules_samples import HEAD, PROJECT, WORKSPACE, action_failed, event, model_registered, rule, rules


def names(loaded: Rules, happened: Event) -> list[str]:
    """List the rules that match, and check that the explanation says the same of every rule."""
    matched = [found.name for found in loaded.match(happened)]
    assert [verdict.rule.name for verdict in loaded.explain(happened).rules if verdict.because is None] == matched
    return matched


def because(loaded: Rules, happened: Event) -> Mapping[str, Any]:
    """Say what is against the only rule."""
    (verdict,) = loaded.explain(happened).rules
    assert loaded.match(happened) == ()
    assert verdict.because is not None
    return verdict.because.json()


def test_rules_match_in_the_order_of_the_file() -> None:
    """Rules with and without an equality, by different fields, come in the order they were written in."""
    loaded = rules(
        rule("always"),
        rule("by-tag", more="where: {data.modelTags.stage: {StringIn: [Production]}}"),
        rule("other-tag", more="where: {data.modelTags.stage: {StringIn: [test]}}"),
        rule("by-name", more="where: {model.name: {StringIn: [x, FRAUD]}}"),
        rule("other-kind", on="RunFailed"),
        rule("by-subject", more="where: {subject: {StringIn: ['models/fraud:12']}}"),
        rule("two", more="where: {data.modelName: {StringBeginsWith: [fr], StringEndsWith: [ud]}}"),
        rule("one-of-two", more="where: {data.modelName: {StringBeginsWith: [fr], StringEndsWith: [x]}}"),
    )
    expected = ["always", "by-tag", "by-name", "by-subject", "two"]
    assert names(loaded, model_registered(stage="production")) == expected


def test_paths_ignore_the_case_of_platform_names_and_keep_that_of_tags() -> None:
    """`Data.ModelTags` is found; a tag's key is the user's own and is found only as it is spelt."""
    loaded = rules(
        rule("a", more="where: {Data.ModelTags.Stage: {StringIn: [x]}}"),
        rule("b", more="where: {\"data.MODELTAGS['team.owner']\": {StringIn: [risk]}}"),
        rule("c", more="where: {data.modelTags.stage: {StringIn: [x]}}"),
        rule("d", more="where: {eventType: {StringEndsWith: [modelregistered]}, topic: {IsNotNull: true}}"),
    )
    assert names(loaded, model_registered(Stage="x", **{"team.owner": "risk"})) == ["a", "b", "d"]


def test_an_array_matches_by_its_elements() -> None:
    """An equality finds its rule by any element of an array."""
    loaded = rules(rule("a", on="DriftDetected", more="where: {drift.features: {StringIn: [AGE]}}"))
    assert names(loaded, event("DriftDetected", drift={"features": ["income", "age", "age"]})) == ["a"]


def test_only_declared_sources_are_heard() -> None:
    """ARM ids ignore case; an event from elsewhere matches nothing and is not declared."""
    loaded = rules(rule("a"))
    here, elsewhere = model_registered(), event("ModelRegistered", source=f"{WORKSPACE}-2")
    assert loaded.declares(replace(here, source=WORKSPACE.upper()))
    assert names(loaded, replace(here, source=WORKSPACE.lower())) == ["a"]
    assert not loaded.declares(elsewhere)
    assert because(loaded, elsewhere)["path"] == "source"


@pytest.mark.parametrize("project", [PROJECT, PROJECT.upper(), PROJECT.replace("-", "")])
def test_a_vision_project_is_known_however_its_id_is_written(project: str) -> None:
    """Custom Vision is not known to keep to one spelling of a GUID."""
    loaded = rules(rule("a", on="ExportCompleted", more="from: fruit"))
    assert names(loaded, event("ExportCompleted", source=f"customvision/{project}")) == ["a"]


def test_from_narrows_to_named_sources() -> None:
    """A rule with `from` hears only those, a rule without hears all."""
    head = HEAD.replace("workspaces:\n", f"workspaces:\n  other: {WORKSPACE}-2\n")
    loaded = rules(rule("fraud", more="from: [fraud]"), rule("other", more="from: [other]"), rule("all"), head=head)
    assert names(loaded, model_registered()) == ["fraud", "all"]
    assert names(loaded, event("ModelRegistered", source=f"{WORKSPACE}-2")) == ["other", "all"]


def test_own_events_are_always_declared_and_never_answered_by_their_own_rule() -> None:
    """A rule that hears failures does not hear its own, which would never end."""
    loaded = rules(rule("tell", on="ActionFailed"), rule("also", on="ActionFailed"))
    assert loaded.declares(action_failed("x"))
    assert names(loaded, action_failed("x")) == ["tell", "also"]
    assert names(loaded, action_failed("tell")) == ["also"]
    assert loaded.explain(action_failed("tell")).rules[0].json(action_failed("tell"))["because"] == [
        {"path": "action.rule", "operator": "StringNotIn", "wanted": ["tell"], "found": "tell"}
    ]


def test_nobody_can_pass_for_the_reactor() -> None:
    """An event from the wire whose source says "reactor" is not one of our own."""
    assert not rules(rule("a")).declares(event("ModelRegistered", source="reactor"))


def test_a_rule_that_is_off_says_so() -> None:
    """Mode off never matches; the file's mode holds for rules without one of their own."""
    head = HEAD.replace("version: 1", "version: 1\nmode: off")
    loaded = rules(rule("off"), rule("dry", more="mode: dry_run"), head=head)
    assert names(loaded, model_registered()) == ["dry"]
    assert [found.mode for found in loaded.rules] == ["off", "dry_run"]
    found = loaded.explain(model_registered()).rules[0].because
    assert found is not None
    assert (found.path, found.found) == ("mode", "off")


def test_an_explanation_names_the_first_condition_that_did_not_hold() -> None:
    """It has the path as the rule writes it, the operator, what was wanted and what was found."""
    loaded = rules(
        rule("a", more="where: {data.ModelName: {StringIn: [fraud]}, data.modelTags.stage: {StringIn: [production]}}")
    )
    assert because(loaded, model_registered(stage="test")) == {
        "path": "data.modelTags.stage",
        "operator": "StringIn",
        "wanted": ["production"],
        "found": "test",
    }
    assert because(loaded, model_registered())["found"] is None
    assert because(loaded, event("RunFailed"))["path"] == "kinds"


def test_settings_are_filled_in_by_bind_and_by_nothing_else() -> None:
    """Sources and filters get their settings, and secrets stay unresolved."""
    head = HEAD.replace(WORKSPACE, '"${WORKSPACE}"')
    loaded = rules(rule("a", more="where: {model.name: {StringIn: ['${MODEL}']}}"), head=head)
    assert not loaded.declares(model_registered())
    bound = loaded.bind({"WORKSPACE": WORKSPACE, "MODEL": "fraud", "TEAMS_URL": "https://secret"})
    assert names(bound, model_registered()) == ["a"]
    assert names(bound, model_registered("other")) == []
    assert bound.declared.channels["oncall"].model_dump()["url"] == "${TEAMS_URL}"
    assert bound.hash == loaded.hash
    assert bound.warnings == ()


def test_a_setting_that_is_not_set_is_a_warning_and_never_matches() -> None:
    """The source is not listened to and the filter does not hold; both are said."""
    head = HEAD.replace(WORKSPACE, '"${WORKSPACE}"')
    loaded = rules(rule("a", more="where: {model.name: {StringNotIn: ['${MODEL}']}}"), head=head)
    unbound = loaded.bind({})
    assert not unbound.declares(model_registered())
    assert [warning.level for warning in unbound.warnings] == ["warning", "warning"]
    assert "WORKSPACE" in unbound.warnings[0].message
    half = loaded.bind({"WORKSPACE": WORKSPACE})
    assert half.declares(model_registered())
    assert names(half, model_registered()) == []


def test_an_explanation_is_plain_data() -> None:
    """The event and, for each rule, its rendered steps or what is against it; URLs lose their queries."""
    loaded = rules(
        "{name: a, on: ModelRegistered, do: [{say: {id: hi, channel: oncall, title: 'see {{ data.link }}?x=1'}},"
        " {say: {channel: oncall, title: '{{ steps.hi.link }}', times: '{{ data.n }}'}},"
        " {say: {channel: oncall, title: '{{ data.gone }}'}}]}",
        rule("b", on="RunFailed"),
    )
    happened = event("ModelRegistered", data={"link": "https://x.example/a?sig=secret", "n": 3})
    explained = json.loads(json.dumps(loaded.explain(happened).json()))
    assert explained["event"]["data"] == {"link": "https://x.example/a", "n": 3}
    matched, other = explained["rules"]
    assert [step.get("error") for step in matched["steps"]] == [None, None, "title: the event has no data.gone"]
    assert matched["steps"][0]["params"] == {"channel": "oncall", "title": "see https://x.example/a?x=1"}
    assert matched["steps"][1]["params"] == {"channel": "oncall", "title": "{{ steps.hi.link }}", "times": 3}
    assert other == {
        "name": "b",
        "matched": False,
        "because": [{"path": "kinds", "operator": "StringIn", "wanted": ["RunFailed"], "found": ["ModelRegistered"]}],
    }


words = st.sampled_from(["", "a", "B", "c", "bA", "AbA"])
conditions = st.dictionaries(
    st.sampled_from(["data.modelName", "data.modelTags.k", "data.modelTags['x.y']", "subject", "model.name"]),
    st.tuples(
        st.sampled_from(["StringIn", "StringNotIn", "StringBeginsWith", "StringEndsWith"]),
        st.lists(words, min_size=1, max_size=3),
    ),
    max_size=3,
)


@given(st.lists(conditions, max_size=8), words, st.dictionaries(st.sampled_from(["k", "x.y"]), words))
def test_the_index_finds_exactly_what_testing_every_rule_finds(
    wheres: list[dict[str, tuple[str, list[str]]]], name: str, tags: dict[str, str]
) -> None:
    """`match` goes through the index and `explain` through every rule, and they agree on any rules."""
    written = [
        rule(
            f"r{position}",
            more="where: "
            + json.dumps({path: {operator: values} for path, (operator, values) in where.items()}, ensure_ascii=False),
        )
        for position, where in enumerate(wheres)
    ] or [rule("none")]
    names(rules(*written), model_registered(name, **tags))
