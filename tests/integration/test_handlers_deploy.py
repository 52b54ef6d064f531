"""deploy.batch_endpoint over real https against the simulated service."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.simulators.remote import Simulators
from shared.clients.machine_learning.batch import BatchSettings
from shared.errors import PermanentError, TemporaryError
from shared.handlers import ACTIONS
from shared.handlers.machine_learning.batch_deployment import SETTINGS_TAG
from shared.handlers.machine_learning.serving import deployment_name
from shared.rules.declared import Declared
from shared.stages import Done, Pending, find_handler
from shared.storage import prepare
from tests.integration.stages import Bench, clients_of, event_of

WS = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers/"
    "Microsoft.MachineLearningServices/workspaces/fraud"
)
REGISTERED = (Path(__file__).parents[1] / "events/model_registered.json").read_text("utf-8")
TAGS = {"stage": "production", "team.owner": "risk"}
TWELVE = deployment_name("fraud-gbm", "12", f"{WS}/models/fraud-gbm/versions/12")
ELEVEN = deployment_name("fraud-gbm", "11", f"{WS}/models/fraud-gbm/versions/11")
REGISTERED_ELSEWHERE = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers/"
    "Microsoft.MachineLearningServices/registries/prod/models/fraud-gbm/versions/3"
)
STEP = {"endpoint": "fraud-batch", "compute": "cpu"}


@pytest.fixture
def bench(simulators: Simulators, azurite: str) -> Bench:
    """Answer the registration of version 12, in a workspace declared in another casing."""
    simulators.management.seed(
        models=[
            {"id": f"{WS}/models/fraud-gbm/versions/12", "tags": TAGS, "createdAt": "2026-03-02T08:15:04Z"},
            {"id": f"{WS}/models/fraud-gbm/versions/11", "tags": TAGS, "createdAt": "2026-02-01T08:15:04Z"},
        ],
        computes=[{"id": f"{WS}/computes/cpu"}],
        settings={"provisioning_seconds": 0.2},
    )
    declared = Declared(workspaces={"fraud": WS.replace("resourceGroups", "resourcegroups")})
    bench = Bench(clients_of(simulators, azurite), declared, event_of(REGISTERED))
    prepare(bench.clients.account, "backups")
    return bench


def default(simulators: Simulators) -> str:
    """Read which deployment answers by default."""
    resources: dict[str, Any] = simulators.management.state()["resources"]
    (endpoint,) = [one for name, one in resources.items() if name.lower().endswith("/batchendpoints/fraud-batch")]
    return str((endpoint["properties"]["defaults"] or {}).get("deploymentName"))


def test_a_model_is_deployed_and_made_default(bench: Bench, simulators: Simulators) -> None:
    """Endpoint, deployment and default are made in turn, each watched until it is ready."""
    told = bench.run("deploy.batch_endpoint", **STEP)
    assert default(simulators) == TWELVE
    assert told.result["live"] == TWELVE
    assert told.result["scoring_uri"].endswith("/westeurope/fraud-batch/jobs")
    assert told.result["tags"] == TAGS
    assert "endpoints/batch/fraud-batch" in told.result["links"]["studio"]
    assert f"deployed:{WS.lower()}/fraud-batch" in told.wake_on


@pytest.mark.guarantee(3)
def test_a_second_deployment_of_the_same_model_changes_nothing(bench: Bench, simulators: Simulators) -> None:
    """What is there already is found, and nothing is written again."""
    bench.run("deploy.batch_endpoint", **STEP)
    before = len(simulators.management.seen("PUT"))
    bench.run("deploy.batch_endpoint", **STEP)
    assert len(simulators.management.seen("PUT")) == before == 3


@pytest.mark.guarantee(4)
def test_an_older_model_never_replaces_a_newer_one(bench: Bench, simulators: Simulators) -> None:
    """A late event deploys its version, but the newer one stays the default."""
    bench.run("deploy.batch_endpoint", **STEP)
    told = bench.run("deploy.batch_endpoint", **STEP, version="11")
    assert told.notes[-1] == f"a newer model is live: {TWELVE}"
    assert default(simulators) == TWELVE


@pytest.mark.guarantee(4)
def test_a_newer_model_replaces_an_older_one(bench: Bench, simulators: Simulators) -> None:
    """In order, each version becomes the default."""
    bench.run("deploy.batch_endpoint", **STEP, version="11")
    assert default(simulators) == ELEVEN
    bench.run("deploy.batch_endpoint", **STEP)
    assert default(simulators) == TWELVE


@pytest.mark.guarantee(4)
def test_a_live_model_that_was_deleted_is_not_taken_for_old(bench: Bench, simulators: Simulators) -> None:
    """Where the live version is gone, its deployment's age decides, which errs on the side of leaving it."""
    bench.run("deploy.batch_endpoint", **STEP)
    simulators.management.seed(remove=[f"{WS}/models/fraud-gbm/versions/12"])
    bench.run("deploy.batch_endpoint", **STEP, version="11")
    assert default(simulators) == TWELVE


