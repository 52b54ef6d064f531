"""How `reactor ml` names things for people, and asks before it does what cannot be undone."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from cli.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from cli.ml.workspace import Here
    from cli.tables import Cell

ASSET = re.compile(
    r"(?P<parent>.*?)/?(?:models|components|codes|environments|data)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)"
)
REGISTRY = re.compile(r"registries/(?P<name>[^/]+)", re.IGNORECASE)


def asset(asset_id: str) -> str:
    """Name an asset as name:version, and its registry where it is of one.

    >>> asset("azureml://registries/prod/models/credit/versions/12")
    'credit:12 (prod)'
    """
    found = ASSET.fullmatch(asset_id)
    if not found:
        return asset_id or "-"
    registry = REGISTRY.search(found["parent"])
    return f"{found['name']}:{found['version']}" + (f" ({registry['name']})" if registry else "")


def state(text: str) -> Cell:
    """Show a provisioning state, or a job's status."""
    from cli.tables import GREEN, RED, YELLOW, Cell

    colours = {"Succeeded": GREEN, "Completed": GREEN, "Failed": RED, "Canceled": RED}
    return Cell(text, colours.get(text, YELLOW))


def there[T](found: T | None, what: str, here: Here) -> T:
    """Give what was found in the workspace; RefusedError where nothing was."""
    if found is None:
        raise RefusedError(f"{what} is not there, in workspace {here.name}; --workspace names another one")
    return found


def confirmed(question: str) -> bool:
    """Ask a person; UsageError where nobody can answer."""
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Say --yes: there is no terminal to ask on")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
