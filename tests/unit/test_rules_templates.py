"""Templates give what they say, keep types, name what is missing, and cannot do harm."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PermanentError
from shared.rules import templates
from tests.unit.rules_samples import WORKSPACE, action_failed, event, model_registered

HAPPENED = event(
    "RunFailed",
    data={
        "runStatus": "Failed",
        "runTags": {"items": "mine", "a.b": "dotted", "n": 3, "secret": "${KEY}", "half": "$", "rest": "{KEY}"},
        "list": [1, 2],
        "keys": "an item",
    },
    run={"id": "r1", "experiment": None},
)
CONTEXT = templates.context(HAPPENED, steps={"retrain": {"items": [7], "links": {"studio": "https://x"}}})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("{{ run.id }}", "r1"),
        ("{{ data.runTags.n }}", 3),
        ("{{ data.list }}", [1, 2]),
        ("{{ run.experiment }}", None),
        (" {{ data.runTags.n }}", " 3"),
        ("{{ data.RunStatus }} {{ Data['RUNTAGS'].n }}", "Failed 3"),
        ("{{ data.runTags['a.b'] }}", "dotted"),
        ("{{ data.runTags.items }}", "mine"),
        ("{{ data.keys }}", "an item"),
        ("{{ steps.retrain.items }}", [7]),
        ("{{ steps.retrain.links.studio }}", "https://x"),
        ("{{ data.gone | default('none') }}", "none"),
        ("{{ 'yes' if data.gone is defined else 'no' }}", "no"),
        ("{% for name, value in run.items() %}{{ name }};{% endfor %}", "id;experiment;"),
        ("{{ data.list | join('-') }} {{ run.id | upper }} {{ run.id.upper() }}", "1-2 R1 R1"),
        ("{{ 1 + data.runTags.n * 2 }}", 7),
        ("${{ inputs.data }}", "${{ inputs.data }}"),
        ("${{ inputs.data }}/{{ run.id }}", "${{ inputs.data }}/r1"),
        ("${NAME}/{{ run.id }}", "${NAME}/r1"),
        ("a line\n{{ run.id }}\n", "a line\nr1\n"),
        ("{# kept #} {{ run.id }}", "{# kept #} r1"),
        ("{{ workspace.name }} {{ workspace.resource_group }}", "Fraud-Prod ml"),
        ("{{ time }}", "2026-03-02T08:15:00Z"),
        ("{{ kinds | join(',') }} of {{ id }}", "RunFailed of e1"),
        ("{{ {'a': [data.list, run.experiment]} }}", {"a": [[1, 2], None]}),
        ("{{ data.list | map('string') }}", ["1", "2"]),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ run.items() }}", [["id", "r1"], ["experiment", None]]),
        ("{{ 1234.567 | round(1) }} {{ 1234.567 | round(-2, 'floor') }} {{ 2 | round(99) }}", "1234.6 1200.0 2"),
        ("{{ 1.5 | round(1000000000, 'ceil') }} {{ 15 | round(-1000000000, 'floor') }}", "1.5 0.0"),
        ("{{ [1, 2.5] | sum }}", 3.5),
        ("{{ 'r1' in [run.id] and run.id is in(['r1']) }}", True),
        ("{{ [3, 1, 2] | sort | select('odd') | list }}", [1, 3]),
        ("{{ run.id ~ '-' ~ data.list[1:] }}", "r1-[2]"),
        ("{{ source }}", WORKSPACE),
    ],
)
def test_a_template_gives_its_value(text: str, value: Any) -> None:
    """A template that is the whole value keeps its type; anything beside it makes a text."""
    assert templates.render(text, CONTEXT) == value
    assert templates.render({"a": [text]}, CONTEXT) == {"a": [value]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ drift.signal }}", "a.b[0]: the event has no drift.signal"),
        ("x {{ data.runTags.gone }}", "the event has no data.runTags.gone"),
        ("{{ data.runTags['c.d'] }}", "the event has no data.runTags['c.d']"),
        ("{{ steps.retrain.model }}", 'step "retrain" gave no model'),
        ("{{ steps.other.model }}", "the event has no steps.other.model"),
        ("{{ run.keys }}", "the event has no run.keys"),
        ("{{ [data.modelTags.owner] }}", "a.b[0]: the event has no data.modelTags.owner"),
        ("{{ {'a': [data.runTags.gone]} }}", "a.b[0]: the event has no data.runTags.gone"),
        ("x {{ [data.runTags.gone] }}", "a.b[0]: the event has no data.runTags.gone"),
        ("{{ [data.list[7]] }}", "cannot be filled in"),
        ("{{ (run.id ~ 'x').upper }}", "function"),
        ("{{ [(run.id ~ 'x').upper] }}", "function"),
        ("{{ [run.id.upper] }}", "the event has no run.id.upper"),
        ("{{ [range] }}", "the event has no range"),
        ("{{ {1: 2} }}", "the key 1, and keys are texts"),
        ("{{ ['inf' | float] }}", "inf, which is no number"),
        ("{{ 'nan' | float }}", "nan, which is no number"),
        ("x {{ 1e308 * 10 }}", "inf, which is no number"),
        ("{{ run.id | truncate(1) }}{{ run.id ~ 'long' | truncate(1, true, '...') }}", "cannot be filled in"),
        ("{{ run.id / 2 }}", "cannot be filled in"),
        ("{{ data.list | upper | int(base=99) + [1] }}", "cannot be filled in"),
    ],
)
def test_what_is_missing_is_named_with_the_parameter(text: str, reason: str) -> None:
    """The error says where the template stands and which field is not there."""
    with pytest.raises(PermanentError) as caught:
        templates.render({"a": {"b": [text]}}, CONTEXT)
    assert reason in caught.value.reason
    assert caught.value.reason.startswith("a.b[0]: ")


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ run.__class__.__mro__ }}",
        "{{ run.id.format }}",
        "{{ cycler.__init__.__globals__ }}",
        "{% set x = 'a' * 10 %}",
        "{% macro m() %}{{ m() }}{% endmacro %}",
        "{{ 9 ** 9 ** 9 }}",
        "{% include 'x' %}",
        "{{ 'x'.ljust(10) }}",
        "{{ 'x' | center(10) }}",
        "{{ run.id",
        "{% for x in range(3) %}",
        "{{ " + "(" * 5000 + " }}",
        "{{ " + "-" * 5000 + "1 }}",
        "{{ " + "1+" * 5000 + "1 }}",
        "{{ " + "9" * 5000 + " }}",
        "{{ x }}" * 10_000,
    ],
)
def test_what_a_template_may_not_do_is_found_before_it_runs(text: str) -> None:
    """Templates outside the listed words are refused when the file is read."""
    try:
        templates.compile_template(text)
    except ValueError:
        return
    with pytest.raises(PermanentError):
        templates.render(text, CONTEXT)


LARGE = {
    "long": "x" * 10_000,
    "x": 1.5,
    "huge": 10**9,
    "digits": 10**4000,
    "lists": [[str(number)] * 10 for number in range(3000)],
}


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'x' * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{% for a in range(1000) %}" * 3 + "{% endfor %}" * 3,
        "{% for a in range(1000) %}{{ data.long }}{% endfor %}",
        "{{ data.long | replace('x', data.long) }}",
        "{{ range(1000) | join(data.long) }}",
        "{{ [data.long] * 1000000 }}",
        "{{ data.x | round(data.huge, 'floor') * data.digits }}",
        "{{ data.digits * data.digits }}",
        "{{ " + " * ".join(["1" + "0" * 200] * 9) + " }}",
        "{{ data.long | int(base=32) }}",
        "{{ [data.long, data.long] | sum(start='') }}",
        "{{ data.lists | sum(start=[]) }}",
        "{{ data.lists }}" * 5,
        "{{ [" + "data.lists, " * 500 + "] }}",
        "{{ [" + "data.lists, " * 500 + "] | tojson | length }}",
        "{{ [" + "data.lists, " * 500 + "] | join | length }}",
        "{{ [" + "data.lists, " * 500 + "] | upper | length }}",
        "{{ (" + " ~ ".join(["data.long"] * 500) + ") | length }}",
        "{{ " + "(" * 20 + "data.lists" + " + data.lists)" * 20 + " | length }}",
        *(
            f"{{% for a in range(1000) %}}{{% for b in range(100) %}}{work}{{% endfor %}}{{% endfor %}}"
            for work in (
                "{% if data.long | sort | length == 3 %}x{% endif %}",
                "{% if data.lists | tojson | length == 3 %}x{% endif %}",
                "{% if data.long.upper() == data.long %}x{% endif %}",
                "{% if data.long.split('x') | length == 3 %}y{% endif %}",
                "{% if 'y' in data.lists %}x{% endif %}",
                "{% if 'y' is in(data.lists) %}x{% endif %}",
                "{% if data.lists[1:] is none %}x{% endif %}",
                "{% if (data.long + data.long) is none %}x{% endif %}",
                "{% if (data.long ~ data.long) is none %}x{% endif %}",
                "{{ data.lists | select('in', data.lists) | reject('defined') | join }}",
                "{{ data.lists | map('join') | reject('defined') | join }}",
            )
        ),
        "{{ loop }}",
        "{% for a in range(2) %}{{ loop }}{% endfor %}",
    ],
)
def test_a_bomb_goes_off_as_an_error(text: str) -> None:
    """A template that would loop or grow beyond bounds ends at once as a permanent error."""
    began = time.monotonic()
    with pytest.raises(PermanentError):
        templates.render(text, CONTEXT | {"data": LARGE})
    assert time.monotonic() - began < 5


@pytest.mark.guarantee(6)
@pytest.mark.parametrize(
    "text",
    [
        "{{ data.runTags.secret }}",
        "x {{ data.runTags.secret }}",
        "{{ data.runTags.half }}{{ data.runTags.rest }}",
        "{{ [data.runTags.secret] }}",
        "{{ data.runTags }}",
        "{{ data.runTags.half }}{KEY} {{ run.id }}",
    ],
)
def test_an_event_cannot_ask_for_a_setting(text: str) -> None:
    """`${KEY}` in an event's own texts stays a text, however it is put together, when settings are filled in."""
    rendered = templates.render(text, CONTEXT)
    assert "canary" not in str(templates.resolve(rendered, {"KEY": "canary"}))


