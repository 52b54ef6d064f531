"""Backups in one container: written, read, listed, deleted. Folders are paths without a slash at either end."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from shared.answers import Effect
from shared.errors import PermanentError, TemporaryError
from shared.redaction import tidy
from shared.storage.backups.listing import Backup, grouped
from shared.storage.backups.manifests import MANIFEST, MODEL, Manifest
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobProperties, ContainerClient

DIGITS = frozenset("0123456789abcdef")
NO_CONTAINER = "ContainerNotFound"
FIXED = frozenset({"BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold"})
"""What storage says of blobs that a policy of the container keeps.

https://learn.microsoft.com/azure/storage/blobs/immutable-storage-overview
"""


@dataclass(frozen=True, slots=True)
class Blob:
    """What a blob says of itself."""

    size: int
    etag: str
    md5: str
    """Hex, "" where it was uploaded in blocks."""
    modified: datetime


@dataclass(frozen=True, slots=True)
class Copy:
    """How a copy is doing."""

    state: str
    """pending, success, failed or aborted."""
    size: int
    md5: str
    """Hex, "" where the source has none, or until the copy is whole."""
    progress: str
    """ "bytes done/bytes in all"."""
    problem: str
    finished: datetime | None

    @property
    def copied(self) -> int:
        """How many bytes are there already."""
        done = self.progress.partition("/")[0]
        return int(done) if done.isdecimal() else self.size if self.state == "success" else 0

    def doing(self, size: int, md5: str) -> str:
        """Say "success" or "pending" of the copy of a model of this size and MD5, else what is wrong with it."""
        if self.state == "success" and (self.size != size or (self.md5 and md5 and self.md5 != md5)):
            return "of other content"
        return self.state if self.state in {"success", "pending"} else f"{self.state} {self.problem}".strip()


class Store:
    """One container of backups. `what` names it in errors."""

    def __init__(self, container: "Callable[[], ContainerClient]", what: str) -> None:
        self._container = container
        self.what = what

    # -- manifests ----------------------------------------------------------------------------------------------------

    def manifest(self, folder: str) -> Manifest | None:
        """Read a backup's manifest; None where the backup is not whole."""
        text = self.manifest_text(folder)
        if text is None:
            return None
        try:
            return Manifest.model_validate_json(text)
        except ValidationError as problem:
            raise no_manifest(folder, problem) from None

    def manifest_text(self, folder: str) -> bytes | None:
        """Read it as it is."""
        from azure.core.exceptions import ResourceNotFoundError

        with self._translated():
            try:
                return bytes(self._blob(folder, MANIFEST).download_blob().readall())
            except ResourceNotFoundError:
                return None

    def write_manifest(self, folder: str, manifest: Manifest | bytes) -> None:
        """Write a manifest unless there is one: what is kept is never overwritten."""
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.blob import ContentSettings

        text = manifest if isinstance(manifest, bytes) else manifest.model_dump_json(indent=2).encode()
        with self._translated("same"):
            try:
                self._blob(folder, MANIFEST).upload_blob(
                    text, overwrite=False, content_settings=ContentSettings(content_type="application/json")
                )
            except ResourceExistsError:
                return

    # -- models -------------------------------------------------------------------------------------------------------

    def start_copy(self, folder: str, url: str, etag: str = "", name: str = MODEL) -> Copy | None:
        """Ask storage to copy a model, or what has that name, into a folder.

        It replaces what an unfinished attempt left there.

        None where the source is not the blob of that ETag any more.
        https://learn.microsoft.com/rest/api/storageservices/copy-blob
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError

        only: Any = {}
        if etag:
            only = {"source_etag": f'"{etag}"', "source_match_condition": MatchConditions.IfNotModified}
        with self._translated("same"):
            try:
                self._blob(folder, name).start_copy_from_url(url, retry_total=0, **only)
            except ResourceModifiedError:
                return None
        copy = self.copy(folder, name)
        if copy is None:
            raise TemporaryError("the copy cannot be seen yet", after=1)
        return copy

    def copy(self, folder: str, name: str = MODEL) -> Copy | None:
        """Look how the copy into a folder is doing; None where none was ever started."""
        from azure.core.exceptions import ResourceNotFoundError

        with self._translated():
            try:
                found = self._blob(folder, name).get_blob_properties()
            except ResourceNotFoundError:
                return None
        copy = found.copy
        return Copy(
            state=tidy(copy.status or "success"),
            size=found.size,
            md5=md5_of(found),
            progress=copy.progress or "",
            problem=tidy(copy.status_description or ""),
            finished=copy.completion_time if isinstance(copy.completion_time, datetime) else None,
        )

    def read(self, folder: str, start: int, length: int) -> Iterator[bytes]:
        """Read a part of a model in pieces; never more than a few MiB are in memory."""
        if length > 0:
            with self._translated():
                yield from self._blob(folder, MODEL).download_blob(start, length, max_concurrency=1).chunks()

    def sha256(self, folder: str, number: int, chunk: int) -> str:
        """Hash the chunk of that number (from 0) of a model."""
        digest = hashlib.sha256()
        for piece in self.read(folder, number * chunk, chunk):
            digest.update(piece)
        return digest.hexdigest()

    def upload(self, folder: str, pieces: Iterator[bytes], size: int) -> None:
        """Write a model in blocks, replacing what an unfinished attempt left there."""
        with self._translated("same"):
            self._blob(folder, MODEL).upload_blob(pieces, length=size, overwrite=True, max_concurrency=1)

    def blob(self, folder: str, name: str = MODEL) -> "BlobClient":
        """Give the client of a blob, by default a model's, for who makes a source of it."""
        return self._blob(folder, name)

    def url(self, folder: str) -> str:
        """Give the URL of the model in a folder, without a SAS: who reads it there needs a role for that."""
        return str(self._blob(folder, MODEL).url).partition("?")[0]

    # -- what there is ------------------------------------------------------------------------------------------------

    def list(self, project: str = "", iteration: str = "") -> "Iterator[Backup]":
        """List the backups, of a project or of an iteration of it, in the order of their paths, unfinished ones too.

        No manifest is read, and images that were kept beside the models are not gone through.
        """
        with self._translated():
            for prefix in [f"{project}/{iteration}/"] if iteration else self._prefixes(project):
                yield from grouped(self._container().list_blobs(name_starts_with=prefix))

    def _prefixes(self, project: str) -> Iterator[str]:
        """Give the beginnings of the paths of iterations: some of them by their first digit, at most 16 a project."""
        for found in [f"{project}/"] if project else self.folders():
            digits = {name[len(found)] for name in self.folders(found)}
            yield from (f"{found}{digit}" for digit in sorted(digits & DIGITS))

    def folders(self, inside: str = "") -> "Iterator[str]":
        """Name the folders directly inside one, each with its slash at the end, as that one has to be given."""
        with self._translated():
            found = self._container().walk_blobs(name_starts_with=inside or None, delimiter="/")
            yield from (str(one.name) for one in found if str(one.name).endswith("/"))

    def whole(self, project: str, iteration: str) -> bool:
        """Tell whether an iteration is backed up: some model of it is whole, and none of it is still being copied."""
        found = tuple(self.list(project, iteration))
        return bool(found) and all(one.is_whole for one in found)

    def delete(self, folder: str) -> bool:
        """Delete a backup, its manifest first: what is half deleted is not taken for whole. False: there was none.

        A backup of another content in a folder below it stays.
        """
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        with self._translated("same"):
            names = {
                name
                for name in self._container().list_blob_names(name_starts_with=f"{folder}/")
                if "/" not in name.removeprefix(f"{folder}/")
            }
            for name in sorted(names, key=lambda one: (one != f"{folder}/{MANIFEST}", one)):
                try:
                    self._container().delete_blob(name, delete_snapshots="include")
                except ResourceNotFoundError:
                    continue
                except HttpResponseError as problem:
                    if str(getattr(problem, "error_code", "")) in FIXED:
                        raise PermanentError(
                            f"a policy of {self.what} keeps {name}", remedy="wait until it is over, or lift it"
                        ) from None
                    raise
        return bool(names)

    # -- clients ------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Raise where the container is not there or may not be read; nothing of it is read, and no blob need be there.

        Whether it may be written shows when it is.
        """
        from azure.core.exceptions import ResourceNotFoundError

        with self._translated():
            try:
                self._container().get_blob_client(MANIFEST).get_blob_properties()
            except ResourceNotFoundError as problem:
                if getattr(problem, "error_code", "") == NO_CONTAINER:
                    raise

    @contextmanager
    def container(self, effect: Effect = "read") -> "Iterator[ContainerClient]":
        """Give the client of the container, for who keeps other things there; its exceptions become ours."""
        with self._translated(effect):
            yield self._container()

    def _blob(self, folder: str, name: str) -> "BlobClient":
        return self._container().get_blob_client(f"{folder}/{name}")

    @contextmanager
    def _translated(self, effect: Effect = "read") -> Iterator[None]:
        """Raise the SDK's exceptions as ours, and say so where the whole container is missing."""
        try:
            with translated(self.what, effect):
                yield
        except PermanentError as problem:
            if NO_CONTAINER not in problem.reason:
                raise
            name = self._container().container_name
            raise PermanentError(
                f"{self.what} has no container {name}", remedy="create it, or name another one"
            ) from None


def no_manifest(folder: str, problem: ValidationError) -> PermanentError:
    """Say what is wrong with a manifest, and nothing of what is in it."""
    first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
    where = "".join(f"{key}: " for key in first["loc"])
    why = tidy(where + first["msg"].removeprefix("Value error, "))
    return PermanentError(f"{folder}/{MANIFEST} is not a manifest ({why})", remedy="move it away and replay")


def md5_of(found: "BlobProperties") -> str:
    """Give the MD5 of a blob in hex, "" where storage does not know it."""
    md5 = found.content_settings.content_md5
    return bytes(md5).hex() if md5 else ""
