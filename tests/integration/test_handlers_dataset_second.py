"""A data set that is kept a second time in another account: whole, once, and nothing of it through the app."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.storage.blob import BlobBlock, ContainerClient, ContainerSasPermissions

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.errors import DeniedError, PermanentError, TemporaryError
from shared.handlers.backups import dataset, second_dataset
from shared.handlers.backups.dataset import VisionDataset
from shared.stages import Pending
from tests.integration.canned import Canned, Reply, serve
from tests.integration.keeping import second_container
from tests.integration.labelled import InTurn, Kept
from tests.integration.test_handlers_dataset import Lab, Make, labs, last
from tests.integration.world import Wire

SECOND = dataset.STAGES[VisionDataset][-1]


@pytest.fixture
def lab(simulators: Simulators, azurite: str, storage_emulator: Azurite) -> Make:
    """Make a project of a kind and the surroundings of its backup."""
    return labs(simulators, azurite, storage_emulator)


@pytest.fixture
def small_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read little of coco.json at once and copy two images in a look, so that a small project takes many looks."""
    for name, value in {"PIECE": 600, "SLICE": 2, "SECONDS": 0.0}.items():
        monkeypatch.setattr(second_dataset, name, value)


def blobs(container: ContainerClient) -> dict[str, tuple[Any, ...]]:
    """Give what there is: its content, its type and what is noted of it."""
    found = {}
    for one in container.list_blobs(include=["metadata"]):
        content = container.download_blob(one.name).readall()
        found[str(one.name)] = (content, one.content_settings.content_type, dict(one.metadata or {}))
    return found


def own(place: Lab) -> ContainerClient:
    """Give the app's container."""
    return place.store.get_container_client(place.container)


# -- what is there ----------------------------------------------------------------------------------------------------


@pytest.mark.guarantee(6)
def test_a_version_is_kept_twice(lab: Make, storage_emulator: Azurite) -> None:
    """Images, with what is noted of them, and files are the same in both containers; no SAS is in what is recorded."""
    container, url = second_container(storage_emulator)
    place = lab("detection")
    place.labels.add(5, "apple", "banana")
    place.labels.add(1)
    place.bench.values = {"VISION_KEY": KEY, "SECOND": url}
    kept, told = place.back_up(second="${SECOND}", untagged=True)
    Kept(container, kept.folder).check()
    assert blobs(container) == blobs(own(place))
    assert told.result["second"] == f"{container.url}/{kept.folder}"
    assert last(told) == "6 images are in the second container, too"
    assert "sig=" not in repr(told)


def test_without_a_second_container_nothing_is_copied(lab: Make) -> None:
    """The result says so."""
    place = lab()
    place.labels.add(1, "apple")
    assert place.back_up()[1].result["second"] == ""


