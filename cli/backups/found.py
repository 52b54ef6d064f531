"""Which backups there are, where a command looks for them, and which of them is meant by a few letters."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cli.app_storage import NOWHERE, reported
from cli.errors import RefusedError, UsageError
from cli.local_stack import READY, add_ready
from cli.surroundings import RULES, Surroundings, look_around

if TYPE_CHECKING:
    from shared.rules.declared import VisionProject
    from shared.storage.backups import Backup, Backups, Manifest, Store

NEWEST = "newest"
READERS = 8
"""Manifests that are read at once."""
MOST_NAMED = 20
"""Candidates that are listed where it is not clear which backup is meant."""
ADDRESS = (
    "PROJECT/ITERATION/PLATFORM/FLAVOR, or the beginning of it: a project by its name in the rules file or its id, an "
    f"iteration by its id or `{NEWEST}`, each as far as it is clear"
)


@dataclass(frozen=True)
class Here:
    """Where a command looks for backups."""

    around: Surroundings
    options: Namespace

    @property
    def backups(self) -> Backups:
        """The stores, and what copies between them."""
        return self.around.clients.backups

    @cached_property
    def store(self) -> Store:
        """The store that is looked at: the app's, or the one of --container."""
        url = self.options.container
        return self.elsewhere(url, "--container") if url else self.backups.own

    def elsewhere(self, url: str, option: str) -> Store:
        """Give the store in a container, by its URL or by the setting that holds it: `${NAME}`.

        PermanentError names the option where that is no container.
        """
        from shared.rules import templates

        return self.backups.elsewhere(str(templates.resolve(url, self.around.values)), option)

    @property
    def name(self) -> str:
        """Where that is, for people."""
        return str(self.store.url("x")).rpartition("/x/")[0]

    @cached_property
    def projects(self) -> Mapping[str, tuple[str, VisionProject]]:
        """What the rules file declares, by the projects' ids: each with its name there."""
        from shared.errors import PermanentError
        from shared.handlers.declared import filled_in, guid
        from shared.rules import templates

        try:
            rules, _ = self.around.rules(self.options)
        except UsageError:
            if self.options.rules:
                raise
            return {}
        found = {}
        for name, project in rules.declared.vision.items() if rules else ():
            core = project.model_copy(update={"prediction": None, "replica": None})
            try:
                filled = filled_in(core, lambda value: templates.resolve(value, self.around.values), "vision", name)
            except PermanentError:  # a setting that is not known here: the project goes by its id
                continue
            found[guid(filled.project)] = (name, filled)
        return found

    def named(self, project: str) -> str:
        """Name a project as the rules file does, else by its id."""
        return self.projects[project][0] if project in self.projects else project

    def manifests(self, backups: Iterable[Backup]) -> dict[str, Manifest | None]:
        """Read the manifests of backups, several at once; None for one that is none."""
        from concurrent.futures import ThreadPoolExecutor

        from shared.errors import PermanentError

        def read(folder: str) -> Manifest | None:
            try:
                return self.store.manifest(folder)
            except PermanentError:
                return None

        folders = [backup.folder for backup in backups if backup.is_whole]
        with ThreadPoolExecutor(READERS) as readers:
            return dict(zip(folders, readers.map(read, folders), strict=True))


def add_options(parser: ArgumentParser) -> None:
    """Let a command say where it looks."""
    parser.add_argument(
        "--container",
        metavar="URL",
        help="look there instead of in the app's storage, such as in the second region: with a SAS, best as ${NAME} of "
        "an environment variable, or as who is signed in",
    )
    parser.add_argument(
        "--rules",
        type=Path,
        metavar="FILE",
        help=f"where projects have their names; default: REACTOR_RULES, else {RULES}",
    )
    add_ready(parser, f"that of {READY}, where no app is in the environment")


def find(options: Namespace) -> Here:
    """Find the store; UsageError where no app's storage is known and no container is named."""
    around = look_around(options)
    if not (around.has_storage or options.container):
        raise UsageError(f"{NOWHERE}; or name a container of backups with --container")
    return Here(around, options)


