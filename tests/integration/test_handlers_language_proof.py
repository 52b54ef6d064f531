"""What a replication is proven by, and what becomes of deployments of the secondary that expire."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Thread, Timer

import pytest
from azure.core.pipeline.transport import RequestsTransport

from dev.simulators.language import KEY
from dev.simulators.remote import Simulators
from shared.clients.language import Deployment, Resource
from shared.errors import PermanentError
from shared.handlers.language import deploying, following, proving, training, undoing
from shared.rules.declared import Declared
from tests.integration import stages
from tests.integration.language_stories import Mail
from tests.integration.stages import Bench

STEP, RESTORE = "replicate.language", "restore.language"
SILENT = {"cut_off": "unavailable", "cut_off_of": "runtime"}
NOTHING = [{"category": "None", "confidenceScore": 1.0}]


@pytest.fixture
def mail(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch) -> Mail:
    """Give a project that its primary serves, and a second region that has none; nothing is waited for long."""
    for module, name in ((following, "SHOWN_WITHIN"), (proving, "ANSWERS_WITHIN"), (undoing, "SURE_AFTER")):
        monkeypatch.setattr(module, name, getattr(module, name) * 0)
    monkeypatch.setattr(deploying, "SHOWN_WITHIN", deploying.SHOWN_WITHIN * 0)
    monkeypatch.setattr(training, "SHOWN_WITHIN", timedelta())
    mail = Mail(simulators, azurite)
    mail.begin()
    return mail


def refused(bench: Bench, reason: str, remedy: str, step: str = STEP) -> None:
    """See that the step is refused."""
    with pytest.raises(PermanentError) as problem:
        bench.run(step)
    assert reason in problem.value.reason
    assert remedy in problem.value.remedy


# -- the proof --------------------------------------------------------------------------------------------------------

VAGUE = {"utterances": [{"text": "read my new mail"}], "sample": 0}
"""Only the primary knows what should be answered."""


def test_what_nobody_can_judge_is_not_proven(mail: Mail) -> None:
    """The primary does not answer, and no utterance says what it means: the secondary does not serve such a model."""
    mail.primary.seed(settings=SILENT)
    mail.secondary.seed(settings={"predictions": NOTHING})
    refused(mail.bench(proof=VAGUE), "production of the secondary is not proven: of nothing that", "say `intent`")
    assert "production" not in mail.serving(mail.secondary)
    mail.primary.seed(settings={"cut_off": ""})
    refused(mail.bench(proof=VAGUE), "answers 0 of 1 utterances", "smaller `agree`")
    mail.secondary.seed(settings={"predictions": None})
    mail.bench(proof=VAGUE).run(STEP)
    assert mail.labels(mail.secondary)["production"] == "v1"
    assert mail.posts(mail.secondary, ":train") == 1


def test_a_stated_intent_is_a_proof_without_the_primary(mail: Mail) -> None:
    """Who says what has to be answered needs nobody to compare with."""
    mail.primary.seed(settings=SILENT)
    mail.bench(proof={"utterances": [{"text": "archive it"}, {"text": "read it", "intent": "Read"}], "sample": 0}).run(
        STEP
    )
    assert mail.labels(mail.secondary) == {"production": "v1"}


def test_a_primary_that_is_silent_for_a_moment_is_waited_for(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is all that there is to compare with, so it is asked again."""
    monkeypatch.setattr(proving, "ANSWERS_WITHIN", timedelta(minutes=3))
    mail.primary.seed(settings=SILENT)
    back = Timer(1.5, lambda: mail.primary.seed(settings={"cut_off": ""}))
    bench = mail.bench(proof=VAGUE)
    bench.before_stage = lambda stage: back.start() if stage == "prove" else None
    told = bench.run(STEP)
    assert any("waits for the primary to be asked, too: " in note for note in told.notes)
    assert told.result["agreed"] == 1.0


def test_labels_that_stand_in_for_the_primary_are_told_of(mail: Mail) -> None:
    """The note says how many answers were compared with labels alone, and why."""
    mail.primary.seed(settings=SILENT)
    told = mail.bench().run(STEP)
    (note,) = [note for note in told.notes if "answered alike" in note and "of 5" in note]
    assert "5 of them compared with their labels alone (the primary did not answer: " in note


def test_a_backup_that_nothing_could_prove_is_not_begun(mail: Mail) -> None:
    """A version that is brought back is compared with no primary: it is said before anything is paid for."""
    mail.bench().run("backup.language")
    refused(mail.bench(proof=VAGUE), "nothing could prove it", "say `intent`", RESTORE)
    assert mail.posts(mail.secondary, mail.name) == 0


