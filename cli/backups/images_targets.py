"""Where data sets are brought to: a folder of this machine, or another container."""

from __future__ import annotations

import os
import shlex
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cli.backups.brought import PART
from cli.backups.images import DamagedError, Named, Version, Wrong, content_of, md5_of, wrong_with
from cli.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.storage.dataset_store import DatasetStore, KeptImage


class Target(Protocol):
    """Where a data set is brought to. Images are taken on several threads; the manifest comes last."""

    @property
    def how(self) -> str:
        """What is done with images that are not there."""

    @property
    def name(self) -> str:
        """Where it is, for people."""

    @property
    def hint(self) -> str:
        """The command that trains from there, "" for none."""

    def begin(self, version: Version, coco: bytes) -> None:
        """Refuse to write over another version."""

    def take(self, version: Version, named: Named, listed: KeptImage) -> bool | Wrong:
        """Have one image there; False where it was there already."""

    def write(self, version: Version, name: str) -> None:
        """Have a file of the version there; DamagedError where it is not as it was written."""

    def finish(self, version: Version, *, is_whole: bool) -> None:
        """Have the manifest there, where it may be: all of the version came, or not."""


# -- a folder ---------------------------------------------------------------------------------------------------------


class Folder:
    """A folder of this machine. A file has its name only once all of it is there."""

    how = "fetched"

    def __init__(self, files: Path, images: Path) -> None:
        self._files = files
        self._images = images

    @property
    def name(self) -> str:
        """The folder of the version's files."""
        return str(self._files)

    @property
    def hint(self) -> str:
        """The command that trains from there."""
        return shlex.join(["reactor", "vision", "train", str(self._images), "--coco", str(self._files / "coco.json")])

    def begin(self, version: Version, coco: bytes) -> None:
        """Refuse a folder that has another version, before anything is fetched."""
        for folder in (self._files, self._images):
            folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("manifest.json", version.text), ("coco.json", coco)):
            self._refuse_another(name, text)

    def _refuse_another(self, name: str, text: bytes) -> bool:
        """Tell whether a file is there; RefusedError where it is with another content."""
        file = self._files / name
        if not file.exists():
            return False
        if file.read_bytes() != text:
            raise RefusedError(f"{file} is there already, of another data set: name another folder with --to")
        return True

    def take(self, version: Version, named: Named, listed: KeptImage) -> bool | Wrong:
        """Fetch an image unless it is there as storage has it."""
        file = self._images / named.file_name
        if file.is_file() and file.stat().st_size == listed.size and _is_same(listed.md5, file):
            return False
        content = content_of(version, named, listed)
        if isinstance(content, Wrong):
            return content
        _write(file, content)
        return True

    def write(self, version: Version, name: str) -> None:
        """Fetch a file."""
        text = b"".join(version.read(name))
        if not self._refuse_another(name, text):
            _write(self._files / name, text)

    def finish(self, version: Version, *, is_whole: bool) -> None:  # noqa: ARG002 # nobody counts on a folder
        """Write the manifest: it names what is missing, too."""
        _write(self._files / "manifest.json", version.text)


def _is_same(md5: str, file: Path) -> bool:
    return not md5 or md5_of(file.read_bytes()) == md5


def _write(file: Path, content: bytes) -> None:
    part = file.with_name(file.name + PART)
    part.write_bytes(content)
    os.replace(part, file)  # noqa: PTH105 # a stopped command leaves no half file with a whole one's name


# -- a container ------------------------------------------------------------------------------------------------------


class Container:
    """Another container; the bytes go through this machine, which looks at each image on the way."""

    how = "copied"
    hint = ""

    def __init__(self, store: DatasetStore, folder: str) -> None:
        self._store = store
        self._folder = folder
        self._project = folder.partition("/")[0]

    @property
    def name(self) -> str:
        """The URL of the version's folder."""
        return self._store.url(self._folder)

    @cached_property
    def _images(self) -> Mapping[str, KeptImage]:
        return self._store.images(self._project)

    def begin(self, version: Version, coco: bytes) -> None:  # noqa: ARG002 # files are compared when they are written
        """Refuse a container that has another version by this name."""
        found = self._store.manifest(self._folder)
        if found and found[0] != version.text:
            raise RefusedError(
                f"{self._store.what} has another data set at {self._folder}: name another container, or move it away"
            )
        _ = self._images  # before there are threads

    def take(self, version: Version, named: Named, listed: KeptImage) -> bool | Wrong:
        """Copy an image unless it is there; one that is cut off or damaged there is replaced, another one never is."""
        theirs = self._images.get(named.file_name)
        if theirs and theirs.size == listed.size and (not theirs.md5 or not listed.md5 or theirs.md5 == listed.md5):
            return False
        content = content_of(version, named, listed)
        if isinstance(content, Wrong):
            return content
        if theirs and theirs.size >= listed.size and not self._is_damaged(named, theirs):
            return Wrong(named.file_name, f"{self._store.what} has another image of that name: delete the wrong one")
        self._store.put_image(self._project, listed, content)
        return True

    def _is_damaged(self, named: Named, theirs: KeptImage) -> bool:
        path = f"{self._project}/images/{named.file_name}"
        return bool(wrong_with(named, b"".join(self._store.read(path, 0, theirs.size))))

    def write(self, version: Version, name: str) -> None:
        """Copy a file unless it is there as it was written."""
        theirs = Version(self._store, self._folder, version.text, version.manifest)
        try:
            if name in self._store.files(self._folder) and b"".join(theirs.read(name)) == b"".join(version.read(name)):
                return
        except DamagedError:
            pass
        self._store.put_file(self._folder, name, version.read(name))

    def finish(self, version: Version, *, is_whole: bool) -> None:
        """Write the manifest once all is there: where it is, the version counts as whole and kept."""
        if not is_whole:
            return
        self._store.put_manifest(self._folder, version.text)
