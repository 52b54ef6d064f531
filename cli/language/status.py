"""`reactor language status`: how the declared projects stand in their two regions, or one of them and all about it."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.app_storage import reported
from cli.language.project import add_project, find_all

if TYPE_CHECKING:
    from cli.language.state import RegionState, State
    from cli.tables import Cell, Paint

AT_ONCE = 4
"""Projects that are read at the same time."""
BACKUPS_SHOWN = 5
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def add_command(commands: Any) -> None:
    """Add `reactor language status` to the parser."""
    one = commands.add_parser("status", help="tell how projects stand in both regions: lag, proof, backups, expiries")
    add_project(one, otherwise="all that are declared")
    one.add_argument(
        "--strict", action="store_true", help="end with 1 where a secondary is not in step, or anything has expired"
    )
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=reported(status))


def status(options: Namespace) -> int:
    """Print how they stand; 1 where a region of one of them could not be read."""
    from concurrent.futures import ThreadPoolExecutor
    from dataclasses import asdict

    from cli.documents import print_json
    from cli.language.state import read_state
    from cli.steps import line_of
    from cli.tables import painter, room

    heres = find_all(options)
    line = line_of(options) if options.project else None
    assert heres[0].clients.language  # made before threads ask for it
    if line:
        states = [read_state(heres[0], line)]
    else:
        with ThreadPoolExecutor(AT_ONCE) as readers:
            states = list(readers.map(read_state, heres))
    if options.json:
        print_json([asdict(state) for state in states])
        return _code(states, is_strict=options.strict)
    read = [state for state in states if not state.unread]
    for text in _one(read[0], painter(), room()) if line and read else _all(read, painter(), room()):
        print(text)
    for state in read:
        for text in _left(state):
            print(text)
    sys.stdout.flush()
    for state in states:
        for told in [f"cannot be read: {state.unread}"] if state.unread else _unread(state):
            print(f"reactor: {state.name}: {told}", file=sys.stderr)
    return _code(states, is_strict=options.strict)


def _code(states: Sequence[State], *, is_strict: bool) -> int:
    return int(any(not state.is_read or (is_strict and state.is_wrong) for state in states))


def _unread(state: State) -> Iterator[str]:
    for side, region in state.regions.items():
        if region.problem:
            yield f"the {side} cannot be read: {region.problem}"
    yield from state.unread_parts


def _left(state: State) -> Iterator[str]:
    """Say what is to be done about a project."""
    from cli.tables import clean

    words = "; ".join(state.why)
    if state.standing == "behind" and state.busy:
        yield f"behind: {state.name}: {clean(words)}: {state.busy[:8]} brings it there now"
    elif state.standing == "behind":
        edited = " --overwrite-edits" if "edited" in state.reasons else ""
        yield f"behind: {state.name}: {clean(words)}: `reactor language replicate {state.again}{edited}` replicates it"
    elif state.standing == "maybe behind":
        yield f"maybe behind: {state.name}: {clean(words)}: `reactor language status {state.again}` looks"
    elif state.standing == "unknown":
        yield f"not known: {state.name}: {clean(words)}"
    if not state.regions["primary"].exists and state.backups:
        yield (
            f"lost: {state.name}: the primary has no {clean(state.project)}: "
            f"`reactor language restore {state.again} --to primary` brings it back, if its name is right"
        )
    for one in state.expiries:
        is_past = one.days_left < 0
        when = f"expired on {one.expires:%Y-%m-%d}" if is_past else f"expires on {one.expires:%Y-%m-%d}, {_days(one)}"
        helps = "train and deploy it again" if one.what == "model" else "deploy it again"
        if one.region == "secondary":
            helps = f"`reactor language replicate {state.again}` deploys it again"
            if one.what == "model":
                helps = f"`reactor language replicate {state.again} --force` trains it anew, which is billed"
        what = f"{one.what} {clean(one.item)} of the {one.region}"
        yield f"{'expired' if is_past else 'expires'}: {state.name}: {what} {when}: {helps}"
    if state.knows_backups and not state.backups:
        yield f"not kept: {state.name}: there is no backup: `reactor language backup {state.again}` makes one"


def _days(one: Any) -> str:
    return "today" if one.days_left == 0 else f"in {one.days_left} day{'s' * (one.days_left != 1)}"


# -- all of them ------------------------------------------------------------------------------------------------------


def _all(states: Sequence[State], paint: Paint, width: int) -> Iterator[str]:
    from cli.tables import Cell, Column, table

    if not states:
        return
    columns = [
        *(Column("PROJECT", 8), Column("PRIMARY", 10), Column("SECONDARY", 10), Column("STANDING"), Column("LAG")),
        *(Column("PROVEN (UTC)"), Column("ALIKE"), Column("F1 OF INTENTS"), Column("EXPIRES")),
    ]
    rows = []
    for state in states:
        soonest = state.expiries[0] if state.expiries else None
        rows.append(
            [
                Cell(state.name),
                *(_region(state.regions[side]) for side in ("primary", "secondary")),
                _standing(state),
                Cell(_lag(state)),
                Cell(moment_of(state.proven)),
                Cell(_alike(state)),
                Cell(_f1(state)),
                Cell(f"{soonest.expires:%Y-%m-%d}" if soonest else "-", _soon(soonest.days_left) if soonest else ""),
            ]
        )
    yield from table(columns, rows, width, paint)


def _soon(days_left: int) -> str:
    from cli.tables import RED, YELLOW

    return RED if days_left < 0 else YELLOW


def _region(region: RegionState) -> Cell:
    from cli.tables import RED, Cell

    if not region.problem:
        return Cell(region.host)
    return Cell(f"{region.host}: {_in_the_way(region)}", RED)


def _in_the_way(region: RegionState) -> str:
    if not region.answers:
        return "no answer"
    return "not read" if region.exists else "no such project"


def _standing(state: State) -> Cell:
    from cli.tables import GREEN, RED, YELLOW, Cell

    colours = {"in step": GREEN, "behind": RED}
    busy = ", being replicated" if state.busy else ""
    return Cell(f"{state.standing}{busy}", colours.get(state.standing, YELLOW))


def _lag(state: State) -> str:
    if state.lag_seconds is None:
        return "-"
    prefix = {"maybe behind": "up to ", "unknown": "at least "}.get(state.standing, "") if state.lag_seconds else ""
    return f"{prefix}{age_of(state.lag_seconds)}"


def age_of(seconds: int) -> str:
    """Write how long something is by its largest two units.

    >>> age_of(0), age_of(59), age_of(3_700), age_of(200_000)
    ('0', '59 s', '1 h 1 min', '2 d 7 h')
    """
    if seconds < MINUTE:
        return f"{seconds} s" if seconds else "0"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < DAY:
        return f"{seconds // HOUR} h {seconds % HOUR // MINUTE} min"
    return f"{seconds // DAY} d {seconds % DAY // HOUR} h"


def _alike(state: State) -> str:
    """Say how many of the utterances that were asked were answered alike."""
    if not state.asked or state.agreed is None:
        return "-"
    return f"{round(state.agreed * state.asked)} of {state.asked}"


def _f1(state: State) -> str:
    if state.intents is None:
        return "-"
    there = f" ({state.primary_intents:.3f} there)" if state.primary_intents is not None else ""
    return f"{state.intents:.3f}{there}"


def _backed_up(state: State) -> str:
    if not state.knows_backups:
        return "?"
    return moment_of(state.backups[0].written) if state.backups else "-"


def moment_of(time: datetime | None) -> str:
    """Write a time to the minute, "-" for none."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}" if time else "-"


