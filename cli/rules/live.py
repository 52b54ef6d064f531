"""`reactor rules push`, `reactor rules rollback` and `reactor rules history`: going live, and back."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.app_storage import AppStorage, find, reported, who
from cli.errors import UsageError
from cli.local_stack import add_ready

if TYPE_CHECKING:
    from shared.rules import Rules
    from shared.storage.rules_history import History, Version
    from shared.storage.rules_store import RulesStore

LIVE, WAS_LIVE, NEVER_LIVE = "live", "was live", "never live"
SOON = "every instance has it within a minute"
NO_RULES_HELP = "put rules live that are none, where some are live"


def add_commands(commands: Any) -> None:
    """Add what publishes to `reactor rules …`."""
    one = commands.add_parser("push", help="check a rules file and put it live, without a deployment")
    one.add_argument("file", type=Path, metavar="FILE", help="the rules file; - for stdin")
    one.add_argument("--message", default="", metavar="TEXT", help="why, for the history")
    one.add_argument("--replaces", metavar="HASH|N", help="refuse unless this version is the one that is live")
    one.add_argument("--yes", action="store_true", help=NO_RULES_HELP)
    add_ready(one)
    one.set_defaults(run=reported(push))

    one = commands.add_parser("rollback", help="put an earlier version of the rules live again")
    one.add_argument(
        "version", nargs="?", metavar="HASH|N", help="default: the one that was live before, further back each time"
    )
    one.add_argument("--message", default="", metavar="TEXT", help="why, for the history")
    one.add_argument("--yes", action="store_true", help=NO_RULES_HELP)
    add_ready(one)
    one.set_defaults(run=reported(rollback))

    one = commands.add_parser("history", help="list the versions of the rules, newest first")
    one.add_argument("--json", action="store_true", help="for programs")
    add_ready(one)
    one.set_defaults(run=reported(history))


def push(options: Namespace) -> int:
    """Publish a file; 1 where it has errors, or somebody else published meanwhile."""
    from cli.documents import read

    message = _message(options.message)
    text = read(options.file)
    app = find(options)
    rules = _check(text, str(options.file), app, "mend it; `reactor rules check` shows as much")
    store = _store(app)
    seen = store.look()
    if options.replaces:
        _insist(seen, options.replaces)
    _insist_on_rules(seen, rules, str(options.file), is_meant=options.yes)
    published = store.publish(text, seen, by=who(), message=message)
    _say(app, seen, rules, published)
    return 0


def rollback(options: Namespace) -> int:
    """Publish an earlier version anew; 1 where there is none, or where today's app cannot load it."""
    message = _message(options.message)
    app = find(options)
    store = _store(app)
    seen = store.look()
    version = seen.find(options.version) if options.version else seen.before()
    text = store.text(version)
    rules = _check(text, f"version {version.number}", app, "choose another one of `reactor rules history`")
    _insist_on_rules(seen, rules, f"version {version.number}", is_meant=options.yes)
    published = store.publish(text, seen, by=who(), message=message, restores=version.restores or version.number)
    _say(app, seen, rules, published)
    return 0


def history(options: Namespace) -> int:
    """List the versions; 1 where what is live cannot be loaded."""
    from cli.documents import print_json
    from shared.errors import PermanentError

    app = find(options)
    seen = _store(app).look()
    problem = ""
    if seen.live:
        try:
            _load(seen.live.text, "live")
        except PermanentError as error:
            problem = error.reason
    if options.json:
        print_json(_json(app, seen, loads=not problem))
    else:
        print("\n".join(_table(app, seen)))
    if problem:
        print(
            f"reactor: what is in the blob does not load, so the last good rules stay live:\n{problem}\n"
            "  `reactor rules push` publishes a mended file; `reactor rules rollback` goes back",
            file=sys.stderr,
        )
    return 1 if problem else 0


# -- what they share --------------------------------------------------------------------------------------------------


def _store(app: AppStorage) -> RulesStore:
    """Find the blob; PermanentError where the app reads a file."""
    from shared.errors import PermanentError
    from shared.storage.rules_store import RulesStore, is_blob
    from shared.wiring import now

    location = app.settings.rules
    if is_blob(location):
        return RulesStore(app.account, location, now)
    if app.folder:
        how = "start the local stack with `REACTOR_RULES=blob:rules/rules.yaml make run`"
    else:
        how = "set REACTOR_RULES=blob:rules/rules.yaml in the app's settings, and here"
    raise PermanentError(
        f"this app reads {location}, a file that is deployed with it: there is nothing to push to",
        remedy=f"to publish rules without a deployment, {how}",
    )


def _message(text: str) -> str:
    from cli.tables import one_line
    from shared.storage.rules_store import LONGEST_MESSAGE

    message = one_line(text)
    if len(message) > LONGEST_MESSAGE:
        raise UsageError(f"the message has {len(message)} characters, more than {LONGEST_MESSAGE}")
    return message


def _load(text: str, origin: str) -> Rules:
    from shared.handlers import ACTIONS
    from shared.rules import load

    return load(text, ACTIONS, origin)


