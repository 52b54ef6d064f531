"""How the command finds the app and asks it: each failure says what can be done."""

import argparse
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from cli.app import App, add_options, add_person, connect
from cli.errors import RefusedError, UsageError
from cli.local_stack import read_ready
from tests.integration.canned import Reply, serve


@dataclass
class Server:
    """An app that answers what it is told to, over plain http on this machine, and keeps what it was asked."""

    url: str
    replies: list[tuple[int, str, dict[str, str]]] = field(default_factory=lambda: [(200, "{}", {})])
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    replies_in_turn: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    """What is answered first, each once."""

    def says(self, status: int, body: Any = "", **headers: str) -> None:
        """Say what is answered from now on."""
        self.replies = [(status, body if isinstance(body, str) else json.dumps(body), headers)]


@contextmanager
def serving() -> Iterator[Server]:
    """Serve on a free port."""
    app = Server("")

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            app.asked.append((self.command, self.path, headers, body))
            status, text, more = app.replies_in_turn.pop(0) if app.replies_in_turn else app.replies[-1]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(text.encode())), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = answer  # noqa: N815 # the names http.server calls

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    app.url = f"http://127.0.0.1:{listening.server_port}"
    try:
        yield app
    finally:
        listening.shutdown()
        listening.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    """Give an app that answers what it is told to."""
    with serving() as server:
        yield server


def options(*arguments: str) -> argparse.Namespace:
    """Read options as a command does."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    add_person(parser)
    return parser.parse_args(arguments)


def ready(folder: Path, **facts: Any) -> Path:
    """Write a ready file."""
    file = folder / "ready.json"
    file.write_text(json.dumps(facts), "utf-8")
    return file


# -- where it is ------------------------------------------------------------------------------------------------------


def test_the_environment_names_an_app(server: Server) -> None:
    """Its key goes along, and the API's path is added once."""
    app = connect(options(), {"REACTOR_URL": f"{server.url}/api/", "REACTOR_KEY": "s3cret"})
    app.get("events", kind="RunFailed", rule=None, most=5, status="")
    [(method, path, headers, _)] = server.asked
    assert (method, path, headers["x-functions-key"]) == ("GET", "/api/events?kind=RunFailed&most=5", "s3cret")
    assert "authorization" not in headers


