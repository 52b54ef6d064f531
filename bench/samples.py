"""What is measured: rules as an operator would write them, and events as the services send them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parents[1] / "tests/events"
WORKSPACE = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod"
    "/providers/Microsoft.MachineLearningServices/workspaces/fraud"
)
FACTORY = "/subscriptions/1/resourceGroups/data/providers/Microsoft.DataFactory/factories/etl"
TYPICAL = "a failed run"
"""The event that the bars are about: its size is the middle of what is met."""

Where = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class SampleRule:
    """One rule, before it is written in anybody's language."""

    name: str
    on: str
    where: Where


# -- events -----------------------------------------------------------------------------------------------------------

REGISTERED_BY_A_JOB = {
    "modelTags": {"stage": "production", "team": "risk", "framework": "lightgbm", "trainedOn": "2026-02-28"},
    "modelProperties": {
        "auc": "0.941",
        "flavors": json.dumps(
            {
                "python_function": {
                    "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                    "loader_module": "mlflow.lightgbm",
                    "model_path": "model.pkl",
                    "predict_fn": "predict",
                    "python_version": "3.11.9",
                },
                "lightgbm": {
                    "lgb_version": "4.3.0",
                    "data": "model.pkl",
                    "model_class": "lightgbm.sklearn.LGBMClassifier",
                },
            },
            indent=2,
        ),
        "azureml.artifactPrefix": "ExperimentRun/dcid.keen_owl_x1/model",
        "model_json": json.dumps({"run_id": "keen_owl_x1", "artifact_path": "model", "mlflow_version": "2.15.1"}),
    },
}
"""What MLflow puts beside a model: the properties that make such an event one or two kilobytes long."""


def events() -> dict[str, str]:
    """Give the bodies by what they tell, compact as Event Grid sends them."""
    files = {
        TYPICAL: "run_failed",
        "a completed run": "run_completed",
        "a registered model": "model_registered",
        "a deployed model": "model_deployed",
        "a monitor's breach": "monitor_breach",
        "a failed run, CloudEvents": "run_failed_cloud",
    }
    bodies = {what: json.loads((EVENTS / f"{name}.json").read_text("utf-8")) for what, name in files.items()}
    bodies["a registered model"][0]["data"] |= REGISTERED_BY_A_JOB
    return {what: json.dumps(body, separators=(",", ":")) for what, body in bodies.items()}


# -- rules ------------------------------------------------------------------------------------------------------------

EXPERIMENTS = ("fraud", "credit", "churn", "pricing", "demand", "claims", "routing", "ranking")
TEAMS = ("risk", "growth", "supply", "search")


def _mixed(number: int) -> Iterator[tuple[str, Where]]:
    """Give twenty rules of one group, in the proportions of a platform team's file; `number` makes them differ."""
    what = f"{EXPERIMENTS[number % 8]}-{number}" if number else "fraud"
    team = TEAMS[number % 4]
    production = {"data.modelTags.stage": {"StringIn": ["production"]}}
    for model in ("gbm", "linear", "deep"):
        yield "ModelRegistered", {"model.name": {"StringIn": [f"{what}-{model}"]}, **production}
    yield "ModelRegistered", {"model.name": {"StringIn": [f"{what}-shadow", f"{what}-canary"]}}
    yield "ModelRegistered", {"data.modelTags.team": {"StringIn": [f"{team}-{number}"]}, **production}
    yield "ModelRegistered", {"model.name": {"StringBeginsWith": [f"{what}-eu-"]}}
    for experiment in ("train", "score", "tune", "evaluate"):
        yield "RunFailed", {"run.experiment": {"StringIn": [f"{what}-{experiment}"]}}
    yield "RunFailed", {"run.experiment": {"StringBeginsWith": [f"{what}-nightly-"]}}
    yield (
        "RunCompleted",
        {"run.experiment": {"StringIn": [f"{what}-train"]}, "data.runTags.publish": {"IsNotNull": True}},
    )
    yield "RunCompleted", {"run.experiment": {"StringIn": [f"{what}-score"]}}
    yield (
        "RunStatusChanged",
        {
            "run.status": {"StringIn": ["NotResponding", "Paused"]},
            "run.experiment": {"StringIn": [f"{what}-train", f"{what}-score"]},
        },
    )
    for signal in ("data_drift", "prediction_drift"):
        yield "DriftDetected", {"drift.signal": {"StringIn": [f"{what}_{signal}"]}}
    yield "DriftDetected", {"drift.signal": {"StringEndsWith": [f"{what}_data_quality"]}}
    yield "DriftDetected", {"run.experiment": {"StringIn": [f"{what}-monitoring"]}}
    yield "ModelDeployed", {"deployment.service": {"StringIn": [f"{what}-endpoint"]}}
    yield "ModelDeployed", {"deployment.service": {"StringBeginsWith": [f"{what}-batch-"]}}


