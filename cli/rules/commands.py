"""`reactor rules …`: its commands; what they need is imported when they run."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from cli.rules import backtest, cases, live, new, permissions, schema

RULES = Path("rules.yaml")


def add_commands(groups: Any) -> None:
    """Add `reactor rules …` to the parser."""
    rules = groups.add_parser("rules", help="check, explain, test and publish the rules file")
    commands = rules.add_commands("COMMAND")

    one = commands.add_parser("check", help="report everything that is wrong with a rules file")
    one.add_argument(
        "file",
        nargs="?",
        type=Path,
        default=RULES,
        metavar="FILE",
        help="the rules file; default: rules.yaml; - for stdin",
    )
    one.add_argument("--strict", action="store_true", help="end with 1 for warnings, too")
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=check)

    one = commands.add_parser("explain", help="say which rules answer an event, what they do, and why others do not")
    one.add_argument("--rules", type=Path, default=RULES, metavar="FILE", help="the rules file; default: rules.yaml")
    one.add_argument(
        "--event",
        type=Path,
        required=True,
        metavar="FILE",
        help="one event, an array of events, or a notification; - for stdin",
    )
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=explain)

    permissions.add_command(commands, RULES)
    cases.add_command(commands)
    backtest.add_command(commands)
    live.add_commands(commands)
    schema.add_command(commands)
    new.add_command(commands)


def check(options: Namespace) -> int:
    """Report everything that is wrong with a rules file."""
    from cli.rules import checking

    return checking.check(options)


def explain(options: Namespace) -> int:
    """Say what a rules file makes of an event."""
    from cli.rules import explaining

    return explaining.explain(options)
