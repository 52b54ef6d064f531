"""Where blobs may be read and written: the app's own account, declared containers, and Custom Vision's own hosts.

A URL's query is a secret: it is never in a message.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from shared.answers import host_of
from shared.errors import PermanentError
from shared.redaction import tidy
from shared.rules.addresses import is_place
from shared.storage.account import BLOBS, PIECE
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.storage.blob import BlobClient, BlobServiceClient, ContainerClient, UserDelegationKey

    from shared.storage.account import Account

SAS_LIFE = timedelta(hours=6)
"""How long a SAS that we make for a copy lasts; the copy of a model takes minutes."""
EARLIER = timedelta(minutes=15)
"""How long ago it begins: clocks differ."""
KEY_AGE = timedelta(minutes=15)
"""How old the key may be that it is signed with: a data set has thousands of images, and each is signed for."""
WRITTEN: dict[str, Any] = BLOBS | {"max_single_put_size": PIECE, "max_block_size": 4 * PIECE}
"""What is written anywhere but in our own account goes in blocks, so that little of it is held."""
_NETLOC = re.compile(r"[A-Za-z0-9.-]+(?::\d+)?")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a blob may be read: in a declared container, or by a URL that carries its own SAS."""

    url: str = field(repr=False)
    declared: bool
    """Only a declared place ever sees our token."""


class Origins:
    """Makes clients of such places, and refuses those that nobody declared."""

    def __init__(self, account: "Account", hosts: tuple[str, ...], credential: "Callable[[], TokenCredential]") -> None:
        self._account = account
        self._hosts = hosts
        self._credential = credential
        self._keys: dict[str, tuple[datetime, UserDelegationKey]] = {}
        """By account: when a key was asked for, and the key."""

    def by_sas(self, url: str) -> Origin:
        """Accept a URL that carries its own SAS; PermanentError where its host is not Custom Vision's."""
        if not (self._is_safe(url) and self._is_vision(url)):
            raise PermanentError(
                f"a model is not copied from {host_of(url)}",
                remedy="declare the project's container, or add the host to REACTOR_VISION_BLOB_HOSTS",
            )
        return Origin(url, declared=False)

    def container(self, url: str, what: str) -> "ContainerClient":
        """Give the container of a URL: by our own connection, by its SAS, or by the app's identity.

        `what` names it for people. PermanentError where it is not https or no container's, or its SAS has expired.
        """
        from azure.storage.blob import ContainerClient

        if (own := self._own_path(url)) and "/" not in own:
            return self._account.blobs.get_container_client(own)
        self._refuse_unsafe(url)
        if own is not None or not is_place(url):
            raise PermanentError(
                f"{what} is not given as a container's URL",
                remedy="give it as https://<account>.blob.core.windows.net/<container>, without a folder",
            )
        _refuse_expired(url, what)
        return ContainerClient.from_container_url(url, None if has_sas(url) else self._credential(), **WRITTEN)

    def blob(self, origin: Origin) -> "BlobClient":
        """Give the client of a source blob."""
        from azure.storage.blob import BlobClient

        if origin.declared and (own := self._own_path(origin.url)) is not None:
            container, _, name = own.partition("/")
            return self._account.blobs.get_blob_client(container, name)
        self._refuse_unsafe(origin.url)
        needs_token = origin.declared and not has_sas(origin.url)
        return BlobClient.from_blob_url(origin.url, self._credential() if needs_token else None, **BLOBS)

    def readable(self, origin: Origin) -> str:
        """Return the URL by which our own storage can read a source, where need be with a SAS of our identity's."""
        if not origin.declared or has_sas(origin.url) or self._own_path(origin.url) is not None:
            return origin.url
        blob = self.blob(origin)
        return f"{origin.url}?{self._delegated(blob, origin.url.split('/' + blob.container_name)[0])}"

    def signed(self, blob: "BlobClient") -> str:
        """Return the URL by which any storage can read a blob of a store."""
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        if has_sas(blob.url):
            return str(blob.url)
        key = getattr(blob.credential, "account_key", None)
        if key is None:
            service = self._account.blobs if self._own_path(blob.url) is not None else None
            return f"{blob.url}?{self._delegated(blob, blob.url.split('/' + blob.container_name)[0], service)}"
        query = generate_blob_sas(
            account_name=str(blob.account_name),
            container_name=blob.container_name,
            blob_name=blob.blob_name,
            account_key=key,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + SAS_LIFE,
        )
        return f"{blob.url}?{query}"

    def _delegated(self, blob: "BlobClient", account: str, service: "BlobServiceClient | None" = None) -> str:
        """Make a SAS that reads one blob, signed by an identity; `service` is at hand where the account is our own.

        https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas
        """
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        asked, key = self._key(account, service)
        return generate_blob_sas(
            account_name=str(blob.account_name),
            container_name=blob.container_name,
            blob_name=blob.blob_name,
            user_delegation_key=key,
            permission=BlobSasPermissions(read=True),
            expiry=asked + SAS_LIFE,
        )

    def _key(self, account: str, service: "BlobServiceClient | None") -> "tuple[datetime, UserDelegationKey]":
        """Give an account's key that lasts `SAS_LIFE`, and when it was asked for: one that is young is used again."""
        from azure.storage.blob import BlobServiceClient

        now = datetime.now(UTC)
        found = self._keys.get(account)
        if found is None or found[0] + KEY_AGE < now:
            service = service or BlobServiceClient(account, self._credential(), **BLOBS)
            with translated(host_of(account)):
                found = now, service.get_user_delegation_key(now - EARLIER, now + SAS_LIFE)
            self._keys[account] = found
        return found

    # -- which places -------------------------------------------------------------------------------------------------

    def _own_path(self, url: str) -> str | None:
        """Return what follows our own account's URL; None where a URL is elsewhere."""
        path = url.removeprefix(self._account.blobs.url.partition("?")[0].rstrip("/") + "/")
        return None if path == url else unquote(path.partition("?")[0].rstrip("/"))

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

    def _refuse_unsafe(self, url: str) -> None:
        if not self._is_safe(url):
            raise PermanentError(f"storage at {host_of(url)} must be reached by https", remedy="use the https URL")


def has_sas(url: str) -> bool:
    """Tell whether a URL carries a SAS."""
    return "sig=" in urlsplit(url).query


def _refuse_expired(url: str, what: str) -> None:
    """Refuse a SAS that says itself that it is over: storage's own answer would be taken for a missing role."""
    try:
        expiry = datetime.fromisoformat(parse_qs(urlsplit(url).query)["se"][0])
    except (KeyError, ValueError):
        return
    expiry = expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)
    if expiry <= datetime.now(UTC):
        raise PermanentError(
            f"the SAS of {what} expired at {expiry:%Y-%m-%d %H:%M}Z",
            remedy="put a new one into the setting, or give the app's identity a role there and leave the SAS out",
        )


def named(url: str) -> str:
    """Name a container for people: its host and its path, never its query."""
    return tidy(f"{host_of(url)}{urlsplit(url).path.rstrip('/')}")
