"""The settings that a rules file refers to as `${NAME}`: which ones, and where each is written first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yaml import Node

    from shared.rules import Problem, Rules


def needs(text: str, rules: Rules) -> dict[str, tuple[int, int]]:
    """Give the line and the column of each setting's first mention; 1, 1 for those that are needed by default."""
    from shared.rules.document import compose

    found: dict[str, tuple[int, int]] = {}
    root = compose(text, [])
    for name, line, column in _mentions(root) if root is not None else ():
        found.setdefault(name, (line, column))
    channels = [channel.model_dump(mode="json") for channel in rules.declared.channels.values()]
    for name in _names(channels):
        found.setdefault(name, (1, 1))
    return found


def unset(text: str, rules: Rules, known: Iterable[str], told: Iterable[Problem]) -> Iterator[Problem]:
    """Warn of each setting that is not among those known, but for those that a problem tells of already."""
    from shared.rules import Problem

    said = " ".join(problem.message for problem in told if "is not set" in problem.message)
    names = frozenset(known)
    for name, (line, column) in needs(text, rules).items():
        if name not in names and name not in said.replace(",", " ").split():
            yield Problem(line, column, f"the setting {name} is not set: what needs it will fail", "warning")


def _mentions(root: Node) -> Iterator[tuple[str, int, int]]:
    """Give every mention with its place, in the order of the file; an anchor is looked into once."""
    from yaml import MappingNode, ScalarNode, SequenceNode

    from shared.rules.templates import setting_names

    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, ScalarNode):
            for name in setting_names(node.value):
                yield name, node.start_mark.line + 1, node.start_mark.column + 1
        elif isinstance(node, SequenceNode):
            waiting += reversed(node.value)
        elif isinstance(node, MappingNode):
            waiting += [part for pair in reversed(node.value) for part in reversed(pair)]


def _names(value: Any) -> Iterator[str]:
    from shared.rules.templates import setting_names

    if isinstance(value, str):
        yield from setting_names(value)
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _names(inner)
