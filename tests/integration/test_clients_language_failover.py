"""Failover between two regions over https: whatever the primary says or does, and how long it may do it.

The regions are sockets, for a test has to say each byte and when.
"""

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from shared.clients.language import Breaker, Failover, Predictions, Resource, Service
from shared.errors import PermanentError, TemporaryError

PREDICTION = {"topIntent": "Read", "intents": [{"category": "Read", "confidenceScore": 0.9}], "entities": []}
GOOD = json.dumps({"kind": "ConversationResult", "result": {"prediction": PREDICTION}})
HTML = "<html><body>Our services aren't available right now</body></html>"
WITHIN = 1.0
"""Seconds that each region has here."""
SLACK = 0.8
"""Seconds by which a slow machine may miss it."""

Say = Callable[[socket.socket], None]


@dataclass
class Region:
    """A server that does as it is told with each connection."""

    does: Say
    """What is done once a request was read; `handshakes` False: with the bare connection."""
    handshakes: bool = True
    port: int = 0
    asked: int = 0
    over: list[float] = field(default_factory=list)
    """When a connection was found closed by who asked."""

    @property
    def at(self) -> Resource:
        """Where it is."""
        return Resource(f"https://127.0.0.1:{self.port}", "a-key")


def reply(body: str = GOOD, status: str = "200 OK", *headers: str) -> Say:
    """Answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *headers, "", body]
    return lambda to: to.sendall("\r\n".join(lines).encode())


def refuse(status: str, code: str, message: str = "no", inner: str = "") -> Say:
    """Refuse as the service does."""
    error = {"code": code, "message": message, **({"innererror": {"code": inner, "message": message}} if inner else {})}
    return reply(json.dumps({"error": error}), status)


def drip(before: str, after: str) -> Say:
    """Answer, and from `after` on a byte each tenth of a second: no single wait is long."""

    def say(to: socket.socket) -> None:
        to.sendall(before.encode())
        for byte in after.encode():
            to.sendall(bytes([byte]))
            time.sleep(0.1)

    return say


def hang(to: socket.socket) -> None:
    """Say nothing until who asks is gone."""
    while to.recv(1024):
        pass


type Make = Callable[..., tuple[Region, Region]]


@contextmanager
def serving(region: Region, authority: trustme.CA) -> Iterator[None]:
    """Serve a region on a free port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    listening = socket.create_server(("127.0.0.1", 0))
    region.port = listening.getsockname()[1]

    def serve(bare: socket.socket) -> None:
        region.asked += 1
        bare.settimeout(20)
        to: socket.socket = bare
        try:
            if region.handshakes:
                to = context.wrap_socket(bare, server_side=True)
                read(to)
            region.does(to)
        except OSError:
            region.over.append(time.monotonic())
        finally:
            to.close()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def read(to: socket.socket) -> None:
    """Read a request."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += to.recv(65_536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    assert length
    while len(body) < int(length[1]):
        body += to.recv(65_536)


@pytest.fixture
def regions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Give what makes two regions; the secondary answers well where nothing else is said."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with ExitStack() as opened:

        def make(does: Say, then: Say | None = None, *, handshakes: bool = True) -> tuple[Region, Region]:
            made = Region(does, handshakes), Region(then or reply())
            for region in made:
                opened.enter_context(serving(region, authority))
            return made

        yield make


def between(primary: Region, secondary: Region, within: float = WITHIN) -> Failover:
    """Make a failover of an app of one's own."""
    return Failover(Predictions(Service()), primary.at, secondary.at, Breaker(failures=3), within=within)


# -- what the primary says --------------------------------------------------------------------------------------------

