"""From the text of a rules file to `Rules`, or to everything that is wrong with it at once.

One pass over libyaml's nodes. Nothing is looked up, read or asked here: which actions exist is an argument,
and a step's parameters are checked by the pydantic model that its action names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import cast

from yaml import MappingNode, Node, SequenceNode

from shared.rules.document import compose
from shared.rules.doubts import Written, doubt_rules
from shared.rules.kinds import KINDS
from shared.rules.limits import Limits
from shared.rules.match import Rules
from shared.rules.problems import Problem, RulesError, did_you_mean, shorten
from shared.rules.reading import Entries, Reading, written
from shared.rules.rule import Mode, Rule
from shared.rules.scope import Scope
from shared.rules.sections import SECTIONS, Sections, nearest
from shared.rules.steps import Steps
from shared.rules.where import read_where

TOP = ("version", "mode", *SECTIONS, "rules")
RULE = ("name", "on", "from", "where", "limit", "cancel_on", "expect", "mode", "do", "on_failure")
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
        self.limits = Limits(reading, self.sections)
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
            written = [one for node in top["rules"][1].value if (one := self._rule(node, mode, lines))]
            doubt_rules(self.reading, written)
            rules = [one.rule for one in written]
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

    def _rule(self, node: Node, mode: Mode, lines: dict[str, int]) -> Written | None:
        keys = self.reading.mapping(node, "a rule", RULE)
        if not keys:
            if isinstance(node, MappingNode) and not node.value:
                self.reading.error(node, 'a rule is empty: it needs "name", "on" and "do"')
            return None
        kinds = self._kinds(node, keys)
        sources = self._sources(keys, kinds)
        scope = Scope(frozenset(kinds), sources=sources, has_filter="where" in keys)
        where = read_where(self.reading, keys, scope.kinds)
        limit = self.limits.limit(keys["limit"][1], scope.kinds) if "limit" in keys else None
        cancel_on = self.limits.cancel_on(keys["cancel_on"][1], scope.kinds, limit) if "cancel_on" in keys else None
        expect = self.limits.expect(keys["expect"][1], scope.kinds) if "expect" in keys else None
        scope.has_digest = "limit" in keys and "digest" in written(keys["limit"][1])
        if "do" not in keys and "expect" not in keys:
            self.reading.error(node, 'a rule needs "do", a list of steps, or "expect"')
        elif "do" not in keys and "on_failure" in keys:
            self.reading.warn(keys["on_failure"][0], "there is no `do` whose failure on_failure could answer")
        do = self.steps.read(keys["do"][1], scope) if "do" in keys else ()
        scope.after_failure = True
        on_failure = self.steps.read(keys["on_failure"][1], scope) if "on_failure" in keys else ()
        rule = Rule(
            name=self._name(node, keys, lines),
            kinds=scope.kinds,
            sources=sources,
            where=where,
            mode=self._mode(keys, mode),
            do=do,
            on_failure=on_failure,
            limit=limit,
            cancel_on=cancel_on,
            expect=expect,
            line=node.start_mark.line + 1,
        )
        return Written(rule, node, keys)

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
        return self.sections.kinds(keys["on"][1], "on")

    def _sources(self, keys: Entries, kinds: list[str]) -> frozenset[str]:
        if "from" not in keys:
            return frozenset()
        families = {KINDS[kind].family for kind in kinds}
        place = keys["from"][1]
        found: set[str] = set()
        for node, name in self.reading.texts(place, "from"):
            if name not in self.sections.families:
                self.reading.error(node, f'unknown source "{name}"{nearest(name, self.sections.families)}')
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
