"""deploy.online_endpoint and retire.online_deployment over real https against the simulated service."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dev.simulators.channels import SECRET
from dev.simulators.remote import Simulators
from shared.actions import Decision, Person, Status
from shared.errors import PermanentError, TemporaryError
from shared.handlers import ACTIONS
from shared.handlers.machine_learning.online import RESULTS, making, shifting, watching
from shared.handlers.machine_learning.online.params import OnlineEndpoint
from shared.handlers.machine_learning.serving import deployment_name
from shared.rules import load
from shared.rules.declared import Declared
from shared.rules.paths import MISSING, walk
from shared.stages import Done, Pending
from shared.storage import LIMITS_TABLE
from tests.integration.stages import Bench, Told, clients_of, event_of

WS = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers/"
    "Microsoft.MachineLearningServices/workspaces/fraud"
)
EP = f"{WS}/onlineEndpoints/fraud"
REGISTERED = (Path(__file__).parents[1] / "events/model_registered.json").read_text("utf-8")
TAGS = {"stage": "production", "team.owner": "risk"}
FLAVORS = {"python_function": {"data": {"loader_module": "mlflow.sklearn"}}, "sklearn": {"data": {}}}
STEP = {"endpoint": "fraud", "wait": "1s"}
SAMPLE = {"input_data": {"columns": ["amount"], "data": [[12.5]]}}


def model(version: str, created: str) -> dict[str, Any]:
    """Describe a version of the model."""
    return {"id": model_id(version), "tags": TAGS, "createdAt": created, "flavors": FLAVORS}


def model_id(version: str) -> str:
    """Name a version of the model."""
    return f"{WS}/models/fraud-gbm/versions/{version}"


def named(version: str) -> str:
    """Name the deployment of a version."""
    return deployment_name("fraud-gbm", version, model_id(version))


TEN, ELEVEN, TWELVE = named("10"), named("11"), named("12")


@pytest.fixture
def bench(simulators: Simulators, azurite: str) -> Bench:
    """Answer the registration of version 12, in a workspace declared in another casing."""
    simulators.management.seed(
        models=[
            model("10", "2026-01-01T08:15:04Z"),
            model("11", "2026-02-01T08:15:04Z"),
            model("12", "2026-03-02T08:15:04Z"),
        ],
        settings={"provisioning_seconds": 0.2},
    )
    declared = Declared(workspaces={"fraud": WS.replace("resourceGroups", "resourcegroups")})
    clients = clients_of(simulators, azurite)
    clients.account.tables.create_table_if_not_exists(LIMITS_TABLE)
    return Bench(clients, declared, event_of(REGISTERED))


@pytest.fixture
def canary(bench: Bench, simulators: Simulators) -> Bench:
    """Have versions 10 and 11 serve already, made by somebody else."""
    serve(simulators, {TEN: 40, ELEVEN: 60})
    return bench


def serve(simulators: Simulators, traffic: dict[str, int], **more: Any) -> None:
    """Put an endpoint there that serves so, as if it always had."""
    versions = {TEN: "10", ELEVEN: "11", TWELVE: "12"}
    deployments = [{"name": name, "model": model_id(versions[name])} for name in traffic]
    simulators.management.seed(
        online_endpoints=[{"id": EP, "traffic": traffic, "deployments": deployments, **more}],
    )


def resource(simulators: Simulators, arm_id: str) -> dict[str, Any] | None:
    """Read a resource as it truly is."""
    resources: dict[str, Any] = simulators.management.state()["resources"]
    return next((one for name, one in resources.items() if name.lower() == arm_id.lower()), None)


def traffic(simulators: Simulators) -> dict[str, int]:
    """Read what is truly served."""
    endpoint = resource(simulators, EP)
    assert endpoint is not None
    served: dict[str, int] = endpoint["properties"]["traffic"]
    return served


def is_there(simulators: Simulators, name: str) -> bool:
    """Tell whether a deployment is there."""
    return resource(simulators, f"{EP}/deployments/{name}") is not None


def maps(simulators: Simulators) -> list[dict[str, int]]:
    """List the traffic that was written, in turn."""
    puts = simulators.management.seen("PUT", "/onlineEndpoints/fraud?")
    return [json.loads(put["body"])["properties"]["traffic"] for put in puts]


def by_hand(bench: Bench, wanted: dict[str, int]) -> None:
    """Set the traffic as somebody else would."""
    client = bench.clients.machine_learning.online
    endpoint = client.endpoint(WS, "fraud")
    assert endpoint is not None
    client.set_traffic(WS, "fraud", wanted, instead_of=endpoint.traffic)


def fails(bench: Bench, words: str, **params: Any) -> Told:
    """Run the step, which must fail with these words; give what it said on the way."""
    with pytest.raises(PermanentError, match=words):
        bench.run("deploy.online_endpoint", **STEP | params)
    return bench.told


# -- the good way -----------------------------------------------------------------------------------------------------


def test_the_first_deployment_gets_all_traffic(bench: Bench, simulators: Simulators) -> None:
    """Where nothing serves yet, endpoint and deployment are made, and there is only one step."""
    told = bench.run("deploy.online_endpoint", **STEP, traffic=[10, 100], sample=SAMPLE)
    assert maps(simulators) == [{}, {TWELVE: 100}]
    assert traffic(simulators) == {TWELVE: 100}
    assert any("all of it at once" in note for note in told.notes)
    assert told.result["live"] == told.result["deployment"] == TWELVE
    assert told.result["scoring_uri"].endswith("/fraud/score")
    assert told.result["tags"] == TAGS
    assert "endpoints/realtime/fraud" in told.result["links"]["studio"]
    assert f"deployed:{WS.lower()}/fraud" in told.wake_on
    assert told.later == []


def test_the_traffic_moves_step_by_step(canary: Bench, simulators: Simulators) -> None:
    """The others keep their proportions, and what was before is written down at the endpoint."""
    told = canary.run("deploy.online_endpoint", **STEP, traffic=[10, 50, 100], sample=SAMPLE)
    assert maps(simulators) == [
        {TEN: 36, ELEVEN: 54, TWELVE: 10},
        {TEN: 20, ELEVEN: 30, TWELVE: 50},
        {TWELVE: 100},
    ]
    endpoint = resource(simulators, EP)
    assert endpoint is not None
    assert json.loads(endpoint["tags"]["reactor-previous-traffic"]) == {TEN: 40, ELEVEN: 60}
    assert told.result["previous"] == {TEN: 40, ELEVEN: 60}
    assert told.result["traffic"] == {TWELVE: 100}
    deployment = resource(simulators, f"{EP}/deployments/{TWELVE}")
    assert deployment is not None
    assert deployment["tags"]["reactor-action"] == canary.key


def test_what_served_before_is_retired_later(canary: Bench) -> None:
    """Both old deployments are deleted after a day, by an action of its own."""
    (later,) = canary.run("deploy.online_endpoint", **STEP).later
    assert later.step.action == "retire.online_deployment"
    assert sorted(later.step.params["deployments"]) == sorted([TEN, ELEVEN])
    assert timedelta(hours=23) < later.at - datetime.now(UTC) < timedelta(hours=25)


def test_the_old_may_be_kept_or_go_at_once(canary: Bench, simulators: Simulators) -> None:
    """`forever` plans nothing, `0h` plans it for now."""
    assert canary.run("deploy.online_endpoint", **STEP, keep_old="forever").later == []
    serve(simulators, {TEN: 100})
    (later,) = canary.run("deploy.online_endpoint", **STEP, keep_old="0h").later
    assert later.at <= datetime.now(UTC)


def test_a_canary_may_stay_one(canary: Bench, simulators: Simulators) -> None:
    """Steps that end below 100 leave the others with the rest, and nothing is retired."""
    told = canary.run("deploy.online_endpoint", **STEP, traffic=[10])
    assert traffic(simulators) == {TEN: 36, ELEVEN: 54, TWELVE: 10}
    assert told.later == []


def test_every_setting_reaches_the_service(bench: Bench, simulators: Simulators) -> None:
    """A custom model with code and environment is deployed as the rule says."""
    simulators.management.seed(
        models=[{"id": model_id("12"), "tags": TAGS, "modelType": "custom_model"}],
        codes=[{"id": f"{WS}/codes/score/versions/3", "codeUri": "https://account.blob.core.windows.net/code/score"}],
        environments=[{"id": f"{WS}/environments/sklearn/versions/7", "image": "mcr.microsoft.com/x:1"}],
    )
    bench.run(
        "deploy.online_endpoint",
        **STEP,
        instance_type="Standard_F4s_v2",
        instance_count=2,
        environment="sklearn:7",
        code="score:3",
        scoring_script="score.py",
        environment_variables={"WORKERS": "2"},
        request_timeout="90s",
        max_concurrent=4,
    )
    put = json.loads(simulators.management.seen("PUT", f"/deployments/{TWELVE}?")[-1]["body"])
    assert put["sku"]["capacity"] == 2
    properties = put["properties"]
    assert properties["instanceType"] == "Standard_F4s_v2"
    assert properties["environmentId"] == f"{WS}/environments/sklearn/versions/7".replace("Groups", "groups")
    assert properties["codeConfiguration"]["scoringScript"] == "score.py"
    assert properties["environmentVariables"] == {"WORKERS": "2"}
    assert properties["requestSettings"] == {"requestTimeout": "PT90S", "maxConcurrentRequestsPerInstance": 4}


@pytest.mark.guarantee(3)
def test_the_same_model_twice_changes_nothing(bench: Bench, simulators: Simulators) -> None:
    """What is live already is found live, and nothing is written again."""
    bench.run("deploy.online_endpoint", **STEP)
    before = len(simulators.management.seen("PUT"))
    told = bench.run("deploy.online_endpoint", **STEP)
    assert len(simulators.management.seen("PUT")) == before
    assert "live already" in " ".join(told.notes)
    assert told.result["live"] == TWELVE
    assert told.later == []


def test_traffic_that_is_shown_late_is_waited_for(canary: Bench, simulators: Simulators) -> None:
    """An endpoint that says Succeeded and shows old weights is looked at until it shows the new ones."""
    simulators.management.seed(settings={"stale_seconds": 0.5})
    canary.run("deploy.online_endpoint", **STEP, traffic=[10, 100])
    assert maps(simulators) == [{TEN: 36, ELEVEN: 54, TWELVE: 10}, {TWELVE: 100}]


def test_lost_replies_and_throttled_writes_are_survived(bench: Bench, simulators: Simulators) -> None:
    """Each write may lose its reply, be throttled, or meet an endpoint that is not settled: the end is the same."""
    for path in ("onlineEndpoints/fraud$", f"deployments/{TWELVE}$"):
        simulators.management.fault("lost_reply", method="PUT", path=path)
        simulators.management.fault("throttle", method="PUT", path=path, retry_after=1)
    simulators.management.seed(unsettled=[{"name": "fraud", "n": 2}])
    told = bench.run("deploy.online_endpoint", **STEP)
    assert traffic(simulators) == {TWELVE: 100}
    assert any("did not answer" in trouble for trouble in told.troubles)
    assert any("Updating" in trouble for trouble in told.troubles)


# -- newer and older --------------------------------------------------------------------------------------------------


@pytest.mark.guarantee(4)
def test_an_older_model_never_replaces_a_newer_one(bench: Bench, simulators: Simulators) -> None:
    """A late event ends the action as skipped, and nothing was written."""
    serve(simulators, {TWELVE: 10, TEN: 90})
    told = bench.run("deploy.online_endpoint", **STEP, version="11")
    assert told.end is not None
    assert told.end.status is Status.SKIPPED
    assert told.end.reason == f"a newer model is live: {TWELVE} has 10 % of fraud"
    assert simulators.management.seen("PUT") == []


@pytest.mark.guarantee(4)
def test_the_version_says_nothing_of_the_age(bench: Bench, simulators: Simulators) -> None:
    """Version 9 that was made later is newer than version 12."""
    simulators.management.seed(models=[model("9", "2026-04-01T00:00:00Z")])
    serve(simulators, {TWELVE: 100})
    bench.run("deploy.online_endpoint", **STEP, version="9")
    assert traffic(simulators) == {named("9"): 100}


@pytest.mark.guarantee(4)
def test_a_live_model_that_was_deleted_is_not_taken_for_old(bench: Bench, simulators: Simulators) -> None:
    """Where the live version is gone, its deployment's age decides, which errs on the side of leaving it."""
    bench.run("deploy.online_endpoint", **STEP)
    simulators.management.seed(remove=[model_id("12")])
    told = bench.run("deploy.online_endpoint", **STEP, version="11")
    assert told.end is not None
    assert traffic(simulators) == {TWELVE: 100}


