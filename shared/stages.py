"""What a handler is made of, and how one stage of it is performed: find the remote job, start it, or watch it.

What a stage answers is turned into a record by `settle`; nothing here writes one, but for the note that a start
whose answer may get lost is about to be made.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ValidationError

from shared.actions import Decision, Status, Step, StepState
from shared.errors import PermanentError, TemporaryError, UnansweredError
from shared.policy import Told

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.events import Event
    from shared.rules import Declared


# -- what a stage is told, and what it answers ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pending:
    """The remote job is under way: look again later."""

    after: float | None = None
    """Seconds until the next look; None for the usual interval."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """JSON that the stage wants back next time, merged over what it remembered before."""
    note: str = ""
    """One short phrase for people: "endpoint is Creating"."""
    wake_on: str = ""
    """A token (see `parse.wake_tokens`); an event that carries it brings the next look forward."""
    no_sooner: float = 0.0
    """Seconds that the service wants to be left alone, however soon the next look would be; not for handlers."""


@dataclass(frozen=True, slots=True)
class Done:
    """The stage is over and succeeded."""

    result: Mapping[str, Any] = field(default_factory=dict)
    """JSON merged into the step's result: later stages read it from `job.result`, templates as `steps.<id>.…`."""
    note: str = ""
    announces: str = ""
    """The kind of an event of our own that is announced now, beside the action's end: "ApprovalRequested"."""
    next: str = ""
    """The stage that comes next, where that is not the following one; a stage may come again."""
    later: Later | None = None
    """What is to be done in a while, as an action of its own: nothing waits for it."""


@dataclass(frozen=True, slots=True)
class Later:
    """One step that is done by an action of its own, of the same rule and event, once it is time."""

    step: Step
    """With parameters that no event fills in any more."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing is to be looked at: a person or an event will say when to go on. No message is held meanwhile."""

    until: datetime
    """When it is over even if nobody says anything."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """The whole action ends here, and that is no failure: `on_failure` is not done."""

    status: Literal[Status.SKIPPED, Status.CANCELED, Status.REJECTED, Status.EXPIRED]
    reason: str


Progress = Pending | Done | Waiting | End


@dataclass(frozen=True, slots=True)
class Job:
    """What a stage's functions are told, beside the step's parameters."""

    key: str
    """32 hex digits, of this step of this action: names that we choose are derived from it."""
    step: str
    event_key: str
    """The key of the record of the event that is being answered."""
    now: datetime
    starting_at: datetime | None
    """When an earlier attempt to start was about to be made and its answer never came; else None."""
    memory: Mapping[str, Any]
    """What this stage remembered (`Pending.memory`)."""
    result: Mapping[str, Any]
    """What the earlier stages of this step found out (`Done.result`)."""
    declared: Declared
    """The services named in the rules file."""
    clients: Clients
    written: Mapping[str, Any]
    """The step's parameters with `${NAME}` unresolved: what may be shown."""
    event: Callable[[], Event]
    """Reads the event that is being answered from the records."""
    steps: Mapping[str, Any]
    """The results of the steps before this one, by id."""
    digest: Sequence[Told]
    """The events that are answered together, where the rule has a digest; else empty."""
    more: int
    """How many more there were than `digest` lists."""
    decision: Decision | None
    """What a person decided about this step; None while nobody has."""
    began: datetime
    """When this stage was first performed."""
    action: str
    """The key of the action, as an operator names it."""
    rule: str
    depth: int
    """How many actions led to this one."""
    is_dry_run: bool
    hold: Callable[[str], str]
    """Takes the lock of what is named, such as an endpoint's ARM id: "" where the action has it now, else the key of
    the action that has it. It is free once that action has ended, or let go of it."""
    let_go: Callable[[str], None]
    """Gives the lock of what is named back, where the action has it."""
    refuses: Callable[[Event], str]
    """Says which part of the filter of the action's rule an event does not fit, "" where it fits: for an event that is
    made anew of what the service says by now."""
    shown: Callable[[str], str]
    """Puts the names of settings in place of their values in a service's words. Notes and errors need it not."""
    resolve: Callable[[Any], Any]
    """Replaces `${NAME}` in a value by the app's setting; PermanentError where it is not set."""
    note_begun: Callable[[str], None] = lambda _token: None
    """Notes that what a token names was begun here: events about it are one outcome deeper than this action. For what
    cannot carry that itself, as a tag; a person who is at it by a terminal begins anew."""


