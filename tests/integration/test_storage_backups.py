"""The store of backups: what it lists, what is whole, by which URL others may read it, and how much memory it takes."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContainerClient

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from shared.errors import PermanentError
from shared.storage.backups import CHUNK, Manifest, Origin, Store, origins
from tests.integration.canned import Reply, serve
from tests.integration.keeping import container_of, maker, second_container, seed
from tests.integration.stages import Bench, clients_of

MIB = 1024 * 1024
PROJECT = "0f8fad5b-d9cb-469f-a165-70867728950e"
ONE, TWO = "11111111-1111-4111-8111-111111111111", "d2222222-2222-4222-8222-222222222222"
NOW = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)


@pytest.fixture
def bench(simulators: Simulators, azurite: str) -> Bench:
    """Give an empty store."""
    return maker(simulators, azurite)(PROJECT)


def put(bench: Bench, *names: str) -> None:
    """Write blobs."""
    for name in names:
        container_of(bench).upload_blob(f"{PROJECT}/{name}", b"12345")


# -- listing ----------------------------------------------------------------------------------------------------------


def test_backups_are_told_from_everything_else(bench: Bench) -> None:
    """Models are listed in order, whole or not; a second content has its own line; images and data sets have none."""
    put(
        bench,
        f"{ONE}/ONNX/default/model.zip",
        f"{ONE}/ONNX/default/manifest.json",
        f"{ONE}/ONNX/default/0123456789ab/model.zip",
        f"{ONE}/ONNX/default/0123456789ab/manifest.json",
        f"{ONE}/ONNX/default-x/model.zip",
        f"{TWO}/CoreML/default/manifest.json",
        f"{TWO}/CoreML/notes.txt",
        "images/1.png",
        "datasets/20261122-080000/manifest.json",
        "datasets/20261122-080000/model.zip",
    )
    container_of(bench).upload_blob("somebody/elses/ONNX/default/manifest.json", b"{}")
    listed = list(bench.clients.backups.own.list())
    assert [(one.folder.removeprefix(f"{PROJECT}/"), one.is_whole, one.size) for one in listed] == [
        (f"{ONE}/ONNX/default", True, 5),
        (f"{ONE}/ONNX/default-x", False, 5),
        (f"{ONE}/ONNX/default/0123456789ab", True, 5),
        (f"{TWO}/CoreML/default", False, 0),
    ]
    assert [one.content for one in listed] == ["", "", "0123456789ab", ""]
    assert {one.iteration for one in bench.clients.backups.own.list(PROJECT, TWO)} == {TWO}


def test_images_are_not_gone_through(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project's ten thousand images cost a list of its backups nothing."""
    put(bench, f"{TWO}/ONNX/default/model.zip", "images/1.png", "datasets/1/manifest.json")
    asked: list[str] = []
    real = ContainerClient.list_blobs

    def list_blobs(self: ContainerClient, name_starts_with: str | None = None, **options: Any) -> Any:
        asked.append(name_starts_with or "")
        return real(self, name_starts_with=name_starts_with, **options)

    monkeypatch.setattr(ContainerClient, "list_blobs", list_blobs)
    assert len(list(bench.clients.backups.own.list(PROJECT))) == 1
    assert asked == [f"{PROJECT}/d"]


def test_an_iteration_is_whole_once_all_of_it_is(bench: Bench) -> None:
    """Nothing, or a copy under way, is not enough for whoever would delete the iteration."""
    backups = bench.clients.backups
    assert not backups.whole(PROJECT, ONE)
    put(bench, f"{ONE}/ONNX/default/model.zip")
    assert not backups.whole(PROJECT, ONE)
    put(bench, f"{ONE}/ONNX/default/manifest.json")
    assert backups.whole(PROJECT, ONE)
    put(bench, f"{ONE}/CoreML/default/model.zip")
    assert not backups.whole(PROJECT, ONE)


def test_a_container_that_is_missing_is_named(bench: Bench) -> None:
    """The app's own too: it may have been deleted."""
    container_of(bench).delete_container()
    with pytest.raises(PermanentError, match="has no container backups-") as caught:
        list(bench.clients.backups.own.list())
    assert caught.value.remedy