def test_setting_the_default_keeps_everything_else(bench: Bench, simulators: Simulators) -> None:
    """The endpoint is put back as it was read: tags, identity, description; read-only members are left out."""
    bench.run("deploy.batch_endpoint", **STEP)
    put = json.loads(simulators.management.seen("PUT", "/batchEndpoints/fraud-batch?")[-1]["body"])
    assert put["identity"]["type"] == "SystemAssigned"
    assert put["properties"]["authMode"] == "AADToken"
    assert put["properties"]["defaults"] == {"deploymentName": TWELVE}
    assert not {"id", "name", "systemData"} & set(put)
    assert not {"scoringUri", "provisioningState"} & set(put["properties"])


def test_a_lost_reply_and_a_throttled_write_are_survived(bench: Bench, simulators: Simulators) -> None:
    """Each write may lose its reply or be throttled: it is found, or done again, and the end is the same."""
    for path in ("batchEndpoints/fraud-batch$", f"deployments/{TWELVE}"):
        simulators.management.fault("lost_reply", method="PUT", path=path)
        simulators.management.fault("throttle", method="PUT", path=path, retry_after=1)
    told = bench.run("deploy.batch_endpoint", **STEP)
    assert default(simulators) == TWELVE
    assert any("did not answer" in trouble for trouble in told.troubles)


def test_a_role_that_has_not_arrived_is_waited_for(bench: Bench, simulators: Simulators) -> None:
    """A 403 is tried again, and the record says why."""
    simulators.management.seed(forbidden=[{"path": "models", "n": 2}])
    told = bench.run("deploy.batch_endpoint", **STEP)
    assert len(told.troubles) == 2
    assert "role may not have propagated" in told.troubles[0]


def test_an_endpoint_that_is_not_seen_yet_is_waited_for(bench: Bench, simulators: Simulators) -> None:
    """A deployment that is refused because its new endpoint is not found is made a little later."""
    simulators.management.fault(
        "error", method="PUT", path=f"deployments/{TWELVE}", status=404, body={"error": {"code": "ParentNotFound"}}
    )
    told = bench.run("deploy.batch_endpoint", **STEP)
    assert "ParentNotFound" in told.troubles[0]
    assert default(simulators) == TWELVE


@pytest.mark.parametrize("body", ["[]", "{}", '{"properties": []}', '{"properties": {"defaults": "x"}}'])
def test_an_endpoint_that_cannot_be_read_is_not_put_back(body: str, bench: Bench, simulators: Simulators) -> None:
    """Where the endpoint comes back as something else, it is asked for again, and nothing is written."""
    simulators.management.fault("error", method="GET", path="batchEndpoints/fraud-batch", status=200, body=body)
    with pytest.raises(TemporaryError, match="unexpected"):
        bench.clients.machine_learning.batch.set_default(WS, "fraud-batch", TWELVE, instead_of="")
    assert simulators.management.seen("PUT") == []


