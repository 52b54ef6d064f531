"""The data sets that are kept beside the models: which there are, and which one is meant."""

from __future__ import annotations

import string
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.backups.found import MOST_NAMED, NEWEST, Here
from cli.errors import RefusedError

if TYPE_CHECKING:
    from shared.storage.dataset_store import DatasetStore
    from shared.storage.datasets import DatasetManifest

DATASETS = "datasets"
"""The folder of a project's data sets."""
HEX = frozenset(string.hexdigits)


class Dataset(NamedTuple):
    """A version of a project's labelled images."""

    folder: str
    project: str
    """Its name in the rules file, else its id."""
    manifest: DatasetManifest | None
    """None where the version is not whole, or its manifest is none."""

    @property
    def name(self) -> str:
        """The version's."""
        return self.folder.rpartition("/")[2]

    @property
    def written(self) -> datetime | None:
        """When it was whole."""
        return self.manifest.written if self.manifest else None

    def shown(self) -> dict[str, Any]:
        """Give it for programs."""
        found = self.manifest
        return {
            "folder": self.folder,
            "project": self.project,
            "images": found.images if found else None,
            "annotations": found.annotations if found else None,
            "tags": len(found.tags) if found else None,
            "missing": found.lost if found else None,
            "written": found.written.isoformat() if found else None,
            "whole": found is not None,
        }


def datasets(here: Here, address: str) -> list[Dataset]:
    """List the data sets that an address fits: by project, of each project the newest first."""
    from shared.errors import PermanentError

    found, store = [], store_of(here)
    for folder in folders(here, address):
        try:
            read = store.manifest(folder)
        except PermanentError:
            read = None
        found.append(Dataset(folder, here.named(folder.partition("/")[0]), read[1] if read else None))
    found.sort(key=lambda one: one.folder, reverse=True)  # a version is named by its time
    return sorted(found, key=lambda one: (one.project, one.folder.partition("/")[0]))


def rows_of(kept: Sequence[Dataset]) -> Iterator[str]:
    """Write the table of data sets."""
    from cli.backups.commands import age
    from cli.tables import GREEN, YELLOW, Cell, Column, painter, room, table

    headings = ("PROJECT", "DATA SET", "IMAGES", "ANNOTATIONS", "TAGS", "AGE", "WHOLE")
    rows = []
    for one in kept:
        found = one.manifest
        numbers = [f"{found.images:,}", f"{found.annotations:,}", str(len(found.tags))] if found else [""] * 3
        whole = (
            Cell("yes", GREEN)
            if found and not found.lost
            else Cell(f"without {found.lost:,} images" if found else "no", YELLOW)
        )
        rows.append(
            [
                Cell(one.project),
                Cell(one.name),
                *map(Cell, numbers),
                Cell(age(one.written) if one.written else ""),
                whole,
            ]
        )
    return table([Column(one, 10 if one == "PROJECT" else None) for one in headings], rows, room(), painter())


# -- which one is meant -----------------------------------------------------------------------------------------------


def is_of_dataset(address: str) -> bool:
    """Tell whether an address says that a data set is meant; what may be the beginning of an iteration's id is none.

    >>> is_of_dataset("fruit/datasets/newest"), is_of_dataset("fruit/da"), is_of_dataset("fruit")
    (True, False, False)
    """
    parts = _parts(address)
    return len(parts) > 1 and DATASETS.startswith(parts[1]) and not set(parts[1]) <= HEX


def store_of(here: Here) -> DatasetStore:
    """Give the data sets of the store that is looked at."""
    from shared.storage.dataset_store import DatasetStore

    return DatasetStore(here.store)


def folders(here: Here, address: str) -> list[str]:
    """Name the folders of the data sets that an address may mean, unfinished ones too: by their names, so by age."""
    project, *rest = [*_parts(address), ""][:3]
    if len(_parts(address)) > 1 and not is_of_dataset(address):
        return []
    found = []
    for id in _projects(here, project):
        inside = [path.rstrip("/") for path in here.store.folders(f"{id}/{DATASETS}/")]
        version = rest[1] if len(rest) > 1 else ""
        if version == NEWEST:
            found += [next((one for one in reversed(inside) if _is_whole(here, one)), "")]
        else:
            exact = [one for one in inside if one.rpartition("/")[2].lower() == version]
            found += exact or [one for one in inside if one.rpartition("/")[2].lower().startswith(version)]
    return [one for one in found if one]


def _parts(address: str) -> list[str]:
    return [part for part in address.lower().strip("/").split("/") if part]


def _projects(here: Here, text: str) -> list[str]:
    """Name the projects in the store that a beginning fits; what fits a name or an id as a whole goes first."""
    from shared.storage.backups.listing import PROJECT

    ids = [id for top in here.store.folders() if PROJECT.fullmatch(id := top.rstrip("/"))]
    names = {id: (id, id.replace("-", ""), here.named(id).lower()) for id in ids}
    exact = [id for id in ids if text in names[id]]
    return exact or [id for id in ids if any(name.startswith(text) for name in names[id])]


def _is_whole(here: Here, folder: str) -> bool:
    return here.store.manifest_text(folder) is not None


def chosen(here: Here, address: str, *, every: bool = False) -> list[str]:
    """Give the folder of the data set that is meant, or with `every` of all that are whole.

    Where no version is said, it is the newest; RefusedError lists them where it is not clear which one is meant.
    """
    is_newest = not every and len(_parts(address)) < 3
    found = whole(here, f"{_parts(address)[0]}/{DATASETS}/{NEWEST}" if is_newest else address)
    if not found:
        raise RefusedError(_nothing(here, address, folders(here, address)))
    if len(found) > 1 and not every:
        more = f"\n  and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        lines = [f"  {written(folder, here)}" for folder in found[:MOST_NAMED]]
        raise RefusedError("\n".join(["which one? These fit:", *lines]) + more)
    return found


def whole(here: Here, address: str) -> list[str]:
    """Name the folders of the data sets that an address fits and that are whole."""
    return [folder for folder in folders(here, address) if _is_whole(here, folder)]


def written(folder: str, here: Here) -> str:
    """Write an address that means just this data set."""
    project, _, rest = folder.partition("/")
    return f"{here.named(project)}/{rest}"


def _nothing(here: Here, address: str, fits: Sequence[str]) -> str:
    from shared.rules.problems import did_you_mean

    if fits:
        return f"{written(fits[0], here)} is not whole: it is being made, or its action failed; replay its event"
    projects = sorted({here.named(folder.partition("/")[0]) for folder in folders(here, "")})
    if not projects:
        return f"there are no data sets in {here.name}: backup.vision_dataset and `reactor vision dataset` make them"
    hint = did_you_mean(address.strip("/").partition("/")[0], projects)
    return f'no data set fits "{address}"{hint}; `reactor backups list` lists them, of {", ".join(projects)}'


def tell_left_out(here: Here, address: str, how: str) -> None:
    """Say which data sets a command leaves out that was given no more than a project, and how they come along."""
    from cli.tables import count

    if len(_parts(address)) > 1 or not (left := folders(here, address)):
        return
    names = ", ".join(written(folder, here) for folder in left[-3:])
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    print(f"reactor: models only: {count(len(left), 'data set')} left out, {names}{more}; {how}", file=sys.stderr)
