"""Images where Custom Vision keeps them: by links of its own making, to hosts that the settings allow.

No key and no token of ours goes there.
https://learn.microsoft.com/rest/api/customvision/images/list
"""

import re
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.answers import host_of
from shared.clients.rest import Rest
from shared.errors import DeniedError, PermanentError, TemporaryError

if TYPE_CHECKING:
    from shared.settings import Settings

_NETLOC = re.compile(r"[A-Za-z0-9.-]+(?::\d+)?")
"""A host and maybe a port: no user, no password."""


class Blobs:
    """Reads by links that carry their own SAS."""

    def __init__(self, settings: "Settings") -> None:
        self._hosts = settings.vision_blob_hosts

    def read(self, url: str, what: str) -> bytes:
        """Read a blob; PermanentError where its host is none that is followed, or where it is gone."""
        if not self._is_followed(url):
            raise PermanentError(
                f"{what} is not read from {host_of(url)}",
                remedy="where that is Custom Vision's own, add the host to REACTOR_VISION_BLOB_HOSTS",
            )
        try:
            return self._rest.get(url).body
        except DeniedError:
            raise TemporaryError(f"the link to {what} is good no more: it has to be listed again") from None

    def _is_followed(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
            names = {(parts.hostname or "").lower(), parts.netloc.lower()}
        except ValueError:
            return False
        fits = any(fnmatchcase(name, pattern.lower()) for name in names for pattern in self._hosts)
        return fits and bool(_NETLOC.fullmatch(parts.netloc))

    @cached_property
    def _rest(self) -> Rest:
        return Rest("Custom Vision's storage", emulated=True)
