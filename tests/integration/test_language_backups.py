"""The store of Language projects and what is remembered of replications, over real blobs and tables."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared import answers
from shared.clients.identity import managed_identity
from shared.errors import MalformedError, PermanentError, TemporaryError
from shared.replicas import Kept, Options, Trained
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from shared.storage.backups import MANIFEST
from shared.storage.language_backups import File, LanguageBackups, LanguageManifest, file_of, folder
from shared.storage.replicas import Replicas

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST = "mail-we.cognitiveservices.azure.com"


def project(text: str = "read it") -> bytes:
    """Write an exported project."""
    assets = {"intents": [{"category": "Read"}], "entities": [], "utterances": [{"text": text, "intent": "Read"}]}
    return json.dumps({"metadata": {"projectName": "M", "language": "en-us"}, "assets": assets}).encode()


@pytest.fixture
def account(azurite: str) -> Account:
    """Give the app's storage."""
    settings = Settings.read({"AzureWebJobsStorage": azurite})
    account = Account(settings.storage, managed_identity)
    prepare(account, settings.backup_container)
    return account


@pytest.fixture
def backups(account: Account, azurite: str) -> LanguageBackups:
    """Give the store."""
    return LanguageBackups(account, Settings.read({"AzureWebJobsStorage": azurite}))


def manifest(name: str, version: str, files: dict[str, File], **changes: object) -> LanguageManifest:
    """Say what a version is."""
    told = {
        "version": version, "host": HOST, "project": name, "language": "en-us", "multilingual": False,
        "files": files, "models": {"v1": "v1-x"}, "deployments": {"production": "v1"}, "follow": "deployed",
        "training": Options(mode="advanced"), "modified": NOW, "taken": NOW,
    }  # fmt: skip
    return LanguageManifest.model_validate(told | changes)


def test_a_version_is_whole_once_its_manifest_is_written(backups: LanguageBackups) -> None:
    """Until then its files may be replaced; from then on never."""
    name = f"M{uuid4().hex}"
    backups.keep(HOST, name, "1", file_of("v1"), project("old"))
    file = backups.keep(HOST, name, "1", file_of("v1"), project("new"))
    assert [one.is_whole for one in backups.versions(HOST, name)] == [False]
    assert backups.hashes(HOST, name) == frozenset()
    ours = manifest(name, "1", {file_of("v1"): file})
    assert backups.finish(ours) == "1"
    backups.keep(HOST, name, "1", file_of("v1"), project("later"))
    assert backups.read(ours, file_of("v1")) == project("new")
    assert backups.manifest(HOST, name, "1") == ours
    assert backups.hashes(HOST, name) == {file.holds}
    assert (HOST, name) in backups.projects()
    backups.discard(HOST, name, "1")
    assert [one.is_whole for one in backups.versions(HOST, name)] == [True]


def test_the_same_content_is_kept_once(backups: LanguageBackups) -> None:
    """Its files are deleted again, and the older version is told; other options make another version."""
    name = f"M{uuid4().hex}"
    for version in ("1", "2", "3"):
        file = backups.keep(HOST, name, version, file_of("v1"), project())
        changes = {"training": Options(mode="standard")} if version == "3" else {"taken": NOW + timedelta(days=1)}
        expected = "3" if version == "3" else "1"
        assert backups.finish(manifest(name, version, {file_of("v1"): file}, **changes)) == expected
        assert backups.finish(manifest(name, version, {file_of("v1"): file}, **changes)) == expected
    assert [one.name for one in backups.versions(HOST, name)] == ["3", "1"]


