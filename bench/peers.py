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
    """Write a rule as conditions on the wire; `by_hand` in the order that is fastest."""
    kind = [*KINDS[rule.on], ("topic", "StringIn", [WORKSPACE])]
    where = [
        _on_the_wire(path, operator, operand)
        for path, operators in rule.where.items()
        for operator, operand in operators.items()
    ]
    ordered = [kind[0], *where, *kind[1:]] if by_hand else [*kind, *where]
    return [_simplest(*term) for term in ordered]


def _on_the_wire(path: str, operator: str, operand: Any) -> Term:
    """Ask for the wire's own field; a signal's name stands inside the text of its tag."""
    if path != "drift.signal":
        return WIRE.get(path, path), operator, operand
    before, after = ("", "'") if operator == "StringEndsWith" else ("'", "' has failed")
    return BREACH, "StringContains", [f"{before}{text}{after}" for text in operand]


def _simplest(path: str, operator: str, operand: Any) -> Term:
    """Put texts in lower case, and take the only text of a list out of it, as one would write it by hand."""
    if not isinstance(operand, list):
        return path, operator, operand
    texts = [text.lower() for text in operand]
    if operator == "StringNotIn" or len(texts) > 1:
        return path, operator, texts
    return path, "StringIs" if operator == "StringIn" else operator, texts[0]


def _read(body: str) -> Any:
    message = json.loads(body)
    return message[0] if isinstance(message, list) else message


# -- c7n: https://cloudcustodian.io/docs/filters.html#value-filter ----------------------------------------------------


def _value(key: str, value: Any, op: str = "eq", **more: str) -> dict[str, Any]:
    return {"type": "value", "key": key, "op": op, "value": value, **more}


def _normal(key: str, value: Any, op: str) -> dict[str, Any]:
    return _value(key, value, op, value_type="normalize")


C7N: Mapping[str, Callable[[str, Any], dict[str, Any]]] = {
    "StringIs": lambda path, text: _normal(path, text, "eq"),
    "StringIn": lambda path, texts: _normal(path, texts, "in"),
    "StringNotIn": lambda path, texts: _normal(path, texts, "not-in"),
    "StringContains": lambda path, text: _normal(path, text, "contains"),
    "StringBeginsWith": lambda path, text: _value(path, f"{text}*", "glob"),
    "StringEndsWith": lambda path, text: _value(path, f"*{text}", "glob"),
    "NumberGreaterThan": lambda path, limit: _value(path, limit, "gt"),
    "IsNotNull": lambda path, _: {"type": "value", "key": path, "value": "present"},
    "IsNullOrUndefined": lambda path, _: {"type": "value", "key": path, "value": "absent"},
}


def c7n(rules: Rules) -> Match:
    """Use Cloud Custodian's value filters, each rule a list of them."""
    from c7n.filters.core import ValueFilter  # each peer is loaded alone

    filters = [
        (name, [ValueFilter(C7N[word](path, operand)).validate() for path, word, operand in conditions])
        for name, conditions in rules
    ]

    def match(body: str) -> list[str]:
        event = _read(body)
        return [name for name, wanted in filters if all(one.match(event) for one in wanted)]

    return match


# -- json-logic: https://jsonlogic.com --------------------------------------------------------------------------------


def _var(path: str) -> dict[str, Any]:
    return {"var": [path]}


def _lower(path: str) -> dict[str, Any]:
    return {"lower": [_var(path)]}


JSON_LOGIC: Mapping[str, Callable[[str, Any], dict[str, Any]]] = {
    "StringIs": lambda path, text: {"===": [_lower(path), text]},
    "StringIn": lambda path, texts: {"in": [_lower(path), texts]},
    "StringNotIn": lambda path, texts: {"!": [{"in": [_lower(path), texts]}]},
    "StringContains": lambda path, text: {"in": [text, _lower(path)]},
    "StringBeginsWith": lambda path, text: {"===": [{"substr": [_lower(path), 0, len(text)]}, text]},
    "StringEndsWith": lambda path, text: {"===": [{"substr": [_lower(path), -len(text)]}, text]},
    "NumberGreaterThan": lambda path, limit: {">": [_var(path), limit]},
    "IsNotNull": lambda path, _: {"!==": [_var(path), None]},
    "IsNullOrUndefined": lambda path, _: {"===": [_var(path), None]},
}


