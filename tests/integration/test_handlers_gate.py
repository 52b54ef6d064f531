"""A gate that compares a model's metric, over real https against the simulated service."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dev.simulators.remote import Simulators
from shared.actions import Status
from shared.errors import PermanentError, TemporaryError
from shared.handlers import ACTIONS, measuring
from shared.handlers.gate import Gate, decide
from shared.rules import load
from shared.rules.declared import Declared
from shared.stages import Done, End, Progress
from tests.integration.stages import Bench, clients_of, event_of

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers"
WS = f"{GROUP}/Microsoft.MachineLearningServices/workspaces/fraud"
MODEL = f"{WS}/models/fraud-gbm/versions/12"
LIVE = f"{WS}/models/fraud-gbm/versions/11"
COMPARED = {"compared_with": "", "compared_at": "scoring"}
REGISTERED = (Path(__file__).parents[1] / "events/model_registered.json").read_text("utf-8")


@pytest.fixture
def bench(simulators: Simulators, azurite: str) -> Bench:
    """Answer the registration of version 12 of a model."""
    simulators.management.seed(workspaces=[{"id": WS}])
    return Bench(clients_of(simulators, azurite), Declared(workspaces={"fraud": WS}), event_of(REGISTERED))


def models(simulators: Simulators, *, ours: Mapping[str, Any] | None, live: Mapping[str, Any] | None = None) -> None:
    """Register our version and the one that is live."""
    told = {MODEL: ours, LIVE: live}
    simulators.management.seed(models=[{"id": id, **given} for id, given in told.items() if given is not None])


def serve(simulators: Simulators, traffic: Mapping[str, int], **held: str) -> None:
    """Let an online endpoint send its traffic to deployments that hold these models."""
    deployments = [{"name": name, "model": model} for name, model in held.items()]
    endpoint = {"id": f"{WS}/onlineEndpoints/scoring", "traffic": dict(traffic), "deployments": deployments}
    simulators.management.seed(online_endpoints=[endpoint])


def ask(bench: Bench, **given: Any) -> Progress:
    """Decide once."""
    return decide(Gate.model_validate({"metric": "auc", **given}), bench.job())


def why(progress: Progress) -> str:
    """Give the reason of a gate that does not hold."""
    assert isinstance(progress, End)
    assert progress.status is Status.SKIPPED
    return progress.reason


# -- where a metric is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "where"),
    [
        ({"properties": {"auc": "0.93"}, "tags": {"auc": "0.1"}}, "in its properties"),
        ({"tags": {"auc": " 0.93 "}}, "in its tags"),
        ({"jobName": "brave_owl"}, "by its training job brave_owl"),
    ],
)
def test_a_metric_is_looked_for_in_three_places(
    ours: dict[str, Any], where: str, bench: Bench, simulators: Simulators
) -> None:
    """The first of properties, tags and the training job that has it counts, and the record says which."""
    simulators.management.seed(
        jobs=[{"id": f"{WS}/jobs/brave_owl", "status": "Completed", "metrics": {"auc": 0.93, "loss": 0.2}}]
    )
    models(simulators, ours=ours)
    assert ask(bench, at_least=0.9) == Done(
        {"passed": True, "metric": 0.93, "live": None}, note=f"auc of fraud-gbm:12 is 0.93 ({where})"
    )


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ({}, "it is not in its properties, not in its tags, and no job is known that trained it"),
        ({"tags": {"AUC": "0.9"}}, "it is not in its properties, not in its tags, and no job"),
        ({"jobName": "brave_owl"}, "and not among the metrics of its training job brave_owl"),
        ({"jobName": "gone"}, "and its training job gone cannot be read: "),
        ({"properties": {"auc": "n/a"}, "tags": {"auc": "0.9"}}, 'in its properties is no number: "n/a"'),
        ({"tags": {"auc": "nan"}}, 'in its tags is no number: "nan"'),
        ({"tags": {"auc": "1e999"}}, 'in its tags is no number: "1e999"'),
    ],
)
def test_a_metric_that_is_missing_or_no_number_stops(
    ours: dict[str, Any], said: str, bench: Bench, simulators: Simulators
) -> None:
    """The action ends as skipped, and says where the metric was looked for."""
    simulators.management.seed(jobs=[{"id": f"{WS}/jobs/brave_owl", "status": "Completed", "metrics": {"loss": 0.2}}])
    models(simulators, ours=ours)
    reason = why(ask(bench, at_least=0.9))
    assert reason.startswith("fraud-gbm:12 has no auc: ")
    assert said in reason


def test_a_run_history_that_is_away_is_waited_for(bench: Bench, simulators: Simulators) -> None:
    """What may be readable in a while decides nothing now."""
    simulators.management.seed(jobs=[{"id": f"{WS}/jobs/brave_owl", "status": "Completed", "metrics": {"auc": 0.93}}])
    models(simulators, ours={"jobName": "brave_owl"})
    simulators.inference.fault("error", n=9, path="mlflow", status=403, body="denied by policy")
    with pytest.raises(TemporaryError):
        ask(bench, at_least=0.9)
    simulators.inference.reset()
    assert isinstance(ask(bench, at_least=0.9), Done)


@pytest.mark.parametrize("body", ["[]", "no JSON", '{"run": {"data": {"metrics": [{"key": "auc", "value": "x"}]}}}'])
def test_a_run_history_that_talks_nonsense_decides_nothing(body: str, bench: Bench, simulators: Simulators) -> None:
    """It is asked again later, or has no such metric; it never passes."""
    models(simulators, ours={"jobName": "brave_owl"})
    simulators.inference.fault("error", n=9, path="mlflow", status=200, body=body)
    with pytest.raises(TemporaryError):
        ask(bench, at_least=0.9)


# -- bars -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bars", "holds"),
    [
        ({"at_least": 0.9}, True),
        ({"at_least": 0.93}, True),
        ({"at_least": 0.94}, False),
        ({"at_most": 0.93}, True),
        ({"at_most": 0.92}, False),
        ({"at_least": 0.9, "at_most": 0.95}, True),
        ({"at_least": 0.9, "at_most": 0.91}, False),
    ],
)
def test_a_metric_is_held_to_its_bars(
    bars: dict[str, float], bench: Bench, simulators: Simulators, *, holds: bool
) -> None:
    """Both bars are inclusive, and where one does not hold the reason has both numbers."""
    models(simulators, ours={"properties": {"auc": "0.93"}})
    came = ask(bench, reason="not good enough", **bars)
    assert isinstance(came, Done) is holds
    if not holds:
        assert why(came).startswith("not good enough: auc of fraud-gbm:12 is 0.93 (in its properties), and ")


def test_a_filter_and_a_metric_must_both_hold(bench: Bench, simulators: Simulators) -> None:
    """The filter is asked first, of the model as it is now."""
    models(simulators, ours={"properties": {"auc": "0.93"}, "tags": {"stage": "staging"}})
    where = {"live.model.tags.stage": {"StringIn": ["production"]}}
    assert why(ask(bench, where=where, at_least=0.9)).startswith("live.model.tags.stage StringIn")
    models(simulators, ours={"properties": {"auc": "0.93"}, "tags": {"stage": "production"}})
    assert isinstance(ask(bench, where=where, at_least=0.9), Done)
    assert why(ask(bench, where=where, at_least=0.95)).startswith("auc of fraud-gbm:12 is 0.93")


def test_a_model_that_is_gone_or_archived_does_not_pass(bench: Bench, simulators: Simulators) -> None:
    """What was registered may have been deleted or archived since."""
    assert why(ask(bench, at_least=0.9)) == "model fraud-gbm:12 is not there any more"
    models(simulators, ours={"properties": {"auc": "0.93"}, "isArchived": True})
    assert why(ask(bench, at_least=0.9)) == "model fraud-gbm:12 is archived"


def test_another_model_than_the_events_can_be_asked_for(bench: Bench, simulators: Simulators) -> None:
    """Such as one that a step before has registered."""
    models(simulators, ours=None, live={"properties": {"auc": "0.95"}})
    assert isinstance(ask(bench, at_least=0.9, model="fraud-gbm", version="11"), Done)


def test_a_model_of_a_registry_can_be_asked_for(bench: Bench, simulators: Simulators) -> None:
    """By its ARM id, or by its short one; the job that trained it is elsewhere."""
    shared_one = f"{GROUP}/Microsoft.MachineLearningServices/registries/prod/models/credit/versions/3"
    simulators.management.seed(models=[{"id": shared_one, "tags": {"auc": "0.95"}, "jobName": "brave_owl"}])
    came = ask(bench, at_least=0.9, model_id=shared_one)
    assert isinstance(came, Done)
    assert came.note == "auc of credit:3 is 0.95 (in its tags)"
    assert "is not in this workspace" in why(ask(bench, metric="f1", at_least=0.9, model_id=shared_one))
    assert isinstance(ask(bench, at_least=0.9, model_id="azureml://registries/prod/models/credit/versions/3"), Done)
    with pytest.raises(PermanentError, match="ARM id"):
        ask(bench, at_least=0.9, model_id="azureml://registries/elsewhere/models/credit/versions/3")


def test_a_workspace_that_may_not_be_read_is_waited_for(bench: Bench, simulators: Simulators) -> None:
    """A role may still spread."""
    models(simulators, ours={"properties": {"auc": "0.93"}})
    simulators.management.seed(forbidden=[{"path": "/models/", "n": 9}])
    with pytest.raises(TemporaryError, match="role"):
        ask(bench, at_least=0.9)


# -- better than live -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "given", "holds"),
    [
        ("0.90", {}, True),
        ("0.93", {}, False),
        ("0.95", {}, False),
        ("0.92", {"by": 0.01}, True),
        ("0.92", {"by": 0.02}, False),
        ("0.95", {"goal": "minimize"}, True),
        ("0.90", {"goal": "minimize"}, False),
        ("0.94", {"goal": "minimize", "by": 0.01}, True),
    ],
)
def test_a_model_must_be_better_than_the_one_that_is_live(
    live: str, given: dict[str, Any], bench: Bench, simulators: Simulators, *, holds: bool
) -> None:
    """Equal is not better, and `by` says by how much; the record has both numbers."""
    models(simulators, ours={"properties": {"auc": "0.93"}}, live={"tags": {"auc": live}})
    serve(simulators, {"blue": 100}, blue=LIVE)
    came = ask(bench, better_than="live", endpoint="scoring", **given)
    assert isinstance(came, Done) is holds
    if isinstance(came, Done):
        assert came.result == {"passed": True, "metric": 0.93, "live": float(live), **COMPARED, "compared_with": LIVE}
    else:
        assert f"and {float(live):g} of fraud-gbm:11, which is live on scoring: not " in why(came)


def test_most_of_the_traffic_says_what_is_live(bench: Bench, simulators: Simulators) -> None:
    """During a rollout it is the old one that is compared with."""
    models(simulators, ours={"properties": {"auc": "0.93"}}, live={"tags": {"auc": "0.9"}})
    serve(simulators, {"blue": 90, "green": 10}, blue=LIVE, green=MODEL)
    came = ask(bench, better_than="live", endpoint="scoring")
    assert isinstance(came, Done)
    assert came.result["live"] == 0.9


@pytest.mark.parametrize("traffic", [{}, {"blue": 0}])
def test_where_nothing_is_live_any_model_is_better(
    traffic: dict[str, int], bench: Bench, simulators: Simulators
) -> None:
    """An endpoint without traffic, and one that is not there yet, stop nothing; the record says so."""
    models(simulators, ours={"properties": {"auc": "0.93"}}, live={})
    if traffic:
        serve(simulators, traffic, blue=LIVE)
    came = ask(bench, better_than="live", endpoint="scoring", at_least=0.9)
    assert isinstance(came, Done)
    assert came.note.endswith("and nothing is live on scoring yet")
    assert came.result == {"passed": True, "metric": 0.93, "live": None, **COMPARED}


def test_a_model_that_is_live_already_passes(bench: Bench, simulators: Simulators) -> None:
    """It need not be better than itself: a replay goes on."""
    models(simulators, ours={"properties": {"auc": "0.93"}})
    serve(simulators, {"blue": 100}, blue=MODEL)
    came = ask(bench, better_than="live", endpoint="scoring")
    assert isinstance(came, Done)
    assert came.note.endswith("and it is live on scoring already")


def test_a_batch_endpoint_has_a_default(bench: Bench, simulators: Simulators) -> None:
    """Where no online endpoint has the name, the batch endpoint's default deployment is what is live."""
    models(simulators, ours={"properties": {"auc": "0.93"}}, live={"tags": {"auc": "0.95"}})
    simulators.management.seed(computes=[{"id": f"{WS}/computes/cpu"}], settings={"provisioning_seconds": 0})
    batch = bench.clients.machine_learning.batch
    batch.put_endpoint(WS, "scoring", "westeurope")
    assert isinstance(ask(bench, better_than="live", endpoint="scoring"), Done)
    from shared.clients.machine_learning.batch import BatchSettings

    batch.put_deployment(
        WS, "scoring", "old", "westeurope", BatchSettings(model_id=LIVE, compute_id=f"{WS}/computes/cpu")
    )
    batch.set_default(WS, "scoring", "old", instead_of="")
    assert "0.95 of fraud-gbm:11" in why(ask(bench, better_than="live", endpoint="scoring"))


