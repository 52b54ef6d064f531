"""The client of Language against the simulated service: projects, jobs, models, deployments, predictions, failover."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from dev.simulators.language import KEY
from dev.simulators.language.samples import exported as sample
from dev.simulators.remote import Remote, Simulators
from shared.clients import Clients
from shared.clients.identity import managed_identity
from shared.clients.language import Breaker, Failover, Job, Language, Predictions, Resource, Service, Training
from shared.errors import DeniedError, PermanentError, TemporaryError, UnansweredError
from shared.storage import LIMITS_TABLE, prepare
from shared.storage.account import Account
from tests.integration.stages import clients_of

PATIENCE = 20.0
PLENTY = {"REACTOR_LANGUAGE_READS": "100000", "REACTOR_LANGUAGE_WRITES": "100000"}
MODEL = {"label": "v1", "evaluationOptions": {"kind": "manual"}}
VERSIONS = ("2023-04-01", "2025-11-01")


@pytest.fixture
def clients(simulators: Simulators, azurite: str) -> Clients:
    """Give the app's clients, which may ask as often as they like."""
    made = clients_of(simulators, azurite, **PLENTY)
    prepare(made.account, "backups")
    return made


@pytest.fixture
def language(clients: Clients) -> Language:
    """Give the client."""
    return clients.language


@pytest.fixture
def service(simulators: Simulators) -> Remote:
    """Give the service, with a project whose one model is deployed."""
    simulators.language.seed(
        projects=[{"exported": sample(), "models": [MODEL], "deployments": {"production": "v1"}}],
        settings={"job_seconds": 0.05, "train_seconds": 0.1},
    )
    return simulators.language


@pytest.fixture(params=VERSIONS)
def at(request: pytest.FixtureRequest, service: Remote) -> Resource:
    """Give the resource, in each version of the API."""
    return Resource(service.url, KEY, request.param)


@pytest.fixture
def there(service: Remote) -> Resource:
    """Give the resource in one version, where that is no matter."""
    return Resource(service.url, KEY)


def over(language: Language, at: Resource, url: str) -> Job:
    """Wait until a job is over."""
    deadline = time.monotonic() + PATIENCE
    while not (job := language.jobs.read(at, url)) or not job.is_over:
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
    return job


def good(language: Language, at: Resource, url: str) -> Job:
    """Wait until a job is over, and well."""
    job = over(language, at, url)
    assert job.is_good, job.why
    return job


# -- projects ---------------------------------------------------------------------------------------------------------


def test_a_project_is_read(language: Language, at: Resource) -> None:
    """Everything that others ask a project for is there, alone and in a list."""
    found = language.projects.read(at, "EmailApp")
    assert found
    assert (found.name, found.kind, found.language, found.multilingual) == ("EmailApp", "Conversation", "en-us", True)
    assert found.description == "What people say to their mail"
    assert None not in (found.created, found.modified, found.trained, found.deployed)
    assert found.modified
    assert found.modified.tzinfo
    assert language.projects.list(at) == [found]


def test_a_project_that_is_not_there_is_none(language: Language, there: Resource) -> None:
    """A name in another case is another project; which one is near can be asked."""
    assert language.projects.read(there, "emailapp") is None
    assert language.projects.near(there, "emailapp") == "EmailApp"
    assert language.projects.near(there, "EmailApp") == ""
    assert language.projects.near(there, "Other") == ""


def test_a_name_in_another_case_is_told(language: Language, there: Resource) -> None:
    """Whatever is asked of a project that is not there: the one that differs in case is named."""
    with pytest.raises(PermanentError, match="ProjectNotFound") as caught:
        language.models.list(there, "EMAILAPP")
    assert caught.value.remedy.startswith('write "EmailApp"')
    with pytest.raises(PermanentError) as caught:
        language.projects.export(there, "Other")
    assert caught.value.remedy == "check the project's name: its case matters"


def test_a_list_of_many_pages_is_read_whole(language: Language, there: Resource, service: Remote) -> None:
    """As many requests as there are pages, on the resource's own host."""
    service.seed(projects=[{"name": f"App-{number}"} for number in range(6)], settings={"page_size": 2})
    assert len(language.projects.list(there)) == 7
    assert len(service.seen("GET", "/projects?")) == 4


