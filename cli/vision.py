"""`reactor vision …`: Custom Vision from a terminal; what the commands need is imported when they run.

They do by hand what rules have the app do, with the same code, as the person who is signed in or with a key.
"""

from __future__ import annotations

from typing import Any

from cli import (
    vision_connect,
    vision_create,
    vision_predict,
    vision_status,
    vision_steps,
    vision_train,
    vision_unpublish,
)


def add_commands(groups: Any) -> None:
    """Add `reactor vision …` to the parser."""
    vision = groups.add_parser("vision", help="connect, train, publish, export and keep Custom Vision projects")
    commands = vision.add_commands("COMMAND")
    vision_connect.add_command(commands)
    vision_create.add_command(commands)
    vision_status.add_command(commands)
    vision_train.add_command(commands)
    vision_predict.add_command(commands)
    vision_steps.add_command(commands)
    vision_unpublish.add_command(commands)