@pytest.mark.parametrize(
    ("live", "said"),
    [
        ({}, "fraud-gbm:11, has no auc to compare with: it is not in its properties"),
        ({"tags": {"auc": "good"}}, "fraud-gbm:11, has no auc to compare with: in its tags is no number"),
        (None, "fraud-gbm:11, has no auc to compare with: its model was deleted"),
    ],
)
def test_what_is_live_without_a_metric_stops(
    live: dict[str, Any] | None, said: str, bench: Bench, simulators: Simulators
) -> None:
    """Nobody knows whether ours is better: the action ends as skipped with the reason."""
    models(simulators, ours={"properties": {"auc": "0.93"}}, live={} if live is None else live)
    serve(simulators, {"blue": 100}, blue=LIVE)
    if live is None:
        simulators.management.seed(remove=[LIVE])
    assert said in why(ask(bench, better_than="live", endpoint="scoring"))


def test_a_live_deployment_that_cannot_be_seen_is_waited_for(bench: Bench, simulators: Simulators) -> None:
    """Traffic says that it is there."""
    models(simulators, ours={"properties": {"auc": "0.93"}}, live={"tags": {"auc": "0.9"}})
    serve(simulators, {"blue": 100}, blue=LIVE)
    simulators.management.fault("error", path="/deployments/blue", status=404, body="")
    with pytest.raises(TemporaryError, match="blue, which is live, cannot be seen"):
        ask(bench, better_than="live", endpoint="scoring")


