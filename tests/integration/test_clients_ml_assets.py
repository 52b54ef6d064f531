"""The clients of workspaces, models, assets, uploads and quotas, against the simulated ARM and real storage."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from shared.clients.machine_learning import MachineLearning
from shared.clients.machine_learning.assets import ComputeSettings
from shared.clients.machine_learning.usage import Quota, Shortfall, VmSize, lacking, machines
from shared.clients.machine_learning.workspaces import Datastore
from shared.errors import PermanentError, ReactorError, TemporaryError
from tests.integration.canned import Reply, serve
from tests.integration.stages import clients_of

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
PROVIDER = f"{SUBSCRIPTION}/resourceGroups/data/providers/Microsoft.MachineLearningServices"
WORKSPACE = f"{PROVIDER}/workspaces/fraud"
REGISTRY = f"{PROVIDER}/registries/prodreg"
MODEL = f"{WORKSPACE}/models/credit/versions/12"
URI = "azureml://jobs/train/outputs/artifacts/paths/model"


@pytest.fixture
def ml(simulators: Simulators, azurite: str) -> MachineLearning:
    """Give the client, for a workspace that is there."""
    simulators.management.seed(
        workspaces=[{"id": WORKSPACE, "location": "westeurope"}],
        jobs=[{"id": f"{WORKSPACE}/jobs/train"}],
        settings={"provisioning_seconds": 0.2},
    )
    return clients_of(simulators, azurite).machine_learning


# -- workspaces -------------------------------------------------------------------------------------------------------


def test_a_workspace_says_where_its_data_plane_is(simulators: Simulators, ml: MachineLearning) -> None:
    """The base of the data plane is the discovery URL without its last word."""
    simulators.management.seed(
        workspaces=[{"id": WORKSPACE, "discoveryUrl": "https://westeurope.api.azureml.ms/discovery"}]
    )
    found = ml.workspaces.read(WORKSPACE)
    assert (found.location, found.api) == ("westeurope", "https://westeurope.api.azureml.ms")
    assert len(found.guid) == 36
    assert ml.workspaces.location(WORKSPACE) == "westeurope"


def test_a_workspace_that_is_gone_is_a_permanent_error(ml: MachineLearning) -> None:
    """Nobody waits for a workspace, or asks for one by something that is no id."""
    with pytest.raises(PermanentError, match="404 ResourceNotFound"):
        ml.workspaces.read(f"{PROVIDER}/workspaces/other")
    with pytest.raises(PermanentError, match="is no workspace's ARM id"):
        ml.workspaces.read("fraud")
    with pytest.raises(PermanentError, match="404 ResourceNotFound"):
        ml.workspaces.default_datastore(f"{PROVIDER}/workspaces/other")


def test_the_default_datastore_is_found_and_spelt(ml: MachineLearning) -> None:
    """Its URL is the account's in Azure, and the emulator's path on this machine."""
    store = ml.workspaces.default_datastore(WORKSPACE)
    assert (store.name, store.id) == ("workspaceblobstore", f"{WORKSPACE}/datastores/workspaceblobstore")
    assert store.blob_uri("a b/c") == f"http://{store.endpoint}/visionservice/{store.container}/a%20b/c"
    place = WORKSPACE.replace("/providers/Microsoft.MachineLearningServices", "")
    assert store.uri("/a/") == f"azureml:/{place}/datastores/workspaceblobstore/paths/a"
    real = Datastore(store.id, store.name, "frauddata", "azureml", "core.windows.net", "https")
    assert real.blob_uri("x") == "https://frauddata.blob.core.windows.net/azureml/x"


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"datastoreType": "AzureDataLakeGen2"}, "the default datastore is AzureDataLakeGen2"),
        ({"isDefault": False}, "has no default datastore"),
        ({"accountName": "evil.example.com/x"}, "something unexpected"),
        ({"endpoint": "core.windows.net@evil.example.com"}, "something unexpected"),
        ({"protocol": "ftp"}, "something unexpected"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.guarantee(7)
def test_a_datastore_that_is_no_blob_storage_is_refused(
    simulators: Simulators, ml: MachineLearning, changed: dict[str, Any], problem: str
) -> None:
    """Nothing is built of a name that is not one of an account, or of another kind of storage."""
    seed = {"id": f"{WORKSPACE}/datastores/workspaceblobstore", **changed}
    simulators.management.seed(datastores=[seed])
    with pytest.raises(ReactorError, match=problem):
        ml.workspaces.default_datastore(WORKSPACE)


# -- models -----------------------------------------------------------------------------------------------------------


def test_a_model_is_read_whole(simulators: Simulators, ml: MachineLearning) -> None:
    """Everything that a rule or a deployment asks of a version is there."""
    flavors = {"python_function": {"data": {"loader_module": "mlflow.sklearn"}}, "sklearn": None}
    simulators.management.seed(
        models=[
            {"id": MODEL, "tags": {"stage": "production"}, "properties": {"auc": "0.9"}, "flavors": flavors,
             "jobName": "keen_owl", "modelUri": URI, "createdAt": "2026-03-02T08:15:04Z"}
        ]
    )  # fmt: skip
    model = ml.models.read(WORKSPACE, "credit", "12")
    assert model is not None
    assert (model.id, model.name, model.version, model.type) == (MODEL, "credit", "12", "mlflow_model")
    assert (model.uri, model.tags, model.properties) == (URI, {"stage": "production"}, {"auc": "0.9"})
    assert model.flavors == {"python_function": {"loader_module": "mlflow.sklearn"}, "sklearn": {}}
    assert (model.job, model.archived, model.created_by) == ("keen_owl", False, "seed")
    assert model.created_at == model.modified_at


@pytest.mark.parametrize(("name", "version"), [("credit v2", "1"), ("credit.risk", "1.0.2"), ("größe", "latest")])
def test_a_model_of_any_name_is_found(simulators: Simulators, ml: MachineLearning, name: str, version: str) -> None:
    """Spaces, dots and letters of any script are written so that the service reads them as they are."""
    simulators.management.seed(models=[{"id": f"{WORKSPACE}/models/{name}/versions/{version}"}])
    model = ml.models.read(WORKSPACE, name, version)
    assert model is not None
    assert (model.name, model.version) == (name, version)
    assert [one.version for one in ml.models.versions(WORKSPACE, name)] == [version]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b"])
@pytest.mark.guarantee(7)
def test_a_name_that_leads_elsewhere_is_refused(simulators: Simulators, ml: MachineLearning, name: str) -> None:
    """Nothing is asked where a name is no segment of a path."""
    for ask in (
        lambda: ml.models.read(WORKSPACE, name, "1"),
        lambda: ml.models.read(WORKSPACE, "credit", name),
        lambda: ml.models.versions(WORKSPACE, name),
        lambda: ml.assets.code(WORKSPACE, name, "1", URI),
        lambda: ml.assets.component(WORKSPACE, "c", name),
        lambda: ml.assets.compute(WORKSPACE, name),
        lambda: ml.usage.cores(WORKSPACE, name, "Standard_DS3_v2"),
    ):
        with pytest.raises(PermanentError, match="is no name that can stand in a URL"):
            ask()
    assert simulators.management.seen() == []


def test_a_deleted_model_is_none(simulators: Simulators, ml: MachineLearning) -> None:
    """What is gone is None, by its name and by its id; its versions are none."""
    simulators.management.seed(models=[{"id": MODEL}])
    simulators.management.seed(remove=[MODEL])
    assert ml.models.read(WORKSPACE, "credit", "12") is None
    assert ml.models.by_id(MODEL) is None
    assert ml.models.versions(WORKSPACE, "credit") == []


def test_a_model_of_a_registry_is_read_by_its_id(simulators: Simulators, ml: MachineLearning) -> None:
    """A registry's id leads to its version; what is no ARM id leads nowhere."""
    simulators.management.seed(models=[{"id": f"{REGISTRY}/models/phi-3.5/versions/2", "tags": {"a": "b"}}])
    model = ml.models.by_id(f"{REGISTRY}/models/phi-3.5/versions/2")
    assert model is not None
    assert (model.name, model.version, model.tags) == ("phi-3.5", "2", {"a": "b"})
    with pytest.raises(PermanentError, match="is no model's ARM id"):
        ml.models.by_id("azureml://registries/prodreg/models/phi-3.5/versions/2")


