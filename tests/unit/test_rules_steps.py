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
