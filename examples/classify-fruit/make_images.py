# noqa: INP001 # a script of its own, beside the page that tells of it
"""Draws fruit: `python examples/classify-fruit/make_images.py FOLDER`.

What is drawn is the same each time, and nothing but Python is needed. FOLDER gets:

    training/apple/01.png …    fifteen of each fruit to learn from, a sub-folder for each tag
    more/apple/16.png …        five more of each, for later
    test/apple.png …           one of each that is not among them
    shelf/01.png …, shelf.json twenty with several fruits, and where on them each is, as a COCO file
"""

import json
import random
import struct
import sys
import zlib
from pathlib import Path

SIDE = 256
"""Pixels; Custom Vision enlarges what is smaller."""
Colour = tuple[int, int, int]
FRUITS: dict[str, Colour] = {"apple": (196, 34, 44), "banana": (250, 230, 90), "orange": (240, 128, 24)}
LEAF: Colour = (70, 120, 50)
TRAINING, MORE, ON_SHELVES = 15, 5, 20


class Picture:
    """Pixels, row by row."""

    def __init__(self, ground: Colour) -> None:
        self._rows = [bytearray(bytes(ground) * SIDE) for _ in range(SIDE)]

    def line(self, row: int, left: int, right: int, colour: Colour) -> None:
        """Draw a part of a row."""
        left, right = max(left, 0), min(right, SIDE)
        if 0 <= row < SIDE and left < right:
            self._rows[row][left * 3 : right * 3] = bytes(colour) * (right - left)

    def disc(self, x: int, y: int, radius: int, colour: Colour) -> None:
        """Draw a round thing, lighter above than below."""
        for row in range(-radius, radius + 1):
            half = int((radius * radius - row * row) ** 0.5)
            self.line(y + row, x - half, x + half + 1, shaded(colour, -row * 28 // radius))

    def crescent(self, x: int, y: int, radius: int, colour: Colour) -> None:
        """Draw a bent thing: a disc, without another one that lies higher."""
        for row in range(-radius * 53 // 100, radius + 1):
            half = int((radius * radius - row * row) ** 0.5)
            above = row + radius * 11 // 10
            cut = int(max(radius * radius - above * above, 0) ** 0.5)
            shade = shaded(colour, -row * 20 // radius)
            self.line(y + row, x - half, x - cut, shade)
            self.line(y + row, x + cut, x + half + 1, shade)
            if not cut:
                self.line(y + row, x - half, x + half + 1, shade)

    def png(self) -> bytes:
        """Write it as a PNG file."""
        head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
        pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in self._rows), 9)
        chunks = b"".join(chunk(name, data) for name, data in ((b"IHDR", head), (b"IDAT", pixels), (b"IEND", b"")))
        return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(name: bytes, data: bytes) -> bytes:
    """Write a part of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def shaded(colour: Colour, by: int) -> Colour:
    """Make a colour lighter or darker."""
    red, green, blue = (max(0, min(255, part + by)) for part in colour)
    return red, green, blue


def varied(colour: Colour, dice: random.Random, by: int) -> Colour:
    """Change a colour a little."""
    red, green, blue = (max(0, min(255, part + dice.randint(-by, by))) for part in colour)
    return red, green, blue


def fruit(picture: Picture, name: str, at: tuple[int, int], radius: int, dice: random.Random) -> list[int]:
    """Draw one, and say where it is: left, top, width and height."""
    (x, y), colour = at, varied(FRUITS[name], dice, 28)
    if name == "banana":
        picture.crescent(x, y - radius // 4, radius, colour)
        return [x - radius, y - radius * 78 // 100, 2 * radius + 1, radius * 154 // 100]
    picture.disc(x, y, radius, colour)
    if name == "apple":
        for row in range(radius // 3):
            picture.line(y - radius - row, x - 2, x + 3, (90, 60, 30))
        picture.disc(x + radius // 4, y - radius, radius // 7 + 1, LEAF)
    return [x - radius, y - radius, 2 * radius + 1, 2 * radius + 1]


def portrait(name: str, number: int) -> bytes:
    """Draw one fruit on a cloth; the same number is the same picture."""
    dice = random.Random(f"basket {name} {number}")  # noqa: S311 # of one fruit, not of a key
    picture = Picture(varied((214, 208, 198), dice, 12))
    radius = dice.randint(90, 116)
    at = SIDE // 2 + dice.randint(-14, 14), SIDE // 2 + dice.randint(-10, 16)
    fruit(picture, name, at, radius, dice)
    return picture.png()


def shelf(number: int) -> tuple[bytes, list[tuple[str, list[int]]]]:
    """Draw one fruit of each kind on a shelf, and say where each is: left, top, width and height in pixels."""
    dice = random.Random(f"shelf {number}")  # noqa: S311 # the same
    picture, found = Picture(varied((228, 224, 216), dice, 8)), []
    for place, name in enumerate(dice.sample(sorted(FRUITS), len(FRUITS))):
        found.append((name, fruit(picture, name, (44 + 84 * place, dice.randint(90, 170)), dice.randint(28, 36), dice)))
    return picture.png(), found


def coco(folder: Path) -> dict[str, object]:
    """Draw the shelves into a folder, and describe them as COCO does: https://cocodataset.org/#format-data."""
    names = sorted(FRUITS)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number in range(1, ON_SHELVES + 1):
        content, found = shelf(number)
        (folder / f"{number:02}.png").write_bytes(content)
        images.append({"id": number, "file_name": f"{number:02}.png", "width": SIDE, "height": SIDE})
        for name, box in found:
            kind = names.index(name) + 1
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": kind, "bbox": box})
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    return {"images": images, "categories": categories, "annotations": annotations}


def main(folder: Path) -> None:
    """Draw all of them."""
    sets = {"training": range(1, TRAINING + 1), "more": range(TRAINING + 1, TRAINING + MORE + 1)}
    for name in FRUITS:
        for part, numbers in sets.items():
            into = folder / part / name
            into.mkdir(parents=True, exist_ok=True)
            for number in numbers:
                (into / f"{number:02}.png").write_bytes(portrait(name, number))
        (folder / "test").mkdir(exist_ok=True)
        (folder / "test" / f"{name}.png").write_bytes(portrait(name, 99))
    (folder / "shelf").mkdir(exist_ok=True)
    (folder / "shelf.json").write_text(json.dumps(coco(folder / "shelf")), "utf-8")
    print(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