def test_versions_and_names_are_listed(simulators: Simulators, ml: MachineLearning) -> None:
    """Versions come newest first, no more than asked for; names come from every page; the archived are left out."""
    ids = [f"{WORKSPACE}/models/m{model}/versions/{version}" for model in range(5) for version in range(1, 6)]
    simulators.management.seed(models=[{"id": one, "isArchived": one.endswith("m0/versions/5")} for one in ids])
    assert [one.version for one in ml.models.versions(WORKSPACE, "m0", most=3)] == ["4", "3", "2"]
    assert list(ml.models.names(WORKSPACE)) == ["m0", "m1", "m2", "m3", "m4"]
    assert ml.models.versions(WORKSPACE, "m9") == []


def test_a_model_is_registered_once(ml: MachineLearning) -> None:
    """The same content twice is fine; another content under the same version is a permanent error."""
    made = ml.models.put(WORKSPACE, "credit", "1", uri=URI, type="mlflow_model", tags={"a": "b"}, properties={"c": "d"})
    again = ml.models.put(WORKSPACE, "credit", "1", uri=URI, type="mlflow_model", tags={"a": "b"})
    assert (made.id, made.tags) == (again.id, again.tags)
    assert again.properties == {"c": "d"}
    assert again.created_at == made.created_at
    with pytest.raises(PermanentError, match="Asset paths cannot be updated"):
        ml.models.put(WORKSPACE, "credit", "1", uri=f"{URI}/other", type="mlflow_model")
    with pytest.raises(PermanentError, match="modelType cannot be replaced"):
        ml.models.put(WORKSPACE, "credit", "1", uri=URI, type="custom_model")
    with pytest.raises(PermanentError, match="is invalid"):
        ml.models.put(WORKSPACE, "my model", "1", uri=URI, type="custom_model")


