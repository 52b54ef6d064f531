"""A time by which a whole answer is here, however slowly it drips: a socket's own timeout begins anew with each byte.

It bounds the connection, the TLS handshake, what is sent and what is read, to the last byte. It cannot bound what comes
before there is a socket of ours: the resolver that looks a host's name up, whoever gives a token, a proxy that is asked
to connect.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.core.pipeline.transport import RequestsTransport
    from urllib3.connection import HTTPSConnection

AT_ONCE = 32
"""Connections to one host that are kept open: many threads may ask it."""
_until: ContextVar[float | None] = ContextVar("until", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Bound what is asked meanwhile on this thread."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def left() -> float | None:
    """Give the seconds that are left, 0 where the time is over, None where there is no bound."""
    until = _until.get()
    return None if until is None else max(0.0, until - time.monotonic())


def transport() -> "RequestsTransport":
    """Make a transport for https that heeds the bound of whoever asks; threads may share it."""
    from azure.core.pipeline.transport import RequestsTransport
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    connection = _connection()

    class Adapter(HTTPAdapter):
        """Makes such connections, directly and behind a proxy."""

        def get_connection_with_tls_context(self, *given: Any, **more: Any) -> Any:
            pool: Any = super().get_connection_with_tls_context(*given, **more)
            pool.ConnectionCls = connection
            return pool

    made = RequestsTransport()
    made.open()
    never = Retry(total=False, redirect=False, raise_on_status=False)
    made.session.mount("https://", Adapter(max_retries=never, pool_maxsize=AT_ONCE))
    return made


def _hurried() -> float | None:
    seconds = left()
    if seconds == 0:
        raise TimeoutError("timed out")
    return seconds


def _connection() -> "type[HTTPSConnection]":
    import ssl

    from urllib3.connection import HTTPSConnection
    from urllib3.util.ssl_ import create_urllib3_context

    class Socket(ssl.SSLSocket):
        """Waits no longer for anything than there is time."""

        def _hurry(self) -> None:
            seconds = _hurried()
            if seconds is not None:
                self.settimeout(seconds)

        def do_handshake(self, *given: Any, **more: Any) -> None:
            self._hurry()
            super().do_handshake(*given, **more)

        def send(self, *given: Any, **more: Any) -> int:
            self._hurry()
            return super().send(*given, **more)

        def recv_into(self, *given: Any, **more: Any) -> int:
            self._hurry()
            return super().recv_into(*given, **more)

    class Connection(HTTPSConnection):
        """Is made with such a socket."""

        def connect(self) -> None:
            seconds = _hurried()
            if seconds is not None:
                self.timeout = seconds
            if self.ssl_context is None:
                self.ssl_context = create_urllib3_context()
                self.ssl_context.sslsocket_class = Socket
            super().connect()

    return Connection
