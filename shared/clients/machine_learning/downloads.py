"""Files on their way out of a workspace's own storage: what a job wrote."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from shared.clients.machine_learning.containers import Containers
from shared.clients.machine_learning.workspaces import Datastore, Workspaces
from shared.errors import PermanentError
from shared.redaction import tidy
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

PLACE = re.compile(
    r"(?:azureml:/*|/)(?:subscriptions/.+?/)?datastores/(?P<store>[^/]+)/paths/(?P<path>.+)", re.IGNORECASE
)


class Downloads:
    """Downloads files and folders."""

    def __init__(self, workspaces: Workspaces, containers: Containers) -> None:
        self._workspaces = workspaces
        self._containers = containers

    def download(self, workspace: str, uri: str, to: Path) -> Iterator[tuple[Path, int]]:
        """Write the blob at `uri`, or those below it, into a folder, and give each file and its size.

        PermanentError where nothing is there, or it is not on the workspace's default datastore; FileExistsError where
        a file is there already.
        """
        store = self._workspaces.default_datastore(workspace)
        path = _path_in(store, uri)
        with self._containers.of(store) as container:
            with translated("Storage"):
                names = [name for name in container.list_blob_names(name_starts_with=path) if _is_below(name, path)]
            if not names:
                raise PermanentError(f"there is nothing at {tidy(uri)}", remedy="look at the job in the studio")
            for name in names:
                target = _target(name, path, to)
                yield target, _write(container, name, target)


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
