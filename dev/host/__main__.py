"""Runs the app in a local Functions host: `python -m dev.host --attach FILE`.

FILE is the stack's ready file: it holds the app's settings, and is told where this host answers and its process id.
The host ends on SIGTERM, or when the stack that wrote the file has gone.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dev.host.http import Front, Server
from dev.host.queues import QueueListener
from dev.host.settings import LEASE_SECONDS, HostJson, timing
from dev.host.timers import Timer
from dev.host.worker import AppError, Function, Worker, load

logger = logging.getLogger("host")

REPOSITORY = Path(__file__).parents[2]
GRACE_SECONDS = 4
"""How long invocations may still run after SIGTERM; what is cut off comes back when its lease lapses."""
STORAGE_THREADS = 64


def main() -> None:
    """Read the arguments, take over the stack's settings, and run."""
    parser = argparse.ArgumentParser(prog="python -m dev.host", description="Runs the app in a local Functions host.")
    parser.add_argument("--attach", type=Path, required=True, metavar="FILE", help="the stack's ready file")
    parser.add_argument("--app", type=Path, metavar="DIR", help="the function app's folder; default: the stack's")
    parser.add_argument("--lease", type=float, metavar="SECONDS", help="how long a queue message is leased")
    parser.add_argument("--port", type=int, help="default: the port of the host before, else any free one")
    arguments = parser.parse_args()

    attach = arguments.attach.absolute()
    stack = json.loads(attach.read_text(encoding="utf-8"))
    settings = stack.get("settings", {})
    lease = arguments.lease or float(settings.get("REACTOR_LEASE_SECONDS", LEASE_SECONDS))
    os.environ.update({**timing(lease), **settings, "REACTOR_LEASE_SECONDS": f"{lease:g}"})
    app = (arguments.app or Path(stack.get("app", REPOSITORY))).absolute()
    port = arguments.port if arguments.port is not None else urlsplit(stack.get("functions", "")).port or 0
    try:
        asyncio.run(Host(app, lease).run(attach, port, stack.get("stack_pid")))
    except AppError as error:
        sys.exit(f"host: {error}")


class Host:
    """The app's functions, each with the trigger that feeds it."""

    def __init__(self, app: Path, lease: float) -> None:
        self.host_json = HostJson.read(app)
        log_to_stderr(self.host_json.logging.log_level)
        self.lease = lease
        self.worker = Worker({each.name: each for each in load(app)}, self.host_json.timeout_seconds)

    async def run(self, attach: Path, port: int, stack_pid: int | None) -> None:
        """Serve until told to stop; then take nothing new, and end what runs."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(STORAGE_THREADS, "storage"))
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)

        triggers: list[QueueListener | Timer] = [
            *(self.listener(function) for function in self.worker.triggered_by("queueTrigger")),
            *(Timer(function, self.worker) for function in self.worker.triggered_by("timerTrigger")),
        ]
        server = Server(Front(self.worker, self.host_json.extensions.http.route_prefix, loop), port)
        announce(attach, functions=server.url, host_pid=os.getpid())
        logger.info("%d functions, lease %g s, %s", len(self.worker.functions), self.lease, server.url)

        tasks = [asyncio.create_task(trigger.listen(stopping)) for trigger in triggers]
        tasks.append(asyncio.create_task(watch(stack_pid, stopping)))
        await stopping.wait()
        await asyncio.to_thread(server.stop)
        _, cut_off = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        withdraw(attach)
        logger.info("stopped%s", f"; {len(cut_off)} triggers had work in hand" if cut_off else "")
        logging.shutdown()
        os._exit(0)  # threads that still run an invocation would keep the process alive

    def listener(self, function: Function) -> QueueListener:
        """Make the listener of a queue function."""
        connection = os.environ.get(str(function.trigger["connection"]), "")
        if not connection:
            raise AppError(f"{function.name}: the connection string {function.trigger['connection']} is not set")
        return QueueListener(function, self.worker, connection, self.host_json.extensions.queues, self.lease)


async def watch(stack_pid: int | None, stopping: asyncio.Event) -> None:
    """Stop when the stack has gone."""
    while stack_pid and not stopping.is_set():
        try:
            os.kill(stack_pid, 0)
        except ProcessLookupError:
            stopping.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), 0.5)


def announce(file: Path, **facts: Any) -> None:
    """Write facts into the stack's file, so that a reader sees either all of them or none."""
    facts = json.loads(file.read_text(encoding="utf-8")) | facts
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    draft.rename(file)


def withdraw(file: Path) -> None:
    """Take our process id out of the stack's file, if it is ours still and the file is there."""
    with suppress(FileNotFoundError):
        if json.loads(file.read_text(encoding="utf-8"))["host_pid"] == os.getpid():
            announce(file, host_pid=None)


def log_to_stderr(levels: dict[str, str]) -> None:
    """Write every logger's lines to stderr, at the levels of host.json: "default", and any logger's name."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        stream=sys.stderr, format="%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s: %(message)s", datefmt="%H:%M:%S"
    )
    words = {"trace": "DEBUG", "information": "INFO", "none": "CRITICAL"}
    for name, level in ({"default": "Information"} | levels).items():
        logging.getLogger(None if name == "default" else name).setLevel(words.get(level.lower(), level.upper()))


if __name__ == "__main__":
    main()
