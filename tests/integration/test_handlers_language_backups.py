"""backup.language and restore.language over real https and real storage: nothing is lost, and all of it comes back."""

from typing import Any

import pytest

from dev.simulators.language.samples import exported
from dev.simulators.remote import Simulators
from shared.errors import PermanentError
from shared.handlers import ACTIONS
from shared.handlers.language import deploying, following, proving, undoing
from shared.language_content import fingerprint
from shared.stages import find_handler
from tests.integration.language_stories import EDIT, TEACHING, Mail
from tests.integration.stages import Bench

BACKUP, RESTORE, REPLICATE = "backup.language", "restore.language", "replicate.language"
HOST = "127.0.0.1"


@pytest.fixture
def mail(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch) -> Mail:
    """Give a project that its primary serves; nothing is waited for long."""
    for module, name in ((following, "SHOWN_WITHIN"), (proving, "ANSWERS_WITHIN"), (undoing, "SURE_AFTER")):
        monkeypatch.setattr(module, name, getattr(module, name) * 0)
    monkeypatch.setattr(deploying, "SHOWN_WITHIN", deploying.SHOWN_WITHIN * 0)
    mail = Mail(simulators, azurite)
    mail.begin()
    return mail


def refused(bench: Bench, step: str, reason: str, remedy: str, **params: Any) -> None:
    """See that the step is refused."""
    with pytest.raises(PermanentError) as problem:
        bench.run(step, **params)
    assert reason in problem.value.reason
    assert remedy in problem.value.remedy


def versions(bench: Bench, mail: Mail) -> list[str]:
    """List the whole versions, the newest first."""
    return [one.name for one in bench.clients.language_backups.versions(HOST, mail.name) if one.is_whole]


# -- backup -----------------------------------------------------------------------------------------------------------


def test_what_is_deployed_and_what_is_being_labelled_are_kept(mail: Mail) -> None:
    """Both are files of one version, byte for byte, with what is needed to bring them back."""
    mail.edit(mail.primary)
    bench = mail.bench()
    told = bench.run(BACKUP)
    manifest = bench.clients.language_backups.manifest(HOST, mail.name, told.result["version"])
    assert manifest is not None
    assert told.result["is_new"] is True
    assert (manifest.project, manifest.host, manifest.language, manifest.multilingual) == (
        mail.name,
        HOST,
        "en-us",
        True,
    )
    assert manifest.deployments == {"production": "v1"}
    assert manifest.models == {"v1": mail.serving(mail.primary)["production"]}
    assert manifest.files["deployed-v1.json"].holds == fingerprint(exported(mail.name))
    working = bench.clients.language_backups.read(manifest, "working_copy.json")
    assert fingerprint(working) == fingerprint(mail.project(mail.primary)["exported"])
    assert mail.secondary.seen("POST") == []


def test_the_same_content_is_one_version(mail: Mail) -> None:
    """Until something changes, or one more is asked for; times alone are no change."""
    first = mail.bench().run(BACKUP).result["version"]
    mail.primary.seed(edits=[{"project": mail.name, "description": "another text"}])
    again = mail.bench().run(BACKUP)
    assert (again.result["version"], again.result["is_new"]) == (first, False)
    bench = mail.bench()
    assert versions(bench, mail) == [one.name for one in bench.clients.language_backups.versions(HOST, mail.name)]
    forced = mail.bench().run(BACKUP, force=True).result["version"]
    mail.edit(mail.primary)
    third = mail.bench().run(BACKUP).result["version"]
    assert len({first, forced, third}) == 3
    assert set(versions(bench, mail)) == {first, forced, third}


def test_a_primary_that_serves_nothing_is_told(mail: Mail) -> None:
    """A backup of what is followed lacks what would be brought back."""
    refused(mail.bench(deployments=["canary"]), BACKUP, "serves nothing as canary", "follow: working_copy")
    mail.bench(deployments=["canary"], follow="working_copy").run(BACKUP)