# -- a project there and back -----------------------------------------------------------------------------------------


def test_a_project_is_exported_and_imported(
    language: Language, at: Resource, simulators: Simulators, clients: Clients
) -> None:
    """What was exported is the project to the last offset, and can be imported into another resource as it is."""
    url = language.projects.export(at, "EmailApp")
    job = good(language, at, url)
    assert job.id
    assert job.url == url
    assert job.expires
    assert job.created
    assert (job.expires - job.created).days == 7
    content = language.projects.exported(at, url)
    assert {one["text"] for one in json.loads(content)["assets"]["utterances"]} == {
        one["text"] for one in sample()["assets"]["utterances"]
    }
    other = Resource(simulators.language_replica.url, KEY, at.version)
    good(language, other, language.projects.import_(other, "EmailApp", content))
    again = good(language, other, language.projects.export(other, "EmailApp"))
    assert json.loads(language.projects.exported(other, again.url))["assets"] == json.loads(content)["assets"]
    del clients


def test_a_snapshot_is_what_was_trained(language: Language, at: Resource, service: Remote) -> None:
    """A half-labelled edit is in the working copy only."""
    service.seed(edits=[{"project": "EmailApp", "utterances": [{"text": "half done", "intent": "Read"}]}])

    def texts(model: str) -> set[str]:
        job = good(language, at, language.projects.export(at, "EmailApp", model=model))
        return {one["text"] for one in json.loads(language.projects.exported(at, job.url))["assets"]["utterances"]}

    assert texts("") - texts("v1") == {"half done"}


def test_an_export_that_runs_or_is_gone_brings_nothing(language: Language, there: Resource, service: Remote) -> None:
    """One that runs is worth another look; one that failed, or was forgotten, says so and what to do."""
    service.seed(settings={"job_seconds": 30})
    url = language.projects.export(there, "EmailApp")
    with pytest.raises(TemporaryError, match="not over yet"):
        language.projects.exported(there, url)
    service.seed(settings={"clock_seconds": 8 * 86400})
    assert language.jobs.read(there, url) is None
    with pytest.raises(PermanentError, match="kept for 7 days") as caught:
        language.projects.exported(there, url)
    assert caught.value.remedy == "export again"
    service.seed(settings={"job_seconds": 0, "outcomes": {"export": "failed"}})
    job = over(language, there, language.projects.export(there, "EmailApp"))
    with pytest.raises(PermanentError, match=r"ended as failed: .*a reason of its own"):
        language.projects.exported(there, job.url)


def test_an_import_under_another_name_is_refused_before_it_is_sent(
    language: Language, there: Resource, service: Remote
) -> None:
    """Names are equal in case, too; and what is no export is not sent either."""
    with pytest.raises(PermanentError, match=r'project "EmailApp" and cannot be imported as "emailapp"'):
        language.projects.import_(there, "emailapp", json.dumps(sample()).encode())
    for content in (b"", b"[]", b'{"metadata": 1}', b"\xff", b"{}"):
        with pytest.raises(PermanentError, match="no export of a project"):
            language.projects.import_(there, "EmailApp", content)
    assert service.seen("POST", ":import") == []


def test_an_import_that_is_wrong_says_what_is(language: Language, there: Resource) -> None:
    """The details of a nested error are in the reason, with where they are about."""
    broken: dict[str, Any] = sample()
    broken["assets"]["utterances"][0]["entities"] = [{"category": "Nobody", "offset": 0, "length": 3}]
    with pytest.raises(PermanentError, match="Nobody"):
        language.projects.import_(there, "EmailApp", json.dumps(broken).encode())


def test_a_project_is_deleted(language: Language, at: Resource) -> None:
    """It takes a job; what is gone is fine."""
    good(language, at, language.projects.delete(at, "EmailApp"))
    assert language.projects.read(at, "EmailApp") is None
    assert language.projects.delete(at, "EmailApp") == ""


# -- models -----------------------------------------------------------------------------------------------------------