def _check(text: str, origin: str, app: AppStorage, remedy: str) -> Rules:
    """Load a text as the app will, and show what is wrong with it; PermanentError where it has errors.

    Which settings are set is known of a local stack only; of another app it is said which ones it needs.
    """
    from cli.rules.checking import shown
    from cli.rules.needs import needs, unset
    from cli.tables import painter
    from shared.errors import PermanentError
    from shared.rules import RulesError

    rules: Rules | None = None
    try:
        rules = _load(text, origin)
        rules = rules.bind(app.known) if app.folder else rules
        problems = list(rules.warnings)
        if app.folder:
            problems += unset(text, rules, app.known, rules.warnings)
    except RulesError as error:
        problems = error.problems
    for problem in problems:
        print(shown(problem, origin, painter()), file=sys.stderr)
    if rules is None:
        raise PermanentError(f"{origin} has errors: nothing was published", remedy=remedy)
    if not app.folder and (names := needs(text, rules)):
        print(f"{origin}: needs these settings of the app: {', '.join(sorted(names))}", file=sys.stderr)
    return rules


def _insist(seen: History, wanted: str) -> None:
    """Refuse where another version than the wanted one is live."""
    from shared.errors import PermanentError

    if seen.current != seen.find(wanted):
        live = f"version {seen.current.number} is" if seen.current else "none of the versions is"
        raise PermanentError(
            f"{live} live, not {wanted}: nothing was published", remedy="look at `reactor rules history`"
        )


def _insist_on_rules(seen: History, rules: Rules, origin: str, *, is_meant: bool) -> None:
    """Refuse to have nothing answered any more, unless that is meant."""
    from cli.tables import count
    from shared.errors import PermanentError

    before = _before(seen)
    if before and not rules.rules and not is_meant:
        raise PermanentError(
            f"{origin} has no rules, and {_live(seen)}, which is live, has {count(before, 'rule')}: "
            "nothing was published",
            remedy="--yes publishes it all the same: no event is answered then",
        )


def _before(seen: History) -> int:
    """Count the rules that are live; 0 where there are none, or what is in the blob does not load."""
    from shared.rules import RulesError

    try:
        return len(_load(seen.live.text, "live").rules) if seen.live else 0
    except RulesError:
        return 0


def _live(seen: History) -> str:
    return f"version {seen.current.number}" if seen.current else "what was written by hand"


def _say(app: AppStorage, seen: History, rules: Rules, published: Version | None) -> None:
    from cli.tables import count

    where = f"{app.settings.rules} of {app.name}"
    if published is None:
        number = f"version {seen.current.number}, " if seen.current else ""
        print(f"{where}: {number}{rules.hash[:12]}, is live already")
        return
    back = f", which is {published.restores} again" if published.restores else ""
    held = count(len(rules.rules), "rule")
    fewer = _before(seen) - len(rules.rules)
    if fewer > 0:
        held += f", {fewer} fewer than {_live(seen)}"
    print(f"{where}: version {published.number}{back}, {rules.hash[:12]}, is live: {held}; {SOON}")


# -- the list ---------------------------------------------------------------------------------------------------------


def _state(seen: History, version: Version) -> str:
    if seen.current == version:
        return LIVE
    return WAS_LIVE if version.number in seen.were_live else NEVER_LIVE


def _table(app: AppStorage, seen: History) -> Iterator[str]:
    from cli.tables import DIM, GREEN, Cell, Column, painter, room, table, time_column

    yield f"{app.settings.rules} of {app.name}"
    by_hand = seen.live if not seen.current else None
    times = [by_hand.modified] if by_hand else []
    times += [version.at for version in seen.versions]
    heading, shown = time_column([at.isoformat() for at in times], local=False)
    rows = [(LIVE, "-", by_hand.hash[:12], "-", "written into the blob by hand")] if by_hand else []
    for version in seen.versions:
        back = f"back to {version.restores}" if version.restores else ""
        why = ": ".join(part for part in (back, version.message) if part)
        rows.append((_state(seen, version), str(version.number), version.hash[:12], version.by or "-", why))
    if not rows:
        yield "nothing was published yet"
        return
    columns = [Column("STATE"), Column("N"), Column("HASH"), Column(heading), Column("WHO", 12), Column("WHY", 20)]
    colours = {LIVE: GREEN, NEVER_LIVE: DIM}
    cells = [
        [Cell(state, colours.get(state, "")), Cell(number), Cell(hash_), Cell(time), Cell(by), Cell(why)]
        for (state, number, hash_, by, why), time in zip(rows, shown, strict=True)
    ]
    yield from table(columns, cells, room(), painter())


def _json(app: AppStorage, seen: History, *, loads: bool) -> dict[str, Any]:
    live = seen.live and {
        "version": seen.current.number if seen.current else None,
        "hash": seen.live.hash,
        "modified": seen.live.modified.isoformat(),
        "loads": loads,
    }
    versions = [version.model_dump(mode="json") | {"state": _state(seen, version)} for version in seen.versions]
    return {"location": app.settings.rules, "account": app.name, "live": live, "versions": versions}
