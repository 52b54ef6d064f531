"""replicate.language over real https, from one simulated Language resource to another."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dev.simulators.language import KEY
from dev.simulators.language.samples import exported
from dev.simulators.remote import Simulators
from shared.clients.language import Job as ServiceJob
from shared.clients.language import Resource, Training
from shared.errors import DeniedError, PermanentError
from shared.events import announce
from shared.handlers import declared
from shared.handlers.language import checking, deploying, following, proving, undoing
from shared.handlers.language.replicate import Language as Replicate
from shared.language_content import fingerprint
from shared.stages import Done
from tests.integration import stages
from tests.integration.language_stories import EDIT, Mail
from tests.integration.stages import Bench

STEP = "replicate.language"


@pytest.fixture
def mail(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch) -> Mail:
    """Give a project that its primary serves, and a second region that has none; nothing is waited for long."""
    for module, name in ((following, "SHOWN_WITHIN"), (proving, "ANSWERS_WITHIN"), (undoing, "SURE_AFTER")):
        monkeypatch.setattr(module, name, getattr(module, name) * 0)
    monkeypatch.setattr(deploying, "SHOWN_WITHIN", deploying.SHOWN_WITHIN * 0)
    mail = Mail(simulators, azurite)
    mail.begin()
    return mail


def refused(bench: Bench, reason: str, remedy: str = "", **params: Any) -> PermanentError:
    """See that the step is refused."""
    with pytest.raises(PermanentError) as problem:
        bench.run(STEP, **params)
    assert reason in problem.value.reason
    assert remedy in problem.value.remedy
    return problem.value


def untouched(mail: Mail) -> None:
    """See that nothing was begun in the secondary."""
    assert [one["url"] for one in mail.secondary.seen() if one["method"] in ("POST", "PUT", "DELETE", "PATCH")] == []


# -- a replication ----------------------------------------------------------------------------------------------------


def test_a_project_is_brought_to_an_empty_region(mail: Mail) -> None:
    """It is kept, imported, trained, proven in a slot and deployed; the slot of a new deployment goes."""
    bench = mail.bench()
    told = bench.run(STEP)
    assert mail.labels(mail.secondary) == {"production": "v1"}
    assert mail.texts(mail.secondary) == mail.texts(mail.primary)
    assert told.result["replicated"] == ["v1"]
    assert told.result["served"] == mail.serving(mail.secondary)
    assert told.result["agreed"] == 1.0
    assert any("billed" in note for note in told.notes)
    kept = mail.kept(bench)
    assert kept is not None
    assert kept.primary_models == mail.serving(mail.primary)
    assert kept.secondary_models == mail.serving(mail.secondary)
    assert kept.hashes == {"v1": fingerprint(exported(mail.name))}
    assert kept.secondary_hash == fingerprint(mail.project(mail.secondary)["exported"])
    assert (kept.version, kept.proof.asked) == (told.result["version"], 5)
    manifest = bench.clients.language_backups.manifest("127.0.0.1", mail.name, kept.version)
    assert manifest is not None
    assert set(manifest.files) == {"deployed-v1.json", "working_copy.json"}
    assert (manifest.deployments, manifest.models) == ({"production": "v1"}, {"v1": kept.primary_models["production"]})


def test_a_change_is_swapped_in_and_the_former_model_stays_in_the_slot(mail: Mail) -> None:
    """What serves is swapped once, with the slot that was proven; the next time the slot is used again."""
    mail.bench().run(STEP)
    mail.learn("v2")
    told = mail.bench().run(STEP)
    assert mail.labels(mail.secondary) == {"production": "v2", "production-next": "v1"}
    assert told.result["kept_slots"] == ["production-next"]
    assert mail.posts(mail.secondary, ":swap") == 1
    mail.learn("v3")
    mail.bench().run(STEP)
    assert mail.labels(mail.secondary) == {"production": "v3", "production-next": "v2"}


def test_a_label_that_was_trained_again_is_overwritten(mail: Mail) -> None:
    """The same label with another content is another model: it is trained in place of the first, then swapped in."""
    mail.bench().run(STEP)
    before = mail.serving(mail.secondary)["production"]
    mail.learn("v1")
    mail.bench().run(STEP)
    serving = mail.serving(mail.secondary)
    assert serving["production"] != before == serving["production-next"]
    assert list(mail.project(mail.secondary)["models"]) == ["v1"]


def test_where_nothing_differs_nothing_is_trained(mail: Mail) -> None:
    """It is proven again, asked as much as the first time, and the backup is the same version."""
    first = mail.bench().run(STEP)
    bench = mail.bench()
    before = mail.kept(bench)
    again = bench.run(STEP)
    assert mail.posts(mail.secondary, ":train") == mail.posts(mail.secondary, ":import") == 1
    assert again.result["version"] == first.result["version"]
    assert "nothing had to be trained" in again.notes[-1]
    kept = mail.kept(bench)
    assert kept is not None
    assert before is not None
    assert kept.replicated == before.replicated < kept.proven
    assert (kept.proof.asked, kept.proof.intents) == (5, before.proof.intents)


def test_force_and_other_options_train_anew(mail: Mail) -> None:
    """What is billed is done again only where it is asked for, or where the training would be another one."""
    mail.bench().run(STEP)
    mail.bench().run(STEP, force=True)
    assert mail.posts(mail.secondary, ":train") == 2
    bench = mail.bench(training={"evaluation": {"kind": "manual"}})
    bench.run(STEP)
    assert mail.posts(mail.secondary, ":train") == 3
    kept = mail.kept(bench)
    assert kept is not None
    assert kept.training.evaluation.kind == "manual"


def test_several_deployments_of_several_models(mail: Mail) -> None:
    """Each distinct model is imported and trained once, the others are deployed from it."""
    project = {"exported": exported(mail.name), "models": ["v1", "v2"]}
    mail.primary.seed(projects=[project | {"deployments": {"production": "v1", "canary": "v2", "eu": "v1"}}])
    changes = {"deployments": ["production", "canary", "eu"]}
    told = mail.bench(**changes).run(STEP)
    assert mail.labels(mail.secondary) == {"production": "v1", "canary": "v2", "eu": "v1"}
    assert told.result["replicated"] == ["v1", "v2"]
    assert mail.posts(mail.secondary, ":train") == 2
    mail.secondary.seed(deployments=[{"project": mail.name, "name": "eu", "model": "v2"}])
    mail.bench(**changes).run(STEP)
    assert mail.labels(mail.secondary) == {"production": "v1", "canary": "v2", "eu": "v1", "eu-next": "v2"}
    assert mail.posts(mail.secondary, ":train") == 2


def test_the_working_copy_is_followed_where_that_is_said(mail: Mail) -> None:
    """What is being labelled is trained; what is deployed is backed up beside it."""
    mail.edit(mail.primary)
    bench = mail.bench(follow="working_copy")
    told = bench.run(STEP)
    assert EDIT["text"] in mail.texts(mail.secondary)
    assert mail.labels(mail.secondary) == {"production": "v1"}
    manifest = bench.clients.language_backups.manifest("127.0.0.1", mail.name, told.result["version"])
    assert manifest is not None
    assert manifest.file_for("v1") == "working_copy.json"
    assert manifest.files["deployed-v1.json"].holds != manifest.files["working_copy.json"].holds


def test_what_is_half_labelled_does_not_reach_the_secondary(mail: Mail) -> None:
    """By default the snapshot of what is deployed is replicated; the working copy is only backed up."""
    mail.edit(mail.primary)
    bench = mail.bench()
    told = bench.run(STEP)
    assert EDIT["text"] not in mail.texts(mail.secondary)
    kept = mail.kept(bench)
    assert kept is not None
    assert kept.working_hash != kept.hashes["v1"]
    assert told.result["version"] == kept.version


def test_other_versions_of_the_api(mail: Mail) -> None:
    """Each resource is asked in its own; what it spells otherwise is no other content."""
    secondary = {"endpoint": mail.secondary.url, "key": "${LANGUAGE_KEY}", "api_version": "2025-11-01"}
    mail.secondary.seed(settings={"shuffled": True})
    mail.bench(secondary=secondary).run(STEP)
    mail.bench(secondary=secondary).run(STEP)
    assert mail.posts(mail.secondary, ":train") == 1
    assert mail.secondary.seen("POST", ":train")[0]["url"].endswith("2025-11-01")


# -- what is refused before anything is begun -------------------------------------------------------------------------


def test_a_primary_that_cannot_be_replicated(mail: Mail) -> None:
    """No project, another case, nothing deployed, a model that is gone, no snapshot: each with its remedy."""
    mail.primary.seed(delete=[mail.name])
    refused(mail.bench(), f'has no project "{mail.name}"', "restore.language")
    mail.begin()
    refused(mail.bench(project=mail.name.upper()), f'called "{mail.name}"', mail.name)
    refused(mail.bench(deployments=["production", "canary"]), "serves nothing as canary", "follow: working_copy")
    mail.begin(models=[{"label": "v1", "snapshot": False}])
    refused(mail.bench(), "no snapshot of what v1", "train and deploy it again")
    mail.begin()
    mail.primary.seed(settings={"train_seconds": 0})
    untouched(mail)


def test_a_model_that_was_trained_again_after_it_was_deployed(mail: Mail) -> None:
    """Its snapshot is another one by now: what is served cannot be exported."""
    client = mail.bench().clients.language
    place = mail.declared().language["mail-bot"].primary
    at = Resource(place.endpoint, KEY)
    client.models.train(at, mail.name, Training("v1"))
    refused(mail.bench(), "is not among its models any more", "v1")
    untouched(mail)


def test_a_secondary_that_has_another_case(mail: Mail) -> None:
    """Upper and lower case count, and the remedy says how it is called there."""
    mail.secondary.seed(projects=[{"exported": exported(mail.name.upper())}])
    refused(mail.bench(), f'called "{mail.name.upper()}"', "the same name")
    untouched(mail)


def test_the_standard_mode_is_for_english_only(mail: Mail) -> None:
    """It is refused by what the primary says of the project, before anything is exported."""
    refused(mail.bench(training={"mode": "standard"}), "is multilingual", "mode: advanced")
    mail.begin(exported=exported(mail.name, multilingual=False, language="ko"))
    refused(mail.bench(training={"mode": "standard"}), "is in ko", "mode: advanced")
    assert mail.posts(mail.primary, ":export") == 0
    mail.begin(exported=exported(mail.name, multilingual=False))
    mail.bench(training={"mode": "standard"}).run(STEP)
    untold = mail.bench(training={"mode": "standard"}).run(STEP)
    assert not any("billed" in note for note in untold.notes)


def test_a_training_configuration_that_the_service_has_not(mail: Mail) -> None:
    """An unknown one and one whose models have expired are refused, with those that would do."""
    versions = [
        {"trainingConfigVersion": "2020-01-01", "modelExpirationDate": "2021-01-01"},
        {"trainingConfigVersion": "2027-01-01", "modelExpirationDate": "2099-01-01"},
    ]
    mail.secondary.seed(settings={"config_versions": versions})
    refused(mail.bench(training={"config_version": "2022-09-01"}), "no training configuration 2022-09-01", "2027-01-01")
    refused(mail.bench(training={"config_version": "2020-01-01"}), "expired on 2021-01-01", "2027-01-01")
    untouched(mail)


def test_limits_are_counted_first(mail: Mail) -> None:
    """Ten deployments with the slots, and ten models: what nobody needs is named."""
    full = {"exported": exported(mail.name), "models": [f"m{at}" for at in range(10)]}
    mail.secondary.seed(projects=[full | {"deployments": {"old": "m0"}}])
    refused(mail.bench(), "has 10 models of 10 at most, and v1 would come", "m1, m2")
    names = {f"d{at}": "m0" for at in range(9)}
    mail.secondary.seed(projects=[full | {"models": ["m0"], "deployments": names}])
    refused(mail.bench(), "would have 11 deployments", "d0, d1")
    refused(mail.bench(), "would have 11 deployments", staging="next")
    untouched(mail)
    refused(mail.bench(deployments=["p" * 50]), "has 55 characters", "shorter")
    refused(mail.bench(deployments=["p", "p-next"]), "a deployment of its own", "staging")


def test_a_region_that_cannot_author(mail: Mail) -> None:
    """It only predicts: what can be done about it is told before anything is exported."""
    mail.secondary.seed(settings={"authoring": False})
    refused(mail.bench(), "Authoring is not supported", "a region that can author")
    assert mail.posts(mail.primary, ":export") == 0


def test_which_project_is_meant(mail: Mail) -> None:
    """The event's, else the only one; by its declared name or its own."""
    bench = mail.bench()
    assert declared.language(bench.job(), "")[0] == "mail-bot"
    assert declared.language(bench.job(), mail.name)[0] == "mail-bot"
    elsewhere = mail.declared(secondary={"endpoint": "https://mail-kr.example"}).language["mail-bot"]
    both = {"other": elsewhere, "mail-bot": mail.declared().language["mail-bot"]}
    bench.declared = bench.declared.model_copy(update={"language": both})
    assert declared.language(bench.job(), "")[0] == "mail-bot"
    assert declared.language(bench.job(), "other")[0] == "other"
    bench.event = announce("ActionFailed", id="1", time=datetime.now(UTC))
    with pytest.raises(PermanentError, match="several to choose from: other, mail-bot"):
        declared.language(bench.job(), "")
    bench.declared = mail.declared()
    assert declared.language(bench.job(), "")[0] == "mail-bot"
    with pytest.raises(PermanentError, match='"gone" is not declared'):
        declared.language(bench.job(), "gone")


