"""The part of Jinja2 that templates may use: expressions, `if`, and `for` over what an event brings.

Nothing here can loop without end, grow without bound or reach into Python: a template holds only the nodes,
filters and methods listed below, a number is never a length, and all of its work comes out of one budget.
Only JSON leaves.
Imported only where there is a template: Jinja2 takes longer to load than the rest of a cold start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS

from shared.rules.bounds import (
    BUDGET,
    OWN_FILTERS,
    charged,
    counted,
    only_json,
    paid,
    pay,
    refuse_large,
    refuse_long_number,
)
from shared.rules.needed import NOTHING, needed_parts
from shared.rules.paths import Keys, canonical
from shared.rules.problems import did_you_mean
from shared.rules.unfillable import unfillable

LONGEST = 20_000
"""Characters that a template may have."""
DEEPEST = 30
"""Levels that its expressions and blocks may nest."""
SETTING = re.compile(r"(?<!\$)\$++(?=\{[A-Za-z_][\w.]*\})")
"""The dollars of what reads as a setting: an odd number of them asks for it, each two are one dollar of a text."""
OWN_SETTING = re.compile(r"(?<!\$)\$++\{[A-Za-z_][\w.]*\}")
MARK = "\0"
"""Stands around the settings that the template itself has, until the event's own texts are escaped."""
PASSED_THROUGH = re.compile(r"\$\{\{[^{}]*\}\}")
"""Azure ML's own expressions: `${{inputs.data}}`."""

