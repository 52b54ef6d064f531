"""A rules file is read as it is meant, or everything that is wrong with it is said at once."""

import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from shared.handlers import ACTIONS as REAL_ACTIONS
from shared.handlers.forward import SENDERS, TAKE_EVENTS
from shared.policy import CancelOn, Expectation, Limit, Rate
from shared.rules import Problem, RulesError, load
from shared.rules.declared import Declared
from shared.rules.document import compose, value_of
from shared.rules.filters import OPERATORS
from shared.rules.parameters import parameters
from shared.rules.problems import did_you_mean
from tests.unit.rules_samples import ACTIONS, HEAD, SPENDING, WORKSPACE, rule, rules

LINE = HEAD.count("\n") + 1


def problems(text: str) -> list[Problem]:
    """Load a text and give what is wrong with it."""
    with pytest.raises(RulesError) as caught:
        load(text, ACTIONS, "rules.yaml")
    return caught.value.problems


def wrong(*texts: str, head: str = HEAD) -> list[str]:
    """Load rules below the usual head and give the messages."""
    return [problem.message for problem in problems(head + "".join(f"  - {text}\n" for text in texts))]


def title(text: str, on: str = "ModelRegistered") -> str:
    """Write a rule that says something."""
    return rule("a", on, do=f'[{{say: {{channel: mail, title: "{text}"}}}}]')


def plain(text: str) -> Any:
    """Read a text as plain data."""
    found: list[Problem] = []
    node = compose(text, found)
    assert node is not None
    value = value_of(node, found)
    assert not found
    return value


# -- YAML -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[on, off, yes, no, y, n, On, NO]", ["on", "off", "yes", "no", "y", "n", "On", "NO"]),
        ("{on: 1, no: 2}", {"on": 1, "no": 2}),
        ("[true, True, FALSE, tRUE]", [True, True, False, "tRUE"]),
        ("[null, ~, Null, nULL, '']", [None, None, None, "nULL", ""]),
        ("[0o17, 0x1F, 010, 0b1, 1_000, 12:30:00, -7, +7]", [15, 31, 10, "0b1", "1_000", "12:30:00", -7, 7]),
        ("[1.5, 1e3, .5, 5., 1.2.3, ., '1']", [1.5, 1000.0, 0.5, 5.0, "1.2.3", ".", "1"]),
        ("[2026-03-02, '2026', =, <<]", ["2026-03-02", "2026", "=", "<<"]),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: &x [1]\nb: *x\n", {"a": [1], "b": [1]}),
        ("a: {1: one, null: none}", {"a": {"1": "one", "null": "none"}}),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, value: Any) -> None:
    """The core schema of YAML 1.2: `on` and `no` are texts, 010 is ten, a date is a text."""
    assert plain(text) == value


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "the file is empty"),
        ("# nothing\n", 1, 1, "the file is empty"),
        ("- a", 1, 1, "a mapping"),
        ("a: [1", 1, 4, "this is not YAML: the [ that begins here is never closed"),
        ("a: {b: 1\n", 1, 4, "this is not YAML: the { that begins here is never closed"),
        ("version: 1\nrules: []\n---\na: b", 3, 1, "another document"),
        ("version: 1\nrules: *x", 2, 8, "undefined alias"),
        ("version: 1\nrules: &x [*x]", 2, 8, "aliases"),
        ("version: 1\nrules: [.inf]", 2, 9, "not a finite number"),
        ("version: 1\nrules: [1e999]", 2, 9, "not a finite number"),
        ("version: 1\nrules: " + "9" * 5000, 2, 8, "too long for a number"),
        ("version: 1\nrules: !!python/object:os.system []", 2, 8, "has no meaning here"),
        ("version: 1\nrules: []\nversion: 1", 3, 1, 'duplicate key "version": it stands on line 1 already'),
        ("version: 1\nrules: []\nrulez: []", 3, 1, 'unknown key "rulez" in the file (did you mean "rules"?)'),
        ("version: 2\nrules: []", 1, 10, "version 1, not 2"),
        ("rules: []", 1, 1, '"version: 1" is missing'),
        ("version: 1", 1, 1, '"rules" is missing'),
        ("version: 1\nrules: x", 2, 8, "rules must be a list"),
        ("version: 1\nmode: false\nrules: []", 2, 7, "unknown mode false"),
        ("a: \x00", 1, 4, "control characters"),
        ("a: \ud800", 1, 1, "surrogates"),
        ("[" * 100_000, 1, 1, "nest deeper"),
        ("{" * 100_000, 1, 1, "nest deeper"),
        ("- " * 100_000, 1, 1, "nest deeper"),
        ("x" * 3_000_000, 1, 1, "more than"),
    ],
)
def test_what_is_no_rules_file_is_refused_at_its_place(text: str, line: int, column: int, message: str) -> None:
    """Syntax, limits and the file's own keys: each is said with line and column."""
    found = [problem for problem in problems(text) if message in problem.message]
    assert [(problem.line, problem.column) for problem in found] == [(line, column)]


@pytest.mark.parametrize(
    "value",
    [
        "{{ model.name }}",
        "${NAME}",
        "[{{ model.name }}]",
        "{a: {{ model.name }}}",
        "{a: ${NAME}}",
        "{{ a }}-b",
        "x {{ a }}",
    ],
)
def test_unquoted_braces_are_recognised(value: str) -> None:
    """A template or setting without quotes is a mapping, or nothing, to YAML: the message says to quote it."""
    text = (
        HEAD
        + f"  - name: a\n    on: ModelRegistered\n    do:\n      - train:\n          inputs:\n            a: {value}\n"
    )
    (problem,) = problems(text)
    assert problem.message.startswith("unquoted ")
    assert "in quotes" in problem.message
    assert problem.line == LINE + 5


