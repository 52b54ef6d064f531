"""Reads a rule's `limit`, `cancel_on` and `expect`: the models of `policy`, with each problem at its own place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from yaml import MappingNode, Node, SequenceNode

from shared.policy import PERIODS, CancelOn, Expectation, Limit, Part
from shared.rules import templates
from shared.rules.paths import canonical, parse_path, show_path
from shared.rules.problems import did_you_mean, shorten
from shared.rules.reading import Entries, Reading
from shared.rules.scope import check_field
from shared.rules.sections import Sections

Kinds = frozenset[str]

DURATION = "a duration, such as 90s, 10m, 24h or 7d"
WANTS: Mapping[str, str] = {
    "cooldown": DURATION,
    "debounce": DURATION,
    "digest": DURATION,
    "within": DURATION,
    "at_most": f"a number per {', '.join(PERIODS)}, such as 4 per day",
    "threshold": "a number within a duration, such as 3 within 1h",
}
"""What is written as a text of its own form."""
WORDS = ("skip", "queue", "replace")
LIMIT, CANCEL_ON, EXPECT = (tuple(part.model_fields) for part in (Limit, CancelOn, Expectation))


@dataclass(slots=True)
class Limits:
    """Reads these keys of a file's rules."""

    reading: Reading
    sections: Sections

    def limit(self, node: Node, kinds: Kinds) -> Limit | None:
        """Read how often a rule of these kinds may act."""
        keys = self.reading.mapping(node, "limit", LIMIT)
        values = self._texts(keys)
        if "per" in keys:
            values["per"] = self._paths(keys["per"][1], [kinds])
        if "concurrency" in keys:
            place = keys["concurrency"][1]
            word = self.reading.value(place)
            if word in WORDS:
                values["concurrency"] = word
            else:
                meant = did_you_mean(word, WORDS) if isinstance(word, str) else ""
                self.reading.error(place, f"concurrency must be {', '.join(WORDS)}, not {shorten(word)}{meant}")
        if isinstance(node, MappingNode) and not keys.keys() - {"per"}:
            self.reading.warn(node, f"this limit limits nothing: add one of {', '.join(LIMIT[1:])}")
        return self._checked(Limit, node, keys, values, "limit")

    def cancel_on(self, node: Node, kinds: Kinds, limit: Limit | None) -> CancelOn | None:
        """Read what calls an action off: a kind, a list of kinds, or a mapping that says for which values too."""
        if not isinstance(node, MappingNode):
            on = self.sections.kinds(node, "cancel_on")
            self._check_paths(node, limit.per if limit else (), [frozenset(on)], "limit's per: ")
            return CancelOn(on=tuple(on)) if on else None
        keys = self.reading.mapping(node, "cancel_on", CANCEL_ON)
        if "on" not in keys:
            self.reading.error(node, 'cancel_on needs "on": the kind of event that calls the action off')
            return None
        on = self.sections.kinds(keys["on"][1], "cancel_on")
        values: dict[str, Any] = {"on": on}
        if "per" in keys:
            values["per"] = self._paths(keys["per"][1], [kinds, frozenset(on)])
        else:
            self._check_paths(node, limit.per if limit else (), [frozenset(on)], "limit's per: ")
        return self._checked(CancelOn, node, keys, values, "cancel_on") if on else None

    def expect(self, node: Node, kinds: Kinds) -> Expectation | None:
        """Read which event should follow, and how soon."""
        keys = self.reading.mapping(node, "expect", EXPECT)
        values = self._texts(keys)
        expected: list[str] = []
        if "kind" in keys:
            place = keys["kind"][1]
            expected = self.sections.kinds(place, "kind of expect")
            if isinstance(place, SequenceNode):
                self.reading.error(place, "expect waits for one kind: write a rule for each")
        is_empty = isinstance(node, MappingNode) and not node.value
        for name in ("kind", "within") if keys or is_empty else ():
            if name not in keys:
                self.reading.error(node, f'expect needs "{name}"')
        if "per" in keys:
            values["per"] = self._paths(keys["per"][1], [kinds, frozenset(expected)])
        elif len(expected) == 1:
            self.reading.note(node, f"without per, any {expected[0]} will do, whatever it is about")
        if "within" not in values:
            return None
        kind = expected[0] if expected else next(iter(kinds), "")  # whatever it is, the others are looked at
        made = self._checked(Expectation, node, keys, values | {"kind": kind}, "expect")
        return made if len(expected) == 1 else None

    def _texts(self, keys: Entries) -> dict[str, Any]:
        """Read what is written as a text; a number has no unit, so it is not taken for seconds."""
        values: dict[str, Any] = {}
        for name in keys.keys() & WANTS.keys():
            place = keys[name][1]
            value = self.reading.value(place)
            if isinstance(value, str) and not value.startswith("P"):
                values[name] = value
            else:
                self.reading.error(place, f"{name} must be {WANTS[name]}, not {shorten(value)}")
        return values

    def _paths(self, node: Node, heard: list[Kinds]) -> list[str]:
        """Read paths; each should lead to something in every one of these sets of kinds."""
        found: list[str] = []
        for place, text in self.reading.texts(node, "per"):
            keys = parse_path(text)
            if templates.is_template(text):
                self.reading.error(place, f"{shorten(text)}: per takes a path as it is, such as model.name")
            elif keys is None:
                self.reading.error(place, f"{shorten(text)} is not a path, such as model.name")
            else:
                path = show_path(canonical(keys))
                if path in found:
                    self.reading.warn(place, f"{path} stands here twice")
                else:
                    found.append(path)
                    self._check_paths(place, [path], heard)
        return found

    def _check_paths(self, node: Node, paths: list[str] | tuple[str, ...], heard: list[Kinds], what: str = "") -> None:
        for path in paths:
            keys = parse_path(path)
            for kinds in heard if keys else ():
                check_field(self.reading, node, keys or (), kinds, what)

    def _checked[P: Part](
        self, model: type[P], node: Node, keys: Entries, values: dict[str, Any], name: str
    ) -> P | None:
        """Make the model; what it has against a value is said there."""
        try:
            return model.model_validate(values)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                first, *rest = detail["loc"] or (name,)
                place = keys[str(first)][1] if first in keys else node
                detail["input"] = written = values.get(str(first), detail["input"])
                self.reading.invalid(place, () if isinstance(written, str) else tuple(rest), detail, str(first))
            return None
