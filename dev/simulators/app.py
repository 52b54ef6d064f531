"""A service as a WSGI app, with the controls that all of them have.

GET  /_requests   the requests seen since the last reset, as they stand in the log
GET  /_state      the service's state, readable
POST /_seed       JSON that the service's module documents, merged into the state; answers the state
POST /_faults     one fault or a list (see faults.py); DELETE forgets them, GET lists those still to come
POST /_reset      state, faults and requests as at the start
"""

import uuid
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote
from wsgiref.types import StartResponse, WSGIEnvironment

from dev.simulators.faults import Fault, Faults
from dev.simulators.requests_log import LONGEST_BODY, Entry, RequestsLog
from dev.simulators.wire import Answer, Compiled, RefusedError, Request, Service, compiled


class App:
    """A service as a WSGI app: controls, faults, log, routing."""

    def __init__(self, service: Service, log: RequestsLog) -> None:
        self.service = service
        self.faults = Faults()
        self.seen: list[Entry] = []
        self._log = log
        self._controls = compiled([
            ("GET", "/_requests", lambda _request: Answer(body=list(self.seen))),
            ("GET", "/_state", lambda _request: Answer(body=self.service.state())),
            ("POST", "/_seed", self._seed),
            ("GET", "/_faults", lambda _request: Answer(body=self.faults.pending())),
            ("POST", "/_faults", self._add_faults),
            ("DELETE", "/_faults", lambda _request: self._clear_faults()),
            ("POST", "/_reset", lambda _request: self.reset()),
        ])  # fmt: skip
        self._routes = compiled(service.routes())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        answer = self.answer(request_from(environ))
        body, headers = answer.encoded()
        headers |= {"Content-Length": str(len(body)), "x-ms-request-id": str(uuid.uuid4())}
        start_response(f"{answer.status} {reason(answer.status)}", list(headers.items()))
        return [body]

    def answer(self, request: Request) -> Answer:
        """Answer a request, or raise `faults.DroppedError`; all but the controls is logged and may be made to fail."""
        if request.path.startswith("/_"):
            with self.service.lock:
                return self._routed(request, self._controls, self._routes)
        fault = self.faults.take(request.method, request.path)
        answer: Answer | None = None
        try:
            answer = self._answer_faultily(request, fault)
            return answer
        finally:
            self.record(request, answer.status if answer else None, fault)

    def record(self, request: Request, status: int | None, fault: Fault | None) -> None:
        """Write a request down, in memory and in the log."""
        self.seen.append(
            self._log.write(
                simulator=self.service.name,
                method=request.method,
                url=request.url,
                headers=request.headers,
                body=request.body[:LONGEST_BODY].decode("utf-8", "replace"),
                status=status,
                fault=fault.kind if fault else None,
            )
        )

    def reset(self) -> Answer:
        """Put state, faults and requests where they were at the start."""
        with self.service.lock:
            self.service.reset()
            self.faults.clear()
            self.seen.clear()
        return Answer(204)

    def _answer_faultily(self, request: Request, fault: Fault | None) -> Answer:
        if fault is None:
            return self._answer_well(request)
        if fault.kind == "slow":
            self.faults.wait(fault)
            return self._answer_well(request)
        if fault.kind == "throttle":
            after = fault.retry_after
            refused = self.service.throttled(request, after)
            headers = {} if after is None else {"Retry-After": f"{after:g}"}
            return Answer(refused.status, refused.body, {**refused.headers, **headers})
        if fault.kind == "unavailable":
            return self.service.error(503, "ServiceUnavailable", "The service is temporarily unavailable.")
        if fault.kind == "error":
            return Answer(fault.status, fault.body, fault.headers)
        if fault.kind == "lost_reply":
            self._answer_well(request)
        raise fault.dropped()

    def _answer_well(self, request: Request) -> Answer:
        asking = Request(**{**vars(request), "lag": lambda: self.faults.lag(request.method, request.path)})
        with self.service.lock:
            refused = self.service.refuse(asking)
            return refused or self._routed(asking, self._routes)

    def _routed(self, request: Request, *tables: Sequence[Compiled]) -> Answer:
        found = {
            method: (handler, match)
            for table in tables
            for method, pattern, handler in table
            if (match := pattern.fullmatch(request.path))
        }
        if not found:
            return self.service.error(404, "NotFound", f"Nothing is served at '{request.path}'.")
        if request.method not in found:
            return self.service.error(405, "MethodNotAllowed", f"'{request.method}' is not supported here.")
        handler, match = found[request.method]
        parts = {name: unquote(part) for name, part in match.groupdict().items()}
        try:
            return handler(Request(**{**vars(request), "parts": parts}))
        except RefusedError as refused:
            return refused.answer

    def _seed(self, request: Request) -> Answer:
        try:
            with self.service.lock:
                self.service.seed(request.json() or {})
                return Answer(body=self.service.state())
        except (KeyError, TypeError, ValueError) as problem:
            return Answer(400, {"error": f"seed: {type(problem).__name__}: {problem}"})

    def _add_faults(self, request: Request) -> Answer:
        try:
            self.faults.add(request.json())
        except (TypeError, ValueError) as problem:
            return Answer(400, {"error": f"fault: {problem}"})
        return Answer(body=self.faults.pending())

    def _clear_faults(self) -> Answer:
        self.faults.clear()
        return Answer(204)


def request_from(environ: WSGIEnvironment) -> Request:
    """Read a request off the wire, whole."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in {"CONTENT_TYPE", "CONTENT_LENGTH"}
    }
    headers.setdefault("host", f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}")
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace") or "/"
    query = environ.get("QUERY_STRING", "")
    chunked = environ.get("wsgi.input_terminated") or "transfer-encoding" in headers
    length = -1 if chunked else int(headers.get("content-length") or 0)
    return Request(
        method=environ["REQUEST_METHOD"],
        url=f"{environ['wsgi.url_scheme']}://{headers['host']}{path}{'?' if query else ''}{query}",
        path=path,
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers=headers,
        body=environ["wsgi.input"].read(length),
    )


def reason(status: int) -> str:
    """Give the phrase that goes with a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
