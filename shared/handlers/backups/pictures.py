"""What an image file says of itself in its first bytes: its format and its size in pixels. Pure.

These are the formats that Custom Vision takes. A file may be cut off further down and still be read here: what can be
kept is kept.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/limits-and-quotas
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MIME_TYPES: Mapping[str, str] = {"jpg": "image/jpeg", "png": "image/png", "bmp": "image/bmp", "gif": "image/gif"}
"""By extension, the likeliest first."""
PNG = b"\x89PNG\r\n\x1a\n"
NO_FRAMES = frozenset({0xC4, 0xC8, 0xCC})
"""JPEG markers among those of frames (0xC0 to 0xCF) that begin none."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image file."""

    extension: str
    """One of `MIME_TYPES`."""
    width: int
    """In pixels of the file as it is: what EXIF says of its orientation is not applied."""
    height: int


def read(content: bytes) -> Picture | None:
    """Read an image's format and size; None where it is none that Custom Vision takes, or its header is damaged."""
    for extension, begin, measure in FORMATS:
        if not content.startswith(begin):
            continue
        try:
            width, height = measure(content)
        except (struct.error, IndexError):
            return None
        return Picture(extension, width, abs(height)) if width > 0 and height else None
    return None


def _png(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", content, 16)
    return width, height


def _gif(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", content, 6)
    return width, height


def _bmp(content: bytes) -> tuple[int, int]:
    """Read either header: the old one has 12 bytes and short numbers; a negative height counts from the top."""
    (header,) = struct.unpack_from("<I", content, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", content, 18)
    return width, height


def _jpeg(content: bytes) -> tuple[int, int]:
    """Go from segment to segment up to the frame."""
    at = 2
    while True:
        while content[at] != 0xFF or content[at + 1] == 0xFF:
            at += 1
        marker = content[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in NO_FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        has_no_length = 0xD0 <= marker <= 0xD8 or marker == 0x01
        at += 2 if has_no_length else 2 + struct.unpack_from(">H", content, at + 2)[0]


FORMATS: tuple[tuple[str, bytes, Callable[[bytes], tuple[int, int]]], ...] = (
    ("jpg", b"\xff\xd8\xff", _jpeg),
    ("png", PNG, _png),
    ("bmp", b"BM", _bmp),
    ("gif", b"GIF8", _gif),
)
