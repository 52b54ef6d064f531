"""The HTTP door's inside: what may be asked under `api/…`, by whom, and how every refusal is said.

    GET  events?kind=&source=&rule=&status=&since=&until=&most=&after=     GET  events/{key}
    GET  events?…&payload=true   the same, each with its payload
    GET  actions?…the same, and event=                                     GET  actions/{key}
    POST events/{key}/replay    {"reason": "…", "rules": "then"|"now", "rule": "…", "again": false}
    POST actions/{key}/approve  {"reason": "…"}           the same for reject and cancel

The host has asked for the function key already. Who writes is a signed-in person besides: approving and rejecting is
for those whom the step names, canceling and replaying for those of REACTOR_OPERATORS.
Errors are {"error": {"reason", "remedy", "field"}}, where the latter two are known.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from shared.decisions import Caller, DecisionError
from shared.defects import told
from shared.errors import MalformedError, PermanentError, ReactorError, SettingsError, SignInError, TemporaryError
from shared.redaction import LONGEST_TEXT, tidy

if TYPE_CHECKING:
    from shared.clients.entra import SignedIn
    from shared.decisions import Decisions
    from shared.history import History

log = logging.getLogger("reactor")

LARGEST_BODY = 64 * 1024
"""Bytes."""
HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
KEYS_OWN = frozenset({"code", "clientid"})
"""Query parameters that are the function key's, which the host looks at."""
TOLD = {"key", "event", "rule", "status", "reason", "decision", "canceled"}
"""What a decision's answer says of the action; GET says the rest."""
LEFT_OUT = "; which groups they are in could not be read: there are more than a token holds"
NAME_THEM = "name people by object id or address, or assign an app role: groups are of no use to this person"
STATUSES: Sequence[tuple[type[ReactorError], int]] = (
    (MalformedError, 400),
    (SignInError, 401),
    (SettingsError, 503),
    (TemporaryError, 503),
)
"""The first line that applies counts."""
DECISIONS: Mapping[str, int] = {"invalid": 400, "forbidden": 403, "unknown": 404, "conflict": 409}
"""By the kind of a DecisionError."""


@dataclass(frozen=True, kw_only=True)
class Behind:
    """What stands behind the door."""

    history: "History"
    decisions: "Decisions"
    sign_in: "Callable[[str], SignedIn]"
    """Reads an Authorization header."""
    operators: frozenset[str]


@dataclass(frozen=True)
class Reply:
    """What goes back."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class RefusedError(PermanentError):
    """A request that reaches nothing."""

    def __init__(self, status: int, reason: str, remedy: str = "", **headers: str) -> None:
        super().__init__(reason, remedy=remedy)
        self.status = status
        self.headers = headers


class Why(BaseModel):
    """The body of a decision."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: str = Field(min_length=1, max_length=LONGEST_TEXT)


class Again(BaseModel):
    """The body of a replay."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: str = Field(min_length=1, max_length=LONGEST_TEXT)
    rules: Literal["then", "now"]
    rule: str = Field(default="", max_length=LONGEST_TEXT)
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, its key apart from the shape of its path."""

    key: str
    query: Mapping[str, str]
    authorization: str
    body: bytes

    def read[T: BaseModel](self, shape: type[T]) -> T:
        """Read the body; MalformedError names the field that is wrong."""
        if len(self.body) > LARGEST_BODY:
            raise RefusedError(413, f"the body is larger than {LARGEST_BODY:,} bytes", "send less")
        try:
            return shape.model_validate_json(self.body or b"{}")
        except ValidationError as problem:
            first = problem.errors(include_url=False, include_input=False)[0]
            raise MalformedError(tidy(first["msg"]), field=tidy(".".join(map(str, first["loc"])))) from None


