"""The images and files of one data set, read again: each is what its version says, or it is said what is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cli.errors import RefusedError

if TYPE_CHECKING:
    from shared.storage.dataset_store import DatasetStore, KeptImage
    from shared.storage.datasets import DatasetManifest

AT_ONCE = 8
"""Images that are read at once, each of 6 MB at most."""
SLICE = 8 * AT_ONCE
"""Images that are begun before somebody who stops the command is heard."""
MOST_SHOWN = 5
"""Images and files that a line names."""


class DamagedError(RefusedError):
    """A file of a version is not what was written."""


class Wrong(NamedTuple):
    """A file or an image, and what is wrong with it."""

    name: str
    why: str


class Named(BaseModel):
    """An image as coco.json names it; its name leads nowhere else."""

    model_config = ConfigDict(frozen=True)

    file_name: str = Field(pattern=r"^[0-9A-Za-z-]+\.[a-z]+$")
    width: int
    height: int


class _Coco(BaseModel):
    images: list[Named]


@dataclass(frozen=True)
class Version:
    """A version that is whole."""

    store: DatasetStore
    folder: str
    text: bytes
    """Its manifest, as it is."""
    manifest: DatasetManifest

    @property
    def project(self) -> str:
        """The id of the project."""
        return self.folder.partition("/")[0]

    @property
    def files(self) -> tuple[str, ...]:
        """Its files but the manifest."""
        from shared.storage.datasets import COCO, LINES, TABLE

        return LINES, TABLE, COCO

    def read(self, name: str) -> Iterator[bytes]:
        """Read a file; DamagedError at the end of what is not as it was written."""
        told = self.manifest.files.get(name)
        if told is None:  # nobody hashed it: it says the same in every version
            yield from self.store.read(f"{self.folder}/{name}")
            return
        for number, wanted in enumerate(told.sha256):
            digest, start = hashlib.sha256(), number * self.manifest.chunk
            length = min(self.manifest.chunk, told.size - start)
            for piece in self.store.read(f"{self.folder}/{name}", start, length):
                digest.update(piece)
                yield piece
            if digest.hexdigest() != wanted:
                raise DamagedError(f"its SHA-256 differs in part {number + 1} of {len(told.sha256)}")

    def coco(self) -> bytes:
        """Read coco.json."""
        from shared.storage.datasets import COCO

        return b"".join(self.read(COCO))


def opened(store: DatasetStore, folder: str) -> Version:
    """Open a version; RefusedError where it is not whole."""
    found = store.manifest(folder)
    if found is None:
        raise RefusedError(f"{folder} is not whole, or not there any more")
    return Version(store, folder, *found)


def named_in(coco: bytes) -> list[Named]:
    """Name the images of a coco.json; DamagedError where it is none."""
    try:
        return _Coco.model_validate_json(coco).images
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedError(f"it is no COCO file: {where}: {first['msg'].lower()}") from None


def wrong_with(named: Named, content: bytes) -> str:
    """Say what is wrong with an image, or with the beginning of one; "" for nothing."""
    from shared.handlers.backups import pictures

    picture = pictures.read(content)
    if picture is None:
        return "it is damaged: its header cannot be read"
    if (picture.width, picture.height) != (named.width, named.height):
        said = f"{named.width} × {named.height}"
        return f"it is {picture.width} × {picture.height}, and coco.json says {said}"
    return ""


def content_of(version: Version, named: Named, listed: KeptImage) -> bytes | Wrong:
    """Read an image, and see that all of it came; what is wrong with it, else."""
    from shared.errors import DeniedError, PermanentError

    try:
        content = b"".join(version.store.read(f"{version.project}/images/{named.file_name}", 0, listed.size))
    except DeniedError:
        raise
    except PermanentError as problem:
        return Wrong(named.file_name, f"it cannot be read: {problem.reason}")
    if len(content) != listed.size or (listed.md5 and md5_of(content) != listed.md5):
        return Wrong(named.file_name, "what was read is not what storage has")
    why = wrong_with(named, content)
    return Wrong(named.file_name, why) if why else content


def md5_of(content: bytes) -> str:
    """Hash an image as storage does."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def in_short(wrong: Sequence[Wrong], of: int) -> str:
    """Say what is wrong with some files and images of a version that has so many images."""
    from cli.tables import count

    shown = "; ".join(f"{one.name}: {one.why}" for one in wrong[:MOST_SHOWN])
    more = f"; and {len(wrong) - MOST_SHOWN} more" if len(wrong) > MOST_SHOWN else ""
    return f"{len(wrong):,} wrong, of {count(of, 'image')}: {shown}{more}"
