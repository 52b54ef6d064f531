"""Our own versioned store of exported models, in one blob container of the app's account.

    {project}/{iteration}/{platform}/{flavor}/model.zip      copied server to server, never through the app
                                             /manifest.json  written last: where it is, the copy is whole

A blob's source is never logged or kept with its query: a SAS is a secret.
https://learn.microsoft.com/rest/api/storageservices/copy-blob
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.answers import host_of
from shared.errors import PermanentError, TemporaryError
from shared.redaction import tidy
from shared.settings import Settings
from shared.storage.account import BLOBS
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.storage.blob import BlobClient, BlobProperties, ContainerClient

    from shared.storage.account import Account

CHUNK = 64 * 1024 * 1024
"""Bytes under one SHA-256."""
SAS_LIFE = timedelta(hours=6)
"""How long a SAS that we make for a copy lasts; the copy of a model takes minutes."""
MODEL = "model.zip"
MANIFEST = "manifest.json"
_NETLOC = re.compile(r"[A-Za-z0-9.-]+(?::\d+)?")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a blob may be read: in a declared container, or by a URL that carries its own SAS."""

    url: str = field(repr=False)
    declared: bool
    """Only a declared place ever sees our token."""


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
    size: int
    md5: str | None
    """Hex; None where the source was uploaded in blocks."""
    chunk: int = CHUNK
    sha256: tuple[str, ...]
    """Hex, of each `chunk` bytes in order; for a model below that size it is the file's own."""
    copied: datetime | None
    written: datetime


