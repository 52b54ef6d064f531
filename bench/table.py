"""The bars, what was measured, and whether it is good enough."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from bench.measure import Spread

Way = Literal["at most", "at least"]


@dataclass(frozen=True, slots=True)
class Bar:
    """What is promised: a ratio, or a number of some unit, that must not be passed, or must be reached."""

    name: str
    what: str
    way: Way
    limit: float
    unit: str = "×"

    def holds(self, measured: float) -> bool:
        """Tell whether what was measured is good enough."""
        return measured <= self.limit if self.way == "at most" else measured >= self.limit

    def show(self) -> str:
        """Write it short."""
        return f"{'≤' if self.way == 'at most' else '≥'} {self.limit:g}{self.unit}"


BARS = {
    bar.name: bar
    for bar in (
        Bar("import", "import and index function_app / import azure.functions + one BaseModel", "at most", 1.3),
        Bar("match", "parse + match, 100 rules / json.loads of the body", "at most", 6.0),
        Bar("match-peers", "parse + match, 100 rules: rate / best peer's", "at least", 30.0),
        Bar("match-1000", "parse + match, 1,000 rules / 100 rules", "at most", 1.5),
        Bar("match-unindexable", "100 rules, nothing indexable: rate / best peer's", "at least", 3.0),
        Bar("events", "300 events, door to settled: throughput / bare loop's", "at least", 0.8),
        Bar("check", "check a 500-rule file / libyaml's compose of it", "at most", 5.0),
        Bar("upload", "upload a folder of images: rate / bare concurrent uploader's", "at least", 0.8),
        Bar("backtest", "backtest from a file / parse + match its events by both rules files", "at most", 3.0),
        Bar("backup", "back up a model of 1 GiB: the app's memory grows by", "at most", 32.0, " MiB"),
        Bar("dataset", "keep 10,000 images, stopped midway: the app's memory grows by", "at most", 32.0, " MiB"),
    )
}


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured for one bar, or only for information where there is none."""

    what: str
    measured: Spread
    bar: Bar | None = None
    note: str = ""

    @property
    def missed(self) -> bool:
        """Tell whether a bar was missed."""
        return self.bar is not None and not self.bar.holds(self.measured.middle)

    @property
    def verdict(self) -> str:
        """Say it in a word."""
        if self.bar is None:
            return ""
        return "missed" if self.missed else "met"


@dataclass(slots=True)
class Report:
    """Everything that a run found out."""

    rows: list[Row] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    """What is counted or timed without a bar: what it is, and what was found."""
    machine: str = ""

    def bar(self, name: str, measured: Spread, note: str = "") -> None:
        """Add what was measured for a bar."""
        self.rows.append(Row(BARS[name].what, measured, BARS[name], note))

    def information(self, what: str, measured: Spread, note: str = "") -> None:
        """Add a ratio that no bar is about."""
        self.rows.append(Row(what, measured, None, note))

    def fact(self, what: str, found: str) -> None:
        """Add something that is no ratio."""
        self.facts.append((what, found))

    @property
    def missed(self) -> list[Row]:
        """List the rows that missed their bar."""
        return [row for row in self.rows if row.missed]

    def json(self) -> dict[str, Any]:
        """Give everything as plain data."""
        return {
            "machine": self.machine,
            "rows": [
                {
                    "what": row.what,
                    "bar": asdict(row.bar) if row.bar else None,
                    "measured": asdict(row.measured),
                    "verdict": row.verdict,
                    "note": row.note,
                }
                for row in self.rows
            ],
            "facts": [{"what": what, "found": found} for what, found in self.facts],
            "met": not self.missed,
        }

    def show(self) -> str:
        """Write the table: bars first, then what is only information."""
        barred = [_cells(row) for row in self.rows if row.bar]
        other = [_cells(row) for row in self.rows if not row.bar]
        lines = [self.machine, "", *_columns([HEAD, *barred])]
        if other:
            lines += ["", "for information", *_columns(other)]
        if self.facts:
            lines += ["", *_columns(self.facts)]
        return "\n".join(lines)


HEAD = ("what", "bar", "measured", "middle half", "verdict", "note")


def _cells(row: Row) -> tuple[str, ...]:
    measured, unit = row.measured, row.bar.unit if row.bar else "×"
    return (
        row.what,
        row.bar.show() if row.bar else "",
        f"{number(measured.middle)}{unit}",
        f"{number(measured.low)} to {number(measured.high)}",
        row.verdict,
        row.note,
    )


def number(value: float) -> str:
    """Write a number with three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def microseconds(seconds: float) -> str:
    """Write a time in the unit that fits it."""
    return f"{seconds * 1e6:,.0f} µs" if seconds < 0.01 else f"{seconds * 1e3:,.0f} ms"


def _columns(rows: Sequence[Iterable[str]]) -> list[str]:
    cells = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
