"""Puts the app together: the only place where settings, storage, clients and the reactor meet.

Everything is imported when it is first needed, so that indexing the functions costs next to nothing, and built once a
process. Nothing here connects.
"""

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.api import Api
    from shared.clients.entra import Entra
    from shared.history import History
    from shared.reactor import Reactor
    from shared.settings import Settings
    from shared.settle import Timing
    from shared.storage.account import Account
    from shared.storage.records import Records
    from shared.storage.rules_file import RulesFile
    from shared.storage.timeline import Timeline


@cache
def reactor() -> "Reactor":
    """Return this process's reactor; SettingsError where settings are missing."""
    return _app().reactor


@cache
def api() -> "Api":
    """Return what answers the requests to `api/…`, also where settings are missing: it says so."""
    from shared.api import Api, Behind

    def behind() -> Behind:
        app = _app()
        return Behind(
            history=app.history,
            decisions=app.reactor.decisions,
            sign_in=app.entra.sign_in,
            operators=app.settings.operators,
        )

    return Api(behind)


def build(settings: "Settings") -> "Reactor":
    """Build a reactor from settings."""
    return App(settings).reactor


@cache
def _app() -> "App":
    from shared.settings import Settings

    return App(Settings.read(os.environ))


class App:
    """What is made of one set of settings: each part when it is first asked for, and then kept."""

    def __init__(self, settings: "Settings") -> None:
        logging.getLogger("azure").setLevel(logging.WARNING)  # the SDKs tell every request at INFO
        self.settings = settings

    @cached_property
    def account(self) -> "Account":
        """The app's own storage account."""
        from shared.clients.identity import managed_identity
        from shared.storage.account import Account

        return Account(self.settings.storage, managed_identity)

    @cached_property
    def records(self) -> "Records":
        """What is kept about events and actions."""
        from shared.storage.records import Records

        return Records(self.account)

    @cached_property
    def timeline(self) -> "Timeline":
        """The same, by time."""
        from shared.storage.timeline import Timeline

        return Timeline(self.account)

    @cached_property
    def rules(self) -> "RulesFile":
        """The rules of the moment, and those of before."""
        from shared.handlers import ACTIONS
        from shared.storage.rules_file import RulesFile

        settings = self.settings
        return RulesFile(
            self.account,
            settings.rules,
            actions=ACTIONS,
            values=settings.values,
            clock=now,
            recheck=self.timing.recheck,
        )

    @cached_property
    def timing(self) -> "Timing":
        """How long things may take."""
        from shared.settle import Timing

        return Timing(lease=self.settings.lease, poll=self.settings.poll, deadline=self.settings.deadline)

    @cached_property
    def reactor(self) -> "Reactor":
        """What takes events and performs actions."""
        from shared.clients import Clients
        from shared.clients.identity import managed_identity
        from shared.handlers import ACTIONS
        from shared.reactor import Reactor
        from shared.storage.locks import Locks
        from shared.storage.pauses import Pauses
        from shared.storage.queues import Queues
        from shared.storage.slots import SlotsTable

        settings = self.settings
        return Reactor(
            records=self.records,
            timeline=self.timeline,
            slots=SlotsTable(self.account),
            locks=Locks(self.account),
            send=Queues(self.account).send,
            rules=self.rules.current,
            paused=Pauses(self.account, now, self.timing.recheck / 2).of,
            handlers=ACTIONS,
            clients=Clients(settings, managed_identity, self.account),
            values=settings.values,
            clock=now,
            timing=self.timing,
            keep=settings.keep,
        )

    @cached_property
    def history(self) -> "History":
        """What happened, and why."""
        from shared.history import History

        return History(
            self.records,
            self.timeline,
            rules_by_hash=self.rules.by_hash,
            rules_now=self.rules.current,
            clock=now,
        )

    @cached_property
    def entra(self) -> "Entra":
        """Who signs people in."""
        from shared.clients.entra import Entra

        return Entra(self.settings.authority, self.settings.audience)


def now() -> datetime:
    """Read the clock: aware, UTC."""
    return datetime.now(UTC)


def health(values: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Say whether the app could work: its settings are complete. Nothing is connected to."""
    from shared.errors import SettingsError
    from shared.settings import Settings

    try:
        Settings.read(values)
    except SettingsError as error:
        return {"status": "misconfigured", "reason": error.reason}
    return {"status": "ok"}
