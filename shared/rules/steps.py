"""Steps: what is to be done, checked by the parameters of each action."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from shared.actions import Step
from shared.rules import templates
from shared.rules.declared import Fixed, Names
from shared.rules.document import entries
from shared.rules.kinds import ENVELOPE, KINDS
from shared.rules.paths import Keys, show_path
from shared.rules.problems import did_you_mean, shorten
from shared.rules.reading import Entries, Reading, Text, locate
from shared.rules.sections import Sections

FILTER = "where"
"""The parameter of a step that is a filter, as that of a rule."""
STEP_ID = re.compile(r"\w[\w.-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the loader needs to know of a Params model, found out once."""

    model: type[BaseModel]
    known: frozenset[str]
    names: Mapping[str, str]
    """Parameter to the section whose names it takes."""
    defaults: Mapping[str, Any]
    """Parameter to a default with a template in it."""
    fixed: frozenset[str]
    """Parameters that no event may fill in."""


@lru_cache(maxsize=256)
def parameters(target: str) -> Parameters:
    """Import a Params model, 'module:Params', and look at its fields."""
    module, _, name = target.partition(":")
    model = cast("type[BaseModel]", getattr(importlib.import_module(module), name))
    fields = {info.alias or name: info for name, info in model.model_fields.items()}
    return Parameters(
        model=model,
        known=frozenset(fields),
        names={
            name: marker.section
            for name, info in fields.items()
            for marker in (*info.metadata, *_markers(info.annotation))
            if isinstance(marker, Names)
        },
        defaults={name: info.default for name, info in fields.items() if list(_templates_in(info.default))},
        fixed=frozenset(
            name for name, info in fields.items() if any(isinstance(marker, Fixed) for marker in info.metadata)
        ),
    )


def _markers(annotation: Any) -> Iterator[Any]:
    """Look for `Names` inside a type: `list[Annotated[str, Names("channels")]]`."""
    yield from getattr(annotation, "__metadata__", ())
    for argument in get_args(annotation):
        yield from _markers(argument)


def _templates_in(value: Any) -> Iterator[str]:
    if isinstance(value, str) and templates.is_template(value):
        yield value
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _templates_in(item)


def _give_id(wanted: str, steps: list[str]) -> str:
    """Tell how a step is called that is meant by a part of its action's name, such as run of run.data_factory."""
    meant = next((step for step in steps if wanted in step.split(".")), "")
    return f": give {meant} `id: {wanted}`" if meant else ""


@lru_cache(maxsize=8192)
def _some_kind_has(kinds: frozenset[str], keys: Keys) -> bool:
    return any(KINDS[kind].has(keys) for kind in kinds)


def check_field(reading: Reading, node: Node, keys: Keys, kinds: frozenset[str], what: str = "") -> None:
    """Warn of a field that no event of these kinds has."""
    if not kinds or _some_kind_has(kinds, keys):
        return
    known = [*ENVELOPE]
    for kind in kinds:
        known += [f"{namespace}.{name}" for namespace, names in KINDS[kind].fields.items() for name in names]
    path = show_path(keys)
    meant = did_you_mean(f"data.{path}" if f"data.{path}" in known else path, known)
    reading.warn(node, f"{what}no {' or '.join(sorted(kinds))} has {path}{meant}")


@dataclass(slots=True)
class Scope:
    """What the templates of a step may read: the events of these kinds, and the steps before it."""

    kinds: frozenset[str]
    steps: list[str] = field(default_factory=list)
    after_failure: bool = False
    has_digest: bool = False
    """Whether the rule answers several events at once, which templates know as `digest`."""


