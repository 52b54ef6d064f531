"""Ends a test run with what it proves: each guarantee of docs/guarantees.md, and the tests that stand for it."""

import re
from collections import Counter
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

PAGE = Path(__file__).parents[1] / "docs/guarantees.md"
HEADING = re.compile(r"^## (\d+)\. (.+)$", re.MULTILINE)


def titles() -> dict[int, str]:
    """Read the guarantees' numbers and titles from their page."""
    return {int(number): title for number, title in HEADING.findall(PAGE.read_text("utf-8"))}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Carry each test's guarantees on its report, so that they reach the end of a parallel run too."""
    known = titles()
    for item in items:
        for marker in item.iter_markers("guarantee"):
            for number in marker.args:
                assert number in known, f"{item.nodeid}: docs/guarantees.md has no guarantee {number}"
                item.user_properties.append(("guarantee", number))


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print the table."""
    counts = {word: _count(terminalreporter, word) for word in ("passed", "failed", "error")}
    if not any(counts.values()):
        return
    terminalreporter.section("guarantees")
    for number, title in titles().items():
        passed, broken = counts["passed"][number], counts["failed"][number] + counts["error"][number]
        word = "BROKEN" if broken else "pass" if passed else "unproven"
        terminalreporter.write_line(f"{number}. {title:<66} {passed + broken:>4} tests  {word}")


def _count(reporter: TerminalReporter, outcome: str) -> Counter[int]:
    """Count the reports with this outcome by the guarantee they stand for."""
    return Counter(
        number
        for report in reporter.stats.get(outcome, ())
        for name, number in getattr(report, "user_properties", ())
        if name == "guarantee" and (report.when == "call" or outcome == "error")
    )
