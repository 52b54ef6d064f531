"""The right rules answer, in the file's order, and the others say why they do not."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import Event
from shared.rules import Rules, templates, where
from shared.rules.index import build_index
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
    assert because(loaded, elsewhere)["path"] == "from"


def test_an_event_from_nowhere_is_said_to_be_refused() -> None:
    """It is said once and first, and no rule's names are compared with an id; other rules say what they listen to."""
    loaded = rules(rule("a"), rule("b", on="RunFailed"))
    explained = loaded.explain(event("ModelRegistered", source=f"{WORKSPACE}-2"))
    assert explained.refused == "this source is not declared; the event would be refused"
    first, second = explained.rules
    assert first.because is not None
    assert first.because.show() == 'from StringIn ["fraud", "fruit"]: this source is not declared'
    assert second.because is not None
    assert second.because.path == "on"
    assert list(explained.json()) == ["event", "refused", "rules"]
    assert list(loaded.explain(model_registered()).json()) == ["event", "rules"]


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
    reason = loaded.explain(model_registered()).rules[1].because
    assert reason is not None
    assert reason.json() == {"path": "from", "operator": "StringIn", "wanted": ["other"], "found": ["fraud"]}


def test_own_events_are_always_declared_and_never_answered_by_their_own_rule() -> None:
    """A rule that hears failures does not hear its own, which would never end."""
    loaded = rules(rule("tell", on="ActionFailed"), rule("also", on="ActionFailed"))
    assert loaded.declares(action_failed("x"))
    assert names(loaded, action_failed("x")) == ["tell", "also"]
    assert names(loaded, action_failed("tell")) == ["also"]
    assert loaded.explain(action_failed("tell")).rules[0].json(action_failed("tell"))["because"] == [
        {"path": "action.rule", "operator": "StringNotIn", "wanted": ["tell"], "found": "tell"}
    ]


@pytest.mark.guarantee(2)
@pytest.mark.parametrize(
    ("kind", "where"),
    [("RunStatusChanged", "runTags"), ("ModelRegistered", "modelTags"), ("ModelRegistered", "modelProperties")],
)
def test_a_rule_does_not_answer_what_it_made(kind: str, where: str) -> None:
    """A job or model of ours says which rule made it, and that rule does not hear of it: it would never end."""
    loaded = rules(rule("again", on=kind), rule("also", on=kind))
    told = event(kind, data={where: {"reactor-rule": "again"}})
    assert names(loaded, told) == ["also"]
    because = loaded.explain(told).rules[0].because
    assert because is not None
    assert (because.path, because.found) == ("reactor-rule", "again")


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
    assert because(loaded, event("RunFailed"))["path"] == "on"


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
    assert because(half, model_registered())["note"] == "the setting MODEL is not set"


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
        "because": [{"path": "on", "operator": "StringIn", "wanted": ["RunFailed"], "found": ["ModelRegistered"]}],
    }


# -- nested filters ---------------------------------------------------------------------------------------------------


def test_any_says_what_is_against_each_of_its_alternatives() -> None:
    """The clause as it is written, and each alternative's first reason; what stands before it is said first."""
    alternatives = "[{model.name: {StringIn: [x]}}, {model.version: {StringIn: ['12']}, data.a: {IsNotNull: true}}]"
    loaded = rules(rule("a", more=f"where: {{model.name: {{IsNotNull: true}}, any: {alternatives}}}"))
    found = because(loaded, model_registered())
    assert (found["path"], found["operator"], found["found"]) == ("where", "any", None)
    assert found["wanted"] == [
        {"model.name": {"StringIn": ["x"]}},
        {"model.version": {"StringIn": ["12"]}, "data.a": {"IsNotNull": True}},
    ]
    assert [(one["path"], one["found"]) for one in found["reasons"]] == [("model.name", "fraud"), ("data.a", None)]
    reason = loaded.explain(model_registered()).rules[0].because
    assert reason is not None
    assert reason.show().endswith(
        'none of them holds (model.name StringIn ["x"]: it is "fraud"; data.a IsNotNull true: it is missing)'
    )