def test_every_unquoted_setting_is_said_at_once_beside_all_else() -> None:
    """In flow style too: each of them at its place, quoted ones and comments left alone, and other mistakes as well."""
    text = HEAD + (
        '  - {name: "{{ a }}", on: RunFailed, do: [{say: {channel: "${A}", title: ${X}, how: ${Y}/z}}]} # ${Z}\n'
        "  - name: b\n"
        "    on: RunFaild\n"
        "    do:\n"
        "      - say: {channel: oncal, title: {{ run.id }}-x}\n"
        "      - say: {channel: [mail], times: {% x %}}\n"
    )
    found = [(problem.line - LINE, problem.column, problem.message.partition(":")[0]) for problem in problems(text)]
    assert found == [
        (0, 12, '"{{ a }}" is no name'),
        (0, 74, 'unquoted "${X}"'),
        (0, 85, 'unquoted "${Y}"'),
        (2, 9, 'unknown kind "RunFaild" (did you mean "RunFailed"?)'),
        (4, 24, 'no "oncal" is declared under channels (did you mean "oncall"?)'),
        (4, 38, 'unquoted "{{ run.id }}"'),
        (5, 24, "channel"),
        (5, 39, 'unquoted "{% x %}"'),
    ]


def test_braces_that_are_not_to_blame_are_not_blamed() -> None:
    """What else is wrong with the YAML is said as what it is."""
    for before in ('a: "${X}"', "a: '{{ x }}' # {{ y }}", "a: |\n  see ${X}"):
        (problem,) = problems(f"{before}\nb: [}}\n")
        assert problem.message.startswith("this is not YAML")
    first, second = problems("a: {b: ${X}, c: [}\n")
    assert (first.message[:8], first.column) == ("unquoted", 8)
    assert (second.message[:16], second.column) == ("this is not YAML", 18)


def test_unquoted_braces_without_end_are_said_in_bounded_time() -> None:
    """A file is composed again only so many times."""
    began = time.monotonic()
    for times, most in ((100, 51), (20_000, 20)):
        found = problems("- {{ a }}-b\n" * times)
        assert 10 < len(found) <= most
        assert all(problem.message.startswith("unquoted") for problem in found)
    assert time.monotonic() - began < 20


def test_alias_bombs_are_refused_at_once() -> None:
    """Ten levels of ten aliases are not expanded."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    began = time.monotonic()
    (problem,) = problems("\n".join(levels))
    assert "expand to too much" in problem.message
    assert time.monotonic() - began < 1


def test_aliases_share_what_rules_have_in_common() -> None:
    """An anchor may stand in one rule and be used in the next."""
    loaded = rules(rule("a", more="where: &where {model.name: {StringIn: [x]}}"), rule("b", more="where: *where"))
    assert loaded.rules[0].where == loaded.rules[1].where


# -- what is declared -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("workspaces: {a: fraud}", "workspaces.a: must be an ARM id"),
        ("workspaces: [a]", "workspaces: must be a mapping, not a list"),
        ("workspaces: {a: 1}", "workspaces.a: must be a text, not 1"),
        ("channels: {a: {kind: teem, url: x}}", 'channels.a: unknown kind "teem" (did you mean "teams"?)'),
        ("channels: {a: {url: x}}", 'channels.a: "kind" is missing'),
        ("channels: {a: {kind: teams}}", "channels.a.url is missing"),
        ("channels: {a: {kind: smtp, to: [x, 1], host: h, sender: s}}", "channels.a.to.1: must be a text, not 1"),
        ("channels: {a: {kind: slack, url: x, uri: y}}", 'unknown key channels.a.uri (did you mean "url"?)'),
        (
            "vision: {a: {project: '${P}', training: {endpont: e}}}",
            'unknown key vision.a.training.endpont (did you mean "endpoint"?)',
        ),
        ("channels: {a: {kind: smtp, to: [], host: h, sender: s}}", "channels.a.to is empty"),
        (
            "channels: {a: {kind: smtp, to: [x], host: h, sender: s, security: startls}}",
            "channels.a.security: must be 'starttls', 'tls' or 'none', not \"startls\" (did you mean \"starttls\"?)",
        ),
        ("channels: {a: {kind: slack, url: '{{ x }}'}}", "a template has nothing to be filled from here"),
        ("channels: {a: {kind: slack, url: '${a b}'}}", '"${a b}" names no setting'),
        (
            "channels: {a: {kind: route, by: run.experiment, begins_with: {x: b}}, bb: {kind: slack, url: x}}",
            'no "b" is declared under channels',
        ),
        ("channels: {a: {kind: route, by: x, begins_with: {}, otherwise: a}}", '"a" is a route itself'),
        ("channels: {a: {kind: route, by: '..', begins_with: {}}}", '".." is not a path'),
        ("vision: {a: {project: p, training: {endpoint: e}}}", "vision.a.project: must be a project's id"),
        (
            f"workspaces: {{a: {WORKSPACE}}}\nvision: {{a: {{project: '${{P}}', training: {{endpoint: e}}}}}}",
            '"a" is a workspace already',
        ),
    ],
)
def test_declarations_are_checked(section: str, message: str) -> None:
    """Each section's entries have their own fields, and what is wrong with them is said by path."""
    assert any(message in found for found in wrong(head=f"version: 1\n{section}\nrules: []\n"))


PLACES = {
    "vision.a.training.endpoint": "vision: {{a: {{project: '${{P}}', training: {{endpoint: '{url}'}}}}}}",
    "vision.a.container": "vision: {{a: {{project: '${{P}}', training: {{endpoint: e}}, container: '{url}'}}}}",
    "language.a.secondary.endpoint": (
        "language: {{a: {{project: p, deployments: [d], primary: {{endpoint: e}}, secondary: {{endpoint: '{url}'}}}}}}"
    ),
    "channels.a.url": "channels: {{a: {{kind: webhook, url: '{url}'}}}}",
    "channels.b.url": "channels: {{b: {{kind: queue, url: '{url}'}}}}",
    "channels.c.url": "channels: {{c: {{kind: slack, url: '{url}'}}}}",
    "channels.d.url": "channels: {{d: {{kind: teams, url: '{url}'}}}}",
    "channels.e.endpoint": "channels: {{e: {{kind: event_grid, endpoint: '{url}'}}}}",
    "channels.f.endpoint": "channels: {{f: {{kind: email, to: [x], endpoint: '{url}'}}}}",
}
"""Where a URL may stand, and a section that has it there."""
STORAGE = {"vision.a.container", "channels.b.url"}


