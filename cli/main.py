"""`reactor`: the operator's command.

Exit codes: 0 all is well, 1 something is wrong with what was looked at, 2 the command was not understood.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.errors import UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    # What a command needs is imported when it runs: asking for help should not load a rules engine.
    from cli import rules

    commands = {"check": rules.check, "explain": rules.explain}
    try:
        return commands[options.command](options)
    except UsageError as error:
        print(f"reactor: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stdout = None
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reactor", description="Look at the rules of an ML Reactor.")
    groups = parser.add_subparsers(dest="group", required=True, metavar="GROUP")
    rules = groups.add_parser("rules", help="check a rules file, or explain what it does with an event")
    commands = rules.add_subparsers(dest="command", required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="report everything that is wrong with a rules file")
    check.add_argument("file", nargs="?", type=Path, default=Path("rules.yaml"), metavar="FILE", help="rules.yaml")
    check.add_argument("--json", action="store_true", help="for programs")

    explain = commands.add_parser(
        "explain", help="say which rules answer an event, what they do, and why others do not"
    )
    explain.add_argument("--rules", type=Path, required=True, metavar="FILE", help="the rules file")
    explain.add_argument(
        "--event", type=Path, required=True, metavar="FILE", help="one event, an array of events, or a notification"
    )
    explain.add_argument("--json", action="store_true", help="for programs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
