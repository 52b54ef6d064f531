"""Tries an iteration of Custom Vision out: shows it images, and looks whether it sees in them what it should.

The images are the project's own, of one tag after the other, or a single one that the rule gives by its URL.
https://learn.microsoft.com/rest/api/customvision/predictions/quick-test-image
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shared.clients.vision import Guess
from shared.handlers.vision.iterations import Place
from shared.redaction import tidy
from shared.stages import Job

LARGEST = 4 << 20
"""Bytes of an image that may be shown; those to train with may be larger.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/limits-and-quotas
"""
LOOKED_AT = 4
"""Images of a tag, one after the other, that are looked at for one that is small enough."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An image to be shown, and the tag that is to be seen in it: JSON between stages."""

    tag: str
    url: str = field(default="", repr=False)
    """Where it is; "" for one of the project's."""
    tag_id: str = ""
    skip: int = 0
    """How many of the tag's images come before it, the oldest first."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of showing an image."""

    probability: float
    """Of the tag that is to be seen."""
    problem: str
    """What is wrong with what was seen; "" where nothing is."""
    detects: bool
    """Whether it says where things are."""


Ask = Callable[[str, bytes], list[Guess]]
"""Shows an image, by its URL or by its bytes."""


def choose(place: Place, iteration: str, count: int, job: Job) -> list[Sample]:
    """Choose images of the project, one of each tag that the iteration knows, and then further ones."""
    known = job.clients.vision.tags.list(place.at, place.project, iteration)
    tags = sorted((tag for tag in known if tag.type == "Regular" and tag.images), key=lambda tag: tag.name)
    turns = [(tag, turn) for turn in range(count) for tag in tags if turn < tag.images][:count]
    return [Sample(tag.name, tag_id=tag.id, skip=turn) for tag, turn in turns]


def show(sample: Sample, place: Place, ask: Ask, probability: float, job: Job) -> Tried | None:
    """Show an image, and judge what is seen in it; None where it is not there any more, or there is no small one."""
    if sample.url:
        return judge(ask(sample.url, b""), sample.tag, probability, on_top=True)
    content = _read(sample, place, job)
    return judge(ask("", content), sample.tag, probability) if content else None


def _read(sample: Sample, place: Place, job: Job) -> bytes:
    """Read an image of the project, the next one of its tag where that is too large; b"" where there is none."""
    images = job.clients.vision.images
    tags = (sample.tag_id,)
    for image in images.page(place.at, place.project, skip=sample.skip, take=LOOKED_AT, tagged=True, tags=tags):
        content = images.read(place.at, place.project, image)
        if len(content) <= LARGEST:
            return content
    return b""


def judge(guesses: Sequence[Guess], tag: str, probability: float, *, on_top: bool = False) -> Tried:
    """Judge what was seen: the tag must be among it with a probability, or on top of it.

    >>> judge([Guess("lime", 0.62), Guess("lemon", 0.31)], "lemon", 0.5).problem
    '"lemon" has 0.31, and not at least 0.5; on top is "lime" with 0.62'
    """
    seen = sorted(guesses, key=lambda guess: -guess.probability)
    detects = any(guess.box is not None for guess in seen)
    ours = next((guess for guess in seen if guess.tag == tag), None)
    if not seen:
        return Tried(0.0, f'nothing is seen, and not "{tidy(tag)}"', detects)
    top = f'on top is "{tidy(seen[0].tag)}" with {seen[0].probability:.2g}'
    if ours is None:
        return Tried(0.0, f'"{tidy(tag)}" is not seen; {top}', detects)
    if ours.probability < probability:
        has = f'"{tidy(tag)}" has {ours.probability:.2g}, and not at least {probability:g}'
        return Tried(ours.probability, f"{has}; {top}", detects)
    return Tried(ours.probability, top if on_top and seen[0].probability > ours.probability else "", detects)
