"""prune.backups: what goes, what stays, and that nothing goes that nobody could look at."""

from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from shared.errors import PermanentError, TemporaryError
from shared.handlers.backups import retention, second_copy
from shared.handlers.backups.retention import Backups, Kept, old
from shared.storage.backups import Backup, Manifest, Store
from tests.integration.keeping import Make, container_of, maker, second_container, several
from tests.integration.stages import ENDED, Bench

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def make(simulators: Simulators, azurite: str) -> Make:
    """Make the surroundings of a backup: the project is declared, its key a setting."""
    return maker(simulators, azurite)


@pytest.fixture
def bench(make: Make, simulators: Simulators) -> Bench:
    """Give the surroundings of a project of four iterations, each backed up, the first before the others."""
    return four(make, simulators)


def four(make: Make, simulators: Simulators, **params: Any) -> Bench:
    """Make a project of four iterations and back them up one after the other."""
    project = str(uuid4())
    ids = [str(uuid4()) for _ in range(4)]
    several(simulators, project, [{"id": id} for id in ids])
    bench = make(project)
    for id in ids:
        bench.run("backup.vision_export", iteration=id, **params)
    bench.values = {**bench.values, "PROJECT": project, "IDS": " ".join(ids)}
    return bench


def ids_of(bench: Bench) -> list[str]:
    """Give the iterations, oldest backup first."""
    return bench.values["IDS"].split()


def left(bench: Bench) -> set[str]:
    """Give the iterations that are whole in the store."""
    return {one.iteration for one in bench.clients.backups.own.list() if one.is_whole}


def published(bench: Bench, simulators: Simulators, number: int) -> None:
    """Have an iteration published."""
    told = [{"id": id} | ({"publishName": "live"} if at == number else {}) for at, id in enumerate(ids_of(bench))]
    several(simulators, bench.values["PROJECT"], told)


# -- what goes --------------------------------------------------------------------------------------------------------


def test_the_newest_iterations_stay(bench: Bench) -> None:
    """Those that were backed up last stay; the others go with all of their files, and that only once."""
    ids = ids_of(bench)
    told = bench.run("prune.backups", keep=2)
    assert left(bench) == set(ids[2:])
    assert {folder.split("/")[1] for folder in told.result["deleted"]} == set(ids[:2])
    assert {folder.split("/")[1] for folder in told.result["kept"]} == set(ids[2:])
    assert len(list(container_of(bench).list_blobs())) == 4
    assert bench.run("prune.backups", keep=2).result["deleted"] == []


def test_what_is_published_stays(bench: Bench, simulators: Simulators) -> None:
    """An iteration that is published now stays beside the newest, however old its backup is."""
    published(bench, simulators, 0)
    bench.run("prune.backups", keep=1)
    assert left(bench) == {ids_of(bench)[0], ids_of(bench)[3]}


def test_what_is_published_meanwhile_stays(bench: Bench, simulators: Simulators) -> None:
    """What is published is looked at once more before anything is deleted."""
    bench.before_stage = lambda stage: published(bench, simulators, 1) if stage == "delete" else None
    told = bench.run("prune.backups", keep=1)
    assert left(bench) == {ids_of(bench)[1], ids_of(bench)[3]}
    assert any(ids_of(bench)[1] in folder for folder in told.result["kept"])


def test_only_what_is_old_enough_goes(bench: Bench) -> None:
    """With older_than, what is younger stays though there are newer ones."""
    assert bench.run("prune.backups", keep=1, older_than="1h").result["deleted"] == []
    assert len(left(bench)) == 4


def test_what_is_being_backed_up_stays(bench: Bench) -> None:
    """An iteration that another action is backing up is left alone."""
    base = f"{bench.values['PROJECT']}/{ids_of(bench)[0]}"
    assert bench.locks.hold(second_copy.lock(base), "1" * 32, datetime.now(UTC), ENDED.__contains__) == ""
    bench.run("prune.backups", keep=1)
    assert left(bench) == {ids_of(bench)[0], ids_of(bench)[3]}
    ENDED.add("1" * 32)


