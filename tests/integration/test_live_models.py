"""Which model is live, and which may take its place: ages, registries, what a wait has changed, the way back."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.simulators.remote import Simulators
from shared.actions import Status
from shared.errors import PermanentError
from shared.handlers.machine_learning import serving
from shared.handlers.machine_learning.online import making, undoing, watching
from shared.handlers.machine_learning.online.params import OnlineEndpoint
from shared.handlers.machine_learning.serving import CREATED_TAG, deployment_name
from shared.stages import Done, End, Pending
from tests.integration.stages import Bench, Told
from tests.integration.test_handlers_online import (
    ASKS,
    ELEVEN,
    EP,
    FLAVORS,
    SAMPLE,
    STEP,
    TEN,
    TWELVE,
    WS,
    by_hand,
    canary,
    decision,
    fails,
    is_there,
    model,
    model_id,
    named,
    resource,
    retire,
    serve,
    traffic,
)
from tests.integration.test_handlers_online import bench as bench  # noqa: PLC0414 # a fixture

__all__ = ["canary"]

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/shared"
REGISTRY = f"{GROUP}/providers/Microsoft.MachineLearningServices/registries/prod"
AGES = {"11": "2026-02-01T00:00:00Z", "12": "2026-03-02T00:00:00Z"}
BATCH = {"endpoint": "fraud-batch", "compute": "cpu"}


def in_registry(version: str) -> str:
    """Name a registry's model by its ARM id."""
    return f"{REGISTRY}/models/credit/versions/{version}"


def short(version: str) -> str:
    """Name it as a deployment does."""
    return f"azureml://registries/prod/models/credit/versions/{version}"


def credit(version: str) -> str:
    """Name the deployment of a registry's model."""
    return deployment_name("credit", version, short(version))


def publish(simulators: Simulators, **more: Any) -> None:
    """Have both versions in the registry."""
    models = [{"id": in_registry(one), "createdAt": at, "flavors": FLAVORS, **more} for one, at in AGES.items()]
    simulators.management.seed(models=models)


def live(simulators: Simulators, name: str, held: str, **more: Any) -> None:
    """Have one deployment serve, made a while after what it holds."""
    deployment = {"name": name, "model": held, "createdAt": "2026-03-10T00:00:00Z", **more}
    simulators.management.seed(online_endpoints=[{"id": EP, "traffic": {name: 100}, "deployments": [deployment]}])


def tags(simulators: Simulators, deployment: str = "") -> dict[str, str]:
    """Read the tags of the endpoint, or of one of its deployments."""
    found = resource(simulators, f"{EP}/deployments/{deployment}" if deployment else EP)
    assert found is not None
    told: dict[str, str] = found["tags"]
    return told


def skipped(told: Told) -> str:
    """Give the reason of an action that ended as skipped."""
    assert told.end is not None
    assert told.end.status is Status.SKIPPED
    return told.end.reason


# -- whose model is newer ---------------------------------------------------------------------------------------------


@pytest.mark.guarantee(4)
@pytest.mark.parametrize("spelled", [in_registry, short])
def test_a_registrys_newer_model_replaces_its_older_one(spelled: Any, bench: Bench, simulators: Simulators) -> None:
    """The models' own ages decide, and not that of the deployment, which was made after both."""
    publish(simulators)
    live(simulators, credit("11"), short("11"))
    assert bench.run("deploy.online_endpoint", **STEP, model_id=spelled("12")).end is None
    assert traffic(simulators) == {credit("12"): 100}


@pytest.mark.guarantee(4)
@pytest.mark.parametrize("spelled", [in_registry, short])
def test_a_registrys_older_model_never_replaces_its_newer_one(
    spelled: Any, bench: Bench, simulators: Simulators
) -> None:
    """However it is spelled."""
    publish(simulators)
    live(simulators, credit("12"), short("12"))
    assert "a newer model is live" in skipped(bench.run("deploy.online_endpoint", **STEP, model_id=spelled("11")))
    assert traffic(simulators) == {credit("12"): 100}


