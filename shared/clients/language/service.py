"""Requests to Language, by key or by token, within what a resource lets be asked, and the shapes of its answers.

https://learn.microsoft.com/rest/api/language/
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Protocol
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.answers import Effect
from shared.clients.language import deadlines
from shared.clients.language.remedies import EXPIRED, OWNER, READER, WRITER, advised
from shared.clients.language.resource import Resource
from shared.clients.language.wire import LanguageRest, SoonRest
from shared.clients.rest import Answer, segment
from shared.errors import CrowdedError, PermanentError, ReactorError, TemporaryError, UnansweredError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

__all__ = ["OWNER", "READER", "WRITER", "Instant", "Page", "Rates", "Read", "Service", "Text"]

SCOPE = "https://cognitiveservices.azure.com/.default"
AUTHORING = "language/authoring/analyze-conversations/projects"
"""https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring"""
RUNTIME = "language/:analyze-conversations"
MOST_PAGES = 1_000
GATEWAY = "ResourceNotFound"
"""Says that there is no such API, which is nothing about what is in it."""


def _instant(value: datetime | None) -> datetime | None:
    """Give an aware instant; None for the year 1, by which .NET says "never"."""
    if value is None or value.year == 1:
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Instant = Annotated[datetime | None, AfterValidator(_instant), BeforeValidator(lambda value: value or None)]
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
"""A text as it is; "" for none."""


class Read(BaseModel):
    """A part of what the service answers: camelCase on the wire, what is not known is ignored."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, protected_namespaces=())


class Page[One](Read):
    """A part of a list."""

    value: list[One] = Field(default_factory=list)
    next_link: Text = ""


class Rates(Protocol):
    """Whoever counts what is asked of a resource."""

    def take(self, host: str, kind: str) -> float:
        """Count one request; give 0, or the seconds until there may be one."""