@pytest.mark.guarantee(4)
def test_another_action_has_to_wait(bench: Bench) -> None:
    """While one action has the endpoint, another waits for it and says whose turn it is; afterwards it is free."""
    other = Bench(bench.clients, bench.declared, bench.event)
    assert other.job().hold(EP) == ""
    params = OnlineEndpoint.model_validate(STEP | {"workspace": "fraud", "model": "fraud-gbm", "version": "12"})
    waits = making.take_lock(params, bench.job(result={"workspace": WS}))
    assert isinstance(waits, Pending)
    assert other.key in waits.note
    other.job().let_go(EP)
    bench.run("deploy.online_endpoint", **STEP)
    assert other.job().hold(EP) == ""
    other.job().let_go(EP)


# -- what is refused before anything is made --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "params", "words"),
    [
        ({"remove": [model_id("12")]}, {}, "not there any more"),
        ({"models": [model("12", "2026-03-02T08:15:04Z") | {"isArchived": True}]}, {}, "is archived"),
        ({"models": [model("12", "2026-03-02T08:15:04Z") | {"modelType": "custom_model"}]}, {}, "how it scores"),
        ({"models": [{"id": model_id("12"), "flavors": {"sklearn": {"data": {}}}}]}, {}, "no python_function flavor"),
        ({}, {"code": "score:1"}, "code and scoring_script go together"),
        ({}, {"workspace": WS.replace("fraud", "elsewhere")}, "not declared"),
        ({}, {"traffic": [50], "approval": {"by": ["a@example.com"], "channel": "nowhere"}}, '"nowhere" is not'),
        ({"quotas": [{"region": "westeurope", "family": "standardDSv2Family", "used": 22, "limit": 24}]}, {}, "cores"),
    ],
)
def test_what_cannot_work_is_refused_first(
    seed: dict[str, Any], params: dict[str, Any], words: str, bench: Bench, simulators: Simulators
) -> None:
    """A model that cannot score, a channel that is not there, cores that are missing: nothing is made."""
    if "models" in seed:
        simulators.management.seed(remove=[model_id("12")])
    simulators.management.seed(**seed)
    fails(bench, words, **params)
    assert simulators.management.seen("PUT") == []