@pytest.mark.guarantee(4)
@pytest.mark.parametrize("refused", [False, True])
def test_a_registry_that_is_not_to_be_found_replaces_nothing_of_its_own(
    bench: Bench, simulators: Simulators, monkeypatch: pytest.MonkeyPatch, *, refused: bool
) -> None:
    """It is elsewhere, or nobody may list it: the failure says what to do, and what serves goes on serving."""
    monkeypatch.setattr(serving, "REGISTRY_WITHIN", timedelta())
    if refused:
        publish(simulators)
        simulators.management.seed(forbidden=[{"path": "MachineLearningServices/registries$", "n": 99}])
    live(simulators, credit("11"), short("11"))
    with pytest.raises(PermanentError, match="nobody can tell which is newer") as failure:
        bench.run("deploy.online_endpoint", **STEP, model_id=short("12"))
    assert "ARM id" in failure.value.remedy
    assert traffic(simulators) == {credit("11"): 100}


@pytest.mark.guarantee(4)
def test_a_deployment_tells_the_age_of_what_it_holds(bench: Bench, simulators: Simulators) -> None:
    """Its model may be deleted while it serves: a newer one replaces it all the same, an older one does not."""
    bench.run("deploy.online_endpoint", **STEP, version="11")
    assert tags(simulators, ELEVEN)[CREATED_TAG] == "2026-02-01T08:15:04+00:00"
    simulators.management.seed(remove=[model_id("11")])
    assert "a newer model is live" in skipped(bench.run("deploy.online_endpoint", **STEP, version="10"))
    bench.run("deploy.online_endpoint", **STEP)
    assert traffic(simulators) == {TWELVE: 100}


@pytest.mark.guarantee(4)
def test_a_batch_deployment_tells_the_age_of_what_it_holds(bench: Bench, simulators: Simulators) -> None:
    """As an online one."""
    simulators.management.seed(computes=[{"id": f"{WS}/computes/cpu"}])
    bench.run("deploy.batch_endpoint", **BATCH, version="11")
    simulators.management.seed(remove=[model_id("11")])
    assert bench.run("deploy.batch_endpoint", **BATCH, version="10").result["live"] == ELEVEN
    assert bench.run("deploy.batch_endpoint", **BATCH).result["live"] == TWELVE


@pytest.mark.guarantee(4)
@pytest.mark.parametrize("told", ["", "last year", "2026-03-01T00:00:00"])
def test_an_age_that_nobody_knows_is_never_guessed(told: str, bench: Bench, simulators: Simulators) -> None:
    """The live version was deleted, and its deployment does not say: the failure says how to go on, and that works."""
    live(simulators, named("9"), model_id("9"), tags={CREATED_TAG: told})
    with pytest.raises(PermanentError, match="nobody can tell which is newer") as failure:
        bench.run("deploy.online_endpoint", **STEP)
    assert CREATED_TAG in failure.value.remedy
    assert traffic(simulators) == {named("9"): 100}
    live(simulators, named("9"), model_id("9"), tags={CREATED_TAG: "2026-03-01T00:00:00Z"})
    bench.run("deploy.online_endpoint", **STEP)
    assert traffic(simulators) == {TWELVE: 100}


@pytest.mark.guarantee(4)
def test_a_deployment_is_never_older_than_what_it_holds(bench: Bench, simulators: Simulators) -> None:
    """One that was made before our model was holds an older one, whatever that was."""
    live(simulators, named("9"), model_id("9"), createdAt="2026-01-10T00:00:00Z")
    bench.run("deploy.online_endpoint", **STEP)
    assert traffic(simulators) == {TWELVE: 100}