# -- a secondary that is not ours alone -------------------------------------------------------------------------------


def test_a_secondary_that_was_edited_by_hand_is_not_replaced(mail: Mail) -> None:
    """The step is refused; where the rule says so, the edits are kept in the backup, and then replaced."""
    mail.bench().run(STEP)
    mail.edit(mail.secondary)
    mail.learn("v2")
    refused(mail.bench(), "it was edited by hand", "overwrite_edits: true")
    assert EDIT["text"] in mail.texts(mail.secondary)
    assert mail.labels(mail.secondary) == {"production": "v1"}
    bench = mail.bench()
    edited = fingerprint(mail.project(mail.secondary)["exported"])
    told = bench.run(STEP, overwrite_edits=True)
    manifest = bench.clients.language_backups.manifest("127.0.0.1", mail.name, told.result["version"])
    assert manifest is not None
    assert manifest.files["secondary.json"].holds == edited
    assert fingerprint(bench.clients.language_backups.read(manifest, "secondary.json")) == edited
    assert mail.labels(mail.secondary)["production"] == "v2"


def test_a_project_that_was_never_replicated_counts_as_edited(mail: Mail) -> None:
    """Somebody else's project of the same name is not lost; one of the same content is taken over."""
    mail.secondary.seed(projects=[{"name": mail.name, "utterances": [{"text": "hello", "intent": "Greet"}]}])
    refused(mail.bench(), "1 utterance with 0 labels", "overwrite_edits")
    mail.secondary.seed(projects=[{"exported": exported(mail.name)}])
    mail.bench().run(STEP)
    assert mail.labels(mail.secondary)["production"] == "v1"


