"""The HTTP side of the host: the app's routes, the admin API, the Event Grid endpoint, and their one server."""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any
from uuid import uuid4

from azure_functions_runtime.bindings.datumdef import Datum
from cheroot import wsgi
from werkzeug.wrappers import Request, Response

from dev.host import webhook
from dev.host.worker import Function, Outcome, Worker

type Handler = Callable[..., Coroutine[Any, Any, Response]]
"""Called with the request, and with what the route's placeholders stand for."""

ADDRESS = "127.0.0.1"
THREADS = 32
ANY_METHOD = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})
TRIGGER_DATA = {"queueTrigger": "string", "eventGridTrigger": "json", "timerTrigger": "json"}
"""What the input of `POST /admin/functions/<name>` is to each trigger."""


class Front:
    """Hands each request to the host's event loop and waits for the answer."""

    def __init__(self, worker: Worker, prefix: str, loop: asyncio.AbstractEventLoop) -> None:
        self.worker = worker
        self.loop = loop
        self.started: set[asyncio.Task[Outcome]] = set()
        self.routes: list[tuple[frozenset[str], re.Pattern[str], Handler]] = [
            (ANY_METHOD, pattern(webhook.PATH), partial(webhook.answer, worker)),
            (frozenset({"GET"}), pattern("/admin/host/status"), self.status),
            (frozenset({"POST"}), pattern("/admin/functions/{name}"), self.start),
            *(
                (methods(function), pattern(path(function, prefix)), partial(self.call, function))
                for function in worker.triggered_by("httpTrigger")
            ),
        ]

    def answer(self, request: Request) -> Response:
        """Find the route and wait for its answer; 404 where there is none, also for a method that a route lacks."""
        for allowed, regex, handler in self.routes:
            if request.method in allowed and (found := regex.fullmatch(request.path)):
                request.get_data()  # read here: the event loop must not wait for a slow sender
                params = {name: value for name, value in found.groupdict().items() if value is not None}
                return asyncio.run_coroutine_threadsafe(handler(request, **params), self.loop).result()
        return Response(status=404)

    async def status(self, _request: Request) -> Response:
        """Say that the host runs."""
        return Response(json.dumps({"id": "dev", "state": "Running", "version": "dev"}), mimetype="application/json")

    async def start(self, request: Request, name: str) -> Response:
        """Start any function by hand, as the portal's test button does: accepted, whatever will come of it."""
        function = self.worker.functions.get(name)
        if function is None or function.kind not in TRIGGER_DATA:
            return Response(status=404)
        value = Datum(request.get_json(force=True).get("input") or "{}", TRIGGER_DATA[function.kind])
        metadata = {"Id": str(uuid4()), "DequeueCount": "1"}
        task = asyncio.create_task(self.worker.invoke(function, value, metadata, about="by hand"))
        self.started.add(task)  # the loop itself would let it be collected
        task.add_done_callback(self.started.discard)
        return Response(status=202)

    async def call(self, function: Function, request: Request, **params: str) -> Response:
        """Invoke an HTTP-triggered function."""
        value = {
            "method": Datum(request.method, "string"),
            "url": Datum(request.url, "string"),
            "headers": texts({name.lower(): value for name, value in request.headers}),
            "query": texts(request.args.to_dict()),
            "params": texts(params),
            "body": Datum(request.get_data(), "bytes"),
        }
        outcome = await self.worker.invoke(function, Datum(value, "http"), about=f"{request.method} {request.path}")
        return response(outcome.returned) if outcome.ok else Response(status=500)


def texts(values: dict[str, str]) -> dict[str, Any]:
    """Make each value what the worker's converters expect."""
    return {name: Datum(value, "string") for name, value in values.items()}


def response(returned: Any) -> Response:
    """Translate what the worker's converter made of a function's return value."""
    if returned is None or returned.type is None:
        return Response(status=204)
    if returned.type != "http":
        return Response(returned.value)
    parts = returned.value
    answer = Response(parts["body"].value, int(parts["status_code"].value))
    answer.headers.update({name: value.value for name, value in parts["headers"].items()})
    for cookies in parts["cookies"] or []:
        answer.headers.extend(("Set-Cookie", cookie.OutputString()) for cookie in cookies.values())
    return answer


def methods(function: Function) -> frozenset[str]:
    """Give the methods a function answers to; all of them where it names none."""
    return frozenset(map(str, function.trigger.get("methods") or ())) or ANY_METHOD


def path(function: Function, prefix: str) -> str:
    """Give the path of a function's route: its name where it has no route of its own."""
    return "/" + "/".join(part for part in (prefix, str(function.trigger.get("route") or function.name)) if part)


def pattern(template: str) -> re.Pattern[str]:
    """Translate a route such as `events/{id}`, `{id:int}`, `{id?}` or `{*rest}`; paths ignore case, as in ASP.NET."""
    text = re.sub(r"/\{(\w+)(?::\w+)?\?\}", r"(?:/(?P<\1>[^/]+))?", template)
    text = re.sub(r"\{\*(\w+)\}", r"(?P<\1>.*)", text)
    text = re.sub(r"\{(\w+)(?::\w+)?\}", r"(?P<\1>[^/]+)", text)
    return re.compile(text + "/?", re.IGNORECASE)


class Server:
    """Serves what the front answers on a port of this machine, from threads of its own."""

    def __init__(self, front: Front, port: int) -> None:
        app = Request.application(front.answer)
        self._server = wsgi.Server((ADDRESS, port), app, numthreads=THREADS, shutdown_timeout=2)
        self._server.prepare()
        self.url = f"http://{ADDRESS}:{self._server.bind_addr[1]}"
        Thread(target=self._server.serve, name="http", daemon=True).start()

    def stop(self) -> None:
        """Take no more requests."""
        with suppress(OSError):
            self._server.stop()
