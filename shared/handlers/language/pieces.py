"""Compares what a project holds with what was sent to be imported, piece by piece. Pure."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.language_content import SETTINGS_DEFAULTS, canonical


@dataclass(frozen=True, slots=True)
class Unlike:
    """In what a project is not what was sent to be imported; "" where in nothing."""

    lacking: str = ""
    foreign: str = ""
    added: str = ""
    """What the service adds, or writes out: it is no difference."""
    is_less: bool = False
    """Whether all that is foreign is what was sent with something left out, as where an import drops a label."""

    def __bool__(self) -> bool:
        return bool(self.lacking or self.foreign)


NONE_INTENT = ("intents", '{"category":"None"}')
"""The intent of what belongs to no other: each project has it, whether or not it was in what was imported."""
METADATA = "metadata."
DEFAULTED = frozenset({f"{METADATA}multilingual", *(f"{METADATA}settings.{name}" for name in SETTINGS_DEFAULTS)})
"""What says something where it is not said: the default."""
MOST_NAMED = 3


def unlike(sent: bytes | Mapping[str, Any], arrived: bytes | Mapping[str, Any]) -> Unlike:
    """Compare what was sent with what arrived, piece by piece; MalformedError as for `canonical`.

    Utterances, intents and entities must be what they were. What is said about the project and was not said is the
    service's to say, but for what says something where it is not said.
    """
    wanted, found = _pieces(sent), _pieces(arrived)
    lacking, foreign = wanted - found, found - wanted
    said = {what for what, _ in wanted} | DEFAULTED
    new = Counter({piece: n for piece, n in foreign.items() if piece[0].startswith(METADATA) and piece[0] not in said})
    added = ["the intent None"] * (NONE_INTENT in foreign) + [_named(new)] * bool(new)
    foreign -= new
    del foreign[NONE_INTENT]
    return Unlike(_named(lacking), _named(foreign), "; ".join(added), is_less=_are_less(foreign, lacking))


def _pieces(exported: bytes | Mapping[str, Any]) -> Counter[tuple[str, str]]:
    """Take a project apart: each utterance, intent, entity and setting is a piece, and whatever else it says is one."""
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
                found.update((path, _written(one)) for path, one in _leaves(f"{part}.{name}", value))
    return found


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Give what an object of the metadata says, one by one; anything else is one."""
    if path.startswith(METADATA) and isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}", inner)
    else:
        yield path, value


def _are_less(pieces: Counter[tuple[str, str]], wholes: Counter[tuple[str, str]]) -> bool:
    """Tell whether each piece is a whole of its own with something left out."""
    by_name: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for what, text in wholes.elements():
        by_name[what, _name(json.loads(text))].append(json.loads(text))
    for what, text in pieces.elements():
        piece = json.loads(text)
        left = by_name[what, _name(piece)]
        at = next((at for at, whole in enumerate(left) if _is_less(piece, whole)), None)
        if at is None:
            return False
        del left[at]
    return bool(pieces)


def _name(piece: Any) -> str:
    """Give what an utterance, an intent or an entity is known by."""
    return str(piece.get("text") or piece.get("category") or "") if isinstance(piece, dict) else ""


def _is_less(piece: Any, whole: Any) -> bool:
    if isinstance(piece, dict) and isinstance(whole, dict):
        return all(name in whole and _is_less(one, whole[name]) for name, one in piece.items())
    if isinstance(piece, list) and isinstance(whole, list):
        left = list(whole)
        for one in piece:
            at = next((at for at, other in enumerate(left) if _is_less(one, other)), None)
            if at is None:
                return False
            del left[at]
        return True
    return bool(piece == whole)


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _named(pieces: Counter[tuple[str, str]]) -> str:
    named = [f"{what}: {text[:100]}" for what, text in sorted(pieces.elements())[:MOST_NAMED]]
    more = pieces.total() - len(named)
    return "; ".join(named) + (f" and {more} more" if more else "")