def test_a_training_that_runs_there_is_waited_for(mail: Mail) -> None:
    """A project trains one model at a time; what somebody else began is not disturbed."""
    mail.bench().run(STEP)
    mail.secondary.seed(settings={"train_seconds": 0.4})
    mail.learn("v2")
    mail.bench().clients.language.models.train(Resource(mail.secondary.url, KEY), mail.name, Training("theirs"))
    told = mail.bench().run(STEP)
    assert any("waits for the training of model theirs" in note for note in told.notes)
    assert mail.labels(mail.secondary)["production"] == "v2"
    assert "theirs" in mail.project(mail.secondary)["models"]


def test_one_action_at_a_time(mail: Mail) -> None:
    """The secondary's project is locked: a second action waits."""
    first, second = mail.bench(), mail.bench()
    lock = f"language:127.0.0.1/{mail.name}"
    assert first.locks.hold(lock, first.key, datetime.now(UTC), lambda _key: False) == ""
    waited: list[str] = []

    def note(stage: str) -> None:
        if stage == "look":
            waited.append(first.locks.hold(lock, second.key, datetime.now(UTC), lambda _key: False))
            first.locks.let_go(lock, first.key, datetime.now(UTC))

    second.before_stage = note
    second.run(STEP)
    assert waited == [first.key]


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_training_that_fails_says_why_and_the_secondary_serves_what_it_served(mail: Mail) -> None:
    """Its details are told; the next time what the failed one imported is not taken for an edit, nor trained again."""
    mail.bench().run(STEP)
    before = mail.serving(mail.secondary)
    mail.learn("v2")
    why = {"code": "InvalidArgument", "message": "Too few utterances.", "target": "Archive"}
    mail.secondary.seed(settings={"outcomes": {"train": [{"status": "failed", "errors": [why]}]}})
    bench = mail.bench()
    problem = refused(bench, "Too few utterances", "correct what is labelled")
    assert "ended as failed: InvalidArgument" in problem.reason
    assert "serves what it served" not in problem.reason + problem.remedy  # that is what `undone` is for
    assert bench.told.undone == "the secondary serves what it served"
    assert mail.serving(mail.secondary) == before
    billed = mail.posts(mail.secondary, ":train")
    refused(mail.bench(), "before, and that failed: InvalidArgument: Archive: Too few utterances", "force: true")
    assert mail.posts(mail.secondary, ":train") == billed
    mail.bench().run(STEP, force=True)
    assert mail.labels(mail.secondary)["production"] == "v2"


