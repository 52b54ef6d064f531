"""`reactor backups verify` of data sets: their files by SHA-256, and of each image whether it is there and readable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import batched
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.backups.checked import GIVEN_UP
from cli.backups.datasets import folders, store_of, written
from cli.backups.found import Here
from cli.backups.images import AT_ONCE, SLICE, DamagedError, Named, Version, Wrong, in_short, named_in, wrong_with

if TYPE_CHECKING:
    from shared.storage.dataset_store import DatasetStore, KeptImage

BEGINNING = 64 * 1024
"""Bytes in which an image's header is looked for first."""
REMEDY = (
    "bring what is wrong back from a second container (`reactor backups restore PROJECT/datasets/VERSION --container "
    "URL --to app`); or give `reactor vision dataset PROJECT`, which copies again what is gone or damaged"
)


class CheckedVersion(NamedTuple):
    """What came of one data set."""

    folder: str
    images: int
    size: int
    """Of its images, in bytes."""
    wrong: tuple[Wrong, ...] = ()
    why: str = ""
    """What is wrong with all of it, "" for nothing."""
    note: str = ""
    """Why there is nothing to be checked, or what is known to be missing, though nothing is wrong."""
    is_whole: bool = True

    @property
    def is_broken(self) -> bool:
        """Whether something has to be done."""
        return bool(self.why or self.wrong)

    def shown(self) -> dict[str, Any]:
        """Give it for programs."""
        why = self.why or (in_short(self.wrong, self.images) if self.wrong else "") or self.note
        return {
            "folder": self.folder,
            "size": self.size,
            "images": self.images,
            "ok": self.is_whole and not self.is_broken,
            "broken": self.is_broken,
            "why": why,
            "wrong": [one._asdict() for one in self.wrong],
        }


def verify(here: Here, address: str, *, is_quiet: bool) -> list[CheckedVersion]:
    """Check the data sets that an address fits, and tell of each."""
    from cli.progress import size
    from cli.tables import GREEN, RED, YELLOW, count, painter

    paint, store, checked = painter(), store_of(here), []
    projects: dict[str, _Images] = {}
    for folder in folders(here, address):
        project = folder.partition("/")[0]
        images = projects.setdefault(project, _Images(store, project))
        checked.append(one := check(store, folder, images, is_quiet=is_quiet))
        if not is_quiet:
            colour, mark = (
                (RED, "broken") if one.is_broken else (GREEN, "ok") if one.is_whole else (YELLOW, "not whole")
            )
            words = [f"{count(one.images, 'image')}, {size(one.size)}"] if one.images else []
            words += [one.why or (in_short(one.wrong, one.images) if one.wrong else one.note)]
            told = ": ".join(word for word in words if word)
            print(f"{paint(colour, mark.ljust(9))}  {written(folder, here)}  {told}", flush=True)
    return checked


def tell(checked: list[CheckedVersion]) -> None:
    """Sum it up."""
    from cli.tables import count

    broken = sum(one.is_broken for one in checked)
    if broken:
        print(f"{broken} of {count(len(checked), 'data set')} broken: {REMEDY}")
    elif whole := [one for one in checked if one.is_whole]:
        print(f"{count(len(whole), 'data set')}: files as they were written, every image there and readable")


@dataclass
class _Images:
    """The images of a project, which its versions share: each is looked at once."""

    store: DatasetStore
    project: str
    judged: dict[Named, Wrong | None] = field(default_factory=dict)

    @cached_property
    def listed(self) -> dict[str, KeptImage]:
        """All that are there."""
        return self.store.images(self.project)

    def judge(self, named: list[Named], show: Callable[[int, int], None]) -> list[Wrong]:
        """Say what is wrong with images."""
        new = [one for one in dict.fromkeys(named) if one not in self.judged]
        self.judged |= {one: Wrong(one.file_name, "it is gone") for one in new if one.file_name not in self.listed}
        there = [one for one in new if one.file_name in self.listed]
        with ThreadPoolExecutor(AT_ONCE) as readers:
            for number, some in enumerate(batched(there, SLICE, strict=False)):
                self.judged |= zip(some, readers.map(self._look, some), strict=True)
                show(number * SLICE + len(some), len(there))
        return [wrong for one in dict.fromkeys(named) if (wrong := self.judged[one])]

    def _look(self, named: Named) -> Wrong | None:
        """Read the beginning of an image; where its header goes on after that, all of it."""
        from shared.errors import DeniedError, PermanentError

        size, why = self.listed[named.file_name].size, ""
        try:
            for length in sorted({min(BEGINNING, size), size}):
                path = f"{self.project}/images/{named.file_name}"
                why = wrong_with(named, b"".join(self.store.read(path, 0, length)))
                if not why:
                    return None
        except DeniedError:
            raise
        except PermanentError as problem:
            why = f"it cannot be read: {problem.reason}"
        return Wrong(named.file_name, why)


def check(store: DatasetStore, folder: str, images: _Images, *, is_quiet: bool) -> CheckedVersion:
    """Check one data set."""
    from shared.errors import ReactorError

    try:
        found = store.manifest(folder)
        if found is None:
            return _unfinished(store, folder)
        return _check(Version(store, folder, *found), images, is_quiet=is_quiet)
    except ReactorError as problem:
        return CheckedVersion(folder, 0, 0, why=f"it cannot be read: {problem.reason}")


def _unfinished(store: DatasetStore, folder: str) -> CheckedVersion:
    """Judge what has no manifest: somebody may be writing it."""
    last = max((file.changed for file in store.files(folder).values()), default=datetime.now(UTC))
    if datetime.now(UTC) - last > GIVEN_UP:
        why = "it is not whole: its action failed, or its manifest was deleted"
        return CheckedVersion(folder, 0, 0, why=why, is_whole=False)
    return CheckedVersion(folder, 0, 0, note="it may still be being made", is_whole=False)


def _check(version: Version, images: _Images, *, is_quiet: bool) -> CheckedVersion:
    """Read the files of a version for their hashes, then look at every image that it names."""
    from cli.vision.bar import Bar
    from shared.storage.datasets import COCO

    wrong = [*_wrong_files(version)]
    named: list[Named] = []
    if not any(one.name == COCO for one in wrong):
        try:
            named = named_in(version.coco())
        except DamagedError as problem:
            wrong.append(Wrong(COCO, str(problem)))
    bar = Bar("images looked at", is_shown=not is_quiet)
    try:
        wrong += images.judge(named, bar.show)
    finally:
        bar.close()
    lost = version.manifest.lost
    return CheckedVersion(
        version.folder,
        len(named) or version.manifest.images,
        sum(images.listed[one.file_name].size for one in named if one.file_name in images.listed),
        tuple(wrong),
        note=f"{lost:,} more could not be kept when it was made" if lost else "",
    )


def _wrong_files(version: Version) -> Iterator[Wrong]:
    there = version.store.files(version.folder)
    for name in version.files:
        told = version.manifest.files.get(name)
        if name not in there:
            yield Wrong(name, "it is gone")
        elif told and there[name].size != told.size:
            yield Wrong(name, f"it has {there[name].size:,} bytes, and should have {told.size:,}")
        else:
            try:
                for _piece in version.read(name):
                    pass
            except DamagedError as problem:
                yield Wrong(name, str(problem))
