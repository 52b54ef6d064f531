"""Our own versioned store of Language projects, in the blob container of the backups.

    language/{host}/{project}/{version}/deployed-{label}.json   what a deployed model was trained from
                                       /working_copy.json       what is being labelled
                                       /secondary.json          what an edited replica held before it was replaced
                                       /primary.json            the same of a primary, before another was brought back
                                       /manifest.json           written last: where it is, the version is whole

Each file is what the service exported, byte for byte, so that it can be imported as it is. A whole version never
changes; content that is kept already is not kept again.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import PermanentError
from shared.events import canonical, digest
from shared.language_content import fingerprint
from shared.replicas import Follow, Options
from shared.storage.backups import MANIFEST
from shared.storage.backups.store import no_manifest
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

    from shared.settings import Settings
    from shared.storage.account import Account

ROOT = "language"
WORKING_COPY = "working_copy.json"
SECONDARY = "secondary.json"
HOLDS, IDENTITY = "holds", "identity"
"""What is noted beside a file: the hash of its content; and beside a manifest: what makes the version this one."""


def file_of(label: str) -> str:
    """Name the file of a model's snapshot, "" for the working copy."""
    return f"deployed-{quote(label, safe='')}.json" if label else WORKING_COPY


class File(BaseModel):
    """A file of a version."""

    model_config = ConfigDict(frozen=True)

    size: int = Field(ge=0)
    sha256: str
    """Hex, of the bytes."""
    holds: str
    """`shared.language_content.fingerprint` of it."""


class LanguageManifest(BaseModel):
    """What a version is: written last, so its presence means that the version is whole."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    version: str
    """Its folder's name."""
    host: str
    project: str
    language: str
    multilingual: bool
    files: Mapping[str, File]
    models: Mapping[str, str]
    """Label to the id of the deployed model, as it was."""
    deployments: Mapping[str, str]
    """Deployment to the label of what it served; those that the rules file names."""
    follow: Follow
    training: Options
    modified: datetime | None
    """When the source was changed last."""
    taken: datetime

    @property
    def identity(self) -> str:
        """Hash what makes it this version: what its files hold, what served what, and how it is trained."""
        holds = {name: file.holds for name, file in self.files.items()}
        parts = (holds, dict(self.deployments), self.follow, self.training.model_dump())
        return digest(*(canonical(part) for part in parts))

    def file_for(self, label: str) -> str:
        """Name the file that a model of a label was trained from, "" where none is kept."""
        name = WORKING_COPY if self.follow == "working_copy" else file_of(label)
        return name if name in self.files else ""


@dataclass(frozen=True, slots=True)
class Version:
    """A version, as the listing tells of it."""

    name: str
    is_whole: bool
    identity: str
    size: int
    written: datetime