def test_an_export_that_fails_or_is_gone(mail: Mail) -> None:
    """A failure is told; one that is gone is made again, and no more than a few times."""
    mail.primary.seed(settings={"outcomes": {"export": ["failed"]}})
    refused(mail.bench(), BACKUP, "failed for a reason of its own", "replay")
    mail.primary.seed(settings={"outcomes": {"export": ["expired"]}})
    mail.bench().run(BACKUP)
    mail.primary.seed(settings={"outcomes": {"export": "expired"}})
    refused(mail.bench(), BACKUP, "gone again and again", "replay")


# -- restore ----------------------------------------------------------------------------------------------------------


def test_everything_comes_back_from_the_backups_alone(mail: Mail) -> None:
    """Both regions have lost the project: it is imported, trained, proven and deployed as it was."""
    mail.bench().run(BACKUP)
    texts = mail.texts(mail.primary)
    mail.primary.seed(delete=[mail.name])
    told = mail.bench().run(RESTORE, to="primary")
    assert mail.labels(mail.primary) == {"production": "v1"}
    assert mail.texts(mail.primary) == texts
    assert told.result["restored"] == {"production": "v1"}
    assert told.result["at"] == HOST
    assert mail.secondary.seen("POST") == []
    mail.bench().run(REPLICATE)
    assert mail.labels(mail.secondary) == {"production": "v1"}


def declared_at_localhost(mail: Mail) -> dict[str, Any]:
    """Declare the same primary by another host, so that backups of it lie elsewhere."""
    return {"primary": {"endpoint": mail.primary.url.replace(HOST, "localhost"), "key": "${LANGUAGE_KEY}"}}


def test_backups_of_a_primary_that_is_lost_come_back_to_another(mail: Mail) -> None:
    """They lie under its host, which is asked for; what is made from then on lies under the new one's."""
    version = mail.bench(**declared_at_localhost(mail)).run(BACKUP).result["version"]
    mail.primary.seed(delete=[mail.name])
    refused(mail.bench(), RESTORE, f"at {HOST} nothing whole is kept", "say from_host: localhost", to="primary")
    refused(mail.bench(), RESTORE, "at elsewhere nothing whole", "from_host: localhost", from_host="Elsewhere")
    told = mail.bench().run(RESTORE, to="primary", from_host="LocalHost")
    assert (told.result["version"], told.result["at"]) == (version, HOST)
    assert mail.labels(mail.primary) == {"production": "v1"}
    bench = mail.bench()
    assert versions(bench, mail) == []
    bench.run(REPLICATE)
    assert mail.labels(mail.secondary) == {"production": "v1"}
    assert len(versions(bench, mail)) == 1


def test_what_is_kept_of_the_lost_primary_is_replaced_without_a_word(mail: Mail) -> None:
    """It is kept, though under another host; what is nowhere kept is kept under the new one first."""
    lost = declared_at_localhost(mail)
    first = mail.bench(**lost).run(BACKUP).result["version"]
    mail.edit(mail.primary)
    mail.bench(**lost).run(BACKUP)
    mail.bench().run(RESTORE, to="primary", from_host="localhost", version=first)
    assert EDIT["text"] not in mail.texts(mail.primary)
    mail.primary.seed(edits=[{"project": mail.name, "utterances": [{**EDIT, "text": "hand it on"}]}])
    before = {"to": "primary", "from_host": "localhost", "version": first}
    refused(mail.bench(), RESTORE, "nowhere kept", "overwrite_edits", **before)
    bench = mail.bench()
    kept_as = bench.run(RESTORE, overwrite_edits=True, **before).result["kept_as"]
    assert versions(bench, mail) == [kept_as]


@pytest.mark.parametrize("host", ["..", "a/b", "https://old.example", "-a", "a."])
def test_a_host_is_a_host(host: str) -> None:
    """It is a part of a path."""
    with pytest.raises(PermanentError, match="from_host"):
        find_handler(ACTIONS, RESTORE).parse({"from_host": host})


