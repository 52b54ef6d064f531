"""What somebody does in either region while a Language project is replicated: nothing of it is lost, or goes live."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dev.simulators.language import KEY
from dev.simulators.language.samples import exported
from dev.simulators.remote import Remote, Simulators
from shared.clients.language import Resource, Training
from shared.errors import PermanentError
from shared.handlers.language import deploying, following, proving, training, undoing
from shared.language_content import fingerprint
from shared.replicas import Kept, Shown, Wanted, doubtful, standing
from tests.integration.language_stories import EDIT, Mail
from tests.integration.stages import Bench, Told

STEP, BACKUP, RESTORE = "replicate.language", "backup.language", "restore.language"
HOST = "127.0.0.1"
WAITED = training.SHOWN_WITHIN


@pytest.fixture
def mail(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch) -> Mail:
    """Give a project that its primary serves, and a second region that has none; nothing is waited for long."""
    for module, name in (
        (following, "SHOWN_WITHIN"), (proving, "ANSWERS_WITHIN"), (undoing, "SURE_AFTER"), (deploying, "SHOWN_WITHIN"),
        (training, "SHOWN_WITHIN"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, getattr(module, name) * 0)
    mail = Mail(simulators, azurite)
    mail.begin()
    return mail


def run(
    bench: Bench, step: str = STEP, meanwhile: Mapping[str, Callable[[], None]] | None = None, **params: Any
) -> Told:
    """Perform a step, and have something done before some of its stages, each once."""
    left = dict(meanwhile or {})
    bench.before_stage = lambda stage: left.pop(stage, lambda: None)()
    told = bench.run(step, **params)
    assert not left
    return told


def refused(bench: Bench, reason: str, remedy: str = "", **more: Any) -> str:
    """See that the step is refused; give how it was left."""
    with pytest.raises(PermanentError) as problem:
        run(bench, **more)
    assert reason in problem.value.reason
    assert remedy in problem.value.remedy
    return bench.told.undone


def train(mail: Mail, remote: Remote, label: str, deployment: str = "") -> None:
    """Train a model from what is labelled in a region, and deploy it."""
    language, at = mail.bench().clients.language, Resource(remote.url, KEY)
    language.models.train(at, mail.name, Training(label))
    assert label in mail.project(remote)["models"]  # its state is asked for, so it is over
    if deployment:
        language.deployments.deploy(at, mail.name, deployment, label)
        assert mail.labels(remote)[deployment] == label


def trainings(mail: Mail) -> int:
    """Count what was billed."""
    return mail.posts(mail.secondary, ":train")


def found(mail: Mail, bench: Bench, hashes: bool = False) -> tuple[frozenset[str], list[str]]:  # noqa: FBT001,FBT002 # a case
    """Say what is doubtful of a replica, and what differs; with hashes, what an export tells."""
    kept = kept_of(mail, bench)
    at = Resource(mail.secondary.url, KEY)
    there = bench.clients.language.projects.read(at, mail.name)
    assert there is not None
    exports = {"": fingerprint(mail.project(mail.secondary)["exported"])} if hashes else None
    shown = (
        Shown(kept.primary_modified, mail.serving(mail.primary)),
        Shown(there.modified, mail.serving(mail.secondary), exports),
    )
    wanted = Wanted(("production",), "deployed", kept.training)
    return doubtful(kept, *shown, wanted), [one.reason for one in standing(kept, *shown, wanted)]


def kept_of(mail: Mail, bench: Bench) -> Kept:
    """Give what is remembered."""
    kept = mail.kept(bench)
    assert kept is not None
    return kept


# -- the primary ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [STEP, BACKUP])
@pytest.mark.parametrize("stage", ["export", "store"])
def test_what_is_trained_again_while_it_is_exported_is_not_taken_for_what_is_served(
    mail: Mail, step: str, stage: str
) -> None:
    """It has the label of what is served, and was never served: nothing of it is kept, or leaves the primary."""

    def retrained() -> None:
        mail.edit(mail.primary)
        train(mail, mail.primary, "v1")

    bench = mail.bench()
    refused(bench, "trained again under its label", "deploy one of its models", step=step, meanwhile={stage: retrained})
    assert any(
        "v1 was trained again, or deleted, in the primary while it was exported" in one for one in bench.told.notes
    )
    assert mail.project(mail.secondary) == {}
    assert bench.clients.language_backups.versions(HOST, mail.name) == []


def test_what_is_served_by_then_is_exported_anew(mail: Mail) -> None:
    """Where it was deployed as well, that is what is replicated, and what is remembered is of that model."""

    def released() -> None:
        mail.edit(mail.primary)
        train(mail, mail.primary, "v1", "production")

    bench = mail.bench()
    run(bench, meanwhile={"store": released})
    assert EDIT["text"] in mail.texts(mail.secondary)
    kept = kept_of(mail, bench)
    assert kept.primary_models == mail.serving(mail.primary)
    assert kept.hashes == {"v1": fingerprint(mail.project(mail.primary)["exported"])}
    assert len(bench.clients.language_backups.versions(HOST, mail.name)) == 1
    assert found(mail, bench) == (frozenset(), [])


def test_a_primary_that_trains_all_the_time_is_told(mail: Mail) -> None:
    """It is looked at anew a few times, and then the step ends."""
    bench = mail.bench()

    def released(stage: str) -> None:
        if stage == "store":
            train(mail, mail.primary, "v1", "production")

    bench.before_stage = released
    with pytest.raises(PermanentError, match="was trained again") as problem:
        bench.run(BACKUP)
    assert "once nobody trains there" in problem.value.remedy


# -- the secondary ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["store", "ready", "free"])
def test_edits_while_it_is_replicated_stop_it(mail: Mail, stage: str) -> None:
    """Before the import they would be lost, and before the training they would go live: they stay, and are told."""
    mail.bench().run(STEP)
    before, billed = mail.serving(mail.secondary), trainings(mail)
    mail.learn("v2")
    bench, edit = mail.bench(), {stage: lambda: mail.edit(mail.secondary)}
    refused(bench, "somebody edited the project in the secondary", "what to do with edits", meanwhile=edit)
    assert EDIT["text"] in mail.texts(mail.secondary)
    assert mail.serving(mail.secondary) == before
    assert trainings(mail) == billed
    refused(mail.bench(), "nowhere kept", "overwrite_edits")
    told = run(mail.bench(), overwrite_edits=True)
    manifest = bench.clients.language_backups.manifest(HOST, mail.name, told.result["version"])
    assert manifest is not None
    assert EDIT["text"] in bench.clients.language_backups.read(manifest, "secondary.json").decode()
    assert mail.labels(mail.secondary)["production"] == "v2"


def test_edits_between_two_imports_of_one_step_stop_it(mail: Mail) -> None:
    """The first model is trained by then: the next time it is not billed again."""
    train_two(mail)
    changes, seen = {"deployments": ["production", "canary"]}, list[str]()
    bench = mail.bench(**changes)

    def edit(stage: str) -> None:
        seen.append(stage)
        if stage == "ready" and seen.count("ready") == 2:
            mail.edit(mail.secondary)

    bench.before_stage = edit
    with pytest.raises(PermanentError, match="somebody edited the project"):
        bench.run(STEP)
    assert EDIT["text"] in mail.texts(mail.secondary)
    assert trainings(mail) == 1
    run(mail.bench(**changes), overwrite_edits=True)
    assert trainings(mail) == 2


def test_a_project_that_somebody_makes_meanwhile_is_not_replaced(mail: Mail) -> None:
    """There was none when it was looked: now it holds what nobody has kept."""

    def made() -> None:
        mail.secondary.seed(projects=[{"name": mail.name, "utterances": [{"text": "hello", "intent": "Greet"}]}])

    refused(mail.bench(), "somebody edited the project", meanwhile={"store": made})
    assert mail.texts(mail.secondary) == {"hello"}


def test_a_training_that_somebody_begins_meanwhile_is_waited_for(mail: Mail) -> None:
    """Before anything is imported under it."""
    mail.bench().run(STEP)
    mail.learn("v2")
    mail.secondary.seed(settings={"train_seconds": 1})
    language, at = mail.bench().clients.language, Resource(mail.secondary.url, KEY)
    told = run(
        mail.bench(), meanwhile={"ready": lambda: (language.models.train(at, mail.name, Training("theirs")), None)[1]}
    )
    waits = [at for at, note in enumerate(told.notes) if "waits for the training of theirs" in note]
    (imports,) = [at for at, note in enumerate(told.notes) if "is being imported" in note]
    assert waits
    assert max(waits) < imports


def test_an_export_that_looks_for_edits(mail: Mail) -> None:
    """One that is gone is made again, and one that fails ends the step."""
    mail.bench().run(STEP)
    for outcomes, reason in ((["succeeded", "expired"], ""), (["succeeded", "failed"], "export of the secondary")):
        mail.secondary.seed(settings={"outcomes": {"export": outcomes}})
        if reason:
            refused(mail.bench(), reason, "serves what it served", force=True)
        else:
            run(mail.bench(), force=True)


def test_edits_at_the_end_are_left_and_told_of(mail: Mail) -> None:
    """They are later than what was trained: it serves, and the next check says that somebody edited there."""
    bench = mail.bench()
    told = run(bench, meanwhile={"note": lambda: mail.edit(mail.secondary)})
    assert "somebody edited the project there meanwhile" in told.notes[-1]
    assert EDIT["text"] in mail.texts(mail.secondary)
    assert kept_of(mail, bench).secondary_hash == fingerprint(exported(mail.name))
    assert found(mail, bench, hashes=True) == (frozenset({"secondary"}), ["edited"])


def test_edits_after_the_last_export_are_doubtful(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that is remembered was read before it."""
    bench = mail.bench()
    replicas, write = bench.clients.replicas, bench.clients.replicas.write

    def edited(*args: Any) -> bool:
        mail.edit(mail.secondary)
        return write(*args)

    monkeypatch.setattr(replicas, "write", edited)
    run(bench)
    assert found(mail, bench) == (frozenset({"secondary"}), [])
    assert found(mail, bench, hashes=True)[1] == ["edited"]


