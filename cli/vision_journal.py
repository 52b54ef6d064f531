"""What was uploaded so far, kept in a file beside the folder: a run that was stopped, or one with more images, goes on.

One JSON line for each image, written once the service has taken it. A line that a crash cut short is no line; the image
is sent again then, which Custom Vision calls a duplicate.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from cli.errors import UsageError
from cli.vision_labelled import Labelled


class Kept(NamedTuple):
    """An image that the project has."""

    id: str
    label: str
    """The hash of what it was labelled with."""


class Journal:
    """What one project has of the images of a folder."""

    def __init__(self, path: Path, project: str) -> None:
        self.path = path
        self._project = project
        self._kept = dict(_read(path, project))

    @classmethod
    def of(cls, folder: Path, endpoint: str, project: str, path: Path | None = None) -> Journal:
        """Open the journal of a folder, for a project of a resource; UsageError where none can be kept there."""
        whole = folder.absolute()
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

    def keep(self, taken: Mapping[Labelled, str]) -> None:
        """Note images, each with the id that the service gave it."""
        self._write(
            {"project": self._project, "content": image.content, "label": image.label, "id": id, "name": image.name}
            for image, id in taken.items()
        )
        self._kept |= {image.content: Kept(id, image.label) for image, id in taken.items()}

    def forget(self, ids: Iterable[str]) -> int:
        """Drop images that the project does not have any more; they are sent again."""
        gone = frozenset(ids)
        before = len(self._kept)
        self._kept = {content: kept for content, kept in self._kept.items() if kept.id not in gone}
        return before - len(self._kept)

    def _write(self, entries: Iterable[Mapping[str, str]]) -> None:
        """Append lines, after the end of one that was cut short, and have them on the disk before going on."""
        try:
            with self.path.open("ab+") as file:
                lines = "".join(f"{json.dumps(entry, ensure_ascii=False)}\n" for entry in entries).encode()
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


def _read(path: Path, project: str) -> Iterable[tuple[str, Kept]]:
    """Read the lines of one project; later ones win."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                    if entry["project"] == project:
                        yield str(entry["content"]), Kept(str(entry["id"]), str(entry["label"]))
                except (ValueError, KeyError, TypeError, RecursionError):
                    continue
    except FileNotFoundError:
        return
    except OSError as problem:
        raise UsageError(f"cannot read {path}: {problem.strerror}") from None