def json_logic(rules: Rules) -> Match:
    """Use JsonLogic with an operation of its own for lower case, which the library has a function to add."""
    from json_logic import add_operation, jsonLogic  # the same

    add_operation("lower", lambda value: value.lower() if isinstance(value, str) else "")
    logic = [
        (name, {"and": [JSON_LOGIC[word](path, operand) for path, word, operand in conditions]})
        for name, conditions in rules
    ]

    def match(body: str) -> list[str]:
        event = _read(body)
        return [name for name, wanted in logic if jsonLogic(wanted, event)]

    return match


# -- rule-engine: https://zerosteiner.github.io/rule-engine/ ----------------------------------------------------------


RULE_ENGINE: Mapping[str, Callable[[str, Any], str]] = {
    "StringIs": lambda path, text: f"{path}&.as_lower == {json.dumps(text)}",
    "StringIn": lambda path, texts: f"{path}&.as_lower in {json.dumps(texts)}",
    "StringNotIn": lambda path, texts: f"not {path}&.as_lower in {json.dumps(texts)}",
    "StringContains": lambda path, text: f"{path} =~~ {json.dumps(text)}",
    "StringBeginsWith": lambda path, text: f"{path} =~ {json.dumps(text)}",
    "StringEndsWith": lambda path, text: f"{path} =~~ {json.dumps(text + '$')}",
    "NumberGreaterThan": lambda path, limit: f"({path} != null and {path} > {limit})",
    "IsNotNull": lambda path, _: f"{path} != null",
    "IsNullOrUndefined": lambda path, _: f"{path} == null",
}


def rule_engine(rules: Rules) -> Match:
    """Use rule-engine, every rule parsed once; a missing field is null, and regular expressions ignore case."""
    import re  # the same

    from rule_engine import Context, Rule, resolve_item  # the same

    context = Context(resolver=resolve_item, default_value=None, regex_flags=re.IGNORECASE)
    expressions = [
        (
            name,
            Rule(" and ".join(RULE_ENGINE[word](path, operand) for path, word, operand in conditions), context=context),
        )
        for name, conditions in rules
    ]

    def match(body: str) -> list[str]:
        event = _read(body)
        return [name for name, wanted in expressions if wanted.matches(event)]

    return match


# -- cel-python: https://cloud-custodian.github.io/cel-python/ --------------------------------------------------------


def _has(path: str) -> str:
    return f"has({path}) && " if "." in path else ""


CEL: Mapping[str, Callable[[str, Any], str]] = {
    "StringIs": lambda path, text: f"{_has(path)}lower({path}) == {json.dumps(text)}",
    "StringIn": lambda path, texts: f"{_has(path)}lower({path}) in {json.dumps(texts)}",
    "StringNotIn": lambda path, texts: f"!({_has(path)}lower({path}) in {json.dumps(texts)})",
    "StringContains": lambda path, text: f"{_has(path)}lower({path}).contains({json.dumps(text)})",
    "StringBeginsWith": lambda path, text: f"{_has(path)}lower({path}).startsWith({json.dumps(text)})",
    "StringEndsWith": lambda path, text: f"{_has(path)}lower({path}).endsWith({json.dumps(text)})",
    "NumberGreaterThan": lambda path, limit: f"{_has(path)}{path} > {limit}",
    "IsNotNull": lambda path, _: f"has({path})",
    "IsNullOrUndefined": lambda path, _: f"!has({path})",
}


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
                environment.compile(" && ".join(CEL[word](path, operand) for path, word, operand in conditions)),
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