def test_tags_are_set_and_everything_else_stays(simulators: Simulators, ml: MachineLearning) -> None:
    """Tags are added, changed and taken away; what the client does not know of stays as it is."""
    simulators.management.seed(
        models=[
            {"id": MODEL, "tags": {"stage": "candidate", "old": "x", "team": "risk"}, "description": "of March",
             "stage": "Development", "flavors": {"sklearn": {"data": {"v": "1"}}}, "properties": {"auc": "0.9"}}
        ]
    )  # fmt: skip
    before = simulators.management.state()["resources"][MODEL]
    model = ml.models.set_tags(WORKSPACE, "credit", "12", {"stage": "production", "old": None})
    assert model.tags == {"stage": "production", "team": "risk"}
    after = simulators.management.state()["resources"][MODEL]
    assert {**after["properties"], "tags": before["properties"]["tags"]} == before["properties"]
    assert model.modified_at is not None
    assert model.created_at is not None
    assert model.modified_at > model.created_at
    with pytest.raises(PermanentError, match="ModelNotFound"):
        ml.models.set_tags(WORKSPACE, "credit", "13", {"a": "b"})


def test_a_role_that_has_not_arrived_is_temporary(simulators: Simulators, ml: MachineLearning) -> None:
    """A 403 may be a role that has not propagated yet, so it is worth another try."""
    simulators.management.seed(models=[{"id": MODEL}], forbidden=[{"path": "models", "n": 1}])
    with pytest.raises(TemporaryError, match="may not have propagated"):
        ml.models.read(WORKSPACE, "credit", "12")
    assert ml.models.read(WORKSPACE, "credit", "12") is not None


