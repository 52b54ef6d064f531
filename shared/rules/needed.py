"""Which parts of a template are always evaluated, and make it fail where nothing is there."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import nodes

NEEDS: Mapping[type[nodes.Node], tuple[str, ...]] = {
    nodes.Template: ("body",),
    nodes.Output: ("nodes",),
    nodes.If: ("test",),
    nodes.CondExpr: ("test",),
    nodes.Filter: ("node",),
    nodes.Getattr: ("node",),
    nodes.Getitem: ("node",),
    nodes.And: ("left",),
    nodes.Or: ("left",),
    nodes.Not: ("node",),
    nodes.Compare: ("expr",),
    nodes.Concat: ("nodes",),
    **dict.fromkeys((nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod), ("left", "right")),
}
"""Node to the parts of it that are always evaluated, and without which it fails."""


def needed_parts(node: nodes.Node) -> frozenset[int]:
    """Give the ids of those parts of a node: equal ones may stand elsewhere in it."""
    names = NEEDS.get(type(node))
    if names is None:
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
            return frozenset((id(node.node.node),))  # what the method is one of
        return NOTHING
    found: set[int] = set()
    for name in names:
        held = getattr(node, name)
        found.update(map(id, held if isinstance(held, list) else (held,)))
    return frozenset(found)


NOTHING: frozenset[int] = frozenset()
