"""From the text of a rules file to `Rules`, or to everything that is wrong with it at once.

One pass over libyaml's nodes. Nothing is looked up, read or asked here: which actions exist is an argument,
and a step's parameters are checked by the pydantic model that its action names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import cast

from yaml import MappingNode, Node, SequenceNode

from shared.rules import templates
from shared.rules.document import compose
from shared.rules.filters import OPERATORS
from shared.rules.kinds import KINDS, RESERVED
from shared.rules.match import Rules
from shared.rules.paths import canonical, parse_path
from shared.rules.problems import Problem, RulesError, did_you_mean, shorten
from shared.rules.reading import Entries, Reading, Text
from shared.rules.rule import Condition, Mode, Rule, condition
from shared.rules.sections import SECTIONS, Sections
from shared.rules.steps import Scope, Steps, check_field

TOP = ("version", "mode", *SECTIONS, "rules")
RULE = ("name", "on", "from", "where", "mode", "do", "on_failure")
MODES: tuple[Mode, ...] = ("off", "dry_run", "live")
RULE_NAME = re.compile(r"\w[\w. -]{0,79}\Z")


def load(text: str, actions: Mapping[str, str], origin: str) -> Rules:
    """Read a rules file; `actions` maps each action's name to its parameters, 'module:Params', imported when used.

    RulesError lists every problem. What is only doubtful is in `Rules.warnings`.
    """
    loading = Loading(Reading(), actions)
    root = compose(text, loading.reading.problems)
    rules = loading.file(root, text, origin) if root is not None else None
    if root is None and not loading.reading.problems:
        loading.reading.problems.append(Problem(1, 1, "the file is empty"))
    problems = sorted(set(loading.reading.problems))
    if rules is None or any(problem.level == "error" for problem in problems):
        raise RulesError(problems, origin)
    rules.warnings = tuple(problems)
    return rules


class Loading:
    """The loading of one file."""

    def __init__(self, reading: Reading, actions: Mapping[str, str]) -> None:
        self.reading = reading
        self.sections = Sections(reading)
        self.steps = Steps(reading, actions, self.sections)

    def file(self, root: Node, text: str, origin: str) -> Rules | None:
        """Read the whole."""
        if not isinstance(root, MappingNode):
            self.reading.error(
                root, f"a rules file is a mapping that begins with version: 1, not {shorten(self.reading.value(root))}"
            )
            return None
        top = self.reading.mapping(root, "the file", TOP)
        self._version(root, top)
        mode = self._mode(top, "live")
        declared = self.sections.read(top)
        rules: list[Rule] = []
        if "rules" not in top:
            self.reading.error(root, '"rules" is missing: a list, [] where there are none yet')
        elif isinstance(top["rules"][1], SequenceNode):
            lines: dict[str, int] = {}
            rules = [rule for node in top["rules"][1].value if (rule := self._rule(node, mode, lines))]
        elif self.reading.value(top["rules"][1]) is not None:
            self.reading.error(top["rules"][1], "rules must be a list")
        if declared is None:
            return None
        hash_ = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return Rules(version=1, mode=mode, hash=hash_, rules=tuple(rules), declared=declared, origin=origin)

    def _version(self, root: Node, top: Entries) -> None:
        if "version" not in top:
            self.reading.error(root, '"version: 1" is missing')
        elif (version := self.reading.value(top["version"][1])) != 1 or version is True:
            self.reading.error(top["version"][1], f"this program reads version 1, not {shorten(version)}")

    def _mode(self, where: Entries, default: Mode) -> Mode:
        if "mode" not in where:
            return default
        mode = self.reading.value(where["mode"][1])
        if mode in MODES:
            return cast("Mode", mode)
        meant = did_you_mean(mode, MODES) if isinstance(mode, str) else ""
        self.reading.error(where["mode"][1], f"unknown mode {shorten(mode)}: one of {', '.join(MODES)}{meant}")
        return default

    # -- a rule -------------------------------------------------------------------------------------------------------

    def _rule(self, node: Node, mode: Mode, lines: dict[str, int]) -> Rule | None:
        keys = self.reading.mapping(node, "a rule", RULE)
        if not keys:
            return None
        kinds = self._kinds(node, keys)
        sources = self._sources(keys, kinds)
        where = tuple(self._where(keys["where"][1], kinds)) if "where" in keys else ()
        scope = Scope(frozenset(kinds))
        if "do" not in keys:
            self.reading.error(node, 'a rule needs "do": a list of steps')
        do = self.steps.read(keys["do"][1], scope) if "do" in keys else ()
        scope.after_failure = True
        on_failure = self.steps.read(keys["on_failure"][1], scope) if "on_failure" in keys else ()
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
            self.reading.error(node, 'a rule needs a "name"')
            return ""
        place = keys["name"][1]
        name = self.reading.value(place)
        if not isinstance(name, str) or not RULE_NAME.match(name):
            self.reading.error(place, f"{shorten(name)} is no name: up to 80 letters, digits, spaces, dots, dashes")
            return ""
        if name in lines:
            self.reading.error(place, f'duplicate rule name "{name}": the rule on line {lines[name]} has it already')
        lines.setdefault(name, place.start_mark.line + 1)
        return name

    def _kinds(self, node: Node, keys: Entries) -> list[str]:
        if "on" not in keys:
            self.reading.error(node, 'a rule needs "on": the kind of event that it answers')
            return []
        kinds: list[str] = []
        for place, kind in self.reading.texts(keys["on"][1], "on"):
            if kind not in KINDS:
                self.reading.error(place, f'unknown kind "{kind}"{did_you_mean(kind.rpartition(".")[2], KINDS)}')
                continue
            kinds.append(kind)
            if kind in RESERVED:
                self.reading.warn(place, f"this version announces no {kind}: the rule is never answered")
            family = KINDS[kind].family
            if family != "own" and not self.sections.names.get(family):
                self.reading.warn(place, f"nothing is declared under {family}, so no {kind} is ever heard")
        return kinds

    def _sources(self, keys: Entries, kinds: list[str]) -> frozenset[str]:
        if "from" not in keys:
            return frozenset()
        families = {KINDS[kind].family for kind in kinds}
        place = keys["from"][1]
        found: set[str] = set()
        for node, name in self.reading.texts(place, "from"):
            if name not in self.sections.families:
                self.reading.error(node, f'unknown source "{name}"{did_you_mean(name, self.sections.families)}')
                continue
            found.add(name)
            if families and self.sections.families[name] not in families:
                self.reading.error(
                    node, f'"{name}" ({self.sections.families[name]}) never announces {" or ".join(kinds)}'
                )
        heard = {self.sections.families[name] for name in found}
        for kind in kinds if heard else ():
            if KINDS[kind].family == "own":
                self.reading.error(place, f"{kind} is announced by the reactor itself: leave `from` out")
            elif KINDS[kind].family not in heard and heard & families:
                self.reading.error(place, f"none of these announces {kind}")
        return frozenset(found)

    # -- where --------------------------------------------------------------------------------------------------------

    def _where(self, node: Node, kinds: list[str]) -> Iterator[Condition]:
        for path, (key, operators) in self.reading.mapping(node, "where").items():
            parsed = parse_path(path)
            if parsed is None:
                self.reading.error(key, f"{shorten(path)} is not a path, such as data.modelTags['team.owner']")
                continue
            keys = canonical(parsed)
            check_field(self.reading, key, keys, frozenset(kinds))
            if not isinstance(operators, MappingNode):
                value = shorten(self.reading.value(operators))
                self.reading.error(operators, f"{path} needs an operator, such as {{StringIn: [...]}}, not {value}")
                continue
            for operator, (name, operand) in self.reading.mapping(operators, path).items():
                if operator not in OPERATORS:
                    self.reading.error(name, f'unknown operator "{operator}"{did_you_mean(operator, OPERATORS)}')
                    continue
                texts: list[Text] = []
                wanted = self.reading.value(operand, texts)
                for place, text in texts:
                    if templates.is_template(text):
                        self.reading.error(place, f"{shorten(text)}: a filter cannot have a template")
                    self.reading.setting(place, text)
                if OPERATORS[operator].accepts(wanted):
                    yield condition(path, keys, operator, wanted)
                else:
                    self.reading.error(operand, f"{operator} wants {OPERATORS[operator].wants}, not {shorten(wanted)}")