@pytest.mark.guarantee(7)
def test_a_listing_is_not_followed_to_another_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulators: Simulators, azurite: str
) -> None:
    """A link to the next page that leads away from Resource Manager gets no token."""
    body = {"value": [{"id": "x", "name": "m", "properties": {}}], "nextLink": "https://evil.example.com/next"}
    with serve(tmp_path) as (canned, ca):
        trust(monkeypatch, tmp_path, ca, simulators.ca)
        canned.replies[:] = [Reply(200, body)]
        ml = clients_of(simulators, azurite, REACTOR_ARM_ENDPOINT=canned.url).machine_learning
        with pytest.raises(PermanentError, match="goes on at another host"):
            list(ml.models.names(WORKSPACE))


# -- assets -----------------------------------------------------------------------------------------------------------


def test_assets_are_created_once(ml: MachineLearning) -> None:
    """Code, environment and data give their id, the same one again; other content is refused."""
    makes: dict[str, Callable[[str], str]] = {
        "codes": lambda content: ml.assets.code(WORKSPACE, "it", "3", f"https://s.blob.core.windows.net/c/{content}"),
        "environments": lambda content: ml.assets.environment(WORKSPACE, "it", "3", "image", conda=content),
        "data": lambda content: ml.assets.data(WORKSPACE, "it", "3", "uri_folder", f"azureml://datastores/{content}"),
    }
    for kind, make in makes.items():
        assert make("one") == make("one") == f"{WORKSPACE}/{kind}/it/versions/3"
        with pytest.raises(PermanentError, match="cannot be"):
            make("two")
    assert ml.assets.code_id(WORKSPACE, "it", "3") == f"{WORKSPACE}/codes/it/versions/3"
    assert ml.assets.code_id(WORKSPACE, "it", "4") == ""


def test_a_component_tells_its_ports(simulators: Simulators, ml: MachineLearning) -> None:
    """Inputs and outputs are told by name and type, of a workspace's component and of a registry's."""
    spec = {"type": "pipeline", "inputs": {"lr": {"type": "number", "default": 0.1}, "data": {"type": "uri_folder"}},
            "outputs": {"model": {"type": "mlflow_model"}}, "jobs": {}}  # fmt: skip
    ids = [f"{place}/components/train/versions/4" for place in (WORKSPACE, REGISTRY)]
    bare = {"id": f"{WORKSPACE}/components/bare/versions/1", "componentSpec": {"type": "command"}}
    simulators.management.seed(components=[*({"id": one, "componentSpec": spec} for one in ids), bare])
    for place in (WORKSPACE, REGISTRY):
        found = ml.assets.component(place, "train", "4")
        assert found is not None
        assert (found.type, found.outputs) == ("pipeline", {"model": "mlflow_model"})
        assert found.inputs == {"lr": "number", "data": "uri_folder"}
    found = ml.assets.component(WORKSPACE, "bare", "1")
    assert found is not None
    assert (found.inputs, found.outputs) == ({}, {})
    assert ml.assets.component(WORKSPACE, "train", "5") is None


def test_a_cluster_is_made_and_followed(simulators: Simulators, ml: MachineLearning) -> None:
    """A cluster is created as it was asked for, and its state is told until it is ready."""
    settings = ComputeSettings(size="STANDARD_DS3_V2", min_nodes=1, max_nodes=4, idle=timedelta(minutes=5))
    assert ml.assets.compute(WORKSPACE, "cpu") is None
    operation = ml.assets.put_compute(WORKSPACE, "cpu", "westeurope", settings)
    assert "mfeOperationsStatus" in operation
    made = ml.assets.compute(WORKSPACE, "cpu")
    assert made is not None
    assert (made.state, made.size, made.errors) == ("Creating", "STANDARD_DS3_V2", ())
    simulators.management.until(lambda _: ml.assets.compute(WORKSPACE, "cpu").state == "Succeeded")  # type: ignore[union-attr] # it is there
    kept = simulators.management.state()["resources"][f"{WORKSPACE}/computes/cpu"]["properties"]["properties"]
    assert kept["scaleSettings"] == {
        "minNodeCount": 1, "maxNodeCount": 4, "nodeIdleTimeBeforeScaleDown": "PT300S",
    }  # fmt: skip


