"""A training is billed: it is not paid for twice, and what it made is compared with the very model it is made after."""

from typing import Any

import pytest

from dev.simulators.language import KEY
from dev.simulators.language.samples import exported
from dev.simulators.remote import Simulators
from shared.clients.language import Resource, Training
from shared.errors import PermanentError
from shared.handlers.language import deploying, following, proving, training, undoing
from shared.replicas import Trained
from tests.integration import stages
from tests.integration.language_stories import EDIT, Mail
from tests.integration.stages import Bench

STEP, HOST = "replicate.language", "127.0.0.1"
SUMMARY = "evaluation/summary-result"
BADLY = {"intents": {"macroF1": 0.1}, "entities": {"macroF1": 0.1}}


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


def refused(bench: Bench, reason: str, remedy: str = "", **params: Any) -> None:
    """See that the step is refused."""
    with pytest.raises(PermanentError) as problem:
        bench.run(STEP, **params)
    assert reason in problem.value.reason
    assert remedy in problem.value.remedy


def trainings(mail: Mail) -> int:
    """Count what was billed."""
    return mail.posts(mail.secondary, ":train")


def known(mail: Mail) -> tuple[Trained, ...]:
    """Give what is remembered of the trainings."""
    return mail.bench().clients.replicas.trained(HOST, mail.name, HOST)


# -- what it is compared with -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("theirs", [0.05, 0.99])
def test_a_model_that_was_trained_again_under_the_label_is_none_to_compare_with(mail: Mail, theirs: float) -> None:
    """Nobody serves it: better or worse than ours, it decides nothing, is told of, and is not remembered."""
    mail.secondary.seed(settings={"evaluation": {"intents": {"macroF1": 0.4}}})
    bench, language = mail.bench(), mail.bench().clients.language

    def retrained(stage: str) -> None:
        if stage == "evaluate":
            mail.primary.seed(settings={"evaluation": {"intents": {"macroF1": theirs}}})
            language.models.train(Resource(mail.primary.url, KEY), mail.name, Training("v1"))
            assert "v1" in mail.project(mail.primary)["models"]  # its state is asked for, so it is over

    bench.before_stage = retrained
    told = bench.run(STEP)
    (note,) = [note for note in told.notes if "not compared by evaluation" in note]
    assert "v1 was trained again there meanwhile, or deleted" in note
    (one,) = known(mail)
    assert (one.intents, one.primary_intents, one.primary_entities) == (0.4, None, None)
    assert mail.labels(mail.secondary) == {"production": "v1"}


@pytest.mark.parametrize("meanwhile", ["nothing", "somebody trains it again"])
def test_a_training_whose_end_nobody_saw_is_found_again(mail: Mail, meanwhile: str) -> None:
    """Who waited for it went away: what it made is taken, unless that may be somebody else's by now."""
    bench = mail.bench()

    def gone(stage: str) -> None:
        if stage == "evaluate":
            raise KeyboardInterrupt

    bench.before_stage = gone
    with pytest.raises(KeyboardInterrupt):
        bench.run(STEP)
    if meanwhile != "nothing":
        bench.clients.language.models.train(Resource(mail.secondary.url, KEY), mail.name, Training("v1"))
        assert "v1" in mail.project(mail.secondary)["models"]
    before = trainings(mail)
    told = mail.bench().run(STEP)
    assert trainings(mail) - before == (0 if meanwhile == "nothing" else 1)
    assert mail.labels(mail.secondary) == {"production": "v1"}
    assert any("macro F1 of v1" in note for note in told.notes) == (meanwhile != "nothing")
    assert [(one.begun, bool(one.model)) for one in known(mail)] == [(None, True)]


def test_a_training_whose_project_is_gone_is_begun_anew(mail: Mail) -> None:
    """Nobody saw its end, and the project was deleted with it: there is nothing to be found."""
    why = {"code": "InternalServerError", "message": "out of memory"}
    mail.secondary.seed(settings={"outcomes": {"train": [{"status": "failed", "errors": [why]}]}})
    refused(mail.bench(), "out of memory")
    mail.secondary.seed(delete=[mail.name])
    mail.bench().run(STEP)
    assert mail.labels(mail.secondary) == {"production": "v1"}
    assert [(one.begun, bool(one.model)) for one in known(mail)] == [(None, True)]


# -- an evaluation that is late, or lost ------------------------------------------------------------------------------


def test_a_model_whose_evaluation_cannot_be_read_is_not_trained_again(mail: Mail) -> None:
    """It is there, and paid for: the step is refused with what helps, each time, until it can be read."""
    failed = {"error": {"code": "InvalidRequest", "message": "The evaluation of the model failed."}}
    mail.secondary.fault("error", n=2, status=400, path=SUMMARY, body=failed)
    refused(mail.bench(), "(Language answered 400 InvalidRequest: The evaluation of the model failed.", "force: true")
    refused(mail.bench(), "before, and did badly: it has no evaluation", "say force: true")
    assert (trainings(mail), len(known(mail))) == (1, 1)
    told = mail.bench().run(STEP)
    assert (trainings(mail), mail.labels(mail.secondary)) == (1, {"production": "v1"})
    (one,) = known(mail)
    assert one.intents == told.result["f1_intents"] is not None
    assert one.primary_intents is not None


