"""How often a resource may be asked in a minute; only where `rate_limited` is set.

Authoring: 10 POST (with PUT, PATCH and DELETE) and 100 GET; predictions: 1,000.
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/service-limits
"""

from collections import defaultdict, deque
from collections.abc import Mapping

from dev.simulators.language.settings import Limits

MOST: Mapping[str, int] = {"writes": Limits.WRITES, "reads": Limits.READS, "predictions": Limits.PREDICTIONS}


class Rates:
    """The requests of the last minute."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[float]] = defaultdict(deque)

    def forget(self) -> None:
        """Begin anew."""
        self._seen.clear()

    def exceeded(self, kind: str, at: float) -> float:
        """Count a request; where it is one too many, give the seconds to wait, and do not count it."""
        seen = self._seen[kind]
        while seen and seen[0] <= at - Limits.WINDOW:
            seen.popleft()
        if len(seen) >= MOST[kind]:
            return seen[0] + Limits.WINDOW - at
        seen.append(at)
        return 0.0
