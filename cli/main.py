"""`reactor`: the operator's command.

Exit codes: 0 all is well, 1 something is wrong with what was looked at, or the app refuses what was asked of it,
2 the command was not understood, or there is no app to ask, 130 it was stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from typing import Any

from cli import actions, events, pausing
from cli.backups import commands as backups
from cli.errors import RefusedError, UsageError
from cli.language import commands as language
from cli.ml import commands as ml
from cli.parser import Parser
from cli.rules import commands as rules
from cli.vision import commands as vision

GROUPS = (rules, events, actions, pausing, ml, vision, language, backups)
"""Each adds its commands to the parser, and imports what they need only when they run."""
PACKAGE = "ml-reactor"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack a letter of somebody's subject
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except UsageError as error:
        print(f"reactor: {error}", file=sys.stderr)
        return 1 if isinstance(error, RefusedError) else 2
    except KeyboardInterrupt:  # what a command leaves under way, it has said itself
        print("reactor: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stdout = None
        return 0
    return code


def parser() -> Parser:
    """Make the parser of all commands."""
    root = Parser(prog="reactor", description="Look at what an ML Reactor does, and have a say in it.")
    root.add_argument("--version", action=_Version, nargs=0, help="say which version this is, and exit")
    groups = root.add_commands("GROUP")
    for group in GROUPS:
        group.add_commands(groups)
    return root


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: that takes longer than the rest of the start."""

    def __call__(self, parser: argparse.ArgumentParser, *_given: Any) -> None:
        """Say what the installed package says of itself."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"reactor {version(PACKAGE)}")
        except PackageNotFoundError:
            print("reactor, not installed as a package")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