def nothing(_params: Any, _job: Job) -> Progress | None:
    """Find nothing: for a stage whose effect cannot be looked up."""
    return None


@dataclass(frozen=True, slots=True)
class Stage[P: BaseModel]:
    """One remote job of a step.

    `find` says whether the job is already there (None: it is not), `start` starts it, `watch` looks how it is doing.
    Each is called with the rendered parameters and the `Job`, does a few requests at most, and returns at once.
    A failure is raised as PermanentError (it failed, and why) or TemporaryError (ask again).
    """

    name: str
    start: Callable[[P, Job], Progress]
    find: Callable[[P, Job], Progress | None] = nothing
    watch: Callable[[P, Job], Progress] | None = None
    """None where `start` and `find` only ever return `Done`."""
    named_by: Literal["us", "service", "nobody"] = "us"
    """Who names the remote job. us: a second start is refused or the same. service: an unanswered start is
    reconciled by `find` before it is repeated. nobody: it cannot be found, so it is at-least-once (mail, chat)."""
    effect: Literal["acts", "prepares", "tells", "reads", "decides", "undoes"] = "acts"
    """acts: once it was started the action can no longer be called off, unless the step can be undone. prepares: it
    makes what is shared and costs nothing. tells: it sends a message, or asks a person. reads: it only looks. decides:
    the same, in a dry run too. undoes: it is performed in place of the rest of the step where that failed, ended or was
    called off after something was begun; at most one stage of a step does that, its last."""
    within: Callable[[P], timedelta] | None = None
    """How long the stage may take, where that is not the app's usual deadline."""


# -- how one is performed ---------------------------------------------------------------------------------------------


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
    offered: frozenset[str] = frozenset()
    """The names that the step looks up for its templates."""
    look_up: Callable[[Job, bool], Mapping[str, Any]] | None = None
    """Looks them up, and says in "unread" what could not be read; where it is told to be patient, a TemporaryError."""

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
        is_last = position == len(self.stages) or self.stages[position].effect == "undoes"
        return "" if is_last else self.stages[position].name

    @property
    def undoes(self) -> str:
        """The name of the stage that undoes what the others began, "" where none does."""
        return self.stages[-1].name if self.stages[-1].effect == "undoes" else ""


def find_handler(table: Mapping[str, str], action: str) -> Handler:
    """Import the handler of an action from its line in the table; PermanentError where there is none."""
    if action not in table:
        raise PermanentError(f'this version of the app has no step "{action}"', remedy="correct the rule")
    module, params = table[action].split(":")
    handlers = importlib.import_module(module)
    model = getattr(handlers, params)
    offered = frozenset(getattr(handlers, "NAMES", {}).get(model, ()))
    return Handler(model, handlers.STAGES[model], offered, getattr(handlers, "LOOK", {}).get(model))


def perform_stage(
    stage: Stage[Any],
    params: BaseModel,
    job: Job,
    state: StepState,
    *,
    patience: timedelta,
    may_start: Callable[[], bool],
    about_to_start: Callable[[], bool],
) -> Progress | NotStarted:
    """Watch the stage's job where it is known to be there, else find it, else start it.

    `patience` is how long to wait between the two empty finds that an unanswered start needs before it is repeated.
    `may_start` is false where the claim is too old to start anything under it.
    `about_to_start` writes down that a start without a name of ours is about to be made; it is false where the action
    turns out to have been called off.
    """
    if state.started and stage.watch is not None:
        return stage.watch(params, job)
    try:
        found = stage.find(params, job)
    except PermanentError:
        state.touched = True  # it is there, and has failed
        raise
    if found is not None:
        state.touched = True
        return found
    if state.starting_at is not None and (state.empty_find is None or job.now < state.empty_find + patience):
        return NotStarted("looking for the job of a start that was never answered", looked_in_vain=True)
    if stage.named_by == "service" and may_start() and not about_to_start():
        state.starting_at = None
        return NotStarted("it was called off just before it was started")
    if not may_start():
        state.starting_at = None
        return NotStarted("the claim is too old to start anything under it")
    was_touched, state.touched = state.touched, True
    try:
        return stage.start(params, job)
    except UnansweredError:
        raise
    except TemporaryError:
        state.starting_at, state.touched = None, was_touched  # refused for now, so certainly not started
        raise
