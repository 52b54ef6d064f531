"""Data sets in one container of backups, for who reads them again or brings them to another one."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from shared.storage.backups import Store
from shared.storage.backups.store import md5_of, no_manifest
from shared.storage.datasets import COCO, LINES, TABLE, DatasetManifest

CONTENT_TYPES: Mapping[str, str] = {
    COCO: "application/json",
    LINES: "application/jsonl",
    TABLE: "application/yaml",
    "jpg": "image/jpeg",
    "png": "image/png",
    "bmp": "image/bmp",
    "gif": "image/gif",
}
"""By a file's name, an image's by its extension."""


@dataclass(frozen=True, slots=True)
class KeptImage:
    """An image that is kept, as the listing tells of it."""

    name: str
    """Without a folder."""
    size: int
    md5: str
    """Hex, "" where storage does not know it."""
    noted: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of a version."""

    size: int
    changed: datetime


class DatasetStore:
    """The data sets of a store; folders are versions', paths without a slash at either end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.what = store.what

    def manifest(self, folder: str) -> tuple[bytes, DatasetManifest] | None:
        """Read a version's manifest, as it is and as what it means; None where the version is not whole."""
        text = self._store.manifest_text(folder)
        if text is None:
            return None
        try:
            return text, DatasetManifest.model_validate_json(text)
        except ValidationError as problem:
            raise no_manifest(folder, problem) from None

    def files(self, folder: str) -> dict[str, KeptFile]:
        """List a version's files by their names."""
        with self._store.container() as container:
            found = container.list_blobs(name_starts_with=f"{folder}/")
            return {str(one.name).rpartition("/")[2]: KeptFile(one.size, one.last_modified) for one in found}

    def images(self, project: str) -> dict[str, KeptImage]:
        """List a project's images by their names."""
        with self._store.container() as container:
            found = container.list_blobs(name_starts_with=f"{project}/images/", include=["metadata"])
            named = ((str(one.name).rpartition("/")[2], one) for one in found)
            return {name: KeptImage(name, one.size, md5_of(one), dict(one.metadata or {})) for name, one in named}

    def look(self, project: str, name: str) -> KeptImage | None:
        """Read what storage tells of an image; None where it is not there, or not all of it is there yet."""
        from azure.core.exceptions import ResourceNotFoundError

        with self._store.container() as container:
            try:
                found = container.get_blob_client(f"{project}/images/{name}").get_blob_properties()
            except ResourceNotFoundError:
                return None
        if found.copy.status not in (None, "success"):
            return None
        return KeptImage(name, found.size, md5_of(found), dict(found.metadata or {}))

    def take_image(self, project: str, name: str, url: str) -> bool:
        """Have storage copy an image, with what is noted of it, unless there is one: False. It is there at once.

        https://learn.microsoft.com/rest/api/storageservices/copy-blob-from-url
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

        with self._store.container("same") as container:
            blob = container.get_blob_client(f"{project}/images/{name}")
            try:
                blob.start_copy_from_url(url, requires_sync=True, match_condition=MatchConditions.IfMissing)
            except (ResourceExistsError, ResourceModifiedError):
                return False
        return True

    def read(self, path: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read a blob, or a part of it, in pieces."""
        if length == 0:
            return
        with self._store.container() as container:
            blob = container.get_blob_client(path)
            yield from blob.download_blob(start, length, max_concurrency=1).chunks()

    def put_image(self, project: str, image: KeptImage, content: bytes) -> None:
        """Write an image with what is noted of it."""
        from azure.storage.blob import ContentSettings

        kind = ContentSettings(
            content_type=CONTENT_TYPES.get(image.name.rpartition(".")[2], "application/octet-stream"),
            content_md5=bytearray(hashlib.md5(content, usedforsecurity=False).digest()),
        )
        with self._store.container("same") as container:
            blob = container.get_blob_client(f"{project}/images/{image.name}")
            blob.upload_blob(content, overwrite=True, metadata=dict(image.noted), content_settings=kind)

    def put_file(self, folder: str, name: str, pieces: Iterable[bytes]) -> None:
        """Write a file of a version; nothing is there before the last piece is."""
        from azure.storage.blob import ContentSettings

        with self._store.container("same") as container:
            container.get_blob_client(f"{folder}/{name}").upload_blob(
                iter(pieces), overwrite=True, content_settings=ContentSettings(content_type=CONTENT_TYPES[name])
            )

    def put_manifest(self, folder: str, text: bytes) -> None:
        """Write a manifest unless there is one."""
        self._store.write_manifest(folder, text)

    def url(self, path: str) -> str:
        """Give the URL of a blob, without a SAS."""
        with self._store.container() as container:
            return str(container.get_blob_client(path).url).partition("?")[0]
