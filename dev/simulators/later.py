"""What a service does some time after it answered."""

import sys
import threading
from collections.abc import Callable
from traceback import print_exc


class Later:
    """Things to do after a delay, each in a thread of its own, until they are forgotten."""

    def __init__(self) -> None:
        self._timers: set[threading.Timer] = set()
        self._lock = threading.Lock()

    def do(self, seconds: float, act: Callable[[], None]) -> None:
        """Do it after a delay, unless everything is forgotten before."""

        def run() -> None:
            with self._lock:
                if timer not in self._timers:
                    return
                self._timers.remove(timer)
            try:
                act()
            except Exception:  # noqa: BLE001  # it has no caller to raise to
                print("simulator: what it meant to do later failed", file=sys.stderr)
                print_exc()

        timer = threading.Timer(seconds, run)
        timer.daemon = True
        with self._lock:
            self._timers.add(timer)
        timer.start()

    def forget(self) -> None:
        """Do none of what has not begun."""
        with self._lock:
            timers, self._timers = self._timers, set()
        for timer in timers:
            timer.cancel()
