"""How far a command got that takes its time."""

from __future__ import annotations

import sys
import time


class Bar:
    """A progress bar on stderr, where that is a terminal."""

    WIDTH = 30
    EVERY = 0.1

    def __init__(self, *, is_shown: bool = True) -> None:
        self._is_shown = is_shown and sys.stderr.isatty()
        self._began = self._next = time.monotonic()

    def show(self, position: int, size: int, events: int) -> None:
        """Draw it anew, at most ten times a second: how far it got, and how many events that were."""
        if not self._is_shown or (now := time.monotonic()) < self._next:
            return
        self._next = now + self.EVERY
        part = min(position / size, 1) if size else 1
        done = round(part * self.WIDTH)
        rate = events / max(now - self._began, 0.001)
        bar = "█" * done + "░" * (self.WIDTH - done)
        print(
            f"\r{bar} {part:4.0%}  {events:,} events, {rate:,.0f} a second\033[K", end="", file=sys.stderr, flush=True
        )

    def close(self) -> None:
        """Take it off the terminal."""
        if self._is_shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
