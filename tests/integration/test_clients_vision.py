"""The client of Custom Vision against the simulated service: projects, tags, and what every request has in common."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.clients.vision import NewProject, Project, Resource, Vision
from shared.errors import DeniedError, PermanentError, TemporaryError, UnansweredError
from shared.rules.declared import Declared
from tests.integration.canned import Reply, serve
from tests.integration.stages import clients_of

QUEUE, CONTAINER = "https://acct.queue.core.windows.net/notes", "https://acct.blob.core.windows.net/models"
TOKEN = "https://x.blob.core.windows.net/prjexp-1/info?sv=1&sig=a%2Bsecret%2Fsig%3D&se=2026-01-01&sp=r"


@pytest.fixture
def vision(simulators: Simulators, azurite: str) -> Vision:
    """Give the client."""
    return clients_of(simulators, azurite).vision


@pytest.fixture
def at(simulators: Simulators) -> Resource:
    """Give the training resource, by its key."""
    return Resource(simulators.vision.url, KEY)


@pytest.fixture
def project(simulators: Simulators) -> str:
    """Give the id of a project."""
    id = str(uuid4())
    simulators.vision.seed(projects=[{"id": id, "name": "fruit"}])
    return id


@pytest.fixture
def storage(storage_emulator: Azurite) -> dict[str, Any]:
    """Give the URLs of a queue and a container that are there."""
    name = f"vision-{uuid4().hex}"
    queues = QueueServiceClient.from_connection_string(storage_emulator.app)
    blobs = BlobServiceClient.from_connection_string(storage_emulator.app)
    queues.create_queue(name)
    blobs.create_container(name)
    return {"queue": f"{queues.url.rstrip('/')}/{name}", "container": f"{blobs.url.rstrip('/')}/{name}"}


def refused(body: Any, status: int = 400) -> dict[str, Any]:
    """Write a fault: the service's own flat error."""
    return {"kind": "error", "status": status, "body": body}


# -- where a request goes ---------------------------------------------------------------------------------------------


@pytest.mark.guarantee(6)
def test_a_resource_does_not_show_its_key() -> None:
    """Neither its own repr nor that of what holds it tells the key."""
    assert repr([Resource("https://a.cognitiveservices.azure.com", "a-secret")]) == (
        "[Resource(a.cognitiveservices.azure.com)]"
    )


def test_a_resource_is_made_of_what_is_declared() -> None:
    """Training and prediction resources are taken as the rules file declares them, with or without a key."""
    declared = Declared.model_validate({
        "vision": {
            "fruit": {
                "project": str(uuid4()),
                "training": {"endpoint": "https://t.example"},
                "prediction": {
                    "resource": "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/p",
                    "endpoint": "https://p.example",
                    "key": "k",
                },
            }
        }
    }).vision["fruit"]  # fmt: skip
    assert Resource.of(declared.training) == Resource("https://t.example")
    assert declared.prediction
    assert Resource.of(declared.prediction) == Resource("https://p.example", "k")
    with pytest.raises(PermanentError, match="no endpoint") as refusal:
        Resource.of(declared.prediction.model_copy(update={"endpoint": None}))
    assert "endpoint: https://" in refusal.value.remedy


def test_the_versions_are_settings(simulators: Simulators, azurite: str, at: Resource) -> None:
    """Another version of either API is asked for where the settings say so."""
    settings = {"REACTOR_VISION_API_VERSION": "v9.1", "REACTOR_VISION_PREDICTION_API_VERSION": "v9.2"}
    vision = clients_of(simulators, azurite, **settings).vision
    for call in (
        lambda: vision.projects.list(at),
        lambda: vision.predictions.guess(at, str(uuid4()), "p", content=b"x"),
    ):
        with pytest.raises((PermanentError, TemporaryError)):
            call()
    assert [one["url"].partition("/customvision/")[2][:16] for one in simulators.vision.seen()] == [
        "v9.1/training/pr",
        "v9.2/prediction/",
    ]


def test_the_apps_identity_is_used_without_a_key(vision: Vision, at: Resource, project: str) -> None:
    """Without a key a token is sent."""
    assert [one.id for one in vision.projects.list(replace(at, key=""))] == [project]


@pytest.mark.guarantee(7)
def test_a_region_gets_no_token(vision: Vision) -> None:
    """The endpoint of a whole region is nobody's own: no token of ours goes there."""
    with pytest.raises(PermanentError, match="takes keys only") as refusal:
        vision.projects.list(Resource("https://westeurope.api.cognitive.microsoft.com"))
    assert "subdomain" in refusal.value.remedy


