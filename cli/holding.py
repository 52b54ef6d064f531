"""Locks that a command shares with the actions of the app, where the app's storage is at hand."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from cli.steps import Here

LOCKED = timedelta(minutes=15)
"""How long a command has a lock without taking it anew: it may be killed, and has no record that says so."""


@dataclass
class Holding:
    """What a command has for itself in one place."""

    here: Here
    key: str = field(default_factory=lambda: uuid4().hex, kw_only=True)
    """Whose the locks are; names that we choose are made of it, too."""
    held: list[str] = field(default_factory=list, kw_only=True)
    """What `hold` took and nobody gave back yet."""

    def hold(self, what: str) -> str:
        """Say which action of the app is working on something, where the app's storage is at hand; "" for none."""
        from shared.errors import ReactorError
        from shared.storage.locks import Locks

        if self.here.account is None:
            return ""
        with suppress(ReactorError):  # who may not look, or finds no table, is in the same place as without storage
            holder = Locks(self.here.account).hold(what, self.key, datetime.now(UTC), self._is_over, LOCKED)
            self.held += [] if holder or what in self.held else [what]
            return holder
        return ""

    def let_go(self, what: str) -> None:
        """Give back what `hold` took."""
        from shared.errors import ReactorError
        from shared.storage.locks import Locks

        if self.here.account is not None and what in self.held:
            self.held.remove(what)
            with suppress(ReactorError):
                Locks(self.here.account).let_go(what, self.key, datetime.now(UTC))

    def _is_over(self, key: str) -> bool:
        from shared.storage.records import Records

        assert self.here.account is not None
        action = Records(self.here.account).read_action(key)
        return action is None or not action.is_open
