"""`reactor vision status`: how the declared projects stand, or one of them and its iterations."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.app_storage import reported
from cli.vision.project import add_project, find_all

if TYPE_CHECKING:
    from cli.tables import Cell, Paint
    from cli.vision.state import ExportState, IterationState, State

AT_ONCE = 4
"""Projects that are read at the same time."""


def add_command(commands: Any) -> None:
    """Add `reactor vision status` to the parser."""
    one = commands.add_parser("status", help="tell how projects stand: connection, training, exports, backups")
    add_project(one, otherwise="all that are declared")
    one.add_argument("--app", metavar="URL", help="the app; default: REACTOR_URL, else the local stack")
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=reported(status))


def status(options: Namespace) -> int:
    """Print how they stand; 1 where one of them could not be read."""
    from concurrent.futures import ThreadPoolExecutor

    from cli.documents import print_json
    from cli.tables import painter, room
    from cli.vision.proof import EVER, Ears
    from cli.vision.state import RETIRES, read_state

    heres = find_all(options)
    is_close = bool(options.project or options.endpoint)
    ears = Ears(heres[0].around, options)
    tests = ears.all(EVER)
    assert heres[0].clients.vision  # made before threads ask for it
    with ThreadPoolExecutor(AT_ONCE) as readers:
        states = list(readers.map(lambda here: read_state(here, tests, is_close=is_close), heres))
    if options.json:
        print_json([_as_json(state) for state in states])
        return int(any(state.unread for state in states))
    read = [state for state in states if not state.unread]
    lines = _one(read[0], painter(), room()) if is_close and read else _all(read, painter(), room())
    for line in lines:
        print(line)
    days = (RETIRES - datetime.now(UTC).date()).days
    if read:
        print(f"Custom Vision retires on {RETIRES}, in {days:,} days: what is backed up by then is kept")
    for state in read:
        for line in _left(state):
            print(line)
    sys.stdout.flush()
    for state in states:
        for told in [f"cannot be read: {state.unread}"] if state.unread else state.unread_parts:
            print(f"reactor: {state.name}: {told}", file=sys.stderr)
    return int(len(read) < len(states))


def _as_json(state: State) -> dict[str, Any]:
    from dataclasses import asdict

    from cli.vision.state import CAP, RETIRES

    return asdict(state) | {"iterations_at_most": CAP, "retires": RETIRES.isoformat()}


# -- all of them ------------------------------------------------------------------------------------------------------


def _all(states: Sequence[State], paint: Paint, width: int) -> Iterator[str]:
    from cli.tables import YELLOW, Cell, Column, table
    from cli.vision.state import CAP

    if not states:
        return
    columns = [
        *(Column("PROJECT", 8), Column("HEARD"), Column("TESTED (UTC)"), Column("ITERATIONS"), Column("PUBLISHED", 9)),
        *(Column("TRAINED (UTC)"), Column("ENDED"), Column("PRECISION"), Column("RECALL"), Column("EXPORTS", 7)),
        *(Column("BACKED UP"), Column("IMAGES KEPT")),
    ]
    rows = []
    for state in states:
        last = state.last
        used = len(state.iterations)
        rows.append(
            [
                Cell(state.name),
                Cell(state.hears, "" if state.hears == "yes" else YELLOW),
                Cell(moment_of(state.tested)),
                Cell(f"{used} of {CAP}", YELLOW if used >= CAP else ""),
                Cell(", ".join(state.published) or "-"),
                *(_trained(last)[:-1] if last else [Cell("-")] * 4),
                Cell(_counted([export for one in state.iterations for export in one.exports])),
                Cell(_unless_unknown(state, moment_of(state.backed_up)), YELLOW if state.models_left else ""),
                Cell(_images(state), YELLOW if state.images_left else ""),
            ]
        )
    yield from table(columns, rows, width, paint)


def _images(state: State) -> str:
    """Say how many of the images are kept; "?" where that cannot be seen from here."""
    kept, there = (f"{number:,}" if number is not None else "?" for number in (state.images_kept, state.images))
    return f"{kept} of {there}"


def _unless_unknown(state: State, told: str) -> str:
    return told if state.knows_backups else "?"


def _left(state: State) -> Iterator[str]:
    """Say what of a project would be lost, and what keeps it."""
    from cli.tables import clean

    if state.images_left:
        images = f"{state.images_left:,} of {state.images:,} images"
        yield f"not kept: {state.name}: {images}: `reactor vision dataset {state.again}` keeps them"
    for one in state.models_left:
        called = clean(f"{one.name}, published as {one.published}" if one.published else one.name)
        how = (
            f"`reactor vision export {state.again} --iteration {one.id} --platform ONNX` exports it, then "
            f"`reactor vision backup {state.again} --iteration {one.id}` keeps it"
            if one.exportable
            else "it cannot be exported, only models of compact domains can be: train one with the same images"
        )
        yield f"not kept: {state.name}: {called}: {how}"


def _trained(one: IterationState) -> list[Cell]:
    from cli.tables import Cell
    from cli.vision.performance import share

    exports = _exports(one.exports)
    return [
        Cell(moment_of(one.trained)),
        _ended(one),
        Cell(share(one.precision)),
        Cell(share(one.recall)),
        Cell(exports or "-"),
    ]


def _ended(one: IterationState) -> Cell:
    from cli.tables import GREEN, RED, YELLOW, Cell

    return Cell(one.status, {"completed": GREEN, "failed": RED}.get(one.status.lower(), YELLOW))


def _exports(exports: Sequence[ExportState]) -> str:
    """Name the exports, and say of those that are not done how they are."""
    told = []
    for one in exports:
        name = f"{one.platform} {one.flavor}".strip()
        told.append(name if one.status.lower() == "done" else f"{name} ({one.status.lower()})")
    return ", ".join(told)


def _counted(exports: Sequence[ExportState]) -> str:
    """Count the exports by how they are.

    >>> from cli.vision.state import ExportState
    >>> _counted([ExportState("ONNX", "", one) for one in ("Done", "Failed", "Done")])
    '2 done, 1 failed'
    """
    counts = Counter(one.status.lower() for one in exports)
    return ", ".join(f"{count} {status}" for status, count in counts.items()) or "-"


def moment_of(time: datetime | None) -> str:
    """Write a time to the minute, "-" for none."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}" if time else "-"


