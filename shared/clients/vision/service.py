"""Requests to Custom Vision, by key or by token, and the shapes that all of its answers share.

Its own SDK is retired, and speaks neither Entra nor storage integration.
https://learn.microsoft.com/rest/api/customvision/
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.answers import Effect
from shared.clients.rest import Answer, Rest
from shared.clients.vision.remedies import advised
from shared.clients.vision.resource import Resource
from shared.errors import DeniedError, PermanentError, ReactorError
from shared.redaction import without

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.settings import Settings

PREVIEW = "v3.4-preview"
"""The only version that knows why a training failed, and that takes storage URIs in a body."""
SCOPE = "https://cognitiveservices.azure.com/.default"
EMPTY = {"Content-Length": "0"}
"""Headers of a POST without a body: without them it is refused, by an HTML page with status 411."""


def _instant(value: datetime | None) -> datetime | None:
    """Give an aware instant; None for the year 1, by which .NET says "never"."""
    if value is None or value.year == 1:
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


ROUNDING = 1e-6


def _within(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _nothing_as[T](default: T) -> BeforeValidator:
    return BeforeValidator(lambda value: default if value is None else value)


Guid = Annotated[str, AfterValidator(lambda text: str(uuid.UUID(text)))]
"""An id, spelt with dashes and in lower case."""
MaybeGuid = Annotated[str, AfterValidator(lambda text: str(uuid.UUID(text)) if text else ""), _nothing_as("")]
"""An id, "" for none."""
Instant = Annotated[datetime | None, AfterValidator(_instant)]
Text = Annotated[str, _nothing_as("")]
"""A text that a person chose, as it is; "" for none."""
Number = Annotated[int, Field(ge=0), _nothing_as(0)]
Share = Annotated[float, Field(ge=-ROUNDING, le=1 + ROUNDING, allow_inf_nan=False), AfterValidator(_within)]
"""From 0 to 1; what single precision made a little more is 1."""


class Read(BaseModel):
    """A part of what the service answers: camelCase on the wire, what is not known is ignored."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, protected_namespaces=())


class Service:
    """Requests to the two APIs."""

    def __init__(self, settings: "Settings", credential: "Callable[[], TokenCredential]") -> None:
        self._settings = settings
        self._credential = credential

    def training(
        self,
        at: Resource,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        effect: Effect = "read",
        version: str = "",
    ) -> Answer:
        """Send a request to the training API; an error carries the remedy for what the service says."""
        version = version or self._settings.vision_api_version
        url = f"{at.endpoint.rstrip('/')}/customvision/{version}/training/{path}{_query(query)}"
        return self._send(at, "Training-Key", method, url, body=body, headers=headers or {}, effect=effect)

    def prediction(
        self,
        at: Resource,
        path: str,
        *,
        body: Any,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask the prediction API, which keeps nothing of it."""
        version = self._settings.vision_prediction_api_version
        url = f"{at.endpoint.rstrip('/')}/customvision/{version}/prediction/{path}"
        return self._send(at, "Prediction-Key", "POST", url, body=body, headers=headers or {}, effect="read")

    def own(self, at: Resource, url: str) -> Answer:
        """Read a URL that the training service gave, of its own endpoint."""
        return self._send(at, "Training-Key", "GET", url, body=None, headers={}, effect="read")

    def _send(
        self, at: Resource, key: str, method: str, url: str, *, body: Any, headers: Mapping[str, str], effect: Effect
    ) -> Answer:
        authorized = at.headers(key)
        rest = self._with_key if authorized else self._with_token
        bodiless = EMPTY if method == "POST" and body is None else {}
        try:
            return rest.send(method, url, body=body, headers={**authorized, **bodiless, **headers}, effect=effect)
        except ReactorError as problem:
            cover(problem, at.key)
            if isinstance(problem, (PermanentError, DeniedError)):
                problem = advised(problem, self._settings_of(at.key))
            raise problem from None

    def _settings_of(self, key: str) -> list[str]:
        """Name the settings that hold a key."""
        return sorted(name for name, value in self._settings.values.items() if key.strip() and value == key)

    @cached_property
    def _with_key(self) -> Rest:
        return Rest("Custom Vision")

    @cached_property
    def _with_token(self) -> Rest:
        return Rest("Custom Vision", self._credential, SCOPE)


def cover(problem: ReactorError, secret: str) -> None:
    """Take a known secret out of what an error says: the service may repeat what it was sent."""
    problem.reason = without(problem.reason, secret)
    problem.args = (problem.reason,)


def multipart(content: bytes) -> tuple[bytes, dict[str, str]]:
    """Wrap an image as a form's `imageData`; give the body and its headers."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="imageData"; filename="image"\r\n'
    head += "Content-Type: application/octet-stream\r\n\r\n"
    body = b"".join((head.encode(), content, f"\r\n--{boundary}--\r\n".encode()))
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def comma(ids: Sequence[str]) -> str:
    """Write a list for a query."""
    return ",".join(ids)


def _query(given: Mapping[str, str] | None) -> str:
    """Write a query of what is not empty, a space as %20: a token in it is taken as it is."""
    said = {name: value for name, value in (given or {}).items() if value}
    return f"?{urlencode(said, quote_via=quote, safe='')}" if said else ""
