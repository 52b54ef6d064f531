"""How times are taken: in rounds, everything once a round, so that what disturbs one disturbs all.

A ratio is taken within each round and the median over the rounds is what counts: a machine that is busy with something
else slows both sides of a round, and its worst rounds do not count.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

Clock = Callable[[], float]
CPU: Clock = time.thread_time
"""Seconds this thread has computed: for work that waits for nothing, blind to whoever else is on the machine."""
WALL: Clock = time.perf_counter

Times = Mapping[str, Sequence[float]]
"""Name to seconds a call, one for each round."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some numbers, and how far their middle half reaches."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        """Take median and quartiles."""
        if len(numbers) == 1:
            return cls(numbers[0], numbers[0], numbers[0])
        low, _, high = quantiles(numbers, n=4, method="inclusive")
        return cls(median(numbers), low, high)


def ratio(times: Times, name: str, to: str) -> Spread:
    """Divide one's time by the other's, round by round."""
    return Spread.of([mine / other for mine, other in zip(times[name], times[to], strict=True)])


def best(times: Times, names: Sequence[str]) -> str:
    """Name the fastest of some."""
    return min(names, key=lambda name: median(times[name]))


@dataclass(frozen=True, slots=True)
class Work:
    """What is measured, and how many calls of it make one reading."""

    call: Callable[[], object]
    calls: int = 1


def rounds(works: Mapping[str, Work], count: int, *, clock: Clock = CPU, warm_up: int = 1) -> dict[str, list[float]]:
    """Take `count` readings of each, in turns, after a few that do not count."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(-warm_up, count):
        for name, work in works.items():
            took = reading(work, clock)
            if number >= 0:
                times[name].append(took)
    return times


def reading(work: Work, clock: Clock) -> float:
    """Give the seconds that one call takes."""
    call = work.call
    start = clock()
    for _ in range(work.calls):
        call()
    return (clock() - start) / work.calls


def enough_calls(call: Callable[[], object], *, seconds: float = 0.02) -> int:
    """Choose how many calls make a reading long enough for the clock."""
    call()
    start = CPU()
    call()
    return max(1, int(seconds / max(CPU() - start, 1e-7)))


def peak() -> int:
    """Give the most memory that this process ever had resident, in bytes; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text("utf-8").splitlines() if status.exists() else []
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
