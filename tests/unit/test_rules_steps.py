"""What the loader finds out about steps from the steps around them, and inside their parameters."""

import pytest

from shared.handlers import ACTIONS
from shared.rules import RulesError, load

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/fraud"
HEAD = f"""version: 1
workspaces: {{fraud: {WORKSPACE}}}
channels: {{oncall: {{kind: teams, url: "https://teams.example/x"}}}}
rules:
  - name: a
    on: ModelRegistered
    where: {{model.name: {{StringIn: [fraud]}}}}
    do:
"""


def steps(*lines: str) -> str:
    """Write a rules file whose rule has these steps."""
    return HEAD + "".join(f"      - {line}\n" for line in lines)


def test_a_gate_knows_the_endpoint_of_the_deployment_after_it() -> None:
    """What the gate compares with is what the next deployment replaces, so it need not be said twice."""
    rules = load(
        steps("gate: {metric: auc, better_than: live}", 'deploy.online_endpoint: {endpoint: "m-{{ model.name }}"}'),
        ACTIONS,
        "rules.yaml",
    )
    assert rules.rules[0].do[0].params["endpoint"] == "m-{{ model.name }}"


def test_a_gate_that_compares_needs_an_endpoint() -> None:
    """Without a deployment after it, the gate has to say what it compares with."""
    with pytest.raises(RulesError, match="better_than of gate needs endpoint: say it, or let"):
        load(steps("gate: {metric: auc, better_than: live}", "alert: {channel: oncall}"), ACTIONS, "rules.yaml")


def test_a_gate_that_says_its_endpoint_is_believed() -> None:
    """What a rule says itself is not replaced."""
    rules = load(
        steps(
            "gate: {metric: auc, better_than: live, endpoint: other}",
            "deploy.batch_endpoint: {endpoint: scoring, compute: cpu}",
        ),
        ACTIONS,
        "rules.yaml",
    )
    assert rules.rules[0].do[0].params["endpoint"] == "other"
    (warning,) = [str(problem) for problem in rules.warnings if "endpoint of gate" in str(problem)]
    assert 'endpoint of gate is "other", and what follows it is about "scoring"' in warning


def test_a_failure_has_only_what_it_has() -> None:
    """A misspelt word of a failure would make the alert about it fail; it is an error that says what was meant."""
    text = steps("run.job: {component: retrain:4}") + "    on_failure:\n      - alert: {channel: oncall, text: "
    with pytest.raises(RulesError, match=r'a failure has no reson \(did you mean "reason"\?\)'):
        load(f'{text}"{{{{ failure.reson }}}}"}}\n', ACTIONS, "rules.yaml")
    assert load(f'{text}"{{{{ failure.remedy }}}}"}}\n', ACTIONS, "rules.yaml")


def test_names_are_checked_inside_a_parameter() -> None:
    """A channel that is not declared is found also where it stands in a mapping, at its own place."""
    text = steps("deploy.online_endpoint: {endpoint: fraud, approval: {by: [a@example.com], channel: oncal}}")
    with pytest.raises(RulesError, match=r'9:92: error: no "oncal" is declared .* "oncall"'):
        load(text, ACTIONS, "rules.yaml")


@pytest.mark.parametrize("name", ["error", "failed_step", "created_by", "links.studio"])
def test_an_alert_may_ask_for_what_it_looks_up(name: str) -> None:
    """These names are no fields of the event, and fine in an alert; in other steps they are not there."""
    text = f"{{{{ {name} }}}}"
    asked = load(steps(f'alert: {{channel: oncall, text: "{text}"}}'), ACTIONS, "rules.yaml")
    assert not [problem for problem in asked.warnings if name in str(problem)]
    asked = load(steps(f'run.job: {{component: "a:1", display_name: "{text}"}}'), ACTIONS, "rules.yaml")
    assert [problem for problem in asked.warnings if f"no ModelRegistered has {name}" in str(problem)]


