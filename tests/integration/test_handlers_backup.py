"""backup.vision_export over real https against the simulated service, into a real storage emulator."""

import hashlib
import json
import time
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from azure.storage.blob import BlobServiceClient

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.clients.vision import Resource
from shared.errors import PermanentError
from shared.handlers.backups import models as backup
from shared.stages import Done, Pending
from shared.storage.backups import Origin
from tests.integration.canned import Reply, serve
from tests.integration.keeping import Make, container_of, maker, second_container, seed, stored
from tests.integration.stages import Bench, clients_of

MODELS = [{"platform": "ONNX", "bytes": 3000}, {"platform": "TensorFlow", "flavor": "TensorFlowLite", "bytes": 100}]


@pytest.fixture
def store(storage_emulator: Azurite) -> BlobServiceClient:
    """Give the app's own storage account."""
    return BlobServiceClient.from_connection_string(storage_emulator.app)


@pytest.fixture
def project(simulators: Simulators) -> str:
    """Give the id of a project with an iteration of the same id, exported twice."""
    project = str(uuid4())
    seed(simulators, project, MODELS)
    return project


@pytest.fixture
def make(simulators: Simulators, azurite: str) -> Make:
    """Make the surroundings of a backup: the project is declared, its key a setting."""
    return maker(simulators, azurite)


def own_container(store: BlobServiceClient) -> str:
    """Make a container that a project may write its exports to, and return its URL."""
    name = f"exports-{uuid4().hex}"
    store.create_container(name)
    return f"{store.url.rstrip('/')}/{name}"


def test_every_finished_export_is_kept(make: Make, project: str, store: BlobServiceClient) -> None:
    """Each export is copied to its own path, with a manifest that tells size, hashes and source, and no secret."""
    bench = make(project)
    told = bench.run("backup.vision_export")
    onnx, lite = f"{project}/{project}/ONNX/default", f"{project}/{project}/TensorFlow/TensorFlowLite"
    assert told.result["stored"] == [onnx, lite]
    for folder in (onnx, lite):
        content = stored(bench, f"{folder}/model.zip")
        manifest = json.loads(stored(bench, f"{folder}/manifest.json"))
        assert content.startswith(b"PK")
        assert manifest["size"] == len(content)
        assert manifest["sha256"] == [hashlib.sha256(content).hexdigest()]
        assert manifest["md5"] in (None, hashlib.md5(content).hexdigest())
        assert manifest["project"] == manifest["iteration"] == project
        assert "sig=" not in json.dumps(manifest)
        assert manifest["source"].startswith("http")
        assert datetime.fromisoformat(manifest["copied"]) < datetime.fromisoformat(manifest["written"])


@pytest.mark.guarantee(6)
def test_no_secret_is_kept_between_stages(make: Make, project: str) -> None:
    """What the stages hand on, which is recorded, holds no SAS."""
    told = make(project).run("backup.vision_export")
    assert "sig=" not in repr(told)


@pytest.mark.guarantee(3)
def test_a_second_notification_changes_nothing(make: Make, project: str, store: BlobServiceClient) -> None:
    """What is kept is not copied again, and no blob is touched."""
    bench = make(project)
    bench.run("backup.vision_export")
    container = container_of(bench)
    before = {blob.name: blob.etag for blob in container.list_blobs()}
    told = bench.run("backup.vision_export")
    assert told.notes[0] == "0 to copy, 2 kept already"
    assert {blob.name: blob.etag for blob in container.list_blobs()} == before


def test_a_new_flavor_is_added(make: Make, project: str, simulators: Simulators, store: BlobServiceClient) -> None:
    """A later export of the same iteration is kept beside the others, which stay as they are."""
    bench = make(project)
    bench.run("backup.vision_export")
    base = f"{simulators.vision.url}/customvision/v3.3/training/projects/{project}/iterations/{project}/export"
    simulators.vision.seed(settings={"export_seconds": 0})
    requests.post(f"{base}?platform=ONNX&flavor=OnnxFloat16", headers={"Training-Key": KEY}, timeout=60)
    simulators.vision.until(lambda state: "Exporting" not in json.dumps(state))
    told = bench.run("backup.vision_export")
    assert told.notes[0] == "1 to copy, 2 kept already"
    assert told.result["stored"] == [f"{project}/{project}/ONNX/OnnxFloat16"]


