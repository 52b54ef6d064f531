"""The client of Language against a service that says what a test wants: odd answers, other places, lost replies."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import pace
from shared.clients.language import Language, Resource, Training, wire
from shared.clients.language.jobs import STATUSES, status_of
from shared.clients.language.words import flattened, words_of
from shared.errors import PermanentError, TemporaryError, UnansweredError
from shared.redaction import LONGEST_TEXT
from shared.settings import Settings
from tests.integration.canned import Canned, Reply, serve

KEY = "0123456789abcdef0123456789abcdef"
ELSEWHERE = "https://evil.example.net/language/authoring/analyze-conversations/projects/p/export/jobs/1?api-version=x"
CONTENT = json.dumps({"metadata": {"projectName": "p"}}).encode()


@pytest.fixture
def canned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    """Give a service that says what a test wants."""
    with serve(tmp_path) as (server, ca):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca)
        yield server


def no_credential() -> Any:
    """Make no credential."""
    raise AssertionError


@pytest.fixture
def language() -> Language:
    """Give the client, without any storage."""
    return Language(Settings.read({"AzureWebJobsStorage__accountName": "none"}), no_credential)


def said(canned: Canned, *replies: Reply) -> Resource:
    """Let a service say these, one after the other; give where it is."""
    canned.replies = list(replies)
    return Resource(canned.url, KEY)


def accepted(url: str, status: int = 202) -> Reply:
    """Write the answer to a start."""
    return Reply(status, "", {"operation-location": url})


def job(**more: Any) -> dict[str, Any]:
    """Write a job."""
    return {"jobId": "1_2", "status": "succeeded", "createdDateTime": "2026-11-22T10:00:00Z", **more}


def error(code: str, message: str, **more: Any) -> dict[str, Any]:
    """Write an error."""
    return {"error": {"code": code, "message": message, **more}}


STARTS: dict[str, Callable[[Language, Resource], object]] = {
    "export": lambda language, at: language.projects.export(at, "p"),
    "import": lambda language, at: language.projects.import_(at, "p", CONTENT),
    "train": lambda language, at: language.models.train(at, "p", Training("v1")),
    "swap": lambda language, at: language.deployments.swap(at, "p", "a", "b"),
}
DEPLOY: dict[str, Callable[[Language, Resource], object]] = {
    "deploy": lambda language, at: language.deployments.deploy(at, "p", "a", "v1"),
}


# -- starting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("name", [*STARTS, *DEPLOY])
def test_a_start_is_followed_where_the_service_says(name: str, status: int, canned: Canned, language: Language) -> None:
    """Whether it answers 200 or 202, its operation-location is given on as it is."""
    url = f"{canned.url}/language/authoring/any/where?api-version=2099-01-01"
    assert (STARTS | DEPLOY)[name](language, said(canned, accepted(url, status))) == url
    (asked,) = canned.asked
    assert asked.headers["ocp-apim-subscription-key"] == KEY
    assert "api-version=2023-04-01" in asked.path


def test_what_is_sent_is_what_is_documented(canned: Canned, language: Language) -> None:
    """Each start has its path, its query and its body."""
    at = said(canned, accepted(f"{canned.url}/x"))
    for start in (STARTS | DEPLOY).values():
        start(language, at)
    language.projects.export(Resource(canned.url, KEY, "2025-11-01"), "My.App-1", model="v 1")
    base = "/language/authoring/analyze-conversations/projects"
    sent = [
        (one.method, one.path.removeprefix(base), json.loads(one.body) if one.body else None) for one in canned.asked
    ]
    split = {"kind": "percentage", "trainingSplitPercentage": 80, "testingSplitPercentage": 20}
    training = {
        "modelLabel": "v1",
        "trainingMode": "advanced",
        "trainingConfigVersion": "latest",
        "evaluationOptions": split,
    }
    assert sent == [
        ("POST", "/p/:export?stringIndexType=Utf16CodeUnit&api-version=2023-04-01", None),
        ("POST", "/p/:import?api-version=2023-04-01", json.loads(CONTENT)),
        ("POST", "/p/:train?api-version=2023-04-01", training),
        (
            "POST",
            "/p/deployments/:swap?api-version=2023-04-01",
            {"firstDeploymentName": "a", "secondDeploymentName": "b"},
        ),
        ("PUT", "/p/deployments/a?api-version=2023-04-01", {"trainedModelLabel": "v1"}),
        (
            "POST",
            "/My.App-1/:export?stringIndexType=Utf16CodeUnit&trainedModelLabel=v%201&api-version=2025-11-01",
            None,
        ),
    ]
    assert canned.asked[0].headers["content-length"] == "0"
    assert canned.asked[1].headers["content-type"] == "application/json"


@pytest.mark.guarantee(3)
@pytest.mark.parametrize("reply", [Reply(drop=True), Reply(500), Reply(504, error("Timeout", "no")), Reply(202)])
@pytest.mark.parametrize("name", STARTS)
def test_a_start_that_was_not_answered_may_have_been_made(
    name: str, reply: Reply, canned: Canned, language: Language
) -> None:
    """It is sent once, and nobody says that it failed."""
    with pytest.raises(UnansweredError):
        STARTS[name](language, said(canned, reply))
    assert len(canned.asked) == 1


@pytest.mark.parametrize("reply", [Reply(drop=True), Reply(503), Reply(202)])
def test_a_deployment_that_was_not_answered_can_be_asked_for_again(
    reply: Reply, canned: Canned, language: Language
) -> None:
    """A PUT leaves the same however often it is sent."""
    with pytest.raises(TemporaryError) as caught:
        DEPLOY["deploy"](language, said(canned, reply))
    assert not isinstance(caught.value, UnansweredError)


@pytest.mark.parametrize("name", STARTS)
def test_who_asks_too_often_is_told_when_to_ask_again(name: str, canned: Canned, language: Language) -> None:
    """A 429 is no start, is not repeated at once, and its Retry-After goes up."""
    reply = Reply(429, error("TooManyRequests", "Rate limit is exceeded."), {"Retry-After": "41"})
    with pytest.raises(TemporaryError, match="TooManyRequests") as caught:
        STARTS[name](language, said(canned, reply))
    assert (type(caught.value), caught.value.after, len(canned.asked)) == (TemporaryError, 41, 1)


# -- other places -----------------------------------------------------------------------------------------------------

OTHERS = [
    ELSEWHERE,
    "https://127.0.0.1:1/x",
    "//evil.example.net/x",
    "https://{host}@evil.example.net/x",
    "https://evil.example.net:443@{host}/x",
    "https://{host}.evil.example.net/x",
    "http://{host}/x",
    "https://[",
    "file:///etc/passwd",
]


@pytest.mark.guarantee(7)
@pytest.mark.parametrize("other", OTHERS)
def test_no_key_goes_to_another_place(other: str, canned: Canned, language: Language) -> None:
    """A job, a result or a next page on another host, port or scheme is refused, and nothing is sent there."""
    other = other.format(host=canned.url.removeprefix("https://"))
    own = f"{canned.url}/job"
    attempts: list[tuple[list[Reply], Callable[[Resource], object]]] = [
        ([accepted(other)], lambda at: language.projects.export(at, "p")),
        ([accepted(other)], lambda at: language.deployments.deploy(at, "p", "a", "v1")),
        ([], lambda at: language.jobs.read(at, other)),
        ([], lambda at: language.models.cancel(at, other)),
        ([], lambda at: language.projects.exported(at, other)),
        ([Reply(200, job(resultUrl=other))], lambda at: language.projects.exported(at, own)),
        ([Reply(200, {"value": [], "nextLink": other})], language.projects.list),
    ]
    for replies, attempt in attempts:
        canned.asked.clear()
        at = said(canned, *replies, Reply(200, "never"))
        with pytest.raises(PermanentError, match="another place") as caught:
            attempt(at)
        assert len(canned.asked) == len(replies)
        assert "own endpoint" in caught.value.remedy
        assert KEY not in caught.value.reason


@pytest.mark.guarantee(7)
def test_a_redirect_is_not_followed(canned: Canned, language: Language) -> None:
    """Neither of a job nor of a result."""
    at = said(canned, Reply(302, "", {"Location": ELSEWHERE}))
    with pytest.raises(PermanentError, match="302"):
        language.jobs.read(at, f"{canned.url}/job")
    assert len(canned.asked) == 1


@pytest.mark.parametrize("spelt", ["{url}/job?a=b", "/job?a=b", " {url}/job?a=b", "{upper}/job?a=b"])
def test_the_same_place_may_be_spelt_in_several_ways(spelt: str, canned: Canned, language: Language) -> None:
    """Upper case, blanks and a path alone lead to the resource itself."""
    at = said(canned, Reply(200, job()))
    given = spelt.format(url=canned.url, upper=canned.url.replace("https", "HTTPS"))
    found = language.jobs.read(at, given)
    assert found
    assert canned.asked[0].path == "/job?a=b"


def test_a_usual_port_is_no_other_place() -> None:
    """A service may write the port that everybody means."""
    at = Resource("https://mail-we.cognitiveservices.azure.com/", KEY)
    assert at.own("https://MAIL-we.cognitiveservices.azure.com:443/x", "a job")
    assert (at.host, at.place) == ("mail-we.cognitiveservices.azure.com",) * 2
    assert Resource("https://127.0.0.1:8443").place == "127.0.0.1:8443"


def test_a_list_without_an_end_ends(canned: Canned, language: Language) -> None:
    """A next page that was read already is not read for ever."""
    at = said(canned, Reply(200, {"value": [], "nextLink": f"{canned.url}/again"}))
    with pytest.raises(TemporaryError, match="without an end"):
        language.projects.list(at)
    assert len(canned.asked) == 2


# -- jobs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("spell", [str, str.lower, str.upper, str.title])
def test_each_status_is_known_however_it_is_spelt(
    status: str, spell: Callable[[str], str], canned: Canned, language: Language
) -> None:
    """Four of the seven are ends, one of them good."""
    at = said(canned, Reply(200, job(status=spell(status))))
    found = language.jobs.read(at, f"{canned.url}/job")
    assert found
    assert found.status == status
    assert found.is_over == (status in {"succeeded", "failed", "cancelled", "partiallyCompleted"})
    assert found.is_good == (status == "succeeded")
    assert bool(found.why) == (status not in {"succeeded", "running", "notStarted"})


def test_a_status_that_nobody_knows_is_no_end() -> None:
    """A new word keeps us looking."""
    assert (status_of("validating"), status_of(""), status_of(None)) == ("running", "", "")


def test_a_job_tells_all_it_knows(canned: Canned, language: Language) -> None:
    """Percentage, estimated end, both phases, warnings; and how long to leave it alone is heard."""
    training = {
        "modelLabel": "v1",
        "estimatedEndDateTime": "2026-11-22T11:00:00Z",
        "trainingStatus": {"percentComplete": 41.6, "status": "RUNNING"},
        "evaluationStatus": {"percentComplete": 0, "status": "notstarted"},
        "somethingNew": {"a": 1},
    }
    warnings = [{"code": "Warning", "message": "2 utterances were left out."}]
    body = job(status="Running", result=training, warnings=warnings, errors=None, expirationDateTime=None)
    at = said(canned, Reply(200, body, {"Retry-After": "17"}))
    with pace.listening() as heard:
        found = language.jobs.read(at, f"{canned.url}/job")
    assert found
    assert heard == [17]
    assert (found.percent, found.model, found.training_status, found.evaluation_status) == (
        42,
        "v1",
        "running",
        "notStarted",
    )
    assert found.estimated_end
    assert found.estimated_end.isoformat() == "2026-11-22T11:00:00+00:00"
    assert found.warnings == ("Warning: 2 utterances were left out.",)
    assert found.expires is None


def test_a_job_that_is_gone_is_none(canned: Canned, language: Language) -> None:
    """After seven days, and sometimes in its first moments."""
    at = said(canned, Reply(404, error("OperationNotFound", "no")))
    assert language.jobs.read(at, f"{canned.url}/job") is None


@pytest.mark.parametrize("body", ["", "[]", "{}", job(status=None), job(status=""), job(result=[1])])
def test_a_job_that_cannot_be_read_is_looked_at_again(body: Any, canned: Canned, language: Language) -> None:
    """It is neither over nor gone."""
    at = said(canned, Reply(200, body))
    with pytest.raises(TemporaryError, match="answered 200"):
        language.jobs.read(at, f"{canned.url}/job")


def test_an_export_that_is_no_project_is_not_kept(canned: Canned, language: Language) -> None:
    """A page of a proxy, half a body, nothing: asked for again."""
    for content in ("<html>", '{"metadata": ', "", "[]", "null", '{"metadata": null}'):
        at = said(canned, Reply(200, job(resultUrl="/result")), Reply(200, content))
        with pytest.raises(TemporaryError, match="no project"):
            language.projects.exported(at, f"{canned.url}/job")


def test_a_partly_completed_export_is_given_and_judged_by_others(canned: Canned, language: Language) -> None:
    """What there is can be read, by the same key."""
    partly = job(status="partiallyCompleted", resultUrl=f"{canned.url}/result?api-version=2023-04-01")
    at = said(canned, Reply(200, partly), Reply(200, CONTENT.decode()))
    assert language.projects.exported(at, f"{canned.url}/job") == CONTENT
    assert canned.asked[1].headers["ocp-apim-subscription-key"] == KEY


# -- words ------------------------------------------------------------------------------------------------------------


def test_a_nested_error_is_told_in_one_line() -> None:
    """The innermost code leads, each message comes once, and each detail says what it is about."""
    inner = {"code": "InvalidRequestBodyFormat", "message": "Failed to parse.", "innererror": {"code": "X"}}
    details = [
        {"code": "InvalidArgument", "message": "Must be one of: Conversation.", "target": "projectKind"},
        {"code": "InvalidArgument", "message": "Failed to parse the input.", "target": "body"},
    ]
    told = {"code": "InvalidArgument", "message": "Failed to parse the input.", "details": details, "innererror": inner}
    assert words_of(told) == (
        "InvalidRequestBodyFormat: Failed to parse the input. projectKind: Must be one of: Conversation. "
        "Failed to parse."
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["code", "message", "details", "innererror"]), inner)
    ),
)


@given(JSON)
def test_every_error_can_be_told(value: Any) -> None:
    """Whatever is in an error, it becomes one short line, and an answer's stays an answer."""
    assert len(words_of(value)) <= LONGEST_TEXT
    assert "\n" not in words_of(value)
    for body in (json.dumps({"error": value}), json.dumps(value)):
        json.loads(flattened(body))


