"""HTTP, once: azure-core's pipeline on `requests`, and every answer translated to a value or one of the two errors.

Tokens, the pool of connections and the short retries of reads are azure-core's job.
Nothing is logged here, no redirect is followed (so no token or key travels further than the URL that was given), and a
request that starts something is never repeated.
https://learn.microsoft.com/python/api/overview/azure/core-readme
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, TypeAdapter, ValidationError

from shared import answers, pace
from shared.answers import Effect
from shared.errors import PermanentError, TemporaryError, UnansweredError
from shared.redaction import tidy
from shared.rules.addresses import LOOPBACK
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline.policies import RetryPolicy
    from azure.core.rest import HttpRequest, HttpResponse

Said = Annotated[str, AfterValidator(tidy)]
"""A service's own word or words, fit for a record."""
LONGEST_SLEEP = 3.0
"""Seconds of `Retry-After` that a read sleeps itself; a longer one goes up as `TemporaryError.after`."""
TIMES: Mapping[Effect, Mapping[str, Any]] = {
    "read": {
        "retry_total": 2,
        "retry_read": 1,
        "retry_on_methods": frozenset({"GET", "POST"}),
        "connection_timeout": 5,
        "read_timeout": 20,
    },
    "same": {"retry_total": 0, "connection_timeout": 5, "read_timeout": 50},
    "start": {"retry_total": 0, "connection_timeout": 5, "read_timeout": 50},
}
"""Seconds and repeats of one call, all of it within 60 s but for a read that times out and is read once more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: 2xx."""

    service: str
    status: int
    headers: Mapping[str, str]
    """Names are in lower case."""
    body: bytes
    effect: Effect = "read"

    def read[T](self, shape: type[T]) -> T:
        """Read the body as a pydantic type; TemporaryError where it does not fit, for what we ask for exists.

        A start whose success cannot be read is as good as unanswered.
        """
        try:
            return TypeAdapter(shape).validate_json(_writable(self.body))
        except ValidationError as problem:
            what = f"something unexpected: {'.'.join(map(str, problem.errors()[0]['loc'])) or 'the body'}"
        except (ValueError, RecursionError):
            what = "a body that is not JSON"
        words = f"{self.service} answered {self.status} with {what}"
        raise (UnansweredError if self.effect == "start" else TemporaryError)(words)

    @property
    def time(self) -> datetime:
        """The server's clock, from its Date header; ours where it has none."""
        try:
            return parsedate_to_datetime(self.headers["date"]).astimezone(UTC)
        except (KeyError, ValueError, OverflowError):
            return datetime.now(UTC)


def _writable(body: bytes) -> bytes:
    """Write JSON again with "?" for half a surrogate pair: JSON may hold one, a record may not."""
    return json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "replace")


def is_on_this_machine(url: str) -> bool:
    """Tell whether a URL leads to this machine, and so over no network."""
    try:
        return urlsplit(url).hostname in LOOPBACK
    except ValueError:
        return False


def segment(name: str) -> str:
    """Write a name as one segment of a URL's path; PermanentError where it would be none, or lead elsewhere."""
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise PermanentError(f'"{tidy(name)}" is no name that can stand in a URL', remedy="correct the name")
    return quote(name, safe="")


class Rest:
    """Requests to one service: with a token of `scope`, or without one where `credential` is None.

    `emulated`: it may be on this machine and speak plain http there, as the storage emulator does; never with a token.
    """

    def __init__(
        self,
        service: str,
        credential: "Callable[[], TokenCredential] | None" = None,
        scope: str = "",
        *,
        emulated: bool = False,
    ) -> None:
        self.service = service
        self._credential = credential
        self._scope = scope
        self._emulated = emulated and credential is None

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Read a resource; a missing one is a PermanentError."""
        return self.send("GET", url, headers=headers)

    def find(self, url: str, *, headers: Mapping[str, str] | None = None) -> Answer | None:
        """Read a resource; None where it is missing."""
        response = self._ask("GET", url, None, headers, "read")
        return None if response.status_code == 404 else self._answer(response, "read")

    def send(
        self,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        effect: Effect = "read",
        awaited: bool = False,
    ) -> Answer:
        """Send one request: `body` is bytes as they are, or anything that JSON can write.

        `awaited` is for what was made a moment ago and may not be seen everywhere yet: a 404 is a TemporaryError.
        """
        response = self._ask(method, url, body, headers, effect)
        try:
            return self._answer(response, effect)
        except PermanentError as problem:
            if awaited and response.status_code == 404:
                raise TemporaryError(f"{problem.reason}; it may not be visible yet") from None
            raise

    def _ask(
        self, method: str, url: str, body: Any, headers: Mapping[str, str] | None, effect: Effect
    ) -> "HttpResponse":
        from azure.core.rest import HttpRequest

        if not (url.lower().startswith("https://") or (self._emulated and is_on_this_machine(url))):
            raise PermanentError(f"{self.service}: the endpoint must be https", remedy="use the https URL")
        content: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        request = HttpRequest(method, url, headers=dict(headers or {}), **(content if body is not None else {}))
        with translated(self.service, effect):
            return self._pipeline.send_request(request, **TIMES[effect])

    def _answer(self, response: "HttpResponse", effect: Effect) -> Answer:
        headers = {name.lower(): value for name, value in response.headers.items()}
        if 200 <= response.status_code < 300:
            pace.asked(answers.retry_after(headers))
            return Answer(self.service, response.status_code, headers, response.read(), effect)
        body = response.read().decode("utf-8", "replace")
        raise answers.error(self.service, response.status_code, headers, body, effect)

    @cached_property
    def _pipeline(self) -> "PipelineClient[HttpRequest, HttpResponse]":
        from azure.core import PipelineClient
        from azure.core.pipeline import policies as policy

        policies: list[Any] = [
            policy.RequestIdPolicy(),
            policy.UserAgentPolicy(base_user_agent="ml-reactor"),
            policy.ProxyPolicy(),
            _short_retries(),
        ]
        if self._credential is not None:
            policies.append(policy.BearerTokenCredentialPolicy(self._credential(), self._scope))
        return PipelineClient("", policies=policies)


def _short_retries() -> "RetryPolicy[Any, Any]":
    from azure.core.pipeline.policies import RetryPolicy

    class ShortRetries(RetryPolicy[Any, Any]):
        """Leaves an answer alone that asks for a longer wait than a running function should sleep."""

        def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
            headers = {name.lower(): value for name, value in response.http_response.headers.items()}
            wait = answers.retry_after(headers) or 0.0
            return wait <= LONGEST_SLEEP and super().is_retry(settings, response)

    return ShortRetries()
