"""A backup kept a second time in another account, and what becomes of one whose sources change while it is made."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from shared.errors import DeniedError, PermanentError
from shared.handlers import ACTIONS
from shared.handlers.backups import models as backup
from shared.handlers.backups.models import VisionExport
from shared.rules import RulesError, load
from shared.stages import Done, Pending
from shared.storage.locks import Locks
from tests.integration.canned import Reply, serve
from tests.integration.keeping import Make, container_of, maker, second_container, seed, stored
from tests.integration.stages import ENDED

STAGES = backup.STAGES[VisionExport]
MODELS = [{"platform": "ONNX", "bytes": 3000}, {"platform": "TensorFlow", "flavor": "TensorFlowLite", "bytes": 100}]


@pytest.fixture
def make(simulators: Simulators, azurite: str) -> Make:
    """Make the surroundings of a backup: the project is declared, its key a setting."""
    return maker(simulators, azurite)


@pytest.fixture
def project(simulators: Simulators) -> str:
    """Give the id of a project with an iteration of the same id, exported twice."""
    project = str(uuid4())
    seed(simulators, project, MODELS)
    return project


# -- the second container ---------------------------------------------------------------------------------------------


def test_each_backup_is_kept_twice(make: Make, project: str, storage_emulator: Azurite) -> None:
    """Model and manifest are the same in both containers, and no SAS is in what is recorded."""
    container, url = second_container(storage_emulator)
    bench = make(project)
    bench.values = {**bench.values, "SECOND": url}
    told = bench.run("backup.vision_export", second="${SECOND}")
    assert told.result["second"] == told.result["stored"]
    names = sorted(blob.name for blob in container.list_blobs())
    assert len(names) == 4
    assert names == sorted(container_of(bench).list_blob_names())
    for name in names:
        assert container.download_blob(name).readall() == stored(bench, name)
    assert "sig=" not in repr(told)


def test_what_is_kept_is_brought_later(make: Make, project: str, storage_emulator: Azurite) -> None:
    """A second container that is named after the first backup gets that, too; what is there is not written again."""
    container, url = second_container(storage_emulator)
    bench = make(project)
    assert bench.run("backup.vision_export").result["second"] == []
    told = bench.run("backup.vision_export", second=url)
    assert (told.result["stored"], told.result["second"]) == ([], told.result["kept"])
    before = {blob.name: blob.etag for blob in container.list_blobs()}
    assert len(before) == 4
    bench.run("backup.vision_export", second=url)
    assert {blob.name: blob.etag for blob in container.list_blobs()} == before


def test_a_copy_that_is_under_way_has_no_manifest(
    make: Make, project: str, simulators: Simulators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second manifest is written once storage says that the copy is done, and not while it copies."""
    told = make(project).run("backup.vision_export")
    dates = {"Last-Modified": "Sun, 22 Nov 2026 08:15:00 GMT", "ETag": '"1"', "x-ms-copy-id": "1"}
    under_way = Reply(200, "", {**dates, "x-ms-copy-status": "pending", "x-ms-copy-progress": "0/3000"})
    with serve(tmp_path) as (canned, ca):
        both = tmp_path / "both.pem"
        both.write_text(Path(simulators.ca).read_text("utf-8") + Path(ca).read_text("utf-8"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(both))
        bench = make(project)
        bench.run("backup.vision_export")
        missing = Reply(404, "", {"x-ms-error-code": "BlobNotFound"})
        canned.replies = [missing, missing, Reply(202, "", {**dates, "x-ms-copy-status": "pending"}), under_way]
        job = bench.job("second", {**told.result, "stored": told.result["stored"][:1]})
        progress = STAGES[-1].start(VisionExport(second=f"{canned.url}/account/second?sig=x"), job)
    assert isinstance(progress, Pending)
    assert progress.note == "0 of 1 in the second container"
    assert [one.path.partition("?")[0] for one in canned.asked if one.method == "PUT"] == [
        f"/account/second/{told.result['stored'][0]}/model.zip"
    ]


def test_half_a_copy_is_made_again(make: Make, project: str, storage_emulator: Azurite) -> None:
    """What an unfinished attempt left in the second container is replaced: no manifest says that it is whole."""
    container, url = second_container(storage_emulator)
    path = f"{project}/{project}/ONNX/default/model.zip"
    container.upload_blob(path, b"half")
    bench = make(project)
    bench.run("backup.vision_export", second=url)
    assert container.download_blob(path).readall() == stored(bench, path)


def test_another_backup_there_is_not_overwritten(make: Make, project: str, storage_emulator: Azurite) -> None:
    """Where the second container has another backup at a path, the step fails, names it, and leaves it as it is."""
    container, url = second_container(storage_emulator)
    folder = f"{project}/{project}/ONNX/default"
    container.upload_blob(f"{folder}/manifest.json", b"somebody's")
    bench = make(project)
    with pytest.raises(PermanentError, match=f"has another backup at {folder}; the first copy is whole"):
        bench.run("backup.vision_export", second=url)
    assert container.download_blob(f"{folder}/manifest.json").readall() == b"somebody's"
    assert bench.clients.backups.whole(project, project)


def test_an_expired_sas_of_the_second_container_is_named(make: Make, project: str, storage_emulator: Azurite) -> None:
    """The step fails by name and remedy, without the SAS, and the first copy is whole."""
    container, url = second_container(storage_emulator, lasts=timedelta(minutes=-5))
    bench = make(project)
    with pytest.raises(PermanentError, match=r"the SAS of the second container \(.*\) expired at") as caught:
        bench.run("backup.vision_export", second=url)
    assert container.container_name in caught.value.reason
    assert "sig=" not in caught.value.reason
    assert "setting" in caught.value.remedy
    assert bench.clients.backups.whole(project, project)


def test_a_second_container_that_is_not_there_is_told_at_once(
    make: Make, project: str, storage_emulator: Azurite
) -> None:
    """It is told with what is to be copied; the first copy is made all the same, and the step fails at its end."""
    container, url = second_container(storage_emulator)
    container.delete_container()
    bench = make(project)
    told = STAGES[0].start(VisionExport(project="fruit", iteration=project, second=url), bench.job("list"))
    assert isinstance(told, Done)
    assert f"has no container {container.container_name}: the first copy is made all the same" in told.note
    assert "sig=" not in told.note
    with pytest.raises(PermanentError, match="the first copy is whole"):
        bench.run("backup.vision_export", second=url)
    assert bench.clients.backups.whole(project, project)


def test_a_second_container_that_may_not_be_written_is_named(
    make: Make, project: str, storage_emulator: Azurite
) -> None:
    """A SAS without the right to write is told by the container's name, and asked again: roles take their time."""
    container, url = second_container(storage_emulator, permission=ContainerSasPermissions(read=True))
    bench = make(project)
    told = bench.run("backup.vision_export")
    with pytest.raises(DeniedError, match=f"the second container .*{container.container_name}.* answered 403"):
        STAGES[-1].start(VisionExport(second=url), bench.job("second", told.result))


def test_the_apps_own_container_is_no_second_one(make: Make, project: str) -> None:
    """A copy beside itself would be none."""
    bench = make(project)
    url = container_of(bench).url
    with pytest.raises(PermanentError, match="is the app's own container of backups"):
        bench.run("backup.vision_export", second=url)


@pytest.mark.guarantee(7)
def test_the_second_container_is_reached_by_https(make: Make, project: str) -> None:
    """Neither our token nor a SAS goes anywhere in the clear, but to the emulator."""
    bench = make(project)
    with pytest.raises(PermanentError, match="must be reached by https"):
        bench.run("backup.vision_export", second="http://127.0.0.1:1/account/second?sig=x")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("https://a.blob.core.windows.net/second?sv=1&sig=abcd", "it holds a SAS, which is a secret"),
        ("https://{{ vision.project }}.blob.core.windows.net/second", "is said here, and never by an event"),
        ("http://a.blob.core.windows.net/second", "must be https"),
        ("${SECOND}", ""),
        ("https://a.blob.core.windows.net/second", ""),
    ],
)
@pytest.mark.parametrize("action", ["backup.vision_export", "backup.vision_dataset", "prune.backups"])
def test_the_second_container_is_fixed_in_the_rules(action: str, value: str, says: str) -> None:
    """No event says where backups go, and a SAS is a setting."""
    text = (
        "version: 1\nvision: {fruit: {project: 00000000-0000-0000-0000-000000000000, "
        'training: {endpoint: "https://a.example"}}}\n'
        f'rules: [{{name: keep, on: ExportCompleted, do: [{{{action}: {{second: "{value}"}}}}]}}]\n'
    )
    try:
        told = " ".join(problem.message for problem in load(text, ACTIONS, "rules.yaml").warnings)
    except RulesError as error:
        told = str(error)
    assert says in told
    assert says or not told


