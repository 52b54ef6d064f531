"""Writes how many there are of something, for people."""


def how_many(number: int, what: str, many: str = "") -> str:
    """Write a number of things; `many` is their plural where that is not the word with an s.

    >>> how_many(1, "image"), how_many(2_000, "image"), how_many(0, "older copy", "older copies")
    ('1 image', '2,000 images', '0 older copies')
    """
    return f"{number:,} {what if number == 1 else many or f'{what}s'}"
