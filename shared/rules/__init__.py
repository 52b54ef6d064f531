"""The rules: from the text of `rules.yaml` to what answers an event, and why.

`load` reads the file (`document` the YAML, `reading` with its problems, `sections` what is declared, `where` a filter,
`steps` what is to be done), by what `kinds` and `paths` say an event has.
`match` finds the rules that answer an event (by their `index`) and explains the others: a filter is a tree of `clauses`
over the operators of `filters`.
`templates` fills a step's parameters, within the bounds of `sandbox`.
All of it is pure: no client, no clock, no environment, no file.

What is named here is imported when it is first used: a cold start has not read its rules yet.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.rules.clauses import Condition, Reason
    from shared.rules.declared import Declared, Names, Resource, VisionProject
    from shared.rules.explanation import Explanation, RuleExplanation
    from shared.rules.loading import load
    from shared.rules.match import Rules
    from shared.rules.problems import Problem, RulesError
    from shared.rules.rule import Mode, Rule

HOMES = {
    "clauses": ("Condition", "Reason"),
    "declared": ("Declared", "Names", "Resource", "VisionProject"),
    "explanation": ("Explanation", "RuleExplanation"),
    "loading": ("load",),
    "match": ("Rules",),
    "problems": ("Problem", "RulesError"),
    "rule": ("Mode", "Rule"),
}

__all__ = [
    "Condition",
    "Declared",
    "Explanation",
    "Mode",
    "Names",
    "Problem",
    "Reason",
    "Resource",
    "Rule",
    "RuleExplanation",
    "Rules",
    "RulesError",
    "VisionProject",
    "load",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for from where it lives."""
    for home, names in HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"shared.rules.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