@pytest.mark.parametrize(("kind", "word"), [("import", "import"), ("deploy", "deployment"), ("swap", "deployment")])
def test_any_job_that_fails_leaves_the_secondary_serving(mail: Mail, kind: str, word: str) -> None:
    """Whatever fails, what served before serves; a slot that stays is named."""
    mail.bench().run(STEP)
    before = mail.serving(mail.secondary)
    mail.learn("v2")
    mail.secondary.seed(settings={"outcomes": {kind: ["failed"]}})
    bench = mail.bench()
    problem = refused(bench, word, "replay")
    assert "failed for a reason of its own" in problem.reason
    assert mail.serving(mail.secondary)["production"] == before["production"]
    assert ("staging slot production-next stays" in bench.told.undone) == (kind == "swap")
    trained = mail.posts(mail.secondary, ":train")
    told = mail.bench().run(STEP)
    assert mail.labels(mail.secondary)["production"] == "v2"
    assert mail.posts(mail.secondary, ":train") == trained + (kind == "import")
    assert told.result["replicated"] == (["v2"] if kind == "import" else [])


def test_an_evaluation_that_is_worse_is_not_deployed(mail: Mail) -> None:
    """By more than the margin; both numbers are told, and the model stays undeployed."""
    mail.bench().run(STEP)
    mail.learn("v2")
    mail.secondary.seed(settings={"evaluation": {"intents": {"macroF1": 0.1}}})
    refused(mail.bench(), "macro F1 of its intents is 0.100", "larger `margin`")
    assert mail.labels(mail.secondary) == {"production": "v1"}
    mail.bench(proof={"margin": 1.0}).run(STEP)
    assert mail.labels(mail.secondary)["production"] == "v2"