# -- what changes meanwhile -------------------------------------------------------------------------------------------


def test_a_blob_that_a_second_flavor_overwrote_is_read_elsewhere(
    make: Make, simulators: Simulators, storage_emulator: Azurite
) -> None:
    """Where the container's blob is another one when it is to be copied, both exports are listed and kept anew."""
    app = BlobServiceClient.from_connection_string(storage_emulator.app)
    url, project = app.create_container(f"exports-{uuid4().hex}").url, str(uuid4())
    first = {"platform": "ONNX", "bytes": 10}
    seed(simulators, project, [first], exportModelContainerUri=url)
    bench = make(project, container=url)
    stages: list[str] = []

    def overwrite(stage: str) -> None:
        stages.append(stage)
        if stages == ["list", "copy"]:
            second = {"platform": "ONNX", "flavor": "OnnxFloat16", "bytes": 500}
            seed(simulators, project, [first, second], exportModelContainerUri=url)

    bench.before_stage = overwrite
    told = bench.run("backup.vision_export")
    base = f"{project}/{project}/ONNX"
    assert told.result["stored"] == [f"{base}/default", f"{base}/OnnxFloat16"]
    assert any("exported again since it was listed" in note for note in told.notes)
    sizes = [len(stored(bench, f"{folder}/model.zip")) for folder in told.result["stored"]]
    assert sizes[1] - sizes[0] == 490


