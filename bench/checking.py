"""Checking a rules file against what libyaml needs only to read it."""

import yaml

from bench import samples
from bench.measure import Spread, Work, ratio, rounds
from bench.table import Report, microseconds
from shared.handlers import ACTIONS
from shared.rules import Rules, load, templates
from shared.rules.paths import parse_path

ROUNDS = 9


def load_anew(text: str) -> Rules:
    """Load as a process does that has loaded nothing before: what was learnt from the last time is forgotten."""
    for forget in (templates.compile_template, parse_path):
        forget.cache_clear()
    return load(text, ACTIONS, "rules.yaml")


def measure(report: Report) -> None:
    """Measure `load`, which finds everything that is wrong with a file, on a file of 500 rules that is in order."""
    text = samples.write(samples.mixed(500))
    times = rounds(
        {
            "compose": Work(lambda: yaml.compose(text, Loader=yaml.CSafeLoader)),
            "load": Work(lambda: load_anew(text)),
        },
        ROUNDS,
    )
    took = microseconds(Spread.of(times["load"]).middle)
    report.bar(
        "check", ratio(times, "load", "compose"), f"{len(text) / 1024:.0f} KiB, {len(text.splitlines())} lines: {took}"
    )
