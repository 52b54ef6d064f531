"""How often a resource may be asked, by its price tier; only where `rate_limited` is set.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/limits-and-quotas
"""

import re
import time
from collections import defaultdict, deque
from collections.abc import Mapping

from dev.simulators.wire import Request

KINDS: Mapping[str, tuple[str, Mapping[str, int]]] = {
    "train": (r"/train/?$", {"F0": 2, "S0": 10}),
    "stored predictions": (r"/prediction/.*/(image|url)/?$", {"F0": 2, "S0": 10}),
    "predictions": (r"/prediction/.*/nostore/?$", {"F0": 2, "S0": 20}),
    "uploads": (r"/images(/files|/urls|/predictions)?/?$", {"F0": 2, "S0": 10}),
    "all else": (r"", {"F0": 10, "S0": 10}),
}
"""What is counted together, and how much of it a second may see; F0 takes fewer uploads than its page says."""


class Rates:
    """The requests of the last second."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[float]] = defaultdict(deque)

    def forget(self) -> None:
        """Begin anew."""
        self._seen.clear()

    def exceeded(self, request: Request, tier: str) -> bool:
        """Count a request, and say whether it is one too many; that one is not counted."""
        kind = next(kind for kind, (path, _) in KINDS.items() if re.search(path, request.path, re.IGNORECASE))
        if kind == "uploads" and request.method != "POST":
            kind = "all else"
        seen, at = self._seen[kind], time.monotonic()
        while seen and seen[0] <= at - 1:
            seen.popleft()
        if len(seen) >= KINDS[kind][1][tier]:
            return True
        seen.append(at)
        return False
