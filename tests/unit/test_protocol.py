"""The protocol by which actions are performed, in every state it can get into (`protocol_model.py`)."""

import pytest

from tests.unit.protocol_model import explore


@pytest.mark.guarantee(2)
@pytest.mark.parametrize(("faults", "duplicate"), [(0, False), (0, True), (1, False), (1, True), (2, False)])
def test_no_dead_end(faults: int, duplicate: bool) -> None:  # noqa: FBT001 # a parameter of the table above
    """Whatever dies, comes twice, is woken or loses its reply, the action ends, is announced, and started once."""
    states, dead_ends, doubled = explore(faults=faults, duplicate=duplicate)
    assert states > 10
    assert dead_ends == []
    assert doubled == []


@pytest.mark.guarantee(2)
@pytest.mark.parametrize(("faults", "duplicate"), [(0, False), (0, True), (1, False), (1, True)])
def test_waiting_for_a_person_ends(faults: int, duplicate: bool) -> None:  # noqa: FBT001 # a parameter of the table above
    """An action that holds no message while a person is asked goes on once they answered, whatever dies meanwhile."""
    states, dead_ends, doubled = explore(faults=faults, duplicate=duplicate, asks=True)
    assert states > 100
    assert dead_ends == []
    assert doubled == []


@pytest.mark.guarantee(2)
@pytest.mark.parametrize(("faults", "duplicate"), [(0, False), (0, True), (1, False)])
def test_a_bug_ends_too(faults: int, duplicate: bool) -> None:  # noqa: FBT001 # a parameter of the table above
    """A stage that raises each time is poisoned, and the poison door ends the action and has that announced."""
    states, dead_ends, _ = explore(faults=faults, duplicate=duplicate, has_bug=True)
    assert states > 10
    assert dead_ends == []


@pytest.mark.guarantee(2)
@pytest.mark.parametrize("has_bug", [False, True])
@pytest.mark.parametrize(("faults", "duplicate"), [(0, False), (0, True), (1, False), (1, True)])
def test_what_is_undone_ends_too(faults: int, duplicate: bool, has_bug: bool) -> None:  # noqa: FBT001 # parameters
    """An action that was called off, or that has a bug, undoes what it began and ends, whatever dies meanwhile."""
    states, dead_ends, doubled = explore(faults=faults, duplicate=duplicate, has_bug=has_bug, undoes=True)
    assert states > 10
    assert dead_ends == []
    assert doubled == []


def test_the_model_can_tell() -> None:
    """The rule that looks simpler, dropping every old message, is found to lose actions: the model can tell."""
    _, dead_ends, _ = explore(faults=1, drop_stale=True)
    assert dead_ends


def test_the_model_can_tell_of_people() -> None:
    """The same rule loses an action that a person has answered for."""
    _, dead_ends, _ = explore(faults=1, drop_stale=True, asks=True)
    assert [state for state in dead_ends if state.record.decided]
