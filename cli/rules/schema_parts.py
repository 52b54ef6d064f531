"""The parts of the schema of a rules file: sections, conditions, limits, steps, each from the model that checks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cli.rules import catalogue, language
from cli.rules.catalogue import plain
from cli.rules.schema_models import ID, NAME, NUMERIC, OPEN, TEXT, YES_OR_NO, Json, described, of_model
from shared.handlers import ACTIONS
from shared.policy import CancelOn, Expectation, Limit
from shared.rules.declared import Declared
from shared.rules.filters import OPERATORS, SUBJECT_WORDS
from shared.rules.kinds import KINDS
from shared.rules.loading import MODES
from shared.rules.parameters import parameters
from shared.rules.where import ALL, ANY, NOT, SWITCHES

# -- what is declared -------------------------------------------------------------------------------------------------


def section_schemas() -> Json:
    """Make the schema of each section; one that is there and empty is fine."""
    properties: Json = of_model(Declared)["properties"]
    return {name: section | {"type": ["object", "null"]} for name, section in properties.items()}


def _declared() -> Json:
    """Make the schemas of what sections hold."""
    models: Json = of_model(Declared)["$defs"]
    made = {name: described(model, language.DECLARED[name]) for name, model in models.items()}
    for model in made.values():
        kind = model["properties"].get("kind", {})
        if "const" in kind:
            kind["description"] = plain(language.CHANNELS[kind["const"]])
    return made


# -- a rule -----------------------------------------------------------------------------------------------------------


def _kind() -> Json:
    """Make the list of kinds, each with what it tells."""
    words = []
    for kind in KINDS:
        about = catalogue.KINDS[kind]
        words.append(f"{plain(about.when)} Announced by {about.by}.")
    return {"type": "string", "enum": list(KINDS), "enumDescriptions": words}


def one_or_several(item: Json) -> Json:
    """Take one, or a list of at least one."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


def _rule() -> Json:
    kinds = one_or_several({"$ref": "#/$defs/kind"})
    steps = {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1}
    cancel_on = described(of_model(CancelOn), {})
    cancel_on["properties"]["on"] |= kinds
    expect = described(of_model(Expectation), {})
    expect["properties"]["kind"] |= {"$ref": "#/$defs/kind"}
    properties: Json = {
        "name": NAME,
        "on": kinds,
        "from": one_or_several(TEXT),
        "where": {"$ref": "#/$defs/where"},
        "limit": _without_null(of_model(Limit)),
        "cancel_on": {"anyOf": [*kinds["anyOf"], cancel_on]},
        "expect": expect,
        "mode": {"enum": list(MODES)},
        "do": steps,
        "on_failure": steps,
    }
    rule = {
        "type": "object",
        "description": "What is wanted done about which events.",
        "properties": properties,
        "required": ["name", "on"],
        "anyOf": [{"required": ["do"]}, {"required": ["expect"]}],
        "additionalProperties": False,
    }
    return described(rule, language.RULE)


def _without_null(schema: Json) -> Json:
    """Take out that a key may be null: it is left out instead."""
    properties: Json = {}
    for name, one in schema["properties"].items():
        rest = [branch for branch in one.get("anyOf", ()) if branch != {"type": "null"}]
        said = {word: value for word, value in one.items() if word != "anyOf"}
        properties[name] = said | rest[0] if len(rest) == 1 else one
    return schema | {"properties": properties}


# -- conditions -------------------------------------------------------------------------------------------------------


def _list_of(item: Json) -> Json:
    return {"type": "array", "items": item, "minItems": 1}


OPERANDS: tuple[tuple[Any, Json], ...] = (
    (["a"], _list_of({"type": "string"})),
    ([1], _list_of({"type": "number"})),
    ([[0, 1]], _list_of({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2})),
    ("a", {"type": "string"}),
    (1, {"type": "number"}),
    (False, {"type": "boolean"}),
    (True, {"const": True}),
)
"""What an operand may look like: one of each shape, and the schema of that shape."""


def _operand(accepts: Callable[[Any], bool]) -> Json:
    """Find out which shapes an operator takes, by asking it."""
    shapes = [schema for example, schema in OPERANDS if accepts(example)]
    if {"type": "boolean"} in shapes:
        shapes.remove({"const": True})
    return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


