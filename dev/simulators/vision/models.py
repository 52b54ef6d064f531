"""Toy models: the nearest mean colour of a tag's training images, or of the things in them.

They are honest: what they answer depends on what was uploaded, and their performance is measured on images that were
left out of the mean they are measured against.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dev.simulators.vision.pictures import CELLS, Box, Colour, Picture, cells, mean, within

WARMTH = 22.0
"""The distance of colours that matters, of 441."""
REACH = 60.0
"""How far a picture may be from a tag to have it more likely than not, where it may have several."""
SMALLEST = 2
"""Cells that a thing is wide and high to be found; the blurred edge of another one is thinner."""


@dataclass(frozen=True)
class Guess:
    """A tag that an image may have, and where."""

    tag: str
    probability: float
    box: Box | None = None


@dataclass(frozen=True)
class Sample:
    """A training image: what is in it, each with its tag."""

    id: str
    picture: Picture
    things: tuple[tuple[str, Box | None], ...]


class Model(Protocol):
    """What was learnt."""

    def guesses(self, picture: Picture, *, without: Sample | None = None) -> list[Guess]:
        """Say what a picture may show, the likeliest first; `without` leaves a training image out."""


class Mean:
    """Sums of colours, from which one can be left out."""

    def __init__(self) -> None:
        self._sums = [0, 0, 0]
        self._n = 0

    def add(self, colour: Colour) -> None:
        """Count one more."""
        self._sums = [held + part for held, part in zip(self._sums, colour, strict=True)]
        self._n += 1

    def distance(self, colour: Colour, without: Sequence[Colour] = ()) -> float:
        """Give how far a colour is from the mean; endless where nothing is left."""
        n = self._n - len(without)
        if n <= 0:
            return math.inf
        sums = [held - sum(one[at] for one in without) for at, held in enumerate(self._sums)]
        return math.dist([held / n for held in sums], colour)


class Classifier:
    """Says which tags an image has, from its mean colour."""

    def __init__(self, samples: Iterable[Sample], *, several: bool) -> None:
        self._several = several
        self._means: dict[str, Mean] = defaultdict(Mean)
        for sample in samples:
            for tag, _ in sample.things:
                self._means[tag].add(sample.picture.colour)

    def guesses(self, picture: Picture, *, without: Sample | None = None) -> list[Guess]:
        """Say which tags a picture may have."""
        out = {tag for tag, _ in without.things} if without else set()
        left_out = [without.picture.colour] if without else []
        distances = {
            tag: held.distance(picture.colour, left_out if tag in out else []) for tag, held in self._means.items()
        }
        return ranked(each(distances) if self._several else shared(distances))


class Detector:
    """Says where things are in an image: patches of cells that are nearer to a tag's colour than to the ground's."""

    GROUND = ""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._means: dict[str, Mean] = defaultdict(Mean)
        self._seen: dict[str, list[tuple[str, Colour]]] = {}
        for sample in samples:
            seen = self._seen[sample.id] = colours(sample)
            for tag, colour in seen:
                self._means[tag].add(colour)

    def guesses(self, picture: Picture, *, without: Sample | None = None) -> list[Guess]:
        """Say what is where in a picture."""
        left_out: dict[str, list[Colour]] = defaultdict(list)
        for tag, colour in self._seen.get(without.id, ()) if without else ():
            left_out[tag].append(colour)
        all_of_it = cells(picture)

        def nearest(colour: Colour) -> str:
            return min(self._means, key=lambda tag: self._means[tag].distance(colour, left_out[tag]))

        marks = {colour: nearest(colour) for colour in set(all_of_it)}
        found = []
        for tag, patch in patches([marks[colour] for colour in all_of_it], self.GROUND):
            middle = mean([all_of_it[at] for at in patch])
            odds = shared({tag: held.distance(middle, left_out[tag]) for tag, held in self._means.items()})
            found.append(Guess(tag, odds[tag], around(patch)))
        return sorted(found, key=lambda guess: -guess.probability)


def learn(samples: Sequence[Sample], *, detects: bool, several: bool) -> Model | None:
    """Make the model of some images; None where there is nothing to learn from."""
    if not any(sample.things for sample in samples):
        return None
    return Detector(samples) if detects else Classifier(samples, several=several)


def colours(sample: Sample) -> list[tuple[str, Colour]]:
    """Give the colour of each thing in an image, and of the ground around them."""
    all_of_it = cells(sample.picture)
    taken: set[int] = set()
    found = []
    for tag, box in sample.things:
        if box is not None and (inside := within(box)):
            taken.update(inside)
            found.append((tag, mean([all_of_it[at] for at in inside])))
    ground = [colour for at, colour in enumerate(all_of_it) if at not in taken]
    return [*found, (Detector.GROUND, mean(ground))] if ground else found


def patches(marks: Sequence[str], ground: str) -> Iterable[tuple[str, list[int]]]:
    """Give the connected cells with the same mark, but for the ground and what is too small."""
    left = {at for at, mark in enumerate(marks) if mark != ground}
    while left:
        first = left.pop()
        patch, edge = [first], [first]
        while edge:
            at = edge.pop()
            row, column = divmod(at, CELLS)
            beside = {
                at - CELLS if row else at,
                at + CELLS if row < CELLS - 1 else at,
                at - 1 if column else at,
                at + 1 if column < CELLS - 1 else at,
            }
            near = [one for one in beside & left if marks[one] == marks[first]]
            left.difference_update(near)
            patch.extend(near)
            edge.extend(near)
        if min(around(patch)[2:]) * CELLS >= SMALLEST:
            yield marks[first], patch


def around(patch: Sequence[int]) -> Box:
    """Give the box around some cells."""
    rows, columns = [at // CELLS for at in patch], [at % CELLS for at in patch]
    width, height = max(columns) + 1 - min(columns), max(rows) + 1 - min(rows)
    return min(columns) / CELLS, min(rows) / CELLS, width / CELLS, height / CELLS


def shared(distances: Mapping[str, float]) -> dict[str, float]:
    """Share one probability out: exactly one of them it is."""
    least = min(distances.values())
    if math.isinf(least):
        return dict.fromkeys(distances, 1 / len(distances))
    weights = {tag: math.exp((least - distance) / WARMTH) for tag, distance in distances.items()}
    total = sum(weights.values())
    return {tag: weight / total for tag, weight in weights.items()}


def each(distances: Mapping[str, float]) -> dict[str, float]:
    """Give each a probability of its own."""
    return {tag: 1 / (1 + math.exp(min((distance - REACH) / 9, 50))) for tag, distance in distances.items()}


def ranked(odds: Mapping[str, float]) -> list[Guess]:
    """Order them, the likeliest first."""
    guesses = [Guess(tag, probability) for tag, probability in odds.items()]
    return sorted(guesses, key=lambda guess: (-guess.probability, guess.tag))