def test_a_training_is_remembered_before_its_evaluation_is_asked_for(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody answers until the step's deadline, the next one reads it, and pays for no second training."""
    mail.secondary.fault("unavailable", n=9999, path=SUMMARY)
    monkeypatch.setattr(stages, "PATIENCE", 2.0)
    for stage in ("evaluate", "compare"):
        with pytest.raises(AssertionError, match=f"stage {stage} hangs"):
            mail.bench().run(STEP)
    assert trainings(mail) == 1
    assert [one.intents for one in known(mail)] == [None]


def test_an_evaluation_that_is_late_counts_once_it_is_there(mail: Mail) -> None:
    """Both ways: a model that does well is taken, and one that does badly is refused with its numbers."""
    mail.secondary.seed(settings={"evaluation": BADLY})
    mail.secondary.fault("error", n=1, status=404, path=SUMMARY, body={"error": {"code": "NotFound", "message": "no"}})
    refused(mail.bench(), "it has no evaluation")
    refused(mail.bench(), "before, and did badly: the macro F1 of its intents is 0.100")
    assert trainings(mail) == 1
    mail.bench(proof={"margin": 1.0}).run(STEP)
    assert (trainings(mail), mail.labels(mail.secondary)) == (1, {"production": "v1"})


def test_a_reference_that_is_remembered_is_not_forgotten(mail: Mail) -> None:
    """Where the primary cannot be asked any more, a model without an evaluation is no better than it was."""
    body = {"error": {"code": "NotFound", "message": "no"}}
    mail.secondary.fault("error", n=2, status=404, path=SUMMARY, body=body)
    refused(mail.bench(), "it has no evaluation, and one where it comes from")
    mail.primary.fault("error", n=1, status=404, path=SUMMARY, body=body)
    refused(mail.bench(), "before, and did badly: it has no evaluation, and one where it comes from")
    assert trainings(mail) == 1


# -- a training that fails --------------------------------------------------------------------------------------------


def failing(mail: Mail, *codes: str) -> None:
    """Have the next training fail."""
    errors = [{"code": code, "message": "Too few utterances."} for code in codes]
    mail.secondary.seed(settings={"outcomes": {"train": [{"status": "failed", "errors": errors}]}})


def test_a_training_that_fails_for_its_content_is_not_begun_again(mail: Mail) -> None:
    """Until the content, the options or the rule's word are others; what the service could not do is tried again."""
    failing(mail, "InternalServerError")
    refused(mail.bench(), "ended as failed: InternalServerError", "replay the event")
    failing(mail, "InvalidArgument")
    refused(mail.bench(), "ended as failed: InvalidArgument", "force: true")
    refused(mail.bench(), "before, and that failed: InvalidArgument: Too few utterances.", "force: true")
    assert trainings(mail) == 2
    mail.bench(training={"evaluation": {"kind": "manual"}}).run(STEP)
    assert trainings(mail) == 3
    mail.bench().run(STEP, force=True)
    assert trainings(mail) == 4
    failing(mail, "InvalidArgument", "InvalidRequest")
    refused(mail.bench(), "ended as failed", force=True)
    mail.bench().run(STEP)  # what the same has brought before is there, and did well
    assert trainings(mail) == 5


# -- an import that is not whole --------------------------------------------------------------------------------------


def partial(mail: Mail, bench: Bench, times: int) -> None:
    """Have imports say that they are partial, and have each of them lose the labels of an utterance."""
    warning = {"code": "InvalidArgument", "message": "an entity label was dropped"}
    outcome = {"status": "partiallyCompleted", "warnings": [warning]}
    mail.secondary.seed(settings={"outcomes": {"import": [outcome] * times}})
    left = exported(mail.name)
    labelled = next(one for one in left["assets"]["utterances"] if one.get("entities"))
    labelled["entities"] = []
    seen: list[str] = []

    def lose(stage: str) -> None:
        if stage == "verify" and len(seen) < times:
            seen.append(stage)
            mail.secondary.seed(projects=[{"exported": left}])

    bench.before_stage = lose


def test_a_label_that_an_import_dropped_is_nobodys_edit(mail: Mail) -> None:
    """It says that it was partial: it is made once more, then the step fails with its words, and so does the next."""
    for _ in range(2):
        bench = mail.bench()
        partial(mail, bench, times=2)
        refused(bench, "is not whole: of 24 utterances", "the service's limits")
        assert any("it is imported once more" in note for note in bench.told.notes)
    assert (mail.posts(mail.secondary, ":import"), trainings(mail)) == (4, 0)
    bench = mail.bench()
    partial(mail, bench, times=1)
    bench.run(STEP)
    assert mail.labels(mail.secondary) == {"production": "v1"}


def test_what_a_partial_import_fails_with_is_what_it_says_itself(mail: Mail) -> None:
    """And where somebody edits there at that moment, that stays, and the remedy says how it may be replaced."""
    bench = mail.bench()
    partial(mail, bench, times=2)
    refused(bench, "(InvalidArgument: an entity label was dropped)")
    bench = mail.bench()
    partial(mail, bench, times=1)
    lose, edits = bench.before_stage, [lambda: mail.edit(mail.secondary)]

    def edit(stage: str) -> None:
        lose(stage)
        if stage == "verify" and edits:
            edits.pop()()

    bench.before_stage = edit
    refused(bench, "is not what was imported: it has intents: ", "overwrite_edits: true")
    assert EDIT["text"] in mail.texts(mail.secondary)