def _conditions() -> Json:
    """Make the schema of a rule's `where`, and of a gate's, whose operands may also be filled in later."""
    operators = {
        name: _operand(operator.accepts)
        | {"description": plain(f"holds where the value {language.OPERATORS[name].holds}: {operator.wants}")}
        for name, operator in OPERATORS.items()
    }
    filled_later = {name: later(operand, numbers=False) for name, operand in operators.items()}
    return _filter("where", "conditions", "operators", operators) | _filter(
        "gateWhere", "gateConditions", "gateOperators", filled_later
    )


def _filter(top: str, nested: str, under: str, operators: Json) -> Json:
    inner, one = {"$ref": f"#/$defs/{nested}"}, {"$ref": f"#/$defs/{under}"}
    combined: Json = {word: {"type": "array", "items": inner} for word in (ALL, ANY)} | {NOT: inner}
    texts: Json = {word: {"type": "string"} for word in SUBJECT_WORDS}
    switches: Json = {word: {"type": "boolean", "default": default} for word, default in SWITCHES.items()}
    paths = {path: one | {"description": plain(about.what)} for path, about in catalogue.FIELDS.items()}
    said = language.COMBINED | language.SUBJECT
    whole: Json = {"type": "object", "additionalProperties": one}
    return {
        under: {"type": "object", "properties": operators, "additionalProperties": False},
        top: described(whole | {"properties": combined | texts | switches | paths}, said),
        nested: described(whole | {"properties": combined | paths}, said),
    }


# -- steps ------------------------------------------------------------------------------------------------------------

GATE = "gate"
"""The one step that has a filter among its parameters."""


def step_schemas() -> Iterator[tuple[str, Json, bool]]:
    """Make the schema of each action's parameters, and tell whether it can do without any."""
    for action, target in ACTIONS.items():
        model = parameters(target).model
        schema = of_model(model)
        as_text = bool(model.model_config.get("coerce_numbers_to_str"))
        given = {name: later(one, numbers=as_text) for name, one in schema.get("properties", {}).items()}
        inner = {name: later(one, numbers=as_text) for name, one in schema.get("$defs", {}).items()}
        if action == GATE:
            given["where"] = {"$ref": "#/$defs/gateWhere", "description": given["where"].get("description", "")}
        properties = {"id": ID | {"description": plain(language.STEP_ID)}} | given
        yield (
            action,
            schema | {"properties": properties} | ({"$defs": inner} if inner else {}),
            not (schema.get("required") or schema.get("anyOf")),
        )


def later(schema: Json, *, numbers: bool) -> Json:
    """Let a text with a template or a setting stand in any place; what it becomes is checked when the step begins."""
    said = {name: schema[name] for name in ("description", "default") if name in schema}
    inner = {name: value for name, value in schema.items() if name not in said}
    type_ = inner.get("type")
    if "anyOf" in inner:
        branches = [later(one, numbers=numbers) for one in inner["anyOf"]]
        flat = [each for one in branches for each in one.get("anyOf", [one])]
        return said | {"anyOf": [one for at, one in enumerate(flat) if one not in flat[:at]]}
    if not inner or inner == {"type": "string"}:
        return said | ({"type": ["string", "number"]} if inner and numbers else inner)
    for name in ("items", "additionalProperties"):
        if isinstance(inner.get(name), dict):
            inner[name] = later(inner[name], numbers=numbers)
    if "properties" in inner:
        inner["properties"] = {name: later(one, numbers=numbers) for name, one in inner["properties"].items()}
    others = {"integer": [NUMERIC], "number": [NUMERIC], "boolean": [YES_OR_NO]}.get(str(type_), [])
    if type_ == "string" and numbers and "enum" not in inner:
        others = [{"type": "number"}]
    return said | {"anyOf": [inner, *others, OPEN]}


def _steps() -> Json:
    """Make the schema of a step, and of what its parameters refer to."""
    made = list(step_schemas())
    inner = {name: one for _, schema, _ in made for name, one in schema.pop("$defs", {}).items()}
    one: Json = {
        "type": "object",
        "properties": {
            action: schema | ({"type": ["object", "null"]} if is_bare else {}) for action, schema, is_bare in made
        },
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }
    bare = [action for action, _, is_bare in made if is_bare]
    said = [schema.get("description", "") for _, schema, is_bare in made if is_bare]
    words = {"type": "string", "enum": bare, "enumDescriptions": said}
    return inner | {"step": {"description": "One action, with its parameters.", "anyOf": [one, words]}}


def definitions() -> Json:
    """Make everything that the schema refers to."""
    made = {"rule": _rule(), "kind": _kind(), **_conditions()}
    return made | _steps() | _declared()
