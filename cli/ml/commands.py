"""`reactor ml …`: Azure Machine Learning from a terminal; what the commands need is imported when they run.

They do by hand what rules have the app do, with the same code, as the person who is signed in (`az login`).
"""

from __future__ import annotations

from typing import Any

from cli.ml import assets, batch, jobs, models, online


def add_commands(groups: Any) -> None:
    """Add `reactor ml …` to the parser."""
    ml = groups.add_parser("ml", help="deploy, score, roll back and look around in Azure Machine Learning")
    commands = ml.add_commands("COMMAND")
    for group in (batch, online, jobs, models, assets):
        group.add_commands(commands)