@pytest.mark.parametrize("spelled", [in_registry, short])
def test_a_gate_compares_with_what_is_live_of_a_registry(spelled: Any, bench: Bench, simulators: Simulators) -> None:
    """What a deployment holds is read by the registry of ours, or by the one that its name is found by."""
    publish(simulators, properties={"auc": "0.9"})
    simulators.management.seed(models=[{"id": in_registry("12"), "properties": {"auc": "0.95"}}])
    live(simulators, credit("11"), short("11"))
    told = bench.run("gate", metric="auc", better_than="live", endpoint="fraud", model_id=spelled("12"))
    assert (told.result["metric"], told.result["live"]) == (0.95, 0.9)


@pytest.mark.guarantee(4)
def test_what_no_gate_has_compared_with_is_not_replaced(bench: Bench, simulators: Simulators) -> None:
    """While the action waited for the endpoint, another model went live than its gate had seen."""
    serve(simulators, {ELEVEN: 100})
    params = OnlineEndpoint.model_validate(STEP | {"workspace": "fraud", "model": "fraud-gbm", "version": "12"})
    found = making.read_model(params, bench.job())
    assert isinstance(found, Done)
    job = bench.job(result=found.result)
    passed = {"passed": True, "compared_at": "fraud", "compared_with": model_id("11")}
    same = making.look_for_newer(params, replace(job, steps={"gate": passed}))
    other = making.look_for_newer(params, replace(job, steps={"gate": passed | {"compared_with": model_id("10")}}))
    elsewhere = making.look_for_newer(params, replace(job, steps={"gate": passed | {"compared_at": "test"}}))
    assert isinstance(same, Done)
    assert isinstance(elsewhere, Done)
    assert isinstance(other, End)
    assert other.reason == f"{ELEVEN} is live by now, with which no gate has compared it: replay the event"


def test_a_gate_and_a_rollout_look_at_the_same_model(bench: Bench, simulators: Simulators) -> None:
    """Where two have as much of the traffic, too, and however the endpoint's name is written."""
    serve(simulators, {TEN: 50, ELEVEN: 50})
    told = bench.run("gate", metric="auc", at_least=0.1, better_than="live", endpoint="FRAUD", model="fraud-gbm")
    assert told.end is not None  # neither has the metric
    simulators.management.seed(
        models=[
            model(version, at) | {"properties": {"auc": f"0.{version}"}}
            for version, at in (
                ("10", "2026-01-01T00:00:00Z"),
                ("11", "2026-02-01T00:00:00Z"),
                ("12", "2026-03-02T00:00:00Z"),
            )
        ]
    )
    passed = bench.run("gate", metric="auc", better_than="live", endpoint="FRAUD").result
    params = OnlineEndpoint.model_validate(STEP | {"workspace": "fraud", "model": "fraud-gbm", "version": "12"})
    found = making.read_model(params, bench.job())
    assert isinstance(found, Done)
    job = replace(bench.job(result=found.result), steps={"gate": passed})
    assert isinstance(making.look_for_newer(params, job), Done)


# -- what a wait has changed ------------------------------------------------------------------------------------------


@pytest.mark.guarantee(4)
@pytest.mark.parametrize(
    ("seed", "words"),
    [
        ({"remove": [model_id("12")]}, "is not there any more"),
        ({"models": [model("12", "2026-03-02T08:15:04Z") | {"isArchived": True}]}, "is archived"),
    ],
)
@pytest.mark.parametrize("stage", ["lock", "wait"])
def test_a_model_that_goes_while_it_waits_does_not_go_live(
    stage: str, seed: dict[str, Any], words: str, canary: Bench, simulators: Simulators
) -> None:
    """For the endpoint, or for a person: it is read once more, and what served before serves."""
    canary.before_stage = lambda name: simulators.management.seed(**seed) if name == stage else None
    canary.decision = decision("approved")
    fails(canary, words, **ASKS)
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}
    assert not is_there(simulators, TWELVE)


