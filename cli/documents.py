"""What a command reads from files and standard input, and writes into files and for programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from cli.errors import UsageError

STDIN = Path("-")


def read(path: Path) -> str:
    """Read a file, or standard input for `-`; UsageError says why that is not possible."""
    try:
        body = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
        return body.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8: byte {error.start}") from error


def write(path: Path, text: str, *, may_replace: bool) -> None:
    """Write a file; UsageError says why that is not possible."""
    try:
        with path.open("w" if may_replace else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already; --force overwrites it") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def print_json(value: Any) -> None:
    """Print for programs; what is no JSON of its own is printed as text."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))
