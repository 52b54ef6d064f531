"""A model of how an action is performed, small enough to visit every state of it.

One action with two stages (start, watch), two workers, any interleaving, and a budget of faults: a worker dies before
any of its steps, a message comes twice, a reply is lost after the write was done, somebody wakes the action. Where the
start has a bug, performing it raises each time, and the host copies the message to the poison queue after two tries
(five in truth). Where the second stage asks a person, the action holds no message until the person sets a flag and
sends one. Where what was started can be undone, a bug and a person who calls the action off in its second stage lead
to a third one, which undoes it.
The steps below are those of `shared/performer.py` and `shared/ledger.py`, in their order.
A dead end is a state where nothing can happen any more and the action has not ended or its end is not announced.
The sweep is left out: it is the net below this. It is needed in one place: where a person's decision is written, and
who wrote it dies before sending the message.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

START, WATCH, ENDED, UNDO = 0, 1, 2, 3
MOST_TRIES = 2
"""Of a message, before the host copies it to the poison queue."""
MOST_MESSAGES = 8
"""Crashing orders could send for ever; more messages than this show nothing new."""


class Record(NamedTuple):
    """The action's record."""

    seq: int = 0
    claim: int = 0
    """The message that holds the claim, 0 for nobody."""
    live: bool = False
    """Whether the claim still stands."""
    moved_by: int = 0
    phase: int = START
    announced: bool = False
    woken: bool = False
    error: bool = False
    """Whether a programming error was written down."""
    decided: bool = False
    """Whether the person who was asked has answered, or a person has called the action off."""


class Message(NamedTuple):
    """A message of the actions queue."""

    id: int
    seq: int
    leased: bool = False
    tries: int = 0
    is_poison: bool = False


class Worker(NamedTuple):
    """Somebody who performs a message."""

    message: int
    seq: int
    is_poison: bool = False
    at: str = "read"
    seen: Record | None = None
    """The record as read or written last: its ETag."""
    saw: bool = False
    """Whether the person's answer was there when the stage was performed."""


class State(NamedTuple):
    """Everything there is."""

    record: Record = Record()
    messages: frozenset[Message] = frozenset({Message(1, 0)})
    workers: tuple[Worker, ...] = ()
    started: int = 0
    """How many remote jobs were started."""
    faults: int = 0
    next_id: int = 3
    has_bug: bool = False
    asks: bool = False
    """Whether the second stage waits for a person."""
    undoes: bool = False
    """Whether what was started can be undone: a person may call the action off."""
    person: str = "thinks"
    """thinks: may answer. has written: the flag is set, the message is not sent. done: sent, or found by the sweep."""


def explore(
    *,
    faults: int,
    duplicate: bool = False,
    has_bug: bool = False,
    asks: bool = False,
    undoes: bool = False,
    drop_stale: bool = False,
) -> tuple[int, list[State], list[State]]:
    """Visit every state; return how many there are, the dead ends, and the states where something started twice.

    `drop_stale` is the rule that looks simpler (drop every message with an old number), to show that it loses actions.
    """
    first = State(faults=faults, has_bug=has_bug, asks=asks, undoes=undoes)
    if duplicate:
        first = first._replace(messages=first.messages | {Message(2, 0)})
    seen, waiting = {first}, deque([first])
    dead_ends, doubled = [], []
    while waiting:
        state = waiting.popleft()
        successors = list(following(state, drop_stale=drop_stale))
        if not successors and not (state.record.phase == ENDED and state.record.announced):
            dead_ends.append(state)
        if state.started > 1:
            doubled.append(state)
        for after in successors:
            if after not in seen and after.next_id <= MOST_MESSAGES:
                seen.add(after)
                waiting.append(after)
    return len(seen), dead_ends, doubled


def following(state: State, *, drop_stale: bool) -> Iterator[State]:
    """List every state that may come next."""
    held = {worker.message for worker in state.workers}
    for message in state.messages:
        if message.leased and message.id not in held:
            yield state._replace(messages=state.messages - {message} | {message._replace(leased=False)})
        if not message.leased and len(state.workers) < 2:
            leased = state.messages - {message} | {message._replace(leased=True)}
            yield state._replace(
                messages=leased,
                workers=tuple(sorted((*state.workers, Worker(message.id, message.seq, message.is_poison)), key=repr)),
            )
    if state.record.live and not any(worker.message == state.record.claim for worker in state.workers):
        yield state._replace(record=state.record._replace(live=False))
    if state.faults and state.record.phase != ENDED and not state.record.woken:
        woken = state._replace(record=state.record._replace(woken=True), faults=state.faults - 1)
        yield _sent(woken, woken.record.seq)
    if state.asks or state.undoes:
        yield from _person(state)
    for worker in state.workers:
        others = list(state.workers)
        others.remove(worker)
        if state.faults:
            yield state._replace(workers=tuple(others), faults=state.faults - 1)  # it dies
        yield from _step(state._replace(workers=tuple(others)), worker, drop_stale=drop_stale)


