"""What a filter can say and hardly means, and what is to be done about an operand that cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from yaml import Node, ScalarNode, SequenceNode

from shared.rules import templates
from shared.rules.clauses import Condition
from shared.rules.document import at
from shared.rules.filters import OPERATORS, SUBJECT_WORDS
from shared.rules.kinds import KINDS
from shared.rules.paths import Keys
from shared.rules.problems import shorten
from shared.rules.reading import Entries, Reading

MOST_FILTERS = 25
MOST_VALUES = 25
LONGEST_TEXT = 512
"""What Event Grid takes in one subscription: https://learn.microsoft.com/azure/event-grid/event-filtering#limitations."""

TEXTS_ONLY = {
    "data": frozenset({"modelTags", "modelProperties", "runTags", "runProperties", "serviceTags", "serviceProperties"}),
    "model": frozenset({"tags", "properties"}),
    "tagging": frozenset({"set", "removed", "before"}),
    "deployment": frozenset({"tags", "properties"}),
}
"""Mappings whose values Azure Machine Learning sends as texts, whatever they look like."""

ABOUT_TEXTS = frozenset(SUBJECT_WORDS) | {operator for operator in OPERATORS if operator.startswith("String")}
STATUS: frozenset[Keys] = frozenset({("run", "status"), ("data", "runStatus")})
MUST_HOLD = frozenset({"", "all"})
"""The words under which a condition must hold by itself."""
WILDCARD = re.compile(r"[*?]")
BY_PLACE = {(False, True): "BeginsWith", (True, False): "EndsWith", (True, True): "Contains"}
"""Whether a text begins and ends with a wildcard, to what should be asked instead."""

RUN = ("experiments", None, "runs", None)
DRIFT = (("datadrift", None, "run", None), ("datadrifts", None, "runs", None))
VISION = (("projects", None, "iterations", None),)
SUBJECTS: dict[str, tuple[tuple[str | None, ...], ...]] = {
    "ModelRegistered": (("models", None),),
    "ModelTagged": (("models", None),),
    "ModelDeployed": (("endpoints", None),),
    "RunCompleted": (RUN,),
    "RunStatusChanged": (RUN,),
    "RunFailed": (RUN,),
    "RunCanceled": (RUN,),
    "DatasetDriftDetected": DRIFT,
    "DriftDetected": (RUN, *DRIFT),
    "DriftRecovered": (RUN,),
    "ConnectionTested": VISION,
    "TrainingCompleted": VISION,
    "TrainingFailed": VISION,
    "ExportCompleted": VISION,
    "ExportFailed": VISION,
    "NotificationMissed": VISION,
    "ReplicaOutdated": (("projects", None),),
    "DeploymentNearExpiry": (("projects", None, "deployments", None), ("projects", None, "models", None)),
}
"""Kind to what its subjects look like, part by part between slashes; None is anything.

https://learn.microsoft.com/azure/event-grid/event-schema-machine-learning, and for Custom Vision what `parse` makes.
"""


@dataclass(frozen=True, slots=True)
class Written:
    """A condition, and where a file has its path, its operator and its operand."""

    condition: Condition
    key: Node
    operator: Node
    operand: Node
    under: str
    """The word it stands under: "any" or "not" at any height, else "all", else nothing."""


# -- a condition ------------------------------------------------------------------------------------------------------


def about_condition(reading: Reading, one: Written, kinds: frozenset[str]) -> None:
    """Point out what is doubtful about one condition."""
    operator, keys = one.condition.operator, one.condition.keys
    if operator in ABOUT_TEXTS:
        for place, text in _texts(one):
            _about_text(reading, one, place, text)
        if keys == ("subject",) and one.under != "not":
            _about_subject(reading, one, kinds)
    elif not _is_null(operator) and len(keys) > 2 and keys[1] in TEXTS_ONLY.get(keys[0], ()):
        answer = "it holds only where there is none" if operator == "NumberNotIn" else "it never matches"
        path = one.condition.path
        reading.warn(one.operator, f"{operator} under {path}: tags and properties are texts, so {answer}")


def about_subscription(reading: Reading, one: Written, kinds: frozenset[str]) -> None:
    """Say what of a condition works here, and could not be part of a subscription to these kinds."""
    keys = one.condition.keys
    for place, text in _texts(one) if one.condition.operator in ABOUT_TEXTS else ():
        if len(text) > LONGEST_TEXT:
            reading.warn(
                place,
                f"{shorten(text, 40)} works here; Event Grid would refuse a text of more than {LONGEST_TEXT} "
                f"characters, and this one has {len(text)}",
            )
    if any("." in key for key in keys) and any(KINDS[kind].family == "workspaces" for kind in kinds):
        reading.problems.append(
            at(one.key, f"{one.condition.path} works here; no subscription can filter on it: its key has a dot", "note")
        )


def _is_null(operator: str) -> bool:
    return operator in OPERATORS and OPERATORS[operator].is_about_null


def _texts(one: Written) -> Iterator[tuple[Node, str]]:
    wanted = one.condition.wanted
    if isinstance(wanted, str):
        yield one.operand, wanted
    elif isinstance(wanted, list) and isinstance(one.operand, SequenceNode):
        yield from ((place, text) for place, text in zip(one.operand.value, wanted, strict=False))


