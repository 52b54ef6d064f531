"""Which iteration a command of `reactor vision` is about, and how long it may take."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING

from cli.errors import RefusedError

if TYPE_CHECKING:
    from cli.vision.project import Here


def iteration_of(wanted: str | None, here: Here) -> str:
    """Find an iteration by its id or its name; "" means the one that was trained last."""
    from shared.handlers.declared import guid
    from shared.rules.problems import did_you_mean

    there = here.vision.iterations.list(here.at, here.project)
    if not wanted:
        trained = [one for one in there if one.is_good and one.trained_at]
        if not trained:
            raise RefusedError(f"{here.name} has no trained iteration: `reactor vision train` trains one")
        return max(trained, key=lambda one: one.trained_at.timestamp() if one.trained_at else 0).id
    found = [one for one in there if one.id == guid(wanted) or one.name == wanted]
    if len(found) != 1:
        names = [one.name for one in there]
        known = f"{did_you_mean(wanted, names)}; it has {', '.join(names) or 'none'}"
        many = f"has {len(found)} iterations called {wanted}: give the id"
        raise RefusedError(f"{here.name} {many}" if found else f"{here.name} has no iteration {wanted}{known}")
    return found[0].id


def add_iteration(one: ArgumentParser) -> None:
    """Let a command say which iteration it means."""
    one.add_argument("--iteration", metavar="ID|NAME", help="default: the one that was trained last")


def add_within(one: ArgumentParser, what: str) -> None:
    """Let a command say how long it may take."""
    one.add_argument("--within", metavar="TIME", help=f"{what}, such as 30m")
