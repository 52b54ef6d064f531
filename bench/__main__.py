"""`python -m bench [--json FILE] [--only NAME]`: measures, prints the table, and fails where a bar is missed."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from bench import backtesting, checking, keeping, matching, starting, storing, uploading
from bench.table import Report

PARTS: dict[str, Callable[[Report], None]] = {
    "start": starting.measure,
    "match": matching.measure,
    "check": checking.measure,
    "backtest": backtesting.measure,
    "store": storing.measure,
    "upload": uploading.measure,
    "keep": keeping.measure,
}


def main() -> int:
    """Run what is asked for."""
    arguments = argparse.ArgumentParser(prog="bench", description=__doc__)
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write what was measured there as well")
    arguments.add_argument("--only", choices=PARTS, help="measure this part only")
    given = arguments.parse_args()
    report = Report(
        machine=f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    for name, measure in PARTS.items():
        if given.only in {None, name}:
            print(f"measuring: {name} ...", file=sys.stderr)
            measure(report)
    print(report.show())
    if given.json:
        given.json.write_text(json.dumps(report.json(), indent=2) + "\n", "utf-8")
    for row in report.missed:
        print(f"missed: {row.what}: {row.measured.middle:.2f}, wanted {row.bar and row.bar.show()}", file=sys.stderr)
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
