"""Where a request goes: a Language resource, the key that opens it, and the version of the API that it is asked in.

https://learn.microsoft.com/azure/ai-services/authentication
"""

from dataclasses import dataclass
from typing import Protocol, Self
from urllib.parse import SplitResult, urljoin, urlsplit

from shared.answers import host_of
from shared.errors import PermanentError
from shared.rules import addresses

GA = "2023-04-01"
"""The version that every resource understands."""
KEY_HEADER = "Ocp-Apim-Subscription-Key"
PORTS = {"https": 443, "http": 80}


class Declared(Protocol):
    """A resource as the rules file declares it."""

    @property
    def endpoint(self) -> str:
        """The https URL."""

    @property
    def key(self) -> str | None:
        """The key, None for the app's identity."""

    @property
    def api_version(self) -> str:
        """The version of the API."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A Language resource: its endpoint, and its key or "" for the app's identity, which needs its own subdomain."""

    endpoint: str
    key: str = ""
    version: str = GA

    def __repr__(self) -> str:
        return f"Resource({self.host}, {self.version})"

    @classmethod
    def of(cls, given: Declared) -> Self:
        """Make it of what the rules file declares."""
        return cls(given.endpoint, given.key or "", given.api_version)

    @property
    def host(self) -> str:
        """The host of the endpoint, in lower case."""
        return host_of(self.endpoint).lower()

    @property
    def place(self) -> str:
        """The host, with its port where that is no usual one: two resources may be on one host of a test."""
        try:
            port = urlsplit(self.endpoint).port
        except ValueError:
            port = None
        return self.host if port in (None, PORTS["https"]) else f"{self.host}:{port}"

    def own(self, url: str, what: str) -> str:
        """Give a URL that the service gave for `what`, whole; PermanentError where it leads to anybody else.

        The key, or a token that many services take, would go there.
        """
        try:
            whole = urljoin(f"{self.endpoint.rstrip('/')}/", url.strip())
            ours, theirs = _origin(urlsplit(self.endpoint)), _origin(urlsplit(whole))
        except ValueError:
            theirs = None
        if theirs is None or theirs != ours:
            raise PermanentError(
                f"Language at {self.host} gives {what} at {host_of(url)}, which is another place: it is not followed",
                remedy="declare the resource's own endpoint, https://<its subdomain>.cognitiveservices.azure.com, "
                "without anything between",
            )
        return whole

    def headers(self) -> dict[str, str]:
        """Give the header with the key, none without a key; PermanentError where that can be none."""
        key = self.key.strip()
        if key and not (key.isascii() and key.isprintable()):
            raise PermanentError(
                f"the key for {self.host} holds characters that no key has",
                remedy="copy the key into the app's setting again",
            )
        if not key and self.host.endswith(addresses.REGIONAL):
            raise PermanentError(
                f"{self.host} takes keys only",
                remedy="give the resource's key, or its own subdomain as the endpoint",
            )
        return {KEY_HEADER: key} if key else {}


def _origin(url: SplitResult) -> tuple[str, str, int | None] | None:
    """Spell where a URL leads for comparison; None for one that holds a name or password, or leads nowhere."""
    if not url.hostname or url.username is not None or url.password is not None:
        return None
    scheme = url.scheme.lower()
    return scheme, url.hostname.lower(), url.port or PORTS.get(scheme)
