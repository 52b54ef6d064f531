"""Says in plain words why a text is not YAML: libyaml's own speak of its grammar, and rarely of what was written."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

from shared.rules.problems import Problem

BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What ends a line for libyaml."""
INDENTED = "this line is indented like no line of the block that it belongs to"
NO_END = "the {opens} on line {since} is not closed before this, or a comma is missing"
WORDS: tuple[tuple[str, str], ...] = (
    ("unexpected ':'", "a key has a space after its colon, and a text with a colon is in quotes"),
    ("tab character", "a tab: YAML is indented with spaces"),
    ("block sequence entries", "a list begins on a line of its own, or is written as [a, b]"),
    ("expected '-'", "this line is part of the list above it and not an element: begin it with - or indent it further"),
    ("unknown escape", "in double quotes a backslash is written twice; in single quotes it stands for itself"),
    ("<document start>", "this line is indented less than the file's first key: they begin in the same column"),
    ("undefined alias", "found undefined alias: put a text that begins with * in quotes"),
    ("alphabetic or numeric", "a text that begins with * or & must be in quotes"),
    ("comment or line break", "a text after | or > begins on the next line; put one that begins with them in quotes"),
    ("second occurrence", "this anchor (&name) stands further up already"),
    ("mapping keys", "a text that begins with ? must be in quotes"),
    ("another document", "another document begins here, and a rules file is one: leave --- out"),
    ("',' or ']'", NO_END.replace("{opens}", "[")),
    ("',' or '}'", NO_END.replace("{opens}", "{{")),
)
"""Part of libyaml's words to ours; {since} is the line on which what it was reading began."""
NEVER_CLOSED = (
    ("']'", "the [ that begins here is never closed"),
    ("'}'", "the { that begins here is never closed"),
)
"""The same at the end of a file."""


def unreadable(error: yaml.YAMLError | UnicodeError, text: str) -> Problem:
    """Say in one line where libyaml stopped, and why, as far as can be told."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        position = getattr(error, "position", None)
        before = text[:position] if isinstance(position, int) else ""
        reason = str(getattr(error, "reason", error)).splitlines()[0]
        line_start = before.rfind("\n") + 1
        return Problem(before.count("\n") + 1, len(before) - line_start + 1, f"this is not YAML: {reason}")
    lines = BREAK.split(text)
    place, words = _in_words(error, mark, lines)
    if place.line >= len(lines):  # libyaml adds the line break that a file should end with
        return Problem(len(lines), len(lines[-1]) + 1, f"this is not YAML: {words}")
    return Problem(place.line + 1, place.column + 1, f"this is not YAML: {words}")


def _in_words(error: object, mark: Any, lines: list[str]) -> tuple[Any, str]:
    """Give the place that is to blame, and why."""
    problem, context = (str(getattr(error, name, None) or "") for name in ("problem", "context"))
    since = getattr(error, "context_mark", None) or mark
    line = lines[mark.line] if mark.line < len(lines) else ""
    for part, say in SAID.items():
        if part in problem:
            return since if part in AT_BEGINNING else mark, say(line, mark.column, context)
    is_at_end = not "\n".join(lines[mark.line :])[mark.column :].strip()
    for part, words in NEVER_CLOSED if is_at_end else ():
        if part in problem:
            return since, words
    if problem.startswith("did not find expected ','") and SECOND_COLON.search(line[: mark.column + 1]):
        return mark, COLON
    for part, words in WORDS:
        if part in problem:
            return mark, words.format(since=since.line + 1)
    return mark, ", ".join(filter(None, (problem, context)))


HARMLESS = frozenset({"title", "text", "reason", "name"})
"""Keys whose text is shown: it is no secret."""


SECOND_COLON = re.compile(r"(?:^|[\[{,])[^\[{,:]+:\s+[^\s\[{,:\"']+:\Z")
"""A key within braces, and one word before another colon; after two words a comma could be missing."""
COLON = 'a text with ": " in it must be in quotes'


def _second_colon(line: str, column: int, _context: str) -> str:
    before = line[:column]
    if re.search(r":\s", before):
        key, _, text = line.strip().lstrip("- ").partition(": ")
        write = f': {key}: "{text}"' if key in HARMLESS and not set(text) & set("\"\\'{}[],#") else ""
        return f"{COLON}{write}"
    return "this line is indented deeper than the key above it, which has a value already"


def _no_start(line: str, column: int, _context: str) -> str:
    character = line[column : column + 1]
    if character == "\t":
        return "a tab: YAML is indented with spaces"
    return (
        f"a text that begins with {character} must be in quotes" if character.isprintable() else "a control character"
    )


def _no_key(line: str, column: int, context: str) -> str:
    if line[:column].strip(" -"):
        return "something follows the end of a value: put the whole of it in one pair of quotes"
    return INDENTED if "block mapping" in context else "a key is missing"


def _no_content(line: str, column: int, _context: str) -> str:
    character = line[column : column + 1]
    return f"this {character} closes nothing" if character in {"]", "}"} else "a value is missing"


def _no_colon(_line: str, _column: int, _context: str) -> str:
    return "this is no `key: value`, and no part of what stands above it"


def _no_end(_line: str, _column: int, context: str) -> str:
    return "the quote that begins here is never closed" if "quoted" in context else "the file ends too early"


Say = Callable[[str, int, str], str]
SAID: dict[str, Say] = {
    "mapping values are not allowed": _second_colon,
    "cannot start any token": _no_start,
    "expected key": _no_key,
    "expected node content": _no_content,
    "could not find expected ':'": _no_colon,
    "unexpected end of stream": _no_end,
}
"""Part of libyaml's words to how ours depend on the line, the column and what it was reading."""
AT_BEGINNING = frozenset({"could not find expected ':'", "unexpected end of stream"})
"""Noticed too late: what is wrong is where libyaml began to read it."""