class Service:
    """Requests to authoring and to the runtime.

    `credential` makes the credential for resources that have no key; `rates` counts requests to authoring over all
    instances of the app; `values` are the settings, so that an error can name the one that holds a wrong key.
    """

    def __init__(
        self,
        credential: "Callable[[], TokenCredential] | None" = None,
        *,
        rates: Rates | None = None,
        values: Mapping[str, str] | None = None,
    ) -> None:
        self._credential = credential
        self._rates = rates
        self._values = values or {}

    # -- authoring ----------------------------------------------------------------------------------------------------

    def url(self, at: Resource, project: str | None, path: str = "", query: Mapping[str, str] | None = None) -> str:
        """Spell the URL of something of a project, or of the list of projects."""
        parts = "".join(f"/{part}" for part in (segment(project) if project is not None else "", path) if part)
        return f"{at.endpoint.rstrip('/')}/{AUTHORING}{parts}{_query({**(query or {}), 'api-version': at.version})}"

    def start(
        self,
        at: Resource,
        method: str,
        project: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        role: str = WRITER,
        effect: Effect = "start",
    ) -> str:
        """Start a job; give the URL where the service tells of it, which is on the resource's own host."""
        url = self.url(at, project, path, query)
        answer = self._authoring(at, method, url, project, body=body, role=role, effect=effect)
        return _operation(at, answer) or _nowhere(answer)

    def there(self, at: Resource, project: str, path: str = "") -> Answer | None:
        """Read a project or a part of it; None where just this is missing."""
        try:
            return self._authoring(at, "GET", self.url(at, project, path), project if path else "")
        except PermanentError as problem:
            if _is_missing(problem) and not (path and problem.code == "ProjectNotFound"):
                return None
            raise

    def found(self, at: Resource, url: str) -> Answer | None:
        """Read a URL that the service gave, which must have been found the resource's own; None where it is gone."""
        self._ask_for_leave(at, "GET")
        try:
            return self._rest(at).find(url, headers=at.headers())
        except ReactorError as problem:
            raise self._advised(problem, at, READER) from None

    def away(self, at: Resource, project: str, path: str = "", *, role: str) -> str:
        """Delete something; give the URL of its job, "" where there is none or it is gone already."""
        try:
            answer = self._authoring(at, "DELETE", self.url(at, project, path), role=role, effect="same")
        except PermanentError as problem:
            if _is_missing(problem):
                return ""
            raise
        return _operation(at, answer)

    def cancel(self, at: Resource, url: str) -> None:
        """Cancel a job by its URL; one that is over already, or gone, is fine."""
        parts = urlsplit(at.own(url, "a job"))
        whole = urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/:cancel"))
        try:
            self._authoring(at, "POST", whole, effect="same")
        except PermanentError as problem:
            job = self.found(at, urlunsplit(parts))
            if job is not None and str(job.read(dict[str, Any]).get("status")).lower() in ("notstarted", "running"):
                raise problem from None

    def pages[One](
        self, at: Resource, project: str | None, path: str, shape: type[One], *, query: Mapping[str, str] | None = None
    ) -> list[One]:
        """Read a whole list of a project's, or that of all projects, page by page, on the resource's own host."""
        url, everything, seen = self.url(at, project, path, query), [], set[str]()
        while url:
            if url in seen or len(seen) == MOST_PAGES:
                raise TemporaryError(f"Language at {at.host} gives a list without an end")
            seen.add(url)
            page = self._authoring(at, "GET", url, project or "").read(Page[shape])  # type: ignore[valid-type] # a shape is a value here
            everything += page.value
            url = at.own(page.next_link, "a next page") if page.next_link else ""
        return everything

    def near(self, at: Resource, name: str) -> str:
        """Give the name of a project that differs in case only; "" where there is none."""
        names = [str(one.get("projectName")) for one in self.pages(at, None, "", dict[str, Any])]
        return next((one for one in names if one != name and one.casefold() == name.casefold()), "")

    def _authoring(
        self,
        at: Resource,
        method: str,
        url: str,
        project: str = "",
        *,
        body: Any = None,
        role: str = "",
        effect: Effect = "read",
    ) -> Answer:
        role = role or (READER if method == "GET" else WRITER)
        self._ask_for_leave(at, method)
        try:
            return self._send(at, method, url, body=body, role=role, effect=effect)
        except PermanentError as problem:
            if project and problem.code == "ProjectNotFound":
                raise self._misspelt(at, project, problem) from None
            raise

    def _misspelt(self, at: Resource, project: str, problem: PermanentError) -> PermanentError:
        """Say of a project that is missing which one differs in case only, where one does."""
        try:
            near = self.near(at, project)
        except ReactorError:
            return problem
        if not near:
            return problem
        remedy = f'write "{near}": a project of this name is at {at.host}, and the case of names matters'
        return PermanentError(problem.reason, remedy=remedy, code=problem.code)

    def _ask_for_leave(self, at: Resource, method: str) -> None:
        wait = self._rates.take(at.place, "GET" if method == "GET" else "POST") if self._rates else 0.0
        if wait > 0:
            raise CrowdedError(
                f"as much as Language lets be asked in a minute was asked of {at.host} by this app", after=wait
            )

    # -- the runtime --------------------------------------------------------------------------------------------------

    def runtime(self, at: Resource, body: Any, seconds: float) -> Answer:
        """Ask the runtime, once; the whole answer is here within the seconds."""
        url = f"{at.endpoint.rstrip('/')}/{RUNTIME}{_query({'api-version': at.version})}"
        try:
            with deadlines.within(seconds):
                return self._send(at, "POST", url, body=body, role=READER, effect="same", soon=True)
        except PermanentError as problem:
            if EXPIRED.search(problem.reason):
                problem.code = "Expired"
            raise

    # -- both ---------------------------------------------------------------------------------------------------------

    def _send(
        self, at: Resource, method: str, url: str, *, body: Any, role: str, effect: Effect, soon: bool = False
    ) -> Answer:
        headers = at.headers()
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
        elif body is None and method == "POST":
            headers["Content-Length"] = "0"
        try:
            return self._rest(at, soon=soon).send(method, url, body=body, headers=headers, effect=effect)
        except ReactorError as problem:
            raise self._advised(problem, at, role) from None

    def _advised(self, problem: ReactorError, at: Resource, role: str) -> ReactorError:
        key = at.key.strip()
        settings = sorted(name for name, value in self._values.items() if key and value.strip() == key)
        return advised(problem, role, at.host, settings)

    def _rest(self, at: Resource, *, soon: bool = False) -> LanguageRest:
        if at.key.strip():
            return self._soon_with_key if soon else self._with_key
        if self._credential is None:
            raise PermanentError(f"{at.host} is given no key, and there is no identity", remedy="give one of them")
        return self._soon_with_token if soon else self._with_token

    @cached_property
    def _with_key(self) -> LanguageRest:
        return LanguageRest("Language")

    @cached_property
    def _with_token(self) -> LanguageRest:
        return LanguageRest("Language", self._credential, SCOPE)

    @cached_property
    def _soon_with_key(self) -> LanguageRest:
        return SoonRest("Language")

    @cached_property
    def _soon_with_token(self) -> LanguageRest:
        return SoonRest("Language", self._credential, SCOPE)


def _operation(at: Resource, answer: Answer) -> str:
    """Give the URL of the job that an answer tells of, "" for none; it is the resource's own."""
    url = answer.headers.get("operation-location", "")
    return at.own(url, "a job") if url else ""


def _nowhere(answer: Answer) -> str:
    words = f"{answer.service} answered {answer.status} and does not say where its job is"
    raise (UnansweredError if answer.effect == "start" else TemporaryError)(words)


def _is_missing(problem: PermanentError) -> bool:
    return problem.code.lower().endswith("notfound") and problem.code != GATEWAY


def _query(given: Mapping[str, str]) -> str:
    """Write a query of what is not empty, a space as %20."""
    return f"?{urlencode({name: value for name, value in given.items() if value}, quote_via=quote, safe='')}"
