"""Child processes that do not outlive the one that started them."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1


class ChildError(RuntimeError):
    """A child process ended, or was not ready in time; the message shows its last lines."""


class Child:
    """A named child process whose output goes to a log file, or to our stderr where there is none.

    On Linux the kernel kills it when its parent dies, SIGKILL included; so start it from the main thread.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, log: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        output = log.open("wb") if log else sys.stderr
        try:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C reaches the parent alone, which stops its children in order
                preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - it calls prctl and nothing else
            )
        finally:
            if log:
                output.close()

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def tail(self, lines: int = 15) -> str:
        """Give the last lines of the log."""
        if not self.log:
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_for[T](self, ready: Callable[[], T | None], *, seconds: float = 30) -> T:
        """Wait until `ready` answers; ChildError where the process ends first, or takes too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (answer := ready()) is not None:
                return answer
            if (code := self.process.poll()) is not None:
                raise ChildError(f"{self.name} ended with {code} before it was ready\n{self.tail()}")
            time.sleep(0.02)
        raise ChildError(f"{self.name} was not ready after {seconds:.0f} s\n{self.tail()}")

    def stop(self, *, seconds: float = 8) -> None:
        """Ask it to end, then make it; nothing where it has ended already."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


def _die_with(parent: int) -> Callable[[], None] | None:
    """Make the function that a forked child calls so that the kernel kills it together with `parent`."""
    if LIBC is None:
        return None

    def arrange() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return arrange
