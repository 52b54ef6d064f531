"""What is wrong with a rules file: where, what, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal

from shared.errors import PermanentError

MOST_COMPARED = 300
"""Known words that a wrong one is compared with: comparing takes longer than reading."""

Level = Literal["error", "warning", "note"]
"""A note is about something that is in order, and worth knowing."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to put right; lines and columns count from 1."""

    line: int
    column: int
    message: str
    level: Level = "error"

    def show(self, origin: str) -> str:
        """Write it as compilers do, so that editors can jump there: `rules.yaml:12:7: error: …`."""
        return f"{origin}:{self.line}:{self.column}: {self.level}: {self.message}"

    def json(self) -> dict[str, Any]:
        """Give it as plain data."""
        return asdict(self)


class RulesError(PermanentError):
    """A rules file that cannot be used; `problems` holds everything found, warnings included, in file order."""

    def __init__(self, problems: Sequence[Problem], origin: str) -> None:
        super().__init__("\n".join(problem.show(origin) for problem in problems))
        self.problems = list(problems)
        self.origin = origin


ELSEWHERE = {
    "equals": "StringIn",
    "eq": "StringIn",
    "stringequals": "StringIn",
    "in": "StringIn",
    "startswith": "StringBeginsWith",
    "beginswith": "StringBeginsWith",
    "stringstartswith": "StringBeginsWith",
    "prefix": "StringBeginsWith",
    "endswith": "StringEndsWith",
    "suffix": "StringEndsWith",
    "contains": "StringContains",
    "notequals": "StringNotIn",
    "exists": "IsNotNull",
}
"""What other rule languages call Event Grid's operators."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the nearest known word, as ` (did you mean "…"?)`, or nothing; never the opposite of what is written."""
    import difflib

    by_lower = {name.lower(): name for name in islice(known, MOST_COMPARED)}
    meant = ELSEWHERE.get(word.lower().replace("_", ""), "")
    if meant and meant in by_lower.values():
        return f' (did you mean "{meant}"?)'
    if "not" not in word.lower():
        by_lower = {lower: name for lower, name in by_lower.items() if "Not" not in name}
    near = difflib.get_close_matches(word.lower()[:80], by_lower, n=1, cutoff=0.6)
    return f' (did you mean "{by_lower[near[0]]}"?)' if near else ""


def shorten(value: object, limit: int = 80) -> str:
    """Quote an offending value, cut where it is long."""
    import json

    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
