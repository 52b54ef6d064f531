"""From the text of a rules file to `Rules`, or to everything that is wrong with it at once.

One pass over libyaml's nodes. Nothing is looked up, read or asked here: which actions exist is an argument,
and a step's parameters are checked by the pydantic model that its action names.
"""

from __future__ import annotations

import hashlib
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
from shared.rules.declared import Declared, Names
from shared.rules.document import at, compose, entries, value_of
from shared.rules.filters import OPERATORS
from shared.rules.kinds import ENVELOPE, KINDS, Family
from shared.rules.match import Condition, Mode, Rule, Rules, condition
from shared.rules.paths import Keys, canonical, parse_path, show_path
from shared.rules.problems import Problem, RulesError, did_you_mean, shorten

SECTIONS = tuple(Declared.model_fields)
TOP = ("version", "mode", *SECTIONS, "rules")
RULE = ("name", "on", "from", "where", "mode", "do", "on_failure")
MODES: tuple[Mode, ...] = ("off", "dry_run", "live")
RULE_NAME = re.compile(r"\w[\w. -]{0,79}\Z")
STEP_ID = re.compile(r"\w[\w.-]{0,63}\Z")

Entries = dict[str, tuple[ScalarNode, Node]]
Text = tuple[Node, str]


def load(text: str, actions: Mapping[str, str], origin: str) -> Rules:
    """Read a rules file; `actions` maps each action's name to its parameters, 'module:Params', imported when used.

    RulesError lists every problem. What is only doubtful is in `Rules.warnings`.
    """
    loading = Loading(actions)
    root = compose(text, loading.problems)
    rules = loading.file(root, text, origin) if root is not None else None
    if root is None and not loading.problems:
        loading.problems.append(Problem(1, 1, "the file is empty"))
    problems = sorted(set(loading.problems))
    if rules is None or any(problem.level == "error" for problem in problems):
        raise RulesError(problems, origin)
    rules.warnings = tuple(problems)
    return rules


# -- what an action's parameters are ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the loader needs to know of a Params model, found out once."""

    model: type[BaseModel]
    known: frozenset[str]
    names: Mapping[str, str]
    """Parameter to the section whose names it takes."""
    defaults: Mapping[str, Any]
    """Parameter to a default with a template in it."""


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


@lru_cache(maxsize=8192)
def _some_kind_has(kinds: frozenset[str], keys: Keys) -> bool:
    return any(KINDS[kind].has(keys) for kind in kinds)


@dataclass(slots=True)
class Scope:
    """What the templates of a step may read: the events of these kinds, and the steps before it."""

    kinds: frozenset[str]
    steps: list[str] = field(default_factory=list)
    after_failure: bool = False


