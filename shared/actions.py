"""One rule answering one event: what is to be done, and how far it got.

All of this is pure data. `performer` moves an `Action` forward by one stage at a time, `storage.records` keeps it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.policy import CancelOn, Expectation, Limit, Told


class Step(BaseModel):
    """One line of a rule's `do`: which action, with which parameters, as written (templates and `${NAME}` included)."""

    model_config = ConfigDict(frozen=True)

    id: str
    action: str
    params: dict[str, Any] = Field(default_factory=dict)


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


class Message(BaseModel):
    """What the actions queue carries: it wakes an action, and says nothing about it."""

    model_config = ConfigDict(frozen=True)

    v: Literal[1] = 1
    action: str
    seq: int


class Undoing(BaseModel):
    """Why what a step began is undone: the verdict that comes once it is."""

    model_config = ConfigDict(frozen=True)

    stage: str
    """The stage that the verdict was about."""
    status: Status
    """FAILED: the step fails. Any other: the action ends so."""
    reason: str
    remedy: str = ""


class StepState(BaseModel):
    """How far one step got."""

    id: str
    action: str
    params: dict[str, Any] | None = None
    """The parameters as rendered when the step began, `${NAME}` unresolved; None before."""
    stage: str = ""
    started: bool = False
    """Whether the stage's remote job is known to be there, so that the next look is a `watch`."""
    memory: dict[str, Any] = Field(default_factory=dict)
    result: dict[str, Any] = Field(default_factory=dict)
    note: str = ""
    wake_on: str = ""
    """The token the stage waits for, beside looking."""
    touched: bool = False
    """Whether the stage's remote job was found, or was begun to be started."""
    committed: bool = False
    """Whether something irreversible was begun in this step."""
    starting_at: datetime | None = None
    """Written before a start whose answer may get lost; cleared once it is known what came of it."""
    empty_find: datetime | None = None
    """When the job of an unanswered start was first looked for and not found."""
    began: datetime | None = None
    """When the current stage was first performed: its deadline counts from here."""
    looks: int = 0
    """How often in a row the stage was found pending."""
    attempts: int = 0
    """How often in a row the stage ran into a temporary error."""
    troubled: datetime | None = None
    """When the first of them was met."""
    trouble: str = ""
    """The last temporary error, in words; empty once things went on."""
    held: list[str] = Field(default_factory=list)
    """What the step has locks of."""
    can_be_undone: bool = False
    """Whether the step has a stage that undoes what its other stages began."""
    undoing: Undoing | None = None
    """What went wrong with the step, while that is being undone."""
    outcome: Literal["", "succeeded", "failed"] = ""
    """Of the step; "" also where the action ended here as skipped, canceled, rejected or expired."""

    @property
    def is_revocable(self) -> bool:
        """Whether what the step began can still be undone: it is under way, and nobody undoes it yet."""
        return self.can_be_undone and not self.outcome and self.undoing is None


class Person(BaseModel):
    """Who asked for something: a signed-in person, as their token says."""

    model_config = ConfigDict(frozen=True)

    id: str
    """The object id."""
    name: str = ""
    """An address or a name, for people."""

    def __str__(self) -> str:
        return self.name or self.id


class Decision(BaseModel):
    """What a person decided about an action, once."""

    model_config = ConfigDict(frozen=True)

    verdict: Literal["approved", "rejected"]
    step: str
    """The id of the approval step that is decided."""
    by: Person
    at: datetime
    reason: str = ""


class Cancellation(BaseModel):
    """That an action is called off, by a person or by an event of the rule's `cancel_on`."""

    model_config = ConfigDict(frozen=True)

    by: str
    at: datetime
    reason: str = ""
    is_by_person: bool = False
    """A person also stops what goes on after a step that cannot be undone; an event does not."""

    def __str__(self) -> str:
        return f"{self.by}: {self.reason}" if self.reason else self.by


class Replay(BaseModel):
    """That an action was made by replaying its event."""

    model_config = ConfigDict(frozen=True)

    of: str
    """The key of the action that it does again; "" where there was none."""
    by: Person
    at: datetime
    reason: str
    rules: Literal["then", "now"]


