"""The same rules in the languages of other rule engines, each written as its own documentation advises.

Every peer gets the body as it comes, reads it with `json.loads`, and says which rules match; its rules are compiled,
or at least built, beforehand. Texts are compared ignoring case, as Event Grid does.
A rule's conditions stand in the order in which a rules file has them: kind, source, `where`. A peer stops at the first
that does not hold, so whoever writes rules for it can put the rarest first; `by_hand` does that.
What only our parser knows (the other envelope, other casings, parking what is malformed) the peers need not do.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from bench.samples import WORKSPACE, SampleRule

Match = Callable[[str], list[str]]
"""From a body to the names of the rules that match."""
Term = tuple[str, str, Any]
"""One condition on the wire: path, operator, operand."""
Rules = list[tuple[str, list[Term]]]
"""The rules as a peer gets them: name and conditions."""

SERVICE = "microsoft.machinelearningservices."
BREACH = "data.runTags.azureml_modelmonitor_threshold_breached"

KINDS: Mapping[str, tuple[Term, ...]] = {
    "ModelRegistered": (("eventType", "StringIn", [f"{SERVICE}modelregistered"]),),
    "ModelDeployed": (("eventType", "StringIn", [f"{SERVICE}modeldeployed"]),),
    "RunCompleted": (("eventType", "StringIn", [f"{SERVICE}runcompleted"]),),
    "RunStatusChanged": (("eventType", "StringIn", [f"{SERVICE}runstatuschanged"]),),
    "RunFailed": (
        ("eventType", "StringIn", [f"{SERVICE}runstatuschanged"]),
        ("data.runStatus", "StringIn", ["failed"]),
        (BREACH, "IsNullOrUndefined", True),
    ),
    "DriftDetected": (
        ("eventType", "StringIn", [f"{SERVICE}runstatuschanged"]),
        ("data.runStatus", "StringIn", ["failed"]),
        (BREACH, "IsNotNull", True),
    ),
}
"""What makes an event of that kind, on the wire."""

WIRE = {
    "model.name": "data.modelName",
    "run.experiment": "data.experimentName",
    "run.status": "data.runStatus",
    "run.id": "data.runId",
    "deployment.service": "data.serviceName",
}
"""Where a derived fact lies on the wire."""


def terms(rule: SampleRule, *, by_hand: bool = False) -> list[Term]:
    """Write a rule as conditions on the wire, texts in lower case; `by_hand` in the order that is fastest."""
    kind = [*KINDS[rule.on], ("topic", "StringIn", [WORKSPACE.lower()])]
    where = _where(rule)
    return [kind[0], *where, *kind[1:]] if by_hand else [*kind, *where]


def _where(rule: SampleRule) -> list[Term]:
    found: list[Term] = []
    for path, operators in rule.where.items():
        for operator, operand in operators.items():
            if path == "drift.signal":
                end = "'" if operator == "StringEndsWith" else "' has failed"
                start = "" if operator == "StringEndsWith" else "'"
                found += [(BREACH, "StringContains", [f"{start}{text}{end}".lower() for text in operand])]
            elif isinstance(operand, list):
                found += [(WIRE.get(path, path), operator, [text.lower() for text in operand])]
            else:
                found += [(WIRE.get(path, path), operator, operand)]
    return found


def _read(body: str) -> Any:
    message = json.loads(body)
    return message[0] if isinstance(message, list) else message


# -- c7n: https://cloudcustodian.io/docs/filters.html#value-filter ----------------------------------------------------


def _c7n_filter(path: str, operator: str, operand: Any) -> dict[str, Any]:
    normalized = {"type": "value", "key": path, "value_type": "normalize"}
    match operator:
        case "StringIn" if len(operand) == 1:
            return normalized | {"op": "eq", "value": operand[0]}
        case "StringIn":
            return normalized | {"op": "in", "value": operand}
        case "StringNotIn":
            return normalized | {"op": "not-in", "value": operand}
        case "StringContains":
            return normalized | {"op": "contains", "value": operand[0]}
        case "StringBeginsWith":
            return {"type": "value", "key": path, "op": "glob", "value": f"{operand[0]}*"}
        case "StringEndsWith":
            return {"type": "value", "key": path, "op": "glob", "value": f"*{operand[0]}"}
        case "NumberGreaterThan":
            return {"type": "value", "key": path, "op": "gt", "value": operand}
        case _:
            return {"type": "value", "key": path, "value": {"IsNotNull": "present"}.get(operator, "absent")}


def c7n(rules: Rules) -> Match:
    """Use Cloud Custodian's value filters, each rule a list of them."""
    from c7n.filters.core import ValueFilter  # each peer is loaded alone

    filters = [(name, [ValueFilter(_c7n_filter(*term)).validate() for term in conditions]) for name, conditions in rules]

    def match(body: str) -> list[str]:
        event = _read(body)
        return [name for name, wanted in filters if all(one.match(event) for one in wanted)]

    return match


# -- json-logic: https://jsonlogic.com --------------------------------------------------------------------------------


