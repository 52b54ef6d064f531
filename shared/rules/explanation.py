"""Why a rule answers an event, or the first thing that is against it; for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.actions import Step
from shared.errors import PermanentError
from shared.events import Event, without_url_queries
from shared.rules import templates
from shared.rules.clauses import Reason
from shared.rules.paths import timestamp
from shared.rules.rule import Rule

UNDECLARED = "this source is not declared"
REFUSED = f"{UNDECLARED}; the event would be refused"


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """What one rule makes of an event: `because` is None where it matches."""

    rule: Rule
    because: Reason | None

    def json(self, event: Event) -> dict[str, Any]:
        """Give it as plain data: the steps as they would be done, or what is against it."""
        if self.because is None:
            return {"name": self.rule.name, "matched": True, "steps": preview(self.rule.do, event)}
        return {"name": self.rule.name, "matched": False, "because": [self.because.json()]}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What every rule makes of an event, in the order of the file."""

    event: Event
    rules: tuple[RuleExplanation, ...]
    refused: str = ""
    """Why no rule is even asked, where that is so."""

    def json(self) -> dict[str, Any]:
        """Give it as plain data; `refused` is there only where it says something."""
        return {
            "event": describe(self.event),
            **({"refused": self.refused} if self.refused else {}),
            "rules": [explained.json(self.event) for explained in self.rules],
        }


def describe(event: Event) -> dict[str, Any]:
    """Give what rules can read of an event as plain data, without the secrets that URLs carry."""
    described: dict[str, Any] = without_url_queries(
        {
            "id": event.id,
            "source": event.source,
            "subject": event.subject,
            "type": event.type,
            "time": timestamp(event),
            "kinds": sorted(event.kinds),
            "data": event.data,
            "facts": event.facts,
        }
    )
    return described


def preview(steps: Iterable[Step], event: Event) -> list[dict[str, Any]]:
    """Fill steps' parameters from the event alone: what earlier steps will give stays a template."""
    harmless = replace(event, data=without_url_queries(event.data), facts=without_url_queries(event.facts))
    context = templates.context(harmless)
    return [_filled(step, context) for step in steps]


def _filled(step: Step, context: Mapping[str, Any]) -> dict[str, Any]:
    shown = {"id": step.id, "action": step.action, "params": step.params}
    try:
        return shown | {"params": templates.render(step.params, context)}
    except PermanentError as error:
        return shown | {"error": error.reason}
