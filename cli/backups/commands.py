"""`reactor backups list|verify|get|restore`: what is kept of Custom Vision, whether it is whole, and back."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.backups.found import ADDRESS, NEWEST, Here, add_options, fitting, told

if TYPE_CHECKING:
    from shared.storage.backups import About, Backup, Manifest

IMAGES = f"; or images: PROJECT/datasets/VERSION, or PROJECT/datasets/{NEWEST}"
DEFAULT = "default"
"""The folder of an export without a flavor."""


def add_commands(groups: Any) -> None:
    """Add `reactor backups …` to the parser."""
    backups = groups.add_parser(
        "backups", help="the backups of Custom Vision's models and images: list, check, fetch, restore"
    )
    commands = backups.add_commands("COMMAND")

    one = commands.add_parser("list", help="list models and data sets by project, of each project the newest first")
    one.add_argument("backup", metavar="BACKUP", nargs="?", default="", help=f"only these: {ADDRESS}")
    _finish(one, list_backups)

    one = commands.add_parser("verify", help="read backups again and compare their size and hashes")
    one.add_argument(
        "backup", metavar="BACKUP", nargs="?", default="", help=f"only these: {ADDRESS}{IMAGES}; default: all"
    )
    _finish(one, verify)

    one = commands.add_parser("get", help="fetch a model into a file, or images into a folder; it goes on where it was")
    one.add_argument("backup", metavar="BACKUP", nargs="?", default="", help=f"{ADDRESS}{IMAGES}; default: the newest")
    one.add_argument(
        "--to",
        metavar="PATH",
        help="the file, or the folder that it comes into, with a slash at its end where it is not there yet; of images "
        "the folder; default: here",
    )
    _finish(one, get)

    one = commands.add_parser("restore", help="bring models and images to another container, or to a folder")
    one.add_argument("backup", metavar="BACKUP", nargs="?", default="", help=f"{ADDRESS}{IMAGES}; default: the newest")
    one.add_argument(
        "--to",
        metavar="URL|FOLDER",
        required=True,
        help="a container, with a SAS, best as ${NAME} of an environment variable, or as who is signed in; a folder; "
        "or `app`, the app's own store",
    )
    one.add_argument("--all", action="store_true", help="all that fit, instead of one: models and data sets")
    _finish(one, restore)


def _finish(parser: Any, command: Any) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")
    add_options(parser)
    parser.set_defaults(run=told(command))


def verify(here: Here, options: Namespace) -> int:
    """Check backups."""
    from cli.backups import checked

    return checked.verify(here, options)


def get(here: Here, options: Namespace) -> int:
    """Fetch a model."""
    from cli.backups import brought

    return brought.get(here, options)


def restore(here: Here, options: Namespace) -> int:
    """Bring models to where they are wanted."""
    from cli.backups import brought

    return brought.restore(here, options)


# -- list -------------------------------------------------------------------------------------------------------------


class Listed(NamedTuple):
    """A backup, and what else is known of it."""

    backup: Backup
    manifest: Manifest | None
    """None where it is not whole, or its manifest is none."""
    project: str
    """Its name in the rules file, "" where it has none."""
    published: str | None
    """The name under which its iteration is published now, "" for none, None where that is not known."""

    @property
    def about(self) -> About | None:
        """What Custom Vision said of the iteration when it was backed up."""
        return self.manifest.about if self.manifest else None

    @property
    def written(self) -> datetime:
        """When it was whole, or when it was last written to."""
        return self.manifest.written if self.manifest else self.backup.changed

    def shown(self) -> dict[str, Any]:
        """Give it for programs."""
        backup = self.backup
        return {
            "folder": backup.folder,
            "project": backup.project,
            "name": self.project or None,
            "iteration": backup.iteration,
            "platform": backup.platform,
            "flavor": None if backup.flavor == DEFAULT else backup.flavor,
            "size": backup.size,
            "written": self.written.isoformat(),
            "whole": backup.is_whole and self.manifest is not None,
            "published": self.published,
            "about": self.about.model_dump(mode="json") if self.about else None,
        }


def list_backups(here: Here, options: Namespace) -> int:
    """Print a table of backups, and one of data sets."""
    from cli.backups.datasets import datasets, rows_of
    from cli.documents import print_json

    backups = listed(here, options.backup)
    kept = datasets(here, options.backup)
    if options.json:
        print_json({"backups": [one.shown() for one in backups], "datasets": [one.shown() for one in kept]})
    elif not backups and not kept:
        words = f'no backup fits "{options.backup}"' if options.backup else f"there are no backups in {here.name}"
        print(f"{words}; backup.vision_export makes them")
    else:
        tables = [list(_rows(backups)) if backups else [], list(rows_of(kept)) if kept else []]
        print("\n\n".join("\n".join(table) for table in tables if table))
    return 0


def listed(here: Here, address: str) -> list[Listed]:
    """List the backups that fit an address: by project, of each project the iteration first that was kept last."""
    backups = fitting(address, here.store.list(), here)
    manifests = here.manifests(backups)
    published = published_now(here, {backup.project for backup in backups})
    found = []
    for backup in backups:
        names = published[backup.project]
        name = here.projects[backup.project][0] if backup.project in here.projects else ""
        now = None if names is None else names.get(backup.iteration, "")
        found.append(Listed(backup, manifests.get(backup.folder), name, now))
    return _in_order(found)


def _in_order(found: Sequence[Listed]) -> list[Listed]:
    """Sort by project; of a project the iteration first that was kept last, and of an iteration by path."""
    last: dict[str, datetime] = {}
    for one in found:
        last[one.backup.iteration] = max(last.get(one.backup.iteration, one.written), one.written)
    newest_first = sorted(found, key=lambda one: (last[one.backup.iteration], one.backup.iteration), reverse=True)
    return sorted(newest_first, key=lambda one: (one.project or one.backup.project, one.backup.project))


def published_now(here: Here, projects: set[str]) -> Mapping[str, Mapping[str, str] | None]:
    """Read the names under which iterations are published now, by project; None where that cannot be read here."""
    from shared.clients.vision import Resource
    from shared.errors import ReactorError

    found: dict[str, Mapping[str, str] | None] = dict.fromkeys(projects)
    for project in sorted(projects & here.projects.keys()):
        name, about = here.projects[project]
        try:
            iterations = here.around.clients.vision.iterations.list(Resource.of(about.training), project)
        except ReactorError as problem:
            print(f"reactor: what {name} has published is not known: {problem.reason}", file=sys.stderr)
            continue
        found[project] = {one.id: one.publish_name for one in iterations if one.publish_name}
    return found


def _rows(backups: Sequence[Listed]) -> Iterator[str]:
    from cli.progress import size
    from cli.tables import GREEN, RED, YELLOW, Cell, Column, painter, room, short_key, table

    headings = ("PROJECT", "ITERATION", "NAME", "PLATFORM", "FLAVOR", "SIZE", "AGE", "WHOLE", "PUBLISHED")
    columns = [Column(one, 10 if one in {"PROJECT", "NAME", "PUBLISHED"} else None) for one in headings]
    rows = []
    for one in backups:
        backup = one.backup
        whole = ("yes", GREEN) if one.manifest else ("broken", RED) if backup.is_whole else ("no", YELLOW)
        flavor = "" if backup.flavor == DEFAULT and not backup.content else backup.flavor
        texts = [
            one.project or backup.project,
            short_key(backup.iteration),
            (one.about.iteration_name if one.about else None) or "",
            backup.platform,
            f"{flavor}/{backup.content}" if backup.content else flavor,
            size(backup.size),
            age(one.written),
        ]
        rows.append([*map(Cell, texts), Cell(*whole), Cell("?" if one.published is None else one.published)])
    return table(columns, rows, room(), painter())


def age(since: datetime) -> str:
    """Write how long ago something was, by its largest unit."""
    seconds = max(int((datetime.now(UTC) - since).total_seconds()), 0)
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