# -- what arrives -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["succeeded", "partiallyCompleted"])
def test_what_nobody_sent_is_not_trained_from(mail: Mail, status: str) -> None:
    """As many utterances as were sent, of other texts, are another content, whatever the import says of itself."""
    mail.secondary.seed(settings={"outcomes": {"import": [status]}})
    forgotten = exported(mail.name)["assets"]["utterances"][0]["text"]
    change = {"project": mail.name, "forget": [forgotten], "utterances": [EDIT, {**EDIT, "text": "burn it all"}]}
    refused(
        mail.bench(),
        "is not what was imported: it has",
        "nothing was trained from it",
        meanwhile={"verify": lambda: mail.secondary.seed(edits=[change])},
    )
    assert trainings(mail) == 0
    assert "burn it all" in mail.texts(mail.secondary)


# -- what is billed ---------------------------------------------------------------------------------------------------


def train_two(mail: Mail) -> None:
    """Have the primary serve a second model of another content."""
    train(mail, mail.primary, "v1", "production")
    mail.primary.seed(edits=[{"project": mail.name, "utterances": [{**EDIT, "text": "forward thing 2"}]}])
    train(mail, mail.primary, "v2", "canary")


def test_only_the_model_that_changed_is_trained(mail: Mail) -> None:
    """The other deployment goes on serving the very model that it served, however often the first one changes."""
    changes = {"deployments": ["production", "canary"]}
    train_two(mail)
    mail.bench(**changes).run(STEP)
    first = mail.serving(mail.secondary)["production"]
    assert trainings(mail) == 2
    for number in (3, 4, 5):
        mail.primary.seed(edits=[{"project": mail.name, "utterances": [{**EDIT, "text": f"forward thing {number}"}]}])
        train(mail, mail.primary, f"v{number}", "canary")
        assert mail.bench(**changes).run(STEP).result["replicated"] == [f"v{number}"]
        assert trainings(mail) == number
        assert mail.serving(mail.secondary)["production"] == first


