"""What was uploaded so far, kept in a file beside the folder: a run that was stopped, or one with more images, goes on.

One JSON line for each image, written once the service has taken it. A line that a crash cut short is no line; the image
is sent again then, which Custom Vision calls a duplicate.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cli.errors import UsageError
from cli.vision.labelled import Labelled


class Kept(NamedTuple):
    """An image that the project has."""

    id: str
    label: str
    """The hash of what it was labelled with."""
    name: str = ""
    """The file's, when it was uploaded."""


class Begun(NamedTuple):
    """A training that was begun with just what is noted."""

    iteration: str
    how: str
    """The options that say how it is trained."""


class Journal:
    """What one project has of the images of a folder."""

    def __init__(self, path: Path, project: str) -> None:
        self.path = path
        self._project = project
        self._kept: dict[str, Kept] = {}
        self.begun: Begun | None = None
        """None where an image was noted since."""
        for content, told in _read(path, project):
            if isinstance(told, Begun):
                self.begun = told
            else:
                self._kept[content], self.begun = told, None

    @classmethod
    def of(cls, folder: Path, endpoint: str, project: str, path: Path | None = None) -> Journal:
        """Open the journal of a folder, for a project of a resource; UsageError where none can be kept there."""
        whole = Path(os.path.abspath(folder))  # noqa: PTH100 # a link stays one, and `..` has no name
        if not path and not whole.name:
            raise UsageError(f"there is nothing beside {whole} to keep what was uploaded in; --journal FILE says where")
        journal = cls(
            path or whole.with_name(f"{whole.name}.uploaded.jsonl"), f"{endpoint.rstrip('/').lower()}/{project}"
        )
        journal._write(())  # says at once that it cannot
        return journal

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, image: Labelled) -> Kept | None:
        """Find what the project has of an image, with whatever label."""
        return self._kept.get(image.content)

    def has(self, image: Labelled) -> bool:
        """Tell whether the project has an image, labelled as it is now."""
        kept = self.find(image)
        return kept is not None and kept.label == image.label

    @property
    def ids(self) -> frozenset[str]:
        """Give the ids of the images that the project should have."""
        return frozenset(kept.id for kept in self._kept.values())

    def besides(self, images: Iterable[Labelled]) -> dict[str, str]:
        """Give the ids of the images that the project should have besides these, each with its file's name."""
        ids = {kept.id for image in images if (kept := self.find(image))}
        return {kept.id: kept.name for kept in self._kept.values() if kept.id not in ids}

    def keep(self, taken: Mapping[Labelled, str]) -> None:
        """Note images, each with the id that the service gave it."""
        self._write(
            {"project": self._project, "content": image.content, "label": image.label, "id": id, "name": image.name}
            for image, id in taken.items()
        )
        self._kept |= {image.content: Kept(id, image.label, image.name) for image, id in taken.items()}
        self.begun = None if taken else self.begun

    def begin(self, iteration: str, how: str) -> None:
        """Note that a training was begun: whoever stopped looking follows it later."""
        self._write([{"project": self._project, "trained": iteration, "how": how}])
        self.begun = Begun(iteration, how)

    def forget(self, ids: Iterable[str]) -> None:
        """Drop images that the project does not have any more; they are sent again."""
        gone = frozenset(ids)
        self._kept = {content: kept for content, kept in self._kept.items() if kept.id not in gone}

    def _write(self, entries: Iterable[Mapping[str, str]]) -> None:
        """Append lines, after the end of one that was cut short, and have them on the disk before going on."""
        try:
            with self.path.open("ab+") as file:
                lines = "".join(f"{json.dumps(entry)}\n" for entry in entries).encode()
                if not lines:
                    return
                if size := file.seek(0, os.SEEK_END):
                    file.seek(size - 1)
                    lines = lines if file.read(1) == b"\n" else b"\n" + lines
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as problem:
            raise UsageError(
                f"cannot keep what was uploaded in {self.path}: {problem.strerror}; --journal FILE puts it elsewhere"
            ) from None


def _read(path: Path, project: str) -> Iterator[tuple[str, Kept | Begun]]:
    """Read the lines of one project; later ones win."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                    if entry["project"] != project:
                        continue
                    if "trained" in entry:
                        yield "", Begun(str(entry["trained"]), str(entry["how"]))
                    else:
                        yield (
                            str(entry["content"]),
                            Kept(str(entry["id"]), str(entry["label"]), str(entry.get("name", ""))),
                        )
                except (ValueError, KeyError, TypeError, RecursionError):
                    continue
    except FileNotFoundError:
        return
    except OSError as problem:
        raise UsageError(f"cannot read {path}: {problem.strerror}") from None
