"""How long the services that a stage asked want to be left alone: `Retry-After` on answers that are no errors.

A resource that is being made says so in the answers about it. Whoever performs a stage listens, so that no client, no
value and no handler has to pass it on.
https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_heard: ContextVar[list[float] | None] = ContextVar("heard", default=None)


@contextmanager
def listening() -> Iterator[list[float]]:
    """Collect what is asked for meanwhile on this thread, in seconds."""
    heard: list[float] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


def asked(seconds: float | None) -> None:
    """Tell whoever listens what a service asks for; None for nothing."""
    heard = _heard.get()
    if heard is not None and seconds is not None:
        heard.append(seconds)