def test_missing_cores_are_counted(bench: Bench, simulators: Simulators) -> None:
    """The failure says how many cores are missing, of which family, and how many are used."""
    simulators.management.seed(
        quotas=[{"region": "westeurope", "family": "standardDSv2Family", "used": 20, "limit": 24}]
    )
    with pytest.raises(PermanentError, match=r"8 cores .*missing in westeurope for 2 x Standard_DS3_v2: 20 of 24"):
        bench.run("deploy.online_endpoint", **STEP, instance_count=2)


def test_a_quota_that_may_not_be_read_is_no_obstacle(
    bench: Bench, simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The identity may see its workspace only: the deployment goes on, and the record says so."""
    monkeypatch.setattr(making, "QUOTA_WITHIN", timedelta())
    simulators.management.seed(forbidden=[{"path": "locations/.*/(usages|vmSizes)", "n": 100}])
    told = bench.run("deploy.online_endpoint", **STEP)
    assert any("quota was not read" in note for note in told.notes)
    assert traffic(simulators) == {TWELVE: 100}


def test_a_name_that_is_taken_in_the_region_is_permanent(bench: Bench, simulators: Simulators) -> None:
    """Somebody else's endpoint of that name is named as the cause, with the remedy."""
    simulators.management.seed(taken=[{"region": "westeurope", "name": "fraud"}])
    with pytest.raises(PermanentError, match="unique within a region") as failure:
        bench.run("deploy.online_endpoint", **STEP)
    assert "another name" in failure.value.remedy


def test_a_deployment_of_that_name_with_another_model_is_left_alone(bench: Bench, simulators: Simulators) -> None:
    """A name that holds something else is a permanent failure, and it is not deleted."""
    simulators.management.seed(
        online_endpoints=[{"id": EP, "traffic": {}, "deployments": [{"name": TWELVE, "model": model_id("11")}]}]
    )
    fails(bench, "holds another model")
    assert is_there(simulators, TWELVE)


def test_tags_that_changed_are_recorded(bench: Bench, simulators: Simulators) -> None:
    """The tags are those of now, and the record says that they differ from the event's."""
    simulators.management.seed(models=[model("12", "2026-03-02T08:15:04Z") | {"tags": {"stage": "archived"}}])
    told = bench.run("deploy.online_endpoint", **STEP)
    assert told.result["tags"] == {"stage": "archived"}
    assert "changed" in told.notes[0]


@pytest.mark.guarantee(4)
@pytest.mark.parametrize("step", [{}, {"action": "deploy.batch_endpoint", "compute": "cpu"}], ids=["online", "batch"])
def test_a_model_whose_tags_no_longer_fit_is_not_deployed(
    bench: Bench, simulators: Simulators, step: dict[str, str]
) -> None:
    """The tag that the rule asks for was taken away since the event: the action ends as skipped, nothing is made."""
    rules = load(
        f"version: 1\nworkspaces: {{fraud: {WS}}}\nrules:\n"
        "  - name: deploy\n    on: ModelRegistered\n    where: {model.tags.stage: {StringIn: [production]}}\n"
        "    do: [deploy.online_endpoint: {endpoint: fraud}]\n",
        ACTIONS,
        "rules.yaml",
    )
    bench.refuses = lambda event: rules.refuses("deploy", event)
    simulators.management.seed(models=[model("12", "2026-03-02T08:15:04Z") | {"tags": {"stage": "staging"}}])
    params = {name: value for name, value in step.items() if name != "action"} or STEP
    told = bench.run(step.get("action", "deploy.online_endpoint"), **{"endpoint": "fraud"} | params)
    assert told.end is not None
    assert told.end.status is Status.SKIPPED
    assert "model.tags.stage does not fit the rule any more" in told.end.reason
    assert simulators.management.seen("PUT") == []


def test_a_model_that_is_live_already_gives_every_result(bench: Bench, simulators: Simulators) -> None:
    """An event about what is live, such as another tag of it, changes nothing, and later steps find all they read."""
    bench.run("deploy.online_endpoint", **STEP)
    puts = len(simulators.management.seen("PUT"))
    told = replace(bench, key=uuid4().hex).run("deploy.online_endpoint", **STEP)
    assert "live already" in " ".join(told.notes)
    assert len(simulators.management.seen("PUT")) == puts
    missing = [name for name in RESULTS[OnlineEndpoint] if walk(told.result, tuple(name.split("."))) is MISSING]
    assert missing == []


def test_a_registry_model_is_deployed(bench: Bench, simulators: Simulators) -> None:
    """A registry's model is deployed by its registry's id, and read before where its ARM id is given."""
    registry = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/shared/providers/"
    registry += "Microsoft.MachineLearningServices/registries/prod"
    whole = f"{registry}/models/fraud-gbm/versions/12"
    short = "azureml://registries/prod/models/fraud-gbm/versions/12"
    simulators.management.seed(models=[{"id": whole, "tags": {"approved": "yes"}, "flavors": FLAVORS}])
    told = bench.run("deploy.online_endpoint", **STEP, model_id=whole)
    assert told.result["model_id"] == short
    assert told.result["tags"] == {"approved": "yes"}
    put = json.loads(simulators.management.seen("PUT", f"/deployments/{told.result['deployment']}?")[-1]["body"])
    assert put["properties"]["model"] == short
    again = bench.run("deploy.online_endpoint", **STEP, model_id=short)
    assert (again.result["live"], again.result["tags"]) == (told.result["live"], {"approved": "yes"})
    simulators.management.seed(remove=[registry])
    unseen = bench.run("deploy.online_endpoint", **STEP, model_id=short)
    assert "was not read again" in unseen.notes[0]
    assert unseen.result["live"] == told.result["live"]


# -- the deployment and its sample ------------------------------------------------------------------------------------


def test_a_failed_deployment_says_why_and_is_deleted(canary: Bench, simulators: Simulators) -> None:
    """The operation's own words and the end of the log are told, and what served goes on serving."""
    simulators.management.seed(
        provisioning=[{"name": TWELVE, "outcome": "Failed", "code": "BadArgument", "message": "container crashed"}],
        logs=[{"name": TWELVE, "content": "ModuleNotFoundError: lightgbm\npassword=hunter22"}],
    )
    told = fails(canary, "container crashed")
    assert "ModuleNotFoundError: lightgbm" in told.undone
    assert "hunter22" not in told.undone
    assert f"deployment {TWELVE} is deleted" in told.undone
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}
    assert not is_there(simulators, TWELVE)
    assert maps(simulators) == []


