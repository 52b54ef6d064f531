"""The JSON Schema of rules files: it is current, it accepts what `rules check` accepts, and it catches mistakes."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from cli.main import main
from cli.rules import language, schema
from cli.rules.new import FOLDER
from shared.handlers import ACTIONS
from shared.policy import CancelOn, Expectation, Limit
from shared.rules import RulesError, declared, load, replicated
from shared.rules.declared import Declared
from shared.rules.document import compose, value_of
from shared.rules.filters import OPERATORS
from shared.rules.loading import RULE, TOP
from shared.rules.parameters import parameters
from shared.rules.where import TOP as SUBJECT

ROOT = Path(__file__).parents[2]
FILES = sorted(
    [*ROOT.glob("examples/*/rules.yaml"), ROOT / "rules.yaml", ROOT / "dev/demo/rules.yaml", *FOLDER.glob("*.yaml")]
)
SCHEMA = schema.rules_schema()
VALIDATOR = Draft202012Validator(SCHEMA)

WHOLE = """version: 1
mode: live
workspaces: {fraud: "${FRAUD}"}
factories: {etl: /subscriptions/1/RESOURCEGROUPS/d/providers/Microsoft.DataFactory/factories/etl}
vision: {fruit: {project: "${FRUIT}", training: {endpoint: "https://fruit.example", key: "${KEY}"}, container: "https://a/b"}}
language:
  bot:
    project: EmailApp
    primary: {endpoint: "https://a.example", key: "${KEY}", api_version: 2025-11-01}
    secondary: {endpoint: "${B}"}
    deployments: [production, "${SLOT}"]
    follow: working_copy
    training: {mode: standard, config_version: 2022-09-01, evaluation: {kind: percentage, train: 70, test: 30}}
    proof: {utterances: [{text: read my mail, language: en-us, intent: Read}], sample: 3, agree: 0.9, margin: 0}
    check: 6h
    expiry: 90d
channels:
  oncall: {kind: teams, url: "${ONCALL}"}
  mail: {kind: smtp, to: [a@example.com], host: "${MAIL}", sender: b@example.com, port: "${PORT}"}
  hook: {kind: webhook, url: "https://hook.example", headers: {X-A: b}}
  mine: {kind: queue, url: "http://127.0.0.1:10001/devstoreaccount1/q"}
  owners: {kind: route, by: run.experiment, begins_with: {a: oncall}, otherwise: mail}
rules:
  - name: everything
    on: [DriftDetected, DriftRecovered]
    from: fraud
    where:
      subjectBeginsWith: experiments/
      isSubjectCaseSensitive: true
      drift.signal: {StringEndsWith: [data_drift, "${SIGNAL}"]}
      drift.coefficient: {NumberGreaterThan: 0.3, NumberInRange: [[0, 1]]}
      any: [{run.status: {StringIn: [Failed]}}, {not: {run.root_id: {IsNotNull: true}}}]
    limit: {per: [drift.monitor], cooldown: 24h, at_most: 4 per day}
    cancel_on: {on: DriftRecovered, per: drift.monitor}
    do:
      - approval: {by: [a@example.com], within: 24h, channel: oncall}
      - run.data_factory: {id: retrain, factory: etl, pipeline: 5, parameters: "{{ data.runTags }}"}
      - deploy.batch_endpoint: {model: m, version: 1, endpoint: "{{ run.id }}", compute: cpu, instance_count: "${N}"}
      - gate:
          where:
            live.model.tags.stage: {StringIn: ["{{ data.runTags.stage }}"]}
            steps.retrain.status: {StringNotIn: "{{ drift.features }}"}
            not: {live.model.archived: {BoolEquals: true}}
      - run.job:
          id: train
          component: retrain:4
          inputs: {lr: 0.1, warm: true, data: {folder: "${DATA}"}}
          outputs: {model: {type: mlflow_model, model: m}}
          within: 12h
      - register.model: {id: new, name: m, from: "{{ steps.train.outputs.model }}", tags: {stage: 5}}
      - register.model: {name: m, from: {job: "{{ run.id }}", output: model}}
      - gate: {metric: auc, at_least: 0.9, better_than: live, by: 0.01}
      - deploy.online_endpoint:
          model: m
          version: 1
          endpoint: fraud
          sample: {input_data: [[1]]}
          traffic: [10, 100]
          wait: 15m
          check: {from: metrics, max_failures: "${MOST}", max_latency: 800ms, min_requests: 5}
          approval: {before: 10, by: [a@example.com], within: 8h, channel: oncall}
          keep_old: forever
      - retire.online_deployment: {endpoint: fraud, deployments: [blue]}
      - deploy.batch_endpoint:
          component: retrain:4
          endpoint: training
          compute: cpu
          create_compute: {size: Standard_DS3_v2, idle: 10m}
      - deploy.batch_endpoint: {model: m, version: 1, endpoint: scoring, compute: cpu, retry_timeout: 90s}
      - invoke.batch_endpoint:
          endpoint: training
          inputs: {data: {data: "days:3"}, lr: 0.1}
          output: {path: scores}
          outputs: {model: mlflow_model}
      - backup.vision_export: {project: fruit, iteration: "{{ run.id }}"}
      - forward: {to: hook}
    on_failure:
      - alert: {channel: owners, title: 5, severity: "{{ run.status }}"}
  - name: kept
    on: ExportCompleted
    do:
      - backup.vision_export
  - name: expected
    on: TrainingCompleted
    expect: {kind: ExportCompleted, within: 2h, per: vision.iteration}
