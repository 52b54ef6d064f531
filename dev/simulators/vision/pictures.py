"""Pictures: read with Pillow, checked as the service checks them, reduced to what the toy models learn from.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/limits-and-quotas
"""

import hashlib
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

from dev.simulators.vision.settings import Limits

Image.MAX_IMAGE_PIXELS = None  # the service has limits of its own, which are looked at before anything is decoded

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
"""left, top, width, height, each between 0 and 1."""
Thing = tuple[Colour, Box]
FORMATS = {"JPEG": "jpg", "PNG": "png", "BMP": "bmp", "GIF": "gif"}
CELLS = 48
"""A picture is this many cells wide and high, to a model that looks for things in it."""
INK: Sequence[Colour] = (
    *((200, 40, 40), (225, 205, 60), (235, 135, 30), (60, 160, 70), (50, 90, 190), (140, 60, 170), (40, 180, 190)),
    *((120, 80, 45), (230, 120, 170), (90, 95, 100)),
)
"""The colours of generated things, one for each tag."""
GROUND: Colour = (238, 238, 232)


class PictureError(ValueError):
    """What is wrong with a picture, as the service says it for one image of a batch."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True)
class Picture:
    """One that was uploaded; a generated one has no content before somebody asks for it."""

    key: str
    """The same for the same content."""
    width: int
    height: int
    colour: Colour
    """The mean of all of it."""
    drawn: tuple[int, tuple[Thing, ...]] | None = None
    """For a generated one: its number, and the things in it."""
    _content: bytes = b""

    @property
    def content(self) -> bytes:
        """Its bytes."""
        if self.drawn is None:
            return self._content
        number, things = self.drawn
        return draw(self.width, self.height, number, self.colour, things)


def read(content: bytes, *, most: int = Limits.TRAINING_BYTES) -> Picture:
    """Read a picture; PictureError where the service would not take it."""
    if not content:
        raise PictureError("ErrorSource")
    if len(content) > most:
        raise PictureError("ErrorImageSize")
    try:
        with Image.open(io.BytesIO(content), formats=list(FORMATS)) as image:
            width, height = image.size
            fits = max(width, height) <= min(Limits.SIDE, Limits.ASPECT * min(width, height))
            image.draft("RGB", (CELLS, CELLS))
            colour = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).tobytes() if fits else b""
    except Exception as problem:  # Pillow raises whatever its decoders meet with
        raise PictureError("ErrorImageFormat") from problem
    if not fits:
        raise PictureError("ErrorImageDimensions")
    red, green, blue = colour
    return Picture(hashlib.sha256(content).hexdigest(), width, height, (red, green, blue), None, content)


def generated(key: str, number: int, size: tuple[int, int], fill: Colour, things: Sequence[Thing]) -> Picture:
    """Give a picture that is made when it is looked at: a colour, and things on it, each a little off its own."""
    jitter = random.Random(f"{key}{number}")

    def shade(of: Colour) -> Colour:
        red, green, blue = (max(0, min(255, part + jitter.randint(-14, 14))) for part in of)
        return red, green, blue

    ground = fill if things else shade(fill)
    return Picture(f"{key}/{number}", *size, ground, (number, tuple((shade(colour), box) for colour, box in things)))


def draw(width: int, height: int, number: int, ground: Colour, things: Sequence[Thing]) -> bytes:
    """Make a small PNG, the same for the same number; the number is in its first pixels."""
    image = Image.new("RGB", (width, height), ground)
    for colour, (left, top, wide, high) in things:
        corner = (round(left * width), round(top * height))
        image.paste(colour, (*corner, corner[0] + round(wide * width), corner[1] + round(high * height)))
    image.putpixel((0, 0), (number >> 16 & 255, number >> 8 & 255, number & 255))
    held = io.BytesIO()
    image.save(held, "PNG")
    return held.getvalue()


@lru_cache(maxsize=64)
def cells(picture: Picture) -> tuple[Colour, ...]:
    """Give the cells of a picture, row by row."""
    with Image.open(io.BytesIO(picture.content)) as image:
        image.draft("RGB", (CELLS * 4, CELLS * 4))
        raw = image.convert("RGB").resize((CELLS, CELLS), Image.Resampling.BOX).tobytes()
    return tuple((raw[at], raw[at + 1], raw[at + 2]) for at in range(0, len(raw), 3))


def within(box: Box) -> list[int]:
    """Name the cells whose middles are in a box."""
    left, top, width, height = box
    columns = [at for at in range(CELLS) if left <= (at + 0.5) / CELLS <= left + width]
    rows = [at for at in range(CELLS) if top <= (at + 0.5) / CELLS <= top + height]
    return [row * CELLS + column for row in rows for column in columns]


def mean(colours: Sequence[Colour]) -> Colour:
    """Give the mean of some colours; the ground's where there are none."""
    if not colours:
        return GROUND
    red, green, blue = (sum(parts) // len(colours) for parts in zip(*colours, strict=True))
    return red, green, blue