def test_not_says_that_what_must_not_hold_does() -> None:
    """With the values it holds with; an alternative inside it that does not hold is left out."""
    inner = "{model.name: {StringIn: [fraud]}, any: [{model.version: {StringIn: ['12']}}, {subject: {StringIn: [x]}}]}"
    loaded = rules(rule("a", more=f"where: {{not: {inner}}}"))
    found = because(loaded, model_registered())
    assert (found["path"], found["operator"]) == ("where", "not")
    assert list(found["wanted"]) == ["model.name", "any"]
    assert found["found"] == {"model.name": "fraud", "model.version": "12"}
    assert names(loaded, model_registered("other")) == ["a"]


def test_all_is_explained_as_if_its_conditions_stood_there() -> None:
    """The first that does not hold is the reason."""
    loaded = rules(rule("a", more="where: {all: [{model.name: {StringIn: [fraud]}}, {data.x: {StringIn: [y]}}]}"))
    assert because(loaded, model_registered())["path"] == "data.x"


def test_a_note_says_why_a_value_that_looks_right_is_not() -> None:
    """Casing that counts, and arrays that do not, are said beside what was found."""
    loaded = rules(
        rule("case", more="where: {subjectBeginsWith: Models/, isSubjectCaseSensitive: true}"),
        rule("array", more="where: {data.x: {StringIn: [y]}, enableAdvancedFilteringOnArrays: false}"),
    )
    shown = [found.because.show() for found in loaded.explain(event("ModelRegistered", data={"x": ["y"]})).rules
             if found.because]  # fmt: skip
    assert shown == [
        'subject subjectBeginsWith "Models/": it is "models/fraud:12" (casing counts: isSubjectCaseSensitive is true)',
        'data.x StringIn ["y"]: it is ["y"] (arrays do not count: enableAdvancedFilteringOnArrays is false)',
    ]


def test_settings_are_filled_in_at_any_depth() -> None:
    """Also in the subject's words, and with the switches that stand beside them."""
    asked = "{subjectBeginsWith: 'models/${NAME}', isSubjectCaseSensitive: true, any: [{data.x: {StringIn: ['${X}']}}]}"
    loaded = rules(rule("a", more=f"where: {asked}"))
    happened = event("ModelRegistered", data={"x": "Y"})
    assert names(loaded.bind({"NAME": "fraud", "X": "y"}), happened) == ["a"]
    assert names(loaded.bind({"NAME": "Fraud", "X": "y"}), happened) == []
    assert names(loaded.bind({"NAME": "fraud", "X": "z"}), happened) == []


@pytest.mark.parametrize(
    "clause", ["not: {model.name: {StringIn: ['${MODEL}']}}", "any: [{}, {data.x: {StringIn: ['${MODEL}']}}]"]
)
def test_a_setting_that_is_not_set_never_matches_at_any_depth(clause: str) -> None:
    """Not even where its condition is negated, or another alternative would do."""
    bound = rules(rule("a", more=f"where: {{{clause}}}")).bind({})
    assert "the setting MODEL is not set" in bound.warnings[-1].message
    assert names(bound, model_registered()) == []


def test_an_any_of_texts_is_found_by_the_index() -> None:
    """An alternative with a text leads to its rule; one that no text leads to makes the rule one for every event."""
    loaded = rules(
        rule("indexed", more="where: {any: [{model.name: {StringIn: [fraud]}}, {data.x: {StringEndsWith: [z]}}]}"),
        rule("all-in-any", more="where: {any: [{model.name: {StringIn: [fraud]}, data.x: {IsNotNull: true}}]}"),
        rule("odd", more="where: {any: [{model.name: {StringIn: [fraud]}}, {data.x: {StringContains: [z]}}]}"),
        rule("subject", more="where: {subjectBeginsWith: MODELS/fraud}"),
    )
    index = build_index(enumerate(loaded.rules))
    assert index.always == (2,)
    assert [*index.candidates(model_registered("credit"))] == [2, 3]
    assert [*index.candidates(event("ModelRegistered", data={"x": "Z"}))] == [0, 2, 3]
    assert names(loaded, model_registered()) == ["indexed", "odd", "subject"]