@pytest.mark.parametrize(
    "approval",
    [
        '{by: "{{ [data.modelTags.owner] }}"}',
        '{by: ["{{ data.modelTags.owner }}"]}',
        '"{{ data.approval }}"',
    ],
)
def test_no_event_says_who_approves_a_rollout(approval: str) -> None:
    """Whoever registers a model does not name, in a tag of it, who may put it live."""
    with pytest.raises(RulesError, match=r"approval\.by of deploy\.online_endpoint is said here"):
        load(steps(f"deploy.online_endpoint: {{endpoint: fraud, approval: {approval}}}"), ACTIONS, "rules.yaml")


@pytest.mark.parametrize(("written", "taken"), [("1.10", "1.10"), ("010", "010"), ("1e3", "1e3"), ("12", "12")])
def test_a_version_is_what_is_written(written: str, taken: str) -> None:
    """A text that YAML takes for a number stays as the file has it: version 1.10 is not version 1.1."""
    rules = load(
        steps(
            f"deploy.online_endpoint: {{endpoint: fraud, model: fraud, version: {written}, "
            f"environment_variables: {{LEVEL: {written}}}}}"
        ),
        ACTIONS,
        "rules.yaml",
    )
    params = rules.rules[0].do[0].params
    assert (str(params["version"]), str(params["environment_variables"]["LEVEL"])) == (taken, taken)


def test_a_key_that_is_none_is_refused_whatever_its_value() -> None:
    """A misspelt key inside a parameter is an error also where its value is filled in later."""
    with pytest.raises(RulesError, match="max_failed"):
        load(steps('deploy.online_endpoint: {endpoint: fraud, check: {max_failed: "${N}"}}'), ACTIONS, "rules.yaml")


# -- what Custom Vision makes of it -----------------------------------------------------------------------------------

VISION = f"""version: 1
workspaces: {{fraud: {WORKSPACE}}}
vision:
  fruit:
    project: 0b1c2d3e-0000-4000-8000-00000000000a
    training: {{endpoint: "https://f.example"}}
    prediction: "${{P}}"
  birds: {{project: "${{BIRDS}}", training: {{endpoint: "https://f.example"}}, prediction: null}}
  again: {{project: 0b1c2d3e00004000800000000000000A, training: {{endpoint: "https://f.example"}}}}
rules:
"""


def said(step: str, more: str = "from: [fruit, birds]", on: str = "TrainingCompleted") -> list[str]:
    """Load a rule with one step, and give what is said of it, the level before it."""
    text = f"{VISION}  - {{name: a, on: {on}, {more}, do: [{{{step}}}]}}\n"
    try:
        found = load(text, ACTIONS, "rules.yaml").warnings
    except RulesError as error:
        found = tuple(error.problems)
    return [f"{problem.level}: {problem.message}" for problem in found]


FAILS = "has none, so this step would always fail"


@pytest.mark.parametrize(
    ("step", "more", "expected"),
    [
        (
            "publish.vision: {name: n, project: birds}",
            "from: [fruit]",
            f"publish.vision needs `prediction`, and vision.birds {FAILS}",
        ),
        ("publish.vision: {name: n}", "from: [birds]", f"publish.vision needs `prediction`, and vision.birds {FAILS}"),
        ("publish.vision: {name: n, project: '{{vision.project}}'}", "from: birds", f"vision.birds {FAILS}"),
        (
            "replicate.vision: {}",
            "where: {type: {StringIn: [x]}}",
            "needs `replica`, and vision.fruit and vision.birds and vision.again have none",
        ),
        (
            "replicate.vision: {project: '${OTHER}'}",
            "from: [fruit]",
            "needs `replica`, and vision.fruit and vision.birds",
        ),
        ("replicate.vision: {project: 0B1C2D3E-0000-4000-8000-00000000000A}", "from: birds", f"vision.fruit {FAILS}"),
        (
            "train.vision: {project: friut}",
            "from: [birds]",
            'no "friut" is declared under vision (did you mean "fruit"?)',
        ),
        ("gate: {metric: recall, worst_tag_at_least: 80}", "from: fruit", "worst_tag_at_least: must be at most 1"),
    ],
)
def test_what_can_never_work_with_the_declared_projects_is_an_error(step: str, more: str, expected: str) -> None:
    """A step whose every project lacks what it needs is refused before it runs, at its place."""
    found = [one for one in said(step, more) if one.startswith("error: ")]
    assert len(found) == 1, found
    assert expected in found[0]


