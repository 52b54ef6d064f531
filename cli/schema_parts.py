"""The parts of the schema of a rules file: sections, conditions, limits, steps, each from the model that checks it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from cli import catalogue, language
from cli.catalogue import plain
from shared.handlers import ACTIONS
from shared.policy import CancelOn, Expectation, Limit
from shared.rules.declared import GUID, Declared, Https, StorageUrl, VisionProject
from shared.rules.filters import OPERATORS
from shared.rules.kinds import ENVELOPE, KINDS, NAMESPACES, RESERVED
from shared.rules.loading import MODES
from shared.rules.steps import parameters

Json = dict[str, Any]

# -- texts ------------------------------------------------------------------------------------------------------------

TEXT: Json = {"type": "string", "minLength": 1}
SETTING = r"\$\{[A-Za-z_]"
"""In a text that is known only when it is used."""
OPEN: Json = {"type": "string", "pattern": rf"\{{\{{|\{{%|{SETTING}"}
"""The same where templates may stand too."""
NUMERIC: Json = {"type": "string", "pattern": r"^\s*[-+]?[0-9][0-9_]*(\.[0-9]*)?([eE][-+]?[0-9]+)?\s*$"}
"""A number in quotes, which the models take as well."""
YES_OR_NO: Json = {"type": "string", "pattern": "^([01]|[tT]|[fF]|[yY]|[nN]|[oO][nN]|[oO][fF][fF]|[A-Za-z]{2,5})$"}
ID: Json = {"type": "string", "pattern": r"^[^\s!-/:-@\[-^`{-~][^\s!-,/:-@\[-^`{-~]*$", "maxLength": 64}
NAME: Json = {"type": "string", "pattern": r"^[^\s!-/:-@\[-^`{-~][^\t\n\r!-,/:-@\[-^`{-~]*$", "maxLength": 80}
"""What is no letter is listed, because dialects of patterns do not agree on what one is in other alphabets."""

URLS: Mapping[Any, tuple[str, str]] = {
    get_args(Https)[1].func: (r"^(?![hH][tT][tT][pP]:)", "must be https"),
    get_args(StorageUrl)[1].func: (
        r"^(?![hH][tT][tT][pP]:)|^[hH][tT][tT][pP]://([^/?#]*@)?(127\.0\.0\.1|[lL][oO][cC][aA][lL][hH][oO][sS][tT])([:/?#]|$)",
        "must be https",
    ),
}
"""Validators of texts to a pattern that says the same, and to what is wrong where it does not fit."""
IDS: Mapping[Any, tuple[str, str]] = {
    VisionProject.model_fields["project"].metadata[0].func: (
        "^" + GUID.pattern.replace(r"\Z", "$"),
        "must be a project's id, such as 00000000-0000-0000-0000-000000000000",
    )
}


class Generator(GenerateJsonSchema):
    """Pydantic's own generator, which also knows what the validators of texts want, and that a setting satisfies all."""

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> Json:
        """Add the pattern that a validator stands for."""
        inner, function = super().function_after_schema(schema), schema["function"]["function"]
        known = URLS.get(function) or IDS.get(function) or _closed_over(function)
        if known is None:
            return inner
        pattern, message = known
        return inner | {"pattern": f"{pattern}|{SETTING}", "patternErrorMessage": message}


def _closed_over(function: Callable[..., Any]) -> tuple[str, str] | None:
    """Take the pattern of `ArmId(…)`, which holds it."""
    pattern = inspect.getclosurevars(function).nonlocals.get("pattern")
    if not isinstance(pattern, re.Pattern):
        return None
    shown = pattern.pattern.replace("[^/]+", "…").replace(r"\Z", "")
    return "^" + _in_any_case(pattern.pattern), f"must be an ARM id, such as {shown}"


def _in_any_case(pattern: str) -> str:
    """Write a pattern that ignores case as one that needs no flag for it."""
    pieces = re.findall(r"\[[^\]]*\]|\\.|.", pattern)
    spelt = [f"[{piece.lower()}{piece.upper()}]" if piece.isalpha() else piece for piece in pieces]
    return "".join(spelt).replace(r"\Z", "$")


# -- models -----------------------------------------------------------------------------------------------------------


def of_model(model: type[BaseModel]) -> Json:
    """Make the schema of a model: no titles of pydantic's making, and no default that is null."""
    schema: Json = _tidied(model.model_json_schema(schema_generator=Generator))
    return schema