"""


def read(text: str) -> Any:
    """Read a rules file as the loader does."""
    node = compose(text, [])
    assert node is not None
    return value_of(node, [])


def problems(text: str) -> list[str]:
    """List what the schema has against a file."""
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(read(text))]


def is_accepted(document: Any) -> bool:
    """Tell whether `rules check` finds no error in a document."""
    try:
        load(json.dumps(document), ACTIONS, "rules.yaml")
    except RulesError:
        return False
    return True


def test_the_schema_is_a_schema() -> None:
    """It is what draft 2020-12 wants of one."""
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_of_rules_here_satisfies_it(path: Path) -> None:
    """Examples, starting points and the demo's rules are valid."""
    assert problems(path.read_text("utf-8")) == []


def test_it_accepts_all_that_can_be_said() -> None:
    """A file that uses every section, kind of step and form is valid, and has no error for `rules check` either."""
    assert is_accepted(read(WHOLE))
    assert problems(WHOLE) == []


BAD = {
    "no version": ("version: 1\n", ""),
    "another version": ("version: 1", "version: 2"),
    "an unknown section": ("channels:", "chanels:"),
    "an unknown mode": ("mode: live", "mode: on"),
    "an id of another provider": ("Microsoft.DataFactory", "Microsoft.DataFactry"),
    "plain http": ("https://hook.example", "http://hook.example"),
    "an unknown kind of channel": ("kind: teams", "kind: team"),
    "a channel without its address": ('{kind: teams, url: "${ONCALL}"}', "{kind: teams}"),
    "a field that a channel does not have": ("host:", "server:"),
    "an unknown security": ("port:", "security: ssl, port:"),
    "a language project without deployments": ('    deployments: [production, "${SLOT}"]\n', ""),
    "a deployment whose name the service does not take": ("[production,", "['my production',"),
    "a version of no API": ("2025-11-01", "2025-11-02"),
    "an unknown key of a training": ("mode: standard", "model: standard"),
    "a mode that is none": ("mode: standard", "mode: quick"),
    "a configuration that is none": ("config_version: 2022-09-01", "config_version: newest"),
    "a language that is none": ("language: en-us", "language: English please"),
    "an empty utterance": ("text: read my mail", "text: ''"),
    "a share above one": ("agree: 0.9", "agree: 90"),
    "a split that is no whole number": ("train: 70, test: 30", "train: 70.5, test: 29.5"),
    "a check that is no duration": ("check: 6h", "check: 6"),
    "a project that is no id": ('"${FRUIT}"', "fruit"),
    "an unknown kind": ("[DriftDetected,", "[DriftDetectd,"),
    "a kind that is no text": ("[DriftDetected,", "[3,"),
    "an unknown key of a rule": ("from: fraud", "form: fraud"),
    "a name with a colon": ("name: everything", "name: 'every: thing'"),
    "an empty list of sources": ("from: fraud", "from: []"),
    "an unknown operator": ("StringEndsWith", "EndsWith"),
    "an operand of another type": ("NumberGreaterThan: 0.3", 'NumberGreaterThan: "0.3"'),
    "an operand that is no list": ("StringIn: [Failed]", "StringIn: Failed"),
    "a range of one": ("[[0, 1]]", "[[0]]"),
    "a switch that is no switch": ("isSubjectCaseSensitive: true", "isSubjectCaseSensitive: 1"),
    "a subject word within any": ("any: [", "any: [{subjectEndsWith: a}, "),
    "any that is no list": (
        "any: [{run.status: {StringIn: [Failed]}}, {not: {run.root_id: {IsNotNull: true}}}]",
        "any: a",
    ),
    "a duration without a unit": ("cooldown: 24h", "cooldown: 24"),
    "a rate that is none": ("4 per day", "4 a day"),
    "an unknown part of a limit": ("cooldown:", "cool_down:"),
    "an expectation without a time": ("within: 2h, ", ""),
    "an unknown step": ("- forward:", "- foward:"),
    "a step without what it needs": ("forward: {to: hook}", "forward: {}"),
    "a bare step that needs parameters": ("- forward: {to: hook}", "- forward"),
    "two steps in one": ("- forward: {to: hook}", "- {forward: {to: hook}, backup.vision_export: }"),
    "an unknown parameter": ("forward: {to: hook}", "forward: {too: hook, to: hook}"),
    "a number that is none": ('"${N}"', '"two"'),
    "a number that is too small": ('"${N}"', "0"),
    "a parameter that is no list": ("by: [a@example.com]", "by: a@example.com"),
    "an unknown severity": ('"{{ run.status }}"}', "fatal}"),
    "a step id with a space": ("id: retrain", "id: re train"),
    "an empty list of steps": ("expect: {", "do: []\n    expect: {"),
    "steps that are no list": ("expect: {", "do: {forward: {to: hook}}\n    expect: {"),
    "a gate without a filter": ("- backup.vision_export\n", "- gate\n"),
    "a metric of no gate": ("{metric: auc, at_least", "{metrics: auc, at_least"),
    "a goal that is none": ("{metric: auc, at_least", "{goal: higher, metric: auc, at_least"),
    "an output of no type": ("{type: mlflow_model, model: m}", "{type: onnx, model: m}"),
    "an unknown part of a check": ("min_requests: 5", "min_request: 5"),
    "an unknown part that is a setting": ("min_requests: 5", 'min_request: "${N}"'),
    "a time that is a list": ("keep_old: forever", "keep_old: [24h]"),
    "a share that is too large": ("traffic: [10, 100]", "traffic: [10, 101]"),
    "an approval that asks nobody": ("{before: 10, by: [a@example.com]", "{before: 10"),
    "a compute without a size": ("{size: Standard_DS3_v2, idle: 10m}", "{idle: 10m}"),
    "a name that no endpoint can have": ("endpoint: training\n          compute", "endpoint: t_1\n          compute"),
    "a deployment without an endpoint": ("endpoint: fraud, deployments", "deployments"),
    "a gate with an unknown operator": ("- backup.vision_export\n", "- gate: {where: {id: {StringIs: [a]}}}\n"),
}


