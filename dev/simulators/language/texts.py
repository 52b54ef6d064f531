"""Texts as the service counts and cuts them: units of offsets, and words.

https://learn.microsoft.com/azure/ai-services/language-service/concepts/multilingual-emoji-support
Inside the simulator every offset is in code points, which is how Python counts; what comes in or goes out is turned
here. Text elements are what a reader takes for one character: an emoji with its skin tone, a letter with its accents.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping

UTF16, UTF8, UTF32 = "Utf16CodeUnit", "Utf8CodeUnit", "Utf32CodeUnit"
CODE_POINT, ELEMENTS = "UnicodeCodePoint", "TextElements_v8"
JOINER = "\u200d"
WORD = re.compile(r"\w+")
HANGUL = re.compile(r"[\uac00-\ud7a3]{2,}")
FLAGS = range(0x1F1E6, 0x1F200)
TONES = range(0x1F3FB, 0x1F400)


def elements(text: str) -> int:
    """Count the text elements."""
    count, flags, joined = 0, 0, False
    for one in text:
        flag = ord(one) in FLAGS
        goes_on = (
            joined
            or one == JOINER
            or unicodedata.category(one) in {"Mn", "Me"}
            or ord(one) in TONES
            or (flag and flags % 2 == 1)
        )
        flags = flags + 1 if flag else 0
        joined = one == JOINER
        count += not goes_on
    return count


COUNTS: Mapping[str, Callable[[str], int]] = {
    UTF16: lambda text: len(text.encode("utf-16-le")) // 2,
    UTF8: lambda text: len(text.encode()),
    UTF32: len,
    CODE_POINT: len,
    ELEMENTS: elements,
}


def counted(text: str, offset: int, length: int, unit: str) -> tuple[int, int]:
    """Turn an offset and a length in code points into another unit."""
    count = COUNTS[unit]
    return count(text[:offset]), count(text[offset : offset + length])


def placed(text: str, offset: int, length: int, unit: str) -> tuple[int, int] | None:
    """Turn an offset and a length in a unit into code points; None where they are not within the text, or cut one."""
    count = COUNTS[unit]
    places: dict[int, int] = {}
    for at in range(len(text) + 1):
        places.setdefault(count(text[:at]), at)
    start, end = places.get(offset), places.get(offset + length)
    return None if start is None or end is None or length < 1 else (start, end - start)


def words(text: str) -> list[str]:
    """Give the words of a text, and of Korean ones the pairs of syllables too, which particles do not change."""
    found = []
    for word in WORD.findall(unicodedata.normalize("NFC", text).casefold()):
        found.append(word)
        for run in HANGUL.findall(word):
            found.extend(f"{run[at : at + 2]}*" for at in range(len(run) - 1))
    return found
