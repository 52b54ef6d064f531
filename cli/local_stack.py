"""The stack that `make run` starts on this machine: where it says what it is."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.errors import UsageError

READY = Path(".stack/ready.json")
"""What `make run` writes, in the current folder."""


def add_ready(parser: ArgumentParser, default: str = f"the app of the environment, else {READY}") -> None:
    """Let a command say which stack it means."""
    parser.add_argument("--ready", type=Path, metavar="FILE", help=f"the local stack's ready file; default: {default}")


def read_ready(file: Path | None = None, otherwise: str = "or name an app with --app URL") -> Mapping[str, Any]:
    """Read what a stack says of itself, by default that of the current folder; UsageError where none runs."""
    import json

    file = file or READY
    try:
        facts = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no local stack runs here ({file} is missing): `make run` starts one; {otherwise}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None
    if not isinstance(facts, dict) or not isinstance(facts.get("functions"), str):
        raise UsageError(f"{file} is no ready file of a local stack")
    return facts
