"""Fits JSON text into a table entity: gzipped, cut into properties, and left to a blob where it is too long.

A table's binary property holds 64 KiB and an entity 1 MiB.
Page: https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
"""

import gzip
from collections.abc import Mapping
from typing import Any

PROPERTY_BYTES = 60 * 1024
ENTITY_BYTES = 512 * 1024


def pack(name: str, text: str) -> dict[str, bytes] | None:
    """Return the properties `name0`, `name1`, … that hold `text`; None where it does not fit an entity."""
    packed = compress(text)
    if len(packed) > ENTITY_BYTES:
        return None
    chunks = range(0, len(packed), PROPERTY_BYTES)
    return {f"{name}{number}": packed[start : start + PROPERTY_BYTES] for number, start in enumerate(chunks)}


def unpack(name: str, entity: Mapping[str, Any]) -> str | None:
    """Read what `pack` wrote; None where the entity holds nothing of that name."""
    chunks: list[bytes] = []
    while (chunk := entity.get(f"{name}{len(chunks)}")) is not None:
        chunks.append(bytes(chunk))
    return expand(b"".join(chunks)) if chunks else None


def compress(text: str) -> bytes:
    """Gzip text, the same bytes for the same text."""
    return gzip.compress(text.encode("utf-8", "surrogatepass"), compresslevel=5, mtime=0)


def expand(packed: bytes) -> str:
    """Undo `compress`."""
    return gzip.decompress(packed).decode("utf-8", "surrogatepass")
