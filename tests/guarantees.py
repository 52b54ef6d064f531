"""Ends a test run with what it proves: each guarantee of docs/guarantees.md, and the tests that stand for it.

`python -m tests.guarantees` writes their names into that page.
"""

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs/guarantees.md"
HEADING = re.compile(r"^## (\d+)\. (.+)$", re.MULTILINE)


def titles() -> dict[int, str]:
    """Read the guarantees' numbers and titles from their page."""
    return {int(number): title for number, title in HEADING.findall(PAGE.read_text("utf-8"))}


def proofs() -> dict[int, list[str]]:
    """Find the tests that stand for each guarantee, as file and name, by reading the test files."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for decorator in getattr(node, "decorator_list", ()):
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.guarantee":
                    for number in decorator.args:
                        name = f"{path.relative_to(TESTS).as_posix()}: {getattr(node, 'name', '')}"
                        found[ast.literal_eval(number)].append(name)
    return found


def page_with_proofs() -> str:
    """Write the page anew, with the names of the tests at the end of each guarantee."""
    parts = re.split(r"(?m)^(?=## \d+\. )", PAGE.read_text("utf-8"))
    found = proofs()
    for position, part in enumerate(parts[1:], 1):
        told = re.sub(r"\n*Proven by:\n\n(?:- .*\n)+", "\n", part).rstrip()
        heading = HEADING.match(part)
        assert heading
        tests = "".join(f"- `{name}`\n" for name in found[int(heading[1])])
        parts[position] = f"{told}\n\nProven by:\n\n{tests}" + ("\n" if position < len(parts) - 1 else "")
    return "".join(parts)


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


if __name__ == "__main__":
    PAGE.write_text(page_with_proofs(), "utf-8")
