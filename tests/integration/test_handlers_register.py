"""register.model over real https against the simulated service, and real storage."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dev.simulators.remote import Simulators
from shared.errors import PermanentError, TemporaryError
from shared.handlers import gate
from shared.handlers.machine_learning import register
from shared.rules.declared import Declared
from shared.stages import Done, Job
from shared.storage.backups import Manifest
from tests.integration.stages import Bench, clients_of, event_of

WS = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers/"
    "Microsoft.MachineLearningServices/workspaces/fraud"
)
BREACH = (Path(__file__).parents[1] / "events/monitor_breach.json").read_text("utf-8")
OUTPUT = "azureml://datastores/workspaceblobstore/paths/azureml/brave_owl/model/"
FOLDER = "p/i/ONNX/default"


@pytest.fixture
def bench(simulators: Simulators, azurite: str) -> Bench:
    """Answer a drift, after a job that has trained a model."""
    simulators.management.seed(
        jobs=[{"id": f"{WS}/jobs/brave_owl", "status": "Completed", "metrics": {"auc": 0.93, "loss": 0.25}}]
    )
    return Bench(clients_of(simulators, azurite), Declared(workspaces={"fraud": WS}), event_of(BREACH))


def model(**given: Any) -> register.Model:
    """Fill in what a rule would leave out."""
    return register.Model.model_validate({"workspace": WS, "name": "fraud-gbm", "from": OUTPUT, **given})


def found_out(bench: Bench, params: register.Model, steps: Any = None) -> Job:
    """Find out what is registered, and tell the next stage."""
    done = register.read_source(params, replace(bench.job(), steps=steps or {}))
    assert isinstance(done, Done)
    return bench.job(result=done.result)


def registered(simulators: Simulators) -> dict[str, Any]:
    """Give the versions of the model, as the service has them, by version."""
    prefix = f"{WS}/models/fraud-gbm/versions/".lower()
    told = simulators.management.state()["resources"]
    return {name.rpartition("/")[2]: one["properties"] for name, one in told.items() if name.lower().startswith(prefix)}


def test_a_jobs_output_is_registered_with_its_lineage(bench: Bench, simulators: Simulators) -> None:
    """Version, tags, properties and metrics are there, and what a later step needs is in the result."""
    told = bench.run(
        "register.model",
        **{"name": "fraud-gbm", "from": {"job": "brave_owl", "output": "model"}},
        tags={"stage": "staging"},
        properties={"data": "v7"},
        description="retrained after a drift",
    )
    version = bench.key[:12]
    made = registered(simulators)[version]
    assert made["modelUri"] == "azureml://jobs/brave_owl/outputs/model"
    assert made["modelType"] == "mlflow_model"
    assert made["tags"] == {"stage": "staging"}
    assert made["description"] == "retrained after a drift"
    assert made["properties"] == {
        "auc": "0.93",
        "loss": "0.25",
        "data": "v7",
        "reactor-action": bench.key,
        "reactor-rule": "rule",
        "reactor-event": bench.event.key,
        "reactor-depth": "0",
        "reactor-job": "brave_owl",
    }
    assert told.result["model"] == "fraud-gbm"
    assert told.result["version"] == version
    assert told.result["id"].endswith(f"/models/fraud-gbm/versions/{version}")
    assert told.result["metrics"] == {"auc": 0.93, "loss": 0.25}
    assert f"model/fraud-gbm:{version}/details" in told.result["links"]["studio"]


def test_what_it_registers_passes_a_gate(bench: Bench) -> None:
    """Train, register and gate are one chain: the metric is beside the model."""
    told = bench.run("register.model", **{"name": "fraud-gbm", "from": {"job": "brave_owl", "output": "model"}})
    asked = {"metric": "auc", "at_least": 0.9, "model": told.result["model"], "version": told.result["version"]}
    assert isinstance(gate.decide(gate.Gate.model_validate(asked), bench.job()), Done)


def test_the_output_of_a_step_names_its_job(bench: Bench, simulators: Simulators) -> None:
    """A URI that a step before gave is that of its job, whose metrics are not asked for again."""
    steps = {"retrain": {"job": "brave_owl", "outputs": {"model": OUTPUT}, "metrics": {"auc": 0.5}}}
    job = found_out(bench, model(), steps)
    assert job.result["job"] == "brave_owl"
    assert job.result["metrics"] == {"auc": 0.5}
    assert simulators.inference.seen() == []
    assert found_out(bench, model()).result["job"] == ""


@pytest.mark.guarantee(3)
def test_a_lost_reply_registers_one_version(bench: Bench, simulators: Simulators) -> None:
    """The version is that of the step, and is found."""
    simulators.management.fault("lost_reply", method="PUT", path="/models/")
    bench.run("register.model", **{"name": "fraud-gbm", "from": OUTPUT})
    assert list(registered(simulators)) == [bench.key[:12]]
    assert len(simulators.management.seen("PUT", "/models/")) == 1


def test_the_same_content_twice_is_the_same(bench: Bench, simulators: Simulators) -> None:
    """Whoever registered it: a version with our content is ours."""
    simulators.management.seed(models=[{"id": f"{WS}/models/fraud-gbm/versions/7", "modelUri": OUTPUT}])
    told = bench.run("register.model", **{"name": "fraud-gbm", "version": "7", "from": OUTPUT})
    assert told.result["version"] == "7"
    assert simulators.management.seen("PUT", "/models/") == []


@pytest.mark.guarantee(4)
def test_a_version_is_never_overwritten(bench: Bench, simulators: Simulators) -> None:
    """Another content under the same version is refused, and what was there stays."""
    simulators.management.seed(models=[{"id": f"{WS}/models/fraud-gbm/versions/7", "modelUri": "azureml://jobs/a"}])
    with pytest.raises(PermanentError):
        bench.run("register.model", **{"name": "fraud-gbm", "version": "7", "from": OUTPUT})
    assert registered(simulators)["7"]["modelUri"] == "azureml://jobs/a"


def test_a_backup_is_registered_where_it_is(bench: Bench, simulators: Simulators) -> None:
    """Its URL has no SAS: the workspace's identity reads it."""
    keep(bench)
    bench.run("register.model", **{"name": "fraud-gbm", "from": {"backup": f"/{FOLDER}"}})
    (made,) = registered(simulators).values()
    assert made["modelUri"].endswith(f"/{FOLDER}/model.zip")
    assert "?" not in made["modelUri"]
    assert made["modelType"] == "custom_model"


