"""Whose slots and models are touched in the secondary, what of it is kept as the way back, and what is asked first."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.simulators.language import KEY
from dev.simulators.language.samples import exported
from dev.simulators.remote import Simulators
from shared.clients.language import Resource, Training
from shared.errors import CrowdedError, PermanentError
from shared.handlers.language import checking, deploying, following, proving, training, undoing
from shared.handlers.language.replicate import Language as Replicate
from shared.replicas import Options, Trained
from tests.integration.language_stories import UNCOUNTED, Mail
from tests.integration.stages import Bench, clients_of

STEP = "replicate.language"
NOTHING = [{"category": "None", "confidenceScore": 1.0}]


@pytest.fixture
def mail(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch) -> Mail:
    """Give a project that its primary serves, and a second region that has none; nothing is waited for long."""
    for module, name in ((following, "SHOWN_WITHIN"), (proving, "ANSWERS_WITHIN"), (undoing, "SURE_AFTER")):
        monkeypatch.setattr(module, name, timedelta())
    monkeypatch.setattr(deploying, "SHOWN_WITHIN", timedelta())
    monkeypatch.setattr(training, "SHOWN_WITHIN", timedelta())
    mail = Mail(simulators, azurite)
    mail.begin()
    return mail


def refused(bench: Bench, reason: str, remedy: str, **params: Any) -> None:
    """See that the step is refused."""
    with pytest.raises(PermanentError) as problem:
        bench.run(STEP, **params)
    assert reason in problem.value.reason
    assert remedy in problem.value.remedy


def seed(mail: Mail, models: list[dict[str, Any]], **deployments: str) -> None:
    """Have the second region hold what the first one does, with models and deployments of its own."""
    project = {"exported": exported(mail.name), "models": models, "deployments": deployments}
    mail.secondary.seed(projects=[project])


# -- what expires soon ------------------------------------------------------------------------------------------------


def expire(mail: Mail, days: int) -> None:
    """Have the secondary's deployment expire in so many days."""
    day = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
    mail.secondary.seed(deployments=[{"project": mail.name, "name": "production", "model": "v1", "expires": day}])


def days_left(mail: Mail, name: str = "production") -> int:
    """Say for how long a deployment of the secondary goes on."""
    day = datetime.fromisoformat(mail.project(mail.secondary)["deployments"][name]["deploymentExpirationDate"])
    return (day.replace(tzinfo=UTC) - datetime.now(UTC)).days


def test_what_expires_soon_is_swapped_and_then_deployed_for_its_date(mail: Mail) -> None:
    """The slot keeps the former model, whose label is another model's by now; the new one has a new date."""
    mail.bench().run(STEP)
    before = mail.serving(mail.secondary)
    expire(mail, 20)
    mail.learn("v1")
    told = mail.bench().run(STEP)
    serving = mail.serving(mail.secondary)
    assert serving["production-next"] == before["production"] != serving["production"]
    assert days_left(mail) > 300
    assert mail.posts(mail.secondary, ":swap") == 1
    assert mail.posts(mail.secondary, "/deployments/production?") == 2, "the first time, and for the date"
    assert told.result["kept_slots"] == ["production-next"]
    assert "production serves it, and is deployed to for its date" in told.notes
    told = mail.bench().run(STEP)
    assert "everything is deployed already" in told.notes
    assert mail.serving(mail.secondary) == serving


@pytest.mark.parametrize("when", ["date", "confirm"])
def test_what_expires_soon_is_swapped_back(mail: Mail, when: str) -> None:
    """Whatever goes wrong after the swap, the slot has the former model, under whatever label it was."""
    mail.bench().run(STEP)
    before = mail.serving(mail.secondary)["production"]
    expire(mail, 20)
    mail.learn("v1")
    bench = mail.bench(proof={"utterances": [{"text": "read my new mail", "intent": "Read"}], "sample": 0})
    if when == "date":
        mail.secondary.seed(settings={"outcomes": {"deploy": ["succeeded", "failed"]}})

    def spoil(stage: str) -> None:
        if stage == "confirm":
            mail.secondary.seed(settings={"predictions": NOTHING})

    bench.before_stage = spoil
    refused(bench, "is failed" if when == "date" else "does not answer as it must", "replay")
    assert mail.serving(mail.secondary)["production"] == before
    assert mail.posts(mail.secondary, ":swap") == 2
    assert "the secondary serves what it served" in bench.told.undone
    assert mail.posts(mail.secondary, ":train") == 2
    mail.secondary.seed(settings={"predictions": None})
    mail.bench().run(STEP)
    assert mail.serving(mail.secondary)["production-next"] == before
    assert mail.posts(mail.secondary, ":train") == 2