def test_a_cluster_that_failed_says_why(simulators: Simulators, ml: MachineLearning) -> None:
    """The service's words about a cluster are told."""
    simulators.management.seed(
        provisioning=[{"name": "cpu", "code": "ClusterCoreQuotaReached", "message": "No cores.", "seconds": 0}]
    )
    subnet = f"{SUBSCRIPTION}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s"
    settings = ComputeSettings(size="STANDARD_DS3_V2", max_nodes=4, priority="LowPriority", subnet=subnet)
    ml.assets.put_compute(WORKSPACE, "cpu", "westeurope", settings)
    found = ml.assets.compute(WORKSPACE, "cpu")
    assert found is not None
    assert (found.state, found.errors) == ("Failed", ("ClusterCoreQuotaReached: No cores.",))


# -- uploads ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a file, and one below it."""
    (tmp_path / "up" / "lib").mkdir(parents=True)
    (tmp_path / "up" / "score.py").write_text("def run(batch): ...\n")
    (tmp_path / "up" / "lib" / "a b.py").write_text("")
    return tmp_path / "up"


def names_in(storage: Azurite, container: str, prefix: str = "") -> list[str]:
    """List the blobs of the services' own account."""
    client = BlobServiceClient.from_connection_string(storage.service).get_container_client(container)
    return sorted(client.list_blob_names(name_starts_with=prefix))


def test_code_is_uploaded_once(
    ml: MachineLearning, simulators: Simulators, storage_emulator: Azurite, folder: Path
) -> None:
    """Code is uploaded where the service says, and registered; where it is registered already, nothing happens."""
    made = ml.uploads.code(WORKSPACE, "score", "1", folder)
    assert made == f"{WORKSPACE}/codes/score/versions/1"
    uri = simulators.management.state()["resources"][made]["properties"]["codeUri"]
    assert names_in(storage_emulator, uri.rsplit("/", 1)[-1]) == ["lib/a b.py", "score.py"]
    assert ml.uploads.code(WORKSPACE, "score", "1", folder) == made
    assert len(simulators.management.seen("POST", "startPendingUpload")) == 1


def test_files_are_uploaded_to_the_default_datastore(
    ml: MachineLearning, storage_emulator: Azurite, folder: Path
) -> None:
    """A folder's files go below a path, a file to the path itself; what is there is replaced."""
    store = ml.workspaces.default_datastore(WORKSPACE)
    for _ in range(2):
        assert ml.uploads.upload(WORKSPACE, folder, "models/credit") == store.uri("models/credit")
    assert names_in(storage_emulator, store.container, "models/") == [
        "models/credit/lib/a b.py",
        "models/credit/score.py",
    ]
    assert ml.uploads.upload(WORKSPACE, folder / "score.py", "one/file.py") == store.uri("one/file.py")
    assert names_in(storage_emulator, store.container, "one/") == ["one/file.py"]


def test_a_service_that_gives_only_the_accounts_key_is_used_too(
    simulators: Simulators, ml: MachineLearning, azurite: str, storage_emulator: Azurite, folder: Path
) -> None:
    """Where the service knows no secret that expires, the datastore's key does."""
    del ml
    old = clients_of(simulators, azurite, REACTOR_ML_API_VERSION="2023-10-01").machine_learning
    old.uploads.upload(WORKSPACE, folder, "keyed")
    container = old.workspaces.default_datastore(WORKSPACE).container
    assert names_in(storage_emulator, container, "keyed/") == ["keyed/lib/a b.py", "keyed/score.py"]


@pytest.mark.parametrize("to", ["", "/a", "a//b", "../a", "a/..", "a\\b"])
def test_a_path_that_leads_elsewhere_is_refused(ml: MachineLearning, folder: Path, to: str) -> None:
    """A path in a datastore has names between its slashes, and nothing else."""
    with pytest.raises(PermanentError, match="is no path in a datastore"):
        ml.uploads.upload(WORKSPACE, folder, to)


def test_nothing_is_no_upload(ml: MachineLearning, tmp_path: Path) -> None:
    """A folder that is empty, or missing, is told before anything is asked for."""
    for source in (tmp_path / "missing", tmp_path):
        with pytest.raises(PermanentError, match="there is nothing to upload"):
            ml.uploads.upload(WORKSPACE, source, "a")
        with pytest.raises(PermanentError, match="there is nothing to upload"):
            ml.uploads.code(WORKSPACE, "score", "1", source)