def keep(bench: Bench) -> None:
    """Keep a backup."""
    now = datetime.now(UTC)
    manifest: dict[str, Any] = {
        "project": "p",
        "iteration": "i",
        "platform": "ONNX",
        "flavor": None,
        "source": "https://a/b",
    }
    manifest |= {"source_etag": "e", "source_modified": now, "size": 1, "md5": None, "sha256": ("0",)}
    account = bench.clients.account.blobs.get_container_client("backups")
    if not account.exists():
        account.create_container()
    bench.clients.backups.own.write_manifest(
        FOLDER, Manifest.model_validate(manifest | {"copied": now, "written": now})
    )


@pytest.mark.parametrize("folder", ["p/other", "../secrets", "p//i", "/"])
def test_a_backup_that_is_not_whole_is_not_registered(folder: str, bench: Bench, simulators: Simulators) -> None:
    """Nor is anything but a folder of our backups."""
    with pytest.raises(PermanentError, match="backup"):
        bench.run("register.model", **{"name": "fraud-gbm", "from": {"backup": folder}})
    assert registered(simulators) == {}


@pytest.mark.guarantee(6)
def test_a_url_with_a_sas_is_refused(bench: Bench, simulators: Simulators) -> None:
    """It would be kept beside the model, and does not last."""
    with pytest.raises(PermanentError, match="without a query") as caught:
        bench.run("register.model", **{"name": "fraud-gbm", "from": "https://a.blob.core.windows.net/c/m?sig=CANARY"})
    assert "CANARY" not in str(caught.value)
    assert simulators.management.seen() == []


@pytest.mark.parametrize("origin", ["model", "http://a/b", {"job": "a"}, {"job": "a", "output": ""}, {}, {"path": "a"}])
def test_what_is_no_source_is_refused(origin: Any) -> None:
    """A URI, a job's output or a backup."""
    with pytest.raises(ValueError, match="must be a URI"):
        model(**{"from": origin})


@pytest.mark.parametrize("fault", [{"status": 403, "body": "denied"}, {"status": 200, "body": "no JSON"}])
def test_metrics_that_cannot_be_read_stop_nothing(fault: dict[str, Any], bench: Bench, simulators: Simulators) -> None:
    """The model is registered without them, and the record says so."""
    simulators.inference.fault("error", n=99, path="mlflow", **fault)
    told = bench.run("register.model", **{"name": "fraud-gbm", "from": {"job": "brave_owl", "output": "model"}})
    assert told.notes[0].startswith("the metrics of job brave_owl could not be read: ")
    assert "auc" not in registered(simulators)[bench.key[:12]]["properties"]


def test_a_workspace_without_permission_is_told(bench: Bench, simulators: Simulators) -> None:
    """A role may still spread: it is tried again, and the trouble is named."""
    simulators.management.seed(forbidden=[{"path": "/models/", "n": 99}])
    with pytest.raises(TemporaryError, match="role"):
        register.start(model(), found_out(bench, model()))


@pytest.mark.guarantee(7)
def test_a_workspace_that_is_not_declared_gets_no_model(bench: Bench, simulators: Simulators) -> None:
    """Nothing is asked of it."""
    with pytest.raises(PermanentError, match="not declared"):
        bench.run("register.model", workspace=WS.replace("fraud", "x"), **{"name": "fraud-gbm", "from": OUTPUT})
    assert simulators.management.seen() == []


@pytest.mark.parametrize("name", ["..", "a/b"])
def test_a_model_that_is_no_name_is_not_registered(name: str, bench: Bench, simulators: Simulators) -> None:
    """A model's name is one segment of a URL, or nothing is asked."""
    with pytest.raises(PermanentError):
        bench.run("register.model", **{"name": name, "from": OUTPUT})
    assert simulators.management.seen("PUT") == []


def test_user_properties_never_hide_the_lineage(bench: Bench, simulators: Simulators) -> None:
    """What the reactor says of itself stays true."""
    bench.run("register.model", **{"name": "fraud-gbm", "from": OUTPUT}, properties={"reactor-action": "me"})
    body = json.loads(simulators.management.seen("PUT", "/models/")[0]["body"])
    assert body["properties"]["properties"]["reactor-action"] == bench.key
