"""`reactor vision publish|export|prune|replicate|backup|dataset`: what rules have the app do, by hand and in stages."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from cli.app_storage import reported
from cli.errors import RefusedError, UsageError
from cli.steps import Steps
from cli.vision import keeping, pruning
from cli.vision.asked import as_option
from cli.vision.iterations import add_iteration, add_within, iteration_of
from cli.vision.project import Here, add_prediction, add_project, find

Params = dict[str, Any]


class Command(NamedTuple):
    """One of the commands."""

    action: str
    says: str
    add: Callable[[ArgumentParser], None]
    read: Callable[[Namespace, Here], Params]
    """Writes the options as the parameters of the step."""
    tell: Callable[[Mapping[str, Any], Here], Iterator[str]]
    says_first: Callable[[Namespace], Params] = lambda _options: {}
    """Says what is known before the first stage, which no rule can say."""
    goes_on: str = "Custom Vision goes on with what was begun; the same command again looks how far it is"
    """What is said to whoever stops looking."""
    steps: type[Steps] = Steps


def add_command(commands: Any) -> None:
    """Add the commands to the parser."""
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=command.says)
        add_project(one)
        command.add(one)
        one.add_argument("--json", action="store_true", help="for programs")
        one.set_defaults(run=reported(perform), command=command)


def perform(options: Namespace) -> int:
    """Perform the step, and say what came of it."""
    from cli.documents import print_json
    from cli.steps import interruptible, line_of

    command: Command = options.command
    here = find(options)
    params = command.read(options, here)
    steps: Steps = command.steps(here, line_of(options), result=dict(command.says_first(options)), named=as_option)
    if isinstance(steps, pruning.Pruning) and not options.yes and not pruning.is_confirmed(steps, params):
        return 1
    with interruptible(lambda: steps.so_far(command.goes_on)):
        result = steps.perform(command.action, params)
    if options.json:
        print_json(_results(command.action, result))
        return 0
    for note, following in pairwise([*steps.notes, ""]):
        if not following.startswith(note):  # a later stage says it again, and more
            print(note)
    for line in command.tell(result, here):
        print(line)
    return 0


def _results(action: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Give what later steps of a rule could read."""
    from importlib import import_module

    from shared.handlers import ACTIONS

    module, params = ACTIONS[action].split(":")
    handler = import_module(module)
    named = {name.partition(".")[0] for name in handler.RESULTS[getattr(handler, params)]}
    return {name: value for name, value in result.items() if name in named}


# -- publish ----------------------------------------------------------------------------------------------------------


def _add_publish(one: ArgumentParser) -> None:
    one.add_argument("--name", metavar="NAME", required=True, help="the name that predictions are asked for by")
    add_iteration(one)
    one.add_argument("--sample", metavar="URL", help="an image it must recognise; default: some of the project's")
    one.add_argument("--expects", metavar="TAG", help="what must be seen first in --sample")
    one.add_argument("--probability", type=float, metavar="P", help="how sure it must be of that; default: 0.5")
    one.add_argument("--samples", type=int, metavar="N", help="how many images of the project are shown; default: 3")
    one.add_argument("--older", action="store_true", help="put it in the place of a newer one: the way back")
    add_within(one, "how long the prediction resource may take to answer for it")
    add_prediction(one)


def _read_publish(options: Namespace, here: Here) -> Params:
    if here.about.prediction is None:
        how = "--prediction gives its ARM id" if options.endpoint else "declare `prediction` with the project"
        raise UsageError(f"{here.name} has no prediction resource to publish on: {how}")
    names = ("name", "sample", "expects", "probability", "samples", "within")
    iteration = iteration_of(options.iteration, here)
    if not options.older:
        refuse_older(iteration, options.name, here)
    return {name: getattr(options, name) for name in names} | {"iteration": iteration}