def test_an_error_deeper_than_anybody_reads_is_told() -> None:
    """A thousand inner errors are no more than a few."""
    error: dict[str, Any] = {"code": "Inner", "message": "deep"}
    for number in range(500):
        error = {"code": "InvalidArgument", "message": f"level {number}", "innererror": error}
    assert len(words_of(error)) <= LONGEST_TEXT


@pytest.mark.guarantee(6)
def test_what_the_service_repeats_of_a_secret_is_covered(canned: Canned, language: Language) -> None:
    """No token that an answer holds gets into a reason."""
    words = "no: Bearer eyJhbGciOiJSUzI1NiJ9.abc.def for https://h/x?sig=SECRETSECRET"
    at = said(canned, Reply(400, error("InvalidRequest", words)))
    with pytest.raises(PermanentError) as caught:
        language.projects.list(at)
    assert "SECRET" not in caught.value.reason
    assert "eyJ" not in caught.value.reason
    assert KEY not in repr(at) + repr(language)


# -- who may ----------------------------------------------------------------------------------------------------------

REFUSALS: list[tuple[int, Any, str]] = [
    (401, error("401", "Access denied due to invalid subscription key."), "current key"),
    (401, error("Unauthorized", "no"), "current key"),
    (
        403,
        error("403", "Access denied due to Virtual Network/Firewall rules."),
        "network pass the app",
    ),
    (403, error("AuthenticationTypeDisabled", "Key based authentication is disabled."), "no keys"),
    (403, error("403", "Out of call volume quota for F0 pricing tier."), "tier S"),
    (403, error("Forbidden", "no"), "a key has no roles"),
]