@pytest.mark.guarantee(7)
@pytest.mark.parametrize(
    "model_id",
    [".example.com/x", "/subscriptions/s/../..", "/subscriptions/s/%2e%2E/x", "/subscriptions/s/x?y", "https://x"],
)
def test_a_model_id_that_is_none_sees_no_token(model_id: str, bench: Bench, simulators: Simulators) -> None:
    """The id of a live deployment's model comes from outside, and is asked for only where it is an ARM id."""
    with pytest.raises(PermanentError, match="no model's ARM id"):
        bench.clients.machine_learning.models.by_id(model_id)
    assert simulators.management.seen() == []


def test_a_failed_deployment_says_why(bench: Bench, simulators: Simulators) -> None:
    """A deployment that fails is permanent, with the operation's own words, and no default is set."""
    failure = {"name": TWELVE, "outcome": "Failed", "code": "ImageBuildFailure", "message": "conda solve failed"}
    simulators.management.seed(provisioning=[failure])
    with pytest.raises(PermanentError, match="conda solve failed"):
        bench.run("deploy.batch_endpoint", **STEP)
    assert default(simulators) == "None"


def test_a_deployment_of_that_name_with_another_model_is_left_alone(bench: Bench, simulators: Simulators) -> None:
    """A name that holds something else is a permanent failure, not an overwrite."""
    bench.run("deploy.batch_endpoint", **STEP)
    resources = simulators.management.state()["resources"]
    (deployment,) = [one for name, one in resources.items() if name.endswith(f"/deployments/{TWELVE}")]
    client = bench.clients.machine_learning
    assert deployment["properties"]["model"]["assetId"].endswith("/versions/12")
    other = BatchSettings(model_id=f"{WS}/models/fraud-gbm/versions/11", compute_id=f"{WS}/computes/cpu")
    client.batch.put_deployment(WS, "fraud-batch", TWELVE, "westeurope", other)
    with pytest.raises(PermanentError, match="holds something else"):
        bench.run("deploy.batch_endpoint", **STEP)


def test_a_deleted_model_starts_nothing(bench: Bench, simulators: Simulators) -> None:
    """A model that is gone by now is not deployed."""
    simulators.management.seed(remove=[f"{WS}/models/fraud-gbm/versions/12"])
    with pytest.raises(PermanentError, match="not there any more"):
        bench.run("deploy.batch_endpoint", **STEP)
    assert simulators.management.seen("PUT") == []


def test_tags_that_changed_are_recorded(bench: Bench, simulators: Simulators) -> None:
    """The tags are those of now, and the record says that they differ from the event's."""
    simulators.management.seed(models=[{"id": f"{WS}/models/fraud-gbm/versions/12", "tags": {"stage": "archived"}}])
    told = bench.run("deploy.batch_endpoint", **STEP)
    assert told.result["tags"] == {"stage": "archived"}
    assert "changed" in told.notes[0]


def test_a_custom_model_needs_its_code(bench: Bench, simulators: Simulators) -> None:
    """What does not say how it scores is refused before anything is made."""
    simulators.management.seed(
        models=[{"id": f"{WS}/models/fraud-gbm/versions/12", "tags": TAGS, "modelType": "custom_model"}]
    )
    with pytest.raises(PermanentError, match="how it scores"):
        bench.run("deploy.batch_endpoint", **STEP)


@pytest.mark.guarantee(7)
def test_a_workspace_that_is_not_declared_sees_no_token(bench: Bench, simulators: Simulators) -> None:
    """Only declared workspaces are spoken to, even where the event comes from another."""
    with pytest.raises(PermanentError, match="not declared"):
        bench.run("deploy.batch_endpoint", **STEP, workspace=WS.replace("fraud", "elsewhere"))
    assert simulators.management.seen() == []


# -- every setting ----------------------------------------------------------------------------------------------------

