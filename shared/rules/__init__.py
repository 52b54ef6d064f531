"""The rules: from the text of `rules.yaml` to what answers an event, and why.

`load` reads the file (`document` the YAML, `declared` the services, `kinds` and `paths` what an event has),
`match` finds the rules that answer an event and explains the others, by the operators of `filters`,
`templates` fills a step's parameters.
All of it is pure: no client, no clock, no environment, no file.
"""

from shared.rules.declared import Declared, Names, Resource, VisionProject
from shared.rules.explanation import Explanation, Reason, Verdict
from shared.rules.load import load
from shared.rules.match import Rules
from shared.rules.problems import Problem, RulesError
from shared.rules.rule import Condition, Mode, Rule

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
    "Rules",
    "RulesError",
    "Verdict",
    "VisionProject",
    "load",
]
