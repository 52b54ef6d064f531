"""`reactor rules backtest`: what another rules file would have done about the events that came."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.event_files import Recorded, Unreadable
    from cli.progress import Bar
    from cli.rules.comparison import Comparison, Example, Tally
    from cli.tables import Paint
    from shared.rules import Rules

DEFAULT_SINCE = "30d"
FOOTNOTE = (
    "Taken for granted: every action succeeds at once, approvals are granted, gates are passed.\n"
    "Outcomes and missed expectations among the events are those that were recorded; no new ones are played."
)


def add_command(commands: Any) -> None:
    """Add `reactor rules backtest`."""
    from cli import app

    one = commands.add_parser("backtest", help="replay recorded events through two rules files, and touch nothing")
    one.add_argument("--from", dest="old", type=Path, required=True, metavar="OLD", help="the rules as they are")
    one.add_argument("--to", dest="new", type=Path, required=True, metavar="NEW", help="the rules as they would be")
    where = one.add_mutually_exclusive_group()
    where.add_argument(
        "--since", metavar="TIME", help=f"ask the app for what came since: 30d, 12h, a time; default: {DEFAULT_SINCE}"
    )
    where.add_argument("--events", type=Path, metavar="FILE", help="a file of events: JSON Lines, or an array")
    one.add_argument("--fail-on-change", action="store_true", help="exit with 1 where the files differ in what they do")
    one.add_argument("--json", action="store_true", help="for programs")
    app.add_options(one)
    one.set_defaults(run=backtest)


def backtest(options: Namespace) -> int:
    """Print how the files differ: 0, or 1 where a file has errors, or with --fail-on-change where they differ."""
    import os

    from cli.progress import Bar
    from cli.rules.comparison import Comparison
    from shared.rules import RulesError

    try:
        old, new = (_load(path, os.environ) for path in (options.old, options.new))
    except RulesError as error:
        print(error, file=sys.stderr)
        return 1
    for path, rules in ((options.old, old), (options.new, new)):
        for warning in rules.warnings:
            if warning.message.endswith("is not set"):
                print(warning.show(str(path)), file=sys.stderr)
    comparison = Comparison(old, new)
    bar = Bar()
    unreadable = play(comparison, _events(options, comparison, bar))
    bar.close()
    if not comparison.events:
        reason = f" ({unreadable[0].place}: {unreadable[0].reason})" if unreadable else ""
        raise UsageError(f"there is no event in {_origin(options)}{reason}")
    if options.json:
        from cli.documents import print_json

        skipped = [{"place": one.place, "reason": one.reason} for one in unreadable[:10]]
        files = {"from": str(options.old), "to": str(options.new), "origin": _origin(options)}
        document = files | comparison.json() | {"unreadable": len(unreadable), "first_unreadable": skipped}
        print_json(document)
    else:
        from cli.tables import painter

        print("\n".join(lines(comparison, unreadable, options, painter())))
    return 1 if options.fail_on_change and comparison.differs else 0


def play(comparison: Comparison, events: Iterator[Recorded | Unreadable]) -> list[Unreadable]:
    """Compare all events; give what was none."""
    from cli.event_files import Unreadable

    unreadable: list[Unreadable] = []
    for one in events:
        if isinstance(one, Unreadable):
            unreadable.append(one)
        else:
            comparison.add(one)
    comparison.finish()
    return unreadable


def _load(path: Path, settings: Any) -> Rules:
    from cli.documents import read
    from shared.handlers import ACTIONS
    from shared.rules import load

    return load(read(path), ACTIONS, str(path)).bind(settings)


def _origin(options: Namespace) -> str:
    return str(options.events) if options.events else f"the app since {options.since or DEFAULT_SINCE}"


def _events(options: Namespace, comparison: Comparison, bar: Bar) -> Iterator[Recorded | Unreadable]:
    if options.events:
        from cli.event_files import stream

        try:
            size = options.events.stat().st_size
        except OSError as error:
            raise UsageError(f"cannot read {options.events}: {error.strerror}") from error
        return stream(options.events, lambda position: bar.show(position, size, comparison.events))
    from cli.app import connect
    from cli.recorded import recorded

    kinds = frozenset(
        kind
        for rules in (comparison.old, comparison.new)
        for rule in rules.rules
        for heard in (rule.kinds, rule.cancel_on.on if rule.cancel_on else ())
        for kind in heard
    )
    since = options.since or DEFAULT_SINCE
    return recorded(connect(options), since, kinds, lambda read, of: bar.show(read, of, comparison.events))


# -- for people -------------------------------------------------------------------------------------------------------


def lines(comparison: Comparison, unreadable: list[Unreadable], options: Namespace, paint: Paint) -> Iterator[str]:
    """Write what was found: the rules, examples of each difference, the totals, what was taken for granted."""
    from cli.tables import BOLD, YELLOW, count

    order = comparison.order
    span = f", {order.first:%Y-%m-%d %H:%M} to {order.clock:%Y-%m-%d %H:%M} UTC" if order.first and order.clock else ""
    yield paint(BOLD, f"{comparison.events:,} events from {_origin(options)}{span}")
    if order.repeated:
        yield f"{order.repeated:,} came again and count once"
    if unreadable:
        first = unreadable[0]
        yield paint(YELLOW, f"{count(len(unreadable), 'event')} could not be read; first {first.place}: {first.reason}")
    if order.late:
        yield paint(YELLOW, f"{order.late:,} stand after a later one: limits take them as coming right then")
    yield ""
    seen = [tally for tally in comparison.tallies.values() if any(tally.matched)]
    if seen:
        yield from _table(seen, paint)
    silent = len(comparison.tallies) - len(seen)
    if silent:
        yield f"{'and ' if seen else ''}{count(silent, 'rule')} that no event matches in either file"
    for tally in seen:
        yield from _examples(tally, paint)
    yield ""
    yield from _totals(comparison, paint)
    yield ""
    yield FOOTNOTE


def _table(seen: list[Tally], paint: Paint) -> Iterator[str]:
    from cli.rules.comparison import NEW, OLD
    from cli.tables import DIM, GREEN, RED, Cell, Column, room, table

    rows = [
        [
            Cell(tally.name, "" if tally.differs else DIM),
            Cell(_pair(tally.matched)),
            Cell(_pair(tally.acts)),
            Cell(f"{tally.both:,}"),
            Cell(f"+{tally.only[NEW]:,}" if tally.only[NEW] else "", GREEN),
            Cell(f"-{tally.only[OLD]:,}" if tally.only[OLD] else "", RED),
            Cell(_note(tally)),
        ]
        for tally in seen
    ]
    headings = ("RULE", "MATCHED", "ACTS", "BOTH", "NEWLY", "NO LONGER", "")
    columns = [Column(heading, 12 if number in {0, 6} else None) for number, heading in enumerate(headings)]
    yield from table(columns, rows, room(), paint)


def _note(tally: Tally) -> str:
    notes = [tally.note] if tally.note else []
    if any(tally.dry_runs):
        notes.append(f"dry runs {_pair(tally.dry_runs)}")
    if any(tally.limited):
        notes.append(f"limited {_pair(tally.limited)}")
    return "; ".join(notes)


def _pair(pair: list[int]) -> str:
    return f"{pair[0]:,} → {pair[1]:,}" if pair[0] != pair[1] else f"{pair[0]:,}"


def _examples(tally: Tally, paint: Paint) -> Iterator[str]:
    from cli.rules.comparison import NEW, OLD
    from cli.tables import BOLD, GREEN, RED

    if not any(tally.only):
        return
    yield ""
    yield paint(BOLD, tally.name)
    for side, sign, code, file in ((NEW, "+", GREEN, "before"), (OLD, "-", RED, "now")):
        for one in tally.examples[side]:
            yield paint(code, f"  {sign} {_where(one)}")
            yield f"      {file}: {one.because}"
        more = tally.only[side] - len(tally.examples[side])
        if more > 0:
            yield paint(code, f"  {sign} and {more:,} more")


def _where(example: Example) -> str:
    from cli.tables import clean

    return f"{example.at}  {clean(example.subject)}  ({example.place})"


def _totals(comparison: Comparison, paint: Paint) -> Iterator[str]:
    from cli.rules.comparison import COUNTED, NEW, OLD
    from cli.tables import BOLD

    old, new = comparison.totals(OLD), comparison.totals(NEW)
    names = [name for number, name in enumerate(COUNTED) if number < 4 or old[name] or new[name]]
    rows = [("", "BEFORE", "AFTER", "DIFFERENCE")]
    rows += [(name, f"{old[name]:,}", f"{new[name]:,}", _signed(new[name] - old[name])) for name in names]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        text = "  ".join(cells).rstrip()
        yield paint(BOLD, text) if not number else text


def _signed(number: int) -> str:
    return f"+{number:,}" if number > 0 else f"-{-number:,}" if number else "0"
