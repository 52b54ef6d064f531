"""The data sets that are kept beside the models, as `reactor backups list` shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.backups_found import Here

if TYPE_CHECKING:
    from shared.storage.datasets import DatasetManifest


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
    """List the data sets of the projects that an address fits."""
    from pydantic import ValidationError

    from shared.storage.backups.listing import PROJECT
    from shared.storage.datasets import DatasetManifest

    project, _, rest = address.lower().strip("/").partition("/")
    found = []
    for top in here.store.folders():
        id = top.rstrip("/")
        if not PROJECT.fullmatch(id) or not (id.startswith(project) or here.named(id).lower().startswith(project)):
            continue
        for path in here.store.folders(f"{id}/datasets/"):
            folder = path.rstrip("/")
            if not folder.removeprefix(f"{id}/").startswith(rest):
                continue
            text = here.store.manifest_text(folder)
            try:
                manifest = DatasetManifest.model_validate_json(text) if text is not None else None
            except ValidationError:
                manifest = None
            found.append(Dataset(folder, here.named(id), manifest))
    return found


def rows_of(kept: Sequence[Dataset]) -> Iterator[str]:
    """Write the table of data sets."""
    from cli.backups import age
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
