"""What an exception of azure-core means, for storage and for the clients above it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared import answers
from shared.answers import Effect
from shared.errors import ReactorError, TemporaryError, UnansweredError


@contextmanager
def translated(service: str, effect: Effect = "read") -> Iterator[None]:
    """Raise azure-core's exceptions as one of ours; everything else passes.

    The original is dropped on purpose: its text holds URLs with their secrets.
    """
    try:
        yield
    except Exception as problem:
        ours = _of_exception(service, problem, effect)
        if ours is None:
            raise
        raise ours from None


def _of_exception(service: str, problem: Exception, effect: Effect) -> ReactorError | None:
    from azure.core import exceptions as azure

    if not isinstance(problem, azure.AzureError):
        return None
    response = getattr(problem, "response", None)
    if isinstance(problem, azure.HttpResponseError) and response is not None and response.status_code >= 300:
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = _body(response) or problem.message
        return answers.error(service, response.status_code, headers, body, effect)
    if surely_not_sent(problem):
        return TemporaryError(f"{service} cannot be reached: {_cause(problem)}")
    if effect == "start":
        return UnansweredError(f"{service} did not answer ({_cause(problem)}); it may have been started")
    return TemporaryError(f"{service} did not answer: {_cause(problem)}")


def surely_not_sent(problem: Exception) -> bool:
    """Tell whether a request failed before it left: no connection was made, or its certificate is not trusted.

    azure-core's ServiceRequestError alone does not say so: it also wraps TLS errors after sending.
    """
    from azure.core.exceptions import ServiceRequestError, ServiceRequestTimeoutError
    from urllib3.exceptions import NewConnectionError

    if isinstance(problem, ServiceRequestTimeoutError):
        return True
    inner = getattr(problem, "inner_exception", None)
    return isinstance(problem, ServiceRequestError) and (
        isinstance(inner, NewConnectionError) or "CERTIFICATE_VERIFY_FAILED" in str(inner)
    )


def _body(response: Any) -> str:
    try:
        return str(response.text())
    except Exception:  # noqa: BLE001 - the error is being told already; without its body it is told shorter
        return ""


def _cause(problem: Exception) -> str:
    inner = getattr(problem, "inner_exception", None) or problem
    return type(inner).__name__
