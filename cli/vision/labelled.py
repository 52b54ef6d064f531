"""Images on this machine and their labels, as a folder or a COCO file says, and whether they are enough to train."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from cli.errors import UsageError
from cli.vision.images import Head, Wrong, load

FEWEST_IMAGES = {False: 5, True: 15}
"""Images that a tag needs; more for detection."""
FEWEST_TAGS = {False: 2, True: 1}
MULTILABEL = "or create the project with --classification-type multilabel"
MOST_NAMED = 3
"""Files that a note names."""

Show = Callable[[int, int], None]
"""Is told how many images of how many."""


class Box(NamedTuple):
    """Where on an image something is, as parts of its width and height."""

    tag: str
    left: float
    top: float
    width: float
    height: float


class Bad(NamedTuple):
    """A file that cannot be used, why, and what helps."""

    name: str
    why: str
    remedy: str


class MislabelledError(UsageError):
    """What is said of an image cannot be; each argument is one mistake."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An image file that Custom Vision would take, and what it shows."""

    path: Path
    name: str
    """Its path below the folder, with slashes."""
    size: int
    changed: int
    """When the file was last written, in nanoseconds."""
    content: str
    """The hash of its bytes."""
    tags: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()

    @property
    def label(self) -> str:
        """Give the hash of what it is labelled with."""
        said = [sorted(self.tags), sorted([box.tag, *(round(at, 6) for at in box[1:])] for box in self.boxes)]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]

    @property
    def all_tags(self) -> frozenset[str]:
        """Name every tag it has, on all of it or on a region."""
        return frozenset(self.tags) | {box.tag for box in self.boxes}


@dataclass
class Collected:
    """What a folder holds."""

    images: list[Labelled] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is left aside on purpose."""

    def take(self, path: Path, name: str, label: Callable[[Head], tuple[tuple[str, ...], tuple[Box, ...]]]) -> None:
        """Look at a file, and add it to the one or the other; what it is labelled with may need its size."""
        if (shown := readable(name)) != name:
            self.bad.append(Bad(shown, "its name, or its folder's, is no UTF-8", "rename it"))
            return
        try:
            about = path.stat()
            content, head = load(path) if S_ISREG(about.st_mode) else (b"", Wrong("it is no file", "take it out"))
        except FileNotFoundError:
            why = "it is a link to a file that is not there" if path.is_symlink() else "it is gone by now"
            self.bad.append(Bad(name, why, "take it out, or mend it"))
            return
        except OSError as problem:
            self.bad.append(Bad(name, f"it cannot be read: {problem.strerror}", "mend its rights, or take it out"))
            return
        if isinstance(head, Wrong):
            self.bad.append(Bad(name, *head))
            return
        try:
            tags, boxes = label(head)
        except MislabelledError as problem:
            self.bad += [Bad(name, why, "mend the labels") for why in problem.args]
            return
        digest = hashlib.sha256(content).hexdigest()
        self.images.append(Labelled(path, name, len(content), about.st_mtime_ns, digest, tags, boxes))

    def merge(self, *, one_tag: bool) -> None:
        """Keep each picture once, with all the tags it is found under; where only one may be, the others are wrong."""
        found: dict[str, list[Labelled]] = {}
        for image in self.images:
            found.setdefault(image.content, []).append(image)
        self.images, twice = [], []
        for same in found.values():
            tags = tuple(sorted({tag for image in same for tag in image.tags}))
            boxes = tuple(dict.fromkeys(box for image in same for box in image.boxes))
            if one_tag and len(tags) > 1:
                self.bad.append(_with_several(dict.fromkeys(image.name for image in same), tags))
                continue
            twice += [f"{other.name} (as {same[0].name})" for other in same[1:]]
            self.images.append(replace(same[0], tags=tags, boxes=boxes))
        if twice:
            self.notes.append(f"the same picture as another file, which is uploaded once: {named(twice)}")


def _with_several(names: Collection[str], tags: Iterable[str]) -> Bad:
    """Say of a picture that it has several tags where each has one."""
    told = ", ".join(tags)
    if len(names) > 1:
        return Bad(
            ", ".join(names), f"the same picture with the tags {told}", f"leave it in one folder only, {MULTILABEL}"
        )
    return Bad(next(iter(names)), f"it has the tags {told}, and may have one", f"leave it one of them, {MULTILABEL}")


def named(names: Sequence[str], most: int = MOST_NAMED) -> str:
    """Name some, and say how many there are besides.

    >>> named(["a", "b", "c"]), named(["a", "b", "c", "d", "e"])
    ('a, b, c', 'a, b, c and 2 more')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def tags_of(images: Iterable[Labelled]) -> Counter[str]:
    """Count the images of each tag."""
    return Counter(tag for image in images for tag in image.all_tags)


