"""The storage accounts that the simulated services write to: the app's, and their own."""

import base64
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

from azure.core.exceptions import AzureError
from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)
from azure.storage.queue import QueueServiceClient

from dev.simulators.wire import now


class Storage:
    """One account, by its connection string; nothing is asked of it before it is needed."""

    def __init__(self, connection: str) -> None:
        self._settings = dict(part.split("=", 1) for part in connection.strip(";").split(";"))
        self._blobs = BlobServiceClient.from_connection_string(connection)
        self._queues = QueueServiceClient.from_connection_string(connection)

    def container_of(self, uri: str) -> str | None:
        """Give the container that a URI names, None where it is not one of this account."""
        return last_part(uri, under=self._settings.get("BlobEndpoint", self._blobs.url))

    def queue_of(self, uri: str) -> str | None:
        """Give the queue that a URI names, None where it is not one of this account."""
        return last_part(uri, under=self._settings.get("QueueEndpoint", self._queues.url))

    def has(self, *, container: str | None = None, queue: str | None = None) -> bool:
        """Whether the container, or the queue, is there."""
        try:
            if container is not None:
                return self._blobs.get_container_client(container).exists()
            if queue is not None:
                self._queues.get_queue_client(queue).get_queue_properties()
        except AzureError:
            return False
        return True

    def send(self, queue: str, text: str, *, encoded: bool) -> None:
        """Put a message on a queue, base64 where `encoded`."""
        body = base64.b64encode(text.encode()).decode() if encoded else text
        self._queues.get_queue_client(queue).send_message(body)

    def create_container(self, name: str) -> None:
        """Make a container where there is none."""
        container = self._blobs.get_container_client(name)
        if not container.exists():
            container.create_container()

    def write(self, container: str, name: str, content: bytes, metadata: Mapping[str, str] | None = None) -> str:
        """Write a blob; its URL without a query."""
        blob = self._blobs.get_blob_client(container, name)
        blob.upload_blob(content, overwrite=True, metadata=dict(metadata or {}))
        return f"{self._blobs.url.rstrip('/')}/{container}/{quote(name)}"

    def has_blob(self, container: str, name: str) -> bool:
        """Whether a blob is there."""
        return self._blobs.get_blob_client(container, name).exists()

    def files(self, uri: str) -> list[str]:
        """Name the blobs directly in a folder of this account, or the one that the URI is; [] where it is elsewhere."""
        container, _, path = uri.removeprefix(self._blobs.url.rstrip("/") + "/").partition("/")
        if "://" in container or not self.has(container=container):
            return []
        found = self._blobs.get_container_client(container).list_blob_names(name_starts_with=path.rstrip("/"))
        return [name for name in found if name == path or "/" not in name.removeprefix(path.rstrip("/") + "/")]

    def delete(self, container: str, name: str) -> None:
        """Delete a blob."""
        self._blobs.get_blob_client(container, name).delete_blob()

    def signed(self, container: str, name: str, *, seconds: float) -> str:
        """Give a URL that reads one blob for a short while."""
        query = generate_blob_sas(
            self._settings["AccountName"],
            container,
            name,
            account_key=self._settings["AccountKey"],
            permission=BlobSasPermissions(read=True),
            expiry=now() + timedelta(seconds=seconds),
        )
        return f"{self._blobs.url.rstrip('/')}/{container}/{quote(name)}?{query}"

    @property
    def account(self) -> str:
        """The account's name."""
        return self._settings["AccountName"]

    @property
    def key(self) -> str:
        """The account's key."""
        return self._settings["AccountKey"]

    @property
    def url(self) -> str:
        """Where its containers are, without a slash at the end."""
        return self._blobs.url.rstrip("/")

    def container_sas(self, container: str, *, seconds: float) -> str:
        """Give a SAS that reads, writes and lists a container for a short while."""
        return generate_container_sas(
            self.account,
            container,
            account_key=self.key,
            permission=ContainerSasPermissions(read=True, add=True, create=True, write=True, list=True),
            expiry=now() + timedelta(seconds=seconds),
        )


def last_part(uri: str, *, under: str) -> str | None:
    """Give what follows an endpoint's URL, None where the URI is not under it."""
    endpoint = under.rstrip("/") + "/"
    name = uri.rstrip("/").removeprefix(endpoint)
    return name if uri.startswith(endpoint) and name and "/" not in name and "?" not in name else None
