"""Limits: whether an action may begin now, by what is remembered of those before it. Pure: the clock is an argument.

What is remembered are slots; `admission` keeps them in storage, where they are written only under their ETag. Whoever
asks again after a crash finds its own slot and gets the same answer, so that a limit never blocks its own action.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.policy import Limit, Rate, Told, show_duration

MOST_QUEUED = 200
"""Actions that may wait for another one's end."""
MOST_TOLD = 500
"""Events that a digest lists; those beyond are only counted."""


# -- what is remembered of a limit ------------------------------------------------------------------------------------


class Slot(BaseModel):
    """What one action has of a limit."""

    model_config = ConfigDict(frozen=True)

    key: str
    """The action's key; of a replay, that of the action it does again."""
    at: datetime
    """When its event came."""
    state: Literal["counted", "quiet", "queued", "took", "over"]
    """counted: towards a threshold. quiet: the newest, while a debounce waits. queued: for another one's end.
    took: it acts. over: it has acted."""
    taken: datetime | None = None
    """When it began to act."""
    until: datetime | None = None
    """While it is quiet: how long."""


class Digest(BaseModel):
    """The events that are gathered for one action."""

    model_config = ConfigDict(frozen=True)

    leader: str
    """The key of the action that will answer them all."""
    until: datetime
    events: tuple[Told, ...]
    more: int = 0
    """How many came beyond those that are listed."""
    is_closed: bool = False
    """Whether its time is over; it is kept until its action has ended."""


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

    def digest_of(self, leader: str) -> Digest | None:
        """Return the digest that an action answers."""
        return next((digest for digest in self.digests if digest.leader == leader), None)

    def with_digest(self, digest: Digest) -> "Slots":
        """Put a digest in place of the one of the same action."""
        others = tuple(other for other in self.digests if other.leader != digest.leader)
        return self.model_copy(update={"digests": (*others, digest)})

    def without(self, key: str) -> "Slots":
        """Take an action's slot away."""
        return self.model_copy(update={"slots": tuple(slot for slot in self.slots if slot.key != key)})


@dataclass(frozen=True, slots=True)
class Asking:
    """An action that wants to begin."""

    key: str
    at: datetime
    """When its event came."""
    event: Told


@dataclass(frozen=True, slots=True)
class Admission:
    """What a limit says to an action, and what is to be remembered before it is told."""

    verdict: Literal["go", "skip", "wait"]
    slots: Slots
    reason: str = ""
    until: datetime | None = None
    """When a waiting action looks again; None: once another one ends."""
    replaces: tuple[str, ...] = ()
    """The actions that should be called off for it."""
    digest: Digest | None = None
    """The events that are answered together."""


# -- the decision -----------------------------------------------------------------------------------------------------


def decide(limit: Limit, slots: Slots, asking: Asking, now: datetime, is_over: Callable[[str], bool]) -> Admission:
    """Say whether an action may begin, by what is remembered of its limit but for `at_most`.

    Asked again after a crash it gives the same answer: an action that finds itself among the slots goes on.
    `is_over` tells whether the action with a key has ended, for one whose end was not written here.
    """
    mine = slots.slot_of(asking.key)
    if mine and mine.state in {"took", "over"}:
        return replace(_go(slots, asking, mine.taken or now), digest=slots.digest_of(asking.key))
    if mine and mine.state == "counted":
        return Admission("skip", slots, _counts(limit, slots))
    for gate in (_quiet, _gathered, _cooled, _counted):
        answer = gate(limit, slots, asking, now)
        if answer.verdict != "go":
            return answer
        slots = answer.slots
    answer = _alone(limit, slots, asking, is_over)
    if answer.verdict == "go":
        answer = _go(answer.slots, asking, now)
    return replace(answer, digest=slots.digest_of(asking.key))


