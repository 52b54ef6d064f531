"""How the demo looks on a terminal of a hundred columns: aligned, and coloured only where somebody looks at it."""

import os
import sys
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from textwrap import wrap

from dev.demo.ledger import Entry
from dev.demo.stories import Outcome, Story, actions
from shared.actions import Action, StepState

WIDTH = 100
BOLD, DIM, GREEN, RED, PLAIN = "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m"
ARROW = " → "
NOTHING = "–"


def paint(code: str, text: str) -> str:
    """Colour a text for a terminal, and leave it plain for anything else."""
    return f"{code}{text}{PLAIN}" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def say(text: str = "", *, indent: str = "  ") -> None:
    """Print prose."""
    for line in wrap(text, WIDTH - len(indent)) or [""]:
        print(f"{indent}{line}".rstrip(), flush=True)


def heading(text: str) -> None:
    """Begin a part."""
    print(f"\n{paint(BOLD, text)}", flush=True)


def moment(seconds: float, name: str, parts: Sequence[str], *, good: bool = True) -> None:
    """Print what happened when, to which story: parts with arrows between them, wrapped at the arrows."""
    indent = " " * 21
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


def told(story: Story, entry: Entry, entries: Sequence[Entry]) -> list[str]:
    """Say what happened to a story: the event, the rules, the steps with what came of each."""
    event = entry.event
    if event.status != "planned":
        return [f"{story.kind or 'message'} {story.about}", f"{event.status}: {event.reason}"]
    parts = [f"{story.kind} {story.about}"]
    answers = list(actions(entry, entries))
    if not answers:
        return [*parts, "recorded: no rule matches"]
    for action in answers:
        parts += [action.rule, *(step(state) for state in action.progress)]
    ended = max((action.ended for action in answers if action.ended), default=event.received)
    parts[-1] += f"  {max((ended - event.received).total_seconds(), 0):.0f} s"
    return parts


def step(state: StepState) -> str:
    """Say what came of a step, with the name of what it made."""
    words = (state.action, made(state), (state.outcome or "open").capitalize())
    return " ".join(word for word in words if word)


def made(state: StepState) -> str:
    """Name what a step made."""
    result, params = state.result, state.params or {}
    if "run_id" in result:
        return f"{params['pipeline']}-{result['run_id'][:4]}"
    if "stored" in result:
        return f"{len(result['stored'])} stored"
    return str(result.get("deployment") or params.get("channel") or params.get("to") or "")


def why(action: Action) -> str:
    """Say why an action failed."""
    return action.failure.reason if action.failure else ""


def table(stories: Iterable[Story], found: Iterable[Outcome]) -> None:
    """Print event → rule → steps → outcome, a line for each rule, with what is not as it must be."""
    rows: list[tuple[str, str, str, str, bool]] = []
    for story, outcome in zip(stories, found, strict=True):
        good = outcome == story.outcome
        head = f"{story.kind or 'malformed'} {story.about}"
        if not outcome.answers:
            rows.append((head, NOTHING, NOTHING, WORDS.get(outcome.event, outcome.event), good))
        for answer in outcome.answers:
            steps = ", ".join(each.partition(" ")[0] for each in answer.steps)
            rows.append((head, answer.rule, steps, answer.status, good))
            head = "  then ActionFailed" if answer.status == "failed" else "  and"
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    print(paint(DIM, "  " + "   ".join(f"{name:<{width}}" for name, width in zip(HEADS, widths, strict=False))) +
          paint(DIM, "   outcome"))  # fmt: skip
    for event, rule, steps, status, good in rows:
        cells = "   ".join(f"{cell:<{width}}" for cell, width in zip((event, rule, steps), widths, strict=True))
        print(f"  {cells}   {paint(GREEN if good else RED, status if good else f'{status}: NOT AS IT MUST BE')}")


HEADS = ("event", "rule", "steps")
WORDS = {"planned": "recorded"}


def difference(story: Story, found: Outcome) -> list[str]:
    """Say where an outcome departs from what must come of a story."""
    lines = [f"{story.name}: the event must be {story.outcome.event} and is {found.event}"] * (
        found.event != story.outcome.event
    )
    if found.because != story.outcome.because:
        lines.append(f"{story.name}: the reason must name {story.outcome.because!r} and is {found.because!r}")
    for expected, came in zip_longest(story.outcome.answers, found.answers):
        if expected != came:
            lines.append(f"{story.name}: expected {expected}, found {came}")
    return lines
