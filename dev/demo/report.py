"""How the demo looks on a terminal of a hundred columns: aligned, and coloured only where somebody looks at it."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from textwrap import wrap
from typing import Any

from dev.demo.ledger import Entry
from dev.demo.story import Outcome, Story, actions
from shared.actions import Action, StepState

WIDTH = 100
BOLD, DIM, GREEN, RED, PLAIN = "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m"
ARROW = " → "
NOTHING = "-"
INDENT = 23
ARM_ID = re.compile(r"/subscriptions/\S+/")


def paint(code: str, text: str) -> str:
    """Colour a text for a terminal, and leave it plain for anything else."""
    return f"{code}{text}{PLAIN}" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def say(text: str = "", *, indent: str = "  ") -> None:
    """Print prose."""
    for line in wrap(text, WIDTH - len(indent)) or [""]:
        print(f"{indent}{line}".rstrip(), flush=True)


def count(number: int, what: str) -> str:
    """Say how many there are of something."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def heading(text: str) -> None:
    """Begin a part."""
    print(f"\n{paint(BOLD, text)}", flush=True)


def moment(seconds: float, name: str, parts: Sequence[str], *, good: bool = True) -> None:
    """Print what happened when, to which story: parts with arrows between them, wrapped at the arrows."""
    indent = " " * INDENT
    lines, line = [], parts[0]
    for part in parts[1:]:
        if len(indent) + len(line) + len(ARROW) + len(part) > WIDTH:
            lines.append(line)
            line = f"{ARROW.lstrip()}{part}"
        else:
            line += f"{ARROW}{part}"
    first, *others = [*lines, line]
    print(f"  {paint(DIM, f'{seconds:5.1f} s')}  {paint(BOLD if good else RED, f'{name:<10}')}  {first}", flush=True)
    for other in others:
        print(f"{indent}{other}", flush=True)


def told(story: Story, entry: Entry, entries: Sequence[Entry], since: datetime) -> list[str]:
    """Say what happened to a story: the event, the rules, the steps with what came of each, and how long it took."""
    event = entry.event
    if event.status != "planned":
        return [f"{story.kind or 'message'} {story.about}", f"{event.status}: {ARM_ID.sub('…/', event.reason)}"]
    parts = [f"{story.kind} {story.about}"]
    answers = list(actions(entry, entries))
    if not answers:
        return [*parts, "recorded: no rule matches"]
    for action in answers:
        parts += [action.rule, *(step(state, action) for state in action.progress), *why(action)]
    ended = max((action.ended for action in answers if action.ended), default=since)
    parts[-1] += f"  {max((ended - since).total_seconds(), 0):.0f} s"
    return parts


def step(state: StepState, action: Action) -> str:
    """Say what came of a step, with the name of what it made."""
    words = (state.action, made(state), (state.outcome or action.status.value).capitalize())
    return " ".join(word for word in words if word)


def why(action: Action) -> list[str]:
    """Say why an action did not do what its rule says, as far as a line goes."""
    words = ARM_ID.sub("…/", action.reason)
    lines = wrap(words, WIDTH - INDENT - len(ARROW), max_lines=3, placeholder=" …")
    return [f"\n{' ' * (INDENT + len(ARROW) - 1)}".join(lines)] if lines else []


NAMED = {"train.vision": "name", "publish.vision": "name", "export.vision": "name"}
"""Step to the result that names what it made, where that is no deployment."""


def _rollout(result: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    reached = result["steps"][: result["at"]]
    return f"{result['deployment']} at {', '.join(str(step[result['deployment']]) for step in reached)} %"


MADE: Sequence[tuple[set[str], Callable[[Mapping[str, Any], Mapping[str, Any]], str]]] = (
    ({"replicated"}, lambda result, _: f"{result['project']} {', '.join(result['replicated'])}"),
    ({"model", "version"}, lambda result, _: f"{result['model']}:{result['version']}"),
    ({"job"}, lambda result, _: str(result["job"])[:20]),
    ({"run_id"}, lambda result, params: f"{params['pipeline']}-{result['run_id'][:4]}"),
    ({"steps", "previous"}, _rollout),
    ({"stored"}, lambda result, _: f"{len(result['stored'])} stored"),
)
"""What a result has to hold, to how what was made is named then, of the result and the parameters."""


def made(state: StepState) -> str:
    """Name what a step made."""
    result, params = state.result, state.params or {}
    for needed, say in MADE:
        if needed <= result.keys():
            return say(result, params)
    return str(result.get(NAMED.get(state.action, "deployment")) or params.get("channel") or params.get("to") or "")


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    event: str
    rule: str
    steps: str
    outcome: str
    good: bool

    @property
    def cells(self) -> tuple[str, str, str]:
        """What is aligned."""
        return self.event, self.rule, self.steps


HEAD = Row("event", "rule", "steps", "outcome", good=True)


def table(stories: Iterable[Story], found: Iterable[Outcome]) -> None:
    """Print event → rule → steps → outcome, a line for each rule."""
    rows = [HEAD, *(row for story, outcome in zip(stories, found, strict=True) for row in rows_of(story, outcome))]
    widths = [max(map(len, column)) for column in zip(*(row.cells for row in rows), strict=True)]
    for row in rows:
        cells = "  ".join(f"{cell:<{width}}" for cell, width in zip(row.cells, widths, strict=True))
        colour = DIM if row is HEAD else GREEN if row.good else RED
        print(f"  {cells}  {paint(colour, row.outcome if row.good else f'{row.outcome} (not as it must be)')}")


def rows_of(story: Story, outcome: Outcome) -> Iterator[Row]:
    """Give a story's lines: one for each rule that answered it, and one where none did."""
    good = outcome == story.outcome
    head = f"{story.kind or 'message'} {story.about}"
    if not outcome.answers:
        yield Row(head, NOTHING, NOTHING, WORDS.get(outcome.event, outcome.event), good)
    for answer in outcome.answers:
        steps = ", ".join(each.partition(" ")[0] for each in answer.steps) or NOTHING
        yield Row(head, answer.rule, steps, answer.status, good)
        head = "  then ActionFailed" if answer.status == "failed" else "  and"


WORDS = {"planned": "recorded"}


def trouble(entries: Iterable[Entry]) -> Iterator[str]:
    """Say of each action that is not over what it was about, and what is wrong with it."""
    for entry in entries:
        for action in entry.actions:
            state = action.progress[-1] if action.progress else None
            why = action.error or (state and (state.trouble or state.note)) or "it was never performed"
            if not action.announced:
                at = f"step {state.id}, stage {state.stage}: " if state else ""
                yield f"{action.rule} is still {action.status} at number {action.seq}: {at}{why}"


def difference(story: Story, found: Outcome) -> list[str]:
    """Say where an outcome departs from what must come of a story."""
    lines = []
    if (found.event, found.times) != (story.outcome.event, story.outcome.times):
        lines.append(f"{story.name}: must be {story.outcome.event} once, is {found.event} {found.times} times")
    if found.because != story.outcome.because:
        lines.append(f"{story.name}: the reason must name {story.outcome.because!r} and is {found.because!r}")
    for expected, came in zip_longest(story.outcome.answers, found.answers):
        if expected != came:
            lines.append(f"{story.name}: expected {expected}, found {came}")
    return lines
