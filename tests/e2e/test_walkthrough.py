"""The pages of commands, run as they stand there, each against a stack of its own: they print what the page shows."""

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
PAGES = ("docs/walkthrough.md", "docs/machine-learning.md", "docs/custom-vision.md", "docs/language.md")
BLOCK = re.compile(r"^```(?P<kind>[a-z ]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
WAIT = """
sleep() { command sleep "$(( $1 > 60 ? $1 / 10 : $1 > 3 ? 3 : $1 ))"; }
"""
"""With a lease of ten seconds the rules are looked at every second, and not every minute; tags every five seconds."""
KEPT = re.compile(r"^export .*$", re.MULTILINE)
"""What a shell remembers from one block to the next."""
PROGRESS = re.compile(
    r"^(upload|compute|model|turn|endpoint|deployment|default|check|invoke|run|traffic|cancel|delete|job|fetch"
    r"|train|watch|performance|test|publish|smoke|export|survey|list|copy|mark|connect|prune|compare|write|hash"
    r"|manifest|import|again|second|claim|iterations|project|unpublish|leave|undo|Iteration \d+ is being trained"
    r"|look|ready|target|store|verify|free|evaluate|plan|deploy|prove|promote|confirm|tidy|note|finish|wait|drill"
    r"|showing the new iteration images of each tag|publishing|asking what is published)"
    r"(: .*)?\n",
    re.MULTILINE,
)
"""How far a command is: on a terminal one line that comes and goes, and how often it says something is chance."""
VARIES = (
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:<port>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<key>"),
    (re.compile(r"\b[0-9a-f]{8}\b(?!-)"), "<key>"),
    (re.compile(r"(?<=fruit-)[0-9a-f]{8}(?=-ONNX)"), "<key>"),
    (re.compile(r"(?<=reactor )[0-9a-f]{12}\b"), "<key>"),
    (re.compile(r"(?<=version \d, )[0-9a-f]{12}\b"), "<hash>"),
    (re.compile(r"keen_owl_[0-9a-f]{8}"), "keen_owl_<run>"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?Z?"), "<time>"),
    (re.compile(r"\d{8}T\d{6}Z"), "<time>"),
    (re.compile(r"\d\d-\d\d \d\d:\d\d:\d\d"), "<time>"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "<time>"),
    (re.compile(r"\b\d{4} \(UTC\)"), "<year> (UTC)"),
    (re.compile(r"in \d+\.\d+ s"), "in <seconds> s"),
    (re.compile(r"127\.0…\d+"), "<host>"),
    (re.compile(r"\b(LAG|AFTER) +"), r"\1 "),
    (re.compile(r"\b(behind|in step) +\d+( s| min)? +"), r"\1 <lag> "),
    (re.compile(r"\b[\d,]+ ms\b *"), "<n> ms "),
    (re.compile(r"\b\d+ s ago"), "<seconds> s ago"),
    (re.compile(r"in \d+ days"), "in <days> days"),
    (re.compile(r"(?<=KB  )\d+[sm] +"), "<age> "),
    (re.compile(r"(?<=test blob  )(not )?seen.*"), "<by chance>"),
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


def run(page: str, piece: Piece, before: str, folder: Path) -> str:
    """Run commands as a person would in a shell of theirs, and give what they print."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "BUILD_", "CI"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", WAIT + before + piece.commands],
        cwd=folder,
        env=environment | {"PATH": path, "LOGNAME": "you", "USER": "you", "COLUMNS": "120", "LINES": "40"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{page}:{piece.line} ends with {done.returncode}\n{done.stdout}"
    return PROGRESS.sub("", done.stdout)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_commands(page: str, tmp_path: Path) -> None:
    """Rules are changed, tried and taken back; models are deployed, asked, rolled back, trained, kept and restored."""
    folder, text = tmp_path / "repository", (REPOSITORY / page).read_text("utf-8")
    (folder / ".stack").mkdir(parents=True)
    (folder / "examples").symlink_to(REPOSITORY / "examples")
    printed: list[tuple[Piece, str]] = []
    with stage(tmp_path / "stack", rules="blob:rules/rules.yaml") as on:
        (folder / ".stack/ready.json").symlink_to(on.ready)
        for piece in pieces(text):
            before = "".join(f"{line}\n" for earlier, _ in printed for line in KEPT.findall(earlier.commands))
            printed.append((piece, run(page, piece, before, folder)))
    if os.environ.get("REWRITE"):
        rewrite(page, printed)
    for piece, said in printed:
        assert steady(said) == steady(piece.shown), f"{page}:{piece.line} prints\n{said}"


def rewrite(page: str, printed: list[tuple[Piece, str]]) -> None:
    """Put into a page what its commands print: REWRITE=1 pytest tests/e2e/test_walkthrough.py."""
    text = (REPOSITORY / page).read_text("utf-8")
    for piece, said in printed:
        if piece.shown:
            text = text.replace(
                f"{piece.commands}```\n\n```\n{piece.shown}```", f"{piece.commands}```\n\n```\n{said}```"
            )
    (REPOSITORY / page).write_text(text, "utf-8")
