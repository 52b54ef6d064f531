"""`reactor vision …`: Custom Vision from a terminal; what the commands need is imported when they run.

They do by hand what rules have the app do, with the same code, as the person who is signed in or with a key.
"""

from __future__ import annotations

from typing import Any

from cli.vision import connect, create, predict, status, steps, unpublish
from cli.vision import train as vision_train


def add_commands(groups: Any) -> None:
    """Add `reactor vision …` to the parser."""
    vision = groups.add_parser("vision", help="connect, train, publish, export and keep Custom Vision projects")
    commands = vision.add_commands("COMMAND")
    connect.add_command(commands)
    create.add_command(commands)
    status.add_command(commands)
    vision_train.add_command(commands)
    predict.add_command(commands)
    steps.add_command(commands)
    unpublish.add_command(commands)