def _json_logic_condition(path: str, operator: str, operand: Any) -> dict[str, Any]:
    value = {"var": [path]}
    lower = {"lower": [value]}
    match operator:
        case "StringIn" if len(operand) == 1:
            return {"===": [lower, operand[0]]}
        case "StringIn":
            return {"in": [lower, operand]}
        case "StringNotIn":
            return {"!": [{"in": [lower, operand]}]}
        case "StringContains":
            return {"in": [operand[0], lower]}
        case "StringBeginsWith":
            return {"===": [{"substr": [lower, 0, len(operand[0])]}, operand[0]]}
        case "StringEndsWith":
            return {"===": [{"substr": [lower, -len(operand[0])]}, operand[0]]}
        case "NumberGreaterThan":
            return {">": [value, operand]}
        case _:
            return {"!==" if operator == "IsNotNull" else "===": [value, None]}


def json_logic(rules: Rules) -> Match:
    """Use JsonLogic with an operation of its own for lower case, which the library has a function to add."""
    from json_logic import add_operation, jsonLogic  # the same

    add_operation("lower", lambda value: value.lower() if isinstance(value, str) else "")
    logic = [(name, {"and": [_json_logic_condition(*term) for term in conditions]}) for name, conditions in rules]

    def match(body: str) -> list[str]:
        event = _read(body)
        return [name for name, wanted in logic if jsonLogic(wanted, event)]

    return match


# -- rule-engine: https://zerosteiner.github.io/rule-engine/ ----------------------------------------------------------


def _rule_engine_expression(path: str, operator: str, operand: Any) -> str:
    match operator:
        case "StringIn" if len(operand) == 1:
            return f"{path}&.as_lower == {json.dumps(operand[0])}"
        case "StringIn":
            return f"{path}&.as_lower in {json.dumps(operand)}"
        case "StringNotIn":
            return f"not {path}&.as_lower in {json.dumps(operand)}"
        case "StringContains":
            return f"{path} =~~ {json.dumps(operand[0])}"
        case "StringBeginsWith":
            return f"{path} =~ {json.dumps(operand[0])}"
        case "StringEndsWith":
            return f"{path} =~~ {json.dumps(operand[0] + '$')}"
        case "NumberGreaterThan":
            return f"({path} != null and {path} > {operand})"
        case _:
            return f"{path} {'!=' if operator == 'IsNotNull' else '=='} null"


def rule_engine(rules: Rules) -> Match:
    """Use rule-engine, every rule parsed once; a missing field is null, and regular expressions ignore case."""
    import re  # the same

    from rule_engine import Context, Rule, resolve_item  # the same

    context = Context(resolver=resolve_item, default_value=None, regex_flags=re.IGNORECASE)
    expressions = [
        (name, Rule(" and ".join(_rule_engine_expression(*term) for term in conditions), context=context))
        for name, conditions in rules
    ]

    def match(body: str) -> list[str]:
        event = _read(body)
        return [name for name, wanted in expressions if wanted.matches(event)]

    return match


# -- cel-python: https://cloud-custodian.github.io/cel-python/ --------------------------------------------------------


def _cel_expression(path: str, operator: str, operand: Any) -> str:
    has = f"has({path}) && " if "." in path else ""
    match operator:
        case "StringIn" if len(operand) == 1:
            return f"{has}lower({path}) == {json.dumps(operand[0])}"
        case "StringIn":
            return f"{has}lower({path}) in {json.dumps(operand)}"
        case "StringNotIn":
            return f"!({has}lower({path}) in {json.dumps(operand)})"
        case "StringContains":
            return f"{has}lower({path}).contains({json.dumps(operand[0])})"
        case "StringBeginsWith":
            return f"{has}lower({path}).startsWith({json.dumps(operand[0])})"
        case "StringEndsWith":
            return f"{has}lower({path}).endsWith({json.dumps(operand[0])})"
        case "NumberGreaterThan":
            return f"{has}{path} > {operand}"
        case _:
            return f"has({path})" if operator == "IsNotNull" else f"!has({path})"


def cel_python(rules: Rules) -> Match:
    """Use cel-python with its default runner, every expression a program made once.

    Its other runner, which writes Python, takes a field that `has()` finds missing for an error.
    """
    from celpy import Environment, json_to_cel  # the same
    from celpy.celtypes import StringType  # the same

    def lower(text: str) -> Any:
        return StringType(text.lower())

    environment = Environment()
    programs = [
        (
            name,
            environment.program(
                environment.compile(" && ".join(_cel_expression(*term) for term in conditions)),
                functions={"lower": lower},
            ),
        )
        for name, conditions in rules
    ]

    def match(body: str) -> list[str]:
        event = json_to_cel(_read(body))
        return [name for name, wanted in programs if wanted.evaluate(event)]

    return match


PEERS: Mapping[str, Callable[[Rules], Match]] = {
    "c7n": c7n,
    "json-logic": json_logic,
    "rule-engine": rule_engine,
    "cel-python": cel_python,
}