def test_a_model_is_trained(language: Language, at: Resource, service: Remote) -> None:
    """It has a job that tells how far it is, a label, an id, an expiry and an evaluation."""
    service.seed(settings={"train_seconds": 2})
    url = language.models.train(at, "EmailApp", Training("v2", "advanced", "latest", "manual"))
    running = language.jobs.read(at, url)
    assert running
    assert (running.is_over, running.model) == (False, "v2")
    assert running.percent is not None
    assert running.estimated_end
    assert running.training_status in ("notStarted", "running")
    assert [job.url for job in language.models.training_jobs(at, "EmailApp")] == [url]
    service.seed(settings={"clock_seconds": 60})
    job = good(language, at, url)
    assert (job.percent, job.training_status, job.evaluation_status) == (100, "succeeded", "succeeded")
    model = next(one for one in language.models.list(at, "EmailApp") if one.label == "v2")
    assert model.id.startswith("v2-")
    assert model.has_snapshot
    assert model.expires
    assert model.expires > job.modified  # type: ignore[operator] # it has one
    evaluation = language.models.evaluation(at, "EmailApp", "v2")
    assert evaluation
    assert 0 < evaluation.intents_macro_f1 <= 1
    assert set(evaluation.intents) >= {"Read", "Send", "Delete"}
    assert language.models.evaluation(at, "EmailApp", "v3") is None
    with pytest.raises(PermanentError, match="ProjectNotFound"):
        language.models.evaluation(at, "Other", "v2")


def test_what_is_trained_with_is_said(language: Language, there: Resource, service: Remote) -> None:
    """Percentages are sent for a split by percentage only."""
    good(language, there, language.models.train(there, "EmailApp", Training("v2", train=70, test=30)))
    service.seed(settings={"job_seconds": 0})
    language.models.train(there, "EmailApp", Training("v3", kind="manual"))
    first, second = (json.loads(one["body"]) for one in service.seen("POST", ":train"))
    assert first == {
        "modelLabel": "v2",
        "trainingMode": "advanced",
        "trainingConfigVersion": "latest",
        "evaluationOptions": {"kind": "percentage", "trainingSplitPercentage": 70, "testingSplitPercentage": 30},
    }
    assert second["evaluationOptions"] == {"kind": "manual"}


@pytest.mark.parametrize("status", [400, 409])
def test_a_training_while_one_runs_is_worth_another_try(
    status: int, language: Language, there: Resource, service: Remote
) -> None:
    """However it is refused: a project trains once at a time; the other one is seen, and can be cancelled."""
    service.seed(settings={"train_seconds": 60, "busy_status": status})
    url = language.models.train(there, "EmailApp", Training("v2"))
    with pytest.raises(TemporaryError, match="trains once at a time") as caught:
        language.models.train(there, "EmailApp", Training("v3"))
    assert not isinstance(caught.value, UnansweredError)
    assert caught.value.after == 60
    language.models.cancel(there, url)
    job = over(language, there, url)
    assert (job.status, job.is_good) == ("cancelled", False)
    assert job.why
    language.models.cancel(there, url)
    language.models.train(there, "EmailApp", Training("v3"))


def test_standard_is_for_english(language: Language, there: Resource) -> None:
    """A training that the service refuses says what to do."""
    with pytest.raises(PermanentError) as caught:
        language.models.train(there, "EmailApp", Training("v2", "standard"))
    assert "advanced" in caught.value.remedy


def test_a_training_that_fails_says_why(language: Language, there: Resource, service: Remote) -> None:
    """The errors of its job are its reason."""
    errors = [
        {
            "code": "InvalidArgument",
            "message": "Training failed.",
            "details": [{"code": "InvalidArgument", "message": "Too few utterances.", "target": "intents[2]"}],
        }
    ]
    service.seed(settings={"outcomes": {"train": {"status": "failed", "errors": errors}}})
    job = over(language, there, language.models.train(there, "EmailApp", Training("v2")))
    assert (job.status, job.why) == ("failed", "InvalidArgument: Training failed. intents[2]: Too few utterances.")


def test_a_model_is_deleted_unless_it_is_deployed(language: Language, there: Resource, service: Remote) -> None:
    """One that is gone is fine; one that answers stays."""
    service.seed(projects=[{"exported": sample(), "models": ["v1", "v2"], "deployments": {"production": "v1"}}])
    language.models.delete(there, "EmailApp", "v2")
    language.models.delete(there, "EmailApp", "v2")
    with pytest.raises(PermanentError) as caught:
        language.models.delete(there, "EmailApp", "v1")
    assert "deploy another one" in caught.value.remedy
    assert [one.label for one in language.models.list(there, "EmailApp")] == ["v1"]


