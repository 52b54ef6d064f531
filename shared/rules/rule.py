"""A rule as it is used: its filter compiled, its steps as they were written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.actions import Step
from shared.policy import CancelOn, Expectation, Limit
from shared.rules.clauses import Clause, Condition

__all__ = ["Clause", "Condition", "Mode", "Rule"]

Mode = Literal["off", "dry_run", "live"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is wanted done about which events."""

    name: str
    kinds: frozenset[str]
    sources: frozenset[str]
    """Declared names that it listens to; empty for every one."""
    where: tuple[Clause, ...]
    """AND-ed: conditions, and `any` and `not` of them."""
    mode: Mode
    do: tuple[Step, ...]
    on_failure: tuple[Step, ...]
    limit: Limit | None = None
    cancel_on: CancelOn | None = None
    expect: Expectation | None = None
    line: int = 0
    """Where the rules file has it."""
