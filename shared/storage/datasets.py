"""Our own store of labelled images, in the blob container of the backups.

    {project}/images/{image id}.jpg                 copied once, shared by all versions; an id's content never changes
    {project}/datasets/{version}/coco.json
                                /train.jsonl        for AutoML
                                /MLTable            makes the folder a table for AutoML
                                /manifest.json      written last: where it is, the version is whole

A file is put together of blocks that are staged one by one and become a blob all at once. Storage keeps staged blocks
for a week after the last of them; a blob has at most 50,000.
https://learn.microsoft.com/rest/api/storageservices/put-block
https://learn.microsoft.com/rest/api/storageservices/put-block-list
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.settings import Settings
from shared.storage.backups import CHUNK, MANIFEST
from shared.storage.backups.manifests import hashes
from shared.storage.backups.store import md5_of, no_manifest
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from shared.storage.account import Account

COCO = "coco.json"
LINES = "train.jsonl"
TABLE = "MLTable"


@dataclass(frozen=True, slots=True)
class Stored:
    """A blob that is there, and what was noted of it."""

    path: str
    size: int
    noted: Mapping[str, str]
    etag: str = ""
    md5: str = ""
    """Hex, "" where storage does not know it."""

    def is_as(self, noted: Mapping[str, str]) -> bool:
        """Tell whether it has the size and the MD5 that are noted, as far as they are: nothing of it is read."""
        has_size = noted.get("size", str(self.size)) == str(self.size)
        return has_size and not (self.md5 and self.md5 != noted.get("md5", self.md5))


class File(BaseModel):
    """A file of a version."""

    model_config = ConfigDict(frozen=True)

    size: int = Field(ge=0)
    sha256: tuple[str, ...]
    """Hex, of each `chunk` bytes in order; below that size it is the file's own, and an empty file has none."""


class Missing(BaseModel):
    """An image that could not be kept, and what is known of it."""

    model_config = ConfigDict(frozen=True)

    id: str
    reason: str
    label: Any = None
    """As it would stand in train.jsonl."""


class TagCount(BaseModel):
    """A tag, and how many annotations of coco.json are of it; its place is its category's number."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    type: str
    annotations: int


class DatasetManifest(BaseModel):
    """What a version is: written last, so its presence means that the version is whole."""

    model_config = ConfigDict(frozen=True)

    version: int = 1
    project: str
    name: str
    """The project's."""
    dataset: str
    """The version's name, which is its folder's."""
    domain: str
    kind: str
    """multiclass, multilabel or detection."""
    with_untagged: bool
    images: int
    annotations: int
    labelled: int
    """Images with a line in train.jsonl."""
    lost: int
    """How many images are missing."""
    tags: tuple[TagCount, ...]
    changed: str
    """What is wrong with it because the project changed meanwhile, "" for nothing."""
    files: dict[str, File]
    chunk: int = Field(default=CHUNK, gt=0)
    began: datetime
    written: datetime
    missing: tuple[Missing, ...] = ()

    @model_validator(mode="after")
    def _has_a_hash_for_every_chunk(self) -> Self:
        """Refuse one by which a part of a file would pass unread."""
        for name, file in self.files.items():
            if len(file.sha256) != (wanted := hashes(file.size, self.chunk)):
                raise ValueError(f"{name} has {len(file.sha256):,} hashes, and should have {wanted:,}")
        return self

    def pieces(self) -> tuple[str, str]:
        """Write it as JSON, in two pieces between which the missing images belong."""
        head = self.model_dump_json(indent=2, exclude={"missing"}).rstrip("\n}")
        return f'{head},\n  "missing": [', "\n  ]\n}\n"


