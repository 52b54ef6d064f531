"""Replaying events from a file through two rules files, against parsing and matching the same events alone."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import samples
from bench.measure import Spread, Work, ratio, rounds
from bench.table import Report, microseconds
from cli.event_files import stream
from cli.rules.backtest import play
from cli.rules.comparison import Comparison
from shared import parse
from shared.handlers import ACTIONS
from shared.rules import Rules, load

ROUNDS = 9
EVENTS = 4_000
BEGIN = datetime(2026, 2, 1, tzinfo=UTC)


def bodies(count: int) -> list[str]:
    """Give so many events of all kinds, a minute apart, each another one."""
    kinds = [json.loads(body) for body in samples.events().values()]
    written: list[str] = []
    for number in range(count):
        message = kinds[number % len(kinds)]
        (event,) = message if isinstance(message, list) else (message,)
        time = (BEGIN + timedelta(minutes=number)).isoformat()
        event = event | {"id": f"event-{number}", "time" if "time" in event else "eventTime": time}
        if "runId" in event["data"]:
            event["data"] = event["data"] | {"runId": f"run_{number}"}
        written.append(json.dumps(event, separators=(",", ":")))
    return written


def changed(text: str) -> str:
    """Change a rules file as an operator might: one rule hears other runs, one gets a limit."""
    other = text.replace('{StringIn: ["fraud-train"]}', '{StringNotIn: ["fraud-train"]}', 1)
    return other.replace("    on: ModelRegistered\n", "    on: ModelRegistered\n    limit: {cooldown: 1h}\n", 1)


def matched(old: Rules, new: Rules, texts: list[str]) -> int:
    """Parse every event once and match it against both files, and keep nothing: the least that can be done."""
    count = 0
    for text in texts:
        event = parse.event_grid(text)
        count += len(old.match(event)) + len(new.match(event))
    return count


def measure(report: Report) -> None:
    """Measure the whole of a backtest but the loading of the rules: reading the file, both files, what differs."""
    text = samples.write(samples.mixed(100))
    old, new = (load(one, ACTIONS, "bench").bind({}) for one in (text, changed(text)))
    texts = bodies(EVENTS)
    with TemporaryDirectory() as folder:
        lines = Path(folder) / "events.jsonl"
        lines.write_text("".join(f"{one}\n" for one in texts), "utf-8")
        records = Path(folder) / "records.jsonl"
        records.write_text("".join(f"{_record(one)}\n" for one in texts), "utf-8")
        array = Path(folder) / "events.json"
        array.write_text(json.dumps([json.loads(one) for one in texts], indent=2), "utf-8")

        def replayed(path: Path) -> Work:
            return Work(lambda: play(Comparison(old, new), stream(path)))

        works = {"match": Work(lambda: matched(old, new, texts)), "lines": replayed(lines)}
        times = rounds(works | {"records": replayed(records), "array": replayed(array)}, ROUNDS)
    took = microseconds(Spread.of(times["lines"]).middle / EVENTS)
    report.bar("backtest", ratio(times, "lines", "match"), f"{EVENTS:,} events, JSON Lines: {took} an event")
    for what, name in {"records as the app keeps them": "records", "an indented array": "array"}.items():
        report.information(f"backtest / parse + match: {what}", ratio(times, name, "match"))


def _record(body: str) -> str:
    return json.dumps({"received": "2026-02-01T00:00:00+00:00", "door": "event_grid", "payload": json.loads(body)})