def test_another_content_is_kept_beside_the_first(
    make: Make, project: str, simulators: Simulators, store: BlobServiceClient
) -> None:
    """A re-export with another content never overwrites the backup: it gets a folder of its own, once."""
    bench = make(project)
    bench.run("backup.vision_export")
    first = stored(bench, f"{project}/{project}/ONNX/default/model.zip")
    seed(simulators, project, [{"platform": "ONNX", "bytes": 9000}])
    told = bench.run("backup.vision_export")
    (folder,) = told.result["stored"]
    assert folder.startswith(f"{project}/{project}/ONNX/default/")
    assert stored(bench, f"{project}/{project}/ONNX/default/model.zip") == first
    assert len(stored(bench, f"{folder}/model.zip")) > 9000
    assert bench.run("backup.vision_export").result["stored"] == []


def test_the_declared_container_is_the_source(make: Make, simulators: Simulators, store: BlobServiceClient) -> None:
    """Where Custom Vision writes to a container of ours, the copy comes from there, with no SAS asked for in vain."""
    url, project = own_container(store), str(uuid4())
    seed(simulators, project, [{"platform": "ONNX"}], exportModelContainerUri=url)
    bench = make(project, container=url)
    told = bench.run("backup.vision_export")
    manifest = json.loads(stored(bench, f"{told.result['stored'][0]}/manifest.json"))
    assert manifest["source"].startswith(f"{url}/{project}%20-%20{project}.ONNX")


def test_a_blob_that_two_flavors_share_is_not_trusted(
    make: Make, simulators: Simulators, store: BlobServiceClient
) -> None:
    """A container's blob whose name fits two exports may be either: each is copied by its own SAS instead."""
    url, project = own_container(store), str(uuid4())
    seed(
        simulators,
        project,
        [{"platform": "ONNX", "bytes": 10}, {"platform": "ONNX", "flavor": "OnnxFloat16", "bytes": 500}],
        exportModelContainerUri=url,
    )
    bench = make(project, container=url)
    told = bench.run("backup.vision_export")
    sizes = [len(stored(bench, f"{folder}/model.zip")) for folder in told.result["stored"]]
    assert sizes[1] - sizes[0] == 490


def test_an_expired_sas_is_replaced(make: Make, project: str, simulators: Simulators) -> None:
    """A SAS that expires between the stages costs nothing: each copy asks for a fresh one."""
    bench = make(project)
    simulators.vision.seed(settings={"sas_seconds": 4})

    def wait(stage: str) -> None:
        if stage == "copy":
            time.sleep(4.5)

    bench.before_stage = wait
    assert len(bench.run("backup.vision_export").result["stored"]) == 2
    assert len(simulators.vision.seen("GET", "/export")) == 3


def test_a_copy_that_was_cut_short_is_made_again(make: Make, project: str, store: BlobServiceClient) -> None:
    """What an unfinished attempt left in the folder is replaced, since no manifest says that it is whole."""
    bench = make(project)
    path = f"{project}/{project}/ONNX/default/model.zip"
    container_of(bench).upload_blob(path, b"half")
    bench.run("backup.vision_export")
    assert stored(bench, path).startswith(b"PK")


# -- one of several exports cannot be kept ----------------------------------------------------------------------------


def listing(bench: Bench, simulators: Simulators, *, times: int = 99, skip: int = 0, **changes: str) -> None:
    """Have the list of exports say something else of the ONNX model."""
    (project,) = (one.project for one in bench.declared.vision.values())
    url = f"{simulators.vision.url}/customvision/v3.3/training/projects/{project}/iterations/{project}/export"
    exports = requests.get(url, headers={"Training-Key": KEY}, timeout=60).json()
    body = [one | (changes if one["platform"] == "ONNX" else {}) for one in exports]
    simulators.vision.fault("error", status=200, method="GET", path="/export$", n=times, skip=skip, body=body)


