"""Sends messages to the app's own queues. Receiving is the Functions host's work."""

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.storage.failures import temporary

if TYPE_CHECKING:
    from shared.storage.account import Account

LONGEST_DELAY = timedelta(days=7)
NEVER_EXPIRES = -1


class Queues:
    """The app's queues, as a sender sees them."""

    def __init__(self, account: "Account") -> None:
        self._account = account

    def send(self, queue: str, body: str, delay: timedelta = timedelta()) -> None:
        """Send `body`, to be seen after `delay` (whole seconds, at most 7 days) and never to expire.

        A lost reply is answered by sending again: two messages do no harm.
        Page: https://learn.microsoft.com/rest/api/storageservices/put-message
        """
        seconds = math.ceil(min(max(delay, timedelta()), LONGEST_DELAY).total_seconds())
        with temporary(f"sending to queue {queue}"):
            self._account.queue(queue).send_message(body, visibility_timeout=seconds, time_to_live=NEVER_EXPIRES)