def test_a_copied_backup_is_read_where_it_lies(mail: Mail) -> None:
    """Whatever host its manifest names; under another project's name it is none of that project's."""
    bench = mail.bench()
    version = bench.run(BACKUP).result["version"]
    store, other = bench.clients.account.blobs.get_container_client("backups"), f"Other{mail.name}"
    for blob in list(store.list_blobs(name_starts_with=f"language/{HOST}/{mail.name}/")):
        content, end = store.download_blob(blob.name).readall(), blob.name.removeprefix(f"language/{HOST}/{mail.name}")
        for folder in (f"language/copied.example/{mail.name}", f"language/{HOST}/{other}"):
            store.upload_blob(f"{folder}{end}", content)
        store.delete_blob(blob.name)
    mail.primary.seed(delete=[mail.name])
    mail.bench().run(RESTORE, to="primary", from_host="copied.example", version=version)
    assert mail.labels(mail.primary) == {"production": "v1"}
    refused(mail.bench(project=other), RESTORE, f'is of the project "{mail.name}", not of "{other}"', "by the name")


def test_what_was_being_labelled_comes_back_by_itself(mail: Mail) -> None:
    """Nothing is trained or deployed, whatever options a training would have; what serves goes on."""
    mail.bench().run(REPLICATE)
    mail.edit(mail.primary)
    mail.bench().run(BACKUP)
    serving = mail.serving(mail.secondary)
    begun = [mail.posts(mail.secondary, what) for what in (":train", "deployments")]
    training = {"mode": "standard", "config_version": "2000-01-01"}
    bench = mail.bench(training=training, deployments=["production", "production-next"])
    told = bench.run(RESTORE, working_copy=True)
    assert EDIT["text"] in mail.texts(mail.secondary)
    assert mail.serving(mail.secondary) == serving
    assert [mail.posts(mail.secondary, what) for what in (":train", "deployments")] == begun
    assert {name: told.result[name] for name in ("restored", "deployments", "kept_slots", "kept_as")} == {
        "restored": {}, "deployments": {}, "kept_slots": [], "kept_as": "",
    }  # fmt: skip
    assert "nothing was trained" in told.notes[-1]
    mail.primary.seed(delete=[mail.name])
    mail.bench().run(RESTORE, working_copy=True, to="primary")
    assert EDIT["text"] in mail.texts(mail.primary)
    assert mail.serving(mail.primary) == {}


def test_a_working_copy_that_is_not_kept_is_no_way_back(mail: Mail) -> None:
    """A named version without one is refused, the newest one without is passed over."""
    whole = mail.bench().run(BACKUP).result["version"]
    mail.edit(mail.primary)
    bench = mail.bench()
    bench.run(RESTORE, to="primary", overwrite_edits=True)
    (edits,) = set(versions(bench, mail)) - {whole}
    refused(
        mail.bench(), RESTORE, f"the backup {edits} holds no working copy", "lists", version=edits, working_copy=True
    )
    refused(mail.bench(), RESTORE, f"the backup {edits} holds nothing that a deployment", "lists", version=edits)
    assert mail.bench().run(RESTORE, working_copy=True).result["version"] == whole


def test_a_working_copy_is_judged_by_what_arrived(mail: Mail) -> None:
    """It is imported once more where something lacks, and an import that fails has failed."""
    mail.bench().run(BACKUP)
    bench, seen = mail.bench(), list[str]()

    def lose(stage: str) -> None:
        if stage == "verify" and not seen:
            seen.append(stage)
            mail.secondary.seed(edits=[{"project": mail.name, "forget": ["delete all spam"]}])

    bench.before_stage = lose
    told = bench.run(RESTORE, working_copy=True)
    assert any("it is imported once more" in note for note in told.notes)
    assert mail.texts(mail.secondary) == mail.texts(mail.primary)
    mail.secondary.seed(settings={"outcomes": {"import": {"status": "failed", "errors": [{"message": "no culture"}]}}})
    refused(mail.bench(), RESTORE, "no culture", "replay", working_copy=True)