@pytest.mark.parametrize(("old", "new"), BAD.values(), ids=BAD)
def test_it_catches_mistakes(old: str, new: str) -> None:
    """What `rules check` calls an error, and a schema can see, is caught."""
    assert old in WHOLE
    text = WHOLE.replace(old, new, 1)
    assert not is_accepted(read(text))
    assert problems(text)


# -- containers and queues --------------------------------------------------------------------------------------------

ENDPOINT = '{endpoint: "https://fruit.example"}'
FRUIT = f'vision: {{fruit: {{project: "${{FRUIT}}", training: {ENDPOINT}, %s}}}}\nrules: []\n'
KEEP = FRUIT.replace(", %s}", "}").replace("[]", '[{name: a, on: ExportCompleted, do: [{%s: {second: "URL"}}]}]')
PLACES = (
    ("vision.fruit.container", FRUIT % 'container: "URL"'),
    ("vision.fruit.replica.container", FRUIT % f'replica: {{training: {ENDPOINT}, container: "URL"}}'),
    ("vision.fruit.replica.queue", FRUIT % f'replica: {{training: {ENDPOINT}, queue: "URL"}}'),
    ("channels.hook.url", 'channels: {hook: {kind: queue, url: "URL"}}\nrules: []\n'),
    ("second", KEEP % "backup.vision_export"),
    ("second", KEEP % "prune.backups"),
)
"""Where the URL of a container or of a queue stands, as an error names it, and a file that has it there."""
NO_PLACES = (
    *("https://a.blob.core.windows.net", "https://a.blob.core.windows.net/", "https://a.blob.core.windows.net?sig=c2F"),
    *("https://a.blob.core.windows.net/b/c", "https://a.blob.core.windows.net//", "https:///b", "exports", "a/b/c"),
    *("http://127.0.0.1:10000/devstoreaccount1", "https://localhost/a", "http://127.0.0.1:10000/a/b/c", "ftp://a/b"),
    *("https://a.blob.core.windows.net/b#c", "https://user@a.blob.core.windows.net/b", "https://a.blob .net/b"),
)
ALL_PLACES = (
    *("https://a.blob.core.windows.net/b", "HTTPS://A.blob.core.windows.net/b/", "https://127.0.0.2/b"),
    *("http://127.0.0.1:10000/a/b", "http://LOCALHOST/a/b/", "https://127.0.0.1:10000/a/b?sv=1", "${URL}"),
    *("https://${ACCOUNT}.blob.core.windows.net", "https://a.blob.core.windows.net/${NAME}"),
)


