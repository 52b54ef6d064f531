"""What a rules file can say and hardly means is pointed out, and only where that is certain."""

import pytest

from shared.handlers import ACTIONS
from shared.rules import RulesError, load
from tests.unit.rules_samples import HEAD, SPENDING, rule, rules

ANYTHING = "where: {model.name: {IsNotNull: true}}"


def doubts(*texts: str, head: str = HEAD) -> list[str]:
    """Load rules and give the warnings about them."""
    found = load(head + "".join(f"  - {text}\n" for text in texts), SPENDING, "rules.yaml").warnings
    return [problem.message for problem in found if problem.level == "warning"]


# -- what is declared -------------------------------------------------------------------------------------------------


def said(declarations: str) -> list[str]:
    """Give what is said about declarations, errors included."""
    text = f"version: 1\n{declarations}\nrules: []\n"
    try:
        found = load(text, SPENDING, "rules.yaml").warnings
    except RulesError as error:
        found = tuple(error.problems)
    return [problem.message for problem in found]


@pytest.mark.parametrize(
    ("declarations", "message"),
    [
        ("workspaces: {a: $FRAUD}", 'workspaces.a is no setting (did you mean "${FRAUD}"?)'),
        ("workspaces: {a: $(FRAUD)}", 'workspaces.a is no setting (did you mean "${FRAUD}"?)'),
        ('workspaces: {a: "%FRAUD%"}', 'workspaces.a is no setting (did you mean "${FRAUD}"?)'),
        ("channels: {a: {kind: teams, url: example.com/hook}}", "channels.a.url is no URL"),
        ("channels: {a: {kind: teams, url: 'https://'}}", "channels.a.url is no URL"),
        ("channels: {a: {kind: teams, url: 'https://x.example/h?sig=canary'}}", "channels.a.url holds a secret"),
        (
            "channels: {a: {kind: slack, url: 'https://hooks.slack.com/services/canary'}}",
            "channels.a.url holds a secret",
        ),
        ("channels: {a: {kind: webhook, url: 'https://x.example', secret: canary}}", "and it is not base64"),
        (
            "channels: {a: {kind: webhook, url: 'https://x.example', secret: whsec_YWJj}}",
            "a.secret is written in plain text",
        ),
        (
            "channels: {a: {kind: webhook, url: 'https://x.example', headers: {X-Api-Key: canary}}}",
            "the header X-Api-Key is written in plain text",
        ),
        ("channels: {a: {kind: smtp, to: [x], host: h, sender: s, password: $canary}}", "a.password is no setting"),
        (
            "channels: {a: {kind: event_grid, endpoint: 'https://x.example', key: canary}}",
            "a.key is written in plain text",
        ),
        (
            "vision: {a: {project: '${P}', training: {endpoint: 'https://x.example', key: canary}}}",
            "vision.a.training.key is written in plain text",
        ),
    ],
)
@pytest.mark.guarantee(6)
def test_what_is_hardly_meant_is_said_and_no_secret_with_it(declarations: str, message: str) -> None:
    """A setting without its braces, a URL that is none, a secret that anyone can read: at its place, never shown."""
    found = said(declarations)
    assert [one for one in found if message in one], found
    assert "canary" not in " ".join(found)


@pytest.mark.parametrize(
    "declarations",
    [
        "workspaces: {key: '${KEY}'}",
        "channels: {a: {kind: webhook, url: 'https://x.example/${TOKEN}', secret: '${S}', headers: {X-Key: '${K}'}}}",
        "channels: {a: {kind: webhook, url: 'https://x.example', headers: {X-Team: risk}}}",
        "channels: {a: {kind: queue, url: 'http://127.0.0.1:10001/a/b'}}",
        "channels: {a: {kind: event_grid, endpoint: 'https://x.example', key: null}}",
        "channels: {secret: {kind: slack, url: '${URL}'}}",
    ],
)
def test_what_is_meant_is_left_alone(declarations: str) -> None:
    """Settings, addresses of this machine, harmless headers, and names that sound like a secret."""
    assert said(declarations) == []


