"""A rules file is read as it is meant, or everything that is wrong with it is said at once."""

import time
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from shared.rules import Problem, RulesError, load
from shared.rules.document import compose, value_of
from shared.rules.filters import OPERATORS
from shared.rules.problems import did_you_mean
from tests.unit.rules_samples import ACTIONS, HEAD, WORKSPACE, rule, rules

LINE = HEAD.count("\n") + 1


def problems(text: str) -> list[Problem]:
    """Load a text and give what is wrong with it."""
    with pytest.raises(RulesError) as caught:
        load(text, ACTIONS, "rules.yaml")
    return caught.value.problems


def wrong(*texts: str, head: str = HEAD) -> list[str]:
    """Load rules below the usual head and give the messages."""
    return [problem.message for problem in problems(head + "".join(f"  - {text}\n" for text in texts))]


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
        ("a: [1", 2, 1, "this is not YAML"),
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
        ("channels: {a: {kind: smtp, to: [], host: h, sender: s}}", "channels.a.to: must have at least 1"),
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
        "language: {{a: {{project: p, primary: {{endpoint: e}}, secondary: {{endpoint: '{url}'}}}}}}"
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
    for url in ("https://example.com", "${URL}", "http://${HOST}/x"):
        assert messages(url) == []
    for url in ("http://127.0.0.1:10000/a/b", "http://localhost/x"):
        assert bool(messages(url)) is (place not in STORAGE)


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
        (rule("a", do="[{say: {channel: mail, title: '{{ run.id }}'}}]"), "no ModelRegistered has run.id"),
        (rule("a", do="[{say: {channel: mail, title: '{{ failure.reason }}'}}]"), "has failure.reason"),
        (
            rule("a", "RunFailed", do="[train]"),
            "train fills model with {{ model.name }}, and no RunFailed has model.name",
        ),
    ],
)
def test_a_field_that_no_such_event_has_is_a_warning(text: str, message: str) -> None:
    """The file can be used, and is probably not what was meant."""
    (warning,) = rules(text).warnings
    assert warning.level == "warning"
    assert message in warning.message


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


def test_a_kind_that_nothing_announces_is_warned_about() -> None:
    """A rule for a reserved kind loads, with a warning that it is never answered."""
    loaded = load("version: 1\nrules: [{name: a, on: ReplicaOutdated, do: [nothing]}]", ACTIONS, "r.yaml")
    (warning,) = loaded.warnings
    assert warning.message == "this version announces no ReplicaOutdated: the rule is never answered"