class Api:
    """Answers every request, whatever is in it; only a programming error is raised."""

    def __init__(self, behind: "Callable[[], Behind]") -> None:
        self._behind = behind
        self._routes: Mapping[str, Mapping[str, Callable[[Request], Any]]] = {
            "events": {"GET": self._events},
            "events/*": {"GET": self._event},
            "events/*/replay": {"POST": self._replay},
            "actions": {"GET": self._actions},
            "actions/*": {"GET": self._action},
            "actions/*/approve": {"POST": self._approve},
            "actions/*/reject": {"POST": self._reject},
            "actions/*/cancel": {"POST": self._cancel},
        }

    def answer(
        self,
        method: str,
        what: str,
        route: Mapping[str, str],
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Reply:
        """Answer a request to `api/{what}`; `route` holds the rest of its path: `key` and `verb`, where given."""
        key, verb = route.get("key") or "", (route.get("verb") or "").lower()
        path = "/".join(part for part in (what, key and "*", verb) if part)
        try:
            handler = self._handler(method, path)
            authorization = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
            asked = {name: value for name, value in query.items() if name.lower() not in KEYS_OWN}
            request = Request(key=key, query=asked, authorization=authorization, body=body)
            return Reply(200, to_json(handler(request)), HEADERS)
        except ReactorError as problem:
            if method != "GET" and path in self._routes:
                log.warning("api=%s key=%s outcome=refused reason=%s", path, tidy(key), tidy(problem.reason))
            return refusal(problem)
        except Exception as error:  # noqa: BLE001 # told without what was asked, and raised
            raise told(error, f"api={path}") from None

    def _handler(self, method: str, path: str) -> "Callable[[Request], Any]":
        methods = self._routes.get(path)
        if methods is None:
            raise RefusedError(404, "nothing is served at this path", f"there are {', '.join(self._routes)}")
        if method not in methods:
            [allowed] = methods
            raise RefusedError(405, f"this path takes {allowed} only", f"send it by {allowed}", Allow=allowed)
        return methods[method]

    # -- reading ------------------------------------------------------------------------------------------------------

    def _events(self, request: Request) -> Any:
        return self._behind().history.events(request.query)

    def _event(self, request: Request) -> Any:
        _no_query(request)
        return self._behind().history.event(request.key) or _missing("event")

    def _actions(self, request: Request) -> Any:
        return self._behind().history.actions(request.query)

    def _action(self, request: Request) -> Any:
        _no_query(request)
        return self._behind().history.action(request.key) or _missing("action")

    # -- deciding -----------------------------------------------------------------------------------------------------

    def _approve(self, request: Request) -> Any:
        return self._decided(request, "approve")

    def _reject(self, request: Request) -> Any:
        return self._decided(request, "reject")

    def _cancel(self, request: Request) -> Any:
        return self._decided(request, "cancel")

    def _decided(self, request: Request, verb: Literal["approve", "reject", "cancel"]) -> Any:
        behind = self._behind()
        person = _person(behind, request, is_for_operators=verb == "cancel")
        key, why = _found(behind, request, "actions"), request.read(Why)
        decisions = behind.decisions
        decide = {"approve": decisions.approve, "reject": decisions.reject, "cancel": decisions.cancel}[verb]
        try:
            action = decide(key, _caller(person), tidy(why.reason))
        except DecisionError as problem:
            if problem.kind == "forbidden" and person.are_groups_left_out:
                raise RefusedError(403, problem.reason + LEFT_OUT, NAME_THEM) from None
            raise
        return action.model_dump(mode="json", include=TOLD)

    def _replay(self, request: Request) -> Any:
        behind = self._behind()
        person = _person(behind, request, is_for_operators=True)
        key, asked = _found(behind, request, "events"), request.read(Again)
        done = behind.decisions.replay(
            key, _caller(person), reason=tidy(asked.reason), rules=asked.rules, rule=asked.rule, again=asked.again
        )
        return {"event": key, "replayed": done}


def _person(behind: Behind, request: Request, *, is_for_operators: bool) -> "SignedIn":
    """Tell who writes; what is for operators is for nobody else."""
    _no_query(request)
    person = behind.sign_in(request.authorization)
    if is_for_operators and not behind.operators:
        raise RefusedError(403, "nobody may do this: REACTOR_OPERATORS is empty", "name people in REACTOR_OPERATORS")
    if is_for_operators and not person.names & behind.operators:
        reason = f"{person.person} is not among those of REACTOR_OPERATORS"
        if person.are_groups_left_out:
            raise RefusedError(403, reason + LEFT_OUT, NAME_THEM)
        raise RefusedError(403, reason, "ask an operator, or have them named there")
    return person


def _caller(person: "SignedIn") -> Caller:
    return Caller(person=person.person, names=person.names)


def _no_query(request: Request) -> None:
    """Refuse parameters where there are none, so that a misspelt wish is not passed over."""
    for name in request.query:
        raise MalformedError("no query parameter is taken here", field=tidy(name))


def _found(behind: Behind, request: Request, what: Literal["events", "actions"]) -> str:
    """Give the whole key of what is written to."""
    return behind.history.find(what, request.key) or _missing(what.removesuffix("s"))


def _missing(what: str) -> NoReturn:
    raise RefusedError(404, f"no {what} has this key", f"look for it with GET {what}s")


def refusal(problem: ReactorError) -> Reply:
    """Say why a request is refused."""
    headers = dict(HEADERS)
    if isinstance(problem, RefusedError):
        status = problem.status
        headers |= problem.headers
    elif isinstance(problem, DecisionError):
        status = DECISIONS[problem.kind]
    else:
        status = next((status for kind, status in STATUSES if isinstance(problem, kind)), 500)
    if isinstance(problem, SignInError):
        headers["WWW-Authenticate"] = f'Bearer error="invalid_token", error_description="{problem.reason}"'
    if isinstance(problem, TemporaryError) and problem.after is not None:
        headers["Retry-After"] = str(ceil(problem.after))
    words = {"reason": problem.reason, "remedy": getattr(problem, "remedy", ""), "field": getattr(problem, "field", "")}
    return Reply(status, to_json({"error": {name: text for name, text in words.items() if text}}), headers)
