"""The types of what a rules file says of places: ARM ids, https endpoints, the URLs of containers and queues.

Any of them may hold `${NAME}`, an app setting: what does is judged when it is used.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from shared.rules import templates


def ArmId(provider: str) -> AfterValidator:  # noqa: N802 - it reads as a type
    """Accept the ARM id of one type of resource, or a setting."""
    pattern = re.compile(rf"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/{provider}/[^/]+\Z", re.IGNORECASE)

    def check(value: str) -> str:
        if not templates.is_open(value) and not pattern.match(value):
            wanted = f"/subscriptions/<id>/resourceGroups/<group>/providers/{provider}/<name>"
            raise ValueError(f"must be an ARM id, such as {wanted}")
        return value

    return AfterValidator(check)


def _https(value: str) -> str:
    if value.lower().startswith("http:") and not templates.is_open(value):
        raise ValueError("must be https")
    return value


def _https_or_loopback(value: str) -> str:
    return value if urlsplit(value).hostname in LOOPBACK else _https(value)


def is_url(text: str) -> bool:
    """Tell whether a text is a URL that a browser could open."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme.lower() in {"http", "https"} and bool(parts.hostname)


def host_and_port(endpoint: str) -> tuple[str, int]:
    """Take an https endpoint apart, the host in lower case; "" where it has none, or a setting is to say it."""
    try:
        parts = urlsplit("" if templates.is_open(endpoint) else endpoint)
        return (parts.hostname or "").lower(), parts.port or HTTPS_PORT
    except ValueError:
        return "", HTTPS_PORT


HTTPS_PORT = 443
REGIONAL = ".api.cognitive.microsoft.com"
"""Where the endpoints of whole regions are: there is no telling by them whose token it is."""
LOOPBACK = frozenset({"127.0.0.1", "localhost"})
Https = Annotated[str, AfterValidator(_https)]
"""A URL that nobody on the way can read; one that holds a setting is judged when it is used."""
StorageUrl = Annotated[str, AfterValidator(_https_or_loopback)]
"""The same, except that a storage emulator on this machine speaks plain http."""
_LOOPBACK = r"(127\.0\.0\.1|[lL][oO][cC][aA][lL][hH][oO][sS][tT])"
PLACE = re.compile(
    rf"([hH][tT][tT][pP][sS]://(?!{_LOOPBACK}[:/])[^/?#\s\\@]+/|[hH][tT][tT][pP][sS]?://{_LOOPBACK}(:[0-9]+)?/[^/?#\s]+/)"
    r"[^/?#\s]+/?(\?[^#\s]*)?\Z"
)
"""The URL of a container or of a queue: one name below an account, which is the host, or an emulator's first folder."""
CONTAINER_WANTED = "must be the URL of a container, such as https://<account>.blob.core.windows.net/<container>"
QUEUE_WANTED = "must be the URL of a queue, such as https://<account>.queue.core.windows.net/<queue>"


def is_place(url: str) -> bool:
    """Tell whether a URL can be that of a container, or of a queue.

    >>> is_place("https://acct.blob.core.windows.net/models"), is_place("https://acct.blob.core.windows.net")
    (True, False)
    """
    return PLACE.match(url) is not None


def _container(value: str) -> str:
    if not templates.is_open(value) and not is_place(value):
        raise ValueError(CONTAINER_WANTED)
    return value


def _queue(value: str) -> str:
    if not templates.is_open(value) and not is_place(value):
        raise ValueError(QUEUE_WANTED)
    return value


ContainerUrl = Annotated[StorageUrl, AfterValidator(_container)]
"""The URL of a container, maybe with a SAS; none of an account alone, or of a folder."""
QueueUrl = Annotated[StorageUrl, AfterValidator(_queue)]
"""The URL of a queue, maybe with a SAS."""