def test_a_failed_deployment_may_be_kept(canary: Bench, simulators: Simulators) -> None:
    """`keep_failed` leaves it to be looked at, and says that it costs."""
    simulators.management.seed(provisioning=[{"name": TWELVE, "outcome": "Failed"}])
    assert "costs" in fails(canary, "is Failed", keep_failed=True).undone
    assert is_there(simulators, TWELVE)


def test_a_model_of_mlflow_3_fails_and_leaves_the_old_one(canary: Bench, simulators: Simulators) -> None:
    """Its container crashes: the old traffic is as it was."""
    flavors = {"python_function": {"data": {"mlflow_version": "3.1.0"}}}
    simulators.management.seed(models=[model("12", "2026-03-02T08:15:04Z") | {"flavors": flavors}])
    fails(canary, "is Failed")
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}


def test_a_deployment_that_is_deleted_under_our_feet_is_a_failure(bench: Bench, simulators: Simulators) -> None:
    """Once it was seen, its absence is somebody's doing."""
    simulators.management.seed(settings={"provisioning_seconds": 60})
    serve(simulators, {ELEVEN: 100})
    params = OnlineEndpoint.model_validate(STEP | {"workspace": "fraud", "model": "fraud-gbm", "version": "12"})
    made = {"workspace": WS, "location": "westeurope", "model_id": model_id("12"), "deployment": TWELVE}
    started = making.start_deployment(params, bench.job(result=made))
    assert isinstance(started, Pending)
    seen = making.watch_deployment(params, bench.job(result=made, memory=dict(started.memory)))
    assert isinstance(seen, Pending)
    simulators.management.seed(remove=[f"{EP}/deployments/{TWELVE}"])
    with pytest.raises(TemporaryError, match="cannot be seen yet"):
        making.watch_deployment(params, bench.job(result=made, memory=dict(started.memory)))
    with pytest.raises(PermanentError, match="was deleted meanwhile"):
        making.watch_deployment(params, bench.job(result=made, memory={**started.memory, **seen.memory}))


