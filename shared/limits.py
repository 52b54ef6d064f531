"""Limits: whether an action may begin now, by what is remembered of those before it. Pure: the clock is an argument.

What is remembered are slots; `admission` keeps them in storage, where they are written only under their ETag. Whoever
asks again after a crash finds its own slot and gets the same answer, so that a limit never blocks its own action.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from shared.policy import Limit, Rate, Told, show_duration
from shared.slots import Digest, Slot, Slots

MOST_QUEUED = 200
"""Actions that may wait for another one's end."""
MOST_TOLD = 500
"""Events that a digest lists; those beyond are only counted."""
ABANDONED = timedelta(hours=1)
"""How long after its time a digest whose action is gone is taken over by the next one."""

IsOver = Callable[[str, datetime], bool]
"""Tells whether the action of a slot has ended, for one whose end was not written there; and since when it has it."""


@dataclass(frozen=True, slots=True)
class Asking:
    """An action that wants to begin."""

    key: str
    """The key of its slot."""
    holder: str
    """Its own key."""
    at: datetime
    """When its event came."""
    event: Told
    digest: tuple[Told, ...] = ()
    """The events that it answers together, where that is known already: it waited since, or does another one again."""
    more: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """What a limit says to an action, and what is to be remembered before it is told."""

    verdict: Literal["go", "skip", "wait"]
    slots: Slots
    reason: str = ""
    until: datetime | None = None
    """When a waiting action looks again; None: once another one ends."""
    replaces: tuple[str, ...] = ()
    """The slots of actions that should be called off for it."""
    dropped: tuple[str, ...] = ()
    """The slots of actions that wait no longer: they should ask again, and will be skipped."""
    digest: Digest | None = None
    """The events that are answered together."""


def decide(limit: Limit, slots: Slots, asking: Asking, now: datetime, is_over: IsOver) -> Admission:
    """Say whether an action may begin, by what is remembered of its limit but for `at_most`.

    Asked again after a crash it gives the same answer: an action that finds itself among the slots goes on. One that
    does another again has that one's slot: it is held up by nothing but those who are still under way.
    """
    mine = slots.slot_of(asking.key)
    if mine and mine.state in {"took", "over"} and mine.holder == asking.holder:
        return Admission("go", slots, digest=slots.digest_of(asking.key))
    if mine and mine.state == "counted":
        if mine.at == asking.at:
            return Admission("skip", slots, _counts(limit, slots))
        slots = slots.without(asking.key)  # a replay counts anew
    slots = _brought(slots, asking, now)
    again = mine.acted if mine else None
    for gate in () if again else (_quiet, _gathered, _cooled, _counted):
        answer = gate(limit, slots, asking, now, is_over)
        if answer.verdict != "go":
            return answer
        slots = answer.slots
    answer = _alone(limit, slots, asking, again, is_over)
    if answer.verdict == "go":
        answer = replace(answer, slots=_taken(answer.slots, asking, now, again))
    return replace(answer, digest=slots.digest_of(asking.key))


def decide_budget(rate: Rate, slots: Slots, asking: Asking, now: datetime) -> Admission:
    """Say whether an action may begin by how often its rule acted already: `at_most`."""
    mine = slots.slot_of(asking.key)
    if mine and mine.holder == asking.holder:
        return Admission("go", slots)
    recent = tuple(slot for slot in slots.slots if slot.taken and slot.taken > now - rate.within)
    if mine is None and len(recent) >= rate.count:
        again = min(slot.taken for slot in recent if slot.taken) + rate.within
        reason = f"at most {rate.count} within {show_duration(rate.within)}; the next may begin at {_clock(again)}"
        return Admission("skip", slots, reason)
    before = mine.acted if mine else None
    took = Slot(key=asking.key, holder=asking.holder, at=asking.at, state="took", taken=now, before=before)
    return Admission("go", slots.model_copy(update={"slots": recent}).with_slot(took))


def _taken(slots: Slots, asking: Asking, now: datetime, before: datetime | None) -> Slots:
    """Take a slot, and forget what no longer decides anything: of those that are over, all but the last."""
    over = [slot for slot in slots.slots if slot.state == "over" and slot.key != asking.key]
    last = max(over, key=_acted, default=None)
    kept = tuple(slot for slot in slots.slots if slot.key != asking.key and (slot.state != "over" or slot is last))
    took = Slot(key=asking.key, holder=asking.holder, at=asking.at, state="took", taken=now, before=before)
    return slots.model_copy(update={"slots": (*kept, took)})


# -- each part of a limit ---------------------------------------------------------------------------------------------


def _quiet(limit: Limit, slots: Slots, asking: Asking, now: datetime, _is_over: IsOver) -> Admission:
    """Wait until nothing came for a while; only the newest goes on."""
    if limit.debounce is None:
        return Admission("go", slots)
    mine = Slot(key=asking.key, holder=asking.holder, at=asking.at, state="quiet")
    if any(slot.age > mine.age for slot in slots.slots if slot.state in {"quiet", "took", "over"}):
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


