"""Records what the app asks of storage and of the webhook, so that a bare loop can ask the same again.

The bare loop makes the same SDK calls with arguments of the same kind and size, in the same order, and does nothing
else: no parsing, no rules, no records. Its clients and arguments are made before the clock starts.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from azure.core.exceptions import AzureError
from requests.adapters import HTTPAdapter

from shared.storage.account import Account

SERVICES = ("table", "queue", "blob")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a client's method, or one request to the webhook."""

    client: str
    """"table reactorevents", "queue actions", "http"."""
    method: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(slots=True)
class Tape:
    """What was asked for while it ran."""

    ports: Mapping[int, str]
    """Which storage service listens on which port."""
    calls: list[Call] = field(default_factory=list)
    transactions: Counter[str] = field(default_factory=Counter)
    """Requests that reached each storage service, retries included."""
    lines: list[str] = field(default_factory=list)
    """What was on the wire: method, service and status."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Listen at the wire for as long as the context lasts."""
        really_send = HTTPAdapter.send

        def send(adapter: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
            service = self.ports.get(urlsplit(request.url or "").port or 0, "http")
            if service == "http":
                self.calls.append(
                    Call("http", str(request.method), (request.url, request.body, dict(request.headers)), {})
                )
            else:
                self.transactions[service] += 1
            response = really_send(adapter, request, *args, **kwargs)
            self.lines.append(f"{request.method} {service} {response.status_code}")
            return response

        HTTPAdapter.send = send  # type: ignore[assignment] # the one way to hear every client
        try:
            yield
        finally:
            HTTPAdapter.send = really_send  # type: ignore[method-assign]

    def listen(self, account: Account) -> None:
        """Hear the calls of an account's table and queue clients from now on."""
        account.tables = Heard(account.tables, "table", "get_table_client", self.calls)  # type: ignore[assignment]
        account.queues = Heard(account.queues, "queue", "get_queue_client", self.calls)  # type: ignore[assignment]


class Heard:
    """A service client whose clients are heard."""

    def __init__(self, service: Any, kind: str, getter: str, calls: list[Call]) -> None:
        self._service, self._kind, self._getter, self._calls = service, kind, getter, calls

    def __getattr__(self, name: str) -> Any:
        if name != self._getter:
            return getattr(self._service, name)
        return lambda of: HeardClient(getattr(self._service, name)(of), f"{self._kind} {of}", self._calls)


class HeardClient:
    """A table's or queue's client whose calls are heard."""

    def __init__(self, client: Any, name: str, calls: list[Call]) -> None:
        self._client, self._name, self._calls = client, name, calls

    def __getattr__(self, method: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._calls.append(Call(self._name, method, args, dict(kwargs)))
            return getattr(self._client, method)(*args, **kwargs)

        return call


class Player:
    """Makes recorded calls again, under other keys."""

    def __init__(self, account: Account, session: requests.Session) -> None:
        self._account = account
        self._session = session
        self._clients: dict[str, Any] = {}

    def prepare(self, calls: list[Call], renamed: Mapping[str, str]) -> Callable[[], None]:
        """Make everything that can be made beforehand; what is returned does nothing but the calls."""
        steps = [self._step(call, renamed) for call in calls]

        def play() -> None:
            etags: dict[str, str] = {}
            for step in steps:
                step(etags)

        return play

    def _step(self, call: Call, renamed: Mapping[str, str]) -> Callable[[dict[str, str]], None]:
        args, kwargs = rename(call.args, renamed), rename(call.kwargs, renamed)
        if call.client == "http":
            url, body, headers = args
            return lambda _: self._session.request(call.method, url, data=body, headers=headers).raise_for_status()
        method = getattr(self._client(call.client), call.method)
        of = call.client
        conditional = "etag" in kwargs

        def step(etags: dict[str, str]) -> None:
            if conditional:
                kwargs["etag"] = etags[of]
            with suppress(AzureError):
                answer = method(*args, **kwargs)
                if call.method.startswith(("query", "list")):
                    list(answer)
                elif of.startswith("table") and answer is not None:
                    etags[of] = answer["etag"] if "etag" in answer else answer.metadata["etag"]

        return step

    def _client(self, name: str) -> Any:
        if name not in self._clients:
            kind, _, of = name.partition(" ")
            account = self._account
            self._clients[name] = (
                account.tables.get_table_client(of) if kind == "table" else account.queues.get_queue_client(of)
            )
        return self._clients[name]


def rename(value: Any, renamed: Mapping[str, str]) -> Any:
    """Copy recorded arguments with other keys in them."""
    if isinstance(value, str):
        for old, new in renamed.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, Mapping):
        return {name: rename(item, renamed) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(rename(item, renamed) for item in value)
    return value
