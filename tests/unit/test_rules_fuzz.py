"""Whatever a rules file holds, it is read or refused, soon, at places that it has; and what is read can be used."""

import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.event_files import read_events
from cli.rules.checking import excerpt, offending
from cli.tables import leave
from shared.events import Event
from shared.handlers import ACTIONS
from shared.rules import Problem, Rules, RulesError, load
from shared.rules.filters import OPERATORS
from shared.rules.kinds import KINDS
from shared.rules.unreadable import BREAK
from tests.unit.rules_samples import HEAD

ROOT = Path(__file__).parents[2]
LONGEST = 5.0
"""Seconds that any file may take, on a slow machine at a bad moment."""

WHOLE = (
    HEAD
    + """
  - name: everything
    on: [DriftDetected, ModelRegistered]
    from: fraud
    where:
      any: [{drift.signal: {StringIn: [a, "${B}"]}}, {not: {model.name: {StringBeginsWith: [x]}}}]
      data.modelTags['team.owner']: {StringIn: &owners [risk, fraud]}
    limit: {per: [drift.monitor, model.name], cooldown: 24h, at_most: 4 per day, threshold: 3 within 1h, digest: 15m}
    cancel_on: {on: DriftRecovered, per: drift.monitor}
    expect: {kind: RunCompleted, within: 2h}
    mode: dry_run
    do:
      - gate: {where: {data.modelTags.stage: {StringIn: *owners}}, reason: "not {{ model.name }}"}
      - run.data_factory: {id: retrain, factory: etl, pipeline: p, parameters: {a: "{{ drift.signal | upper }}", b: 1}}
      - alert: {channel: oncall, title: "{{ steps.retrain.status }} {{ digest | length }}", severity: error}
    on_failure:
      - alert: {channel: mail, text: '{{ failure.reason | default("", true) }}'}
"""
)
TEXTS = [
    WHOLE,
    *(path.read_text("utf-8") for path in sorted(ROOT.glob("examples/*/rules.yaml"))),
    (ROOT / "dev/demo/rules.yaml").read_text("utf-8"),
]
INSERTED = [
    *("\t", "\n", "{", "}", "[", "]", ": ", "- ", "&a ", "*a ", "!!x ", "? ", "|", ">", "#", "'", '"', "\\", "%", "@"),
    *(
        "{{ ",
        " }}",
        "{% ",
        "${",
        "$X",
        "\r",
        "\r\n",
        "\x00",
        "\x85",
        "\u2028",
        "\ufeff",
        "\ud800",
        "é",
        "🙂",
        "---\n",
        "...",
    ),
    *("null", "1", "1e999", "true", "id: ", "where: ", "limit: ", "{{ [1] * 9 }}", "<<: *a", "0s", "{{ x.y[1:] }}"),
]

change = st.one_of(
    st.tuples(st.just("insert"), st.integers(0, 10_000), st.sampled_from(INSERTED)),
    st.tuples(st.just("delete"), st.integers(0, 10_000), st.integers(1, 12)),
    st.tuples(st.just("drop"), st.integers(0, 200), st.integers(1, 2)),
    st.tuples(st.just("twice"), st.integers(0, 200), st.integers(1, 3)),
    st.tuples(st.just("swap"), st.integers(0, 200), st.integers(0, 200)),
    st.tuples(st.just("indent"), st.integers(0, 200), st.sampled_from([" ", "  ", "\t"])),
)


def changed(text: str, how: tuple[str, int, Any]) -> str:
    """Change a text in one way."""
    name, at, what = how
    if name in {"insert", "delete"}:
        at %= len(text) + 1
        return text[:at] + what + text[at:] if name == "insert" else text[:at] + text[at + what :]
    lines = text.split("\n")
    at %= len(lines)
    if name == "drop":
        del lines[at : at + what]
    elif name == "twice":
        lines[at:at] = lines[at : at + what]
    elif name == "swap":
        other = what % len(lines)
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines[at] = what + lines[at]
    return "\n".join(lines)


@cache
def events() -> tuple[Event, ...]:
    """Read one event of each sort that is met on the wire."""
    found: list[Event] = []
    for file in sorted((ROOT / "tests/events").iterdir()):
        read = read_events(file.read_text("utf-8-sig"), file.name)
        found += read if isinstance(read, list) else [read]
    return tuple(found)


def read_or_refused(text: str) -> Rules | None:
    """Load a text: only RulesError may come of it, soon, and each problem has a place in the text."""
    began = time.monotonic()
    loaded: Rules | None = None
    try:
        loaded = load(text, ACTIONS, "rules.yaml")
        problems: list[Problem] = list(loaded.warnings)
    except RulesError as error:
        problems = error.problems
        assert any(problem.level == "error" for problem in problems)
    assert time.monotonic() - began < LONGEST
    lines = BREAK.split(text.removeprefix("\ufeff"))
    for problem in problems:
        assert 1 <= problem.line <= len(lines), (problem, text)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, (problem, text)
        assert problem.message
    for problem in problems[:20]:
        offending(lines, problem)
        assert len(list(excerpt(lines, problem, leave))) in {0, 2}
    assert time.monotonic() - began < LONGEST
    return loaded


