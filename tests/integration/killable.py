"""The reactor in a process of its own, which dies in earnest: `python -m tests.integration.killable <JSON>`.

It is told the rules, the time, and what to bring: an event for the door of vision notifications, or "" to sweep up what
a process before it left. With `dies_at` it ends, as if it were killed, before the request of that kind that comes after
so many messages. At its end it prints how much memory it held after a few messages, and at most.
"""

import json
import os
import resource
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

import function_app
from shared import wiring
from shared.settings import Settings
from tests.integration.world import LEASE, Delivery, Wire, World, queue_message

SETTLED = 3
"""Messages after which everything that is ever imported is."""


@dataclass(frozen=True)
class Told:
    """What is to be done."""

    rules: str
    now: str
    event: str = ""
    dies_after: int = 0
    """Messages; 0 for never."""
    dies_at: str = ""


def run(told: Told) -> dict[str, int]:
    """Do everything that is to be done, with the queue in this process."""
    world = World(Settings.read(os.environ), told.rules, Wire(), now=datetime.fromisoformat(told.now))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "reactor", lambda: world.reactor)
        world.wire.install(patch)
        if told.event:
            arrived = Delivery("v1", told.event, visible=world.now, sent=world.now)
            function_app.on_vision_notification(queue_message(arrived))
        else:
            world.now += 2 * LEASE  # what died had claimed it
            world.reactor.sweep()
        return deliver(world, told)


def deliver(world: World, told: Told) -> dict[str, int]:
    """Deliver what is in the queue until nothing is."""
    count = first = 0

    def die(where: str) -> None:
        if count >= told.dies_after and where.startswith("before ") and where.endswith(told.dies_at):
            os._exit(9)

    if told.dies_after:
        world.wire.boundary = die
    while world.queue:
        message = min(world.queue, key=lambda waiting: waiting.visible)
        world.now = max(world.now, message.visible) + timedelta(milliseconds=1)
        world.deliver(message)
        count += 1
        first = peak() if count == SETTLED else first
    return {"messages": count, "first": first, "last": peak()}


def peak() -> int:
    """Say how much memory this process has held at most, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(json.dumps(run(Told(**json.loads(sys.argv[1])))))  # it is what the test reads
