"""Writes the pages that say what the code says: `python -m dev.reference`.

What is generated stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`; the prose around it is kept.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARKED = re.compile(
    r"^(?P<begin><!-- generated: (?P<name>[^>]+?) -->\n)(?P<text>.*?)^(?P<end><!-- end of (?P=name) -->)$",
    re.MULTILINE | re.DOTALL,
)


def filled(page: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """Write every marked part of a page anew; ValueError where a part is not marked, or a mark has no part."""
    marked = [match["name"] for match in MARKED.finditer(page)]
    if sorted(marked) != sorted(parts):
        wrong = ", ".join(sorted(set(marked) ^ set(parts)) or sorted(marked))
        raise ValueError(f"marks and parts do not fit: {wrong}")
    return MARKED.sub(lambda match: f"{match['begin']}\n{parts[match['name']]().strip()}\n\n{match['end']}", page)


def table(heads: str, rows: Sequence[tuple[str, ...]]) -> str:
    """Write a table; `heads` has its columns' names with bars between."""
    columns = heads.split("|")
    lines = [heads.split("|"), ["---"] * len(columns), *rows]
    return "\n".join(("| " + " | ".join(cell.strip() for cell in line) + " |").replace("|  |", "| |") for line in lines)


def code(text: str) -> str:
    """Write a text as code that may stand in a table."""
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{text.replace('|', chr(92) + '|')}{ticks}"


def current(name: str) -> str:
    """Write a file as it should be."""
    from cli.rules import schema
    from dev.reference import events_page, rules_page

    pages: Mapping[str, Callable[[], Mapping[str, Callable[[], str]]]] = {
        "docs/events.md": events_page.parts,
        "docs/rules.md": rules_page.parts,
    }
    if name in pages:
        return filled((ROOT / name).read_text("utf-8"), pages[name]())
    return schema.text()


FILES = ("docs/events.md", "docs/rules.md", "docs/rules.schema.json")
"""What is written, in whole or in part."""
