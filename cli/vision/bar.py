"""How many images a command is through with."""

from __future__ import annotations

import sys
import time


class Bar:
    """A progress bar on stderr; where that is no terminal, a line every so often."""

    WIDTH = 30
    EVERY = 0.1
    LINE_EVERY = 15.0
    """Seconds from one line to the next: whoever reads a log sees that it goes on, and what is quick says nothing."""

    def __init__(self, what: str, *, is_shown: bool = True) -> None:
        self._what = what
        self._is_shown = is_shown
        self._is_terminal = sys.stderr.isatty()
        self._every = self.EVERY if self._is_terminal else self.LINE_EVERY
        self._began = time.monotonic()
        self._next = self._began + (0.0 if self._is_terminal else self._every)

    def show(self, done: int, of: int) -> None:
        """Draw it anew, at most ten times a second."""
        if not self._is_shown or (now := time.monotonic()) < self._next:
            return
        self._next = now + self._every
        rate = done / max(now - self._began, 0.001)
        said = f"{done:,} of {of:,} {self._what}, {rate:,.0f} a second"
        if not self._is_terminal:
            print(said, file=sys.stderr, flush=True)
            return
        part = done / of if of else 1.0
        filled = round(part * self.WIDTH)
        bar = "█" * filled + "░" * (self.WIDTH - filled)
        print(f"\r{bar} {part:4.0%}  {said}\033[K", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take it off the terminal."""
        if self._is_shown and self._is_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