def test_an_evaluation_that_cannot_be_read_is_told_of(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, and then done without: the note says that and why, and not that there is none."""
    monkeypatch.setattr(RequestsTransport, "sleep", lambda _self, _seconds: None)  # what the HTTP layer waits by itself

    def cut(stage: str) -> None:
        mail.primary.seed(settings={"cut_off": "unavailable" if stage == "evaluate" else "", "cut_off_of": "authoring"})

    bench = mail.bench()
    bench.before_stage = cut
    told = bench.run(STEP)
    assert any("v1: not compared by evaluation, for the primary's cannot be read: " in note for note in told.notes)
    monkeypatch.setattr(training, "SHOWN_WITHIN", timedelta(minutes=10))
    mail.learn("v2")
    back = Thread(target=lambda: restore_once(lambda: "is waited for" in str(bench.told.notes)))

    def restore_once(is_seen: Callable[[], bool]) -> None:
        until = time.monotonic() + stages.PATIENCE / 2
        while not is_seen() and time.monotonic() < until:
            time.sleep(0.02)
        mail.primary.seed(settings={"cut_off": ""})

    def cut_for_a_moment(stage: str) -> None:
        if stage == "evaluate":
            cut(stage)
            back.start()

    bench = mail.bench()
    bench.before_stage = cut_for_a_moment
    told = bench.run(STEP)
    back.join()
    assert any("in the primary is waited for" in note for note in told.notes)
    assert any("macro F1 of v2: intents" in note for note in told.notes)


# -- what expires -----------------------------------------------------------------------------------------------------


def day(days: int) -> str:
    """Give a date so many days from now, as the service writes dates."""
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def expire(mail: Mail, days: int) -> None:
    """Have the secondary's deployment expire in so many days."""
    mail.secondary.seed(deployments=[{"project": mail.name, "name": "production", "model": "v1", "expires": day(days)}])


def deployment(mail: Mail) -> Deployment:
    """Give the secondary's deployment."""
    at = Resource(mail.secondary.url, KEY)
    found = mail.bench().clients.language.deployments.list(at, mail.name)
    return next(one for one in found if one.name == "production")


@pytest.mark.parametrize("days", [-9, 20])
def test_a_deployment_that_expires_is_deployed_again(mail: Mail, days: int) -> None:
    """The model is the right one: nothing is trained, it is proven in the slot, and has a new date."""
    mail.bench().run(STEP)
    before = mail.serving(mail.secondary)
    expire(mail, days)
    told = mail.bench().run(STEP)
    assert mail.serving(mail.secondary) == before, "and no slot"
    expires = deployment(mail).expires
    assert expires is not None
    assert expires > datetime.now(UTC) + timedelta(days=300)
    assert (mail.posts(mail.secondary, ":train"), mail.posts(mail.secondary, ":swap")) == (1, 0)
    assert any("production expires soon, or has" in note for note in told.notes)
    told = mail.bench().run(STEP)
    assert any("everything is deployed already" in note for note in told.notes)


@pytest.mark.parametrize("force", [False, True])
def test_a_new_model_takes_the_place_of_one_that_has_expired(mail: Mail, force: bool) -> None:  # noqa: FBT001 # a case
    """It is deployed straight to the name once it is proven; what answers no more is no way back, so the slot goes."""
    mail.bench().run(STEP)
    expire(mail, -9)
    if not force:
        mail.learn("v2")
    told = mail.bench().run(STEP, force=force)
    assert mail.labels(mail.secondary) == {"production": "v1" if force else "v2"}
    expires = deployment(mail).expires
    assert expires is not None
    assert expires > datetime.now(UTC) + timedelta(days=300)
    assert mail.posts(mail.secondary, ":swap") == 0
    assert told.result["kept_slots"] == []


def test_what_is_wrong_in_place_of_an_expired_one_is_put_back(mail: Mail) -> None:
    """The former model is deployed again by its label, and is not swapped with a slot that has the new one, too."""
    mail.bench().run(STEP)
    before = mail.serving(mail.secondary)
    expire(mail, -9)
    mail.learn("v2")
    bench = mail.bench(proof={"utterances": [{"text": "delete all spam", "intent": "Delete"}]})

    def spoil(stage: str) -> None:
        if stage == "confirm":
            mail.secondary.seed(settings={"predictions": NOTHING})

    bench.before_stage = spoil
    refused(bench, "does not answer as it must", "correct the intent")
    assert mail.serving(mail.secondary)["production"] == before["production"]
    assert mail.posts(mail.secondary, ":swap") == 0
    assert "the secondary serves what it served" in bench.told.undone


def test_a_model_that_has_expired_is_trained_anew(mail: Mail) -> None:
    """Nothing can be deployed from it any more: the same content is trained again, without being forced."""
    mail.bench().run(STEP)
    held = mail.project(mail.secondary)["exported"]
    models = [{"label": "v1", "id": mail.serving(mail.secondary)["production"], "expires": day(-2)}]
    mail.secondary.seed(projects=[{"exported": held, "models": models, "deployments": {"production": "v1"}}])
    expire(mail, -1)
    mail.bench().run(STEP)
    assert mail.posts(mail.secondary, ":train") == 2
    assert mail.serving(mail.secondary)["production"] != models[0]["id"]
    expires = deployment(mail).expires
    assert expires is not None
    assert expires > datetime.now(UTC)


# -- two that are in each other's way ---------------------------------------------------------------------------------


def test_two_that_settings_bring_to_the_same_place_are_refused(mail: Mail) -> None:
    """The rules file cannot tell; what is filled in can, before anything is asked of either region."""
    bench = mail.bench()
    one = mail.declared().language["mail-bot"]
    at = one.secondary.model_copy(update={"endpoint": "${ELSEWHERE}"})
    other = one.model_copy(update={"secondary": at})
    bench.declared = Declared.model_construct(**{**dict(bench.declared), "language": {"mail-bot": one, "other": other}})
    bench.values = {**bench.values, "ELSEWHERE": mail.secondary.url.replace("https://", "HTTPS://") + "/"}
    before = len(mail.primary.seen())
    refused(bench, '"mail-bot" replicates the same project from and to the same resources as "other"', "endpoints name")
    assert len(mail.primary.seen()) == before