class Datasets:
    """The store. Folders and paths are below the container, without a slash at either end."""

    def __init__(self, account: "Account", settings: Settings) -> None:
        self._account = account
        self._container = settings.backup_container

    # -- blobs --------------------------------------------------------------------------------------------------------

    def has_any(self, folder: str) -> bool:
        """Tell whether there is any blob in a folder."""
        with translated("Storage"):
            container = self._account.blobs.get_container_client(self._container)
            names = container.list_blob_names(name_starts_with=f"{folder}/", results_per_page=1)
            return any(True for _ in names)

    def look(self, path: str) -> Stored | None:
        """Read what is noted of a blob; None where there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        with translated("Storage"):
            try:
                found = self._blob(path).get_blob_properties()
            except ResourceNotFoundError:
                return None
        return Stored(path, found.size, dict(found.metadata or {}), found.etag, md5_of(found))

    def keep(
        self, path: str, content: bytes, content_type: str, noted: Mapping[str, str] | None = None, damaged: str = ""
    ) -> bool:
        """Write a blob unless there is one: what is kept is never overwritten. False where nothing was written.

        The one that is replaced is a damaged one, of that ETag, and only while it has it.
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError
        from azure.storage.blob import ContentSettings

        how: Any = {"overwrite": False}
        if damaged:
            how = {"overwrite": True, "etag": damaged, "match_condition": MatchConditions.IfNotModified}
        with translated("Storage", "same"):
            try:
                self._blob(path).upload_blob(
                    content,
                    metadata=dict(noted or {}),
                    content_settings=ContentSettings(content_type=content_type),
                    **how,
                )
            except (ResourceExistsError, ResourceModifiedError):
                return False
        return True

    def url(self, path: str) -> str:
        """Give a blob's URL, without a SAS: who reads it there needs a role for that."""
        return self._blob(path).url.partition("?")[0]

    # -- files of many blocks -----------------------------------------------------------------------------------------

    def stage(self, path: str, block: str, text: str) -> None:
        """Put a block of a file where it waits for the others; one of the same name is replaced.

        All names of a file's blocks have one length.
        """
        with translated("Storage", "same"):
            self._blob(path).stage_block(block, text.encode())

    def commit(self, path: str, blocks: Iterable[str], content_type: str) -> int | None:
        """Make a blob of the staged blocks, and give its size; None where not all of them are there any more.

        Doing it again leaves the same.
        """
        from azure.core.exceptions import HttpResponseError
        from azure.storage.blob import BlobBlock, ContentSettings

        listed = [BlobBlock(block) for block in blocks]
        with translated("Storage", "same"):
            blob = self._blob(path)
            try:
                blob.commit_block_list(listed, content_settings=ContentSettings(content_type=content_type))
            except HttpResponseError as problem:
                if getattr(problem, "error_code", "") not in ("InvalidBlockList", "InvalidBlockId"):
                    raise
                return None
            return blob.get_blob_properties().size

    def sha256(self, path: str, chunk: int) -> str:
        """Hash the chunk of that number (from 0) of a file; never more than a few MiB are in memory."""
        digest = hashlib.sha256()
        with translated("Storage"):
            for piece in self._blob(path).download_blob(chunk * CHUNK, CHUNK, max_concurrency=1).chunks():
                digest.update(piece)
        return digest.hexdigest()

    # -- manifests ----------------------------------------------------------------------------------------------------

    def manifest(self, folder: str) -> DatasetManifest | None:
        """Read a version's manifest; None where the version is not whole."""
        from azure.core.exceptions import ResourceNotFoundError

        with translated("Storage"):
            try:
                text = self._blob(f"{folder}/{MANIFEST}").download_blob().readall()
            except ResourceNotFoundError:
                return None
        try:
            return DatasetManifest.model_validate_json(text)
        except ValidationError as problem:
            raise no_manifest(folder, problem) from None

    def write_manifest(self, folder: str, manifest: DatasetManifest, missing: Sequence[str]) -> bool:
        """Write a manifest around the staged blocks that list its missing images; False where they are gone."""
        path, (head, tail) = f"{folder}/{MANIFEST}", manifest.pieces()
        self.stage(path, HEAD, head)
        self.stage(path, TAIL, tail)
        return self.commit(path, [HEAD, *missing, TAIL], "application/json") is not None

    def _blob(self, path: str) -> "BlobClient":
        return self._account.blobs.get_blob_client(self._container, path)


def block_name(part: str, turn: int, number: int) -> str:
    """Name the block of that number of a part of a file: all names have one length, and a turn has its own."""
    return f"{part[:8]:-<8}-{turn:02}-{number:06}"


HEAD, MIDDLE, TAIL = (block_name(part, 0, 0) for part in ("head", "middle", "tail"))
