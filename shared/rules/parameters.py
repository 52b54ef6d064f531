"""What a step takes: each parameter's names, doubts and defaults, found out from the model that its action names."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, cast, get_args, get_origin

from pydantic import BaseModel

from shared.rules import templates
from shared.rules.declared import Doubtful, Fixed, Follows, Names
from shared.rules.kinds import Family
from shared.rules.scope import Results


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the loader needs to know of a Params model, found out once."""

    model: type[BaseModel]
    known: frozenset[str]
    names: Mapping[str, str]
    """Parameter to the section whose names it takes."""
    nested: Mapping[tuple[str, str], str]
    """The same of a parameter that is a mapping: parameter and key to the section."""
    nested_fixed: frozenset[tuple[str, str]]
    """Keys of a parameter that is a mapping which no event may fill in."""
    written: frozenset[str]
    """Parameters that are texts, or hold nothing but texts: a number there is taken as it is written."""
    defaults: Mapping[str, Any]
    """Parameter to a default with a template in it."""
    fixed: frozenset[str]
    """Parameters that no event may fill in."""
    kinds: Mapping[str, tuple[str, ...]]
    """Parameter to the kinds of channel that will do."""
    needs: Mapping[str, Names]
    """Parameter to what must be declared of the entry that it names."""
    doubts: Mapping[str, Callable[[Any], str]]
    """Parameter to what there is to say of a value."""
    doubts_of_all: Callable[[Any, Collection[Family]], Iterable[tuple[str, str]]]
    """What there is to say of parameters beside each other, each by its name, where events come from such families."""
    results: Results
    offered: frozenset[str]
    """The names that the step looks up for its templates."""
    follows: Mapping[str, Follows]
    """Parameter to where else its value stands."""


@lru_cache(maxsize=256)
def parameters(target: str) -> Parameters:
    """Import a Params model, 'module:Params', and look at its fields."""
    module, _, name = target.partition(":")
    loaded = importlib.import_module(module)
    model = cast("type[BaseModel]", getattr(loaded, name))
    fields = {info.alias or name: info for name, info in model.model_fields.items()}
    named = {
        name: marker
        for name, info in fields.items()
        for marker in (*info.metadata, *_markers(info.annotation))
        if isinstance(marker, Names)
    }
    return Parameters(
        model=model,
        known=frozenset(fields),
        names={name: marker.section for name, marker in named.items()},
        nested={
            (name, inner): marker.section
            for name, info in fields.items()
            for part in _models(info.annotation)
            for inner, within in part.model_fields.items()
            for marker in (*within.metadata, *_markers(within.annotation))
            if isinstance(marker, Names)
        },
        nested_fixed=frozenset(
            (name, inner)
            for name, info in fields.items()
            for part in _models(info.annotation)
            for inner, within in part.model_fields.items()
            if any(isinstance(marker, Fixed) for marker in within.metadata)
        ),
        written=frozenset(name for name, info in fields.items() if _is_text(info.annotation)),
        defaults={name: info.default for name, info in fields.items() if list(templates_in(info.default))},
        fixed=frozenset(
            name for name, info in fields.items() if any(isinstance(marker, Fixed) for marker in info.metadata)
        ),
        kinds={name: marker.kinds for name, marker in named.items() if marker.kinds},
        needs={name: marker for name, marker in named.items() if marker.has},
        doubts={
            name: marker.why
            for name, info in fields.items()
            for marker in info.metadata
            if isinstance(marker, Doubtful)
        },
        doubts_of_all=getattr(loaded, "DOUBTS", {}).get(model, _no_doubts),
        results=getattr(loaded, "RESULTS", {}).get(model),
        offered=frozenset(getattr(loaded, "NAMES", {}).get(model, ())),
        follows={
            name: marker for name, info in fields.items() for marker in info.metadata if isinstance(marker, Follows)
        },
    )


def _no_doubts(_params: Any, _families: Collection[Family]) -> Iterable[tuple[str, str]]:
    return ()


def _markers(annotation: Any) -> Iterator[Any]:
    """Look for `Names` inside a type: `list[Annotated[str, Names("channels")]]`."""
    yield from getattr(annotation, "__metadata__", ())
    for argument in get_args(annotation):
        yield from _markers(argument)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Look for models inside a type: `Asking | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _is_text(annotation: Any) -> bool:
    """Tell whether a type is a text, a list of texts, or a mapping of texts to texts."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    return annotation is str or (bool(arguments) and all(map(_is_text, arguments)))


def templates_in(value: Any) -> Iterator[str]:
    """List the texts with a template in a value, however deep."""
    if isinstance(value, str) and templates.is_template(value):
        yield value
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from templates_in(item)
