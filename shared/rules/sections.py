"""The sections that declare services and channels: from nodes to `Declared`, and the names that rules may use."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from yaml import MappingNode, Node

from shared.rules import pairs, templates
from shared.rules.declared import Channel, Declared, LanguageProject, VisionProject
from shared.rules.document import entries
from shared.rules.doubts import doubt_declarations
from shared.rules.kinds import KINDS, Family
from shared.rules.paths import parse_path
from shared.rules.problems import did_you_mean, shorten
from shared.rules.reading import Entries, Reading, Text, locate

SECTIONS = tuple(Declared.model_fields)
ENTRIES: Mapping[str, type[BaseModel]] = {"vision": VisionProject, "language": LanguageProject}
CHANNELS: tuple[type[BaseModel], ...] = get_args(get_args(Channel)[0])
FEW = 8
"""Names that are listed where none is near the one that is wanted."""
FAMILIES: Mapping[Family, str] = {
    "workspaces": "a workspace",
    "vision": "a Custom Vision project",
    "language": "a Language project",
}
"""Sections whose names `from` may use, and what is declared there."""


def nearest(name: str, known: Collection[str]) -> str:
    """Suggest the nearest declared name, or list all where they are few."""
    meant = did_you_mean(name, known)
    return meant or (f": there is {', '.join(known)}" if 0 < len(known) <= FEW else "")


def _fields(section: str, path: list[Any]) -> Iterable[str]:
    """Give the keys that may stand where pydantic points to: of a channel by its kind, of an entry or its resource."""
    if section in ENTRIES:
        return _model_at(ENTRIES[section], path[1:-1]).model_fields
    kind = path[1] if len(path) > 1 else ""
    return next((model.model_fields for model in CHANNELS if kind in get_args(_kind_of(model))), ())


def _model_at(model: type[BaseModel], path: Iterable[Any]) -> type[BaseModel]:
    """Give the model of what stands at a path in an entry; of what is none, that around it."""
    for name in path:
        inner = model.model_fields.get(str(name))
        kinds = (inner.annotation, *get_args(inner.annotation)) if inner else ()
        within = [part for kind in kinds for part in (kind, *get_args(kind))]
        model = next((part for part in within if isinstance(part, type) and issubclass(part, BaseModel)), model)
    return model


def _kind_of(model: type[BaseModel]) -> Any:
    return model.model_fields["kind"].annotation


CHANNEL_KINDS = frozenset(kind for model in CHANNELS for kind in get_args(_kind_of(model)))


@dataclass(slots=True)
class Sections:
    """What is declared; a name counts even where what it stands for is wrong."""

    reading: Reading
    names: dict[str, Entries] = field(default_factory=dict)
    """Section to its entries."""
    values: dict[str, Any] = field(default_factory=dict)
    """Section to its plain data."""
    families: dict[str, Family] = field(default_factory=dict)
    """Name that `from` may use to the section that declares it."""

    def read(self, top: Entries) -> Declared | None:
        """Read the sections; the names count as declared even where what they stand for is wrong."""
        nodes: dict[str, Node] = {}
        for section in SECTIONS:
            if section not in top:
                continue
            node = top[section][1]
            texts: list[Text] = []
            value = self.reading.value(node, texts)
            if value is None:
                continue
            self.values[section], nodes[section] = value, node
            if isinstance(node, MappingNode):
                self.names[section] = entries(node, [])
            doubt_declarations(self.reading, section, node)
            for place, text in texts:
                if templates.is_template(text):
                    self.reading.error(
                        place, f"{shorten(text)}: a template has nothing to be filled from here, only ${{NAME}}"
                    )
                self.reading.setting(place, text)
        self._check_sources()
        if isinstance(channels := self.values.get("channels"), dict):
            self._check_routes(channels)
        try:
            declared = Declared.model_validate(self.values)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                first, *path = detail["loc"]
                known = _fields(str(first), path)
                self.reading.invalid(nodes[str(first)], tuple(path), detail, str(first), known=known)
            return None
        self._check_pairs(declared)
        return declared

    def _check_pairs(self, declared: Declared) -> None:
        """Check that no two Language projects write into the same one, or into each other."""
        found = (pairs.pair(name, project) for name, project in declared.language.items())
        for name, problem in pairs.clashes(one for one in found if one is not None):
            self.reading.error(self.names["language"][name][0], f"language: {problem}")

    def _check_sources(self) -> None:
        for family in FAMILIES:
            for name, (key, _) in self.names.get(family, {}).items():
                if name in self.families:
                    already = FAMILIES[self.families[name]]
                    self.reading.error(key, f'"{name}" is {already} already: `from` could not tell them apart')
                self.families[name] = family

    def _check_routes(self, channels: Mapping[str, Any]) -> None:
        """Check that a route leads from a field to channels that are no routes, so that it always ends."""
        routes = {
            name: value for name, value in channels.items() if isinstance(value, dict) and value.get("kind") == "route"
        }
        for name, route in routes.items():
            node = self.names["channels"][name][1]
            by = route.get("by")
            if isinstance(by, str) and parse_path(by) is None:
                self.reading.error(locate(node, ("by",)), f"{shorten(by)} is not a path")
            begins_with = route.get("begins_with")
            targets = (
                [(("begins_with", prefix), target) for prefix, target in begins_with.items()]
                if isinstance(begins_with, dict)
                else []
            )
            for path, target in (*targets, (("otherwise",), route.get("otherwise"))):
                if not isinstance(target, str):
                    continue
                self.check_name(locate(node, path), target, "channels")
                if target in routes:
                    self.reading.error(
                        locate(node, path), f'"{target}" is a route itself: name the channel it should lead to'
                    )

    def kinds(self, node: Node, what: str) -> list[str]:
        """Read a kind, or a list of them; one that can never be heard is pointed out."""
        kinds: list[str] = []
        for place, kind in self.reading.texts(node, what):
            if kind not in KINDS:
                self.reading.error(place, f'unknown kind "{kind}"{did_you_mean(kind.rpartition(".")[2], KINDS)}')
                continue
            if kind in kinds:
                self.reading.warn(place, f"{kind} stands here twice")
                continue
            kinds.append(kind)
            family = KINDS[kind].family
            if family != "own" and not self.names.get(family):
                self.reading.warn(place, f"nothing is declared under {family}, so no {kind} is ever heard")
        return kinds

    def entries(self, section: str) -> Mapping[str, Any]:
        """Give what is declared in a section by its names, as it is written."""
        declared = self.values.get(section)
        return declared if isinstance(declared, dict) else {}

    def check_name(self, node: Node, name: str, section: str) -> None:
        """Check that a name, or an id in its place, is declared, unless it is known only later."""
        known = self.names.get(section, {})
        id_ = name if section == "language" else name.lower()
        if name not in known and id_ not in self._ids(section) and not templates.is_open(name):
            self.reading.error(node, f'no "{name}" is declared under {section}{nearest(name, known)}')

    def check_kind(self, node: Node, name: Any, kinds: tuple[str, ...], action: str) -> None:
        """Check that a channel is of a kind that an action can use; a route leads to such channels."""
        channels = self.values.get("channels")
        declared = channels.get(name) if isinstance(channels, dict) and isinstance(name, str) else None
        if not isinstance(channels, dict) or not isinstance(declared, dict):
            return
        begins_with = declared.get("begins_with")
        targets = [*begins_with.values()] if isinstance(begins_with, dict) else []
        targets += [declared["otherwise"]] if "otherwise" in declared else []
        is_route = declared.get("kind") == "route"
        leads_to = {
            target: channels[target].get("kind")
            for target in (targets if is_route else [name])
            if isinstance(target, str) and isinstance(channels.get(target), dict)
        }
        leads_to = {target: kind for target, kind in leads_to.items() if isinstance(kind, str)}
        wrong = {target: kind for target, kind in leads_to.items() if kind in CHANNEL_KINDS and kind not in kinds}
        if not wrong:
            return
        found = " and ".join(f'"{target}" is of kind {kind}' for target, kind in wrong.items())
        via = f', to which the route "{name}" can lead' if is_route else ""
        wants = f"{action} wants a channel of kind {', '.join(kinds[:-1])} or {kinds[-1]}"
        note = self.reading.error if len(wrong) == len(leads_to) else self.reading.warn
        note(node, f"{wants}, and {found}{via}")

    def _ids(self, section: str) -> set[str]:
        """Give the ids that the names of a section stand for, in lower case where that does not count."""
        values = self.values.get(section)
        ids = (
            value.get("project") if isinstance(value, dict) else value
            for value in (values.values() if isinstance(values, dict) else ())
        )
        return {id if section == "language" else id.lower() for id in ids if isinstance(id, str)}
