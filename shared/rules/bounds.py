"""What a template's work costs and how far it goes: bounds, the filters that need some, and what may leave.

A number is never a length, all work comes out of one budget, and only JSON of a bounded size leaves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from math import isfinite
from typing import Any

from jinja2 import Undefined, pass_context
from jinja2.filters import do_int, do_round, do_sum
from jinja2.runtime import Context

LARGEST = 1_000_000
"""Characters that it may produce."""
BUDGET = 100_000
"""Turns that its loops may take, all together; other work counts by what it goes through."""
CHARACTERS_PER_TURN = 100
"""What a filter, a test or a method goes through for the price of one turn."""
ELEMENT = 10
"""Characters that an element of a list or an object counts as, beside its own."""
DEEPEST_VALUE = 100
"""Levels that what a template gives may nest; an event has fewer."""
MOST_BITS = 1024
"""Bits of the numbers that are calculated with; fractions end there too."""
MOST_DIGITS = 300
"""Characters that a number in a text may have."""
FINEST = 15
"""Places before and behind the point that a number may be rounded to: a fraction has no more."""


# -- bounds -----------------------------------------------------------------------------------------------------------


def refuse_large(size: int) -> None:
    """Say that a template would produce too much; `size` is in characters."""
    if size > LARGEST:
        raise ValueError(f"it would produce more than {LARGEST} characters")


def refuse_long_number(number: float) -> None:
    """Say that a template would calculate with a number nobody means."""
    if isinstance(number, int) and number.bit_length() > MOST_BITS:
        raise ValueError(f"it would calculate with a number of more than {MOST_BITS} bits")


def take(context: Context, turns: int) -> None:
    """Take turns off the budget, which a template's run begins with."""
    budget = context[" budget"]
    budget[0] -= turns
    if budget[0] < 0:
        raise ValueError(f"its loops and filters take more than {BUDGET} turns")


def pay(context: Context, value: Any) -> None:
    """Take what going through a value costs off the budget."""
    if isinstance(value, str | list | tuple | Mapping | range | ItemsView | KeysView | ValuesView):
        take(context, size_of(value) // CHARACTERS_PER_TURN)


def size_of(value: Any) -> int:
    """Count the characters of a value, however deep; what is shared counts wherever it stands."""
    size = 0
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            size += len(node)
        elif isinstance(node, Mapping):
            size += ELEMENT * len(node)
            waiting.extend(node.keys())
            waiting.extend(node.values())
        elif isinstance(node, list | tuple | ItemsView | ValuesView):
            size += ELEMENT * len(node)
            waiting.extend(node)
        elif isinstance(node, range | KeysView):
            size += ELEMENT * len(node)
        refuse_large(size)
    return size


@pass_context
def counted(context: Context, values: Iterable[Any]) -> Iterator[Any]:
    """Take a turn off the budget for every turn of a loop; `for` loops are rewritten to pass through here."""
    for value in values:
        take(context, 1)
        yield value


@pass_context
def paid(context: Context, value: Any) -> Any:
    """Pay for a value that is compared, searched or sliced: such operands are rewritten to pass through here."""
    pay(context, value)
    return value


def charged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a filter or a test that pays for what it goes through and gives, and gives no lazy lists."""
    passed = getattr(function, "jinja_pass_arg", None)
    leading = PASSED[passed.name if passed else ""]

    @pass_context
    def priced(context: Context, *args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            pay(context, value)
        result = function(*leading(context), *args, **kwargs)
        if isinstance(result, Iterator):
            result = list(counted(context, result))
        pay(context, result)
        return result

    return priced


PASSED: Mapping[str, Callable[[Context], tuple[Any, ...]]] = {
    "": lambda _: (),
    "context": lambda context: (context,),
    "eval_context": lambda context: (context.eval_ctx,),
    "environment": lambda context: (context.environment,),
}
"""What Jinja2 passes to a filter before its arguments, by the name of its mark."""


# -- filters that are not Jinja2's own --------------------------------------------------------------------------------


def _join(values: Iterable[Any], separator: str = "") -> str:
    texts, size = [], 0
    for value in values:
        texts.append(str(value))
        size += len(texts[-1]) + len(separator)
        refuse_large(size)
    return str(separator).join(texts)


def _replace(value: Any, old: str, new: str) -> str:
    text = str(value)
    refuse_large(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _tojson(value: Any) -> str:
    return json.dumps(only_json(value), ensure_ascii=False)


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    """Round to so many places; ten to the power of more is never calculated."""
    refuse_long_number(value)
    return do_round(value, max(-FINEST, min(FINEST, precision)), method)


def _int(value: Any, default: Any = 0, base: int = 10) -> Any:
    """Read a whole number; how long it takes grows faster than its digits."""
    if isinstance(value, str) and len(value) > MOST_DIGITS:
        raise ValueError(f"a number of more than {MOST_DIGITS} digits")
    return do_int(value, default, base)


@pass_context
def _sum(context: Context, values: Iterable[Any], attribute: str | int | None = None, start: float = 0) -> Any:
    """Add numbers up; lists would be copied again for each that is added."""
    return do_sum(context.environment, values, attribute, start + 0)


OWN_FILTERS = {"join": _join, "replace": _replace, "tojson": _tojson, "round": _round, "int": _int, "sum": _sum}


# -- what leaves ------------------------------------------------------------------------------------------------------


def only_json(value: Any) -> Any:
    """Let only JSON out of a template, of a bounded size; TypeError or ValueError says what else there is."""
    refuse_large(size_of(value))
    return _json(value, DEEPEST_VALUE)


def _json(value: Any, levels: int) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"it gives {value}, which is no number that JSON has")
        return value
    if isinstance(value, Undefined):
        str(value)  # raises, naming what is missing
    if levels == 0:
        raise ValueError(f"what it gives nests deeper than {DEEPEST_VALUE} levels")
    if isinstance(value, Mapping):
        return {_key(key): _json(item, levels - 1) for key, item in value.items()}
    if isinstance(value, LISTS):
        return [_json(item, levels - 1) for item in value]
    if callable(value):
        raise TypeError("it gives a function and not a value: is a field missing, or its call's ()?")
    raise TypeError(f"it gives a {type(value).__name__}, which is no value that JSON has")


LISTS = (list, tuple, range, ItemsView, KeysView, ValuesView)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"it gives an object with the key {key!r:.40}, and keys are texts")
    return key