def test_what_lies_in_the_archive_tier_is_kept_anew(backups: LanguageBackups, account: Account, azurite: str) -> None:
    """It cannot be read, and the reason says what helps; what it holds counts as kept all the same."""
    name, kept_in = f"M{uuid4().hex}", Settings.read({"AzureWebJobsStorage": azurite}).backup_container
    for version, file_name in (("1", MANIFEST), ("2", file_of("v1"))):
        file = backups.keep(HOST, name, version, file_of("v1"), project())
        assert backups.finish(manifest(name, version, {file_of("v1"): file})) == version
        blob = account.blobs.get_blob_client(kept_in, f"{folder(HOST, name)}/{version}/{file_name}")
        blob.set_standard_blob_tier("Archive")
    with pytest.raises(PermanentError, match=f"{name}/1/manifest.json cannot be read: .*BlobArchived") as refused:
        backups.manifest(HOST, name, "1")
    assert refused.value.remedy.startswith("rehydrate the blob")
    ours = manifest(name, "3", {file_of("v1"): file})
    with pytest.raises(PermanentError, match=f"{name}/2/deployed-v1.json cannot be read"):
        backups.read(ours.model_copy(update={"version": "2"}), file_of("v1"))
    backups.keep(HOST, name, "3", file_of("v1"), project())
    assert backups.hashes(HOST, name) == {file.holds}
    assert backups.finish(ours) == "3"
    assert backups.finish(ours.model_copy(update={"version": "4"})) == "3"


def test_what_is_on_its_way_back_from_the_archive_is_not_waited_for() -> None:
    """The emulator has such blobs at once; the service's words are these."""
    said = "<Error><Code>BlobBeingRehydrated</Code><Message>The operation is not permitted.</Message></Error>"
    problem = answers.error("Storage", 409, {}, f'<?xml version="1.0" encoding="utf-8"?>{said}')
    assert isinstance(problem, PermanentError)
    assert "rehydrate" in problem.remedy
    assert isinstance(answers.error("Storage", 409, {}, said.replace("BeingRehydrated", "Other")), TemporaryError)


def test_names_that_are_no_paths(backups: LanguageBackups) -> None:
    """Labels and projects are percent-encoded, so that none leads out of its folder."""
    name = f"M{uuid4().hex}"
    assert file_of("a/../b") == "deployed-a%2F..%2Fb.json"
    assert folder("HOST", "a/b") == "language/host/a%2Fb"
    file = backups.keep(HOST, f"{name}/x", "1", file_of("a/b"), project())
    assert backups.finish(manifest(f"{name}/x", "1", {file_of("a/b"): file})) == "1"
    assert backups.versions(HOST, name) == []


def test_what_is_no_project_is_not_kept(backups: LanguageBackups) -> None:
    """It could not be compared with anything."""
    with pytest.raises(MalformedError):
        backups.keep(HOST, f"M{uuid4().hex}", "1", file_of(""), b"<html>")


def test_a_replication_is_remembered_under_its_etag(account: Account) -> None:
    """By both hosts, in any case, and the project's name in its own; who comes second is told."""
    replicas, name = Replicas(account), f"M{uuid4().hex}"
    kept = Kept(
        name="mail", project=name, hashes={"v1": "a"}, working_hash="b", primary_modified=NOW, primary_models={},
        secondary_modified=None, secondary_models={}, secondary_hash="c", training=Options(mode="advanced"),
        version="1", replicated=NOW, proven=NOW,
    )  # fmt: skip
    assert replicas.read(HOST, name, "other") == (None, "")
    assert replicas.write(HOST, name, "other", kept, "")
    assert not replicas.write(HOST, name, "other", kept, "")
    read, etag = replicas.read(HOST.upper(), name, "OTHER")
    assert read == kept
    assert replicas.read(HOST, name.lower(), "other") == (None, "")
    assert replicas.write(HOST, name, "other", kept, etag)
    assert not replicas.write(HOST, name, "other", kept, etag)


def test_what_our_imports_left_is_remembered(account: Account) -> None:
    """Each once, and the newest ones where there are many."""
    replicas, name = Replicas(account), f"M{uuid4().hex}"
    for at in range(60):
        replicas.note_import(HOST, name, "other", f"hash{at}")
        replicas.note_import(HOST, name, "other", f"hash{at}")
    model = Trained(label="v1", model="v1-x", hash="a", left="b", options=Options(mode="advanced"), intents=0.9)
    for _ in range(2):
        replicas.note_training(HOST, name, "other", model)
    assert replicas.trained(HOST, name, "other") == (model,)
    assert replicas.trained(HOST, name, "another") == ()
    known = replicas.imported(HOST, name, "other")
    assert len(known) == 50
    assert "hash59" in known
    assert "hash9" not in known
