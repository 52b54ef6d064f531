"""`reactor backups` against real storage and the simulated service: what it lists, checks, fetches and brings back."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions

from cli.main import main
from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.errors import TemporaryError
from shared.storage import backups
from shared.storage.backups import Manifest, Store
from tests.integration.keeping import container_of, maker, second_container, several
from tests.integration.stages import Bench

ONNX = {"platform": "ONNX", "bytes": 3000}
LITE = {"platform": "TensorFlow", "flavor": "TensorFlowLite", "bytes": 100}
OLD, NEW = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"


@pytest.fixture
def bench(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """Run the commands where a local stack says that it runs, with two iterations that are backed up.

    The older was exported once, the newer, which is published, for two platforms.
    """
    for name in list(os.environ):
        if name.startswith(("REACTOR_", "AzureWebJobsStorage")):
            monkeypatch.delenv(name)
    project = str(uuid4())
    several(
        simulators,
        project,
        [
            {"id": OLD, "name": "Iteration 1", "exports": [ONNX]},
            {"id": NEW, "name": "Iteration 2", "publishName": "live", "exports": [ONNX, LITE]},
        ],
    )
    bench = maker(simulators, azurite)(project)
    for iteration in (OLD, NEW):
        bench.run("backup.vision_export", iteration=iteration)
    settings = {
        "AzureWebJobsStorage": azurite,
        "REACTOR_RULES": "rules.yaml",
        "REACTOR_BACKUP_CONTAINER": container_of(bench).container_name,
        "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1",
        "VISION_KEY": KEY,
        **simulators.environment,
    }
    endpoint = f'{{endpoint: "{simulators.vision.url}", key: "${{VISION_KEY}}"}}'
    rules = f'version: 1\nvision:\n  fruit: {{project: "{project}", training: {endpoint}}}\nrules: []\n'
    (tmp_path / "rules.yaml").write_text(rules, "utf-8")
    (tmp_path / ".stack").mkdir()
    facts = {"functions": "http://127.0.0.1:1", "app": str(tmp_path), "settings": settings}
    (tmp_path / ".stack/ready.json").write_text(json.dumps(facts), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    bench.values = {**bench.values, "PROJECT": project}
    return bench


def run(*arguments: str) -> int:
    """Run a command of `reactor backups` and give how it ends."""
    try:
        return main(["backups", *arguments])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """Run a command and give what it says to programs."""
    capsys.readouterr()
    assert run(*arguments, "--json") == code
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> str:
    """Run a command that does not do what it was asked for, and give what it says."""
    capsys.readouterr()
    assert run(*arguments) == code
    return capsys.readouterr().err


def folder(bench: Bench, iteration: str = OLD, rest: str = "ONNX/default") -> str:
    """Name the folder of a backup."""
    return f"{bench.values['PROJECT']}/{iteration}/{rest}"


def content(bench: Bench, folder: str) -> bytes:
    """Read a model."""
    return container_of(bench).download_blob(f"{folder}/model.zip").readall()


# -- list -------------------------------------------------------------------------------------------------------------


def test_backups_are_listed(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """By the project's name in the rules file, with what is published now, and what is not whole."""
    container_of(bench).upload_blob(f"{folder(bench, NEW, 'CoreML/default')}/model.zip", b"half")
    assert run("list") == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert " ".join(heading.split()) == "PROJECT ITERATION NAME PLATFORM FLAVOR SIZE AGE WHOLE PUBLISHED"
    rows = [line.split() for line in lines]
    assert rows[-1][:5] == ["fruit", OLD[:8], "Iteration", "1", "ONNX"]
    assert rows[-1][-1] == "yes"
    assert [row[-2:] for row in rows[:-1]] == [["no", "live"], ["yes", "live"], ["yes", "live"]]