@pytest.mark.parametrize(("status", "body", "remedy"), REFUSALS)
def test_a_key_that_is_refused_is_no_matter_of_roles(
    status: int, body: Any, remedy: str, canned: Canned, language: Language
) -> None:
    """Nothing gets better by waiting; the remedy says what to do, and nothing is said of tokens."""
    with pytest.raises(PermanentError) as caught:
        language.projects.list(said(canned, Reply(status, body)))
    assert remedy in caught.value.remedy
    assert "token" not in caught.value.reason
    assert "propagated" not in caught.value.reason


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("Maximum number of deployments (10) is exceeded.", "ten at most"),
        ("The project name in the URL does not match the one in the body.", "must be equal"),
        ("The training configuration version has expired.", "latest"),
        ("The deployment 'a' could not be found.", "deployment's name"),
        ("Resource not found", "Language resource's own"),
        ("This operation is unavailable in the region koreacentral.", "only predicts"),
    ],
)
def test_a_refusal_has_a_remedy(message: str, remedy: str, canned: Canned, language: Language) -> None:
    """The table knows what the service may say."""
    with pytest.raises(PermanentError) as caught:
        language.projects.list(said(canned, Reply(400, error("InvalidRequest", message))))
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("key", ["a\nkey", "schlüssel"])
def test_a_key_that_can_be_none_is_not_sent(key: str, canned: Canned, language: Language) -> None:
    """It would break the header; the setting was copied wrong."""
    with pytest.raises(PermanentError, match="no key has") as caught:
        language.projects.list(Resource(canned.url, key))
    assert key not in str(caught.value)
    assert canned.asked == []


