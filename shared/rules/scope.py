"""What a step may read: the fields of the event, the results of the steps before it, and what a limit gathered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from yaml import Node

from shared.actions import Failure
from shared.rules import templates
from shared.rules.kinds import ENVELOPE, KINDS, NAMESPACES, Family
from shared.rules.paths import Keys, show_path
from shared.rules.problems import did_you_mean, shorten
from shared.rules.reading import Reading

Results = tuple[str, ...] | None
"""The paths of what a step gives; None where nobody says."""

DERIVED = NAMESPACES - {"data"}
"""What only this program writes: a field that a kind has not got here is never there; the wire may bring more."""
FAILURE = tuple(Failure.model_fields)
"""What there is to say of a step that failed."""
ELSEWHERE = {"failure": ": it is only under on_failure and in what ActionFailed tells"}
"""Namespace to where it can be read."""


@dataclass(slots=True)
class Scope:
    """What the templates of a step may read: the events of these kinds, and the steps before it."""

    kinds: frozenset[str]
    steps: dict[str, Results] = field(default_factory=dict)
    """By id."""
    after_failure: bool = False
    has_digest: bool = False
    """Whether the rule answers several events at once, which templates know as `digest`."""
    sources: frozenset[str] = frozenset()
    """Declared names that the rule listens to; empty for every one."""
    has_filter: bool = False
    """Whether the rule answers only some of their events."""

    def families(self) -> frozenset[Family]:
        """Tell where the events come from."""
        return frozenset(KINDS[kind].family for kind in self.kinds)


@lru_cache(maxsize=8192)
def _some_kind_has(kinds: frozenset[str], keys: Keys) -> bool:
    return any(KINDS[kind].has(keys) for kind in kinds)


def check_field(
    reading: Reading, node: Node, keys: Keys, kinds: frozenset[str], what: str = "", *, is_needed: bool = False
) -> None:
    """Warn of a field that no event of these kinds has; it is an error where a step would fail without it."""
    if not kinds or _some_kind_has(kinds, keys):
        return
    known = [*ENVELOPE]
    for kind in kinds:
        known += [f"{namespace}.{name}" for namespace, names in KINDS[kind].fields.items() for name in names]
    path = show_path(keys)
    meant = did_you_mean(f"data.{path}" if f"data.{path}" in known else path, known)
    message = f"{what}no {' or '.join(sorted(kinds))} has {path}{ELSEWHERE.get(keys[0], '') or meant}"
    if is_needed and keys[0] in DERIVED:
        reading.error(node, f"{message}, so this step would always fail")
    else:
        reading.warn(node, message)


def check_text(
    reading: Reading, node: Node, text: str, scope: Scope, what: str = "", *, offered: frozenset[str] = frozenset()
) -> None:
    """Check the templates and settings of a parameter, and that what they read can be there.

    `offered` are the names that the step itself looks up.
    """
    reading.setting(node, text)
    if not templates.is_template(text):
        return
    try:
        references = templates.compile_template(text).references
    except ValueError as error:
        reading.error(node, f"bad template {shorten(text)}: {error}")
        return
    for reference in references:
        keys = reference.keys
        if keys[0] == "steps":
            check_result(reading, node, keys, scope, what)
        elif keys[0] == "digest":
            if reference.strict and not scope.has_digest:
                reading.error(node, f"{what}there is no digest: it is what a limit with `digest` gathered")
        elif keys[0] in offered or keys[0] == "action" or not reference.strict:
            continue
        elif keys[0] == "failure" and scope.after_failure:
            _check_failure(reading, node, keys, what)
        else:
            check_field(reading, node, keys, scope.kinds, what, is_needed=reference.needed)


def _check_failure(reading: Reading, node: Node, keys: Keys, what: str) -> None:
    """Check what is asked of a failed step."""
    if len(keys) > 1 and keys[1] not in FAILURE:
        reading.error(node, f"{what}a failure has no {keys[1]}{did_you_mean(str(keys[1]), FAILURE)}")


def check_result(reading: Reading, node: Node, keys: Keys, scope: Scope, what: str = "") -> None:
    """Check that a step comes before this one, and warn of a result that it never gives: `steps`, its id and a path."""
    if len(keys) < 2:
        return
    _, id_, *path = keys
    if id_ not in scope.steps:
        meant = did_you_mean(id_, scope.steps) or _give_id(id_, scope.steps)
        reading.error(node, f'{what}no step "{id_}" comes before this one{meant}')
        return
    results = scope.steps[id_]
    if path and results is not None and not any(_fits(path, result.split(".")) for result in results):
        missing = show_path(tuple(path))
        meant = did_you_mean(missing, results) or f": it gives {', '.join(results)}"
        reading.warn(node, f'{what}step "{id_}" gives no {missing}{meant}')


def _fits(path: list[str], result: list[str]) -> bool:
    """Tell whether a path leads to a result, to what holds it or into it."""
    shorter = min(len(path), len(result))
    return path[:shorter] == result[:shorter]


def _give_id(wanted: str, steps: Iterable[str]) -> str:
    """Tell how a step is called that is meant by a part of its action's name, such as run of run.data_factory."""
    meant = next((step for step in steps if wanted in step.split(".")), "")
    return f": give {meant} `id: {wanted}`" if meant else ""
