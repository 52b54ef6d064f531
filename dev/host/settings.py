"""What host.json says, checked, and how one lease scales the app's own times."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

LEASE_SECONDS = 600.0
"""The queue trigger's lease in Azure; it cannot be set there."""


class Section(BaseModel):
    """A part of host.json; what this host does not know is for the real one."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")


class Queues(Section):
    """`extensions.queues`: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue."""

    batch_size: int = Field(16, ge=1, le=32)
    new_batch_threshold: int = Field(-1, ge=0)
    visibility_timeout: timedelta = Field(timedelta(), ge=timedelta(), le=timedelta(days=7))
    max_dequeue_count: int = Field(5, ge=1)
    max_polling_interval: timedelta = Field(timedelta(minutes=1), ge=timedelta(milliseconds=100))
    message_encoding: Literal["none", "base64"] = "base64"

    @model_validator(mode="after")
    def _threshold(self) -> "Queues":
        """Half a batch, as on an instance with one core, where nothing is said."""
        if self.new_batch_threshold < 0:
            self.new_batch_threshold = self.batch_size // 2
        return self


class Http(Section):
    """`extensions.http`."""

    route_prefix: str = "api"


class Extensions(Section):
    """`extensions`."""

    queues: Queues = Field(default_factory=Queues)
    http: Http = Field(default_factory=Http)


class Logging(Section):
    """`logging`."""

    log_level: dict[str, str] = Field(default_factory=dict)


class HostJson(Section):
    """The whole file."""

    version: Literal["2.0"]
    function_timeout: timedelta | Literal["-1"] = timedelta(minutes=30)
    extensions: Extensions = Field(default_factory=Extensions)
    logging: Logging = Field(default_factory=Logging)

    @classmethod
    def read(cls, app: Path) -> "HostJson":
        """Read an app's host.json; pydantic's ValidationError names what is wrong in it.

        The real host lets comments pass in this file and this one does not.
        """
        return cls.model_validate_json((app / "host.json").read_text(encoding="utf-8"))

    @property
    def timeout_seconds(self) -> float | None:
        """How long one invocation may take; None where it is unbounded."""
        return None if self.function_timeout == "-1" else self.function_timeout.total_seconds()


def timing(lease: float) -> dict[str, str]:
    """Give the app's settings that go with a lease of so many seconds, in Azure's proportions."""
    sweep = max(1, round(lease / 2))
    return {
        "REACTOR_LEASE_SECONDS": f"{lease:g}",
        "REACTOR_POLL_SECONDS": f"{lease / 20:g}",
        "REACTOR_SCHEDULE": f"*/{sweep} * * * * *" if sweep < 60 else f"0 */{sweep // 60} * * * *",
    }
