"""`reactor rules new`: annotated starting points for a rules file."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from cli.documents import write
from cli.errors import UsageError

FOLDER = Path(__file__).parents[1] / "starting_points"


def add_command(commands: Any) -> None:
    """Add the command to those of `reactor rules`."""
    one = commands.add_parser("new", help="begin a rules file from one of the starting points")
    one.add_argument("name", nargs="?", metavar="NAME", help="one of those that --list shows")
    one.add_argument("--list", action="store_true", dest="only_list", help="list them; so does no name at all")
    one.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: print it")
    one.add_argument("--force", action="store_true", help="overwrite FILE")
    one.set_defaults(run=run)


def run(options: Namespace) -> int:
    """List the starting points, or print or write one of them."""
    if options.only_list or options.name is None:
        if options.output is not None:
            raise UsageError(f"which one? {', '.join(names())}")
        width = max(map(len, names()))
        for name in names():
            print(f"{name.ljust(width)}  {title(name)}")
        return 0
    text = read(options.name)
    if options.output is None:
        print(text, end="")
        return 0
    write(options.output, text, may_replace=options.force)
    print(f"wrote {options.output}; then", file=sys.stderr)
    print(f"  reactor rules check {options.output}", file=sys.stderr)
    return 0


def names() -> list[str]:
    """List the starting points."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def title(name: str) -> str:
    """Say in a line what one does: its own first line."""
    return read(name).partition("\n")[0].removeprefix("# ")


def read(name: str) -> str:
    """Read one; UsageError where there is none of that name."""
    from shared.rules.problems import did_you_mean

    if name not in names():
        raise UsageError(f'no starting point "{name}"{did_you_mean(name, names())}; there are {", ".join(names())}')
    return (FOLDER / f"{name}.yaml").read_text("utf-8")