# -- what costs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["run.data_factory", "deploy.model"])
@pytest.mark.parametrize("place", ["do", "on_failure"])
def test_spending_on_everything_is_doubted(step: str, place: str) -> None:
    """A step that costs, for every event of a kind from everywhere."""
    do = f"[{step}]" if place == "do" else "[nothing]"
    more = f"on_failure: [{step}]" if place == "on_failure" else ""
    (found,) = doubts(rule("a", more=more, do=do))
    meant = "say in `from` or `where` which are meant"
    assert found == f"every ModelRegistered sets off {step}, which costs or changes what is live: {meant}"


VISION = "{project: 00000000-0000-0000-0000-000000000000, training: {endpoint: 'https://f.example', key: k}}"
FORCED = "train.vision: {force: true}"
EXPORT = "export.vision: {platforms: [ONNX]}"


def never_ends(*texts: str) -> list[str]:
    """Give what is said about rules that Custom Vision would keep going."""
    head = f"version: 1\nvision: {{fruit: {VISION}, pear: {VISION.replace('0}', '1}')}}}\nrules:\n"
    found = load(head + "".join(f"  - {text}\n" for text in texts), ACTIONS, "rules.yaml").warnings
    return [
        one.message for one in found if "begins another" in one.message or "asks for the export again" in one.message
    ]


@pytest.mark.parametrize(
    ("on", "do", "warns"),
    [
        ("TrainingCompleted", FORCED, "leave `force` out"),
        ("NotificationMissed", FORCED, "leave `force` out"),
        ("[TrainingCompleted, TrainingFailed]", "train.vision: {project: fruit, force: true}", "leave `force` out"),
        ("TrainingCompleted", "train.vision: {}", ""),
        ("TrainingCompleted", "train.vision: {force: false}", ""),
        ("TrainingCompleted", "train.vision: {project: pear, force: true}", ""),
        ("TrainingFailed", "train.vision", "which may fail as this one"),
        ("TrainingFailed", "train.vision: {type: advanced, budget: 24h}", "which may fail as this one"),
        ("TrainingFailed", "train.vision: {project: pear}", ""),
        ("ExportFailed", EXPORT, "asks for the export again"),
        ("ExportCompleted", EXPORT, ""),
        ("ExportCompleted", FORCED, ""),
    ],
)
def test_what_begins_itself_anew_is_doubted(on: str, do: str, warns: str) -> None:
    """A training that fails as the one before, or that is forced, and an export: each ends as the next one begins."""
    found = never_ends(f"{{name: a, on: {on}, from: fruit, do: [{do}]}}")
    assert [warns in one for one in found] == ([True] if warns else [])
    assert never_ends(f"{{name: a, on: {on}, from: fruit, mode: off, do: [{do}]}}") == []


@pytest.mark.parametrize(
    ("limit", "warns"),
    [
        ("at_most: 1 per day", False),
        ("at_most: 1 per hour", False),
        ("at_most: 10 per hour", True),
        ("cooldown: 1h", False),
        ("cooldown: 1h, per: vision.project", False),
        ("cooldown: 1h, per: vision.iteration", True),
        ("cooldown: 1s", True),
        ("concurrency: skip", True),
    ],
)
def test_only_a_limit_that_keeps_trainings_apart_is_one(limit: str, warns: bool) -> None:  # noqa: FBT001 # of a table
    """A training takes longer than a second, and each has another iteration."""
    found = never_ends(f"{{name: a, on: TrainingFailed, from: fruit, limit: {{{limit}}}, do: [train.vision]}}")
    assert bool(found) is warns


def test_a_training_that_comes_back_by_its_exports_is_doubted() -> None:
    """Through another rule that exports whatever is trained, or by an export of its own."""
    exports = f"{{name: a, on: TrainingCompleted, from: fruit, do: [{EXPORT}]}}"
    trains = f"{{name: b, on: ExportCompleted, from: fruit, do: [{FORCED}]}}"
    (found,) = never_ends(exports, trains)
    assert found.startswith('every ExportCompleted begins another training, and what "a" on line 4 exports of it ends')
    (found,) = never_ends(trains.replace("]}", f", {EXPORT}]}}"))
    assert "what this rule exports of it" in found
    for harmless in (
        exports.replace("from: fruit", "from: pear"),
        exports.replace("from: fruit", "from: fruit, mode: off"),
        exports.replace("from: fruit", "from: fruit, limit: {at_most: 1 per day}"),
        exports.replace("TrainingCompleted", "ConnectionTested"),
    ):
        assert never_ends(harmless, trains) == []
    assert never_ends(exports, trains.replace("force: true", "force: false")) == []