def refuse_older(iteration: str, name: str, here: Here, older: str = "--older") -> None:
    """Refuse to put an iteration in the place of a newer one by mistake; `older` is how it is done on purpose."""
    from shared.handlers.vision import iterations

    there = here.vision.iterations.list(here.at, here.project)
    ours, live = iterations.pick(there, iteration), iterations.live(there, name)
    if ours and live and iterations.is_newer(live, ours):
        raise RefusedError(
            f"{live.name}, which was trained later than {ours.name}, is published as {name}; "
            f"{older} puts {ours.name} in its place"
        )


def _goes_back(options: Namespace) -> Params:
    from shared.handlers.vision.publish.taking import GOES_BACK

    return {GOES_BACK: True} if options.older else {}


def _tell_publish(result: Mapping[str, Any], here: Here) -> Iterator[str]:
    yield f"`{here.asks(result['name'])}` asks it"


# -- export -----------------------------------------------------------------------------------------------------------


def _add_export(one: ArgumentParser) -> None:
    one.add_argument(
        "--platform",
        action="append",
        required=True,
        metavar="PLATFORM[/FLAVOR]",
        help="such as ONNX, or TensorFlow/TensorFlowLite; repeat it for more",
    )
    add_iteration(one)
    one.add_argument("--again", action="store_true", help="export anew what Custom Vision has a newer version of")
    add_within(one, "how long it may take; default: 6h")


def _read_export(options: Namespace, here: Here) -> Params:
    return {
        "platforms": options.platform,
        "again": options.again,
        "within": options.within,
        "iteration": iteration_of(options.iteration, here),
    }


def _tell_export(result: Mapping[str, Any], here: Here) -> Iterator[str]:
    project = here.vision.projects.read(here.at, here.project)
    if project is not None and project.container:
        yield f"  in {project.container}"
    yield f"`reactor vision status {here.words}` lists what {result['name']} is exported to"


# -- replicate --------------------------------------------------------------------------------------------------------


def _add_replicate(one: ArgumentParser) -> None:
    one.add_argument("--name", metavar="NAME", help="what the copy is called; default: as the project")
    one.add_argument("--keep", type=int, metavar="N", help="how many older copies stay beside it; default: all")
    add_within(one, "how long the import may take; default: 24h")


def _read_replicate(options: Namespace, here: Here) -> Params:
    if here.about.replica is None:
        raise UsageError(f"{here.name} has no replica: declare `replica` with the project, the resource to copy it to")
    return {"name": options.name, "keep": options.keep, "within": options.within}


def _tell_replicate(result: Mapping[str, Any], here: Here) -> Iterator[str]:
    replica = here.about.replica
    yield f"the copy: {result['name']} ({result['copy']}), at {replica.training.endpoint if replica else '-'}"


# -- all of them ------------------------------------------------------------------------------------------------------

COMMANDS: Mapping[str, Command] = {
    "publish": Command(
        "publish.vision",
        "publish an iteration: tried out before, asked after, the name given back where that fails",
        *(_add_publish, _read_publish, _tell_publish, _goes_back),
        goes_on="what is published by now stays so: `reactor vision status` shows it",
    ),
    "export": Command("export.vision", "export an iteration, and wait for it", _add_export, _read_export, _tell_export),
    "prune": Command(
        pruning.ACTION,
        "delete old iterations, never published ones",
        *(pruning.add_prune, pruning.read_prune, pruning.tell_prune),
        steps=pruning.Pruning,
    ),
    "replicate": Command(
        "replicate.vision",
        "copy a project to the declared replica, and compare",
        *(_add_replicate, _read_replicate, _tell_replicate),
        goes_on="what was begun of the copy stays there, unfinished; the same command makes another one",
    ),
    "backup": Command(
        "backup.vision_export",
        "keep what an iteration was exported to in our own store",
        *(keeping.add_backup, keeping.read_backup, keeping.tell_backup),
        goes_on="what was copied stays; the same command goes on",
    ),
    "dataset": Command(
        "backup.vision_dataset",
        "back up the labelled images, as COCO and for Azure ML",
        *(keeping.add_dataset, keeping.read_dataset, keeping.tell_dataset),
        goes_on="the images that were copied stay; the same command makes another version, and copies only the others",
    ),
}
