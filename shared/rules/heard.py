"""Which Custom Vision projects some rule wants to hear of. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.rules.kinds import KINDS

if TYPE_CHECKING:
    from shared.rules.match import Rules
    from shared.rules.rule import Rule

ENDS = frozenset(kind for kind, about in KINDS.items() if about.family == "vision") - {"ConnectionTested"}
"""The kinds that tell how a training or an export ended, or that nothing told of it."""


def heard(rules: Rules) -> tuple[str, ...]:
    """Name the declared projects whose trainings and exports mean anything to a rule."""
    listening = [rule for rule in rules.rules if rule.mode != "off" and listens(rule)]
    return tuple(
        name for name in rules.declared.vision if any(not rule.sources or name in rule.sources for rule in listening)
    )


def listens(rule: Rule) -> bool:
    """Tell whether the end of a training or an export means anything to a rule."""
    followed = {*(rule.cancel_on.on if rule.cancel_on else ()), *([rule.expect.kind] if rule.expect else [])}
    return bool(ENDS & {*rule.kinds, *followed})
