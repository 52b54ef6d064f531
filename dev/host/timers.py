"""The timer trigger: NCRONTAB with six fields, seconds first, in UTC.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer
One host runs here, so nothing is locked, and what was missed while no host ran is not caught up with.
"""

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime

from azure_functions_runtime.bindings.datumdef import Datum
from croniter import croniter

from dev.host.worker import AppError, Function, Worker


class Timer:
    """Fires one function on its schedule, never twice at a time."""

    def __init__(self, function: Function, worker: Worker) -> None:
        self.function = function
        self.worker = worker
        self.schedule = str(function.trigger["schedule"])
        if len(self.schedule.split()) != 6 or not croniter.is_valid(self.schedule, second_at_beginning=True):
            raise AppError(f'{function.name}: "{self.schedule}" is not an NCRONTAB expression of six fields')

    def next_after(self, moment: datetime) -> datetime:
        """Give the first moment of the schedule after this one; the days of month and week must both match."""
        times = croniter(self.schedule, moment, second_at_beginning=True, day_or=False)
        after: datetime = times.get_next(datetime)
        return after

    async def listen(self, stopping: asyncio.Event) -> None:
        """Fire until told to stop."""
        if self.function.trigger.get("runOnStartup"):
            await self.fire()
        while not stopping.is_set():
            now = datetime.now(UTC)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), (self.next_after(now) - now).total_seconds())
                return
            await self.fire()

    async def fire(self) -> None:
        """Invoke the function now."""
        about = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}
        await self.worker.invoke(self.function, Datum(json.dumps(about), "json"), about="timer")
