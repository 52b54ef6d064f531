"""The parameters of a step as a rule writes them: those within others by their path, `approval.by`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cli.rules.schema_models import of_model

ANY_NAME = "<name>"
"""Stands in a path for a key that is the rule's own: `outputs.<name>.type`."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: where a rule writes it, and what is known of it."""

    path: str
    info: FieldInfo
    schema: Mapping[str, Any]

    @property
    def is_required(self) -> bool:
        """Whether it has to be said; within another one, where that is said."""
        return self.info.is_required()

    @property
    def said(self) -> str:
        """What it is."""
        return self.info.description or ""


def of_step(model: type[BaseModel]) -> list[Parameter]:
    """List the parameters of a step, those within others below them."""
    return list(_every(model, ""))


def _every(model: type[BaseModel], within: str) -> Iterator[Parameter]:
    schema = of_model(model)["properties"]
    for name, info in model.model_fields.items():
        written = info.alias or name
        yield Parameter(f"{within}{written}", info, schema[written])
        for inner, key in _parts(info.annotation):
            yield from _every(inner, f"{within}{written}.{key}")


def _parts(annotation: Any, key: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    """Look for models inside a type, and for what stands between: `Asking | None`, `dict[str, Output]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, key
    between = f"{ANY_NAME}." if get_origin(annotation) is dict else ""
    for argument in get_args(annotation):
        yield from _parts(argument, key + between)