@pytest.mark.parametrize(("place", "sections"), PLACES)
def test_a_container_or_a_queue_is_named_in_its_url(place: str, sections: str) -> None:
    """An account alone, or a folder, is an error for `rules check` and in an editor; what a setting says is not."""
    text = f"version: 1\n{sections}"
    for url in NO_PLACES:
        with pytest.raises(RulesError) as caught:
            load(text.replace('"URL"', f'"{url}"'), ACTIONS, "rules.yaml")
        assert f"error: {place}: must be the URL of a " in str(caught.value)
        assert "c2F" not in str(caught.value)
        assert problems(text.replace('"URL"', f'"{url}"')), url
    for url in ALL_PLACES:
        load(text.replace('"URL"', f'"{url}"'), ACTIONS, "rules.yaml")
        assert problems(text.replace('"URL"', f'"{url}"')) == [], url


# -- whatever `rules check` accepts -----------------------------------------------------------------------------------

VALUES: list[Any] = [
    *(
        None,
        "",
        "a",
        "5",
        "24h",
        "4 per day",
        "true",
        "${NAME}",
        "{{ subject }}",
        "{% if id %}a{% endif %}",
        "https://a",
        "https://a/b",
    ),
    *("RunFailed", "fraud", "oncall", "live", "a@example.com", "model.name", "00000000000000000000000000000000"),
    *(0, 1, 5, 0.5, -1, [], ["a"], [1], [[0, 1]], ["RunFailed"], {}, {"a": "b"}, {"StringIn": ["a"]}, [{}], ["oncall"]),
    *("forward", "backup.vision_export", {"backup.vision_export": None}, {"StringIn": []}, {"NumberIn": [1, 2.5]}),
]
"""What is put in place of something; not true and false, which Python takes for numbers and an editor should not."""
NAMES = [
    "a",
    "id",
    "mode",
    "limit",
    "digest",
    "debounce",
    "concurrency",
    "threshold",
    "title",
    "code",
    "key",
    "all",
    "not",
]