EVERY_SETTING = {
    "instance_count": 2,
    "environment": "gbm-env:7",
    "environment_variables": {"THREADS": "4"},
    "code": "score:1",
    "scoring_script": "score.py",
    "mini_batch_size": 5,
    "error_threshold": 3,
    "output_action": "SummaryOnly",
    "output_file": "scores.csv",
    "max_retries": 1,
    "retry_timeout": "90s",
    "concurrency": 2,
    "logging_level": "Debug",
}


def deployed(simulators: Simulators) -> dict[str, Any]:
    """Read the last body that a deployment was put with."""
    body: dict[str, Any] = json.loads(simulators.management.seen("PUT", "/deployments/")[-1]["body"])
    return body


def custom(simulators: Simulators) -> None:
    """Make version 12 a model that says nothing about how it scores, and give code and an environment."""
    simulators.management.seed(
        models=[{"id": f"{WS}/models/fraud-gbm/versions/12", "tags": TAGS, "modelType": "custom_model"}],
        codes=[{"id": f"{WS}/codes/score/versions/1"}],
        environments=[{"id": f"{WS}/environments/gbm-env/versions/7"}],
    )


def test_each_setting_arrives(bench: Bench, simulators: Simulators) -> None:
    """Everything that a deployment can be told is in the body, in the service's words."""
    custom(simulators)
    bench.run("deploy.batch_endpoint", **STEP, **EVERY_SETTING)
    properties = deployed(simulators)["properties"]
    assert properties == {
        "model": {"referenceType": "Id", "assetId": f"{WS}/models/fraud-gbm/versions/12"},
        "compute": properties["compute"],
        "resources": {"instanceCount": 2},
        "environmentId": properties["environmentId"],
        "environmentVariables": {"THREADS": "4"},
        "codeConfiguration": {"codeId": properties["codeConfiguration"]["codeId"], "scoringScript": "score.py"},
        "miniBatchSize": 5,
        "errorThreshold": 3,
        "outputAction": "SummaryOnly",
        "outputFileName": "scores.csv",
        "retrySettings": {"maxRetries": 1, "timeout": "PT90S"},
        "maxConcurrencyPerInstance": 2,
        "loggingLevel": "Debug",
    }
    assert properties["compute"].endswith("/workspaces/fraud/computes/cpu")
    assert properties["environmentId"].endswith("/environments/gbm-env/versions/7")
    assert properties["codeConfiguration"]["codeId"].endswith("/codes/score/versions/1")


def test_other_settings_are_another_deployment(bench: Bench, simulators: Simulators) -> None:
    """The same model with other settings is made beside what is live, once; with the same it is left alone."""
    bench.run("deploy.batch_endpoint", **STEP, mini_batch_size=5)
    before = deployed(simulators)["tags"][SETTINGS_TAG]
    told = bench.run("deploy.batch_endpoint", **STEP, mini_batch_size=6)
    assert deployed(simulators)["properties"]["miniBatchSize"] == 6
    assert deployed(simulators)["tags"][SETTINGS_TAG] != before
    assert told.result["deployment"] == default(simulators) != TWELVE
    assert (TWELVE in batches(simulators), len(default(simulators)) <= 32) == (True, True)
    count = len(simulators.management.seen("PUT"))
    bench.run("deploy.batch_endpoint", **STEP, mini_batch_size=6)
    assert len(simulators.management.seen("PUT")) == count


def test_settings_that_are_taken_back_are_those_of_before(bench: Bench, simulators: Simulators) -> None:
    """The deployment that has them still becomes the default again, and is not written."""
    for size in (5, 6, 5):
        bench.run("deploy.batch_endpoint", **STEP, mini_batch_size=size)
    assert default(simulators) == TWELVE
    assert batches(simulators)[TWELVE]["miniBatchSize"] == 5
    assert len(simulators.management.seen("PUT", "/deployments/")) == 2


def test_what_is_not_the_default_gets_its_settings_in_place(bench: Bench, simulators: Simulators) -> None:
    """Nobody is served by it, so that it is put again under its name."""
    bench.run("deploy.batch_endpoint", **STEP, version="11")
    for size in (5, 6):
        bench.run("deploy.batch_endpoint", **STEP, set_default=False, mini_batch_size=size)
    assert default(simulators) == ELEVEN
    assert {name: one["miniBatchSize"] for name, one in batches(simulators).items()} == {ELEVEN: 10, TWELVE: 6}