@pytest.mark.guarantee(7)
@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_sent_in_the_clear(place: str) -> None:
    """A URL is https; only a storage emulator on this machine may do without; a setting is judged when used."""

    def messages(url: str) -> list[str]:
        text = f"version: 1\nrules: []\n{PLACES[place].format(url=url)}\n"
        try:
            load(text, ACTIONS, "rules.yaml")
        except RulesError as error:
            return [problem.message for problem in error.problems if problem.level == "error"]
        return []

    for url in ("http://example.com/canary", "HTTP://example.com", "http://127.0.0.1@example.com", "http://"):
        (message,) = messages(url)
        assert message.startswith(f"{place}: must be https")
        assert place.endswith("endpoint") or "canary" not in message
    for url in ("https://example.com/x", "${URL}", "http://${HOST}/x"):
        assert messages(url) == []
    for url in ("http://127.0.0.1:10000/a/b", "http://localhost/a/b"):
        assert bool(messages(url)) is (place not in STORAGE)


@pytest.mark.guarantee(6)
def test_what_is_declared_shows_no_secret() -> None:
    """Keys, passwords and whole URLs, which may hold one, are in no `repr`, and so in no log."""
    at = {"endpoint": "https://shown.example", "key": "CANARY"}
    place, prediction = "https://a.example/b?sig=CANARY", {"resource": "${PREDICTION}", "key": "CANARY"}
    project = {"project": "${P}", "training": at, "prediction": prediction, "container": place}
    replica = {"training": at, "prediction": prediction, "container": place, "queue": place}
    channels = {
        "a": {"kind": "teams", "url": place},
        "b": {"kind": "slack", "url": place},
        "c": {"kind": "webhook", "url": place, "secret": "CANARY", "headers": {"X": "CANARY"}},
        "d": {"kind": "queue", "url": place},
        "e": {"kind": "event_grid", **at},
        "f": {"kind": "smtp", "to": ["x"], "host": "h", "sender": "s", "password": "CANARY"},
    }
    other = at | {"endpoint": "https://other.example"}
    language = {"bot": {"project": "p", "primary": at, "secondary": other, "deployments": ["d"]}}
    sections = {"vision": {"fruit": project | {"replica": replica}}, "language": language, "channels": channels}
    shown = repr(Declared.model_validate(sections))
    assert "https://shown.example" in shown
    assert "CANARY" not in shown


# -- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{name: a, on: DriftDetectd, do: [nothing]}", 'unknown kind "DriftDetectd" (did you mean "DriftDetected"?)'),
        ("{name: a, on: [], do: [nothing]}", "on is empty"),
        ("{name: a, on: [1], do: [nothing]}", "on must be a text or a list of texts, not 1"),
        ("{name: a, do: [nothing]}", 'a rule needs "on"'),
        ("{on: RunFailed, do: [nothing]}", 'a rule needs a "name"'),
        ("{name: '', on: RunFailed, do: [nothing]}", '"" is no name'),
        ("{name: a, on: RunFailed}", 'a rule needs "do"'),
        ("{name: a, on: RunFailed, do: []}", "there are no steps"),
        ("{name: a, on: RunFailed, do: nothing}", "steps must be a list"),
        ("{name: a, on: RunFailed, du: [], do: [nothing]}", 'unknown key "du" in a rule'),
        ("{name: a, name: b, on: RunFailed, do: [nothing]}", 'duplicate key "name"'),
        ("nothing", 'a rule must be a mapping, not "nothing"'),
        (rule("a", more="mode: on"), 'unknown mode "on"'),
        (rule("a", more="from: frad"), 'unknown source "frad" (did you mean "fraud"?)'),
        (rule("a", more="from: somewhere"), 'unknown source "somewhere": there is fraud, fruit'),
        (rule("a", more="from: fruit"), '"fruit" (vision) never announces ModelRegistered'),
        (rule("a", "ActionFailed", "from: fraud"), "leave `from` out"),
        (rule("a", "'[RunFailed, ExportFailed]'".strip("'"), "from: fraud"), "none of these announces ExportFailed"),
        (rule("a", more="where: {data.a..b: {StringIn: [x]}}"), '"data.a..b" is not a path'),
        (rule("a", more="where: {model.name: x}"), "model.name needs an operator"),
        (rule("a", more="where: {model.name: {StringIm: [x]}}"), '(did you mean "StringIn"?)'),
        (rule("a", more="where: {model.name: {StringIn: x}}"), 'StringIn wants a list of texts, such as ["a", "b"]'),
        (rule("a", more="where: {model.name: {StringIn: ['{{ id }}']}}"), "a filter cannot have a template"),
        (rule("a", do="[nothin]"), 'unknown step "nothin" (did you mean "nothing"?)'),
        (rule("a", do="[{nothing: , say: }]"), "a step is one action"),
        (rule("a", do="[{say: loud}]"), "the parameters of say must be a mapping"),
        (rule("a", do="[say]"), 'missing parameter "channel" of say'),
        (rule("a", do="[{say: {chanel: oncall}}]"), 'unknown parameter "chanel" of say (did you mean "channel"?)'),
        (rule("a", do="[{say: {channel: oncal}}]"), 'no "oncal" is declared under channels (did you mean "oncall"?)'),
        (rule("a", do="[{say: {channel: mail, also: [mail, x]}}]"), 'no "x" is declared under channels'),
        (rule("a", do="[{say: {channel: mail, times: lots}}]"), 'times: must be a whole number, not "lots"'),
        (rule("a", do="[{say: {channel: mail, how: sing}}]"), "how: must be 'loud' or 'soft', not \"sing\""),
        (rule("a", do="[{say: {channel: mail, title: '{{ id'}}]"), 'bad template "{{ id"'),
        (rule("a", do="[{say: {channel: mail, title: '{{ id | uper }}'}}]"), '(did you mean "upper"?)'),
        (rule("a", do="[{say: {channel: mail, title: '${no good}'}}]"), "names no setting"),
        (rule("a", do="[{train: {id: x}}, {train: {id: x}}]"), 'duplicate step id "x"'),
        (rule("a", do="[{train: {id: 1}}]"), "1 is no step id"),
        (rule("a", do="[{train: {id: x, inputs: {a: '{{ steps.x.b }}'}}}]"), 'no step "x" comes before this one'),
        (
            rule("a", do="[{train: {id: retrain}}, {say: {channel: mail, title: '{{ steps.retrian.b }}'}}]"),
            'no step "retrian" comes before this one (did you mean "retrain"?)',
        ),
    ],
)
def test_a_rule_that_cannot_work_is_an_error(text: str, message: str) -> None:
    """Each mistake is said once, with what was probably meant."""
    found = wrong(text)
    assert len([one for one in found if message in one]) == 1, found