@pytest.mark.parametrize("more", ["from: fraud", ANYTHING])
def test_spending_on_what_is_named_is_not_doubted(more: str) -> None:
    """`from` and `where` each say what is meant; a step that costs nothing needs neither."""
    assert doubts(rule("a", more=more, do="[run.data_factory]")) == []
    assert doubts(rule("a")) == []


# -- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("cooldown: 24h, at_most: 4 per day", "at_most can never be reached: the rule acts at most once in"),
        ("cooldown: 6h, at_most: 4 per day", "at_most can never be reached: the rule acts at most once in"),
        ("debounce: 1h, at_most: 24 per day", "at_most can never be reached: the rule acts at most once in"),
        ("debounce: 1h, cooldown: 30m", "a cooldown of 30m can never be reached: debounce keeps"),
        ("digest: 1h, cooldown: 1h", "a cooldown of 1h can never be reached: digest keeps"),
        ("debounce: 10m, digest: 5m", "a digest of 5m never gathers a second event"),
        ("debounce: 5m, digest: 10m", "debounce lets only the newest of a burst through"),
        ("debounce: 10m, threshold: 6 within 50m", "the rule never acts: debounce lets one event through in 10m"),
        ("digest: 1h, threshold: 3 within 1h", "the rule never acts: digest lets one event through in 1h"),
        ("per: id, threshold: 3 within 1h", "the rule never acts: each id comes once"),
        ("per: id, cooldown: 1h, concurrency: skip", "cooldown and concurrency can never be reached: each id"),
        ("per: model.name", "this limit limits nothing"),
        ("{}", "this limit limits nothing"),
    ],
)
def test_a_limit_that_can_never_be_reached_is_doubted(limit: str, message: str) -> None:
    """Two limits of which one leaves the other nothing to do, or which together never let anything through."""
    (found,) = doubts(rule("a", more=f"limit: {limit if limit == '{}' else f'{{{limit}}}'}"))
    assert message in found


@pytest.mark.parametrize(
    "limit",
    [
        "cooldown: 24h, at_most: 4 per day, per: model.name",
        "cooldown: 5h, at_most: 4 per day",
        "debounce: 10m, cooldown: 11m",
        "debounce: 10m, threshold: 6 within 51m",
        "threshold: 3 within 1h, cooldown: 24h",
        "per: [model.name, model.version], concurrency: replace",
        "digest: 15m",
    ],
)
def test_a_limit_that_may_be_reached_is_not_doubted(limit: str) -> None:
    """Where each part of a limit has something to do, nothing is said."""
    assert doubts(rule("a", more=f"limit: {{{limit}}}")) == []


def test_a_limit_for_each_run_is_doubted_where_a_run_comes_once() -> None:
    """Each rule answers RunFailed once for a run; RunStatusChanged comes several times."""
    limit = "limit: {per: run.id, cooldown: 1h}"
    assert "each run.id comes once" in doubts(rule("a", "RunFailed", limit))[0]
    where = "where: {run.status: {StringIn: [Running]}}"
    assert doubts(rule("a", "RunStatusChanged", f"{where}, {limit}")) == []


def test_what_has_nothing_to_do_is_doubted() -> None:
    """Without `do` there is nothing to limit or to call off; and what starts an action should not end it."""
    expect = "expect: {kind: ModelDeployed, within: 1h}"
    found = doubts(f"{{name: a, on: ModelRegistered, limit: {{cooldown: 1h}}, cancel_on: ModelDeployed, {expect}}}")
    assert found == [f"{key} is about the steps of `do`, and this rule has none" for key in ("limit", "cancel_on")]
    (found_too,) = doubts(rule("a", "[RunFailed, RunCompleted]", "cancel_on: RunCompleted"))
    assert found_too.startswith("RunCompleted sets this rule off and calls it off")


