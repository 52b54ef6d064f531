"""`reactor language restore`: a version of the backups back into a region, after it was said what that replaces."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cli.app_storage import reported
from cli.errors import RefusedError
from cli.language.kept import NEWEST, find_version
from cli.language.project import Here, Side, add_project, find, prepare
from cli.language.steps import Command, add_staging, billed, perform, staging_of

if TYPE_CHECKING:
    from shared.storage.language_backups import LanguageManifest

GOES_ON = (
    "what was begun there goes on, and a training is billed until it is over (Language Studio cancels it); the same "
    "command waits for it and begins anew; `reactor language status {words}` shows what serves"
)
IMPORT_GOES_ON = "an import that was begun goes on; the same command looks what is there, and imports again"


def add_command(commands: Any) -> None:
    """Add `reactor language restore` to the parser."""
    one = commands.add_parser("restore", help="bring a backup back into a region: imported, trained, proven, served")
    add_project(one, otherwise="")
    one.add_argument(
        "version", metavar="VERSION", nargs="?", default=NEWEST, help=f"how it begins is enough; default: {NEWEST}"
    )
    one.add_argument(
        "--from",
        dest="from_host",
        metavar="HOST",
        type=_host,
        help="the host of the primary that it was kept of, as `reactor language backups` lists it; default: the "
        "declared primary's",
    )
    one.add_argument(
        "--to", choices=("primary", "secondary"), default="secondary", help="the region; default: %(default)s"
    )
    only = one.add_mutually_exclusive_group()
    only.add_argument(
        "--working-copy",
        action="store_true",
        help="bring back what was being labelled, and train and deploy nothing; best after the models are back",
    )
    only.add_argument(
        "--edits",
        action="store_true",
        help="bring back what was edited by hand, as --overwrite-edits kept it, and train and deploy nothing; --to "
        "primary takes it over into what is labelled there",
    )
    one.add_argument(
        "--overwrite-edits",
        action="store_true",
        help="where the project there holds what is nowhere kept: keep that first, and replace it",
    )
    add_staging(one)
    one.add_argument("--yes", action="store_true", help="do not ask")
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=reported(restore))


def restore(options: Namespace) -> int:
    """Bring a version back once it is confirmed what goes for it."""
    from cli.ml.telling import confirmed

    here = find(options)
    prepare(here)
    has, what = (_is_labelled, "working copy") if options.working_copy else (_serves, "model that a deployment served")
    has, what = (_was_edited, "content that was edited by hand") if options.edits else (has, what)
    version = find_version(here, options.version, has, what, options.from_host or "")
    only = "the working copy of " * options.working_copy + "what was edited by hand, of " * options.edits
    asked = _asked(here, options.to, version, only)
    if not options.yes and not confirmed(asked):
        print("nothing was restored", file=sys.stderr)
        return 1
    params = {
        "version": version.version,
        "from_host": options.from_host,
        "to": options.to,
        "working_copy": options.working_copy,
        "edits": options.edits,
        "staging": staging_of(options),
        "overwrite_edits": options.overwrite_edits,
    }
    goes_on = IMPORT_GOES_ON if only else GOES_ON
    return perform(here, Command("restore.language", goes_on, _tell), params, options)


def _host(text: str) -> str:
    """Read a host, also out of an endpoint."""
    from shared.answers import host_of

    host = host_of(text).lower() if "://" in text else text.lower()
    if not re.fullmatch(r"[a-z0-9]+([.-]+[a-z0-9]+)*", host):
        raise ArgumentTypeError("must be a host, as `reactor language backups` lists it")
    return host


def _is_labelled(version: LanguageManifest) -> bool:
    from shared.storage.language_backups import WORKING_COPY

    return WORKING_COPY in version.files


def _was_edited(version: LanguageManifest) -> bool:
    return not {"primary.json", "secondary.json"}.isdisjoint(version.files)


def _serves(version: LanguageManifest) -> bool:
    return any(version.file_for(label) for label in version.deployments.values())


def _asked(here: Here, to: Side, version: LanguageManifest, only: str) -> str:
    """Ask so that a person knows what goes for it; RefusedError where what is there cannot be read."""
    from shared.errors import ReactorError

    try:
        return _question(here, to, version, only)
    except ReactorError as problem:
        told = (f"the {to}, {here.at(to).place}, cannot be read: {problem.reason}", getattr(problem, "remedy", ""))
        raise RefusedError("; ".join(text for text in told if text)) from None


def _question(here: Here, to: Side, version: LanguageManifest, only: str) -> str:
    """Say what is there now, and what becomes of it; `only` is what is imported, where nothing is to serve."""
    at = here.at(to)
    taken = f"of {version.taken:%Y-%m-%d %H:%M}Z"
    if version.host != here.at("primary").host:
        taken += f", kept of {version.host},"
    parts = [f"bring {only}backup {version.version} {taken} to the {to}, {at.place}?"]
    there = here.language.projects.read(at, here.project)
    if there is None:
        parts.append(f"There is no {here.project}: it is made.")
    else:
        changed = f", changed last {there.modified:%Y-%m-%d %H:%M}Z," if there.modified else ""
        parts.append(f"What is being labelled in {here.project} there{changed} is replaced.")
    if only:
        parts.append("Nothing is trained, and what serves goes on.")
        return " ".join(parts)
    labels = ", ".join(dict.fromkeys(version.deployments.values()))
    parts.append(f"{labels} is trained anew there {billed(here)}.")
    return " ".join([*parts, *(_swapped(here, to, version) if there else [_served(version)])])


def _served(version: LanguageManifest) -> str:
    return " ".join(f"{name} then serves {label}." for name, label in version.deployments.items())


def _swapped(here: Here, to: Side, version: LanguageManifest) -> Iterator[str]:
    at = here.at(to)
    models = {one.id: one.label for one in here.language.models.list(at, here.project)}
    serving = {one.name: one.model_id for one in here.language.deployments.list(at, here.project)}
    for name, label in version.deployments.items():
        was = serving.get(name)
        before = f", which serves {models.get(was, was)}," if was else ""
        yield f"{name}{before} then serves {label}."


def _tell(result: Mapping[str, Any], here: Here) -> Iterator[str]:
    if not result["restored"]:
        if result["kept_as"]:
            yield f"what was there is kept as {result['kept_as']}"
    elif result["to"] == "secondary":
        yield f"`reactor language drill {here.words}` tries whether it would hold without the primary"
    else:
        was_elsewhere = result["host"] != here.at("primary").host
        words = f"{here.words} {result['version']}{f' --from {result["host"]}' * was_elsewhere}"
        yield (f"`reactor language restore {words} --to primary --working-copy` brings back what was being labelled")