def trust(monkeypatch: pytest.MonkeyPatch, folder: Path, *authorities: str) -> None:
    """Trust several certificate authorities."""
    bundle = folder / "bundle.pem"
    bundle.write_text("".join(Path(one).read_text() for one in authorities))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))


@pytest.mark.guarantee(7)
def test_a_datastore_without_credentials_gets_our_own_token(
    simulators: Simulators, azurite: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is one for storage, and goes only to a host that is allowed."""
    with serve(tmp_path) as (canned, ca):
        trust(monkeypatch, tmp_path, ca, simulators.ca)
        host = canned.url.removeprefix("https://")
        store = {"id": f"{WORKSPACE}/datastores/workspaceblobstore", "credentials": {"credentialsType": "None"}}
        simulators.management.seed(datastores=[{**store, "protocol": "https", "endpoint": host}])
        canned.replies[:] = [Reply(201, "", {"ETag": '"1"', "Last-Modified": "Mon, 02 Mar 2026 08:00:00 GMT"})]
        ml = clients_of(simulators, azurite).machine_learning
        ml.uploads.upload(WORKSPACE, folder / "score.py", "a.py")
        assert canned.asked[-1].path.endswith("/a.py")
        assert audience_of(canned.asked[-1].headers["authorization"]) == "https://storage.azure.com"
        asked = len(canned.asked)
        elsewhere = clients_of(simulators, azurite, REACTOR_ML_HOSTS="*.inference.ml.azure.com").machine_learning
        with pytest.raises(PermanentError, match="where no token of ours is sent"):
            elsewhere.uploads.upload(WORKSPACE, folder, "a")
        assert len(canned.asked) == asked


def audience_of(authorization: str) -> str:
    """Read whom a token is for."""
    claims = authorization.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(claims + "==="))["aud"])


@pytest.mark.guarantee(6)
def test_a_secret_never_travels_in_the_clear(simulators: Simulators, ml: MachineLearning, folder: Path) -> None:
    """A SAS goes over http to the emulator on this machine, and to nobody else."""
    store = {"id": f"{WORKSPACE}/datastores/workspaceblobstore", "endpoint": "core.windows.net", "protocol": "http"}
    simulators.management.seed(datastores=[store])
    with pytest.raises(PermanentError, match="must be reached by https") as caught:
        ml.uploads.upload(WORKSPACE, folder, "a")
    assert "sig=" not in str(caught.value)


# -- quotas -----------------------------------------------------------------------------------------------------------

FAMILY = "Standard DSv2 Family Cluster Dedicated vCPUs"
TOTAL = "Total Cluster Dedicated Regional vCPUs"
DS3 = VmSize("Standard_DS3_v2", "standardDSv2Family", 4)
T4 = VmSize("Standard_NC4as_T4_v3", "standard NCASv3_T4 Family", 4)
A100 = VmSize("Standard_NC24ads_A100_v4", "standardNCADSA100v4Family", 24)


def test_quotas_and_sizes_are_read(simulators: Simulators, ml: MachineLearning) -> None:
    """All pages of the subscription's quotas are read, without what single workspaces have of them."""
    simulators.management.seed(
        quotas=[{"region": "westeurope", "family": "standardDSv2Family", "used": 20, "limit": 24}]
    )
    quotas = ml.usage.quotas(SUBSCRIPTION, "West Europe")
    assert [one for one in quotas if one.name == FAMILY] == [Quota(FAMILY, "Count", 20, 24)]
    assert Quota(TOTAL, "Count", 0, 100) in quotas
    assert ml.usage.cores(WORKSPACE, "westeurope", "STANDARD_DS3_V2") == DS3
    assert ml.usage.cores(WORKSPACE, "westeurope", "Standard_X") is None


def test_what_is_missing_is_told(simulators: Simulators, ml: MachineLearning) -> None:
    """Two machines of four cores take three for upgrades: 12 cores, of which 4 are left."""
    assert ml.usage.shortfall(WORKSPACE, "westeurope", "Standard_DS3_v2", 2) is None
    simulators.management.seed(
        quotas=[{"region": "westeurope", "family": "standardDSv2Family", "used": 20, "limit": 24}]
    )
    assert ml.usage.shortfall(WORKSPACE, "westeurope", "Standard_DS3_v2", 2) == Shortfall(8, FAMILY, 20, 24)
    simulators.management.seed(quotas=[{"region": "westeurope", "family": "total", "used": 99, "limit": 100}])
    assert ml.usage.shortfall(WORKSPACE, "westeurope", "Standard_DS3_v2", 2) == Shortfall(11, TOTAL, 99, 100)
    with pytest.raises(PermanentError, match="Standard_X is no size of machine in westeurope"):
        ml.usage.shortfall(WORKSPACE, "westeurope", "Standard_X", 2)


def test_a_quota_that_may_not_be_read_is_a_permanent_error(simulators: Simulators, ml: MachineLearning) -> None:
    """A workspace's role says nothing about the subscription, so nobody waits for it; trouble is still temporary."""
    simulators.management.seed(forbidden=[{"path": "/usages|/vmSizes", "n": 1}])
    with pytest.raises(PermanentError, match="403 AuthorizationFailed") as caught:
        ml.usage.shortfall(WORKSPACE, "westeurope", "Standard_DS3_v2", 1)
    assert "Reader on the subscription" in caught.value.remedy
    simulators.management.fault("throttle", retry_after=30, path="/vmSizes")
    with pytest.raises(TemporaryError, match="429") as late:
        ml.usage.shortfall(WORKSPACE, "westeurope", "Standard_DS3_v2", 1)
    assert late.value.after == 30
    with pytest.raises(PermanentError, match="is in no subscription"):
        ml.usage.quotas("../x", "westeurope")


@pytest.mark.parametrize(
    ("size", "instances", "needed"),
    [("Standard_DS3_v2", 1, 2), ("Standard_DS3_v2", 5, 6), ("Standard_DS3_v2", 6, 8), ("Standard_DS3_v2", 10, 12),
     ("STANDARD_NC24ADS_A100_V4", 3, 3), ("Standard_ND40rs_v2", 3, 3), ("Standard_NC40ads_H100_v5", 1, 1),
     ("Standard_NV6ads_A10_v5", 1, 2)],
)  # fmt: skip
def test_a_fifth_is_held_back_for_upgrades(size: str, instances: int, needed: int) -> None:
    """Machines are rounded up, but for the sizes of which none is held back."""
    assert machines(size, instances) == needed


@pytest.mark.parametrize(
    ("size", "instances", "quota", "missing"),
    [
        (DS3, 10, Quota(FAMILY, "Count", 0, 48), 0),
        (DS3, 10, Quota(FAMILY, "Count", 1, 48), 1),
        (DS3, 10, Quota(FAMILY, "Count", 48, -1), 0),
        (DS3, 1, Quota("Standard DSv2 Family Cluster LowPriority vCPUs", "Count", 10, 10), 0),
        (DS3, 1, Quota("Standard DSv3 Family Cluster Dedicated vCPUs", "Count", 10, 10), 0),
        (DS3, 1, Quota("standardDSv2Family", "Count", 0, 0), 8),
        (T4, 1, Quota("Standard NCASv3_T4 Family Cluster Dedicated vCPUs", "Count", 0, 4), 4),
        (A100, 1, Quota("Standard NCADSA100v4 Family Cluster Dedicated vCPUs", "Count", 0, 24), 0),
        (A100, 2, Quota(TOTAL, "Count", 0, 24), 24),
    ],
)
def test_a_quota_is_compared_where_it_is_the_familys(size: VmSize, instances: int, quota: Quota, missing: int) -> None:
    """Families are recognised in either spelling; no limit, low priority and other families do not count."""
    found = lacking(size, instances, [quota])
    assert (found.missing if found else 0) == missing
