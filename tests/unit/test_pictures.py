"""The headers of image files, read by us and written by Pillow."""

import io

import pytest
from PIL import Image

from shared.handlers.backups.pictures import Picture, read


def drawn(form: str, size: tuple[int, int] = (37, 21), **options: object) -> bytes:
    """Make an image file."""
    held = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(held, form, **options)
    return held.getvalue()


@pytest.mark.parametrize(
    ("form", "extension"), [("JPEG", "jpg"), ("PNG", "png"), ("BMP", "bmp"), ("GIF", "gif"), ("MPO", "jpg")]
)
def test_format_and_size_are_read(form: str, extension: str) -> None:
    """Each format that Custom Vision takes is told by its content, with its width and height."""
    assert read(drawn(form)) == Picture(extension, 37, 21)


def test_a_jpeg_with_much_before_its_frame_is_read() -> None:
    """A thumbnail or a profile in front of the frame is passed over, as is a progressive one's marker."""
    exif = Image.Exif()
    exif[0x010E] = "x" * 3000
    content = drawn("JPEG", exif=exif.tobytes(), icc_profile=b"\xff\xc0" * 500, progressive=True, comment=b"\xff\xd8")
    assert read(content) == Picture("jpg", 37, 21)


def test_a_bitmap_upside_down_is_read() -> None:
    """A bitmap whose rows begin at the top has a negative height, which is its height."""
    content = bytearray(drawn("BMP"))
    content[22:26] = (-21).to_bytes(4, "little", signed=True)
    assert read(bytes(content)) == Picture("bmp", 37, 21)


def test_an_old_bitmap_is_read() -> None:
    """A bitmap of the first kind has short numbers."""
    content = b"BM" + bytes(12) + (12).to_bytes(4, "little") + (640).to_bytes(2, "little") + (480).to_bytes(2, "little")
    assert read(content) == Picture("bmp", 640, 480)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>gone</html>", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x10JFIF", b"BM", b"GIF89a", b"RIFF1234WEBP"],
)
def test_what_is_no_image_is_none(content: bytes) -> None:
    """Text, nothing, another format and a header cut short are no images."""
    assert read(content) is None


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF"])
def test_any_beginning_is_read_or_refused(form: str) -> None:
    """However short a file is cut, it is read right or not at all, and nothing is raised."""
    content = drawn(form)
    found = {read(content[:length]) for length in range(len(content))}
    assert {one for one in found if one} == {read(content)}


def test_no_size_is_no_image() -> None:
    """A header that says 0 pixels is damaged."""
    content = bytearray(drawn("PNG"))
    content[16:20] = bytes(4)
    assert read(bytes(content)) is None
