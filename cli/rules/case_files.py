"""Case files: an event, and what a rules file should make of it. Each problem is told with its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from cli import samples
from cli.event_files import utc_time
from shared.policy import read_duration
from shared.rules import Problem
from shared.rules.document import compose
from shared.rules.problems import did_you_mean, shorten
from shared.rules.reading import Entries, Reading

CASE = ("says", "rules", "settings", "event", "events", "steps", "failure", "others", "expect")
TURN = ("at", "after", "event", "steps", "failure", "expect")
SAMPLE = ("kind", "from", "subject", "time", "id", "data", "facts")
FAILURE = ("step", "reason", "remedy")
ANSWER = ("do", "on_failure", "no")
NO, YES = ("no", "nothing", False), ("yes", True)
MISSED = "missed"
OTHERS = ("refused", "allowed")


class CaseError(Exception):
    """A case that cannot be judged; `problems` says why."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(problem.message for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class WantedStep:
    """A step that should be done, with those of its parameters that matter."""

    line: int
    action: str
    id: str | None
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a case wants of one rule."""

    line: int
    rule: str
    answers: bool
    because: str = ""
    """Where it should not answer: the path that should be against it."""
    do: tuple[WantedStep, ...] | None = None
    """None where any steps will do."""
    on_failure: tuple[WantedStep, ...] | None = None
    missed: bool = False
    """Where what the rule expects should not have come by now."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One event, or only time that passes."""

    line: int
    at: datetime | None
    after: timedelta | None
    event: Any
    """As it comes over the wire, or the short form; None where only time passes."""
    event_line: int
    steps: dict[str, Any] | None
    failure: dict[str, str] | None
    expect_line: int
    wanted: tuple[Wanted, ...]


@dataclass(slots=True)
class Case:
    """One file."""

    path: Path
    says: str = ""
    rules: Path | None = None
    """Another file than that which stands nearest above."""
    inline: str | None = None
    """The rules themselves, on the lines that they have in the file."""
    settings: dict[str, str] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    others_allowed: bool = False

    @property
    def name(self) -> str:
        """What people call it."""
        return self.path.stem


def read_case(path: Path, text: str) -> Case:
    """Read a case; CaseError lists everything that is wrong with it."""
    reading = Reading()
    case = Case(path)
    root = compose(text, reading.problems)
    if root is not None:
        _Reader(reading, case, text).file(root)
    elif not reading.problems:
        reading.problems.append(Problem(1, 1, 'the file is empty: a case needs "event" and "expect"'))
    if reading.problems:
        raise CaseError(sorted(set(reading.problems)))
    return case