def test_settings_that_cannot_be_made_leave_the_default_as_it_is(bench: Bench, simulators: Simulators) -> None:
    """What answers goes on to answer: it is never written, only replaced."""
    bench.run("deploy.batch_endpoint", **STEP)
    simulators.management.seed(provisioning=[{"name": "v12", "outcome": "Failed", "message": "ImageBuildFailure"}])
    bench.key = uuid4().hex
    with pytest.raises(PermanentError, match="ImageBuildFailure"):
        bench.run("deploy.batch_endpoint", **STEP, mini_batch_size=99)
    assert default(simulators) == TWELVE
    live = batches(simulators)[TWELVE]
    assert (live["provisioningState"], live["miniBatchSize"]) == ("Succeeded", 10)


@pytest.mark.guarantee(3)
def test_a_lost_reply_makes_no_second_deployment_of_other_settings(bench: Bench, simulators: Simulators) -> None:
    """The name is made of the settings, so that it is the same one however often it is asked for."""
    bench.run("deploy.batch_endpoint", **STEP)
    simulators.management.fault("lost_reply", method="PUT", path="/deployments/")
    told = bench.run("deploy.batch_endpoint", **STEP, mini_batch_size=6)
    assert told.troubles
    assert set(batches(simulators)) == {TWELVE, told.result["deployment"]}
    assert default(simulators) == told.result["deployment"]


def test_a_deployment_that_failed_once_is_made_anew(bench: Bench, simulators: Simulators) -> None:
    """A replay puts it again, where it is ours and nobody is served by it; somebody else's is left to them."""
    simulators.management.seed(provisioning=[{"name": TWELVE, "outcome": "Failed", "message": "InternalServerError"}])
    with pytest.raises(PermanentError, match="InternalServerError"):
        bench.run("deploy.batch_endpoint", **STEP)
    bench.key = uuid4().hex
    assert bench.run("deploy.batch_endpoint", **STEP).result["live"] == TWELVE
    assert default(simulators) == TWELVE


def test_a_failed_deployment_of_somebody_else_is_left_alone(bench: Bench, simulators: Simulators) -> None:
    """It was not made by a rule: whoever made it says what becomes of it."""
    bench.run("deploy.batch_endpoint", **STEP, version="11")
    theirs = BatchSettings(model_id=f"{WS}/models/fraud-gbm/versions/12", compute_id=f"{WS}/computes/cpu")
    simulators.management.seed(provisioning=[{"name": TWELVE, "outcome": "Failed", "seconds": 0}])
    bench.clients.machine_learning.batch.put_deployment(WS, "fraud-batch", TWELVE, "westeurope", theirs)
    with pytest.raises(PermanentError, match="is Failed") as caught:
        bench.run("deploy.batch_endpoint", **STEP)
    assert "delete it" in caught.value.remedy


@pytest.mark.parametrize("given", [{"scoring_script": "s.py"}, {"code": "score:1"}])
def test_code_and_script_go_together(given: dict[str, str], bench: Bench, simulators: Simulators) -> None:
    """One without the other would be ignored, so it is refused, of an MLflow model too."""
    with pytest.raises(PermanentError, match="code and scoring_script go together"):
        bench.run("deploy.batch_endpoint", **STEP, **given)
    assert simulators.management.seen("PUT") == []


def batches(simulators: Simulators) -> dict[str, dict[str, Any]]:
    """Read the endpoint's deployments by their names, as they are."""
    told: dict[str, Any] = simulators.management.state()["resources"]
    return {one["name"]: one["properties"] for name, one in told.items() if "/deployments/" in name}


