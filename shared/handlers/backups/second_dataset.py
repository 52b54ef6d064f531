"""A second copy of a data set, in a container that is best in another region: server to server, its manifest last.

Its images are those that coco.json names, an image a line, and storage copies each at once. What is remembered between
two looks is the place in that file where the next image is named. An image that is there is not copied again: versions
share them, as they do in the first container.
"""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import batched

from shared.errors import DeniedError, PermanentError, TemporaryError
from shared.handlers.backups import second_copy
from shared.handlers.backups.second_copy import Part
from shared.stages import Done, Job, Pending, Progress
from shared.storage.backups import Store
from shared.storage.dataset_store import DatasetStore, KeptImage
from shared.storage.datasets import COCO, LINES, TABLE, DatasetManifest

AT_ONCE = 8
"""Images that storage copies at once for us."""
SLICE = 8 * AT_ONCE
"""Images between two glances at the clock."""
SECONDS = 20.0
"""A look begins no further slice later than this."""
PIECE = 1024 * 1024
"""Bytes of coco.json that are read at once; its longest line, which names up to 500 tags, is far shorter."""
IMAGE, LAST = b'{"id": ', b"],"
"""How the line of an image begins, and the one after the images."""
FILES = (LINES, TABLE, COCO)
NAME = re.compile(r"[0-9A-Za-z-]+\.[a-z]+")


@dataclass(slots=True)
class Reached:
    """How far it is, as JSON between two looks."""

    at: int = 0
    """Where in coco.json the next line begins."""
    images: int = 0
    all_images: bool = False
    attempts: dict[str, int] = field(default_factory=dict)
    """By file, how often its copy was begun."""


@dataclass(frozen=True, slots=True)
class Version:
    """What is brought, and where to."""

    folder: str
    manifest: DatasetManifest
    second: Store
    job: Job

    @property
    def project(self) -> str:
        """The folder of the project."""
        return self.folder.partition("/")[0]


def bring(url: str, folder: str, job: Job) -> Progress:
    """Bring a version to the container of a URL, some of it at a time; what is there is never overwritten."""
    try:
        second = job.clients.backups.elsewhere(url)
        return _bring(folder, second, job)
    except PermanentError as problem:
        raise PermanentError(f"{problem.reason}; the first copy is whole", remedy=problem.remedy) from None


def _bring(folder: str, second: Store, job: Job) -> Progress:
    theirs, ours = second.manifest_text(folder), DatasetStore(job.clients.backups.own).manifest(folder)
    if ours is None:
        raise TemporaryError(f"{folder} is not whole")
    text, manifest = ours
    if theirs is None:
        version, reached = Version(folder, manifest, second, job), Reached(**job.memory)
        if waits := _images(version, reached) or _files(version, reached):
            return waits
        second.write_manifest(folder, text)  # as it is: the two can be compared
    elif theirs != text:
        raise PermanentError(
            f"{second.what} has another data set at {folder}", remedy="move that one away, or name an empty container"
        )
    note = f"{manifest.images} images are in the second container, too"
    return Done({"second": DatasetStore(second).url(folder)}, note=note)


# -- images -----------------------------------------------------------------------------------------------------------


def _images(version: Version, reached: Reached) -> Pending | None:
    """Bring the next images and move `reached` on; None where all are there."""
    until, is_moved = time.monotonic() + SECONDS, False
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for some in batched(_named(version, reached), SLICE, strict=False):
            try:
                list(pool.map(lambda name: _bring_image(name, version), [name for name, _end in some]))
            except DeniedError:
                raise  # we may not copy any
            except TemporaryError as problem:
                if not is_moved:
                    raise
                return _pending(version, reached, problem.after, f": {problem.reason}")
            reached.at, reached.images, is_moved = some[-1][1], reached.images + len(some), True
            if time.monotonic() > until:
                return _pending(version, reached)
    reached.all_images = True
    return None


def _pending(version: Version, reached: Reached, after: float | None = 0, why: str = "") -> Pending:
    note = f"{reached.images} of {version.manifest.images} images in the second container{why}"
    return Pending(after, memory=asdict(reached), note=note)


def _named(version: Version, reached: Reached) -> Iterator[tuple[str, int]]:
    """Name the images that coco.json names from the place that was reached on, each with where its line ends."""
    at, path = reached.at, f"{version.folder}/{COCO}"
    size, own = version.manifest.files[COCO].size, DatasetStore(version.job.clients.backups.own)
    while not reached.all_images:
        text = b"".join(own.read(path, at, min(PIECE, size - at)))
        *lines, _rest = text.split(b"\n")
        if not lines:
            raise PermanentError(f"{path} is not as it was written", remedy="replay the event: the images are kept")
        for line in lines:
            at += len(line) + 1
            if line == LAST:
                return
            if line.startswith(IMAGE):
                yield _name(line, path), at


def _name(line: bytes, path: str) -> str:
    """Read the name of an image's file; it leads nowhere else."""
    try:
        name = str(json.loads(line.rstrip(b","))["file_name"])
    except (ValueError, KeyError):
        name = ""
    if not NAME.fullmatch(name):
        raise PermanentError(f"{path} names an image that is none", remedy="replay the event: the images are kept")
    return name


def _bring_image(name: str, version: Version) -> None:
    """Have storage copy an image unless it is there; another one of its name stays as it is."""
    project, second, backups = version.project, DatasetStore(version.second), version.job.clients.backups
    own, folder = DatasetStore(backups.own), f"{version.project}/images"
    if (theirs := second.look(project, name)) is None:
        try:
            if second.take_image(project, name, backups.signed(folder, name=name)):
                return
        except PermanentError:
            _ = _ours(name, project, own)
            raise
        if (theirs := second.look(project, name)) is None:
            raise TemporaryError(f"somebody else copies {folder}/{name}")
    ours = _ours(name, project, own)
    if theirs.size != ours.size or (theirs.md5 and ours.md5 and theirs.md5 != ours.md5):
        raise PermanentError(
            f"{version.second.what} has another image at {folder}/{name}",
            remedy="move that one away, or name an empty container",
        )


def _ours(name: str, project: str, own: DatasetStore) -> KeptImage:
    found = own.look(project, name)
    if found is None:
        raise PermanentError(
            f"{project}/images/{name} is gone from the first container", remedy="replay the event: it is kept again"
        )
    return found


# -- files ------------------------------------------------------------------------------------------------------------


def _files(version: Version, reached: Reached) -> Pending | None:
    """Have storage copy the files but the manifest; None where all are there."""
    own, there = version.job.clients.backups.own, 0
    for name in FILES:
        path = f"{version.folder}/{name}"
        if (ours := own.copy(version.folder, name)) is None:
            raise PermanentError(f"{path} is gone", remedy="replay the event: the images are kept")
        there += second_copy.is_copied(Part(path, ours.size, ours.md5), version.second, reached.attempts, version.job)
    if there == len(FILES):
        return None
    note = f"{there} of {len(FILES)} files in the second container"
    return Pending(second_copy.SOON, memory=asdict(reached), note=note)