NODES = frozenset(
    {
        *("Template", "Output", "TemplateData", "Name", "Const", "List", "Tuple", "Dict", "Pair"),
        *("Keyword", "For", "If", "CondExpr", "Getattr", "Getitem", "Slice", "Filter", "Test", "Call"),
        *("Compare", "Operand", "And", "Or", "Not", "Neg", "Pos", "Add", "Sub", "Mul", "Div", "FloorDiv"),
        *("Mod", "Concat"),
    }
)
FILTERS = frozenset(
    {
        *("abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items"),
        *("join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr"),
        *("replace", "round", "select", "selectattr", "sort", "string", "sum", "title", "tojson", "trim"),
        *("truncate", "unique", "upper", "urlencode"),
    }
)
METHODS = frozenset(
    {
        *("get", "items", "keys", "values", "lower", "upper", "title", "capitalize", "strip", "lstrip"),
        *("rstrip", "split", "rsplit", "startswith", "endswith", "removeprefix", "removesuffix"),
    }
)
LOOP = frozenset(["index", "index0", "revindex", "revindex0", "first", "last", "length"])
TESTS = frozenset(
    {
        *(
            "defined",
            "undefined",
            "none",
            "boolean",
            "true",
            "false",
            "number",
            "integer",
            "float",
            "string",
            "mapping",
        ),
        *(
            "sequence",
            "iterable",
            "in",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "odd",
            "even",
            "divisibleby",
            "lower",
            "upper",
        ),
    }
)
MISSING_IS_FINE = frozenset({"default", "d", "defined", "undefined"})
ERRORS = (
    *(TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError),
    *(RecursionError, MemoryError, SyntaxError, AssertionError),
)
"""What evaluating an expression that somebody wrote can raise."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 with items before attributes, only harmless attributes, and nothing that grows beyond bounds."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Read `obj.attribute`: an item wins over a method of the same name."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        if attribute in METHODS and isinstance(obj, Mapping | str):
            return getattr(obj, attribute, None) or self.undefined(obj=obj, name=attribute)
        if attribute in LOOP and type(obj).__name__ == "LoopContext":
            return getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Read `obj[argument]`, which is never an attribute."""
        try:
            return obj[argument]
        except (TypeError, LookupError, AttributeError):
            return self.undefined(obj=obj, name=argument)

    def call(self, context: Context, method: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method; those of texts pay for what they go through and give."""
        result = super().call(context, method, *args, **kwargs)
        owner = getattr(method, "__self__", None)
        if isinstance(owner, str):
            pay(context, [owner, result])
        return result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate with numbers of a usual size, and put texts or lists together; `*` and `%` never repeat or pad."""
        if isinstance(left, int | float) and isinstance(right, int | float):
            refuse_long_number(left)
            refuse_long_number(right)
        elif operator != "+":
            raise TypeError(f"{operator} is for numbers")
        elif isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
            pay(context, [left, right])
        return super().call_binop(context, operator, left, right)


def _output(value: Any) -> str:
    """Write a value into a text; what is not data has no place there, nor has the mark of a setting."""
    if type(value) is str:
        return value.replace(MARK, "")
    return str(only_json(value)).replace(MARK, "")


def _environment() -> Sandbox:
    environment = Sandbox(
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        optimized=False,  # constant expressions are not calculated while compiling
        comment_start_string="{#\0",
        finalize=_output,
        cache_size=0,
    )
    environment.globals = {"range": lambda *bounds: range(*bounds)[:1000]}
    filters: dict[str, Any] = {**JINJA_FILTERS, **OWN_FILTERS}
    environment.filters = {name: charged(filters[name]) for name in FILTERS}
    environment.filters |= {" counted": counted, " paid": paid}
    tests: dict[str, Any] = {**JINJA_TESTS}
    environment.tests = {name: charged(tests[name]) for name in TESTS}
    return environment


ENVIRONMENT = _environment()


@dataclass(frozen=True, slots=True)
class Reference:
    """A path that a template reads, and whether it minds that nothing is there."""

    keys: Keys
    strict: bool
    needed: bool = False
    """Whether filling the template is certain to read it, and fails where nothing is there."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template that was found to be harmless."""

    tree: nodes.Template
    references: tuple[Reference, ...]


def compile_template(text: str) -> Compiled:
    """Parse a template and check that it stays within bounds; ValueError says what is wrong with it."""
    if len(text) > LONGEST:
        raise ValueError(f"it has {len(text)} characters, more than {LONGEST}")
    try:
        tree = ENVIRONMENT.parse(PASSED_THROUGH.sub(r"{% raw %}\g<0>{% endraw %}", text))
        references = list(_check(tree, frozenset({"loop"}), strict=True, level=0, needed=True))
    except TemplateSyntaxError as error:
        raise ValueError(unfillable(error.message or "")) from None
    except (RecursionError, MemoryError):
        raise ValueError(f"it nests deeper than {DEEPEST} levels") from None
    return Compiled(tree, tuple(references))


def _check(
    node: nodes.Node, local: frozenset[str], *, strict: bool, level: int, needed: bool = False
) -> Iterator[Reference]:
    """Refuse what templates may not do, spell the platform's fields as events do, and give the paths that are read."""
    _refuse(node, level)
    if isinstance(node, nodes.TemplateData):
        node.data = OWN_SETTING.sub(rf"{MARK}\g<0>{MARK}", node.data.replace(MARK, ""))
    chain = _chain(node)
    if chain is not None:
        if chain[0] not in local:
            yield Reference(_respell(node, chain), strict, strict and needed)
        return
    if isinstance(node, nodes.For):
        yield from _check(node.iter, local, strict=strict, level=level + 1, needed=needed)
        node.iter = _through(" counted", node.iter)
        local |= {name.name for name in nodes.Tuple([node.target], "store").find_all(nodes.Name)}
    strict = strict and not (isinstance(node, nodes.Filter | nodes.Test) and node.name in MISSING_IS_FINE)
    always = needed_parts(node) if needed and strict else NOTHING
    for part in _parts(node):
        yield from _check(part, local, strict=strict, level=level + 1, needed=id(part) in always)
    if isinstance(node, nodes.Concat):
        node.nodes = [_through("join", nodes.List(node.nodes, lineno=node.lineno))]
    elif isinstance(node, nodes.Operand):
        node.expr = _through(" paid", node.expr)
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        node.node = _through(" paid", node.node)


def _through(filter_: str, node: nodes.Node) -> nodes.Filter:
    """Put a filter behind an expression."""
    return nodes.Filter(node, filter_, [], [], None, None, lineno=node.lineno)


def _parts(node: nodes.Node) -> Iterator[nodes.Node]:
    """Give what is evaluated for a node: a method's name is not, and a loop's list and target are seen to already."""
    if isinstance(node, nodes.For):
        yield from (*node.body, *node.else_, *([node.test] if node.test else ()))
    elif isinstance(node, nodes.Call):
        if isinstance(node.node, nodes.Getattr):
            yield node.node.node
        yield from (*node.args, *node.kwargs)
    else:
        yield from node.iter_child_nodes()


def _refuse(node: nodes.Node, level: int) -> None:
    """Raise ValueError where a node, a filter, a test or a call is none of those listed."""
    kind = type(node).__name__
    if level > DEEPEST:
        raise ValueError(f"it nests deeper than {DEEPEST} levels")
    if kind not in NODES:
        raise ValueError(f"a template may not use {NOT_ALLOWED.get(kind, kind.lower())}")
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        raise ValueError(f'there is no filter "{node.name}" here{did_you_mean(node.name, FILTERS)}')
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        raise ValueError(f'there is no test "{node.name}" here{did_you_mean(node.name, TESTS)}')
    if isinstance(node, nodes.For) and node.recursive:
        raise ValueError("a template may not use recursive loops")
    if isinstance(node, nodes.Call):
        _refuse_call(node)


def _refuse_call(node: nodes.Call) -> None:
    """Raise ValueError for a call of anything but the listed methods and `range`."""
    called = node.node
    is_method = isinstance(called, nodes.Getattr) and called.attr in METHODS
    is_range = isinstance(called, nodes.Name) and called.name == "range"
    if node.dyn_args is not None or node.dyn_kwargs is not None or not (is_method or is_range):
        name = str(getattr(called, "attr", getattr(called, "name", "")))
        raise ValueError(f'"{name}" cannot be called here{did_you_mean(name, METHODS)}')


NOT_ALLOWED = {"Assign": "set", "AssignBlock": "set", "Pow": "**", "With": "with", "FilterBlock": "filter blocks"}


def _chain(node: nodes.Node) -> Keys | None:
    """Read `a.b['c']` as keys; None for anything that is not only a path."""
    keys: list[str] = []
    while not isinstance(node, nodes.Name):
        if isinstance(node, nodes.Getattr):
            keys.append(node.attr)
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and type(node.arg.value) is str:
            keys.append(node.arg.value)
        else:
            return None
        node = node.node
    return (node.name, *reversed(keys))


def _respell(node: nodes.Node, chain: Keys) -> Keys:
    """Write the platform's names in a path as events spell them."""
    keys = canonical(chain)
    links: list[nodes.Node] = [node]
    while not isinstance(links[0], nodes.Name):
        links.insert(0, links[0].node)  # type: ignore[attr-defined]
    for link, key in zip(links[:2], keys[:2], strict=False):
        if isinstance(link, nodes.Name):
            link.name = key
        elif isinstance(link, nodes.Getattr):
            link.attr = key
        elif isinstance(link, nodes.Getitem):
            link.arg = nodes.Const(key, lineno=link.lineno)
    return keys


def program(compiled: Compiled) -> tuple[Template, bool]:
    """Turn a checked template into code, and tell whether it is one expression, whose value keeps its type."""
    body = compiled.tree.body
    only = body[0].nodes if len(body) == 1 and isinstance(body[0], nodes.Output) else []
    if len(only) != 1 or isinstance(only[0], nodes.TemplateData):
        return ENVIRONMENT.from_string(compiled.tree), False
    assign = nodes.Assign(nodes.Name("result", "store", lineno=1), only[0], lineno=1)
    return ENVIRONMENT.from_string(nodes.Template([assign], lineno=1)), True


def run(template: Template, context: Mapping[str, Any], *, is_value: bool) -> Any:
    """Evaluate a program; raises one of ERRORS."""
    variables = {**context, " budget": [BUDGET]}
    if is_value:
        scope = template.new_context(variables)
        for _ in template.root_render_func(scope):
            pass
        return _escaped(only_json(scope.vars["result"]))
    pieces, size = [], 0
    for piece in template.root_render_func(template.new_context(variables)):
        size += len(piece)
        refuse_large(size)
        pieces.append(piece)
    return "".join(_unmarked("".join(pieces)))


def _unmarked(text: str) -> Iterator[str]:
    """Escape what stands between the marks, and leave the template's own settings as they are."""
    parts = text.split(MARK)
    for position, part in enumerate(parts):
        if position % 2:
            yield part
        else:
            yield _escaped(part)
            if position + 1 < len(parts):  # dollars right before a setting would be read as its own
                yield part[len(part.rstrip("$")) :]


def _escaped(value: Any) -> Any:
    """Keep what looks like a setting in an event's own texts from being read as one: `${KEY}` becomes `$${KEY}`."""
    if isinstance(value, str):
        return SETTING.sub(r"\g<0>\g<0>", value) if "${" in value else value
    if isinstance(value, dict):
        return {name: _escaped(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value
