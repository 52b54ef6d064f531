"""Slots in every state they can get into: two actions of one limit and a replay, crashes, and ends announced late.

The steps are those of `shared/admission.py`; what they decide is decided by the real functions. Asking is one
conditional write, and so is releasing: each is one step here.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import pytest

from shared.limits import Asking, decide
from shared.policy import Limit, Told
from shared.slots import Slots, next_queued, release

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
FIRST, OTHER, REPLAY = "first", "other", "replay"
SLOT_OF = {FIRST: FIRST, OTHER: OTHER, REPLAY: FIRST}
"""The replay does the first one again, and has its slot."""


class State(NamedTuple):
    """Everything there is."""

    slots: str = Slots().model_dump_json()
    phases: tuple[tuple[str, str], ...] = ((FIRST, "new"), (OTHER, "new"))
    """new: not admitted, as far as its record knows. went: admitted. acting. succeeded, canceled, skipped: ended."""
    announced: frozenset[str] = frozenset()
    """Those whose end was released at least once."""
    acted: tuple[str, ...] = ()
    """Who has begun to act, in order."""


def explore(limit: Limit) -> Iterator[State]:
    """Visit every state."""
    seen, waiting = {State()}, deque([State()])
    while waiting:
        state = waiting.popleft()
        yield state
        for after in following(state, limit):
            if after not in seen:
                seen.add(after)
                waiting.append(after)


def following(state: State, limit: Limit) -> Iterator[State]:
    """List every state that may come next."""
    slots, phases = Slots.model_validate_json(state.slots), dict(state.phases)
    for name, phase in phases.items():
        if phase == "new":
            yield from asked(state, limit, slots, name)
        if phase in {"new", "went"}:
            yield moved(state, name, "canceled")
        if phase == "went":
            yield moved(state._replace(acted=(*state.acted, name)), name, "acting")
        if phase == "acting":
            yield moved(state, name, "succeeded")
        if phase in {"succeeded", "canceled", "skipped"}:  # however often, and however late
            done = release(slots, SLOT_OF[name], name, gives_back=phase != "succeeded", succeeded=phase == "succeeded")
            yield state._replace(slots=done.model_dump_json(), announced=state.announced | {name})
    if phases[FIRST] in {"succeeded", "canceled"} and REPLAY not in phases:
        yield state._replace(phases=(*state.phases, (REPLAY, "new")))


def asked(state: State, limit: Limit, slots: Slots, name: str) -> Iterator[State]:
    """Ask the limit; the process may die before the answer is in the action's record."""
    told = Told(key=name, kind="RunFailed", subject=name, source="s")
    at = NOW.replace(minute=[FIRST, OTHER, REPLAY].index(name))
    phases = dict(state.phases)
    ended = {SLOT_OF[one] for one in phases if phases[one] in {"succeeded", "canceled", "skipped"}}
    ended -= {SLOT_OF[one] for one in phases if phases[one] in {"new", "went", "acting"}}
    answer = decide(
        limit,
        slots,
        Asking(key=SLOT_OF[name], holder=name, at=at, event=told),
        NOW.replace(minute=10),
        lambda key, _since: key in ended,
    )
    written = state._replace(slots=answer.slots.model_dump_json())
    yield written
    if answer.verdict == "go":
        yield moved(written, name, "went")
    if answer.verdict == "skip":
        yield moved(written, name, "skipped")


def moved(state: State, name: str, phase: str) -> State:
    """Write an action's record."""
    return state._replace(phases=tuple((one, phase if one == name else was) for one, was in state.phases))


@pytest.mark.guarantee(3)
@pytest.mark.parametrize("concurrency", ["skip", "queue"])
def test_never_two_at_once(concurrency: str) -> None:
    """Whatever dies and whatever is announced late, at most one action of a limit acts at a time."""
    count = 0
    for state in explore(Limit.model_validate({"concurrency": concurrency})):
        count += 1
        assert sum(phase in {"went", "acting"} for _, phase in state.phases) <= 1, state
    assert count > 100


@pytest.mark.guarantee(3)
def test_a_cooldown_lets_one_act() -> None:
    """Once one of two has acted, the other does not within the cooldown; a replay of the first one may."""
    states = list(explore(Limit.model_validate({"cooldown": "24h"})))
    assert len(states) > 100
    for state in states:
        assert not {FIRST, OTHER} <= set(state.acted), state


@pytest.mark.guarantee(2)
@pytest.mark.parametrize("limit", [{"concurrency": "queue"}, {"concurrency": "skip"}, {"cooldown": "24h"}])
def test_nothing_is_held_for_ever(limit: dict[str, str]) -> None:
    """Once all have ended and said so, nobody holds a slot or waits for one."""
    over = 0
    for state in explore(Limit.model_validate(limit)):
        phases = dict(state.phases)
        if all(phase in {"succeeded", "canceled", "skipped"} for phase in phases.values()):
            slots = Slots.model_validate_json(state.slots)
            if state.announced == set(phases):
                over += 1
                assert next_queued(slots) is None, state
                assert not any(slot.state == "took" for slot in slots.slots), state
    assert over > 5