def usable(loaded: Rules) -> None:
    """Ask rules about every event: an answer comes, as data, and `match` and `explain` agree."""
    began = time.monotonic()
    bound = loaded.bind({"B": "b"})
    for event in events():
        explanation = bound.explain(event)
        json.dumps(explanation.json())
        answering = [one.rule.name for one in explanation.rules if one.because is None]
        assert [rule.name for rule in bound.match(event)] == answering
        for one in explanation.rules:
            assert one.because is None or one.because.show()
    assert time.monotonic() - began < LONGEST


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_the_texts_that_are_changed_are_in_order() -> None:
    """What is changed is worth changing: every text loads, and the first uses the whole language."""
    for text in TEXTS:
        loaded = read_or_refused(text)
        assert loaded
        usable(loaded)


@pytest.mark.guarantee(5)
@FUZZ
@given(st.sampled_from(TEXTS), st.lists(change, min_size=1, max_size=4))
def test_a_changed_file_is_read_or_refused(text: str, changes: list[tuple[str, int, Any]]) -> None:
    """A file with a few slips in it: lines gone, doubled or swapped, signs of YAML and of templates anywhere."""
    for how in changes:
        text = changed(text, how)
    loaded = read_or_refused(text)
    if loaded:
        usable(loaded)


# -- structures -------------------------------------------------------------------------------------------------------

words = st.sampled_from(
    [
        *(
            "fraud",
            "fruit",
            "etl",
            "oncall",
            "mail",
            "a",
            "",
            "x" * 600,
            "${B}",
            "${",
            "{{ id }}",
            "{{ steps.a.b }}",
            "{{",
        ),
        *("24h", "0s", "4 per day", "3 within 1h", "skip", "queue", "1", "P1D", "*", "models/", "Failed", "ümlaut"),
    ]
)
kinds = st.sampled_from(sorted(KINDS))
paths = st.sampled_from(
    [
        *("model.name", "run.status", "data.modelTags['team.owner']", "drift.coefficient", "subject", "kinds", "id"),
        *("action.rule", "data", "workspace.name", "a..b", "", "steps.a.b", "live.model.tags", "drift.features"),
    ]
)
plain = st.none() | st.booleans() | st.integers(-9, 10**20) | st.floats(allow_nan=False) | words
operands = plain | st.lists(plain | st.lists(plain, max_size=3), max_size=4)
conditions = st.dictionaries(
    paths, st.dictionaries(st.sampled_from(sorted(OPERATORS)), operands, max_size=2), max_size=2
)
where = st.recursive(
    conditions,
    lambda inner: st.fixed_dictionaries(
        {}, optional={"any": st.lists(inner, max_size=3), "all": st.lists(inner, max_size=3), "not": inner}
    ),
    max_leaves=5,
)
per = paths | st.lists(paths, max_size=3)
limit = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("cooldown", "debounce", "digest"), st.sampled_from(["1h", "10m", "24h", "1d", "0s", 5])),
        "at_most": st.sampled_from(["4 per day", "1 per hour", "0 per day", 4]),
        "threshold": st.sampled_from(["3 within 1h", "1 within 1h", "3"]),
        "concurrency": st.sampled_from(["skip", "queue", "replace", "skp"]),
        "per": per,
    },
)
steps = st.lists(
    st.sampled_from(sorted(ACTIONS))
    | st.dictionaries(
        st.sampled_from([*sorted(ACTIONS), "alrt"]),
        plain
        | st.fixed_dictionaries(
            {},
            optional={
                **dict.fromkeys(("id", "channel", "factory", "pipeline", "title", "endpoint", "to", "text"), plain),
                "where": where,
                "by": st.lists(words, max_size=2),
                "within": words,
                "parameters": st.dictionaries(words, plain, max_size=2),
            },
        ),
        min_size=1,
        max_size=2,
    ),
    max_size=3,
)
rule = st.fixed_dictionaries(
    {"name": words, "on": kinds | st.lists(kinds, max_size=3)},
    optional={
        "from": words | st.lists(words, max_size=2),
        "where": where | plain,
        "limit": limit | plain,
        "cancel_on": kinds | st.fixed_dictionaries({"on": kinds}, optional={"per": per}) | plain,
        "expect": st.fixed_dictionaries({"kind": kinds, "within": words}, optional={"per": per}) | plain,
        "mode": st.sampled_from(["live", "off", "dry_run", True]),
        "do": steps,
        "on_failure": steps,
    },
)


