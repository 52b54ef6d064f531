"""Our own versioned store of exported models, in one blob container of the app's account, and maybe in a second one.

    {project}/{iteration}/{platform}/{flavor}/model.zip      copied server to server, never through the app
                                             /manifest.json  written last: where it is, the copy is whole

A blob's source is never logged or kept with its query: a SAS is a secret.
https://learn.microsoft.com/rest/api/storageservices/copy-blob
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from shared.answers import host_of
from shared.errors import PermanentError
from shared.settings import Settings
from shared.storage.backups.listing import Backup
from shared.storage.backups.manifests import CHUNK, MANIFEST, MODEL, About, Domain, Manifest, TagMeasured
from shared.storage.backups.origins import Origin, Origins, named
from shared.storage.backups.store import Blob, Copy, Store, md5_of
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.storage.account import Account

__all__ = [
    "CHUNK",
    "MANIFEST",
    "MODEL",
    "About",
    "Backup",
    "Backups",
    "Blob",
    "Copy",
    "Domain",
    "Manifest",
    "Origin",
    "Store",
    "TagMeasured",
]


class Backups:
    """The app's store, the places that models come from, and other stores that they are brought to."""

    def __init__(self, account: "Account", settings: Settings, credential: "Callable[[], TokenCredential]") -> None:
        self._account = account
        self._container = settings.backup_container
        self._origins = Origins(account, settings.vision_blob_hosts, credential)
        self.own = Store(lambda: account.blobs.get_container_client(self._container), "Storage")
        """The store in the app's own account."""

    def elsewhere(self, url: str, what: str = "the second container") -> Store:
        """Give the store in another container, by its URL: with a SAS, or for our identity.

        PermanentError where it is the app's own, is not https, or its SAS has expired.
        """
        what = f"{what} ({named(url)})"
        container = self._origins.container(url, what)
        own = self._account.blobs.get_container_client(self._container)
        if container.url.partition("?")[0].lower() == own.url.partition("?")[0].lower():
            raise PermanentError(f"{what} is the app's own container of backups", remedy="name another one")
        return Store(lambda: container, what)

    # -- of an iteration, for other steps -----------------------------------------------------------------------------

    def whole(self, project: str, iteration: str) -> bool:
        """Tell whether an iteration is backed up: some model of it is whole, and none of it is still being copied."""
        return self.own.whole(project, iteration)

    def manifest(self, folder: str) -> Manifest | None:
        """Read a backup's manifest; None where the backup is not whole."""
        return self.own.manifest(folder)

    def url(self, folder: str) -> str:
        """Give the URL of the model in a folder, without a SAS: who reads it there needs a role for that."""
        return self.own.url(folder)

    # -- sources ------------------------------------------------------------------------------------------------------

    def by_sas(self, url: str) -> Origin:
        """Accept a URL that carries its own SAS; PermanentError where its host is not Custom Vision's."""
        return self._origins.by_sas(url)

    def find_in_container(self, container: str, prefix: str) -> Iterator[tuple[str, Origin]]:
        """List the blobs of a declared container whose names begin with `prefix`."""
        with translated("the declared container"):
            found = self._origins.container(container, f"the declared container ({named(container)})")
            for name in found.list_blob_names(name_starts_with=prefix):
                base, _, query = container.partition("?")
                url = f"{base.rstrip('/')}/{quote(name)}" + (f"?{query}" if query else "")
                yield name, Origin(url, declared=True)

    def look(self, origin: Origin) -> Blob | None:
        """Read what a source blob says of itself; None where it is gone."""
        from azure.core.exceptions import ResourceNotFoundError

        with translated(host_of(origin.url)):
            try:
                found = self._origins.blob(origin).get_blob_properties()
            except ResourceNotFoundError:
                return None
        return Blob(found.size, found.etag.strip('"'), md5_of(found), found.last_modified)

    def readable(self, origin: Origin) -> str:
        """Return the URL by which the app's storage can read a source: a secret."""
        return self._origins.readable(origin)

    def signed(self, folder: str, store: Store | None = None, name: str = MODEL) -> str:
        """Return the URL by which any storage can read a blob, by default a model of the app's own store: a secret."""
        return self._origins.signed((store or self.own).blob(folder, name))
