"""Where a request goes: a Custom Vision resource, and the key that opens it.

https://learn.microsoft.com/azure/ai-services/authentication
"""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from shared.answers import host_of
from shared.errors import PermanentError
from shared.rules import addresses, declared


@dataclass(frozen=True, slots=True)
class Resource:
    """A training or prediction resource: its endpoint, and its key or "" for the app's identity.

    An identity needs the resource's own subdomain.
    """

    endpoint: str
    key: str = ""

    def __repr__(self) -> str:
        return f"Resource({host_of(self.endpoint)})"

    @classmethod
    def of(cls, given: declared.Resource | declared.Prediction) -> Self:
        """Make it of what the rules file declares; PermanentError where no endpoint is said."""
        if given.endpoint is None:
            raise PermanentError(
                "no endpoint of the prediction resource is declared",
                remedy="declare prediction: {resource: <ARM id>, endpoint: https://…} in the rules file",
            )
        return cls(given.endpoint, given.key or "")

    def has(self, url: str) -> bool:
        """Tell whether a URL is one of this resource's own."""
        try:
            own, other = urlsplit(self.endpoint), urlsplit(url)
        except ValueError:
            return False
        return (own.scheme.lower(), own.netloc.lower()) == (other.scheme.lower(), other.netloc.lower())

    def headers(self, name: str) -> dict[str, str]:
        """Give the header `name` with the key, none without a key; PermanentError where that can be none."""
        key = self.key.strip()
        if key and not (key.isascii() and key.isprintable()):
            raise PermanentError(
                f"the key for {host_of(self.endpoint)} holds characters that no key has",
                remedy="copy the key into the app's setting again",
            )
        if not key and (urlsplit(self.endpoint).hostname or "").endswith(addresses.REGIONAL):
            raise PermanentError(
                f"{host_of(self.endpoint)} takes keys only",
                remedy="give the resource's key, or its own subdomain as the endpoint",
            )
        return {name: key} if key else {}
