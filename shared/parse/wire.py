"""Bytes to JSON, and JSON to fields of the right name and type. Nothing but `MalformedError` is ever raised."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, NamedTuple, NoReturn

from shared.errors import MalformedError

DEEPEST = 64
"""Levels of nesting that are read; far more than any service sends, far less than Python's recursion limit."""

Fields = dict[str, Any]


# -- text: bytes to JSON ----------------------------------------------------------------------------------------------


def _not_json_number(text: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python's reader takes and JSON does not have."""
    raise MalformedError(f"not JSON: {text} is not a number that JSON has")


def _finite(text: str) -> float:
    """Read a fraction, and refuse one too large to be written again."""
    number = float(text)
    return number if isfinite(number) else _not_json_number(text)


JSON = json.JSONDecoder(parse_constant=_not_json_number, parse_float=_finite)
OPENING = ("{", "[")
BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_message(body: str | bytes) -> Any:
    """Read a body that is JSON, or base64 of JSON, whatever a queue or a trigger put around it."""
    text = _decoded(body)
    if not text.startswith(OPENING):
        text = _decoded(_from_base64(text))
    try:
        message = JSON.decode(text)
    except RecursionError:
        raise MalformedError(f"nested deeper than {DEEPEST} levels") from None
    except json.JSONDecodeError as error:
        raise MalformedError(f"not JSON: {error}") from None
    except ValueError:
        raise MalformedError("not JSON that can be kept: a number has thousands of digits") from None
    if text.count("{") + text.count("[") > DEEPEST:
        _refuse_deep(message)
    if "\\" in text and SURROGATE.search(text):
        _refuse_lone_surrogates(json.dumps(message, ensure_ascii=False))
    return message


def _decoded(body: str | bytes) -> str:
    """Decode a body and take off the byte order mark and the white space around it."""
    if isinstance(body, bytes):
        try:
            body = body.decode()
        except UnicodeDecodeError as error:
            raise MalformedError(f"not UTF-8: {error.reason} at byte {error.start}") from None
    elif not body.isascii():
        _refuse_lone_surrogates(body)
    return body.strip().removeprefix("\ufeff").strip()


def _from_base64(text: str) -> bytes:
    """Undo the base64 that queue clients wrap a message in."""
    if not text:
        raise MalformedError("empty")
    try:
        decoded = b64decode("".join(text.split()), validate=True)
    except ValueError:
        decoded = b""
    if not decoded.lstrip(BEFORE_JSON).startswith((b"{", b"[")):
        raise MalformedError("neither JSON nor base64 of JSON")
    return decoded


def _refuse_deep(message: Any) -> None:
    """Walk down level by level, without recursion."""
    level = [message]
    for _ in range(DEEPEST):
        values = [value for node in level for value in (node.values() if type(node) is dict else node)]
        level = [value for value in values if type(value) is dict or type(value) is list]
        if not level:
            return
    raise MalformedError(f"nested deeper than {DEEPEST} levels")


def _refuse_lone_surrogates(text: str) -> None:
    """Half a character can be neither stored nor sent on."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MalformedError("not Unicode: half of a surrogate pair") from None


# -- fields: names, and values of the right type ----------------------------------------------------------------------


class Spelling(NamedTuple):
    """The platform's names as rules know them; on the wire they are met in other casings too."""

    right: frozenset[str]
    by_lower: Mapping[str, str]


def make_spelling(*names: str, also: tuple[str, ...] = ()) -> Spelling:
    """Make the table for names; those in `also` are known, and nobody reads them."""
    return Spelling(frozenset(names + also), {name.lower(): name for name in names})


def respelled(fields: Fields, spelling: Spelling) -> Fields:
    """Give the platform's names their one spelling; the same dict where they have it.

    Where a name comes in two casings, the right one wins, and among wrong ones the first in the alphabet.
    """
    if fields.keys() <= spelling.right:
        return fields
    renamed: Fields = {}
    for name in sorted(fields):
        right = spelling.by_lower.get(name.lower(), name)
        if right == name or (right not in fields and right not in renamed):
            renamed[right] = fields[name]
    return renamed


JSON_TYPES = {
    dict: "an object",
    list: "an array",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}
NUMBERS = (int, float)


def refuse(value: Any, wanted: str, field: str) -> NoReturn:
    """Say that a value is of another type than is expected."""
    raise MalformedError(f"{JSON_TYPES[type(value)]} where {wanted} is expected", field=field)


def take_object(value: Any, field: str) -> Fields:
    """Take an object as it is; one that is missing or null is empty."""
    if type(value) is dict:
        return value
    return {} if value is None else refuse(value, "an object", field)


def take_text(fields: Fields, name: str, under: str = "data.") -> str | None:
    """Take a text that may be missing."""
    value = fields.get(name)
    if value is None or type(value) is str:
        return value
    return refuse(value, "text", under + name)


def take_needed(fields: Fields, name: str, under: str = "data.") -> str:
    """Take a text that must be there."""
    value = fields.get(name)
    if type(value) is str and value and not value.isspace():
        return value
    if value is None or type(value) is str:
        raise MalformedError("missing" if value is None else "empty", field=under + name)
    return refuse(value, "text", under + name)


def take_time(fields: Fields, name: str) -> datetime | None:
    """Read a time: any number of fractional digits (the platform writes seven), any offset, UTC where it has none."""
    value = take_text(fields, name, under="")
    if not value:
        return None
    try:
        time = datetime.fromisoformat(value.strip().upper())
        if time.tzinfo is UTC:
            return time
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedError("not an ISO 8601 time", field=name) from None