# -- rules that hear themselves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (rule("a", "ActionSucceeded"), "ActionSucceeded"),
        (rule("a", "[ModelRegistered, ActionSucceeded]"), "ActionSucceeded"),
        (rule("a", "ActionSkipped", "limit: {cooldown: 1h}"), "ActionSkipped"),
        (rule("a", "ActionCanceled", "cancel_on: ActionSucceeded"), "ActionCanceled"),
        ("{name: a, on: ExpectationMissed, expect: {kind: ModelRegistered, within: 1h}}", "ExpectationMissed"),
    ],
)
def test_a_rule_that_would_hear_its_own_outcome_is_doubted(text: str, kinds: str) -> None:
    """It never answers its own, so it is said; naming the rules that are meant ends the doubt."""
    (found,) = doubts(text)
    assert found.startswith(f"its own actions end as {kinds} too, and a rule never answers its own")
    assert doubts(text.replace("{name: a,", "{name: a, where: {action.rule: {StringNotIn: [a]}},")) == []


def test_telling_of_failures_is_not_doubted() -> None:
    """The rule that everyone needs: its own failure would be out of order; one that runs something may well fail."""
    assert doubts(rule("a", "ActionFailed"), rule("b", "ActionFailed", do="[say: {channel: mail}]")) == []
    assert any("ActionFailed too" in found for found in doubts(rule("a", "ActionFailed", do="[run.data_factory]")))


def test_rules_that_answer_each_other_are_doubted() -> None:
    """Each outcome of one sets the other off; an exception on either side ends that."""
    found = doubts(rule("a", "ActionSucceeded"), rule("b", "ActionSucceeded", do="[say: {channel: mail}]"))
    assert any('this rule and "a" on line' in one and "chain of five" in one for one in found)
    where = "where: {action.rule: {StringNotIn: [a]}}"
    found = doubts(rule("a", "ActionSucceeded"), rule("b", "ActionSucceeded", where, do="[say: {channel: mail}]"))
    assert not any("answer each other" in one for one in found)


def test_a_rule_that_asks_only_for_its_own_outcomes_never_matches() -> None:
    """Nothing else has its name."""
    (found,) = doubts(rule("a", "ActionFailed", "where: {action.rule: {StringIn: [a]}}"))
    assert "a rule never answers its own outcomes" in found


# -- rules that never match, and rules that are the same --------------------------------------------------------------


@pytest.mark.parametrize(
    "where",
    [
        "model.name: {StringIn: [a, b], StringBeginsWith: [c]}",
        "model.name: {StringIn: [a], StringNotIn: [A]}",
        "model.name: {StringBeginsWith: [a], IsNullOrUndefined: true}",
        "model.tags.stage: {StringIn: [a]}, all: [{model.tags.stage: {StringIn: [b]}}]",
        "model.name: {StringBeginsWith: [fraud], IsNotNull: true}, all: [{model.name: {StringBeginsWith: [churn]}}]",
    ],
)
def test_conditions_that_exclude_each_other_are_doubted(where: str) -> None:
    """No value satisfies them all: the rule can never match."""
    (found,) = doubts(rule("a", more=f"where: {{{where}}}"))
    assert found.startswith("this rule can never match: no model.")


@pytest.mark.parametrize(
    ("bounds", "is_doubted"),
    [
        ("NumberGreaterThan: 0.5, NumberLessThan: 0.3", True),
        ("NumberGreaterThan: 0.5, NumberLessThanOrEquals: 0.5", True),
        ("NumberGreaterThan: 0.5, NumberLessThan: 0.6", False),
        ("NumberInRange: [[0, 1], [5, 6]], NumberGreaterThan: 6", True),
        ("NumberInRange: [[0, 1], [5, 6]], NumberGreaterThanOrEquals: 6", False),
        ("NumberIn: [1, 2], NumberNotIn: [1, 2]", True),
    ],
)
def test_numbers_that_exclude_each_other_are_doubted(bounds: str, is_doubted: bool) -> None:  # noqa: FBT001 # a table
    """Bounds between which there is no number."""
    found = doubts(rule("a", "DriftDetected", f"where: {{drift.coefficient: {{{bounds}}}}}"))
    assert any("can never match" in one for one in found) is is_doubted