def test_what_is_labelled_there_is_brought_back_without_a_training(mail: Mail) -> None:
    """Where the models are there, and the project holds another content that is kept, it is imported, no more."""
    mail.bench().run(STEP)
    serving = mail.serving(mail.secondary)
    mail.edit(mail.primary)
    mail.bench().run(BACKUP)
    mail.bench().run(RESTORE, working_copy=True)
    assert EDIT["text"] in mail.texts(mail.secondary)
    bench = mail.bench()
    told = run(bench)
    assert EDIT["text"] not in mail.texts(mail.secondary)
    assert mail.serving(mail.secondary) == serving
    assert (trainings(mail), told.result["replicated"]) == (1, [])
    assert "nothing had to be trained" in told.notes[-1]
    assert found(mail, bench) == (frozenset(), [])


BADLY = {"evaluation": {"intents": {"macroF1": 0.1}}}


def test_what_did_badly_is_not_paid_for_again(mail: Mail) -> None:
    """The same content with the same options is refused before it is trained; the backup is made in any case."""
    mail.secondary.seed(settings=BADLY)
    refused(mail.bench(), "macro F1 of its intents is 0.100", "force: true")
    for _ in range(2):
        refused(mail.bench(), "v1 was trained from this very content with these options before", "force: true")
    assert (trainings(mail), mail.posts(mail.secondary, ":import")) == (1, 1)
    bench = mail.bench()
    assert [one.is_whole for one in bench.clients.language_backups.versions(HOST, mail.name)] == [True]
    refused(mail.bench(), "0.100", force=True)
    assert trainings(mail) == 2
    mail.secondary.seed(settings={"evaluation": None})
    run(mail.bench(), force=True)
    assert trainings(mail) == 3
    run(mail.bench())
    assert (trainings(mail), mail.labels(mail.secondary)["production"]) == (3, "v1")


