"""What of a project is in our own store, and how many images are not: they are lost when the service ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cli.vision.project import Here
    from shared.storage.backups import Backup
    from shared.storage.datasets import DatasetManifest

LOOKED_AT = 64
"""Images, the newest ones, of which it is looked whether they came after what is kept."""


class KeptImages(NamedTuple):
    """How many images a project has, and how many of them are kept."""

    there: int
    kept: int
    """Of those that are there now, in the newest data set that is whole, as far as counts and ages tell."""
    written: datetime | None
    """When that was whole; None where there is none."""
    left: int
    """How many are not kept: all the others."""


def read_kept(here: Here, there: int) -> KeptImages:
    """Compare the newest data set with the project, which has so many images."""
    found = _unless_missing(here, lambda: _newest(here), None)
    if found is None:
        return KeptImages(there, 0, None, there)
    newest = here.vision.images.page(here.at, here.project, skip=0, take=LOOKED_AT, tagged=None, order="Newest")
    later = sum(1 for image in newest if image.created and image.created > found.began)
    left = min(max(there - found.images, later), there)
    return KeptImages(there, there - left, found.written, left)


def read_models(here: Here) -> list[Backup]:
    """List the whole backups of a project's models."""
    return _unless_missing(
        here, lambda: [one for one in here.clients.backups.own.list(here.project) if one.is_whole], []
    )


def _unless_missing[T](here: Here, read: Callable[[], T], nothing: T) -> T:
    """Read from our store; where its container was never made, there is nothing in it."""
    from shared.errors import PermanentError

    try:
        return read()
    except PermanentError:
        places = here.around.places
        if places.has_container(places.container_url(here.settings.backup_container)):
            raise
        return nothing


def _newest(here: Here) -> DatasetManifest | None:
    """Find the newest data set that is whole; a version is called after its time."""
    for folder in sorted(here.clients.backups.own.folders(f"{here.project}/datasets/"), reverse=True):
        if found := here.clients.datasets.manifest(folder.rstrip("/")):
            return found
    return None