@dataclass(slots=True)
class _Reader:
    reading: Reading
    case: Case
    text: str

    def file(self, root: Node) -> None:
        """Read the whole."""
        top = self.reading.mapping(root, "a case", CASE)
        if not top:
            return
        self.case.says = self._text(top, "says")
        self._rules(top)
        self.case.settings = {name: str(value) for name, value in self._plain(top, "settings").items()}
        others = self._text(top, "others") or "refused"
        if others not in OTHERS:
            meant = did_you_mean(others, OTHERS)
            self.reading.error(top["others"][1], f"others is refused or allowed, not {shorten(others)}{meant}")
        self.case.others_allowed = others == "allowed"
        if "events" not in top:
            if "event" not in top:
                self.reading.error(root, 'a case needs "event", or "events" where several follow each other')
            self.case.turns = [self._turn(root, top)]
            return
        for name in ("event", "expect"):
            if name in top:
                self.reading.error(top[name][0], f'"{name}" belongs into the items of "events" here')
        items = top["events"][1]
        if not isinstance(items, SequenceNode) or not items.value:
            self.reading.error(items, "events must be a list of mappings with event and expect")
            return
        shared = self._plain(top, "steps") if "steps" in top else None
        failure = self._failure(top)
        for item in items.value:
            turn = self._turn(item, self.reading.mapping(item, "an item of events", TURN), is_item=True)
            steps = turn.steps if shared is None else shared | (turn.steps or {})
            self.case.turns.append(replace(turn, steps=steps, failure=turn.failure or failure))

    def _rules(self, top: Entries) -> None:
        if "rules" not in top:
            return
        node = top["rules"][1]
        value = self.reading.value(node) if isinstance(node, ScalarNode) else None
        if isinstance(node, MappingNode):
            start, end = node.start_mark, node.end_mark
            self.case.inline = "\n" * start.line + " " * start.column + self.text[start.index : end.index]
        elif isinstance(value, str) and "\n" in value:
            self.case.inline = "\n" * (node.start_mark.line + 1) + value
        elif isinstance(value, str) and value:
            self.case.rules = self.case.path.parent / value
        else:
            self.reading.error(node, "rules must be the path of a rules file, or what would stand in one")

    def _turn(self, node: Node, keys: Entries, *, is_item: bool = False) -> Turn:
        at = after = None
        if "at" in keys:
            at = self._time(keys["at"][1])
        if "after" in keys:
            place = keys["after"][1]
            value = self.reading.value(place)
            try:
                after = read_duration(str(value))
            except ValueError as error:
                self.reading.error(place, f"after {error}, not {shorten(value)}")
        if "expect" not in keys and not (is_item and "event" in keys):
            self.reading.error(node, '"expect" is missing: each rule by its name, with its steps, or `no`')
        if is_item and "event" not in keys and after is None and at is None:
            self.reading.error(node, 'an item of events needs "event", or "after" where only time passes')
        event = self.reading.value(keys["event"][1]) if "event" in keys else None
        if "event" in keys and not isinstance(event, dict | list | str):
            self.reading.error(keys["event"][1], f"event must be an event or a file, not {shorten(event)}")
        if isinstance(event, dict) and "kind" in event:
            self._sample(keys["event"][1])
        return Turn(
            line=node.start_mark.line + 1,
            at=at,
            after=after,
            event=event,
            event_line=(keys["event"][1] if "event" in keys else node).start_mark.line + 1,
            steps=self._plain(keys, "steps") if "steps" in keys else None,
            failure=self._failure(keys),
            expect_line=(keys["expect"][0] if "expect" in keys else node).start_mark.line + 1,
            wanted=tuple(self._expect(keys["expect"][1])) if "expect" in keys else (),
        )

    def _sample(self, node: Node) -> None:
        """Check the short form of an event."""
        keys = self.reading.mapping(node, "an event of a kind", SAMPLE)
        kind = self.reading.value(keys["kind"][1]) if "kind" in keys else None
        if not isinstance(kind, str) or kind not in samples.SAMPLES:
            meant = did_you_mean(str(kind), samples.SAMPLES)
            self.reading.error(keys["kind"][1], f"unknown kind {shorten(kind)}{meant}")
            return
        self._fields(keys, kind)
        for name in ("from", "subject", "id"):
            self._text(keys, name)
        if "time" in keys:
            self._time(keys["time"][1])

    def _fields(self, keys: Entries, kind: str) -> None:
        """Check that a kind has the fields that are changed: a misspelt one would test something else."""
        for name in ("data", "facts"):
            if given := self._plain(keys, name):
                places = self.reading.mapping(keys[name][1], name)
                for field_, message in samples.unknown(kind, name, map(str, given)):
                    self.reading.error(places[field_][0] if field_ in places else keys[name][0], message)

    def _failure(self, keys: Entries) -> dict[str, str] | None:
        if "failure" not in keys:
            return None
        given = self.reading.mapping(keys["failure"][1], "failure", FAILURE)
        return {"step": "", "reason": "it failed", "remedy": ""} | {name: self._text(given, name) for name in given}

    # -- what is expected ---------------------------------------------------------------------------------------------

    def _expect(self, node: Node) -> Iterator[Wanted]:
        if isinstance(node, SequenceNode) and not node.value:
            return
        for rule, (key, answer) in self.reading.mapping(node, "expect").items():
            line = key.start_mark.line + 1
            if isinstance(answer, MappingNode):
                yield self._answer(line, rule, answer)
            elif isinstance(answer, SequenceNode):
                steps = tuple(self._steps(answer))
                yield Wanted(line, rule, answers=bool(answer.value), do=steps)
            else:
                value = self.reading.value(answer)
                if value == MISSED:
                    yield Wanted(line, rule, answers=False, missed=True)
                    continue
                if value not in (*NO, *YES) or isinstance(value, int) != isinstance(value, bool):
                    self.reading.error(answer, f"{rule} needs its steps, yes, no or missed, not {shorten(value)}")
                yield Wanted(line, rule, answers=value in YES)

    def _answer(self, line: int, rule: str, node: Node) -> Wanted:
        keys = self.reading.mapping(node, rule, ANSWER)
        if "no" in keys:
            if len(keys) > 1:
                self.reading.error(node, f"{rule} either answers, or does not")
            return Wanted(line, rule, answers=False, because=self._text(keys, "no"))
        do, on_failure = (tuple(self._steps(keys[name][1])) if name in keys else None for name in ("do", "on_failure"))
        return Wanted(line, rule, answers=True, do=do, on_failure=on_failure)

    def _steps(self, node: Node) -> Iterator[WantedStep]:
        if not isinstance(node, SequenceNode):
            self.reading.error(node, f"steps must be a list, not {shorten(self.reading.value(node))}")
            return
        for item in node.value:
            line = item.start_mark.line + 1
            value = self.reading.value(item)
            if isinstance(value, str):
                yield WantedStep(line, value, None, {})
            elif isinstance(value, dict) and len(value) == 1 and isinstance(params := next(iter(value.values())), dict):
                yield WantedStep(
                    line, next(iter(value)), params.get("id"), {k: v for k, v in params.items() if k != "id"}
                )
            else:
                self.reading.error(item, f"a step is an action, or action: {{parameters}}, not {shorten(value)}")

    # -- values -------------------------------------------------------------------------------------------------------

    def _plain(self, keys: Entries, name: str) -> dict[str, Any]:
        """Read a mapping as plain data; an empty one where there is none."""
        if name not in keys:
            return {}
        value = self.reading.value(keys[name][1])
        if isinstance(value, dict):
            return value
        self.reading.error(keys[name][1], f"{name} must be a mapping, not {shorten(value)}")
        return {}

    def _text(self, keys: Entries, name: str) -> str:
        if name not in keys:
            return ""
        value = self.reading.value(keys[name][1])
        if isinstance(value, str):
            return value
        self.reading.error(keys[name][1], f"{name} must be a text, not {shorten(value)}")
        return ""

    def _time(self, node: Node) -> datetime | None:
        value = self.reading.value(node)
        time = utc_time(str(value))
        if time is None:
            self.reading.error(node, f"must be a time, such as 2026-03-02T08:15:00Z, not {shorten(value)}")
        return time
