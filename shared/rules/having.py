"""Whether the declared entries that a step can mean have what the step needs of them, such as a replica."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.rules import templates
from shared.rules.declared import Names, source_key
from shared.rules.problems import Level
from shared.rules.scope import Scope


def lacking(marker: Names, value: Any, declared: Mapping[str, Any], scope: Scope) -> tuple[Level, str]:
    """Say what lacks what a step needs, and how bad it is: an error where the step can never work; "" where nothing is.

    `value` is the parameter, or its default; `declared` are the entries as they are written.
    """
    meant = list(_meant(marker, value, declared, scope))
    without = [name for name in meant if isinstance(declared[name], dict) and declared[name].get(marker.has) is None]
    named = " and ".join(f"{marker.section}.{name}" for name in without)
    words = f"{named} {'has' if len(without) == 1 else 'have'} none"
    if without and len(without) == len(meant):
        return "error", f"{words}, so this step would always fail"
    if without and _is_events(marker, value) and not scope.has_filter:
        return "warning", f"{words}, so this step would fail there: say in `from` or `where` which are meant"
    return "note", ""


def _meant(marker: Names, value: Any, declared: Mapping[str, Any], scope: Scope) -> Iterator[str]:
    """List the entries that a step can mean: what it names, else those whose events the rule hears, else all."""
    if not isinstance(value, str):
        return
    if not templates.is_open(value):
        found = value if value in declared else _first(value, declared)
        yield from [found] if found else []
    elif _is_events(marker, value) and scope.sources:
        yield from dict.fromkeys(
            _first(_id(declared[name]), declared) or name for name in declared if name in scope.sources
        )
    else:
        yield from declared


def _is_events(marker: Names, value: Any) -> bool:
    """Tell whether what is named is where the event comes from."""
    return isinstance(value, str) and value.replace(" ", "") == f"{{{{{marker.section}.project}}}}"


def _first(id_: str, declared: Mapping[str, Any]) -> str:
    """Give the first name that an id is declared by: steps go by that one."""
    wanted = _key(id_)
    return next((name for name, entry in declared.items() if wanted and _key(_id(entry)) == wanted), "")


def _id(entry: Any) -> str:
    return str(entry.get("project", "")) if isinstance(entry, dict) else ""


def _key(id_: str) -> str:
    return id_ if templates.is_open(id_) else source_key(f"customvision/{id_}") if id_ else ""
