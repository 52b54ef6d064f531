"""Files on their way into a workspace's own storage.

Code goes up as the service offers it: it makes a container and a SAS for just that, so no role on the storage is
needed. Anything else goes to the default datastore, with a SAS of its own that lasts an hour; where the datastore has
no credentials, with a token of ours.
https://learn.microsoft.com/rest/api/azureml/code-versions/create-or-get-start-pending-upload
https://learn.microsoft.com/azure/machine-learning/how-to-datastore
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field

from shared.answers import host_of
from shared.clients.machine_learning.assets import Assets
from shared.clients.machine_learning.data_plane import DataPlane
from shared.clients.machine_learning.resources import Arm, Read
from shared.clients.machine_learning.workspaces import LOOPBACK, Datastore, Workspaces
from shared.clients.rest import segment
from shared.errors import PermanentError
from shared.redaction import tidy
from shared.storage.account import BLOBS
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.storage.blob import ContainerClient

SUFFIXES = (".blob.core.windows.net", ".blob.core.usgovcloudapi.net", ".blob.core.chinacloudapi.cn")
"""Azure's own blob hosts; a token of ours goes nowhere else, but for the hosts of REACTOR_ML_HOSTS."""


class _Sas(Read):
    sas_uri: str = Field(repr=False)


class _Blobs(Read):
    blob_uri: str
    credential: _Sas


class _Pending(Read):
    blob_reference_for_consumption: _Blobs


class _Secrets(Read):
    sas_token: str = Field(default="", repr=False)
    key: str = Field(default="", repr=False)


class Uploads:
    """Uploads files and folders."""

    def __init__(
        self,
        arm: Arm,
        workspaces: Workspaces,
        assets: Assets,
        data_plane: DataPlane,
        credential: "Callable[[], TokenCredential]",
    ) -> None:
        self._arm = arm
        self._workspaces = workspaces
        self._assets = assets
        self._data_plane = data_plane
        self._credential = credential

    def upload(self, workspace: str, source: Path, to: str) -> str:
        """Upload a file as the blob `to`, or a folder's files below it, and return the URL of that.

        What is there under the same names is replaced.
        """
        if any(part in ("", ".", "..") for part in to.split("/")) or "\\" in to:
            raise PermanentError(f'"{tidy(to)}" is no path in a datastore', remedy="correct the path")
        files = list(_files(source))
        store = self._workspaces.default_datastore(workspace)
        with self._container(store) as container:
            for file in files:
                _write(container, file, to if file == source else f"{to}/{file.relative_to(source).as_posix()}")
        return store.blob_uri(to)

    def code(self, workspace: str, name: str, version: str, folder: Path) -> str:
        """Upload a folder, register it as a version of code and return its id.

        Where the version is there already, nothing is uploaded: each upload has a place of its own, and a version
        can never point to another one.
        """
        if found := self._assets.code_id(workspace, name, version):
            return found
        files = list(_files(folder))
        path = f"/codes/{segment(name)}/versions/{segment(version)}/startPendingUpload"
        url, asked = self._arm.url(workspace, path), {"pendingUploadType": "TemporaryBlobReference"}
        answer = self._arm.rest.send("POST", url, body=asked, effect="same")
        place = answer.read(_Pending).blob_reference_for_consumption
        from azure.storage.blob import ContainerClient

        with ContainerClient.from_container_url(_private(place.credential.sas_uri), **BLOBS) as container:
            for file in files:
                _write(container, file, file.name if file == folder else file.relative_to(folder).as_posix())
        return self._assets.code(workspace, name, version, place.blob_uri)

    def _container(self, store: Datastore) -> "ContainerClient":
        from azure.storage.blob import ContainerClient

        if store.credentials == "None":
            return ContainerClient.from_container_url(self._ours(store.url), self._credential(), **BLOBS)
        url = self._arm.url(store.id, "/listSecrets")
        wanted = {"expirableSecret": True, "expireAfterHours": 1}
        secret = self._arm.rest.send("POST", url, body=wanted).read(_Secrets)
        if not (secret.sas_token or secret.key):
            raise PermanentError(f"the datastore {store.name} tells no secret", remedy="make another one the default")
        credential: Any = secret.sas_token or {"account_name": store.account, "account_key": secret.key}
        return ContainerClient.from_container_url(_private(store.url), credential, **BLOBS)

    def _ours(self, url: str) -> str:
        """Return the URL; PermanentError where it is none that a token of ours may be sent to."""
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.netloc.lower().endswith(SUFFIXES):
            return url
        return self._data_plane.checked(url)


def _private(url: str) -> str:
    """Return a URL that a secret may travel to: by https, or to the emulator on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or LOOPBACK.fullmatch(parts.netloc):
        return url
    raise PermanentError(f"storage at {host_of(url)} must be reached by https", remedy="correct the datastore")


def _files(source: Path) -> Iterator[Path]:
    """List the files to upload; PermanentError where there is none."""
    found = [source] if source.is_file() else sorted(one for one in source.rglob("*") if one.is_file())
    if not found:
        raise PermanentError(f"there is nothing to upload in {tidy(str(source))}", remedy="name a file or a folder")
    yield from found


def _write(container: "ContainerClient", file: Path, name: str) -> None:
    with translated("Storage", "same"), file.open("rb") as content:
        container.upload_blob(name, content, overwrite=True)