def places(value: Any) -> list[tuple[Any, Any]]:
    """List every place in a document: what holds it, and its key or position."""
    found: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for at, inner in items:
        found += [(value, at), *places(inner)]
    return found


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """Change a whole document in a few places: take out, put another value there, or add a key."""
    document = read(WHOLE)
    for _ in range(draw(st.integers(1, 2))):
        holder, at = draw(st.sampled_from(places(document)))
        match draw(st.sampled_from(["out", "other", "other", "other", "more"])):
            case "out":
                del holder[at]
            case "more" if isinstance(holder, dict):
                holder[draw(st.sampled_from(NAMES))] = copy.deepcopy(draw(st.sampled_from(VALUES)))
            case _:
                holder[at] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        if not places(document):
            break
    return document


@settings(max_examples=300, deadline=None)
@given(documents())
def test_it_accepts_whatever_rules_check_accepts(document: Any) -> None:
    """A document without errors is valid by the schema: no editor underlines what is right."""
    if is_accepted(document):
        assert [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(document)] == []


# -- words ------------------------------------------------------------------------------------------------------------


def test_every_word_of_the_language_has_a_meaning() -> None:
    """The tables of words are the loader's own, no word more and none less."""
    assert list(language.TOP) == list(TOP)
    assert list(language.RULE) == list(RULE)
    assert list(language.OPERATORS) == list(OPERATORS)
    assert set(language.SUBJECT) == set(SUBJECT)
    places = (declared, replicated)
    models = {name: about for name, about in SCHEMA["$defs"].items() if any(hasattr(one, name) for one in places)}
    assert set(language.DECLARED) == set(models)
    for name, about in models.items():
        assert set(language.DECLARED[name]) | {"kind"} == set(about["properties"]) | {"kind"}, name
    kinds = {kind["const"] for about in models.values() if "const" in (kind := about["properties"].get("kind", {}))}
    assert set(language.CHANNELS) == kinds
    assert set(Declared.model_fields) < set(language.TOP)


@pytest.mark.parametrize(
    "model", [Limit, CancelOn, Expectation, *(parameters(target).model for target in ACTIONS.values())]
)
def test_every_parameter_says_what_it_is(model: type[BaseModel]) -> None:
    """Each part of a limit and each parameter of a step has a description, and so an editor shows it."""
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_an_editor_can_show_what_each_key_is() -> None:
    """Keys of rules, kinds, operators and parameters carry their description in the schema."""
    defs = SCHEMA["$defs"]
    assert all(about["description"] for about in SCHEMA["properties"].values())
    assert all(about["description"] for about in defs["rule"]["properties"].values())
    assert len(defs["kind"]["enum"]) == len(defs["kind"]["enumDescriptions"])
    assert all(about["description"] for about in defs["operators"]["properties"].values())
    steps = defs["step"]["anyOf"][0]["properties"]
    assert steps.keys() == ACTIONS.keys()
    assert all(about["description"] for step in steps.values() for about in step["properties"].values())


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_writes_what_is_committed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Printed or written to a file, it is docs/rules.schema.json; `python -m dev.reference` writes that anew."""
    committed = (ROOT / "docs/rules.schema.json").read_text("utf-8")
    assert main(["rules", "schema"]) == 0
    assert capsys.readouterr().out == committed
    file = tmp_path / "rules.schema.json"
    assert main(["rules", "schema", "-o", str(file)]) == 0
    assert file.read_text("utf-8") == committed
    assert "# yaml-language-server: $schema=rules.schema.json" in capsys.readouterr().out


def test_a_file_that_cannot_be_written_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not there is a matter of usage."""
    assert main(["rules", "schema", "-o", str(tmp_path / "no/such.json")]) == 2
    assert "cannot write" in capsys.readouterr().err