class Backups:
    """The store. Folders are paths below the container, without a slash at either end."""

    def __init__(self, account: "Account", settings: Settings, credential: "Callable[[], TokenCredential]") -> None:
        self._account = account
        self._container = settings.backup_container
        self._hosts = settings.vision_blob_hosts
        self._credential = credential

    # -- sources ------------------------------------------------------------------------------------------------------

    def by_sas(self, url: str) -> Origin:
        """Accept a URL that carries its own SAS; PermanentError where its host is not Custom Vision's."""
        if not (self._is_safe(url) and self._is_vision(url)):
            raise PermanentError(
                f"a model is not copied from {host_of(url)}",
                remedy="declare the project's container, or add the host to REACTOR_VISION_BLOB_HOSTS",
            )
        return Origin(url, declared=False)

    def _is_vision(self, url: str) -> bool:
        """Tell whether a URL's host is one of those that Custom Vision keeps its blobs on."""
        parts = urlsplit(url)
        names = {(parts.hostname or "").lower(), parts.netloc.lower()}
        fits = any(fnmatchcase(name, pattern.lower()) for name in names for pattern in self._hosts)
        return fits and bool(_NETLOC.fullmatch(parts.netloc))

    def _is_safe(self, url: str) -> bool:
        """Tell whether a URL is https. Where our own account is not, which only the emulator's is, its host may be so.

        A URL that cannot be read is not safe.
        """
        try:
            parts, own = urlsplit(url), urlsplit(self._account.blobs.url)
        except ValueError:
            return False
        return parts.scheme == "https" or (parts.scheme, parts.netloc) == (own.scheme, own.netloc)

    def find_in_container(self, container: str, prefix: str) -> Iterator[tuple[str, Origin]]:
        """List the blobs of a declared container whose names begin with `prefix`."""
        with translated("the declared container"):
            for name in self._container_client(container).list_blob_names(name_starts_with=prefix):
                base, _, query = container.partition("?")
                url = f"{base.rstrip('/')}/{quote(name)}" + (f"?{query}" if query else "")
                yield name, Origin(url, declared=True)

    def look(self, origin: Origin) -> Blob | None:
        """Read what a source blob says of itself; None where it is gone."""
        from azure.core.exceptions import ResourceNotFoundError

        with translated(host_of(origin.url)):
            try:
                found = self._source_client(origin).get_blob_properties()
            except ResourceNotFoundError:
                return None
        return Blob(found.size, found.etag.strip('"'), _md5(found), found.last_modified)

    # -- copies -------------------------------------------------------------------------------------------------------

    def start_copy(self, folder: str, origin: Origin, etag: str) -> Copy:
        """Ask storage to copy a model into a folder, replacing what an unfinished attempt left there.

        TemporaryError where the source is not the blob of that ETag any more.
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError

        with translated("Storage", "same"):
            try:
                self._model(folder).start_copy_from_url(
                    self._readable(origin),
                    source_etag=f'"{etag}"',
                    source_match_condition=MatchConditions.IfNotModified,
                    retry_total=0,
                )
            except ResourceModifiedError:
                raise TemporaryError("the model was exported again since it was listed") from None
        copy = self.copy(folder)
        if copy is None:
            raise TemporaryError("the copy cannot be seen yet", after=1)
        return copy

    def copy(self, folder: str) -> Copy | None:
        """Look how the copy into a folder is doing; None where none was ever started."""
        from azure.core.exceptions import ResourceNotFoundError

        with translated("Storage"):
            try:
                found = self._model(folder).get_blob_properties()
            except ResourceNotFoundError:
                return None
        copy = found.copy
        return Copy(
            state=tidy(copy.status or "success"),
            size=found.size,
            md5=_md5(found),
            progress=copy.progress or "",
            problem=tidy(copy.status_description or ""),
            finished=copy.completion_time if isinstance(copy.completion_time, datetime) else None,
        )

    def sha256(self, folder: str, chunk: int) -> str:
        """Hash the chunk of that number (from 0) of a model; never more than a few MiB are in memory."""
        digest = hashlib.sha256()
        with translated("Storage"):
            for piece in self._model(folder).download_blob(chunk * CHUNK, CHUNK, max_concurrency=1).chunks():
                digest.update(piece)
        return digest.hexdigest()

    def url(self, folder: str) -> str:
        """Give the URL of the model in a folder, without a SAS: who reads it there needs a role for that."""
        return self._model(folder).url.partition("?")[0]

    # -- manifests ----------------------------------------------------------------------------------------------------

    def manifest(self, folder: str) -> Manifest | None:
        """Read a backup's manifest; None where the backup is not whole."""
        from azure.core.exceptions import ResourceNotFoundError

        with translated("Storage"):
            try:
                text = self._blob(folder, MANIFEST).download_blob().readall()
            except ResourceNotFoundError:
                return None
        try:
            return Manifest.model_validate_json(text)
        except ValidationError:
            raise PermanentError(f"{folder}/{MANIFEST} is not a manifest", remedy="move it away and replay") from None

    def write_manifest(self, folder: str, manifest: Manifest) -> None:
        """Write a manifest unless there is one: what is kept is never overwritten."""
        from azure.core.exceptions import ResourceExistsError

        with translated("Storage", "same"):
            try:
                self._blob(folder, MANIFEST).upload_blob(
                    manifest.model_dump_json(indent=2).encode(), overwrite=False, content_settings=_json()
                )
            except ResourceExistsError:
                return

    # -- clients ------------------------------------------------------------------------------------------------------

    def _model(self, folder: str) -> "BlobClient":
        return self._blob(folder, MODEL)

    def _blob(self, folder: str, name: str) -> "BlobClient":
        return self._account.blobs.get_blob_client(self._container, f"{folder}/{name}")

    def _own_path(self, url: str) -> str | None:
        """Return what follows our own account's URL; None where a URL is elsewhere."""
        path = url.removeprefix(self._account.blobs.url.rstrip("/") + "/")
        return None if path == url else unquote(path.partition("?")[0].rstrip("/"))

    def _container_client(self, url: str) -> "ContainerClient":
        from azure.storage.blob import ContainerClient

        if (own := self._own_path(url)) is not None:
            return self._account.blobs.get_container_client(own)
        self._refuse_unsafe(url)
        return ContainerClient.from_container_url(url, None if _has_sas(url) else self._credential(), **BLOBS)

    def _source_client(self, origin: Origin) -> "BlobClient":
        from azure.storage.blob import BlobClient

        if origin.declared and (own := self._own_path(origin.url)) is not None:
            container, _, name = own.partition("/")
            return self._account.blobs.get_blob_client(container, name)
        self._refuse_unsafe(origin.url)
        needs_token = origin.declared and not _has_sas(origin.url)
        return BlobClient.from_blob_url(origin.url, self._credential() if needs_token else None, **BLOBS)

    def _refuse_unsafe(self, url: str) -> None:
        if not self._is_safe(url):
            raise PermanentError(f"storage at {host_of(url)} must be reached by https", remedy="use the https URL")

    def _readable(self, origin: Origin) -> str:
        """Return the URL by which storage itself can read a source: as it is, or with a SAS of our identity's making.

        https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas
        """
        if not origin.declared or _has_sas(origin.url) or self._own_path(origin.url) is not None:
            return origin.url
        from datetime import UTC

        from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas

        source = self._source_client(origin)
        expiry = datetime.now(UTC) + SAS_LIFE
        service = BlobServiceClient(origin.url.split("/" + source.container_name)[0], self._credential(), **BLOBS)
        key = service.get_user_delegation_key(datetime.now(UTC) - timedelta(minutes=15), expiry)
        query = generate_blob_sas(
            account_name=str(source.account_name),
            container_name=source.container_name,
            blob_name=source.blob_name,
            user_delegation_key=key,
            permission=BlobSasPermissions(read=True),
            expiry=expiry,
        )
        return f"{origin.url}?{query}"


def _has_sas(url: str) -> bool:
    return "sig=" in urlsplit(url).query


def _md5(found: "BlobProperties") -> str:
    md5 = found.content_settings.content_md5
    return bytes(md5).hex() if md5 else ""


def _json() -> Any:
    from azure.storage.blob import ContentSettings

    return ContentSettings(content_type="application/json")
