"""A filter is read as it is meant, or what is wrong or doubtful about it is said at its place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PermanentError
from shared.events import announce
from shared.rules import Problem, RulesError, load, templates, where
from shared.rules.clauses import AnyOf, Condition, Not
from shared.rules.document import compose
from shared.rules.filters import OPERATORS
from shared.rules.hints import SUBJECTS
from shared.rules.kinds import KINDS
from shared.rules.reading import Reading
from shared.rules.scope import Scope
from tests.unit.rules_samples import ACTIONS, HEAD, action_failed, model_registered, rule, rules


def said(filter_: str, on: str = "ModelRegistered") -> list[Problem]:
    """Give everything that is said of a rule's filter."""
    text = HEAD + f"  - name: a\n    on: {on}\n    do: [nothing]\n    where: {filter_}\n"
    try:
        return list(load(text, ACTIONS, "rules.yaml").warnings)
    except RulesError as error:
        return error.problems


def only(filter_: str, on: str = "ModelRegistered") -> Problem:
    """Give the one thing that is said of a filter."""
    (problem,) = said(filter_, on)
    return problem


COLUMN = len("    where: ") + 1


# -- reading ----------------------------------------------------------------------------------------------------------


def test_words_become_clauses() -> None:
    """Conditions stay flat, and so do those of an `all`; `any` and `not` keep what was written."""
    all_ = "[{subject: {StringIn: [y]}}, {all: [{id: {StringIn: [z]}}]}]"
    rest = "any: [{id: {StringIn: [v]}}], not: {id: {StringIn: [w]}}, subjectEndsWith: z"
    loaded = rules(rule("a", more=f"where: {{model.name: {{StringIn: [x]}}, all: {all_}, {rest}}}"))
    first, second, third, any_, not_, subject = loaded.rules[0].where
    flat = [clause.path for clause in (first, second, third, subject) if isinstance(clause, Condition)]
    assert flat == ["model.name", "subject", "id", "subject"]
    assert isinstance(any_, AnyOf)
    assert any_.wanted == [{"id": {"StringIn": ["v"]}}]
    assert isinstance(not_, Not)
    assert [condition.wanted for condition in not_.conditions()] == [["w"]]


