"""What importing the app costs: a cold start is mostly imports."""

import json
import subprocess
import sys
from pathlib import Path

from bench.measure import Spread, ratio
from bench.table import Report, microseconds

REPOSITORY = Path(__file__).parents[1]
ROUNDS = 15

TIMED = """
import time
start = time.process_time()
{code}
took = time.process_time() - start
import json, sys
print(json.dumps([took, sorted(sys.modules)]))
"""
OURS = "import function_app; function_app.app.get_functions()"
THEIRS = "import azure.functions; from pydantic import BaseModel; Model = type('Model', (BaseModel,), {})"
"""The least that an app with one checked model needs; it has no functions that could be indexed."""
UNWANTED = ("azure.storage", "azure.identity", "azure.data.tables", "azure.eventgrid", "requests", "jinja2")
"""What is only needed once an event came."""


def measure(report: Report) -> None:
    """Time both in new processes, in turns: what they compute, without Python's own start."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for number in range(ROUNDS + 1):
        for name, code in (("ours", OURS), ("theirs", THEIRS)):
            took, modules = run(code)
            if name == "ours" and (loaded := unwanted(modules)):
                raise AssertionError(f"importing function_app loads {', '.join(loaded)}")
            if number > 0:
                times[name].append(took)
    middles = " and ".join(microseconds(Spread.of(times[name]).middle) for name in times)
    report.bar("import", ratio(times, "ours", "theirs"), f"{middles}; {len(run(OURS)[1])} modules")


def run(code: str) -> tuple[float, list[str]]:
    """Run code in a new process; give the seconds it computed, and the modules that are loaded then."""
    command = [sys.executable, "-c", TIMED.format(code=code)]
    answer = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    took, modules = json.loads(answer.stdout)
    return took, modules


def unwanted(modules: list[str]) -> list[str]:
    """List the packages among modules that an import must not load."""
    return [name for name in UNWANTED if any(module == name or module.startswith(f"{name}.") for module in modules)]