def test_what_a_policy_keeps_is_not_asked_for_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A blob that may not be deleted is a failure with a remedy, not something to be tried for a day."""
    put(bench, f"{ONE}/ONNX/default/manifest.json")

    def refuses(self: ContainerClient, _blob: object, **_options: object) -> None:
        problem = HttpResponseError("This operation is not permitted as the blob is immutable due to a policy.")
        problem.error_code = "BlobImmutableDueToPolicy"  # type: ignore[attr-defined] # as the SDK sets it
        raise problem

    monkeypatch.setattr(ContainerClient, "delete_blob", refuses)
    with pytest.raises(PermanentError, match=r"a policy of Storage keeps .*manifest\.json") as caught:
        bench.clients.backups.own.delete(f"{PROJECT}/{ONE}/ONNX/default")
    assert caught.value.remedy == "wait until it is over, or lift it"


NO_CONTAINERS = [
    "https://a.blob.core.windows.net",
    "https://a.blob.core.windows.net/?sig=c2Vj",
    "{own}",
    "{own}/b/c",
    "{own}/",
]


@pytest.mark.parametrize("url", NO_CONTAINERS)
def test_a_url_that_names_no_container_is_refused(bench: Bench, url: str) -> None:
    """That of an account, or of a folder, is told by what it was given for: whoever gave it can correct it."""
    url = url.format(own=bench.clients.account.blobs.url.rstrip("/"))
    for ask in (bench.clients.backups.elsewhere, lambda one: list(bench.clients.backups.find_in_container(one, "a"))):
        with pytest.raises(PermanentError, match=r"the (second|declared) container .*is not given as") as caught:
            ask(url)
        assert "https://<account>.blob.core.windows.net/<container>" in caught.value.remedy
        assert "c2Vj" not in caught.value.reason


@pytest.mark.parametrize("change", [{"sha256": []}, {"chunk": 0}, {"chunk": -5}, {"chunk": 3}, {"size": -1}])
def test_a_manifest_has_a_hash_for_every_part(bench: Bench, change: dict[str, Any]) -> None:
    """One by which a part of the model would pass unread is none, and nothing of it is told but what is wrong."""
    whole = Manifest(
        project=PROJECT,
        iteration=ONE,
        platform="ONNX",
        flavor=None,
        source="https://a.example/m.zip",
        source_etag="1",
        source_modified=NOW,
        size=5,
        md5=None,
        sha256=("ab" * 32,),
        copied=None,
        written=NOW,
    )
    text = json.dumps(whole.model_dump(mode="json") | change).encode()
    bench.clients.backups.own.write_manifest("a/b", text)
    with pytest.raises(PermanentError, match=r"a/b/manifest\.json is not a manifest \((it has|chunk: |size: )"):
        bench.clients.backups.own.manifest("a/b")
    bench.clients.backups.own.write_manifest("a/c", whole)
    assert bench.clients.backups.own.manifest("a/c") == whole


# -- URLs that others read by -----------------------------------------------------------------------------------------


def test_a_model_can_be_read_for_a_while(bench: Bench, storage_emulator: Azurite) -> None:
    """A URL is signed for one blob, to be read only; one in a container with a SAS is read by that."""
    put(bench, f"{ONE}/ONNX/default/model.zip", f"{ONE}/ONNX/default/manifest.json")
    folder = f"{PROJECT}/{ONE}/ONNX/default"
    url = bench.clients.backups.signed(folder)
    assert BlobClient.from_blob_url(url).download_blob().readall() == b"12345"
    assert parse_qs(urlsplit(url).query)["sp"] == ["r"]
    with pytest.raises((HttpResponseError, ResourceNotFoundError)):
        BlobClient.from_blob_url(url.replace("model.zip", "manifest.json")).download_blob()
    container, second = second_container(storage_emulator)
    container.upload_blob(f"{folder}/model.zip", b"two")
    url = bench.clients.backups.signed(folder, bench.clients.backups.elsewhere(second))
    assert BlobClient.from_blob_url(url).download_blob().readall() == b"two"


def test_an_identity_signs_for_the_app(
    simulators: Simulators, azurite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an account key, the app's identity asks for a key to sign with, and signs with it for some minutes."""
    at = "2026-11-22T00:00:00Z"
    key = (
        "<UserDelegationKey><SignedOid>o</SignedOid><SignedTid>t</SignedTid><SignedService>b</SignedService>"
        f"<SignedStart>{at}</SignedStart><SignedExpiry>{at}</SignedExpiry><SignedVersion>2024-01-01</SignedVersion>"
        "<Value>a2V5</Value></UserDelegationKey>"
    )
    with serve(tmp_path) as (canned, ca):
        both = tmp_path / "both.pem"
        both.write_text(Path(simulators.ca).read_text("utf-8") + Path(ca).read_text("utf-8"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(both))
        canned.replies = [Reply(200, key, {"Content-Type": "application/xml"})]
        clients = clients_of(
            simulators,
            "",
            AzureWebJobsStorage__blobServiceUri=canned.url,
            AzureWebJobsStorage__queueServiceUri=canned.url,
            AzureWebJobsStorage__tableServiceUri=canned.url,
        )
        url = clients.backups.signed("a/b")
        again = clients.backups.signed("a", name="1.png")
        (asked,) = canned.asked
        monkeypatch.setattr(origins, "KEY_AGE", timedelta(0))
        clients.backups.signed("a/b")
        assert len(canned.asked) == 2
    assert again.startswith(f"{canned.url}/backups/a/1.png?")
    assert again.partition("sig=")[2] != url.partition("sig=")[2]
    assert asked.path.startswith("/?restype=service&comp=userdelegationkey")
    assert asked.headers["authorization"].startswith("Bearer ")
    assert url.startswith(f"{canned.url}/backups/a/b/model.zip?")
    assert "sp=r&" in url


@pytest.mark.guarantee(7)
@pytest.mark.parametrize("declared", [False, True])
def test_only_what_is_declared_sees_our_token(
    *, declared: bool, simulators: Simulators, azurite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link without a SAS, on a host that models may be on, is looked at without it; a declared container with it."""
    with serve(tmp_path) as (canned, ca):
        both = tmp_path / "both.pem"
        both.write_text(Path(simulators.ca).read_text("utf-8") + Path(ca).read_text("utf-8"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(both))
        canned.replies = [Reply(404, "", {"x-ms-error-code": "BlobNotFound"})]
        backups = clients_of(simulators, azurite).backups
        link = f"{canned.url}/other/exports/m.zip"
        origin = Origin(link, declared=True) if declared else backups.by_sas(link)
        assert backups.look(origin) is None
        assert ("authorization" in canned.asked[-1].headers) is declared
        before = len(canned.asked)
        if not declared:
            assert backups.readable(origin) == link
            assert len(canned.asked) == before


# -- memory -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(storage_emulator: Azurite) -> Iterator[str]:
    """Give the URL of a container of the app's account, with a large blob in it."""
    account = ContainerClient.from_connection_string(storage_emulator.app, f"large-{uuid4().hex}")
    account.create_container()
    yield account.url
    account.delete_container()


def grown(doing: Callable[[], object]) -> float:
    """Say by how many MiB what this process holds grew at most."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        doing()
        return (tracemalloc.get_traced_memory()[1] - before) / MIB
    finally:
        tracemalloc.stop()


def test_a_large_backup_takes_little_memory(simulators: Simulators, azurite: str, large: str) -> None:
    """A model of more than one chunk is copied, hashed and read again within 32 MiB, however large it is."""
    project = str(uuid4())
    seed(simulators, project, [{"platform": "ONNX", "bytes": 10}], exportModelContainerUri=large)
    source = ContainerClient.from_container_url(large, credential=credential(azurite))
    source.upload_blob(f"{project} - {project}.ONNX", zeros(CHUNK + 8 * MIB), length=CHUNK + 8 * MIB, overwrite=True)
    bench = maker(simulators, azurite)(project, container=large)
    assert grown(lambda: bench.run("backup.vision_export")) < 32
    (folder,) = bench.told.result["stored"]
    store = bench.clients.backups.own
    manifest = store.manifest(folder)
    assert manifest
    assert len(manifest.sha256) == 2
    assert manifest.size == CHUNK + 8 * MIB
    again = Store(lambda: source, "a copy")
    assert grown(lambda: again.upload("a/b", store.read(folder, 0, manifest.size), manifest.size)) < 32
    assert again.sha256("a/b", 1, CHUNK) == manifest.sha256[1]


def zeros(size: int) -> Iterator[bytes]:
    """Give so many bytes, piece by piece."""
    for _ in range(size // MIB):
        yield bytes(MIB)


def credential(azurite: str) -> str:
    """Give the key of the app's account."""
    return dict(part.split("=", 1) for part in azurite.strip(";").split(";"))["AccountKey"]
