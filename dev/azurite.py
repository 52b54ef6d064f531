"""Azurite, the storage emulator: real queues, blobs and tables on free ports of this machine, kept in memory."""

import base64
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from dev.process import Child, ChildError

PROGRAM = Path(__file__).parents[1] / "node_modules/.bin/azurite"
APP_ACCOUNT = "devstoreaccount1"
SERVICE_ACCOUNT = "visionservice"
WELL_KNOWN_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of `devstoreaccount1`; https://learn.microsoft.com/azure/storage/common/storage-connect-azurite"""

OPTIONS = ("--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence")
ANY_PORT = ("--blobPort", "0", "--queuePort", "0", "--tablePort", "0")
LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at (http://\S+)")


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running Azurite and the two accounts in it."""

    child: Child
    app: str
    """Connection string of the app's account."""
    service: str
    """Connection string of the account that plays the Custom Vision service's own storage."""


@contextmanager
def azurite(log: Path | None = None, *, each_request: bool = False) -> Iterator[Azurite]:
    """Run Azurite for as long as the context lasts; ChildError where it does not start.

    It chooses its ports itself and tells them in its own output, so another Azurite is never taken for ours.
    That output goes to `log`, with a line for every request where that is wanted: tens of megabytes a day.
    """
    keys = {APP_ACCOUNT: WELL_KNOWN_KEY, SERVICE_ACCOUNT: base64.b64encode(secrets.token_bytes(64)).decode()}
    with nullcontext(log.parent) if log else TemporaryDirectory(prefix="azurite-") as folder:
        child = Child(
            "Azurite",
            [program(), *OPTIONS, *ANY_PORT, *(() if each_request else ("--silent",))],
            log=log or Path(folder) / "azurite.log",
            env={"AZURITE_ACCOUNTS": ";".join(f"{account}:{key}" for account, key in keys.items())},
        )
        try:
            urls = child.wait_for(lambda: listening(child))
            app, service = (connection_string(account, key, urls) for account, key in keys.items())
            yield Azurite(child, app, service)
        finally:
            child.stop(seconds=2)


def program() -> str:
    """Find Azurite: where the variable AZURITE says, else in this repository's node_modules.

    ChildError says in one line what is missing.
    """
    path = Path(os.environ.get("AZURITE") or PROGRAM)
    if not path.exists():
        raise ChildError(f"Azurite is not at {path}: run `make setup`, or set AZURITE to where it is")
    with path.open("rb") as script:
        if b"node" in script.readline() and not which("node"):
            raise ChildError("Node 20 or newer is needed for the storage emulator, and there is no `node` on the PATH")
    return str(path)


def listening(child: Child) -> dict[str, str] | None:
    """Read from its output where each service listens; None until all three do."""
    urls = dict(LISTENING.findall(child.tail(lines=50)))
    return urls if len(urls) == 3 else None


def connection_string(account: str, key: str, urls: dict[str, str]) -> str:
    """Write the connection string of one account."""
    endpoints = "".join(f"{service}Endpoint={url}/{account};" for service, url in urls.items())
    return f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};{endpoints}"