def test_who_is_not_to_be_the_default_is_not_made_so(bench: Bench, simulators: Simulators) -> None:
    """The deployment is there, and callers that name none get who answered before."""
    bench.run("deploy.batch_endpoint", **STEP, version="11")
    told = bench.run("deploy.batch_endpoint", **STEP, set_default=False)
    assert default(simulators) == ELEVEN
    assert (told.result["deployment"], told.result["live"]) == (TWELVE, ELEVEN)
    assert told.notes[-1] == f"the default stays {ELEVEN}"


def test_a_model_must_be_named(bench: Bench, simulators: Simulators) -> None:
    """Where neither the rule nor the event names one, nothing is made."""
    with pytest.raises(PermanentError, match="which model") as caught:
        bench.run("deploy.batch_endpoint", **STEP, model="", version="")
    assert "component" in caught.value.remedy
    assert simulators.management.seen("PUT") == []


# -- compute ----------------------------------------------------------------------------------------------------------


def test_a_compute_that_is_missing_is_a_failure_before_anything_is_made(bench: Bench, simulators: Simulators) -> None:
    """It is named, and both remedies are."""
    with pytest.raises(PermanentError, match='compute "gpu" is not there') as caught:
        bench.run("deploy.batch_endpoint", endpoint="fraud-batch", compute="gpu")
    assert "create_compute" in caught.value.remedy
    assert simulators.management.seen("PUT") == []


def test_a_compute_is_made_where_it_is_missing(bench: Bench, simulators: Simulators) -> None:
    """With its scale settings; where it is there, it is left as it is."""
    how = {"size": "Standard_DS3_v2", "min_nodes": 0, "max_nodes": 4, "idle": "10m", "priority": "LowPriority"}
    for _ in range(2):
        bench.run("deploy.batch_endpoint", endpoint="fraud-batch", compute="gpu", create_compute=how)
    (put,) = simulators.management.seen("PUT", "/computes/gpu")
    made = json.loads(put["body"])["properties"]
    assert made["computeType"] == "AmlCompute"
    assert made["properties"]["vmSize"] == "Standard_DS3_v2"
    assert made["properties"]["vmPriority"] == "LowPriority"
    assert made["properties"]["scaleSettings"] == {
        "minNodeCount": 0, "maxNodeCount": 4, "nodeIdleTimeBeforeScaleDown": "PT600S",
    }  # fmt: skip


def test_a_compute_may_be_a_whole_arm_id(bench: Bench, simulators: Simulators) -> None:
    """One of the workspace is looked at by its name; one of another workspace is left to the service."""
    bench.run("deploy.batch_endpoint", endpoint="fraud-batch", compute=f"{WS}/computes/cpu")
    assert deployed(simulators)["properties"]["compute"] == f"{WS}/computes/cpu"
    elsewhere = f"{WS.replace('/fraud', '/other')}/computes/cpu"
    with pytest.raises(PermanentError, match="was not found"):
        bench.run("deploy.batch_endpoint", endpoint="other-batch", compute=elsewhere)
    assert simulators.management.seen("GET", "/workspaces/other/") == []


# -- pipeline components ----------------------------------------------------------------------------------------------


def test_a_component_is_deployed_in_place_of_a_model(bench: Bench, simulators: Simulators) -> None:
    """No model is read; the deployment runs the component on the compute."""
    simulators.management.seed(components=[{"id": f"{WS}/components/retrain/versions/4"}])
    told = bench.run("deploy.batch_endpoint", **STEP, component="retrain:4")
    configured = deployed(simulators)["properties"]["deploymentConfiguration"]
    assert configured["deploymentConfigurationType"] == "PipelineComponent"
    assert configured["componentId"]["assetId"].endswith("/components/retrain/versions/4")
    assert default(simulators) == told.result["live"] == told.result["deployment"]
    assert simulators.management.seen("GET", "/models/") == []


def test_a_component_that_is_not_there(bench: Bench, simulators: Simulators) -> None:
    """It is named, and nothing is made."""
    with pytest.raises(PermanentError, match="component retrain:9 is not there"):
        bench.run("deploy.batch_endpoint", **STEP, component="retrain:9")
    assert simulators.management.seen("PUT") == []