class LanguageBackups:
    """The store. A host is in lower case; a project's name as the service has it."""

    def __init__(self, account: "Account", settings: "Settings") -> None:
        self._account = account
        self._name = settings.backup_container

    # -- keeping ------------------------------------------------------------------------------------------------------

    def keep(self, host: str, project: str, version: str, name: str, content: bytes) -> File:
        """Write a file of a version that is not whole yet, in place of what a try before left there."""
        file = File(size=len(content), sha256=hashlib.sha256(content).hexdigest(), holds=fingerprint(content))
        if self.manifest(host, project, version) is None:
            path = f"{folder(host, project)}/{version}/{name}"
            self._upload(path, content, {HOLDS: file.holds}, overwrite=True)
        return file

    def finish(self, manifest: LanguageManifest, *, again: bool = False) -> str:
        """Write a version's manifest, and give the version's name: that of an older one where that is the same.

        The files of ours are deleted then; with `again` they are kept nevertheless. An older one counts only where each
        of its files can be read: else ours is kept, so that what was lost is there again.
        """
        host, project, ours = manifest.host, manifest.project, manifest.version
        same = (one.name for one in self.versions(host, project) if one.is_whole and one.identity == manifest.identity)
        others = (name for name in same if name != ours)
        older = "" if again else next((name for name in others if self.is_sound(host, project, name)), "")
        if older:
            self.discard(host, project, ours)
            return older
        text = manifest.model_dump_json(indent=2).encode()
        self._upload(f"{folder(host, project)}/{ours}/{MANIFEST}", text, {IDENTITY: manifest.identity}, overwrite=False)
        return ours

    def is_sound(self, host: str, project: str, version: str) -> bool:
        """Tell whether a version's manifest and all its files can be read, and are what was kept.

        In the archive tier a version is whole, and its contents count as kept; but nobody can bring it back within
        hours, and no replication can read it, so it does not stand in for one that is new.
        """
        try:
            manifest = self.manifest(host, project, version)
            if manifest is None:
                return False
            for name in manifest.files:
                self.read(manifest, name)
        except PermanentError:
            return False
        return True

    def discard(self, host: str, project: str, version: str) -> None:
        """Delete the files of a version that never became whole; a whole one is left."""
        from azure.core.exceptions import ResourceNotFoundError

        if self.manifest(host, project, version) is not None:
            return
        with translated("Storage", "same"):
            for blob in self._blobs(f"{folder(host, project)}/{version}/"):
                try:
                    self._container.delete_blob(blob.name)
                except ResourceNotFoundError:
                    continue

    # -- what is kept -------------------------------------------------------------------------------------------------

    def projects(self) -> list[tuple[str, str]]:
        """List the projects of which anything is kept, each by its host and name."""
        with translated("Storage"):
            places = {tuple(str(blob.name).split("/")[1:3]) for blob in self._blobs(f"{ROOT}/")}
        return sorted((host, unquote(project)) for host, project in places)

    def versions(self, host: str, project: str) -> list[Version]:
        """List the versions of a project, the newest first."""
        prefix = f"{folder(host, project)}/"
        files: dict[str, dict[str, Any]] = {}
        with translated("Storage"):
            for blob in self._blobs(prefix):
                version, _, name = str(blob.name).removeprefix(prefix).partition("/")
                files.setdefault(version, {})[name] = blob
        return [_version(name, files[name]) for name in sorted(files, reverse=True)]

    def hashes(self, host: str, project: str) -> frozenset[str]:
        """Give the hash of each content of a project that is kept in a whole version."""
        prefix = f"{folder(host, project)}/"
        with translated("Storage"):
            blobs = list(self._blobs(prefix))
        whole = {str(blob.name).rpartition("/")[0] for blob in blobs if str(blob.name).endswith(f"/{MANIFEST}")}
        kept = (blob for blob in blobs if str(blob.name).rpartition("/")[0] in whole)
        return frozenset(blob.metadata[HOLDS] for blob in kept if blob.metadata and HOLDS in blob.metadata)

    def manifest(self, host: str, project: str, version: str) -> LanguageManifest | None:
        """Read a version's manifest; None where the version is not whole.

        Where it lies now is what counts: somebody may have copied it.
        """
        place = f"{folder(host, project)}/{version}"
        text = self._download(f"{place}/{MANIFEST}")
        if text is None:
            return None
        try:
            found = LanguageManifest.model_validate_json(text)
        except ValidationError as problem:
            raise no_manifest(place, problem) from None
        return found.model_copy(update={"host": host.lower(), "version": version})

    def read(self, manifest: LanguageManifest, name: str) -> bytes:
        """Read a file of a whole version; PermanentError where it is gone, or not what was kept."""
        path = f"{folder(manifest.host, manifest.project)}/{manifest.version}/{name}"
        remedy = "take another version: `reactor language backups` lists them"
        content = self._download(path)
        if content is None:
            raise PermanentError(f"the backup {path} is gone", remedy=remedy)
        if hashlib.sha256(content).hexdigest() != manifest.files[name].sha256:
            raise PermanentError(f"the backup {path} is not what was kept", remedy=remedy)
        return content

    # -- blobs --------------------------------------------------------------------------------------------------------

    def _download(self, path: str) -> bytes | None:
        """Read a blob, None where there is none; PermanentError where it lies in the archive tier."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            with translated("Storage"):
                try:
                    return bytes(self._blob(path).download_blob().readall())
                except ResourceNotFoundError:
                    return None
        except PermanentError as problem:
            words = f"the backup {path} cannot be read: {problem.reason}"
            raise PermanentError(words, remedy=problem.remedy, code=problem.code) from None

    def _upload(self, path: str, content: bytes, noted: Mapping[str, str], *, overwrite: bool) -> None:
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.blob import ContentSettings

        kind = ContentSettings(content_type="application/json")
        with translated("Storage", "same"):
            try:
                self._blob(path).upload_blob(content, overwrite=overwrite, metadata=dict(noted), content_settings=kind)
            except ResourceExistsError:
                return

    def _blobs(self, prefix: str) -> Iterable[Any]:
        return self._container.list_blobs(name_starts_with=prefix, include=["metadata"])

    @property
    def _container(self) -> "ContainerClient":
        return self._account.blobs.get_container_client(self._name)

    def _blob(self, path: str) -> "BlobClient":
        return self._account.blobs.get_blob_client(self._name, path)


def folder(host: str, project: str) -> str:
    """Name the folder of a project.

    >>> folder("Mail-WE.cognitiveservices.azure.com", "EmailApp")
    'language/mail-we.cognitiveservices.azure.com/EmailApp'
    """
    return f"{ROOT}/{host.lower()}/{quote(project, safe='')}"


def _version(name: str, files: Mapping[str, Any]) -> Version:
    last = files.get(MANIFEST) or max(files.values(), key=lambda blob: blob.last_modified)
    noted = (files[MANIFEST].metadata or {}) if MANIFEST in files else {}
    return Version(
        name=name,
        is_whole=MANIFEST in files,
        identity=noted.get(IDENTITY, ""),
        size=sum(blob.size for blob in files.values()),
        written=last.last_modified,
    )