@dataclass(slots=True)
class Steps:
    """Reads the steps of a file's rules."""

    reading: Reading
    actions: Mapping[str, str]
    sections: Sections

    def read(self, node: Node, scope: Scope) -> tuple[Step, ...]:
        """Read a list of steps; their ids are added to the scope."""
        if not isinstance(node, SequenceNode):
            self.reading.error(node, f"steps must be a list, not {shorten(self.reading.value(node))}")
            return ()
        if not node.value:
            self.reading.error(node, "there are no steps")
        return tuple(step for item in node.value if (step := self._step(item, scope)))

    def _step(self, node: Node, scope: Scope) -> Step | None:
        """Read `action`, or `action: {parameters}`."""
        given: Entries = {}
        place: Node = node
        if isinstance(node, MappingNode):
            keys = self.reading.mapping(node, "a step")
            if len(keys) != 1:
                words = f"{', '.join(keys)} must be steps of their own, or indented" if keys else "none is named here"
                self.reading.error(node, f"a step is one action: {words}")
                return None
            ((action, (place, params)),) = keys.items()
            if isinstance(params, MappingNode):
                given = entries(params, self.reading.problems)
            elif self.reading.value(params) is not None:
                self.reading.error(
                    params, f"the parameters of {action} must be a mapping, not {shorten(self.reading.value(params))}"
                )
                return None
        else:
            action = self.reading.value(node)
        if not isinstance(action, str):
            self.reading.error(place, f"a step is the name of an action, not {shorten(action)}")
            return None
        id_ = self._step_id(action, given.pop("id", None), scope)
        values: dict[str, Any] = {}
        if action in self.actions:
            values = self._params(action, place, given, scope)
        else:
            self.reading.error(place, f'unknown step "{action}"{did_you_mean(action, self.actions)}')
        scope.steps.append(id_)
        return Step(id=id_, action=action, params=values)

    def _step_id(self, action: str, given: tuple[ScalarNode, Node] | None, scope: Scope) -> str:
        if given is None:
            id_, number = action, 1
            while id_ in scope.steps:
                number += 1
                id_ = f"{action}-{number}"
            return id_
        node = given[1]
        id_ = self.reading.value(node)
        if not isinstance(id_, str) or not STEP_ID.match(id_):
            self.reading.error(node, f"{shorten(id_)} is no step id: up to 64 letters, digits, dots, dashes")
            return ""
        if id_ in scope.steps:
            self.reading.error(node, f'duplicate step id "{id_}"')
        return id_

    def _params(self, action: str, place: Node, given: Entries, scope: Scope) -> dict[str, Any]:
        """Check a step's parameters by the action's model; defaults with templates are filled in."""
        wanted = parameters(self.actions[action])
        texts: list[Text] = []
        values: dict[str, Any] = {}
        for name, (key, node) in given.items():
            if name in wanted.known:
                values[name] = self.reading.value(node, texts)
            else:
                self.reading.error(key, f'unknown parameter "{name}" of {action}{did_you_mean(name, wanted.known)}')
        for node, text in texts:
            self._check_text(node, text, scope)
        for name in wanted.fixed & values.keys():
            self._check_fixed(given[name][1], action, name, values[name])
        if FILTER in values:
            self._check_filter(given[FILTER][1], scope)
        for name in wanted.names.keys() & values.keys():
            self._check_names(given[name][1], values[name], wanted.names[name])
        defaults = {name: value for name, value in wanted.defaults.items() if name not in given}
        for name, text in ((name, text) for name, value in defaults.items() for text in _templates_in(value)):
            self._check_text(place, text, scope, f"{action} fills {name} with {text}, and ")
        values |= defaults
        try:
            wanted.model.model_validate(values)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                self._invalid_parameter(action, place, given, detail)
        return values

    def _invalid_parameter(self, action: str, place: Node, given: Entries, detail: Any) -> None:
        """Say what pydantic has against a parameter; a text that is filled in later is judged later."""
        name, *rest = detail["loc"] or (action,)
        if detail["type"] == "missing" and not rest:
            self.reading.error(place, f'missing parameter "{name}" of {action}')
        elif name in given:
            if not templates.is_open(detail["input"]):
                field = parameters(self.actions[action]).model.model_fields.get(name)
                about = (field.description or "") if field else ""
                self.reading.invalid(given[name][1], tuple(rest), detail, name, about=about)
        elif not detail["loc"]:
            self.reading.invalid(place, (), detail, action)

    def _check_fixed(self, node: Node, action: str, name: str, value: Any) -> None:
        """Refuse what an event would fill in where only the rules file may say."""
        for text in _templates_in(value):
            self.reading.error(node, f"{shorten(text)}: {name} of {action} is said here, and never by an event")

    def _check_filter(self, node: Node, scope: Scope) -> None:
        """Check a filter that is decided when the step begins: it may ask for the steps before it."""
        from shared.rules.where import read_gate

        read_gate(self.reading, node, scope)

    def _check_names(self, node: Node, value: Any, section: str) -> None:
        """Check the declared names in a parameter: one text, or a list or mapping of them."""
        if isinstance(value, str):
            self.sections.check_name(node, value, section)
        elif isinstance(value, list):
            for position, item in enumerate(value):
                self._check_names(locate(node, (position,)), item, section)
        elif isinstance(value, dict):
            for name, item in value.items():
                self._check_names(locate(node, (name,)), item, section)

    def _check_text(self, node: Node, text: str, scope: Scope, what: str = "") -> None:
        """Check the templates and settings of a parameter, and that what they read can be there."""
        self.reading.setting(node, text)
        if not templates.is_template(text):
            return
        try:
            references = templates.compile_template(text).references
        except ValueError as error:
            self.reading.error(node, f"bad template {shorten(text)}: {error}")
            return
        for reference in references:
            keys = reference.keys
            if keys[0] == "steps":
                if len(keys) > 1 and keys[1] not in scope.steps:
                    meant = did_you_mean(keys[1], scope.steps) or _give_id(keys[1], scope.steps)
                    self.reading.error(node, f'{what}no step "{keys[1]}" comes before this one{meant}')
            elif keys[0] == "digest":
                if reference.strict and not scope.has_digest:
                    self.reading.error(node, f"{what}there is no digest: it is what a limit with `digest` gathered")
            elif keys[0] == "action" or (keys[0] == "failure" and scope.after_failure):
                continue
            elif reference.strict:
                check_field(self.reading, node, keys, scope.kinds, what)
