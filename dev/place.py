"""A stack's place on disk: its ready file, and beside it a folder for whatever its parts write.

Only one stack has a place at a time. What a killed one left there is cleared away by the next.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from dev.process import ChildError


@contextmanager
def place(ready: Path) -> Iterator[Path]:
    """Take the place of a ready file and give its folder, empty; ChildError names the stack that has it already."""
    folder = ready.with_suffix(".files")
    ready.parent.mkdir(parents=True, exist_ok=True)
    with ready.with_suffix(".lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it however the process ends
        except BlockingIOError:
            lock.seek(0)
            raise ChildError(
                f"another stack has {ready}, process {lock.read()}; end that one, or start this one with "
                "`python -m dev.stack --ready FILE`: `make run` has one FILE a folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        ready.unlink(missing_ok=True)
        rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            ready.unlink(missing_ok=True)
            rmtree(folder, ignore_errors=True)
