"""How good a model is on the utterances that it was not trained with.

https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/concepts/evaluation-metrics
The split is the same for the same utterances: of each intent, those whose text has the smallest hash are the test set.
Not settled there, and decided here: a model without a test set has no evaluation (404).
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dev.simulators.language.classifier import NONE, Classifier
from dev.simulators.language.refusals import invalid, refuse
from dev.simulators.language.resource import Resource
from dev.simulators.language.texts import UTF16, counted
from dev.simulators.wire import Answer, Request

PERCENTAGE, MANUAL = "percentage", "manual"
Utterances = Sequence[Mapping[str, Any]]


class Evaluations:
    """What is told of the evaluation of a model."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def summary(self, request: Request) -> Answer:
        """GetModelEvaluationSummary."""
        model = self._resource.project(request).model(request.parts["label"])
        if model.evaluation is None:
            raise refuse(404, "NotFound", f"The trained model '{model.label}' has no evaluation.")
        return Answer(body=model.evaluation)

    def results(self, request: Request) -> Answer:
        """GetModelEvaluationResults: what was expected and what was predicted of each utterance of the test set."""
        model = self._resource.project(request).model(request.parts["label"])
        if request.query.get("stringIndexType") != UTF16:
            raise invalid([("stringIndexType", f"'{request.query.get('stringIndexType')}' is not {UTF16}.")])
        if model.evaluation is None:
            raise refuse(404, "NotFound", f"The trained model '{model.label}' has no evaluation.")
        return self._resource.listing(request, model.results)


def split(utterances: Utterances, options: Mapping[str, Any]) -> tuple[Utterances, Utterances]:
    """Give what is trained with, and what is tested with."""
    if options["kind"] == MANUAL:
        test = [one for one in utterances if one.get("dataset") == "Test"]
        return [one for one in utterances if one.get("dataset") != "Test"], test
    by_intent: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for one in utterances:
        by_intent[one["intent"]].append(one)
    tested: set[int] = set()
    for held in by_intent.values():
        held.sort(key=lambda one: hashlib.sha256(one["text"].encode()).hexdigest())
        count = min(len(held) - 1, round(len(held) * options["testingSplitPercentage"] / 100))
        tested |= {id(one) for one in held[: max(0, count)]}
    return [one for one in utterances if id(one) not in tested], [one for one in utterances if id(one) in tested]


def evaluated(
    classifier: Classifier, test: Utterances, entities: Iterable[str], options: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Give the summary of an evaluation; None where there is nothing to test with."""
    if not test:
        return None
    named = sorted(entities)
    intents = [(one["intent"], classifier.intent(one["text"])) for one in test]
    pairs: list[tuple[str, str]] = []
    for one in test:
        expected = {(entity["category"], entity["offset"], entity["length"]) for entity in one["entities"]}
        found = {(entity.category, entity.offset, entity.length) for entity in classifier.entities(one["text"])}
        places = {(offset, length): category for category, offset, length in expected}
        for category, offset, length in found:
            pairs.append((places.pop((offset, length), NONE), category))
        pairs += [(category, NONE) for category in places.values()]
    categories = sorted({*classifier.intents, *(intent for intent, _ in intents)})
    return {
        "intentsEvaluation": measured("intents", intents, categories),
        "entitiesEvaluation": measured("entities", pairs, named, without=NONE),
        "evaluationOptions": dict(options),
    }


def measured(
    kind: str, pairs: Sequence[tuple[str, str]], categories: Sequence[str], *, without: str = ""
) -> dict[str, Any]:
    """Measure pairs of what was expected and what was predicted; those that nothing is known of do not count."""
    counts = Counter(pairs)
    by_name: dict[str, dict[str, Any]] = {}
    for name in categories:
        if name == without or not any(name in pair for pair in pairs):
            continue
        hit = counts[name, name]
        missed = sum(count for (expected, _), count in counts.items() if expected == name) - hit
        wrong = sum(count for (_, predicted), count in counts.items() if predicted == name) - hit
        by_name[name] = scores(hit, wrong, missed) | {
            "truePositiveCount": hit,
            "trueNegativeCount": len(pairs) - hit - missed - wrong,
            "falsePositiveCount": wrong,
            "falseNegativeCount": missed,
        }
    sums = [sum(one[f"{part}Count"] for one in by_name.values()) for part in
            ("truePositive", "falsePositive", "falseNegative")]  # fmt: skip
    whole = scores(*sums)
    several = max(1, len(by_name))
    rows = sorted({name for pair in pairs for name in pair})
    return {
        "confusionMatrix": {
            row: {
                column: {
                    "normalizedValue": round(100 * counts[row, column] / max(1, total(counts, row)), 2),
                    "rawValue": float(counts[row, column]),
                }
                for column in rows
            }
            for row in rows
        },
        kind: by_name,
        **{f"micro{part[0].upper()}{part[1:]}": value for part, value in whole.items()},
        **{
            f"macro{part[0].upper()}{part[1:]}": round(sum(one[part] for one in by_name.values()) / several, 6)
            for part in ("f1", "precision", "recall")
        },
    }


def total(counts: Counter[tuple[str, str]], row: str) -> int:
    """Count what was expected of a category."""
    return sum(count for (expected, _), count in counts.items() if expected == row)


def scores(hit: int, wrong: int, missed: int) -> dict[str, float]:
    """Give F1, precision and recall."""
    precision = hit / (hit + wrong) if hit + wrong else 0.0
    recall = hit / (hit + missed) if hit + missed else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"f1": round(f1, 6), "precision": round(precision, 6), "recall": round(recall, 6)}


def detailed(classifier: Classifier, test: Utterances, language: str) -> list[dict[str, Any]]:
    """Give what was expected and predicted of each utterance, with offsets in UTF-16."""
    found = []
    for one in test:
        text = one["text"]
        expected = [(entity["category"], entity["offset"], entity["length"]) for entity in one["entities"]]
        predicted = [(entity.category, entity.offset, entity.length) for entity in classifier.entities(text)]
        found.append({
            "text": text,
            "language": one.get("language") or language,
            "entitiesResult": {
                "expectedEntities": [place(text, *entity) for entity in expected],
                "predictedEntities": [place(text, *entity) for entity in predicted],
            },
            "intentsResult": {"expectedIntent": one["intent"], "predictedIntent": classifier.intent(text)},
        })  # fmt: skip
    return found


def place(text: str, category: str, offset: int, length: int) -> dict[str, Any]:
    """Give an entity as the results name it."""
    start, count = counted(text, offset, length, UTF16)
    return {"category": category, "offset": start, "length": count}