def test_a_label_that_is_another_model_by_now_is_not_deployed(mail: Mail) -> None:
    """What is deployed straight to a name is what was proven in the slot, or nothing."""
    mail.bench().run(STEP)
    before = mail.serving(mail.secondary)["production"]
    expire(mail, -9)
    mail.learn("v2")
    bench = mail.bench()

    def train(stage: str) -> None:
        if stage == "promote":
            bench.clients.language.models.train(Resource(mail.secondary.url, KEY), mail.name, Training("v2"))

    bench.before_stage = train
    refused(bench, "v2 of the secondary was trained again, or deleted", "who trains there too")
    assert mail.serving(mail.secondary)["production"] == before


# -- slots ------------------------------------------------------------------------------------------------------------


def test_a_slot_of_somebodys_is_not_deployed_over(mail: Mail) -> None:
    """It is refused before anything is imported; under another name nothing is in the way, and theirs stays."""
    seed(mail, [{"label": "v0", "id": "v0-theirs"}], **{"production-next": "v0"})
    refused(mail.bench(), "production-next (which serves v0-theirs)", "give another `staging`")
    assert mail.posts(mail.secondary, mail.name) == 0
    mail.bench().run(STEP, staging="b")
    assert mail.labels(mail.secondary)["production"] == "v1"
    assert mail.serving(mail.secondary)["production-next"] == "v0-theirs"


def test_a_slot_of_somebodys_is_deployed_over_where_that_is_said(mail: Mail) -> None:
    """With overwrite_edits, as with whatever else is somebody's, and the note says what it served."""
    seed(mail, [{"label": "v0", "id": "v0-theirs"}], **{"production-next": "v0"})
    told = mail.bench().run(STEP, overwrite_edits=True)
    assert any("production-next (which serves v0-theirs) is somebody's, and is" in note for note in told.notes)
    assert mail.labels(mail.secondary) == {"production": "v1"}


def test_a_slot_that_somebody_takes_meanwhile_is_left_alone(mail: Mail) -> None:
    """Hours may lie between the first look and the deployment: it is looked once more."""
    seed(mail, [{"label": "v0", "id": "v0-theirs"}])
    bench = mail.bench()

    def take(stage: str) -> None:
        if stage == "deploy":
            mail.secondary.seed(deployments=[{"project": mail.name, "name": "production-next", "model": "v0"}])

    bench.before_stage = take
    refused(bench, "production-next (which serves v0-theirs)", "give another `staging`")
    assert mail.serving(mail.secondary) == {"production-next": "v0-theirs"}


def test_a_slot_that_keeps_what_somebody_had_deployed_is_ours(mail: Mail) -> None:
    """What served before was none of ours, and was swapped into the slot by us: the next release takes the slot."""
    seed(mail, [{"label": "v0", "id": "v0-theirs"}], production="v0")
    mail.bench().run(STEP)
    assert mail.serving(mail.secondary)["production-next"] == "v0-theirs"
    mail.learn("v2")
    mail.bench().run(STEP)
    assert mail.labels(mail.secondary) == {"production": "v2", "production-next": "v1"}


# -- room for models --------------------------------------------------------------------------------------------------


def fill(mail: Mail, *ours: str) -> None:
    """Have the second region hold ten models, one of which serves, one of which a slot, and some of which are ours."""
    models = [{"label": f"v{n}", "id": f"v{n}-id", "trained": f"2026-01-{n + 1:02}T00:00:00Z"} for n in range(10)]
    seed(mail, models, production="v9", **{"production-next": "v0"})
    replicas, host = mail.bench().clients.replicas, Resource(mail.primary.url).host
    replicas.note_slot(host, mail.name, host, "secondary/production-next", "v0-id")
    for label in ours:
        one = Trained(label=label, model=f"{label}-id", hash=label, left="", options=Options(mode="advanced"))
        replicas.note_training(host, mail.name, host, one)


def test_the_oldest_model_of_ours_that_nobody_needs_makes_room(mail: Mail) -> None:
    """Neither what a slot serves, nor what somebody else trained, nor what the primary has; and one is enough."""
    fill(mail, "v5", "v4", "v3", "v2", "v0")
    mail.begin(models=["v10", "v2"], deployments={"production": "v10"})
    mail.secondary.fault("lost_reply", n=1, method="DELETE", path="/models/")
    told = mail.bench().run(STEP)
    assert set(mail.project(mail.secondary)["models"]) == {f"v{n}" for n in (0, 1, 2, 4, 5, 6, 7, 8, 9, 10)}
    assert mail.labels(mail.secondary)["production"] == "v10"
    assert mail.serving(mail.secondary)["production-next"] == "v9-id"
    assert any("v3 will be deleted for room" in note for note in told.notes)
    mail.begin(models=["v11", "v2"], deployments={"production": "v11"})
    told = mail.bench().run(STEP)
    assert any("for room v0 was deleted in the secondary" in note for note in told.notes), "it is in no slot any more"
    assert "v0" not in mail.project(mail.secondary)["models"]