def test_a_filter_from_a_file_is_the_one_from_plain_data() -> None:
    """What the loader makes of a filter is what compiling the same data makes of it."""
    data = {
        "model.name": {"StringIn": ["x"], "IsNotNull": True},
        "any": [{"data.a": {"NumberInRange": [[1, 2]]}}, {"not": {"id": {"StringIn": ["x"]}, "subject": {}}}, {}],
        "subjectBeginsWith": "x",
        "isSubjectCaseSensitive": True,
        "enableAdvancedFilteringOnArrays": False,
    }
    written = templates.render(data, {})
    text = str(written).replace("True", "true").replace("False", "false")
    assert rules(rule("a", more=f"where: {text}")).rules[0].where == where.compile_where(data)


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter_", "column", "message"),
    [
        ("[x]", 1, 'where must be a mapping, not ["x"]'),
        ("{or: [{id: {StringIn: [x]}}]}", 2, 'unknown key "or" in where (did you mean "any"?)'),
        ("{AND: [{id: {StringIn: [x]}}]}", 2, 'unknown key "AND" in where (did you mean "all"?)'),
        ("{none_of: [{id: {StringIn: [x]}}]}", 2, 'unknown key "none_of" in where (did you mean "not"?)'),
        ("{subjectbeginswith: x}", 2, '(did you mean "subjectBeginsWith"?)'),
        ("{subjectStartsWith: x}", 2, '(did you mean "subjectBeginsWith"?)'),
        ("{any: {id: {StringIn: [x]}}}", 7, "any wants a list of conditions"),
        ("{all: x}", 7, "all wants a list of conditions"),
        ("{not: [{id: {StringIn: [x]}}]}", 7, "not must be a mapping"),
        ("{any: [x]}", 8, 'any must be a mapping, not "x"'),
        (
            "{any: [{subjectEndsWith: x}]}",
            9,
            "subjectEndsWith is about the whole filter, and can stand only at its top",
        ),
        ("{not: {isSubjectCaseSensitive: true}}", 8, "can stand only at its top"),
        ("{subjectEndsWith: [x]}", 19, 'subjectEndsWith wants one text, not ["x"]'),
        ("{subjectEndsWith: 12}", 19, "subjectEndsWith wants one text, not 12"),
        ("{subjectEndsWith: '{{ id }}'}", 19, "a filter cannot have a template"),
        ("{enableAdvancedFilteringOnArrays: maybe}", 35, 'wants true or false, not "maybe"'),
        ("{any: [{id: {StringIm: [x]}}]}", 14, 'unknown operator "StringIm" (did you mean "StringIn"?)'),
        ("{any: [{id..x: {StringIn: [x]}}]}", 9, '"id..x" is not a path'),
        ("{not: {id: {StringIn: ['{{ id }}']}}}", 24, "a filter cannot have a template"),
        ("{not: {id: {StringIn: ['${a b}']}}}", 24, "names no setting"),
        ("{id: [a, b]}", 6, 'id needs an operator, such as {StringIn: ["a", "b"]}, not ["a", "b"]'),
        ("{id: a}", 6, 'id needs an operator, such as {StringIn: [...]}, not "a"'),
        ("{id: {StringIn: []}}", 17, "not []: an empty list asks for nothing"),
        ("{model.version: {StringIn: [1.10]}}", 29, 'StringIn wants texts, not 1.10: quote it, "1.10"'),
        ("{model.version: {StringIn: ['1', 2]}}", 34, 'StringIn wants texts, not 2: quote it, "2"'),
        ("{model.version: {StringNotIn: [true]}}", 32, 'StringNotIn wants texts, not true: quote it, "true"'),
        ("{model.version: {StringIn: 12}}", 28, 'such as ["a", "b"], not 12: write ["12"]'),
        ("{model.name: {StringIn: fraud}}", 25, 'not "fraud": write ["fraud"]'),
        ("{data.x: {NumberIn: 3}}", 21, "such as [1, 2], not 3: write [3]"),
        ("{data.x: {NumberGreaterThan: [3]}}", 30, "NumberGreaterThan wants one number, not [3]: write 3"),
        ("{data.x: {NumberGreaterThan: '3'}}", 30, 'not "3": leave the quotes out'),
        ("{data.x: {NumberGreaterThan: '${X}'}}", 30, "a setting is always a text"),
        ("{data.x: {NumberInRange: [[5, 1]]}}", 26, "[5, 1] has its low end last"),
        ("{data.x: {NumberInRange: [5, 1]}}", 26, "wants a list of [low, high] pairs"),
        ("{data.x: {BoolEquals: 'true'}}", 23, 'BoolEquals wants true or false, not "true"'),
        ("{data.x: {IsNotNull: false}}", 22, "IsNotNull wants the word true, not false"),
    ],
)
def test_a_filter_that_cannot_be_read_is_an_error_at_its_place(filter_: str, column: int, message: str) -> None:
    """Each mistake is said once, at what is wrong, with what was probably meant."""
    (problem,) = [problem for problem in said(filter_) if problem.level == "error"]
    assert message in problem.message
    assert problem.column == COLUMN + column - 1


def test_every_mistake_of_a_filter_is_said_at_once() -> None:
    """One reading finds what is wrong at every depth."""
    problems = said("{any: [{id: {StringIn: []}}, {not: {id: {Nope: 1}}}], id: x, or: []}")
    assert [problem.level for problem in problems] == ["error"] * 4


def test_a_field_that_happens_to_be_called_like_a_word_is_a_field() -> None:
    """What has operators is a path, however near it is to a word."""
    assert "no ModelRegistered has note" in only("{note: {StringIn: [x]}}").message