def _about_text(reading: Reading, one: Written, place: Node, text: str) -> None:
    operator = one.condition.operator
    if ("*" in text or "?" in text) and "://" not in text:
        word = BY_PLACE.get((text[0] in "*?", text[-1] in "*?"))
        bare = WILDCARD.sub("", text)
        instead = ""
        if word and bare and not WILDCARD.search(text.strip("*?")):
            prefix = "StringNot" if "Not" in operator else "String"
            instead = f": use {prefix}{word}: [{shorten(bare)}]"
            if operator in SUBJECT_WORDS:
                instead = f": write {shorten(bare)}" if operator.endswith(word) else ""
        reading.warn(place, f"{shorten(text)} is taken as it is written, there are no wildcards{instead}")


def _about_subject(reading: Reading, one: Written, kinds: frozenset[str]) -> None:
    """Warn of a subject, or the beginning of one, that no event of these kinds has."""
    if one.condition.operator not in {"StringIn", "StringBeginsWith", "subjectBeginsWith"}:
        return
    if not kinds or any(kind not in SUBJECTS for kind in kinds):
        return
    shapes = list(dict.fromkeys(shape for kind in sorted(kinds) for shape in SUBJECTS[kind]))
    for place, text in _texts(one):
        if not templates.is_open(text) and not any(_begins(text.lower().split("/"), shape) for shape in shapes):
            look = " or ".join("/".join(part or "…" for part in shape) for shape in shapes)
            reading.warn(place, f"no {' or '.join(sorted(kinds))} has a subject like {shorten(text)}: they are {look}")


def _begins(parts: Sequence[str], shape: Sequence[str | None]) -> bool:
    """Tell whether a subject of this shape can begin with these parts, of which the last may be cut off."""
    if len(parts) > len(shape):
        return False
    *whole, last = parts
    return all(wanted in {None, part} for part, wanted in zip(whole, shape, strict=False)) and (
        shape[len(whole)] is None or str(shape[len(whole)]).startswith(last)
    )


# -- a rule -----------------------------------------------------------------------------------------------------------


def about_rule(reading: Reading, keys: Entries, kinds: frozenset[str], written: Sequence[Written]) -> None:
    """Point out what is doubtful about the whole filter of a rule."""
    if "RunStatusChanged" in kinds and not any(one.condition.keys in STATUS for one in written):
        reading.warn(
            keys["on"][1],
            "RunStatusChanged without a condition on run.status: a run announces each of its statuses, "
            "and this rule answers every one",
        )
    pushed = [
        one.condition for one in written if one.under in MUST_HOLD and one.condition.operator not in SUBJECT_WORDS
    ]
    values = sum(_values(condition) for condition in pushed)
    for what, number, most in (("filters", len(pushed), MOST_FILTERS), ("values", values, MOST_VALUES)):
        if number > most:
            reading.warn(
                keys["where"][0],
                f"{number} {what} work here; Event Grid would refuse more than {most} in one subscription",
            )


def _values(condition: Condition) -> int:
    if _is_null(condition.operator):
        return 0
    return len(condition.wanted) if isinstance(condition.wanted, list) else 1


# -- an operand that cannot be read -----------------------------------------------------------------------------------


def refuse_operand(reading: Reading, operator: str, node: Node, wanted: Any) -> None:
    """Say what an operator wants, at what it cannot take, and how that should have been written."""
    wants = OPERATORS[operator].wants
    items = node.value if isinstance(node, SequenceNode) else []
    if isinstance(wanted, list) and not wanted:
        reading.error(node, f"{operator} wants {wants}, not []: an empty list asks for nothing")
    elif operator.startswith("String"):
        wrong = [
            item
            for item, value in zip(items, wanted if isinstance(wanted, list) else [], strict=False)
            if not isinstance(value, str)
        ]
        for item in wrong:
            quote = f': quote it, "{item.value}"' if isinstance(item, ScalarNode) else ""
            reading.error(item, f"{operator} wants texts, not {_raw(item, reading)}{quote}")
        if not wrong:
            text = f': write ["{node.value}"]' if isinstance(node, ScalarNode) and node.value else ""
            reading.error(node, f"{operator} wants {wants}, not {_raw(node, reading)}{text}")
    elif "Range" in operator:
        turned = [value for value in wanted if _is_turned(value)] if isinstance(wanted, list) else []
        why = f": {shorten(turned[0])} has its low end last" if turned else ""
        reading.error(node, f"{operator} wants {wants}, not {shorten(wanted)}{why}")
    else:
        reading.error(node, f"{operator} wants {wants}, not {shorten(wanted)}{_as_number(operator, wanted)}")


def _raw(node: Node, reading: Reading) -> str:
    """Show a value as the file has it: 1.10 is not 1.1 to whoever wrote it."""
    value = reading.value(node)
    return str(node.value) if isinstance(node, ScalarNode) and not isinstance(value, str) else shorten(value)


def _is_turned(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(end) in {int, float} for end in value)


def _as_number(operator: str, wanted: Any) -> str:
    """Suggest the brackets or the bare number that a Number operator is missing."""
    wants_list = operator in {"NumberIn", "NumberNotIn"}
    if wants_list and type(wanted) in {int, float}:
        return f": write [{wanted}]"
    only = wanted[0] if isinstance(wanted, list) and len(wanted) == 1 else wanted
    if operator.startswith("Number") and not wants_list and type(only) in {int, float}:
        return f": write {only}"
    texts = [text for text in (wanted if isinstance(wanted, list) else [wanted]) if isinstance(text, str)]
    if operator.startswith("Number") and any(templates.setting_names(text) for text in texts):
        return ": a setting is always a text"
    return ": leave the quotes out" if operator.startswith("Number") and texts else ""