@pytest.mark.parametrize(
    ("link", "reason", "remedy"),
    [
        ("artifacts/m.zip", "in a virtual network and gives no link to ONNX", "reactor vision connect"),
        ("https://evil.example/m.zip?sig=c2Vj", "a model is not copied from evil.example", "REACTOR_VISION_BLOB_HOSTS"),
    ],
)
@pytest.mark.parametrize("skip", [0, 1])
def test_a_link_that_is_of_no_use_keeps_no_other_export_from_being_kept(
    *, skip: int, link: str, reason: str, remedy: str, make: Make, project: str, simulators: Simulators
) -> None:
    """The others are whole; then the step fails, and says which one is not kept, why, and what helps."""
    bench = make(project)
    listing(bench, simulators, skip=skip, downloadUri=link)
    with pytest.raises(PermanentError, match=f"1 of the exports are kept, and not ONNX: .*{reason}") as caught:
        bench.run("backup.vision_export")
    assert remedy in caught.value.remedy
    assert "c2Vj" not in repr(caught.value)
    assert bench.clients.backups.manifest(f"{project}/{project}/TensorFlow/TensorFlowLite")
    assert bench.clients.backups.manifest(f"{project}/{project}/ONNX/default") is None


@pytest.mark.parametrize(("skip", "note"), [(0, "the exported ONNX is not there yet"), (1, "1 of 2 models copied")])
def test_a_link_that_comes_late_is_waited_for(
    skip: int, note: str, make: Make, project: str, simulators: Simulators
) -> None:
    """An export that is done and has no link is asked for again, also when it is to be copied, and kept as well."""
    bench = make(project)
    listing(bench, simulators, times=1, skip=skip, downloadUri="")
    told = bench.run("backup.vision_export")
    assert len(told.result["stored"]) == 2
    assert told.notes[skip] == note


def test_a_link_that_is_waited_for_is_not_asked_for_every_moment(
    make: Make, project: str, simulators: Simulators
) -> None:
    """Where nothing is being copied, the next look comes after the usual time."""
    bench, params = make(project), backup.VisionExport(project=project, iteration=project)
    listed = backup.list_exports(params, bench.job("list"))
    assert isinstance(listed, Done)
    listing(bench, simulators, downloadUri="")
    waits = backup.copy(params, bench.job("copy", listed.result))
    assert isinstance(waits, Pending)
    assert waits.after is None
    assert waits.memory["since"]


@pytest.mark.parametrize("skip", [0, 1])
def test_a_link_that_never_comes_keeps_no_other_export_from_being_kept(
    *, skip: int, make: Make, project: str, simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while the others are kept without it."""
    monkeypatch.setattr(backup, "PATIENCE", timedelta(0))
    bench = make(project)
    listing(bench, simulators, skip=skip, downloadUri="")
    with pytest.raises(PermanentError, match="not ONNX: Custom Vision gives no link to it"):
        bench.run("backup.vision_export")
    assert bench.clients.backups.manifest(f"{project}/{project}/TensorFlow/TensorFlowLite")


def test_a_manifest_that_is_none_keeps_no_other_export_from_being_kept(make: Make, project: str) -> None:
    """What is kept already and cannot be read is named, left as it is, and the others are kept."""
    bench = make(project)
    path = f"{project}/{project}/ONNX/default/manifest.json"
    container_of(bench).upload_blob(path, b"{}")
    with pytest.raises(PermanentError, match=f"not ONNX: {path} is not a manifest") as caught:
        bench.run("backup.vision_export")
    assert caught.value.remedy == "move it away and replay"
    assert bench.clients.backups.manifest(f"{project}/{project}/TensorFlow/TensorFlowLite")
    assert stored(bench, path) == b"{}"


def test_hashing_resumes_by_chunk(
    make: Make, project: str, store: BlobServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model of several chunks has a hash for each, made a few at a time."""
    monkeypatch.setattr(backup, "CHUNK", 1000)
    bench = make(project)
    told = bench.run("backup.vision_export")
    content = stored(bench, f"{told.result['stored'][0]}/model.zip")
    manifest = json.loads(stored(bench, f"{told.result['stored'][0]}/manifest.json"))
    chunks = [content[start : start + 1000] for start in range(0, len(content), 1000)]
    assert manifest["sha256"] == [hashlib.sha256(chunk).hexdigest() for chunk in chunks]
    assert any("chunks" in note for note in told.notes)


@pytest.mark.guarantee(7)
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/m.zip?sig=x",
        "https://a.blob.core.windows.net.evil.example/m.zip",
        "https://a.blob.core.windows.net@evil.example/m.zip",
        "https://evil.example\\@a.blob.core.windows.net/m.zip",
        "http://a.blob.core.windows.net/m.zip",
        "file:///etc/passwd",
        "//a.blob.core.windows.net/m.zip",
        "https://[a.blob.core.windows.net/m.zip",
        "",
    ],
)
def test_only_the_services_own_hosts_are_followed(make: Make, project: str, url: str) -> None:
    """A link that leads elsewhere is refused before anything is asked of it."""
    bench = make(project, REACTOR_VISION_BLOB_HOSTS="*.blob.core.windows.net")
    with pytest.raises(PermanentError, match="not copied from"):
        bench.clients.backups.by_sas(url)


