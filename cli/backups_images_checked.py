"""`reactor backups verify` of data sets: their files by SHA-256, and of each image whether it is there and readable."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import batched
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.backups_checked import GIVEN_UP
from cli.backups_datasets import folders, store_of, written
from cli.backups_found import Here
from cli.backups_images import AT_ONCE, SLICE, Named, Version, Wrong, in_short, named_in, wrong_with
from cli.errors import RefusedError

if TYPE_CHECKING:
    from shared.storage.dataset_store import DatasetStore, KeptImage

BEGINNING = 64 * 1024
"""Bytes in which an image's header is looked for first."""
REMEDY = (
    "bring what is wrong back from a second container (`reactor backups restore PROJECT/datasets/VERSION --container "
    "URL --to app`); or delete the damaged images and give `reactor vision dataset PROJECT`, which copies them again"
)


class CheckedVersion(NamedTuple):
    """What came of one data set."""

    folder: str
    images: int
    size: int
    """Of its images and files, in bytes."""
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
        why = self.why or (in_short(list(self.wrong), self.images) if self.wrong else "") or self.note
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
            words += [one.why or (in_short(list(one.wrong), one.images) if one.wrong else one.note)]
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
    seen: dict[str, bytes] = field(default_factory=dict)
    """By name, the bytes that say what it is; empty where they say nothing."""

    @cached_property
    def listed(self) -> dict[str, KeptImage]:
        """All that are there."""
        return self.store.images(self.project)

    def wrong(self, named: Named) -> Wrong | None:
        """Say what is wrong with an image."""
        from shared.errors import DeniedError, PermanentError

        listed = self.listed.get(named.file_name)
        if listed is None:
            return Wrong(named.file_name, "it is gone")
        try:
            for length in (min(BEGINNING, listed.size), listed.size):
                path = f"{self.project}/images/{named.file_name}"
                why = wrong_with(named, b"".join(self.store.read(path, 0, length)))
                if not why or length == listed.size:
                    break
        except DeniedError:
            raise
        except PermanentError as problem:
            why = f"it cannot be read: {problem.reason}"
        return Wrong(named.file_name, why) if why else None
