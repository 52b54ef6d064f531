"""Runs the demo: `python -m dev.demo`."""

import signal
import sys

signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules load there is nothing to stop: end at once, and quietly

from dev.demo.play import main  # noqa: E402 # after that

if __name__ == "__main__":
    sys.exit(main())
