"""What a command finds around it, and as whom it acts: what the environment says, or the local stack.

In Azure that is whoever is signed in, on the local stack the identity that the stack gives its app.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import UsageError
from cli.local_stack import READY, read_ready

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.rules import Rules
    from shared.settings import Settings
    from shared.storage.account import Account
    from shared.storage.places import Places

RULES = "rules.yaml"
NO_STORAGE = {"AzureWebJobsStorage__accountName": "none"}
"""For the settings of who only talks to services: nothing of the app's storage is touched then."""
SDK_SETTINGS = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "REQUESTS_CA_BUNDLE")
"""What the Azure SDKs read from the environment themselves, to reach and trust the local stack."""


@dataclass(frozen=True)
class Surroundings:
    """Where a command works."""

    values: Mapping[str, str] = field(repr=False)
    """The settings: those of the environment, and those of the local stack where that is meant."""
    facts: Mapping[str, Any] | None = field(repr=False)
    """What the local stack says of itself; None elsewhere."""

    @property
    def is_local(self) -> bool:
        """Whether the local stack is meant."""
        return self.facts is not None

    @property
    def has_storage(self) -> bool:
        """Whether the app's storage is known."""
        from shared.settings import STORAGE_PREFIX

        return any(name.startswith(STORAGE_PREFIX) for name in self.values)

    @cached_property
    def settings(self) -> Settings:
        """The app's settings, as far as they are known here; UsageError where they are wrong."""
        from shared.errors import SettingsError
        from shared.settings import Settings

        try:
            return Settings.read(self.values if self.has_storage else {**self.values, **NO_STORAGE})
        except SettingsError as error:
            raise UsageError(error.reason) from error

    @cached_property
    def account(self) -> Account | None:
        """The storage of the app, where it is known."""
        from shared.clients.identity import operator
        from shared.storage.account import Account

        return Account(self.settings.storage, operator) if self.has_storage else None

    @cached_property
    def clients(self) -> Clients:
        """The services, as whoever is signed in; on the local stack as its app."""
        import logging

        from shared.clients import Clients
        from shared.clients.identity import managed_identity, operator

        logging.getLogger("azure").setLevel(logging.CRITICAL)  # what the SDKs have to say is in what is raised
        if self.facts:
            os.environ.update({name: str(self.values[name]) for name in SDK_SETTINGS if name in self.values})
        return Clients(self.settings, managed_identity if self.is_local else operator, self.account)

    @property
    def places(self) -> Places:
        """The queues and containers that services write to."""
        from shared.storage.places import Places

        return Places(self.account, lambda: self.clients.credential, self.settings.backup_container)

    def rules_text(self, options: Namespace) -> tuple[str | None, str]:
        """Read the rules file of --rules, else the app's, and say what it is called; None where there is none."""
        from cli import app_storage
        from cli.documents import read
        from shared.storage.rules_store import is_blob

        if options.rules:
            return read(options.rules), str(options.rules)
        origin = self.values.get("REACTOR_RULES") or RULES
        if self.facts or is_blob(origin):
            app = app_storage.of_stack(self.facts) if self.facts else app_storage.find(options)
            return app.rules(), origin
        return (read(Path(origin)), origin) if Path(origin).is_file() else (None, origin)

    def rules(self, options: Namespace) -> tuple[Rules | None, str]:
        """Load that file; UsageError where it has errors."""
        from shared.handlers import ACTIONS
        from shared.rules import RulesError, load

        text, origin = self.rules_text(options)
        if text is None:
            return None, origin
        try:
            return load(text, ACTIONS, origin), origin
        except RulesError:
            raise UsageError(f"{origin} has errors: `reactor rules check {origin}` lists them") from None


def look_around(options: Namespace) -> Surroundings:
    """Find the local stack where that is meant, else take the environment."""
    from shared.settings import STORAGE_PREFIX

    is_elsewhere = any(name.startswith((STORAGE_PREFIX, "REACTOR_URL")) for name in os.environ)
    if not options.ready and (is_elsewhere or not READY.exists()):
        return Surroundings(dict(os.environ), None)
    facts = read_ready(options.ready)
    if not isinstance(facts.get("settings"), dict):
        raise UsageError("the local stack is of another version; start it again: `make run`")
    return Surroundings({**os.environ, **facts["settings"]}, facts)