def test_a_component_brings_its_own_code(bench: Bench) -> None:
    """Code beside a component is a mistake in the rule."""
    with pytest.raises(PermanentError, match="brings its own code"):
        bench.run("deploy.batch_endpoint", **STEP, component="retrain:4", code="score:1")


@pytest.mark.parametrize(
    "given",
    [
        {"instance_count": 7}, {"mini_batch_size": 5}, {"error_threshold": 3}, {"output_action": "SummaryOnly"},
        {"output_file": "x.csv"}, {"max_retries": 1}, {"retry_timeout": "90s"}, {"concurrency": 2},
        {"logging_level": "Debug"},
    ],
)  # fmt: skip
def test_a_component_has_no_use_for_a_models_settings(given: dict[str, Any], bench: Bench) -> None:
    """They would be ignored, so each of them is refused by its name."""
    with pytest.raises(PermanentError, match=f"no use for {next(iter(given))}"):
        bench.run("deploy.batch_endpoint", **STEP, component="retrain:4", **given)


@pytest.mark.parametrize("component", ["retrain", "azureml:retrain", f"{WS}/components/retrain"])
def test_a_component_without_a_version_is_a_mistake_in_the_rule(component: str) -> None:
    """It is told when the rules are checked, unless a template says which one."""
    handler = find_handler(ACTIONS, "deploy.batch_endpoint")
    with pytest.raises(PermanentError, match=r"component: .*names no version"):
        handler.parse({**STEP, "component": component})
    assert handler.parse({**STEP, "component": "{{ data.component }}"})


@pytest.mark.parametrize("model_id", [REGISTERED_ELSEWHERE, "azureml://registries/prod/models/fraud-gbm/versions/3"])
def test_a_registrys_model_is_deployed(model_id: str, bench: Bench, simulators: Simulators) -> None:
    """It is read again, be it named by its ARM id or by its short one, with which its registry is looked for."""
    simulators.management.seed(models=[{"id": REGISTERED_ELSEWHERE}])
    told = bench.run("deploy.batch_endpoint", **STEP, model_id=model_id)
    asset = deployed(simulators)["properties"]["model"]["assetId"]
    assert asset == "azureml://registries/prod/models/fraud-gbm/versions/3"
    assert told.notes[0] == ""
    assert told.result["model_at"] == REGISTERED_ELSEWHERE
    assert default(simulators) == told.result["live"]


def test_what_a_deployment_asks_of_the_service(bench: Bench, simulators: Simulators) -> None:
    """Twelve reads and three writes make one, beside one read for each look while it is being made."""
    simulators.management.seed(settings={"provisioning_seconds": 0})
    bench.run("deploy.batch_endpoint", **STEP)
    assert [len(simulators.management.seen(verb)) for verb in ("GET", "PUT")] == [12, 3]


# -- what is live stays as it is --------------------------------------------------------------------------------------


def state_of(simulators: Simulators, name: str) -> tuple[str, int]:
    """Read how a deployment is doing, and one of its settings."""
    resources: dict[str, Any] = simulators.management.state()["resources"]
    (found,) = [one for id, one in resources.items() if id.lower().endswith(f"/deployments/{name}")]
    return found["properties"]["provisioningState"], found["properties"]["miniBatchSize"]


def test_other_settings_of_what_is_live_are_another_deployment(bench: Bench, simulators: Simulators) -> None:
    """It becomes the default once it stands; the same once more finds it, and back again finds the first."""
    bench.run("deploy.batch_endpoint", **STEP)
    other = bench.run("deploy.batch_endpoint", **STEP, mini_batch_size=99).result["live"]
    assert other != TWELVE
    assert default(simulators) == other
    assert (state_of(simulators, TWELVE), state_of(simulators, other)) == (("Succeeded", 10), ("Succeeded", 99))
    before = len(simulators.management.seen("PUT"))
    assert bench.run("deploy.batch_endpoint", **STEP, mini_batch_size=99).result["live"] == other
    assert len(simulators.management.seen("PUT")) == before
    assert bench.run("deploy.batch_endpoint", **STEP).result["live"] == TWELVE