def test_a_sample_that_fails_stops_it(canary: Bench, simulators: Simulators) -> None:
    """A container that answers 424 gets no traffic."""
    simulators.inference.seed(scoring=[{"deployment": TWELVE, "status": 424, "body": "ValueError: 3 columns"}])
    told = fails(canary, r"failed the sample: .*424", sample=SAMPLE)
    assert maps(simulators) == []
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}
    assert f"deployment {TWELVE} is deleted" in told.undone


def test_a_sample_may_fail_at_first(bench: Bench, simulators: Simulators) -> None:
    """A model that is still being loaded, or is busy, is asked again."""
    simulators.inference.seed(
        scoring=[{"deployment": TWELVE, "status": 503, "n": 1}, {"deployment": TWELVE, "status": 429, "n": 2}]
    )
    told = bench.run("deploy.online_endpoint", **STEP, sample=SAMPLE)
    assert traffic(simulators) == {TWELVE: 100}
    assert len([note for note in told.notes if "once more" in note]) == 3


def test_a_deployment_that_stays_busy_fails(
    bench: Bench, simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not asked for ever."""
    monkeypatch.setattr(watching, "SAMPLE_WITHIN", timedelta(seconds=0.2))
    simulators.inference.seed(scoring=[{"deployment": TWELVE, "status": 429}])
    fails(bench, "failed the sample: .*429", sample=SAMPLE)
    assert traffic(simulators) == {}


def test_a_sample_must_be_answered_as_expected(bench: Bench, simulators: Simulators) -> None:
    """A success that says something else is a failure."""
    simulators.inference.seed(scoring=[{"deployment": TWELVE, "body": '{"score": "NaN"}'}])
    fails(bench, 'no "0.5"', sample=SAMPLE, sample_expects={"contains": "0.5"})


# -- the traffic ------------------------------------------------------------------------------------------------------


def test_requests_that_fail_bring_the_old_back(canary: Bench, simulators: Simulators) -> None:
    """Azure Monitor counts 5xx at the first step: the traffic is put back and the new one deleted, with its log."""
    simulators.management.seed(
        traffic_seen=[{"deployment": TWELVE, "requests": 100, "failures": 3}],
        logs=[{"name": TWELVE, "content": "OutOfMemory"}],
    )
    told = fails(canary, r"requests to .* failed, 3\.0%; 1\.0% may", traffic=[10, 100])
    assert maps(simulators) == [{TEN: 36, ELEVEN: 54, TWELVE: 10}, {TEN: 40, ELEVEN: 60}]
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}
    assert not is_there(simulators, TWELVE)
    assert "the traffic is as before" in told.undone
    assert "OutOfMemory" in told.undone


def test_requests_that_take_long_bring_the_old_back(canary: Bench, simulators: Simulators) -> None:
    """So does a latency beyond what the rule allows."""
    simulators.management.seed(traffic_seen=[{"deployment": TWELVE, "requests": 100, "latency_ms": 900}])
    fails(canary, "took up to 900 ms; they may take 500", check={"max_latency": "500ms"})
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}


def test_what_may_fail_is_said_by_the_rule(canary: Bench, simulators: Simulators) -> None:
    """A share of failures below the bar is fine, and the record says what was seen."""
    simulators.management.seed(traffic_seen=[{"deployment": TWELVE, "requests": 100, "failures": 3, "latency_ms": 90}])
    told = canary.run("deploy.online_endpoint", **STEP, check={"max_failures": 0.05, "min_requests": 100})
    assert traffic(simulators) == {TWELVE: 100}
    assert "failed, 95 % of them took up to 90 ms" in told.result["seen"]


def test_enough_requests_are_waited_for(canary: Bench, simulators: Simulators) -> None:
    """The wait is over, but too few requests were seen to judge by."""
    serve(simulators, {TWELVE: 10, ELEVEN: 90})
    params = OnlineEndpoint.model_validate(
        STEP | {"workspace": "fraud", "model": "fraud-gbm", "version": "12", "check": {"min_requests": 20}}
    )
    result = {
        "workspace": WS,
        "deployment": TWELVE,
        "previous": {ELEVEN: 100},
        "traffic": {TWELVE: 10, ELEVEN: 90},
        "steps": [{TWELVE: 10, ELEVEN: 90}],
        "at": 1,
    }
    began = datetime.now(UTC) - timedelta(minutes=1)
    waits = watching.watch_step(params, canary.job(result=result, began=began))
    assert isinstance(waits, Pending)
    assert "waits for 20 requests" in waits.note
    simulators.management.seed(traffic_seen=[{"deployment": TWELVE, "requests": 30}])
    assert isinstance(watching.watch_step(params, canary.job(result=result, began=began)), Done)


def test_a_step_is_looked_at_while_it_waits(canary: Bench, simulators: Simulators) -> None:
    """A step that waits for ten minutes is looked at every two, and one that is sick is not left for all of them."""
    serve(simulators, {TWELVE: 10, ELEVEN: 90})
    params = OnlineEndpoint.model_validate(
        {"endpoint": "fraud", "workspace": "fraud", "model": "fraud-gbm", "version": "12"}
    )
    result = {
        "workspace": WS,
        "deployment": TWELVE,
        "previous": {ELEVEN: 100},
        "traffic": {TWELVE: 10, ELEVEN: 90},
        "steps": [{TWELVE: 10, ELEVEN: 90}],
        "at": 1,
    }
    looks = watching.watch_step(params, canary.job(result=result))
    assert isinstance(looks, Pending)
    assert looks.after == pytest.approx(120)
    simulators.management.seed(traffic_seen=[{"deployment": TWELVE, "requests": 30, "failures": 30}])
    began = datetime.now(UTC) - timedelta(minutes=4)
    with pytest.raises(PermanentError, match="failed, 100"):
        watching.watch_step(params, canary.job(result=result, began=began))


@pytest.fixture
def unmonitored(canary: Bench, simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Refuse the metrics."""
    monkeypatch.setattr(watching, "METRICS_WITHIN", timedelta())
    simulators.management.seed(forbidden=[{"path": "Microsoft.Insights", "n": 1000}])
    return canary


def test_without_metrics_the_sample_is_the_check(unmonitored: Bench, simulators: Simulators) -> None:
    """Each step is checked by the sample, and the record says that metrics cannot be read."""
    told = unmonitored.run("deploy.online_endpoint", **STEP, traffic=[10, 100], sample=SAMPLE)
    assert traffic(simulators) == {TWELVE: 100}
    assert "metrics cannot be read" in told.result["seen"]
    assert told.result["seen"].endswith("the sample was answered")


def test_without_metrics_a_sample_that_fails_brings_the_old_back(unmonitored: Bench, simulators: Simulators) -> None:
    """It answered before it had traffic, and does not any more."""

    def break_it(stage: str) -> None:
        if stage == "bake":
            simulators.inference.seed(scoring=[{"deployment": TWELVE, "status": 500}])

    unmonitored.before_stage = break_it
    fails(unmonitored, "failed the sample", sample=SAMPLE, traffic=[10, 100])
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}


