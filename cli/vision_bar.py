"""How many images a command is through with."""

from __future__ import annotations

import sys
import time


class Bar:
    """A progress bar on stderr, where that is a terminal."""

    WIDTH = 30
    EVERY = 0.1

    def __init__(self, what: str, *, is_shown: bool = True) -> None:
        self._what = what
        self._is_shown = is_shown and sys.stderr.isatty()
        self._began = self._next = time.monotonic()

    def show(self, done: int, of: int) -> None:
        """Draw it anew, at most ten times a second."""
        if not self._is_shown or (now := time.monotonic()) < self._next:
            return
        self._next = now + self.EVERY
        part = done / of if of else 1.0
        filled = round(part * self.WIDTH)
        rate = done / max(now - self._began, 0.001)
        bar = "█" * filled + "░" * (self.WIDTH - filled)
        text = f"\r{bar} {part:4.0%}  {done:,} of {of:,} {self._what}, {rate:,.0f} a second\033[K"
        print(text, end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take it off the terminal."""
        if self._is_shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
