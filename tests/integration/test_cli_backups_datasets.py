"""`reactor backups` with data sets: what `backup.vision_dataset` keeps is checked, comes back, and teaches again."""

import hashlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from azure.storage.blob import ContainerClient

from cli import steps
from cli.main import main
from cli.vision import upload
from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.clients import Clients
from shared.clients.identity import managed_identity
from shared.errors import TemporaryError
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.dataset_store import DatasetStore, KeptFile
from tests.integration.keeping import second_container
from tests.integration.labelled import DOMAINS, Labels, service_blob

RULES = """
version: 1
vision:
  fruit:
    project: {old}
    training: {{endpoint: "${{SIMULATOR_VISION}}", key: "${{VISION_KEY}}"}}
  again:
    project: {new}
    training: {{endpoint: "${{SIMULATOR_VISION}}", key: "${{VISION_KEY}}"}}
rules: []
"""


class Lab(NamedTuple):
    """A project whose images are kept, an empty one that is to learn from them, and who looks at what is said."""

    labels: Labels
    new: str
    container: ContainerClient
    capsys: pytest.CaptureFixture[str]

    @property
    def versions(self) -> list[str]:
        """Name the folders of the versions."""
        found = self.container.list_blob_names(name_starts_with=f"{self.labels.project}/datasets/")
        return sorted({str(name).rpartition("/")[0] for name in found})

    @property
    def images(self) -> list[str]:
        """Name the blobs of the images."""
        return [str(name) for name in self.container.list_blob_names(name_starts_with=f"{self.labels.project}/images/")]

    def keep(self) -> str:
        """Make a version, in a second of its own, by which its name says that it is newer; give that name."""
        before = self.versions
        while any(f"/{datetime.now(UTC):%Y%m%dT%H%M%S}" in one for one in before):
            time.sleep(0.05)
        assert main(["vision", "dataset", "fruit"]) == 0
        self.capsys.readouterr()
        (made,) = set(self.versions) - set(before)
        return made.rpartition("/")[2]

    def told(self, *arguments: str, code: int = 0) -> Any:
        """Run a command of `reactor backups` and give what it says to programs."""
        self.capsys.readouterr()
        assert run(*arguments, "--json") == code
        return json.loads(self.capsys.readouterr().out)

    def said(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Run a command of `reactor backups` and give what it says to people, on both streams."""
        self.capsys.readouterr()
        assert run(*arguments) == code
        said = self.capsys.readouterr()
        return said.out, said.err

    def tags(self, project: str) -> Counter[tuple[str, ...]]:
        """Count the labels of a project's images: their tags, or what their regions show and where."""
        images = self.labels.clients.vision.images.page(self.labels.at, project, skip=0, tagged=None)
        return Counter(
            tuple(sorted(tag.name for tag in image.tags))
            + tuple(
                sorted(
                    f"{one.tag} {one.left:.3f} {one.top:.3f} {one.width:.3f} {one.height:.3f}" for one in image.regions
                )
            )
            for image in images
        )


def run(*arguments: str) -> int:
    """Run a command of `reactor backups` and give how it ends."""
    try:
        return main(["backups", *arguments])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


Make = Callable[[str], Lab]


@pytest.fixture
def make(
    simulators: Simulators,
    azurite: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Make:
    """Run the commands in a folder where a local stack says that it runs, on a project of a kind."""
    for name in list(os.environ):
        if name.startswith(("REACTOR_", "AzureWebJobsStorage")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(steps, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(upload, "FIRST_PAUSE", 0.01)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    settings = {
        "AzureWebJobsStorage": azurite,
        "REACTOR_RULES": "rules.yaml",
        "REACTOR_BACKUP_CONTAINER": f"backups-{uuid4().hex}",
        "REACTOR_POLL_SECONDS": "0.1",
        "REACTOR_LEASE_SECONDS": "10",
        "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1",
        "SIMULATOR_VISION": simulators.vision.url,
        "VISION_KEY": KEY,
        **simulators.environment,
    }
    clients = Clients(Settings.read(settings), managed_identity)
    prepare(clients.account, settings["REACTOR_BACKUP_CONTAINER"])
    (tmp_path / ".stack").mkdir()
    facts = {"functions": "http://127.0.0.1:1", "app": str(tmp_path), "settings": settings}
    (tmp_path / ".stack/ready.json").write_text(json.dumps(facts), "utf-8")
    container = clients.account.blobs.get_container_client(settings["REACTOR_BACKUP_CONTAINER"])

    def made(kind: str) -> Lab:
        labels, new = Labels.begin(simulators, clients, kind, training_seconds=0.1), str(uuid4())
        domain, classification = DOMAINS[kind]
        told = {"domainId": domain, "classificationType": classification}
        simulators.vision.seed(projects=[{"id": new, "name": "again", "settings": told}])
        (tmp_path / "rules.yaml").write_text(RULES.format(old=labels.project, new=new), "utf-8")
        return Lab(labels, new, container, capsys)

    return made


@pytest.fixture
def lab(make: Make) -> Lab:
    """Keep six apples and five bananas."""
    found = make("multiclass")
    found.labels.add(6, "apple")
    found.labels.add(5, "banana")
    found.keep()
    return found


# -- there and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "detection"])
def test_a_project_comes_back_from_what_was_kept(kind: str, make: Make) -> None:
    """Images, kept, fetched into a folder and trained with: the new project has the same labels, as often."""
    lab = make(kind)
    lab.labels.add(16 if kind == "detection" else 6, "apple")
    lab.labels.add(15 if kind == "detection" else 5, "banana")
    if kind != "multiclass":
        lab.labels.add(2, "apple", "banana")
    lab.keep()
    out, _ = lab.said("get", "fruit/datasets/newest", "--to", "kept/")
    hint = out.splitlines()[-1].partition(": ")[2]
    assert hint == "reactor vision train kept --coco kept/coco.json"
    assert main([*hint.split()[1:], "--project", "again"]) == 0
    assert lab.tags(lab.new) == lab.tags(lab.labels.project)
    assert lab.labels.clients.vision.iterations.list(lab.labels.at, lab.new)


def test_a_folder_has_what_was_kept(lab: Lab, tmp_path: Path) -> None:
    """Every file and image, byte for byte, and nothing that is half there."""
    (folder,) = lab.versions
    (told,) = lab.told("get", "fruit/datasets", "--to", "kept")
    assert (told["images"], told["fetched"], told["there"], told["wrong"]) == (11, 11, 0, [])
    names = ("coco.json", "train.jsonl", "MLTable", "manifest.json")
    wanted = {name: lab.container.download_blob(f"{folder}/{name}").readall() for name in names}
    wanted |= {path.rpartition("/")[2]: lab.container.download_blob(path).readall() for path in lab.images}
    assert {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()} == wanted


def test_a_folder_has_a_name_where_none_is_given(lab: Lab, tmp_path: Path) -> None:
    """Without --to it is the project's and the version's, and `restore` makes the same one."""
    version = lab.versions[0].rpartition("/")[2]
    lab.told("get", f"fruit/datasets/{version[:8]}")
    lab.told("restore", "fruit/datasets/newest", "--to", "other")
    first, second = ({path.name for path in (tmp_path / name).iterdir()} for name in (f"fruit-{version}", "other"))
    assert first == second
    assert "coco.json" in first


# -- which one --------------------------------------------------------------------------------------------------------


def test_the_newest_that_is_whole_is_meant(lab: Lab) -> None:
    """A version that is only begun is not it."""
    lab.labels.add(1, "apple")
    newest = lab.keep()
    lab.container.upload_blob(f"{lab.labels.project}/datasets/29991231T000000Z-00000000/coco.json", b"{")
    for address in ("fruit/datasets/newest", "fruit/datasets", f"{lab.labels.project}/datasets/newest"):
        (told,) = lab.told("get", address, "--to", "kept")
        assert told["folder"].endswith(newest)
        assert told["images"] == 12


def test_what_is_not_meant_is_said(lab: Lab) -> None:
    """Several that fit, none that fits, and one that is not whole are told apart."""
    lab.keep()
    _, err = lab.said("get", "fruit/datasets/2", code=1)
    assert err.splitlines()[0] == "reactor: which one? These fit:"
    assert len(err.splitlines()) == 3
    _, err = lab.said("get", "friut/datasets/newest", code=1)
    assert 'no data set fits "friut/datasets/newest" (did you mean "fruit"?)' in err
    lab.container.delete_blob(f"{lab.versions[0]}/manifest.json")
    _, err = lab.said("get", lab.versions[0], code=1)
    assert "is not whole" in err
    assert lab.said("verify", "friut/datasets", code=1)


def test_what_is_left_out_is_named(lab: Lab) -> None:
    """A command that brings models says which data sets it does not."""
    _, err = lab.said("get", "fruit", code=1)
    assert "1 data set left out" in err.splitlines()[0]
    assert "there are no backups" in err.splitlines()[1]
    model = f"{lab.labels.project}/aaaaaaaa-0000-4000-8000-000000000001/ONNX/default"
    at = datetime.now(UTC).isoformat()
    told = {"project": lab.labels.project, "iteration": "x", "platform": "ONNX", "flavor": None, "source": "x"}
    told |= {"source_etag": "x", "source_modified": at, "md5": None, "copied": None, "written": at}
    lab.container.upload_blob(f"{model}/model.zip", b"")
    lab.container.upload_blob(f"{model}/manifest.json", json.dumps(told | {"size": 0, "sha256": []}))
    name = lab.versions[0].rpartition("/")[2]
    for arguments in (("get", "fruit", "--to", "m/"), ("restore", "--to", "m2")):
        out, err = lab.said(*arguments)
        assert out.strip().endswith("  fetched")
        assert f"1 data set left out, fruit/datasets/{name}" in err
    assert Path("m/fruit-aaaaaaaa-ONNX.zip").is_file()
    assert "left out" not in lab.said("get", "fruit/aaaa", "--to", "m/")[1]
    assert [one["folder"] for one in lab.told("restore", "--all", "--to", "all")] == [model, lab.versions[0]]


# -- verify -----------------------------------------------------------------------------------------------------------


def test_whole_data_sets_are_found_whole(lab: Lab) -> None:
    """Files and images are read, and counted."""
    out, _ = lab.said("verify")
    first, last = out.splitlines()
    assert first.startswith("ok         fruit/datasets/")
    assert "11 images" in first
    assert last.startswith("1 data set: files as they were written")
    assert lab.told("verify", "fruit/datasets/newest")[0]["ok"]


def damaged_lines(lab: Lab) -> None:
    """Change a letter of train.jsonl."""
    text = lab.container.download_blob(f"{lab.versions[0]}/train.jsonl").readall()
    lab.container.upload_blob(f"{lab.versions[0]}/train.jsonl", text.replace(b"apple", b"aqple", 1), overwrite=True)


def damaged_coco(lab: Lab) -> None:
    """Cut coco.json short."""
    lab.container.upload_blob(f"{lab.versions[0]}/coco.json", b"{}", overwrite=True)


def no_table(lab: Lab) -> None:
    """Delete MLTable."""
    lab.container.delete_blob(f"{lab.versions[0]}/MLTable")


def missing_image(lab: Lab) -> None:
    """Delete an image."""
    lab.container.delete_blob(lab.images[3])


def damaged_image(lab: Lab) -> None:
    """Overwrite an image with something else."""
    lab.container.upload_blob(lab.images[3], b"not an image", overwrite=True)


def empty_image(lab: Lab) -> None:
    """Overwrite an image with nothing."""
    lab.container.upload_blob(lab.images[3], b"", overwrite=True)


def other_image(lab: Lab) -> None:
    """Overwrite an image with one of another size."""
    head = b"\x89PNG\r\n\x1a\n" + bytes(8) + b"\0\0\0\7\0\0\0\7"
    lab.container.upload_blob(lab.images[3], head, overwrite=True)


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (damaged_lines, "its SHA-256 differs in part 1 of 1"),
        (damaged_coco, "it has 2 bytes, and should have"),
        (no_table, "it is gone"),
        (missing_image, "it is gone"),
        (damaged_image, "its header cannot be read"),
        (empty_image, "its header cannot be read"),
        (other_image, "it is 7 × 7, and coco.json says"),
    ],
)
def test_what_is_broken_is_named(breaks: Any, says: str, lab: Lab) -> None:
    """One file or image makes the command end with 1; it is named, with what is wrong with it."""
    name = {damaged_lines: "train.jsonl", damaged_coco: "coco.json", no_table: "MLTable"}.get(breaks)
    name = name or lab.images[3].rpartition("/")[2]
    breaks(lab)
    (told,) = lab.told("verify", code=1)
    assert (told["ok"], told["broken"]) == (False, True)
    ((found, why),) = [(one["name"], one["why"]) for one in told["wrong"]]
    assert (found, says in why) == (name, True), why
    out, _ = lab.said("verify", code=1)
    assert f"{name}: " in out
    assert "1 of 1 data set broken" in out


def test_what_custom_vision_still_has_is_mended_by_the_next_version(lab: Lab) -> None:
    """A damaged image that is deleted is copied again, and the version that names it is whole again."""
    damaged_image(lab)
    assert not lab.told("verify", code=1)[0]["ok"]
    lab.container.delete_blob(lab.images[3])
    lab.keep()
    assert [one["ok"] for one in lab.told("verify")] == [True, True]


def test_a_manifest_that_is_none_is_broken(lab: Lab) -> None:
    """It is listed and checked, and not passed over."""
    lab.container.upload_blob(f"{lab.versions[0]}/manifest.json", b"{}", overwrite=True)
    assert "is not a manifest" in lab.told("verify", code=1)[0]["why"]
    assert lab.told("list")["datasets"][0]["whole"] is False


def test_a_header_may_be_long(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an image's size is not in its beginning, all of it is read."""
    monkeypatch.setattr("cli.backups.images_checked.BEGINNING", 4)
    assert lab.told("verify")[0]["ok"]


def test_an_unfinished_version_is_broken_after_a_day(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, an action may be at work on it."""
    lab.container.delete_blob(f"{lab.versions[0]}/manifest.json")
    assert "not whole" in lab.said("verify")[0]
    real = DatasetStore.files
    earlier = timedelta(days=2)

    def files(self: DatasetStore, folder: str) -> dict[str, KeptFile]:
        return {name: KeptFile(one.size, one.changed - earlier) for name, one in real(self, folder).items()}

    monkeypatch.setattr(DatasetStore, "files", files)
    assert "its action failed" in lab.said("verify", code=1)[0]


def test_an_image_that_never_was_kept_is_no_damage(lab: Lab, storage_emulator: Azurite) -> None:
    """What could not be kept when the version was made is told, and the version is as whole as it was made."""
    (lost,) = lab.labels.add(1, "apple")
    lab.labels.clients.vision.images.page(lab.labels.at, lab.labels.project, skip=0)
    service_blob(storage_emulator, lab.labels.project, lost).delete_blob()
    lab.keep()
    out, _ = lab.said("verify", "fruit/datasets/newest")
    assert "11 images" in out
    assert "1 more could not be kept when it was made" in out
    (told,) = lab.told("get", "fruit/datasets/newest", "--to", "kept")
    assert (told["images"], told["fetched"], told["missing"], told["wrong"]) == (11, 11, 1, [])


# -- get: resumed, damaged, refused -----------------------------------------------------------------------------------


def paths_read(monkeypatch: pytest.MonkeyPatch, stops_after: int = 10**9) -> list[str]:
    """Watch which images are read; after so many the line is dead."""
    seen: list[str] = []
    lock, real = threading.Lock(), DatasetStore.read

    def read(self: DatasetStore, path: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if "/images/" in path:
            with lock:
                if len(seen) >= stops_after:
                    raise TemporaryError("the line is dead")
                seen.append(path)
        return real(self, path, start, length)

    monkeypatch.setattr(DatasetStore, "read", read)
    return seen


def test_a_fetch_that_breaks_off_is_gone_on_with(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command reads only the images that are not there, and until its end there is no coco.json."""
    with monkeypatch.context() as broken:
        before = paths_read(broken, 4)
        _, err = lab.said("get", "fruit/datasets/newest", "--to", "kept", code=1)
        assert "the line is dead; give the command again" in err
    assert len(before) == len(list(Path("kept").iterdir())) == 4
    after = paths_read(monkeypatch)
    (told,) = lab.told("get", "fruit/datasets/newest", "--to", "kept")
    assert (told["fetched"], told["there"]) == (7, 4)
    assert sorted(before + after) == lab.images
    assert "11 there already" in lab.said("get", "fruit/datasets/newest", "--to", "kept")[0]
    assert len(after) == 7


def test_an_image_that_was_cut_off_here_is_fetched_again(lab: Lab) -> None:
    """Whether by its size or, with the right size, by its content."""
    lab.told("get", "fruit/datasets/newest", "--to", "kept")
    files = [Path("kept", path.rpartition("/")[2]) for path in lab.images[:2]]
    held = [file.read_bytes() for file in files]
    files[0].write_bytes(held[0][:-9])
    files[1].write_bytes(held[1][:-9] + bytes(9))
    (told,) = lab.told("get", "fruit/datasets/newest", "--to", "kept")
    assert told["fetched"] == 2
    assert [file.read_bytes() for file in files] == held


@pytest.mark.parametrize("breaks", [missing_image, damaged_image])
def test_the_rest_comes_back_without_an_image(breaks: Any, lab: Lab) -> None:
    """The command ends with 1 and names it; all other images are there, and can be trained with."""
    name = lab.images[3].rpartition("/")[2]
    breaks(lab)
    out, err = lab.said("get", "fruit/datasets/newest", "--to", "kept", code=1)
    assert "11 images" in out
    assert "10 fetched" in out
    assert f"1 wrong, of 11 images: {name}: " in err
    hint = out.splitlines()[-1].partition(": ")[2]
    assert hint.endswith(" --skip-bad")
    assert main([*hint.split()[1:], "--project", "again", "--no-train"]) == 0
    assert lab.tags(lab.new).total() == 10


def test_a_damaged_file_does_not_come_back(lab: Lab) -> None:
    """train.jsonl is named, and nothing of that name is there; without coco.json nothing is begun."""
    damaged_lines(lab)
    _, err = lab.said("get", "fruit/datasets/newest", "--to", "kept", code=1)
    assert "train.jsonl: its SHA-256 differs" in err
    assert not Path("kept/train.jsonl").exists()
    damaged_coco(lab)
    _, err = lab.said("get", "fruit/datasets/newest", "--to", "none", code=1)
    assert "coco.json" in err
    assert not Path("none").exists()


def test_another_data_set_is_not_overwritten(lab: Lab) -> None:
    """A folder that has another version, or somebody's coco.json, stays as it is."""
    lab.told("get", "fruit/datasets/newest", "--to", "kept")
    before = Path("kept/coco.json").read_bytes()
    lab.labels.add(1, "apple")
    lab.keep()
    _, err = lab.said("get", "fruit/datasets/newest", "--to", "kept", code=1)
    assert "kept/manifest.json is there already, of another data set" in err
    assert Path("kept/coco.json").read_bytes() == before
    assert len(list(Path("kept").iterdir())) == 15


def test_a_name_that_leads_elsewhere_is_refused(lab: Lab, tmp_path: Path) -> None:
    """Whatever stands in coco.json, nothing is written outside of the folder."""
    (folder,) = lab.versions
    coco = json.loads(lab.container.download_blob(f"{folder}/coco.json").readall())
    coco["images"][0]["file_name"] = "../stranger.png"
    forged(lab, folder, json.dumps(coco).encode())
    _, err = lab.said("get", "fruit/datasets/newest", "--to", "kept", code=1)
    assert "file_name" in err
    assert lab.told("verify", code=1)[0]["wrong"][0]["name"] == "coco.json"
    assert not (tmp_path / "stranger.png").exists()


def forged(lab: Lab, folder: str, coco: bytes) -> None:
    """Have a version with another coco.json, hashed as it should be."""
    manifest = json.loads(lab.container.download_blob(f"{folder}/manifest.json").readall())
    manifest["files"]["coco.json"] = {"size": len(coco), "sha256": [hashlib.sha256(coco).hexdigest()]}
    lab.container.upload_blob(f"{folder}/coco.json", coco, overwrite=True)
    lab.container.upload_blob(f"{folder}/manifest.json", json.dumps(manifest), overwrite=True)


def test_a_place_that_cannot_be_written_is_named(lab: Lab) -> None:
    """The folder, and why."""
    Path("file").write_text("x", "utf-8")
    _, err = lab.said("get", "fruit/datasets/newest", "--to", "file/kept", code=1)
    assert "cannot write file/kept" in err


# -- restore ----------------------------------------------------------------------------------------------------------


def test_another_container_gets_the_images(lab: Lab, storage_emulator: Azurite) -> None:
    """It is a store of its own: verified, fetched from, and nothing is copied twice."""
    container, url = second_container(storage_emulator)
    (told,) = lab.told("restore", "fruit/datasets/newest", "--to", url)
    assert (told["how"], told["copied"], told["there"]) == ("copied", 11, 0)
    assert told["to"] == f"{container.url}/{lab.versions[0]}"
    assert lab.told("verify", "--container", url)[0]["ok"]
    for path in lab.images:
        ours, theirs = lab.container.get_blob_client(path), container.get_blob_client(path)
        assert ours.download_blob().readall() == theirs.download_blob().readall()
        assert ours.get_blob_properties().metadata == theirs.get_blob_properties().metadata
    assert lab.told("restore", "fruit/datasets/newest", "--to", url)[0]["how"] == "was there already"
    lab.told("get", "fruit/datasets/newest", "--container", url, "--to", "kept")
    assert Path("kept/coco.json").is_file()


def test_a_second_copy_is_made_where_one_is_asked_for(
    make: Make, storage_emulator: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`reactor vision dataset --second` fills in a setting, keeps the version twice, and shows no SAS."""
    container, url = second_container(storage_emulator)
    monkeypatch.setenv("SECOND", url)
    lab = make("multiclass")
    lab.labels.add(2, "apple")
    assert main(["vision", "dataset", "fruit", "--second", "${SECOND}"]) == 0
    said = lab.capsys.readouterr()
    assert f"  second  {container.url}/{lab.versions[0]}\n" in said.out
    assert "sig=" not in said.out + said.err
    assert set(container.list_blob_names()) == set(lab.container.list_blob_names())
    assert lab.told("verify", "--container", url)[0]["ok"]


def test_all_of_it_comes_back_after_a_loss(lab: Lab, storage_emulator: Azurite) -> None:
    """With --all every version goes, and what is missing, cut off or damaged here comes back from there."""
    lab.keep()
    _, url = second_container(storage_emulator)
    assert [one["copied"] for one in lab.told("restore", "--all", "--to", url)] == [11, 0]
    held = {path: lab.container.download_blob(path).readall() for path in lab.images}
    damaged_lines(lab)
    no_table(lab)
    damaged_image(lab)
    lab.container.delete_blob(lab.images[1])
    lab.container.upload_blob(lab.images[5], held[lab.images[5]][:-20], overwrite=True)
    lab.container.delete_blob(f"{lab.versions[1]}/manifest.json")
    assert [one["ok"] for one in lab.told("verify", code=1)] == [False, False]
    back = lab.told("restore", "fruit", "--all", "--container", url, "--to", "app")
    assert [one.get("copied") for one in back] == [3, 0]
    assert [one["ok"] for one in lab.told("verify")] == [True, True]
    assert {path: lab.container.download_blob(path).readall() for path in lab.images} == held


@pytest.mark.parametrize("breaks", [missing_image, damaged_image, damaged_lines])
def test_a_container_counts_as_whole_once_it_is(breaks: Any, lab: Lab, storage_emulator: Azurite) -> None:
    """Without all images and files there is no manifest; the next run goes on, and writes it."""
    container, url = second_container(storage_emulator)
    held = {str(name): lab.container.download_blob(name).readall() for name in lab.container.list_blob_names()}
    breaks(lab)
    _, err = lab.said("restore", "fruit/datasets/newest", "--to", url, code=1)
    assert "1 wrong, of 11 images: " in err
    assert "a container gets its manifest.json only then" in err
    there = set(container.list_blob_names())
    assert f"{lab.versions[0]}/manifest.json" not in there
    assert len(there) == len(held) - 2
    for path, content in held.items():
        lab.container.upload_blob(path, content, overwrite=True)
    lab.told("restore", "fruit/datasets/newest", "--to", url)
    assert set(container.list_blob_names()) == set(held)
    assert lab.told("verify", "--container", url)[0]["ok"]


def test_another_image_is_not_overwritten(lab: Lab, storage_emulator: Azurite) -> None:
    """Where the target has a whole image of that name with another content, it stays, and is named."""
    container, url = second_container(storage_emulator)
    lab.told("restore", "fruit/datasets/newest", "--to", url)
    held = lab.container.download_blob(lab.images[3]).readall()
    container.upload_blob(lab.images[3], held + b"\0", overwrite=True)
    _, err = lab.said("restore", "fruit/datasets/newest", "--to", url, code=1)
    assert f"{lab.images[3].rpartition('/')[2]}: --to" in err
    assert "has another image of that name" in err
    assert container.download_blob(lab.images[3]).readall() == held + b"\0"


def test_another_version_is_not_overwritten(lab: Lab, storage_emulator: Azurite) -> None:
    """Where the target has another manifest at its place, it stays."""
    container, url = second_container(storage_emulator)
    other = lab.container.download_blob(f"{lab.versions[0]}/manifest.json").readall().replace(b"fruit", b"fruIt")
    container.upload_blob(f"{lab.versions[0]}/manifest.json", other)
    assert "has another data set at" in lab.said("restore", "fruit/datasets/newest", "--to", url, code=1)[1]
    assert container.download_blob(f"{lab.versions[0]}/manifest.json").readall() == other


def test_all_versions_in_a_folder_share_their_images(lab: Lab) -> None:
    """They have the places there that they have in the store, and each can be trained with."""
    lab.labels.add(1, "banana")
    lab.keep()
    told = lab.told("restore", "fruit", "--all", "--to", "all")
    assert [(one["fetched"], one["there"]) for one in told] == [(11, 0), (1, 11)]
    out, _ = lab.said("restore", "fruit/datasets", "--all", "--to", "all")
    hint = out.splitlines()[-1].partition(": ")[2]
    assert main([*hint.split()[1:], "--project", "again", "--no-train"]) == 0
    assert lab.tags(lab.new) == lab.tags(lab.labels.project)