@pytest.mark.guarantee(6)
def test_what_may_be_a_secret_is_not_repeated() -> None:
    """A key that was written into the file by mistake does not reach the log with the error."""
    training = "{endpoint: [canary-1], key: [canary-2]}"
    head = f"version: 1\nvision: {{a: {{project: canary, training: {training}}}}}\nrules: []\n"
    said = " ".join(wrong(head=head))
    assert "vision.a.training.key" in said
    assert "canary-" not in said
    hook = "{kind: webhook, url: 'https://x.example', headers: {Authorization: 4711}}"
    (said,) = wrong(head=f"version: 1\nchannels: {{a: {hook}}}\nrules: []\n")[:1]
    assert "4711" not in said


def test_a_mistake_is_not_followed_by_others_that_it_causes() -> None:
    """A step whose name is misspelt still has its id."""
    do = "[{trian: {id: x}}, {say: {channel: mail, title: '{{ steps.x.a }}'}}]"
    assert wrong(rule("a", do=do)) == ['unknown step "trian" (did you mean "train"?)']


def test_everything_is_said_at_once_in_order() -> None:
    """Mistakes in every part of a file are found in one reading, each at its line and column."""
    text = HEAD + (
        "  - name: a\n"
        "    on: RunFaild\n"
        "    do:\n"
        "      - say: {channel: oncal, times: lots}\n"
        "  - name: a\n"
        "    on: RunFailed\n"
        "    where:\n"
        "      run.status: {StringIn: x}\n"
        "    do: [nothin]\n"
    )
    places = [(problem.line - LINE, problem.column) for problem in problems(text)]
    assert places == [(1, 9), (3, 24), (3, 38), (4, 11), (7, 30), (8, 10)]
    with pytest.raises(RulesError) as caught:
        load(text, ACTIONS, "rules.yaml")
    first = f'rules.yaml:{LINE + 1}:9: error: unknown kind "RunFaild" (did you mean "RunFailed"?)'
    assert str(caught.value).splitlines()[0] == first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            rule("a", more="where: {data.modelTag.x: {StringIn: [x]}}"),
            'has data.modelTag.x (did you mean "data.modelTags"?)',
        ),
        (rule("a", more="where: {modelName: {StringIn: [x]}}"), 'has modelName (did you mean "data.modelName"?)'),
        (rule("a", do="[{say: {channel: mail, title: '{{ data.runId }}'}}]"), "no ModelRegistered has data.runId"),
        (rule("a", do="[{say: {channel: mail, title: '{{ runId }}'}}]"), "no ModelRegistered has runId"),
        (title("{{ model.name if run.id else 1 }}", on="[RunFailed]"), "no RunFailed has model.name"),
        (title("{% if model is defined %}{{ model.name }}{% endif %}", on="RunFailed"), "has model.name"),
        (title("{% if id %}{{ model.name }}{% endif %}", on="RunFailed"), "has model.name"),
        (title("{% for a in kinds %}{{ model.name }}{% endfor %}", on="RunFailed"), "has model.name"),
        (title("{{ id or model.name }}", on="RunFailed"), "has model.name"),
        (title("{{ model.name is string }}", on="RunFailed"), "has model.name"),
    ],
)
def test_a_field_that_no_such_event_has_is_a_warning(text: str, message: str) -> None:
    """The file can be used, and is probably not what was meant."""
    (warning,) = rules(text).warnings
    assert warning.level == "warning"
    assert message in warning.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (title("{{ run.id }}"), "no ModelRegistered has run.id, so this step would always fail"),
        (
            title("{{ model.nam | upper }}"),
            'has model.nam (did you mean "model.name"?), so this step would always fail',
        ),
        (title("{{ 'x' ~ model.nam }}"), "has model.nam"),
        (title("{{ model.nam == 'x' }}"), "has model.nam"),
        (title("{{ model.nam.split('x')[0] }}"), "has model.nam"),
        (title("{% for x in drift.features %}{{ x }}{% endfor %}"), "has drift.features"),
        (
            title("{{ failure.reason }}"),
            "has failure.reason: it is only under on_failure and in what ActionFailed tells",
        ),
        (title("{{ drift.signal }}", on="[RunFailed, RunCanceled]"), "no RunCanceled or RunFailed has drift.signal"),
        (
            rule("a", "RunFailed", do="[train]"),
            "train fills model with {{ model.name }}, and no RunFailed has model.name",
        ),
    ],
)
def test_a_step_that_is_certain_to_fail_is_an_error(text: str, message: str) -> None:
    """What only this program writes, and never for these kinds, is certain not to be there when the step begins."""
    (found,) = wrong(text)
    assert message in found


def test_a_field_that_some_of_the_kinds_have_may_be_there() -> None:
    """Which of its kinds an event is, is known only when it comes."""
    assert rules(title("{{ model.name }}", on="[ModelRegistered, RunFailed]")).warnings == ()


@pytest.mark.parametrize(
    "text",
    [
        rule("a", more="where: {data.modelTags.anything: {StringIn: [x]}}"),
        rule("a", do="[{say: {channel: mail, title: '{{ run.id | default(id) }}'}}]"),
        rule("a", do="[{say: {channel: mail, title: '{% for t in data.modelTags %}{{ t }}{% endfor %}'}}]"),
        rule("a", do="[nothing]").replace(
            "do:", "on_failure: [{say: {channel: mail, title: '{{ failure.step }}'}}], do:"
        ),
        rule("a", "ActionFailed", do="[{say: {channel: mail, title: '{{ action.rule }} {{ failure.reason }}'}}]"),
        rule("a", do="[{say: {channel: '{{ model.name }}', times: '{{ model.version }}', how: '${HOW}'}}]"),
        rule("a", do=f"[{{train: {{factory: '${{F}}', inputs: {{a: '${{{{ x }}}}', b: [1, '{WORKSPACE}']}}}}}}]"),
        rule("a", more="mode: off"),
    ],
)
def test_what_may_be_there_is_no_warning(text: str) -> None:
    """User dictionaries are free, defaults excuse what is missing, and what is known later is judged later."""
    assert rules(text).warnings == ()