@pytest.mark.guarantee(4)
@pytest.mark.parametrize("stage", ["lock", "wait"])
def test_tags_that_change_while_it_waits_end_it(stage: str, canary: Bench, simulators: Simulators) -> None:
    """Its rule would not answer the event any more."""
    changed = model("12", "2026-03-02T08:15:04Z") | {"tags": {"stage": "bad"}}
    canary.before_stage = lambda name: simulators.management.seed(models=[changed]) if name == stage else None
    canary.refuses = lambda event: "model.tags.stage" if event.facts["model"]["tags"]["stage"] == "bad" else ""
    canary.decision = decision("approved")
    told = canary.run("deploy.online_endpoint", **STEP, **ASKS)
    assert "model.tags.stage does not fit the rule any more" in skipped(told)
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}


@pytest.mark.guarantee(4)
def test_a_batch_model_that_is_archived_while_it_waits_does_not_go_live(bench: Bench, simulators: Simulators) -> None:
    """The compute may be made first, and others may have the endpoint."""
    simulators.management.seed(computes=[{"id": f"{WS}/computes/cpu"}])
    gone = model("12", "2026-03-02T08:15:04Z") | {"isArchived": True}
    bench.before_stage = lambda name: simulators.management.seed(models=[gone]) if name == "turn" else None
    with pytest.raises(PermanentError, match="is archived"):
        bench.run("deploy.batch_endpoint", **BATCH)
    assert simulators.management.seen("PUT") == []


# -- the way back -----------------------------------------------------------------------------------------------------


def test_a_rollout_that_fails_leaves_the_way_back_as_it_was(canary: Bench, simulators: Simulators) -> None:
    """The endpoint's tags say what they said before, as its traffic is what it was."""
    before = {"reactor-previous-traffic": '{"nine":100}', "reactor-emptied": '{"nine":"a"}'}
    serve(simulators, {ELEVEN: 100}, tags=before)
    simulators.management.seed(traffic_seen=[{"deployment": TWELVE, "requests": 100, "failures": 100}])
    fails(canary, "failed, 100", traffic=[100])
    assert tags(simulators) == before


def test_a_rollout_that_fails_leaves_mirrored_requests_as_they_were(canary: Bench, simulators: Simulators) -> None:
    """What gets live requests gets no mirrored ones; afterwards it gets them again."""
    there = [{"name": ELEVEN, "model": model_id("11")}, {"name": TWELVE, "model": model_id("12")}]
    shadow = {"id": EP, "traffic": {ELEVEN: 100}, "mirrorTraffic": {TWELVE: 10}, "deployments": there}
    simulators.management.seed(online_endpoints=[shadow])
    simulators.management.seed(traffic_seen=[{"deployment": TWELVE, "requests": 100, "failures": 100}])
    fails(canary, "failed, 100", traffic=[10, 100])
    endpoint = resource(simulators, EP)
    assert endpoint is not None
    assert endpoint["properties"]["mirrorTraffic"] == {TWELVE: 10}


def test_a_way_back_that_is_too_long_leaves_no_older_one(bench: Bench, simulators: Simulators) -> None:
    """Who rolls back finds nothing, and not the traffic of two rollouts before."""
    names = {f"a-deployment-with-a-long-name-{at}": 10 for at in range(10)}
    deployments = [{"name": name, "model": model_id("11")} for name in names]
    told = {"reactor-previous-traffic": '{"nine":100}'}
    simulators.management.seed(
        online_endpoints=[{"id": EP, "traffic": names, "deployments": deployments, "tags": told}]
    )
    bench.run("deploy.online_endpoint", **STEP)
    assert tags(simulators)["reactor-previous-traffic"] == ""


