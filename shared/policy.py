"""What a rule says about when it may act: limits, what calls it off, and what it expects to follow.

Pure data. `limits` decides by a limit, from what storage remembers of it.
"""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
PERIODS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
LONGEST = timedelta(days=366)
DURATION = re.compile(r"(?P<number>\d{1,6})(?P<unit>[smhd])\Z")
AT_MOST = re.compile(rf"(?P<number>\d{{1,6}}) per (?P<period>{'|'.join(PERIODS)})\Z")
THRESHOLD = re.compile(r"(?P<number>\d{1,4}) within (?P<duration>\w+)\Z")
MOST_COUNTED = 1_000
"""Events that a limit may count: each is kept for as long as it counts."""


def read_duration(text: str) -> timedelta:
    """Read a duration such as 90s, 10m, 24h or 7d; ValueError says what is wrong with it."""
    found = DURATION.match(text)
    if not found:
        raise ValueError("must be a duration, such as 90s, 10m, 24h or 7d")
    duration = timedelta(**{UNITS[found["unit"]]: int(found["number"])})
    if not timedelta() < duration <= LONGEST:
        raise ValueError("must be longer than nothing and at most 366d")
    return duration


def show_duration(duration: timedelta) -> str:
    """Write a duration as rules do: in its largest whole unit of which there are more than one, or in hours."""
    seconds = int(duration.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0 and seconds >= (2 * size if unit == "d" else size):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _duration(value: Any) -> Any:
    """Take a duration as rules write it; a record has it as pydantic does."""
    if isinstance(value, timedelta) or (isinstance(value, str) and value.startswith("P")):
        return value
    return read_duration(value if isinstance(value, str) else "")


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, Field(pattern=r"^\d{1,6}[smhd]$")]),
]
"""A time span, written 90s, 10m, 24h or 7d."""


class Part(BaseModel):
    """A part of a rule: known keys only, and none of them changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Rate(Part):
    """So many in a time: `4 per day`, `3 within 1h`."""

    count: int = Field(ge=1)
    within: timedelta


def _at_most(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = AT_MOST.match(value)
    if not found:
        raise ValueError(f"must be a number per {', '.join(PERIODS)}, such as 4 per day")
    return {"count": int(found["number"]), "within": PERIODS[found["period"]]}


def _threshold(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = THRESHOLD.match(value)
    if not found:
        raise ValueError("must be a number within a duration, such as 3 within 1h")
    return {"count": int(found["number"]), "within": read_duration(found["duration"])}


def _countable(rate: Rate) -> Rate:
    if rate.count > MOST_COUNTED:
        raise ValueError(f"must count at most {MOST_COUNTED}")
    return rate


def _several(rate: Rate) -> Rate:
    if rate.count < 2:
        raise ValueError("must wait for 2 events or more: for 1 it is no threshold")
    return _countable(rate)


def _paths(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Paths = Annotated[
    tuple[str, ...], BeforeValidator(_paths, json_schema_input_type=str | Annotated[list[str], Field(min_length=1)])
]
"""One path to a field of the event, or several."""


class Limit(Part):
    """How often a rule acts: everything but `at_most` counts for each value of `per` by itself."""

    per: Paths = Field(default=(), description="Paths: each of their values is limited by itself, but for at_most.")
    cooldown: Duration | None = Field(default=None, description="So long after it acted, it acts on nothing more.")
    at_most: Annotated[
        Annotated[Rate, AfterValidator(_countable)] | None,
        BeforeValidator(
            _at_most, json_schema_input_type=Annotated[str, Field(pattern=rf"^\d+ per ({'|'.join(PERIODS)})$")]
        ),
    ] = Field(default=None, description="The rule acts so often in any such period, whatever per says: 4 per day.")
    threshold: Annotated[
        Annotated[Rate, AfterValidator(_several)] | None,
        BeforeValidator(
            _threshold, json_schema_input_type=Annotated[str, Field(pattern=r"^\d+ within \d{1,6}[smhd]$")]
        ),
    ] = Field(default=None, description="It acts on the Nth event within a time, and counts anew: 3 within 1h.")
    debounce: Duration | None = Field(
        default=None, description="It acts once nothing came for so long, on the newest event."
    )
    digest: Duration | None = Field(
        default=None, description="It acts so long after the first event, once for all that came."
    )
    concurrency: Literal["skip", "queue", "replace"] | None = Field(
        default=None, description="While it is still acting on another event: skip this one, queue it, or replace that."
    )

    @property
    def only_at_most(self) -> bool:
        """Whether nothing is limited but how often the rule acts altogether."""
        return not (self.cooldown or self.threshold or self.debounce or self.digest or self.concurrency)


class CancelOn(Part):
    """What calls off an action of the rule that has not started anything irreversible yet."""

    on: Annotated[
        tuple[str, ...],
        BeforeValidator(_paths, json_schema_input_type=str | Annotated[list[str], Field(min_length=1)]),
    ] = Field(min_length=1, description="The kinds of event that call it off.")
    per: Paths = Field(default=(), description="Paths that must say the same in both events; as in limit, if left out.")


class Expectation(Part):
    """Which event should follow, and how soon; ExpectationMissed says that it did not."""

    kind: str = Field(description="The kind of event that should follow.")
    within: Duration = Field(description="How long it may take.")
    per: Paths = Field(default=(), description="Paths that must say the same in both events.")


class Told(BaseModel):
    """One event of a digest, as it is listed."""

    model_config = ConfigDict(frozen=True)

    key: str
    kind: str
    subject: str
    source: str
    time: datetime | None = None