# -- how it is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "must ask something"),
        ({"metric": "auc"}, "must compare the metric with something"),
        ({"at_least": 1}, "must name the metric"),
        ({"metric": "auc", "at_least": 0.9, "by": 0.1}, "must have better_than: live"),
        ({"metric": "auc", "better_than": "live", "by": -1, "endpoint": "e"}, "greater than or equal to 0"),
        ({"metric": "auc", "at_least": float("nan")}, "finite"),
        ({"metric": "auc", "at_least": 0.9, "where": {}}, "at least 1"),
    ],
)
def test_a_gate_that_asks_nothing_is_refused(given: dict[str, Any], said: str) -> None:
    """What would hold for anything is a mistake."""
    with pytest.raises(ValueError, match=said):
        Gate.model_validate(given)


def test_a_gate_needs_an_endpoint_to_compare_with(bench: Bench, simulators: Simulators) -> None:
    """Where the loader could not fill it in, the failure says what to give."""
    models(simulators, ours={"properties": {"auc": "0.93"}})
    with pytest.raises(PermanentError, match="of which endpoint") as caught:
        ask(bench, better_than="live")
    assert "endpoint" in caught.value.remedy


def test_the_next_deployment_says_which_endpoint() -> None:
    """A gate before a deployment need not repeat its endpoint."""
    text = f"""
version: 1
workspaces: {{fraud: "{WS}"}}
rules:
  - name: deploy
    on: ModelRegistered
    where: {{model.name: {{StringIn: [fraud-gbm]}}}}
    do:
      - gate: {{metric: auc, at_least: 0.9, better_than: live}}
      - deploy.batch_endpoint: {{endpoint: scoring, compute: cpu}}
"""
    (rule,) = load(text, ACTIONS, "rules.yaml").rules
    assert rule.do[0].params["endpoint"] == "scoring"


def test_a_dry_run_decides_by_what_is_known(bench: Bench, simulators: Simulators) -> None:
    """The event's model is looked at; one that a step would have made goes on as if it held."""
    models(simulators, ours={"properties": {"auc": "0.5"}})
    job = replace(bench.job(), is_dry_run=True)
    bar = {"metric": "auc", "at_least": 0.9}
    assert isinstance(decide(Gate.model_validate(bar), job), End)
    made = bar | {"model": "m", "version": "{{ steps['register.model'].version }}"}
    assert isinstance(decide(Gate.model_validate(made), job), Done)


@pytest.mark.parametrize("text", [None, "", "0,93", "93 %", "inf", "-inf", "1_000", "0x1", "true"])
def test_what_is_no_number(text: str | None) -> None:
    """Nothing but a plain finite number counts."""
    assert measuring.read_number(text) is None
