"""Steps that take the service long: where an app runs that the service tells when it is over, the app is listened to.

Its records are cheap to look at every second; the service is asked once in a while only, since a message may get lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cli.steps import Steps

if TYPE_CHECKING:
    from pydantic import BaseModel

    from shared.stages import Handler, Stage

EVERY = 1.0
"""Seconds between two looks at the records."""
ASKED_EVERY = 60.0
"""Seconds between two looks at the iteration itself."""
KINDS = frozenset({"TrainingCompleted", "TrainingFailed"})


@dataclass
class Listening(Steps):
    """Performs a training."""

    project: str = ""
    """Its id."""
    is_connected: bool = False
    """Whether the service tells of its end."""
    is_over: Callable[[str], bool] = lambda _iteration: True
    """Asks the service itself."""
    begins: Callable[[str], None] = lambda _iteration: None
    """Is told which iteration is begun."""
    since: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(minutes=1))
    """Nothing that was heard before is about it."""

    def _stage(self, handler: Handler, stage: Stage[Any], params: BaseModel, until: str) -> str:
        """Perform one stage; before the one that watches the training, wait until something is to be seen."""
        if stage.name == "watch" and self.result["started"]:
            self.begins(self.result["iteration"])
        if stage.name == "watch" and self.is_connected and self.here.account is not None:
            self._listen(datetime.now(UTC) + (stage.within(params) if stage.within else timedelta()))
        return super()._stage(handler, stage, params, until)

    def _listen(self, deadline: datetime) -> None:
        """Wait until the app has heard of the training's end; where it cannot be listened to, do not."""
        from shared.errors import ReactorError

        asked = time.monotonic()
        while datetime.now(UTC) < deadline:
            self.line.show("watch", f"{self.result['name']} is being trained; its notification is awaited")
            try:
                if self._is_heard():
                    return
                if time.monotonic() > asked + ASKED_EVERY:
                    asked = time.monotonic()
                    if self.is_over(self.result["iteration"]):
                        return
            except ReactorError:
                return
            time.sleep(EVERY)

    def _is_heard(self) -> bool:
        from shared.storage.timeline import Timeline, Wanted

        assert self.here.account is not None
        until = datetime.now(UTC) + timedelta(minutes=1)
        wanted = Wanted(since=self.since, until=until, source=f"customvision/{self.project}")
        rows = Timeline(self.here.account).read("events", wanted, most=100).rows
        return any(KINDS & set(row.kinds) and self.result["iteration"] in row.subject.lower() for row in rows)