def shortages(
    images: Iterable[Labelled], there: Mapping[str, int], *, detects: bool, only: Collection[str] = ()
) -> Iterator[str]:
    """Say what is missing until these, and those that the project has of each tag, can be trained with.

    `only` names the tags that are trained, where it is not all.
    """
    counted = tags_of(images)
    for tag, number in there.items():
        counted[tag] += number
    if only:
        counted = Counter({tag: counted[tag] for tag in only})
    names, fewest = [tag for tag, number in counted.items() if number], FEWEST_IMAGES[detects]
    if len(names) < FEWEST_TAGS[detects]:
        yield f"there is only the tag {names[0]}: two at least are to be told apart" if names else "there is no tag"
    for tag in sorted(counted):
        if counted[tag] < fewest:
            yield f"{tag} has {counted[tag] or 'none'}, and needs {fewest}"


# -- one sub-folder per tag -------------------------------------------------------------------------------------------


def read_folder(folder: Path, show: Show) -> Collected:
    """Read a folder with one sub-folder per tag; UsageError where it is none."""
    tags = [path for path in _entries(folder) if path.is_dir()]
    if not tags:
        raise UsageError(
            f"{folder} has no sub-folders: put the images of each tag into a sub-folder of its name, such as "
            f"{folder}/apple/1.jpg; or give --coco FILE"
        )
    collected, files = Collected(), []
    if loose := [readable(path.name) for path in _entries(folder) if not path.is_dir()]:
        collected.notes.append(f"in no sub-folder, and left aside: {named(loose)}")
    for below in tags:
        held = _entries(below)
        files += [(path, one_form(below.name)) for path in held if not path.is_dir()]
        deeper = [f"{below.name}/{path.name}/" for path in held if path.is_dir()]
        collected.bad += [Bad(readable(name), *NESTED) for name in deeper]
        if not held:
            collected.bad.append(Bad(f"{readable(below.name)}/", "no images are in it", "fill or remove it"))
    for number, (path, tag) in enumerate(files, 1):
        collected.take(path, f"{tag}/{path.name}", lambda _head, tag=tag: ((tag,), ()))  # type: ignore[misc]
        show(number, len(files))
    return collected


def _entries(folder: Path) -> list[Path]:
    """List what a folder holds, without what systems put there."""
    try:
        return sorted(path for path in folder.iterdir() if path.name[0] != "." and path.name.lower() not in LITTER)
    except NotADirectoryError:
        raise UsageError(f"{folder} is no folder") from None
    except OSError as problem:
        raise UsageError(f"cannot read {folder}: {problem.strerror}") from None


NESTED = ("it is a folder within that of a tag, and only one level names tags", "move its images up, or it away")
LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


def readable(name: str) -> str:
    r"""Write a name so that it can be sent and shown: what is no UTF-8 of it is escaped.

    >>> print(readable("caf\udce9.png"))
    caf\udce9.png
    """
    return name.encode("utf-8", "backslashreplace").decode()


def one_form(name: str) -> str:
    """Write a name with one code for each letter, as everybody but macOS does."""
    import unicodedata

    return unicodedata.normalize("NFC", name)
