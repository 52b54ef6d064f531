"""What the storage account was asked for, counted by the storage account itself: Azurite's log has a line a request."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from dev.azurite import APP_ACCOUNT
from dev.demo.ledger import MARK

LINE = re.compile(rf'"(?P<method>[A-Z]+) /{APP_ACCOUNT}(?P<path>/[^?" ]*)?(?:\?(?P<query>[^" ]*))? HTTP')
OURS = "&".join(f"{name}={value}" for name, value in MARK.items())

PRICES = {"table": 0.00036, "queue": 0.004, "blob": 0.055}
"""US dollars for 10,000 transactions. An assumption: list prices of June 2025, general-purpose v2, locally redundant,
hot tier, US regions, of each service its dearest class that is used here.

https://azure.microsoft.com/pricing/details/storage/tables/, …/queues/ and …/blobs/
"""
ASSUMED = (
    f"10,000 for {', '.join(f'{service} ${price}' for service, price in PRICES.items())}: "
    "list prices of June 2025, azure.microsoft.com/pricing/details/storage"
)
TABLE = re.compile(r"/(Tables|reactor[a-z]+)\b")


@dataclass(frozen=True)
class Costs:
    """Transactions by service."""

    transactions: Counter[str]
    polls: int
    """Looks at a queue that held nothing. They cost by the hour, not by the event, and are not in `transactions`."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.transactions.total()

    @property
    def dollars(self) -> float:
        """Their price."""
        return sum(PRICES[service] * count / 10_000 for service, count in self.transactions.items())


def size(log: Path) -> int:
    """Mark where a log ends now, to count from there."""
    return log.stat().st_size


def count(log: Path, since: int) -> Costs:
    """Count the requests since a mark, but our own.

    A message that was deleted is held to have cost a look at its queue of its own, though a look may bring many. The
    schedule's list of what is open costs by the hour as well.
    """
    with log.open("rb") as lines:
        lines.seek(since)
        found = [match for line in lines if (match := LINE.search(line.decode("utf-8", "replace")))]
    requests = [(match["method"], match["path"] or "/") for match in found if OURS not in (match["query"] or "")]
    looks = sum(method == "GET" and path.endswith("/messages") for method, path in requests)
    deleted = sum(method == "DELETE" and "/messages/" in path for method, path in requests)
    sweeps = sum(method == "GET" and path == "/reactoropen()" for method, path in requests)
    transactions = Counter(service(path) for _, path in requests)
    transactions["queue"] -= max(looks - deleted, 0)
    transactions["table"] -= sweeps
    return Costs(transactions, max(looks - deleted, 0))


def service(path: str) -> str:
    """Tell which service a path is of."""
    if TABLE.match(path):
        return "table"
    return "queue" if "/messages" in path else "blob"