def test_a_key_that_was_rotated_is_told_so(vision: Vision, at: Resource) -> None:
    """A wrong key is permanent, and its remedy is the setting; the key itself is not told."""
    with pytest.raises(PermanentError, match="invalid subscription key") as refusal:
        vision.projects.list(replace(at, key="yesterdays-key"))
    assert "put the current key into the app's setting" in refusal.value.remedy
    assert "yesterdays" not in refusal.value.reason
    assert refusal.value.reason.startswith("Custom Vision answered 401 Access denied")


def test_a_key_with_an_odd_character_is_refused_before_it_is_sent(
    vision: Vision, at: Resource, simulators: Simulators
) -> None:
    """A key that no header can hold is a clear error, and a line break at its end does no harm."""
    with pytest.raises(PermanentError, match="characters that no key has"):
        vision.projects.list(replace(at, key="käy"))
    assert simulators.vision.seen() == []
    assert vision.projects.list(replace(at, key=f"{KEY}\n")) == []


# -- what is said -----------------------------------------------------------------------------------------------------

REFUSALS: list[tuple[tuple[str, str], str]] = [
    (("BadRequestDetectionTrainingValidationFailed", "Not enough images for training"), "add images"),
    (("BadRequestRetiredDomainNotSupportedForTraining", "Retired."), "domain is retired"),
    (("BadRequestReservedBudgetInHoursNotEnoughForAdvancedTraining", "Not enough."), "larger budget"),
    (("BadRequestDomainNotSupportedForAdvancedTraining", "No."), "train regularly"),
    (("BadRequestExceedIterationPerProjectLimit", "20 iterations."), "prune.vision"),
    (("BadRequestInvalidPublishTarget", "Bad target."), "ARM id of the prediction resource"),
    (("BadRequestInvalidImportToken", "Bad token."), "export the project again"),
    (("BadRequestExceedProjectLimit", "Too many."), "2 in F0 and 100 in S0"),
    (("BadRequestIterationIsPublished", "Published."), "unpublish it first"),
    (("BadRequestImageFormat", "No image."), "JPEG"),
    (("BadRequest", "Please provide a custom subdomain for token authentication."), "own subdomain"),
]


@pytest.mark.parametrize(("said", "remedy"), REFUSALS)
def test_what_is_refused_says_what_to_do(
    vision: Vision, at: Resource, simulators: Simulators, said: tuple[str, str], remedy: str
) -> None:
    """A code of the service's own comes with the remedy for it, and stays readable for who asks for it."""
    code, message = said
    simulators.vision.fault(**refused({"code": code, "message": message}))
    with pytest.raises(PermanentError) as refusal:
        vision.projects.list(at)
    assert remedy in refusal.value.remedy
    assert code in refusal.value.reason
    assert refusal.value.code == code


def test_a_read_only_copy_is_refused_for_good(vision: Vision, at: Resource, simulators: Simulators) -> None:
    """A 403 that no role helps against is permanent; any other waits for the role."""
    simulators.vision.fault(**refused({"code": "ForbiddenDRModeEnabled", "message": "DR mode."}, 403))
    with pytest.raises(PermanentError, match="ForbiddenDRModeEnabled") as refusal:
        vision.projects.list(at)
    assert "read-only" in refusal.value.remedy
    simulators.vision.fault(**refused({"code": "Forbidden", "message": "Principal has no access."}, 403))
    with pytest.raises(DeniedError):
        vision.projects.list(at)


def test_when_to_come_back_is_read_from_the_words_of_a_throttle(
    vision: Vision, at: Resource, simulators: Simulators
) -> None:
    """A 429 without a header says it in its text; a start is not repeated within the request."""
    throttled = {
        "error": {
            "code": "429",
            "message": "Requests to the CreateProject Operation under Custom_Vision_Training_3.3 have exceeded rate "
            "limit of your current Custom_Vision.Training F0 pricing tier. Please retry after 7 seconds.",
        }
    }
    simulators.vision.fault(**refused(throttled, 429))
    with pytest.raises(TemporaryError) as problem:
        vision.projects.create(at, NewProject("fruit"))
    assert problem.value.after == 7
    assert len(simulators.vision.seen("POST")) == 1


def test_a_short_throttle_of_a_read_is_waited_out(vision: Vision, at: Resource, simulators: Simulators) -> None:
    """A read that is throttled for a second is asked again."""
    simulators.vision.fault("throttle", retry_after=0.01)
    assert vision.projects.list(at) == []
    assert [one["status"] for one in simulators.vision.seen()] == [429, 200]


