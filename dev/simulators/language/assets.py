"""What a project is made of, checked to the last offset when it is imported.

https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/create-project
Not settled there, and decided here: what is wrong is refused at once with 400 and all of it in `details`; members that
nobody knows are kept; the intent `None` is added where it is not there.
"""

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dev.simulators.language.classifier import NONE
from dev.simulators.language.refusals import NAME, invalid, unparsed
from dev.simulators.language.settings import Limits
from dev.simulators.language.texts import UTF8, UTF16, UTF32, counted, placed

CONVERSATION = "Conversation"
UNITS: Mapping[str, tuple[str, ...]] = {"2023-04-01": (UTF16,), "2025-11-01": (UTF16, UTF8, UTF32)}
LANGUAGES: Mapping[str, str] = {
    "en": "English",
    "en-us": "English (US)",
    "en-gb": "English (UK)",
    "ko": "Korean",
    "ja": "Japanese",
    "zh-hans": "Chinese (Simplified)",
    "de": "German",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pt-br": "Portuguese (Brazil)",
}
DATASETS = ("Train", "Test")
OBJECTS = "A list of objects is expected."
Wrong = list[tuple[str, str]]
"""What is wrong: where, and what."""


def imported(name: str, version: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check an import into a project and give its metadata and assets, with offsets in code points."""
    metadata, assets, unit = parsed(version, given)
    wrong = wrong_metadata(name, metadata)
    if assets.get("projectKind") != metadata.get("projectKind"):
        wrong.append(("assets.projectKind", "It is another kind than 'metadata.projectKind'."))
    if not wrong:
        wrong = wrong_assets(assets, unit)
    if wrong:
        raise invalid(wrong, "The project to import is not valid.")
    return copy.deepcopy(dict(metadata)), turned(assets, unit)


def parsed(version: str, given: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any], str]:
    """Read the parts of an import, or refuse those that are none."""
    wrong = [(one, f"Required property '{one}' is missing or no object.") for one in ("metadata", "assets")
             if not isinstance(given.get(one), dict)]  # fmt: skip
    if not isinstance(given.get("projectFileVersion"), str):
        wrong.append(("projectFileVersion", "Required property 'projectFileVersion' is missing or no text."))
    unit = given.get("stringIndexType")
    if unit not in UNITS[version]:
        wrong.append(("stringIndexType", f"'{unit}' is none of {', '.join(UNITS[version])}."))
    if wrong:
        raise unparsed(wrong)
    for kind in ("intents", "entities", "utterances"):
        if not are_objects(given["assets"].get(kind, [])):
            raise unparsed([(f"assets.{kind}", OBJECTS)])
    return given["metadata"], given["assets"], str(unit)


def wrong_metadata(name: str, metadata: Mapping[str, Any]) -> Wrong:
    """Say what is wrong with the metadata of a project."""
    wrong: Wrong = []
    if metadata.get("projectName") != name:
        said = f"The project name '{metadata.get('projectName')}' does not match '{name}' of the URL (case-sensitive)."
        wrong.append(("metadata.projectName", said))
    if metadata.get("projectKind") != CONVERSATION:
        wrong.append(("metadata.projectKind", f"'{metadata.get('projectKind')}' is not simulated: {CONVERSATION} is."))
    if str(metadata.get("language", "")).lower() not in LANGUAGES:
        wrong.append(("metadata.language", f"'{metadata.get('language')}' is no supported language."))
    if not isinstance(metadata.get("multilingual", False), bool):
        wrong.append(("metadata.multilingual", "It is neither true nor false."))
    settings = metadata.get("settings") or {}
    threshold = settings.get("confidenceThreshold", 0.0) if isinstance(settings, dict) else None
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        wrong.append(("metadata.settings.confidenceThreshold", "It is not between 0 and 1."))
    return wrong


def wrong_assets(assets: Mapping[str, Any], unit: str) -> Wrong:
    """Say what is wrong with the intents, entities and utterances of a project."""
    wrong: Wrong = []
    intents = wrong_names(assets.get("intents") or [], "assets.intents", Limits.INTENTS, wrong)
    entities = wrong_names(assets.get("entities") or [], "assets.entities", Limits.ENTITIES, wrong)
    for at, entity in enumerate(assets.get("entities") or []):
        wrong += wrong_components(entity, f"assets.entities[{at}]")
    utterances = assets.get("utterances") or []
    if len(utterances) > Limits.UTTERANCES:
        wrong.append(("assets.utterances", f"There are more than {Limits.UTTERANCES}."))
    seen: set[tuple[Any, Any]] = set()
    for at, one in enumerate(utterances):
        wrong += wrong_utterance(one, f"assets.utterances[{at}]", intents, entities, unit)
        key = (one.get("text"), one.get("language"))
        if key in seen:
            wrong.append((f"assets.utterances[{at}].text", "There is such an utterance already."))
        seen.add(key)
    return wrong


def wrong_names(given: Iterable[Mapping[str, Any]], where: str, most: int, wrong: Wrong) -> set[str]:
    """Check the names of intents or entities, and give those that do."""
    names: set[str] = set()
    for at, one in enumerate(given):
        name = one.get("category")
        if not isinstance(name, str) or not NAME.fullmatch(name.replace(" ", "_")) or len(name) > Limits.NAME:
            wrong.append((f"{where}[{at}].category", f"'{name}' is no valid name."))
        elif name in names:
            wrong.append((f"{where}[{at}].category", f"There is a '{name}' already."))
        else:
            names.add(name)
    if len(names) > most:
        wrong.append((where, f"There are more than {most}."))
    return names


def wrong_components(entity: Mapping[str, Any], where: str) -> Wrong:
    """Say what is wrong with the lists and the regular expressions of an entity."""
    lists, patterns = entity.get("list") or {}, entity.get("regex") or {}
    if not are_objects([lists, patterns]):
        return [(where, "'list' and 'regex' are objects.")]
    sublists, expressions = lists.get("sublists") or [], patterns.get("expressions") or []
    if not are_objects(sublists) or not are_objects(expressions):
        return [(where, OBJECTS)]
    wrong: Wrong = []
    for at, one in enumerate(sublists):
        synonyms = one.get("synonyms") or []
        if not isinstance(one.get("listKey"), str) or not are_objects(synonyms) or not all(are_texts(synonyms)):
            wrong.append((f"{where}.list.sublists[{at}]", "A 'listKey' and its 'synonyms' are expected."))
    for at, one in enumerate(expressions):
        try:
            re.compile(one["regexPattern"])
            one["regexKey"]
        except (KeyError, TypeError, re.error) as problem:
            wrong.append(
                (f"{where}.regex.expressions[{at}]", f"A 'regexKey' and 'regexPattern' are expected: {problem}")
            )
    return wrong


def are_objects(given: Any) -> bool:
    """Whether it is a list of objects."""
    return isinstance(given, list) and all(isinstance(one, dict) for one in given)


def are_texts(synonyms: Iterable[Mapping[str, Any]]) -> Iterable[bool]:
    """Say of the values of each synonym whether they are texts."""
    return (
        isinstance(one.get("values"), list) and all(isinstance(value, str) for value in one["values"])
        for one in synonyms
    )


def wrong_utterance(one: Mapping[str, Any], where: str, intents: set[str], entities: set[str], unit: str) -> Wrong:
    """Say what is wrong with an utterance."""
    text = one.get("text")
    if not isinstance(text, str) or not text.strip() or len(text) > Limits.AUTHORING_TEXT:
        return [(f"{where}.text", f"A text of at most {Limits.AUTHORING_TEXT} characters is expected.")]
    wrong: Wrong = []
    checks: tuple[tuple[str, Any, Callable[[Any], bool]], ...] = (
        ("intent", one.get("intent"), lambda name: name == NONE or name in intents),
        ("language", one.get("language") or "en", lambda code: str(code).lower() in LANGUAGES),
        ("dataset", one.get("dataset") or DATASETS[0], lambda name: name in DATASETS),
    )
    for member, value, is_good in checks:
        if not is_good(value):
            wrong.append((f"{where}.{member}", f"'{value}' is no {member} of this project."))
    if not are_objects(one.get("entities") or []):
        return [(f"{where}.entities", OBJECTS)]
    for at, entity in enumerate(one.get("entities") or ()):
        offset, length = entity.get("offset"), entity.get("length")
        if entity.get("category") not in entities:
            said = f"'{entity.get('category')}' is no entity of this project."
            wrong.append((f"{where}.entities[{at}].category", said))
        if not isinstance(offset, int) or not isinstance(length, int) or not placed(text, offset, length, unit):
            said = f"The offset {offset} and length {length} are not within the text."
            wrong.append((f"{where}.entities[{at}]", said))
    return wrong


def turned(assets: Mapping[str, Any], unit: str) -> dict[str, Any]:
    """Give a copy of assets with offsets in code points, and what an import adds."""
    found: dict[str, Any] = copy.deepcopy(dict(assets))
    for kind in ("intents", "entities", "utterances"):
        found.setdefault(kind, [])
    for one in found["utterances"]:
        one["entities"] = [
            entity | offsets(placed(one["text"], entity["offset"], entity["length"], unit) or (0, 0))
            for entity in one.get("entities") or ()
        ]
        one.setdefault("dataset", DATASETS[0])
    if all(one["category"] != NONE for one in found["intents"]):
        found["intents"].append({"category": NONE})
    return found


def exported(
    metadata: Mapping[str, Any], assets: Mapping[str, Any], version: str, unit: str, *, shuffled: bool
) -> dict[str, Any]:
    """Give a project as an export of it looks."""
    found: dict[str, Any] = copy.deepcopy(dict(assets))
    for one in found["utterances"]:
        one["entities"] = [
            entity | offsets(counted(one["text"], entity["offset"], entity["length"], unit))
            for entity in one["entities"]
        ]
    if shuffled:
        for kind in ("intents", "entities", "utterances"):
            found[kind].reverse()
    return {
        "projectFileVersion": version,
        "stringIndexType": unit,
        "metadata": copy.deepcopy(dict(metadata)),
        "assets": found,
    }


def offsets(found: tuple[int, int]) -> dict[str, int]:
    """Give where an entity is, as members of it."""
    return {"offset": found[0], "length": found[1]}
