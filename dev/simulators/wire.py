"""Requests, answers and routing: what every simulator is made of.

A simulator is a `Service`: a table of routes, a state that can be seeded, read and reset, and the error shape of the
service it stands for. `app.App` makes a WSGI app of one.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as a handler sees it."""

    method: str
    url: str
    """The whole URL, query included."""
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""
    parts: Mapping[str, str] = field(default_factory=dict)
    """What the `{names}` of the route's pattern stand for."""
    lag: Callable[[], float] = lambda: 0.0
    """Asked by listings: objects younger than this many seconds are not shown. Uses up one "lag" fault."""

    @property
    def base(self) -> str:
        """The server's own address, as the client wrote it."""
        return self.url.split("/", 3)[0] + "//" + self.headers["host"]

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Give the body as JSON, None where it is empty; ValueError where it is not JSON."""
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True)
class Answer:
    """What goes back: dicts and lists as JSON, text as plain text, bytes as they are."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, dict[str, str]]:
        """Give the body on the wire, and the headers with a content type."""
        if self.body is None:
            return b"", dict(self.headers)
        if isinstance(self.body, bytes):
            return self.body, {"Content-Type": "application/octet-stream", **self.headers}
        if isinstance(self.body, str):
            return self.body.encode(), {"Content-Type": "text/plain; charset=utf-8", **self.headers}
        return json.dumps(self.body).encode(), {"Content-Type": "application/json; charset=utf-8", **self.headers}


class RefusedError(Exception):
    """Raised anywhere below a route: the request ends with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


Handler = Callable[[Request], Answer]
Route = tuple[str, str, Handler]
"""A method, a path pattern with `{names}`, and the function that answers. Paths are matched ignoring case."""


class Service(Protocol):
    """What a simulator of one service says about itself."""

    name: str
    lock: threading.RLock
    """Held while a request is answered; also by what the service does later."""

    def routes(self) -> Sequence[Route]:
        """Give the service's own paths, and its controls (which begin with "/_")."""

    def refuse(self, request: Request) -> Answer | None:
        """Give the answer to a request that gets no further (no token, no api-version), else None."""

    def error(self, status: int, code: str, message: str) -> Answer:
        """Give an error in the shape that this service gives its errors."""

    def throttled(self, request: Request, after: float | None) -> Answer:
        """Give the 429 of this service; the Retry-After header is added by the caller."""

    def seed(self, given: Mapping[str, Any]) -> None:
        """Merge into the state; ValueError where the seed is not understood."""

    def state(self) -> Any:
        """Give the state as JSON."""

    def reset(self) -> None:
        """Forget everything, and what was still to happen."""


Compiled = tuple[str, re.Pattern[str], Handler]


def compiled(routes: Sequence[Route]) -> list[Compiled]:
    """Make a pattern such as "/projects/{project}" match its paths, ignoring case and a slash at the end."""
    return [
        (
            method,
            re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(pattern)) + "/?", re.IGNORECASE),
            handler,
        )
        for method, pattern, handler in routes
    ]


def now() -> datetime:
    """Read the simulators' clock."""
    return datetime.now(UTC)


def instant(moment: datetime) -> str:
    """Write an instant as Azure does: seven digits and a Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def moment(text: str) -> datetime:
    """Read an instant: any ISO 8601, UTC where it does not say."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def listed_until(request: Request) -> datetime:
    """Give the instant after which nothing is in a listing yet; asked once per listing."""
    return now() - timedelta(seconds=request.lag())