def test_training_versions_are_listed(language: Language, at: Resource) -> None:
    """Each with the day on which its models expire."""
    (version,) = language.models.config_versions(at)
    assert version.version == "2022-09-01"
    assert version.expires


# -- deployments ------------------------------------------------------------------------------------------------------


def test_a_model_is_deployed_swapped_and_taken_away(language: Language, at: Resource, service: Remote) -> None:
    """A deployment tells the id of its model and its expiry; a swap exchanges two."""
    service.seed(projects=[{"exported": sample(), "models": ["v1", "v2"], "deployments": {"production": "v1"}}])
    good(language, at, language.deployments.deploy(at, "EmailApp", "production-next", "v2"))
    ids = {one.label: one.id for one in language.models.list(at, "EmailApp")}

    def serving() -> dict[str, str]:
        return {one.name: one.model_id for one in language.deployments.list(at, "EmailApp")}

    assert serving() == {"production": ids["v1"], "production-next": ids["v2"]}
    good(language, at, language.deployments.swap(at, "EmailApp", "production", "production-next"))
    assert serving() == {"production": ids["v2"], "production-next": ids["v1"]}
    found = language.deployments.list(at, "EmailApp")
    assert all(one.expires and one.deployed and one.config_version == "2022-09-01" for one in found)
    good(language, at, language.deployments.delete(at, "EmailApp", "production-next"))
    assert language.deployments.delete(at, "EmailApp", "production-next") == ""
    assert list(serving()) == ["production"]


def test_the_eleventh_deployment_is_refused(language: Language, there: Resource, service: Remote) -> None:
    """The limit is told with what can be done about it."""
    service.seed(projects=[{"exported": sample(), "models": ["v1"], "deployments": {f"d{n}": "v1" for n in range(10)}}])
    with pytest.raises(PermanentError, match="QuotaExceeded") as caught:
        language.deployments.deploy(there, "EmailApp", "d10", "v1")
    assert caught.value.remedy == "delete a deployment that nobody uses: a project has ten at most"


def test_a_model_that_is_not_there_is_not_deployed(language: Language, there: Resource) -> None:
    """The remedy is about the model."""
    with pytest.raises(PermanentError, match="v9") as caught:
        language.deployments.deploy(there, "EmailApp", "production", "v9")
    assert "model" in caught.value.remedy


# -- predictions ------------------------------------------------------------------------------------------------------


def test_a_deployment_predicts(language: Language, at: Resource) -> None:
    """The intent with its confidence, and entities where Python finds them, whatever stands before them."""
    text = "📧📧 read the latest mail from Kim"
    found = language.predictions.guess(at, "EmailApp", "production", text)
    assert found.intent == "Read"
    assert 0 < found.confidence <= 1
    (entity,) = [one for one in found.entities if one.category == "Contact"]
    assert text[entity.offset : entity.offset + entity.length] == entity.text == "Kim"
    korean = "🚀 김민수가 보낸 메일을 읽어 줘"
    found = language.predictions.guess(at, "EmailApp", "production", korean, language="ko")
    assert found.intent == "Read"
    assert any(korean[one.offset : one.offset + one.length] == one.text == "김민수" for one in found.entities)


@pytest.mark.parametrize(
    ("asked", "remedy"),
    [
        (("emailapp", "production", "hello"), "check both names"),
        (("EmailApp", "Production", "hello"), "check both names"),
        (("EmailApp", "production", "x" * 1001), "1,000 characters"),
    ],
)
def test_a_prediction_that_cannot_be_is_refused(
    asked: tuple[str, str, str], remedy: str, language: Language, there: Resource
) -> None:
    """The error says what to correct."""
    with pytest.raises(PermanentError) as caught:
        language.predictions.guess(there, *asked)
    assert remedy in caught.value.remedy


# -- who may ----------------------------------------------------------------------------------------------------------


