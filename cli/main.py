"""`reactor`: the operator's command.

Exit codes: 0 all is well, 1 something is wrong with what was looked at, 2 the command was not understood.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cli import actions, events, pausing, rules
from cli.errors import UsageError

GROUPS = (rules, pausing, events, actions)
"""Each adds its commands to the parser, and imports what they need only when they run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except UsageError as error:
        print(f"reactor: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stdout = None
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="reactor", description="Look at what an ML Reactor does, and have a say in it."
    )
    groups = parser.add_subparsers(dest="group", required=True, metavar="GROUP")
    for group in GROUPS:
        group.add_commands(groups)
    return parser


if __name__ == "__main__":
    sys.exit(main())
