"""What an exported Language project holds: its content in one spelling, a hash of that, and how much there is. Pure.

Order, absent defaults and what an import rewrites do not count.
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/fail-over
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.counting import how_many
from shared.errors import MalformedError

REWRITTEN = frozenset({"projectFileVersion"})
"""What an import does not keep of a project, nor a resource of another API version write."""
IN_METADATA = frozenset({"description", "storageInputContainerName"})
"""The same of its metadata."""
SETTINGS_DEFAULTS: Mapping[str, Any] = {"confidenceThreshold": 0}
"""What the service takes where a setting is not said, and may write out: as good as absent."""


def canonical(exported: bytes | Mapping[str, Any]) -> bytes:
    """Write an exported project in the one way in which two of the same content are the same bytes.

    Keys and lists are sorted, for order means nothing there; what is null, empty or false is as good as absent, and so
    are the service's defaults of settings; 1.0 is 1; an utterance has the project's language and the set Train where
    it says nothing else.
    MalformedError: it is no exported project.
    """
    whole = _read(exported)
    metadata = {name: value for name, value in whole["metadata"].items() if name not in IN_METADATA}
    language = str(metadata.get("language") or "").lower()
    metadata |= {"language": language, "settings": _settings(metadata.get("settings"))}
    assets = dict(whole["assets"])
    assets["utterances"] = [_labelled(one, language) for one in _list(assets, "utterances")]
    kept = {name: value for name, value in whole.items() if name not in REWRITTEN}
    return _dump(_plain(kept | {"metadata": metadata, "assets": assets})).encode("utf-8", "surrogatepass")


def fingerprint(exported: bytes | Mapping[str, Any]) -> str:
    """Hash what an exported project holds (SHA-256, hex), however it is written; MalformedError as for `canonical`."""
    return hashlib.sha256(canonical(exported)).hexdigest()


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is of a project."""

    intents: int
    entities: int
    utterances: int
    labels: int
    """Entities that are labelled in utterances."""

    def __str__(self) -> str:
        """Say it to people."""
        utterances, labels = how_many(self.utterances, "utterance"), how_many(self.labels, "label")
        intents, entities = how_many(self.intents, "intent"), how_many(self.entities, "entity", "entities")
        return f"{utterances} with {labels}, {intents}, {entities}"


def sizes(exported: bytes | Mapping[str, Any]) -> Sizes:
    """Count what an exported project holds; MalformedError as for `canonical`."""
    assets = _read(exported)["assets"]
    utterances = _list(assets, "utterances")
    labels = sum(len(_list(one, "entities")) for one in utterances)
    return Sizes(len(_list(assets, "intents")), len(_list(assets, "entities")), len(utterances), labels)


def _read(exported: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        whole = json.loads(exported) if isinstance(exported, bytes) else exported
    except (ValueError, RecursionError):
        raise MalformedError("what was exported is not JSON") from None
    if not isinstance(whole, Mapping):
        raise MalformedError("what was exported is no project: it must be an object")
    for name in ("metadata", "assets"):
        if not isinstance(whole.get(name), Mapping):
            raise MalformedError("what was exported is no project: it must be an object", field=name)
    return whole


def _list(assets: Mapping[str, Any], name: str) -> list[Any]:
    found = assets.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise MalformedError("must be a list of objects", field=f"assets.{name}")
    return found


def _labelled(utterance: Mapping[str, Any], language: str) -> dict[str, Any]:
    said = str(utterance.get("language") or language).lower()
    return {**utterance, "language": said, "dataset": utterance.get("dataset") or "Train"}


def _settings(given: Any) -> Any:
    """Leave out the settings that say what the service takes where nothing is said."""
    if not isinstance(given, Mapping):
        return given
    return {name: one for name, one in given.items() if name not in SETTINGS_DEFAULTS or one != SETTINGS_DEFAULTS[name]}


def _plain(value: Any) -> Any:
    """Leave out what says nothing, sort what has no order, and write a whole number as one."""
    if isinstance(value, Mapping):
        inner = {name: _plain(one) for name, one in value.items()}
        return {name: one for name, one in inner.items() if one is not None and one is not False and one not in EMPTY}
    if isinstance(value, list):
        return sorted((_plain(one) for one in value), key=_dump)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


EMPTY: tuple[Any, ...] = ("", [], {})


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
