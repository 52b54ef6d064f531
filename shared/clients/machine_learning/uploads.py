"""Files on their way into a workspace's own storage.

Code goes up as the service offers it: it makes a container and a SAS for just that, so no role on the storage is
needed. Anything else goes to the default datastore.
https://learn.microsoft.com/rest/api/azureml/code-versions/create-or-get-start-pending-upload
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from shared.clients.machine_learning.assets import Assets
from shared.clients.machine_learning.containers import Containers
from shared.clients.machine_learning.resources import Arm, Read
from shared.clients.machine_learning.workspaces import Workspaces
from shared.clients.rest import segment
from shared.errors import PermanentError
from shared.redaction import tidy
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


class _Sas(Read):
    sas_uri: str = Field(repr=False)


class _Blobs(Read):
    blob_uri: str
    credential: _Sas


class _Pending(Read):
    blob_reference_for_consumption: _Blobs


class Uploads:
    """Uploads files and folders."""

    def __init__(self, arm: Arm, workspaces: Workspaces, assets: Assets, containers: Containers) -> None:
        self._arm = arm
        self._workspaces = workspaces
        self._assets = assets
        self._containers = containers

    def upload(self, workspace: str, source: Path, to: str) -> str:
        """Upload a file as the blob `to`, or a folder's files below it, and return where that is: azureml://….

        What is there under the same names is replaced.
        """
        if any(part in ("", ".", "..") for part in to.split("/")) or "\\" in to:
            raise PermanentError(f'"{tidy(to)}" is no path in a datastore', remedy="correct the path")
        files = list(_files(source))
        store = self._workspaces.default_datastore(workspace)
        with self._containers.of(store) as container:
            for file in files:
                _write(container, file, to if file == source else f"{to}/{file.relative_to(source).as_posix()}")
        return store.uri(to)

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
        with self._containers.signed(place.credential.sas_uri) as container:
            for file in files:
                _write(container, file, file.name if file == folder else file.relative_to(folder).as_posix())
        return self._assets.code(workspace, name, version, place.blob_uri)


def _files(source: Path) -> Iterator[Path]:
    """List the files to upload; PermanentError where there is none."""
    found = [source] if source.is_file() else sorted(one for one in source.rglob("*") if one.is_file())
    if not found:
        raise PermanentError(f"there is nothing to upload in {tidy(str(source))}", remedy="name a file or a folder")
    yield from found


def _write(container: "ContainerClient", file: Path, name: str) -> None:
    with translated("Storage", "same"), file.open("rb") as content:
        container.upload_blob(name, content, overwrite=True)
