"""`reactor rules check` and `reactor rules explain`."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli import live
from cli.errors import UsageError
from shared import parse
from shared.errors import MalformedError
from shared.events import OWN_TYPE, Event
from shared.handlers import ACTIONS
from shared.parse.wire import read_message, refuse
from shared.rules import Explanation, Problem, RuleExplanation, Rules, RulesError, load

BOLD, DIM, GREEN, PLAIN = "\033[1m", "\033[2m", "\033[32m", "\033[0m"


def add_commands(groups: Any) -> None:
    """Add `reactor rules …` to the parser."""
    rules = groups.add_parser("rules", help="check a rules file, or explain what it does with an event")
    commands = rules.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser("check", help="report everything that is wrong with a rules file")
    one.add_argument("file", nargs="?", type=Path, default=Path("rules.yaml"), metavar="FILE", help="rules.yaml")
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=check)

    one = commands.add_parser("explain", help="say which rules answer an event, what they do, and why others do not")
    one.add_argument("--rules", type=Path, required=True, metavar="FILE", help="the rules file")
    one.add_argument(
        "--event", type=Path, required=True, metavar="FILE", help="one event, an array of events, or a notification"
    )
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=explain)

    live.add_commands(commands)


def check(options: Namespace) -> int:
    """Print every problem of a file and a summary; 1 where there are errors."""
    origin = str(options.file)
    rules: Rules | None = None
    try:
        rules = load(_read(options.file), ACTIONS, origin)
        problems = list(rules.warnings)
    except RulesError as error:
        problems = error.problems
    if options.json:
        _print_json({"file": origin, "valid": rules is not None, "problems": [problem.json() for problem in problems]})
    else:
        for problem in problems:
            print(problem.show(origin))
        print(f"{origin}: {_summary(rules, problems)}")
    return 0 if rules is not None else 1


def _summary(rules: Rules | None, problems: list[Problem]) -> str:
    counts = [
        _count(sum(problem.level == level for problem in problems), level)
        for level in ("error", "warning")
        if any(problem.level == level for problem in problems)
    ]
    wrong = counts or ["nothing wrong"]
    return ", ".join(wrong if rules is None else [_count(len(rules.rules), "rule"), *wrong])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def explain(options: Namespace) -> int:
    """Print what the rules make of an event, or of each event of an array."""
    try:
        rules = load(_read(options.rules), ACTIONS, str(options.rules)).bind(os.environ)
    except RulesError as error:
        print(error, file=sys.stderr)
        return 1
    events = read_events(_read(options.event), str(options.event))
    explained = [rules.explain(event) for event in events] if isinstance(events, list) else rules.explain(events)
    if options.json:
        _print_json([one.json() for one in explained] if isinstance(explained, list) else explained.json())
        return 0
    for warning in rules.warnings:
        print(warning.show(str(options.rules)), file=sys.stderr)
    paint = _paint if sys.stdout.isatty() and "NO_COLOR" not in os.environ else leave
    for one in explained if isinstance(explained, list) else [explained]:
        print("\n".join(lines(one, paint)))
    return 0


# -- event files ------------------------------------------------------------------------------------------------------


def read_events(text: str, origin: str) -> Event | list[Event]:
    """Read one event, or a list where the file holds an array; UsageError says what it holds instead."""
    try:
        message = read_message(text)
        if isinstance(message, list):
            return [_read_event(one) for one in message]
        return _read_event(message)
    except MalformedError as error:
        raise UsageError(f"{origin} holds no event: {error}") from error


def _read_event(message: Any) -> Event:
    """Tell by its fields which door a message would come through, and parse it as that door does."""
    if not isinstance(message, dict):
        refuse(message, "an event", "")
    names = {name.lower() for name in message}
    if names & {"eventtype", "specversion"}:
        door = parse.event_grid
    elif "content" in names:
        door = parse.vision_notification
    elif "type" in names and str(message.get("type")).startswith(OWN_TYPE):
        door = parse.own
    else:
        door = parse.event_grid
    return door(json.dumps(message))


# -- for people -------------------------------------------------------------------------------------------------------


def lines(explanation: Explanation, paint: Any) -> Iterator[str]:
    """Write an explanation: the event, then each rule in the order of the file."""
    event = explanation.event
    kinds = ", ".join(sorted(event.kinds)) or f"no kind that a rule can hear ({event.type})"
    yield paint(BOLD, f"{kinds}  {event.subject}")
    yield f"from {event.source}"
    if explanation.refused:
        yield paint(BOLD, explanation.refused)
    yield ""
    width = max((len(explained.rule.name) for explained in explanation.rules), default=0)
    for explained in explanation.rules:
        name = explained.rule.name.ljust(width)
        if explained.because is None:
            mode = "" if explained.rule.mode == "live" else "  (dry run: nothing is touched)"
            yield f"  {paint(GREEN, 'yes')}  {name}{mode}".rstrip()
            yield from _steps(explained, event)
        else:
            yield paint(DIM, f"  no   {name}  {explained.because.show()}")
    yield ""


def _steps(explained: RuleExplanation, event: Event) -> Iterator[str]:
    for step in explained.json(event)["steps"]:
        title = step["action"] if step["id"] == step["action"] else f"{step['action']} ({step['id']})"
        yield f"         {title}"
        width = max(map(len, step["params"]), default=0)
        for name, value in step["params"].items():
            yield f"           {name.ljust(width)}  {value if isinstance(value, str) else _short(value)}"
        if "error" in step:
            yield f"           cannot be done: {step['error']}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 100 else f"{text[:99]}…"


def _paint(code: str, text: str) -> str:
    return f"{code}{text}{PLAIN}"


def leave(_code: str, text: str) -> str:
    """Paint nothing: for a reader that is no terminal."""
    return text


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8: byte {error.start}") from error
