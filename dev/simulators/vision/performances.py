"""How well a toy model does, measured on its own training images, each left out of what it is measured against.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/getting-started-build-a-classifier#evaluate-the-classifier
Precision, recall and average precision per tag and over all of them (micro averages; the mean of the tags for AP).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dev.simulators.vision.models import Guess, Model, Sample
from dev.simulators.vision.pictures import Box

MOST = 500
"""Of how many images, evenly spread, it is measured."""


@dataclass(frozen=True)
class Judged:
    """What a model said of one image, and what is true."""

    sample: Sample
    guesses: tuple[Guess, ...]


def judge(model: Model, samples: Sequence[Sample]) -> list[Judged]:
    """Ask a model about its own training images."""
    step = max(1, -(-len(samples) // MOST))
    return [Judged(one, tuple(model.guesses(one.picture, without=one))) for one in samples[::step]]


def performance(judged: Sequence[Judged], tags: Mapping[str, str], threshold: float, overlap: float) -> dict[str, Any]:
    """Give what GetIterationPerformance shows, for tags by id and name."""
    per_tag: list[dict[str, Any]] = []
    sums = [0, 0, 0]
    for tag, name in tags.items():
        scored, things = scores(judged, tag, overlap)
        right = sum(good for probability, good in scored if probability >= threshold)
        said = sum(probability >= threshold for probability, _ in scored)
        sums = [held + one for held, one in zip(sums, (right, said, things), strict=True)]
        rates = {**rated(right, said, things), "averagePrecision": average_precision(scored, things)}
        per_tag.append({"id": tag, "name": name, **rates})
    averages = [one["averagePrecision"] for one in per_tag]
    mean = sum(averages) / len(averages) if averages else None
    return {"perTagPerformance": per_tag, **rated(*sums), "averagePrecision": mean}


def scores(judged: Iterable[Judged], tag: str, overlap: float) -> tuple[list[tuple[float, bool]], int]:
    """Give each guess of a tag with whether it is right, the likeliest first, and how many there should be."""
    found, things = [], 0
    for one in judged:
        there = [box for named, box in one.sample.things if named == tag]
        things += len(there)
        for guess in one.guesses:
            if guess.tag == tag:
                hits = [box for box in there if shares(guess.box, box) >= overlap]
                if hits:
                    there.remove(hits[0])
                found.append((guess.probability, bool(hits)))
    return sorted(found, key=lambda scored: -scored[0]), things


def shares(one: Box | None, other: Box | None) -> float:
    """Give how much of two boxes they have in common, between 0 and 1; what has no box is all of the image."""
    if one is None or other is None:
        return 1.0
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    common = max(wide, 0.0) * max(high, 0.0)
    return common / (one[2] * one[3] + other[2] * other[3] - common or 1.0)


def average_precision(scored: Sequence[tuple[float, bool]], things: int) -> float:
    """Give the mean precision at each right guess."""
    right, total = 0, 0.0
    for place, (_, good) in enumerate(scored, start=1):
        if good:
            right += 1
            total += right / place
    return total / things if things else 0.0


def rated(right: int, said: int, things: int) -> dict[str, float]:
    """Give precision and recall."""
    precision, recall = right / said if said else 0.0, right / things if things else 0.0
    deviations = {"precisionStdDeviation": 0.0, "recallStdDeviation": 0.0}
    return {"precision": precision, "recall": recall, **deviations}
