"""The containers behind datastores, as uploads and downloads open them.

With a SAS of the datastore's own that lasts an hour; where the datastore has no credentials, with a token of ours.
https://learn.microsoft.com/azure/machine-learning/how-to-datastore
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field

from shared.answers import host_of
from shared.clients.machine_learning.data_plane import DataPlane
from shared.clients.machine_learning.resources import Arm, Read
from shared.clients.machine_learning.workspaces import LOOPBACK, Datastore
from shared.errors import PermanentError
from shared.storage.account import BLOBS

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.storage.blob import ContainerClient

SUFFIXES = (".blob.core.windows.net", ".blob.core.usgovcloudapi.net", ".blob.core.chinacloudapi.cn")
"""Azure's own blob hosts; a token of ours goes nowhere else, but for the hosts of REACTOR_ML_HOSTS."""


class _Secrets(Read):
    sas_token: str = Field(default="", repr=False)
    key: str = Field(default="", repr=False)


class Containers:
    """Opens containers."""

    def __init__(self, arm: Arm, data_plane: DataPlane, credential: "Callable[[], TokenCredential]") -> None:
        self._arm = arm
        self._data_plane = data_plane
        self._credential = credential

    def of(self, store: Datastore) -> "ContainerClient":
        """Open the container of a datastore.

        https://learn.microsoft.com/rest/api/azureml/datastores/list-secrets
        """
        if store.credentials == "None":
            return _opened(self._ours(store.url), self._credential())
        url = self._arm.url(store.id, "/listSecrets")
        wanted = {"expirableSecret": True, "expireAfterHours": 1}
        secret = self._arm.rest.send("POST", url, body=wanted).read(_Secrets)
        if not (secret.sas_token or secret.key):
            raise PermanentError(f"the datastore {store.name} tells no secret", remedy="make another one the default")
        return _opened(_private(store.url), secret.sas_token or _keyed(store.account, secret.key))

    def signed(self, url: str) -> "ContainerClient":
        """Open a container by a URL with a SAS in it."""
        return _opened(_private(url))

    def _ours(self, url: str) -> str:
        """Return the URL; PermanentError where it is none that a token of ours may be sent to."""
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.netloc.lower().endswith(SUFFIXES):
            return url
        return self._data_plane.checked(url)


def _opened(url: str, credential: Any = None) -> "ContainerClient":
    from azure.storage.blob import ContainerClient

    return ContainerClient.from_container_url(url, credential, **BLOBS)


def _keyed(account: str, key: str) -> dict[str, str]:
    return {"account_name": account, "account_key": key}


def _private(url: str) -> str:
    """Return a URL that a secret may travel to: by https, or to the emulator on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or LOOPBACK.fullmatch(parts.netloc):
        return url
    raise PermanentError(f"storage at {host_of(url)} must be reached by https", remedy="correct the datastore")