def test_answers_that_are_wrong_are_not_swapped_in(mail: Mail) -> None:
    """Stated intents have to be answered, sampled ones by a share; the slot that stays is named."""
    mail.bench().run(STEP)
    mail.learn("v2")
    stated = {"utterances": [{"text": "archive it", "intent": "Delete"}]}
    bench = mail.bench(proof=stated)
    refused(bench, '"archive it": Archive, not Delete', "correct the intent")
    assert "production-next stays" in bench.told.undone
    mail.secondary.seed(settings={"predictions": [{"category": "Nonsense", "confidenceScore": 1.0}]})
    refused(mail.bench(), "answers 0 of 5 utterances as it should, and 80% have to be", "smaller `agree`")
    assert mail.labels(mail.secondary)["production"] == "v1"


def test_what_is_proven_and_not_noted_is_only_noted(mail: Mail) -> None:
    """Where the last step of all fails, the next time finds everything equal: nothing is billed again."""
    mail.secondary.seed(settings={"outcomes": {"export": ["succeeded", "succeeded", "failed"]}})
    bench = mail.bench()
    refused(bench, "the secondary serves it, and cannot be exported", "nothing is trained anew")
    assert bench.told.undone == "the secondary serves what was proven"
    assert mail.kept(bench) is None
    told = mail.bench().run(STEP)
    assert mail.posts(mail.secondary, ":train") == 1
    kept = mail.kept(bench)
    assert kept is not None
    assert (kept.proof.asked, kept.proof.intents, told.result["replicated"]) == (5, told.result["f1_intents"], [])
    assert kept.proof.intents is not None