def test_an_identity_needs_no_key(language: Language, service: Remote) -> None:
    """A token for the service is sent, and no key; an export's result is read by it, too."""
    at = Resource(service.url)
    job = good(language, at, language.projects.export(at, "EmailApp"))
    assert language.projects.exported(at, job.url)
    assert language.predictions.guess(at, "EmailApp", "production", "empty the bin").intent == "Delete"
    assert all("ocp-apim-subscription-key" not in one["headers"] for one in service.seen())


@pytest.mark.parametrize("status", [401, 403])
def test_a_reader_exports_and_does_not_deploy(status: int, language: Language, service: Remote) -> None:
    """A role that is missing is named, with where it is needed; it may come, so it is worth another try."""
    at = Resource(service.url)
    service.seed(settings={"token_role": "reader", "denied_status": status})
    good(language, at, language.projects.export(at, "EmailApp"))
    assert language.predictions.guess(at, "EmailApp", "production", "empty the bin")
    needs: dict[str, Callable[[], str]] = {
        "Cognitive Services Language Writer": lambda: language.models.train(at, "EmailApp", Training("v2")),
        "Cognitive Services Language Owner": lambda: language.deployments.deploy(at, "EmailApp", "production", "v1"),
    }
    for role, act in needs.items():
        with pytest.raises(DeniedError, match="may not have propagated") as caught:
            act()
        assert f'"{role}" on 127.0.0.1' in caught.value.remedy
    service.seed(settings={"token_role": "writer"})
    needs["Cognitive Services Language Writer"]()
    with pytest.raises(DeniedError):
        needs["Cognitive Services Language Owner"]()
    service.seed(settings={"token_role": "none"})
    with pytest.raises(DeniedError) as caught:
        language.projects.list(at)
    assert '"Cognitive Services Language Reader"' in caught.value.remedy


def test_a_wrong_key_names_its_setting(simulators: Simulators, azurite: str, service: Remote) -> None:
    """It is permanent, and the setting that holds the key is named; the key itself never is."""
    wrong = "0123456789abcdef-no-such-key"
    clients = clients_of(simulators, azurite, MAIL_KEY=wrong, **PLENTY)
    prepare(clients.account, "backups")
    at = Resource(service.url, wrong)
    asks: list[Callable[[], object]] = [
        lambda: clients.language.projects.list(at),
        lambda: clients.language.predictions.guess(at, "EmailApp", "production", "hello"),
    ]
    for ask in asks:
        with pytest.raises(PermanentError, match="401") as caught:
            ask()
        assert "MAIL_KEY" in caught.value.remedy
        assert "token" not in caught.value.reason
        assert wrong not in f"{caught.value.reason} {caught.value.remedy} {at!r}"


def test_a_region_that_cannot_author_says_so(language: Language, there: Resource, service: Remote) -> None:
    """It predicts all the same."""
    service.seed(settings={"authoring": False})
    for ask in (lambda: language.projects.list(there), lambda: language.projects.export(there, "EmailApp")):
        with pytest.raises(PermanentError, match="not supported in this region") as caught:
            ask()
        assert caught.value.remedy.startswith("this region only predicts")
    assert language.predictions.guess(there, "EmailApp", "production", "empty the bin").intent == "Delete"


def test_a_version_that_nobody_knows_is_told(language: Language, service: Remote) -> None:
    """The remedy names those that there are."""
    with pytest.raises(PermanentError) as caught:
        language.projects.list(Resource(service.url, KEY, "2019-01-01"))
    assert "2023-04-01 or 2025-11-01" in caught.value.remedy


# -- how often --------------------------------------------------------------------------------------------------------


def test_instances_of_the_app_share_the_resources_limit(
    simulators: Simulators, azurite: str, service: Remote, there: Resource
) -> None:
    """Ten changes a minute for all of them: the service never says 429; who comes eleventh sends nothing and waits."""
    service.seed(settings={"rate_limited": True})
    account = clients_of(simulators, azurite).account
    prepare(account, "backups")
    for row in account.table(LIMITS_TABLE).query_entities("RowKey eq 'rates'"):  # what tests before this one asked
        account.table(LIMITS_TABLE).delete_entity(row)
    limits = {"REACTOR_LANGUAGE_READS": "100", "REACTOR_LANGUAGE_WRITES": "10"}
    one, two = (clients_of(simulators, azurite, **limits).language for _ in range(2))
    for number in range(10):
        (one, two)[number % 2].projects.export(there, "EmailApp")
    with pytest.raises(TemporaryError, match="in a minute") as caught:
        one.projects.export(there, "EmailApp")
    assert caught.value.after
    assert 0 < caught.value.after <= 61
    assert not isinstance(caught.value, UnansweredError)
    assert len(service.seen("POST", ":export")) == 10
    assert one.projects.read(there, "EmailApp")