def told(command: Callable[[Here, Namespace], int]) -> Callable[[Namespace], int]:
    """Have a command say what went wrong and what would help; which role, where it may not look."""

    def run(options: Namespace) -> int:
        from shared.errors import DeniedError, TemporaryError

        here = find(options)
        try:
            return command(here, options)
        except DeniedError as problem:
            raise RefusedError(
                f"{problem.reason}: who is signed in needs the role Storage Blob Data Reader on the account of "
                f"{here.name}, and Storage Blob Data Contributor where something is written"
            ) from None
        except TemporaryError as trouble:
            raise RefusedError(f"{trouble.reason}; give the command again") from None

    return reported(run)


# -- which one is meant -----------------------------------------------------------------------------------------------


def fitting(address: str, backups: Iterable[Backup], here: Here) -> list[Backup]:
    """Give the backups that an address may mean, all for ""; unfinished ones too."""
    wanted = [part.lower() for part in address.strip("/").split("/") if part]
    found = list(backups)
    for place, text in enumerate(wanted):
        if place == 1 and text == NEWEST:
            found = _newest(found, here)
            continue
        names = [_names(backup, place, here) for backup in found]
        exact = [backup for backup, known in zip(found, names, strict=True) if text in known]
        found = exact or [
            backup for backup, known in zip(found, names, strict=True) if any(one.startswith(text) for one in known)
        ]
    return found


def _names(backup: Backup, place: int, here: Here) -> tuple[str, ...]:
    """Say how the part of a backup's folder at a place may be written; its content is the last, if at all."""
    parts = tuple(part.lower() for part in backup.folder.split("/"))
    if place == 0:
        return (parts[0], parts[0].replace("-", ""), here.named(backup.project).lower())
    return (parts[place],) if place < len(parts) else ()


def _newest(backups: Sequence[Backup], here: Here) -> list[Backup]:
    """Keep of each project the iteration that was backed up last, as the manifests know it."""
    last: dict[str, tuple[datetime, str]] = {}
    manifests = here.manifests(backups)
    for backup in backups:
        if manifest := manifests.get(backup.folder):
            this = (manifest.written, backup.iteration)
            last[backup.project] = max(last.get(backup.project, this), this)
    return [one for one in backups if one.project in last and one.iteration == last[one.project][1]]


def chosen(here: Here, address: str, *, every: bool = False) -> list[Backup]:
    """Give the backup that is meant, or with `every` all that are; RefusedError lists them where that is not clear.

    Where no iteration is said, it is the one that was backed up last.
    """
    there = list(here.store.list())
    fits = fitting(address, there, here)
    whole = [backup for backup in fits if backup.is_whole]
    if not whole:
        raise RefusedError(_nothing(here, address, there, fits))
    if every:
        return whole
    if len([part for part in address.strip("/").split("/") if part]) < 2:
        whole = _newest(whole, here)
    if len(whole) > 1:
        lines = [f"  {written(backup, here)}" for backup in whole[:MOST_NAMED]]
        more = f"\n  and {len(whole) - MOST_NAMED} more" if len(whole) > MOST_NAMED else ""
        raise RefusedError("\n".join(["which one? These fit:", *lines]) + more)
    return whole


def written(backup: Backup, here: Here) -> str:
    """Write an address that means just this backup."""
    return "/".join([here.named(backup.project), *backup.folder.split("/")[1:]])


def _nothing(here: Here, address: str, there: Sequence[Backup], fits: Sequence[Backup]) -> str:
    from shared.rules.problems import did_you_mean

    if fits:
        return f"{written(fits[0], here)} is not whole: it is being copied, or its action failed; replay its event"
    if not there:
        return f"there are no backups in {here.name}: backup.vision_export makes them"
    projects = sorted({here.named(backup.project) for backup in there})
    named = address.strip("/").partition("/")[0]
    hint = did_you_mean(named, projects)
    return f'no backup fits "{address}"{hint}; `reactor backups list` lists them, of {", ".join(projects)}'
