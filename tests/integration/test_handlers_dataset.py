"""backup.vision_dataset over real https against the simulated service, into a real storage emulator."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import requests
from azure.storage.blob import BlobServiceClient
from pydantic import ValidationError

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.errors import PermanentError
from shared.handlers.backups import collecting
from shared.handlers.backups.dataset import VisionDataset
from shared.rules.declared import Declared
from tests.integration.labelled import InTurn, Kept, Labels, service_blob
from tests.integration.stages import Bench, Told, clients_of, event_of
from tests.integration.world import Wire

STORE = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/kept"
STEP = "backup.vision_dataset"


class Lab:
    """A project, and the surroundings of a backup of it."""

    def __init__(self, labels: Labels, bench: Bench, store: BlobServiceClient, container: str) -> None:
        self.labels, self.bench, self.store, self.container = labels, bench, store, container

    def back_up(self, **params: Any) -> tuple[Kept, Told]:
        """Perform the step, and find what it kept; each time it is another action."""
        self.bench.key = uuid4().hex
        told = self.bench.run(STEP, **params)
        return Kept.of(self.store, self.container, told.result["folder"]), told

    def before(self, stage: str, do: Callable[[], object], *, times: int = 99) -> None:
        """Do something each time before a stage begins."""
        left = [times]

        def meanwhile(name: str) -> None:
            if name == stage and left[0]:
                left[0] -= 1
                do()

        self.bench.before_stage = meanwhile


Make = Callable[..., Lab]


@pytest.fixture
def lab(simulators: Simulators, azurite: str, storage_emulator: Azurite) -> Make:
    """Make a project of a kind and the surroundings of its backup."""
    return labs(simulators, azurite, storage_emulator)


def labs(simulators: Simulators, azurite: str, storage_emulator: Azurite) -> Make:
    """Make projects and the surroundings of their backups."""
    store = BlobServiceClient.from_connection_string(storage_emulator.app)

    def make(kind: str = "multiclass", *, hosts: str = "127.0.0.1", **settings: Any) -> Lab:
        container = f"backups-{uuid4().hex}"
        store.create_container(container)
        clients = clients_of(simulators, azurite, REACTOR_BACKUP_CONTAINER=container, REACTOR_VISION_BLOB_HOSTS=hosts)
        labels = Labels.begin(simulators, clients, kind, **settings)
        training = {"endpoint": simulators.vision.url, "key": "${VISION_KEY}"}
        declared = Declared.model_validate({"vision": {"fruit": {"project": labels.project, "training": training}}})
        content = {"projectId": labels.project, "iterationId": str(uuid4()), "trainingStatus": "TrainingCompleted"}
        event = event_of(json.dumps({"version": "1.0", "type": "Training", "Content": content}))
        return Lab(labels, Bench(clients, declared, event, {"VISION_KEY": KEY}), store, container)

    return make


def last(told: Told) -> str:
    """Give what was said last."""
    return [note for note in told.notes if note][-1]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """List and copy a few images at a time, so that a small project takes many looks."""
    make_small(monkeypatch)


def make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pages and looks small."""
    monkeypatch.setattr(collecting, "PAGE", 3)
    monkeypatch.setattr(collecting, "SLICE", 2)
    monkeypatch.setattr(collecting, "SECONDS", 0.0)


# -- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("multiclass", ["apple", "apple", "banana"]),
        ("multilabel", [["apple"], ["apple"], ["apple", "banana"]]),
        ("detection", [["apple"], ["apple"], ["apple", "banana"]]),
    ],
)
def test_images_and_labels_are_kept(lab: Make, kind: str, expected: list[Any]) -> None:
    """Every tagged image is kept byte for byte, and both files say what it shows; an untagged one is left out."""
    place = lab(kind)
    ids = place.labels.add(2, "apple")
    ids += place.labels.add(1, *(["banana"] if kind == "multiclass" else ["apple", "banana"]))
    place.labels.add(1)
    kept, told = place.back_up()
    kept.check()
    found = [line["label"] for line in kept.lines]
    if kind == "detection":
        boxes, found = found, [[box["label"] for box in boxes] for boxes in found]
        assert boxes[2][1] == {
            "label": "banana", "topX": 0.35, "topY": 0.25, "bottomX": 0.55, "bottomY": 0.75, "isCrowd": 0
        }  # fmt: skip
        width = kept.coco["images"][2]["width"]
        assert kept.coco["annotations"][3]["bbox"] == [round(0.35 * width, 4), 75.0, round(0.2 * width, 4), 150.0]
    assert found == expected
    assert [one["file_name"].split(".")[0] for one in kept.coco["images"]] == ids
    assert {name.partition(".")[0] for name in kept.images} == set(ids)
    manifest = kept.manifest
    assert (manifest["images"], manifest["labelled"], manifest["lost"], manifest["changed"]) == (3, 3, 0, "")
    assert (manifest["kind"], manifest["project"], manifest["name"]) == (kind, place.labels.project, "fruit")
    assert {one["name"]: one["id"] for one in manifest["tags"]} == place.labels.tags
    assert told.result["images"] == 3
    assert last(told) == "3 images are kept"
    assert kept.read("MLTable").startswith(b"paths:")


