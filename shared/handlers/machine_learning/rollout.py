"""How traffic moves from one deployment to another: maps of deployment to percent. Pure.

https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints
"""

import json
from collections.abc import Iterable, Mapping, Sequence

Traffic = Mapping[str, int]
"""Percent by deployment; all of them together are 0 or 100."""
WHOLE = 100
PREVIOUS_TAG = "reactor-previous-traffic"
"""The endpoint's tag that says, as JSON, who had the traffic before: `reactor ml rollback` reads it."""
EMPTIED_TAG = "reactor-emptied"
"""The endpoint's tag that says, as JSON, which rollout took the last of their traffic from which deployments."""
LONGEST_TAG = 256
BY = 12
"""Characters of an action's key that name its rollout there."""


def plain(traffic: Traffic) -> dict[str, int]:
    """Spell a map for comparison: names in lower case and in order, and none that gets nothing.

    >>> plain({"Green": 0, "Blue": 100})
    {'blue': 100}
    """
    return {name.lower(): traffic[name] for name in sorted(traffic, key=str.lower) if traffic[name] > 0}


def shifted(before: Traffic, to: str, percent: int) -> dict[str, int]:
    """Give `to` so many percent; the others share the rest in the proportions they had.

    What is left over by rounding goes to those that lost most by it. Where nobody else has traffic, `to` gets all.

    >>> shifted({"blue": 60, "red": 40}, "green", 10)
    {'blue': 54, 'green': 10, 'red': 36}
    >>> shifted({}, "green", 10)
    {'green': 100}
    """
    others = {name: share for name, share in plain(before).items() if name != to.lower()}
    whole, rest = sum(others.values()), WHOLE - percent
    if not whole:
        return {to.lower(): WHOLE}
    shares = {name: share * rest // whole for name, share in others.items()}
    lost = sorted(others, key=lambda name: (-(others[name] * rest % whole), name))
    for name in lost[: rest - sum(shares.values())]:
        shares[name] += 1
    return plain(shares | {to.lower(): percent})


def plan(before: Traffic, to: str, percents: Sequence[int]) -> list[dict[str, int]]:
    """List the maps to go through until `to` has the last of `percents`; steps that it is beyond already are left out.

    Where nobody else has traffic there is one step, to all of it. Nothing is left where `to` has enough.

    >>> plan({"blue": 100}, "green", [10, 100])
    [{'blue': 90, 'green': 10}, {'green': 100}]
    """
    has = plain(before).get(to.lower(), 0)
    if has == sum(before.values()):
        return [] if has else [{to.lower(): WHOLE}]
    return [shifted(before, to, percent) for percent in percents if percent > has]


def emptied(before: Traffic, after: Traffic) -> list[str]:
    """List the deployments that had traffic before and get none now.

    >>> emptied({"blue": 90, "red": 10, "old": 0}, {"green": 100})
    ['blue', 'red']
    """
    return [name for name in plain(before) if name not in plain(after)]


def most(traffic: Traffic) -> str:
    """Name the deployment that has most of the traffic; of two that have the same, always the same one.

    >>> most({"blue": 50, "green": 50}), most({"blue": 0})
    ('green', '')
    """
    return max(((share, name) for name, share in plain(traffic).items()), default=(0, ""))[1]


def tag(told: Mapping[str, object]) -> str:
    """Write a map as a tag's value; "" where it is too long for one.

    >>> tag({"blue": 90, "red": 10})
    '{"blue":90,"red":10}'
    """
    text = json.dumps(told, separators=(",", ":"))
    return text if len(text) <= LONGEST_TAG else ""


def emptied_tag(names: Iterable[str], by: str, before: str | None) -> str:
    """Add to the tag of who was emptied by which rollout; where it gets too long, it is the oldest that go.

    >>> emptied_tag(["blue"], "b", '{"red":"a","blue":"a"}')
    '{"blue":"b","red":"a"}'
    """
    whole = [*dict.fromkeys(names, by).items(), *read_emptied(before).items()]
    told: dict[str, str] = {}
    for name, rollout in whole:
        if name not in told and tag({**told, name: rollout}):
            told[name] = rollout
    return tag(told)


def read_emptied(text: str | None) -> dict[str, str]:
    """Read the tag of who was emptied by which rollout; nothing where it is no such thing.

    >>> read_emptied('{"Blue":"a"}'), read_emptied("[]"), read_emptied(None)
    ({'blue': 'a'}, {}, {})
    """
    try:
        return {str(name).lower(): str(by) for name, by in json.loads(text or "{}").items()}
    except (ValueError, AttributeError, RecursionError):
        return {}


def show(traffic: Traffic) -> str:
    """Write a map for people.

    >>> show({"green": 10, "blue": 90}), show({})
    ('blue 90 %, green 10 %', 'nobody')
    """
    return ", ".join(f"{name} {percent} %" for name, percent in plain(traffic).items()) or "nobody"
