"""`reactor backups get` and `restore` of data sets: with their images to a folder, or to another container; resumed."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.backups.datasets import chosen, store_of, written
from cli.backups.found import Here
from cli.backups.images import AT_ONCE, SLICE, DamagedError, Named, Version, Wrong, in_short, named_in, opened
from cli.backups.images_targets import Container, Folder, Target
from cli.errors import RefusedError

if TYPE_CHECKING:
    from shared.storage.backups import Store


class Brought(NamedTuple):
    """What came of one data set."""

    folder: str
    to: str
    how: str
    """What was done with the images that were not there."""
    images: int
    size: int
    """Of the images, in bytes."""
    new: int
    """Images that were not there."""
    lost: int
    """Images that the version was made without."""
    wrong: tuple[Wrong, ...]
    there: int

    def shown(self) -> dict[str, Any]:
        """Give it for programs."""
        return {
            "folder": self.folder,
            "to": self.to,
            "how": self.how if self.new else "was there already",
            "images": self.images,
            "size": self.size,
            self.how: self.new,
            "there": self.there,
            "missing": self.lost,
            "wrong": [one._asdict() for one in self.wrong],
        }

    def said(self) -> str:
        """Tell a person."""
        from cli.progress import size
        from cli.tables import count

        parts = [f"{self.new:,} {self.how}"] if self.new or not self.there else []
        parts += [f"{self.there:,} there already"] if self.there else []
        more = f"; {self.lost:,} more could not be kept when it was made (manifest.json)" if self.lost else ""
        return f"{self.to}  {count(self.images, 'image')}, {size(self.size)}: {', '.join(parts)}{more}"


def get(here: Here, options: Namespace) -> int:
    """Fetch a data set into a folder."""
    (folder,) = chosen(here, options.backup)
    project, _, version = written(folder, here).partition("/datasets/")
    to = Path(options.to) if options.to else Path(f"{Path(project).name}-{version}")
    return ended(here, [bring(here, folder, Folder(to, to), options)], options)


def restore(here: Here, options: Namespace, target: Store | None) -> int:
    """Bring the data set that is meant, or with --all each that is, to a container, or to the folder --to."""
    return ended(here, brought(here, chosen(here, options.backup, every=options.all), options, target), options)


def brought(here: Here, folders: Sequence[str], options: Namespace, target: Store | None) -> list[Brought]:
    """Bring data sets. Several in one folder have the places there that they have in the store, and share images."""
    from shared.storage.dataset_store import DatasetStore

    done = []
    for folder in folders:
        to: Target
        if target is not None:
            to = Container(DatasetStore(target), folder)
        elif options.all:
            to = Folder(Path(options.to) / folder, Path(options.to) / folder.partition("/")[0] / "images")
        else:
            to = Folder(Path(options.to), Path(options.to))
        done.append(bring(here, folder, to, options))
    return done


def ended(here: Here, done: Sequence[Brought], options: Namespace) -> int:
    """Tell programs of data sets, and refuse where something of them is wrong."""
    from cli.documents import print_json

    if options.json:
        print_json([one.shown() for one in done])
    refuse_wrong(here, done)
    return 0


def refuse_wrong(here: Here, done: Sequence[Brought]) -> None:
    """Raise RefusedError where something of what was brought is wrong."""
    lines = [f"{written(one.folder, here)}: {in_short(one.wrong, one.images)}" for one in done if one.wrong]
    if lines:
        raise RefusedError(
            "\n  ".join(lines) + "\n  all the rest is there; a second container may have what is wrong: --container; "
            "once that is mended, the same command goes on; a container gets its manifest.json only then"
        )


def bring(here: Here, folder: str, to: Target, options: Namespace) -> Brought:
    """Bring one data set: its images, then its files, its manifest last; what is there already is not read again."""
    version = opened(store_of(here), folder)
    try:
        coco = version.coco()
        named = list(dict.fromkeys(named_in(coco)))
    except DamagedError as problem:
        raise RefusedError(
            f"{written(folder, here)}: coco.json is damaged: {problem}; a second container may have it as it was: "
            "--container"
        ) from None
    try:
        to.begin(version, coco)
        new, size, wrong = _bring_images(version, named, to, is_quiet=options.json)
        wrong += _bring_files(version, to)
        to.finish(version, is_whole=not wrong)
    except OSError as error:
        raise RefusedError(
            f"cannot write {error.filename or to.name}: {error.strerror}; once that is mended, the same command goes on"
        ) from None
    spoilt = len({one.name for one in wrong} & {one.file_name for one in named})
    there = len(named) - new - spoilt
    one = Brought(folder, to.name, to.how, len(named), size, new, version.manifest.lost, tuple(wrong), there)
    if not options.json:
        print(one.said(), flush=True)
        if hint := to.hint:
            print(f"  train with them: {hint}{' --skip-bad' if spoilt else ''}", flush=True)
    return one


def _bring_images(
    version: Version, named: Sequence[Named], to: Target, *, is_quiet: bool
) -> tuple[int, int, list[Wrong]]:
    """Bring images, some at once; give how many were not there, the bytes of all, and what is wrong."""
    from cli.progress import Bar, in_bytes

    listed = version.store.images(version.project)
    wrong = [Wrong(one.file_name, "it is gone") for one in named if one.file_name not in listed]
    there = [one for one in named if one.file_name in listed]
    total, new, done = sum(listed[one.file_name].size for one in there), 0, 0
    bar = Bar(is_shown=not is_quiet, told=in_bytes(total))
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for some in batched(there, SLICE, strict=False):
                for one, said in zip(
                    some, pool.map(lambda one: to.take(version, one, listed[one.file_name]), some), strict=True
                ):
                    done += listed[one.file_name].size
                    bar.show(done, total, done)
                    if isinstance(said, Wrong):
                        wrong.append(said)
                    else:
                        new += said
    finally:
        bar.close()
    return new, total, wrong


def _bring_files(version: Version, to: Target) -> list[Wrong]:
    """Bring the files but the manifest; what is damaged or gone stays away."""
    from shared.errors import DeniedError, PermanentError

    wrong = []
    for name in version.files:
        try:
            to.write(version, name)
        except DamagedError as problem:
            wrong.append(Wrong(name, str(problem)))
        except DeniedError:
            raise
        except PermanentError as problem:
            wrong.append(Wrong(name, f"it cannot be brought: {problem.reason}"))
    return wrong