def test_the_local_stack_is_found_in_the_current_folder(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without options and environment; it needs no key, and is sent none."""
    (tmp_path / ".stack").mkdir()
    ready(tmp_path / ".stack", functions=server.url)
    monkeypatch.chdir(tmp_path)
    connect(options(), {"REACTOR_KEY": "s3cret"}).get("actions/abc")
    [(_, path, headers, _)] = server.asked
    assert path == "/api/actions/abc"
    assert "x-functions-key" not in headers


def test_options_win_over_the_environment(server: Server, tmp_path: Path) -> None:
    """--app first, then --ready."""
    elsewhere = {"REACTOR_URL": "https://elsewhere.example", "REACTOR_KEY": "s3cret"}
    file = ready(tmp_path, functions=server.url)
    assert connect(options("--ready", str(file)), elsewhere).url == server.url
    assert connect(options("--app", server.url, "--ready", str(file)), elsewhere).url == server.url
    assert connect(options(), elsewhere).url == "https://elsewhere.example"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://reactor.example", "must begin with https://"),
        ("ftp://127.0.0.1/x", "must begin with https://"),
        ("reactor.example", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("https://[::1", "is no URL"),
        ("https://x.example:port", "is no URL"),
    ],
)
def test_an_address_in_the_clear_is_refused(url: str, says: str) -> None:
    """Keys and tokens travel encrypted, or not at all."""
    with pytest.raises(UsageError, match=says):
        connect(options("--app", url), {})


def test_no_stack_says_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is in the message."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no local stack runs here .*`make run` starts one"):
        connect(options(), {})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"functions": 7}', "\x00"])
def test_what_is_no_ready_file_is_refused(text: str, tmp_path: Path) -> None:
    """One line, and no trace."""
    file = tmp_path / "ready.json"
    file.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=re.escape(str(file))):
        read_ready(file)


# -- what it answers --------------------------------------------------------------------------------------------------


def app_of(server: Server, token: str = "t0ken") -> App:
    """Give the app as it is asked by somebody."""
    return App(server.url, key="s3cret", token=lambda: token)


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (400, {"reason": "status: there is no such status", "field": "status"}, "status: there is no such status"),
        (401, {"reason": "the token has expired"}, "the token has expired; sign in with `az login`"),
        (401, {"reason": "wrong", "remedy": "ask for api://x"}, "wrong; ask for api://x; sign in with `az login`"),
        (403, {"reason": "not you", "remedy": "ask an operator"}, "not you; ask an operator"),
        (404, {"reason": "no action has this key", "remedy": "look for it"}, "no action has this key; look for it"),
        (409, {"reason": "it was approved already"}, "it was approved already"),
        (503, {"reason": "storage is busy"}, "storage is busy"),
    ],
)
def test_the_apps_own_words_are_passed_on(server: Server, status: int, error: dict[str, str], says: str) -> None:
    """Reason and remedy, and for a 401 how to sign in."""
    server.says(status, {"error": error})
    with pytest.raises(UsageError, match=f"^{re.escape(says)}"):
        app_of(server).post("actions/1/approve", {})


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("actions/1", 400, RefusedError),
        ("actions/1", 403, RefusedError),
        ("actions/1", 404, RefusedError),
        ("actions/1", 409, RefusedError),
        ("actions/1", 401, UsageError),
        ("actions/1", 503, UsageError),
        ("actions", 400, UsageError),
    ],
)
def test_a_no_to_what_was_named_is_told_apart(server: Server, path: str, status: int, kind: type) -> None:
    """The app looked at it and refuses; a wrong filter, nobody signed in and no app are no such thing."""
    server.says(status, {"error": {"reason": "no"}})
    with pytest.raises(UsageError) as problem:
        app_of(server).get(path)
    assert type(problem.value) is kind
    server.says(status, "<html>")
    with pytest.raises(UsageError) as problem:
        app_of(server).get(path)
    assert type(problem.value) is UsageError


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, "", "put the function key into REACTOR_KEY"),
        (403, "<html>", "REACTOR_KEY"),
        (404, "", "check the address"),
        (500, "oops", "answered 500"),
        (200, "<html>hello</html>", "this is no ML Reactor"),
        (503, '{"error": "text"}', "answered 503"),
        (400, "[1]", "answered 400"),
    ],
)
def test_what_others_answer_is_explained(server: Server, status: int, body: str, says: str) -> None:
    """The host, a proxy, or a server that is something else."""
    server.says(status, body)
    with pytest.raises(UsageError, match=says):
        app_of(server).get("events")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_sends_a_token_elsewhere(server: Server, status: int) -> None:
    """A redirect is a failure, and where it points to is never asked."""
    with serving() as other:
        server.says(status, "", Location=f"{other.url}/api/actions/1/approve")
        with pytest.raises(UsageError, match=f"answered {status}"):
            app_of(server).post("actions/1/approve", {})
        assert not other.asked


def test_what_is_written_is_signed(server: Server) -> None:
    """A person's token goes along with the key, and a key of an event is one part of a path."""
    app_of(server).post("events/a b?c/replay", {"reason": "é"})
    [(method, path, headers, body)] = server.asked
    assert (method, path, headers["authorization"]) == ("POST", "/api/events/a%20b%3Fc/replay", "Bearer t0ken")
    assert json.loads(body) == {"reason": "é"}


@pytest.mark.parametrize("token", ["a\nb", "a\r\nX: y", "é\u20ac"])
def test_a_token_that_cannot_be_sent_is_not_shown(server: Server, token: str) -> None:
    """The message holds nothing of it."""
    with pytest.raises(UsageError, match="cannot be sent") as caught:
        app_of(server, token).post("actions/1/approve", {})
    assert token not in str(caught.value)
    assert not server.asked


def test_an_app_that_is_down_says_so() -> None:
    """On this machine with the way to start it, elsewhere with what to look at."""
    with serving() as gone:
        pass
    with pytest.raises(UsageError, match="`make run` starts a local stack"):
        app_of(gone).get("events")
    with pytest.raises(UsageError, match="check the address"):
        App("https://nowhere.invalid", key="", token=str).get("events")
    for arguments, values, named in (
        ([], {"REACTOR_URL": gone.url}, "REACTOR_URL"),
        (["--app", gone.url], {}, "--app"),
    ):
        with pytest.raises(UsageError, match=f"check {named}, and that the app runs"):
            connect(options(*arguments), values).get("events")


def test_a_key_that_is_not_found_is_looked_for_elsewhere(server: Server) -> None:
    """The API's remedy is told as a command; where it is an event's key, the command that shows it."""
    missing = {"error": {"reason": "no action has this key", "remedy": "look for it with GET actions"}}
    server.says(404, missing)
    with pytest.raises(RefusedError, match="no action has this key; look at `reactor actions list`"):
        app_of(server).get("actions/457256fa")
    assert [path for _, path, _, _ in server.asked] == ["/api/actions/457256fa", "/api/events/457256fa"]
    server.replies_in_turn = [(404, json.dumps(missing), {}), (200, "{}", {})]
    with pytest.raises(RefusedError, match="457256fa is an event: `reactor events show 457256fa`"):
        app_of(server).get("actions/457256fa")


# -- who asks ---------------------------------------------------------------------------------------------------------


def sent(server: Server, values: dict[str, str], *arguments: str) -> str:
    """Write something, and give the token that went along."""
    connect(options(*arguments), values).post("actions/1/approve", {})
    return server.asked[-1][2]["authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize(
    ("arguments", "environment", "who"),
    [([], {}, "you@example.com"), ([], {"REACTOR_PERSON": "b@c.d"}, "b@c.d"), (["--as", "x@y.z"], {}, "x@y.z")],
)
def test_the_local_stack_signs_people_in(
    server: Server, tmp_path: Path, arguments: list[str], environment: dict[str, str], who: str
) -> None:
    """The default person, or another that is named; its authority is trusted for that alone."""
    with serve(tmp_path) as (issuer, ca):
        issuer.replies = [Reply(200, {"access_token": "t0ken"})]
        settings = {"REACTOR_AUDIENCE": "api://ml-reactor,5d0c"}
        facts = {"issuer": f"{issuer.url}/tenant/v2.0", "ca": ca, "person": "you@example.com", "settings": settings}
        file = ready(tmp_path, functions=server.url, **facts)
        assert sent(server, environment, "--ready", str(file), *arguments) == "t0ken"
        [asked] = issuer.asked
        assert asked.path == "/tenant/oauth2/v2.0/token"
        form = {"grant_type": ["password"], "username": [who], "scope": ["api://ml-reactor/.default"]}
        assert parse_qs(asked.body.decode()) == form
        issuer.replies = [Reply(400, {"error": "invalid_grant", "error_description": "there are a, b"})]
        with pytest.raises(UsageError, match=f"does not sign {who} in: there are a, b"):
            sent(server, environment, "--ready", str(file), *arguments)


def test_a_token_may_be_given(server: Server) -> None:
    """As a pipeline does."""
    assert sent(server, {"REACTOR_URL": server.url, "REACTOR_TOKEN": " g1ven\n"}) == "g1ven"


AZ = """#!/bin/sh
echo "$@" > "{folder}/asked"
{does}
"""
TOKEN = '{"accessToken": "az-t0ken", "expires_on": 4102444800, "expiresOn": "2100-01-01 00:00:00.000000"}'


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Give what puts an `az` of our own in front of the others."""

    def install(does: str) -> Path:
        command = tmp_path / "az"
        command.write_text(AZ.format(folder=tmp_path, does=does), "utf-8")
        command.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return tmp_path / "asked"

    return install


def test_the_azure_cli_says_who_you_are(server: Server, az: Callable[[str], Path]) -> None:
    """The token is for the API, whichever way it is named."""
    asked = az(f"echo '{TOKEN}'")
    assert sent(server, {"REACTOR_URL": server.url, "REACTOR_AUDIENCE": "api://ml-reactor, 5d0c"}) == "az-t0ken"
    assert "api://ml-reactor" in asked.read_text("utf-8")


def test_who_is_not_signed_in_hears_how(server: Server, az: Callable[[str], Path]) -> None:
    """And nothing is sent."""
    az("echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1")
    with pytest.raises(UsageError, match="sign in with `az login`"):
        sent(server, {"REACTOR_URL": server.url, "REACTOR_AUDIENCE": "api://ml-reactor"})
    assert not server.asked


def test_what_is_missing_to_sign_in_is_named(server: Server) -> None:
    """The audience in Azure; and nobody is somebody else there."""
    with pytest.raises(UsageError, match="REACTOR_AUDIENCE is not set"):
        sent(server, {"REACTOR_URL": server.url})
    with pytest.raises(UsageError, match="--as is for the local stack"):
        sent(server, {"REACTOR_URL": server.url, "REACTOR_AUDIENCE": "x"}, "--as", "a@b.c")
