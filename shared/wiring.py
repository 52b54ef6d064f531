"""Puts the app together: the only place where settings, storage, clients and the reactor meet.

Everything is imported when it is first needed, so that indexing the functions costs next to nothing, and built once a
process. Nothing here connects.
"""

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.reactor import Reactor
    from shared.settings import Settings


@cache
def reactor() -> "Reactor":
    """Return this process's reactor; SettingsError where settings are missing."""
    from shared.settings import Settings

    return build(Settings.read(os.environ))


def build(settings: "Settings") -> "Reactor":
    """Build a reactor from settings."""
    logging.getLogger("azure").setLevel(logging.WARNING)  # the SDKs tell every request at INFO
    from shared.clients import Clients
    from shared.clients.identity import managed_identity
    from shared.handlers import ACTIONS
    from shared.reactor import Reactor
    from shared.settle import Timing
    from shared.storage.account import Account
    from shared.storage.queues import Queues
    from shared.storage.records import Records
    from shared.storage.rules_file import RulesFile

    account = Account(settings.storage, managed_identity)
    rules = RulesFile(account, settings.rules, actions=ACTIONS, values=settings.values, clock=now)
    return Reactor(
        records=Records(account),
        send=Queues(account).send,
        rules=rules.current,
        handlers=ACTIONS,
        clients=Clients(settings, managed_identity, account),
        values=settings.values,
        clock=now,
        timing=Timing(lease=settings.lease, poll=settings.poll, deadline=settings.deadline),
        keep=settings.keep,
    )


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