@pytest.mark.guarantee(7)
def test_a_project_that_is_not_declared_is_not_asked_for(make: Make, project: str, simulators: Simulators) -> None:
    """A notification about a project that nobody declared does nothing."""
    with pytest.raises(PermanentError, match="not declared"):
        make(project).run("backup.vision_export", project=str(uuid4()))
    assert simulators.vision.seen() == []


@pytest.mark.guarantee(7)
def test_plain_http_is_only_for_the_emulator(make: Make, project: str, azurite: str) -> None:
    """Nothing is read in the clear but where the app's own account is, which in Azure never is in the clear."""
    backups_client = make(project).clients.backups
    own = BlobServiceClient.from_connection_string(azurite).url
    assert backups_client.by_sas(own.replace("devstoreaccount1", "other/exports/m.zip?sig=x"))
    with pytest.raises(PermanentError, match="not copied from"):
        backups_client.by_sas("http://127.0.0.1:1/other/exports/m.zip?sig=x")
    with pytest.raises(PermanentError, match="by https"):
        list(backups_client.find_in_container("http://127.0.0.1:1/other/exports?sig=x", "a"))
    with pytest.raises(PermanentError, match="by https"):
        backups_client.look(Origin("http://127.0.0.1:1/other/exports/m.zip?sig=x", declared=True))


@pytest.mark.guarantee(7)
@pytest.mark.parametrize("iteration", ["", "..", "../../other", "Iteration 7"])
def test_an_iteration_that_is_no_id_is_not_asked_for(
    iteration: str, make: Make, project: str, simulators: Simulators
) -> None:
    """An iteration goes into URLs and paths, so it is an id or the step fails and says which parameter it was."""
    with pytest.raises(PermanentError, match="iteration: "):
        make(project).run("backup.vision_export", iteration=iteration)
    assert simulators.vision.seen() == []


@pytest.mark.parametrize("url", ["https://a.blob.core.windows.net", "https://a.blob.core.windows.net/b/c?sig=c2Vj"])
def test_a_setting_that_is_no_container_is_named(url: str, make: Make, project: str) -> None:
    """A declared container, or a second one, whose setting is the URL of an account or of a folder is no crash."""
    bench = make(project, container="${CONTAINER}")
    bench.values = {**bench.values, "CONTAINER": url}
    with pytest.raises(PermanentError, match=r"vision\.fruit\.container: .*must be the URL of a container") as caught:
        bench.run("backup.vision_export")
    assert "c2Vj" not in repr(caught.value)


