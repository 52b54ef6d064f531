"""What is remembered of a limit: which actions have a slot of it, and which events a digest has gathered. Pure data.

A slot belongs to an action and to those that do it again, and is held by one of them: only the holder gives it back.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.policy import Told

MOST_LEFT = 5
"""Digests that are kept although nobody was told of them."""


class Slot(BaseModel):
    """What one action has of a limit."""

    model_config = ConfigDict(frozen=True)

    key: str
    """The action's key; of a replay, that of the first action that it does again."""
    holder: str
    """The key of the action that has it now: that one, or a replay of it."""
    at: datetime
    """When its event came."""
    state: Literal["counted", "quiet", "queued", "took", "over"]
    """counted: towards a threshold. quiet: the newest, while a debounce waits. queued: for another one's end.
    took: it acts. over: it has acted."""
    taken: datetime | None = None
    """When it began to act."""
    before: datetime | None = None
    """When the action that its holder does again began to act."""
    until: datetime | None = None
    """While it is quiet: how long."""

    @property
    def acted(self) -> datetime | None:
        """When it last began to act, if it did."""
        return self.taken or self.before

    @property
    def age(self) -> tuple[datetime, str]:
        """What slots are ordered by: the event that came first is the oldest."""
        return self.at, self.key


class Digest(BaseModel):
    """The events that are gathered for one action."""

    model_config = ConfigDict(frozen=True)

    leader: str
    """The key of the action that will answer them all; of a replay, as in a slot."""
    holder: str
    """The key of the action that has it now; "" where that has ended and told nobody."""
    until: datetime
    events: tuple[Told, ...]
    more: int = 0
    """How many came beyond those that are listed."""
    is_closed: bool = False
    """Whether its time is over; it is kept until its action has ended."""

    def tells(self, event: Told) -> bool:
        """Tell whether an event is among those listed."""
        return any(told.key == event.key for told in self.events)


class Slots(BaseModel):
    """Everything that one limit is decided by: for one rule, and one set of values of its `per`."""

    version: Literal[1] = 1
    slots: tuple[Slot, ...] = ()
    digests: tuple[Digest, ...] = ()
    told: tuple[str, ...] = ()
    """The keys of the events that the last digest told: one that comes again is not told twice."""

    def slot_of(self, key: str) -> Slot | None:
        """Return what an action has of it."""
        return next((slot for slot in self.slots if slot.key == key), None)

    def with_slot(self, slot: Slot) -> "Slots":
        """Give an action a slot, in place of the one it has."""
        return self.model_copy(update={"slots": (*self.without(slot.key).slots, slot)})

    def without(self, key: str) -> "Slots":
        """Take an action's slot away."""
        return self.model_copy(update={"slots": tuple(slot for slot in self.slots if slot.key != key)})

    def digest_of(self, leader: str) -> Digest | None:
        """Return the digest that an action answers."""
        return next((digest for digest in self.digests if digest.leader == leader), None)

    def with_digest(self, digest: Digest) -> "Slots":
        """Put a digest in place of the one of the same action."""
        return self.model_copy(update={"digests": (*self.without_digest(digest.leader).digests, digest)})

    def without_digest(self, leader: str) -> "Slots":
        """Take an action's digest away."""
        return self.model_copy(update={"digests": tuple(one for one in self.digests if one.leader != leader)})


def release(slots: Slots, key: str, holder: str, *, gives_back: bool, succeeded: bool) -> Slots:
    """Say that an action ended: it lets go of what it holds, and gives back what it took where it did nothing."""
    digest, mine = slots.digest_of(key), slots.slot_of(key)
    if digest and digest.holder == holder:
        told = tuple(event.key for event in digest.events) if succeeded else slots.told
        slots = slots.without_digest(key).model_copy(update={"told": told})
        if not succeeded:
            slots = _left(slots, digest)
    if mine is None or mine.holder != holder or mine.state == "counted":
        return slots
    if mine.state == "took" and not gives_back:
        return slots.with_slot(mine.model_copy(update={"state": "over", "before": None}))
    if mine.before:
        return slots.with_slot(mine.model_copy(update={"state": "over", "taken": mine.before, "before": None}))
    return slots if mine.state == "over" else slots.without(key)


def _left(slots: Slots, digest: Digest) -> Slots:
    """Keep what an action gathered and did not tell, for whoever does it again; of all such, the last ones."""
    left = [one for one in slots.digests if not one.holder]
    digests = tuple(one for one in slots.digests if one not in left[: 1 - MOST_LEFT])
    return slots.model_copy(update={"digests": digests}).with_digest(
        digest.model_copy(update={"is_closed": True, "holder": ""})
    )


def next_queued(slots: Slots) -> Slot | None:
    """Return the slot of the action that has waited longest for another one's end, if one does."""
    return min((slot for slot in slots.slots if slot.state == "queued"), key=lambda slot: slot.age, default=None)
