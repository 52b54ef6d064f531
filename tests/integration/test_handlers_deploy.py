"""deploy.batch_endpoint over real https against the simulated service."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.simulators.remote import Simulators
from shared.clients.machine_learning.batch import BatchSettings
from shared.errors import PermanentError, TemporaryError
from shared.handlers.deploy import deployment_name
from shared.rules.declared import Declared
from tests.integration.stages import Bench, clients_of, event_of

WS = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers/"
    "Microsoft.MachineLearningServices/workspaces/fraud"
)
REGISTERED = (Path(__file__).parents[1] / "events/model_registered.json").read_text("utf-8")
TAGS = {"stage": "production", "team.owner": "risk"}
TWELVE = deployment_name("fraud-gbm", "12", f"{WS}/models/fraud-gbm/versions/12")
ELEVEN = deployment_name("fraud-gbm", "11", f"{WS}/models/fraud-gbm/versions/11")
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
    return Bench(clients_of(simulators, azurite), declared, event_of(REGISTERED))


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
    assert told.result["scoring_uri"].startswith("https://fraud-batch.")
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
@pytest.mark.parametrize("model_id", [".example.com/x", "/subscriptions/s/../..", "/subscriptions/s/x?y", "https://x"])
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
    with pytest.raises(PermanentError, match="holds another model"):
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


@given(st.text(min_size=1), st.text(min_size=1), st.text())
def test_any_model_gives_a_legal_deployment_name(model: str, version: str, model_id: str) -> None:
    """Whatever a model is called, its deployment's name is legal: 3 to 32 characters, a letter first, single dashes."""
    name = deployment_name(model, version, model_id)
    assert 3 <= len(name) <= 32
    assert name[0].isalpha()
    assert name.isascii()
    assert all(part.isalnum() for part in name.split("-"))