def test_a_page_in_place_of_an_answer_is_told_in_its_words(
    vision: Vision, at: Resource, simulators: Simulators
) -> None:
    """HTML is read without its tags."""
    simulators.vision.fault(
        "error", status=411, body="<html><h1>Length Required</h1></html>", headers={"Content-Type": "text/html"}
    )
    with pytest.raises(PermanentError, match="answered 411 Length Required"):
        vision.projects.list(at)


GARBAGE: list[Any] = ["", "<html>", "null", "[1]", '{"id": 7}', '[{"id": "x", "name": "y", "settings": {}}]']


@pytest.mark.parametrize("body", GARBAGE)
def test_garbage_is_no_value(vision: Vision, at: Resource, simulators: Simulators, body: str) -> None:
    """A success that cannot be read is asked for again, never taken for one."""
    simulators.vision.fault("error", status=200, body=body)
    with pytest.raises(TemporaryError, match="Custom Vision answered 200"):
        vision.projects.list(at)


@pytest.mark.guarantee(6)
def test_a_secret_in_the_services_words_is_not_told(vision: Vision, at: Resource, simulators: Simulators) -> None:
    """A URL loses its query, and words are bounded."""
    words = f"The uri https://a.blob.core.windows.net/c?sig=abcdefgh is invalid. {'x' * 9999}"
    simulators.vision.fault(**refused({"code": "BadRequestInvalidUri", "message": words}))
    with pytest.raises(PermanentError) as refusal:
        vision.projects.list(at)
    assert "abcdefgh" not in refusal.value.reason
    assert len(refusal.value.reason) < 400


@pytest.mark.guarantee(6)
@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_a_key_that_the_service_repeats_is_not_told(
    vision: Vision, at: Resource, simulators: Simulators, status: int
) -> None:
    """In whatever words it does."""
    key = "0123456789abcdef" * 2
    simulators.vision.fault(
        kind="error", n=9, status=status, body={"code": "BadRequestOdd", "message": f"What is {key}?"}
    )
    with pytest.raises((PermanentError, TemporaryError)) as refusal:
        vision.projects.create(replace(at, key=key), NewProject("fruit"))
    assert "89abcdef" not in f"{refusal.value.reason}{refusal.value}{refusal.value!r}"
    assert "What is ***" in refusal.value.reason


# -- projects ---------------------------------------------------------------------------------------------------------


def test_a_project_is_read(vision: Vision, at: Resource, simulators: Simulators) -> None:
    """Everything that others ask a project for is there, with its id in one spelling."""
    id = str(uuid4())
    settings = {"notificationQueueUri": QUEUE, "exportModelContainerUri": CONTAINER, "targetExportPlatforms": ["ONNX"]}
    simulators.vision.seed(projects=[{"id": id, "name": "fruit", "description": "Two kinds", "settings": settings}])
    found = vision.projects.read(at, id)
    assert isinstance(found, Project)
    assert (found.id, found.name, found.description) == (id, "fruit", "Two kinds")
    assert (found.queue, found.container, found.platforms) == (QUEUE, CONTAINER, ("ONNX",))
    assert (found.status, found.dr_mode, found.classification) == ("Succeeded", False, "Multiclass")
    assert found.created
    assert found.created.utcoffset() is not None


def test_a_project_that_is_not_there_is_none(vision: Vision, at: Resource, simulators: Simulators) -> None:
    """None is what the service itself does not find; a wrong endpoint is an error."""
    assert vision.projects.read(at, str(uuid4())) is None
    simulators.vision.fault(**refused({"error": {"code": "404", "message": "Resource not found"}}, 404))
    with pytest.raises(PermanentError, match="Resource not found"):
        vision.projects.read(at, str(uuid4()))


@pytest.mark.parametrize("form", ["query", "body"])
def test_a_project_is_created_in_either_form(
    vision: Vision, at: Resource, simulators: Simulators, storage: dict[str, Any], form: Any
) -> None:
    """Both documented forms set name, description and storage."""
    wanted = NewProject("fruit & co", "Two kinds", classification="Multilabel", **storage)
    made = vision.projects.create(at, wanted, form)
    assert (made.name, made.description) == ("fruit & co", "Two kinds")
    assert {"queue": made.queue, "container": made.container} == storage
    assert vision.projects.read(at, made.id) == made
    version = "v3.4-preview" if form == "body" else "v3.3"
    assert version in simulators.vision.seen("POST")[0]["url"]


def test_an_unanswered_creation_is_not_repeated(vision: Vision, at: Resource, simulators: Simulators) -> None:
    """The service names projects, so a lost answer is looked for by whoever asked, and never sent twice."""
    simulators.vision.fault("lost_reply", method="POST")
    with pytest.raises(UnansweredError):
        vision.projects.create(at, NewProject("fruit"))
    assert [one.name for one in vision.projects.list(at)] == ["fruit"]