@pytest.mark.guarantee(3)
def test_other_settings_that_fail_leave_what_is_live(bench: Bench, simulators: Simulators) -> None:
    """The default is what it was, and works."""
    bench.run("deploy.batch_endpoint", **STEP)
    simulators.management.seed(provisioning=[{"name": "fraud-gbm-v12-", "outcome": "Failed", "message": "no image"}])
    with pytest.raises(PermanentError, match=r"is Failed: .*no image"):
        bench.run("deploy.batch_endpoint", **STEP, mini_batch_size=99)
    assert default(simulators) == TWELVE
    assert state_of(simulators, TWELVE) == ("Succeeded", 10)


def test_a_deployment_that_failed_before_is_made_again(bench: Bench, simulators: Simulators) -> None:
    """What failed may have passed by: nobody is served by it."""
    simulators.management.seed(provisioning=[{"name": TWELVE, "outcome": "Failed", "n": 1}])
    with pytest.raises(PermanentError, match="is Failed"):
        bench.run("deploy.batch_endpoint", **STEP)
    assert bench.run("deploy.batch_endpoint", **STEP).result["live"] == TWELVE


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"component": "retrain:4", "mini_batch_size": 5}, "has no use for mini_batch_size"),
        ({"scoring_script": "score.py"}, "code and scoring_script go together"),
        ({"code": "score:1"}, "code and scoring_script go together"),
    ],
)
def test_what_would_be_ignored_is_refused(
    params: dict[str, Any], words: str, bench: Bench, simulators: Simulators
) -> None:
    """A rule that says it means something by it."""
    with pytest.raises(PermanentError, match=words):
        bench.run("deploy.batch_endpoint", **STEP, **params)
    assert simulators.management.seen("PUT") == []


# -- one at a time ----------------------------------------------------------------------------------------------------


def test_an_endpoint_that_another_action_works_on_is_waited_for(bench: Bench, simulators: Simulators) -> None:
    """Nothing is written before the other lets go; the note names it."""
    bench.locks.hold(f"{WS}/batchEndpoints/fraud-batch", "ab" * 16, datetime.now(UTC), lambda _key: False)
    handler = find_handler(ACTIONS, "deploy.batch_endpoint")
    params = handler.parse({"workspace": WS, "model": "fraud-gbm", "version": "12", **STEP})
    turn, result = handler.stage("turn"), {"workspace": WS, "endpoint": "fraud-batch"}
    waiting = turn.start(params, bench.job("step", result))
    assert waiting == Pending(note="action abababab is working on the endpoint")
    assert simulators.management.seen("PUT") == []
    bench.locks.let_go(f"{WS}/batchEndpoints/fraud-batch", "ab" * 16, datetime.now(UTC))
    assert turn.watch is not None
    assert turn.watch(params, bench.job("step", result)) == Done()
    bench.run("deploy.batch_endpoint", **STEP)
    assert default(simulators) == TWELVE


def test_the_endpoint_is_let_go_of_at_the_end(bench: Bench, simulators: Simulators) -> None:
    """Steps that follow do not keep others waiting."""
    bench.run("deploy.batch_endpoint", **STEP)
    endpoint = f"{WS}/batchEndpoints/fraud-batch"
    assert bench.locks.hold(endpoint, "cd" * 16, datetime.now(UTC), lambda _key: False) == ""
    bench.locks.let_go(endpoint, "cd" * 16, datetime.now(UTC))


@given(st.text(min_size=1), st.text(min_size=1), st.text())
def test_any_model_gives_a_legal_deployment_name(model: str, version: str, model_id: str) -> None:
    """Whatever a model is called, its deployment's name is legal: 3 to 32 characters, a letter first, single dashes."""
    name = deployment_name(model, version, model_id)
    assert 3 <= len(name) <= 32
    assert name[0].isalpha()
    assert name.isascii()
    assert all(part.isalnum() for part in name.split("-"))
