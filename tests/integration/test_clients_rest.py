"""What any answer, and no answer, becomes: a value or one of the two error words, over real https."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.simulators.remote import Simulators
from shared import answers
from shared.answers import Effect
from shared.clients.identity import managed_identity
from shared.clients.rest import Rest, segment
from shared.errors import DeniedError, PermanentError, ReactorError, TemporaryError, UnansweredError
from shared.redaction import LONGEST_TEXT
from tests.integration.canned import Canned, Reply, serve


@pytest.fixture
def canned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    """Serve canned answers whose certificate is trusted."""
    with serve(tmp_path) as (server, ca):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca)
        yield server


def arm(code: str, message: str, *details: tuple[str, str], inner: Any = None) -> dict[str, Any]:
    """Write an error as Azure Resource Manager does."""
    error: dict[str, Any] = {"code": code, "message": message}
    error["details"] = [{"code": name, "message": text} for name, text in details]
    error["additionalInfo"] = [{"type": "InnerError", "info": {"value": inner}}] if inner else []
    return {"error": error}


QUOTA = (
    'InferencingClient HttpRequest error, error detail: {"errors":{"VmSize":["Not enough quota available for '
    'Standard_F4s_v2. Current usage/limit: 0/6. Additional needed: 8"]},"type":"x"}'
)
HTML = "<html><head><style>p{}</style><title>502 Bad Gateway</title></head><body><h1>502</h1></body></html>"
THROTTLED = "Requests have exceeded rate limit of your current F0 pricing tier. Please retry after 7 second."


@dataclass(frozen=True)
class Case:
    """One answer, and what it means."""

    name: str
    reply: Reply
    word: type[ReactorError]
    says: tuple[str, ...] = ()
    after: float | None = None
    effect: Effect = "same"
    never_says: tuple[str, ...] = ()


CASES = [
    Case("bad request", Reply(400, arm("BadRequest", "no")), PermanentError, ("400", "BadRequest: no")),
    Case(
        "details are dug out",
        Reply(400, arm("UserError", "One or more errors.", ("MissingDriverProgram", "No main.py."))),
        PermanentError,
        ("MissingDriverProgram", "No main.py."),
    ),
    Case(
        "inner error codes are dug out",
        Reply(
            400, arm("UserError", "A job exists.", inner={"code": "Immutable", "innerError": {"code": "JobProperty"}})
        ),
        PermanentError,
        ("Immutable/JobProperty", "A job exists."),
    ),
    Case(
        "quota hides JSON in its message",
        Reply(400, arm("BadRequest", QUOTA)),
        PermanentError,
        ("Not enough quota available for Standard_F4s_v2", "Additional needed: 8"),
        never_says=("{",),
    ),
    Case(
        "401 of a key",
        Reply(401, arm("401", "Access denied due to invalid subscription key.")),
        PermanentError,
        ("401",),
    ),
    Case("401 of a token", Reply(401, arm("InvalidAuthenticationToken", "expired")), TemporaryError, ("new token",)),
    Case("403", Reply(403, arm("AuthorizationFailed", "no action")), DeniedError, ("role may not have propagated",)),
    Case("404", Reply(404, arm("ResourceNotFound", "gone")), PermanentError, ("ResourceNotFound: gone",)),
    Case("409", Reply(409, arm("Conflict", "busy")), TemporaryError, ("409", "busy")),
    Case(
        "a state conflict that is a 400",
        Reply(
            400,
            arm("BadRequest", "Cannot create a deployment in endpoint e because it is in Updating provisioning state"),
        ),
        TemporaryError,
        ("Updating provisioning state",),
    ),
    Case(
        "an end state is no state conflict",
        Reply(400, arm("BadRequest", "Cannot update e because it is in Failed provisioning state")),
        PermanentError,
    ),
    Case(
        "another operation on the same entity",
        Reply(400, arm("UserError", "Conflict of operation, another operation on same entity is already running")),
        TemporaryError,
    ),
    Case(
        "a name that another subscription has",
        Reply(
            409, arm("Conflict", "There is already an endpoint with this name, it needs to be unique within a region")
        ),
        PermanentError,
    ),
    Case("429 with Retry-After", Reply(429, arm("Throttled", "slow"), {"Retry-After": "17"}), TemporaryError, after=17),
    Case("429 in milliseconds", Reply(429, "", {"x-ms-retry-after-ms": "1500"}), TemporaryError, after=1.5),
    Case("429 with the wait in words", Reply(429, {"code": "429", "message": THROTTLED}), TemporaryError, after=7),
    Case("429 without any wait", Reply(429, "slow down"), TemporaryError, ("429 slow down",)),
    Case("503 with a date", Reply(503, "", {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}), TemporaryError, after=0),
    Case("500", Reply(500, arm("InternalServerError", "oops")), TemporaryError, ("500",)),
    Case("500 to a start", Reply(500, ""), UnansweredError, ("may have been started",), effect="start"),
    Case("504 to a start", Reply(504, ""), UnansweredError, effect="start"),
    Case("429 to a start: surely not started", Reply(429, ""), TemporaryError, effect="start"),
    Case("409 to a start: surely not started", Reply(409, ""), TemporaryError, effect="start"),
    Case("dropped start", Reply(drop=True), UnansweredError, ("did not answer",), effect="start"),
    Case("dropped PUT", Reply(drop=True), TemporaryError, ("did not answer",)),
    Case("plain text", Reply(403, "Microsoft Entra Token denied by policy"), DeniedError, ("denied by policy",)),
    Case("HTML", Reply(502, HTML), TemporaryError, ("502 Bad Gateway",), never_says=("<", "p{}")),
    Case("HTML 411", Reply(411, "<h2>Length Required</h2>"), PermanentError, ("Length Required",)),
    Case(
        "flat",
        Reply(400, {"code": "BadRequestInvalidUri", "message": "no"}),
        PermanentError,
        ("BadRequestInvalidUri: no",),
    ),
    Case(
        "PascalCase", Reply(400, {"Error": {"Code": "UserError", "Message": "no"}}), PermanentError, ("UserError: no",)
    ),
    Case("a list", Reply(400, '[{"code": "A", "message": "b"}]'), PermanentError, ("A: b",)),
    Case("JSON of no known shape", Reply(400, "[1, null]"), PermanentError, ("answered 400",)),
    Case("a redirect is not followed", Reply(302, "", {"Location": "https://127.0.0.1:1/"}), PermanentError, ("302",)),
    Case(
        "secrets are removed",
        Reply(400, "code: 7 https://a.blob.core.windows.net/c/b?sv=1&sig=SECRET1 Bearer SECRET2-abc password=SECRET3"),
        PermanentError,
        ("https://a.blob.core.windows.net/c/b", "code: 7"),
        never_says=("SECRET1", "SECRET2", "SECRET3"),
    ),
    Case("long bodies are cut", Reply(400, "x" * 100_000), PermanentError, never_says=("x" * 257,)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_answer_becomes_an_error_word(case: Case, canned: Canned) -> None:
    """Each answer is exactly one of the words, with the wait and the text of the service, and is asked for once."""
    canned.replies = [case.reply]
    with pytest.raises(ReactorError) as caught:
        Rest("Service").send("PUT" if case.effect == "same" else "POST", f"{canned.url}/x", body={}, effect=case.effect)
    assert type(caught.value) is case.word
    assert all(text in caught.value.reason for text in case.says), caught.value.reason
    assert not any(text in caught.value.reason for text in case.never_says), caught.value.reason
    assert len(canned.asked) == 1
    if isinstance(caught.value, TemporaryError):
        assert caught.value.after == case.after


def test_a_read_is_repeated_a_little(canned: Canned) -> None:
    """Two failures of a read are sat out, within seconds."""
    canned.replies = [Reply(503), Reply(429, "", {"Retry-After": "0"}), Reply(200, {"a": 1})]
    began = time.monotonic()
    assert Rest("Service").get(f"{canned.url}/x").read(dict[str, int]) == {"a": 1}
    assert len(canned.asked) == 3
    assert time.monotonic() - began < 5


def test_a_read_does_not_sleep_long(canned: Canned) -> None:
    """A Retry-After of minutes goes up at once, so that no function sleeps it out."""
    canned.replies = [Reply(429, "", {"Retry-After": "120"})]
    with pytest.raises(TemporaryError) as caught:
        Rest("Service").get(f"{canned.url}/x")
    assert caught.value.after == 120
    assert len(canned.asked) == 1


def test_a_missing_resource_is_found_missing(canned: Canned) -> None:
    """`find` answers None for 404, and only for that."""
    canned.replies = [Reply(404, arm("ResourceNotFound", "gone"))]
    assert Rest("Service").find(f"{canned.url}/x") is None


def test_nothing_was_sent_where_no_connection_was_made() -> None:
    """A refused connection is temporary even for a start: surely nothing was started."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(TemporaryError) as caught:
        Rest("Service").send("POST", f"https://127.0.0.1:{port}/x?sig=SECRET", effect="start")
    assert type(caught.value) is TemporaryError
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_identity_that_gives_no_token_says_so(simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal by the identity is temporary, is told apart from one by the service, and sends nothing."""
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    rest = Rest("Service", managed_identity, "https://management.azure.com/.default")
    with pytest.raises(
        TemporaryError, match=r"the app's identity gives no token for https://management\.azure\.com"
    ) as no:
        rest.send("POST", simulators.management.url, effect="start")
    assert type(no.value) is TemporaryError
    assert simulators.management.seen() == []


def test_an_untrusted_certificate_gets_nothing(canned: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose certificate is not trusted sees no request, and a start is known not to have happened."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(TemporaryError) as caught:
        Rest("Service").send("POST", f"{canned.url}/x", effect="start")
    assert type(caught.value) is TemporaryError
    assert canned.asked == []


@pytest.mark.guarantee(6)
def test_plain_http_is_refused() -> None:
    """Nothing is ever sent in the clear."""
    with pytest.raises(PermanentError, match="https"):
        Rest("Service").get("http://127.0.0.1:1/x")


def test_a_success_without_its_body_is_no_answer(canned: Canned) -> None:
    """A start whose answer cannot be read may have started something."""
    canned.replies = [Reply(200, "<html>")]
    with pytest.raises(UnansweredError):
        Rest("Service").send("POST", f"{canned.url}/x", effect="start").read(dict[str, int])
    with pytest.raises(TemporaryError):
        Rest("Service").get(f"{canned.url}/x").read(dict[str, int])


@given(st.integers(300, 599), st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text()), st.text())
def test_every_answer_has_a_meaning(status: int, headers: dict[str, str], body: str) -> None:
    """Whatever a server answers is one of the words, bounded, on one line."""
    word = answers.error("Service", status, headers, body)
    assert isinstance(word, (TemporaryError, PermanentError))
    assert len(word.reason) < 400
    assert "\n" not in word.reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["error", "code", "details"]), inner),
)


@given(JSON)
def test_every_error_body_can_be_read(body: Any) -> None:
    """Any JSON is read as an error body without failing, however oddly it is made."""
    shape = {"error": {"code": body, "message": body, "details": body, "additionalInfo": body, "innererror": body}}
    for value in (body, shape):
        assert len(answers.complaint(json.dumps(value)).text) <= 2 * LONGEST_TEXT + 2


@given(st.lists(st.sampled_from(["<script", "<style>", "</script", ">", "<", " ", "no", "]]>"]), max_size=60))
def test_what_is_left_of_a_page_is_short(parts: list[str]) -> None:
    """Whatever a page is made of, one short line of it is kept."""
    text = answers.complaint("".join(parts)).text
    assert len(text) <= LONGEST_TEXT
    assert "\n" not in text


@pytest.mark.parametrize(
    "part", ["<script", "<style ", "</script ", "<", "<a ", "-eyJ", "sig=", "Basic ", "<script></"]
)
def test_a_long_error_body_is_read_once(part: str) -> None:
    """A body of megabytes, made of what opens and never closes, is told as briefly as any other."""
    assert len(answers.complaint(part * 500_000).text) <= LONGEST_TEXT
    assert len(answers.complaint(json.dumps({"message": part * 500_000})).text) <= LONGEST_TEXT


@pytest.mark.guarantee(6)
def test_half_a_surrogate_pair_gets_no_further(canned: Canned) -> None:
    """What JSON may hold and no record can is replaced, in an error's text and in a value."""
    canned.replies = [Reply(400, '{"message": "no \\ud800 way"}'), Reply(200, '{"a": "\\udc00"}')]
    with pytest.raises(PermanentError, match=r"no \? way"):
        Rest("Service").get(f"{canned.url}/x")
    assert Rest("Service").get(f"{canned.url}/x").read(dict[str, str]) == {"a": "?"}


@pytest.mark.parametrize("headers", [{"x-ms-request-id": "sig=SECRET" + "x" * 999}])
def test_a_header_is_told_like_any_text(headers: dict[str, str]) -> None:
    """The id of a request is the service's own text too."""
    said = answers.error("Service", 400, headers, "").reason
    assert "SECRET" not in said
    assert len(said) < 400


def test_what_was_made_a_moment_ago_may_be_missing(canned: Canned) -> None:
    """A 404 is temporary where it is about what may not be seen everywhere yet, and else permanent."""
    canned.replies = [Reply(404, arm("ParentResourceNotFound", "no endpoint"))]
    with pytest.raises(TemporaryError, match=r"no endpoint.*not be visible yet"):
        Rest("Service").send("PUT", f"{canned.url}/x", effect="same", awaited=True)
    with pytest.raises(PermanentError):
        Rest("Service").send("PUT", f"{canned.url}/x", effect="same")


@pytest.mark.guarantee(7)
@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../../other", "a\\b"])
def test_a_name_never_leads_out_of_its_place(name: str) -> None:
    """What is no single segment of a path is refused before any URL is made of it."""
    with pytest.raises(PermanentError, match="no name that can stand in a URL"):
        segment(name)


@given(st.text(min_size=1))
def test_a_name_is_one_segment(name: str) -> None:
    """Any other name is one segment, whatever is in it."""
    try:
        assert not set(segment(name)) & set("/?#\\")
    except PermanentError:
        assert name in {".", ".."} or set(name) & set("/\\")


def test_clients_cost_nothing_to_import() -> None:
    """Importing every client and handler loads no SDK, no requests and no jinja2."""
    code = (
        "import sys, importlib, shared.clients\n"
        "azure = ('machine_learning', 'data_factory', 'vision', 'language', 'event_grid')\n"
        "for name in ('rest', 'channels', 'identity', *azure):\n"
        "    importlib.import_module('shared.clients.' + name)\n"
        "from shared.handlers import ACTIONS\n"
        "for place in ACTIONS.values():\n"
        "    importlib.import_module(place.partition(':')[0])\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('azure', 'requests', 'jinja2')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
