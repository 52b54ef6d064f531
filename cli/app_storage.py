"""Where the app keeps its state, as the command finds it, and who asks: the environment, or the local stack."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.errors import UsageError
from cli.local_stack import READY, read_ready

if TYPE_CHECKING:
    from shared.settings import Settings
    from shared.storage.account import Account

PIPELINE_USERS = ("GITHUB_ACTOR", "BUILD_REQUESTEDFOREMAIL", "BUILD_REQUESTEDFOR", "GITLAB_USER_LOGIN")
"""Where pipelines of GitHub, Azure and GitLab say who started them."""
NOWHERE = (
    "which app? Set AzureWebJobsStorage (a connection string), or AzureWebJobsStorage__accountName, and REACTOR_RULES, "
    "as the app has them; or start the local stack with `make run`"
)


class AppStorage(NamedTuple):
    """An app's settings, as far as they are known here, and its storage."""

    settings: Settings
    account: Account
    folder: Path | None
    """Where the local stack's app is; None for one in Azure."""
    inherited: frozenset[str] = frozenset()
    """The settings that the local stack was started with besides, by name."""

    @property
    def known(self) -> Mapping[str, str]:
        """Give the settings that are set; of those that are inherited, the value is not known."""
        return dict.fromkeys(self.inherited, "") | dict(self.settings.values)

    @property
    def name(self) -> str:
        """Name the storage account for people."""
        return str(self.account.blobs.account_name)

    def rules(self) -> str | None:
        """Read the rules file that the app reads; None where there is none, or it is not to be seen from here."""
        from shared.storage.rules_store import RulesStore, is_blob
        from shared.wiring import now

        location = self.settings.rules
        if is_blob(location):
            live = RulesStore(self.account, location, now).live()
            return live.text if live else None
        if self.folder is None or not (self.folder / location).is_file():
            return None
        return (self.folder / location).read_text("utf-8", "replace")


def find(options: Namespace) -> AppStorage:
    """Find the app: the stack that was asked for, else the one of the environment, else the local one.

    UsageError says what is missing.
    """
    from shared.settings import STORAGE_PREFIX

    if not options.ready and any(name.startswith(STORAGE_PREFIX) for name in os.environ):
        return _open(os.environ, None)
    if not options.ready and "REACTOR_URL" in os.environ:
        raise UsageError("REACTOR_URL names an app, but not its storage: set AzureWebJobsStorage… as the app has it")
    if not options.ready and not READY.exists():
        raise UsageError(NOWHERE)
    return of_stack(read_ready(options.ready, "or name the app's storage in the environment"))


def of_stack(facts: Mapping[str, Any]) -> AppStorage:
    """Give the storage of a local stack's app, from what the stack says of itself."""
    try:
        values, folder = dict(facts["settings"]), Path(facts["app"])
        inherited = frozenset(map(str, facts.get("inherited", ())))
    except (KeyError, TypeError, ValueError):
        raise UsageError("the local stack is of another version; start it again: `make run`") from None
    return _open(values, folder)._replace(inherited=inherited)


def _open(values: Mapping[str, str], folder: Path | None) -> AppStorage:
    import logging

    from shared.clients.identity import operator
    from shared.errors import SettingsError
    from shared.settings import Settings
    from shared.storage.account import Account

    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what the SDKs have to say is in what is raised
    try:
        settings = Settings.read(values)
        return AppStorage(settings, Account(settings.storage, operator), folder)
    except SettingsError as error:
        raise UsageError(error.reason) from error


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
