"""Starts every simulator: in a process of its own (`__main__`) or inside a test run."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import trustme

from dev.simulators.app import App
from dev.simulators.channels import Channels
from dev.simulators.channels.smtp import Smtp
from dev.simulators.entra import Entra
from dev.simulators.event_grid import EventGrid
from dev.simulators.identity import Identity
from dev.simulators.inference import Inference
from dev.simulators.language import Language
from dev.simulators.management import Management
from dev.simulators.requests_log import RequestsLog
from dev.simulators.server import Server, serve
from dev.simulators.storage import Storage
from dev.simulators.tokens import Tokens
from dev.simulators.vision import Vision, copies
from dev.simulators.wire import Service


@dataclass(frozen=True)
class Running:
    """The simulators of this process."""

    ready: dict[str, str]
    """What the ready file says."""
    _log: RequestsLog
    _smtp: Smtp
    _apps: Collection[App]
    _servers: Collection[Server]

    def stop(self) -> None:
        """End them all, and what they still meant to do."""
        for app in self._apps:
            app.reset()
        for server in self._servers:
            server.stop()
        self._smtp.stop()
        self._log.close()


def start(*, storage: str, service_storage: str, log: Path, ca: Path, functions: str = "") -> Running:
    """Start them.

    `storage` and `service_storage` are connection strings: the app's account, and the one that stands for the
    services' own; `ca` is where the certificate authority's PEM is written; `functions` is the app's address, which
    Event Grid delivers to until it is given other subscriptions.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca))
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    requests_log, tokens = RequestsLog(log), Tokens()
    own, theirs = Storage(storage), Storage(service_storage)
    identity, channels, management = Identity(tokens), Channels(tokens), Management(tokens, theirs)
    exported = copies.Tokens()
    services: list[Service] = [
        management,
        Inference(tokens, management, theirs),
        Vision(tokens, own, theirs, exported),
        Vision(tokens, own, theirs, exported, name="vision_replica"),
        Language(tokens),
        Language(tokens, name="language_replica"),
        channels,
        EventGrid(tokens, own, functions),
        identity,
        Entra(),
    ]
    apps = {service.name: App(service, requests_log) for service in services}
    servers = {name: serve(app, None if name == "identity" else certificate) for name, app in apps.items()}
    management.places.inference = servers["inference"].url
    smtp = Smtp(channels, apps["channels"])
    ready = {
        **{name: server.url for name, server in servers.items()},
        "smtp": smtp.address,
        "identity_header": identity.header,
        "ca": str(ca),
    }
    return Running(ready, requests_log, smtp, apps.values(), servers.values())