class Claim(BaseModel):
    """Who is performing the action right now."""

    model_config = ConfigDict(frozen=True)

    message: str
    write: str
    since: datetime
    until: datetime


FLAGS = ("wake", "decision", "canceled", "met")
"""The fields of an action that anyone may set, under the ETag."""


class Action(BaseModel):
    """One rule answering one event, and how far that got. This is the record: messages only wake it."""

    # What is to be done: written once, when the event was planned.
    version: Literal[1] = 1
    key: str
    rule: str
    rules_hash: str
    event: str
    """The key of the event's record."""
    kinds: list[str]
    heard: str = ""
    """The kind that the rule listens to, of the event's."""
    source: str
    subject: str
    mode: Literal["dry_run", "live"]
    depth: int
    created: datetime
    steps: list[Step]
    on_failure: list[Step]
    limit: Limit | None = None
    cancel_on: CancelOn | None = None
    expect: Expectation | None = None
    """Where this is set, the action is the waiting for another event."""
    scope: str = ""
    """The key of the slots that the limit is decided by: of the rule, its mode and the values of `per`."""
    cancel_key: str = ""
    """What an event of `cancel_on` finds it by."""
    happened: datetime | None = None
    """When the event happened, where the wire says."""
    origin: str = ""
    """The key of the first action that this one does again; it has its slots. "" for the action's own."""
    follows: str = ""
    """The key of the action that put this off; "" for one that a rule made."""
    replay: Replay | None = None

    # How far it got: written by whoever holds the claim.
    seq: int = 0
    due: datetime
    asleep: bool = False
    """Whether it holds no message until it is due: somebody who sets a flag sends one."""
    note: str = ""
    """What it waits for before its first step, or why it is held."""
    moved_by: str = ""
    """The id of the message that wrote the last move: where that message comes again, it sends again."""
    write: str = ""
    """The id of the last write: where it is ours, the write whose reply was lost was done."""
    claim: Claim | None = None
    position: int = 0
    """Which step of `todo` is being performed."""
    progress: list[StepState] = Field(default_factory=list)
    """One state for each step begun, in the order of their beginning."""
    failure: Failure | None = None
    error: str = ""
    """A programming error met in the current stage; it is raised as well, and the poison door ends the action."""
    status: Status = Status.OPEN
    reason: str = ""
    ended: datetime | None = None
    announced: bool = False

    admitted: bool = False
    """Whether its limit let it begin."""
    digest: list[Told] = Field(default_factory=list)
    """The events that it answers together, its own first; empty where the rule has no digest."""
    more: int = 0
    """How many events the digest has beyond those."""
    touched: bool = False
    """Whether a step was started at all: its slots are taken for good."""
    committed: bool = False
    """Whether something irreversible was started: it can no longer be canceled."""

    # Set by anyone, under the ETag.
    wake: bool = False
    """Something happened: look again at once."""
    decision: Decision | None = None
    """What a person decided about the approval step that is waited at, or was waited at last."""
    canceled: Cancellation | None = None
    met: str = ""
    """The key of the event that an expectation waited for."""

    etag: str = Field(default="", exclude=True)

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done."""
        return self.status is Status.OPEN

    @property
    def is_irrevocable(self) -> bool:
        """Whether something was begun that nobody undoes: a step that is over, or one that cannot be undone."""
        return any(state.committed and not state.is_revocable for state in self.progress)

    @property
    def todo(self) -> list[Step]:
        """The steps being followed: the rule's `do`, or its `on_failure` once a step failed."""
        return self.on_failure if self.failure else self.steps

    @property
    def slot_key(self) -> str:
        """The key that its slots are kept under."""
        return self.origin or self.key

    @property
    def moment(self) -> datetime:
        """When its event happened, or else came."""
        return self.happened or self.created

    @property
    def claimed_at(self) -> datetime:
        """When the claim on it was made; it must be claimed."""
        assert self.claim is not None
        return self.claim.since

    def is_claimed(self, now: datetime) -> bool:
        """Whether somebody is performing it right now."""
        return self.claim is not None and self.claim.until > now

    def is_claimed_by(self, message_id: str) -> bool:
        """Whether the last claim on it is this message's."""
        return self.claim is not None and self.claim.message == message_id
