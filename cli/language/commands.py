"""`reactor language …`: replicated Language projects from a terminal; what the commands need is imported when they run.

They do by hand what rules have the app do, with the same code, as the person who is signed in or with a key.
"""

from __future__ import annotations

from typing import Any

from cli.language import backups, drill, predict, restore, status, steps


def add_commands(groups: Any) -> None:
    """Add `reactor language …` to the parser."""
    language = groups.add_parser(
        "language", help="replicate, back up, restore and try Language projects in two regions"
    )
    commands = language.add_commands("COMMAND")
    status.add_command(commands)
    steps.add_commands(commands)
    backups.add_command(commands)
    restore.add_command(commands)
    drill.add_command(commands)
    predict.add_command(commands)
