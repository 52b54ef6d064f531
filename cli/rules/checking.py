"""`reactor rules check`: everything that is wrong with a rules file, where, and what stands there."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from cli.documents import print_json, read
from cli.tables import BOLD, DIM, RED, YELLOW, Paint, clean, count, measure, painter

if TYPE_CHECKING:
    from shared.rules import Problem, Rules

COLOURS = {"error": RED, "warning": YELLOW, "note": DIM}
WIDEST = 100
"""Characters of a line that are shown around its problem."""
LONGEST = 200
"""Characters that are given of the text that a problem is about."""
TOKEN = re.compile(r""""(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?|[^\s,:\[\]{}]+|\S""")
"""What stands at a column: a quoted text, a word, or one sign."""
SECRET = re.compile(
    r"""(?P<name>(?<![\w-])[\w-]*(?:key|password|secret|token|authorization|cookie|sig|code|url|container)["']?\s*[:=]\s*)
    (?P<value>"[^"]*"?|'[^']*'?|[^\s,&}\]]+(?:[ ](?![#])[^\s,&}\]:]+)*)""",
    re.IGNORECASE | re.VERBOSE,
)
"""A value that may be a secret, unless it names a setting."""


def check(options: Namespace) -> int:
    """Print every problem of a file and a summary; 1 where there are errors, and with --strict also for warnings."""
    from shared.handlers import ACTIONS
    from shared.rules import RulesError, load
    from shared.rules.unreadable import BREAK

    origin, text = str(options.file), read(options.file)
    rules: Rules | None = None
    try:
        rules = load(text, ACTIONS, origin)
        problems = list(rules.warnings)
    except RulesError as error:
        problems = error.problems
    source = BREAK.split(text)
    if options.json:
        found = [problem.json() | {"text": offending(source, problem)} for problem in problems]
        print_json({"file": origin, "valid": rules is not None, "problems": found})
    else:
        paint, is_terminal = painter(), sys.stdout.isatty()
        for problem in problems if rules else [problem for problem in problems if problem.level != "note"]:
            print(shown(problem, origin, paint))
            if is_terminal:
                print("\n".join(excerpt(source, problem, paint)))
        print(f"{origin}: {_summary(rules, problems)}")
    is_in_order = rules is not None and not (options.strict and any(one.level == "warning" for one in problems))
    return 0 if is_in_order else 1


def shown(problem: Problem, origin: str, paint: Paint) -> str:
    """Write a problem as compilers do: `rules.yaml:12:7: error: …`."""
    place, level = f"{origin}:{problem.line}:{problem.column}:", f"{problem.level}:"
    return f"{paint(BOLD, place)} {paint(COLOURS[problem.level], level)} {problem.message}"


def excerpt(source: list[str], problem: Problem, paint: Paint) -> Iterator[str]:
    """Write the line that a problem is about, and point to the place; what may be a secret is blotted out."""
    line = _line(source, problem)
    if not line.strip():
        return
    column = min(problem.column - 1, len(line))
    start = max(0, min(column - WIDEST // 2, len(line) - WIDEST))
    before, after = (
        clean(line[start:column].replace("\t", " ")),
        clean(line[column : start + WIDEST].replace("\t", " ")),
    )
    number = str(problem.line)
    token = TOKEN.match(after)
    width = measure(token[0]) if token else 1
    yield f"  {paint(DIM, f'{number} |')} {before}{after}"
    pointer = "^" + "~" * (width - 1)
    yield f"  {' ' * len(number)} {paint(DIM, '|')} {' ' * measure(before)}{paint(COLOURS[problem.level], pointer)}"


def offending(source: list[str], problem: Problem) -> str:
    """Give the text that a problem is about; what may be a secret is blotted out."""
    at = problem.column - 1
    token = TOKEN.match(_line(source, problem)[at : at + LONGEST])
    return token[0] if token else ""


def _line(source: list[str], problem: Problem) -> str:
    return _blot(source[problem.line - 1]) if problem.line <= len(source) else ""


@lru_cache(maxsize=4)
def _blot(line: str) -> str:
    return SECRET.sub(_blotted, line)


def _blotted(match: re.Match[str]) -> str:
    value = match["value"]
    return match[0] if "${" in value else f"{match['name']}{'*' * len(value)}"


def _summary(rules: Rules | None, problems: list[Problem]) -> str:
    counts = [
        count(sum(problem.level == level for problem in problems), level)
        for level in ("error", "warning")
        if any(problem.level == level for problem in problems)
    ]
    wrong = counts or ["nothing wrong"]
    return ", ".join(wrong if rules is None else [count(len(rules.rules), "rule"), *wrong])