def decide_budget(rate: Rate, slots: Slots, asking: Asking, now: datetime) -> Admission:
    """Say whether an action may begin by how often its rule acted already: `at_most`."""
    mine = slots.slot_of(asking.key)
    if mine:
        return Admission("go", slots)
    recent = tuple(slot for slot in slots.slots if slot.taken and slot.taken > now - rate.within)
    if len(recent) >= rate.count:
        again = min(slot.taken for slot in recent if slot.taken) + rate.within
        reason = f"at most {rate.count} within {show_duration(rate.within)}; the next may begin at {_clock(again)}"
        return Admission("skip", slots, reason)
    took = Slot(key=asking.key, at=asking.at, state="took", taken=now)
    return Admission("go", slots.model_copy(update={"slots": (*recent, took)}))


def release(slots: Slots, key: str, *, gives_back: bool) -> Slots:
    """Say that an action ended; where nothing was started its slot is given back."""
    mine = slots.slot_of(key)
    if digest := slots.digest_of(key):
        others = tuple(other for other in slots.digests if other.leader != key)
        told = slots.told if gives_back else tuple(event.key for event in digest.events)
        slots = slots.model_copy(update={"digests": others, "told": told})
    if mine is None or mine.state == "counted":
        return slots
    if gives_back or mine.state in {"quiet", "queued"}:
        return slots.without(key)
    return slots.with_slot(mine.model_copy(update={"state": "over"})) if mine.state == "took" else slots


def next_queued(slots: Slots) -> str:
    """Return the key of the action that has waited longest for another one's end, "" where none does."""
    queued = [slot for slot in slots.slots if slot.state == "queued"]
    return min(queued, key=_age).key if queued else ""


def _go(slots: Slots, asking: Asking, taken: datetime) -> Admission:
    """Take a slot, and forget what no longer decides anything: of those that are over, all but the last."""
    over = [slot for slot in slots.slots if slot.state == "over" and slot.key != asking.key]
    last = max(over, key=_taken, default=None)
    kept = tuple(slot for slot in slots.slots if slot.key != asking.key and (slot.state != "over" or slot is last))
    took = Slot(key=asking.key, at=asking.at, state="took", taken=taken)
    return Admission("go", slots.model_copy(update={"slots": (*kept, took)}))


def _quiet(limit: Limit, slots: Slots, asking: Asking, now: datetime) -> Admission:
    """Wait until nothing came for a while; only the newest goes on."""
    if limit.debounce is None:
        return Admission("go", slots)
    mine = Slot(key=asking.key, at=asking.at, state="quiet")
    newer = next(
        (slot for slot in slots.slots if slot.state in {"quiet", "took", "over"} and _age(slot) > _age(mine)), None
    )
    if newer:
        return Admission("skip", slots, f"a newer event came before it was quiet for {show_duration(limit.debounce)}")
    others = tuple(slot for slot in slots.slots if slot.state != "quiet" and slot.key != mine.key)
    found = slots.slot_of(asking.key)
    if found and found.state == "queued":
        return Admission("go", slots)
    until = found.until if found and found.until else now + limit.debounce
    if now < until:
        waiting = slots.model_copy(update={"slots": (*others, mine.model_copy(update={"until": until}))})
        return Admission("wait", waiting, f"waits until nothing came for {show_duration(limit.debounce)}", until=until)
    return Admission("go", slots.model_copy(update={"slots": others}))


def _gathered(limit: Limit, slots: Slots, asking: Asking, now: datetime) -> Admission:
    """Gather events for a while; the first one's action answers them all."""
    mine = slots.digest_of(asking.key)
    if limit.digest is None or (mine and mine.is_closed):
        return Admission("go", slots)
    if mine and now >= mine.until:
        return Admission("go", slots.with_digest(mine.model_copy(update={"is_closed": True})))
    if mine is None:
        if asking.event.key in slots.told:
            return Admission("skip", slots, "it was told in a digest")
        for digest in slots.digests:
            if not digest.is_closed or _tells(digest, asking.event):
                words = f"told in the digest of action {digest.leader}"
                return Admission("skip", slots.with_digest(_joined(digest, asking.event)), words)
        cooled = _cooled(limit, slots, asking, now)
        if cooled.verdict != "go":
            return cooled  # a digest that nobody will see gathers nothing
        mine = Digest(leader=asking.key, until=now + limit.digest, events=(asking.event,))
    words = f"gathers what comes within {show_duration(limit.digest)}"
    return Admission("wait", slots.with_digest(mine), words, until=mine.until)


