"""The line that says how far something is: rewritten in place on a terminal, a line per change in a pipe."""

from __future__ import annotations

import shutil
import sys
import time


class Line:
    """One line on stderr, for one stage after the other."""

    def __init__(self, *, is_shown: bool = True) -> None:
        self._is_shown = is_shown
        self._is_terminal = sys.stderr.isatty()
        self._began = time.monotonic()
        self._last = ""

    def show(self, stage: str, note: str) -> None:
        """Say which stage it is, and what is to be said of it."""
        from cli.tables import cut, one_line

        text = one_line(f"{stage}: {note}" if note else stage)
        if not self._is_shown or (text == self._last and not self._is_terminal):
            return
        self._last = text
        if self._is_terminal:
            spent = int(time.monotonic() - self._began)
            room = max(shutil.get_terminal_size().columns - 9, 20)
            print(f"\r{spent // 60:3}:{spent % 60:02} {cut(text, room)}\033[K", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take it off the terminal."""
        if self._is_shown and self._is_terminal and self._last:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