def test_a_regional_endpoint_takes_keys_only(language: Language) -> None:
    """There is no telling by it whose token it is."""
    with pytest.raises(PermanentError, match="keys only"):
        language.projects.list(Resource("https://westeurope.api.cognitive.microsoft.com"))


@pytest.mark.guarantee(7)
@pytest.mark.parametrize("name", ["", "..", "a/b", "../global"])
def test_a_name_never_leads_elsewhere(name: str, canned: Canned, language: Language) -> None:
    """What is no single part of a path is not asked for."""
    at = said(canned, Reply(200, "{}"))
    for ask in (
        lambda: language.models.list(at, name),
        lambda: language.projects.read(at, name),
        lambda: language.projects.export(at, name),
        lambda: language.projects.delete(at, name),
        lambda: language.models.delete(at, "p", name),
        lambda: language.deployments.deploy(at, "p", name, "v1"),
    ):
        with pytest.raises(PermanentError, match="no name"):
            ask()
    assert canned.asked == []


# -- predictions ------------------------------------------------------------------------------------------------------


def test_a_prediction_is_asked_for_as_documented(canned: Canned, language: Language) -> None:
    """Positions in code points; the text's language only where it is given; what is not known is ignored."""
    prediction = {
        "projectKind": "Conversation",
        "topIntent": "Read",
        "intents": [{"category": "Read", "confidenceScore": 0.9}, {"category": "None", "confidenceScore": 0}],
        "entities": [
            {"category": "C", "text": "Kim", "offset": 1, "length": 3, "confidenceScore": 1, "resolutions": []}
        ],
    }
    at = said(canned, Reply(200, {"kind": "ConversationResult", "result": {"query": "x", "prediction": prediction}}))
    found = language.predictions.guess(at, "p", "d", "x", language="ko")
    assert (found.intent, found.confidence, found.entities[0].offset, found.language) == ("Read", 0.9, 1, "")
    language.predictions.guess(at, "p", "d", "x")
    first, second = (json.loads(one.body) for one in canned.asked)
    assert first["parameters"] == {
        "projectName": "p",
        "deploymentName": "d",
        "stringIndexType": "UnicodeCodePoint",
    }
    assert first["analysisInput"]["conversationItem"]["language"] == "ko"
    assert "language" not in second["analysisInput"]["conversationItem"]
    assert canned.asked[0].path == "/language/:analyze-conversations?api-version=2023-04-01"


