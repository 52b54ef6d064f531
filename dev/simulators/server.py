"""A WSGI app on a free port of 127.0.0.1, over https where it is given a certificate."""

import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from traceback import print_exc
from typing import Any

import trustme
from cheroot import errors, wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter

from dev.simulators.app import App
from dev.simulators.faults import DroppedError

THREADS = 40


@dataclass(frozen=True)
class Server:
    """A server that runs in a thread of its own."""

    url: str
    """"https://127.0.0.1:<port>"."""
    _server: Any
    _thread: threading.Thread

    def stop(self) -> None:
        """Close the port and end the threads."""
        self._server.stop()
        self._thread.join(timeout=10)


def serve(app: App, certificate: trustme.LeafCert | None) -> Server:
    """Serve an app, over https with a certificate and over plain http without one."""
    server = wsgi.Server(
        ("127.0.0.1", 0),
        droppable(app),
        numthreads=THREADS,
        max=THREADS,
        request_queue_size=128,
        timeout=120,
        shutdown_timeout=1,
    )
    server.error_log = complain  # type: ignore[method-assign]  # the way cheroot means it
    if certificate is not None:
        server.ssl_adapter = adapter(certificate)
    server.prepare()
    thread = threading.Thread(target=server.serve, name=f"simulator {app.service.name}", daemon=True)
    thread.start()
    scheme = "http" if certificate is None else "https"
    return Server(f"{scheme}://127.0.0.1:{server.bind_addr[1]}", server, thread)


def droppable(app: App) -> Any:
    """Wrap an app so that a dropped request closes the connection and sends nothing."""

    def call(environ: Any, start_response: Any) -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        except DroppedError as dropped:
            # The one exception that makes cheroot close a connection, plain or not, without writing to it.
            raise errors.FatalSSLAlert(str(dropped)) from dropped

    return call


def adapter(certificate: trustme.LeafCert) -> Any:
    """Give the TLS side; the key is on disk only while it is read."""
    with certificate.private_key_and_cert_chain_pem.tempfile() as pem:
        return BuiltinSSLAdapter(pem, pem)


def complain(msg: str = "", level: int = 20, traceback: bool = False) -> None:  # noqa: FBT001, FBT002  # cheroot's own
    """Say what went wrong inside a simulator; cheroot's other remarks are about clients that hang up."""
    if traceback:
        print(f"simulator: {msg} (level {level})", file=sys.stderr)
        print_exc()