def test_without_metrics_and_sample_the_record_says_so(unmonitored: Bench) -> None:
    """Nothing checks a step but that the endpoint stands."""
    told = unmonitored.run("deploy.online_endpoint", **STEP)
    assert told.result["seen"].endswith("nothing else checks it: the rule gives no sample")


def test_requests_that_must_be_seen_need_metrics(unmonitored: Bench, simulators: Simulators) -> None:
    """A rule that wants evidence does not go on without."""
    fails(unmonitored, "wants 5 requests to be seen", check={"min_requests": 5}, traffic=[10, 100])
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}


def test_a_check_may_be_the_sample_only(canary: Bench, simulators: Simulators) -> None:
    """`from: none` asks Azure Monitor nothing."""
    told = canary.run("deploy.online_endpoint", **STEP, check={"from": "none"}, sample=SAMPLE)
    assert simulators.management.seen("GET", "Microsoft.Insights") == []
    assert "by the sample only" in told.result["seen"]


@pytest.mark.parametrize("stage", ["shift", "bake"])
def test_traffic_that_somebody_else_changes_is_theirs(stage: str, canary: Bench, simulators: Simulators) -> None:
    """The action fails, and leaves the traffic as they set it."""

    def change(at: str) -> None:
        if at == stage:
            by_hand(canary, {TEN: 100})

    canary.before_stage = change
    told = fails(canary, "changed by somebody else", traffic=[10, 100])
    assert traffic(simulators) == {TEN: 100}
    assert "left as somebody else set it" in told.undone
    assert not is_there(simulators, TWELVE)


def test_traffic_that_somebody_gives_to_ours_keeps_it(canary: Bench, simulators: Simulators) -> None:
    """A deployment that somebody else gave traffic to is not deleted."""

    def change(at: str) -> None:
        if at == "bake":
            by_hand(canary, {TWELVE: 70, TEN: 30})

    canary.before_stage = change
    told = fails(canary, "changed by somebody else", traffic=[10, 100])
    assert traffic(simulators) == {TWELVE: 70, TEN: 30}
    assert "is left: it has 70 % of the traffic" in told.undone


