"""What came of a drill: who answered what, how fast, and whether the secondary would have held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cli.tables import Cell

MOST_TOLD = 3
UNJUDGED = "say `intent` with the utterances in `proof`, or a `sample` of what is labelled"


@dataclass
class Asked:
    """An utterance, and what was answered."""

    deployment: str
    text: str
    language: str = ""
    must: str = ""
    """The intent that the rules file states, "" for none."""
    label: str = ""
    """What the utterance is labelled with, "" where nobody knows."""
    by: str = ""
    """Who answered: "secondary", "" for nobody."""
    host: str = ""
    ms: int | None = None
    """How long the caller waited, with what was tried before."""
    intent: str = ""
    confidence: float = 0.0
    tried: tuple[str, ...] = ()
    problem: str = ""
    """Why nobody answered."""
    primary: str | None = None
    """What the primary answers when it is asked directly; None where it does not."""

    @property
    def wanted(self) -> str:
        """What should be answered: as stated, else as the primary does, else as labelled; "" where nobody knows."""
        return self.must or self.primary or self.label

    @property
    def is_held(self) -> bool:
        """Whether it was answered, and as it should be."""
        return self.by == "secondary" and self.wanted in ("", self.intent)


@dataclass
class Report:
    """What came of a drill."""

    name: str
    project: str
    primary: str
    secondary: str
    utterances: list[Asked] = field(default_factory=list)
    deployments: list[str] = field(default_factory=list)
    """Those that are declared."""
    primary_problem: str = ""
    """Why the primary could not be asked directly."""
    why: list[str] = field(default_factory=list)
    """Why the secondary would not have held; none where it would."""

    @property
    def answered(self) -> list[Asked]:
        """Those that the secondary answered."""
        return [one for one in self.utterances if one.by == "secondary"]

    @property
    def compared(self) -> list[Asked]:
        """Those that can be compared with what the primary answers."""
        return [one for one in self.answered if one.primary is not None]

    @property
    def alike(self) -> int:
        """How many of these were answered as the primary does."""
        return sum(one.intent == one.primary for one in self.compared)

    def shown(self) -> dict[str, Any]:
        """Give it for programs."""
        from statistics import median

        waits = [one.ms for one in self.answered if one.ms is not None]
        counts = {"asked": len(self.utterances), "answered": len(self.answered), "compared": len(self.compared)}
        times = {"slowest_ms": max(waits, default=None), "median_ms": round(median(waits)) if waits else None}
        return asdict(self) | {"held": not self.why, **counts, "alike": self.alike, **times}


# -- judging and telling ----------------------------------------------------------------------------------------------


def reasons(report: Report, agree: float) -> Iterator[str]:
    """Say why the secondary would not have held, as a replication's proof does.

    A deployment of which no answer can be compared with anything may answer nonsense.
    """
    names = dict.fromkeys([*report.deployments, *(one.deployment for one in report.utterances)])
    if untried := [name for name in names if not any(one.deployment == name for one in report.utterances)]:
        yield f"nothing was asked of {', '.join(untried)}: {UNJUDGED}"
    silent = [one for one in report.utterances if one.by != "secondary"]
    if silent:
        yield f"{len(silent)} of {len(report.utterances)} utterances were not answered: {silent[0].problem}"
    wrong = [f'"{one.text}": {one.intent or "nothing"}, not {one.must}' for one in report.answered if _is_wrong(one)]
    if wrong:
        more = f" and {len(wrong) - MOST_TOLD} more" if len(wrong) > MOST_TOLD else ""
        yield f"what is stated is answered otherwise: {'; '.join(wrong[:MOST_TOLD])}{more}"
    answering = dict.fromkeys(one.deployment for one in report.answered)
    if unjudged := [name for name in answering if not _is_judged(report, name)]:
        yield f"of nothing that {', '.join(unjudged)} was asked is it known what it should answer: {UNJUDGED}"
    sampled = [one for one in report.answered if not one.must and one.wanted]
    right = sum(one.is_held for one in sampled)
    if sampled and right / len(sampled) < agree:
        yield f"{right} of {len(sampled)} utterances are answered as they should be, and {agree:.0%} have to be"


def _is_judged(report: Report, deployment: str) -> bool:
    return any(one.wanted for one in report.answered if one.deployment == deployment)


def _is_wrong(one: Asked) -> bool:
    return bool(one.must) and one.intent != one.must


def told(report: Report) -> Iterator[str]:
    """Write a line for each utterance, and what came of all of them."""
    from statistics import median

    from cli.tables import GREEN, RED, Column, clean, painter, room, table

    columns = [
        *(Column("DEPLOYMENT", 10), Column("UTTERANCE", 16, is_prose=True), Column("ANSWERED BY"), Column("AFTER")),
        *(Column("INTENT", 8), Column("SURE"), Column("PRIMARY SAYS", 8), Column("EXPECTED", 8)),
    ]
    rows = [_row(one) for one in report.utterances]
    yield from table(columns, rows, room(), painter())
    paint, waits = painter(), [one.ms for one in report.answered if one.ms is not None]
    held = paint(RED, "would not have held") if report.why else paint(GREEN, "would have held")
    answered = f"{len(report.answered)} of {len(report.utterances)} utterances answered by {report.secondary}"
    yield f"{report.name} {held}: {answered}, while {report.primary} was cut off"
    if waits:
        yield f"  the slowest answer took {max(waits):,} ms, half of them {median(waits):,.0f} ms or less"
    if report.compared:
        yield f"  {report.alike} of {len(report.compared)} are answered as the primary answers them"
    if report.primary_problem:
        yield f"  the primary itself does not answer everything: {clean(report.primary_problem)}"


def _row(one: Asked) -> list[Cell]:
    from cli.tables import RED, YELLOW, Cell
    from cli.vision.performance import share

    asked = [Cell(one.deployment), Cell(one.text)]
    wanted = [Cell(one.primary or "-"), Cell(_expected(one))]
    if not one.by:
        return [*asked, Cell("nobody", RED), *[Cell("-")] * 3, *wanted]
    colour = "" if one.is_held else RED if one.must else YELLOW
    answer = [Cell(one.intent or "nothing", colour), Cell(share(one.confidence))]
    return [*asked, Cell(one.by), Cell(f"{one.ms:,} ms"), *answer, *wanted]


def _expected(one: Asked) -> str:
    why = "stated" if one.must else "as the primary" if one.primary else "as labelled"
    return f"{one.wanted} ({why})" if one.wanted else "-"
