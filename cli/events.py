"""`reactor events list|show|replay|send`: what came, what became of it and why, and the same once more."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from cli import send
from cli.app import App, add_person, connect
from cli.documents import print_json
from cli.errors import UsageError
from cli.listing import (
    DEFAULT_MOST,
    Json,
    add_filters,
    add_output,
    asked_for,
    kinds_of,
    nothing,
    read_pages,
    source_of,
    subject_of,
)

STATUSES = ("planned", "unplanned", "parked", "refused", "ignored")
REPLAYED_AT_ONCE = 1_000
SOME_RULES = 2
"""Rules that are named without a count of them."""
REFUSED = "refused"
SAY_AGAIN = "it is done; --again does it once more"
SAME_AGAIN = 3
"""So many first events that are refused in the same words: the others would be too."""


def add_commands(groups: Any) -> None:
    """Add `reactor events …` to the parser."""
    events = groups.add_parser("events", help="what came, what became of it and why, and the same once more")
    commands = events.add_commands("COMMAND")

    one = commands.add_parser("list", help="list events, newest first")
    add_filters(one, STATUSES, DEFAULT_MOST)
    add_output(one)
    one.set_defaults(run=list_events)

    one = commands.add_parser("show", help="tell of one event: which rules answered, what came of it, why others not")
    one.add_argument("key", metavar="KEY", help="its key, or the first 6 digits or more")
    add_output(one)
    one.set_defaults(run=show)

    one = commands.add_parser("replay", help="have events answered once more, by their keys or all that filters find")
    one.add_argument("keys", nargs="*", metavar="KEY", help="in place of filters")
    one.add_argument("--reason", metavar="TEXT", required=True, help="why; kept beside your name")
    one.add_argument(
        "--rules", choices=("then", "now"), default="then", help="those it was judged by, or today's; default: then"
    )
    one.add_argument("--again", action="store_true", help="also do again what succeeded")
    one.add_argument("--yes", action="store_true", help="do not ask before a replay by filters")
    add_filters(one, STATUSES, REPLAYED_AT_ONCE)
    add_output(one)
    add_person(one)
    one.set_defaults(run=replay)

    send.add_command(commands)


def list_events(options: Namespace) -> int:
    """Print a table of events."""
    from cli.tables import painter, room

    answer = read_pages(connect(options), "events", asked_for(options), options.most)
    if options.json:
        print_json(answer)
    elif not answer["events"]:
        print(nothing("event", options))
    else:
        for line in _table(answer["events"], painter(), room(), local=options.local):
            print(line)
        if answer["next"]:
            print(f"there are more: --most {options.most * 5}, or --until {answer['events'][-1]['received']}")
    return 0


def _table(events: Sequence[Json], paint: Any, width: int, *, local: bool) -> Iterator[str]:
    from cli.tables import COLOURS, DIM, Cell, Column, short_key, table, time_column

    heading, times = time_column([event["received"] for event in events], local=local)
    columns = [
        Column(heading),
        Column("KEY"),
        Column("KINDS", 16),
        Column("FROM", 8),
        Column("SUBJECT", 16),
        Column("STATUS"),
        Column("RULES, OR WHY NONE", 18, is_prose=True),
    ]
    rows = [
        [
            Cell(time),
            Cell(short_key(event["key"])),
            Cell(kinds_of(event) or "-"),
            Cell(source_of(event) or "-"),
            Cell(subject_of(event) or "-"),
            Cell(event["status"], COLOURS.get(event["status"], "")),
            Cell(_rules(event) or event["reason"] or "no rule answers", "" if event["rules"] else DIM),
        ]
        for time, event in zip(times, events, strict=True)
    ]
    return table(columns, rows, width, paint)


def _rules(event: Json) -> str:
    """Name the rules that answered; where there are many, a count survives a narrow terminal."""
    rules = event["rules"]
    many = f"{len(rules)} rules: " if len(rules) > SOME_RULES else ""
    return many + ", ".join(rules)


def show(options: Namespace) -> int:
    """Print all of one event."""
    from cli.tables import painter
    from cli.telling import Teller

    event = connect(options).get(f"events/{options.key}")
    if options.json:
        print_json(event)
    else:
        print("\n".join(Teller(painter(), local=options.local).event(event)))
    return 0


# -- replay -----------------------------------------------------------------------------------------------------------


def replay(options: Namespace) -> int:
    """Have events answered once more; 1 where anything of it was refused."""
    app = connect(options)
    keys = _keys(options) or _chosen(app, options)
    if not keys:
        return 0
    body = {"reason": options.reason, "rules": options.rules}
    if options.rule and options.keys:
        body["rule"] = options.rule
    if options.again:
        body["again"] = True
    answers = list(_replayed(app, keys, body, is_named=bool(options.keys), quiet=options.json))
    if options.json:
        print_json(answers[0][1] if len(answers) == 1 else [{"event": key, **answer} for key, answer in answers])
    else:
        _report(answers)
    return 1 if any(_is_refused(one) for _, answer in answers for one in answer["replayed"]) else 0


def _keys(options: Namespace) -> list[str]:
    """Take the keys that were named; keys and filters exclude each other, but for the rule."""
    filters = sorted(set(asked_for(options)) - {"rule"})
    if options.keys and filters:
        raise UsageError(f"name keys or filters, not both: --{', --'.join(filters)}")
    if not options.keys and not asked_for(options):
        raise UsageError("name the events to replay: their keys, or filters such as --kind RunFailed --since 24h")
    return list(dict.fromkeys(options.keys))


def _chosen(app: App, options: Namespace) -> list[str]:
    """Find events by the filters, oldest first, and ask whether they are meant."""
    from cli.tables import count, painter, room

    answer = read_pages(app, "events", asked_for(options), options.most)
    found = answer["events"]
    if not found:
        print(nothing("event", options), file=sys.stderr)
        return []
    if options.yes:
        return [event["key"] for event in reversed(found)]
    for line in _table(found, painter(), room(), local=options.local):
        print(line, file=sys.stderr)
    if answer["next"]:
        print(f"there are more: these are the newest {len(found)}", file=sys.stderr)
    if not sys.stdin.isatty():
        raise UsageError(f"say --yes to replay {count(len(found), 'event')}: there is no terminal to ask on")
    question = f"replay {count(len(found), 'event')} by the rules of {options.rules}? [y/N] "
    print(question, end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        print("nothing was replayed", file=sys.stderr)
        return []
    return [event["key"] for event in reversed(found)]


def _replayed(app: App, keys: Sequence[str], body: Json, *, is_named: bool, quiet: bool) -> Iterator[tuple[str, Any]]:
    """Replay one after the other; what the app refuses of one event does not keep the others waiting."""
    from cli.progress import Bar

    bar = Bar(is_shown=len(keys) > 1 and not quiet)
    hopeless = 1 if is_named and len(keys) == 1 else SAME_AGAIN
    said: list[str] = []
    for number, key in enumerate(keys, 1):
        try:
            answer = app.post(f"events/{key}/replay", body)
        except UsageError as error:
            said.append(str(error))
            if len(said) == number and said.count(said[0]) == hopeless:
                raise  # nobody is signed in, or nothing answers: so it would go with all of them
            answer = {"replayed": [{"rule": "", "action": "", "outcome": REFUSED, "reason": str(error)}]}
        bar.show(number, len(keys), number)
        yield key, answer
    bar.close()


def _report(answers: Sequence[tuple[str, Any]]) -> None:
    """Print what came of it, a line for each rule, and the sum of it."""
    from collections import Counter

    from cli.tables import COLOURS, Cell, Column, count, painter, room, short_key, table

    rows = []
    sums: Counter[str] = Counter()
    unanswered = 0
    for typed, answer in answers:
        key = answer.get("event") or typed
        if not answer["replayed"]:
            unanswered += 1
            rows.append([Cell(short_key(key)), Cell("-"), Cell("-"), Cell("-"), Cell("no rule answers it")])
        for one in answer["replayed"]:
            sums[one["outcome"]] += 1
            colour = COLOURS.get(one["outcome"], "")
            rows.append(
                [
                    Cell(short_key(key)),
                    Cell(one["rule"] or "-"),
                    Cell(one["outcome"].replace("_", " "), colour),
                    Cell(short_key(one["action"]) or "-"),
                    Cell(SAY_AGAIN if one["outcome"] == "succeeded_before" else one["reason"]),
                ]
            )
    columns = [
        Column("EVENT"),
        Column("RULE", 16),
        Column("OUTCOME"),
        Column("ACTION"),
        Column("WHY"),
    ]
    print("\n".join(table(columns, rows, room(), painter())))
    told = [f"{number} {outcome.replace('_', ' ')}" for outcome, number in sums.items()]
    if unanswered and told:
        told.append(f"{unanswered} that no rule answers")
    print(f"{count(len(answers), 'event')}: {', '.join(told) or 'no rule answers'}")


def _is_refused(one: Json) -> bool:
    return bool(one["outcome"] == REFUSED)