def test_a_prediction_is_not_counted(simulators: Simulators, azurite: str, service: Remote, there: Resource) -> None:
    """The runtime has a limit of its own, a hundred times as high: failover must not wait for authoring."""
    language = clients_of(simulators, azurite, REACTOR_LANGUAGE_WRITES="1").language
    for _ in range(3):
        assert language.predictions.guess(there, "EmailApp", "production", "empty the bin")


# -- failover ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def failover(simulators: Simulators, service: Remote) -> tuple[Failover, list[float]]:
    """Give predictions that go on, as an app of one's own makes them, and its clock."""
    simulators.language_replica.seed(
        projects=[{"exported": sample(), "models": ["v1"], "deployments": {"production": "v1"}}]
    )
    now = [0.0]
    primary, secondary = Resource(service.url, KEY), Resource(simulators.language_replica.url, "", VERSIONS[1])
    predictions = Predictions(Service(managed_identity))
    return Failover(predictions, primary, secondary, Breaker(failures=2), clock=lambda: now[0]), now


@pytest.mark.parametrize("how", ["unavailable", "refused"])
def test_predictions_go_on_while_the_primary_does_not(
    how: str, failover: tuple[Failover, list[float]], service: Remote
) -> None:
    """Cut off, the primary is tried, then left alone, then probed; every call is answered, and says by whom."""
    asks, now = failover
    text = ("EmailApp", "production", "empty the bin")
    assert asks.guess(*text).by == "primary"
    service.seed(settings={"cut_off": how})
    answered = asks.guess(*text)
    assert (answered.by, answered.prediction.intent, len(answered.tried)) == ("secondary", "Delete", 2)
    assert all(one.startswith("primary: Language") for one in answered.tried)
    asks.guess(*text)
    before = len(service.seen("POST"))
    assert asks.guess(*text).by == "secondary"
    assert len(service.seen("POST")) == before
    service.seed(settings={"cut_off": ""})
    now[0] += 60
    assert asks.guess(*text).by == "primary"


def test_a_deployment_that_expired_is_failed_over(failover: tuple[Failover, list[float]], service: Remote) -> None:
    """It is the region's own trouble, though it is told by a 400."""
    service.seed(deployments=[{"project": "EmailApp", "name": "production", "model": "v1", "expires": "2020-01-01"}])
    answered = failover[0].guess("EmailApp", "production", "empty the bin")
    assert answered.by == "secondary"
    assert "expired" in answered.tried[0]


def test_a_project_that_is_nowhere_is_no_outage(failover: tuple[Failover, list[float]]) -> None:
    """The caller hears it from the primary at once."""
    with pytest.raises(PermanentError, match="ProjectNotFound"):
        failover[0].guess("Nothing", "production", "empty the bin")
    assert failover[0].breaker == Breaker(failures=2)


def test_without_a_key_and_an_identity_nothing_is_sent(service: Remote) -> None:
    """One's own app is told what it forgot."""
    with pytest.raises(PermanentError, match="no key"):
        Predictions(Service()).guess(Resource(service.url), "EmailApp", "production", "hello")
    assert service.seen() == []


def test_a_terminal_without_storage_counts_for_itself(simulators: Simulators, service: Remote) -> None:
    """Nothing of any storage is touched, and the limit holds for the command."""
    settings = clients_of(simulators, "", AzureWebJobsStorage__accountName="none", REACTOR_LANGUAGE_WRITES="1")
    at = Resource(service.url, KEY)
    settings.language.projects.export(at, "EmailApp")
    with pytest.raises(TemporaryError, match="in a minute"):
        settings.language.projects.export(at, "EmailApp")
    assert isinstance(settings.account, Account)