def test_a_kind_without_a_declared_source_is_a_warning() -> None:
    """A rule that nobody can ever call is pointed out."""
    loaded = rules(rule("a", "ExportCompleted"), head="version: 1\nrules:\n")
    assert "nothing is declared under vision" in loaded.warnings[0].message


def test_steps_get_ids_and_defaults() -> None:
    """A plain word is a step; ids come from the action's name; defaults with templates are filled in."""
    loaded = rules(
        rule("a", do="[train, {train: }, {train: {id: mine, model: x}}, {say: {channel: mail, title: 't'}}]")
    )
    steps = [(step.id, step.action, step.params) for step in loaded.rules[0].do]
    assert steps == [
        ("train", "train", {"model": "{{ model.name }}"}),
        ("train-2", "train", {"model": "{{ model.name }}"}),
        ("mine", "train", {"model": "x"}),
        ("say", "say", {"channel": "mail", "title": "t"}),
    ]


def test_a_rules_file_is_known_by_its_text() -> None:
    """The hash is of the text; the declared services keep their settings unresolved."""
    loaded = rules(rule("a", more="from: [fraud]"))
    assert len(loaded.hash) == 64
    assert loaded.hash != rules(rule("b")).hash
    assert loaded.declared.vision["fruit"].training.key == "${VISION_KEY}"
    assert loaded.rules[0].sources == {"fraud"}
    assert (loaded.version, loaded.mode, loaded.rules[0].mode) == (1, "live", "live")


# -- limits, cancellations and expectations ---------------------------------------------------------------------------


def test_limits_are_read_as_they_are_meant() -> None:
    """Durations and rates become what they say; paths are kept in their one spelling."""
    more = (
        "limit: {per: [Model.Name, \"data.modelTags['a.b']\"], cooldown: 24h, at_most: 4 per day, "
        "threshold: 3 within 1h, concurrency: replace}, cancel_on: {on: [ModelDeployed], per: source}, "
        "expect: {kind: ModelDeployed, within: 2d}"
    )
    (read,) = rules(rule("a", more=more)).rules
    day = timedelta(days=1)
    assert read.limit == Limit(
        per=("model.name", "data.modelTags['a.b']"),
        cooldown=day,
        at_most=Rate(count=4, within=day),
        threshold=Rate(count=3, within=timedelta(hours=1)),
        concurrency="replace",
    )
    assert read.cancel_on == CancelOn(on=("ModelDeployed",), per=("source",))
    assert read.expect == Expectation(kind="ModelDeployed", within=2 * day)


@pytest.mark.parametrize(
    ("written", "kinds"),
    [
        ("ActionFailed", ("ActionFailed",)),
        ("[ActionFailed, ModelDeployed]", ("ActionFailed", "ModelDeployed")),
        ("{on: ActionFailed}", ("ActionFailed",)),
    ],
)
def test_cancel_on_is_a_kind_or_a_list_or_a_mapping(written: str, kinds: tuple[str, ...]) -> None:
    """All three say what calls an action off."""
    (read,) = rules(rule("a", more=f"cancel_on: {written}")).rules
    assert read.cancel_on == CancelOn(on=kinds)


def test_a_rule_that_only_expects_needs_no_steps() -> None:
    """`expect` is something to do; on_failure without `do` is pointed out."""
    expect = "{name: a, on: ModelRegistered, expect: {kind: ModelDeployed, within: 1h}"
    (read,) = rules(f"{expect}}}").rules
    assert (read.do, read.expect is None) == ((), False)
    note, warning = sorted(rules(f"{expect}, on_failure: [nothing]}}").warnings, key=lambda one: one.level)
    assert (note.level, note.message) == ("note", "without per, any ModelDeployed will do, whatever it is about")
    assert "there is no `do` whose failure on_failure could answer" in warning.message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("limit: 24h", 'limit must be a mapping, not "24h"'),
        ("limit: null", "limit must be a mapping, not null"),
        ("limit: {cooldwn: 24h}", 'unknown key "cooldwn" in limit (did you mean "cooldown"?)'),
        ("limit: {cooldown: 24}", "cooldown must be a duration, such as 90s, 10m, 24h or 7d, not 24"),
        ("limit: {cooldown: PT1H}", "cooldown must be a duration"),
        ("limit: {cooldown: 24 hours}", 'cooldown: must be a duration, such as 90s, 10m, 24h or 7d, not "24 hours"'),
        ("limit: {digest: 0s}", 'digest: must be longer than nothing and at most 366d, not "0s"'),
        ("limit: {at_most: 4}", "at_most must be a number per minute, hour, day, week, such as 4 per day, not 4"),
        (
            "limit: {at_most: 4 a day}",
            'at_most: must be a number per minute, hour, day, week, such as 4 per day, not "4 a',
        ),
        ("limit: {at_most: {count: 4, within: PT1H}}", "at_most must be a number per minute"),
        ("limit: {at_most: 0 per day}", 'at_most: must be at least 1, not "0 per day"'),
        (
            "limit: {threshold: 1 within 1h}",
            'threshold: must wait for 2 events or more: for 1 it is no threshold, not "1',
        ),
        ("limit: {concurrency: skp}", 'concurrency must be skip, queue, replace, not "skp" (did you mean "skip"?)'),
        ("limit: {cooldown: 1h, per: a..b}", '"a..b" is not a path, such as model.name'),
        ("limit: {cooldown: 1h, per: '{{ model.name }}'}", "per takes a path as it is, such as model.name"),
        ("limit: {cooldown: 1h, per: []}", "per is empty"),
        ("limit: {cooldown: 1h, per: 1}", "per must be a text or a list of texts, not 1"),
        ("cancel_on: DriftRecoverd", 'unknown kind "DriftRecoverd" (did you mean "DriftRecovered"?)'),
        ("cancel_on: []", "cancel_on is empty"),
        ("cancel_on: {per: id}", 'cancel_on needs "on"'),
        ("cancel_on: {on: RunFailed, pre: id}", 'unknown key "pre" in cancel_on (did you mean "per"?)'),
        ("expect: ModelDeployed", 'expect must be a mapping, not "ModelDeployed"'),
        ("expect: {kind: ModelDeployed}", 'expect needs "within"'),
        ("expect: {within: 1h}", 'expect needs "kind"'),
        ("expect: {kind: [ModelDeployed, RunFailed], within: 1h}", "expect waits for one kind: write a rule for each"),
        ("expect: {kind: ModelDeployd, within: 1h}", 'unknown kind "ModelDeployd" (did you mean "ModelDeployed"?)'),
    ],
)
def test_what_is_wrong_with_a_limit_is_said_plainly(more: str, message: str) -> None:
    """Each mistake is said once, in words of the rules file."""
    found = wrong(rule("a", more=more))
    assert len([one for one in found if message in one]) == 1, found