# -- one of them ------------------------------------------------------------------------------------------------------


def _one(state: State, paint: Paint, width: int) -> Iterator[str]:
    from cli.tables import BOLD, clean

    yield f"{paint(BOLD, state.name)}: {clean(state.project)}, follows {state.follow.replace('_', ' ')}"
    for side, region in state.regions.items():
        shown = _in_the_way(region) if region.problem else "answers" if region.exists else "no project yet"
        changed = f", changed {moment_of(region.modified)}" if region.modified else ""
        yield f"  {side:11} {region.host}: {shown}{changed}"
    standing = _standing(state).text
    behind = f" since {moment_of(state.since)}" if state.since and state.standing == "behind" else ""
    yield f"  standing    {standing}{behind}"
    yield f"  lag         {_lag(state)}"
    yield f"  replicated  {moment_of(state.replicated)}{f', from backup {state.backup}' if state.backup else ''}"
    yield f"  proven      {moment_of(state.proven)}"
    yield f"  alike       {_alike(state)}"
    yield f"  F1          {_f1(state)}"
    yield f"  compared    {moment_of(state.looked)}"
    yield f"  backed up   {_backed_up(state)}"
    yield from _deployments(state, paint, width)
    yield from _backups(state, paint, width)


def _deployments(state: State, paint: Paint, width: int) -> Iterator[str]:
    from cli.tables import DIM, RED, Cell, Column, table

    columns = [
        *(Column("REGION"), Column("DEPLOYMENT", 10), Column("MODEL", 10), Column("DEPLOYED (UTC)")),
        *(Column("EXPIRES"), Column("MODEL EXPIRES")),
    ]
    rows = []
    for side, region in state.regions.items():
        there = {one.name for one in region.deployments}
        for one in region.deployments:
            cells = (side, one.name, one.model, moment_of(one.deployed), _day(one.expires), _day(one.model_expires))
            rows.append([Cell(text, "" if one.is_declared else DIM) for text in cells])
        if not region.problem:
            missing = [name for name in state.deployments if name not in there]
            rows += [[Cell(side), Cell(name), Cell("none", RED), *[Cell("-")] * 3] for name in missing]
    if rows:
        yield from table(columns, rows, width, paint)


def _day(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d}" if time else "-"


def _backups(state: State, paint: Paint, width: int) -> Iterator[str]:
    from cli.progress import size
    from cli.tables import Cell, Column, count, table

    if not state.backups:
        return
    rows = [[Cell(one.version), Cell(moment_of(one.written)), Cell(size(one.size))] for one in state.backups]
    columns = [Column("BACKUP"), Column("WRITTEN (UTC)"), Column("SIZE")]
    yield from table(columns, rows[:BACKUPS_SHOWN], width, paint)
    if len(rows) > BACKUPS_SHOWN:
        more = count(len(rows) - BACKUPS_SHOWN, "older one")
        yield f"{more}: `reactor language backups {state.again}` lists all"
