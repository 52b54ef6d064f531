"""What is written beside a backup: how the model can be checked, and what was known of it.

A manifest is written last and never changes. Those of before `about` was added are read as they are.
"""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

CHUNK = 64 * 1024 * 1024
"""Bytes under one SHA-256."""
MODEL = "model.zip"
MANIFEST = "manifest.json"


class TagMeasured(BaseModel):
    """A tag of the iteration, and how well it was recognised. None: that could not be read."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    type: str | None = None
    images: int | None = None
    precision: float | None = None
    recall: float | None = None
    average_precision: float | None = None


class Domain(BaseModel):
    """What an iteration was trained from."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str | None = None
    type: str | None = None
    """Classification or ObjectDetection."""


class About(BaseModel):
    """What Custom Vision said of an iteration when it was backed up. None: that could not be read, or is not so."""

    model_config = ConfigDict(frozen=True)

    project_name: str | None = None
    classification: str | None = None
    """Multiclass or Multilabel."""
    domain: Domain | None = None
    iteration_name: str | None = None
    training_type: str | None = None
    trained_at: datetime | None = None
    publish_name: str | None = None
    threshold: float = 0.5
    """At which the measures were read."""
    precision: float | None = None
    recall: float | None = None
    average_precision: float | None = None
    tags: tuple[TagMeasured, ...] = ()
    unread: tuple[str, ...] = ()
    """What could not be read, and why."""


class Manifest(BaseModel):
    """What a backup is: written last, so its presence means that the backup is whole."""

    model_config = ConfigDict(frozen=True)

    version: int = 1
    project: str
    iteration: str
    platform: str
    flavor: str | None
    source: str
    """Where it was copied from, without the query."""
    source_etag: str
    source_modified: datetime
    size: int = Field(ge=0)
    md5: str | None
    """Hex; None where the source was uploaded in blocks."""
    chunk: int = Field(default=CHUNK, gt=0)
    sha256: tuple[str, ...]
    """Hex, of each `chunk` bytes in order; for a model below that size it is the file's own."""
    about: About | None = None
    """None in manifests that are older than this."""
    copied: datetime | None
    written: datetime

    @model_validator(mode="after")
    def _has_a_hash_for_every_chunk(self) -> Self:
        """Refuse one by which a part of the model would pass unread."""
        if len(self.sha256) != (wanted := hashes(self.size, self.chunk)):
            raise ValueError(f"it has {len(self.sha256):,} hashes, and should have {wanted:,}")
        return self


def hashes(size: int, chunk: int) -> int:
    """Count the hashes that a file of this size has.

    >>> hashes(0, 10), hashes(10, 10), hashes(11, 10)
    (0, 1, 2)
    """
    return -(-size // chunk)