def test_where_no_model_of_ours_may_go_it_is_refused(mail: Mail) -> None:
    """Nothing is deleted that somebody may need, and nothing is begun: who looks after it is asked to."""
    fill(mail, "v0", "v2")
    mail.begin(models=["v10", "v2"], deployments={"production": "v10"})
    refused(mail.bench(), "has 10 models of 10 at most, and v10 would come", "v1, v2, v3")
    assert mail.posts(mail.secondary, mail.name) == 0


def test_a_version_that_is_brought_back_deletes_nothing(mail: Mail) -> None:
    """The primary may be gone, and its models with it: nobody knows what is needed."""
    mail.begin(models=["v10"], deployments={"production": "v10"})
    mail.bench().run("backup.language")
    fill(mail, "v1", "v2", "v3")
    with pytest.raises(PermanentError, match="has 10 models of 10 at most"):
        mail.bench().run("restore.language")
    assert len(mail.project(mail.secondary)["models"]) == 10


# -- what is asked before anything is paid for ------------------------------------------------------------------------


def test_whether_it_may_deploy_is_asked_once(mail: Mail) -> None:
    """That is asked by a write, of which there are ten in a minute: not at each look while somebody trains."""
    mail.bench().run(STEP)
    mail.secondary.seed(settings={"train_seconds": 1})
    mail.bench().clients.language.models.train(Resource(mail.secondary.url, KEY), mail.name, Training("theirs"))
    mail.secondary.seed(settings={"train_seconds": 0})
    told = mail.bench(secondary={"endpoint": mail.secondary.url}).run(STEP)
    assert sum("waits for the training of model theirs" in note for note in told.notes) > 2
    assert mail.posts(mail.secondary, "reactor-may-deploy") == 1


def test_a_busy_minute_does_not_skip_the_question(mail: Mail) -> None:
    """Where we have asked too much ourselves, it is asked later: a training may depend on it."""
    bench = mail.bench(secondary={"endpoint": mail.secondary.url})
    bench.clients = clients_of(mail.simulators, mail.storage, **UNCOUNTED | {"REACTOR_LANGUAGE_WRITES": "1"})
    with suppress(CrowdedError):
        bench.clients.language.deployments.delete(Resource(mail.secondary.url, KEY), mail.name, "none")
    result = {"name": "mail-bot", "deployments": {"production": "v1"}}
    with pytest.raises(CrowdedError):
        checking.target(Replicate(), bench.job("target", result))


def test_a_service_whose_configurations_have_all_expired_is_told_of(mail: Mail) -> None:
    """Also where the latest is wanted, which is none: before the import, and without advice to take the latest."""
    past = [{"trainingConfigVersion": "2022-09-01", "modelExpirationDate": "2026-01-31"}]
    mail.secondary.seed(settings={"config_versions": past})
    for wanted in ("latest", "2022-09-01"):
        bench = mail.bench(training={"config_version": wanted})
        refused(bench, "has expired, the last one on 2026-01-31", "declare a resource of that region")
    assert mail.posts(mail.secondary, mail.name) == 0


# -- what is compared with --------------------------------------------------------------------------------------------


def test_a_primary_that_released_another_model_meanwhile_is_not_compared_with(mail: Mail) -> None:
    """A training takes hours: what another model answers says nothing of this one, and the labels count."""
    bench = mail.bench()

    def release(stage: str) -> None:
        if stage == "prove":
            mail.learn("v2")
            mail.primary.seed(settings={"predictions": NOTHING})

    bench.before_stage = release
    told = bench.run(STEP)
    assert any("the primary serves another model as production by now: " in note for note in told.notes)
    (note,) = [note for note in told.notes if "answered alike" in note and "of 5" in note]
    assert "5 of them compared with their labels alone (the primary serves another model as production by now" in note
    assert mail.labels(mail.secondary) == {"production": "v1"}


def test_who_does_not_say_what_it_serves_is_compared_with(mail: Mail) -> None:
    """It answers, and that is all there is to go by."""
    bench = mail.bench()

    def cut(stage: str) -> None:
        if stage == "prove":
            mail.primary.seed(settings={"cut_off": "unavailable", "cut_off_of": "authoring"})

    bench.before_stage = cut
    told = bench.run(STEP)
    assert "5 of 5 utterances are answered alike" in told.notes