def test_what_did_badly_is_taken_where_more_is_allowed_and_other_content_is_trained(mail: Mail) -> None:
    """A larger margin takes the model that is there; options and contents that are others are another training."""
    mail.secondary.seed(settings=BADLY)
    refused(mail.bench(), "0.100")
    manual = {"evaluation": {"kind": "manual"}}
    refused(mail.bench(training=manual), "0.100")
    assert trainings(mail) == 2
    refused(mail.bench(), "before, and did badly")
    mail.learn("v2")
    refused(mail.bench(), "v2 does worse")
    assert trainings(mail) == 3
    run(mail.bench(proof={"margin": 1.0}))
    assert (trainings(mail), mail.labels(mail.secondary)["production"]) == (3, "v2")


def test_the_evaluation_of_a_primary_that_does_not_answer_just_now_is_waited_for(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A margin is not left out because one answer was late; what comes then counts."""
    monkeypatch.setattr(training, "SHOWN_WITHIN", WAITED)
    mail.secondary.seed(settings=BADLY)
    bench = mail.bench()
    down = {"cut_off": "unavailable", "cut_off_of": "all"}
    seen: list[str] = []

    def cut(stage: str) -> None:
        if stage == "evaluate":
            mail.primary.seed(settings=down)

    bench.before_stage = cut
    evaluation = type(bench.clients.language.models).evaluation

    def late(self: Any, at: Resource, *args: Any) -> Any:
        seen.append(at.endpoint)
        if seen.count(mail.primary.url) == 2:
            mail.primary.seed(settings={"cut_off": ""})
        return evaluation(self, at, *args)

    monkeypatch.setattr(type(bench.clients.language.models), "evaluation", late)
    with pytest.raises(PermanentError, match=r"0\.100"):
        bench.run(STEP)
    assert any("is waited for" in note for note in bench.told.notes)


# -- backups ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, b"{}"])
def test_a_version_that_lost_a_file_is_no_reason_not_to_keep_the_same(mail: Mail, content: bytes | None) -> None:
    """The same content is kept as a new version, which is what is replicated and comes back."""
    bench = mail.bench()
    first = run(bench, BACKUP).result["version"]
    path = f"language/{HOST}/{mail.name}/{first}/deployed-v1.json"
    blob = bench.clients.account.blobs.get_blob_client("backups", path)
    if content is None:
        blob.delete_blob()
    else:
        blob.upload_blob(content, overwrite=True, metadata=blob.get_blob_properties().metadata)
    again = run(mail.bench(), BACKUP)
    assert again.result["is_new"] is True
    assert again.result["version"] != first
    replicated = run(mail.bench())
    assert replicated.result["version"] == again.result["version"]
    mail.primary.seed(delete=[mail.name])
    assert run(mail.bench(), RESTORE, to="primary").result["version"] == again.result["version"]
    assert mail.labels(mail.primary) == {"production": "v1"}