OWN_TROUBLE: dict[str, Say] = {
    "a success that is none": reply(HTML),
    "nothing": reply("", "204 No Content"),
    "a redirect": reply("", "302 Found", "Location: https://elsewhere.example/"),
    "a gateway's 400": reply(HTML, "400 Bad Request"),
    "a wrong key": refuse("401 Unauthorized", "401", "Access denied due to invalid subscription key"),
    "a role": refuse("401 Unauthorized", "PermissionDenied"),
    "a gateway's 403": reply(HTML, "403 Forbidden"),
    "a firewall": refuse("403 Forbidden", "AccessDenied", "Access denied due to Virtual Network/Firewall rules."),
    "a volume": refuse("403 Forbidden", "403", "Out of call volume quota."),
    "a gateway's 404": reply(HTML, "404 Not Found"),
    "a lost route": refuse("404 Not Found", "404", "Resource not found"),
    "a lost resource": refuse("404 Not Found", "ResourceNotFound"),
    "a lost project": refuse("404 Not Found", "ProjectNotFound"),
    "a lost deployment": refuse("404 Not Found", "NotFound"),
    "a lost deployment, as a 400": refuse(
        "400 Bad Request", "InvalidArgument", "The deployment is not there", "InvalidParameterValue"
    ),
    "an expired deployment": refuse("400 Bad Request", "InvalidRequest", "The deployment 'production' has expired."),
    "405": reply("", "405 Method Not Allowed"),
    "410": reply("", "410 Gone"),
    "a conflict": refuse("409 Conflict", "Conflict"),
    "429": refuse("429 Too Many Requests", "TooManyRequests"),
    "a quota": refuse("400 Bad Request", "QuotaExceeded"),
    "an old version": refuse("400 Bad Request", "BadRequest", "The requested API version is not supported"),
    "a 400 that says no more": refuse("400 Bad Request", "InvalidArgument"),
    "500": refuse("500 Internal Server Error", "InternalServerError"),
    "503": reply(HTML, "503 Service Unavailable"),
    "a code that nobody knows": refuse("418 I'm a teapot", "Teapot"),
    "a closed connection": lambda _: None,
}
CALLERS_FAULT: dict[str, Say] = {
    "an empty text": refuse("400 Bad Request", "InvalidRequest", "The text is empty.", "EmptyRequest"),
    "a long text": refuse("400 Bad Request", "InvalidRequest", "The text is too long.", "InvalidDocument"),
    "a language": refuse("400 Bad Request", "InvalidArgument", "Not supported.", "UnsupportedLanguageCode"),
    "a parameter": refuse("400 Bad Request", "InvalidArgument", "'x' is not known.", "InvalidParameterValue"),
}


@pytest.mark.parametrize("what", OWN_TROUBLE)
def test_a_region_that_cannot_serve_is_failed_over(what: str, regions: Make) -> None:
    """The secondary answers the call, and the primary has failed one."""
    primary, secondary = regions(OWN_TROUBLE[what])
    failover = between(primary, secondary, within=5)
    answered = failover.guess("EmailApp", "production", "hi")
    assert (answered.by, answered.prediction.intent) == ("secondary", "Read")
    assert answered.tried[0].startswith("primary: Language")
    assert failover.breaker.failed == 1


@pytest.mark.parametrize("what", CALLERS_FAULT)
def test_what_the_caller_did_is_told_at_once(what: str, regions: Make) -> None:
    """The nested code says so; the secondary is not asked, and the primary did not fail."""
    primary, secondary = regions(CALLERS_FAULT[what])
    failover = between(primary, secondary, within=5)
    with pytest.raises(PermanentError, match="400"):
        failover.guess("EmailApp", "production", "hi")
    assert (primary.asked, secondary.asked, failover.breaker.failed) == (1, 0, 0)


@pytest.mark.parametrize("what", ["a lost project", "a gateway's 404", "a 400 that says no more", "410"])
def test_what_both_regions_refuse_is_told_as_the_primary_does(what: str, regions: Make) -> None:
    """A name that is written wrong is no outage: both are asked, and nothing is counted."""
    primary, secondary = regions(OWN_TROUBLE[what], OWN_TROUBLE[what])
    failover = between(primary, secondary, within=5)
    with pytest.raises(PermanentError, match=r"^Language answered 4") as caught:
        failover.guess("EmialApp", "production", "hi")
    assert caught.value.remedy or what in ("a 400 that says no more", "410")
    assert (primary.asked, secondary.asked, failover.breaker.failed) == (1, 1, 0)


# -- how long it may take ---------------------------------------------------------------------------------------------

HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(GOOD)}\r\n\r\n"
CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def partial_answer(to: socket.socket) -> None:
    """Begin to answer."""
    to.sendall(HEAD.encode())
    hang(to)


