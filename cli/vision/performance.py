"""How well an iteration did, as a table: a line for each tag, the worst one marked, and one for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.tables import Paint
    from shared.clients.vision import Performance, TagPerformance


def worst_of(performance: Performance) -> TagPerformance | None:
    """Pick the tag that is recognised worst; None where none is worse than another."""
    worths = {tag: _worth(tag) for tag in performance.tags}
    worst = min(performance.tags, key=lambda tag: worths[tag], default=None)
    return worst if worst and len(set(worths.values())) > 1 else None


def _worth(tag: TagPerformance) -> tuple[float, float]:
    """Say how good a tag is, to sort by: its average precision first, else the lesser of precision and recall."""
    lesser = min(tag.precision, tag.recall)
    return (lesser if tag.average_precision is None else tag.average_precision, lesser)


def table_of(performance: Performance, images: Mapping[str, int], width: int, paint: Paint) -> Iterator[str]:
    """Write the table; `images` says by a tag's id how many it has."""
    from cli.tables import YELLOW, Cell, Column, table

    worst = worst_of(performance)
    columns = [Column("TAG", 12), *(Column(name) for name in ("IMAGES", "PRECISION", "RECALL", "AP", ""))]
    rows = [
        [
            Cell(tag.name, YELLOW if tag is worst else "", is_name=True),
            Cell(f"{images[tag.id]:,}" if tag.id in images else "-"),
            *(Cell(share(one)) for one in (tag.precision, tag.recall, tag.average_precision)),
            Cell("the worst" if tag is worst else "", YELLOW),
        ]
        for tag in performance.tags
    ]
    overall = (performance.precision, performance.recall, performance.average_precision)
    rows.append([Cell("all of them"), Cell(""), *(Cell(share(one)) for one in overall), Cell("")])
    yield from table(columns, rows, width, paint)


def share(part: float | None) -> str:
    """Write a share for people; "-" where the service says none.

    >>> share(0.9512)
    '95.1 %'
    """
    return "-" if part is None else f"{part:.1%}".replace("%", " %")