@pytest.mark.parametrize("text", ["${{" * 300_000, "${" * 400_000, "${a" * 300_000, "$" * 900_000])
def test_braces_without_end_take_no_time(text: str) -> None:
    """A long text full of openings is looked through once."""
    began = time.monotonic()
    rendered = templates.render("{{ data.x }}", {"data": {"x": text}})
    assert templates.resolve(rendered, {}) == text
    assert not templates.is_template(text)
    assert time.monotonic() - began < 2


def test_a_setting_beside_a_template_is_filled_in() -> None:
    """What the rules file itself asks for is given, and what the event says stays as it said it."""
    rendered = templates.render("{{ data.runTags.secret }} ${KEY} $${KEY}", CONTEXT)
    assert templates.resolve(rendered, {"KEY": "value"}) == "${KEY} value ${KEY}"


def test_a_value_is_bounded_in_depth_and_in_what_it_shares() -> None:
    """What nests too deep, or stands in itself many times over, is refused; an event's own depth is not."""
    deep: Any = "x"
    for _ in range(64):
        deep = {"a": deep}
    assert templates.render("{{ [data] }}", {"data": deep}) == [deep]
    shared: Any = "x"
    for _ in range(40):
        shared = [shared, shared]
    with pytest.raises(PermanentError, match="would produce more"):
        templates.render("{{ data }}", {"data": shared})
    for _ in range(64):
        deep = [deep]
    with pytest.raises(PermanentError, match="nests deeper than 100 levels"):
        templates.render("{{ data }}", {"data": deep})


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("{{ data.x }}${NAME}", "$", "$value"),
        ("{{ data.x }}${NAME}", "$$", "$$value"),
        ("{{ data.x }}${NAME}", "a$${NAME}$", "a$${NAME}$value"),
        ("{{ data.x }}$${NAME}", "$", "$${NAME}"),
        ("{{ data.x }}$$${NAME}", "$", "$$value"),
        ("${NAME}{{ data.x }}${NAME}", "$", "value$value"),
        ("${NAME}{{ data.x }}", "${NAME}", "value${NAME}"),
        ("\0{{ data.x }}\0", "${NAME}", "${NAME}"),
    ],
)
def test_dollars_of_an_event_do_not_change_what_the_file_asks_for(text: str, x: str, expected: str) -> None:
    """The file's own `${NAME}` is filled in whatever stands before it, and the event's dollars stay as they came."""
    rendered = templates.render(text, {"data": {"x": x}})
    assert templates.resolve(rendered, {"NAME": "value"}) == expected


