"""What the service says is wrong, in one line: its errors are nested, in answers and in jobs alike.

https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/get-export-status/get-export-status#error
"""

import json
from collections.abc import Iterator
from typing import Any

from shared.redaction import tidy

VAGUE = frozenset({"", "badrequest", "conflict", "invalidargument", "invalidrequest", "notfound"})
"""Codes that say no more than the status does."""
DEEPEST = 8
MOST = 12


def words_of(error: Any) -> str:
    """Put an error object into words: its most telling code, and every message in it once, with what it is about.

    >>> words_of({"code": "InvalidArgument", "message": "No.", "details": [{"target": "kind", "message": "Missing"}]})
    'InvalidArgument: No. kind: Missing'
    """
    if not isinstance(error, dict):
        return tidy(str(error)) if error else ""
    code, message = _read(error)
    return tidy(f"{code}: {message}" if code and message else code or message)


def flattened(body: str) -> str:
    """Give an answer's nested error as a flat one, its most telling code first; anything else as it is."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return body
    if not isinstance(error, dict):
        return body
    code, message = _read(error)
    return json.dumps({"error": {"code": code, "message": message}})


def _read(error: dict[str, Any]) -> tuple[str, str]:
    told = [one for one, _ in zip(_walk(error, 0), range(MOST), strict=False)]
    codes = [code for code, _, _ in told if code]
    code = next((code for code in codes if code.lower() not in VAGUE and not code.isdigit()), codes[0] if codes else "")
    said: list[str] = []
    for own, target, message in told:
        about = target or (own if said and own.lower() not in VAGUE and own != code else "")
        line = f"{about}: {message}" if about and message else message
        if message and not any(message in earlier for earlier in said):
            said.append(line)
    return code, " ".join(said)


def _walk(error: Any, depth: int) -> Iterator[tuple[str, str, str]]:
    """Walk an error outside in: (code, target, message) of itself, of its details, of its inner errors."""
    if isinstance(error, list):
        for one in error:
            yield from _walk(one, depth)
    if not isinstance(error, dict) or depth > DEEPEST:
        return
    yield _text(error, "code"), _text(error, "target"), _text(error, "message")
    yield from _walk(error.get("details"), depth + 1)
    yield from _walk(error.get("innererror"), depth + 1)


def _text(error: dict[str, Any], name: str) -> str:
    value = error.get(name)
    return value.strip() if isinstance(value, str) else ""
