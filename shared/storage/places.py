"""The queues and containers that services write to for us: made where they are missing, and looked into by their URL.

The app itself never needs this: infrastructure makes what it works with. It is for who connects a service by hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from shared.answers import host_of
from shared.errors import PermanentError
from shared.rules.addresses import is_place
from shared.storage import PAYLOADS_CONTAINER
from shared.storage.account import BLOBS, QUEUES
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.storage.blob import ContainerClient
    from azure.storage.queue import QueueClient, QueueMessage

    from shared.storage.account import Account

MOST_PEEKED = 32
"""Messages that one look shows at most: those that have waited longest."""
MOST_LISTED = 100
"""Blobs of a prefix that are looked at."""
AT_ONCE = 8
"""Messages that are taken from a queue at once, to be moved."""
HIDDEN_SECONDS, BETWEEN_SECONDS = 10, 1.0
"""How long a message that is being moved is hidden from everybody else, and how often it is looked for."""


class Written(NamedTuple):
    """A blob, as it was written once: another one of its name has another ETag."""

    name: str
    etag: str


class Peeked(NamedTuple):
    """A message as it was sent."""

    id: str
    text: str


class Places:
    """Queues and containers by their URLs, in the app's own account or, as `credential`, elsewhere.

    `backups` is the name of the app's container of backups.
    """

    def __init__(self, account: Account | None, credential: Callable[[], TokenCredential], backups: str) -> None:
        self._account = account
        self._backups = backups
        self._credential = credential

    # -- URLs ---------------------------------------------------------------------------------------------------------

    def queue_url(self, name: str) -> str:
        """Give the URL of a queue of the app's account; PermanentError where that is not known."""
        return f"{self._known.queues.url.rstrip('/')}/{name}"

    def container_url(self, name: str) -> str:
        """Give the URL of a container of the app's account; PermanentError where that is not known."""
        return f"{self._known.blobs.url.rstrip('/')}/{name}"

    @property
    def _known(self) -> Account:
        if self._account is None:
            raise PermanentError(
                "the app's storage is not known here",
                remedy="set AzureWebJobsStorage or AzureWebJobsStorage__accountName as the app has it",
            )
        return self._account

    def own_queue(self, url: str) -> str | None:
        """Name the queue of the app's account that a URL is of; "" for one that is elsewhere, None where unknown."""
        return None if self._account is None else _below(url, self._account.queues.url)

    def own_store(self, url: str) -> str:
        """Name the container that a URL is of where the app keeps something of its own there; "" where it does not."""
        name = "" if self._account is None else _below(url, self._account.blobs.url)
        return name if name in {PAYLOADS_CONTAINER, self._backups} else ""

    # -- queues -------------------------------------------------------------------------------------------------------

    def make_queue(self, url: str) -> bool:
        """Make a queue where it is missing; whether it was."""
        from azure.core.exceptions import ResourceExistsError

        with translated("Storage", "same"), self._queue(url) as queue:
            try:
                queue.get_queue_properties()  # whoever may not make queues needs to only where it is missing
            except _missing():
                with suppress(ResourceExistsError):
                    queue.create_queue()
                return True
            return False

    def peek(self, url: str) -> list[Peeked]:
        """Look at the oldest messages of a queue as they were sent, and leave them there; [] where it is missing.

        https://learn.microsoft.com/rest/api/storageservices/peek-messages
        """
        with translated("Storage"), self._queue(url) as queue:
            try:
                return [Peeked(str(one.id), str(one.content)) for one in queue.peek_messages(MOST_PEEKED)]
            except _missing():
                return []

    def move(self, url: str, target: str, is_wanted: Callable[[str], bool]) -> bool:
        """Bring the wanted messages of a queue to another one, and delete that queue; False where some are left in it.

        A message is deleted where it was once it is where it should be: a crash leaves it twice, and loses none. What
        an earlier crash left hidden is waited for. PermanentError where the other queue is missing: all stays then.
        """
        until = time.monotonic() + 2 * HIDDEN_SECONDS
        with translated("Storage", "same"), self._queue(url) as queue, self._queue(target) as other:
            while time.monotonic() < until:
                while some := _taken(queue):
                    for message in some:
                        if is_wanted(str(message.content)):
                            other.send_message(str(message.content), time_to_live=-1)
                        with suppress(
                            _missing()
                        ):  # it was hidden no longer: it comes again, which is better than never
                            queue.delete_message(message)
                if _is_empty(queue):
                    with suppress(_missing()):
                        queue.delete_queue()
                    return True
                time.sleep(BETWEEN_SECONDS)
            return False

    @contextmanager
    def _queue(self, url: str) -> Iterator[QueueClient]:
        from azure.storage.queue import QueueClient

        if self._account is not None and (name := _below(url, self._account.queues.url)):
            yield self._account.queues.get_queue_client(name)
            return
        with QueueClient.from_queue_url(_safe(url, "queue"), self._credential(), **QUEUES) as queue:
            yield queue

    # -- containers ---------------------------------------------------------------------------------------------------

    def make_container(self, url: str) -> bool:
        """Make a container where it is missing; whether it was."""
        from azure.core.exceptions import ResourceExistsError

        with translated("Storage", "same"), self._container(url) as container:
            if container.exists():
                return False
            with suppress(ResourceExistsError):
                container.create_container()
            return True

    def has_container(self, url: str) -> bool:
        """Tell whether there is such a container."""
        with translated("Storage"), self._container(url) as container:
            return bool(container.exists())

    def written(self, url: str, prefix: str) -> set[Written]:
        """List blobs whose names begin so; none where the container is missing."""
        with translated("Storage"), self._container(url) as container:
            try:
                found = container.list_blobs(name_starts_with=prefix, results_per_page=MOST_LISTED)
                first = next(iter(found.by_page()), ())
                return {Written(str(blob.name), str(blob.etag)) for blob in first}
            except _missing():
                return set()

    @contextmanager
    def _container(self, url: str) -> Iterator[ContainerClient]:
        from azure.storage.blob import ContainerClient

        if self._account is not None and (name := _below(url, self._account.blobs.url)):
            yield self._account.blobs.get_container_client(name)
            return
        with ContainerClient.from_container_url(_safe(url, "container"), self._credential(), **BLOBS) as container:
            yield container