def test_the_labels_count_where_the_primary_does_not_answer(mail: Mail) -> None:
    """A primary that is cut off is no reason not to be ready."""
    mail.primary.seed(settings={"cut_off": "unavailable", "cut_off_of": "runtime"})
    told = mail.bench().run(STEP)
    assert mail.labels(mail.secondary) == {"production": "v1"}
    assert told.result["agreed"] >= 0.8


def test_what_is_wrong_once_it_serves_is_swapped_back(mail: Mail) -> None:
    """The slot has what served before: one more swap brings it back."""
    mail.bench().run(STEP)
    before = mail.serving(mail.secondary)
    mail.learn("v2")
    bench = mail.bench(proof={"utterances": [{"text": "delete all spam", "intent": "Delete"}]})

    def spoil(stage: str) -> None:
        if stage == "confirm":
            mail.secondary.seed(settings={"predictions": [{"category": "Read", "confidenceScore": 1.0}]})

    bench.before_stage = spoil
    refused(bench, "does not answer as it must")
    assert mail.serving(mail.secondary)["production"] == before["production"]
    assert mail.posts(mail.secondary, ":swap") == 2
    assert "the secondary serves what it served" in bench.told.undone
    assert "production-next stays" in bench.told.undone


def test_without_a_slot_the_former_model_is_deployed_again(mail: Mail) -> None:
    """There is no proof before it serves; where the proof fails then, what served before is deployed again."""
    mail.bench().run(STEP, staging="")
    assert mail.labels(mail.secondary) == {"production": "v1"}
    before = mail.serving(mail.secondary)
    mail.learn("v2")
    mail.secondary.seed(settings={"predictions": [{"category": "Nonsense", "confidenceScore": 1.0}]})
    bench = mail.bench()
    with pytest.raises(PermanentError, match="as it should"):
        bench.run(STEP, staging="")
    assert mail.serving(mail.secondary) == before
    mail.secondary.seed(settings={"predictions": None})
    mail.bench().run(STEP, staging="")
    assert mail.labels(mail.secondary) == {"production": "v2"}
    assert mail.posts(mail.secondary, ":swap") == 0


def test_somebody_who_deploys_meanwhile_is_not_overruled(mail: Mail) -> None:
    """Before a swap it is looked what serves: where that is neither, nothing is swapped."""
    mail.bench().run(STEP)
    mail.learn("v2")
    bench = mail.bench()

    def theirs(stage: str) -> None:
        if stage == "promote":
            mail.secondary.seed(deployments=[{"project": mail.name, "name": "production-next", "model": "v1"}])

    bench.before_stage = theirs
    refused(bench, "does not serve what was proven any more", "who deploys there too")
    bench = mail.bench(training={"evaluation": {"kind": "manual"}})

    def ours(stage: str) -> None:
        if stage == "promote":
            mail.secondary.seed(deployments=[{"project": mail.name, "name": "production", "model": "v2"}])

    bench.before_stage = ours
    bench.run(STEP)
    assert mail.labels(mail.secondary)["production"] == "v2"
    assert mail.posts(mail.secondary, ":swap") == 0


