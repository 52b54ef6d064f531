"""What can be made to go wrong: `POST /_faults` with one of these, or a list.

    {"kind": "throttle", "retry_after": 2}       429; without `retry_after` there is no such header
    {"kind": "unavailable"}                      503 in the service's own error shape
    {"kind": "drop"}                             the connection is closed before anything was done
    {"kind": "lost_reply"}                       it is done, then the connection is closed
    {"kind": "slow", "seconds": 5}               answered late (default: 5 s), at once after a reset
    {"kind": "error", "status": 502, "body": "<html>…", "headers": {"Content-Type": "text/html"}}
    {"kind": "lag", "seconds": 60}               a listing does not show what is younger (default: an hour)

Each may say how many requests it takes (`"n"`, default 1), how many matching ones it lets pass before (`"skip"`), and
which ones it means (`"method"`: "POST"; `"path"`: a regular expression that is searched in the path, ignoring case).
"""

import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

DEFAULT_SECONDS = {"slow": 5.0, "lag": 3600.0}
Kind = Literal["throttle", "unavailable", "drop", "lost_reply", "slow", "error", "lag"]


class DroppedError(Exception):
    """The connection is to be closed without an answer."""


@dataclass(kw_only=True)
class Fault:
    """One way to fail, and how often."""

    kind: Kind
    n: int = 1
    skip: int = 0
    method: str = ""
    path: str = ""
    retry_after: float | None = None
    seconds: float = 0.0
    status: int = 500
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a kind that is none."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"'{self.kind}' is none of {', '.join(get_args(Kind))}")
        re.compile(self.path)
        self.seconds = self.seconds or DEFAULT_SECONDS.get(self.kind, 0.0)

    def means(self, method: str, path: str) -> bool:
        """Whether this fault is about such a request."""
        return self.method.upper() in {"", method} and re.search(self.path, path, re.IGNORECASE) is not None

    def dropped(self) -> DroppedError:
        """Give what closes the connection."""
        return DroppedError(self.kind)


class Faults:
    """The faults still to come, oldest first."""

    def __init__(self) -> None:
        self._coming: list[Fault] = []
        self._lock = threading.Lock()
        self._cleared = threading.Event()

    def add(self, given: Any) -> None:
        """Add one fault or a list of them; TypeError or ValueError where one is not understood."""
        faults = [Fault(**fault) for fault in (given if isinstance(given, list) else [given])]
        with self._lock:
            self._coming.extend(faults)

    def clear(self) -> None:
        """Forget them, and be slow no more."""
        with self._lock:
            self._coming.clear()
            self._cleared.set()
            self._cleared = threading.Event()

    def pending(self) -> list[dict[str, Any]]:
        """Those still to come, as JSON."""
        with self._lock:
            return [asdict(fault) for fault in self._coming]

    def take(self, method: str, path: str) -> Fault | None:
        """Give the fault of a request, used up by it."""
        return self._take(method, path, lagging=False)

    def lag(self, method: str, path: str) -> float:
        """By how many seconds a listing is behind."""
        fault = self._take(method, path, lagging=True)
        return fault.seconds if fault else 0.0

    def wait(self, fault: Fault) -> None:
        """Be slow, until the faults are forgotten."""
        self._cleared.wait(fault.seconds)

    def _take(self, method: str, path: str, *, lagging: bool) -> Fault | None:
        with self._lock:
            for fault in self._coming:
                if (fault.kind == "lag") is not lagging or not fault.means(method, path):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.n -= 1
                if fault.n <= 0:
                    self._coming.remove(fault)
                return fault
        return None