@pytest.mark.guarantee(4)
def test_what_somebody_took_back_stays_back(canary: Bench, simulators: Simulators) -> None:
    """A second event about the same version does not give it the traffic again; what to do about that is told."""
    serve(simulators, {ELEVEN: 100})
    canary.run("deploy.online_endpoint", **STEP)
    by_hand(canary, {ELEVEN: 100})
    again = Bench(canary.clients, canary.declared, canary.event)
    assert f"delete {TWELVE} and replay" in skipped(again.run("deploy.online_endpoint", **STEP))
    assert traffic(simulators) == {ELEVEN: 100}
    simulators.management.seed(remove=[f"{EP}/deployments/{TWELVE}"])
    again.run("deploy.online_endpoint", **STEP)
    assert traffic(simulators) == {TWELVE: 100}


def test_what_a_later_rollout_emptied_is_left_to_it(canary: Bench, simulators: Simulators) -> None:
    """It had traffic again meanwhile, so that it is kept as long as that rollout says."""
    serve(simulators, {ELEVEN: 100})
    (first,) = canary.run("deploy.online_endpoint", **STEP).later
    by_hand(canary, {ELEVEN: 100})
    simulators.management.seed(models=[model("13", "2026-04-01T00:00:00Z")])
    again = Bench(canary.clients, canary.declared, canary.event)
    (second,) = again.run("deploy.online_endpoint", **STEP, version="13").later
    told = canary.run(first.step.action, **first.step.params)
    assert "a later rollout took it" in skipped(told)
    assert is_there(simulators, ELEVEN)
    again.run(second.step.action, **second.step.params)
    assert not is_there(simulators, ELEVEN)


def test_what_later_rollouts_left_alone_is_retired(canary: Bench, simulators: Simulators) -> None:
    """Each retires what it took the traffic from, however many came after it."""
    serve(simulators, {ELEVEN: 100})
    (first,) = canary.run("deploy.online_endpoint", **STEP).later
    simulators.management.seed(models=[model("13", "2026-04-01T00:00:00Z")])
    again = Bench(canary.clients, canary.declared, canary.event)
    again.run("deploy.online_endpoint", **STEP, version="13")
    assert set(json.loads(tags(simulators)["reactor-emptied"])) == {ELEVEN, TWELVE}
    canary.run(first.step.action, **first.step.params)
    assert [is_there(simulators, name) for name in (ELEVEN, TWELVE)] == [False, True]


def test_a_tag_that_says_nothing_keeps_nothing(bench: Bench, simulators: Simulators) -> None:
    """Somebody wrote something else into it."""
    serve(simulators, {TEN: 0, TWELVE: 100}, tags={"reactor-emptied": "[1]"})
    assert bench.run("retire.online_deployment", endpoint="fraud", deployments=[TEN], emptied_by="a").result[
        "retired"
    ] == [TEN]
    serve(simulators, {TEN: 0, TWELVE: 100}, tags={"reactor-emptied": json.dumps({TEN: "b"})})
    assert retire(bench, TEN).result["retired"] == [TEN]


def test_what_is_undone_is_what_was_begun(canary: Bench, simulators: Simulators) -> None:
    """The rule's settings may name another endpoint by now, or none at all."""
    result = {"workspace": WS, "endpoint": "fraud", "deployment": TWELVE}
    params = OnlineEndpoint.model_validate(STEP).model_copy(update={"endpoint": "${GONE}"})
    undone = undoing.undo(params, canary.job(result=result))
    assert isinstance(undone, Pending)
    assert simulators.management.seen("GET", "/onlineEndpoints/fraud?")


def test_a_deployment_that_is_deleted_before_its_first_step_is_a_failure(canary: Bench, simulators: Simulators) -> None:
    """The record says that, and not what the service says of traffic."""

    def remove(stage: str) -> None:
        if stage == "shift":
            simulators.management.seed(remove=[f"{EP}/deployments/{TWELVE}"])

    canary.before_stage = remove
    fails(canary, f"deployment {TWELVE} was deleted meanwhile")