def _unindexable(number: int) -> Iterator[tuple[str, Where]]:
    """Give twenty rules about failed runs of which not one can be found by an equality."""
    what = f"{EXPERIMENTS[number % 8]}-{number}"
    for piece in ("gpu", "eu", "beta", "dry"):
        yield "RunFailed", {"run.experiment": {"StringContains": [f"{what}-{piece}"]}}
        yield "RunFailed", {"run.id": {"StringContains": [f"{what}_{piece}"]}}
        yield "RunFailed", {"data.createdBy": {"StringNotIn": ["Ada Lovelace", f"{what}-{piece}"]}}
        yield "RunFailed", {"data.runProperties.attempt": {"NumberGreaterThan": number + 2}}
        yield (
            "RunFailed",
            {
                "data.runTags.team": {"StringNotIn": [f"{what}-{piece}", "platform"]},
                "subject": {"StringContains": [f"{what}-{piece}"]},
            },
        )


def _numbered(name: str, count: int, make: Any) -> list[SampleRule]:
    groups = (rule for number in range(count) for rule in make(number))
    return [SampleRule(f"{name}-{at}", on, where) for at, (on, where) in enumerate(islice(groups, count))]


def mixed(count: int) -> list[SampleRule]:
    """Give a realistic file of `count` rules; the first ones are those that the sample events match."""
    return _numbered("rule", count, _mixed)


def unindexable(count: int) -> list[SampleRule]:
    """Give `count` rules that all have to be tested."""
    return _numbered("odd", count, _unindexable)


HEAD = f"""version: 1
workspaces:
  fraud: {WORKSPACE}
factories:
  etl: {FACTORY}
channels:
  oncall: {{kind: slack, url: "${{SLACK_URL}}"}}
  platform: {{kind: webhook, url: "${{WEBHOOK_URL}}", secret: "${{WEBHOOK_SECRET}}"}}
rules:
"""

TELL = """      - alert: {channel: oncall, title: "{{ run.experiment }} failed (NAME)", severity: error}
"""
NOTE = """      - alert: {channel: platform, title: "NAME: {{ subject }}"}
"""
DEPLOY = """      - deploy.batch_endpoint: {endpoint: fraud, compute: cpu-cluster}
      - alert: {channel: platform, title: "{{ model.name }} {{ model.version }} is deployed by NAME"}
"""
RETRAIN = """      - run.data_factory:
          id: retrain
          factory: etl
          pipeline: NAME
          parameters: {signal: "{{ drift.signal }}", learning_rate: 0.1}
      - alert: {channel: oncall, title: "NAME after {{ drift.signal }}", link: "{{ steps.retrain.links.studio }}"}
    on_failure:
      - alert: {channel: oncall, title: "{{ failure.step }} of NAME failed", text: "{{ failure.reason }}"}
"""
DO = {"RunFailed": TELL, "ModelRegistered": DEPLOY, "DriftDetected": RETRAIN}


def write(rules: list[SampleRule]) -> str:
    """Write rules as the file that an operator would keep."""
    return HEAD + "".join(_entry(rule) for rule in rules)


def _entry(rule: SampleRule) -> str:
    where = "".join(
        f"      {path}: {{{', '.join(f'{name}: {json.dumps(operand)}' for name, operand in operators.items())}}}\n"
        for path, operators in rule.where.items()
    )
    return f"""  - name: {rule.name}
    on: {rule.on}
    from: [fraud]
    where:
{where}    do:
{DO.get(rule.on, NOTE).replace("NAME", rule.name)}"""
