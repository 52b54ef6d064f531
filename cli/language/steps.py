"""`reactor language replicate|backup`: what rules have the app do, by hand and in stages."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.app_storage import reported
from cli.language.project import Here, add_project, find, prepare
from cli.language.waiting import stoppable

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from cli.steps import Steps

STAGING = "next"
GOES_ON = (
    "what was begun in the secondary goes on, and a training there is billed until it is over (Language Studio cancels "
    "it); the same command waits for it, and takes what it made; `reactor language status {words}` shows what serves"
)
LOOKS_AGAIN = "what is kept of it by now is no whole version; the same command makes one"


def add_commands(commands: Any) -> None:
    """Add both to the parser."""
    one = commands.add_parser("replicate", help="bring a project to its secondary: kept, trained, proven, then served")
    add_project(one)
    add_staging(one)
    one.add_argument(
        "--overwrite-edits", action="store_true", help="keep what was edited by hand in the secondary, and replace it"
    )
    one.add_argument("--force", action="store_true", help="train and deploy anew though nothing differs")
    _finish(one)
    one.set_defaults(run=reported(replicate))

    one = commands.add_parser("backup", help="keep what the primary serves, and what is being labelled there")
    add_project(one)
    one.add_argument("--force", action="store_true", help="keep content once more that is kept already")
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=reported(backup))


def add_staging(parser: ArgumentParser) -> None:
    """Let a command say in which slots a model is proven."""
    slot = parser.add_mutually_exclusive_group()
    slot.add_argument(
        "--staging",
        metavar="NAME",
        default=STAGING,
        help=f"what the slot of a deployment is called after it; default: {STAGING}, as in production-{STAGING}",
    )
    slot.add_argument("--no-staging", action="store_true", help="deploy without a slot, and prove what serves then")


def _finish(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="for programs")


def staging_of(options: Namespace) -> str:
    """Give the name of the slots, "" for none."""
    return "" if options.no_staging else str(options.staging)


def replicate(options: Namespace) -> int:
    """Bring a project to its secondary once that is confirmed; its stages say how far it is."""
    from cli.ml.telling import confirmed

    here = find(options)
    prepare(here)
    if not options.yes and not confirmed(_question(here, is_forced=options.force)):
        print("nothing was replicated", file=sys.stderr)
        return 1
    params = {
        "staging": staging_of(options),
        "overwrite_edits": options.overwrite_edits,
        "force": options.force,
    }
    return perform(here, Command("replicate.language", GOES_ON, _tell_replicate), params, options)


def _question(here: Here, *, is_forced: bool) -> str:
    first, second = here.at("primary").place, here.at("secondary").place
    what = "It" if is_forced else "What differs"
    return (
        f"bring {here.project} from {first} to {second}? {what} is trained there {billed(here)}, "
        f"and serves as {', '.join(here.about.deployments)} once it is proven."
    )


def billed(here: Here) -> str:
    """Say what a training costs."""
    mode = here.about.training.mode
    return f"in mode {mode}, which is {'billed by the hour' if mode == 'advanced' else 'free'}"


def _tell_replicate(_result: Mapping[str, Any], here: Here) -> Iterator[str]:
    yield f"`reactor language drill {here.words}` tries whether it would hold without the primary"


def backup(options: Namespace) -> int:
    """Keep a project."""
    here = find(options)
    prepare(here)
    return perform(here, Command("backup.language", LOOKS_AGAIN, _tell_backup), {"force": options.force}, options)


def _tell_backup(result: Mapping[str, Any], here: Here) -> Iterator[str]:
    for name in sorted(result["files"]):
        yield f"  {name}"
    yield f"`reactor language restore {here.words} {result['version']}` brings it back"


# -- performing -------------------------------------------------------------------------------------------------------


class Command(NamedTuple):
    """How a step is performed by hand."""

    action: str
    goes_on: str
    """What is said to whoever stops looking."""
    tell: Callable[[Mapping[str, Any], Here], Iterator[str]]
    """Says what may be done next."""


def perform(here: Here, command: Command, params: Mapping[str, Any], options: Namespace) -> int:
    """Perform a step, and say what came of it."""
    from cli.documents import print_json
    from cli.steps import Steps, line_of

    steps = Steps(here, line_of(options))
    with stoppable(lambda: steps.so_far(command.goes_on.format(words=here.words))):
        result = steps.perform(command.action, params)
    if options.json:
        print_json(results_of(command.action, result))
        return 0
    for text in _notes(steps):
        print(text)
    for text in command.tell(result, here):
        print(text)
    return 0


def _notes(steps: Steps) -> Iterator[str]:
    from cli.tables import one_line

    for note, following in pairwise([*steps.notes, ""]):
        if not following.startswith(note):  # a later stage says it again, and more
            yield one_line(note)


def results_of(action: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Give what later steps of a rule could read."""
    from importlib import import_module

    from shared.handlers import ACTIONS

    module, params = ACTIONS[action].split(":")
    handler = import_module(module)
    named = {name.partition(".")[0] for name in handler.RESULTS[getattr(handler, params)]}
    return {name: value for name, value in result.items() if name in named}
