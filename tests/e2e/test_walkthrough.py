"""docs/walkthrough.md, run as it stands there, against a stack of its own: what it prints is what the page shows."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev.demo.stage import stage

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/walkthrough.md"
BLOCK = re.compile(r"^```(?P<kind>[a-z ]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
WAIT = """
sleep() { command sleep 3; }
"""
"""With a lease of ten seconds the rules are looked at every second, and not every minute."""
VARIES = (
    (re.compile(r"\b[0-9a-f]{32}\b"), "<key>"),
    (re.compile(r"\b[0-9a-f]{8}\b(?!-)"), "<key>"),
    (re.compile(r"keen_owl_[0-9a-f]{8}"), "keen_owl_<run>"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?Z?"), "<time>"),
    (re.compile(r"\d\d-\d\d \d\d:\d\d:\d\d"), "<time>"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "<time>"),
    (re.compile(r"\b\d{4} \(UTC\)"), "<year> (UTC)"),
    (re.compile(r"in \d+\.\d+ s"), "in <seconds> s"),
)
"""What is different each time, and what stands for it."""


@dataclass(frozen=True)
class Piece:
    """Some commands, and what the page shows that they print."""

    line: int
    commands: str
    shown: str


def pieces(page: str) -> Iterator[Piece]:
    """Read the commands of a page, and the output that follows them, if any does."""
    blocks = list(BLOCK.finditer(page))
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block["kind"] == "sh":
            shown = following["text"] if following and not following["kind"] else ""
            yield Piece(page.count("\n", 0, block.start()) + 1, block["text"], shown)


def steady(text: str) -> str:
    """Put words in place of what is different each time."""
    for pattern, word in VARIES:
        text = pattern.sub(word, text)
    return text.rstrip()


def run(piece: Piece, folder: Path) -> str:
    """Run commands as a person would in a shell of theirs, and give what they print."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "BUILD_", "CI"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", WAIT + piece.commands],
        cwd=folder,
        env=environment | {"PATH": path, "LOGNAME": "you", "USER": "you", "COLUMNS": "120", "LINES": "40"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"docs/walkthrough.md:{piece.line} ends with {done.returncode}\n{done.stdout}"
    return done.stdout


@pytest.mark.timeout(240)
def test_the_walkthrough(tmp_path: Path) -> None:
    """Change a rule, test it, backtest it, dry-run it, push it, explain a decision, replay yesterday, roll back."""
    folder = tmp_path / "repository"
    (folder / ".stack").mkdir(parents=True)
    (folder / "examples").symlink_to(REPOSITORY / "examples")
    with stage(tmp_path / "stack", rules="blob:rules/rules.yaml") as on:
        (folder / ".stack/ready.json").symlink_to(on.ready)
        printed = [(piece, run(piece, folder)) for piece in pieces(PAGE.read_text("utf-8"))]
    if os.environ.get("REWRITE"):
        rewrite(printed)
    for piece, text in printed:
        assert steady(text) == steady(piece.shown), f"docs/walkthrough.md:{piece.line} prints\n{text}"


def rewrite(printed: list[tuple[Piece, str]]) -> None:
    """Put into the page what its commands print: REWRITE=1 pytest tests/e2e/test_walkthrough.py."""
    page = PAGE.read_text("utf-8")
    for piece, text in printed:
        if piece.shown:
            page = page.replace(
                f"{piece.commands}```\n\n```\n{piece.shown}```", f"{piece.commands}```\n\n```\n{text}```"
            )
    PAGE.write_text(page, "utf-8")
