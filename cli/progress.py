"""How far a command got that takes its time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

UNITS = ("B", "KB", "MB", "GB", "TB")


def events(number: int, seconds: float) -> str:
    """Say how many events that were."""
    return f"{number:,} events, {number / seconds:,.0f} a second"


def in_bytes(total: int) -> Callable[[int, float], str]:
    """Say how many bytes of how many that were; what was there at the beginning was not brought this fast."""
    first: int | None = None

    def told(number: int, seconds: float) -> str:
        nonlocal first
        first = number if first is None else first
        return f"{size(number)} of {size(total)}, {size((number - first) / seconds)} a second"

    return told


def size(number: float) -> str:
    """Write a number of bytes as people do.

    >>> size(999), size(1000), size(64 * 1024 * 1024)
    ('999 B', '1.0 KB', '67.1 MB')
    """
    unit = 0
    while number >= 999.95 and unit < len(UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.1f} {UNITS[unit]}" if unit else f"{number:.0f} B"


class Bar:
    """A progress bar on stderr, where that is a terminal."""

    WIDTH = 30
    EVERY = 0.1

    def __init__(self, *, is_shown: bool = True, told: Callable[[int, float], str] = events) -> None:
        """`told` says how many of what were done in so many seconds."""
        self._told = told
        self._is_shown = is_shown and sys.stderr.isatty()
        self._began = self._next = time.monotonic()

    def show(self, position: int, size: int, number: int) -> None:
        """Draw it anew, at most ten times a second: how far it got, and how many that were."""
        if not self._is_shown or (now := time.monotonic()) < self._next:
            return
        self._next = now + self.EVERY
        part = min(position / size, 1) if size else 1
        done = round(part * self.WIDTH)
        told = self._told(number, max(now - self._began, 0.001))
        bar = "█" * done + "░" * (self.WIDTH - done)
        print(f"\r{bar} {part:4.0%}  {told}\033[K", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take it off the terminal."""
        if self._is_shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