@pytest.mark.parametrize(
    ("step", "more", "expected"),
    [
        (
            "publish.vision: {name: n}",
            "from: [fruit, birds]",
            "publish.vision needs `prediction`, and vision.birds has none, so this step would fail there",
        ),
        (
            "gate: {metric: recall, at_least: 90}",
            "from: [fruit]",
            "at_least is 90, and the recall of an iteration is from 0 to 1: 0.9 for 90 %",
        ),
        (
            "gate: {metric: precision, better_than: live, publish_name: n, by: 2.5}",
            "from: [fruit]",
            "by is 2.5, and the precision of an iteration is from 0 to 1: 0.025 for 2.5 %",
        ),
        (
            "gate: {metric: average_precision, at_most: 400}",
            "from: [fruit]",
            "at_most is 400, and the average_precision of an iteration is from 0 to 1",
        ),
        (
            "gate: {metric: recal, at_least: 0.5}",
            "from: [fruit]",
            'Custom Vision does not measure "recal" (did you mean "recall"?): it measures precision, recall, average_',
        ),
        (
            "gate: {metric: auc, better_than: live, publish_name: n}",
            "from: [fruit]",
            'Custom Vision does not measure "auc": it measures',
        ),
        (
            "export.vision: {platforms: [onnx, ONX/ONNX10]}",
            "from: [fruit]",
            'Custom Vision documents no platform "ONX" (did you mean "ONNX"?)',
        ),
        (
            "export.vision: {platforms: [Walnut]}",
            "from: [fruit]",
            'Custom Vision documents no platform "Walnut": it documents CoreML, TensorFlow, DockerFile, ONNX',
        ),
    ],
)
def test_what_custom_vision_hardly_means_is_a_warning(step: str, more: str, expected: str) -> None:
    """A percentage, a misspelt platform, and a project among several that lacks what the step needs."""
    (found,) = said(step, more)
    assert found.startswith(f"warning: {expected}")


def test_a_percentage_is_doubted_wherever_the_gate_is_about_an_iteration() -> None:
    """The event need not be Custom Vision's where the gate names a project."""
    gate = "gate: {metric: recall, at_least: 90, project: fruit, iteration: x}"
    (warning,) = said(gate, "from: fraud", "ModelRegistered")
    assert "0.9 for 90 %" in warning


@pytest.mark.parametrize(
    ("step", "more"),
    [
        ("gate: {metric: recall, at_least: 1}", "from: [fruit]"),
        ("gate: {metric: '${METRIC}', at_least: 90}", "from: [fruit]"),
        ("gate: {metric: recal, at_least: 1, workspace: fraud, model: m, version: 1}", "from: fruit"),
        ("gate: {metric: recall, at_least: 90, workspace: fraud, model: m, version: 1}", "from: fruit"),
        ("export.vision: {platforms: [OpenVINO, TensorFlow/TensorFlowLite, '${PLATFORM}']}", "from: [fruit]"),
        ("publish.vision: {name: n}", "from: [fruit]"),
        ("publish.vision: {name: n}", "from: [again]"),
        ("publish.vision: {name: n, project: '${OTHER}'}", "from: [birds]"),
        ("publish.vision: {name: n}", "where: {vision.project: {StringIn: [x]}}"),
    ],
)
def test_what_may_be_meant_is_not_doubted(step: str, more: str) -> None:
    """A model may have any metric, a project is what declares it first, and a filter may leave some of them out."""
    assert said(step, more) == []


def test_a_metric_of_a_model_has_its_own_scale() -> None:
    """Only what Custom Vision measures is known to be from 0 to 1."""
    assert said("gate: {metric: recall, at_least: 90}", "from: [fraud]", "ModelRegistered") == []
    assert said("gate: {metric: auc, at_least: 0.9}", "from: [fraud]", "ModelRegistered") == []