def _taken(queue: QueueClient) -> list[QueueMessage]:
    """Take some messages, and hide them from everybody else for a while; none where the queue is missing."""
    with suppress(_missing()):
        pages = queue.receive_messages(visibility_timeout=HIDDEN_SECONDS, messages_per_page=AT_ONCE).by_page()
        return list(next(pages, ()))
    return []


def _is_empty(queue: QueueClient) -> bool:
    """Tell whether nothing is in a queue, hidden or not, or it is missing."""
    with suppress(_missing()):
        return not queue.get_queue_properties().approximate_message_count
    return True


def _missing() -> type[Exception]:
    from azure.core.exceptions import ResourceNotFoundError

    return ResourceNotFoundError


def _below(url: str, service: str) -> str:
    """Name what a URL is of below a service's; "" where it is elsewhere.

    >>> _below("https://Acct.queue.core.windows.net/notes/", "https://acct.queue.core.windows.net/")
    'notes'
    """
    given, own = urlsplit(url), urlsplit(service)
    name = unquote(given.path).rstrip("/").removeprefix(own.path.rstrip("/") + "/")
    is_here = (given.scheme.lower(), given.netloc.lower()) == (own.scheme.lower(), own.netloc.lower())
    return name if is_here and name and "/" not in name and given.path.startswith(own.path.rstrip("/") + "/") else ""


def _safe(url: str, what: str) -> str:
    """Refuse what our token would be sent to in the clear, or is no such place; and a SAS: the service wants none."""
    parts = urlsplit(url)
    if parts.query:
        raise PermanentError(f"the {what} at {host_of(url)} is given with a query", remedy="give its URL without a SAS")
    if parts.scheme != "https":
        raise PermanentError(f"the {what} at {host_of(url)} must be reached by https", remedy="use the https URL")
    if not is_place(url):
        remedy = f"give it as https://<account>.<service>.core.windows.net/<{what}>, without a folder"
        raise PermanentError(f"the {what} at {host_of(url)} is not given as a {what}'s URL", remedy=remedy)
    return url