def test_a_role_that_may_not_deploy_is_named(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found out before anything is imported or trained there, which is billed; the remedy names the role."""
    mail.bench().run(STEP)
    mail.learn("v2")
    mail.secondary.seed(settings={"token_role": "writer"})
    monkeypatch.setattr(stages, "PATIENCE", 1.5)
    bench = mail.bench(secondary={"endpoint": mail.secondary.url})
    with pytest.raises(AssertionError, match="stage target hangs"):
        bench.run(STEP)
    assert "PermissionDenied" in bench.told.troubles[-1]
    assert (mail.posts(mail.secondary, ":import"), mail.posts(mail.secondary, ":train")) == (1, 1)
    assert mail.labels(mail.secondary) == {"production": "v1"}
    with pytest.raises(DeniedError) as problem:
        checking.target(Replicate(), bench.job("target", bench.told.result))
    assert "Cognitive Services Language Owner" in problem.value.remedy


@pytest.mark.parametrize(("label", "is_ours"), [("v1", True), ("theirs", False)])
def test_a_training_that_nobody_waits_for_is_stopped(mail: Mail, label: str, is_ours: bool) -> None:  # noqa: FBT001 # a case
    """It is billed: where the step is called off, ours is cancelled, and nobody else's."""
    mail.secondary.seed(projects=[{"exported": exported(mail.name)}], settings={"train_seconds": 600})
    bench, at = mail.bench(), Resource(mail.secondary.url, KEY)
    bench.clients.language.models.train(at, mail.name, Training(label))
    result = {
        "name": "mail-bot", "deployments": {"production": "v1"}, "trained": {}, "began": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    told = undoing.undo(None, bench.job("undo", result))
    assert isinstance(told, Done)
    assert ("the training of v1 is cancelled" in told.note) == is_ours
    (job,) = bench.clients.language.models.training_jobs(at, mail.name)
    assert (job.status in ("cancelling", "cancelled")) == is_ours


# -- jobs that expire, or do a part -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["export", "import", "train", "deploy", "swap"])
def test_jobs_that_are_gone_are_begun_again_only_where_nothing_was_done(mail: Mail, kind: str) -> None:
    """What a forgotten job did stays done, and is seen; only an export, which only reads, is made again."""
    mail.bench().run(STEP)
    mail.learn("v2")
    for remote in (mail.primary, mail.secondary):
        remote.seed(settings={"outcomes": {kind: ["expired"]}})
    before = mail.posts(mail.secondary, f":{kind}")
    mail.bench().run(STEP)
    assert mail.labels(mail.secondary)["production"] == "v2"
    if kind in ("import", "train", "swap"):
        assert mail.posts(mail.secondary, f":{kind}") == before + 1


def test_an_import_that_is_partial_goes_on_where_everything_arrived(mail: Mail) -> None:
    """What arrived is compared, whatever the job says of itself."""
    mail.secondary.seed(settings={"outcomes": {"import": ["partiallyCompleted"]}})
    told = mail.bench().run(STEP)
    assert any("the import ended as partiallyCompleted" in note for note in told.notes)
    assert mail.labels(mail.secondary) == {"production": "v1"}


@pytest.mark.parametrize("times", [1, 9])
def test_an_import_that_is_not_whole_is_made_once_more(mail: Mail, times: int) -> None:
    """Nothing is trained from what lacks something: it is imported once more, and then the step fails."""
    bench, seen = mail.bench(), list[str]()

    def lose(stage: str) -> None:
        if stage == "verify" and len(seen) < times:
            seen.append(stage)
            mail.secondary.seed(edits=[{"project": mail.name, "forget": ["delete all spam"]}])

    bench.before_stage = lose
    if times > 1:
        refused(bench, "is not whole: of 24 utterances", "limits")
        assert mail.posts(mail.secondary, ":train") == 0
        return
    told = bench.run(STEP)
    assert any("it is imported once more" in note for note in told.notes)
    assert mail.labels(mail.secondary) == {"production": "v1"}


def test_a_cancelled_training_is_told(mail: Mail) -> None:
    """Somebody who cancels it in the portal is not overruled."""
    mail.secondary.seed(settings={"outcomes": {"train": ["cancelled"]}})
    refused(mail.bench(), "is cancelled", "replaying")
    assert mail.labels(mail.secondary) == {}


# -- the next look ----------------------------------------------------------------------------------------------------


def test_the_next_look_is_when_the_training_expects_to_end() -> None:
    """By its own estimate, else by how far it is; bounded both ways, and the usual interval where nothing is said."""
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def job(**told: Any) -> ServiceJob:
        return ServiceJob(url="https://x", id="1", status="running", **told)

    assert following.wait(job(estimated_end=now.replace(minute=2)), now) == 120
    assert following.wait(job(estimated_end=now.replace(hour=5)), now) == 600
    assert following.wait(job(percent=50, created=datetime(2025, 12, 31, 23, 58, 20, tzinfo=UTC)), now) == 100
    assert following.wait(job(percent=99, created=datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)), now) == 5
    assert following.wait(job(), now) is None
    assert following.wait(job(estimated_end=now.replace(year=2025)), now) is None
