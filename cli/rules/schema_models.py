"""Schemas of models: pydantic's own, with what the validators of texts want, and the patterns of texts.

A text may hold a setting wherever it stands, and in a step's parameters a template too.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from cli.rules.catalogue import plain
from shared.rules.addresses import CONTAINER_WANTED, PLACE, QUEUE_WANTED, ContainerUrl, Https, QueueUrl, StorageUrl
from shared.rules.declared import GUID, VisionProject
from shared.rules.replicated import (
    CONFIG,
    CONFIG_WANTED,
    CULTURE,
    CULTURE_WANTED,
    NAME_WANTED,
    check_config,
    check_culture,
    check_name,
)
from shared.rules.replicated import NAME as NAME_PATTERN

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
    get_args(ContainerUrl)[2].func: ("^" + PLACE.pattern.replace(r"\Z", "$"), CONTAINER_WANTED),
    get_args(QueueUrl)[2].func: ("^" + PLACE.pattern.replace(r"\Z", "$"), QUEUE_WANTED),
}
"""Validators of texts to a pattern that says the same, and to what is wrong where it does not fit."""
IDS: Mapping[Any, tuple[str, str]] = {
    check_name: ("^" + NAME_PATTERN.pattern.replace(r"\Z", "$"), NAME_WANTED),
    check_config: ("^" + CONFIG.pattern.replace(r"\Z", "$"), CONFIG_WANTED),
    check_culture: ("^" + CULTURE.pattern.replace(r"\Z", "$"), CULTURE_WANTED),
    VisionProject.model_fields["project"].metadata[0].func: (
        "^" + GUID.pattern.replace(r"\Z", "$"),
        "must be a project's id, such as 00000000-0000-0000-0000-000000000000",
    ),
}


class Generator(GenerateJsonSchema):
    """Pydantic's own generator, which also knows what the validators of texts want; a setting satisfies them all."""

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
    if isinstance(schema.get("description"), str):
        schema = schema | {"description": plain(schema["description"])}
    dropped = {"title", "discriminator"} | ({"default"} if schema.get("default", 0) in (None, [], {}, ()) else set())
    return {name: _tidied(item, name) for name, item in schema.items() if name not in dropped}


def described(schema: Json, words: Mapping[str, str]) -> Json:
    """Give the properties of an object their descriptions."""
    properties = {
        name: one | ({"description": plain(words[name])} if name in words else {})
        for name, one in schema.get("properties", {}).items()
    }
    return schema | {"properties": properties}