# -- what is kept beside an event -------------------------------------------------------------------------------------


def test_what_is_against_the_rules_of_a_kind_and_source_is_small_and_plain() -> None:
    """Rules for other kinds or sources are left out, long values are cut, and URLs lose their queries."""
    loaded = rules(
        rule("yes"),
        rule("other-kind", on="RunFailed"),
        rule("off", more="mode: off"),
        rule("link", more="where: {data.link: {StringIn: [x]}}"),
        rule("long", more="where: {data.long: {StringIn: [x]}}"),
        rule("list", more="where: {data.list: {StringIn: [x]}}"),
        rule("any", more=f"where: {{any: [{', '.join(['{data.long: {StringIn: [x]}}'] * 7)}]}}"),
    )
    data = {"link": "https://x.example/a?sig=secret", "long": "l" * 1000, "list": ["l" * 100] * 10}
    found = {one["rule"]: one for one in loaded.against(event("ModelRegistered", data=data))}
    assert list(found) == ["off", "link", "long", "list", "any"]
    assert found["off"] | {"rule": ""} == {
        "rule": "",
        "path": "mode",
        "operator": "StringIn",
        "wanted": ["live", "dry_run"],
        "found": "off",
    }
    assert found["link"]["found"] == "https://x.example/a"
    for name in ("long", "list"):
        assert len(found[name]["found"]) == 200
        assert found[name]["found"].endswith("…")
    assert len(found["any"]["reasons"]) == 5
    assert max(len(json.dumps(one)) for one in found.values()) < 3000
    assert len(loaded.against(event("ModelRegistered", data=data), most=2)) == 2


def test_nothing_is_against_what_no_rule_is_asked_about() -> None:
    """An event from a source that is not declared, and one of no kind, are against no rule in particular."""
    loaded = rules(rule("a", more="where: {model.name: {StringIn: [x]}}"))
    assert loaded.against(event("ModelRegistered", source="elsewhere")) == []
    assert loaded.against(event()) == []


words = st.sampled_from(["", "a", "B", "c", "bA", "AbA"])
conditions = st.dictionaries(
    st.sampled_from(["data.modelName", "data.modelTags.k", "data.modelTags['x.y']", "subject", "model.name"]),
    st.dictionaries(
        st.sampled_from(["StringIn", "StringNotIn", "StringBeginsWith", "StringEndsWith"]),
        st.lists(words, min_size=1, max_size=3),
        min_size=1,
        max_size=2,
    ),
    max_size=3,
)
wheres = st.recursive(
    conditions,
    lambda inner: st.builds(
        lambda flat, nested: flat | nested,
        conditions,
        st.fixed_dictionaries(
            {}, optional={"any": st.lists(inner, max_size=3), "all": st.lists(inner, max_size=3), "not": inner}
        ),
    ),
    max_leaves=6,
)
tops = st.builds(
    lambda nested, words: nested | words,
    wheres,
    st.fixed_dictionaries(
        {},
        optional={
            "subjectBeginsWith": st.sampled_from(["", "m", "Models/"]),
            "subjectEndsWith": st.sampled_from(["2", ":12", "D:12"]),
            "isSubjectCaseSensitive": st.booleans(),
            "enableAdvancedFilteringOnArrays": st.booleans(),
        },
    ),
)


@given(
    st.lists(tops, max_size=6),
    words,
    st.dictionaries(st.sampled_from(["k", "x.y"]), words | st.lists(words, max_size=2) | st.none()),
)
def test_the_index_finds_exactly_what_testing_every_rule_finds(
    filters: list[dict[str, Any]], name: str, tags: dict[str, Any]
) -> None:
    """`match` goes through the index, `explain` through every rule, a gate compiles anew: they agree on any filter."""
    written = [
        rule(f"r{position}", more="where: " + json.dumps(one, ensure_ascii=False))
        for position, one in enumerate(filters)
    ] or [rule("none")]
    happened = model_registered(name, **tags)
    found = names(rules(*written), happened)
    context = templates.context(happened)
    assert [f"r{position}" for position, one in enumerate(filters) if where.against(one, context) is None] == [
        one for one in found if one != "none"
    ]