def _tidied(schema: Any, inside: str = "") -> Any:
    if isinstance(schema, list):
        return [_tidied(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if inside in {"properties", "$defs"}:
        return {name: _tidied(item) for name, item in schema.items()}
    dropped = {"title", "discriminator"} | ({"default"} if schema.get("default", 0) in (None, [], {}, ()) else set())
    return {name: _tidied(item, name) for name, item in schema.items() if name not in dropped}


def described(schema: Json, words: Mapping[str, str]) -> Json:
    """Give the properties of an object their descriptions."""
    properties = {
        name: one | ({"description": plain(words[name])} if name in words else {})
        for name, one in schema.get("properties", {}).items()
    }
    return schema | {"properties": properties}


def section_schemas() -> Json:
    """Make the schema of each section; one that is there and empty is fine."""
    properties: Json = of_model(Declared)["properties"]
    return {name: section | {"type": ["object", "null"]} for name, section in properties.items()}


def _declared() -> Json:
    """Make the schemas of what sections hold."""
    models: Json = of_model(Declared)["$defs"]
    made = {name: described(model, language.DECLARED[name]) for name, model in models.items()}
    for model in made.values():
        if "kind" in model["properties"]:
            kind = model["properties"]["kind"]
            kind["description"] = plain(language.CHANNELS[kind["const"]])
    return made


# -- a rule -----------------------------------------------------------------------------------------------------------


def _kind() -> Json:
    """Make the list of kinds, each with what it tells."""
    words = []
    for kind in KINDS:
        about = catalogue.KINDS[kind]
        later = " Reserved: nothing announces it yet." if kind in RESERVED else ""
        words.append(f"{plain(about.when)[0].upper()}{plain(about.when)[1:]} ({about.by}).{later}")
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
    for one in schema["properties"].values():
        rest = [branch for branch in one.get("anyOf", ()) if branch != {"type": "null"}]
        if len(rest) == 1:
            del one["anyOf"]
            one |= rest[0]
    return schema


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


def _conditions() -> Iterator[tuple[str, Json]]:
    yield (
        "operators",
        {
            "type": "object",
            "properties": {
                name: _operand(operator.accepts)
                | {"description": f"Holds where the value {language.OPERATORS[name].holds}: {operator.wants}."}
                for name, operator in OPERATORS.items()
            },
            "additionalProperties": False,
        },
    )
    combined: Json = {
        "all": {"type": "array", "items": {"$ref": "#/$defs/conditions"}},
        "any": {"type": "array", "items": {"$ref": "#/$defs/conditions"}},
        "not": {"$ref": "#/$defs/conditions"},
    }
    texts, words = one_or_several({"type": "string"}), {"type": "boolean"}
    subject: Json = {name: words if name.startswith(("is", "enable")) else texts for name in language.SUBJECT}
    paths = {
        path: {"$ref": "#/$defs/operators", "description": plain(about.what)}
        for path, about in catalogue.FIELDS.items()
        if path.partition(".")[0] in {*ENVELOPE, *NAMESPACES}
    }
    said = language.COMBINED | language.SUBJECT
    for name, own, what in (
        ("where", combined | subject, "Conditions on the event, all of which must hold."),
        ("conditions", combined, "Conditions, all of which must hold."),
    ):
        one = {"type": "object", "description": what, "additionalProperties": {"$ref": "#/$defs/operators"}}
        yield name, described(one | {"properties": own | paths}, said)


# -- steps ------------------------------------------------------------------------------------------------------------


def step_schemas() -> Iterator[tuple[str, Json, bool]]:
    """Make the schema of each action's parameters, and tell whether it can do without any."""
    for action, target in ACTIONS.items():
        model = parameters(target).model
        schema = of_model(model)
        as_text = bool(model.model_config.get("coerce_numbers_to_str"))
        given = {name: later(one, numbers=as_text) for name, one in schema.get("properties", {}).items()}
        inner = {name: later(one, numbers=as_text) for name, one in schema.get("$defs", {}).items()}
        properties = {"id": ID | {"description": language.STEP_ID}} | given
        yield action, schema | {"properties": properties} | ({"$defs": inner} if inner else {}), not schema.get("required")


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
    said = [plain(str(schema.get("description", ""))) for _, schema, is_bare in made if is_bare]
    words = {"type": "string", "enum": bare, "enumDescriptions": said}
    return inner | {"step": {"description": "One action, with its parameters.", "anyOf": [one, words]}}


def definitions() -> Json:
    """Make everything that the schema refers to."""
    made = {"rule": _rule(), "kind": _kind(), **dict(_conditions())}
    return made | _steps() | _declared()