def test_a_setting_that_is_no_project_is_named(make: Make, project: str) -> None:
    """What a setting makes of a declaration is checked, and told without its value."""
    bench = make(project)
    fruit = bench.declared.vision["fruit"].model_copy(update={"project": "${VISION_KEY}"})
    bench.declared = bench.declared.model_copy(update={"vision": {"fruit": fruit}})
    with pytest.raises(PermanentError, match=r"vision\.fruit\.project") as caught:
        bench.run("backup.vision_export", project="fruit")
    assert KEY not in caught.value.reason


def test_a_model_that_was_exported_again_is_not_copied(
    make: Make, project: str, store: BlobServiceClient, storage_emulator: Azurite
) -> None:
    """What is copied is the blob that was looked at, or nothing: its ETag goes with the copy."""
    name = f"exports-{uuid4().hex}"
    source = store.create_container(name).upload_blob("m.zip", b"one")
    client, origin = make(project).clients.backups, Origin(source.url, declared=True)
    listed = client.look(origin)
    assert listed
    source.upload_blob(b"another", overwrite=True)
    assert client.own.start_copy("a/b", client.readable(origin), listed.etag) is None
    assert client.own.copy("a/b") is None
    now = client.look(origin)
    assert now
    started = client.own.start_copy("a/b", client.readable(origin), now.etag)
    assert started
    assert started.size == len(b"another")


def test_an_export_that_is_listed_late_is_waited_for(make: Make, project: str, simulators: Simulators) -> None:
    """A list that lags behind the notification is asked again."""
    simulators.vision.fault("lag", path="export")
    told = make(project).run("backup.vision_export")
    assert "no finished export" in told.troubles[0]


def test_entra_is_used_where_there_is_no_key(simulators: Simulators, azurite: str, project: str) -> None:
    """Without a key the app's identity reads the project."""
    clients = clients_of(simulators, azurite)
    exports = clients.vision.iterations.exports(Resource(simulators.vision.url), project, project)
    assert {export.status for export in exports} == {"Done"}


def test_a_container_of_another_account_is_read_by_its_sas(
    make: Make, simulators: Simulators, storage_emulator: Azurite
) -> None:
    """A declared container elsewhere is listed, read and copied by the SAS in its declared URL, which is not kept."""
    (container, url), project = second_container(storage_emulator), str(uuid4())
    container.upload_blob(f"{project} - {project}.ONNX", b"PK a model")
    seed(simulators, project, [{"platform": "ONNX"}])
    bench = make(project, container="${CONTAINER}")
    bench.values = {**bench.values, "CONTAINER": url}
    told = bench.run("backup.vision_export")
    manifest = bench.clients.backups.manifest(told.result["stored"][0])
    assert manifest
    assert manifest.source == f"{container.url}/{project}%20-%20{project}.ONNX"
    assert manifest.size == len(b"PK a model")
    assert "sig=" not in repr(told)


def test_a_container_of_another_account_is_read_by_our_identity(
    make: Make, simulators: Simulators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a SAS in its URL, storage reads it by a SAS that the app's identity signs for one blob."""
    at = "2026-11-22T00:00:00Z"
    key = (
        "<UserDelegationKey><SignedOid>o</SignedOid><SignedTid>t</SignedTid><SignedService>b</SignedService>"
        f"<SignedStart>{at}</SignedStart><SignedExpiry>{at}</SignedExpiry><SignedVersion>2024-01-01</SignedVersion>"
        "<Value>a2V5</Value></UserDelegationKey>"
    )
    backups_client = make(str(uuid4())).clients.backups
    with serve(tmp_path) as (canned, ca):
        both = tmp_path / "both.pem"
        both.write_text(Path(simulators.ca).read_text("utf-8") + Path(ca).read_text("utf-8"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(both))
        canned.replies = [Reply(200, key, {"Content-Type": "application/xml"})]
        url = backups_client.readable(Origin(f"{canned.url}/account/exports/a%20b.ONNX", declared=True))
        (asked,) = canned.asked
    assert asked.path.startswith("/account/?restype=service&comp=userdelegationkey")
    assert asked.headers["authorization"].startswith("Bearer ")
    assert url.startswith(f"{canned.url}/account/exports/a%20b.ONNX?")
    assert "sig=" in url
    assert "sp=r&" in url