def test_the_newest_is_listed_first(
    bench: Bench, simulators: Simulators, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the projects' names; of a project by what was kept last, and not by the ids of its iterations."""
    container, mine = container_of(bench), bench.values["PROJECT"]
    text = container.download_blob(f"{folder(bench, NEW)}/manifest.json").readall()
    written = json.loads(text)["written"]
    later = (datetime.fromisoformat(written) + timedelta(hours=1)).isoformat()
    other = "00000000-0000-4000-8000-000000000000"
    for project, iteration, at in ((mine, NEW.replace("b", "9"), later), (other, OLD, written)):
        base = f"{project}/{iteration}/ONNX/default"
        container.upload_blob(f"{base}/model.zip", b"a model")
        container.upload_blob(f"{base}/manifest.json", text.replace(written.encode(), at.encode()))
    for project in (mine, other):
        for version in ("20260101T000000Z-0", "20261231T000000Z-0"):
            container.upload_blob(f"{project}/datasets/{version}/coco.json", b"{")
    rules = tmp_path / "rules.yaml"
    endpoint = f'{{endpoint: "{simulators.vision.url}", key: "${{VISION_KEY}}"}}'
    rules.write_text(
        rules.read_text("utf-8").replace("rules:", f'  pear: {{project: "{other}", training: {endpoint}}}\nrules:'),
        "utf-8",
    )
    listed = told(capsys, "list")
    assert [(one["name"], one["iteration"]) for one in listed["backups"]] == [
        ("fruit", NEW.replace("b", "9")),
        ("fruit", NEW),
        ("fruit", NEW),
        ("fruit", OLD),
        ("pear", OLD),
    ]
    assert [(one["project"], one["folder"].rpartition("/")[2][:8]) for one in listed["datasets"]] == [
        ("fruit", "20261231"),
        ("fruit", "20260101"),
        ("pear", "20261231"),
        ("pear", "20260101"),
    ]


def test_programs_get_all_of_it(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Each backup with its size, when it was written, and what Custom Vision said of it."""
    listed = told(capsys, "list", "fruit/newest")["backups"]
    assert [one["folder"] for one in listed] == [
        folder(bench, NEW),
        folder(bench, NEW, "TensorFlow/TensorFlowLite"),
    ]
    first = listed[0]
    assert (first["name"], first["published"], first["whole"], first["flavor"]) == ("fruit", "live", True, None)
    assert first["size"] == len(content(bench, first["folder"]))
    assert first["about"]["iteration_name"] == "Iteration 2"
    assert datetime.fromisoformat(first["written"]) > datetime.now(UTC) - timedelta(minutes=5)


def test_what_is_published_may_not_be_known(
    bench: Bench, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where Custom Vision does not answer, the list is there all the same, and says so."""
    simulators.vision.fault("error", status=404, n=9, body={"code": "NotFoundProject", "message": "gone"})
    assert run("list", "fruit/aaaa") == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[1].split()[-1] == "?"
    assert "what fruit has published is not known" in said.err


def test_a_project_without_a_name_goes_by_its_id(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Backups outlive what the rules file declares."""
    (tmp_path / "rules.yaml").write_text("version: 1\nrules: []\n", "utf-8")
    listed = told(capsys, "list", bench.values["PROJECT"][:6].upper())["backups"]
    assert [one["name"] for one in listed] == [None, None, None]
    assert [one["published"] for one in listed] == [None, None, None]


def test_data_sets_are_shown_as_such(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Images beside the models are no backups of models; a data set has a table of its own."""
    project = bench.values["PROJECT"]
    container = container_of(bench)
    container.upload_blob(f"{project}/images/1.png", b"an image")
    manifest = {
        "project": project,
        "name": "fruit",
        "dataset": "20261122-080000",
        "domain": "General",
        "kind": "multiclass",
        "with_untagged": False,
        "images": 1234,
        "annotations": 2000,
        "labelled": 1234,
        "lost": 0,
        "tags": [],
        "changed": "",
        "files": {},
        "began": "2026-11-22T08:00:00Z",
        "written": "2026-11-22T08:15:00Z",
    }
    container.upload_blob(f"{project}/datasets/20261122-080000/manifest.json", json.dumps(manifest))
    container.upload_blob(f"{project}/datasets/20261123-080000/coco.json", b"{")
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "ONNX" in line]) == 2
    shown = [line.split() for line in lines if "080000" in line]
    assert [row[:3] for row in shown] == [["fruit", "20261123-080000", "no"], ["fruit", "20261122-080000", "1,234"]]
    listed = told(capsys, "list")
    assert [one["whole"] for one in listed["datasets"]] == [False, True]
    assert len(listed["backups"]) == 3


def test_nothing_there_is_said(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty store, a container that is missing, and an address that fits nothing are told apart."""
    assert run("list", "pear") == 0
    assert 'no backup fits "pear"' in capsys.readouterr().out
    empty = bench.clients.account.blobs.create_container(f"empty-{uuid4().hex}")
    assert run("list", "--container", empty.url) == 0
    assert "there are no backups in" in capsys.readouterr().out
    said = refused(capsys, "list", "--container", f"{empty.url}-not")
    assert f"has no container {empty.container_name}-not" in said
    assert "create it, or name another one" in said


def test_an_app_is_needed(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no storage is known, the command says which settings would tell, and that a container would do."""
    (tmp_path / ".stack/ready.json").unlink()
    said = refused(capsys, "list", code=2)
    assert "AzureWebJobsStorage" in said
    assert "--container" in said


def test_who_may_not_look_is_told_the_role(
    bench: Bench, storage_emulator: Azurite, capsys: pytest.CaptureFixture[str]
) -> None:
    """A 403 names the role, and no SAS is in what is said."""
    _, url = second_container(storage_emulator, permission=ContainerSasPermissions(write=True))
    said = refused(capsys, "list", "--container", url)
    assert "Storage Blob Data Reader" in said
    assert "sig=" not in said


# -- which one --------------------------------------------------------------------------------------------------------


def test_the_newest_is_meant(bench: Bench, tmp_path: Path) -> None:
    """Where only a project is said, or not even that, it is the iteration that was backed up last."""
    assert run("get", "fruit/newest/ONNX", "--to", "one.zip") == 0
    assert (tmp_path / "one.zip").read_bytes() == content(bench, folder(bench, NEW))
    assert run("get", f"{bench.values['PROJECT'][:8]}/{OLD[:4]}", "--to", "two.zip") == 0
    assert (tmp_path / "two.zip").read_bytes() == content(bench, folder(bench))


def test_candidates_are_listed(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Where several fit, they are named as they can be given."""
    said = refused(capsys, "get")
    assert said.splitlines() == [
        "reactor: which one? These fit:",
        f"  fruit/{NEW}/ONNX/default",
        f"  fruit/{NEW}/TensorFlow/TensorFlowLite",
    ]
    said = refused(capsys, "get", "friut")
    assert 'no backup fits "friut"' in said
    assert "fruit" in said.split(";")[0]


def test_what_is_not_whole_is_not_fetched(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a copy is no backup, and the command says what it is."""
    container_of(bench).upload_blob(f"{folder(bench, NEW, 'CoreML/default')}/model.zip", b"half")
    said = refused(capsys, "get", "fruit/bbbb/CoreML")
    assert f"fruit/{NEW}/CoreML/default is not whole" in said
    assert not list(Path().glob("*.zip*"))


# -- verify -----------------------------------------------------------------------------------------------------------


def test_whole_backups_are_found_whole(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Every one is read, compared and named."""
    assert run("verify") == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "ok", "ok"]
    assert last.startswith("3 backups, ")


def broken_size(bench: Bench) -> None:
    """Cut a model short."""
    container_of(bench).upload_blob(f"{folder(bench)}/model.zip", b"short", overwrite=True)


def broken_content(bench: Bench) -> None:
    """Change one byte of a model."""
    wrong = bytearray(content(bench, folder(bench)))
    wrong[100] ^= 1
    container_of(bench).upload_blob(f"{folder(bench)}/model.zip", bytes(wrong), overwrite=True)


def broken_md5(bench: Bench) -> None:
    """Have a manifest whose MD5 is another's."""
    manifest = bench.clients.backups.manifest(folder(bench))
    assert manifest
    text = manifest.model_copy(update={"md5": "0" * 32}).model_dump_json()
    container_of(bench).upload_blob(f"{folder(bench)}/manifest.json", text, overwrite=True)


def broken_manifest(bench: Bench) -> None:
    """Have a manifest that is none."""
    container_of(bench).upload_blob(f"{folder(bench)}/manifest.json", b"{}", overwrite=True)


def no_model(bench: Bench) -> None:
    """Delete a model and leave its manifest."""
    container_of(bench).delete_blob(f"{folder(bench)}/model.zip")


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (broken_size, "its model has 5 bytes, and should have"),
        (broken_content, "SHA-256 differs in part 1 of 1"),
        (broken_md5, "its MD5 differs"),
        (broken_manifest, "is not a manifest"),
        (no_model, "its model is gone"),
    ],
)
def test_what_is_broken_is_named(breaks: Any, says: str, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """One broken backup makes the command end with 1, says what is wrong with it, and does not hide the others."""
    breaks(bench)
    checked = told(capsys, "verify", code=1)
    assert [one["ok"] for one in checked] == [False, True, True]
    assert says in checked[0]["why"]
    assert run("verify", "fruit/bbbb") == 0
    assert run("verify", "fruit/aaaa") == 1
    assert "1 of 1 backup broken" in capsys.readouterr().out


def test_a_fresh_unfinished_copy_is_not_broken(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """An action may be at work on what has no manifest yet."""
    container_of(bench).upload_blob(f"{folder(bench, NEW, 'CoreML/default')}/model.zip", b"half")
    assert run("verify") == 0
    assert "not whole  fruit/" in capsys.readouterr().out


def test_an_old_unfinished_copy_is_broken(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody works on it any more after a day."""
    container_of(bench).upload_blob(f"{folder(bench, NEW, 'CoreML/default')}/model.zip", b"half")
    listed = Store.list
    earlier = timedelta(days=2)
    monkeypatch.setattr(
        Store, "list", lambda *given: (replace(one, changed=one.changed - earlier) for one in listed(*given))
    )
    assert run("verify") == 1
    assert "it is not whole: its action failed" in capsys.readouterr().out


def lies(bench: Bench, **change: Any) -> None:
    """Have a manifest say something else."""
    path = f"{folder(bench)}/manifest.json"
    said = json.loads(container_of(bench).download_blob(path).readall()) | change
    container_of(bench).upload_blob(path, json.dumps(said), overwrite=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": []}, "it has 0 hashes, and should have 1"),
        ({"chunk": 0}, "chunk: Input should be greater than 0"),
        ({"chunk": -5}, "chunk: Input should be greater than 0"),
        ({"chunk": 1000}, "it has 1 hashes, and should have 4"),
        ({"size": 10**13}, "it has 1 hashes, and should have 149,012"),
    ],
)
def test_a_manifest_that_lies_is_found_out(
    change: dict[str, Any], says: str, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it has no hash for a part of the model, nothing is fetched or brought by it, and verify calls it broken."""
    lies(bench, **change)
    checked = told(capsys, "verify", "fruit/aaaa", code=1)
    assert says in checked[0]["why"]
    assert says in refused(capsys, "get", "fruit/aaaa/ONNX", "--to", "m.zip")
    assert says in refused(capsys, "restore", "fruit/aaaa/ONNX", "--to", "back")
    assert not list(tmp_path.rglob("*.zip*"))
    assert run("list") == 0
    assert "broken" in capsys.readouterr().out


# -- get --------------------------------------------------------------------------------------------------------------


def in_parts(bench: Bench, size: int = 1000) -> bytes:
    """Have a model be hashed in several parts, as a large one is; give its content."""
    held = content(bench, folder(bench))
    manifest = bench.clients.backups.manifest(folder(bench))
    assert manifest
    chunks = [held[start : start + size] for start in range(0, len(held), size)]
    hashes = tuple(hashlib.sha256(chunk).hexdigest() for chunk in chunks)
    text = manifest.model_copy(update={"chunk": size, "sha256": hashes}).model_dump_json()
    container_of(bench).upload_blob(f"{folder(bench)}/manifest.json", text, overwrite=True)
    return held


def ranges(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Watch which parts of models are read."""
    seen: list[tuple[int, int]] = []
    real = Store.read

    def read(self: Store, folder: str, start: int, length: int) -> Iterator[bytes]:
        if length:
            seen.append((start, length))
        return real(self, folder, start, length)

    monkeypatch.setattr(Store, "read", read)
    return seen


def test_a_file_has_a_name_of_its_own(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a folder, models of several projects, iterations and platforms do not get into each other's way."""
    (tmp_path / "models").mkdir()
    assert run("get", "fruit/newest/tensor", "--to", "models") == 0
    assert capsys.readouterr().out.strip() == f"models/fruit-{NEW[:8]}-TensorFlow-TensorFlowLite.zip  fetched"
    assert run("get", "fruit/newest/ONNX") == 0
    assert (tmp_path / f"fruit-{NEW[:8]}-ONNX.zip").is_file()


def test_half_a_file_is_gone_on_with(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is missing is read, and no .part stays."""
    held = in_parts(bench)
    (tmp_path / "m.zip.part").write_bytes(held[:1500])
    seen = ranges(monkeypatch)
    assert run("get", "fruit/aaaa", "--to", "m.zip") == 0
    assert (tmp_path / "m.zip").read_bytes() == held
    assert seen[:2] == [(1500, 500), (2000, 1000)]
    assert not (tmp_path / "m.zip.part").exists()


def test_half_a_file_of_something_else_is_made_right(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part whose hash is wrong is read anew, the others stay, and what is too long is cut."""
    held = in_parts(bench)
    (tmp_path / "m.zip.part").write_bytes(held[:1000] + b"x" * 5000)
    seen = ranges(monkeypatch)
    assert run("get", "fruit/aaaa", "--to", "m.zip") == 0
    assert (tmp_path / "m.zip").read_bytes() == held
    assert seen[0] == (1000, 1000)


def test_a_fetch_that_breaks_off_is_gone_on_with(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was written stays in the .part, and the same command goes on there."""
    held = in_parts(bench)

    def breaks(self: Store, _folder: str, start: int, length: int) -> Iterator[bytes]:
        if start >= 2000:
            raise TemporaryError("the line is dead")
        yield held[start : start + length]

    with monkeypatch.context() as broken:
        broken.setattr(Store, "read", breaks)
        assert "the line is dead" in refused(capsys, "get", "fruit/aaaa", "--to", "m.zip")
    assert (tmp_path / "m.zip.part").read_bytes() == held[:2000]
    assert not (tmp_path / "m.zip").exists()
    assert run("get", "fruit/aaaa", "--to", "m.zip") == 0
    assert (tmp_path / "m.zip").read_bytes() == held


def test_nothing_is_overwritten(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with another content stays; one that is the model already is told as fetched."""
    (tmp_path / "m.zip").write_bytes(b"mine")
    assert "is there already, with another content" in refused(capsys, "get", "fruit/aaaa", "--to", "m.zip")
    assert (tmp_path / "m.zip").read_bytes() == b"mine"
    (tmp_path / "m.zip").write_bytes(content(bench, folder(bench)))
    assert run("get", "fruit/aaaa", "--to", "m.zip") == 0


def test_a_broken_backup_is_not_fetched(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model whose hash is wrong never gets the name of one that is right."""
    broken_content(bench)
    assert "is not what was backed up" in refused(capsys, "get", "fruit/aaaa", "--to", "m.zip")
    assert not (tmp_path / "m.zip").exists()


def test_a_place_that_cannot_be_written_is_named(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file, and why."""
    (tmp_path / "file").write_text("x", "utf-8")
    said = refused(capsys, "get", "fruit/aaaa", "--to", "file/m.zip")
    assert "cannot write" in said
    assert "file" in said


# -- restore ----------------------------------------------------------------------------------------------------------


def test_storage_restores_by_itself(
    bench: Bench, storage_emulator: Azurite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To another container, model and manifest are copied by storage; it is a store that can be verified and read."""
    container, url = second_container(storage_emulator)
    seen = ranges(monkeypatch)
    brought = told(capsys, "restore", "fruit/aaaa", "--to", url)
    assert [(one["folder"], one["how"]) for one in brought] == [(folder(bench), "copied by storage")]
    assert brought[0]["to"] == f"{container.url}/{folder(bench)}/model.zip"
    assert seen == []
    assert container.download_blob(f"{folder(bench)}/model.zip").readall() == content(bench, folder(bench))
    assert run("verify", "--container", url) == 0
    assert told(capsys, "restore", "fruit/aaaa", "--to", url)[0]["how"] == "was there already"


def test_all_of_a_project_is_brought(
    bench: Bench, storage_emulator: Azurite, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --all every backup that fits goes, and the way back to the app's own store is the same."""
    _, url = second_container(storage_emulator)
    assert len(told(capsys, "restore", "fruit", "--all", "--to", url)) == 3
    bench.clients.backups.own.delete(folder(bench))
    back = told(capsys, "restore", "fruit", "--all", "--container", url, "--to", "app")
    assert [one["how"] for one in back] == ["copied by storage", "was there already", "was there already"]
    assert run("verify") == 0


def test_what_is_missing_is_brought_back(
    bench: Bench, storage_emulator: Azurite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that was deleted or cut short comes back from a second container, whose SAS is in the environment."""
    _, url = second_container(storage_emulator)
    monkeypatch.setenv("SECOND", url)
    assert run("restore", "fruit", "--all", "--to", "${SECOND}") == 0
    broken_size(bench)
    container_of(bench).delete_blob(f"{folder(bench, NEW)}/model.zip")
    assert run("verify") == 1
    back = told(capsys, "restore", "fruit", "--all", "--container", "${SECOND}", "--to", "app")
    assert [one["how"] for one in back] == ["copied by storage", "copied by storage", "was there already"]
    assert run("verify") == 0


def test_what_storage_cannot_reach_goes_through_this_machine(
    bench: Bench, storage_emulator: Azurite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a firewall is between the two, the bytes are read here, hashed, and written there."""
    container, url = second_container(storage_emulator)
    monkeypatch.setattr(backups.Backups, "signed", lambda *_given: f"{container.url}/not-there?sig=x")
    brought = told(capsys, "restore", "fruit/aaaa", "--to", url)
    assert brought[0]["how"] == "copied through this machine"
    assert run("verify", "--container", url) == 0


def test_a_broken_backup_is_not_brought_on(
    bench: Bench, storage_emulator: Azurite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through this machine, a wrong hash leaves nothing there that says that it is whole."""
    container, url = second_container(storage_emulator)
    broken_content(bench)
    monkeypatch.setattr(backups.Backups, "signed", lambda *_given: f"{container.url}/not-there?sig=x")
    assert "is not what was backed up" in refused(capsys, "restore", "fruit/aaaa", "--to", url)
    assert "manifest.json" not in " ".join(container.list_blob_names())


def test_another_backup_is_not_overwritten(
    bench: Bench, storage_emulator: Azurite, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the target has something else, it stays."""
    container, url = second_container(storage_emulator)
    container.upload_blob(f"{folder(bench)}/manifest.json", b"another's")
    assert "has another backup at" in refused(capsys, "restore", "fruit/aaaa", "--to", url)
    assert container.download_blob(f"{folder(bench)}/manifest.json").readall() == b"another's"


def test_a_folder_gets_model_and_manifest(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On this machine, both files are there, and with --all each in the folder that it has in the store."""
    assert run("restore", "fruit/aaaa", "--to", "back") == 0
    assert (tmp_path / "back/model.zip").read_bytes() == content(bench, folder(bench))
    manifest = Manifest.model_validate_json((tmp_path / "back/manifest.json").read_bytes())
    assert manifest == bench.clients.backups.manifest(folder(bench))
    assert "with another content" in refused(capsys, "restore", "fruit/newest/ONNX", "--to", "back")
    assert run("restore", "fruit", "--all", "--to", "all") == 0
    assert len(list((tmp_path / "all").rglob("model.zip"))) == 3


def test_where_it_is_already_is_no_target(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """A copy onto itself is refused, by whichever name."""
    assert "names the container that is read" in refused(capsys, "restore", "fruit/aaaa", "--to", "app", code=2)
    said = refused(capsys, "restore", "fruit/aaaa", "--to", container_of(bench).url)
    assert "is the app's own container of backups" in said


@pytest.mark.parametrize("url", ["https://a.blob.core.windows.net", "https://a.blob.core.windows.net/b/c?sig=c2Vj"])
def test_what_is_no_container_is_refused(url: str, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """The URL of an account or of a folder is no target and no source, and the command says how one is given."""
    for arguments in (("restore", "fruit/aaaa", "--to", url), ("list", "--container", url)):
        said = refused(capsys, *arguments)
        assert f"{arguments[-2]} (a.blob.core.windows.net" in said
        assert "https://<account>.blob.core.windows.net/<container>" in said
        assert "c2Vj" not in said


# -- the bar ----------------------------------------------------------------------------------------------------------


def test_a_terminal_sees_how_far_it_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bar in bytes on stderr, taken off at the end; a pipe gets none."""
    assert run("verify") == 0
    assert "█" not in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert run("verify") == 0
    said = capsys.readouterr().err
    assert "KB of" in said
    assert "a second" in said
    assert said.endswith("\r\033[K")


def test_the_second_region_is_enough(
    bench: Bench,
    storage_emulator: Azurite,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where the app and its storage are gone, a container of backups is listed, checked and fetched from."""
    _, url = second_container(storage_emulator)
    assert run("restore", "fruit", "--all", "--to", url) == 0
    held = content(bench, folder(bench))
    service = BlobServiceClient.from_connection_string(storage_emulator.app)
    service.delete_container(container_of(bench).container_name)
    assert run("verify", "--container", url) == 0
    assert run("get", "fruit/aaaa", "--container", url, "--to", "m.zip") == 0
    assert (tmp_path / "m.zip").read_bytes() == held
    capsys.readouterr()