def test_a_full_resource_is_told_from_a_missing_permission(
    vision: Vision, at: Resource, simulators: Simulators, project: str
) -> None:
    """Where the key opens the resource, "Access Denied" to one more project means its limit."""
    denied = refused({"error": {"code": "AccessDenied", "message": "Access Denied"}}, 403)
    simulators.vision.fault(**denied, method="POST")
    with pytest.raises(PermanentError, match=r"the resource has 1 project$") as refusal:
        vision.projects.create(at, NewProject("fruit"))
    assert "limited to 2 in F0" in refusal.value.remedy
    simulators.vision.fault(**denied, n=2)
    with pytest.raises(DeniedError):
        vision.projects.create(at, NewProject("fruit"))


def test_connecting_changes_nothing_else(
    vision: Vision, at: Resource, simulators: Simulators, storage: dict[str, str]
) -> None:
    """The project is put back as it was read, with one address changed at a time, and what is read-only left out."""
    id = str(uuid4())
    simulators.vision.seed(projects=[{"id": id, "name": "fruit", "settings": {"targetExportPlatforms": ["ONNX"]}}])
    connected = vision.projects.connect(at, id, queue=storage["queue"])
    assert (connected.queue, connected.container) == (storage["queue"], "")
    connected = vision.projects.connect(at, id, container=storage["container"])
    assert {"queue": connected.queue, "container": connected.container} == storage
    assert connected.platforms == ("ONNX",)
    sent = json.loads(simulators.vision.seen("PATCH")[-1]["body"])
    assert sent["settings"]["notificationQueueUri"] == storage["queue"]
    assert not {"id", "created", "lastModified", "drModeEnabled"} & sent.keys()
    assert sent["description"] == ""
    assert vision.projects.connect(at, id, queue="").queue == ""


@pytest.mark.parametrize(
    ("uris", "roles"),
    [
        ({"queue": "https://a.queue.core.windows.net/q"}, ("Storage Queue Data Contributor", "Storage Blob Data")),
        ({"container": "https://a.blob.core.windows.net/c"}, ("Storage Blob Data Contributor", "Storage Queue Data")),
    ],
)
def test_storage_that_is_refused_names_the_role(
    vision: Vision, at: Resource, project: str, uris: dict[str, Any], roles: tuple[str, str]
) -> None:
    """Where the service cannot write, the remedy is a role for the training resource's identity, not for ours."""
    named, unnamed = roles
    with pytest.raises(PermanentError, match="BadRequestInvalidUri") as refusal:
        vision.projects.connect(at, project, **uris)
    assert named in refusal.value.remedy
    assert unnamed not in refusal.value.remedy
    assert "training resource's system-assigned managed identity" in refusal.value.remedy
    assert "multi-service" in refusal.value.remedy
    with pytest.raises(PermanentError) as refusal:
        vision.projects.create(at, replace(NewProject("another"), **uris))
    assert named in refusal.value.remedy


def test_a_multi_service_resource_is_told_so(
    vision: Vision, at: Resource, simulators: Simulators, project: str, storage: dict[str, str]
) -> None:
    """It cannot be connected to storage, which is part of the remedy."""
    simulators.vision.seed(settings={"multi_service": True})
    with pytest.raises(PermanentError) as refusal:
        vision.projects.connect(at, project, **storage)
    assert "a multi-service resource cannot be connected" in refusal.value.remedy


def test_describing_changes_nothing_else(vision: Vision, at: Resource, project: str, storage: dict[str, str]) -> None:
    """A project has another description, and its storage as before."""
    vision.projects.connect(at, project, **storage)
    found = vision.projects.describe(at, project, "Another")
    assert (found.name, found.description, found.queue) == ("fruit", "Another", storage["queue"])
    assert vision.projects.read(at, project) == found


def test_storage_that_is_accepted_and_not_kept_is_told(
    vision: Vision, at: Resource, simulators: Simulators, project: str, storage: dict[str, str]
) -> None:
    """A change that is not there when read back is an error, whatever the answer to it was."""
    simulators.vision.fault("error", status=200, body="{}", method="PATCH")
    with pytest.raises(PermanentError, match="accepted the queue and does not show it"):
        vision.projects.connect(at, project, queue=storage["queue"])


def test_a_project_is_deleted_once_or_twice(vision: Vision, at: Resource, project: str) -> None:
    """What is gone already is fine."""
    vision.projects.delete(at, project)
    assert vision.projects.list(at) == []
    vision.projects.delete(at, project)


