"""Performs one stage of one step: find the remote job, start it, or watch it. One of these, then return.

What the stage answers is turned into a record by `settle`; nothing here writes one, but for the note that a start
whose answer may get lost is about to be made.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ValidationError

from shared.actions import Job, Progress, Stage, StepState
from shared.errors import PermanentError, TemporaryError, UnansweredError


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Nothing was started this time, and nothing is wrong."""

    note: str
    looked_in_vain: bool = False
    """The job of an unanswered start was looked for and is not there: look once more before starting again."""


@dataclass(frozen=True, slots=True)
class Handler:
    """A step's parameter model and its stages."""

    params: type[BaseModel]
    stages: tuple[Stage[Any], ...]

    def parse(self, values: Any) -> BaseModel:
        """Check rendered parameters; PermanentError names each that is wrong."""
        try:
            return self.params.model_validate(values)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            raise PermanentError(f"the parameters do not fit: {wrong}", remedy="correct the rule") from None

    def stage(self, name: str) -> Stage[Any]:
        """Return the stage called `name`, the first for ""; PermanentError where an upgrade took it away."""
        for stage in self.stages:
            if name in ("", stage.name):
                return stage
        raise PermanentError(
            f'this version of the app has no stage "{name}"',
            remedy="replay the event: its action began before an upgrade",
        )

    def stage_after(self, stage: Stage[Any]) -> str:
        """Return the name of the stage after `stage`, "" after the last."""
        position = self.stages.index(stage) + 1
        return self.stages[position].name if position < len(self.stages) else ""


def find_handler(table: Mapping[str, str], action: str) -> Handler:
    """Import the handler of an action from its line in the table; PermanentError where there is none."""
    if action not in table:
        raise PermanentError(f'this version of the app has no step "{action}"', remedy="correct the rule")
    module, params = table[action].split(":")
    handlers = importlib.import_module(module)
    return Handler(getattr(handlers, params), handlers.STAGES[getattr(handlers, params)])


def perform_stage(
    stage: Stage[Any],
    params: BaseModel,
    job: Job,
    state: StepState,
    *,
    patience: timedelta,
    may_start: Callable[[], bool],
    about_to_start: Callable[[], None],
) -> Progress | NotStarted:
    """Watch the stage's job where it is known to be there, else find it, else start it.

    `patience` is how long to wait between the two empty finds that an unanswered start needs before it is repeated.
    `may_start` is false where the claim is too old to start anything under it.
    `about_to_start` writes down that a start without a name of ours is about to be made.
    """
    if state.started and stage.watch is not None:
        return stage.watch(params, job)
    found = stage.find(params, job)
    if found is not None:
        return found
    if state.starting_at is not None and (state.empty_find is None or job.now < state.empty_find + patience):
        return NotStarted("looking for the job of a start that was never answered", looked_in_vain=True)
    if not may_start():
        return NotStarted("the claim is too old to start anything under it")
    if stage.named_by == "service":
        about_to_start()
    try:
        return stage.start(params, job)
    except UnansweredError:
        raise
    except TemporaryError:
        state.starting_at = None  # refused for now, so certainly not started
        raise