# -- doubts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter_", "on", "column", "message"),
    [
        ("{any: []}", "ModelRegistered", 2, "any is empty, and so it never holds"),
        ("{all: []}", "ModelRegistered", 2, "all is empty, and so it always holds"),
        ("{any: [{}]}", "ModelRegistered", 8, "an empty filter under any always holds"),
        ("{not: {}}", "ModelRegistered", 7, "an empty filter under not always holds"),
        ("{id: {}}", "ModelRegistered", 6, "id has no operator, so nothing is asked of it"),
        ("{isSubjectCaseSensitive: true}", "ModelRegistered", 2, "is only about subjectBeginsWith and subjectEndsWith"),
        ("{any: [{run.id: {IsNotNull: true}}]}", "ModelRegistered", 9, "no ModelRegistered has run.id"),
        (
            "{model.tags.n: {NumberGreaterThan: 3}}",
            "ModelRegistered",
            17,
            "NumberGreaterThan under model.tags.n: tags and properties are texts, so it never matches",
        ),
        ("{data.modelTags.n: {NumberNotIn: [3]}}", "ModelRegistered", 21, "it holds only where there is none"),
        ("{data.runTags.n: {NumberIn: [3]}}", "RunFailed", 19, "texts, so it never matches"),
        ("{data.runProperties.n: {NumberIn: [3]}}", "RunFailed", 25, "texts, so it never matches"),
        ("{deployment.tags.n: {BoolEquals: true}}", "ModelDeployed", 22, "texts, so it never matches"),
        ("{data.serviceProperties.n: {NumberIn: [3]}}", "ModelDeployed", 29, "texts, so it never matches"),
        ("{model.name: {StringIn: [fraud-*]}}", "ModelRegistered", 26, 'use StringBeginsWith: ["fraud-"]'),
        ("{model.name: {StringNotIn: ['*-test']}}", "ModelRegistered", 29, 'use StringNotEndsWith: ["-test"]'),
        ("{model.name: {StringIn: ['*a*']}}", "ModelRegistered", 26, 'use StringContains: ["a"]'),
        ("{model.name: {StringIn: ['a?b*']}}", "ModelRegistered", 26, "there are no wildcards"),
        ("{subjectBeginsWith: 'models/*'}", "ModelRegistered", 21, 'there are no wildcards: write "models/"'),
        ("{subjectBeginsWith: experiments/}", "ModelRegistered", 21, "they are models/…"),
        ("{subjectBeginsWith: /models/}", "ModelRegistered", 21, 'no ModelRegistered has a subject like "/models/"'),
        ("{subjectBeginsWith: models/a/b}", "ModelRegistered", 21, "has a subject like"),
        ("{subject: {StringBeginsWith: [models/]}}", "ModelDeployed", 31, "they are endpoints/…"),
        ("{subject: {StringIn: [experiments/x/jobs/y]}}", "RunFailed", 23, "they are experiments/…/runs/…"),
        ("{subjectBeginsWith: models/}", "[ModelDeployed, RunFailed]", 21, "endpoints/… or experiments/…/runs/…"),
        ("{subjectBeginsWith: drift/}", "DatasetDriftDetected", 21, "datadrift/…/run/… or datadrifts/…/runs/…"),
        ("{subjectBeginsWith: iterations/}", "ExportCompleted", 21, "they are projects/…/iterations/…"),
    ],
)
def test_a_filter_that_hardly_means_what_it_says_is_a_warning(filter_: str, on: str, column: int, message: str) -> None:
    """The file can be used; what never matches, or asks for nothing, is pointed out where it stands."""
    problem = only(filter_, on)
    assert problem.level == "warning"
    assert message in problem.message
    assert problem.column == COLUMN + column - 1


@pytest.mark.parametrize(
    ("filter_", "on"),
    [
        ("{subjectBeginsWith: MODELS/fraud}", "ModelRegistered"),
        ("{subjectBeginsWith: mod}", "ModelRegistered"),
        ("{subjectBeginsWith: ''}", "ModelRegistered"),
        ("{subjectBeginsWith: experiments/x/ru}", "RunFailed"),
        ("{subjectBeginsWith: datadrifts/x}", "DriftDetected"),
        ("{subjectBeginsWith: '${PREFIX}'}", "ModelRegistered"),
        ("{subjectBeginsWith: rules/x}", "ActionFailed"),
        ("{not: {subject: {StringBeginsWith: [x]}}}", "ModelRegistered"),
        ("{subject: {StringNotBeginsWith: [x]}}", "ModelRegistered"),
        ("{model.tags.n: {StringIn: ['3']}}", "ModelRegistered"),
        ("{data.driftCoefficient: {NumberGreaterThan: 0.3}}", "DatasetDriftDetected"),
        ("{data.modelProperties.url: {StringIn: ['https://x.example/?a=*']}}", "ModelRegistered"),
        ("{not: {any: [{run.status: {StringIn: [Failed]}}]}}", "RunStatusChanged"),
        ("{data.runStatus: {IsNotNull: true}}", "RunStatusChanged"),
        ("{action.rule: {StringNotIn: ['a']}, \"action['a.b']\": {IsNullOrUndefined: true}}", "ActionFailed"),
    ],
)
def test_what_may_be_meant_is_no_warning(filter_: str, on: str) -> None:
    """Nothing is said of what some event of these kinds can satisfy."""
    assert said(filter_, on) == []


