"""How often a service is asked, counted over all instances of the app: its limit is the resource's, not an instance's.

    <host>   row "rates"   when each request of the last minute was let go, in the limits' table, under its ETag

Who has no storage, such as a command on a laptop, counts for itself; the service's own 429 is heeded as ever.
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/service-limits
"""

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

from shared.errors import UnansweredError
from shared.events import digest
from shared.storage import LIMITS_TABLE, entities
from shared.storage.slots import TRIES

if TYPE_CHECKING:
    from azure.data.tables import TableClient

    from shared.storage.account import Account

RATES = "rates"
LIMITS: Mapping[str, int] = {"GET": 100, "POST": 10}
"""Requests to a resource's authoring in any 60 s, as documented; whatever changes something counts as a POST."""
MOST = 1_000
"""Where more than so many are allowed nothing is counted: an entity could not hold it."""
WINDOW = 61.0
"""Seconds: a request may be on its way for one, and clocks may differ by some of it."""
KEPT = timedelta(days=1)
SPARED = 0.5
"""The share of a limit that whoever can wait leaves to others."""
CROWDED = (0.5, 2.0)
"""Seconds to wait, at least and at most, where too many ask at the same moment to tell."""


def granted(times: Sequence[float], limit: int, now: float) -> tuple[float, list[float]]:
    """Let a request go, or say how many seconds to wait; give when those of the last window were let go, too.

    A time that is yet to come is another instance's clock that is ahead: it counts as now.

    >>> granted([0.0, 1.0], 2, 1.5)
    (59.5, [0.0, 1.0])
    >>> granted([0.0, 1.0], 2, 61.5)
    (0.0, [1.0, 61.5])
    """
    recent = sorted(min(one, now) for one in times if one > now - WINDOW)
    if len(recent) < limit:
        return 0.0, [*recent, now]
    return recent[-limit] + WINDOW - now, recent


class Rates:
    """Counts requests by host and kind; safe to share between threads.

    `account` is the app's storage, None for who has none. `clock` gives seconds since 1970. Of each limit only a
    `share` is taken, whoever took the rest of it.
    """

    def __init__(
        self,
        account: "Account | None" = None,
        limits: Mapping[str, int] = LIMITS,
        *,
        clock: Callable[[], float] = time.time,
        share: float = 1.0,
    ) -> None:
        self._account = account
        self._limits = limits
        self._clock = clock
        self._share = share
        self._lock = Lock()
        self._own: dict[tuple[str, str], list[float]] = {}

    def sparing(self) -> "Rates":
        """Count in the same place, and let nothing go where that would leave too little to others."""
        spared = Rates(self._account, self._limits, clock=self._clock, share=1 - SPARED)
        spared._lock, spared._own = self._lock, self._own
        return spared

    def take(self, host: str, kind: str) -> float:
        """Count a request to a host, a "GET" or a "POST"; give 0 where it may go, else the seconds to wait."""
        limit = self._limits[kind]
        if limit > MOST:
            return 0.0
        limit = max(1, int(limit * self._share))
        if self._account is None:
            with self._lock:
                wait, self._own[host.lower(), kind] = granted(
                    self._own.get((host.lower(), kind), ()), limit, self._clock()
                )
            return wait
        return self._take(self._account.table(LIMITS_TABLE), host.lower(), kind, limit)

    def _take(self, table: "TableClient", host: str, kind: str, limit: int) -> float:
        key = digest(RATES, host)
        for _ in range(TRIES):
            entity = entities.read(table, key, RATES)
            now = self._clock()
            wait, times = granted(_times(entity, kind), limit, now)
            if wait > 0:
                return wait
            kept = {one: _times(entity, one) for one in self._limits} | {kind: times}
            if _write(table, _row(host, kept, now), entity):
                return 0.0
            time.sleep(random.uniform(0.005, 0.05))  # noqa: S311 # so that those who collided do not again
        return random.uniform(*CROWDED)  # noqa: S311 # no secret


def _times(entity: Any, kind: str) -> list[float]:
    """Read when requests of a kind were let go; what another version of the app wrote counts as nothing."""
    try:
        return [float(one) for one in json.loads(entity[kind])] if entity is not None else []
    except (KeyError, ValueError, TypeError):
        return []


def _row(host: str, kept: Mapping[str, list[float]], now: float) -> dict[str, Any]:
    return {
        "PartitionKey": digest(RATES, host),
        "RowKey": RATES,
        "host": host,
        "until": datetime.fromtimestamp(now, UTC) + KEPT,
        **{kind: json.dumps([round(one, 3) for one in times]) for kind, times in kept.items()},
    }


def _write(table: "TableClient", row: dict[str, Any], entity: Any) -> bool:
    """Write a row; False where somebody else did meanwhile, or nobody knows: then a request counts twice at worst."""
    try:
        if entity is None:
            return entities.insert(table, row)
        return entities.replace(table, row, entity.metadata["etag"]) is not None
    except UnansweredError:
        return False
