"""The running app, from a terminal: where it is, and how it is asked."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cli import person
from cli.errors import UsageError
from cli.http import Answer, ask, is_here

READY = Path(".stack/ready.json")
"""What `make run` writes, in the current folder."""
SIGN_IN = "sign in with `az login`, or put a token into REACTOR_TOKEN"


def add_options(parser: ArgumentParser) -> None:
    """Add the options that say where the app is, and who asks."""
    parser.add_argument("--app", metavar="URL", help="the app; default: REACTOR_URL, else the local stack")
    parser.add_argument("--ready", type=Path, metavar="FILE", help=f"the local stack's ready file; default: {READY}")
    parser.add_argument("--as", dest="who", metavar="ADDRESS", help="on the local stack: who you are")


def connect(options: Namespace, values: Mapping[str, str] = os.environ) -> App:
    """Find the app: --app, --ready, REACTOR_URL, or the stack that runs in the current folder; in this order."""
    url = options.app or ("" if options.ready else values.get("REACTOR_URL", ""))
    facts = None if url else read_ready(options.ready)
    who = options.who or ""
    return App(
        url or str(facts and facts["functions"]),
        key=values.get("REACTOR_KEY", "") if url else "",
        token=lambda: person.token(values, facts, who),
    )


def read_ready(file: Path | None = None) -> Mapping[str, Any]:
    """Read what the local stack says of itself; UsageError where none runs."""
    import json

    file = file or READY
    try:
        facts = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"no local stack runs here ({file} is missing): `make run` starts one; or name an app with --app URL"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None
    if not isinstance(facts, dict) or not isinstance(facts.get("functions"), str):
        raise UsageError(f"{file} is no ready file of a local stack")
    return facts


class App:
    """The app's API. Every failure is a UsageError that says what can be done."""

    def __init__(self, url: str, *, key: str, token: Callable[[], str]) -> None:
        is_here(url)
        self.url = url.rstrip("/").removesuffix("/api")
        self._headers = {"Accept": "application/json"} | ({"x-functions-key": key} if key else {})
        self._token = token

    def get(self, path: str, **params: str | int | None) -> Any:
        """Read `api/{path}`; parameters that are None or empty are left out."""
        from urllib.parse import urlencode

        query = urlencode({name: value for name, value in params.items() if value not in (None, "")})
        return self._read(ask(f"{self._at(path)}{'?' if query else ''}{query}", headers=self._headers))

    def post(self, path: str, body: Any) -> Any:
        """Write to `api/{path}` as the person who is signed in."""
        import json

        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token()}"}
        return self._read(ask(self._at(path), headers=self._headers | headers, body=json.dumps(body).encode()))

    def _at(self, path: str) -> str:
        from urllib.parse import quote

        return f"{self.url}/api/{quote(path)}"

    def _read(self, answer: Answer) -> Any:
        said = answer.read()
        if 200 <= answer.status < 300 and said is not None:
            return said
        error = said.get("error") if isinstance(said, dict) else None
        if isinstance(error, dict) and isinstance(error.get("reason"), str):
            told = (error["reason"], error.get("remedy"), SIGN_IN if answer.status == 401 else "")
            raise UsageError("; ".join(text for text in told if text))
        raise UsageError(f"{self.url} answered {answer.status}; {UNTOLD.get(answer.status, 'try again')}")


UNTOLD: Mapping[int, str] = {
    200: "this is no ML Reactor",
    401: "put the function key into REACTOR_KEY",
    403: "put the function key into REACTOR_KEY, and look whether the app may be reached from here",
    404: "check the address: there is no ML Reactor that has this",
}
"""What answers mean that are not the app's own: the host's, or another server's."""
