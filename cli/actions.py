"""`reactor actions list|show|approve|reject|cancel`: what is being done and what came of it, and a say in it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from cli.app import add_options, add_person, connect
from cli.documents import print_json
from cli.listing import (
    DEFAULT_MOST,
    Json,
    add_filters,
    add_output,
    asked_for,
    kinds_of,
    nothing,
    read_pages,
    subject_of,
)

STATUSES = ("open", "succeeded", "failed", "skipped", "canceled", "rejected", "expired")


class Verb(NamedTuple):
    """What a person may do to an action."""

    help: str
    done: str


VERBS = {
    "approve": Verb("let an action go on that waits for an approval", "approved"),
    "reject": Verb("end an action that waits for an approval", "rejected"),
    "cancel": Verb("call off an action that has started nothing irreversible", "canceled"),
}


def add_commands(groups: Any) -> None:
    """Add `reactor actions …` to the parser."""
    actions = groups.add_parser("actions", help="what is being done, what came of it, and your say in it")
    commands = actions.add_commands("COMMAND")

    one = commands.add_parser("list", help="list actions, newest first")
    add_filters(one, STATUSES, DEFAULT_MOST)
    one.add_argument("--event", metavar="KEY", help="of this event, whenever it came")
    add_output(one)
    one.set_defaults(run=list_actions)

    one = commands.add_parser("show", help="tell of one action, step by step")
    one.add_argument("key", metavar="KEY", help="its key, or the first 6 digits or more")
    add_output(one)
    one.set_defaults(run=show)

    for name, verb in VERBS.items():
        one = commands.add_parser(name, help=verb.help)
        one.add_argument("key", metavar="KEY", help="its key, or the first 6 digits or more")
        one.add_argument("--reason", metavar="TEXT", required=True, help="why; kept beside your name")
        one.add_argument("--json", action="store_true", help="for programs: the app's own answer")
        add_options(one)
        add_person(one)
        one.set_defaults(run=partial(decide, name))


# -- the commands -----------------------------------------------------------------------------------------------------


def list_actions(options: Namespace) -> int:
    """Print a table of actions."""
    from cli.tables import painter, room

    answer = read_pages(connect(options), "actions", asked_for(options), options.most)
    if options.json:
        print_json(answer)
    elif not answer["actions"]:
        print(nothing("action", options))
    else:
        for line in _table(answer["actions"], painter(), room(), local=options.local):
            print(line)
        if answer["next"]:
            print(f"there are more: --most {options.most * 5}, or --until {answer['actions'][-1]['created']}")
    return 0


def _table(actions: Sequence[Json], paint: Any, width: int, *, local: bool) -> Iterator[str]:
    from cli.tables import COLOURS, Cell, Column, short_key, table, time_column

    heading, times = time_column([action["created"] for action in actions], local=local)
    columns = [
        Column(heading),
        Column("KEY"),
        Column("RULE", 16),
        Column("STATUS"),
        Column("STEP", 8),
        Column("HOW IT STANDS, OR WHY", 24, is_prose=True),
    ]
    rows = [
        [
            Cell(time),
            Cell(short_key(action["key"])),
            Cell(action["rule"]),
            Cell(action["status"], COLOURS.get(action["status"], "")),
            Cell(action["step"]),
            Cell(_words(action), is_name=not action["reason"]),
        ]
        for time, action in zip(times, actions, strict=True)
    ]
    return table(columns, rows, width, paint)


def _words(action: Json) -> str:
    """Say how an action stands; where there is nothing to say, what it answers."""
    words = action["reason"] or f"{kinds_of(action)} {subject_of(action)}".strip()
    return f"dry run: {words}" if action["mode"] == "dry_run" else str(words)


def show(options: Namespace) -> int:
    """Print all of one action."""
    from cli.tables import painter
    from cli.telling import Teller

    action = connect(options).get(f"actions/{options.key}")
    if options.json:
        print_json(action)
    else:
        print("\n".join(Teller(painter(), local=options.local).action(action)))
    return 0


def decide(verb: str, options: Namespace) -> int:
    """Approve, reject or cancel an action, as the person who is signed in."""
    from cli.tables import clean, short_key

    answer = connect(options).post(f"actions/{options.key}/{verb}", {"reason": options.reason})
    if options.json:
        print_json(answer)
    else:
        print(f"{VERBS[verb].done}: {clean(answer['rule'])}, action {short_key(answer['key'])}")
    return 0
