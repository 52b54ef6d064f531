"""What there is in a store, as the names of its blobs tell it. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.storage.backups.manifests import MANIFEST, MODEL

ID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
PROJECT = re.compile(ID)
"""The folder of a project."""
FOLDER = re.compile(
    rf"(?P<project>{ID})/(?P<iteration>{ID})/(?P<platform>[^/]+)/(?P<flavor>[^/]+)(?:/(?P<content>[0-9a-f]{{12}}))?"
)
"""Where a model is kept; data sets, and what else somebody put there, have other paths."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A model that is kept, or that a copy has begun of."""

    folder: str
    project: str
    iteration: str
    platform: str
    flavor: str
    """ "default" where the export has none."""
    content: str
    """Of the source's ETag, where another content of the flavor was kept before; else ""."""
    size: int
    """Of the model, in bytes; 0 where it is missing."""
    is_whole: bool
    """Whether there are a model and its manifest; `verify` looks closer."""
    changed: datetime
    """When the last of it was written: where it is whole, its manifest."""


def grouped(blobs: Iterable[Any]) -> Iterator[Backup]:
    """Put the blobs together that are one backup. They come sorted by name, and an iteration's are held at once."""
    files: dict[str, dict[str, Any]] = {}
    iteration = ""
    for blob in blobs:
        folder, _, name = str(blob.name).rpartition("/")
        if not FOLDER.fullmatch(folder) or name not in (MODEL, MANIFEST):
            continue
        if not folder.startswith(iteration):
            yield from _backups(files)
            files, iteration = {}, ""
        iteration = iteration or "/".join(folder.split("/")[:2]) + "/"
        files.setdefault(folder, {})[name] = blob
    yield from _backups(files)


def _backups(folders: Mapping[str, Mapping[str, Any]]) -> Iterator[Backup]:
    for folder, files in sorted(folders.items()):
        place = FOLDER.fullmatch(folder)
        assert place
        last = files.get(MANIFEST) or files[MODEL]
        yield Backup(
            folder=folder,
            project=place["project"],
            iteration=place["iteration"],
            platform=place["platform"],
            flavor=place["flavor"],
            content=place["content"] or "",
            size=files[MODEL].size if MODEL in files else 0,
            is_whole=MODEL in files and MANIFEST in files,
            changed=last.last_modified,
        )