def test_metrics_that_may_not_be_read_end_no_long_wait(canary: Bench, simulators: Simulators) -> None:
    """While a step is watched there is another look; the sample decides at its end."""
    serve(simulators, {TWELVE: 10, ELEVEN: 90})
    simulators.management.seed(forbidden=[{"path": "Microsoft.Insights", "n": 1000}])
    params = OnlineEndpoint.model_validate(STEP | {"model": "fraud-gbm", "version": "12", "wait": "3h"})
    share = {TWELVE: 10, ELEVEN: 90}
    result = {"workspace": WS, "deployment": TWELVE, "previous": {}, "traffic": share, "steps": [share], "at": 1}
    looks = watching.watch_step(params, canary.job(result=result, began=datetime.now(UTC) - timedelta(hours=2)))
    assert isinstance(looks, Pending)
    assert "metrics cannot be read" in looks.note
    assert looks.after == pytest.approx(300)


# -- what is told -----------------------------------------------------------------------------------------------------


def test_the_answer_to_a_sample_is_told_to_nobody(canary: Bench, simulators: Simulators) -> None:
    """It may say something about somebody; that it is not as expected is enough."""
    simulators.inference.seed(scoring=[{"deployment": TWELVE, "body": '{"name": "Jane Doe"}'}])
    wanted = {"contains": "0.5"}
    told = fails(canary, r'failed the sample: the answer has no "0\.5"\Z', sample=SAMPLE, sample_expects=wanted)
    assert "Jane" not in repr(told)


def test_what_a_failing_container_says_is_told_to_nobody(canary: Bench, simulators: Simulators) -> None:
    """It may repeat what it was sent; the status says what is wrong, and its log why."""
    simulators.inference.seed(scoring=[{"deployment": TWELVE, "status": 424, "body": "no column Jane Doe"}])
    told = fails(canary, r"the model or its container failed \(424\)\Z", sample=SAMPLE)
    assert "Jane" not in repr(told)


def test_a_deployment_that_was_there_is_told_of(bench: Bench, simulators: Simulators) -> None:
    """It is taken as it is, and the record says how that differs from what the rule says."""
    there = [{"name": ELEVEN, "model": model_id("11")}, {"name": TWELVE, "model": model_id("12")}]
    there[1]["instanceType"] = "Standard_F2s_v2"
    simulators.management.seed(online_endpoints=[{"id": EP, "traffic": {ELEVEN: 100}, "deployments": there}])
    told = bench.run("deploy.online_endpoint", **STEP, instance_count=3)
    assert any("its machines are 1 x Standard_F2s_v2, and not 3 x Standard_DS3_v2" in note for note in told.notes)


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("Not enough quota available for Standard_DS3_v2", "ask for more quota"),
        ("Image build failed: pip could not resolve numpy==1.18", "see the build log of its environment"),
        ("User container has crashed or terminated: Liveness probe failed", "MLflow 3 needs environment"),
        ("something else", "see what its log says, then replay"),
    ],
)
def test_what_helps_depends_on_why_it_failed(message: str, remedy: str, canary: Bench, simulators: Simulators) -> None:
    """A replay alone would fail again."""
    simulators.management.seed(provisioning=[{"name": TWELVE, "outcome": "Failed", "message": message}])
    with pytest.raises(PermanentError) as failure:
        canary.run("deploy.online_endpoint", **STEP)
    assert remedy in failure.value.remedy


def test_a_model_of_mlflow_3_is_warned_of(bench: Bench, simulators: Simulators) -> None:
    """Before anything is made."""
    flavors = {"python_function": {"data": {"mlflow_version": "3.1.0"}}}
    simulators.management.seed(models=[model("12", "2026-03-02T08:15:04Z") | {"flavors": flavors}])
    params = OnlineEndpoint.model_validate(STEP | {"workspace": "fraud", "model": "fraud-gbm", "version": "12"})
    read = making.read_model(params, bench.job(began=datetime.now(UTC)))
    assert isinstance(read, Done)
    assert "logged with MLflow 3.1.0" in read.note
