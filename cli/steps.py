"""Performs a step from a terminal: the stages of its handler, one after the other, with a line that says how far it is.

The stages are those that rules have performed by the app; what only an app has (an event, a record) is made up here.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from cli.errors import RefusedError, UsageError
from cli.holding import Holding
from cli.line import Line

if TYPE_CHECKING:
    from pydantic import BaseModel

    from shared.actions import Status
    from shared.clients import Clients
    from shared.rules.declared import Declared
    from shared.settings import Settings
    from shared.stages import Handler, Job, Pending, Stage
    from shared.storage.account import Account

MOST_TROUBLES = 6
"""Temporary errors in a row that are lived with; an app is more patient than a person."""
FIRST_WAIT, GROWTH = 1.0, 1.5
"""Seconds until the first look, and how much longer each next one takes, until it is the app's usual interval."""


class Here(Protocol):
    """Where a command works: a workspace, a Custom Vision project."""

    @property
    def clients(self) -> Clients:
        """The services."""

    @property
    def settings(self) -> Settings:
        """The app's settings, as far as they are known here."""

    @property
    def account(self) -> Account | None:
        """The storage of the app, where it is known: actions hold their locks there."""

    @property
    def declared(self) -> Declared:
        """What there is, as a rules file would declare it."""

    @property
    def given(self) -> Mapping[str, str]:
        """The parameters by which a step names it."""


class EndedError(RefusedError):
    """The step ended before it was through, and that is no failure: there was nothing to do, or somebody said no."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass
class Steps(Holding):
    """Performs steps in one place."""

    line: Line
    result: dict[str, Any] = field(default_factory=dict)
    """What the stages found out so far."""
    notes: list[str] = field(default_factory=list)
    has_acted: bool = False
    """Whether a stage that changes something was begun: where a later one fails, that is undone."""
    named: Callable[[str], str] = str
    """Says what a person calls a parameter."""

    def perform(self, action: str, params: Mapping[str, Any], until: str = "") -> dict[str, Any]:
        """Perform a step, up to and with the stage `until`; PermanentError or TemporaryError says why it failed.

        UsageError where it cannot be done as it was asked for: there is no rule to be corrected. EndedError where an
        action would end as skipped, or the like.
        """
        from shared.handlers import ACTIONS
        from shared.stages import find_handler

        handler = find_handler(ACTIONS, action)
        parsed, name = parse(action, dict(self.here.given) | dict(params), self.named), handler.stages[0].name
        try:
            while name:
                name = self._undoing(handler, handler.stage(name), parsed, until)
        finally:
            self.line.close()
            for what in tuple(self.held):
                self.let_go(what)
        return self.result

    def _undoing(self, handler: Handler, stage: Stage[Any], params: BaseModel, until: str) -> str:
        """Perform one stage; where it fails or ends after something was changed, that is changed back first."""
        from shared.errors import PermanentError, TemporaryError

        self.has_acted |= stage.effect == "acts"
        try:
            return self._stage(handler, stage, params, until)
        except (PermanentError, TemporaryError, EndedError) as trouble:
            if not self.has_acted or not handler.undoes:
                raise
            stopped, reason, remedy = trouble, trouble.reason, getattr(trouble, "remedy", "")
        told = len(self.notes)
        try:
            self._stage(handler, handler.stage(handler.undoes), params, "")
        except (PermanentError, TemporaryError) as problem:
            why = self.so_far(f"{reason}; and what was changed could not be undone: {problem.reason}")
            raise PermanentError(why, remedy=getattr(problem, "remedy", "") or remedy) from None
        undone, self.notes = self.notes[told:], self.notes[:told]
        reason = "; ".join([reason, *undone])
        if isinstance(stopped, EndedError):
            raise EndedError(stopped.status, reason)
        raise PermanentError(reason, remedy=remedy)

    def so_far(self, what: str) -> str:
        """Add what was found and done by now, where something was changed and nobody has changed it back."""
        return f"{what}; so far: {'; '.join(self.notes)}" if self.has_acted and self.notes else what

    def _stage(self, handler: Handler, stage: Stage[Any], params: BaseModel, until: str) -> str:
        """Perform one stage to its end, and name the next one, "" for none."""
        from shared.errors import PermanentError, TemporaryError, UnansweredError
        from shared.stages import Done, End, Pending

        looking = Looking(self.here.settings.poll.total_seconds())
        deadline = looking.began + (stage.within(params) if stage.within else self.here.settings.deadline)
        while datetime.now(UTC) < deadline:
            self.line.show(stage.name, looking.note)
            try:
                progress = looking.look(stage, params, self._job(looking))
            except UnansweredError as trouble:
                looking.is_unanswered |= stage.named_by == "service"
                looking.trouble(trouble, self.here.settings.lease / 5)
                continue
            except TemporaryError as trouble:
                looking.trouble(trouble, self.here.settings.lease / 5)
                continue
            if isinstance(progress, Done):
                self.result |= progress.result
                self.notes += [progress.note] if progress.note else []
                return "" if stage.name == until else progress.next or handler.stage_after(stage)
            if isinstance(progress, End):
                raise EndedError(progress.status, progress.reason)
            if isinstance(progress, Pending):
                looking.pending(progress)
                self.line.show(stage.name, looking.note)
            looking.wait()
        raise PermanentError(f"gave up: {looking.note or 'still pending'}", remedy="look at the studio")

    def _job(self, looking: Looking) -> Job:
        from shared.events import announce
        from shared.rules import templates
        from shared.stages import Job

        for what in self.held:
            self.hold(what)
        now = datetime.now(UTC)
        event = announce("Asked", id=self.key, time=now)
        return Job(
            key=self.key,
            step="by_hand",
            event_key=self.key,
            now=now,
            starting_at=looking.began if looking.is_unanswered else None,
            memory=looking.memory,
            result=self.result,
            declared=self.here.declared,
            clients=self.here.clients,
            written={},
            event=lambda: event,
            steps={},
            digest=(),
            more=0,
            decision=None,
            began=looking.began,
            action=self.key,
            rule="reactor",
            depth=0,
            is_dry_run=False,
            hold=self.hold,
            let_go=self.let_go,
            refuses=lambda _event: "",
            shown=str,
            resolve=lambda value: templates.resolve(value, self.here.settings.values),
        )


class Looking:
    """What is known of a stage between two looks at it."""

    def __init__(self, longest: float) -> None:
        self.memory: dict[str, Any] = {}
        self.note = ""
        self.began = datetime.now(UTC)
        self.is_unanswered = False
        """A start without a name of ours was not answered: its job is looked for, and never started again."""
        self._started = False
        self._wait, self._longest = FIRST_WAIT, max(longest, FIRST_WAIT)
        self._asked: float | None = None
        self._heard: list[float] = []
        self._troubles = 0
        self._unanswered_since: float | None = None

    def look(self, stage: Stage[Any], params: Any, job: Job) -> Any:
        """Watch the stage's job, or find it, or start it."""
        from shared import pace
        from shared.errors import TemporaryError

        with pace.listening() as self._heard:
            if self._started and stage.watch is not None:
                return stage.watch(params, job)
            found = stage.find(params, job)
            if found is None and self.is_unanswered:
                raise TemporaryError("the start was not answered; looking for what it started")
            return found if found is not None else stage.start(params, job)

    def pending(self, progress: Pending) -> None:
        """Remember what a look said."""
        self._started, self._troubles = True, 0
        self._asked = max([progress.after or 0.0, *self._heard])
        self.is_unanswered = False
        self.memory |= progress.memory
        self.note = progress.note

    def trouble(self, trouble: Any, patience: timedelta) -> None:
        """Live with a temporary error for a while, then raise it; an unanswered start is looked for somewhat longer."""
        from shared.errors import PermanentError

        self._troubles, self._asked, self.note = self._troubles + 1, trouble.after, trouble.reason
        if self.is_unanswered:
            since = self._unanswered_since = self._unanswered_since or time.monotonic()
            if time.monotonic() - since > patience.total_seconds():
                raise PermanentError(
                    "the service did not answer, and nothing is to be seen that it started",
                    remedy="look at the studio, then give the command again",
                ) from None
        elif self._troubles >= MOST_TROUBLES:
            raise trouble
        self.wait()

    def wait(self) -> None:
        """Wait until the next look."""
        time.sleep(max(self._wait, self._asked or 0.0))
        self._wait = min(self._wait * GROWTH, self._longest)


