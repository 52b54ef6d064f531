"""`reactor language backups`: the versions that are kept, by which they are restored."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.app_storage import reported
from cli.errors import RefusedError, UsageError
from cli.language import kept
from cli.language.project import NO_STORAGE, add_project, declared_in, named
from cli.surroundings import look_around
from cli.vision.given import filled, said_again

if TYPE_CHECKING:
    from cli.surroundings import Surroundings
    from shared.storage.language_backups import LanguageBackups, LanguageManifest, Version

type Names = Mapping[tuple[str, str], str]
AT_ONCE = 8
OTHERS = {
    "working_copy.json": "working copy",
    "primary.json": "edits",
    "secondary.json": "edits",
}
"""What files hold that are of no trained model."""


class Listed(NamedTuple):
    """A version, and what it holds."""

    host: str
    project: str
    name: str
    """As the rules file calls the project, "" where it declares none of this host and name."""
    version: Version
    manifest: LanguageManifest | None
    """None where the version is not whole, or cannot be read."""
    trouble: str = ""
    """Why it cannot be read, such as a file that is archived."""

    def shown(self) -> dict[str, Any]:
        """Give it for programs."""
        version, manifest = self.version, self.manifest
        return {
            "name": self.name or None,
            "project": self.project,
            "host": self.host,
            "version": version.name,
            "whole": manifest is not None,
            "trouble": self.trouble or None,
            "size": version.size,
            "written": version.written.isoformat(),
            "about": manifest.model_dump(mode="json") if manifest else None,
        }


def add_command(commands: Any) -> None:
    """Add `reactor language backups` to the parser."""
    one = commands.add_parser("backups", help="list the versions that are kept, of declared and of lost projects")
    add_project(one, otherwise="all that are kept")
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=reported(backups))


def backups(options: Namespace) -> int:
    """Print a table of versions, newest first."""
    from cli.documents import print_json
    from cli.tables import painter, room

    around = look_around(options)
    if around.account is None:
        raise UsageError(NO_STORAGE)
    names = _names(around, options)
    found = list(_listed(around, options, names))
    if options.json:
        print_json([one.shown() for one in found])
        return 0
    for text in _table(found, painter(), room()) if found else ("nothing is kept; `reactor language backup` keeps it",):
        print(text)
    for one in found:
        if one.trouble:
            print(f"not read: {one.version.name}: {one.trouble}")
    for text in _how_back(found, names, said_again(options, "rules", "ready")):
        print(text)
    return 0


def _how_back(found: Sequence[Listed], names: Names, again: str) -> Iterator[str]:
    """Say what is to be given for what was kept of a primary that is declared no more."""
    declared = {project: name for (_, project), name in names.items()}
    whole = ((one.host, one.project) for one in found if one.manifest and not one.name and one.project in declared)
    for host, project in dict.fromkeys(whole):
        words = f"reactor language restore {declared[project]}{again} --from {host} --to primary"
        yield f"{project} was kept of another primary, {host}: `{words}` brings it back"


def _listed(around: Surroundings, options: Namespace, names: Names) -> Iterator[Listed]:
    """List what is kept of the project that is meant, else of all."""
    from concurrent.futures import ThreadPoolExecutor

    from shared.rules.problems import did_you_mean

    places = kept.projects(around)
    wanted = options.project
    chosen = [(host, project) for host, project in places if wanted in ("", project, names.get((host, project)))]
    if wanted and not chosen:
        known = [*names.values(), *dict.fromkeys(project for _, project in places)]
        if wanted in known:
            raise RefusedError(f'nothing is kept of "{wanted}" yet: `reactor language backup {wanted}` keeps it')
        raise RefusedError(f'nothing is kept of "{wanted}"{did_you_mean(wanted, known)}')
    store = around.clients.language_backups
    for host, project in chosen:
        versions = kept.versions(around, host, project)
        with ThreadPoolExecutor(AT_ONCE) as readers:
            read = readers.map(lambda one: _read(store, host, project, one.name), versions)  # noqa: B023 # read at once
            for version, (manifest, trouble) in zip(versions, read, strict=True):
                yield Listed(host, project, names.get((host, project), ""), version, manifest, trouble)


def _read(store: LanguageBackups, host: str, project: str, version: str) -> tuple[LanguageManifest | None, str]:
    """Read a version's manifest, None where it is not whole; else say why it cannot be read."""
    from shared.errors import PermanentError

    try:
        return store.manifest(host, project, version), ""
    except PermanentError as problem:
        return None, f"{problem.reason}; {problem.remedy}"


def _names(around: Surroundings, options: Namespace) -> Names:
    """Map hosts and projects to what the rules file calls them; backups are listed without one, too."""
    from shared.answers import host_of

    projects, _ = declared_in(around, options)
    return {
        (host_of(filled(one.primary.endpoint, around.values)).lower(), filled(one.project, around.values)): name
        for name, one in projects.items()
        if named(name, projects, around)
    }


def held(manifest: LanguageManifest) -> Iterator[str]:
    """Say what a version holds: the labels of models, the working copy, and what somebody edited."""
    from shared.storage.language_backups import file_of

    labels = {file_of(label): label for label in manifest.models}
    for name in sorted(manifest.files, key=lambda name: (name not in labels, name)):
        yield labels.get(name) or OTHERS.get(name, name)


def _table(found: Sequence[Listed], paint: Any, width: int) -> Iterator[str]:
    from cli.language.status import moment_of
    from cli.progress import size
    from cli.tables import YELLOW, Cell, Column, table

    columns = [
        *(Column("PROJECT", 8), Column("AT", 10), Column("VERSION"), Column("TAKEN (UTC)"), Column("SERVED", 12)),
        *(Column("HOLDS", 12), Column("SIZE")),
    ]
    rows = []
    for one in found:
        manifest = one.manifest
        served = ", ".join(f"{name}: {label}" for name, label in manifest.deployments.items()) if manifest else ""
        rows.append(
            [
                Cell(one.name or one.project),
                Cell(one.host),
                Cell(one.version.name),
                Cell(moment_of(manifest.taken if manifest else one.version.written)),
                Cell(served or "-") if manifest else Cell("not read" if one.trouble else "not whole", YELLOW),
                Cell(", ".join(held(manifest)) if manifest else "-"),
                Cell(size(one.version.size)),
            ]
        )
    return table(columns, rows, width, paint)