def test_a_changed_status_that_is_not_asked_for_is_a_warning() -> None:
    """With or without other conditions: a run announces every status."""
    for filter_ in ("{}", "{run.experiment: {StringIn: [x]}}"):
        problem = only(filter_, "RunStatusChanged")
        assert "RunStatusChanged without a condition on run.status" in problem.message
        assert problem.column == 9
    (warning,) = rules(rule("a", on="RunStatusChanged")).warnings
    assert "run.status" in warning.message


def test_a_key_with_a_dot_is_noted_and_nothing_more() -> None:
    """It works here; only Event Grid could not filter on it."""
    problem = only("{\"data.modelTags['team.owner']\": {StringIn: [risk]}}")
    assert problem.level == "note"
    assert "works here; no subscription can filter on it" in problem.message


@pytest.mark.parametrize(
    ("filter_", "message"),
    [
        (
            f"{{model.name: {{StringIn: {list(map(str, range(26)))}}}}}",
            "26 values work here; Event Grid would refuse more",
        ),
        (
            "{" + ", ".join(f"data.modelTags.t{n}: {{IsNotNull: true}}" for n in range(26)) + "}",
            "26 filters work here; Event Grid would refuse more than 25",
        ),
        (f"{{model.name: {{StringIn: [{'a' * 513}]}}}}", "more than 512 characters, and this one has 513"),
        (f"{{subjectEndsWith: {'a' * 513}}}", "more than 512 characters, and this one has 513"),
    ],
)
def test_more_than_event_grid_takes_is_a_warning(filter_: str, message: str) -> None:
    """It works here, and could not be pushed into a subscription."""
    problem = only(filter_)
    assert problem.level == "warning"
    assert message in problem.message


def test_what_event_grid_just_takes_is_no_warning() -> None:
    """25 filters with 25 values, 512 characters, and any number of what could not be pushed down anyway."""
    many = ", ".join(f"data.modelTags.t{n}: {{StringIn: [{'a' * 512}]}}" for n in range(25))
    nested = ", ".join(["{model.name: {StringIn: [x]}}"] * 30)
    assert said(f"{{{many}, any: [{nested}], subjectEndsWith: x}}") == []


def test_every_kind_from_the_wire_has_its_subjects() -> None:
    """The table of subjects leaves out the reactor's own events only, whose subjects are their own affair."""
    assert {kind for kind, about in KINDS.items() if about.family != "own"} == set(SUBJECTS)


# -- at run time ------------------------------------------------------------------------------------------------------


def found_link(context: dict[str, Any]) -> str:
    """Say what is against a filter whose operand a template has filled with a signed URL."""
    link = "https://x.example/a?sig=secret"
    reason = where.against({"data.link": {"StringIn": [link]}}, context | {"data": {"link": f"{link}&x"}})
    assert reason is not None
    return f"{reason.show()} {reason.json()} {reason.brief()}"


def test_a_filter_is_judged_over_what_a_template_can_read() -> None:
    """The event, the results of steps, and what is live: by the same paths and operators."""
    context = templates.context(model_registered(), steps={"evaluate": {"auc": 0.91}}) | {
        "live": {"model": {"version": "3"}}
    }
    asked = {
        "model.name": {"StringIn": ["FRAUD"]},
        "steps.evaluate.auc": {"NumberGreaterThan": 0.9},
        "live.model.version": {"StringNotIn": ["12"]},
    }
    assert where.against(asked, context) is None
    reason = where.against(asked | {"not": {"live.model.tags.frozen": {"IsNullOrUndefined": True}}}, context)
    assert reason is not None
    assert "sig=" not in f"{found_link(context)} {reason.show()}"
    assert reason.json() == {
        "path": "where",
        "operator": "not",
        "wanted": {"live.model.tags.frozen": {"IsNullOrUndefined": True}},
        "found": {"live.model.tags.frozen": None},
    }


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "a filter must be a mapping, not []"),
        ({"steps.a.auc": {"NumberGreaterThan": None}}, "steps.a.auc: NumberGreaterThan wants one number, not null"),
        ({"a": {"StringIn": [1]}}, 'a: StringIn wants a list of texts, such as ["a", "b"], not [1]'),
        ({"a": {"Nope": [1]}}, 'a: unknown operator "Nope"'),
        ({"a": 1}, "a needs an operator"),
        ({"a..b": {}}, '"a..b" is not a path'),
        ({"any": {}}, "any wants a list of conditions"),
        ({"any": [1]}, "a filter must be a mapping, not 1"),
        ({"not": {"subjectEndsWith": "x"}}, "can stand only at its top"),
        ({"subjectEndsWith": 1}, "subjectEndsWith wants one text, not 1"),
        ({"isSubjectCaseSensitive": 1}, "isSubjectCaseSensitive wants true or false, not 1"),
    ],
)
def test_a_filter_that_is_malformed_once_it_is_filled_says_where(data: Any, message: str) -> None:
    """A template may give what an operator cannot take: the path, the operator and the value are named."""
    with pytest.raises(PermanentError) as caught:
        where.compile_where(data)
    assert message in caught.value.reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*where.WORDS, *OPERATORS, "data.a", "x"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(json_values)
