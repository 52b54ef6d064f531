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
    by: str = ""
    """The id of the iteration that guesses; "" where the service does not say."""


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

    def told(self, by: str) -> Guess:
        box = self.bounding_box
        where = Box(box.left, box.top, box.width, box.height) if box else None
        return Guess(self.tag_name, self.probability, where, self.tag_id, by)


class _Prediction(Read):
    predictions: tuple[_Guess, ...]
    iteration: MaybeGuid = ""


def guesses(answer: Answer) -> list[Guess]:
    """Read the guesses about an image, the surest first."""
    prediction = answer.read(_Prediction)
    found = [one.told(prediction.iteration) for one in prediction.predictions]
    return sorted(found, key=lambda guess: -guess.probability)
