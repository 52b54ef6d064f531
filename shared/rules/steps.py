"""Steps: what is to be done, checked by the parameters of each action."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from shared.actions import Step
from shared.rules import templates
from shared.rules.document import entries
from shared.rules.having import lacking
from shared.rules.parameters import parameters, templates_in
from shared.rules.problems import did_you_mean, shorten
from shared.rules.reading import Entries, Reading, Text, locate
from shared.rules.scope import Results, Scope, check_text
from shared.rules.sections import Sections

FILTER = "where"
"""The parameter of a step that is a filter, as that of a rule."""
STEP_ID = re.compile(r"\w[\w.-]{0,63}\Z")


def _as_written(node: Node, value: Any) -> Any:
    """Give the numbers of a value as the file has them: 1.10 is no 1.1 where a version is meant."""
    if isinstance(node, ScalarNode):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return node.value if is_number and str(value) != node.value else value
    if isinstance(node, SequenceNode) and isinstance(value, list):
        return [_as_written(item, each) for item, each in zip(node.value, value, strict=False)]
    if isinstance(node, MappingNode) and isinstance(value, dict):
        nodes = {key.value: item for key, item in node.value}
        return {name: _as_written(nodes[name], each) if name in nodes else each for name, each in value.items()}
    return value


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
        read = [(item, step) for item in node.value if (step := self._step(item, scope))]
        steps = [step for _, step in read]
        return tuple(self._followed(item, step, steps[at + 1 :]) for at, (item, step) in enumerate(read))

    def _followed(self, node: Node, step: Step, after: list[Step]) -> Step:
        """Fill in what a step is not told because a step after it says it."""
        follows = parameters(self.actions[step.action]).follows if step.action in self.actions else {}
        filled: dict[str, Any] = {}
        missing: dict[str, list[str]] = {}
        for name, marker in follows.items():
            if marker.needed_by not in step.params:
                continue
            called = marker.called or name
            said = [later.params[called] for later in after if later.action in marker.by and called in later.params]
            if name in step.params:
                if said and step.params[name] not in said:
                    words = f"{name} of {step.action} is {shorten(step.params[name])}, and what follows it is about"
                    self.reading.warn(node, f"{words} {shorten(said[0])}")
            elif said:
                filled[name] = said[0]
            else:
                way = f"{name}: say it, or let {' or '.join(marker.by)} follow"
                missing.setdefault(marker.needed_by, []).append(way)
        for needed_by, ways in missing.items():
            if len(ways) == sum(marker.needed_by == needed_by for marker in follows.values()):
                self.reading.error(node, f"{needed_by} of {step.action} needs {'; or '.join(ways)}")
        return step.model_copy(update={"params": step.params | filled}) if filled else step

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
        results: Results = None
        if action in self.actions:
            values = self._params(action, place, given, scope)
            results = parameters(self.actions[action]).results
        else:
            self.reading.error(place, f'unknown step "{action}"{did_you_mean(action, self.actions)}')
        scope.steps[id_] = results
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
                value = self.reading.value(node, texts)
                values[name] = _as_written(node, value) if name in wanted.written else value
            else:
                self.reading.error(key, f'unknown parameter "{name}" of {action}{did_you_mean(name, wanted.known)}')
        for node, text in texts:
            check_text(self.reading, node, text, scope, offered=wanted.offered)
        self._check_all_fixed(action, given, values)
        if FILTER in values:
            self._check_filter(given[FILTER][1], scope)
        self._check_values(action, given, values)
        defaults = {name: value for name, value in wanted.defaults.items() if name not in given}
        for name, text in ((name, text) for name, value in defaults.items() for text in templates_in(value)):
            check_text(self.reading, place, text, scope, f"{action} fills {name} with {text}, and ")
        values |= defaults
        self._check_needs(action, place, given, values, scope)
        try:
            params = wanted.model.model_validate(values)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                self._invalid_parameter(action, place, given, detail)
        else:
            for name, words in wanted.doubts_of_all(params, scope.families()):
                self.reading.warn(given[name][1], words)
        return values

    def _check_values(self, action: str, given: Entries, values: Mapping[str, Any]) -> None:
        """Check what an action's parameters say of their values beside the types."""
        wanted = parameters(self.actions[action])
        for name in wanted.names.keys() & values.keys():
            self._check_names(given[name][1], values[name], wanted.names[name])
        for (name, inner), section in wanted.nested.items():
            if isinstance(values.get(name), dict) and inner in values[name]:
                self._check_names(locate(given[name][1], (inner,)), values[name][inner], section)
        for name in wanted.kinds.keys() & values.keys():
            self.sections.check_kind(given[name][1], values[name], wanted.kinds[name], action)
        for name in wanted.doubts.keys() & values.keys():
            self._check_doubts(given[name][1], values[name], wanted.doubts[name])

    def _check_needs(self, action: str, place: Node, given: Entries, values: Mapping[str, Any], scope: Scope) -> None:
        """Check that what a step can mean has what it needs: an error where none of it has, a warning where some."""
        for name, marker in parameters(self.actions[action]).needs.items():
            level, words = lacking(marker, values.get(name), self.sections.entries(marker.section), scope)
            if words:
                note = self.reading.error if level == "error" else self.reading.warn
                note(given[name][1] if name in given else place, f"{action} needs `{marker.has}`, and {words}")

    def _invalid_parameter(self, action: str, place: Node, given: Entries, detail: Any) -> None:
        """Say what pydantic has against a parameter; a text that is filled in later is judged later."""
        name, *rest = detail["loc"] or (action,)
        if detail["type"] == "missing" and not rest:
            self.reading.error(place, f'missing parameter "{name}" of {action}')
        elif name in given:
            if detail["type"] == "extra_forbidden" or not templates.is_open(detail["input"]):
                field = parameters(self.actions[action]).model.model_fields.get(name)
                about = (field.description or "") if field else ""
                self.reading.invalid(given[name][1], tuple(rest), detail, name, about=about)
        elif not detail["loc"]:
            self.reading.invalid(place, (), detail, action)

    def _check_all_fixed(self, action: str, given: Entries, values: Mapping[str, Any]) -> None:
        """Refuse what an event would fill in, in a parameter or inside one."""
        wanted = parameters(self.actions[action])
        for name in wanted.fixed & values.keys():
            self._check_fixed(given[name][1], action, name, values[name])
        for name, inner in wanted.nested_fixed:
            if name in values:
                value = values[name].get(inner) if isinstance(values[name], dict) else values[name]
                self._check_fixed(given[name][1], action, f"{name}.{inner}", value)

    def _check_fixed(self, node: Node, action: str, name: str, value: Any) -> None:
        """Refuse what an event would fill in where only the rules file may say."""
        for text in templates_in(value):
            self.reading.error(node, f"{shorten(text)}: {name} of {action} is said here, and never by an event")

    def _check_doubts(self, node: Node, value: Any, why: Callable[[Any], str]) -> None:
        """Point out a value, or an element of a list, that is hardly meant."""
        if isinstance(value, list):
            for position, item in enumerate(value):
                self._check_doubts(locate(node, (position,)), item, why)
        elif words := why(value):
            self.reading.warn(node, words)

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
