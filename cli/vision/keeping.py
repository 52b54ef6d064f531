"""`reactor vision backup|dataset`: exported models and labelled images into our own store; no app need run for that."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cli.errors import RefusedError, UsageError
from cli.vision.iterations import add_iteration, add_within, iteration_of

if TYPE_CHECKING:
    from cli.vision.project import Here

Params = dict[str, Any]


def _prepare(here: Here) -> None:
    """Make the container where it is missing; UsageError where the storage is not known."""
    from cli.vision.places import make

    if here.account is None:
        raise UsageError(
            "the app's storage is not known here: set AzureWebJobsStorage or AzureWebJobsStorage__accountName; "
            "no app need run, a storage account is enough"
        )
    places = here.around.places
    make(places, {"container": places.container_url(here.settings.backup_container)})


# -- models -----------------------------------------------------------------------------------------------------------


def add_backup(one: ArgumentParser) -> None:
    """Say which models are to be kept."""
    add_iteration(one)
    _add_second(one)


def read_backup(options: Namespace, here: Here) -> Params:
    """Write the options as the parameters of the step; what is not exported cannot be kept."""
    iteration = iteration_of(options.iteration, here)
    exports = here.vision.iterations.exports(here.at, here.project, iteration)
    if not any(one.status == "Done" for one in exports):
        raise RefusedError(
            f"iteration {iteration} is not exported, and only that can be kept: "
            f"`reactor vision export {here.words} --iteration {iteration} --platform ONNX`"
        )
    _prepare(here)
    return {"iteration": iteration, "second": _second(options, here)}


def _add_second(one: ArgumentParser) -> None:
    one.add_argument(
        "--second", metavar="URL", help="another container, which has to be there; with a SAS it is '${SETTING}'"
    )


def _second(options: Namespace, here: Here) -> str | None:
    """Fill it in, and look at it: a person should not wait for hours to be told of a typing error."""
    from shared.errors import ReactorError

    if not options.second:
        return None
    url = _filled(options.second, here)
    try:
        here.around.clients.backups.elsewhere(url).look()
    except ReactorError as problem:
        hint = getattr(problem, "remedy", "")
        raise RefusedError(
            f"--second: {problem.reason}; nothing was copied" + (f"\n  {hint}" if hint else "")
        ) from None
    return url


def _filled(text: str, here: Here) -> str:
    """Fill settings in: a SAS is none of what a command line should show."""
    from shared.errors import PermanentError
    from shared.rules import templates

    try:
        return str(templates.resolve(text, here.around.values))
    except PermanentError as problem:
        raise UsageError(f"--second: {problem.reason}") from None


def tell_backup(result: Mapping[str, Any], _here: Here) -> Iterator[str]:
    """Name the folders."""
    for what in ("stored", "kept"):
        for folder in result.get(what, ()):
            yield f"  {what:6}  {folder}"


# -- images -----------------------------------------------------------------------------------------------------------


def add_dataset(one: ArgumentParser) -> None:
    """Say which images are to be kept, and how."""
    one.add_argument("--untagged", action="store_true", help="keep images without a tag as well")
    one.add_argument("--datastore", metavar="URI", help="the Azure ML datastore that is the backup container")
    _add_second(one)
    add_within(one, "how long copying may take; default: 2d")


def read_dataset(options: Namespace, here: Here) -> Params:
    """Write the options as the parameters of the step."""
    _prepare(here)
    given = {"untagged": options.untagged, "datastore": options.datastore, "within": options.within}
    return given | {"second": _second(options, here)}


def tell_dataset(result: Mapping[str, Any], _here: Here) -> Iterator[str]:
    """Say where they are."""
    names = ["uri", "coco", "jsonl", *(["second"] if result.get("second") else [])]
    width = max(map(len, names))
    for name in names:
        yield f"  {name:{width}}  {result.get(name, '-')}"
