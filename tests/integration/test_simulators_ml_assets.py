"""The simulated workspaces, assets, computes and quotas are what Microsoft's own client of Machine Learning expects."""

import os
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from tests.integration import ml_sdk
from tests.integration.ml_sdk import MLClient, ml_client

pytestmark = ml_sdk.QUIET
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/data"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/fraud"
REGISTRY = f"{GROUP}/providers/Microsoft.MachineLearningServices/registries/prodreg"
MODEL = f"{WORKSPACE}/models/credit/versions/12"


@pytest.fixture
def client(simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> MLClient:
    """Give Microsoft's client of a workspace that is there."""
    ml_sdk.fast(monkeypatch)
    simulators.management.seed(workspaces=[{"id": WORKSPACE}], settings={"provisioning_seconds": 0.1})
    return ml_client(simulators, WORKSPACE)


@pytest.fixture
def blobs(storage_emulator: Azurite, monkeypatch: pytest.MonkeyPatch) -> BlobServiceClient:
    """Give the storage behind the workspace, where the SDK looks for it, too."""
    service = BlobServiceClient.from_connection_string(storage_emulator.service)
    ml_sdk.store_at(monkeypatch, service.url.rstrip("/"))
    return service


def test_the_sdk_reads_a_workspace_and_its_default_datastore(client: MLClient) -> None:
    """The SDK finds where a workspace is, and its default datastore with what it needs to sign in there."""
    workspace, store = client.workspaces.get("fraud"), client.datastores.get_default(include_secrets=True)
    assert (workspace.location, bool(workspace.discovery_url)) == ("westeurope", True)
    assert (store.name, store.type, store.credentials.sas_token[:3]) == ("workspaceblobstore", "AzureBlob", "se=")
    assert [one.name for one in client.datastores.list()] == ["workspaceblobstore"]


def test_the_sdk_learns_of_the_cloud_where_the_variable_says(
    simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ARM_CLOUD_METADATA_URL is all that the SDK must be told of the simulators."""
    from azure.ai.ml._azure_environments import _get_base_url_from_metadata

    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "")  # so that it is put back: the SDK sets it
    monkeypatch.delenv("AZUREML_CURRENT_CLOUD")
    url = f"{simulators.management.url}/metadata/endpoints?api-version=2022-09-01"
    monkeypatch.setenv("ARM_CLOUD_METADATA_URL", url)
    assert _get_base_url_from_metadata() == simulators.management.url
    assert os.environ["AZUREML_CURRENT_CLOUD"] == "SimulatedCloud"


def test_the_sdk_makes_a_cluster_and_deletes_it(simulators: Simulators, client: MLClient) -> None:
    """A cluster is made as the SDK describes it, takes its time, is scaled, and is gone after it was deleted."""
    from azure.ai.ml.entities import AmlCompute

    wanted = AmlCompute(
        name="cpu", size="STANDARD_DS3_V2", min_instances=1, max_instances=4, idle_time_before_scale_down=120
    )
    simulators.management.seed(settings={"provisioning_seconds": 0.5})
    making = client.compute.begin_create_or_update(wanted)
    assert client.compute.get("cpu").provisioning_state == "Creating"
    made = making.result()
    assert (made.provisioning_state, made.size, made.max_instances) == ("Succeeded", "STANDARD_DS3_V2", 4)
    wanted.max_instances = 8
    client.compute.begin_create_or_update(wanted).result()
    read = client.compute.get("cpu")
    assert (read.max_instances, read.idle_time_before_scale_down, read.tier) == (8, 120, "dedicated")
    assert [one.name for one in client.compute.list()] == ["cpu"]
    client.compute.begin_delete("cpu").wait()
    with pytest.raises(ResourceNotFoundError):
        client.compute.get("cpu")


def test_a_cluster_that_cannot_be_made_says_why(simulators: Simulators, client: MLClient) -> None:
    """A cluster fails as the seed says; the resource and the operation both tell."""
    from azure.ai.ml.entities import AmlCompute

    simulators.management.seed(
        provisioning=[{"name": "gpu", "code": "ClusterCoreQuotaReached", "message": "Operation exceeds the quota."}]
    )
    making = client.compute.begin_create_or_update(AmlCompute(name="gpu", size="STANDARD_NC24ADS_A100_V4"))
    with pytest.raises(HttpResponseError, match="exceeds the quota"):
        making.result()
    read = client.compute.get("gpu")
    assert (read.provisioning_state, read.provisioning_errors) == ("Failed", "ClusterCoreQuotaReached")


def test_the_sdk_registers_a_model_from_a_folder(client: MLClient, blobs: BlobServiceClient, tmp_path: Path) -> None:
    """A model's files are uploaded to the default datastore, and the version says where they are."""
    from azure.ai.ml.entities import Model

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(b"\x80\x04N.")
    first = client.models.create_or_update(Model(name="credit", path=str(folder), tags={"stage": "candidate"}))
    assert (first.version, first.type, first.tags) == ("1", "custom_model", {"stage": "candidate"})
    store = client.datastores.get_default()
    path = first.path.partition("/paths/")[2]
    assert f"datastores/{store.name}" in first.path
    stored = [one.name for one in blobs.get_container_client(store.container_name).list_blobs(name_starts_with=path)]
    assert [name.rsplit("/", 1)[-1] for name in stored] == ["model.pkl"]
    second = client.models.create_or_update(Model(name="credit", path=first.path))
    assert second.version == "2"
    assert client.models.get("credit", label="latest").version == "2"


def test_the_sdk_changes_tags_and_keeps_the_rest(client: MLClient, simulators: Simulators) -> None:
    """Tags of a version are replaced; where its files are, and a property, are not."""
    simulators.management.seed(models=[{"id": MODEL, "tags": {"stage": "candidate"}, "properties": {"auc": "0.9"}}])
    before = Plain(simulators)(MODEL)["systemData"]
    model = client.models.get("credit", "12")
    model.tags = {"stage": "production"}
    assert client.models.create_or_update(model).tags == {"stage": "production"}
    after = Plain(simulators)(MODEL)["systemData"]
    assert after["createdAt"] == before["createdAt"]
    assert after["lastModifiedAt"] > before["lastModifiedAt"]
    model.path = "azureml://jobs/other/outputs/artifacts/paths/model"
    with pytest.raises(HttpResponseError, match="Asset paths cannot be updated"):
        client.models.create_or_update(model)
    model = client.models.get("credit", "12")
    model.properties = {"auc": "0.1"}
    with pytest.raises(HttpResponseError, match=r"properties\.auc cannot be replaced without increasing the version"):
        client.models.create_or_update(model)


def test_the_sdk_lists_and_archives_models(client: MLClient, simulators: Simulators) -> None:
    """Versions come newest first, names once, and what is archived only where it is asked for."""
    from azure.ai.ml.constants import ListViewType

    ids = [f"{WORKSPACE}/models/{name}/versions/{version}" for name in ("credit", "churn") for version in (1, 2, 3)]
    simulators.management.seed(models=[{"id": one} for one in ids])
    assert [one.version for one in client.models.list("credit")] == ["3", "2", "1"]
    assert sorted(one.name for one in client.models.list()) == ["churn", "credit"]
    client.models.archive("credit", version="3")
    assert [one.version for one in client.models.list("credit")] == ["2", "1"]
    listed = client.models.list("credit", list_view_type=ListViewType.ARCHIVED_ONLY)
    assert [one.version for one in listed] == ["3"]
    client.models.archive("churn")
    assert [one.name for one in client.models.list()] == ["credit"]


def test_the_sdk_registers_code_environment_and_data(
    client: MLClient, blobs: BlobServiceClient, tmp_path: Path
) -> None:
    """Code goes up by a pending upload and is found again by its hash; an environment and data are created."""
    from azure.ai.ml.entities import Data, Environment
    from azure.ai.ml.entities._assets import Code

    (tmp_path / "score.py").write_text("def init(): ...\n")
    code = client._code.create_or_update(Code(name="score", version="1", path=str(tmp_path)))
    container = blobs.get_container_client(code.path.split("/")[-2])
    assert [one.name for one in container.list_blobs()] == [f"{tmp_path.name}/score.py"]
    again = client._code.create_or_update(Code(name="score", version="2", path=str(tmp_path)))
    assert again.id == code.id
    conda = {"name": "e", "dependencies": ["python=3.12"]}
    environment = client.environments.create_or_update(
        Environment(name="env", version="7", image="mcr.microsoft.com/azureml/minimal-ubuntu22.04", conda_file=conda)
    )
    assert (environment.version, environment.os_type) == ("7", "Linux")
    with pytest.raises(HttpResponseError, match="image cannot be replaced without increasing the version"):
        client.environments.create_or_update(Environment(name="env", version="7", image="other"))
    path = "azureml://datastores/workspaceblobstore/paths/train/"
    data = client.data.create_or_update(Data(name="train", version="1", type="uri_folder", path=path))
    assert client.data.get("train", "1").path == data.path
    assert client.data.get("train", label="latest").version == "1"


def test_the_sdk_registers_a_component(client: MLClient) -> None:
    """A command component is created with its code left out, read and listed."""
    from azure.ai.ml import Input, command

    node = command(
        name="train",
        command="echo ${{inputs.lr}}",
        environment=f"{WORKSPACE}/environments/env/versions/7",
        inputs={"lr": Input(type="number", default=0.1)},
    )
    made = client.components.create_or_update(node.component, version="4")
    read = client.components.get("train", "4")
    assert (read.id, read.inputs["lr"]["type"]) == (made.id, "number")
    assert [one.version for one in client.components.list("train")] == ["4"]


def test_an_asset_with_a_member_too_many_is_refused_by_its_name(simulators: Simulators, client: MLClient) -> None:
    """As in the service, what is not known is named together with its type, and a name with a space is refused."""
    workspace = MODEL.partition("/models/")[0]
    simulators.management.seed(jobs=[{"id": f"{workspace}/jobs/j"}])
    del client
    arm = Plain(simulators)
    body = {"properties": {"modelUri": "azureml://jobs/j/outputs/artifacts/paths/m", "model_type": "mlflow_model"}}
    refused = arm.send("PUT", MODEL, body)
    assert refused.status_code == 400
    assert "Could not find member 'model_type' on object of type 'ModelVersion'" in refused.text
    del body["properties"]["model_type"]
    assert arm.send("PUT", MODEL.replace("credit", "my%20model"), body).status_code == 400
    assert arm.send("PUT", MODEL.replace("credit", "phi-3.5_mini"), body).status_code == 201
    assert "The ModelUri field is required" in arm.send("PUT", MODEL, {"properties": {"tags": {}}}).text


def test_a_deleted_version_is_gone_and_can_be_deleted_again(simulators: Simulators, client: MLClient) -> None:
    """GET answers 404 with the service's own code; DELETE answers 204 the second time."""
    del client
    simulators.management.seed(models=[{"id": MODEL}])
    arm = Plain(simulators)
    assert [arm.send("DELETE", MODEL).status_code for _ in range(2)] == [200, 204]
    gone = arm.send("GET", MODEL)
    assert (gone.status_code, gone.json()["error"]["details"][0]["code"]) == (404, "ModelNotFound")
    assert arm.send("GET", MODEL.rsplit("/versions", 1)[0]).status_code == 404


def test_versions_are_paged_filtered_and_ordered(simulators: Simulators, client: MLClient) -> None:
    """Pages follow by their links and keep the filter; $top is the most that is answered."""
    del client
    simulators.management.seed(
        models=[
            {"id": f"{WORKSPACE}/models/credit/versions/{version}", "tags": {"even": str(version % 2 == 0)}}
            for version in range(1, 9)
        ]
    )
    arm, path = Plain(simulators), f"{WORKSPACE}/models/credit/versions"
    page, found = arm(path, tags="even=True"), []
    while True:
        found += [one["name"] for one in page["value"]]
        if not page["nextLink"]:
            break
        page = arm(page["nextLink"].removeprefix(simulators.management.url))
    assert found == ["8", "6", "4", "2"]
    oldest = arm(path, **{"$orderBy": "createdtime asc", "$top": "3"})
    assert [one["name"] for one in oldest["value"]] == ["1", "2", "3"]
    simulators.management.fault("lag", path="versions")
    assert arm(path)["value"] == []


def test_a_model_is_published_to_a_registry_after_a_while(simulators: Simulators, client: MLClient) -> None:
    """Publishing is followed by its Location; then the registry has the version under the name that was wanted."""
    del client
    simulators.management.seed(models=[{"id": MODEL, "tags": {"a": "b"}}], registries=[{"id": REGISTRY}])
    arm = Plain(simulators)
    wanted = {"registryName": "prodreg", "destinationName": "fraud-credit", "destinationVersion": "3"}
    begun = arm.send("POST", f"{MODEL}/publish", wanted)
    target = f"{REGISTRY}/models/fraud-credit/versions/3"
    assert (begun.status_code, arm.send("GET", target).status_code) == (202, 404)
    simulators.management.until(lambda _: arm.send("GET", begun.headers["Location"]).status_code == 200)
    assert arm(target)["properties"]["tags"] == {"a": "b"}
    assert arm.send("POST", f"{MODEL}/publish", wanted).status_code == 200
    assert arm.send("POST", f"{MODEL}/publish", {**wanted, "registryName": "other"}).status_code == 404


def test_quotas_and_sizes_are_read_at_the_subscription(simulators: Simulators, client: MLClient) -> None:
    """Usages come in pages, a family as a sentence; sizes name the family in one word."""
    del client
    simulators.management.seed(
        quotas=[{"region": "westeurope", "family": "standardDSv2Family", "used": 20, "limit": 24}]
    )
    arm = Plain(simulators)
    place = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearningServices/locations/westeurope"
    page, rows = arm(f"{place}/usages"), []
    while True:
        rows += page["value"]
        if not page["nextLink"]:
            break
        page = arm(page["nextLink"].removeprefix(simulators.management.url))
    found = [
        (one["currentValue"], one["limit"])
        for one in rows
        if one["name"]["value"] == "Standard DSv2 Family Cluster Dedicated vCPUs"
    ]
    assert found == [(20, 24), (20, -1)]
    sizes = {one["name"]: (one["family"], one["vCPUs"]) for one in arm(f"{place}/vmSizes")["value"]}
    assert sizes["Standard_DS3_v2"] == ("standardDSv2Family", 4)


def test_a_clusters_scale_is_changed_in_place(simulators: Simulators, client: MLClient) -> None:
    """PATCH takes the scale and nothing else; a write meanwhile is a conflict, and another size is refused."""
    del client
    compute, arm = f"{WORKSPACE}/computes/cpu", Plain(simulators)
    simulators.management.seed(computes=[{"id": compute}], settings={"provisioning_seconds": 0.5})
    scale = {"properties": {"properties": {"scaleSettings": {"minNodeCount": 2, "maxNodeCount": 6}}}}
    assert arm.send("PATCH", compute, scale).status_code == 200
    assert arm.send("PATCH", compute, scale).status_code == 409
    simulators.management.until(lambda _: arm(compute)["properties"]["provisioningState"] == "Succeeded")
    cluster = arm(compute)["properties"]["properties"]
    assert (cluster["allocationState"], cluster["currentNodeCount"]) == ("Steady", 2)
    size = {
        "computeType": "AmlCompute",
        "properties": {"vmSize": "STANDARD_DS4_V2", "scaleSettings": {"maxNodeCount": 1}},
    }
    assert arm.send("PUT", compute, {"location": "westeurope", "properties": size}).status_code == 400
    assert arm.send("DELETE", compute).status_code == 400


@pytest.mark.parametrize(
    ("cluster", "says"),
    [
        ({"vmSize": "STANDARD_NIX"}, "'STANDARD_NIX' is not supported"),
        ({"scaleSettings": {"maxNodeCount": 1, "nodeIdleTimeBeforeScaleDown": "120"}}, "to type 'duration'"),
        ({"scaleSettings": {"minNodeCount": 2, "maxNodeCount": 1}}, "must not be larger"),
    ],
)
def test_a_cluster_that_the_service_refuses_is_refused(
    cluster: dict[str, Any], says: str, simulators: Simulators, client: MLClient
) -> None:
    """A size that there is not, a time that is no ISO 8601, and fewer machines at most than at least."""
    del client
    whole = {"vmSize": "STANDARD_DS3_V2", "scaleSettings": {"maxNodeCount": 1}, **cluster}
    body = {"location": "westeurope", "properties": {"computeType": "AmlCompute", "properties": whole}}
    refused = Plain(simulators).send("PUT", f"{WORKSPACE}/computes/cpu", body)
    assert (refused.status_code, says in refused.text) == (400, True), refused.text


def test_a_model_of_a_job_that_is_not_there_is_refused(simulators: Simulators, client: MLClient) -> None:
    """An output is registered of a job that there is."""
    del client
    body = {"properties": {"modelUri": "azureml://jobs/gone/outputs/model", "modelType": "mlflow_model"}}
    arm = Plain(simulators)
    assert "Job 'gone'" in arm.send("PUT", MODEL, body).text
    simulators.management.seed(jobs=[{"id": f"{WORKSPACE}/jobs/gone"}])
    assert arm.send("PUT", MODEL, body).status_code == 201


class Plain:
    """Plain requests to the simulated ARM, with a token for it."""

    def __init__(self, simulators: Simulators) -> None:
        token = ManagedIdentityCredential().get_token("https://management.azure.com/.default").token
        self._url, self._headers = simulators.management.url, {"Authorization": f"Bearer {token}"}

    def __call__(self, path: str, **query: str) -> Any:
        """Read a resource, which is there."""
        answer = self.send("GET", path, **query)
        assert answer.ok, answer.text
        return answer.json()

    def send(self, method: str, path: str, body: Any = None, **query: str) -> requests.Response:
        """Send a request of any method."""
        url = path if path.startswith("https:") else f"{self._url}{path}"
        params = query if "api-version" in path else {"api-version": "2024-10-01", **query}
        return requests.request(method, url, json=body, params=params, headers=self._headers, timeout=60)
