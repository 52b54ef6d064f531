"""Lists what the local stack's reactor wrote down: `python -m dev.records [KEY] [--last N] [--ready FILE]`.

Without a key, the last events, each with its actions; with the key of an event or of an action, its whole record.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from dev.demo.ledger import Entry, Ledger
from shared.actions import Action
from shared.storage.records import EventRecord

READY = Path(__file__).parents[1] / ".stack/ready.json"


def main() -> None:
    """Read the stack's ready file, and print what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m dev.records", description="Lists events and their actions.")
    parser.add_argument("key", nargs="?", help="of an event or an action: print its whole record as JSON")
    parser.add_argument("--last", type=int, default=10, metavar="N", help="how many events; default: %(default)s")
    parser.add_argument("--ready", type=Path, default=READY, metavar="FILE", help="the stack's ready file")
    options = parser.parse_args()
    try:
        storage = json.loads(options.ready.read_text(encoding="utf-8"))["storage"]
    except FileNotFoundError:
        sys.exit(f"records: no stack runs here (`make run` starts one): there is no {options.ready}")
    entries = Ledger(storage).entries()
    if not options.key:
        print("\n".join(listed(entries, options.last)) or "records: no event has come yet")
    elif record := found(entries, options.key):
        print(record)
    else:
        sys.exit(f"records: no event and no action has the key {options.key}")


def listed(entries: Iterable[Entry], last: int) -> Iterator[str]:
    """Write the last events in the order they came, and under each its actions and their steps."""
    for entry in sorted(entries, key=lambda entry: entry.event.received)[-last:]:
        event = entry.event
        kinds = ", ".join(sorted(event.kinds)) or event.type or "no event"
        because = f": {event.reason}" if event.reason else ""
        yield f"{event.received:%H:%M:%S}  {event.key}  {event.status}  {kinds}  {event.subject}{because}".rstrip()
        yield from (f"            {line}" for action in entry.actions for line in told(action))


def told(action: Action) -> Iterator[str]:
    """Write an action, and a line for each step that began."""
    yield f"{action.key}  {action.status}  {action.rule}"
    for state in action.progress:
        failed = action.failure if state.outcome == "failed" else None
        words = failed.reason if failed else state.trouble or state.note
        yield f"  {state.id}  {state.outcome or state.stage}{f': {words}' if words else ''}"


def found(entries: Iterable[Entry], key: str) -> str | None:
    """Give the record with a key as JSON, its payload and plan included."""
    for entry in entries:
        records: tuple[EventRecord | Action, ...] = (entry.event, *entry.actions)
        for record in records:
            if record.key == key:
                shown = record.model_dump(mode="json")
                with suppress(KeyError, ValueError):  # an action has none, and what was parked may be anything
                    shown["payload"] = json.loads(shown["payload"])
                return json.dumps(shown, indent=2, ensure_ascii=False)
    return None


if __name__ == "__main__":
    main()