# -- the file ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Loading:
    """One reading of a file: the problems found so far, and the names declared."""

    actions: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    declared: dict[str, Entries] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)
    """Name that `from` may use to the section that declares it."""

    def error(self, node: Node, message: str) -> None:
        """Note what is wrong at a node."""
        self.problems.append(at(node, message))

    def warn(self, node: Node, message: str) -> None:
        """Note what is doubtful at a node."""
        self.problems.append(at(node, message, "warning"))

    def mapping(self, node: Node, what: str, known: tuple[str, ...] | None = None) -> Entries:
        """Read a mapping; keys that are not known are problems."""
        if not isinstance(node, MappingNode):
            self.error(node, f"{what} must be a mapping, not {shorten(self.value(node))}")
            return {}
        found = entries(node, self.problems)
        if known is not None:
            for key in [key for key in found if key not in known]:
                self.error(found.pop(key)[0], f'unknown key "{key}" in {what}{did_you_mean(key, known)}')
        return found

    def value(self, node: Node, texts: list[Text] | None = None) -> Any:
        """Make plain data of a node."""
        return value_of(node, self.problems, texts)

    def texts(self, node: Node, what: str) -> list[tuple[Node, str]]:
        """Read one text, or a list of them."""
        items = node.value if isinstance(node, SequenceNode) else [node]
        found: list[tuple[Node, str]] = []
        for item in items:
            value = self.value(item)
            if isinstance(value, str) and value:
                found.append((item, value))
            else:
                self.error(item, f"{what} must be a text or a list of texts, not {shorten(value)}")
        if not items:
            self.error(node, f"{what} is empty")
        return found

    def file(self, root: Node, text: str, origin: str) -> Rules | None:
        """Read the whole."""
        top = self.mapping(root, "the file", TOP)
        self._version(root, top)
        mode = self._mode(top, "live")
        declared = self._declared(top)
        rules: list[Rule] = []
        if "rules" not in top:
            self.error(root, '"rules" is missing: a list, [] where there are none yet')
        elif isinstance(top["rules"][1], SequenceNode):
            lines: dict[str, int] = {}
            rules = [rule for node in top["rules"][1].value if (rule := self._rule(node, mode, lines))]
        elif self.value(top["rules"][1]) is not None:
            self.error(top["rules"][1], "rules must be a list")
        if declared is None:
            return None
        hash_ = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return Rules(version=1, mode=mode, hash=hash_, rules=tuple(rules), declared=declared, origin=origin)

    def _version(self, root: Node, top: Entries) -> None:
        if "version" not in top:
            self.error(root, '"version: 1" is missing')
        elif (version := self.value(top["version"][1])) != 1 or version is True:
            self.error(top["version"][1], f"this program reads version 1, not {shorten(version)}")

    def _mode(self, where: Entries, default: Mode) -> Mode:
        if "mode" not in where:
            return default
        mode = self.value(where["mode"][1])
        if mode in MODES:
            return cast("Mode", mode)
        meant = did_you_mean(mode, MODES) if isinstance(mode, str) else ""
        self.error(where["mode"][1], f"unknown mode {shorten(mode)}: one of {', '.join(MODES)}{meant}")
        return default

    # -- what is declared ---------------------------------------------------------------------------------------------

    def _declared(self, top: Entries) -> Declared | None:
        """Read the sections; the names count as declared even where what they stand for is wrong."""
        raw: dict[str, Any] = {}
        nodes: dict[str, Node] = {}
        for section in SECTIONS:
            if section not in top:
                continue
            node = top[section][1]
            texts: list[Text] = []
            value = self.value(node, texts)
            if value is None:
                continue
            raw[section], nodes[section] = value, node
            if isinstance(node, MappingNode):
                self.declared[section] = entries(node, [])
            for place, text in texts:
                if templates.is_template(text):
                    self.error(place, f"{shorten(text)}: a template has nothing to be filled from here, only ${{NAME}}")
                self._check_setting(place, text)
        self._check_sources()
        try:
            declared = Declared.model_validate(raw)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                name, *rest = map(str, detail["loc"])
                self._invalid(nodes[name], tuple(rest), detail, name)
            return None
        self._check_routes(declared)
        return declared

    def _check_sources(self) -> None:
        for family in ("workspaces", "vision"):
            for name, (key, _) in self.declared.get(family, {}).items():
                if name in self.families:
                    self.error(key, f'"{name}" is a workspace already: `from` could not tell them apart')
                self.families[name] = family

    def _check_routes(self, declared: Declared) -> None:
        for name, channel in declared.channels.items():
            if channel.kind != "route":
                continue
            node = self.declared["channels"][name][1]
            if parse_path(channel.by) is None:
                self.error(locate(node, ("by",)), f"{shorten(channel.by)} is not a path")
            targets: list[tuple[tuple[str, ...], str]] = [
                (("begins_with", prefix), target) for prefix, target in channel.begins_with.items()
            ]
            if channel.otherwise is not None:
                targets.append((("otherwise",), channel.otherwise))
            for path, target in targets:
                self._check_name(locate(node, path), target, "channels")
                if target in declared.channels and declared.channels[target].kind == "route":
                    self.error(locate(node, path), f'"{target}" is a route itself: name the channel it should lead to')

    def _check_name(self, node: Node, name: str, section: str) -> None:
        """Check that a name is declared, unless it is known only later."""
        known = self.declared.get(section, {})
        if name not in known and not templates.is_open(name):
            self.error(node, f'no "{name}" is declared under {section}{did_you_mean(name, known)}')

    # -- a rule -------------------------------------------------------------------------------------------------------

    def _rule(self, node: Node, mode: Mode, lines: dict[str, int]) -> Rule | None:
        keys = self.mapping(node, "a rule", RULE)
        if not keys:
            return None
        kinds = self._kinds(node, keys)
        sources = self._sources(keys, kinds)
        where = tuple(self._where(keys["where"][1], kinds)) if "where" in keys else ()
        scope = Scope(frozenset(kinds))
        if "do" not in keys:
            self.error(node, 'a rule needs "do": a list of steps')
        do = self._steps(keys["do"][1], scope) if "do" in keys else ()
        scope.after_failure = True
        on_failure = self._steps(keys["on_failure"][1], scope) if "on_failure" in keys else ()
        return Rule(
            name=self._name(node, keys, lines),
            kinds=scope.kinds,
            sources=sources,
            where=where,
            mode=self._mode(keys, mode),
            do=do,
            on_failure=on_failure,
            line=node.start_mark.line + 1,
        )

    def _name(self, node: Node, keys: Entries, lines: dict[str, int]) -> str:
        if "name" not in keys:
            self.error(node, 'a rule needs a "name"')
            return ""
        place = keys["name"][1]
        name = self.value(place)
        if not isinstance(name, str) or not RULE_NAME.match(name):
            self.error(place, f"{shorten(name)} is no name: up to 80 letters, digits, spaces, dots, dashes")
            return ""
        if name in lines:
            self.error(place, f'duplicate rule name "{name}": the rule on line {lines[name]} has it already')
        lines.setdefault(name, place.start_mark.line + 1)
        return name

    def _kinds(self, node: Node, keys: Entries) -> list[str]:
        if "on" not in keys:
            self.error(node, 'a rule needs "on": the kind of event that it answers')
            return []
        kinds: list[str] = []
        for place, kind in self.texts(keys["on"][1], "on"):
            if kind not in KINDS:
                self.error(place, f'unknown kind "{kind}"{did_you_mean(kind, KINDS)}')
                continue
            kinds.append(kind)
            family = KINDS[kind].family
            if family != "own" and not self.declared.get(family):
                self.warn(place, f"nothing is declared under {family}, so no {kind} is ever heard")
        return kinds

    def _sources(self, keys: Entries, kinds: list[str]) -> frozenset[str]:
        if "from" not in keys:
            return frozenset()
        families = {KINDS[kind].family for kind in kinds}
        place = keys["from"][1]
        found: set[str] = set()
        for node, name in self.texts(place, "from"):
            if name not in self.families:
                self.error(node, f'unknown source "{name}"{did_you_mean(name, self.families)}')
                continue
            found.add(name)
            if families and self.families[name] not in families:
                self.error(node, f'"{name}" ({self.families[name]}) never announces {" or ".join(kinds)}')
        heard = {self.families[name] for name in found}
        for kind in kinds if heard else ():
            if KINDS[kind].family == "own":
                self.error(place, f"{kind} is announced by the reactor itself: leave `from` out")
            elif KINDS[kind].family not in heard and heard & families:
                self.error(place, f"none of these announces {kind}")
        return frozenset(found)

    # -- where --------------------------------------------------------------------------------------------------------

    def _where(self, node: Node, kinds: list[str]) -> Iterator[Condition]:
        for path, (key, operators) in self.mapping(node, "where").items():
            parsed = parse_path(path)
            if parsed is None:
                self.error(key, f"{shorten(path)} is not a path, such as data.modelTags['team.owner']")
                continue
            keys = canonical(parsed)
            self._check_field(key, keys, frozenset(kinds))
            if not isinstance(operators, MappingNode):
                value = shorten(self.value(operators))
                self.error(operators, f"{path} needs an operator, such as {{StringIn: [...]}}, not {value}")
                continue
            for operator, (name, operand) in self.mapping(operators, path).items():
                if operator not in OPERATORS:
                    self.error(name, f'unknown operator "{operator}"{did_you_mean(operator, OPERATORS)}')
                    continue
                texts: list[Text] = []
                wanted = self.value(operand, texts)
                for place, text in texts:
                    if templates.is_template(text):
                        self.error(place, f"{shorten(text)}: a filter cannot have a template")
                    self._check_setting(place, text)
                if OPERATORS[operator].accepts(wanted):
                    yield condition(path, keys, operator, wanted)
                else:
                    self.error(operand, f"{operator} wants {OPERATORS[operator].wants}, not {shorten(wanted)}")

    def _check_field(self, node: Node, keys: Keys, kinds: frozenset[str], what: str = "") -> None:
        """Warn of a field that no event of these kinds has."""
        if not kinds or _some_kind_has(kinds, keys):
            return
        known = [*ENVELOPE]
        for kind in kinds:
            known += [f"{namespace}.{name}" for namespace, names in KINDS[kind].fields.items() for name in names]
        path = show_path(keys)
        meant = did_you_mean(path, known) or did_you_mean(f"data.{path}", known)
        self.warn(node, f"{what}no {' or '.join(sorted(kinds))} has {path}{meant}")

    # -- steps --------------------------------------------------------------------------------------------------------

    def _steps(self, node: Node, scope: Scope) -> tuple[Step, ...]:
        if not isinstance(node, SequenceNode):
            self.error(node, f"steps must be a list, not {shorten(self.value(node))}")
            return ()
        if not node.value:
            self.error(node, "there are no steps")
        return tuple(step for item in node.value if (step := self._step(item, scope)))

    def _step(self, node: Node, scope: Scope) -> Step | None:
        """Read `action`, or `action: {parameters}`."""
        given: Entries = {}
        place: Node = node
        if isinstance(node, MappingNode):
            keys = self.mapping(node, "a step")
            if len(keys) != 1:
                if keys:
                    self.error(node, f"a step is one action: {', '.join(keys)} must be steps of their own, or indented")
                return None
            ((action, (place, params)),) = keys.items()
            if isinstance(params, MappingNode):
                given = entries(params, self.problems)
            elif self.value(params) is not None:
                self.error(params, f"the parameters of {action} must be a mapping, not {shorten(self.value(params))}")
                return None
        else:
            action = self.value(node)
        if not isinstance(action, str) or action not in self.actions:
            meant = did_you_mean(action, self.actions) if isinstance(action, str) else ""
            self.error(place, f"unknown step {shorten(action)}{meant}")
            return None
        id_ = self._step_id(action, given.pop("id", None), scope)
        values = self._params(action, place, given, scope)
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
        id_ = self.value(node)
        if not isinstance(id_, str) or not STEP_ID.match(id_):
            self.error(node, f"{shorten(id_)} is no step id: up to 64 letters, digits, dots, dashes")
            return ""
        if id_ in scope.steps:
            self.error(node, f'duplicate step id "{id_}"')
        return id_

    def _params(self, action: str, place: Node, given: Entries, scope: Scope) -> dict[str, Any]:
        """Check a step's parameters by the action's model; defaults with templates are filled in."""
        wanted = parameters(self.actions[action])
        texts: list[Text] = []
        values: dict[str, Any] = {}
        for name, (key, node) in given.items():
            if name in wanted.known:
                values[name] = self.value(node, texts)
            else:
                self.error(key, f'unknown parameter "{name}" of {action}{did_you_mean(name, wanted.known)}')
        for node, text in texts:
            self._check_text(node, text, scope)
        for name in wanted.names.keys() & values.keys():
            self._check_names(given[name][1], values[name], wanted.names[name])
        for name, default in wanted.defaults.items():
            if name not in given:
                values[name] = default
                for text in _templates_in(default):
                    self._check_text(place, text, scope, f"{action} fills {name} with {text}, and ")
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
            self.error(place, f'missing parameter "{name}" of {action}')
        elif name in given:
            if not templates.is_open(detail["input"]):
                self._invalid(given[name][1], tuple(rest), detail, name)
        elif not detail["loc"]:
            self._invalid(place, (), detail, action)

    def _check_names(self, node: Node, value: Any, section: str) -> None:
        """Check the declared names in a parameter: one text, or a list or mapping of them."""
        if isinstance(value, str):
            self._check_name(node, value, section)
        elif isinstance(value, list):
            for position, item in enumerate(value):
                self._check_names(locate(node, (position,)), item, section)
        elif isinstance(value, dict):
            for name, item in value.items():
                self._check_names(locate(node, (name,)), item, section)

    def _invalid(self, node: Node, path: tuple[int | str, ...], detail: Any, name: str) -> None:
        """Say what pydantic has against a value, at the value's own line."""
        message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        culprit = locate(node, path)
        if detail["type"] == "missing":
            self.error(culprit, f'{name}: "{path[-1] if path else name}" is missing')
        elif detail["type"] == "extra_forbidden" and path:
            self.error(culprit, f'{name}: unknown key "{path[-1]}"')
        else:
            where = ".".join([name, *(str(part) for part in path if locate(node, (part,)) is not node)])
            self.error(culprit, f"{where}: {message[:1].lower()}{message[1:]}, not {shorten(detail['input'])}")

    # -- templates and settings ---------------------------------------------------------------------------------------

    def _check_setting(self, node: Node, text: str) -> None:
        bad = templates.BAD_SETTING.search(text)
        if bad:
            self.error(node, f"{shorten(bad[0])} names no setting: ${{NAME}} is one word ($${{…}} for the text itself)")

    def _check_text(self, node: Node, text: str, scope: Scope, what: str = "") -> None:
        """Check the templates and settings of a parameter, and that what they read can be there."""
        self._check_setting(node, text)
        if not templates.is_template(text):
            return
        try:
            references = templates.compile_template(text).references
        except ValueError as error:
            self.error(node, f"bad template {shorten(text)}: {error}")
            return
        for reference in references:
            keys = reference.keys
            if keys[0] == "steps":
                if len(keys) > 1 and keys[1] not in scope.steps:
                    self.error(
                        node, f'{what}no step "{keys[1]}" comes before this one{did_you_mean(keys[1], scope.steps)}'
                    )
            elif keys[0] == "action" or (keys[0] == "failure" and scope.after_failure):
                continue
            elif reference.strict:
                self._check_field(node, keys, scope.kinds, what)


def locate(node: Node, path: tuple[int | str, ...]) -> Node:
    """Follow a path of keys and positions into a node, as far as it goes."""
    for part in path:
        if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        elif isinstance(node, MappingNode):
            node = next((value for key, value in node.value if key.value == str(part)), node)
    return node
