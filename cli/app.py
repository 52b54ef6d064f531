"""The running app, from a terminal: where it is, and how it is asked."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from typing import Any

from cli import person
from cli.errors import RefusedError, UsageError
from cli.http import Answer, ask, is_here
from cli.local_stack import add_ready, read_ready

REFUSED = frozenset({400, 403, 404, 409})
"""What the app answers where it has looked at what was named, and does not do what was asked."""
SIGN_IN = "sign in with `az login`, or put a token into REACTOR_TOKEN"


def add_options(parser: ArgumentParser) -> None:
    """Add the options that say where the app is."""
    parser.add_argument("--app", metavar="URL", help="the app; default: REACTOR_URL, else the local stack")
    add_ready(parser)


def add_person(parser: ArgumentParser) -> None:
    """Add the option that says who asks, for what only people may do."""
    parser.add_argument("--as", dest="who", metavar="ADDRESS", help="on the local stack: who you are")


def connect(options: Namespace, values: Mapping[str, str] = os.environ) -> App:
    """Find the app: --app, --ready, REACTOR_URL, or the stack that runs in the current folder; in this order."""
    url = options.app or ("" if options.ready else values.get("REACTOR_URL", ""))
    facts = None if url else read_ready(options.ready)
    who = getattr(options, "who", "") or ""
    return App(
        url or str(facts and facts["functions"]),
        key=values.get("REACTOR_KEY", "") if url else "",
        hint=f"check {'--app' if options.app else 'REACTOR_URL'}, and that the app runs" if url else "",
        token=lambda: person.token(values, facts, who),
    )


class App:
    """The app's API. Every failure is a UsageError that says what can be done; a RefusedError is the app's own no."""

    def __init__(self, url: str, *, key: str, token: Callable[[], str], hint: str = "") -> None:
        is_here(url)
        self.url = url.rstrip("/").removesuffix("/api")
        self._headers = {"Accept": "application/json"} | ({"x-functions-key": key} if key else {})
        self._token = token
        self._hint = hint
        """What to try where nothing answers."""

    def get(self, path: str, **params: str | int | None) -> Any:
        """Read `api/{path}`; parameters that are None or empty are left out."""
        from urllib.parse import urlencode

        query = urlencode({name: value for name, value in params.items() if value not in (None, "")})
        at = f"{self._at(path)}{'?' if query else ''}{query}"
        return self._read(path, ask(at, headers=self._headers, hint=self._hint))

    def post(self, path: str, body: Any) -> Any:
        """Write to `api/{path}` as the person who is signed in."""
        import json

        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token()}"}
        text = json.dumps(body).encode()
        return self._read(path, ask(self._at(path), headers=self._headers | headers, body=text, hint=self._hint))

    def _at(self, path: str) -> str:
        from urllib.parse import quote

        return f"{self.url}/api/{quote(path)}"

    def _read(self, path: str, answer: Answer) -> Any:
        said = answer.read()
        if 200 <= answer.status < 300 and said is not None:
            return said
        error = said.get("error") if isinstance(said, dict) else None
        if isinstance(error, dict) and isinstance(error.get("reason"), str):
            remedy = str(error.get("remedy") or "")
            if answer.status == 404 and remedy in LOOK:
                remedy = self._elsewhere(path) or LOOK[remedy]
            told = (error["reason"], remedy, SIGN_IN if answer.status == 401 else "")
            is_named = "/" in path  # where nothing is named, the filters are wrong
            refused = RefusedError if is_named and answer.status in REFUSED else UsageError
            raise refused("; ".join(text for text in told if text))
        raise UsageError(f"{self.url} answered {answer.status}; {UNTOLD.get(answer.status, 'try again')}")

    def _elsewhere(self, path: str) -> str:
        """Say so where the key is that of an event instead of an action, or the other way round."""
        what, key, *_ = path.split("/")
        other = {"events": "actions", "actions": "events"}.get(what, "")
        answer = ask(self._at(f"{other}/{key}"), headers=self._headers, hint=self._hint)
        one = "an event" if other == "events" else "an action"
        return f"{key} is {one}: `reactor {other} show {key}`" if answer.status == 200 else ""


LOOK: Mapping[str, str] = {
    f"look for it with GET {what}": f"look at `reactor {what} list`" for what in ("events", "actions")
}
"""The API's remedies for a key that it does not know, in the words of the command."""
UNTOLD: Mapping[int, str] = {
    200: "this is no ML Reactor",
    401: "put the function key into REACTOR_KEY",
    403: "put the function key into REACTOR_KEY, and look whether the app may be reached from here",
    404: "check the address: there is no ML Reactor that has this",
}
"""What answers mean that are not the app's own: the host's, or another server's."""