def test_an_older_version_is_brought_to_the_secondary(mail: Mail) -> None:
    """Without the primary being asked for anything; what serves is swapped, and the next replication undoes it."""
    first = mail.bench().run(REPLICATE).result["version"]
    mail.learn("v2")
    mail.bench().run(REPLICATE)
    mail.primary.seed(settings={"cut_off": "unavailable", "cut_off_of": "all"})
    told = mail.bench().run(RESTORE, version=first)
    assert mail.labels(mail.secondary) == {"production": "v1", "production-next": "v2"}
    assert "production-next keeps what served before" in told.notes[-1]
    mail.primary.seed(settings={"cut_off": ""})
    mail.bench().run(REPLICATE)
    assert mail.labels(mail.secondary)["production"] == "v2"


def test_what_is_nowhere_kept_is_not_replaced(mail: Mail) -> None:
    """A primary that was labelled on is kept as a version of its own first, where that is said."""
    mail.bench().run(BACKUP)
    mail.edit(mail.primary)
    refused(mail.bench(), RESTORE, "edited by hand", "overwrite_edits", to="primary")
    assert EDIT["text"] in mail.texts(mail.primary)
    bench = mail.bench()
    bench.run(RESTORE, to="primary", overwrite_edits=True)
    assert EDIT["text"] not in mail.texts(mail.primary)
    kept = [bench.clients.language_backups.manifest(HOST, mail.name, name) for name in versions(bench, mail)]
    (replaced,) = [one for one in kept if one is not None and "primary.json" in one.files]
    assert replaced.deployments == {}
    assert EDIT["text"] in bench.clients.language_backups.read(replaced, "primary.json").decode()
    mail.bench().run(RESTORE, to="primary")  # the newest that served something, not the newest


def test_several_models_come_back(mail: Mail) -> None:
    """Each from its own file, and to its own deployment."""
    changed = exported(mail.name)
    changed["assets"]["utterances"] += TEACHING
    changed["assets"]["intents"].append({"category": "Archive"})
    deployments = {"production": "v1", "canary": "v2"}
    mail.primary.seed(projects=[{"exported": changed, "models": ["v1", "v2"], "deployments": deployments}])
    mail.bench(deployments=["production", "canary"]).run(BACKUP)
    mail.primary.seed(delete=[mail.name])
    mail.bench(deployments=["production", "canary"]).run(RESTORE, to="primary")
    assert mail.labels(mail.primary) == {"production": "v1", "canary": "v2"}


def test_a_version_that_is_not_there_is_told(mail: Mail) -> None:
    """Nothing kept, no such version, and a file that is not what was kept."""
    refused(mail.bench(), RESTORE, "nothing whole is kept", "backup.language")
    version = mail.bench().run(BACKUP).result["version"]
    refused(mail.bench(), RESTORE, 'no whole version "20200101"', "reactor language backups", version="20200101")
    bench = mail.bench()
    blob = bench.clients.account.blobs.get_blob_client(
        "backups", f"language/{HOST}/{mail.name}/{version}/deployed-v1.json"
    )
    blob.upload_blob(b"{}", overwrite=True)
    refused(mail.bench(), RESTORE, "is not what was kept", "another version")
    blob.delete_blob()
    refused(mail.bench(), RESTORE, "is gone", "reactor language backups")
    assert mail.labels(mail.secondary) == {}


def test_a_failed_restore_leaves_what_served(mail: Mail) -> None:
    """The proof counts here too: labels are what is compared with."""
    mail.bench().run(BACKUP)
    before = mail.serving(mail.primary)
    mail.primary.seed(settings={"predictions": [{"category": "Nonsense", "confidenceScore": 1.0}]})
    refused(mail.bench(), RESTORE, "the primary answers 0 of 5", "agree", to="primary")
    assert mail.serving(mail.primary)["production"] == before["production"]