@pytest.mark.guarantee(6)
def test_no_secret_is_kept(lab: Make) -> None:
    """Neither what the stages hand on nor what is stored holds a SAS or the key."""
    place = lab()
    place.labels.add(1, "apple")
    kept, told = place.back_up()
    texts = [repr(told), *(kept.read(name).decode() for name in ("coco.json", "train.jsonl", "manifest.json"))]
    assert not [text for text in texts if "sig=" in text or KEY in text]


def test_many_looks_make_the_same_files(lab: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the images fall on pages and looks, the files are the same."""
    place = lab("multilabel")
    for names in (["apple"], ["banana", "apple"], ["banana"]):
        place.labels.add(3, *names)
    with monkeypatch.context() as limits:
        make_small(limits)
        slow, told = place.back_up()
    assert len([note for note in told.notes if note.endswith("of 9 images")]) == 6
    fast, _ = place.back_up()
    slow.check()
    assert slow.read("train.jsonl") == fast.read("train.jsonl")
    assert {**slow.coco, "info": None} == {**fast.coco, "info": None}


def test_untagged_images_are_kept_where_they_are_asked_for(lab: Make) -> None:
    """They are in coco.json without an annotation; train.jsonl has no line for what has no label."""
    place = lab()
    place.labels.add(1, "apple")
    (bare,) = place.labels.add(1)
    kept, _ = place.back_up(untagged=True)
    kept.check()
    assert [one["file_name"].partition(".")[0] for one in kept.coco["images"]][1] == bare
    assert (kept.manifest["images"], kept.manifest["labelled"], kept.manifest["annotations"]) == (2, 1, 1)


def test_only_untagged_images_make_an_empty_table(lab: Make) -> None:
    """Where nothing has a label, train.jsonl is there and empty."""
    place = lab()
    place.labels.add(2)
    kept, _ = place.back_up(untagged=True)
    kept.check()
    assert kept.read("train.jsonl") == b""


@pytest.mark.parametrize("ending", ["", "/", "/paths", "/paths/"])
def test_images_are_named_by_the_datastore(lab: Make, ending: str) -> None:
    """With a datastore, the lines and the results name everything by its URI; else by https URLs of the account."""
    place = lab()
    place.labels.add(1, "apple")
    kept, told = place.back_up(datastore=STORE + ending)
    project, folder = place.labels.project, told.result["folder"]
    assert kept.lines[0]["image_url"].startswith(f"{STORE}/paths/{project}/images/")
    assert told.result["uri"] == f"{STORE}/paths/{folder}"
    assert told.result["jsonl"] == f"{STORE}/paths/{folder}/train.jsonl"
    bare, told = place.back_up()
    url = bare.lines[0]["image_url"]
    assert url == bare.coco["images"][0]["coco_url"]
    assert url.startswith(f"{place.store.url.rstrip('/')}/{place.container}/{project}/images/")
    assert told.result["coco"].endswith(f"{told.result['folder']}/coco.json")


@pytest.mark.parametrize(
    "given", ["kept", "azureml://datastores/kept", f"{STORE}/paths/sub/folder", "https://x.invalid/c", f"{STORE}?sig=x"]
)
def test_what_is_no_datastore_is_refused(given: str) -> None:
    """A datastore's URI is whole and leads to the container itself; the error shows what it looks like."""
    with pytest.raises(ValidationError, match="azureml://subscriptions/<id>"):
        VisionDataset(datastore=given)


def test_images_of_a_closed_network_are_kept(lab: Make) -> None:
    """Where an image has a path instead of a link, it is read through the resource."""
    place = lab(artifacts=True)
    place.labels.add(3, "apple")
    kept, _ = place.back_up()
    kept.check()


@pytest.mark.guarantee(3)
def test_an_image_is_copied_once(lab: Make, simulators: Simulators) -> None:
    """The next version shares the images of the one before, which stays as it is; only a new image is read."""
    place = lab(artifacts=True)
    place.labels.add(3, "apple")
    first, _ = place.back_up()
    container = place.store.get_container_client(place.container)
    before = {blob.name: blob.etag for blob in container.list_blobs()}
    (new,) = place.labels.add(1, "banana")
    asked = len(simulators.vision.seen("GET", "/artifacts"))
    second, _ = place.back_up()
    assert len(simulators.vision.seen("GET", "/artifacts")) == asked + 1
    after = {blob.name: blob.etag for blob in container.list_blobs()}
    assert before.items() <= after.items()
    assert [name for name in after.keys() - before.keys() if new in name]
    assert first.folder != second.folder
    first.check()
    second.check()
    assert (first.manifest["images"], second.manifest["images"]) == (3, 4)


# -- what cannot be kept ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["gone", "garbage"])
def test_an_image_that_cannot_be_read_is_missing(
    lab: Make, storage_emulator: Azurite, small_pages: None, damage: str
) -> None:
    """An image that is gone or damaged is listed with its label and the reason; all others are kept."""
    place = lab("multilabel")
    ids = place.labels.add(5, "apple")
    lost = [ids[0], ids[3]]
    place.labels.clients.vision.images.page(place.labels.at, place.labels.project, skip=0)
    for image in lost:
        blob = service_blob(storage_emulator, place.labels.project, image)
        blob.delete_blob() if damage == "gone" else blob.upload_blob(b"<html>", overwrite=True)
    kept, told = place.back_up()
    kept.check()
    assert [one["id"] for one in kept.manifest["missing"]] == lost
    assert {json.dumps(one["label"]) for one in kept.manifest["missing"]} == {'["apple"]'}
    assert kept.manifest["missing"][0]["reason"]
    assert (told.result["images"], told.result["missing"]) == (3, 2)
    assert last(told).startswith("3 images are kept, 2 are missing: ")


@pytest.mark.guarantee(7)
def test_images_on_other_hosts_are_not_followed(lab: Make) -> None:
    """A link that leads elsewhere is not followed; where that is so of all, the step fails with the remedy."""
    place = lab(hosts="*.blob.core.windows.net")
    place.labels.add(2, "apple")
    with pytest.raises(PermanentError, match="not one image can be kept") as caught:
        place.back_up()
    assert "REACTOR_VISION_BLOB_HOSTS" in caught.value.remedy
    assert not [*place.store.get_container_client(place.container).list_blob_names()]


def test_an_image_that_is_late_is_waited_for(lab: Make, simulators: Simulators, small_pages: None) -> None:
    """An image that cannot be read for the moment holds the others up, and is kept once it can be."""
    place = lab(artifacts=True)
    place.labels.add(4, "apple")
    simulators.vision.fault("throttle", path="/artifacts", skip=2, n=3, retry_after=5)
    kept, told = place.back_up()
    kept.check()
    assert kept.manifest["images"] == 4
    assert [note for note in told.notes if "429" in note]


def test_an_image_that_never_comes_is_missing(
    lab: Make, simulators: Simulators, small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After many looks that got nowhere, the images in the way are listed as missing and the others are kept."""
    monkeypatch.setattr(collecting, "MOST_TRIES", 3)
    monkeypatch.setattr(collecting, "AT_ONCE", 1)
    place = lab(artifacts=True)
    place.labels.add(5, "apple")
    simulators.vision.fault("throttle", path="/artifacts", skip=2, n=6, retry_after=5)
    kept, _ = place.back_up()
    kept.check()
    assert (kept.manifest["images"], kept.manifest["lost"]) == (3, 2)
    assert "429" in kept.manifest["missing"][0]["reason"]


def test_what_may_not_be_read_is_not_missing(lab: Make, simulators: Simulators, small_pages: None) -> None:
    """A role that is missing, or not there yet, is nothing that is wrong with an image."""
    place = lab(artifacts=True)
    place.labels.add(3, "apple")
    simulators.vision.fault("error", path="/artifacts", skip=1, n=2, status=403)
    kept, told = place.back_up()
    kept.check()
    assert (kept.manifest["images"], kept.manifest["lost"]) == (3, 0)
    assert "403" in told.troubles[0]


GOOD_WRITES = {"/images/": 2, "/coco.json": 3, "/train.jsonl": 1}
"""By what is written: how often it goes well before storage does not answer for a while, in the middle of a look."""


@pytest.mark.parametrize("path", GOOD_WRITES)
def test_trouble_with_our_own_storage_is_nobodys_fault(
    lab: Make, wire: Wire, small_pages: None, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Where our storage does not answer, the look is repeated: no image is missing for it, and none is there twice."""
    monkeypatch.setattr(collecting, "ThreadPoolExecutor", InTurn)
    place, writes, good = lab(), iter(range(99)), GOOD_WRITES[path]
    place.labels.add(4, "apple")

    def broken(where: str) -> None:
        if (
            where.startswith("before PUT")
            and f"/{place.container}/" in where
            and path in where
            and next(writes) in range(good, good + 9)
        ):
            raise requests.ConnectionError("Connection aborted.")

    wire.boundary = broken
    with wire.watched():
        kept, told = place.back_up()
    kept.check()
    assert (kept.manifest["images"], kept.manifest["lost"]) == (4, 0)
    assert told.troubles


# -- what changes meanwhile -------------------------------------------------------------------------------------------


def removed(place: Lab, ids: list[str]) -> Callable[[], object]:
    """Delete the oldest image that is left."""
    return lambda: place.labels.remove(ids.pop(0))


def added(place: Lab, _ids: list[str]) -> Callable[[], object]:
    """Add an image."""
    return lambda: place.labels.add(1, "banana")


def retagged(place: Lab, ids: list[str]) -> Callable[[], object]:
    """Give an image another label."""
    return lambda: place.labels.tag(ids.pop(0), "banana")


CHANGES = {"removed": removed, "added": added, "retagged": retagged}


@pytest.mark.parametrize("change", CHANGES)
def test_a_project_that_changes_meanwhile_is_listed_anew(lab: Make, small_pages: None, change: str) -> None:
    """An image that comes, goes or is labelled anew while others are kept has everything listed once more."""
    place = lab("multilabel")
    ids = place.labels.add(5, "apple")
    place.before("compare", CHANGES[change](place, ids), times=1)
    kept, told = place.back_up()
    kept.check()
    assert [note for note in told.notes if note.endswith("changed while they were being kept: listed anew")]
    bananas = 0 if change == "removed" else 1
    assert sum("banana" in line["label"] for line in kept.lines) == bananas
    assert kept.manifest["images"] == {"removed": 4, "added": 6, "retagged": 5}[change]
    assert kept.manifest["changed"] == ""


def test_boxes_that_are_moved_meanwhile_are_kept_where_they_are_by_now(lab: Make, small_pages: None) -> None:
    """The same image with the same tags, and its box elsewhere: that is a change, too."""
    place = lab("detection")
    ids = place.labels.add(4, "apple")
    place.before("compare", lambda: place.labels.move(ids[1]), times=1)
    kept, told = place.back_up()
    kept.check()
    assert [note for note in told.notes if note.endswith("changed while they were being kept: listed anew")]
    assert [line["label"][0]["topY"] for line in kept.lines] == [0.25, 0.375, 0.25, 0.25]
    assert (kept.manifest["annotations"], kept.manifest["changed"]) == (4, "")


@pytest.mark.parametrize("change", CHANGES)
def test_a_project_that_never_rests_is_kept_as_it_was(lab: Make, change: str) -> None:
    """After a few times what was listed last is kept, and the manifest and the note say that it changed."""
    place = lab("multilabel")
    ids = place.labels.add(5, "apple")
    place.before("compare", CHANGES[change](place, ids))
    kept, told = place.back_up()
    kept.check()
    assert told.notes.count("5 images to keep") == (1 if change != "retagged" else collecting.MOST_TURNS)
    assert "changed while they were being kept" in kept.manifest["changed"]
    assert told.result["changed"] == kept.manifest["changed"]
    assert last(told).endswith(kept.manifest["changed"])


def test_images_that_are_counted_and_not_listed_are_told(lab: Make, simulators: Simulators) -> None:
    """Where the service counts more images than it lists, that is said beside what is kept."""
    place = lab()
    place.labels.add(2, "apple")
    told_wrong = {"status": 200, "body": "7", "headers": {"Content-Type": "application/json"}}
    simulators.vision.fault("error", path="/images/count", n=99, **told_wrong)
    kept, told = place.back_up()
    kept.check()
    assert kept.manifest["images"] == 2
    assert told.result["changed"] == "Custom Vision counts 7 images, and lists 2"


def test_a_tag_that_comes_meanwhile_is_a_category(lab: Make, small_pages: None) -> None:
    """A tag that was made after the first look gets the next number, and its name is right."""
    place, looked = lab("multilabel"), []
    place.labels.add(5, "apple")

    def new() -> None:
        place.labels.tags["cherry"] = place.labels.new_tag("cherry")
        looked.extend(place.labels.add(1, "cherry"))

    place.before("copy", new, times=1)
    kept, _ = place.back_up()
    kept.check()
    assert [one["name"] for one in kept.coco["categories"]] == ["apple", "banana", "cherry"]
    assert kept.lines[5]["label"] == ["cherry"]


@pytest.mark.parametrize(
    ("file", "stage"), [("coco.json", "write"), ("train.jsonl", "write"), ("manifest.json", "manifest")]
)
def test_blocks_that_storage_dropped_are_staged_anew(
    lab: Make, storage_emulator: Azurite, file: str, stage: str
) -> None:
    """What waited for longer than storage keeps it is listed and staged once more, a few times."""
    place = lab()
    ids = place.labels.add(2, "apple")
    place.labels.clients.vision.images.page(place.labels.at, place.labels.project, skip=0)
    service_blob(storage_emulator, place.labels.project, ids[0]).delete_blob()

    def drop() -> None:
        blob = place.store.get_blob_client(place.container, f"{place.bench.told.result['folder']}/{file}")
        blob.commit_block_list([])
        blob.delete_blob()

    place.before(stage, drop, times=1)
    kept, told = place.back_up()
    kept.check()
    assert (kept.manifest["images"], kept.manifest["lost"]) == (1, 1)
    assert [note for note in told.notes if "more than a week" in note]
    place.before(stage, drop)
    with pytest.raises(PermanentError, match="more than a week") as caught:
        place.back_up()
    assert "replay" in caught.value.remedy


# -- what is refused --------------------------------------------------------------------------------------------------


def test_nothing_to_keep_is_said(lab: Make) -> None:
    """A project without a tagged image is no backup, and the error says what to do."""
    place = lab()
    place.labels.add(1)
    with pytest.raises(PermanentError, match="no tagged image") as caught:
        place.back_up()
    assert "untagged: true" in caught.value.remedy


@pytest.mark.guarantee(7)
def test_a_project_that_is_not_declared_is_not_asked_for(lab: Make, simulators: Simulators) -> None:
    """A project that nobody declared is not backed up."""
    place, asked = lab(), len(simulators.vision.seen())
    with pytest.raises(PermanentError, match="not declared"):
        place.back_up(project=str(uuid4()))
    assert len(simulators.vision.seen()) == asked


def test_a_project_of_another_resource_is_said(lab: Make, simulators: Simulators) -> None:
    """Where the resource has no such project, the error says which declaration to look at."""
    place = lab()
    simulators.vision.reset()
    with pytest.raises(PermanentError, match="has no project") as caught:
        place.back_up()
    assert "endpoint" in caught.value.remedy


def test_a_project_that_is_being_imported_is_waited_for(lab: Make, simulators: Simulators) -> None:
    """A project whose images are still coming is looked at again."""
    place = lab()
    place.labels.add(1, "apple")
    project = place.labels.clients.vision.projects.read(place.labels.at, place.labels.project)
    assert project is not None
    simulators.vision.fault(
        "error",
        path=f"projects/{place.labels.project}$",
        status=200,
        headers={"Content-Type": "application/json"},
        body=json.dumps({"id": project.id, "name": "fruit", "settings": {}, "status": "Importing"}),
    )
    _, told = place.back_up()
    assert "imported" in told.troubles[0]
