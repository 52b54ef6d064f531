"""What is kept of Language projects in the app's store, and which version of it is meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cli.errors import RefusedError

if TYPE_CHECKING:
    from cli.language.project import Here
    from cli.surroundings import Surroundings
    from shared.storage.language_backups import LanguageManifest, Version

NEWEST = "newest"


def projects(around: Surroundings) -> list[tuple[str, str]]:
    """List what there are backups of: host and project."""
    return _unless_missing(around, around.clients.language_backups.projects)


def versions(around: Surroundings, host: str, project: str) -> list[Version]:
    """List the versions of a project, the newest first."""
    return _unless_missing(around, lambda: around.clients.language_backups.versions(host, project))


def find_version(
    here: Here, wanted: str, has: Callable[[LanguageManifest], bool], what: str, host: str = ""
) -> LanguageManifest:
    """Find a whole version by its name or how that begins, or the newest one that has what is needed.

    It was kept of the declared primary, or of the one at `host`. RefusedError says which there are.
    """
    host, backups = host or here.at("primary").host, here.clients.language_backups
    names = [one.name for one in versions(here.around, host, here.project) if one.is_whole]
    if not names:
        raise RefusedError(f"nothing of {here.project} at {host} is kept; {_elsewhere(here, host)}")
    fitting = names if wanted == NEWEST else _fitting(wanted, names)
    for name in fitting:
        found = backups.manifest(host, here.project, name)
        if found is not None and has(found):
            return found
    raise RefusedError(f"no version holds a {what}" if wanted == NEWEST else f"version {fitting[0]} holds no {what}")


def _elsewhere(here: Here, host: str) -> str:
    """Say where versions of a project of this name are kept, else how some come to be."""
    found = [other for other, project in projects(here.around) if project == here.project and other != host]
    if found:
        return f"there are backups of {here.project} at {' and '.join(found)}: --from {found[0]} takes those"
    return (
        f"`reactor language backup {here.words}` keeps it, and `reactor language backups` lists what is kept of other "
        "projects"
    )


def _fitting(wanted: str, names: Sequence[str]) -> list[str]:
    from shared.rules.problems import did_you_mean

    found = [name for name in names if name == wanted] or [name for name in names if name.startswith(wanted)]
    if not found:
        newest = ", ".join(names[:3])
        raise RefusedError(
            f'there is no whole version "{wanted}"{did_you_mean(wanted, names)}; the newest are {newest}'
        )
    if len(found) > 1:
        raise RefusedError(f'several versions begin with "{wanted}": {", ".join(found)}')
    return found


def _unless_missing[T](around: Surroundings, read: Callable[[], list[T]]) -> list[T]:
    """Read from our store; where its container was never made, there is nothing in it."""
    from shared.errors import PermanentError

    try:
        return read()
    except PermanentError:
        places = around.places
        if places.has_container(places.container_url(around.settings.backup_container)):
            raise
        return []