def test_what_is_wrong_with_a_limit_is_said_at_its_place() -> None:
    """Line and column are those of the value, not of the rule."""
    text = HEAD + (
        "  - name: a\n    on: ModelRegistered\n    limit:\n      cooldown: 1y\n      per:\n        - run.id\n"
        "    cancel_on:\n      on: RunFaild\n    expect:\n      kind: RunFailed\n      within: 1\n    do: [nothing]\n"
    )
    found = [(problem.line - LINE, problem.column, problem.level) for problem in problems(text)]
    assert found == [(3, 17, "error"), (5, 11, "warning"), (7, 11, "error"), (9, 7, "note"), (10, 15, "error")]


@pytest.mark.parametrize("kind", ["ModelDeployd", "[ModelDeployed, RunFailed]"])
def test_everything_that_is_wrong_with_an_expectation_is_said_at_once(kind: str) -> None:
    """A kind that is none does not hide a time that is none."""
    found = wrong(rule("a", more=f"expect: {{kind: {kind}, within: 2 hours}}"))
    assert len(found) == 2, found
    assert [one for one in found if "within: must be a duration" in one], found


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("limit: {cooldown: 1h, per: run.id}", "no ModelRegistered has run.id"),
        ("limit: {cooldown: 1h, per: [model.name, Model.Name]}", "model.name stands here twice"),
        ("limit: {cooldown: 1h, per: model.name}, cancel_on: RunFailed", "limit's per: no RunFailed has model.name"),
        ("cancel_on: {on: RunFailed, per: model.name}", "no RunFailed has model.name"),
        ("expect: {kind: RunFailed, within: 1h, per: model.name}", "no RunFailed has model.name"),
        ("cancel_on: ReplicaOutdated", "nothing is declared under language, so no ReplicaOutdated is ever heard"),
    ],
)
def test_a_path_that_one_of_both_events_does_not_have_is_a_warning(more: str, message: str) -> None:
    """What is compared must be there in the rule's own events and in those it waits for."""
    (warning,) = rules(rule("a", more=more)).warnings
    assert message in warning.message


def test_templates_know_a_digest_only_where_there_is_one() -> None:
    """A digest is what a limit gathered; anything else that reads it can never be filled in."""
    do = "[{say: {channel: mail, title: '{{ digest | length }}'}}]"
    assert rules(rule("a", more="limit: {digest: 15m}", do=do)).warnings == ()
    (found,) = wrong(rule("a", do=do))
    assert "there is no digest" in found
    assert rules(rule("a", do=do.replace("digest |", "digest | default([]) |"))).warnings == ()


# -- in plain words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        (
            "a:\n  title: Urgent: it failed\n",
            2,
            16,
            'a text with ": " in it must be in quotes: title: "Urgent: it failed"',
        ),
        ("a:\n  password: canary: x\n", 2, 19, 'a text with ": " in it must be in quotes'),
        ("a:\n\tb: 1\n", 2, 1, "a tab: YAML is indented with spaces"),
        ("a:\n  b: 1\n\tc: 1\n", 3, 1, "a tab: YAML is indented with spaces"),
        ("a: @x\n", 1, 4, "a text that begins with @ must be in quotes"),
        (
            "a:\n  b: 1\n   c: 2\n",
            3,
            5,
            "this line is indented deeper than the key above it, which has a value already",
        ),
        ("a:\n    b: 1\n  c: 2\n", 3, 3, "this line is indented like no line of the block that it belongs to"),
        ("a: 1\nbcd\nc: 2\n", 2, 1, "this is no `key: value`, and no part of what stands above it"),
        ("a: - b\n", 1, 4, "a list begins on a line of its own, or is written as [a, b]"),
        ("a: [1, 2\nb: 3\n", 2, 2, "the [ on line 1 is not closed before this, or a comma is missing"),
        ("a: {x: y, title: Run: failed}\n", 1, 21, 'a text with ": " in it must be in quotes'),
        ("a: {x: y,\n  title: Run: failed}\n", 2, 13, 'a text with ": " in it must be in quotes'),
        ("a: [x: y: z]\n", 1, 9, 'a text with ": " in it must be in quotes'),
        ("a: 1\n---\nb: 1\n", 2, 1, "another document begins here, and a rules file is one"),
        ("a: {x: 1 y: 2}\n", 1, 11, "the { on line 1 is not closed before this, or a comma is missing"),
        ('a: "abc\nb: 1\n', 1, 4, "the quote that begins here is never closed"),
        ("a: 'it's'\n", 1, 8, "something follows the end of a value: put the whole of it in one pair of quotes"),
        ('a: "C:\\path"\n', 1, 7, "in double quotes a backslash is written twice"),
        ("a:\n  - b\n  c: 1\n", 3, 3, "this line is part of the list above it and not an element"),
        ("a: * x\n", 1, 5, "a text that begins with * or & must be in quotes"),
        ("a: ]\n", 1, 4, "this ] closes nothing"),
    ],
)
def test_what_is_no_yaml_is_said_in_plain_words(text: str, line: int, column: int, message: str) -> None:
    """Nobody has to know the grammar of YAML to put a comma in."""
    (problem,) = problems(text)
    assert (problem.line, problem.column) == (line, column)
    assert problem.message.startswith(f"this is not YAML: {message}")
    assert "canary" not in problem.message


