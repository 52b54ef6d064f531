"""What a model sees in an image.

https://learn.microsoft.com/rest/api/customvision/image-prediction
"""

from dataclasses import dataclass

from shared.clients.rest import Answer
from shared.clients.vision.service import MaybeGuid, Read, Share, Text


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an image, in shares of its width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Guess:
    """A tag that may fit, and how surely."""

    tag: str
    probability: float
    box: Box | None = None
    """Where; None where the whole image is meant."""
    tag_id: str = ""


class _Box(Read):
    left: float
    top: float
    width: float
    height: float


class _Guess(Read):
    tag_name: Text
    probability: Share
    tag_id: MaybeGuid = ""
    bounding_box: _Box | None = None

    def told(self) -> Guess:
        box = self.bounding_box
        where = Box(box.left, box.top, box.width, box.height) if box else None
        return Guess(self.tag_name, self.probability, where, self.tag_id)


class _Prediction(Read):
    predictions: tuple[_Guess, ...]


def guesses(answer: Answer) -> list[Guess]:
    """Read the guesses about an image, the surest first."""
    found = [one.told() for one in answer.read(_Prediction).predictions]
    return sorted(found, key=lambda guess: -guess.probability)