def _gathered(limit: Limit, slots: Slots, asking: Asking, now: datetime, is_over: IsOver) -> Admission:
    """Gather events for a while; the first one's action answers them all."""
    mine = slots.digest_of(asking.key)
    if limit.digest is None or (mine and mine.is_closed):
        return Admission("go", slots)
    if mine and now >= mine.until:
        return Admission("go", slots.with_digest(mine.model_copy(update={"is_closed": True})))
    if mine is None:
        if asking.event.key in slots.told:
            return Admission("skip", slots, "it was told in a digest")
        mine = Digest(leader=asking.key, holder=asking.holder, until=now + limit.digest, events=(asking.event,))
        for digest in slots.digests:
            if digest.tells(asking.event) or not digest.is_closed:
                if digest.holder and (now < digest.until + ABANDONED or not is_over(digest.leader, digest.until)):
                    words = f"told in the digest of action {digest.leader}"
                    return Admission("skip", slots.with_digest(_joined(digest, asking.event)), words)
                slots = slots.without_digest(digest.leader)
                mine = _joined(mine.model_copy(update={"events": digest.events, "more": digest.more}), asking.event)
        cooled = _cooled(limit, slots, asking, now, is_over)
        if cooled.verdict != "go":
            return cooled  # a digest that nobody will see gathers nothing
    words = f"gathers what comes within {show_duration(limit.digest)}"
    return Admission("wait", slots.with_digest(mine), words, until=mine.until)


def _joined(digest: Digest, event: Told) -> Digest:
    if digest.tells(event):
        return digest
    if len(digest.events) < MOST_TOLD:
        return digest.model_copy(update={"events": (*digest.events, event)})
    return digest.model_copy(update={"more": digest.more + 1})


def _brought(slots: Slots, asking: Asking, now: datetime) -> Slots:
    """Give a replay the digest of the action that it does again: what is left of it here, or what it brings."""
    left = slots.digest_of(asking.key)
    if left and left.is_closed and left.holder != asking.holder:
        return slots.with_digest(left.model_copy(update={"holder": asking.holder}))
    if left or not asking.digest:
        return slots
    return slots.with_digest(
        Digest(
            leader=asking.key,
            holder=asking.holder,
            until=now,
            events=asking.digest,
            more=asking.more,
            is_closed=True,
        )
    )


def _cooled(limit: Limit, slots: Slots, asking: Asking, now: datetime, _is_over: IsOver) -> Admission:
    """Do nothing for a while after acting; a digest was asked when it was begun."""
    last = max((slot for slot in slots.slots if slot.acted), key=_acted, default=None)
    if limit.cooldown is None or last is None or slots.digest_of(asking.key) or now >= _acted(last) + limit.cooldown:
        return Admission("go", slots)
    words = f"cooldown of {show_duration(limit.cooldown)} since action {last.key} at {_clock(_acted(last))}"
    return Admission("skip", slots, words)


def _counted(limit: Limit, slots: Slots, asking: Asking, _now: datetime, _is_over: IsOver) -> Admission:
    """Act on the Nth event within a time, and count anew."""
    if limit.threshold is None or any(slot.key == asking.key for slot in slots.slots if slot.state == "queued"):
        return Admission("go", slots)
    mine = Slot(key=asking.key, holder=asking.holder, at=asking.at, state="counted")
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


def _alone(limit: Limit, slots: Slots, asking: Asking, again: datetime | None, is_over: IsOver) -> Admission:
    """Act on one event at a time."""
    if limit.concurrency is None:
        return Admission("go", slots)
    for slot in slots.slots:
        if slot.state == "took" and slot.key != asking.key and is_over(slot.key, slot.taken or slot.at):
            slots = slots.with_slot(slot.model_copy(update={"state": "over"}))
    running = tuple(slot.key for slot in slots.slots if slot.state == "took" and slot.key != asking.key)
    if limit.concurrency == "skip":
        words = f"action {running[0]} is still under way" if running else ""
        return Admission("skip" if running else "go", slots, words)
    mine = Slot(key=asking.key, holder=asking.holder, at=asking.at, state="queued", before=again)
    queued = [slot for slot in slots.slots if slot.state == "queued" and slot.key != mine.key]
    dropped: tuple[str, ...] = ()
    if limit.concurrency == "replace":
        newer = [slot for slot in slots.slots if slot.state in {"queued", "took", "over"} and slot.key != mine.key]
        if any(slot.age > mine.age for slot in newer):
            return Admission("skip", slots, "a newer event took its place")
        queued, dropped = [], tuple(slot.key for slot in queued)
    else:
        queued = [slot for slot in queued if not is_over(slot.key, slot.at)]
    others = tuple(slot for slot in slots.slots if slot.state != "queued" and slot.key != mine.key)
    if not running and all(mine.age < slot.age for slot in queued):
        return Admission("go", slots.model_copy(update={"slots": (*others, *queued)}), dropped=dropped)
    if len(queued) >= MOST_QUEUED:
        return Admission("skip", slots, f"{MOST_QUEUED} actions wait already")
    waiting = slots.model_copy(update={"slots": (*others, *queued, mine)})
    words = f"waits for the end of action {running[0]}" if running else "waits for those before it"
    replaces = running if limit.concurrency == "replace" else ()
    return Admission("wait", waiting, words, replaces=replaces, dropped=dropped)


def _acted(slot: Slot) -> datetime:
    assert slot.acted is not None
    return slot.acted


def _clock(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")