# -- what the commands share ------------------------------------------------------------------------------------------


def parse(action: str, params: Mapping[str, Any], named: Callable[[str], str] = str) -> BaseModel:
    """Check the parameters of a step, without those that are None; UsageError says it as `rules check` does."""
    from pydantic import ValidationError
    from yaml import SafeLoader, compose
    from yaml.nodes import Node

    from shared.handlers import ACTIONS
    from shared.rules.reading import Reading
    from shared.stages import find_handler

    try:
        return find_handler(ACTIONS, action).params.model_validate(
            {name: one for name, one in params.items() if one is not None}
        )
    except ValidationError as error:
        said, nowhere = [], compose("{}", Loader=SafeLoader)
        assert isinstance(nowhere, Node)
        for detail in error.errors(include_url=False):
            name, *rest = map(str, detail["loc"] or (action,))
            reading = Reading()
            path = tuple(part for part in rest if not part.isdigit())  # an option that is repeated has no number
            reading.invalid(nowhere, path, detail, name)
            called = named(name) if detail["loc"] else name
            said += [problem.message.replace(name, called, 1) for problem in reading.problems]
        raise UsageError("; ".join(said)) from None


def line_of(options: Namespace) -> Line:
    """Make the line of progress of a command; programs get none."""
    return Line(is_shown=not getattr(options, "json", False))


@contextmanager
def interruptible(how_to_go_on: str | Callable[[], str]) -> Iterator[None]:
    """Say what goes on, and how it can be followed, where somebody stops looking with Ctrl-C, or nothing answers."""
    from shared.errors import TemporaryError

    def told() -> str:
        return how_to_go_on if isinstance(how_to_go_on, str) else how_to_go_on()

    try:
        yield
    except KeyboardInterrupt:
        print(f"\nreactor: {told()}", file=sys.stderr)
        raise
    except TemporaryError as trouble:
        said = (trouble.reason, getattr(trouble, "remedy", ""), told())
        raise RefusedError("; ".join(text for text in said if text)) from None


def wait_until(here: Here, line: Line, stage: str, look: Callable[[], str | None]) -> None:
    """Look again and again until there is nothing more to wait for: `look` gives None then, before that a note."""
    from shared import pace
    from shared.errors import TemporaryError

    wait, longest, troubles = FIRST_WAIT, max(here.settings.poll.total_seconds(), FIRST_WAIT), 0
    try:
        while True:
            asked: float | None = None
            try:
                with pace.listening() as heard:
                    note = look()
                troubles, asked = 0, max(heard, default=None)
            except TemporaryError as trouble:
                note, troubles, asked = trouble.reason, troubles + 1, trouble.after
                if troubles >= MOST_TROUBLES:
                    raise
            if note is None:
                return
            line.show(stage, note)
            time.sleep(max(wait, asked or 0.0))
            wait = min(wait * GROWTH, longest)
    finally:
        line.close()