def test_domains_say_what_they_can(vision: Vision, at: Resource, simulators: Simulators) -> None:
    """The preview tells platforms; without it the rest is told all the same."""
    domains = {one.id: one for one in vision.projects.domains(at)}
    compact = domains["0732100f-1a38-4e49-a514-c9b44c697ab5"]
    assert (compact.type, compact.exportable) == ("Classification", True)
    assert "ONNX" in compact.platforms
    simulators.vision.fault(**refused({"error": {"code": "404", "message": "Resource not found"}}, 404))
    assert vision.projects.domain(at, compact.id) == replace(compact, platforms=())


# -- moving a project -------------------------------------------------------------------------------------------------


def test_a_project_is_exported_and_imported(vision: Vision, at: Resource, simulators: Simulators, project: str) -> None:
    """The token of one resource makes a copy on another, under the name that was given."""
    exported = vision.projects.export(at, project)
    assert exported.token not in repr(exported)
    other = Resource(simulators.vision_replica.url, KEY)
    started = vision.projects.import_(other, exported.token, "fruit (copy)")
    assert (started.name, started.status) == ("fruit (copy)", "Importing")
    simulators.vision_replica.until(lambda state: state["projects"][0]["status"] == "Succeeded")
    copied = vision.projects.read(other, started.id)
    assert copied
    assert copied.status == "Succeeded"


@pytest.mark.guarantee(6)
def test_an_import_sends_its_token_whole_and_tells_nothing_of_it(
    vision: Vision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is percent-encoded, the request says that it has no body, and no error holds the token."""
    with serve(tmp_path) as (canned, ca):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca)
        at = Resource(canned.url, KEY)
        canned.replies = [Reply(400, {"code": "BadRequestInvalidImportToken", "message": f"Bad: {TOKEN}"})]
        with pytest.raises(PermanentError) as refusal:
            vision.projects.import_(at, TOKEN, "red & blue")
        assert "secret" not in refusal.value.reason
        canned.replies = [Reply(drop=True)]
        with pytest.raises(UnansweredError) as problem:
            vision.projects.import_(at, TOKEN, "red & blue")
        assert "secret" not in problem.value.reason
    assert len(canned.asked) == 2
    path, _, query = canned.asked[0].path.partition("?")
    encoded = "https%3A%2F%2Fx.blob.core.windows.net%2Fprjexp-1%2Finfo%3Fsv%3D1%26sig%3Da%252Bsecret%252Fsig%253D"
    assert path == "/customvision/v3.3/training/projects/import"
    assert query == f"token={encoded}%26se%3D2026-01-01%26sp%3Dr&name=red%20%26%20blue"
    assert canned.asked[0].headers["content-length"] == "0"


@pytest.mark.guarantee(6)
@pytest.mark.parametrize("status", [400, 403, 429, 500])
@pytest.mark.parametrize(
    "spelt",
    [
        TOKEN,
        quote(TOKEN, safe=""),
        quote(TOKEN, safe="").lower(),
        quote(quote(TOKEN, safe=""), safe=""),
        unquote(TOKEN),
        quote(f"{TOKEN}{'&more=secret' * 30}", safe=""),
        f"{{token:{quote(TOKEN, safe='')}}}",
    ],
)
def test_a_token_is_covered_however_the_service_spells_it(
    vision: Vision, at: Resource, simulators: Simulators, spelt: str, status: int
) -> None:
    """Percent-encoded, cut off or in another case: the words around it stay, and of the token there is nothing."""
    simulators.vision.fault(**refused({"code": "BadRequestOdd", "message": f"The token {spelt} is no good."}, status))
    with pytest.raises((PermanentError, TemporaryError)) as refusal:
        vision.projects.import_(at, TOKEN, "red & blue")
    assert "secret" not in f"{refusal.value.reason}{refusal.value}"
    assert "prjexp" not in refusal.value.reason
    assert f"answered {status} BadRequestOdd: The token ***" in refusal.value.reason


# -- tags -------------------------------------------------------------------------------------------------------------


def test_tags_are_created_once(vision: Vision, at: Resource, project: str) -> None:
    """A tag is told as it was made; one of the same name that is there is given."""
    apple = vision.tags.create(at, project, "red  apple", description="A fruit")
    other = vision.tags.create(at, project, "other", type="Negative")
    assert (apple.name, apple.type, apple.images, other.type) == ("red  apple", "Regular", 0, "Negative")
    assert vision.tags.create(at, project, "red  apple") == apple
    assert {one.id for one in vision.tags.list(at, project)} == {apple.id, other.id}