def test_a_rollback_by_hand_is_noticed(canary: Bench, simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traffic that is as before for too long is not only shown late."""
    monkeypatch.setattr(watching, "OLD_FOR", timedelta(seconds=0.5))

    def change(at: str) -> None:
        if at == "bake":
            by_hand(canary, {TEN: 40, ELEVEN: 60})

    canary.before_stage = change
    fails(canary, "changed by somebody else", traffic=[10, 100])
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}
    assert not is_there(simulators, TWELVE)


def test_an_endpoint_that_is_deleted_meanwhile_is_a_failure(canary: Bench, simulators: Simulators) -> None:
    """There is nothing to put back, and the record says so."""

    def remove(at: str) -> None:
        if at == "bake":
            simulators.management.seed(remove=[f"{EP}/deployments/{TWELVE}", EP])

    canary.before_stage = remove
    assert fails(canary, "endpoint fraud was deleted meanwhile").undone == "endpoint fraud is gone"


@pytest.mark.parametrize("failing", ["stale", "lost_reply", "unsettled"])
def test_a_rollback_survives_what_can_happen(failing: str, canary: Bench, simulators: Simulators) -> None:
    """Old weights shown, a lost reply, an endpoint that is not settled: the old traffic is served at the end."""

    def disturb(stage: str) -> None:
        if stage == "bake" and failing == "stale":
            simulators.management.seed(settings={"stale_seconds": 0.7})
        if stage == "rollback" and failing == "lost_reply":
            simulators.management.fault("lost_reply", method="PUT", path="onlineEndpoints/fraud$")
            simulators.management.fault("lost_reply", method="DELETE", path=f"deployments/{TWELVE}$")
        if stage == "rollback" and failing == "unsettled":
            simulators.management.seed(unsettled=[{"name": "fraud", "n": 3}])

    canary.before_stage = disturb
    simulators.management.seed(traffic_seen=[{"deployment": TWELVE, "requests": 100, "failures": 100}])
    fails(canary, "failed, 100", traffic=[10, 100])
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}
    assert not is_there(simulators, TWELVE)


def test_a_deployment_that_cannot_be_deleted_is_told_of(canary: Bench, simulators: Simulators) -> None:
    """The traffic is as before, which is what counts; the record names what is left."""
    refusal = {"error": {"code": "BadRequest", "message": "it is locked"}}
    simulators.management.fault("error", method="DELETE", path=f"deployments/{TWELVE}$", status=400, body=refusal)
    simulators.management.seed(provisioning=[{"name": TWELVE, "outcome": "Failed"}])
    told = fails(canary, "is Failed")
    assert f"deployment {TWELVE} could not be deleted" in told.undone
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}


def test_a_first_deployment_that_fails_leaves_an_endpoint_that_serves_nobody(
    bench: Bench, simulators: Simulators
) -> None:
    """Nobody had traffic before, so nobody has it again; the endpoint stays."""
    simulators.management.seed(traffic_seen=[{"deployment": TWELVE, "requests": 100, "failures": 100}])
    fails(bench, "failed, 100")
    assert traffic(simulators) == {}
    assert not is_there(simulators, TWELVE)
    assert simulators.management.seen("DELETE", "/onlineEndpoints/fraud?") == []


def test_what_a_look_costs(canary: Bench, simulators: Simulators) -> None:
    """A look at a deployment that is being made is one request, and at a step of the traffic three."""
    params = OnlineEndpoint.model_validate({"endpoint": "fraud", "model": "fraud-gbm", "version": "12"})
    simulators.management.seed(traffic_seen=[{"deployment": ".", "requests": 30}])
    result = {
        "workspace": WS,
        "deployment": TEN,
        "model_id": model_id("10"),
        "traffic": {TEN: 40, ELEVEN: 60},
        "previous": {},
        "steps": [{TEN: 40, ELEVEN: 60}],
        "at": 1,
    }
    before = len(simulators.management.seen())
    making.watch_deployment(params, canary.job(result=result))
    assert len(simulators.management.seen()) == before + 1
    began = datetime.now(UTC) - timedelta(minutes=5)
    watching.watch_step(params, canary.job(result=result, began=began))
    assert len(simulators.management.seen()) == before + 1 + 3


# -- approval ---------------------------------------------------------------------------------------------------------

ASKS: dict[str, Any] = {"approval": {"by": ["lead@example.com"], "before": 100, "within": "1h"}, "traffic": [10, 100]}


def decision(verdict: Any) -> Decision:
    """Decide as a person does."""
    return Decision(verdict=verdict, step="step", by=Person(id="1", name="lead"), at=datetime.now(UTC), reason="seen")


def test_an_approved_step_is_made(canary: Bench, simulators: Simulators) -> None:
    """It is asked before the stated step, and goes on once somebody says so."""
    canary.decision = decision("approved")
    told = canary.run("deploy.online_endpoint", **STEP, **ASKS)
    assert told.announced == ["ApprovalRequested", "ApprovalGranted"]
    assert told.result["approved_by"] == "lead"
    assert maps(simulators) == [{TEN: 36, ELEVEN: 54, TWELVE: 10}, {TWELVE: 100}]


def test_the_channel_is_told_what_would_happen(canary: Bench, simulators: Simulators) -> None:
    """The message says what is served, what would be, what was seen so far, and how to decide."""
    channel = {"kind": "webhook", "url": f"{simulators.channels.url}/hooks/ops", "secret": SECRET}
    canary.declared = Declared.model_validate({"workspaces": {"fraud": WS}, "channels": {"ops": channel}})
    canary.decision = decision("approved")
    approval = ASKS["approval"] | {"channel": "ops"}
    canary.run("deploy.online_endpoint", **STEP, **ASKS | {"approval": approval})
    (message,) = simulators.channels.get("/_inbox")
    told = json.loads(message["body"])["data"]
    assert told["title"] == f"Approve {TWELVE} 100 % at fraud?"
    assert f"The traffic of fraud is {TEN} 36 %, {ELEVEN} 54 %, {TWELVE} 10 %." in told["text"]
    assert "Seen so far: no requests were seen" in told["text"]
    assert f"reactor actions approve {canary.key}" in told["text"]


def test_a_rejected_step_brings_the_old_back(canary: Bench, simulators: Simulators) -> None:
    """The action ends as rejected, with the traffic as before and without the new deployment."""
    canary.decision = decision("rejected")
    told = canary.run("deploy.online_endpoint", **STEP, **ASKS)
    assert told.end is not None
    assert (told.end.status, told.end.reason) == (Status.REJECTED, "rejected by lead: seen")
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}
    assert not is_there(simulators, TWELVE)
    assert "log" not in told.undone


def test_a_first_step_may_be_asked_about(canary: Bench, simulators: Simulators) -> None:
    """Where it is rejected, the traffic was never touched."""
    canary.decision = decision("rejected")
    approval = {"by": ["lead@example.com"], "before": 10}
    told = canary.run("deploy.online_endpoint", **STEP, traffic=[10, 100], approval=approval)
    assert told.end is not None
    assert maps(simulators) == []
    assert not is_there(simulators, TWELVE)


def test_nobody_decides_in_time(canary: Bench, simulators: Simulators) -> None:
    """The action ends as expired, and all is put back."""
    told = canary.run("deploy.online_endpoint", **STEP, **ASKS | {"approval": {"by": ["a@b.c"], "within": "1s"}})
    assert told.end is not None
    assert told.end.status is Status.EXPIRED
    assert traffic(simulators) == {TEN: 40, ELEVEN: 60}


# -- retirement -------------------------------------------------------------------------------------------------------


def retire(bench: Bench, *names: str) -> Told:
    """Retire deployments."""
    return bench.run("retire.online_deployment", endpoint="fraud", deployments=list(names))


@pytest.mark.parametrize("names", [(TEN,), (TEN, ELEVEN)])
def test_what_has_no_traffic_is_deleted(names: tuple[str, ...], bench: Bench, simulators: Simulators) -> None:
    """One after the other, and the endpoint is free afterwards."""
    serve(simulators, {TEN: 0, ELEVEN: 0, TWELVE: 100})
    told = retire(bench, *names)
    assert told.result["retired"] == list(names)
    assert [is_there(simulators, name) for name in names] == [False] * len(names)
    assert is_there(simulators, TWELVE)
    other = Bench(bench.clients, bench.declared, bench.event)
    assert other.job().hold(EP) == ""
    other.job().let_go(EP)


def gone(bench: Bench, simulators: Simulators) -> None:
    """Remove the endpoint."""
    del bench
    simulators.management.seed(remove=[EP])


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda bench, _: by_hand(bench, {TEN: 20, TWELVE: 80}), "has traffic again"),
        (lambda bench, _: by_hand(bench, {}), "nothing has the traffic"),
        (gone, "endpoint fraud is gone"),
        (lambda _, simulators: serve(simulators, {TEN: 0, TWELVE: 100}, mirrorTraffic={TEN: 10}), "has traffic again"),
    ],
)
def test_what_has_traffic_again_stays(
    prepare: Callable[[Bench, Simulators], None], words: str, bench: Bench, simulators: Simulators
) -> None:
    """Live or mirrored, and where nothing serves at all: the action ends as skipped, and says why."""
    serve(simulators, {TEN: 0, TWELVE: 100})
    prepare(bench, simulators)
    told = retire(bench, TEN)
    assert told.end is not None
    assert told.end.status is Status.SKIPPED
    assert words in told.end.reason
    assert simulators.management.seen("DELETE") == []


def test_what_is_gone_already_is_fine(bench: Bench, simulators: Simulators) -> None:
    """Somebody else deleted it."""
    serve(simulators, {TWELVE: 100})
    told = retire(bench, TEN)
    assert told.end is None
    assert told.result["retired"] == []


def test_a_part_is_retired(bench: Bench, simulators: Simulators) -> None:
    """What has traffic again is kept, the others go."""
    serve(simulators, {TEN: 0, ELEVEN: 10, TWELVE: 90})
    told = retire(bench, TEN, ELEVEN)
    assert (told.result["retired"], told.result["kept"]) == ([TEN], [ELEVEN])
    assert is_there(simulators, ELEVEN)


def test_a_deletion_that_loses_its_reply_is_survived(bench: Bench, simulators: Simulators) -> None:
    """It is looked for, and done again where it was not."""
    serve(simulators, {TEN: 0, TWELVE: 100})
    simulators.management.fault("lost_reply", method="DELETE", path=f"deployments/{TEN}$")
    simulators.management.seed(unsettled=[{"name": "fraud", "n": 1}])
    retire(bench, TEN)
    assert not is_there(simulators, TEN)


def test_the_plan_is_what_is_done(canary: Bench, simulators: Simulators) -> None:
    """What a deployment plans for later can be performed as it is written."""
    (later,) = canary.run("deploy.online_endpoint", **STEP).later
    Bench(canary.clients, canary.declared, canary.event).run(later.step.action, **later.step.params)
    assert traffic(simulators) == {TWELVE: 100}
    assert [is_there(simulators, name) for name in (TEN, ELEVEN, TWELVE)] == [False, False, True]


def test_a_shift_that_never_shows_is_a_failure(canary: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traffic that stays as before, although the service said that it was changed, is somebody else's doing."""
    monkeypatch.setattr(shifting, "OLD_FOR", timedelta(seconds=0.3))
    params = OnlineEndpoint.model_validate(STEP | {"workspace": "fraud", "model": "fraud-gbm", "version": "12"})
    result = {
        "workspace": WS,
        "deployment": TWELVE,
        "previous": {TEN: 40, ELEVEN: 60},
        "steps": [{TWELVE: 100}],
        "at": 0,
        "traffic": {TEN: 40, ELEVEN: 60},
    }
    put = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    with pytest.raises(PermanentError, match="changed by somebody else"):
        shifting.watch_shift(params, canary.job(result=result, memory={"put": put}))