def test_an_orchestration_answers_too(canned: Canned, language: Language) -> None:
    """Its intents are an object keyed by their names."""
    prediction = {"projectKind": "Orchestration", "topIntent": "Mail", "intents": {"Mail": {"confidenceScore": 0.7}}}
    found = language.predictions.guess(said(canned, Reply(200, {"result": {"prediction": prediction}})), "p", "d", "x")
    assert (found.intent, found.confidence, found.entities) == ("Mail", 0.7, ())


@pytest.mark.parametrize("reply", [Reply(503), Reply(drop=True), Reply(200, "<html>"), Reply(200, {"result": {}})])
def test_a_prediction_is_asked_for_once(reply: Reply, canned: Canned, language: Language) -> None:
    """Whoever wants more asks again, or asks the other region: nobody waits for repeats that are not theirs."""
    with pytest.raises(TemporaryError):
        language.predictions.guess(said(canned, reply), "p", "d", "x")
    assert len(canned.asked) == 1


def test_a_region_that_hangs_is_not_waited_for(canned: Canned, language: Language) -> None:
    """One that begins to answer and never ends is as good as down, after seconds that somebody can wait."""
    assert wire.SOON <= 10
    at = said(canned, Reply(200, "", {"Content-Length": "10"}))
    began = time.monotonic()
    with pytest.raises(TemporaryError, match=r"^Language at 127\.0\.0\.1 did not answer within 0\.3 s$"):
        language.predictions.guess(at, "p", "d", "x", within=0.3)
    assert time.monotonic() - began < 5


def test_which_resource_does_not_answer_is_said(canned: Canned, language: Language) -> None:
    """There are two; what may have been started stays uncertain, and a port where nobody is was not asked."""
    at = said(canned, Reply(drop=True))
    with pytest.raises(UnansweredError, match=r"^Language at 127\.0\.0\.1 did not answer \(.*may have been started"):
        language.projects.import_(at, "p", CONTENT)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = replace(at, endpoint=f"https://localhost:{nobody.getsockname()[1]}")
        with pytest.raises(TemporaryError, match=r"^Language at localhost cannot be reached: ") as problem:
            language.predictions.guess(gone, "p", "d", "x")
    assert not isinstance(problem.value, UnansweredError)