SLOW: dict[str, Say] = {
    "drips its answer": drip(HEAD, GOOD),
    "drips its head": drip("", HEAD + GOOD),
    "drips headers without end": drip("HTTP/1.1 200 OK\r\n", "X: y\r\n" * 90),
    "drips chunks": drip(CHUNKED, "1\r\n \r\n" * 90),
    "drips a refusal": drip(f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(GOOD)}\r\n\r\n", GOOD),
    "hangs before its answer": hang,
    "hangs in its answer": partial_answer,
}


@pytest.mark.parametrize("what", SLOW)
def test_a_primary_that_is_slow_has_its_time_and_no_more(what: str, regions: Make) -> None:
    """However it holds the call: once its seconds are over the secondary answers, and the connection is closed."""
    primary, secondary = regions(SLOW[what])
    began = time.monotonic()
    answered = between(primary, secondary).guess("EmailApp", "production", "hi")
    took = time.monotonic() - began
    assert answered.by == "secondary"
    assert answered.tried == ("primary: Language at 127.0.0.1 did not answer within 1 s",)
    assert WITHIN <= took < WITHIN + SLACK
    assert (primary.asked, secondary.asked) == (1, 1)


@pytest.mark.parametrize("what", ["says nothing", "drips"])
def test_a_handshake_has_no_more_time(what: str, regions: Make) -> None:
    """TLS that is never agreed on holds nobody, neither silent nor byte by byte."""
    does: Say = hang if what == "says nothing" else drip("", "\x16\x03\x03\x40\x00" + "x" * 100)
    primary, secondary = regions(does, handshakes=False)
    began = time.monotonic()
    answered = between(primary, secondary).guess("EmailApp", "production", "hi")
    assert answered.by == "secondary"
    assert time.monotonic() - began < WITHIN + SLACK


def test_where_both_are_slow_the_call_ends_all_the_same(regions: Make) -> None:
    """Each has its time: the whole call has twice as much."""
    primary, secondary = regions(SLOW["drips its answer"], SLOW["drips its head"])
    began = time.monotonic()
    with pytest.raises(TemporaryError, match=r"neither region.*primary: .*within 1 s; secondary: .*within 1 s"):
        between(primary, secondary).guess("EmailApp", "production", "hi")
    assert 2 * WITHIN <= time.monotonic() - began < 2 * WITHIN + SLACK


def test_nothing_is_left_of_a_call_whose_time_is_over(regions: Make) -> None:
    """The connection that dripped is closed at once: no thread and no socket waits for its end."""
    primary, secondary = regions(SLOW["drips its answer"])
    threads = threading.active_count()
    began = time.monotonic()
    between(primary, secondary).guess("EmailApp", "production", "hi")
    while not primary.over and time.monotonic() < began + 5:
        time.sleep(0.05)
    assert primary.over[0] < began + WITHIN + SLACK
    assert threading.active_count() <= threads + 1  # the server's own


def test_a_connection_that_is_used_again_has_its_time_anew(regions: Make) -> None:
    """What bounds a call is the call's, not the connection's."""

    def twice(to: socket.socket) -> None:
        reply()(to)
        read(to)
        drip(HEAD[:20], HEAD[20:28])(to)
        to.sendall((HEAD[28:] + GOOD).encode())

    primary, secondary = regions(twice)
    failover = between(primary, secondary, within=2)
    assert failover.guess("EmailApp", "production", "hi").by == "primary"
    time.sleep(1.6)
    assert failover.guess("EmailApp", "production", "hi").by == "primary"
    assert primary.asked == 1


def test_many_who_wait_for_a_slow_primary_wait_no_longer(regions: Make) -> None:
    """Twelve threads share a failover: each has its answer in its time, and then nobody asks the primary."""
    primary, secondary = regions(SLOW["hangs in its answer"])
    failover = between(primary, secondary, within=2)
    took: list[tuple[str, float]] = []

    def call() -> None:
        began = time.monotonic()
        took.append((failover.guess("EmailApp", "production", "hi").by, time.monotonic() - began))

    threads = [threading.Thread(target=call) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [by for by, _ in took] == ["secondary"] * 12
    assert max(seconds for _, seconds in took) < 2 + 2 * SLACK
    asked = primary.asked
    assert failover.guess("EmailApp", "production", "hi").by == "secondary"
    assert primary.asked == asked
