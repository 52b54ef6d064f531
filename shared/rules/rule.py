"""A rule as it is used: its conditions compiled, its steps as they were written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from shared.actions import Step
from shared.policy import CancelOn, Expectation, Limit
from shared.rules.filters import OPERATORS, Test
from shared.rules.paths import Keys

Mode = Literal["off", "dry_run", "live"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator under one path of a rule's `where`."""

    path: str
    """As the rules file writes it."""
    keys: Keys
    """As events spell it."""
    operator: str
    wanted: Any
    test: Test = field(repr=False, compare=False)


def condition(path: str, keys: Keys, operator: str, wanted: Any) -> Condition:
    """Compile a condition, once."""
    return Condition(path, keys, operator, wanted, OPERATORS[operator].compile(wanted))


@dataclass(frozen=True, slots=True)
class Rule:
    """What is wanted done about which events."""

    name: str
    kinds: frozenset[str]
    sources: frozenset[str]
    """Declared names that it listens to; empty for every one."""
    where: tuple[Condition, ...]
    mode: Mode
    do: tuple[Step, ...]
    on_failure: tuple[Step, ...]
    limit: Limit | None = None
    cancel_on: CancelOn | None = None
    expect: Expectation | None = None
    line: int = 0
    """Where the rules file has it."""
