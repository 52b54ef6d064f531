"""A step whose job never ends, to count what watching costs."""

from pydantic import BaseModel

from shared.stages import Job, Pending, Progress, Stage


class Wait(BaseModel):
    """Takes nothing."""


def look(_params: Wait, _job: Job) -> Progress:
    """Say that it is not over."""
    return Pending(note="never over")


STAGES = {Wait: (Stage[Wait]("wait", find=lambda _params, _job: None, start=look, watch=look),)}
