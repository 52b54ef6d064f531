"""The storage queue trigger: leases, renewal, retries, poison.

The semantics are those of QueueListener, QueueProcessor and RandomizedExponentialBackoffStrategy:
https://github.com/Azure/azure-sdk-for-net/tree/main/sdk/storage/Microsoft.Azure.WebJobs.Extensions.Storage.Queues
"""

import asyncio
import base64
import binascii
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage
from azure_functions_runtime.bindings.datumdef import Datum

from dev.host.settings import Queues
from dev.host.worker import Function, Worker

logger = logging.getLogger("host.queues")

POISON = "-poison"
LONGEST_NAME = 63
STEP = 0.1
"""Seconds: both the first delay after an empty poll and what the next ones grow by."""
CALLS: dict[str, Any] = {"retry_total": 1, "connection_timeout": 5, "read_timeout": 30}


def delay(empty_polls: int, longest: float) -> float:
    """Seconds to wait after so many empty polls in a row: 0.2, 0.3, 0.5, 0.9 … give or take a fifth."""
    growth = STEP * 2.0 ** min(empty_polls - 1, 16) * random.uniform(0.8, 1.2)
    return min(STEP + growth, longest)


class QueueListener:
    """Feeds one function from its queue."""

    def __init__(self, function: Function, worker: Worker, connection: str, settings: Queues, lease: float) -> None:
        name = str(function.trigger["queueName"])
        self.function = function
        self.worker = worker
        self.settings = settings
        self.lease = lease
        self.queue = QueueClient.from_connection_string(connection, name, **CALLS)
        self.poison = (
            None
            if name.endswith(POISON) or len(name + POISON) > LONGEST_NAME
            else QueueClient.from_connection_string(connection, name + POISON, **CALLS)
        )

    async def listen(self, stopping: asyncio.Event) -> None:
        """Poll until told to stop, then wait for the messages in hand."""
        working: set[asyncio.Task[None]] = set()
        empty_polls = 0
        while not stopping.is_set():
            messages = await asyncio.to_thread(self.receive)
            for message in messages:
                task = asyncio.create_task(self.handle(message))
                working.add(task)
                task.add_done_callback(working.discard)
            empty_polls = 0 if messages else empty_polls + 1
            if empty_polls:
                with suppress(TimeoutError):
                    longest = self.settings.max_polling_interval.total_seconds()
                    await asyncio.wait_for(stopping.wait(), delay(empty_polls, longest))
            while len(working) > self.settings.new_batch_threshold:
                await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
        if working:
            await asyncio.wait(working)

    def receive(self) -> list[QueueMessage]:
        """Lease the next batch; a queue that does not exist is an empty one."""
        pages = self.queue.receive_messages(
            messages_per_page=self.settings.batch_size, visibility_timeout=round(self.lease)
        ).by_page()
        try:
            return list(next(pages, []))
        except ResourceNotFoundError:
            return []
        except AzureError as error:
            logger.warning("%s could not be read: %s", self.queue.queue_name, first_line(error))
            return []

    async def handle(self, message: QueueMessage) -> None:
        """Invoke the function with one message, keeping its lease, and settle the message by what came of it."""
        body = self.decoded(message.content)
        if body is None or (message.dequeue_count or 0) > self.settings.max_dequeue_count:
            await self.settle(self.bury, message)
            return
        invocation = asyncio.create_task(
            self.worker.invoke(
                self.function,
                Datum(body, "string"),
                metadata(message),
                about=f"message {message.id} attempt {message.dequeue_count}",
            )
        )
        while not (await asyncio.wait({invocation}, timeout=self.lease / 2))[0]:
            await self.settle(self.renew, message)
        if invocation.result().ok:
            await self.settle(self.delete, message)
        elif (message.dequeue_count or 0) >= self.settings.max_dequeue_count:
            await self.settle(self.bury, message)
        elif self.poison:
            await self.settle(self.release, message)
        # a queue without a poison queue: the message stays leased, so that it does not come back at once for ever

    async def settle(self, what: Callable[[QueueMessage], None], message: QueueMessage) -> None:
        """Do one of the four below; what fails is left to the lease."""
        try:
            await asyncio.to_thread(what, message)
        except ResourceNotFoundError:
            logger.debug("message %s was gone", message.id)
        except HttpResponseError as error:
            if getattr(error, "error_code", "") != "PopReceiptMismatch":
                logger.warning("message %s: %s failed: %s", message.id, what.__name__, first_line(error))
        except AzureError as error:
            logger.warning("message %s: %s failed: %s", message.id, what.__name__, first_line(error))

    def renew(self, message: QueueMessage) -> None:
        """Lease it for another whole lease from now."""
        self.hide(message, self.lease)

    def release(self, message: QueueMessage) -> None:
        """Let it come back after the time that host.json says."""
        self.hide(message, self.settings.visibility_timeout.total_seconds())

    def hide(self, message: QueueMessage, seconds: float) -> None:
        """Hide it for so long; its receipt changes."""
        changed = self.queue.update_message(message.id, message.pop_receipt, visibility_timeout=round(seconds))
        message.pop_receipt = changed.pop_receipt

    def delete(self, message: QueueMessage) -> None:
        """Take it off the queue."""
        self.queue.delete_message(message.id, message.pop_receipt)

    def bury(self, message: QueueMessage) -> None:
        """Move its body, and nothing else of it, to the poison queue; without one it stays leased."""
        if self.poison is None:
            return
        logger.warning(
            "Message has reached MaxDequeueCount of %s. Moving message to queue '%s'.",
            self.settings.max_dequeue_count,
            self.poison.queue_name,
        )
        try:
            self.poison.send_message(message.content)
        except ResourceNotFoundError:
            self.poison.create_queue()
            self.poison.send_message(message.content)
        self.delete(message)

    def decoded(self, content: str) -> str | None:
        """Decode as host.json says; None where it cannot be."""
        if self.settings.message_encoding == "none":
            return content
        try:
            return base64.b64decode(content, validate=True).decode("utf-8", "replace")
        except binascii.Error:
            return None


def metadata(message: QueueMessage) -> dict[str, str]:
    """Give what the host tells a function about its message."""
    times = {
        "InsertionTime": message.inserted_on,
        "ExpirationTime": message.expires_on,
        "NextVisibleTime": message.next_visible_on,
    }
    return {
        "Id": message.id,
        "DequeueCount": str(message.dequeue_count),
        "PopReceipt": message.pop_receipt or "",
        **{name: time.isoformat() for name, time in times.items() if time},
    }


def first_line(error: Exception) -> str:
    """Say an error in one line."""
    return str(error).partition("\n")[0]
