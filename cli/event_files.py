"""Files of events: one event, an array of them, JSON Lines, or records as the app keeps and lists them.

A large file is never held: lines are read one by one, and the elements of an array as they come.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from cli.errors import UsageError
from shared import parse
from shared.errors import MalformedError
from shared.events import OWN_TYPE, Event
from shared.parse.wire import read_message, refuse

LONGEST = 4 * 1024 * 1024
"""Bytes that one event may have in a file: Event Grid itself takes one MiB."""
PIECE = 256 * 1024
"""Bytes that are read at a time."""
BLANK = b" \t\r\n\xef\xbb\xbf"
WRAPPINGS = ("payload", "event")
"""Where a record has the event that it is about."""

Progress = Callable[[int], None]
"""Told how many bytes of a file have been read."""


class Recorded(NamedTuple):
    """An event as it was kept."""

    event: Event
    at: datetime | None
    """When it came, where the file says; else when it happened."""
    key: str
    """As the app recorded it; "" where the file has only the event."""
    place: str
    """Where the file has it: "line 17", "event 3"."""


class Unreadable(NamedTuple):
    """What stands in the place of an event and is none."""

    place: str
    reason: str


# -- one event --------------------------------------------------------------------------------------------------------


def read_events(text: str, origin: str) -> Event | list[Event]:
    """Read one event, or a list where the file holds an array; UsageError says what it holds instead."""
    try:
        message = read_message(text)
        if isinstance(message, list):
            return [read_event(one) for one in message]
        return read_event(message)
    except MalformedError as error:
        raise UsageError(f"{origin} holds no event: {error}") from error


def read_event(message: Any) -> Event:
    """Read an event that was parsed as JSON before; MalformedError says what is wrong with it."""
    if not isinstance(message, dict):
        refuse(message, "an event", "")
    return parse.PARSERS[door(message)](json.dumps(message))


def door(message: dict[str, Any]) -> str:
    """Tell by its fields which door a message would come through."""
    if "eventType" in message or "specversion" in message:
        return "event_grid"
    names = {name.lower() for name in message}
    if names & {"eventtype", "specversion"}:
        return "event_grid"
    if "content" in names:
        return "vision_notification"
    return "own" if str(message.get("type")).startswith(OWN_TYPE) else "event_grid"


# -- many events ------------------------------------------------------------------------------------------------------


def stream(path: Path, progress: Progress = lambda _: None) -> Iterator[Recorded | Unreadable]:
    """Read the events of a file one after another; UsageError where there is no such file."""
    try:
        with path.open("rb") as file:
            yield from read_stream(file, progress)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error


def read_stream(file: IO[bytes], progress: Progress = lambda _: None) -> Iterator[Recorded | Unreadable]:
    """Read JSON Lines, or whatever other JSON a file has in one piece or several."""
    begin = first = b""
    while not first.strip(BLANK) and (line := file.readline(LONGEST)):
        first, begin = line, begin + line
    is_lines = first.lstrip(BLANK).startswith(b"{") and isinstance(_decoded(first, "")[0], dict)
    for place, text in (_lines if is_lines else _values)(begin, file, progress):
        plain = _read_plainly(text, place)
        if plain is not None:
            yield plain
            continue
        value, error = _decoded(text, place)
        if error is not None:
            yield error
            continue
        for number, one in enumerate(value if isinstance(value, list) else (value,), 1):
            yield read_record(one, text, f"{place}, event {number}" if isinstance(value, list) else place)


def _read_plainly(text: bytes | str, place: str) -> Recorded | None:
    """Read an event of Event Grid's, or a record that ends with one: most are so, and their JSON is decoded once.

    None where it is anything else, or wrong: then it is read again with more care.
    """
    try:
        text = (text if isinstance(text, str) else text.decode("utf-8-sig")).strip()
        begin = next((at for name in WRAPPINGS if (at := text.find(f'"{name}"')) > 0), 0)
        if not begin and text.startswith("{") and ('"eventType"' in text or '"specversion"' in text):
            event = parse.event_grid(text)
            return Recorded(event, event.time, "", place)
        record = json.loads(f'{text[:begin]}"":0}}') if begin and "[" not in text[:begin] else None
        if record and all(type(value) is not dict for value in record.values()) and record.get("door") == "event_grid":
            event = parse.event_grid(text[text.index(":", begin) + 1 : -1])
            return Recorded(event, utc_time(record.get("received")) or event.time, str(record.get("key") or ""), place)
    except (MalformedError, ValueError, RecursionError):
        pass
    return None


def _decoded(text: bytes | str, place: str) -> tuple[Any, Unreadable | None]:
    try:
        return json.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text), None
    except (ValueError, RecursionError) as error:
        reason = "longer than 4 MiB" if len(text) >= LONGEST else f"not JSON: {error}"
        return None, Unreadable(place, reason)


def _lines(begin: bytes, file: IO[bytes], progress: Progress) -> Iterator[tuple[str, bytes]]:
    """Give the lines that hold something; of one that is too long for any event only the beginning."""
    number = position = 0
    rest = b""
    is_cut = False
    while piece := begin or file.read(PIECE):
        begin = b""
        position += len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            number += 1
            if line and not line.isspace() and not is_cut:
                yield f"line {number}", line
            is_cut = False
        if len(rest) >= LONGEST:
            if not is_cut:
                yield f"line {number + 1}", rest
            rest, is_cut = b"", True
        progress(position)
    if rest and not rest.isspace() and not is_cut:
        yield f"line {number + 1}", rest


def _values(begin: bytes, file: IO[bytes], progress: Progress) -> Iterator[tuple[str, str]]:
    """Give the text of each value of a file: of an array its elements, one by one."""
    import codecs

    decode = codecs.getincrementaldecoder("utf-8-sig")("backslashreplace")
    decoder = json.JSONDecoder()
    text, at, number, position, is_over = "", 0, 0, 0, False
    is_inside = False
    while True:
        while at < len(text) and (text[at] in " \t\r\n," or text[at] in ("]" if is_inside else "[")):
            is_inside = {"[": True, "]": False}.get(text[at], is_inside)
            at += 1
        try:
            end = decoder.raw_decode(text, at)[1] if at < len(text) else None
        except (ValueError, RecursionError):
            end = None
        if end is not None and (end < len(text) or is_over):
            number += 1
            yield f"event {number}", text[at:end]
            at = end
            continue
        if is_over or len(text) - at > LONGEST:
            if at < len(text):
                yield f"event {number + 1}", text[at : at + LONGEST]
            return
        piece = begin or file.read(max(PIECE, len(text) - at))  # as much again: no value is read over and over
        begin = b""
        position += len(piece)
        progress(position)
        is_over = not piece
        text, at = text[at:] + decode.decode(piece, final=is_over), 0


def read_record(message: Any, text: bytes | str, place: str) -> Recorded | Unreadable:
    """Read an event, or a record of one: `message` is what `text` says."""
    key, at, body = "", None, text
    if type(message) is not dict:
        return Unreadable(place, "an event is expected")
    wrapping = next((name for name in WRAPPINGS if name in message), None)
    try:
        if wrapping is not None and "eventType" not in message and "specversion" not in message:
            record, message = message, message[wrapping]
            key, at = str(record.get("key") or ""), utc_time(record.get("received"))
            if isinstance(message, str):
                message = read_message(message)
            if type(message) is not dict:
                refuse(message, "an event", wrapping)
            body = json.dumps(message)
            through = record.get("door")
        else:
            through = None
            if type(text) is bytes:
                body = text.removeprefix(b"\xef\xbb\xbf").decode()
        if through not in parse.PARSERS:
            through = door(message)
        event = parse.PARSERS[through](body)
    except MalformedError as error:
        return Unreadable(place, error.reason)
    return Recorded(event, at or event.time, key, place)


def utc_time(text: Any) -> datetime | None:
    """Read a time, of UTC where it has no zone; None where it is none."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