@given(st.text(alphabet="${}KEY \0a", max_size=30))
def test_a_setting_after_any_text_is_filled_in(text: str) -> None:
    """An event's text stays that text, and the setting that the file puts after it is the setting."""
    rendered = templates.render("{{ data.x }}${KEY}", {"data": {"x": text}})
    assert templates.resolve(rendered, {"KEY": "value"}) == text.replace("\0", "") + "value"


@given(st.text(alphabet="${}KEY \0a", max_size=30))
def test_a_text_survives_render_and_resolve(text: str) -> None:
    """Whatever an event's text holds, the handler gets that text, and never a setting."""
    context = templates.context(event("RunFailed", data={"x": text}))
    for template, expected in (("{{ data.x }}", text), ("<{{ data.x }}>", f"<{text}>".replace("\0", ""))):
        assert templates.resolve(templates.render(template, context), {"KEY": "canary", "K": "c", "E": "c"}) == expected


@given(st.text(alphabet="{}%$ abdt.|()'[]_-+*~=,0123456789\n", max_size=60))
def test_any_text_is_a_template_or_is_refused(text: str) -> None:
    """Compiling raises nothing but ValueError, and rendering nothing but PermanentError."""
    try:
        templates.compile_template(text)
    except ValueError:
        return
    try:
        templates.render(text, CONTEXT)
    except PermanentError:
        return


def test_settings_are_resolved_deep_and_named_when_missing() -> None:
    """Every `${NAME}` is replaced, `${{…}}` never, and one that is not set is named."""
    value = {"a": ["${A}-${B.c}", "${{ A }}", 1]}
    assert templates.resolve(value, {"A": "1", "B.c": "2"}) == {"a": ["1-2", "${{ A }}", 1]}
    with pytest.raises(PermanentError, match="the setting A is not set"):
        templates.resolve(value, {})


def test_an_outcome_tells_of_its_own_action_and_a_failed_step_comes_first() -> None:
    """`action` is what the event tells of; `failure` is the failed step's where there is one."""
    told = templates.context(action_failed("theirs"), steps={}, action={"rule": "mine"})
    assert templates.render("{{ action.rule }}: {{ failure.reason }}", told) == "theirs: no quota"
    failed = templates.context(action_failed("theirs"), steps={}, failure={"reason": "mine"})
    assert templates.render("{{ failure.reason }}", failed) == "mine"
    answering = templates.context(model_registered(), steps={}, action={"rule": "mine"})
    assert templates.render("{{ action.rule }}", answering) == "mine"
