"""One HTTP request of the command: no redirect is followed, nothing waits for ever, and every failure has a remedy.

The standard library's client: it is there at once, and honours the proxy and the certificates of the environment.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cli.errors import UsageError

TIMEOUT_SECONDS = 30
LARGEST_ANSWER = 32 * 1024 * 1024
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes

    def read(self) -> Any:
        """Read the body as JSON; None where it is none."""
        import json

        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def is_here(url: str) -> bool:
    """Tell whether a URL is on this machine; UsageError where it is none, or would travel in the clear."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        here, port = parts.hostname in LOOPBACK, parts.port
    except ValueError:
        raise UsageError(f"{url} is no URL") from None
    del port
    if not parts.hostname or (parts.scheme != "https" and not (here and parts.scheme == "http")):
        raise UsageError(f"{url}: the address must begin with https://, or be on this machine")
    return here


def ask(
    url: str, *, headers: dict[str, str] | None = None, body: bytes | None = None, ca: str = "", hint: str = ""
) -> Answer:
    """GET, or POST a body; UsageError where nothing answers, with a hint at what helps.

    `ca` is the PEM file of an authority to trust.
    """
    import ssl
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

    class Stay(HTTPRedirectHandler):
        """Takes a redirect for an answer, so that no key or token goes further than the address that was given."""

        def redirect_request(self, *_asked: Any) -> None:
            """Go nowhere."""

    here = is_here(url)
    try:
        handlers: list[Any] = [Stay(), HTTPSHandler(context=ssl.create_default_context(cafile=ca or None))]
        if here:
            handlers.append(ProxyHandler({}))
        request = Request(url, data=body, headers=headers or {})  # noqa: S310 # `is_here` has looked at the scheme
        with build_opener(*handlers).open(request, timeout=TIMEOUT_SECONDS) as response:
            return Answer(response.status, response.read(LARGEST_ANSWER))
    except HTTPError as error:
        with error:
            return Answer(error.code, error.read(LARGEST_ANSWER))
    except ValueError:  # its text may hold the token
        raise UsageError("the key, the token or the address holds a character that cannot be sent") from None
    except (OSError, HTTPException) as error:
        why = getattr(error, "reason", None) or error
        told = hint or ("`make run` starts a local stack" if here else "check the address, and that the app runs")
        raise UsageError(f"nothing answers at {'/'.join(url.split('/')[:3])} ({why}); {told}") from None