def _person(state: State) -> Iterator[State]:
    """Let the person answer once they were asked, or call off what was started: the flag first, then the message."""
    if state.person == "thinks" and state.record.phase == WATCH:
        answered = state.record._replace(decided=True, woken=True)
        yield state._replace(record=answered, person="has written")
    if state.person == "has written":
        yield _sent(state._replace(person="done"), state.record.seq)  # or they die, and later the sweep does


def _step(state: State, me: Worker, *, drop_stale: bool) -> Iterator[State]:  # noqa: C901, PLR0912 # one case a step
    """Do one worker's next step; `state` is without it."""
    record, seen = state.record, me.seen
    match me.at:
        case "read":
            yield _with(state, me, "decide", record)
        case "decide":
            assert seen
            yield from _decide(state, me, seen, drop_stale=drop_stale)
        case "claim":
            assert seen
            claimed = seen._replace(claim=me.message, live=True, woken=False)
            yield from _write(state, me, seen, claimed, "settle" if me.is_poison else "perform")
        case "perform" if state.has_bug and seen and seen.phase == START:
            yield _with(state, me, "give up", seen)
        case "give up":
            ours = record.claim == me.message
            freed = record._replace(claim=0, live=False, error=True) if ours else record
            yield _raised(state._replace(record=freed), me)
        case "perform":
            assert seen
            started = state.started + (seen.phase == START and not state.started)
            yield _with(state._replace(started=started), me._replace(saw=seen.decided), "settle", seen)
        case "settle":
            assert seen
            waits = state.asks and seen.phase == WATCH and not me.saw and not me.is_poison
            phase = _next_phase(state, me, seen, waits=waits)
            moved = seen._replace(seq=seen.seq + 1, claim=0, live=False, moved_by=me.message, phase=phase, error=False)
            after = "announce" if moved.phase == ENDED else "delete" if waits and not moved.woken else "send"
            flags = {"woken": seen.woken, "decided": seen.decided}
            if record != seen and record._replace(**flags) == seen:
                yield _with(state, me, me.at, record)  # only a flag was set beside us: merge, write again
            elif record.claim == me.message and record != seen and not record.live:
                yield _with(state, me, me.at, record)  # our claim has lapsed, and still stands
            else:
                yield from _write(state, me, seen, moved, after)
        case "send":
            assert seen
            yield _with(_sent(state, seen.seq), me, "delete", seen)
        case "announce":
            assert seen
            announced = record._replace(announced=True)
            yield _with(state._replace(record=announced), me, "delete", announced)
        case "delete":
            yield _without(state, me)


def _next_phase(state: State, me: Worker, seen: Record, *, waits: bool) -> int:
    """Say what comes after a stage: what was started is undone where a bug or a person ended it."""
    if state.undoes and seen.phase != UNDO and (me.is_poison or (seen.phase == WATCH and me.saw)):
        return UNDO
    if me.is_poison or seen.phase == UNDO:
        return ENDED
    return seen.phase + (not waits)


def _decide(state: State, me: Worker, seen: Record, *, drop_stale: bool) -> Iterator[State]:
    """Decide about a message, by the record as it was read."""
    if seen.phase == ENDED:
        yield _without(state, me) if seen.announced else _with(state, me, "announce", seen)
    elif me.is_poison:
        is_taken = seen.live and seen.claim != me.message
        yield _sent(_without(state, me), seen.seq) if is_taken or not seen.error else _with(state, me, "claim", seen)
    elif me.seq < seen.seq:
        ours = seen.moved_by == me.message and not drop_stale
        yield _with(state, me, "send", seen) if ours else _without(state, me)
    elif seen.live and seen.claim != me.message:
        yield _sent(_without(state, me), me.seq) if me.seq > seen.seq else _without(state, me)
    else:
        yield _with(state, me, "claim", seen)


def _write(state: State, me: Worker, seen: Record, new: Record, after: str) -> Iterator[State]:
    """Write where the record is as it was seen; a lost reply is read again, and our write id found there."""
    if state.record != seen:
        yield _with(state, me, "read", None)
        return
    written = state._replace(record=new)
    yield _with(written, me, after, new)
    if state.faults:
        yield _with(written._replace(faults=state.faults - 1), me, after, new)


def _with(state: State, me: Worker, at: str, seen: Record | None) -> State:
    workers = (*state.workers, me._replace(at=at, seen=seen))
    return state._replace(workers=tuple(sorted(workers, key=repr)))


def _without(state: State, me: Worker) -> State:
    """Be done with the message, and delete it."""
    return state._replace(messages=frozenset(message for message in state.messages if message.id != me.message))


def _raised(state: State, me: Worker) -> State:
    """Have the host see that the function raised: the message comes again, or is copied to the poison queue."""
    message = next(one for one in state.messages if one.id == me.message)
    if message.is_poison or message.tries + 1 < MOST_TRIES:
        again = message._replace(leased=False, tries=message.tries + 1)
        return state._replace(messages=state.messages - {message} | {again})
    copy = Message(state.next_id, message.seq, is_poison=True)
    return state._replace(messages=state.messages - {message} | {copy}, next_id=state.next_id + 1)


def _sent(state: State, seq: int) -> State:
    return state._replace(messages=state.messages | {Message(state.next_id, seq)}, next_id=state.next_id + 1)
