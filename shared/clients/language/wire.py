"""How Language answers, over HTTP: nested errors, refusals of keys and of tokens, and predictions that cannot wait."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared import answers
from shared.answers import Effect
from shared.clients.language import deadlines
from shared.clients.language.remedies import judged
from shared.clients.language.words import flattened
from shared.clients.rest import Answer, Rest
from shared.errors import TemporaryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core.rest import HttpResponse

SOON = 10.0
"""Seconds in which a prediction is here, whole: whoever asks has somebody waiting, or somebody else to ask."""


class LanguageRest(Rest):
    """Requests whose errors are nested, and whose refusals depend on whether a key was sent."""

    def _ask(
        self, method: str, url: str, body: Any, headers: "Mapping[str, str] | None", effect: Effect
    ) -> "HttpResponse":
        """Say which resource does not answer: there are two."""
        try:
            return super()._ask(method, url, body, headers, effect)
        except TemporaryError as problem:
            what = problem.reason.removeprefix(f"{self.service} ")
            if what == problem.reason:
                raise
            told = f"{self.service} at {answers.host_of(url)} {what}"
            raise type(problem)(told, after=problem.after) from None

    def _answer(self, response: "HttpResponse", effect: Effect) -> Answer:
        if 200 <= response.status_code < 300:
            return super()._answer(response, effect)
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = flattened(response.read().decode("utf-8", "replace"))
        problem = answers.error(self.service, response.status_code, headers, body, effect)
        raise judged(problem, response.status_code, has_key=self._credential is None)


class SoonRest(LanguageRest):
    """The same, for what is answered soon or not at all: within the time of `deadlines`, and never repeated."""

    def _ask(
        self, method: str, url: str, body: Any, headers: "Mapping[str, str] | None", effect: Effect
    ) -> "HttpResponse":
        """Say of what was not here in time just that."""
        bound = deadlines.left() or 0.0
        try:
            return super()._ask(method, url, body, headers, effect)
        except TemporaryError:
            if deadlines.left() == 0:
                told = f"{self.service} at {answers.host_of(url)} did not answer within {bound:.2g} s"
                raise TemporaryError(told) from None
            raise

    @cached_property
    def _pipeline(self) -> Any:
        from azure.core import PipelineClient
        from azure.core.pipeline import policies as policy

        policies: list[Any] = [
            policy.RequestIdPolicy(),
            policy.UserAgentPolicy(base_user_agent="ml-reactor"),
            policy.ProxyPolicy(),
        ]
        if self._credential is not None:
            policies.append(policy.BearerTokenCredentialPolicy(self._credential(), self._scope))
        return _Impatient(PipelineClient("", policies=policies, transport=deadlines.transport()))


class _Impatient:
    """Sends requests once, and waits for an answer as long as there is time."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def send_request(self, request: Any, **_times: Any) -> Any:
        """Send a request."""
        seconds = deadlines.left() or 0.001
        return self._client.send_request(request, connection_timeout=seconds, read_timeout=seconds)