def test_names_that_are_not_declared_list_those_that_are() -> None:
    """Where none is near and they are few, all of them are said; a step is told by its action's name."""
    (found,) = wrong(rule("a", do="[{say: {channel: pager}}]"))
    assert found == 'no "pager" is declared under channels: there is oncall, mail'
    text = rule("a", do="[run.data_factory, {say: {channel: mail, title: '{{ steps.run.status }}'}}]")
    with pytest.raises(RulesError) as caught:
        load(HEAD + f"  - {text}\n", SPENDING, "rules.yaml")
    said = [problem.message for problem in caught.value.problems if problem.level == "error"]
    assert said == ['no step "run" comes before this one: give run.data_factory `id: run`']


def test_what_a_parameter_stands_for_is_said_where_its_form_is_wrong() -> None:
    """A pattern is for programs; people get the parameter's description."""
    text = "{name: a, on: ModelRegistered, from: fraud, do: [deploy.batch_endpoint: {endpoint: 1-x, compute: cpu}]}"
    with pytest.raises(RulesError) as caught:
        load(HEAD + f"  - {text}\n", REAL_ACTIONS, "rules.yaml")
    (problem,) = caught.value.problems
    assert problem.message.startswith('endpoint: "1-x" has not the form that is wanted (The endpoint')


def test_the_filter_of_a_gate_is_checked() -> None:
    """It may ask for the steps before it, and its mistakes are said like those of a rule's filter."""
    text = "{{name: a, on: ModelRegistered, do: [{{alert: {{id: x, channel: mail}}}}, gate: {{where: {where}}}]}}"

    def said(where: str) -> list[str]:
        try:
            found = list(load(HEAD + f"  - {text.format(where=where)}\n", REAL_ACTIONS, "rules.yaml").warnings)
        except RulesError as error:
            found = error.problems
        return [problem.message for problem in found]

    assert said("{steps.x.channel: {StringIn: [teams]}, live.model.version: {StringIn: ['{{ model.version }}']}}") == []
    assert any('"StringIm"' in one for one in said("{model.name: {StringIm: [a]}}"))
    assert any('"y"' in one for one in said("{steps.y.channel: {StringIn: [a]}}"))


# -- any text ---------------------------------------------------------------------------------------------------------

KEYS = [
    *("name", "on", "from", "where", "do", "on_failure", "mode", "say", "train", "channel", "kind", "StringIn"),
    *("inputs", "id", "url", "project", "data.x", "workspaces", "channels", "vision"),
]