def test_it_is_copied_in_turns_and_its_manifest_comes_last(
    lab: Make, storage_emulator: Azurite, wire: Wire, small_looks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No look copies many; each image is asked for once, then come the files, and the manifest is written last."""
    container, url = second_container(storage_emulator)
    monkeypatch.setattr(second_dataset, "ThreadPoolExecutor", InTurn)
    place, written = lab(), list[str]()
    place.labels.add(7, "apple")

    def seen(where: str) -> None:
        if where.startswith("before PUT") and container.container_name in where:
            written.append(where.partition("?")[0].rpartition("/")[2])

    wire.boundary = seen
    with wire.watched():
        kept, told = place.back_up(second=url)
    assert blobs(container) == blobs(own(place))
    notes = [note for note in told.notes if note.endswith("images in the second container")]
    assert notes == [f"{done} of 7 images in the second container" for done in (2, 4, 6, 7)]
    assert written[:7] == [one["file_name"] for one in kept.coco["images"]]
    assert written[7:] == ["train.jsonl", "MLTable", "coco.json", "manifest.json"]


@pytest.mark.guarantee(3)
def test_an_image_is_copied_there_once(lab: Make, storage_emulator: Azurite) -> None:
    """The next version brings only what is new; an action that comes again brings nothing."""
    container, url = second_container(storage_emulator)
    place = lab()
    place.labels.add(3, "apple")
    place.back_up(second=url)
    before = {one.name: one.etag for one in container.list_blobs()}
    (new,) = place.labels.add(1, "banana")
    kept, told = place.back_up(second=url)
    after = {one.name: one.etag for one in container.list_blobs()}
    assert before.items() <= after.items()
    added = after.keys() - before.keys()
    assert [name for name in added if "/images/" in name and new in name]
    assert len(added) == 1 + 4
    SECOND.start(VisionDataset(second=url), place.bench.job("second", told.result))
    assert {one.name: one.etag for one in container.list_blobs()} == after
    Kept(container, kept.folder).check()


# -- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.fixture
def canned(simulators: Simulators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    """Give a second storage that gives canned answers."""
    with serve(tmp_path) as (canned, ca):
        both = tmp_path / "both.pem"
        both.write_text(Path(simulators.ca).read_text("utf-8") + Path(ca).read_text("utf-8"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(both))
        yield canned


DATES = {"Last-Modified": "Sun, 22 Nov 2026 08:15:00 GMT", "ETag": '"1"', "x-ms-copy-id": "1"}
MISSING = Reply(404, "", {"x-ms-error-code": "BlobNotFound"})
UNDER_WAY = Reply(200, "", {**DATES, "x-ms-copy-status": "pending", "x-ms-copy-progress": "0/3000"})


def test_a_file_whose_copy_is_under_way_has_no_manifest(canned: Canned, lab: Make) -> None:
    """The second manifest is written once storage says that every file is copied, and not while one is."""
    place = lab()
    place.labels.add(1, "apple")
    kept, told = place.back_up()
    done, begun = (Reply(202, "", {**DATES, "x-ms-copy-status": state}) for state in ("success", "pending"))
    canned.replies = [MISSING, MISSING, done, MISSING, begun, UNDER_WAY]
    job = place.bench.job("second", told.result)
    progress = SECOND.start(VisionDataset(second=f"{canned.url}/account/second?sig=x"), job)
    assert isinstance(progress, Pending)
    assert progress.note == "0 of 3 files in the second container"
    assert [one.path.partition("?")[0] for one in canned.asked if one.method == "PUT"] == [
        f"/account/second/{place.labels.project}/images/{kept.coco['images'][0]['file_name']}",
        f"/account/second/{kept.folder}/train.jsonl",
    ]


def test_an_image_that_somebody_else_copies_is_waited_for(canned: Canned, lab: Make) -> None:
    """An image whose copy is under way is not there yet, and is not begun anew over it."""
    place = lab()
    place.labels.add(1, "apple")
    _, told = place.back_up()
    canned.replies = [MISSING, UNDER_WAY, Reply(409, "", {"x-ms-error-code": "BlobAlreadyExists"}), UNDER_WAY]
    with pytest.raises(TemporaryError, match="somebody else copies"):
        SECOND.start(VisionDataset(second=f"{canned.url}/account/second?sig=x"), place.bench.job("second", told.result))


def test_an_image_that_comes_meanwhile_is_not_overwritten(
    lab: Make, storage_emulator: Azurite, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is one that somebody puts there between the look and the copy."""
    container, url = second_container(storage_emulator)
    monkeypatch.setattr(second_dataset, "ThreadPoolExecutor", InTurn)
    place = lab()
    place.labels.add(1, "apple")
    kept, told = place.back_up()
    path = f"{place.labels.project}/images/{kept.coco['images'][0]['file_name']}"

    def meanwhile(where: str) -> None:
        if where.startswith("before PUT") and path in where:
            wire.boundary = lambda _where: None
            container.upload_blob(path, b"somebody's")

    wire.boundary = meanwhile
    with wire.watched(), pytest.raises(PermanentError, match="has another image"):
        SECOND.start(VisionDataset(second=url), place.bench.job("second", told.result))
    assert container.download_blob(path).readall() == b"somebody's"


def test_storage_that_does_not_answer_is_asked_again_from_where_it_was(
    lab: Make, storage_emulator: Azurite, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was copied before the trouble is not gone through again."""
    container, url = second_container(storage_emulator)
    for name, value in {"SLICE": 1, "ThreadPoolExecutor": InTurn}.items():
        monkeypatch.setattr(second_dataset, name, value)
    place, good = lab(), iter([True] * 3 + [False] * 3)
    place.labels.add(5, "apple")

    def broken(where: str) -> None:
        if where.startswith("before PUT") and container.container_name in where and not next(good, True):
            raise requests.ConnectionError("Connection aborted.")

    wire.boundary = broken
    with wire.watched():
        _, told = place.back_up(second=url)
    assert blobs(container) == blobs(own(place))
    (note,) = [note for note in told.notes if "did not answer" in note]
    assert note.startswith("3 of 5 images in the second container: the second container (127.0.0.1")


@pytest.mark.parametrize("is_in_blocks", [True, False])
def test_another_image_there_is_not_overwritten(lab: Make, storage_emulator: Azurite, *, is_in_blocks: bool) -> None:
    """Where the second container has another image of a name, the step names it; the first copy is whole."""
    container, url = second_container(storage_emulator)
    place = lab()
    place.labels.add(2, "apple")
    first, _ = place.back_up()
    path = f"{place.labels.project}/images/{first.coco['images'][1]['file_name']}"
    blob = container.get_blob_client(path)
    if is_in_blocks:  # storage does not know the MD5 of such a one
        blob.stage_block("1", b"somebody's")
        blob.commit_block_list([BlobBlock("1")])
    else:
        blob.upload_blob(own(place).download_blob(path).readall()[:-1] + b"!")
    before = blob.download_blob().readall()
    with pytest.raises(PermanentError, match=f"has another image at {path}; the first copy is whole") as caught:
        place.back_up(second=url)
    assert "move that one away" in caught.value.remedy
    assert blob.download_blob().readall() == before
    assert not [name for name in container.list_blob_names() if "/datasets/" in name]


def test_another_version_there_is_not_overwritten(lab: Make, storage_emulator: Azurite) -> None:
    """Where the second container has another data set of that name, the step names it and leaves it as it is."""
    container, url = second_container(storage_emulator)
    place = lab()
    place.labels.add(1, "apple")
    kept, told = place.back_up()
    container.upload_blob(f"{kept.folder}/manifest.json", b"somebody's")
    with pytest.raises(PermanentError, match=f"has another data set at {kept.folder}; the first copy is whole"):
        SECOND.start(VisionDataset(second=url), place.bench.job("second", told.result))
    assert set(container.list_blob_names()) == {f"{kept.folder}/manifest.json"}


def test_half_a_file_there_is_copied_anew(lab: Make, storage_emulator: Azurite) -> None:
    """What is cut off in the second container is replaced: no manifest says that it is whole."""
    container, url = second_container(storage_emulator)
    place = lab()
    place.labels.add(1, "apple")
    kept, told = place.back_up()
    container.upload_blob(f"{kept.folder}/coco.json", b"{")
    SECOND.start(VisionDataset(second=url), place.bench.job("second", told.result))
    assert blobs(container) == blobs(own(place))


@pytest.mark.parametrize("what", ["images/", "MLTable"])
def test_what_is_gone_from_the_first_container_is_named(lab: Make, storage_emulator: Azurite, what: str) -> None:
    """An image or a file that somebody has deleted meanwhile is said to be gone, and no manifest is written."""
    container, url = second_container(storage_emulator)
    place = lab()
    place.labels.add(2, "apple")
    _, told = place.back_up()
    path = next(name for name in own(place).list_blob_names() if what in name)
    own(place).delete_blob(path)
    with pytest.raises(PermanentError, match=f"{path} is gone"):
        SECOND.start(VisionDataset(second=url), place.bench.job("second", told.result))
    assert not [name for name in container.list_blob_names() if name.endswith("/manifest.json")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "is not as it was written"),
        (b'{"id": 1, "file_name": "../manifest.json"},\n', "names an image that is none"),
        (b'{"id": 1, "file_na\n', "names an image that is none"),
    ],
)
def test_what_is_damaged_is_not_copied(lab: Make, storage_emulator: Azurite, text: bytes, says: str) -> None:
    """A coco.json that was written over ends the step, and leads nowhere else."""
    container, url = second_container(storage_emulator)
    place = lab()
    place.labels.add(1, "apple")
    kept, told = place.back_up()
    size = kept.manifest["files"]["coco.json"]["size"]
    own(place).upload_blob(f"{kept.folder}/coco.json", text.ljust(size), overwrite=True)
    with pytest.raises(PermanentError, match=says):
        SECOND.start(VisionDataset(second=url), place.bench.job("second", told.result))
    assert not [name for name in container.list_blob_names() if "/datasets/" in name]


def test_a_second_container_that_may_not_be_written_is_named(lab: Make, storage_emulator: Azurite) -> None:
    """A SAS without the right to write is told by the container's name, and asked again: roles take their time."""
    container, url = second_container(storage_emulator, permission=ContainerSasPermissions(read=True))
    place = lab()
    place.labels.add(1, "apple")
    _, told = place.back_up()
    with pytest.raises(DeniedError, match=f"the second container .*{container.container_name}.* answered 403"):
        SECOND.start(VisionDataset(second=url), place.bench.job("second", told.result))


def test_what_is_remembered_does_not_grow(lab: Make, storage_emulator: Azurite, small_looks: None) -> None:
    """Between two looks it is a place in a file, however many images there are."""
    _, url = second_container(storage_emulator)
    place = lab()
    place.labels.add(6, "apple")
    _, told = place.back_up()
    job = place.bench.job("second", told.result)
    looked = SECOND.start(VisionDataset(second=url), job)
    assert isinstance(looked, Pending)
    assert len(json.dumps(looked.memory)) < 100