def _tells(digest: Digest, event: Told) -> bool:
    return any(told.key == event.key for told in digest.events)


def _joined(digest: Digest, event: Told) -> Digest:
    if _tells(digest, event):
        return digest
    if len(digest.events) < MOST_TOLD:
        return digest.model_copy(update={"events": (*digest.events, event)})
    return digest.model_copy(update={"more": digest.more + 1})


def _cooled(limit: Limit, slots: Slots, asking: Asking, now: datetime) -> Admission:
    """Do nothing for a while after acting; a digest was asked when it was begun."""
    last = max((slot for slot in slots.slots if slot.taken), key=_taken, default=None)
    if (
        limit.cooldown is None
        or slots.digest_of(asking.key)
        or last is None
        or last.taken is None
        or now >= last.taken + limit.cooldown
    ):
        return Admission("go", slots)
    words = f"cooldown of {show_duration(limit.cooldown)} since action {last.key} at {_clock(last.taken)}"
    return Admission("skip", slots, words)


def _counted(limit: Limit, slots: Slots, asking: Asking, _now: datetime) -> Admission:
    """Act on the Nth event within a time, and count anew."""
    if limit.threshold is None or any(slot.key == asking.key for slot in slots.slots if slot.state == "queued"):
        return Admission("go", slots)
    mine = Slot(key=asking.key, at=asking.at, state="counted")
    counted = [*(slot for slot in slots.slots if slot.state == "counted"), mine]
    latest = max(slot.at for slot in counted)
    within = [slot for slot in counted if slot.at > latest - limit.threshold.within]
    others = tuple(slot for slot in slots.slots if slot.state != "counted")
    if mine not in within:
        return Admission("skip", slots, "it came too late to be counted")
    if len(within) >= limit.threshold.count:
        return Admission("go", slots.model_copy(update={"slots": others}))
    kept = slots.model_copy(update={"slots": (*others, *within)})
    return Admission("skip", kept, _counts(limit, kept))


def _counts(limit: Limit, slots: Slots) -> str:
    count = sum(slot.state == "counted" for slot in slots.slots)
    assert limit.threshold is not None
    return f"{count} of {limit.threshold.count} within {show_duration(limit.threshold.within)}"


def _alone(limit: Limit, slots: Slots, asking: Asking, is_over: Callable[[str], bool]) -> Admission:
    """Act on one event at a time."""
    if limit.concurrency is None:
        return Admission("go", slots)
    ended = [slot for slot in slots.slots if slot.state == "took" and is_over(slot.key)]
    for slot in ended:
        slots = slots.with_slot(slot.model_copy(update={"state": "over"}))
    running = tuple(slot.key for slot in slots.slots if slot.state == "took")
    if limit.concurrency == "skip":
        words = f"action {running[0]} is still under way" if running else ""
        return Admission("skip" if running else "go", slots, words)
    mine = slots.slot_of(asking.key) or Slot(key=asking.key, at=asking.at, state="queued")
    queued = [slot for slot in slots.slots if slot.state == "queued" and slot.key != mine.key]
    if limit.concurrency == "replace":
        if any(_age(slot) > _age(mine) for slot in slots.slots if slot.state in {"queued", "took", "over"}):
            return Admission("skip", slots, "a newer event took its place")
        queued, replaces = [], running
    else:
        queued, replaces = [slot for slot in queued if not is_over(slot.key)], ()
    others = tuple(slot for slot in slots.slots if slot.state != "queued")
    if not running and all(_age(mine) < _age(slot) for slot in queued):
        return Admission("go", slots.model_copy(update={"slots": (*others, *queued)}))
    if len(queued) >= MOST_QUEUED:
        return Admission("skip", slots, f"{MOST_QUEUED} actions wait already")
    waiting = slots.model_copy(update={"slots": (*others, *queued, mine)})
    words = f"waits for the end of action {running[0]}" if running else "waits for those before it"
    return Admission("wait", waiting, words, replaces=replaces)


def _age(slot: Slot) -> tuple[datetime, str]:
    return slot.at, slot.key


def _taken(slot: Slot) -> datetime:
    assert slot.taken is not None
    return slot.taken


def _clock(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")