def test_data_sets_and_images_stay(bench: Bench) -> None:
    """What is kept beside the models is none of this step's business."""
    project = bench.values["PROJECT"]
    others = {f"{project}/images/1.png", f"{project}/datasets/20200101-000000/manifest.json", f"{project}/notes.txt"}
    for name in others:
        container_of(bench).upload_blob(name, b"x")
    bench.run("prune.backups", keep=1)
    assert others < set(container_of(bench).list_blob_names())
    assert len(left(bench)) == 1


def test_many_are_deleted_in_turns(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No function runs for long: some are deleted at a time, and the result names all of them."""
    monkeypatch.setattr(retention, "AT_ONCE", 1)
    told = bench.run("prune.backups", keep=1)
    assert len(told.result["deleted"]) == 3
    assert "2 more to delete" in told.notes
    assert left(bench) == {ids_of(bench)[3]}


def test_the_second_container_is_pruned_too(make: Make, simulators: Simulators, storage_emulator: Azurite) -> None:
    """With the same rule, by when each was backed up and not by when it was copied there."""
    container, url = second_container(storage_emulator)
    bench = four(make, simulators, second=url)
    newest = f"{bench.values['PROJECT']}/{ids_of(bench)[3]}"
    told = bench.run("prune.backups", keep=1, second=url)
    assert left(bench) == {ids_of(bench)[3]}
    assert {blob.name for blob in container.list_blobs()} == {
        f"{newest}/ONNX/default/model.zip",
        f"{newest}/ONNX/default/manifest.json",
    }
    assert len(told.result["second"]["deleted"]) == 3
    assert len(told.result["second"]["kept"]) == 1


# -- what nobody could look at ----------------------------------------------------------------------------------------


def test_nothing_is_deleted_blindly(bench: Bench) -> None:
    """Where what is published cannot be read, such as with a key that was rotated, nothing goes, and it says so."""
    bench.values = {**bench.values, "VISION_KEY": "rotated-away"}
    with pytest.raises(PermanentError, match="nothing is deleted, for what is published cannot be read"):
        bench.run("prune.backups", keep=1)
    assert len(left(bench)) == 4


def test_a_service_in_trouble_is_asked_again(bench: Bench, simulators: Simulators) -> None:
    """For a moment it only takes longer."""
    simulators.vision.fault("unavailable", n=3)
    told = bench.run("prune.backups", keep=1)
    assert any(trouble.startswith("nothing is deleted") for trouble in told.troubles)
    assert len(left(bench)) == 1


def test_a_project_that_is_gone_keeps_its_backups(bench: Bench, simulators: Simulators) -> None:
    """By then they are all there is of it; only if_gone lets them go, and never the newest."""
    simulators.vision.reset()
    told = bench.run("prune.backups", keep=1)
    assert len(left(bench)) == 4
    assert "Custom Vision has no such project any more, and if_gone is keep" in told.notes[0]
    bench.run("prune.backups", keep=1, if_gone="prune")
    assert left(bench) == {ids_of(bench)[3]}


def test_a_project_that_goes_meanwhile_keeps_its_backups(bench: Bench, simulators: Simulators) -> None:
    """What was decided while it was there is not deleted once it is gone, unless if_gone says so."""
    seen: list[str] = []

    def gone(stage: str) -> None:
        seen.append(stage)
        if stage == "delete":
            simulators.vision.reset()

    bench.before_stage = gone
    told = bench.run("prune.backups", keep=1)
    assert (told.notes[0], told.result["deleted"]) == ("3 to delete, 1 stay", [])
    assert seen == ["list", "delete"]
    assert len(left(bench)) == len(told.result["kept"]) == 4


def test_a_manifest_goes_before_its_model(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies between the two leaves what nobody takes for a backup, and the next attempt deletes it."""
    from azure.storage.blob import ContainerClient

    base = f"{bench.values['PROJECT']}/{ids_of(bench)[0]}/ONNX/default"
    real = ContainerClient.delete_blob

    def dies(self: ContainerClient, blob: Any, **options: Any) -> None:
        if str(blob).endswith("model.zip"):
            raise TemporaryError("the process died")
        real(self, blob, **options)

    with monkeypatch.context() as broken:
        broken.setattr(ContainerClient, "delete_blob", dies)
        with pytest.raises(TemporaryError):
            bench.clients.backups.own.delete(base)
    names = set(container_of(bench).list_blob_names(name_starts_with=base))
    assert names == {f"{base}/model.zip"}
    assert not bench.clients.backups.whole(bench.values["PROJECT"], ids_of(bench)[0])
    assert bench.clients.backups.own.delete(base)
    assert not bench.clients.backups.own.delete(base)


def test_many_manifests_are_read_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some thousand backups are listed within the time that a function has."""
    together, real = Barrier(4, timeout=5), Store.manifest

    def manifest(self: Store, folder: str) -> Manifest | None:
        together.wait()
        return real(self, folder)

    with monkeypatch.context() as counted:
        counted.setattr(Store, "manifest", manifest)
        assert len(bench.run("prune.backups", keep=4).result["kept"]) == 4


def test_manifests_are_read_in_turns(bench: Bench, storage_emulator: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    """No function runs for long: each manifest is read once, some in each look, of both containers."""
    _, url = second_container(storage_emulator)
    for iteration in ids_of(bench):
        bench.run("backup.vision_export", iteration=iteration, second=url)
    real, read = Store.manifest, list[tuple[str, str]]()

    def manifest(self: Store, folder: str) -> Manifest | None:
        read.append((self.what, folder))
        return real(self, folder)

    with monkeypatch.context() as small:
        small.setattr(retention, "SLICE", 3)
        small.setattr(retention, "SECONDS", 0.0)
        small.setattr(Store, "manifest", manifest)
        told = bench.run("prune.backups", keep=1, second=url)
    assert told.notes[:2] == ["1 manifests to read", "1 manifests to read"]
    assert len(read) == len(set(read)) == 8
    assert left(bench) == {ids_of(bench)[3]}
    assert (len(told.result["deleted"]), len(told.result["second"]["deleted"])) == (3, 3)


# -- what is chosen ---------------------------------------------------------------------------------------------------


def kept(iteration: str, days: float, *, flavor: str = "default", is_whole: bool = True) -> Kept:
    """Make a backup of so many days ago."""
    written = NOW - timedelta(days=days)
    folder = f"p/{iteration}/ONNX/{flavor}"
    return Kept(Backup(folder, "p", iteration, "ONNX", flavor, "", 1, is_whole, written), written)


@pytest.mark.parametrize(
    ("found", "params", "goes"),
    [
        ([], {}, set()),
        ([kept("a", 3), kept("b", 2), kept("c", 1)], {"keep": 3}, set()),
        ([kept("a", 3), kept("b", 2), kept("c", 1)], {"keep": 1, "older_than": "60h"}, {"a"}),
        ([kept("a", 30), kept("a", 1, flavor="x"), kept("b", 2)], {"keep": 1}, {"b"}),
        ([kept("a", 30, is_whole=False), kept("b", 2)], {"keep": 1}, {"a"}),
        ([kept("a", 5, is_whole=False), kept("b", 2)], {"keep": 1}, set()),
        ([kept("a", 1, is_whole=False), kept("b", 2)], {"keep": 1}, set()),
        ([kept("a", 30, is_whole=False)], {"keep": 1}, set()),
        ([kept("a", 30, flavor="x", is_whole=False), kept("a", 2)], {"keep": 1}, set()),
    ],
)
def test_what_goes(found: list[Kept], params: dict[str, Any], goes: set[str]) -> None:
    """An iteration is as new as its last backup; what is not whole goes once it is older than all that stays."""
    chosen = old(found, frozenset(), Backups.model_validate(params), NOW)
    assert {folder.split("/")[1] for folder in chosen} == goes


def test_what_is_published_never_goes() -> None:
    """However old it is, and whole or not."""
    found = [kept("a", 30), kept("b", 20, is_whole=False), kept("c", 10), kept("d", 1)]
    assert old(found, frozenset("ab"), Backups(keep=1), NOW) == {"p/c/ONNX/default"}
