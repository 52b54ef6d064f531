"""The app in a process of its own, on a real queue, and its memory: `python -m bench.app MESSAGES [traced]`.

Standard input is a JSON list of Custom Vision's notifications. All but the last are done before memory counts: what
every action imports is imported then. With none it goes on with what a process before it left. It ends when nothing is
under way any more, or after so many messages, 0 for never.
"""

import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from bench.measure import peak
from shared import wiring
from shared.clients.identity import managed_identity
from shared.settings import Settings
from shared.storage import ACTIONS_QUEUE
from shared.storage.account import Account
from shared.storage.records import Records

REPOSITORY = Path(__file__).parents[1]
SETTLED = 3
"""Messages after which memory counts where nothing was done before."""
LEASE = 600
MIB = 1024 * 1024


@dataclass(frozen=True)
class Taken:
    """What a process took."""

    messages: int
    grown: int
    """Bytes by which its resident memory grew at most; 0 where the system does not tell."""
    traced: int
    """Bytes that Python's own allocations reached, where they were traced: that makes everything slower."""

    @property
    def mib(self) -> float:
        """The larger of the two."""
        return max(self.grown, self.traced) / MIB

    def told(self) -> str:
        """Tell both."""
        parts = [(self.grown, "resident"), (self.traced, "by tracemalloc")]
        return ", ".join(f"{size / MIB:.1f} MiB {how}" for size, how in parts if size) or "nothing"

    @classmethod
    def by(cls, values: Mapping[str, str], *events: str, most: int = 0, is_traced: bool = False) -> Self:
        """Have a new process do it; where the system does not tell its memory, it is traced in any case."""
        command = [sys.executable, "-m", "bench.app", str(most), *(["traced"] if is_traced or not peak() else [])]
        env = {**os.environ, **values}
        ended = subprocess.run(
            command, input=json.dumps(events), env=env, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True
        )
        return cls(**json.loads(ended.stdout))


class Host:
    """What the Functions host does: takes each message off the queue, and deletes it when its function is done."""

    def __init__(self) -> None:
        account = Account(Settings.read(os.environ).storage, managed_identity)
        self._queue, self._records = account.queues.get_queue_client(ACTIONS_QUEUE), Records(account)

    def deliver(self, most: int = sys.maxsize) -> int:
        """Deliver so many messages, or until nothing is under way any more; say how many these were."""
        count = 0
        while count < most:
            if (message := self._queue.receive_message(visibility_timeout=LEASE)) is not None:
                wiring.reactor().perform(message.content, message.id)
                self._queue.delete_message(message)
                count += 1
            elif any(True for _ in self._records.list_open()):
                time.sleep(0.1)
            else:
                break
        return count


def perform(events: Sequence[str], most: int, *, is_traced: bool) -> Taken:
    """Bring events to the door of Custom Vision's notifications, and do everything that is to be done."""
    host, count = Host(), 0
    for number, event in enumerate(events, 1):
        wiring.reactor().receive("vision_notification", event)
        if number < len(events):
            host.deliver()
    if len(events) < 2:
        count = host.deliver(SETTLED)
    before = peak()
    if is_traced:
        tracemalloc.start()
    count += host.deliver(most - count if most else sys.maxsize)
    return Taken(count, peak() - before, tracemalloc.get_traced_memory()[1])


if __name__ == "__main__":
    brought = json.loads(sys.stdin.read())
    print(json.dumps(asdict(perform(brought, int(sys.argv[1]), is_traced="traced" in sys.argv))))
