"""The data plane: the hosts that score, start batch jobs and keep the history of runs, beside Resource Manager.

Its URLs are told by Resource Manager (an endpoint's scoringUri, a workspace's discoveryUrl), so none is used, and no
token goes there, before its host is found among those that the settings allow.
https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-batch-endpoint
"""

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.answers import host_of
from shared.clients.management import management
from shared.clients.rest import Rest
from shared.errors import PermanentError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.settings import Settings

_NETLOC = re.compile(r"[A-Za-z0-9.-]+(?::\d+)?")
"""A host and maybe a port: no user, no password."""


class DataPlane:
    """Requests to it, with the two kinds of token that it takes."""

    def __init__(self, settings: "Settings", credential: "Callable[[], TokenCredential]") -> None:
        self._settings = settings
        self._credential = credential

    @cached_property
    def scoring(self) -> Rest:
        """Requests to endpoints: {endpoint}.{region}.inference.ml.azure.com. Give it only URLs that are `checked`."""
        return Rest("Machine Learning", self._credential, f"{self._settings.ml_audience}/.default")

    @cached_property
    def studio(self) -> Rest:
        """Requests to {region}.api.azureml.ms, which takes Resource Manager's tokens. Only `checked` URLs, too."""
        return management("Machine Learning", self._settings.arm_endpoint, self._credential)

    def checked(self, url: str) -> str:
        """Return the URL; PermanentError where it is none that our tokens may be sent to."""
        try:
            parts = urlsplit(url)
            names = {(parts.hostname or "").lower(), parts.netloc.lower()}
        except ValueError:
            parts, names = urlsplit(""), set()
        fits = any(fnmatchcase(name, host.lower()) for name in names for host in self._settings.ml_hosts)
        if parts.scheme == "https" and _NETLOC.fullmatch(parts.netloc) and fits:
            return url
        raise PermanentError(
            f"Machine Learning names {host_of(url)}, where no token of ours is sent",
            remedy="where it is right, add the host to REACTOR_ML_HOSTS",
        )
