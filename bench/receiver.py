"""A webhook's other end, in a process of its own: takes what is posted, over https, and says 202."""

import argparse
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from sys import executable
from tempfile import TemporaryDirectory

import trustme

from dev.process import Child


class Receiver(BaseHTTPRequestHandler):
    """Answers at once, and keeps the connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:  # http.server calls it by this name
        """Take what is posted."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[tuple[str, Path]]:
    """Run it for as long as the context lasts; give its URL and the certificate authority to trust."""
    with TemporaryDirectory(prefix="bench-") as folder:
        ca, log = Path(folder) / "ca.pem", Path(folder) / "receiver.log"
        child = Child("receiver", [executable, "-u", "-m", "bench.receiver", "--ca", str(ca)], log=log)
        try:
            port = child.wait_for(lambda: child.tail().strip() or None)
            yield f"https://127.0.0.1:{port}/hook", ca
        finally:
            child.stop()


def main() -> None:
    """Serve until told to end; print the port."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ca", type=Path, required=True, help="where to write the certificate authority")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(arguments.parse_args().ca))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