@pytest.mark.parametrize(
    "where",
    [
        "model.name: {StringIn: [a, b], StringNotIn: [b]}",
        "model.name: {StringBeginsWith: [fraud], StringEndsWith: [x]}",
        "model.name: {StringIn: ['${A}'], StringBeginsWith: [b]}",
        "data.anything.list: {StringIn: [a]}, all: [{data.anything.list: {StringIn: [b]}}]",
        "any: [{model.name: {StringIn: [a]}}, {model.name: {StringIn: [b]}}]",
        "model.name: {StringIn: [a]}, not: {model.name: {StringIn: [b]}}",
    ],
)
def test_conditions_that_may_hold_are_not_doubted(where: str) -> None:
    """Alternatives, settings, and fields that may hold a list: nothing is certain there."""
    assert not [one for one in doubts(rule("a", more=f"where: {{{where}}}")) if "never match" in one]


def test_two_rules_that_do_the_same_are_doubted() -> None:
    """Equal but for their names, and those of their steps; any other difference is one."""
    more = "from: fraud, where: {model.name: {StringIn: [a]}}, limit: {cooldown: 1h}"
    first = rule("a", more=more, do="[say: {channel: mail}]")
    (found,) = doubts(first, rule("b", more=more, do="[say: {channel: mail, id: other}]"))
    assert found == f'this rule does the same as "a" on line {HEAD.count(chr(10)) + 1}'
    for other in (
        rule("b", more=more, do="[say: {channel: oncall}]"),
        rule("b", more=more.replace("[a]", "[b]"), do="[say: {channel: mail}]"),
        rule("b", more=more.replace("1h", "2h"), do="[say: {channel: mail}]"),
        rule("b", more=f"{more}, mode: dry_run", do="[say: {channel: mail}]"),
        rule("b", "ModelDeployed", more="from: fraud", do="[say: {channel: mail}]"),
    ):
        assert doubts(first, other) == []


def test_doubts_have_a_place() -> None:
    """Each is said where its key stands."""
    (found,) = rules(rule("a", more="limit: {cooldown: 24h, at_most: 1 per day}")).warnings
    assert (found.line, found.column) == (HEAD.count("\n") + 1, 36)


# -- what is certain --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "where", "message"),
    [
        ("[RunFailed, RunFailed]", "run.id: {IsNotNull: true}", "RunFailed stands here twice"),
        ("RunFailed", "run.status: {StringIn: [Completed]}", "never match: the run.status of RunFailed is Failed"),
        ("RunCompleted", "run.status: {StringNotIn: [completed]}", "the run.status of RunCompleted is Completed"),
        (
            "[RunFailed, RunCanceled]",
            "run.status: {StringIn: [Running]}",
            "the run.status of RunCanceled and RunFailed is Canceled or Failed",
        ),
        (
            "ActionFailed",
            "action.rule: {StringIn: [retrian]}",
            'no rule of this file is called "retrian" (did you mean "retrain"?)',
        ),
        ("ExpectationMissed", "expectation.rule: {StringIn: [nobody]}", 'no rule of this file is called "nobody"'),
    ],
)
def test_what_can_never_hold_is_said(on: str, where: str, message: str) -> None:
    """A kind named twice, a status that such a run never has, and a rule that nobody wrote."""
    (found,) = doubts(rule("a", on, more=f"where: {{{where}}}"), rule("retrain", more=ANYTHING, do="[train]"))
    assert message in found


@pytest.mark.parametrize(
    ("on", "where"),
    [
        ("RunFailed", "run.status: {StringIn: [failed]}"),
        ("[RunFailed, RunStatusChanged]", "run.status: {StringIn: [Completed]}"),
        ("[RunFailed, RunCanceled]", "run.status: {StringIn: [Canceled]}"),
        ("RunFailed", "run.status: {StringIn: ['${STATUS}']}"),
        ("ActionFailed", "action.rule: {StringIn: [RETRAIN, '${RULE}']}"),
        ("ActionFailed", "action.rule: {StringBeginsWith: [nobody]}"),
    ],
)
def test_what_may_hold_is_no_warning(on: str, where: str) -> None:
    """Case is ignored, a setting is known later, and one of several kinds is enough."""
    assert doubts(rule("a", on, more=f"where: {{{where}}}"), rule("retrain", more=ANYTHING, do="[train]")) == []
