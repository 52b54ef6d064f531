"""Toy models: an utterance belongs to the intent that it shares most words with, and entities are found by their words.

They are honest: what they answer depends on what they were trained with, so that another import, another split or
fewer utterances are seen in predictions and in the evaluation.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dev.simulators.language.texts import WORD, words

NONE = "None"
"""The intent of what belongs to no other one; every project has it."""
KNOWN = 0.3
"""How sure a model is of a text where it knows but few of the words."""


@dataclass(frozen=True)
class Found:
    """An entity in a text; the offset is in code points."""

    category: str
    offset: int
    length: int
    information: tuple[Mapping[str, Any], ...] = ()
    """What `extraInformation` says of it."""


@dataclass
class Classifier:
    """What was learnt."""

    intents: tuple[str, ...] = ()
    threshold: float = 0.0
    shares: dict[str, dict[str, float]] = field(default_factory=dict)
    """For each word: how much of it belongs to each intent."""
    forms: dict[str, tuple[str, Mapping[str, Any] | None]] = field(default_factory=dict)
    """For each text of an entity, in lower case: its category, and what list it is of."""
    patterns: tuple[tuple[str, str, re.Pattern[str]], ...] = ()
    """Category, key and pattern of the regular expressions."""

    def scores(self, text: str) -> dict[str, float]:
        """Say how likely each intent is, the likeliest first; `None` is first where none is above the threshold."""
        told = words(text)
        known = [self.shares[word] for word in told if word in self.shares]
        sums = {intent: sum(share.get(intent, 0.0) for share in known) ** 2 for intent in self.intents}
        sure = (KNOWN + (1 - KNOWN) * len(known) / len(told)) if known else 0.0
        whole = sum(sums.values()) or 1.0
        scores = {intent: round(sure * part / whole, 6) for intent, part in sums.items()}
        best = max(scores.values(), default=0.0)
        first = NONE if best < self.threshold or not best else ""
        scores.setdefault(NONE, 0.0)
        return dict(sorted(scores.items(), key=lambda pair: (pair[0] != first, -pair[1], pair[0])))

    def intent(self, text: str) -> str:
        """Give the likeliest intent."""
        return next(iter(self.scores(text)), NONE)

    def entities(self, text: str) -> list[Found]:
        """Find the entities, the longest where two are at one place; in the text's order."""
        lower = text.lower() if len(text.lower()) == len(text) else text
        candidates = []
        for form, (category, of) in self.forms.items():
            at = lower.find(form)
            while at >= 0:
                if starts_a_word(lower, at):
                    candidates.append(Found(category, at, len(form), (of,) if of else ()))
                at = lower.find(form, at + 1)
        for category, key, pattern in self.patterns:
            told = {"extraInformationKind": "RegexKey", "regexPattern": pattern.pattern, "key": key}
            matches = (match for match in pattern.finditer(text) if match.end() > match.start())
            candidates += [Found(category, one.start(), one.end() - one.start(), (told,)) for one in matches]
        candidates.sort(key=lambda one: (-one.length, one.offset, one.category))
        kept: list[Found] = []
        for one in candidates:
            if all(
                one.offset + one.length <= other.offset or other.offset + other.length <= one.offset for other in kept
            ):
                kept.append(one)
        return sorted(kept, key=lambda one: one.offset)


def starts_a_word(text: str, at: int) -> bool:
    """Whether a word begins here, or something that is no word; particles may follow it."""
    return at == 0 or not (WORD.match(text[at]) and WORD.match(text[at - 1]))


def learn(assets: Mapping[str, Any], utterances: Sequence[Mapping[str, Any]], threshold: float) -> Classifier:
    """Learn from utterances; lists and regular expressions are those of the project's entities."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    of = Counter(one["intent"] for one in utterances)
    for one in utterances:
        counts[one["intent"]].update(set(words(one["text"])))
    shares: dict[str, dict[str, float]] = {}
    for intent, seen in counts.items():
        for word, count in seen.items():
            shares.setdefault(word, {})[intent] = count / of[intent]
    for share in shares.values():
        whole = sum(share.values())
        share.update({intent: part / whole for intent, part in share.items()})
    forms, patterns = components(assets.get("entities") or ())
    for one in utterances:
        for entity in one.get("entities") or ():
            form = one["text"][entity["offset"] : entity["offset"] + entity["length"]].lower()
            forms.setdefault(form, (entity["category"], None))
    intents = tuple(sorted({one["category"] for one in assets.get("intents") or ()} | set(of)))
    return Classifier(intents, threshold, shares, forms, patterns)


Forms = dict[str, tuple[str, Mapping[str, Any] | None]]
Patterns = tuple[tuple[str, str, re.Pattern[str]], ...]


def components(entities: Iterable[Mapping[str, Any]]) -> tuple[Forms, Patterns]:
    """Read the lists and the regular expressions of entities."""
    forms: Forms = {}
    patterns: list[tuple[str, str, re.Pattern[str]]] = []
    for entity in entities:
        for sublist in (entity.get("list") or {}).get("sublists") or ():
            told = {"extraInformationKind": "ListKey", "key": sublist["listKey"]}
            for synonyms in sublist.get("synonyms") or ():
                forms |= {value.lower(): (entity["category"], told) for value in synonyms.get("values") or () if value}
        patterns += [
            (entity["category"], one["regexKey"], re.compile(one["regexPattern"]))
            for one in (entity.get("regex") or {}).get("expressions") or ()
        ]
    return forms, tuple(patterns)
