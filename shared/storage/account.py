"""One storage account: the SDK's clients of its blobs, queues and tables, made when first needed.

The settings have the Functions host's own names (`AzureWebJobsStorage…`): a connection string, or service URIs and an
identity.
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.settings import Storage

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.data.tables import TableClient, TableServiceClient
    from azure.storage.blob import BlobServiceClient
    from azure.storage.queue import QueueClient, QueueServiceClient

    Credential = Callable[[str], TokenCredential]
    """Makes a token credential of a user-assigned identity's client id; "" means the system-assigned identity."""

CALL: dict[str, Any] = {"connection_timeout": 5, "read_timeout": 30, "permit_redirects": False}
"""Seconds of one call (a claim on an action must outlive every retry of it); and nobody sends us elsewhere."""
QUEUES: dict[str, Any] = CALL | {"retry_total": 2, "initial_backoff": 1, "random_jitter_range": 1}
PIECE = 1024 * 1024
"""Bytes read at a time: the SDK holds about ten pieces at its peak, so a download of any length needs some 10 MiB."""
BLOBS: dict[str, Any] = QUEUES | {"max_single_get_size": PIECE, "max_chunk_get_size": PIECE}
ONCE: dict[str, Any] = CALL | {"retry_total": 0}
"""For what should not be sent twice."""
TABLES: dict[str, Any] = CALL | {"retry_total": 2, "retry_backoff_factor": 0.5}


class Account:
    """The storage account; nothing connects before a client's first call, and each client is safe to share."""

    def __init__(self, storage: Storage, credential: "Credential") -> None:
        self.storage = storage
        self._credential = credential
        self._tables: dict[str, TableClient] = {}
        self._queues: dict[str, QueueClient] = {}

    @cached_property
    def credential(self) -> "TokenCredential":
        """The identity's credential, shared by all three services; not for connection strings."""
        return self._credential(self.storage.client_id)

    @cached_property
    def blobs(self) -> "BlobServiceClient":
        """The blob service."""
        from azure.storage.blob import BlobServiceClient

        if self.storage.connection_string:
            return BlobServiceClient.from_connection_string(self.storage.connection_string, **BLOBS)
        return BlobServiceClient(self.storage.blob_uri, self.credential, **BLOBS)

    @cached_property
    def queues(self) -> "QueueServiceClient":
        """The queue service."""
        from azure.storage.queue import QueueServiceClient

        if self.storage.connection_string:
            return QueueServiceClient.from_connection_string(self.storage.connection_string, **QUEUES)
        return QueueServiceClient(self.storage.queue_uri, self.credential, **QUEUES)

    @cached_property
    def tables(self) -> "TableServiceClient":
        """The table service."""
        from azure.data.tables import TableServiceClient

        if self.storage.connection_string:
            return TableServiceClient.from_connection_string(self.storage.connection_string, **TABLES)
        return TableServiceClient(self.storage.table_uri, credential=self.credential, **TABLES)

    def table(self, name: str) -> "TableClient":
        """Give one table's client; making it takes the SDK half a millisecond, so it is made once."""
        return self._tables.get(name) or self._tables.setdefault(name, self.tables.get_table_client(name))

    def queue(self, name: str) -> "QueueClient":
        """Give one queue's client, made once as well."""
        return self._queues.get(name) or self._queues.setdefault(name, self.queues.get_queue_client(name))
