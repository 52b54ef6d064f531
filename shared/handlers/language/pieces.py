"""Compares what a project holds with what was sent to be imported, piece by piece. Pure."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.language_content import canonical


@dataclass(frozen=True, slots=True)
class Unlike:
    """In what a project is not what was sent to be imported; "" where in nothing."""

    lacking: str = ""
    foreign: str = ""
    added: str = ""
    """What the service is known to add: it is no difference."""

    def __bool__(self) -> bool:
        return bool(self.lacking or self.foreign)


NONE_INTENT = ("intents", '{"category":"None"}')
"""The intent of what belongs to no other: each project has it, whether or not it was in what was imported."""
MOST_NAMED = 3


def unlike(sent: bytes | Mapping[str, Any], arrived: bytes | Mapping[str, Any]) -> Unlike:
    """Compare what was sent with what arrived, piece by piece; MalformedError as for `canonical`."""
    wanted, found = _pieces(sent), _pieces(arrived)
    lacking, foreign = wanted - found, found - wanted
    added = "the intent None" * (NONE_INTENT in foreign)
    del foreign[NONE_INTENT]
    return Unlike(_named(lacking), _named(foreign), added)


def _pieces(exported: bytes | Mapping[str, Any]) -> Counter[tuple[str, str]]:
    """Take a project apart: each utterance, intent and entity is a piece, and whatever else it says is one."""
    whole = json.loads(canonical(exported).decode("utf-8", "surrogatepass"))
    found: Counter[tuple[str, str]] = Counter()
    for part, inner in whole.items():
        if not isinstance(inner, dict):
            found[part, _written(inner)] += 1
            continue
        for name, value in inner.items():
            if part == "assets" and isinstance(value, list):
                found.update((name, _written(one)) for one in value)
            else:
                found[f"{part}.{name}", _written(value)] += 1
    return found


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _named(pieces: Counter[tuple[str, str]]) -> str:
    named = [f"{what}: {text[:100]}" for what, text in sorted(pieces.elements())[:MOST_NAMED]]
    more = pieces.total() - len(named)
    return "; ".join(named) + (f" and {more} more" if more else "")