def test_any_data_is_a_filter_or_is_refused(data: Any) -> None:
    """Whatever is given, compiling it gives clauses that can be judged, or PermanentError."""
    try:
        clauses = where.compile_where(data)
    except PermanentError:
        return
    context = templates.context(model_registered())
    reason = where.against(data, context)
    assert (reason is None) or reason.show()
    assert isinstance(clauses, tuple)


def gate(text: str, scope: Scope) -> list[str]:
    """Read a gate's filter and give what is said of it."""
    reading = Reading()
    node = compose(text, reading.problems)
    assert node is not None
    where.read_gate(reading, node, scope)
    return [problem.message for problem in reading.problems]


def test_a_gate_may_ask_for_steps_and_what_is_live_and_have_templates() -> None:
    """Operands may be templates in part or as a whole, and are judged once they are filled."""
    scope = Scope(frozenset({"ModelRegistered"}), {"evaluate": None})
    fine = """
      steps.evaluate.auc: {NumberGreaterThan: "{{ data.modelProperties.auc }}", NumberInRange: [["{{ id }}", 1]]}
      live.model.version: {StringNotIn: ["{{ model.version }}"], StringIn: "{{ data.names }}"}
      any: [{action.rule: {StringIn: ["${RULE}"]}}, {"data.modelTags['a.b']": {IsNotNull: true}}]
    """
    assert gate(fine, scope) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps.evalute.auc: {IsNotNull: true}", 'no step "evalute" comes before this one (did you mean "evaluate"?)'),
        ("live.modle.version: {IsNotNull: true}", 'live has no modle (did you mean "model"?): only model'),
        (
            "live.model.flavour: {StringIn: [a]}",
            "live.model has no flavour: it has name, version, id, type, tags, archived, created",
        ),
        ("live.model.tag.stage: {StringIn: [a]}", 'live.model has no tag (did you mean "tags"?)'),
        ("model.nam: {IsNotNull: true}", 'no ModelRegistered has model.nam (did you mean "model.name"?)'),
        ("failure.reason: {IsNotNull: true}", "no ModelRegistered has failure.reason"),
        ("steps.evaluate.auc: {NumberGreaterThan: 'high'}", 'NumberGreaterThan wants one number, not "high"'),
        ("steps.evaluate.auc: {NumberIn: ['{{ id }}', 'x']}", "NumberIn wants a list of numbers"),
        ("any: {id: {IsNotNull: true}}", "any wants a list"),
    ],
)
def test_a_gate_that_cannot_open_is_pointed_out(text: str, message: str) -> None:
    """What no step gives, what is not live, and operands that no template can mend."""
    (problem,) = gate(text, Scope(frozenset({"ModelRegistered"}), {"evaluate": None}))
    assert message in problem


def test_a_gate_after_a_failure_may_ask_about_it() -> None:
    """In on_failure there is a failure."""
    assert gate("failure.reason: {StringContains: [quota]}", Scope(frozenset({"ModelRegistered"}), {}, True)) == []  # noqa: FBT003 # one field of a scope


def test_own_events_are_filtered_alike() -> None:
    """What the reactor announces has no wire, and the same filters."""
    assert (
        where.against({"failure.reason": {"StringContains": ["QUOTA"]}}, templates.context(action_failed("a"))) is None
    )
    happened = announce("ActionFailed", id="1", time=action_failed("a").time or pytest.fail("no time"))
    assert where.against({"failure.reason": {"IsNotNull": True}}, templates.context(happened)) is not None
