"""Plain text for people: tables that fit the terminal, times, and colours where a terminal wants them."""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

BOLD, DIM, RED, GREEN, YELLOW, PLAIN = (f"\033[{code}m" for code in (1, 2, 31, 32, 33, 0))
COLOURS = {
    "open": YELLOW,
    "under way": YELLOW,
    "unplanned": YELLOW,
    "succeeded": GREEN,
    "failed": RED,
    "refused": RED,
    "parked": RED,
    "rejected": RED,
    "expired": RED,
    "skipped": DIM,
    "canceled": DIM,
    "ignored": DIM,
    "not begun": DIM,
}
"""What a status is painted in."""
GAP = "  "
WIDEST = 120
"""Columns where a terminal does not say how many it has."""
NO_END = 1_000_000
"""Columns of a file or a pipe: whatever reads it gets all of it."""
NARROWEST = 60
SHORT_KEY = 8
LONGEST_VALUE = 100
"""Columns of a value that is shown in one line."""

Paint = Callable[[str, str], str]
"""Gives a text a colour."""


class Column(NamedTuple):
    """A column of a table."""

    heading: str
    least: int | None = None
    """How narrow it may get; None where it is never shortened."""
    is_prose: bool = False
    """Whether it loses its end; names lose their middle."""


class Cell(NamedTuple):
    """A text and its colour."""

    text: str
    colour: str = ""
    is_name: bool = False
    """Whether it loses its middle in a column of prose, too."""


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int, paint: Paint) -> Iterator[str]:
    """Write a table that is at most `width` wide, if its columns can be made as narrow; what is long is shortened."""
    shown = [[cell._replace(text=clean(cell.text)) for cell in row] for row in rows]
    widths = [
        max(measure(column.heading), *(measure(row[number].text) for row in shown))
        for number, column in enumerate(columns)
    ]
    _narrow(widths, columns, width)
    heading = GAP.join(pad(column.heading, size) for column, size in zip(columns, widths, strict=True))
    yield paint(BOLD, heading.rstrip())
    for row in shown:
        texts = [
            (cut if column.is_prose and not cell.is_name else shorten)(cell.text, size)
            for cell, size, column in zip(row, widths, columns, strict=True)
        ]
        last = max((number for number, text in enumerate(texts) if text), default=0)
        yield GAP.join(
            _painted(text, cell.colour, paint) + " " * (size - measure(text) if number < last else 0)
            for number, (text, cell, size) in enumerate(zip(texts, row, widths, strict=True))
            if number <= last
        )


def _narrow(widths: list[int], columns: Sequence[Column], width: int) -> None:
    """Take from the widest that can spare some until all of it fits."""
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width
    for _ in range(max(excess, 0)):
        spare = [number for number, column in enumerate(columns) if column.least and widths[number] > column.least]
        if not spare:
            return
        widths[max(spare, key=lambda number: widths[number])] -= 1


def _painted(text: str, colour: str, paint: Paint) -> str:
    return paint(colour, text) if colour and text else text


# -- texts ------------------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """Replace what a terminal would obey: a subject may hold anything."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "·" for letter in text)


def one_line(text: str) -> str:
    """Write somebody else's words on one line, without anything that a terminal would obey."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def as_json(value: Any) -> str:
    """Write a value on one line."""
    return json.dumps(value, ensure_ascii=False, default=str)


def brief(value: Any) -> str:
    """Write a value on one line that is not too long."""
    return shorten(as_json(value), LONGEST_VALUE)


def measure(text: str) -> int:
    """Count the columns that a text takes: some letters take two, some none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def pad(text: str, width: int) -> str:
    """Fill a text up with spaces."""
    return text + " " * (width - measure(text))


def shorten(text: str, width: int) -> str:
    """Cut a long text in its middle: names are told apart by their ends."""
    if measure(text) <= width:
        return text
    begin, end = width // 2, (width - 1) // 2
    while measure(text[:begin]) + measure(text[len(text) - end :]) > width - 1 and begin > 0:
        begin, end = begin - 1, max(end - 1, 0)
    return f"{text[:begin]}…{text[len(text) - end :] if end else ''}"


def cut(text: str, width: int) -> str:
    """Cut a long text at its end."""
    if measure(text) <= width:
        return text
    while measure(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


def short_key(key: str) -> str:
    """Give so much of a key that it can be copied and found again."""
    return key[:SHORT_KEY]


def count(number: int, what: str) -> str:
    """Write a number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"


# -- times ------------------------------------------------------------------------------------------------------------


def read_time(text: str | None, *, local: bool) -> datetime | None:
    """Read a time of the app's, to be shown in UTC or as this machine's clock has it."""
    if not text:
        return None
    time = datetime.fromisoformat(text)
    return time.astimezone(None if local else UTC)


def moment(text: str | None, *, local: bool) -> str:
    """Write a time with its zone."""
    time = read_time(text, local=local)
    return f"{time:%Y-%m-%d %H:%M:%S} {zone(time)}" if time else ""


def zone(time: datetime) -> str:
    """Name the zone of a time."""
    return time.tzname() or "UTC"


def time_column(texts: Iterable[str], *, local: bool) -> tuple[str, list[str]]:
    """Give a heading and the times below it: the year moves into the heading where all have the same."""
    times = [time for text in texts if (time := read_time(text, local=local))]
    if not times:
        return "TIME", []
    years, zones = {time.year for time in times}, {zone(time) for time in times}
    named = f" ({zones.pop()})" if len(zones) == 1 else ""
    if len(years) == 1:
        return f"{years.pop()}{named}", [f"{time:%m-%d %H:%M:%S}" for time in times]
    return f"TIME{named}", [f"{time:%Y-%m-%d %H:%M:%S}" for time in times]


# -- the terminal -----------------------------------------------------------------------------------------------------


def painter() -> Paint:
    """Paint on a terminal, unless NO_COLOR is set."""
    return _paint if sys.stdout.isatty() and "NO_COLOR" not in os.environ else leave


def _paint(code: str, text: str) -> str:
    return f"{code}{text}{PLAIN}"


def leave(_code: str, text: str) -> str:
    """Paint nothing."""
    return text


def room() -> int:
    """Say how many columns there are; in a file or a pipe no end of them, but where COLUMNS says how many."""
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return NO_END
    return max(shutil.get_terminal_size((WIDEST, 24)).columns, NARROWEST)