yaml_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["{{ id }}", "{{", "${X}", "${", "RunFailed", "nothing", "fraud", "say", "oncall", "steps"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def never_raises_anything_else(text: str) -> None:
    """Load a text; only RulesError may come of it."""
    found = []
    try:
        load(text, ACTIONS, "rules.yaml")
    except RulesError as error:
        found = error.problems or [Problem(0, 0, "nothing was said")]
    assert all(problem.line > 0 and problem.column > 0 for problem in found)


@pytest.mark.guarantee(5)
@given(st.text())
@example("? [a]\n: b")
@example("%YAML 9.9\n---\na")
@example("\ufeffversion: 1\nrules: []")
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the loader raise anything but RulesError."""
    never_raises_anything_else(text)


@pytest.mark.guarantee(5)
@given(st.text(alphabet="{}[]:,-?&*!|>'\"%@`# \n\tab1$", max_size=80))
def test_any_punctuation_is_read_or_refused(text: str) -> None:
    """The same for texts that are nearly YAML, alone and inside a rule."""
    never_raises_anything_else(text)
    never_raises_anything_else(f"{HEAD}  - name: a\n    on: RunFailed\n    do:\n      - say: {text}\n")


@pytest.mark.guarantee(5)
@given(
    st.dictionaries(st.sampled_from(["workspaces", "vision", "channels", "factories", "language", "mode"]), yaml_values)
)
def test_any_declarations_are_read_or_refused(sections: dict[str, Any]) -> None:
    """The same for values of any shape in the place of declarations."""
    never_raises_anything_else(yaml.safe_dump({"version": 1, "rules": [], **sections}))


@pytest.mark.guarantee(5)
@given(st.lists(yaml_values | st.fixed_dictionaries({"name": yaml_values, "on": yaml_values, "do": yaml_values})))
def test_any_rules_are_read_or_refused(written: list[Any]) -> None:
    """The same for values of any shape in the place of rules."""
    never_raises_anything_else(HEAD + yaml.safe_dump(written) if written else HEAD)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("startswith", "StringBeginsWith"), ("equals", "StringIn"), ("StringEquals", "StringIn"), ("exists", "IsNotNull")],
)
def test_words_of_other_languages_are_understood(written: str, meant: str) -> None:
    """What another rule language calls an operator leads to Event Grid's word for it, never to its opposite."""
    assert did_you_mean(written, OPERATORS) == f' (did you mean "{meant}"?)'


def test_who_approves_is_never_said_by_an_event() -> None:
    """A template under `by` would have the event choose who decides about it; a setting may stand there."""
    text = (
        f"version: 1\nworkspaces: {{fraud: {WORKSPACE}}}\nrules:\n"
        '  - {name: a, on: ModelRegistered, from: [fraud], do: [approval: {by: ["{{ model.tags.owner }}"]}]}\n'
    )
    with pytest.raises(RulesError, match="by of approval is said here, and never by an event"):
        load(text, REAL_ACTIONS, "rules.yaml")
    assert load(text.replace("{{ model.tags.owner }}", "${LEADS}"), REAL_ACTIONS, "rules.yaml").rules


# -- the real actions -------------------------------------------------------------------------------------------------

CHANNELS = """channels:
  team: {kind: teams, url: "${T}"}
  mail: {kind: email, to: [a@example.com]}
  bus: {kind: event_grid, endpoint: "${E}"}
  hook: {kind: webhook, url: "${H}"}
  row: {kind: queue, url: "${Q}"}
  people: {kind: route, by: model.name, begins_with: {a: team}, otherwise: mail}
  some: {kind: route, by: model.name, begins_with: {a: team}, otherwise: bus}
  all: {kind: route, by: model.name, begins_with: {a: hook}, otherwise: bus}
rules:
"""


def told(do: str) -> list[tuple[str, str]]:
    """Load a rule of real actions and give what is said of it."""
    head = HEAD.partition("channels:")[0] + CHANNELS
    text = f"{head}  - {{name: a, on: ModelRegistered, where: {{id: {{IsNotNull: true}}}}, do: {do}}}\n"
    try:
        found = list(load(text, REAL_ACTIONS, "rules.yaml").warnings)
    except RulesError as error:
        found = error.problems
    return [(problem.level, problem.message) for problem in found]


@pytest.mark.parametrize(
    ("channel", "level", "message"),
    [
        ("team", "error", 'forward wants a channel of kind event_grid, webhook or queue, and "team" is of kind teams'),
        ("mail", "error", '"mail" is of kind email'),
        (
            "people",
            "error",
            '"team" is of kind teams and "mail" is of kind email, to which the route "people" can lead',
        ),
        ("some", "warning", '"team" is of kind teams, to which the route "some" can lead'),
    ],
)
def test_an_event_is_forwarded_only_to_what_takes_events(channel: str, level: str, message: str) -> None:
    """A chat takes no events; a route that leads to some place that does is only doubtful."""
    ((said, words),) = told(f"[{{forward: {{to: {channel}}}}}]")
    assert said == level
    assert message in words


@pytest.mark.parametrize("channel", ["bus", "hook", "row", "all", "'${C}'", "'{{ model.name }}'"])
def test_an_event_can_be_forwarded(channel: str) -> None:
    """To a topic, a webhook and a queue, to a route that leads there, and to what is known only later."""
    assert told(f"[{{forward: {{to: {channel}}}}}]") == []


def test_forward_can_send_to_what_it_says_that_it_takes() -> None:
    """The kinds that are checked are those that there is a sender for."""
    kinds = {kind for model in SENDERS for kind in get_args(model.model_fields["kind"].annotation)}  # type: ignore[attr-defined]  # a key is a declared channel
    assert kinds == set(TAKE_EVENTS)


@pytest.mark.parametrize(
    ("step", "text", "message"),
    [
        ("alert: {channel: team, id: s}", "{{ steps.s.chanel }}", 'step "s" gives no chanel (did you mean "channel"?)'),
        ("alert: {channel: team, id: s}", "{{ steps.s.x | default(1) }}", 'step "s" gives no x: it gives channel'),
        ("approval: {by: [a@b.c], id: s}", "{{ steps.s.who }}", 'step "s" gives no who: it gives by, reason, at'),
        ("approval: {by: [a@b.c]}", "{{ steps.approval.By }}", 'no By (did you mean "by"?)'),
        (
            "run.data_factory: {factory: etl, pipeline: p, id: s}",
            "{{ steps.s.links.studo }}",
            'step "s" gives no links.studo (did you mean "links.studio"?)',
        ),
    ],
)
def test_a_result_that_no_such_step_gives_is_a_warning(step: str, text: str, message: str) -> None:
    """Each step says what it gives, and a slip of the pen is found before the step fails by it."""
    ((level, said),) = told(f'[{{{step}}}, {{alert: {{channel: team, title: "{text}"}}}}]')
    assert (level, message in said) == ("warning", True), said


@pytest.mark.parametrize("text", ["steps.s.tags.anything", "steps.s.links", "steps.s", "steps.s.tags.items() | list"])
def test_a_result_and_what_is_in_it_is_no_warning(text: str) -> None:
    """Somebody's own keys may be anything."""
    deploy = "deploy.batch_endpoint: {endpoint: abc, compute: c, id: s}"
    assert told(f'[{{{deploy}}}, {{alert: {{channel: team, title: "{{{{ {text} }}}}"}}}}]') == []


def test_the_reference_names_the_results_that_the_steps_state() -> None:
    """What `rules check` knows of each step's results is what its section in docs/rules.md lists."""
    page = Path("docs/rules.md").read_text(encoding="utf-8")
    for action, target in REAL_ACTIONS.items():
        section = page.partition(f"\n### `{action}`\n")[2].partition("\n### ")[0]
        line = next(line for line in section.splitlines() if line.startswith("Results: "))
        assert tuple(re.findall(r"`([^`]+)`", line)) == parameters(target).results, action


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("approval: {by: [credit leads]}", 'nobody can be named like "credit leads": an address, the object id of'),
        ("approval: {by: ['a@b@c']}", "nobody can be named like"),
        ("alert: {channel: team, link: not-a-url}", '"not-a-url" is no URL: a link begins with https:// and a host'),
        ("alert: {channel: team, link: 5}", "5 is no URL"),
        ("alert: {channel: team, link: 'https://'}", "is no URL"),
    ],
)
def test_a_parameter_that_is_hardly_meant_is_a_warning(step: str, message: str) -> None:
    """Nobody has such a name, and nobody can follow such a link."""
    ((level, said),) = told(f"[{{{step}}}]")
    assert (level, message in said) == ("warning", True), said


@pytest.mark.parametrize(
    "step",
    [
        "approval: {by: [a@b.c, 7b6f2f0a-0000-4000-8000-6d6c2d6c6561, '${LEADS}', Reactor.Operator]}",
        "alert: {channel: team, link: 'https://x.example/{{ id }}'}",
        "alert: {channel: team, link: '${LINK}'}",
        "alert: {channel: team, link: '{{ source }}'}",
        "alert: {channel: team, link: ''}",
    ],
)
def test_a_parameter_that_may_be_meant_is_no_warning(step: str) -> None:
    """Addresses, ids, roles and settings may be somebody; a template may become a link."""
    assert told(f"[{{{step}}}]") == []


def test_a_time_to_decide_is_a_duration() -> None:
    """A number has no unit, and says so like any other duration."""
    (found,) = told("[{approval: {by: [a@b.c], within: 24}}]")
    assert found == ("error", "within: must be a duration, such as 90s, 10m, 24h or 7d, not 24")
