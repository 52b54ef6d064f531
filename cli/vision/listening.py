"""Steps that take the service long: where an app runs that the service tells when it is over, the app is listened to.

Its records are cheap to look at every second; the service is asked once in a while only, since a message may get lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cli.line import Line
from cli.steps import Steps

if TYPE_CHECKING:
    from pydantic import BaseModel

    from shared.stages import Handler, Stage

EVERY = 1.0
"""Seconds between two looks at the records."""
ASKED_EVERY = 60.0
"""Seconds between two looks at the iteration itself."""
KINDS = frozenset({"TrainingCompleted", "TrainingFailed"})


class Sentences(Line):
    """The line of progress in words of its own: the stages of a step say nothing to who does not know them."""

    STAGES: Mapping[str, str] = {
        "test": "showing the new iteration images of each tag",
        "publish": "publishing",
        "smoke": "asking what is published",
        "undo": "taking back what was published",
    }
    """Those that are told of; what others do is over at once, and told only where it is not."""

    iteration = ""
    """What is being trained."""

    def show(self, stage: str, note: str) -> None:
        """Say what is done, and what is to be said of it."""
        said = self.STAGES.get(stage, "")
        if stage == "watch":
            said, note = f"{self.iteration} is being trained", "" if note.startswith(self.iteration) else note
        if said or note:
            super().show(said or note, note if said else "")


@dataclass
class Listening(Steps):
    """Performs a training."""

    line: Sentences
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
        if stage.name == "watch":
            self.line.iteration = self.result["name"]
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
            self.line.show("watch", "")
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
