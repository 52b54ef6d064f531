"""`reactor vision unpublish`: takes a name from the iteration that is published under it."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from cli.app_storage import reported
from cli.errors import RefusedError
from cli.vision.project import add_project, find

if TYPE_CHECKING:
    from cli.vision.project import Here
    from shared.clients.vision import Iteration


def add_command(commands: Any) -> None:
    """Add `reactor vision unpublish` to the parser."""
    one = commands.add_parser("unpublish", help="take a name from the iteration that is published under it")
    add_project(one)
    one.add_argument("--name", metavar="NAME", required=True, help="what it is published as")
    one.add_argument("--yes", action="store_true", help="do not ask")
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=reported(unpublish))


def unpublish(options: Namespace) -> int:
    """Take the name away once that is confirmed, while nobody publishes; what was published stays an iteration."""
    from cli.documents import print_json
    from cli.ml.telling import confirmed
    from cli.steps import Steps, line_of
    from shared.handlers.vision.iterations import names_lock

    here = find(options, is_whole=False)
    live = _live(here, options.name)
    asked = f"unpublish {live.name}? Who asks {here.name} for {options.name} gets no answer then."
    if not options.yes and not confirmed(asked):
        print("nothing was unpublished", file=sys.stderr)
        return 1
    steps, lock = Steps(here, line_of(options)), names_lock(here.project)
    if holder := steps.hold(lock):
        raise RefusedError(
            f"action {holder[:8]} publishes an iteration of {here.name}, or deletes some; wait until it is over "
            f"(`reactor actions show {holder[:8]}`), or call it off"
        )
    try:
        if (found := _live(here, options.name)).id != live.id:
            raise RefusedError(f"{found.name} is published as {options.name} by now; nothing was unpublished")
        here.vision.iterations.unpublish(here.at, here.project, live.id)
    finally:
        steps.let_go(lock)
    if options.json:
        print_json({"project": here.project, "iteration": live.id, "name": options.name})
        return 0
    print(f"{live.name} is not published as {options.name} any more")
    print(f"`reactor vision publish {here.words} --name {options.name} --iteration {live.id}` publishes it again")
    return 0


def _live(here: Here, name: str) -> Iteration:
    """Find what is published under a name; RefusedError where nothing is."""
    from shared.handlers.vision.iterations import live
    from shared.rules.problems import did_you_mean

    there = here.vision.iterations.list(here.at, here.project)
    if (found := live(there, name)) is None:
        names = [one.publish_name for one in there if one.publish_name]
        known = f"published are {', '.join(names)}" if names else "nothing is"
        raise RefusedError(f'{here.name} has nothing published as "{name}"{did_you_mean(name, names)}; {known}')
    return found