# -- one of them ------------------------------------------------------------------------------------------------------


def _one(state: State, paint: Paint, width: int) -> Iterator[str]:
    from cli.tables import BOLD, clean
    from cli.vision.state import CAP

    hears = {
        "yes": "the app's queue",
        "no": "none: the app hears nothing; `reactor vision connect` connects it",
        "elsewhere": f"{state.queue}, where this app does not hear it",
        "unknown": state.queue,
    }
    yield f"{paint(BOLD, state.name)}: {state.called} ({state.project})"
    yield f"  queue       {hears[state.hears]}"
    yield f"  container   {state.container or 'none: exports stay with the service'}"
    yield f"  last test   {moment_of(state.tested)}"
    yield f"  iterations  {len(state.iterations)} of {CAP}"
    yield f"  published   {', '.join(state.published) or '-'}"
    yield f"  backed up   {_unless_unknown(state, moment_of(state.backed_up))}"
    yield f"  images      {_images(state)} kept{f', {moment_of(state.data_set)}' if state.data_set else ''}"
    yield f"  tags        {', '.join(f'{clean(name)} {count:,}' for name, count in state.tags.items()) or '-'}"
    yield from _iterations(state.iterations, paint, width, knows=state.knows_backups)


def _iterations(iterations: Sequence[IterationState], paint: Paint, width: int, *, knows: bool) -> Iterator[str]:
    from cli.tables import Cell, Column, table

    if not iterations:
        return
    columns = [
        *(Column("ITERATION", 12), Column("TRAINED (UTC)"), Column("ENDED"), Column("PRECISION"), Column("RECALL")),
        *(Column("EXPORTS", 12), Column("PUBLISHED AS", 12), Column("BACKED UP")),
    ]
    rows = [
        [Cell(one.name), *_trained(one), Cell(one.published or "-"), Cell(moment_of(one.backed_up) if knows else "?")]
        for one in iterations
    ]
    yield from table(columns, rows, width, paint)
    for one in iterations:
        if one.error:
            yield f"{one.name} failed: {one.error}"
