"""One rule answering one event: what is to be done, how far it got, and what a stage of it is.

All of this is pure data and types. `reactor.perform` moves an `Action` forward by one stage at a time;
`storage.records` keeps it; `handlers` say what the stages of a step are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.events import Event
    from shared.rules import Declared


class Step(BaseModel):
    """One line of a rule's `do`: which action, with which parameters, as written (templates and `${NAME}` included)."""

    model_config = ConfigDict(frozen=True)

    id: str
    action: str
    params: dict[str, Any] = Field(default_factory=dict)


# -- stages: what a handler is made of --------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class Done:
    """The stage is over and succeeded."""

    result: Mapping[str, Any] = field(default_factory=dict)
    """JSON merged into the step's result: later stages read it from `job.result`, templates as `steps.<id>.…`."""
    note: str = ""


Progress = Pending | Done


@dataclass(frozen=True, slots=True)
class Job:
    """What a stage's functions are told, beside the step's parameters."""

    key: str
    """32 hex digits, of this step of this action: names that we choose are derived from it."""
    step: str
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
    event: Callable[[], Event]
    """Reads the event that is being answered from the records."""
    resolve: Callable[[Any], Any]
    """Replaces `${NAME}` in a value by the app's setting; PermanentError where it is not set."""


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


# -- records: how far an action got -----------------------------------------------------------------------------------


class Status(StrEnum):
    """What came of an action; `OPEN` while nothing has."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Failure(BaseModel):
    """Why a step failed, in words."""

    step: str
    reason: str
    remedy: str = ""