@pytest.mark.guarantee(5)
@FUZZ
@given(st.lists(rule, min_size=1, max_size=4))
def test_rules_of_any_shape_are_read_or_refused(written: list[Any]) -> None:
    """Every key of a rule with values that are right, nearly right, and of another shape altogether."""
    for position, one in enumerate(written):
        if isinstance(one["name"], str) and position:
            one["name"] = f"{one['name'][:20]}{position}"
    loaded = read_or_refused(HEAD + yaml.safe_dump(written, allow_unicode=True, sort_keys=False))
    if loaded:
        usable(loaded)


@pytest.mark.guarantee(5)
@FUZZ
@given(st.lists(rule, min_size=1, max_size=3))
def test_a_rule_that_can_be_saved_is_usable(written: list[Any]) -> None:
    """Rules that are in order but for their rarest keys: they load, and answer any event."""
    kept = []
    for position, one in enumerate(written):
        sound = {"name": f"r{position}", "on": one["on"] or "RunFailed", "do": [{"alert": {"channel": "mail"}}]}
        for key in ("where", "limit", "cancel_on", "expect"):
            if key in one and read_or_refused(HEAD + yaml.safe_dump([sound | {key: one[key]}], sort_keys=False)):
                sound[key] = one[key]
        kept.append(sound)
    loaded = read_or_refused(HEAD + yaml.safe_dump(kept, sort_keys=False))
    assert loaded
    usable(loaded)


# -- bombs ------------------------------------------------------------------------------------------------------------


def in_a_rule(do: str) -> str:
    """Write a rule around its steps."""
    return f"{HEAD}  - name: a\n    on: RunFailed\n    do:\n      - alert: {do}\n"


LEVELS = "\n".join([f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)])
BOMBS = {
    "aliases": f"version: 1\nlanguage:\n  a0: &a0 [x, x]\n{LEVELS}\nrules: []\n",
    "aliases in a rule": HEAD
    + "  - &r {name: a, on: &k [RunFailed, RunFailed], do: &d [*k, *k, *k]}\n"
    + "  - *r\n" * 5_000,
    "an alias of itself": HEAD + "  - &r {name: a, on: RunFailed, where: {all: [&w {any: [*w]}]}, do: [alert]}\n",
    "a power": in_a_rule('{channel: mail, title: "{{ 9 ** 9 ** 9 ** 9 }}"}'),
    "a product": in_a_rule("{channel: mail, title: \"{{ 'x' * 999999999 }}\"}"),
    "a range": in_a_rule('{channel: mail, title: "{% for a in range(999999999) %}x{% endfor %}"}'),
    "loops in loops": in_a_rule(
        '{channel: mail, title: "'
        + "{% for a in kinds %}" * 12
        + "{% for a in 'x' * 9 %}"
        + "x"
        + "{% endfor %}" * 13
        + '"}'
    ),
    "brackets": in_a_rule('{channel: mail, title: "{{ ' + "(" * 5_000 + '1 }}"}'),
    "filters": in_a_rule('{channel: mail, title: "{{ id' + " | upper" * 5_000 + ' }}"}'),
    "operators": in_a_rule('{channel: mail, title: "{{ 1' + " + 1" * 4_000 + ' }}"}'),
    "templates": in_a_rule("{channel: mail, title: x, text: [" + '"{{ id }}", ' * 20_000 + "]}"),
    "conditions": HEAD + "  - {name: a, on: RunFailed, do: [alert], where: " + "{not: " * 30 + "{}" + "}" * 31 + "\n",
    "alternatives": (
        HEAD
        + "  - name: a\n    on: RunFailed\n    do: [{alert: {channel: mail}}]\n    where:\n      any:\n"
        + "        - {run.id: {StringIn: [a]}}\n" * 5_000
    ),
    "names": HEAD + "".join(f"  - {{name: n{n}, on: RunFaild, do: [alrt]}}\n" for n in range(2_000)),
    "the same": HEAD
    + "".join(f"  - {{name: n{n}, on: ActionSucceeded, do: [{{alert: {{channel: mail}}}}]}}\n" for n in range(1_500)),
    "a long word": HEAD + f"  - {{name: a, on: {'x' * 500_000}, do: [{'y' * 400_000}]}}\n",
    "keys": "version: 1\nrules: []\nchannels:\n" + "".join(f"  c{n}: {{kind: teem}}\n" for n in range(3_000)),
}


@pytest.mark.guarantee(5)
@pytest.mark.parametrize("bomb", BOMBS)
def test_no_bomb_goes_off(bomb: str) -> None:
    """What would grow without bound is refused, or read for what it is, in seconds."""
    loaded = read_or_refused(BOMBS[bomb])
    if loaded:
        usable(loaded)
