"""Where the app keeps its state, as the command finds it, and who asks: the environment, or the local stack."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.app import READY, read_ready
from cli.errors import UsageError

if TYPE_CHECKING:
    from shared.settings import Settings
    from shared.storage.account import Account

PIPELINE_USERS = ("GITHUB_ACTOR", "BUILD_REQUESTEDFOREMAIL", "BUILD_REQUESTEDFOR", "GITLAB_USER_LOGIN")
"""Where pipelines of GitHub, Azure and GitLab say who started them."""
NOWHERE = (
    "which app? Set AzureWebJobsStorage (a connection string), or AzureWebJobsStorage__accountName, and REACTOR_RULES, "
    "as the app has them; or start the local stack with `make run`"
)


@dataclass(frozen=True, slots=True)
class AppStorage:
    """An app's settings, as far as they are known here, and its storage."""

    settings: Settings
    account: Account
    folder: Path | None
    """Where the local stack's app is; None for one in Azure."""

    @property
    def name(self) -> str:
        """Name the storage account for people."""
        return str(self.account.blobs.account_name)


def add_ready(parser: ArgumentParser) -> None:
    """Let a command say which local stack it means."""
    parser.add_argument(
        "--ready", type=Path, metavar="FILE", help=f"a local stack's file; default: the environment, else {READY}"
    )


def find(options: Namespace) -> AppStorage:
    """Find the app: the stack that was asked for, else the one of the environment, else the local one.

    UsageError says what is missing.
    """
    import logging

    from shared.clients.identity import operator
    from shared.errors import SettingsError
    from shared.settings import STORAGE_PREFIX, Settings
    from shared.storage.account import Account

    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what the SDKs have to say is in what is raised
    values, folder = dict(os.environ), None
    if options.ready or not any(name.startswith(STORAGE_PREFIX) for name in values):
        if "REACTOR_URL" in values and not options.ready:
            raise UsageError(
                "REACTOR_URL names an app, but not its storage: set AzureWebJobsStorage… as the app has it"
            )
        values, folder = _stack(options.ready or READY)
    try:
        settings = Settings.read(values)
        return AppStorage(settings, Account(settings.storage, operator), folder)
    except SettingsError as error:
        raise UsageError(error.reason) from error


def _stack(ready: Path) -> tuple[dict[str, str], Path]:
    """Read a local stack's settings and its app's folder."""
    if ready == READY and not ready.exists():
        raise UsageError(NOWHERE)
    facts = read_ready(ready)
    try:
        return dict(facts["settings"]), Path(facts["app"])
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"{ready} is no ready file of a local stack") from None


def who() -> str:
    """Name who runs the command: whoever started the pipeline, else the user of this machine."""
    import getpass

    for name in PIPELINE_USERS:
        if user := os.environ.get(name):
            return user
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def reported(command: Callable[[Namespace], int]) -> Callable[[Namespace], int]:
    """Have a command say what went wrong and what would help, and end with 1."""

    def run(options: Namespace) -> int:
        from shared.errors import PermanentError, ReactorError

        try:
            return command(options)
        except ReactorError as error:
            print(f"reactor: {error.reason}", file=sys.stderr)
            if isinstance(error, PermanentError) and error.remedy:
                print(f"  {error.remedy}", file=sys.stderr)
        return 1

    return run


def printable(text: str) -> str:
    """Write somebody else's words on one line, without anything that a terminal would obey."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