def test_a_flavor_that_is_not_finished_may_have_overwritten_the_blob(
    make: Make, simulators: Simulators, storage_emulator: Azurite
) -> None:
    """While a second flavor is being exported, the container's blob may be its own: the first one's SAS is used."""
    app = BlobServiceClient.from_connection_string(storage_emulator.app)
    url, project = app.create_container(f"exports-{uuid4().hex}").url, str(uuid4())
    exports = [{"platform": "ONNX"}, {"platform": "ONNX", "flavor": "OnnxFloat16", "status": "Exporting"}]
    seed(simulators, project, exports, exportModelContainerUri=url)
    bench = make(project, container=url)
    (folder,) = bench.run("backup.vision_export").result["stored"]
    manifest = bench.clients.backups.manifest(folder)
    assert manifest
    assert not manifest.source.startswith(url)


def test_an_export_that_vanishes_does_not_lose_the_others(
    make: Make, project: str, simulators: Simulators, storage_emulator: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is listed and not there is asked for some more; then the others are kept, and the step names it."""
    monkeypatch.setattr(backup, "PATIENCE", timedelta(seconds=0.5))
    service = BlobServiceClient.from_connection_string(storage_emulator.service)
    name = f"{project.replace('-', '')}.ONNX.zip"
    service.get_blob_client(f"m-{project.replace('-', '')}", name).delete_blob()
    bench = make(project)
    with pytest.raises(
        PermanentError, match="1 of the exports are kept, and not ONNX: Custom Vision lists it"
    ) as caught:
        bench.run("backup.vision_export")
    assert "export the iteration" in caught.value.remedy
    assert [one.folder for one in bench.clients.backups.own.list(project) if one.is_whole] == [
        f"{project}/{project}/TensorFlow/TensorFlowLite"
    ]


def test_an_export_that_is_deleted_before_its_copy_is_named(make: Make, project: str, simulators: Simulators) -> None:
    """An iteration's export that is gone between the stages fails the step once the others are kept."""
    bench = make(project)
    stages: list[str] = []

    def delete(stage: str) -> None:
        stages.append(stage)
        if stages == ["list", "copy"]:
            seed(simulators, project, MODELS[1:])

    bench.before_stage = delete
    with pytest.raises(PermanentError, match="not ONNX: it was gone before it was copied"):
        bench.run("backup.vision_export")
    assert bench.clients.backups.whole(project, project)


def without_links(simulators: Simulators, project: str, times: int) -> None:
    """Have Custom Vision list the finished exports without a link, so often."""
    listed = [
        {"platform": one["platform"], "flavor": one.get("flavor"), "status": "Done", "downloadUri": None}
        for one in MODELS
    ]
    simulators.vision.fault(
        "error",
        path=f"/iterations/{project}/export",
        n=times,
        status=200,
        headers={"Content-Type": "application/json"},
        body=json.dumps(listed),
    )


@pytest.mark.parametrize("stage", ["list", "copy"])
def test_a_link_that_is_missing_for_a_moment_is_waited_for(
    make: Make, project: str, simulators: Simulators, stage: str
) -> None:
    """Custom Vision gives no link to an export now and then, also between two looks: it is asked again."""
    bench = make(project)
    bench.before_stage = lambda name: without_links(simulators, project, 3) if name == stage else None
    told = bench.run("backup.vision_export")
    assert len(told.result["stored"]) == 2
    assert bench.clients.backups.whole(project, project)


def test_a_link_that_stays_away_is_told(
    make: Make, project: str, simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while what has no link is named, and what became of the rest."""
    monkeypatch.setattr(backup, "PATIENCE", timedelta(seconds=0.3))
    bench = make(project)
    bench.before_stage = lambda name: without_links(simulators, project, 99) if name == "copy" else None
    with pytest.raises(PermanentError, match="0 of the exports are kept, and not ONNX: Custom Vision gives no link"):
        bench.run("backup.vision_export")


def test_all_exports_may_be_gone(make: Make, project: str, simulators: Simulators) -> None:
    """Where nothing is exported any more once it is to be copied, the step fails at once and names what is gone."""
    bench = make(project)
    bench.before_stage = lambda stage: seed(simulators, project, []) if stage == "copy" else None
    with pytest.raises(PermanentError, match=r"0 of the exports are kept, and not ONNX: it was gone .*; TensorFlow"):
        bench.run("backup.vision_export")


def test_one_action_at_a_time_backs_up_an_iteration(make: Make, project: str) -> None:
    """Each export of an iteration is announced by itself: the second action waits for the first."""
    bench = make(project)
    held = Locks(bench.clients.account).hold(
        f"backup {project}/{project}", "0" * 32, bench.job().now, lambda _key: False
    )
    assert held == ""
    params = VisionExport(project=project, iteration=project)
    waits = STAGES[0].start(params, bench.job("list"))
    assert isinstance(waits, Pending)
    assert waits.note == "action 00000000 is backing it up"
    ENDED.add("0" * 32)
    assert isinstance(STAGES[0].start(params, bench.job("list")), Done)
