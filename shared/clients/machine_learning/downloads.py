"""Files on their way out of a workspace's own storage: what a job wrote.

They are read with a SAS of the datastore's own that lasts an hour; where it has no credentials, with a token of ours.
https://learn.microsoft.com/azure/machine-learning/how-to-datastore
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pydantic import Field

from shared.answers import host_of
from shared.clients.machine_learning.data_plane import DataPlane
from shared.clients.machine_learning.resources import Arm, Read
from shared.clients.machine_learning.uploads import SUFFIXES
from shared.clients.machine_learning.workspaces import LOOPBACK, Datastore, Workspaces
from shared.errors import PermanentError
from shared.redaction import tidy
from shared.storage.account import BLOBS
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.storage.blob import ContainerClient

PLACE = re.compile(
    r"(?:azureml:/*|/)(?:subscriptions/.+?/)?datastores/(?P<store>[^/]+)/paths/(?P<path>.+)", re.IGNORECASE
)


class _Secrets(Read):
    sas_token: str = Field(default="", repr=False)
    key: str = Field(default="", repr=False)


class Downloads:
    """Downloads files and folders."""

    def __init__(
        self, arm: Arm, workspaces: Workspaces, data_plane: DataPlane, credential: "Callable[[], TokenCredential]"
    ) -> None:
        self._arm = arm
        self._workspaces = workspaces
        self._data_plane = data_plane
        self._credential = credential

    def download(self, workspace: str, uri: str, to: Path) -> Iterator[tuple[Path, int]]:
        """Write the blob at `uri`, or those below it, into a folder, and give each file and its size.

        PermanentError where nothing is there, or it is not on the workspace's default datastore; FileExistsError where
        a file is there already.
        """
        store = self._workspaces.default_datastore(workspace)
        path = _path_in(store, uri)
        with self._container(store) as container:
            with translated("Storage"):
                names = [name for name in container.list_blob_names(name_starts_with=path) if _is_below(name, path)]
            if not names:
                raise PermanentError(f"there is nothing at {tidy(uri)}", remedy="look at the job in the studio")
            for name in names:
                target = _target(name, path, to)
                yield target, _write(container, name, target)

    def _container(self, store: Datastore) -> "ContainerClient":
        from azure.storage.blob import ContainerClient

        parts = urlsplit(store.url)
        if store.credentials == "None":
            is_azures = parts.scheme == "https" and parts.netloc.lower().endswith(SUFFIXES)
            url = store.url if is_azures else self._data_plane.checked(store.url)
            return ContainerClient.from_container_url(url, self._credential(), **BLOBS)
        if parts.scheme != "https" and not LOOPBACK.fullmatch(parts.netloc):
            raise PermanentError(f"storage at {host_of(store.url)} must be reached by https", remedy="correct it")
        wanted = {"expirableSecret": True, "expireAfterHours": 1}
        answer = self._arm.rest.send("POST", self._arm.url(store.id, "/listSecrets"), body=wanted)
        secret = answer.read(_Secrets)
        credential: Any = secret.sas_token or {"account_name": store.account, "account_key": secret.key}
        return ContainerClient.from_container_url(store.url, credential, **BLOBS)


def _path_in(store: Datastore, uri: str) -> str:
    """Give the path on a datastore that a URI means; PermanentError where it is elsewhere."""
    if found := PLACE.fullmatch(uri):
        if found["store"].lower() == store.name.lower():
            return found["path"].strip("/")
    elif uri.lower().startswith(f"{store.url.lower()}/"):
        return unquote(uri[len(store.url) + 1 :].split("?", maxsplit=1)[0]).strip("/")
    raise PermanentError(
        f"{tidy(uri)} is not on the workspace's default datastore {store.name}",
        remedy="fetch it with `az storage blob`",
    )


def _is_below(name: str, path: str) -> bool:
    return name == path or name.startswith(f"{path}/")


def _target(name: str, path: str, to: Path) -> Path:
    """Say where a blob is written to; PermanentError where its name leads elsewhere."""
    inner = PurePosixPath(name).name if name == path else name[len(path) + 1 :]
    if "\\" in inner or any(part in ("", ".", "..") for part in inner.split("/")):
        raise PermanentError(f"{tidy(name)} is no name for a file here", remedy="fetch it with `az storage blob`")
    return to / inner


def _write(container: "ContainerClient", name: str, target: Path) -> int:
    """Write a blob into a file, which appears once it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    if target.exists():
        raise FileExistsError(17, "File exists", str(target))
    try:
        with translated("Storage"), partial.open("wb") as file:
            size = container.download_blob(name).readinto(file)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    return size
