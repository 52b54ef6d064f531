"""What an image file is, read from its own bytes: its format, its size, whether Custom Vision would take it.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/limits-and-quotas
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MIB = 1024 * 1024
LARGEST_TO_TRAIN, LARGEST_TO_PREDICT = 6 * MIB, 4 * MIB
LONGEST_SIDE = 10_240
MOST_OBLONG = 25
"""How many times longer one side may be than the other."""
ENDINGS = ("jpg", "jpeg", "png", "bmp", "gif")
SAVE_AS = "save it as jpg, png, bmp or gif"
AGAIN = "copy it again from where it is whole, or take it out"
STRANGERS: tuple[tuple[int, bytes, str], ...] = (
    (8, b"WEBP", "WebP"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypavif", "AVIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"%PDF", "a PDF"),
    (0, b"PK\3\4", "a zip"),
    (0, b"<svg", "SVG"),
)
"""Where in a file stands what, and what that says it is: formats that cameras and designers use."""


class Head(NamedTuple):
    """What the bytes of an image say of it."""

    format: str
    width: int
    height: int
    is_whole: bool
    """Whether its end is there."""


class Wrong(NamedTuple):
    """What is wrong with a file, and what helps."""

    why: str
    remedy: str


EMPTY = Wrong("it is empty", AGAIN)


def load(path: Path, largest: int = LARGEST_TO_TRAIN) -> tuple[bytes, Head | Wrong]:
    """Read a file, hardly further than it may be large, and judge it; OSError where it cannot be read."""
    with path.open("rb") as file:
        content = file.read(largest + 1)
        return content, judge(content, largest, os.fstat(file.fileno()).st_size)


def judge(content: bytes, largest: int = LARGEST_TO_TRAIN, size: int = 0) -> Head | Wrong:
    """Read an image, or its beginning where it is of another size, or say why Custom Vision would refuse it."""
    head, size = read(content), max(size, len(content))
    if head is None:
        return Wrong(f"it is no jpg, png, bmp or gif{_looks_like(content)}", SAVE_AS) if content else EMPTY
    if size > largest:
        return Wrong(f"it is too large: {size / MIB:.1f} MB, and {largest // MIB} MB is the most", "scale it down")
    short, long = sorted((head.width, head.height))
    if not head.is_whole or short < 1:
        return Wrong(f"it is corrupt: a {head.format} that ends too soon", AGAIN)
    if long > LONGEST_SIDE or long > MOST_OBLONG * short:
        most = f"{LONGEST_SIDE} pixels a side, and {MOST_OBLONG}:1"
        return Wrong(f"it is {head.width} × {head.height}, and the most is {most}", "scale or cut it")
    return head


def read(content: bytes) -> Head | None:
    """Read what an image's own bytes say; None for what is none of the four formats."""
    for magic, look in FORMATS:
        if content.startswith(magic):
            try:
                return look(content)
            except (struct.error, IndexError):
                return Head(look.__name__.strip("_"), 0, 0, is_whole=False)
    return None


def _looks_like(content: bytes) -> str:
    name = next((name for at, magic, name in STRANGERS if content[at:].startswith(magic)), "")
    return f" but {name}" if name else ""


# -- the formats ------------------------------------------------------------------------------------------------------


def _png(content: bytes) -> Head:
    width, height = struct.unpack_from(">II", content, 16)
    return Head("png", width, height, b"IEND" in content[-64:])


def _gif(content: bytes) -> Head:
    width, height = struct.unpack_from("<HH", content, 6)
    return Head("gif", width, height, content.rstrip(b"\0").endswith(b";"))


def _bmp(content: bytes) -> Head:
    size, offset, head = struct.unpack_from("<I4xII", content, 2)
    width, height = struct.unpack_from("<HH" if head == 12 else "<ii", content, 18)  # the oldest kind is narrower
    return Head("bmp", width, abs(height), len(content) >= max(size, offset + 1))


def _jpg(content: bytes) -> Head:
    """Walk the segments to the one with the size; the picture follows, and its end."""
    at = 2
    while True:
        while content[at] == 0xFF and content[at + 1] == 0xFF:  # filling
            at += 1
        mark, kind = content[at], content[at + 1]
        if mark != 0xFF or kind in (0xD9, 0xDA):
            return Head("jpg", 0, 0, is_whole=False)
        (length,) = struct.unpack_from(">H", content, at + 2)
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content, at + 5)
            return Head("jpg", width, height, content.rfind(b"\xff\xd9") > at)
        at += 2 + length


FORMATS: tuple[tuple[bytes, Callable[[bytes], Head]], ...] = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"\xff\xd8\xff", _jpg),
    (b"GIF8", _gif),
    (b"BM", _bmp),
)
